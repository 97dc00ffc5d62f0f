/* SPDX-License-Identifier: Apache-2.0 */
/* The policy set by examples: precedence, reasons, capacity, numbers, generations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity/ident.h"
#include "policy/compile.h"
#include "policy/ir.h"
#include "selftests/harness/policy/by_hand.h"
#include "selftests/harness/policy/world.h"

#define TCP(p) CW_AXIS(IPPROTO_TCP, p)

/* ---- a small cluster -------------------------------------------------------------------------- */

struct fix {
	struct policy_state st;
	struct policy_set *set;
	struct shadow *sh;
	bool used;		/* what the data path answers when asked whether an entry was used */
	uint32_t asked;
};

static struct workload *add_workload(struct fix *x, const char *ns, const char *name, const char *app, const char *addr)
{
	return state_workload(&x->st, ns, name, app, addr, NULL);
}

static struct selector sel_cidr(const char *cidr)
{
	struct selector s = { .kind = SEL_CIDR };

	assert_int_equal(prefix_parse(cidr, &s.cidr), 0);
	return s;
}

static struct rule *add_rule(struct fix *x, uint32_t id, enum rule_origin origin, enum cw_action action,
			     struct selector from, struct selector to, const char *ports)
{
	return state_rule(&x->st, id, origin, action, from, to, ports);
}

static void set_mode(struct fix *x, const char *ns, enum cw_mode mode, enum cw_action dflt)
{
	struct policy_state *st = &x->st;

	for (size_t i = 0; i < st->nmodes; i++)
		if (!strcmp(st->modes[i].ns, ns)) {
			st->modes[i].mode = mode;
			st->modes[i].dflt = dflt;
			return;
		}
	st->modes = grow(st->modes, st->nmodes, sizeof(*st->modes));
	st->modes[st->nmodes++] = (struct mode_setting){ .scope = MODE_NAMESPACE, .ns = own(ns), .mode = mode,
							 .dflt = dflt };
}

static bool asked(void *arg, uint32_t zone, const struct addr *a)
{
	struct fix *x = (struct fix *)((struct shadow *)arg)->settle_arg;

	(void)zone;
	(void)a;
	x->asked++;
	return x->used;
}

static bool asked_net(void *arg, uint32_t zone, const struct prefix *p)
{
	(void)p;
	return asked(arg, zone, NULL);
}

static void fix_new(struct fix *x, const struct policy_limits *lim)
{
	static const struct policy_limits small = { .groups = 64, .wls = 64, .verdicts = 512, .rowtab = 8192,
						    .rows = 8192, .peers = 4096, .addrs = 64, .nets = 64 };

	memset(x, 0, sizeof(*x));
	x->st.default_mode = CW_MODE_ENFORCE;
	x->st.default_action = CW_ACT_BLOCK;
	x->st.node = own("n1");
	x->st.cluster_cidrs = calloc(1, sizeof(*x->st.cluster_cidrs));
	x->st.ncluster_cidrs = 1;
	assert_int_equal(prefix_parse("10.20.0.0/16", &x->st.cluster_cidrs[0]), 0);
	add_workload(x, "shop", "web", "web", "10.20.0.1");
	add_workload(x, "data", "db", "db", "10.20.0.2");
	assert_int_equal(policy_set_new(lim ? lim : &small, &x->set), 0);
	x->sh = shadow_new(policy_set_limits(x->set));
	assert_non_null(x->sh);
	x->sh->settle_arg = x;
	x->sh->sink.addr_used = asked;
	x->sh->sink.net_used = asked_net;
}

static void fix_done(struct fix *x)
{
	policy_set_free(x->set);
	shadow_free(x->sh);
	policy_state_done(&x->st);
}

static void put_ir(struct fix *x, const struct ir_rule *more, size_t n)
{
	struct fail_list f = {};
	struct policy_plan *plan;
	int r = policy_set_prepare_ir(x->set, &x->st, more, n, &f, &plan);

	if (r)
		fail_msg("prepare %d: %s", r, f.n ? f.items[0].message : "");
	assert_int_equal(policy_set_commit(x->set, plan, &x->sh->sink), 0);
}

static void put(struct fix *x)
{
	put_ir(x, NULL, 0);
}

static void collect(struct fix *x)
{
	while (policy_set_gc(x->set, &x->sh->sink, policy_set_seq(x->set)) > 0)
		;
}

static struct policy_answer ask(struct fix *x, const char *from_ns, const char *from, const char *to_ns, const char *to,
				uint32_t axis)
{
	struct policy_end s = { .ns = from_ns, .name = from_ns ? from : NULL };
	struct policy_end d = { .ns = to_ns, .name = to_ns ? to : NULL };
	struct policy_answer a;

	if (!from_ns)
		assert_int_equal(addr_parse(from, &s.addr), 0);
	if (!to_ns)
		assert_int_equal(addr_parse(to, &d.addr), 0);
	assert_int_equal(policy_set_query(x->set, &s, &d, axis, &a), 0);
	return a;
}

