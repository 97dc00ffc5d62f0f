/* SPDX-License-Identifier: Apache-2.0 */
/* kpolicy.c - Kubernetes policy objects as plain data, and as one-sided rules. */
#include "policy/kpolicy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/vec.h"
#include "policy/copy.h"
#include "policy/kpolicy_priv.h"

static const struct {
	const char *api, *kind;
} kinds[] = {
	[KPOLICY_NP] = { "networking.k8s.io/v1", "NetworkPolicy" },
	[KPOLICY_ANP] = { "policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy" },
	[KPOLICY_BANP] = { "policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy" },
	[KPOLICY_CNP] = { "policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy" },
};

const char *kpolicy_kind_str(enum kpolicy_kind k)
{
	return (size_t)k < ARRAY_SIZE(kinds) ? kinds[k].kind : "";
}

const char *kpolicy_api_str(enum kpolicy_kind k)
{
	return (size_t)k < ARRAY_SIZE(kinds) ? kinds[k].api : "";
}

bool kpolicy_kind_parse(const char *kind, enum kpolicy_kind *ret)
{
	for (size_t i = 0; kind && i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) == 0) {
			*ret = (enum kpolicy_kind)i;
			return true;
		}
	}
	return false;
}

bool kpolicy_is(const cJSON *obj)
{
	const char *api = json_str(obj, "apiVersion");
	enum kpolicy_kind k;

	return api && kpolicy_kind_parse(json_str(obj, "kind"), &k) && strcmp(api, kinds[k].api) == 0;
}

const char *kpolicy_ref(const struct kpolicy *k, char out[600])
{
	snprintf(out, 600, "%s %s%s%s", kpolicy_kind_str(k->kind), k->ns ? k->ns : "", k->ns ? "/" : "",
		 k->name ? k->name : "");
	return out;
}

/* ---- ownership ----------------------------------------------------------------------------- */

void kpolicy_rule_done(struct kpolicy_rule *r)
{
	free(r->name);
	for (size_t i = 0; i < r->npeers; i++)
		selector_done(&r->peers[i]);
	free(r->peers);
	for (size_t i = 0; i < r->nports; i++)
		port_spec_done(&r->ports[i]);
	free(r->ports);
	*r = (struct kpolicy_rule){};
}

void kpolicy_done(struct kpolicy *k)
{
	free(k->ns);
	free(k->name);
	free(k->creator);
	for (size_t i = 0; i < k->nsubjects; i++)
		selector_done(&k->subjects[i]);
	free(k->subjects);
	for (size_t i = 0; i < k->nrules; i++)
		kpolicy_rule_done(&k->rules[i]);
	free(k->rules);
	free(k->json);
	*k = (struct kpolicy){};
}

static bool dup_to(const char *from, char **to)
{
	if (from)
		*to = strdup(from);
	return !from || *to;
}

static int rule_copy_one(const struct kpolicy_rule *from, struct kpolicy_rule *to)
{
	struct kpolicy_rule c = *from;

	c.name = NULL;
	c.peers = NULL;
	c.ports = NULL;
	c.npeers = c.nports = 0;
	if (!dup_to(from->name, &c.name) || !COPY(peers, selector_copy) || !COPY(ports, port_spec_copy)) {
		kpolicy_rule_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

int kpolicy_copy(const struct kpolicy *from, struct kpolicy *to)
{
	struct kpolicy c = *from;

	c.ns = c.name = c.creator = c.json = NULL;
	c.subjects = NULL;
	c.rules = NULL;
	c.nsubjects = c.nrules = 0;
	if (!dup_to(from->ns, &c.ns) || !dup_to(from->name, &c.name) || !dup_to(from->creator, &c.creator) ||
	    !dup_to(from->json, &c.json) || !COPY(subjects, selector_copy) || !COPY(rules, rule_copy_one)) {
		kpolicy_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

/* ---- one-sided rules ------------------------------------------------------------------------ */

int kpolicy_ir(const struct kpolicy *k, struct ir_rules *to)
{
	const struct ir_rule head = { .rule = k->id, .tier = k->tier, .subjects = k->subjects,
				      .nsubjects = k->nsubjects };
	int32_t index[2] = { 0, 0 };

	for (int s = 0; s < 2; s++) {
		struct ir_rule ir = head;

		if (k->kind != KPOLICY_NP || !k->isolates[s])
			continue;
		ir.side = (enum cw_side)s;
		ir.effect = IR_ISOLATE;
		ir.everyone = true;
		if (vec_push(to, ir))
			return -ENOMEM;
	}
	for (size_t i = 0; i < k->nrules; i++) {
		const struct kpolicy_rule *r = &k->rules[i];
		struct ir_rule ir = head;

		ir.side = r->side;
		ir.effect = r->effect;
		if (k->kind == KPOLICY_NP) {
			/* Rules of a direction that the policy is not about have no effect. */
			if (!k->isolates[r->side])
				continue;
		} else {
			ir.priority = k->priority * KPOLICY_RULES_MAX + index[r->side]++;
		}
		if (!r->everyone && !r->npeers)
			continue; /* matches nobody, but has its place in the order */
		ir.everyone = r->everyone;
		ir.peers = r->peers;
		ir.npeers = r->npeers;
		ir.ports = r->ports;
		ir.nports = r->nports;
		if (vec_push(to, ir))
			return -ENOMEM;
	}
	return 0;
}
