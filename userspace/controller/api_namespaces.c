/* SPDX-License-Identifier: Apache-2.0 */
/* api_namespaces.c - namespaces with their labels. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/api_routes.h"
#include "controller/change.h"
#include "controller/inventory.h"
#include "controller/kube_hook.h"

static size_t workloads_in(const struct policy_state *st, const char *ns)
{
	size_t n = 0;

	for (size_t i = 0; i < st->nworkloads; i++)
		n += str_eq(st->workloads[i].ns, ns);
	return n;
}

static cJSON *view_namespace(const struct controller *c, const char *name, const struct namespace *n)
{
	const struct workload any = { .ns = (char *)name };
	const struct mode_setting *from;
	enum cw_mode mode;
	enum cw_action dflt;
	cJSON *o = cJSON_CreateObject(), *l;

	policy_state_mode(&c->state, &any, &mode, &dflt, &from);
	put_str(o, "name", name);
	l = cJSON_AddObjectToObject(o, "labels");
	for (size_t i = 0; n && i < n->labels.n; i++)
		cJSON_AddStringToObject(l, n->labels.v[i].key, n->labels.v[i].value);
	put_num(o, "workloads", (double)workloads_in(&c->state, name));
	put_str(o, "mode", cw_mode_str(mode));
	put_str(o, "from", mode_from_word(&c->state, &any));
	put_str(o, "default", cw_action_str(dflt));
	return o;
}

int namespaces_known(const struct controller *c, struct words *ret)
{
	struct htab *seen = htab_new();
	struct words w = {};
	size_t cap = c->state.nnamespaces + c->state.nworkloads;
	int e = seen ? 0 : -ENOMEM;

	w.v = calloc(cap ? cap : 1, sizeof(*w.v));
	if (!w.v)
		e = -ENOMEM;
	for (size_t i = 0; i < cap && !e; i++) {
		const char *s = i < c->state.nnamespaces ? c->state.namespaces[i].name :
							   c->state.workloads[i - c->state.nnamespaces].ns;

		if (htab_has(seen, s, strlen(s)))
			continue;
		e = htab_set(seen, s, strlen(s), seen, NULL);
		w.v[w.n] = strdup(s);
		e = e ?: w.v[w.n] ? 0 : -ENOMEM;
		w.n += w.v[w.n] != NULL;
	}
	htab_free(seen, NULL);
	if (e) {
		words_done(&w);
		return e;
	}
	words_sort(&w);
	*ret = w;
	return 0;
}

int api_namespace_list(struct api *a, cJSON **ret)
{
	auto_cleanup(words_done) struct words ns = {}, all = {};
	struct list_meta m = { .scope = &ns };
	cJSON *items;
	int e;

	e = api_q_words(a, "namespace", &ns);
	e = e ?: namespaces_known(a->c, &all);
	if (e)
		return e;
	items = cJSON_CreateArray();
	for (size_t i = 0; i < all.n; i++) {
		if (ns.n && !words_have(&ns, all.v[i]))
			continue;
		put_push(items, view_namespace(a->c, all.v[i], state_namespace(&a->c->state, all.v[i])));
		m.total++;
	}
	*ret = api_list(a->c, "NamespaceList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

static cJSON *namespace_plan(struct api *a, const char *name, char op, bool dry)
{
	const char word[2] = { op, 0 };
	cJSON *o = api_object("Plan"), *arr, *k;

	put_str(o, "what", "namespace");
	cJSON_AddBoolToObject(o, "applied", !dry);
	cJSON_AddBoolToObject(o, "dryRun", dry);
	cJSON_AddBoolToObject(o, "noop", op == '=');
	cJSON_AddBoolToObject(o, "canDrop", false);
	arr = cJSON_AddArrayToObject(o, "changes");
	k = cJSON_CreateObject();
	put_str(k, "op", word);
	put_str(k, "kind", "namespace");
	put_str(k, "name", name);
	put_push(arr, k);
	k = cJSON_AddObjectToObject(o, "generation");
	put_num(k, "from", (double)a->c->state.generation);
	put_num(k, "to", (double)a->c->state.generation);
	return o;
}

static bool same_labels(const struct labels *a, const struct labels *b)
{
	auto_free char *x = labels_str(a), *y = labels_str(b);

	return x && y && !strcmp(x, y);
}

static struct namespace *declared_namespace(const struct controller *c, const char *name)
{
	const struct declared *d = controller_declared(c, name, "");

	return d && d->at < c->state.nnamespaces ? &c->state.namespaces[d->at] : NULL;
}

int namespace_put(struct controller *c, const struct namespace *n, enum inventory_source source)
{
	struct namespace *o = declared_namespace(c, n->name), copy = {};
	int e = namespace_copy(n, &copy);

	if (!e && source == INVENTORY_API)
		e = store_namespace_put(c->store, n);
	e = e ?: inventory_declare(c, n->name, "", NULL, source);
	if (e) {
		namespace_done(&copy);
		return e;
	}
	if (o) {
		namespace_done(o);
		*o = copy;
	} else {
		e = state_namespace_add(&c->state, &copy);
		if (!e)
			controller_declared(c, n->name, "")->at = c->state.nnamespaces - 1;
		namespace_done(&copy);
	}
	controller_dirty(c);
	return e;
}

int namespace_remove(struct controller *c, const char *name)
{
	struct namespace *n = declared_namespace(c, name), *last;
	bool by_hand;
	size_t at;
	int e;

	if (!n)
		return -ENOENT;
	by_hand = controller_declared(c, name, "")->source != INVENTORY_KUBE;
	if (controller_declared(c, name, "")->source == INVENTORY_API) {
		e = store_namespace_del(c->store, name);
		if (e && e != -ENOENT)
			return e;
	}
	inventory_forget(c, name, "");
	at = (size_t)(n - c->state.namespaces);
	last = &c->state.namespaces[c->state.nnamespaces - 1];
	namespace_done(n);
	if (n != last) { /* the last one takes its place */
		*n = *last;
		controller_declared(c, n->name, "")->at = at;
	}
	c->state.nnamespaces--;
	if (by_hand)
		kube_released(c->kube, "namespace", name, "");
	controller_dirty(c);
	return 0;
}

