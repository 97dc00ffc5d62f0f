/* SPDX-License-Identifier: Apache-2.0 */
/* Services: what rules about them mean, what their table says, and how both change. */
#include "selftests/unit/userspace/policy/service_world.h"

/* ---- rules and services cover each other --------------------------------------------------------------- */

static const struct {
	const char *what;
	bool to_service;
	const char *ports;		/* of the rule */
	uint32_t vip_axis, pod_axis;
	bool vip, pod;			/* passes */
} covers[] = {
	{ "backends, target port: covers the service", false, "tcp/8080", TCP(80), TCP(8080), true, true },
	{ "backends, the service's port: is no port of theirs", false, "tcp/80", TCP(80), TCP(8080), false, false },
	{ "backends, any port", false, NULL, TCP(80), TCP(8080), true, true },
	{ "service, its port: covers the backends' target", true, "tcp/80", TCP(80), TCP(8080), true, true },
	{ "service, by name of its port", true, "tcp/web", TCP(80), TCP(8080), true, true },
	{ "service, a range with its port", true, "tcp/1-100", TCP(80), TCP(8080), true, true },
	{ "service, all its ports", true, NULL, TCP(443), TCP(8443), true, true },
	{ "service, another of its ports", true, "tcp/443", TCP(80), TCP(8080), false, false },
	{ "service, the other protocol", true, "udp/80", TCP(80), TCP(8080), false, false },
	{ "service, the target's number is not the service's", true, "tcp/8080", TCP(80), TCP(8080), false, false },
	{ "service, a port it has not", true, NULL, TCP(443), TCP(22), true, false },
};

static void test_covers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(covers) / sizeof(covers[0]); i++) {
		struct policy_answer a;
		struct service *s;
		struct fix x;

		fix_new(&x);
		s = add_service(&x, "data", "db", "db", "10.96.0.1", "fd00:96::1");
		add_port(s, "web", IPPROTO_TCP, 80, 0, "http");
		add_port(s, "tls", IPPROTO_TCP, 443, 0, "8443");
		add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"),
			 covers[i].to_service ? sel_svc("data", "db") : sel_app("data", "db"), covers[i].ports);
		put(&x);
		a = ask(&x, "web", "10.96.0.1", covers[i].vip_axis);
		if (a.passes != covers[i].vip)
			fail_msg("%s: service %d", covers[i].what, a.passes);
		assert_int_equal(a.via.backends, 2);
		assert_int_equal(a.side[0].j.v.action, table_says(&x, "web", "10.96.0.1", covers[i].vip_axis));
		a = ask(&x, "web", "fd00:96::1", covers[i].vip_axis);
		if (a.passes != covers[i].vip)
			fail_msg("%s: service, IPv6 %d", covers[i].what, a.passes);
		a = ask(&x, "web", "10.20.1.2", covers[i].pod_axis);
		if (a.passes != covers[i].pod)
			fail_msg("%s: pod %d", covers[i].what, a.passes);
		assert_null(a.via.name);
		/* Nobody else gets in by that. */
		a = ask(&x, "other", "10.96.0.1", covers[i].vip_axis);
		assert_false(a.passes);
		collect(&x);
		fix_done(&x);
	}
}

