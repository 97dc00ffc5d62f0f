/* SPDX-License-Identifier: Apache-2.0 */
/* cluster.c - objects by kind and name: which version stands, which is gone, what may have changed. */
#include "cluster/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/strparse.h"
#include "cluster/priv.h"

/* A deleted object, so that its late updates are known as such. */
struct tomb {
	uint64_t rv;
	char *uid;
	size_t key_len;
	char key[];
};

const struct kind_ops *kind_ops(enum cluster_kind k)
{
	switch (k) {
	case CLUSTER_NAMESPACE: return &namespace_ops;
	case CLUSTER_NODE: return &node_ops;
	case CLUSTER_POD: return &pod_ops;
	case CLUSTER_SERVICE: return &service_ops;
	case CLUSTER_ENDPOINT_SLICE: return &slice_ops;
	case CLUSTER_REPLICASET: case CLUSTER_JOB: case CLUSTER_DEPLOYMENT: case CLUSTER_STATEFULSET:
	case CLUSTER_DAEMONSET: case CLUSTER_CRONJOB:
		return &owner_ops;
	default:
		return &document_ops;
	}
}

/* ---- the table of a kind ----------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static uint64_t hash_of(const struct cluster *c, const char *ns, const char *name)
{
	uint64_t seed = ns ? hash_bytes(c->seed, ns, strlen(ns)) : c->seed;

	return hash_bytes(seed, name, strlen(name));
}

struct obj *obj_find(const struct cluster *c, enum cluster_kind kind, const char *ns, const char *name)
{
	const struct table *t = &c->objs[kind];
	struct obj *o = t->cap ? t->b[hash_of(c, ns, name) & (t->cap - 1)] : NULL;

	while (o && (strcmp(o->name, name) != 0 || !same(o->ns, ns)))
		o = o->hash_next;
	return o;
}

static bool table_grow(const struct cluster *c, struct table *t)
{
	size_t cap = t->cap ? t->cap * 2 : 64;
	struct obj **b = calloc(cap, sizeof(struct obj *));

	if (!b)
		return t->cap;
	for (size_t i = 0; i < t->cap; i++) {
		for (struct obj *o = t->b[i], *next; o; o = next) {
			size_t at = hash_of(c, o->ns, o->name) & (cap - 1);

			next = o->hash_next;
			o->hash_next = b[at];
			b[at] = o;
		}
	}
	free(t->b);
	t->b = b;
	t->cap = cap;
	return true;
}

static struct obj **place_of(struct cluster *c, const struct obj *o)
{
	struct table *t = &c->objs[o->kind];
	struct obj **at = &t->b[hash_of(c, o->ns, o->name) & (t->cap - 1)];

	while (*at != o)
		at = &(*at)->hash_next;
	return at;
}

bool table_next(const struct table *t, size_t *it, struct obj **o)
{
	if (*o && (*o)->hash_next) {
		*o = (*o)->hash_next;
		return true;
	}
	for (; *it < t->cap; (*it)++)
		if (t->b[*it]) {
			*o = t->b[(*it)++];
			return true;
		}
	return false;
}

static struct obj *obj_new(struct cluster *c, enum cluster_kind kind, const char *ns, const char *name, const char *uid)
{
	struct table *t = &c->objs[kind];
	size_t n = strlen(name) + 1, u = strlen(uid) + 1, at;
	struct obj *o;

	if (t->n >= t->cap && !table_grow(c, t))
		return NULL;
	o = calloc(1, sizeof(*o) + n + u);
	if (!o)
		return NULL;
	o->ns = ns ? pool_get(&c->pool, ns) : NULL;
	if (ns && !o->ns) {
		free(o);
		return NULL;
	}
	memcpy(o->name, name, n);
	memcpy(o->name + n, uid, u);
	o->uid = o->name + n;
	o->kind = (uint8_t)kind;
	at = hash_of(c, ns, name) & (t->cap - 1);
	o->hash_next = t->b[at];
	t->b[at] = o;
	t->n++;
	return o;
}

void obj_queue(struct cluster *c, struct obj *o)
{
	struct queue *q = &c->queue[o->kind];
	const struct kind_ops *ops = kind_ops((enum cluster_kind)o->kind);

	if (o->queued || ops == &owner_ops || ops == &slice_ops)
		return; /* what is told of those is told of pods and services */
	o->queued = true;
	o->queue_next = NULL;
	*q->tail = o;
	q->tail = &o->queue_next;
}

