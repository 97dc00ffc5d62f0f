/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - the controller's end of many nodes: listens for agents, hands them the state, takes
 * their reports, and is one `struct node_ops` for the controller. A node of this process may be a
 * member too (role `all`).
 *
 * prepare() checks and encodes aside; with a local member it is prepared too and may refuse. commit()
 * publishes: the local member is in force when it returns, the agents get it at once and their
 * receipts come through node_sink.receipt. Everything runs on the loop thread.
 */
#pragma once

#include <uv.h>

#include "controller/node.h"
#include "wire/conn.h"

struct fleet;
struct fleet_enrol;

/* Borrowed during fleet_new() only; zero and NULL mean the default. */
struct fleet_config {
	const char *name;		/* the controller's, told to agents and shown to people */
	uint32_t ping_ms, idle_ms;	/* 10,000 and 30,000 */
	uint32_t forget_s;		/* a node that is gone for so long is no longer listed; 86,400 */
	uint32_t nodes_max;		/* connections; 10,000 */
	size_t log_max;			/* changed records remembered for deltas */
	unsigned version_min, version_max; /* WIRE_VERSION_MIN, WIRE_VERSION; tests pass others */
	const struct node_ops *local;	/* member of this process, or NULL */
	void *local_node;
	const char *local_name;
	/* Agents that come without a certificate; NULL: they are refused. Answered later, by fleet_enrol_answer. */
	void (*enrol)(void *arg, struct fleet_enrol *e, const char *node, const char *token, const char *csr);
	void *enrol_arg;
	/* Unix time in ns; NULL: the system's clock. */
	int64_t (*now)(void *arg);
	void *now_arg;
};

int fleet_new(uv_loop_t *loop, const struct fleet_config *cfg, struct fail_list *f, struct fleet **ret);
/* Whom reports go to: call before fleet_listen, and with NULL before the sink's owner is closed (nodes keep what is
 * not acknowledged). Reports of the local member do not pass here. */
void fleet_set_sink(struct fleet *fl, const struct node_sink *sink, void *arg);
/* Credentials for connections from now on (again whenever files changed); a reference is taken. */
void fleet_set_keys(struct fleet *fl, struct wire_keys *keys);
/* May be called for several addresses; fleet_set_keys first. *ret_port (may be NULL): as bound. */
int fleet_listen(struct fleet *fl, const struct sockaddr *at, struct fail_list *f, uint16_t *ret_port);
/* Refuses new agents with "standby" and lets the present ones go (another replica leads), or takes them again. */
void fleet_standby(struct fleet *fl, bool standby);
/* The node for controller_new(); the `node` argument is the fleet. */
const struct node_ops *fleet_ops(void);
/* Asynchronous and idempotent. */
void fleet_close(struct fleet *fl, void (*done)(void *arg), void *arg);

/* cert: PEM chain, or NULL with a reason that the agent is told. e is gone after it. */
void fleet_enrol_answer(struct fleet_enrol *e, const char *cert, const char *why);

/* ---- for people ------------------------------------------------------------------------------ */

/* What node_ops.nodes gives, sorted by name; stops when fn returns non-zero, which is returned. */
int fleet_nodes(const struct fleet *fl, int (*fn)(void *arg, const struct node_status *n), void *arg);
const char *node_standing_str(enum node_standing s); /* current, behind, refused, lost */
struct fleet_totals {
	uint32_t nodes, connected, current, behind, refused, lost;
	uint64_t revision, records;
	uint64_t snapshots, deltas;	/* sent since the start */
	uint64_t rejected;		/* connections that were not let in */
	char last_rejected[256];	/* why, and from where */
};
void fleet_totals(const struct fleet *fl, struct fleet_totals *ret);
