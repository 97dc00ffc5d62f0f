/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/harness/packet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void broken(const char *what)
{
	fprintf(stderr, "packet: %s\n", what);
	abort();
}

static void put16(unsigned char *b, uint32_t v)
{
	b[0] = (unsigned char)(v >> 8);
	b[1] = (unsigned char)v;
}

static void put32(unsigned char *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b + 2, v);
}

static uint32_t get16(const unsigned char *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}

void pkt_init(struct pkt *p)
{
	memset(p, 0, sizeof(*p));
}

/* Room for n zeroed bytes at the end. */
static unsigned char *grow(struct pkt *p, size_t n)
{
	unsigned char *at = p->b + p->len;

	if (n > PKT_MAX - p->len)
		broken("frame too long");
	memset(at, 0, n);
	p->len += n;
	return at;
}

void pkt_put(struct pkt *p, const void *bytes, size_t n)
{
	memcpy(grow(p, n), bytes, n);
}

void pkt_data(struct pkt *p, size_t n)
{
	unsigned char *at = grow(p, n);

	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)(1 + i % 251);
}

static void say_next(struct pkt *p, uint16_t ethertype, uint8_t proto)
{
	if (!p->next_at)
		return;
	if (p->next_wide)
		put16(p->b + p->next_at, ethertype);
	else
		p->b[p->next_at] = proto;
	p->next_at = 0;
}

static void want_next(struct pkt *p, size_t at, bool wide)
{
	p->next_at = at;
	p->next_wide = wide;
}

void pkt_eth(struct pkt *p, const uint8_t src[6], const uint8_t dst[6])
{
	unsigned char *h;

	if (!p->nip)
		pkt_init(p);
	h = grow(p, 14);
	memcpy(h, dst, 6);
	memcpy(h + 6, src, 6);
	want_next(p, (size_t)(h - p->b) + 12, true);
}

void pkt_ethertype(struct pkt *p, uint16_t type)
{
	say_next(p, type, 0);
}

void pkt_vlan(struct pkt *p, uint16_t vid)
{
	say_next(p, 0x8100, 0);
	put16(grow(p, 4), vid);
	want_next(p, p->len - 2, true);
}

static int parse_addr(const char *s, unsigned char out[16])
{
	if (strchr(s, ':')) {
		if (inet_pton(AF_INET6, s, out) != 1)
			broken(s);
		return 6;
	}
	if (inet_pton(AF_INET, s, out) != 1)
		broken(s);
	return 4;
}

void pkt_arp(struct pkt *p, uint16_t op, const uint8_t smac[6], const char *sip, const char *tip)
{
	unsigned char *h, a[16];

	say_next(p, 0x0806, 0);
	h = grow(p, 28);
	put16(h, 1);
	put16(h + 2, 0x0800);
	h[4] = 6;
	h[5] = 4;
	put16(h + 6, op);
	memcpy(h + 8, smac, 6);
	parse_addr(sip, a);
	memcpy(h + 14, a, 4);
	parse_addr(tip, a);
	memcpy(h + 24, a, 4);
}

void pkt_ip(struct pkt *p, const char *src, const char *dst)
{
	unsigned char s[16], d[16], *h;
	int family = parse_addr(src, s);

	if (parse_addr(dst, d) != family || p->nip == PKT_NEST)
		broken("addresses of two families, or nested too deep");
	p->ip[p->nip] = p->len;
	p->l4[p->nip++] = 0;
	if (family == 4) {
		say_next(p, 0x0800, IPPROTO_IPIP);
		h = grow(p, 20);
		h[0] = 0x45;
		h[8] = 64;
		memcpy(h + 12, s, 4);
		memcpy(h + 16, d, 4);
		want_next(p, (size_t)(h - p->b) + 9, false);
	} else {
		say_next(p, 0x86dd, IPPROTO_IPV6);
		h = grow(p, 40);
		h[0] = 0x60;
		h[6] = IPPROTO_NONE;
		h[7] = 64;
		memcpy(h + 8, s, 16);
		memcpy(h + 24, d, 16);
		want_next(p, (size_t)(h - p->b) + 6, false);
	}
}

