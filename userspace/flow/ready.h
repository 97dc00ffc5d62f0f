/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.h - what learning has not seen yet, by name. Evidence, never a timer. Pure.
 *
 * Items carry parameters; sentences are made where people read them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/access_book.h"

#define READY_ITEMS_MAX 1000u /* named items; the sums stay exact */

enum ready_kind {
	READY_REPLICAS,	/* one for all: seen of total; and one missing item per workload not seen */
	READY_PEERS,	/* resolved of total; and one missing item per unresolved end */
	READY_LOSS,	/* kernel, fold and book counters */
	READY_ANSWER,	/* an access that was never answered and is not decided */
	READY_DECISION,	/* accesses nobody decided and no rule covers */
	READY_SCHEDULE,	/* a schedule's owner that was not seen in the window */
	READY_HELD,	/* accesses or scans held apart */
	READY_GUARD,	/* interfaces that are not guarded */
	READY_KINDS
};
const char *ready_kind_str(enum ready_kind k); /* "replicas", "peers", ... */

struct ready_item {
	enum ready_kind kind;
	bool ok;
	char *subject;	/* workload or access id; NULL for sums */
	char *src, *dst; /* ANSWER, and the unresolved pair of PEERS */
	char port[40];	/* ANSWER */
	char *schedule;	/* SCHEDULE: as declared, may be NULL */
	int64_t next_ns; /* SCHEDULE: next run if the caller knew, else 0 */
	uint64_t have, of; /* REPLICAS, PEERS, GUARD: have of total */
	uint64_t count;	/* ANSWER: attempts; DECISION, HELD: accesses; LOSS: flows lost */
	uint64_t folded; /* LOSS: flows folded */
};

/* A schedule declared for the namespace (CronJob). */
struct ready_schedule { const char *ns, *kind, *name, *schedule; int64_t next_ns; };

struct ready_input {
	const char *ns;
	const struct access_book *book;
	const struct workload *workloads; /* of the cluster; those of ns are looked at */
	size_t nworkloads;
	const struct ready_schedule *schedules;
	size_t nschedules;
	uint64_t guarded, interfaces; /* of ns's workloads; both 0: no such item */
	int64_t since_ns, now_ns;     /* window; since 0: all that is recorded */
};

struct ready {
	bool ready;
	struct ready_item *items; /* ok items first, each by kind */
	size_t nitems;
	uint64_t dropped;	  /* items beyond READY_ITEMS_MAX */
	uint64_t accesses, pending;
	int64_t window_ns;	  /* first access in it to now */
	int64_t newest_ns;	  /* when the newest access of ns was first seen; 0 none */
	struct access_fold loss;  /* sums; ns and name NULL */
};

/* 0 or -ENOMEM. */
int ready_check(const struct ready_input *in, struct ready *ret);
void ready_done(struct ready *r);
