/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities of the world, each times each class of names: what an address is judged as when it
 * also carries such a name. A pair is a holder like a prefix: what it stands for is split off, and
 * published before the words switch, by the same rules.
 *
 * All pairs that a reader can come by stand in the map: identities that are going away and classes
 * that names are about to leave included.
 *
 * An address is read before the word, what its name stands for after it. So a reader with an old word
 * may meet what is written after the switch, and what is split off stays in the map until all
 * such readers are gone: the collection makes the last writes.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

/* ---- pairs ---------------------------------------------------------------------------------------- */

static uint64_t cross_key(uint32_t base, uint32_t cls)
{
	return (uint64_t)base << 32 | cls;
}

struct cross *cross_find(const struct policy_set *set, uint32_t base, uint32_t cls)
{
	return htab_get_u64(set->dns.crosses, cross_key(base, cls));
}

uint32_t crosses_count(const struct policy_set *set)
{
	return (uint32_t)htab_count(set->dns.crosses);
}

static void cross_release(struct policy_set *set, struct cross *x)
{
	if (x->eid != NIL)
		set->eids.v[x->eid].holders--;
	x->eid = x->mid = NIL;
}

void crosses_drop_class(struct policy_set *set, uint32_t cls)
{
	size_t it = 0, klen;
	const void *k;
	void *v;

	while (htab_next(set->dns.crosses, &it, &k, &klen, &v)) {
		struct cross *x = v;

		if (x->cls != cls)
			continue;
		cross_release(set, x);
		htab_del_u64(set->dns.crosses, cross_key(x->base, x->cls));
		free(x);
	}
}

void names_forget_mids(struct policy_set *set)
{
	size_t it = 0, klen;
	const void *k;
	void *v;

	while (htab_next(set->dns.crosses, &it, &k, &klen, &v))
		((struct cross *)v)->mid = NIL;
}

/* ---- what a pair stands for --------------------------------------------------------------------------- */

/* What such an address was judged as so far: as written, else as the name's former class, else by
 * the address alone. NIL: nobody has come by. */
static uint32_t cross_before(const struct policy_set *set, const struct cross *x)
{
	const struct eid_ent *b = &set->eids.v[x->base];
	const struct name_class *c = &set->dns.cls.v[x->cls];
	uint32_t from = b->published ? x->base : b->pred;
	const struct cross *was;

	if (x->pub)
		return eid_slot(set, x->pub);
	if (from == NIL)
		return NIL;
	if (!c->published && c->from == NIL)
		return from;
	was = cross_find(set, from, c->published ? x->cls : c->from);
	return was && was->pub ? eid_slot(set, was->pub) : NIL;
}

static int cross_set(const struct policy_set *set, const struct cross *x, uint32_t *ret)
{
	size_t na, nb, i = 0, k = 0;
	const uint32_t *a = aset_sels(set, set->eids.v[x->base].key.aset, &na);
	const uint32_t *b = aset_sels(set, set->dns.cls.v[x->cls].aset, &nb);
	struct u32s all = {};
	int r = 0;

	*ret = 0;
	if (!na && !nb)
		return 0;
	while ((i < na || k < nb) && !r) {
		if (k >= nb || (i < na && a[i] < b[k]))
			r = vec_push(&all, a[i++]);
		else
			r = vec_push(&all, b[k++]);
	}
	r = r ?: intern_get(set->asets, all.v, all.n * sizeof(uint32_t), ret, NULL);
	vec_done(&all);
	return r;
}

/* The identity a pair should have; the references on sets are collected in `held` until assigned. */
static int cross_check(struct policy_set *set, struct cross *x, struct chgs *chgs, struct u32s *held)
{
	struct chg c = { .x = x, .old = cross_before(set, x) };
	int r;

	c.key.realm = CW_REALM_WORLD;
	c.key.base = CW_ID_WORLD;
	r = cross_set(set, x, &c.key.aset);
	if (r)
		return r;
	if (x->pub && x->eid != NIL && x->eid == c.old && ekey_same(&c.key, &set->eids.v[x->eid].key)) {
		if (c.key.aset)
			intern_unref(set->asets, c.key.aset);
		return 0;
	}
	/* What a dropped plan made of it is forgotten: it starts from what is written. */
	c.existing = x->eid != NIL && x->eid == c.old;
	if (!c.existing)
		cross_release(set, x);
	if (c.key.aset && vec_push(held, c.key.aset))
		return -ENOMEM;
	return vec_push(chgs, c);
}

