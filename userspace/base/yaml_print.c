/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/yaml_scalar.h"

#define YAML_TEXT_MAX (4u * JSON_BYTES_MAX)
#define SIMPLE_KEY_MAX 1000 /* a longer key needs the "? " form: readers look 1,024 ahead */

static void put_string(struct buf *b, const char *s)
{
	if (yaml_plain_safe(s)) {
		buf_adds(b, s);
		return;
	}
	buf_adds(b, "\"");
	while (*s) {
		const char *at = s;
		uint32_t cp = utf8_next(&s);

		if (cp == '"' || cp == '\\')
			buf_printf(b, "\\%c", (int)cp);
		else if (cp == '\n')
			buf_adds(b, "\\n");
		else if (cp == '\t')
			buf_adds(b, "\\t");
		else if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029 ||
			 cp == 0xfeff || cp == 0xfffe || cp == 0xffff)
			buf_printf(b, "\\u%04x", cp); /* readers would refuse or fold these */
		else if (cp == 0xfffd)
			buf_adds(b, "\xef\xbf\xbd");
		else
			buf_add(b, at, (size_t)(s - at));
	}
	buf_adds(b, "\"");
}

static void put_number(struct buf *b, double v)
{
	char text[40];

	if (v == floor(v) && fabs(v) <= YAML_EXACT_MAX) {
		buf_printf(b, "%lld", (long long)v);
		return;
	}
	/* The shortest text that reads back the same. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_adds(b, text);
	/* Written like an integer it would be one that readers cannot hold exactly. */
	if (!strpbrk(text, ".e"))
		buf_adds(b, ".0");
}

static bool is_block(const cJSON *j)
{
	return (cJSON_IsObject(j) || cJSON_IsArray(j)) && j->child;
}

static void put_inline(struct buf *b, const cJSON *j)
{
	if (cJSON_IsObject(j))
		buf_adds(b, "{}");
	else if (cJSON_IsArray(j))
		buf_adds(b, "[]");
	else if (cJSON_IsString(j))
		put_string(b, j->valuestring);
	else if (cJSON_IsNumber(j))
		put_number(b, j->valuedouble);
	else if (cJSON_IsBool(j))
		buf_adds(b, cJSON_IsTrue(j) ? "true" : "false");
	else
		buf_adds(b, "null");
}

static void pad(struct buf *b, int indent)
{
	buf_printf(b, "%*s", indent, "");
}

/* A key of many escapes is long only as written, so that is what is measured. */
static void put_key(struct buf *b, const char *key, int indent)
{
	auto_cleanup(buf_done) struct buf text = {};

	buf_init(&text, YAML_TEXT_MAX);
	put_string(&text, key);
	if (text.err && !b->err)
		b->err = text.err;
	if (text.len > SIMPLE_KEY_MAX) {
		buf_adds(b, "? ");
		buf_add(b, text.data, text.len);
		buf_adds(b, "\n");
		pad(b, indent);
	} else {
		buf_add(b, text.data, text.len);
	}
	buf_adds(b, ":");
}

/* The first line of a block continues a line already begun ("- ") when `begun`. */
static void put_block(struct buf *b, const cJSON *j, int indent, bool begun)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, j) {
		bool list = cJSON_IsArray(j);

		if (!begun)
			pad(b, indent);
		begun = false;
		if (list)
			buf_adds(b, "- ");
		else
			put_key(b, c->string, indent);
		if (!is_block(c)) {
			if (!list)
				buf_adds(b, " ");
			put_inline(b, c);
			buf_adds(b, "\n");
		} else if (list) {
			put_block(b, c, indent + 2, true);
		} else {
			buf_adds(b, "\n");
			/* A list stands under its key without further indent. */
			put_block(b, c, cJSON_IsArray(c) ? indent : indent + 2, false);
		}
	}
}

char *yaml_print(const cJSON *j)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, YAML_TEXT_MAX);
	if (is_block(j)) {
		put_block(&b, j, 0, false);
	} else {
		put_inline(&b, j);
		buf_adds(&b, "\n");
	}
	return buf_take(&b, NULL);
}
