/* SPDX-License-Identifier: Apache-2.0 */
/*
 * controller.h - the cluster brain: rules, modes, quarantine, inventory, learned accesses, and the
 * one pipeline that every change takes (validate, next state, plan, commit, receipt, undo).
 *
 * Everything runs on the loop thread. The node behind `struct node_ops` may be in this process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/fail.h"
#include "controller/node.h"
#include "policy/state.h"

struct cJSON;
struct controller;
struct http_server;
struct http_request;

/* Borrowed during controller_new() only; everything is copied. Zero and NULL mean the default. */
struct controller_config {
	const char *cluster;		/* shown in every answer; "local" */
	const char *node;		/* this node's name; required */
	const char *store_path;		/* SQLite file; required */
	const char *inventory_path;	/* YAML file that is watched; NULL: none */

	/* Parts of policy_state that come from configuration. */
	enum cw_mode default_mode;	/* taken as it is: 0 is CW_MODE_OFF, installations pass CW_MODE_LEARN */
	enum cw_action default_action;	/* CW_ACT_BLOCK */
	uint32_t enforce_always;	/* bit per enum cw_tier */
	uint32_t local_node;		/* CW_CTL_LOCAL_NODE_* */
	const struct prefix *cluster_cidrs; size_t ncluster_cidrs;
	const char *const *ignore_labels;   size_t nignore_labels;
	const struct addr *node_addrs;	    size_t nnode_addrs;

	/* Learning. */
	const struct prefix *fold_cidrs;    size_t nfold_cidrs;
	uint32_t scan_ports, scan_peers;    /* 100, 50 */
	uint32_t scan_window_s;		    /* 60 */

	uint32_t generations;		    /* states kept for a rollback; 100 */

	/* Who may change things through the socket: root always, and these. */
	const uid_t *write_uids;	size_t nwrite_uids;
	const gid_t *write_gids;	size_t nwrite_gids;

	/* For `config show`: array of {key, value, source}; the caller's, called per request. */
	struct cJSON *(*config_json)(void *arg);
	void *config_arg;

	/* Unix time in ns; NULL: the system's clock. Tests pass their own. */
	int64_t (*now)(void *arg);
	void *now_arg;
};

/*
 * Opens the store and loads what is durable. Does not call the node yet, so that the node can be
 * made with the sink first. On failure f says why and nothing is left open.
 */
int controller_new(uv_loop_t *loop, const struct controller_config *cfg, const struct node_ops *ops,
		   void *node, struct fail_list *f, struct controller **ret);

/* What the node reports to; the argument of its calls is the controller itself. */
const struct node_sink *controller_sink(struct controller *c);

/*
 * Hands the stored state to the node (prepare, commit), attaches declared workloads, starts to watch
 * the inventory file, and starts the timers. If the node refuses the state, f says why and the
 * error is returned; the controller keeps running so that the state can be mended through the API.
 * After a damaged store nothing is handed over until somebody makes a change: what a former process
 * left in force is not replaced by an empty state.
 */
int controller_start(struct controller *c, struct fail_list *f);

/* Adds every /v1 route. Before the server listens. */
int controller_routes(struct controller *c, struct http_server *srv);
/* For http_server_config.authorize, with the controller as its argument: everybody who can open
 * the socket reads; root, this process's own user and the configured uids and gids write. */
int controller_authorize(void *c, const struct http_request *rq, struct fail_list *f);

/* Node addresses changed (found by the agent): who is `host`. Takes effect with the next push. */
int controller_node_addrs(struct controller *c, const struct addr *a, size_t n);

/* What the 1 s timer does: expired confirm windows and quarantines, held accesses, pending pushes.
 * Tests with a clock of their own call it. */
void controller_tick(struct controller *c);

/* Pushes inventory changes that wait for their debounce, now. 0 or the node's errno. */
int controller_flush(struct controller *c);

/* Asynchronous and idempotent: stops timers, ends streams, then calls done once. The server must be
 * closed first. What is in force on the node stays in force. */
void controller_close(struct controller *c, void (*done)(void *arg), void *arg);
