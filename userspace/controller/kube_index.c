/* SPDX-License-Identifier: Apache-2.0 */
/* kube_index.c - objects of the API server in a state: found by name, hashed as they are there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/kpolicies.h"
#include "controller/kube_priv.h"
#include "policy/rule_doc.h"

#define KEY_MAX 640

static const enum cluster_kind kpolicy_kinds[] = {
	[KPOLICY_NP] = CLUSTER_NETWORK_POLICY, [KPOLICY_ANP] = CLUSTER_ADMIN_POLICY,
	[KPOLICY_BANP] = CLUSTER_BASELINE_POLICY, [KPOLICY_CNP] = CLUSTER_CLUSTER_POLICY,
};

static size_t key_of(char out[KEY_MAX], enum cluster_kind kind, const char *ns, const char *name)
{
	int n = snprintf(out, KEY_MAX, "%d/%s/%s", kind, ns ? ns : "", name);

	return n < 0 ? 0 : n < KEY_MAX ? (size_t)n : KEY_MAX - 1;
}

static enum cluster_kind rule_kind(const struct rule *r)
{
	return str_set(r->ns) ? CLUSTER_ACCESS_RULE : CLUSTER_CLUSTER_ACCESS_RULE;
}

/* What a setting is there: a label of a namespace, or a profile. */
static void mode_at(const struct mode_setting *m, enum cluster_kind *kind, const char **name)
{
	*kind = mode_is_label(m) ? CLUSTER_NAMESPACE : CLUSTER_MODE_PROFILE;
	*name = mode_is_label(m) ? m->name + sizeof(MODE_LABEL_NAME) - 1 : m->name;
}

static int put(struct htab *t, enum cluster_kind kind, const char *ns, const char *name, size_t at)
{
	char key[KEY_MAX];
	size_t n = key_of(key, kind, ns, name);

	return htab_set(t, key, n, (void *)(at + 1), NULL);
}

int kube_index(const struct policy_state *st, struct kindex *ret)
{
	struct htab *t = htab_new();
	int e = t ? 0 : -ENOMEM;

	for (size_t i = 0; i < st->nrules && !e; i++)
		e = put(t, rule_kind(&st->rules[i]), st->rules[i].ns, st->rules[i].name, i);
	for (size_t i = 0; i < st->nmodes && !e; i++) {
		enum cluster_kind kind;
		const char *name;

		if (!str_set(st->modes[i].name))
			continue;
		mode_at(&st->modes[i], &kind, &name);
		e = put(t, kind, NULL, name, i);
	}
	for (size_t i = 0; i < st->nquarantines && !e; i++)
		e = put(t, CLUSTER_QUARANTINE, NULL, st->quarantines[i].name, i);
	for (size_t i = 0; i < st->nkpolicies && !e; i++)
		e = put(t, kpolicy_kinds[st->kpolicies[i].kind], st->kpolicies[i].ns, st->kpolicies[i].name, i);
	if (e) {
		htab_free(t, NULL);
		return e;
	}
	ret->t = t;
	return 0;
}

void kube_index_done(struct kindex *ix)
{
	htab_free(ix->t, NULL);
	ix->t = NULL;
}

static size_t search(const struct policy_state *st, const struct kobj *o)
{
	enum cluster_kind kind;
	const char *name;

	switch (o->kind) {
	case CLUSTER_ACCESS_RULE:
	case CLUSTER_CLUSTER_ACCESS_RULE:
		for (size_t i = 0; i < st->nrules; i++)
			if (str_eq(st->rules[i].name, o->name) && str_eq(st->rules[i].ns, o->ns))
				return i;
		break;
	case CLUSTER_NAMESPACE:
	case CLUSTER_MODE_PROFILE:
		for (size_t i = 0; i < st->nmodes; i++) {
			if (!str_set(st->modes[i].name))
				continue;
			mode_at(&st->modes[i], &kind, &name);
			if (kind == o->kind && str_eq(name, o->name))
				return i;
		}
		break;
	case CLUSTER_QUARANTINE:
		for (size_t i = 0; i < st->nquarantines; i++)
			if (str_eq(st->quarantines[i].name, o->name))
				return i;
		break;
	default:
		for (size_t i = 0; i < st->nkpolicies; i++)
			if (kpolicy_kinds[st->kpolicies[i].kind] == o->kind && str_eq(st->kpolicies[i].name, o->name) &&
			    str_eq(st->kpolicies[i].ns, o->ns))
				return i;
	}
	return SIZE_MAX;
}

size_t kube_index_find(const struct policy_state *st, const struct kindex *ix, const struct kobj *o)
{
	char key[KEY_MAX];
	size_t n;

	if (!ix || !ix->t)
		return search(st, o);
	n = key_of(key, o->kind, o->ns, o->name);
	return (size_t)htab_get(ix->t, key, n) - 1;
}

/* ---- hashes ------------------------------------------------------------------------------------ */

static uint64_t hash_of(const char *text)
{
	uint64_t h = text ? hash_bytes(0x63656c6c77616c6cull, text, strlen(text)) : 0;

	return text && !h ? 1 : h;
}

