/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_book.h - from kernel counters to accesses. Pure: no I/O, time is an argument.
 *
 * The book remembers the last value of every kernel counter (instance, epoch, key), so applying
 * a batch twice changes nothing. Everything that changed carries a dirty mark until the store
 * has written it (store/store_access.h): a failed write is repeated with the next one, and a
 * daemon killed in between reads the same counters again.
 *
 * One thread. Ends, points, accesses, members and scans live as long as the book.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/node.h"
#include "flow/access.h"

#define ACCESS_MAX 250000u	/* accesses in one book; beyond: counted per namespace as refused */
#define ACCESS_COUNTERS_MAX 1000000u
#define ACCESS_SCANS_MAX 4096u
#define ACCESS_WORKLOADS_MAX 1000000u
#define ACCESS_GONE_NS (600 * 1000000000LL) /* a workload's ownership is remembered this long after it is gone */

struct access_book;
struct alert_book;

struct access_config {
	const struct prefix *fold_cidrs; /* borrowed during access_book_new and _configure only */
	size_t nfold_cidrs;
	const char *const *ignore_labels; /* beside the built-in noise labels */
	size_t nignore_labels;
	uint32_t scan_ports;	/* over this many ports in the window: a scan. 0 = 100 */
	uint32_t scan_peers;	/* 0 = 50 */
	int64_t scan_window_ns; /* 0 = 60 s */
	int64_t hold_ns;	/* how long an unresolved end is waited for. 0 = 30 s */
	size_t max_accesses;	/* 0 = ACCESS_MAX; for tests */
	/* Name under which the workload last resolved the address, or NULL. May be NULL. */
	const char *(*fqdn)(void *arg, const char *ns, const char *name, const struct addr *a);
	void *fqdn_arg;
};

/* What one call of access_book_apply did. */
struct access_applied {
	size_t changed;	  /* counters that moved */
	size_t unchanged; /* counters skipped */
	size_t settled;	  /* of an epoch that is done: skipped */
	size_t invalid;	  /* records that contradict themselves: skipped */
	size_t waiting;	  /* counters whose ends are not resolved yet: nothing taken over */
	size_t created;	  /* new accesses */
	uint64_t flows;	  /* sum of flow differences taken over */
};

/* Loss and folding of one workload in one set of kernel maps; ns and name NULL in sums. */
struct access_fold {
	uint64_t num;
	char *ns, *name;
	uint64_t instance;
	struct { uint64_t pair_flows, folded_flows, folded_drops, lost; } last, sum;
	uint64_t refused;  /* flows of accesses that found the book full */
	int64_t last_ns;   /* when sum.lost, sum.folded_flows or refused last grew; 0 never */
	bool dirty;
};

int access_book_new(const struct access_config *c, struct access_book **ret);
void access_book_free(struct access_book *b);
/* New configuration for accesses to come; known ones keep the ends they were lifted to. */
int access_book_configure(struct access_book *b, const struct access_config *c);

/* Who owns what. Known workloads decide how their accesses are lifted; put is an upsert by
 * (namespace, name), gone starts ACCESS_GONE_NS. 0, -ENOMEM, -ENOSPC. */
int access_book_workload_put(struct access_book *b, const struct workload *w);
void access_book_workload_gone(struct access_book *b, const char *ns, const char *name, int64_t now_ns);

/*
 * Takes over a batch. Records that contradict themselves are skipped and counted. 0, -ENOMEM or
 * -ENOSPC (ACCESS_COUNTERS_MAX): some of the batch may be applied, so repeat the same batch.
 * ret may be NULL.
 */
int access_book_apply(struct access_book *b, const struct node_access *a, size_t n,
		      const struct node_fold *folds, size_t nfolds, int64_t now_ns,
		      struct access_applied *ret);
/* Files what has waited for its hold time. Call about once a second with no batch at hand. */
int access_book_tick(struct access_book *b, int64_t now_ns);
/* The kernel forgets the counters of this epoch and those before: what still waits is filed
 * now, last values go. -ENOMEM: nothing is settled, call again. */
int access_book_epoch_done(struct access_book *b, uint64_t instance, uint32_t epoch, int64_t now_ns);
/* Drops last values of map sets not heard of since; call only when they are certainly gone. */
void access_book_forget_instances(struct access_book *b, int64_t before_ns);

size_t access_book_count(const struct access_book *b);
/* In order of creation; i < access_book_count. */
const struct access *access_book_at(const struct access_book *b, size_t i);
/* By id or a unique prefix of at least 4 digits. NULL: none or ambiguous. */
const struct access *access_book_find(const struct access_book *b, const char *id);
size_t access_book_scan_count(const struct access_book *b);
const struct access_scan *access_book_scan_at(const struct access_book *b, size_t i);
size_t access_book_fold_count(const struct access_book *b);
const struct access_fold *access_book_fold_at(const struct access_book *b, size_t i);
/* Sum over the workloads of a namespace; ns NULL: over all. */
void access_book_loss(const struct access_book *b, const char *ns, struct access_fold *ret);
/* Has this workload been an end of any flow, itself (exact) or through its lifted group? */
bool access_book_seen(const struct access_book *b, const struct workload *w, bool *ret_exact);
struct alert_book *access_book_alerts(struct access_book *b);

