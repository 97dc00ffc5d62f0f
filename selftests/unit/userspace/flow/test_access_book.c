/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/unit/userspace/flow/access_gen.h"

static const char *fqdn_of(void *arg, const char *ns, const char *name, const struct addr *a)
{
	char text[ADDR_STR_MAX];

	(void)arg;
	if (ns && !strcmp(ns, "shop") && name && !strcmp(addr_str(a, text), "192.0.2.7"))
		return "pay.example.com";
	return NULL;
}

static void lifting_table(void **state)
{
	static const struct {
		const char *name;
		struct gen_end src, dst;
		const char *want_src, *want_dst;
		enum access_hold hold;
	} t[] = {
		{ "controller to controller", POD("shop", "web-1"), POD("data", "db-0"), "shop/deploy/web", "data/sts/db", 0 },
		{ "labels without a controller", POD("ops", "tool"), POD("data", "db-0"), "ops/app=tool,tier=x", "data/sts/db", 0 },
		{ "noise labels only: the pod", POD("ops", "noisy"), POD("data", "db-0"), "ops/pod/noisy", "data/sts/db", 0 },
		{ "bare pod", POD("shop", "rogue"), POD("shop", "web-1"), "shop/pod/rogue", "shop/deploy/web", 0 },
		{ "world by fold CIDR", POD("shop", "web-1"), WORLD("198.51.100.9"), "shop/deploy/web", "198.51.100.0/24", 0 },
		{ "narrowest fold wins", POD("shop", "web-1"), WORLD("198.51.100.65"), "shop/deploy/web", "198.51.100.64/26", 0 },
		{ "world by name", POD("shop", "web-1"), WORLD("192.0.2.7"), "shop/deploy/web", "fqdn/pay.example.com", 0 },
		{ "the name is the workload's own", POD("ops", "tool"), WORLD("192.0.2.7"), "ops/app=tool,tier=x", "192.0.2.7", 0 },
		{ "world by address", POD("shop", "web-1"), WORLD("203.0.113.99"), "shop/deploy/web", "203.0.113.99", 0 },
		{ "world by IPv6 address", POD("shop", "web-1"), WORLD("2001:db8::1"), "shop/deploy/web", "2001:db8::1", 0 },
		{ "clients outside are one", WORLD(NULL), POD("shop", "web-1"), "world", "shop/deploy/web", 0 },
		{ "client in a fold CIDR", WORLD("198.51.100.9"), POD("shop", "web-1"), "198.51.100.0/24", "shop/deploy/web", 0 },
		{ "client outside with an address", WORLD("203.0.113.5"), POD("shop", "web-1"), "world", "shop/deploy/web", 0 },
		{ "host", RESERVED(CW_ID_HOST), POD("shop", "web-1"), "host", "shop/deploy/web", 0 },
		{ "remote node", POD("shop", "web-1"), RESERVED(CW_ID_REMOTE_NODE), "shop/deploy/web", "remote-node", 0 },
		{ "multicast", POD("shop", "web-1"), RESERVED(CW_ID_MULTICAST), "shop/deploy/web", "multicast", 0 },
		{ "unknown that is known by now", POD("shop", "web-1"), UNKNOWN("10.20.1.9"), "shop/deploy/web", "data/deploy/cache", 0 },
	};
	struct prefix folds[2];
	struct access_config c = { .fold_cidrs = folds, .nfold_cidrs = 2, .fqdn = fqdn_of };

	(void)state;
	assert_int_equal(prefix_parse("198.51.100.0/24", &folds[0]), 0);
	assert_int_equal(prefix_parse("198.51.100.64/26", &folds[1]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct access_applied did;
		struct access_book *b;
		struct node_access a = gen(t[i].src, t[i].dst, 6, 5432, 4, 3);

		print_message("  %s\n", t[i].name);
		assert_int_equal(access_book_new(&c, &b), 0);
		gen_workload(b, "shop", "web-1", "Deployment", "web", "app=web,pod-template-hash=6d4f", NULL);
		gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, NULL);
		gen_workload(b, "data", "cache-1", "Deployment", "cache", NULL, "10.20.1.9");
		gen_workload(b, "ops", "tool", NULL, NULL, "app=tool,tier=x,pod-template-hash=1", NULL);
		gen_workload(b, "ops", "noisy", NULL, NULL, "controller-uid=1,cellwall.io/mode=enforce", NULL);
		gen_workload(b, "shop", "rogue", NULL, NULL, NULL, NULL);
		assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 2 * S, &did), 0);
		assert_int_equal(did.changed, 1);
		assert_int_equal(access_book_count(b), 1);
		assert_string_equal(access_book_at(b, 0)->src->ref, t[i].want_src);
		assert_string_equal(access_book_at(b, 0)->dst->ref, t[i].want_dst);
		assert_int_equal(access_book_at(b, 0)->hold, t[i].hold);
		assert_int_equal(access_book_at(b, 0)->c.flows, 4);
		assert_int_equal(access_attempted(access_book_at(b, 0)), 1);
		access_book_free(b);
	}
}

