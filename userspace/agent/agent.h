/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - the node's part: loads the data path, attaches workloads, puts policy in force,
 * reads what the kernel counted. Implements struct node_ops for the controller.
 *
 * Everything runs on the loop thread but what blocks (attaching, waiting for readers, walking
 * tables), which runs on the loop's worker pool. Enforcement outlives the agent: closing it
 * leaves links, programs and maps pinned and in force.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/fail.h"
#include "controller/node.h"

struct agent;
struct http_server;

enum agent_hook { AGENT_HOOK_AUTO, AGENT_HOOK_TCX, AGENT_HOOK_CLSACT };

/* Borrowed during agent_new() only. Zero and NULL mean the default. */
struct agent_config {
	const char *node;	/* this node's name; required */
	const char *pin_root;	/* on a BPF file system; CW_PIN_ROOT */
	const char *state_dir;	/* names of kernel numbers, for a restart; required */
	enum agent_hook hook;	/* AUTO: tcx where the kernel has it */
	bool expedite;		/* short RCU waits while hooks are put up or taken down */
	bool closed;		/* what is attached but not resolved may only do DNS and answer probes */
	uint32_t flows, accesses, pairs, policy_entries, addrs, endpoints, groups, rows; /* map sizes */
	uint32_t share_accesses; /* per workload; 0: computed from the number of workloads */
	uint32_t share_pairs;
	uint32_t ring_bytes;	/* event ring; a power of two, at least a page */
	uint32_t drain_ms;	/* between two drains; 1000 */
	uint32_t repair_ms;	/* between two checks of attachments; 100 */
	uint32_t event_gap_ms;	/* between two events about one access; 1000 */
	uint32_t local_node;	/* CW_CTL_LOCAL_NODE_* */
	const struct prefix *resolvers; /* whose DNS answers are believed; none: every one of the cluster */
	size_t nresolvers;
	uint32_t dns_min_ttl, dns_grace; /* seconds; 60 and 300 */
	uint32_t dns_names;	/* addresses with names, per workload; 1000 */
	uint32_t probe_ms;	/* between two proofs of an attachment; 0: never */
	bool find;		/* attach workloads of this node by the named namespace that has their address */
	const char *cni_conf_dir; /* network configurations of the node, to know the CNI by; NULL: not asked */
	const char *cni_dir;	/* where the chained plugin notes attachments; NULL: none is used */
	uint32_t cni_wait_ms;	/* an ADD waits so long to hear who the workload is; 1000 */
	uint32_t shield_pps;	/* a quarantined workload that keeps sending more gets an XDP shield; 0: never */
};

/*
 * Probes the kernel, loads or adopts the maps and programs, and puts the programs in force: standing
 * attachments go on under the old policy until the first commit. Blocks for some 100 ms.
 * Sink is called on the loop thread only, not before agent_start().
 */
int agent_new(uv_loop_t *loop, const struct agent_config *cfg, struct fail_list *f, struct agent **ret);
void agent_set_sink(struct agent *a, const struct node_sink *sink, void *arg);
/* Adds what the chained CNI plugin asks (/v1/cni/...). After agent_start(), before the server listens. */
int agent_cni_routes(struct agent *a, struct http_server *srv);
/* The plugin in the node's network configuration, as the node sees the paths' content. */
struct agent_cni_install {
	const char *conf_dir, *bin_dir;	/* of the node */
	const char *plugin;	/* the program to copy there */
	const char *socket;	/* of the agent, as the plugin finds it on the node */
	bool closed;		/* agentDown: closed */
	uint32_t timeout_ms;
};
/* Keeps it there from the loop's first turn until the agent closes, which leaves it in. Copied.
 * After agent_start(). -ENOMEM. */
int agent_cni_install(struct agent *a, const struct agent_cni_install *cfg);
/* Timers, event reader, link watch. */
int agent_start(struct agent *a, struct fail_list *f);
/* The node this agent is, as the controller sees it; the `node` argument is the agent. */
const struct node_ops *agent_ops(void);
/* This node's own addresses, as found at start (loopback left out). */
const struct addr *agent_node_addrs(const struct agent *a, size_t *n);
/* Asynchronous, idempotent. Attachments and policy stay in force. */
void agent_close(struct agent *a, void (*done)(void *arg), void *arg);
