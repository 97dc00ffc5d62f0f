/* SPDX-License-Identifier: Apache-2.0 */
#include "http/route.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

enum seg_kind { SEG_TAIL, SEG_CAPTURE, SEG_LITERAL }; /* the larger is the more specific */
struct seg { enum seg_kind kind; const char *p; size_t n; };

void route_table_done(struct route_table *t)
{
	vec_done(t);
}

static const char *seg_end(const char *p)
{
	const char *e = strchr(p, '/');

	return e ? e : p + strlen(p);
}

/* A pattern as segments; -EINVAL for what the header does not describe. */
static int pattern_split(const char *pat, struct seg seg[ROUTE_SEGS_MAX], size_t *ret_n)
{
	size_t n = 0, caps = 0;

	if (pat[0] != '/')
		return -EINVAL;
	while (*pat) {
		const char *p = pat + 1, *e = seg_end(p);
		struct seg s = { SEG_LITERAL, p, (size_t)(e - p) };

		if (n == ROUTE_SEGS_MAX || (n && seg[n - 1].kind == SEG_TAIL))
			return -EINVAL;
		if (s.n && *p == '{') {
			if (s.n < 3 || e[-1] != '}' || ++caps > HTTP_PARAMS_MAX)
				return -EINVAL;
			s = (struct seg){ SEG_CAPTURE, p + 1, s.n - 2 };
			if (s.n > 3 && !memcmp(s.p + s.n - 3, "...", 3)) {
				s.kind = SEG_TAIL;
				s.n -= 3;
			}
		} else if (memchr(p, '{', s.n) || memchr(p, '}', s.n)) {
			return -EINVAL;
		}
		seg[n++] = s;
		pat = e;
	}
	*ret_n = n;
	return 0;
}

int route_table_add(struct route_table *t, const struct http_route *r, void *arg)
{
	struct seg a[ROUTE_SEGS_MAX], b[ROUTE_SEGS_MAX];
	size_t na, nb;

	if (!r->handler || r->method >= HTTP_METHOD_COUNT || pattern_split(r->path, a, &na) < 0)
		return -EINVAL;
	if (t->n >= HTTP_ROUTES_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < t->n; i++) {
		size_t k = 0;

		if (t->v[i].route->method != r->method)
			continue;
		if (pattern_split(t->v[i].route->path, b, &nb) < 0 || na != nb)
			continue;
		while (k < na && a[k].kind == b[k].kind &&
		       (a[k].kind != SEG_LITERAL ||
			(a[k].n == b[k].n && !memcmp(a[k].p, b[k].p, a[k].n))))
			k++;
		if (k == na)
			return -EEXIST;
	}
	return vec_push(t, ((struct route_entry){ r, arg }));
}

/*
 * Matches one pattern. The score orders patterns that match the same path: one base-3 digit per
 * segment, from the left, so that the first difference decides.
 */
static bool pattern_match(const char *pat, const char *path, struct route_match *m, uint64_t *ret)
{
	struct seg seg[ROUTE_SEGS_MAX];
	uint64_t score = 0;
	size_t n, i;

	if (pattern_split(pat, seg, &n) < 0)
		return false;
	m->ncaps = 0;
	for (i = 0; i < n; i++) {
		const char *p, *e;

		if (*path != '/')
			return false;
		p = path + 1;
		e = seg[i].kind == SEG_TAIL ? p + strlen(p) : seg_end(p);
		if (seg[i].kind == SEG_LITERAL) {
			if ((size_t)(e - p) != seg[i].n || memcmp(p, seg[i].p, seg[i].n))
				return false;
		} else {
			if (e == p)
				return false;
			m->caps[m->ncaps++] = (struct route_span){ seg[i].p, seg[i].n, p,
								   (size_t)(e - p) };
		}
		score = score * 3 + seg[i].kind;
		path = e;
	}
	for (; i < ROUTE_SEGS_MAX; i++)
		score *= 3;
	*ret = score;
	return !*path;
}

int route_table_find(const struct route_table *t, enum http_method m, const char *path,
		     struct route_match *ret)
{
	struct route_match best = {}, cur = {};
	uint64_t best_score = 0, score;
	unsigned methods = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (!pattern_match(t->v[i].route->path, path, &cur, &score))
			continue;
		methods |= 1u << t->v[i].route->method;
		if (t->v[i].route->method != m || (best.entry && score <= best_score))
			continue;
		best = cur;
		best.entry = &t->v[i];
		best_score = score;
	}
	best.methods = methods;
	*ret = best;
	return best.entry ? 0 : methods ? -EPERM : -ENOENT;
}
