/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - what the controller asks of a node agent, and what an agent reports up.
 *
 * In role `all` both ends are in one process and these are plain calls on the loop thread; a
 * wire between them carries the same structs. Nothing here blocks for long.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/state.h"

struct cJSON;

/* What a node did with a change. */
struct node_receipt {
	char node[64];
	bool applied;		/* false: refused, keeps the generation it had */
	uint64_t generation;	/* in force on the node now */
	uint32_t after_us;	/* from commit call to in force */
	uint32_t entries, entries_max;	/* policy map entries used / room */
	uint32_t rows, groups, verdicts;
	uint32_t flows_cut;
	char note[256];		/* why it was refused, naming the rule */
};

/* One live flow, for `flows` and for the list of flows that a change would end. */
struct node_flow {
	struct addr src, dst;	/* originator first */
	uint16_t sport, dport;	/* host order; ICMP: the id, and type << 8 | code of the request */
	uint8_t proto, state, family;
	bool answered, guessed, seeded;
	uint64_t age_ms, idle_ms;
	enum cw_outcome outcome[2];	/* by enum cw_side */
	enum cw_reason reason[2];
	struct cw_verdict verdict[2];	/* what decided, by side; zero where none did */
	char src_ref[320], dst_ref[320];	/* "shop/pod/web-1", an address, or a reserved word */
	char node[64];				/* where it was seen; empty: the node that was asked */
};

/* How one way of an interface is judged. */
struct node_guard_way {
	const char *hook;	/* one of node_guard_hooks */
	const char *state;	/* "guarded", "bypassable", "blind" */
	char reason[128];
	uint32_t sent, seen;	/* probe packets of the last round; sent 0: none could be sent */
};

/* Where an interface is judged; "A / B": from the workload at A, to it at B. "-": nowhere (yet). */
#define NODE_GUARD_HOOKS 12u
static const char *const node_guard_hooks[NODE_GUARD_HOOKS] = {
	"tcx host", "clsact host", "tcx pod", "clsact pod", "xdp host", "xdp pod", "xdp host / tcx host",
	"xdp host / clsact host", "tcx host / tcx pod", "clsact host / clsact pod", "xdp host / tcx pod",
	"xdp host / clsact pod",
};

/* One attachment or the lack of it (guard map). */
struct node_guard {
	char node[64];		/* empty: the node that was asked */
	char workload[320];	/* "shop/pod/web-1" */
	char iface[16];
	uint32_t ifindex;
	const char *hook;	/* one of node_guard_hooks, or "-" */
	const char *state;	/* "guarded", "bypassable", "blind" */
	char reason[128];	/* proof, or why blind */
	int64_t start_gap_ns;	/* interface seen to attached; -1 not measured */
	char wiring[16];	/* "bridge", "routed", "switch", "macvlan", "peer-redirect", ... */
	struct node_guard_way way[2];	/* from the workload, to it; words NULL: not told */
	int64_t proof_ns;	/* Unix time of the last round of probes; 0: none yet */
};

/*
 * A distinct access as the kernel counts it. Counters are cumulative since the counter's
 * birth; (instance, epoch, key) names the counter for good, so the store keeps the last value
 * per counter and adds the difference in the same transaction: a daemon killed between reading
 * and committing loses nothing and doubles nothing.
 */
struct node_access {
	struct workload_ref { char *ns, *name, *uid; } src_wl, dst_wl; /* empty when not a workload */
	bool dst_service;			/* dst_wl names a service, which the source was judged by */
	uint32_t src_reserved, dst_reserved;	/* enum cw_reserved_id when not a workload, else 0 */
	struct addr src_addr, dst_addr;		/* set where the end is an address (world dst, unknown) */
	char *dst_fqdn;				/* name by which the source knows dst_addr, or NULL */
	uint8_t proto, family;
	uint16_t port;				/* host order; ICMP type << 8 | code */
	uint64_t instance;			/* of the kernel's set of maps */
	uint32_t epoch;				/* of the access table */
	struct cw_access_key key;
	uint64_t flows, answered, packets, bytes, guessed;	/* cumulative */
	uint64_t cnt[2][CW_OUT_COUNT];				/* cumulative; by side and outcome */
	enum cw_outcome outcome[2];				/* latest */
	enum cw_reason reason[2];
	struct cw_verdict verdict[2];				/* latest, resolved */
	int64_t first_ns, last_ns;				/* Unix time */
};

