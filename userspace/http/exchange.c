/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.c - one request and its answer, driven by the library's callback. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "http/exchange.h"

static const struct {
	const char *name;
	enum lws_token_indexes token;
} methods[HTTP_METHOD_COUNT] = {
	[HTTP_GET] = { "GET", WSI_TOKEN_GET_URI },
	[HTTP_POST] = { "POST", WSI_TOKEN_POST_URI },
	[HTTP_PUT] = { "PUT", WSI_TOKEN_PUT_URI },
	[HTTP_PATCH] = { "PATCH", WSI_TOKEN_PATCH_URI },
	[HTTP_DELETE] = { "DELETE", WSI_TOKEN_DELETE_URI },
};

const char *http_method_str(enum http_method m)
{
	return m < HTTP_METHOD_COUNT ? methods[m].name : NULL;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void body_free(struct http_exchange *x)
{
	if (x->conn)
		x->conn->server->buffered -= x->body_cap;
	free(x->body);
	x->body = NULL;
	x->body_cap = 0;
}

static void exchange_free(struct http_exchange *x)
{
	body_free(x);
	free(x->text);
	free(x->out);
	free(x);
}

void http_exchange_orphan(struct http_exchange *x)
{
	void (*closed)(void *arg) = x->closed;
	void *arg = x->closed_arg;
	struct http_server *s = x->conn->server;

	if (x->stream)
		s->stats.streams--;
	s->buffered -= x->body_cap;
	x->body_cap = 0;
	x->conn->x = NULL;
	x->conn = NULL;
	if (x->in_handler || (x->held && !x->answered))
		return; /* freed by the answer */
	exchange_free(x);
	if (closed)
		closed(arg);
}

/* ---- request --------------------------------------------------------------------------------- */

/* A copy in the exchange's own text store. NULL: store full. */
static const char *text_keep(struct http_exchange *x, const char *s, size_t n)
{
	char *at = x->text + x->text_len;

	if (n >= x->text_cap - x->text_len)
		return NULL;
	memcpy(at, s, n);
	at[n] = '\0';
	x->text_len += n + 1;
	return at;
}

static const char *header_keep(struct http_exchange *x, struct lws *wsi, enum lws_token_indexes t)
{
	int n = lws_hdr_total_length(wsi, t);
	char *at = x->text + x->text_len;

	if (n <= 0)
		return "";
	if ((size_t)n + 1 > x->text_cap - x->text_len ||
	    lws_hdr_copy(wsi, at, (int)(x->text_cap - x->text_len), t) < 0)
		return NULL;
	x->text_len += (size_t)n + 1;
	return at;
}

/* 0, or the status to refuse with. */
static int query_read(struct http_exchange *x, struct lws *wsi)
{
	for (int i = 0;; i++) {
		struct http_param *q = &x->rq.query[x->rq.nquery];
		char *at = x->text + x->text_len, *eq;
		int n = lws_hdr_copy_fragment(wsi, at, (int)(x->text_cap - x->text_len),
					      WSI_TOKEN_HTTP_URI_ARGS, i);

		if (n == -1)
			return 0;
		if (n < 0 || x->rq.nquery == HTTP_QUERY_MAX ||
		    (size_t)n + 1 > x->text_cap - x->text_len)
			return 414;
		if (n == 0)
			continue;
		at[n] = '\0';
		if (memchr(at, '\0', (size_t)n))
			return 400;
		x->text_len += (size_t)n + 1;
		eq = strchr(at, '=');
		if (eq)
			*eq = '\0';
		q->name = at;
		q->value = eq ? eq + 1 : "";
		x->rq.nquery++;
	}
}

static int request_read(struct http_exchange *x, struct lws *wsi, const char *path, size_t len)
{
	const struct http_conn *c = x->conn;

	x->rq.body = "";
	x->rq.method = HTTP_METHOD_COUNT;
	x->rq.content_type = x->rq.path = "";
	x->rq.has_peer = c->has_peer;
	x->rq.uid = c->peer.uid;
	x->rq.gid = c->peer.gid;
	x->rq.pid = c->peer.pid;
	for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++)
		if (lws_hdr_total_length(wsi, methods[m].token) > 0)
			x->rq.method = m;
	x->text_cap = 2 * HTTP_HEADER_MAX; /* path, captures of it and query: at most twice the head */
	x->text = malloc(x->text_cap);
	if (!x->text)
		return 503;
	if (len > HTTP_PATH_MAX)
		return 414;
	if (memchr(path, '\0', len))
		return 400;
	x->rq.path = text_keep(x, path, len);
	x->rq.content_type = header_keep(x, wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
	if (!x->rq.path || !x->rq.content_type)
		return 414;
	return query_read(x, wsi);
}

/* The length of the body to come. 0, or the status to refuse with. */
static int length_read(const struct http_exchange *x, struct lws *wsi, uint64_t *ret)
{
	char s[24];
	int n = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);

	*ret = 0;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
		return 411;
	if (n <= 0)
		return x->rq.method == HTTP_GET || x->rq.method == HTTP_DELETE ? 0 : 411;
	if (n >= (int)sizeof(s) || lws_hdr_copy(wsi, s, sizeof(s), WSI_TOKEN_HTTP_CONTENT_LENGTH) < 0 ||
	    parse_u64(s, 0, UINT64_MAX, ret) < 0)
		return 400;
	return 0;
}

