/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * parse.h - frame to flow tuple. No maps; the includer supplies cw_ctx, CW_LOAD, CW_LEN and
 * CW_IS_GSO, so the same source runs at TC, at XDP, and on the host under unit tests and fuzzers.
 *
 * RFC 791, 1858, 3128 (IPv4, fragments), 8200 (IPv6), 4302 (AH), 792 and 4443 (ICMP).
 */
#pragma once

#include <linux/types.h>

#include "cw_abi.h"

#ifndef CW_INLINE
#define CW_INLINE static __attribute__((always_inline)) inline
#endif

#define CW_ETH_LEN 14u
#define CW_ETHERTYPE_IP 0x0800
#define CW_ETHERTYPE_ARP 0x0806
#define CW_ETHERTYPE_IP6 0x86dd

#define CW_PROTO_HOPOPTS 0
#define CW_PROTO_ICMP 1
#define CW_PROTO_IGMP 2
#define CW_PROTO_IPIP 4
#define CW_PROTO_TCP 6
#define CW_PROTO_UDP 17
#define CW_PROTO_IP6 41
#define CW_PROTO_ROUTING 43
#define CW_PROTO_FRAGMENT 44
#define CW_PROTO_GRE 47
#define CW_PROTO_ESP 50
#define CW_PROTO_AH 51
#define CW_PROTO_ICMP6 58
#define CW_PROTO_NONE 59
#define CW_PROTO_DSTOPTS 60
#define CW_PROTO_SCTP 132

#define CW_TCP_FIN 0x01
#define CW_TCP_SYN 0x02
#define CW_TCP_RST 0x04
#define CW_TCP_PSH 0x08
#define CW_TCP_ACK 0x10
#define CW_TCP_URG 0x20

#define CW_EXT_MAX 8u	    /* IPv6 extension headers */
#define CW_EXT_BYTES_MAX 512u /* all of them together */

enum cw_frag_kind { CW_FRAG_NONE, CW_FRAG_FIRST, CW_FRAG_LATER };

struct cw_pkt {
	__u32 saddr[4], daddr[4]; /* wire order; IPv4 as ::ffff:a.b.c.d */
	__u32 frag_id;
	__u16 sport, dport;	  /* host order; of ICMP see cw_icmp_ports(); others 0 */
	__u16 ethertype;	  /* host order */
	__u16 l3, l4;		  /* offsets from the start of the frame */
	__u8 smac[6], dmac[6];
	__u8 family;		  /* 4, 6, 0 for neither */
	__u8 proto;		  /* transport, after extension headers */
	__u8 hop_limit;
	__u8 tcp_flags;
	__u8 icmp_type, icmp_code;
	__u8 frag;		  /* enum cw_frag_kind */
	__u8 icmp_error;	  /* carries the packet it is about */
	__u8 icmp_query;	  /* echo or another query with an id */
	__u8 pad;
};

#ifdef __bpf__
#define cw_htons(x) __builtin_bswap16(x)
#define cw_htonl(x) __builtin_bswap32(x)
#else
#include <arpa/inet.h>
#define cw_htons(x) htons(x)
#define cw_htonl(x) htonl(x)
#endif
#define cw_ntohs(x) cw_htons(x)
#define cw_ntohl(x) cw_htonl(x)

struct cw_eth { __u8 dst[6], src[6]; __be16 proto; };
struct cw_ip4 {
	__u8 ver_ihl, tos;
	__be16 len, id, frag;
	__u8 ttl, proto;
	__be16 check;
	__be32 saddr, daddr;
};
struct cw_ip6 {
	__be32 ver_flow;
	__be16 payload;
	__u8 next, hops;
	__u32 saddr[4], daddr[4];
};
struct cw_tcp {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8 doff, flags;
	__be16 window, check, urg;
};

CW_INLINE void cw_addr_from4(__u32 to[4], __be32 a)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = cw_htonl(0xffff);
	to[3] = a;
}