/* Replicas, families and ICMP codes are one access, with evidence kept apart. */
static void merging(void **state)
{
	struct access_book *b = gen_book();
	struct node_access a[4];
	const struct access *x;

	(void)state;
	gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
	gen_workload(b, "shop", "web-2", "Deployment", "web", NULL, NULL);
	gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, NULL);
	a[0] = gen(POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, 5, 5);
	a[1] = gen(POD("shop", "web-2"), POD("data", "db-0"), 6, 5432, 7, 0);
	a[2] = a[0];
	a[2].family = a[2].key.family = 6;
	a[2].flows = 11;
	a[2].guessed = 11;
	a[3] = gen(POD("shop", "web-1"), POD("data", "db-0"), 1, 8 << 8 | 3, 1, 1);
	assert_int_equal(access_book_apply(b, a, 4, NULL, 0, T0 + 2 * S, NULL), 0);
	assert_int_equal(access_book_count(b), 2);
	x = gen_find(b, "shop/deploy/web", "data/sts/db", "tcp/5432");
	assert_non_null(x);
	assert_int_equal(x->c.flows, 23);
	assert_int_equal(x->flows6, 11);
	assert_int_equal(x->c.answered, 10);
	assert_int_equal(x->nmembers, 3);
	assert_false(access_guessed(x));
	x = gen_find(b, "shop/deploy/web", "data/sts/db", "icmp/echo-request");
	assert_non_null(x);
	assert_int_equal(x->port, 8 << 8);
	access_book_free(b);
}

/* Two nodes, and both count what goes between them: in whatever order they say it, a flow is one flow. */
static void between_nodes(void **state)
{
	/* Cumulative flows at the source's and the destination's node, -1: says nothing; and what is right then. */
	static const struct { int near, far; uint64_t want; } steps[] = {
		{ 5, -1, 5 }, { -1, 5, 5 },	/* the source's first */
		{ -1, 8, 8 }, { 8, -1, 8 },	/* the destination's first */
		{ 10, 9, 10 }, { 10, 10, 10 },	/* one of them behind */
		{ -1, 14, 14 }, { 12, -1, 14 }, { 15, -1, 15 }, { -1, 15, 15 },
		{ 20, -1, 20 }, { 25, -1, 25 },	/* more at the source: some went elsewhere */
		{ 26, 16, 26 },
	};
	struct access_book *b = gen_book();
	struct access_applied did;
	struct node_access near = gen(POD("shop", "web-1"), POD("data", "db-1"), 6, 5432, 0, 0), far = near;

	(void)state;
	gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
	gen_workload(b, "shop", "web-2", "Deployment", "web", NULL, NULL);
	gen_workload(b, "data", "db-1", NULL, NULL, NULL, NULL);
	near.key.src_wl = 3;
	near.cnt[CW_INGRESS][CW_OUT_NO_RULE] = 0;
	far.key.dst_wl = 9;
	far.instance = 99;
	far.src_wl.name = (char *)"web-2"; /* one of the identity, not who it was */
	far.cnt[CW_EGRESS][CW_OUT_NO_RULE] = 0;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		const struct access_counts *c;

		if (steps[i].near >= 0) {
			near.flows = near.answered = near.cnt[CW_EGRESS][CW_OUT_NO_RULE] = (uint64_t)steps[i].near;
			near.packets = 3 * near.flows;
			assert_int_equal(access_book_apply(b, &near, 1, NULL, 0, T0 + 2 * S, &did), 0);
		}
		if (steps[i].far >= 0) {
			far.flows = far.answered = far.cnt[CW_INGRESS][CW_OUT_NO_RULE] = (uint64_t)steps[i].far;
			far.packets = 3 * far.flows;
			assert_int_equal(access_book_apply(b, &far, 1, NULL, 0, T0 + 2 * S, &did), 0);
		}
		assert_int_equal(access_book_count(b), 1);
		c = &access_book_at(b, 0)->c;
		assert_int_equal(c->flows, steps[i].want);
		assert_int_equal(c->answered, steps[i].want);
		assert_int_equal(c->packets, 3 * steps[i].want);
		/* Verdicts are each side's own. */
		assert_int_equal(c->cnt[CW_EGRESS][CW_OUT_NO_RULE], near.cnt[CW_EGRESS][CW_OUT_NO_RULE]);
		assert_int_equal(c->cnt[CW_INGRESS][CW_OUT_NO_RULE], far.cnt[CW_INGRESS][CW_OUT_NO_RULE]);
	}
	access_book_free(b);
}

