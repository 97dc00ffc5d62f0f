/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.h - a small HTTP/1.1 API server on the caller's uv loop (libwebsockets inside).
 *
 * It listens on a unix socket, knows who is at the other end (SO_PEERCRED), matches a table of
 * routes and hands complete requests to handlers on the loop thread. Handlers answer at once,
 * later, or with a stream. Refusals of the server itself (400, 403, 404, 405, 411, 413, 503)
 * are ErrorList JSON like those of the handlers.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fail.h"

struct cJSON;
struct uv_loop_s;
struct http_server;
struct http_exchange; /* one request and its answer */
struct http_route;

#define HTTP_HEADER_MAX 16384u	     /* request line and headers of one request */
#define HTTP_PATH_MAX 2048u
#define HTTP_QUERY_MAX 64u	     /* name=value pairs */
#define HTTP_PARAMS_MAX 4u	     /* {captures} in one route */
#define HTTP_BODY_MAX (8u << 20)
#define HTTP_REPLY_MAX (256u << 20)  /* bytes of one whole answer */
#define HTTP_CONNS_MAX 128u	     /* default of http_server_config.max_conns */
#define HTTP_STREAM_QUEUE_MAX (4u << 20) /* bytes a stream may have waiting for its client */
#define HTTP_ROUTES_MAX 256u

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_METHOD_COUNT };

struct http_param { const char *name, *value; };

