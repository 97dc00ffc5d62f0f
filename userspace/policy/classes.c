/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One side of a group as writes.
 *
 * For a side that switches, every identity with an entry moves from an old class to a new row. Each
 * distinct pair gets one class number: the most frequent of an old class keeps the class, the
 * others get a number that is free in every table a reader may still hold, where it is given the
 * old class's row first. So an old word sees old rows under old or new numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/set.h"

#define OLD_REALM 0x80000000u	/* no entry: the default of a realm */
#define OLD_NONE 0xc0000000u	/* not published: nobody has looked it up */
#define SPARE_MIN 8u

struct item { uint32_t ix, old, row, cls; bool has; };
struct items { struct item *v; size_t n, cap; };

struct table *table_new(uint32_t slots)
{
	struct table *t = calloc(1, sizeof(*t) + slots * sizeof(uint32_t));

	if (!t)
		return NULL;
	t->base = NIL;
	t->slots = slots;
	t->drain = calloc(slots, sizeof(*t->drain));
	if (!t->drain) {
		free(t);
		return NULL;
	}
	return t;
}

void table_free(struct policy_set *set, struct table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->slots; i++)
		if (t->row[i])
			row_unref(set, t->row[i]);
	if (t->base != NIL)
		(void)extents_put(&set->rowtab_x, t->base, CW_REALM_SLOTS + t->slots);
	free(t->drain);
	free(t);
}

const struct pent *pent_of(const struct side *sd, uint32_t ix)
{
	size_t lo = 0, hi = sd->p.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (sd->p.v[mid].ix < ix)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < sd->p.n && sd->p.v[lo].ix == ix ? &sd->p.v[lo] : NULL;
}

static int item_cmp(const void *x, const void *y)
{
	const struct item *a = x, *b = y;

	if (a->old != b->old)
		return (a->old > b->old) - (a->old < b->old);
	if (a->row != b->row)
		return (a->row > b->row) - (a->row < b->row);
	return (a->ix > b->ix) - (a->ix < b->ix);
}

static int item_ix_cmp(const void *x, const void *y)
{
	const struct item *a = x, *b = y;

	return (a->ix > b->ix) - (a->ix < b->ix);
}

/* What an identity without an entry was judged by until now. `src`: the side whose image counts. */
static uint32_t old_of(const struct policy_set *set, const struct side *src, uint32_t ix)
{
	const struct eid_ent *e = &set->eids.v[ix];
	const struct pent *p;

	if (e->published)
		return OLD_REALM | e->key.realm;
	if (e->pred == NIL)
		return OLD_NONE;
	p = pent_of(src, e->pred);
	return p ? p->cls : OLD_REALM | set->eids.v[e->pred].key.realm;
}

static int items_make(const struct policy_set *set, const struct side *sd, const struct side *src, bool in_force,
		      struct items *it)
{
	size_t i = 0, k = 0;
	int r = 0;

	while ((i < src->p.n || k < sd->t.n) && !r) {
		struct item x = {};

		if (k >= sd->t.n || (i < src->p.n && src->p.v[i].ix < sd->t.v[k].ix)) {
			x = (struct item){ .ix = src->p.v[i].ix, .old = src->p.v[i].cls, .has = true };
			x.row = sd->drow[set->eids.v[x.ix].key.realm];
			i++;
		} else if (i >= src->p.n || sd->t.v[k].ix < src->p.v[i].ix) {
			x = (struct item){ .ix = sd->t.v[k].ix, .row = sd->t.v[k].row };
			x.old = in_force ? old_of(set, src, x.ix) : OLD_NONE;
			k++;
		} else {
			x = (struct item){ .ix = src->p.v[i].ix, .old = src->p.v[i].cls, .row = sd->t.v[k].row,
					   .has = true };
			i++;
			k++;
		}
		r = vec_push(it, x);
	}
	/* Split off from an identity that has an entry: needs one to be the same until the switch. */
	for (size_t f = 0; src->p.n && f < set->eid_fresh.n && !r; f++) {
		uint32_t ix = set->eid_fresh.v[f], pred = set->eids.v[ix].pred;
		const struct pent *p = pred == NIL ? NULL : pent_of(src, pred);
		size_t at = it->n;
		struct item key = { .ix = ix };

		if (!p || (at && bsearch(&key, it->v, at, sizeof(*it->v), item_ix_cmp)))
			continue;
		r = vec_push(it, ((struct item){ .ix = ix, .old = p->cls,
						 .row = sd->drow[set->eids.v[ix].key.realm] }));
		for (; !r && at && it->v[at - 1].ix > ix; at--) {
			struct item t = it->v[at];

			it->v[at] = it->v[at - 1];
			it->v[at - 1] = t;
		}
	}
	return r;
}

