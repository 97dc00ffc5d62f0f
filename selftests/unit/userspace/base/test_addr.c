/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/cleanup.h"

static void addresses(void **state)
{
	static const struct { const char *in; int r; const char *out; } t[] = {
		{ "10.0.0.1", 0, "10.0.0.1" },
		{ "0.0.0.0", 0, "0.0.0.0" },
		{ "255.255.255.255", 0, "255.255.255.255" },
		{ "10.0.0.01", -EINVAL, NULL },
		{ "10.0.0", -EINVAL, NULL },
		{ "10.0.0.256", -EINVAL, NULL },
		{ "10.0.0.1 ", -EINVAL, NULL },
		{ "", -EINVAL, NULL },
		{ "0x7f.1.1.1", -EINVAL, NULL },
		{ "fd00:20::1", 0, "fd00:20::1" },
		{ "FD00:0020:0:0:0:0:0:1", 0, "fd00:20::1" },
		{ "2001:db8:0:1:1:1:1:1", 0, "2001:db8:0:1:1:1:1:1" },
		{ "2001:0:0:1:0:0:0:1", 0, "2001:0:0:1::1" },
		{ "::", 0, "::" },
		{ "::1", 0, "::1" },
		{ "::1:2", 0, "::1:2" },
		{ "::ab12", 0, "::ab12" },
		{ "64:ff9b::10.0.0.1", 0, "64:ff9b::a00:1" },
		{ "::ffff:10.0.0.1", -EINVAL, NULL },
		{ "::ffff:a00:1", -EINVAL, NULL },
		{ "fe80::1%eth0", -EINVAL, NULL },
		{ "1:2:3:4:5:6:7:8:9", -EINVAL, NULL },
		{ "1::2::3", -EINVAL, NULL },
		{ "[::1]", -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct addr a, before;
		char out[ADDR_STR_MAX];

		print_message("  '%s'\n", t[i].in);
		memset(&a, 0xa5, sizeof(a));
		before = a;
		assert_int_equal(addr_parse(t[i].in, &a), t[i].r);
		if (t[i].r)
			assert_memory_equal(&a, &before, sizeof(a));
		else
			assert_string_equal(addr_str(&a, out), t[i].out);
	}
}

static void prefixes(void **state)
{
	static const struct { const char *in; int r; const char *out; } t[] = {
		{ "10.0.0.0/8", 0, "10.0.0.0/8" },
		{ "0.0.0.0/0", 0, "0.0.0.0/0" },
		{ "::/0", 0, "::/0" },
		{ "10.1.2.3", 0, "10.1.2.3/32" },
		{ "10.1.2.3/32", 0, "10.1.2.3/32" },
		{ "fd00:20::/48", 0, "fd00:20::/48" },
		{ "fd00::1", 0, "fd00::1/128" },
		{ "192.168.254.0/23", 0, "192.168.254.0/23" },
		{ "10.0.0.1/8", -EDOM, NULL },
		{ "192.168.255.0/23", -EDOM, NULL },
		{ "fd00::1/64", -EDOM, NULL },
		{ "10.0.0.0/33", -ERANGE, NULL },
		{ "fd00::/129", -ERANGE, NULL },
		{ "10.0.0.0/", -EINVAL, NULL },
		{ "10.0.0.0/08", -EINVAL, NULL },
		{ "10.0.0.0/-1", -EINVAL, NULL },
		{ "10.0.0.0/8/8", -EINVAL, NULL },
		{ "/8", -EINVAL, NULL },
		{ "10.0.0.0/99999999999999999999", -ERANGE, NULL },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa/64", -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct prefix p, before;
		char out[PREFIX_STR_MAX];

		print_message("  '%s'\n", t[i].in);
		memset(&p, 0xa5, sizeof(p));
		before = p;
		assert_int_equal(prefix_parse(t[i].in, &p), t[i].r);
		if (t[i].r)
			assert_memory_equal(&p, &before, sizeof(p));
		else
			assert_string_equal(prefix_str(&p, out), t[i].out);
	}
}

static void membership(void **state)
{
	static const struct { const char *p, *a; bool has; } t[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },	{ "10.0.0.0/8", "11.0.0.0", false },
		{ "0.0.0.0/0", "255.1.2.3", true },		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "10.0.0.1", false },			{ "::/0", "ffff::", true },
		{ "192.168.254.0/23", "192.168.255.9", true },	{ "192.168.254.0/23", "192.169.0.0", false },
		{ "10.1.2.3/32", "10.1.2.3", true },		{ "10.1.2.3/32", "10.1.2.2", false },
		{ "fd00:20::/48", "fd00:20:0:ffff::9", true },	{ "fd00:20::/48", "fd00:20:1::", false },
		{ "fe80::/10", "febf::1", true },		{ "fe80::/10", "fec0::1", false },
	};
	static const struct { const char *outer, *inner; bool covers; } c[] = {
		{ "10.0.0.0/8", "10.0.0.0/8", true },  { "10.0.0.0/8", "10.4.0.0/14", true },
		{ "10.4.0.0/14", "10.0.0.0/8", false }, { "0.0.0.0/0", "::/0", false },
		{ "::/0", "2001:db8::/32", true },	{ "10.0.0.0/9", "10.128.0.0/9", false },
	};
	struct prefix p, q;
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  %s has %s\n", t[i].p, t[i].a);
		assert_int_equal(prefix_parse(t[i].p, &p), 0);
		assert_int_equal(addr_parse(t[i].a, &a), 0);
		assert_int_equal(prefix_has(&p, &a), t[i].has);
	}
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		print_message("  %s covers %s\n", c[i].outer, c[i].inner);
		assert_int_equal(prefix_parse(c[i].outer, &p), 0);
		assert_int_equal(prefix_parse(c[i].inner, &q), 0);
		assert_int_equal(prefix_covers(&p, &q), c[i].covers);
	}
}

static void order(void **state)
{
	static const char *const sorted[] = { "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16",
					      "::/0", "2001:db8::/32", "fd00::/8" };
	struct prefix p, q;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			int r;

			assert_int_equal(prefix_parse(sorted[i], &p), 0);
			assert_int_equal(prefix_parse(sorted[j], &q), 0);
			r = prefix_cmp(&p, &q);
			assert_int_equal((r > 0) - (r < 0), (i > j) - (i < j));
		}
	}
}

static void macs(void **state)
{
	static const struct { const char *in; int r; } t[] = {
		{ "02:00:5e:10:00:fF", 0 }, { "02:00:5e:10:00", -EINVAL }, { "", -EINVAL },
		{ "02:00:5e:10:00:ff:00", -EINVAL }, { "2:00:5e:10:00:ff", -EINVAL },
		{ "02-00-5e-10-00-ff", -EINVAL }, { "02:00:5e:10:00:fg", -EINVAL },
	};
	static const uint8_t want[6] = { 2, 0, 0x5e, 0x10, 0, 0xff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint8_t m[6] = { 9, 9, 9, 9, 9, 9 };
		uint8_t kept[6] = { 9, 9, 9, 9, 9, 9 };

		print_message("  '%s'\n", t[i].in);
		assert_int_equal(mac_parse(t[i].in, m), t[i].r);
		assert_memory_equal(m, t[i].r ? kept : want, 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(prefixes), cmocka_unit_test(membership),
		cmocka_unit_test(order),     cmocka_unit_test(macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
