/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generic_veth.c - any CNI that gives a workload interfaces of its own.
 *
 * A veth or netkit is followed to its other end on the node, where nothing inside the workload
 * can pass by the hook. Two things move a way away from TC there: a switch that takes the frames by
 * a packet socket (from the workload: XDP, which comes before such sockets), and a data path that
 * hands packets past the node's end (to the workload: its own end, which they must cross). Whatever
 * has no end on the node is hooked inside the workload, where a raw socket can send past an egress
 * hook (measured: PACKET_QDISC_BYPASS), and says so; what comes in crosses the hook there always.
 */
#include "adapter.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <string.h>

#include "base/cleanup.h"

/*
 * What a device that is not one end of a pair is. INNER ones are stacked on the workload's own
 * devices, or lead nowhere: their packets cross a guarded device, or none at all. The stacked
 * kinds count as inner only when what is beneath them is in the same namespace.
 */
enum sort { INNER, STACKED, OUTLET };

#define ELSEWHERE "guard.lower-elsewhere", "its parent is in another namespace"
#define TUNNEL "guard.tunnel", "tunnel: its outer packets leave by another namespace"

static const struct {
	const char *kind;
	enum sort sort;
	const char *reason, *text;
} kinds[] = {
	{ "dummy", INNER, NULL, NULL },
	{ "ifb", INNER, NULL, NULL },
	{ "bridge", INNER, NULL, NULL },
	{ "bond", INNER, NULL, NULL },
	{ "team", INNER, NULL, NULL },
	{ "vrf", INNER, NULL, NULL },
	{ "nlmon", INNER, NULL, NULL },
	{ "vcan", INNER, NULL, NULL },
	{ "macvlan", STACKED, "guard.macvlan", "macvlan: its parent is in another namespace" },
	{ "macvtap", STACKED, "guard.macvlan", "macvtap: its parent is in another namespace" },
	{ "ipvlan", STACKED, "guard.ipvlan", "ipvlan: its parent is in another namespace" },
	{ "ipvtap", STACKED, "guard.ipvlan", "ipvtap: its parent is in another namespace" },
	{ "vlan", STACKED, "guard.vlan", "vlan: its parent is in another namespace" },
	{ "macsec", STACKED, ELSEWHERE },
	{ "vxlan", STACKED, TUNNEL },
	{ "geneve", STACKED, TUNNEL },
	{ "gre", STACKED, TUNNEL },
	{ "gretap", STACKED, TUNNEL },
	{ "erspan", STACKED, TUNNEL },
	{ "ip6gre", STACKED, TUNNEL },
	{ "ip6gretap", STACKED, TUNNEL },
	{ "ip6erspan", STACKED, TUNNEL },
	{ "ipip", STACKED, TUNNEL },
	{ "sit", STACKED, TUNNEL },
	{ "ip6tnl", STACKED, TUNNEL },
	{ "vti", STACKED, TUNNEL },
	{ "vti6", STACKED, TUNNEL },
	{ "xfrm", STACKED, TUNNEL },
	{ "tun", OUTLET, "guard.tap", "tap: its frames may be read by a process of the node" },
	{ "openvswitch", OUTLET, "guard.ovs-internal", "port of a switch, no end on the node" },
	{ "", OUTLET, "guard.device", "a device of the node, given to the workload whole" },
};

static int probe(int confdir_fd)
{
	(void)confdir_fd; /* asks no configuration: fits any, and any that knows better wins */
	return 1;
}

static int probe_cilium(int confdir_fd)
{
	return cni_conf_has(confdir_fd, "cilium-cni") ? 90 : 0;
}

static const struct link_table *table_of(const struct cni_query *q, const struct netns_key *key)
{
	for (size_t i = 0; i < q->ntables; i++)
		if (netns_key_same(&q->tables[i].key, key))
			return &q->tables[i];
	return NULL;
}

static bool is_loopback(const struct link *l)
{
	return (l->flags & IFF_LOOPBACK) || l->type == ARPHRD_LOOPBACK;
}

static struct cni_place place(enum cni_side side, const struct netns_key *netns, const struct link *l,
			      enum cni_guard guard, const char *reason, const char *text)
{
	struct cni_place p = {
		.side = side, .netns = *netns, .ifindex = l->ifindex, .hook = CNI_HOOK_TC,
		.guard = guard, .reason = reason, .text = text,
	};

	memcpy(p.iface, l->name, sizeof(p.iface));
	return p;
}

static struct cni_endpoint at_pod(const struct cni_query *q, const struct link *l,
				  const char *reason, const char *text)
{
	struct cni_endpoint e = { .pod_ifindex = l->ifindex, .pod = q->workload, .wiring = "inside" };

	memcpy(e.iface, l->name, sizeof(e.iface));
	memcpy(e.kind, l->kind, sizeof(e.kind));
	memcpy(e.mac, l->mac, sizeof(e.mac));
	if (l->type != ARPHRD_ETHER) {
		for (int w = 0; w < CNI_WAYS; w++)
			e.way[w] = (struct cni_place){
				.guard = CNI_BLIND, .reason = "guard.no-ethernet",
				.text = "not an Ethernet device",
			};
		return e;
	}
	e.way[CNI_FROM_POD] = place(CNI_SIDE_POD, &q->workload, l, CNI_BYPASSABLE, reason, text);
	e.way[CNI_TO_POD] = place(CNI_SIDE_POD, &q->workload, l, CNI_GUARDED, reason, text);
	return e;
}

static const struct cni_tap *tap_on(const struct cni_query *q, uint32_t ifindex)
{
	const struct cni_tap *t = NULL;

	for (size_t i = 0; i < q->ntaps; i++)
		if (q->taps[i].ifindex == ifindex && (!t || q->taps[i].forwards))
			t = &q->taps[i];
	return t;
}

