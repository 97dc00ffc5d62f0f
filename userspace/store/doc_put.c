/* SPDX-License-Identifier: Apache-2.0 */
/* doc_put.c - model to JSON. Unset fields are left out; 64-bit numbers are strings, as JSON's are doubles. */
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "policy/kpolicy.h"
#include "store/doc.h"

/* One failure anywhere makes the whole document fail: `bad` is looked at once, at the end. */
struct put { bool bad; };

static void put_item(struct put *p, cJSON *to, const char *key, cJSON *v)
{
	if (v && (key ? cJSON_AddItemToObject(to, key, v) : cJSON_AddItemToArray(to, v)))
		return;
	cJSON_Delete(v);
	p->bad = true;
}

static void put_str(struct put *p, cJSON *o, const char *key, const char *s)
{
	if (s && *s)
		put_item(p, o, key, cJSON_CreateString(s));
}

static void put_num(struct put *p, cJSON *o, const char *key, int64_t v)
{
	if (v)
		put_item(p, o, key, cJSON_CreateNumber((double)v)); /* callers: below 2^53 */
}

static void put_i64(struct put *p, cJSON *o, const char *key, int64_t v)
{
	char text[24];

	if (!v)
		return;
	(void)snprintf(text, sizeof(text), "%lld", (long long)v);
	put_str(p, o, key, text);
}

static void put_bool(struct put *p, cJSON *o, const char *key, bool v)
{
	if (v)
		put_item(p, o, key, cJSON_CreateTrue());
}

static cJSON *put_array(struct put *p, cJSON *o, const char *key, size_t n)
{
	cJSON *a = n ? cJSON_CreateArray() : NULL;

	if (!n)
		return NULL;
	put_item(p, o, key, a);
	return p->bad ? NULL : a;
}

static cJSON *put_object(struct put *p, cJSON *o, const char *key)
{
	cJSON *v = cJSON_CreateObject();

	put_item(p, o, key, v);
	return p->bad ? NULL : v;
}

static void put_labels(struct put *p, cJSON *o, const char *key, const struct labels *l)
{
	cJSON *v = l->n ? put_object(p, o, key) : NULL;

	for (size_t i = 0; v && i < l->n; i++)
		put_item(p, v, l->v[i].key, cJSON_CreateString(l->v[i].value ? l->v[i].value : ""));
}

static void put_label_selector(struct put *p, cJSON *o, const char *key, const struct label_selector *s)
{
	cJSON *v = s->set ? put_object(p, o, key) : NULL;
	cJSON *exprs = v ? put_array(p, v, "exprs", s->nexprs) : NULL;

	if (!v)
		return;
	put_labels(p, v, "match", &s->match);
	for (size_t i = 0; exprs && i < s->nexprs; i++) {
		const struct label_expr *e = &s->exprs[i];
		cJSON *x = put_object(p, exprs, NULL);
		cJSON *values = x ? put_array(p, x, "values", e->nvalues) : NULL;

		if (!x)
			return;
		put_str(p, x, "key", e->key);
		put_num(p, x, "op", e->op);
		for (size_t j = 0; values && j < e->nvalues; j++)
			put_item(p, values, NULL, cJSON_CreateString(e->values[j]));
	}
}

static void put_prefix(struct put *p, cJSON *o, const char *key, const struct prefix *x)
{
	char text[PREFIX_STR_MAX];

	put_item(p, o, key, cJSON_CreateString(prefix_str(x, text)));
}

static void put_selector(struct put *p, cJSON *to, const struct selector *s)
{
	cJSON *o = put_object(p, to, NULL);
	cJSON *except;

	if (!o)
		return;
	put_num(p, o, "kind", s->kind);
	put_str(p, o, "ns", s->ns);
	put_label_selector(p, o, "nsLabels", &s->ns_labels);
	put_label_selector(p, o, "labels", &s->labels);
	put_str(p, o, "controllerKind", s->controller_kind);
	put_str(p, o, "controllerName", s->controller_name);
	put_str(p, o, "serviceAccount", s->service_account);
	put_str(p, o, "pod", s->pod);
	put_str(p, o, "podUid", s->pod_uid);
	put_str(p, o, "service", s->service);
	put_str(p, o, "fqdn", s->fqdn);
	put_num(p, o, "reserved", s->reserved);
	if (s->kind != SEL_CIDR)
		return;
	put_prefix(p, o, "cidr", &s->cidr);
	except = put_array(p, o, "except", s->nexcept);
	for (size_t i = 0; except && i < s->nexcept; i++)
		put_prefix(p, except, NULL, &s->except[i]);
}

static void put_ports(struct put *p, cJSON *o, const struct port_spec *ports, size_t n)
{
	cJSON *a = put_array(p, o, "ports", n);

	for (size_t i = 0; a && i < n; i++) {
		cJSON *x = put_object(p, a, NULL);

		if (!x)
			return;
		put_num(p, x, "kind", ports[i].kind);
		put_num(p, x, "proto", ports[i].proto);
		put_num(p, x, "from", ports[i].from);
		put_num(p, x, "to", ports[i].to);
		if (ports[i].kind == PORT_ICMP) {
			/* One more than they are: 0 is left out, -1 means any. */
			put_num(p, x, "icmpType", ports[i].icmp_type + 1);
			put_num(p, x, "icmpCode", ports[i].icmp_code + 1);
		}
		put_str(p, x, "name", ports[i].name);
	}
}

