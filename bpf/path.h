/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * path.h - the whole way of one packet: parse, guard, track, judge, account, announce.
 *
 * Global functions keep the verifier's work additive. They share struct cw_work and return
 * small integers; only cw_slow() is called from outside.
 */
#pragma once

#include "account.h"
#include "conntrack.h"
#include "dns.h"
#include "event.h"
#include "frag.h"
#include "guard.h"
#include "verdict.h"
#ifndef CW_XDP
#include "reject.h"
#endif

/* Sets up the working state for this packet. 0, or -1 when the hook has no endpoint. */
CW_INLINE int cw_begin(cw_ctx *ctx, __u32 ep, __u32 from_pod)
{
	struct cw_work *w = cw_work();
	struct cw_ep *e = bpf_map_lookup_elem(&cw_ep, &ep);
	__u32 gs;
	__u64 *word;

	if (!w || !e || !(e->flags & CW_EP_ATTACHED))
		return -1;
	__builtin_memset(&w->p, 0, sizeof(w->p));
	__builtin_memset(&w->l, 0, sizeof(w->l));
	__builtin_memset(&w->r, 0, sizeof(w->r));
	__builtin_memset(&w->v, 0, sizeof(w->v));
	w->ep = ep;
	w->wl = e->wl;
	w->group = e->group;
	w->eid = e->eid;
	w->zone = e->zone;
	w->epflags = e->flags;
	__builtin_memcpy(w->mac, e->mac, 6);
	w->from_pod = !!from_pod;
	w->now = (__u32)bpf_jiffies64();
	w->len = CW_LEN(ctx);
	w->segs = CW_SEGS(ctx);
	w->reply = w->guessed = w->cut = w->count_flow = w->count_side = w->forged = w->tell = 0;
	w->side = from_pod ? CW_EGRESS : CW_INGRESS;
	w->outcome = CW_OUT_NONE;
	w->reason = CW_R_NONE;
	w->mode = CW_MODE_OFF;
	w->quar = 0;
	w->verdict = 0;
	w->mcast = 0;
	w->f.acct = 0;
	gs = w->group << 1;
	word = bpf_map_lookup_elem(&cw_word, &gs);
	if (word && CW_WORD_GEN(*word)) {
		w->mode = CW_WORD_MODE(*word);
		w->quar = CW_WORD_QUAR(*word);
	}
	return 0;
}

/* A packet that no rule can speak for: dropped in enforce and quarantine, else counted. */
CW_INLINE __u32 cw_refuse(struct cw_work *w)
{
	struct cw_ctl *c = cw_ctl_get();

	w->forged = w->from_pod && (w->reason == CW_R_SPOOF_IP || w->reason == CW_R_SPOOF_MAC);
	if (w->quar || w->mode == CW_MODE_ENFORCE)
		w->outcome = CW_OUT_DROP;
	else if (w->mode == CW_MODE_OFF)
		return CW_S_PASS;
	else
		w->outcome = CW_OUT_WOULD_BLOCK;
	cw_reason_count(w->reason, w->outcome, w->segs);
	/* What a bridge floods to everybody is nobody's departure. */
	if (c && w->reason != CW_R_NOT_MINE)
		cw_event_guard(w, c);
	return w->outcome == CW_OUT_DROP ? CW_S_DROP : CW_S_PASS;
}

CW_GLOBAL int cw_step_parse(cw_ctx *ctx)
{
	struct cw_work *w = cw_work();
	__u32 r, g;

	if (!w)
		return CW_S_PASS;
	r = cw_parse(ctx, &w->p);
	if (r == CW_R_ETHERTYPE && cw_is_probe(ctx, w))
		return CW_S_DROP;
#ifndef CW_XDP
	if (ctx->vlan_present)
		r = CW_R_ETHERTYPE;
#endif
	if (w->from_pod && !(w->epflags & CW_EP_NO_MAC) && !cw_mac_eq(w->p.smac, w->mac) &&
	    r != CW_R_UNREADABLE)
		r = CW_R_SPOOF_MAC;
	if (r) {
		w->reason = r;
		return cw_refuse(w);
	}
	if (w->p.ethertype == CW_ETHERTYPE_ARP) {
		g = cw_guard_arp(ctx, w);
		if (g == CW_G_REFUSE)
			return cw_refuse(w);
		cw_reason_count(CW_R_SERVICE_TRAFFIC, CW_OUT_ALLOW, 1);
		return CW_S_PASS;
	}
	return CW_S_GO_ON;
}