/* ---- precedence -------------------------------------------------------------------------------- */

struct said { enum rule_origin origin; enum cw_action action; };

static const struct {
	const char *what;
	struct said rule[3];	/* action 0: none */
	enum cw_action dflt;
	enum cw_action action;
	enum cw_tier tier;
	uint32_t id;		/* the deciding rule: 1, 2, 3 */
} precedence[] = {
	{ "nothing, default block", {}, CW_ACT_BLOCK, CW_ACT_BLOCK, CW_TIER_DEFAULT, 0 },
	{ "nothing, default allow", {}, CW_ACT_ALLOW, CW_ACT_ALLOW, CW_TIER_DEFAULT, 0 },
	{ "one allow", { { ORIGIN_MANUAL, CW_ACT_ALLOW } }, CW_ACT_BLOCK, CW_ACT_ALLOW, CW_TIER_MANUAL, 1 },
	{ "block over allow", { { ORIGIN_MANUAL, CW_ACT_ALLOW }, { ORIGIN_MANUAL, CW_ACT_BLOCK } }, CW_ACT_BLOCK,
	  CW_ACT_BLOCK, CW_TIER_MANUAL, 2 },
	{ "alert over allow", { { ORIGIN_MANUAL, CW_ACT_ALLOW }, { ORIGIN_MANUAL, CW_ACT_ALERT } }, CW_ACT_BLOCK,
	  CW_ACT_ALERT, CW_TIER_MANUAL, 2 },
	{ "block over alert", { { ORIGIN_MANUAL, CW_ACT_BLOCK }, { ORIGIN_MANUAL, CW_ACT_ALERT },
	  { ORIGIN_MANUAL, CW_ACT_ALLOW } }, CW_ACT_BLOCK, CW_ACT_BLOCK, CW_TIER_MANUAL, 1 },
	{ "manual allow over learned block", { { ORIGIN_LEARNED, CW_ACT_BLOCK }, { ORIGIN_MANUAL, CW_ACT_ALLOW } },
	  CW_ACT_BLOCK, CW_ACT_ALLOW, CW_TIER_MANUAL, 2 },
	{ "manual block over learned allow", { { ORIGIN_LEARNED, CW_ACT_ALLOW }, { ORIGIN_MANUAL, CW_ACT_BLOCK } },
	  CW_ACT_ALLOW, CW_ACT_BLOCK, CW_TIER_MANUAL, 2 },
	{ "learned block over learned allow", { { ORIGIN_LEARNED, CW_ACT_ALLOW }, { ORIGIN_LEARNED, CW_ACT_BLOCK } },
	  CW_ACT_ALLOW, CW_ACT_BLOCK, CW_TIER_LEARNED, 2 },
	{ "admin over manual", { { ORIGIN_MANUAL, CW_ACT_BLOCK }, { ORIGIN_ADMIN, CW_ACT_ALLOW } }, CW_ACT_BLOCK,
	  CW_ACT_ALLOW, CW_TIER_ADMIN, 2 },
	{ "networkpolicy over learned", { { ORIGIN_LEARNED, CW_ACT_BLOCK }, { ORIGIN_NETWORKPOLICY, CW_ACT_ALLOW } },
	  CW_ACT_BLOCK, CW_ACT_ALLOW, CW_TIER_NETWORKPOLICY, 2 },
	{ "manual over networkpolicy", { { ORIGIN_NETWORKPOLICY, CW_ACT_ALLOW }, { ORIGIN_MANUAL, CW_ACT_BLOCK } },
	  CW_ACT_BLOCK, CW_ACT_BLOCK, CW_TIER_MANUAL, 2 },
	{ "learned over baseline", { { ORIGIN_BASELINE, CW_ACT_BLOCK }, { ORIGIN_LEARNED, CW_ACT_ALLOW } },
	  CW_ACT_BLOCK, CW_ACT_ALLOW, CW_TIER_LEARNED, 2 },
	{ "baseline over default", { { ORIGIN_BASELINE, CW_ACT_ALLOW } }, CW_ACT_BLOCK, CW_ACT_ALLOW,
	  CW_TIER_BASELINE, 1 },
};

static void test_precedence(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(precedence) / sizeof(precedence[0]); i++) {
		struct policy_answer a;
		struct fix x;

		fix_new(&x, NULL);
		x.st.default_action = precedence[i].dflt;
		for (uint32_t k = 0; k < 3; k++)
			if (precedence[i].rule[k].action)
				add_rule(&x, k + 1, precedence[i].rule[k].origin, precedence[i].rule[k].action,
					 sel_app("shop", "web"), sel_app("data", "db"), "tcp/5432");
		put(&x);
		a = ask(&x, "shop", "web", "data", "db", TCP(5432));
		for (int s = 0; s < 2; s++) {
			const struct cw_verdict *v = &a.side[s].j.v;

			if (v->action != precedence[i].action || v->tier != precedence[i].tier ||
			    v->rule != precedence[i].id)
				fail_msg("%s, side %d: %u/%u/%u", precedence[i].what, s, v->action, v->tier, v->rule);
		}
		assert_int_equal(a.passes, precedence[i].action != CW_ACT_BLOCK);
		/* Another port is the default's. */
		a = ask(&x, "shop", "web", "data", "db", TCP(5433));
		assert_int_equal(a.side[CW_EGRESS].j.v.tier, CW_TIER_DEFAULT);
		fix_done(&x);
	}
}

