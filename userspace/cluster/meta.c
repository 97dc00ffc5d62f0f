/* SPDX-License-Identifier: Apache-2.0 */
/* meta.c - what all API objects say about themselves. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strparse.h"
#include "cluster/priv.h"

static const struct { const char *word; bool namespaced, label_name; } kinds[CLUSTER_KIND_COUNT] = {
	[CLUSTER_NAMESPACE] = { "Namespace", false, true },
	[CLUSTER_NODE] = { "Node", false, false },
	[CLUSTER_POD] = { "Pod", true, false },
	[CLUSTER_SERVICE] = { "Service", true, true },
	[CLUSTER_ENDPOINT_SLICE] = { "EndpointSlice", true, false },
	[CLUSTER_REPLICASET] = { "ReplicaSet", true, false },
	[CLUSTER_JOB] = { "Job", true, false },
	[CLUSTER_DEPLOYMENT] = { "Deployment", true, false },
	[CLUSTER_STATEFULSET] = { "StatefulSet", true, false },
	[CLUSTER_DAEMONSET] = { "DaemonSet", true, false },
	[CLUSTER_CRONJOB] = { "CronJob", true, false },
	[CLUSTER_NETWORK_POLICY] = { "NetworkPolicy", true, false },
	[CLUSTER_ADMIN_POLICY] = { "AdminNetworkPolicy", false, false },
	[CLUSTER_BASELINE_POLICY] = { "BaselineAdminNetworkPolicy", false, false },
	[CLUSTER_CLUSTER_POLICY] = { "ClusterNetworkPolicy", false, false },
	[CLUSTER_ACCESS_RULE] = { "AccessRule", true, false },
	[CLUSTER_CLUSTER_ACCESS_RULE] = { "ClusterAccessRule", false, false },
	[CLUSTER_MODE_PROFILE] = { "ModeProfile", false, false },
	[CLUSTER_QUARANTINE] = { "Quarantine", false, false },
};

const char *cluster_kind_str(enum cluster_kind k)
{
	return k < CLUSTER_KIND_COUNT ? kinds[k].word : "?";
}

bool cluster_kind_namespaced(enum cluster_kind k)
{
	return k < CLUSTER_KIND_COUNT && kinds[k].namespaced;
}

bool meta_read(struct rd *r, enum cluster_kind kind, const cJSON *obj, struct meta *ret)
{
	const char *word = cluster_kind_str(kind), *want = kinds[kind].label_name ?
		"1 to 63 lowercase letters, digits and '-'" : "lowercase letters, digits, '-' and '.', at most 253";
	size_t mark;

	*ret = (struct meta){};
	r->d = (struct doc){ .file = r->what, .prefix = "kube", .f = &r->f };
	r->of = kind;
	r->kind = word;
	snprintf(r->what, sizeof(r->what), "%s", word);
	if (!cJSON_IsObject(obj)) {
		rd_fault(r, obj, "type", "an object", "this is no object");
		return false;
	}
	ret->o = rd_object(r, obj, "metadata");
	if (!ret->o) {
		if (!r->d.faults)
			rd_fault(r, NULL, "missing-field", "metadata: ...", "the field \"metadata\" is missing");
		return false;
	}
	mark = doc_enter(&r->d, "metadata");
	ret->name = rd_word(r, ret->o, "name", kinds[kind].label_name ? is_dns_label : is_dns_name, want);
	if (kinds[kind].namespaced)
		ret->ns = rd_word(r, ret->o, "namespace", is_dns_label, "1 to 63 lowercase letters, digits and '-'");
	if (!r->d.faults && (!ret->name || (kinds[kind].namespaced && !ret->ns)))
		rd_fault(r, NULL, "missing-field", ret->name ? "namespace: ..." : "name: ...",
			 "the field \"%s\" is missing", ret->name ? "namespace" : "name");
	if (r->d.faults) {
		doc_leave(&r->d, mark);
		return false;
	}
	snprintf(r->what, sizeof(r->what), "%s %s%s%s", word, ret->ns ? ret->ns : "", ret->ns ? "/" : "", ret->name);
	ret->uid = rd_word(r, ret->o, "uid", is_uid, "letters, digits, '-', '.' and '_', at most 128");
	ret->version = rd_text(r, ret->o, "resourceVersion", 128);
	(void)rd_int(r, ret->o, "generation", 0, INT64_C(1) << 53, &ret->generation); /* absent: 0 */
	if (!ret->version || parse_u64(ret->version, 1, UINT64_MAX, &ret->rv) < 0)
		ret->rv = 0; /* versions are texts: what is no number cannot be compared */
	ret->deleting = rd_text(r, ret->o, "deletionTimestamp", 64);
	if (rd_text(r, ret->o, "creationTimestamp", 64)) {
		const cJSON *v = json_get(ret->o, "creationTimestamp");

		if (parse_time_ns(v->valuestring, &ret->created_ns) < 0) {
			doc_enter(&r->d, "creationTimestamp");
			rd_fault(r, v, "time", "RFC 3339", "this is no point in time");
		}
	}
	doc_leave(&r->d, mark);
	return true;
}

