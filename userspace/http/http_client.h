/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client.h - blocking HTTP client for the command line (libcurl inside). One server, one
 * kept-alive connection, JSON in and out, answers bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

struct http_client;

#define HTTP_CLIENT_REPLY_MAX (256u << 20)
#define HTTP_CLIENT_LINE_MAX (1u << 20)

struct http_pair { const char *name, *value; };

struct http_call {
	const char *method;	     /* "GET", ... */
	const char *path;	     /* "/v1/rules"; decoded: the client encodes it, slashes stay */
	const struct http_pair *query; /* decoded; NULL values are left out */
	size_t nquery;
	const char *body;	     /* NULL: none */
	size_t body_len;
	const char *content_type;    /* NULL: application/json */
	uint32_t timeout_ms;	     /* whole call; 0: the client's default. Streams: connect only */
};

struct http_answer {
	int status;
	char *body; /* NUL-terminated, owned */
	size_t len;
};

/*
 * server: "unix:///run/cellwall/api.sock", a path beginning with "/", or "http[s]://host[:port]".
 * -EINVAL for what is none of these.
 */
int http_client_new(const char *server, uint32_t timeout_ms, struct http_client **ret);
void http_client_free(struct http_client *c);
void http_client_freep(struct http_client **c);
void http_answer_done(struct http_answer *a);
/*
 * 0 whatever the status. -ENOENT no such socket, -ECONNREFUSED nobody listens, -EACCES, -ETIMEDOUT,
 * -E2BIG answer too long, -EINTR stopped by http_client_interrupt, -ECONNRESET ended early,
 * -EPROTO not HTTP, -ENOMEM.
 */
int http_client_call(struct http_client *c, const struct http_call *call, struct http_answer *ret);
/*
 * Reads a streamed answer line by line (the line without its end, NUL-terminated). line()
 * returns non-zero to stop: the call then returns 0. A status other than 200 gives its body in *ret
 * and no lines. idle() is called about five times a second (may be NULL); non-zero stops too.
 */
int http_client_stream(struct http_client *c, const struct http_call *call,
		       int (*line)(void *arg, const char *s, size_t len), int (*idle)(void *arg),
		       void *arg, struct http_answer *ret);
/* Async-signal-safe: makes the running call of this process return -EINTR soon. */
void http_client_interrupt(void);
