/* SPDX-License-Identifier: Apache-2.0 */
/* What addresses mean, step 3 and step 5 of a commit. */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

void keep_error(struct commit *c, int r)
{
	if (r && !c->late)
		c->late = r;
}

struct cw_addr addr_value(const struct policy_set *set, const struct holder *h, uint32_t eid, const struct group *g)
{
	const struct eid_ent *e = &set->eids.v[eid];

	return (struct cw_addr){ .eid = e->number, .realm = (uint8_t)e->key.realm,
				 .group = g ? g->number : 0, .wl = g ? h->owner->wl : 0 };
}

struct cw_addr net_value(const struct policy_set *set, const struct netrec *n, uint32_t eid)
{
	(void)n;
	return (struct cw_addr){ .eid = set->eids.v[eid].number, .realm = (uint8_t)set->eids.v[eid].key.realm };
}

static bool same_addr(const struct cw_addr *a, const struct cw_addr *b)
{
	return a->eid == b->eid && a->group == b->group && a->wl == b->wl && a->realm == b->realm;
}

bool split_of(const struct policy_set *set, uint32_t x, uint32_t number)
{
	return x != NIL && !set->eids.v[x].published && set->eids.v[x].pred != NIL &&
	       set->eids.v[set->eids.v[x].pred].number == number;
}

static int put_addr(struct commit *c, struct addrrec *a, const struct cw_addr *v)
{
	int r = c->sink->addr_set(c->sink->arg, 0, &a->a, v);

	if (r)
		return r;
	c->set->moved_seq = c->set->seq;
	c->set->naddrs[!addr_is_v4(&a->a)] += !a->pub_set;
	a->pub = *v;
	a->pub_set = true;
	return 0;
}

static int put_net(struct commit *c, struct netrec *n, const struct cw_addr *v)
{
	int r = c->sink->net_set(c->sink->arg, 0, &n->p, v);

	if (r)
		return r;
	c->set->moved_seq = c->set->seq;
	c->set->nnets[n->p.v6 != 0] += !n->pub_set;
	if (!n->pub_set)
		n->pub_seq = c->set->seq;
	n->pub = *v;
	n->pub_set = true;
	return 0;
}

int split_addrs(struct commit *c)
{
	struct policy_set *set = c->set;
	int r = 0;

	for (size_t i = 0; i < set->addr_dirty.n && !r; i++) {
		struct addrrec *a = set->addr_dirty.v[i];
		struct holder *h = addr_winner(set, a);
		struct cw_addr v;
		struct group *g;
		uint32_t x;
		bool copy;

		if (!h || !a->pub_set)
			continue;
		g = h->mid_group ? h->mid_group : h->group;
		copy = g && g->published && g->clone_of && g->clone_of->number == a->pub.group &&
		       h->owner->wl == a->pub.wl;
		x = split_of(set, h->mid, a->pub.eid) ? h->mid : h->eid;
		if (!split_of(set, x, a->pub.eid))
			x = copy ? eid_slot(set, a->pub.eid) : NIL;
		if (x == NIL)
			continue;
		if (g && (!g->published || (g->eid != x && !copy)))
			g = NULL; /* no copy of the old group to stand in: keeps the old one */
		v = addr_value(set, h, x, g);
		if (!g || a->pub.wl != v.wl) {
			v.group = a->pub.group;
			v.wl = a->pub.wl;
		}
		c->split = true;
		if (a->pub.group && a->pub.group != v.group && set->group_by_number[a->pub.group])
			set->group_by_number[a->pub.group]->bump = true;
		r = put_addr(c, a, &v);
	}
	for (size_t i = 0; i < set->net_dirty.n && !r; i++) {
		struct netrec *n = set->net_dirty.v[i];
		uint32_t x = n->mid != NIL ? n->mid : n->eid;
		struct cw_addr v;

		if (n->gone && !n->pub_set)
			continue;
		/* A new prefix comes before the one that covers it begins to mean something else. */
		if (n->pub_set ? !split_of(set, x, n->pub.eid)
			       : n->from == NIL || !set->eids.v[n->from].published ||
					 (x != n->from && !split_of(set, x, set->eids.v[n->from].number)))
			continue;
		v = net_value(set, n, x);
		c->split = true;
		r = put_net(c, n, &v);
	}
	return r;
}

