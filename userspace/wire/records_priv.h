/* SPDX-License-Identifier: Apache-2.0 */
/* records_priv.h - the byte form of one record, and the state as a row of them. Only wire/ includes it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/records.h"

/* kind (8 bits), 1 if it is gone (8), length of the key (16) and of the text (32), big endian; then
 * key and text, each with a NUL that the lengths leave out. */
#define REC_HEAD 8u
#define REC_PLAIN 1048576u /* a RECORDS frame is closed once it is as long as this, decompressed */

struct rec_bytes {
	unsigned kind;
	bool gone;
	const char *key, *text;
	size_t key_len, text_len;
};
/* Appends; failures stick in the buffer. */
void rec_put(struct buf *b, const struct rec_bytes *r);
/* Takes one from *p; *p and *len move on. 0 or -EBADMSG. */
int rec_get(const char **p, size_t *len, struct rec_bytes *ret);
/* What a record adds to a digest. Part of the protocol: never changes. */
uint64_t rec_hash(const struct rec_bytes *r);

/* The table key of a record: its kind and its key. Returns the length. out: REC_KEY_MAX + 2 bytes. */
size_t rec_table_key(unsigned kind, const char *key, size_t len, char out[REC_KEY_MAX + 2]);

/* Keys; what snprintf returns. */
#define REC_KEY_SIZE (REC_KEY_MAX + 1)
int rec_key_two(const char *ns, const char *name, char out[REC_KEY_SIZE]);
int rec_key_rule(uint32_t id, const char *kind, const char *ns, const char *name, char out[REC_KEY_SIZE]);

/*
 * Every record of a state, in a fixed order of kinds. key and text are the callee's until fn returns. Stops when fn
 * returns non-zero, which is returned; -ENOMEM, -E2BIG (a fault is added).
 */
int rec_each(const struct policy_state *st, struct fail_list *f, int (*fn)(void *arg, const struct rec_bytes *r),
	     void *arg);
