/* SPDX-License-Identifier: Apache-2.0 */
/* book.h - inside of the access book; only flow/ includes it. */
#pragma once

#include "base/htab.h"
#include "base/vec.h"
#include "flow/access_book.h"
#include "flow/alerts.h"

#define ACCESS_WAITING_MAX 65536u /* records waiting for an identity; beyond: filed at once */
#define ACCESS_POINTS_MAX 1000000u
#define ACCESS_MEMBERS_TOTAL 1000000u
#define ACCESS_FOLDS_MAX 200000u
#define BOOK_POINT_KEY (ACCESS_REF_MAX + 128)

#define VEC(type) struct { type *v; size_t n, cap; }

/* Names a kernel counter for good. No padding: hashed as bytes. */
struct counter_name {
	uint64_t instance;
	uint32_t epoch, zero;
	struct cw_access_key key;
};
_Static_assert(sizeof(struct counter_name) == 48, "hashed as bytes");

struct book_workload {
	struct workload w;
	struct access_end *end; /* what it is lifted to; NULL: not asked yet */
	int64_t gone_ns;	/* 0: it is there */
};

/* A record whose ends are not resolved yet. Owns its strings. */
struct waiting {
	struct node_access a;
	int64_t since_ns;
};

/* What a source touched lately: scan detection. */
struct scan_touch { int64_t at_ns; uint64_t peer; uint32_t axis; bool silent; struct access *access; };
struct scan_track {
	VEC(struct scan_touch) touches; /* [head, n) are in the window */
	size_t head;
	struct htab *ports, *peers;	/* axis or end number to count of touches */
	size_t silent;			/* touches in the window that nobody answered */
	struct access_scan *scan;	/* burst going on, or NULL */
};

struct access_book {
	struct prefix *fold_cidrs;
	size_t nfold_cidrs;
	char **ignore_labels;
	size_t nignore_labels;
	uint32_t scan_ports, scan_peers;
	int64_t scan_window_ns, hold_ns;
	size_t max_accesses;
	const char *(*fqdn)(void *arg, const char *ns, const char *name, const struct addr *a);
	void *fqdn_arg;

	struct htab *workloads;	/* "ns\0name" to struct book_workload */
	struct htab *addrs;	/* struct addr to struct book_workload, the newest claim */
	struct htab *ends;	/* ref to struct access_end */
	struct htab *ends_seen;	/* ends that are part of an access; value: the end */
	struct htab *points;	/* "ref\0uid" to struct access_point */
	struct htab *by_key;	/* struct access_name to struct access */
	struct htab *by_id;	/* id to struct access */
	struct htab *members;	/* struct member_name to struct access_member */
	struct htab *counters;	/* struct counter_name to struct access_counter */
	struct htab *waiting;	/* struct counter_name to struct waiting */
	struct htab *tracks;	/* number of a source end to struct scan_track */
	struct htab *folds;	/* instance, namespace and name to struct access_fold */
	struct htab *instances;	/* instance to struct access_instance */
	/* By number, while the book is rebuilt. */
	struct htab *load_ends, *load_points, *load_accesses, *load_members, *load_scans;
	struct alert_book *alerts;

	VEC(struct access *) accesses;
	VEC(struct access_scan *) scans;
	VEC(struct access_fold *) fold_list;

	/* Owners of the dirty ones; each stands here once (its mark says so). */
	VEC(struct access_end *) dirty_ends;
	VEC(struct access_point *) dirty_points;
	VEC(struct access *) dirty_accesses;
	VEC(struct access_member *) dirty_members;
	VEC(struct access_scan *) dirty_scans;
	VEC(struct access_counter *) dirty_counters;
	VEC(struct access_fold *) dirty_folds;
	VEC(struct access_instance *) dirty_instances;
	VEC(uint64_t) gone_instances;

	uint64_t next_end, next_point, next_access, next_member, next_counter, next_scan, next_fold;
	uint64_t nmembers, invalid, backwards;
};

/* Puts x on its dirty list unless it is there. Room was reserved by book_reserve or is made: -ENOMEM. */
#define book_mark(list, x) \
	({ int r_ = 0; \
	   if (!(x)->dirty) { r_ = vec_push(list, x); if (!r_) (x)->dirty = true; } \
	   r_; })

