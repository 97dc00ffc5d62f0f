/* SPDX-License-Identifier: Apache-2.0 */
/* export_np.c - networking.k8s.io/v1 NetworkPolicy: allows only, one namespace each. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "policy/export_priv.h"

#define NP_API "networking.k8s.io/v1"

static const char *proto_word(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "TCP" : proto == IPPROTO_UDP ? "UDP" : proto == IPPROTO_SCTP ? "SCTP" : NULL;
}

static int peer_out(struct xport *x, const struct selector *s, const char *ns, cJSON *to)
{
	char text[PREFIX_STR_MAX];
	cJSON *o, *b;

	switch (s->kind) {
	case SEL_CIDR:
		o = xj_obj(x, to, NULL);
		b = xj_obj(x, o, "ipBlock");
		xj_str(x, b, "cidr", prefix_str(&s->cidr, text));
		o = s->nexcept ? xj_arr(x, b, "except") : NULL;
		for (size_t i = 0; i < s->nexcept; i++)
			xj_str(x, o, NULL, prefix_str(&s->except[i], text));
		return 0;
	case SEL_WORKLOAD:
		o = xj_obj(x, to, NULL);
		if (!s->ns || strcmp(s->ns, ns))
			xj_add(x, o, "namespaceSelector", xport_labels(x, &s->ns_labels, s->ns && *s->ns ? EXPORT_NS_LABEL : NULL,
								       s->ns));
		if (!xport_labels_all(&s->labels) || (s->ns && !strcmp(s->ns, ns)))
			xj_add(x, o, "podSelector", xport_labels(x, &s->labels, NULL, NULL));
		return 0;
	case SEL_FQDN:
		return xport_refuse(x, "it names %.200s, and a NetworkPolicy has no names", s->fqdn);
	case SEL_RESERVED:
		return xport_refuse(x, "it names `%s`, and a NetworkPolicy has no word for it", reserved_str(s->reserved));
	default:
		return xport_refuse(x, "a NetworkPolicy has no such peer");
	}
}

static int port_out(struct xport *x, const struct port_spec *p, cJSON *to)
{
	const char *proto = proto_word(p->proto);
	cJSON *o;

	if (p->kind == PORT_ICMP)
		return xport_refuse(x, "it speaks of ICMP, and a NetworkPolicy knows TCP, UDP and SCTP only");
	if (!proto)
		return xport_refuse(x, "it speaks of protocol %u, and a NetworkPolicy knows TCP, UDP and SCTP only", p->proto);
	o = xj_obj(x, to, NULL);
	xj_str(x, o, "protocol", proto);
	if (p->kind == PORT_NAMED)
		xj_str(x, o, "port", p->name);
	if (p->kind != PORT_RANGE)
		return 0;
	xj_num(x, o, "port", p->from);
	if (p->to > p->from)
		xj_num(x, o, "endPort", p->to);
	return 0;
}

static bool any_port(const struct rule *r)
{
	for (size_t i = 0; i < r->nports; i++)
		if (r->ports[i].kind == PORT_ANY)
			return true;
	return !r->nports;
}

static bool any_peer(const struct xside *s)
{
	for (size_t i = 0; i < s->npeers; i++)
		if (s->peers[i].kind == SEL_ANY)
			return true;
	return false;
}

static int in_ns(struct xport *x, const char *ns, void *arg)
{
	const struct xside *s = arg;
	bool out = s->side == CW_EGRESS;
	const struct xdefault *d = xport_default(x, ns);
	cJSON *spec, *rule, *list;
	char name[254];
	int e = 0;

	if (d && d->block && d->allow)
		return xport_refuse(x, "workloads of %.200s have different defaults, and a NetworkPolicy isolates what it selects",
				    ns);
	if (d && d->allow)
		return xport_note(x, "needs no %s object in %s: the default there is allow", out ? "egress" : "ingress", ns);
	spec = xport_object(x, NP_API, "NetworkPolicy", ns, xport_name(x, s, name));
	xj_add(x, spec, "podSelector", xport_labels(x, &s->subject->labels, NULL, NULL));
	xj_str(x, xj_arr(x, spec, "policyTypes"), NULL, out ? "Egress" : "Ingress");
	rule = xj_obj(x, xj_arr(x, spec, out ? "egress" : "ingress"), NULL);
	list = any_peer(s) ? NULL : xj_arr(x, rule, out ? "to" : "from");
	for (size_t i = 0; list && i < s->npeers && !e; i++)
		e = peer_out(x, &s->peers[i], ns, list);
	list = any_port(x->rule) ? NULL : xj_arr(x, rule, "ports");
	for (size_t i = 0; list && i < x->rule->nports && !e; i++)
		e = port_out(x, &x->rule->ports[i], list);
	return e;
}

int xport_np_side(struct xport *x, const struct xside *s)
{
	if (x->rule->action == CW_ACT_BLOCK)
		return xport_refuse(x, "it blocks, and a NetworkPolicy can only allow");
	/* Refused also where no object would come of it now: what is refused must not hang on defaults. */
	for (size_t i = 0; i < s->npeers; i++)
		if (s->peers[i].kind == SEL_FQDN || s->peers[i].kind == SEL_RESERVED)
			return peer_out(x, &s->peers[i], "", x->pending);
	return xport_each_ns(x, s->subject, in_ns, (void *)s);
}

int xport_np_default(struct xport *x)
{
	for (size_t i = 0; i < x->ndflt; i++) {
		bool in = !x->nscope;
		cJSON *spec, *types;

		for (size_t k = 0; k < x->nscope; k++)
			in = in || !strcmp(x->scope[k], x->dflt[i].ns);
		if (!in || !x->dflt[i].block || x->dflt[i].allow)
			continue;
		spec = xport_object(x, NP_API, "NetworkPolicy", x->dflt[i].ns, "cellwall-default");
		xj_obj(x, spec, "podSelector");
		types = xj_arr(x, spec, "policyTypes");
		xj_str(x, types, NULL, "Ingress");
		xj_str(x, types, NULL, "Egress");
	}
	return 0;
}