static int cross_get(struct policy_set *set, uint32_t base, uint32_t cls, struct cross **ret)
{
	struct cross *x = cross_find(set, base, cls);

	if (!x) {
		x = calloc(1, sizeof(*x));
		if (!x)
			return -ENOMEM;
		*x = (struct cross){ .base = base, .cls = cls, .eid = NIL, .mid = NIL };
		if (htab_set_u64(set->dns.crosses, cross_key(base, cls), x)) {
			free(x);
			return -ENOMEM;
		}
	}
	*ret = x;
	return 0;
}

/* Identities of the world that a reader may come by, now or with this change. */
static int bases_find(struct policy_set *set, struct u32s *ret)
{
	size_t it = 0, klen;
	const void *k;
	void *v;

	for (uint32_t i = 0; i < set->eids.n; i++) {
		struct eid_ent *e = &set->eids.v[i];

		/* What a dropped plan left behind is nobody's. */
		e->crossed = e->number && e->key.realm == CW_REALM_WORLD && !e->named &&
			     (e->published || e->holders || e->fixed);
		if (e->crossed && vec_push(ret, i))
			return -ENOMEM;
	}
	while (htab_next(set->nets, &it, &k, &klen, &v)) {
		const struct netrec *n = v;
		struct eid_ent *e = n->mid == NIL || (n->gone && !n->pub_set) ? NULL : &set->eids.v[n->mid];

		if (!e || e->key.realm != CW_REALM_WORLD || e->named || e->crossed)
			continue;
		e->crossed = true;
		if (vec_push(ret, n->mid))
			return -ENOMEM;
	}
	return 0;
}

/* Lets pairs go that only a dropped plan knew of. Pairs that stand, wait for collection, or come. */
static uint64_t pairs_needed(struct policy_set *set, const struct u32s *bases)
{
	uint64_t need = 0;
	size_t it = 0, klen;
	const void *k;
	void *v;

	for (size_t i = 0; i < set->dns.cls.n; i++)
		need += set->dns.cls.v[i].number && !set->dns.cls.v[i].dead_seq;
	need *= bases->n;
	while (htab_next(set->dns.crosses, &it, &k, &klen, &v)) {
		struct cross *x = v;
		bool crossed = set->eids.v[x->base].crossed;

		if (crossed && !set->dns.cls.v[x->cls].dead_seq)
			continue; /* one of the above */
		if (crossed || x->pub) {
			need++;
			continue;
		}
		cross_release(set, x);
		htab_del_u64(set->dns.crosses, cross_key(x->base, x->cls));
		free(x);
	}
	return need;
}

static int pairs_check(struct policy_set *set, const struct u32s *bases, struct chgs *chgs, struct u32s *held)
{
	int r = 0;

	for (uint32_t c = 0; c < set->dns.cls.n; c++) {
		if (!set->dns.cls.v[c].number || set->dns.cls.v[c].dead_seq)
			continue;
		for (size_t i = 0; i < bases->n && !r; i++) {
			struct cross *x = NULL;

			r = cross_get(set, bases->v[i], c, &x);
			r = r ?: cross_check(set, x, chgs, held);
		}
	}
	return r;
}

int names_assign(struct policy_set *set)
{
	struct chgs chgs = {};
	struct u32s bases = {}, held = {};
	uint64_t need;
	bool todo;
	int r = classes_want(set, &todo);

	if (r || !todo)
		return r;
	r = bases_find(set, &bases);
	need = pairs_needed(set, &bases);
	if (!r && need > set->lim.named) {
		set->nospace = "identities with names (prefixes of the world x classes of names)";
		set->nospace_need = need;
		set->nospace_room = set->lim.named;
		r = -ENOSPC;
	}
	r = r ?: pairs_check(set, &bases, &chgs, &held);
	r = r ?: eids_assign(set, &chgs);
	for (size_t i = 0; i < chgs.n && !r; i++) {
		const struct cross *x = chgs.v[i].x;

		/* Without selectors of its own the pair becomes the address itself. */
		if (x->mid != NIL)
			set->eids.v[x->mid].named = true;
		if (set->dns.cls.v[x->cls].aset)
			set->eids.v[x->eid].named = true;
	}
	for (size_t i = 0; i < held.n; i++)
		intern_unref(set->asets, held.v[i]);
	vec_done(&chgs);
	vec_done(&bases);
	vec_done(&held);
	return r;
}

/* ---- commit ------------------------------------------------------------------------------------------------ */

