/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules that match a peer say on the whole axis: the tiers, resolved. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/set.h"

/* tiers: bit per tier that is asked, 0 = all. The quarantine is always asked. */
struct half side_decide(struct ir *const *rules, const uint32_t *chain, const uint64_t *act, size_t nwords,
			bool adv, uint32_t tiers, enum cw_action dflt)
{
	const struct ir *isolating = NULL;
	uint32_t left = CW_TIER_NONE; /* tier that a Pass has left */

	for (size_t w = 0; w < nwords; w++) {
		for (uint64_t bits = act[w]; bits; bits &= bits - 1) {
			const struct ir *r = rules[chain[w * 64 + (size_t)__builtin_ctzll(bits)]];
			static const uint8_t action[] = { [IR_BLOCK] = CW_ACT_BLOCK, [IR_ALERT] = CW_ACT_ALERT,
							  [IR_ALLOW] = CW_ACT_ALLOW };

			if (isolating && r->tier != isolating->tier)
				goto isolated;
			if ((r->advisory && !adv) || r->tier == left ||
			    (tiers && r->tier != CW_TIER_QUARANTINE && !(tiers & 1u << r->tier)))
				continue;
			if (isolating) /* several isolate: no single rule decided */
				return (struct half){ CW_ACT_BLOCK, r->tier, CW_V_ISOLATED, 0 };
			if (r->effect == IR_PASS)
				left = r->tier;
			else if (r->effect == IR_ISOLATE)
				isolating = r;
			else
				return (struct half){ action[r->effect], r->tier,
						      r->effect == IR_BLOCK && r->reject ? CW_V_REJECT : 0, r->rule };
		}
	}
	if (!isolating)
		return (struct half){ dflt, CW_TIER_DEFAULT, 0, 0 };
isolated:
	return (struct half){ CW_ACT_BLOCK, isolating->tier, CW_V_ISOLATED, isolating->rule };
}

struct port_list { const uint64_t *v; size_t n; };

static struct port_list ports_of(const struct policy_set *set, uint32_t npset)
{
	struct port_list l = {};
	size_t len = 0;

	if (npset)
		l.v = intern_bytes(set->npsets, npset, &len);
	l.n = len / sizeof(uint64_t);
	return l;
}

static bool port_named(const struct ir *ir, uint64_t port)
{
	for (uint32_t i = 0; i < ir->nnamed; i++)
		if (ir->named[i].name == port >> 32 && ir->named[i].proto == (uint8_t)(port >> 16))
			return true;
	return false;
}

bool ir_covers(const struct policy_set *set, const struct ir *ir, uint32_t npset, uint32_t axis)
{
	struct port_list l = ports_of(set, npset);

	for (uint32_t i = 0; i < ir->nspans; i++)
		if (axis >= ir->spans[i].lo && axis <= ir->spans[i].hi)
			return true;
	for (size_t i = 0; i < l.n && ir->nnamed; i++)
		if ((uint32_t)(l.v[i] & 0xffffff) == axis && port_named(ir, l.v[i]))
			return true;
	return false;
}

struct edge { uint32_t at, pos; int32_t by; };
struct edges { struct edge *v; size_t n, cap; };

static int edge_cmp(const void *x, const void *y)
{
	const struct edge *a = x, *b = y;

	return (a->at > b->at) - (a->at < b->at);
}

static int edges_add(struct edges *e, uint32_t pos, uint32_t lo, uint32_t hi)
{
	if (vec_push(e, ((struct edge){ lo, pos, 1 })))
		return -ENOMEM;
	return hi + 1 < CW_AXIS_END ? vec_push(e, ((struct edge){ hi + 1, pos, -1 })) : 0;
}

