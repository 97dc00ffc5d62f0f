/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about names: the compiled set against the naive walk on random clusters, and updates under a
 * reader that is now and then very slow while answers come in.
 *
 * CW_POLICY_WORLDS: clusters per run (default 60). CW_POLICY_SECONDS: length of the concurrent part
 * (default 4). CW_POLICY_SEED: seed of both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "selftests/harness/policy/naive.h"
#include "selftests/harness/policy/world.h"

static const struct policy_limits limits = { .groups = SHADOW_GROUPS, .wls = 512, .verdicts = 16384, .rowtab = 262144,
					     .rows = 262144, .peers = 400000, .addrs = 1000, .nets = 1000,
					     .patterns = SHADOW_PATTERNS, .named = 30000, .all_local = true };

static uint64_t seed_of(void)
{
	const char *s = getenv("CW_POLICY_SEED");

	return s ? strtoull(s, NULL, 10) : (uint64_t)time(NULL) * 1000003u;
}

static bool same(const struct cw_verdict *a, const struct cw_verdict *b)
{
	return a->action == b->action && a->tier == b->tier && a->rule == b->rule && a->flags == b->flags &&
	       a->adv_action == b->adv_action && a->adv_tier == b->adv_tier && a->adv_rule == b->adv_rule;
}

/*
 * Of rules of one priority tier that let the same pass, any may be named. These worlds also have alerts
 * with priorities there, which no kind of policy can say.
 */
static struct cw_verdict plain(const struct cw_verdict *v)
{
	struct cw_verdict x = *v;

	if (x.tier == CW_TIER_ADMIN || x.tier == CW_TIER_BASELINE) {
		x.rule = 0;
		x.action = x.action == CW_ACT_ALERT ? CW_ACT_ALLOW : x.action;
	}
	if (x.adv_tier == CW_TIER_ADMIN || x.adv_tier == CW_TIER_BASELINE) {
		x.adv_rule = 0;
		x.adv_action = x.adv_action == CW_ACT_ALERT ? CW_ACT_ALLOW : x.adv_action;
		x.flags &= (uint8_t)~CW_V_ADV;
	}
	return x;
}

static bool alike(const struct cw_verdict *a, const struct cw_verdict *b)
{
	struct cw_verdict x = plain(a), y = plain(b);

	if (x.adv_tier == CW_TIER_ADMIN || x.adv_tier == CW_TIER_BASELINE)
		y.flags &= (uint8_t)~CW_V_ADV;
	return same(&x, &y);
}

/* What the semantics say of an address with names, and what a judgement per name makes of it. */
static void expected(const struct world *w, const struct workload *x, const struct addr *own, const struct addr *peer,
		     const uint32_t *names, size_t n, enum cw_side side, uint32_t axis, struct naive_verdict *ret_all,
		     struct naive_verdict *ret_best)
{
	const char *text[CW_FQDN_NAMES] = {};

	for (size_t i = 0; i < n; i++)
		text[i] = world_names[names[i]];
	naive_judge_named(&w->st, w->more, w->nmore, x, own, peer, text, n, side, axis, ret_all);
	naive_judge(&w->st, w->more, w->nmore, x, own, peer, side, axis, ret_best);
	for (size_t i = 0; i < n && side == CW_EGRESS && ret_all->peer_realm == CW_REALM_WORLD; i++) {
		struct naive_verdict one;

		naive_judge_named(&w->st, w->more, w->nmore, x, own, peer, &text[i], 1, side, axis, &one);
		if (shadow_prefers(&one.v, &ret_best->v))
			ret_best->v = one.v;
	}
}

/* ---- random clusters ---------------------------------------------------------------------------- */

struct bench {
	struct world w;
	struct policy_set *set;
	struct shadow *sh;
	uint64_t points, by_name, seed;
	uint32_t step;
};

static void wrong(const struct bench *b, const char *what, const struct workload *x, const struct addr *peer,
		  const uint32_t *names, size_t n, int side, uint32_t axis, const struct cw_verdict *want,
		  const struct cw_verdict *got)
{
	char p[ADDR_STR_MAX], a[40];

	fail_msg("seed %llu step %u, %s: %s/%s peer %s (%zu names: %s %s) side %d %s: want %u/%u/%u flags %#x adv %u/%u/%u, "
		 "got %u/%u/%u %#x %u/%u/%u", (unsigned long long)b->seed, b->step, what, x->ns, x->name,
		 addr_str(peer, p), n, n ? world_names[names[0]] : "-", n > 1 ? world_names[names[1]] : "-", side,
		 axis_str(axis, a), want->action, want->tier, want->rule, want->flags, want->adv_action, want->adv_tier,
		 want->adv_rule, got->action, got->tier, got->rule, got->flags, got->adv_action, got->adv_tier,
		 got->adv_rule);
}

