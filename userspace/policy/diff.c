/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For each pair of atoms the rows of both sets are laid over each other; what differs is told by
 * (side, verdict before, verdict after, ports), and pairs that differ alike are gathered to rectangles
 * of sources and destinations. Rows are interned, so each two of them are compared once.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/diff_priv.h"

/* Workloads of a whole cluster at once. */
#define DIFF_GROUPS 262144u

static void build_done(struct diff_build *b)
{
	htab_free(b->rowpairs, NULL);
	htab_free(b->seg_by, NULL);
	htab_free(b->cell_by, NULL);
	htab_free(b->key_by, NULL);
	for (size_t i = 0; i < b->segs.n; i++)
		free(b->segs.v[i].v);
	vec_done(&b->segs);
	vec_done(&b->keys);
	vec_done(&b->spans);
	vec_done(&b->cells);
	vec_done(&b->cell_keys);
	vec_done(&b->pairs);
	vec_done(&b->triples);
	vec_done(&b->items);
	free(b->own);
}

/* ---- all pairs ------------------------------------------------------------------------------------------ */

static bool never_source(const struct space *s, const struct space_atom *a, enum cw_side side)
{
	if (a->realm == CW_REALM_MULTICAST || a->nx[0] != NIL || a->nx[1] != NIL)
		return true;
	return side == CW_INGRESS && a->realm == CW_REALM_HOST &&
	       s->set[0]->local_node == CW_CTL_LOCAL_NODE_ALLOW && s->set[1]->local_node == CW_CTL_LOCAL_NODE_ALLOW;
}

static int atom_pairs(struct diff_build *b, uint32_t self, enum cw_side side)
{
	const struct space *s = b->s;
	const struct space_atom *a = &s->atoms.v[self];
	struct u32s rows[SPACE_SETS] = {};
	int r = space_rows(s->set[0], a->g[0], side, &rows[0]);

	r = r ?: space_rows(s->set[1], a->g[1], side, &rows[1]);
	for (uint32_t i = 0; i < s->atoms.n && !r; i++) {
		const struct space_atom *p = &s->atoms.v[i];
		struct dpair x = { .src = side == CW_EGRESS ? self : i, .dst = side == CW_EGRESS ? i : self };
		struct rowpair at[SPACE_SETS];
		uint32_t id;

		if (never_source(s, side == CW_EGRESS ? a : p, side))
			continue;
		for (int k = 0; k < SPACE_SETS; k++)
			at[k] = (struct rowpair){ rows[k].v[p->ix[k]], p->nx[k] == NIL ? NIL : rows[k].v[p->nx[k]] };
		r = diff_rows(b, at, &id);
		if (r || !id)
			continue;
		x.d[side] = id;
		r = b->pairs.n >= DIFF_PAIRS_MAX ? -E2BIG : vec_push(&b->pairs, x);
	}
	vec_done(&rows[0]);
	vec_done(&rows[1]);
	return r;
}

static int dpair_cmp(const void *x, const void *y)
{
	const struct dpair *a = x, *b = y;

	if (a->src != b->src)
		return a->src < b->src ? -1 : 1;
	return (a->dst > b->dst) - (a->dst < b->dst);
}

static int pairs_make(struct diff_build *b)
{
	size_t w = 0;
	int r = 0;

	for (uint32_t i = 0; i < b->s->atoms.n && !r; i++) {
		const struct space_atom *a = &b->s->atoms.v[i];

		if (!a->g[0] || !a->g[1])
			continue;
		r = atom_pairs(b, i, CW_EGRESS);
		r = r ?: atom_pairs(b, i, CW_INGRESS);
	}
	if (r || !b->pairs.n)
		return r;
	qsort(b->pairs.v, b->pairs.n, sizeof(*b->pairs.v), dpair_cmp);
	for (size_t i = 1; i < b->pairs.n; i++) {
		struct dpair *to = &b->pairs.v[w], *x = &b->pairs.v[i];

		if (!dpair_cmp(to, x)) {
			to->d[0] |= x->d[0];
			to->d[1] |= x->d[1];
		} else {
			b->pairs.v[++w] = *x;
		}
	}
	b->pairs.n = w + 1;
	return 0;
}

/* ---- order ------------------------------------------------------------------------------------------ */

