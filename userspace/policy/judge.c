/* SPDX-License-Identifier: Apache-2.0 */
/* Questions: the image through the data path's evaluator, the model through its targets. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/service.h"

/* ---- the evaluator's reads -------------------------------------------------------------------------- */

static inline int cw_eval_word(const struct policy_set *set, uint32_t i, __u64 *ret)
{
	if (i >= set->lim.groups * 2)
		return -1;
	*ret = set->words[i];
	return 0;
}

static inline int cw_eval_peer(const struct policy_set *set, const struct cw_peer_key *k, uint32_t *ret)
{
	uint32_t ix = eid_slot(set, k->eid);
	const struct group *g = k->gs >> 1 < set->lim.groups ? set->group_by_number[k->gs >> 1] : NULL;
	const struct side *sd;
	size_t lo = 0, hi;

	if (!g || ix == NIL)
		return -1;
	sd = &g->side[k->gs & 1];
	hi = sd->p.n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (sd->p.v[mid].ix < ix)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo >= sd->p.n || sd->p.v[lo].ix != ix)
		return -1;
	*ret = sd->p.v[lo].cls;
	return 0;
}

static inline int cw_eval_rowtab(const struct policy_set *set, uint32_t i, __u64 *ret)
{
	if (i >= set->lim.rowtab)
		return -1;
	*ret = set->rowtab[i];
	return 0;
}

static inline int cw_eval_row(const struct policy_set *set, uint32_t i, __u64 *ret)
{
	if (i >= set->lim.rows)
		return -1;
	*ret = set->rows[i];
	return 0;
}

#define CW_EVAL_CTX const struct policy_set
#include "cw_eval.h"

bool verdict_worse(const struct cw_verdict *a, const struct cw_verdict *b)
{
	return cw_backend_worse(a, b);
}

bool verdict_for_self(const struct cw_verdict *v)
{
	return cw_self_judged(v);
}

/* ---- verdicts ------------------------------------------------------------------------------------------ */

static struct cw_verdict record(const struct policy_set *set, uint32_t index)
{
	const struct cw_verdict *v = index ? intern_bytes(set->verdicts_in, index, NULL) : NULL;

	/* A record that a dropped plan let go still stands in the image. */
	return v ? *v : set->verdicts[index];
}

static void outcomes(const struct policy_set *set, struct policy_judgement *j)
{
	uint32_t mode = CW_WORD_MODE(j->word), always;

	always = j->v.flags & CW_V_ALWAYS;
	j->outcome = (enum cw_outcome)cw_outcome_of(mode, j->v.action, j->v.tier, j->v.flags);
	if (j->v.flags & CW_V_ADV)
		always = set->enforce_always & 1u << j->v.adv_tier ? CW_V_ALWAYS : 0;
	j->adv_outcome = (enum cw_outcome)cw_outcome_of(mode, j->v.adv_action, j->v.adv_tier, always);
	if (!CW_WORD_GEN(j->word))
		j->outcome = j->adv_outcome = CW_OUT_NONE;
}

int policy_set_verdict(const struct policy_set *set, uint32_t index, struct cw_verdict *ret)
{
	if (index >= set->lim.verdicts || (index && !set->verdicts[index].action))
		return -ENOENT;
	*ret = set->verdicts[index];
	return 0;
}

int policy_set_judge(const struct policy_set *set, uint32_t group, enum cw_side side, uint32_t eid,
		     enum cw_realm realm, uint32_t axis, struct policy_judgement *ret)
{
	struct policy_judgement j = {};
	struct cw_judgement raw;

	if (cw_eval(set, group, side, eid, realm, axis, &raw) || raw.verdict >= set->lim.verdicts)
		return -EINVAL;
	j.word = raw.word;
	j.verdict = raw.verdict;
	j.v = set->verdicts[raw.verdict];
	outcomes(set, &j);
	*ret = j;
	return 0;
}

static struct policy_judgement model_judge(const struct policy_set *set, const struct group *g, enum cw_side s,
					   uint32_t ix, uint32_t realm, uint32_t axis)
{
	struct policy_judgement j = {};
	uint32_t index = g->number * 2 + (uint32_t)s, row = side_row(&g->side[s], ix, realm);

	j.word = CW_WORD(g->number && set->gen[index] ? set->gen[index] : 1, g->cfg.mode, g->cfg.quar, 0);
	j.verdict = row ? row_find(set, row, axis) : 0;
	j.v = record(set, j.verdict);
	outcomes(set, &j);
	return j;
}

int policy_plan_judge(const struct policy_plan *plan, uint32_t group, enum cw_side side, uint32_t eid,
		      enum cw_realm realm, uint32_t axis, struct policy_judgement *ret)
{
	const struct policy_set *set = plan->set;
	const struct group *g = group < set->lim.groups ? set->group_by_number[group] : NULL;