static struct ir_rule ir(uint32_t id, enum cw_tier tier, enum ir_effect effect, int32_t priority,
			 const struct selector *subject, const struct selector *peer)
{
	return (struct ir_rule){ .rule = id, .side = CW_INGRESS, .tier = tier, .effect = effect, .priority = priority,
				 .subjects = subject, .nsubjects = 1, .peers = peer, .npeers = 1 };
}

static void test_pass_and_isolation(void **state)
{
	struct selector db = sel_app("data", "db"), web = sel_app("shop", "web"), any = { .kind = SEL_ANY };
	const struct {
		const char *what;
		struct ir_rule r[4];
		size_t n;
		enum cw_action action;
		enum cw_tier tier;
		uint32_t id, flags;
	} rows[] = {
		{ "smaller priority first", { ir(1, CW_TIER_ADMIN, IR_BLOCK, 5, &db, &web),
		  ir(2, CW_TIER_ADMIN, IR_ALLOW, 4, &db, &web) }, 2, CW_ACT_ALLOW, CW_TIER_ADMIN, 2, 0 },
		{ "pass leaves the admin tier", { ir(1, CW_TIER_ADMIN, IR_PASS, 1, &db, &web),
		  ir(2, CW_TIER_ADMIN, IR_BLOCK, 2, &db, &web), ir(3, CW_TIER_BASELINE, IR_ALLOW, 0, &db, &any) }, 3,
		  CW_ACT_ALLOW, CW_TIER_BASELINE, 3, 0 },
		{ "a later pass is too late", { ir(1, CW_TIER_ADMIN, IR_BLOCK, 1, &db, &web),
		  ir(2, CW_TIER_ADMIN, IR_PASS, 2, &db, &web) }, 2, CW_ACT_BLOCK, CW_TIER_ADMIN, 1, 0 },
		{ "pass in baseline goes to the default", { ir(1, CW_TIER_BASELINE, IR_PASS, 1, &db, &web),
		  ir(2, CW_TIER_BASELINE, IR_ALLOW, 2, &db, &web) }, 2, CW_ACT_BLOCK, CW_TIER_DEFAULT, 0, 0 },
		{ "one policy isolates", { ir(7, CW_TIER_NETWORKPOLICY, IR_ISOLATE, 0, &db, &any) }, 1, CW_ACT_BLOCK,
		  CW_TIER_NETWORKPOLICY, 7, CW_V_ISOLATED },
		{ "several isolate", { ir(7, CW_TIER_NETWORKPOLICY, IR_ISOLATE, 0, &db, &any),
		  ir(8, CW_TIER_NETWORKPOLICY, IR_ISOLATE, 0, &db, &any) }, 2, CW_ACT_BLOCK, CW_TIER_NETWORKPOLICY, 0,
		  CW_V_ISOLATED },
		{ "isolated and allowed", { ir(7, CW_TIER_NETWORKPOLICY, IR_ISOLATE, 0, &db, &any),
		  ir(8, CW_TIER_NETWORKPOLICY, IR_ALLOW, 0, &db, &web) }, 2, CW_ACT_ALLOW, CW_TIER_NETWORKPOLICY, 8, 0 },
		{ "allowed without isolation", { ir(8, CW_TIER_NETWORKPOLICY, IR_ALLOW, 0, &db, &web) }, 1,
		  CW_ACT_ALLOW, CW_TIER_NETWORKPOLICY, 8, 0 },
		{ "pass over isolation", { ir(1, CW_TIER_ADMIN, IR_PASS, 1, &db, &web),
		  ir(7, CW_TIER_NETWORKPOLICY, IR_ISOLATE, 0, &db, &any) }, 2, CW_ACT_BLOCK, CW_TIER_NETWORKPOLICY, 7,
		  CW_V_ISOLATED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_answer a;
		struct fix x;

		fix_new(&x, NULL);
		put_ir(&x, rows[i].r, rows[i].n);
		a = ask(&x, "shop", "web", "data", "db", TCP(5432));
		if (a.side[1].j.v.action != rows[i].action || a.side[1].j.v.tier != rows[i].tier ||
		    a.side[1].j.v.rule != rows[i].id || a.side[1].j.v.flags != rows[i].flags)
			fail_msg("%s: %u/%u/%u %#x", rows[i].what, a.side[1].j.v.action, a.side[1].j.v.tier,
				 a.side[1].j.v.rule, a.side[1].j.v.flags);
		fix_done(&x);
	}
	selector_done(&db);
	selector_done(&web);
}

static void test_own_mode_alert(void **state)
{
	struct policy_answer a;
	struct fix x;

	(void)state;
	fix_new(&x, NULL);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("data", "db"), NULL);
	add_rule(&x, 2, ORIGIN_MANUAL, CW_ACT_BLOCK, sel_app("shop", "web"), sel_app("data", "db"), "tcp/22")->mode =
		CW_MODE_ALERT;
	put(&x);
	a = ask(&x, "shop", "web", "data", "db", TCP(22));
	assert_true(a.passes);
	assert_int_equal(a.side[1].j.outcome, CW_OUT_ALLOW);
	assert_int_equal(a.side[1].j.adv_outcome, CW_OUT_DROP);
	assert_int_equal(a.side[1].j.v.flags, CW_V_ADV);
	assert_int_equal(a.side[1].j.v.adv_rule, 2);
	a = ask(&x, "shop", "web", "data", "db", TCP(80));
	assert_int_equal(a.side[1].j.v.flags, 0);
	fix_done(&x);
}

