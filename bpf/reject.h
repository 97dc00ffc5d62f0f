/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * reject.h - turns a dropped packet into its answer: TCP RST (RFC 9293, 3.10.7.1) or ICMP
 * administratively prohibited (RFC 1812, RFC 4443); and the cut of a flow into a reset for both ends.
 *
 * Checksums are the hard part. A packet of a local sender may be marked "checksum partial": the
 * device still adds the sum from the transport header on, and no helper clears that mark.
 *  - TCP: the old field is carried over and corrected by differences. The helper ignores
 *    header differences on a partial packet and applies the pseudo-header's, so the field is
 *    right in both cases.
 *  - ICMP after UDP: the device would write at ICMP + 6, a field that receivers ignore. If that
 *    field holds the pseudo-header's sum P (0 for IPv4) and the message sums to -P, then what
 *    the device writes keeps the message at -P. So one layout is right in both cases.
 */
#pragma once

#include <bpf/bpf_helpers.h>

#include "work.h"

#define CW_REJECTS_PER_SECOND 100u
#define CW_PAYLOAD_MAX 9216u
#define CW_CHUNK 256u

/* Ones' complement sum of n bytes (a multiple of 4), folded to 16 bits, seed included. */
CW_INLINE __u16 cw_sum(void *b, __u32 n, __u32 seed)
{
	__u64 s = bpf_csum_diff(0, 0, b, n, seed) & 0xffffffffu;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (__u16)s;
}

CW_INLINE int cw_reject_allowed(struct cw_work *w)
{
	const struct cw_pkt *p = &w->p;
	__u32 ep = w->ep, second = w->now / (cw_hz ? cw_hz : 250);
	struct cw_gate *g = bpf_map_lookup_elem(&cw_gate, &ep);

	if (!cw_mark || !g || p->frag != CW_FRAG_NONE || p->icmp_error ||
	    (p->tcp_flags & CW_TCP_RST) || p->proto == CW_PROTO_SCTP)
		return 0;
	if (cw_addr_is_multicast(p->daddr, p->family) || w->r.realm == CW_REALM_MULTICAST ||
	    (p->dmac[0] & 1))
		return 0;
	/* Out of the workload's own end the answer would meet the hook on the node without its mark. */
	if ((w->epflags & CW_EP_MIXED) && !w->from_pod)
		return 0;
	/* The transport header must stay where the device believes it to be. */
	if (p->l4 != p->l3 + (p->family == 4 ? sizeof(struct cw_ip4) : sizeof(struct cw_ip6)))
		return 0;
	if (g->reject_second != second) {
		g->reject_second = second;
		g->rejects = 0;
	}
	return g->rejects++ < CW_REJECTS_PER_SECOND;
}

/* Ethernet and IP headers at w->buf, back to the sender or on the packet's own way; the checksum of
 * IPv4 included. */
CW_INLINE void cw_reject_ip(struct cw_work *w, __u8 proto, __u16 payload, int back)
{
	struct cw_eth *eth = (void *)w->buf;
	struct cw_pkt *p = &w->p;
	const __be32 *src = back ? p->daddr : p->saddr, *dst = back ? p->saddr : p->daddr;

	__builtin_memcpy(eth->dst, back ? p->smac : p->dmac, 6);
	__builtin_memcpy(eth->src, back ? p->dmac : p->smac, 6);
	eth->proto = cw_htons(p->ethertype);
	if (p->family == 4) {
		struct cw_ip4 h = {
			.ver_ihl = 0x45, .len = cw_htons(sizeof(h) + payload), .ttl = 64,
			.proto = proto, .frag = cw_htons(0x4000),
			.saddr = src[3], .daddr = dst[3],
		};

		h.check = ~cw_sum(&h, sizeof(h), 0);
		__builtin_memcpy(w->buf + sizeof(*eth), &h, sizeof(h));
	} else {
		struct cw_ip6 h = {
			.ver_flow = cw_htonl(0x60000000), .payload = cw_htons(payload),
			.next = proto, .hops = 64,
		};

		__builtin_memcpy(h.saddr, src, 16);
		__builtin_memcpy(h.daddr, dst, 16);
		__builtin_memcpy(w->buf + sizeof(*eth), &h, sizeof(h));
	}
}

/* Back where it came from: out of the device at its ingress hook, into it at egress. */
CW_INLINE __u64 cw_back_flags(const struct cw_work *w)
{
	return w->from_pod == !(w->epflags & CW_EP_POD_SIDE) ? 0 : BPF_F_INGRESS;
}

CW_INLINE int cw_reject_send(cw_ctx *ctx, struct cw_work *w)
{
	ctx->mark = cw_mark;
	return bpf_redirect(ctx->ifindex, cw_back_flags(w));
}

