/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * fast.h - an established packet: one flow lookup and a few array reads, by direct access.
 *
 * It settles only what needs no thought: plain IPv4 or IPv6, TCP without SYN, FIN or RST, or
 * UDP, of a flow whose verdict on this side is of the current generation. All else returns
 * CW_S_GO_ON and takes the slow path from the start.
 */
#pragma once

#include "conntrack.h"
#include "account.h"

struct cw_fast_in {
	__u32 ep;
	__u8 from_pod, proto, a_is_src;
};

CW_INLINE int cw_fast_settle(cw_ctx *ctx, struct cw_flow *f, const struct cw_fast_in *in)
{
	__u8 reply = in->a_is_src == !!(f->flags & CW_FLOW_F_B_ORIG);
	__u32 side = in->from_pod == reply ? CW_INGRESS : CW_EGRESS;
	struct cw_flow_side *s = &f->side[side];
	__u32 gs = s->group << 1 | side, now = (__u32)bpf_jiffies64();
	__s32 idle = now - f->seen; /* negative: another CPU is a tick ahead */
	struct cw_ctl *c = cw_ctl_get();
	__u64 *word = bpf_map_lookup_elem(&cw_word, &gs);

	if (!word || !c || s->ep != in->ep)
		return CW_S_GO_ON;
	if ((f->flags & CW_FLOW_F_SENDER) && !in->from_pod && side == CW_INGRESS)
		return CW_S_GO_ON;
	if (!s->gen || s->gen != CW_WORD_GEN(*(volatile __u64 *)word) ||
	    s->outcome == CW_OUT_DROP)
		return CW_S_GO_ON;
	/* Open flows, and datagrams that nobody has answered yet. */
	if (f->state != CW_FLOW_OPEN &&
	    !(f->state == CW_FLOW_NEW && in->proto == CW_PROTO_UDP && !reply))
		return CW_S_GO_ON;
	if (idle > (__s32)(cw_hz / 4)) {
		if (idle > (__s32)(CW_T_SHORTEST * cw_hz))
			return CW_S_GO_ON;
		f->seen = now;
	}
	if (s->outcome == CW_OUT_NONE)
		return CW_S_PASS;
	if (reply && !(f->counted & CW_COUNTED_ANSWER))
		return CW_S_GO_ON;
	if ((side == CW_INGRESS) == !!(f->flags & CW_FLOW_F_ACCT_INGRESS)) {
		if (CW_ACCT_EPOCH(f->acct) != (c->epoch & 0xfff))
			return CW_S_GO_ON;
		cw_account_traffic(c, f->acct, CW_SEGS(ctx), CW_LEN(ctx));
	}
	return CW_S_PASS;
}

/* UDP but for DNS, or TCP that neither opens nor closes. */
CW_INLINE int cw_fast_transport(const void *l4, const void *end, __u8 proto)
{
	const struct cw_tcp *t = l4;

	if (proto == CW_PROTO_UDP) /* the caller has checked that 8 bytes are there */
		return t->sport != cw_htons(53) && t->dport != cw_htons(53);
	return proto == CW_PROTO_TCP && (const void *)(t + 1) <= end &&
	       (t->flags & (CW_TCP_SYN | CW_TCP_FIN | CW_TCP_RST | CW_TCP_ACK)) == CW_TCP_ACK;
}

CW_INLINE int cw_fast(cw_ctx *ctx, const struct cw_ep *e, __u32 ep, __u32 from_pod)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct cw_fast_in in = { .ep = ep, .from_pod = from_pod };
	struct cw_eth *eth = data;
	struct cw_flow *f;
	__be16 *ports;

	if ((void *)(eth + 1) > end)
		return CW_S_GO_ON;
	if (from_pod && !(e->flags & CW_EP_NO_MAC) &&
	    (*(__u32 *)eth->src != *(const __u32 *)e->mac ||
	     *(__u16 *)(eth->src + 4) != *(const __u16 *)(e->mac + 4)))
		return CW_S_GO_ON;
	if (eth->proto == cw_htons(CW_ETHERTYPE_IP)) {
		struct cw_ip4 *ip = (void *)(eth + 1);
		struct cw_flow4_key k __attribute__((aligned(8)));

		ports = (void *)(ip + 1);
		if ((void *)(ports + 4) > end || ip->ver_ihl != 0x45 ||
		    (ip->frag & cw_htons(0x3fff)))
			return CW_S_GO_ON;
		in.proto = ip->proto;
		if (!cw_fast_transport(ports, end, in.proto))
			return CW_S_GO_ON;
		in.a_is_src = cw_key4(&k, ip->saddr, ip->daddr, *(__u32 *)ports, in.proto, e->zone);
		f = bpf_map_lookup_elem(&cw_flow4, &k);
	} else if (eth->proto == cw_htons(CW_ETHERTYPE_IP6)) {
		struct cw_ip6 *ip = (void *)(eth + 1);
		struct cw_flow6_key k __attribute__((aligned(8)));

		ports = (void *)(ip + 1);
		if ((void *)(ports + 4) > end)
			return CW_S_GO_ON;
		in.proto = ip->next;
		if (!cw_fast_transport(ports, end, in.proto))
			return CW_S_GO_ON;
		in.a_is_src = cw_key6(&k, ip->saddr, ip->daddr, *(__u32 *)ports, in.proto, e->zone);
		f = bpf_map_lookup_elem(&cw_flow6, &k);
	} else {
		return CW_S_GO_ON;
	}
	return f ? cw_fast_settle(ctx, f, &in) : CW_S_GO_ON;
}
