/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc_emit.c - canonical documents. Key order follows the documentation; what equals its
 * default is left out. A failed allocation is remembered and ends in NULL.
 */
#include "policy/rule_doc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/strparse.h"
#include "policy/doc_priv.h"

struct out {
	bool failed;
};

/* Each takes ownership of `item` and returns it borrowed, NULL once something failed. */
static cJSON *add(struct out *o, cJSON *to, const char *key, cJSON *item)
{
	bool ok = item && to && !o->failed &&
		  (key ? cJSON_AddItemToObject(to, key, item) : cJSON_AddItemToArray(to, item));

	if (ok)
		return item;
	cJSON_Delete(item);
	o->failed = true;
	return NULL;
}

static void add_str(struct out *o, cJSON *to, const char *key, const char *s)
{
	add(o, to, key, cJSON_CreateString(s));
}

static void add_opt(struct out *o, cJSON *to, const char *key, const char *s)
{
	if (s && *s)
		add_str(o, to, key, s);
}

static void add_labels(struct out *o, cJSON *to, const char *key, const struct labels *l)
{
	cJSON *m = add(o, to, key, cJSON_CreateObject());

	for (size_t i = 0; i < l->n; i++)
		add_str(o, m, l->v[i].key, l->v[i].value);
}

static void add_exprs(struct out *o, cJSON *to, const char *key, const struct label_selector *s)
{
	cJSON *list = s->nexprs ? add(o, to, key, cJSON_CreateArray()) : NULL;

	for (size_t i = 0; i < s->nexprs; i++) {
		const struct label_expr *e = &s->exprs[i];
		cJSON *m = add(o, list, NULL, cJSON_CreateObject()), *values;

		add_str(o, m, "key", e->key);
		add_str(o, m, "operator", label_op_words[e->op]);
		values = e->nvalues ? add(o, m, "values", cJSON_CreateArray()) : NULL;
		for (size_t k = 0; k < e->nvalues; k++)
			add_str(o, values, NULL, e->values[k]);
	}
}

/* Labels where there are any; an empty selector of its own says "all". */
static void add_selector(struct out *o, cJSON *to, const char *labels, const char *exprs,
			 const struct label_selector *s)
{
	if (!s->set)
		return;
	if (s->match.n || !s->nexprs)
		add_labels(o, to, labels, &s->match);
	add_exprs(o, to, exprs, s);
}

static void add_controller(struct out *o, cJSON *to, const char *kind, const char *name)
{
	char text[2 * DOC_NAME_MAX];

	if (!kind || !*kind || !name)
		return;
	snprintf(text, sizeof(text), "%s/%s", kind_long(kind), name);
	add_str(o, to, "controller", text);
}

static void add_prefix(struct out *o, cJSON *to, const char *key, const struct prefix *p)
{
	char text[PREFIX_STR_MAX];

	add_str(o, to, key, prefix_str(p, text));
}

static void add_ports(struct out *o, cJSON *to, const struct port_spec *p, size_t n)
{
	cJSON *list = n ? add(o, to, "ports", cJSON_CreateArray()) : NULL;

	for (size_t i = 0; i < n; i++) {
		auto_free char *s = port_spec_str(&p[i]);

		if (s)
			add_str(o, list, NULL, s);
		else
			o->failed = true;
	}
}

static void fill_workload(struct out *o, cJSON *m, const struct selector *s, const char *rule_ns)
{
	bool own = s->ns && rule_ns && strcmp(s->ns, rule_ns) == 0;
	bool bare = !s->ns_labels.set && !s->labels.set && !s->controller_name && !s->service_account &&
		    !s->pod && !s->pod_uid;

	if (s->ns && *s->ns && !own)
		add_str(o, m, "namespace", s->ns);
	add_selector(o, m, "namespaceLabels", "namespaceExpressions", &s->ns_labels);
	/* Something must stand there, or the item would select nothing. */
	if (bare && (own || !s->ns || !*s->ns))
		add(o, m, "labels", cJSON_CreateObject());
	else if (s->labels.match.n || s->labels.nexprs || (s->labels.set && !m->child))
		add_selector(o, m, "labels", "matchExpressions", &s->labels);
	add_controller(o, m, s->controller_kind, s->controller_name);
	add_opt(o, m, "serviceAccount", s->service_account);
	add_opt(o, m, "pod", s->pod);
	add_opt(o, m, "uid", s->pod_uid);
}

