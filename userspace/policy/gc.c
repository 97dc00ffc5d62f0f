/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collection: what only readers of old words could see is taken away once they are gone. Every
 * step is a no-op for the words in force. Emptied classes wait for another grace period.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/service.h"

struct gc {
	struct policy_set *set;
	const struct policy_sink *sink;
	uint64_t upto;
	bool more;
	struct cw_peer_key k[POLICY_BATCH];
	uint32_t cls[POLICY_BATCH];
	size_t n;
};

static int flush_del(struct gc *x)
{
	int r = x->n ? x->sink->peers_del(x->sink->arg, x->k, x->n) : 0;

	x->n = 0;
	return r;
}

static int flush_set(struct gc *x)
{
	int r = x->n ? x->sink->peers_set(x->sink->arg, x->k, x->cls, x->n) : 0;

	x->n = 0;
	return r;
}

static bool over(const struct gc *x, uint64_t seq)
{
	return seq && seq <= x->upto;
}

/* An identity that nobody has and no reader can still have looked up. */
static bool eid_over(const struct gc *x, uint32_t ix)
{
	const struct eid_ent *e = &x->set->eids.v[ix];

	return e->number && !e->holders && !e->pinned && !e->fixed && over(x, e->dead_seq) && !e->groups;
}

static int entries_collect(struct gc *x, struct group *g, uint32_t s, bool eids)
{
	struct policy_set *set = x->set;
	struct side *sd = &g->side[s];
	size_t w = 0;
	int r = 0;

	for (size_t i = 0; i < sd->p.n; i++) {
		struct pent *e = &sd->p.v[i];
		bool go = !r && (over(x, e->stale) || (eids && eid_over(x, e->ix)));

		if (go) {
			x->k[x->n++] = (struct cw_peer_key){ .gs = g->number << 1 | s,
							     .eid = set->eids.v[e->ix].number };
			if (x->n == POLICY_BATCH)
				r = flush_del(x);
			set->npeers--;
			continue;
		}
		x->more |= e->stale != 0;
		sd->p.v[w++] = *e;
	}
	sd->p.n = w;
	r = r ?: flush_del(x);
	if (!eids) {
		if (sd->loose)
			side_prune(set, sd);
		return r;
	}
	w = 0;
	for (size_t i = 0; i < sd->t.n; i++)
		if (!eid_over(x, sd->t.v[i].ix))
			sd->t.v[w++] = sd->t.v[i];
	sd->t.n = w;
	side_prune(set, sd);
	return r;
}

static void tables_collect(struct gc *x, struct side *sd)
{
	struct table **at = &sd->old;

	while (*at) {
		struct table *t = *at;

		if (!over(x, t->seq)) {
			x->more = true;
			at = &t->next;
			continue;
		}
		*at = t->next;
		table_free(x->set, t);
	}
}

/* Classes with the same row become one; those that nobody is in are given up. */
static int classes_merge(struct gc *x, struct group *g, uint32_t s)
{
	struct policy_set *set = x->set;
	struct side *sd = &g->side[s];
	struct table *t = sd->cur;
	uint32_t *count, *into;
	int r = 0;

	if (!t || sd->old)
		return 0;
	count = calloc(t->slots + 1, sizeof(*count));
	into = calloc(t->slots + 1, sizeof(*into));
	if (!count || !into)
		r = -ENOMEM;
	for (uint32_t c = 0; c < t->slots && !r; c++) {
		into[c] = c;
		if (!t->row[c] || !t->drain[c])
			continue;
		if (!over(x, t->drain[c])) {
			x->more = true;
			continue;
		}
		row_unref(set, t->row[c]);
		t->row[c] = 0;
		t->drain[c] = 0;
	}
	for (size_t i = 0; i < sd->p.n && !r; i++)
		count[sd->p.v[i].cls]++;
	for (uint32_t c = 0; c < t->slots && !r; c++) {
		if (!t->row[c] || t->drain[c])
			continue;
		for (uint32_t d = 0; d < c; d++) {
			if (t->row[d] != t->row[c] || t->drain[d] || into[d] != d)
				continue;
			if (count[d] >= count[c]) {
				into[c] = d;
				break;
			}
			into[d] = c;
			for (uint32_t e = 0; e < c; e++)
				if (into[e] == d)
					into[e] = c;
			break;
		}
	}
	for (size_t i = 0; i < sd->p.n && !r; i++) {
		struct pent *e = &sd->p.v[i];

		if (into[e->cls] == e->cls)
			continue;
		x->k[x->n] = (struct cw_peer_key){ .gs = g->number << 1 | s, .eid = set->eids.v[e->ix].number };
		x->cls[x->n++] = into[e->cls];
		count[into[e->cls]]++;
		count[e->cls]--;
		e->cls = into[e->cls];
		if (x->n == POLICY_BATCH)
			r = flush_set(x);
	}
	r = r ?: flush_set(x);
	for (uint32_t realm = 0; realm < CW_REALM_COUNT && !r; realm++) {
		uint64_t v = into[t->head[realm]];

		if (v != t->head[realm]) {
			r = x->sink->rowtab_write(x->sink->arg, t->base + realm, &v, 1);
			if (r)
				break;
			set->rowtab[t->base + realm] = v;
			t->head[realm] = (uint32_t)v;
		}
		count[t->head[realm]]++;
	}
	for (uint32_t c = 0; c < t->slots && !r; c++)
		if (t->row[c] && !t->drain[c] && !count[c]) {
			t->drain[c] = set->seq;
			x->more = true;
		}
	free(count);
	free(into);
	/* Which entries were moved is not known after a failure; both classes say the same. */
	return r;
}

