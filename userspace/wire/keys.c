/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - credentials of one end: certificate, key, authority; and who a certificate speaks for. */
#include "wire/conn_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strparse.h"

#define PEM_FILE_MAX (1u << 20)
#define CHAIN_MAX 8
#define NODE_PREFIX "cellwall:node:"

int wire_identity_parse(const char *s, struct wire_identity *ret)
{
	struct wire_identity id = { .role = WIRE_NODE };

	if (!strcmp(s, "cellwall:controller")) {
		*ret = (struct wire_identity){ .role = WIRE_CONTROLLER };
		return 0;
	}
	if (strncmp(s, NODE_PREFIX, strlen(NODE_PREFIX)))
		return -EINVAL;
	s += strlen(NODE_PREFIX);
	if (strlen(s) >= sizeof(id.name) || !is_dns_name(s))
		return -EINVAL;
	memcpy(id.name, s, strlen(s) + 1);
	*ret = id;
	return 0;
}

const char *wire_identity_str(const struct wire_identity *id, char out[96])
{
	if (id->role == WIRE_NODE)
		(void)snprintf(out, 96, NODE_PREFIX "%s", id->name);
	else
		(void)snprintf(out, 96, "%s", id->role == WIRE_CONTROLLER ? "cellwall:controller" : "nobody");
	return out;
}

/* Bytes of a certificate as text; false: too long, or with a NUL inside, which is somebody's trick. */
static bool asn1_text(const ASN1_STRING *s, char *out, size_t size)
{
	const unsigned char *p = s ? ASN1_STRING_get0_data(s) : NULL;
	int n = s ? ASN1_STRING_length(s) : -1;

	if (!p || n <= 0 || (size_t)n >= size || memchr(p, 0, (size_t)n))
		return false;
	memcpy(out, p, (size_t)n);
	out[n] = 0;
	return true;
}

/* The URI name decides where there is one of ours; two of them are one too many. */
int conn_identity_of(X509 *cert, struct wire_identity *ret)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	struct wire_identity id = {};
	char text[160];
	int found = 0, at;

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_URI || !asn1_text(g->d.uniformResourceIdentifier, text, sizeof(text)) ||
		    strncmp(text, "cellwall:", 9))
			continue;
		found = found || wire_identity_parse(text, &id) ? 2 : 1;
	}
	GENERAL_NAMES_free(names);
	if (!found) {
		X509_NAME *subject = X509_get_subject_name(cert);

		at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
		if (at >= 0 && X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0 &&
		    asn1_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), text, sizeof(text)) &&
		    !wire_identity_parse(text, &id))
			found = 1;
	}
	if (found != 1)
		return -EINVAL;
	*ret = id;
	return 0;
}

/* ---- reading PEM ----------------------------------------------------------------------------- */

static int fault(struct fail_list *f, const char *name, const char *at, const char *expected, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	int e = fail_add(f, -EINVAL, name, at, expected, NULL, "%s%s%s", what, why ? ": " : "", why ? why : "");

	ERR_clear_error();
	return e;
}

static BIO *pem_bio(const char *p, size_t len)
{
	return len <= PEM_FILE_MAX ? BIO_new_mem_buf(p, (int)len) : NULL;
}

static int take_cert(SSL_CTX *ctx, const struct wire_keys_source *s, struct fail_list *f, struct wire_keys *k)
{
	BIO *b = pem_bio(s->cert, s->cert_len);
	X509 *own = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL, *more;
	struct tm tm;
	int r = 0, n = 0;

	if (!own || SSL_CTX_use_certificate(ctx, own) != 1)
		r = fault(f, "tls.certificate", s->cert_name, "a certificate in PEM", "this is no certificate");
	else if (conn_identity_of(own, &k->identity))
		r = fault(f, "tls.certificate", s->cert_name, "the name cellwall:node:NAME or cellwall:controller",
			  "the certificate does not say for whom it speaks");
	else if (ASN1_TIME_to_tm(X509_get0_notAfter(own), &tm) == 1)
		k->expire = (int64_t)timegm(&tm);
	while (!r && n++ < CHAIN_MAX && (more = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
		if (SSL_CTX_add0_chain_cert(ctx, more) != 1) {
			X509_free(more);
			r = -ENOMEM;
		}
	}
	ERR_clear_error();
	X509_free(own);
	BIO_free(b);
	return r;
}

static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1; /* never asks on a terminal */
}