static void twice_is_once(void **state)
{
	struct access_book *b = gen_book();
	struct access_applied did;
	struct node_access a = gen(POD("shop", "web-1"), WORLD("203.0.113.9"), 6, 443, 10, 9);
	struct node_fold f = { .ns = "shop", .name = "web-1", .instance = 77, .folded_flows = 4, .lost = 1 };
	struct access_fold sum;

	(void)state;
	gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(access_book_apply(b, &a, 1, &f, 1, T0 + 2 * S, &did), 0);
		assert_int_equal(did.changed, i == 0);
		assert_int_equal(did.unchanged, i != 0);
		assert_int_equal(access_book_at(b, 0)->c.flows, 10);
		access_book_loss(b, "shop", &sum);
		assert_int_equal(sum.sum.lost, 1);
		assert_int_equal(sum.sum.folded_flows, 4);
	}
	a.flows = 12;
	a.last_ns = T0 + 5 * S;
	f.lost = 3;
	assert_int_equal(access_book_apply(b, &a, 1, &f, 1, T0 + 6 * S, &did), 0);
	assert_int_equal(did.flows, 2);
	assert_int_equal(access_book_at(b, 0)->c.flows, 12);
	assert_int_equal(access_book_at(b, 0)->last_ns, T0 + 5 * S);
	/* A new epoch begins at 0; the old one is settled and says no more, whatever it says. */
	assert_int_equal(access_book_epoch_done(b, 77, 1, T0 + 7 * S), 0);
	a.flows = 99;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 8 * S, &did), 0);
	assert_int_equal(did.settled, 1);
	assert_int_equal(access_book_at(b, 0)->c.flows, 12);
	a.epoch = 2;
	a.flows = 3;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 9 * S, &did), 0);
	assert_int_equal(access_book_at(b, 0)->c.flows, 15);
	/* New maps: fold figures begin at 0 and add. */
	f.instance = 78;
	f.lost = 2;
	assert_int_equal(access_book_apply(b, NULL, 0, &f, 1, T0 + 9 * S, &did), 0);
	access_book_loss(b, NULL, &sum);
	assert_int_equal(sum.sum.lost, 5);
	/* The former maps speak once more beside them: one more, not all again. */
	f.instance = 77;
	f.lost = 4;
	assert_int_equal(access_book_apply(b, NULL, 0, &f, 1, T0 + 9 * S, &did), 0);
	access_book_loss(b, NULL, &sum);
	assert_int_equal(sum.sum.lost, 6);
	access_book_loss(b, "data", &sum);
	assert_int_equal(sum.sum.lost, 0);
	access_book_free(b);
}

