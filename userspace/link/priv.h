/* SPDX-License-Identifier: Apache-2.0 */
/* priv.h - inside of the link; only link/ includes it. */
#pragma once

#include <netdb.h>
#include <sys/stat.h>

#include "base/htab.h"
#include "link/snapshot.h"
#include "link/uplink.h"
#include "wire/conn.h"
#include "wire/replica.h"

#define TICK_MS 1000u
#define RESOLVE_MS 2000u	/* a name server that takes longer: other addresses are tried meanwhile */
#define LOOKUPS_MAX 2u		/* at once: they take threads that others wait for */
#define GREET_MS 10000u		/* from the handshake to WELCOME */
#define ACK_MS 60000u		/* a batch that nobody acknowledges */
#define COUNTERS_TICKS 5
#define FILES_TICKS 10		/* between two looks at the credential files */
#define RESIGN_MS 30000u	/* a state that the node refused is tried again after it, and twice that, ... */
#define RESIGN_MAX_MS 600000u
#define EVENTS_PER_S 200u
#define NOTES_KEPT 10000u
#define BATCH_ROWS 1000u
#define BATCH_BYTES (1u << 20)
#define FRAMES_KEPT (4u << 20)	/* of one delta, to be appended to the snapshot */
#define ATTACHMENTS_MAX 65536u
#define ASKS_MAX 64u

enum spool_kind { SP_ACCESS = 1, SP_FOLD, SP_EPOCH, SP_NOTE, SP_ADDRESSES };

enum up_state { UP_WAITING, UP_RESOLVING, UP_CONNECTING, UP_GREETING, UP_CONNECTED, UP_ENROLLING, UP_CLOSED };

/* A file of credentials as it was read. */
struct seen_file { struct timespec mtime; off_t size; ino_t ino; };

/* What the controller asked to be attached. */
struct attachment {
	char *ns, *name, *netns;
	bool attached;		/* the node has it */
	bool here;		/* the state being applied names it on this node */
	bool known;		/* a state named the workload: once none does any more, it is over */
};

/* A question that waits until what was counted has arrived. */
struct up_drain { uint64_t id, upto; };

struct uplink {
	uv_loop_t *loop;
	const struct node_ops *ops;
	void *node;
	char *name, *state_dir, *ca, *cert, *key, *token;
	char **controllers;
	size_t ncontrollers;
	struct addr *node_addrs;
	size_t nnode_addrs;
	uint64_t told_hash;	/* of those that the controller was told last */
	unsigned version_min, version_max;
	uint64_t instance;

	/* keys.c */
	bool issued;		/* certificate and key are ours to ask for */
	struct wire_keys *keys;	/* NULL: none yet */
	struct seen_file seen[3];
	char *enrol_key;	/* of the request on its way */
	struct wire_conn *enrol;
	bool enrolled;		/* it has answered with one */
	uint64_t enrol_at;	/* loop time of the next try to renew */
	int64_t from_s, until_s; /* of the certificate; 0: none */

	/* connect.c */
	enum up_state state;
	int64_t since_ns;
	struct wire_conn *conn;
	struct resolve *lookups[LOOKUPS_MAX]; /* names being asked for */
	struct addrinfo *late[UPLINK_CONTROLLERS_MAX]; /* answers that came while another was tried */
	struct addrinfo *found, *next;
	struct sockaddr_storage peer; /* connected to, or tried last */
	char peer_host[256];
	bool told;		/* `problem` says already why this connection ends */
	size_t which;		/* of controllers */
	unsigned tries;
	uv_timer_t retry, tick;
	unsigned ticks;
	uint64_t greet_by;	/* loop time */
	uint32_t retry_ms;	/* as the controller said; 0: by the number of tries */
	char controller[64], address[128], problem[256];
	uint64_t controller_instance;
	uint64_t connects;

