/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict walk over the bytes first (RFC 8259 grammar, limits, UTF-8), then the library: it
 * alone would take leading zeros, raw control bytes, \u0000 and bytes after the value.
 */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_tree.h"
#include "base/text.h"

void cJSON_Deletep(cJSON **j)
{
	cJSON_Delete(*j);
}

struct scan {
	const char *s, *p, *end;
	unsigned depth, nodes;
	const char *fault; /* what is wrong at p */
	int err;
};

static int stop(struct scan *c, int err, const char *fault)
{
	c->err = err;
	c->fault = fault;
	return err;
}

static void skip_space(struct scan *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

static bool is_digit(const struct scan *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

#define NUMBER_BYTES_MAX 60 /* the library's own buffer takes 63 */

static int scan_number(struct scan *c)
{
	const char *start = c->p;

	if (*c->p == '-')
		c->p++;
	if (!is_digit(c))
		return stop(c, -EBADMSG, "a number without digits");
	if (*c->p == '0') {
		c->p++;
		if (is_digit(c))
			return stop(c, -EBADMSG, "a number with a leading zero");
	}
	while (is_digit(c))
		c->p++;
	if (c->p < c->end && *c->p == '.') {
		c->p++;
		if (!is_digit(c))
			return stop(c, -EBADMSG, "a number without digits after the point");
		while (is_digit(c))
			c->p++;
	}
	if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
		c->p++;
		if (c->p < c->end && (*c->p == '+' || *c->p == '-'))
			c->p++;
		if (!is_digit(c))
			return stop(c, -EBADMSG, "a number without digits in the exponent");
		while (is_digit(c))
			c->p++;
	}
	if (c->p - start > NUMBER_BYTES_MAX)
		return stop(c, -E2BIG, "a number with too many digits");
	return 0;
}

/* Four hex digits after "\u", or -1. */
static int hex4(struct scan *c)
{
	int v = 0;

	if (c->end - c->p < 4)
		return -1;
	for (int i = 0; i < 4; i++, c->p++) {
		char h = *c->p;

		v <<= 4;
		if (h >= '0' && h <= '9')
			v |= h - '0';
		else if ((h | 0x20) >= 'a' && (h | 0x20) <= 'f')
			v |= (h | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return v;
}

static int scan_escape(struct scan *c)
{
	int u;

	c->p++;
	if (c->p >= c->end || !strchr("\"\\/bfnrtu", *c->p) || !*c->p)
		return stop(c, -EBADMSG, "an unknown escape in a string");
	if (*c->p++ != 'u')
		return 0;
	u = hex4(c);
	if (u < 0)
		return stop(c, -EBADMSG, "\\u without four hex digits");
	if (u == 0)
		return stop(c, -EBADMSG, "a NUL character in a string");
	if (u >= 0xdc00 && u < 0xe000)
		return stop(c, -EBADMSG, "half a surrogate pair in a string");
	if (u >= 0xd800 && u < 0xdc00) {
		if (c->end - c->p < 2 || c->p[0] != '\\' || c->p[1] != 'u')
			return stop(c, -EBADMSG, "half a surrogate pair in a string");
		c->p += 2;
		u = hex4(c);
		if (u < 0xdc00 || u >= 0xe000)
			return stop(c, -EBADMSG, "half a surrogate pair in a string");
	}
	return 0;
}

static int scan_string(struct scan *c)
{
	c->p++;
	while (c->p < c->end) {
		unsigned char ch = (unsigned char)*c->p;
		char seq[5] = "";
		const char *q = seq;
		size_t left = (size_t)(c->end - c->p);
		int r;

		if (ch == '"') {
			c->p++;
			return 0;
		}
		if (ch == '\\') {
			r = scan_escape(c);
			if (r < 0)
				return r;
			continue;
		}
		if (ch == 0)
			return stop(c, -EBADMSG, "a NUL byte in a string");
		if (ch < 0x20)
			return stop(c, -EBADMSG, "a raw control character in a string");
		if (ch < 0x80) {
			c->p++;
			continue;
		}
		memcpy(seq, c->p, left < 4 ? left : 4);
		if (utf8_next(&q) == 0xfffd && memcmp(seq, "\xef\xbf\xbd", 3) != 0)
			return stop(c, -EBADMSG, "bytes that are not UTF-8");
		c->p += q - seq;
	}
	return stop(c, -EBADMSG, "a string without its closing quote");
}

static int scan_word(struct scan *c)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(c->end - c->p) >= n && memcmp(c->p, words[i], n) == 0) {
			c->p += n;
			return 0;
		}
	}
	return stop(c, -EBADMSG, "something that is no JSON value");
}

/* "key" and the colon. */
static int scan_key(struct scan *c)
{
	int r;

	skip_space(c);
	if (c->p >= c->end || *c->p != '"')
		return stop(c, -EBADMSG, "a key is missing or not in quotes");
	r = scan_string(c);
	if (r < 0)
		return r;
	skip_space(c);
	if (c->p >= c->end || *c->p != ':')
		return stop(c, -EBADMSG, "no colon after the key");
	c->p++;
	return 0;
}

