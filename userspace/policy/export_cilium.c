/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_cilium.c - cilium.io/v2 CiliumNetworkPolicy, and CiliumClusterwideNetworkPolicy where the
 * subject is not of one namespace. A deny there always wins, which is also what a manual block does.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/export_priv.h"

#define CILIUM_API "cilium.io/v2"
#define POD_NS "k8s:io.kubernetes.pod.namespace"
#define NS_LABELS "k8s:io.cilium.k8s.namespace.labels."
#define TO_PORTS_MAX 40u /* ports of one item, the API's own bound */

/* Labels with their source and namespace; own_ns: of the policy, NULL for a clusterwide one. */
static cJSON *endpoints(struct xport *x, const struct selector *s, const char *own_ns)
{
	const struct { const struct label_selector *l; const char *prefix; } part[] = {
		{ &s->labels, "k8s:" }, { &s->ns_labels, NS_LABELS },
	};
	bool any_ns = !(s->ns && *s->ns) && own_ns;
	cJSON *o = cJSON_CreateObject(), *match = NULL, *exprs = NULL;
	char key[512];

	if (!o) {
		x->oom = true;
		return NULL;
	}
	if (s->ns && *s->ns && (!own_ns || strcmp(own_ns, s->ns))) {
		match = xj_obj(x, o, "matchLabels");
		xj_str(x, match, POD_NS, s->ns);
	}
	if (any_ns) { /* left out it would mean the policy's own namespace */
		cJSON *m;

		exprs = xj_arr(x, o, "matchExpressions");
		m = xj_obj(x, exprs, NULL);
		xj_str(x, m, "key", POD_NS);
		xj_str(x, m, "operator", "Exists");
	}
	for (size_t p = 0; p < sizeof(part) / sizeof(part[0]); p++) {
		const struct label_selector *l = part[p].l;

		for (size_t i = 0; l->set && i < l->match.n; i++) {
			match = match ? match : xj_obj(x, o, "matchLabels");
			snprintf(key, sizeof(key), "%s%s", part[p].prefix, l->match.v[i].key);
			xj_str(x, match, key, l->match.v[i].value);
		}
		for (size_t i = 0; l->set && i < l->nexprs; i++) {
			cJSON *m, *v;

			exprs = exprs ? exprs : xj_arr(x, o, "matchExpressions");
			m = xj_obj(x, exprs, NULL);
			snprintf(key, sizeof(key), "%s%s", part[p].prefix, l->exprs[i].key);
			xj_str(x, m, "key", key);
			xj_str(x, m, "operator", label_op_words[l->exprs[i].op]);
			v = l->exprs[i].nvalues ? xj_arr(x, m, "values") : NULL;
			for (size_t k = 0; k < l->exprs[i].nvalues; k++)
				xj_str(x, v, NULL, l->exprs[i].values[k]);
		}
	}
	return o;
}

/* ---- ports ----------------------------------------------------------------------------------------- */

struct xports { cJSON *ports, *icmps; bool all; };

static int port_out(struct xport *x, const struct port_spec *p, struct xports *to)
{
	const char *proto = p->proto == IPPROTO_TCP ? "TCP" : p->proto == IPPROTO_UDP ? "UDP" :
			    p->proto == IPPROTO_SCTP ? "SCTP" : NULL;
	char number[8];
	cJSON *o;

	if (p->kind == PORT_ANY) {
		to->all = true;
		return 0;
	}
	if (p->kind == PORT_ICMP) {
		if (p->icmp_type < 0 || p->icmp_code >= 0)
			return xport_refuse(x, "%s, and Cilium names ICMP by type only",
					    p->icmp_type < 0 ? "it speaks of all ICMP" : "it names an ICMP code");
		o = xj_obj(x, to->icmps, NULL);
		xj_str(x, o, "family", p->proto == IPPROTO_ICMPV6 ? "IPv6" : "IPv4");
		xj_num(x, o, "type", p->icmp_type);
		return 0;
	}
	if (!proto)
		return xport_refuse(x, "it speaks of protocol %u, and Cilium names TCP, UDP, SCTP and ICMP types", p->proto);
	o = xj_obj(x, to->ports, NULL);
	snprintf(number, sizeof(number), "%u", p->kind == PORT_RANGE ? p->from : 0u);
	xj_str(x, o, "port", p->kind == PORT_NAMED ? p->name : number);
	if (p->kind == PORT_RANGE && p->to > p->from)
		xj_num(x, o, "endPort", p->to);
	xj_str(x, o, "protocol", proto);
	return 0;
}

