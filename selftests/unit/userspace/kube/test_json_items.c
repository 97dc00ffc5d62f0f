/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "kube/json_items.h"

/* What came out, as one text: "{...}|{...}|skip ns/name err|". */
struct got {
	struct buf text;
	int stop; /* what item() returns */
};

static int got_item(void *arg, cJSON *item)
{
	struct got *g = arg;
	char *s = cJSON_PrintUnformatted(item);

	buf_adds(&g->text, s);
	buf_adds(&g->text, "|");
	free(s);
	cJSON_Delete(item);
	return g->stop;
}

static void got_skip(void *arg, const struct json_items_skip *s)
{
	struct got *g = arg;

	buf_printf(&g->text, "skip %s/%s %s|", s->namespace_, s->name, s->err == -E2BIG ? "E2BIG" : "EBADMSG");
}

static const struct json_items_ops got_ops = { got_item, got_skip };

/* Feeds `in` in pieces of `step` bytes (0: at once); the result of feed or end. */
static int run(enum json_items_kind kind, size_t max, const char *in, size_t len, size_t step, struct got *g,
	       struct json_items **ret)
{
	struct json_items *s;
	int r = 0;

	assert_int_equal(json_items_new(kind, max, &got_ops, g, &s), 0);
	if (!step)
		step = len ?: 1;
	for (size_t i = 0; i < len && !r; i += step)
		r = json_items_feed(s, in + i, len - i < step ? len - i : step);
	r = r ?: json_items_end(s);
	*ret = s;
	return r;
}

#define L JSON_ITEMS_LIST
#define S JSON_ITEMS_STREAM

