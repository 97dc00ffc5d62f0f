/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled set against the naive walk, on random clusters: fresh, after every one of a series
 * of random changes, with plans dropped and collections in between, and after failed writes.
 *
 * CW_POLICY_WORLDS: clusters per run (default 160). CW_POLICY_SEED: seed of the second half.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "selftests/harness/policy/naive.h"
#include "selftests/harness/policy/world.h"

static const struct policy_limits limits = { .groups = SHADOW_GROUPS, .wls = 512, .verdicts = 16384, .rowtab = 262144,
					     .rows = 262144, .peers = 200000, .addrs = 1000, .nets = 1000,
					     .all_local = true };

struct bench {
	struct world w;
	struct policy_set *set;
	struct shadow *sh;
	uint64_t points, seed;
	uint32_t step;
};

static void wrong(const struct bench *b, const char *what, const struct workload *x, const struct addr *own,
		  const struct addr *peer, int side, uint32_t axis, const struct cw_verdict *want,
		  const struct cw_verdict *got)
{
	char o[ADDR_STR_MAX], p[ADDR_STR_MAX], a[40];

	fail_msg("seed %llu step %u, %s: %s/%s %s peer %s side %d %s: want action %u tier %u rule %u flags %#x adv %u/%u/%u, "
		 "got %u %u %u %#x %u/%u/%u", (unsigned long long)b->seed, b->step, what, x->ns, x->name,
		 own ? addr_str(own, o) : "-", addr_str(peer, p), side, axis_str(axis, a), want->action, want->tier,
		 want->rule, want->flags, want->adv_action, want->adv_tier, want->adv_rule, got->action, got->tier,
		 got->rule, got->flags, got->adv_action, got->adv_tier, got->adv_rule);
}

static bool verdict_same(const struct cw_verdict *a, const struct cw_verdict *b)
{
	return a->action == b->action && a->tier == b->tier && a->rule == b->rule && a->flags == b->flags &&
	       a->adv_action == b->adv_action && a->adv_tier == b->adv_tier && a->adv_rule == b->adv_rule;
}

static void check_point(struct bench *b, const struct workload *x, const struct addr *own, uint32_t group,
			const struct addr *peer, enum cw_side side, uint32_t axis)
{
	struct naive_verdict want;
	struct policy_judgement j;
	struct cw_addr who, swho = {};
	struct cw_verdict v;
	uint64_t word;

	naive_judge(&b->w.st, b->w.more, b->w.nmore, x, own, peer, side, axis, &want);
	assert_int_equal(policy_set_addr(b->set, 0, peer, &who), 0);
	assert_int_equal(who.realm, want.peer_realm);
	assert_int_equal(policy_set_judge(b->set, group, side, who.eid, (enum cw_realm)who.realm, axis, &j), 0);
	if (!verdict_same(&want.v, &j.v))
		wrong(b, "image", x, own, peer, side, axis, &want.v, &j.v);
	assert_int_equal(CW_WORD_MODE(j.word), want.mode);
	assert_int_equal(CW_WORD_QUAR(j.word), want.quarantined);
	assert_true(CW_WORD_GEN(j.word));
	assert_int_equal(j.outcome, shadow_outcome(want.mode, &want.v));
	/* What went through the sink is what the image says. */
	assert_true(shadow_addr(b->sh, peer, &swho));
	assert_int_equal(swho.eid, who.eid);
	assert_int_equal(swho.group, who.group);
	assert_int_equal(shadow_eval(b->sh, group, side, swho.eid, swho.realm, axis, &word, &v), 0);
	assert_int_equal(word, j.word);
	if (!verdict_same(&want.v, &v))
		wrong(b, "sink", x, own, peer, side, axis, &want.v, &v);
	b->points++;
}

static void check_workload(struct bench *b, const struct workload *x, const struct addr *addrs, size_t naddrs,
			   const uint32_t *axes, size_t naxes, uint32_t npeers, uint32_t naxis)
{
	struct policy_wl wl;

	assert_int_equal(policy_set_wl(b->set, x->ns, x->name, &wl), 0);
	for (size_t k = 0; k < x->naddrs || (!x->naddrs && k == 0); k++) {
		const struct addr *own = x->naddrs ? &x->addrs[k] : NULL;
		uint32_t group = wl.group;

		if (own) {
			struct cw_addr me;

			assert_int_equal(policy_set_addr(b->set, 0, own, &me), 0);
			assert_int_equal(me.wl, wl.wl);
			group = me.group;
		}
		assert_true(group);
		for (uint32_t p = 0; p < npeers && p < naddrs; p++) {
			const struct addr *peer = &addrs[npeers < naddrs ? rng_below(&b->w.rng, (uint32_t)naddrs) : p];

			for (uint32_t i = 0; i < naxis; i++) {
				uint32_t axis = rng_below(&b->w.rng, 8) ? axes[rng_below(&b->w.rng, (uint32_t)naxes)]
								       : rng_below(&b->w.rng, CW_AXIS_END);

				check_point(b, x, own, group, peer, CW_EGRESS, axis);
				check_point(b, x, own, group, peer, CW_INGRESS, axis);
			}
		}
	}
}

