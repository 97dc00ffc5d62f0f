/* SPDX-License-Identifier: Apache-2.0 */
/* A policy set from birth to death, and the steps of a prepare. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "policy/service.h"

static uint32_t or_default(uint32_t v, uint32_t dflt)
{
	return v ? v : dflt;
}

int policy_set_new(const struct policy_limits *lim, struct policy_set **ret)
{
	struct policy_set *set = calloc(1, sizeof(*set));
	struct policy_limits *l;
	int r;

	if (!set)
		return -ENOMEM;
	l = &set->lim;
	*l = lim ? *lim : (struct policy_limits){};
	l->groups = or_default(l->groups, CW_MAX_GROUPS);
	l->wls = or_default(l->wls, CW_MAX_WLS);
	l->verdicts = or_default(l->verdicts, CW_MAX_VERDICTS);
	l->rowtab = or_default(l->rowtab, CW_MAX_ROWTAB);
	l->rows = or_default(l->rows, CW_MAX_ROWS);
	l->peers = or_default(l->peers, CW_MAX_PEERS);
	l->addrs = or_default(l->addrs, CW_MAX_ADDRS);
	l->nets = or_default(l->nets, CW_MAX_NETS);
	l->patterns = or_default(l->patterns, CW_MAX_DNS_PATTERNS);
	l->named = or_default(l->named, CW_MAX_NAMED);
	l->svcs = or_default(l->svcs, CW_MAX_SVCS);
	l->backends = or_default(l->backends, CW_MAX_BACKENDS);
	/* Digests only: a weak seed would let an author of rules hide a change, nothing more. */
	if (getrandom(&set->seed, sizeof(set->seed), GRND_NONBLOCK) != sizeof(set->seed))
		set->seed = (uint64_t)(uintptr_t)set;
	set->next_group = set->next_wl = 1;
	set->rules = htab_new();
	set->qspecs = htab_new();
	set->names = intern_new(1, UINT32_MAX, 0, 0);
	set->owners = htab_new();
	set->owners_by_name = htab_new();
	set->addrs = htab_new();
	set->nets = htab_new();
	set->group_by_key = htab_new();
	set->rows_in = intern_new(1, UINT32_MAX, 0, 0);
	set->verdicts_in = intern_new(1, l->verdicts, l->keep_verdicts.lo, l->keep_verdicts.hi);
	set->group_by_number = calloc(l->groups, sizeof(*set->group_by_number));
	set->wl_by_number = calloc(l->wls, sizeof(*set->wl_by_number));
	set->gen = calloc((size_t)l->groups * 2, sizeof(*set->gen));
	set->since = calloc((size_t)l->groups * 2, sizeof(*set->since));
	set->words = calloc((size_t)l->groups * 2, sizeof(*set->words));
	set->rowtab = calloc(l->rowtab, sizeof(*set->rowtab));
	set->rows = calloc(l->rows, sizeof(*set->rows));
	set->verdicts = calloc(l->verdicts, sizeof(*set->verdicts));
	r = sels_init(set);
	r = r ?: eids_init(set);
	r = r ?: names_init(set);
	r = r ?: services_init(set);
	r = r ?: extents_init(&set->rowtab_x, l->rowtab < 1u << 28 ? l->rowtab : 1u << 28, l->keep_rowtab.lo,
			      l->keep_rowtab.hi);
	r = r ?: extents_init(&set->rows_x, l->rows, l->keep_rows.lo, l->keep_rows.hi);
	if (r || !set->rules || !set->qspecs || !set->names || !set->owners || !set->owners_by_name || !set->addrs ||
	    !set->nets || !set->group_by_key || !set->rows_in || !set->verdicts_in || !set->group_by_number ||
	    !set->wl_by_number || !set->gen || !set->since || !set->words || !set->rowtab || !set->rows || !set->verdicts) {
		policy_set_free(set);
		return -ENOMEM;
	}
	set->verdicts[0] = (struct cw_verdict){ .action = CW_ACT_ALLOW, .tier = CW_TIER_DEFAULT,
						.adv_action = CW_ACT_ALLOW, .adv_tier = CW_TIER_DEFAULT };
	for (size_t i = 0; i < (size_t)l->groups * 2; i++)
		set->gen[i] = l->first_gen;
	*ret = set;
	return 0;
}

