/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table that the data path asks about service addresses, and how it changes.
 *
 * An entry names identities, so it moves in two steps: what is merely split off an identity takes
 * its place before the words switch, when both judge alike; all else changes after the words and
 * the addresses, and then whoever was judged by it is judged again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/service.h"

/* ---- blocks of backends ---------------------------------------------------------------------------- */

/* The block with these backends, a reference taken; NULL with *ret_err. */
static struct svc_block *block_get(struct policy_set *set, const struct cw_backend *v, uint32_t n, int *ret_err)
{
	size_t len = n * sizeof(*v);
	struct svc_block *b = htab_get(set->svc_blocks, v, len);

	if (b) {
		b->refs++;
		return b;
	}
	*ret_err = -ENOMEM;
	b = calloc(1, sizeof(*b) + len);
	if (!b)
		return NULL;
	if (extents_get(&set->backends_x, n, &b->at)) {
		*ret_err = -ENOSPC;
		free(b);
		return NULL;
	}
	b->n = n;
	b->refs = 1;
	memcpy(b->v, v, len);
	if (htab_set(set->svc_blocks, v, len, b, NULL)) {
		(void)extents_put(&set->backends_x, b->at, b->n);
		free(b);
		return NULL;
	}
	*ret_err = 0;
	return b;
}

static void block_put(struct policy_set *set, struct svc_block *b)
{
	if (!b || --b->refs)
		return;
	htab_del(set->svc_blocks, b->v, b->n * sizeof(*b->v));
	if (b->written) {
		b->seq = set->seq;
		/* Without memory the slots stay taken, and nobody looks there. */
		if (!vec_push(&set->svc_retired, b))
			return;
	} else {
		(void)extents_put(&set->backends_x, b->at, b->n);
	}
	free(b);
}

/* ---- what an entry should say ---------------------------------------------------------------------------- */

struct pair { struct cw_backend b; const struct owner *owner; bool several; };
struct pairs { struct pair *v; size_t n, cap; };

static int pair_add(struct pairs *p, const struct cw_addr *means, const struct owner *owner, uint16_t port)
{
	struct pair x = { .b = { .eid = means->eid, .realm = means->realm, .port = port, .wl = means->wl },
			  .owner = owner };
	size_t at = p->n;

	for (size_t i = 0; i < p->n; i++) {
		struct pair *y = &p->v[i];

		if (y->b.eid != x.b.eid || y->b.port != port)
			continue;
		y->several |= y->owner != owner || !owner;
		if (y->several)
			y->b.wl = 0;
		return 0;
	}
	if (vec_push(p, x))
		return -ENOMEM;
	for (; at && (p->v[at - 1].b.eid > x.b.eid || (p->v[at - 1].b.eid == x.b.eid && p->v[at - 1].b.port > port)); at--) {
		struct pair t = p->v[at];

		p->v[at] = p->v[at - 1];
		p->v[at - 1] = t;
	}
	return 0;
}

bool svc_end_serves(const struct svc_end *e, size_t port, bool v6)
{
	return e->port[port] && !addr_is_zero(&e->addr) && addr_is_v4(&e->addr) == !v6;
}

bool svc_any_ready(const struct svc *s, size_t port, bool v6)
{
	for (size_t i = 0; i < s->ends.n; i++)
		if (s->ends.v[i].ready && svc_end_serves(&s->ends.v[i], port, v6))
			return true;
	return false;
}

/* What stands behind a port of a service in a family: the ready ones, or all if none is. */
static int pairs_of(const struct policy_set *set, const struct svc *s, size_t port, bool v6, struct pairs *ret)
{
	struct policy_plan as = { .set = (struct policy_set *)set };
	bool ready = svc_any_ready(s, port, v6);
	int r = 0;

	ret->n = 0;
	for (size_t i = 0; i < s->ends.n && !r; i++) {
		const struct svc_end *e = &s->ends.v[i];
		const struct addrrec *rec;
		const struct holder *h;
		struct cw_addr means;

		if (!svc_end_serves(e, port, v6) || (ready && !e->ready) || policy_plan_addr(&as, 0, &e->addr, &means))
			continue;
		rec = htab_get(set->addrs, e->addr.b, 16);
		h = rec ? addr_winner(set, rec) : NULL;
		r = pair_add(ret, &means, h ? h->owner : NULL, e->port[port]);
	}
	return r;
}

