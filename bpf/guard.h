/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * guard.h - what is allowed or refused whatever the rules say (semantics, section 2): forged
 * sources, neighbour discovery, DHCP, tunnels, packets nobody can judge.
 */
#pragma once

#include "identity.h"

enum cw_guard { CW_G_GO_ON, CW_G_PASS, CW_G_REFUSE };

struct cw_arp {
	__be16 hw, proto;
	__u8 hwlen, plen;
	__be16 op;
	__u8 smac[6], sip[4], tmac[6], tip[4];
};

const volatile __u64 cw_probe_magic = 0; /* random, by the loader; 0: there are no probes */

/* Our own frame, sent to see whether this hook is there: counted, and to be dropped. */
CW_INLINE int cw_is_probe(cw_ctx *ctx, const struct cw_work *w)
{
	__u32 k = CW_PROBE(w->ep, w->from_pod);
	__u64 magic = 0, *n;

	if (w->p.ethertype != CW_ETHERTYPE_PROBE || !cw_probe_magic ||
	    CW_LOAD(ctx, CW_ETH_LEN, &magic, sizeof(magic)) || magic != cw_probe_magic)
		return 0;
	n = bpf_map_lookup_elem(&cw_probe, &k);
	if (n)
		__sync_fetch_and_add(n, 1);
	return 1;
}

CW_INLINE int cw_mac_eq(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
	       a[5] == b[5];
}

CW_INLINE int cw_owns(struct cw_work *w, const __u32 a[4], __u8 family)
{
	cw_identify(a, family, w->zone, &w->r);
	return w->r.wl == w->wl;
}

CW_INLINE __u32 cw_guard_arp(cw_ctx *ctx, struct cw_work *w)
{
	struct cw_arp h;
	__u32 a[4];

	if (!w->from_pod)
		return CW_G_PASS;
	w->reason = CW_R_MALFORMED;
	if (CW_LOAD(ctx, CW_ETH_LEN, &h, sizeof(h)))
		return CW_G_REFUSE;
	if (h.hw != cw_htons(1) || h.proto != cw_htons(CW_ETHERTYPE_IP) || h.hwlen != 6 ||
	    h.plen != 4)
		return CW_G_REFUSE;
	w->reason = CW_R_SPOOF_ARP;
	if (!(w->epflags & CW_EP_NO_MAC) && !cw_mac_eq(h.smac, w->mac))
		return CW_G_REFUSE;
	__builtin_memcpy(&a[3], h.sip, 4);
	cw_addr_from4(a, a[3]);
	/* A probe (RFC 5227) asks with sender 0.0.0.0 before it owns the address. */
	if (a[3] && !(w->epflags & CW_EP_ROUTER) && !cw_owns(w, a, 4))
		return CW_G_REFUSE;
	return CW_G_PASS;
}

/* ICMPv6 of the link: ND 133..137 and MLD 130..132, 143 (RFC 4861, 4862, 2710, 3810). */
CW_INLINE __u32 cw_guard_icmp6(cw_ctx *ctx, struct cw_work *w)
{
	struct cw_pkt *p = &w->p;
	__u8 t = p->icmp_type;
	__u32 target[4];

	if ((t >= 130 && t <= 132) || t == 143) {
		w->reason = CW_R_SPOOF_IP;
		if (w->from_pod && !cw_addr_is_any(p->saddr, 6) && !(w->epflags & CW_EP_ROUTER) &&
		    !cw_owns(w, p->saddr, 6))
			return CW_G_REFUSE;
		return w->quar ? CW_G_GO_ON : CW_G_PASS;
	}
	if (t < 133 || t > 137)
		return CW_G_GO_ON;
	w->reason = CW_R_MALFORMED;
	if (p->hop_limit != 255 || p->icmp_code)
		return CW_G_REFUSE;
	if (!w->from_pod)
		return CW_G_PASS;
	w->reason = CW_R_REDIRECT;
	if (t == 134 || t == 137)
		return CW_G_REFUSE;
	w->reason = CW_R_SPOOF_ARP;
	/* Whoever advertises an address, or checks it for duplicates, must own it. */
	if (t == 136 || (t == 135 && cw_addr_is_any(p->saddr, 6))) {
		if (CW_LOAD(ctx, p->l4 + 8, target, sizeof(target)))
			return CW_G_REFUSE;
		if (!(w->epflags & CW_EP_ROUTER) && !cw_owns(w, target, 6))
			return CW_G_REFUSE;
	}
	if (!cw_addr_is_any(p->saddr, 6) && !(w->epflags & CW_EP_ROUTER) &&
	    !cw_owns(w, p->saddr, 6)) {
		w->reason = CW_R_SPOOF_IP;
		return CW_G_REFUSE;
	}
	return CW_G_PASS;
}