static unsigned char *last_ip(struct pkt *p)
{
	if (!p->nip)
		broken("no IP header");
	return p->b + p->ip[p->nip - 1];
}

static bool is6(struct pkt *p)
{
	return last_ip(p)[0] >> 4 == 6;
}

void pkt_hops(struct pkt *p, uint8_t hops)
{
	last_ip(p)[is6(p) ? 7 : 8] = hops;
}

void pkt_proto(struct pkt *p, uint8_t proto)
{
	say_next(p, 0, proto);
}

void pkt_ip4_options(struct pkt *p, const void *bytes, size_t n)
{
	pkt_put(p, bytes, n);
	last_ip(p)[0] = (unsigned char)(0x40 | (5 + n / 4));
}

void pkt_frag(struct pkt *p, uint32_t id, uint32_t off, bool more)
{
	unsigned char *h = last_ip(p);

	if (!is6(p)) {
		put16(h + 4, id);
		put16(h + 6, off / 8 | (more ? 0x2000u : 0));
		return;
	}
	say_next(p, 0, IPPROTO_FRAGMENT);
	h = grow(p, 8);
	put16(h + 2, (off & 0xfff8u) | more);
	put32(h + 4, id);
	want_next(p, (size_t)(h - p->b), false);
}

void pkt_ext(struct pkt *p, uint8_t kind, unsigned n)
{
	size_t size = kind == IPPROTO_AH ? n * 4 : n * 8;
	unsigned char *h;

	say_next(p, 0, kind);
	h = grow(p, size);
	h[1] = (unsigned char)(kind == IPPROTO_AH ? n - 2 : n - 1);
	if (kind == IPPROTO_HOPOPTS || kind == IPPROTO_DSTOPTS) {
		for (size_t at = 2; at < size;) { /* PadN, of up to 255 bytes each */
			size_t k = size - at - 2 > 255 ? 255 : size - at - 2;

			h[at] = 1;
			h[at + 1] = (unsigned char)k;
			at += 2 + k;
			if (size - at == 1)
				at++; /* Pad1 is a zero */
		}
	} else if (kind == IPPROTO_ROUTING) {
		h[2] = 253; /* a type of no meaning, no segments left */
	}
	want_next(p, (size_t)(h - p->b), false);
}

static unsigned char *transport(struct pkt *p, uint8_t proto, size_t n)
{
	say_next(p, 0, proto);
	if (p->nip) {
		p->l4[p->nip - 1] = p->len;
		p->l4_proto[p->nip - 1] = proto;
	}
	return grow(p, n);
}

void pkt_tcp(struct pkt *p, uint16_t sport, uint16_t dport, uint8_t flags)
{
	unsigned char *h = transport(p, IPPROTO_TCP, 20);

	put16(h, sport);
	put16(h + 2, dport);
	put32(h + 4, 1000);
	put32(h + 8, flags & PKT_ACK ? 2000 : 0);
	h[12] = 5 << 4;
	h[13] = flags;
	put16(h + 14, 65535);
}

void pkt_udp(struct pkt *p, uint16_t sport, uint16_t dport)
{
	unsigned char *h = transport(p, IPPROTO_UDP, 8);

	put16(h, sport);
	put16(h + 2, dport);
}

void pkt_sctp(struct pkt *p, uint16_t sport, uint16_t dport, uint8_t chunk)
{
	unsigned char *h = transport(p, IPPROTO_SCTP, 16);

	put16(h, sport);
	put16(h + 2, dport);
	put32(h + 4, 77);
	h[12] = chunk;
	put16(h + 14, 4);
}

void pkt_icmp(struct pkt *p, uint8_t type, uint8_t code, uint32_t rest)
{
	unsigned char *h = transport(p, is6(p) ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 8);

	h[0] = type;
	h[1] = code;
	put32(h + 4, rest);
}

