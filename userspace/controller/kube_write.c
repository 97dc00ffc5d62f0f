/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube_write.c - what was changed here goes to the API server, until it is there. The change is in
 * force already; a write that fails changes nothing here and is tried again.
 */
#define LOG_UNIT "kubernetes"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/kpolicies.h"
#include "controller/kube_priv.h"

/* One on its way. */
struct sending {
	struct kube *k;
	struct kobj *o;		/* stays while o->sent */
	uint64_t hash;		/* of what is sent; 0: it is deleted */
	char *uid;		/* of what it is sent for; NULL none */
	cJSON *doc;		/* that */
	bool replaced;		/* the second step is on its way */
};

static void sending_free(struct sending *s)
{
	cJSON_Delete(s->doc);
	free(s->uid);
	free(s);
}

static uint32_t wait_ms(const struct kobj *o, int err)
{
	uint32_t ms = KUBE_RETRY_MS;

	for (unsigned i = 1; i < o->tries && ms < KUBE_RETRY_MAX_MS; i++)
		ms *= 2;
	/* What the server refuses it will refuse again, unless somebody mends it there. */
	if ((err == -EINVAL || err == -EACCES || err == -ENOENT) && ms < KUBE_REFUSED_MS)
		ms = KUBE_REFUSED_MS;
	return ms < KUBE_RETRY_MAX_MS ? ms : KUBE_RETRY_MAX_MS;
}

static void failed(struct kube *k, struct kobj *o, int err, const char *text)
{
	bool again = str_eq(o->write_error, text);
	char ref[700];

	o->tries += o->tries < 100;
	o->write_ns = controller_now(k->c) + (int64_t)wait_ms(o, err) * 1000000;
	if (kube_text_set(&o->write_error, str_set(text) ? text : strerror(-err)))
		log_warn(-ENOMEM, "the reason of a failed write is not kept; name='%s'", o->name);
	if (!again)
		controller_note(k->c, "kubernetes.not-written", NULL, NULL, "%s: %s; it is in force here", kube_obj_ref(o, ref),
				o->write_error ? o->write_error : "no memory");
}

/* The answer tells what is there now; the watch will tell it again. */
static int take_content(struct kube *k, struct kobj *o, uint64_t hash)
{
	const struct policy_state *st = &k->c->state;
	size_t at = kube_index_find(st, NULL, o);
	int e = -ENOMEM;

	/* Changed here meanwhile: the content sent is known by its hash alone. */
	if (at == SIZE_MAX || kube_local_hash(st, NULL, o) != hash) {
		kube_obj_clear(o);
		o->hash = hash;
		return 0;
	}
	kube_obj_clear(o);
	if (o->kind == CLUSTER_ACCESS_RULE || o->kind == CLUSTER_CLUSTER_ACCESS_RULE) {
		o->rule = calloc(1, sizeof(*o->rule));
		e = o->rule ? rule_copy(&st->rules[at], o->rule) : e;
	} else if (o->kind == CLUSTER_QUARANTINE) {
		o->quarantine = calloc(1, sizeof(*o->quarantine));
		e = o->quarantine ? quarantine_copy(&st->quarantines[at], o->quarantine) : e;
	} else {
		o->mode = calloc(1, sizeof(*o->mode));
		e = o->mode ? mode_setting_copy(&st->modes[at], o->mode) : e;
	}
	o->hash = hash;
	return e;
}

static void written(struct kube *k, struct kobj *o, uint64_t hash, const char *uid, const cJSON *obj)
{
	const cJSON *meta = json_get(obj, "metadata");

	if (!hash && str_eq(o->uid, uid)) {
		kube_obj_clear(o);
		o->present = false;
	} else if (hash && !kube_is_newer(o, json_str(meta, "resourceVersion"))) {
		/* Else somebody has written after us, and the watch was faster. */
		if (take_content(k, o, hash))
			log_warn(-ENOMEM, "an object is known by its hash alone; name='%s'", o->name);
		o->present = true;
		o->invalid = false;
		if (json_str(meta, "uid"))
			(void)kube_text_set(&o->uid, json_str(meta, "uid"));
		/* A namespace has a life of its own: its versions say nothing of the label. */
		if (o->kind != CLUSTER_NAMESPACE)
			(void)kube_text_set(&o->version, json_str(meta, "resourceVersion"));
		o->meta_generation = json_i64(meta, "generation", o->meta_generation);
	}
	o->base = hash;
	o->ours = true;
	o->held = 0;
	o->held_why = NULL;
	o->window = 0;
	o->tries = 0;
	o->came = k->c->state.generation;
	(void)kube_text_set(&o->write_error, NULL);
	kube_row(k, o);
	o->status_due = hash && o->kind != CLUSTER_NAMESPACE;
	k->status_all = k->status_all || o->status_due;
}

static void done(void *arg, const struct kube_in *in);