static void unresolved_waits(void **state)
{
	struct access_book *b = gen_book();
	struct access_applied did;
	struct node_access a = gen(POD("shop", "web-1"), UNKNOWN("10.20.2.31"), 6, 80, 2, 2);
	struct fail_list f = { };
	struct rule rule;
	const struct access *x;

	(void)state;
	gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0, &did), 0);
	assert_int_equal(did.waiting, 1);
	assert_int_equal(access_book_count(b), 0);

	/* Resolved in time: it never shows as unknown. */
	gen_workload(b, "shop", "late-1", "Deployment", "late", NULL, "10.20.2.31");
	assert_int_equal(access_book_tick(b, T0 + S), 0);
	assert_non_null(gen_find(b, "shop/deploy/web", "shop/deploy/late", "tcp/80"));
	assert_int_equal(access_book_count(b), 1);

	/* Not resolved: filed after 30 s with the newest figures, and never made a rule. */
	a = gen(POD("shop", "web-1"), UNKNOWN("10.20.2.99"), 6, 80, 2, 2);
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0, NULL), 0);
	a.flows = 5;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 29 * S, NULL), 0);
	assert_int_equal(access_book_count(b), 1);
	assert_int_equal(access_book_tick(b, T0 + 30 * S), 0);
	x = gen_find(b, "shop/deploy/web", "unknown/10.20.2.99", "tcp/80");
	assert_non_null(x);
	assert_int_equal(x->c.flows, 5);
	assert_int_equal(access_state(x), ACCESS_ST_HELD);
	assert_int_equal(x->hold, ACCESS_HELD_UNRESOLVED);
	assert_false(access_bulk_confirmable(x));
	assert_int_equal(access_rule(x, CW_ACT_ALLOW, "lin", T0, &f, &rule), -EAGAIN);
	assert_string_equal(f.items[0].name, "access.unresolved");
	fail_list_done(&f);

	/* Resolved later: what comes from then on is put where it belongs. */
	gen_workload(b, "shop", "later-1", "Deployment", "later", NULL, "10.20.2.99");
	a.flows = 9;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 60 * S, NULL), 0);
	assert_int_equal(x->c.flows, 5);
	assert_int_equal(gen_find(b, "shop/deploy/web", "shop/deploy/later", "tcp/80")->c.flows, 4);

	/* A pod nobody declared waits likewise, and a settled epoch does not wait at all. */
	a = gen(POD("shop", "ghost"), POD("shop", "web-1"), 6, 80, 1, 1);
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 60 * S, &did), 0);
	assert_int_equal(did.waiting, 1);
	assert_int_equal(access_book_epoch_done(b, 77, 1, T0 + 61 * S), 0);
	x = gen_find(b, "shop/pod/ghost", "shop/deploy/web", "tcp/80");
	assert_non_null(x);
	assert_int_equal(x->hold, ACCESS_NOT_HELD);
	access_book_free(b);
}

static void gone_pods_are_remembered(void **state)
{
	struct access_book *b = gen_book();
	struct node_access a;

	(void)state;
	gen_workload(b, "shop", "job-1", "CronJob", "nightly", NULL, NULL);
	gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, NULL);
	access_book_workload_gone(b, "shop", "job-1", T0);
	a = gen(POD("shop", "job-1"), POD("data", "db-0"), 6, 5432, 1, 1);
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + ACCESS_GONE_NS - S, NULL), 0);
	assert_non_null(gen_find(b, "shop/cronjob/nightly", "data/sts/db", "tcp/5432"));
	a = gen(POD("shop", "job-1"), POD("data", "db-0"), 6, 99, 1, 1);
	assert_int_equal(access_book_tick(b, T0 + ACCESS_GONE_NS), 0);
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + ACCESS_GONE_NS, NULL), 0);
	assert_int_equal(access_book_tick(b, T0 + ACCESS_GONE_NS + 31 * S), 0);
	assert_non_null(gen_find(b, "shop/pod/job-1", "data/sts/db", "tcp/99"));
	access_book_free(b);
}

