/* SPDX-License-Identifier: Apache-2.0 */
/* store_kube.c - what was last agreed on with the API server, object by object. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/db.h"

int store_kube_put(struct store *s, const struct store_kube *k)
{
	sqlite3_stmt *q = db_stmt(s, SQL_KUBE_PUT);

	if (!k->name || !*k->name)
		return -EINVAL;
	db_u64(q, 1, (uint64_t)k->kind);
	db_text(q, 2, k->ns);
	db_text(q, 3, k->name);
	db_text(q, 4, k->uid);
	db_text(q, 5, k->version);
	db_u64(q, 6, k->base);
	db_u64(q, 7, k->held);
	db_u64(q, 8, k->window);
	db_u64(q, 9, k->ours);
	return db_run(s, q);
}

int store_kube_del(struct store *s, int kind, const char *ns, const char *name)
{
	sqlite3_stmt *q = db_stmt(s, SQL_KUBE_DEL);

	db_u64(q, 1, (uint64_t)kind);
	db_text(q, 2, ns);
	db_text(q, 3, name);
	return db_run(s, q);
}

int store_kube_each(struct store *s, int (*fn)(void *arg, const struct store_kube *k), void *arg)
{
	sqlite3_stmt *q = db_stmt(s, SQL_KUBE_LIST);
	int r;

	while ((r = db_row(s, q)) == 1) {
		struct store_kube k = {
			.kind = (int)db_get_u64(q, 0), .ns = db_get_text(q, 1), .name = db_get_text(q, 2),
			.uid = db_get_text(q, 3), .version = db_get_text(q, 4), .base = db_get_u64(q, 5),
			.held = db_get_u64(q, 6), .window = db_get_u64(q, 7), .ours = db_get_u64(q, 8) != 0,
		};

		r = k.name ? fn(arg, &k) : -EBADMSG;
		if (r) {
			(void)sqlite3_reset(q); /* left early */
			return r;
		}
	}
	return r;
}