struct cw_svc_key svc_key(const struct addr *a, uint8_t proto, uint16_t port, bool v6)
{
	struct cw_svc_key k = { .port = port, .proto = proto, .family = v6 ? 6 : 4 };

	if (a)
		memcpy(k.addr, a->b, 16);
	return k;
}

int svc_backends(const struct policy_set *set, const struct svc *s, size_t port, bool v6,
		 struct cw_backend ret[CW_SVC_BACKENDS], uint32_t *ret_n)
{
	struct pairs p = {};
	int r = pairs_of(set, s, port, v6, &p);

	if (!r && p.n > CW_SVC_BACKENDS)
		r = -E2BIG;
	for (size_t i = 0; i < p.n && !r; i++)
		ret[i] = p.v[i].b;
	*ret_n = r ? 0 : (uint32_t)p.n;
	vec_done(&p);
	return r;
}

/* ---- the plan ---------------------------------------------------------------------------------------------- */

struct want {
	struct policy_set *set;
	struct fail_list *f;
	struct svc_plan *plan;
	struct htab *taken;	/* keys of this round, to the service */
	struct pairs pairs;
	struct cw_backend v[CW_SVC_BACKENDS];
};

static int refuse_many(const struct want *w, const struct svc *s, const struct service_port *p)
{
	char at[400], expected[64];

	snprintf(at, sizeof(at), "service %s/%s", s->s.ns, s->s.name);
	snprintf(expected, sizeof(expected), "at most %u", CW_SVC_BACKENDS);
	return fail_add(w->f, -E2BIG, "service.capacity", at, expected,
			"split the service, or give its workloads one set of labels",
			"%zu distinct backends behind port %u", w->pairs.n, p->port);
}

/* An identity without a number in the maps that judges as the one it was split from did. */
static uint32_t split_from(const struct policy_set *set, uint32_t eid)
{
	uint32_t ix = eid_slot(set, eid);
	const struct eid_ent *e = ix == NIL ? NULL : &set->eids.v[ix];

	return e && !e->published && e->pred != NIL ? set->eids.v[e->pred].number : 0;
}

static const struct cw_backend *pair_in(const struct cw_backend *v, size_t n, uint32_t eid, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].eid == eid && v[i].port == port)
			return &v[i];
	return NULL;
}

/*
 * The entry between: what stands there, with splits in place of what they were split from.
 * NULL without an error: nothing is split off what stands there.
 */
static struct svc_block *mid_of(struct policy_set *set, const struct svc_block *old, const struct svc_block *next,
				int *ret_err)
{
	struct cw_backend v[CW_SVC_BACKENDS * 2];
	bool any = false;
	uint32_t n = 0;

	*ret_err = 0;
	for (uint32_t i = 0; i < next->n; i++) {
		uint32_t pred = split_from(set, next->v[i].eid);

		if (!pred || !pair_in(old->v, old->n, pred, next->v[i].port))
			continue;
		v[n++] = next->v[i];
		any = true;
	}
	if (!any)
		return NULL;
	for (uint32_t i = 0; i < old->n; i++) {
		bool replaced = false;

		for (uint32_t k = 0; k < next->n && !replaced; k++)
			replaced = next->v[k].port == old->v[i].port && split_from(set, next->v[k].eid) == old->v[i].eid;
		if (!replaced || pair_in(next->v, next->n, old->v[i].eid, old->v[i].port))
			v[n++] = old->v[i];
	}
	if (n > CW_SVC_BACKENDS)
		return NULL; /* the slots end here: the last step judges the flows again */
	if (n == next->n) {
		bool all = true;

		for (uint32_t i = 0; i < n && all; i++)
			all = pair_in(next->v, next->n, v[i].eid, v[i].port) != NULL;
		if (all)
			return block_get(set, next->v, next->n, ret_err);
	}
	return block_get(set, v, n, ret_err);
}