/* A service as the source: its backends, with the rule's own ports. */
static void test_from_service(void **state)
{
	struct policy_answer a;
	struct service *s;
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "db", "db", "10.96.0.1", NULL);
	add_port(s, NULL, IPPROTO_TCP, 80, 0, "http");
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_svc("data", "db"), sel_app("shop", "web"), "tcp/25");
	put(&x);
	a = ask(&x, "data/db-1", "10.20.0.1", TCP(25));
	assert_true(a.passes);
	a = ask(&x, "data/db-2", "10.20.0.1", TCP(25));
	assert_true(a.passes);
	a = ask(&x, "data/db-1", "10.20.0.1", TCP(80));
	assert_false(a.passes);
	a = ask(&x, "data/cache", "10.20.0.1", TCP(25));
	assert_false(a.passes);
	/* A new replica is one of them at once; one that leaves is none. */
	add_workload(&x, "data", "db-3", "db", "10.20.1.7", NULL, 8080);
	put(&x);
	a = ask(&x, "data/db-3", "10.20.0.1", TCP(25));
	assert_true(a.passes);
	assert_int_equal(labels_set(&x.st.workloads[2].labels, "app", "gone"), 0);
	put(&x);
	a = ask(&x, "data/db-1", "10.20.0.1", TCP(25));
	assert_false(a.passes);
	a = ask(&x, "data/db-2", "10.20.0.1", TCP(25));
	assert_true(a.passes);
	/* Without the service nobody is behind it, and nothing is refused. */
	service_done(&x.st.services[0]);
	x.st.nservices = 0;
	put(&x);
	a = ask(&x, "data/db-2", "10.20.0.1", TCP(25));
	assert_false(a.passes);
	assert_int_equal(tab.n, 0);
	collect(&x);
	fix_done(&x);
}

/* Backends that listen on different ports are parts of their own, each with its own. */
static void test_named_targets(void **state)
{
	struct policy_answer a;
	struct service *s;
	struct fix x;

	(void)state;
	fix_new(&x);
	free(x.st.workloads[3].ports[0].name);
	x.st.workloads[3].ports[0] = (struct named_port){ own("http"), IPPROTO_TCP, 8081 };
	s = add_service(&x, "data", "db", "db", "10.96.0.1", NULL);
	add_port(s, NULL, IPPROTO_TCP, 80, 0, "http");
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_svc("data", "db"), NULL);
	put(&x);
	assert_int_equal(entry("10.96.0.1", TCP(80))->n, 2);
	a = ask(&x, "web", "10.96.0.1", TCP(80));
	assert_true(a.passes);
	assert_int_equal(a.via.admits, 2);
	a = ask(&x, "web", "10.20.1.1", TCP(8080));
	assert_true(a.passes);
	a = ask(&x, "web", "10.20.1.1", TCP(8081));
	assert_false(a.passes);
	a = ask(&x, "web", "10.20.1.2", TCP(8081));
	assert_true(a.passes);
	a = ask(&x, "web", "10.20.1.2", TCP(8080));
	assert_false(a.passes);
	/* A pod without that port serves nobody. */
	x.st.workloads[3].nports = 0;
	put(&x);
	x.st.workloads[3].nports = 1;
	assert_int_equal(entry("10.96.0.1", TCP(80))->n, 1);
	a = ask(&x, "web", "10.96.0.1", TCP(80));
	assert_int_equal(a.via.backends, 1);
	a = ask(&x, "web", "10.20.1.2", TCP(8081));
	assert_false(a.passes);
	collect(&x);
	fix_done(&x);
}

/* ---- what the source is judged by --------------------------------------------------------------------------- */

static void test_worst_of_ready(void **state)
{
	struct policy_answer a;
	struct service *s;
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "mix", NULL, "10.96.0.2", NULL);
	add_port(s, NULL, IPPROTO_TCP, 80, 30080, "8080");
	add_backend(s, "10.20.1.1", "db-1", true);
	add_backend(s, "10.20.1.3", "cache", true);
	add_backend(s, "198.51.100.7", NULL, false);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("data", "db"), NULL);
	put(&x);
	assert_int_equal(entry("10.96.0.2", TCP(80))->n, 2);
	a = ask(&x, "web", "10.96.0.2", TCP(80));
	assert_int_equal(a.side[0].j.v.action, CW_ACT_BLOCK);
	assert_false(a.passes);
	assert_string_equal(a.via.pod, "cache");
	assert_int_equal(a.via.port, 8080);
	assert_int_equal(a.via.backends, 3);
	assert_int_equal(a.via.ready, 2);
	assert_int_equal(a.via.admits, 1);
	assert_int_equal(table_says(&x, "web", "10.96.0.2", TCP(80)), CW_ACT_BLOCK);
	/* Not ready, so its verdict does not count. */
	s->backends[1].ready = false;
	put(&x);
	assert_int_equal(entry("10.96.0.2", TCP(80))->n, 1);
	a = ask(&x, "web", "10.96.0.2", TCP(80));
	assert_true(a.passes);
	/* The node port is the same service, on every node. */
	assert_non_null(entry("0.0.0.0", TCP(30080)));
	a = ask(&x, "web", "192.168.0.2", TCP(30080));
	assert_true(a.passes);
	assert_string_equal(a.via.name, "mix");
	a = ask(&x, "web", "192.168.0.2", TCP(80));
	assert_null(a.via.name);
	/* None is ready: all of them count, the address outside too. */
	s->backends[0].ready = false;
	put(&x);
	assert_int_equal(entry("10.96.0.2", TCP(80))->n, 3);
	a = ask(&x, "web", "10.96.0.2", TCP(80));
	assert_false(a.passes);
	/* Nothing stands behind it: judged by its address. */
	s->nbackends = 0;
	put(&x);
	s->nbackends = 3;
	assert_int_equal(tab.n, 0);
	a = ask(&x, "web", "10.96.0.2", TCP(80));
	assert_null(a.via.name);
	assert_int_equal(a.side[0].peer_realm, CW_REALM_WORLD);
	collect(&x);
	fix_done(&x);
}

