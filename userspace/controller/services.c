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

bool service_from_file(const struct controller *c, const char *ns, const char *name)
{
	char key[80];
	const struct declared *d = controller_declared(c, ns, declared_name(name, key));

	return d && d->from_file;
}

bool service_same(const struct service *a, const struct service *b)
{
	auto_cleanup(cJSON_Deletep) cJSON *x = service_to_json(a), *y = service_to_json(b);

	return x && y && cJSON_Compare(x, y, true);
}

/* Into an array of a state; takes over what *s holds. */
static int state_put(struct policy_state *st, struct service *s)
{
	struct service *o = (struct service *)state_service(st, s->ns, s->name), *v;

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

int service_put(struct controller *c, const struct service *s, bool from_file)
{
	struct service copy = {};
	char key[80];
	int e = service_copy(s, &copy);

	/* Durable before it is believed. */
	if (!e && !from_file)
		e = store_service_put(c->store, s);
	e = e ?: inventory_declare(c, s->ns, declared_name(s->name, key), NULL, from_file);
	e = e ?: state_put(&c->state, &copy);
	service_done(&copy);
	controller_dirty(c);
	return e;
}

int service_remove(struct controller *c, const char *ns, const char *name)
{
	const struct service *s = state_service(&c->state, ns, name);
	size_t i = s ? (size_t)(s - c->state.services) : 0;
	char key[400], word[80];
	struct declared *d;
	int n, e;

	if (!s)
		return -ENOENT;
	if (!service_from_file(c, ns, name)) {
		e = store_service_del(c->store, ns, name);
		if (e && e != -ENOENT)
			return e;
	}
	n = snprintf(key, sizeof(key), "%s/%s", ns, declared_name(name, word));
	d = htab_del(c->declared, key, (size_t)n);
	if (d)
		free(d->netns);
	free(d);
	service_done(&c->state.services[i]);
	memmove(&c->state.services[i], &c->state.services[i + 1], (c->state.nservices - i - 1) * sizeof(*s));
	c->state.nservices--;
	controller_dirty(c);
	return 0;
}

static int load_one(void *arg, const struct service *s)
{
	struct controller *c = arg;
	struct service copy = {};
	char key[80];
	int e = service_copy(s, &copy);

	e = e ?: inventory_declare(c, s->ns, declared_name(s->name, key), NULL, false);
	e = e ?: state_put(&c->state, &copy);
	service_done(&copy);
	return e;
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
		e = e ?: state_put(&next, &copy);
		service_done(&copy);
	}
	e = e ?: controller_judge(c, f, &j);
	e = e ?: judge_candidate(j, &next, f);
	if (c->judge)
		judge_candidate_drop(c->judge);
	return e;
}
