/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/copy.h"
#include "policy/kpolicy.h"

#define MODE_LABEL "cellwall.io/mode"

void node_info_done(struct node_info *n)
{
	free(n->name);
	labels_done(&n->labels);
	free(n->addrs);
	free(n->told);
	*n = (struct node_info){};
}

void policy_state_done(struct policy_state *s)
{
	for (size_t i = 0; i < s->nrules; i++)
		rule_done(&s->rules[i]);
	for (size_t i = 0; i < s->nmodes; i++)
		mode_setting_done(&s->modes[i]);
	for (size_t i = 0; i < s->nquarantines; i++)
		quarantine_done(&s->quarantines[i]);
	for (size_t i = 0; i < s->nworkloads; i++)
		workload_done(&s->workloads[i]);
	for (size_t i = 0; i < s->nnamespaces; i++)
		namespace_done(&s->namespaces[i]);
	for (size_t i = 0; i < s->nkpolicies; i++)
		kpolicy_done(&s->kpolicies[i]);
	for (size_t i = 0; i < s->nservices; i++)
		service_done(&s->services[i]);
	for (size_t i = 0; i < s->nnodes; i++)
		node_info_done(&s->nodes[i]);
	for (size_t i = 0; i < s->nignore_labels; i++)
		free(s->ignore_labels[i]);
	free(s->rules);
	free(s->modes);
	free(s->quarantines);
	free(s->workloads);
	free(s->namespaces);
	free(s->kpolicies);
	free(s->services);
	free(s->nodes);
	free(s->cluster_cidrs);
	free(s->ignore_labels);
	free(s->node);
	*s = (struct policy_state){};
}

int node_info_copy(const struct node_info *from, struct node_info *to)
{
	struct node_info c = {};

	if (labels_copy(&from->labels, &c.labels) < 0 ||
	    (from->name && !(c.name = strdup(from->name))) ||
	    (from->naddrs && !(c.addrs = malloc(from->naddrs * sizeof(*c.addrs)))) ||
	    (from->ntold && !(c.told = malloc(from->ntold * sizeof(*c.told))))) {
		node_info_done(&c);
		return -ENOMEM;
	}
	if (from->naddrs)
		memcpy(c.addrs, from->addrs, from->naddrs * sizeof(*c.addrs));
	if (from->ntold)
		memcpy(c.told, from->told, from->ntold * sizeof(*c.told));
	c.naddrs = from->naddrs;
	c.ntold = from->ntold;
	*to = c;
	return 0;
}

static int name_copy(char *const *from, char **to)
{
	*to = strdup(*from ? *from : "");
	return *to ? 0 : -ENOMEM;
}

static int cidr_copy(const struct prefix *from, struct prefix *to)
{
	*to = *from;
	return 0;
}