/* Adds up to one chunk of payload to w->sum. A function of its own, so that the verifier walks
 * the loop around it once. 0 or -1. */
CW_GLOBAL int cw_sum_chunk(cw_ctx *ctx, __u32 off, __u32 n)
{
	struct cw_work *w = cw_work();
	__s64 s;

	if (!w || n < 1 || n > sizeof(w->chunk))
		return -1;
	__builtin_memset(w->chunk, 0, sizeof(w->chunk));
	if (bpf_skb_load_bytes(ctx, off, w->chunk, n))
		return -1;
	s = bpf_csum_diff((__be32 *)w->chunk, sizeof(w->chunk), 0, 0, w->sum);
	w->sum = (__u32)s;
	return s < 0 ? -1 : 0;
}

/* Takes n bytes from off on out of w->sum: what a complete checksum covers behind the header. */
CW_GLOBAL int cw_payload_sum(cw_ctx *ctx, __u32 off, __u32 n)
{
	__u32 done = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < (int)(CW_PAYLOAD_MAX / CW_CHUNK); i++) {
		__u32 k;

		if (done >= n)
			return 0;
		k = n - done;
		if (k > CW_CHUNK)
			k = CW_CHUNK;
		if (cw_sum_chunk(ctx, off + done, k))
			return -1;
		done += CW_CHUNK;
	}
	return done >= n ? 0 : -1;
}

/*
 * The packet is the sender's reset by now. A copy of it is sent; what goes on in the packet's stead is
 * a reset that its receiver takes for the sender's. Where that is a workload of this node, whose own
 * side may be cut as well, it carries our mark past the hook there.
 */
static __attribute__((noinline)) int cw_reset_both(cw_ctx *ctx)
{
	struct cw_work *w = cw_work();
	struct cw_tcp o, n = {};
	__u32 at, mark = ctx->mark;
	__u16 check;
	__s64 d;

	if (!w)
		return CW_S_DROP;
	at = w->p.family == 4 ? 34 : 54;
	ctx->mark = cw_mark;
	(void)bpf_clone_redirect(ctx, ctx->ifindex, cw_back_flags(w)); /* the other end is told anyway */
	ctx->mark = w->from_pod && w->r.wl ? cw_mark : mark;
	if (bpf_skb_load_bytes(ctx, at, &o, sizeof(o)))
		return CW_S_DROP;
	n.sport = o.dport;
	n.dport = o.sport;
	n.seq = w->seq;
	n.doff = 5 << 4;
	n.flags = CW_TCP_RST;
	check = o.check;
	o.check = 0;
	d = bpf_csum_diff((__be32 *)&o, sizeof(o), (__be32 *)&n, sizeof(n), 0);
	if (d < 0)
		return CW_S_DROP;
	n.check = check;
	/* The pseudo-header adds up to the same with its addresses swapped. */
	cw_reject_ip(w, CW_PROTO_TCP, sizeof(n), 0);
	if (bpf_skb_store_bytes(ctx, 0, w->buf, w->p.family == 4 ? 34 : 54, 0) ||
	    bpf_skb_store_bytes(ctx, at, &n, sizeof(n), 0) || bpf_l4_csum_replace(ctx, at + 16, 0, (__u32)d, 0))
		return CW_S_DROP;
	return CW_S_PASS;
}