/* One value without recursion: `open` remembers the brackets. */
static int scan_value(struct scan *c)
{
	char open[JSON_DEPTH_MAX];
	int r;

	for (;;) {
		skip_space(c);
		if (c->p >= c->end)
			return stop(c, -EBADMSG, "the text ends early");
		if (++c->nodes > JSON_NODES_MAX)
			return stop(c, -E2BIG, "too many values");
		if (*c->p == '{' || *c->p == '[') {
			char kind = *c->p == '{' ? '}' : ']';

			if (c->depth >= JSON_DEPTH_MAX)
				return stop(c, -E2BIG, "nested too deeply");
			open[c->depth++] = kind;
			c->p++;
			skip_space(c);
			if (c->p < c->end && *c->p == kind)
				goto closed;
			if (kind == '}' && (r = scan_key(c)) < 0)
				return r;
			continue;
		}
		if (*c->p == '"')
			r = scan_string(c);
		else if (*c->p == '-' || is_digit(c))
			r = scan_number(c);
		else
			r = scan_word(c);
		if (r < 0)
			return r;
		for (;;) {
			if (!c->depth)
				return 0;
			skip_space(c);
			if (c->p >= c->end)
				return stop(c, -EBADMSG, "the text ends early");
			if (*c->p == ',')
				break;
			if (*c->p != open[c->depth - 1])
				return stop(c, -EBADMSG, "neither a comma nor a closing bracket");
closed:
			c->p++;
			c->depth--;
		}
		c->p++;
		if (open[c->depth - 1] == '}' && (r = scan_key(c)) < 0)
			return r;
	}
}

static int scan_fail(const struct scan *c, const char *what, struct fail_list *f)
{
	unsigned line = 1, col = 1;
	char at[512], expected[64];

	for (const char *p = c->s; p < c->p && p < c->end; p++) {
		if (*p == '\n') {
			line++;
			col = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			col++;
		}
	}
	snprintf(at, sizeof(at), "%.400s:%u:%u", what ? what : "text", line, col);
	if (c->err == -E2BIG) {
		snprintf(expected, sizeof(expected), "at most %u MiB, %u levels, %u values",
			 JSON_BYTES_MAX >> 20, JSON_DEPTH_MAX, JSON_NODES_MAX);
		return fail_add(f, c->err, "json.limit", at, expected, NULL, "%s", c->fault);
	}
	return fail_add(f, c->err, "json.syntax", at, "one JSON value (RFC 8259) in UTF-8", NULL, "%s",
			c->fault);
}

/* Duplicate keys and numbers beyond the range, in the whole tree; depth is known to be small. */
static int check_tree(const cJSON *j, const char *what, struct fail_list *f)
{
	const cJSON *child, *dup;
	char at[512];
	int r;

	if (cJSON_IsNumber(j) && !isfinite(j->valuedouble)) {
		return fail_add(f, -EBADMSG, "json.number", what, "a number below 1.8e308", NULL,
				"a number is out of range");
	}
	if (cJSON_IsObject(j)) {
		r = json_dup_key(j, &dup);
		if (r < 0)
			return r;
		if (dup) {
			snprintf(at, sizeof(at), "%.200s, key \"%.200s\"", what, dup->string);
			return fail_add(f, -EBADMSG, "json.duplicate-key", at, "each key once", NULL,
					"a key is given twice");
		}
	}
	cJSON_ArrayForEach(child, j) {
		r = check_tree(child, what, f);
		if (r < 0)
			return r;
	}
	return 0;
}

int json_parse(const char *s, size_t len, const char *what, struct fail_list *f, cJSON **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	struct scan c = { .s = s, .p = s, .end = s + len };
	int r;

	if (len > JSON_BYTES_MAX) {
		stop(&c, -E2BIG, "the text is too long");
		return scan_fail(&c, what, f);
	}
	r = scan_value(&c);
	if (r == 0) {
		skip_space(&c);
		if (c.p < c.end)
			r = stop(&c, -EBADMSG, "more text after the value");
	}
	if (r < 0)
		return scan_fail(&c, what, f);
	doc = cJSON_ParseWithLength(s, len);
	if (!doc)
		return fail_add(f, -ENOMEM, "json.memory", what, NULL, NULL, "out of memory");
	r = check_tree(doc, what, f);
	if (r < 0)
		return r;
	*ret = take_ptr(doc);
	return 0;
}

const cJSON *json_get(const cJSON *obj, const char *key)
{
	return cJSON_IsObject(obj) ? cJSON_GetObjectItemCaseSensitive(obj, key) : NULL;
}

const char *json_str(const cJSON *obj, const char *key)
{
	return cJSON_GetStringValue(json_get(obj, key));
}

bool json_bool(const cJSON *obj, const char *key, bool dflt)
{
	const cJSON *j = json_get(obj, key);

	return cJSON_IsBool(j) ? cJSON_IsTrue(j) : dflt;
}

double json_num(const cJSON *obj, const char *key, double dflt)
{
	const cJSON *j = json_get(obj, key);

	return cJSON_IsNumber(j) ? j->valuedouble : dflt;
}

int64_t json_i64(const cJSON *obj, const char *key, int64_t dflt)
{
	const cJSON *j = json_get(obj, key);

	if (!cJSON_IsNumber(j) || fabs(j->valuedouble) > 9007199254740992.0 ||
	    j->valuedouble != floor(j->valuedouble))
		return dflt;
	return (int64_t)j->valuedouble;
}
