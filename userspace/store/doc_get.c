/* SPDX-License-Identifier: Apache-2.0 */
/* doc_get.c - JSON to model. A row may be damaged: every number is checked against its range. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "policy/kpolicy.h"
#include "store/doc.h"

#define DOC_BYTES_MAX (4u << 20)

/* The first fault sticks; *err is 0, -EBADMSG or -ENOMEM. */
static void get_str(const cJSON *o, const char *key, char **to, int *err)
{
	const cJSON *v = json_get(o, key);

	if (*err || !v)
		return;
	if (!cJSON_IsString(v)) {
		*err = -EBADMSG;
		return;
	}
	*to = strdup(v->valuestring);
	if (!*to)
		*err = -ENOMEM;
}

static int64_t get_num(const cJSON *o, const char *key, int64_t min, int64_t max, int *err)
{
	const cJSON *v = json_get(o, key);
	double d = v ? v->valuedouble : 0;

	if (*err || (!v && min <= 0))
		return 0;
	if (!v || !cJSON_IsNumber(v) || !(d >= (double)min && d <= (double)max) || d != (double)(int64_t)d) {
		*err = -EBADMSG;
		return 0;
	}
	return (int64_t)d;
}

static int64_t get_i64(const cJSON *o, const char *key, int *err)
{
	const cJSON *v = json_get(o, key);
	long long x;
	char *end;

	if (*err || !v)
		return 0;
	if (!cJSON_IsString(v) || !*v->valuestring)
		goto bad;
	errno = 0;
	x = strtoll(v->valuestring, &end, 10);
	if (errno || *end)
		goto bad;
	return x;
bad:
	*err = -EBADMSG;
	return 0;
}

/* Items of an array and zeroed room for them. */
static const cJSON *get_array(const cJSON *o, const char *key, size_t size, void **to, size_t *n, int *err)
{
	const cJSON *v = json_get(o, key);
	int count;

	if (*err || !v)
		return NULL;
	if (!cJSON_IsArray(v)) {
		*err = -EBADMSG;
		return NULL;
	}
	count = cJSON_GetArraySize(v);
	if (count == 0)
		return NULL;
	*to = calloc((size_t)count, size);
	if (!*to) {
		*err = -ENOMEM;
		return NULL;
	}
	*n = (size_t)count;
	return v->child;
}

static void get_labels(const cJSON *o, const char *key, struct labels *to, int *err)
{
	const cJSON *v = json_get(o, key), *i;
	int r;

	if (*err || !v)
		return;
	if (!cJSON_IsObject(v)) {
		*err = -EBADMSG;
		return;
	}
	cJSON_ArrayForEach(i, v) {
		if (!cJSON_IsString(i)) {
			*err = -EBADMSG;
			return;
		}
		r = labels_set(to, i->string, i->valuestring);
		if (r < 0) {
			*err = r;
			return;
		}
	}
}

static void get_label_selector(const cJSON *o, const char *key, struct label_selector *to, int *err)
{
	const cJSON *v = json_get(o, key), *x;
	size_t k = 0;

	if (*err || !v)
		return;
	if (!cJSON_IsObject(v)) {
		*err = -EBADMSG;
		return;
	}
	to->set = true;
	get_labels(v, "match", &to->match, err);
	x = get_array(v, "exprs", sizeof(*to->exprs), (void **)&to->exprs, &to->nexprs, err);
	for (; x && !*err; x = x->next, k++) {
		struct label_expr *e = &to->exprs[k];
		const cJSON *s;
		size_t j = 0;

		get_str(x, "key", &e->key, err);
		e->op = (enum label_op)get_num(x, "op", 0, LABEL_NOT_EXISTS, err);
		s = get_array(x, "values", sizeof(*e->values), (void **)&e->values, &e->nvalues, err);
		for (; s && !*err; s = s->next, j++) {
			e->values[j] = cJSON_IsString(s) ? strdup(s->valuestring) : NULL;
			if (!e->values[j])
				*err = cJSON_IsString(s) ? -ENOMEM : -EBADMSG;
		}
		if (!*err && !e->key)
			*err = -EBADMSG;
	}
}

static void get_prefix(const cJSON *v, struct prefix *to, int *err)
{
	if (!*err && (!cJSON_IsString(v) || prefix_parse(v->valuestring, to) < 0))
		*err = -EBADMSG;
}

