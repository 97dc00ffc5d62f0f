/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/universe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

struct universe {
	struct universe_net *nets[2];	/* by family */
	size_t n[2];
	uint32_t *pool;			/* what all .sels point into */
};

/* Something that begins at a prefix: an item, the end of one (an except), or a realm. */
struct mark {
	struct prefix p;
	uint32_t item;			/* index, or NONE for a realm */
	uint8_t except;
	uint8_t realm;			/* CW_REALM_COUNT: none */
};
#define NONE UINT32_MAX

struct marks { struct mark *v; size_t n, cap; };
struct u32s { uint32_t *v; size_t n, cap; };

static int order(const struct prefix *a, const struct prefix *b)
{
	int r = memcmp(a->addr.b, b->addr.b, 16);

	return r ? r : (int)a->plen - (int)b->plen;
}

static int mark_cmp(const void *x, const void *y)
{
	const struct mark *a = x, *b = y;
	int r = order(&a->p, &b->p);

	/* An item that begins and is excepted at one prefix never gets here (see marks_make). */
	if (!r)
		r = (a->item > b->item) - (a->item < b->item);
	return r ? r : (int)a->realm - (int)b->realm; /* the last one stands */
}

static int u32_cmp(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

static int realm_mark(struct marks *m, struct prefix p, enum cw_realm realm)
{
	return vec_push(m, ((struct mark){ .p = p, .item = NONE, .realm = (uint8_t)realm }));
}

static struct prefix v4net(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t plen)
{
	struct prefix p = { .plen = plen };

	p.addr.b[10] = p.addr.b[11] = 0xff;
	p.addr.b[12] = a;
	p.addr.b[13] = b;
	p.addr.b[14] = c;
	p.addr.b[15] = d;
	return p;
}

static int marks_realms(struct marks *m, int v6, const struct prefix *cluster, size_t ncluster)
{
	struct prefix root = { .v6 = 1 }, ll = { .v6 = 1, .plen = 10 }, mc = { .v6 = 1, .plen = 8 };
	int r;

	for (size_t i = 0; i < ncluster; i++)
		if (cluster[i].v6 == v6 && (r = realm_mark(m, cluster[i], CW_REALM_UNKNOWN)))
			return r;
	if (!v6) {
		r = realm_mark(m, v4net(0, 0, 0, 0, 0), CW_REALM_WORLD);
		r = r ?: realm_mark(m, v4net(224, 0, 0, 0, 4), CW_REALM_MULTICAST);
		return r ?: realm_mark(m, v4net(255, 255, 255, 255, 32), CW_REALM_MULTICAST);
	}
	ll.addr.b[0] = 0xfe;
	ll.addr.b[1] = 0x80;
	mc.addr.b[0] = 0xff;
	r = realm_mark(m, root, CW_REALM_WORLD);
	/* Neighbours on the link: not the world, and never resolvable by address. */
	r = r ?: realm_mark(m, ll, CW_REALM_UNKNOWN);
	return r ?: realm_mark(m, mc, CW_REALM_MULTICAST);
}

static int marks_make(struct marks *m, int v6, const struct universe_item *items, size_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct universe_item *it = &items[i];
		bool never = false;

		if (it->cidr.v6 != v6)
			continue;
		for (size_t e = 0; e < it->nexcept && !never; e++)
			never = it->except[e].v6 == v6 && prefix_covers(&it->except[e], &it->cidr);
		if (never)
			continue;
		if (vec_push(m, ((struct mark){ .p = it->cidr, .item = i, .realm = CW_REALM_COUNT })))
			return -ENOMEM;
		for (size_t e = 0; e < it->nexcept; e++) {
			if (it->except[e].v6 != v6 || !prefix_covers(&it->cidr, &it->except[e]))
				continue;
			if (vec_push(m, ((struct mark){ .p = it->except[e], .item = i, .except = 1,
							.realm = CW_REALM_COUNT })))
				return -ENOMEM;
		}
	}
	return 0;
}

/* Active items of a net = those of its parent, less what is excepted here, plus what begins here. */
static int active_make(const struct u32s *up, const struct mark *m, size_t n, struct u32s *ret)
{
	if (vec_reserve(ret, up->n + n + 1))
		return -ENOMEM;
	for (size_t i = 0; i < up->n; i++) {
		bool cut = false;

		for (size_t k = 0; k < n && !cut; k++)
			cut = m[k].except && m[k].item == up->v[i];
		if (!cut)
			ret->v[ret->n++] = up->v[i];
	}
	for (size_t k = 0; k < n; k++)
		if (m[k].item != NONE && !m[k].except)
			ret->v[ret->n++] = m[k].item;
	return 0;
}

/* A net that excepts many items at once would make the loop above quadratic: sort and merge. */
static int active_of(const struct u32s *up, const struct mark *m, size_t n, struct u32s *ret)
{
	auto_free uint32_t *cut = NULL;
	size_t ncut = 0;

	if (n <= 16)
		return active_make(up, m, n, ret);
	cut = malloc(n * sizeof(*cut));
	if (!cut || vec_reserve(ret, up->n + n))
		return -ENOMEM;
	for (size_t k = 0; k < n; k++)
		if (m[k].except)
			cut[ncut++] = m[k].item; /* marks of one prefix are sorted by item */
	for (size_t i = 0; i < up->n; i++)
		if (!ncut || !bsearch(&up->v[i], cut, ncut, sizeof(*cut), u32_cmp))
			ret->v[ret->n++] = up->v[i];
	for (size_t k = 0; k < n; k++)
		if (m[k].item != NONE && !m[k].except)
			ret->v[ret->n++] = m[k].item;
	return 0;
}

