/* SPDX-License-Identifier: Apache-2.0 */
/* exec.h - runs a credential plugin, without a shell, and reads its ExecCredential. Private to kube/. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "kube/config.h"

#define KUBE_EXEC_OUT_MAX (1u << 20)
#define KUBE_EXEC_ERR_MAX 2048u	  /* of what it says on stderr, for the error */
#define KUBE_EXEC_TIMEOUT_MS 60000u

struct kube_credential {
	char *token;		  /* NULL none */
	char *cert_pem, *key_pem; /* both or none */
	int64_t expires_ns;	  /* Unix time; 0: until it is refused */
};
void kube_credential_done(struct kube_credential *c); /* wipes */

/* -EBADMSG with a fault for anything but an ExecCredential of that version with a credential that
 * can be used at now_ns. Pure. */
int kube_credential_parse(const char *s, size_t len, const char *api_version, int64_t now_ns,
			  struct fail_list *f, struct kube_credential *ret);

struct kube_exec_run;
/* err 0: the credential is the callee's. text: one line for people. Not before start() returned. */
typedef void kube_exec_fn(void *arg, int err, const char *text, struct kube_credential *got);
/* 0, -ENOENT, -EACCES (the command), -ENOMEM, ... */
int kube_exec_start(uv_loop_t *loop, const struct kube_config *cfg, uint32_t timeout_ms, kube_exec_fn *done,
		    void *arg, struct kube_exec_run **ret);
/* Kills it without done(); memory goes in a later turn of the loop. */
void kube_exec_cancel(struct kube_exec_run *x);
