/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h - recorded accesses against a candidate: which outcome changes, on which side, and what
 * changes it. Used by every plan and by `simulate`.
 */
#pragma once

#include "base/htab.h"
#include "controller/judge.h"
#include "flow/access_book.h"

enum replay_effect { REPLAY_SAME, REPLAY_DIFFERS, REPLAY_OPENS, REPLAY_BREAKS }; /* by weight */
const char *replay_effect_str(enum replay_effect e);

struct replay_item {
	const struct access *access;
	enum replay_effect effect;
	enum cw_outcome was, becomes;	/* of the stricter side among those that change */
	int side;			/* enum cw_side, or -1: both change */
	struct cw_verdict by, was_by;	/* deciding record after and before, on that side */
	enum cw_reason by_reason, was_reason;
	bool by_isolated;
	struct access_span span;	/* in the window */
};
struct replay {
	struct replay_item *items;	/* effect not SAME; breaks first, then by access id */
	size_t n;
	size_t accesses, breaks, opens, differs, unchanged, unresolved;
	uint64_t flows;
	int64_t since_ns, until_ns;	/* as asked; since 0: all */
	int64_t first_ns, last_ns;	/* recorded in it */
	uint32_t days;			/* UTC days from the first record to the last */
};

struct replay_opts {
	int64_t since_ns, until_ns;
	const char *const *ns;		/* either end in one of these; none: all */
	size_t nns;
	bool was_enforce, becomes_enforce; /* judge that side of the comparison as if all enforced */
};

/* The judge must hold the state and a candidate. st: workloads to stand in for members that are gone. */
int replay_run(const struct judge *j, const struct access_book *book, const struct policy_state *st,
	       const struct replay_opts *o, struct replay *ret);
void replay_done(struct replay *r);

/* Workloads of a state by name and by lifted end; a replay asks for each member of each access. */
struct replay_index {
	const struct policy_state *st;
	struct htab *by_name;	/* "ns/name" */
	struct htab *by_end;	/* REF of a lifted end, filled as asked */
};
int replay_index_init(const struct policy_state *st, struct replay_index *ret); /* 0, -ENOMEM */
void replay_index_done(struct replay_index *ix);
/* One access, into a zeroed *it: 1 judged; 0 no member of it could be resolved; negative errno. */
int replay_one(const struct judge *j, const struct access *a, const struct replay_index *ix,
	       const struct replay_opts *o, struct replay_item *it);
/* Point of a recorded member as an end to ask about; false when nothing stands for it. */
bool replay_end(const struct replay_index *ix, const struct access_point *p, const struct access_end *end,
		uint8_t family, struct policy_end *ret);
uint32_t access_axis(const struct access *a);
/* How strict an outcome is: block over would-block over ... */
int outcome_weight(enum cw_outcome o);
