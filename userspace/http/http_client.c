/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define URL_MAX_BYTES 65536u
#define POLL_MS 200

struct http_client {
	char *base;   /* "http://localhost" or the server's URL */
	char *socket; /* NULL: TCP */
	uint32_t timeout_ms;
	CURL *easy;
	CURLM *multi;
};

/* One call under way. */
struct transfer {
	struct http_client *c;
	struct buf body;
	int (*line)(void *arg, const char *s, size_t len); /* NULL: the body is collected */
	void *arg;
	bool stop;
};

static volatile sig_atomic_t interrupted;

void http_client_interrupt(void)
{
	interrupted = 1;
}

static void curl_freep(char **s)
{
	curl_free(*s);
}

static void slist_freep(struct curl_slist **l)
{
	curl_slist_free_all(*l);
}

int http_client_new(const char *server, uint32_t timeout_ms, struct http_client **ret)
{
	auto_cleanup(http_client_freep) struct http_client *c = calloc(1, sizeof(*c));
	static bool started; /* the command line is one thread */
	size_t n;

	if (!c)
		return -ENOMEM;
	if (!started && curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	started = true;
	c->timeout_ms = timeout_ms;
	if (!strncmp(server, "unix://", 7))
		server += 7;
	if (*server == '/') {
		c->socket = strdup(server);
		c->base = strdup("http://localhost");
		if (!c->socket)
			return -ENOMEM;
	} else if ((!strncmp(server, "http://", 7) && server[7]) ||
		   (!strncmp(server, "https://", 8) && server[8])) {
		c->base = strdup(server);
	} else {
		return -EINVAL;
	}
	if (!c->base)
		return -ENOMEM;
	n = strlen(c->base);
	if (c->base[n - 1] == '/')
		c->base[n - 1] = '\0';
	c->easy = curl_easy_init();
	c->multi = curl_multi_init();
	if (!c->easy || !c->multi)
		return -ENOMEM;
	*ret = take_ptr(c);
	return 0;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	if (c->easy)
		curl_easy_cleanup(c->easy);
	if (c->multi)
		curl_multi_cleanup(c->multi);
	free(c->base);
	free(c->socket);
	free(c);
}

void http_client_freep(struct http_client **c)
{
	http_client_free(*c);
}

void http_answer_done(struct http_answer *a)
{
	free(a->body);
	*a = (struct http_answer){};
}

static int add_escaped(struct http_client *c, struct buf *b, const char *s, size_t n)
{
	auto_cleanup(curl_freep) char *e = NULL;

	if (!n)
		return 0;
	e = curl_easy_escape(c->easy, s, (int)n);
	return e ? buf_adds(b, e) : -ENOMEM;
}

static int url_make(struct http_client *c, const struct http_call *call, char **ret)
{
	auto_cleanup(buf_done) struct buf b;
	const char *p = call->path;
	char sep = '?';
	int r = 0;

	buf_init(&b, URL_MAX_BYTES);
	buf_adds(&b, c->base);
	while (*p && !r) {
		size_t n = strcspn(p, "/");

		r = add_escaped(c, &b, p, n);
		p += n;
		if (*p == '/') {
			buf_adds(&b, "/");
			p++;
		}
	}
	for (size_t i = 0; i < call->nquery && !r; i++) {
		if (!call->query[i].value)
			continue;
		buf_add(&b, &sep, 1);
		sep = '&';
		r = add_escaped(c, &b, call->query[i].name, strlen(call->query[i].name));
		buf_adds(&b, "=");
		if (!r)
			r = add_escaped(c, &b, call->query[i].value, strlen(call->query[i].value));
	}
	if (r || b.err)
		return r ?: b.err;
	*ret = buf_take(&b, NULL);
	return *ret ? 0 : -ENOMEM;
}

/* Hands out the whole lines in the buffer and keeps the rest. */
static void lines_out(struct transfer *t)
{
	char *p = t->body.data, *end = p + t->body.len, *nl;

	while (p < end && !t->stop && (nl = memchr(p, '\n', (size_t)(end - p)))) {
		*nl = '\0';
		if (nl > p)
			t->stop = t->line(t->arg, p, (size_t)(nl - p)) != 0;
		p = nl + 1;
	}
	t->body.len = (size_t)(end - p);
	memmove(t->body.data, p, t->body.len);
	t->body.data[t->body.len] = '\0';
}

static size_t body_in(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	long status = 0;

	(void)size; /* always 1 */
	if (t->stop)
		return 0;
	if (buf_add(&t->body, p, n) < 0)
		return 0;
	(void)curl_easy_getinfo(t->c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->line && status == 200)
		lines_out(t);
	return t->stop ? 0 : n;
}

static int error_of(CURL *e, CURLcode code)
{
	long os = 0;

	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		(void)curl_easy_getinfo(e, CURLINFO_OS_ERRNO, &os);
		return os == ENOENT || os == EACCES || os == EPERM ? (int)-os : -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
		return -ECONNRESET;
	case CURLE_PEER_FAILED_VERIFICATION:
		return -EACCES;
	default:
		return -EPROTO;
	}
}

