/* SPDX-License-Identifier: Apache-2.0 */
/* The difference between model and image as writes, and whether they fit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/service.h"

static void splan_done(struct policy_set *set, struct splan *p)
{
	table_free(set, p->next);
	table_free(set, p->clone);
	vec_done(&p->ref);
	vec_done(&p->sets);
	vec_done(&p->adds);
	vec_done(&p->p);
}

void plan_free(struct policy_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->sides.n; i++)
		splan_done(p->set, &p->sides.v[i]);
	vec_done(&p->sides);
	services_plan_free(p->set, &p->svc);
	free(p);
}

int plan_refuse(struct policy_set *set, struct fail_list *f, const char *what, uint64_t need, uint64_t room)
{
	const struct ir *worst = NULL;
	size_t most = 0;
	char at[420];

	/* The newest rule that tells the most peers apart is what made the difference. */
	for (size_t i = 0; i < set->all_ir.n; i++) {
		const struct ir *ir = set->all_ir.v[i];
		size_t n = ir->nspans + ir->nnamed;

		if (!ir->fresh || !ir->at)
			continue;
		for (uint32_t k = 0; k < ir->npeer; k++)
			n += set->sels.v[ir->peer[k]]->idents.n + set->sels.v[ir->peer[k]]->eids.n +
			     set->sels.v[ir->peer[k]]->ncidrs + set->sels.v[ir->peer[k]]->nnames;
		if (!worst || n > most) {
			worst = ir;
			most = n;
		}
	}
	if (worst) {
		snprintf(at, sizeof(at), "rule %s", worst->at);
		return fail_add(f, -E2BIG, "policy.full", at, NULL, "make the rule narrower, or raise the map sizes",
				"%s full: %llu needed, room for %llu", what, (unsigned long long)need,
				(unsigned long long)room);
	}
	return fail_add(f, -E2BIG, "policy.full", NULL, NULL, "raise the map sizes", "%s full: %llu needed, room for %llu",
			what, (unsigned long long)need, (unsigned long long)room);
}

/* ---- all sides ------------------------------------------------------------------------------------- */

static int group_number(struct policy_set *set, struct group *g)
{
	const struct policy_range *k = &set->lim.keep_groups;

	if (g->number)
		return 0;
	for (uint32_t tried = 0; tried < set->lim.groups; tried++) {
		uint32_t n = set->next_group++;

		if (set->next_group >= set->lim.groups)
			set->next_group = 1;
		if (!n || n >= set->lim.groups || (n >= k->lo && n < k->hi) || set->group_by_number[n])
			continue;
		set->group_by_number[n] = g;
		g->number = n;
		return 0;
	}
	return -ENOSPC;
}

static int wl_number(struct policy_set *set, struct owner *o)
{
	const struct policy_range *k = &set->lim.keep_wls;

	if (o->wl || o->node || !o->local || o->gone)
		return 0;
	for (uint32_t tried = 0; tried < set->lim.wls; tried++) {
		uint32_t n = set->next_wl++;

		if (set->next_wl >= set->lim.wls)
			set->next_wl = 1;
		if (!n || n >= set->lim.wls || (n >= k->lo && n < k->hi) || set->wl_by_number[n])
			continue;
		set->wl_by_number[n] = o;
		o->wl = n;
		set->nwls++;
		return 0;
	}
	return -ENOSPC;
}

/* Rebuilds a group beside under another number: its members move instead of its classes. */
static int group_migrate(struct policy_set *set, struct group *g)
{
	struct group *to = NULL;
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = group_twin(set, g, &to);

	while (!r && htab_next(set->owners, &it, &k, &klen, &v)) {
		struct owner *o = v;

		for (size_t i = 0; i < o->nh && !r; i++) {
			struct holder *h = &o->h[i];
			struct addrrec *a;

			if (h->group != g)
				continue;
			h->group = to;
			to->refs++;
			g->refs--;
			if (!o->dirty) {
				o->dirty = true;
				r = vec_push(&set->owner_dirty, o);
			}
			a = addr_is_zero(&h->addr) ? NULL : htab_get(set->addrs, h->addr.b, 16);
			if (a && !r)
				r = addr_touch(set, a);
		}
	}
	for (int s = 0; s < 2 && !r; s++)
		r = side_compile(set, to, (enum cw_side)s);
	return r;
}

/* For a group that cannot follow the change: what is split off judges as before there, for as long
 * as readers may come by. */