/* The entry says something else, or nothing, from now on. */
static void cross_unpin(struct policy_set *set, struct cross *x)
{
	uint32_t ix = x->pub ? eid_slot(set, x->pub) : NIL;
	struct eid_ent *e = ix == NIL ? NULL : &set->eids.v[ix];

	x->pub = 0;
	if (!e)
		return;
	e->pinned--;
	/* Readers may just have seen it. */
	if (e->dead_seq)
		e->dead_seq = set->seq;
}

static int cross_write(struct policy_set *set, const struct policy_sink *sink, struct cross *x, uint32_t number)
{
	int r = 0;

	if (x->pub == number)
		return 0;
	if (sink->named_set)
		r = sink->named_set(sink->arg, set->eids.v[x->base].number, set->dns.cls.v[x->cls].number, number);
	if (r)
		return r;
	cross_unpin(set, x);
	x->pub = number;
	set->eids.v[eid_slot(set, number)].pinned++;
	return 0;
}

static int count_tell(struct policy_set *set, const struct policy_sink *sink)
{
	int r = 0;

	if (set->dns.told == set->dns.ncls)
		return 0;
	if (sink->names_store)
		r = sink->names_store(sink->arg, set->dns.ncls);
	if (!r)
		set->dns.told = set->dns.ncls;
	return r;
}

/* The last writes of an earlier commit: this one makes its own. */
static void lasts_forget(struct policy_set *set)
{
	size_t it = 0, klen;
	const void *k;
	void *v;

	while (htab_next(set->dns.crosses, &it, &k, &klen, &v))
		((struct cross *)v)->last = 0;
	it = 0;
	while (htab_next(set->dns.patterns, &it, &k, &klen, &v))
		((struct pattern *)v)->ends = false;
	set->dns.last_seq = 0;
}

int names_begin(struct commit *c)
{
	struct policy_set *set = c->set;
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	if (!set->dns.dirty)
		return 0;
	lasts_forget(set);
	for (size_t i = 0; i < set->dns.cls.n; i++)
		set->dns.cls.v[i].published |= set->dns.cls.v[i].number != 0;
	while (!r && htab_next(set->dns.crosses, &it, &k, &klen, &v)) {
		struct cross *x = v;
		uint32_t ix = x->mid != NIL ? x->mid : x->eid;

		if (ix == NIL || (x->pub && !split_of(set, ix, x->pub)))
			continue;
		r = cross_write(set, c->sink, x, set->eids.v[ix].number);
	}
	return r ?: count_tell(set, c->sink);
}

static int pattern_write(struct policy_set *set, const struct policy_sink *sink, struct pattern *p, uint32_t cls)
{
	int r = 0;

	if (sink->pattern_set)
		r = sink->pattern_set(sink->arg, p->text, set->dns.cls.v[cls].number);
	if (!r)
		p->pub = cls;
	return r;
}

int names_patterns(struct commit *c, bool *ret_changed)
{
	struct policy_set *set = c->set;
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	*ret_changed = false;
	while (set->dns.dirty && !r && htab_next(set->dns.patterns, &it, &k, &klen, &v)) {
		struct pattern *p = v;

		if (p->mid == p->pub)
			continue;
		*ret_changed = true;
		r = pattern_write(set, c->sink, p, p->mid);
	}
	return r;
}

/* Classes that no pattern gives any more. Names may still have them, until they are looked at. */
static void classes_stamp(struct policy_set *set)
{
	size_t it = 0, klen;
	const void *k;
	void *v;

	for (size_t i = 0; i < set->dns.cls.n; i++)
		set->dns.cls.v[i].mark = 0;
	while (htab_next(set->dns.patterns, &it, &k, &klen, &v))
		if (((struct pattern *)v)->pub != NIL)
			set->dns.cls.v[((struct pattern *)v)->pub].mark = 1;
	for (size_t i = 0; i < set->dns.cls.n; i++) {
		struct name_class *n = &set->dns.cls.v[i];

		if (!n->number || !n->published || n->dead_seq)
			continue;
		if (n->mark)
			n->dying_seq = 0;
		else if (!n->dying_seq)
			n->dying_seq = set->dns.stale_seq = set->seq;
	}
}

void names_final(struct commit *c)
{
	struct policy_set *set = c->set;
	size_t it = 0, klen;
	const void *k;
	void *v;

	if (!set->dns.dirty || c->late)
		return;
	while (htab_next(set->dns.crosses, &it, &k, &klen, &v)) {
		struct cross *x = v;

		x->last = x->eid == NIL ? 0 : set->eids.v[x->eid].number;
		x->mid = NIL;
	}
	it = 0;
	while (htab_next(set->dns.patterns, &it, &k, &klen, &v)) {
		struct pattern *p = v;

		p->ends = true;
		p->last = p->sels.n ? p->cls : NIL;
	}
	set->dns.last_seq = set->seq;
	set->dns.dirty = false;
}

