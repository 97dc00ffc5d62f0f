/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube_inventory.c - pods, namespaces, nodes and services of the cluster as the controller's
 * inventory. Each call takes time by the thing alone, not by how many there are.
 */
#define LOG_UNIT "kubernetes"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/inventory.h"
#include "controller/kube_hook.h"
#include "controller/kube_priv.h"
#include "controller/services.h"

/* ---- names that were declared by hand ------------------------------------------------------------ */

void kube_clash_free(void *p)
{
	struct clash *x = p;

	if (x->workload)
		workload_done(x->workload);
	if (x->service)
		service_done(x->service);
	if (x->ns)
		namespace_done(x->ns);
	free(x->workload);
	free(x->service);
	free(x->ns);
	free(x);
}

static int clash_key(char out[512], const char *what, const char *ns, const char *name)
{
	int n = snprintf(out, 512, "%s %s/%s", what, ns, name);

	return n < 512 ? n : 511;
}

static void clash_gone(struct kube *k, const char *what, const char *ns, const char *name)
{
	char key[512];
	struct clash *x = htab_del(k->clashes, key, (size_t)clash_key(key, what, ns, name));

	if (x)
		kube_clash_free(x);
}

static int clash_add(struct kube *k, const char *what, const char *ns, const char *name, struct clash *x)
{
	char key[512];
	int n = clash_key(key, what, ns, name);
	void *old = NULL;

	if (htab_set(k->clashes, key, (size_t)n, x, &old)) {
		kube_clash_free(x);
		return -ENOMEM;
	}
	if (old)
		kube_clash_free(old);
	else
		controller_note(k->c, "kubernetes.clash", NULL, NULL,
				"the %s %s/%s of the cluster is left out: one of this name is declared by hand", what, ns, name);
	return 0;
}

static bool by_hand(const struct declared *d)
{
	return d && d->source != INVENTORY_KUBE;
}

void kube_released(struct kube *k, const char *what, const char *ns, const char *name)
{
	char key[512];
	struct clash *x = k ? htab_del(k->clashes, key, (size_t)clash_key(key, what, ns, name)) : NULL;
	int e;

	if (!x)
		return;
	e = x->workload ? inventory_put(k->c, x->workload, NULL, INVENTORY_KUBE) :
	    x->service ? service_put(k->c, x->service, INVENTORY_KUBE) : namespace_put(k->c, x->ns, INVENTORY_KUBE);
	if (e)
		log_warn(e, "a %s of the cluster is missing until it changes; name='%s/%s'", what, ns, name);
	kube_clash_free(x);
}

/* ---- workloads ----------------------------------------------------------------------------------- */

int kube_workload_put(void *arg, const struct workload *w)
{
	struct kube *k = arg;
	struct clash *x;

	if (!by_hand(controller_declared(k->c, w->ns, w->name)))
		return inventory_put(k->c, w, NULL, INVENTORY_KUBE);
	x = calloc(1, sizeof(*x));
	if (x)
		x->workload = calloc(1, sizeof(*x->workload));
	if (!x || !x->workload || workload_copy(w, x->workload)) {
		if (x)
			kube_clash_free(x);
		return -ENOMEM;
	}
	return clash_add(k, "workload", w->ns, w->name, x);
}

int kube_workload_del(void *arg, const char *ns, const char *name, const char *uid)
{
	struct kube *k = arg;
	int e;

	(void)uid; /* told in order: the one of this name that is known */
	if (by_hand(controller_declared(k->c, ns, name))) {
		clash_gone(k, "workload", ns, name);
		return 0;
	}
	e = inventory_remove(k->c, ns, name);
	return e == -ENOENT ? 0 : e;
}

/* ---- services ------------------------------------------------------------------------------------- */

int kube_service_put(void *arg, const struct service *s)
{
	struct kube *k = arg;
	struct clash *x;

	k->cidrs_stale = true;
	if (!by_hand(service_declared(k->c, s->ns, s->name)))
		return service_put(k->c, s, INVENTORY_KUBE);
	x = calloc(1, sizeof(*x));
	if (x)
		x->service = calloc(1, sizeof(*x->service));
	if (!x || !x->service || service_copy(s, x->service)) {
		if (x)
			kube_clash_free(x);
		return -ENOMEM;
	}
	return clash_add(k, "service", s->ns, s->name, x);
}

int kube_service_del(void *arg, const char *ns, const char *name)
{
	struct kube *k = arg;
	int e;

	if (by_hand(service_declared(k->c, ns, name))) {
		clash_gone(k, "service", ns, name);
		return 0;
	}
	e = service_remove(k->c, ns, name);
	return e == -ENOENT ? 0 : e;
}