CW_INLINE int cw_addr_eq(const __u32 a[4], const __u32 b[4])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

CW_INLINE int cw_addr_is_any(const __u32 a[4], __u8 family)
{
	return !a[3] && (family == 4 || (!a[0] && !a[1] && !a[2]));
}

CW_INLINE int cw_addr_is_multicast(const __u32 a[4], __u8 family)
{
	if (family == 4)
		return (a[3] & cw_htonl(0xf0000000u)) == cw_htonl(0xe0000000u) ||
		       a[3] == 0xffffffffu;
	return (a[0] & cw_htonl(0xff000000u)) == cw_htonl(0xff000000u);
}

/* Flag sets no stack sends: null, Xmas, SYN with FIN or RST. */
CW_INLINE int cw_tcp_flags_bad(__u8 fl)
{
	if ((fl & CW_TCP_SYN) && (fl & (CW_TCP_FIN | CW_TCP_RST)))
		return 1;
	return !(fl & (CW_TCP_SYN | CW_TCP_ACK | CW_TCP_RST));
}

/* Types with an id, which make flows: echo, and the other queries of IPv4. */
CW_INLINE int cw_icmp_is_query(__u8 family, __u8 type)
{
	if (family == 4)
		return type == 0 || type == 8 || (type >= 13 && type <= 18);
	return type == 128 || type == 129;
}

/* The type that asks, of either half of a query. */
CW_INLINE __u8 cw_icmp_request(__u8 family, __u8 type)
{
	if (family == 6)
		return 128;
	return type == 0 || type == 8 ? 8 : type - !(type & 1);
}

/*
 * What stands for ports, so that no two kinds of message share a flow: who asks has the id, who is
 * asked the type of the request; of messages without an answer the destination has type and code.
 */
CW_INLINE void cw_icmp_ports(struct cw_pkt *p, __u8 type, __u8 code, __u16 id)
{
	__u8 asks = cw_icmp_request(p->family, type);

	p->sport = 0;
	p->dport = (__u16)(type << 8 | code);
	if (!cw_icmp_is_query(p->family, type))
		return;
	p->sport = type == asks ? id : (__u16)(asks << 8);
	p->dport = type == asks ? (__u16)(asks << 8) : id;
}

/* Ports, type, flags at p->l4. Nothing is read from later fragments. */
CW_INLINE __u32 cw_parse_l4(cw_ctx *ctx, struct cw_pkt *p, __u32 end)
{
	__be16 ports[4]; /* 8 bytes: ports, or type/code/checksum/id */
	__u32 need = p->proto == CW_PROTO_SCTP ? 12 : sizeof(ports);

	if (p->proto == CW_PROTO_TCP) {
		struct cw_tcp t;

		if (p->l4 + sizeof(t) > end)
			return p->frag ? CW_R_FRAG_BAD : CW_R_MALFORMED;
		if (CW_LOAD(ctx, p->l4, &t, sizeof(t)))
			return CW_R_UNREADABLE;
		if ((t.doff >> 4) < 5 || cw_tcp_flags_bad(t.flags))
			return CW_R_MALFORMED;
		p->sport = cw_ntohs(t.sport);
		p->dport = cw_ntohs(t.dport);
		p->tcp_flags = t.flags;
		return CW_R_NONE;
	}
	if (p->proto != CW_PROTO_UDP && p->proto != CW_PROTO_SCTP &&
	    !(p->proto == CW_PROTO_ICMP && p->family == 4) &&
	    !(p->proto == CW_PROTO_ICMP6 && p->family == 6))
		return CW_R_NONE;
	if (p->l4 + need > end)
		return p->frag ? CW_R_FRAG_BAD : CW_R_MALFORMED;
	if (CW_LOAD(ctx, p->l4, ports, sizeof(ports)))
		return CW_R_UNREADABLE;
	if (p->proto == CW_PROTO_UDP || p->proto == CW_PROTO_SCTP) {
		p->sport = cw_ntohs(ports[0]);
		p->dport = cw_ntohs(ports[1]);
		return CW_R_NONE;
	}
	p->icmp_type = cw_ntohs(ports[0]) >> 8;
	p->icmp_code = cw_ntohs(ports[0]) & 0xff;
	if (p->family == 4)
		p->icmp_error = p->icmp_type == 3 || p->icmp_type == 4 || p->icmp_type == 11 ||
				p->icmp_type == 12;
	else
		p->icmp_error = p->icmp_type >= 1 && p->icmp_type <= 4;
	p->icmp_query = cw_icmp_is_query(p->family, p->icmp_type);
	cw_icmp_ports(p, p->icmp_type, p->icmp_code, cw_ntohs(ports[2]));
	return CW_R_NONE;
}