int policy_state_copy(const struct policy_state *from, struct policy_state *to)
{
	struct policy_state c = {
		.generation = from->generation, .enforce_always = from->enforce_always,
		.local_node = from->local_node, .default_mode = from->default_mode,
		.default_action = from->default_action, .label_modes = from->label_modes,
	};

	if (!COPY(rules, rule_copy) || !COPY(modes, mode_setting_copy) ||
	    !COPY(quarantines, quarantine_copy) || !COPY(workloads, workload_copy) ||
	    !COPY(namespaces, namespace_copy) || !COPY(nodes, node_info_copy) ||
	    !COPY(services, service_copy) ||
	    !COPY(kpolicies, kpolicy_copy) ||
	    !COPY(cluster_cidrs, cidr_copy) || !COPY(ignore_labels, name_copy) ||
	    (from->node && !(c.node = strdup(from->node)))) {
		policy_state_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

/* NULL and "" are the same, and equal to each other only. */
static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_set(const char *s)
{
	return s && *s;
}

static bool same_controller(const char *kind_a, const char *name_a, const char *kind_b,
			    const char *name_b)
{
	if (!is_set(kind_a) || !is_set(kind_b) || !same(name_a, name_b))
		return false;
	/* People write deploy/web, objects say Deployment. */
	return strcmp(kind_a, kind_b) == 0 || strcmp(kind_short(kind_a), kind_short(kind_b)) == 0;
}

static bool setting_covers(const struct mode_setting *m, const struct workload *w,
			   const struct namespace *ns)
{
	static const struct labels none;

	switch (m->scope) {
	case MODE_CLUSTER:
		return true;
	case MODE_NAMESPACE:
		if (is_set(m->ns))
			return same(m->ns, w->ns);
		return label_selector_matches(&m->ns_labels, ns ? &ns->labels : &none);
	case MODE_CONTROLLER:
		return same(m->ns, w->ns) && same_controller(m->controller_kind, m->controller_name,
							     w->controller_kind, w->controller_name);
	case MODE_WORKLOAD:
		return same(m->ns, w->ns) && is_set(m->workload) && same(m->workload, w->name);
	}
	return false;
}

/* Settings that stand in labels have no struct in the state: these say where they come from. */
#define LABEL_SETTINGS(s) { \
	{ .scope = (s), .mode = CW_MODE_OFF }, { .scope = (s), .mode = CW_MODE_LEARN }, \
	{ .scope = (s), .mode = CW_MODE_ALERT }, { .scope = (s), .mode = CW_MODE_ENFORCE } }
static const struct mode_setting ns_label[CW_MODE_COUNT] = LABEL_SETTINGS(MODE_NAMESPACE);
static const struct mode_setting wl_label[CW_MODE_COUNT] = LABEL_SETTINGS(MODE_WORKLOAD);

static const struct namespace *namespace_of(const struct policy_state *s, const char *name)
{
	for (size_t i = 0; i < s->nnamespaces; i++)
		if (same(s->namespaces[i].name, name))
			return &s->namespaces[i];
	return NULL;
}

static const struct mode_setting *label_of_namespace(const struct namespace *ns)
{
	const char *label = ns ? labels_get(&ns->labels, MODE_LABEL) : NULL;
	enum cw_mode mode;

	return label && cw_mode_parse(label, &mode) == 0 ? &ns_label[mode] : NULL;
}

/* Is a a better answer than b (NULL: none yet)? More specific, or as specific and stricter. */
static bool beats(const struct mode_setting *a, const struct mode_setting *b, bool by_default)
{
	if (!b || a->scope != b->scope)
		return !b || a->scope > b->scope;
	return by_default ? a->dflt > b->dflt : a->mode > b->mode;
}

void policy_state_mode(const struct policy_state *s, const struct workload *w, enum cw_mode *ret_mode,
		       enum cw_action *ret_default, const struct mode_setting **ret_from)
{
	const struct namespace *ns = namespace_of(s, w->ns);
	const struct mode_setting *from = NULL, *dflt = NULL, *label = s->label_modes ? NULL : label_of_namespace(ns);
	enum cw_mode mode, own;

	for (size_t i = 0; i < s->nmodes; i++) {
		const struct mode_setting *m = &s->modes[i];

		if (!setting_covers(m, w, ns))
			continue;
		if (beats(m, from, false))
			from = m;
		if (m->dflt != CW_ACT_NONE && beats(m, dflt, true))
			dflt = m;
	}
	if (label && beats(label, from, false))
		from = label;
	mode = from ? from->mode : s->default_mode;
	/* Written by whoever deploys, so it may tighten and never loosen. */
	if (is_set(w->mode_label) && cw_mode_parse(w->mode_label, &own) == 0 && own > mode) {
		mode = own;
		from = &wl_label[own];
	}
	if (ret_mode)
		*ret_mode = mode;
	if (ret_default)
		*ret_default = dflt ? dflt->dflt : s->default_action;
	if (ret_from)
		*ret_from = from;
}

const struct quarantine *policy_state_quarantine(const struct policy_state *s, const struct workload *w)
{
	for (size_t i = 0; i < s->nquarantines; i++) {
		const struct quarantine *q = &s->quarantines[i];

		if (!same(q->ns, w->ns))
			continue;
		if (is_set(q->uid) && !same(q->uid, w->uid))
			continue;
		if (is_set(q->pod) ? same(q->pod, w->name)
				   : same_controller(q->controller_kind, q->controller_name,
						     w->controller_kind, w->controller_name))
			return q;
	}
	return NULL;
}
