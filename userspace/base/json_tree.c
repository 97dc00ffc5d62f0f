/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_tree.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/htab.h"

#define SMALL 12 /* up to here comparing all pairs beats a table */

int json_dup_key(const cJSON *obj, const cJSON **ret)
{
	const cJSON *found = NULL, *m, *o;
	struct htab *seen;
	int r = 0;

	if (cJSON_GetArraySize(obj) <= SMALL) {
		for (m = obj->child; m && !found; m = m->next)
			for (o = obj->child; o != m && !found; o = o->next)
				if (strcmp(o->string, m->string) == 0)
					found = m;
		*ret = found;
		return 0;
	}
	seen = htab_new();
	if (!seen)
		return -ENOMEM;
	for (m = obj->child; m && !found && r == 0; m = m->next) {
		size_t n = strlen(m->string);

		if (htab_has(seen, m->string, n))
			found = m;
		else
			r = htab_set(seen, m->string, n, NULL, NULL);
	}
	htab_free(seen, NULL);
	if (r == 0)
		*ret = found;
	return r;
}