/* ---- peers ----------------------------------------------------------------------------------------- */

/* By field of a rule: Cilium takes one kind of peer in each. */
enum xfield { X_ENDPOINTS, X_CIDRS, X_ENTITIES, X_NAMES, X_FIELDS };

static int peer_out(struct xport *x, const struct selector *s, enum cw_side side, const char *own_ns,
		    cJSON *to[X_FIELDS])
{
	char text[PREFIX_STR_MAX];
	cJSON *o, *list;

	switch (s->kind) {
	case SEL_ANY:
		xj_str(x, to[X_ENTITIES], NULL, "all");
		return 0;
	case SEL_WORKLOAD:
		xj_add(x, to[X_ENDPOINTS], NULL, endpoints(x, s, own_ns));
		return 0;
	case SEL_CIDR:
		o = xj_obj(x, to[X_CIDRS], NULL);
		xj_str(x, o, "cidr", prefix_str(&s->cidr, text));
		list = s->nexcept ? xj_arr(x, o, "except") : NULL;
		for (size_t i = 0; i < s->nexcept; i++)
			xj_str(x, list, NULL, prefix_str(&s->except[i], text));
		return xport_note(x, "names a block: Cilium's blocks do not match pods and nodes, which it knows by identity");
	case SEL_FQDN:
		if (side == CW_INGRESS)
			return xport_refuse(x, "a name can only be a destination");
		o = xj_obj(x, to[X_NAMES], NULL);
		xj_str(x, o, *s->fqdn == '*' ? "matchPattern" : "matchName", s->fqdn);
		return xport_note(x, "names %.200s: Cilium learns names only from DNS that a policy of the workload sends "
				  "through its proxy (toPorts 53 with rules.dns)%s", s->fqdn,
				  *s->fqdn == '*' ? "; its * stands for one label" : "");
	case SEL_RESERVED:
		if (s->reserved != CW_ID_HOST && s->reserved != CW_ID_REMOTE_NODE && s->reserved != CW_ID_WORLD)
			return xport_refuse(x, "it names `%s`, and Cilium has no such entity", reserved_str(s->reserved));
		xj_str(x, to[X_ENTITIES], NULL, reserved_str(s->reserved));
		return 0;
	default:
		return xport_refuse(x, "Cilium has no such peer");
	}
}

static void rule_ports(struct xport *x, cJSON *rule, const struct xports *p, bool icmp)
{
	int n = cJSON_GetArraySize(p->ports);
	cJSON *list, *item = NULL;

	if (icmp) {
		xj_add(x, xj_obj(x, xj_arr(x, rule, "icmps"), NULL), "fields", cJSON_Duplicate(p->icmps, 1));
		return;
	}
	if (p->all || !n)
		return;
	list = xj_arr(x, rule, "toPorts");
	for (int i = 0; i < n; i++) {
		if (i % TO_PORTS_MAX == 0)
			item = xj_arr(x, xj_obj(x, list, NULL), "ports");
		xj_add(x, item, NULL, cJSON_Duplicate(cJSON_GetArrayItem(p->ports, i), 1));
	}
}

/* Objects with a namespace's default: allow there means that selecting must not isolate. */
static void no_default_deny(struct xport *x, cJSON *spec)
{
	cJSON *o = xj_obj(x, spec, "enableDefaultDeny");

	xj_add(x, o, "ingress", cJSON_CreateFalse());
	xj_add(x, o, "egress", cJSON_CreateFalse());
}

struct seen { bool block, allow; };

static int default_in(struct xport *x, const char *ns, void *arg)
{
	const struct xdefault *d = xport_default(x, ns);
	struct seen *s = arg;

	s->block = s->block || (d && d->block);
	s->allow = s->allow || (d && d->allow);
	return 0;
}