int api_namespace_put(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "labels", NULL };
	const char *name = http_request_param(a->rq, "name");
	const struct namespace *old = state_namespace(&a->c->state, name);
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(namespace_done) struct namespace n = {};
	char at[200];
	char op;
	int dry, e;

	e = api_q_bool(a, "dryRun", &dry);
	e = e ?: api_body(a, keys, false, &body);
	if (e)
		return e;
	if (!is_dns_label(name)) {
		snprintf(at, sizeof(at), "path: \"%.100s\"", name);
		return fail_add(&a->f, -EINVAL, "namespace.name", at, "a DNS label of at most 63 characters", NULL,
				"this is not a namespace name");
	}
	e = inventory_by_hand(controller_declared(a->c, name, ""), "namespace", name, &a->f);
	e = e ?: body_labels(&a->f, body, "body", "labels", &n.labels);
	if (e)
		return e;
	n.name = strdup(name);
	if (!n.name)
		return -ENOMEM;
	op = !old ? '+' : same_labels(&old->labels, &n.labels) ? '=' : '~';
	if (dry != 1 && op != '=') {
		e = namespace_put(a->c, &n, INVENTORY_API);
		if (e)
			return e;
		(void)controller_flush(a->c); /* refused: status says so, and the timer tries again */
		controller_note(a->c, "namespace.declared", NULL, a->who, "%s", name);
	}
	*ret = namespace_plan(a, name, op, dry == 1);
	return *ret ? 0 : -ENOMEM;
}

int api_namespace_del(struct api *a, cJSON **ret)
{
	const char *name = http_request_param(a->rq, "name");
	const struct namespace *old = state_namespace(&a->c->state, name);
	char at[200], next[320];
	int dry, e;

	e = api_q_bool(a, "dryRun", &dry);
	if (e)
		return e;
	snprintf(at, sizeof(at), "path: \"%.100s\"", name);
	snprintf(next, sizeof(next), "cellwall workload list -n %.253s", name);
	if (!old)
		return fail_add(&a->f, -ENOENT, "ref.not-found", at, "a namespace that is declared", NULL,
				"no such namespace");
	e = inventory_by_hand(controller_declared(a->c, name, ""), "namespace", name, &a->f);
	if (e)
		return e;
	if (workloads_in(&a->c->state, name))
		return fail_add(&a->f, -EBUSY, "namespace.in-use", at, "a namespace without workloads", next,
				"%zu workloads are in it", workloads_in(&a->c->state, name));
	if (dry != 1) {
		auto_free char *copy = strdup(name);

		e = copy ? namespace_remove(a->c, copy) : -ENOMEM;
		if (e)
			return e;
		(void)controller_flush(a->c); /* as above */
	}
	*ret = namespace_plan(a, name, '-', dry == 1);
	return *ret ? 0 : -ENOMEM;
}