static int row_room(struct policy_set *set, uint32_t row)
{
	struct row *m = &set->rowmeta.v[row];

	if (m->at != NIL)
		return 0;
	m->written = false;
	return extents_get(&set->rows_x, m->n, &m->at) ? -ENOSPC : 0;
}

/* Number that no table a reader may hold knows; below `max`. NIL if there is none. */
static uint32_t free_class(const struct table *cur, const struct table *old, const uint32_t *taken, uint32_t max,
			   uint32_t from)
{
	for (uint32_t n = from; n < max; n++) {
		bool used = taken[n] || (cur && n < cur->slots && cur->row[n]);

		for (const struct table *t = old; t && !used; t = t->next)
			used = n < t->slots && t->row[n];
		if (!used)
			return n;
	}
	return NIL;
}

struct chooser {
	const struct table *cur, *old;
	uint32_t *taken;	/* row by class in the new table */
	uint32_t size;		/* of taken */
	uint32_t shared;	/* slots that every table has */
	uint32_t from_shared, from_any, top;
	struct htab *by_row;	/* row -> class + 1 */
};

static int choose(struct chooser *c, uint32_t row, bool shared, uint32_t *ret)
{
	uint32_t *from = shared ? &c->from_shared : &c->from_any;
	uint32_t n = free_class(c->cur, c->old, c->taken, shared ? c->shared : c->size, *from);

	if (n == NIL)
		return -ENOSPC;
	*from = n + 1;
	c->taken[n] = row;
	if (n >= c->top)
		c->top = n + 1;
	*ret = n;
	return htab_set_u64(c->by_row, row, (void *)(uintptr_t)(n + 1)) ? -ENOMEM : 0;
}

static int choose_same(struct chooser *c, uint32_t row, uint32_t *ret)
{
	uint32_t known = (uint32_t)(uintptr_t)htab_get_u64(c->by_row, row);

	if (known) {
		*ret = known - 1;
		return 0;
	}
	return choose(c, row, false, ret);
}

