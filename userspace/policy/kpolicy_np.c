/* SPDX-License-Identifier: Apache-2.0 */
/* kpolicy_np.c - the spec of a NetworkPolicy, networking.k8s.io/v1. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "policy/doc_priv.h"
#include "policy/kpolicy_priv.h"

/* ---- peers ------------------------------------------------------------------------------------ */

struct block {
	struct selector s;
	bool good;
	const cJSON *cidr, *except;
};

static int b_cidr(struct doc *d, const cJSON *v, void *ctx)
{
	struct block *b = ctx;
	const char *s = cJSON_GetStringValue(v);

	b->cidr = v;
	if (s && !*s)
		return doc_fault(d, v, "cidr", "ADDRESS/LENGTH, such as 10.0.0.0/8 or fd00:20::/48",
				 "the block is empty");
	b->good = kp_cidr(d, v, true, &b->s.cidr);
	return 0;
}

static int b_except(struct doc *d, const cJSON *v, void *ctx)
{
	struct block *b = ctx;

	(void)d;
	b->except = v; /* read when the block is known, wherever that stands */
	return 0;
}

struct excepts { const struct block *b; struct prefix *v; size_t n, cap; };

static int except_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct excepts *x = ctx;
	char block[PREFIX_STR_MAX], expected[PREFIX_STR_MAX + 40];
	struct prefix p;

	if (!kp_cidr(d, v, true, &p) || !x->b->good)
		return 0;
	prefix_str(&x->b->s.cidr, block);
	if (p.v6 != x->b->s.cidr.v6) {
		snprintf(expected, sizeof(expected), "a prefix inside %s", block);
		return doc_fault(d, v, "cidr-family", expected, "%s prefix excepted from an %s block",
				 p.v6 ? "IPv6" : "IPv4", x->b->s.cidr.v6 ? "IPv6" : "IPv4");
	}
	if (p.plen <= x->b->s.cidr.plen || !prefix_covers(&x->b->s.cidr, &p)) {
		snprintf(expected, sizeof(expected), "a smaller prefix inside %s", block);
		return doc_fault(d, v, "except-outside", expected, "the exception is no strict part of its block");
	}
	return vec_push(x, p);
}

static int read_block(struct doc *d, const cJSON *v, struct selectors *to)
{
	static const struct doc_field fields[] = { { "cidr", b_cidr, true }, { "except", b_except, false } };
	struct block b = { .s.kind = SEL_CIDR };
	struct excepts x = { .b = &b };
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &b);

	if (r == 0 && b.except) {
		size_t mark = doc_enter(d, "except");

		r = kp_list(d, b.except, 0, KPOLICY_LIST_MAX, except_item, &x);
		doc_leave(d, mark);
	}
	b.s.except = x.v;
	b.s.nexcept = x.n;
	if (r == 0 && d->faults == before) {
		r = vec_push(to, b.s);
		if (r == 0)
			return 0;
	}
	selector_done(&b.s);
	return r;
}

struct peer { const cJSON *pods, *namespaces, *block; };

static int p_pods(struct doc *d, const cJSON *v, void *ctx)
{
	(void)d;
	((struct peer *)ctx)->pods = v;
	return 0;
}

static int p_namespaces(struct doc *d, const cJSON *v, void *ctx)
{
	(void)d;
	((struct peer *)ctx)->namespaces = v;
	return 0;
}

static int p_block(struct doc *d, const cJSON *v, void *ctx)
{
	(void)d;
	((struct peer *)ctx)->block = v;
	return 0;
}

struct rule_ctx {
	const char *ns;
	struct kpolicy_rule r;
	struct selectors peers;
	struct ports ports;
	bool any_peer;		/* a list of peers that has items */
};

static int in_field(struct doc *d, const char *field, const cJSON *v, struct label_selector *ret)
{
	size_t mark = doc_enter(d, field);
	int r = v ? kp_label_selector(d, v, ret) : 0;

	doc_leave(d, mark);
	return r;
}

