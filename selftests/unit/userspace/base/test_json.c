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
#include "base/json.h"

static char *repeat(const char *unit, size_t n, const char *tail)
{
	size_t u = strlen(unit), t = strlen(tail);
	char *s = malloc(u * n + t + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(s + i * u, unit, u);
	memcpy(s + n * u, tail, t + 1);
	return s;
}

static void accepted(void **state)
{
	static const char *const t[] = {
		"{}", "[]", "null", " true ", "-0", "0.5e-3", "\"\\u00e9\\ud83d\\udd12\\n\"",
		"{\"a\":[1,{\"b\":null}],\"c\":\"x\"}\n", "[\"\xe7\xad\x96\",\"\xef\xbf\xbd\"]",
		"[[[[]]],{}]", "{\"a\":{},\"b\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		cJSON *j = NULL;

		print_message("  %s\n", t[i]);
		assert_int_equal(json_parse(t[i], strlen(t[i]), "body", NULL, &j), 0);
		assert_non_null(j);
		cJSON_Delete(j);
	}
}

static void refused(void **state)
{
	static const struct { const char *in; const char *at, *name, *message; } t[] = {
		{ "", "body:1:1", "json.syntax", "the text ends early" },
		{ "{", "body:1:2", "json.syntax", "a key is missing or not in quotes" },
		{ "[1,", "body:1:4", "json.syntax", "the text ends early" },
		{ "[1 2]", "body:1:4", "json.syntax", "neither a comma nor a closing bracket" },
		{ "[1}", "body:1:3", "json.syntax", "neither a comma nor a closing bracket" },
		{ "{\"a\":1]", "body:1:7", "json.syntax", "neither a comma nor a closing bracket" },
		{ "[1,]", "body:1:4", "json.syntax", "something that is no JSON value" },
		{ "{\"a\":1,}", "body:1:8", "json.syntax", "a key is missing or not in quotes" },
		{ "{a:1}", "body:1:2", "json.syntax", "a key is missing or not in quotes" },
		{ "{\"a\" 1}", "body:1:6", "json.syntax", "no colon after the key" },
		{ "{} x", "body:1:4", "json.syntax", "more text after the value" },
		{ "{}{}", "body:1:3", "json.syntax", "more text after the value" },
		{ "01", "body:1:2", "json.syntax", "a number with a leading zero" },
		{ "1.", "body:1:3", "json.syntax", "a number without digits after the point" },
		{ "1e", "body:1:3", "json.syntax", "a number without digits in the exponent" },
		{ "-", "body:1:2", "json.syntax", "a number without digits" },
		{ "+1", "body:1:1", "json.syntax", "something that is no JSON value" },
		{ "tru", "body:1:1", "json.syntax", "something that is no JSON value" },
		{ "NaN", "body:1:1", "json.syntax", "something that is no JSON value" },
		{ "'a'", "body:1:1", "json.syntax", "something that is no JSON value" },
		{ "\"a", "body:1:3", "json.syntax", "a string without its closing quote" },
		{ "\"a\nb\"", "body:1:3", "json.syntax", "a raw control character in a string" },
		{ "\"\\x\"", "body:1:3", "json.syntax", "an unknown escape in a string" },
		{ "\"\\u12g4\"", "body:1:6", "json.syntax", "\\u without four hex digits" },
		{ "\"\\u0000\"", "body:1:8", "json.syntax", "a NUL character in a string" },
		{ "\"\\ud800\"", "body:1:8", "json.syntax", "half a surrogate pair in a string" },
		{ "\"\\udc00\"", "body:1:8", "json.syntax", "half a surrogate pair in a string" },
		{ "\"\\ud800\\u0041\"", "body:1:14", "json.syntax", "half a surrogate pair in a string" },
		{ "\"\xff\"", "body:1:2", "json.syntax", "bytes that are not UTF-8" },
		{ "\"\xc0\x80\"", "body:1:2", "json.syntax", "bytes that are not UTF-8" },
		{ "\xef\xbb\xbf{}", "body:1:1", "json.syntax", "something that is no JSON value" },
		{ "{\n \"a\": 1,\n \"a\": 2}", "body, key \"a\"", "json.duplicate-key", "a key is given twice" },
		{ "[{\"k\":{\"x\":1,\"y\":1,\"x\":3}}]", "body, key \"x\"", "json.duplicate-key", "a key is given twice" },
		{ "[\n\n 1e999]", "body", "json.number", "a number is out of range" },
		{ "[\n\n  tru]", "body:3:3", "json.syntax", "something that is no JSON value" },
		{ "0.1111111111222222222233333333334444444444555555555566666666667777777", "body:1:70",
		  "json.limit", "a number with too many digits" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct fail_list f = {};
		cJSON *j = (cJSON *)&f, *before = j;
		int r;

		print_message("  %s\n", t[i].in);
		r = json_parse(t[i].in, strlen(t[i].in), "body", &f, &j);
		assert_true(r == -EBADMSG || r == -E2BIG);
		assert_ptr_equal(j, before);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].message, t[i].message);
		assert_string_equal(f.items[0].name, t[i].name);
		assert_string_equal(f.items[0].at, t[i].at);
		fail_list_done(&f);
	}
	/* a NUL byte inside and outside of a string */
	{
		cJSON *j = NULL;

		assert_int_equal(json_parse("\"a\0b\"", 5, "body", NULL, &j), -EBADMSG);
		assert_int_equal(json_parse("{}\0", 3, "body", NULL, &j), -EBADMSG);
		assert_null(j);
	}
}

