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

#include "base/cleanup.h"
#include "base/strparse.h"

static void numbers(void **state)
{
	static const struct { const char *in; uint64_t min, max; int r; uint64_t v; } t[] = {
		{ "0", 0, 10, 0, 0 },
		{ "10", 0, 10, 0, 10 },
		{ "11", 0, 10, -ERANGE, 0 },
		{ "1", 2, 10, -ERANGE, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999x", 0, UINT64_MAX, -EINVAL, 0 },
		{ "", 0, 10, -EINVAL, 0 },
		{ "01", 0, 10, -EINVAL, 0 },
		{ "-1", 0, 10, -EINVAL, 0 },
		{ "+1", 0, 10, -EINVAL, 0 },
		{ " 1", 0, 10, -EINVAL, 0 },
		{ "1 ", 0, 10, -EINVAL, 0 },
		{ "0x1", 0, 10, -EINVAL, 0 },
		{ "1e3", 0, 10, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 77;

		print_message("  '%s'\n", t[i].in);
		assert_int_equal(parse_u64(t[i].in, t[i].min, t[i].max, &v), t[i].r);
		assert_true(v == (t[i].r ? 77 : t[i].v));
	}
}

static void durations(void **state)
{
	static const struct { const char *in; int r; uint64_t ms; } t[] = {
		{ "15m", 0, 900000 },	   { "10d", 0, 864000000 }, { "90s", 0, 90000 },
		{ "1h30m", 0, 5400000 },   { "250ms", 0, 250 },	    { "1s250ms", 0, 1250 },
		{ "0s", 0, 0 },		   { "", -EINVAL, 0 },	    { "15", -EINVAL, 0 },
		{ "m", -EINVAL, 0 },	   { "30m1h", -EINVAL, 0 }, { "1h1h", -EINVAL, 0 },
		{ "1.5h", -EINVAL, 0 },	   { "-1h", -EINVAL, 0 },   { "1y", -EINVAL, 0 },
		{ "1h ", -EINVAL, 0 },	   { "366d", -ERANGE, 0 },  { "99999999999999999999d", -ERANGE, 0 },
		{ "8760h1ms", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 77;

		print_message("  '%s'\n", t[i].in);
		assert_int_equal(parse_duration_ms(t[i].in, 365ull * 86400000, &v), t[i].r);
		assert_true(v == (t[i].r ? 77 : t[i].ms));
	}
}

static void times(void **state)
{
	static const struct { const char *in; int r; int64_t ns; const char *out; } t[] = {
		{ "1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z" },
		{ "2026-03-12T08:30:02Z", 0, 1773304202000000000, "2026-03-12T08:30:02Z" },
		{ "2026-03-12t08:30:02z", 0, 1773304202000000000, "2026-03-12T08:30:02Z" },
		{ "2026-03-12T16:30:02+08:00", 0, 1773304202000000000, "2026-03-12T08:30:02Z" },
		{ "2026-03-12T03:00:02-05:30", 0, 1773304202000000000, "2026-03-12T08:30:02Z" },
		{ "2026-03-12T08:30:02.125Z", 0, 1773304202125000000, "2026-03-12T08:30:02.125Z" },
		{ "2026-03-12T08:30:02.1234567899Z", 0, 1773304202123456789, "2026-03-12T08:30:02.123Z" },
		{ "2026-03-12", 0, 1773273600000000000, "2026-03-12T00:00:00Z" },
		{ "2024-02-29", 0, 1709164800000000000, "2024-02-29T00:00:00Z" },
		{ "2000-02-29", 0, 951782400000000000, "2000-02-29T00:00:00Z" },
		{ "2100-02-29", -ERANGE, 0, NULL },
		{ "2026-02-29", -ERANGE, 0, NULL },
		{ "2026-13-01", -ERANGE, 0, NULL },
		{ "2026-00-01", -ERANGE, 0, NULL },
		{ "1969-12-31", -ERANGE, 0, NULL },
		{ "2262-01-01", -ERANGE, 0, NULL },
		{ "2026-03-12T24:00:00Z", -ERANGE, 0, NULL },
		{ "2026-03-12T08:30Z", -EINVAL, 0, NULL },
		{ "2026-03-12T08:30:02", -EINVAL, 0, NULL },
		{ "2026-03-12T08:30:02.Z", -EINVAL, 0, NULL },
		{ "2026-03-12T08:30:02+0800", -EINVAL, 0, NULL },
		{ "2026-03-12T08:30:02Zx", -EINVAL, 0, NULL },
		{ "26-03-12", -EINVAL, 0, NULL },
		{ "yesterday", -EINVAL, 0, NULL },
		{ "", -EINVAL, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		int64_t ns = 77;
		char out[32];

		print_message("  '%s'\n", t[i].in);
		assert_int_equal(parse_time_ns(t[i].in, &ns), t[i].r);
		assert_true(ns == (t[i].r ? 77 : t[i].ns));
		if (!t[i].r)
			assert_string_equal(time_str(ns, out), t[i].out);
	}
}

static void words(void **state)
{
	char label[65], name[256];
	static const struct { const char *s; bool label, name, key, value; } t[] = {
		{ "web", true, true, true, true },
		{ "web-1", true, true, true, true },
		{ "1web", true, true, true, true },
		{ "-web", false, false, false, false },
		{ "web-", false, false, false, false },
		{ "Web", false, false, true, true },
		{ "web.shop", false, true, true, true },
		{ "web..shop", false, false, true, true },
		{ ".web", false, false, false, false },
		{ "web_1", false, false, true, true },
		{ "", false, false, false, true },
		{ "cellwall.io/mode", false, false, true, false },
		{ "cellwall.io/", false, false, false, false },
		{ "/mode", false, false, false, false },
		{ "a/b/c", false, false, false, false },
		{ "Cell.io/mode", false, false, false, false },
		{ "we b", false, false, false, false },
		{ "w\xc3\xa9" "b", false, false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  '%s'\n", t[i].s);
		assert_int_equal(is_dns_label(t[i].s), t[i].label);
		assert_int_equal(is_dns_name(t[i].s), t[i].name);
		assert_int_equal(is_label_key(t[i].s), t[i].key);
		assert_int_equal(is_label_value(t[i].s), t[i].value);
	}
	memset(label, 'a', 64);
	label[64] = '\0';
	assert_false(is_dns_label(label));
	assert_false(is_label_value(label));
	assert_false(is_label_key(label));
	label[63] = '\0';
	assert_true(is_dns_label(label));
	assert_true(is_label_value(label));
	memset(name, 'a', 255);
	for (size_t i = 50; i < 254; i += 50)
		name[i] = '.';
	name[253] = '\0';
	assert_true(is_dns_name(name));
	name[253] = 'a';
	name[254] = '\0';
	assert_false(is_dns_name(name));
}

static void nearest(void **state)
{
	static const char *const w[] = { "action", "from", "to", "ports", "enabled", "namespace" };
	static const struct { const char *in, *want; } t[] = {
		{ "form", "from" },	 { "fron", "from" },	    { "actoin", "action" },
		{ "port", "ports" },	 { "namespaces", "namespace" }, { "nmaespcae", "namespace" },
		{ "zzzz", NULL },	 { "x", NULL },		    { "", NULL },
		{ "enable", "enabled" }, { "ot", "to" },
	};
	char lengthy[500];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *got = nearest_word(t[i].in, w, ARRAY_SIZE(w));

		print_message("  '%s' -> %s\n", t[i].in, got ? got : "-");
		if (t[i].want)
			assert_string_equal(got, t[i].want);
		else
			assert_null(got);
	}
	memset(lengthy, 'f', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	assert_null(nearest_word(lengthy, w, ARRAY_SIZE(w)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers), cmocka_unit_test(durations), cmocka_unit_test(times),
		cmocka_unit_test(words),   cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
