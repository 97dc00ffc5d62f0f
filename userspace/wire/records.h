/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records.h - the controller's state as records: (kind, key) -> JSON text, with a revision that
 * grows with every commit. Says what changed since a revision, or everything, as frames that are
 * made once and shared by all connections. Pure.
 *
 * The digest of a set of records is the sum of a hash of each: two ends that hold the same
 * records have the same digest, whatever way they came to them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/state.h"
#include "wire/msg.h"

enum record_kind {
	REC_SETTINGS = 1, REC_NODE, REC_NAMESPACE, REC_WORKLOAD, REC_SERVICE, REC_RULE, REC_KPOLICY,
	REC_MODE, REC_QUARANTINE, REC_KINDS
};
#define REC_KEY_MAX 600u
#define REC_TEXT_MAX (1u << 20)

/* Bytes that several owners share: frames ready to be sent. */
struct wire_blob { unsigned refs; size_t len; char data[]; };
struct wire_blob *wire_blob_new(const void *p, size_t len); /* one reference; NULL: no memory */
struct wire_blob *wire_blob_ref(struct wire_blob *b);
void wire_blob_unref(struct wire_blob *b); /* NULL is fine */
/* References in the order to send them. */
struct wire_blobs { struct wire_blob **v; size_t n, cap; };
void wire_blobs_done(struct wire_blobs *l);

struct records;
struct records_next; /* a state prepared aside */

/* log_max: changed records remembered for deltas; 0: 65,536. The epoch is of the caller's choice, not 0. */
int records_new(uint64_t epoch, size_t log_max, struct records **ret);
void records_free(struct records *r);

/* What differs between the records and st, aside: nothing changes yet. -ENOMEM, -E2BIG with a fault. */
int records_prepare(struct records *r, const struct policy_state *st, struct fail_list *f,
		    struct records_next **ret);
/* Takes n over (it is freed). Cannot fail. The revision is one more if any record or the generation differs. */
void records_commit(struct records *r, struct records_next *n, enum policy_flows flows);
void records_abort(struct records_next *n); /* NULL is fine */
size_t records_next_changes(const struct records_next *n);

/* Epoch, revision, digest and count as they are now. */
struct msg_held records_held(const struct records *r);
uint64_t records_generation(const struct records *r);
/* The text of one record; NULL: there is none. Valid until the next commit. */
const char *records_text(const struct records *r, enum record_kind kind, const char *key);

/*
 * Frames that lead from `held` towards the present: SYNC, RECORDS, COMMIT. A delta where the log reaches
 * back, an empty one where the digest alone is right, else a snapshot. *ret_to is where they lead,
 * which may be short of the present (changes that treat standing flows differently are not put
 * together): ask again from there. Nothing to send: ret->n is 0. 0 or -ENOMEM.
 */
int records_since(struct records *r, const struct msg_held *held, struct wire_blobs *ret,
		  struct msg_held *ret_to, bool *ret_snapshot);