/* Classes for all items (sorted by old class and row) and the heads; -EAGAIN: no number is left. */
static int classes_assign(struct splan *p, struct chooser *c, struct items *it, const struct side *sd,
			  uint32_t head[CW_REALM_SLOTS])
{
	int r = 0;

	/* First the classes that keep their number. */
	for (size_t i = 0, end; i < it->n && !r; i = end) {
		size_t best = 0, at = i;

		for (end = i; end < it->n && it->v[end].old == it->v[i].old;) {
			size_t run = end;

			while (run < it->n && it->v[run].old == it->v[i].old && it->v[run].row == it->v[end].row)
				run++;
			if (run - end > best) {
				best = run - end;
				at = end;
			}
			end = run;
		}
		if (it->v[i].old & OLD_REALM)
			continue;
		c->taken[it->v[i].old] = it->v[at].row;
		if (it->v[i].old >= c->top)
			c->top = it->v[i].old + 1;
		for (size_t k = at; k < at + best; k++)
			it->v[k].cls = it->v[i].old;
		if (htab_set_u64(c->by_row, it->v[at].row, (void *)(uintptr_t)(it->v[i].old + 1)))
			r = -ENOMEM;
	}
	for (size_t i = 0, end; i < it->n && !r; i = end) {
		const struct item *x = &it->v[i];
		uint32_t cls;

		for (end = i + 1; end < it->n && it->v[end].old == x->old && it->v[end].row == x->row;)
			end++;
		if (x->cls != NIL)
			continue;
		if (x->old == OLD_NONE) {
			r = choose_same(c, x->row, &cls);
		} else {
			r = choose(c, x->row, true, &cls);
			if (r == -ENOSPC)
				r = -EAGAIN;
			if (!r)
				r = vec_push(&p->ref, ((struct refine){ cls, x->old & ~OLD_REALM,
									(x->old & OLD_REALM) != 0 }));
		}
		for (size_t k = i; k < end && !r; k++)
			it->v[k].cls = cls;
	}
	for (uint32_t realm = 0; realm < CW_REALM_COUNT && !r; realm++)
		r = choose_same(c, sd->drow[realm], &head[realm]);
	return r;
}

static bool needs_switch(const struct table *cur, const struct side *sd, const struct items *it)
{
	if (!cur)
		return true;
	for (uint32_t realm = 0; realm < CW_REALM_COUNT; realm++)
		if (cur->row[cur->head[realm]] != sd->drow[realm])
			return true;
	for (size_t i = 0; i < it->n; i++) {
		const struct item *x = &it->v[i];

		if (x->old == OLD_NONE)
			continue;
		if (cur->row[x->old & OLD_REALM ? cur->head[x->old & ~OLD_REALM] : x->old] != x->row)
			return true;
	}
	return false;
}

/* Without a switch: only identities that nobody has looked up yet come in. 1: no room for that. */
static int insert_only(struct policy_set *set, struct splan *p, const struct side *sd, struct items *it)
{
	const struct table *cur = sd->cur;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a side without a table is rebuilt, not inserted into */
	auto_free uint32_t *taken = calloc(cur->slots + 1, sizeof(*taken));
	uint32_t from = 0;

	if (!taken)
		return -ENOMEM;
	for (size_t i = 0; i < it->n; i++) {
		struct item *x = &it->v[i];
		uint32_t n;

		if (x->has) {
			x->cls = x->old;
			continue;
		}
		if (!(x->old & OLD_REALM)) {
			x->cls = x->old;	/* split off, and the same row as before */
			continue;
		}
		for (n = 0; n < cur->slots; n++)
			if ((cur->row[n] == x->row && !cur->drain[n]) || taken[n] == x->row)
				break;
		if (n == cur->slots) {
			n = free_class(cur, sd->old, taken, cur->slots, from);
			if (n == NIL)
				return 1;
			from = n + 1;
			taken[n] = x->row;
			if (row_room(set, x->row))
				return -ENOSPC;
			if (vec_push(&p->adds, ((struct tent){ n, x->row })))
				return -ENOMEM;
		}
		x->cls = n;
	}
	return 0;
}

static int entries_make(const struct policy_set *set, struct splan *p, const struct side *sd, struct items *it,
			bool all)
{
	if (it->n)
		qsort(it->v, it->n, sizeof(*it->v), item_ix_cmp);
	for (size_t i = 0; i < it->n; i++) {
		const struct item *x = &it->v[i];
		const struct pent *was = x->has ? pent_of(sd, x->ix) : NULL;
		struct pent e = { .ix = x->ix, .cls = x->cls };

		if (x->row == sd->drow[set->eids.v[x->ix].key.realm])
			e.stale = was && was->stale ? was->stale : NIL; /* NIL: stamped by the commit */
		if (vec_push(&p->p, e))
			return -ENOMEM;
		if ((all || !x->has || x->cls != x->old) && vec_push(&p->sets, ((struct pset){ x->ix, x->cls })))
			return -ENOMEM;
	}
	return 0;
}