static void side_image_free(struct policy_set *set, struct side *sd)
{
	while (sd->old) {
		struct table *t = sd->old;

		sd->old = t->next;
		table_free(set, t);
	}
	table_free(set, sd->cur);
	vec_done(&sd->p);
}

void policy_set_free(struct policy_set *set)
{
	if (!set)
		return;
	if (set->plan)
		policy_plan_free(set->plan);
	for (size_t i = 0; i < set->groups.n; i++) {
		struct group *g = set->groups.v[i];

		for (int s = 0; g && s < 2; s++) {
			side_image_free(set, &g->side[s]);
			side_forget(set, &g->side[s]);
		}
		free(g);
	}
	vec_done(&set->groups);
	owners_done(set);
	services_done(set);
	rules_done(set);
	sels_done(set);
	names_done(set);
	vec_done(&set->eids);
	vec_done(&set->eid_free);
	vec_done(&set->eid_touched);
	vec_done(&set->eid_fresh);
	vec_done(&set->eid_owner);
	vec_done(&set->eid_nowners);
	htab_free(set->owners_by_name, NULL);
	vec_done(&set->cell_of);
	vec_done(&set->cell_stamp);
	vec_done(&set->rowmeta);
	vec_done(&set->rowtab_x);
	vec_done(&set->rows_x);
	htab_free(set->eid_by_number, NULL);
	htab_free(set->eid_by_key, NULL);
	htab_free(set->group_by_key, NULL);
	intern_free(set->asets);
	intern_free(set->npsets);
	intern_free(set->rows_in);
	intern_free(set->verdicts_in);
	free(set->group_by_number);
	free(set->wl_by_number);
	free(set->gen);
	free(set->since);
	free(set->words);
	free(set->rowtab);
	free(set->rows);
	free(set->verdicts);
	free(set);
}

static int keep_give(struct extents *x, struct policy_range *k, uint32_t size)
{
	uint32_t hi = k->hi < size ? k->hi : size;
	int r = 0;

	if (k->lo < hi) {
		x->used += hi - k->lo; /* extents_put takes it off again */
		r = extents_put(x, k->lo, hi - k->lo);
	}
	*k = (struct policy_range){};
	return r;
}

void policy_set_keep_done(struct policy_set *set)
{
	intern_keep_done(set->verdicts_in);
	/* Without memory the range merely stays unused. */
	(void)keep_give(&set->rowtab_x, &set->lim.keep_rowtab, set->lim.rowtab);
	(void)keep_give(&set->rows_x, &set->lim.keep_rows, set->lim.rows);
	set->lim.keep_groups = set->lim.keep_wls = set->lim.keep_verdicts = (struct policy_range){};
}

/* Brings every side in line with rules and identities. */
int sides_compile(struct policy_set *set)
{
	auto_free struct group **standing = NULL;
	size_t nstanding = 0;
	int r = 0;

	/* Whoever is compiled whole sees the new identities anyway. On the first state of a large node that
	 * is every group: they are left out once, not once for each identity. */
	if (set->eid_touched.n) {
		standing = calloc(set->groups.n + 1, sizeof(*standing));
		if (!standing)
			return -ENOMEM;
	}
	for (size_t k = 0; standing && k < set->groups.n; k++) {
		struct group *g = set->groups.v[k];

		if (g && (!g->side[0].full || !g->side[1].full))
			standing[nstanding++] = g;
	}
	for (size_t i = 0; i < set->eid_touched.n && !r; i++) {
		uint32_t ix = set->eid_touched.v[i];

		if (!set->eids.v[ix].number)
			continue;
		eid_mark_sels(set, ix);
		for (size_t k = 0; k < nstanding && !r; k++)
			for (int s = 0; s < 2 && !r; s++)
				if (!standing[k]->side[s].full)
					r = side_eid(set, standing[k], (enum cw_side)s, ix);
	}
	for (size_t k = 0; k < set->groups.n && !r; k++) {
		struct group *g = set->groups.v[k];

		for (int s = 0; g && s < 2 && !r; s++)
			if (g->side[s].full)
				r = side_compile(set, g, (enum cw_side)s);
	}
	if (!r)
		set->eid_touched.n = 0;
	return r;
}

