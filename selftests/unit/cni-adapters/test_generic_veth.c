/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors cni-adapters/generic_veth.c: link tables as literals */
#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "cni-adapters/adapter.h"

/* The node has given 1 to the pod and 2 to another pod; both have given 0 to the node. */
#define NODE { 10, 10 }
#define POD { 20, 20 }
#define OTHER { 30, 30 }

#define ETH .type = ARPHRD_ETHER, .flags = IFF_UP
#define LO { .ifindex = 1, .name = "lo", .type = ARPHRD_LOOPBACK, .flags = IFF_UP | IFF_LOOPBACK, \
	     .lower_nsid = LINK_NSID_OWN }

struct scene {
	struct link node[8], pod[80], other[4];
	struct link_table t[3];
	struct cni_query q;
};

static struct link_nsid node_ids[] = { { 1, POD }, { 2, OTHER } }, pod_ids[] = { { 0, NODE } };

static void scene_init(struct scene *s)
{
	static const struct link node[] = {
		LO,
		{ .ifindex = 4, .name = "cali0", .kind = "veth", .lower = 2, .lower_nsid = 1, ETH },
		{ .ifindex = 5, .name = "cali1", .kind = "veth", .lower = 3, .lower_nsid = 1, ETH },
		{ .ifindex = 6, .name = "nk0", .kind = "netkit", .lower = 9, .lower_nsid = 1, ETH },
		{ .ifindex = 7, .name = "up0", .kind = "", .lower_nsid = LINK_NSID_OWN, ETH },
		{ .ifindex = 8, .name = "nk3", .kind = "netkit", .lower = 11, .lower_nsid = 1, .type = ARPHRD_NONE },
	};
	static const struct link lo = LO;

	memset(s, 0, sizeof(*s));
	memcpy(s->node, node, sizeof(node));
	s->pod[0] = lo;
	s->other[0] = lo;
	s->other[1] = (struct link){ .ifindex = 6, .name = "x", .kind = "veth", .lower = 12, .lower_nsid = 5, ETH };
	s->t[0] = (struct link_table){ .key = NODE, .v = s->node, .n = ARRAY_SIZE(node), .nsids = node_ids, .nnsids = 2 };
	s->t[1] = (struct link_table){ .key = POD, .v = s->pod, .n = 1, .nsids = pod_ids, .nnsids = 1 };
	s->t[2] = (struct link_table){ .key = OTHER, .v = s->other, .n = 2, .nsids = NULL, .nnsids = 0 };
	s->q = (struct cni_query){ .workload = POD, .node = NODE, .tables = s->t, .ntables = 3 };
}

static void pod_add(struct scene *s, struct link l)
{
	s->pod[s->t[1].n++] = l;
}

static int resolve(const struct scene *s, struct cni_endpoints *ret)
{
	return cni_generic_veth.resolve(&s->q, ret);
}

static const struct cni_endpoints untouched = { .n = 77 };

static void veth_host_side(void **state)
{
	struct cni_endpoints e;
	struct scene s;

	(void)state;
	scene_init(&s);
	pod_add(&s, (struct link){ .ifindex = 2, .name = "eth0", .kind = "veth", .lower = 4,
				   .lower_nsid = 0, .mac = { 2, 0, 0, 0, 0, 9 }, ETH });
	assert_int_equal(resolve(&s, &e), 0);
	assert_int_equal(e.n, 1);
	assert_int_equal(e.dropped, 0);
	assert_int_equal(e.v[0].pod_ifindex, 2);
	assert_string_equal(e.v[0].iface, "eth0");
	assert_string_equal(e.v[0].kind, "veth");
	assert_memory_equal(e.v[0].mac, "\2\0\0\0\0\x09", 6);
	assert_int_equal(e.v[0].host_ifindex, 4);
	assert_string_equal(e.v[0].wiring, "routed");
	assert_true(netns_key_same(&e.v[0].pod, &s.q.workload));
	for (int w = 0; w < CNI_WAYS; w++) {
		const struct cni_place *p = &e.v[0].way[w];

		assert_int_equal(p->side, CNI_SIDE_HOST);
		assert_true(netns_key_same(&p->netns, &s.q.node));
		assert_int_equal(p->ifindex, 4);
		assert_string_equal(p->iface, "cali0");
		assert_int_equal(p->hook, CNI_HOOK_TC);
		assert_int_equal(p->guard, CNI_GUARDED);
		assert_null(p->reason);
		assert_null(p->text);
		assert_int_equal(cni_at_ingress(p, w), w == CNI_FROM_POD);
	}
}

