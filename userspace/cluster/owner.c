/* SPDX-License-Identifier: Apache-2.0 */
/* owner.c - ReplicaSets, Jobs and what else owns pods; who is on top. */
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "cluster/priv.h"

#define HOPS_MAX 4u /* Pod -> ReplicaSet -> Deployment is two; a ring of forged references ends here */

struct owner *owner_get(struct rd *r, const char *uid)
{
	struct cluster *c = r->c;
	size_t n = strlen(uid);
	struct owner *o = htab_get(c->owners, uid, n);

	if (!o) {
		o = calloc(1, sizeof(*o));
		if (o)
			o->uid = strdup(uid);
		if (!o || !o->uid || htab_set(c->owners, uid, n, o, NULL) < 0) {
			if (o)
				free(o->uid);
			free(o);
			rd_nomem(r);
			return NULL;
		}
	}
	o->refs++;
	return o;
}

static void forget(struct cluster *c, struct owner *o)
{
	pool_put(&c->pool, o->ns);
	pool_put(&c->pool, o->kind);
	pool_put(&c->pool, o->name);
	pool_put(&c->pool, o->mode);
	pool_put(&c->pool, o->ref_kind);
	pool_put(&c->pool, o->ref_name);
	o->ns = o->kind = o->name = o->mode = o->ref_kind = o->ref_name = NULL;
}

static void leave_parent(struct owner *o)
{
	if (!o->parent)
		return;
	if (o->sib_next)
		o->sib_next->sib_prev = o->sib_prev;
	if (o->sib_prev)
		o->sib_prev->sib_next = o->sib_next;
	else
		o->parent->children = o->sib_next;
	o->parent = o->sib_next = o->sib_prev = NULL;
}

void owner_put(struct cluster *c, struct owner *o)
{
	while (o && !--o->refs) {
		struct owner *parent = o->parent;

		leave_parent(o);
		forget(c, o);
		(void)htab_del(c->owners, o->uid, strlen(o->uid));
		free(o->uid);
		free(o);
		o = parent; /* its reference goes, too */
	}
}

void owner_add_pod(struct owner *o, struct pod *p)
{
	p->own_prev = NULL;
	p->own_next = o->pods;
	if (o->pods)
		o->pods->own_prev = p;
	o->pods = p;
}

void owner_del_pod(struct owner *o, struct pod *p)
{
	if (p->own_next)
		p->own_next->own_prev = p->own_prev;
	if (p->own_prev)
		p->own_prev->own_next = p->own_next;
	else
		o->pods = p->own_next;
	p->own_next = p->own_prev = NULL;
}

static void queue_below(struct cluster *c, const struct owner *o, unsigned hops)
{
	for (struct pod *p = o->pods; p; p = p->own_next)
		obj_queue(c, p->obj);
	if (hops >= HOPS_MAX)
		return;
	for (const struct owner *i = o->children; i; i = i->sib_next)
		queue_below(c, i, hops + 1);
}

/* Of the same namespace, and what the reference says it is: anybody may write a uid. */
static bool is_it(const struct owner *o, const char *ns, const char *kind, const char *name)
{
	return o && o->kind && strcmp(o->ns, ns) == 0 && strcmp(o->kind, kind) == 0 && strcmp(o->name, name) == 0;
}

static const char *stricter(const char *a, const char *b)
{
	enum cw_mode ma, mb;

	if (!a || cw_mode_parse(a, &ma) < 0)
		return b;
	return b && cw_mode_parse(b, &mb) == 0 && mb > ma ? b : a;
}

void owner_resolve(const struct pod *p, const char **ret_kind, const char **ret_name, const char **ret_mode)
{
	const char *kind = p->ref_kind, *name = p->ref_name, *mode = p->mode;
	const struct owner *o = p->owner;

	for (unsigned hops = 0; kind && hops < HOPS_MAX && is_it(o, p->obj->ns, kind, name); hops++) {
		mode = stricter(mode, o->mode);
		if (!o->ref_kind)
			break;
		kind = o->ref_kind;
		name = o->ref_name;
		o = o->parent;
	}
	if (p->guess_name && !(p->owner && p->owner->kind)) {
		kind = "Deployment";
		name = p->guess_name;
	}
	*ret_kind = kind;
	*ret_name = name;
	*ret_mode = mode;
}

