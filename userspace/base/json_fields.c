/* SPDX-License-Identifier: Apache-2.0 */
/* json_fields.c - compact JSON written and read field by field. */
#include "base/json_fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Bytes that are no UTF-8 become U+FFFD: a reader would refuse the whole text for them. */
static void put_quoted(struct buf *b, const char *s)
{
	const char *from = s;

	(void)buf_add(b, "\"", 1);
	while (*s) {
		const unsigned char c = (unsigned char)*s;
		const char *at = s;
		char text[8];
		int n;

		if (c >= 0x80 && utf8_next(&s) != 0xfffd)
			continue;
		if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
			s++;
			continue;
		}
		(void)buf_add(b, from, (size_t)(at - from));
		if (c >= 0x80) {
			n = snprintf(text, sizeof(text), "\xef\xbf\xbd");
		} else {
			n = c >= 0x20 ? snprintf(text, sizeof(text), "\\%c", c) : snprintf(text, sizeof(text), "\\u%04x", c);
			s++;
		}
		(void)buf_add(b, text, (size_t)n);
		from = s;
	}
	(void)buf_add(b, from, (size_t)(s - from));
	(void)buf_add(b, "\"", 1);
}

static void put_key(struct json_put *p, const char *key)
{
	if (p->comma)
		(void)buf_add(p->b, ",", 1);
	p->comma = true;
	if (key) {
		put_quoted(p->b, key);
		(void)buf_add(p->b, ":", 1);
	}
}

void json_put_open(struct json_put *p, const char *key, char bracket)
{
	put_key(p, key);
	(void)buf_add(p->b, &bracket, 1);
	p->comma = false;
}

void json_put_close(struct json_put *p, char bracket)
{
	(void)buf_add(p->b, &bracket, 1);
	p->comma = true;
}

