/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * event.h - decision to ring record. Events announce; counters are the truth, so a full ring
 * costs no account. Reservation comes after the rate gate: a flood of one access or of one
 * endpoint's forged packets takes one record per gap.
 */
#pragma once

#include "work.h"

CW_INLINE void cw_event_send(struct cw_work *w, struct cw_ctl *c, __u32 type)
{
	struct cw_event *e = bpf_ringbuf_reserve(&cw_events, sizeof(*e), 0);
	__u8 egress = w->side == CW_EGRESS;

	if (!e) {
		__sync_fetch_and_add(&c->events_lost, 1);
		return;
	}
	e->ktime = bpf_ktime_get_ns();
	e->type = type;
	e->ep = w->ep;
	e->wl = w->wl;
	e->src = egress ? w->l.eid : w->r.eid;
	e->dst = egress ? w->r.eid : w->l.eid;
	e->verdict = w->verdict;
	/* By the flow's direction: a reply that is dropped is told as its flow. */
	__builtin_memcpy(e->saddr, w->reply ? w->p.daddr : w->p.saddr, 16);
	__builtin_memcpy(e->daddr, w->reply ? w->p.saddr : w->p.daddr, 16);
	e->sport = w->reply ? w->p.dport : w->p.sport;
	e->dport = w->reply ? w->p.sport : w->p.dport;
	if (w->p.proto == CW_PROTO_ICMP || w->p.proto == CW_PROTO_ICMP6)
		e->dport = w->ak.port;
	e->proto = w->p.proto;
	e->family = w->p.family;
	e->side = w->side;
	e->outcome = w->outcome;
	e->reason = w->reason;
	e->mode = w->mode;
	e->ethertype = w->p.ethertype;
	e->len = w->len;
	bpf_ringbuf_submit(e, 0);
}

/* Guard events have no access whose gate they could use. */
CW_INLINE void cw_event_guard(struct cw_work *w, struct cw_ctl *c)
{
	__u32 ep = w->ep;
	struct cw_gate *g = bpf_map_lookup_elem(&cw_gate, &ep);
	__u32 *last;

	if (!g)
		return;
	last = &g->last[w->reason & 31];
	if (*last && (__s32)(w->now - *last) < (__s32)c->event_gap)
		return;
	*last = w->now + !w->now;
	w->verdict = 0;
	w->ak.port = 0;
	cw_event_send(w, c, CW_EV_GUARD);
}
