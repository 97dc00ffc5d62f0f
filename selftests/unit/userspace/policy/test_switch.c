/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules, modes and quarantines change while another thread evaluates, now and then very slowly
 * between its reads. Whatever it sees must be the verdict of the old state or of the new one.
 *
 * CW_POLICY_SECONDS: length of the run (default 6).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "selftests/harness/policy/naive.h"
#include "selftests/harness/policy/world.h"

#define POINTS 1200u
static const struct policy_limits limits = { .groups = SHADOW_GROUPS, .wls = 512, .verdicts = 16384, .rowtab = 262144,
					     .rows = 262144, .peers = 200000, .addrs = 1000, .nets = 1000,
					     .all_local = true };

struct point { const struct workload *x; struct addr own, peer; enum cw_side side; uint32_t axis; };
struct expect { struct cw_verdict v; uint8_t mode, quar; };
#define STATES 4u /* a reader may be as slow as three commits */
struct pair { uint32_t n; struct expect e[STATES][POINTS]; }; /* states that may be seen: oldest first */

struct arena {
	struct shadow *sh;
	struct point pt[POINTS];
	struct pair *pair;	/* what may be seen now */
	uint64_t turns;		/* of the reader: evaluations begun */
	bool stop;
	uint64_t seen_old, seen_new, seen;
	char fault[400];
};

static bool matches(const struct expect *e, uint64_t word, const struct cw_verdict *v)
{
	return CW_WORD_MODE(word) == e->mode && CW_WORD_QUAR(word) == e->quar && v->action == e->v.action &&
	       v->tier == e->v.tier && v->rule == e->v.rule && v->flags == e->v.flags &&
	       v->adv_action == e->v.adv_action && v->adv_rule == e->v.adv_rule;
}

static void *reader(void *arg)
{
	struct arena *a = arg;
	struct rng rng = { .s = 77 };

	while (!__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE)) {
		uint32_t i = rng_below(&rng, POINTS);
		const struct point *p = &a->pt[i];
		const struct pair *pair;
		struct cw_addr me, who;
		struct cw_verdict v;
		uint64_t word;
		uint32_t hit = 0, n;

		__atomic_add_fetch(&a->turns, 1, __ATOMIC_SEQ_CST);
		/* Slow evaluations are rare enough that the writer gets on, and cover whole commits. */
		__atomic_store_n(&a->sh->delay, rng_below(&rng, 40) ? 0 : rng_below(&rng, 100000), __ATOMIC_RELEASE);
		if (!shadow_addr(a->sh, &p->own, &me) || !shadow_addr(a->sh, &p->peer, &who) ||
		    shadow_eval(a->sh, me.group, p->side, who.eid, who.realm, p->axis, &word, &v)) {
			snprintf(a->fault, sizeof(a->fault), "hole at point %u", i);
			break;
		}
		/* What can have been seen was announced before, and is not forgotten before we are done. */
		pair = __atomic_load_n(&a->pair, __ATOMIC_SEQ_CST);
		n = __atomic_load_n(&pair->n, __ATOMIC_SEQ_CST);
		for (uint32_t k = 0; k < n; k++)
			hit |= (uint32_t)matches(&pair->e[k][i], word, &v) << k;
		a->seen++;
		a->seen_old += hit == 1 && n > 1;
		a->seen_new += hit == 1u << (n - 1) && n > 1;
		if (!hit) {
			const struct expect *o = &pair->e[0][i], *e = &pair->e[n - 1][i];
			char peer[ADDR_STR_MAX], own[ADDR_STR_MAX], ax[40];

			snprintf(a->fault, sizeof(a->fault),
				 "%s/%s %s peer %s side %d %s: saw %u/%u/%u flags %#x mode %u quar %u; old %u/%u/%u %#x %u %u, "
				 "new %u/%u/%u %#x %u %u", p->x->ns, p->x->name, addr_str(&p->own, own),
				 addr_str(&p->peer, peer), p->side, axis_str(p->axis, ax), v.action, v.tier, v.rule, v.flags,
				 CW_WORD_MODE(word), CW_WORD_QUAR(word), o->v.action, o->v.tier, o->v.rule, o->v.flags,
				 o->mode, o->quar, e->v.action, e->v.tier, e->v.rule, e->v.flags, e->mode, e->quar);
			break;
		}
	}
	__atomic_store_n(&a->stop, true, __ATOMIC_RELEASE);
	return NULL;
}