static void fill_selector(struct out *o, cJSON *m, const struct selector *s, const char *rule_ns)
{
	cJSON *list;

	switch (s->kind) {
	case SEL_ANY:
		add(o, m, "any", cJSON_CreateTrue());
		break;
	case SEL_WORKLOAD:
		fill_workload(o, m, s, rule_ns);
		break;
	case SEL_SERVICE:
		if (s->ns && !(rule_ns && strcmp(s->ns, rule_ns) == 0))
			add_str(o, m, "namespace", s->ns);
		add_opt(o, m, "service", s->service);
		break;
	case SEL_CIDR:
		add_prefix(o, m, "cidr", &s->cidr);
		list = s->nexcept ? add(o, m, "except", cJSON_CreateArray()) : NULL;
		for (size_t i = 0; i < s->nexcept; i++)
			add_prefix(o, list, NULL, &s->except[i]);
		break;
	case SEL_FQDN:
		add_opt(o, m, "fqdn", s->fqdn);
		break;
	case SEL_RESERVED:
		add_opt(o, m, "reserved", reserved_str(s->reserved));
		break;
	case SEL_NODES:
		add_labels(o, m, "nodeLabels", &s->labels.match);
		add_exprs(o, m, "matchExpressions", &s->labels);
		break;
	}
}

static cJSON *result(struct out *o, cJSON *root)
{
	if (!o->failed)
		return root;
	cJSON_Delete(root);
	return NULL;
}

cJSON *selector_to_json(const struct selector *s, const char *rule_ns)
{
	cJSON *m = cJSON_CreateObject();
	struct out o = { .failed = !m };

	fill_selector(&o, m, s, rule_ns);
	return result(&o, m);
}

static cJSON *begin(struct out *o, const char *kind, const char *name, cJSON **ret_meta)
{
	cJSON *root = cJSON_CreateObject();

	o->failed = !root;
	add_str(o, root, "apiVersion", RULE_DOC_API);
	add_str(o, root, "kind", kind);
	*ret_meta = name ? add(o, root, "metadata", cJSON_CreateObject()) : NULL;
	if (name)
		add_str(o, *ret_meta, "name", name);
	return root;
}

static void add_side(struct out *o, cJSON *spec, const char *key, const struct selector *s, size_t n,
		     const char *ns)
{
	cJSON *list = add(o, spec, key, cJSON_CreateArray());

	for (size_t i = 0; i < n; i++) {
		cJSON *m = add(o, list, NULL, cJSON_CreateObject());

		if (m)
			fill_selector(o, m, &s[i], ns);
	}
}

/* The rule's own labels with the two that say where it comes from, in key order. */
static void add_rule_labels(struct out *o, cJSON *meta, const struct rule *r)
{
	struct labels all;

	if (labels_copy(&r->labels, &all) < 0) {
		o->failed = true;
		return;
	}
	if (r->origin == ORIGIN_LEARNED &&
	    (labels_set(&all, LABEL_ORIGIN, "learned") < 0 ||
	     (r->access && *r->access && labels_set(&all, LABEL_ACCESS, r->access) < 0)))
		o->failed = true;
	if (all.n)
		add_labels(o, meta, "labels", &all);
	labels_done(&all);
}

cJSON *rule_doc_to_json(const struct rule *r)
{
	bool namespaced = r->ns && *r->ns;
	struct out o = {};
	cJSON *meta, *spec, *root;

	root = begin(&o, namespaced ? "AccessRule" : "ClusterAccessRule", r->name ? r->name : "", &meta);
	if (namespaced)
		add_str(&o, meta, "namespace", r->ns);
	add_rule_labels(&o, meta, r);
	spec = add(&o, root, "spec", cJSON_CreateObject());
	add_str(&o, spec, "action", cw_action_str(r->action) ? cw_action_str(r->action) : "");
	if (r->reject)
		add(&o, spec, "reject", cJSON_CreateTrue());
	if (r->mode == CW_MODE_ALERT)
		add_str(&o, spec, "mode", "alert");
	if (!r->enabled)
		add(&o, spec, "enabled", cJSON_CreateFalse());
	add_side(&o, spec, "from", r->from, r->nfrom, r->ns);
	add_side(&o, spec, "to", r->to, r->nto, r->ns);
	add_ports(&o, spec, r->ports, r->nports);
	return result(&o, root);
}

/* A setting made by command has no name: one is made of its target. */
static void mode_name(const struct mode_setting *m, char *out, size_t size)
{
	if (m->name && *m->name)
		snprintf(out, size, "%s", m->name);
	else if (m->scope == MODE_CONTROLLER)
		snprintf(out, size, "%s-%s-%s", m->ns ? m->ns : "", kind_short(m->controller_kind), m->controller_name);
	else if (m->scope == MODE_WORKLOAD)
		snprintf(out, size, "%s-pod-%s", m->ns ? m->ns : "", m->workload);
	else
		snprintf(out, size, "%s", m->scope == MODE_NAMESPACE && m->ns ? m->ns : "cluster");
}