static void get_selector(const cJSON *o, struct selector *s, int *err)
{
	const cJSON *x;
	size_t i = 0;

	s->kind = (enum selector_kind)get_num(o, "kind", 0, SEL_NODES, err);
	get_str(o, "ns", &s->ns, err);
	get_label_selector(o, "nsLabels", &s->ns_labels, err);
	get_label_selector(o, "labels", &s->labels, err);
	get_str(o, "controllerKind", &s->controller_kind, err);
	get_str(o, "controllerName", &s->controller_name, err);
	get_str(o, "serviceAccount", &s->service_account, err);
	get_str(o, "pod", &s->pod, err);
	get_str(o, "podUid", &s->pod_uid, err);
	get_str(o, "service", &s->service, err);
	get_str(o, "fqdn", &s->fqdn, err);
	s->reserved = (uint32_t)get_num(o, "reserved", 0, CW_ID_FIRST_USER - 1, err);
	if (*err || s->kind != SEL_CIDR)
		return;
	get_prefix(json_get(o, "cidr"), &s->cidr, err);
	x = get_array(o, "except", sizeof(*s->except), (void **)&s->except, &s->nexcept, err);
	for (; x && !*err; x = x->next)
		get_prefix(x, &s->except[i++], err);
}

static void get_selectors(const cJSON *o, const char *key, struct selector **to, size_t *n, int *err)
{
	const cJSON *x = get_array(o, key, sizeof(**to), (void **)to, n, err);
	size_t i = 0;

	for (; x && !*err; x = x->next)
		get_selector(x, &(*to)[i++], err);
}

static void get_ports(const cJSON *o, struct port_spec **to, size_t *n, int *err)
{
	const cJSON *x = get_array(o, "ports", sizeof(**to), (void **)to, n, err);
	size_t i = 0;

	for (; x && !*err; x = x->next) {
		struct port_spec *p = &(*to)[i++];

		p->kind = (enum port_kind)get_num(x, "kind", 0, PORT_ICMP, err);
		p->proto = (uint8_t)get_num(x, "proto", 0, 255, err);
		p->from = (uint16_t)get_num(x, "from", 0, 65535, err);
		p->to = (uint16_t)get_num(x, "to", 0, 65535, err);
		p->icmp_type = (int)get_num(x, "icmpType", 0, 256, err) - 1;
		p->icmp_code = (int)get_num(x, "icmpCode", 0, 256, err) - 1;
		get_str(x, "name", &p->name, err);
	}
}

static int parse(const char *doc, cJSON **ret)
{
	return json_parse(doc, strnlen(doc, DOC_BYTES_MAX + 1), "row", NULL, ret);
}

static int faulty(int err)
{
	return err == -ENOMEM ? err : -EBADMSG;
}

int store_doc_to_rule(const char *doc, struct rule *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct rule r = { };
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	r.id = (uint32_t)get_num(o, "id", 0, UINT32_MAX, &err);
	get_str(o, "name", &r.name, &err);
	get_str(o, "ns", &r.ns, &err);
	r.origin = (enum rule_origin)get_num(o, "origin", 0, ORIGIN_BASELINE, &err);
	get_str(o, "creator", &r.creator, &err);
	r.created_ns = get_i64(o, "created", &err);
	r.updated_ns = get_i64(o, "updated", &err);
	r.action = (enum cw_action)get_num(o, "action", 0, CW_ACT_BLOCK, &err);
	r.reject = json_bool(o, "reject", false);
	r.mode = (enum cw_mode)get_num(o, "mode", 0, CW_MODE_ENFORCE, &err);
	r.enabled = json_bool(o, "enabled", false);
	get_selectors(o, "from", &r.from, &r.nfrom, &err);
	get_selectors(o, "to", &r.to, &r.nto, &err);
	get_ports(o, &r.ports, &r.nports, &err);
	get_str(o, "access", &r.access, &err);
	get_labels(o, "labels", &r.labels, &err);
	if (!err && !r.name)
		err = -EBADMSG;
	if (err) {
		rule_done(&r);
		return faulty(err);
	}
	*ret = r;
	return 0;
}

int store_doc_to_mode(const char *doc, struct mode_setting *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct mode_setting m = { };
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	m.scope = (enum mode_scope)get_num(o, "scope", 0, MODE_WORKLOAD, &err);
	get_str(o, "ns", &m.ns, &err);
	get_str(o, "controllerKind", &m.controller_kind, &err);
	get_str(o, "controllerName", &m.controller_name, &err);
	get_str(o, "workload", &m.workload, &err);
	m.mode = (enum cw_mode)get_num(o, "mode", 0, CW_MODE_ENFORCE, &err);
	m.dflt = (enum cw_action)get_num(o, "default", 0, CW_ACT_BLOCK, &err);
	if (err) {
		mode_setting_done(&m);
		return faulty(err);
	}
	*ret = m;
	return 0;
}

