/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "flow/access_book.h"
#include "base/vec.h"
#include "store/db.h"

#define X(name, sql) [SQL_##name] = sql,
static const char *const statements[SQL_COUNT] = { STORE_STATEMENTS(X) };
#undef X

/* ---- statements ------------------------------------------------------------------------- */

int db_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

int db_error(struct store *s, int code)
{
	(void)snprintf(s->error, sizeof(s->error), "%s", s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
	return db_errno(code);
}

sqlite3_stmt *db_stmt(struct store *s, enum store_statement which)
{
	sqlite3_stmt **q = &s->stmt[which];
	int r;

	if (!*q) {
		r = sqlite3_prepare_v3(s->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, q, NULL);
		if (r != SQLITE_OK) {
			(void)db_error(s, r);
			return NULL;
		}
	} else {
		/* The result of the last step was seen by whoever made it. */
		(void)sqlite3_reset(*q);
		(void)sqlite3_clear_bindings(*q);
	}
	return *q;
}

int db_run(struct store *s, sqlite3_stmt *q)
{
	int r;

	if (!q)
		return -EIO;
	r = sqlite3_step(q);
	if (r != SQLITE_DONE) {
		r = r == SQLITE_ROW ? -EIO : db_error(s, r);
		(void)sqlite3_reset(q);
		return r;
	}
	(void)sqlite3_reset(q); /* done: cannot fail */
	return 0;
}

int db_row(struct store *s, sqlite3_stmt *q)
{
	int r;

	if (!q)
		return -EIO;
	r = sqlite3_step(q);
	if (r == SQLITE_ROW)
		return 1;
	if (r != SQLITE_DONE)
		r = db_error(s, r);
	else
		r = 0;
	(void)sqlite3_reset(q);
	return r;
}

int db_run_durable(struct store *s, sqlite3_stmt *q, bool need)
{
	int r = db_run(s, q);

	if (!r && need && !sqlite3_changes(s->db))
		r = -ENOENT;
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

int db_texts(struct store *s, enum store_statement which, bool two, struct db_text_row **ret, size_t *ret_n)
{
	struct { struct db_text_row *v; size_t n, cap; } all = { };
	sqlite3_stmt *q = db_stmt(s, which);
	int r;

	while ((r = db_row(s, q)) == 1) {
		const char *a = db_get_text(q, 0), *b = two ? db_get_text(q, 1) : NULL;
		struct db_text_row row = { a ? strdup(a) : NULL, b ? strdup(b) : NULL };

		if (!row.a || (b && !row.b) || vec_push(&all, row)) {
			free(row.a);
			free(row.b);
			(void)sqlite3_reset(q); /* given up */
			r = -ENOMEM;
			break;
		}
	}
	*ret = all.v;
	*ret_n = all.n;
	return r;
}

int db_exec(struct store *s, const char *sql)
{
	return db_error(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

void db_text(sqlite3_stmt *q, int i, const char *text)
{
	if (q && text && *text)
		(void)sqlite3_bind_text(q, i, text, -1, SQLITE_STATIC);
}

void db_u64(sqlite3_stmt *q, int i, uint64_t v)
{
	if (q)
		(void)sqlite3_bind_int64(q, i, (sqlite3_int64)v);
}

void db_blob(sqlite3_stmt *q, int i, const void *p, size_t n)
{
	if (q)
		(void)sqlite3_bind_blob64(q, i, n ? p : "", n, SQLITE_STATIC);
}

uint64_t db_get_u64(sqlite3_stmt *q, int i)
{
	return (uint64_t)sqlite3_column_int64(q, i);
}

const char *db_get_text(sqlite3_stmt *q, int i)
{
	return (const char *)sqlite3_column_text(q, i);
}

int db_get_blob(sqlite3_stmt *q, int i, void *to, size_t n)
{
	const void *p = sqlite3_column_blob(q, i);

	if ((size_t)sqlite3_column_bytes(q, i) != n || !p)
		return -EBADMSG;
	memcpy(to, p, n);
	return 0;
}

int db_series_get(struct store *s, const char *name, uint64_t *ret)
{
	sqlite3_stmt *q = db_stmt(s, SQL_SERIES_GET);
	int r;

	db_text(q, 1, name);
	r = db_row(s, q);
	if (r < 0)
		return r;
	*ret = r ? db_get_u64(q, 0) : 0;
	if (r)
		(void)sqlite3_reset(q);
	return 0;
}

static int series_write(struct store *s, enum store_statement which, const char *name, uint64_t v)
{
	sqlite3_stmt *q = db_stmt(s, which);

	db_text(q, 1, name);
	db_u64(q, 2, v);
	return db_run(s, q);
}

int db_series_set(struct store *s, const char *name, uint64_t v)
{
	return series_write(s, SQL_SERIES_SET, name, v);
}

int db_series_add(struct store *s, const char *name, uint64_t n)
{
	return series_write(s, SQL_SERIES_ADD, name, n);
}

/* ---- transactions ------------------------------------------------------------------------- */

static int depth_exec(struct store *s, const char *fmt)
{
	char sql[64];

	/* fmt is one of three literals below, with one number. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(sql, sizeof(sql), fmt, s->depth);
#pragma GCC diagnostic pop
	return db_exec(s, sql);
}

int store_begin(struct store *s, bool durable)
{
	int r;

	if (s->failed || s->depth >= STORE_DEPTH_MAX)
		return -EINVAL;
	if (s->depth == 0) {
		/* Cannot be changed inside a transaction; NORMAL still syncs at checkpoints. */
		if (s->full != durable) {
			r = db_exec(s, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
			if (r < 0)
				return r;
			s->full = durable;
		}
		r = db_exec(s, "BEGIN IMMEDIATE");
	} else {
		r = depth_exec(s, "SAVEPOINT level%u");
	}
	if (!r)
		s->depth++;
	return r;
}

int store_commit(struct store *s)
{
	int r;

	if (!s->depth)
		return -EINVAL;
	if (s->failed || sqlite3_get_autocommit(s->db)) {
		/* SQLite rolled the whole transaction back by itself (disk full, no memory). */
		store_rollback(s);
		return -EIO;
	}
	s->depth--;
	if (s->depth)
		return depth_exec(s, "RELEASE level%u");
	r = db_exec(s, "COMMIT");
	if (r < 0) {
		char why[sizeof(s->error)];

		memcpy(why, s->error, sizeof(why));
		s->depth++;
		store_rollback(s);
		memcpy(s->error, why, sizeof(why));
		return r;
	}
	if (s->flushed)
		access_book_clean(s->flushed);
	s->flushed = NULL;
	return 0;
}

void store_rollback(struct store *s)
{
	char why[sizeof(s->error)];

	if (!s->depth)
		return;
	memcpy(why, s->error, sizeof(why));
	s->flushed = NULL; /* its marks stay: written again the next time */
	s->depth--;
	if (s->depth && !sqlite3_get_autocommit(s->db)) {
		if (depth_exec(s, "ROLLBACK TO level%u") < 0 || depth_exec(s, "RELEASE level%u") < 0)
			s->failed = true;
	} else if (s->depth) {
		s->failed = true; /* nothing is open any more; the outer levels must not commit */
	} else {
		if (!sqlite3_get_autocommit(s->db))
			(void)db_exec(s, "ROLLBACK"); /* the only thing left to try */
		s->failed = false;
	}
	memcpy(s->error, why, sizeof(why));
}

/* ---- opening ------------------------------------------------------------------------------- */

const char *store_moved(const struct store *s)
{
	return s->moved;
}

const char *store_error(const struct store *s)
{
	return s->error;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	while (s->depth)
		store_rollback(s);
	for (size_t i = 0; i < SQL_COUNT; i++)
		(void)sqlite3_finalize(s->stmt[i]);
	(void)sqlite3_close(s->db); /* all statements are final: cannot be busy */
	free(s->moved);
	free(s);
}

static void store_freep(struct store **s)
{
	store_close(*s);
}

/* 0, -EBADMSG when the file is damaged, or another errno. Indexes are not compared row by row:
 * a large file must not keep the daemon from starting for long. */
static int check_integrity(struct store *s)
{
	sqlite3_stmt *q = NULL;
	const char *text;
	int r = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &q, NULL);

	if (r != SQLITE_OK)
		return db_error(s, r);
	r = sqlite3_step(q);
	text = r == SQLITE_ROW ? db_get_text(q, 0) : NULL;
	if (text && strcmp(text, "ok")) {
		(void)snprintf(s->error, sizeof(s->error), "%s", text);
		r = -EBADMSG;
	} else {
		r = r == SQLITE_ROW ? 0 : db_error(s, r);
	}
	sqlite3_finalize(q);
	return r;
}

static int open_once(const char *path, int64_t now_ns, struct fail_list *f, struct store *s)
{
	int r;

	r = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (r != SQLITE_OK)
		return db_error(s, r);
	(void)sqlite3_extended_result_codes(s->db, 0);
	(void)sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	(void)sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, 64 << 20);
	/* A file from outside must not run code of its own. */
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* One daemon, one connection: no other process may write beside us, and none can while we
	 * hold the lock from the first transaction on. */
	r = db_exec(s, "PRAGMA locking_mode=EXCLUSIVE");
	if (!r)
		r = db_exec(s, "PRAGMA journal_mode=WAL");
	if (!r)
		r = db_exec(s, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864;"
			       "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384");
	s->full = true;
	if (!r)
		r = check_integrity(s);
	if (!r)
		r = store_migrate(s, now_ns, f);
	return r;
}

static int move_one(const char *path, const char *to, const char *suffix)
{
	auto_free char *a = NULL, *b = NULL;

	if (asprintf(&a, "%s%s", path, suffix) < 0)
		return -ENOMEM;
	if (asprintf(&b, "%s%s", to, suffix) < 0)
		return -ENOMEM;
	if (rename(a, b) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* The damaged file and its journal keep their names apart from the ending. */
static int move_aside(const char *path, int64_t now_ns, char **ret)
{
	auto_free char *to = NULL;
	struct stat st;
	int r;

	for (int i = 0;; i++) {
		free(to);
		to = NULL;
		if (asprintf(&to, i ? "%s.corrupt-%lld.%d" : "%s.corrupt-%lld", path,
			     (long long)(now_ns / 1000000000), i) < 0) {
			to = NULL;
			return -ENOMEM;
		}
		if (lstat(to, &st) < 0)
			break;
		if (i == 1000)
			return -EEXIST;
	}
	r = move_one(path, to, "");
	if (!r)
		r = move_one(path, to, "-wal");
	if (!r)
		r = move_one(path, to, "-shm");
	if (!r)
		*ret = take_ptr(to);
	return r;
}

static struct store *store_alloc(void)
{
	return calloc(1, sizeof(struct store));
}

int store_open(const char *path, int64_t now_ns, struct fail_list *f, struct store **ret)
{
	auto_cleanup(store_freep) struct store *s = store_alloc();
	auto_free char *moved = NULL;
	char why[sizeof(s->error)];
	int fd, r;

	if (!s)
		return -ENOMEM;
	/* It names who talks to whom: nobody but its owner reads it. SQLite keeps the mode. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = -errno;
		return fail_add(f, r, "store.open", path, "a file this daemon may write", NULL, "the store cannot be opened: %s",
				strerror(-r));
	}
	close(fd);
	r = open_once(path, now_ns, f, s);
	if (r == -EBADMSG) {
		memcpy(why, s->error, sizeof(why));
		store_close(take_ptr(s));
		r = move_aside(path, now_ns, &moved);
		if (r < 0)
			return fail_add(f, r, "store.corrupt", path, "a sound file", NULL,
					"the store is damaged (%s) and cannot be moved aside", why);
		(void)fail_add(f, 0, "store.corrupt", path, "a sound file",
			       "restore a backup, or apply your rules again; the old file is kept",
			       "the store is damaged (%s); it was moved to %s and a new one was begun", why, moved);
		s = store_alloc();
		if (!s)
			return -ENOMEM;
		r = open_once(path, now_ns, f, s);
		s->moved = take_ptr(moved);
	}
	if (r == -EBUSY)
		return fail_add(f, r, "store.locked", path, "no other cellwalld on this file", "systemctl status cellwalld",
				"another process holds the store");
	if (r == -EPROTO)
		return r; /* said by store_migrate */
	if (r < 0)
		return fail_add(f, r, "store.open", path, "a file this daemon may write", NULL, "the store cannot be opened: %s",
				s->error);
	*ret = take_ptr(s);
	return 0;
}
