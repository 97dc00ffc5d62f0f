/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg.h - bodies of the frames as structs. Pure.
 *
 * msg_put_* append one whole frame to a buffer: 0, or what the buffer says (-ENOMEM, -E2BIG).
 * msg_get_* read a body from outside, everything checked and bounded: 0, -EBADMSG or -ENOMEM, and
 * then *ret is untouched. What they give owns its memory: msg_*_done.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "controller/node.h"
#include "wire/frame.h"

#define MSG_BATCH_MAX 2048u	/* accesses, and folds, of one batch */
#define MSG_FLOWS_MAX 4096u	/* flows of one answer */
#define MSG_GUARDS_MAX 8192u
#define MSG_ADDRS_MAX 256u

/* ---- opening --------------------------------------------------------------------------------- */

/* What an agent holds of the controller's records; all zero: nothing. */
struct msg_held { uint64_t epoch, revision, digest, count; };

struct msg_hello {
	unsigned min, max;	/* versions */
	char node[64];
	char software[32];
	uint64_t instance;	/* random, of this run of the agent */
	struct msg_held held;
	uint64_t generation;	/* in force now */
	uint32_t entries_max;	/* room of the policy map; 0: not known */
	char capabilities[256];	/* words, by spaces; for people */
};
struct msg_welcome {
	unsigned version;
	char controller[64];	/* its name */
	uint64_t instance;	/* random, of this run of the controller */
	uint32_t ping_ms, idle_ms; /* how often the agent pings, and after what silence to give up */
};
/* code: "version", "identity", "node", "busy", "standby", "token", "protocol", "limit", "idle" */
struct msg_refuse { char code[32]; char text[256]; uint32_t retry_ms; };
int msg_put_hello(struct buf *b, const struct msg_hello *m);
int msg_get_hello(const struct frame *fr, struct msg_hello *ret);
int msg_put_welcome(struct buf *b, const struct msg_welcome *m);
int msg_get_welcome(const struct frame *fr, struct msg_welcome *ret);
int msg_put_refuse(struct buf *b, const struct msg_refuse *m);
int msg_get_refuse(const struct frame *fr, struct msg_refuse *ret);

/* Certificates: PEM texts, at most 16 KB each. */
struct msg_enrol { char node[64]; char *token, *csr; };
void msg_enrol_done(struct msg_enrol *m);
int msg_put_enrol(struct buf *b, const struct msg_enrol *m);
int msg_get_enrol(const struct frame *fr, struct msg_enrol *ret);
struct msg_cert { char *cert; }; /* the node's, then those between it and the authority */
void msg_cert_done(struct msg_cert *m);
int msg_put_cert(struct buf *b, const struct msg_cert *m);
int msg_get_cert(const struct frame *fr, struct msg_cert *ret);

/* ---- state down ------------------------------------------------------------------------------ */

/*
 * A snapshot replaces all records; a delta changes those of a state whose digest is `base`. Then
 * RECORDS frames, then COMMIT. Nothing of it counts before COMMIT has come and agrees.
 */
struct msg_sync {
	bool snapshot;
	uint64_t epoch, revision;	/* what it leads to */
	uint64_t base;			/* delta: digest of the state it is made on */
	uint64_t generation;
	enum policy_flows flows;
};
struct msg_commit { uint64_t revision, digest, count; };
int msg_put_sync(struct buf *b, const struct msg_sync *m);
int msg_get_sync(const struct frame *fr, struct msg_sync *ret);
int msg_put_commit(struct buf *b, const struct msg_commit *m);
int msg_get_commit(const struct frame *fr, struct msg_commit *ret);
/* receipt->generation is what is in force after it; `revision` is of the commit answered. */
struct msg_receipt { uint64_t revision; struct node_receipt receipt; };
int msg_put_receipt(struct buf *b, const struct msg_receipt *m);
int msg_get_receipt(const struct frame *fr, struct msg_receipt *ret);

/* ---- reports up ------------------------------------------------------------------------------ */

/*
 * Frames with a number are acknowledged, in order, by ACK with the last number that is durable.
 * Numbers ascend for as long as the spool lives; after a break the agent sends again what was not
 * acknowledged. Taking one twice is harmless.
 */
struct msg_batch {
	uint64_t seq;
	struct node_access *accesses;
	size_t naccesses;
	struct node_fold *folds;
	size_t nfolds;
};
void msg_batch_done(struct msg_batch *m);
int msg_put_batch(struct buf *b, const struct msg_batch *m);
int msg_get_batch(const struct frame *fr, struct msg_batch *ret);
struct msg_epoch_done { uint64_t seq, instance; uint32_t epoch; };
int msg_put_epoch_done(struct buf *b, const struct msg_epoch_done *m);
int msg_get_epoch_done(const struct frame *fr, struct msg_epoch_done *ret);
struct msg_note { uint64_t seq; char *reason, *workload, *text; };
void msg_note_done(struct msg_note *m);
int msg_put_note(struct buf *b, const struct msg_note *m);
int msg_get_note(const struct frame *fr, struct msg_note *ret);
struct msg_addresses { uint64_t seq; char *ns, *name; struct addr *addrs; size_t naddrs; };
void msg_addresses_done(struct msg_addresses *m);
int msg_put_addresses(struct buf *b, const struct msg_addresses *m);
int msg_get_addresses(const struct frame *fr, struct msg_addresses *ret);
/* The node's own, all of them; the last one counts. At most MSG_ADDRS_MAX are written. */
struct msg_node_addresses { struct addr *addrs; size_t naddrs; };
void msg_node_addresses_done(struct msg_node_addresses *m);
int msg_put_node_addresses(struct buf *b, const struct msg_node_addresses *m);
int msg_get_node_addresses(const struct frame *fr, struct msg_node_addresses *ret);
int msg_put_ack(struct buf *b, uint64_t seq);
int msg_get_ack(const struct frame *fr, uint64_t *ret_seq);

struct msg_event { struct cw_event ev; struct node_flow who; struct cw_verdict verdict; };
int msg_put_event(struct buf *b, const struct msg_event *m);
int msg_get_event(const struct frame *fr, struct msg_event *ret);
/* hook and state of what is read are literals: words that are not known become "-" and "blind". */
struct msg_guards { struct node_guard *v; size_t n; };
void msg_guards_done(struct msg_guards *m);
int msg_put_guards(struct buf *b, const struct msg_guards *m);
int msg_get_guards(const struct frame *fr, struct msg_guards *ret);
/* The object of node_ops.counters as it is. */
int msg_put_counters(struct buf *b, const struct cJSON *counters);
int msg_get_counters(const struct frame *fr, struct cJSON **ret);

/* ---- questions down, answers up -------------------------------------------------------------- */

enum msg_ask_what { ASK_FLOWS, ASK_DRAIN, ASK_ATTACH, ASK_DETACH };
struct msg_ask {
	uint64_t id;		/* the answer carries it */
	enum msg_ask_what what;
	char ns[64], name[254];	/* attach, detach */
	char netns[4096];	/* attach: name or path on the node */
	uint32_t limit;		/* flows */
};
int msg_put_ask(struct buf *b, const struct msg_ask *m);
int msg_get_ask(const struct frame *fr, struct msg_ask *ret);
struct msg_answer {
	uint64_t id;
	int err;		/* 0 or a negative errno */
	char note[256];
	struct node_flow *flows;
	size_t nflows;
};
void msg_answer_done(struct msg_answer *m);
int msg_put_answer(struct buf *b, const struct msg_answer *m);
int msg_get_answer(const struct frame *fr, struct msg_answer *ret);