/* A grace period: every evaluation that was going on has ended. */
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
		struct naive_verdict v;

		naive_judge(&w->st, w->more, w->nmore, p->x, &p->own, &p->peer, p->side, p->axis, &v);
		e[i] = (struct expect){ v.v, (uint8_t)v.mode, v.quarantined };
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

		if (!x->naddrs)
			continue;
		a->pt[i++] = (struct point){ .x = x, .own = x->addrs[rng_below(&w->rng, (uint32_t)x->naddrs)],
					     .peer = addrs[rng_below(&w->rng, (uint32_t)naddrs)],
					     .side = (enum cw_side)rng_below(&w->rng, 2),
					     .axis = axes[rng_below(&w->rng, (uint32_t)naxes)] };
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

static void run(uint64_t seed, double until, uint64_t *seen, uint64_t *ret_old, uint64_t *ret_new, uint32_t *commits)
{
	struct arena *a = calloc(1, sizeof(*a));
	struct pair *pair[2] = { calloc(1, sizeof(struct pair)), calloc(1, sizeof(struct pair)) };
	struct policy_set *set;
	struct policy_plan *plan;
	struct world w;
	pthread_t thread;
	bool started = false;
	double end = now_s() + 0.7;

	assert_true(a && pair[0] && pair[1]);
	world_new(&w, seed);
	w.quiet = true;
	/* A rule that begins to count a label gives workloads other identities: another kind of change. */
	for (size_t i = 0; i < w.st.nignore_labels; i++)
		free(w.st.ignore_labels[i]);
	w.st.nignore_labels = 0;
	assert_int_equal(policy_set_new(&limits, &set), 0);
	a->sh = shadow_new(policy_set_limits(set));
	assert_non_null(a->sh);
	a->sh->settle = grace;
	a->sh->settle_arg = a;
	if (!points_make(&w, a))
		goto out;
	expect_all(&w, a, pair[0]->e[0]);
	pair[0]->n = 1;
	a->pair = pair[0];
	a->stop = true; /* nobody to wait for yet */
	assert_int_equal(policy_set_prepare_ir(set, &w.st, w.more, w.nmore, NULL, &plan), 0);
	assert_int_equal(policy_set_commit(set, plan, &a->sh->sink), 0);
	a->stop = false;
	assert_int_equal(pthread_create(&thread, NULL, reader, a), 0);
	started = true;
	for (uint32_t turn = 0; now_s() < until && now_s() < end && !__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE); turn++) {
		struct pair *cur = pair[turn & 1], *next = pair[(turn & 1) ^ 1];

		/* Several commits in a row without a grace period between: readers may be that far behind. */
		for (uint32_t k = 1 + rng_below(&w.rng, STATES - 1); k; k--) {
			/* Several rules at once, or one change of another kind. */
			w.quiet = rng_below(&w.rng, 3) ? 2 : 1;
			for (uint32_t n = w.quiet == 2 ? 1 + rng_below(&w.rng, 3) : 1; n; n--)
				world_mutate(&w);
			expect_all(&w, a, cur->e[cur->n]);
			__atomic_store_n(&cur->n, cur->n + 1, __ATOMIC_SEQ_CST);
			assert_int_equal(policy_set_prepare_ir(set, &w.st, w.more, w.nmore, NULL, &plan), 0);
			assert_int_equal(policy_set_commit(set, plan, &a->sh->sink), 0);
			(*commits)++;
		}
		if (turn % 3 == 0) {
			uint64_t seq = policy_set_seq(set);

			grace(a);
			assert_true(policy_set_gc(set, &a->sh->sink, seq) >= 0);
		}
		/* From here on only the newest state may be seen. */
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
	*seen += a->seen;
	*ret_old += a->seen_old;
	*ret_new += a->seen_new;
	policy_set_free(set);
	shadow_free(a->sh);
	world_done(&w);
	free(pair[0]);
	free(pair[1]);
	free(a);
}

static void test_switch(void **state)
{
	const char *s = getenv("CW_POLICY_SECONDS"), *k = getenv("CW_POLICY_SEED");
	double until = now_s() + (s ? strtod(s, NULL) : 6);
	uint64_t seen = 0, old = 0, fresh = 0, seed = k ? strtoull(k, NULL, 10) : (uint64_t)time(NULL) * 1000003u;
	uint32_t commits = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	while (now_s() < until)
		run(seed++, until, &seen, &old, &fresh, &commits);
	print_message("%llu evaluations during %u commits, %llu saw only the old, %llu only the new verdict, 0 neither\n",
		      (unsigned long long)seen, commits, (unsigned long long)old, (unsigned long long)fresh);
	/* A run that never looked during a change proves nothing. */
	assert_true(commits > 20);
	assert_true(old > 0 && fresh > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_switch) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
