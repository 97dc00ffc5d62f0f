/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/judge.h"

#include <errno.h>
#include <stdlib.h>

#define CW_EVAL_CTX void
static inline int cw_eval_word(void *c, __u32 i, __u64 *v) { (void)c; (void)i; (void)v; return -1; }
static inline int cw_eval_peer(void *c, const void *k, __u32 *v) { (void)c; (void)k; (void)v; return -1; }
static inline int cw_eval_rowtab(void *c, __u32 i, __u64 *v) { (void)c; (void)i; (void)v; return -1; }
static inline int cw_eval_row(void *c, __u32 i, __u64 *v) { (void)c; (void)i; (void)v; return -1; }
#include "cw_eval.h" /* cw_outcome_of() only */

/* A controller sees whole clusters: room for the workloads of many nodes. */
#define JUDGE_WLS 262144u
#define JUDGE_GROUPS 262144u

struct judge {
	struct policy_set *set;
	struct policy_plan *plan;
	bool dirty;	/* the model is ahead of the image */
};

int judge_new(struct judge **ret)
{
	const struct policy_limits lim = { .groups = JUDGE_GROUPS, .wls = JUDGE_WLS, .all_local = true };
	struct judge *j = calloc(1, sizeof(*j));
	int e;

	if (!j)
		return -ENOMEM;
	e = policy_set_new(&lim, &j->set);
	if (e) {
		free(j);
		return e;
	}
	*ret = j;
	return 0;
}

void judge_free(struct judge *j)
{
	if (!j)
		return;
	policy_plan_free(j->plan);
	policy_set_free(j->set);
	free(j);
}

static void collect(struct judge *j)
{
	int e;

	do {
		e = policy_set_gc(j->set, &policy_sink_nowhere, policy_set_seq(j->set));
	} while (e > 0);
}

int judge_candidate(struct judge *j, const struct policy_state *next, struct fail_list *f)
{
	judge_candidate_drop(j);
	j->dirty = true;
	return policy_set_prepare(j->set, next, f, &j->plan);
}

void judge_candidate_drop(struct judge *j)
{
	policy_plan_free(j->plan);
	j->plan = NULL;
}

bool judge_behind(const struct judge *j)
{
	return j->dirty;
}

int judge_candidate_adopt(struct judge *j)
{
	struct policy_plan *plan = j->plan;
	int e;

	if (!plan)
		return -EINVAL;
	j->plan = NULL;
	e = policy_set_commit(j->set, plan, &policy_sink_nowhere);
	collect(j);
	j->dirty = e != 0;
	return e;
}

int judge_set(struct judge *j, const struct policy_state *st, struct fail_list *f)
{
	int e = judge_candidate(j, st, f);

	return e ? e : judge_candidate_adopt(j);
}

const struct policy_set *judge_set_of(const struct judge *j)
{
	return j->set;
}

static void side_finish(struct policy_side_answer *s, enum cw_reason builtin, bool as_enforce)
{
	if (!s->judged)
		return;
	if (as_enforce)
		s->mode = CW_MODE_ENFORCE;
	if (s->mode == CW_MODE_OFF && s->j.v.tier != CW_TIER_QUARANTINE) {
		s->j.outcome = CW_OUT_NONE;
		return;
	}
	if (builtin && s->j.v.tier != CW_TIER_QUARANTINE) {
		s->j.v = (struct cw_verdict){ .action = CW_ACT_ALLOW, .tier = CW_TIER_BUILTIN };
		s->j.outcome = CW_OUT_ALLOW;
		s->reason = builtin;
		return;
	}
	if (as_enforce)
		s->j.outcome = cw_outcome_of(CW_MODE_ENFORCE, s->j.v.action, s->j.v.tier, s->j.v.flags);
}

int judge_ask(const struct judge *j, bool candidate, bool as_enforce, const struct policy_end *src,
	      const struct policy_end *dst, uint32_t axis, struct policy_answer *ret)
{
	struct policy_answer a = {};
	int e = candidate ? policy_plan_query(j->plan, src, dst, axis, &a) :
			    policy_set_query(j->set, src, dst, axis, &a);

	if (e)
		return e;
	/* The node speaks for itself only at its own pods: the ingress side. */
	side_finish(&a.side[CW_EGRESS], a.builtin == CW_R_SELF ? a.builtin : CW_R_NONE, as_enforce);
	side_finish(&a.side[CW_INGRESS], a.builtin, as_enforce);
	a.passes = a.side[0].j.outcome != CW_OUT_DROP && a.side[1].j.outcome != CW_OUT_DROP;
	*ret = a;
	return 0;
}