static int read_peer(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = {
		{ "podSelector", p_pods, false }, { "namespaceSelector", p_namespaces, false },
		{ "ipBlock", p_block, false },
	};
	struct rule_ctx *x = ctx;
	struct selector s = { .kind = SEL_WORKLOAD };
	struct peer p = {};
	unsigned before = d->faults;
	int r = kp_object(d, v, fields, ARRAY_SIZE(fields), &p);

	if (r == 0 && d->faults == before && !p.pods && !p.namespaces && !p.block)
		return doc_fault(d, v, "peer", "podSelector, namespaceSelector, both, or ipBlock",
				 "the peer selects nothing");
	if (r == 0)
		r = in_field(d, "podSelector", p.pods, &s.labels);
	if (r == 0)
		r = in_field(d, "namespaceSelector", p.namespaces, &s.ns_labels);
	if (r == 0 && p.block) {
		size_t mark = doc_enter(d, "ipBlock");

		r = read_block(d, p.block, &x->peers);
		doc_leave(d, mark);
		if (p.pods || p.namespaces)
			doc_fault(d, v, "peer", "two items, or one of the two",
				  "ipBlock does not go together with a selector");
	} else if (r == 0 && d->faults == before) {
		/* Without namespaceSelector the policy's own namespace is meant. */
		if (!p.namespaces)
			r = set_str(&s.ns, x->ns ? x->ns : "");
		r = r ?: vec_push(&x->peers, s);
		if (r == 0)
			return 0;
	}
	selector_done(&s);
	return r;
}

static int r_peers(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;

	x->any_peer = v->child;
	return kp_list(d, v, 0, KPOLICY_LIST_MAX, read_peer, x);
}

/* ---- ports ------------------------------------------------------------------------------------ */

struct port {
	struct port_spec p;
	const cJSON *port, *end;
	uint16_t end_port;
	bool numeric, good_end;
};

static int o_protocol(struct doc *d, const cJSON *v, void *ctx)
{
	(void)kp_proto(d, v, &((struct port *)ctx)->p.proto);
	return 0;
}

static int o_port(struct doc *d, const cJSON *v, void *ctx)
{
	struct port *x = ctx;
	const char *s;

	x->port = v;
	if (!cJSON_IsString(v)) {
		if (!cJSON_IsNumber(v))
			return doc_fault(d, v, "type", "a port number or a port name", "this is no port");
		x->numeric = kp_port(d, v, &x->p.from);
		return 0;
	}
	if (!doc_text(d, v, KPOLICY_NAME_MAX, &s))
		return 0;
	if (!is_port_name(s))
		return doc_fault(d, v, "port-name",
				 "at most 15 lowercase letters, digits and single '-', with a letter, or a number without quotes",
				 "this is no valid port name");
	x->p.kind = PORT_NAMED;
	return set_str(&x->p.name, s);
}

static int o_end(struct doc *d, const cJSON *v, void *ctx)
{
	struct port *x = ctx;

	x->end = v;
	x->good_end = kp_port(d, v, &x->end_port);
	return 0;
}

/* What takes both port and endPort, whichever came first. */
static void check_end(struct doc *d, struct port *x)
{
	size_t mark = doc_enter(d, "endPort");
	char expected[32];

	if (!x->port) {
		doc_fault(d, x->end, "end-port", "port: the first port of the range", "endPort stands without port");
	} else if (cJSON_IsString(x->port)) {
		doc_fault(d, x->end, "end-port", "a numeric port", "endPort stands beside a port name");
	} else if (x->numeric && x->good_end && x->end_port < x->p.from) {
		snprintf(expected, sizeof(expected), "%u to 65535", x->p.from);
		doc_fault(d, x->end, "end-port", expected, "endPort %u is below port %u", x->end_port, x->p.from);
	}
	doc_leave(d, mark);
}

static int read_port_item(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = {
		{ "protocol", o_protocol, false }, { "port", o_port, false }, { "endPort", o_end, false },
	};
	struct rule_ctx *to = ctx;
	struct port x = { .p = { .kind = PORT_PROTO, .proto = IPPROTO_TCP, .icmp_type = -1, .icmp_code = -1 } };
	unsigned before = d->faults;
	int r = kp_object(d, v, fields, ARRAY_SIZE(fields), &x);

	if (r == 0 && x.end)
		check_end(d, &x);
	if (r == 0 && d->faults == before) {
		if (x.numeric) {
			x.p.kind = PORT_RANGE;
			x.p.to = x.end ? x.end_port : x.p.from;
		}
		r = vec_push(&to->ports, x.p);
		if (r == 0)
			return 0;
	}
	port_spec_done(&x.p);
	return r;
}

