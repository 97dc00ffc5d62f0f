/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_api.h - an API server for tests, on the test's own loop: HTTP/1.1 over TCP or TLS, each request
 * handed to a handler that answers what it likes, byte by byte if it likes. And a test CA.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <uv.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "kube/client.h"

#define FAKE_REQUEST_MAX (8u << 20)

struct fake_api;
struct fake_conn {
	uv_tcp_t tcp; /* first: closed by its address */
	struct fake_api *f;
	struct fake_conn *next;
	struct buf in;
	SSL *ssl;
	BIO *rbio, *wbio;
	bool closing;
	bool client_cert;
};
struct fake_rq {
	struct fake_conn *conn;
	char method[16], target[8192]; /* path and query */
	char token[4096];	       /* of the Authorization header */
	char type[128];		       /* Content-Type */
	char host[256];
	bool gzip;		       /* Accept-Encoding names it */
	const char *body;
	size_t body_len;
};
struct fake_api {
	uv_loop_t *loop;
	uv_tcp_t listener;
	int port;
	SSL_CTX *tls;
	struct fake_conn *conns;
	unsigned nconns, requests;
	void (*handle)(struct fake_api *f, struct fake_rq *rq);
	void *arg;
};

static inline void fake_conn_gone(uv_handle_t *h)
{
	struct fake_conn *c = (struct fake_conn *)h, **p = &c->f->conns;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	if (c->ssl)
		SSL_free(c->ssl); /* with its BIOs */
	buf_done(&c->in);
	free(c);
}

/* Breaks the connection. */
static inline void fake_hang_up(struct fake_conn *c)
{
	if (!c->closing)
		uv_close((uv_handle_t *)&c->tcp, fake_conn_gone);
	c->closing = true;
}

struct fake_write { uv_write_t w; char data[]; };

static inline void fake_written(uv_write_t *w, int status)
{
	(void)status;
	free(w);
}

static inline void fake_send_raw(struct fake_conn *c, const void *p, size_t n)
{
	struct fake_write *w;
	uv_buf_t b;

	if (c->closing || !n)
		return;
	w = malloc(sizeof(*w) + n);
	assert_non_null(w);
	memcpy(w->data, p, n);
	b = uv_buf_init(w->data, (unsigned)n);
	assert_int_equal(uv_write(&w->w, (uv_stream_t *)&c->tcp, &b, 1, fake_written), 0);
}

static inline void fake_flush(struct fake_conn *c)
{
	char out[16384];
	int n;

	while (c->ssl && (n = BIO_read(c->wbio, out, sizeof(out))) > 0)
		fake_send_raw(c, out, (size_t)n);
}

static inline void fake_send(struct fake_conn *c, const void *p, size_t n)
{
	if (!c->ssl) {
		fake_send_raw(c, p, n);
	} else if (n && !c->closing) {
		assert_int_equal(SSL_write(c->ssl, p, (int)n), (int)n);
		fake_flush(c);
	}
}

/* headers: "Name: value\r\n" lines, or "". */
static inline void fake_reply_bytes(struct fake_rq *rq, int status, const char *headers, const void *p, size_t n)
{
	char head[4096];
	int k = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
			 status, headers, n);

	fake_send(rq->conn, head, (size_t)k);
	fake_send(rq->conn, p, n);
}

static inline void fake_reply(struct fake_rq *rq, int status, const char *headers, const char *body)
{
	fake_reply_bytes(rq, status, headers, body, strlen(body));
}

static inline void fake_status(struct fake_rq *rq, int code, const char *reason, const char *message)
{
	char body[2048];

	snprintf(body, sizeof(body), "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
		 "\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}", message, reason, code);
	fake_reply(rq, code, "", body);
}

/* A chunked answer without an end yet. */
static inline void fake_stream(struct fake_conn *c)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

	fake_send(c, head, strlen(head));
}

static inline void fake_stream_add(struct fake_conn *c, const char *p, size_t n)
{
	char size[16];
	int k = snprintf(size, sizeof(size), "%zx\r\n", n);

	fake_send(c, size, (size_t)k);
	fake_send(c, p, n);
	fake_send(c, "\r\n", 2);
}

