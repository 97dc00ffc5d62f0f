/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_cnp.c - policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy. Manual rules become the last
 * of the Admin tier, learned ones the first of the Baseline tier, and in each tier blocks come
 * before allows: what lies between the tiers keeps its place.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy/export_priv.h"
#include "policy/kpolicy.h"

#define CNP_API "policy.networking.k8s.io/v1alpha2"
#define CNP_LIST_MAX 25	/* rules, peers, protocols, networks: the API's own bound */
#define ADMIN_BLOCK 999
#define ADMIN_ALLOW 1000
#define BASELINE_BLOCK 0
#define BASELINE_ALLOW 1
#define BASELINE_DEFAULT 1000

static void subject_out(struct xport *x, const struct selector *s, cJSON *to)
{
	const char *key = s->ns && *s->ns ? EXPORT_NS_LABEL : NULL;
	cJSON *o;

	if (xport_labels_all(&s->labels)) {
		xj_add(x, to, "namespaces", xport_labels(x, &s->ns_labels, key, s->ns));
		return;
	}
	o = xj_obj(x, to, "pods");
	xj_add(x, o, "namespaceSelector", xport_labels(x, &s->ns_labels, key, s->ns));
	xj_add(x, o, "podSelector", xport_labels(x, &s->labels, NULL, NULL));
}

static void everyone_out(struct xport *x, cJSON *to)
{
	cJSON *nets;

	xj_obj(x, xj_obj(x, to, NULL), "namespaces");
	xj_obj(x, xj_obj(x, to, NULL), "nodes");
	nets = xj_arr(x, xj_obj(x, to, NULL), "networks");
	xj_str(x, nets, NULL, "0.0.0.0/0");
	xj_str(x, nets, NULL, "::/0");
}

/* Networks in lists of at most 25. */
static int networks_out(struct xport *x, const struct selector *s, cJSON *to)
{
	cJSON *all = cJSON_CreateArray(), *nets = NULL;
	int e = all ? xport_prefixes(x, s, all) : -ENOMEM;

	for (int n = 0; !e && all->child; n++) {
		if (n % CNP_LIST_MAX == 0)
			nets = xj_arr(x, xj_obj(x, to, NULL), "networks");
		xj_add(x, nets, NULL, cJSON_DetachItemFromArray(all, 0));
	}
	cJSON_Delete(all);
	return e;
}

static int peer_out(struct xport *x, const struct selector *s, enum cw_side side, cJSON *to)
{
	switch (s->kind) {
	case SEL_ANY:
		if (side == CW_INGRESS)
			return xport_refuse(x, "it is about any source, and a ClusterNetworkPolicy names pods only as sources");
		everyone_out(x, to);
		return 0;
	case SEL_WORKLOAD:
		subject_out(x, s, xj_obj(x, to, NULL));
		return 0;
	case SEL_CIDR:
		if (side == CW_INGRESS)
			return xport_refuse(x, "its source is a block, and a ClusterNetworkPolicy names pods only as sources");
		return networks_out(x, s, to);
	case SEL_FQDN:
		xj_str(x, xj_arr(x, xj_obj(x, to, NULL), "domainNames"), NULL, s->fqdn);
		return 0;
	case SEL_RESERVED:
		return xport_refuse(x, "it names `%s`, and a ClusterNetworkPolicy has no word for it", reserved_str(s->reserved));
	default:
		return xport_refuse(x, "a ClusterNetworkPolicy has no such peer");
	}
}

/* A name there has no protocol: it means every protocol that some pod uses it for. */
static int named_out(struct xport *x, const struct port_spec *p, cJSON *to)
{
	for (size_t i = 0; i < x->st->nworkloads; i++) {
		const struct workload *w = &x->st->workloads[i];

		for (size_t k = 0; k < w->nports; k++)
			if (!strcmp(w->ports[k].name, p->name) && w->ports[k].proto != p->proto)
				return xport_refuse(x, "%.100s/%.100s has port %.20s with another protocol, and a name there means every one",
						    w->ns, w->name, p->name);
	}
	xj_str(x, xj_obj(x, to, NULL), "destinationNamedPort", p->name);
	return 0;
}

static int port_out(struct xport *x, const struct port_spec *p, cJSON *to)
{
	const char *proto = p->proto == IPPROTO_TCP ? "tcp" : p->proto == IPPROTO_UDP ? "udp" :
			    p->proto == IPPROTO_SCTP ? "sctp" : NULL;
	uint16_t from = p->kind == PORT_PROTO ? 1 : p->from, last = p->kind == PORT_PROTO ? 65535 : p->to;
	cJSON *o;

	if (p->kind == PORT_ICMP || !proto)
		return xport_refuse(x, "it speaks of %s, and a ClusterNetworkPolicy knows TCP, UDP and SCTP only",
				    p->kind == PORT_ICMP ? "ICMP" : "another protocol");
	if (p->kind == PORT_NAMED)
		return named_out(x, p, to);
	o = xj_obj(x, xj_obj(x, xj_obj(x, to, NULL), proto), "destinationPort");
	if (from == last) {
		xj_num(x, o, "number", from);
		return 0;
	}
	o = xj_obj(x, o, "range");
	xj_num(x, o, "start", from);
	xj_num(x, o, "end", last);
	return 0;
}