static void check_point(struct bench *b, const struct policy_plan *plan, const struct workload *x,
			const struct addr *own, const struct addr *peer, enum cw_side side, uint32_t axis)
{
	struct policy_end me = { .ns = x->ns, .name = x->name, .uid = x->uid, .addr = *own }, other = { .addr = *peer };
	struct naive_verdict all, best;
	struct policy_answer a;
	struct cw_addr m, who;
	struct cw_verdict v;
	const char *text[CW_FQDN_NAMES] = {};
	uint32_t names[CW_FQDN_NAMES];
	size_t n = world_names_of(peer, rng_below(&b->w.rng, 4), names);
	uint64_t word;

	if (addr_is_v4(own) != addr_is_v4(peer))
		return;
	for (size_t i = 0; i < n; i++)
		text[i] = world_names[names[i]];
	other.names = text;
	other.nnames = side == CW_EGRESS ? n : 0;
	expected(&b->w, x, own, peer, names, other.nnames, side, axis, &all, &best);
	/* Each name on its own finds what all of them together say; where some tiers always drop, two names
	 * may each open another half of that, and one of them is named. */
	if (!b->w.st.enforce_always || all.mode == CW_MODE_ENFORCE || all.mode == CW_MODE_OFF) {
		assert_int_equal(plain(&all.v).action, plain(&best.v).action);
		assert_int_equal(all.v.tier, best.v.tier);
	}
	if (n <= 1 && !alike(&all.v, &best.v))
		wrong(b, "one name", x, peer, names, n, side, axis, &all.v, &best.v);
	if (plan)
		assert_int_equal(policy_plan_query(plan, side == CW_EGRESS ? &me : &other,
						   side == CW_EGRESS ? &other : &me, axis, &a), 0);
	else
		assert_int_equal(policy_set_query(b->set, side == CW_EGRESS ? &me : &other,
						  side == CW_EGRESS ? &other : &me, axis, &a), 0);
	assert_true(a.side[side].judged);
	if (!same(&best.v, &a.side[side].j.v))
		wrong(b, plan ? "plan" : "image", x, peer, names, n, side, axis, &best.v, &a.side[side].j.v);
	b->points++;
	b->by_name += a.side[side].name != NULL;
	if (plan)
		return;
	assert_true(shadow_addr(b->sh, own, &m) && shadow_addr(b->sh, peer, &who));
	if (side == CW_EGRESS)
		assert_int_equal(shadow_eval_named(b->sh, m.group, who.eid, who.realm, axis, names, n, &word, &v), 0);
	else
		assert_int_equal(shadow_eval(b->sh, m.group, side, who.eid, who.realm, axis, &word, &v), 0);
	if (!same(&best.v, &v))
		wrong(b, "sink", x, peer, names, n, side, axis, &best.v, &v);
}

static void check_all(struct bench *b, const struct policy_plan *plan, uint32_t npeers, uint32_t naxis)
{
	size_t naddrs, naxes;
	struct addr *addrs = world_addrs(&b->w, &naddrs);
	uint32_t *axes = world_axes(&b->w, &naxes);

	for (size_t i = 0; i < b->w.st.nworkloads; i++) {
		const struct workload *x = &b->w.st.workloads[i];

		for (size_t k = 0; k < x->naddrs; k++)
			for (uint32_t p = 0; p < npeers; p++) {
				const struct addr *peer = &addrs[rng_below(&b->w.rng, (uint32_t)naddrs)];

				for (uint32_t n = 0; n < naxis; n++)
					check_point(b, plan, x, &x->addrs[k], peer,
						    rng_below(&b->w.rng, 5) ? CW_EGRESS : CW_INGRESS,
						    axes[rng_below(&b->w.rng, (uint32_t)naxes)]);
			}
	}
	free(addrs);
	free(axes);
}

static struct policy_plan *prepare(struct bench *b)
{
	struct fail_list f = {};
	struct policy_plan *plan = NULL;
	int r = policy_set_prepare_ir(b->set, &b->w.st, b->w.more, b->w.nmore, &f, &plan);

	if (r)
		fail_msg("seed %llu step %u: prepare %d: %s", (unsigned long long)b->seed, b->step, r,
			 f.n ? f.items[0].message : "");
	return plan;
}

