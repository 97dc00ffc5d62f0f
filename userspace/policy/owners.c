/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owners.c - who has which address: workloads and nodes as owners, their claims, who wins an
 * address that several claim, and the effective identity that each end should have.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

/* ---- addresses ------------------------------------------------------------------------------------ */

int addr_touch(struct policy_set *set, struct addrrec *a)
{
	if (a->dirty)
		return 0;
	a->dirty = true;
	return vec_push(&set->addr_dirty, a);
}

int owner_touch(struct policy_set *set, struct owner *o)
{
	if (o->dirty)
		return 0;
	o->dirty = true;
	return vec_push(&set->owner_dirty, o);
}

/* Nodes before workloads, local before remote, then by name: independent of the state's order. */
static bool goes_before(const struct owner *a, const struct owner *b)
{
	int r;

	if (a->node != b->node)
		return a->node;
	if (a->host != b->host)
		return a->host;
	if (a->local != b->local)
		return a->local;
	r = memcmp(a->key, b->key, a->keylen < b->keylen ? a->keylen : b->keylen);
	return r ? r < 0 : a->keylen < b->keylen;
}

static bool claim_before(const struct holder *a, const struct holder *b)
{
	return a->told != b->told ? b->told : goes_before(a->owner, b->owner);
}

struct holder *addr_winner(const struct policy_set *set, const struct addrrec *a)
{
	struct holder *w = NULL;

	(void)set;
	for (size_t i = 0; i < a->claims.n; i++)
		if (!w || claim_before(a->claims.v[i], w))
			w = a->claims.v[i];
	return w;
}

static int claim(struct policy_set *set, struct holder *h)
{
	struct addrrec *a;

	if (addr_is_zero(&h->addr))
		return 0;
	a = htab_get(set->addrs, h->addr.b, 16);
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return -ENOMEM;
		a->a = h->addr;
		if (htab_set(set->addrs, h->addr.b, 16, a, NULL)) {
			free(a);
			return -ENOMEM;
		}
	}
	set->conflicts += a->claims.n == 1;
	return vec_push(&a->claims, h) ? -ENOMEM : addr_touch(set, a);
}

static int unclaim(struct policy_set *set, struct holder *h)
{
	struct addrrec *a = addr_is_zero(&h->addr) ? NULL : htab_get(set->addrs, h->addr.b, 16);

	if (!a)
		return 0;
	for (size_t i = 0; i < a->claims.n; i++)
		if (a->claims.v[i] == h) {
			a->claims.v[i] = a->claims.v[--a->claims.n];
			set->conflicts -= a->claims.n == 1;
			break;
		}
	return addr_touch(set, a);
}

/* ---- one owner ---------------------------------------------------------------------------------------------- */

static int aset_of(struct policy_set *set, const struct owner *o, const struct addr *a, uint32_t *ret)
{
	const struct universe_net *n = addr_is_zero(a) ? NULL : universe_match(set->uni, a);
	struct u32s all = {};
	size_t i = 0, k = 0, nn = n ? n->nsels : 0;
	int r = 0;

	if (!o->single.n) {
		*ret = n ? n->tag : 0;
		if (*ret)
			intern_ref(set->asets, *ret);
		return 0;
	}
	while ((i < o->single.n || k < nn) && !r) {
		if (k >= nn || (i < o->single.n && o->single.v[i] < n->sels[k]))
			r = vec_push(&all, o->single.v[i++]);
		else
			r = vec_push(&all, n->sels[k++]);
	}
	r = r ?: intern_get(set->asets, all.v, all.n * sizeof(uint32_t), ret, NULL);
	vec_done(&all);
	return r;
}