static int object_out(struct xport *x, const struct xside *s, cJSON *const peers[X_FIELDS], const struct xports *p)
{
	static const char *const field[2][X_FIELDS] = {
		[CW_EGRESS] = { "toEndpoints", "toCIDRSet", "toEntities", "toFQDNs" },
		[CW_INGRESS] = { "fromEndpoints", "fromCIDRSet", "fromEntities", "" },
	};
	const char *ns = s->subject->ns && *s->subject->ns ? s->subject->ns : NULL;
	bool deny = x->rule->action == CW_ACT_BLOCK;
	struct seen d = {};
	cJSON *spec, *list;
	char name[254];
	size_t notes = x->out->nnotes;
	int e = xport_each_ns(x, s->subject, default_in, &d);

	if (e)
		return e;
	/* Here the labels stay what they are: the note about objects for each namespace is not true. */
	while (x->out->nnotes > notes) {
		free(x->out->notes[--x->out->nnotes].name);
		free(x->out->notes[x->out->nnotes].text);
	}
	if (d.block && d.allow)
		return xport_refuse(x, "its subjects have different defaults, and a Cilium policy isolates all it selects or none");
	spec = xport_object(x, CILIUM_API, ns ? "CiliumNetworkPolicy" : "CiliumClusterwideNetworkPolicy", ns,
			    xport_name(x, s, name));
	xj_add(x, spec, "endpointSelector", endpoints(x, s->subject, ns));
	if (d.allow)
		no_default_deny(x, spec);
	list = xj_arr(x, spec, s->side == CW_EGRESS ? (deny ? "egressDeny" : "egress") : (deny ? "ingressDeny" : "ingress"));
	for (int f = 0; f < X_FIELDS; f++) {
		for (int icmp = 0; icmp < 2 && peers[f]->child; icmp++) {
			cJSON *rule;

			if (icmp ? !p->icmps->child || p->all : p->icmps->child && !p->ports->child && !p->all)
				continue;
			rule = xj_obj(x, list, NULL);
			xj_add(x, rule, field[s->side][f], cJSON_Duplicate(peers[f], 1));
			rule_ports(x, rule, p, icmp);
		}
	}
	return 0;
}

int xport_cilium_side(struct xport *x, const struct xside *s)
{
	const char *own_ns = s->subject->ns && *s->subject->ns ? s->subject->ns : NULL;
	struct xports p = { cJSON_CreateArray(), cJSON_CreateArray(), !x->rule->nports };
	cJSON *peers[X_FIELDS] = {};
	int e = p.ports && p.icmps ? 0 : -ENOMEM;

	for (int f = 0; f < X_FIELDS && !e; f++) {
		peers[f] = cJSON_CreateArray();
		e = peers[f] ? 0 : -ENOMEM;
	}
	if (!e && x->rule->origin == ORIGIN_LEARNED && x->rule->action == CW_ACT_BLOCK)
		e = xport_refuse(x, "a learned rule that blocks comes after every manual one, and a deny there before them");
	for (size_t i = 0; i < s->npeers && !e; i++)
		e = peer_out(x, &s->peers[i], s->side, own_ns, peers);
	for (size_t i = 0; i < x->rule->nports && !e; i++)
		e = port_out(x, &x->rule->ports[i], &p);
	if (!e && x->rule->action == CW_ACT_BLOCK && peers[X_NAMES]->child)
		e = xport_refuse(x, "names can only be allowed");
	e = e ? e : object_out(x, s, peers, &p);
	for (int f = 0; f < X_FIELDS; f++)
		cJSON_Delete(peers[f]);
	cJSON_Delete(p.ports);
	cJSON_Delete(p.icmps);
	return e;
}

int xport_cilium_default(struct xport *x)
{
	for (size_t i = 0; i < x->ndflt; i++) {
		bool in = !x->nscope;
		cJSON *spec;

		for (size_t k = 0; k < x->nscope; k++)
			in = in || !strcmp(x->scope[k], x->dflt[i].ns);
		if (!in || !x->dflt[i].block || x->dflt[i].allow)
			continue;
		spec = xport_object(x, CILIUM_API, "CiliumNetworkPolicy", x->dflt[i].ns, "cellwall-default");
		xj_obj(x, spec, "endpointSelector");
		/* A rule that allows nobody: everything is isolated. */
		xj_obj(x, xj_arr(x, spec, "ingress"), NULL);
		xj_obj(x, xj_arr(x, spec, "egress"), NULL);
	}
	return 0;
}