static struct cw_verdict record_of(const struct policy_set *set, const struct side *sd, const struct gcfg *cfg,
				   const uint32_t *chain, const uint64_t *act, size_t nw, bool has_adv)
{
	struct half e = side_decide(sd->rules, chain, act, nw, false, 0, cfg->dflt), a = e;
	struct cw_verdict v = {};

	if (has_adv)
		a = side_decide(sd->rules, chain, act, nw, true, 0, cfg->dflt);
	if (cfg->always) {
		struct half x = side_decide(sd->rules, chain, act, nw, false, set->enforce_always, CW_ACT_ALLOW);
		struct half y = has_adv ? side_decide(sd->rules, chain, act, nw, true, set->enforce_always,
						      CW_ACT_ALLOW) : x;

		if (x.action == CW_ACT_BLOCK && x.tier != CW_TIER_QUARANTINE) {
			e = x;
			e.flags |= CW_V_ALWAYS;
		}
		if (y.action == CW_ACT_BLOCK && y.tier != CW_TIER_QUARANTINE)
			a = y;
	}
	v.rule = e.rule;
	v.action = e.action;
	v.tier = e.tier;
	v.flags = e.flags;
	v.adv_action = a.action;
	v.adv_tier = a.tier;
	v.adv_rule = a.rule;
	if (a.action != e.action || a.tier != e.tier || a.rule != e.rule)
		v.flags |= CW_V_ADV;
	return v;
}

int row_make(struct policy_set *set, const struct group *g, const struct side *sd, enum cw_side s,
		    const uint32_t *chain, size_t n, uint32_t npset, uint32_t *ret)
{
	size_t nw = (n + 63) / 64;
	auto_free uint64_t *act = calloc(nw + 1, sizeof(*act));
	auto_free uint16_t *depth = calloc(n + 1, sizeof(*depth));
	struct port_list ports = ports_of(set, s == CW_EGRESS ? npset : set->eids.v[g->eid].key.npset);
	struct edges e = {};
	struct { uint64_t *v; size_t n, cap; } row = {};
	bool has_adv = false;
	uint32_t at = 0, verdict, last = 0;
	int r = act && depth ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !r; i++) {
		const struct ir *ir = sd->rules[chain[i]];

		has_adv |= ir->advisory;
		for (uint32_t k = 0; k < ir->nspans && !r; k++)
			r = edges_add(&e, (uint32_t)i, ir->spans[k].lo, ir->spans[k].hi);
		for (size_t k = 0; k < ports.n && ir->nnamed && !r; k++) {
			uint32_t x = (uint32_t)(ports.v[k] & 0xffffff);

			if (port_named(ir, ports.v[k]))
				r = edges_add(&e, (uint32_t)i, x, x);
		}
	}
	if (e.n)
		qsort(e.v, e.n, sizeof(*e.v), edge_cmp);
	for (size_t i = 0; !r;) {
		struct cw_verdict v;

		for (; i < e.n && e.v[i].at == at; i++) {
			uint32_t p = e.v[i].pos;

			depth[p] = (uint16_t)(depth[p] + e.v[i].by);
			if (depth[p])
				act[p / 64] |= 1ull << p % 64;
			else
				act[p / 64] &= ~(1ull << p % 64);
		}
		v = record_of(set, sd, &g->cfg, chain, act, nw, has_adv);
		r = verdict_get(set, &v, &verdict);
		if (r)
			break;
		if (row.n && verdict == last) {
			if (verdict)
				intern_unref(set->verdicts_in, verdict);
		} else if (row.n >= CW_ROW_MAX) {
			if (verdict)
				intern_unref(set->verdicts_in, verdict);
			r = -ENOSPC;
			set->nospace = "intervals of one row";
			set->nospace_rule = n ? sd->rules[chain[0]]->rule : 0;
			break;
		} else {
			r = vec_push(&row, (uint64_t)at << 32 | verdict);
			last = verdict;
		}
		if (i >= e.n)
			break;
		at = e.v[i].at;
	}
	if (r == -ENOSPC && !set->nospace) {
		set->nospace = "verdict records";
		set->nospace_rule = n ? sd->rules[chain[0]]->rule : 0;
	}
	if (r) {
		for (size_t i = 0; i < row.n; i++)
			if ((uint32_t)row.v[i])
				intern_unref(set->verdicts_in, (uint32_t)row.v[i]);
	} else {
		r = row_get(set, row.v, row.n, ret);
	}
	vec_done(&e);
	vec_done(&row);
	return r;
}