/* Source routing lets the sender choose where a packet appears: refused (RFC 7126). */
CW_INLINE __u32 cw_parse_ip4_options(cw_ctx *ctx, __u32 off, __u32 n)
{
	__u8 opt[40] = {};
	__u32 i = 0;

	if (!n || n > sizeof(opt))
		return CW_R_MALFORMED;
	if (CW_LOAD(ctx, off, opt, n))
		return CW_R_UNREADABLE;
	for (int k = 0; k < 40; k++) {
		__u32 l;

		if (i >= n || i >= sizeof(opt) || opt[i] == 0)
			break;
		if (opt[i] == 1) {
			i++;
			continue;
		}
		if (opt[i] == 131 || opt[i] == 137)
			return CW_R_SOURCE_ROUTE;
		if (i + 1 >= n || i + 1 >= sizeof(opt))
			return CW_R_MALFORMED;
		l = opt[i + 1];
		if (l < 2 || i + l > n)
			return CW_R_MALFORMED;
		i += l;
	}
	return CW_R_NONE;
}

/* A first fragment holds the whole TCP header: what begins inside it would rewrite it. */
CW_INLINE int cw_frag_overlaps(__u32 off, __u8 proto)
{
	return off && off < sizeof(struct cw_tcp) && proto == CW_PROTO_TCP;
}

CW_INLINE __u32 cw_parse_ip4(cw_ctx *ctx, struct cw_pkt *p, __u32 frame)
{
	struct cw_ip4 h;
	__u32 ihl, len, off, r;
	__u16 frag;

	if (p->l3 + sizeof(h) > frame)
		return CW_R_MALFORMED;
	if (CW_LOAD(ctx, p->l3, &h, sizeof(h)))
		return CW_R_UNREADABLE;
	ihl = (h.ver_ihl & 15u) * 4;
	len = cw_ntohs(h.len);
	if (!len && CW_IS_GSO(ctx)) /* larger than the field can say */
		len = frame - p->l3;
	if ((h.ver_ihl >> 4) != 4 || ihl < sizeof(h) || len < ihl || len > frame - p->l3)
		return CW_R_MALFORMED;
	p->family = 4;
	p->proto = h.proto;
	p->hop_limit = h.ttl;
	cw_addr_from4(p->saddr, h.saddr);
	cw_addr_from4(p->daddr, h.daddr);
	if (ihl > sizeof(h)) {
		r = cw_parse_ip4_options(ctx, p->l3 + sizeof(h), ihl - sizeof(h));
		if (r)
			return r;
	}
	p->l4 = p->l3 + ihl;
	frag = cw_ntohs(h.frag);
	off = (frag & 0x1fffu) * 8;
	if (off || (frag & 0x2000)) {
		p->frag = off ? CW_FRAG_LATER : CW_FRAG_FIRST;
		p->frag_id = h.id;
		if ((frag & 0x2000) && (len - ihl) % 8)
			return CW_R_FRAG_BAD;
		if (off + len > 65535 || cw_frag_overlaps(off, h.proto))
			return CW_R_FRAG_BAD;
		if (off)
			return CW_R_NONE;
	}
	return cw_parse_l4(ctx, p, p->l3 + len);
}

