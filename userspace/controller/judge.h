/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - the controller's own image of the policy, with every workload of the cluster in it: what
 * the state in force says, and what a candidate would say. The same compiler and evaluator as the
 * data path, so a prediction is the verdict.
 */
#pragma once

#include "policy/compile.h"

struct judge;

int judge_new(struct judge **ret); /* 0, -ENOMEM */
void judge_free(struct judge *j);
/* Makes `st` the state that judge_ask(.., false) answers for. Drops a candidate. */
int judge_set(struct judge *j, const struct policy_state *st, struct fail_list *f);
/* Compiles a candidate for judge_ask(.., true) beside it; replaces an earlier one. */
int judge_candidate(struct judge *j, const struct policy_state *next, struct fail_list *f);
void judge_candidate_drop(struct judge *j);
/* A dropped candidate: verdicts are right, but reason chains tell of it until judge_set(). */
bool judge_behind(const struct judge *j);
/* The candidate becomes the state. */
int judge_candidate_adopt(struct judge *j);
const struct policy_set *judge_set_of(const struct judge *j);

/*
 * Builtin allows are applied: a side that passes whatever the tiers say answers CW_OUT_ALLOW with
 * tier CW_TIER_BUILTIN. as_enforce: the outcome as if both sides were in enforce.
 * 0, -ENOENT, -EAFNOSUPPORT as policy_set_query().
 */
int judge_ask(const struct judge *j, bool candidate, bool as_enforce, const struct policy_end *src,
	      const struct policy_end *dst, uint32_t axis, struct policy_answer *ret);
