/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one connection: frames over TLS 1.3 over TCP on a uv loop. Both ends use it.
 *
 * Both ends show a certificate and check the other's against the same authority. Who the peer is stands
 * in its certificate: a URI name "cellwall:node:NAME" or "cellwall:controller", or where there is no
 * such name, the common name in the same form. Everything runs on the loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/fail.h"
#include "wire/records.h"

#define WIRE_PORT 7946u
#define CONN_QUEUE_MAX (4u << 20)	/* own frames that may wait; shared blobs count by what is in flight */
#define CONN_HANDSHAKE_MS 10000u
#define CONN_STALL_MS 20000u		/* bytes wait and none goes out: given up */

enum wire_role { WIRE_NOBODY, WIRE_NODE, WIRE_CONTROLLER };
struct wire_identity { enum wire_role role; char name[64]; };
/* "cellwall:node:NAME" and "cellwall:controller"; -EINVAL. */
int wire_identity_parse(const char *s, struct wire_identity *ret);
/* out: 96 bytes. */
const char *wire_identity_str(const struct wire_identity *id, char out[96]);

/* ---- keys ------------------------------------------------------------------------------------ */

/* Credentials of one end, immutable; a connection keeps those it began with. */
struct wire_keys;
struct wire_keys_source {
	/* PEM. Chain: own certificate first. */
	const char *cert, *key, *ca;
	size_t cert_len, key_len, ca_len;
	const char *cert_name, *key_name, *ca_name;	/* how faults name them */
	/*
	 * Server: a peer without certificate is let in as WIRE_NOBODY (to enrol; the caller restricts it).
	 * Client: cert and key may be NULL, to enrol.
	 */
	bool allow_nobody;
};
int wire_keys_new(const struct wire_keys_source *s, struct fail_list *f, struct wire_keys **ret);
/* The same from files; cert and key may be NULL for a client that enrols. */
int wire_keys_load(const char *cert, const char *key, const char *ca, bool allow_nobody, struct fail_list *f,
		   struct wire_keys **ret);
struct wire_keys *wire_keys_ref(struct wire_keys *k);
void wire_keys_unref(struct wire_keys *k);
/* Who these credentials speak for, and when they run out (Unix s; 0: there is no certificate). */
const struct wire_identity *wire_keys_identity(const struct wire_keys *k);
int64_t wire_keys_expire(const struct wire_keys *k);

/* ---- connections ----------------------------------------------------------------------------- */

struct wire_conn;
struct wire_conn_ops {
	/* The handshake is done and the peer's certificate is good; conn_peer() tells who it is. */
	void (*ready)(void *arg, struct wire_conn *c);
	/* PING and PONG are answered inside and never come here. Negative: the connection is closed with that. */
	int (*frame)(void *arg, struct wire_conn *c, const struct frame *fr);
	/* Everything that was sent is out of our hands: room for more. May be NULL. */
	void (*drained)(void *arg, struct wire_conn *c);
	/*
	 * Called once, last; c is freed after it returns. err: 0 (wire_conn_close was called, or the
	 * peer ended it), or a negative errno: -ETIMEDOUT, -ECONNREFUSED, -EPROTO (TLS), -EACCES (certificate),
	 * -EBADMSG, -E2BIG, -ENOBUFS (queue), -ECONNRESET. `why` is for people, never NULL.
	 */
	void (*closed)(void *arg, struct wire_conn *c, int err, const char *why);
};
struct wire_conn_config {
	uv_loop_t *loop;
	struct wire_keys *keys;		/* a reference is taken */
	const struct wire_conn_ops *ops;
	void *arg;
	uint32_t idle_ms;		/* nothing received for so long: given up; 0: 30,000 */
	uint32_t ping_ms;		/* nothing sent for so long: a PING; 0: 10,000 */
	uint32_t handshake_ms, stall_ms; /* 0: the defaults above */
	unsigned version;		/* written into frames; 0: WIRE_VERSION */
	size_t queue_max;		/* 0: CONN_QUEUE_MAX */
	bool keep_packed;		/* as in struct frame_reader */
};

/* Client. The peer must be WIRE_CONTROLLER; server_name (may be NULL) must be one of its DNS names or addresses. */
int wire_conn_connect(const struct wire_conn_config *cfg, const struct sockaddr *to, const char *server_name,
		      struct wire_conn **ret);
/* Server: takes the next connection of a listening stream (in its connection callback). */
int wire_conn_accept(const struct wire_conn_config *cfg, uv_stream_t *listener, struct wire_conn **ret);

/* Copies whole frames (as msg_put_* make them) to the queue. 0; -ENOBUFS: the queue is full and the connection
 * is being closed; -EPIPE: it is closed already; -ENOMEM. */
int wire_conn_send(struct wire_conn *c, const void *frames, size_t len);
/* The same, from a buffer that is emptied; b->err is returned if set. */
int wire_conn_send_buf(struct wire_conn *c, struct buf *b);
/* Shared bytes: a reference is kept until they are out. Bounded by nothing: callers send the next when drained. */
int wire_conn_send_blob(struct wire_conn *c, struct wire_blob *blob);
/* Bytes waiting, both kinds. */
size_t wire_conn_queued(const struct wire_conn *c);
/* Frames may be as long as FRAME_BODY_MAX from now on (FRAME_FIRST_MAX before). */
void wire_conn_trust(struct wire_conn *c);
void wire_conn_version(struct wire_conn *c, unsigned version);
/* What the other end was told or told us: how often to ping, when to give up. */
void wire_conn_timing(struct wire_conn *c, uint32_t ping_ms, uint32_t idle_ms);
const struct wire_identity *wire_conn_peer(const struct wire_conn *c);
/* "10.0.0.7:43120" */
const char *wire_conn_addr(const struct wire_conn *c);
/* Sends what is queued if that is possible at once, then closes; closed() is called from the loop later. Idempotent. */
void wire_conn_close(struct wire_conn *c, int err, const char *why);
