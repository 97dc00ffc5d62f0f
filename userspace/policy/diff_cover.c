/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs that differ alike, gathered to rectangles of sources and destinations. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/diff_priv.h"

struct line { uint64_t hash; uint32_t x, at, n; const struct triple *base; };

static int triple_cmp(const void *x, const void *y)
{
	const struct triple *a = x, *b = y;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->x != b->x)
		return a->x < b->x ? -1 : 1;
	return (a->y > b->y) - (a->y < b->y);
}

static int line_cmp(const void *x, const void *y)
{
	const struct line *a = x, *b = y;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t p = a->base[a->at + i].y, q = b->base[b->at + i].y;

		if (p != q)
			return p < q ? -1 : 1;
	}
	return 0;
}

static int line_order(const void *x, const void *y)
{
	const struct line *a = x, *b = y;

	return line_cmp(x, y) ?: (a->x > b->x) - (a->x < b->x);
}

/* Lines of a sorted slice, those with the same other ends beside each other; how many are distinct. */
static int lines_make(const struct triple *t, size_t n, struct line **ret, size_t *ret_n, size_t *ret_distinct)
{
	struct line *l = calloc(n, sizeof(*l));
	size_t k = 0, distinct = 0;

	if (!l)
		return -ENOMEM;
	for (size_t i = 0, end; i < n; i = end) {
		uint64_t h = 14695981039346656037ull;

		for (end = i; end < n && t[end].x == t[i].x; end++)
			h = (h ^ t[end].y) * 1099511628211ull;
		l[k++] = (struct line){ h, t[i].x, (uint32_t)i, (uint32_t)(end - i), t };
	}
	qsort(l, k, sizeof(*l), line_order);
	for (size_t i = 0; i < k; i++)
		distinct += !i || line_cmp(&l[i - 1], &l[i]) != 0;
	*ret = l;
	*ret_n = k;
	*ret_distinct = distinct;
	return 0;
}

static int u32_cmp(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

static int ends_of(const struct space *s, const uint32_t *atoms, size_t n, struct u32s *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct space_atom *a = &s->atoms.v[atoms[i]];

		for (uint32_t k = 0; k < a->n; k++)
			if (vec_push(ret, s->by_atom[a->first + k]))
				return -ENOMEM;
	}
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), u32_cmp);
	return 0;
}

/* Those of v that some end of `other` can be paired with. */
static int ends_paired(struct diff_build *b, const struct u32s *v, const struct u32s *other, uint32_t **ret,
		       uint32_t *ret_n)
{
	const struct diff_end *e = b->s->ends.v;
	uint32_t all[4] = {}, n = 0;
	uint32_t *out = malloc((v->n + 1) * sizeof(*out));

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < other->n; i++) {
		const struct diff_end *o = &e[other->v[i]];

		all[o->fam]++;
		if (o->owner != NIL)
			b->own[o->owner * 4 + o->fam]++;
	}
	for (size_t i = 0; i < v->n; i++) {
		const struct diff_end *x = &e[v->v[i]];
		uint32_t partners = 0;

		for (uint32_t m = 1; m < 4; m++)
			if (m & x->fam)
				partners += all[m] - (x->owner == NIL ? 0 : b->own[x->owner * 4 + m]);
		if (partners)
			out[n++] = v->v[i];
	}
	for (size_t i = 0; i < other->n; i++)
		if (e[other->v[i]].owner != NIL)
			b->own[e[other->v[i]].owner * 4 + e[other->v[i]].fam] = 0;
	*ret = out;
	*ret_n = n;
	return 0;
}

/* A point people know, if it differs there: else the first one with a port. */
static uint32_t point_of(const struct diff_span *v, size_t n)
{
	static const struct diff_span want[] = {
		{ CW_AXIS(IPPROTO_TCP, 80), CW_AXIS(IPPROTO_TCP, 80) }, { CW_AXIS(IPPROTO_TCP, 1), CW_AXIS(IPPROTO_TCP, 65535) },
		{ CW_AXIS(IPPROTO_UDP, 53), CW_AXIS(IPPROTO_UDP, 53) }, { CW_AXIS(IPPROTO_UDP, 1), CW_AXIS(IPPROTO_UDP, 65535) },
	};

	for (size_t w = 0; w < ARRAY_SIZE(want); w++)
		for (size_t i = 0; i < n; i++)
			if (v[i].lo <= want[w].hi && v[i].hi >= want[w].lo)
				return v[i].lo > want[w].lo ? v[i].lo : want[w].lo;
	return v[0].lo;
}