static int group_collect(struct gc *x, struct group *g)
{
	struct policy_set *set = x->set;
	int r = 0;

	if (!over(x, g->dead_seq) || g->refs) {
		x->more |= g->dead_seq != 0;
		return 0;
	}
	for (uint32_t s = 0; s < 2 && !r; s++) {
		struct side *sd = &g->side[s];

		if (set->words[g->number * 2 + s]) {
			r = x->sink->word_store(x->sink->arg, g->number * 2 + s, 0);
			if (r)
				break;
			set->words[g->number * 2 + s] = 0;
		}
		for (size_t i = 0; i < sd->p.n && !r; i++) {
			x->k[x->n++] = (struct cw_peer_key){ .gs = g->number << 1 | s,
							     .eid = set->eids.v[sd->p.v[i].ix].number };
			if (x->n == POLICY_BATCH)
				r = flush_del(x);
		}
		r = r ?: flush_del(x);
		if (r)
			break;
		set->npeers -= (uint32_t)sd->p.n;
		vec_done(&sd->p);
		while (sd->old) {
			struct table *t = sd->old;

			sd->old = t->next;
			table_free(set, t);
		}
		table_free(set, sd->cur);
		sd->cur = NULL;
	}
	if (!r)
		group_free(set, g);
	return r;
}

static int owners_collect(struct gc *x)
{
	struct policy_set *set = x->set;
	size_t w = 0;

	for (size_t i = 0; i < set->owner_dead.n; i++) {
		struct owner *o = set->owner_dead.v[i];

		if (!over(x, o->dead_seq)) {
			x->more |= o->dead_seq != 0;
			set->owner_dead.v[w++] = o;
			continue;
		}
		if (o->wl) {
			set->wl_by_number[o->wl] = NULL;
			set->nwls--;
		}
		for (size_t k = 0; k < set->owner_dirty.n; k++)
			if (set->owner_dirty.v[k] == o) {
				set->owner_dirty.v[k] = set->owner_dirty.v[--set->owner_dirty.n];
				break;
			}
		owner_free(set, o);
	}
	set->owner_dead.n = w;
	return 0;
}

int policy_set_gc(struct policy_set *set, const struct policy_sink *sink, uint64_t seq)
{
	struct gc *x;
	bool eids = false;
	struct commit c = { .set = set, .sink = sink };
	int r = 0;

	if (set->plan)
		return -EBUSY;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->set = set;
	x->sink = sink;
	x->upto = seq;
	set->seq++;
	if (over(x, set->moved_seq))
		set->moved_seq = 0;
	for (size_t i = 0; i < set->groups.n && !r; i++) {
		struct group *g = set->groups.v[i];

		if (g && g->rejudge_seq && g->rejudge_seq <= seq)
			r = group_rejudge(set, sink, g);
	}
	if (set->twins && !set->ahead && !r)
		r = twins_merge(&c);
	for (size_t i = 0; i < set->groups.n && !r; i++)
		if (set->groups.v[i] && set->groups.v[i]->number)
			r = group_collect(x, set->groups.v[i]);
	r = r ?: names_collect(set, sink, seq, &x->more);
	for (uint32_t i = 0; i < set->eids.n; i++)
		eids |= eid_over(x, i);
	for (size_t i = 0; i < set->groups.n && !r; i++) {
		struct group *g = set->groups.v[i];

		for (uint32_t s = 0; g && s < 2 && !r; s++) {
			tables_collect(x, &g->side[s]);
			r = entries_collect(x, g, s, eids);
			r = r ?: classes_merge(x, g, s);
		}
	}
	for (uint32_t i = 0; i < set->eids.n && !r; i++) {
		if (eid_over(x, i))
			eid_free(set, i);
		else if (set->eids.v[i].number && set->eids.v[i].dead_seq && !set->eids.v[i].holders)
			x->more = true;
	}
	r = r ?: owners_collect(x);
	x->more |= services_collect(set, seq);
	r = r ? r : x->more;
	free(x);
	return r;
}
