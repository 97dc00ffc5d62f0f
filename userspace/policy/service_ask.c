/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about service addresses: what the source is judged by, and what each backend says. */
#include <stdlib.h>
#include <string.h>

#include "policy/service.h"

static size_t port_of(const struct svc *s, uint32_t axis, bool node)
{
	size_t i = 0;

	while (i < s->s.nports && (s->s.ports[i].proto != axis >> 16 ||
				   (node ? s->s.ports[i].node_port : s->s.ports[i].port) != (uint16_t)axis))
		i++;
	return i;
}

static bool found_next(const struct policy_set *set, const struct policy_plan *plan, const struct cw_svc_key *k,
		       struct svc_found *ret)
{
	const struct svc_entry *e = htab_get(set->svc_entries, k, sizeof(*k));
	const struct svc *svc = e ? e->svc : NULL;
	const struct svc_block *b = e ? e->block : NULL;

	for (size_t i = 0; plan && i < plan->svc.n; i++)
		if (!memcmp(&plan->svc.v[i].key, k, sizeof(*k))) {
			svc = plan->svc.v[i].svc;
			b = plan->svc.v[i].block;
		}
	if (!svc || !b)
		return false;
	ret->svc = svc;
	ret->v6 = k->family == 6;
	ret->n = b->n;
	memcpy(ret->v, b->v, b->n * sizeof(*b->v));
	return true;
}

void service_lookup(const struct policy_set *set, const struct policy_plan *plan, const struct addr *a,
		    uint32_t realm, uint32_t axis, struct svc_found *ret)
{
	struct cw_svc_key k = svc_key(a, (uint8_t)(axis >> 16), (uint16_t)axis, !addr_is_v4(a));

	if (addr_is_zero(a) || realm == CW_REALM_POD || realm == CW_REALM_MULTICAST)
		return;
	if (found_next(set, plan, &k, ret)) {
		ret->port = port_of(ret->svc, axis, false);
		return;
	}
	if (realm != CW_REALM_HOST && realm != CW_REALM_NODE)
		return;
	memset(k.addr, 0, sizeof(k.addr));
	if (found_next(set, plan, &k, ret))
		ret->port = port_of(ret->svc, axis, true);
}

static bool serves(const struct svc *s, size_t port, bool v6)
{
	for (size_t i = 0; i < s->ends.n; i++)
		if (svc_end_serves(&s->ends.v[i], port, v6))
			return true;
	return false;
}

int service_end(const struct policy_set *set, const struct policy_end *e, int v6, uint32_t axis, struct addr *ret,
		struct svc_found *ret_headless)
{
	const struct svc *s = service_find(set, e->ns, e->svc);
	size_t port = s ? port_of(s, axis, false) : 0;
	bool family = false;

	if (!s)
		return -ENOENT;
	if (port == s->s.nports)
		return -ENXIO;
	for (int six = 0; six < 2; six++) {
		if ((v6 >= 0 && v6 != six) || (!addr_is_zero(&e->addr) && addr_is_v4(&e->addr) == six))
			continue;
		for (size_t i = 0; i < s->s.naddrs; i++) {
			if (addr_is_v4(&s->s.addrs[i]) == six || (!addr_is_zero(&e->addr) && addr_cmp(&e->addr, &s->s.addrs[i])))
				continue;
			family = true;
			if (!serves(s, port, six))
				continue;
			*ret = s->s.addrs[i];
			return 0;
		}
		if (s->s.naddrs || !serves(s, port, six))
			continue;
		*ret = (struct addr){};
		*ret_headless = (struct svc_found){ .svc = s, .port = port, .v6 = six };
		return svc_backends(set, s, port, six, ret_headless->v, &ret_headless->n);
	}
	return family || !s->s.naddrs ? -ENXIO : -EAFNOSUPPORT;
}

/* ---- both sides --------------------------------------------------------------------------------------- */

/* The worst of what stands behind; what only concerns others is left out for the workload itself. */
static int source_side(struct policy_set *set, bool next, const struct end *src, const struct svc_found *f,
		       uint8_t proto, struct policy_answer *a, uint32_t *ret_eid)
{
	struct policy_side_answer none = {};
	bool taken = false;

	for (uint32_t i = 0; i < f->n; i++) {
		const struct cw_backend *b = &f->v[i];
		struct end peer = { .means = { .eid = b->eid, .realm = b->realm } };
		struct policy_side_answer side = {};
		int r = judge_side(set, next, src, &peer, CW_EGRESS, CW_AXIS(proto, b->port), &side);

		if (r)
			return r;
		if (b->wl && b->wl == src->means.wl && !verdict_for_self(&side.j.v)) {
			none = side;
			continue;
		}
		if (taken && !verdict_worse(&side.j.v, &a->side[CW_EGRESS].j.v))
			continue;
		a->side[CW_EGRESS] = side;
		*ret_eid = b->eid;
		taken = true;
	}
	if (taken)
		return 0;
	/* Nobody but himself. */
	a->side[CW_EGRESS] = none;
	if (!none.quarantined)
		a->builtin = CW_R_SELF;
	return 0;
}

