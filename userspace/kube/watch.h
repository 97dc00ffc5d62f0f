/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - follows one collection: list, then watch from there, for ever. Keeps no objects: it
 * hands each one to its owner as it is read (begin, object..., end; then object, gone...), resumes
 * after breaks from the last resource version, and lists again when the server has forgotten it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cjson/cJSON.h>

#include "kube/client.h"

#define KUBE_PAGE_MAX 500u

enum kube_watch_state {
	KUBE_WATCH_SYNCED, /* the owner has everything and hears of changes */
	KUBE_WATCH_LOST,   /* what the owner has may be old; being tried again with back-off */
};

/* All but object() may be NULL. Objects are borrowed: they are freed when the call returns. */
struct kube_watch_ops {
	void (*begin)(void *arg); /* a list begins (again, after a failed one) */
	/* There, or changed. apiVersion, kind and metadata.name are always set. */
	void (*object)(void *arg, const cJSON *obj);
	void (*gone)(void *arg, const cJSON *obj); /* deleted; its last state */
	void (*end)(void *arg); /* complete: what was not named since begin() is gone */
	/* err: negative errno as in kube_answer.err, 0 when synced. Called on changes of state only,
	 * and when the err of LOST changes; text is one line for people. */
	void (*state)(void *arg, enum kube_watch_state s, int err, const char *text);
	/* An object that was left out: too large, malformed. Names "" when unknown. */
	void (*skipped)(void *arg, const char *namespace_, const char *name, int err);
};

struct kube_watch_spec {
	const char *path;	/* the collection: "/api/v1/pods", "/apis/apps/v1/namespaces/x/replicasets" */
	const char *kind;	/* of an item: "Pod" */
	const char *api_version; /* of an item: "v1", "apps/v1" */
	const char *labels, *fields; /* selectors; NULL none */
	bool managed;		/* objects come with metadata.managedFields */
	uint32_t page;		/* items a page; 0: KUBE_PAGE_MAX */
	size_t item_max;	/* bytes of an object; 0: KUBE_ITEM_BYTES_MAX */
	uint32_t watch_s;	/* how long one watch is asked for; 0: 300 to 600, drawn */
	uint32_t stall_ms;	/* a watch without a byte for so long is dropped and resumed; 0: 180 s */
	uint32_t backoff_ms;	/* first wait after a failure; 0: 500 ms. Doubles up to 20 times that */
};

struct kube_watch;
struct kube_watch_counts {
	uint64_t lists, pages, watches, events, bookmarks, skipped, stalls, expired, malformed;
};

/* Starts at once, in the loop. Copies spec and ops. 0, -EINVAL, -ENOMEM. */
int kube_watch_new(struct kube_client *c, const struct kube_watch_spec *spec, const struct kube_watch_ops *ops,
		   void *arg, struct kube_watch **ret);
/* No callback comes after this; memory is freed in a later turn. NULL is fine. May be called from a callback. */
void kube_watch_close(struct kube_watch *w);
bool kube_watch_synced(const struct kube_watch *w);
const struct kube_watch_counts *kube_watch_counts(const struct kube_watch *w);