CW_GLOBAL int cw_step_guard(cw_ctx *ctx)
{
	struct cw_work *w = cw_work();
	__u32 g;

	if (!w)
		return CW_S_PASS;
	g = cw_guard_ip(ctx, w);
	if (g == CW_G_REFUSE)
		return cw_refuse(w);
	if (g == CW_G_PASS) {
		cw_reason_count(w->reason, CW_OUT_ALLOW, 1);
		return CW_S_PASS;
	}
	/* Not resolved yet and configured closed: names and probes only. */
	if ((w->epflags & CW_EP_CLOSED) && w->r.realm != CW_REALM_HOST) {
		__u16 port = w->from_pod ? w->p.dport : w->p.sport;

		if (!(port == 53 && (w->p.proto == CW_PROTO_UDP || w->p.proto == CW_PROTO_TCP))) {
			w->reason = CW_R_NO_ENDPOINT;
			w->mode = CW_MODE_ENFORCE;
			return cw_refuse(w);
		}
	}
	return CW_S_GO_ON;
}

/* ICMP errors belong to the flow they are about, whichever router sent them. */
CW_GLOBAL int cw_step_related(cw_ctx *ctx)
{
	struct cw_work *w = cw_work();
	struct cw_flow *f;

	if (!w)
		return CW_S_PASS;
	__builtin_memset(&w->q, 0, sizeof(w->q));
	/* It goes to whoever sent the packet it is about: elsewhere it would be a way past the rules. */
	if (!w->quar && !cw_parse_inner(ctx, &w->p, &w->q) && cw_addr_eq(w->p.daddr, w->q.saddr)) {
		cw_key_make(w, &w->q);
		f = cw_flow_get(w);
		if (f && !cw_flow_expired(f, w->q.proto, w->now)) {
			for (int i = 0; i < 2; i++)
				if (f->side[i].ep == w->ep && f->side[i].outcome != CW_OUT_DROP) {
					cw_reason_count(CW_R_RELATED, CW_OUT_ALLOW, 1);
					return CW_S_PASS;
				}
		}
	}
	w->reason = CW_R_ICMP_UNRELATED;
	return cw_refuse(w);
}

CW_GLOBAL int cw_step_fragment(void)
{
	struct cw_work *w = cw_work();
	struct cw_ctl *c = cw_ctl_get();
	__u32 r, acct;

	if (!w || !c)
		return CW_S_PASS;
	r = cw_frag_find(w);
	if (r == 1) {
		acct = w->f.acct;
		if (acct && CW_ACCT_EPOCH(acct) != (c->epoch & 0xfff))
			acct = CW_ACCT(c->epoch, 0);
		if (acct)
			cw_account_traffic(c, acct, w->segs, w->len);
		return CW_S_PASS;
	}
	if (r == 2) {
		cw_reason_count(w->reason, CW_OUT_DROP, 1);
		return CW_S_DROP;
	}
	w->reason = CW_R_FRAG_ORPHAN;
	return cw_refuse(w);
}

/* Judges, counts and announces w's side of its flow. */
CW_GLOBAL int cw_step_judge(void)
{
	struct cw_work *w = cw_work();
	struct cw_ctl *c = cw_ctl_get();
	__u32 acct, type;

	if (!w || !c)
		return CW_S_PASS;
	cw_access_key_make(w);
	cw_judge(w, c);
	if (w->outcome == CW_OUT_NONE) { /* off: nothing is recorded */
		w->f.acct = 0;
		return CW_S_PASS;
	}
	if (w->cut && w->outcome == CW_OUT_DROP && w->reason != CW_R_QUARANTINE)
		w->reason = CW_R_ESTABLISHED_CUT;
	cw_judge_count(w);
	type = cw_account(w, c, &acct);
	w->f.acct = acct;
	if (w->outcome == CW_OUT_DROP || w->outcome == CW_OUT_WOULD_BLOCK ||
	    w->reason >= CW_R_LOCAL_NODE)
		cw_reason_count(w->reason, w->outcome, w->segs);
	if (type)
		cw_event_send(w, c, type);
	return w->outcome == CW_OUT_DROP ? CW_S_DROP : CW_S_PASS;
}

/* The first answer of a flow, and the access that gets the credit. */
CW_GLOBAL int cw_step_answer(void)
{
	struct cw_work *w = cw_work();
	struct cw_ctl *c = cw_ctl_get();

	if (w && c) {
		cw_access_key_make(w);
		cw_account_answer(w, c);
	}
	return 0;
}

