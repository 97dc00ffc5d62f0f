/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - the key table as text: effective values, the commented default file, the reference. */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"

#define TEXT_MAX (1u << 20)

/* Takes the item in every case; false: no memory. */
static bool put(cJSON *to, const char *key, cJSON *item)
{
	if (item && to && (key ? cJSON_AddItemToObject(to, key, item) : cJSON_AddItemToArray(to, item)))
		return true;
	cJSON_Delete(item);
	return false;
}

/* The shortest text that parses back: whole units only. */
static cJSON *duration_json(uint64_t ms)
{
	static const struct { const char *unit; uint64_t ms; } units[] = {
		{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
	};
	char text[32] = "0s";

	for (size_t i = 0; i < ARRAY_SIZE(units) && ms; i++) {
		if (ms % units[i].ms == 0) {
			snprintf(text, sizeof(text), "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].unit);
			break;
		}
	}
	return cJSON_CreateString(text);
}

/* The items of a list value; false: no memory. */
static bool put_items(cJSON *list, const void *p, const struct config_key *k)
{
	const struct config_prefixes *prefixes = p;
	const struct config_texts *texts = p;
	const struct config_ids *ids = p;
	char text[PREFIX_STR_MAX];
	bool ok = list;

	switch (k->type) {
	case CONFIG_WORDS:
		for (size_t i = 0; ok && i < k->nwords; i++)
			if (*(const uint64_t *)p & k->values[i])
				ok = put(list, NULL, cJSON_CreateString(k->words[i]));
		break;
	case CONFIG_PREFIXES:
		for (size_t i = 0; ok && i < prefixes->n; i++)
			ok = put(list, NULL, cJSON_CreateString(prefix_str(&prefixes->v[i], text)));
		break;
	case CONFIG_LABEL_KEYS:
	case CONFIG_HOSTS:
		for (size_t i = 0; ok && i < texts->n; i++)
			ok = put(list, NULL, cJSON_CreateString(texts->v[i]));
		break;
	case CONFIG_IDS:
		for (size_t i = 0; ok && i < ids->n; i++)
			ok = put(list, NULL, cJSON_CreateNumber(ids->v[i]));
		break;
	default:
		break;
	}
	return ok;
}

static cJSON *value_json(const struct config *c, const struct config_key *k)
{
	const void *p = (const char *)c + k->offset;
	cJSON *list;

	switch (k->type) {
	case CONFIG_WORD:
		for (size_t i = 0; i < k->nwords; i++)
			if (k->values[i] == *(const uint64_t *)p)
				return cJSON_CreateString(k->words[i]);
		return NULL;
	case CONFIG_NUMBER:
	case CONFIG_POWER:
		return cJSON_CreateNumber((double)*(const uint64_t *)p);
	case CONFIG_DURATION:
		return duration_json(*(const uint64_t *)p);
	case CONFIG_NAME:
	case CONFIG_TEXT:
	case CONFIG_PATH:
		return cJSON_CreateString(*(char *const *)p ? *(char *const *)p : "");
	case CONFIG_CLOSED:
		return cJSON_CreateString(*(const bool *)p ? "closed" : "open");
	default:
		list = cJSON_CreateArray();
		if (put_items(list, p, k))
			return list;
		cJSON_Delete(list);
		return NULL;
	}
}

static cJSON *row_json(const struct config *c, const struct config *dflt, size_t i, bool zh)
{
	const struct config_key *k = &config_keys[i];
	const struct config_from *from = &c->from[i];
	cJSON *o = cJSON_CreateObject();
	char source[1100] = "default";

	if (from->file && from->line)
		snprintf(source, sizeof(source), "%.1000s:%u", from->file, from->line);
	else if (from->file)
		snprintf(source, sizeof(source), "%.1000s", from->file);
	if (put(o, "key", cJSON_CreateString(k->path)) && put(o, "value", value_json(c, k)) &&
	    put(o, "default", value_json(dflt, k)) && put(o, "source", cJSON_CreateString(source)) &&
	    put(o, "doc", cJSON_CreateString(zh ? k->doc_zh : k->doc_en)))
		return o;
	cJSON_Delete(o);
	return NULL;
}

cJSON *config_show(const struct config *c, bool zh)
{
	cJSON *list = cJSON_CreateArray();
	struct config dflt = {};
	bool ok = list && config_default(&dflt) == 0;

	for (size_t i = 0; ok && i < config_nkeys; i++)
		ok = put(list, NULL, row_json(c, &dflt, i, zh));
	config_done(&dflt);
	if (ok)
		return list;
	cJSON_Delete(list);
	return NULL;
}

/* "one of off, learn", "2 to 65535", or NULL when the type says it all. */
static void put_range(struct buf *b, const struct config_key *k, bool zh)
{
	if (k->type == CONFIG_WORD || k->type == CONFIG_WORDS) {
		for (size_t i = 0; i < k->nwords; i++)
			buf_printf(b, "%s%s", i ? " | " : "", k->words[i]);
	} else if (k->type == CONFIG_CLOSED) {
		buf_adds(b, "open | closed");
	} else if (k->type == CONFIG_NUMBER || k->type == CONFIG_POWER) {
		buf_printf(b, zh ? "%llu 至 %llu" : "%llu to %llu", (unsigned long long)k->min,
			   (unsigned long long)k->max);
	} else if (k->type == CONFIG_DURATION) {
		auto_cleanup(cJSON_Deletep) cJSON *low = duration_json(k->min), *high = NULL;

		high = duration_json(k->max);
		if (low && high)
			buf_printf(b, zh ? "%s 至 %s" : "%s to %s", low->valuestring, high->valuestring);
		else
			b->err = -ENOMEM;
	}
}

char *config_default_text(bool zh)
{
	auto_cleanup(buf_done) struct buf b = {};
	char open[64] = ""; /* the sections that are open, "learn.scan." */

	buf_init(&b, TEXT_MAX);
	buf_adds(&b, zh ? "# cellwalld 的配置。每个键都可省略；此处均为默认值。\n"
			: "# Configuration of cellwalld. Every key may be left out; these are the defaults.\n");
	for (size_t i = 0; i < config_nkeys; i++) {
		const struct config_key *k = &config_keys[i];
		auto_cleanup(buf_done) struct buf range = {};
		const char *name = k->path, *dot;
		int depth = 0;

		buf_init(&range, TEXT_MAX);
		put_range(&range, k, zh);
		if (range.err)
			b.err = range.err;
		while ((dot = strchr(name, '.'))) {
			size_t n = (size_t)(dot + 1 - k->path);

			if (strncmp(open, k->path, n) != 0) {
				buf_printf(&b, "%s%*s%.*s:\n", depth ? "" : "\n", depth * 2, "", (int)(dot - name), name);
				snprintf(open, sizeof(open), "%.*s", (int)n, k->path);
			}
			name = dot + 1;
			depth++;
		}
		buf_printf(&b, "%*s# %s", depth * 2, "", zh ? k->doc_zh : k->doc_en);
		if (range.len)
			buf_printf(&b, zh ? "（%s）" : " (%s)", range.data);
		buf_printf(&b, "\n%*s%s: %s\n", depth * 2, "", name, k->dflt);
	}
	return buf_take(&b, NULL);
}

char *config_reference_text(bool zh)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, TEXT_MAX);
	buf_adds(&b, zh ? "| 键 | 默认值 | 取值 | 说明 |\n| --- | --- | --- | --- |\n"
			: "| key | default | values | meaning |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < config_nkeys; i++) {
		const struct config_key *k = &config_keys[i];
		auto_cleanup(buf_done) struct buf range = {};

		buf_init(&range, TEXT_MAX);
		put_range(&range, k, zh);
		if (range.err)
			b.err = range.err;
		buf_printf(&b, "| `%s` | `%s` | ", k->path, k->dflt);
		for (const char *s = range.data ? range.data : ""; *s; s++)
			buf_printf(&b, *s == '|' ? "\\%c" : "%c", *s);
		buf_printf(&b, " | %s |\n", zh ? k->doc_zh : k->doc_en);
	}
	return buf_take(&b, NULL);
}
