/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - manual and learned rules as objects of other policy languages: NetworkPolicy,
 * ClusterNetworkPolicy (v1alpha2), CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy (v2).
 * Pure: no I/O, no globals.
 *
 * A rule goes out whole or not at all: what the target cannot say is refused rule by rule, with the
 * reason. The default of each namespace goes out too where it decides (block for a target that
 * passes what nothing selects). NetworkPolicies and ClusterNetworkPolicies that come out have been
 * read back by kpolicy_parse().
 *
 * Modes are not exported: the objects mean what the rules mean in enforce. Where a target has no
 * word for a property of workloads (controller, pod, service account) it is said by labels, when
 * labels select exactly the same workloads now; a note says so.
 */
#pragma once

#include <stddef.h>

#include "policy/state.h"

struct cJSON;

enum export_target { EXPORT_NETWORKPOLICY, EXPORT_CLUSTERNETWORKPOLICY, EXPORT_CILIUM };
int export_target_parse(const char *s, enum export_target *ret); /* networkpolicy, ...; -EINVAL */

struct export_word { char *name, *text; }; /* rule, or "(default)"; reason or note */
struct export_result {
	struct cJSON *objects;	/* array */
	size_t nrules;		/* that are in them whole */
	struct export_word *refused;	size_t nrefused;
	struct export_word *notes;	size_t nnotes;
};
void export_result_done(struct export_result *r);

/*
 * Exports n rules of the state. `ns` narrows the defaults to these namespaces (nns 0: all). 0 also when
 * rules were refused; -ENOMEM.
 */
int policy_export(const struct policy_state *st, const struct rule *const *rules, size_t n,
		  const char *const *ns, size_t nns, enum export_target target, struct export_result *ret);