	if (!g)
		return -ENOENT;
	*ret = model_judge(set, g, side, eid_slot(set, eid), realm, axis);
	return 0;
}

/* ---- addresses --------------------------------------------------------------------------------------------- */

static const struct netrec *net_of(const struct policy_set *set, const struct prefix *p)
{
	unsigned char key[18];

	memcpy(key, p->addr.b, 16);
	key[16] = p->plen;
	key[17] = p->v6 != 0;
	return htab_get(set->nets, key, sizeof(key));
}

int policy_set_addr(const struct policy_set *set, uint32_t zone, const struct addr *a, struct cw_addr *ret)
{
	const struct addrrec *rec = zone ? NULL : htab_get(set->addrs, a->b, 16);
	struct prefix p = { .v6 = !addr_is_v4(a), .addr = *a };
	int top = p.v6 ? 128 : 32, bits = p.v6 ? 0 : 96;

	if (zone)
		return -ENOENT;
	if (rec && rec->pub_set) {
		*ret = rec->pub;
		return 0;
	}
	/* Published prefixes may differ from the universe while a plan is outstanding: look them up. */
	for (int len = top; len >= 0; len--) {
		const struct netrec *n;

		if (len < top)
			p.addr.b[(bits + len) / 8] &= (uint8_t)(0xff00 >> (bits + len) % 8);
		p.plen = (uint8_t)len;
		n = net_of(set, &p);
		if (n && n->pub_set) {
			*ret = n->pub;
			return 0;
		}
	}
	return -ENOENT;
}

int policy_plan_addr(const struct policy_plan *plan, uint32_t zone, const struct addr *a, struct cw_addr *ret)
{
	const struct policy_set *set = plan->set;
	const struct addrrec *rec = zone ? NULL : htab_get(set->addrs, a->b, 16);
	const struct holder *h = rec ? addr_winner(set, rec) : NULL;
	const struct netrec *n;

	if (zone)
		return -ENOENT;
	if (h) {
		*ret = addr_value(set, h, h->eid, h->group);
		return 0;
	}
	n = net_of(set, &universe_match(set->uni, a)->p);
	if (!n)
		return -ENOENT;
	*ret = net_value(set, n, n->eid);
	return 0;
}

/* ---- why ------------------------------------------------------------------------------------------------------ */

static void steps_of(struct policy_set *set, const struct group *g, enum cw_side s, uint32_t ix, uint32_t axis,
		     struct policy_step step[CW_TIER_COUNT])
{
	const struct side *sd = &g->side[s];
	const struct eid_ent *peer = &set->eids.v[ix];
	uint32_t npset = s == CW_EGRESS ? peer->key.npset : set->eids.v[g->eid].key.npset;
	uint32_t left = CW_TIER_NONE;
	bool decided = false;

	eid_mark_sels(set, ix);
	for (uint32_t i = 0; i < sd->nrules && !decided; i++) {
		const struct ir *r = sd->rules[i];
		struct policy_step *st = &step[r->tier];
		static const uint8_t action[] = { [IR_BLOCK] = CW_ACT_BLOCK, [IR_ALERT] = CW_ACT_ALERT,
						  [IR_ALLOW] = CW_ACT_ALLOW };

		if (r->advisory || r->tier == left)
			continue;
		if (st->said == SAID_NOT_ASKED)
			st->said = SAID_NO_MATCH;
		if (!ir_hits(set, r, peer) || !ir_covers(set, r, npset, axis))
			continue;
		st->rule = r->rule;
		if (r->effect == IR_PASS) {
			st->said = SAID_PASS;
			left = r->tier;
			continue;
		}
		decided = true;
		st->said = r->effect == IR_ISOLATE ? SAID_ISOLATED : SAID_ACTION;
		st->action = r->effect == IR_ISOLATE ? CW_ACT_BLOCK : action[r->effect];
		for (uint32_t t = CW_TIER_QUARANTINE; t < r->tier; t++)
			if (step[t].said == SAID_NOT_ASKED)
				step[t].said = SAID_NONE;
	}
	if (decided)
		return;
	for (uint32_t t = CW_TIER_QUARANTINE; t < CW_TIER_DEFAULT; t++)
		if (step[t].said == SAID_NOT_ASKED)
			step[t].said = SAID_NONE;
	step[CW_TIER_DEFAULT].said = SAID_ACTION;
	step[CW_TIER_DEFAULT].action = g->cfg.dflt;
}