static int route_find(struct http_exchange *x)
{
	struct http_server *s = x->conn->server;
	struct route_match m;
	int r = x->rq.method == HTTP_METHOD_COUNT ?
			-EPERM :
			route_table_find(&s->routes, x->rq.method, x->rq.path, &m);

	if (r == -EPERM) {
		x->allow = x->rq.method == HTTP_METHOD_COUNT ? 0 : m.methods;
		return 405;
	}
	if (r < 0)
		return 404;
	x->entry = *m.entry;
	x->rq.route = m.entry->route;
	for (size_t i = 0; i < m.ncaps; i++) {
		struct http_param *p = &x->rq.params[x->rq.nparams++];

		p->name = text_keep(x, m.caps[i].name, m.caps[i].name_len);
		p->value = text_keep(x, m.caps[i].at, m.caps[i].len);
		if (!p->name || !p->value)
			return 414;
	}
	return 0;
}

static void refuse(struct http_exchange *x, int status)
{
	struct http_server *s = x->conn->server;
	char at[HTTP_PATH_MAX + 16];
	char allow[64] = "";

	s->stats.refused_requests++;
	snprintf(at, sizeof(at), "%s %s", http_method_str(x->rq.method) ?: "-", x->rq.path ?: "");
	switch (status) {
	case 404:
		http_reply_fail(x, 404, "api.no-such-path", at, "a path of /v1", NULL, "no such path");
		break;
	case 405:
		for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++)
			if (x->allow & 1u << m)
				snprintf(allow + strlen(allow), sizeof(allow) - strlen(allow), "%s%s",
					 *allow ? ", " : "", methods[m].name);
		http_reply_fail(x, 405, "api.method", at, *allow ? allow : NULL, NULL,
				"this path does not take that method");
		break;
	case 411:
		http_reply_fail(x, 411, "api.length", at, "a Content-Length header", NULL,
				"the length of the body is not given");
		break;
	case 413:
		http_reply_fail(x, 413, "api.body-size", at, NULL, "send fewer documents at a time",
				"the body is longer than %u bytes", s->cfg.body_max);
		break;
	case 414:
		http_reply_fail(x, 414, "api.address-size", NULL, NULL, NULL,
				"the address has more than %u bytes or %u query names", HTTP_PATH_MAX,
				HTTP_QUERY_MAX);
		break;
	case 503:
		http_reply_fail(x, 503, "api.busy", at, NULL, "try again",
				"too many requests are in memory");
		break;
	default:
		http_reply_fail(x, 400, "api.request", NULL, NULL, NULL, "the request is not well formed");
	}
}

