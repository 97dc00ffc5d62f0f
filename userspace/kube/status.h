/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - what the API server says when it refuses (meta/v1 Status), as plain data, and the
 * errno that stands for it everywhere in this room:
 *
 *   400, 422 -EINVAL    401 -EPERM       403 -EACCES     404 -ENOENT    405, 406, 415 -EOPNOTSUPP
 *   409      -EEXIST when the reason is AlreadyExists, else -EBUSY (conflict: read again, or force)
 *   410      -ESTALE (resource version or continue token too old)       413 -E2BIG
 *   408, 429, 5xx -EAGAIN (try later)                                    others -EPROTO
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cJSON;

#define KUBE_CAUSES_MAX 32u	   /* kept of a Status */
#define KUBE_STATUS_TEXT_MAX 4096u /* bytes of a message kept */

struct kube_cause {
	char *type;    /* "FieldValueInvalid", "FieldManagerConflict"; never NULL */
	char *field;   /* "spec.ports[0]"; "" unknown */
	char *message; /* never NULL */
};

struct kube_status {
	int code;      /* HTTP status */
	char *reason;  /* "NotFound", "AlreadyExists", "Conflict", ...; "" unknown */
	char *message; /* never NULL, from the server: escape before printing */
	char *token;   /* metadata.continue of an expired list; NULL none */
	struct kube_cause *causes;
	size_t ncauses;
	uint32_t retry_after_s; /* details.retryAfterSeconds or the header; 0 none */
};

/*
 * Reads a Status object; http_code stands in when it names no code. When j is NULL or no Status
 * (a proxy's page), the result says so in its message. Any tree is accepted. 0 or -ENOMEM.
 */
int kube_status_read(const struct cJSON *j, int http_code, struct kube_status *ret);
void kube_status_done(struct kube_status *s);
int kube_status_errno(const struct kube_status *s);
