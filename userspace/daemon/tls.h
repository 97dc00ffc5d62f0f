/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - credentials of the controller's end: files that somebody keeps up to date, or certificates of
 * its own authority; and the certificates it gives to agents that show a good token.
 */
#pragma once

#include <uv.h>

#include "base/fail.h"
#include "config/config.h"

struct fleet;
struct fleet_enrol;
struct kube_client;
struct tls;

/* Opens the authority if one is used, and the credentials. */
int tls_open(uv_loop_t *loop, const struct config *cfg, struct fail_list *f, struct tls **ret);
/* Hands them to the fleet, now and whenever they change. */
void tls_serve(struct tls *t, struct fleet *fl);
/* Whom to ask about tokens; without it no certificate is given over the wire. Borrowed. */
void tls_set_kube(struct tls *t, struct kube_client *c);
/* For fleet_config; arg is the tls. */
void tls_enrol(void *arg, struct fleet_enrol *e, const char *node, const char *token, const char *csr);
void tls_close(struct tls *t, void (*done)(void *arg), void *arg);

/* `cellwalld --issue-cert`: writes NAME.crt and NAME.key (and ca.crt) for a node or a controller to dir.
 * what: "node NAME" or "controller HOST[,HOST...]" as two words. */
int tls_issue(const struct config *cfg, const char *role, const char *name, const char *dir, struct fail_list *f);