/* A rule on a service whose backends stand outside is about their addresses. */
static void test_outside(void **state)
{
	struct policy_answer a;
	struct service *s;
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "mail", NULL, "10.96.0.3", NULL);
	add_port(s, NULL, IPPROTO_TCP, 25, 0, NULL);
	add_backend(s, "198.51.100.7", NULL, true);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_svc("data", "mail"), NULL);
	put(&x);
	a = ask(&x, "web", "10.96.0.3", TCP(25));
	assert_true(a.passes);
	assert_null(a.via.pod);
	a = ask(&x, "web", "198.51.100.7", TCP(25));
	assert_true(a.passes);
	a = ask(&x, "web", "198.51.100.8", TCP(25));
	assert_false(a.passes);
	assert_int_equal(addr_parse("198.51.100.8", &s->backends[0].addr), 0);
	put(&x);
	a = ask(&x, "web", "198.51.100.8", TCP(25));
	assert_true(a.passes);
	a = ask(&x, "web", "198.51.100.7", TCP(25));
	assert_false(a.passes);
	collect(&x);
	fix_done(&x);
}

/* A workload reaches itself through a service, unless admin or baseline rules speak against it. */
static void test_hairpin(void **state)
{
	static const struct { enum rule_origin origin; bool passes, builtin; } rows[] = {
		{ ORIGIN_MANUAL, true, true }, { ORIGIN_LEARNED, true, true },
		{ ORIGIN_ADMIN, false, false }, { ORIGIN_BASELINE, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_answer a;
		struct service *s;
		struct fix x;

		fix_new(&x);
		s = add_service(&x, "shop", "web", "web", "10.96.0.4", NULL);
		add_port(s, NULL, IPPROTO_TCP, 80, 0, "8080");
		add_rule(&x, 1, rows[i].origin, CW_ACT_BLOCK, sel_app("shop", "web"), sel_svc("shop", "web"), NULL);
		put(&x);
		assert_int_not_equal(tab.slot[entry("10.96.0.4", TCP(80))->first].wl, 0);
		a = ask(&x, "web", "10.96.0.4", TCP(80));
		assert_int_equal(a.passes, rows[i].passes);
		assert_int_equal(a.builtin, rows[i].builtin ? CW_R_SELF : 0);
		/* For everybody else the rule is a rule. */
		a = ask(&x, "other", "10.96.0.4", TCP(80));
		assert_false(a.passes);
		/* Two of the same labels are not told apart: rules hold. */
		add_workload(&x, "shop", "web-2", "web", "10.20.0.2", NULL, 0);
		put(&x);
		assert_int_equal(tab.slot[entry("10.96.0.4", TCP(80))->first].wl, 0);
		a = ask(&x, "web", "10.96.0.4", TCP(80));
		assert_false(a.passes);
		collect(&x);
		fix_done(&x);
	}
}

static void test_by_name(void **state)
{
	struct policy_end from = { .ns = "shop", .name = "web" }, to = { .ns = "data", .svc = "db" };
	struct policy_answer a;
	struct policy_eid e;
	struct service *s;
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "db", "db", "10.96.0.1", NULL);
	add_port(s, NULL, IPPROTO_TCP, 5432, 0, NULL);
	s = add_service(&x, "data", "headless", "db", NULL, NULL);
	add_port(s, NULL, IPPROTO_TCP, 5432, 0, NULL);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_svc("data", "headless"), NULL);
	put(&x);
	assert_int_equal(policy_set_query(x.set, &from, &to, TCP(5432), &a), 0);
	assert_true(a.passes);
	assert_string_equal(a.via.name, "db");
	assert_false(addr_is_zero(&a.via.addr));
	assert_int_equal(policy_set_query(x.set, &from, &to, TCP(80), &a), -ENXIO);
	to.svc = "headless";
	assert_int_equal(policy_set_query(x.set, &from, &to, TCP(5432), &a), 0);
	assert_true(a.passes);
	assert_true(addr_is_zero(&a.via.addr));
	assert_int_equal(a.via.admits, 2);
	to.svc = "none";
	assert_int_equal(policy_set_query(x.set, &from, &to, TCP(5432), &a), -ENOENT);
	from.name = "other";
	to.svc = "db";
	assert_int_equal(policy_set_query(x.set, &from, &to, TCP(5432), &a), 0);
	assert_false(a.passes);
	/* The number that counts under it. */
	assert_int_equal(policy_set_eid_describe(x.set, entry("10.96.0.1", TCP(5432))->eid, &e), 0);
	assert_string_equal(e.svc_ns, "data");
	assert_string_equal(e.svc_name, "db");
	collect(&x);
	fix_done(&x);
}

