/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/ca.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strparse.h"

#define SKEW_S 300 /* a peer's clock may be that much behind */
#define HOSTS_MAX 64u

struct ca {
	X509 *cert;
	EVP_PKEY *key;
	char *pem;
};

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

static void x509_freep(X509 **c)
{
	X509_free(*c);
}

static void req_freep(X509_REQ **r)
{
	X509_REQ_free(*r);
}

static void pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static char *bio_text(BIO *b)
{
	char *p = NULL, *s;
	long n = BIO_get_mem_data(b, &p);

	if (n <= 0 || (size_t)n > CERT_PEM_MAX)
		return NULL;
	s = malloc((size_t)n + 1);
	if (!s)
		return NULL;
	memcpy(s, p, (size_t)n);
	s[n] = 0;
	return s;
}

static BIO *bio_of(const char *pem)
{
	size_t n = pem ? strnlen(pem, CERT_PEM_MAX + 1) : 0;

	return n && n <= CERT_PEM_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
}

/* No key of ours has a pass phrase, and nobody is there to be asked for one. */
static int no_phrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static X509 *cert_of(const char *pem)
{
	auto_cleanup(bio_freep) BIO *b = bio_of(pem);

	return b ? PEM_read_bio_X509(b, NULL, no_phrase, NULL) : NULL;
}

static EVP_PKEY *key_of(const char *pem)
{
	auto_cleanup(bio_freep) BIO *b = bio_of(pem);

	return b ? PEM_read_bio_PrivateKey(b, NULL, no_phrase, NULL) : NULL;
}

static char *cert_text(X509 *c)
{
	auto_cleanup(bio_freep) BIO *b = BIO_new(BIO_s_mem());

	return b && PEM_write_bio_X509(b, c) ? bio_text(b) : NULL;
}

/* ---- keys and requests ------------------------------------------------------------------------- */

int cert_key_new(char **ret_pem)
{
	auto_cleanup(pkey_freep) EVP_PKEY *k = EVP_EC_gen("P-256");
	auto_cleanup(bio_freep) BIO *b = BIO_new(BIO_s_secmem());
	char *s = NULL;

	if (!k || !b || !PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL))
		return -ENOMEM;
	s = bio_text(b);
	if (!s)
		return -ENOMEM;
	*ret_pem = s;
	return 0;
}

void cert_key_free(char *pem)
{
	if (!pem)
		return;
	explicit_bzero(pem, strlen(pem));
	free(pem);
}

int cert_request_new(const char *key_pem, char **ret_pem)
{
	auto_cleanup(pkey_freep) EVP_PKEY *k = key_of(key_pem);
	auto_cleanup(req_freep) X509_REQ *r = X509_REQ_new();
	auto_cleanup(bio_freep) BIO *b = BIO_new(BIO_s_mem());
	char *s;

	if (!k)
		return -EBADMSG;
	if (!r || !b || !X509_REQ_set_version(r, X509_REQ_VERSION_1) || !X509_REQ_set_pubkey(r, k) ||
	    !X509_REQ_sign(r, k, EVP_sha256()) || !PEM_write_bio_X509_REQ(b, r))
		return -ENOMEM;
	s = bio_text(b);
	if (!s)
		return -ENOMEM;
	*ret_pem = s;
	return 0;
}

bool cert_key_fits(const char *cert_pem, const char *key_pem)
{
	auto_cleanup(x509_freep) X509 *c = cert_of(cert_pem);
	auto_cleanup(pkey_freep) EVP_PKEY *k = key_of(key_pem);

	return c && k && X509_check_private_key(c, k) == 1;
}

/* ---- names --------------------------------------------------------------------------------------- */

/* Exactly one name of ours: a certificate that names two is nobody's. */
static int name_of(const X509 *cert, struct wire_identity *ret)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	struct wire_identity name = { };
	int found = 0;

	for (int i = 0; all && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		const char *uri;

		if (g->type != GEN_URI)
			continue;
		found++;
		uri = (const char *)ASN1_STRING_get0_data(g->d.uniformResourceIdentifier);
		/* A NUL inside would make two names of one. */
		if (strlen(uri) != (size_t)ASN1_STRING_length(g->d.uniformResourceIdentifier) ||
		    wire_identity_parse(uri, &name))
			found = 2;
	}
	GENERAL_NAMES_free(all);
	if (found != 1)
		return -EINVAL;
	*ret = name;
	return 0;
}

