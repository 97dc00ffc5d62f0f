/* SPDX-License-Identifier: Apache-2.0 */
/* model_doc_put.c - model to JSON. Unset fields are left out; 64-bit numbers are strings. */
#include "policy/model_doc.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json_fields.h"
#include "policy/kpolicy.h"

static void put_labels(struct json_put *p, const char *key, const struct labels *l)
{
	if (!l->n)
		return;
	json_put_open(p, key, '{');
	for (size_t i = 0; i < l->n; i++)
		json_put_member(p, l->v[i].key, l->v[i].value);
	json_put_close(p, '}');
}

static void put_label_selector(struct json_put *p, const char *key, const struct label_selector *s)
{
	if (!s->set)
		return;
	json_put_open(p, key, '{');
	if (s->nexprs)
		json_put_open(p, "exprs", '[');
	for (size_t i = 0; i < s->nexprs; i++) {
		const struct label_expr *e = &s->exprs[i];

		json_put_open(p, NULL, '{');
		if (e->nvalues) {
			json_put_open(p, "values", '[');
			for (size_t j = 0; j < e->nvalues; j++)
				json_put_item(p, e->values[j]);
			json_put_close(p, ']');
		}
		json_put_str(p, "key", e->key);
		json_put_num(p, "op", e->op);
		json_put_close(p, '}');
	}
	if (s->nexprs)
		json_put_close(p, ']');
	put_labels(p, "match", &s->match);
	json_put_close(p, '}');
}

static void put_prefix(struct json_put *p, const char *key, const struct prefix *x)
{
	char text[PREFIX_STR_MAX];

	json_put_member(p, key, prefix_str(x, text));
}

static void put_addrs(struct json_put *p, const char *key, const struct addr *a, size_t n)
{
	char text[ADDR_STR_MAX];

	if (!n)
		return;
	json_put_open(p, key, '[');
	for (size_t i = 0; i < n; i++)
		json_put_item(p, addr_str(&a[i], text));
	json_put_close(p, ']');
}

static void put_selector(struct json_put *p, const struct selector *s)
{
	json_put_open(p, NULL, '{');
	json_put_num(p, "kind", s->kind);
	json_put_str(p, "ns", s->ns);
	put_label_selector(p, "nsLabels", &s->ns_labels);
	put_label_selector(p, "labels", &s->labels);
	json_put_str(p, "controllerKind", s->controller_kind);
	json_put_str(p, "controllerName", s->controller_name);
	json_put_str(p, "serviceAccount", s->service_account);
	json_put_str(p, "pod", s->pod);
	json_put_str(p, "podUid", s->pod_uid);
	json_put_str(p, "service", s->service);
	json_put_str(p, "fqdn", s->fqdn);
	json_put_num(p, "reserved", s->reserved);
	if (s->kind == SEL_CIDR) {
		put_prefix(p, "cidr", &s->cidr);
		if (s->nexcept)
			json_put_open(p, "except", '[');
		for (size_t i = 0; i < s->nexcept; i++)
			put_prefix(p, NULL, &s->except[i]);
		if (s->nexcept)
			json_put_close(p, ']');
	}
	json_put_close(p, '}');
}

static void put_selectors(struct json_put *p, const char *key, const struct selector *s, size_t n)
{
	if (!n)
		return;
	json_put_open(p, key, '[');
	for (size_t i = 0; i < n; i++)
		put_selector(p, &s[i]);
	json_put_close(p, ']');
}

static void put_ports(struct json_put *p, const struct port_spec *ports, size_t n)
{
	if (!n)
		return;
	json_put_open(p, "ports", '[');
	for (size_t i = 0; i < n; i++) {
		json_put_open(p, NULL, '{');
		json_put_num(p, "kind", ports[i].kind);
		json_put_num(p, "proto", ports[i].proto);
		json_put_num(p, "from", ports[i].from);
		json_put_num(p, "to", ports[i].to);
		if (ports[i].kind == PORT_ICMP) {
			/* One more than they are: 0 is left out, -1 means any. */
			json_put_num(p, "icmpType", ports[i].icmp_type + 1);
			json_put_num(p, "icmpCode", ports[i].icmp_code + 1);
		}
		json_put_str(p, "name", ports[i].name);
		json_put_close(p, '}');
	}
	json_put_close(p, ']');
}

