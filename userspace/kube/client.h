/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - HTTP requests to one API server on the uv loop (libcurl's multi interface inside).
 * TLS 1.2 at least, verified unless the configuration says otherwise; HTTP/2 with one connection
 * for everything where both sides have it, else kept-alive HTTP/1.1. Nothing here blocks, except
 * the reading of small local files (token, certificates). Loop thread only; the process ignores SIGPIPE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "kube/config.h"
#include "kube/status.h"

#define KUBE_REPLY_BYTES_MAX (8u << 20) /* default limit of a whole answer, unpacked */
#define KUBE_TIMEOUT_MS 30000u		/* default limit of a call */
#define KUBE_CALLS_MAX 1024u		/* at once; further ones are refused with -EBUSY */
#define KUBE_QUERY_MAX 16u
#define KUBE_BODY_BYTES_MAX (3u << 20) /* the API server itself refuses more */

struct kube_client;
struct kube_call;

struct kube_client_opts {
	const char *user_agent; /* NULL: "cellwall/<version>" */
	/* One line for people about what goes on by itself (a plugin failed, a token was re-read);
	 * may be NULL. level: enum log_level of base/log.h. */
	void (*log)(void *arg, int level, const char *text);
	void *arg;
	const char *http_version; /* NULL: the best both sides have; "1.1": keep to that */
};

struct kube_pair { const char *name, *value; };

/* What a call ended with; all pointers live until done() returns. */
struct kube_answer {
	int err;	  /* 0: a 2xx answer that was read to its end. Else as in status.h, or of the
			   * network: -ECONNREFUSED, -ETIMEDOUT, -ECONNRESET, -E2BIG (answer too long),
			   * -EKEYREJECTED (the server's certificate), -ENOKEY (no credential to be had),
			   * -ECANCELED (client closed), -EPROTO, -ENOMEM */
	int status;	  /* HTTP status; 0: none was received */
	const char *body; /* NUL-terminated; "" when it was streamed or not 2xx */
	size_t len;
	const struct kube_status *refused; /* set exactly when a status that is not 2xx was received */
	const char *text; /* the error as one line for people; "" when err is 0 */
	uint32_t retry_after_ms; /* what the server asked for; 0 nothing */
};

struct kube_request {
	const char *method; /* "GET", ... */
	const char *path;   /* "/api/v1/pods", encoded already (kube_path_make in apply.h) */
	struct kube_pair query[KUBE_QUERY_MAX]; /* decoded; entries with a NULL value are left out */
	const char *body;   /* copied; NULL none */
	size_t body_len;
	const char *content_type; /* of the body; NULL: application/json */
	size_t reply_max;	  /* bytes of an answer, unpacked; 0: KUBE_REPLY_BYTES_MAX. Not for streams */
	uint32_t timeout_ms;	  /* from begin to end of one try; 0: KUBE_TIMEOUT_MS; UINT32_MAX: none */
	uint32_t idle_ms;	  /* ends with -ETIMEDOUT after so long without a byte; 0: none */
	unsigned retries;	  /* further tries, with back-off: when the server says "later" (429, or 5xx with
				   * Retry-After), or the connection could not be made; GETs after any
				   * broken connection as well */
	bool plain;		  /* ask for an answer that is not packed: streams that must not be held back */
	/* Streams: the bytes of a 2xx answer as they come, unpacked, instead of answer.body. Non-zero
	 * ends the call with that err. May make and cancel calls. */
	int (*chunk)(void *arg, const char *p, size_t n);
	/* The header of a 2xx answer is in (streams: before its first byte). May be NULL. */
	void (*opened)(void *arg);
	void (*done)(void *arg, const struct kube_answer *a); /* once, unless cancelled; not before kube_call() returned */
	void (*dropped)(void *arg); /* instead of done() when the call is cancelled; may be NULL */
	void *arg;
};

/*
 * Copies cfg. 0; -EINVAL with a fault for a URL, proxy or certificate that cannot be used; -ENOMEM.
 * The client lives until kube_client_close().
 */
int kube_client_new(uv_loop_t *loop, const struct kube_config *cfg, const struct kube_client_opts *o,
		    struct fail_list *f, struct kube_client **ret);
/*
 * Ends all calls (done() with -ECANCELED, before closed()), a running credential plugin, and frees
 * the client in a later turn of the loop; then closed(arg), which may be NULL. Reflectors, leases
 * and the like on this client are closed by their owner first. NULL is fine: closed is called at once.
 */
void kube_client_close(struct kube_client *c, void (*closed)(void *arg), void *arg);

/*
 * Starts a request; everything in rq is copied. 0, -EINVAL (path, method), -EBUSY (too many calls),
 * -E2BIG (body), -ENOMEM; the callbacks come only after 0. *ret (may be NULL) is good until done().
 */
int kube_call_start(struct kube_client *c, const struct kube_request *rq, struct kube_call **ret);
/* Ends it without done(); NULL is fine. May be called from any callback, its own chunk() too. */
void kube_call_cancel(struct kube_call *call);

uv_loop_t *kube_client_loop(struct kube_client *c);
const struct kube_config *kube_client_config(const struct kube_client *c);
/* Connections made and calls made so far; for tests and metrics. */
uint64_t kube_client_connections(const struct kube_client *c);
uint64_t kube_client_calls(const struct kube_client *c);

/*
 * How long to wait before try `attempt` (0: the first retry): base doubled each time up to max, of
 * which the upper half is drawn by `random`, so that many clients do not come back together.
 */
uint32_t kube_backoff_ms(unsigned attempt, uint32_t base_ms, uint32_t max_ms, uint32_t random);
/* A Retry-After header's value: seconds, or an HTTP date against now (Unix seconds); in ms, at most
 * 10 minutes; 0 when it says nothing usable. */
uint32_t kube_retry_after_ms(const char *value, int64_t now_s);