static int unix_of(const ASN1_TIME *t, int64_t *ret)
{
	int days, secs, ok;
	ASN1_TIME *e = ASN1_TIME_set(NULL, 0);

	ok = e && ASN1_TIME_diff(&days, &secs, e, t);
	ASN1_TIME_free(e);
	if (!ok)
		return -EBADMSG;
	*ret = (int64_t)days * 86400 + secs;
	return 0;
}

int cert_read(const char *pem, struct cert_info *ret)
{
	auto_cleanup(x509_freep) X509 *c = cert_of(pem);
	struct cert_info i;
	int r;

	if (!c)
		return -EBADMSG;
	r = unix_of(X509_get0_notBefore(c), &i.from_s);
	r = r ?: unix_of(X509_get0_notAfter(c), &i.until_s);
	r = r ?: name_of(c, &i.name);
	if (!r)
		*ret = i;
	return r;
}

bool cert_is_of(const char *cert_pem, const char *ca_pem, int64_t now_s)
{
	auto_cleanup(x509_freep) X509 *c = cert_of(cert_pem), *ca = cert_of(ca_pem);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	bool ok = c && ca && ctx && store && X509_STORE_add_cert(store, ca) == 1 &&
		  X509_STORE_CTX_init(ctx, store, c, NULL) == 1;

	if (ok) {
		X509_STORE_CTX_set_time(ctx, 0, (time_t)now_s);
		ok = X509_verify_cert(ctx) == 1;
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return ok;
}

/* ---- making certificates ---------------------------------------------------------------------------- */

static int add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
	return ok ? 0 : -ENOMEM;
}

/* Built by hand: what stands in a name must not be read as configuration. */
static int add_names(X509 *cert, const struct cert_ask *ask)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	char uri[96];
	int ok = all != NULL;

	wire_identity_str(&ask->name, uri);
	for (size_t i = 0; ok && i <= ask->nhosts; i++) {
		GENERAL_NAME *g = GENERAL_NAME_new();
		ASN1_OCTET_STRING *ip = i < ask->nhosts ? a2i_IPADDRESS(ask->hosts[i]) : NULL;
		ASN1_IA5STRING *s = ip ? NULL : ASN1_IA5STRING_new();

		ok = g && (ip || (s && ASN1_STRING_set(s, i < ask->nhosts ? ask->hosts[i] : uri, -1)));
		if (!ok) {
			ASN1_STRING_free(s);
			ASN1_OCTET_STRING_free(ip);
			GENERAL_NAME_free(g);
			break;
		}
		GENERAL_NAME_set0_value(g, ip ? GEN_IPADD : i < ask->nhosts ? GEN_DNS : GEN_URI, ip ? (void *)ip : s);
		ok = sk_GENERAL_NAME_push(all, g) > 0;
		if (!ok)
			GENERAL_NAME_free(g);
	}
	ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, 0) == 1;
	GENERAL_NAMES_free(all);
	return ok ? 0 : -ENOMEM;
}

static int set_serial(X509 *c)
{
	unsigned char b[16];
	BIGNUM *n;
	int ok;

	if (RAND_bytes(b, sizeof(b)) != 1)
		return -EIO;
	b[0] = (unsigned char)((b[0] & 0x7f) | 0x40); /* positive, and as long as it looks */
	n = BN_bin2bn(b, sizeof(b), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c));
	BN_free(n);
	return ok ? 0 : -ENOMEM;
}

static int set_times(X509 *c, int64_t from_s, int64_t until_s)
{
	return ASN1_TIME_set(X509_getm_notBefore(c), (time_t)from_s) && ASN1_TIME_set(X509_getm_notAfter(c), (time_t)until_s) ?
	       0 : -ENOMEM;
}

static int set_common_name(X509 *c, const char *text)
{
	return X509_NAME_add_entry_by_NID(X509_get_subject_name(c), NID_commonName, MBSTRING_UTF8,
					  (const unsigned char *)text, (int)strnlen(text, 64), -1, 0) ? 0 : -ENOMEM;
}