static void test_enforce_always(void **state)
{
	struct selector db = sel_app("data", "db"), any = { .kind = SEL_ANY };
	struct ir_rule isolate = ir(9, CW_TIER_NETWORKPOLICY, IR_ISOLATE, 0, &db, &any);
	static const struct { enum cw_mode mode; bool always; enum cw_outcome outcome; } rows[] = {
		{ CW_MODE_OFF, false, CW_OUT_NONE },	       { CW_MODE_OFF, true, CW_OUT_NONE },
		{ CW_MODE_LEARN, false, CW_OUT_ALLOW },	       { CW_MODE_LEARN, true, CW_OUT_DROP },
		{ CW_MODE_ALERT, false, CW_OUT_ALLOW },	       { CW_MODE_ALERT, true, CW_OUT_DROP },
		{ CW_MODE_ENFORCE, false, CW_OUT_ALLOW },      { CW_MODE_ENFORCE, true, CW_OUT_ALLOW },
	};
	struct policy_answer a;
	struct fix x;

	(void)state;
	/* A manual allow outranks the isolation, but the tiers that always hold are judged alone. */
	fix_new(&x, NULL);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("data", "db"), NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		x.st.enforce_always = rows[i].always ? 1u << CW_TIER_NETWORKPOLICY : 0;
		set_mode(&x, "data", rows[i].mode, CW_ACT_BLOCK);
		put_ir(&x, &isolate, 1);
		a = ask(&x, "shop", "web", "data", "db", TCP(5432));
		assert_int_equal(a.side[1].mode, rows[i].mode);
		if (a.side[1].j.outcome != rows[i].outcome)
			fail_msg("mode %d always %d: outcome %d", rows[i].mode, rows[i].always, a.side[1].j.outcome);
	}
	selector_done(&db);
	fix_done(&x);
}

static void test_sides_of_rules(void **state)
{
	struct policy_answer a;
	struct rule *r;
	struct fix x;

	(void)state;
	/* A namespaced rule speaks for its own namespace's side only. */
	fix_new(&x, NULL);
	r = add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app(NULL, "db"), NULL);
	r->ns = own("data");
	put(&x);
	a = ask(&x, "shop", "web", "data", "db", TCP(5432));
	assert_int_equal(a.side[CW_EGRESS].j.v.tier, CW_TIER_DEFAULT);
	assert_int_equal(a.side[CW_INGRESS].j.v.rule, 1);
	assert_false(a.passes);
	fix_done(&x);
	/* Only workloads of this node have groups. */
	fix_new(&x, NULL);
	free(x.st.workloads[1].node);
	x.st.workloads[1].node = own("n2");
	put(&x);
	a = ask(&x, "shop", "web", "data", "db", TCP(5432));
	assert_true(a.side[CW_EGRESS].judged);
	assert_false(a.side[CW_INGRESS].judged);
	assert_int_equal(a.dst_meaning.realm, CW_REALM_POD);
	assert_int_equal(a.dst_meaning.group, 0);
	fix_done(&x);
}

