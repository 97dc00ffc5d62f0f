/* SPDX-License-Identifier: Apache-2.0 */
/* access_rule.c - the rule that a decision about an access becomes. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "flow/access_book.h"

static int dup_to(char **to, const char *s)
{
	*to = strdup(s);
	return *to ? 0 : -ENOMEM;
}

static int selector_of(const struct access_end *e, struct selector *ret)
{
	int r = 0;

	*ret = (struct selector){ .kind = SEL_WORKLOAD };
	switch (e->kind) {
	case ACCESS_CONTROLLER:
		r = dup_to(&ret->ns, e->ns);
		if (!r)
			r = dup_to(&ret->controller_kind, e->controller_kind);
		if (!r)
			r = dup_to(&ret->controller_name, e->controller_name);
		break;
	case ACCESS_LABELS:
		r = dup_to(&ret->ns, e->ns);
		if (!r)
			r = labels_copy(&e->labels, &ret->labels.match);
		ret->labels.set = true;
		break;
	case ACCESS_POD:
		r = dup_to(&ret->ns, e->ns);
		if (!r)
			r = dup_to(&ret->pod, e->pod);
		break;
	case ACCESS_SERVICE:
		ret->kind = SEL_SERVICE;
		r = dup_to(&ret->ns, e->ns);
		if (!r)
			r = dup_to(&ret->service, e->pod);
		break;
	case ACCESS_CIDR:
	case ACCESS_ADDR:
	case ACCESS_UNRESOLVED:
		ret->kind = SEL_CIDR;
		ret->cidr = e->prefix;
		break;
	case ACCESS_FQDN:
		ret->kind = SEL_FQDN;
		r = dup_to(&ret->fqdn, e->fqdn);
		break;
	case ACCESS_RESERVED:
	case ACCESS_END_KINDS:
		ret->kind = SEL_RESERVED;
		ret->reserved = e->reserved;
		break;
	}
	return r;
}

static struct port_spec port_of(const struct access *a)
{
	switch (a->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return (struct port_spec){ .kind = PORT_RANGE, .proto = a->proto, .from = a->port, .to = a->port,
					   .icmp_type = -1, .icmp_code = -1 };
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return (struct port_spec){ .kind = PORT_ICMP, .proto = a->proto, .icmp_type = a->port >> 8,
					   .icmp_code = -1 };
	default:
		return (struct port_spec){ .kind = PORT_PROTO, .proto = a->proto, .icmp_type = -1, .icmp_code = -1 };
	}
}

static bool unresolved(const struct access_end *e)
{
	return e->kind == ACCESS_UNRESOLVED || (e->kind == ACCESS_RESERVED && e->reserved == CW_ID_UNKNOWN);
}

int access_rule(const struct access *a, enum cw_action action, const char *who, int64_t now_ns,
		struct fail_list *f, struct rule *ret)
{
	auto_cleanup(rule_done) struct rule rule = { };
	bool block = action == CW_ACT_BLOCK;
	char name[32], at[64];

	(void)snprintf(at, sizeof(at), "access %s", a->id);
	if (unresolved(a->src) || unresolved(a->dst))
		return fail_add(f, -EAGAIN, "access.unresolved", at, "both ends resolved to a workload or an outside address",
				"cellwall events --reason identity-late", "%s has no owner yet: it is never made a rule",
				unresolved(a->src) ? a->src->ref : a->dst->ref);
	if (block && (a->src->kind == ACCESS_FQDN || a->dst->kind == ACCESS_FQDN))
		return fail_add(f, -EOPNOTSUPP, "access.fqdn-block", at, "an address or CIDR: names serve allow and alert rules only",
				"cellwall rule create NAME --action block --dst CIDR",
				"a block towards a name can be dodged by another name of the same address");

	(void)snprintf(name, sizeof(name), "%s-%s", block ? "rejected" : "learned", a->id);
	rule.origin = block ? ORIGIN_MANUAL : ORIGIN_LEARNED;
	rule.action = action;
	rule.mode = CW_MODE_ENFORCE;
	rule.enabled = true;
	rule.created_ns = rule.updated_ns = now_ns;
	rule.from = calloc(1, sizeof(*rule.from));
	rule.to = calloc(1, sizeof(*rule.to));
	rule.ports = calloc(1, sizeof(*rule.ports));
	if (!rule.from || !rule.to || !rule.ports || dup_to(&rule.name, name) || dup_to(&rule.creator, who ? who : "") ||
	    dup_to(&rule.access, a->id))
		return -ENOMEM;
	rule.nfrom = rule.nto = rule.nports = 1;
	rule.ports[0] = port_of(a);
	if (selector_of(a->src, &rule.from[0]) || selector_of(a->dst, &rule.to[0]))
		return -ENOMEM;
	*ret = rule;
	rule = (struct rule){ }; /* NOLINT(clang-analyzer-deadcode.DeadStores): its cleanup reads it */
	return 0;
}

const char *access_rule_name(const struct access *a, char out[32])
{
	if (a->decision == ACCESS_UNDECIDED)
		return NULL;
	(void)snprintf(out, 32, "%s-%s", a->decision == ACCESS_REJECTED ? "rejected" : "learned", a->id);
	return out;
}