static void insane_records(void **state)
{
	struct access_book *b = gen_book();
	struct access_book_stats st;
	struct access_applied did;
	struct node_access a[3];

	(void)state;
	gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
	for (int i = 0; i < 7; i++) {
		a[0] = gen(POD("shop", "web-1"), WORLD("203.0.113.1"), 6, 1000, 1, 1);
		a[1] = gen(POD("shop", "web-1"), WORLD("203.0.113.2"), 6, 1001, 1, 1);
		a[2] = gen(POD("shop", "web-1"), WORLD("203.0.113.3"), 6, (uint16_t)(1002 + i), 1, 1);
		switch (i) {
		case 0: a[1].family = 5; break;
		case 1: a[1].outcome[1] = CW_OUT_COUNT; break;
		case 2: a[1].reason[0] = CW_R_COUNT; break;
		case 3: a[1].verdict[0].tier = CW_TIER_COUNT; break;
		case 4: a[1].dst_reserved = 9; break;
		case 5: a[1].src_wl.ns = a[1].src_wl.name = NULL; break;
		case 6: a[1].verdict[1].action = 200; break;
		}
		assert_int_equal(access_book_apply(b, a, 3, NULL, 0, T0 + 2 * S, &did), 0);
		assert_int_equal(did.invalid, 1);
		assert_int_equal(did.changed, i == 0 ? 2 : 1);
	}
	access_book_stats(b, &st);
	assert_int_equal(st.invalid, 7);
	assert_null(gen_find(b, "shop/pod/web-1", "203.0.113.2", "tcp/1001"));
	/* A counter that went back adds nothing and is said. */
	a[0].flows = 0;
	a[0].packets = 4;
	assert_int_equal(access_book_apply(b, a, 1, NULL, 0, T0 + 2 * S, &did), 0);
	assert_int_equal(gen_find(b, "shop/pod/web-1", "203.0.113.1", "tcp/1000")->c.flows, 1);
	assert_int_equal(gen_find(b, "shop/pod/web-1", "203.0.113.1", "tcp/1000")->c.packets, 4);
	access_book_stats(b, &st);
	assert_true(st.backwards > 0);
	access_book_free(b);
}

static void full_book_counts_what_it_refuses(void **state)
{
	struct access_config c = { .max_accesses = 5 };
	struct access_book *b;
	struct access_fold sum;
	struct node_access a[9];

	(void)state;
	assert_int_equal(access_book_new(&c, &b), 0);
	gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
	for (int i = 0; i < 9; i++)
		a[i] = gen(POD("shop", "web-1"), WORLD("203.0.113.1"), 6, (uint16_t)(1000 + i), 10, 10);
	for (int i = 0; i < 2; i++)
		assert_int_equal(access_book_apply(b, a, 9, NULL, 0, T0 + 2 * S, NULL), 0);
	assert_int_equal(access_book_count(b), 5);
	access_book_loss(b, "shop", &sum);
	assert_int_equal(sum.refused, 40);
	assert_int_equal(gen_total_flows(b), 90);
	access_book_free(b);
}

static void members_fold_beyond_their_maximum(void **state)
{
	struct access_book *b = gen_book();
	const struct access *x;
	char name[300][16];
	uint64_t sum = 0;

	(void)state;
	gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, NULL);
	for (int i = 0; i < 300; i++) {
		struct node_access a;

		(void)snprintf(name[i], sizeof(name[i]), "web-%d", i);
		gen_workload(b, "shop", name[i], "Deployment", "web", NULL, NULL);
		a = gen(POD("shop", name[i]), POD("data", "db-0"), 6, 5432, 2, 2);
		assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 2 * S, NULL), 0);
	}
	assert_int_equal(access_book_count(b), 1);
	x = access_book_at(b, 0);
	assert_int_equal(x->nmembers, ACCESS_MEMBERS_MAX);
	for (size_t i = 0; i < x->nmembers; i++)
		sum += x->members[i]->c.flows;
	assert_int_equal(sum + x->rest->c.flows, 600);
	assert_int_equal(x->c.flows, 600);
	access_book_free(b);
}

