/* SPDX-License-Identifier: Apache-2.0 */
/* selector_doc.c - one item of `from` or `to`. */
#include "policy/doc_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"

/* Fields that may stand together have a bit in common. */
enum {
	G_ANY = 1, G_WORKLOAD = 2, G_CIDR = 4, G_SERVICE = 8, G_FQDN = 16, G_RESERVED = 32, G_NODES = 64,
};

struct sel_ctx {
	struct selector s;
	bool to;
	unsigned groups;	/* kinds that all fields so far allow */
	const char *first;	/* the field that ruled the others out */
	bool any_field;
	const cJSON *except, *ns, *ns_labels;
};

static int note(struct doc *d, const cJSON *v, struct sel_ctx *x, unsigned groups)
{
	if (!x->any_field) {
		x->groups = groups;
		x->first = v->string;
	} else if (!(x->groups & groups)) {
		doc_fault(d, v, "selector-mix", "two items, or one of the two fields",
			  "\"%s\" and \"%s\" do not go together in one item", x->first, v->string);
	} else {
		if ((x->groups & groups) != x->groups)
			x->first = v->string;
		x->groups &= groups;
	}
	x->any_field = true;
	return 0;
}

static int f_any(struct doc *d, const cJSON *v, void *ctx)
{
	bool on;

	note(d, v, ctx, G_ANY);
	if (doc_bool(d, v, &on) && !on)
		doc_fault(d, v, "any", "any: true", "an item cannot select nobody");
	return 0;
}

static int f_namespace(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD | G_SERVICE);
	x->ns = v;
	return read_dns_label(d, v, &x->s.ns);
}

static int f_ns_labels(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD);
	x->ns_labels = v;
	x->s.ns_labels.set = true;
	return read_labels(d, v, &x->s.ns_labels.match);
}

static int f_ns_exprs(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD);
	x->ns_labels = v;
	x->s.ns_labels.set = true;
	return read_exprs(d, v, &x->s.ns_labels);
}

static int f_labels(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD);
	x->s.labels.set = true;
	return read_labels(d, v, &x->s.labels.match);
}

static int f_exprs(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD | G_NODES);
	x->s.labels.set = true;
	return read_exprs(d, v, &x->s.labels);
}

static int f_controller(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD);
	return read_controller(d, v, &x->s.controller_kind, &x->s.controller_name);
}

static int f_account(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD);
	return read_dns_name(d, v, &x->s.service_account);
}

static int f_pod(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD);
	return read_dns_name(d, v, &x->s.pod);
}

static int f_uid(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_WORKLOAD);
	return read_uid(d, v, &x->s.pod_uid);
}

static int f_service(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_SERVICE);
	return read_dns_label(d, v, &x->s.service);
}

static int f_cidr(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_CIDR);
	x->s.kind = SEL_CIDR; /* set only when the prefix is good: exceptions are judged against it */
	if (!read_prefix(d, v, &x->s.cidr))
		x->s.kind = SEL_ANY;
	return 0;
}

static int f_except(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_CIDR);
	x->except = v; /* read when the block is known, wherever that stands */
	return 0;
}

/* A host name with a dot whose last label has a letter: addresses are no names. */
static bool is_fqdn(const char *s)
{
	const char *last;

	if (strncmp(s, "*.", 2) == 0)
		s += 2;
	last = strrchr(s, '.');
	return last && is_dns_name(s) && strspn(last + 1, "0123456789-") < strlen(last + 1);
}

static int f_fqdn(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;
	const char *s;

	note(d, v, x, G_FQDN);
	if (!doc_text(d, v, 4 * DOC_NAME_MAX, &s))
		return 0;
	if (!x->to)
		return doc_fault(d, v, "fqdn-from", "cidr: the addresses it sends from",
				 "a name can only be a destination");
	if (!is_fqdn(s))
		return doc_fault(d, v, "fqdn", "pay.example.com or *.example.com, lowercase",
				 "this is no full host name");
	return set_str(&x->s.fqdn, s);
}

static int f_reserved(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "host", "remote-node", "world", "unknown", "multicast" };
	struct sel_ctx *x = ctx;
	size_t i;

	note(d, v, x, G_RESERVED);
	if (doc_word(d, v, words, ARRAY_SIZE(words), &i))
		(void)reserved_parse(words[i], &x->s.reserved); /* the same words */
	return 0;
}

