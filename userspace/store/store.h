/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what must outlive the daemon: one SQLite file in WAL mode.
 *
 * One connection, one thread; every call is bounded and returns 0 or a negative errno (-EIO for
 * what SQLite cannot do, with its text in store_error). Changes of rules, modes and quarantines
 * are flushed to the disk before the call returns; drains of counters and events are safe
 * against a killed daemon, and consistent after a power cut.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "controller/node.h"
#include "policy/state.h"

#define STORE_SCHEMA 5u
#define STORE_CHANGES_MAX 10000u /* rows of the history, and the most states that can be kept */
#define STORE_EVENTS_MAX 100000u
#define STORE_TEXT_MAX (1u << 20) /* longest text accepted in one column */

struct store;

/*
 * Opens or creates. A file of a newer schema is refused (-EPROTO, store.schema) and left alone;
 * one that fails its integrity check is moved to PATH.corrupt-TIME with its journal, reported as
 * store.corrupt in f, and a new file is begun: the call then returns 0 and store_moved() names
 * the old one. -EBUSY (store.locked) when another process holds it.
 */
int store_open(const char *path, int64_t now_ns, struct fail_list *f, struct store **ret);
void store_close(struct store *s);
const char *store_moved(const struct store *s); /* NULL: the file was sound */
const char *store_error(const struct store *s); /* text of the last failure */

/* Nestable (savepoints). A durable outermost transaction is on the disk when commit returns. */
int store_begin(struct store *s, bool durable);
int store_commit(struct store *s);
void store_rollback(struct store *s);

/* ---- generations: rules, modes, quarantines ------------------------------------------- */

enum change_state {
	CHANGE_APPLIED,	  /* made without a window */
	CHANGE_OPEN,	  /* reverts at until_ns unless confirmed */
	CHANGE_CONFIRMED,
	CHANGE_REVERTED,  /* ended by revert or by its window; `reverted_by` is the generation that did */
	CHANGE_STATES
};
const char *change_state_str(enum change_state s); /* applied, open, confirmed, reverted */

struct change {
	uint64_t generation;	/* the one it made */
	uint64_t base;		/* the one it was planned on */
	char *what;		/* "mode set enforce -n shop,data" */
	char *who, *via;
	int64_t at_ns;
	int64_t until_ns;	/* confirm window; 0 none */
	enum change_state state;
	uint64_t reverted_by;
	enum policy_flows flows; /* what became of standing flows */
	char *undo;		/* command; may be NULL */
	char *plan;		/* JSON text; may be NULL */
	struct node_receipt *receipts;
	size_t nreceipts;
};
void change_done(struct change *c);

/*
 * Makes `next` the current state, with its history row and receipts, in one durable
 * transaction. Only objects that differ are written. c->generation must be next->generation and
 * one above the stored one (-ESTALE otherwise). Workloads and namespaces in `next` are not
 * looked at: they have calls of their own.
 */
int store_change_commit(struct store *s, const struct policy_state *next, const struct change *c);
/* Confirmed, reverted, ...; -ENOENT. Durable. */
int store_change_mark(struct store *s, uint64_t generation, enum change_state state, uint64_t reverted_by);
/* Adds or replaces a node's receipt. */
int store_receipt_put(struct store *s, uint64_t generation, const struct node_receipt *r);
/* -ENOENT. Caller runs change_done. */
int store_change_load(struct store *s, uint64_t generation, struct change *ret);
/* Newest first, below `before` (0: all), at most `limit`; without receipts. fn non-zero stops. */
int store_change_each(struct store *s, uint64_t before, size_t limit,
		      int (*fn)(void *arg, const struct change *c), void *arg);
/* The change whose window is open, or -ENOENT. */
int store_change_open(struct store *s, struct change *ret);
/*
 * Rules, modes, quarantines and Kubernetes policies as of a generation (0: the current one) into an
 * empty *ret; sets ret->generation. -ENOENT: never was, or older than the history. -EBADMSG: a row is damaged.
 */
int store_state_load(struct store *s, uint64_t generation, struct policy_state *ret);
int store_generation(struct store *s, uint64_t *ret);
/* Whole states kept from now on, 2 to STORE_CHANGES_MAX (the default): older ones go with the next
 * change. What an open window would go back to is kept beyond. */
void store_keep_generations(struct store *s, uint32_t n);
/* The oldest generation that store_state_load() can give. */
int store_generation_oldest(struct store *s, uint64_t *ret);
/* Next number of a series that never goes back ("rule", ...): 1, 2, 3. Durable. */
int store_number_next(struct store *s, const char *series, uint64_t *ret);

/* ---- inventory -------------------------------------------------------------------------- */