/* A plan that was not committed has been here: what counts is what stands. */
static int holder_rewind(struct policy_set *set, struct holder *h, struct chg *c)
{
	struct owner *o = h->owner;
	const struct addrrec *a = addr_is_zero(&h->addr) ? NULL : htab_get(set->addrs, h->addr.b, 16);
	uint32_t eid = NIL, group = 0;
	struct group *g;

	if (a && a->pub_set) {
		eid = eid_slot(set, a->pub.eid);
		group = o->wl && a->pub.wl == o->wl ? a->pub.group : 0;
	} else if (!a && o->pub_group) {
		eid = eid_slot(set, o->pub_eid);
		group = o->pub_group;
	}
	g = group ? set->group_by_number[group] : NULL;
	if (g && g != h->group) {
		if (h->group)
			h->group->refs--;
		h->group = g;
		g->refs++;
		if (owner_touch(set, o))
			return -ENOMEM;
	}
	if (eid != NIL && eid != h->eid) {
		set->eids.v[h->eid].holders--;
		h->eid = NIL;
		c->old = eid;
		c->existing = false;
	}
	return 0;
}

int holder_check(struct policy_set *set, struct holder *h, struct chgs *chgs, struct u32s *held)
{
	const struct owner *o = h->owner;
	struct chg c = { .h = h, .old = h->eid, .existing = h->eid != NIL };
	int r;

	c.key.realm = !o->node ? CW_REALM_POD : o->host ? CW_REALM_HOST : CW_REALM_NODE;
	c.key.base = !o->node ? o->idn : o->host ? CW_ID_HOST : CW_ID_REMOTE_NODE;
	c.key.npset = o->npset;
	r = aset_of(set, o, &h->addr, &c.key.aset);
	if (r)
		return r;
	if (set->redo && h->eid != NIL && holder_rewind(set, h, &c))
		return -ENOMEM;
	if (h->eid != NIL && ekey_same(&c.key, &set->eids.v[h->eid].key)) {
		if (c.key.aset)
			intern_unref(set->asets, c.key.aset);
		return 0;
	}
	if (c.key.aset && vec_push(held, c.key.aset))
		return -ENOMEM;
	return vec_push(chgs, c) || owner_touch(set, h->owner) ? -ENOMEM : 0;
}

static int holder_gone(struct policy_set *set, struct holder *h)
{
	/* An element of an owner's list: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	if (h->eid != NIL)
		set->eids.v[h->eid].holders--;
	if (h->group)
		h->group->refs--;
	h->group = NULL;
	h->eid = NIL;
	return unclaim(set, h);
}

int owner_ends(struct policy_set *set, struct owner *o, const struct addr *addrs, size_t n, size_t ntold)
{
	static const struct addr none;
	struct holder *h;
	size_t w = 0;
	int r = 0;

	if (!n && !o->node) {
		addrs = &none;
		n = 1;
	}
	h = calloc(n + 1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	for (size_t i = 0; i < n && !r; i++) {
		struct holder *was = NULL;
		bool twice = false;

		if (n > 1 && addr_is_zero(&addrs[i]))
			continue;
		for (size_t k = 0; k < w && !twice; k++)
			twice = !addr_cmp(&h[k].addr, &addrs[i]);
		if (twice)
			continue;
		for (size_t k = 0; k < o->nh && !was; k++)
			if (!addr_cmp(&o->h[k].addr, &addrs[i]))
				was = &o->h[k];
		h[w] = (struct holder){ .addr = addrs[i], .owner = o, .told = i >= n - ntold, .eid = NIL, .mid = NIL };
		if (was) {
			h[w].eid = was->eid;
			h[w].group = was->group;
			was->eid = NIL; /* handed over */
			was->group = NULL;
		}
		w++;
	}
	for (size_t k = 0; k < o->nh && !r; k++)
		r = holder_gone(set, &o->h[k]);
	free(o->h);
	o->h = h;
	o->nh = w;
	for (size_t k = 0; k < w && !r; k++)
		r = claim(set, &h[k]);
	return r;
}

static int dup_field(const char *from, char **to)
{
	*to = strdup(from ? from : "");
	return *to ? 0 : -ENOMEM;
}

/* The part of a workload's key without its uid. */
static size_t name_len(const struct owner *o)
{
	return 2 * sizeof(uint32_t) + strlen(o->ns) + strlen(o->name);
}

