/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cw_xdp.bpf.c - XDP, attached on demand only: an XDP program on a veth takes segmentation
 * offload away from its peer, so an always-on one would cost every pod its throughput.
 *
 * cw_shield_prog sheds what is known to be unwanted before a packet buffer is even made; the TC
 * verdict still stands behind it. cw_xdp_main is the whole verdict path, for switches that take
 * frames from the device before TC sees them.
 */
#include "ctx_xdp.h"
#include "path.h"
#include "fast.h"

/* Value of cw_shield4/6, keyed by (ifindex, prefix). */
enum { CW_SHIELD_DROP = 1, CW_SHIELD_PASS = 2 };

CW_INLINE __u32 cw_shield_lookup(const __u32 a[4], __u8 family, __u32 ifindex)
{
	__u32 *v;

	if (family == 4) {
		struct cw_net4_key k = { .plen = 64, .zone = cw_htonl(ifindex), .addr = a[3] };

		v = bpf_map_lookup_elem(&cw_shield4, &k);
	} else {
		struct cw_net6_key k = { .plen = 160, .zone = cw_htonl(ifindex) };

		__builtin_memcpy(k.addr, a, 16);
		v = bpf_map_lookup_elem(&cw_shield6, &k);
	}
	return v ? *v : 0;
}

/* Addresses and, for ICMPv6, the type: all a shield decides on. -1: not IP or not readable. */
CW_INLINE int cw_shield_parse(struct xdp_md *ctx, struct cw_pkt *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct cw_eth *eth = data;

	if ((void *)(eth + 1) > end)
		return -1;
	p->ethertype = cw_ntohs(eth->proto);
	if (p->ethertype == CW_ETHERTYPE_IP) {
		struct cw_ip4 *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end)
			return -1;
		p->family = 4;
		p->proto = ip->proto;
		cw_addr_from4(p->saddr, ip->saddr);
		cw_addr_from4(p->daddr, ip->daddr);
		return 0;
	}
	if (p->ethertype == CW_ETHERTYPE_IP6) {
		struct cw_ip6 *ip = (void *)(eth + 1);
		__u8 *type = (void *)(ip + 1);

		if ((void *)(type + 1) > end)
			return -1;
		p->family = 6;
		p->proto = ip->next;
		p->hop_limit = ip->hops;
		p->icmp_type = *type;
		__builtin_memcpy(p->saddr, ip->saddr, 16);
		__builtin_memcpy(p->daddr, ip->daddr, 16);
		return 0;
	}
	return -1;
}

SEC("xdp")
int cw_shield_prog(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct cw_shield *s = bpf_map_lookup_elem(&cw_shield, &ifindex);
	struct cw_pkt p = {};
	int drop = 0;

	if (!s)
		return XDP_PASS;
	if (cw_shield_parse(ctx, &p)) {
		drop = (s->flags & CW_SHIELD_CUT) && p.ethertype != CW_ETHERTYPE_ARP;
	} else {
		if (s->flags & CW_SHIELD_NETS)
			drop = cw_shield_lookup(p.saddr, p.family, ifindex) == CW_SHIELD_DROP ||
			       cw_shield_lookup(p.daddr, p.family, ifindex) == CW_SHIELD_DROP;
		if (!drop && (s->flags & CW_SHIELD_CUT)) {
			int nd = p.proto == CW_PROTO_ICMP6 && p.hop_limit == 255 &&
				 p.icmp_type >= 133 && p.icmp_type <= 136;

			drop = !nd && cw_shield_lookup(p.daddr, p.family, ifindex) !=
					      CW_SHIELD_PASS;
		}
	}
	if (!drop)
		return XDP_PASS;
	cw_reason_count(CW_R_SHIELD, CW_OUT_DROP, 1);
	return XDP_DROP;
}

SEC("xdp.frags")
int cw_xdp_main(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex, from_pod, ep;
	struct cw_shield *s = bpf_map_lookup_elem(&cw_shield, &ifindex);
	int r = CW_S_GO_ON;
	struct cw_ep *e;

	if (!s)
		return XDP_PASS;
	ep = s->ep;
	e = bpf_map_lookup_elem(&cw_ep, &ep);
	if (!ep || !e || !(e->flags & CW_EP_ATTACHED))
		return XDP_PASS;
	from_pod = !(s->flags & CW_SHIELD_TO_POD);
	if (!(e->flags & CW_EP_CLOSED))
		r = cw_fast(ctx, e, ep, from_pod);
	if (r == CW_S_GO_ON)
		r = cw_slow(ctx, ep, from_pod);
	return r == CW_S_DROP ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