void model_doc_put_rule(struct buf *b, const struct rule *r)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_num(&p, "id", r->id);
	json_put_str(&p, "name", r->name);
	json_put_str(&p, "ns", r->ns);
	json_put_num(&p, "origin", r->origin);
	json_put_str(&p, "creator", r->creator);
	json_put_i64(&p, "created", r->created_ns);
	json_put_i64(&p, "updated", r->updated_ns);
	json_put_num(&p, "action", r->action);
	json_put_true(&p, "reject", r->reject);
	json_put_num(&p, "mode", r->mode);
	json_put_true(&p, "enabled", r->enabled);
	put_selectors(&p, "from", r->from, r->nfrom);
	put_selectors(&p, "to", r->to, r->nto);
	put_ports(&p, r->ports, r->nports);
	json_put_str(&p, "access", r->access);
	put_labels(&p, "labels", &r->labels);
	json_put_close(&p, '}');
}

void model_doc_put_mode(struct buf *b, const struct mode_setting *m)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_str(&p, "name", m->name);
	json_put_num(&p, "scope", m->scope);
	put_label_selector(&p, "nsLabels", &m->ns_labels);
	json_put_str(&p, "ns", m->ns);
	json_put_str(&p, "controllerKind", m->controller_kind);
	json_put_str(&p, "controllerName", m->controller_name);
	json_put_str(&p, "workload", m->workload);
	json_put_num(&p, "mode", m->mode);
	json_put_num(&p, "default", m->dflt);
	json_put_close(&p, '}');
}

void model_doc_put_quarantine(struct buf *b, const struct quarantine *q)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_str(&p, "name", q->name);
	json_put_str(&p, "ns", q->ns);
	json_put_str(&p, "pod", q->pod);
	json_put_str(&p, "uid", q->uid);
	json_put_str(&p, "controllerKind", q->controller_kind);
	json_put_str(&p, "controllerName", q->controller_name);
	json_put_str(&p, "reason", q->reason);
	json_put_str(&p, "creator", q->creator);
	json_put_i64(&p, "since", q->since_ns);
	json_put_i64(&p, "until", q->until_ns);
	if (q->nallow)
		json_put_open(&p, "allow", '[');
	for (size_t i = 0; i < q->nallow; i++) {
		json_put_open(&p, NULL, '{');
		put_prefix(&p, "cidr", &q->allow[i].cidr);
		put_ports(&p, q->allow[i].ports, q->allow[i].nports);
		json_put_close(&p, '}');
	}
	if (q->nallow)
		json_put_close(&p, ']');
	json_put_close(&p, '}');
}

void model_doc_put_kpolicy(struct buf *b, const struct kpolicy *k)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_num(&p, "id", k->id);
	json_put_str(&p, "creator", k->creator);
	json_put_i64(&p, "created", k->created_ns);
	json_put_i64(&p, "updated", k->updated_ns);
	json_put_str(&p, "object", k->json);
	json_put_close(&p, '}');
}

void model_doc_put_workload(struct buf *b, const struct workload *w)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_str(&p, "ns", w->ns);
	json_put_str(&p, "name", w->name);
	json_put_str(&p, "uid", w->uid);
	put_labels(&p, "labels", &w->labels);
	json_put_str(&p, "controllerKind", w->controller_kind);
	json_put_str(&p, "controllerName", w->controller_name);
	json_put_str(&p, "serviceAccount", w->service_account);
	json_put_str(&p, "node", w->node);
	json_put_str(&p, "modeLabel", w->mode_label);
	put_addrs(&p, "addrs", w->addrs, w->naddrs);
	if (w->nports)
		json_put_open(&p, "ports", '[');
	for (size_t i = 0; i < w->nports; i++) {
		json_put_open(&p, NULL, '{');
		json_put_str(&p, "name", w->ports[i].name);
		json_put_num(&p, "proto", w->ports[i].proto);
		json_put_num(&p, "port", w->ports[i].port);
		json_put_close(&p, '}');
	}
	if (w->nports)
		json_put_close(&p, ']');
	if (w->nimages)
		json_put_open(&p, "images", '[');
	for (size_t i = 0; i < w->nimages; i++) {
		json_put_open(&p, NULL, '{');
		json_put_str(&p, "name", w->images[i].name);
		json_put_str(&p, "digest", w->images[i].digest);
		json_put_close(&p, '}');
	}
	if (w->nimages)
		json_put_close(&p, ']');
	json_put_close(&p, '}');
}

