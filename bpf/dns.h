/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * dns.h - names from the DNS answers a workload gets, read before it gets them.
 *
 * The program runs before the packet is queued to the workload, so a connect right after a resolve
 * finds its name. Believed is only what answers a question that this workload asked, by UDP, from
 * one of its resolvers. What is believed, falls under a rule's pattern and cannot be kept is
 * refused in enforce: the resolver asks again, and no workload holds an address we do not know.
 *
 * A mapping is the workload's own (cw_fqdn), the name's text everybody's (cw_dns_name). The agent
 * takes both away; here they are only made and renewed.
 */
#pragma once

#include "dns_wire.h"
#include "identity.h"

const volatile __u32 cw_dns_min_ttl = 60; /* seconds a mapping lives at least */
const volatile __u32 cw_dns_grace = 300;  /* and after the end of its time to live */

#define CW_DNS_PORT 53
#define CW_DNS_TLS_PORT 853
#define CW_DNS_ASKED_SECONDS 60 /* a question may wait so long for its answer */

struct cw_dns_work {
	struct cw_dns_msg m;
	struct cw_dns_pattern_key rev;
	struct cw_dns_name name; /* image of a new entry */
	struct cw_dns_asked_key ask;
	struct cw_dns_asked asked;
	struct cw_fqdn_key key;
	struct cw_fqdn fqdn;	/* image of a new entry */
	struct cw_addr who;	/* the resolver */
	__u64 hash;
	__u32 cls;	/* of the name; 0: no rule speaks of it */
	__u32 now, wl;
	__u32 named;	/* the name has its entry */
	__u32 kept;	/* addresses */
};
CW_MAP(cw_dns_scratch, PERCPU_ARRAY, __u32, struct cw_dns_work, 1, 0);

CW_INLINE struct cw_dns_work *cw_dns_work(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cw_dns_scratch, &zero);
}

CW_INLINE void cw_dns_count(__u32 what, __u64 n)
{
	__u64 *v = bpf_map_lookup_elem(&cw_dns_stat, &what);

	if (v)
		*v += n;
}

/* Is the peer one of the workload's resolvers? */
CW_INLINE int cw_dns_trusted(struct cw_dns_work *d, const __u32 a[4], __u8 family, __u32 zone)
{
	__u32 *v;

	if (family == 4) {
		struct cw_net4_key k = { .plen = 64, .addr = a[3] };

		v = bpf_map_lookup_elem(&cw_resolver4, &k);
	} else {
		struct cw_net6_key k = { .plen = 160 };

		__builtin_memcpy(k.addr, a, 16);
		v = bpf_map_lookup_elem(&cw_resolver6, &k);
	}
	if (!v || *v != CW_RESOLVER_CLUSTER)
		return v && *v == CW_RESOLVER_YES;
	cw_identify(a, family, zone, &d->who);
	return d->who.realm != CW_REALM_WORLD && d->who.realm != CW_REALM_MULTICAST;
}

/* Which patterns the name falls under. */
CW_GLOBAL int cw_dns_classify(void)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_ctl *c = cw_ctl_get();
	__u32 *v;

	if (!d || !c)
		return 0;
	d->cls = 0;
	if (!*(volatile __u32 *)&c->names)
		return 0;
	cw_dns_reverse(&d->m, d->rev.text);
	d->rev.plen = CW_DNS_TEXT * 8;
	v = bpf_map_lookup_elem(&cw_dns_pattern, &d->rev);
	if (v)
		d->cls = *(volatile __u32 *)v;
	return 0;
}

/* Each loop in a function of its own: the verifier then walks them one after the other. */
CW_GLOBAL int cw_dns_text(void)
{
	struct cw_dns_work *d = cw_dns_work();

	return d ? cw_dns_name_read(&d->m) : -1;
}

CW_GLOBAL int cw_dns_number(void)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_ctl *c = cw_ctl_get();

	if (d && c)
		d->hash = cw_dns_hash_text(d->m.words, d->m.len, c->instance);
	return 0;
}

/* Finds the name's entry by its number. 1: it stands; 0: none; -1: another name has the number,
 * which is rare beyond sight and must not be mixed up. */
