/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - what the files of the server share; not for other rooms. */
#pragma once

#include <libwebsockets.h>
#include <uv.h>

#include "base/buf.h"
#include "http/http_server.h"
#include "http/route.h"

#define HTTP_LISTENERS_MAX 4u
#define HTTP_BACKLOG 64
#define HTTP_SWEEP_MS 250u
#define HTTP_WRITE_CHUNK 16384u
#define HTTP_BUFFERED_MAX (64u << 20) /* request bodies in memory, all connections together */
#define HTTP_DISCARD_MAX (64u << 20)  /* longest body that is read only to answer its refusal cleanly */

enum conn_phase {
	CONN_HEAD,    /* a request head is awaited: first one, or after an answer */
	CONN_BODY,
	CONN_HANDLER, /* waits for the handler: no deadline */
	CONN_SEND,
	CONN_STREAM,
};

struct http_listener {
	struct http_server *server;
	uv_poll_t poll;
	int fd;
	char *path;
	dev_t dev;
	ino_t ino;
};

struct http_server {
	uv_loop_t *loop;
	struct http_server_config cfg;
	struct lws_context *ctx; /* set to NULL by the library when its destruction is complete */
	struct lws_vhost *vh;
	struct lws_protocols protocols[2];
	struct route_table routes;
	struct http_listener *listeners[HTTP_LISTENERS_MAX];
	size_t nlisteners;
	struct http_conn *conns;
	size_t buffered;
	uv_timer_t sweep; /* deadlines; runs while there are connections or a paused listener */
	struct http_server_stats stats;
	unsigned handles; /* uv handles not closed yet */
	bool closing;
	unsigned destroy_ticks;
	int wake_fd, spare_fd;
	void (*done)(void *arg);
	void *done_arg;
};

struct http_conn {
	struct http_conn *next, **pprev;
	struct http_server *server;
	struct lws *wsi;
	struct http_exchange *x;
	enum conn_phase phase;
	uint64_t deadline, hard_deadline; /* loop time, ms; 0: none */
	bool has_peer, adopting, dead, served;
	struct ucred peer;
};

/* The library's callback for every connection (exchange.c). */
int http_conn_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		       size_t len);
/* Sets the phase and its deadline. */
void http_conn_phase(struct http_conn *c, enum conn_phase phase);
/* Unlinks and frees; called when the library is through with the connection. */
void http_conn_free(struct http_conn *c);
/* The connection is gone: frees its exchange or lets a held one live on alone. */
void http_exchange_orphan(struct http_exchange *x);