static const struct {
	const char *name;
	enum json_items_kind kind;
	const char *in;
	int r;
	const char *want; /* items */
	const char *kind_name, *version, *token;
} table[] = {
	{ "empty list", L, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}", 0, "", "PodList", "7", "" },
	{ "null items", L, "{\"items\":null,\"metadata\":{\"resourceVersion\":\"8\",\"continue\":\"abc\"},\"kind\":\"X\"}", 0, "", "X", "8", "abc" },
	{ "two items, spaces", L, " {\n \"items\" : [ {\"a\":1} ,\t{\"b\":[{},\"]\",{\"c\":\"}\\\"{\"}]} ] , \"metadata\":{}}\n", 0, "{\"a\":1}|{\"b\":[{},\"]\",{\"c\":\"}\\\"{\"}]}|", "", "", "" },
	{ "unknown fields are passed over", L, "{\"x\":[{\"items\":[{\"no\":1}]}],\"y\":{\"metadata\":{\"continue\":\"no\"}},\"z\":-1.5e3,\"items\":[{\"yes\":true}]}", 0, "{\"yes\":true}|", "", "", "" },
	{ "an item that is no object", L, "{\"items\":[1,\"s\",null,[{}],{\"a\":1}]}", 0, "skip / EBADMSG|skip / EBADMSG|skip / EBADMSG|skip / EBADMSG|{\"a\":1}|", "", "", "" },
	{ "an item that is no JSON inside", L, "{\"items\":[{\"metadata\":{\"name\":\"n\",\"namespace\":\"s\"},\"a\":01},{\"b\":2}]}", 0, "skip s/n EBADMSG|{\"b\":2}|", "", "", "" },
	{ "duplicate key in an item", L, "{\"items\":[{\"a\":1,\"a\":2}]}", 0, "skip / EBADMSG|", "", "", "" },
	{ "managedFields become null", L, "{\"items\":[{\"metadata\":{\"name\":\"n\",\"managedFields\":[{\"x\":{\"f:y\":\"]\"}}],\"uid\":\"u\"},\"managedFields\":[1]}]}", 0, "{\"metadata\":{\"name\":\"n\",\"managedFields\":null,\"uid\":\"u\"},\"managedFields\":[1]}|", "", "", "" },
	{ "managedFields that are a word, last", L, "{\"items\":[{\"metadata\":{\"managedFields\":true}}]}", 0, "{\"metadata\":{\"managedFields\":null}}|", "", "", "" },
	{ "a NUL in a string does not hide it", L, "{\"items\":[{\"a\":\"x\\u0000y\\\\u0000\"}]}", 0, "{\"a\":\"x\xef\xbf\xbdy\\\\u0000\"}|", "", "", "" },
	{ "a NUL in a muted place", L, "{\"items\":[{\"metadata\":{\"managedFields\":\"\\u0000\"}}]}", 0, "{\"metadata\":{\"managedFields\":null}}|", "", "", "" },
	{ "escaped key is not the key", L, "{\"items\":[{\"metadata\":{\"n\\u0061me\":\"n\"},\"a\":01}]}", 0, "skip / EBADMSG|", "", "", "" },
	{ "no items", L, "{\"kind\":\"Status\"}", -EBADMSG, "", "Status", "", "" },
	{ "items twice", L, "{\"items\":[{\"a\":1}],\"items\":[{\"b\":1}]}", -EBADMSG, "{\"a\":1}|", "", "", "" },
	{ "items an object", L, "{\"items\":{\"a\":1}}", -EBADMSG, "", "", "", "" },
	{ "cut in an item", L, "{\"items\":[{\"a\":1},{\"b\":", -EBADMSG, "{\"a\":1}|", "", "", "" },
	{ "cut before the end", L, "{\"items\":[{\"a\":1}]", -EBADMSG, "{\"a\":1}|", "", "", "" },
	{ "wrong bracket", L, "{\"items\":[{\"a\":1}}", -EBADMSG, "{\"a\":1}|", "", "", "" },
	{ "missing comma", L, "{\"items\":[{\"a\":1}{\"b\":1}]}", -EBADMSG, "{\"a\":1}|", "", "", "" },
	{ "trailing comma", L, "{\"items\":[{\"a\":1},]}", -EBADMSG, "{\"a\":1}|", "", "", "" },
	{ "after the end", L, "{\"items\":[]} x", -EBADMSG, "", "", "", "" },
	{ "an array", L, "[{\"items\":[]}]", -EBADMSG, "", "", "", "" },
	{ "nothing", L, "", -EBADMSG, "", "", "", "" },
	{ "no key", L, "{:1}", -EBADMSG, "", "", "", "" },
	{ "bad escape", L, "{\"items\":[{\"a\":\"\\x\"}]}", -EBADMSG, "", "", "", "" },
	{ "bad metadata", L, "{\"metadata\":{\"a\":01},\"items\":[]}", -EBADMSG, "", "", "", "" },
	{ "stream", S, "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n{\"type\":\"X\"}\n", 0, "{\"type\":\"ADDED\",\"object\":{\"a\":1}}|{\"type\":\"X\"}|", "", "", "" },
	{ "stream without line ends", S, "{\"a\":1}{\"b\":2}", 0, "{\"a\":1}|{\"b\":2}|", "", "", "" },
	{ "stream, managedFields", S, "{\"type\":\"A\",\"object\":{\"metadata\":{\"managedFields\":[{}],\"name\":\"n\"}}}", 0, "{\"type\":\"A\",\"object\":{\"metadata\":{\"managedFields\":null,\"name\":\"n\"}}}|", "", "", "" },
	{ "stream, bad item named", S, "{\"object\":{\"metadata\":{\"namespace\":\"s\",\"name\":\"n\"},\"a\":00}}", 0, "skip s/n EBADMSG|", "", "", "" },
	{ "stream of nothing", S, "\n \n", 0, "", "", "", "" },
	{ "stream cut", S, "{\"a\":1}{\"b\"", -EBADMSG, "{\"a\":1}|", "", "", "" },
	{ "stream of words", S, "true", -EBADMSG, "", "", "", "" },
};

