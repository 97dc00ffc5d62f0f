/* SPDX-License-Identifier: Apache-2.0 */
/* test_parse.c - mirrors bpf/parse.h: the data path's source, compiled for the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "selftests/harness/packet.h"
#include "selftests/unit/bpf/host_parse.h"

static const uint8_t A[6] = { 2, 0, 0, 0, 0, 1 }, B[6] = { 2, 0, 0, 0, 0, 2 };
static const char *const S4 = "10.0.1.1", *const D4 = "10.0.2.2";
static const char *const S6 = "fd00::1:1", *const D6 = "fd00::2:2";

/* Parses n bytes of the frame from a buffer of exactly that size. */
static uint32_t parse_n(const struct pkt *k, size_t n, bool gso, struct cw_pkt *p)
{
	auto_free unsigned char *b = malloc(n ? n : 1);
	struct host_frame f = { .b = b, .len = (uint32_t)n, .gso = gso };
	uint32_t r;

	assert_non_null(b);
	memcpy(b, k->b, n);
	memset(p, 0, sizeof(*p));
	r = cw_parse(&f, p);
	assert_false(f.beyond);
	return r;
}

static uint32_t parse(const struct pkt *k, struct cw_pkt *p)
{
	return parse_n(k, k->len, false, p);
}

static int parse_inner(const struct pkt *k, struct cw_pkt *q)
{
	struct host_frame f = { .b = k->b, .len = (uint32_t)k->len };
	struct cw_pkt p = {};

	assert_int_equal(cw_parse(&f, &p), CW_R_NONE);
	assert_true(p.icmp_error);
	memset(q, 0, sizeof(*q));
	return cw_parse_inner(&f, &p, q);
}

static void begin(struct pkt *k, bool v6)
{
	pkt_init(k);
	pkt_eth(k, A, B);
	pkt_ip(k, v6 ? S6 : S4, v6 ? D6 : D4);
}

static void put8(struct pkt *k, size_t at, unsigned v)
{
	k->b[at] = (unsigned char)v;
}

static void put16(struct pkt *k, size_t at, unsigned v)
{
	put8(k, at, v >> 8);
	put8(k, at + 1, v & 0xff);
}

/* ---- what plain packets are ------------------------------------------------------------ */

static void plain(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint8_t proto, type, code;
		uint16_t sport, dport;
		bool v6, error, query;
	} t[] = {
		{ "tcp", 6, 0, 0, 40000, 443, false, false, false },
		{ "udp", 17, 0, 0, 40000, 53, false, false, false },
		{ "sctp", 132, 0, 0, 40000, 3868, false, false, false },
		{ "echo request", 1, 8, 0, 7, 0x800, false, false, true },
		{ "echo reply", 1, 0, 0, 0x800, 7, false, false, true },
		{ "timestamp", 1, 13, 0, 7, 0xd00, false, false, true },
		{ "timestamp reply", 1, 14, 0, 0xd00, 7, false, false, true },
		{ "address mask reply", 1, 18, 0, 0x1100, 7, false, false, true },
		{ "unreachable", 1, 3, 4, 0, 0x304, false, true, false },
		{ "source quench", 1, 4, 0, 0, 0x400, false, true, false },
		{ "redirect", 1, 5, 1, 0, 0x501, false, false, false },
		{ "router advertisement", 1, 9, 0, 0, 0x900, false, false, false },
		{ "time exceeded", 1, 11, 1, 0, 0xb01, false, true, false },
		{ "parameter problem", 1, 12, 0, 0, 0xc00, false, true, false },
		{ "tcp6", 6, 0, 0, 40000, 443, true, false, false },
		{ "udp6", 17, 0, 0, 40000, 53, true, false, false },
		{ "sctp6", 132, 0, 0, 40000, 3868, true, false, false },
		{ "echo request 6", 58, 128, 0, 7, 0x8000, true, false, true },
		{ "echo reply 6", 58, 129, 0, 0x8000, 7, true, false, true },
		{ "unreachable 6", 58, 1, 4, 0, 0x104, true, true, false },
		{ "too big", 58, 2, 0, 0, 0x200, true, true, false },
		{ "time exceeded 6", 58, 3, 0, 0, 0x300, true, true, false },
		{ "parameter problem 6", 58, 4, 2, 0, 0x402, true, true, false },
		{ "router advertisement 6", 58, 134, 0, 0, 0x8600, true, false, false },
		{ "neighbour advertisement", 58, 136, 0, 0, 0x8800, true, false, false },
		{ "mld report", 58, 143, 0, 0, 0x8f00, true, false, false },
		{ "gre", 47, 0, 0, 0, 0, false, false, false },
		{ "esp", 50, 0, 0, 0, 0, true, false, false },
		{ "icmp in ipv6", 1, 0, 0, 0, 0, true, false, false },
		{ "icmpv6 in ipv4", 58, 0, 0, 0, 0, false, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cw_pkt p;
		struct pkt k;

		print_message("  %s\n", t[i].name);
		begin(&k, t[i].v6);
		if (t[i].proto == 6)
			pkt_tcp(&k, t[i].sport, t[i].dport, PKT_SYN);
		else if (t[i].proto == 17)
			pkt_udp(&k, t[i].sport, t[i].dport);
		else if (t[i].proto == 132)
			pkt_sctp(&k, t[i].sport, t[i].dport, 1);
		else if (t[i].type || t[i].query)
			pkt_icmp(&k, t[i].type, t[i].code, 7 << 16 | 1);
		else
			pkt_proto(&k, t[i].proto);
		pkt_data(&k, 32);
		pkt_finish(&k);
		assert_int_equal(parse(&k, &p), CW_R_NONE);
		assert_int_equal(p.family, t[i].v6 ? 6 : 4);
		assert_int_equal(p.proto, t[i].proto);
		assert_int_equal(p.sport, t[i].sport);
		assert_int_equal(p.dport, t[i].dport);
		assert_int_equal(p.icmp_error, t[i].error);
		assert_int_equal(p.icmp_query, t[i].query);
		assert_int_equal(p.icmp_type, t[i].type);
		assert_int_equal(p.icmp_code, t[i].code);
		assert_int_equal(p.frag, CW_FRAG_NONE);
		assert_int_equal(p.hop_limit, 64);
		assert_memory_equal(p.smac, A, 6);
		assert_memory_equal(p.dmac, B, 6);
		assert_int_equal(p.tcp_flags, t[i].proto == 6 ? PKT_SYN : 0);
		assert_int_equal(p.l4, t[i].v6 ? 54 : 34);
	}
}

