/* SPDX-License-Identifier: Apache-2.0 */
/* document.c - rules, modes, quarantines and policies as objects: read by the readers of documents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/priv.h"
#include "policy/rule_doc.h"

static void document_free(struct cluster *c, void *body)
{
	struct doc_body *b = body;

	(void)c;
	if (b->docs)
		rule_docs_done(b->docs);
	if (b->policy)
		kpolicy_done(b->policy);
	free(b->docs);
	free(b->policy);
	free(b->version);
	free(b->manager);
	free(b);
}

static bool add_text(cJSON *o, const char *key, const char *s)
{
	return !s || cJSON_AddStringToObject(o, key, s);
}

/* The value as a member that borrows its contents. cJSON's own call for this leaks when it fails half-way. */
static bool add_ref(cJSON *to, const char *key, const cJSON *v)
{
	cJSON *ref = cJSON_IsString(v) ? cJSON_CreateStringReference(v->valuestring) :
		     cJSON_IsObject(v) ? cJSON_CreateObjectReference(v->child) :
		     cJSON_IsArray(v) ? cJSON_CreateArrayReference(v->child) : cJSON_Duplicate(v, false);

	if (ref && cJSON_AddItemToObject(to, key, ref))
		return true;
	cJSON_Delete(ref);
	return false;
}

/* What people wrote, without what servers and tools keep beside it. Borrows from obj. */
static cJSON *reduced(const struct rd *r, enum cluster_kind kind, const struct meta *m, const cJSON *obj)
{
	bool policy = kind < CLUSTER_ACCESS_RULE, labels = policy || kind <= CLUSTER_CLUSTER_ACCESS_RULE;
	enum kpolicy_kind of = (enum kpolicy_kind)(kind - CLUSTER_NETWORK_POLICY);
	const cJSON *api = json_get(obj, "apiVersion"), *word = json_get(obj, "kind"), *spec = json_get(obj, "spec");
	const cJSON *all = labels ? json_get(m->o, "labels") : NULL;
	cJSON *to = cJSON_CreateObject(), *meta;
	bool ok = to;

	ok = ok && (api ? add_ref(to, "apiVersion", api)
			: add_text(to, "apiVersion", policy ? kpolicy_api_str(of) : RULE_DOC_API));
	ok = ok && (word ? add_ref(to, "kind", word) : add_text(to, "kind", r->kind));
	meta = ok ? cJSON_AddObjectToObject(to, "metadata") : NULL;
	ok = meta && add_text(meta, "name", m->name) && add_text(meta, "namespace", m->ns);
	if (ok && all && !cJSON_IsNull(all) && (!cJSON_IsObject(all) || all->child))
		ok = add_ref(meta, "labels", all);
	if (ok && spec)
		ok = add_ref(to, "spec", spec);
	if (ok)
		return to;
	cJSON_Delete(to);
	return NULL;
}

static void right_kind(struct rd *r, const cJSON *doc)
{
	const cJSON *word = json_get(doc, "kind");
	size_t mark = doc_enter(&r->d, "kind");

	if (!cJSON_IsString(word) || strcmp(word->valuestring, r->kind) != 0)
		rd_fault(r, word, "kind", r->kind, "the object is of another kind");
	doc_leave(&r->d, mark);
}

static int parse(struct rd *r, enum cluster_kind kind, const struct meta *m, const cJSON *doc, struct doc_body *b)
{
	int err;

	if (kind < CLUSTER_ACCESS_RULE) {
		b->policy = calloc(1, sizeof(*b->policy));
		err = b->policy ? kpolicy_parse(doc, "kubernetes", &r->f, b->policy) : -ENOMEM;
		if (!err)
			b->policy->created_ns = m->created_ns;
		return err;
	}
	b->docs = calloc(1, sizeof(*b->docs));
	err = b->docs ? rule_doc_parse(doc, r->what, &r->f, b->docs) : -ENOMEM;
	if (!err && b->docs->nrules)
		b->docs->rules[0].created_ns = m->created_ns;
	if (!err && b->docs->nquarantines)
		b->docs->quarantines[0].since_ns = m->created_ns;
	return err;
}

static int digest(struct cluster *c, const cJSON *doc, struct doc_body *b)
{
	auto_free char *text = cJSON_PrintUnformatted(doc);

	if (!text)
		return -ENOMEM;
	digest_text(c, text);
	digest_bytes(c, &b->generation, sizeof(b->generation));
	digest_bytes(c, &b->confirm_ms, sizeof(b->confirm_ms));
	return digest_done(c, &b->digest);
}

static void *document_read(struct rd *r, const struct meta *m, const cJSON *obj)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	const char *manager = meta_manager(m, NULL);
	enum cluster_kind kind = r->of;
	struct doc_body *b;
	int err;

	doc = reduced(r, kind, m, obj);
	b = calloc(1, sizeof(*b));
	if (!doc || !b) {
		free(b);
		rd_nomem(r);
		return NULL;
	}
	right_kind(r, doc);
	err = r->d.faults ? -EINVAL : parse(r, kind, m, doc, b);
	if (!err) {
		b->confirm_ms = meta_confirm(r, m);
		b->generation = m->generation;
		b->version = m->version ? strdup(m->version) : NULL;
		b->manager = manager ? strdup(manager) : NULL;
		err = (m->version && !b->version) || (manager && !b->manager) ? -ENOMEM : digest(r->c, doc, b);
	}
	if (!err)
		return b;
	if (err == -ENOMEM || !r->f.n)
		rd_nomem(r);
	document_free(r->c, b);
	return NULL;
}

static void nothing(struct cluster *c, struct obj *o)
{
	(void)c;
	(void)o;
}

const struct kind_ops document_ops = {
	.read = document_read, .free = document_free, .link = nothing, .unlink = nothing,
};

void document_drop(struct cluster *c, struct obj *o)
{
	document_free(c, o->body);
	o->body = NULL;
}
