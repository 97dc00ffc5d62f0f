/* SPDX-License-Identifier: Apache-2.0 */
#include "base/doc.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"

#define KEY_SHOWN_MAX 80   /* bytes of an unknown key in a message */
#define VALUE_SHOWN_MAX 80
#define FIELDS_MAX 64
#define TEXT_MAX 4096
#define PLACE_MAX 8192

/* At most max bytes of s, whole characters, ".." for what is left out. */
static void put_short(struct buf *b, const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max) {
		buf_adds(b, s);
		return;
	}
	for (n = max; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
		;
	buf_add(b, s, n);
	buf_adds(b, "..");
}

static size_t extend(struct doc *d, const char *text)
{
	size_t mark = d->path_len, room = sizeof(d->path) - d->path_len - 1, n = strlen(text);

	/* A path that is too long just ends early: the line still says where. */
	if (n <= room) {
		memcpy(d->path + d->path_len, text, n + 1);
		d->path_len += n;
	}
	return mark;
}

size_t doc_enter(struct doc *d, const char *key)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, 2 * KEY_SHOWN_MAX);
	buf_adds(&b, d->path_len ? "." : "");
	put_short(&b, key, KEY_SHOWN_MAX);
	return extend(d, b.data ? b.data : "");
}

size_t doc_enter_index(struct doc *d, size_t i)
{
	char text[32];

	snprintf(text, sizeof(text), "[%zu]", i);
	return extend(d, text);
}

void doc_leave(struct doc *d, size_t mark)
{
	d->path_len = mark;
	d->path[mark] = '\0';
}

/* rules/db.yaml:14, document 2, spec.ports[0]: "tcp/9000-8000" */
static void put_place(struct buf *b, const struct doc *d, unsigned line, const cJSON *value)
{
	buf_adds(b, d->file);
	if (line)
		buf_printf(b, ":%u", line);
	if (d->number)
		buf_printf(b, ", document %u", d->number);
	if (d->object)
		buf_printf(b, ", %s", d->object);
	if (d->path_len)
		buf_printf(b, ", %s", d->path);
	if (!value)
		return;
	if (cJSON_IsString(value)) {
		buf_adds(b, ": \"");
		put_short(b, value->valuestring, VALUE_SHOWN_MAX);
		buf_adds(b, "\"");
	} else if (cJSON_IsNumber(value)) {
		buf_printf(b, ": %.15g", value->valuedouble);
	} else if (cJSON_IsBool(value)) {
		buf_printf(b, ": %s", cJSON_IsTrue(value) ? "true" : "false");
	} else if (cJSON_IsNull(value)) {
		buf_adds(b, ": nothing");
	}
}

/* `where` gives the line, `value` is quoted; either may be NULL. */
static void add(struct doc *d, const cJSON *where, const cJSON *value, const char *name,
		const char *expected, const char *message)
{
	auto_cleanup(buf_done) struct buf at = {}, next = {};
	unsigned line = d->yaml && where ? yaml_line(d->yaml, where) : 0;
	char full[96];

	d->faults++;
	buf_init(&at, PLACE_MAX);
	buf_init(&next, PLACE_MAX);
	snprintf(full, sizeof(full), "%s.%s", d->prefix, name);
	put_place(&at, d, line, value);
	if (line)
		buf_printf(&next, "correct line %u", line);
	if (line && d->next)
		buf_printf(&next, ", then\n%s", d->next);
	if (d->f && d->f->n < FAIL_LIST_MAX)
		d->lines[d->f->n] = line;
	fail_add(d->f, -EINVAL, full, at.data, expected, next.data, "%s", message);
}

void doc_sort(struct doc *d, size_t first)
{
	struct fail_list *f = d->f;

	for (size_t i = first + 1; f && i < f->n; i++) {
		struct fail item = f->items[i];
		unsigned line = d->lines[i];
		size_t k = i;

		for (; k > first && d->lines[k - 1] > line; k--) {
			f->items[k] = f->items[k - 1];
			d->lines[k] = d->lines[k - 1];
		}
		f->items[k] = item;
		d->lines[k] = line;
	}
}

int doc_fault(struct doc *d, const cJSON *node, const char *name, const char *expected,
	      const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	add(d, node, node, name, expected, message);
	return 0;
}

static void put_words(struct buf *b, const char *wrong, const char *const *words, size_t n)
{
	const char *near = wrong ? nearest_word(wrong, words, n) : NULL;

	buf_adds(b, n > 1 ? "one of " : "only ");
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? ", " : "", words[i]);
	if (near)
		buf_printf(b, "; did you mean \"%s\"?", near);
}

int doc_unknown(struct doc *d, const cJSON *m, const char *const *words, size_t n)
{
	auto_cleanup(buf_done) struct buf expected = {}, message = {};
	size_t mark = doc_enter(d, m->string);

	buf_init(&expected, TEXT_MAX);
	buf_init(&message, TEXT_MAX);
	put_words(&expected, m->string, words, n);
	buf_adds(&message, "unknown field \"");
	put_short(&message, m->string, KEY_SHOWN_MAX);
	buf_adds(&message, "\"");
	/* The value is not to blame. */
	add(d, m, NULL, "unknown-field", expected.data, message.data ? message.data : "unknown field");
	doc_leave(d, mark);
	return 0;
}

static const char *type_name(const cJSON *v)
{
	if (cJSON_IsString(v))
		return "text";
	if (cJSON_IsNumber(v))
		return "a number";
	if (cJSON_IsBool(v))
		return "true or false";
	if (cJSON_IsArray(v))
		return "a list";
	return cJSON_IsObject(v) ? "a map of fields" : "nothing";
}

