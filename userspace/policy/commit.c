/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writes of a plan, in the order that lets nobody see a half:
 *
 *  1. verdicts, rows, new tables, and the old classes' rows under new numbers: nobody looks there
 *  2. class entries: no-ops for every word a reader may hold
 *  3. addresses and prefixes split off an identity, workloads in copies of groups that they leave, names
 *     under new classes: no-ops under the words in force
 *  4. the words: the only step that changes a verdict
 *  5. whoever is in a group that could not follow moves to another, and its readers go
 *  6. addresses that mean something else, owners, generations of those who may have judged them
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/service.h"

/* ---- tables ------------------------------------------------------------------------------------- */

static int write_rowtab(const struct commit *c, uint32_t at, const uint64_t *v, size_t n)
{
	for (size_t i = 0, k; i < n; i += k) {
		int r;

		k = n - i < POLICY_BATCH ? n - i : POLICY_BATCH;
		r = c->sink->rowtab_write(c->sink->arg, at + (uint32_t)i, v + i, k);
		if (r)
			return r;
		memcpy(c->set->rowtab + at + i, v + i, k * sizeof(*v));
	}
	return 0;
}

static int write_row(const struct commit *c, uint32_t row)
{
	struct policy_set *set = c->set;
	struct row *m = &set->rowmeta.v[row];
	size_t n;
	const uint64_t *v;

	if (m->written)
		return 0;
	v = row_data(set, row, &n);
	for (size_t i = 0; i < n; i++) {
		uint32_t x = (uint32_t)v[i];
		const struct cw_verdict *rec = x ? intern_bytes(set->verdicts_in, x, NULL) : NULL;
		int r;

		if (!rec || !memcmp(&set->verdicts[x], rec, sizeof(*rec)))
			continue;
		r = c->sink->verdict_write(c->sink->arg, x, rec);
		if (r)
			return r;
		set->verdicts[x] = *rec;
	}
	for (size_t i = 0, k; i < n; i += k) {
		int r;

		k = n - i < POLICY_BATCH ? n - i : POLICY_BATCH;
		r = c->sink->rows_write(c->sink->arg, m->at + (uint32_t)i, v + i, k);
		if (r)
			return r;
		memcpy(set->rows + m->at + i, v + i, k * sizeof(*v));
	}
	m->written = true;
	return 0;
}

static uint64_t slot_value(const struct policy_set *set, uint32_t row)
{
	const struct row *m = &set->rowmeta.v[row];

	return row ? (uint64_t)m->at << 32 | m->n : 0;
}

static int write_table(const struct commit *c, const struct table *t)
{
	size_t n = CW_REALM_SLOTS + t->slots;
	uint64_t *v = calloc(n, sizeof(*v));
	int r = v ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < CW_REALM_SLOTS && !r; i++)
		v[i] = t->head[i];
	for (uint32_t i = 0; i < t->slots && !r; i++) {
		if (!t->row[i])
			continue;
		r = write_row(c, t->row[i]);
		v[CW_REALM_SLOTS + i] = slot_value(c->set, t->row[i]);
	}
	r = r ?: write_rowtab(c, t->base, v, n);
	free(v);
	return r;
}

static int table_put(const struct commit *c, struct table *t, uint32_t cls, uint32_t row)
{
	uint64_t v = slot_value(c->set, row);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): callers refine tables that stand */
	int r = write_rowtab(c, t->base + CW_REALM_SLOTS + cls, &v, 1);

	if (r)
		return r;
	row_ref(c->set, row);
	if (t->row[cls])
		row_unref(c->set, t->row[cls]);
	t->row[cls] = row;
	t->drain[cls] = 0;
	return 0;
}

/* The old classes' rows under their new numbers, in every table that a reader may hold. */
static int refine(const struct commit *c, const struct splan *p)
{
	struct side *sd = &p->g->side[p->side];
	int r = 0;

	for (size_t i = 0; i < p->ref.n && !r; i++) {
		const struct refine *f = &p->ref.v[i];
		struct table *t = p->clone ? p->clone : sd->cur;

		for (; t && !r; t = t == p->clone ? NULL : t == sd->cur ? sd->old : t->next) {
			uint32_t parent = f->implicit ? t->head[f->parent] : f->parent;

			if (parent < t->slots && t->row[parent] && f->cls < t->slots)
				r = table_put(c, t, f->cls, t->row[parent]);
		}
	}
	for (size_t i = 0; i < p->adds.n && !r; i++) {
		r = write_row(c, p->adds.v[i].row);
		r = r ?: table_put(c, sd->cur, p->adds.v[i].ix, p->adds.v[i].row);
	}
	return r;
}

/* ---- class entries --------------------------------------------------------------------------------- */

struct batch {
	const struct commit *c;
	struct cw_peer_key k[POLICY_BATCH];
	uint32_t cls[POLICY_BATCH];
	size_t n;
};

static int flush(struct batch *b)
{
	int r = b->n ? b->c->sink->peers_set(b->c->sink->arg, b->k, b->cls, b->n) : 0;

	b->n = 0;
	return r;
}

