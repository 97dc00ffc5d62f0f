/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spool.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/db.h"

#define SPOOL_SCHEMA 1
#define SPOOL_BUSY_MS 2000

enum spool_sql { SPOOL_LEN, SPOOL_PUT, SPOOL_LIST, SPOOL_ACK_SUM, SPOOL_ACK, SPOOL_COUNT, SPOOL_TRIM_SUM, SPOOL_TRIM,
		 SPOOL_STATEMENTS };
static const char *const statements[SPOOL_STATEMENTS] = {
	[SPOOL_LEN] = "SELECT length(body) FROM spool WHERE kind=?1 AND key=?2",
	[SPOOL_PUT] = "INSERT OR REPLACE INTO spool(kind,key,body) VALUES(?1,?2,?3)",
	[SPOOL_LIST] = "SELECT seq,kind,key,body FROM spool ORDER BY seq",
	[SPOOL_ACK_SUM] = "SELECT count(*),total(length(key)+length(body)) FROM spool WHERE seq<=?1",
	[SPOOL_ACK] = "DELETE FROM spool WHERE seq<=?1",
	[SPOOL_COUNT] = "SELECT count(*) FROM spool WHERE kind=?1",
	[SPOOL_TRIM_SUM] = ("SELECT count(*),total(length(key)+length(body)) FROM spool WHERE seq IN "
			    "(SELECT seq FROM spool WHERE kind=?1 ORDER BY seq LIMIT ?2)"),
	[SPOOL_TRIM] = "DELETE FROM spool WHERE seq IN (SELECT seq FROM spool WHERE kind=?1 ORDER BY seq LIMIT ?2)",
};

struct spool {
	sqlite3 *db;
	sqlite3_stmt *stmt[SPOOL_STATEMENTS];
	struct spool_figures fig, before; /* before: as the open transaction found them */
	bool open;			  /* a transaction is open */
};

static int exec(struct spool *s, const char *sql)
{
	return db_errno(sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

static sqlite3_stmt *stmt(struct spool *s, enum spool_sql which)
{
	sqlite3_stmt **q = &s->stmt[which];

	if (!*q) {
		if (sqlite3_prepare_v3(s->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, q, NULL) != SQLITE_OK)
			*q = NULL;
	} else {
		(void)sqlite3_reset(*q); /* its last step's result was seen by whoever made it */
		(void)sqlite3_clear_bindings(*q);
	}
	return *q;
}

/* One step and done: 0, or the errno. */
static int run(sqlite3_stmt *q)
{
	int r = q ? db_errno(sqlite3_step(q)) : -EIO;

	if (q)
		(void)sqlite3_reset(q);
	return r;
}

/* The two figures of a sum. */
static int sum(sqlite3_stmt *q, uint64_t *ret_n, uint64_t *ret_bytes)
{
	int r = q ? sqlite3_step(q) : SQLITE_ERROR;

	if (r == SQLITE_ROW) {
		*ret_n = (uint64_t)sqlite3_column_int64(q, 0);
		*ret_bytes = (uint64_t)sqlite3_column_double(q, 1);
	}
	if (q)
		(void)sqlite3_reset(q);
	return r == SQLITE_ROW ? 0 : db_errno(r) ?: -EIO;
}

static void close_db(struct spool *s)
{
	for (int i = 0; i < SPOOL_STATEMENTS; i++) {
		(void)sqlite3_finalize(s->stmt[i]);
		s->stmt[i] = NULL;
	}
	(void)sqlite3_close(s->db);
	s->db = NULL;
}

static int is_sound(struct spool *s)
{
	sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &q, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_step(q);
	if (r == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(q, 0) ?: "", "ok"))
		r = SQLITE_CORRUPT;
	(void)sqlite3_finalize(q);
	return db_errno(r);
}

static int schema_is_ours(struct spool *s)
{
	sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL), v = 0;

	if (r == SQLITE_OK)
		r = sqlite3_step(q);
	if (r == SQLITE_ROW)
		v = sqlite3_column_int(q, 0);
	(void)sqlite3_finalize(q);
	if (r != SQLITE_ROW)
		return db_errno(r) ?: -EIO;
	return v == 0 || v == SPOOL_SCHEMA ? 0 : -EBADMSG;
}

