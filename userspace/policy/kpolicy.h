/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kpolicy.h - Kubernetes policy objects: NetworkPolicy (networking.k8s.io/v1),
 * AdminNetworkPolicy and BaselineAdminNetworkPolicy (policy.networking.k8s.io/v1alpha1),
 * ClusterNetworkPolicy (v1alpha2). Read from YAML or JSON, kept as one plain form, compiled as
 * one-sided rules (ir.h). Pure: no I/O, no globals.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/ir.h"
#include "policy/model.h"

struct cJSON;
struct doc;

enum kpolicy_kind { KPOLICY_NP, KPOLICY_ANP, KPOLICY_BANP, KPOLICY_CNP };

/* One rule of one direction; in the order written. */
struct kpolicy_rule {
	char *name;		/* as given, or NULL */
	enum cw_side side;
	enum ir_effect effect;	/* ALLOW, BLOCK or PASS */
	struct selector *peers;
	size_t npeers;
	bool everyone;		/* every peer, inside and outside; not set and no peers: nobody */
	bool unknown_peer;	/* a peer of a kind unknown here: closed (ALLOW: nobody, else: block all) */
	struct port_spec *ports;
	size_t nports;		/* none: all protocols and ports */
};

struct kpolicy {
	uint32_t id;		/* stable number that events carry, of the rules' number space; 0 = not assigned yet */
	enum kpolicy_kind kind;
	enum cw_tier tier;	/* NETWORKPOLICY, ADMIN or BASELINE */
	char *ns;		/* NP only */
	char *name;
	char *creator;
	int64_t created_ns, updated_ns;
	int32_t priority;	/* ADMIN and BASELINE, the smaller first */
	struct selector *subjects;
	size_t nsubjects;	/* any of them */
	bool isolates[2];	/* NP: by enum cw_side */
	struct kpolicy_rule *rules;
	size_t nrules;
	char *json;		/* the object as compact JSON, defaults as given, without status and managed fields */
};

void kpolicy_done(struct kpolicy *k);
int kpolicy_copy(const struct kpolicy *from, struct kpolicy *to); /* deep; 0 or -ENOMEM */

/* Is this document one of the four kinds (by apiVersion and kind)? */
bool kpolicy_is(const struct cJSON *obj);
/*
 * Reads and validates one object as the API server would (defaults applied, unknown fields are
 * faults; a peer of an admin kind whose only field is unknown is kept as one, see
 * kpolicy_rule.unknown_peer). All faults of the object are found in one run, each named by its path
 * ("spec.ingress[0].ports[1].endPort"). 0: read, or faults were added (d->faults), then *ret is
 * not set; -ENOMEM. The object's prefix and name are d's only within the call.
 */
int kpolicy_read(struct doc *d, const struct cJSON *obj, struct kpolicy *ret);
/* The same from an object on its own (API bodies, watches). `what` names it in faults. -EINVAL, -ENOMEM. */
int kpolicy_parse(const struct cJSON *obj, const char *what, struct fail_list *f, struct kpolicy *ret);

/*
 * Appends the one-sided rules of a policy to a list. They borrow from k. Order within a policy and
 * between policies of a tier is in ir_rule.priority: priority * KPOLICY_RULES_MAX + index.
 */
#define KPOLICY_RULES_MAX 1024
struct ir_rules { struct ir_rule *v; size_t n, cap; };
int kpolicy_ir(const struct kpolicy *k, struct ir_rules *to);

/* "NetworkPolicy shop/api", "ClusterNetworkPolicy deny-all": for people. out: 600 bytes. */
const char *kpolicy_ref(const struct kpolicy *k, char out[600]);
const char *kpolicy_kind_str(enum kpolicy_kind k); /* "NetworkPolicy", ... */
const char *kpolicy_api_str(enum kpolicy_kind k);  /* "networking.k8s.io/v1", ... */
