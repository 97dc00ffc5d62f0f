/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "kube/client_priv.h"
#include "kube/config_priv.h"

#define CONNECT_TIMEOUT_MS 10000L
#define BACKOFF_MS 250u
#define BACKOFF_MAX_MS 30000u
#define WATCH_WINDOW (256L << 10) /* read buffer of a transfer */

/* A peer that is gone without a word is noticed after 10 + 3 * 5 s, also when nothing is sent. */
#define KEEP_IDLE_S 10
#define KEEP_EVERY_S 5
#define KEEP_TRIES 3

static size_t body_in(char *p, size_t size, size_t n, void *arg)
{
	struct kube_call *call = arg;
	long status = 0;

	(void)size; /* always 1 */
	if (call->dead || call->err)
		return 0;
	call->heard_ms = uv_now(call->c->loop);
	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status / 100 != 2) {
		/* Only words for people and the Status: what is longer is cut. */
		size_t room = KUBE_REFUSAL_BYTES_MAX - call->body.len, k = n < room ? n : room;

		return buf_add(&call->body, p, k) < 0 ? 0 : n;
	}
	if (call->rq.chunk)
		call->err = call->rq.chunk(call->rq.arg, p, n);
	else if (n > call->rq.reply_max - call->body.len)
		call->err = -E2BIG;
	else
		call->err = buf_add(&call->body, p, n);
	return call->err || call->dead ? 0 : n;
}

static size_t header_in(char *p, size_t size, size_t n, void *arg)
{
	static const char retry[] = "retry-after:";
	struct kube_call *call = arg;
	long status = 0;
	char value[64];

	(void)size;
	if (call->dead)
		return 0;
	call->heard_ms = uv_now(call->c->loop);
	if (n > sizeof(retry) && n - sizeof(retry) < sizeof(value) && !strncasecmp(p, retry, sizeof(retry) - 1)) {
		size_t at = sizeof(retry) - 1, end = n;

		while (at < end && p[at] == ' ')
			at++;
		while (end > at && (p[end - 1] == '\r' || p[end - 1] == '\n' || p[end - 1] == ' '))
			end--;
		memcpy(value, p + at, end - at);
		value[end - at] = '\0';
		call->retry_after_ms = kube_retry_after_ms(value, (int64_t)time(NULL));
	}
	if (n <= 2 && (*p == '\r' || *p == '\n')) {
		(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status / 100 == 2 && !call->opened) {
			call->opened = true;
			if (call->rq.opened)
				call->rq.opened(call->rq.arg);
		}
	}
	return call->dead ? 0 : n;
}