/* Copies text that needs no escape and is at most max long; returns how long, or -1. */
static int copy_plain(char *to, const char *s, int max)
{
	int n = 0;

	for (; s[n]; n++) {
		const unsigned char c = (unsigned char)s[n];

		if (n == max || c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			return -1;
		to[n] = s[n];
	}
	return n;
}

/* What nearly every member is: short and plain, so put together in one piece. */
static bool put_short(struct json_put *p, const char *key, const char *s)
{
	char text[200];
	int n = 0, k;

	if (p->comma)
		text[n++] = ',';
	if (key) {
		text[n++] = '"';
		k = copy_plain(text + n, key, 60);
		if (k < 0)
			return false;
		n += k;
		text[n++] = '"';
		text[n++] = ':';
	}
	text[n++] = '"';
	k = copy_plain(text + n, s, 120);
	if (k < 0)
		return false;
	n += k;
	text[n++] = '"';
	p->comma = true;
	(void)buf_add(p->b, text, (size_t)n);
	return true;
}

void json_put_member(struct json_put *p, const char *key, const char *s)
{
	s = s ? s : "";
	if (put_short(p, key, s))
		return;
	put_key(p, key);
	put_quoted(p->b, s);
}

void json_put_item(struct json_put *p, const char *s)
{
	json_put_member(p, NULL, s);
}

void json_put_str(struct json_put *p, const char *key, const char *s)
{
	if (s && *s)
		json_put_member(p, key, s);
}

static void put_text(struct json_put *p, const char *key, const char *text, int n)
{
	put_key(p, key);
	(void)buf_add(p->b, text, (size_t)n);
}

void json_put_num_item(struct json_put *p, int64_t v)
{
	char text[24];

	put_text(p, NULL, text, snprintf(text, sizeof(text), "%" PRId64, v));
}

void json_put_num(struct json_put *p, const char *key, int64_t v)
{
	char text[24];

	if (v)
		put_text(p, key, text, snprintf(text, sizeof(text), "%" PRId64, v));
}

void json_put_u64(struct json_put *p, const char *key, uint64_t v)
{
	char text[28];

	if (v)
		put_text(p, key, text, snprintf(text, sizeof(text), "\"%" PRIu64 "\"", v));
}

void json_put_u64_item(struct json_put *p, uint64_t v)
{
	char text[28];

	put_text(p, NULL, text, snprintf(text, sizeof(text), "\"%" PRIu64 "\"", v));
}

void json_put_i64(struct json_put *p, const char *key, int64_t v)
{
	char text[28];

	if (v)
		put_text(p, key, text, snprintf(text, sizeof(text), "\"%" PRId64 "\"", v));
}

void json_put_true(struct json_put *p, const char *key, bool v)
{
	if (v)
		put_text(p, key, "true", 4);
}

void json_put_raw(struct json_put *p, const char *key, const char *json, size_t len)
{
	put_key(p, key);
	(void)buf_add(p->b, json, len);
}

/* ---- reading --------------------------------------------------------------------------------- */

void json_get_str(const cJSON *o, const char *key, char **to, int *err)
{
	const cJSON *v = json_get(o, key);

	if (*err || !v)
		return;
	if (!cJSON_IsString(v)) {
		*err = -EBADMSG;
		return;
	}
	*to = strdup(v->valuestring);
	if (!*to)
		*err = -ENOMEM;
}

void json_get_chars(const cJSON *o, const char *key, char *to, size_t size, int *err)
{
	const cJSON *v = json_get(o, key);
	size_t n;

	if (*err || !v)
		return;
	n = cJSON_IsString(v) ? strlen(v->valuestring) : size;
	if (n >= size)
		*err = -EBADMSG;
	else
		memcpy(to, v->valuestring, n + 1);
}

int64_t json_get_num(const cJSON *o, const char *key, int64_t min, int64_t max, int *err)
{
	const cJSON *v = json_get(o, key);
	double d = v ? v->valuedouble : 0;

	if (*err || (!v && min <= 0))
		return 0;
	if (!v || !cJSON_IsNumber(v) || !(d >= (double)min && d <= (double)max) || d != (double)(int64_t)d) {
		*err = -EBADMSG;
		return 0;
	}
	return (int64_t)d;
}

/* Digits and at most one leading minus: no blanks, no plus, nothing that strtoll would forgive. */
static bool digits(const char *s, bool negative)
{
	if (negative && *s == '-')
		s++;
	return *s && strspn(s, "0123456789") == strlen(s);
}

int64_t json_get_i64(const cJSON *o, const char *key, int *err)
{
	const cJSON *v = json_get(o, key);
	long long x;

	if (*err || !v)
		return 0;
	errno = 0;
	x = cJSON_IsString(v) && digits(v->valuestring, true) ? strtoll(v->valuestring, NULL, 10) : (errno = EINVAL, 0);
	if (!errno)
		return x;
	*err = -EBADMSG;
	return 0;
}

uint64_t json_item_u64(const cJSON *v, int *err)
{
	unsigned long long x;

	if (*err)
		return 0;
	errno = 0;
	x = cJSON_IsString(v) && digits(v->valuestring, false) ? strtoull(v->valuestring, NULL, 10) : (errno = EINVAL, 0);
	if (!errno)
		return x;
	*err = -EBADMSG;
	return 0;
}

uint64_t json_get_u64(const cJSON *o, const char *key, int *err)
{
	const cJSON *v = json_get(o, key);

	return *err || !v ? 0 : json_item_u64(v, err);
}

bool json_get_true(const cJSON *o, const char *key, int *err)
{
	const cJSON *v = json_get(o, key);

	if (!*err && v && !cJSON_IsBool(v))
		*err = -EBADMSG;
	return !*err && cJSON_IsTrue(v);
}

const cJSON *json_get_items(const cJSON *o, const char *key, size_t max, size_t *n, int *err)
{
	const cJSON *v = json_get(o, key);
	int count;

	if (*err || !v)
		return NULL;
	count = cJSON_IsArray(v) ? cJSON_GetArraySize(v) : -1;
	if (count < 0 || (size_t)count > max) {
		*err = -EBADMSG;
		return NULL;
	}
	*n = (size_t)count;
	return v->child;
}

const cJSON *json_get_list(const cJSON *o, const char *key, size_t max, size_t size, void **to, size_t *n, int *err)
{
	size_t count = 0;
	const cJSON *v = json_get_items(o, key, max, &count, err);

	if (!v)
		return NULL;
	*to = calloc(count, size);
	if (!*to) {
		*err = -ENOMEM;
		return NULL;
	}
	*n = count;
	return v;
}