static void several_interfaces(void **state)
{
	struct cni_endpoints e;
	struct scene s;

	(void)state;
	scene_init(&s);
	pod_add(&s, (struct link){ .ifindex = 2, .name = "eth0", .kind = "veth", .lower = 4, .lower_nsid = 0, ETH });
	pod_add(&s, (struct link){ .ifindex = 3, .name = "net1", .kind = "veth", .lower = 5, .lower_nsid = 0, ETH });
	pod_add(&s, (struct link){ .ifindex = 7, .name = "net2", .kind = "macvlan", .lower = 7, .lower_nsid = 0, ETH });
	pod_add(&s, (struct link){ .ifindex = 9, .name = "net3", .kind = "netkit", .lower = 6, .lower_nsid = 0, ETH });
	assert_int_equal(resolve(&s, &e), 0);
	assert_int_equal(e.n, 4);
	assert_string_equal(e.v[0].way[CNI_FROM_POD].iface, "cali0");
	assert_string_equal(e.v[1].way[CNI_FROM_POD].iface, "cali1");
	assert_string_equal(e.v[2].way[CNI_FROM_POD].iface, "net2");
	assert_int_equal(e.v[2].way[CNI_TO_POD].side, CNI_SIDE_POD);
	assert_string_equal(e.v[2].wiring, "macvlan");
	assert_string_equal(e.v[3].way[CNI_FROM_POD].iface, "nk0");
	assert_int_equal(cni_endpoint_guard(&e.v[3]), CNI_GUARDED);
}

