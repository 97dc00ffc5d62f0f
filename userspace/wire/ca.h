/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca.h - certificates of agents and controllers: keys, requests, an authority in a directory, and
 * whom a certificate names. EC P-256 keys, X.509 v3.
 *
 * A certificate names its holder by one URI in the subject alternative names, as conn.h reads it:
 * "cellwall:controller" or "cellwall:node:NAME". The common name is for people.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "wire/conn.h"

#define CERT_PEM_MAX 65536u
#define CERT_LIFE_S 86400		/* of a node's certificate that is issued over the wire */
#define CERT_CONTROLLER_LIFE_S (30 * 86400)
#define CERT_AUTHORITY_LIFE_S (10LL * 365 * 86400)

struct cert_info {
	struct wire_identity name;
	int64_t from_s, until_s;	/* Unix time */
};

struct ca;

/*
 * The authority in DIR/ca.crt and DIR/ca.key. With `create`, what is missing is made: the key is
 * readable by its owner only; a certificate alone that is missing is made anew for the key that is
 * there, and peers that have the former one go on trusting it. -ENOENT: not there. -EBADMSG: damaged, or
 * the two do not belong together; such files are never replaced.
 */
int ca_open(const char *dir, bool create, int64_t now_s, struct fail_list *f, struct ca **ret);
void ca_free(struct ca *c);
/* PEM of the authority's own certificate, for peers to check against. */
const char *ca_cert(const struct ca *c);

/* A new private key, PEM. malloc'ed; wipe it with cert_key_free. */
int cert_key_new(char **ret_pem);
void cert_key_free(char *pem);
/* A signing request for a key, PEM, malloc'ed. Its subject is empty: whoever signs says who it is. */
int cert_request_new(const char *key_pem, char **ret_pem);

struct cert_ask {
	struct wire_identity name;
	const char *const *hosts;	/* names or addresses a controller is reached by */
	size_t nhosts;
	int64_t now_s, life_s;
};
/*
 * Signs a request. Nothing of it is taken over but the public key, which must be EC P-256 or better
 * or RSA of 2048 bits at least and which the request must prove to hold. The certificate never
 * outlives the authority. *ret is PEM, malloc'ed. -EBADMSG: no request; -EPERM: its key; -EINVAL: name.
 */
int ca_issue(const struct ca *c, const struct cert_ask *ask, const char *request_pem, struct fail_list *f,
	     char **ret_pem);

/* Whom it names and when it holds. -EBADMSG, -EINVAL (names nobody of ours). */
int cert_read(const char *pem, struct cert_info *ret);
/* Signed by the authority and valid now. */
bool cert_is_of(const char *cert_pem, const char *ca_pem, int64_t now_s);
/* The key belongs to the certificate. */
bool cert_key_fits(const char *cert_pem, const char *key_pem);