static int model_fail(struct policy_set *set, int r, struct fail_list *f)
{
	char at[40];

	if (r == -ENOSPC && set->nospace_need)
		return plan_refuse(set, f, set->nospace, set->nospace_need, set->nospace_room);
	if (r != -ENOSPC && r != -E2BIG) {
		set->poisoned = true;
		return fail_add(f, r, "policy.memory", NULL, NULL, "restart the daemon; enforcement goes on",
				"out of memory while compiling the policy");
	}
	snprintf(at, sizeof(at), "rule id %u", set->nospace_rule);
	r = fail_add(f, -E2BIG, "policy.full", set->nospace_rule ? at : NULL, NULL,
		     "make the rule narrower, or raise the map sizes", "%s full",
		     set->nospace ? set->nospace : "identities");
	return r;
}

int policy_set_prepare_ir(struct policy_set *set, const struct policy_state *next, const struct ir_rule *more,
			  size_t nmore, struct fail_list *f, struct policy_plan **ret)
{
	struct policy_plan *plan = NULL;
	bool names = false;
	int r;

	if (set->plan)
		return -EBUSY;
	if (set->poisoned)
		return fail_add(f, -ENOTRECOVERABLE, "policy.memory", NULL, NULL,
				"restart the daemon; enforcement goes on", "the compiler ran out of memory before");
	r = services_diff(set, next, f);
	r = r ?: rules_diff(set, next, more, nmore, f, &names);
	if (r == -EINVAL || r == -E2BIG)
		return r;
	set->redo = set->ahead;
	if (set->redo)
		mids_forget(set);
	set->ahead = true;
	set->nospace = NULL;
	set->nospace_rule = 0;
	set->nospace_need = 0;
	if (!r) {
		r = qspecs_diff(set, next);
		names |= r > 0;
		r = r > 0 ? 0 : r;
	}
	/* A change of which tiers always drop makes other rows everywhere. */
	if (!r && set->enforce_always != next->enforce_always)
		for (size_t i = 0; i < set->groups.n; i++)
			if (set->groups.v[i])
				group_touch_eid(set, set->groups.v[i]->eid);
	r = r ?: services_index(set);
	r = r ?: owners_diff(set, next, names);
	r = r ?: names_assign(set);
	if (!r && (set->owner_dirty.n || set->owner_dead.n || set->addr_dirty.n || set->eid_touched.n))
		r = eid_owners(set);
	r = r ?: sides_compile(set);
	if (r || set->poisoned)
		return model_fail(set, r ? r : -ENOMEM, f);
	r = policy_plan_make(set, f, &plan);
	rules_sweep(set);
	sels_sweep(set);
	if (r) {
		set->poisoned |= r == -ENOMEM;
		return r;
	}
	set->plan = plan;
	*ret = plan;
	return 0;
}

int policy_set_prepare(struct policy_set *set, const struct policy_state *next, struct fail_list *f,
		       struct policy_plan **ret)
{
	return policy_set_prepare_ir(set, next, NULL, 0, f, ret);
}

uint64_t policy_set_seq(const struct policy_set *set)
{
	return set->seq;
}