static int want_entry(struct want *w, struct svc *s, const struct cw_svc_key *k)
{
	struct policy_set *set = w->set;
	struct svc_entry *e = htab_get(set->svc_entries, k, sizeof(*k));
	struct svc_write x = { .key = *k, .svc = s };
	const struct svc *other = htab_get(w->taken, k, sizeof(*k));
	int err = 0;

	if (other && other != s) {
		int r = strcmp(other->s.ns, s->s.ns);

		r = r ? r : strcmp(other->s.name, s->s.name);
		if (r < 0)
			return 0; /* two services with one address: the first by name has it */
		for (size_t i = 0; i < w->plan->n; i++)
			if (!memcmp(&w->plan->v[i].key, k, sizeof(*k))) {
				block_put(set, w->plan->v[i].block);
				block_put(set, w->plan->v[i].mid);
				w->plan->v[i] = w->plan->v[--w->plan->n];
				break;
			}
	} else if (other) {
		return 0; /* an address that is listed twice */
	}
	if (htab_set(w->taken, k, sizeof(*k), s, NULL))
		return -ENOMEM;
	if (e)
		e->wanted = true;
	x.block = block_get(set, w->v, (uint32_t)w->pairs.n, &err);
	if (!err && e && e->svc == s && e->block == x.block) {
		block_put(set, x.block);
		return 0;
	}
	if (!err && e && e->block != x.block)
		x.mid = mid_of(set, e->block, x.block, &err);
	if (!err && vec_push(w->plan, x))
		err = -ENOMEM;
	if (err) {
		block_put(set, x.mid);
		block_put(set, x.block);
	}
	return err;
}

static int want_service(struct want *w, struct svc *s)
{
	int r = 0;

	for (size_t p = 0; p < s->s.nports && !r; p++) {
		const struct service_port *sp = &s->s.ports[p];

		for (int v6 = 0; v6 < 2 && !r; v6++) {
			struct cw_svc_key k;

			r = pairs_of(w->set, s, p, v6, &w->pairs);
			if (r || !w->pairs.n)
				continue;
			if (w->pairs.n > CW_SVC_BACKENDS)
				return refuse_many(w, s, sp);
			for (size_t i = 0; i < w->pairs.n; i++)
				w->v[i] = w->pairs.v[i].b;
			for (size_t i = 0; i < s->s.naddrs && !r; i++) {
				if (addr_is_v4(&s->s.addrs[i]) == v6)
					continue;
				k = svc_key(&s->s.addrs[i], sp->proto, sp->port, v6);
				r = want_entry(w, s, &k);
			}
			if (!r && sp->node_port) {
				k = svc_key(NULL, sp->proto, sp->node_port, v6);
				r = want_entry(w, s, &k);
			}
		}
	}
	return r;
}

static int removals(struct want *w)
{
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	while (!r && htab_next(w->set->svc_entries, &it, &k, &klen, &v)) {
		const struct svc_entry *e = v;

		if (!e->wanted)
			r = vec_push(w->plan, ((struct svc_write){ .key = e->key }));
	}
	return r;
}

int services_plan(struct policy_set *set, struct fail_list *f, struct svc_plan *ret)
{
	struct want w = { .set = set, .f = f, .plan = ret, .taken = htab_new() };
	size_t it = 0, klen, more = 0;
	const void *k;
	void *v;
	int r = w.taken ? 0 : -ENOMEM;

	if (!set->svc_dirty && !set->addr_dirty.n && !set->net_dirty.n && !set->owner_dirty.n && !set->owner_dead.n &&
	    !set->eid_fresh.n) {
		htab_free(w.taken, NULL);
		return 0;
	}
	while (!r && htab_next(set->svc_entries, &it, &k, &klen, &v))
		((struct svc_entry *)v)->wanted = false;
	it = 0;
	while (!r && htab_next(set->services, &it, &k, &klen, &v))
		if (!((struct svc *)v)->gone)
			r = want_service(&w, v);
	more = w.taken ? htab_count(w.taken) : 0;
	if (r == -ENOSPC)
		r = fail_add(f, -E2BIG, "service.capacity", NULL, NULL, "raise the map sizes",
			     "backends of services full: room for %u", set->lim.backends);
	else if (!r && more > set->lim.svcs)
		r = fail_add(f, -E2BIG, "service.capacity", NULL, NULL, "raise the map sizes",
			     "service addresses full: %zu needed, room for %u", more, set->lim.svcs);
	r = r ?: removals(&w);
	htab_free(w.taken, NULL);
	vec_done(&w.pairs);
	return r;
}

void services_plan_free(struct policy_set *set, struct svc_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		block_put(set, p->v[i].mid);
		block_put(set, p->v[i].block);
	}
	vec_done(p);
}

/* ---- the commit ------------------------------------------------------------------------------------------- */

