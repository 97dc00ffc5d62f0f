/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - reports on their way to somebody who may be away: a bounded file of rows that are sent
 * in order and dropped when they were taken. SQLite inside, a file of its own.
 *
 * A row has a kind and a key, and there is at most one of each: putting it again replaces the body
 * and moves the row to the end. Cumulative figures therefore cost one row each, however long the
 * other end is away. Sequence numbers rise for good, also over a restart.
 *
 * One thread. Everything is bounded and returns 0 or a negative errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

#define SPOOL_BODY_MAX (1u << 20)
#define SPOOL_KEY_MAX 1024u

struct spool;

struct spool_figures {
	uint64_t rows, bytes;	/* waiting now; bytes of keys and bodies */
	uint64_t bytes_max;
	uint64_t replaced;	/* puts that only brought a row up to date */
	uint64_t refused;	/* puts that found no room */
	uint64_t taken;		/* rows that were acknowledged */
};

struct spool_row {
	uint64_t seq;
	unsigned kind;
	const void *key, *body;
	size_t key_len, body_len;
};

/*
 * Opens or creates; bytes_max bounds what waits. A damaged file is moved to PATH.corrupt and told as
 * spool.corrupt in f; an empty one is begun and the call returns 0. -EBUSY: another process has it.
 */
int spool_open(const char *path, uint64_t bytes_max, struct fail_list *f, struct spool **ret);
void spool_close(struct spool *s);
/* Puts between these two are in the file together or not at all; commit: they are on the disk. */
int spool_begin(struct spool *s);
int spool_commit(struct spool *s);
void spool_rollback(struct spool *s);
/* -ENOSPC: no room, nothing is changed. */
int spool_put(struct spool *s, unsigned kind, const void *key, size_t key_len, const void *body, size_t body_len);
/* Rows from the oldest on, until fn returns non-zero, which is returned. fn must not call the spool. */
int spool_each(struct spool *s, int (*fn)(void *arg, const struct spool_row *r), void *arg);
/* Everything up to seq was taken. On the disk when the call returns. */
int spool_ack(struct spool *s, uint64_t seq);
/* Drops the oldest rows of a kind until at most `keep` are left. The number dropped, or an errno. */
int spool_trim(struct spool *s, unsigned kind, uint64_t keep);
void spool_figures_get(const struct spool *s, struct spool_figures *ret);