/* Of the document, so that creator, times and numbers do not count. */
static uint64_t hash_doc(cJSON *doc)
{
	auto_free char *text = doc ? cJSON_PrintUnformatted(doc) : NULL;

	cJSON_Delete(doc);
	return hash_of(text);
}

uint64_t kube_hash_rule(const struct rule *r)
{
	return hash_doc(rule_doc_to_json(r));
}

uint64_t kube_hash_mode(const struct mode_setting *m)
{
	return mode_is_label(m) ? hash_of(cw_mode_str(m->mode)) : hash_doc(mode_doc_to_json(m));
}

uint64_t kube_hash_quarantine(const struct quarantine *q)
{
	return hash_doc(quarantine_doc_to_json(q));
}

uint64_t kube_hash_policy(const struct kpolicy *p)
{
	return hash_of(p->json);
}

/* What servers add (defaults, metadata of their own) does not count. */
uint64_t kube_hash_object(const struct kobj *o, const cJSON *obj)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = cJSON_CreateObject();
	auto_cleanup(rule_docs_done) struct rule_docs docs = {};
	const cJSON *from = json_get(obj, "metadata"), *labels = json_get(from, "labels");
	cJSON *meta = cJSON_AddObjectToObject(doc, "metadata");

	put_str(doc, "apiVersion", RULE_DOC_API);
	put_str(doc, "kind", cluster_kind_str(o->kind));
	put_str(meta, "name", o->name);
	put_str(meta, "namespace", o->ns);
	if (labels && labels->child && (o->kind == CLUSTER_ACCESS_RULE || o->kind == CLUSTER_CLUSTER_ACCESS_RULE))
		put_item(meta, "labels", cJSON_Duplicate(labels, 1));
	if (json_get(obj, "spec"))
		put_item(doc, "spec", cJSON_Duplicate(json_get(obj, "spec"), 1));
	if (rule_doc_parse(doc, "kubernetes", NULL, &docs))
		return 0;
	return docs.nrules ? kube_hash_rule(&docs.rules[0]) : docs.nmodes ? kube_hash_mode(&docs.modes[0]) :
	       docs.nquarantines ? kube_hash_quarantine(&docs.quarantines[0]) : 0;
}

uint64_t kube_local_hash(const struct policy_state *st, const struct kindex *ix, const struct kobj *o)
{
	size_t at = kube_index_find(st, ix, o);

	if (at == SIZE_MAX)
		return 0;
	switch (o->kind) {
	case CLUSTER_ACCESS_RULE:
	case CLUSTER_CLUSTER_ACCESS_RULE:
		return kube_hash_rule(&st->rules[at]);
	case CLUSTER_NAMESPACE:
	case CLUSTER_MODE_PROFILE:
		return kube_hash_mode(&st->modes[at]);
	case CLUSTER_QUARANTINE:
		return kube_hash_quarantine(&st->quarantines[at]);
	default:
		return kube_hash_policy(&st->kpolicies[at]);
	}
}

/* ---- the other way -------------------------------------------------------------------------------- */

struct kobj *kube_obj_of_rule(struct kube *k, const struct rule *r)
{
	return kube_obj_make(k, rule_kind(r), r->ns, r->name);
}

struct kobj *kube_obj_of_mode(struct kube *k, const struct mode_setting *m)
{
	enum cluster_kind kind;
	const char *name;

	mode_at(m, &kind, &name);
	return kube_obj_make(k, kind, NULL, name);
}

struct kobj *kube_obj_of_quarantine(struct kube *k, const struct quarantine *q)
{
	return kube_obj_make(k, CLUSTER_QUARANTINE, NULL, q->name);
}

struct kobj *kube_obj_of_policy(struct kube *k, const struct kpolicy *p)
{
	return kube_obj_make(k, kpolicy_kinds[p->kind], p->ns, p->name);
}

cJSON *kube_doc(const struct kube *k, const struct policy_state *st, const struct kobj *o, size_t at)
{
	cJSON *doc, *labels;
	const char *mode;

	(void)k;
	switch (o->kind) {
	case CLUSTER_ACCESS_RULE:
	case CLUSTER_CLUSTER_ACCESS_RULE:
		return rule_doc_to_json(&st->rules[at]);
	case CLUSTER_MODE_PROFILE:
		return mode_doc_to_json(&st->modes[at]);
	case CLUSTER_QUARANTINE:
		return quarantine_doc_to_json(&st->quarantines[at]);
	case CLUSTER_NAMESPACE: /* a merge patch; at SIZE_MAX takes the label away */
		mode = at == SIZE_MAX ? NULL : cw_mode_str(st->modes[at].mode);
		doc = cJSON_CreateObject();
		labels = cJSON_AddObjectToObject(cJSON_AddObjectToObject(doc, "metadata"), "labels");
		if (labels && cJSON_AddItemToObject(labels, "cellwall.io/mode",
						    mode ? cJSON_CreateString(mode) : cJSON_CreateNull()))
			return doc;
		cJSON_Delete(doc);
		return NULL;
	default:
		return NULL; /* Kubernetes' own policies are read only */
	}
}
