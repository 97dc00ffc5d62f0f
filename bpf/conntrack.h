/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * conntrack.h - flow keys, states, timeouts and the direction of flows picked up in mid-stream.
 */
#pragma once

#include "work.h"

/* Idle seconds by state. An expired entry is no drop: the next packet is judged as new. */
#define CW_T_TCP_SYN 60
#define CW_T_TCP_OPEN 3600
#define CW_T_TCP_FIN 120
#define CW_T_CLOSED 10
#define CW_T_UDP_NEW 60
#define CW_T_UDP_OPEN 180
#define CW_T_ICMP 30
#define CW_T_OTHER 600
#define CW_T_SHORTEST CW_T_CLOSED

/*
 * Ports travel as the packet has them, in one word: source low, destination high. The key is
 * written in whole words, since the hash reads it in words: narrower stores would stall it. The
 * long addresses of IPv6 are copied by double words, which pays; for IPv4 it does not.
 */
CW_INLINE __u32 cw_ports(__u16 sport, __u16 dport)
{
	return (__u32)cw_htons(dport) << 16 | cw_htons(sport);
}

CW_INLINE __u8 cw_ports_in_order(__u32 ports)
{
	return cw_ntohs((__u16)ports) <= cw_ntohs((__u16)(ports >> 16));
}

CW_INLINE void cw_key_tail(void *pa, __u8 a_is_src, __u32 ports, __u8 proto, __u16 zone)
{
	__u32 *w = pa;

	w[0] = a_is_src ? ports : ports << 16 | ports >> 16;
	w[1] = (__u32)proto << 16 | zone;
}

/* Fills the key; 1 when the packet's source is end a of it. */
CW_INLINE __u8 cw_key4(struct cw_flow4_key *k, __be32 s, __be32 d, __u32 ports, __u8 proto, __u16 zone)
{
	__u8 a_is_src = s < d || (s == d && cw_ports_in_order(ports));

	k->a = a_is_src ? s : d;
	k->b = a_is_src ? d : s;
	cw_key_tail(&k->pa, a_is_src, ports, proto, zone);
	return a_is_src;
}