static int socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	struct kube_client *c = arg;
	int on = 1, idle = KEEP_IDLE_S, every = KEEP_EVERY_S, tries = KEEP_TRIES;
	unsigned ms = (KEEP_IDLE_S + KEEP_EVERY_S * KEEP_TRIES) * 1000;

	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKOPT_OK;
	c->connections++;
	/* Without them a cut path is only found by the time limits: slower, not wrong. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	return CURL_SOCKOPT_OK;
}

static int add_header(struct kube_call *call, const char *name, const char *value)
{
	auto_cleanup(kube_secret_freep) char *line = NULL;
	struct curl_slist *l;

	if (asprintf(&line, "%s: %s", name, value) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	l = curl_slist_append(call->headers, line);
	if (!l)
		return -ENOMEM;
	call->headers = l;
	return 0;
}

static void headers_free(struct kube_call *call)
{
	for (struct curl_slist *l = call->headers; l; l = l->next)
		if (!strncmp(l->data, "Authorization:", 14))
			explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(call->headers);
	call->headers = NULL;
}

static int headers_make(struct kube_call *call, const struct kube_cred_view *cred)
{
	auto_cleanup(kube_secret_freep) char *bearer = NULL;
	struct curl_slist *l;
	int r;

	headers_free(call);
	r = add_header(call, "Accept", "application/json");
	if (r == 0)
		r = add_header(call, "Expect", "");
	if (r == 0 && call->rq.body)
		r = add_header(call, "Content-Type", call->rq.content_type);
	if (r == 0 && call->c->host_header) {
		l = curl_slist_append(call->headers, call->c->host_header);
		r = l ? 0 : -ENOMEM;
	}
	if (r == 0 && cred->token) {
		if (asprintf(&bearer, "Bearer %s", cred->token) < 0)
			bearer = NULL;
		r = bearer ? add_header(call, "Authorization", bearer) : -ENOMEM;
	}
	return r;
}

static void set_blob(CURL *e, CURLoption what, const char *pem)
{
	struct curl_blob b = { .data = (void *)(uintptr_t)pem, .len = pem ? strlen(pem) : 0, .flags = CURL_BLOB_COPY };

	if (pem)
		curl_easy_setopt(e, what, &b);
}

static void set_tls(struct kube_client *c, CURL *e, const struct kube_cred_view *cred)
{
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, c->cfg.insecure ? 0L : 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, c->cfg.insecure ? 0L : 2L);
	set_blob(e, CURLOPT_CAINFO_BLOB, cred->ca_pem);
	if (cred->ca_pem) /* ours alone, not the system's beside it */
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	set_blob(e, CURLOPT_SSLCERT_BLOB, cred->cert_pem);
	set_blob(e, CURLOPT_SSLKEY_BLOB, cred->key_pem);
}

static void set_connection(struct kube_client *c, CURL *e)
{
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
			 c->http1 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L); /* rather one more stream than one more connection */
	curl_easy_setopt(e, CURLOPT_PROXY, c->cfg.proxy ?: "");
	curl_easy_setopt(e, CURLOPT_NOPROXY, "");
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECT_TO, c->connect_to);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, socket_made);
	curl_easy_setopt(e, CURLOPT_SOCKOPTDATA, c);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
}

int kube_call_begin(struct kube_call *call, const struct kube_cred_view *cred)
{
	struct kube_client *c = call->c;
	auto_free char *url = NULL;
	CURL *e;
	int r;

	r = headers_make(call, cred);
	if (r < 0)
		return r;
	kube_secret_free(call->token);
	call->token = cred->token ? strdup(cred->token) : NULL;
	if (asprintf(&url, "%s%s", c->base, call->url) < 0) {
		url = NULL;
		return -ENOMEM;
	}
	e = curl_easy_init();
	if (!e)
		return -ENOMEM;
	call->body.len = 0;
	call->body.err = 0;
	call->err = 0;
	call->retry_after_ms = 0;
	call->why[0] = '\0';
	call->heard_ms = uv_now(c->loop);
	set_tls(c, e, cred);
	set_connection(c, e);
	curl_easy_setopt(e, CURLOPT_PRIVATE, call);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->why);
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_USERAGENT, c->agent);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->headers);
	if (!call->rq.plain)
		curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
	if (call->rq.timeout_ms != UINT32_MAX)
		curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)call->rq.timeout_ms);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, WATCH_WINDOW);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, body_in);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, header_in);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
	if (call->rq.body) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->rq.body_len);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, call->rq.body);
	}
	if (strcmp(call->rq.method, "GET"))
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, call->rq.method);
	call->easy = e;
	c->inside++;
	r = curl_multi_add_handle(c->multi, e) ? -ENOMEM : 0;
	c->inside--;
	if (r < 0) {
		curl_easy_cleanup(e);
		call->easy = NULL;
		return r;
	}
	c->made++;
	if (call->rq.idle_ms)
		kube_client_kick(c); /* sets the time of its end */
	return 0;
}

static void easy_drop(struct kube_call *call)
{
	if (!call->easy)
		return;
	call->c->inside++;
	curl_multi_remove_handle(call->c->multi, call->easy);
	curl_easy_cleanup(call->easy);
	call->c->inside--;
	call->easy = NULL;
}

