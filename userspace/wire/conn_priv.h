/* SPDX-License-Identifier: Apache-2.0 */
/* conn_priv.h - inside of connections. Only keys.c, conn.c and conn_tls.c include it. */
#pragma once

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/vec.h"
#include "wire/conn.h"
#include "wire/frame.h"

struct wire_keys {
	unsigned refs;
	SSL_CTX *ctx;
	struct wire_identity identity;
	int64_t expire;
	bool allow_nobody;
};

/* Whom a certificate speaks for. 0 or -EINVAL. */
int conn_identity_of(X509 *cert, struct wire_identity *ret);

enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN, CONN_CLOSING };

struct conn_piece { struct wire_blob *blob; size_t off; bool own; };

struct wire_conn {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	unsigned handles;
	struct wire_keys *keys;
	const struct wire_conn_ops *ops;
	void *arg;
	struct wire_conn_config cfg; /* timing and limits */
	unsigned version;
	enum conn_state state;
	bool client, pumping, slow; /* slow: the rest of this turn goes through the loop */
	bool writing;		/* uv has bytes of ours */
	bool late_rx, late_tx;	/* overdue when the timer looked last */
	SSL *ssl;
	const char *rx;		/* what the library may read now */
	size_t rx_len;
	struct buf tx;		/* what the kernel did not take at once */
	int tx_err;
	struct frame_reader reader;
	struct { struct conn_piece *v; size_t n, cap; } queue;
	size_t queue_first, queued, queued_own;
	uint64_t born_ms, rx_ms, tx_ms, moved_ms; /* loop time; moved: bytes went out, or none waited */
	struct wire_identity peer;
	char addr[64];
	int err;
	char why[256];
};

/* conn_tls.c */
int conn_tls_new(struct wire_conn *c, const char *server_name);
/* Drives the handshake or reads records after bytes came; closes the connection on faults. */
void conn_tls_input(struct wire_conn *c);
/* Encrypts and sends: bytes taken, 0 (later), or -errno. */
int conn_tls_write(struct wire_conn *c, const char *p, size_t n);
void conn_tls_bye(struct wire_conn *c);
/* conn.c */
int conn_raw_write(struct wire_conn *c, const char *p, size_t n);
void conn_opened(struct wire_conn *c);
void conn_bytes(struct wire_conn *c, const char *p, size_t n);
void conn_pump(struct wire_conn *c);
