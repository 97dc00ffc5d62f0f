/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kpolicies.h - Kubernetes policies in a state: found by what people call them or by the number of
 * a verdict, laid over, compared, shown. Pure but for kpolicy_view(), which asks the controller.
 *
 * A policy is called KIND/NAMESPACE/NAME or KIND/NAME ("NetworkPolicy/shop/api"); the kind in any
 * case or short (netpol, anp, banp, cnp), with a space as well as a slash behind it, and the tier
 * for the kind ("admin deny-all", as in the column BY). Without a kind the name must be the only one.
 */
#pragma once

#include "controller/change.h"
#include "policy/kpolicy.h"

const struct kpolicy *state_kpolicy(const struct policy_state *st, enum kpolicy_kind kind, const char *ns,
				    const char *name);
const struct kpolicy *state_kpolicy_id(const struct policy_state *st, uint32_t id);
const struct kpolicy *kpolicy_named(const struct policy_state *st, const char *text);
int state_kpolicy_add(struct policy_state *st, struct kpolicy *k); /* takes over the contents; 0 or -ENOMEM */
void state_kpolicy_del(struct policy_state *st, size_t i);

/* Lays a document over next: the same text keeps everything, a changed one number, creator, creation time. */
int kpolicy_put(const struct kpolicy *doc, const char *who, int64_t now, struct policy_state *next);
enum rule_origin kpolicy_origin(const struct kpolicy *k);
/* Is the workload a subject? */
bool kpolicy_selects(const struct policy_state *st, const struct kpolicy *k, const struct workload *w);
/* Is it about one of these namespaces: its own, its subjects' or a peer's? */
bool kpolicy_in(const struct kpolicy *k, const struct words *ns);

/* Texts; malloc'ed, NULL without memory. */
char *kpolicy_path(const struct kpolicy *k);	/* "NetworkPolicy/shop/api" */
char *kpolicy_name(const struct kpolicy *k);	/* "shop/api", "deny-all" */
char *kpolicy_text(const struct kpolicy *k);	/* "data app=db: ingress allow shop app=web tcp/5432" */
/* What a verdict's number stands for, rule or policy; also NULL when nothing does. */
char *state_id_ref(const struct policy_state *st, uint32_t id);

/* Lines of a plan, kind "rule" with the tier as origin. 0 or -ENOMEM. */
int state_kpolicies_diff(const struct policy_state *old, const struct policy_state *next, const struct words *touched,
		   struct change_items *l);
/* An item of RuleList. */
struct cJSON *kpolicy_view(const struct kpolicy *k, uint64_t hits, int64_t last_hit_ns);
/* `rule export --as`: the answer for these rules and policies. */
int api_export_as(struct api *a, const char *as, const struct rule *const *rules, size_t nrules,
		  const struct kpolicy *const *k, size_t nk, const struct words *ns, struct cJSON **ret);
/* The object as it was given, for cJSON_Delete. */
struct cJSON *kpolicy_object(const struct kpolicy *k);
