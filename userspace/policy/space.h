/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.h - everything there is to ask one or two prepared sets about: the ends of the inventory,
 * and which of them both sets judge alike. Inside the policy room only; diff and lint stand on it.
 *
 * An end is a workload (or the part of its addresses that means the same), a node, or what a prefix
 * has beside longer prefixes and addresses of owners. Ends with the same effective identities and
 * groups share an atom: no question tells them apart. The inventory of both sets must be the same.
 */
#pragma once

#include "policy/diff.h"
#include "policy/set.h"

#define SPACE_SETS 2

struct space_atom {
	const struct group *g[SPACE_SETS];	/* NULL: not judged */
	uint32_t ix[SPACE_SETS];		/* slot of the effective identity */
	uint32_t nx[SPACE_SETS];		/* of its name: whoever of both speaks first; NIL: no name */
	uint32_t realm;
	uint32_t first, n;			/* in space.by_atom */
};

struct space {
	const struct policy_set *set[SPACE_SETS];
	struct { struct diff_end *v; size_t n, cap; } ends; /* sorted: workloads, nodes, host, prefixes, names */
	struct { struct space_atom *v; size_t n, cap; } atoms;
	uint32_t *by_atom;	/* ends, atom after atom */
	uint32_t nowners;
};

/* Both sets must be prepared, with the plan neither committed nor dropped. 0, -ENOMEM; -E2BIG: names. */
int space_new(const struct policy_set *a, const struct policy_set *b, struct space **ret);
void space_free(struct space *s);
static inline void space_freep(struct space **s) { space_free(*s); }

/* Row of every effective identity of `set` as the peer of a group's side, by slot. 0, -ENOMEM. */
int space_rows(const struct policy_set *set, const struct group *g, enum cw_side s, struct u32s *ret);
/* The intervals of a row: start << 32 | verdict index. Row 0 is one interval of verdict 0. */
const uint64_t *space_row(const struct policy_set *set, uint32_t row, size_t *ret_n);
struct cw_verdict space_verdict(const struct policy_set *set, uint32_t index);

/* May a packet go from one to the other: a family in common, not the same workload, names as destinations. */
bool space_pair(const struct diff_end *src, const struct diff_end *dst);
