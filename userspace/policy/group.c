/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: local ends with the same effective identity and configuration share one. */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

static void touch(struct group *g, enum cw_side s)
{
	g->side[s].full = g->side[s].dirty = true;
}

void group_touch_eid(struct policy_set *set, uint32_t ix)
{
	for (struct group *g = set->eids.v[ix].groups; g; g = g->next_of_eid) {
		touch(g, CW_EGRESS);
		touch(g, CW_INGRESS);
	}
}

static bool ns_fits(const struct policy_set *set, const struct ir *ir, const struct eid_ent *e)
{
	const char *ns = set->idns.v[e->key.base].info->ns;

	return !ir->ns || !strcmp(ir->ns, ns ? ns : "");
}

static void touch_eid(struct policy_set *set, const struct ir *ir, uint32_t ix)
{
	const struct eid_ent *e = &set->eids.v[ix];

	if (!e->groups || e->key.realm != CW_REALM_POD || !ns_fits(set, ir, e))
		return;
	for (struct group *g = e->groups; g; g = g->next_of_eid)
		touch(g, (enum cw_side)ir->side);
}

int groups_of_ir(struct policy_set *set, const struct ir *ir)
{
	if (ir->subject_all)
		for (size_t i = 0; i < set->groups.n; i++)
			if (set->groups.v[i])
				touch_eid(set, ir, set->groups.v[i]->eid);
	for (uint32_t i = 0; i < ir->nsubject; i++) {
		const struct sel *s = set->sels.v[ir->subject[i]];

		for (size_t k = 0; k < s->idents.n; k++) {
			const struct u32s *l = &set->idns.v[s->idents.v[k]].eids;

			for (size_t e = 0; e < l->n; e++)
				touch_eid(set, ir, l->v[e]);
		}
		for (size_t k = 0; k < s->eids.n; k++)
			touch_eid(set, ir, s->eids.v[k]);
	}
	return 0;
}

/* Does the rule speak at workloads of this effective identity? */
bool ir_speaks(const struct policy_set *set, const struct ir *ir, uint32_t ix)
{
	const struct eid_ent *e = &set->eids.v[ix];

	if (!ns_fits(set, ir, e))
		return false;
	if (ir->subject_all)
		return true;
	for (uint32_t i = 0; i < ir->nsubject; i++)
		if (sel_marked(set, ir->subject[i]))
			return true;
	return false;
}

struct gkey { uint32_t eid; struct gcfg cfg; };

static struct gkey gkey_of(uint32_t eid, const struct gcfg *cfg)
{
	struct gkey k;

	memset(&k, 0, sizeof(k));
	k.eid = eid;
	k.cfg = *cfg;
	return k;
}

static struct group *group_find(const struct policy_set *set, uint32_t eid, const struct gcfg *cfg)
{
	struct gkey k = gkey_of(eid, cfg);

	return htab_get(set->group_by_key, &k, sizeof(k));
}

static void qspec_hold(struct policy_set *set, uint32_t id, int by)
{
	for (size_t i = 0; id && i < set->qlist.n; i++)
		if (set->qlist.v[i]->id == id)
			set->qlist.v[i]->refs += (uint32_t)by;
}

static int group_new(struct policy_set *set, uint32_t eid, const struct gcfg *cfg, uint32_t from,
		     struct group **ret)
{
	struct gkey k = gkey_of(eid, cfg);
	struct group *g = calloc(1, sizeof(*g));
	uint32_t slot = from;

	if (!g)
		return -ENOMEM;
	while (slot < set->groups.n && set->groups.v[slot])
		slot++;
	if (slot == set->groups.n && vec_push(&set->groups, NULL)) {
		free(g);
		return -ENOMEM;
	}
	if (htab_set(set->group_by_key, &k, sizeof(k), g, NULL)) {
		free(g);
		return -ENOMEM;
	}
	set->groups.v[slot] = g;
	set->group_hint = slot + 1; /* slots below are taken */
	g->slot = slot;
	g->eid = eid;
	g->cfg = *cfg;
	g->next_of_eid = set->eids.v[eid].groups;
	set->eids.v[eid].groups = g;
	qspec_hold(set, cfg->qspec, 1);
	touch(g, CW_EGRESS);
	touch(g, CW_INGRESS);
	*ret = g;
	return 0;
}

static int group_get(struct policy_set *set, uint32_t eid, const struct gcfg *cfg, struct group **ret)
{
	*ret = group_find(set, eid, cfg);
	return *ret ? 0 : group_new(set, eid, cfg, set->group_hint, ret);
}

/* A second group of the same key, found instead of the first from now on; listed behind all. */
int group_twin(struct policy_set *set, struct group *g, struct group **ret)
{
	set->twins = true;
	return group_new(set, g->eid, &g->cfg, (uint32_t)set->groups.n, ret);
}

struct group *group_same(const struct policy_set *set, const struct group *g)
{
	return group_find(set, g->eid, &g->cfg);
}