/*
 * The workload's own DHCP. Its requests are broadcast, or go to this node: to any other address
 * the two ports would be a way past the rules (a lease that cannot be renewed there is rebound by
 * broadcast, RFC 2131, 4.4.5).
 */
CW_INLINE int cw_is_dhcp(struct cw_work *w)
{
	const struct cw_pkt *p = &w->p;
	__u16 client = p->family == 4 ? 68 : 546, server = p->family == 4 ? 67 : 547;

	if (p->proto != CW_PROTO_UDP || p->frag == CW_FRAG_LATER || w->quar)
		return 0;
	if (!w->from_pod)
		return p->sport == server && p->dport == client;
	if (p->sport != client || p->dport != server ||
	    (w->l.wl != w->wl && !cw_addr_is_any(p->saddr, p->family)))
		return 0;
	cw_identify(p->daddr, p->family, w->zone, &w->r);
	return w->r.realm == CW_REALM_MULTICAST || w->r.realm == CW_REALM_HOST;
}

/* Protocols that wrap a packet the verdict would not see, towards the node's own overlay. */
CW_INLINE int cw_is_tunnel(const struct cw_pkt *p)
{
	if (p->proto == CW_PROTO_UDP && p->frag != CW_FRAG_LATER)
		return p->dport == 4789 || p->dport == 8472 || p->dport == 6081;
	return p->proto == CW_PROTO_IPIP || p->proto == CW_PROTO_IP6 || p->proto == CW_PROTO_GRE;
}

/*
 * Fills w->l and w->r and says whether the packet may be judged by rules at all. On
 * CW_G_REFUSE and CW_G_PASS w->reason is set.
 */
CW_INLINE __u32 cw_guard_ip(cw_ctx *ctx, struct cw_work *w)
{
	struct cw_pkt *p = &w->p;
	__u32 g;

	if (p->proto == CW_PROTO_ICMP6 && p->family == 6 && p->frag != CW_FRAG_LATER) {
		g = cw_guard_icmp6(ctx, w);
		if (g != CW_G_GO_ON) {
			if (g == CW_G_PASS)
				w->reason = CW_R_SERVICE_TRAFFIC;
			return g;
		}
	}
	if (p->family == 4 && p->proto == CW_PROTO_ICMP && p->icmp_type == 5 && w->from_pod &&
	    p->frag != CW_FRAG_LATER) {
		w->reason = CW_R_REDIRECT;
		return CW_G_REFUSE;
	}
	if (w->from_pod)
		cw_identify(p->saddr, p->family, w->zone, &w->l);
	else
		cw_identify(p->daddr, p->family, w->zone, &w->l);

	if (cw_is_dhcp(w)) {
		w->reason = CW_R_SERVICE_TRAFFIC;
		return CW_G_PASS;
	}
	if (w->l.wl != w->wl) {
		if (w->epflags & CW_EP_ROUTER) {
			/* judged as the workload it comes through */
			w->l.wl = w->wl;
			w->l.group = w->group;
			w->l.eid = w->eid;
			w->l.realm = CW_REALM_POD;
		} else if (w->from_pod) {
			w->reason = CW_R_SPOOF_IP;
			return CW_G_REFUSE;
		} else if (w->l.realm == CW_REALM_MULTICAST) {
			w->mcast = w->l.eid;
			w->l.wl = w->wl;
			w->l.group = w->group;
			w->l.eid = w->eid;
			w->l.realm = CW_REALM_POD;
		} else {
			w->reason = CW_R_NOT_MINE;
			return CW_G_REFUSE;
		}
	}
	if (w->from_pod)
		cw_identify(p->daddr, p->family, w->zone, &w->r);
	else
		cw_identify(p->saddr, p->family, w->zone, &w->r);
	if (w->from_pod && cw_is_tunnel(p) && !(w->epflags & CW_EP_TUNNEL) &&
	    (w->r.realm == CW_REALM_HOST || w->r.realm == CW_REALM_NODE)) {
		w->reason = CW_R_TUNNEL;
		return CW_G_REFUSE;
	}
	return CW_G_GO_ON;
}