static void test_quarantine(void **state)
{
	struct quarantine *q;
	struct policy_answer a;
	struct fix x;

	(void)state;
	fix_new(&x, NULL);
	add_rule(&x, 1, ORIGIN_ADMIN, CW_ACT_ALLOW, (struct selector){ .kind = SEL_ANY },
		 (struct selector){ .kind = SEL_ANY }, NULL);
	set_mode(&x, "shop", CW_MODE_OFF, CW_ACT_ALLOW);
	put(&x);
	assert_true(ask(&x, "shop", "web", "data", "db", TCP(5432)).passes);
	x.st.quarantines = calloc(1, sizeof(*q));
	x.st.nquarantines = 1;
	q = &x.st.quarantines[0];
	q->name = own("q");
	q->ns = own("shop");
	q->pod = own("web");
	q->allow = calloc(1, sizeof(*q->allow));
	q->nallow = 1;
	assert_int_equal(prefix_parse("192.0.2.10/32", &q->allow[0].cidr), 0);
	q->allow[0].ports = calloc(1, sizeof(struct port_spec));
	q->allow[0].nports = 1;
	assert_int_equal(port_spec_parse("tcp/22", &q->allow[0].ports[0]), 0);
	put(&x);
	/* Holds in mode off, both ways, but for its exceptions. */
	a = ask(&x, "shop", "web", "data", "db", TCP(5432));
	assert_false(a.passes);
	assert_true(a.side[CW_EGRESS].quarantined);
	assert_false(a.side[CW_INGRESS].quarantined);
	assert_int_equal(a.side[CW_EGRESS].reason, CW_R_QUARANTINE);
	assert_int_equal(a.side[CW_EGRESS].j.outcome, CW_OUT_DROP);
	assert_int_equal(a.side[CW_EGRESS].step[CW_TIER_QUARANTINE].said, SAID_ACTION);
	assert_int_equal(a.side[CW_EGRESS].step[CW_TIER_ADMIN].said, SAID_NOT_ASKED);
	assert_false(ask(&x, "data", "db", "shop", "web", TCP(80)).passes);
	assert_false(ask(&x, NULL, "192.0.2.11", "shop", "web", TCP(22)).passes);
	assert_true(ask(&x, NULL, "192.0.2.10", "shop", "web", TCP(22)).passes);
	assert_false(ask(&x, NULL, "192.0.2.10", "shop", "web", TCP(23)).passes);
	x.st.nquarantines = 0;
	put(&x);
	assert_true(ask(&x, "shop", "web", "data", "db", TCP(5432)).passes);
	x.st.nquarantines = 1;
	fix_done(&x);
}

static void test_unknown(void **state)
{
	struct policy_answer a;
	struct fix x;

	(void)state;
	/* `any` does not speak of what is not resolved; a CIDR that covers it does. */
	fix_new(&x, NULL);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, (struct selector){ .kind = SEL_ANY }, sel_app("shop", "web"), NULL);
	put(&x);
	assert_true(ask(&x, NULL, "198.51.100.1", "shop", "web", TCP(80)).passes);
	a = ask(&x, NULL, "10.20.9.9", "shop", "web", TCP(80));
	assert_false(a.passes);
	assert_int_equal(a.side[CW_INGRESS].reason, CW_R_IDENTITY_LATE);
	add_rule(&x, 2, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_cidr("10.20.9.0/24"), sel_app("shop", "web"), NULL);
	put(&x);
	assert_true(ask(&x, NULL, "10.20.9.9", "shop", "web", TCP(80)).passes);
	fix_done(&x);
}

static void test_reason_chain(void **state)
{
	static const uint8_t want[CW_TIER_COUNT] = {
		[CW_TIER_QUARANTINE] = SAID_NONE, [CW_TIER_ADMIN] = SAID_PASS, [CW_TIER_MANUAL] = SAID_NO_MATCH,
		[CW_TIER_NETWORKPOLICY] = SAID_ISOLATED,
	};
	struct selector db = sel_app("data", "db"), web = sel_app("shop", "web"), any = { .kind = SEL_ANY };
	struct ir_rule more[] = { ir(7, CW_TIER_NETWORKPOLICY, IR_ISOLATE, 0, &db, &any),
				  ir(8, CW_TIER_ADMIN, IR_PASS, 0, &db, &web) };
	struct policy_usage u;
	struct policy_answer a;
	struct fix x;
	uint32_t ids[4];

	(void)state;
	fix_new(&x, NULL);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "other"), sel_app("data", "db"), NULL);
	put_ir(&x, more, 2);
	a = ask(&x, "shop", "web", "data", "db", TCP(5432));
	for (int t = 0; t < CW_TIER_COUNT; t++)
		if (a.side[1].step[t].said != want[t])
			fail_msg("tier %d said %d", t, a.side[1].step[t].said);
	assert_int_equal(a.side[1].reason, CW_R_ISOLATED);
	assert_int_equal(a.side[1].step[CW_TIER_NETWORKPOLICY].rule, 7);
	assert_int_equal(policy_set_isolating(x.set, a.side[1].group, CW_INGRESS, ids, 4), 1);
	assert_int_equal(ids[0], 7);
	assert_int_equal(policy_set_rule_usage(x.set, 8, &u), 0);
	assert_int_equal(u.sides, 1);
	assert_int_equal(policy_set_rule_usage(x.set, 4711, &u), -ENOENT);
	selector_done(&db);
	selector_done(&web);
	fix_done(&x);
}