CW_INLINE void cw_side_set(struct cw_work *w, struct cw_flow_side *s)
{
	s->ep = w->ep;
	s->group = w->l.group;
	s->verdict = (__u16)w->verdict;
	s->outcome = w->outcome;
	s->reason = w->reason;
	s->gen = CW_WORD_GEN(w->word);
}

CW_INLINE int cw_asks(const struct cw_work *w)
{
	return w->p.icmp_type == cw_icmp_request(w->p.family, w->p.icmp_type);
}

/* The workload that opens the flow is of this node and can send past its own hook. */
CW_INLINE int cw_sender_inside(const struct cw_work *w)
{
	__u32 wl = w->side == CW_EGRESS ? w->wl : w->r.wl;
	struct cw_wl *v = w->side == CW_EGRESS || wl ? bpf_map_lookup_elem(&cw_wl, &wl) : 0;

	return v && (v->flags & CW_WL_INSIDE);
}

/* A flow nobody knows yet, or one that is over: judged as new. */
CW_GLOBAL int cw_step_new(void)
{
	struct cw_work *w = cw_work();
	struct cw_ctl *c = cw_ctl_get();
	int r;
	long e;

	if (!w || !c)
		return CW_S_PASS;
	cw_guess(w, c);
	w->side = w->from_pod == w->reply ? CW_INGRESS : CW_EGRESS;
	w->count_flow = 1;
	w->count_side = 1;
	/* A stray reset opens nothing; it is judged, and leaves no trace of its own. */
	if (w->p.proto == CW_PROTO_TCP && (w->p.tcp_flags & CW_TCP_RST)) {
		cw_access_key_make(w);
		cw_judge(w, c);
		if (w->outcome == CW_OUT_DROP) {
			cw_reason_count(w->reason, CW_OUT_DROP, 1);
			return CW_S_DROP;
		}
		return CW_S_PASS;
	}
	r = cw_step_judge();
	if (r == CW_S_DROP)
		return r;
	/* Nor does an answer that nobody asked for. */
	if (w->p.icmp_query && !cw_asks(w)) {
		if (w->outcome != CW_OUT_NONE)
			cw_account_traffic(c, w->f.acct, w->segs, w->len);
		return CW_S_PASS;
	}

	__builtin_memset(&w->f.side, 0, sizeof(w->f.side));
	w->f.seen = w->now;
	w->f.born = w->now;
	w->f.state = CW_FLOW_NEW;
	w->f.counted = w->outcome == CW_OUT_NONE ? 0 : CW_COUNTED_FLOW;
	w->f.flags = (w->a_is_src == w->reply ? CW_FLOW_F_B_ORIG : 0) |
		     (w->guessed ? CW_FLOW_F_GUESSED : 0) |
		     (w->side == CW_INGRESS ? CW_FLOW_F_ACCT_INGRESS : 0) |
		     (cw_sender_inside(w) ? CW_FLOW_F_SENDER : 0);
	cw_side_set(w, &w->f.side[w->side & 1]);
	cw_flow_track(&w->f, &w->p, w->reply, w->now);
	if (w->outcome != CW_OUT_NONE && cw_flow_credit(&w->f, w->reply))
		cw_account_answer(w, c);
	if (w->p.family == 4)
		e = bpf_map_update_elem(&cw_flow4, &w->k4, &w->f, BPF_ANY);
	else
		e = bpf_map_update_elem(&cw_flow6, &w->k6, &w->f, BPF_ANY);
	if (e)
		__sync_fetch_and_add(&c->flow_full, 1);
	if (w->outcome != CW_OUT_NONE)
		cw_account_traffic(c, w->f.acct, w->segs, w->len);
	return CW_S_PASS;
}

/*
 * A change made with `keep` is felt by new flows only: what passes goes on under the verdict it
 * has, and the workload's group of now answers for it from here on.
 */
CW_INLINE int cw_keep(struct cw_work *w, struct cw_flow_side *s)
{
	__u32 gs = w->l.group << 1 | (w->side & 1);
	__u64 *word = bpf_map_lookup_elem(&cw_word, &gs);
	__u32 gen = word ? CW_WORD_GEN(*(volatile __u64 *)word) : 0;

	if (!gen)
		return 0;
	s->group = w->l.group;
	s->gen = gen;
	return 1;
}

