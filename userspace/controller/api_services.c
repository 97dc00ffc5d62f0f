/* SPDX-License-Identifier: Apache-2.0 */
/* api_services.c - services: what stands behind which address. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "controller/api_routes.h"
#include "controller/change.h"
#include "controller/inventory.h"
#include "controller/services.h"
#include "policy/rule_doc.h"

#define SERVICE_INPUT_MAX 10000u

/* ---- show ------------------------------------------------------------------------------------------ */

static void endpoint(cJSON *arr, const struct addr *a, const char *ns, const char *pod, bool ready)
{
	cJSON *o = cJSON_CreateObject();
	char text[ADDR_STR_MAX];

	if (a)
		put_str(o, "address", addr_str(a, text));
	if (str_set(pod))
		put_free(o, "workload", text_fmt("%s/pod/%s", ns, pod));
	cJSON_AddBoolToObject(o, "ready", ready);
	put_push(arr, o);
}

static cJSON *view_service(const struct controller *c, const struct service *s)
{
	const struct declared *d = service_declared(c, s->ns, s->name);
	cJSON *o = service_to_json(s), *arr;
	size_t n = 0, ready = 0;

	if (!o)
		return NULL;
	put_free(o, "ref", service_ref(s));
	put_str(o, "source", inventory_source_str(d ? d->source : INVENTORY_API));
	arr = cJSON_AddArrayToObject(o, "endpoints");
	for (size_t i = 0; s->selector.set && i < c->state.nworkloads; i++) {
		const struct workload *w = &c->state.workloads[i];

		if (!str_eq(w->ns, s->ns) || !label_selector_matches(&s->selector, &w->labels))
			continue;
		if (!w->naddrs)
			endpoint(arr, NULL, w->ns, w->name, true);
		for (size_t k = 0; k < w->naddrs; k++)
			endpoint(arr, &w->addrs[k], w->ns, w->name, true);
		n++;
		ready++;
	}
	for (size_t i = 0; i < s->nbackends; i++) {
		endpoint(arr, &s->backends[i].addr, s->ns, s->backends[i].pod, s->backends[i].ready);
		n++;
		ready += s->backends[i].ready;
	}
	put_num(o, "backendCount", (double)n);
	put_num(o, "readyCount", (double)ready);
	return o;
}

static int by_name(const void *x, const void *y)
{
	const struct service *a = *(const struct service *const *)x, *b = *(const struct service *const *)y;
	int r = strcmp(a->ns, b->ns);

	return r ? r : strcmp(a->name, b->name);
}