const struct policy_limits *policy_set_limits(const struct policy_set *set)
{
	return &set->lim;
}

void policy_set_stats(const struct policy_set *set, struct policy_stats *ret)
{
	struct policy_stats s = { .wls = set->nwls, .verdicts = intern_count(set->verdicts_in) + 1,
				  .addrs4 = set->naddrs[0], .addrs6 = set->naddrs[1], .nets4 = set->nnets[0],
				  .nets6 = set->nnets[1], .peers = set->npeers, .rowtab = set->rowtab_x.used,
				  .rows = set->rows_x.used, .eids = set->neids, .selectors = set->nsels,
				  .idents = (uint32_t)ident_table_count(set->idents),
				  .rules = (uint32_t)set->all_ir.n, .addr_conflicts = set->conflicts,
				  .patterns = (uint32_t)htab_count(set->dns.patterns), .name_classes = set->dns.ncls,
				  .named = crosses_count(set) };

	s.svcs = (uint32_t)htab_count(set->svc_entries);
	s.backends = set->backends_x.used;
	for (size_t i = 0; i < set->groups.n; i++) {
		const struct group *g = set->groups.v[i];

		if (!g)
			continue;
		s.groups++;
		s.memory += sizeof(*g);
		for (int k = 0; k < 2; k++) {
			const struct side *sd = &g->side[k];

			s.memory += sd->t.cap * sizeof(*sd->t.v) + sd->p.cap * sizeof(*sd->p.v) +
				    sd->cells.cap * sizeof(*sd->cells.v) + sd->nrules * sizeof(*sd->rules);
			for (const struct table *t = sd->cur; t; t = t == sd->cur ? sd->old : t->next)
				s.memory += sizeof(*t) + t->slots * (sizeof(uint32_t) + sizeof(uint64_t));
		}
	}
	s.memory += ((size_t)s.rowtab + s.rows + (size_t)set->lim.groups * 3) * 8 + set->eids.cap * sizeof(*set->eids.v);
	*ret = s;
}

void policy_plan_info(const struct policy_plan *plan, struct policy_plan_info *ret)
{
	*ret = plan->info;
}

int policy_set_rule_usage(const struct policy_set *set, uint32_t rule, struct policy_usage *ret)
{
	struct policy_usage u = {};
	bool known = false;

	for (size_t i = 0; i < set->all_ir.n && !known; i++)
		known = set->all_ir.v[i]->rule == rule;
	if (!known)
		return -ENOENT;
	for (size_t i = 0; i < set->groups.n; i++)
		for (int s = 0; set->groups.v[i] && s < 2; s++) {
			const struct side *sd = &set->groups.v[i]->side[s];
			bool speaks = false;

			for (size_t c = 0; c < sd->cells.n; c++) {
				const struct cell *cell = &sd->cells.v[c];
				bool in = false;

				for (uint32_t k = 0; k < cell->n && !in; k++)
					in = sd->rules[cell->rule[k]]->rule == rule;
				if (!in)
					continue;
				u.rows++;
				u.intervals += set->rowmeta.v[cell->row].n;
				for (size_t t = 0; t < sd->t.n; t++)
					u.peers += sd->t.v[t].row == cell->row;
			}
			for (uint32_t k = 0; k < sd->nrules && !speaks; k++)
				speaks = sd->rules[k]->rule == rule;
			u.sides += speaks;
		}
	*ret = u;
	return 0;
}

/* ---- names of numbers ---------------------------------------------------------------------------- */

static struct policy_wl wl_view(const struct policy_set *set, const struct owner *o)
{
	bool exceptions = false;