/* A packet of a known flow that the fast path did not settle. */
CW_GLOBAL int cw_step_known(cw_ctx *ctx)
{
	struct cw_work *w = cw_work();
	struct cw_ctl *c = cw_ctl_get();
	struct cw_flow_side *s;
	struct cw_flow *f;
	__u32 gs, fresh, epoch, acct = 0, kept = 0, reset = 0;
	__u64 *word;
	int r;

	if (!w || !c)
		return CW_S_PASS;
	f = cw_flow_get(w);
	if (!f)
		return cw_step_new();
	w->reply = w->a_is_src == !!(f->flags & CW_FLOW_F_B_ORIG);
	/* A SYN on a tuple that is over opens a new flow; on a live one it is not believed. Nor is an
	 * ICMP request an answer, or an answer a request, because the flow's id fits. */
	if (cw_flow_expired(f, w->p.proto, w->now) ||
	    (f->state == CW_FLOW_CLOSED && w->p.proto == CW_PROTO_TCP &&
	     (w->p.tcp_flags & (CW_TCP_SYN | CW_TCP_ACK)) == CW_TCP_SYN) ||
	    (w->p.icmp_query && w->reply == cw_asks(w))) {
		r = cw_step_guard(ctx);
		return r == CW_S_GO_ON ? cw_step_new() : r;
	}
	w->side = w->from_pod == w->reply ? CW_INGRESS : CW_EGRESS;
	s = &f->side[w->side & 1];
	gs = s->group << 1 | (w->side & 1);
	word = bpf_map_lookup_elem(&cw_word, &gs);
	fresh = s->ep == w->ep && word && s->gen == CW_WORD_GEN(*(volatile __u64 *)word) &&
		s->gen && s->outcome != CW_OUT_DROP;
	epoch = c->epoch;
	if (!fresh) {
		__u64 *since = bpf_map_lookup_elem(&cw_since, &gs);

		r = cw_step_guard(ctx);
		if (r != CW_S_GO_ON)
			return r;
		if (word && since && s->ep == w->ep && s->gen) {
			__u32 gen = CW_WORD_GEN(*(volatile __u64 *)word);
			__u64 from = *(volatile __u64 *)since;

			reset = CW_SINCE_RESET(from) == gen;
			kept = s->outcome != CW_OUT_DROP && CW_SINCE_KEEP(from) && (__s32)(s->gen - CW_SINCE_KEEP(from)) >= 0 &&
			       (__s32)(gen - s->gen) > 0 && cw_keep(w, s);
		}
	}
	if (!fresh && !kept) {
		/* Counted as opened by the first side that records; a seeded flow by its first packet. */
		w->count_flow = !(f->counted & CW_COUNTED_FLOW);
		w->count_side = !s->gen || s->ep != w->ep || s->outcome == CW_OUT_NONE;
		w->cut = s->ep == w->ep && s->gen && f->state >= CW_FLOW_SYNACK;
		r = cw_step_judge();
		if (w->count_flow && w->outcome != CW_OUT_NONE) {
			f->counted |= CW_COUNTED_FLOW;
			f->acct = w->f.acct;
			if (w->side == CW_INGRESS)
				f->flags |= CW_FLOW_F_ACCT_INGRESS;
			else
				f->flags &= ~CW_FLOW_F_ACCT_INGRESS;
		}
		cw_side_set(w, s);
		if (r == CW_S_DROP) {
			/* A cut that both ends are told of, and whoever sends on once more. */
			w->tell = reset && w->cut && w->p.proto == CW_PROTO_TCP;
			if (w->tell)
				w->v.flags |= CW_V_REJECT;
			return r;
		}
	} else {
		w->outcome = s->outcome;
		w->l.group = s->group;
	}
	cw_flow_track(f, &w->p, w->reply, w->now);
	w->f.acct = 0;
	if (w->outcome == CW_OUT_NONE)
		return CW_S_PASS;
	if ((w->side == CW_INGRESS) == !!(f->flags & CW_FLOW_F_ACCT_INGRESS)) {
		if (CW_ACCT_EPOCH(f->acct) != (epoch & 0xfff)) {
			/* The table that counted this flow went to rest: register in the new one. */
			r = fresh ? cw_step_guard(ctx) : CW_S_GO_ON;
			if (r != CW_S_GO_ON)
				return r;
			w->side = w->from_pod == w->reply ? CW_INGRESS : CW_EGRESS;
			w->reason = s->reason;
			w->verdict = s->verdict;
			w->count_flow = 0;
			w->count_side = 0;
			cw_access_key_make(w);
			cw_account(w, c, &acct);
			f->acct = acct;
		}
		w->f.acct = f->acct;
		cw_account_traffic(c, f->acct, w->segs, w->len);
	}
	if (cw_flow_credit(f, w->reply)) {
		r = fresh ? cw_step_guard(ctx) : CW_S_GO_ON;
		if (r != CW_S_GO_ON)
			return r;
		cw_step_answer();
	}
	return CW_S_PASS;
}