/* end.c: what things are lifted to. All intern; *ret is the book's. 0 or -ENOMEM. */
int book_end_of_workload(struct access_book *b, struct book_workload *bw, struct access_end **ret);
int book_end_of_service(struct access_book *b, const char *ns, const char *name, struct access_end **ret);
/* The point of a service's end: nobody in particular. */
int book_point_of_service(struct access_book *b, const struct access_end *e, struct access_point **ret);
int book_end_of_pod(struct access_book *b, const char *ns, const char *name, struct access_end **ret);
int book_end_of_reserved(struct access_book *b, uint32_t id, struct access_end **ret);
/* fqdn: the name by which the workload knows the address; NULL: the book's own source of names is asked. */
int book_end_of_world(struct access_book *b, const char *ns, const char *name, const struct addr *a,
		      const char *fqdn, bool single, struct access_end **ret);
int book_end_of_unresolved(struct access_book *b, const struct addr *a, struct access_end **ret);
int book_point(struct access_book *b, const char *ns, const char *name, const char *uid,
	       uint32_t reserved, const struct addr *a, struct access_point **ret);
/* Take e, p on success. */
int book_end_add(struct access_book *b, struct access_end *e);
int book_point_add(struct access_book *b, struct access_point *p);
void access_end_free(void *e);
void access_point_free(void *p);

/* Key of a point of a workload. */
size_t book_point_key(const char *ns, const char *name, const char *uid, char out[BOOK_POINT_KEY]);

/* workload.c */
struct book_workload *book_workload_find(const struct access_book *b, const char *ns, const char *name);
struct book_workload *book_workload_by_addr(const struct access_book *b, const struct addr *a);
void book_workloads_expire(struct access_book *b, int64_t now_ns);
void book_workload_free(void *bw);

/* entry.c: accesses and members. */
struct access *book_access_find(const struct access_book *b, const struct access_end *src,
				const struct access_end *dst, uint8_t proto, uint16_t port);
int book_access_new(struct access_book *b, const struct access_end *src, const struct access_end *dst,
		    uint8_t proto, uint16_t port, int64_t first_ns, struct access **ret);
int book_access_index(struct access_book *b, struct access *a); /* keys, ids, list */
int book_member(struct access_book *b, struct access *a, const struct access_point *src,
		const struct access_point *dst, uint8_t family, struct access_member **ret);
int book_member_index(struct access_book *b, struct access_member *m);
int book_access_day(struct access *a, int64_t at_ns, const struct access_counts *d);
void access_free(void *a);
/* Short id from a hash of text, not taken by an access or an alert. */
void book_id(const struct access_book *b, const char *text, size_t len, char ret[ACCESS_ID_MAX]);

/* scan.c */
/* Before a new access is made: does its source scan, and is it to be folded into *ret_fold? */
int book_scan_touch(struct access_book *b, const struct access_end *src, const struct access_point *point,
		    const struct access_end *dst, uint8_t proto, uint16_t port, bool answered,
		    int64_t at_ns, struct access_scan **ret_scan, bool *ret_fold);
/* After it was made: it may have to be held later, or is held now. */
int book_scan_made(struct access_book *b, struct access *a, struct access_scan *scan);
void scan_track_free(void *t);

/* fold.c */
int book_folds_apply(struct access_book *b, const struct node_fold *f, size_t n, int64_t now_ns);
int book_fold_get(struct access_book *b, const char *ns, const char *name, uint64_t instance,
		  struct access_fold **ret);
void access_fold_free(void *f);

/* wait.c */
/* 0: kept (or its newer figures); 1: it has waited long enough or there is no room: file it. */
int book_wait_put(struct access_book *b, const struct counter_name *n, const struct node_access *a,
		  int64_t now_ns);
void book_wait_drop(struct access_book *b, const struct counter_name *n);
void waiting_free(void *w);

/* take.c */
bool book_record_sane(const struct node_access *a);
/* Takes over one record; force: file unresolved ends as such. 0, 1 (it must wait), -EINVAL, -ENOMEM. */
int book_take(struct access_book *b, const struct counter_name *n, const struct node_access *a, bool force,
	      int64_t now_ns, struct access_applied *io);
static inline void counts_add(struct access_counts *to, const struct access_counts *d)
{
	to->flows += d->flows;
	to->answered += d->answered;
	to->packets += d->packets;
	to->bytes += d->bytes;
	to->guessed += d->guessed;
	for (int s = 0; s < 2; s++)
		for (int o = 0; o < CW_OUT_COUNT; o++)
			to->cnt[s][o] += d->cnt[s][o];
}
static inline uint64_t counts_refused(const struct access_counts *c)
{
	return c->cnt[CW_EGRESS][CW_OUT_WOULD_BLOCK] + c->cnt[CW_EGRESS][CW_OUT_DROP] +
	       c->cnt[CW_INGRESS][CW_OUT_WOULD_BLOCK] + c->cnt[CW_INGRESS][CW_OUT_DROP];
}
