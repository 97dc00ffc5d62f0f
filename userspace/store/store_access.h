/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_access.h - the access book on disk. This is the one place where counting becomes
 * exactly-once: last values of the kernel's counters and what they added to are written in one
 * transaction.
 */
#pragma once

#include "flow/access_book.h"
#include "flow/alerts.h"
#include "store/store.h"

/* Fills an empty book. -EBADMSG: rows contradict each other. */
int store_access_load(struct store *s, struct access_book *b);
/*
 * Applies a drain and commits it. 0: durable, the node may clear a resting table. Any error: the
 * book is ahead of the disk, and the next call writes what is missing; call again with the same
 * batch. The same batch twice changes nothing.
 */
int store_access_commit(struct store *s, struct access_book *b, const struct node_access *a, size_t n,
			const struct node_fold *folds, size_t nfolds, int64_t now_ns,
			struct access_applied *ret);
/* Before a resting table is cleared: files what waits, drops its last values, commits. */
int store_access_epoch_done(struct store *s, struct access_book *b, uint64_t instance, uint32_t epoch,
			    int64_t now_ns);
/*
 * Writes what is dirty (decisions, acknowledgements, waiting counters filed by a tick). Inside
 * an open transaction it becomes part of that one: marks are cleared when the outermost commit
 * succeeds, so nothing may be applied to the book in between.
 */
int store_access_flush(struct store *s, struct access_book *b);