/* ---- how it changes -------------------------------------------------------------------------------------------- */

static void test_table_changes(void **state)
{
	uint32_t number, sets, first;
	struct policy_eid e;
	struct service *s;
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "db", "db", "10.96.0.1", NULL);
	add_port(s, NULL, IPPROTO_TCP, 80, 0, "8080");
	put(&x);
	collect(&x);
	number = entry("10.96.0.1", TCP(80))->eid;
	first = entry("10.96.0.1", TCP(80))->first;
	sets = tab.sets;
	/* One more of the same labels changes nothing in the table. */
	add_workload(&x, "data", "db-3", "db", "10.20.1.7", NULL, 0);
	put(&x);
	assert_int_equal(tab.sets, sets);
	/* Other labels: another identity, in fresh slots. */
	assert_int_equal(labels_set(&x.st.workloads[5].labels, "ver", "2"), 0);
	put(&x);
	assert_int_equal(tab.sets, sets + 1);
	assert_int_equal(entry("10.96.0.1", TCP(80))->n, 2);
	assert_int_not_equal(entry("10.96.0.1", TCP(80))->first, first);
	assert_int_equal(entry("10.96.0.1", TCP(80))->eid, number);
	/* A store that fails is made up for by the next commit. */
	assert_int_equal(labels_set(&x.st.workloads[5].labels, "ver", "3"), 0);
	assert_int_equal(labels_set(&x.st.workloads[4].labels, "app", "db"), 0);
	assert_int_equal(labels_set(&x.st.workloads[4].labels, "ver", "4"), 0);
	tab.fail = 1;
	assert_int_equal(try_put(&x, NULL), -EIO);
	tab.fail = 0;
	collect(&x);
	put(&x);
	assert_int_equal(entry("10.96.0.1", TCP(80))->n, 3);
	/* Gone: the number is told of until a grace period is over, and then no more. */
	service_done(&x.st.services[0]);
	x.st.nservices = 0;
	put(&x);
	assert_int_equal(tab.n, 0);
	assert_int_equal(policy_set_eid_describe(x.set, number, &e), 0);
	collect(&x);
	assert_int_equal(policy_set_eid_describe(x.set, number, &e), -ENOENT);
	fix_done(&x);
}

/* A rule that splits a backend's identity: the entry is there before the words switch, so that at no
 * moment the service is judged as the ones that were left behind. */
