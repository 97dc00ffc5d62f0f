/* SPDX-License-Identifier: Apache-2.0 */
/* diff_priv.h - between the files of the comparison of two rule sets: diff.c, diff_rows.c, diff_cover.c. */
#pragma once

#include "policy/diff.h"
#include "policy/space.h"

struct seg { struct diff_span at; struct diff_verdict was, by; };
struct seglist { struct seg *v; size_t n; };
/* How an item differs; its bytes are the key it is found by. */
struct how { int32_t side; struct diff_verdict was, by; };
struct key { struct how how; uint32_t spans, nspans; }; /* in build.spans */
struct bag { uint32_t first, n; };	/* in build.cell_keys */
struct dpair { uint32_t src, dst, d[2]; };
struct triple { uint32_t key, x, y; };

/* One comparison while it is made. */
struct diff_build {
	struct space *s;
	struct htab *rowpairs, *seg_by, *cell_by, *key_by;
	struct { struct seglist *v; size_t n, cap; } segs;
	struct { struct key *v; size_t n, cap; } keys;
	struct { struct diff_span *v; size_t n, cap; } spans;
	struct { struct bag *v; size_t n, cap; } cells;
	struct u32s cell_keys;
	struct { struct dpair *v; size_t n, cap; } pairs;
	struct { struct triple *v; size_t n, cap; } triples;
	struct { struct diff_item *v; size_t n, cap; } items;
	uint32_t *own;		/* by owner and family: ends of the other side */
	struct { uint64_t rows[2]; uint32_t id; bool known; } memo[4096];
};

/* ---- diff_rows.c ----------------------------------------------------------------------------- */

/* The row of an address, and of its name (NIL: none). */
struct rowpair { uint32_t row, name; };
/* Number of the difference of two rows; 0: none. */
int diff_rows(struct diff_build *b, const struct rowpair p[SPACE_SETS], uint32_t *ret);
/* What differs between two atoms, on both sides, as a bag of keys: index into cells. */
int diff_cell(struct diff_build *b, const struct dpair *x, uint32_t *ret);

/* ---- diff_cover.c ---------------------------------------------------------------------------- */

/* Gathers pairs (sorted, each once) to items. */
int diff_cover(struct diff_build *b);
void diff_item_done(struct diff_item *it);
