/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - the records last applied, on disk: a head line, then chunks, each with its length and a
 * checksum. The first chunk is a whole snapshot, each further one what came after it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "wire/replica.h"

struct snapshot;

#define SNAPSHOT_BYTES_MAX (1ull << 30)

/*
 * Opens PATH and reads what it holds into *ret_replica, which is made. What is damaged is told in f
 * (snapshot.damaged), moved to PATH.damaged and not used at all; a torn last chunk is cut off. 0, also
 * when there is none; -ENOMEM, -EIO, ...
 */
int snapshot_open(const char *path, const char *node, struct fail_list *f, struct snapshot **ret,
		  struct replica **ret_replica);
void snapshot_close(struct snapshot *s);
/*
 * r is what was applied now; `frames` are those that led to it from what was noted before (NULL: not known, or a
 * snapshot). On the disk when it returns. Blocks for a write.
 */
int snapshot_note(struct snapshot *s, const struct replica *r, const void *frames, size_t len);
