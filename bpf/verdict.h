/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* verdict.h - the evaluator on the kernel's maps; the only reader of the policy tables. */
#pragma once

#include "work.h"

CW_INLINE int cw_eval_array(void *map, __u32 i, __u64 *out)
{
	__u64 *v = bpf_map_lookup_elem(map, &i);

	if (!v)
		return -1;
	*out = *(volatile __u64 *)v; /* once: a switched word must not be read twice */
	return 0;
}
CW_INLINE int cw_eval_peer_read(const struct cw_peer_key *k, __u32 *out)
{
	__u32 *v = bpf_map_lookup_elem(&cw_peers, k);

	if (!v)
		return -1;
	*out = *(volatile __u32 *)v;
	return 0;
}
CW_INLINE void cw_eval_pause(void)
{
	if (!cw_test_delay)
		return;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 4096; i++) {
		if (i >= cw_test_delay)
			break;
		(void)bpf_ktime_get_ns();
	}
}

#define CW_EVAL_CTX void
#define cw_eval_word(ctx, i, out) cw_eval_array(&cw_word, i, out)
#define cw_eval_peer(ctx, key, out) cw_eval_peer_read(key, out)
#define cw_eval_rowtab(ctx, i, out) cw_eval_array(&cw_rowtab, i, out)
#define cw_eval_row(ctx, i, out) cw_eval_array(&cw_rows, i, out)
#define CW_EVAL_PAUSE(ctx) cw_eval_pause()
#include "cw_eval.h"

/* The point of the axis a flow is about, by its own direction. */
CW_INLINE __u32 cw_axis_of(const struct cw_work *w)
{
	return CW_AXIS(w->p.proto, w->ak.port);
}

/*
 * Judges w's side: fills word, mode, verdict, v, outcome and reason. What the contract allows
 * whatever the tiers say comes first, and quarantine before that.
 */
CW_INLINE void cw_judge(struct cw_work *w, const struct cw_ctl *c)
{
	struct cw_judgement j = {};
	struct cw_verdict *v;
	__u32 idx, out;

	w->verdict = 0;
	__builtin_memset(&w->v, 0, sizeof(w->v));
	if (cw_eval((void *)0, w->l.group, w->side, w->r.eid, w->r.realm, cw_axis_of(w), &j)) {
		w->word = j.word;
		w->mode = CW_WORD_MODE(j.word);
		w->quar = CW_WORD_QUAR(j.word);
		w->reason = CW_R_NO_POLICY;
		w->outcome = w->quar || w->mode == CW_MODE_ENFORCE ? CW_OUT_DROP : CW_OUT_WOULD_BLOCK;
		return;
	}
	w->word = j.word;
	w->mode = CW_WORD_MODE(j.word);
	w->quar = CW_WORD_QUAR(j.word);

	/* The node reaches its own pods (probes, exec), unless configured otherwise. */
	if (w->side == CW_INGRESS && w->r.realm == CW_REALM_HOST &&
	    c->local_node == CW_CTL_LOCAL_NODE_ALLOW) {
		w->reason = CW_R_LOCAL_NODE;
		w->outcome = w->mode == CW_MODE_OFF ? CW_OUT_NONE : CW_OUT_ALLOW;
		return;
	}
	if (w->r.wl == w->wl && !w->quar) {
		w->reason = CW_R_SELF;
		w->outcome = w->mode == CW_MODE_OFF ? CW_OUT_NONE : CW_OUT_ALLOW;
		return;
	}
	idx = j.verdict;
	v = bpf_map_lookup_elem(&cw_verdicts, &idx);
	if (!v) {
		w->reason = CW_R_NO_POLICY;
		w->outcome = w->quar || w->mode == CW_MODE_ENFORCE ? CW_OUT_DROP : CW_OUT_WOULD_BLOCK;
		return;
	}
	w->verdict = idx;
	w->v = *v;
	out = CW_WORD_GEN(j.word) ?
		      cw_outcome_of(w->mode, w->v.action, w->v.tier, w->v.flags) : CW_OUT_NONE;
	w->reason = w->v.tier == CW_TIER_QUARANTINE	   ? CW_R_QUARANTINE :
		    (w->v.flags & CW_V_ISOLATED)	   ? CW_R_ISOLATED :
		    w->v.tier != CW_TIER_DEFAULT	   ? CW_R_RULE :
		    w->r.realm == CW_REALM_UNKNOWN	   ? CW_R_IDENTITY_LATE :
							     CW_R_DEFAULT;
	/* Rules that are only simulated speak where the enforced verdict lets the flow pass. */
	if ((w->v.flags & CW_V_ADV) && out != CW_OUT_DROP && out != CW_OUT_NONE &&
	    out != CW_OUT_WOULD_BLOCK) {
		if (w->v.adv_action == CW_ACT_BLOCK) {
			out = CW_OUT_WOULD_BLOCK;
			w->reason = w->v.adv_tier == CW_TIER_DEFAULT ? CW_R_DEFAULT : CW_R_RULE;
		} else if (w->v.adv_action == CW_ACT_ALERT) {
			out = CW_OUT_ALERT;
			w->reason = CW_R_RULE;
		}
	}
	w->outcome = out;
}

/* Rule counters, by verdict index. */
CW_INLINE void cw_judge_count(struct cw_work *w)
{
	__u32 idx = w->verdict;
	struct cw_vstat *s = bpf_map_lookup_elem(&cw_vstat, &idx);

	if (!s)
		return;
	if (w->count_side)
		s->flows++;
	if (w->outcome == CW_OUT_DROP)
		s->packets += w->segs;
	else if (w->outcome == CW_OUT_WOULD_BLOCK)
		s->packets++;
	s->last = w->now;
}
