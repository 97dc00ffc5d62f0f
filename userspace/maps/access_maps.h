/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_maps.h - accounting tables and how they are drained without loss.
 *
 * Entries are cumulative and read without deleting. When the table in use fills:
 *   epoch_switch() -> maps_grace() -> walk the resting table, commit -> epoch_clear().
 * Everything but epoch_switch() and epoch_clear() may run on any thread.
 */
#pragma once

#include <stdint.h>

#include "maps/maps.h"

struct access_row {
	struct cw_access_key key;
	struct cw_access val;
	struct cw_traffic traffic; /* summed over CPUs; zero when val.slot is 0 (the sink) */
};
struct pair_row {
	struct cw_pair_key key;
	struct cw_pair val;
};

/* Walks the table of an epoch (its low bit names the table). fn's non-zero return ends and is
 * returned. Returns 0, or a negative errno. Some 2 ms per 10,000 entries. */
int access_map_walk(struct maps *m, uint32_t epoch, int (*fn)(void *arg, const struct access_row *r), void *arg);
int pair_map_walk(struct maps *m, uint32_t epoch, int (*fn)(void *arg, const struct pair_row *r), void *arg);
int access_map_get(const struct maps *m, uint32_t epoch, const struct cw_access_key *k, struct access_row *ret);
/* Entries charged in that epoch's tables, summed over workloads: no walk. */
void access_map_used(const struct maps *m, uint32_t epoch, uint64_t *ret_accesses, uint64_t *ret_pairs);
/* The sink slot's traffic of an epoch: bytes and packets of no access of their own. */
int access_sink_read(struct maps *m, uint32_t epoch, struct cw_traffic *ret);

/* Turns to the other table. -EBUSY: it was not cleared since it last rested. */
int epoch_switch(struct maps *m, uint32_t *ret_epoch);
/* Empties the resting table of `epoch`, its slots and its charges. Only after a grace period
 * and a commit. -EINVAL: that table is in use. */
int epoch_clear(struct maps *m, uint32_t epoch);

/* cw_wl[wl]; cumulative. */
int wl_map_read(const struct maps *m, uint32_t wl, struct cw_wl *ret);
/* Zeroes the cumulative figures before a number is given to another workload; charges stay, as the
 * entries they count do. */
int wl_map_clear(struct maps *m, uint32_t wl);
/* What the workload sends is judged at its own end: receivers of this node judge it too. */
int wl_map_inside(struct maps *m, uint32_t wl, bool inside);

/* Sums over CPUs, by enum cw_reason. */
int reasons_read(const struct maps *m, struct cw_reason_stat ret[CW_R_COUNT]);