CW_GLOBAL int cw_dns_find(void)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_dns_name *n;
	__u64 hash;

	if (!d)
		return -1;
	hash = d->hash;
	n = bpf_map_lookup_elem(&cw_dns_name, &hash);
	if (!n)
		return 0;
	if (n->len != d->m.len)
		return -1;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < CW_DNS_NAME_MAX; i++) {
		if (i >= d->m.len)
			break;
		if (n->text[i] != d->m.text[i])
			return -1;
	}
	n->last = d->now;
	d->cls = *(volatile __u32 *)&n->cls;
	return 1;
}

/* Reads the question's name: text, number, and class as far as it is known. 0 or -1. */
CW_GLOBAL int cw_dns_take_name(cw_ctx *ctx)
{
	struct cw_dns_work *d = cw_dns_work();
	int r;

	if (!d)
		return -1;
	d->named = 0;
	d->cls = 0;
	if (cw_dns_fetch(ctx, &d->m) || cw_dns_text())
		return -1;
	cw_dns_number();
	r = cw_dns_find();
	if (r < 0)
		return -1;
	if (!r)
		cw_dns_classify();
	d->named = r;
	return 0;
}

/*
 * Makes the name's entry. The class is asked for again once it stands: patterns change first and
 * the entries' classes after them, so one of both looks last.
 */
CW_GLOBAL int cw_dns_make_name(void)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_dns_name *n;
	__u64 hash;
	__u32 cls;

	if (!d)
		return -1;
	hash = d->hash;
	cls = d->cls;
	d->name.cls = cls;
	d->name.last = d->now;
	d->name.len = d->m.len;
	__builtin_memcpy(d->name.text, d->m.text, sizeof(d->name.text));
	if (bpf_map_update_elem(&cw_dns_name, &hash, &d->name, BPF_NOEXIST) &&
	    !bpf_map_lookup_elem(&cw_dns_name, &hash))
		return -1;
	cw_dns_classify();
	if (d->cls != cls) {
		n = bpf_map_lookup_elem(&cw_dns_name, &hash);
		if (n)
			n->cls = d->cls;
	}
	d->named = 1;
	return 0;
}

CW_INLINE __u32 cw_dns_class_of(__u64 hash)
{
	struct cw_dns_name *n = bpf_map_lookup_elem(&cw_dns_name, &hash);

	return n ? *(volatile __u32 *)&n->cls : 0;
}

/*
 * An address has no slot to spare. One whose name no rule speaks of gives way to one that a rule
 * does speak of; of two that the same rules speak of, the longer lived stays. -1: no room.
 */
CW_GLOBAL int cw_dns_replace(__u32 until)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_fqdn *f = d ? bpf_map_lookup_elem(&cw_fqdn, &d->key) : 0;

	if (!d || !f || !d->cls)
		return -1;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < CW_FQDN_NAMES; i++) {
		struct cw_fqdn_name *s = &f->name[i];
		__u64 was = *(volatile __u64 *)&s->hash;
		__u32 cls = cw_dns_class_of(was);

		if (cls && cls != d->cls)
			continue;
		if (cls && (__s32)(s->until - until) > 0)
			return 0;
		s->until = until;
		if (__sync_val_compare_and_swap(&s->hash, was, d->hash) == was)
			return 0;
	}
	return -1;
}

