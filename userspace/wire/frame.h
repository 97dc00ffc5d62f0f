/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - the unit of the protocol between controller and agents. Pure: no I/O, no globals.
 *
 * A frame is an 8-byte header and a body: length of the body (32 bits), type (16 bits), flags
 * (8 bits), version (8 bits), big endian. The table of types is in README.md. Within a version,
 * frames of an unknown type and unknown members of a body are skipped, so that peers one version
 * apart understand each other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* What this build speaks; both ends use the highest that both have. */
#define WIRE_VERSION 1u
#define WIRE_VERSION_MIN 1u

#define FRAME_HEAD 8u
#define FRAME_BODY_MAX (4u << 20)	/* as sent */
#define FRAME_PLAIN_MAX (8u << 20)	/* after decompression */
#define FRAME_FIRST_MAX 65536u		/* before the peer has said who it is */

#define FRAME_F_ZLIB 0x01u		/* the body is a zlib stream */

enum frame_type {
	FRAME_HELLO = 1,	/* up: who I am, what I hold */
	FRAME_WELCOME = 2,	/* down: version chosen, who you talk to */
	FRAME_REFUSE = 3,	/* both: why the connection ends */
	FRAME_PING = 4,		/* both; the body comes back in a PONG */
	FRAME_PONG = 5,
	FRAME_ENROL = 6,	/* up, without a certificate: token and certificate request */
	FRAME_CERT = 7,		/* down: the certificate */
	FRAME_SYNC = 16,	/* down: a snapshot or a delta begins */
	FRAME_RECORDS = 17,	/* down: some of its records */
	FRAME_COMMIT = 18,	/* down: it is whole, put it in force */
	FRAME_RECEIPT = 19,	/* up: what became of it */
	FRAME_BATCH = 32,	/* up, acknowledged: accesses and folds */
	FRAME_EPOCH_DONE = 33,	/* up, acknowledged */
	FRAME_NOTE = 34,	/* up, acknowledged */
	FRAME_ADDRESSES = 35,	/* up, acknowledged */
	FRAME_ACK = 36,		/* down: everything up to this number is durable */
	FRAME_EVENT = 40,	/* up, may be lost */
	FRAME_GUARDS = 41,	/* up: all of them, whenever they changed */
	FRAME_COUNTERS = 42,	/* up, every few seconds */
	FRAME_NODE_ADDRESSES = 43, /* up: all of the node's own, whenever they changed */
	FRAME_ASK = 48,		/* down: flows, a drain, attach, detach */
	FRAME_ANSWER = 49,	/* up: the answer to one ASK */
};

/* Appends header and body; the body as it is. 0, -E2BIG (longer than FRAME_BODY_MAX) or b's error. */
int frame_put(struct buf *b, enum frame_type type, unsigned flags, const void *body, size_t len);
/* The same with the body compressed where that makes it smaller. plain <= FRAME_PLAIN_MAX. */
int frame_put_zlib(struct buf *b, enum frame_type type, const void *plain, size_t len);

/* A frame as read; body points into the reader, valid until the next call. NUL-terminated. */
struct frame {
	enum frame_type type;
	unsigned version;
	const char *body;
	size_t len;
	bool packed;		/* only from a reader that keeps them so */
};

/* Splits a stream into frames. Zero-initialised but for `max`. */
struct frame_reader {
	size_t max;		/* longest body taken; FRAME_FIRST_MAX until the peer is known */
	bool keep_packed;	/* compressed bodies are handed over as they came: for who only counts them */
	uint8_t head[FRAME_HEAD];
	size_t have;		/* bytes of head and body so far */
	size_t body_len;
	char *body;
	size_t body_cap;
	char *plain;		/* the last frame decompressed */
};
/*
 * Takes bytes from *p; *p and *len move on. 1: *ret is a frame, call again with what is left;
 * 0: more bytes are needed; -E2BIG a limit, -EBADMSG not a frame, -ENOMEM: the stream is over.
 */
int frame_read(struct frame_reader *r, const char **p, size_t *len, struct frame *ret);
void frame_reader_done(struct frame_reader *r);

/* The version two ranges have in common, the highest; 0: none. */
unsigned frame_version(unsigned min_a, unsigned max_a, unsigned min_b, unsigned max_b);