/* Runs the prepared handle; idle() gets its turns. The result of the transfer or -EINTR. */
static int transfer_run(struct transfer *t, int (*idle)(void *arg))
{
	struct http_client *c = t->c;
	CURLcode code = CURLE_OK;
	CURLMsg *msg;
	int running = 1, left, r = 0;

	if (curl_multi_add_handle(c->multi, c->easy))
		return -ENOMEM;
	while (running && !t->stop) {
		if (interrupted) {
			interrupted = 0;
			r = -EINTR;
			break;
		}
		if (curl_multi_perform(c->multi, &running) ||
		    (running && !t->stop && curl_multi_poll(c->multi, NULL, 0, POLL_MS, NULL))) {
			r = -ENOMEM;
			break;
		}
		if (idle && idle(t->arg))
			t->stop = true;
	}
	while ((msg = curl_multi_info_read(c->multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			code = msg->data.result;
	curl_multi_remove_handle(c->multi, c->easy);
	if (r || t->stop)
		return r;
	return t->body.err ?: error_of(c->easy, code);
}

static int call_run(struct transfer *t, const struct http_call *call, int (*idle)(void *arg),
		    struct http_answer *ret)
{
	auto_cleanup(slist_freep) struct curl_slist *headers = NULL;
	struct http_client *c = t->c;
	auto_free char *url = NULL, *type = NULL;
	uint32_t timeout = call->timeout_ms ?: c->timeout_ms;
	CURL *e = c->easy;
	struct buf b;
	long status = 0;
	int r;

	r = url_make(c, call, &url);
	if (r < 0)
		return r;
	buf_init(&b, 256);
	buf_printf(&b, "Content-Type: %s", call->content_type ?: "application/json");
	type = buf_take(&b, NULL);
	if (!type)
		return -EINVAL;
	headers = curl_slist_append(NULL, "Expect:"); /* the server reads bodies at once */
	if (headers && call->body)
		(void)curl_slist_append(headers, type);
	curl_easy_reset(e);
	curl_easy_setopt(e, CURLOPT_URL, url);
	if (c->socket)
		curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, body_in);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout);
	if (!t->line)
		curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)timeout);
	if (call->body || !strcmp(call->method, "POST") || !strcmp(call->method, "PUT") ||
	    !strcmp(call->method, "PATCH")) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(call->body ? call->body_len : 0));
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, call->body ?: "");
	}
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, call->method);
	r = transfer_run(t, idle);
	(void)curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, NULL);
	if (r < 0)
		return r;
	ret->status = (int)status;
	ret->body = buf_take(&t->body, &ret->len);
	return ret->body ? 0 : -ENOMEM;
}

int http_client_call(struct http_client *c, const struct http_call *call, struct http_answer *ret)
{
	struct transfer t = { .c = c };
	int r;

	buf_init(&t.body, HTTP_CLIENT_REPLY_MAX);
	r = call_run(&t, call, NULL, ret);
	buf_done(&t.body);
	return r;
}

int http_client_stream(struct http_client *c, const struct http_call *call,
		       int (*line)(void *arg, const char *s, size_t len), int (*idle)(void *arg),
		       void *arg, struct http_answer *ret)
{
	struct transfer t = { .c = c, .line = line, .arg = arg };
	int r;

	buf_init(&t.body, HTTP_CLIENT_LINE_MAX + CURL_MAX_WRITE_SIZE);
	r = call_run(&t, call, idle, ret);
	buf_done(&t.body);
	return r;
}
