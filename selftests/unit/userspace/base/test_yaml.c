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

static void scalars(void **state)
{
	static const struct { const char *yaml, *json; } t[] = {
		{ "a: 1", "{\"a\":1}" },
		{ "a: -17\nb: +3\nc: 0x1F\nd: 0o17\ne: 1.5\nf: 1e3\ng: .5", "{\"a\":-17,\"b\":3,\"c\":31,\"d\":15,\"e\":1.5,\"f\":1000,\"g\":0.5}" },
		{ "[true, True, TRUE, false, null, ~, Null]", "[true,true,true,false,null,null,null]" },
		{ "[yes, no, on, off, y, tRue]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"tRue\"]" },
		{ "a:\nb: ''\nc: \"null\"\nd: '1'", "{\"a\":null,\"b\":\"\",\"c\":\"null\",\"d\":\"1\"}" },
		{ "[tcp/5432, 10.0.0.0/8, 1.2.3.4, 12:30, 2026-03-12, 8a90]", "[\"tcp/5432\",\"10.0.0.0/8\",\"1.2.3.4\",\"12:30\",\"2026-03-12\",\"8a90\"]" },
		{ "1: a\ntrue: b", "{\"1\":\"a\",\"true\":\"b\"}" },
		{ "a: |\n  x\n  y\nb: >-\n  x\n  y", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}" },
		{ "{\"a\": [1, {\"b\": null}]}", "{\"a\":[1,{\"b\":null}]}" },
		{ "a: \xe7\xad\x96\xe7\x95\xa5", "{\"a\":\"\xe7\xad\x96\xe7\x95\xa5\"}" },
		{ "a:\n- b\n- - c\n  - d\n- e: 1\n  f: 2\n", "{\"a\":[\"b\",[\"c\",\"d\"],{\"e\":1,\"f\":2}]}" },
		{ "# only a comment\na: b # more", "{\"a\":\"b\"}" },
		{ "? a\n: b", "{\"a\":\"b\"}" },
		{ "- 9007199254740992", "[9007199254740992]" },
		{ "\xef\xbb\xbf" "a: 1", "{\"a\":1}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct yaml_docs d = {};
		cJSON *want = NULL;

		print_message("  %s\n", t[i].json);
		assert_int_equal(yaml_parse(t[i].yaml, strlen(t[i].yaml), "f", NULL, &d), 0);
		assert_int_equal(d.n, 1);
		assert_int_equal(json_parse(t[i].json, strlen(t[i].json), "j", NULL, &want), 0);
		assert_true(cJSON_Compare(d.docs[0].root, want, true));
		cJSON_Delete(want);
		yaml_docs_done(&d);
	}
}

static void refused(void **state)
{
	static const struct { const char *in, *name, *at; } t[] = {
		{ "a: &x 1", "yaml.alias", "f:1:4" },
		{ "a: 1\nb: *x", "yaml.alias", "f:2:4" },
		{ "a: &x [1]", "yaml.alias", "f:1:4" },
		{ "a: !!str 1", "yaml.tag", "f:1:4" },
		{ "a: !foo {}", "yaml.tag", "f:1:4" },
		{ "! a", "yaml.tag", "f:1:1" },
		{ "%TAG ! tag:x,2000:\n--- a", "yaml.tag", "f:1:1" },
		{ "<<: {a: 1}", "yaml.merge-key", "f:1:1" },
		{ "a: 1\nb: 2\na: 3", "yaml.duplicate-key", "f:3, key \"a\"" },
		{ "x: {k: 1, \"k\": 2}", "yaml.duplicate-key", "f:1, key \"k\"" },
		{ "[a]: 1", "yaml.key", "f:1:1" },
		{ ": 1", "yaml.syntax", "f:1:1" },
		{ "?\n: 1", "yaml.key", "f:1:2" },
		{ "a: 0123", "yaml.number", "f:1:4" },
		{ "a: .inf", "yaml.number", "f:1:4" },
		{ "a: -.nan", NULL, NULL }, /* a string: the schema has no such spelling */
		{ "a: 9007199254740994", "yaml.number", "f:1:4" },
		{ "a: 12345678901234567890123456789012345", "yaml.number", "f:1:4" },
		{ "a: 1e999", "yaml.number", "f:1:4" },
		{ "a: \"x\\0y\"", "yaml.nul", "f:1:4" },
		{ "\"a\\u0000\": 1", "yaml.nul", "f:1:1" },
		{ "a: [1, 2", "yaml.syntax", "f:2:1" },
		{ "a: b: c", "yaml.syntax", "f:1:5" },
		{ "\ta: 1", "yaml.syntax", "f:1:1" },
		{ "a: \"x", "yaml.syntax", "f:1:6" },
		{ "a: 'x\\ud800'\nb: \"\\ud800\"", "yaml.syntax", "f:2:7" },
		{ "a: \xff", "yaml.encoding", "f:1:1" },
		{ "a: \xc0\x80", "yaml.encoding", "f:1:1" },
		{ "a: \x01", "yaml.encoding", "f:1:1" },
		{ "a: 1\n...\nb: {", "yaml.syntax", "f:3:1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct yaml_docs d = {}, before = d;
		struct fail_list f = {};
		int r = yaml_parse(t[i].in, strlen(t[i].in), "f", &f, &d);

		print_message("  %s: %s %s\n", t[i].in, f.n ? f.items[0].name : "-", f.n ? f.items[0].at : "");
		if (!t[i].at) {
			assert_int_equal(r, 0);
			yaml_docs_done(&d);
			continue;
		}
		assert_int_equal(r, -EBADMSG);
		assert_memory_equal(&d, &before, sizeof(d));
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, t[i].name);
		assert_string_equal(f.items[0].at, t[i].at);
		fail_list_done(&f);
	}
	{
		struct yaml_docs d = {};

		assert_int_equal(yaml_parse("a: b\0c", 6, "f", NULL, &d), -EBADMSG);
	}
}

/* Every fault of single nodes in one run. */
static void collects(void **state)
{
	const char *s = "a: &x 1\na: 2\nb: 0123\n---\nc: !t 1\n";
	struct fail_list f = {};
	struct yaml_docs d;

	(void)state;
	assert_int_equal(yaml_parse(s, strlen(s), "f", &f, &d), -EBADMSG);
	assert_int_equal(f.n, 4);
	fail_list_done(&f);
}

static void documents(void **state)
{
	const char *s = "# first\n---\na: 1\n---\n---\n# nothing\n---\nb:\n- x\n- y: 2\n...\n";
	struct yaml_docs d = {};
	const cJSON *b;

	(void)state;
	assert_int_equal(yaml_parse(s, strlen(s), "f", NULL, &d), 0);
	assert_int_equal(d.n, 2);
	assert_int_equal(d.docs[0].index, 1);
	assert_int_equal(d.docs[0].line, 2);
	assert_int_equal(d.docs[1].index, 4);
	assert_int_equal(d.docs[1].line, 7);
	b = json_get(d.docs[1].root, "b");
	assert_int_equal(yaml_line(&d, json_get(d.docs[0].root, "a")), 3);
	assert_int_equal(yaml_line(&d, cJSON_GetArrayItem(b, 0)), 9);
	assert_int_equal(yaml_line(&d, json_get(cJSON_GetArrayItem(b, 1), "y")), 10);
	assert_int_equal(yaml_line(&d, b), 8); /* the line of the key, not of the first item */
	assert_int_equal(yaml_line(&d, NULL), 0);
	yaml_docs_done(&d);
	assert_int_equal(yaml_parse("", 0, "f", NULL, &d), 0);
	assert_int_equal(d.n, 0);
	assert_int_equal(yaml_line(&d, b), 0);
	yaml_docs_done(&d);
}

static void limits(void **state)
{
	size_t n = 3 * JSON_NODES_MAX;
	char *s = malloc(n + 1);
	struct yaml_docs d = {};
	struct fail_list f = {};

	(void)state;
	memset(s, '[', JSON_DEPTH_MAX);
	memset(s + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(yaml_parse(s, 2 * JSON_DEPTH_MAX, "f", &f, &d), 0);
	yaml_docs_done(&d);
	memset(s, '[', JSON_DEPTH_MAX + 1);
	memset(s + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_int_equal(yaml_parse(s, 2 * JSON_DEPTH_MAX + 2, "f", &f, &d), -E2BIG);
	assert_string_equal(f.items[0].name, "yaml.limit");
	assert_string_equal(f.items[0].at, "f:1:65");
	fail_list_done(&f);
	memset(s, '[', 100000);
	assert_true(yaml_parse(s, 100000, "f", NULL, &d) < 0);
	for (size_t i = 0; i < n; i += 3)
		memcpy(s + i, "- \n", 3);
	assert_int_equal(yaml_parse(s, n, "f", NULL, &d), -E2BIG);
	assert_int_equal(yaml_parse(s, JSON_BYTES_MAX + 1, "f", &f, &d), -E2BIG);
	fail_list_done(&f);
	for (size_t i = 0; i < 50000; i += 5)
		memcpy(s + i, "---\n\n", 5);
	assert_int_equal(yaml_parse(s, 50000, "f", NULL, &d), 0);
	yaml_docs_done(&d);
	memcpy(s + 50000, "---\n", 4);
	assert_int_equal(yaml_parse(s, 50004, "f", NULL, &d), -E2BIG);
	free(s);
}

static void prints(void **state)
{
	static const struct { const char *json, *yaml; } t[] = {
		{ "{\"a\":1,\"b\":[],\"c\":{},\"d\":null,\"e\":false}", "a: 1\nb: []\nc: {}\nd: null\ne: false\n" },
		{ "{\"from\":[{\"namespace\":\"shop\",\"labels\":{\"app\":\"db\"}}],\"ports\":[\"tcp/5432\"]}",
		  "from:\n- namespace: shop\n  labels:\n    app: db\nports:\n- tcp/5432\n" },
		{ "[[1,2],[[]],{\"a\":[1]}]", "- - 1\n  - 2\n- - []\n- a:\n  - 1\n" },
		{ "[\"yes\",\"1\",\"\",\"null\",\"0x1\",\"1e3\",\"2026-03-12\",\"fd00::/8\",\"- a\",\"a: b\",\"a #b\",\" a\",\"a \"]",
		  "- \"yes\"\n- \"1\"\n- \"\"\n- \"null\"\n- \"0x1\"\n- \"1e3\"\n- \"2026-03-12\"\n- \"fd00::/8\"\n- \"- a\"\n- \"a: b\"\n- \"a #b\"\n- \" a\"\n- \"a \"\n" },
		{ "[\"10.0.0.0/8\",\"a b\",\"app=db\",\"cellwall.io/origin\",\"8a90\",\"*.example.com\"]",
		  "- 10.0.0.0/8\n- a b\n- app=db\n- cellwall.io/origin\n- \"8a90\"\n- \"*.example.com\"\n" },
		{ "\"a\\nb\\t\\u0001\\\"\\\\\"", "\"a\\nb\\t\\u0001\\\"\\\\\"\n" },
		{ "[0.1,1e300,-0,123456789012345,1.5]", NULL },
		/* Whole numbers that a double holds exactly, and beyond. */
		{ "[9007199254740992,-9007199254740992]", "- 9007199254740992\n- -9007199254740992\n" },
		{ "[11111111111111112.0,-1e16,1e17]", "- 11111111111111112.0\n- -1e+16\n- 1e+17\n" },
		{ "\"\\u007f\\u0085\\u2028\\ufeff\\u00e9\\ud83d\\udd12\"", NULL },
		{ "{\"\":1,\"a b\":2,\"- \":3,\"<<\":4,\"true\":5}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct yaml_docs d = {};
		cJSON *j = NULL;
		char *text;

		assert_int_equal(json_parse(t[i].json, strlen(t[i].json), "j", NULL, &j), 0);
		text = yaml_print(j);
		assert_non_null(text);
		print_message("%s", text);
		if (t[i].yaml)
			assert_string_equal(text, t[i].yaml);
		/* what is printed can be read back */
		assert_int_equal(yaml_parse(text, strlen(text), "f", NULL, &d), 0);
		assert_int_equal(d.n, 1);
		assert_true(cJSON_Compare(d.docs[0].root, j, true));
		free(text);
		yaml_docs_done(&d);
		cJSON_Delete(j);
	}
}

static void long_key(void **state)
{
	char key[3001];
	cJSON *j = cJSON_CreateObject(), *l;
	struct yaml_docs d = {};
	char *text;

	(void)state;
	memset(key, 'k', 3000);
	key[3000] = '\0';
	l = cJSON_AddArrayToObject(j, key);
	cJSON_AddItemToArray(l, cJSON_CreateString("x"));
	key[2999] = '\0';
	cJSON_AddNumberToObject(cJSON_AddObjectToObject(j, key), "a", 1);
	key[2998] = '\0';
	cJSON_AddNumberToObject(j, key, 1);
	memset(key, '\001', 300); /* six characters each when written */
	key[300] = '\0';
	cJSON_AddNumberToObject(j, key, 2);
	text = yaml_print(j);
	assert_int_equal(yaml_parse(text, strlen(text), "f", NULL, &d), 0);
	assert_true(cJSON_Compare(d.docs[0].root, j, true));
	free(text);
	yaml_docs_done(&d);
	cJSON_Delete(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars), cmocka_unit_test(refused),	cmocka_unit_test(collects),
		cmocka_unit_test(documents), cmocka_unit_test(limits), cmocka_unit_test(prints),
		cmocka_unit_test(long_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