	for (size_t i = 0; o->cfg.quar && i < set->qlist.n; i++) {
		const struct qspec *q = set->qlist.v[i];

		if (q->id == o->cfg.qspec)
			exceptions = q->n[CW_EGRESS] > 1 || q->n[CW_INGRESS] > 1; /* the last one blocks */
	}
	return (struct policy_wl){ .wl = o->wl, .group = o->pub_group, .eid = o->pub_eid, .ns = o->ns,
				   .name = o->name, .uid = o->uid, .mode = (enum cw_mode)o->cfg.mode,
				   .quarantined = o->cfg.quar, .exceptions = exceptions };
}

int policy_set_wl(const struct policy_set *set, const char *ns, const char *name, struct policy_wl *ret)
{
	const struct owner *o = owner_find(set, ns, name, NULL);

	if (!o || !o->wl)
		return -ENOENT;
	*ret = wl_view(set, o);
	return 0;
}

int policy_set_wl_by_number(const struct policy_set *set, uint32_t wl, struct policy_wl *ret)
{
	if (!wl || wl >= set->lim.wls || !set->wl_by_number[wl])
		return -ENOENT;
	*ret = wl_view(set, set->wl_by_number[wl]);
	return 0;
}

int policy_set_wl_each(const struct policy_set *set, int (*fn)(void *arg, const struct policy_wl *w), void *arg)
{
	for (uint32_t i = 1; i < set->lim.wls; i++) {
		struct policy_wl w;
		int r;

		if (!set->wl_by_number[i] || set->wl_by_number[i]->gone)
			continue;
		w = wl_view(set, set->wl_by_number[i]);
		r = fn(arg, &w);
		if (r)
			return r;
	}
	return 0;
}

static struct policy_eid eid_view(const struct policy_set *set, uint32_t ix)
{
	const struct eid_ent *e = &set->eids.v[ix];
	struct policy_eid v = { .eid = e->number, .realm = (enum cw_realm)e->key.realm, .named = e->named };

	if (e->key.realm != CW_REALM_POD) {
		v.reserved = e->key.base;
		return v;
	}
	v.ident = set->idns.v[e->key.base].number;
	v.info = set->idns.v[e->key.base].info;
	return v;
}

static void eid_workloads(const struct policy_set *set, uint32_t ix, struct policy_eid *v)
{
	const struct owner *o = ix < set->eid_owner.n ? set->eid_owner.v[ix] : NULL;

	if (v->realm != CW_REALM_POD || !o)
		return;
	v->nworkloads = set->eid_nowners.v[ix];
	v->ns = o->ns;
	v->name = o->name;
	v->uid = o->uid;
}

int policy_set_eid_describe(const struct policy_set *set, uint32_t eid, struct policy_eid *ret)
{
	uint32_t ix = eid_slot(set, eid);

	if (service_view(htab_get_u64(set->svc_by_number, eid), ret))
		return 0;
	if (ix == NIL)
		return -ENOENT;
	*ret = eid_view(set, ix);
	eid_workloads(set, ix, ret);
	return 0;
}

int policy_set_eid_each(const struct policy_set *set, int (*fn)(void *arg, const struct policy_eid *e), void *arg)
{
	size_t it = 0, klen;
	const void *k;
	void *p;

	for (uint32_t i = 0; i < set->eids.n; i++) {
		struct policy_eid v;
		int r;

		if (!set->eids.v[i].number)
			continue;
		v = eid_view(set, i);
		eid_workloads(set, i, &v);
		r = fn(arg, &v);
		if (r)
			return r;
	}
	while (htab_next(set->services, &it, &k, &klen, &p)) {
		struct policy_eid v;
		int r = service_view(p, &v) ? fn(arg, &v) : 0;

		if (r)
			return r;
	}
	return 0;
}

int policy_set_ident_preload(struct policy_set *set, uint32_t number, const struct ident_info *info)
{
	return ident_table_preload(set->idents, number, info);
}

int policy_set_ident_each(const struct policy_set *set,
			  int (*fn)(void *arg, uint32_t number, const struct ident_info *info), void *arg)
{
	return ident_table_each(set->idents, fn, arg);
}
