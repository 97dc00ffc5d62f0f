/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_tls.c - the TLS part of a connection. The library reads from the bytes that just came and
 * writes straight to the socket: no buffers of its own are kept for an idle connection.
 */
#include "wire/conn_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* ---- the library's view of the socket -------------------------------------------------------- */

static int bio_write(BIO *b, const char *p, int n)
{
	struct wire_conn *c = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	return conn_raw_write(c, p, (size_t)n) ? -1 : n;
}

static int bio_read(BIO *b, char *p, int n)
{
	struct wire_conn *c = BIO_get_data(b);
	size_t take = c->rx_len < (size_t)n ? c->rx_len : (size_t)n;

	BIO_clear_retry_flags(b);
	if (!take) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(p, c->rx, take);
	c->rx += take;
	c->rx_len -= take;
	return (int)take;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b, (void)num, (void)ptr;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *m;

	if (!m) {
		m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
		if (m && (BIO_meth_set_write(m, bio_write) != 1 || BIO_meth_set_read(m, bio_read) != 1 ||
			  BIO_meth_set_ctrl(m, bio_ctrl) != 1)) {
			BIO_meth_free(m);
			m = NULL;
		}
	}
	return m;
}

/* ---- who the peer must be -------------------------------------------------------------------- */

static int expect_server(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
	unsigned char ip[16];

	if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(p, name) == 1 ? 0 : -ENOMEM;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1 ? 0 : -EINVAL;
}

int conn_tls_new(struct wire_conn *c, const char *server_name)
{
	int verify = SSL_VERIFY_PEER;
	BIO *b;

	c->ssl = SSL_new(c->keys->ctx);
	b = c->ssl && bio_method() ? BIO_new(bio_method()) : NULL;
	if (!b)
		return -ENOMEM;
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	SSL_set_bio(c->ssl, b, b);
	if (c->client) {
		SSL_set_connect_state(c->ssl);
	} else {
		SSL_set_accept_state(c->ssl);
		if (!c->keys->allow_nobody)
			verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	}
	SSL_set_verify(c->ssl, verify, NULL);
	return c->client && server_name && *server_name ? expect_server(c->ssl, server_name) : 0;
}

static int check_peer(struct wire_conn *c)
{
	X509 *x = SSL_get1_peer_certificate(c->ssl);
	char who[96];
	int r;

	if (!x) {
		if (!c->client && c->keys->allow_nobody)
			return 0;
		wire_conn_close(c, -EACCES, "the peer shows no certificate");
		return -EACCES;
	}
	r = conn_identity_of(x, &c->peer);
	X509_free(x);
	if (r) {
		wire_conn_close(c, -EACCES, "the peer's certificate does not say for whom it speaks");
		return -EACCES;
	}
	if (c->peer.role != (c->client ? WIRE_CONTROLLER : WIRE_NODE)) {
		char why[200];

		(void)snprintf(why, sizeof(why), "the peer's certificate is that of %s, which is not who may be here",
			       wire_identity_str(&c->peer, who));
		wire_conn_close(c, -EACCES, why);
		return -EACCES;
	}
	return 0;
}

/* ---- driving it ------------------------------------------------------------------------------ */

static void tls_failed(struct wire_conn *c)
{
	unsigned long e = ERR_peek_last_error();
	long verify = SSL_get_verify_result(c->ssl);
	const char *why = ERR_reason_error_string(e);
	char text[200];
	int err = -EPROTO;

	switch (ERR_GET_REASON(e)) {
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		(void)snprintf(text, sizeof(text), "the peer's certificate is not accepted: %s",
			       X509_verify_cert_error_string(verify));
		wire_conn_close(c, -EACCES, text);
		ERR_clear_error();
		return;
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
	case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
		err = -EACCES;
		break;
	default:
		break;
	}
	(void)snprintf(text, sizeof(text), "TLS: %s", why ? why : "the connection is broken");
	ERR_clear_error();
	wire_conn_close(c, err, text);
}

static bool handshake(struct wire_conn *c)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(c->ssl);
	if (c->state == CONN_CLOSING)
		return false;
	if (r == 1) {
		if (check_peer(c))
			return false;
		conn_opened(c);
		return c->state == CONN_OPEN;
	}
	if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ)
		tls_failed(c);
	return false;
}

void conn_tls_input(struct wire_conn *c)
{
	static char plain[65536]; /* one loop, one reader at a time */

	if (c->state == CONN_HANDSHAKE && !handshake(c))
		return;
	while (c->state == CONN_OPEN) {
		int n, e;

		ERR_clear_error();
		n = SSL_read(c->ssl, plain, sizeof(plain));
		if (n > 0) {
			conn_bytes(c, plain, (size_t)n);
			continue;
		}
		e = SSL_get_error(c->ssl, n);
		if (e == SSL_ERROR_WANT_READ)
			return;
		if (e == SSL_ERROR_ZERO_RETURN)
			wire_conn_close(c, 0, "the peer closed the connection");
		else
			tls_failed(c);
		return;
	}
}

int conn_tls_write(struct wire_conn *c, const char *p, size_t n)
{
	int r, e;

	ERR_clear_error();
	r = SSL_write(c->ssl, p, (int)n);
	if (r > 0)
		return r;
	e = SSL_get_error(c->ssl, r);
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -EPROTO;
}

void conn_tls_bye(struct wire_conn *c)
{
	ERR_clear_error();
	if (c->ssl && SSL_is_init_finished(c->ssl))
		(void)SSL_shutdown(c->ssl);
	ERR_clear_error();
}
