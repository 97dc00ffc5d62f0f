/* SPDX-License-Identifier: Apache-2.0 */
/* records_table.h - inside of struct records. Only records*.c include it. */
#pragma once

#include "base/htab.h"
#include "base/vec.h"
#include "wire/records_priv.h"

/* One record as it was at some revision, in its byte form. */
struct item {
	uint64_t hash;	/* 0: gone */
	unsigned refs;
	uint32_t len;
	uint16_t key_len;
	uint8_t kind;
	bool gone;
	char data[];
};
static inline const char *item_key(const struct item *it)
{
	return it->data + REC_HEAD;
}
static inline const char *item_text(const struct item *it)
{
	return it->data + REC_HEAD + it->key_len + 1;
}

struct rec {
	struct item *item;	/* NULL: a place taken by a state that is only prepared */
	struct rec *next, *prev; /* in its bucket */
	uint64_t stamp;
	size_t place;		/* in records.order */
	uint32_t bucket;
};

/* What one commit changed. */
struct step {
	struct msg_held base, to;
	uint64_t generation;
	enum policy_flows flows;
	struct item **items;
	size_t n;
};

/* Records spread by the hash of their key; the frames of a bucket are made when a snapshot is
 * asked for, and again only after one of its records changed. */
struct bucket { struct rec *head; struct wire_blob *blob; };

struct records {
	uint64_t epoch, revision, digest, generation, stamp;
	struct htab *table;	/* kind and key -> struct rec */
	struct { struct rec **v; size_t n, cap; } order;
	struct { struct step *v; size_t n, cap; } log;
	size_t log_first, log_items, log_max;
	struct bucket *buckets;
	uint32_t nbuckets;	/* a power of two, or 0 */
	/* Deltas that were made: everybody asks for the same ones. */
	struct { struct msg_held from, to; struct wire_blob *blob; } cache[8];
	unsigned cache_next;
};

void bucket_add(struct records *r, struct rec *x);
void bucket_del(struct records *r, struct rec *x);
void bucket_touch(struct records *r, struct rec *x); /* its frames are out of date */
void records_log_forget(struct records *r);
