/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile.h"

static int no_verdict(void *arg, uint32_t index, const struct cw_verdict *v)
{
	(void)arg, (void)index, (void)v;
	return 0;
}

static int no_words(void *arg, uint32_t index, const uint64_t *v, size_t n)
{
	(void)arg, (void)index, (void)v, (void)n;
	return 0;
}

static int no_set(void *arg, const struct cw_peer_key *k, const uint32_t *cls, size_t n)
{
	(void)arg, (void)k, (void)cls, (void)n;
	return 0;
}

static int no_del(void *arg, const struct cw_peer_key *k, size_t n)
{
	(void)arg, (void)k, (void)n;
	return 0;
}

static int no_word(void *arg, uint32_t index, uint64_t word)
{
	(void)arg, (void)index, (void)word;
	return 0;
}

static int no_addr(void *arg, uint32_t zone, const struct addr *a, const struct cw_addr *v)
{
	(void)arg, (void)zone, (void)a, (void)v;
	return 0;
}

static int no_addr_del(void *arg, uint32_t zone, const struct addr *a)
{
	(void)arg, (void)zone, (void)a;
	return 0;
}

static int no_net(void *arg, uint32_t zone, const struct prefix *p, const struct cw_addr *v)
{
	(void)arg, (void)zone, (void)p, (void)v;
	return 0;
}

static int no_net_del(void *arg, uint32_t zone, const struct prefix *p)
{
	(void)arg, (void)zone, (void)p;
	return 0;
}

static int no_wl(void *arg, uint32_t wl, uint32_t group, uint32_t eid)
{
	(void)arg, (void)wl, (void)group, (void)eid;
	return 0;
}

static bool never_addr(void *arg, uint32_t zone, const struct addr *a)
{
	(void)arg, (void)zone, (void)a;
	return false;
}

static bool never_net(void *arg, uint32_t zone, const struct prefix *p)
{
	(void)arg, (void)zone, (void)p;
	return false;
}

const struct policy_sink policy_sink_nowhere = {
	.verdict_write = no_verdict, .rows_write = no_words, .rowtab_write = no_words, .peers_set = no_set,
	.peers_del = no_del, .word_store = no_word, .addr_set = no_addr, .addr_del = no_addr_del,
	.net_set = no_net, .net_del = no_net_del, .addr_used = never_addr, .net_used = never_net,
	.wl_group = no_wl,
};
