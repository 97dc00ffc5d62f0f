/* SPDX-License-Identifier: Apache-2.0 */
/* client_priv.h - the client between its files: client.c (loop, sockets, order of calls) and
 * call.c (one transfer). Private to kube/. */
#pragma once

#include <curl/curl.h>

#include "base/buf.h"
#include "kube/client.h"
#include "kube/cred.h"

#define KUBE_REFUSAL_BYTES_MAX (256u << 10) /* of the body of an answer that is not 2xx */
#define KUBE_URL_BYTES_MAX 16384u

struct kube_call {
	struct kube_call *next, **at; /* of client.calls */
	struct kube_client *c;
	struct kube_request rq; /* copies; query is part of url */
	char *url;		/* path and query */
	struct curl_slist *headers;
	CURL *easy;		/* NULL: waiting */
	char *token;		/* the credential sent */
	uint64_t due_ms;	/* waiting: not before */
	uint64_t heard_ms;	/* running: the last byte */
	unsigned tries;
	bool refused_once; /* 401: tried with another credential */
	bool opened, dead; /* dead: cancelled; freed as soon as the library is not in our way */
	bool finished;	   /* done() is running */
	int err;	   /* what chunk() returned, or the limit that was broken */
	uint32_t retry_after_ms;
	struct buf body;
	char why[CURL_ERROR_SIZE];
};

struct kube_client {
	uv_loop_t *loop;
	struct kube_config cfg;
	struct kube_client_opts o;
	char *agent;
	bool http1; /* not HTTP/2 */
	char *base;	   /* scheme, host, port and prefix that URLs begin with */
	char *host_header; /* NULL: from base */
	struct curl_slist *connect_to; /* NULL: base is where to go */
	struct kube_cred *cred;
	CURLM *multi;
	uv_timer_t curl_timer, pump;
	unsigned open;	   /* handles not closed yet, those of sockets included */
	unsigned inside;   /* the library is on the stack */
	bool closing, torn;
	struct kube_call *calls;
	unsigned ncalls;
	uint64_t made, connections;
	void (*closed)(void *arg);
	void *closed_arg;
};

uint32_t kube_random(void);
/* What a server said as one clean line for people, cut to size. */
void kube_line(char *out, size_t size, const char *s);

/* Soon, from the loop: starts what is due, ends what has idled too long. */
void kube_client_kick(struct kube_client *c);

/* Hands the call to the library. On error it is still waiting. */
int kube_call_begin(struct kube_call *call, const struct kube_cred_view *cred);
/* The transfer is over; done() or another try. `why` may be NULL. May free the call. */
void kube_call_over(struct kube_call *call, CURLcode code);
/* Ends the call with done(). */
void kube_call_fail(struct kube_call *call, int err, const char *text);
/* Takes it from the library and frees it, without a callback. */
void kube_call_free(struct kube_call *call);
