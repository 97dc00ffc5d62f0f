/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cred.h - the credential of the next request: files are read again when they changed, plugins
 * run again when their credential ends or is refused. Private to kube/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "kube/config.h"

struct kube_cred;

struct kube_cred_view { /* NULL: none; good until the next call of this room */
	const char *token, *cert_pem, *key_pem, *ca_pem;
};

struct kube_cred_ops {
	/* A plugin ended: err 0, or -ENOKEY and why. */
	void (*ready)(void *arg, int err, const char *text);
	void (*log)(void *arg, int level, const char *text); /* may be NULL */
};

/* cfg is borrowed and must stay. */
int kube_cred_new(uv_loop_t *loop, const struct kube_config *cfg, const struct kube_cred_ops *ops, void *arg,
		  struct kube_cred **ret);
void kube_cred_free(struct kube_cred *c); /* a running plugin is killed */
/* 0, or -EAGAIN: a plugin runs, ready() will be called; or its start's error. */
int kube_cred_get(struct kube_cred *c, struct kube_cred_view *ret);
/* The server refused `token` (NULL: none was sent). True when another try has another credential. */
bool kube_cred_refused(struct kube_cred *c, const char *token);
