/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix universe of the rules in use, and the published prefixes that come of it. */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

static int net_touch(struct policy_set *set, struct netrec *n)
{
	if (n->dirty)
		return 0;
	n->dirty = true;
	return vec_push(&set->net_dirty, n);
}

struct items { struct universe_item *v; size_t n, cap; };

int universe_update(struct policy_set *set, const struct policy_state *next, bool *ret_changed)
{
	struct bytes b = {};
	struct items items = {};
	struct universe *u = NULL;
	uint64_t digest;
	int r = 0;

	for (size_t i = 1; i < set->sels.n; i++)
		if (set->sels.v[i] && set->sels.v[i]->refs && set->sels.v[i]->kind == SELK_CIDRS)
			bytes_u32(&b, (uint32_t)i);
	bytes_u32(&b, NIL);
	for (size_t i = 0; i < next->ncluster_cidrs; i++) {
		bytes_put(&b, next->cluster_cidrs[i].addr.b, 16);
		bytes_u32(&b, (uint32_t)next->cluster_cidrs[i].plen << 1 | next->cluster_cidrs[i].v6);
	}
	digest = hash_bytes(set->seed, b.v, b.n);
	r = b.err;
	free(b.v);
	*ret_changed = !set->uni || digest != set->uni_digest;
	if (r || !*ret_changed)
		return r;
	for (size_t i = 1; i < set->sels.n && !r; i++) {
		const struct sel *s = set->sels.v[i];

		if (!s || !s->refs || s->kind != SELK_CIDRS)
			continue;
		for (size_t k = 0; k < s->ncidrs && !r; k++)
			r = vec_push(&items, ((struct universe_item){ s->id, s->cidrs[k].cidr,
								    s->cidrs[k].except, s->cidrs[k].nexcept }));
	}
	r = r ?: universe_new(items.v, items.n, next->cluster_cidrs, next->ncluster_cidrs, &u);
	vec_done(&items);
	for (int v6 = 0; v6 < 2 && !r; v6++)
		for (size_t i = 0; i < universe_count(u, v6) && !r; i++) {
			struct universe_net *n = universe_at(u, v6, i);

			if (n->nsels)
				r = intern_get(set->asets, n->sels, n->nsels * sizeof(uint32_t), &n->tag, NULL);
		}
	if (r) {
		universe_free(u);
		return r;
	}
	set->uni_old = set->uni;
	set->uni = u;
	set->uni_digest = digest;
	return 0;
}

void universe_drop(struct policy_set *set, struct universe *u)
{
	if (!u)
		return;
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < universe_count(u, v6); i++)
			if (universe_at(u, v6, i)->tag)
				intern_unref(set->asets, universe_at(u, v6, i)->tag);
	universe_free(u);
}

static uint32_t reserved_of(uint32_t realm)
{
	switch (realm) {
	case CW_REALM_UNKNOWN:
		return CW_ID_UNKNOWN;
	case CW_REALM_MULTICAST:
		return CW_ID_MULTICAST;
	default:
		return CW_ID_WORLD;
	}
}

static struct ekey net_key(const struct universe_net *n)
{
	return (struct ekey){ .realm = n->realm, .base = reserved_of(n->realm), .aset = n->tag };
}

static size_t prefix_key(unsigned char out[18], const struct prefix *p)
{
	memcpy(out, p->addr.b, 16);
	out[16] = p->plen;
	out[17] = p->v6 != 0;
	return 18;
}

void mids_forget(struct policy_set *set)
{
	size_t it = 0, klen;
	const void *k;
	void *v;

	while (htab_next(set->owners, &it, &k, &klen, &v)) {
		struct owner *o = v;

		for (size_t i = 0; i < o->nh; i++) {
			o->h[i].mid = NIL;
			o->h[i].mid_group = NULL;
		}
	}
	it = 0;
	while (htab_next(set->nets, &it, &k, &klen, &v))
		((struct netrec *)v)->mid = NIL;
	for (size_t i = 0; i < set->groups.n; i++)
		if (set->groups.v[i])
			set->groups.v[i]->clone_of = NULL;
	names_forget_mids(set);
}

/* What the addresses of a prefix are judged as by what is written. */
static uint32_t net_image(const struct policy_set *set, const struct netrec *r)
{
	struct prefix p = r->p;
	int bits = p.v6 ? 0 : 96;

	for (int len = p.plen; len >= 0; len--) {
		unsigned char key[18];
		const struct netrec *n;

		if (len < p.plen)
			p.addr.b[(bits + len) / 8] &= (uint8_t)(0xff00 >> (bits + len) % 8);
		p.plen = (uint8_t)len;
		n = htab_get(set->nets, key, prefix_key(key, &p));
		if (n && n->pub_set)
			return eid_slot(set, n->pub.eid);
	}
	return NIL;
}

/* A plan that was not committed has been here: what counts is what stands. */
static void net_redo(struct policy_set *set, struct netrec *r, struct chg *c)
{
	uint32_t image = net_image(set, r);
	bool holds = r->eid != NIL && !r->gone;

	c->old = image;
	c->existing = holds && r->eid == image;
	if (holds && !c->existing)
		set->eids.v[r->eid].holders--;
	if (!c->existing)
		r->eid = NIL;
}

int nets_diff(struct policy_set *set, struct chgs *chgs)
{
	unsigned char key[18];
	size_t it = 0, klen;
	const void *k;
	void *v;

	while (htab_next(set->nets, &it, &k, &klen, &v))
		((struct netrec *)v)->seen = false;
	for (int v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < universe_count(set->uni, v6); i++) {
			const struct universe_net *n = universe_at(set->uni, v6, i);
			struct netrec *r = htab_get(set->nets, key, prefix_key(key, &n->p));
			struct chg c = { .key = net_key(n), .old = NIL };

			if (!r) {
				r = calloc(1, sizeof(*r));
				if (!r)
					return -ENOMEM;
				r->p = n->p;
				r->eid = r->mid = NIL;
				if (htab_set(set->nets, key, 18, r, NULL)) {
					free(r);
					return -ENOMEM;
				}
			}
			r->seen = true;
			r->realm = n->realm;
			if (set->redo) {
				net_redo(set, r, &c);
				if (c.existing && r->pub_set && ekey_same(&c.key, &set->eids.v[r->eid].key))
					continue;
			} else if (r->eid != NIL && !r->gone) {
				c.old = r->eid;
				c.existing = true;
				if (ekey_same(&c.key, &set->eids.v[r->eid].key))
					continue;
			} else if (set->uni_old) {
				const struct universe_net *up = universe_cover(set->uni_old, &n->p);
				unsigned char upk[18];
				const struct netrec *u = htab_get(set->nets, upk, prefix_key(upk, &up->p));

				if (u && u != r)
					c.old = u->eid;
			}
			r->gone = false;
			r->from = r->pub_set ? NIL : c.old;
			c.net = r;
			if (vec_push(chgs, c) || net_touch(set, r))
				return -ENOMEM;
		}
	}
	it = 0;
	while (htab_next(set->nets, &it, &k, &klen, &v)) {
		struct netrec *r = v;
		struct chg c = { .net = r, .old = r->eid, .existing = true, .removed = true };

		if (r->seen || (r->gone && !(set->redo && r->pub_set)))
			continue;
		if (set->redo && r->pub_set)
			net_redo(set, r, &c);
		r->gone = true;
		c.key = net_key(universe_cover(set->uni, &r->p));
		if (vec_push(chgs, c) || net_touch(set, r))
			return -ENOMEM;
	}
	return 0;
}
