/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One side of a group: which rules speak, which peers they tell apart, and the row of each.
 *
 * The rules stand in the order in which they are asked. A full compile splits the peers into
 * cells, rule after rule, touching only what the rules' selectors match; all else of a realm
 * is one cell. A single new identity is classified by walking the rules.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/set.h"

/* ---- order ------------------------------------------------------------------------------------- */

static int rank_cmp(const void *x, const void *y)
{
	const struct ir *a = *(struct ir *const *)x, *b = *(struct ir *const *)y;

	if (a->tier != b->tier)
		return (int)a->tier - (int)b->tier;
	if (a->priority != b->priority)
		return (a->priority > b->priority) - (a->priority < b->priority);
	if (a->effect != b->effect)
		return (int)a->effect - (int)b->effect;
	return (a->rule > b->rule) - (a->rule < b->rule);
}

/* Exceptions of a quarantine stand before its block although allow ranks lower elsewhere. */
static int order_cmp(const void *x, const void *y)
{
	const struct ir *a = *(struct ir *const *)x, *b = *(struct ir *const *)y;

	if (a->tier == CW_TIER_QUARANTINE && b->tier == CW_TIER_QUARANTINE)
		return (int)b->effect - (int)a->effect;
	return rank_cmp(x, y);
}

/* ---- matching ---------------------------------------------------------------------------------------- */

bool ir_hits(const struct policy_set *set, const struct ir *ir, const struct eid_ent *peer)
{
	if (ir->peer_realms & 1u << peer->key.realm)
		return true;
	for (uint32_t i = 0; i < ir->npeer; i++)
		if (sel_marked(set, ir->peer[i]))
			return true;
	return false;
}

/* ---- cells: which rules match, and the row that makes ---------------------------------------------------- */

static int cell_row(struct policy_set *set, const struct group *g, struct side *sd, enum cw_side s,
		    const uint32_t *chain, size_t n, uint32_t npset, uint32_t *ret)
{
	uint32_t hash = 2166136261u ^ npset;
	struct cell c = { .npset = npset, .n = (uint32_t)n };
	int r;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ chain[i]) * 16777619u;
	for (size_t i = 0; i < sd->cells.n; i++) {
		const struct cell *k = &sd->cells.v[i];

		if (k->hash == hash && k->npset == npset && k->n == n && (!n || !memcmp(k->rule, chain, n * sizeof(*chain)))) {
			*ret = k->row;
			return 0;
		}
	}
	c.hash = hash;
	r = row_make(set, g, sd, s, chain, n, npset, &c.row);
	if (r)
		return r;
	c.rule = malloc((n + 1) * sizeof(*c.rule));
	if (!c.rule || vec_push(&sd->cells, c)) {
		free(c.rule);
		row_unref(set, c.row);
		return -ENOMEM;
	}
	if (n)
		memcpy(c.rule, chain, n * sizeof(*chain));
	*ret = c.row;
	return 0;
}

void side_forget(struct policy_set *set, struct side *sd)
{
	for (size_t i = 0; i < sd->cells.n; i++) {
		row_unref(set, sd->cells.v[i].row);
		free(sd->cells.v[i].rule);
	}
	vec_done(&sd->cells);
	vec_done(&sd->t);
	free(sd->rules);
	sd->rules = NULL;
	sd->nrules = 0;
}

/* Lets rows go that no identity has any more. */
void side_prune(struct policy_set *set, struct side *sd)
{
	size_t w = 0;

	for (size_t i = 0; i < sd->cells.n; i++) {
		struct cell *c = &sd->cells.v[i];
		bool used = false;

		for (uint32_t r = 0; r < CW_REALM_COUNT && !used; r++)
			used = sd->drow[r] == c->row;
		for (size_t t = 0; t < sd->t.n && !used; t++)
			used = sd->t.v[t].row == c->row;
		if (used) {
			sd->cells.v[w++] = *c;
			continue;
		}
		row_unref(set, c->row);
		free(c->rule);
	}
	sd->cells.n = w;
	sd->loose = false;
}

/* ---- which rules speak ------------------------------------------------------------------------------------- */

struct irs { struct ir **v; size_t n, cap; };

static int irs_by(struct policy_set *set, const struct group *g, enum cw_side s, const uint32_t *sels, size_t n,
		  struct irs *ret)
{
	for (size_t i = 0; i < n; i++) {
		const struct sel *l = set->sels.v[sels[i]];

		for (size_t k = 0; l && k < l->subject_of[s].n; k++) {
			struct ir *ir = l->subject_of[s].v[k];

			if (ir->mark == set->mark || ir->subject_all || !ir_speaks(set, ir, g->eid))
				continue;
			ir->mark = set->mark; /* reached by another selector, too */
			if (vec_push(ret, ir))
				return -ENOMEM;
		}
	}
	return 0;
}