static bool is_kind(const char *s)
{
	size_t n = strlen(s);

	return n && n <= 63 && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")];
}

bool meta_controller(struct rd *r, const struct meta *m, struct owner_ref *ret)
{
	size_t mark = doc_enter(&r->d, "metadata"), i = 0, item;
	const cJSON *list = rd_list(r, m->o, "ownerReferences", CLUSTER_OWNERS_MAX), *v;
	bool found = false;

	doc_enter(&r->d, "ownerReferences");
	cJSON_ArrayForEach(v, list) {
		item = doc_enter_index(&r->d, i++);
		if (!found && cJSON_IsObject(v) && rd_bool(r, v, "controller", false)) {
			*ret = (struct owner_ref){
				.api = rd_text(r, v, "apiVersion", NAME_MAX_BYTES),
				.kind = rd_word(r, v, "kind", is_kind, "a kind such as ReplicaSet"),
				.name = rd_word(r, v, "name", is_dns_name, "the name of an object"),
				.uid = rd_word(r, v, "uid", is_uid, "the uid of an object"),
			};
			found = ret->kind && ret->name;
		}
		doc_leave(&r->d, item);
	}
	doc_leave(&r->d, mark);
	return found;
}

uint64_t meta_confirm(struct rd *r, const struct meta *m)
{
	const cJSON *v = json_get(json_get(m->o, "annotations"), ANNOTATION_CONFIRM);
	const char *s = cJSON_GetStringValue(v);
	uint64_t ms = 0;
	size_t mark;

	if (!v || (s && !*s) || (s && parse_duration_ms(s, CONFIRM_MS_MAX, &ms) == 0 && ms >= CONFIRM_MS_MIN))
		return ms;
	mark = doc_enter(&r->d, "metadata.annotations");
	doc_enter(&r->d, ANNOTATION_CONFIRM);
	rd_fault(r, v, "confirm", "a time such as 10m, 1s to 24h", "this is no such time; the annotation has no effect");
	doc_leave(&r->d, mark);
	return 0;
}

static bool owns_label(const cJSON *entry, const char *label)
{
	const cJSON *labels = json_get(json_get(json_get(entry, "fieldsV1"), "f:metadata"), "f:labels");
	char key[NAME_MAX_BYTES + 68];

	snprintf(key, sizeof(key), "f:%s", label);
	return json_get(labels, key);
}

/* Times are RFC 3339 in UTC: texts compare as they do. */
const char *meta_manager(const struct meta *m, const char *label)
{
	const cJSON *list = json_get(m->o, "managedFields"), *v;
	const char *best = NULL, *when = "";

	if (!cJSON_IsArray(list))
		return NULL;
	cJSON_ArrayForEach(v, list) {
		const char *who = json_str(v, "manager"), *t = json_str(v, "time"), *sub = json_str(v, "subresource");

		if (!who || !*who || strlen(who) > 128 || (sub && *sub) || strcmp(t ? t : "", when) < 0)
			continue;
		if (label && !owns_label(v, label))
			continue;
		best = who;
		when = t ? t : "";
	}
	return best;
}
