/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: whom they name, who signed them, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "wire/ca.h"

#define NOW 1900000000ll

struct fixture { char dir[64]; struct ca *ca; };

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	snprintf(x->dir, sizeof(x->dir), "/tmp/cw-ca-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	assert_int_equal(ca_open(x->dir, true, NOW, NULL, &x->ca), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "ca.crt", "ca.key", "b/ca.crt", "b/ca.key" };
	struct fixture *x = *state;
	char p[128];

	ca_free(x->ca);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(p, sizeof(p), "%s/%s", x->dir, names[i]);
		unlink(p);
	}
	snprintf(p, sizeof(p), "%s/b", x->dir);
	rmdir(p);
	assert_int_equal(rmdir(x->dir), 0);
	free(x);
	return 0;
}

static int issue(struct ca *ca, enum wire_role role, const char *node, const char *const *hosts, size_t n, int64_t life,
		 char **key, char **cert)
{
	struct cert_ask ask = { .name = { .role = role }, .hosts = hosts, .nhosts = n, .now_s = NOW, .life_s = life };
	char *req = NULL;
	int r;

	snprintf(ask.name.name, sizeof(ask.name.name), "%s", node);
	assert_int_equal(cert_key_new(key), 0);
	assert_int_equal(cert_request_new(*key, &req), 0);
	r = ca_issue(ca, &ask, req, NULL, cert);
	free(req);
	return r;
}

static void node_certificate(void **state)
{
	struct fixture *x = *state;
	char *key = NULL, *cert = NULL, *other = NULL;
	struct cert_info i;

	assert_int_equal(issue(x->ca, WIRE_NODE, "node-1.example", NULL, 0, 3600, &key, &cert), 0);
	assert_int_equal(cert_read(cert, &i), 0);
	assert_int_equal(i.name.role, WIRE_NODE);
	assert_string_equal(i.name.name, "node-1.example");
	assert_int_equal(i.until_s, NOW + 3600);
	assert_true(i.from_s < NOW);
	assert_true(cert_key_fits(cert, key));
	assert_int_equal(cert_key_new(&other), 0);
	assert_false(cert_key_fits(cert, other));
	assert_true(cert_is_of(cert, ca_cert(x->ca), NOW));
	assert_false(cert_is_of(cert, ca_cert(x->ca), NOW + 3601));
	assert_false(cert_is_of(cert, ca_cert(x->ca), NOW - 86400));
	cert_key_free(other);
	cert_key_free(key);
	free(cert);
}

/* The credentials are what a connection takes them for. */
static void used_by_a_connection(void **state)
{
	static const char *const hosts[] = { "controller.example", "10.0.0.1", "fd00::1" };
	struct fixture *x = *state;
	char *key = NULL, *cert = NULL;
	struct ca *now_ca = NULL;
	struct wire_keys *k = NULL;
	struct fail_list f = {};
	char dir[96];
	struct cert_ask ask = { .name = { .role = WIRE_CONTROLLER }, .hosts = hosts, .nhosts = 3, .life_s = 3600 };
	struct wire_keys_source s = { .cert_name = "c", .key_name = "k", .ca_name = "a" };
	char *req = NULL;

	snprintf(dir, sizeof(dir), "%s/b", x->dir);
	ask.now_s = (int64_t)time(NULL);
	assert_int_equal(ca_open(dir, true, ask.now_s, NULL, &now_ca), 0);
	assert_int_equal(cert_key_new(&key), 0);
	assert_int_equal(cert_request_new(key, &req), 0);
	assert_int_equal(ca_issue(now_ca, &ask, req, NULL, &cert), 0);
	s.cert = cert;
	s.cert_len = strlen(cert);
	s.key = key;
	s.key_len = strlen(key);
	s.ca = ca_cert(now_ca);
	s.ca_len = strlen(s.ca);
	assert_int_equal(wire_keys_new(&s, &f, &k), 0);
	assert_int_equal(wire_keys_identity(k)->role, WIRE_CONTROLLER);
	assert_int_equal(wire_keys_expire(k), ask.now_s + 3600);
	wire_keys_unref(k);
	ca_free(now_ca);
	cert_key_free(key);
	free(cert);
	free(req);
}

static void never_outlives_the_authority(void **state)
{
	struct fixture *x = *state;
	struct cert_ask ask = { .name = { .role = WIRE_NODE, .name = "n" }, .life_s = 86400 };
	char *key = NULL, *req = NULL, *cert = NULL;
	struct cert_info i;

	assert_int_equal(cert_key_new(&key), 0);
	assert_int_equal(cert_request_new(key, &req), 0);
	ask.now_s = NOW + CERT_AUTHORITY_LIFE_S - 100;
	assert_int_equal(ca_issue(x->ca, &ask, req, NULL, &cert), 0);
	assert_int_equal(cert_read(cert, &i), 0);
	assert_int_equal(i.until_s, NOW + CERT_AUTHORITY_LIFE_S);
	free(cert);
	ask.now_s = NOW + CERT_AUTHORITY_LIFE_S + 1;
	assert_int_equal(ca_issue(x->ca, &ask, req, NULL, &cert), -EKEYEXPIRED);
	cert_key_free(key);
	free(req);
}

