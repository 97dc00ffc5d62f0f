/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - what the resources of the local API share: one call, its query and body readers, the
 * list envelope. A resource function fills *ret and returns 0, or returns a negative errno with
 * its faults in a->f; it has changed nothing then.
 */
#pragma once

#include "base/json.h"
#include "controller/ref.h"
#include "http/http_server.h"

struct controller;

#define API_VERSION "cellwall.io/v1"
#define API_LIST_MAX 100000u	/* items of one list */
#define API_NAMES_MAX 10000u	/* names, ids or refs in one request */
#define API_TEXT_MAX 1024u	/* bytes of a reason, note or search text */

#define API_ANSWERED 1 /* returned by a resource that answered through a->x itself */

struct api {
	struct controller *c;
	const struct http_request *rq;
	struct http_exchange *x;	/* NULL in tests that call without a server */
	struct fail_list f;
	char who[64];			/* login name of the caller, or "uid N" */
	char *text;			/* set instead of *ret: the answer is this text */
	const char *text_type;
};

struct api_route {
	enum http_method method;
	const char *path;
	unsigned flags;
	int (*fn)(struct api *a, cJSON **ret);
};
extern const struct api_route api_routes[];
extern const size_t api_nroutes;

/* Runs route i for a request: *ret_status, and JSON (or a->text). API_ANSWERED when a->x is used up. */
int api_run(struct api *a, size_t i, int *ret_status, cJSON **ret);
void api_done(struct api *a);

/* printf to a malloc'ed text; NULL: no memory. */
char *text_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Query. The getters add a fault and return -EINVAL. */
const char *api_q(const struct api *a, const char *name); /* NULL when absent or empty */
int api_q_time(struct api *a, const char *name, int64_t dflt, int64_t *ret); /* RFC 3339 or DURATION before now */
int api_q_limit(struct api *a, size_t *ret);
int api_q_bool(struct api *a, const char *name, int *ret); /* -1 absent */
/* A comma list is split into ret (malloc'ed, free with api_words_done). */
struct words { char **v; size_t n; };
void words_done(struct words *w);
int words_split(const char *s, struct words *ret);
void words_sort(struct words *w);
bool words_have(const struct words *w, const char *s);
int api_q_words(struct api *a, const char *name, struct words *ret);
/* Parses a time as in queries: RFC 3339 or a DURATION before `now`. 0 or -EINVAL. */
int time_or_ago(const char *s, int64_t now, int64_t *ret);

/* Body: an object with only these keys (NULL-terminated; NULL: the caller checks); faults name "body.key". */
int api_body(struct api *a, const char *const *keys, bool required, cJSON **ret);
int body_only(struct fail_list *f, const cJSON *o, const char *at, const char *const *keys);
/* Typed fields. Absent: *ret untouched and 0, unless `required`. */
int body_str(struct fail_list *f, const cJSON *o, const char *at, const char *key, bool required, size_t max,
	     const char **ret);
int body_bool(struct fail_list *f, const cJSON *o, const char *at, const char *key, bool *ret);
int body_words(struct fail_list *f, const cJSON *o, const char *at, const char *key, bool required,
	       struct words *ret);
int body_labels(struct fail_list *f, const cJSON *o, const char *at, const char *key, struct labels *ret);

/* Output. */
struct list_meta {
	int64_t since, until;	/* since 0: everything recorded */
	const struct words *scope;
	size_t total;
	size_t truncated;
	uint64_t lost;
};
/* {apiVersion, kind} */
cJSON *api_object(const char *kind);
/* Takes over items (NULL: out of memory gives NULL). */
cJSON *api_list(const struct controller *c, const char *kind, const struct list_meta *m, cJSON *items);
void put_time(cJSON *o, const char *key, int64_t ns);	   /* ns 0: null */
void put_num(cJSON *o, const char *key, double v);
void put_ms(cJSON *o, const char *key, int64_t ns); /* whole milliseconds */
void put_str(cJSON *o, const char *key, const char *s);	   /* NULL or "": left out */
void put_str_null(cJSON *o, const char *key, const char *s); /* NULL or "": null */
void put_free(cJSON *o, const char *key, char *s);	   /* frees s */
void put_item(cJSON *o, const char *key, cJSON *item);
void put_push(cJSON *arr, cJSON *item);