/* ---- namespaces, and their label as a mode ----------------------------------------------------------- */

static int label_content(struct kobj *o, enum cw_mode mode)
{
	struct mode_setting *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->name = text_fmt(MODE_LABEL_NAME "%s", o->name);
	m->ns = strdup(o->name);
	m->scope = MODE_NAMESPACE;
	m->mode = mode;
	kube_obj_clear(o);
	o->mode = m;
	o->hash = m->name && m->ns ? kube_hash_mode(m) : 0;
	return o->hash ? 0 : -ENOMEM;
}

static int label_put(struct kube *k, const struct cluster_meta *meta, const struct namespace *n, bool has_mode,
		     enum cw_mode mode)
{
	bool label = labels_get(&n->labels, "cellwall.io/mode") != NULL;
	struct kobj *o = label ? kube_obj_make(k, CLUSTER_NAMESPACE, NULL, n->name) :
				 kube_obj(k, CLUSTER_NAMESPACE, NULL, n->name);
	int e;

	if (!o)
		return label ? -ENOMEM : 0;
	e = kube_text_set(&o->uid, meta->uid);
	e = e ?: kube_text_set(&o->manager, meta->manager);
	o->confirm_ms = meta->confirm_ms;
	o->meta_generation = meta->generation;
	o->present = label;
	o->invalid = label && !has_mode; /* what it said before stays */
	if (label)
		o->deleted = false;
	else if (o->hash)
		o->deleted = k->c->window.generation != 0;
	if (!label)
		kube_obj_clear(o);
	else if (has_mode && !e && (!o->mode || o->mode->mode != mode))
		e = label_content(o, mode);
	if (o->held && o->held != o->hash && !o->invalid) { /* said anew */
		o->held = 0;
		o->held_why = NULL;
		kube_row(k, o);
	}
	kube_todo(k, o);
	return e;
}

int kube_namespace_put(void *arg, const struct cluster_meta *meta, const struct namespace *n, bool has_mode,
		       enum cw_mode mode)
{
	struct kube *k = arg;
	struct clash *x;
	int e = label_put(k, meta, n, has_mode, mode);

	if (e || !by_hand(controller_declared(k->c, n->name, "")))
		return e ?: namespace_put(k->c, n, INVENTORY_KUBE);
	x = calloc(1, sizeof(*x));
	if (x)
		x->ns = calloc(1, sizeof(*x->ns));
	if (!x || !x->ns || namespace_copy(n, x->ns)) {
		if (x)
			kube_clash_free(x);
		return -ENOMEM;
	}
	return clash_add(k, "namespace", n->name, "", x);
}

int kube_namespace_del(void *arg, const char *name)
{
	struct kube *k = arg;
	struct kobj *o = kube_obj(k, CLUSTER_NAMESPACE, NULL, name);
	int e;

	if (o) {
		kube_obj_clear(o);
		o->present = o->invalid = false;
		kube_todo(k, o);
	}
	if (by_hand(controller_declared(k->c, name, ""))) {
		clash_gone(k, "namespace", name, "");
		return 0;
	}
	e = namespace_remove(k->c, name);
	return e == -ENOENT ? 0 : e;
}

/* ---- nodes ---------------------------------------------------------------------------------------- */

int kube_node_put(void *arg, const struct node_info *n, const struct prefix *pod_cidrs, size_t npod_cidrs)
{
	struct kube *k = arg;

	(void)pod_cidrs;
	(void)npod_cidrs;
	k->cidrs_stale = true;
	return nodes_known(k->c, n);
}

int kube_node_del(void *arg, const char *name)
{
	struct kube *k = arg;

	k->cidrs_stale = true;
	return nodes_unknown(k->c, name);
}

int kube_cidrs(struct kube *k)
{
	struct policy_state *st = &k->c->state;
	struct prefix *v = NULL;
	size_t n = 0;
	int e;

	if (!k->cfg.own_cidrs || !k->cidrs_stale)
		return 0;
	e = cluster_cidrs(k->cluster, &v, &n);
	if (e)
		return e;
	k->cidrs_stale = false;
	if (n == st->ncluster_cidrs && (!n || !memcmp(v, st->cluster_cidrs, n * sizeof(*v)))) {
		free(v);
		return 0;
	}
	free(st->cluster_cidrs);
	st->cluster_cidrs = v;
	st->ncluster_cidrs = n;
	controller_dirty(k->c);
	return 0;
}
