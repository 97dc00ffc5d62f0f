/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of the lab: the plan's own consistency, DNS, marked packets. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/addr.h"
#include "lab/dns.h"
#include "lab/plan.h"
#include "lab/probe.h"

/* Every stream asks somebody who is there, on a port that is open, at an address that is his. */
static void plan_is_consistent(void **state)
{
	(void)state;
	assert_string_equal(lab_workloads[LAB_ATTACKER].name, "attacker");
	assert_string_equal(lab_workloads[LAB_OUTSIDE_AT].name, LAB_OUTSIDE);
	for (size_t i = 0; i < lab_nstreams; i++) {
		const struct lab_stream *s = &lab_streams[i];
		const struct lab_workload *w;
		bool open = s->service == LAB_ECHO;

		assert_non_null(lab_workload_by_name(s->client));
		assert_string_not_equal(s->client, "attacker");
		if (!s->server) {
			assert_int_equal(s->service, LAB_VOID);
			continue;
		}
		w = lab_workload_by_name(s->server);
		assert_non_null(w);
		if (w->ns)
			assert_string_equal(s->addr, s->family == 4 ? w->v4 : w->v6);
		for (size_t p = 0; p < LAB_PORTS_MAX && w->ports[p].name; p++)
			open |= w->ports[p].proto == s->proto && w->ports[p].port == s->port &&
				w->ports[p].service == s->service;
		assert_true(open);
	}
}

/* The figures that the demo names: 16 accesses, 3 never answered, 5 over IPv6. */
static void plan_makes_sixteen_accesses(void **state)
{
	char seen[64][320];
	bool v6[64] = {}, answered[64] = {};
	size_t n = 0, n6 = 0, yes = 0;

	(void)state;
	for (size_t i = 0; i < lab_nstreams; i++) {
		const struct lab_stream *s = &lab_streams[i];
		const struct lab_workload *w = s->server ? lab_workload_by_name(s->server) : NULL;
		char src[128], dst[128], port[40], key[320];
		size_t k;

		if (w && w->ns)
			lab_group(w, s->family, dst);
		else
			snprintf(dst, sizeof(dst), "%s", s->addr);
		snprintf(key, sizeof(key), "%s %s %s", lab_group(lab_workload_by_name(s->client), s->family, src), dst,
			 lab_port_str(s->proto, s->port, port));
		for (k = 0; k < n && strcmp(seen[k], key); k++)
			;
		if (k == n)
			memcpy(seen[n++], key, sizeof(key));
		v6[k] |= s->family == 6;
		answered[k] |= lab_stream_answered(s);
	}
	for (size_t k = 0; k < n; k++) {
		n6 += v6[k];
		yes += answered[k];
	}
	assert_int_equal(n, 16);
	assert_int_equal(yes, 13);
	assert_int_equal(n6, 5);
}

static void dns_both_ways(void **state)
{
	uint8_t q[DNS_MSG_MAX], a[DNS_MSG_MAX], addr[16], want[16];
	char name[DNS_NAME_MAX];
	uint8_t family;
	int n, m;

	(void)state;
	n = dns_query_make(0x1234, "db-0.data.lab", 6, q);
	assert_true(n > 12);
	assert_int_equal(dns_query_read(q, (size_t)n, name, &family), 0);
	assert_string_equal(name, "db-0.data.lab");
	assert_int_equal(family, 6);
	assert_int_equal(lab_name_lookup("DB-0.data.LAB", 6, addr), 0);
	inet_pton(AF_INET6, "fd00:20:0:2::11", want);
	assert_memory_equal(addr, want, 16);
	m = dns_answer_make(q, (size_t)n, 6, addr, a);
	assert_true(m > n);
	assert_true(dns_answer_ok(a, (size_t)m, 0x1234));
	assert_false(dns_answer_ok(a, (size_t)m, 0x1235));
	assert_false(dns_answer_ok(q, (size_t)n, 0x1234));
	m = dns_answer_make(q, (size_t)n, 6, NULL, a);
	assert_false(dns_answer_ok(a, (size_t)m, 0x1234));
	assert_int_equal(lab_name_lookup("nobody.data.lab", 4, addr), -ENOENT);
	assert_int_equal(lab_name_lookup(LAB_PAY_NAME, 6, addr), -ENOENT);
	/* an answer is not a question; every truncation is refused */
	assert_int_equal(dns_query_read(a, (size_t)m, name, &family), -EBADMSG);
	for (int i = 0; i < n; i++)
		assert_int_equal(dns_query_read(q, (size_t)i, name, &family), -EBADMSG);
	q[12] = 0xc0; /* a compressed name in a question */
	assert_int_equal(dns_query_read(q, (size_t)n, name, &family), -EBADMSG);
	q[12] = 63;
	assert_int_equal(dns_query_read(q, (size_t)n, name, &family), -EBADMSG);
	assert_int_equal(dns_query_make(1, "", 4, q), -EINVAL);
	assert_int_equal(dns_query_make(1, "a..b", 4, q), -EINVAL);
}

static unsigned sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void probes_are_marked_and_valid(void **state)
{
	static const struct { const char *src, *dst; size_t ip; } rows[] = {
		{ "10.20.3.66", "10.20.2.11", 20 }, { "fd00:20:0:3::66", "fd00:20:0:2::11", 40 },
	};
	uint8_t p[PROBE_LEN_MAX];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct addr src, dst;
		size_t n, alen = i ? 16 : 4, ip = rows[i].ip;

		assert_int_equal(addr_parse(rows[i].src, &src), 0);
		assert_int_equal(addr_parse(rows[i].dst, &dst), 0);
		for (int kind = PROBE_SCAN; kind <= PROBE_FORGED; kind++) {
			n = probe_make((enum probe_kind)kind, &src, &dst, 1234, 5432, p);
			assert_int_equal(n, ip + 20);
			assert_int_equal(probe_read(p, n), kind);
			for (size_t k = 0; k < n; k++)
				assert_int_equal(probe_read(p, k), PROBE_NONE);
			/* checksums come out as all ones over what they cover */
			if (!i)
				assert_int_equal(sum16(p, 20, 0), 0xffff);
			assert_int_equal(sum16(p + ip, 20, sum16(p + (i ? 8 : 12), 2 * alen, 6 + 20)), 0xffff);
			p[ip + 13] |= 0x10; /* a real ACK is no probe */
			assert_int_equal(probe_read(p, n), PROBE_NONE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_is_consistent),
		cmocka_unit_test(plan_makes_sixteen_accesses),
		cmocka_unit_test(dns_both_ways),
		cmocka_unit_test(probes_are_marked_and_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