/* Does `was` judge as `now` does? True for another number of the same meaning. */
static bool means_same(const struct policy_set *set, const struct cw_addr *was, const struct cw_addr *now)
{
	uint32_t a = eid_slot(set, was->eid), b = eid_slot(set, now->eid);

	return was->wl == now->wl && a != NIL && b != NIL &&
	       (a == b || ekey_same(&set->eids.v[a].key, &set->eids.v[b].key));
}

/* Was an address judged by the prefix that spoke for it before this commit? */
static bool cover_used(struct commit *c, const struct addr *a)
{
	const struct policy_set *set = c->set;
	const struct universe_net *n = universe_match(set->uni, a);

	for (;;) {
		struct netrec *r;
		unsigned char key[18];

		memcpy(key, n->p.addr.b, 16);
		key[16] = n->p.plen;
		key[17] = n->p.v6 != 0;
		r = htab_get(set->nets, key, sizeof(key));
		if (r && r->pub_set && r->pub_seq != set->seq) {
			/* Asking takes the mark away, so the answer is kept for the rest of this commit. */
			if (r->asked_seq != set->seq)
				r->was_used = !c->sink->net_used || c->sink->net_used(c->sink->arg, 0, &r->p);
			r->asked_seq = set->seq;
			return r->was_used;
		}
		if (n->parent < 0)
			return false;
		n = universe_at(set->uni, n->p.v6 != 0, (size_t)n->parent);
	}
}

/* Whoever judged by the address and will not judge so any more gets a new generation. */
static void bump_users(struct commit *c, const struct addrrec *a, const struct holder *h, const struct cw_addr *v)
{
	struct policy_set *set = c->set;
	bool used;

	if (a->pub_set && a->pub.group && a->pub.group != v->group && set->group_by_number[a->pub.group])
		set->group_by_number[a->pub.group]->bump = true;
	if (set->bump_all || (h && a->pub_set && means_same(set, &a->pub, v)))
		return;
	if (a->pub_set)
		used = !c->sink->addr_used || c->sink->addr_used(c->sink->arg, 0, &a->a);
	else
		used = cover_used(c, &a->a);
	set->bump_all |= used;
}

static void final_addr(struct commit *c, struct addrrec *a)
{
	struct policy_set *set = c->set;
	struct holder *h = addr_winner(set, a);
	struct cw_addr v = {};
	int r = 0;

	if (h)
		v = addr_value(set, h, h->eid, h->group);
	if (h && a->pub_set && same_addr(&v, &a->pub))
		return;
	if (!h && !a->pub_set)
		return;
	bump_users(c, a, h, &v);
	if (h) {
		r = put_addr(c, a, &v);
	} else {
		r = c->sink->addr_del(c->sink->arg, 0, &a->a);
		if (!r) {
			set->moved_seq = set->seq;
			set->naddrs[!addr_is_v4(&a->a)]--;
			a->pub_set = false;
		}
	}
	keep_error(c, r);
}

static void final_net(struct commit *c, struct netrec *n)
{
	struct policy_set *set = c->set;
	struct cw_addr v;
	int r = 0;

	if (!n->gone) {
		v = net_value(set, n, n->eid);
		if (n->pub_set && same_addr(&v, &n->pub))
			return;
		if (n->pub_set && n->pub.realm != v.realm && !set->bump_all)
			set->bump_all = !c->sink->net_used || c->sink->net_used(c->sink->arg, 0, &n->p);
		r = put_net(c, n, &v);
	} else if (n->pub_set) {
		r = c->sink->net_del(c->sink->arg, 0, &n->p);
		if (!r) {
			set->moved_seq = set->seq;
			set->nnets[n->p.v6 != 0]--;
			n->pub_set = false;
		}
	}
	keep_error(c, r);
}