/* ---- capacity --------------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
	static const struct { const char *what; struct policy_limits lim; const char *message, *at; } rows[] = {
		{ "groups", { .groups = 2 }, "groups full", NULL },
		{ "workloads", { .wls = 2 }, "workload numbers full", NULL },
		{ "addresses", { .addrs = 1 }, "IPv4 addresses full", NULL },
		{ "prefixes", { .nets = 4 }, "IPv4 prefixes full", "rule r2" },
		{ "entries", { .peers = 1 }, "class entries full", "rule r2" },
		{ "verdicts", { .verdicts = 3 }, "verdict records full", NULL },
		{ "row table", { .rowtab = 40 }, "row table full", "rule r2" },
		{ "rows", { .rows = 3 }, "row pool full", "rule r2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_limits lim = rows[i].lim;
		struct fail_list f = {};
		struct policy_plan *plan = NULL;
		struct policy_answer a;
		struct fix x;
		uint64_t writes;
		int r;

		lim.groups = lim.groups ? lim.groups : 64;
		lim.rowtab = lim.rowtab ? lim.rowtab : 8192;
		lim.rows = lim.rows ? lim.rows : 8192;
		lim.verdicts = lim.verdicts ? lim.verdicts : 256;
		fix_new(&x, &lim);
		/* A first set that fits, then one that does not. */
		free(x.st.workloads[1].node);
		x.st.workloads[1].node = own("n2");
		if (lim.addrs != 1)
			put(&x);
		else
			x.st.nworkloads = 1, put(&x), x.st.nworkloads = 2;
		free(x.st.workloads[1].node);
		x.st.workloads[1].node = own("n1");
		add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("data", "db"), "tcp/80");
		add_rule(&x, 2, ORIGIN_MANUAL, CW_ACT_BLOCK, sel_cidr("192.0.2.0/24"), sel_app("data", "db"), "tcp/443");
		add_rule(&x, 3, ORIGIN_MANUAL, CW_ACT_ALERT, sel_app("shop", "web"), sel_app("data", "db"), "tcp/90");
		x.sh->fail_after = 1u << 30; /* counts */
		writes = x.sh->writes;
		r = policy_set_prepare(x.set, &x.st, &f, &plan);
		if (r != -E2BIG || !f.n || strncmp(f.items[0].message, rows[i].message, strlen(rows[i].message)) ||
		    (rows[i].at && (!f.items[0].at || strcmp(f.items[0].at, rows[i].at))))
			fail_msg("%s: %d %s (%s)", rows[i].what, r, f.n ? f.items[0].message : "-",
				 f.n && f.items[0].at ? f.items[0].at : "-");
		assert_null(plan);
		assert_int_equal(x.sh->writes, writes);
		/* The last good set stays in force, and one that fits again is taken. */
		a = ask(&x, "shop", "web", NULL, "192.0.2.1", TCP(80));
		assert_int_equal(a.side[0].j.v.tier, CW_TIER_DEFAULT);
		for (size_t k = 0; k < x.st.nrules; k++)
			x.st.rules[k].enabled = false;
		free(x.st.workloads[1].node);
		x.st.workloads[1].node = own("n2");
		if (lim.addrs == 1)
			x.st.nworkloads = 1;
		put(&x);
		x.st.nworkloads = 2;
		collect(&x);
		fail_list_done(&f);
		fix_done(&x);
	}
}

static void test_bad_rules(void **state)
{
	static const struct { enum selector_kind kind; enum cw_action action; const char *name; } rows[] = {
		{ SEL_FQDN, CW_ACT_BLOCK, "rule.fqdn-block" },
		{ SEL_FQDN, CW_ACT_ALLOW, "rule.fqdn" },
		{ SEL_SERVICE, CW_ACT_ALLOW, "rule.service-name" },
		{ SEL_RESERVED, CW_ACT_ALLOW, "rule.reserved" },
		{ SEL_ANY, CW_ACT_NONE, "rule.action" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fail_list f = {};
		struct policy_plan *plan = NULL;
		struct fix x;

		fix_new(&x, NULL);
		put(&x);
		add_rule(&x, 1, ORIGIN_MANUAL, rows[i].action, sel_app("shop", "web"),
			 (struct selector){ .kind = rows[i].kind, .reserved = 99 }, NULL);
		assert_int_equal(policy_set_prepare(x.set, &x.st, &f, &plan), -EINVAL);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, rows[i].name);
		x.st.rules[0].enabled = false;
		put(&x);
		fail_list_done(&f);
		fix_done(&x);
	}
}

/* ---- numbers and generations ---------------------------------------------------------------------------- */

static uint32_t gen_of(const struct fix *x, const char *ns, const char *name, int side)
{
	struct policy_wl w;

	assert_int_equal(policy_set_wl(x->set, ns, name, &w), 0);
	return CW_WORD_GEN(x->sh->words[w.group * 2 + (uint32_t)side]);
}

