/* SPDX-License-Identifier: Apache-2.0 */
#include "maps/sink.h"

#include <errno.h>

#include "maps/addr_maps.h"
#include "maps/named_maps.h"
#include "maps/policy_maps.h"
#include "maps/svc_maps.h"

static int sink_verdict(void *arg, uint32_t index, const struct cw_verdict *v)
{
	int r = verdict_store(arg, index, v);

	return r < 0 ? r : vstat_clear(arg, index);
}

static int sink_rows(void *arg, uint32_t index, const uint64_t *v, size_t n)
{
	return rows_store(arg, index, v, n);
}

static int sink_rowtab(void *arg, uint32_t index, const uint64_t *v, size_t n)
{
	return rowtab_store(arg, index, v, n);
}

static int sink_peers_set(void *arg, const struct cw_peer_key *k, const uint32_t *cls, size_t n)
{
	return peers_set(arg, k, cls, n, NULL);
}

static int sink_peers_del(void *arg, const struct cw_peer_key *k, size_t n)
{
	return peers_del(arg, k, n);
}

static int sink_word(void *arg, uint32_t index, uint64_t word)
{
	return word_store(arg, index, word);
}

static int sink_since(void *arg, uint32_t index, uint64_t since)
{
	return since_store(arg, index, since);
}

static int sink_addr_set(void *arg, uint32_t zone, const struct addr *a, const struct cw_addr *v)
{
	return addr_map_set(arg, zone, a, v);
}

static int sink_addr_del(void *arg, uint32_t zone, const struct addr *a)
{
	return addr_map_del(arg, zone, a);
}

static int sink_net_set(void *arg, uint32_t zone, const struct prefix *p, const struct cw_addr *v)
{
	return net_map_set(arg, zone, p, v);
}

static int sink_net_del(void *arg, uint32_t zone, const struct prefix *p)
{
	return net_map_del(arg, zone, p);
}

static bool sink_addr_used(void *arg, uint32_t zone, const struct addr *a)
{
	struct cw_addr v;
	int r = addr_map_get(arg, zone, a, &v);

	return r < 0 ? r != -ENOENT : v.used;
}

static bool sink_net_used(void *arg, uint32_t zone, const struct prefix *p)
{
	struct cw_addr v;
	int r = net_map_get(arg, zone, p, &v);

	return r < 0 ? r != -ENOENT : v.used;
}

static int sink_wl_group(void *arg, uint32_t wl, uint32_t group, uint32_t eid)
{
	int r = ep_map_wl(arg, wl, group, eid);

	return r < 0 ? r : 0;
}

static int sink_backends(void *arg, uint32_t index, const struct cw_backend *v, size_t n)
{
	return backends_store(arg, index, v, n);
}

static int sink_svc_set(void *arg, const struct cw_svc_key *k, const struct cw_svc *v)
{
	return svc_map_set(arg, k, v);
}

static int sink_svc_del(void *arg, const struct cw_svc_key *k)
{
	return svc_map_del(arg, k);
}

static int sink_pattern_set(void *arg, const char *pattern, uint32_t cls)
{
	return pattern_map_set(arg, pattern, cls);
}

static int sink_pattern_del(void *arg, const char *pattern)
{
	return pattern_map_del(arg, pattern);
}

static int sink_named_set(void *arg, uint32_t eid, uint32_t cls, uint32_t named)
{
	return named_map_set(arg, eid, cls, named);
}

static int sink_named_del(void *arg, uint32_t eid, uint32_t cls)
{
	return named_map_del(arg, eid, cls);
}

static int sink_names(void *arg, uint32_t classes)
{
	ctl_names(arg, classes);
	return 0;
}

static int sink_settle(void *arg)
{
	return maps_grace(arg);
}

void maps_sink(struct maps *m, struct policy_sink *ret)
{
	*ret = (struct policy_sink){
		.arg = m,
		.verdict_write = sink_verdict, .rows_write = sink_rows, .rowtab_write = sink_rowtab,
		.peers_set = sink_peers_set, .peers_del = sink_peers_del, .word_store = sink_word,
		.since_store = sink_since,
		.addr_set = sink_addr_set, .addr_del = sink_addr_del,
		.net_set = sink_net_set, .net_del = sink_net_del,
		.addr_used = sink_addr_used, .net_used = sink_net_used,
		.backends_write = sink_backends, .svc_set = sink_svc_set, .svc_del = sink_svc_del,
		.pattern_set = sink_pattern_set, .pattern_del = sink_pattern_del,
		.named_set = sink_named_set, .named_del = sink_named_del, .names_store = sink_names,
		.wl_group = sink_wl_group, .settle = sink_settle,
	};
}

void maps_limits(const struct maps *m, struct policy_limits *ret)
{
	struct maps_room room;

	maps_room(m, &room);
	*ret = (struct policy_limits){
		.groups = room.groups, .wls = room.wls, .verdicts = room.verdicts,
		.rowtab = room.rowtab, .rows = room.rows, .peers = room.peers,
		.addrs = room.addrs4 < room.addrs6 ? room.addrs4 : room.addrs6,
		.nets = room.nets4 < room.nets6 ? room.nets4 : room.nets6,
		.patterns = room.patterns, .named = room.named,
		.svcs = room.svcs, .backends = room.backends,
	};
}