static int ends_cmp(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb)
{
	for (uint32_t i = 0; i < na && i < nb; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return (na > nb) - (na < nb);
}

static int weight(const struct diff_item *it)
{
	return it->by.action == CW_ACT_BLOCK ? 0 : it->was.action == CW_ACT_BLOCK ? 1 : 2;
}

static int item_cmp(const void *x, const void *y)
{
	const struct diff_item *a = x, *b = y;
	int r = weight(a) - weight(b);

	r = r ?: ends_cmp(a->src, a->nsrc, b->src, b->nsrc);
	r = r ?: ends_cmp(a->dst, a->ndst, b->dst, b->ndst);
	r = r ?: (a->ports[0].lo > b->ports[0].lo) - (a->ports[0].lo < b->ports[0].lo);
	r = r ?: a->side - b->side;
	r = r ?: memcmp(&a->was, &b->was, sizeof(a->was));
	return r ?: memcmp(&a->by, &b->by, sizeof(a->by));
}

/* ---- two states ---------------------------------------------------------------------------------------------- */

struct compiled { struct policy_set *set[SPACE_SETS]; struct policy_plan *plan[SPACE_SETS]; };

static int compile(struct compiled *c, const struct diff_input in[SPACE_SETS], struct fail_list *f)
{
	static const struct policy_limits lim = { .groups = DIFF_GROUPS, .wls = DIFF_GROUPS, .all_local = true };
	int r = 0;

	for (int k = 0; k < SPACE_SETS && !r; k++) {
		r = policy_set_new(&lim, &c->set[k]);
		r = r ?: policy_set_prepare_ir(c->set[k], in[k].st, in[k].more, in[k].nmore, f, &c->plan[k]);
	}
	return r;
}

static void compiled_free(struct compiled *c)
{
	for (int k = 0; c && k < SPACE_SETS; k++) {
		policy_plan_free(c->plan[k]);
		policy_set_free(c->set[k]);
	}
	free(c);
}

static int diff_build(struct policy_diff *d, struct fail_list *f)
{
	struct diff_build *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->s = d->space;
	b->rowpairs = htab_new();
	b->seg_by = htab_new();
	b->cell_by = htab_new();
	b->key_by = htab_new();
	b->own = calloc((size_t)d->space->nowners * 4 + 4, sizeof(*b->own));
	r = b->rowpairs && b->seg_by && b->cell_by && b->key_by && b->own ? 0 : -ENOMEM;
	r = r ?: pairs_make(b);
	r = r ?: diff_cover(b);
	if (r == -E2BIG)
		fail_add(f, r, "diff.too-large", NULL, "at most 8,000,000 pairs of ends and 100,000 items that differ",
			 "compare smaller steps", "the rule sets differ nearly everywhere");
	if (b->items.n)
		qsort(b->items.v, b->items.n, sizeof(*b->items.v), item_cmp);
	d->items = b->items.v;
	d->n = b->items.n;
	b->items.v = NULL;
	for (size_t i = 0; i < d->n; i++)
		d->ranges += d->items[i].nports;
	build_done(b);
	free(b);
	return r;
}

int policy_diff_make(const struct policy_state *a, const struct policy_state *b, struct fail_list *f,
		     struct policy_diff *ret)
{
	const struct diff_input in[SPACE_SETS] = { { .st = a }, { .st = b } };

	return policy_diff_make_ir(in, f, ret);
}

int policy_diff_make_ir(const struct diff_input in[2], struct fail_list *f, struct policy_diff *ret)
{
	struct compiled *c = calloc(1, sizeof(*c));
	struct policy_diff d = { .owned = c };
	int r = c ? compile(c, in, f) : -ENOMEM;

	r = r ?: space_new(c->set[0], c->set[1], &d.space);
	if (r == -E2BIG && !d.space && c->plan[0] && c->plan[1])
		fail_add(f, r, "diff.too-large", NULL, "at most 500,000 names times prefixes", "compare smaller steps",
			 "there are too many names and prefixes of the world");
	if (!r) {
		d.ends = d.space->ends.v;
		d.nends = d.space->ends.n;
		r = diff_build(&d, f);
	}
	if (r) {
		policy_diff_done(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void policy_diff_done(struct policy_diff *d)
{
	for (size_t i = 0; i < d->n; i++)
		diff_item_done(&d->items[i]);
	free(d->items);
	space_free(d->space);
	compiled_free(d->owned);
	*d = (struct policy_diff){};
}