void pkt_nd(struct pkt *p, uint8_t type, const char *target, const uint8_t lladdr[6])
{
	unsigned char a[16], opt[8] = { type == 135 ? 1 : 2, 1 };

	pkt_icmp(p, type, 0, type == 136 ? 0x60000000 : 0);
	if (target) {
		parse_addr(target, a);
		pkt_put(p, a, 16);
	}
	memcpy(opt + 2, lladdr, 6);
	pkt_put(p, opt, 8);
}

void pkt_vxlan(struct pkt *p, uint32_t vni)
{
	unsigned char *h = grow(p, 8);

	h[0] = 8;
	put32(h + 4, vni << 8);
}

void pkt_append(struct pkt *p, const struct pkt *inner, size_t from, size_t n)
{
	if (from > inner->len)
		broken("append from beyond the end");
	pkt_put(p, inner->b + from, n < inner->len - from ? n : inner->len - from);
}

uint16_t pkt_sum(const void *b, size_t n, uint32_t seed)
{
	const unsigned char *c = b;
	uint64_t s = seed;

	for (size_t i = 0; i + 1 < n; i += 2)
		s += get16(c + i);
	if (n & 1)
		s += (uint32_t)c[n - 1] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

/* Sum of the pseudo-header. */
static uint32_t pseudo(const unsigned char *ip, uint8_t proto, size_t n)
{
	if (ip[0] >> 4 == 6)
		return pkt_sum(ip + 8, 32, (uint32_t)n + proto);
	return pkt_sum(ip + 12, 8, (uint32_t)n + proto);
}

static int sum_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP: return 16;
	case IPPROTO_UDP: return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: return 2;
	default: return -1;
	}
}

void pkt_finish(struct pkt *p)
{
	for (unsigned k = p->nip; k-- > 0;) { /* inner ones first: outer sums cover them */
		unsigned char *ip = p->b + p->ip[k], *t = p->l4[k] ? p->b + p->l4[k] : NULL;
		bool v6 = ip[0] >> 4 == 6;
		size_t n = p->len - p->l4[k];
		uint8_t proto = p->l4_proto[k];
		uint16_t s;
		int at;

		if (v6) {
			put16(ip + 4, (uint32_t)(p->len - p->ip[k] - 40));
		} else {
			put16(ip + 2, (uint32_t)(p->len - p->ip[k]));
			put16(ip + 10, 0);
			put16(ip + 10, (uint16_t)~pkt_sum(ip, (ip[0] & 15u) * 4, 0));
		}
		if (!t)
			continue;
		if (proto == IPPROTO_UDP)
			put16(t + 4, (uint32_t)n);
		at = sum_at(proto);
		if (at < 0)
			continue;
		put16(t + at, 0);
		s = (uint16_t)~pkt_sum(t, n, proto == IPPROTO_ICMP ? 0 : pseudo(ip, proto, n));
		put16(t + at, proto == IPPROTO_UDP && !s ? 0xffff : s);
	}
}

const char *pkt_check(const unsigned char *b, size_t n)
{
	const unsigned char *ip = b + 14, *t;
	size_t len;
	uint8_t proto;

	if (n < 34)
		return "too short";
	if (get16(b + 12) == 0x0800) {
		len = get16(ip + 2);
		if (ip[0] != 0x45 || len < 20 || len > n - 14)
			return "IPv4 header or length";
		if (pkt_sum(ip, 20, 0) != 0xffff)
			return "IPv4 checksum";
		proto = ip[9];
		t = ip + 20;
		len -= 20;
	} else if (get16(b + 12) == 0x86dd) {
		if (n < 54 || ip[0] >> 4 != 6)
			return "IPv6 header";
		len = get16(ip + 4);
		if (len > n - 54)
			return "IPv6 length";
		proto = ip[6];
		t = ip + 40;
	} else {
		return "ethertype";
	}
	if (sum_at(proto) < 0)
		return "protocol";
	if (len < 8 || (proto == IPPROTO_TCP && (len < 20 || (t[12] >> 4) * 4u > len)))
		return "transport length";
	if (pkt_sum(t, len, proto == IPPROTO_ICMP ? 0 : pseudo(ip, proto, len)) != 0xffff)
		return "transport checksum";
	return NULL;
}