struct access_book_stats {
	uint64_t accesses, members, counters, waiting, scans;
	uint64_t invalid;	/* records that contradicted themselves */
	uint64_t backwards;	/* counters that went back: their steps count as 0 */
	uint64_t refused_flows;
	int64_t first_ns, last_ns;	/* of all accesses; 0 when there are none */
	int64_t newest_ns;		/* first_ns of the newest access */
};
void access_book_stats(const struct access_book *b, struct access_book_stats *ret);

/*
 * Decisions. They only mark the access; the rule goes through the change pipeline:
 *   confirm: access_rule(.., CW_ACT_ALLOW ..) + access_book_decide(.., ACCESS_CONFIRMED ..)
 *   reject:  access_rule(.., CW_ACT_BLOCK ..) + access_book_decide(.., ACCESS_REJECTED ..)
 *   undo:    delete rule access_rule_name() + access_book_decide(.., ACCESS_UNDECIDED ..)
 * -ENOENT, -ENOMEM.
 */
int access_book_decide(struct access_book *b, const char *id, enum access_decision d, const char *who,
		       int64_t now_ns);
/*
 * The cluster rule an access becomes, from its lifted ends and its port: "learned-ID" (origin
 * learned, allow) or "rejected-ID" (origin manual, block). Caller runs rule_done.
 * -ENOMEM; -EAGAIN with access.unresolved while an end is not resolved; -EOPNOTSUPP with
 * access.fqdn-block for a block towards a name.
 */
int access_rule(const struct access *a, enum cw_action action, const char *who, int64_t now_ns,
		struct fail_list *f, struct rule *ret);
/* "learned-3f9a" or "rejected-3f9a"; NULL when undecided. out: 32 bytes. */
const char *access_rule_name(const struct access *a, char out[32]);

/* ---- for the store ------------------------------------------------------------------- */

/* A kernel counter's last values. */
struct access_counter {
	uint64_t num;
	uint64_t instance;
	uint32_t epoch;
	struct cw_access_key key;
	struct access_member *member; /* where it adds to, or NULL: */
	struct access_scan *scan;     /* folded into this scan, or NULL: refused, book full */
	struct access_counts last;
	int64_t last_ns;
	bool dirty;
};

/* A set of kernel maps, and which of its epochs are settled: batches of those add nothing, so
 * that a daemon killed after epoch_done and before the table was cleared doubles nothing. */
struct access_instance {
	uint64_t instance;
	bool any_done;
	uint32_t done_epoch; /* this and all before, when any_done */
	int64_t last_ns;     /* heard of, to the hour */
	bool dirty;
};

/* Visits what is dirty, owners before what refers to them. A non-zero return stops. */
struct access_visitor {
	int (*end)(void *arg, const struct access_end *e);
	int (*point)(void *arg, const struct access_point *p);
	int (*access)(void *arg, const struct access *a);
	int (*member)(void *arg, const struct access_member *m);
	int (*scan)(void *arg, const struct access_scan *s);
	int (*counter)(void *arg, const struct access_counter *c);
	/* Counters of its settled epochs are no longer needed. */
	int (*instance)(void *arg, const struct access_instance *i);
	int (*instance_gone)(void *arg, uint64_t instance);
	int (*fold)(void *arg, const struct access_fold *f);
};
int access_book_dirty(const struct access_book *b, const struct access_visitor *v, void *arg);
bool access_book_is_dirty(const struct access_book *b); /* alerts included */
/* All of it is on disk. */
void access_book_clean(struct access_book *b);

/* Rebuild from the store, in this order; the structs' strings are copied, references go by
 * number. -EBADMSG for a row that contradicts another, -ENOMEM. */
int access_book_load_end(struct access_book *b, const struct access_end *e);
int access_book_load_point(struct access_book *b, const struct access_point *p);
int access_book_load_access(struct access_book *b, const struct access *a, uint64_t src, uint64_t dst);
int access_book_load_member(struct access_book *b, const struct access_member *m, uint64_t access,
			    uint64_t src, uint64_t dst); /* src 0: the rest */
int access_book_load_scan(struct access_book *b, const struct access_scan *s, uint64_t src, uint64_t point);
int access_book_load_instance(struct access_book *b, const struct access_instance *i);
int access_book_load_counter(struct access_book *b, const struct access_counter *c, uint64_t member,
			     uint64_t scan);
int access_book_load_fold(struct access_book *b, const struct access_fold *f);
/* Ends the rebuilding: sums are compared, the tables of numbers go. -EBADMSG, -ENOMEM. */
int access_book_load_done(struct access_book *b);
