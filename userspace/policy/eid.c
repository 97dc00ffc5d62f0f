/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effective identities, and how they change.
 *
 * When selectors come and go, the identity of an address changes although nobody moved. Two cares
 * keep that cheap and invisible: an identity whose holders all move alike keeps its number and only
 * changes its key; one that is split off remembers what it was split from (pred), so that it
 * can be published before the switch with the old verdicts, and get its own with the switch.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

bool ekey_same(const struct ekey *a, const struct ekey *b)
{
	return !memcmp(a, b, sizeof(*a));
}

uint32_t eid_slot(const struct policy_set *set, uint32_t number)
{
	return (uint32_t)(uintptr_t)htab_get_u64(set->eid_by_number, number) - 1;
}

static uint32_t canon(const struct policy_set *set, const struct ekey *k)
{
	return (uint32_t)(uintptr_t)htab_get(set->eid_by_key, k, sizeof(*k)) - 1;
}

static void aset_leave(struct policy_set *set, uint32_t ix)
{
	size_t n;
	const uint32_t *v = aset_sels(set, set->eids.v[ix].key.aset, &n);

	for (size_t i = 0; i < n; i++) {
		struct sel *s = set->sels.v[v[i]];

		for (size_t k = 0; s && k < s->eids.n; k++)
			if (s->eids.v[k] == ix) {
				s->eids.v[k] = s->eids.v[--s->eids.n];
				break;
			}
	}
}

static int aset_join(struct policy_set *set, uint32_t ix)
{
	size_t n;
	const uint32_t *v = aset_sels(set, set->eids.v[ix].key.aset, &n);

	for (size_t i = 0; i < n; i++)
		if (set->sels.v[v[i]] && vec_push(&set->sels.v[v[i]]->eids, ix))
			return -ENOMEM;
	return 0;
}

static int key_hold(struct policy_set *set, uint32_t ix)
{
	const struct ekey *k = &set->eids.v[ix].key;

	if (k->aset)
		intern_ref(set->asets, k->aset);
	if (k->npset)
		intern_ref(set->npsets, k->npset);
	return aset_join(set, ix);
}

static void key_drop(struct policy_set *set, uint32_t ix)
{
	const struct ekey *k = &set->eids.v[ix].key;

	aset_leave(set, ix);
	if (canon(set, k) == ix)
		htab_del(set->eid_by_key, k, sizeof(*k));
	if (k->aset)
		intern_unref(set->asets, k->aset);
	if (k->npset)
		intern_unref(set->npsets, k->npset);
}

static int key_offer(struct policy_set *set, uint32_t ix)
{
	const struct ekey *k = &set->eids.v[ix].key;

	if (canon(set, k) != NIL)
		return 0;
	return htab_set(set->eid_by_key, k, sizeof(*k), (void *)(uintptr_t)(ix + 1), NULL);
}

static int eid_new(struct policy_set *set, const struct ekey *key, uint32_t number, uint32_t pred,
		   uint32_t *ret)
{
	struct eid_ent *e;
	uint32_t ix;

	if (set->eid_free.n) {
		ix = set->eid_free.v[--set->eid_free.n];
	} else {
		ix = (uint32_t)set->eids.n;
		if (ix >= SLOT_MAX)
			return -ENOSPC;
		if (vec_push(&set->eids, ((struct eid_ent){})))
			return -ENOMEM;
	}
	e = &set->eids.v[ix];
	*e = (struct eid_ent){ .number = number ? number : set->next_eid++, .key = *key, .pred = pred };
	set->neids++;
	set->realm_eids[key->realm]++;
	if (key->realm == CW_REALM_POD) {
		set->idns.v[key->base].refs++;
		if (vec_push(&set->idns.v[key->base].eids, ix))
			return -ENOMEM;
	}
	if (htab_set_u64(set->eid_by_number, e->number, (void *)(uintptr_t)(ix + 1)) || key_hold(set, ix) ||
	    key_offer(set, ix) || vec_push(&set->eid_touched, ix) || vec_push(&set->eid_fresh, ix))
		return -ENOMEM;
	*ret = ix;
	return 0;
}

static int eid_rekey(struct policy_set *set, uint32_t ix, const struct ekey *key)
{
	struct ekey k = *key;

	/* Hold the new sets before the old go: they may be the same. */
	if (k.aset)
		intern_ref(set->asets, k.aset);
	if (k.npset)
		intern_ref(set->npsets, k.npset);
	key_drop(set, ix);
	set->eids.v[ix].key = k;
	if (aset_join(set, ix) || key_offer(set, ix) || vec_push(&set->eid_touched, ix))
		return -ENOMEM;
	group_touch_eid(set, ix);
	return 0;
}

void eid_free(struct policy_set *set, uint32_t ix)
{
	struct eid_ent *e = &set->eids.v[ix];

	key_drop(set, ix);
	if (e->key.realm == CW_REALM_POD) {
		struct u32s *l = &set->idns.v[e->key.base].eids;

		for (size_t i = 0; i < l->n; i++)
			if (l->v[i] == ix) {
				l->v[i] = l->v[--l->n];
				break;
			}
		idn_unref(set, e->key.base);
	}
	set->realm_eids[e->key.realm]--;
	set->neids--;
	htab_del_u64(set->eid_by_number, e->number);
	memset(e, 0, sizeof(*e));
	(void)vec_push(&set->eid_free, ix); /* without memory the slot is merely not reused */
}

