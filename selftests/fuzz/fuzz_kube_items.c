/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_kube_items.c - the splitter of lists and watch streams: the same items come out however the bytes
 * are cut, and for a document that the JSON reader takes whole they are those that it finds.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "kube/json_items.h"

#define ITEM_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct got {
	cJSON *items; /* an array */
	unsigned skipped;
};

static int item(void *arg, cJSON *j)
{
	struct got *g = arg;

	assert(cJSON_IsObject(j));
	assert(cJSON_AddItemToArray(g->items, j));
	return 0;
}

static void skipped(void *arg, const struct json_items_skip *s)
{
	struct got *g = arg;

	assert(s->err == -E2BIG || s->err == -EBADMSG);
	assert(strlen(s->name) < KUBE_NAME_MAX && strlen(s->namespace_) < KUBE_NAME_MAX);
	g->skipped++;
}

static int run(enum json_items_kind kind, const uint8_t *p, size_t n, size_t step, struct got *g)
{
	static const struct json_items_ops ops = { item, skipped };
	struct json_items *s;
	int r = 0;

	g->items = cJSON_CreateArray();
	g->skipped = 0;
	assert(g->items && json_items_new(kind, ITEM_MAX, &ops, g, &s) == 0);
	for (size_t i = 0; i < n && r == 0; i += step)
		r = json_items_feed(s, (const char *)p + i, n - i < step ? n - i : step);
	r = r ?: json_items_end(s);
	assert(r == 0 || r == -EBADMSG || r == -E2BIG);
	assert(json_items_count(s) == (uint64_t)cJSON_GetArraySize(g->items));
	assert(json_items_skipped(s) == g->skipped);
	/* text of an item and of the metadata, each rounded up to a power of two */
	assert(json_items_held_max(s) <= 2 * ITEM_MAX + 2 * KUBE_LIST_META_BYTES_MAX);
	json_items_free(s);
	return r;
}

static void drop_managed(cJSON *list)
{
	cJSON *o;

	cJSON_ArrayForEach(o, list) {
		cJSON *m = cJSON_GetObjectItemCaseSensitive(o, "metadata");

		if (cJSON_IsObject(m) && json_get(m, "managedFields"))
			cJSON_ReplaceItemInObjectCaseSensitive(m, "managedFields", cJSON_CreateNull());
	}
}

/* A list the JSON reader takes, of small objects only: the splitter finds the same ones. */
static void compare(const uint8_t *data, size_t size, int r, const struct got *g)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	cJSON *items;

	/* Escaped keys are no keys to the splitter; the reader knows no difference. */
	if (size > ITEM_MAX || memchr(data, '\\', size) || json_parse((const char *)data, size, "f", NULL, &j) < 0)
		return;
	items = cJSON_GetObjectItemCaseSensitive(j, "items");
	if (!cJSON_IsObject(j) || !cJSON_IsArray(items) || r)
		return;
	for (cJSON *o = items->child, *next; o; o = next) {
		next = o->next;
		if (!cJSON_IsObject(o))
			cJSON_Delete(cJSON_DetachItemViaPointer(items, o));
	}
	drop_managed(items);
	assert(cJSON_Compare(items, g->items, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int kind = 0; kind < 2; kind++) {
		size_t steps[] = { size ?: 1, 1, 3 };
		struct got first, g;
		int r = run((enum json_items_kind)kind, data, size, steps[0], &first);

		if (kind == JSON_ITEMS_LIST)
			compare(data, size, r, &first);
		for (size_t i = 1; i < ARRAY_SIZE(steps); i++) {
			assert(run((enum json_items_kind)kind, data, size, steps[i], &g) == r);
			assert(g.skipped == first.skipped && cJSON_Compare(first.items, g.items, true));
			cJSON_Delete(g.items);
		}
		cJSON_Delete(first.items);
	}
	return 0;
}
