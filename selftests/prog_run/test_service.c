/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_service.c - service addresses in the loaded programs: compiled services in the kernel's own
 * tables, and packets to them. Whatever a packet gets is what user space answers to the question.
 */
#include <netinet/in.h>

#include "maps/sink.h"
#include "maps/svc_maps.h"
#include "policy/compile.h"
#include "selftests/harness/policy/by_hand.h"
#include "selftests/prog_run/rig.h"

#define TCP(p) CW_AXIS(IPPROTO_TCP, p)

struct bench {
	struct rig r;
	struct policy_state st;
	struct policy_set *set;
	struct policy_sink sink;
	uint16_t sport;
};

static const uint8_t POD_MAC[6] = { 2, 0, 0, 0, 9, 9 };

static void add_workload(struct bench *b, const char *name, const char *app, const char *a4, const char *a6)
{
	state_workload(&b->st, "shop", name, app, a4, a6);
}

static void add_service(struct bench *b, const char *name, const char *app, const char *a4, const char *a6,
			uint16_t port, uint16_t target, uint16_t node_port)
{
	struct service *s = state_service(&b->st, "shop", name, "tier", app, a4, a6);

	s->ports = calloc(1, sizeof(*s->ports));
	assert_non_null(s->ports);
	s->nports = 1;
	s->ports[0] = (struct service_port){ .proto = IPPROTO_TCP, .port = port, .target = target,
					     .node_port = node_port };
}

static struct rule *add_rule(struct bench *b, uint32_t id, enum rule_origin origin, enum cw_action action,
			     struct selector from, struct selector to, const char *ports)
{
	return state_rule(&b->st, id, origin, action, from, to, ports);
}

static void put(struct bench *b)
{
	struct ctl_settings s = { .share_accesses = 1u << 30, .share_pairs = 1u << 30, .event_gap = 1u << 30,
				  .ephemeral_min = 65535 };
	struct policy_plan *plan = NULL;
	struct fail_list f = {};
	int e = policy_set_prepare(b->set, &b->st, &f, &plan);

	if (e)
		fail_msg("prepare %d: %s", e, f.n ? f.items[0].message : "");
	assert_int_equal(policy_set_commit(b->set, plan, &b->sink), 0);
	ctl_set(b->r.m, &s);
	for (size_t i = 0; i < b->st.nworkloads; i++) {
		struct cw_ep ep = { .flags = CW_EP_ATTACHED };
		struct policy_wl wl;

		assert_int_equal(policy_set_wl(b->set, "shop", b->st.workloads[i].name, &wl), 0);
		ep.wl = wl.wl;
		ep.group = wl.group;
		ep.eid = wl.eid;
		memcpy(ep.mac, POD_MAC, 6);
		assert_int_equal(ep_map_set(b->r.m, wl.wl, &ep), 0);
	}
}

static void collect(struct bench *b)
{
	uint64_t seq;

	do {
		seq = policy_set_seq(b->set);
		assert_int_equal(maps_grace(b->r.m), 0);
	} while (policy_set_gc(b->set, &b->sink, seq) > 0);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct policy_limits lim;

	if (!b || rig_open_big(&b->r, 0))
		return -1;
	*state = b;
	maps_sink(b->r.m, &b->sink);
	maps_limits(b->r.m, &lim);
	assert_int_equal(policy_set_new(&lim, &b->set), 0);
	b->st.default_mode = CW_MODE_ENFORCE;
	b->st.default_action = CW_ACT_BLOCK;
	b->st.node = own("n1");
	b->st.cluster_cidrs = calloc(1, sizeof(*b->st.cluster_cidrs));
	b->st.ncluster_cidrs = 1;
	assert_int_equal(prefix_parse("10.20.0.0/16", &b->st.cluster_cidrs[0]), 0);
	b->st.nodes = calloc(1, sizeof(*b->st.nodes));
	b->st.nnodes = 1;
	b->st.nodes[0].name = own("n2");
	b->st.nodes[0].addrs = calloc(2, sizeof(struct addr));
	b->st.nodes[0].naddrs = 2;
	assert_int_equal(addr_parse("192.168.0.2", &b->st.nodes[0].addrs[0]), 0);
	assert_int_equal(addr_parse("fd00:bad::2", &b->st.nodes[0].addrs[1]), 0);
	b->sport = 20000;
	add_workload(b, "web", "web", "10.20.0.1", "fd00:20::1");
	add_workload(b, "db-1", "db", "10.20.0.11", "fd00:20::11");
	add_workload(b, "db-2", "db", "10.20.0.12", "fd00:20::12");
	add_workload(b, "old", "old", "10.20.0.13", "fd00:20::13");
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(labels_set(&b->st.workloads[i].labels, "tier", "data"), 0);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	policy_set_free(b->set);
	policy_state_done(&b->st);
	rig_close(&b->r);
	free(b);
	return 0;
}

static struct pkt segment(const char *src, const char *dst, uint16_t sport, uint16_t dport, bool out, uint8_t flags)
{
	struct pkt k;

