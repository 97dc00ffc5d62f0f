/* SPDX-License-Identifier: Apache-2.0 */
#include "cni-adapters/plugin/span.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct cur {
	const char *p, *end;
};

static void blanks(struct cur *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

static bool take(struct cur *c, char ch)
{
	if (c->p == c->end || *c->p != ch)
		return false;
	c->p++;
	return true;
}

static bool digit(const struct cur *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

static int hex(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch |= 0x20;
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static bool string(struct cur *c)
{
	if (!take(c, '"'))
		return false;
	while (c->p < c->end && *c->p != '"') {
		if ((unsigned char)*c->p < 0x20)
			return false;
		if (*c->p++ != '\\')
			continue;
		if (c->p == c->end)
			return false;
		if (*c->p == 'u') {
			for (int i = 1; i <= 4; i++)
				if (c->end - c->p <= i || hex(c->p[i]) < 0)
					return false;
			c->p += 4;
		} else if (!*c->p || !strchr("\"\\/bfnrt", *c->p)) {
			return false;
		}
		c->p++;
	}
	return take(c, '"');
}

static bool digits(struct cur *c)
{
	if (!digit(c))
		return false;
	while (digit(c))
		c->p++;
	return true;
}

static bool number(struct cur *c)
{
	(void)take(c, '-');
	if (!take(c, '0') && !digits(c))
		return false;
	if (take(c, '.') && !digits(c))
		return false;
	if (c->p < c->end && (*c->p | 0x20) == 'e') {
		c->p++;
		if (!take(c, '+'))
			(void)take(c, '-');
		return digits(c);
	}
	return true;
}

static bool word(struct cur *c, const char *w)
{
	size_t n = strlen(w);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, w, n))
		return false;
	c->p += n;
	return true;
}

/* Recursion is bounded by SPAN_DEPTH_MAX. */
static int value(struct cur *c, unsigned depth)
{
	bool obj, ok;
	int r;

	blanks(c);
	if (c->p == c->end)
		return -EBADMSG;
	if (*c->p != '{' && *c->p != '[') {
		ok = *c->p == '"' ? string(c) : *c->p == 't' ? word(c, "true") : *c->p == 'f' ? word(c, "false") :
		     *c->p == 'n' ? word(c, "null") : number(c);
		return ok ? 0 : -EBADMSG;
	}
	if (depth == SPAN_DEPTH_MAX)
		return -E2BIG;
	obj = *c->p++ == '{';
	blanks(c);
	if (take(c, obj ? '}' : ']'))
		return 0;
	do {
		blanks(c);
		if (obj) {
			if (!string(c))
				return -EBADMSG;
			blanks(c);
			if (!take(c, ':'))
				return -EBADMSG;
		}
		r = value(c, depth + 1);
		if (r)
			return r;
		blanks(c);
	} while (take(c, ','));
	return take(c, obj ? '}' : ']') ? 0 : -EBADMSG;
}

int span_read(const char *s, size_t len, struct span *ret, size_t *ret_at)
{
	struct cur c = { s, s + len };
	const char *from, *to;
	int r;

	blanks(&c);
	from = c.p;
	r = value(&c, 0);
	to = c.p;
	blanks(&c);
	if (!r && c.p != c.end)
		r = -EBADMSG;
	if (r) {
		if (ret_at)
			*ret_at = (size_t)(c.p - s);
		return r;
	}
	*ret = (struct span){ from, (size_t)(to - from) };
	return 0;
}

char span_kind(struct span v)
{
	if (!v.p || !v.n)
		return 0;
	return *v.p == '-' || (*v.p >= '0' && *v.p <= '9') ? '0' : *v.p;
}

static bool key_is(struct span k, const char *key)
{
	char buf[256];

	return !span_str(k, buf, sizeof(buf)) && !strcmp(buf, key);
}

int span_get(struct span v, const char *key, struct span *ret)
{
	struct cur c = { v.p, v.p + v.n };
	struct span found = { };

	if (span_kind(v) != '{')
		return -ENOENT;
	c.p++;
	do {
		struct span k, val;

		blanks(&c);
		k.p = c.p;
		if (!string(&c))
			break; /* an empty object */
		k.n = (size_t)(c.p - k.p);
		blanks(&c);
		(void)take(&c, ':');
		blanks(&c);
		val.p = c.p;
		if (value(&c, 0))
			break;
		val.n = (size_t)(c.p - val.p);
		if (key_is(k, key))
			found = val;
		blanks(&c);
	} while (take(&c, ','));
	if (!found.p)
		return -ENOENT;
	*ret = found;
	return 0;
}

bool span_next(struct span arr, struct span *it)
{
	struct cur c = { arr.p, arr.p + arr.n };

	if (span_kind(arr) != '[')
		return false;
	c.p = it->p ? it->p + it->n : c.p + 1;
	blanks(&c);
	if (it->p && !take(&c, ','))
		return false;
	blanks(&c);
	if (c.p == c.end || *c.p == ']')
		return false;
	it->p = c.p;
	if (value(&c, 0))
		return false;
	it->n = (size_t)(c.p - it->p);
	return true;
}

static int unicode(const char **p, const char *end, uint32_t *ret)
{
	uint32_t v = 0;

	if (end - *p < 4)
		return -EINVAL;
	for (int i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)hex((*p)[i]);
	*p += 4;
	*ret = v;
	return 0;
}

static size_t utf8(uint32_t cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

/* The text after a backslash; *p moves on behind it. */
static int escape(const char **p, const char *end, uint32_t *ret)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint32_t low;

	if (**p != 'u') {
		*ret = (unsigned char)to[strchr(from, **p) - from];
		(*p)++;
		return 0;
	}
	(*p)++;
	if (unicode(p, end, ret) || !*ret || (*ret >= 0xdc00 && *ret <= 0xdfff))
		return -EINVAL;
	if (*ret < 0xd800 || *ret > 0xdbff)
		return 0;
	if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return -EINVAL;
	*p += 2;
	if (unicode(p, end, &low) || low < 0xdc00 || low > 0xdfff)
		return -EINVAL;
	*ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
	return 0;
}

int span_str(struct span v, char *out, size_t max)
{
	const char *p = v.p + 1, *end = v.p + v.n - 1;
	size_t n = 0;

	if (span_kind(v) != '"')
		return -EINVAL;
	while (p < end) {
		char b[4] = { *p };
		size_t k = 1;
		uint32_t cp;

		if (*p++ == '\\') {
			if (escape(&p, end, &cp))
				return -EINVAL;
			k = utf8(cp, b);
		}
		if (!b[0])
			return -EINVAL;
		if (n + k >= max)
			return -E2BIG;
		memcpy(out + n, b, k);
		n += k;
	}
	out[n] = 0;
	return 0;
}

int span_get_str(struct span v, const char *key, char *out, size_t max)
{
	struct span s;

	if (span_get(v, key, &s) || span_kind(s) == 'n')
		return -ENOENT;
	return span_str(s, out, max);
}
