/* SPDX-License-Identifier: Apache-2.0 */
/* kube_objects.c - the API objects that carry policy: what each says there, what is remembered of it. */
#define LOG_UNIT "kubernetes"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/kpolicies.h"
#include "controller/kube_priv.h"

bool kube_is_document(enum cluster_kind kind)
{
	return kind == CLUSTER_NAMESPACE || kind >= CLUSTER_NETWORK_POLICY;
}

static size_t key_of(char out[640], enum cluster_kind kind, const char *ns, const char *name)
{
	int n = snprintf(out, 640, "%d/%s/%s", kind, ns ? ns : "", name);

	return n < 0 ? 0 : n < 640 ? (size_t)n : 639;
}

struct kobj *kube_obj(struct kube *k, enum cluster_kind kind, const char *ns, const char *name)
{
	char key[640];
	size_t n = key_of(key, kind, ns, name);

	return htab_get(k->objs, key, n);
}

struct kobj *kube_obj_make(struct kube *k, enum cluster_kind kind, const char *ns, const char *name)
{
	struct kobj *o = kube_obj(k, kind, ns, name);
	char key[640];

	if (o)
		return o;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->kind = kind;
	o->ns = str_set(ns) ? strdup(ns) : NULL;
	o->name = strdup(name);
	if (!o->name || (str_set(ns) && !o->ns) ||
	    htab_set(k->objs, key, key_of(key, kind, ns, name), o, NULL)) {
		kube_obj_free(o);
		return NULL;
	}
	return o;
}

void kube_obj_clear(struct kobj *o)
{
	if (o->rule)
		rule_done(o->rule);
	if (o->mode)
		mode_setting_done(o->mode);
	if (o->quarantine)
		quarantine_done(o->quarantine);
	if (o->policy)
		kpolicy_done(o->policy);
	free(o->rule);
	free(o->mode);
	free(o->quarantine);
	free(o->policy);
	o->rule = NULL;
	o->mode = NULL;
	o->quarantine = NULL;
	o->policy = NULL;
	o->hash = 0;
}

void kube_obj_free(void *p)
{
	struct kobj *o = p;

	kube_obj_clear(o);
	free(o->ns);
	free(o->name);
	free(o->uid);
	free(o->version);
	free(o->manager);
	free(o->fault);
	free(o->fault_name);
	free(o->refused);
	free(o->refused_name);
	free(o->write_error);
	free(o->plan);
	free(o);
}

void kube_obj_drop(struct kube *k, struct kobj *o)
{
	char key[640];

	if (htab_del(k->objs, key, key_of(key, o->kind, o->ns, o->name)))
		kube_obj_free(o);
}

void kube_todo(struct kube *k, struct kobj *o)
{
	if (o->todo)
		return;
	if (vec_push(&k->todo, o)) {
		log_warn(-ENOMEM, "an object waits for the next change of it; name='%s'", o->name);
		return;
	}
	o->todo = true;
	kube_wake(k);
}

int kube_text_set(char **to, const char *s)
{
	char *copy = NULL;

	if (s && *s) {
		copy = strndup(s, KUBE_TEXT_MAX);
		if (!copy)
			return -ENOMEM;
	}
	free(*to);
	*to = copy;
	return 0;
}

const char *kube_obj_ref(const struct kobj *o, char out[700])
{
	if (o->kind == CLUSTER_NAMESPACE)
		snprintf(out, 700, "Namespace %s", o->name);
	else
		snprintf(out, 700, "%s %s%s%s", cluster_kind_str(o->kind), o->ns ? o->ns : "", o->ns ? "/" : "", o->name);
	return out;
}

/* ---- what the cluster room hands over -------------------------------------------------------------- */

#define KEEP(field, type, from) ({						\
	int e_ = -ENOMEM;							\
	o->field = calloc(1, sizeof(*o->field));				\
	if (o->field)								\
		e_ = type##_copy((from), o->field);				\
	if (o->field && e_) {							\
		free(o->field);							\
		o->field = NULL;						\
	}									\
	e_; })

