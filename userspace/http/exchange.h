/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h - shared by exchange.c (the library's side) and reply.c (the handler's side). */
#pragma once

#include "http/conn.h"

struct http_exchange {
	struct http_conn *conn; /* NULL: the client is gone */
	struct http_request rq;
	struct route_entry entry;
	char *text; /* path, captures, query */
	size_t text_len, text_cap;
	char *body;
	size_t body_cap; /* counted in server->buffered while conn is set */
	uint64_t discard; /* bytes of a refused body that are still to come */
	unsigned allow;	  /* bits of enum http_method, for 405 */
	int status;
	const char *type;
	char *out;
	size_t out_len, out_off, out_cap;
	void (*closed)(void *arg);
	void *closed_arg;
	bool held, answered, dispatched, in_handler, head_sent, stream, ended, close_after, freed;
};

/* The answer (or stream) is ready to be sent. */
void http_exchange_begin_answer(struct http_exchange *x);
/* Answered after the client had gone: frees. */
void http_exchange_drop(struct http_exchange *x);
