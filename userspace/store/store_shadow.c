/* SPDX-License-Identifier: Apache-2.0 */
/* store_shadow.c - a candidate that runs beside what is in force, and what it has seen. */
#include <errno.h>
#include <string.h>

#include "store/db.h"

static int shadow_write(struct store *s, const char *doc)
{
	sqlite3_stmt *q;
	int r;

	if (doc && strlen(doc) > STORE_TEXT_MAX)
		return -E2BIG;
	r = store_begin(s, true);
	if (r < 0)
		return r;
	r = db_run(s, db_stmt(s, SQL_SEEN_DEL));
	r = r ?: db_run(s, db_stmt(s, SQL_SHADOW_DEL));
	if (!r && doc) {
		q = db_stmt(s, SQL_SHADOW_PUT);
		db_text(q, 1, doc);
		r = db_run(s, q);
	}
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

int store_shadow_set(struct store *s, const char *doc)
{
	return shadow_write(s, doc);
}

int store_shadow_clear(struct store *s)
{
	return shadow_write(s, NULL);
}

int store_shadow_get(struct store *s, char **ret)
{
	sqlite3_stmt *q = db_stmt(s, SQL_SHADOW_GET);
	const char *doc;
	int r = db_row(s, q);

	if (r <= 0)
		return r ? r : -ENOENT;
	doc = db_get_text(q, 0);
	*ret = doc ? strdup(doc) : NULL;
	(void)sqlite3_reset(q); /* its one row was read */
	return *ret ? 0 : -ENOMEM;
}

int store_shadow_seen_put(struct store *s, uint64_t access, uint64_t flows, const char *doc)
{
	sqlite3_stmt *q = db_stmt(s, SQL_SEEN_PUT);

	if (doc && strlen(doc) > STORE_TEXT_MAX)
		return -E2BIG;
	db_u64(q, 1, access);
	db_u64(q, 2, flows);
	db_text(q, 3, doc);
	return db_run(s, q);
}

int store_shadow_seen_each(struct store *s, int (*fn)(void *arg, uint64_t access, uint64_t flows, const char *doc),
			   void *arg)
{
	sqlite3_stmt *q = db_stmt(s, SQL_SEEN_LIST);
	int r;

	while ((r = db_row(s, q)) == 1) {
		r = fn(arg, db_get_u64(q, 0), db_get_u64(q, 1), db_get_text(q, 2));
		if (r) {
			(void)sqlite3_reset(q); /* given up */
			break;
		}
	}
	return r;
}
