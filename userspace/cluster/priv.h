/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priv.h - what the files of this room share.
 *
 * Each object of the API is a `struct obj`, one per uid; what it says is its body, made anew with each
 * update. Reading an object takes all memory that it needs (texts, address slots, owners, groups of
 * slices); linking it in cannot fail. What may have changed for the receiver is queued; whether it did
 * is decided when it is handed over, by a digest of what would be said.
 */
#pragma once

#include "base/buf.h"
#include "base/doc.h"
#include "cluster/cluster.h"
#include "cluster/pool.h"

struct htab;
struct rule_docs;

#define LABEL_MODE "cellwall.io/mode"
#define ANNOTATION_CONFIRM "cellwall.io/confirm"
#define CONFIRM_MS_MIN 1000ull		/* as for the commands of people */
#define CONFIRM_MS_MAX (24ull * 3600 * 1000)
#define NAME_MAX_BYTES 253u
#define VALUE_MAX_BYTES 4096u		/* of a text field that is not a name */
#define DIGEST_BYTES_MAX (64u << 20)

struct obj {
	struct obj *hash_next, *queue_next;
	uint64_t rv;		/* 0: not a number */
	uint64_t handed;	/* digest of what the receiver has; 0: it has nothing */
	int64_t created_ns;
	const char *ns;		/* pooled; NULL: the cluster's */
	const char *uid;	/* behind the name */
	void *body;		/* NULL: nothing that could be read */
	struct fault *fault;
	struct slot *slots;	/* of pods: addresses that the receiver knows as its own */
	uint32_t mark;		/* of the list that named it last */
	uint8_t kind;		/* enum cluster_kind */
	bool queued;
	bool gone;		/* no more in the API nor in the table; freed when the receiver knows */
	char name[];
};

struct table { struct obj **b; size_t cap, n; };
struct queue { struct obj *head, **tail; };

/* The faults of one object, told or to be told. */
struct fault {
	struct fault *next, *prev;
	struct obj *obj;	/* NULL: gone */
	enum cluster_kind kind;
	char *ns, *name, *uid;
	struct fail_list f;
	bool refused, told, dirty;
};

struct cluster {
	struct pool pool;
	uint64_t seed;
	struct table objs[CLUSTER_KIND_COUNT];
	struct queue queue[CLUSTER_KIND_COUNT];
	uint32_t epoch[CLUSTER_KIND_COUNT];	/* of the list that goes on or was last */
	bool listing[CLUSTER_KIND_COUNT];
	struct htab *owners;			/* uid -> struct owner */
	struct htab *groups;			/* ns/service -> struct group */
	struct { struct slot **b; size_t cap, n, contested; } slots;
	struct { struct htab *by_name; struct tomb **ring; size_t at; } tombs;
	struct { struct fault *head; size_t n, left_out, dirty; } faults;
	struct buf scratch;			/* for digests */
	uint64_t stale;
};

/* ---- reading: read.c, meta.c ------------------------------------------------------------- */

/* What reading one object needs. Getters return what is absent (or null) as NULL or false; a value of the
 * wrong kind is a fault at d.path + key and then counts as absent. */