static void addresses(void **state)
{
	static const uint32_t want[4] = { 0, 0, 0xffff0000, 0 };
	struct cw_pkt p;
	struct pkt k;

	(void)state;
	begin(&k, false);
	pkt_udp(&k, 1, 2);
	pkt_finish(&k);
	assert_int_equal(parse(&k, &p), CW_R_NONE);
	assert_memory_equal(p.saddr, want, 12);
	assert_int_equal(p.saddr[3], inet_addr(S4));
	assert_int_equal(p.daddr[3], inet_addr(D4));
	assert_true(cw_addr_eq(p.saddr, p.saddr));
	assert_false(cw_addr_eq(p.saddr, p.daddr));
}

static void multicast(void **state)
{
	static const struct { const char *a; bool many; } t[] = {
		{ "224.0.0.1", true }, { "239.255.255.255", true }, { "255.255.255.255", true },
		{ "223.255.255.255", false }, { "240.0.0.1", false }, { "ff02::1", true }, { "fe80::1", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		bool v6 = strchr(t[i].a, ':');
		struct cw_pkt p;
		struct pkt k;

		pkt_init(&k);
		pkt_eth(&k, A, B);
		pkt_ip(&k, v6 ? S6 : S4, t[i].a);
		pkt_udp(&k, 1, 2);
		pkt_finish(&k);
		assert_int_equal(parse(&k, &p), CW_R_NONE);
		assert_int_equal(!!cw_addr_is_multicast(p.daddr, p.family), t[i].many);
	}
}

/* ---- Ethernet --------------------------------------------------------------------------- */

static void ethernet(void **state)
{
	static const struct { uint16_t type; uint32_t want; } t[] = {
		{ 0x0806, CW_R_NONE },
		{ 0x8100, CW_R_ETHERTYPE }, { 0x88a8, CW_R_ETHERTYPE }, { 0x9100, CW_R_ETHERTYPE },
		{ 0x8137, CW_R_ETHERTYPE }, /* IPX */
		{ 0x8863, CW_R_ETHERTYPE }, { 0x8864, CW_R_ETHERTYPE }, /* PPPoE */
		{ 0x0026, CW_R_ETHERTYPE }, /* 802.3 length */
		{ 0x88cc, CW_R_ETHERTYPE }, { 0x8847, CW_R_ETHERTYPE }, { 0, CW_R_ETHERTYPE },
		{ 0xffff, CW_R_ETHERTYPE },
	};
	struct cw_pkt p;
	struct pkt k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		pkt_init(&k);
		pkt_eth(&k, A, B);
		pkt_ethertype(&k, t[i].type);
		pkt_data(&k, 46);
		assert_int_equal(parse(&k, &p), t[i].want);
		assert_int_equal(p.ethertype, t[i].type);
		assert_int_equal(p.family, 0);
	}
	/* An IPv4 packet behind a tag is not read as one. */
	pkt_init(&k);
	pkt_eth(&k, A, B);
	pkt_vlan(&k, 5);
	pkt_ip(&k, S4, D4);
	pkt_udp(&k, 1, 2);
	pkt_finish(&k);
	assert_int_equal(parse(&k, &p), CW_R_ETHERTYPE);
	assert_int_equal(p.family, 0);
	for (size_t n = 0; n < CW_ETH_LEN; n++)
		assert_int_equal(parse_n(&k, n, false, &p), CW_R_MALFORMED);
}

