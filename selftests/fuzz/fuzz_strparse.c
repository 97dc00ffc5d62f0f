/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_strparse.c - the readers of short texts (numbers, times, addresses, ports, labels) and the
 * printers for people. What a reader takes prints as a text that it takes as the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/strparse.h"
#include "base/text.h"
#include "policy/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(const char *s)
{
	char text[32];
	uint64_t u = 0;
	int64_t ns = 0, again = 0;

	if (parse_u64(s, 3, 1000, &u) == 0)
		assert(u >= 3 && u <= 1000);
	if (parse_duration_ms(s, 86400000, &u) == 0)
		assert(u <= 86400000);
	if (parse_time_ns(s, &ns) == 0) {
		assert(parse_time_ns(time_str(ns, text), &again) == 0);
		assert(ns / 1000000 == again / 1000000);
	}
}

static void addresses(const char *s)
{
	char text[PREFIX_STR_MAX];
	struct prefix p, q;
	struct addr a, b;
	uint8_t mac[6];

	if (addr_parse(s, &a) == 0) {
		assert(addr_parse(addr_str(&a, text), &b) == 0 && addr_cmp(&a, &b) == 0);
		assert(prefix_parse(s, &p) == 0 && prefix_has(&p, &a));
	}
	if (prefix_parse(s, &p) == 0) {
		assert(prefix_parse(prefix_str(&p, text), &q) == 0);
		assert(prefix_cmp(&p, &q) == 0 && prefix_covers(&p, &q) && prefix_has(&p, &p.addr));
	}
	(void)mac_parse(s, mac);
}

static void tokens(const char *s)
{
	struct port_spec p, q;
	struct labels l, m;
	char *text;

	if (port_spec_parse(s, &p) == 0) {
		text = port_spec_str(&p);
		assert(text && port_spec_parse(text, &q) == 0);
		assert(p.kind == q.kind && p.proto == q.proto && p.from == q.from && p.to == q.to);
		assert(p.icmp_type == q.icmp_type && p.icmp_code == q.icmp_code);
		free(text);
		port_spec_done(&p);
		port_spec_done(&q);
	}
	if (labels_parse(s, &l) == 0) {
		text = labels_str(&l);
		assert(text && labels_parse(text, &m) == 0 && m.n == l.n);
		free(text);
		labels_done(&l);
		labels_done(&m);
	}
	if (is_dns_label(s))
		assert(is_dns_name(s) && is_label_value(s));
	(void)kind_short(s);
}

static void texts(const char *s, int width)
{
	static const char *const words[] = { "action", "from", "to", "ports", "matchExpressions" };
	struct buf b, c;

	buf_init(&b, 1 << 20);
	buf_init(&c, 1 << 20);
	text_escape(&b, s);
	buf_adds(&b, "");
	assert(!b.err);
	for (const char *p = b.data; *p;) /* nothing hidden is left */
		assert(utf8_next(&p) >= 0x20);
	text_cut_middle(&c, b.data, width);
	buf_adds(&c, "");
	assert(text_width(c.data) <= width || text_width(c.data) <= text_width(b.data));
	if (width > 3)
		assert(text_width(c.data) <= width);
	buf_done(&c);
	text_wrap(&c, b.data, width, 2);
	buf_done(&c);
	buf_done(&b);
	(void)nearest_word(s, words, 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s;

	if (!size)
		return 0;
	s = malloc(size);
	memcpy(s, data + 1, size - 1);
	s[size - 1] = '\0';
	numbers(s);
	addresses(s);
	tokens(s);
	texts(s, data[0] % 100);
	free(s);
	return 0;
}