static int r_ports(struct doc *d, const cJSON *v, void *ctx)
{
	return kp_list(d, v, 0, IR_PORTS_MAX, read_port_item, ctx);
}

/* ---- rules ------------------------------------------------------------------------------------ */

struct spec_ctx {
	struct kpolicy *k;
	struct krules rules;
	size_t in_side[2];
	bool types[2];
	bool has_types;
	enum cw_side side;	/* of the list being read */
};

static int read_rule(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field in[] = { { "from", r_peers, false }, { "ports", r_ports, false } };
	static const struct doc_field out[] = { { "to", r_peers, false }, { "ports", r_ports, false } };
	struct spec_ctx *s = ctx;
	struct rule_ctx x = { .ns = s->k->ns, .r = { .side = s->side, .effect = IR_ALLOW } };
	unsigned before = d->faults;
	int r = kp_object(d, v, s->side == CW_INGRESS ? in : out, 2, &x);

	x.r.peers = x.peers.v;
	x.r.npeers = x.peers.n;
	x.r.ports = x.ports.v;
	x.r.nports = x.ports.n;
	x.r.everyone = !x.any_peer;
	if (r == 0 && d->faults == before) {
		r = vec_push(&s->rules, x.r);
		s->in_side[s->side] += r == 0;
		if (r == 0)
			return 0;
	}
	kpolicy_rule_done(&x.r);
	return r;
}

static int s_selector(struct doc *d, const cJSON *v, void *ctx)
{
	struct spec_ctx *s = ctx;

	return kp_label_selector(d, v, &s->k->subjects[0].labels);
}

static int s_ingress(struct doc *d, const cJSON *v, void *ctx)
{
	struct spec_ctx *s = ctx;

	s->side = CW_INGRESS;
	return kp_list(d, v, 0, KPOLICY_NP_RULES_MAX, read_rule, s);
}

static int s_egress(struct doc *d, const cJSON *v, void *ctx)
{
	struct spec_ctx *s = ctx;

	s->side = CW_EGRESS;
	return kp_list(d, v, 0, KPOLICY_NP_RULES_MAX, read_rule, s);
}

static int type_item(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "Ingress", "Egress" };
	struct spec_ctx *s = ctx;
	size_t i;

	if (doc_word(d, v, words, ARRAY_SIZE(words), &i))
		s->types[i ? CW_EGRESS : CW_INGRESS] = true;
	return 0;
}

static int s_types(struct doc *d, const cJSON *v, void *ctx)
{
	struct spec_ctx *s = ctx;

	s->has_types = v->child;
	return kp_list(d, v, 0, 2, type_item, s);
}

int kp_np_spec(struct doc *d, const cJSON *v, struct kpolicy *k)
{
	static const struct doc_field fields[] = {
		{ "podSelector", s_selector, false }, { "ingress", s_ingress, false },
		{ "egress", s_egress, false }, { "policyTypes", s_types, false },
	};
	struct spec_ctx s = { .k = k };
	int r;

	k->tier = CW_TIER_NETWORKPOLICY;
	k->subjects = calloc(1, sizeof(*k->subjects));
	if (!k->subjects)
		return -ENOMEM;
	k->nsubjects = 1;
	k->subjects[0].kind = SEL_WORKLOAD;
	r = set_str(&k->subjects[0].ns, k->ns ? k->ns : "");
	if (r == 0 && v)
		r = doc_object(d, v, fields, ARRAY_SIZE(fields), &s);
	k->rules = s.rules.v;
	k->nrules = s.rules.n;
	k->isolates[CW_INGRESS] = s.has_types ? s.types[CW_INGRESS] : true;
	k->isolates[CW_EGRESS] = s.has_types ? s.types[CW_EGRESS] : s.in_side[CW_EGRESS] > 0;
	return r;
}