static int irs_of(struct policy_set *set, const struct group *g, enum cw_side s, struct irs *ret)
{
	const struct ekey *key = &set->eids.v[g->eid].key;
	const uint32_t *v;
	size_t n;
	int r = 0;

	for (size_t i = 0; i < set->qlist.n && g->cfg.qspec; i++) {
		const struct qspec *q = set->qlist.v[i];

		for (size_t k = 0; q->id == g->cfg.qspec && k < q->n[s] && !r; k++)
			r = vec_push(ret, q->ir[s][k]);
	}
	eid_mark_sels(set, g->eid);
	for (size_t i = 0; i < set->wide[s].n && !r; i++)
		if (ir_speaks(set, set->wide[s].v[i], g->eid))
			r = vec_push(ret, set->wide[s].v[i]);
	r = r ?: irs_by(set, g, s, set->idns.v[key->base].sels.v, set->idns.v[key->base].sels.n, ret);
	v = aset_sels(set, key->aset, &n);
	return r ?: irs_by(set, g, s, v, n, ret);
}

/* ---- compile ----------------------------------------------------------------------------------------------------- */

/* A cell while peers are being split: the last rule that matched, and the cell it was split from. */
struct piece {
	uint32_t parent, rule;		/* parent NIL: a realm's beginning */
	uint32_t child, child_rule;
	uint32_t realm, npset, count, row;
};
struct split {
	struct policy_set *set;
	struct { struct piece *v; size_t n, cap; } pieces;
	struct u32s touched;
	uint32_t root[CW_REALM_COUNT];
};

static int piece_new(struct split *x, uint32_t parent, uint32_t rule, uint32_t realm, uint32_t npset, uint32_t *ret)
{
	*ret = (uint32_t)x->pieces.n;
	return vec_push(&x->pieces, ((struct piece){ .parent = parent, .rule = rule, .child_rule = NIL,
						     .realm = realm, .npset = npset }));
}

static int peer_touch(struct split *x, uint32_t ix, uint32_t root)
{
	struct policy_set *set = x->set;

	set->cell_stamp.v[ix] = set->stamp;
	set->cell_of.v[ix] = root;
	return vec_push(&x->touched, ix);
}

static int peer_hit(struct split *x, uint32_t ix, uint32_t rule, uint32_t whole)
{
	struct policy_set *set = x->set;
	uint32_t realm = set->eids.v[ix].key.realm, at, child;
	int r;

	if (whole & 1u << realm)
		return 0; /* told apart from nobody */
	if (set->cell_stamp.v[ix] != set->stamp) {
		r = peer_touch(x, ix, x->root[realm]);
		if (r)
			return r;
	}
	at = set->cell_of.v[ix];
	if (x->pieces.v[at].rule == rule && x->pieces.v[at].parent != NIL)
		return 0; /* matched by another selector of the same rule */
	if (x->pieces.v[at].child_rule != rule) {
		r = piece_new(x, at, rule, realm, x->pieces.v[at].npset, &child);
		if (r)
			return r;
		x->pieces.v[at].child_rule = rule;
		x->pieces.v[at].child = child;
	}
	set->cell_of.v[ix] = x->pieces.v[at].child;
	return 0;
}

static int rule_split(struct split *x, const struct ir *ir, uint32_t rule)
{
	struct policy_set *set = x->set;
	int r = 0;

	for (uint32_t i = 0; i < ir->npeer && !r; i++) {
		const struct sel *s = set->sels.v[ir->peer[i]];

		for (size_t k = 0; k < s->idents.n && !r; k++) {
			const struct u32s *l = &set->idns.v[s->idents.v[k]].eids;

			for (size_t e = 0; e < l->n && !r; e++)
				r = peer_hit(x, l->v[e], rule, ir->peer_realms);
		}
		for (size_t k = 0; k < s->eids.n && !r; k++)
			r = peer_hit(x, s->eids.v[k], rule, ir->peer_realms);
	}
	return r;
}