static void days_and_schedules(void **state)
{
	struct access_book *b = gen_book();
	struct node_access a = gen(POD("ops", "backup"), POD("data", "db-0"), 6, 5432, 0, 0);
	struct access_span span;
	const struct access *x;

	(void)state;
	gen_workload(b, "ops", "backup", "CronJob", "backup", NULL, NULL);
	gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, NULL);
	for (int day = 0; day < 7; day++) {
		a.flows += 2;
		a.answered += 2;
		a.cnt[CW_EGRESS][CW_OUT_NO_RULE] += 2;
		a.last_ns = T0 + day * DAY + 60 * S;
		assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, a.last_ns + S, NULL), 0);
	}
	x = access_book_at(b, 0);
	assert_int_equal(x->ndays, 7);
	assert_int_equal(access_scheduled_hour(x), 2);
	access_span(x, T0, 0, &span);
	assert_int_equal(span.days, 7);
	assert_int_equal(span.flows, 14);
	assert_int_equal(span.hours, 1u << 2);
	access_span(x, T0 + 5 * DAY, 0, &span);
	assert_int_equal(span.days, 2);
	access_span(x, T0, T0 + DAY, &span);
	assert_int_equal(span.days, 2);
	/* At another hour as well: no schedule. */
	a.flows++;
	a.last_ns = T0 + 6 * DAY + 5 * 3600 * S;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, a.last_ns, NULL), 0);
	assert_int_equal(access_scheduled_hour(x), -1);
	/* Only so many days are kept; the sums stay. */
	for (int day = 7; day < 100; day++) {
		a.flows++;
		a.last_ns = T0 + day * DAY;
		assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, a.last_ns, NULL), 0);
	}
	assert_int_equal(x->ndays, ACCESS_DAYS_MAX);
	assert_int_equal(x->days[ACCESS_DAYS_MAX - 1].day, (T0 + 99 * DAY) / DAY);
	assert_int_equal(x->c.flows, 14 + 1 + 93);
	/* A counter first seen days after its birth: both ends of its life are known. */
	a = gen(POD("ops", "backup"), POD("data", "db-0"), 6, 1, 10, 10);
	a.first_ns = T0;
	a.last_ns = T0 + 3 * DAY;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, a.last_ns, NULL), 0);
	x = gen_find(b, "ops/cronjob/backup", "data/sts/db", "tcp/1");
	assert_int_equal(x->ndays, 2);
	assert_int_equal(x->days[0].flows, 1);
	assert_int_equal(x->days[1].flows, 9);
	access_book_free(b);
}

static void ids_are_short_and_stable(void **state)
{
	enum { N = 3000 };
	struct access_book *b1 = gen_book(), *b2 = gen_book();
	char ids[4][ACCESS_ID_MAX];
	size_t longer = 0;

	(void)state;
	gen_workload(b1, "shop", "web-1", "Deployment", "web", NULL, NULL);
	gen_workload(b2, "shop", "web-1", "Deployment", "web", NULL, NULL);
	for (int i = 0; i < N; i++) {
		struct node_access a = gen(POD("shop", "web-1"), RESERVED(CW_ID_HOST), 17, (uint16_t)i, 1, 1);

		a.first_ns = a.last_ns = T0 + i * 600 * S; /* no scan */
		assert_int_equal(access_book_apply(b1, &a, 1, NULL, 0, a.last_ns, NULL), 0);
		if (i < 4) {
			assert_int_equal(access_book_apply(b2, &a, 1, NULL, 0, a.last_ns, NULL), 0);
			memcpy(ids[i], access_book_at(b2, (size_t)i)->id, ACCESS_ID_MAX);
		}
	}
	assert_int_equal(access_book_count(b1), N);
	for (size_t i = 0; i < N; i++) {
		const struct access *a = access_book_at(b1, i);

		longer += strlen(a->id) > 4;
		assert_ptr_equal(access_book_find(b1, a->id), a);
		if (i < 4)
			assert_string_equal(a->id, ids[i]);
	}
	assert_in_range(longer, 1, N / 10); /* 3,000 of 65,536 do collide */
	assert_null(access_book_find(b1, "zzzz"));
	assert_null(access_book_find(b1, "abc"));
	assert_null(access_book_find(b1, ""));
	access_book_free(b1);
	access_book_free(b2);
}