static void test_generations(void **state)
{
	uint32_t web, db, group;
	struct policy_wl w;
	struct fix x;

	(void)state;
	fix_new(&x, NULL);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("data", "db"), "tcp/5432");
	put(&x);
	web = gen_of(&x, "shop", "web", CW_EGRESS);
	db = gen_of(&x, "data", "db", CW_INGRESS);
	assert_true(web && db);
	/* Nothing changed: nothing is judged again. */
	put(&x);
	assert_int_equal(gen_of(&x, "shop", "web", CW_EGRESS), web);
	/* A mode is a word: the same group, another generation, and nobody else's. */
	assert_int_equal(policy_set_wl(x.set, "data", "db", &w), 0);
	group = w.group;
	set_mode(&x, "data", CW_MODE_LEARN, CW_ACT_BLOCK);
	put(&x);
	assert_int_equal(policy_set_wl(x.set, "data", "db", &w), 0);
	assert_int_equal(w.group, group);
	assert_int_equal(w.mode, CW_MODE_LEARN);
	assert_int_not_equal(gen_of(&x, "data", "db", CW_INGRESS), db);
	assert_int_equal(gen_of(&x, "shop", "web", CW_EGRESS), web);
	/* A new pod whose address nobody had judged moves no generation. */
	x.used = false;
	add_workload(&x, "shop", "cart", "cart", "10.20.0.3");
	put(&x);
	assert_true(x.asked > 0);
	assert_int_equal(gen_of(&x, "shop", "web", CW_EGRESS), web);
	/* One that was judged as unknown does; so does one that goes. */
	x.used = true;
	add_workload(&x, "shop", "job", "job", "10.20.0.4");
	put(&x);
	assert_int_not_equal(gen_of(&x, "shop", "web", CW_EGRESS), web);
	web = gen_of(&x, "shop", "web", CW_EGRESS);
	workload_done(&x.st.workloads[--x.st.nworkloads]);
	put(&x);
	assert_int_not_equal(gen_of(&x, "shop", "web", CW_EGRESS), web);
	collect(&x);
	fix_done(&x);
}

static void test_numbers(void **state)
{
	struct policy_limits lim = { .groups = 64, .wls = 64, .verdicts = 256, .rowtab = 4096, .rows = 4096,
				     .keep_groups = { 1, 10 }, .keep_wls = { 1, 5 }, .keep_verdicts = { 1, 20 },
				     .keep_rowtab = { 0, 512 }, .keep_rows = { 0, 128 }, .first_eid = 1000,
				     .first_gen = 77 };
	struct ident_info info = {};
	struct policy_eid e;
	struct policy_wl w;
	struct cw_addr a;
	struct fix x;

	(void)state;
	/* After a restart: whatever the former process has in the maps is not touched. */
	fix_new(&x, &lim);
	info.ns = own("shop");
	info.ns_labels.n = 0;
	assert_int_equal(labels_set(&info.ns_labels, "kubernetes.io/metadata.name", "shop"), 0);
	assert_int_equal(labels_set(&info.labels, "app", "web"), 0);
	assert_int_equal(policy_set_ident_preload(x.set, 4242, &info), 0);
	assert_int_equal(policy_set_ident_preload(x.set, 4243, &info), -EEXIST);
	assert_int_equal(policy_set_ident_preload(x.set, 3, &info), -ERANGE);
	ident_info_done(&info);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("data", "db"), "tcp/5432");
	put(&x);
	assert_int_equal(policy_set_wl(x.set, "shop", "web", &w), 0);
	assert_in_range(w.group, 10, 63);
	assert_in_range(w.wl, 5, 63);
	assert_int_equal(gen_of(&x, "shop", "web", 0), 78);
	for (uint32_t i = 0; i < 512; i++)
		assert_int_equal(x.sh->rowtab[i], 0);
	for (uint32_t i = 1; i < 20; i++)
		assert_int_equal(x.sh->verdicts[i].action, CW_ACT_NONE);
	assert_int_equal(policy_set_addr(x.set, 0, &x.st.workloads[0].addrs[0], &a), 0);
	assert_true(a.eid >= 1000);
	assert_int_equal(policy_set_eid_describe(x.set, a.eid, &e), 0);
	assert_int_equal(e.ident, 4242);
	assert_string_equal(e.ns, "shop");
	assert_string_equal(e.name, "web");
	assert_int_equal(e.nworkloads, 1);
	assert_string_equal(labels_get(&e.info->labels, "app"), "web");
	assert_int_equal(policy_set_eid_describe(x.set, CW_ID_WORLD, &e), 0);
	assert_int_equal(e.reserved, CW_ID_WORLD);
	policy_set_keep_done(x.set);
	assert_int_equal(policy_set_wl_by_number(x.set, w.wl, &w), 0);
	assert_string_equal(w.name, "web");
	fix_done(&x);
}

static void test_eid_numbers_are_not_reused(void **state)
{
	struct cw_addr before, after;
	struct fix x;

	(void)state;
	fix_new(&x, NULL);
	put(&x);
	assert_int_equal(policy_set_addr(x.set, 0, &x.st.workloads[0].addrs[0], &before), 0);
	assert_int_equal(labels_set(&x.st.workloads[0].labels, "app", "other"), 0);
	put(&x);
	collect(&x);
	assert_int_equal(labels_set(&x.st.workloads[0].labels, "app", "third"), 0);
	put(&x);
	collect(&x);
	assert_int_equal(policy_set_addr(x.set, 0, &x.st.workloads[0].addrs[0], &after), 0);
	assert_true(after.eid > before.eid + 1);
	assert_int_equal(after.wl, before.wl);
	fix_done(&x);
}

