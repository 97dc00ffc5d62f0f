/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_fields.c - fields between machines: what is written is JSON, and what is read is checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_fields.h"

static void written(void **state)
{
	struct json_put p;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	p = (struct json_put){ .b = &b };
	json_put_open(&p, NULL, '{');
	json_put_str(&p, "none", NULL);
	json_put_str(&p, "empty", "");
	json_put_str(&p, "quo\"te", "a\\b\n\x01\x7f\xff\xc3\xa4");
	json_put_member(&p, "e", "");
	json_put_num(&p, "zero", 0);
	json_put_num(&p, "n", -5);
	json_put_u64(&p, "u", UINT64_MAX);
	json_put_i64(&p, "i", INT64_MIN);
	json_put_true(&p, "no", false);
	json_put_true(&p, "yes", true);
	json_put_open(&p, "l", '[');
	json_put_item(&p, NULL);
	json_put_num_item(&p, 0);
	json_put_u64_item(&p, 7);
	json_put_open(&p, NULL, '{');
	json_put_close(&p, '}');
	json_put_close(&p, ']');
	json_put_raw(&p, "r", "[1]", 3);
	json_put_close(&p, '}');
	assert_int_equal(b.err, 0);
	assert_string_equal(b.data, "{\"quo\\\"te\":\"a\\\\b\\u000a\\u0001\x7f\xef\xbf\xbd\xc3\xa4\",\"e\":\"\",\"n\":-5,"
			    "\"u\":\"18446744073709551615\",\"i\":\"-9223372036854775808\",\"yes\":true,\"l\":[\"\",0,\"7\",{}],\"r\":[1]}");
	buf_done(&b);
	/* Whatever their length, texts are themselves. */
	for (size_t n = 0; n < 300; n++) {
		auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
		char key[310] = "", text[310] = "";

		memset(key, 'k', n + 1);
		memset(text, n & 1 ? 't' : '\\', n);
		buf_init(&b, 4096);
		p = (struct json_put){ .b = &b };
		json_put_open(&p, NULL, '{');
		json_put_member(&p, key, text);
		json_put_member(&p, "z", text);
		json_put_close(&p, '}');
		assert_int_equal(json_parse(b.data, b.len, "test", NULL, &o), 0);
		assert_string_equal(json_str(o, key), text);
		assert_string_equal(json_str(o, "z"), text);
		buf_done(&b);
	}
	/* The first failure sticks. */
	buf_init(&b, 10);
	p = (struct json_put){ .b = &b };
	json_put_open(&p, NULL, '{');
	json_put_str(&p, "key", "far too long for it");
	json_put_close(&p, '}');
	assert_int_equal(b.err, -E2BIG);
	buf_done(&b);
}

static void read_back(void **state)
{
	static const struct { const char *json; int err; uint64_t u; int64_t i, n; bool t; const char *s; } t[] = {
		{ .json = "{}" },
		{ "{\"u\":\"18446744073709551615\",\"i\":\"-9223372036854775808\",\"n\":10,\"t\":true,\"s\":\"x\"}", 0, UINT64_MAX, INT64_MIN,
		  10, true, "x" },
#define BAD(text) { .json = text, .err = -EBADMSG }
#define GOOD(text) { .json = text }
		BAD("{\"u\":\"18446744073709551616\"}"), BAD("{\"u\":5}"), BAD("{\"u\":\"\"}"),
		BAD("{\"u\":\"+1\"}"), BAD("{\"u\":\" 1\"}"), BAD("{\"u\":\"1x\"}"), BAD("{\"u\":\"-1\"}"),
		BAD("{\"i\":\"9223372036854775808\"}"), BAD("{\"i\":\"--1\"}"), BAD("{\"i\":1}"),
		BAD("{\"n\":11}"), BAD("{\"n\":-1}"), BAD("{\"n\":1.5}"), BAD("{\"n\":\"1\"}"),
		BAD("{\"t\":1}"), GOOD("{\"t\":false}"), BAD("{\"s\":1}"), BAD("{\"s\":null}"),
		BAD("{\"l\":{}}"), BAD("{\"l\":[1,2,3]}"), GOOD("{\"l\":[]}"), GOOD("{\"l\":[1,2]}"),
		GOOD("{\"c\":\"1234567\"}"), BAD("{\"c\":\"12345678\"}"), BAD("{\"c\":[]}"),
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(t); k++) {
		auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
		auto_free char *s = NULL;
		auto_free int *l = NULL;
		char c[8] = "";
		size_t n = 0;
		int err = 0;

		print_message("  %s\n", t[k].json);
		assert_int_equal(json_parse(t[k].json, strlen(t[k].json), "test", NULL, &o), 0);
		assert_true(json_get_u64(o, "u", &err) == t[k].u);
		assert_true(json_get_i64(o, "i", &err) == t[k].i);
		assert_int_equal(json_get_num(o, "n", 0, 10, &err), t[k].n);
		assert_int_equal(json_get_true(o, "t", &err), t[k].t);
		json_get_str(o, "s", &s, &err);
		json_get_chars(o, "c", c, sizeof(c), &err);
		(void)json_get_list(o, "l", 2, sizeof(*l), (void **)&l, &n, &err);
		assert_int_equal(err, t[k].err);
		if (t[k].s)
			assert_string_equal(s, t[k].s);
		else
			assert_null(s);
	}
	/* Required: what is absent is a fault where the least is more than nothing. */
	{
		int err = 0;

		assert_int_equal(json_get_num(NULL, "n", 1, 5, &err), 0);
		assert_int_equal(err, -EBADMSG);
		assert_int_equal(json_get_u64(NULL, "u", &err), 0); /* and it sticks */
		assert_int_equal(err, -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(written), cmocka_unit_test(read_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