int eids_init(struct policy_set *set)
{
	static const uint8_t realm[] = {
		[CW_ID_HOST] = CW_REALM_HOST, [CW_ID_REMOTE_NODE] = CW_REALM_NODE,
		[CW_ID_WORLD] = CW_REALM_WORLD, [CW_ID_UNKNOWN] = CW_REALM_UNKNOWN,
		[CW_ID_MULTICAST] = CW_REALM_MULTICAST,
	};
	int r = 0;

	set->next_eid = set->lim.first_eid > CW_ID_FIRST_USER ? set->lim.first_eid : CW_ID_FIRST_USER;
	set->eid_by_number = htab_new();
	set->eid_by_key = htab_new();
	set->asets = intern_new(1, UINT32_MAX, 0, 0);
	set->npsets = intern_new(1, UINT32_MAX, 0, 0);
	if (!set->eid_by_number || !set->eid_by_key || !set->asets || !set->npsets)
		return -ENOMEM;
	for (uint32_t id = CW_ID_HOST; id <= CW_ID_MULTICAST && !r; id++) {
		struct ekey k = { .realm = realm[id], .base = id };
		uint32_t ix;

		r = eid_new(set, &k, id, NIL, &ix);
		if (!r)
			set->eids.v[ix].fixed = true;
	}
	return r;
}

/* ---- assignment ------------------------------------------------------------------------------- */

static int chg_cmp(const void *x, const void *y)
{
	const struct chg *a = x, *b = y;

	if (a->old != b->old)
		return (a->old > b->old) - (a->old < b->old);
	return memcmp(&a->key, &b->key, sizeof(a->key));
}

static void hold(struct policy_set *set, struct chg *c, uint32_t ix)
{
	uint32_t *at = c->h ? &c->h->eid : c->net ? &c->net->eid : &c->x->eid;

	if (c->existing)
		set->eids.v[c->old].holders--;
	if (c->removed)
		return;
	*at = ix;
	set->eids.v[ix].holders++;
}

static void set_mid(struct chg *c, uint32_t ix)
{
	if (c->h)
		c->h->mid = ix;
	else if (c->net)
		c->net->mid = ix;
	else
		c->x->mid = ix;
}

/* The slot that it was given to begin with. */
static uint32_t begun(const struct chg *c)
{
	uint32_t mid = c->h ? c->h->mid : c->net ? c->net->mid : c->x->mid;

	return mid != NIL ? mid : c->h ? c->h->eid : c->net ? c->net->eid : c->x->eid;
}

static int plain(struct policy_set *set, struct chg *c)
{
	uint32_t ix = canon(set, &c->key);
	int r = 0;

	if (ix == NIL)
		r = eid_new(set, &c->key, 0, NIL, &ix);
	if (!r) {
		set_mid(c, NIL);
		hold(set, c, ix);
	}
	return r;
}

static bool same_base(const struct policy_set *set, const struct chg *c)
{
	const struct ekey *k = &set->eids.v[c->old].key;

	return c->key.realm == k->realm && c->key.base == k->base;
}

/* All that leave one identity. Sorted by key, so equal keys are neighbours. */
static int bucket(struct policy_set *set, struct chg *v, size_t n)
{
	uint32_t old = v[0].old, moving = 0, run = 0, best = 0;
	const struct ekey *win = NULL;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		if (!v[i].existing)
			continue;
		moving++;
		if (!same_base(set, &v[i]))
			continue;
		run = i && ekey_same(&v[i].key, &v[i - 1].key) ? run + 1 : 1;
		if (run > best) {
			best = run;
			win = &v[i].key;
		}
	}
	if (win && !set->eids.v[old].fixed && set->eids.v[old].holders == moving &&
	    !ekey_same(win, &set->eids.v[old].key))
		r = eid_rekey(set, old, win);
	for (size_t i = 0; i < n && !r; i++) {
		uint32_t ix, final, pred;

		if (!same_base(set, &v[i])) {
			r = v[i].removed ? 0 : plain(set, &v[i]);
			if (v[i].removed)
				hold(set, &v[i], NIL);
			continue;
		}
		if (ekey_same(&v[i].key, &set->eids.v[old].key)) {
			ix = old;
		} else if (i && v[i - 1].old == old && ekey_same(&v[i].key, &v[i - 1].key)) {
			ix = begun(&v[i - 1]);
		} else {
			pred = set->eids.v[old].published ? old : set->eids.v[old].pred;
			r = eid_new(set, &v[i].key, 0, pred, &ix);
			if (r)
				break;
		}
		final = v[i].removed ? ix : canon(set, &v[i].key);
		if (final == NIL) { /* it is the last with this key: the one that spoke for it has gone */
			final = ix;
			r = key_offer(set, ix);
			if (r)
				break;
		}
		set_mid(&v[i], final != ix || v[i].removed ? ix : NIL);
		hold(set, &v[i], final);
	}
	return r;
}

int eids_assign(struct policy_set *set, struct chgs *c)
{
	int r = 0;

	if (!c->n)
		return 0;
	qsort(c->v, c->n, sizeof(*c->v), chg_cmp);
	for (size_t i = 0, end; i < c->n && !r; i = end) {
		for (end = i + 1; end < c->n && c->v[end].old == c->v[i].old;)
			end++;
		if (c->v[i].old != NIL) {
			r = bucket(set, c->v + i, end - i);
			continue;
		}
		for (size_t k = i; k < end && !r; k++)
			r = plain(set, &c->v[k]);
	}
	return r;
}