/* Out of the table already. */
void obj_free(struct cluster *c, struct obj *o)
{
	fault_orphan(c, o);
	pod_release(c, o);
	if (o->body)
		kind_ops((enum cluster_kind)o->kind)->free(c, o->body);
	pool_put(&c->pool, o->ns);
	free(o);
}

/* No more in the API: out of the table; kept until the receiver knows. */
static void obj_retire(struct cluster *c, struct obj *o)
{
	const struct kind_ops *ops = kind_ops((enum cluster_kind)o->kind);
	void *body = o->body;

	*place_of(c, o) = o->hash_next;
	c->objs[o->kind].n--;
	fault_orphan(c, o);
	if (body) {
		ops->unlink(c, o);
		o->body = NULL;
		ops->free(c, body);
	}
	o->gone = true;
	if (o->handed)
		obj_queue(c, o);
	else if (!o->queued)
		obj_free(c, o);
}

/* ---- what is gone ------------------------------------------------------------------------ */

static size_t tomb_key(char *out, size_t size, enum cluster_kind kind, const char *ns, const char *name)
{
	int n = snprintf(out, size, "%d %s/%s", (int)kind, ns ? ns : "", name);

	return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

static void tomb_free(void *p)
{
	struct tomb *t = p;

	if (t)
		free(t->uid);
	free(t);
}

/* Without memory a late update is not known as such: the next list puts that right. */
static void tomb_add(struct cluster *c, enum cluster_kind kind, const char *ns, const char *name, const char *uid,
		     uint64_t rv)
{
	char key[640], *copy = strdup(uid);
	size_t n = tomb_key(key, sizeof(key), kind, ns, name);
	struct tomb *t = n ? htab_get(c->tombs.by_name, key, n) : NULL, *old;

	if (!copy || !n)
		goto drop;
	if (t) {
		free(t->uid);
		t->uid = copy;
		t->rv = rv > t->rv ? rv : t->rv;
		return;
	}
	t = malloc(sizeof(*t) + n);
	if (!t)
		goto drop;
	*t = (struct tomb){ .rv = rv, .uid = copy, .key_len = n };
	memcpy(t->key, key, n);
	if (htab_set(c->tombs.by_name, key, n, t, NULL) < 0) {
		free(t);
		goto drop;
	}
	old = c->tombs.ring[c->tombs.at];
	if (old)
		tomb_free(htab_del(c->tombs.by_name, old->key, old->key_len));
	c->tombs.ring[c->tombs.at] = t;
	c->tombs.at = (c->tombs.at + 1) % CLUSTER_TOMBS_MAX;
	return;
drop:
	free(copy);
}

/* A list names it: it is there again, or the server was restored and counts from before. */
static void tomb_void(struct cluster *c, enum cluster_kind kind, const struct meta *m)
{
	char key[640];
	size_t n = tomb_key(key, sizeof(key), kind, m->ns, m->name);
	struct tomb *t = n ? htab_get(c->tombs.by_name, key, n) : NULL;

	if (t) {
		t->rv = 0;
		t->uid[0] = '\0';
	}
}

/* Is this a late word about what is gone, or about what another object has taken the name of? */
static bool is_stale(const struct cluster *c, const struct obj *o, enum cluster_kind kind, const struct meta *m,
		     const char *uid)
{
	char key[640];
	size_t n = tomb_key(key, sizeof(key), kind, m->ns, m->name);
	const struct tomb *t = n ? htab_get(c->tombs.by_name, key, n) : NULL;

	if (t && ((m->rv && m->rv <= t->rv) || (*uid && strcmp(uid, t->uid) == 0)))
		return true;
	if (!o)
		return false;
	if (m->rv && o->rv)
		return m->rv <= o->rv;
	return strcmp(uid, o->uid) != 0 && m->created_ns < o->created_ns;
}

/* ---- in and out -------------------------------------------------------------------------- */

static int finish(struct rd *r, struct fail_list *f, int err)
{
	for (size_t i = 0; f && i < r->f.n; i++)
		fail_add(f, -EINVAL, r->f.items[i].name, r->f.items[i].at, r->f.items[i].expected, r->f.items[i].next, "%s",
			 r->f.items[i].message);
	fail_list_done(&r->f);
	return err;
}

/* The object by its uid: the one that is there, or a new one in the place of one that is not any more. */
static struct obj *obj_for(struct cluster *c, struct obj *o, enum cluster_kind kind, const struct meta *m,
			   const char *uid)
{
	struct obj *made;

	if (o && strcmp(o->uid, uid) == 0)
		return o;
	made = obj_new(c, kind, m->ns, m->name, uid);
	if (made && o)
		obj_retire(c, o);
	return made;
}

/* All that a refused object may change: its name and uid are known. */
static int refuse(struct rd *r, struct obj *o, enum cluster_kind kind, const struct meta *m, struct fail_list *f)
{
	struct cluster *c = r->c;
	struct fail_list copy = {};

	o = obj_for(c, o, kind, m, m->uid ? m->uid : "");
	if (!o)
		return finish(r, f, -ENOMEM);
	o->mark = c->epoch[kind];
	o->rv = m->rv;
	if (!o->body)
		o->created_ns = m->created_ns; /* what stands keeps its place among those that claim its addresses */
	for (size_t i = 0; i < r->f.n; i++)
		fail_add(&copy, -EINVAL, r->f.items[i].name, r->f.items[i].at, r->f.items[i].expected,
			 r->f.items[i].next, "%s", r->f.items[i].message);
	fault_set(c, o, &copy, true);
	return finish(r, f, -EINVAL);
}

static void take(struct cluster *c, struct obj *o, void *body, const struct meta *m)
{
	const struct kind_ops *ops = kind_ops((enum cluster_kind)o->kind);
	void *old = o->body;

	if (old)
		ops->unlink(c, o);
	o->body = body;
	o->rv = m->rv;
	o->created_ns = m->created_ns;
	o->mark = c->epoch[o->kind];
	ops->link(c, o);
	if (old)
		ops->free(c, old);
	obj_queue(c, o);
}

int cluster_put(struct cluster *c, enum cluster_kind kind, const cJSON *obj, struct fail_list *f)
{
	struct rd r = { .c = c };
	struct fail_list remarks;
	const struct kind_ops *ops;
	const char *uid;
	struct meta m;
	struct obj *o;
	void *body;

	if (kind >= CLUSTER_KIND_COUNT)
		return -EINVAL;
	ops = kind_ops(kind);
	if (!meta_read(&r, kind, obj, &m))
		return finish(&r, f, -EINVAL);
	uid = m.uid ? m.uid : "";
	o = obj_find(c, kind, m.ns, m.name);
	if (!c->listing[kind] && is_stale(c, o, kind, &m, uid)) {
		c->stale += !(o && strcmp(uid, o->uid) == 0 && m.rv == o->rv); /* the same again is not late */
		return finish(&r, NULL, 0);
	}
	if (c->listing[kind])
		tomb_void(c, kind, &m);
	body = r.d.faults ? NULL : ops->read(&r, &m, obj);
	if (r.nomem) {
		if (body)
			ops->free(c, body);
		return finish(&r, f, -ENOMEM);
	}
	if (!body)
		return refuse(&r, o, kind, &m, f);
	o = obj_for(c, o, kind, &m, uid);
	if (!o) {
		ops->free(c, body);
		return finish(&r, f, -ENOMEM);
	}
	take(c, o, body, &m);
	remarks = r.f;
	r.f = (struct fail_list){};
	for (size_t i = 0; f && i < remarks.n; i++)
		fail_add(f, -EINVAL, remarks.items[i].name, remarks.items[i].at, remarks.items[i].expected,
			 remarks.items[i].next, "%s", remarks.items[i].message);
	fault_set(c, o, &remarks, false);
	return 0;
}

int cluster_del(struct cluster *c, enum cluster_kind kind, const cJSON *obj)
{
	struct rd r = { .c = c };
	struct meta m;
	struct obj *o;
	bool ours;

	if (kind >= CLUSTER_KIND_COUNT || !meta_read(&r, kind, obj, &m))
		return finish(&r, NULL, -EINVAL);
	o = obj_find(c, kind, m.ns, m.name);
	ours = o && ((m.uid && strcmp(m.uid, o->uid) == 0) || (m.rv && o->rv ? m.rv > o->rv : !m.uid));
	tomb_add(c, kind, m.ns, m.name, m.uid ? m.uid : o ? o->uid : "", m.rv ? m.rv : ours ? o->rv : 0);
	if (ours)
		obj_retire(c, o);
	return finish(&r, NULL, 0);
}

int cluster_skip(struct cluster *c, enum cluster_kind kind, const char *ns, const char *name, const char *why)
{
	struct rd r = { .c = c };
	struct meta m = { .ns = ns && *ns ? ns : NULL, .name = name };
	struct obj *o;

	if (kind >= CLUSTER_KIND_COUNT || !name || !is_dns_name(name) || (m.ns != NULL) != cluster_kind_namespaced(kind) ||
	    (m.ns && !is_dns_label(m.ns)))
		return -EINVAL;
	o = obj_find(c, kind, m.ns, name);
	m.uid = o ? o->uid : "";
	m.rv = o ? o->rv : 0;
	m.created_ns = o ? o->created_ns : 0;
	r.d = (struct doc){ .file = r.what, .prefix = "kube", .f = &r.f };
	snprintf(r.what, sizeof(r.what), "%s %s%s%s", cluster_kind_str(kind), m.ns ? m.ns : "", m.ns ? "/" : "", name);
	rd_fault(&r, NULL, "unreadable", "an object that the limits allow", "%s", why ? why : "the object could not be read");
	return refuse(&r, o, kind, &m, NULL) == -ENOMEM ? -ENOMEM : 0;
}

void cluster_begin(struct cluster *c, enum cluster_kind kind)
{
	if (kind >= CLUSTER_KIND_COUNT)
		return;
	c->epoch[kind]++;
	c->listing[kind] = true;
}

int cluster_end(struct cluster *c, enum cluster_kind kind)
{
	struct table *t;

	if (kind >= CLUSTER_KIND_COUNT || !c->listing[kind])
		return -EINVAL;
	c->listing[kind] = false;
	t = &c->objs[kind];
	for (size_t i = 0; i < t->cap; i++) {
		for (struct obj *o = t->b[i], *next; o; o = next) {
			next = o->hash_next;
			if (o->mark == c->epoch[kind])
				continue;
			tomb_add(c, kind, o->ns, o->name, o->uid, o->rv);
			obj_retire(c, o);
		}
	}
	return 0;
}

/* ---- the whole --------------------------------------------------------------------------- */

struct cluster *cluster_new(uint64_t seed)
{
	struct cluster *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	for (int k = 0; k < CLUSTER_KIND_COUNT; k++)
		c->queue[k].tail = &c->queue[k].head;
	buf_init(&c->scratch, DIGEST_BYTES_MAX);
	c->owners = htab_new();
	c->groups = htab_new();
	c->tombs.by_name = htab_new();
	c->tombs.ring = calloc(CLUSTER_TOMBS_MAX, sizeof(struct tomb *));
	if (!c->owners || !c->groups || !c->tombs.by_name || !c->tombs.ring) {
		cluster_free(c);
		return NULL;
	}
	c->seed = seed;
	c->pool.seed = ~seed;
	return c;
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	for (int k = 0; k < CLUSTER_KIND_COUNT; k++) {
		struct table *t = &c->objs[k];

		for (size_t i = 0; i < t->cap; i++)
			while (t->b[i])
				obj_retire(c, t->b[i]);
		free(t->b);
	}
	for (int k = 0; k < CLUSTER_KIND_COUNT; k++) {
		for (struct obj *o = c->queue[k].head, *next; o; o = next) {
			next = o->queue_next;
			obj_free(c, o);
		}
	}
	faults_done(c);
	htab_free(c->owners, NULL);
	htab_free(c->groups, NULL);
	htab_free(c->tombs.by_name, tomb_free);
	free(c->tombs.ring);
	free(c->slots.b);
	pool_done(&c->pool);
	buf_done(&c->scratch);
	free(c);
}

void digest_bytes(struct cluster *c, const void *p, size_t n)
{
	(void)buf_add(&c->scratch, &n, sizeof(n)); /* an error sticks until digest_done */
	(void)buf_add(&c->scratch, p, n);
}

void digest_text(struct cluster *c, const char *s)
{
	digest_bytes(c, s ? s : "", s ? strlen(s) + 1 : 0);
}

void digest_labels(struct cluster *c, const struct kv *v, size_t n)
{
	digest_bytes(c, &n, sizeof(n));
	for (size_t i = 0; i < n; i++) {
		digest_text(c, v[i].key);
		digest_text(c, v[i].value);
	}
}

int digest_done(struct cluster *c, uint64_t *ret)
{
	uint64_t h = hash_bytes(c->seed, c->scratch.data, c->scratch.len);
	int err = c->scratch.err;

	c->scratch.len = 0;
	c->scratch.err = 0;
	if (!err)
		*ret = h ? h : 1;
	return err;
}
