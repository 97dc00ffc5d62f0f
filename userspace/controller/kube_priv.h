/* SPDX-License-Identifier: Apache-2.0 */
/* kube_priv.h - what the files of Kubernetes in the controller share. */
#pragma once

#include "base/vec.h"
#include "controller/change.h"
#include "controller/kube.h"

#define KUBE_FLUSH_MIN_MS 5u	 /* events of a burst go together ... */
#define KUBE_FLUSH_MAX_MS 40u	 /* ... and wait no longer than this, nor than the last burst took */
#define KUBE_WRITES_MAX 16u	 /* on their way at once */
#define KUBE_STATUSES_MAX 8u
#define KUBE_STATUS_RATE 40u	 /* status writes in a second */
#define KUBE_STATUS_SPARE 10u	 /* of them kept for objects that people changed */
#define KUBE_RETRY_MS 1000u	 /* first wait before a failed write is tried again; doubles */
#define KUBE_RETRY_MAX_MS 120000u
#define KUBE_REFUSED_MS 30000u	 /* a refused object is tried again, as room may have been made */
#define KUBE_SPLITS_MAX 64u	 /* changes tried in one go to find the object that is refused */
#define KUBE_SHOWN_MAX 200u	 /* objects of one list in `status` */
#define KUBE_TEXT_MAX 1024u	 /* bytes of a message kept */

/* An API object that carries policy, here or there or both. */
struct kobj {
	enum cluster_kind kind;		/* CLUSTER_NAMESPACE: its label cellwall.io/mode */
	char *ns, *name;		/* ns NULL: the cluster's */
	char *uid, *version, *manager;
	int64_t meta_generation;
	uint64_t confirm_ms;
	bool present;			/* the API server has it */

	/* What it says there: the last content that could be read. At most one is set. */
	struct rule *rule;
	struct mode_setting *mode;
	struct quarantine *quarantine;
	struct kpolicy *policy;
	uint64_t hash;			/* of that; 0: none */

	uint64_t base;			/* content that both sides agreed on last; 0: none */
	uint64_t held;			/* content that was taken out of force here; 0: none */
	const char *held_why;		/* literal: Reverted, Expired, Removed */
	uint64_t window;		/* generation it came with, if that has or had a confirm window */
	bool ours;			/* `base` was written by us */
	bool deleted;			/* somebody deleted it while a confirm window was open */
	bool row, row_due;		/* the store has a row; in kube.rows */

	bool todo;			/* in kube.todo */
	bool invalid;			/* what is there now could not be read */
	char *fault, *fault_name;	/* why, or what of it was passed over */
	char *refused, *refused_name;	/* why it could not be put in force */
	int64_t refused_ns;		/* when to try again */

	bool write;			/* what is here is to be written there */
	bool sent;			/* a write is on its way */
	unsigned tries;
	int64_t write_ns;		/* not before */
	char *write_error;

	uint64_t came;			/* policy generation that brought the content; 0: before this start */
	char *plan;			/* what that change did */
	bool status_due, status_sent;
	uint64_t changed;		/* when it was said anew there, by kube.change_seq */
	int64_t status_ns;		/* not before */
	uint64_t status_seen;		/* hash of the status there, without times */
	char conditions[2];		/* T, F, U, or 0: as they stand there; Accepted, InForce */
	char times[2][32];		/* since when */
};

/* What the cluster has under a name that somebody declared by hand. One of them is set. */
struct clash { struct workload *workload; struct service *service; struct namespace *ns; };

struct kobjs { struct kobj **v; size_t n, cap; };
struct names { char **v; size_t n, cap; };

struct kube {
	struct controller *c;
	const struct kube_port *ops;
	void *port;
	struct controller_kube_config cfg;
	struct cluster *cluster;

	struct htab *objs;		/* "KIND/NS/NAME" -> struct kobj */
	struct kobjs todo;		/* to be compared with what is here */
	struct kobjs rows;		/* to be written to the store */
	struct htab *clashes;		/* "KIND NS/NAME" -> struct clash */
	bool cidrs_stale;

	bool kinds_known;
	uint32_t kinds;			/* followed */
	uint32_t listed;		/* listed once, whole */
	uint32_t lost;			/* of what is followed: not heard of now */
	bool ready;			/* everything was listed: what is here is whole */
	int64_t ready_ns, lost_ns, flushed_ns; /* lost_ns: since when; 0: not */
	char *lost_why;
	uint64_t events, flushes, changes;
	int64_t first_ns;		/* of the oldest event that waits; 0: none does */
	uint64_t lag_ns, lag_max_ns;	/* from an event to its flush done: last, worst */

