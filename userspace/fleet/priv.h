/* SPDX-License-Identifier: Apache-2.0 */
/* priv.h - inside of the fleet. Only fleet/ includes it. */
#pragma once

#include "base/htab.h"
#include "base/vec.h"
#include "fleet/fleet.h"
#include "wire/records.h"

#define FLEET_TICK_MS 1000u
#define ATTACH_RETRY_MS 1000u
#define FLOWS_FRESH_MS 2000u	/* an answer about flows is good for so long */
#define TOLD_MS 1000u		/* addresses of a node that change more often are taken over by the second */
#define COMMITS_OPEN_MAX 4u	/* commits sent to a node and not answered: later ones are put together */
#define EVENTS_PER_S 1000u	/* of one node; more are dropped and counted */
#define INSTANCES_MAX 8u	/* sets of kernel counters one node may speak of at a time */

/* A workload that a node was asked to attach. */
struct want {
	char *ns, *name, *netns;
	uint64_t asked_id, asked_ms; /* 0: to be asked */
	bool attached;
	int err;
	char note[256];
};

/* What is known of a node, connected or not. */
struct member {
	struct fleet *fl;
	char name[64];
	struct peer *peer;	/* NULL: not connected */
	struct node_status st;
	uint64_t instance;	/* of the agent's run */
	struct msg_held acked;	/* what it holds, as far as it has said */
	bool refused;		/* its last receipt */
	struct msg_guards guards;
	struct cJSON *counters;
	struct msg_answer flows;
	uint64_t flows_ms, flows_asked_ms; /* 0: never */
	struct msg_node_addresses told;	/* its own addresses, as it said last */
	bool told_due;		/* the sink does not know them */
	uint64_t told_ms;	/* when it was given them last */
	struct htab *wants;	/* "ns/name" -> struct want */
	uint64_t instances[INSTANCES_MAX]; /* sets of counters that are its own, newest last */
	uint64_t event_ms;
	uint32_t events, events_dropped;
};

enum peer_state { PEER_NEW, PEER_ENROL, PEER_UP };

/* One connection. */
struct peer {
	struct fleet *fl;
	struct peer *next, *prev;
	struct wire_conn *conn;
	enum peer_state state;
	bool bye;		/* told to go */
	struct member *m;	/* PEER_UP */
	struct fleet_enrol *enrol;
	struct msg_held sent;	/* what it will hold when everything sent is taken */
	uint64_t open[COMMITS_OPEN_MAX]; /* revisions sent and not answered, in order */
	unsigned nopen;
	bool pending;		/* a batch of its waits to be stored */
};

/* A batch that waits to be stored with others. */
struct pending { struct peer *p; struct msg_batch b; }; /* p NULL: gone meanwhile, stored all the same */

struct fleet_enrol { struct peer *peer; }; /* peer NULL: it is gone */

struct listener { uv_tcp_t tcp; struct fleet *fl; };

struct fleet {
	uv_loop_t *loop;
	struct fleet_config cfg;
	char name[64], local_name[64];
	uint64_t instance;
	struct records *records;
	struct records_next *next; /* prepared */
	bool local_prepared;
	struct wire_keys *keys;
	const struct node_sink *sink;
	void *sink_arg;
	struct { struct listener **v; size_t n, cap; } listeners;
	struct htab *members;	/* name -> struct member */
	struct htab *owners;	/* instance of kernel counters -> struct member */
	struct peer *peers;
	uint32_t npeers;
	struct node_receipt local_receipt;
	uint64_t local_revision; /* in force on the local member */
	uint64_t ask_id;
	uv_timer_t tick, store;
	struct { struct pending *v; size_t n, cap; } pending;
	size_t npending_accesses;
	uint64_t snapshots, deltas, rejected;
	char last_rejected[256];
	bool standby, closing;
	unsigned open;		/* handles and connections that closing waits for */
	void (*closed)(void *arg);
	void *closed_arg;
};

int64_t fleet_now(const struct fleet *fl);
/* Why a connection was not let in: shown to people. */
void fleet_rejected(struct fleet *fl, const char *addr, const char *why);

/* member.c */
struct member *member_get(struct fleet *fl, const char *name, bool create);
void member_free(void *m);
void member_lost(struct member *m, const char *why);
void member_status(const struct member *m, struct node_status *ret);
struct want *member_want(struct member *m, const char *ns, const char *name);
void member_ask_wants(struct member *m);
void want_free(void *w);
/* Is this set of kernel counters the node's own? The first that speaks of it has it. */
bool member_owns(struct member *m, uint64_t instance);

/* peer.c */
extern const struct wire_conn_ops fleet_peer_ops;
void peer_sync(struct peer *p); /* sends what it lacks, if it is time for it */
void peer_bye(struct peer *p, const char *code, const char *text, uint32_t retry_ms);
int peer_ask(struct peer *p, struct msg_ask *ask); /* fills in the id */
/* gather.c: batches of many nodes are stored together, and acknowledged then. Takes b over. */
int fleet_gather_batch(struct peer *p, struct msg_batch *b);
void fleet_gather_store(struct fleet *fl);	/* what waits, now */
void fleet_gather_gone(struct peer *p);	/* nobody is left to acknowledge to */
void fleet_gather_done(struct fleet *fl);	/* dropped: it comes again */
int fleet_report_ack(struct peer *p, uint64_t seq);
/* Later numbers would acknowledge this one too: the node comes again, and begins with it. */
int fleet_report_not_now(struct peer *p, const char *why);
/* report.c: a frame of a node that is let in. 0 or negative: the connection ends. */
int fleet_report_take(struct peer *p, const struct frame *fr);
/* What the node says of its own addresses, to the sink, if it is due and time for it. */
void fleet_report_told(struct member *m);
/* fleet.c */
void fleet_peer_gone(struct peer *p);