	pkt_init(&k);
	pkt_eth(&k, out ? POD_MAC : MAC_GW, out ? MAC_GW : POD_MAC);
	pkt_ip(&k, src, dst);
	pkt_tcp(&k, sport, dport, flags);
	pkt_finish(&k);
	return k;
}

/* A new flow from a workload; what user space says must be what it got. */
static int connect_to(struct bench *b, const char *from, const char *dst, uint16_t port)
{
	struct policy_end s = { .ns = "shop", .name = from }, d = {};
	struct policy_answer a;
	struct policy_wl wl;
	char src[ADDR_STR_MAX];
	struct pkt k;
	bool passes;
	int got;

	assert_int_equal(addr_parse(dst, &d.addr), 0);
	assert_int_equal(policy_set_query(b->set, &s, &d, TCP(port), &a), 0);
	assert_int_equal(policy_set_wl(b->set, "shop", from, &wl), 0);
	k = segment(addr_str(&a.src, src), dst, ++b->sport, port, true, PKT_SYN);
	got = rig_run(&b->r, (int)wl.wl, FROM, &k);
	passes = a.builtin || a.side[CW_EGRESS].j.outcome != CW_OUT_DROP;
	if ((got == PASS) != passes)
		fail_msg("%s to %s port %u: the program %d, user space %d", from, dst, port, got, passes);
	return got;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static const char *const vip[2] = { "10.96.0.1", "fd00:96::1" }, *const node[2] = { "192.168.0.2", "fd00:bad::2" };

static void test_worst_backend(void **state)
{
	struct bench *b = *state;
	struct rule *r;

	add_service(b, "db", "data", vip[0], vip[1], 80, 8080, 30080);
	add_rule(b, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("shop", "db"), "tcp/8080");
	put(b);
	assert_int_equal(svc_map_count(b->r.m), 4);
	/* One of the three is not allowed. */
	for (int v6 = 0; v6 < 2; v6++) {
		assert_int_equal(connect_to(b, "web", vip[v6], 80), DROP);
		assert_int_equal(connect_to(b, "web", node[v6], 30080), DROP);
	}
	/* All are. */
	r = add_rule(b, 2, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("shop", "old"), "tcp/8080");
	put(b);
	for (int v6 = 0; v6 < 2; v6++) {
		assert_int_equal(connect_to(b, "web", vip[v6], 80), PASS);
		assert_int_equal(connect_to(b, "web", node[v6], 30080), PASS);
		/* Not the service's port, not its node port: judged by the address. */
		assert_int_equal(connect_to(b, "web", vip[v6], 8080), DROP);
		assert_int_equal(connect_to(b, "web", vip[v6], 30080), DROP);
		assert_int_equal(connect_to(b, "web", node[v6], 80), DROP);
	}
	/* An alert among allows is what is told. */
	r->action = CW_ACT_ALERT;
	put(b);
	assert_int_equal(connect_to(b, "web", vip[0], 80), PASS);
	(void)rig_events(&b->r);
	assert_true(b->r.nev > 0);
	assert_int_equal(b->r.ev[b->r.nev - 1].outcome, CW_OUT_ALERT);
	/* A rule on the service by name, on its own port. */
	b->st.rules[0].enabled = b->st.rules[1].enabled = false;
	add_rule(b, 3, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_svc("shop", "db"), "tcp/80");
	put(b);
	for (int v6 = 0; v6 < 2; v6++)
		assert_int_equal(connect_to(b, "web", vip[v6], 80), PASS);
	assert_int_equal(connect_to(b, "web", "10.20.0.12", 8080), PASS);
	assert_int_equal(connect_to(b, "web", "10.20.0.12", 80), DROP);
	assert_int_equal(connect_to(b, "old", vip[0], 80), DROP);
	collect(b);
}

/* The flow's own answers, what is counted, and what a change of the backends makes of it. */
static void test_flow(void **state)
{
	struct bench *b = *state;
	struct policy_wl web;
	struct access_row row;
	struct policy_eid e;
	struct cw_svc_key key = { .port = 80, .proto = IPPROTO_TCP, .family = 4 };
	struct addr a;
	struct cw_svc v;
	struct pkt k;

	add_service(b, "db", "data", vip[0], vip[1], 80, 8080, 0);
	add_rule(b, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("shop", "db"), NULL);
	labels_done(&b->st.workloads[3].labels);
	put(b);
	assert_int_equal(policy_set_wl(b->set, "shop", "web", &web), 0);
	k = segment("10.20.0.1", vip[0], 1234, 80, true, PKT_SYN);
	assert_int_equal(rig_run(&b->r, (int)web.wl, FROM, &k), PASS);
	k = segment(vip[0], "10.20.0.1", 80, 1234, false, PKT_SYN | PKT_ACK);
	assert_int_equal(rig_run(&b->r, (int)web.wl, TO, &k), PASS);
	k = segment("10.20.0.1", vip[0], 1234, 80, true, PKT_ACK);
	assert_int_equal(rig_run(&b->r, (int)web.wl, FROM, &k), PASS);
	/* Counted under the service. */
	assert_int_equal(addr_parse(vip[0], &a), 0);
	memcpy(key.addr, a.b, 16);
	assert_int_equal(svc_map_get(b->r.m, &key, &v), 0);
	assert_int_equal(policy_set_eid_describe(b->set, v.eid, &e), 0);
	assert_string_equal(e.svc_name, "db");
	assert_true(rig_access(&b->r, web.eid, v.eid, IPPROTO_TCP, 80, &row));
	assert_int_equal(row.val.flows, 1);
	assert_int_equal(row.val.answered, 1);
	assert_int_equal(row.key.dst_wl, 0);
	/* One more backend, which is not allowed: the flow ends at its next packet, either way. */
	assert_int_equal(labels_set(&b->st.workloads[3].labels, "app", "old"), 0);
	assert_int_equal(labels_set(&b->st.workloads[3].labels, "tier", "data"), 0);
	put(b);
	k = segment(vip[0], "10.20.0.1", 80, 1234, false, PKT_ACK);
	assert_int_equal(rig_run(&b->r, (int)web.wl, TO, &k), DROP);
	k = segment("10.20.0.1", vip[0], 1234, 80, true, PKT_ACK);
	assert_int_equal(rig_run(&b->r, (int)web.wl, FROM, &k), DROP);
	/* It leaves, and the flow goes on. */
	assert_int_equal(labels_set(&b->st.workloads[3].labels, "tier", "none"), 0);
	put(b);
	k = segment("10.20.0.1", vip[0], 1234, 80, true, PKT_ACK);
	assert_int_equal(rig_run(&b->r, (int)web.wl, FROM, &k), PASS);
	/* The service goes: judged by the address, which is nobody's. */
	service_done(&b->st.services[0]);
	b->st.nservices = 0;
	put(b);
	assert_int_equal(svc_map_count(b->r.m), 0);
	k = segment("10.20.0.1", vip[0], 1234, 80, true, PKT_ACK);
	assert_int_equal(rig_run(&b->r, (int)web.wl, FROM, &k), DROP);
	collect(b);
}

/* Himself through the service: only quarantine, admin and baseline speak against it. */
static void test_self(void **state)
{
	static const struct { enum rule_origin origin; int want; } rows[] = {
		{ ORIGIN_MANUAL, PASS }, { ORIGIN_LEARNED, PASS }, { ORIGIN_ADMIN, DROP }, { ORIGIN_BASELINE, DROP },
	};
	struct bench *b = *state;

	assert_int_equal(labels_set(&b->st.workloads[0].labels, "tier", "front"), 0);
	add_service(b, "web", "front", vip[0], vip[1], 80, 8080, 30080);
	add_rule(b, 1, ORIGIN_MANUAL, CW_ACT_BLOCK, sel_app("shop", "web"), sel_svc("shop", "web"), NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		b->st.rules[0].origin = rows[i].origin;
		put(b);
		for (int v6 = 0; v6 < 2; v6++) {
			assert_int_equal(connect_to(b, "web", vip[v6], 80), rows[i].want);
			assert_int_equal(connect_to(b, "web", node[v6], 30080), rows[i].want);
		}
		/* For others it is not himself: nothing allows them. */
		assert_int_equal(connect_to(b, "db-1", vip[0], 80), DROP);
	}
	/* A second workload of the same labels: the two are not told apart, so rules hold. */
	b->st.rules[0].origin = ORIGIN_MANUAL;
	add_workload(b, "web-2", "web", "10.20.0.2", "fd00:20::2");
	assert_int_equal(labels_set(&b->st.workloads[4].labels, "tier", "front"), 0);
	put(b);
	assert_int_equal(connect_to(b, "web", vip[0], 80), DROP);
	collect(b);
}

/* The destination's side judges the real pod, and a packet that shows a service address as its source
 * is no answer of a service. */
static void test_destination(void **state)
{
	struct bench *b = *state;
	struct policy_wl db;
	struct pkt k;

	add_service(b, "db", "data", vip[0], vip[1], 80, 8080, 0);
	add_rule(b, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_svc("shop", "db"), NULL);
	put(b);
	assert_int_equal(policy_set_wl(b->set, "shop", "db-1", &db), 0);
	k = segment("10.20.0.1", "10.20.0.11", 2345, 8080, false, PKT_SYN);
	assert_int_equal(rig_run(&b->r, (int)db.wl, TO, &k), PASS);
	k = segment("10.20.0.1", "10.20.0.11", 2346, 80, false, PKT_SYN);
	assert_int_equal(rig_run(&b->r, (int)db.wl, TO, &k), DROP);
	k = segment(vip[0], "10.20.0.11", 80, 8080, false, PKT_SYN);
	assert_int_equal(rig_run(&b->r, (int)db.wl, TO, &k), DROP);
	collect(b);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_worst_backend, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_self, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destination, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return rig_main("test_service", run);
}