int store_doc_to_quarantine(const char *doc, struct quarantine *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct quarantine q = { };
	const cJSON *x;
	size_t i = 0;
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	get_str(o, "name", &q.name, &err);
	get_str(o, "ns", &q.ns, &err);
	get_str(o, "pod", &q.pod, &err);
	get_str(o, "uid", &q.uid, &err);
	get_str(o, "controllerKind", &q.controller_kind, &err);
	get_str(o, "controllerName", &q.controller_name, &err);
	get_str(o, "reason", &q.reason, &err);
	get_str(o, "creator", &q.creator, &err);
	q.since_ns = get_i64(o, "since", &err);
	q.until_ns = get_i64(o, "until", &err);
	x = get_array(o, "allow", sizeof(*q.allow), (void **)&q.allow, &q.nallow, &err);
	for (; x && !err; x = x->next, i++) {
		get_prefix(json_get(x, "cidr"), &q.allow[i].cidr, &err);
		get_ports(x, &q.allow[i].ports, &q.allow[i].nports, &err);
	}
	if (!err && !q.name)
		err = -EBADMSG;
	if (err) {
		quarantine_done(&q);
		return faulty(err);
	}
	*ret = q;
	return 0;
}

int store_doc_to_kpolicy(const char *doc, struct kpolicy *ret)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL, *obj = NULL;
	auto_free char *creator = NULL, *text = NULL;
	struct kpolicy k = { };
	int64_t id, created, updated;
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	id = get_num(o, "id", 1, UINT32_MAX, &err);
	get_str(o, "creator", &creator, &err);
	created = get_i64(o, "created", &err);
	updated = get_i64(o, "updated", &err);
	get_str(o, "object", &text, &err);
	if (!err && !text)
		err = -EBADMSG;
	err = err ? err : parse(text, &obj);
	err = err ? err : kpolicy_parse(obj, "row", &f, &k);
	if (err)
		return faulty(err);
	k.id = (uint32_t)id;
	k.created_ns = created;
	k.updated_ns = updated;
	free(k.creator);
	k.creator = take_ptr(creator);
	*ret = k;
	return 0;
}

int store_doc_to_workload(const char *doc, struct workload *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct workload w = { };
	const cJSON *x;
	size_t i = 0;
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	get_str(o, "ns", &w.ns, &err);
	get_str(o, "name", &w.name, &err);
	get_str(o, "uid", &w.uid, &err);
	get_labels(o, "labels", &w.labels, &err);
	get_str(o, "controllerKind", &w.controller_kind, &err);
	get_str(o, "controllerName", &w.controller_name, &err);
	get_str(o, "serviceAccount", &w.service_account, &err);
	get_str(o, "node", &w.node, &err);
	get_str(o, "modeLabel", &w.mode_label, &err);
	x = get_array(o, "addrs", sizeof(*w.addrs), (void **)&w.addrs, &w.naddrs, &err);
	for (; x && !err; x = x->next)
		if (!cJSON_IsString(x) || addr_parse(x->valuestring, &w.addrs[i++]) < 0)
			err = -EBADMSG;
	x = get_array(o, "ports", sizeof(*w.ports), (void **)&w.ports, &w.nports, &err);
	for (i = 0; x && !err; x = x->next, i++) {
		get_str(x, "name", &w.ports[i].name, &err);
		w.ports[i].proto = (uint8_t)get_num(x, "proto", 0, 255, &err);
		w.ports[i].port = (uint16_t)get_num(x, "port", 0, 65535, &err);
	}
	if (!err && (!w.ns || !w.name))
		err = -EBADMSG;
	if (err) {
		workload_done(&w);
		return faulty(err);
	}
	*ret = w;
	return 0;
}

int store_doc_to_namespace(const char *doc, struct namespace *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct namespace n = { };
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	get_str(o, "name", &n.name, &err);
	get_labels(o, "labels", &n.labels, &err);
	if (!err && !n.name)
		err = -EBADMSG;
	if (err) {
		namespace_done(&n);
		return faulty(err);
	}
	*ret = n;
	return 0;
}

int store_doc_to_labels(const char *doc, struct labels *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct labels l = { };
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	get_labels(o, "labels", &l, &err);
	if (err) {
		labels_done(&l);
		return faulty(err);
	}
	*ret = l;
	return 0;
}