/* A version we have seen the answer of is newer than what a watch still has to tell. */
bool kube_is_newer(const struct kobj *o, const char *version)
{
	size_t a = o->version ? strlen(o->version) : 0, b = version ? strlen(version) : 0;

	if (!a || !b || strspn(o->version, "0123456789") != a || strspn(version, "0123456789") != b)
		return false;
	return a != b ? b < a : strcmp(version, o->version) < 0;
}

static int take_meta(struct kobj *o, const struct cluster_meta *meta)
{
	int e = kube_text_set(&o->uid, meta->uid);

	e = e ?: kube_text_set(&o->version, meta->resource_version);
	/* Not who wrote a status, of which older servers tell no more than the manager. */
	if (!str_set(meta->manager) || strcmp(meta->manager, "cellwall-status"))
		e = e ?: kube_text_set(&o->manager, meta->manager);
	o->meta_generation = meta->generation;
	o->confirm_ms = meta->confirm_ms;
	o->present = true;
	o->deleted = false;
	return e;
}

static int on_document(void *arg, const struct cluster_meta *meta, const struct rule *r,
		       const struct mode_setting *m, const struct quarantine *q, const struct kpolicy *p)
{
	struct kube *k = arg;
	struct kobj *o = kube_obj_make(k, meta->kind, meta->ns, meta->name);
	bool same_one;
	int e;

	if (!o)
		return -ENOMEM;
	same_one = !o->uid || str_eq(o->uid, meta->uid);
	if (same_one && kube_is_newer(o, meta->resource_version))
		return 0;
	e = take_meta(o, meta);
	kube_obj_clear(o);
	if (!e && r)
		e = KEEP(rule, rule, r);
	else if (!e && m)
		e = KEEP(mode, mode_setting, m);
	else if (!e && q)
		e = KEEP(quarantine, quarantine, q);
	else if (!e && p)
		e = KEEP(policy, kpolicy, p);
	if (e) {
		kube_obj_clear(o);
		return e;
	}
	o->hash = o->rule ? kube_hash_rule(o->rule) : o->mode ? kube_hash_mode(o->mode) :
		  o->quarantine ? kube_hash_quarantine(o->quarantine) : o->policy ? kube_hash_policy(o->policy) : 0;
	o->invalid = false;
	if (o->held != o->hash) {
		o->held = 0;
		o->held_why = NULL;
	}
	o->refused_ns = 0;
	o->changed = ++k->change_seq;
	o->status_due = true;
	k->status_all = true;
	kube_todo(k, o);
	return o->hash ? 0 : -ENOMEM;
}

static int on_document_gone(void *arg, const struct cluster_meta *meta)
{
	struct kube *k = arg;
	struct kobj *o = kube_obj(k, meta->kind, meta->ns, meta->name);

	if (!o || (o->uid && str_set(meta->uid) && !str_eq(o->uid, meta->uid)))
		return 0;
	kube_obj_clear(o);
	o->present = o->invalid = false;
	o->deleted = k->c->window.generation != 0;
	kube_text_set(&o->fault, NULL);
	kube_todo(k, o);
	return 0;
}

static int on_fault(void *arg, const struct cluster_meta *meta, const struct fail_list *f, bool refused)
{
	struct kube *k = arg;
	struct kobj *o;
	char at[700];
	bool make;

	if (!kube_is_document(meta->kind)) {
		if (f->n && k->ready)
			controller_note(k->c, "kubernetes.object", NULL, NULL, "%s %s%s%s: %s", cluster_kind_str(meta->kind),
					meta->ns ? meta->ns : "", meta->ns ? "/" : "", meta->name, f->items[0].message);
		return 0;
	}
	/* A namespace is one of these by its label, which namespace_put() has looked at. */
	make = f->n && meta->kind != CLUSTER_NAMESPACE;
	o = make ? kube_obj_make(k, meta->kind, meta->ns, meta->name) : kube_obj(k, meta->kind, meta->ns, meta->name);
	if (!o)
		return make ? -ENOMEM : 0;
	if (meta->kind != CLUSTER_NAMESPACE) {
		o->invalid = f->n && refused;
		o->present = o->present || f->n;
	}
	if (kube_text_set(&o->fault, f->n ? f->items[0].message : NULL) ||
	    kube_text_set(&o->fault_name, f->n ? f->items[0].name : NULL))
		return -ENOMEM;
	if (f->n && f->items[0].at) { /* the field tells more than the sentence */
		auto_free char *whole = text_fmt("%.500s: %.500s", f->items[0].at, f->items[0].message);

		if (!whole || kube_text_set(&o->fault, whole))
			return -ENOMEM;
	}
	if (f->n && meta->generation)
		o->meta_generation = meta->generation;
	o->changed = ++k->change_seq;
	o->status_due = true;
	k->status_all = true;
	kube_todo(k, o);
	if (f->n)
		controller_note(k->c, "kubernetes.refused", NULL, meta->manager, "%s: %s%s", kube_obj_ref(o, at), o->fault,
				o->hash && refused ? "; its former version stays in force" : "");
	return 0;
}