cJSON *mode_doc_to_json(const struct mode_setting *m)
{
	struct out o = {};
	cJSON *meta, *spec, *target, *root;
	char name[3 * DOC_NAME_MAX];

	mode_name(m, name, sizeof(name));
	root = begin(&o, "ModeProfile", name, &meta);
	spec = add(&o, root, "spec", cJSON_CreateObject());
	target = add(&o, spec, "target", cJSON_CreateObject());
	if (m->scope == MODE_CLUSTER)
		add(&o, target, "cluster", cJSON_CreateTrue());
	add_opt(&o, target, "namespace", m->ns);
	if (m->scope == MODE_NAMESPACE && m->ns_labels.set)
		add_labels(&o, target, "namespaceLabels", &m->ns_labels.match);
	add_controller(&o, target, m->controller_kind, m->controller_name);
	add_opt(&o, target, "workload", m->workload);
	add_str(&o, spec, "mode", cw_mode_str(m->mode) ? cw_mode_str(m->mode) : "");
	if (m->dflt != CW_ACT_NONE)
		add_str(&o, spec, "default", m->dflt == CW_ACT_ALLOW ? "allow" : "block");
	return result(&o, root);
}

cJSON *quarantine_doc_to_json(const struct quarantine *q)
{
	struct out o = {};
	cJSON *meta, *spec, *target, *list, *root;
	char when[32];

	root = begin(&o, "Quarantine", q->name ? q->name : "", &meta);
	spec = add(&o, root, "spec", cJSON_CreateObject());
	target = add(&o, spec, "target", cJSON_CreateObject());
	add_opt(&o, target, "namespace", q->ns);
	add_opt(&o, target, "pod", q->pod);
	add_opt(&o, target, "uid", q->uid);
	add_controller(&o, target, q->controller_kind, q->controller_name);
	add_opt(&o, spec, "reason", q->reason);
	if (q->until_ns)
		add_str(&o, spec, "until", time_str(q->until_ns, when));
	list = q->nallow ? add(&o, spec, "allow", cJSON_CreateArray()) : NULL;
	for (size_t i = 0; i < q->nallow; i++) {
		cJSON *m = add(&o, list, NULL, cJSON_CreateObject());

		add_prefix(&o, m, "cidr", &q->allow[i].cidr);
		add_ports(&o, m, q->allow[i].ports, q->allow[i].nports);
	}
	return result(&o, root);
}

static void add_workload(struct out *o, cJSON *list, const struct inventory_workload *w)
{
	cJSON *m = add(o, list, NULL, cJSON_CreateObject()), *sub;
	char text[ADDR_STR_MAX];

	add_opt(o, m, "name", w->w.name);
	add_opt(o, m, "namespace", w->w.ns);
	add_opt(o, m, "netns", w->netns);
	add_opt(o, m, "uid", w->w.uid);
	if (w->w.labels.n)
		add_labels(o, m, "labels", &w->w.labels);
	add_controller(o, m, w->w.controller_kind, w->w.controller_name);
	add_opt(o, m, "serviceAccount", w->w.service_account);
	add_opt(o, m, "node", w->w.node);
	sub = w->w.nports ? add(o, m, "ports", cJSON_CreateArray()) : NULL;
	for (size_t i = 0; i < w->w.nports; i++) {
		cJSON *p = add(o, sub, NULL, cJSON_CreateObject());
		char port[40];

		add_opt(o, p, "name", w->w.ports[i].name);
		add_str(o, p, "port", axis_str(CW_AXIS(w->w.ports[i].proto, w->w.ports[i].port), port));
	}
	sub = w->w.naddrs ? add(o, m, "addresses", cJSON_CreateArray()) : NULL;
	for (size_t i = 0; i < w->w.naddrs; i++)
		add_str(o, sub, NULL, addr_str(&w->w.addrs[i], text));
}

cJSON *inventory_doc_to_json(const struct inventory_workload *w, size_t nw, const struct namespace *ns,
			     size_t nns)
{
	struct out o = {};
	cJSON *meta, *spec, *list, *root = begin(&o, "Inventory", NULL, &meta);

	spec = add(&o, root, "spec", cJSON_CreateObject());
	list = nns ? add(&o, spec, "namespaces", cJSON_CreateArray()) : NULL;
	for (size_t i = 0; i < nns; i++) {
		cJSON *m = add(&o, list, NULL, cJSON_CreateObject());

		add_opt(&o, m, "name", ns[i].name);
		if (ns[i].labels.n)
			add_labels(&o, m, "labels", &ns[i].labels);
	}
	list = nw ? add(&o, spec, "workloads", cJSON_CreateArray()) : NULL;
	for (size_t i = 0; i < nw; i++)
		add_workload(&o, list, &w[i]);
	return result(&o, root);
}

int rule_same(const struct rule *a, const struct rule *b)
{
	auto_cleanup(cJSON_Deletep) cJSON *ja = rule_doc_to_json(a), *jb = NULL;
	auto_free char *sa = NULL, *sb = NULL;

	jb = rule_doc_to_json(b);
	sa = ja ? cJSON_PrintUnformatted(ja) : NULL;
	sb = jb ? cJSON_PrintUnformatted(jb) : NULL;
	if (!sa || !sb)
		return -ENOMEM;
	return strcmp(sa, sb) == 0;
}
