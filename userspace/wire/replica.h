/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica.h - the agent's copy of the controller's records. Pure.
 *
 * What SYNC, RECORDS and COMMIT frames say is gathered aside and counts as a whole or not at all.
 * A byte form (the same frames) serves for keeping it on disk.
 */
#pragma once

#include "policy/state.h"
#include "wire/msg.h"

struct replica;

int replica_new(struct replica **ret);
void replica_free(struct replica *r);

/* What is held; for HELLO. All zero: nothing yet. */
struct msg_held replica_held(const struct replica *r);

/*
 * Takes one frame: SYNC, RECORDS or COMMIT; others are -EINVAL. 0: more to come; 1: a commit came
 * and the replica is the new state now, *ret says which (ret is otherwise untouched). -EBADMSG: not what
 * it should be; -ESTALE: a delta on another state than this one; -ENOMEM. After a failure what was
 * gathered is dropped and the replica is what it was (after -ENOMEM in a commit: empty; replica_held
 * tells): connect again, a snapshot mends it.
 */
int replica_take(struct replica *r, const struct frame *fr, struct msg_sync *ret);
/* Drops what was gathered so far (the connection broke). */
void replica_drop(struct replica *r);

/*
 * The state as the compiler wants it, `node` being this node's name. Borrows from the replica: valid until the
 * next replica_take; replica_view_done frees what the view itself needs. 0 or -ENOMEM.
 */
int replica_view(const struct replica *r, const char *node, struct policy_state *ret);
void replica_view_done(struct policy_state *v);
/* The same as a state of its own (policy_state_done). */
int replica_state(const struct replica *r, const char *node, struct policy_state *ret);

/* A whole snapshot as frames, in pieces: fn is called until it returns non-zero, which is returned. -ENOMEM. */
int replica_each(const struct replica *r, int (*fn)(void *arg, const void *p, size_t n), void *arg);
/* Reads frames back from bytes, up to the last COMMIT that is whole; what follows is ignored, *ret_used says
 * how many bytes counted. 0 (also when nothing was whole: replica_held tells), -EBADMSG, -ENOMEM. */
int replica_load(struct replica *r, const void *p, size_t n, size_t *ret_used);
