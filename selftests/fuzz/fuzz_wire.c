/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_wire.c - a stream of frames from a peer: cut into frames, each body read as its type says, and the
 * state's frames gathered by a replica. What was read is written and read again as the same bytes; what a replica
 * took it can give back, and another takes that.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "wire/msg.h"
#include "wire/replica.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct frame again(struct frame_reader *r, const struct buf *b)
{
	const char *p = b->data;
	size_t n = b->len;
	struct frame f;

	assert(!b->err && frame_read(r, &p, &n, &f) == 1 && !n);
	return f;
}

#define nothing(x) ((void)(x))
#define TRY(name, type, done) do {							\
	type one_ = {}, two_ = {};							\
	int r_ = msg_get_##name(f, &one_);						\
	struct frame_reader fr_ = { .max = FRAME_BODY_MAX };				\
	struct buf a_, b_;								\
	struct frame f_;								\
											\
	assert(r_ == 0 || r_ == -EBADMSG);						\
	if (r_)										\
		break;									\
	buf_init(&a_, 1 << 24);								\
	buf_init(&b_, 1 << 24);								\
	assert(!msg_put_##name(&a_, &one_));						\
	f_ = again(&fr_, &a_);								\
	assert(!msg_get_##name(&f_, &two_));						\
	assert(!msg_put_##name(&b_, &two_));						\
	assert(a_.len == b_.len && !memcmp(a_.data, b_.data, a_.len));			\
	done(&one_);									\
	done(&two_);									\
	buf_done(&a_);									\
	buf_done(&b_);									\
	frame_reader_done(&fr_);							\
} while (0)

static void try_body(const struct frame *f)
{
	struct cJSON *c = NULL;
	uint64_t seq;

	switch (f->type) {
	case FRAME_HELLO: TRY(hello, struct msg_hello, nothing); break;
	case FRAME_WELCOME: TRY(welcome, struct msg_welcome, nothing); break;
	case FRAME_REFUSE: TRY(refuse, struct msg_refuse, nothing); break;
	case FRAME_ENROL: TRY(enrol, struct msg_enrol, msg_enrol_done); break;
	case FRAME_CERT: TRY(cert, struct msg_cert, msg_cert_done); break;
	case FRAME_SYNC: TRY(sync, struct msg_sync, nothing); break;
	case FRAME_COMMIT: TRY(commit, struct msg_commit, nothing); break;
	case FRAME_RECEIPT: TRY(receipt, struct msg_receipt, nothing); break;
	case FRAME_BATCH: TRY(batch, struct msg_batch, msg_batch_done); break;
	case FRAME_EPOCH_DONE: TRY(epoch_done, struct msg_epoch_done, nothing); break;
	case FRAME_NOTE: TRY(note, struct msg_note, msg_note_done); break;
	case FRAME_ADDRESSES: TRY(addresses, struct msg_addresses, msg_addresses_done); break;
	case FRAME_NODE_ADDRESSES: TRY(node_addresses, struct msg_node_addresses, msg_node_addresses_done); break;
	case FRAME_EVENT: TRY(event, struct msg_event, nothing); break;
	case FRAME_GUARDS: TRY(guards, struct msg_guards, msg_guards_done); break;
	case FRAME_ASK: TRY(ask, struct msg_ask, nothing); break;
	case FRAME_ANSWER: TRY(answer, struct msg_answer, msg_answer_done); break;
	case FRAME_ACK:
		(void)msg_get_ack(f, &seq);
		break;
	case FRAME_COUNTERS:
		if (!msg_get_counters(f, &c)) {
			assert(cJSON_IsObject(c));
			cJSON_Delete(c);
		}
		break;
	default:
		break;
	}
}

static int gather(void *arg, const void *p, size_t n)
{
	return buf_add(arg, p, n);
}

static void give_back(struct replica *r)
{
	struct replica *other;
	struct policy_state st;
	size_t used;
	struct buf b;

	assert(!replica_state(r, "node-1", &st));
	policy_state_done(&st);
	buf_init(&b, 1 << 24);
	assert(!replica_each(r, gather, &b) && !replica_new(&other));
	if (b.len) {
		assert(!replica_load(other, b.data, b.len, &used) && used == b.len);
		assert(replica_held(other).revision == replica_held(r).revision);
	}
	replica_free(other);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_reader fr = { .max = FRAME_BODY_MAX };
	const char *p = (const char *)data;
	struct replica *r;
	struct msg_sync s;
	struct frame f;
	int e;

	assert(!replica_new(&r));
	while ((e = frame_read(&fr, &p, &size, &f)) == 1) {
		try_body(&f);
		e = replica_take(r, &f, &s);
		assert(e == 0 || e == 1 || e == -EBADMSG || e == -ESTALE || e == -EINVAL);
		if (e == 1)
			give_back(r);
	}
	assert(e == 0 || e == -E2BIG || e == -EBADMSG);
	frame_reader_done(&fr);
	replica_free(r);
	return 0;
}