/* Takes the group out of the model; its image must be gone. */
void group_free(struct policy_set *set, struct group *g)
{
	struct gkey k = gkey_of(g->eid, &g->cfg);
	struct group **at = &set->eids.v[g->eid].groups;

	if (htab_get(set->group_by_key, &k, sizeof(k)) == g)
		htab_del(set->group_by_key, &k, sizeof(k));
	while (*at && *at != g)
		at = &(*at)->next_of_eid;
	if (*at)
		*at = g->next_of_eid;
	qspec_hold(set, g->cfg.qspec, -1);
	set->groups.v[g->slot] = NULL;
	if (g->slot < set->group_hint)
		set->group_hint = g->slot;
	if (g->number)
		set->group_by_number[g->number] = NULL;
	for (int i = 0; i < 2; i++) {
		side_forget(set, &g->side[i]);
		vec_done(&g->side[i].p); /* empty, but it may have had entries of identities that are gone */
	}
	for (size_t i = 0; i < set->groups.n; i++)
		if (set->groups.v[i] && set->groups.v[i]->clone_of == g)
			set->groups.v[i]->clone_of = NULL;
	free(g);
}

/* A group all of whose members get another configuration keeps its number: one word switches. */
static int group_turn(struct policy_set *set, struct group *g)
{
	struct gkey k = gkey_of(g->eid, &g->cfg), to = gkey_of(g->eid, &g->to);
	bool rows = g->cfg.dflt != g->to.dflt || g->cfg.qspec != g->to.qspec || g->cfg.quar != g->to.quar ||
		    g->cfg.always != g->to.always;

	htab_del(set->group_by_key, &k, sizeof(k));
	if (htab_set(set->group_by_key, &to, sizeof(to), g, NULL))
		return -ENOMEM;
	qspec_hold(set, g->to.qspec, 1);
	qspec_hold(set, g->cfg.qspec, -1);
	g->cfg = g->to;
	if (rows) {
		touch(g, CW_EGRESS);
		touch(g, CW_INGRESS);
	}
	return 0;
}

static bool cfg_same(const struct gcfg *a, const struct gcfg *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static int holder_group(struct policy_set *set, struct holder *h, uint32_t old_eid)
{
	struct group *was = h->group, *g = NULL, *copy = NULL;
	uint32_t split = h->mid != NIL && h->mid != old_eid ? h->mid : h->eid;
	int r = 0;

	/* Split off an identity whose group is in force: begin as that group's copy. */
	if (was && was->published && old_eid != NIL && split != old_eid &&
	    set->eids.v[split].pred == old_eid && was->eid == old_eid) {
		copy = group_find(set, split, &was->cfg);
		if (!copy)
			r = group_new(set, split, &was->cfg, set->group_hint, &copy);
		if (!r && !copy->published && !copy->clone_of)
			copy->clone_of = was;
	}
	r = r ?: group_get(set, h->eid, &h->owner->cfg, &g);
	if (r)
		return r;
	h->mid_group = copy && copy != g ? copy : NULL;
	if (was != g) {
		g->refs++;
		if (was)
			was->refs--;
		h->group = g;
	}
	return 0;
}

struct was { struct holder *h; uint32_t eid; };

static int was_cmp(const void *x, const void *y)
{
	const struct was *a = x, *b = y;

	return ((uintptr_t)a->h > (uintptr_t)b->h) - ((uintptr_t)a->h < (uintptr_t)b->h);
}

int groups_assign(struct policy_set *set, struct chgs *c)
{
	struct { struct was *v; size_t n, cap; } old = {};
	int r = 0;

	for (size_t i = 0; i < c->n && !r; i++)
		if (c->v[i].h)
			r = vec_push(&old, ((struct was){ c->v[i].h, c->v[i].old }));
	if (old.n)
		qsort(old.v, old.n, sizeof(*old.v), was_cmp);
	/* Who leaves for which configuration, with the identity unchanged? */
	for (size_t i = 0; i < set->groups.n; i++)
		if (set->groups.v[i]) {
			set->groups.v[i]->leaving = 0;
			set->groups.v[i]->to_mixed = false;
		}
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < set->owner_dirty.n && !r; i++) {
			struct owner *o = set->owner_dirty.v[i];

			for (size_t k = 0; k < o->nh && o->local && !o->node && !o->gone && !r; k++) {
				struct group *g = o->h[k].group;

				if (!g || g->eid != o->h[k].eid || cfg_same(&g->cfg, &o->cfg))
					continue;
				if (pass == 0) {
					g->to_mixed |= g->leaving++ && !cfg_same(&g->to, &o->cfg);
					g->to = o->cfg;
				} else if (g->leaving == g->refs && !g->to_mixed && g->refs &&
					   !group_find(set, g->eid, &g->to)) {
					r = group_turn(set, g);
				}
			}
		}
	for (size_t i = 0; i < set->owner_dirty.n && !r; i++) {
		struct owner *o = set->owner_dirty.v[i];

		if (o->node || o->gone)
			continue;
		for (size_t k = 0; k < o->nh && !r; k++) {
			struct holder *h = &o->h[k];
			struct was key = { .h = h }, *w;

			if (!o->local) {
				if (h->group)
					h->group->refs--;
				h->group = NULL;
				continue;
			}
			w = old.n ? bsearch(&key, old.v, old.n, sizeof(*old.v), was_cmp) : NULL;
			r = holder_group(set, h, w ? w->eid : h->eid);
		}
		for (size_t k = 0; k < o->nh && !r; k++) {
			struct addrrec *a = addr_is_zero(&o->h[k].addr) ? NULL
					  : htab_get(set->addrs, o->h[k].addr.b, 16);

			if (a)
				r = addr_touch(set, a);
		}
	}
	vec_done(&old);
	return r;
}