static void test_split_before_switch(void **state)
{
	struct policy_wl w;
	struct rule *r;
	struct service *s;
	uint64_t word;
	uint32_t sets;
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "one", NULL, "10.96.0.6", NULL);
	add_port(s, NULL, IPPROTO_TCP, 80, 0, "8080");
	add_backend(s, "10.20.1.1", "db-1", true);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("data", "db"), NULL);
	put(&x);
	collect(&x);
	assert_int_equal(table_says(&x, "web", "10.96.0.6", TCP(80)), CW_ACT_ALLOW);
	r = add_rule(&x, 2, ORIGIN_MANUAL, CW_ACT_BLOCK, sel_app("shop", "web"), sel_app("data", "db"), NULL);
	r->to[0].pod = own("db-1");
	assert_int_equal(policy_set_wl(x.set, "shop", "web", &w), 0);
	tab.watch = &x.sh->words[w.group * 2];
	word = *tab.watch;
	sets = tab.sets;
	put(&x);
	assert_int_equal(table_says(&x, "web", "10.96.0.6", TCP(80)), CW_ACT_BLOCK);
	/* The only store of the entry came before the word that decides. */
	assert_int_equal(tab.sets, sets + 1);
	assert_true(tab.watched == word && *tab.watch != word);
	/* And by naming the service. */
	r->enabled = false;
	add_rule(&x, 3, ORIGIN_MANUAL, CW_ACT_BLOCK, sel_app("shop", "web"), sel_svc("data", "one"), "tcp/80");
	put(&x);
	assert_int_equal(table_says(&x, "web", "10.96.0.6", TCP(80)), CW_ACT_BLOCK);
	assert_true(ask(&x, "web", "10.20.1.2", TCP(8080)).passes);
	assert_false(ask(&x, "web", "10.20.1.1", TCP(8080)).passes);
	assert_true(ask(&x, "web", "10.20.1.1", TCP(22)).passes);
	collect(&x);
	fix_done(&x);
}

/* Who is judged by an entry is judged again when it means something else. */
static void test_rejudged(void **state)
{
	struct policy_wl w;
	struct service *s;
	uint32_t gen;
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "mix", NULL, "10.96.0.2", NULL);
	add_port(s, NULL, IPPROTO_TCP, 80, 0, "8080");
	add_backend(s, "10.20.1.1", "db-1", true);
	add_backend(s, "10.20.1.3", "cache", false);
	put(&x);
	collect(&x);
	assert_int_equal(policy_set_wl(x.set, "shop", "web", &w), 0);
	gen = CW_WORD_GEN(x.sh->words[w.group * 2]);
	put(&x);
	assert_int_equal(CW_WORD_GEN(x.sh->words[w.group * 2]), gen);
	s->backends[1].ready = true;
	put(&x);
	assert_int_not_equal(CW_WORD_GEN(x.sh->words[w.group * 2]), gen);
	collect(&x);
	fix_done(&x);
}

static void test_capacity(void **state)
{
	struct fail_list f = {};
	struct policy_answer a;
	struct service *s;
	uint32_t writes;
	char name[16], addr[32];
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "wide", NULL, "10.96.0.7", NULL);
	add_port(s, NULL, IPPROTO_TCP, 80, 0, "8080");
	for (int i = 0; i < 17; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		snprintf(addr, sizeof(addr), "10.20.2.%d", i + 1);
		add_workload(&x, "data", name, name, addr, NULL, 0);
		if (i < 16)
			add_backend(s, addr, name, true);
	}
	put(&x);
	assert_int_equal(entry("10.96.0.7", TCP(80))->n, 16);
	writes = tab.writes + tab.sets;
	add_backend(s, "10.20.2.17", "p16", true);
	assert_int_equal(try_put(&x, &f), -E2BIG);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.items[0].name, "service.capacity");
	assert_string_equal(f.items[0].at, "service data/wide");
	assert_non_null(strstr(f.items[0].message, "17 distinct backends"));
	fail_list_done(&f);
	assert_int_equal(tab.writes + tab.sets, writes);
	a = ask(&x, "web", "10.96.0.7", TCP(80));
	assert_string_equal(a.via.name, "wide");
	/* The same pods behind one set of labels fit. */
	assert_int_equal(labels_set(&x.st.workloads[5].labels, "app", "p1"), 0);
	put(&x);
	assert_int_equal(entry("10.96.0.7", TCP(80))->n, 16);
	/* More addresses than the table holds. */
	s = add_service(&x, "data", "many", "db", NULL, NULL);
	for (uint16_t p = 1; p <= 33; p++)
		add_port(s, "p", IPPROTO_TCP, 1000 + p, 31000 + p, "8080");
	assert_int_equal(try_put(&x, &f), -E2BIG);
	assert_string_equal(f.items[0].name, "service.capacity");
	fail_list_done(&f);
	x.st.services[1].nports = 10;
	put(&x);
	x.st.services[1].nports = 33;
	collect(&x);
	fix_done(&x);
}