static int entries_write(struct batch *b, const struct splan *p)
{
	const struct policy_set *set = b->c->set;
	int r = 0;

	for (size_t i = 0; i < p->sets.n && !r; i++) {
		b->k[b->n] = (struct cw_peer_key){ .gs = p->g->number << 1 | p->side,
						   .eid = set->eids.v[p->sets.v[i].ix].number };
		b->cls[b->n++] = p->sets.v[i].cls;
		if (b->n == POLICY_BATCH)
			r = flush(b);
	}
	return r;
}

/* Entries as written: also what an aborted commit must know of. */
static void entries_take(struct commit *c, struct splan *p)
{
	struct policy_set *set = c->set;
	struct side *sd = &p->g->side[p->side];

	set->npeers = (uint32_t)(set->npeers + p->p.n - sd->p.n);
	for (size_t i = 0; i < p->p.n; i++)
		if (p->p.v[i].stale == NIL)
			p->p.v[i].stale = set->seq;
	vec_done(&sd->p);
	memcpy(&sd->p, &p->p, sizeof(sd->p));
	memset(&p->p, 0, sizeof(p->p));
}

/* ---- words ---------------------------------------------------------------------------------------------- */

/* fresh: the group's first word here; nothing stands under an earlier one, and what begins under it
 * may be kept later. */
static int word_put(struct commit *c, uint32_t index, uint64_t bits, bool fresh)
{
	struct policy_set *set = c->set;
	uint64_t w, since;
	int r;

	if (!++set->gen[index])
		set->gen[index] = 1;
	w = CW_WORD(set->gen[index], 0, 0, 0) | bits;
	since = CW_SINCE(c->flows == POLICY_KEEP && !fresh ? CW_SINCE_KEEP(set->since[index]) : set->gen[index],
			 c->flows == POLICY_RESET ? set->gen[index] : 0);
	r = c->sink->since_store ? c->sink->since_store(c->sink->arg, index, since) : 0;
	if (r)
		return r;
	set->since[index] = since;
	r = c->sink->word_store(c->sink->arg, index, w);
	if (r)
		return r;
	set->words[index] = w;
	return 0;
}

static uint64_t bits_of(const struct group *g, const struct table *t)
{
	return CW_WORD(0, g->cfg.mode, g->cfg.quar, t->base);
}

/* A copy begins as what it is a copy of was, mode and all. */
static uint64_t bits_of_copy(const struct policy_set *set, const struct group *g, enum cw_side side)
{
	uint64_t w = set->words[g->clone_of->number * 2 + side];

	return CW_WORD(0, CW_WORD_MODE(w), CW_WORD_QUAR(w), g->side[side].cur->base);
}

static void switch_side(struct commit *c, struct splan *p)
{
	struct side *sd = &p->g->side[p->side];
	struct table *old = sd->cur;
	int r = word_put(c, p->g->number * 2 + p->side, bits_of(p->g, p->next), !old);

	keep_error(c, r);
	if (r) {
		sd->dirty = sd->full = true;
		return;
	}
	if (old) {
		old->seq = c->set->seq;
		old->next = sd->old;
		sd->old = old;
	}
	sd->cur = take_ptr(p->next);
}

/* ---- what is over ------------------------------------------------------------------------ */

static void stamp_dead(struct policy_set *set)
{
	for (size_t i = 0; i < set->groups.n; i++) {
		struct group *g = set->groups.v[i];

		if (!g)
			continue;
		if (g->refs)
			g->dead_seq = 0;
		else if (!g->dead_seq)
			g->dead_seq = set->seq;
		g->clone_of = NULL;
	}
	for (size_t i = 0; i < set->eids.n; i++) {
		struct eid_ent *e = &set->eids.v[i];

		if (!e->number)
			continue;
		e->published = true;
		e->pred = NIL;
		if (e->holders || e->fixed)
			e->dead_seq = 0;
		else if (!e->dead_seq)
			e->dead_seq = set->seq;
	}
	set->eid_fresh.n = 0;
}

static void bump(struct commit *c)
{
	struct policy_set *set = c->set;

	for (size_t i = 0; i < set->groups.n; i++) {
		struct group *g = set->groups.v[i];

		if (!g || !g->published || !(g->bump || set->bump_all))
			continue;
		for (uint32_t s = 0; s < 2; s++)
			if (g->side[s].cur)
				keep_error(c, word_put(c, g->number * 2 + s,
						       set->words[g->number * 2 + s] & 0xffffffffu, false));
		g->bump = false;
		g->flows = (uint8_t)c->flows;
		g->rejudge_seq = set->seq;
	}
	set->bump_all = false;
}

/*
 * A packet that read an address before it changed and the word after would leave its flow with the
 * old meaning under the new generation. When all such packets are gone, the generation moves on
 * once more.
 */
int group_rejudge(struct policy_set *set, const struct policy_sink *sink, struct group *g)
{
	struct commit c = { .set = set, .sink = sink, .flows = g->flows };
	int r = 0;

	for (uint32_t s = 0; s < 2 && !r; s++)
		if (g->published && g->side[s].cur)
			r = word_put(&c, g->number * 2 + s, set->words[g->number * 2 + s] & 0xffffffffu, false);
	if (!r)
		g->rejudge_seq = 0;
	return r;
}