static int f_nodes(struct doc *d, const cJSON *v, void *ctx)
{
	struct sel_ctx *x = ctx;

	note(d, v, x, G_NODES);
	x->s.labels.set = true;
	return read_labels(d, v, &x->s.labels.match);
}

static const struct doc_field fields[] = {
	{ "any", f_any, false },
	{ "namespace", f_namespace, false },
	{ "namespaceLabels", f_ns_labels, false },
	{ "namespaceExpressions", f_ns_exprs, false },
	{ "labels", f_labels, false },
	{ "matchExpressions", f_exprs, false },
	{ "controller", f_controller, false },
	{ "serviceAccount", f_account, false },
	{ "pod", f_pod, false },
	{ "uid", f_uid, false },
	{ "service", f_service, false },
	{ "cidr", f_cidr, false },
	{ "except", f_except, false },
	{ "fqdn", f_fqdn, false },
	{ "reserved", f_reserved, false },
	{ "nodeLabels", f_nodes, false },
};

static int except_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct selector *s = ctx;
	char expected[PREFIX_STR_MAX + 32], block[PREFIX_STR_MAX];
	struct prefix p;

	if (!read_prefix(d, v, &p) || s->kind != SEL_CIDR)
		return 0;
	snprintf(expected, sizeof(expected), "a prefix inside %s", prefix_str(&s->cidr, block));
	if (p.v6 != s->cidr.v6)
		return doc_fault(d, v, "cidr-family", expected, "%s prefix excepted from an %s block",
				 p.v6 ? "IPv6" : "IPv4", s->cidr.v6 ? "IPv6" : "IPv4");
	if (!prefix_covers(&s->cidr, &p))
		return doc_fault(d, v, "except-outside", expected, "the exception is not inside the block");
	if (p.plen == s->cidr.plen)
		return doc_fault(d, v, "except-all", expected, "the exception is the whole block");
	s->except[s->nexcept++] = p;
	return 0;
}

static int read_except(struct doc *d, const cJSON *v, struct sel_ctx *x)
{
	size_t mark = doc_enter(d, "except");
	int r = 0;

	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= RULE_DOC_LIST_MAX) {
		x->s.except = calloc((size_t)cJSON_GetArraySize(v) + 1, sizeof(*x->s.except));
		r = x->s.except ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = doc_list(d, v, RULE_DOC_LIST_MAX, except_item, &x->s);
	doc_leave(d, mark);
	return r;
}

/* What the fields make together. */
static int finish(struct doc *d, const cJSON *v, const char *ns, struct sel_ctx *x)
{
	if (!x->any_field)
		return doc_fault(d, v, "selector-empty", "at least one field; everyone is {any: true}",
				 "the item selects nothing");
	if (x->ns && x->ns_labels)
		return doc_fault(d, x->ns_labels, "selector-mix", "one of the two",
				 "\"namespace\" and \"%s\" do not go together in one item",
				 x->ns_labels->string);
	if (x->groups & G_WORKLOAD)
		x->s.kind = SEL_WORKLOAD;
	else if (x->groups & G_SERVICE)
		x->s.kind = SEL_SERVICE;
	else if (x->groups & G_FQDN)
		x->s.kind = SEL_FQDN;
	else if (x->groups & G_RESERVED)
		x->s.kind = SEL_RESERVED;
	else if (x->groups & G_NODES)
		x->s.kind = SEL_NODES;
	else if (x->groups & G_CIDR && !json_get(v, "cidr"))
		return doc_fault(d, x->except, "missing-field", "cidr", "\"except\" needs \"cidr\"");
	if ((x->s.kind == SEL_WORKLOAD || x->s.kind == SEL_SERVICE) && !x->s.ns && !x->s.ns_labels.set && ns)
		return set_str(&x->s.ns, ns);
	if (x->s.kind == SEL_SERVICE && !x->s.ns)
		return doc_fault(d, v, "missing-field", "namespace",
				 "a service needs the namespace it is in");
	return 0;
}

int read_selector(struct doc *d, const cJSON *v, const char *ns, bool to, struct selector *ret)
{
	struct sel_ctx x = { .to = to };
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &x);

	if (r == 0 && x.except)
		r = read_except(d, x.except, &x);
	if (r == 0 && d->faults == before)
		r = finish(d, v, ns, &x);
	if (r < 0 || d->faults != before) {
		selector_done(&x.s);
		return r;
	}
	*ret = x.s;
	return 0;
}