static int clone_make(struct policy_set *set, const struct group *g, struct splan *p)
{
	const struct table *from = g->clone_of->side[p->side].cur;
	struct table *t = table_new(from->slots + from->slots / 2 + 64);

	if (!t)
		return -ENOMEM;
	p->clone = t;
	memcpy(t->head, from->head, sizeof(t->head));
	for (uint32_t i = 0; i < from->slots; i++) {
		t->row[i] = from->row[i];
		if (t->row[i])
			row_ref(set, t->row[i]);
	}
	return extents_get(&set->rowtab_x, CW_REALM_SLOTS + t->slots, &t->base);
}

/* 0; 1: nothing to do; -EAGAIN: no class number left; -ENOSPC: `set->nospace` is full. */
int side_plan(struct policy_set *set, struct group *g, enum cw_side s, struct splan *p)
{
	struct side *sd = &g->side[s];
	const struct side *src = sd;
	const struct table *cur = sd->cur;
	struct items it = {};
	struct chooser c = {};
	uint32_t head[CW_REALM_SLOTS] = {}, spare;
	int r = 0;

	p->g = g;
	p->side = (uint8_t)s;
	if (!cur && g->clone_of && g->clone_of->published) {
		src = &g->clone_of->side[s];
		r = clone_make(set, g, p);
		cur = p->clone;
		if (r == -ENOSPC)
			set->nospace = "row table";
	}
	r = r ?: items_make(set, sd, src, cur != NULL, &it);
	if (!r && !needs_switch(cur, sd, &it) && !p->clone) {
		r = insert_only(set, p, sd, &it);
		if (r == -ENOSPC)
			set->nospace = "row pool";
		if (r <= 0) {
			r = r ?: entries_make(set, p, sd, &it, false);
			vec_done(&it);
			return r ? r : p->p.n == sd->p.n && !p->sets.n && !p->adds.n;
		}
		p->adds.n = 0;
		r = 0;
	}
	for (size_t i = 0; i < it.n; i++)
		it.v[i].cls = NIL;
	if (it.n)
		qsort(it.v, it.n, sizeof(*it.v), item_cmp);
	c.cur = cur;
	c.old = p->clone ? NULL : sd->old;
	c.shared = cur ? cur->slots : 0;
	c.size = c.shared;
	for (const struct table *t = c.old; t; t = t->next) {
		if (t->slots < c.shared)
			c.shared = t->slots;
		if (t->slots > c.size)
			c.size = t->slots;
	}
	c.size += (uint32_t)it.n + CW_REALM_COUNT + 1;
	c.taken = calloc(c.size, sizeof(*c.taken));
	c.by_row = htab_new();
	if (!c.taken || !c.by_row)
		r = -ENOMEM;
	r = r ?: classes_assign(p, &c, &it, sd, head);
	spare = c.top / 2 > SPARE_MIN ? c.top / 2 : SPARE_MIN;
	if (!r) {
		p->next = table_new(c.top + spare);
		if (!p->next)
			r = -ENOMEM;
	}
	for (uint32_t i = 0; i < c.top && !r; i++) {
		if (!c.taken[i])
			continue;
		p->next->row[i] = c.taken[i];
		row_ref(set, c.taken[i]);
		r = row_room(set, c.taken[i]);
		if (r)
			set->nospace = "row pool";
	}
	if (!r) {
		memcpy(p->next->head, head, sizeof(head));
		r = extents_get(&set->rowtab_x, CW_REALM_SLOTS + p->next->slots, &p->next->base);
		if (r)
			set->nospace = "row table";
	}
	r = r ?: entries_make(set, p, sd, &it, p->clone || !cur || g->rebuild);
	htab_free(c.by_row, NULL);
	free(c.taken);
	vec_done(&it);
	return r;
}