void model_doc_put_namespace(struct buf *b, const struct namespace *n)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_str(&p, "name", n->name);
	put_labels(&p, "labels", &n->labels);
	json_put_close(&p, '}');
}

static void put_backends(struct json_put *p, const struct service *s)
{
	char text[ADDR_STR_MAX];

	json_put_open(p, "backends", '[');
	for (size_t i = 0; i < s->nbackends; i++) {
		const struct service_backend *x = &s->backends[i];

		json_put_open(p, NULL, '{');
		json_put_str(p, "addr", addr_str(&x->addr, text));
		json_put_str(p, "pod", x->pod);
		json_put_true(p, "ready", x->ready);
		if (x->ports && s->nports) {
			json_put_open(p, "ports", '[');
			for (size_t k = 0; k < s->nports; k++)
				json_put_num_item(p, x->ports[k]);
			json_put_close(p, ']');
		}
		json_put_close(p, '}');
	}
	json_put_close(p, ']');
}

void model_doc_put_service(struct buf *b, const struct service *s)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_str(&p, "ns", s->ns);
	json_put_str(&p, "name", s->name);
	put_labels(&p, "labels", &s->labels);
	put_label_selector(&p, "selector", &s->selector);
	put_addrs(&p, "addrs", s->addrs, s->naddrs);
	if (s->nports)
		json_put_open(&p, "ports", '[');
	for (size_t i = 0; i < s->nports; i++) {
		const struct service_port *x = &s->ports[i];

		json_put_open(&p, NULL, '{');
		json_put_str(&p, "name", x->name);
		json_put_num(&p, "proto", x->proto);
		json_put_num(&p, "port", x->port);
		json_put_num(&p, "nodePort", x->node_port);
		json_put_num(&p, "target", x->target);
		json_put_str(&p, "targetName", x->target_name);
		json_put_close(&p, '}');
	}
	if (s->nports)
		json_put_close(&p, ']');
	if (s->nbackends)
		put_backends(&p, s);
	json_put_close(&p, '}');
}

void model_doc_put_node(struct buf *b, const struct node_info *n)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_str(&p, "name", n->name);
	put_labels(&p, "labels", &n->labels);
	put_addrs(&p, "addrs", n->addrs, n->naddrs);
	put_addrs(&p, "told", n->told, n->ntold);
	json_put_close(&p, '}');
}

void model_doc_put_labels(struct buf *b, const struct labels *l)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	put_labels(&p, "labels", l);
	json_put_close(&p, '}');
}

void model_doc_put_settings(struct buf *b, const struct policy_state *s)
{
	struct json_put p = { .b = b };

	json_put_open(&p, NULL, '{');
	json_put_num(&p, "defaultMode", s->default_mode);
	json_put_num(&p, "defaultAction", s->default_action);
	json_put_num(&p, "enforceAlways", s->enforce_always);
	json_put_num(&p, "localNode", s->local_node);
	json_put_true(&p, "labelModes", s->label_modes);
	if (s->ncluster_cidrs) {
		json_put_open(&p, "clusterCidrs", '[');
		for (size_t i = 0; i < s->ncluster_cidrs; i++)
			put_prefix(&p, NULL, &s->cluster_cidrs[i]);
		json_put_close(&p, ']');
	}
	if (s->nignore_labels) {
		json_put_open(&p, "ignoreLabels", '[');
		for (size_t i = 0; i < s->nignore_labels; i++)
			json_put_item(&p, s->ignore_labels[i]);
		json_put_close(&p, ']');
	}
	json_put_close(&p, '}');
}

#define MODEL_DOC_OF(name, type)						\
	char *model_doc_of_##name(const struct type *v)				\
	{									\
		auto_cleanup(buf_done) struct buf b;				\
										\
		buf_init(&b, MODEL_DOC_MAX);					\
		model_doc_put_##name(&b, v);					\
		return buf_take(&b, NULL);					\
	}
MODEL_DOC_OF(rule, rule)
MODEL_DOC_OF(mode, mode_setting)
MODEL_DOC_OF(quarantine, quarantine)
MODEL_DOC_OF(kpolicy, kpolicy)
MODEL_DOC_OF(workload, workload)
MODEL_DOC_OF(namespace, namespace)
MODEL_DOC_OF(labels, labels)
