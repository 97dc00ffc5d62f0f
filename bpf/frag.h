/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * frag.h - later fragments follow their first one's verdict. Each endpoint has slots of its
 * own (two-way), so that a flood of fragments at one pod cannot evict another's.
 */
#pragma once

#include "work.h"

#define CW_FRAG_SECONDS 10

CW_INLINE __u32 cw_frag_index(const struct cw_work *w)
{
	const struct cw_pkt *p = &w->p;
	__u32 h = p->frag_id * 0x9e3779b1u;

	h ^= (p->saddr[3] ^ p->daddr[3] ^ p->saddr[1] ^ p->daddr[1]) * 0x85ebca6bu;
	h ^= h >> 15;
	return w->ep * CW_FRAG_SLOTS + (h & (CW_FRAG_SLOTS - 2));
}

CW_INLINE int cw_frag_is(const struct cw_frag *f, const struct cw_work *w)
{
	const struct cw_pkt *p = &w->p;

	return f->pass && f->id == p->frag_id && (p->family == 6 || f->proto == p->proto) &&
	       f->from_pod == w->from_pod &&
	       (__s32)(w->now - f->seen) <= (__s32)(CW_FRAG_SECONDS * cw_hz) &&
	       cw_addr_eq((const __u32 *)f->saddr, p->saddr) &&
	       cw_addr_eq((const __u32 *)f->daddr, p->daddr);
}

/* 1 pass (w->f.acct set), 2 drop (w->reason set), 0 never seen. */
CW_INLINE __u32 cw_frag_find(struct cw_work *w)
{
	__u32 i = cw_frag_index(w);

	for (int k = 0; k < 2; k++, i++) {
		struct cw_frag *f = bpf_map_lookup_elem(&cw_frag, &i);

		if (f && cw_frag_is(f, w)) {
			w->reason = f->reason;
			w->f.acct = f->acct;
			return f->pass;
		}
	}
	return 0;
}

/* Remembers the first fragment's verdict; the older of the two slots gives way. */
CW_INLINE void cw_frag_note(struct cw_work *w, __u8 pass)
{
	__u32 i = cw_frag_index(w), j = i + 1;
	struct cw_frag *f = bpf_map_lookup_elem(&cw_frag, &i);
	struct cw_frag *g = bpf_map_lookup_elem(&cw_frag, &j);

	if (!f || !g)
		return;
	if (cw_frag_is(g, w) ||
	    (!cw_frag_is(f, w) && f->pass && (!g->pass || w->now - g->seen > w->now - f->seen)))
		f = g;
	f->pass = 0;
	__builtin_memcpy(f->saddr, w->p.saddr, 16);
	__builtin_memcpy(f->daddr, w->p.daddr, 16);
	f->id = w->p.frag_id;
	f->seen = w->now;
	f->proto = w->p.proto;
	f->from_pod = w->from_pod;
	f->reason = w->reason;
	f->acct = w->f.acct;
	f->pass = pass;
}
