/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "cni-adapters/plugin/span.h"

static void texts(void **state)
{
	static const struct { const char *s; int r; } t[] = {
		{ "{}", 0 }, { " [ ] ", 0 }, { "0", 0 }, { "-0.5e+10", 0 }, { "true", 0 }, { "null", 0 }, { "\"\\u00e4\\n\"", 0 },
		{ "{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}", 0 }, { "\t\r\n 1 \n", 0 },
		{ "", -EBADMSG }, { "{", -EBADMSG }, { "[1,]", -EBADMSG }, { "{\"a\":1,}", -EBADMSG }, { "{a:1}", -EBADMSG },
		{ "01", -EBADMSG }, { "1.", -EBADMSG }, { ".5", -EBADMSG }, { "1e", -EBADMSG }, { "+1", -EBADMSG }, { "tru", -EBADMSG },
		{ "nul", -EBADMSG }, { "\"\\x\"", -EBADMSG }, { "\"\\u12\"", -EBADMSG }, { "\"a", -EBADMSG }, { "\"\t\"", -EBADMSG },
		{ "{} {}", -EBADMSG }, { "[1 2]", -EBADMSG }, { "{\"a\" 1}", -EBADMSG }, { "\"\\", -EBADMSG }, { "-", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct span v;
		int r = span_read(t[i].s, strlen(t[i].s), &v, NULL);

		if (r != t[i].r)
			print_message("  text '%s': %d\n", t[i].s, r);
		assert_int_equal(r, t[i].r);
	}
}

static void depth(void **state)
{
	char s[2 * SPAN_DEPTH_MAX + 3];
	struct span v;

	(void)state;
	memset(s, '[', SPAN_DEPTH_MAX);
	memset(s + SPAN_DEPTH_MAX, ']', SPAN_DEPTH_MAX);
	assert_int_equal(span_read(s, 2 * SPAN_DEPTH_MAX, &v, NULL), 0);
	memset(s, '[', SPAN_DEPTH_MAX + 1);
	memset(s + SPAN_DEPTH_MAX + 1, ']', SPAN_DEPTH_MAX + 1);
	assert_int_equal(span_read(s, 2 * SPAN_DEPTH_MAX + 2, &v, NULL), -E2BIG);
}

static void members(void **state)
{
	static const char s[] = "{\"a\": 1 , \"b\":{\"x\":[ 1.50 ,\"y\"]}, \"a\" : \"two\", \"\\u0063\":12345678901234567890}";
	struct span root, v;
	char buf[8];

	(void)state;
	assert_int_equal(span_read(s, strlen(s), &root, NULL), 0);
	assert_int_equal(span_get(root, "b", &v), 0);
	assert_int_equal(v.n, strlen("{\"x\":[ 1.50 ,\"y\"]}"));
	assert_memory_equal(v.p, "{\"x\":[ 1.50 ,\"y\"]}", v.n);
	/* The last of one name, and names by what they mean. */
	assert_int_equal(span_get_str(root, "a", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "two");
	assert_int_equal(span_get(root, "c", &v), 0);
	assert_memory_equal(v.p, "12345678901234567890", v.n);
	assert_int_equal(span_kind(v), '0');
	assert_int_equal(span_get(root, "d", &v), -ENOENT);
	assert_int_equal(span_get(v, "d", &v), -ENOENT);
	assert_int_equal(span_read("{}", 2, &root, NULL), 0);
	assert_int_equal(span_get(root, "", &v), -ENOENT);
}

static void items(void **state)
{
	static const struct { const char *s, *want; } t[] = {
		{ "[]", "" }, { "[ ]", "" }, { "[1]", "1;" }, { "[ 1 , [2,3],{\"a\":[]} ]", "1;[2,3];{\"a\":[]};" }, { "{}", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct span root, it = { };
		char got[64] = "";

		assert_int_equal(span_read(t[i].s, strlen(t[i].s), &root, NULL), 0);
		while (span_next(root, &it))
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s;", (int)it.n, it.p);
		assert_string_equal(got, t[i].want);
	}
}

static void strings(void **state)
{
	static const struct { const char *s; int r; const char *want; } t[] = {
		{ "\"\"", 0, "" }, { "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 0, "a\"\\/\b\f\n\r\t" }, { "\"\\u00e4\\u20ac\"", 0, "ä€" },
		{ "\"\\ud83d\\ude00\"", 0, "😀" }, { "\"\\u0000\"", -EINVAL, NULL }, { "\"\\ud83d\"", -EINVAL, NULL },
		{ "\"\\ud83dx\"", -EINVAL, NULL }, { "\"\\ude00\"", -EINVAL, NULL }, { "\"\\ud83d\\u0041\"", -EINVAL, NULL },
		{ "1", -EINVAL, NULL }, { "\"0123456789abcdef\"", -E2BIG, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct span v;
		char buf[16];
		int r;

		assert_int_equal(span_read(t[i].s, strlen(t[i].s), &v, NULL), 0);
		r = span_str(v, buf, sizeof(buf));
		assert_int_equal(r, t[i].r);
		if (!r)
			assert_string_equal(buf, t[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(texts), cmocka_unit_test(depth), cmocka_unit_test(members),
					    cmocka_unit_test(items), cmocka_unit_test(strings) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