/* Valid until the exchange is answered. All text is percent-decoded and free of NUL. */
struct http_request {
	enum http_method method;
	const char *path;
	const struct http_route *route; /* NULL only before a route was found */
	struct http_param params[HTTP_PARAMS_MAX]; /* captures of the route's path */
	size_t nparams;
	struct http_param query[HTTP_QUERY_MAX]; /* in the order given; "flag" alone has value "" */
	size_t nquery;
	const char *content_type;  /* "" if absent */
	const char *body;	   /* NUL-terminated, never NULL */
	size_t body_len;
	bool has_peer;		   /* uid, gid, pid are known (unix socket) */
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

#define HTTP_R_WRITE 0x01u /* changes something: authorize() is told */

/*
 * A route's path is literal segments and captures: "/v1/rules/{name}" takes one segment,
 * "/v1/workloads/{ref...}" takes all that is left (at least one character, slashes included:
 * a %2F in the address is a slash by then). Literal beats capture, capture beats tail. A
 * known path with another method gives 405 and names the methods that exist.
 */
struct http_route {
	enum http_method method;
	const char *path; /* must outlive the server */
	void (*handler)(void *arg, struct http_exchange *x, const struct http_request *rq);
	unsigned flags;	  /* HTTP_R_* */
};

struct http_server_config {
	/*
	 * Asked once the headers are in and before any body is read. 0 lets it pass; a negative
	 * errno refuses with 403 and the faults added to f (a general one if none was added).
	 * NULL: everybody who can open the socket may do everything.
	 */
	int (*authorize)(void *arg, const struct http_request *rq, struct fail_list *f);
	void *authorize_arg;
	/* 0: HTTP_CONNS_MAX; further connections are closed. One user other than root may have half of
	 * them, and an eighth is left for root, so that nobody can lock the administrator out. */
	uint32_t max_conns;
	/* 0: 10; for a whole request head, and between parts of a body (four times that in all) */
	uint32_t request_secs;
	uint32_t send_secs;	 /* 0: 20; a client that takes no byte for so long is dropped */
	uint32_t idle_secs;	 /* 0: 30; keep-alive between requests */
	uint32_t body_max;	 /* 0: HTTP_BODY_MAX */
	uint32_t stream_queue_max; /* 0: HTTP_STREAM_QUEUE_MAX */
};

/* Counters since the start; for status and tests. */
struct http_server_stats {
	uint64_t accepted, refused_conns, requests, replies, refused_requests;
	uint64_t dropped_slow;	 /* clients cut off for not reading or not sending */
	uint64_t stream_dropped; /* stream writes refused with -ENOBUFS */
	uint32_t conns, streams; /* open now */
};

/* Makes a server that listens nowhere yet. cfg may be NULL and is copied. 0, -ENOMEM, or -EIO when
 * the library cannot start. */
int http_server_new(struct uv_loop_s *loop, const struct http_server_config *cfg,
		    struct http_server **ret);
/*
 * Adds routes; the array must outlive the server, `arg` goes to their handlers. 0, -EINVAL (bad
 * path), -EEXIST (same method and shape twice), -ENOSPC.
 */
int http_server_routes(struct http_server *s, const struct http_route *routes, size_t n, void *arg);
/*
 * Listens on a unix socket. A stale socket (nobody accepts there) is replaced; a live one gives
 * -EADDRINUSE, anything that is not a socket -ENOTSOCK. The socket never exists with wider
 * rights than `mode`; uid or gid (uid_t)-1 leaves that owner. The file is removed at close if it
 * is still ours. Faults go to f.
 */
int http_server_listen_unix(struct http_server *s, const char *path, mode_t mode, uid_t uid,
			    gid_t gid, struct fail_list *f);
/*
 * Stops listening at once, then from the loop drops connections (closed callbacks of streams run),
 * frees the server and calls done(arg) (may be NULL). May be called from a handler. Idempotent
 * until done. After it no handle of the server is left on the loop. NULL is fine (done is not
 * called). An exchange that was held and is not answered yet stays valid memory: answering it does
 * nothing but free it.
 */
void http_server_close(struct http_server *s, void (*done)(void *arg), void *arg);
void http_server_stats_get(const struct http_server *s, struct http_server_stats *ret);

/* ---- request --------------------------------------------------------------------------------- */

const char *http_method_str(enum http_method m);
/* Capture of the route by name; NULL if the route has none of that name. */
const char *http_request_param(const struct http_request *rq, const char *name);
/* First value of a query name; NULL if absent, "" if given without one. */
const char *http_request_query(const struct http_request *rq, const char *name);
/* Present and one of "", "1", "true". */
bool http_request_flag(const struct http_request *rq, const char *name);
/* -EINVAL with faults in f for each query name that is not in `known` (NULL-terminated). */
int http_request_query_only(const struct http_request *rq, const char *const *known,
			    struct fail_list *f);

/* ---- answer: exactly one of reply or stream for each exchange -------------------------------- */

/*
 * A handler that returns without having answered must have called this; without it the server
 * answers 500 itself. The exchange (and its request) then stays valid until it is answered,
 * even when the client goes away meanwhile: answering a gone client is a no-op that frees.
 */
void http_exchange_hold(struct http_exchange *x);
const struct http_request *http_exchange_request(const struct http_exchange *x);
/* The client is gone: an answer would reach nobody. */
bool http_exchange_gone(const struct http_exchange *x);

/* Each of these ends the exchange: x is not to be used afterwards. Out of memory is answered 500. */
/* j stays the caller's; NULL: no memory */
void http_reply_json(struct http_exchange *x, int status, const struct cJSON *j);
void http_reply_text(struct http_exchange *x, int status, const char *content_type,
		     const char *text, size_t len); /* copied */
/* Takes over a malloc'ed text (NULL: no memory). */
void http_reply_take(struct http_exchange *x, int status, const char *content_type, char *text,
		     size_t len);
void http_reply_fails(struct http_exchange *x, int status, const struct fail_list *l);
/* One fault; at, expected and next may be NULL. */
void http_reply_fail(struct http_exchange *x, int status, const char *name, const char *at,
		     const char *expected, const char *next, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));
/* HTTP status for a negative errno as the rooms use them: -EINVAL, -EBADMSG, -ERANGE, -EDOM 400;
 * -EACCES, -EPERM 403; -ENOENT 404; -EEXIST, -ESTALE, -EBUSY 409; -E2BIG 413; -ENOSPC 507;
 * -EAGAIN 503; anything else 500. */
int http_status_of(int err);

/*
 * Answers 200 and keeps the body open. `closed` is called once when the client is gone or too
 * slow, or the server closes, from the loop and never from within http_stream_*; x is not to be
 * used after it. 0, or -EPIPE when the client is gone already: then x is freed and closed is not
 * called.
 */
int http_stream_begin(struct http_exchange *x, const char *content_type,
		      void (*closed)(void *arg), void *arg);
/* Queues bytes (copied). 0; -ENOBUFS: more than the limit waits, nothing was queued: skip and count,
 * or end; -EPIPE: gone, closed follows. Never blocks. */
int http_stream_write(struct http_exchange *x, const void *p, size_t n);
/* One line of compact JSON. Same results, and -ENOMEM. */
int http_stream_json(struct http_exchange *x, const struct cJSON *j);
size_t http_stream_queued(const struct http_exchange *x);
/* What is queued is still sent; closed is not called any more. Ends the exchange. */
void http_stream_end(struct http_exchange *x);
