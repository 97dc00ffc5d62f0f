/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - the handler's side of an exchange: answers, streams and request getters. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "http/exchange.h"

#define JSON_TYPE "application/json"

/* ---- request getters ------------------------------------------------------------------------- */

static const char *param_get(const struct http_param *p, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(p[i].name, name))
			return p[i].value;
	return NULL;
}

const char *http_request_param(const struct http_request *rq, const char *name)
{
	return param_get(rq->params, rq->nparams, name);
}

const char *http_request_query(const struct http_request *rq, const char *name)
{
	return param_get(rq->query, rq->nquery, name);
}

bool http_request_flag(const struct http_request *rq, const char *name)
{
	const char *v = http_request_query(rq, name);

	return v && (!*v || !strcmp(v, "1") || !strcmp(v, "true"));
}

int http_request_query_only(const struct http_request *rq, const char *const *known,
			    struct fail_list *f)
{
	int r = 0;

	for (size_t i = 0; i < rq->nquery; i++) {
		auto_free char *list = NULL;
		struct buf b;
		size_t k;

		for (k = 0; known[k]; k++)
			if (!strcmp(known[k], rq->query[i].name))
				break;
		if (known[k])
			continue;
		buf_init(&b, 4096);
		for (k = 0; known[k]; k++)
			buf_printf(&b, "%s%s", k ? ", " : "one of ", known[k]);
		list = buf_take(&b, NULL);
		r = fail_add(f, -EINVAL, "api.unknown-query", rq->query[i].name,
			     list && *list ? list : "no query", NULL, "unknown query name \"%s\"",
			     rq->query[i].name);
	}
	return r;
}

/* ---- whole answers --------------------------------------------------------------------------- */

void http_exchange_hold(struct http_exchange *x)
{
	x->held = true;
}

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
	return &x->rq;
}

bool http_exchange_gone(const struct http_exchange *x)
{
	return !x->conn;
}

void http_reply_take(struct http_exchange *x, int status, const char *content_type, char *text,
		     size_t len)
{
	static const char oom[] = "{\"kind\":\"ErrorList\",\"items\":[{\"name\":\"server.memory\","
				  "\"message\":\"out of memory\"}]}";

	if (x->answered) { /* a second answer is a programmer's mistake, but no reason to crash */
		free(text);
		return;
	}
	if (!x->conn) {
		free(text);
		http_exchange_drop(x);
		return;
	}
	if (!text || len > HTTP_REPLY_MAX) {
		free(text);
		status = 500;
		content_type = JSON_TYPE;
		text = strdup(oom);
		len = text ? sizeof(oom) - 1 : 0;
	}
	x->status = status;
	x->type = content_type;
	x->out = text;
	x->out_len = x->out_cap = len;
	http_exchange_begin_answer(x);
}

void http_reply_text(struct http_exchange *x, int status, const char *content_type,
		     const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy && len)
		memcpy(copy, text, len);
	http_reply_take(x, status, content_type, copy, len);
}

void http_reply_json(struct http_exchange *x, int status, const struct cJSON *j)
{
	char *s = j ? cJSON_PrintUnformatted(j) : NULL;

	http_reply_take(x, status, JSON_TYPE, s, s ? strlen(s) : 0);
}

void http_reply_fails(struct http_exchange *x, int status, const struct fail_list *l)
{
	struct cJSON *j = fail_list_to_json(l);

	http_reply_json(x, status, j);
	cJSON_Delete(j);
}

void http_reply_fail(struct http_exchange *x, int status, const char *name, const char *at,
		     const char *expected, const char *next, const char *fmt, ...)
{
	struct fail_list l = {};
	char msg[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	fail_add(&l, -EINVAL, name, at, expected, next, "%s", msg);
	http_reply_fails(x, status, &l);
	fail_list_done(&l);
}

int http_status_of(int err)
{
	switch (err) {
	case 0:
		return 200;
	case -EINVAL: case -EBADMSG: case -ERANGE: case -EDOM:
		return 400;
	case -EACCES: case -EPERM:
		return 403;
	case -ENOENT:
		return 404;
	case -EEXIST: case -ESTALE: case -EBUSY:
		return 409;
	case -E2BIG:
		return 413;
	case -EAGAIN:
		return 503;
	case -ENOSPC:
		return 507;
	default:
		return 500;
	}
}

/* ---- streams --------------------------------------------------------------------------------- */

int http_stream_begin(struct http_exchange *x, const char *content_type,
		      void (*closed)(void *arg), void *arg)
{
	if (!x->conn) {
		http_exchange_drop(x);
		return -EPIPE;
	}
	x->stream = true;
	x->status = 200;
	x->type = content_type;
	x->closed = closed;
	x->closed_arg = arg;
	x->conn->server->stats.streams++;
	http_exchange_begin_answer(x);
	return 0;
}

size_t http_stream_queued(const struct http_exchange *x)
{
	return x->out_len - x->out_off;
}

int http_stream_write(struct http_exchange *x, const void *p, size_t n)
{
	struct http_server *s;
	size_t queued = http_stream_queued(x);

	if (!x->conn || x->ended)
		return -EPIPE;
	s = x->conn->server;
	if (!n)
		return 0;
	if (n > s->cfg.stream_queue_max || queued > s->cfg.stream_queue_max - n) {
		s->stats.stream_dropped++;
		return -ENOBUFS;
	}
	if (x->out_len + n > x->out_cap && x->out_off) {
		memmove(x->out, x->out + x->out_off, queued);
		x->out_len = queued;
		x->out_off = 0;
	}
	if (x->out_len + n > x->out_cap) {
		size_t cap = x->out_cap ? x->out_cap : 4096;
		char *out;

		while (cap < x->out_len + n)
			cap *= 2;
		out = realloc(x->out, cap);
		if (!out) {
			s->stats.stream_dropped++;
			return -ENOBUFS;
		}
		x->out = out;
		x->out_cap = cap;
	}
	memcpy(x->out + x->out_len, p, n);
	x->out_len += n;
	if (!queued) /* the clock for a client that does not read starts with the first byte */
		http_conn_phase(x->conn, CONN_STREAM);
	lws_callback_on_writable(x->conn->wsi);
	return 0;
}

int http_stream_json(struct http_exchange *x, const struct cJSON *j)
{
	auto_free char *s = cJSON_PrintUnformatted(j);
	size_t n = s ? strlen(s) : 0;

	if (!s)
		return -ENOMEM;
	s[n] = '\n'; /* the NUL's place: a line */
	return http_stream_write(x, s, n + 1);
}

void http_stream_end(struct http_exchange *x)
{
	if (x->ended)
		return;
	x->ended = true;
	x->closed = NULL;
	lws_callback_on_writable(x->conn->wsi);
}
