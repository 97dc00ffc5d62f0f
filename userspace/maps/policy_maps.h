/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_maps.h - words, row table, rows, verdicts and peers. The four arrays are mapped: a
 * write is a store, and one made before word_store() is seen by whoever sees the word.
 * Indexes beyond the table: -ERANGE, nothing written.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "maps/maps.h"

/* cw_word[group * 2 + side]; a release store, the moment a change is in force. */
int word_store(struct maps *m, uint32_t index, uint64_t word);
int word_load(const struct maps *m, uint32_t index, uint64_t *ret);
/* cw_since[group * 2 + side]; seen by whoever sees a word stored after it. */
int since_store(struct maps *m, uint32_t index, uint64_t since);
int since_load(const struct maps *m, uint32_t index, uint64_t *ret);
int rowtab_store(struct maps *m, uint32_t index, const uint64_t *v, size_t n);
int rowtab_load(const struct maps *m, uint32_t index, uint64_t *ret);
int rows_store(struct maps *m, uint32_t index, const uint64_t *v, size_t n);
int rows_load(const struct maps *m, uint32_t index, uint64_t *ret);
int verdict_store(struct maps *m, uint32_t index, const struct cw_verdict *v);
int verdict_load(const struct maps *m, uint32_t index, struct cw_verdict *ret);

/* Sets (adds or replaces) n entries, batched where the kernel can. -ENOSPC/-E2BIG: full; ret_done,
 * if not NULL, tells how many were written also on failure. */
int peers_set(struct maps *m, const struct cw_peer_key *k, const uint32_t *cls, size_t n, size_t *ret_done);
/* Absent keys are no error. */
int peers_del(struct maps *m, const struct cw_peer_key *k, size_t n);
int peers_get(const struct maps *m, const struct cw_peer_key *k, uint32_t *ret); /* -ENOENT */
/* Walks all entries, unordered; fn's non-zero return ends and is returned. */
int peers_walk(const struct maps *m,
	       int (*fn)(void *arg, const struct cw_peer_key *k, uint32_t cls), void *arg);

/* Hits per verdict index, summed over CPUs; reads [from, from + n) into ret. */
int vstat_read(const struct maps *m, uint32_t from, uint32_t n, struct cw_vstat *ret);
/* Zeroes an index before it is given to another record. */
int vstat_clear(struct maps *m, uint32_t index);