/* One device in the pod, and what becomes of it. reason NULL: no endpoint at all (-EAGAIN). */
static void kinds(void **state)
{
	static const struct {
		const char *name;
		struct link l;
		const char *reason;
		enum cni_guard guard;
	} t[] = {
		{ "macvlan on the node", { .kind = "macvlan", .lower = 7, .lower_nsid = 0, ETH }, "guard.macvlan", CNI_BYPASSABLE },
		{ "macvlan, number unknown", { .kind = "macvlan", .lower = 7, .lower_nsid = LINK_NSID_NONE, ETH }, "guard.macvlan", CNI_BYPASSABLE },
		{ "macvlan on the pod's own", { .kind = "macvlan", .lower = 2, .lower_nsid = LINK_NSID_OWN, ETH }, NULL, 0 },
		{ "macvtap", { .kind = "macvtap", .lower = 7, .lower_nsid = 0, ETH }, "guard.macvlan", CNI_BYPASSABLE },
		{ "ipvlan", { .kind = "ipvlan", .lower = 7, .lower_nsid = 0, ETH }, "guard.ipvlan", CNI_BYPASSABLE },
		{ "vlan of the node", { .kind = "vlan", .lower = 7, .lower_nsid = 0, ETH }, "guard.vlan", CNI_BYPASSABLE },
		{ "vlan inside", { .kind = "vlan", .lower = 2, .lower_nsid = LINK_NSID_OWN, ETH }, NULL, 0 },
		{ "vxlan inside", { .kind = "vxlan", .lower_nsid = LINK_NSID_OWN, ETH }, NULL, 0 },
		{ "vxlan by the node", { .kind = "vxlan", .lower = 7, .lower_nsid = 0, ETH }, "guard.tunnel", CNI_BYPASSABLE },
		{ "sit fallback device", { .kind = "sit", .lower_nsid = LINK_NSID_OWN, .type = ARPHRD_SIT }, NULL, 0 },
		{ "ipip by the node", { .kind = "ipip", .lower = 7, .lower_nsid = 0, .type = ARPHRD_TUNNEL }, "guard.no-ethernet", CNI_BLIND },
		{ "wireguard", { .kind = "wireguard", .lower_nsid = LINK_NSID_OWN, .type = ARPHRD_NONE }, "guard.no-ethernet", CNI_BLIND },
		{ "tap", { .kind = "tun", .lower_nsid = LINK_NSID_OWN, ETH }, "guard.tap", CNI_BYPASSABLE },
		{ "tun", { .kind = "tun", .lower_nsid = LINK_NSID_OWN, .type = ARPHRD_NONE }, "guard.no-ethernet", CNI_BLIND },
		{ "switch port", { .kind = "openvswitch", .lower_nsid = LINK_NSID_OWN, ETH }, "guard.ovs-internal", CNI_BYPASSABLE },
		{ "hardware", { .kind = "", .lower_nsid = LINK_NSID_OWN, ETH }, "guard.device", CNI_BYPASSABLE },
		{ "unheard of", { .kind = "newkind", .lower_nsid = LINK_NSID_OWN, ETH }, "guard.unknown-kind", CNI_BYPASSABLE },
		{ "unheard of, stacked inside", { .kind = "newkind", .lower = 2, .lower_nsid = LINK_NSID_OWN, ETH }, NULL, 0 },
		{ "unheard of, parent elsewhere", { .kind = "newkind", .lower = 7, .lower_nsid = 0, ETH }, "guard.lower-elsewhere", CNI_BYPASSABLE },
		{ "dummy", { .kind = "dummy", .lower_nsid = LINK_NSID_OWN, ETH }, NULL, 0 },
		{ "bridge", { .kind = "bridge", .lower_nsid = LINK_NSID_OWN, ETH }, NULL, 0 },
		{ "veth between two of its own", { .kind = "veth", .lower = 13, .lower_nsid = LINK_NSID_OWN, ETH }, NULL, 0 },
		{ "veth to another pod", { .kind = "veth", .lower = 6, .lower_nsid = 3, ETH }, "guard.peer-elsewhere", CNI_BYPASSABLE },
		{ "veth to nowhere known", { .kind = "veth", .lower = 66, .lower_nsid = LINK_NSID_NONE, ETH }, "guard.peer-elsewhere", CNI_BYPASSABLE },
		{ "netkit without Ethernet", { .kind = "netkit", .lower = 8, .lower_nsid = 0, .type = ARPHRD_NONE }, "guard.no-ethernet", CNI_BLIND },
		/* names a port of the node that names another device back */
		{ "veth that lies about its end", { .kind = "veth", .lower = 5, .lower_nsid = LINK_NSID_NONE, ETH }, "guard.peer-elsewhere", CNI_BYPASSABLE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cni_endpoints e = untouched;
		struct link l = t[i].l;
		struct scene s;

		print_message("  %s\n", t[i].name);
		scene_init(&s);
		l.ifindex = t[i].l.kind[0] == 'n' && t[i].l.lower == 8 ? 11 : 12;
		memcpy(l.name, "dev", 4);
		pod_add(&s, l);
		if (!t[i].reason) {
			assert_int_equal(resolve(&s, &e), -EAGAIN);
			assert_int_equal(e.n, 77);
			continue;
		}
		assert_int_equal(resolve(&s, &e), 0);
		assert_int_equal(e.n, 1);
		assert_int_equal(cni_endpoint_guard(&e.v[0]), t[i].guard);
		assert_int_equal(cni_endpoint_hooked(&e.v[0]), t[i].guard != CNI_BLIND);
		for (int w = 0; w < CNI_WAYS; w++) {
			const struct cni_place *p = &e.v[0].way[w];

			assert_string_equal(p->reason, t[i].reason);
			assert_non_null(p->text);
			if (t[i].guard == CNI_BLIND) {
				assert_int_equal(p->guard, CNI_BLIND);
				assert_int_equal(p->side, CNI_SIDE_NONE);
				assert_int_equal(p->hook, CNI_HOOK_NONE);
				assert_int_equal(p->ifindex, 0);
				continue;
			}
			/* what comes in crosses the hook inside, whatever the workload does */
			assert_int_equal(p->guard, w == CNI_TO_POD ? CNI_GUARDED : t[i].guard);
			assert_int_equal(p->side, CNI_SIDE_POD);
			assert_int_equal(p->ifindex, l.ifindex);
			assert_true(netns_key_same(&p->netns, &s.q.workload));
			assert_int_equal(cni_at_ingress(p, w), w == CNI_TO_POD);
		}
	}
}

static void not_yet(void **state)
{
	struct cni_endpoints e = untouched;
	struct scene s;

	(void)state;
	scene_init(&s);
	assert_int_equal(resolve(&s, &e), -EAGAIN); /* loopback only */
	/* the other end must be on the node, whose table is older than it */
	pod_add(&s, (struct link){ .ifindex = 2, .name = "eth0", .kind = "veth", .lower = 44, .lower_nsid = 0, ETH });
	assert_int_equal(resolve(&s, &e), -EAGAIN);
	/* no table of the node given */
	s.q.tables = &s.t[1];
	s.q.ntables = 1;
	assert_int_equal(resolve(&s, &e), -EAGAIN);
	/* none of the workload */
	s.q.tables = s.t;
	assert_int_equal(resolve(&s, &e), -ENOENT);
	assert_int_equal(e.n, 77);
}

static void host_network(void **state)
{
	struct cni_endpoints e;
	struct scene s;

	(void)state;
	scene_init(&s);
	s.q.workload = (struct netns_key)NODE;
	assert_int_equal(resolve(&s, &e), 0);
	assert_int_equal(e.n, 1);
	assert_int_equal(cni_endpoint_guard(&e.v[0]), CNI_BLIND);
	assert_false(cni_endpoint_hooked(&e.v[0]));
	assert_string_equal(e.v[0].way[CNI_TO_POD].reason, "guard.host-network");
	assert_int_equal(e.v[0].way[CNI_FROM_POD].side, CNI_SIDE_NONE);
}

/* What the node's end is plugged into, and who else has a hand on it. */
static void other_facts(void **state)
{
	static const struct cni_tap dump = { 4, false }, ovs = { 4, true }, elsewhere = { 5, true };
	static const struct cni_tap both[] = { { 4, false }, { 4, true } };
	static const uint32_t passed[] = { 9, 4 };
	struct cni_endpoints e;
	struct scene s;

	(void)state;
	scene_init(&s);
	pod_add(&s, (struct link){ .ifindex = 2, .name = "eth0", .kind = "veth", .lower = 4, .lower_nsid = 0, ETH });
	s.node[5] = (struct link){ .ifindex = 8, .name = "br0", .kind = "bridge", ETH };
	s.node[1].master = 8;
	assert_int_equal(resolve(&s, &e), 0);
	assert_string_equal(e.v[0].wiring, "bridge");
	memcpy(s.node[5].kind, "openvswitch", 12);
	assert_int_equal(resolve(&s, &e), 0);
	assert_string_equal(e.v[0].wiring, "switch");
	assert_int_equal(e.v[0].way[CNI_FROM_POD].hook, CNI_HOOK_TC);
	s.node[1].master = 0;

	/* who only looks changes nothing, nor does a switch on another device */
	s.q.ntaps = 1;
	for (int i = 0; i < 2; i++) {
		s.q.taps = i ? &elsewhere : &dump;
		assert_int_equal(resolve(&s, &e), 0);
		assert_int_equal(e.v[0].way[CNI_FROM_POD].hook, CNI_HOOK_TC);
		assert_null(e.v[0].way[CNI_FROM_POD].reason);
	}
	for (int i = 0; i < 2; i++) {
		s.q.taps = i ? both : &ovs;
		s.q.ntaps = i ? 2 : 1;
		assert_int_equal(resolve(&s, &e), 0);
		assert_int_equal(e.v[0].way[CNI_FROM_POD].hook, CNI_HOOK_XDP);
		assert_int_equal(e.v[0].way[CNI_FROM_POD].side, CNI_SIDE_HOST);
		assert_string_equal(e.v[0].way[CNI_FROM_POD].reason, "guard.packet-switch");
		assert_int_equal(e.v[0].way[CNI_TO_POD].hook, CNI_HOOK_TC);
		assert_int_equal(e.v[0].way[CNI_TO_POD].side, CNI_SIDE_HOST);
		assert_int_equal(cni_endpoint_guard(&e.v[0]), CNI_GUARDED);
		assert_string_equal(e.v[0].wiring, "switch");
	}
	s.q.ntaps = 0;

	s.q.passed = passed;
	s.q.npassed = 1;
	assert_int_equal(resolve(&s, &e), 0);
	assert_int_equal(e.v[0].way[CNI_TO_POD].side, CNI_SIDE_HOST);
	for (int i = 0; i < 2; i++) {
		s.q.npassed = i ? 0 : 2;
		assert_int_equal(i ? cni_cilium.resolve(&s.q, &e) : resolve(&s, &e), 0);
		assert_int_equal(e.v[0].way[CNI_TO_POD].side, CNI_SIDE_POD);
		assert_int_equal(e.v[0].way[CNI_TO_POD].ifindex, 2);
		assert_true(netns_key_same(&e.v[0].way[CNI_TO_POD].netns, &s.q.workload));
		assert_string_equal(e.v[0].way[CNI_TO_POD].reason, "guard.peer-redirect");
		assert_int_equal(e.v[0].way[CNI_FROM_POD].side, CNI_SIDE_HOST);
		assert_int_equal(cni_endpoint_guard(&e.v[0]), CNI_GUARDED);
		assert_false(cni_place_same(&e.v[0].way[0], &e.v[0].way[1]));
		assert_int_equal(e.v[0].host_ifindex, 4);
	}
}

/* A pod may make devices without end: the ones its CNI made first are kept. */
static void too_many(void **state)
{
	struct cni_endpoints e;
	struct scene s;

	(void)state;
	scene_init(&s);
	pod_add(&s, (struct link){ .ifindex = 2, .name = "eth0", .kind = "veth", .lower = 4, .lower_nsid = 0, ETH });
	for (uint32_t i = 0; i < CNI_ENDPOINTS_MAX + 5; i++)
		pod_add(&s, (struct link){ .ifindex = 100 + i, .name = "t", .kind = "tun", .lower_nsid = LINK_NSID_OWN, ETH });
	assert_int_equal(resolve(&s, &e), 0);
	assert_int_equal(e.n, CNI_ENDPOINTS_MAX);
	assert_int_equal(e.dropped, 6);
	assert_int_equal(cni_endpoint_guard(&e.v[0]), CNI_GUARDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(veth_host_side),
		cmocka_unit_test(several_interfaces),
		cmocka_unit_test(kinds),
		cmocka_unit_test(not_yet),
		cmocka_unit_test(host_network),
		cmocka_unit_test(other_facts),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