struct owner *owner_new(struct policy_set *set, const struct bytes *key, const char *ns, const char *name,
			const char *uid)
{
	struct owner *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->idn = NIL;
	o->key = malloc(key->n);
	if (!o->key || dup_field(ns, &o->ns) || dup_field(name, &o->name) || dup_field(uid, &o->uid) ||
	    htab_set(set->owners, key->v, key->n, o, NULL)) {
		owner_free(set, o);
		return NULL;
	}
	memcpy(o->key, key->v, key->n);
	o->keylen = key->n;
	if (ns && htab_set(set->owners_by_name, o->key, name_len(o), o, NULL)) {
		htab_del(set->owners, o->key, o->keylen);
		owner_free(set, o);
		return NULL;
	}
	return o;
}

void owner_free(struct policy_set *set, struct owner *o)
{
	(void)set;
	if (!o)
		return;
	free(o->ns);
	free(o->name);
	free(o->uid);
	free(o->key);
	free(o->h);
	vec_done(&o->single);
	free(o);
}

int owner_leaves(struct policy_set *set, struct owner *o)
{
	int r = 0;

	for (size_t i = 0; i < o->nh && !r; i++)
		r = holder_gone(set, &o->h[i]);
	if (o->idn != NIL)
		idn_unref(set, o->idn);
	if (o->npset)
		intern_unref(set->npsets, o->npset);
	o->idn = NIL;
	o->npset = 0;
	o->gone = true;
	htab_del(set->owners, o->key, o->keylen);
	if (!o->node && htab_get(set->owners_by_name, o->key, name_len(o)) == o)
		htab_del(set->owners_by_name, o->key, name_len(o));
	/* Holders' memory stays while records may point to it: until the plan is made or dropped. */
	return r ? r : vec_push(&set->owner_dead, o);
}

/* ---- all of them ------------------------------------------------------------------------------------------ */

const struct owner *owner_find(const struct policy_set *set, const char *ns, const char *name, const char *uid)
{
	const struct owner *o = NULL;
	struct bytes key = {};

	bytes_str(&key, ns);
	bytes_str(&key, name);
	if (uid)
		bytes_str(&key, uid);
	if (!key.err)
		o = htab_get(uid ? set->owners : set->owners_by_name, key.v, key.n);
	free(key.v);
	return o;
}

int eid_owners(struct policy_set *set)
{
	size_t it = 0, klen, n = set->eids.n;
	const void *k;
	void *p;

	if (vec_reserve(&set->eid_owner, n) || vec_reserve(&set->eid_nowners, n))
		return -ENOMEM;
	memset(set->eid_owner.v, 0, n * sizeof(*set->eid_owner.v));
	memset(set->eid_nowners.v, 0, n * sizeof(*set->eid_nowners.v));
	set->eid_owner.n = set->eid_nowners.n = n;
	while (htab_next(set->owners, &it, &k, &klen, &p)) {
		struct owner *o = p;

		for (size_t i = 0; i < o->nh && !o->node; i++) {
			bool twice = false;

			for (size_t j = 0; j < i && !twice; j++)
				twice = o->h[j].eid == o->h[i].eid;
			if (o->h[i].eid == NIL || twice)
				continue;
			set->eid_owner.v[o->h[i].eid] = o;
			set->eid_nowners.v[o->h[i].eid]++;
		}
	}
	return 0;
}

static void addrrec_free(void *p)
{
	struct addrrec *a = p;

	if (a)
		vec_done(&a->claims);
	free(a);
}

static int free_owner(void *p)
{
	owner_free(NULL, p);
	return 0;
}

static void owner_done(void *p)
{
	(void)free_owner(p);
}

void owners_done(struct policy_set *set)
{
	htab_free(set->owners, owner_done);
	for (size_t i = 0; i < set->owner_dead.n; i++)
		owner_free(set, set->owner_dead.v[i]);
	htab_free(set->addrs, addrrec_free);
	htab_free(set->nets, free);
	vec_done(&set->addr_dirty);
	vec_done(&set->net_dirty);
	vec_done(&set->owner_dirty);
	vec_done(&set->owner_dead);
	if (set->uni)
		universe_drop(set, set->uni);
	if (set->uni_old)
		universe_drop(set, set->uni_old);
	for (size_t i = 0; i < set->nignored; i++)
		free(set->ignored[i]);
	free(set->ignored);
}
