/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube.h - Kubernetes in the controller: what its API server says becomes inventory and changes of
 * the policy, and what people change here is written there. One interface, two stores.
 *
 * Nothing is handed to nodes before every collection has been listed once: a rule whose peers are
 * not all known would open or close wrongly. Until then, and while the API server is away, what is
 * in force stays. Loop thread only.
 *
 * Who wins. The API server's objects (`kubectl edit`, `delete`, `apply`) win over what is stored here.
 * What is changed here (`cellwall rule apply`, `mode set`, ...) is put in force first and then written
 * there until it has arrived; if somebody edits the object in between, their edit stands. What was
 * written once and is gone there was deleted by a person, also while the controller was down. What is
 * declared by hand (inventory file, `cellwall workload add`) wins over pods of the same name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "cluster/cluster.h"

struct cJSON;
struct controller;
struct kube;

/* ---- the port: what the controller needs of an API server --------------------------------------- */

enum kube_verb {
	KUBE_APPLY,  /* server-side apply as "cellwall", taking fields over */
	KUBE_STATUS, /* JSON merge patch of the status subresource */
	KUBE_MERGE,  /* JSON merge patch of the object; with a resourceVersion only if it still has that */
	KUBE_DELETE, /* if it still is the object with this uid */
};

struct kube_out {
	enum kube_verb verb;
	enum cluster_kind kind;
	const char *ns, *name;
	const char *uid;	  /* KUBE_DELETE: precondition */
	const struct cJSON *body; /* the others */
};

/* Borrowed within the call. err: 0, or a negative errno; -ENOENT when the object is not there. */
struct kube_in {
	int err;
	const char *text;	/* the error as one line; "" */
	const struct cJSON *obj; /* as it is now; NULL unknown */
};
typedef void kube_done_fn(void *arg, const struct kube_in *in);

struct kube_server { const char *address, *version; }; /* for people; "" unknown */

struct kube_port {
	/* Starts a write; done() comes later, once. 0 or negative errno (done() does not come then). */
	int (*send)(void *port, const struct kube_out *o, kube_done_fn *done, void *arg);
	void (*server)(void *port, struct kube_server *ret);
	/* Ends all; no callback comes after closed(). */
	void (*close)(void *port, void (*closed)(void *arg), void *arg);
};

/* ---- life ------------------------------------------------------------------------------------- */

struct controller_kube_config {
	bool write_rules;	/* changes made here are written to the API server */
	bool own_cidrs;		/* no clusterCIDRs are configured: those of the cluster's objects are taken */
};

/*
 * Between controller_new() and controller_start(). From now on no state is handed to nodes until
 * everything has been listed. The port is closed with the controller. 0, -ENOMEM, -EIO (store).
 */
int controller_kube_new(struct controller *c, const struct controller_kube_config *cfg,
			const struct kube_port *ops, void *port, struct kube **ret);

/* ---- what the port tells ---------------------------------------------------------------------- */

/* Which collections are followed, as bits 1 << kind. May change later (a CRD was installed): what
 * is followed no more is as if it had been listed empty, except before everything was listed. */
void kube_kinds(struct kube *k, uint32_t mask);
void kube_begin(struct kube *k, enum cluster_kind kind);
void kube_object(struct kube *k, enum cluster_kind kind, const struct cJSON *obj);
void kube_gone(struct kube *k, enum cluster_kind kind, const struct cJSON *obj);
void kube_end(struct kube *k, enum cluster_kind kind);
void kube_skipped(struct kube *k, enum cluster_kind kind, const char *ns, const char *name, const char *why);
/* text: why it is lost; one line. */
void kube_following(struct kube *k, enum cluster_kind kind, bool synced, const char *text);
/* The API server cannot be reached at all, so that not even discovery works. */
void kube_unreachable(struct kube *k, const char *text);

/* ---- over userspace/kube ------------------------------------------------------------------------ */

struct controller_kube_client {
	const char *kubeconfig;	/* file; NULL: the pod's own service account */
	const char *context;	/* NULL: the file's current one */
	struct controller_kube_config cfg;
};
/* Is there a service account to be used (kubernetes.enabled: auto)? */
bool controller_kube_in_cluster(void);
/* Makes the client and starts to follow; as controller_kube_new(). -EINVAL and others with faults in f. */
int controller_kube_open(struct controller *c, const struct controller_kube_client *cfg, struct fail_list *f);