struct rd {
	struct cluster *c;
	struct doc d;
	struct fail_list f;
	bool nomem;
	enum cluster_kind of;
	const char *kind;	/* "Pod" */
	char what[640];		/* "Pod shop/web-1" */
};
const cJSON *rd_object(struct rd *r, const cJSON *o, const char *key);
const cJSON *rd_list(struct rd *r, const cJSON *o, const char *key, size_t max);
const char *rd_text(struct rd *r, const cJSON *o, const char *key, size_t max);
/* A text that `ok` takes; `expected` says what it should be. */
const char *rd_word(struct rd *r, const cJSON *o, const char *key, bool (*ok)(const char *s), const char *expected);
bool rd_int(struct rd *r, const cJSON *o, const char *key, int64_t min, int64_t max, int64_t *ret);
bool rd_bool(struct rd *r, const cJSON *o, const char *key, bool dflt);
/* tcp, udp or sctp; the API's default is TCP. */
uint8_t rd_proto(struct rd *r, const cJSON *o, const char *key);
/* An address of a machine: not zero, multicast, loopback. The item v stands at d.path. */
bool rd_addr(struct rd *r, const cJSON *v, struct addr *ret);
/* A fault at d.path (value quoted if v is given). */
void rd_fault(struct rd *r, const cJSON *v, const char *name, const char *expected, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void rd_nomem(struct rd *r);
/* One more reference to a text; NULL for NULL, and without memory (r->nomem). */
const char *rd_pool(struct rd *r, const char *s);
/* metadata.labels: counted, checked, in the order of their keys. */
size_t rd_labels_count(const cJSON *meta);
void rd_labels_pooled(struct rd *r, const cJSON *meta, struct kv *v, size_t *n); /* room for _count */
void rd_labels(struct rd *r, const cJSON *meta, struct labels *ret);
/* The text of label cellwall.io/mode if it is a mode; else a fault is added. */
const char *rd_mode(struct rd *r, const cJSON *meta);
bool is_uid(const char *s);

struct owner_ref { const char *api, *kind, *name, *uid; };
/* What metadata says; texts are the object's. */
struct meta {
	const cJSON *o;		/* metadata */
	const char *ns, *name, *uid, *version;
	uint64_t rv;
	int64_t created_ns, generation;
	bool deleting;
};
/* Names the object and reads the head. false: it cannot be told by name (faults were added). */
bool meta_read(struct rd *r, enum cluster_kind kind, const cJSON *obj, struct meta *ret);
/* The ownerReference with controller: true. False: none. */
bool meta_controller(struct rd *r, const struct meta *m, struct owner_ref *ret);
uint64_t meta_confirm(struct rd *r, const struct meta *m);
/* Who wrote last, other than status; with a label: of those who wrote it. NULL: not said. Borrowed. */
const char *meta_manager(const struct meta *m, const char *label);

/* ---- one kind ---------------------------------------------------------------------------- */

struct kind_ops {
	/* The body, with all memory that link() needs; NULL when there were faults that refuse it, or no
	 * memory (r->nomem). Remarks may be added beside a body: r->d.faults is looked at for NULL only. */
	void *(*read)(struct rd *r, const struct meta *m, const cJSON *obj);
	void (*free)(struct cluster *c, void *body);	/* unlinked */
	void (*link)(struct cluster *c, struct obj *o);
	void (*unlink)(struct cluster *c, struct obj *o);
};
extern const struct kind_ops pod_ops, namespace_ops, node_ops, service_ops, slice_ops, owner_ops, document_ops;
const struct kind_ops *kind_ops(enum cluster_kind k);

/* ---- cluster.c --------------------------------------------------------------------------- */

struct obj *obj_find(const struct cluster *c, enum cluster_kind kind, const char *ns, const char *name);
void obj_queue(struct cluster *c, struct obj *o); /* may have changed */
void obj_free(struct cluster *c, struct obj *o);
bool table_next(const struct table *t, size_t *it, struct obj **o);
/* Adds to c->scratch, which digest_done() turns into a number that is not 0. */
void digest_text(struct cluster *c, const char *s);
void digest_bytes(struct cluster *c, const void *p, size_t n);
void digest_labels(struct cluster *c, const struct kv *v, size_t n);
int digest_done(struct cluster *c, uint64_t *ret);

/* ---- fault.c ----------------------------------------------------------------------------- */

/* Takes the list over; an empty one: no faults any more. Never fails: without memory a fault is not kept. */
void fault_set(struct cluster *c, struct obj *o, struct fail_list *f, bool refused);
void fault_orphan(struct cluster *c, struct obj *o); /* the object is gone */
int fault_changes(struct cluster *c, const struct cluster_ops *ops, void *arg);
void faults_done(struct cluster *c);

/* ---- addresses: slot.c ------------------------------------------------------------------- */

/* One address that pods name. */
struct slot {
	struct slot *next, *handed_next;
	struct addr addr;
	struct claim *claims;	/* of living pods */
	struct pod *owner;	/* the best claim's; NULL: none */
	struct obj *handed;	/* whom the receiver knows as its owner */
	uint32_t refs;		/* claims made or being made, and `handed` */
};
struct claim { struct slot *slot; struct claim *next; struct pod *pod; };
struct slot *slot_get(struct cluster *c, const struct addr *a); /* NULL: no memory; holds a reference */
void slot_put(struct cluster *c, struct slot *s);
void claim_add(struct cluster *c, struct claim *cl);
void claim_del(struct cluster *c, struct claim *cl);
void slot_hand(struct cluster *c, struct slot *s, struct obj *to); /* NULL: nobody's for the receiver */

/* ---- pods and owners: pod.c, owner.c ----------------------------------------------------- */

struct pod {
	struct obj *obj;
	int64_t fresh_ns;	/* created, or later: the last sign that its network was there */
	const char *account, *node, *mode;	/* pooled, as all texts here */
	const char *ref_kind, *ref_name;	/* the controller that it names; NULL: none */
	const char *guess_name;			/* the Deployment behind it, if that is beyond doubt */
	struct owner *owner;			/* what ref names, known or not */
	struct pod *own_next, *own_prev;
	struct kv *labels;
	struct named_port *ports;
	struct container_image *images;
	struct claim *claims;
	uint16_t nlabels, nports, nimages, nclaims;
	bool alive, host_network;
};
/* Is it a workload now? */
bool pod_is_workload(const struct pod *p);
/* What the receiver is told. addrs: room for p->nclaims. only_kept: no address that is new to it. Borrowed. */
void pod_view(const struct pod *p, bool only_kept, struct addr *addrs, struct workload *ret);
int pod_digest(struct cluster *c, const struct workload *w, uint64_t *ret);
/* All addresses that the receiver knows as this object's are nobody's. */
void pod_release(struct cluster *c, struct obj *o);

/* An object that owns: there, named by what it owns, or remembered while it owns. */
struct owner {
	char *uid;
	const char *ns, *kind, *name, *mode;	/* pooled; kind NULL: not known yet */
	const char *ref_kind, *ref_name;
	struct owner *parent, *sib_next, *sib_prev, *children;
	struct pod *pods;
	uint32_t refs;		/* of pods, children and the object itself */
};
struct owner *owner_get(struct rd *r, const char *uid); /* NULL: r->nomem; holds a reference */
void owner_put(struct cluster *c, struct owner *o);
void owner_add_pod(struct owner *o, struct pod *p);
void owner_del_pod(struct owner *o, struct pod *p);
/* The top owner of a pod and the strictest mode of its own and of its owners' labels. NULL: none. */
void owner_resolve(const struct pod *p, const char **ret_kind, const char **ret_name, const char **ret_mode);

/* ---- services: service.c, slice.c -------------------------------------------------------- */

/* A service's name and all slices that say it. */
struct group {
	char *key;
	struct obj *svc;
	struct slice *slices;
	uint32_t refs;
};
struct slice_port { const char *name; uint8_t proto; uint16_t port; }; /* port 0: any */
struct slice_end { struct addr addr; const char *pod; bool ready, serving, terminating; };
struct slice {
	struct group *group;
	struct slice *next, *prev;
	struct slice_port *ports;
	struct slice_end *ends;
	size_t nports, nends;
	bool v6;
};
struct svc_body {
	struct service s;	/* without backends */
	size_t ncluster;	/* of its addresses, the first ones: given by the cluster */
	struct group *group;
	bool external_name;
};
struct group *group_get(struct rd *r, const char *ns, const char *name);
void group_put(struct cluster *c, struct group *g);
/* The service with its backends. backends are malloc'ed in *ret; the rest is borrowed. 0 or -ENOMEM. */
int service_lend(const struct svc_body *b, struct service *ret, size_t *ret_left_out);
void service_lend_done(struct service *s);
int service_digest(struct cluster *c, const struct service *s, uint64_t *ret);

/* ---- the rest: place.c, document.c ------------------------------------------------------- */

struct ns_body { struct namespace n; bool has_mode; enum cw_mode mode; uint64_t confirm_ms; char *manager; };
struct node_body { struct node_info n; struct prefix *cidrs; size_t ncidrs; };
int place_digest(struct cluster *c, const struct obj *o, uint64_t *ret);

struct doc_body {
	struct rule_docs *docs;	/* one document in it, or */
	struct kpolicy *policy;
	char *version, *manager;
	int64_t generation;
	uint64_t confirm_ms, digest;
};
void document_drop(struct cluster *c, struct obj *o); /* the receiver has it */