/* What a node said of its own addresses (name, told); none: it is forgotten. Not durable at once. */
int store_node_put(struct store *s, const struct node_info *n);
int store_node_each(struct store *s, int (*fn)(void *arg, const struct node_info *n), void *arg);
/* Upserts by (namespace, name). netns: name or path, may be NULL. -ENOENT from _del. Durable. */
int store_workload_put(struct store *s, const struct workload *w, const char *netns, int64_t now_ns);
int store_workload_del(struct store *s, const char *ns, const char *name);
int store_workload_each(struct store *s, int (*fn)(void *arg, const struct workload *w, const char *netns),
			void *arg);
int store_namespace_put(struct store *s, const struct namespace *n);
int store_namespace_del(struct store *s, const char *name);
int store_namespace_each(struct store *s, int (*fn)(void *arg, const struct namespace *n), void *arg);

int store_service_put(struct store *s, const struct service *v);
int store_service_del(struct store *s, const char *ns, const char *name);
int store_service_each(struct store *s, int (*fn)(void *arg, const struct service *v), void *arg);

/* Label-identity numbers: key is whatever names the identity for good. -EEXIST: the number or
 * the key is taken by another. */
int store_ident_put(struct store *s, struct ident id, const void *key, size_t len);
int store_ident_del(struct store *s, struct ident id);
int store_ident_each(struct store *s, int (*fn)(void *arg, struct ident id, const void *key, size_t len),
		     void *arg);

/* ---- events: what the system did --------------------------------------------------------- */

struct store_event {
	uint64_t num;
	int64_t at_ns;
	const char *reason, *workload, *text; /* workload may be NULL */
};
int store_event_add(struct store *s, int64_t at_ns, const char *reason, const char *workload, const char *text);
/* Newest first, below num `before` (0: all), at most limit. */
int store_event_each(struct store *s, uint64_t before, size_t limit,
		     int (*fn)(void *arg, const struct store_event *e), void *arg);
/*
 * Since when automatic pushes are held back: a store begun in place of a damaged one knows nothing
 * of what is in force. 0: they are not. Outlives the daemon; durable.
 */
int store_hold_set(struct store *s, int64_t since_ns);
int store_hold_get(struct store *s, int64_t *ret_since_ns);

/* ---- the shadow: one candidate, judged beside what is in force ------------------------------ */

/* Replaces a shadow: the document that says what it is, and none seen. Durable. */
int store_shadow_set(struct store *s, const char *doc);
int store_shadow_clear(struct store *s);
/* malloc'ed. -ENOENT. */
int store_shadow_get(struct store *s, char **ret);
/* Flows of an access (by its number) that the shadow has judged so far, with what came of it as a
 * document (NULL: no difference). In the caller's transaction. */
int store_shadow_seen_put(struct store *s, uint64_t access, uint64_t flows, const char *doc);
/* fn non-zero stops and is returned. */
int store_shadow_seen_each(struct store *s, int (*fn)(void *arg, uint64_t access, uint64_t flows, const char *doc),
			   void *arg);

/* ---- Kubernetes objects ---------------------------------------------------------------------- */

/* What was last agreed on with the API server about an object that carries policy. */
struct store_kube {
	int kind;		/* enum cluster_kind */
	const char *ns, *name;	/* ns NULL: the cluster's */
	const char *uid, *version; /* of the object as it was seen or written last */
	uint64_t base;		/* hash of the content that both sides had */
	uint64_t held;		/* hash of a content that somebody took out of force here; 0: none */
	uint64_t window;	/* generation whose confirm window the content came with; 0: none */
	bool ours;		/* the content was written by us */
};
/* Adds or replaces; in the caller's transaction, or one of its own. */
int store_kube_put(struct store *s, const struct store_kube *k);
int store_kube_del(struct store *s, int kind, const char *ns, const char *name); /* none is fine */
/* fn non-zero stops and is returned. */
int store_kube_each(struct store *s, int (*fn)(void *arg, const struct store_kube *k), void *arg);

/* ---- the last hour ------------------------------------------------------------------------ */

/* Totals of a namespace as they were at a minute (Unix time / 60 s). */
struct store_hour {
	const char *ns;
	int64_t minute;
	uint64_t would, dropped;
};
/* Adds or replaces; not durable by itself: a minute lost in a power cut is a minute not told apart. */
int store_hour_put(struct store *s, const struct store_hour *h);
/* Forgets what is older. */
int store_hour_prune(struct store *s, int64_t before_minute);
/* By namespace, oldest first. fn non-zero stops and is returned. */
int store_hour_each(struct store *s, int (*fn)(void *arg, const struct store_hour *h), void *arg);

/* Events and changes dropped because of their maximum. */
int store_pruned(struct store *s, uint64_t *ret_events, uint64_t *ret_changes);
