/* SPDX-License-Identifier: Apache-2.0 */
/* store_prune.c - how much of the history is kept: rows that tell of changes for long, whole states
 * for as many generations as configured. */
#include "store/db.h"

#define OLDEST "oldest state"

static int prune(struct store *s, enum store_statement which, uint64_t last)
{
	sqlite3_stmt *q = db_stmt(s, which);

	db_u64(q, 1, last);
	return db_run(s, q);
}

static int rows_prune(struct store *s, uint64_t generation)
{
	uint64_t last;
	int r;

	if (generation <= STORE_CHANGES_MAX)
		return 0;
	last = generation - STORE_CHANGES_MAX;
	r = prune(s, SQL_CHANGE_PRUNE, last);
	if (!r && sqlite3_changes(s->db))
		r = db_series_add(s, "pruned changes", (uint64_t)sqlite3_changes(s->db));
	return r ?: prune(s, SQL_RECEIPT_PRUNE, last);
}

static int states_prune(struct store *s, uint64_t generation)
{
	uint64_t keep = s->generations ?: STORE_CHANGES_MAX, oldest, have = 0;
	sqlite3_stmt *q;
	int r;

	if (generation < keep)
		return 0;
	oldest = generation - keep + 1;
	q = db_stmt(s, SQL_CHANGE_OPEN);
	r = db_row(s, q);
	if (r > 0) {
		if (db_get_u64(q, 1) < oldest)
			oldest = db_get_u64(q, 1);
		(void)sqlite3_reset(q); /* its one row was read */
	}
	r = r < 0 ? r : db_series_get(s, OLDEST, &have);
	if (r < 0 || oldest <= have)
		return r;
	/* What ended with generation g was last in force under g - 1: no kept one needs it when g is
	 * the oldest or before. */
	r = prune(s, SQL_OBJ_PRUNE, oldest);
	return r ?: db_series_set(s, OLDEST, oldest);
}

void store_keep_generations(struct store *s, uint32_t n)
{
	s->generations = n < 2 ? 2 : n > STORE_CHANGES_MAX ? STORE_CHANGES_MAX : n;
}

int db_history_prune(struct store *s, uint64_t generation)
{
	int r = rows_prune(s, generation);

	return r ? r : states_prune(s, generation);
}

int store_generation_oldest(struct store *s, uint64_t *ret)
{
	sqlite3_stmt *q = db_stmt(s, SQL_CHANGE_OLDEST);
	uint64_t row, state = 0;
	int r = db_row(s, q);

	if (r < 0)
		return r;
	row = r ? db_get_u64(q, 0) : 0;
	if (r)
		(void)sqlite3_reset(q); /* its one row was read */
	r = db_series_get(s, OLDEST, &state);
	if (!r)
		*ret = row > state ? row : state;
	return r;
}