static inline void fake_stream_end(struct fake_conn *c)
{
	fake_send(c, "0\r\n\r\n", 5);
}

static inline void fake_header(const char *head, const char *name, char *out, size_t size)
{
	const char *p = strcasestr(head, name);
	size_t n;

	*out = '\0';
	if (!p)
		return;
	p += strlen(name);
	n = strcspn(p, "\r\n");
	if (n < size) {
		memcpy(out, p, n);
		out[n] = '\0';
	}
}

/* Hands out the whole requests in the buffer. */
static inline void fake_look(struct fake_conn *c)
{
	while (!c->closing && c->in.len) {
		char *end = strstr(c->in.data, "\r\n\r\n");
		struct fake_rq rq = { .conn = c };
		auto_free char *body = NULL;
		char length[32], accept[128];
		size_t head, n;

		if (!end)
			return;
		head = (size_t)(end - c->in.data) + 4;
		*end = '\0';
		fake_header(c->in.data, "\r\nContent-Length: ", length, sizeof(length));
		n = strtoul(length, NULL, 10);
		if (c->in.len < head + n) {
			*end = '\r';
			return;
		}
		assert_int_equal(sscanf(c->in.data, "%15s %8191s", rq.method, rq.target), 2);
		fake_header(c->in.data, "\r\nAuthorization: Bearer ", rq.token, sizeof(rq.token));
		fake_header(c->in.data, "\r\nContent-Type: ", rq.type, sizeof(rq.type));
		fake_header(c->in.data, "\r\nHost: ", rq.host, sizeof(rq.host));
		fake_header(c->in.data, "\r\nAccept-Encoding: ", accept, sizeof(accept));
		rq.gzip = strstr(accept, "gzip") != NULL;
		body = strndup(c->in.data + head, n);
		rq.body = body;
		rq.body_len = n;
		memmove(c->in.data, c->in.data + head + n, c->in.len - head - n + 1);
		c->in.len -= head + n;
		c->f->requests++;
		c->f->handle(c->f, &rq);
	}
}

static inline void fake_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char chunk[65536];

	(void)h;
	(void)want;
	*b = uv_buf_init(chunk, sizeof(chunk));
}

static inline void fake_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct fake_conn *c = (struct fake_conn *)s;
	char text[16384];
	int k;

	if (n < 0) {
		fake_hang_up(c);
		return;
	}
	if (!c->ssl) {
		buf_add(&c->in, b->base, (size_t)n);
		fake_look(c);
		return;
	}
	BIO_write(c->rbio, b->base, (int)n);
	if (!SSL_is_init_finished(c->ssl)) {
		SSL_do_handshake(c->ssl);
		fake_flush(c);
		c->client_cert = SSL_is_init_finished(c->ssl) && SSL_get0_peer_certificate(c->ssl);
	}
	while (SSL_is_init_finished(c->ssl) && (k = SSL_read(c->ssl, text, sizeof(text))) > 0)
		buf_add(&c->in, text, (size_t)k);
	fake_flush(c);
	fake_look(c);
}

static inline void fake_accept(uv_stream_t *s, int status)
{
	struct fake_api *f = s->data;
	struct fake_conn *c = calloc(1, sizeof(*c));

	assert_int_equal(status, 0);
	c->f = f;
	buf_init(&c->in, FAKE_REQUEST_MAX);
	uv_tcp_init(f->loop, &c->tcp);
	assert_int_equal(uv_accept(s, (uv_stream_t *)&c->tcp), 0);
	c->next = f->conns;
	f->conns = c;
	f->nconns++;
	if (f->tls) {
		c->ssl = SSL_new(f->tls);
		c->rbio = BIO_new(BIO_s_mem());
		c->wbio = BIO_new(BIO_s_mem());
		SSL_set_bio(c->ssl, c->rbio, c->wbio);
		SSL_set_accept_state(c->ssl);
	}
	uv_read_start((uv_stream_t *)&c->tcp, fake_alloc, fake_read);
}