	/* apply.c */
	struct replica *replica;
	struct snapshot *snapshot;
	struct buf frames;	/* of the SYNC that is being received; err set: too long to be kept */
	bool file_behind;	/* what was applied is not noted whole */
	bool applied, from_disk;
	enum policy_flows owed;	/* how a state that was refused meant to treat flows */
	uint64_t applied_generation, again_at;
	size_t workloads;	/* of the state in force */
	uint32_t again_ms;
	char refused[256];	/* why the node refused the last one; "" */
	struct attachment *att;
	size_t natt, att_cap;

	/* report.c */
	struct spool *spool;
	uint64_t inflight;	/* last row of the batch on its way; 0: none */
	uint64_t inflight_at;
	uint64_t last_put;	/* rows put since the start; wakes the pump */
	unsigned event_tokens;
	uint64_t events_dropped, notes_dropped, note_n;
	struct htab *addresses;	/* "ns/name" -> struct buf-like copy of the last report */
	uint64_t guards_hash;
	struct up_drain drains[ASKS_MAX];
	size_t ndrains;

	bool started, closing;
	unsigned handles;
	void (*done)(void *arg);
	void *done_arg;
};

int64_t uplink_now_ns(void);

/* connect.c */
void connect_soon(struct uplink *u, uint32_t ms);
void connect_failed(struct uplink *u);
void connect_state(struct uplink *u, enum up_state s);
void connect_problem(struct uplink *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sends a buffer of frames; without a connection they are dropped. b is emptied. */
int connect_send(struct uplink *u, struct buf *b);
/* The connection is good for reports. */
static inline bool connect_is_up(const struct uplink *u)
{
	return u->state == UP_CONNECTED && u->conn;
}
void connect_closed_check(struct uplink *u);
void connect_resolve_drop(struct uplink *u);

/* keys.c */
/* Reads the files if they are there and changed. 0, -ENOENT (nothing to show yet), or why they are no good. */
int keys_read(struct uplink *u, struct fail_list *f);
/* Looks after them: files that changed, a certificate that runs out. */
void keys_tick(struct uplink *u);
/* Asks u->peer for a certificate, over a connection of its own. 0: on its way. */
int keys_enrol(struct uplink *u);
void keys_done(struct uplink *u);

/* apply.c */
/* A SYNC, RECORDS or COMMIT frame. Negative: the connection is of no use any more. */
int apply_frame(struct uplink *u, const struct frame *fr);
int apply_start(struct uplink *u, struct fail_list *f);
void apply_tick(struct uplink *u);
void apply_broken(struct uplink *u); /* the connection is gone: what was half received too */
int apply_ask(struct uplink *u, const struct msg_ask *ask, struct fail_list *f); /* attach, detach */
int apply_load(struct uplink *u, struct fail_list *f);
int apply_node_addrs(struct uplink *u, const struct addr *a, size_t n); /* with the next tick; 0, -ENOMEM */
void apply_done(struct uplink *u);

/* node.c */
struct own_nodes { struct node_info *v; struct addr *addrs; };
static inline void own_nodes_done(struct own_nodes *o)
{
	free(o->v);
	free(o->addrs);
}
/* The nodes of a borrowed state with this one's addresses as they are found; good while ret is. 0, -ENOMEM. */
int node_view(const struct uplink *u, struct policy_state *st, struct own_nodes *ret);
int node_addrs_take(struct uplink *u, const struct addr *a, size_t n); /* 0, -ENOMEM */
void node_addrs_send(struct uplink *u, bool always); /* if the controller is there and does not know them */

/* report.c */
extern const struct node_sink report_sink;
void report_pump(struct uplink *u);
void report_welcome(struct uplink *u, bool other_controller);
void report_ack(struct uplink *u, uint64_t seq);
void report_tick(struct uplink *u);
int report_ask(struct uplink *u, const struct msg_ask *ask);
void report_broken(struct uplink *u);
void report_done(struct uplink *u);