static void decisions_become_rules(void **state)
{
	static const struct {
		const char *name;
		struct gen_end src, dst;
		uint8_t proto;
		uint16_t port;
		enum cw_action action;
		int r;
		enum selector_kind from, to;
		enum port_kind kind;
	} t[] = {
		{ "pods, allow", POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, CW_ACT_ALLOW, 0, SEL_WORKLOAD, SEL_WORKLOAD, PORT_RANGE },
		{ "pods, block", POD("shop", "web-1"), POD("data", "db-0"), 17, 53, CW_ACT_BLOCK, 0, SEL_WORKLOAD, SEL_WORKLOAD, PORT_RANGE },
		{ "labels", POD("ops", "tool"), POD("data", "db-0"), 132, 9, CW_ACT_ALLOW, 0, SEL_WORKLOAD, SEL_WORKLOAD, PORT_RANGE },
		{ "address", POD("shop", "web-1"), WORLD("203.0.113.99"), 6, 25, CW_ACT_BLOCK, 0, SEL_WORKLOAD, SEL_CIDR, PORT_RANGE },
		{ "name, allow", POD("shop", "web-1"), WORLD("192.0.2.7"), 6, 443, CW_ACT_ALLOW, 0, SEL_WORKLOAD, SEL_FQDN, PORT_RANGE },
		{ "name, block", POD("shop", "web-1"), WORLD("192.0.2.7"), 6, 443, CW_ACT_BLOCK, -EOPNOTSUPP, 0, 0, 0 },
		{ "world, echo", WORLD(NULL), POD("shop", "web-1"), 1, 8 << 8, CW_ACT_ALLOW, 0, SEL_RESERVED, SEL_WORKLOAD, PORT_ICMP },
		{ "protocol 47", POD("shop", "web-1"), POD("data", "db-0"), 47, 0, CW_ACT_ALLOW, 0, SEL_WORKLOAD, SEL_WORKLOAD, PORT_PROTO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct access_config c = { .fqdn = fqdn_of };
		struct node_access a = gen(t[i].src, t[i].dst, t[i].proto, t[i].port, 1, 1);
		struct fail_list f = { };
		const struct access *x;
		struct access_book *b;
		char name[32], want[32];
		struct rule r = { };

		print_message("  %s\n", t[i].name);
		assert_int_equal(access_book_new(&c, &b), 0);
		gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
		gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, NULL);
		gen_workload(b, "ops", "tool", NULL, NULL, "app=tool", NULL);
		assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 2 * S, NULL), 0);
		x = access_book_at(b, 0);
		assert_true(access_bulk_confirmable(x));
		assert_int_equal(access_rule(x, t[i].action, "lin.wei", T0, &f, &r), t[i].r);
		if (t[i].r) {
			assert_int_equal(f.n, 1);
		} else {
			bool block = t[i].action == CW_ACT_BLOCK;

			(void)snprintf(want, sizeof(want), "%s-%s", block ? "rejected" : "learned", x->id);
			assert_string_equal(r.name, want);
			assert_int_equal(r.origin, block ? ORIGIN_MANUAL : ORIGIN_LEARNED);
			assert_string_equal(r.creator, "lin.wei");
			assert_int_equal(r.action, t[i].action);
			assert_string_equal(r.access, x->id);
			assert_true(r.enabled);
			assert_int_equal(r.nfrom, 1);
			assert_int_equal(r.from[0].kind, t[i].from);
			assert_int_equal(r.to[0].kind, t[i].to);
			assert_int_equal(r.ports[0].kind, t[i].kind);
			rule_done(&r);
			assert_null(access_rule_name(x, name));
			assert_int_equal(access_book_decide(b, x->id, block ? ACCESS_REJECTED : ACCESS_CONFIRMED, "lin.wei", T0), 0);
			assert_string_equal(access_rule_name(x, name), want);
			assert_int_equal(access_state(x), block ? ACCESS_ST_REJECTED : ACCESS_ST_CONFIRMED);
			assert_false(access_bulk_confirmable(x));
			assert_int_equal(access_book_decide(b, x->id, ACCESS_UNDECIDED, "lin.wei", T0), 0);
			assert_int_equal(access_state(x), ACCESS_ST_PENDING);
		}
		assert_int_equal(access_book_decide(b, "ffff0000", ACCESS_CONFIRMED, "x", T0), -ENOENT);
		fail_list_done(&f);
		access_book_free(b);
	}
}