static int sels_of(const struct u32s *active, const struct universe_item *items, struct u32s *pool,
		   uint32_t *ret_off, uint32_t *ret_n)
{
	size_t at = pool->n, w;

	if (vec_reserve(pool, at + active->n + 1))
		return -ENOMEM;
	for (size_t i = 0; i < active->n; i++)
		pool->v[at + i] = items[active->v[i]].sel;
	if (active->n)
		qsort(pool->v + at, active->n, sizeof(uint32_t), u32_cmp);
	w = at;
	for (size_t i = 0; i < active->n; i++)
		if (w == at || pool->v[w - 1] != pool->v[at + i])
			pool->v[w++] = pool->v[at + i];
	pool->n = w;
	*ret_off = (uint32_t)at;
	*ret_n = (uint32_t)(w - at);
	return 0;
}

#define DEPTH_MAX 130 /* lengths 0..128 nest at most this deep */

static int build(struct universe *u, int v6, struct marks *m, const struct universe_item *items,
		 struct u32s *pool)
{
	struct { int32_t net; struct u32s active; } stack[DEPTH_MAX] = {};
	struct u32s none = {};
	size_t top = 0, n = 0;
	int r = 0;

	qsort(m->v, m->n, sizeof(*m->v), mark_cmp);
	for (size_t i = 0; i < m->n; i++)
		n += !i || order(&m->v[i].p, &m->v[i - 1].p);
	u->nets[v6] = calloc(n, sizeof(*u->nets[v6]));
	if (!u->nets[v6])
		return -ENOMEM;
	for (size_t i = 0, end; i < m->n && !r; i = end) {
		struct universe_net *net = &u->nets[v6][u->n[v6]];
		uint32_t off;

		for (end = i + 1; end < m->n && !order(&m->v[i].p, &m->v[end].p);)
			end++;
		net->p = m->v[i].p;
		while (top && !prefix_covers(&u->nets[v6][stack[top - 1].net].p, &net->p))
			top--;
		net->parent = top ? stack[top - 1].net : -1;
		net->realm = top ? u->nets[v6][net->parent].realm : CW_REALM_WORLD;
		for (size_t k = i; k < end; k++)
			if (m->v[k].realm != CW_REALM_COUNT)
				net->realm = m->v[k].realm;
		stack[top].net = (int32_t)u->n[v6]++;
		stack[top].active.n = 0;
		r = active_of(top ? &stack[top - 1].active : &none, m->v + i, end - i,
			      &stack[top].active);
		if (!r)
			r = sels_of(&stack[top].active, items, pool, &off, &net->nsels);
		if (!r)
			net->tag = off; /* an offset until the pool stands still */
		top++;
	}
	for (size_t i = 0; i < DEPTH_MAX; i++)
		vec_done(&stack[i].active);
	return r;
}

int universe_new(const struct universe_item *items, size_t n, const struct prefix *cluster,
		 size_t ncluster, struct universe **ret)
{
	struct universe *u = calloc(1, sizeof(*u));
	struct u32s pool = {};
	int r = u ? 0 : -ENOMEM;

	for (int v6 = 0; v6 < 2 && !r; v6++) {
		struct marks m = {};

		r = marks_realms(&m, v6, cluster, ncluster);
		r = r ?: marks_make(&m, v6, items, n);
		r = r ?: build(u, v6, &m, items, &pool);
		vec_done(&m);
	}
	if (r) {
		vec_done(&pool);
		universe_free(u);
		return r;
	}
	u->pool = pool.v;
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < u->n[v6]; i++) {
			u->nets[v6][i].sels = u->pool ? u->pool + u->nets[v6][i].tag : NULL;
			u->nets[v6][i].tag = 0;
		}
	*ret = u;
	return 0;
}

void universe_free(struct universe *u)
{
	if (!u)
		return;
	free(u->nets[0]);
	free(u->nets[1]);
	free(u->pool);
	free(u);
}

size_t universe_count(const struct universe *u, int v6)
{
	return u->n[v6];
}

struct universe_net *universe_at(const struct universe *u, int v6, size_t i)
{
	return &u->nets[v6][i];
}

struct universe_net *universe_cover(const struct universe *u, const struct prefix *p)
{
	struct universe_net *nets = u->nets[p->v6 != 0];
	size_t lo = 0, hi = u->n[p->v6 != 0];

	/* The last net not after p either covers p or hangs below the one that does. */
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (order(&nets[mid].p, p) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	while (nets[lo].parent >= 0 && !prefix_covers(&nets[lo].p, p))
		lo = (size_t)nets[lo].parent;
	return &nets[lo];
}

struct universe_net *universe_match(const struct universe *u, const struct addr *a)
{
	struct prefix p = { .addr = *a, .v6 = !addr_is_v4(a) };

	p.plen = p.v6 ? 128 : 32;
	return universe_cover(u, &p);
}
