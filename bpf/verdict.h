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

/* Answers w->ask. -1: the tables have a hole. */
CW_GLOBAL int cw_answer(void)
{
	struct cw_work *w = cw_work();
	struct cw_judgement j = {};
	struct cw_verdict *v;
	__u32 idx;

	if (!w)
		return -1;
	if (cw_eval_under((void *)0, w->ask.word, w->ask.gs, w->ask.eid, w->ask.realm, w->ask.axis, &j))
		return -1;
	idx = j.verdict;
	v = bpf_map_lookup_elem(&cw_verdicts, &idx);
	if (!v)
		return -1;
	w->ask.verdict = j.verdict;
	w->ask.v = *v;
	return 0;
}

CW_INLINE void cw_take(struct cw_work *w)
{
	w->verdict = w->ask.verdict;
	w->v = w->ask.v;
}

/* The worst of the backends. -1: the tables have a hole. */
CW_GLOBAL int cw_consider_service(void)
{
	struct cw_work *w = cw_work();
	__u32 taken = 0;

	if (!w)
		return -1;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < CW_SVC_BACKENDS; i++) {
		__u32 at = w->svc.first + i;
		struct cw_backend *b;

		if (i >= w->svc.n)
			break;
		b = bpf_map_lookup_elem(&cw_backends, &at);
		if (!b)
			return -1;
		w->ask.eid = b->eid;
		w->ask.realm = b->realm;
		w->ask.axis = CW_AXIS(w->p.proto, b->port);
		if (cw_answer())
			return -1;
		if (b->wl && b->wl == w->wl && !cw_self_judged(&w->ask.v))
			continue;
		if (!taken || cw_backend_worse(&w->ask.v, &w->v))
			cw_take(w);
		taken = 1;
	}
	return taken ? 0 : 1;
}

/* The best that its names make of an address. What cannot be found out leaves it as it is. */
CW_GLOBAL int cw_consider_names(void)
{
	struct cw_work *w = cw_work();
	struct cw_fqdn *f;

	if (!w)
		return -1;
	w->k.fqdn.addr.wl = w->wl;
	__builtin_memcpy(w->k.fqdn.addr.addr, w->from_pod ? w->p.daddr : w->p.saddr, 16);
	f = bpf_map_lookup_elem(&cw_fqdn, &w->k.fqdn.addr);
	if (!f)
		return 0;
	w->k.fqdn.cls.eid = w->r.eid;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < CW_FQDN_NAMES; i++) {
		__u64 hash = f->name[i].hash;
		struct cw_dns_name *d;
		__u32 *eid;

		d = hash ? bpf_map_lookup_elem(&cw_dns_name, &hash) : 0;
		if (!d)
			continue;
		w->k.fqdn.cls.cls = *(volatile __u32 *)&d->cls;
		eid = bpf_map_lookup_elem(&cw_named, &w->k.fqdn.cls); /* class 0 has none */
		if (!eid)
			continue;
		w->ask.eid = *(volatile __u32 *)eid;
		if (cw_answer())
			return -1;
		if (cw_name_prefers(&w->ask.v, &w->v))
			cw_take(w);
	}
	return 0;
}

/*
 * Fills word, mode, verdict and v: of the address, of the names it goes by, or of what stands
 * behind it. All questions are asked under one word. 1: a workload reaches itself and nothing
 * speaks against it; -1: the tables have a hole.
 */
CW_INLINE int cw_consider(struct cw_work *w, const struct cw_ctl *c)
{
	__u32 gs = w->l.group << 1 | (w->side & 1);
	__u64 word = 0;

	w->verdict = 0;
	__builtin_memset(&w->v, 0, sizeof(w->v));
	if (cw_eval_word((void *)0, gs, &word))
		return -1;
	w->word = word;
	w->mode = CW_WORD_MODE(word);
	w->quar = CW_WORD_QUAR(word);
	w->ask.word = word;
	w->ask.gs = gs;
	if (w->svc.n)
		return cw_consider_service();
	w->ask.eid = w->r.eid;
	w->ask.realm = w->r.realm;
	w->ask.axis = cw_axis_of(w);
	if (cw_answer())
		return -1;
	cw_take(w);
	if (c->names && w->side == CW_EGRESS && w->r.realm == CW_REALM_WORLD)
		return cw_consider_names();
	return 0;
}

/*
 * Judges w's side: fills word, mode, verdict, v, outcome and reason. What the contract allows
 * whatever the tiers say comes first, and quarantine before that. cw_access_key_make() goes before.
 */
CW_INLINE void cw_judge(struct cw_work *w, const struct cw_ctl *c)
{
	__u32 out;
	int r = cw_consider(w, c);

	if (r < 0) {
		w->reason = CW_R_NO_POLICY;
		w->outcome = w->quar || w->mode == CW_MODE_ENFORCE ? CW_OUT_DROP : CW_OUT_WOULD_BLOCK;
		return;
	}
	/* The node reaches its own pods (probes, exec), unless configured otherwise. */
	if (w->side == CW_INGRESS && w->r.realm == CW_REALM_HOST &&
	    c->local_node == CW_CTL_LOCAL_NODE_ALLOW) {
		w->reason = CW_R_LOCAL_NODE;
		w->outcome = w->mode == CW_MODE_OFF ? CW_OUT_NONE : CW_OUT_ALLOW;
		return;
	}
	if (r == 1 || (w->r.wl == w->wl && !w->quar)) {
		w->reason = CW_R_SELF;
		w->outcome = w->mode == CW_MODE_OFF ? CW_OUT_NONE : CW_OUT_ALLOW;
		return;
	}
	out = CW_WORD_GEN(w->word) ?
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