static void pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		size_t len = strlen(table[i].in);

		print_message("  %s\n", table[i].name);
		/* In one piece, byte by byte, and in every other size: the same. */
		for (size_t step = 0; step <= len; step++) {
			struct got g = {};
			struct json_items *s;

			buf_init(&g.text, 1u << 20);
			assert_int_equal(run(table[i].kind, 0, table[i].in, len, step, &g, &s), table[i].r);
			assert_string_equal(g.text.data ?: "", table[i].want);
			assert_string_equal(json_items_list_kind(s), table[i].kind_name);
			assert_string_equal(json_items_resource_version(s), table[i].version);
			assert_string_equal(json_items_continue(s), table[i].token);
			json_items_free(s);
			buf_done(&g.text);
		}
	}
}

static char *repeat(const char *s, size_t n)
{
	struct buf b;

	buf_init(&b, 64u << 20);
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, s);
	return buf_take(&b, NULL);
}

/* An oversized and a too deep item are left out by name; their neighbours are not. */
static void limits(void **state)
{
	static const size_t steps[] = { 0, 1, 7, 4096 };
	auto_free char *fat = repeat("0123456789", 1000), *deep = repeat("[", 5000), *deep_end = repeat("]", 5000);
	auto_free char *in = NULL;

	(void)state;
	assert_true(asprintf(&in,
			     "{\"items\":[{\"metadata\":{\"name\":\"a\"}},"
			     "{\"metadata\":{\"name\":\"fat\",\"namespace\":\"s\"},\"x\":\"%s\"},"
			     "{\"metadata\":{\"name\":\"deep\",\"namespace\":\"s\"},\"x\":%s\"]\"%s},"
			     "{\"metadata\":{\"name\":\"b\",\"managedFields\":[\"%s\"]}}]}",
			     fat, deep, deep_end, fat) > 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct got g = {};
		struct json_items *s;

		buf_init(&g.text, 1u << 20);
		assert_int_equal(run(L, 10000, in, strlen(in), steps[i], &g, &s), 0);
		assert_string_equal(g.text.data, "{\"metadata\":{\"name\":\"a\"}}|skip s/fat E2BIG|skip s/deep E2BIG|"
						 "{\"metadata\":{\"name\":\"b\",\"managedFields\":null}}|");
		assert_int_equal(json_items_count(s), 2);
		assert_int_equal(json_items_skipped(s), 2);
		assert_true(json_items_held_max(s) <= 32768);
		json_items_free(s);
		buf_done(&g.text);
	}
	/* Depth outside items, and metadata without end. */
	{
		struct got g = {};
		struct json_items *s;
		auto_free char *text = NULL, *meta = NULL, *much = repeat("0123456789", 7000);

		buf_init(&g.text, 1024);
		assert_true(asprintf(&text, "{\"x\":%s", deep) > 0);
		assert_int_equal(run(L, 0, text, strlen(text), 0, &g, &s), -E2BIG);
		assert_int_equal(json_items_feed(s, "{", 1), -E2BIG); /* sticks */
		json_items_free(s);
		assert_true(asprintf(&meta, "{\"metadata\":{\"x\":\"%s\"},\"items\":[]}", much) > 0);
		assert_int_equal(run(L, 0, meta, strlen(meta), 0, &g, &s), -E2BIG);
		json_items_free(s);
		assert_int_equal(json_items_new(L, JSON_BYTES_MAX + 1, &got_ops, &g, &s), -EINVAL);
	}
}

static void stopping(void **state)
{
	static const char in[] = "{\"items\":[{\"a\":1},{\"b\":1}]}";
	struct got g = { .stop = -ECANCELED };
	struct json_items *s;

	(void)state;
	buf_init(&g.text, 1024);
	assert_int_equal(run(L, 0, in, strlen(in), 0, &g, &s), -ECANCELED);
	assert_string_equal(g.text.data, "{\"a\":1}|");
	json_items_free(s);
	buf_done(&g.text);
}

