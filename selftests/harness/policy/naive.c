/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/harness/policy/naive.h"

#include <string.h>
#include <strings.h>

static bool eq(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_set(const char *s)
{
	return s != NULL && *s != '\0';
}

static bool in_net(const struct addr *a, uint8_t b0, uint8_t mask)
{
	return (a->b[addr_is_v4(a) ? 12 : 0] & mask) == b0;
}

struct naive_who naive_who(const struct policy_state *st, const struct addr *a)
{
	struct naive_who who = { .realm = CW_REALM_WORLD };

	for (size_t i = 0; i < st->nnodes; i++)
		for (size_t k = 0; k < st->nodes[i].naddrs; k++)
			if (memcmp(&st->nodes[i].addrs[k], a, 16) == 0 && !who.node) {
				who.node = &st->nodes[i];
				who.realm = eq(st->nodes[i].name, st->node) && is_set(st->node) ? CW_REALM_HOST
											       : CW_REALM_NODE;
			}
	if (who.node)
		return who;
	for (size_t i = 0; i < st->nworkloads; i++)
		for (size_t k = 0; k < st->workloads[i].naddrs; k++)
			if (memcmp(&st->workloads[i].addrs[k], a, 16) == 0) {
				who.w = &st->workloads[i];
				who.realm = CW_REALM_POD;
				return who;
			}
	/* What nodes say of themselves comes last; of several the one asked, then the first. */
	for (size_t i = 0; i < st->nnodes; i++)
		for (size_t k = 0; k < st->nodes[i].ntold; k++) {
			bool host = eq(st->nodes[i].name, st->node) && is_set(st->node);

			if (memcmp(&st->nodes[i].told[k], a, 16) == 0 && (!who.node || host)) {
				who.node = &st->nodes[i];
				who.realm = host ? CW_REALM_HOST : CW_REALM_NODE;
			}
		}
	if (who.node)
		return who;
	int best = -1;
	for (size_t i = 0; i < st->ncluster_cidrs; i++)
		if (prefix_has(&st->cluster_cidrs[i], a) && st->cluster_cidrs[i].plen > best) {
			best = st->cluster_cidrs[i].plen;
			who.realm = CW_REALM_UNKNOWN;
		}
	if (addr_is_v4(a)) {
		if (in_net(a, 0xe0, 0xf0) && best <= 4)
			who.realm = CW_REALM_MULTICAST;
		if (memcmp(a->b + 12, "\xff\xff\xff\xff", 4) == 0)
			who.realm = CW_REALM_MULTICAST;
	} else {
		if (in_net(a, 0xff, 0xff) && best <= 8)
			who.realm = CW_REALM_MULTICAST;
		if (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80 && best <= 10)
			who.realm = CW_REALM_UNKNOWN;
	}
	return who;
}

static const struct labels *ns_labels(const struct policy_state *st, const char *ns, struct labels *own)
{
	static const struct labels none;
	const struct labels *l = &none;

	for (size_t i = 0; i < st->nnamespaces; i++)
		if (eq(st->namespaces[i].name, ns))
			l = &st->namespaces[i].labels;
	*own = (struct labels){};
	if (labels_copy(l, own) == 0 && !labels_get(own, "kubernetes.io/metadata.name") && is_set(ns))
		(void)labels_set(own, "kubernetes.io/metadata.name", ns);
	return own;
}

static bool match_workload(const struct policy_state *st, const struct selector *s, const char *ns,
			   const struct workload *w)
{
	struct labels nl;
	bool ok = true;

	if (is_set(ns) && !eq(ns, w->ns))
		return false;
	if (s->ns_labels.set) {
		ok = label_selector_matches(&s->ns_labels, ns_labels(st, w->ns, &nl));
		labels_done(&nl);
	}
	ok = ok && (!is_set(s->controller_kind) ||
		    strcasecmp(s->controller_kind, w->controller_kind ? w->controller_kind : "") == 0);
	ok = ok && (!is_set(s->controller_name) || eq(s->controller_name, w->controller_name));
	ok = ok && (!is_set(s->service_account) || eq(s->service_account, w->service_account));
	ok = ok && (!is_set(s->pod) || eq(s->pod, w->name));
	ok = ok && (!is_set(s->pod_uid) || eq(s->pod_uid, w->uid));
	return ok && (!s->labels.set || label_selector_matches(&s->labels, &w->labels));
}

struct known { const char *const *v; size_t n; };

/* Letters alike whatever their case; a dot at the end of the pattern says nothing. */
static bool name_matches(const char *pattern, const char *name)
{
	size_t p = strlen(pattern), n = strlen(name);

	if (p && pattern[p - 1] == '.')
		p--;
	if (p > 2 && pattern[0] == '*')
		return n > p - 1 && !strncasecmp(name + n - (p - 1), pattern + 1, p - 1);
	return p == n && !strncasecmp(pattern, name, n);
}

static bool match(const struct policy_state *st, const struct selector *s, const char *rule_ns,
		  const struct naive_who *who, const struct addr *a, const struct known *names)
{
	switch (s->kind) {
	case SEL_ANY:
		return who->realm != CW_REALM_UNKNOWN;
	case SEL_WORKLOAD:
		return who->w && match_workload(st, s, is_set(s->ns) ? s->ns : s->ns_labels.set ? NULL : rule_ns, who->w);
	case SEL_CIDR:
		if (!a || !prefix_has(&s->cidr, a))
			return false;
		for (size_t i = 0; i < s->nexcept; i++)
			if (prefix_has(&s->except[i], a))
				return false;
		return true;
	case SEL_NODES:
		return who->node && (!s->labels.set || label_selector_matches(&s->labels, &who->node->labels));
	case SEL_RESERVED:
		return (s->reserved == CW_ID_HOST && who->realm == CW_REALM_HOST) ||
		       (s->reserved == CW_ID_REMOTE_NODE && who->realm == CW_REALM_NODE) ||
		       (s->reserved == CW_ID_WORLD && who->realm == CW_REALM_WORLD) ||
		       (s->reserved == CW_ID_UNKNOWN && who->realm == CW_REALM_UNKNOWN) ||
		       (s->reserved == CW_ID_MULTICAST && who->realm == CW_REALM_MULTICAST);
	case SEL_FQDN:
		for (size_t i = 0; names && i < names->n && who->realm == CW_REALM_WORLD; i++)
			if (name_matches(s->fqdn, names->v[i]))
				return true;
		return false;
	default:
		return false;
	}
}

/* `named`: whose named ports count: the peer's at egress, the subject's own at ingress. */
static bool port_match(const struct port_spec *p, size_t n, const struct workload *named, uint32_t axis)
{
	uint32_t proto = axis >> 16, port = axis & 0xffff;

	if (!n)
		return true;
	for (size_t i = 0; i < n; i++) {
		switch (p[i].kind) {
		case PORT_ANY:
			return true;
		case PORT_PROTO:
			if (proto == p[i].proto)
				return true;
			break;
		case PORT_RANGE:
			if (proto == p[i].proto && port >= p[i].from && port <= p[i].to)
				return true;
			break;
		case PORT_ICMP:
			if (proto == p[i].proto && (p[i].icmp_type < 0 || (int)(port >> 8) == p[i].icmp_type) &&
			    (p[i].icmp_type < 0 || p[i].icmp_code < 0 || (int)(port & 0xff) == p[i].icmp_code))
				return true;
			break;
		case PORT_NAMED:
			for (size_t k = 0; named && k < named->nports; k++)
				if (eq(named->ports[k].name, p[i].name) && named->ports[k].proto == p[i].proto &&
				    p[i].proto == proto && named->ports[k].port == port)
					return true;
			break;
		}
	}
	return false;
}

/* One rule that speaks here, and whether it matches. */
struct said {
	enum cw_tier tier;
	int32_t priority;
	enum ir_effect effect;
	uint32_t rule;
	bool advisory, reject, matches;
};

struct ctx {
	const struct policy_state *st;
	const struct workload *subject;
	const struct addr *own, *peer;
	struct naive_who who, me;
	enum cw_side side;
	struct known names;
	uint32_t axis;
	struct said said[512];
	size_t n;
};

static bool any(const struct ctx *c, const struct selector *v, size_t n, const char *ns, bool subject)
{
	for (size_t i = 0; i < n; i++)
		if (match(c->st, &v[i], ns, subject ? &c->me : &c->who, subject ? c->own : c->peer,
			  subject || c->side != CW_EGRESS ? NULL : &c->names))
			return true;
	return false;
}

static void hear(struct ctx *c, struct said s, const char *ns, const struct selector *subj, size_t nsubj,
		 const struct selector *peer, size_t npeer, bool everyone, const struct port_spec *ports, size_t nports)
{
	if (c->n == sizeof(c->said) / sizeof(c->said[0]) || (is_set(ns) && !eq(ns, c->subject->ns)) ||
	    !any(c, subj, nsubj, ns, true))
		return;
	s.matches = (everyone || any(c, peer, npeer, ns, false)) &&
		    port_match(ports, nports, c->side == CW_EGRESS ? c->who.w : c->subject, c->axis);
	c->said[c->n++] = s;
}

/* Of all in a tier that match: block > alert > allow; the smallest rule number names it. */
static bool strongest(const struct ctx *c, enum cw_tier tier, bool with_priority, int32_t priority, bool adv,
		      const struct said **ret)
{
	*ret = NULL;
	for (int e = IR_BLOCK; e <= IR_PASS; e++)
		for (size_t i = 0; i < c->n; i++) {
			const struct said *s = &c->said[i];

			if (s->tier != tier || (int)s->effect != e || !s->matches || (s->advisory && !adv) ||
			    (with_priority && s->priority != priority))
				continue;
			if (!*ret || (s->effect == (*ret)->effect && s->rule < (*ret)->rule))
				*ret = s;
		}
	return *ret != NULL;
}

struct verdict { enum cw_action action; enum cw_tier tier; uint32_t rule; uint8_t flags; };

static struct verdict decided(const struct said *s)
{
	static const enum cw_action a[] = { CW_ACT_BLOCK, CW_ACT_ALERT, CW_ACT_ALLOW };

	return (struct verdict){ a[s->effect], s->tier, s->rule,
				 s->effect == IR_BLOCK && s->reject ? CW_V_REJECT : 0 };
}

/* A tier with priorities: the smallest priority that has a match decides; Pass leaves the tier. */
static bool by_priority(const struct ctx *c, enum cw_tier tier, bool adv, struct verdict *ret)
{
	int64_t last = INT64_MIN;

	for (;;) {
		int64_t next = INT64_MAX;
		const struct said *s;

		for (size_t i = 0; i < c->n; i++)
			if (c->said[i].tier == tier && c->said[i].matches && (adv || !c->said[i].advisory) &&
			    c->said[i].priority > last && c->said[i].priority < next)
				next = c->said[i].priority;
		if (next == INT64_MAX)
			return false;
		if (strongest(c, tier, true, (int32_t)next, adv, &s)) {
			if (s->effect == IR_PASS)
				return false;
			*ret = decided(s);
			return true;
		}
		last = next;
	}
}

static struct verdict walk(const struct ctx *c, bool adv, uint32_t tiers, enum cw_action dflt)
{
	const struct said *s;
	struct verdict v;
	uint32_t isolating = 0, policy = 0;

	if ((tiers & 1u << CW_TIER_ADMIN) && by_priority(c, CW_TIER_ADMIN, adv, &v))
		return v;
	if ((tiers & 1u << CW_TIER_MANUAL) && strongest(c, CW_TIER_MANUAL, false, 0, adv, &s))
		return decided(s);
	if (tiers & 1u << CW_TIER_NETWORKPOLICY) {
		if (strongest(c, CW_TIER_NETWORKPOLICY, false, 0, adv, &s))
			return decided(s);
		for (size_t i = 0; i < c->n; i++)
			if (c->said[i].effect == IR_ISOLATE && (adv || !c->said[i].advisory)) {
				isolating++;
				policy = c->said[i].rule;
			}
		if (isolating)
			return (struct verdict){ CW_ACT_BLOCK, CW_TIER_NETWORKPOLICY, isolating == 1 ? policy : 0,
						 CW_V_ISOLATED };
	}
	if ((tiers & 1u << CW_TIER_LEARNED) && strongest(c, CW_TIER_LEARNED, false, 0, adv, &s))
		return decided(s);
	if ((tiers & 1u << CW_TIER_BASELINE) && by_priority(c, CW_TIER_BASELINE, adv, &v))
		return v;
	return (struct verdict){ dflt, CW_TIER_DEFAULT, 0, 0 };
}

void naive_judge(const struct policy_state *st, const struct ir_rule *more, size_t nmore,
		 const struct workload *subject, const struct addr *own, const struct addr *peer,
		 enum cw_side side, uint32_t axis, struct naive_verdict *ret)
{
	naive_judge_named(st, more, nmore, subject, own, peer, NULL, 0, side, axis, ret);
}

void naive_judge_named(const struct policy_state *st, const struct ir_rule *more, size_t nmore,
		       const struct workload *subject, const struct addr *own, const struct addr *peer,
		       const char *const *names, size_t nnames, enum cw_side side, uint32_t axis,
		       struct naive_verdict *ret)
{
	static const enum cw_tier tiers[] = { CW_TIER_MANUAL, CW_TIER_LEARNED, CW_TIER_NETWORKPOLICY,
					      CW_TIER_ADMIN, CW_TIER_BASELINE };
	struct ctx c = { .st = st, .subject = subject, .own = own, .peer = peer, .side = side, .axis = axis,
			 .names = { names, nnames },
			 .me = { .w = subject, .realm = CW_REALM_POD }, .who = naive_who(st, peer) };
	const struct quarantine *q = policy_state_quarantine(st, subject);
	struct verdict v, a;
	enum cw_action dflt;

	*ret = (struct naive_verdict){ .quarantined = q != NULL, .peer_realm = c.who.realm };
	policy_state_mode(st, subject, &ret->mode, &dflt, NULL);
	if (dflt != CW_ACT_ALLOW)
		dflt = CW_ACT_BLOCK;
	if (q) {
		bool except = false;

		for (size_t i = 0; i < q->nallow && !except; i++)
			except = prefix_has(&q->allow[i].cidr, peer) &&
				 port_match(q->allow[i].ports, q->allow[i].nports,
					    side == CW_EGRESS ? c.who.w : subject, axis);
		v = a = (struct verdict){ except ? CW_ACT_ALLOW : CW_ACT_BLOCK, CW_TIER_QUARANTINE, 0, 0 };
		goto out;
	}
	for (size_t i = 0; i < st->nrules; i++) {
		const struct rule *r = &st->rules[i];
		struct said s = { .tier = tiers[r->origin], .rule = r->id, .advisory = r->mode == CW_MODE_ALERT,
				  .reject = r->reject };

		if (!r->enabled)
			continue;
		s.effect = r->action == CW_ACT_BLOCK ? IR_BLOCK : r->action == CW_ACT_ALERT ? IR_ALERT : IR_ALLOW;
		if (side == CW_EGRESS)
			hear(&c, s, r->ns, r->from, r->nfrom, r->to, r->nto, false, r->ports, r->nports);
		else
			hear(&c, s, r->ns, r->to, r->nto, r->from, r->nfrom, false, r->ports, r->nports);
	}
	for (size_t i = 0; i < nmore; i++) {
		const struct ir_rule *r = &more[i];

		if (r->side == side)
			hear(&c, (struct said){ r->tier, r->priority, r->effect, r->rule, r->advisory, r->reject, false },
			     r->ns, r->subjects, r->nsubjects, r->peers, r->npeers,
			     r->everyone || r->effect == IR_ISOLATE, r->ports, r->nports);
	}
	v = walk(&c, false, ~0u, dflt);
	a = walk(&c, true, ~0u, dflt);
	if (st->enforce_always && (ret->mode == CW_MODE_LEARN || ret->mode == CW_MODE_ALERT)) {
		struct verdict x = walk(&c, false, st->enforce_always, CW_ACT_ALLOW);

		if (x.action == CW_ACT_BLOCK) {
			v = x;
			v.flags |= CW_V_ALWAYS;
		}
		x = walk(&c, true, st->enforce_always, CW_ACT_ALLOW);
		if (x.action == CW_ACT_BLOCK)
			a = x;
	}
out:
	ret->v = (struct cw_verdict){ .rule = v.rule, .action = v.action, .tier = v.tier, .flags = v.flags,
				      .adv_action = a.action, .adv_rule = a.rule, .adv_tier = a.tier };
	if (a.action != v.action || a.rule != v.rule || a.tier != v.tier)
		ret->v.flags |= CW_V_ADV;
}