static __attribute__((noinline)) int cw_reject_tcp(cw_ctx *ctx)
{
	struct cw_work *w = cw_work();
	struct cw_tcp t, n = {};
	__u32 doff, end, old_len, len, diff = 0;
	__be16 iplen;
	__s64 d;

	if (!w)
		return CW_S_DROP;
	if (bpf_skb_load_bytes(ctx, w->p.l4, &t, sizeof(t)))
		return CW_S_DROP;
	doff = (t.doff >> 4) * 4u;
	/* The IP length, not the frame's: short packets carry padding. */
	if (bpf_skb_load_bytes(ctx, w->p.l3 + (w->p.family == 4 ? 2 : 4), &iplen, 2))
		return CW_S_DROP;
	end = w->p.l3 + cw_ntohs(iplen) + (w->p.family == 4 ? 0 : sizeof(struct cw_ip6));
	if (ctx->gso_size)
		end = ctx->len;
	if (doff < sizeof(t) || w->p.l4 + doff > end)
		return CW_S_DROP;
	old_len = end - w->p.l4;
	len = old_len - doff;

	/* What leaves the sum: old header (its own checksum field apart), options, payload. */
	if (!ctx->gso_size) {
		__u16 check = t.check;

		t.check = 0;
		d = bpf_csum_diff((__be32 *)&t, sizeof(t), 0, 0, 0);
		t.check = check;
		if (d < 0)
			return CW_S_DROP;
		w->sum = (__u32)d;
		if (cw_payload_sum(ctx, w->p.l4 + sizeof(t), old_len - sizeof(t)))
			return CW_S_DROP;
		diff = w->sum;
	}
	n.sport = t.dport;
	n.dport = t.sport;
	n.doff = 5 << 4;
	if (t.flags & CW_TCP_ACK) {
		n.seq = t.ack;
		n.flags = CW_TCP_RST;
	} else {
		n.flags = CW_TCP_RST | CW_TCP_ACK;
		n.ack = cw_htonl(cw_ntohl(t.seq) + len + !!(t.flags & CW_TCP_SYN) +
				 !!(t.flags & CW_TCP_FIN));
	}
	d = bpf_csum_diff(0, 0, (__be32 *)&n, sizeof(n), diff);
	if (d < 0)
		return CW_S_DROP;
	diff = (__u32)d;
	n.check = t.check;
	cw_reject_ip(w, CW_PROTO_TCP, sizeof(n), 1);
	if (w->p.family == 4) {
		if (bpf_skb_change_tail(ctx, 14 + 20 + sizeof(n), 0) ||
		    bpf_skb_store_bytes(ctx, 0, w->buf, 14 + 20, 0) ||
		    bpf_skb_store_bytes(ctx, 34, &n, sizeof(n), 0) ||
		    bpf_l4_csum_replace(ctx, 34 + 16, 0, diff, 0))
			return CW_S_DROP;
		d = bpf_l4_csum_replace(ctx, 34 + 16, cw_htons(old_len), cw_htons(sizeof(n)),
					BPF_F_PSEUDO_HDR | 2);
	} else {
		if (bpf_skb_change_tail(ctx, 14 + 40 + sizeof(n), 0) ||
		    bpf_skb_store_bytes(ctx, 0, w->buf, 14 + 40, 0) ||
		    bpf_skb_store_bytes(ctx, 54, &n, sizeof(n), 0) ||
		    bpf_l4_csum_replace(ctx, 54 + 16, 0, diff, 0))
			return CW_S_DROP;
		d = bpf_l4_csum_replace(ctx, 54 + 16, cw_htons(old_len), cw_htons(sizeof(n)),
					BPF_F_PSEUDO_HDR | 2);
	}
	if (d)
		return CW_S_DROP;
	if (!w->tell || !(t.flags & CW_TCP_ACK))
		return cw_reject_send(ctx, w);
	w->seq = t.seq;
	return cw_reset_both(ctx);
}

/* The offending IP header and 8 bytes behind it go into the answer. */
static __attribute__((noinline)) int cw_reject_icmp(cw_ctx *ctx)
{
	struct cw_work *w = cw_work();
	__u16 pseudo, check;

	if (!w)
		return CW_S_DROP;
	if (w->p.family == 4) {
		__u8 *m = w->buf + 34; /* ICMP message: 8 + 20 + 8 */

		__builtin_memset(m, 0, 36);
		if (bpf_skb_load_bytes(ctx, 14, m + 8, 28))
			return CW_S_DROP;
		m[0] = 3;
		m[1] = 13;
		check = ~cw_sum(m, 36, 0);
		*(__u16 *)(m + 2) = check;
		cw_reject_ip(w, CW_PROTO_ICMP, 36, 1);
		if (bpf_skb_change_tail(ctx, 70, 0) || bpf_skb_store_bytes(ctx, 0, w->buf, 70, 0))
			return CW_S_DROP;
	} else {
		__u8 *m = w->buf + 54; /* 8 + 40 + 8 */

		__builtin_memset(m, 0, 56);
		if (bpf_skb_load_bytes(ctx, 14, m + 8, 48))
			return CW_S_DROP;
		m[0] = 1;
		m[1] = 1;
		pseudo = cw_sum(w->p.saddr, 32, cw_htons(56) + cw_htons(CW_PROTO_ICMP6));
		*(__u16 *)(m + 6) = pseudo;
		check = ~cw_sum(m, 56, pseudo);
		*(__u16 *)(m + 2) = check;
		cw_reject_ip(w, CW_PROTO_ICMP6, 56, 1);
		if (bpf_skb_change_tail(ctx, 110, 0) ||
		    bpf_skb_store_bytes(ctx, 0, w->buf, 110, 0))
			return CW_S_DROP;
	}
	return cw_reject_send(ctx, w);
}

/* A TC return code, or CW_S_DROP when the packet gets no answer. */
__attribute__((noinline)) int cw_reject(cw_ctx *ctx)
{
	struct cw_work *w = cw_work();

	if (!w || !cw_reject_allowed(w))
		return CW_S_DROP;
	return w->p.proto == CW_PROTO_TCP ? cw_reject_tcp(ctx) : cw_reject_icmp(ctx);
}
