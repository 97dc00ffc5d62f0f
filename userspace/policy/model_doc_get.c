/* SPDX-License-Identifier: Apache-2.0 */
/* model_doc_get.c - JSON to model. The text may be damaged or hostile: every number is checked against its range. */
#include "policy/model_doc.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_fields.h"
#include "policy/kpolicy.h"

#define ITEMS_MAX 100000u /* of any list */

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
	x = json_get_list(v, "exprs", ITEMS_MAX, sizeof(*to->exprs), (void **)&to->exprs, &to->nexprs, err);
	for (; x && !*err; x = x->next, k++) {
		struct label_expr *e = &to->exprs[k];
		const cJSON *s;
		size_t j = 0;

		json_get_str(x, "key", &e->key, err);
		e->op = (enum label_op)json_get_num(x, "op", 0, LABEL_NOT_EXISTS, err);
		s = json_get_list(x, "values", ITEMS_MAX, sizeof(*e->values), (void **)&e->values, &e->nvalues, err);
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

static void get_addrs(const cJSON *o, const char *key, struct addr **to, size_t *n, int *err)
{
	const cJSON *x = json_get_list(o, key, ITEMS_MAX, sizeof(**to), (void **)to, n, err);
	size_t i = 0;

	for (; x && !*err; x = x->next)
		if (!cJSON_IsString(x) || addr_parse(x->valuestring, &(*to)[i++]) < 0)
			*err = -EBADMSG;
}

static void get_selector(const cJSON *o, struct selector *s, int *err)
{
	const cJSON *x;
	size_t i = 0;

	s->kind = (enum selector_kind)json_get_num(o, "kind", 0, SEL_NODES, err);
	json_get_str(o, "ns", &s->ns, err);
	get_label_selector(o, "nsLabels", &s->ns_labels, err);
	get_label_selector(o, "labels", &s->labels, err);
	json_get_str(o, "controllerKind", &s->controller_kind, err);
	json_get_str(o, "controllerName", &s->controller_name, err);
	json_get_str(o, "serviceAccount", &s->service_account, err);
	json_get_str(o, "pod", &s->pod, err);
	json_get_str(o, "podUid", &s->pod_uid, err);
	json_get_str(o, "service", &s->service, err);
	json_get_str(o, "fqdn", &s->fqdn, err);
	s->reserved = (uint32_t)json_get_num(o, "reserved", 0, CW_ID_FIRST_USER - 1, err);
	if (*err || s->kind != SEL_CIDR)
		return;
	get_prefix(json_get(o, "cidr"), &s->cidr, err);
	x = json_get_list(o, "except", ITEMS_MAX, sizeof(*s->except), (void **)&s->except, &s->nexcept, err);
	for (; x && !*err; x = x->next)
		get_prefix(x, &s->except[i++], err);
}

static void get_selectors(const cJSON *o, const char *key, struct selector **to, size_t *n, int *err)
{
	const cJSON *x = json_get_list(o, key, ITEMS_MAX, sizeof(**to), (void **)to, n, err);
	size_t i = 0;

	for (; x && !*err; x = x->next)
		get_selector(x, &(*to)[i++], err);
}

static void get_ports(const cJSON *o, struct port_spec **to, size_t *n, int *err)
{
	const cJSON *x = json_get_list(o, "ports", ITEMS_MAX, sizeof(**to), (void **)to, n, err);
	size_t i = 0;

	for (; x && !*err; x = x->next) {
		struct port_spec *p = &(*to)[i++];

		p->kind = (enum port_kind)json_get_num(x, "kind", 0, PORT_ICMP, err);
		p->proto = (uint8_t)json_get_num(x, "proto", 0, 255, err);
		p->from = (uint16_t)json_get_num(x, "from", 0, 65535, err);
		p->to = (uint16_t)json_get_num(x, "to", 0, 65535, err);
		p->icmp_type = (int)json_get_num(x, "icmpType", 0, 256, err) - 1;
		p->icmp_code = (int)json_get_num(x, "icmpCode", 0, 256, err) - 1;
		json_get_str(x, "name", &p->name, err);
	}
}

static int parse(const char *doc, cJSON **ret)
{
	int r = json_parse(doc, strnlen(doc, MODEL_DOC_MAX + 1), "row", NULL, ret);

	return r ? r : cJSON_IsObject(*ret) ? 0 : -EBADMSG;
}

static int faulty(int err)
{
	return err == -ENOMEM ? err : -EBADMSG;
}

int model_doc_to_rule(const char *doc, struct rule *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct rule r = { };
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	r.id = (uint32_t)json_get_num(o, "id", 0, UINT32_MAX, &err);
	json_get_str(o, "name", &r.name, &err);
	json_get_str(o, "ns", &r.ns, &err);
	r.origin = (enum rule_origin)json_get_num(o, "origin", 0, ORIGIN_BASELINE, &err);
	json_get_str(o, "creator", &r.creator, &err);
	r.created_ns = json_get_i64(o, "created", &err);
	r.updated_ns = json_get_i64(o, "updated", &err);
	r.action = (enum cw_action)json_get_num(o, "action", 0, CW_ACT_BLOCK, &err);
	r.reject = json_get_true(o, "reject", &err);
	r.mode = (enum cw_mode)json_get_num(o, "mode", 0, CW_MODE_ENFORCE, &err);
	r.enabled = json_get_true(o, "enabled", &err);
	get_selectors(o, "from", &r.from, &r.nfrom, &err);
	get_selectors(o, "to", &r.to, &r.nto, &err);
	get_ports(o, &r.ports, &r.nports, &err);
	json_get_str(o, "access", &r.access, &err);
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

int model_doc_to_mode(const char *doc, struct mode_setting *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct mode_setting m = { };
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	json_get_str(o, "name", &m.name, &err);
	get_label_selector(o, "nsLabels", &m.ns_labels, &err);
	m.scope = (enum mode_scope)json_get_num(o, "scope", 0, MODE_WORKLOAD, &err);
	json_get_str(o, "ns", &m.ns, &err);
	json_get_str(o, "controllerKind", &m.controller_kind, &err);
	json_get_str(o, "controllerName", &m.controller_name, &err);
	json_get_str(o, "workload", &m.workload, &err);
	m.mode = (enum cw_mode)json_get_num(o, "mode", 0, CW_MODE_ENFORCE, &err);
	m.dflt = (enum cw_action)json_get_num(o, "default", 0, CW_ACT_BLOCK, &err);
	if (err) {
		mode_setting_done(&m);
		return faulty(err);
	}
	*ret = m;
	return 0;
}

int model_doc_to_quarantine(const char *doc, struct quarantine *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct quarantine q = { };
	const cJSON *x;
	size_t i = 0;
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	json_get_str(o, "name", &q.name, &err);
	json_get_str(o, "ns", &q.ns, &err);
	json_get_str(o, "pod", &q.pod, &err);
	json_get_str(o, "uid", &q.uid, &err);
	json_get_str(o, "controllerKind", &q.controller_kind, &err);
	json_get_str(o, "controllerName", &q.controller_name, &err);
	json_get_str(o, "reason", &q.reason, &err);
	json_get_str(o, "creator", &q.creator, &err);
	q.since_ns = json_get_i64(o, "since", &err);
	q.until_ns = json_get_i64(o, "until", &err);
	x = json_get_list(o, "allow", ITEMS_MAX, sizeof(*q.allow), (void **)&q.allow, &q.nallow, &err);
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

int model_doc_to_kpolicy(const char *doc, struct kpolicy *ret)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL, *obj = NULL;
	auto_free char *creator = NULL, *text = NULL;
	struct kpolicy k = { };
	int64_t id, created, updated;
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	id = json_get_num(o, "id", 1, UINT32_MAX, &err);
	json_get_str(o, "creator", &creator, &err);
	created = json_get_i64(o, "created", &err);
	updated = json_get_i64(o, "updated", &err);
	json_get_str(o, "object", &text, &err);
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

int model_doc_to_workload(const char *doc, struct workload *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct workload w = { };
	const cJSON *x;
	size_t i;
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	json_get_str(o, "ns", &w.ns, &err);
	json_get_str(o, "name", &w.name, &err);
	json_get_str(o, "uid", &w.uid, &err);
	get_labels(o, "labels", &w.labels, &err);
	json_get_str(o, "controllerKind", &w.controller_kind, &err);
	json_get_str(o, "controllerName", &w.controller_name, &err);
	json_get_str(o, "serviceAccount", &w.service_account, &err);
	json_get_str(o, "node", &w.node, &err);
	json_get_str(o, "modeLabel", &w.mode_label, &err);
	get_addrs(o, "addrs", &w.addrs, &w.naddrs, &err);
	x = json_get_list(o, "ports", ITEMS_MAX, sizeof(*w.ports), (void **)&w.ports, &w.nports, &err);
	for (i = 0; x && !err; x = x->next, i++) {
		json_get_str(x, "name", &w.ports[i].name, &err);
		w.ports[i].proto = (uint8_t)json_get_num(x, "proto", 0, 255, &err);
		w.ports[i].port = (uint16_t)json_get_num(x, "port", 0, 65535, &err);
	}
	x = json_get_list(o, "images", ITEMS_MAX, sizeof(*w.images), (void **)&w.images, &w.nimages, &err);
	for (i = 0; x && !err; x = x->next, i++) {
		json_get_str(x, "name", &w.images[i].name, &err);
		json_get_str(x, "digest", &w.images[i].digest, &err);
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

int model_doc_to_namespace(const char *doc, struct namespace *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct namespace n = { };
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	json_get_str(o, "name", &n.name, &err);
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

int model_doc_to_labels(const char *doc, struct labels *ret)
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

static void get_backends(const cJSON *o, struct service *s, int *err)
{
	const cJSON *x = json_get_list(o, "backends", ITEMS_MAX, sizeof(*s->backends), (void **)&s->backends,
				       &s->nbackends, err);

	for (size_t i = 0; x && !*err; x = x->next, i++) {
		struct service_backend *b = &s->backends[i];
		const char *addr = json_str(x, "addr");
		const cJSON *p;
		size_t n = 0, k = 0;

		if (!addr || addr_parse(addr, &b->addr) < 0)
			*err = -EBADMSG;
		json_get_str(x, "pod", &b->pod, err);
		b->ready = json_get_true(x, "ready", err);
		p = json_get_list(x, "ports", ITEMS_MAX, sizeof(*b->ports), (void **)&b->ports, &n, err);
		if (!*err && b->ports && n != s->nports)
			*err = -EBADMSG;
		for (; p && !*err; p = p->next, k++) {
			if (!cJSON_IsNumber(p) || !(p->valuedouble >= 0 && p->valuedouble <= 65535))
				*err = -EBADMSG;
			else
				b->ports[k] = (uint16_t)p->valuedouble;
		}
	}
}

int model_doc_to_service(const char *doc, struct service *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct service s = { };
	const cJSON *x;
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	json_get_str(o, "ns", &s.ns, &err);
	json_get_str(o, "name", &s.name, &err);
	get_labels(o, "labels", &s.labels, &err);
	get_label_selector(o, "selector", &s.selector, &err);
	get_addrs(o, "addrs", &s.addrs, &s.naddrs, &err);
	x = json_get_list(o, "ports", ITEMS_MAX, sizeof(*s.ports), (void **)&s.ports, &s.nports, &err);
	for (size_t i = 0; x && !err; x = x->next, i++) {
		json_get_str(x, "name", &s.ports[i].name, &err);
		s.ports[i].proto = (uint8_t)json_get_num(x, "proto", 0, 255, &err);
		s.ports[i].port = (uint16_t)json_get_num(x, "port", 0, 65535, &err);
		s.ports[i].node_port = (uint16_t)json_get_num(x, "nodePort", 0, 65535, &err);
		s.ports[i].target = (uint16_t)json_get_num(x, "target", 0, 65535, &err);
		json_get_str(x, "targetName", &s.ports[i].target_name, &err);
	}
	get_backends(o, &s, &err);
	if (!err && (!s.ns || !s.name))
		err = -EBADMSG;
	if (err) {
		service_done(&s);
		return faulty(err);
	}
	*ret = s;
	return 0;
}

int model_doc_to_node(const char *doc, struct node_info *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct node_info n = { };
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	json_get_str(o, "name", &n.name, &err);
	get_labels(o, "labels", &n.labels, &err);
	get_addrs(o, "addrs", &n.addrs, &n.naddrs, &err);
	get_addrs(o, "told", &n.told, &n.ntold, &err);
	if (!err && !n.name)
		err = -EBADMSG;
	if (err) {
		node_info_done(&n);
		return faulty(err);
	}
	*ret = n;
	return 0;
}

int model_doc_to_settings(const char *doc, struct policy_state *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct policy_state s = { };
	const cJSON *x;
	size_t i = 0;
	int err = parse(doc, &o);

	if (err < 0)
		return faulty(err);
	s.default_mode = (enum cw_mode)json_get_num(o, "defaultMode", 0, CW_MODE_ENFORCE, &err);
	s.default_action = (enum cw_action)json_get_num(o, "defaultAction", 0, CW_ACT_BLOCK, &err);
	s.enforce_always = (uint32_t)json_get_num(o, "enforceAlways", 0, UINT32_MAX, &err);
	s.local_node = (uint32_t)json_get_num(o, "localNode", 0, CW_CTL_LOCAL_NODE_RULES, &err);
	s.label_modes = json_get_true(o, "labelModes", &err);
	x = json_get_list(o, "clusterCidrs", ITEMS_MAX, sizeof(*s.cluster_cidrs), (void **)&s.cluster_cidrs,
			  &s.ncluster_cidrs, &err);
	for (; x && !err; x = x->next)
		get_prefix(x, &s.cluster_cidrs[i++], &err);
	x = json_get_list(o, "ignoreLabels", ITEMS_MAX, sizeof(*s.ignore_labels), (void **)&s.ignore_labels,
			  &s.nignore_labels, &err);
	for (i = 0; x && !err; x = x->next, i++) {
		s.ignore_labels[i] = cJSON_IsString(x) ? strdup(x->valuestring) : NULL;
		if (!s.ignore_labels[i])
			err = cJSON_IsString(x) ? -ENOMEM : -EBADMSG;
	}
	if (err) {
		policy_state_done(&s);
		return faulty(err);
	}
	*ret = s;
	return 0;
}
