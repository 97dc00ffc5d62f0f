/* SPDX-License-Identifier: Apache-2.0 */
/* token.h - who a bearer token belongs to (TokenReview), and tokens for a service account (TokenRequest). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/client.h"

#define KUBE_GROUPS_MAX 64u
#define KUBE_AUDIENCES_MAX 8u

/* Whom a token speaks for; text lives until the callback returns. */
struct kube_token_user {
	const char *username;  /* "system:serviceaccount:cellwall:agent" */
	const char *uid;       /* "" unknown */
	const char *groups[KUBE_GROUPS_MAX];
	size_t ngroups;
	/* from `extra`, "" unless the token is bound to a pod (Kubernetes 1.21 on; node_name 1.30 on) */
	const char *pod_name, *pod_uid, *node_name;
	/* split from username, "" when it is no service account */
	const char *namespace_, *service_account;
};

/* err 0: user is set. -EACCES: not a good token, or not for one of the audiences (text says why).
 * Others as in struct kube_answer. */
typedef void kube_token_review_fn(void *arg, int err, const char *text, const struct kube_token_user *user);

/*
 * Asks the API server. audiences: NULL-terminated, at least one (a token for the API server itself
 * must not pass for one of ours). 0, -EINVAL, -E2BIG (token), or as kube_call_start().
 */
int kube_token_review(struct kube_client *c, const char *token, const char *const *audiences,
		      kube_token_review_fn *done, void *arg, struct kube_call **ret);

/* token lives until the callback returns; expires: Unix seconds. */
typedef void kube_token_request_fn(void *arg, int err, const char *text, const char *token, int64_t expires);

/* A token for namespace_/account with the audience and lifetime (seconds, at least 600). bound_pod and
 * bound_uid (may be NULL) bind it to a pod. */
int kube_token_request(struct kube_client *c, const char *namespace_, const char *account, const char *audience,
		       uint32_t lifetime_s, const char *bound_pod, const char *bound_uid,
		       kube_token_request_fn *done, void *arg, struct kube_call **ret);
