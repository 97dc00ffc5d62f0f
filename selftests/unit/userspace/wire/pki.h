/* SPDX-License-Identifier: Apache-2.0 */
/* pki.h - an authority, certificates for tests, and a loopback of the test's own. */
#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire/ca.h"
#include "wire/conn.h"

#define PKI_MUST(x) ((x) ? (void)0 : (perror(#x), abort()))

struct pki { char dir[64]; struct ca *ca; char *key, *request; };

static inline void pki_new(struct pki *p)
{
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/cw-pki-XXXXXX");
	PKI_MUST(mkdtemp(p->dir));
	PKI_MUST(!ca_open(p->dir, true, time(NULL), NULL, &p->ca));
	/* One key for all: what is told apart is in the certificates. */
	PKI_MUST(!cert_key_new(&p->key) && !cert_request_new(p->key, &p->request));
}

static inline void pki_done(struct pki *p)
{
	static const char *const names[] = { "ca.crt", "ca.key" };
	char path[96];

	ca_free(p->ca);
	cert_key_free(p->key);
	free(p->request);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", p->dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(p->dir);
}

/* node NULL: the controller. Trusts `trust`. */
static inline struct wire_keys *pki_keys(const struct pki *p, const struct pki *trust, const char *node, int64_t now, int64_t life,
					 bool allow_nobody)
{
	static const char *const hosts[] = { "127.0.0.1", "controller.test" };
	struct cert_ask ask = { .name.role = node ? WIRE_NODE : WIRE_CONTROLLER, .hosts = hosts, .nhosts = node ? 0 : 2,
				.now_s = now, .life_s = life };
	const char *ca = ca_cert(trust->ca);
	struct wire_keys *k = NULL;
	char *cert = NULL;

	if (node)
		(void)snprintf(ask.name.name, sizeof(ask.name.name), "%s", node);
	PKI_MUST(!ca_issue(p->ca, &ask, p->request, NULL, &cert));
	PKI_MUST(!wire_keys_new(&(struct wire_keys_source){
		.cert = cert, .key = p->key, .ca = ca, .cert_len = strlen(cert), .key_len = strlen(p->key),
		.ca_len = strlen(ca), .allow_nobody = allow_nobody }, NULL, &k));
	free(cert);
	return k;
}

static inline struct wire_keys *pki_plain(const struct pki *p, const char *node)
{
	return pki_keys(p, p, node, time(NULL), 3600, false);
}

/* Nothing of a test is seen on the machine's own network. */
static inline void own_loopback(void)
{
	struct ifreq r = { .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET))
		return; /* not root: the machine's loopback, then */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "lo");
	PKI_MUST(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &r));
	close(fd);
}