	unsigned sent, statuses;	/* on their way */
	unsigned status_room;		/* left in this second */
	uint64_t change_seq;
	bool status_all;		/* some are due */
	uint64_t status_errors;
	char *status_error;		/* the last */
	unsigned splits;
	bool writes;			/* some objects are to be written */
	bool refused;			/* some objects are to be tried again */
	bool committing;		/* the change being made is ours */

	uv_timer_t timer, pump;
	uint64_t cost_ms;		/* of the last flush */
	bool closing;
	unsigned handles;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- kube.c */
void kube_wake(struct kube *k);		/* a flush soon */
void kube_pump_soon(struct kube *k);	/* writes soon */
bool kube_writable(const struct kube *k, const struct kobj *o);
bool kube_followed(const struct kube *k, enum cluster_kind kind); /* listed, and heard of now or later */

/* ---- kube_objects.c */
bool kube_is_document(enum cluster_kind kind); /* carries policy; namespaces by their label */
struct kobj *kube_obj(struct kube *k, enum cluster_kind kind, const char *ns, const char *name); /* or NULL */
struct kobj *kube_obj_make(struct kube *k, enum cluster_kind kind, const char *ns, const char *name);
void kube_obj_drop(struct kube *k, struct kobj *o);
void kube_obj_free(void *o);
void kube_obj_clear(struct kobj *o); /* forgets the content */
void kube_todo(struct kube *k, struct kobj *o);
bool kube_is_newer(const struct kobj *o, const char *version); /* what is known is, than this */
int kube_text_set(char **to, const char *s); /* at most KUBE_TEXT_MAX bytes */
/* "AccessRule shop/web", "Namespace shop label cellwall.io/mode". out: 700 bytes */
const char *kube_obj_ref(const struct kobj *o, char out[700]);
int kube_rows_load(struct kube *k);
void kube_row(struct kube *k, struct kobj *o); /* its row is due */
int kube_rows_save(struct kube *k);	/* all that are due, durable */
/* Forgotten when neither side has it. */
bool kube_obj_idle(const struct kobj *o);
extern const struct cluster_ops kube_document_ops;
/* Hashes never are 0. 0: no memory. */
uint64_t kube_hash_rule(const struct rule *r);
uint64_t kube_hash_mode(const struct mode_setting *m);
uint64_t kube_hash_quarantine(const struct quarantine *q);
uint64_t kube_hash_policy(const struct kpolicy *p);
/* Of an object as the API server answers with it: 0 when it is not understood. */
uint64_t kube_hash_object(const struct kobj *o, const struct cJSON *obj);
/* The object as it is to be in the API server, of what the state has; NULL: no memory. */
struct cJSON *kube_doc(const struct kube *k, const struct policy_state *st, const struct kobj *o, size_t at);

/* ---- kube_index.c: objects in a state by name */
struct kindex { struct htab *t; };
int kube_index(const struct policy_state *st, struct kindex *ret);
void kube_index_done(struct kindex *ix);
/* Index in the state's array for its kind, or SIZE_MAX; ix->t NULL: by a search. */
size_t kube_index_find(const struct policy_state *st, const struct kindex *ix, const struct kobj *o);
uint64_t kube_local_hash(const struct policy_state *st, const struct kindex *ix, const struct kobj *o);
/* The object that a state's rule, ... is, made if need be. NULL: no memory. */
struct kobj *kube_obj_of_rule(struct kube *k, const struct rule *r);
struct kobj *kube_obj_of_mode(struct kube *k, const struct mode_setting *m);
struct kobj *kube_obj_of_quarantine(struct kube *k, const struct quarantine *q);
struct kobj *kube_obj_of_policy(struct kube *k, const struct kpolicy *p);

/* ---- kube_inventory.c */
int kube_workload_put(void *arg, const struct workload *w);
int kube_workload_del(void *arg, const char *ns, const char *name, const char *uid);
int kube_namespace_put(void *arg, const struct cluster_meta *meta, const struct namespace *n, bool has_mode,
		       enum cw_mode mode);
int kube_namespace_del(void *arg, const char *name);
int kube_node_put(void *arg, const struct node_info *n, const struct prefix *pod_cidrs, size_t npod_cidrs);
int kube_node_del(void *arg, const char *name);
int kube_service_put(void *arg, const struct service *s);
int kube_service_del(void *arg, const char *ns, const char *name);
int kube_cidrs(struct kube *k);
void kube_clash_free(void *p);

/* ---- kube_change.c */
/* Compares what is to be compared; what the API server says goes into changes. */
void kube_settle(struct kube *k);
/* After everything was listed for the first time: also what is only here. */
int kube_settle_all(struct kube *k);

/* ---- kube_write.c */
void kube_pump(struct kube *k);
/* ---- kube_state.c */
void kube_status_pump(struct kube *k);
void kube_status_note(struct kobj *o, const struct cJSON *obj);