static bool admits(const struct policy_side_answer *side)
{
	return side->j.outcome != CW_OUT_DROP;
}

/* Is this backend the better one to tell of? */
static bool tells_more(const struct policy_side_answer *a, const struct policy_side_answer *b, bool a_worst,
		       bool b_worst)
{
	if (admits(a) != admits(b))
		return !admits(a);
	if (a_worst != b_worst)
		return a_worst;
	return verdict_worse(&a->j.v, &b->j.v);
}

int service_judge(struct policy_set *set, bool next, const struct end *src, const struct svc_found *f, uint32_t axis,
		  struct policy_answer *a, struct end *ret_backend)
{
	const struct svc *s = f->svc;
	uint8_t proto = (uint8_t)(axis >> 16);
	struct policy_via *via = &a->via;
	bool taken = false, worst = false, ready;
	uint32_t eid = 0;
	int r = source_side(set, next, src, f, proto, a, &eid);

	via->ns = s->s.ns;
	via->name = s->s.name;
	via->addr = a->dst;
	if (r || f->port >= s->s.nports)
		return r;
	ready = svc_any_ready(s, f->port, f->v6);
	for (size_t i = 0; i < s->ends.n; i++) {
		const struct svc_end *e = &s->ends.v[i];
		struct policy_side_answer side = {};
		struct policy_end at = { .addr = e->addr };
		struct end d;
		bool self, is_worst;

		if (!svc_end_serves(e, f->port, f->v6))
			continue;
		via->backends++;
		via->ready += e->ready;
		if ((ready && !e->ready) || judge_end(set, next, &at, -1, &d))
			continue;
		r = judge_side(set, next, &d, src, CW_INGRESS, CW_AXIS(proto, e->port[f->port]), &side);
		if (r)
			return r;
		self = src->owner && src->owner == d.owner && !side.quarantined;
		if (self)
			side.j.outcome = side.j.outcome == CW_OUT_NONE ? CW_OUT_NONE : CW_OUT_ALLOW;
		via->admits += admits(&side);
		is_worst = d.means.eid == eid;
		if (taken && !tells_more(&side, &a->side[CW_INGRESS], is_worst, worst))
			continue;
		taken = true;
		worst = is_worst;
		a->side[CW_INGRESS] = side;
		*ret_backend = d;
		via->pod_ns = d.owner && !d.owner->node ? d.owner->ns : NULL;
		via->pod = d.owner && !d.owner->node ? d.owner->name : NULL;
		via->pod_addr = d.addr;
		via->port = e->port[f->port];
	}
	return 0;
}

static int judge_service(struct policy_set *set, const struct policy_plan *plan, uint32_t group, uint32_t wl,
			 const struct addr *a, enum cw_realm realm, uint32_t axis, struct policy_judgement *ret)
{
	struct end src = { .means = { .group = group, .wl = wl } };
	struct policy_answer answer = {};
	struct svc_found f = {};
	uint32_t eid;
	int r;

	service_lookup(set, plan, a, realm, axis, &f);
	if (!f.svc)
		return -ENOENT;
	r = source_side(set, plan != NULL, &src, &f, (uint8_t)(axis >> 16), &answer, &eid);
	if (r)
		return r;
	*ret = answer.side[CW_EGRESS].j;
	return answer.builtin == CW_R_SELF;
}

int policy_plan_judge_service(const struct policy_plan *plan, uint32_t group, uint32_t wl, const struct addr *a,
			      enum cw_realm realm, uint32_t axis, struct policy_judgement *ret)
{
	return judge_service(plan->set, plan, group, wl, a, realm, axis, ret);
}

int policy_set_judge_service(const struct policy_set *set, uint32_t group, uint32_t wl, const struct addr *a,
			     enum cw_realm realm, uint32_t axis, struct policy_judgement *ret)
{
	/* The marks on selectors are scratch: what is asked about does not change. */
	return judge_service((struct policy_set *)set, NULL, group, wl, a, realm, axis, ret);
}

int policy_set_service(const struct policy_set *set, const struct addr *a, enum cw_realm realm, uint32_t axis,
		       struct policy_eid *ret)
{
	struct svc_found f = {};

	service_lookup(set, NULL, a, realm, axis, &f);
	return service_view(f.svc, ret) ? 0 : -ENOENT;
}
