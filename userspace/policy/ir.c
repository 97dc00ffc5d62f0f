/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ir.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* "rule shop/web-db, spec.from[2]"; only made when there is something to say. */
struct where { char s[512]; };

static const char *where(const struct rule *r, const char *field, long i, struct where *w)
{
	const char *ns = given(r->ns) ? r->ns : "", *slash = given(r->ns) ? "/" : "", *name = r->name ? r->name : "";

	if (!field)
		snprintf(w->s, sizeof(w->s), "rule %s%s%s", ns, slash, name);
	else if (i < 0)
		snprintf(w->s, sizeof(w->s), "rule %s%s%s, spec.%s", ns, slash, name, field);
	else
		snprintf(w->s, sizeof(w->s), "rule %s%s%s, spec.%s[%ld]", ns, slash, name, field, i);
	return w->s;
}

static int check_selectors(const struct rule *r, const char *field, const struct selector *v, size_t n,
			   struct fail_list *f)
{
	struct where w;
	int err = 0;

	if (!n)
		return fail_add(f, -EINVAL, "rule.empty-list", where(r, field, -1, &w), "at least one item",
				"write `- any: true` for everyone", "%s selects nothing", field);
	if (n > IR_ITEMS_MAX)
		return fail_add(f, -EINVAL, "rule.too-many-items", where(r, field, -1, &w), "at most 100000 items",
				"split the rule", "%zu items in %s", n, field);
	for (size_t i = 0; i < n; i++) {
		switch (v[i].kind) {
		case SEL_ANY:
		case SEL_WORKLOAD:
		case SEL_CIDR:
		case SEL_NODES:
			break;
		case SEL_RESERVED:
			if (v[i].reserved >= CW_ID_HOST && v[i].reserved <= CW_ID_MULTICAST)
				break;
			err = fail_add(f, -EINVAL, "rule.reserved", where(r, field, (long)i, &w),
				       "host, remote-node, world, unknown or multicast", NULL,
				       "no reserved identity %u", v[i].reserved);
			break;
		case SEL_SERVICE:
			if (!given(v[i].ns) || !given(v[i].service))
				err = fail_add(f, -EINVAL, "rule.service-name", where(r, field, (long)i, &w),
					       "namespace and service", NULL, "the service is not named in full");
			break;
		case SEL_FQDN:
			if (!strcmp(field, "from"))
				err = fail_add(f, -EINVAL, "rule.fqdn-from", where(r, field, (long)i, &w),
					       "cidr: the addresses it sends from", NULL,
					       "a name can only be a destination");
			else if (r->action == CW_ACT_BLOCK)
				err = fail_add(f, -EINVAL, "rule.fqdn-block", where(r, field, (long)i, &w),
					       "action allow or alert", NULL,
					       "a name cannot be blocked: its addresses are shared");
			else if (!ir_name_ok(&v[i]))
				err = fail_add(f, -EINVAL, "rule.fqdn", where(r, field, (long)i, &w),
					       "pay.example.com or *.example.com", NULL, "\"%s\" is no full host name",
					       v[i].fqdn ? v[i].fqdn : "");
			break;
		}
	}
	return err;
}

static int check_ports(const struct rule *r, struct fail_list *f)
{
	struct where w;
	int err = 0;

	if (r->nports > IR_PORTS_MAX)
		return fail_add(f, -EINVAL, "rule.too-many-items", where(r, "ports", -1, &w), "at most 10000 items",
				"split the rule", "%zu ports", r->nports);
	for (size_t i = 0; i < r->nports; i++) {
		const struct port_spec *p = &r->ports[i];

		if (p->kind == PORT_RANGE && p->from > p->to)
			err = fail_add(f, -EINVAL, "rule.port-range", where(r, "ports", (long)i, &w), "low-high", NULL,
				       "range %u-%u runs backwards", p->from, p->to);
		else if (p->kind == PORT_NAMED && !given(p->name))
			err = fail_add(f, -EINVAL, "rule.port-name", where(r, "ports", (long)i, &w), "a port name", NULL,
				       "the port name is empty");
		else if (p->kind == PORT_ICMP && (p->icmp_type > 255 || p->icmp_code > 255))
			err = fail_add(f, -EINVAL, "rule.icmp", where(r, "ports", (long)i, &w),
				       "type and code 0-255", NULL, "type %d, code %d", p->icmp_type, p->icmp_code);
	}
	return err;
}

int ir_from_rule(const struct rule *r, struct fail_list *f, struct ir_rule ret[2])
{
	static const enum cw_tier tiers[] = {
		[ORIGIN_MANUAL] = CW_TIER_MANUAL, [ORIGIN_LEARNED] = CW_TIER_LEARNED,
		[ORIGIN_NETWORKPOLICY] = CW_TIER_NETWORKPOLICY, [ORIGIN_ADMIN] = CW_TIER_ADMIN,
		[ORIGIN_BASELINE] = CW_TIER_BASELINE,
	};
	struct where w;
	struct ir_rule ir = { .rule = r->id, .reject = r->reject, .advisory = r->mode == CW_MODE_ALERT,
			      .ns = given(r->ns) ? r->ns : NULL, .ports = r->ports, .nports = r->nports };
	int err = 0, e;

	switch (r->action) {
	case CW_ACT_ALLOW:
		ir.effect = IR_ALLOW;
		break;
	case CW_ACT_ALERT:
		ir.effect = IR_ALERT;
		break;
	case CW_ACT_BLOCK:
		ir.effect = IR_BLOCK;
		break;
	default:
		err = fail_add(f, -EINVAL, "rule.action", where(r, NULL, -1, &w), "allow, alert or block", NULL,
			       "the rule has no action");
	}
	if ((size_t)r->origin >= sizeof(tiers) / sizeof(tiers[0]))
		return fail_add(f, -EINVAL, "rule.origin", where(r, NULL, -1, &w), NULL, NULL, "the rule has no known origin");
	ir.tier = tiers[r->origin];
	e = check_selectors(r, "from", r->from, r->nfrom, f);
	err = e ? e : err;
	e = check_selectors(r, "to", r->to, r->nto, f);
	err = e ? e : err;
	e = check_ports(r, f);
	err = e ? e : err;
	if (err)
		return err;
	ret[0] = ret[1] = ir;
	ret[0].side = CW_EGRESS;
	ret[0].subjects = ret[1].peers = r->from;
	ret[0].nsubjects = ret[1].npeers = r->nfrom;
	ret[1].side = CW_INGRESS;
	ret[1].subjects = ret[0].peers = r->to;
	ret[1].nsubjects = ret[0].npeers = r->nto;
	return 0;
}

const char *ir_selector_ns(const struct ir_rule *ir, const struct selector *s)
{
	if (s->kind != SEL_WORKLOAD)
		return NULL;
	if (given(s->ns))
		return s->ns;
	return s->ns_labels.set ? NULL : ir->ns;
}