static void authorize_fail(struct http_exchange *x, struct fail_list *f)
{
	x->conn->server->stats.refused_requests++;
	if (!f->n)
		fail_add(f, -EACCES, "server.forbidden", x->rq.path, NULL, NULL,
			 "user %u may not do this", (unsigned)x->rq.uid);
	http_reply_fails(x, 403, f);
}

static void dispatch(struct http_exchange *x)
{
	if (x->dispatched)
		return;
	x->dispatched = x->in_handler = true;
	http_conn_phase(x->conn, CONN_HANDLER);
	/* A handler may take its time; our own deadlines guard sending. */
	lws_set_timeout(x->conn->wsi, NO_PENDING_TIMEOUT, 0);
	x->entry.route->handler(x->entry.arg, x, &x->rq);
	x->in_handler = false;
	if (!x->answered && !x->held)
		http_reply_fail(x, 500, "server.no-answer", x->rq.path, NULL, NULL,
				"the handler did not answer");
	else if (x->freed)
		exchange_free(x);
}

/* The head is in. 0, or -1 to close the connection. */
static int request_begin(struct http_conn *c, struct lws *wsi, const char *path, size_t len)
{
	struct http_server *s = c->server;
	struct fail_list f = {};
	struct http_exchange *x;
	uint64_t length = 0;
	int status;

	if (c->x || s->closing)
		return -1; /* a request before the last was answered */
	x = calloc(1, sizeof(*x));
	if (!x)
		return -1;
	x->conn = c;
	c->x = x;
	s->stats.requests++;
	status = request_read(x, wsi, path, len);
	if (!status)
		status = length_read(x, wsi, &length);
	if (status) {
		x->close_after = true; /* where the next request would begin is not known */
		refuse(x, status);
		return 0;
	}
	status = route_find(x);
	if (!status && length > s->cfg.body_max)
		status = 413;
	if (!status && s->cfg.authorize && s->cfg.authorize(s->cfg.authorize_arg, &x->rq, &f) < 0) {
		authorize_fail(x, &f);
		status = 403;
	} else if (!status && length && s->buffered + length + 1 > HTTP_BUFFERED_MAX) {
		status = 503;
	} else if (!status && length) {
		x->body = malloc(length + 1);
		if (!x->body)
			status = 503;
		else
			s->buffered += x->body_cap = length + 1;
	}
	fail_list_done(&f);
	if (status && !x->answered)
		refuse(x, status);
	if (status && length > HTTP_DISCARD_MAX)
		x->close_after = true;
	else if (status)
		x->discard = length;
	if (x->discard || x->body_cap) {
		http_conn_phase(c, CONN_BODY);
	} else if (!status && (x->rq.method == HTTP_GET || x->rq.method == HTTP_DELETE)) {
		dispatch(x); /* for the others the library reports the end of the empty body */
	}
	return 0;
}

static int body_part(struct http_conn *c, const void *p, size_t n)
{
	struct http_exchange *x = c->x;

	if (!x)
		return -1;
	if (x->answered) { /* refused: what still comes is read and dropped */
		x->discard -= n < x->discard ? n : x->discard;
		return 0;
	}
	if (n > x->body_cap - 1 - x->rq.body_len && n)
		return -1;
	if (n)
		memcpy(x->body + x->rq.body_len, p, n);
	x->rq.body_len += n;
	http_conn_phase(c, CONN_BODY);
	return 0;
}

static void body_end(struct http_conn *c)
{
	struct http_exchange *x = c->x;

	if (!x)
		return;
	x->discard = 0;
	if (x->answered) {
		http_conn_phase(c, CONN_SEND);
		lws_callback_on_writable(c->wsi);
		return;
	}
	if (x->body) {
		x->body[x->rq.body_len] = '\0';
		x->rq.body = x->body;
	}
	dispatch(x);
}

/* ---- sending --------------------------------------------------------------------------------- */

