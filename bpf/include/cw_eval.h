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
 * Judges one side. Returns 0, or -1 when a table has a hole (an index outside the tables): the
 * caller then blocks in enforce and reports, since a half-read policy is no policy.
 * A group that was never written has word 0: generation 0, mode off.
 */
static __attribute__((always_inline)) inline int
cw_eval(CW_EVAL_CTX *ctx, __u32 group, __u32 side, __u32 eid, __u32 realm, __u32 axis,
	struct cw_judgement *out)
{
	struct cw_peer_key pk = { .gs = group << 1 | (side & 1), .eid = eid };
	__u32 base, lo, n, cls = 0;
	__u64 v = 0, row = 0;

	out->verdict = 0;
	out->cls = 0;
	if (cw_eval_word(ctx, pk.gs, &out->word))
		return -1;
	if (!CW_WORD_GEN(out->word))
		return 0;
	base = CW_WORD_BASE(out->word);
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