static void wrong_type(struct doc *d, const cJSON *v, const char *expected)
{
	doc_fault(d, v, "type", expected, "found %s where %s is needed", type_name(v), expected);
}

int doc_object(struct doc *d, const cJSON *obj, const struct doc_field *fields, size_t n, void *ctx)
{
	const char *words[FIELDS_MAX], *near;
	bool seen[FIELDS_MAX] = {};
	char expected[64];
	const cJSON *m;
	size_t i;
	int r = 0;

	assert(n <= FIELDS_MAX);
	if (!cJSON_IsObject(obj)) {
		wrong_type(d, obj, "a map of fields");
		return 0;
	}
	cJSON_ArrayForEach(m, obj) {
		for (i = 0; i < n && strcmp(fields[i].key, m->string) != 0; i++)
			;
		if (i == n) {
			for (i = 0; i < n; i++)
				words[i] = fields[i].key;
			doc_unknown(d, m, words, n);
			/* What was meant is not missing as well. */
			near = nearest_word(m->string, words, n);
			for (i = 0; near && i < n; i++)
				if (words[i] == near)
					seen[i] = true;
			continue;
		}
		if (d->null_absent && cJSON_IsNull(m))
			continue;
		seen[i] = true;
		if (fields[i].read) {
			size_t mark = doc_enter(d, m->string);

			r = fields[i].read(d, m, ctx);
			doc_leave(d, mark);
			if (r < 0)
				return r;
		}
	}
	for (i = 0; i < n; i++) {
		size_t mark;

		if (!fields[i].required || seen[i])
			continue;
		mark = doc_enter(d, fields[i].key);
		snprintf(expected, sizeof(expected), "%s: ...", fields[i].key);
		doc_fault(d, obj, "missing-field", expected, "the field \"%s\" is missing",
			  fields[i].key);
		doc_leave(d, mark);
	}
	return 0;
}

int doc_list(struct doc *d, const cJSON *list, size_t max,
	     int (*read)(struct doc *d, const cJSON *v, void *ctx), void *ctx)
{
	char expected[48];
	const cJSON *v;
	size_t i = 0;
	int r;

	if (!cJSON_IsArray(list)) {
		wrong_type(d, list, "a list");
		return 0;
	}
	if (!list->child)
		return doc_fault(d, list, "empty-list", "at least one item", "the list is empty");
	if ((size_t)cJSON_GetArraySize(list) > max) {
		snprintf(expected, sizeof(expected), "at most %zu items", max);
		return doc_fault(d, list, "too-many", expected, "the list has %d items",
				 cJSON_GetArraySize(list));
	}
	cJSON_ArrayForEach(v, list) {
		size_t mark = doc_enter_index(d, i++);

		r = read(d, v, ctx);
		doc_leave(d, mark);
		if (r < 0)
			return r;
	}
	return 0;
}

bool doc_text(struct doc *d, const cJSON *v, size_t max, const char **ret)
{
	char expected[64];

	if (!cJSON_IsString(v)) {
		wrong_type(d, v, cJSON_IsNumber(v) || cJSON_IsBool(v) ? "text in quotes" : "text");
		return false;
	}
	if (strlen(v->valuestring) > max) {
		snprintf(expected, sizeof(expected), "at most %zu bytes", max);
		doc_fault(d, v, "too-long", expected, "the text has %zu bytes", strlen(v->valuestring));
		return false;
	}
	*ret = v->valuestring;
	return true;
}

bool doc_bool(struct doc *d, const cJSON *v, bool *ret)
{
	if (!cJSON_IsBool(v)) {
		wrong_type(d, v, "true or false");
		return false;
	}
	*ret = cJSON_IsTrue(v);
	return true;
}

bool doc_u64(struct doc *d, const cJSON *v, uint64_t min, uint64_t max, uint64_t *ret)
{
	char expected[80];
	double n = v->valuedouble;

	snprintf(expected, sizeof(expected), "a whole number from %" PRIu64 " to %" PRIu64, min, max);
	if (!cJSON_IsNumber(v)) {
		wrong_type(d, v, expected);
		return false;
	}
	if (n != floor(n) || n < (double)min || n > (double)max || n > 9007199254740992.0) {
		doc_fault(d, v, "range", expected, "the number is %s",
			  n != floor(n) ? "not whole" : "out of range");
		return false;
	}
	*ret = (uint64_t)n;
	return true;
}

bool doc_word(struct doc *d, const cJSON *v, const char *const *words, size_t n, size_t *ret)
{
	auto_cleanup(buf_done) struct buf expected = {}, message = {};
	const char *what = d->path;

	for (size_t i = 0; i < n && cJSON_IsString(v); i++) {
		if (strcmp(words[i], v->valuestring) == 0) {
			*ret = i;
			return true;
		}
	}
	buf_init(&expected, TEXT_MAX);
	put_words(&expected, cJSON_GetStringValue(v), words, n);
	if (!cJSON_IsString(v)) {
		doc_fault(d, v, "type", expected.data, "found %s where a word is needed", type_name(v));
		return false;
	}
	/* "unknown action "permit"": the last key of the path says what it is. */
	for (const char *p = d->path; *p; p++)
		if (*p == '.')
			what = p + 1;
	buf_init(&message, TEXT_MAX);
	buf_printf(&message, "unknown %.*s \"", (int)strcspn(what, "["), what);
	put_short(&message, v->valuestring, VALUE_SHOWN_MAX);
	buf_adds(&message, "\"");
	doc_fault(d, v, "word", expected.data, "%s", message.data ? message.data : "unknown word");
	return false;
}