/* Keeps d->key's address for the name. 0; -1: no room. */
CW_GLOBAL int cw_dns_keep(__u32 until)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_ctl *c = cw_ctl_get();
	struct cw_fqdn_name *s, *free = 0;
	struct cw_wl *wl;
	struct cw_fqdn *f;
	__u32 wln, share;
	__u64 was = 0;
	__s32 age = 0;

	if (!d || !c)
		return -1;
	f = bpf_map_lookup_elem(&cw_fqdn, &d->key);
	if (!f) {
		wln = d->wl;
		wl = bpf_map_lookup_elem(&cw_wl, &wln);
		/* Names that no rule speaks of leave a quarter of the share to those one does. */
		share = c->share_names;
		if (!d->cls)
			share -= share / 4;
		if (!wl || wl->names >= share)
			return -1;
		__builtin_memset(&d->fqdn, 0, sizeof(d->fqdn));
		d->fqdn.name[0].hash = d->hash;
		d->fqdn.name[0].until = until;
		if (!bpf_map_update_elem(&cw_fqdn, &d->key, &d->fqdn, BPF_NOEXIST)) {
			__sync_fetch_and_add(&wl->names, 1);
			return 0;
		}
		f = bpf_map_lookup_elem(&cw_fqdn, &d->key);
		if (!f)
			return -1;
	}
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < CW_FQDN_NAMES; i++) {
		__u64 hash;
		__s32 over;

		s = &f->name[i];
		hash = *(volatile __u64 *)&s->hash;
		if (hash == d->hash) {
			if ((__s32)(until - s->until) > 0)
				s->until = until;
			free = s;
			was = hash;
			break;
		}
		over = hash ? (__s32)(d->now - s->until) : 0x7fffffff;
		if (over > age) {
			age = over;
			free = s;
			was = hash;
		}
	}
	if (!free)
		return cw_dns_replace(until);
	if (was != d->hash) {
		free->until = until;
		if (__sync_val_compare_and_swap(&free->hash, was, d->hash) != was)
			return -1; /* another CPU was faster: the resolver asks again */
	}
	/* The agent may just have taken the entry away. */
	return (long)bpf_map_lookup_elem(&cw_fqdn, &d->key) == (long)f ? 0 : -1;
}

/* One record. 0 go on, else an enum cw_dns_count that says why not. */
CW_GLOBAL int cw_dns_record(cw_ctx *ctx)
{
	struct cw_dns_work *d = cw_dns_work();
	__u32 ttl;
	int r;

	if (!d)
		return CW_DNS_UNREADABLE;
	r = cw_dns_record_read(ctx, &d->m);
	if (r < 0)
		return CW_DNS_UNREADABLE;
	d->m.left--;
	if (!r)
		return 0;
	if (!d->named && cw_dns_make_name())
		return CW_DNS_NO_ROOM;
	__builtin_memcpy(d->key.addr, d->m.addr, 16);
	ttl = d->m.ttl > cw_dns_min_ttl ? d->m.ttl : cw_dns_min_ttl;
	if (cw_dns_keep(d->now + (ttl + cw_dns_grace) * cw_hz))
		return CW_DNS_NO_ROOM;
	d->kept++;
	return 0;
}

CW_GLOBAL int cw_dns_records(cw_ctx *ctx)
{
	struct cw_dns_work *d = cw_dns_work();
	int r;

	if (!d)
		return CW_DNS_UNREADABLE;
	d->kept = 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < CW_DNS_RECORDS_MAX; i++) {
		if (!d->m.left)
			break;
		r = cw_dns_record(ctx);
		if (r)
			return r;
	}
	return d->m.left ? CW_DNS_UNREADABLE : 0;
}

CW_INLINE void cw_dns_ask_key(struct cw_dns_work *d, const __u32 resolver[4], __u16 port, __be16 id)
{
	__builtin_memset(&d->ask, 0, sizeof(d->ask));
	__builtin_memcpy(d->ask.resolver, resolver, 16);
	d->ask.wl = d->wl;
	d->ask.port = cw_htons(port);
	d->ask.id = id;
}

/* A question on its way out: remembered, so that its answer is known. */
CW_GLOBAL int cw_dns_question(cw_ctx *ctx)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_work *w = cw_work();
	struct cw_dns_head h;
	__u16 flags;

	if (!d || !w || w->p.frag != CW_FRAG_NONE ||
	    !cw_dns_trusted(d, w->p.daddr, w->p.family, w->zone) ||
	    cw_dns_open(ctx, &d->m, w->p.l4, &h))
		return 0;
	flags = cw_ntohs(h.flags);
	if ((flags & (CW_DNS_F_ANSWER | CW_DNS_F_OPCODE)) || h.questions != cw_htons(1) ||
	    cw_dns_take_name(ctx))
		return 0;
	cw_dns_ask_key(d, w->p.daddr, w->p.sport, h.id);
	d->asked.hash = d->hash;
	d->asked.when = d->now;
	d->asked.cls = d->cls;
	bpf_map_update_elem(&cw_dns_asked, &d->ask, &d->asked, BPF_ANY);
	return 0;
}