/* ---- collection ---------------------------------------------------------------------------------------------- */

static bool over(uint64_t seq, uint64_t upto)
{
	return seq && seq <= upto;
}

/* Nobody has the identity any more on this way; readers may, for a grace period. */
static void cross_leaves(struct policy_set *set, struct cross *x, bool *more)
{
	uint32_t ix = x->eid;

	cross_release(set, x);
	if (ix == NIL)
		return;
	*more = true;
	if (!set->eids.v[ix].holders && !set->eids.v[ix].fixed && !set->eids.v[ix].dead_seq)
		set->eids.v[ix].dead_seq = set->seq;
}

static int pattern_last(struct policy_set *set, const struct policy_sink *sink, struct pattern *p)
{
	int r = 0;

	if (p->last != NIL && p->last != p->pub)
		r = pattern_write(set, sink, p, p->last);
	else if (p->last == NIL && p->pub != NIL && sink->pattern_del)
		r = sink->pattern_del(sink->arg, p->text);
	if (r)
		return r;
	p->ends = false;
	if (p->last == NIL)
		p->pub = NIL;
	if (p->pub == NIL && !p->sels.n)
		pattern_drop(set, p);
	return 0;
}

/* No reader has the words before the switch: pairs and patterns become what they are in the end. */
static int lasts_write(struct policy_set *set, const struct policy_sink *sink, uint64_t upto, bool *more)
{
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	if (!set->dns.last_seq)
		return 0;
	*more = true;
	if (!over(set->dns.last_seq, upto))
		return 0;
	while (!r && htab_next(set->dns.crosses, &it, &k, &klen, &v)) {
		struct cross *x = v;

		if (x->last)
			r = cross_write(set, sink, x, x->last);
	}
	it = 0;
	while (!r && htab_next(set->dns.patterns, &it, &k, &klen, &v)) {
		struct pattern *p = v;

		if (p->ends)
			r = pattern_last(set, sink, p);
	}
	if (r)
		return r;
	classes_stamp(set);
	set->dns.last_seq = 0;
	return 0;
}

/* Names have the classes that patterns give: what they had is no name's any more. */
static int classes_reclass(struct policy_set *set, const struct policy_sink *sink, uint64_t upto, bool *more)
{
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	if (!set->dns.stale_seq)
		return 0;
	*more = true;
	if (!over(set->dns.stale_seq, upto))
		return 0;
	if (sink->names_reclass)
		r = sink->names_reclass(sink->arg);
	if (r)
		return r;
	set->dns.stale_seq = 0;
	for (size_t i = 0; i < set->dns.cls.n; i++)
		if (set->dns.cls.v[i].number && set->dns.cls.v[i].dying_seq && !set->dns.cls.v[i].dead_seq)
			set->dns.cls.v[i].dead_seq = set->seq;
	while (htab_next(set->dns.crosses, &it, &k, &klen, &v)) {
		struct cross *x = v;

		if (set->dns.cls.v[x->cls].dead_seq)
			cross_leaves(set, x, more);
	}
	return 0;
}

int names_collect(struct policy_set *set, const struct policy_sink *sink, uint64_t upto, bool *more)
{
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	while (!r && htab_next(set->dns.crosses, &it, &k, &klen, &v)) {
		struct cross *x = v;
		const struct eid_ent *b = &set->eids.v[x->base];
		const struct name_class *n = &set->dns.cls.v[x->cls];

		/* Without its identity or its class nobody can look there. */
		if (!over(n->dead_seq, upto) && (b->holders || b->fixed || !over(b->dead_seq, upto))) {
			*more |= n->dead_seq != 0;
			continue;
		}
		if (x->pub && sink->named_del)
			r = sink->named_del(sink->arg, b->number, n->number);
		if (r)
			break;
		cross_unpin(set, x);
		cross_leaves(set, x, more);
		htab_del_u64(set->dns.crosses, cross_key(x->base, x->cls));
		free(x);
	}
	for (uint32_t i = 0; i < set->dns.cls.n && !r; i++)
		if (set->dns.cls.v[i].number && over(set->dns.cls.v[i].dead_seq, upto))
			class_free(set, i);
	r = r ?: classes_reclass(set, sink, upto, more);
	r = r ?: lasts_write(set, sink, upto, more);
	return r ?: count_tell(set, sink);
}