static void check_all(struct bench *b, uint32_t npeers, uint32_t naxis)
{
	size_t naddrs, naxes;
	struct addr *addrs = world_addrs(&b->w, &naddrs);
	uint32_t *axes = world_axes(&b->w, &naxes);

	for (size_t i = 0; i < b->w.st.nworkloads; i++)
		check_workload(b, &b->w.st.workloads[i], addrs, naddrs, axes, naxes, npeers, naxis);
	free(addrs);
	free(axes);
}

static void put(struct bench *b, bool may_fail)
{
	struct fail_list f = {};
	struct policy_plan *plan = NULL;
	int r = policy_set_prepare_ir(b->set, &b->w.st, b->w.more, b->w.nmore, &f, &plan);

	if (r)
		fail_msg("seed %llu step %u: prepare %d: %s", (unsigned long long)b->seed, b->step, r,
			 f.n ? f.items[0].message : "");
	if (may_fail && !rng_below(&b->w.rng, 6)) {
		b->sh->fail_after = 1 + rng_below(&b->w.rng, 60);
		b->sh->writes = 0;
		r = policy_set_commit(b->set, plan, &b->sh->sink);
		b->sh->fail_after = 0;
		if (!r)
			return;
		assert_int_equal(r, -EIO);
		assert_int_equal(policy_set_prepare_ir(b->set, &b->w.st, b->w.more, b->w.nmore, &f, &plan), 0);
	}
	assert_int_equal(policy_set_commit(b->set, plan, &b->sh->sink), 0);
}

static void collect(struct bench *b, bool all)
{
	int r, rounds = 0;

	do {
		r = policy_set_gc(b->set, &b->sh->sink, policy_set_seq(b->set));
		assert_true(r >= 0);
		assert_true(rounds++ < 20);
	} while (r && all);
}

static void run_world(uint64_t seed, uint32_t changes, uint64_t *points)
{
	struct bench b = { .seed = seed };
	struct policy_stats a, z;

	world_new(&b.w, seed);
	assert_int_equal(policy_set_new(&limits, &b.set), 0);
	b.sh = shadow_new(policy_set_limits(b.set));
	assert_non_null(b.sh);
	put(&b, false);
	check_all(&b, 40, 6);
	for (b.step = 1; b.step <= changes; b.step++) {
		for (uint32_t n = 1 + rng_below(&b.w.rng, 3); n; n--)
			world_mutate(&b.w);
		if (!rng_below(&b.w.rng, 5)) {
			struct policy_plan *plan = NULL;

			/* A plan that is dropped leaves no trace. */
			assert_int_equal(policy_set_prepare_ir(b.set, &b.w.st, b.w.more, b.w.nmore, NULL, &plan), 0);
			policy_plan_free(plan);
			world_mutate(&b.w);
		}
		put(&b, true);
		check_all(&b, 12, 4);
		if (rng_below(&b.w.rng, 2)) {
			collect(&b, rng_below(&b.w.rng, 2));
			check_all(&b, 6, 2);
		}
	}
	/* Changes leave nothing behind: after collection the set is as big as a fresh one. */
	collect(&b, true);
	put(&b, false);
	collect(&b, true);
	policy_set_stats(b.set, &a);
	check_all(&b, 12, 3);
	assert_int_equal(a.peers, b.sh->peers_n);
	policy_set_free(b.set);
	assert_int_equal(policy_set_new(&limits, &b.set), 0);
	shadow_free(b.sh);
	b.sh = shadow_new(policy_set_limits(b.set));
	put(&b, false);
	policy_set_stats(b.set, &z);
	if (a.groups != z.groups || a.eids != z.eids || a.addrs4 != z.addrs4 || a.nets4 != z.nets4 ||
	    a.verdicts != z.verdicts || a.rules != z.rules || a.wls != z.wls || a.selectors != z.selectors)
		fail_msg("seed %llu: left behind: groups %u/%u eids %u/%u addrs %u/%u nets %u/%u verdicts %u/%u rules %u/%u "
			 "wls %u/%u selectors %u/%u", (unsigned long long)seed, a.groups, z.groups, a.eids, z.eids,
			 a.addrs4, z.addrs4, a.nets4, z.nets4, a.verdicts, z.verdicts, a.rules, z.rules, a.wls, z.wls,
			 a.selectors, z.selectors);
	*points += b.points;
	policy_set_free(b.set);
	shadow_free(b.sh);
	world_done(&b.w);
}

static uint32_t worlds(void)
{
	const char *s = getenv("CW_POLICY_WORLDS");

	return s ? (uint32_t)strtoul(s, NULL, 10) : 160;
}

static void test_fixed_worlds(void **state)
{
	uint64_t points = 0;

	(void)state;
	for (uint32_t i = 0; i < worlds(); i++)
		run_world(1000 + i, 8, &points);
	print_message("%llu points, 0 differences\n", (unsigned long long)points);
}

static void test_fresh_worlds(void **state)
{
	const char *s = getenv("CW_POLICY_SEED");
	uint64_t seed = s ? strtoull(s, NULL, 10) : (uint64_t)time(NULL) * 1000003u, points = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (uint32_t i = 0; i < worlds(); i++)
		run_world(seed + i, 8, &points);
	print_message("%llu points, 0 differences\n", (unsigned long long)points);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed_worlds),
		cmocka_unit_test(test_fresh_worlds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