/* Unaligned where the packet is: fine wherever the verifier lets the rest of this path load. */
CW_INLINE void cw_addr_copy(__u8 *to, const __u32 *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

CW_INLINE __u8 cw_key6(struct cw_flow6_key *k, const __u32 s[4], const __u32 d[4], __u32 ports,
		       __u8 proto, __u16 zone)
{
	__u8 a_is_src;
	const __u32 *a, *b;

	/* The last word differs most often; any fixed order will do. */
	if (s[3] != d[3])
		a_is_src = s[3] < d[3];
	else if (s[2] != d[2])
		a_is_src = s[2] < d[2];
	else if (s[1] != d[1])
		a_is_src = s[1] < d[1];
	else if (s[0] != d[0])
		a_is_src = s[0] < d[0];
	else
		a_is_src = cw_ports_in_order(ports);
	a = a_is_src ? s : d;
	b = a_is_src ? d : s;
	cw_addr_copy(k->a, a);
	cw_addr_copy(k->b, b);
	cw_key_tail(&k->pa, a_is_src, ports, proto, zone);
	return a_is_src;
}

CW_INLINE __u8 cw_key_make(struct cw_work *w, const struct cw_pkt *p)
{
	__u32 ports = cw_ports(p->sport, p->dport);

	if (p->family == 4)
		return cw_key4(&w->k4, p->saddr[3], p->daddr[3], ports, p->proto, w->zone);
	return cw_key6(&w->k6, p->saddr, p->daddr, ports, p->proto, w->zone);
}

CW_INLINE struct cw_flow *cw_flow_get(struct cw_work *w)
{
	if (w->p.family == 4)
		return bpf_map_lookup_elem(&cw_flow4, &w->k4);
	return bpf_map_lookup_elem(&cw_flow6, &w->k6);
}

CW_INLINE __u32 cw_flow_timeout(__u8 proto, __u8 state)
{
	if (state == CW_FLOW_CLOSED)
		return CW_T_CLOSED;
	if (proto == CW_PROTO_TCP || proto == CW_PROTO_SCTP)
		return state == CW_FLOW_OPEN ? CW_T_TCP_OPEN :
		       state == CW_FLOW_FIN ? CW_T_TCP_FIN : CW_T_TCP_SYN;
	if (proto == CW_PROTO_UDP)
		return state == CW_FLOW_OPEN ? CW_T_UDP_OPEN : CW_T_UDP_NEW;
	if (proto == CW_PROTO_ICMP || proto == CW_PROTO_ICMP6)
		return CW_T_ICMP;
	return CW_T_OTHER;
}

/* Signed: another CPU's stamp may be a tick ahead of what this one read. */
CW_INLINE int cw_flow_expired(const struct cw_flow *f, __u8 proto, __u32 now)
{
	return (__s32)(now - f->seen) > (__s32)(cw_flow_timeout(proto, f->state) * cw_hz);
}

CW_INLINE int cw_is_listening(__u32 wl, const struct cw_pkt *p, __u16 port)
{
	struct cw_listen_key k = { .wl = wl, .port = cw_htons(port), .proto = p->proto, .family = p->family };

	return bpf_map_lookup_elem(&cw_listen, &k) != 0;
}

/*
 * Is this packet of no known flow a reply, and had that to be guessed? In order: the handshake
 * flags, the workload's own listeners, the lower port. A flow that is picked up the wrong way
 * round would teach ephemeral ports as destinations.
 */
CW_INLINE void cw_guess(struct cw_work *w, const struct cw_ctl *c)
{
	const struct cw_pkt *p = &w->p;
	__u16 lport = w->from_pod ? p->sport : p->dport;

	w->reply = 0;
	w->guessed = 0;
	if (p->proto == CW_PROTO_TCP) {
		if (p->tcp_flags & CW_TCP_SYN) {
			w->reply = !!(p->tcp_flags & CW_TCP_ACK);
			return;
		}
		w->guessed = 1;
		if (cw_is_listening(w->wl, p, lport))
			w->reply = w->from_pod;
		else
			w->reply = p->sport < p->dport;
		return;
	}
	if (p->proto != CW_PROTO_UDP && p->proto != CW_PROTO_SCTP)
		return;
	/* While flows are being carried over, a datagram may belong to one that is on its way: who
	 * listens tells, at either end, and failing that the lower port. */
	if (c->takeover) {
		__u32 from = w->from_pod ? w->wl : w->r.wl, to = w->from_pod ? w->r.wl : w->wl;
		int asked = cw_is_listening(to, p, p->dport);
		int answers = cw_is_listening(from, p, p->sport);

		w->reply = answers != asked ? answers : p->sport < p->dport;
		w->guessed = w->reply;
		return;
	}
	/* A datagram from a listening port to an ephemeral one answers somebody. */
	if (p->sport < c->ephemeral_min && p->dport >= c->ephemeral_min && w->from_pod &&
	    cw_is_listening(w->wl, p, p->sport)) {
		w->reply = 1;
		w->guessed = 1;
	}
}

/* Follows the packet in the entry. */
CW_INLINE void cw_flow_track(struct cw_flow *f, const struct cw_pkt *p, __u8 reply, __u32 now)
{
	__u8 fl = p->tcp_flags, state = f->state, flags = f->flags;
	int answer = 0;

	if (p->proto == CW_PROTO_TCP) {
		if (fl & CW_TCP_RST) {
			state = CW_FLOW_CLOSED;
		} else if (fl & CW_TCP_SYN) {
			if (!(fl & CW_TCP_ACK)) {
				if (state == CW_FLOW_NEW)
					state = CW_FLOW_SYN;
			} else if (reply && state <= CW_FLOW_SYN) {
				state = CW_FLOW_SYNACK;
				answer = 1;
			}
		} else {
			/* A bare ACK of the originator completes; anything else is mid-stream. */
			if (state == CW_FLOW_NEW || state == CW_FLOW_SYNACK ||
			    (state == CW_FLOW_SYN && reply)) {
				state = CW_FLOW_OPEN;
				answer = reply;
			}
			if (state == CW_FLOW_OPEN && reply)
				answer = 1;
			if (fl & CW_TCP_FIN) {
				flags |= reply ? CW_FLOW_F_FIN_REPLY : CW_FLOW_F_FIN_ORIG;
				state = (flags & CW_FLOW_F_FIN_REPLY) && (flags & CW_FLOW_F_FIN_ORIG) ?
					CW_FLOW_CLOSED : CW_FLOW_FIN;
			}
		}
	} else if (reply) {
		state = CW_FLOW_OPEN;
		answer = 1;
	}
	if (answer)
		flags |= CW_FLOW_F_ANSWERED;
	if (f->state != state)
		f->state = state;
	if (f->flags != flags)
		f->flags = flags;
	if ((__s32)(now - f->seen) > (__s32)(cw_hz / 4))
		f->seen = now;
}

/*
 * Should this packet's side credit the flow's access with its answer? Once in a flow, by the first
 * side that records: the side that saw the answer first may be in mode off.
 */
CW_INLINE int cw_flow_credit(struct cw_flow *f, __u8 reply)
{
	if (!reply || !(f->flags & CW_FLOW_F_ANSWERED) || (f->counted & CW_COUNTED_ANSWER))
		return 0;
	f->counted |= CW_COUNTED_ANSWER;
	return 1;
}