static void refused_names(void **state)
{
	static const struct { enum wire_role role; const char *node, *host; int64_t life; } cases[] = {
		{ WIRE_NODE, "", NULL, 60 },
		{ WIRE_NODE, "Node One", NULL, 60 },
		{ WIRE_NODE, "a,URI:cellwall:controller", NULL, 60 },
		{ WIRE_NOBODY, "a", NULL, 60 },
		{ WIRE_CONTROLLER, "", "a b", 60 },
		{ WIRE_CONTROLLER, "", "dns:x,IP:1.2.3.4", 60 },
		{ WIRE_CONTROLLER, "", "", 60 },
		{ WIRE_NODE, "a", NULL, 0 },
		{ WIRE_NODE, "a", NULL, CERT_AUTHORITY_LIFE_S + 1 },
	};
	struct fixture *x = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *key = NULL, *cert = NULL;

		assert_int_equal(issue(x->ca, cases[i].role, cases[i].node, &cases[i].host, cases[i].host != NULL, cases[i].life,
				       &key, &cert), -EINVAL);
		assert_null(cert);
		cert_key_free(key);
	}
}

static char *request_of(EVP_PKEY *k, EVP_PKEY *signer)
{
	X509_REQ *r = X509_REQ_new();
	BIO *b = BIO_new(BIO_s_mem());
	char *p, *s;
	long n;

	X509_REQ_set_pubkey(r, k);
	X509_REQ_sign(r, signer, EVP_sha256());
	PEM_write_bio_X509_REQ(b, r);
	n = BIO_get_mem_data(b, &p);
	s = strndup(p, (size_t)n);
	BIO_free(b);
	X509_REQ_free(r);
	return s;
}

static void refused_requests(void **state)
{
	struct cert_ask ask = { .name = { .role = WIRE_NODE, .name = "n" }, .now_s = NOW, .life_s = 60 };
	EVP_PKEY *weak = EVP_RSA_gen(1024), *a = EVP_EC_gen("P-256"), *b = EVP_EC_gen("P-256"), *small = EVP_EC_gen("P-192");
	char *reqs[] = { request_of(weak, weak), request_of(a, b), request_of(small, small), strdup("no request"), strdup("") };
	const int want[] = { -EPERM, -EBADMSG, -EPERM, -EBADMSG, -EBADMSG };
	struct fixture *x = *state;
	char *cert = NULL;

	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		struct fail_list f = {};

		assert_int_equal(ca_issue(x->ca, &ask, reqs[i], &f, &cert), want[i]);
		assert_int_equal(f.n, 1);
		fail_list_done(&f);
		free(reqs[i]);
	}
	EVP_PKEY_free(weak);
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
	EVP_PKEY_free(small);
}

static void authority_again(void **state)
{
	struct fixture *x = *state;
	char p[96], other[96], *key = NULL, *cert = NULL, *text;
	struct ca *again = NULL;
	struct fail_list f = {};
	struct stat st;
	size_t n;

	snprintf(p, sizeof(p), "%s/ca.key", x->dir);
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(ca_open(x->dir, false, NOW, NULL, &again), 0);
	assert_string_equal(ca_cert(again), ca_cert(x->ca));
	ca_free(again);
	/* The certificate alone is made anew, for the same key: the former one is still good for whoever has it. */
	snprintf(p, sizeof(p), "%s/ca.crt", x->dir);
	assert_int_equal(unlink(p), 0);
	assert_int_equal(ca_open(x->dir, false, NOW, NULL, &again), -ENOENT);
	assert_int_equal(ca_open(x->dir, true, NOW, NULL, &again), 0);
	assert_string_not_equal(ca_cert(again), ca_cert(x->ca));
	assert_int_equal(issue(again, WIRE_NODE, "n", NULL, 0, 60, &key, &cert), 0);
	assert_true(cert_is_of(cert, ca_cert(x->ca), NOW));
	cert_key_free(key);
	free(cert);
	ca_free(again);
	/* Of another authority: refused, and left as it is. */
	snprintf(other, sizeof(other), "%s/b", x->dir);
	assert_int_equal(ca_open(other, true, NOW, NULL, &again), 0);
	assert_int_equal(issue(again, WIRE_NODE, "n", NULL, 0, 60, &key, &cert), 0);
	assert_false(cert_is_of(cert, ca_cert(x->ca), NOW));
	cert_key_free(key);
	free(cert);
	assert_int_equal(write_file_atomic(p, ca_cert(again), strlen(ca_cert(again)), 0644), 0);
	ca_free(again);
	assert_int_equal(ca_open(x->dir, true, NOW, &f, &again), -EBADMSG);
	assert_string_equal(f.items[0].name, "cert.damaged");
	fail_list_done(&f);
	assert_int_equal(write_file_atomic(p, "-----BEGIN", 10, 0644), 0);
	assert_int_equal(ca_open(x->dir, true, NOW, NULL, &again), -EBADMSG);
	assert_int_equal(read_all_path(p, 100, &text, &n), 0);
	assert_string_equal(text, "-----BEGIN");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(node_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(used_by_a_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(never_outlives_the_authority, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_names, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(authority_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