static int group_inherit(struct policy_plan *plan, struct group *g)
{
	struct policy_set *set = plan->set;
	int r = 0;

	for (int s = 0; s < 2 && !r; s++) {
		const struct side *sd = &g->side[s];
		struct splan p = { .g = g, .side = (uint8_t)s };

		for (size_t i = 0; i < sd->p.n && !r; i++)
			r = vec_push(&p.p, sd->p.v[i]);
		for (size_t f = 0; f < set->eid_fresh.n && !r; f++) {
			uint32_t ix = set->eid_fresh.v[f], pred = set->eids.v[ix].pred;
			const struct pent *was = pred == NIL ? NULL : pent_of(sd, pred);
			size_t at = p.p.n;

			if (!was || pent_of(sd, ix))
				continue;
			r = vec_push(&p.p, ((struct pent){ .ix = ix, .cls = was->cls }));
			for (; !r && at && p.p.v[at - 1].ix > ix; at--) {
				struct pent t = p.p.v[at];

				p.p.v[at] = p.p.v[at - 1];
				p.p.v[at - 1] = t;
			}
			r = r ?: vec_push(&p.sets, ((struct pset){ ix, was->cls }));
		}
		if (!r && p.sets.n)
			r = vec_push(&plan->sides, p);
		else
			splan_done(set, &p);
	}
	return r;
}

/* A group of the same key as g that begins as a copy of `was`: g itself, if it is not in force yet. */
static int copy_of(struct policy_set *set, struct group *g, struct group *was, struct group **ret)
{
	struct group *to;
	int r;

	if (!g->published && (!g->clone_of || g->clone_of == was)) {
		g->clone_of = was;
		*ret = g;
		return 0;
	}
	for (to = set->eids.v[g->eid].groups; to; to = to->next_of_eid)
		if (!to->published && to->clone_of == was && !memcmp(&to->cfg, &g->cfg, sizeof(g->cfg)))
			break;
	if (!to) {
		r = group_twin(set, g, &to);
		for (int s = 0; s < 2 && !r; s++)
			r = side_compile(set, to, (enum cw_side)s);
		if (r)
			return r;
		to->clone_of = was;
	}
	*ret = to;
	return 0;
}

/*
 * Who moves to another group leaves the old one after the words have switched. Where that one gets other
 * rows by the same change, they would be seen for a moment under the mode, or by the labels, that
 * the workload had before. So it begins in a copy of the old group, whose one word then switches all
 * of it.
 */
static int movers_copy(struct policy_set *set)
{
	int r = 0;

	for (size_t i = 0; i < set->owner_dirty.n && !r; i++) {
		struct owner *o = set->owner_dirty.v[i];

		for (size_t k = 0; k < o->nh && o->local && !o->node && !o->gone && !r; k++) {
			struct holder *h = &o->h[k];
			const struct addrrec *a = addr_is_zero(&h->addr) ? NULL : htab_get(set->addrs, h->addr.b, 16);
			struct group *was, *to, *g = h->group;

			if (!a || !a->pub_set || !a->pub.group || a->pub.wl != o->wl || addr_winner(set, a) != h || !g)
				continue;
			was = set->group_by_number[a->pub.group];
			if (!was || was == g || !was->published || g->clone_of == was)
				continue;
			if (h->mid_group && h->mid_group->clone_of == was && !memcmp(&h->mid_group->cfg, &g->cfg, sizeof(g->cfg)))
				continue; /* a copy already, of the same configuration */
			h->mid_group = NULL;
			if (!was->side[0].dirty && !was->side[1].dirty)
				continue;
			r = copy_of(set, g, was, &to);
			if (r || to == g)
				continue;
			h->group = to;
			to->refs++;
			g->refs--;
		}
	}
	return r;
}

static bool fresh_split(const struct policy_set *set)
{
	for (size_t i = 0; i < set->eid_fresh.n; i++)
		if (set->eids.v[set->eid_fresh.v[i]].pred != NIL)
			return true;
	return false;
}

static int group_plan(struct policy_plan *p, struct group *g, bool splits)
{
	struct policy_set *set = p->set;
	struct splan both[2] = {};
	int r = 0, did[2] = { 1, 1 };

	for (int s = 0; s < 2 && !r; s++) {
		if (!g->side[s].dirty && !splits && g->published)
			continue;
		did[s] = side_plan(set, g, (enum cw_side)s, &both[s]);
		if (did[s] < 0)
			r = did[s];
		else if (did[s])
			g->side[s].dirty = g->side[s].full; /* as it stands */
	}
	for (int s = 0; s < 2; s++) {
		if (!r && !did[s]) {
			r = vec_push(&p->sides, both[s]);
			if (!r)
				continue;
		}
		splan_done(set, &both[s]);
	}
	return r;
}