static int head_send(struct http_exchange *x, struct lws *wsi)
{
	unsigned char buf[LWS_PRE + 1024], *p = buf + LWS_PRE, *end = buf + sizeof(buf) - 1;
	static const struct { const char *name, *value; } fixed[] = {
		{ "cache-control:", "no-store" },
		{ "x-content-type-options:", "nosniff" },
	};
	lws_filepos_t length = x->stream ? LWS_ILLEGAL_HTTP_CONTENT_LEN : x->out_len;

	if (lws_add_http_common_headers(wsi, (unsigned)x->status, x->type, length, &p, end))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (lws_add_http_header_by_name(wsi, (const unsigned char *)fixed[i].name,
						(const unsigned char *)fixed[i].value,
						(int)strlen(fixed[i].value), &p, end))
			return -1;
	if (lws_finalize_write_http_header(wsi, buf + LWS_PRE, &p, end))
		return -1;
	x->head_sent = true;
	return 0;
}

/* An answer went out whole: the connection waits for its next request. */
static int exchange_sent(struct http_conn *c, struct lws *wsi)
{
	struct http_exchange *x = c->x;
	bool close_after = x->close_after || x->stream;

	if (x->stream)
		c->server->stats.streams--;
	c->server->stats.replies++;
	c->served = true;
	exchange_free(x);
	c->x = NULL;
	if (close_after)
		return -1;
	http_conn_phase(c, CONN_HEAD);
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int writable(struct http_conn *c, struct lws *wsi)
{
	static unsigned char buf[LWS_PRE + HTTP_WRITE_CHUNK]; /* one loop, one thread */
	struct http_exchange *x = c->x;
	size_t left, n;
	bool last;

	if (!x || !x->answered || x->discard)
		return 0;
	http_conn_phase(c, x->stream ? CONN_STREAM : CONN_SEND);
	if (!x->head_sent) {
		if (head_send(x, wsi) < 0)
			return -1;
		if (x->out_len || x->close_after || x->stream) {
			lws_callback_on_writable(wsi);
			return 0;
		}
		return exchange_sent(c, wsi);
	}
	left = x->out_len - x->out_off;
	if (!left) {
		if (!x->stream) /* all is out and the connection is to be closed */
			return exchange_sent(c, wsi);
		if (x->ended)
			return exchange_sent(c, wsi);
		c->deadline = 0;
		return 0;
	}
	n = left < HTTP_WRITE_CHUNK ? left : HTTP_WRITE_CHUNK;
	memcpy(buf + LWS_PRE, x->out + x->out_off, n);
	last = n == left && !x->stream;
	if (lws_write(wsi, buf + LWS_PRE, n, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
		return -1;
	x->out_off += n;
	if (x->stream && x->out_off == x->out_len)
		x->out_off = x->out_len = 0;
	if (last && !x->close_after)
		return exchange_sent(c, wsi);
	lws_callback_on_writable(wsi);
	return 0;
}

int http_conn_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		       size_t len)
{
	struct http_conn *c = wsi ? lws_get_opaque_user_data(wsi) : NULL;

	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return c ? request_begin(c, wsi, in, len) : -1;
	case LWS_CALLBACK_HTTP_BODY:
		return c ? body_part(c, in, len) : -1;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		if (c)
			body_end(c);
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return c ? writable(c, wsi) : -1;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: /* neither WebSocket nor h2c is spoken here */
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return -1;
	case LWS_CALLBACK_WSI_DESTROY:
		if (!c)
			return 0;
		lws_set_opaque_user_data(wsi, NULL);
		if (c->x)
			http_exchange_orphan(c->x);
		http_conn_free(c);
		return 0;
	default:
		(void)user;
		return 0;
	}
}


void http_exchange_begin_answer(struct http_exchange *x)
{
	x->answered = true;
	if (!x->conn)
		return;
	if (!x->discard) {
		http_conn_phase(x->conn, x->stream ? CONN_STREAM : CONN_SEND);
		lws_callback_on_writable(x->conn->wsi);
	}
}

void http_exchange_drop(struct http_exchange *x)
{
	x->answered = true;
	if (x->in_handler)
		x->freed = true; /* its caller still looks at it */
	else
		exchange_free(x);
}