void kube_call_free(struct kube_call *call)
{
	easy_drop(call);
	*call->at = call->next;
	if (call->next)
		call->next->at = call->at;
	call->c->ncalls--;
	headers_free(call);
	buf_done(&call->body);
	kube_secret_free(call->token);
	kube_secret_free((char *)(uintptr_t)call->rq.body); /* tokens are sent in bodies too */
	free((char *)(uintptr_t)call->rq.method);
	free((char *)(uintptr_t)call->rq.content_type);
	free(call->url);
	free(call);
}

static void finish(struct kube_call *call, const struct kube_answer *a)
{
	call->finished = true;
	call->rq.done(call->rq.arg, a);
	kube_call_free(call);
}

void kube_call_fail(struct kube_call *call, int err, const char *text)
{
	struct kube_answer a = { .err = err, .text = text, .body = "" };

	easy_drop(call);
	finish(call, &a);
}

static int error_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	case CURLE_SSL_CERTPROBLEM:
		return -ENOKEY;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return -ECONNRESET;
	default:
		return -EPROTO;
	}
}

/* Puts it back into line. */
static void again(struct kube_call *call, uint64_t wait_ms)
{
	easy_drop(call);
	call->due_ms = uv_now(call->c->loop) + wait_ms;
	kube_client_kick(call->c);
}

static bool try_again(struct kube_call *call, const struct kube_answer *a)
{
	bool get = !strcmp(call->rq.method, "GET"), later;
	uint32_t wait;

	if (call->tries >= call->rq.retries || call->opened || call->c->closing)
		return false;
	if (a->refused)
		later = a->status == 429 || (a->status >= 500 && a->retry_after_ms);
	else
		later = a->err == -ECONNREFUSED || (get && (a->err == -ECONNRESET || a->err == -ETIMEDOUT));
	if (!later)
		return false;
	wait = kube_backoff_ms(call->tries++, BACKOFF_MS, BACKOFF_MAX_MS, kube_random());
	if (a->retry_after_ms > wait)
		wait = a->retry_after_ms;
	again(call, wait);
	return true;
}

/* "403 Forbidden: ..." in one clean line. */
static char *refusal_text(const struct kube_status *s)
{
	struct buf b;
	char *text;

	buf_init(&b, KUBE_STATUS_TEXT_MAX * 8);
	buf_printf(&b, "%d ", s->code);
	if (*s->reason) {
		text_escape(&b, s->reason);
		buf_adds(&b, ": ");
	}
	text_escape(&b, s->message);
	text = buf_take(&b, NULL);
	buf_done(&b);
	return text;
}

static void refused(struct kube_call *call, int status)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	auto_free char *text = NULL;
	struct kube_status s;
	struct kube_answer a = { .status = status, .body = "", .refused = &s };

	if (status == 401 && !call->refused_once && kube_cred_refused(call->c->cred, call->token)) {
		call->refused_once = true;
		again(call, 0);
		return;
	}
	(void)json_parse(call->body.data ?: "", call->body.len, "answer", NULL, &j); /* else: no Status */
	if (kube_status_read(j, status, &s) < 0) {
		kube_call_fail(call, -ENOMEM, "out of memory");
		return;
	}
	a.err = kube_status_errno(&s);
	a.retry_after_ms = call->retry_after_ms ?: s.retry_after_s * 1000;
	s.retry_after_s = a.retry_after_ms / 1000;
	text = refusal_text(&s);
	a.text = text ?: "out of memory";
	if (!try_again(call, &a)) {
		easy_drop(call);
		finish(call, &a);
	}
	kube_status_done(&s);
}

void kube_call_over(struct kube_call *call, CURLcode code)
{
	struct kube_answer a = { .body = "", .text = "" };
	long status = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && status / 100 != 2 && status) {
		refused(call, (int)status);
		return;
	}
	a.err = call->err ?: error_of(code);
	a.status = (int)status;
	if (a.err) {
		a.text = call->err == -E2BIG && !call->rq.chunk ? "the answer is too long" :
			 call->err ? "the answer could not be used" :
			 call->why[0] ? call->why : curl_easy_strerror(code);
	} else if (!call->rq.chunk) {
		a.body = call->body.data ?: "";
		a.len = call->body.len;
	}
	if (a.err && try_again(call, &a))
		return;
	easy_drop(call);
	finish(call, &a);
}

