/* SPDX-License-Identifier: Apache-2.0 */
/* kind_validation.c - {object} -> {valid, path of the first fault, why} */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "policy/kpolicy.h"
#include "selftests/judge/judge.h"

/* "object, NetworkPolicy x/p, spec.ingress[0].ports[0].port: -1" has the path in it. */
static void path_of(const char *at, char *out, size_t n)
{
	const char *end = strstr(at, ": "), *from = at;

	end = end ?: at + strlen(at);
	for (const char *c = at; (c = strstr(c, ", ")) && c < end; c += 2)
		from = c + 2;
	(void)snprintf(out, n, "%.*s", (int)(end - from), from);
}

int kind_validation(struct judge *j, const cJSON *q, struct fail_list *f, cJSON **ret)
{
	const cJSON *obj = json_get(q, "object");
	struct fail_list faults = {};
	struct kpolicy k = {};
	char path[256] = "";
	bool valid;
	cJSON *a;
	int r;

	(void)j;
	if (!obj)
		return fail_add(f, -EINVAL, "judge.question", "object", NULL, NULL, "missing");
	r = kpolicy_parse(obj, "object", &faults, &k);
	if (r == -ENOMEM) {
		fail_list_done(&faults);
		return r;
	}
	a = cJSON_CreateObject();
	valid = !r;
	r = 0;
	if (faults.n)
		path_of(faults.items[0].at ?: "", path, sizeof(path));
	if (!a || !cJSON_AddBoolToObject(a, "valid", valid) ||
	    (faults.n && (!cJSON_AddStringToObject(a, "path", path) ||
			  !cJSON_AddStringToObject(a, "why", faults.items[0].message)))) {
		cJSON_Delete(a);
		r = -ENOMEM;
	} else {
		*ret = a;
	}
	if (valid)
		kpolicy_done(&k);
	fail_list_done(&faults);
	return r;
}