static int check(struct policy_set *set, struct fail_list *f, const char *what, uint64_t need, uint64_t room)
{
	return need > room ? plan_refuse(set, f, what, need, room) : 0;
}

static int counts(struct policy_plan *p, struct fail_list *f)
{
	struct policy_set *set = p->set;
	struct policy_plan_info *i = &p->info;
	uint32_t addrs[2] = { set->naddrs[0], set->naddrs[1] }, nets[2] = { set->nnets[0], set->nnets[1] };
	int64_t peers = set->npeers;
	int r;

	for (size_t k = 0; k < p->sides.n; k++) {
		const struct splan *sp = &p->sides.v[k];

		peers += (int64_t)sp->p.n - (int64_t)sp->g->side[sp->side].p.n;
		i->words += sp->next != NULL;
		i->peers_set += (uint32_t)sp->sets.n;
	}
	for (size_t k = 0; k < set->addr_dirty.n; k++) {
		const struct addrrec *a = set->addr_dirty.v[k];

		if (addr_winner(set, a)) {
			i->addrs_set++;
			addrs[!addr_is_v4(&a->a)] += !a->pub_set;
		}
	}
	for (size_t k = 0; k < set->net_dirty.n; k++)
		if (!set->net_dirty.v[k]->gone)
			nets[set->net_dirty.v[k]->p.v6 != 0] += !set->net_dirty.v[k]->pub_set;
	for (size_t k = 0; k < set->groups.n; k++)
		i->new_groups += set->groups.v[k] && !set->groups.v[k]->published;
	i->new_eids = (uint32_t)set->eid_fresh.n;
	policy_set_stats(set, &i->after);
	i->after.peers = (uint32_t)peers;
	i->after.addrs4 = addrs[0];
	i->after.addrs6 = addrs[1];
	i->after.nets4 = nets[0];
	i->after.nets6 = nets[1];
	r = check(set, f, "class entries", (uint64_t)peers, set->lim.peers);
	r = r ?: check(set, f, "IPv4 addresses", addrs[0], set->lim.addrs);
	r = r ?: check(set, f, "IPv6 addresses", addrs[1], set->lim.addrs);
	r = r ?: check(set, f, "IPv4 prefixes", nets[0], set->lim.nets);
	return r ?: check(set, f, "IPv6 prefixes", nets[1], set->lim.nets);
}

int policy_plan_make(struct policy_set *set, struct fail_list *f, struct policy_plan **ret)
{
	struct policy_plan *p = calloc(1, sizeof(*p));
	bool splits = fresh_split(set);
	int r = p ? movers_copy(set) : -ENOMEM;

	if (p)
		p->set = set;
	for (size_t i = 0; i < set->owner_dirty.n && !r; i++)
		if (wl_number(set, set->owner_dirty.v[i]))
			r = plan_refuse(set, f, "workload numbers", set->nwls + 1, set->lim.wls - 1);
	/* Groups may be added behind while a full one moves house. */
	for (size_t i = 0; i < set->groups.n && !r; i++) {
		struct group *g = set->groups.v[i];

		if (!g)
			continue;
		if (!g->published && !g->refs && !g->clone_of) {
			if (!g->side[0].p.n && !g->side[1].p.n)
				group_free(set, g); /* of a plan that was dropped */
			continue;
		}
		g->behind = g->published && g->rebuild;
		if (g->behind) {
			r = group_inherit(p, g);
			if (!r && g->refs)
				r = group_migrate(set, g);
			continue;
		}
		if (group_number(set, g)) {
			r = plan_refuse(set, f, "groups", set->lim.groups, set->lim.groups - 1);
			break;
		}
		set->nospace = NULL;
		r = group_plan(p, g, splits);
		if (r == -EAGAIN) {
			g->behind = true;
			r = group_inherit(p, g);
			if (!r && g->refs) /* else its members have left already */
				r = group_migrate(set, g);
		} else if (r == -ENOSPC) {
			r = plan_refuse(set, f, set->nospace ? set->nospace : "maps", set->rows_x.used,
				   set->nospace && !strcmp(set->nospace, "row table") ? set->lim.rowtab : set->lim.rows);
		}
	}
	r = r ?: services_plan(set, f, &p->svc);
	r = r ?: counts(p, f);
	if (r) {
		plan_free(p);
		return r;
	}
	*ret = p;
	return 0;
}