/* Two services with one address: the first by name has it, whatever the order. */
static void test_conflict(void **state)
{
	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		struct policy_answer a;
		struct fix x;

		fix_new(&x);
		for (int i = 0; i < 2; i++) {
			struct service *s = add_service(&x, "data", i == turn ? "a" : "b", i == turn ? "db" : "cache", "10.96.0.8",
							NULL);

			add_port(s, NULL, IPPROTO_TCP, 80, 0, "8080");
		}
		put(&x);
		a = ask(&x, "web", "10.96.0.8", TCP(80));
		assert_string_equal(a.via.name, "a");
		/* What the plan of a change says before it is made is what comes of it. */
		service_done(&x.st.services[turn]);
		x.st.services[turn] = x.st.services[1 - turn];
		x.st.nservices = 1;
		if (turn == 0) {
			struct policy_end from = { .ns = "shop", .name = "web" }, to = {};
			struct fail_list f = {};
			struct policy_plan *plan;

			x.st.services[0] = x.st.services[1 - turn];
			assert_int_equal(addr_parse("10.96.0.8", &to.addr), 0);
			assert_int_equal(policy_set_prepare(x.set, &x.st, &f, &plan), 0);
			assert_int_equal(policy_plan_query(plan, &from, &to, TCP(80), &a), 0);
			assert_string_equal(a.via.name, "b");
			assert_int_equal(policy_set_query(x.set, &from, &to, TCP(80), &a), 0);
			assert_string_equal(a.via.name, "a");
			policy_plan_free(plan);
		}
		put(&x);
		a = ask(&x, "web", "10.96.0.8", TCP(80));
		assert_string_equal(a.via.name, "b");
		collect(&x);
		fix_done(&x);
	}
}

static void test_copy(void **state)
{
	struct service c;
	struct service *s;
	struct fix x;

	(void)state;
	fix_new(&x);
	s = add_service(&x, "data", "db", "db", "10.96.0.1", "fd00:96::1");
	add_port(s, "web", IPPROTO_TCP, 80, 30080, "http");
	add_backend(s, "10.20.1.1", "db-1", true);
	s->backends[0].ports = calloc(1, sizeof(uint16_t));
	s->backends[0].ports[0] = 8080;
	assert_int_equal(service_copy(s, &c), 0);
	assert_string_equal(c.ports[0].target_name, "http");
	assert_int_equal(c.ports[0].node_port, 30080);
	assert_int_equal(c.backends[0].ports[0], 8080);
	assert_int_equal(c.naddrs, 2);
	assert_ptr_not_equal(c.addrs, s->addrs);
	service_done(&c);
	assert_null(c.ns);
	fix_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_covers), cmocka_unit_test(test_from_service),
		cmocka_unit_test(test_named_targets), cmocka_unit_test(test_worst_of_ready),
		cmocka_unit_test(test_outside), cmocka_unit_test(test_hairpin), cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_table_changes), cmocka_unit_test(test_split_before_switch),
		cmocka_unit_test(test_rejudged), cmocka_unit_test(test_capacity), cmocka_unit_test(test_conflict),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