static int open_db(struct spool *s, const char *path)
{
	int r = db_errno(sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
					 SQLITE_OPEN_NOFOLLOW, NULL));

	if (r)
		return r;
	(void)sqlite3_busy_timeout(s->db, SPOOL_BUSY_MS);
	r = exec(s, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
		    "PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=4194304");
	r = r ?: is_sound(s);
	r = r ?: schema_is_ours(s);
	r = r ?: exec(s, "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS spool(seq INTEGER PRIMARY KEY AUTOINCREMENT, "
			 "kind INTEGER NOT NULL, key BLOB NOT NULL, body BLOB NOT NULL, UNIQUE(kind,key)); "
			 "PRAGMA user_version=1; COMMIT");
	return r ?: sum(stmt(s, SPOOL_ACK_SUM) ? (sqlite3_bind_int64(s->stmt[SPOOL_ACK_SUM], 1, INT64_MAX),
						  s->stmt[SPOOL_ACK_SUM]) : NULL, &s->fig.rows, &s->fig.bytes);
}

static int move_away(const char *path)
{
	static const char *const tails[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		auto_free char *from = NULL, *to = NULL;

		if (asprintf(&from, "%s%s", path, tails[i]) < 0) {
			from = NULL;
			return -ENOMEM;
		}
		if (asprintf(&to, "%s.corrupt%s", path, tails[i]) < 0) {
			to = NULL;
			return -ENOMEM;
		}
		if (rename(from, to) && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int spool_open(const char *path, uint64_t bytes_max, struct fail_list *f, struct spool **ret)
{
	struct spool *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return fail_add(f, -ENOMEM, "spool.memory", NULL, NULL, NULL, "no memory");
	r = open_db(s, path);
	if (r == -EBADMSG) {
		close_db(s);
		r = move_away(path);
		s->fig = (struct spool_figures){ };
		r = r ?: open_db(s, path);
		if (!r)
			fail_add(f, 0, "spool.corrupt", path, NULL, NULL,
				 "the spool of reports was damaged and is kept as %s.corrupt; a new one was begun", path);
	}
	if (r < 0) {
		fail_add(f, r, r == -EBUSY ? "spool.locked" : "spool.open", path, "a file that can be written", NULL,
			 "cannot open the spool of reports: %s", s->db ? sqlite3_errmsg(s->db) : strerror(-r));
		close_db(s);
		free(s);
		return r;
	}
	s->fig.bytes_max = bytes_max;
	*ret = s;
	return 0;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	close_db(s);
	free(s);
}

int spool_begin(struct spool *s)
{
	int r = s->open ? -EALREADY : exec(s, "BEGIN IMMEDIATE");

	if (r)
		return r;
	s->before = s->fig;
	s->open = true;
	return 0;
}

int spool_commit(struct spool *s)
{
	int r = s->open ? exec(s, "COMMIT") : -EINVAL;

	if (r)
		spool_rollback(s);
	s->open = false;
	return r;
}

void spool_rollback(struct spool *s)
{
	uint64_t refused = s->fig.refused;

	if (!s->open)
		return;
	(void)exec(s, "ROLLBACK"); /* SQLite may have done so itself */
	s->open = false;
	s->fig = s->before;
	s->fig.refused = refused;
}

int spool_put(struct spool *s, unsigned kind, const void *key, size_t key_len, const void *body, size_t body_len)
{
	uint64_t was = 0, need = key_len + body_len;
	bool have = false;
	sqlite3_stmt *q;
	int r;

	if (!key_len || key_len > SPOOL_KEY_MAX || body_len > SPOOL_BODY_MAX)
		return -E2BIG;
	q = stmt(s, SPOOL_LEN);
	if (!q)
		return -EIO;
	(void)sqlite3_bind_int64(q, 1, kind); /* without memory the step fails */
	(void)sqlite3_bind_blob(q, 2, key, (int)key_len, SQLITE_STATIC);
	r = sqlite3_step(q);
	if (r == SQLITE_ROW) {
		have = true;
		was = key_len + (uint64_t)sqlite3_column_int64(q, 0);
	}
	(void)sqlite3_reset(q);
	r = db_errno(r);
	if (r)
		return r;
	if (s->fig.bytes - was + need > s->fig.bytes_max) {
		s->fig.refused++;
		return -ENOSPC;
	}
	q = stmt(s, SPOOL_PUT);
	if (!q)
		return -EIO;
	(void)sqlite3_bind_int64(q, 1, kind);
	(void)sqlite3_bind_blob(q, 2, key, (int)key_len, SQLITE_STATIC);
	(void)sqlite3_bind_blob(q, 3, body_len ? body : "", (int)body_len, SQLITE_STATIC);
	r = run(q);
	if (r)
		return r;
	s->fig.bytes += need - was;
	s->fig.rows += !have;
	s->fig.replaced += have;
	return 0;
}

int spool_each(struct spool *s, int (*fn)(void *arg, const struct spool_row *r), void *arg)
{
	sqlite3_stmt *q = stmt(s, SPOOL_LIST);
	int r, stop = 0;

	if (!q)
		return -EIO;
	while (!stop && (r = sqlite3_step(q)) == SQLITE_ROW) {
		const struct spool_row row = {
			.seq = (uint64_t)sqlite3_column_int64(q, 0), .kind = (unsigned)sqlite3_column_int64(q, 1),
			.key = sqlite3_column_blob(q, 2), .key_len = (size_t)sqlite3_column_bytes(q, 2),
			.body = sqlite3_column_blob(q, 3), .body_len = (size_t)sqlite3_column_bytes(q, 3),
		};

		stop = fn(arg, &row);
	}
	(void)sqlite3_reset(q);
	return stop ? stop : db_errno(r);
}

int spool_ack(struct spool *s, uint64_t seq)
{
	uint64_t n = 0, bytes = 0;
	sqlite3_stmt *q = stmt(s, SPOOL_ACK_SUM);
	int r;

	if (q)
		(void)sqlite3_bind_int64(q, 1, (int64_t)seq);
	r = sum(q, &n, &bytes);
	if (r || !n)
		return r;
	q = stmt(s, SPOOL_ACK);
	if (q)
		(void)sqlite3_bind_int64(q, 1, (int64_t)seq);
	r = run(q);
	if (r)
		return r;
	s->fig.rows -= n;
	s->fig.bytes -= bytes;
	s->fig.taken += n;
	return 0;
}

int spool_trim(struct spool *s, unsigned kind, uint64_t keep)
{
	uint64_t n = 0, bytes = 0, have = 0, none = 0;
	sqlite3_stmt *q = stmt(s, SPOOL_COUNT);
	int r;

	if (q)
		(void)sqlite3_bind_int64(q, 1, kind);
	r = sum(q, &have, &none);
	if (r || have <= keep)
		return r;
	for (int i = SPOOL_TRIM_SUM; i <= SPOOL_TRIM && !r; i++) {
		q = stmt(s, (enum spool_sql)i);
		if (q) {
			(void)sqlite3_bind_int64(q, 1, kind);
			(void)sqlite3_bind_int64(q, 2, (int64_t)(have - keep));
		}
		r = i == SPOOL_TRIM ? run(q) : sum(q, &n, &bytes);
	}
	if (r)
		return r;
	s->fig.rows -= n;
	s->fig.bytes -= bytes;
	return (int)n;
}

void spool_figures_get(const struct spool *s, struct spool_figures *ret)
{
	*ret = s->fig;
}