/* An answer on its way in. 1: it is not to be delivered unknown. */
CW_GLOBAL int cw_dns_answer(cw_ctx *ctx)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_work *w = cw_work();
	struct cw_dns_asked *a;
	struct cw_dns_head h;
	__u16 flags;
	__u32 what;
	int r;

	if (!d || !w)
		return 0;
	if (!cw_dns_trusted(d, w->p.saddr, w->p.family, w->zone)) {
		cw_dns_count(CW_DNS_FOREIGN, 1);
		return 0;
	}
	if (cw_dns_open(ctx, &d->m, w->p.l4, &h))
		return 0; /* no workload's resolver takes it for an answer either */
	flags = cw_ntohs(h.flags);
	if (!(flags & CW_DNS_F_ANSWER) || (flags & (CW_DNS_F_OPCODE | CW_DNS_F_RCODE)))
		return 0;
	cw_dns_ask_key(d, w->p.saddr, w->p.dport, h.id);
	a = bpf_map_lookup_elem(&cw_dns_asked, &d->ask);
	if (a && (__s32)(d->now - a->when) > (__s32)(CW_DNS_ASKED_SECONDS * cw_hz))
		a = 0;
	if (h.questions != cw_htons(1) || cw_dns_take_name(ctx)) {
		d->cls = a ? a->cls : 0;
		what = CW_DNS_UNREADABLE;
	} else if (!a || a->hash != d->hash) {
		/* Nobody waits for it; or the question was forgotten, and is asked again. */
		what = CW_DNS_UNASKED;
	} else {
		d->key.wl = d->wl;
		r = cw_dns_records(ctx);
		what = r ? r : d->m.whole || (flags & CW_DNS_F_CUT) ? CW_DNS_ANSWERS : CW_DNS_UNREADABLE;
		if (d->kept) {
			__u64 hash = d->hash;

			cw_dns_count(CW_DNS_RECORDS, d->kept);
			/* The agent may just have found that nothing refers to it. */
			if (!bpf_map_lookup_elem(&cw_dns_name, &hash) && cw_dns_make_name() && !r)
				what = CW_DNS_NO_ROOM;
		}
	}
	/* What the resolver left out it is asked for over TCP, and nobody reads that. */
	if (flags & CW_DNS_F_CUT)
		what = CW_DNS_UNSEEN;
	cw_dns_count(what, 1);
	if (what == CW_DNS_ANSWERS || what == CW_DNS_UNSEEN || !d->cls)
		return 0;
	if (w->quar || w->mode == CW_MODE_ENFORCE)
		cw_dns_count(CW_DNS_DROPPED, 1);
	return 1;
}

/* Is it DNS, and does its reader have to see it? Of what passes only. */
CW_INLINE int cw_dns_concerns(const struct cw_work *w)
{
	__u16 port = w->from_pod ? w->p.dport : w->p.sport;

	if (port != CW_DNS_PORT && port != CW_DNS_TLS_PORT)
		return 0;
	return w->p.proto == CW_PROTO_UDP || w->p.proto == CW_PROTO_TCP;
}

/* 1: an answer that must not be delivered unknown. */
CW_GLOBAL int cw_dns(cw_ctx *ctx)
{
	struct cw_dns_work *d = cw_dns_work();
	struct cw_work *w = cw_work();

	if (!d || !w)
		return 0;
	d->now = w->now;
	d->wl = w->wl;
	if (w->p.proto == CW_PROTO_TCP || (w->from_pod ? w->p.dport : w->p.sport) == CW_DNS_TLS_PORT) {
		/* By connection; of datagrams, by those the fast path did not take. */
		if (w->from_pod && (w->p.proto == CW_PROTO_UDP ||
				    (w->p.tcp_flags & (CW_TCP_SYN | CW_TCP_ACK)) == CW_TCP_SYN))
			cw_dns_count(CW_DNS_UNSEEN, 1);
		return 0;
	}
	if (w->from_pod)
		return cw_dns_question(ctx);
	return w->reply ? cw_dns_answer(ctx) : 0;
}
