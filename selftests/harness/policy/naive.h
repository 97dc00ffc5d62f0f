/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naive.h - the semantics, walked tier by tier over the plain state for one packet. Slow, and
 * nothing shared with the compiler: what the two disagree about is a fault in one of them.
 */
#pragma once

#include "policy/ir.h"
#include "policy/state.h"

struct naive_verdict {
	struct cw_verdict v;
	enum cw_mode mode;
	bool quarantined;
	enum cw_realm peer_realm;
};

/* Who owns an address; all NULL/realm of the prefix if nobody. */
struct naive_who {
	const struct workload *w;
	const struct node_info *node;
	enum cw_realm realm;
};
struct naive_who naive_who(const struct policy_state *st, const struct addr *a);

/* Judges one side of the subject workload. `own`: its address (NULL: none). all_local is assumed. */
void naive_judge(const struct policy_state *st, const struct ir_rule *more, size_t nmore,
		 const struct workload *subject, const struct addr *own, const struct addr *peer,
		 enum cw_side side, uint32_t axis, struct naive_verdict *ret);
/* The same towards an address that the subject knows by these names; all count at once. */
void naive_judge_named(const struct policy_state *st, const struct ir_rule *more, size_t nmore,
		       const struct workload *subject, const struct addr *own, const struct addr *peer,
		       const char *const *names, size_t nnames, enum cw_side side, uint32_t axis,
		       struct naive_verdict *ret);