/* ---- owners as objects ------------------------------------------------------------------- */

struct owner_body {
	struct owner *self, *parent;
	const char *ns, *kind, *name, *mode, *ref_kind, *ref_name;
};

static void owner_free(struct cluster *c, void *body)
{
	struct owner_body *b = body;

	pool_put(&c->pool, b->ns);
	pool_put(&c->pool, b->kind);
	pool_put(&c->pool, b->name);
	pool_put(&c->pool, b->mode);
	pool_put(&c->pool, b->ref_kind);
	pool_put(&c->pool, b->ref_name);
	if (b->parent)
		owner_put(c, b->parent);
	if (b->self)
		owner_put(c, b->self);
	free(b);
}

static void *owner_read(struct rd *r, const struct meta *m, const cJSON *obj)
{
	struct owner_body *b;
	struct owner_ref ref;
	bool owned;

	(void)obj;
	owned = meta_controller(r, m, &ref);
	if (!m->uid) {
		rd_fault(r, NULL, "missing-field", "metadata.uid: ...", "the field \"uid\" is missing");
		return NULL;
	}
	if (r->d.faults)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b) {
		rd_nomem(r);
		return NULL;
	}
	b->self = owner_get(r, m->uid);
	b->parent = owned && ref.uid && b->self ? owner_get(r, ref.uid) : NULL;
	b->ns = rd_pool(r, m->ns);
	b->kind = rd_pool(r, r->kind);
	b->name = rd_pool(r, m->name);
	b->ref_kind = rd_pool(r, owned ? ref.kind : NULL);
	b->ref_name = rd_pool(r, owned ? ref.name : NULL);
	b->mode = rd_pool(r, rd_mode(r, m->o));
	return b;
}

#define CHAIN_MAX 16u /* so that no ring can close */

static bool may_own(const struct owner *parent, const struct owner *o)
{
	unsigned n = 0;

	for (const struct owner *i = parent; i; i = i->parent)
		if (i == o || ++n > CHAIN_MAX)
			return false;
	return true;
}

static void join_parent(struct cluster *c, struct owner *o, struct owner *parent)
{
	struct owner *old = o->parent;

	if (parent && !may_own(parent, o))
		parent = NULL;
	if (old == parent)
		return;
	leave_parent(o);
	if (parent) {
		o->parent = parent;
		parent->refs++;
		o->sib_next = parent->children;
		if (o->sib_next)
			o->sib_next->sib_prev = o;
		parent->children = o;
	}
	if (old)
		owner_put(c, old);
}

/* The texts move into the owner, where they stay until nothing refers to it. */
static void owner_link(struct cluster *c, struct obj *obj)
{
	struct owner_body *b = obj->body;
	struct owner *o = b->self, *parent = o->parent;

	join_parent(c, o, b->parent);
	/* Pooled texts are the same when their pointers are. A status that changed concerns nobody. */
	if (o->kind && o->parent == parent && o->ns == b->ns && o->kind == b->kind && o->name == b->name &&
	    o->mode == b->mode && o->ref_kind == b->ref_kind && o->ref_name == b->ref_name)
		return;
	forget(c, o);
	o->ns = b->ns;
	o->kind = b->kind;
	o->name = b->name;
	o->mode = b->mode;
	o->ref_kind = b->ref_kind;
	o->ref_name = b->ref_name;
	b->ns = b->kind = b->name = b->mode = b->ref_kind = b->ref_name = NULL;
	queue_below(c, o, 0);
}

static void owner_unlink(struct cluster *c, struct obj *obj)
{
	(void)c;
	(void)obj; /* remembered while it owns: the body's reference goes when the body does */
}

const struct kind_ops owner_ops = {
	.read = owner_read, .free = owner_free, .link = owner_link, .unlink = owner_unlink,
};
