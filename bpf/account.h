/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * account.h - distinct accesses, counted in the kernel so that none is lost.
 *
 * Entries are cumulative and never deleted while they may be added to: two tables take turns
 * (cw_ctl.epoch), the resting one is read, committed and only then cleared. Beyond a
 * workload's share, ports and addresses fold into (source, destination) pairs, then into the
 * workload's own counter; every step is exact in what it folded.
 */
#pragma once

#include "work.h"

CW_INLINE struct cw_access *cw_access_lookup(__u32 odd, const struct cw_access_key *k)
{
	return odd ? bpf_map_lookup_elem(&cw_access1, k) : bpf_map_lookup_elem(&cw_access0, k);
}

CW_INLINE struct cw_pair *cw_pair_lookup(__u32 odd, const struct cw_pair_key *k)
{
	return odd ? bpf_map_lookup_elem(&cw_pair1, k) : bpf_map_lookup_elem(&cw_pair0, k);
}

/*
 * What stands behind the destination of the flow, when this is its source and it is no pod's own
 * address. Node ports are the same on every node.
 */
CW_INLINE void cw_service_find(struct cw_work *w, __u16 port)
{
	struct cw_svc_key *k = &w->k.svc;
	struct cw_ctl *c = cw_ctl_get();
	struct cw_svc *s;

	w->svc.n = 0;
	if (!c || !c->services || w->side != CW_EGRESS || w->r.realm == CW_REALM_POD ||
	    w->r.realm == CW_REALM_MULTICAST)
		return;
	k->port = port;
	k->proto = w->p.proto;
	k->family = w->p.family;
	__builtin_memcpy(k->addr, w->from_pod ? w->p.daddr : w->p.saddr, 16);
	s = bpf_map_lookup_elem(&cw_svc, k);
	if (!s && (w->r.realm == CW_REALM_HOST || w->r.realm == CW_REALM_NODE)) {
		__builtin_memset(k->addr, 0, sizeof(k->addr));
		s = bpf_map_lookup_elem(&cw_svc, k);
	}
	if (s)
		w->svc = *s;
}

/* The access this packet's flow belongs to, by the flow's direction. */
CW_INLINE void cw_access_key_make(struct cw_work *w)
{
	const struct cw_addr *src = w->side == CW_EGRESS ? &w->l : &w->r;
	const struct cw_addr *dst = w->side == CW_EGRESS ? &w->r : &w->l;
	struct cw_access_key *k = &w->ak;
	__u8 take = 0; /* 1: peer's address identifies the access */

	__builtin_memset(k, 0, sizeof(*k));
	k->src = src->eid;
	k->dst = dst->eid;
	k->src_wl = src->wl;
	k->dst_wl = dst->wl;
	if (w->mcast) { /* judged as the pod's, told as what it was sent to */
		k->dst = w->mcast;
		k->dst_wl = 0;
	}
	k->proto = w->p.proto;
	k->family = w->p.family;
	if (w->p.proto == CW_PROTO_ICMP || w->p.proto == CW_PROTO_ICMP6) {
		__u8 t = w->p.icmp_type;

		/* A reply belongs to its request's access. */
		if (w->reply && w->p.icmp_query)
			t = cw_icmp_request(w->p.family, t);
		k->port = (__u16)(t << 8 | (w->p.icmp_query ? 0 : w->p.icmp_code));
	} else {
		k->port = w->reply ? w->p.sport : w->p.dport;
	}
	cw_service_find(w, k->port);
	if (w->svc.n) {
		k->dst = w->svc.eid;
		k->dst_wl = 0;
		return;
	}
	if (w->r.realm == CW_REALM_UNKNOWN)
		take = 1;
	if (w->r.realm == CW_REALM_WORLD && w->side == CW_EGRESS)
		take = 1;
	if (take)
		__builtin_memcpy(k->addr, (w->from_pod ? w->p.daddr : w->p.saddr), 16);
}

CW_INLINE struct cw_access *cw_access_create(struct cw_work *w, struct cw_ctl *c, struct cw_wl *wl,
					     __u32 odd)
{
	__u32 slot;
	long r;

	if (wl->accesses[odd] >= c->share_accesses)
		return 0;
	slot = __sync_fetch_and_add(&c->next_slot[odd], 1) + 1;
	if (slot >= c->acct_slots) {
		slot = 0;
		__sync_fetch_and_add(&c->slot_sink, 1);
	}
	__builtin_memset(&w->acc, 0, sizeof(w->acc));
	w->acc.first = w->now;
	w->acc.last = w->now;
	w->acc.slot = slot;
	w->acc.wl = w->wl;
	r = odd ? bpf_map_update_elem(&cw_access1, &w->ak, &w->acc, BPF_NOEXIST) :
		  bpf_map_update_elem(&cw_access0, &w->ak, &w->acc, BPF_NOEXIST);
	if (!r)
		__sync_fetch_and_add(&wl->accesses[odd], 1);
	return cw_access_lookup(odd, &w->ak); /* ours, or who was faster */
}

