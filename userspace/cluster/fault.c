/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - what is wrong with which object, told once. */
#include <stdlib.h>
#include <string.h>

#include "cluster/priv.h"

static void fault_free(struct cluster *c, struct fault *t)
{
	if (t->next)
		t->next->prev = t->prev;
	if (t->prev)
		t->prev->next = t->next;
	else
		c->faults.head = t->next;
	c->faults.n--;
	c->faults.dirty -= t->dirty;
	if (t->obj)
		t->obj->fault = NULL;
	fail_list_done(&t->f);
	free(t->ns);
	free(t->name);
	free(t->uid);
	free(t);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_list(const struct fail_list *a, const struct fail_list *b)
{
	if (a->n != b->n || a->dropped != b->dropped)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_text(a->items[i].name, b->items[i].name) || !same_text(a->items[i].at, b->items[i].at) ||
		    !same_text(a->items[i].message, b->items[i].message))
			return false;
	return true;
}

static struct fault *fault_new(struct cluster *c, struct obj *o)
{
	struct fault *t;

	if (c->faults.n >= CLUSTER_FAULTS_MAX) {
		c->faults.left_out++;
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->kind = (enum cluster_kind)o->kind;
	t->name = strdup(o->name);
	t->uid = strdup(o->uid);
	t->ns = o->ns ? strdup(o->ns) : NULL;
	if (!t->name || !t->uid || (o->ns && !t->ns)) {
		free(t->name);
		free(t->uid);
		free(t->ns);
		free(t);
		return NULL;
	}
	t->obj = o;
	t->next = c->faults.head;
	if (t->next)
		t->next->prev = t;
	c->faults.head = t;
	c->faults.n++;
	o->fault = t;
	return t;
}

static void mark(struct cluster *c, struct fault *t)
{
	c->faults.dirty += !t->dirty;
	t->dirty = true;
}

static void clear(struct cluster *c, struct fault *t)
{
	if (!t->told) {
		fault_free(c, t);
		return;
	}
	fail_list_done(&t->f);
	t->refused = false;
	mark(c, t);
}

void fault_set(struct cluster *c, struct obj *o, struct fail_list *f, bool refused)
{
	struct fault *t = o->fault;

	if (!f->n) {
		if (t)
			clear(c, t);
	} else if (!t || t->refused != refused || !same_list(&t->f, f)) {
		t = t ? t : fault_new(c, o);
		if (t) {
			fail_list_done(&t->f);
			t->f = *f;
			*f = (struct fail_list){};
			t->refused = refused;
			mark(c, t);
		}
	}
	fail_list_done(f);
}

void fault_orphan(struct cluster *c, struct obj *o)
{
	struct fault *t = o->fault;

	if (!t)
		return;
	o->fault = NULL;
	t->obj = NULL;
	clear(c, t);
}

static struct cluster_meta meta_of(const struct fault *t)
{
	return (struct cluster_meta){ .kind = t->kind, .ns = t->ns, .name = t->name, .uid = t->uid,
				      .created_ns = t->obj ? t->obj->created_ns : 0 };
}

int fault_changes(struct cluster *c, const struct cluster_ops *ops, void *arg)
{
	int r = 0;

	for (struct fault *t = c->faults.head, *next; t && c->faults.dirty && !r; t = next) {
		const struct cluster_meta m = meta_of(t);

		next = t->next;
		if (!t->dirty)
			continue;
		r = ops->fault ? ops->fault(arg, &m, &t->f, t->refused) : 0;
		if (r)
			break;
		t->told = true;
		t->dirty = false;
		c->faults.dirty--;
		if (!t->f.n)
			fault_free(c, t);
	}
	return r;
}

int cluster_faults(const struct cluster *c,
		   int (*fn)(void *arg, const struct cluster_meta *meta, const struct fail_list *f, bool refused),
		   void *arg)
{
	int r = 0;

	for (const struct fault *t = c->faults.head; t && !r; t = t->next) {
		const struct cluster_meta m = meta_of(t);

		if (t->f.n)
			r = fn(arg, &m, &t->f, t->refused);
	}
	return r;
}

void faults_done(struct cluster *c)
{
	while (c->faults.head)
		fault_free(c, c->faults.head);
}