/* For packets without an address of the workload: as its first IPv4 address, else its first one. */
static const struct holder *primary(const struct owner *o)
{
	for (size_t i = 0; i < o->nh; i++)
		if (addr_is_v4(&o->h[i].addr))
			return &o->h[i];
	return o->nh ? &o->h[0] : NULL;
}

static void final_owner(struct commit *c, struct owner *o)
{
	struct policy_set *set = c->set;
	const struct holder *h = o->gone || !o->local ? NULL : primary(o);
	uint32_t group = h && h->group ? h->group->number : 0;
	uint32_t eid = group ? set->eids.v[h->eid].number : 0;
	int r;

	if (o->node || !o->wl || (o->pub_group == group && o->pub_eid == eid))
		return;
	if (o->pub_group && o->pub_group != group && set->group_by_number[o->pub_group])
		set->group_by_number[o->pub_group]->bump = true;
	r = c->sink->wl_group(c->sink->arg, o->wl, group, eid);
	keep_error(c, r);
	if (r)
		return;
	set->moved_seq = set->seq;
	o->pub_group = group;
	o->pub_eid = eid;
}

static bool is_behind(const struct policy_set *set, uint32_t group)
{
	return group && set->group_by_number[group] && set->group_by_number[group]->behind;
}

/*
 * A group that could not follow knows what was published for the switch, but not what is final: by
 * its rows of before, that may say what neither the old nor the new set does. So its workloads go
 * over to their new groups first, as who they are, and nothing else moves while some reader may
 * still have looked up where they were.
 */
void leave_behind(struct commit *c)
{
	struct policy_set *set = c->set;
	bool moved = false;

	for (size_t i = 0; i < set->owner_dirty.n; i++) {
		struct owner *o = set->owner_dirty.v[i];
		const struct holder *h = o->gone || !o->local ? NULL : primary(o);
		uint32_t group = h && h->group ? h->group->number : 0;
		int r;

		if (o->node || !o->wl || group == o->pub_group || !is_behind(set, o->pub_group))
			continue;
		set->group_by_number[o->pub_group]->bump = true;
		r = c->sink->wl_group(c->sink->arg, o->wl, group, group ? o->pub_eid : 0);
		keep_error(c, r);
		if (r)
			continue;
		moved = true;
		o->pub_group = group;
		o->pub_eid = group ? o->pub_eid : 0;
	}
	for (size_t i = 0; i < set->addr_dirty.n; i++) {
		struct addrrec *a = set->addr_dirty.v[i];
		struct holder *h = addr_winner(set, a);
		struct cw_addr v;

		if (!a->pub_set || !is_behind(set, a->pub.group))
			continue;
		if (!h || !h->group || h->owner->wl != a->pub.wl) {
			final_addr(c, a);	/* somebody else's now, or nobody's */
			moved = true;
			continue;
		}
		if (h->group->number == a->pub.group)
			continue;
		/* To another group goes an entry without its mark of use: that is looked at before. */
		v = addr_value(set, h, h->eid, h->group);
		bump_users(c, a, h, &v);
		v.eid = a->pub.eid;
		v.realm = a->pub.realm;
		keep_error(c, put_addr(c, a, &v));
		moved = true;
	}
	if (moved && c->sink->settle)
		keep_error(c, c->sink->settle(c->sink->arg));
}

static int twin_move(struct commit *c, struct holder *h, struct group *to)
{
	struct policy_set *set = c->set;
	struct owner *o = h->owner;
	struct addrrec *a = addr_is_zero(&h->addr) ? NULL : htab_get(set->addrs, h->addr.b, 16);
	int r = 0;

	if (a && a->pub_set && a->pub.group == h->group->number) {
		struct cw_addr v = a->pub;

		v.group = to->number;
		r = put_addr(c, a, &v);
	}
	if (!r && o->pub_group == h->group->number) {
		r = c->sink->wl_group(c->sink->arg, o->wl, to->number, o->pub_eid);
		if (!r)
			o->pub_group = to->number;
	}
	if (r)
		return r;
	if (!--h->group->refs)
		h->group->dead_seq = set->seq;
	h->group = to;
	to->refs++;
	to->dead_seq = 0;
	return 0;
}

