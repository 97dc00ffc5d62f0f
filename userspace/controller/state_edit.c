/* SPDX-License-Identifier: Apache-2.0 */
/* state_edit.c - small edits of a policy_state: add, remove, look up, take over from a snapshot. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/change.h"

/* Grows an exact-size array by one and moves *item in. */
#define ARRAY_ADD(arr, n, item) ({							\
	__typeof__(arr) p_ = reallocarray((arr), (n) + 1, sizeof(*(arr)));		\
	int e_ = -ENOMEM;								\
	if (p_) {									\
		(arr) = p_;								\
		(arr)[(n)++] = *(item);							\
		memset((item), 0, sizeof(*(item)));					\
		e_ = 0;									\
	}										\
	e_; })
#define ARRAY_DEL(arr, n, i, done) do {							\
	done(&(arr)[i]);								\
	memmove(&(arr)[i], &(arr)[(i) + 1], ((n) - (i) - 1) * sizeof(*(arr)));		\
	(n)--;										\
} while (0)

int state_rule_add(struct policy_state *st, struct rule *r)
{
	return ARRAY_ADD(st->rules, st->nrules, r);
}

int state_mode_add(struct policy_state *st, struct mode_setting *m)
{
	return ARRAY_ADD(st->modes, st->nmodes, m);
}

int state_quarantine_add(struct policy_state *st, struct quarantine *q)
{
	return ARRAY_ADD(st->quarantines, st->nquarantines, q);
}

int state_workload_add(struct policy_state *st, struct workload *w)
{
	return ARRAY_ADD(st->workloads, st->nworkloads, w);
}

int state_namespace_add(struct policy_state *st, struct namespace *n)
{
	return ARRAY_ADD(st->namespaces, st->nnamespaces, n);
}

void state_rule_del(struct policy_state *st, size_t i)
{
	ARRAY_DEL(st->rules, st->nrules, i, rule_done);
}

void state_mode_del(struct policy_state *st, size_t i)
{
	ARRAY_DEL(st->modes, st->nmodes, i, mode_setting_done);
}

void state_quarantine_del(struct policy_state *st, size_t i)
{
	ARRAY_DEL(st->quarantines, st->nquarantines, i, quarantine_done);
}

void state_workload_del(struct policy_state *st, size_t i)
{
	ARRAY_DEL(st->workloads, st->nworkloads, i, workload_done);
}

void state_namespace_del(struct policy_state *st, size_t i)
{
	ARRAY_DEL(st->namespaces, st->nnamespaces, i, namespace_done);
}

const struct rule *state_rule(const struct policy_state *st, const char *ns, const char *name)
{
	for (size_t i = 0; i < st->nrules; i++)
		if (str_eq(st->rules[i].name, name) && str_eq(st->rules[i].ns, ns))
			return &st->rules[i];
	return NULL;
}

const struct rule *state_rule_id(const struct policy_state *st, uint32_t id)
{
	for (size_t i = 0; id && i < st->nrules; i++)
		if (st->rules[i].id == id)
			return &st->rules[i];
	return NULL;
}

int state_take(const struct policy_state *from, bool with_quarantine, struct policy_state *st)
{
	struct policy_state part = *from, copy = {};
	int e;

	/* Only what a generation consists of; inventory and configuration stay as they are. */
	part.workloads = NULL, part.nworkloads = 0;
	part.namespaces = NULL, part.nnamespaces = 0;
	part.nodes = NULL, part.nnodes = 0;
	part.services = NULL, part.nservices = 0;
	part.cluster_cidrs = NULL, part.ncluster_cidrs = 0;
	part.ignore_labels = NULL, part.nignore_labels = 0;
	part.node = NULL;
	e = policy_state_copy(&part, &copy);
	if (e)
		return e;
#define SWAP(field) ({ __typeof__(st->field) t_ = st->field; st->field = copy.field; copy.field = t_; })
	SWAP(rules);
	SWAP(nrules);
	SWAP(modes);
	SWAP(nmodes);
	SWAP(kpolicies);
	SWAP(nkpolicies);
	if (with_quarantine) {
		SWAP(quarantines);
		SWAP(nquarantines);
	}
#undef SWAP
	policy_state_done(&copy);
	return 0;
}

struct mode_setting *state_mode_on(struct policy_state *st, const struct mode_setting *m, size_t i)
{
	for (; i < st->nmodes; i++) {
		struct mode_setting *o = &st->modes[i];

		if (o->scope == m->scope && str_eq(o->ns, m->ns) && str_eq(o->workload, m->workload) &&
		    str_eq(o->controller_name, m->controller_name) &&
		    (m->scope != MODE_CONTROLLER || same_kind(o->controller_kind, m->controller_kind)) &&
		    (m->scope != MODE_NAMESPACE || str_set(o->ns)))
			return o;
	}
	return NULL;
}

bool mode_is_label(const struct mode_setting *m)
{
	return str_set(m->name) && !strncmp(m->name, MODE_LABEL_NAME, sizeof(MODE_LABEL_NAME) - 1);
}

char *mode_setting_ref(const struct mode_setting *m)
{
	char *s = NULL;
	int n = 0;

	switch (m->scope) {
	case MODE_CLUSTER:
		return strdup("cluster");
	case MODE_NAMESPACE:
		if (!str_set(m->ns)) {
			auto_free char *labels = labels_str(&m->ns_labels.match);

			n = labels ? asprintf(&s, "namespaces/%s", labels) : -1;
			break;
		}
		n = asprintf(&s, "ns/%s", m->ns);
		break;
	case MODE_CONTROLLER:
		n = asprintf(&s, "%s/%s/%s", m->ns, kind_short(m->controller_kind), m->controller_name);
		break;
	case MODE_WORKLOAD:
		n = asprintf(&s, "%s/pod/%s", m->ns, m->workload);
		break;
	}
	return n < 0 ? NULL : s;
}

char *quarantine_ref(const struct quarantine *q)
{
	char *s = NULL;
	int n;

	if (str_set(q->pod))
		n = asprintf(&s, "%s/pod/%s", q->ns, q->pod);
	else
		n = asprintf(&s, "%s/%s/%s", q->ns, kind_short(q->controller_kind), q->controller_name);
	return n < 0 ? NULL : s;
}

char *rule_ref(const struct rule *r)
{
	char *s = NULL;

	if (!str_set(r->ns))
		return strdup(r->name);
	return asprintf(&s, "%s/%s", r->ns, r->name) < 0 ? NULL : s;
}

bool quarantine_matches(const struct quarantine *q, const struct workload *w)
{
	if (!str_eq(q->ns, w->ns))
		return false;
	if (str_set(q->pod))
		return str_eq(q->pod, w->name) && (!str_set(q->uid) || str_eq(q->uid, w->uid));
	return same_kind(q->controller_kind, w->controller_kind) &&
	       str_eq(q->controller_name, w->controller_name);
}

const struct rule *rule_named(const struct policy_state *st, const char *name)
{
	const char *slash = strchr(name, '/');
	const struct rule *hit = NULL;

	if (slash) {
		auto_free char *ns = strndup(name, (size_t)(slash - name));

		return ns ? state_rule(st, ns, slash + 1) : NULL;
	}
	for (size_t i = 0; i < st->nrules; i++) {
		if (!str_eq(st->rules[i].name, name))
			continue;
		if (!str_set(st->rules[i].ns))
			return &st->rules[i];
		if (hit)
			return NULL;
		hit = &st->rules[i];
	}
	return hit;
}
