/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - the key table as text: effective values, the commented default file, the reference. */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"

#define TEXT_MAX (1u << 20)

static cJSON *words_json(const struct config_key *k, uint64_t bits)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < k->nwords && list; i++)
		if (bits & k->values[i])
			cJSON_AddItemToArray(list, cJSON_CreateString(k->words[i]));
	return list;
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
	case CONFIG_WORDS:
		return words_json(k, *(const uint64_t *)p);
	case CONFIG_NUMBER:
	case CONFIG_POWER:
		return cJSON_CreateNumber((double)*(const uint64_t *)p);
	case CONFIG_DURATION:
		return duration_json(*(const uint64_t *)p);
	case CONFIG_NAME:
	case CONFIG_PATH:
		return cJSON_CreateString(*(char *const *)p ? *(char *const *)p : "");
	case CONFIG_CLOSED:
		return cJSON_CreateString(*(const bool *)p ? "closed" : "open");
	case CONFIG_PREFIXES:
	case CONFIG_LABEL_KEYS:
	case CONFIG_IDS:
		break;
	}
	list = cJSON_CreateArray();
	if (k->type == CONFIG_PREFIXES) {
		const struct config_prefixes *v = p;
		char text[PREFIX_STR_MAX];

		for (size_t i = 0; i < v->n; i++)
			cJSON_AddItemToArray(list, cJSON_CreateString(prefix_str(&v->v[i], text)));
	} else if (k->type == CONFIG_LABEL_KEYS) {
		const struct config_texts *v = p;

		for (size_t i = 0; i < v->n; i++)
			cJSON_AddItemToArray(list, cJSON_CreateString(v->v[i]));
	} else {
		const struct config_ids *v = p;

		for (size_t i = 0; i < v->n; i++)
			cJSON_AddItemToArray(list, cJSON_CreateNumber(v->v[i]));
	}
	return list;
}

cJSON *config_show(const struct config *c, bool zh)
{
	auto_cleanup(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
	struct config dflt = {};

	if (!list || config_default(&dflt) < 0)
		return NULL;
	for (size_t i = 0; i < config_nkeys; i++) {
		const struct config_key *k = &config_keys[i];
		cJSON *o = cJSON_CreateObject(), *value = value_json(c, k), *was = value_json(&dflt, k);
		char source[1100] = "default";

		if (c->from[i].file && c->from[i].line)
			snprintf(source, sizeof(source), "%.1000s:%u", c->from[i].file, c->from[i].line);
		else if (c->from[i].file)
			snprintf(source, sizeof(source), "%.1000s", c->from[i].file);
		if (!o || !value || !was || !cJSON_AddItemToArray(list, o)) {
			cJSON_Delete(o);
			cJSON_Delete(value);
			cJSON_Delete(was);
			config_done(&dflt);
			return NULL;
		}
		cJSON_AddStringToObject(o, "key", k->path);
		cJSON_AddItemToObject(o, "value", value);
		cJSON_AddItemToObject(o, "default", was);
		cJSON_AddStringToObject(o, "source", source);
		cJSON_AddStringToObject(o, "doc", zh ? k->doc_zh : k->doc_en);
	}
	config_done(&dflt);
	return take_ptr(list);
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
		buf_printf(&b, "| `%s` | `%s` | ", k->path, k->dflt);
		for (const char *s = range.data ? range.data : ""; *s; s++)
			buf_printf(&b, *s == '|' ? "\\%c" : "%c", *s);
		buf_printf(&b, " | %s |\n", zh ? k->doc_zh : k->doc_en);
	}
	return buf_take(&b, NULL);
}