static int url_add(struct buf *b, const char *s)
{
	auto_free char *e = NULL;

	if (!*s)
		return 0;
	e = curl_easy_escape(NULL, s, 0);
	return e ? buf_adds(b, e) : -ENOMEM;
}

static int url_make(const struct kube_request *rq, char **ret)
{
	struct buf b;
	char sep = '?';

	/* What a request line cannot hold must not get there. */
	for (const char *p = rq->path; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '?' || *p == '#')
			return -EINVAL;
	buf_init(&b, KUBE_URL_BYTES_MAX);
	buf_adds(&b, rq->path);
	for (size_t i = 0; i < KUBE_QUERY_MAX; i++) {
		const struct kube_pair *q = &rq->query[i];

		if (!q->name || !q->value)
			continue;
		buf_add(&b, &sep, 1);
		sep = '&';
		buf_adds(&b, q->name);
		buf_adds(&b, "=");
		if (url_add(&b, q->value) < 0)
			b.err = b.err ?: -ENOMEM;
	}
	*ret = buf_take(&b, NULL);
	if (*ret)
		return 0;
	buf_done(&b);
	return -EINVAL; /* too long */
}

static int rq_copy(const struct kube_request *rq, struct kube_call *call)
{
	char *body = NULL;
	int r;

	call->rq = *rq;
	memset(call->rq.query, 0, sizeof(call->rq.query));
	call->rq.body = NULL;
	call->rq.method = strdup(rq->method);
	call->rq.content_type = strdup(rq->content_type ?: "application/json");
	if (!call->rq.method || !call->rq.content_type)
		return -ENOMEM;
	if (rq->body) {
		body = malloc(rq->body_len + 1);
		if (!body)
			return -ENOMEM;
		memcpy(body, rq->body, rq->body_len);
		body[rq->body_len] = '\0';
		call->rq.body = body;
	}
	r = url_make(rq, &call->url);
	if (!call->rq.timeout_ms)
		call->rq.timeout_ms = KUBE_TIMEOUT_MS;
	if (!call->rq.reply_max)
		call->rq.reply_max = KUBE_REPLY_BYTES_MAX;
	/* A refusal is read whole even if the answer asked for is small. */
	buf_init(&call->body, call->rq.reply_max > KUBE_REFUSAL_BYTES_MAX ? call->rq.reply_max : KUBE_REFUSAL_BYTES_MAX);
	return r;
}

int kube_call_start(struct kube_client *c, const struct kube_request *rq, struct kube_call **ret)
{
	struct kube_call *call;
	int r;

	if (c->closing)
		return -ESHUTDOWN;
	if (!rq->path || *rq->path != '/' || !rq->method || !rq->done)
		return -EINVAL;
	if (rq->body_len > KUBE_BODY_BYTES_MAX)
		return -E2BIG;
	if (c->ncalls >= KUBE_CALLS_MAX)
		return -EBUSY;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->c = c;
	call->next = c->calls;
	if (call->next)
		call->next->at = &call->next;
	call->at = &c->calls;
	c->calls = call;
	c->ncalls++;
	r = rq_copy(rq, call);
	if (r < 0) {
		kube_call_free(call);
		return r;
	}
	kube_client_kick(c);
	if (ret)
		*ret = call;
	return 0;
}

void kube_call_cancel(struct kube_call *call)
{
	if (!call || call->dead || call->finished)
		return;
	call->dead = true;
	if (call->rq.dropped)
		call->rq.dropped(call->rq.arg);
	if (call->c->inside)
		kube_client_kick(call->c); /* reaped there at the latest */
	else
		kube_call_free(call);
}