const struct cluster_ops kube_document_ops = {
	.workload_put = kube_workload_put, .workload_del = kube_workload_del,
	.namespace_put = kube_namespace_put, .namespace_del = kube_namespace_del,
	.node_put = kube_node_put, .node_del = kube_node_del,
	.service_put = kube_service_put, .service_del = kube_service_del,
	.document_put = on_document, .document_del = on_document_gone, .fault = on_fault,
};

/* ---- the store --------------------------------------------------------------------------------- */

static int load_one(void *arg, const struct store_kube *s)
{
	struct kube *k = arg;
	struct kobj *o;

	if (s->kind < 0 || s->kind >= CLUSTER_KIND_COUNT || !kube_is_document(s->kind))
		return 0; /* of another version */
	o = kube_obj_make(k, s->kind, s->ns, s->name);
	if (!o || kube_text_set(&o->uid, s->uid))
		return -ENOMEM;
	o->base = s->base;
	o->held = s->held;
	o->held_why = s->held ? "Reverted" : NULL;
	o->window = s->window;
	o->ours = s->ours;
	o->row = true;
	return 0;
}

int kube_rows_load(struct kube *k)
{
	return store_kube_each(k->c->store, load_one, k);
}

static int save_one(struct kube *k, struct kobj *o)
{
	struct store_kube s = { .kind = o->kind, .ns = o->ns, .name = o->name, .uid = o->uid, .version = o->version,
				.base = o->base, .held = o->held, .window = o->window, .ours = o->ours };
	int e;

	if (!o->base && !o->held) {
		e = o->row ? store_kube_del(k->c->store, o->kind, o->ns, o->name) : 0;
		if (!e)
			o->row = false;
		return e;
	}
	e = store_kube_put(k->c->store, &s);
	if (!e)
		o->row = true;
	return e;
}

void kube_row(struct kube *k, struct kobj *o)
{
	if (o->row_due)
		return;
	if (vec_push(&k->rows, o)) {
		k->c->store_errors++; /* written with the next change of the object */
		return;
	}
	o->row_due = true;
}

bool kube_obj_idle(const struct kobj *o)
{
	return !o->row && !o->present && !o->todo && !o->row_due && !o->write && !o->sent && !o->deleted &&
	       !o->status_sent && !o->fault;
}

/* The marks stay until the whole is on the disk. */
int kube_rows_save(struct kube *k)
{
	int e;

	if (!k->rows.n)
		return 0;
	e = store_begin(k->c->store, true);
	if (!e) {
		for (size_t i = 0; i < k->rows.n && !e; i++)
			e = save_one(k, k->rows.v[i]);
		if (e)
			store_rollback(k->c->store);
		else
			e = store_commit(k->c->store);
	}
	if (e) {
		k->c->store_errors++;
		return log_warn(e, "what was agreed with the API server is written later");
	}
	for (size_t i = 0; i < k->rows.n; i++) {
		struct kobj *o = k->rows.v[i];

		o->row_due = false;
		if (kube_obj_idle(o))
			kube_obj_drop(k, o);
	}
	k->rows.n = 0;
	return 0;
}