CW_INLINE __u32 cw_parse_ip6(cw_ctx *ctx, struct cw_pkt *p, __u32 frame)
{
	__u32 off, end, next, ext = 0;
	struct cw_ip6 h;

	if (p->l3 + sizeof(h) > frame)
		return CW_R_MALFORMED;
	if (CW_LOAD(ctx, p->l3, &h, sizeof(h)))
		return CW_R_UNREADABLE;
	end = cw_ntohs(h.payload);
	if (!end && CW_IS_GSO(ctx))
		end = frame - p->l3 - sizeof(h);
	if ((cw_ntohl(h.ver_flow) >> 28) != 6 || end > frame - p->l3 - sizeof(h))
		return CW_R_MALFORMED;
	end += p->l3 + sizeof(h);
	p->family = 6;
	p->hop_limit = h.hops;
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		p->saddr[i] = h.saddr[i];
		p->daddr[i] = h.daddr[i];
	}
	/* IPv4-mapped addresses have no business on the wire, and would alias IPv4 identities. */
	if ((!h.saddr[0] && !h.saddr[1] && h.saddr[2] == cw_htonl(0xffff)) ||
	    (!h.daddr[0] && !h.daddr[1] && h.daddr[2] == cw_htonl(0xffff)))
		return CW_R_MALFORMED;

	off = p->l3 + sizeof(h);
	next = h.next;
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i <= CW_EXT_MAX; i++) {
		__u8 e[8];
		__u32 l;

		if (next != CW_PROTO_HOPOPTS && next != CW_PROTO_ROUTING &&
		    next != CW_PROTO_DSTOPTS && next != CW_PROTO_AH && next != CW_PROTO_FRAGMENT)
			goto transport;
		if (i == CW_EXT_MAX || (next == CW_PROTO_HOPOPTS && i))
			return CW_R_EXT_HEADERS;
		if (off + sizeof(e) > end)
			return CW_R_MALFORMED;
		if (CW_LOAD(ctx, off, e, sizeof(e)))
			return CW_R_UNREADABLE;
		if (next == CW_PROTO_FRAGMENT) {
			__u32 fo = (__u32)e[2] << 8 | (e[3] & 0xf8u), more = e[3] & 1;

			l = 8;
			if (fo || more) {
				if (p->frag) /* fragment of a fragment */
					return CW_R_FRAG_BAD;
				p->frag = fo ? CW_FRAG_LATER : CW_FRAG_FIRST;
				p->frag_id = (__u32)e[4] << 24 | (__u32)e[5] << 16 |
					     (__u32)e[6] << 8 | e[7];
				if (more && (end - off - 8) % 8)
					return CW_R_FRAG_BAD;
				if (fo + (end - off - 8) > 65535 || cw_frag_overlaps(fo, e[0]))
					return CW_R_FRAG_BAD;
				if (fo) {
					p->proto = e[0];
					p->l4 = off + l;
					return CW_R_NONE;
				}
			}
		} else if (next == CW_PROTO_AH) {
			l = ((__u32)e[1] + 2) * 4;
		} else {
			/* With segments left the address judged is not where it ends. */
			if (next == CW_PROTO_ROUTING && (e[2] == 0 || e[3]))
				return CW_R_SOURCE_ROUTE;
			l = ((__u32)e[1] + 1) * 8;
		}
		next = e[0];
		off += l;
		ext += l;
		if (ext > CW_EXT_BYTES_MAX)
			return CW_R_EXT_HEADERS;
		if (off > end)
			return CW_R_MALFORMED;
	}
transport:
	p->proto = next;
	p->l4 = off;
	return cw_parse_l4(ctx, p, end);
}

/*
 * Fills p (zeroed by the caller) from the frame. CW_R_NONE, or the reason why it cannot be
 * judged; addresses and ethertype are filled as far as they were read.
 */
