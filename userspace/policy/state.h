/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - one whole desired state: what the controller hands to a node and what compiles.
 * Pure data; a node that holds a state needs nothing else to enforce it.
 */
#pragma once

#include "policy/model.h"

#define STATE_RULES_MAX 100000u
#define STATE_WORKLOADS_MAX 1000000u

struct kpolicy;

/*
 * What becomes of standing flows when a state is put in force: judged again at their next packet, and
 * cut if that says so; the same, and the ends of a TCP flow that is cut get a reset; or whatever
 * passes goes on until the next change that is not made so, and new flows alone feel this one.
 */
enum policy_flows { POLICY_CUT, POLICY_RESET, POLICY_KEEP };

/*
 * A node of the cluster, by its addresses: those the cluster says it has, and those it says of itself
 * (of an overlay, of a bridge). The latter count where no workload and no other node is known to have them.
 */
struct node_info {
	char *name;
	struct labels labels;
	struct addr *addrs;	size_t naddrs;
	struct addr *told;	size_t ntold;
};

struct policy_state {
	uint64_t generation;		/* counts changes of rules, modes, quarantine; shown to people */
	struct rule *rules;		size_t nrules;
	struct mode_setting *modes;	size_t nmodes;
	struct quarantine *quarantines;	size_t nquarantines;
	struct workload *workloads;	size_t nworkloads;
	struct namespace *namespaces;	size_t nnamespaces;
	struct kpolicy *kpolicies;	size_t nkpolicies; /* policy/kpolicy.h */
	struct service *services;	size_t nservices;
	struct node_info *nodes;	size_t nnodes;
	struct prefix *cluster_cidrs;	size_t ncluster_cidrs;
	char **ignore_labels;		size_t nignore_labels; /* left out of identities unless a rule names them */
	char *node;			/* this node's name: whose addresses are `host` */
	uint32_t enforce_always;	/* bit per enum cw_tier whose block drops in every mode but off */
	uint32_t local_node;		/* CW_CTL_LOCAL_NODE_* */
	enum cw_mode default_mode;
	bool label_modes;		/* what namespaces' labels say of modes stands in `modes`: the labels do nothing */
	enum cw_action default_action;	/* CW_ACT_BLOCK unless configured */
};

void node_info_done(struct node_info *n);
int node_info_copy(const struct node_info *from, struct node_info *to); /* deep; 0 or -ENOMEM */
void policy_state_done(struct policy_state *s);
int policy_state_copy(const struct policy_state *from, struct policy_state *to); /* deep; 0 or -ENOMEM */

/* The mode and default in force for a workload, and the setting it comes from (NULL: cluster
 * default). Most specific wins; a workload's own label may only make it stricter. */
void policy_state_mode(const struct policy_state *s, const struct workload *w, enum cw_mode *ret_mode,
		       enum cw_action *ret_default, const struct mode_setting **ret_from);
/* The quarantine that holds for a workload now, or NULL. */
const struct quarantine *policy_state_quarantine(const struct policy_state *s, const struct workload *w);
