/* SPDX-License-Identifier: Apache-2.0 */
/* kpolicy_read.c - one Kubernetes policy object: its head, and what its kind says next. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "policy/doc_priv.h"
#include "policy/kpolicy_priv.h"

#define ANNOTATIONS_BYTES_MAX (256u << 10) /* the API's own limit, keys and values together */

struct head {
	char *name, *ns;
	bool has_name;
};

static int m_name(struct doc *d, const cJSON *v, void *ctx)
{
	struct head *h = ctx;
	const char *s;

	h->has_name = true;
	if (!doc_text(d, v, KPOLICY_NAME_MAX, &s))
		return 0;
	if (!kp_is_subdomain(s))
		return doc_fault(d, v, "name", "lowercase letters, digits, '-' and '.', at most 253",
				 "this is no valid name");
	return set_str(&h->name, s);
}

static int m_namespace(struct doc *d, const cJSON *v, void *ctx)
{
	struct head *h = ctx;
	const char *s = cJSON_GetStringValue(v);

	return s && !*s ? 0 : read_dns_label(d, v, &h->ns); /* "" is how the API writes none */
}

static int m_labels(struct doc *d, const cJSON *v, void *ctx)
{
	struct labels l = {};
	int r = read_labels(d, v, &l);

	(void)ctx;
	labels_done(&l);
	return r;
}

static int m_annotations(struct doc *d, const cJSON *v, void *ctx)
{
	size_t bytes = 0;
	const cJSON *m;

	(void)ctx;
	if (!cJSON_IsObject(v))
		return doc_object(d, v, NULL, 0, NULL); /* says what was found instead */
	cJSON_ArrayForEach(m, v) {
		size_t mark = doc_enter(d, m->string);

		if (!is_label_key(m->string))
			doc_fault(d, m, "annotation-key",
				  "NAME or PREFIX/NAME, at most 63 letters, digits, '-', '_', '.'",
				  "this is no valid annotation key");
		else if (!cJSON_IsString(m) && !cJSON_IsNull(m))
			doc_fault(d, m, "type", "text in quotes", "the value is no text");
		doc_leave(d, mark);
		bytes += strlen(m->string) + (cJSON_IsString(m) ? strlen(m->valuestring) : 0);
	}
	if (bytes > ANNOTATIONS_BYTES_MAX)
		doc_fault(d, v, "too-long", "at most 262144 bytes", "the annotations have %zu bytes", bytes);
	return 0;
}

/* What the API keeps about every object; what only it writes is not looked at. */
static const struct doc_field meta_fields[] = {
	{ "name", m_name, false }, { "namespace", m_namespace, false }, { "labels", m_labels, false },
	{ "annotations", m_annotations, false }, { "generateName", NULL, false },
	{ "selfLink", NULL, false }, { "uid", NULL, false }, { "resourceVersion", NULL, false },
	{ "generation", NULL, false }, { "creationTimestamp", NULL, false },
	{ "deletionTimestamp", NULL, false }, { "deletionGracePeriodSeconds", NULL, false },
	{ "ownerReferences", NULL, false }, { "finalizers", NULL, false },
	{ "clusterName", NULL, false }, { "managedFields", NULL, false },
};

static int read_head(struct doc *d, const cJSON *v, struct kpolicy *k)
{
	struct head h = {};
	size_t mark = doc_enter(d, "metadata"), name_mark;
	int r = v ? doc_object(d, v, meta_fields, ARRAY_SIZE(meta_fields), &h) : 0;

	name_mark = doc_enter(d, "name");
	if (r == 0 && !h.has_name && (!v || cJSON_IsObject(v)))
		doc_fault(d, v, "missing-field", "name: ...", "the field \"name\" is missing");
	else if (h.name && k->kind == KPOLICY_BANP && strcmp(h.name, "default") != 0)
		doc_fault(d, json_get(v, "name"), "name", "default",
			  "there is one BaselineAdminNetworkPolicy, and it is called default");
	doc_leave(d, name_mark);
	doc_leave(d, mark);
	k->name = take_ptr(h.name);
	if (k->kind == KPOLICY_NP) {
		k->ns = take_ptr(h.ns);
		if (r == 0 && !k->ns)
			r = set_str(&k->ns, "default");
	}
	free(h.ns); /* the API drops it where kinds are the cluster's */
	return r;
}

static bool check_version(struct doc *d, const cJSON *obj, enum kpolicy_kind kind)
{
	const cJSON *api = json_get(obj, "apiVersion");
	const char *s = cJSON_GetStringValue(api), *want = kpolicy_api_str(kind);
	size_t mark;

	if (s && strcmp(s, want) == 0)
		return true;
	mark = doc_enter(d, "apiVersion");
	if (!api || cJSON_IsNull(api))
		doc_fault(d, obj, "missing-field", want, "the field \"apiVersion\" is missing");
	else
		doc_fault(d, api, "api-version", want, "%s is not known in this version", kpolicy_kind_str(kind));
	doc_leave(d, mark);
	return false;
}