static enum cw_reason reason_of(const struct policy_judgement *j, uint32_t peer_realm)
{
	if (j->outcome != CW_OUT_DROP && j->outcome != CW_OUT_WOULD_BLOCK && j->outcome != CW_OUT_ALERT)
		return CW_R_NONE;
	switch (j->v.tier) {
	case CW_TIER_QUARANTINE:
		return CW_R_QUARANTINE;
	case CW_TIER_DEFAULT:
		return peer_realm == CW_REALM_UNKNOWN ? CW_R_IDENTITY_LATE : CW_R_DEFAULT;
	default:
		return j->v.flags & CW_V_ISOLATED ? CW_R_ISOLATED : CW_R_RULE;
	}
}

size_t policy_set_isolating(const struct policy_set *set, uint32_t group, enum cw_side side, uint32_t *ids, size_t max)
{
	const struct group *g = group < set->lim.groups ? set->group_by_number[group] : NULL;
	size_t n = 0;

	for (uint32_t i = 0; g && i < g->side[side].nrules; i++) {
		const struct ir *r = g->side[side].rules[i];

		if (r->effect != IR_ISOLATE || r->advisory)
			continue;
		if (n < max)
			ids[n] = r->rule;
		n++;
	}
	return n;
}

/* ---- query ----------------------------------------------------------------------------------------------------- */

static bool family_ok(const struct holder *h, int v6)
{
	return addr_is_zero(&h->addr) || v6 < 0 || addr_is_v4(&h->addr) == !v6;
}

/* v6: -1 any. */
int judge_end(const struct policy_set *set, bool next, const struct policy_end *e, int v6, struct end *ret)
{
	struct end x = { .names = e->names, .nnames = e->nnames };

	if (!e->name) {
		struct policy_plan plan = { .set = (struct policy_set *)set };
		const struct addrrec *rec = htab_get(set->addrs, e->addr.b, 16);

		x.addr = e->addr;
		x.h = rec ? addr_winner(set, rec) : NULL;
		x.owner = x.h ? x.h->owner : NULL;
		*ret = x;
		return next ? policy_plan_addr(&plan, e->zone, &e->addr, &ret->means)
			    : policy_set_addr(set, e->zone, &e->addr, &ret->means);
	}
	x.owner = owner_find(set, e->ns, e->name, e->uid);
	if (!x.owner)
		return -ENOENT;
	for (size_t i = 0; i < x.owner->nh; i++) {
		const struct holder *h = &x.owner->h[i];

		if (addr_is_zero(&e->addr) ? !family_ok(h, v6) : addr_cmp(&h->addr, &e->addr) != 0)
			continue;
		if (!x.h || (addr_is_v4(&h->addr) && !addr_is_v4(&x.h->addr)))
			x.h = h;
	}
	if (!x.h)
		return addr_is_zero(&e->addr) ? -EAFNOSUPPORT : -ENOENT;
	x.addr = x.h->addr;
	x.means = addr_value(set, x.h, x.h->eid, x.h->group);
	if (!next && !addr_is_zero(&x.addr)) {
		const struct addrrec *rec = htab_get(set->addrs, x.addr.b, 16);

		if (rec && rec->pub_set && rec->pub.wl == x.owner->wl)
			x.means = rec->pub;
	}
	*ret = x;
	return 0;
}

/* The best that its names make of an address of the world, as the data path does it. */
static int judge_names(const struct policy_set *set, bool next, const struct group *g, const struct end *peer,
		       uint32_t axis, uint32_t *ix, struct policy_side_answer *ret)
{
	uint32_t base = *ix;

	for (size_t i = 0; i < peer->nnames; i++) {
		char folded[CW_DNS_NAME_MAX + 1];
		struct policy_judgement j;
		const struct cross *x = NULL;
		uint32_t cls, at = NIL;

		if (name_fold(peer->names[i], false, folded))
			continue;
		cls = name_class_of(set, folded, next);
		x = cls == NIL ? NULL : cross_find(set, base, cls);
		if (x)
			at = next ? x->eid : eid_slot(set, x->pub);
		if (at == NIL)
			continue;
		if (next)
			j = model_judge(set, g, CW_EGRESS, at, CW_REALM_WORLD, axis);
		else if (policy_set_judge(set, g->number, CW_EGRESS, x->pub, CW_REALM_WORLD, axis, &j))
			return -EINVAL;
		if (!cw_name_prefers(&j.v, &ret->j.v))
			continue;
		ret->j = j;
		ret->name = peer->names[i];
		*ix = at;
	}
	return 0;
}

int judge_side(struct policy_set *set, bool next, const struct end *self, const struct end *peer,
	       enum cw_side s, uint32_t axis, struct policy_side_answer *ret)
{
	uint32_t number = self->means.group, ix = eid_slot(set, peer->means.eid);
	const struct group *g = number ? set->group_by_number[number] : NULL;
	int r;

