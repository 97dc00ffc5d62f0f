/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - Kubernetes objects to things of the model: workloads, namespaces, nodes, services,
 * rules. Objects come in as the API tells them, in any order; what differs goes out, once, when it is
 * asked for. Pure: no I/O, no clock, no globals; nothing blocks.
 *
 * What is an answer to what:
 *
 * Order. Of one object the greatest resourceVersion stands. An older one that comes late is ignored,
 * also after the object was deleted or another one took its name; a list (cluster_begin to cluster_end)
 * is believed whatever its versions, since a server restored from a backup counts from there again.
 *
 * Workloads are pods that live and have a network of their own: not those that have finished (phase
 * Succeeded or Failed, or being deleted with no container left running), and not those on their node's
 * network, which are the node. A pod without an address yet is a workload without one. An address
 * belongs to one workload: of the living pods that name it, the one created last, or later than that told
 * to have its network anew or to have started a container. Between two calls of the callbacks no address is
 * at two workloads: who loses one is told of before who has it now.
 *
 * The controller is the top owner as far as owners are known: Pod -> ReplicaSet -> Deployment, Pod ->
 * Job -> CronJob. Until the ReplicaSet has come its Deployment is told from the pod only where that
 * leaves no doubt (pod-template-hash and generateName agree with the ReplicaSet's name). An owner that
 * is gone is remembered while it has pods, so that they do not change identity on their way out. An owner in
 * another namespace owns nothing; a Node (static pods) is no controller.
 *
 * Refused objects. The former version of the object stays in force: an update that cannot be read
 * opens nothing and closes nothing. A refused object that has a former object's name but another uid ends
 * the former one, as that was deleted. Each fault is told once, with the object that has it, by its field.
 *
 * Documents (AccessRule and its like, NetworkPolicy and its like) are handed over and forgotten: what is
 * in force is the receiver's to keep.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fail.h"
#include "policy/kpolicy.h"
#include "policy/model.h"
#include "policy/state.h"

struct cJSON;
struct cluster;

/* Of each a list of its own. Owners may come as PartialObjectMetadata: only metadata is read. */
enum cluster_kind {
	CLUSTER_NAMESPACE, CLUSTER_NODE, CLUSTER_POD,
	CLUSTER_SERVICE, CLUSTER_ENDPOINT_SLICE,	/* discovery.k8s.io/v1 and v1beta1 */
	CLUSTER_REPLICASET, CLUSTER_JOB,		/* owners; those that follow may be left out */
	CLUSTER_DEPLOYMENT, CLUSTER_STATEFULSET, CLUSTER_DAEMONSET, CLUSTER_CRONJOB, /* only for their mode labels */
	CLUSTER_NETWORK_POLICY, CLUSTER_ADMIN_POLICY, CLUSTER_BASELINE_POLICY, CLUSTER_CLUSTER_POLICY,
	CLUSTER_ACCESS_RULE, CLUSTER_CLUSTER_ACCESS_RULE, CLUSTER_MODE_PROFILE, CLUSTER_QUARANTINE,
	CLUSTER_KIND_COUNT,
};
const char *cluster_kind_str(enum cluster_kind k);	/* "Pod", "EndpointSlice", ... */
bool cluster_kind_namespaced(enum cluster_kind k);

#define CLUSTER_LABELS_MAX 256u		/* labels of one object */
#define CLUSTER_CONTAINERS_MAX 256u	/* of one pod, with its init containers */
#define CLUSTER_PORTS_MAX 256u		/* named ports of a pod, ports of a service or of a slice */
#define CLUSTER_ADDRS_MAX 256u		/* addresses of one object */
#define CLUSTER_ENDPOINTS_MAX 1000u	/* of one slice: the API's own limit */
#define CLUSTER_BACKENDS_MAX 20000u	/* of one service; further ones are left out with a fault */
#define CLUSTER_CIDRS_MAX 64u		/* of one node */
#define CLUSTER_OWNERS_MAX 64u		/* ownerReferences of one object */
#define CLUSTER_UID_MAX 128u
#define CLUSTER_FAULTS_MAX 1000u	/* objects whose faults are kept; those of further ones are counted */
#define CLUSTER_TOMBS_MAX 16384u	/* deleted objects whose late updates are known as such */

/* What an object says about itself. Borrowed within a callback. */
struct cluster_meta {
	enum cluster_kind kind;
	const char *ns;			/* NULL: the cluster's */
	const char *name, *uid;
	const char *resource_version;	/* only of documents, else NULL */
	int64_t generation;		/* 0: none */
	int64_t created_ns;
	/* By managedFields; NULL: unknown. Of documents: who wrote last. Of namespaces: who wrote the mode label. */
	const char *manager;
	uint64_t confirm_ms;		/* cellwall.io/confirm on documents and namespaces; 0: none */
};

/*
 * Receivers; any may be NULL. Everything is borrowed and valid within the call. A negative return
 * ends cluster_changes() with it, and that thing is handed over again next time.
 * Order within one call: namespaces and nodes, workloads that are gone, workloads that lose an address,
 * other workloads, services, documents, faults; within these as they came.
 */
struct cluster_ops {
	int (*workload_put)(void *arg, const struct workload *w);
	/* uid: of the one that is gone; one of the same name may follow. */
	int (*workload_del)(void *arg, const char *ns, const char *name, const char *uid);
	/* has_mode: its label cellwall.io/mode is a mode. meta->confirm_ms belongs to it. */
	int (*namespace_put)(void *arg, const struct cluster_meta *meta, const struct namespace *n, bool has_mode,
			     enum cw_mode mode);
	int (*namespace_del)(void *arg, const char *name);
	/* Addresses: status.addresses, and what network plugins write about tunnels in annotations. Bridge and
	 * tunnel addresses that no object names are known to the node's own agent alone. */
	int (*node_put)(void *arg, const struct node_info *n, const struct prefix *pod_cidrs, size_t npod_cidrs);
	int (*node_del)(void *arg, const char *name);
	int (*service_put)(void *arg, const struct service *s);
	int (*service_del)(void *arg, const char *ns, const char *name);
	/* Exactly one is not NULL. Rules and policies come with id 0 and creation time. */
	int (*document_put)(void *arg, const struct cluster_meta *meta, const struct rule *r,
			    const struct mode_setting *m, const struct quarantine *q, const struct kpolicy *k);
	int (*document_del)(void *arg, const struct cluster_meta *meta); /* kind, ns, name, uid */
	/* The faults of an object changed; f->n == 0: it has none any more. refused: the object was not taken;
	 * else a part of it was passed over (a mode label that is no mode). */
	int (*fault)(void *arg, const struct cluster_meta *meta, const struct fail_list *f, bool refused);
};

struct cluster_counts {
	size_t objects[CLUSTER_KIND_COUNT];	/* there, refused ones included */
	size_t workloads, finished, host_network, without_address; /* pods */
	size_t addresses, contested;		/* addresses of pods; those that two living pods name */
	size_t faults, faults_left_out;		/* objects with faults; beyond CLUSTER_FAULTS_MAX */
	size_t strings;				/* distinct texts kept */
	uint64_t stale;				/* late updates that were ignored */
};

/* seed: random, so that nobody outside can choose names that collide. NULL: no memory. */
struct cluster *cluster_new(uint64_t seed);
void cluster_free(struct cluster *c);

/*
 * One object as the API has it now. 0 also when it was ignored as older than what is known; -EINVAL
 * refused, with the faults in f (may be NULL) and, where the object can be told by name, kept for
 * ops.fault; -ENOMEM nothing changed.
 */
int cluster_put(struct cluster *c, enum cluster_kind kind, const struct cJSON *obj, struct fail_list *f);
/* It was deleted; obj is its last state, of which metadata is read. 0 also when it was not known. */
int cluster_del(struct cluster *c, enum cluster_kind kind, const struct cJSON *obj);
/* The object is there but could not be read at all (too large, not JSON): counts as refused. ns NULL or "". */
int cluster_skip(struct cluster *c, enum cluster_kind kind, const char *ns, const char *name, const char *why);
/* A complete list: what is not put (or skipped) between is gone. A second begin starts the list again. */
void cluster_begin(struct cluster *c, enum cluster_kind kind);
int cluster_end(struct cluster *c, enum cluster_kind kind);

/*
 * Hands over what differs from what was handed over before; the effort is that of what changed. 0,
 * -ENOMEM, or what a receiver returned. Receivers must not call back into this room.
 */
int cluster_changes(struct cluster *c, const struct cluster_ops *ops, void *arg);
bool cluster_has_changes(const struct cluster *c);
/* All standing faults, each with its object. Stops when fn returns non-zero and returns that. */
int cluster_faults(const struct cluster *c,
		   int (*fn)(void *arg, const struct cluster_meta *meta, const struct fail_list *f, bool refused),
		   void *arg);

void cluster_counts(const struct cluster *c, struct cluster_counts *ret);
/*
 * What clusterCIDRs could be: podCIDRs of the nodes, neighbours joined, and the smallest prefixes that
 * hold all service addresses (not shorter than /12 and /108). Only what objects show: a network plugin
 * with address pools of its own is not seen here. malloc'ed, sorted. 0 or -ENOMEM.
 */
int cluster_cidrs(const struct cluster *c, struct prefix **ret, size_t *ret_n);
