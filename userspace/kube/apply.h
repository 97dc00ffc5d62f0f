/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - reading and writing single objects: get, create, replace, server-side apply, merge
 * patch, delete, each on the object or one of its subresources ("status").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cjson/cJSON.h>

#include "kube/client.h"

struct kube_ref {
	const char *api;	 /* "v1", "apps/v1": group/version */
	const char *resource;	 /* plural: "pods" */
	const char *namespace_;  /* NULL: cluster-wide */
	const char *name;	 /* NULL: the collection */
	const char *sub;	 /* "status", "approval"; NULL none */
};

/* What came back; pointers live until done() returns. */
struct kube_reply {
	const struct kube_answer *a; /* err, status, refused, text */
	const cJSON *obj;	     /* the object answered with; NULL on error, or when there is none */
	int err;		     /* a->err, or -EBADMSG for a body that is not an object */
};
typedef void kube_reply_fn(void *arg, const struct kube_reply *r);

struct kube_write {
	const char *manager; /* fieldManager; NULL: "cellwall" */
	bool force;	     /* apply: take over fields that others manage */
	bool dry_run;	     /* nothing is kept */
	unsigned retries;    /* as in struct kube_request */
	uint32_t timeout_ms; /* 0: the default */
	void (*dropped)(void *arg); /* instead of done() when the call is cancelled; may be NULL */
};

/*
 * The path of an object or collection, each part encoded. -EINVAL for parts that are empty, ".",
 * "..", or contain "/" or "%", and for ill-formed group/versions. Caller frees.
 */
int kube_path_make(const struct kube_ref *ref, char **ret);

/*
 * All start one call and return 0 or as kube_call_start(). done() comes once unless the call is
 * cancelled through *ret (may be NULL). w may be NULL. done may be NULL: nobody wants to know.
 * Conflicts: create -EEXIST; replace with an old resourceVersion and apply of fields that
 * another manages without force -EBUSY (the causes name them).
 */
int kube_get(struct kube_client *c, const struct kube_ref *ref, kube_reply_fn *done, void *arg,
	     struct kube_call **ret);
/* The same with a limit of its own, and tries (as in struct kube_request). */
int kube_get_within(struct kube_client *c, const struct kube_ref *ref, uint32_t timeout_ms, unsigned retries,
		    kube_reply_fn *done, void *arg, struct kube_call **ret);
/* POST to the collection, or to a subresource of ref->name ("token", "eviction"). */
int kube_create(struct kube_client *c, const struct kube_ref *ref, const cJSON *obj, const struct kube_write *w,
		kube_reply_fn *done, void *arg, struct kube_call **ret);
int kube_replace(struct kube_client *c, const struct kube_ref *ref, const cJSON *obj, const struct kube_write *w,
		 kube_reply_fn *done, void *arg, struct kube_call **ret);
/* Server-side apply; obj needs apiVersion, kind and metadata.name (checked: -EINVAL). */
int kube_apply(struct kube_client *c, const struct kube_ref *ref, const cJSON *obj, const struct kube_write *w,
	       kube_reply_fn *done, void *arg, struct kube_call **ret);
/* JSON merge patch (RFC 7386). */
int kube_merge(struct kube_client *c, const struct kube_ref *ref, const cJSON *patch, const struct kube_write *w,
	       kube_reply_fn *done, void *arg, struct kube_call **ret);
/* uid and version (may be NULL) are preconditions: -EBUSY when they do not hold. */
int kube_delete(struct kube_client *c, const struct kube_ref *ref, const char *uid, const char *version,
		kube_reply_fn *done, void *arg, struct kube_call **ret);