	if (!g || ix == NIL)
		return 0;
	ret->judged = true;
	ret->group = number;
	ret->peer_eid = peer->means.eid;
	ret->peer_realm = peer->means.realm;
	if (next) {
		ret->j = model_judge(set, g, s, ix, peer->means.realm, axis);
	} else {
		r = policy_set_judge(set, number, s, peer->means.eid, (enum cw_realm)peer->means.realm, axis, &ret->j);
		if (r)
			return r;
	}
	if (s == CW_EGRESS && peer->nnames && peer->means.realm == CW_REALM_WORLD) {
		r = judge_names(set, next, g, peer, axis, &ix, ret);
		if (r)
			return r;
	}
	ret->mode = (enum cw_mode)CW_WORD_MODE(ret->j.word);
	ret->quarantined = CW_WORD_QUAR(ret->j.word);
	ret->reason = reason_of(&ret->j, peer->means.realm);
	steps_of(set, g, s, ix, axis, ret->step);
	return 0;
}

static int query(struct policy_set *set, bool next, const struct policy_end *src, const struct policy_end *dst,
		 uint32_t axis, struct policy_answer *ret)
{
	struct svc_found found = {};
	struct policy_answer a = {};
	struct policy_end at;
	struct end s, d;
	int r, v6 = -1;

	if (axis >= CW_AXIS_END)
		return -ERANGE;
	if (dst->nnames > CW_FQDN_NAMES)
		return -E2BIG;
	if (dst->svc) {
		r = judge_end(set, next, src, addr_is_zero(&dst->addr) ? -1 : !addr_is_v4(&dst->addr), &s);
		/* A workload with both families leaves the choice to the service. */
		if (!r && !addr_is_zero(&s.addr) && (!src->name || !addr_is_zero(&src->addr) || !addr_is_v4(&s.addr)))
			v6 = !addr_is_v4(&s.addr);
		at = (struct policy_end){ .zone = dst->zone };
		r = r ?: service_end(set, dst, v6, axis, &at.addr, &found);
		if (r)
			return r;
		dst = &at;
	}
	/* Whoever names an address sets the family; else IPv4 where both have it. */
	if (!addr_is_zero(&dst->addr))
		v6 = !addr_is_v4(&dst->addr);
	else if (!addr_is_zero(&src->addr))
		v6 = !addr_is_v4(&src->addr);
	else if (found.svc)
		v6 = found.v6;
	r = judge_end(set, next, src, v6, &s);
	if (!r && v6 < 0 && !addr_is_zero(&s.addr))
		v6 = !addr_is_v4(&s.addr);
	if (!r && found.svc)
		d = (struct end){};
	else
		r = r ?: judge_end(set, next, dst, v6, &d);
	if (r == -EAFNOSUPPORT && addr_is_zero(&src->addr) && addr_is_zero(&dst->addr) && v6 == 0) {
		r = judge_end(set, next, src, 1, &s);
		r = r ?: judge_end(set, next, dst, 1, &d);
	}
	if (r)
		return r;
	if (!addr_is_zero(&s.addr) && !addr_is_zero(&d.addr) && addr_is_v4(&s.addr) != addr_is_v4(&d.addr))
		return -EAFNOSUPPORT;
	a.src = s.addr;
	a.dst = d.addr;
	a.src_meaning = s.means;
	a.dst_meaning = d.means;
	if (!found.svc && !dst->name)
		service_lookup(set, next ? set->plan : NULL, &d.addr, d.means.realm, axis, &found);
	if (found.svc) {
		r = service_judge(set, next, &s, &found, axis, &a, &d);
	} else {
		r = judge_side(set, next, &s, &d, CW_EGRESS, axis, &a.side[CW_EGRESS]);
		r = r ?: judge_side(set, next, &d, &s, CW_INGRESS, axis, &a.side[CW_INGRESS]);
	}
	if (r)
		return r;
	/* The quarantine stands above what is allowed whatever the tiers say. */
	if (!a.side[0].quarantined && !a.side[1].quarantined) {
		if (!found.svc && s.owner && s.owner == d.owner && !s.owner->node)
			a.builtin = CW_R_SELF;
		else if (s.means.realm == CW_REALM_HOST && d.means.group && set->local_node == CW_CTL_LOCAL_NODE_ALLOW)
			a.builtin = CW_R_LOCAL_NODE;
	}
	a.passes = a.builtin || (a.side[0].j.outcome != CW_OUT_DROP && a.side[1].j.outcome != CW_OUT_DROP);
	*ret = a;
	return 0;
}

int policy_set_query(const struct policy_set *set, const struct policy_end *src, const struct policy_end *dst,
		     uint32_t axis, struct policy_answer *ret)
{
	/* The marks on selectors are scratch: what is asked about does not change. */
	return query((struct policy_set *)set, false, src, dst, axis, ret);
}

int policy_plan_query(const struct policy_plan *plan, const struct policy_end *src, const struct policy_end *dst,
		      uint32_t axis, struct policy_answer *ret)
{
	return query(plan->set, true, src, dst, axis, ret);
}