/*
 * At the receiver, of a flow whose source can send past its own hook (pod-side egress against raw
 * sockets): the source's side is judged here, unless its hook has done so under the word in force.
 * The working state is turned round for it, as at the source, and back.
 */
CW_GLOBAL int cw_step_sender(void)
{
	struct cw_work *w = cw_work();
	struct cw_flow_side *s;
	struct cw_flow *f;
	struct cw_addr own;
	__u32 gs, wl;
	__u64 *word;
	int r;

	if (!w || w->from_pod || w->side != CW_INGRESS || w->p.icmp_error)
		return CW_S_PASS;
	f = cw_flow_get(w);
	if (!f || !(f->flags & CW_FLOW_F_SENDER))
		return CW_S_PASS;
	s = &f->side[CW_EGRESS];
	gs = s->group << 1 | CW_EGRESS;
	word = bpf_map_lookup_elem(&cw_word, &gs);
	if (s->gen && word && s->gen == CW_WORD_GEN(*(volatile __u64 *)word) && s->outcome != CW_OUT_DROP)
		return CW_S_PASS;
	cw_identify(w->p.saddr, w->p.family, w->zone, &w->r);
	cw_identify(w->p.daddr, w->p.family, w->zone, &w->l);
	if (!w->r.wl || !w->r.group)
		return CW_S_PASS; /* it is not of this node any more */
	own = w->l;
	wl = w->wl;
	w->l = w->r;
	w->r = own;
	w->wl = w->l.wl;
	w->from_pod = 1;
	w->side = CW_EGRESS;
	w->count_flow = 0;
	w->count_side = !s->gen || s->outcome == CW_OUT_NONE;
	w->cut = s->gen && f->state >= CW_FLOW_SYNACK;
	r = cw_step_judge();
	cw_side_set(w, s);
	w->r = w->l;
	w->l = own;
	w->wl = wl;
	w->from_pod = 0;
	w->side = CW_INGRESS;
	return r;
}

CW_INLINE int cw_way(cw_ctx *ctx, struct cw_work *w)
{
	int r = cw_step_parse(ctx);

	if (r != CW_S_GO_ON)
		return r;
#ifndef CW_XDP
	if (!w->from_pod && ctx->tc_index == CW_FORGED_TAG) {
		/* Reported where it was sent; here it only must not be taken for what it says. */
		if (!w->quar && w->mode != CW_MODE_ENFORCE)
			return CW_S_PASS;
		w->reason = CW_R_SPOOF_IP;
		return cw_refuse(w);
	}
#endif
	if (w->p.frag == CW_FRAG_LATER) {
		r = cw_step_guard(ctx);
		return r == CW_S_GO_ON ? cw_step_fragment() : r;
	}
	w->a_is_src = cw_key_make(w, &w->p);
	/* An error is asked for its flow before any other can claim it. */
	if (!w->p.icmp_error && cw_flow_get(w)) {
		r = cw_step_known(ctx);
	} else {
		r = cw_step_guard(ctx);
		if (r == CW_S_GO_ON)
			r = w->p.icmp_error ? cw_step_related(ctx) : cw_step_new();
	}
	if (r == CW_S_PASS && !w->from_pod)
		r = cw_step_sender();
	if (r == CW_S_PASS && cw_dns_concerns(w) && cw_dns(ctx)) {
		w->reason = CW_R_DNS_FULL;
		w->v.flags = 0;
		r = cw_refuse(w);
	}
	if (w->p.frag == CW_FRAG_FIRST)
		cw_frag_note(w, r == CW_S_PASS ? 1 : 2);
#ifndef CW_XDP
	if (r == CW_S_DROP && w->outcome == CW_OUT_DROP && (w->v.flags & CW_V_REJECT))
		return cw_reject(ctx);
#endif
	return r;
}

/* Everything the fast path does not settle. Returns CW_S_PASS or CW_S_DROP. */
CW_GLOBAL int cw_slow(cw_ctx *ctx, __u32 ep, __u32 from_pod)
{
	struct cw_work *w = cw_work();
	int r;

	if (!w || cw_begin(ctx, ep, from_pod))
		return CW_S_PASS;
#ifndef CW_XDP
	if (cw_mark && ctx->mark == cw_mark) { /* our own answer comes by */
		ctx->mark = 0;
		return CW_S_PASS;
	}
#endif
	r = cw_way(ctx, w);
#ifndef CW_XDP
	if (w->forged && r == CW_S_PASS)
		ctx->tc_index = CW_FORGED_TAG;
#endif
	return r;
}
