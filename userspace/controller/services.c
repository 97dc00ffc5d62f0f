/* SPDX-License-Identifier: Apache-2.0 */
/* services.c - declared services: put, remove, load. */
#include "controller/services.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "controller/change.h"
#include "controller/inventory.h"
#include "controller/judge.h"
#include "controller/kube_hook.h"
#include "policy/rule_doc.h"

const struct service *state_service(const struct policy_state *st, const char *ns, const char *name)
{
	for (size_t i = 0; i < st->nservices; i++)
		if (str_eq(st->services[i].name, name) && str_eq(st->services[i].ns, ns))
			return &st->services[i];
	return NULL;
}

const struct service *service_of(const struct policy_state *st, const struct workload *w)
{
	for (size_t i = 0; i < st->nservices; i++) {
		const struct service *s = &st->services[i];

		if (!str_eq(s->ns, w->ns))
			continue;
		if (s->selector.set && label_selector_matches(&s->selector, &w->labels))
			return s;
		for (size_t k = 0; k < s->nbackends; k++)
			if (str_set(s->backends[k].pod) && str_eq(s->backends[k].pod, w->name))
				return s;
	}
	return NULL;
}

char *service_ref(const struct service *s)
{
	char *t = NULL;

	return asprintf(&t, "%s/svc/%s", s->ns, s->name) < 0 ? NULL : t;
}

/* Beside the workloads' entries: no workload has a name with a slash. */
static const char *declared_name(const char *name, char out[80])
{
	snprintf(out, 80, "svc/%.63s", name);
	return out;
}

const struct declared *service_declared(const struct controller *c, const char *ns, const char *name)
{
	char key[80];

	return controller_declared(c, ns, declared_name(name, key));
}

const struct service *controller_service(const struct controller *c, const char *ns, const char *name)
{
	const struct declared *d = service_declared(c, ns, name);

	return d && d->at < c->state.nservices ? &c->state.services[d->at] : NULL;
}

bool service_same(const struct service *a, const struct service *b)
{
	auto_cleanup(cJSON_Deletep) cJSON *x = service_to_json(a), *y = service_to_json(b);

	return x && y && cJSON_Compare(x, y, true);
}

/* Into an array of a state, in place of o or behind the others; takes over what *s holds. */
static int state_put(struct policy_state *st, struct service *o, struct service *s)
{
	struct service *v;

	if (o) {
		service_done(o);
		*o = *s;
	} else {
		v = reallocarray(st->services, st->nservices + 1, sizeof(*v));
		if (!v)
			return -ENOMEM;
		st->services = v;
		st->services[st->nservices++] = *s;
	}
	*s = (struct service){};
	return 0;
}

/* Into the inventory; its entry among the declared knows the place. */
static int put(struct controller *c, const struct service *s, enum inventory_source source)
{
	struct service *o = (struct service *)controller_service(c, s->ns, s->name), copy = {};
	char key[80];
	int e = service_copy(s, &copy);

	e = e ?: inventory_declare(c, s->ns, declared_name(s->name, key), NULL, source);
	e = e ?: state_put(&c->state, o, &copy);
	service_done(&copy);
	if (!e && !o)
		controller_declared(c, s->ns, key)->at = c->state.nservices - 1;
	return e;
}

int service_put(struct controller *c, const struct service *s, enum inventory_source source)
{
	int e = 0;

	/* Durable before it is believed. */
	if (source == INVENTORY_API)
		e = store_service_put(c->store, s);
	e = e ?: put(c, s, source);
	controller_dirty(c);
	return e;
}

int service_remove(struct controller *c, const char *ns, const char *name)
{
	struct service *s = (struct service *)controller_service(c, ns, name), *last;
	char key[80];
	bool by_hand;
	size_t at;
	int e;

	if (!s)
		return -ENOENT;
	by_hand = service_declared(c, ns, name)->source != INVENTORY_KUBE;
	if (service_declared(c, ns, name)->source == INVENTORY_API) {
		e = store_service_del(c->store, ns, name);
		if (e && e != -ENOENT)
			return e;
	}
	inventory_forget(c, ns, declared_name(name, key));
	at = (size_t)(s - c->state.services);
	last = &c->state.services[c->state.nservices - 1];
	service_done(s);
	if (s != last) { /* the last one takes its place */
		*s = *last;
		controller_declared(c, s->ns, declared_name(s->name, key))->at = at;
	}
	c->state.nservices--;
	if (by_hand)
		kube_released(c->kube, "service", ns, name);
	controller_dirty(c);
	return 0;
}

static int load_one(void *arg, const struct service *s)
{
	return put(arg, s, INVENTORY_API);
}

int services_load(struct controller *c)
{
	return store_service_each(c->store, load_one, c);
}

int services_check(struct controller *c, const struct service *v, size_t n, struct fail_list *f)
{
	auto_cleanup(policy_state_done) struct policy_state next = {};
	struct judge *j;
	int e = policy_state_copy(&c->state, &next);

	for (size_t i = 0; i < n && !e; i++) {
		struct service copy = {};

		e = service_copy(&v[i], &copy);
		e = e ?: state_put(&next, (struct service *)state_service(&next, v[i].ns, v[i].name), &copy);
		service_done(&copy);
	}
	e = e ?: controller_judge(c, f, &j);
	e = e ?: judge_candidate(j, &next, f);
	if (c->judge)
		judge_candidate_drop(c->judge);
	return e;
}