/* ---- IPv4 header -------------------------------------------------------------------------- */

static void ip4_header(void **state)
{
	static const struct {
		const char *name;
		size_t at;
		unsigned v; /* 16 bits at that offset of the IP header */
		uint32_t want;
	} t[] = {
		{ "version 5", 0, 0x5500, CW_R_MALFORMED },
		{ "version 6 under IPv4's ethertype", 0, 0x6500, CW_R_MALFORMED },
		{ "IHL 0", 0, 0x4000, CW_R_MALFORMED },
		{ "IHL 4", 0, 0x4400, CW_R_MALFORMED },
		{ "length 0", 2, 0, CW_R_MALFORMED },
		{ "length shorter than the header", 2, 19, CW_R_MALFORMED },
		{ "length without transport", 2, 20, CW_R_MALFORMED },
		{ "length within the transport header", 2, 39, CW_R_MALFORMED },
		{ "length of the headers exactly", 2, 40, CW_R_NONE },
		{ "length larger than the frame", 2, 51, CW_R_MALFORMED },
		{ "length 65535", 2, 65535, CW_R_MALFORMED },
		{ "DF", 6, 0x4000, CW_R_NONE },
		{ "reserved flag", 6, 0x8000, CW_R_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cw_pkt p;
		struct pkt k;

		print_message("  %s\n", t[i].name);
		begin(&k, false);
		pkt_tcp(&k, 1, 2, PKT_ACK);
		pkt_data(&k, 10);
		pkt_finish(&k);
		put16(&k, 14 + t[i].at, t[i].v);
		assert_int_equal(parse(&k, &p), t[i].want);
	}
}

/* Padding behind the IP packet is not part of it (minimum-size frames). */
static void ip4_padding(void **state)
{
	struct cw_pkt p;
	struct pkt k;

	(void)state;
	begin(&k, false);
	pkt_udp(&k, 5, 6);
	pkt_finish(&k);
	pkt_data(&k, 18);
	assert_int_equal(k.len, 60);
	assert_int_equal(parse(&k, &p), CW_R_NONE);
	put16(&k, 16, 27); /* the UDP header would need a byte of padding */
	assert_int_equal(parse(&k, &p), CW_R_MALFORMED);
	/* A segmented packet larger than the field can say has length 0. */
	put16(&k, 16, 0);
	assert_int_equal(parse_n(&k, k.len, true, &p), CW_R_NONE);
	assert_int_equal(p.dport, 6);
}

static void ip4_options(void **state)
{
	static const struct {
		const char *name;
		unsigned char b[40];
		size_t n;
		uint32_t want;
	} t[] = {
		{ "router alert", { 148, 4, 0, 0 }, 4, CW_R_NONE },
		{ "nops", { 1, 1, 1, 1 }, 4, CW_R_NONE },
		{ "40 nops", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			       1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, 40, CW_R_NONE },
		{ "record route", { 7, 7, 4, 0, 0, 0, 0, 0 }, 8, CW_R_NONE },
		{ "end of list, then rubbish", { 0, 131, 3, 4 }, 4, CW_R_NONE },
		{ "loose source route", { 131, 7, 4, 10, 0, 0, 9, 0 }, 8, CW_R_SOURCE_ROUTE },
		{ "strict source route", { 137, 7, 4, 10, 0, 0, 9, 0 }, 8, CW_R_SOURCE_ROUTE },
		{ "source route behind others", { 1, 148, 4, 0, 0, 131, 3, 4 }, 8, CW_R_SOURCE_ROUTE },
		{ "source route as the last byte", { 1, 1, 1, 131 }, 4, CW_R_SOURCE_ROUTE },
		{ "length 0", { 148, 0, 0, 0 }, 4, CW_R_MALFORMED },
		{ "length 1", { 148, 1, 0, 0 }, 4, CW_R_MALFORMED },
		{ "beyond the header", { 148, 5, 0, 0 }, 4, CW_R_MALFORMED },
		{ "no room for a length", { 1, 1, 1, 148 }, 4, CW_R_MALFORMED },
		{ "255 long", { 148, 255, 0, 0 }, 4, CW_R_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cw_pkt p;
		struct pkt k;

		print_message("  %s\n", t[i].name);
		begin(&k, false);
		pkt_ip4_options(&k, t[i].b, t[i].n);
		pkt_tcp(&k, 1234, 443, PKT_SYN);
		pkt_finish(&k);
		assert_int_equal(parse(&k, &p), t[i].want);
		if (t[i].want)
			continue;
		/* The ports are behind the options, not 20 bytes in. */
		assert_int_equal(p.sport, 1234);
		assert_int_equal(p.dport, 443);
		assert_int_equal(p.l4, 34 + t[i].n);
		put16(&k, 16, (unsigned)(20 + t[i].n + 19));
		assert_int_equal(parse(&k, &p), CW_R_MALFORMED);
	}
}

/* ---- fragments ------------------------------------------------------------------------------ */

static void fragments(void **state)
{
	static const struct {
		const char *name;
		bool v6;
		uint8_t proto;
		uint32_t off;
		bool more;
		size_t data; /* bytes of IP payload */
		uint32_t want;
		uint8_t frag;
	} t[] = {
		{ "first", false, 17, 0, true, 64, CW_R_NONE, CW_FRAG_FIRST },
		{ "middle", false, 17, 64, true, 64, CW_R_NONE, CW_FRAG_LATER },
		{ "last", false, 17, 128, false, 3, CW_R_NONE, CW_FRAG_LATER },
		{ "first, TCP header whole", false, 6, 0, true, 24, CW_R_NONE, CW_FRAG_FIRST },
		{ "tiny first, TCP", false, 6, 0, true, 16, CW_R_FRAG_BAD, CW_FRAG_FIRST },
		{ "tiny first, 8 bytes of TCP", false, 6, 0, true, 8, CW_R_FRAG_BAD, CW_FRAG_FIRST },
		{ "first, UDP header whole", false, 17, 0, true, 8, CW_R_NONE, CW_FRAG_FIRST },
		{ "tiny first, SCTP", false, 132, 0, true, 8, CW_R_FRAG_BAD, CW_FRAG_FIRST },
		{ "ICMP first", false, 1, 0, true, 64, CW_R_NONE, CW_FRAG_FIRST },
		{ "empty first", false, 17, 0, true, 0, CW_R_FRAG_BAD, CW_FRAG_FIRST },
		{ "over the TCP flags", false, 6, 8, true, 64, CW_R_FRAG_BAD, CW_FRAG_LATER },
		{ "over the TCP checksum", false, 6, 16, true, 64, CW_R_FRAG_BAD, CW_FRAG_LATER },
		{ "just behind the TCP header", false, 6, 24, true, 64, CW_R_NONE, CW_FRAG_LATER },
		{ "behind the UDP header", false, 17, 8, true, 64, CW_R_NONE, CW_FRAG_LATER },
		{ "more, not a multiple of 8", false, 17, 64, true, 63, CW_R_FRAG_BAD, CW_FRAG_LATER },
		{ "up to the end", false, 17, 65512, false, 3, CW_R_NONE, CW_FRAG_LATER },
		{ "beyond 65535 with its header", false, 17, 65512, false, 4, CW_R_FRAG_BAD, CW_FRAG_LATER },
		{ "far beyond 65535", false, 1, 65528, false, 600, CW_R_FRAG_BAD, CW_FRAG_LATER },
		{ "first 6", true, 17, 0, true, 64, CW_R_NONE, CW_FRAG_FIRST },
		{ "middle 6", true, 17, 64, true, 64, CW_R_NONE, CW_FRAG_LATER },
		{ "last 6", true, 17, 128, false, 3, CW_R_NONE, CW_FRAG_LATER },
		{ "atomic 6", true, 17, 0, false, 65, CW_R_NONE, CW_FRAG_NONE },
		{ "atomic TCP 6", true, 6, 0, false, 65, CW_R_NONE, CW_FRAG_NONE },
		{ "tiny first, TCP 6", true, 6, 0, true, 16, CW_R_FRAG_BAD, CW_FRAG_FIRST },
		{ "over the TCP flags 6", true, 6, 8, true, 64, CW_R_FRAG_BAD, CW_FRAG_LATER },
		{ "over the TCP checksum 6", true, 6, 16, true, 64, CW_R_FRAG_BAD, CW_FRAG_LATER },
		{ "not a multiple of 8, 6", true, 17, 64, true, 63, CW_R_FRAG_BAD, CW_FRAG_LATER },
		{ "up to 65535, 6", true, 17, 65528, false, 7, CW_R_NONE, CW_FRAG_LATER },
		{ "beyond 65535, 6", true, 17, 65528, false, 8, CW_R_FRAG_BAD, CW_FRAG_LATER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		size_t l4 = 0;
		struct cw_pkt p;
		struct pkt k;

		print_message("  %s\n", t[i].name);
		begin(&k, t[i].v6);
		pkt_frag(&k, 0x1234, t[i].off, t[i].more);
		pkt_proto(&k, t[i].proto);
		l4 = k.len;
		pkt_data(&k, t[i].data);
		if (t[i].proto == 6 && t[i].data > 13) {
			put8(&k, l4 + 12, 5 << 4);
			put8(&k, l4 + 13, PKT_SYN);
		}
		if (t[i].proto == 1)
			put8(&k, l4, 8);
		pkt_finish(&k);
		assert_int_equal(parse(&k, &p), t[i].want);
		assert_int_equal(p.frag, t[i].frag);
		if (t[i].want || !p.frag)
			continue;
		assert_int_equal(p.frag_id, t[i].v6 ? 0x1234 : htons(0x1234));
		assert_int_equal(p.proto, t[i].proto);
		if (p.frag == CW_FRAG_LATER) { /* no ports, even if the bytes look like some */
			assert_int_equal(p.sport, 0);
			assert_int_equal(p.dport, 0);
		} else {
			assert_int_not_equal(p.sport, 0);
		}
	}
}

static void fragment_of_fragment(void **state)
{
	struct cw_pkt p;
	struct pkt k;

	(void)state;
	begin(&k, true);
	pkt_frag(&k, 1, 0, true);
	pkt_frag(&k, 1, 0, true);
	pkt_udp(&k, 1, 2);
	pkt_finish(&k);
	assert_int_equal(parse(&k, &p), CW_R_FRAG_BAD);
}

/* ---- IPv6 extension headers -------------------------------------------------------------------- */

static void extensions(void **state)
{
	enum { HOP = 0, RTG = 43, DST = 60, AH = 51 };
	static const struct {
		const char *name;
		struct { uint8_t kind; uint8_t n; } e[10];
		unsigned ne;
		uint32_t want;
	} t[] = {
		{ "hop-by-hop", { { HOP, 1 } }, 1, CW_R_NONE },
		{ "hop-by-hop of 16", { { HOP, 2 } }, 1, CW_R_NONE },
		{ "destination", { { DST, 1 } }, 1, CW_R_NONE },
		{ "destination of 64", { { DST, 8 } }, 1, CW_R_NONE },
		{ "routing", { { RTG, 3 } }, 1, CW_R_NONE },
		{ "AH of 12", { { AH, 3 } }, 1, CW_R_NONE },
		{ "AH of 24", { { AH, 6 } }, 1, CW_R_NONE },
		{ "AH behind hop-by-hop", { { HOP, 1 }, { AH, 6 } }, 2, CW_R_NONE },
		{ "all", { { HOP, 1 }, { DST, 1 }, { RTG, 2 }, { AH, 6 }, { DST, 2 } }, 5, CW_R_NONE },
		{ "eight", { { DST, 1 }, { DST, 1 }, { DST, 1 }, { DST, 1 }, { DST, 1 }, { DST, 1 }, { DST, 1 },
			     { DST, 1 } }, 8, CW_R_NONE },
		{ "nine", { { DST, 1 }, { DST, 1 }, { DST, 1 }, { DST, 1 }, { DST, 1 }, { DST, 1 }, { DST, 1 },
			    { DST, 1 }, { DST, 1 } }, 9, CW_R_EXT_HEADERS },
		{ "512 bytes", { { DST, 64 } }, 1, CW_R_NONE },
		{ "520 bytes", { { DST, 65 } }, 1, CW_R_EXT_HEADERS },
		{ "520 bytes in two", { { DST, 32 }, { DST, 33 } }, 2, CW_R_EXT_HEADERS },
		{ "hop-by-hop second", { { DST, 1 }, { HOP, 1 } }, 2, CW_R_EXT_HEADERS },
		{ "hop-by-hop twice", { { HOP, 1 }, { HOP, 1 } }, 2, CW_R_EXT_HEADERS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		for (int proto = 0; proto < 3; proto++) {
			size_t l4;
			struct cw_pkt p;
			struct pkt k;

			print_message("  %s\n", t[i].name);
			begin(&k, true);
			for (unsigned e = 0; e < t[i].ne; e++)
				pkt_ext(&k, t[i].e[e].kind, t[i].e[e].n);
			l4 = k.len;
			if (proto == 0)
				pkt_tcp(&k, 1234, 443, PKT_SYN);
			else if (proto == 1)
				pkt_udp(&k, 1234, 443);
			else
				pkt_sctp(&k, 1234, 443, 1);
			pkt_finish(&k);
			assert_int_equal(parse(&k, &p), t[i].want);
			if (t[i].want)
				continue;
			assert_int_equal(p.l4, l4);
			assert_int_equal(p.proto, proto == 0 ? 6 : proto == 1 ? 17 : 132);
			assert_int_equal(p.sport, 1234);
			assert_int_equal(p.dport, 443);
		}
	}
}

static void extension_ends(void **state)
{
	struct cw_pkt p;
	struct pkt k;

	(void)state;
	/* No next header: nothing behind it is read. */
	begin(&k, true);
	pkt_ext(&k, 60, 1);
	pkt_proto(&k, 59);
	pkt_data(&k, 20);
	pkt_finish(&k);
	assert_int_equal(parse(&k, &p), CW_R_NONE);
	assert_int_equal(p.proto, 59);
	assert_int_equal(p.sport, 0);
	/* An empty payload. */
	begin(&k, true);
	pkt_finish(&k);
	assert_int_equal(parse(&k, &p), CW_R_NONE);
	assert_int_equal(p.proto, 59);
	/* ESP ends parsing. */
	begin(&k, true);
	pkt_ext(&k, 0, 1);
	pkt_proto(&k, 50);
	pkt_data(&k, 20);
	pkt_finish(&k);
	assert_int_equal(parse(&k, &p), CW_R_NONE);
	assert_int_equal(p.proto, 50);
	/* A header that says it is longer than the packet. */
	begin(&k, true);
	pkt_ext(&k, 60, 1);
	pkt_udp(&k, 1, 2);
	pkt_finish(&k);
	put8(&k, 55, 3);
	assert_int_equal(parse(&k, &p), CW_R_MALFORMED);
	/* A later fragment may carry any header; its number is told. */
	begin(&k, true);
	pkt_frag(&k, 9, 800, false);
	pkt_proto(&k, 60);
	pkt_data(&k, 5);
	pkt_finish(&k);
	assert_int_equal(parse(&k, &p), CW_R_NONE);
	assert_int_equal(p.frag, CW_FRAG_LATER);
	/* First fragment with a chain behind the fragment header. */
	begin(&k, true);
	pkt_frag(&k, 9, 0, true);
	pkt_ext(&k, 60, 1);
	pkt_udp(&k, 7, 8);
	pkt_finish(&k);
	assert_int_equal(parse(&k, &p), CW_R_NONE);
	assert_int_equal(p.frag, CW_FRAG_FIRST);
	assert_int_equal(p.dport, 8);
}

static void routing_header(void **state)
{
	static const struct { uint8_t type, left; uint32_t want; } t[] = {
		{ 0, 0, CW_R_SOURCE_ROUTE }, { 0, 1, CW_R_SOURCE_ROUTE }, { 2, 0, CW_R_NONE },
		{ 2, 1, CW_R_SOURCE_ROUTE }, { 4, 0, CW_R_NONE }, { 4, 2, CW_R_SOURCE_ROUTE },
		{ 253, 0, CW_R_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cw_pkt p;
		struct pkt k;

		begin(&k, true);
		pkt_ext(&k, 43, 3);
		put8(&k, 56, t[i].type);
		put8(&k, 57, t[i].left);
		pkt_udp(&k, 1, 2);
		pkt_finish(&k);
		assert_int_equal(parse(&k, &p), t[i].want);
	}
}

static void ip6_header(void **state)
{
	static const struct { const char *src, *dst; uint32_t want; } t[] = {
		{ "::ffff:10.0.1.1", "fd00::1", CW_R_MALFORMED },
		{ "fd00::1", "::ffff:10.0.1.1", CW_R_MALFORMED },
		{ "::1", "fd00::1", CW_R_NONE }, { "::", "ff02::1", CW_R_NONE },
		{ "64:ff9b::10.0.1.1", "fd00::1", CW_R_NONE },
		{ "::10.0.1.1", "fd00::1", CW_R_NONE }, /* compatible, not mapped: no IPv4 identity */
	};
	struct cw_pkt p;
	struct pkt k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		pkt_init(&k);
		pkt_eth(&k, A, B);
		pkt_ip(&k, t[i].src, t[i].dst);
		pkt_udp(&k, 1, 2);
		pkt_finish(&k);
		assert_int_equal(parse(&k, &p), t[i].want);
	}
	begin(&k, true);
	pkt_udp(&k, 1, 2);
	pkt_finish(&k);
	put8(&k, 14, 0x45);
	assert_int_equal(parse(&k, &p), CW_R_MALFORMED);
	put8(&k, 14, 0x60);
	put16(&k, 18, 9); /* larger than the frame */
	assert_int_equal(parse(&k, &p), CW_R_MALFORMED);
	put16(&k, 18, 7); /* shorter than UDP */
	assert_int_equal(parse(&k, &p), CW_R_MALFORMED);
	put16(&k, 18, 0);
	assert_int_equal(parse(&k, &p), CW_R_MALFORMED);
	assert_int_equal(parse_n(&k, k.len, true, &p), CW_R_NONE);
}

/* ---- TCP ------------------------------------------------------------------------------------------ */

static void tcp(void **state)
{
	static const struct { const char *name; uint8_t flags, doff; uint32_t want; } t[] = {
		{ "syn", PKT_SYN, 5, CW_R_NONE }, { "syn, ecn", PKT_SYN | 0xc0, 5, CW_R_NONE },
		{ "syn-ack", PKT_SYN | PKT_ACK, 5, CW_R_NONE }, { "ack", PKT_ACK, 5, CW_R_NONE },
		{ "fin-ack", PKT_FIN | PKT_ACK, 5, CW_R_NONE }, { "rst", PKT_RST, 5, CW_R_NONE },
		{ "rst-ack", PKT_RST | PKT_ACK, 5, CW_R_NONE }, { "syn with data (fast open)", PKT_SYN | PKT_PSH, 5, CW_R_NONE },
		{ "null", 0, 5, CW_R_MALFORMED }, { "ecn only", 0xc0, 5, CW_R_MALFORMED },
		{ "xmas", PKT_FIN | PKT_PSH | PKT_URG, 5, CW_R_MALFORMED },
		{ "bare fin", PKT_FIN, 5, CW_R_MALFORMED }, { "bare push", PKT_PSH, 5, CW_R_MALFORMED },
		{ "syn-fin", PKT_SYN | PKT_FIN, 5, CW_R_MALFORMED }, { "syn-rst", PKT_SYN | PKT_RST, 5, CW_R_MALFORMED },
		{ "all", 0x3f, 5, CW_R_MALFORMED }, { "data offset 4", PKT_SYN, 4, CW_R_MALFORMED },
		{ "data offset 0", PKT_SYN, 0, CW_R_MALFORMED }, { "data offset 6", PKT_SYN, 6, CW_R_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			struct cw_pkt p;
			struct pkt k;

			print_message("  %s\n", t[i].name);
			begin(&k, v6);
			pkt_tcp(&k, 1, 2, t[i].flags);
			put8(&k, k.len - 8, (unsigned)t[i].doff << 4);
			pkt_data(&k, 8);
			pkt_finish(&k);
			assert_int_equal(parse(&k, &p), t[i].want);
		}
	}
}

/* ---- the packet inside an ICMP error ---------------------------------------------------------------- */

static void make_error(struct pkt *k, const struct pkt *inner, size_t n)
{
	bool v6 = inner->b[0] >> 4 == 6;

	pkt_init(k);
	pkt_eth(k, A, B);
	pkt_ip(k, v6 ? "fd00::9" : "10.0.9.9", v6 ? S6 : S4);
	pkt_icmp(k, v6 ? 1 : 3, 1, 0);
	pkt_append(k, inner, 0, n);
	pkt_finish(k);
}

static void inner(void **state)
{
	enum { TCP = 6, UDP = 17, SCTP = 132, ECHO = 1, REDIRECT = 2 };
	static const struct {
		const char *name;
		bool v6;
		int what;
		unsigned opt;	/* bytes of IPv4 options, or one IPv6 extension header */
		uint8_t ext;
		size_t cut;	/* bytes of transport that are left, 0: all */
		int want;
	} t[] = {
		{ "tcp", false, TCP, 0, 0, 0, 0 },
		{ "tcp cut after 8", false, TCP, 0, 0, 8, 0 },
		{ "tcp cut after 7", false, TCP, 0, 0, 7, -1 },
		{ "udp", false, UDP, 0, 0, 8, 0 },
		{ "udp behind options", false, UDP, 8, 0, 8, 0 },
		{ "sctp", false, SCTP, 0, 0, 8, 0 },
		{ "echo", false, ECHO, 0, 0, 8, 0 },
		{ "redirect", false, REDIRECT, 0, 0, 8, 0 },
		{ "tcp6", true, TCP, 0, 0, 8, 0 },
		{ "tcp6 cut", true, TCP, 0, 0, 7, -1 },
		{ "udp6 behind destination options", true, UDP, 0, 60, 8, 0 },
		{ "udp6 behind hop-by-hop", true, UDP, 0, 1, 8, 0 },
		{ "echo6", true, ECHO, 0, 0, 8, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		static const unsigned char nops[40] = { 1, 1, 1, 1, 1, 1, 1, 1 };
		size_t l4;
		struct cw_pkt q;
		struct pkt in, k;

		print_message("  %s\n", t[i].name);
		pkt_init(&in);
		pkt_ip(&in, t[i].v6 ? S6 : S4, t[i].v6 ? D6 : D4);
		if (t[i].opt)
			pkt_ip4_options(&in, nops, t[i].opt);
		if (t[i].ext)
			pkt_ext(&in, t[i].ext == 1 ? 0 : t[i].ext, 1);
		l4 = in.len;
		if (t[i].what == TCP)
			pkt_tcp(&in, 1234, 443, PKT_ACK);
		else if (t[i].what == UDP)
			pkt_udp(&in, 1234, 443);
		else if (t[i].what == SCTP)
			pkt_sctp(&in, 1234, 443, 0);
		else if (t[i].what == ECHO)
			pkt_icmp(&in, t[i].v6 ? 128 : 8, 0, 77 << 16 | 1);
		else
			pkt_icmp(&in, 5, 1, 77 << 16);
		pkt_finish(&in);
		make_error(&k, &in, t[i].cut ? l4 + t[i].cut : in.len);
		assert_int_equal(parse_inner(&k, &q), t[i].want);
		if (t[i].want)
			continue;
		assert_int_equal(q.family, t[i].v6 ? 6 : 4);
		assert_memory_equal(&q.saddr[3], in.b + (t[i].v6 ? 20 : 12), 4);
		assert_memory_equal(&q.daddr[3], in.b + (t[i].v6 ? 36 : 16), 4);
		assert_int_equal(q.sport, t[i].what == ECHO ? 77 : t[i].what == REDIRECT ? 0 : 1234);
		assert_int_equal(q.dport, t[i].what == ECHO ? (t[i].v6 ? 0x8000 : 0x800) :
				 t[i].what == REDIRECT ? 0x501 : 443);
	}
}

static void inner_refused(void **state)
{
	struct cw_pkt q;
	struct pkt in, k;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		/* about a later fragment: no ports to find a flow by */
		pkt_init(&in);
		pkt_ip(&in, v6 ? S6 : S4, v6 ? D6 : D4);
		pkt_frag(&in, 1, 64, true);
		pkt_proto(&in, 17);
		pkt_data(&in, 64);
		pkt_finish(&in);
		make_error(&k, &in, in.len);
		assert_int_equal(parse_inner(&k, &q), -1);
		/* about a first one: found */
		pkt_init(&in);
		pkt_ip(&in, v6 ? S6 : S4, v6 ? D6 : D4);
		pkt_frag(&in, 1, 0, true);
		pkt_udp(&in, 5, 6);
		pkt_data(&in, 64);
		pkt_finish(&in);
		make_error(&k, &in, in.len);
		assert_int_equal(parse_inner(&k, &q), 0);
		assert_int_equal(q.dport, 6);
		/* of another version, or with no header at all */
		put8(&k, v6 ? 62 : 42, 0x25);
		assert_int_equal(parse_inner(&k, &q), -1);
		pkt_init(&in);
		pkt_ip(&in, v6 ? S6 : S4, v6 ? D6 : D4);
		make_error(&k, &in, 10);
		assert_int_equal(parse_inner(&k, &q), -1);
	}
}

/* ---- every cut of every packet -------------------------------------------------------------------------- */

/*
 * A frame that was cut off: a truncated packet never parses, except where what is missing is not
 * needed, and never as another flow.
 */
static void truncations(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		bool v6 = i & 1;
		struct cw_pkt whole, p;
		size_t body;
		struct pkt k;

		begin(&k, v6);
		if (i >= 8 && v6) {
			pkt_ext(&k, 0, 2);
			pkt_frag(&k, 3, 0, i >= 10);
			pkt_ext(&k, 60, 3);
		} else if (i >= 8) {
			pkt_ip4_options(&k, "\1\1\1\1\1\1\1\0", 8);
			pkt_frag(&k, 3, 0, i >= 10);
		}
		switch (i / 2 % 4) {
		case 0: pkt_tcp(&k, 11, 22, PKT_SYN); break;
		case 1: pkt_udp(&k, 11, 22); break;
		case 2: pkt_sctp(&k, 11, 22, 1); break;
		default: pkt_icmp(&k, v6 ? 128 : 8, 0, 11 << 16); break;
		}
		body = k.len;
		pkt_data(&k, 64);
		while ((k.len - (v6 ? 78 : 42)) % 8) /* a fragment's payload is in units of 8 bytes */
			pkt_data(&k, 1);
		pkt_finish(&k);
		assert_int_equal(parse(&k, &whole), CW_R_NONE);
		for (size_t n = 0; n < k.len; n++)
			assert_in_range(parse_n(&k, n, false, &p), CW_R_MALFORMED, CW_R_FRAG_BAD);
		/* Cut and told so: fine as long as the transport header is there. */
		for (size_t n = 15; n < k.len; n++) {
			struct pkt c = k;
			uint32_t r;

			c.len = n;
			if (n >= 18)
				put16(&c, v6 ? 18 : 16, (unsigned)(v6 ? (n < 54 ? 0 : n - 54) : n - 14));
			r = parse(&c, &p);
			if (r == CW_R_NONE) {
				assert_true(n >= body - (i / 2 % 4 == 2 ? 4 : 0));
				assert_int_equal(p.sport, whole.sport);
				assert_int_equal(p.dport, whole.dport);
				assert_int_equal(p.proto, whole.proto);
			} else {
				assert_true(n < body || whole.frag);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain), cmocka_unit_test(addresses), cmocka_unit_test(multicast),
		cmocka_unit_test(ethernet), cmocka_unit_test(ip4_header), cmocka_unit_test(ip4_padding),
		cmocka_unit_test(ip4_options), cmocka_unit_test(fragments), cmocka_unit_test(fragment_of_fragment),
		cmocka_unit_test(extensions), cmocka_unit_test(extension_ends), cmocka_unit_test(routing_header),
		cmocka_unit_test(ip6_header), cmocka_unit_test(tcp), cmocka_unit_test(inner),
		cmocka_unit_test(inner_refused), cmocka_unit_test(truncations),
	};

	return cmocka_run_group_tests_name("bpf/parse", tests, NULL, NULL);
}