static void test_owner_conflict(void **state)
{
	struct policy_stats s;
	struct cw_addr a;
	struct policy_wl w;
	struct fix x;

	(void)state;
	/* An address that two claim belongs to the local one, whatever the order. */
	fix_new(&x, NULL);
	free(x.st.workloads[0].node);
	x.st.workloads[0].node = own("n2");
	x.st.workloads[0].addrs[0] = x.st.workloads[1].addrs[0];
	put(&x);
	assert_int_equal(policy_set_addr(x.set, 0, &x.st.workloads[0].addrs[0], &a), 0);
	assert_int_equal(policy_set_wl(x.set, "data", "db", &w), 0);
	assert_int_equal(a.wl, w.wl);
	policy_set_stats(x.set, &s);
	assert_int_equal(s.addr_conflicts, 1);
	/* When it goes, the other one has it. */
	workload_done(&x.st.workloads[--x.st.nworkloads]);
	put(&x);
	assert_int_equal(policy_set_addr(x.set, 0, &x.st.workloads[0].addrs[0], &a), 0);
	assert_int_equal(a.wl, 0);
	assert_int_equal(a.realm, CW_REALM_POD);
	policy_set_stats(x.set, &s);
	assert_int_equal(s.addr_conflicts, 0);
	fix_done(&x);
}

static void test_plan_tells_the_future(void **state)
{
	struct policy_end web = { .ns = "shop", .name = "web" }, db = { .ns = "data", .name = "db" };
	struct policy_answer now, then;
	struct policy_plan_info info;
	struct policy_plan *plan;
	struct fix x;

	(void)state;
	fix_new(&x, NULL);
	put(&x);
	add_rule(&x, 1, ORIGIN_MANUAL, CW_ACT_ALLOW, sel_app("shop", "web"), sel_app("data", "db"), "tcp/5432");
	assert_int_equal(policy_set_prepare(x.set, &x.st, NULL, &plan), 0);
	policy_plan_info(plan, &info);
	assert_int_equal(info.words, 2);
	assert_int_equal(policy_set_query(x.set, &web, &db, TCP(5432), &now), 0);
	assert_int_equal(policy_plan_query(plan, &web, &db, TCP(5432), &then), 0);
	assert_false(now.passes);
	assert_true(then.passes);
	assert_int_equal(policy_set_prepare(x.set, &x.st, NULL, &plan), -EBUSY);
	assert_int_equal(policy_set_gc(x.set, &x.sh->sink, policy_set_seq(x.set)), -EBUSY);
	assert_int_equal(policy_set_commit(x.set, plan, &x.sh->sink), 0);
	assert_true(ask(&x, "shop", "web", "data", "db", TCP(5432)).passes);
	fix_done(&x);
}

static void test_builtins(void **state)
{
	struct policy_end web = { .ns = "shop", .name = "web" }, node = {}, nobody = { .ns = "shop", .name = "nobody" };
	struct policy_end v6 = {};
	struct policy_answer a;
	struct fix x;

	(void)state;
	fix_new(&x, NULL);
	x.st.nodes = calloc(1, sizeof(*x.st.nodes));
	x.st.nnodes = 1;
	x.st.nodes[0].name = own("n1");
	x.st.nodes[0].addrs = calloc(1, sizeof(struct addr));
	x.st.nodes[0].naddrs = 1;
	assert_int_equal(addr_parse("10.20.1.1", &x.st.nodes[0].addrs[0]), 0);
	put(&x);
	assert_int_equal(addr_parse("10.20.1.1", &node.addr), 0);
	assert_int_equal(addr_parse("2001:db8::1", &v6.addr), 0);
	assert_int_equal(policy_set_query(x.set, &node, &web, TCP(80), &a), 0);
	assert_int_equal(a.builtin, CW_R_LOCAL_NODE);
	assert_true(a.passes);
	assert_int_equal(policy_set_query(x.set, &web, &web, TCP(80), &a), 0);
	assert_int_equal(a.builtin, CW_R_SELF);
	assert_int_equal(policy_set_query(x.set, &web, &nobody, TCP(80), &a), -ENOENT);
	assert_int_equal(policy_set_query(x.set, &web, &v6, TCP(80), &a), -EAFNOSUPPORT);
	x.st.local_node = CW_CTL_LOCAL_NODE_RULES;
	put(&x);
	assert_int_equal(policy_set_query(x.set, &node, &web, TCP(80), &a), 0);
	assert_int_equal(a.builtin, 0);
	assert_false(a.passes);
	fix_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence),	  cmocka_unit_test(test_pass_and_isolation),
		cmocka_unit_test(test_own_mode_alert),	  cmocka_unit_test(test_enforce_always),
		cmocka_unit_test(test_sides_of_rules),	  cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_unknown),		  cmocka_unit_test(test_reason_chain),
		cmocka_unit_test(test_refusals),	  cmocka_unit_test(test_bad_rules),
		cmocka_unit_test(test_generations),	  cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_eid_numbers_are_not_reused), cmocka_unit_test(test_owner_conflict),
		cmocka_unit_test(test_plan_tells_the_future), cmocka_unit_test(test_builtins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