static int u32_cmp(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

/* Rules that match a piece, in order: those on its way down and those that match its realm whole. */
static int piece_row(struct split *x, const struct group *g, struct side *sd, enum cw_side s, uint32_t at,
		     struct u32s *chain, uint32_t *ret)
{
	const struct piece *p = &x->pieces.v[at];
	uint32_t realm = p->realm, npset = p->npset;

	chain->n = 0;
	for (; p->parent != NIL; p = &x->pieces.v[p->parent])
		if (vec_push(chain, p->rule))
			return -ENOMEM;
	for (uint32_t i = 0; i < sd->nrules; i++)
		if (sd->rules[i]->peer_realms & 1u << realm && vec_push(chain, i))
			return -ENOMEM;
	if (chain->n > 1)
		qsort(chain->v, chain->n, sizeof(uint32_t), u32_cmp);
	return cell_row(x->set, g, sd, s, chain->v, chain->n, npset, ret);
}

static int tent_cmp(const void *x, const void *y)
{
	const struct tent *a = x, *b = y;

	return (a->ix > b->ix) - (a->ix < b->ix);
}

/* The default of a realm: what its untouched identities have, unless another row is far commoner. */
static uint32_t default_row(struct split *x, uint32_t realm, uint32_t base, uint32_t untouched)
{
	uint32_t best = base, most = untouched;
	uint32_t total = untouched;

	for (size_t i = 0; i < x->pieces.n; i++)
		if (x->pieces.v[i].realm == realm && x->pieces.v[i].row == base)
			total += x->pieces.v[i].count;
	most = total;
	for (size_t i = 0; i < x->pieces.n; i++) {
		uint32_t n = 0;

		/* Cheap filter first: pieces are few, but the sum below is quadratic in them. */
		if (x->pieces.v[i].realm != realm || x->pieces.v[i].row == base || !x->pieces.v[i].count)
			continue;
		for (size_t k = i; k < x->pieces.n; k++)
			if (x->pieces.v[k].realm == realm && x->pieces.v[k].row == x->pieces.v[i].row)
				n += x->pieces.v[k].count;
		if (n > 2 * total + 16 && n > most) {
			best = x->pieces.v[i].row;
			most = n;
		}
		if (i > 256)
			break;
	}
	return best;
}

static int targets_make(struct split *x, const struct group *g, struct side *sd, enum cw_side s)
{
	struct policy_set *set = x->set;
	uint32_t base[CW_REALM_COUNT], touched[CW_REALM_COUNT] = {};
	struct u32s chain = {};
	int r = 0;

	for (size_t i = 0; i < x->touched.n; i++) {
		uint32_t ix = x->touched.v[i];

		touched[set->eids.v[ix].key.realm]++;
		x->pieces.v[set->cell_of.v[ix]].count++;
	}
	for (uint32_t i = 0; i < x->pieces.n && !r; i++)
		if (x->pieces.v[i].count || i < CW_REALM_COUNT)
			r = piece_row(x, g, sd, s, i, &chain, &x->pieces.v[i].row);
	vec_done(&chain);
	if (r)
		return r;
	for (uint32_t realm = 0; realm < CW_REALM_COUNT; realm++) {
		base[realm] = x->pieces.v[x->root[realm]].row;
		sd->drow[realm] = default_row(x, realm, base[realm], set->realm_eids[realm] - touched[realm]);
	}
	sd->t.n = 0;
	for (size_t i = 0; i < x->touched.n && !r; i++) {
		uint32_t ix = x->touched.v[i], row = x->pieces.v[set->cell_of.v[ix]].row;

		if (row != sd->drow[set->eids.v[ix].key.realm])
			r = vec_push(&sd->t, ((struct tent){ ix, row }));
	}
	for (uint32_t realm = 0; realm < CW_REALM_COUNT && !r; realm++) {
		if (sd->drow[realm] == base[realm])
			continue;
		for (uint32_t ix = 0; ix < set->eids.n && !r; ix++)
			if (set->eids.v[ix].number && set->eids.v[ix].key.realm == realm &&
			    set->cell_stamp.v[ix] != set->stamp)
				r = vec_push(&sd->t, ((struct tent){ ix, base[realm] }));
	}
	if (sd->t.n > 1)
		qsort(sd->t.v, sd->t.n, sizeof(*sd->t.v), tent_cmp);
	return r;
}

static int scratch(struct policy_set *set)
{
	size_t n = set->eids.n;

	if (set->cell_of.n < n) {
		if (vec_reserve(&set->cell_of, n) || vec_reserve(&set->cell_stamp, n))
			return -ENOMEM;
		memset(set->cell_stamp.v + set->cell_stamp.n, 0, (n - set->cell_stamp.n) * sizeof(uint32_t));
		set->cell_of.n = set->cell_stamp.n = n;
	}
	if (++set->stamp == 0) {
		memset(set->cell_stamp.v, 0, n * sizeof(uint32_t));
		set->stamp = 1;
	}
	return 0;
}

int side_compile(struct policy_set *set, struct group *g, enum cw_side s)
{
	struct side *sd = &g->side[s], old = *sd;
	struct split x = { .set = set };
	struct irs irs = {};
	int r;

	/* Old cells are let go last: their rows are likely to be the new ones, too. */
	memset(&sd->cells, 0, sizeof(sd->cells));
	memset(&sd->t, 0, sizeof(sd->t));
	sd->rules = NULL;
	sd->nrules = 0;
	r = irs_of(set, g, s, &irs);
	if (irs.n > 1)
		qsort(irs.v, irs.n, sizeof(*irs.v), order_cmp);
	sd->rules = irs.v;
	sd->nrules = (uint32_t)irs.n;
	sd->uses_names = false;
	for (uint32_t i = 0; i < sd->nrules; i++)
		sd->uses_names |= s == CW_EGRESS && sd->rules[i]->nnamed;
	r = r ?: scratch(set);
	for (uint32_t realm = 0; realm < CW_REALM_COUNT && !r; realm++)
		r = piece_new(&x, NIL, NIL, realm, 0, &x.root[realm]);
	/* Where ports have names, whoever names ports is told apart from the beginning. */
	for (uint32_t ix = 0; ix < set->eids.n && sd->uses_names && !r; ix++) {
		const struct eid_ent *e = &set->eids.v[ix];
		uint32_t root;

		if (!e->number || !e->key.npset)
			continue;
		for (root = CW_REALM_COUNT; root < x.pieces.n; root++)
			if (x.pieces.v[root].realm == e->key.realm && x.pieces.v[root].npset == e->key.npset)
				break;
		if (root == x.pieces.n)
			r = piece_new(&x, NIL, NIL, e->key.realm, e->key.npset, &root);
		r = r ?: peer_touch(&x, ix, root);
	}
	for (uint32_t i = 0; i < sd->nrules && !r; i++)
		r = rule_split(&x, sd->rules[i], i);
	r = r ?: targets_make(&x, g, sd, s);
	vec_done(&x.pieces);
	vec_done(&x.touched);
	for (size_t i = 0; i < old.cells.n; i++) {
		row_unref(set, old.cells.v[i].row);
		free(old.cells.v[i].rule);
	}
	vec_done(&old.cells);
	vec_done(&old.t);
	free(old.rules);
	sd->dirty = true;
	sd->full = r != 0;
	return r;
}

/* ---- one identity ---------------------------------------------------------------------------- */

static size_t tent_at(const struct side *sd, uint32_t ix, bool *ret_found)
{
	size_t lo = 0, hi = sd->t.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (sd->t.v[mid].ix < ix)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_found = lo < sd->t.n && sd->t.v[lo].ix == ix;
	return lo;
}

/* eid_mark_sels(set, ix) comes first, once for all sides. */
int side_eid(struct policy_set *set, struct group *g, enum cw_side s, uint32_t ix)
{
	struct side *sd = &g->side[s];
	const struct eid_ent *e = &set->eids.v[ix];
	uint32_t small[64], *chain = small, row, n = 0;
	auto_free uint32_t *big = NULL;
	bool found;
	size_t at;
	int r;

	if (sd->nrules > 64) {
		big = malloc(sd->nrules * sizeof(*big));
		if (!big)
			return -ENOMEM;
		chain = big;
	}
	for (uint32_t i = 0; i < sd->nrules; i++)
		if (ir_hits(set, sd->rules[i], e))
			chain[n++] = i;
	r = cell_row(set, g, sd, s, chain, n, sd->uses_names ? e->key.npset : 0, &row);
	if (r) {
		sd->full = sd->dirty = true;
		return r;
	}
	at = tent_at(sd, ix, &found);
	sd->loose |= found;
	if (row == sd->drow[e->key.realm]) {
		if (found) {
			memmove(sd->t.v + at, sd->t.v + at + 1, (sd->t.n - at - 1) * sizeof(*sd->t.v));
			sd->t.n--;
			sd->dirty = true;
		}
		return 0;
	}
	sd->dirty = true;
	if (found) {
		sd->t.v[at].row = row;
		return 0;
	}
	if (vec_push(&sd->t, ((struct tent){})))
		return -ENOMEM;
	memmove(sd->t.v + at + 1, sd->t.v + at, (sd->t.n - at - 1) * sizeof(*sd->t.v));
	sd->t.v[at] = (struct tent){ ix, row };
	return 0;
}

uint32_t side_row(const struct side *sd, uint32_t ix, uint32_t realm)
{
	bool found;
	size_t at = tent_at(sd, ix, &found);

	return found ? sd->t.v[at].row : sd->drow[realm];
}
