/* SPDX-License-Identifier: Apache-2.0 */
/* kind_reach.c - {namespaces, nodes, pods, externals, policies, rows} -> ["allow" | "deny", ...] */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "selftests/judge/judge.h"

static int answers(const bool *pass, size_t n, cJSON **ret)
{
	cJSON *a = cJSON_CreateArray();

	for (size_t i = 0; a && i < n; i++)
		if (!cJSON_AddItemToArray(a, cJSON_CreateString(pass[i] ? "allow" : "deny"))) {
			cJSON_Delete(a);
			return -ENOMEM;
		}
	if (!a)
		return -ENOMEM;
	*ret = a;
	return 0;
}

int kind_reach(struct judge *j, const cJSON *q, struct fail_list *f, cJSON **ret)
{
	auto_free bool *pass = NULL;
	struct world w;
	int r = world_read(q, f, &w);

	if (r)
		return r;
	pass = calloc(w.nrows + 1, sizeof(*pass));
	if (!pass)
		r = -ENOMEM;
	if (!r && !j->engine)
		r = j->ops->open(f, &j->engine);
	r = r ?: j->ops->ask(j->engine, &w, f, pass);
	r = r ?: answers(pass, w.nrows, ret);
	world_done(&w);
	return r;
}
