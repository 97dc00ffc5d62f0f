/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - what the receiver is told: only what differs, and no address at two workloads at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/priv.h"
#include "policy/rule_doc.h"

struct tell {
	struct cluster *c;
	const struct cluster_ops *ops;
	void *arg;
};

#define CALL(t, fn, ...) ((t)->ops->fn ? (t)->ops->fn((t)->arg, __VA_ARGS__) : 0)

static struct cluster_meta meta_of(const struct obj *o)
{
	return (struct cluster_meta){ .kind = (enum cluster_kind)o->kind, .ns = o->ns, .name = o->name, .uid = o->uid,
				      .created_ns = o->created_ns };
}

/* ---- workloads --------------------------------------------------------------------------- */

/* An address that the receiver knows as this pod's and that is not any more. */
static bool loses(const struct obj *o)
{
	for (const struct slot *s = o->slots; s; s = s->handed_next)
		if (!s->owner || s->owner->obj != o)
			return true;
	return false;
}

/* As put: the addresses told are its own for the receiver, others are not. */
static void settle(struct cluster *c, struct obj *o, const struct pod *p, bool only_kept)
{
	for (struct slot *s = o->slots, *next; s; s = next) {
		next = s->handed_next;
		if (!s->owner || s->owner->obj != o)
			slot_hand(c, s, NULL);
	}
	for (size_t i = 0; !only_kept && i < p->nclaims; i++)
		if (p->claims[i].slot->owner == p)
			slot_hand(c, p->claims[i].slot, o);
}

static int tell_workload(struct tell *t, struct obj *o, bool only_kept)
{
	const struct pod *p = o->body;
	auto_free struct addr *addrs = NULL;
	struct workload w;
	uint64_t digest;
	int r;

	addrs = malloc((p->nclaims + 1u) * sizeof(*addrs));
	if (!addrs)
		return -ENOMEM;
	pod_view(p, only_kept, addrs, &w);
	r = pod_digest(t->c, &w, &digest);
	if (r || digest == o->handed)
		return r;
	r = CALL(t, workload_put, &w);
	if (r)
		return r;
	o->handed = digest;
	settle(t->c, o, p, only_kept);
	return 0;
}

static int tell_workloads(struct tell *t, struct queue *q)
{
	int r = 0;

	for (struct obj *o = q->head; o && !r; o = o->queue_next) {
		if (!o->handed || (!o->gone && pod_is_workload(o->body)))
			continue;
		r = CALL(t, workload_del, o->ns, o->name, o->uid);
		if (r)
			break;
		o->handed = 0;
		pod_release(t->c, o);
	}
	for (struct obj *o = q->head; o && !r; o = o->queue_next)
		if (o->handed && loses(o))
			r = tell_workload(t, o, true);
	while (!r && q->head) {
		struct obj *o = q->head;

		if (!o->gone && pod_is_workload(o->body))
			r = tell_workload(t, o, false);
		if (r)
			break;
		q->head = o->queue_next;
		if (!q->head)
			q->tail = &q->head;
		o->queued = false;
		if (o->gone)
			obj_free(t->c, o);
	}
	return r;
}

/* ---- one thing at a time ----------------------------------------------------------------- */

static int tell_namespace(struct tell *t, struct obj *o)
{
	const struct ns_body *b = o->body;
	struct cluster_meta m = meta_of(o);
	uint64_t digest;
	int r;

	if (o->gone)
		return o->handed ? CALL(t, namespace_del, o->name) : 0;
	if (!b)
		return 0;
	r = place_digest(t->c, o, &digest);
	if (r || digest == o->handed)
		return r;
	m.confirm_ms = b->confirm_ms;
	m.manager = b->manager;
	r = CALL(t, namespace_put, &m, &b->n, b->has_mode, b->mode);
	if (!r)
		o->handed = digest;
	return r;
}

static int tell_node(struct tell *t, struct obj *o)
{
	const struct node_body *b = o->body;
	uint64_t digest;
	int r;

	if (o->gone)
		return o->handed ? CALL(t, node_del, o->name) : 0;
	if (!b)
		return 0;
	r = place_digest(t->c, o, &digest);
	if (r || digest == o->handed)
		return r;
	r = CALL(t, node_put, &b->n, b->cidrs, b->ncidrs);
	if (!r)
		o->handed = digest;
	return r;
}

#define FAULT_BACKENDS "kubernetes.backends"