/* Every host is a name or an address: it is put into the certificate as it is. */
static bool is_host(const char *s)
{
	ASN1_OCTET_STRING *ip;

	if (is_dns_name(s))
		return true;
	ip = strspn(s, "0123456789abcdefABCDEF:.") == strlen(s) ? a2i_IPADDRESS(s) : NULL;
	ASN1_OCTET_STRING_free(ip);
	return ip != NULL;
}

static int check_ask(const struct cert_ask *ask, struct fail_list *f)
{
	if (ask->name.role != WIRE_CONTROLLER && (ask->name.role != WIRE_NODE || !is_dns_name(ask->name.name)))
		return fail_add(f, -EINVAL, "cert.name", ask->name.name, "a node's name: lowercase letters, digits, '-', '.'",
				NULL, "a certificate cannot be for this name");
	if (ask->life_s <= 0 || ask->life_s > CERT_AUTHORITY_LIFE_S || ask->nhosts > HOSTS_MAX)
		return fail_add(f, -EINVAL, "cert.limit", NULL, "1 s to 10 years, 64 names", NULL,
				"beyond the limits of a certificate");
	for (size_t i = 0; i < ask->nhosts; i++)
		if (!is_host(ask->hosts[i]))
			return fail_add(f, -EINVAL, "cert.host", ask->hosts[i], "a DNS name or an IP address", NULL,
					"a certificate cannot be for this host");
	return 0;
}

static int check_key(EVP_PKEY *k, struct fail_list *f)
{
	int bits = k ? EVP_PKEY_get_bits(k) : 0, id = k ? EVP_PKEY_get_base_id(k) : 0;

	if ((id == EVP_PKEY_EC && bits >= 256) || (id == EVP_PKEY_RSA && bits >= 2048 && bits <= 8192) ||
	    id == EVP_PKEY_ED25519)
		return 0;
	return fail_add(f, -EPERM, "cert.key", NULL, "an EC key of 256 bits or an RSA key of 2048", NULL,
			"the key of the request is too weak or of a kind that is not used here");
}

int ca_issue(const struct ca *c, const struct cert_ask *ask, const char *request_pem, struct fail_list *f,
	     char **ret_pem)
{
	auto_cleanup(bio_freep) BIO *b = bio_of(request_pem);
	auto_cleanup(req_freep) X509_REQ *req = b ? PEM_read_bio_X509_REQ(b, NULL, no_phrase, NULL) : NULL;
	auto_cleanup(x509_freep) X509 *cert = X509_new();
	EVP_PKEY *key = req ? X509_REQ_get0_pubkey(req) : NULL;
	int64_t authority_until, until = ask->now_s + ask->life_s;
	char text[96], *pem;
	int r;

	r = check_ask(ask, f);
	if (r)
		return r;
	if (!req || !key)
		return fail_add(f, -EBADMSG, "cert.request", NULL, "a signing request in PEM", NULL, "this is no signing request");
	r = check_key(key, f);
	if (r)
		return r;
	if (X509_REQ_verify(req, key) != 1)
		return fail_add(f, -EBADMSG, "cert.request", NULL, "a request signed with its own key", NULL,
				"the request does not prove that its sender holds the key");
	if (!cert)
		return -ENOMEM;
	r = unix_of(X509_get0_notAfter(c->cert), &authority_until);
	if (!r && ask->now_s >= authority_until)
		return fail_add(f, -EKEYEXPIRED, "cert.authority", NULL, "an authority that has not expired", NULL,
				"the authority's own certificate has expired");
	wire_identity_str(&ask->name, text);
	r = r ?: X509_set_version(cert, X509_VERSION_3) ? 0 : -ENOMEM;
	r = r ?: set_serial(cert);
	r = r ?: set_times(cert, ask->now_s - SKEW_S, until < authority_until ? until : authority_until);
	r = r ?: set_common_name(cert, text);
	r = r ?: X509_set_issuer_name(cert, X509_get_subject_name(c->cert)) && X509_set_pubkey(cert, key) ? 0 : -ENOMEM;
	r = r ?: add_ext(cert, c->cert, NID_basic_constraints, "critical,CA:FALSE");
	r = r ?: add_ext(cert, c->cert, NID_key_usage, "critical,digitalSignature");
	r = r ?: add_ext(cert, c->cert, NID_ext_key_usage,
			 ask->name.role == WIRE_NODE ? "clientAuth" : "serverAuth,clientAuth");
	r = r ?: add_ext(cert, c->cert, NID_subject_key_identifier, "hash");
	r = r ?: add_ext(cert, c->cert, NID_authority_key_identifier, "keyid");
	r = r ?: add_names(cert, ask);
	if (r)
		return r;
	if (!X509_sign(cert, c->key, EVP_sha256()))
		return -EIO;
	pem = cert_text(cert);
	if (!pem)
		return -ENOMEM;
	*ret_pem = pem;
	return 0;
}