static char *finish(struct put *p, cJSON *o)
{
	char *text = p->bad || !o ? NULL : cJSON_PrintUnformatted(o);

	cJSON_Delete(o);
	return text;
}

char *store_doc_of_rule(const struct rule *r)
{
	struct put p = { };
	cJSON *o = cJSON_CreateObject(), *a;

	if (!o)
		return NULL;
	put_num(&p, o, "id", r->id);
	put_str(&p, o, "name", r->name);
	put_str(&p, o, "ns", r->ns);
	put_num(&p, o, "origin", r->origin);
	put_str(&p, o, "creator", r->creator);
	put_i64(&p, o, "created", r->created_ns);
	put_i64(&p, o, "updated", r->updated_ns);
	put_num(&p, o, "action", r->action);
	put_bool(&p, o, "reject", r->reject);
	put_num(&p, o, "mode", r->mode);
	put_bool(&p, o, "enabled", r->enabled);
	a = put_array(&p, o, "from", r->nfrom);
	for (size_t i = 0; a && i < r->nfrom; i++)
		put_selector(&p, a, &r->from[i]);
	a = put_array(&p, o, "to", r->nto);
	for (size_t i = 0; a && i < r->nto; i++)
		put_selector(&p, a, &r->to[i]);
	put_ports(&p, o, r->ports, r->nports);
	put_str(&p, o, "access", r->access);
	put_labels(&p, o, "labels", &r->labels);
	return finish(&p, o);
}

char *store_doc_of_mode(const struct mode_setting *m)
{
	struct put p = { };
	cJSON *o = cJSON_CreateObject();

	if (!o)
		return NULL;
	put_num(&p, o, "scope", m->scope);
	put_str(&p, o, "ns", m->ns);
	put_str(&p, o, "controllerKind", m->controller_kind);
	put_str(&p, o, "controllerName", m->controller_name);
	put_str(&p, o, "workload", m->workload);
	put_num(&p, o, "mode", m->mode);
	put_num(&p, o, "default", m->dflt);
	return finish(&p, o);
}

char *store_doc_of_quarantine(const struct quarantine *q)
{
	struct put p = { };
	cJSON *o = cJSON_CreateObject(), *a;

	if (!o)
		return NULL;
	put_str(&p, o, "name", q->name);
	put_str(&p, o, "ns", q->ns);
	put_str(&p, o, "pod", q->pod);
	put_str(&p, o, "uid", q->uid);
	put_str(&p, o, "controllerKind", q->controller_kind);
	put_str(&p, o, "controllerName", q->controller_name);
	put_str(&p, o, "reason", q->reason);
	put_str(&p, o, "creator", q->creator);
	put_i64(&p, o, "since", q->since_ns);
	put_i64(&p, o, "until", q->until_ns);
	a = put_array(&p, o, "allow", q->nallow);
	for (size_t i = 0; a && i < q->nallow; i++) {
		cJSON *x = put_object(&p, a, NULL);

		if (!x)
			break;
		put_prefix(&p, x, "cidr", &q->allow[i].cidr);
		put_ports(&p, x, q->allow[i].ports, q->allow[i].nports);
	}
	return finish(&p, o);
}

char *store_doc_of_kpolicy(const struct kpolicy *k)
{
	struct put p = { };
	cJSON *o = cJSON_CreateObject();

	if (!o)
		return NULL;
	put_num(&p, o, "id", k->id);
	put_str(&p, o, "creator", k->creator);
	put_i64(&p, o, "created", k->created_ns);
	put_i64(&p, o, "updated", k->updated_ns);
	put_str(&p, o, "object", k->json);
	return finish(&p, o);
}

char *store_doc_of_workload(const struct workload *w)
{
	struct put p = { };
	cJSON *o = cJSON_CreateObject(), *a;
	char text[ADDR_STR_MAX];

	if (!o)
		return NULL;
	put_str(&p, o, "ns", w->ns);
	put_str(&p, o, "name", w->name);
	put_str(&p, o, "uid", w->uid);
	put_labels(&p, o, "labels", &w->labels);
	put_str(&p, o, "controllerKind", w->controller_kind);
	put_str(&p, o, "controllerName", w->controller_name);
	put_str(&p, o, "serviceAccount", w->service_account);
	put_str(&p, o, "node", w->node);
	put_str(&p, o, "modeLabel", w->mode_label);
	a = put_array(&p, o, "addrs", w->naddrs);
	for (size_t i = 0; a && i < w->naddrs; i++)
		put_item(&p, a, NULL, cJSON_CreateString(addr_str(&w->addrs[i], text)));
	a = put_array(&p, o, "ports", w->nports);
	for (size_t i = 0; a && i < w->nports; i++) {
		cJSON *x = put_object(&p, a, NULL);

		if (!x)
			break;
		put_str(&p, x, "name", w->ports[i].name);
		put_num(&p, x, "proto", w->ports[i].proto);
		put_num(&p, x, "port", w->ports[i].port);
	}
	return finish(&p, o);
}

char *store_doc_of_namespace(const struct namespace *n)
{
	struct put p = { };
	cJSON *o = cJSON_CreateObject();

	if (!o)
		return NULL;
	put_str(&p, o, "name", n->name);
	put_labels(&p, o, "labels", &n->labels);
	return finish(&p, o);
}

char *store_doc_of_labels(const struct labels *l)
{
	struct put p = { };
	cJSON *o = cJSON_CreateObject();

	if (!o)
		return NULL;
	put_labels(&p, o, "labels", l);
	return finish(&p, o);
}