static void left_out(struct cluster *c, struct obj *o, size_t n)
{
	struct fail_list f = {};

	if (n && !o->fault) {
		fail_add(&f, -E2BIG, FAULT_BACKENDS, NULL, "fewer endpoints", NULL,
			 "%zu endpoints of the service are left out: at most %u are kept", n, CLUSTER_BACKENDS_MAX);
		fault_set(c, o, &f, false);
	} else if (!n && o->fault && o->fault->f.n && strcmp(o->fault->f.items[0].name, FAULT_BACKENDS) == 0) {
		fault_set(c, o, &f, false);
	}
}

static int tell_service(struct tell *t, struct obj *o)
{
	const struct svc_body *b = o->body;
	struct service s;
	uint64_t digest;
	size_t more;
	int r;

	if (o->gone || (b && b->external_name)) {
		r = o->handed ? CALL(t, service_del, o->ns, o->name) : 0;
		if (!r)
			o->handed = 0;
		return r;
	}
	if (!b)
		return 0;
	r = service_lend(b, &s, &more);
	if (r)
		return r;
	r = service_digest(t->c, &s, &digest);
	if (!r && digest != o->handed) {
		r = CALL(t, service_put, &s);
		if (!r)
			o->handed = digest;
	}
	service_lend_done(&s);
	if (!r)
		left_out(t->c, o, more);
	return r;
}

static int tell_document(struct tell *t, struct obj *o)
{
	struct cluster_meta m = meta_of(o);
	struct doc_body *b = o->body;
	struct rule_docs none = {};
	const struct rule_docs *d;
	int r = 0;

	if (o->gone)
		return o->handed ? CALL(t, document_del, &m) : 0;
	if (!b)
		return 0;
	if (b->digest != o->handed) {
		m.resource_version = b->version;
		m.manager = b->manager;
		m.generation = b->generation;
		m.confirm_ms = b->confirm_ms;
		d = b->docs ? b->docs : &none;
		r = CALL(t, document_put, &m, d->rules, d->modes, d->quarantines, b->policy);
	}
	if (r)
		return r;
	o->handed = b->digest;
	document_drop(t->c, o);
	return 0;
}

static int tell_all(struct tell *t, enum cluster_kind kind, int (*one)(struct tell *t, struct obj *o))
{
	struct queue *q = &t->c->queue[kind];

	while (q->head) {
		struct obj *o = q->head;
		int r = one(t, o);

		if (r)
			return r;
		q->head = o->queue_next;
		if (!q->head)
			q->tail = &q->head;
		o->queued = false;
		if (o->gone)
			obj_free(t->c, o);
	}
	return 0;
}

int cluster_changes(struct cluster *c, const struct cluster_ops *ops, void *arg)
{
	struct tell t = { .c = c, .ops = ops, .arg = arg };
	int r = tell_all(&t, CLUSTER_NAMESPACE, tell_namespace);

	r = r ?: tell_all(&t, CLUSTER_NODE, tell_node);
	r = r ?: tell_workloads(&t, &c->queue[CLUSTER_POD]);
	r = r ?: tell_all(&t, CLUSTER_SERVICE, tell_service);
	for (int k = CLUSTER_NETWORK_POLICY; k < CLUSTER_KIND_COUNT && !r; k++)
		r = tell_all(&t, (enum cluster_kind)k, tell_document);
	return r ?: fault_changes(c, ops, arg);
}

bool cluster_has_changes(const struct cluster *c)
{
	for (int k = 0; k < CLUSTER_KIND_COUNT; k++)
		if (c->queue[k].head)
			return true;
	return c->faults.dirty;
}

void cluster_counts(const struct cluster *c, struct cluster_counts *ret)
{
	struct cluster_counts n = { .stale = c->stale, .faults = c->faults.n, .faults_left_out = c->faults.left_out,
				    .strings = c->pool.n, .contested = c->slots.contested };
	struct obj *o = NULL;
	size_t it = 0;

	for (int k = 0; k < CLUSTER_KIND_COUNT; k++)
		n.objects[k] = c->objs[k].n;
	while (table_next(&c->objs[CLUSTER_POD], &it, &o)) {
		const struct pod *p = o->body;

		n.workloads += pod_is_workload(p);
		n.finished += p && !p->alive;
		n.host_network += p && p->alive && p->host_network;
		n.without_address += pod_is_workload(p) && !p->nclaims;
	}
	for (size_t i = 0; i < c->slots.cap; i++)
		for (const struct slot *s = c->slots.b[i]; s; s = s->next)
			n.addresses += s->owner != NULL;
	*ret = n;
}
