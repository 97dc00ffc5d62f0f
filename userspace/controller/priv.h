/* SPDX-License-Identifier: Apache-2.0 */
/* priv.h - the controller's own state, shared by its files only. */
#pragma once

#include <uv.h>

#include "base/htab.h"
#include "controller/api.h"
#include "controller/controller.h"
#include "flow/access_book.h"
#include "store/store.h"

#define WINDOW_MIN_MS 1000ull
#define WINDOW_MAX_MS (24ull * 3600 * 1000)
#define PUSH_DELAY_MS 20u	/* inventory changes of a burst go to the node together */
#define FLOWS_SHOWN_MAX 100u	/* live flows listed in a plan */
#define HOUR_MINUTES 60
#define HOUR_SLOTS 61u		/* minute totals kept, so that "in the last hour" can be said */

struct judge;
struct kube;
struct shadow;
struct stream;

/* Addresses as the node found them; taken over before the next push, never in the middle of one. */
struct found {
	struct found *next;
	char *ns, *name;
	struct addr *addrs;
	size_t naddrs;
};

/* Packets that no access stands behind, by workload and reason. */
struct guard_seen { int64_t noted_ns, last_ns; uint64_t count; };
#define GUARD_SEEN_MAX 4096u

/* Who said that something of the inventory exists. Only what the API declared is in the store. */
enum inventory_source { INVENTORY_API, INVENTORY_FILE, INVENTORY_KUBE };
const char *inventory_source_str(enum inventory_source s); /* api, file, kubernetes */

/* Beside a workload, service or namespace of the state: who declared it, where it stands, where it
 * is attached. */
struct declared {
	char *netns;
	enum inventory_source source;
	bool attached;
	bool found;	/* its addresses are those found in its network namespace */
	size_t at;	/* index in the state's array; SIZE_MAX: not there yet */
};

/* Cumulative figures of a namespace at each of the last minutes. */
struct hour {
	int64_t minute[HOUR_SLOTS]; /* Unix time / 60 s, ascending */
	uint64_t would[HOUR_SLOTS], drop[HOUR_SLOTS];
	uint64_t would_now, drop_now;
	unsigned n; /* slots filled */
};

struct controller {
	uv_loop_t *loop;
	const struct node_ops *ops;
	void *node;
	char *cluster, *node_name, *inventory_path;
	struct addr *own_found, *own_known; /* of this node: by its agent; by the cluster */
	size_t nown_found, nown_known;
	struct htab *nodes;		/* name -> struct place: where it is in state.nodes */
	bool nodes_stored;		/* some were not heard of since the start */
	uid_t *write_uids; size_t nwrite_uids;
	gid_t *write_gids; size_t nwrite_gids;
	struct cJSON *(*config_json)(void *arg);
	void *config_arg;
	int64_t (*clock)(void *arg);
	void *clock_arg;

	struct store *store;
	struct access_book *book;
	struct policy_state state;	/* desired, and in force when in_sync */
	size_t workload_room;		/* of the state's array beyond what is in it */
	struct htab *declared;		/* "ns/name", "ns/svc/name", "ns/" -> struct declared */
	size_t netns_declared;		/* of them with a network namespace to attach to */
	struct judge *judge;		/* NULL: to be built */
	bool judge_stale;		/* the inventory changed since it was set */
	struct shadow *shadow;		/* NULL: none runs */
	bool shadow_stale;		/* rules or inventory changed since it was compiled */

	struct { uint64_t generation, base; int64_t until_ns; } window; /* generation 0: none open */
	bool started;
	bool dirty;			/* state differs from what the node was given */
	bool in_sync;			/* the node took the last push */
	int64_t held_ns;		/* since when nothing is pushed: the store was damaged. 0: not held */
	char *sync_error;		/* why it did not */
	struct node_receipt receipt;	/* the node's last */
	int64_t started_ns;

	uv_timer_t tick, push, watch_delay;
	uv_fs_event_t watch;
	bool watching;
	unsigned open_handles;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;

	struct found *found;
	struct { struct node_receipt *v; size_t n, cap; } receipts; /* answers not written to the history yet */
	struct htab *guarded;		/* "workload reason" -> struct guard_seen */
	struct stream *streams;
	struct htab *alert_counts;	/* alert number -> count last shown to followers */
	struct htab *hours;		/* namespace -> struct hour */
	int64_t hour_minute;		/* minute of the newest slot */
	bool hours_primed;		/* totals from before the start are not of this hour */
	uint64_t store_errors;

	struct kube *kube;		/* NULL: Kubernetes is not used */

	struct http_route *routes;	/* of api_routes, for the server */
};

int64_t controller_now(const struct controller *c);
/* Login name of the peer, or "uid N". */
void controller_who(const struct http_request *rq, char out[64]);
/* Records an event and shows it to followers. who may be NULL. */
void controller_note(struct controller *c, const char *reason, const char *workload, const char *who,
		     const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The inventory changed: goes to the node after PUSH_DELAY_MS. */
void controller_dirty(struct controller *c);
/* Judge of the state in force; built when needed. */
int controller_judge(struct controller *c, struct fail_list *f, struct judge **ret);
struct declared *controller_declared(const struct controller *c, const char *ns, const char *name);
/* As state_workload(&c->state, ...), without a search. */
const struct workload *controller_workload(const struct controller *c, const char *ns, const char *name);
/* Loss of a namespace (NULL: all): what could not be recorded as an access. */
uint64_t controller_loss(const struct controller *c, const char *ns);
/* Readiness of a namespace; items counted. */
bool controller_ready(struct controller *c, const char *ns, struct cJSON **ret_item);

/* nodes.c: what the cluster says of a node, that it has none of that name, and what a node says of its own addresses
 * (none: nothing). 0, -ENOMEM. */
int nodes_known(struct controller *c, const struct node_info *n);
int nodes_unknown(struct controller *c, const char *name);
int nodes_told(struct controller *c, const char *name, const struct addr *a, size_t n);
int nodes_load(struct controller *c); /* what they said before the start */
void nodes_tick(struct controller *c);
/* Attaches what is declared and not attached yet. */
void controller_attach_pending(struct controller *c);
/* stream.c */
void stream_flow_emit(struct controller *c, const struct cw_event *ev, const struct node_flow *who,
		      const struct cw_verdict *v);
void stream_events_emit(struct controller *c, const struct cJSON *event, const char *reason, const char *ns);
void stream_alerts_emit(struct controller *c);
void stream_end_all(struct controller *c);
/* hours.c */
/* What the store remembers of the last hour. */
int hours_load(struct controller *c);
void hours_update(struct controller *c);
/* Before the store is closed. */
int hours_close(struct controller *c);
void hours_refresh(struct controller *c); /* before hours_last(): the totals as they are now */
void hours_last(const struct controller *c, const char *ns, uint64_t *ret_would, uint64_t *ret_drop);
void hours_free(struct controller *c);
/* api_nodes.c: `role` and `nodes` of the status. */
void nodes_status(struct controller *c, struct cJSON *o);
/* sink.c */
/* What nodes answered since, into the history: many at once. */
void sink_receipts_flush(struct controller *c);
extern const struct node_sink controller_node_sink;
void sink_found_free(struct controller *c);
bool sink_found_apply(struct controller *c);