static int before_switch(struct commit *c, struct policy_plan *plan)
{
	struct batch *b = calloc(1, sizeof(*b));
	int r = b ? 0 : -ENOMEM;

	if (b)
		b->c = c;
	for (size_t i = 0; i < plan->sides.n && !r; i++) {
		struct splan *p = &plan->sides.v[i];

		if (p->clone)
			r = write_table(c, p->clone);
		if (!r && p->next)
			r = write_table(c, p->next);
		r = r ?: refine(c, p);
	}
	for (size_t i = 0; i < plan->sides.n && !r; i++)
		r = entries_write(b, &plan->sides.v[i]);
	r = r ?: flush(b);
	free(b);
	return r;
}

int policy_set_commit(struct policy_set *set, struct policy_plan *plan, const struct policy_sink *sink)
{
	struct commit c = { .set = set, .sink = sink, .flows = plan->flows };
	bool patterns = false;
	int r;

	set->seq++;
	r = before_switch(&c, plan);
	/* If we stop here, which entries were written is not known. They change no verdict; the groups
	 * are rebuilt beside by the next plan, and all their entries go with them. */
	for (size_t i = 0; i < plan->sides.n; i++) {
		struct splan *p = &plan->sides.v[i];

		entries_take(&c, p);
		if (r) {
			p->g->rebuild = true;
			continue;
		}
		if (!p->clone)
			continue;
		p->g->side[p->side].cur = take_ptr(p->clone);
		keep_error(&c, word_put(&c, p->g->number * 2 + p->side,
					bits_of_copy(set, p->g, (enum cw_side)p->side), true));
		p->g->published = true;
	}
	r = r ?: names_begin(&c);
	r = r ?: split_addrs(&c);
	r = r ?: names_patterns(&c, &patterns);
	r = r ?: services_before_switch(&c, &plan->svc);
	/* Whoever read an address before it changed must not meet a word that knows nothing of that. */
	if (!r && (c.split || patterns || set->moved_seq) && sink->settle) {
		r = sink->settle(sink->arg);
		if (!r)
			set->moved_seq = 0;
	}
	/* No answer that was read with the old patterns is still to be noted. */
	if (!r && patterns && sink->names_reclass)
		r = sink->names_reclass(sink->arg);
	if (r) {
		policy_plan_free(plan);
		set->poisoned |= r == -ENOMEM;
		return r;
	}
	for (size_t i = 0; i < plan->sides.n; i++) {
		struct splan *p = &plan->sides.v[i];

		if (p->next)
			switch_side(&c, p);
		p->g->side[p->side].dirty = p->g->side[p->side].full;
	}
	for (size_t i = 0; i < set->groups.n; i++) {
		struct group *g = set->groups.v[i];

		if (!g)
			continue;
		/* A group that its members are about to leave stays as it is. */
		for (uint32_t s = 0; s < 2 && g->refs && g->side[s].cur; s++)
			if ((set->words[g->number * 2 + s] & 0xffffffffu) != bits_of(g, g->side[s].cur))
				keep_error(&c, word_put(&c, g->number * 2 + s, bits_of(g, g->side[s].cur), false));
		g->published |= g->side[0].cur && g->side[1].cur;
	}
	leave_behind(&c);
	names_final(&c);
	final_addresses(&c);
	services_after_switch(&c, &plan->svc);
	bump(&c);
	lists_clear(&c);
	stamp_dead(set);
	set->ahead = c.late != 0;
	set->plan = NULL;
	plan_free(plan);
	return c.late;
}

bool policy_plan_rejudges(const struct policy_plan *plan, uint32_t group, enum cw_side side)
{
	const struct policy_set *set = plan->set;
	const struct group *g = group < set->lim.groups ? set->group_by_number[group] : NULL;

	if (!g || set->bump_all || g->bump || plan->svc.n)
		return true;
	for (size_t i = 0; i < plan->sides.n; i++)
		if (plan->sides.v[i].g == g && plan->sides.v[i].side == side && plan->sides.v[i].next)
			return true;
	return g->refs && g->side[side].cur &&
	       (set->words[group * 2 + side] & 0xffffffffu) != bits_of(g, g->side[side].cur);
}

bool policy_set_stands(const struct policy_set *set, uint32_t group, enum cw_side side, uint32_t gen)
{
	uint32_t index = group * 2 + (uint32_t)side, now, keep;

	if (group >= set->lim.groups || !gen)
		return false;
	now = CW_WORD_GEN(set->words[index]);
	keep = CW_SINCE_KEEP(set->since[index]);
	return now == gen || (keep && (int32_t)(gen - keep) >= 0 && (int32_t)(now - gen) > 0);
}

void policy_plan_flows(struct policy_plan *plan, enum policy_flows how)
{
	plan->flows = how;
}

void policy_plan_free(struct policy_plan *plan)
{
	if (!plan)
		return;
	/* The next plan starts from what is published. */
	mids_forget(plan->set);
	plan->set->plan = NULL;
	plan_free(plan);
}