/* ---- the authority ------------------------------------------------------------------------------------- */

static int authority_new(int64_t now_s, struct ca *c, char **ret_key)
{
	int r = *ret_key ? 0 : cert_key_new(ret_key);

	if (r)
		return r;
	c->key = key_of(*ret_key);
	if (!c->key)
		return -EBADMSG;
	c->cert = X509_new();
	if (!c->cert || !X509_set_version(c->cert, X509_VERSION_3))
		return -ENOMEM;
	r = set_serial(c->cert);
	r = r ?: set_times(c->cert, now_s - SKEW_S, now_s + CERT_AUTHORITY_LIFE_S);
	r = r ?: set_common_name(c->cert, "cellwall authority");
	r = r ?: X509_set_issuer_name(c->cert, X509_get_subject_name(c->cert)) &&
		 X509_set_pubkey(c->cert, c->key) ? 0 : -ENOMEM;
	r = r ?: add_ext(c->cert, c->cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	r = r ?: add_ext(c->cert, c->cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	r = r ?: add_ext(c->cert, c->cert, NID_subject_key_identifier, "hash");
	if (r)
		return r;
	if (!X509_sign(c->cert, c->key, EVP_sha256()))
		return -EIO;
	c->pem = cert_text(c->cert);
	return c->pem ? 0 : -ENOMEM;
}

static int authority_write(const char *crt, const char *key, int64_t now_s, struct ca *c)
{
	char *key_pem = NULL;
	size_t n;
	int r = read_all_path(key, CERT_PEM_MAX, &key_pem, &n);

	if (!r || r == -ENOENT)
		r = authority_new(now_s, c, &key_pem);

	/* The key first: a certificate without one could never be used. */
	r = r ?: write_file_atomic(key, key_pem, strlen(key_pem), 0600);
	r = r ?: write_file_atomic(crt, c->pem, strlen(c->pem), 0644);
	cert_key_free(key_pem);
	return r;
}

static int authority_read(const char *crt, const char *key, struct ca *c)
{
	char *key_pem = NULL;
	size_t n;
	int r = read_all_path(crt, CERT_PEM_MAX, &c->pem, &n);

	r = r ?: read_all_path(key, CERT_PEM_MAX, &key_pem, &n);
	if (!r) {
		c->cert = cert_of(c->pem);
		c->key = key_of(key_pem);
		if (!c->cert || !c->key || X509_check_private_key(c->cert, c->key) != 1 || X509_check_ca(c->cert) != 1)
			r = -EBADMSG;
	}
	cert_key_free(key_pem);
	return r;
}

int ca_open(const char *dir, bool create, int64_t now_s, struct fail_list *f, struct ca **ret)
{
	auto_free char *crt = NULL, *key = NULL;
	struct ca *c;
	int r;

	if (asprintf(&crt, "%s/ca.crt", dir) < 0 || asprintf(&key, "%s/ca.key", dir) < 0)
		return -ENOMEM;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	r = create ? mkdir_p(dir, 0700) : 0;
	r = r ?: create && access(crt, F_OK) ? authority_write(crt, key, now_s, c) : authority_read(crt, key, c);
	if (r < 0) {
		fail_add(f, r, r == -EBADMSG ? "cert.damaged" : "cert.authority", dir,
			 "ca.crt and ca.key that belong together", NULL, "cannot use the authority: %s",
			 r == -EBADMSG ? "its files are damaged or do not belong together" : strerror(-r));
		ca_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void ca_free(struct ca *c)
{
	if (!c)
		return;
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
	free(c->pem);
	free(c);
}

const char *ca_cert(const struct ca *c)
{
	return c->pem;
}
