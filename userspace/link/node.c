/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - the node's own addresses: `host` to the node itself, whatever the controller has heard of them, and told
 * to the controller, so that other nodes know who it is that comes from an overlay's or a bridge's address.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_UNIT "link"
#include "base/cleanup.h"
#include "base/log.h"
#include "link/priv.h"

static bool has(const struct addr *v, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (!addr_cmp(&v[i], a))
			return true;
	return false;
}

int node_view(const struct uplink *u, struct policy_state *st, struct own_nodes *ret)
{
	struct node_info *v = calloc(st->nnodes + 1, sizeof(*v)), *me = NULL;
	struct addr *all;
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	if (st->nnodes)
		memcpy(v, st->nodes, st->nnodes * sizeof(*v));
	for (size_t i = 0; i < st->nnodes && !me; i++)
		if (!strcmp(v[i].name, u->name))
			me = &v[i];
	if (!me) {
		me = &v[st->nnodes++];
		me->name = u->name;
	}
	all = reallocarray(NULL, me->naddrs + u->nnode_addrs + 1, sizeof(*all));
	if (!all) {
		free(v);
		return -ENOMEM;
	}
	for (size_t i = 0; i < u->nnode_addrs; i++)
		all[n++] = u->node_addrs[i];
	/* One that only the cluster knows of may be translated on the way here. */
	for (size_t i = 0; i < me->naddrs; i++)
		if (!has(u->node_addrs, u->nnode_addrs, &me->addrs[i]))
			all[n++] = me->addrs[i];
	me->addrs = all;
	me->naddrs = n;
	me->told = NULL; /* as it was: the node knows better now */
	me->ntold = 0;
	st->nodes = v;
	*ret = (struct own_nodes){ v, all };
	return 0;
}

int node_addrs_take(struct uplink *u, const struct addr *a, size_t n)
{
	struct addr *copy = reallocarray(NULL, n ? n : 1, sizeof(*a));

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, a, n * sizeof(*a));
	free(u->node_addrs);
	u->node_addrs = copy;
	u->nnode_addrs = n;
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

void node_addrs_send(struct uplink *u, bool always)
{
	auto_cleanup(buf_done) struct buf b = { };
	struct addr told[MSG_ADDRS_MAX];
	struct msg_node_addresses m = { .addrs = told };
	uint64_t h;

	if (!connect_is_up(u))
		return;
	for (size_t i = 0; i < u->nnode_addrs && m.naddrs < MSG_ADDRS_MAX; i++)
		if (addr_is_global(&u->node_addrs[i]) && !has(told, m.naddrs, &u->node_addrs[i]))
			told[m.naddrs++] = u->node_addrs[i];
	/* In an order of their own: links come and go, and that alone is no news. */
	qsort(told, m.naddrs, sizeof(*told), by_addr);
	h = hash_bytes(1 + m.naddrs, told, m.naddrs * sizeof(*told));
	if (!always && h == u->told_hash)
		return;
	buf_init(&b, FRAME_BODY_MAX);
	if (!msg_put_node_addresses(&b, &m) && !connect_send(u, &b))
		u->told_hash = h;
}