CW_INLINE void cw_access_fold(struct cw_work *w, struct cw_ctl *c, struct cw_wl *wl, __u32 odd)
{
	struct cw_pair_key k = { .src = w->ak.src, .dst = w->ak.dst, .wl = w->wl };
	struct cw_pair *p = cw_pair_lookup(odd, &k);
	__u32 side = w->side & 1, out = w->outcome;

	if (!p && wl->pairs[odd] < c->share_pairs) {
		long r;

		__builtin_memset(&w->pair, 0, sizeof(w->pair));
		w->pair.first = w->now;
		r = odd ? bpf_map_update_elem(&cw_pair1, &k, &w->pair, BPF_NOEXIST) :
			  bpf_map_update_elem(&cw_pair0, &k, &w->pair, BPF_NOEXIST);
		if (!r)
			__sync_fetch_and_add(&wl->pairs[odd], 1);
		p = cw_pair_lookup(odd, &k);
	}
	if (out >= CW_OUT_COUNT)
		return;
	if (p) {
		if (w->count_flow) {
			__sync_fetch_and_add(&p->flows, 1);
			__sync_fetch_and_add(&wl->pair_flows, 1);
		}
		if (out == CW_OUT_DROP)
			__sync_fetch_and_add(&p->drops, w->segs);
		if (w->count_side)
			__sync_fetch_and_add(&p->cnt[side][out], 1);
		p->last = w->now;
		return;
	}
	if (w->count_flow)
		__sync_fetch_and_add(&wl->folded_flows, 1);
	if (out == CW_OUT_DROP)
		__sync_fetch_and_add(&wl->folded_drops, w->segs);
}

/*
 * Counts one judgement under the packet's access and gives the event gate's answer: an
 * enum cw_event_type to announce, or 0. *acct gets the flow's traffic slot.
 */
CW_INLINE __u32 cw_account(struct cw_work *w, struct cw_ctl *c, __u32 *acct)
{
	__u32 epoch = c->epoch, odd = epoch & 1, wln = w->wl, out = w->outcome, side = w->side & 1;
	struct cw_wl *wl = bpf_map_lookup_elem(&cw_wl, &wln);
	struct cw_access *a;
	__u32 type = 0;

	*acct = CW_ACCT(epoch, 0);
	if (!wl || out >= CW_OUT_COUNT) {
		__sync_fetch_and_add(&c->access_lost, 1);
		return 0;
	}
	a = cw_access_lookup(odd, &w->ak);
	if (!a)
		a = cw_access_create(w, c, wl, odd);
	if (!a) {
		cw_access_fold(w, c, wl, odd);
		return 0;
	}
	*acct = CW_ACCT(epoch, a->slot);
	if (w->count_flow) {
		__sync_fetch_and_add(&a->flows, 1);
		if (w->guessed)
			__sync_fetch_and_add(&a->guessed, 1);
	}
	if (out == CW_OUT_DROP)
		__sync_fetch_and_add(&a->cnt[side][CW_OUT_DROP], w->segs);
	else if (w->count_side)
		__sync_fetch_and_add(&a->cnt[side][out], 1);
	if (!a->announced) {
		type = CW_EV_ACCESS;
	} else if ((out >= CW_OUT_WOULD_BLOCK || out == CW_OUT_ALERT) &&
		   (a->outcome[side] != out ||
		    (__s32)(w->now - a->announced) >= (__s32)c->event_gap)) {
		type = 1;
	}
	if (type) {
		a->announced = w->now + !w->now; /* 0 says never */
		if (out == CW_OUT_DROP)
			type = CW_EV_DROP;
		else if (out == CW_OUT_WOULD_BLOCK || out == CW_OUT_ALERT)
			type = CW_EV_ALERT;
		else
			type = CW_EV_ACCESS;
	}
	a->verdict[side] = w->verdict;
	a->reason[side] = w->reason;
	a->outcome[side] = out;
	if (a->last != w->now)
		a->last = w->now;
	return type;
}

/* The flow's first answer, which may come after the table that counted its start went to rest. */
CW_INLINE void cw_account_answer(struct cw_work *w, struct cw_ctl *c)
{
	__u32 odd = c->epoch & 1, wln = w->wl;
	struct cw_access *a = cw_access_lookup(odd, &w->ak);
	struct cw_wl *wl;

	if (!a) {
		wl = bpf_map_lookup_elem(&cw_wl, &wln);
		if (wl)
			a = cw_access_create(w, c, wl, odd);
	}
	if (a)
		__sync_fetch_and_add(&a->answered, 1);
}

CW_INLINE void cw_account_traffic(struct cw_ctl *c, __u32 acct, __u64 segs, __u64 bytes)
{
	__u32 i = (CW_ACCT_EPOCH(acct) & 1 ? c->acct_slots : 0) + CW_ACCT_SLOT(acct);
	struct cw_traffic *t = bpf_map_lookup_elem(&cw_acct, &i);

	if (t) {
		t->packets += segs;
		t->bytes += bytes;
	}
}
