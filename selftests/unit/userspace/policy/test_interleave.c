/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_switch leaves to chance where a slow reader stands; here the readers are coroutines, which
 * are led on between any two writes of a commit or a collection. Whatever they see must be the
 * verdict of a state that was in force while they looked. A seed repeats a run exactly.
 *
 * CW_POLICY_SECONDS: length of the run (default 4). CW_POLICY_SEED: first seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "selftests/harness/policy/naive.h"
#include "selftests/harness/policy/world.h"

#define PAIRS 48u
#define AXES 8u		/* questions about a pair: neighbours among the points */
#define POINTS (PAIRS * AXES)
#define READERS 12u
#define COMMITS 60u
#define STACK (64u * 1024u)
static const struct policy_limits limits = { .groups = SHADOW_GROUPS, .wls = 512, .verdicts = 16384, .rowtab = 262144,
					     .rows = 262144, .peers = 200000, .addrs = 1000, .nets = 1000,
					     .all_local = true };

struct point { const struct workload *x; struct addr own, peer; enum cw_side side; uint32_t axis; };
struct expect { struct cw_verdict v; uint8_t mode, quar; };

struct arena;
struct reader {
	struct arena *a;
	ucontext_t ctx;
	char *stack;
	uint64_t turn;		/* evaluations ended */
	uint32_t asleep;	/* times it is passed over */
	uint32_t first;		/* state in force when it began */
	uint64_t row;		/* as read last from the row table */
};
struct arena {
	struct shadow *sh;
	struct point pt[POINTS];
	struct expect e[COMMITS + 1][POINTS];
	uint32_t done, announced;	/* states: in force, may be seen */
	struct reader r[READERS];
	struct reader *now;		/* who runs; NULL: the writer */
	ucontext_t writer;
	struct rng rng;
	uint64_t seen, across;
	bool late;			/* words have been stored */
	char fault[600];
};

static bool matches(const struct expect *e, uint64_t word, const struct cw_verdict *v)
{
	return CW_WORD_MODE(word) == e->mode && CW_WORD_QUAR(word) == e->quar && v->action == e->v.action &&
	       v->tier == e->v.tier && v->rule == e->v.rule && v->flags == e->v.flags &&
	       v->adv_action == e->v.adv_action && v->adv_rule == e->v.adv_rule;
}

/* Back to the writer, who may be long in coming again. */
static void rest(struct arena *a)
{
	struct reader *r = a->now;

	r->asleep = rng_below(&a->rng, 8) ? rng_below(&a->rng, 4) : rng_below(&a->rng, 120);
	a->now = NULL;
	swapcontext(&r->ctx, &a->writer);
}

static int cw_eval_word(struct arena *a, uint32_t i, __u64 *ret)
{
	*ret = a->sh->words[i];
	return i < SHADOW_GROUPS * 2 ? 0 : -1;
}

static int cw_eval_peer(struct arena *a, const struct cw_peer_key *k, uint32_t *ret)
{
	uint32_t v = a->sh->peers[(size_t)k->gs * SHADOW_EIDS + k->eid];

	*ret = v - 1;
	return v ? 0 : -1;
}

static int cw_eval_rowtab(struct arena *a, uint32_t i, __u64 *ret)
{
	if (i >= a->sh->rowtab_n)
		return -1;
	*ret = a->now->row = a->sh->rowtab[i];
	return 0;
}

static int cw_eval_row(struct arena *a, uint32_t i, __u64 *ret)
{
	if (i >= a->sh->rows_n)
		return -1;
	*ret = a->sh->rows[i];
	return 0;
}

#define CW_EVAL_CTX struct arena
#define CW_EVAL_PAUSE(a) rest(a)
#include "cw_eval.h"

/* The verdict of the same row at another port. */
static uint32_t at_row(const struct shadow *s, uint64_t row, uint32_t axis)
{
	uint32_t lo = (uint32_t)(row >> 32), n = (uint32_t)row;

	while (n > 1) {
		uint32_t half = n / 2;

		if ((uint32_t)(s->rows[lo + half] >> 32) <= axis) {
			lo += half;
			n -= half;
		} else {
			n = half;
		}
	}
	return (uint32_t)s->rows[lo];
}

