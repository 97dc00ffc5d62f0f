/* SPDX-License-Identifier: Apache-2.0 */
/* maps_priv.h - the set as the files of this room see it. */
#pragma once

#include <errno.h>
#include <stddef.h>

#include "maps/maps.h"

enum map_id {
	M_CTL, M_EP, M_ADDR4, M_ADDR6, M_NET4, M_NET6, M_WORD, M_PEERS, M_ROWTAB, M_ROWS, M_VERDICTS,
	M_VSTAT, M_FLOW4, M_FLOW6, M_LISTEN, M_ACCESS0, M_ACCESS1, M_PAIR0, M_PAIR1, M_ACCT, M_WL,
	M_REASONS, M_SHIELD, M_SHIELD4, M_SHIELD6, M_SINCE, M_SVC, M_BACKENDS, M_FQDN, M_DNS_NAME,
	M_DNS_PATTERN, M_NAMED, M_RESOLVER4, M_RESOLVER6, M_DNS_STAT, M_PROBE, M_COUNT
};

struct htab;

struct maps {
	int fd[M_COUNT];
	uint32_t max[M_COUNT];
	size_t mapped[M_COUNT];	/* bytes, 0: not mapped */
	void *mem[M_COUNT];
	unsigned ncpu;		/* possible CPUs: values in a per-CPU lookup */
	struct cw_ep *eps;	/* what stands in cw_ep: found by workload without asking the kernel */
	struct htab *nets[2];	/* prefixes that stand, by family */
	bool no_batch;		/* the kernel lacks batched calls for hash maps */
};

/* Fills m->nets from the tries. addr_maps.c */
int nets_read(struct maps *m);

/*
 * Walks a hash map in batches. fn's negative return ends and is returned; others are ignored.
 * Entries that are inserted or deleted meanwhile may be missed or shown twice.
 */
int map_walk(const struct maps *m, enum map_id id, size_t key_size, size_t value_size,
	     int (*fn)(void *arg, const void *key, const void *value), void *arg);
/* -E2BIG, which hash maps give when full, and -ENOSPC, which tries give, are one fault. */
static inline int map_full(int r)
{
	return r == -E2BIG ? -ENOSPC : r;
}