static bool is_passed(const struct cni_query *q, uint32_t ifindex)
{
	for (size_t i = 0; i < q->npassed; i++)
		if (q->passed[i] == ifindex)
			return true;
	return false;
}

/* What the node's end is plugged into. */
static const char *wiring_of(const struct link_table *node, const struct link *end)
{
	const struct link *m = end->master ? link_table_get(node, end->master) : NULL;

	if (!end->master)
		return "routed";
	if (m && !strcmp(m->kind, "openvswitch"))
		return "switch";
	return m && !strcmp(m->kind, "bridge") ? "bridge" : "master";
}

static void at_host(struct cni_endpoint *e, const struct cni_query *q, const struct link_table *node,
		    const struct link *end, const struct link *l, bool by_peer)
{
	const struct cni_tap *t = tap_on(q, end->ifindex);

	e->host_ifindex = end->ifindex;
	e->wiring = wiring_of(node, end);
	e->way[CNI_FROM_POD] = place(CNI_SIDE_HOST, &q->node, end, CNI_GUARDED, NULL, NULL);
	e->way[CNI_TO_POD] = place(CNI_SIDE_HOST, &q->node, end, CNI_GUARDED, NULL, NULL);
	if (t && t->forwards) {
		e->wiring = "switch";
		e->way[CNI_FROM_POD].hook = CNI_HOOK_XDP;
		e->way[CNI_FROM_POD].reason = "guard.packet-switch";
		e->way[CNI_FROM_POD].text = "a switch takes frames by packet sockets, before TC";
	}
	if (by_peer || is_passed(q, end->ifindex)) {
		e->wiring = "peer-redirect";
		e->way[CNI_TO_POD] = place(CNI_SIDE_POD, &q->workload, l, CNI_GUARDED, "guard.peer-redirect",
					   "packets are handed past the node's end");
	}
}

/* 1: *ret is an endpoint; 0: nothing leaves by this device; -EAGAIN: a table is stale. */
static int pair_endpoint(const struct cni_query *q, const struct link_table *t,
			 const struct link *l, bool by_peer, struct cni_endpoint *ret)
{
	const struct netns_key *where = link_table_nsid(t, l->lower_nsid);
	const struct link_table *o;
	const struct link *end;

	if (l->lower_nsid == LINK_NSID_OWN)
		return 0; /* both ends inside */
	end = link_table_peer(t, l, q->tables, q->ntables, &o);
	if (end && netns_key_same(&o->key, &q->node) && l->type == ARPHRD_ETHER) {
		*ret = at_pod(q, l, NULL, NULL);
		at_host(ret, q, o, end, l, by_peer);
		return 1;
	}
	if (!end && where && netns_key_same(where, &q->node))
		return -EAGAIN; /* it must be on the node, but the node's table has it not */
	*ret = at_pod(q, l, "guard.peer-elsewhere", "its other end is not on the node");
	return 1;
}

static int other_endpoint(const struct cni_query *q, const struct link *l,
			  struct cni_endpoint *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].kind, l->kind))
			continue;
		if (kinds[i].sort == INNER ||
		    (kinds[i].sort == STACKED && l->lower_nsid == LINK_NSID_OWN))
			return 0;
		*ret = at_pod(q, l, kinds[i].reason, kinds[i].text);
		if (kinds[i].kind[0])
			ret->wiring = kinds[i].kind;
		return 1;
	}
	if (l->lower && l->lower_nsid == LINK_NSID_OWN)
		return 0;
	*ret = l->lower ? at_pod(q, l, ELSEWHERE) :
			  at_pod(q, l, "guard.unknown-kind", "device without a known other end");
	return 1;
}

static void on_node_network(const struct cni_query *q, struct cni_endpoints *ret)
{
	struct cni_endpoint *e = &ret->v[0];

	*e = (struct cni_endpoint){ .pod = q->node, .wiring = "host" };
	for (int w = 0; w < CNI_WAYS; w++)
		e->way[w] = (struct cni_place){
			.netns = q->node, .guard = CNI_BLIND, .reason = "guard.host-network",
			.text = "shares the node's own network",
		};
	ret->n = 1;
}

static int resolve_by(const struct cni_query *q, bool by_peer, struct cni_endpoints *ret)
{
	const struct link_table *t = table_of(q, &q->workload);
	struct cni_endpoints out = { .n = 0 };
	int r;

	if (netns_key_same(&q->workload, &q->node)) {
		on_node_network(q, &out);
		*ret = out;
		return 0;
	}
	if (!t)
		return -ENOENT;
	for (size_t i = 0; i < t->n; i++) {
		const struct link *l = &t->v[i];
		struct cni_endpoint e;

		if (is_loopback(l))
			continue;
		r = link_is_pair(l) ? pair_endpoint(q, t, l, by_peer, &e) : other_endpoint(q, l, &e);
		if (r < 0)
			return r;
		if (!r)
			continue;
		if (out.n == CNI_ENDPOINTS_MAX)
			out.dropped++;
		else
			out.v[out.n++] = e;
	}
	if (!out.n)
		return -EAGAIN;
	*ret = out;
	return 0;
}

static int resolve(const struct cni_query *q, struct cni_endpoints *ret)
{
	return resolve_by(q, false, ret);
}

static int resolve_by_peer(const struct cni_query *q, struct cni_endpoints *ret)
{
	return resolve_by(q, true, ret);
}

const struct cni_adapter cni_generic_veth = {
	.name = "generic-veth",
	.probe = probe,
	.resolve = resolve,
};

const struct cni_adapter cni_cilium = {
	.name = "cilium",
	.probe = probe_cilium,
	.resolve = resolve_by_peer,
};
