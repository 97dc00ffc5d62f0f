/* SPDX-License-Identifier: Apache-2.0 */
/* test_dns_wire.c - mirrors bpf/dns_wire.h: what is read of a DNS message, on the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "selftests/harness/dns_msg.h"
#include "selftests/unit/bpf/host_dns.h"

#define NAME "pay.example.com"

/* A message behind a UDP header at offset `l4`, in a buffer of exactly its size. */
static struct host_frame frame(const struct dns_msg *m, uint32_t l4, size_t udp_len)
{
	unsigned char *b = calloc(1, l4 + 8 + m->n);

	assert_non_null(b);
	b[l4 + 4] = (unsigned char)(udp_len >> 8);
	b[l4 + 5] = (unsigned char)udp_len;
	memcpy(b + l4 + 8, m->b, m->n);
	return (struct host_frame){ .b = b, .len = (uint32_t)(l4 + 8 + m->n) };
}

/* Reads it all; -1 where the question or a record cannot be read, else the addresses. */
static int read_all(struct host_frame *f, uint32_t l4, struct cw_dns_msg *m)
{
	struct cw_dns_head h;
	int n = 0;

	memset(m, 0xa5, sizeof(*m)); /* nothing of the packet before may matter */
	if (cw_dns_open(f, m, l4, &h) || cw_dns_fetch(f, m) || cw_dns_name_read(m))
		return -1;
	while (m->left) {
		int r = cw_dns_record_read(f, m);

		if (r < 0)
			return -1;
		n += r;
		m->left--;
	}
	return n;
}

static int read_msg(const struct dns_msg *d, struct cw_dns_msg *m)
{
	struct host_frame f = frame(d, 34, d->n + 8);
	int r = read_all(&f, 34, m);

	assert_false(f.beyond);
	free((void *)f.b);
	return r;
}

static void names(void **state)
{
	static const struct { const char *in, *want; } t[] = {
		{ NAME, NAME }, { "PAY.Example.COM", NAME }, { "a", "a" }, { "_srv._tcp.x-1.example", "_srv._tcp.x-1.example" },
		{ "@[`{", "@[`{" }, { "", NULL },
	};
	struct cw_dns_msg m;
	struct dns_msg d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		dns_begin(&d, 1, DNS_ANSWER, t[i].in, 1);
		assert_int_equal(read_msg(&d, &m), t[i].want ? 0 : -1);
		if (!t[i].want)
			continue;
		assert_string_equal(m.text, t[i].want);
		assert_int_equal(m.len, strlen(t[i].want));
		for (unsigned k = m.len; k < CW_DNS_TEXT; k++)
			assert_int_equal(m.text[k], 0);
		assert_int_equal(m.off, m.end);
	}
	/* bytes that no rule's name has */
	for (int c = 0; c < 256; c++) {
		bool fine = c > ' ' && c <= '~' && c != '.';

		dns_begin(&d, 1, DNS_ANSWER, NAME, 1);
		d.b[14] = (unsigned char)c;
		assert_int_equal(read_msg(&d, &m), fine ? 0 : -1);
	}
	/* every length, up to the longest name there is */
	for (size_t n = 1; n <= 253; n++) {
		char name[256];

		if (n % 64 == 0) /* a label of 64, or none at the end */
			continue;
		for (size_t i = 0; i < n; i++)
			name[i] = i % 64 == 63 && i + 1 < n ? '.' : 'a';
		name[n] = '\0';
		dns_begin(&d, 1, DNS_ANSWER, name, 1);
		assert_int_equal(read_msg(&d, &m), 0);
		assert_int_equal(m.len, n);
		assert_string_equal(m.text, name);
	}
}

/* The longest pattern that fits is found by its first bytes: text backwards, zeros behind. */
static void reversed(void **state)
{
	struct cw_dns_msg m;
	char rev[CW_DNS_TEXT];
	struct dns_msg d;

	(void)state;
	dns_begin(&d, 1, DNS_ANSWER, NAME, 1);
	assert_int_equal(read_msg(&d, &m), 0);
	memset(rev, 7, sizeof(rev));
	cw_dns_reverse(&m, rev);
	assert_memory_equal(rev, "moc.elpmaxe.yap", 16);
	for (unsigned i = 16; i < sizeof(rev); i++)
		assert_int_equal(rev[i], 0);
}

static void numbers(void **state)
{
	struct cw_dns_msg a = { .text = NAME }, b = { .text = "pax.example.com" }, c = { .text = NAME "x" };
	uint64_t h = cw_dns_hash_text(a.words, 15, 1);

	(void)state;
	assert_true(h == cw_dns_hash_text(a.words, 15, 1));
	assert_true(h != cw_dns_hash_text(b.words, 15, 1));
	assert_true(h != cw_dns_hash_text(c.words, 16, 1));
	assert_true(h != cw_dns_hash_text(a.words, 15, 2));
	assert_true(cw_dns_hash_text(a.words, 15, 0) != 0);
}

static void records(void **state)
{
	struct cw_dns_msg m;
	struct dns_msg d;

	(void)state;
	dns_begin(&d, 1, DNS_ANSWER, NAME, 1);
	dns_cname(&d, NULL, "edge.example.net", 9);
	dns_addr(&d, "edge.example.net", "192.0.2.7", 77);
	assert_int_equal(read_msg(&d, &m), 1);
	assert_memory_equal(m.addr, "\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\7", 16);
	assert_int_equal(m.ttl, 77);
	dns_addr(&d, NULL, "2001:db8::7", 0x80000001u);
	assert_int_equal(read_msg(&d, &m), 2);
	assert_memory_equal(m.addr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 16);
	assert_int_equal(m.ttl, 0);
	dns_addr(&d, NULL, "192.0.2.8", 0x7fffffff);
	assert_int_equal(read_msg(&d, &m), 3);
	assert_int_equal(m.ttl, CW_DNS_TTL_MAX);
	/* more records promised than there are */
	dns_answers(&d, 5);
	assert_int_equal(read_msg(&d, &m), -1);
}

/* Cut anywhere, it is not readable, and nothing behind its end is read. */
static void cut(void **state)
{
	struct cw_dns_msg m;
	struct dns_msg d;

	(void)state;
	dns_begin(&d, 1, DNS_ANSWER, NAME, 1);
	dns_cname(&d, NULL, "edge.example.net", 9);
	dns_addr(&d, "edge.example.net", "192.0.2.7", 77);
	dns_addr(&d, NULL, "2001:db8::7", 30);
	for (size_t n = 0; n < d.n; n++) {
		struct dns_msg part = d;
		struct host_frame f;

		part.n = n;
		assert_int_equal(read_msg(&part, &m), -1);
		/* the UDP header says more than there is, or less */
		f = frame(&part, 34, d.n + 8);
		assert_int_equal(read_all(&f, 34, &m), -1);
		assert_false(f.beyond);
		free((void *)f.b);
		f = frame(&d, 34, n + 8);
		assert_int_equal(read_all(&f, 34, &m), -1);
		assert_false(f.beyond);
		free((void *)f.b);
	}
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(names), cmocka_unit_test(reversed), cmocka_unit_test(numbers), cmocka_unit_test(records),
		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests_name("DNS on the wire", t, NULL, NULL);
}