static void compare(struct arena *a, const struct reader *r, uint32_t i, const struct cw_addr *me,
		    const struct cw_addr *who, uint64_t word, const struct cw_verdict *v)
{
	const struct expect *o = &a->e[r->first][i], *e = &a->e[a->announced][i];
	const struct point *p = &a->pt[i];
	char peer[ADDR_STR_MAX], own[ADDR_STR_MAX], ax[40];

	for (uint32_t k = r->first; k <= a->announced; k++)
		if (matches(&a->e[k][i], word, v))
			return;
	if (!a->fault[0])
		snprintf(a->fault, sizeof(a->fault),
			 "%s/%s %s (group %u) peer %s (eid %u realm %u) side %d %s word %#llx: states %u to %u: saw %u/%u/%u %#x "
			 "%u %u; old %u/%u/%u %#x %u %u, new %u/%u/%u %#x %u %u", p->x->ns, p->x->name,
			 addr_str(&p->own, own), me->group, addr_str(&p->peer, peer), who->eid, who->realm, p->side,
			 axis_str(p->axis, ax), (unsigned long long)word, r->first, a->announced, v->action, v->tier,
			 v->rule, v->flags, CW_WORD_MODE(word), CW_WORD_QUAR(word), o->v.action, o->v.tier, o->v.rule,
			 o->v.flags, o->mode, o->quar, e->v.action, e->v.tier, e->v.rule, e->v.flags, e->mode, e->quar);
}

static void read_once(struct arena *a, struct reader *r)
{
	uint32_t first = rng_below(&a->rng, PAIRS) * AXES;
	const struct point *p = &a->pt[first];
	struct cw_judgement j = {};
	struct cw_addr me, who;
	bool hole;

	r->first = a->done;
	hole = !shadow_addr(a->sh, &p->own, &me);
	rest(a);
	hole = hole || !shadow_addr(a->sh, &p->peer, &who);
	rest(a);
	hole = hole || cw_eval(a, me.group, p->side, who.eid, who.realm, p->axis, &j);
	if (hole) {
		snprintf(a->fault, sizeof(a->fault), "hole at point %u", first);
		return;
	}
	a->seen++;
	a->across += a->announced > r->first;
	for (uint32_t i = first; i < first + AXES; i++)
		compare(a, r, i, &me, &who, j.word, &a->sh->verdicts[at_row(a->sh, r->row, a->pt[i].axis)]);
}

static void reader_main(unsigned hi, unsigned lo)
{
	struct reader *r = (struct reader *)((uintptr_t)hi << 32 | lo); /* NOLINT(performance-no-int-to-ptr) */

	for (;;) {
		read_once(r->a, r);
		r->turn++;
		rest(r->a);
	}
}

static void lead_on(struct arena *a, struct reader *r)
{
	a->now = r;
	swapcontext(&a->writer, &r->ctx);
}

static void step(void *arg)
{
	struct arena *a = arg;

	/* What comes after the words has the fewest writes. */
	for (uint32_t n = rng_below(&a->rng, a->late ? 300 : 12); n; n--) {
		struct reader *r = &a->r[rng_below(&a->rng, READERS)];

		if (r->asleep)
			r->asleep--;
		else
			lead_on(a, r);
	}
}

static void switching(void *arg)
{
	((struct arena *)arg)->late = true;
}

/* Every evaluation that was going on has ended; others began meanwhile. */
static void grace(void *arg)
{
	struct arena *a = arg;
	uint64_t from[READERS];

	for (uint32_t i = 0; i < READERS; i++)
		from[i] = a->r[i].turn;
	for (uint32_t i = 0; i < READERS; i++)
		while (a->r[i].turn == from[i] && a->r[i].stack)
			lead_on(a, rng_below(&a->rng, 4) ? &a->r[i] : &a->r[rng_below(&a->rng, READERS)]);
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

		struct point p = { .x = x };

		if (!x->naddrs)
			continue;
		p.own = x->addrs[rng_below(&w->rng, (uint32_t)x->naddrs)];
		p.peer = addrs[rng_below(&w->rng, (uint32_t)naddrs)];
		p.side = (enum cw_side)rng_below(&w->rng, 2);
		for (uint32_t k = 0; k < AXES; k++) {
			p.axis = axes[rng_below(&w->rng, (uint32_t)naxes)];
			a->pt[i++] = p;
		}
	}
	free(addrs);
	free(axes);
	return any;
}

