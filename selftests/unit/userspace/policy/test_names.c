/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about names by hand: patterns, tiers, what is refused, what a change may not show, what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "selftests/harness/policy/naive.h"
#include "selftests/harness/policy/world.h"

static const struct policy_limits limits = { .groups = SHADOW_GROUPS, .wls = 512, .verdicts = 16384, .rowtab = 262144,
					     .rows = 262144, .peers = 400000, .addrs = 1000, .nets = 1000,
					     .patterns = SHADOW_PATTERNS, .named = 30000, .all_local = true };

struct hand {
	struct policy_state st;
	struct workload w;
	struct namespace ns;
	struct addr own;
	struct rule rule[8];
	struct selector from, to[8], wide;
	struct policy_set *set;
	struct shadow *sh;
	uint32_t settled, switched;
	uint32_t before[WORLD_NAMES];	/* rule that lets each name pass until the first word is stored */
};

static void count_settle(void *arg)
{
	((struct hand *)arg)->settled++;
}

static struct addr A(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

/* Workload shop/web, and rules from it to what `to` says; rule 0 blocks the world. */
static void hand_new(struct hand *h, const struct policy_limits *lim)
{
	static char ns[] = "shop", name[] = "web";
	static char names[8][3] = { "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7" };

	memset(h, 0, sizeof(*h));
	h->own = A("10.0.0.5");
	h->w = (struct workload){ .ns = ns, .name = name, .addrs = &h->own, .naddrs = 1 };
	h->from = (struct selector){ .kind = SEL_WORKLOAD, .ns = ns };
	h->wide = (struct selector){ .kind = SEL_RESERVED, .reserved = CW_ID_WORLD };
	for (uint32_t i = 0; i < 8; i++)
		h->rule[i] = (struct rule){ .id = i + 1, .name = names[i], .origin = ORIGIN_LEARNED, .action = CW_ACT_ALLOW,
					    .mode = CW_MODE_ENFORCE, .enabled = true, .from = &h->from, .nfrom = 1,
					    .to = &h->to[i], .nto = 1 };
	h->st = (struct policy_state){ .default_mode = CW_MODE_ENFORCE, .default_action = CW_ACT_BLOCK, .workloads = &h->w,
				       .nworkloads = 1, .rules = h->rule };
	assert_int_equal(policy_set_new(lim, &h->set), 0);
	h->sh = shadow_new(policy_set_limits(h->set));
	assert_non_null(h->sh);
	h->sh->set = h->set;
	h->sh->settle = count_settle;
	h->sh->settle_arg = h;
}

static void hand_name(struct hand *h, uint32_t i, const char *name)
{
	h->to[i] = (struct selector){ .kind = SEL_FQDN, .fqdn = (char *)name };
	if (h->st.nrules <= i)
		h->st.nrules = i + 1;
}

static int hand_put(struct hand *h, struct fail_list *f)
{
	struct policy_plan *plan;
	int r = policy_set_prepare(h->set, &h->st, f, &plan);

	return r ? r : policy_set_commit(h->set, plan, &h->sh->sink);
}

static void hand_collect(struct hand *h)
{
	int r;

	while ((r = policy_set_gc(h->set, &h->sh->sink, policy_set_seq(h->set))) > 0)
		;
	assert_int_equal(r, 0);
}

static void hand_done(struct hand *h)
{
	policy_set_free(h->set);
	shadow_free(h->sh);
}

static struct policy_side_answer ask(struct hand *h, const char *addr, const char *const *names, size_t n)
{
	struct policy_end src = { .ns = "shop", .name = "web" }, dst = { .addr = A(addr), .names = names, .nnames = n };
	struct policy_answer a;

	assert_int_equal(policy_set_query(h->set, &src, &dst, CW_AXIS(IPPROTO_TCP, 443), &a), 0);
	return a.side[CW_EGRESS];
}

static void test_patterns(void **state)
{
	static const struct { const char *name; bool passes; } t[] = {
		{ "pay.example.com", true }, { "PAY.Example.Com.", true }, { "example.com", false },
		{ "x.pay.example.com", false }, { "payxexample.com", false }, { "a.wild.org", true },
		{ "a.b.wild.org", true }, { "wild.org", false }, { "awild.org", false }, { "wild.org.evil.net", false },
		{ "pay.example.com.evil.net", false }, { "", false }, { ".", false }, { "..", false },
	};
	struct policy_side_answer s;
	struct hand h;

	(void)state;
	hand_new(&h, &limits);
	hand_name(&h, 0, "pay.example.com");
	hand_name(&h, 1, "*.Wild.ORG.");
	assert_int_equal(hand_put(&h, NULL), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *name = t[i].name;

		print_message("  \"%s\"\n", name);
		s = ask(&h, "203.0.113.9", &name, 1);
		assert_int_equal(s.j.v.action, t[i].passes ? CW_ACT_ALLOW : CW_ACT_BLOCK);
		assert_ptr_equal(s.name, t[i].passes ? name : NULL);
		assert_int_equal(policy_set_name_class(h.set, name) != 0, t[i].passes);
	}
	/* Without a name, and for addresses of somebody, names open nothing. */
	assert_int_equal(ask(&h, "203.0.113.9", NULL, 0).j.v.action, CW_ACT_BLOCK);
	assert_int_equal(ask(&h, "10.0.0.5", (const char *const[]){ "pay.example.com" }, 1).j.v.action, CW_ACT_BLOCK);
	/* Several names: the first that opens it is named. */
	s = ask(&h, "203.0.113.9", (const char *const[]){ "cdn.net", "a.wild.org", "pay.example.com" }, 3);
	assert_int_equal(s.j.v.action, CW_ACT_ALLOW);
	hand_done(&h);
}

static void test_too_many_names(void **state)
{
	static const char *const five[] = { "a.b", "b.b", "c.b", "d.b", "e.b" };
	struct policy_end src = { .ns = "shop", .name = "web" }, dst = { .names = five, .nnames = 5 };
	struct policy_answer a;
	struct hand h;

	(void)state;
	hand_new(&h, &limits);
	assert_int_equal(hand_put(&h, NULL), 0);
	dst.addr = A("203.0.113.9");
	assert_int_equal(policy_set_query(h.set, &src, &dst, 0, &a), -E2BIG);
	hand_done(&h);
}

/* Rules of higher tiers on networks, and what a name can do about them. */
static void test_tiers(void **state)
{
	static const struct {
		const char *what;
		enum rule_origin wide, name;
		enum cw_action wide_action;
		bool passes;
	} t[] = {
		{ "a manual block holds against a learned name", ORIGIN_MANUAL, ORIGIN_LEARNED, CW_ACT_BLOCK, false },
		{ "in one tier block wins", ORIGIN_MANUAL, ORIGIN_MANUAL, CW_ACT_BLOCK, false },
		{ "an admin name opens a manual block", ORIGIN_MANUAL, ORIGIN_ADMIN, CW_ACT_BLOCK, true },
		{ "a manual name opens a baseline block", ORIGIN_BASELINE, ORIGIN_MANUAL, CW_ACT_BLOCK, true },
		{ "what is open stays open", ORIGIN_MANUAL, ORIGIN_LEARNED, CW_ACT_ALLOW, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *name = "pay.example.com";
		struct hand h;

		print_message("  %s\n", t[i].what);
		hand_new(&h, &limits);
		hand_name(&h, 1, name);
		h.to[0] = h.wide;
		h.rule[0].origin = t[i].wide;
		h.rule[0].action = t[i].wide_action;
		h.rule[1].origin = t[i].name;
		assert_int_equal(hand_put(&h, NULL), 0);
		assert_int_equal(ask(&h, "203.0.113.9", &name, 1).j.v.action == CW_ACT_ALLOW, t[i].passes);
		hand_done(&h);
	}
}

static uint32_t rule_by_name(struct hand *h, uint32_t name)
{
	struct addr peer = A("203.0.113.9");
	struct cw_addr me, who;
	struct cw_verdict v;
	uint64_t word;

	assert_true(shadow_addr(h->sh, &h->own, &me) && shadow_addr(h->sh, &peer, &who));
	assert_int_equal(shadow_eval_named(h->sh, me.group, who.eid, who.realm, CW_AXIS(IPPROTO_TCP, 1), &name, 1,
					   &word, &v), 0);
	return v.rule;
}

static void old_words(void *arg)
{
	struct hand *h = arg;

	for (uint32_t i = 0; i < WORLD_NAMES && !h->switched; i++)
		assert_int_equal(rule_by_name(h, i), h->before[i]);
	h->switched++;
}

/* When the first word is stored every name has the class it ends in or one like it, and the old verdict. */
static void test_before_the_switch(void **state)
{
	/* Which rule lists which pattern, before and after. */
	static const struct { const char *what, *pattern[2][4]; uint32_t rule[2][4]; } t[] = {
		{ "two classes become one", { { "other.org", "x.cdn.net" }, { "other.org", "x.cdn.net" } },
		  { { 1, 2 }, { 3, 3 } } },
		{ "one becomes two", { { "other.org", "x.cdn.net" }, { "other.org", "x.cdn.net" } },
		  { { 3, 3 }, { 1, 2 } } },
		{ "a wildcard beneath an exact name goes", { { "*.example.com", "pay.example.com" }, { "pay.example.com" } },
		  { { 1, 2 }, { 2 } } },
		{ "an exact name on a wildcard goes", { { "*.example.com", "pay.example.com" }, { "*.example.com" } },
		  { { 2, 1 }, { 2 } } },
		{ "a longer wildcard comes between", { { "*.example.com" }, { "*.example.com", "*.b.example.com" } },
		  { { 2 }, { 2, 1 } } },
		{ "names come to be known", { { NULL }, { "*.net", "x.cdn.net", "other.org" } }, { { 0 }, { 3, 1, 1 } } },
		{ "none is any more", { { "*.net", "x.cdn.net", "other.org" }, { NULL } }, { { 3, 1, 1 }, { 0 } } },
		{ "rules change places", { { "*.net", "x.cdn.net" }, { "*.net", "x.cdn.net" } }, { { 1, 2 }, { 2, 1 } } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct selector to[4][4];
		struct hand h;

		print_message("  %s\n", t[i].what);
		hand_new(&h, &limits);
		for (int step = 0; step < 2; step++) {
			size_t n[4] = {};

			for (size_t k = 0; k < 4 && t[i].pattern[step][k]; k++) {
				uint32_t r = t[i].rule[step][k];

				to[r][n[r]++] = (struct selector){ .kind = SEL_FQDN, .fqdn = (char *)t[i].pattern[step][k] };
			}
			/* Rule ids 1 to 3; one that lists nothing is off. */
			for (uint32_t r = 1; r < 4; r++) {
				h.rule[r - 1].to = to[r];
				h.rule[r - 1].nto = n[r];
				h.rule[r - 1].enabled = n[r] > 0;
			}
			h.st.nrules = 3;
			h.switched = 0;
			h.sh->switching = step ? old_words : NULL;
			assert_int_equal(hand_put(&h, NULL), 0);
			if (step) {
				assert_true(h.switched > 0);
				hand_collect(&h);
			}
			for (uint32_t k = 0; k < WORLD_NAMES; k++) {
				struct naive_verdict want;
				struct addr peer = A("203.0.113.9");

				naive_judge_named(&h.st, NULL, 0, &h.w, &h.own, &peer, &world_names[k], 1, CW_EGRESS,
						  CW_AXIS(IPPROTO_TCP, 1), &want);
				h.before[k] = rule_by_name(&h, k);
				assert_int_equal(h.before[k], want.v.rule);
			}
		}
		hand_done(&h);
	}
}

static void test_refused(void **state)
{
	static const struct { const char *name; enum cw_action action; bool from; const char *code; } t[] = {
		{ "pay.example.com", CW_ACT_BLOCK, false, "rule.fqdn-block" },
		{ "pay.example.com", CW_ACT_ALLOW, true, "rule.fqdn-from" },
		{ "", CW_ACT_ALLOW, false, "rule.fqdn" }, { "a..b", CW_ACT_ALLOW, false, "rule.fqdn" },
		{ "*", CW_ACT_ALLOW, false, "rule.fqdn" }, { "*.", CW_ACT_ALLOW, false, "rule.fqdn" },
		{ "a.*.b", CW_ACT_ALLOW, false, "rule.fqdn" }, { "a*.b", CW_ACT_ALLOW, false, "rule.fqdn" },
	};
	static const enum ir_effect effects[] = { IR_BLOCK, IR_PASS };
	struct fail_list f = {};
	struct policy_plan *plan;
	struct hand h;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		print_message("  %s \"%s\"\n", t[i].code, t[i].name);
		hand_new(&h, &limits);
		hand_name(&h, 0, t[i].name);
		h.rule[0].action = t[i].action;
		if (t[i].from) {
			h.rule[0].from = &h.to[0];
			h.rule[0].to = &h.wide;
		}
		assert_int_equal(hand_put(&h, &f), -EINVAL);
		assert_string_equal(f.items[0].name, t[i].code);
		fail_list_done(&f);
		hand_done(&h);
	}
	for (size_t i = 0; i < 2; i++) {
		struct ir_rule ir = { .rule = 9, .tier = CW_TIER_ADMIN, .effect = effects[i], .subjects = &h.from,
				      .nsubjects = 1, .peers = h.to, .npeers = 1 };

		hand_new(&h, &limits);
		hand_name(&h, 0, "pay.example.com");
		h.st.nrules = 0;
		assert_int_equal(policy_set_prepare_ir(h.set, &h.st, &ir, 1, &f, &plan), -EINVAL);
		assert_string_equal(f.items[0].name, "rule.fqdn-block");
		fail_list_done(&f);
		hand_done(&h);
	}
}

static void test_room(void **state)
{
	struct policy_limits lim = limits;
	struct fail_list f = {};
	struct prefix cidr[6];
	struct selector nets[6];
	const char *name = "c.org";
	struct hand h;

	(void)state;
	lim.named = 12;
	lim.patterns = 3;
	hand_new(&h, &lim);
	hand_name(&h, 0, "a.org");
	assert_int_equal(hand_put(&h, NULL), 0);
	hand_name(&h, 1, "b.org");
	hand_name(&h, 2, "c.org");
	hand_name(&h, 3, "d.org");
	assert_int_equal(hand_put(&h, &f), -E2BIG);
	print_message("  %s: %s\n", f.items[0].at ? f.items[0].at : "-", f.items[0].message);
	assert_non_null(strstr(f.items[0].message, "patterns of names full: 4 needed, room for 3"));
	fail_list_done(&f);
	/* Refused, and the last good set judges on. */
	assert_int_equal(ask(&h, "203.0.113.9", &name, 1).j.v.action, CW_ACT_BLOCK);
	h.st.nrules = 3;
	assert_int_equal(hand_put(&h, NULL), 0);
	assert_int_equal(ask(&h, "203.0.113.9", &name, 1).j.v.action, CW_ACT_ALLOW);
	hand_collect(&h);
	for (size_t i = 0; i < 6; i++) {
		char text[32];

		snprintf(text, sizeof(text), "203.0.%zu.0/24", i + 1);
		assert_int_equal(prefix_parse(text, &cidr[i]), 0);
		nets[i] = (struct selector){ .kind = SEL_CIDR, .cidr = cidr[i] };
		h.to[i < 5 ? i + 3 : 7] = nets[i];
	}
	h.st.nrules = 8;
	assert_int_equal(hand_put(&h, &f), -E2BIG);
	print_message("  %s: %s\n", f.items[0].at ? f.items[0].at : "-", f.items[0].message);
	assert_non_null(strstr(f.items[0].message, "room for 12"));
	assert_non_null(f.items[0].at);
	fail_list_done(&f);
	assert_int_equal(ask(&h, "203.0.1.9", &name, 1).j.v.action, CW_ACT_ALLOW);
	h.st.nrules = 4;
	assert_int_equal(hand_put(&h, NULL), 0);
	hand_done(&h);
}

static void test_cost(void **state)
{
	static char other[] = "other";
	const char *name = "b.org";
	struct policy_stats st;
	uint64_t writes;
	struct hand h;

	(void)state;
	hand_new(&h, &limits);
	hand_name(&h, 0, "a.org");
	hand_name(&h, 1, "b.org");
	hand_name(&h, 2, "*.org");
	assert_int_equal(hand_put(&h, NULL), 0);
	assert_int_equal(h.settled, 1); /* patterns came */
	hand_collect(&h);
	writes = h.sh->name_writes;
	/* Actions, ports and other rules are nothing to names: only rows and words. */
	h.rule[0].action = CW_ACT_ALERT;
	h.rule[3] = h.rule[0];
	h.rule[3].id = 40;
	h.rule[3].name = other;
	h.rule[3].to = &h.wide;
	h.rule[3].origin = ORIGIN_BASELINE;
	h.st.nrules = 4;
	assert_int_equal(hand_put(&h, NULL), 0);
	assert_int_equal(h.sh->name_writes, writes);
	assert_int_equal(h.settled, 1);
	/* One rule gone: its class goes, the others keep theirs. */
	policy_set_stats(h.set, &st);
	assert_int_equal(st.patterns, 3);
	assert_int_equal(st.name_classes, 3);
	assert_int_equal(ask(&h, "203.0.113.9", &name, 1).j.v.rule, 2);
	h.rule[1].enabled = false;
	writes = policy_set_name_class(h.set, "x.org");
	assert_int_equal(hand_put(&h, NULL), 0);
	hand_collect(&h);
	assert_int_equal(policy_set_name_class(h.set, "x.org"), writes);
	assert_int_equal(policy_set_name_class(h.set, "b.org"), writes);
	policy_set_stats(h.set, &st);
	assert_int_equal(st.patterns, 2);
	assert_int_equal(st.name_classes, 2);
	/* All gone: no address is judged by names. */
	h.st.nrules = 0;
	assert_int_equal(hand_put(&h, NULL), 0);
	hand_collect(&h);
	assert_int_equal(h.sh->classes, 0);
	assert_int_equal(h.sh->named_n, 0);
	assert_int_equal(h.sh->patterns_n, 0);
	hand_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns), cmocka_unit_test(test_too_many_names), cmocka_unit_test(test_tiers),
		cmocka_unit_test(test_before_the_switch), cmocka_unit_test(test_refused), cmocka_unit_test(test_room),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