/* Cumulative loss and fold figures of one workload. */
struct node_fold {
	char ns[64], name[254];
	uint64_t instance;	/* of the kernel's set of maps: its counters begin at 0 */
	uint64_t pair_flows, folded_flows, folded_drops, lost;
};

/* How a node stands towards the state that is wanted. */
enum node_standing {
	NODE_CURRENT,	/* has what was committed last */
	NODE_BEHIND,	/* connected, and has not answered for it yet */
	NODE_REFUSED,	/* answered that it keeps what it had */
	NODE_LOST,	/* not connected: keeps enforcing what it has */
};
struct node_status {
	char name[64], addr[64], software[32];
	enum node_standing standing;
	char reason[256];		/* why it is not current; "" */
	bool local;			/* in the controller's own process */
	unsigned version;		/* of the protocol; 0: none is spoken */
	uint64_t revision, generation;	/* acknowledged; in force on the node */
	int64_t connected_ns, seen_ns;	/* Unix time; connected_ns 0: not connected */
	struct node_receipt receipt;	/* its last */
};

struct node_ops {
	/* Compiles `next` and checks capacity; nothing is in force yet. 0, or a negative errno with
	 * the fault in f and the receipt saying why. One prepared state at a time. */
	int (*prepare)(void *node, const struct policy_state *next, struct fail_list *f,
		       struct node_receipt *ret);
	/* Puts the prepared state in force; `how` says what becomes of standing flows. Cannot fail for lack
	 * of room. */
	int (*commit)(void *node, enum policy_flows how, struct node_receipt *ret);
	void (*abort)(void *node);
	/* Live flows; stops when fn returns non-zero. */
	int (*flows)(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg);
	/* Flows that pass now and that the prepared state would end, unless it is committed with keep. */
	int (*flows_cut)(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg);
	int (*guards)(void *node, int (*fn)(void *arg, const struct node_guard *g), void *arg);
	/* Drain of accesses now (tests and commands that must not be a drain period behind). */
	int (*drain)(void *node);
	/* Counters for `status`: object with uptime, hook, epoch, losses, drops per reason, ... */
	struct cJSON *(*counters)(void *node);
	/* Attach a declared workload: netns by name or path. -ENOENT, -EAGAIN (no interface yet). */
	int (*workload_attach)(void *node, const struct workload *w, const char *netns, struct fail_list *f);
	int (*workload_detach)(void *node, const char *ns, const char *name);
	/* Every node behind this one, by name; NULL: there is only the one. Stops when fn returns non-zero. */
	int (*nodes)(void *node, int (*fn)(void *arg, const struct node_status *n), void *arg);
};

/* Reports from the node. Called on the loop thread. */
struct node_sink {
	/* A batch of access differences; the sink commits it durably before it returns 0, and only
	 * then may the node clear a resting table. A repeated batch adds nothing (see above). */
	int (*accesses)(void *arg, const struct node_access *a, size_t n,
			const struct node_fold *folds, size_t nfolds);
	/* The resting table of this epoch is about to be cleared: last values may be dropped. */
	int (*epoch_done)(void *arg, uint64_t instance, uint32_t epoch);
	/* A data path event, resolved; at most the configured rate. */
	void (*event)(void *arg, const struct cw_event *ev, const struct node_flow *who,
		      const struct cw_verdict *v);
	/* Something the system did: attach, repair, detach, adopt, seed. */
	void (*note)(void *arg, const char *reason, const char *workload, const char *text);
	/* Addresses of an attached workload as found in its namespace. */
	void (*addresses)(void *arg, const char *ns, const char *name, const struct addr *a, size_t n);
	/* The node's own addresses changed: they are `host`. May be NULL. */
	void (*node_addresses)(void *arg, const struct addr *a, size_t n);
	/* All that another node says of its own addresses; none: it is forgotten. May be NULL. */
	void (*peer_addresses)(void *arg, const char *node, const struct addr *a, size_t n);
	/* The node has news (addresses) that something waits for: hand it the state now, if it changed.
	 * 0 or the errno of prepare. May be NULL. */
	int (*push)(void *arg);
	/* A node answered a commit after the call returned (nodes behind a wire). May be NULL. */
	void (*receipt)(void *arg, const struct node_receipt *r);
};
