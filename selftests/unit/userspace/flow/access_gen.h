/* SPDX-License-Identifier: Apache-2.0 */
/* access_gen.h - records of kernel counters for the tests of flow and store. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "flow/access_book.h"
#include "flow/alerts.h"

#define S 1000000000LL
#define DAY (86400 * S)
#define T0 (20000 * DAY + 2 * 3600 * S) /* some day, 02:00 UTC */

static inline struct addr gen_addr(const char *text)
{
	struct addr a = { };

	if (text)
		assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* An end: "ns/name", a reserved word, or "word@address". The strings must outlive the record. */
struct gen_end { const char *ns, *name, *uid; uint32_t reserved; const char *addr; };
#define POD(n, x) ((struct gen_end){ .ns = n, .name = x, .uid = "" })
#define WORLD(a) ((struct gen_end){ .reserved = CW_ID_WORLD, .addr = a })
#define UNKNOWN(a) ((struct gen_end){ .reserved = CW_ID_UNKNOWN, .addr = a })
#define RESERVED(id) ((struct gen_end){ .reserved = id })

static inline struct node_access gen(struct gen_end src, struct gen_end dst, uint8_t proto, uint16_t port,
				     uint64_t flows, uint64_t answered)
{
	struct node_access a = {
		.src_wl = { (char *)src.ns, (char *)src.name, (char *)src.uid },
		.dst_wl = { (char *)dst.ns, (char *)dst.name, (char *)dst.uid },
		.src_reserved = src.reserved, .dst_reserved = dst.reserved,
		.proto = proto, .port = port, .family = 4, .instance = 77, .epoch = 1,
		.flows = flows, .answered = answered, .packets = flows * 3, .bytes = flows * 300,
		.first_ns = T0, .last_ns = T0 + S,
		.outcome = { CW_OUT_NO_RULE, CW_OUT_NO_RULE },
	};
	uint64_t h = 1469598103934665603ull;
	char text[512];

	a.src_addr = gen_addr(src.addr);
	a.dst_addr = gen_addr(dst.addr);
	a.cnt[CW_EGRESS][CW_OUT_NO_RULE] = a.cnt[CW_INGRESS][CW_OUT_NO_RULE] = flows;
	a.verdict[0].tier = a.verdict[1].tier = CW_TIER_DEFAULT;
	/* Identities of its own for every pair of ends: FNV-1a, so that the key follows the ends. */
	(void)snprintf(text, sizeof(text), "%s/%s %u %s > %s/%s %u %s", src.ns ? src.ns : "", src.name ? src.name : "",
		       src.reserved, src.addr ? src.addr : "", dst.ns ? dst.ns : "", dst.name ? dst.name : "", dst.reserved,
		       dst.addr ? dst.addr : "");
	for (const char *c = text; *c; c++)
		h = (h ^ (uint8_t)*c) * 1099511628211ull;
	a.key.src = (uint32_t)h;
	a.key.dst = (uint32_t)(h >> 32);
	memcpy(a.key.addr, a.dst_addr.b, 16);
	a.key.proto = proto;
	a.key.port = port;
	a.key.family = 4;
	return a;
}

static inline void gen_workload(struct access_book *b, const char *ns, const char *name, const char *kind,
				const char *owner, const char *labels, const char *addr)
{
	struct workload w = { .ns = (char *)ns, .name = (char *)name, .controller_kind = (char *)kind,
			      .controller_name = (char *)owner };
	struct addr a = gen_addr(addr);

	if (addr) {
		w.addrs = &a;
		w.naddrs = 1;
	}
	if (labels)
		assert_int_equal(labels_parse(labels, &w.labels), 0);
	assert_int_equal(access_book_workload_put(b, &w), 0);
	labels_done(&w.labels);
}

/* The one access with these ends and this port, or NULL. */
static inline const struct access *gen_find(const struct access_book *b, const char *src, const char *dst,
					    const char *port)
{
	char text[40];

	for (size_t i = 0; i < access_book_count(b); i++) {
		const struct access *a = access_book_at(b, i);

		if (!strcmp(a->src->ref, src) && !strcmp(a->dst->ref, dst) && !strcmp(access_port_str(a, text), port))
			return a;
	}
	return NULL;
}

/* Everything that was taken over, wherever it went. */
static inline uint64_t gen_total_flows(const struct access_book *b)
{
	struct access_book_stats st;
	uint64_t n = 0;

	for (size_t i = 0; i < access_book_count(b); i++)
		n += access_book_at(b, i)->c.flows;
	for (size_t i = 0; i < access_book_scan_count(b); i++)
		n += access_book_scan_at(b, i)->folded_flows;
	access_book_stats(b, &st);
	return n + st.refused_flows;
}

static inline struct access_book *gen_book(void)
{
	struct access_book *b;

	assert_int_equal(access_book_new(&(struct access_config){ }, &b), 0);
	return b;
}