static inline void fake_start(struct fake_api *f, uv_loop_t *loop, void (*handle)(struct fake_api *, struct fake_rq *),
			      void *arg)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int len = sizeof(a);

	signal(SIGPIPE, SIG_IGN); /* as the daemon has it: peers hang up */
	f->loop = loop;
	f->handle = handle;
	f->arg = arg;
	a.sin_port = htons((uint16_t)f->port); /* 0, or the one it had before */
	uv_tcp_init(loop, &f->listener);
	f->listener.data = f;
	assert_int_equal(uv_tcp_bind(&f->listener, (struct sockaddr *)&a, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&f->listener, 64, fake_accept), 0);
	assert_int_equal(uv_tcp_getsockname(&f->listener, (struct sockaddr *)&a, &len), 0);
	f->port = ntohs(a.sin_port);
}

static inline void fake_stop(struct fake_api *f)
{
	for (struct fake_conn *c = f->conns; c; c = c->next)
		fake_hang_up(c);
	if (!uv_is_closing((uv_handle_t *)&f->listener))
		uv_close((uv_handle_t *)&f->listener, NULL);
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static inline void fake_late(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

static inline void fake_timer_gone(uv_handle_t *h)
{
	free(h);
}

/* Runs the loop until *flag, at most ms; false when the time was up. flag NULL: the whole time. */
static inline bool fake_run(uv_loop_t *loop, const volatile bool *flag, uint64_t ms)
{
	uv_timer_t *t = malloc(sizeof(*t));
	bool late = false;

	uv_timer_init(loop, t);
	t->data = &late;
	uv_update_time(loop);
	uv_timer_start(t, fake_late, ms, 0);
	while (!late && !(flag && *flag))
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)t, fake_timer_gone);
	return !late;
}

/* Everything has been closed: runs dry. */
static inline void fake_loop_done(uv_loop_t *loop)
{
	for (int i = 0; i < 10000 && uv_run(loop, UV_RUN_NOWAIT); i++)
		uv_sleep(1);
	assert_int_equal(uv_loop_close(loop), 0);
}

static inline void fake_config(const struct fake_api *f, struct kube_config *c)
{
	*c = (struct kube_config){};
	assert_true(asprintf(&c->server, "%s://127.0.0.1:%d", f->tls ? "https" : "http", f->port) > 0);
	c->origin = strdup("test");
	c->namespace_ = strdup("default");
}

/* ---- certificates ----------------------------------------------------------------------------------- */

struct fake_cert {
	X509 *x;
	EVP_PKEY *key;
	char *pem, *key_pem;
};

static inline char *fake_bio_text(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	char *s = strndup(p, (size_t)n);

	BIO_free(b);
	return s;
}

/* alt NULL: a CA; otherwise signed by ca (NULL: by itself), for that subjectAltName. */
static inline void fake_cert_make(struct fake_cert *c, const char *name, const struct fake_cert *ca, const char *alt)
{
	static long serial = 1;
	X509_EXTENSION *e;
	X509V3_CTX v3;
	BIO *b;

	c->key = EVP_EC_gen("P-256");
	c->x = X509_new();
	X509_set_version(c->x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c->x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c->x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c->x), 86400);
	X509_set_pubkey(c->x, c->key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c->x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c->x, X509_get_subject_name(ca ? ca->x : c->x));
	X509V3_set_ctx(&v3, ca ? ca->x : c->x, c->x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &v3, alt ? NID_subject_alt_name : NID_basic_constraints, alt ?: "critical,CA:TRUE");
	X509_add_ext(c->x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(c->x, ca ? ca->key : c->key, EVP_sha256()) > 0);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, c->x);
	c->pem = fake_bio_text(b);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, c->key, NULL, NULL, 0, NULL, NULL);
	c->key_pem = fake_bio_text(b);
}

static inline void fake_cert_done(struct fake_cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	free(c->pem);
	free(c->key_pem);
}

/* The server speaks TLS as `cert`; client_ca: certificates of clients it asks for. */
static inline void fake_tls(struct fake_api *f, const struct fake_cert *cert, const struct fake_cert *client_ca)
{
	f->tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(f->tls, cert->x);
	SSL_CTX_use_PrivateKey(f->tls, cert->key);
	if (client_ca) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(f->tls), client_ca->x);
		SSL_CTX_set_verify(f->tls, SSL_VERIFY_PEER, NULL);
	}
}
