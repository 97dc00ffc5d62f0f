/* SPDX-License-Identifier: Apache-2.0 */
/* store_hour.c - totals by minute, so that "in the last hour" holds across a restart. */
#include <errno.h>

#include "store/db.h"

int store_hour_put(struct store *s, const struct store_hour *h)
{
	sqlite3_stmt *q = db_stmt(s, SQL_HOUR_PUT);

	if (!h->ns || !*h->ns)
		return -EINVAL;
	db_text(q, 1, h->ns);
	db_u64(q, 2, (uint64_t)h->minute);
	db_u64(q, 3, h->would);
	db_u64(q, 4, h->dropped);
	return db_run(s, q);
}

int store_hour_prune(struct store *s, int64_t before_minute)
{
	sqlite3_stmt *q = db_stmt(s, SQL_HOUR_PRUNE);

	db_u64(q, 1, (uint64_t)before_minute);
	return db_run(s, q);
}

int store_hour_each(struct store *s, int (*fn)(void *arg, const struct store_hour *h), void *arg)
{
	sqlite3_stmt *q = db_stmt(s, SQL_HOUR_LIST);
	int r;

	while ((r = db_row(s, q)) == 1) {
		const struct store_hour h = { db_get_text(q, 0), (int64_t)db_get_u64(q, 1), db_get_u64(q, 2),
					      db_get_u64(q, 3) };

		r = h.ns ? fn(arg, &h) : -EBADMSG;
		if (r) {
			(void)sqlite3_reset(q); /* its step went well */
			return r;
		}
	}
	return r;
}