int api_service_list(struct api *a, cJSON **ret)
{
	const struct policy_state *st = &a->c->state;
	auto_cleanup(words_done) struct words ns = {};
	struct list_meta m = { .scope = &ns };
	auto_free const struct service **v = NULL;
	size_t limit;
	cJSON *items;
	int e = api_q_words(a, "namespace", &ns);

	e = e ?: api_q_limit(a, &limit);
	if (e)
		return e;
	v = calloc(st->nservices + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < st->nservices; i++)
		if (!ns.n || words_have(&ns, st->services[i].ns))
			v[m.total++] = &st->services[i];
	qsort(v, m.total, sizeof(*v), by_name);
	items = cJSON_CreateArray();
	m.truncated = m.total > limit ? m.total - limit : 0;
	for (size_t i = 0; i < m.total && i < limit; i++)
		put_push(items, view_service(a->c, v[i]));
	*ret = api_list(a->c, "ServiceList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

static int no_service(struct api *a, const char *ns, const char *name)
{
	char at[400];

	snprintf(at, sizeof(at), "path: \"%.63s/svc/%.63s\"", ns, name);
	return fail_add(&a->f, -ENOENT, "ref.not-found", at, "a service that is declared", "cellwall service list",
			"no such service");
}

int api_service_show(struct api *a, cJSON **ret)
{
	const char *ns = http_request_param(a->rq, "namespace"), *name = http_request_param(a->rq, "name");
	const struct service *s = state_service(&a->c->state, ns, name);

	if (!s)
		return no_service(a, ns, name);
	*ret = view_service(a->c, s);
	if (!*ret)
		return -ENOMEM;
	cJSON_AddStringToObject(*ret, "apiVersion", API_VERSION);
	cJSON_AddStringToObject(*ret, "kind", "Service");
	return 0;
}

/* ---- declare ------------------------------------------------------------------------------------------ */

struct inputs { struct service *v; size_t n, cap; };

static void inputs_done(struct inputs *l)
{
	for (size_t i = 0; i < l->n; i++)
		service_done(&l->v[i]);
	vec_done(l);
}

static int read_inputs(struct api *a, const cJSON *body, struct inputs *l)
{
	const cJSON *arr = json_get(body, "items"), *i;
	bool many = arr && cJSON_IsArray(arr);
	char at[64];
	int e = 0;

	if (arr && (!many || json_get(body, "name")))
		return fail_add(&a->f, -EINVAL, "body.type", "body.items", "a list of services, and nothing beside it", NULL,
				"the field has the wrong type");
	if (many && (size_t)cJSON_GetArraySize(arr) > SERVICE_INPUT_MAX)
		return fail_add(&a->f, -E2BIG, "body.too-long", "body.items", "at most 10000 services", NULL,
				"there are too many services");
	for (i = many ? arr->child : body; i; i = many ? i->next : NULL) {
		struct service s = {};
		int r;

		snprintf(at, sizeof(at), many ? "body.items[%zu]" : "body", l->n);
		r = service_parse(i, at, &a->f, &s);
		for (size_t k = 0; k < l->n && !r; k++)
			if (str_eq(l->v[k].ns, s.ns) && str_eq(l->v[k].name, s.name))
				r = fail_add(&a->f, -EINVAL, "service.twice", at, "each service once", NULL,
					     "the service is in the list already");
		if (r == -ENOMEM || vec_push(l, s)) {
			service_done(&s);
			return -ENOMEM;
		}
		e = e ?: r;
	}
	return e;
}

static cJSON *service_plan(struct api *a, const struct inputs *l, const char *ops, bool dry, const char *what)
{
	cJSON *o = api_object("Plan"), *arr, *k;
	size_t n[256] = {};

	put_str(o, "what", what);
	cJSON_AddBoolToObject(o, "applied", !dry);
	cJSON_AddBoolToObject(o, "dryRun", dry);
	cJSON_AddBoolToObject(o, "canDrop", false);
	arr = cJSON_AddArrayToObject(o, "changes");
	for (size_t i = 0; i < l->n; i++) {
		const char op[2] = { ops[i], 0 };

		k = cJSON_CreateObject();
		put_str(k, "op", op);
		put_str(k, "kind", "service");
		put_free(k, "name", service_ref(&l->v[i]));
		put_push(arr, k);
		n[(unsigned char)ops[i]]++;
	}
	k = cJSON_AddObjectToObject(o, "counts");
	put_num(k, "add", (double)n['+']);
	put_num(k, "change", (double)n['~']);
	put_num(k, "delete", (double)n['-']);
	put_num(k, "unchanged", (double)n['=']);
	cJSON_AddBoolToObject(o, "noop", n['='] == l->n);
	k = cJSON_AddObjectToObject(o, "generation"); /* the inventory is no part of a generation */
	put_num(k, "from", (double)a->c->state.generation);
	put_num(k, "to", (double)a->c->state.generation);
	return o;
}

/* In one transaction: all of them or none. What is in the state is as before when it fails. */
static int put_all(struct controller *c, const struct inputs *l, const char *ops)
{
	int e = store_begin(c->store, true);

	if (e)
		return e;
	for (size_t i = 0; i < l->n && !e; i++)
		if (ops[i] != '=')
			e = store_service_put(c->store, &l->v[i]);
	if (e)
		store_rollback(c->store);
	else
		e = store_commit(c->store);
	for (size_t i = 0; i < l->n && !e; i++)
		if (ops[i] != '=')
			e = service_put(c, &l->v[i], INVENTORY_API);
	return e;
}

int api_service_add(struct api *a, cJSON **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(inputs_done) struct inputs l = {};
	auto_free char *ops = NULL;
	struct controller *c = a->c;
	int dry, e;

	e = api_q_bool(a, "dryRun", &dry);
	e = e ?: api_body(a, NULL, true, &body);
	e = e ?: read_inputs(a, body, &l);
	if (e)
		return e;
	ops = calloc(l.n + 1, 1);
	if (!ops)
		return -ENOMEM;
	for (size_t i = 0; i < l.n; i++) {
		const struct service *o = controller_service(c, l.v[i].ns, l.v[i].name);

		e = inventory_by_hand(service_declared(c, l.v[i].ns, l.v[i].name), "service", l.v[i].name, &a->f);
		if (e)
			return e;
		ops[i] = !o ? '+' : service_same(o, &l.v[i]) ? '=' : '~';
	}
	e = services_check(c, l.v, l.n, &a->f);
	if (!e && dry != 1) {
		e = put_all(c, &l, ops);
		(void)controller_flush(c); /* refused: status says so, and the timer tries again */
		if (!e)
			controller_note(c, "service.declared", NULL, a->who, "%zu services declared", l.n);
	}
	if (e)
		return e;
	*ret = service_plan(a, &l, ops, dry == 1, "service add");
	return *ret ? 0 : -ENOMEM;
}

int api_service_del(struct api *a, cJSON **ret)
{
	const char *ns = http_request_param(a->rq, "namespace"), *name = http_request_param(a->rq, "name");
	const struct service *s = controller_service(a->c, ns, name);
	auto_cleanup(inputs_done) struct inputs l = {};
	struct service copy = {};
	int dry, e = api_q_bool(a, "dryRun", &dry);

	if (e)
		return e;
	if (!s)
		return no_service(a, ns, name);
	e = inventory_by_hand(service_declared(a->c, ns, name), "service", name, &a->f);
	if (e)
		return e;
	e = service_copy(s, &copy);
	if (e || vec_push(&l, copy)) {
		service_done(&copy);
		return -ENOMEM;
	}
	if (dry != 1) {
		e = service_remove(a->c, copy.ns, copy.name);
		(void)controller_flush(a->c); /* as above */
		if (!e)
			controller_note(a->c, "service.removed", NULL, a->who, "%s/svc/%s", copy.ns, copy.name);
	}
	if (e)
		return e;
	*ret = service_plan(a, &l, "-", dry == 1, "service remove");
	return *ret ? 0 : -ENOMEM;
}