/* The object as it goes into the store. Fields that only a cluster keeps would change all the time. */
static int keep_json(const cJSON *obj, enum kpolicy_kind kind, struct kpolicy *k)
{
	auto_cleanup(cJSON_Deletep) cJSON *copy = cJSON_Duplicate(obj, 1);
	cJSON *meta;

	if (!copy)
		return -ENOMEM;
	cJSON_DeleteItemFromObjectCaseSensitive(copy, "status");
	meta = cJSON_GetObjectItemCaseSensitive(copy, "metadata");
	cJSON_DeleteItemFromObjectCaseSensitive(meta, "managedFields");
	if (!json_get(copy, "kind") && !cJSON_AddStringToObject(copy, "kind", kpolicy_kind_str(kind)))
		return -ENOMEM;
	if (!json_get(copy, "apiVersion") && !cJSON_AddStringToObject(copy, "apiVersion", kpolicy_api_str(kind)))
		return -ENOMEM;
	k->json = cJSON_PrintUnformatted(copy);
	return k->json ? 0 : -ENOMEM;
}

/* For the place of faults, before anything has been checked. */
static const char *called(const cJSON *obj, enum kpolicy_kind kind, char out[600])
{
	const cJSON *meta = json_get(obj, "metadata");
	const char *name = json_str(meta, "name"), *ns = json_str(meta, "namespace");
	bool has_ns = kind == KPOLICY_NP;

	if (has_ns && (!ns || !*ns))
		ns = "default";
	snprintf(out, 600, "%s %.253s%s%.253s", kpolicy_kind_str(kind), has_ns ? ns : "", has_ns ? "/" : "",
		 name ? name : "");
	for (char *p = out; *p; p++) /* the place is one line, whatever the name */
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	return out;
}

int kpolicy_read_as(struct doc *d, const cJSON *obj, enum kpolicy_kind kind, struct kpolicy *ret)
{
	static const struct doc_field fields[] = {
		{ "apiVersion", NULL, false }, { "kind", NULL, false }, { "metadata", NULL, false },
		{ "spec", NULL, false }, { "status", NULL, false },
	};
	struct kpolicy k = { .kind = kind };
	const char *prefix = d->prefix, *object = d->object;
	bool null_absent = d->null_absent;
	unsigned before = d->faults;
	const cJSON *spec, *meta;
	char name[600];
	size_t mark;
	int r = 0;

	d->prefix = "policy";
	d->object = called(obj, kind, name);
	d->null_absent = true;
	if ((!json_get(obj, "apiVersion") && !json_get(obj, "kind")) || check_version(d, obj, kind))
		r = doc_object(d, obj, fields, ARRAY_SIZE(fields), NULL);
	meta = json_get(obj, "metadata");
	spec = json_get(obj, "spec");
	if (r == 0)
		r = read_head(d, cJSON_IsNull(meta) ? NULL : meta, &k);
	mark = doc_enter(d, "spec");
	if (r == 0 && spec && !cJSON_IsNull(spec))
		r = kind == KPOLICY_NP ? kp_np_spec(d, spec, &k) : kp_admin_spec(d, spec, &k);
	else if (r == 0 && kind == KPOLICY_NP)
		r = kp_np_spec(d, NULL, &k);
	else if (r == 0)
		doc_fault(d, obj, "missing-field", "spec: ...", "the field \"spec\" is missing");
	doc_leave(d, mark);
	d->prefix = prefix;
	d->object = object;
	d->null_absent = null_absent;
	if (r == 0 && d->faults == before) {
		r = keep_json(obj, kind, &k);
		if (r == 0) {
			*ret = k;
			return 0;
		}
	}
	kpolicy_done(&k);
	return r;
}

int kpolicy_read(struct doc *d, const cJSON *obj, struct kpolicy *ret)
{
	enum kpolicy_kind kind;
	size_t mark;

	if (kpolicy_kind_parse(json_str(obj, "kind"), &kind))
		return kpolicy_read_as(d, obj, kind, ret);
	mark = doc_enter(d, "kind");
	doc_fault(d, json_get(obj, "kind"), "word",
		  "NetworkPolicy, AdminNetworkPolicy, BaselineAdminNetworkPolicy or ClusterNetworkPolicy",
		  "this is no policy of Kubernetes");
	doc_leave(d, mark);
	return 0;
}

int kpolicy_parse(const cJSON *obj, const char *what, struct fail_list *f, struct kpolicy *ret)
{
	struct doc d = { .file = what, .prefix = "policy", .f = f };
	int r = kpolicy_read(&d, obj, ret);

	if (r == 0 && d.faults)
		r = -EINVAL;
	return r;
}
