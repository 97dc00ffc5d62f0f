/* SPDX-License-Identifier: Apache-2.0 */
/* conflist_text.c - the text of a network configuration with and without our part. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cni-adapters/conflist.h"
#include "cni-adapters/plugin/call.h"

/* The plugins of a list, ours among them if it is there. */
struct chain {
	struct span root, plugins;
	struct span last;	/* the last element; p NULL: none */
	struct span before;	/* the one before ours */
	struct span ours, next;	/* first of our type, and what follows it */
	size_t n, nours;
};

static bool is_ours(struct span v)
{
	char type[64];

	return !span_get_str(v, "type", type, sizeof(type)) && !strcmp(type, CONFLIST_TYPE);
}

static int chain_read(const char *text, size_t len, struct chain *c)
{
	struct span it = { };
	char s[256];
	int r;

	*c = (struct chain){ };
	r = span_read(text, len, &c->root, NULL);
	if (r)
		return r;
	if (span_get(c->root, "plugins", &c->plugins) || span_kind(c->plugins) != '[' ||
	    span_get_str(c->root, "name", s, sizeof(s)) || !*s)
		return -EINVAL;
	while (span_next(c->plugins, &it)) {
		if (span_get_str(it, "type", s, sizeof(s)) || !*s)
			return -EINVAL;
		c->n++;
		if (is_ours(it)) {
			if (!c->nours++) {
				c->ours = it;
				c->before = c->last;
			}
		} else if (c->nours == 1 && !c->next.p) {
			c->next = it;
		}
		c->last = it;
	}
	return 0;
}

/* The blanks a line begins with, where p stands; NULL: other things stand before it on its line. */
static const char *indent_of(const char *text, const char *p, size_t *n)
{
	const char *q = p;

	while (q > text && (q[-1] == ' ' || q[-1] == '\t'))
		q--;
	*n = (size_t)(p - q);
	return q > text && q[-1] == '\n' ? q : NULL;
}

static void part(struct buf *b, const struct conflist_part *p)
{
	buf_adds(b, "{\"type\": \"" CONFLIST_TYPE "\", \"socket\": ");
	cni_json_str(b, p->socket);
	buf_printf(b, ", \"agentDown\": \"%s\", \"timeout\": \"%ums\"}", p->closed ? "closed" : "open", p->timeout_ms);
}

/* Ours stands last, alone, and says what it should. */
static bool as_wanted(const struct chain *c, const struct conflist_part *p)
{
	auto_cleanup(buf_done) struct buf b;

	buf_init(&b, 65536);
	part(&b, p);
	return !b.err && c->nours == 1 && c->ours.p == c->last.p && c->ours.n == b.len &&
	       !memcmp(c->ours.p, b.data, b.len);
}

static int take(struct buf *b, char **ret, size_t *ret_len)
{
	if (b->err)
		return b->err;
	*ret = buf_take(b, ret_len);
	return *ret ? CONFLIST_CHANGED : -ENOMEM;
}

static int append(const char *text, size_t len, const struct chain *c, const struct conflist_part *p, char **ret,
		  size_t *ret_len)
{
	auto_cleanup(buf_done) struct buf b;
	const char *at = c->last.p + c->last.n, *blanks;
	size_t n;

	buf_init(&b, 2 * CONFLIST_MAX);
	buf_add(&b, text, (size_t)(at - text));
	blanks = indent_of(text, c->last.p, &n);
	if (blanks) {
		buf_adds(&b, ",\n");
		buf_add(&b, blanks, n);
	} else {
		buf_adds(&b, ", ");
	}
	part(&b, p);
	buf_add(&b, at, len - (size_t)(at - text));
	return take(&b, ret, ret_len);
}

/* A lone plugin in a list of its name and version, as the CNI library makes one of it. */
static int wrap(const char *text, size_t len, const struct conflist_part *p, char **ret, size_t *ret_len)
{
	auto_cleanup(buf_done) struct buf b;
	struct span root, v, name;
	struct chain c;
	char s[256];
	int r = span_read(text, len, &root, NULL);

	buf_init(&b, 2 * CONFLIST_MAX);
	if (r)
		return r;
	if (span_get_str(root, "type", s, sizeof(s)) || !*s || is_ours(root) ||
	    !span_get(root, "plugins", &v) || span_get(root, "name", &name))
		return -EINVAL;
	buf_adds(&b, "{\n");
	if (!span_get(root, "cniVersion", &v)) {
		buf_adds(&b, "  \"cniVersion\": ");
		buf_add(&b, v.p, v.n);
		buf_adds(&b, ",\n");
	}
	buf_adds(&b, "  \"name\": ");
	buf_add(&b, name.p, name.n);
	buf_adds(&b, ",\n  \"plugins\": [\n    ");
	buf_add(&b, root.p, root.n);
	buf_adds(&b, ",\n    ");
	part(&b, p);
	buf_adds(&b, "\n  ]\n}\n");
	/* What no reader of lists would take, for a name that is none or its depth, is not written. */
	r = b.err ?: chain_read(b.data, b.len, &c);
	return r ?: take(&b, ret, ret_len);
}

static int cut(const char *text, size_t len, const struct chain *c, char **ret, size_t *ret_len)
{
	auto_cleanup(buf_done) struct buf b;
	const char *from, *to;

	/* With the comma before it, or the one after it when it is the first. */
	if (c->before.p) {
		from = c->before.p + c->before.n;
		to = c->ours.p + c->ours.n;
	} else {
		from = c->ours.p;
		to = c->next.p ? c->next.p : c->ours.p + c->ours.n;
	}
	buf_init(&b, 2 * CONFLIST_MAX);
	buf_add(&b, text, (size_t)(from - text));
	buf_add(&b, to, len - (size_t)(to - text));
	return take(&b, ret, ret_len);
}

int conflist_text_del(const char *text, size_t len, char **ret, size_t *ret_len)
{
	auto_free char *now = NULL;
	struct chain c;
	size_t n = 0;
	int r;

	if (len > CONFLIST_MAX)
		return -E2BIG;
	r = chain_read(text, len, &c);
	if (r || !c.nours)
		return r ?: CONFLIST_AS_WANTED;
	r = cut(text, len, &c, &now, &n);
	/* Somebody put it there twice. */
	for (size_t i = 1; i < c.nours && r == CONFLIST_CHANGED; i++) {
		auto_free char *was = take_ptr(now);
		struct chain left;

		r = chain_read(was, n, &left);
		r = r ?: cut(was, n, &left, &now, &n);
	}
	if (r)
		return r;
	*ret = take_ptr(now);
	*ret_len = n;
	return CONFLIST_CHANGED;
}

int conflist_text_add(const char *text, size_t len, bool list, const struct conflist_part *p, char **ret,
		      size_t *ret_len)
{
	auto_free char *without = NULL;
	struct chain c;
	int r;

	if (len > CONFLIST_MAX)
		return -E2BIG;
	if (!list)
		return wrap(text, len, p, ret, ret_len);
	r = chain_read(text, len, &c);
	if (r)
		return r;
	if (c.n == c.nours)
		return -EINVAL; /* nothing there makes an interface */
	if (as_wanted(&c, p))
		return CONFLIST_AS_WANTED;
	if (c.nours) {
		r = conflist_text_del(text, len, &without, &len);
		r = r ?: chain_read(without, len, &c);
		if (r)
			return r;
		text = without;
	}
	return append(text, len, &c, p, ret, ret_len);
}