/* Whatever has taken its place in the order of the tier already. */
static int place(struct xport *x, bool admin)
{
	for (size_t i = 0; i < x->st->nkpolicies; i++) {
		const struct kpolicy *k = &x->st->kpolicies[i];

		if (admin ? k->tier == CW_TIER_ADMIN && k->priority >= ADMIN_BLOCK :
			    k->tier == CW_TIER_BASELINE && k->priority <= BASELINE_ALLOW)
			return xport_refuse(x, "%s %s stands at priority %d, where this rule would have to come %s",
					    kpolicy_kind_str(k->kind), k->name, k->priority, admin ? "after it" : "before it");
	}
	return 0;
}

static cJSON *spec_out(struct xport *x, const char *name, bool admin, int priority)
{
	cJSON *spec = xport_object(x, CNP_API, "ClusterNetworkPolicy", NULL, name);

	xj_str(x, spec, "tier", admin ? "Admin" : "Baseline");
	xj_num(x, spec, "priority", priority);
	return spec;
}

static bool any_port(const struct rule *r)
{
	for (size_t i = 0; i < r->nports; i++)
		if (r->ports[i].kind == PORT_ANY)
			return true;
	return !r->nports;
}

/* Every slice of the peers with every slice of the ports: a rule each. */
static void rules_out(struct xport *x, const struct xside *s, cJSON *peers, cJSON *ports)
{
	const char *key = s->side == CW_EGRESS ? "egress" : "ingress";
	bool admin = x->rule->origin != ORIGIN_LEARNED, block = x->rule->action == CW_ACT_BLOCK;
	int np = cJSON_GetArraySize(peers), nq = cJSON_GetArraySize(ports), n = 0;
	cJSON *list = NULL, *spec;
	char name[254];

	for (int i = 0; i < np; i += CNP_LIST_MAX) {
		for (int k = 0; k == 0 || k < nq; k += CNP_LIST_MAX) {
			cJSON *rule, *to, *q;

			if (n++ % CNP_LIST_MAX == 0) {
				spec = spec_out(x, xport_name(x, s, name), admin,
						admin ? (block ? ADMIN_BLOCK : ADMIN_ALLOW) : (block ? BASELINE_BLOCK : BASELINE_ALLOW));
				subject_out(x, s->subject, xj_obj(x, spec, "subject"));
				list = xj_arr(x, spec, key);
			}
			rule = xj_obj(x, list, NULL);
			xj_str(x, rule, "action", block ? "Deny" : "Accept");
			to = xj_arr(x, rule, s->side == CW_EGRESS ? "to" : "from");
			for (int a = i; a < np && a < i + CNP_LIST_MAX; a++)
				xj_add(x, to, NULL, cJSON_Duplicate(cJSON_GetArrayItem(peers, a), 1));
			q = nq ? xj_arr(x, rule, "protocols") : NULL;
			for (int b = k; b < nq && b < k + CNP_LIST_MAX; b++)
				xj_add(x, q, NULL, cJSON_Duplicate(cJSON_GetArrayItem(ports, b), 1));
		}
	}
}

int xport_cnp_side(struct xport *x, const struct xside *s)
{
	cJSON *peers = cJSON_CreateArray(), *ports = cJSON_CreateArray();
	int e = peers && ports ? place(x, x->rule->origin != ORIGIN_LEARNED) : -ENOMEM;

	for (size_t i = 0; i < s->npeers && !e; i++)
		e = peer_out(x, &s->peers[i], s->side, peers);
	for (size_t i = 0; !any_port(x->rule) && i < x->rule->nports && !e; i++)
		e = port_out(x, &x->rule->ports[i], ports);
	if (!e)
		rules_out(x, s, peers, ports);
	cJSON_Delete(peers);
	cJSON_Delete(ports);
	return e;
}

int xport_cnp_default(struct xport *x)
{
	cJSON *expr = NULL, *spec = NULL, *rule;

	for (size_t i = 0; i < x->ndflt; i++) {
		bool in = !x->nscope;

		for (size_t k = 0; k < x->nscope; k++)
			in = in || !strcmp(x->scope[k], x->dflt[i].ns);
		if (!in || !x->dflt[i].block || x->dflt[i].allow)
			continue;
		if (!spec) {
			cJSON *m;

			spec = spec_out(x, "cellwall-default", false, BASELINE_DEFAULT);
			m = xj_obj(x, xj_arr(x, xj_obj(x, xj_obj(x, spec, "subject"), "namespaces"), "matchExpressions"), NULL);
			xj_str(x, m, "key", EXPORT_NS_LABEL);
			xj_str(x, m, "operator", "In");
			expr = xj_arr(x, m, "values");
		}
		xj_str(x, expr, NULL, x->dflt[i].ns);
	}
	if (!spec)
		return 0;
	rule = xj_obj(x, xj_arr(x, spec, "ingress"), NULL);
	xj_str(x, rule, "action", "Deny");
	xj_obj(x, xj_obj(x, xj_arr(x, rule, "from"), NULL), "namespaces");
	rule = xj_obj(x, xj_arr(x, spec, "egress"), NULL);
	xj_str(x, rule, "action", "Deny");
	everyone_out(x, xj_arr(x, rule, "to"));
	return xport_word(&x->out->refused, &x->out->nrefused, x->name,
			  "the default block of sources that are not pods: a ClusterNetworkPolicy names pods only as sources");
}