static void put(struct bench *b, bool may_fail)
{
	struct policy_plan *plan = prepare(b);
	int r = 0;

	if (b->step % 3 == 1)
		check_all(b, plan, 3, 2);
	if (may_fail && !rng_below(&b->w.rng, 5)) {
		b->sh->fail_after = 1 + rng_below(&b->w.rng, 90);
		b->sh->writes = 0;
		r = policy_set_commit(b->set, plan, &b->sh->sink);
		b->sh->fail_after = 0;
		if (!r)
			return;
		assert_int_equal(r, -EIO);
		plan = prepare(b);
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

static void run_world(uint64_t seed, uint32_t changes, uint64_t *points, uint64_t *by_name)
{
	struct bench b = { .seed = seed };
	struct policy_stats a, z;

	world_new_named(&b.w, seed, 40);
	assert_int_equal(policy_set_new(&limits, &b.set), 0);
	b.sh = shadow_new(policy_set_limits(b.set));
	assert_non_null(b.sh);
	b.sh->set = b.set;
	put(&b, false);
	check_all(&b, NULL, 12, 4);
	for (b.step = 1; b.step <= changes; b.step++) {
		for (uint32_t n = 1 + rng_below(&b.w.rng, 3); n; n--)
			world_mutate(&b.w);
		if (!rng_below(&b.w.rng, 4)) {
			policy_plan_free(prepare(&b)); /* leaves no trace */
			world_mutate(&b.w);
		}
		put(&b, true);
		check_all(&b, NULL, 6, 3);
		if (rng_below(&b.w.rng, 2)) {
			collect(&b, rng_below(&b.w.rng, 2));
			check_all(&b, NULL, 3, 2);
		}
	}
	collect(&b, true);
	put(&b, false);
	collect(&b, true);
	check_all(&b, NULL, 6, 2);
	policy_set_stats(b.set, &a);
	assert_int_equal(a.peers, b.sh->peers_n);
	assert_int_equal(a.named, b.sh->named_n);
	assert_int_equal(a.patterns, b.sh->patterns_n);
	assert_int_equal(a.name_classes, b.sh->classes);
	policy_set_free(b.set);
	shadow_free(b.sh);
	/* Changes leave nothing behind: as big as a fresh one. */
	assert_int_equal(policy_set_new(&limits, &b.set), 0);
	b.sh = shadow_new(policy_set_limits(b.set));
	put(&b, false);
	policy_set_stats(b.set, &z);
	if (a.eids != z.eids || a.named != z.named || a.name_classes != z.name_classes || a.patterns != z.patterns ||
	    a.selectors != z.selectors || a.verdicts != z.verdicts)
		fail_msg("seed %llu: left behind: eids %u/%u named %u/%u classes %u/%u patterns %u/%u selectors %u/%u verdicts %u/%u",
			 (unsigned long long)seed, a.eids, z.eids, a.named, z.named, a.name_classes, z.name_classes,
			 a.patterns, z.patterns, a.selectors, z.selectors, a.verdicts, z.verdicts);
	*points += b.points;
	*by_name += b.by_name;
	policy_set_free(b.set);
	shadow_free(b.sh);
	world_done(&b.w);
}

static void test_worlds(void **state)
{
	const char *s = getenv("CW_POLICY_WORLDS");
	uint32_t n = s ? (uint32_t)strtoul(s, NULL, 10) : 60;
	uint64_t points = 0, by_name = 0, seed = seed_of();

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (uint32_t i = 0; i < n; i++)
		run_world(i % 2 ? seed + i : 5000 + i, 8, &points, &by_name);
	print_message("%llu points, %llu decided by a name, 0 differences\n", (unsigned long long)points,
		      (unsigned long long)by_name);
	assert_true(n < 20 || by_name > points / 500);
}

/* ---- changes under a reader ------------------------------------------------------------------------ */

#define POINTS 900u
#define STATES 4u
struct point { const struct workload *x; struct addr own, peer; uint32_t axis, names[CW_FQDN_NAMES]; size_t n; };
struct expect { struct cw_verdict v; uint8_t mode, quar; };
struct pair { uint32_t n; struct expect e[STATES][POINTS]; };
struct arena {
	struct shadow *sh;
	struct point pt[POINTS];
	struct pair *pair;
	uint64_t turns;
	bool stop;
	uint64_t seen, seen_old, seen_new;
	char fault[400];
};

static bool matches(const struct expect *e, uint64_t word, const struct cw_verdict *v)
{
	return CW_WORD_MODE(word) == e->mode && CW_WORD_QUAR(word) == e->quar && same(v, &e->v);
}

static void *reader(void *arg)
{
	struct arena *a = arg;
	struct rng rng = { .s = 91 };

	while (!__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE)) {
		uint32_t i = rng_below(&rng, POINTS), hit = 0, n;
		const struct point *p = &a->pt[i];
		const struct pair *pair;
		struct cw_addr me, who;
		struct cw_verdict v;
		uint64_t word;

		__atomic_add_fetch(&a->turns, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&a->sh->delay, rng_below(&rng, 40) ? 0 : rng_below(&rng, 60000), __ATOMIC_RELEASE);
		if (!rng_below(&rng, 8)) {
			shadow_answer(a->sh, rng_below(&rng, WORLD_NAMES));
			continue;
		}
		if (!shadow_addr(a->sh, &p->own, &me) || !shadow_addr(a->sh, &p->peer, &who) ||
		    shadow_eval_named(a->sh, me.group, who.eid, who.realm, p->axis, p->names, p->n, &word, &v)) {
			snprintf(a->fault, sizeof(a->fault), "hole at point %u", i);
			break;
		}
		pair = __atomic_load_n(&a->pair, __ATOMIC_SEQ_CST);
		n = __atomic_load_n(&pair->n, __ATOMIC_SEQ_CST);
		for (uint32_t k = 0; k < n; k++)
			hit |= (uint32_t)matches(&pair->e[k][i], word, &v) << k;
		a->seen++;
		a->seen_old += hit == 1 && n > 1;
		a->seen_new += hit == 1u << (n - 1) && n > 1;
		if (!hit) {
			const struct expect *o = &pair->e[0][i], *e = &pair->e[n - 1][i];
			char peer[ADDR_STR_MAX], ax[40];

			snprintf(a->fault, sizeof(a->fault),
				 "%s/%s peer %s (%zu names, %s) %s: saw %u/%u/%u flags %#x mode %u adv %u/%u; old %u/%u/%u %#x %u %u/%u, "
				 "new %u/%u/%u %#x %u %u/%u, of %u states", p->x->ns, p->x->name, addr_str(&p->peer, peer), p->n,
				 p->n ? world_names[p->names[0]] : "-", axis_str(p->axis, ax), v.action, v.tier, v.rule,
				 v.flags, CW_WORD_MODE(word), v.adv_action, v.adv_rule, o->v.action, o->v.tier, o->v.rule,
				 o->v.flags, o->mode, o->v.adv_action, o->v.adv_rule, e->v.action, e->v.tier, e->v.rule,
				 e->v.flags, e->mode, e->v.adv_action, e->v.adv_rule, n);
			break;
		}
	}
	__atomic_store_n(&a->stop, true, __ATOMIC_RELEASE);
	return NULL;
}

static void grace(void *arg)
{
	struct arena *a = arg;
	uint64_t from = __atomic_load_n(&a->turns, __ATOMIC_SEQ_CST);

	while (__atomic_load_n(&a->turns, __ATOMIC_SEQ_CST) < from + 2 && !__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void expect_all(const struct world *w, const struct arena *a, struct expect *e)
{
	for (uint32_t i = 0; i < POINTS; i++) {
		const struct point *p = &a->pt[i];
		struct naive_verdict all, best;

		expected(w, p->x, &p->own, &p->peer, p->names, p->n, CW_EGRESS, p->axis, &all, &best);
		e[i] = (struct expect){ best.v, (uint8_t)best.mode, best.quarantined };
	}
}

static bool points_make(struct world *w, struct arena *a)
{
	size_t naddrs, naxes;
	struct addr *addrs = world_addrs(w, &naddrs);
	uint32_t *axes = world_axes(w, &naxes);
	bool any = false;

	for (size_t i = 0; i < w->st.nworkloads; i++)
		any |= w->st.workloads[i].naddrs > 0;
	for (uint32_t i = 0; i < POINTS && any;) {
		const struct workload *x = &w->st.workloads[rng_below(&w->rng, (uint32_t)w->st.nworkloads)];
		struct addr peer = addrs[rng_below(&w->rng, (uint32_t)naddrs)];

		if (!x->naddrs || (naive_who(&w->st, &peer).realm != CW_REALM_WORLD && rng_below(&w->rng, 8)))
			continue;
		a->pt[i] = (struct point){ .x = x, .own = x->addrs[rng_below(&w->rng, (uint32_t)x->naddrs)], .peer = peer,
					   .axis = axes[rng_below(&w->rng, (uint32_t)naxes)] };
		a->pt[i].n = world_names_of(&peer, rng_below(&w->rng, 4), a->pt[i].names);
		i++;
	}
	free(addrs);
	free(axes);
	return any;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Up to three commits without a grace period between, now and then a plan that is dropped. */
static void changes(struct world *w, struct policy_set *set, struct arena *a, struct pair *cur, uint32_t *commits)
{
	struct policy_plan *plan;

	for (uint32_t k = 1 + rng_below(&w->rng, STATES - 1); k; k--) {
		w->quiet = rng_below(&w->rng, 3) ? 2 : 1;
		for (uint32_t n = w->quiet == 2 ? 1 + rng_below(&w->rng, 3) : 1; n; n--)
			world_mutate(w);
		if (!rng_below(&w->rng, 4)) {
			assert_int_equal(policy_set_prepare_ir(set, &w->st, w->more, w->nmore, NULL, &plan), 0);
			policy_plan_free(plan);
			world_mutate(w);
		}
		expect_all(w, a, cur->e[cur->n]);
		__atomic_store_n(&cur->n, cur->n + 1, __ATOMIC_SEQ_CST);
		assert_int_equal(policy_set_prepare_ir(set, &w->st, w->more, w->nmore, NULL, &plan), 0);
		assert_int_equal(policy_set_commit(set, plan, &a->sh->sink), 0);
		(*commits)++;
	}
}

static void run(uint64_t seed, double until, struct arena *total, uint32_t *commits)
{
	struct arena *a = calloc(1, sizeof(*a));
	struct pair *pair[2] = { calloc(1, sizeof(struct pair)), calloc(1, sizeof(struct pair)) };
	struct policy_set *set;
	struct policy_plan *plan;
	struct world w;
	pthread_t thread;
	bool started = false;
	double end = now_s() + 0.6;

	assert_true(a && pair[0] && pair[1]);
	world_new_named(&w, seed, 60);
	for (size_t i = 0; i < w.st.nignore_labels; i++)
		free(w.st.ignore_labels[i]);
	w.st.nignore_labels = 0;
	assert_int_equal(policy_set_new(&limits, &set), 0);
	a->sh = shadow_new(policy_set_limits(set));
	assert_non_null(a->sh);
	a->sh->settle = grace;
	a->sh->settle_arg = a;
	a->sh->set = set;
	if (!points_make(&w, a))
		goto out;
	expect_all(&w, a, pair[0]->e[0]);
	pair[0]->n = 1;
	a->pair = pair[0];
	a->stop = true;
	assert_int_equal(policy_set_prepare_ir(set, &w.st, w.more, w.nmore, NULL, &plan), 0);
	assert_int_equal(policy_set_commit(set, plan, &a->sh->sink), 0);
	a->stop = false;
	assert_int_equal(pthread_create(&thread, NULL, reader, a), 0);
	started = true;
	for (uint32_t turn = 0; now_s() < until && now_s() < end && turn < 12 && !__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE);
	     turn++) {
		struct pair *cur = pair[turn & 1], *next = pair[(turn & 1) ^ 1];

		changes(&w, set, a, cur, commits);
		if (turn % 2 == 0) {
			uint64_t seq = policy_set_seq(set);

			grace(a);
			assert_true(policy_set_gc(set, &a->sh->sink, seq) >= 0);
		}
		grace(a);
		memcpy(next->e[0], cur->e[cur->n - 1], sizeof(next->e[0]));
		next->n = 1;
		__atomic_store_n(&a->pair, next, __ATOMIC_SEQ_CST);
		grace(a);
	}
	__atomic_store_n(&a->stop, true, __ATOMIC_RELEASE);
out:
	if (started)
		pthread_join(thread, NULL);
	if (a->fault[0])
		fail_msg("seed %llu: %s", (unsigned long long)seed, a->fault);
	total->seen += a->seen;
	total->seen_old += a->seen_old;
	total->seen_new += a->seen_new;
	policy_set_free(set);
	shadow_free(a->sh);
	world_done(&w);
	free(pair[0]);
	free(pair[1]);
	free(a);
}

static void test_switch(void **state)
{
	const char *s = getenv("CW_POLICY_SECONDS");
	double until = now_s() + (s ? strtod(s, NULL) : 4);
	struct arena *total = calloc(1, sizeof(*total));
	uint64_t seed = seed_of();
	uint32_t commits = 0;

	(void)state;
	assert_non_null(total);
	print_message("seed %llu\n", (unsigned long long)seed);
	while (now_s() < until)
		run(seed++, until, total, &commits);
	print_message("%llu evaluations during %u commits, %llu saw only the old, %llu only the new verdict, 0 neither\n",
		      (unsigned long long)total->seen, commits, (unsigned long long)total->seen_old,
		      (unsigned long long)total->seen_new);
	assert_true(commits > 10 && total->seen_old > 0 && total->seen_new > 0);
	free(total);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_worlds), cmocka_unit_test(test_switch) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