CW_INLINE __u32 cw_parse(cw_ctx *ctx, struct cw_pkt *p)
{
	__u32 frame = CW_LEN(ctx);
	struct cw_eth eth;

	if (frame < sizeof(eth))
		return CW_R_MALFORMED;
	if (CW_LOAD(ctx, 0, &eth, sizeof(eth)))
		return CW_R_UNREADABLE;
	__builtin_memcpy(p->smac, eth.src, 6);
	__builtin_memcpy(p->dmac, eth.dst, 6);
	p->ethertype = cw_ntohs(eth.proto);
	p->l3 = CW_ETH_LEN;
	if (p->ethertype == CW_ETHERTYPE_IP)
		return cw_parse_ip4(ctx, p, frame);
	if (p->ethertype == CW_ETHERTYPE_IP6)
		return cw_parse_ip6(ctx, p, frame);
	if (p->ethertype == CW_ETHERTYPE_ARP)
		return CW_R_NONE;
	return CW_R_ETHERTYPE;
}

/*
 * The tuple inside an ICMP error, as the offending packet carried it: fills q's addresses,
 * protocol and ports. The inner packet may be cut after 8 bytes of transport (RFC 792).
 * 0, or -1 when it cannot be told which flow it is about.
 */
CW_INLINE int cw_parse_inner(cw_ctx *ctx, const struct cw_pkt *p, struct cw_pkt *q)
{
	__u32 off = p->l4 + 8u, next;
	__be16 ports[4];

	if (p->family == 4) {
		struct cw_ip4 h;

		if (CW_LOAD(ctx, off, &h, sizeof(h)))
			return -1;
		if ((h.ver_ihl >> 4) != 4 || (h.ver_ihl & 15) < 5 || (cw_ntohs(h.frag) & 0x1fff))
			return -1;
		cw_addr_from4(q->saddr, h.saddr);
		cw_addr_from4(q->daddr, h.daddr);
		next = h.proto;
		off += (h.ver_ihl & 15u) * 4;
	} else {
		struct cw_ip6 h;
		int i;

		if (CW_LOAD(ctx, off, &h, sizeof(h)))
			return -1;
		if ((cw_ntohl(h.ver_flow) >> 28) != 6)
			return -1;
#pragma GCC unroll 4
		for (i = 0; i < 4; i++) {
			q->saddr[i] = h.saddr[i];
			q->daddr[i] = h.daddr[i];
		}
		next = h.next;
		off += sizeof(h);
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
		for (i = 0; i < 4; i++) {
			__u8 e[4];

			if (next != CW_PROTO_HOPOPTS && next != CW_PROTO_ROUTING &&
			    next != CW_PROTO_DSTOPTS && next != CW_PROTO_FRAGMENT)
				break;
			if (CW_LOAD(ctx, off, e, sizeof(e)))
				return -1;
			if (next == CW_PROTO_FRAGMENT && (e[2] || (e[3] & 0xf8)))
				return -1;
			off += next == CW_PROTO_FRAGMENT ? 8 : ((__u32)e[1] + 1) * 8;
			next = e[0];
		}
	}
	q->family = p->family;
	q->proto = next;
	q->sport = q->dport = 0;
	if (next != CW_PROTO_TCP && next != CW_PROTO_UDP && next != CW_PROTO_SCTP &&
	    next != CW_PROTO_ICMP && next != CW_PROTO_ICMP6)
		return 0;
	if (CW_LOAD(ctx, off, ports, sizeof(ports)))
		return -1;
	if (next == CW_PROTO_ICMP || next == CW_PROTO_ICMP6) {
		cw_icmp_ports(q, cw_ntohs(ports[0]) >> 8, cw_ntohs(ports[0]) & 0xff, cw_ntohs(ports[2]));
	} else {
		q->sport = cw_ntohs(ports[0]);
		q->dport = cw_ntohs(ports[1]);
	}
	return 0;
}
