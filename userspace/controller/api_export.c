/* SPDX-License-Identifier: Apache-2.0 */
/* api_export.c - rules as objects of other policy languages, with what they cannot say. */
#include <errno.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/kpolicies.h"
#include "policy/export.h"

#define EXPORT_BYTES_MAX (256u << 20)

static char *documents(const cJSON *objects)
{
	const cJSON *o;
	struct buf b;

	buf_init(&b, EXPORT_BYTES_MAX);
	buf_adds(&b, "");
	cJSON_ArrayForEach(o, objects) {
		auto_free char *text = yaml_print(o);

		if (!text) {
			buf_done(&b);
			return NULL;
		}
		buf_printf(&b, "%s%s", o == objects->child ? "" : "---\n", text);
	}
	return buf_take(&b, NULL);
}

static void put_words(cJSON *o, const char *key, const char *field, const struct export_word *v, size_t n)
{
	cJSON *arr = cJSON_AddArrayToObject(o, key);

	for (size_t i = 0; i < n; i++) {
		cJSON *it = cJSON_CreateObject();

		put_str(it, "name", v[i].name);
		put_str(it, field, v[i].text);
		put_push(arr, it);
	}
}

/* A policy that speaks the target's language goes out as it is; another one is no rule of ours. */
static int kpolicies_out(const struct kpolicy *const *k, size_t n, enum export_target t, cJSON *objects, cJSON *refused)
{
	for (size_t i = 0; i < n; i++) {
		auto_free char *path = kpolicy_path(k[i]);
		cJSON *it;

		if ((t == EXPORT_NETWORKPOLICY && k[i]->kind == KPOLICY_NP) ||
		    (t == EXPORT_CLUSTERNETWORKPOLICY && k[i]->kind == KPOLICY_CNP)) {
			it = kpolicy_object(k[i]);
			if (!it || !cJSON_AddItemToArray(objects, it)) {
				cJSON_Delete(it);
				return -ENOMEM;
			}
			continue;
		}
		if (t == EXPORT_CILIUM && k[i]->kind == KPOLICY_NP)
			continue; /* read there as it is */
		it = cJSON_CreateObject();
		put_str(it, "name", path);
		put_str(it, "reason",
			"a Kubernetes policy of another kind, which stays what it is: cellwall rule export gives it back");
		put_push(refused, it);
	}
	return 0;
}

int api_export_as(struct api *a, const char *as, const struct rule *const *rules, size_t nrules,
		  const struct kpolicy *const *k, size_t nk, const struct words *ns, cJSON **ret)
{
	struct export_result out = {};
	enum export_target t;
	cJSON *o;
	int e;

	if (export_target_parse(as, &t))
		return fail_add(&a->f, -EINVAL, "rule.export-as", "query as", "networkpolicy, clusternetworkpolicy or cilium",
				NULL, "rules cannot be exported as this");
	e = policy_export(&a->c->state, rules, nrules, (const char *const *)ns->v, ns->n, t, &out);
	if (e)
		return e;
	o = api_object("RuleExport");
	put_str(o, "as", as);
	put_num(o, "generation", (double)a->c->state.generation);
	put_num(o, "rules", (double)out.nrules);
	put_words(o, "refused", "reason", out.refused, out.nrefused);
	put_words(o, "notes", "note", out.notes, out.nnotes);
	e = o ? kpolicies_out(k, nk, t, out.objects, cJSON_GetObjectItemCaseSensitive(o, "refused")) : -ENOMEM;
	if (!e) {
		put_free(o, "yaml", documents(out.objects));
		put_item(o, "items", take_ptr(out.objects));
		*ret = o;
	} else {
		cJSON_Delete(o);
	}
	export_result_done(&out);
	return e;
}