static int block_write(struct commit *c, struct svc_block *b)
{
	int r = 0;

	if (!b->written && c->sink->backends_write)
		r = c->sink->backends_write(c->sink->arg, b->at, b->v, b->n);
	b->written |= !r;
	return r;
}

/* One store of an entry; the image follows. Takes its own reference on the block. */
static int entry_put(struct commit *c, struct svc_write *x, struct svc_block *b)
{
	struct policy_set *set = c->set;
	struct svc_entry *e = htab_get(set->svc_entries, &x->key, sizeof(x->key));
	struct cw_svc v = { .eid = x->svc->number, .first = b->at, .n = (uint16_t)b->n };
	int r;

	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e || htab_set(set->svc_entries, &x->key, sizeof(x->key), e, NULL)) {
			free(e);
			return -ENOMEM;
		}
		e->key = x->key;
	}
	r = c->sink->svc_set ? c->sink->svc_set(c->sink->arg, &x->key, &v) : 0;
	if (r && !e->block) {
		htab_del(set->svc_entries, &x->key, sizeof(x->key));
		free(e);
	}
	if (r)
		return r;
	b->refs++;
	block_put(set, e->block);
	e->block = b;
	e->svc = x->svc;
	return 0;
}

int services_before_switch(struct commit *c, struct svc_plan *p)
{
	int r = 0;

	for (size_t i = 0; i < p->n && !r; i++) {
		if (p->v[i].block)
			r = block_write(c, p->v[i].block);
		if (!r && p->v[i].mid)
			r = block_write(c, p->v[i].mid);
	}
	for (size_t i = 0; i < p->n && !r; i++) {
		if (!p->v[i].mid)
			continue;
		r = entry_put(c, &p->v[i], p->v[i].mid);
		c->split = true;
	}
	return r;
}

static void group_of_wl(struct policy_set *set, uint32_t wl)
{
	uint32_t g = wl && wl < set->lim.wls && set->wl_by_number[wl] ? set->wl_by_number[wl]->pub_group : 0;

	if (g && set->group_by_number[g])
		set->group_by_number[g]->bump = true;
}

/* Who was judged by the old content is judged again where the new one may say something else. */
static void rejudge(struct policy_set *set, const struct svc_block *old, const struct svc_block *now)
{
	bool same = old && now && old->n == now->n;

	for (uint32_t i = 0; same && i < now->n; i++)
		same = pair_in(old->v, old->n, now->v[i].eid, now->v[i].port) != NULL;
	if (!same) {
		set->bump_all = true;
		return;
	}
	/* The same identities; only who reaches himself through the service may be another. */
	for (uint32_t i = 0; i < now->n; i++) {
		const struct cw_backend *was = pair_in(old->v, old->n, now->v[i].eid, now->v[i].port);

		if (was && was->wl != now->v[i].wl) {
			group_of_wl(set, was->wl);
			group_of_wl(set, now->v[i].wl);
		}
	}
}

static void entry_remove(struct commit *c, const struct cw_svc_key *k)
{
	struct policy_set *set = c->set;
	struct svc_entry *e = htab_get(set->svc_entries, k, sizeof(*k));
	int r = c->sink->svc_del ? c->sink->svc_del(c->sink->arg, k) : 0;

	if (r) {
		keep_error(c, r);
		set->svc_dirty = true;
		return;
	}
	set->bump_all = true;
	htab_del(set->svc_entries, k, sizeof(*k));
	if (e)
		block_put(set, e->block);
	free(e);
}

void services_after_switch(struct commit *c, struct svc_plan *p)
{
	struct policy_set *set = c->set;
	size_t it = 0, klen;
	const void *k;
	void *v;

	set->svc_dirty = false;
	for (size_t i = 0; i < p->n; i++) {
		struct svc_write *x = &p->v[i];
		const struct svc_entry *e = htab_get(set->svc_entries, &x->key, sizeof(x->key));
		int r;

		if (!x->svc) {
			entry_remove(c, &x->key);
			continue;
		}
		if (e && e->block == x->block && e->svc == x->svc)
			continue;
		rejudge(set, e ? e->block : NULL, x->block);
		r = entry_put(c, x, x->block);
		keep_error(c, r);
		set->svc_dirty |= r != 0;
	}
	while (htab_next(set->services, &it, &k, &klen, &v)) {
		struct svc *s = v;

		if (s->gone && !s->dead_seq && !set->svc_dirty)
			s->dead_seq = set->seq;
	}
}
