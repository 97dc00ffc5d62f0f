/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - frames for tests, laid down header by header:
 *
 *	pkt_eth(&p, mac_a, mac_b);
 *	pkt_ip(&p, "10.0.0.1", "10.0.0.2");
 *	pkt_tcp(&p, 40000, 443, PKT_SYN);
 *	pkt_data(&p, 10);
 *	pkt_finish(&p);
 *
 * Each header writes its number into the one before. pkt_finish() fills in lengths and
 * checksums, of nested packets too; what a test wants broken it breaks afterwards. A frame that
 * grows beyond PKT_MAX, or an address that does not parse, ends the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKT_MAX 4096u
#define PKT_NEST 4u	/* IP headers in one frame */

#define PKT_FIN 0x01
#define PKT_SYN 0x02
#define PKT_RST 0x04
#define PKT_PSH 0x08
#define PKT_ACK 0x10
#define PKT_URG 0x20

struct pkt {
	unsigned char b[PKT_MAX];
	size_t len;
	size_t next_at;		/* where the next header's number goes, 0: nowhere */
	bool next_wide;		/* it is an ethertype */
	size_t ip[PKT_NEST], l4[PKT_NEST]; /* offsets; l4 0: none laid yet */
	uint8_t l4_proto[PKT_NEST];
	unsigned nip;
};

void pkt_init(struct pkt *p); /* empty: for packets without Ethernet */
void pkt_put(struct pkt *p, const void *bytes, size_t n);
void pkt_data(struct pkt *p, size_t n); /* n bytes that are not zero */

void pkt_eth(struct pkt *p, const uint8_t src[6], const uint8_t dst[6]); /* starts a frame */
void pkt_ethertype(struct pkt *p, uint16_t type);	/* for what follows as raw bytes */
void pkt_vlan(struct pkt *p, uint16_t vid);
void pkt_arp(struct pkt *p, uint16_t op, const uint8_t smac[6], const char *sip, const char *tip);

/* IPv4 or IPv6 by the form of the addresses. */
void pkt_ip(struct pkt *p, const char *src, const char *dst);
void pkt_hops(struct pkt *p, uint8_t hops);		/* TTL or hop limit of the last IP header */
void pkt_proto(struct pkt *p, uint8_t proto);		/* number of what follows as raw bytes */
void pkt_ip4_options(struct pkt *p, const void *bytes, size_t n); /* right after pkt_ip(); n % 4 == 0 */
/* A fragment: IPv4 fields, or an IPv6 fragment header. off in bytes. */
void pkt_frag(struct pkt *p, uint32_t id, uint32_t off, bool more);
/* IPv6 extension header of n * 8 bytes (AH: n * 4, n >= 2), filled with PadN; kind is its number. */
void pkt_ext(struct pkt *p, uint8_t kind, unsigned n);

void pkt_tcp(struct pkt *p, uint16_t sport, uint16_t dport, uint8_t flags);
void pkt_udp(struct pkt *p, uint16_t sport, uint16_t dport);
void pkt_sctp(struct pkt *p, uint16_t sport, uint16_t dport, uint8_t chunk);
/* ICMP or ICMPv6 by the family of the last IP header; rest is the second word (id << 16 | seq). */
void pkt_icmp(struct pkt *p, uint8_t type, uint8_t code, uint32_t rest);
/* Neighbour discovery: 8 bytes, then the target, then an option with the link-layer address. */
void pkt_nd(struct pkt *p, uint8_t type, const char *target, const uint8_t lladdr[6]);
void pkt_vxlan(struct pkt *p, uint32_t vni); /* after pkt_udp(); an Ethernet frame follows */
void pkt_finish(struct pkt *p);

/* Appends up to n bytes of another packet, from its byte `from` on. */
void pkt_append(struct pkt *p, const struct pkt *inner, size_t from, size_t n);

/* ---- reading frames that a program made ------------------------------------------------ */

/* Checks lengths and checksums of an Ethernet frame with IPv4 or IPv6 and TCP, UDP or ICMP.
 * NULL when all is well, else what is wrong. */
const char *pkt_check(const unsigned char *b, size_t n);
uint16_t pkt_sum(const void *b, size_t n, uint32_t seed); /* ones' complement, folded, not inverted */
