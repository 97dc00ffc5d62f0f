/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cw_eval.h - the evaluator: which verdict a policy group gives to a peer on a port.
 *
 * One source for the data path, `query`, `simulate`, the live shadow and the tests. The
 * includer supplies the reads before including:
 *
 *   CW_EVAL_CTX                          type of an opaque context pointer
 *   cw_eval_word(ctx, index, u64 *)      cw_word[group * 2 + side]; 0 or -1
 *   cw_eval_peer(ctx, key *, u32 *)      class entry of cw_peers; 0 or -1 when there is none
 *   cw_eval_rowtab(ctx, index, u64 *)    0 or -1
 *   cw_eval_row(ctx, index, u64 *)       cw_rows[index]; 0 or -1
 *
 * and may define CW_EVAL_PAUSE(ctx), which runs between the reads (tests open the races with
 * it). The order word, class, row is what makes an update atomic without waiting for readers:
 * whoever has the old word sees old rows under old or refined class numbers, whoever has the
 * new word sees finished class numbers. Never reorder the reads.
 */
#pragma once

#include "cw_abi.h"

#ifndef CW_EVAL_PAUSE
#define CW_EVAL_PAUSE(ctx) do { } while (0)
#endif

struct cw_judgement {
	__u64 word;    /* as read: mode, quarantine bit and generation belong to this verdict */
	__u32 verdict; /* index into cw_verdicts */
	__u32 cls;     /* class, for diagnosis */
};

/*
 * Judges a peer under a word that was read before. Returns 0, or -1 when a table has a hole (an
 * index outside the tables): the caller then blocks in enforce and reports, since a half-read
 * policy is no policy. A group that was never written has word 0: generation 0, mode off.
 */
static __attribute__((always_inline)) inline int
cw_eval_under(CW_EVAL_CTX *ctx, __u64 word, __u32 gs, __u32 eid, __u32 realm, __u32 axis,
	      struct cw_judgement *out)
{
	struct cw_peer_key pk = { .gs = gs, .eid = eid };
	__u32 base, lo, n, cls = 0;
	__u64 v = 0, row = 0;

	out->word = word;
	out->verdict = 0;
	out->cls = 0;
	if (!CW_WORD_GEN(word))
		return 0;
	base = CW_WORD_BASE(word);
	CW_EVAL_PAUSE(ctx);
	if (cw_eval_peer(ctx, &pk, &cls)) {
		if (cw_eval_rowtab(ctx, base + (realm & (CW_REALM_SLOTS - 1)), &v))
			return -1;
		cls = (__u32)v;
	}
	out->cls = cls;
	CW_EVAL_PAUSE(ctx);
	if (cw_eval_rowtab(ctx, base + CW_REALM_SLOTS + cls, &row))
		return -1;
	CW_EVAL_PAUSE(ctx);

	/* Last interval whose start is <= axis; the first start is 0, so there is one. */
	lo = (__u32)(row >> 32);
	n = (__u32)row;
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (int i = 0; i < CW_ROW_STEPS && n > 1; i++) {
		__u32 half = n >> 1;

		if (cw_eval_row(ctx, lo + half, &v))
			return -1;
		if ((__u32)(v >> 32) <= axis) {
			lo += half;
			n -= half;
		} else {
			n = half;
		}
	}
	if (n != 1 || cw_eval_row(ctx, lo, &v))
		return -1;
	out->verdict = (__u32)v;
	return 0;
}

/* The same from the word on. */
static __attribute__((always_inline)) inline int
cw_eval(CW_EVAL_CTX *ctx, __u32 group, __u32 side, __u32 eid, __u32 realm, __u32 axis,
	struct cw_judgement *out)
{
	__u32 gs = group << 1 | (side & 1);
	__u64 word = 0;

	out->word = 0;
	out->verdict = 0;
	out->cls = 0;
	if (cw_eval_word(ctx, gs, &word))
		return -1;
	return cw_eval_under(ctx, word, gs, eid, realm, axis, out);
}

/*
 * An address with names is judged alone, then once with each. Rules about names only allow or
 * alert, so whatever lets it pass, lets it pass: does `a` speak before `b`? What passes comes before
 * what blocks, then the earlier tier, then alert before allow; alike as enforced, rules that are
 * only simulated decide in the same order, and at last the smaller rule number is named.
 */
static __attribute__((always_inline)) inline int
cw_name_prefers(const struct cw_verdict *a, const struct cw_verdict *b)
{
	int ablock = a->action == CW_ACT_BLOCK, bblock = b->action == CW_ACT_BLOCK;

	if (ablock != bblock)
		return bblock;
	if (a->tier != b->tier)
		return a->tier < b->tier;
	if (a->action != b->action)
		return a->action > b->action;
	ablock = a->adv_action == CW_ACT_BLOCK;
	bblock = b->adv_action == CW_ACT_BLOCK;
	if (ablock != bblock)
		return bblock;
	if (a->adv_tier != b->adv_tier)
		return a->adv_tier < b->adv_tier;
	if (a->adv_action != b->adv_action)
		return a->adv_action > b->adv_action;
	if (a->rule != b->rule)
		return a->rule < b->rule;
	return a->adv_rule < b->adv_rule;
}

/*
 * A service is judged at the source by what stands behind it, and the worst of its backends
 * holds: is `a` worse than `b`? Block, alert, allow; a rule's block before a default's, since
 * learning mode and defaults let the latter pass; then what simulated rules would do.
 */
static __attribute__((always_inline)) inline int
cw_backend_worse(const struct cw_verdict *a, const struct cw_verdict *b)
{
	__u32 x = a->action * 4u + (a->tier != CW_TIER_DEFAULT) * 2u + !!(a->flags & CW_V_ALWAYS);
	__u32 y = b->action * 4u + (b->tier != CW_TIER_DEFAULT) * 2u + !!(b->flags & CW_V_ALWAYS);

	if (x != y)
		return x > y;
	return (a->flags & CW_V_ADV ? a->adv_action : a->action) >
	       (b->flags & CW_V_ADV ? b->adv_action : b->action);
}

/* A workload that reaches itself through a service is judged by the admin and baseline tiers only. */
static __attribute__((always_inline)) inline int cw_self_judged(const struct cw_verdict *v)
{
	return v->tier == CW_TIER_QUARANTINE || v->tier == CW_TIER_ADMIN || v->tier == CW_TIER_BASELINE;
}

/* What a mode makes of a verdict. Pure; both halves of a record go through it. */
static __attribute__((always_inline)) inline __u32
cw_outcome_of(__u32 mode, __u32 action, __u32 tier, __u32 flags)
{
	if (tier == CW_TIER_QUARANTINE)
		return action == CW_ACT_BLOCK ? CW_OUT_DROP : CW_OUT_ALLOW;
	if (mode == CW_MODE_OFF)
		return CW_OUT_NONE;
	if (action == CW_ACT_ALERT)
		return CW_OUT_ALERT;
	if (action == CW_ACT_ALLOW)
		return tier == CW_TIER_DEFAULT ? CW_OUT_NO_RULE : CW_OUT_ALLOW;
	if (mode == CW_MODE_ENFORCE || (flags & CW_V_ALWAYS))
		return CW_OUT_DROP;
	if (mode == CW_MODE_LEARN && tier == CW_TIER_DEFAULT)
		return CW_OUT_NO_RULE;
	return CW_OUT_WOULD_BLOCK;
}