/* Merge patch that makes `to` of `from`. NULL: no memory. */
static cJSON *patch_of(const cJSON *from, const cJSON *to)
{
	cJSON *p = cJSON_CreateObject();
	const cJSON *i;

	cJSON_ArrayForEach(i, from)
		if (!json_get(to, i->string))
			cJSON_AddNullToObject(p, i->string);
	cJSON_ArrayForEach(i, to) {
		const cJSON *was = json_get(from, i->string);

		if (cJSON_IsObject(was) && cJSON_IsObject(i))
			put_item(p, i->string, patch_of(was, i));
		else if (!was || !cJSON_Compare(was, i, true))
			put_item(p, i->string, cJSON_Duplicate(i, 1));
	}
	return p;
}

/* Of labels and spec, for the object as it was answered with and no later one. */
static cJSON *rest_of(const cJSON *obj, const cJSON *doc)
{
	const cJSON *was = json_get(obj, "metadata"), *labels = json_get(json_get(doc, "metadata"), "labels");
	cJSON *p = cJSON_CreateObject(), *meta = cJSON_AddObjectToObject(p, "metadata");

	put_str(meta, "resourceVersion", json_str(was, "resourceVersion"));
	put_item(meta, "labels", patch_of(json_get(was, "labels"), labels));
	put_item(p, "spec", patch_of(json_get(obj, "spec"), json_get(doc, "spec")));
	return p;
}

/* An apply leaves alone what others wrote and it does not name: that is taken out by a patch. True: one
 * is on its way. */
static bool patch_rest(struct sending *s, const cJSON *obj)
{
	struct kobj *o = s->o;
	uint64_t merged = o->kind == CLUSTER_NAMESPACE || !s->doc || !obj ? s->hash : kube_hash_object(o, obj);
	auto_cleanup(cJSON_Deletep) cJSON *patch = NULL;
	struct kube_out out = { .verb = KUBE_MERGE, .kind = o->kind, .ns = o->ns, .name = o->name };

	if (merged == s->hash || s->replaced)
		return false;
	/* What came of it is our own doing: whatever becomes of the patch, it is no edit of a person's. */
	kube_obj_clear(o);
	o->hash = o->base = merged;
	o->present = true;
	(void)kube_text_set(&o->version, json_str(json_get(obj, "metadata"), "resourceVersion"));
	s->replaced = true;
	patch = rest_of(obj, s->doc);
	out.body = patch;
	return patch && s->k->ops->send(s->k->port, &out, done, s) == 0;
}

static void done(void *arg, const struct kube_in *in)
{
	struct sending *s = arg;
	struct kube *k = s->k;
	struct kobj *o = s->o;
	int err = in->err;

	if (!k->closing && !err && patch_rest(s, in->obj))
		return;

	k->sent--;
	o->sent = false;
	if (!k->closing) {
		if (err == -ENOENT && !s->hash)
			err = 0; /* gone already */
		if (err)
			failed(k, o, err, in->text);
		else
			written(k, o, s->hash, s->uid, in->obj);
		kube_todo(k, o); /* compared again: it may have changed on either side */
	}
	sending_free(s);
}

static int send_one(struct kube *k, struct kobj *o)
{
	const struct policy_state *st = &k->c->state;
	size_t at = kube_index_find(st, NULL, o);
	uint64_t hash = kube_local_hash(st, NULL, o);
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	struct kube_out out = { .verb = KUBE_APPLY, .kind = o->kind, .ns = o->ns, .name = o->name };
	struct sending *s = calloc(1, sizeof(*s));
	int e = s ? 0 : -ENOMEM;

	if (o->kind == CLUSTER_NAMESPACE)
		out.verb = KUBE_MERGE;
	else if (at == SIZE_MAX)
		out.verb = KUBE_DELETE;
	out.uid = o->uid;
	if (!e && out.verb != KUBE_DELETE) {
		doc = kube_doc(k, st, o, at);
		out.body = doc;
		e = doc ? 0 : -ENOMEM;
	}
	if (e) {
		free(s); /* empty yet */
		return e;
	}
	*s = (struct sending){ .k = k, .o = o, .hash = at == SIZE_MAX ? 0 : hash, .doc = take_ptr(doc),
				.uid = o->uid ? strdup(o->uid) : NULL };
	o->sent = true;
	k->sent++;
	e = k->ops->send(k->port, &out, done, s);
	if (e) {
		o->sent = false;
		k->sent--;
		sending_free(s);
	}
	return e;
}

void kube_pump(struct kube *k)
{
	int64_t now = controller_now(k->c);
	const void *key;
	size_t it = 0, len;
	void *v;

	if (k->closing || !k->ready || !k->writes)
		return;
	k->writes = false;
	while (htab_next(k->objs, &it, &key, &len, &v)) {
		struct kobj *o = v;
		char text[200];
		int e;

		if (!o->write)
			continue;
		k->writes = true;
		if (o->sent || k->sent >= KUBE_WRITES_MAX)
			continue;
		if (o->write_ns > now)
			continue; /* the controller's timer comes again */
		if (!kube_followed(k, o->kind)) {
			snprintf(text, sizeof(text), "the API server does not serve %s", cluster_kind_str(o->kind));
			failed(k, o, -ENOENT, text);
			continue;
		}
		e = send_one(k, o);
		if (e)
			failed(k, o, e, strerror(-e));
	}
}
