/* SPDX-License-Identifier: Apache-2.0 */
/* flow_maps.h - the flow tables: walk in pieces, seed, delete. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "maps/maps.h"

/* A flow as the table has it, both families in one form. */
struct flow_row {
	struct addr a, b;	/* in key order; see cw_flow.flags for who opened it */
	uint16_t pa, pb;	/* host order */
	uint16_t zone;
	uint8_t proto;
	uint8_t v6;
	struct cw_flow flow;
};

/* Where a walk stands. Zero-initialise; one walk per cursor. */
struct flow_cursor {
	uint32_t token, batch;
	uint8_t v6, started, done;
	uint8_t pad;
};
/*
 * Visits up to about `budget` entries (IPv4 table first) and returns how many were visited;
 * cursor.done tells the end. A walk that races with inserts may miss or repeat an entry.
 * fn's negative return ends and is returned; a positive one deletes the entry just shown.
 */
int flow_map_walk(struct maps *m, struct flow_cursor *c, uint32_t budget,
		  int (*fn)(void *arg, const struct flow_row *r), void *arg);
/* Takes a flow over: only if none stands (-EEXIST). a and b may be given in any order: they are
 * put in key order, sides and originator flag stay as given relative to the caller's `a`. */
int flow_map_seed(struct maps *m, const struct flow_row *r);
int flow_map_get(const struct maps *m, const struct flow_row *key, struct cw_flow *ret); /* -ENOENT */
int flow_map_del(struct maps *m, const struct flow_row *key); /* absent: 0 */
/* Entries in both tables now: a whole walk, 1-2 ms per 10,000. */
int flow_map_count(struct maps *m, uint64_t *ret);