static void limits(void **state)
{
	cJSON *j = NULL;
	char *s;

	(void)state;
	s = repeat("[", JSON_DEPTH_MAX, "");
	s = realloc(s, 3 * JSON_DEPTH_MAX);
	memset(s + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(json_parse(s, 2 * JSON_DEPTH_MAX, "body", NULL, &j), 0);
	cJSON_Delete(take_ptr(j));
	free(s);
	s = repeat("[", JSON_DEPTH_MAX + 1, "");
	assert_int_equal(json_parse(s, JSON_DEPTH_MAX + 1, "body", NULL, &j), -E2BIG);
	free(s);
	s = repeat("{\"a\":", 100000, "");
	assert_int_equal(json_parse(s, strlen(s), "body", NULL, &j), -E2BIG);
	free(s);
	s = repeat(",0", JSON_NODES_MAX - 1, "]"); /* the list itself counts */
	s[0] = '[';
	assert_int_equal(json_parse(s, strlen(s), "body", NULL, &j), 0);
	cJSON_Delete(take_ptr(j));
	free(s);
	s = repeat(",0", JSON_NODES_MAX, "]");
	s[0] = '[';
	assert_int_equal(json_parse(s, strlen(s), "body", NULL, &j), -E2BIG);
	free(s);
	s = repeat(" ", JSON_BYTES_MAX, "1");
	assert_int_equal(json_parse(s, JSON_BYTES_MAX + 1, "body", NULL, &j), -E2BIG);
	assert_int_equal(json_parse(s + 1, JSON_BYTES_MAX, "body", NULL, &j), 0);
	cJSON_Delete(j);
	free(s);
}

/* Many keys in one object must not take quadratic time to check. */
static void wide_object(void **state)
{
	const size_t n = 100000;
	char *s = malloc(n * 16 + 3), *p = s;
	cJSON *j = NULL;

	(void)state;
	*p++ = '{';
	for (size_t i = 0; i < n; i++)
		p += snprintf(p, 16, "\"k%zu\":0,", i);
	p[-1] = '}';
	assert_int_equal(json_parse(s, (size_t)(p - s), "body", NULL, &j), 0);
	cJSON_Delete(take_ptr(j));
	memcpy(p - strlen("k99999\":0}"), "k12345", 6);
	assert_int_equal(json_parse(s, (size_t)(p - s), "body", NULL, &j), -EBADMSG);
	free(s);
}

static void getters(void **state)
{
	const char *s = "{\"s\":\"x\",\"b\":true,\"n\":1.5,\"i\":9007199254740992,\"big\":1e300,\"S\":\"y\"}";
	cJSON *j = NULL;

	(void)state;
	assert_int_equal(json_parse(s, strlen(s), "body", NULL, &j), 0);
	assert_string_equal(json_str(j, "s"), "x");
	assert_string_equal(json_str(j, "S"), "y");
	assert_null(json_str(j, "n"));
	assert_null(json_str(NULL, "s"));
	assert_true(json_bool(j, "b", false));
	assert_true(json_bool(j, "s", true));
	assert_true(json_num(j, "n", 0) == 1.5);
	assert_true(json_i64(j, "i", 0) == 9007199254740992);
	assert_int_equal(json_i64(j, "n", 7), 7);
	assert_int_equal(json_i64(j, "big", 7), 7);
	assert_int_equal(json_i64(j, "none", 7), 7);
	cJSON_Delete(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted), cmocka_unit_test(refused), cmocka_unit_test(limits),
		cmocka_unit_test(wide_object), cmocka_unit_test(getters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