static bool witness(const struct diff_build *b, struct diff_item *it)
{
	for (uint32_t i = 0; i < it->nsrc; i++)
		for (uint32_t k = 0; k < it->ndst; k++) {
			const struct diff_end *s = &b->s->ends.v[it->src[i]], *d = &b->s->ends.v[it->dst[k]];

			if (!space_pair(s, d))
				continue;
			it->wit_src = it->src[i];
			it->wit_dst = it->dst[k];
			it->wit_v6 = (s->fam & d->fam & 1) == 0;
			it->wit_axis = point_of(it->ports, it->nports);
			return true;
		}
	return false;
}

void diff_item_done(struct diff_item *it)
{
	free(it->ports);
	free(it->src);
	free(it->dst);
}

static int item_add(struct diff_build *b, const struct key *k, const struct u32s *src, const struct u32s *dst)
{
	struct diff_item it = { .side = k->how.side, .was = k->how.was, .by = k->how.by, .nports = k->nspans };
	int r = ends_paired(b, src, dst, &it.src, &it.nsrc);

	r = r ?: ends_paired(b, dst, src, &it.dst, &it.ndst);
	if (!r && it.nsrc && it.ndst) {
		it.ports = calloc(k->nspans, sizeof(*it.ports));
		if (it.ports)
			memcpy(it.ports, &b->spans.v[k->spans], k->nspans * sizeof(*it.ports));
		else
			r = -ENOMEM;
		if (!r && witness(b, &it)) {
			r = b->items.n >= DIFF_ITEMS_MAX ? -E2BIG : vec_push(&b->items, it);
			if (!r)
				return 0;
		}
	}
	diff_item_done(&it);
	return r;
}

static int lines_items(struct diff_build *b, const struct key *k, const struct line *l, size_t n, bool turned)
{
	auto_free uint32_t *xs = calloc(n, sizeof(*xs));
	struct u32s ex = {}, ey = {}, ys = {};
	int r = xs ? 0 : -ENOMEM;

	for (size_t i = 0, end; i < n && !r; i = end) {
		size_t m = 0;

		for (end = i; end < n && !line_cmp(&l[i], &l[end]); end++)
			xs[m++] = l[end].x;
		ys.n = 0;
		for (uint32_t y = 0; y < l[i].n && !r; y++)
			r = vec_push(&ys, l[i].base[l[i].at + y].y);
		r = r ?: ends_of(b->s, xs, m, &ex);
		r = r ?: ends_of(b->s, ys.v, ys.n, &ey);
		r = r ?: item_add(b, k, turned ? &ey : &ex, turned ? &ex : &ey);
	}
	vec_done(&ex);
	vec_done(&ey);
	vec_done(&ys);
	return r;
}

/* By source or by destination, whichever takes fewer rectangles. */
static int key_items(struct diff_build *b, const struct triple *t, size_t n)
{
	auto_free struct triple *turned = malloc(n * sizeof(*turned));
	auto_free struct line *l = NULL, *m = NULL;
	size_t nl, nm, dl, dm;
	int r;

	if (!turned)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		turned[i] = (struct triple){ t[i].key, t[i].y, t[i].x };
	qsort(turned, n, sizeof(*turned), triple_cmp);
	r = lines_make(t, n, &l, &nl, &dl);
	r = r ?: lines_make(turned, n, &m, &nm, &dm);
	if (r)
		return r;
	return dl <= dm ? lines_items(b, &b->keys.v[t->key], l, nl, false) :
			  lines_items(b, &b->keys.v[t->key], m, nm, true);
}

int diff_cover(struct diff_build *b)
{
	int r = 0;

	for (size_t i = 0; i < b->pairs.n && !r; i++) {
		const struct dpair *x = &b->pairs.v[i];
		uint32_t c = 0;

		r = diff_cell(b, x, &c);
		for (uint32_t k = 0; !r && k < b->cells.v[c].n; k++)
			r = b->triples.n >= 2 * DIFF_PAIRS_MAX ? -E2BIG :
			    vec_push(&b->triples, ((struct triple){ b->cell_keys.v[b->cells.v[c].first + k], x->src, x->dst }));
	}
	if (b->triples.n)
		qsort(b->triples.v, b->triples.n, sizeof(*b->triples.v), triple_cmp);
	for (size_t i = 0, end; i < b->triples.n && !r; i = end) {
		for (end = i; end < b->triples.n && b->triples.v[end].key == b->triples.v[i].key; end++)
			;
		r = key_items(b, &b->triples.v[i], end - i);
	}
	return r;
}