static int take_key(SSL_CTX *ctx, const struct wire_keys_source *s, struct fail_list *f)
{
	BIO *b = pem_bio(s->key, s->key_len);
	EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;
	int r = 0;

	if (!key)
		r = fault(f, "tls.key", s->key_name, "a private key in PEM, without a password", "this is no private key");
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		r = fault(f, "tls.key", s->key_name, "the key of the certificate", "key and certificate do not belong together");
	EVP_PKEY_free(key);
	BIO_free(b);
	return r;
}

static int take_ca(SSL_CTX *ctx, const struct wire_keys_source *s, struct fail_list *f)
{
	BIO *b = pem_bio(s->ca, s->ca_len);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509 *x;
	int n = 0;

	while (b && n < 64 && (x = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	BIO_free(b);
	if (!n)
		return fault(f, "tls.ca", s->ca_name, "one or more certificates in PEM", "there is no authority in it");
	ERR_clear_error();
	return 0;
}

int wire_keys_new(const struct wire_keys_source *s, struct fail_list *f, struct wire_keys **ret)
{
	struct wire_keys *k = calloc(1, sizeof(*k));
	SSL_CTX *c = k ? SSL_CTX_new(TLS_method()) : NULL;
	int r;

	if (!c) {
		free(k);
		return -ENOMEM;
	}
	k->refs = 1;
	k->ctx = c;
	k->allow_nobody = s->allow_nobody;
	if (SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 || SSL_CTX_set_num_tickets(c, 0) != 1 ||
	    SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1) {
		r = fault(f, "tls.library", NULL, "TLS 1.3", "the TLS library does not do what is needed");
		goto out;
	}
	(void)SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_verify_depth(c, CHAIN_MAX);
	r = s->cert ? take_cert(c, s, f, k) : 0;
	if (!r && s->cert)
		r = take_key(c, s, f);
	if (!r)
		r = take_ca(c, s, f);
out:
	if (r) {
		wire_keys_unref(k);
		return r;
	}
	*ret = k;
	return 0;
}

static int load_file(const char *path, const char *name, struct fail_list *f, char **ret, size_t *ret_len)
{
	int r = path ? read_all_path(path, PEM_FILE_MAX, ret, ret_len) : 0;

	return r ? fail_add(f, r, name, path, "a file that can be read", NULL, "cannot read it: %s", strerror(-r)) : 0;
}

static void wipe(char *p, size_t n)
{
	if (p)
		OPENSSL_cleanse(p, n);
	free(p);
}

int wire_keys_load(const char *cert, const char *key, const char *ca, bool allow_nobody, struct fail_list *f,
		   struct wire_keys **ret)
{
	auto_free char *c = NULL, *a = NULL;
	char *k = NULL;
	struct wire_keys_source s = { .cert_name = cert, .key_name = key, .ca_name = ca, .allow_nobody = allow_nobody };
	int r = load_file(cert, "tls.certificate", f, &c, &s.cert_len);

	r = r ? r : load_file(key, "tls.key", f, &k, &s.key_len);
	r = r ? r : load_file(ca, "tls.ca", f, &a, &s.ca_len);
	s.cert = c;
	s.key = k;
	s.ca = a;
	if (!r && ((cert && !key) || !ca))
		r = fail_add(f, -EINVAL, "tls.missing", NULL, "certificate, key and authority", NULL,
			     "some of the credentials are not given");
	r = r ? r : wire_keys_new(&s, f, ret);
	wipe(k, s.key_len);
	return r;
}

struct wire_keys *wire_keys_ref(struct wire_keys *k)
{
	k->refs++;
	return k;
}

void wire_keys_unref(struct wire_keys *k)
{
	if (!k || --k->refs)
		return;
	SSL_CTX_free(k->ctx);
	free(k);
}

const struct wire_identity *wire_keys_identity(const struct wire_keys *k)
{
	return &k->identity;
}

int64_t wire_keys_expire(const struct wire_keys *k)
{
	return k->expire;
}