static void __attribute__((noinline)) reader_start(struct reader *r)
{
	assert_int_equal(getcontext(&r->ctx), 0);
	r->ctx.uc_stack = (stack_t){ .ss_sp = r->stack, .ss_size = STACK };
	makecontext(&r->ctx, (void (*)(void))reader_main, 2, (unsigned)((uintptr_t)r >> 32), (unsigned)(uintptr_t)r);
}

static void readers_start(struct arena *a)
{
	for (uint32_t i = 0; i < READERS; i++) {
		a->r[i].a = a;
		a->r[i].stack = malloc(STACK);
		assert_non_null(a->r[i].stack);
		reader_start(&a->r[i]);
	}
	a->sh->step = step;
	a->sh->switching = switching;
}

static void run(uint64_t seed, bool calm, uint64_t *seen, uint64_t *across, uint32_t *commits)
{
	struct arena *a = calloc(1, sizeof(*a));
	struct policy_set *set;
	struct policy_plan *plan;
	struct world w;

	assert_non_null(a);
	if (calm || seed % 3)
		world_new(&w, seed);
	else
		world_new_named(&w, seed, 60); /* rules about names: more identities of the world */
	a->rng.s = seed ^ 0x5eed;
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
	expect_all(&w, a, a->e[0]);
	assert_int_equal(policy_set_prepare_ir(set, &w.st, w.more, w.nmore, NULL, &plan), 0);
	assert_int_equal(policy_set_commit(set, plan, &a->sh->sink), 0);
	readers_start(a);
	while (a->announced < COMMITS && !a->fault[0]) {
		/* Several changes at once: of rules alone, or of modes and quarantines, too. */
		w.quiet = rng_below(&w.rng, 3) ? 2 : 1;
		for (uint32_t n = w.quiet == 2 || !calm ? 1 + rng_below(&w.rng, 3) : 1; n; n--)
			world_mutate(&w);
		/* Somebody asks what it would do, and then does something else. */
		if (!calm && !rng_below(&w.rng, 4)) {
			assert_int_equal(policy_set_prepare_ir(set, &w.st, w.more, w.nmore, NULL, &plan), 0);
			policy_plan_free(plan);
			world_mutate(&w);
		}
		expect_all(&w, a, a->e[a->announced + 1]);
		a->announced++;
		a->late = false;
		assert_int_equal(policy_set_prepare_ir(set, &w.st, w.more, w.nmore, NULL, &plan), 0);
		assert_int_equal(policy_set_commit(set, plan, &a->sh->sink), 0);
		a->done = a->announced;
		(*commits)++;
		if (!rng_below(&w.rng, 4)) {
			uint64_t seq = policy_set_seq(set);

			grace(a);
			assert_true(policy_set_gc(set, &a->sh->sink, seq) >= 0);
		}
	}
out:
	a->sh->step = NULL;
	for (uint32_t i = 0; i < READERS; i++)
		free(a->r[i].stack);
	if (a->fault[0])
		fail_msg("seed %llu: %s", (unsigned long long)seed, a->fault);
	*seen += a->seen;
	*across += a->across;
	policy_set_free(set);
	shadow_free(a->sh);
	world_done(&w);
	free(a);
}

static void test_interleave(void **state)
{
	const char *s = getenv("CW_POLICY_SECONDS"), *k = getenv("CW_POLICY_SEED");
	time_t until = time(NULL) + (s ? (time_t)strtoul(s, NULL, 10) : 4);
	uint64_t seen = 0, across = 0, seed = k ? strtoull(k, NULL, 10) : (uint64_t)time(NULL) * 1000003u, first = seed;
	/*
	 * Worlds in which once a workload stayed in a group that could not follow, while its peers went on
	 * (calm: one kind of change at a time, none dropped), and in which a change after a dropped one, or
	 * of rules and modes together, showed a mix.
	 */
	static const struct { uint64_t seed; bool calm; } known[] = {
		{ 1000231, true }, { 3000347, true }, { 4000511, true }, { 184, false }, { 30011, false },
		{ 40001, false }, { 50024, false }, { 3000347, false },
	};
	uint32_t commits = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !k; i++)
		run(known[i].seed, known[i].calm, &seen, &across, &commits);
	print_message("seed %llu\n", (unsigned long long)seed);
	while (seed == first || time(NULL) < until)
		run(seed++, false, &seen, &across, &commits);
	print_message("%llu random worlds, %u commits, %llu evaluations, %llu of them across a change\n",
		      (unsigned long long)(seed - first), commits, (unsigned long long)seen, (unsigned long long)across);
	assert_true(across > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_interleave) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