static bool at_rest(const struct group *g)
{
	return g->published && !g->rebuild && !g->side[0].dirty && !g->side[1].dirty;
}

int twins_merge(struct commit *c)
{
	struct policy_set *set = c->set;
	bool waits = false;
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	while (!r && htab_next(set->owners, &it, &k, &klen, &v)) {
		struct owner *o = v;

		for (size_t i = 0; i < o->nh && !r; i++) {
			struct group *g = o->h[i].group, *to = g ? group_same(set, g) : NULL;

			if (!to || to == g)
				continue;
			if (at_rest(g) && at_rest(to))
				r = twin_move(c, &o->h[i], to);
			else
				waits = true;
		}
	}
	set->twins = r || waits;
	return r;
}

static void free_addrrec(struct policy_set *set, struct addrrec *a)
{
	htab_del(set->addrs, a->a.b, 16);
	vec_done(&a->claims);
	free(a);
}

void final_addresses(struct commit *c)
{
	struct policy_set *set = c->set;

	for (size_t i = 0; i < set->net_dirty.n; i++)
		final_net(c, set->net_dirty.v[i]);
	/* Local workloads first: their new groups know every identity. */
	for (size_t i = 0; i < set->owner_dirty.n; i++)
		if (!set->owner_dirty.v[i]->gone)
			final_owner(c, set->owner_dirty.v[i]);
	for (size_t i = 0; i < set->owner_dead.n; i++)
		final_owner(c, set->owner_dead.v[i]);
	for (int local = 1; local >= 0; local--)
		for (size_t i = 0; i < set->addr_dirty.n; i++) {
			const struct holder *h = addr_winner(set, set->addr_dirty.v[i]);

			if ((h && h->group) == local)
				final_addr(c, set->addr_dirty.v[i]);
		}
}

void lists_clear(struct commit *c)
{
	struct policy_set *set = c->set;
	bool retry = c->late != 0; /* a write failed: look at all of them again next time */

	for (size_t i = 0; i < set->addr_dirty.n; i++) {
		struct addrrec *a = set->addr_dirty.v[i];

		for (size_t k = 0; k < a->claims.n; k++) {
			a->claims.v[k]->mid = NIL;
			a->claims.v[k]->mid_group = NULL;
		}
		if (retry)
			continue;
		a->dirty = false;
		if (!a->claims.n && !a->pub_set)
			free_addrrec(set, a);
	}
	for (size_t i = 0; i < set->net_dirty.n; i++) {
		struct netrec *n = set->net_dirty.v[i];
		unsigned char key[18];

		n->mid = NIL;
		if (retry)
			continue;
		n->dirty = false;
		if (n->gone && !n->pub_set) {
			memcpy(key, n->p.addr.b, 16);
			key[16] = n->p.plen;
			key[17] = n->p.v6 != 0;
			htab_del(set->nets, key, sizeof(key));
			free(n);
		}
	}
	for (size_t i = 0; i < set->owner_dirty.n; i++) {
		struct owner *o = set->owner_dirty.v[i];

		for (size_t k = 0; k < o->nh; k++) {
			o->h[k].mid = NIL;
			o->h[k].mid_group = NULL;
		}
		o->dirty = retry;
	}
	for (size_t i = 0; i < set->owner_dead.n; i++)
		if (!set->owner_dead.v[i]->pub_group && !set->owner_dead.v[i]->dead_seq)
			set->owner_dead.v[i]->dead_seq = set->seq;
	if (retry)
		return;
	set->addr_dirty.n = set->net_dirty.n = set->owner_dirty.n = 0;
}