static void managed_fields_kept(void **state)
{
	static const char in[] = "{\"items\":[{\"metadata\":{\"managedFields\":[{\"a\":1}]}}]}";
	struct got g = {};
	struct json_items *s;

	(void)state;
	buf_init(&g.text, 1024);
	assert_int_equal(json_items_new(L, 0, &got_ops, &g, &s), 0);
	json_items_keep_managed(s);
	for (size_t i = 0; i < strlen(in); i++)
		assert_int_equal(json_items_feed(s, in + i, 1), 0);
	assert_int_equal(json_items_end(s), 0);
	assert_string_equal(g.text.data, "{\"metadata\":{\"managedFields\":[{\"a\":1}]}}|");
	json_items_free(s);
	buf_done(&g.text);
}

/* ---- memory: 100,000 pods pass through what one of them needs ---------------------------------- */

static size_t live, peak;

static void *counting_malloc(size_t n)
{
	void *p = malloc(n);

	live += p ? malloc_usable_size(p) : 0;
	if (live > peak)
		peak = live;
	return p;
}

static void counting_free(void *p)
{
	live -= p ? malloc_usable_size(p) : 0;
	free(p);
}

struct crowd { size_t n; };

static int crowd_item(void *arg, cJSON *item)
{
	struct crowd *c = arg;
	char name[32];

	snprintf(name, sizeof(name), "web-%zu", c->n++);
	assert_string_equal(json_str(json_get(item, "metadata"), "name"), name);
	assert_non_null(json_str(json_get(item, "status"), "podIP"));
	cJSON_Delete(item);
	return 0;
}

#define PODS 100000u
#define CHUNK 16384u

static void many(void **state)
{
	static const struct json_items_ops ops = { .item = crowd_item };
	static const cJSON_Hooks count = { counting_malloc, counting_free };
	struct json_items *s;
	struct crowd c = {};
	struct buf b;
	size_t total = 0;

	(void)state;
	buf_init(&b, 1u << 20);
	assert_int_equal(json_items_new(L, 0, &ops, &c, &s), 0);
	cJSON_InitHooks((cJSON_Hooks *)(uintptr_t)&count);
	buf_adds(&b, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[");
	for (size_t i = 0; i < PODS; i++) {
		buf_printf(&b, "%s{\"metadata\":{\"name\":\"web-%zu\",\"namespace\":\"shop\",\"uid\":\"%032zx\",\"labels\":"
			   "{\"app\":\"web\",\"pod-template-hash\":\"abc\"},\"managedFields\":[{\"manager\":\"kubelet\","
			   "\"fieldsV1\":{\"f:status\":{\"f:conditions\":{\".\":{},\"k:{\\\"type\\\":\\\"Ready\\\"}\":{}}}}}]},"
			   "\"spec\":{\"nodeName\":\"n%zu\",\"containers\":[{\"name\":\"c\",\"image\":\"web:1\",\"env\":"
			   "[{\"name\":\"A\",\"value\":\"%0500d\"}]}]},\"status\":{\"phase\":\"Running\",\"podIP\":"
			   "\"10.%zu.%zu.%zu\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
			   i ? "," : "", i, i, i % 500, 7, i >> 16 & 255, i >> 8 & 255, i & 255);
		if (b.len >= CHUNK || i + 1 == PODS) {
			if (i + 1 == PODS)
				buf_adds(&b, "]}");
			assert_int_equal(json_items_feed(s, b.data, b.len), 0);
			total += b.len;
			b.len = 0;
		}
	}
	assert_int_equal(json_items_end(s), 0);
	cJSON_InitHooks(NULL);
	print_message("  %zu MiB in, peak %zu bytes of trees, %zu of text\n", total >> 20, peak, json_items_held_max(s));
	assert_int_equal(c.n, PODS);
	assert_int_equal(live, 0);
	assert_true(total > 80u << 20);
	assert_true(peak < 32768 && json_items_held_max(s) < 8192);
	json_items_free(s);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces),
		cmocka_unit_test(limits),
		cmocka_unit_test(stopping),
		cmocka_unit_test(managed_fields_kept),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