static void bulk_takes_only_the_certain(void **state)
{
	struct access_book *b = gen_book();
	struct node_access a[3];

	(void)state;
	gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
	a[0] = gen(POD("shop", "web-1"), WORLD("203.0.113.1"), 6, 1, 5, 0);   /* attempted */
	a[1] = gen(POD("shop", "web-1"), WORLD("203.0.113.1"), 6, 41000, 5, 5); /* guessed */
	a[1].guessed = 5;
	a[2] = gen(POD("shop", "web-1"), WORLD("203.0.113.1"), 6, 3, 5, 1);
	a[2].guessed = 4;
	a[2].outcome[CW_EGRESS] = CW_OUT_ALLOW;
	a[2].verdict[CW_EGRESS] = (struct cw_verdict){ .rule = 3, .action = CW_ACT_ALLOW, .tier = CW_TIER_MANUAL };
	a[2].outcome[CW_INGRESS] = CW_OUT_NONE;
	assert_int_equal(access_book_apply(b, a, 3, NULL, 0, T0 + 2 * S, NULL), 0);
	assert_false(access_bulk_confirmable(gen_find(b, "shop/pod/web-1", "203.0.113.1", "tcp/1")));
	assert_false(access_bulk_confirmable(gen_find(b, "shop/pod/web-1", "203.0.113.1", "tcp/41000")));
	assert_true(access_bulk_confirmable(gen_find(b, "shop/pod/web-1", "203.0.113.1", "tcp/3")));
	assert_false(access_covered(gen_find(b, "shop/pod/web-1", "203.0.113.1", "tcp/1")));
	assert_true(access_covered(gen_find(b, "shop/pod/web-1", "203.0.113.1", "tcp/3")));
	access_book_free(b);
}

/* The record says by which name its source knows the address; it is believed before the book's own
 * source, after a configured prefix, and also when it had to wait. */
static void name_of_record(void **state)
{
	struct prefix fold;
	struct access_config c = { .fold_cidrs = &fold, .nfold_cidrs = 1, .fqdn = fqdn_of };
	static const struct { const char *addr, *name, *want; } t[] = {
		{ "192.0.2.7", NULL, "fqdn/pay.example.com" }, { "192.0.2.7", "api.example.net", "fqdn/api.example.net" },
		{ "203.0.113.99", "api.example.net", "fqdn/api.example.net" }, { "198.51.100.9", "api.example.net", "198.51.100.0/24" },
	};

	(void)state;
	assert_int_equal(prefix_parse("198.51.100.0/24", &fold), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		for (int wait = 0; wait < 2; wait++) {
			struct node_access a = gen(POD("shop", "web-1"), WORLD(t[i].addr), 6, 443, 1, 1);
			auto_free char *name = t[i].name ? strdup(t[i].name) : NULL;
			struct access_book *b;

			assert_int_equal(access_book_new(&c, &b), 0);
			if (!wait)
				gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
			a.dst_fqdn = name;
			assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 2 * S, NULL), 0);
			if (wait) {
				assert_int_equal(access_book_count(b), 0);
				if (name)
					memset(name, 'x', strlen(name)); /* lent for the call only */
				gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
				assert_int_equal(access_book_tick(b, T0 + 3 * S), 0);
			}
			assert_int_equal(access_book_count(b), 1);
			assert_string_equal(access_book_at(b, 0)->dst->ref, t[i].want);
			access_book_free(b);
		}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lifting_table),
		cmocka_unit_test(merging),
		cmocka_unit_test(between_nodes),
		cmocka_unit_test(twice_is_once),
		cmocka_unit_test(unresolved_waits),
		cmocka_unit_test(gone_pods_are_remembered),
		cmocka_unit_test(insane_records),
		cmocka_unit_test(full_book_counts_what_it_refuses),
		cmocka_unit_test(members_fold_beyond_their_maximum),
		cmocka_unit_test(days_and_schedules),
		cmocka_unit_test(ids_are_short_and_stable),
		cmocka_unit_test(decisions_become_rules),
		cmocka_unit_test(bulk_takes_only_the_certain),
		cmocka_unit_test(name_of_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
