/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c - tables, and how an older file becomes one of today.
 *
 * Rules, modes and quarantines are rows with the span of generations they held in: a generation
 * is restored by asking which rows held then, and a change writes only what it changed. Figures
 * of accesses are blobs of 64-bit little-endian numbers: they are read as a whole, at start.
 */
#include <errno.h>
#include <stdio.h>

#include "store/db.h"

static const char *const migrations[STORE_SCHEMA] = {
	/* 1 */
	"CREATE TABLE series(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE object(kind INTEGER NOT NULL, key TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER,"
	" doc TEXT NOT NULL, PRIMARY KEY(kind,key,since)) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX object_current ON object(kind,key) WHERE until IS NULL;"
	"CREATE INDEX object_ended ON object(until) WHERE until IS NOT NULL;"
	"CREATE TABLE change(generation INTEGER PRIMARY KEY, base INTEGER NOT NULL, what TEXT, who TEXT, via TEXT,"
	" at_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL, state INTEGER NOT NULL, reverted_by INTEGER NOT NULL,"
	" undo TEXT, plan TEXT);"
	"CREATE TABLE receipt(generation INTEGER NOT NULL, node TEXT NOT NULL, applied INTEGER NOT NULL,"
	" in_force INTEGER NOT NULL, after_us INTEGER NOT NULL, entries INTEGER NOT NULL, entries_max INTEGER NOT NULL,"
	" rows_used INTEGER NOT NULL, groups_used INTEGER NOT NULL, verdicts INTEGER NOT NULL, flows_cut INTEGER NOT NULL,"
	" note TEXT, PRIMARY KEY(generation,node)) WITHOUT ROWID;"
	"CREATE TABLE workload(ns TEXT NOT NULL, name TEXT NOT NULL, netns TEXT, doc TEXT NOT NULL, at_ns INTEGER NOT NULL,"
	" PRIMARY KEY(ns,name)) WITHOUT ROWID;"
	"CREATE TABLE namespace(name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE ident(number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);"
	"CREATE TABLE event(num INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, reason TEXT NOT NULL,"
	" workload TEXT, text TEXT);"
	"CREATE TABLE access_end(num INTEGER PRIMARY KEY, kind INTEGER NOT NULL, ref TEXT NOT NULL, ns TEXT, a TEXT, b TEXT,"
	" labels TEXT, prefix BLOB NOT NULL, plen INTEGER NOT NULL, v6 INTEGER NOT NULL, reserved INTEGER NOT NULL);"
	"CREATE TABLE access_point(num INTEGER PRIMARY KEY, ref TEXT NOT NULL, ns TEXT, name TEXT, uid TEXT,"
	" reserved INTEGER NOT NULL, addr BLOB NOT NULL);"
	"CREATE TABLE access(num INTEGER PRIMARY KEY, id TEXT NOT NULL, src INTEGER NOT NULL, dst INTEGER NOT NULL,"
	" proto INTEGER NOT NULL, port INTEGER NOT NULL, decision INTEGER NOT NULL, decided_by TEXT,"
	" decided_ns INTEGER NOT NULL, hold INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,"
	" flows6 INTEGER NOT NULL, counts BLOB NOT NULL, sides BLOB NOT NULL, days BLOB NOT NULL);"
	"CREATE TABLE access_member(num INTEGER PRIMARY KEY, access INTEGER NOT NULL, src INTEGER NOT NULL,"
	" dst INTEGER NOT NULL, family INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,"
	" counts BLOB NOT NULL, sides BLOB NOT NULL);"
	"CREATE TABLE access_scan(num INTEGER PRIMARY KEY, src INTEGER NOT NULL, point INTEGER NOT NULL,"
	" first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, ports INTEGER NOT NULL, peers INTEGER NOT NULL,"
	" held INTEGER NOT NULL, folded INTEGER NOT NULL, folded_flows INTEGER NOT NULL, folded_packets INTEGER NOT NULL,"
	" folded_bytes INTEGER NOT NULL, folded_refused INTEGER NOT NULL);"
	"CREATE TABLE access_instance(instance INTEGER PRIMARY KEY, any_done INTEGER NOT NULL, done_epoch INTEGER NOT NULL,"
	" last_ns INTEGER NOT NULL);"
	"CREATE TABLE access_counter(num INTEGER PRIMARY KEY, instance INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" key BLOB NOT NULL, member INTEGER NOT NULL, scan INTEGER NOT NULL, last BLOB NOT NULL, last_ns INTEGER NOT NULL);"
	"CREATE TABLE access_fold(num INTEGER PRIMARY KEY, ns TEXT NOT NULL, name TEXT NOT NULL, instance INTEGER NOT NULL,"
	" figures BLOB NOT NULL, refused INTEGER NOT NULL, last_ns INTEGER NOT NULL);"
	"CREATE TABLE alert(num INTEGER PRIMARY KEY, id TEXT NOT NULL, kind INTEGER NOT NULL, access TEXT,"
	" scan INTEGER NOT NULL,"
	" src TEXT, dst TEXT, proto INTEGER NOT NULL, port INTEGER NOT NULL, outcome INTEGER NOT NULL, sides BLOB NOT NULL,"
	" by_side INTEGER NOT NULL, reason INTEGER NOT NULL, severity INTEGER NOT NULL, count INTEGER NOT NULL,"
	" ports INTEGER NOT NULL, peers INTEGER NOT NULL, first_ns INTEGER NOT NULL,"
	" last_ns INTEGER NOT NULL, acked_by TEXT,"
	" note TEXT, acked_ns INTEGER NOT NULL, count_acked INTEGER NOT NULL, by_verdict BLOB NOT NULL);",
	/* 2 */
	"ALTER TABLE access ADD COLUMN scan INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE access_scan ADD COLUMN folded_would INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE access_scan ADD COLUMN folded_dropped INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE hour(ns TEXT NOT NULL, minute INTEGER NOT NULL, would INTEGER NOT NULL,"
	" dropped INTEGER NOT NULL, PRIMARY KEY(ns,minute)) WITHOUT ROWID;",
	/* 3; also objects of kind 4, which an older daemon would take for damage */
	"ALTER TABLE change ADD COLUMN flows INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE service(ns TEXT NOT NULL, name TEXT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY(ns,name)) WITHOUT ROWID;"
	"CREATE TABLE shadow(one INTEGER PRIMARY KEY CHECK(one=1), doc TEXT NOT NULL);"
	"CREATE TABLE shadow_seen(access INTEGER PRIMARY KEY, flows INTEGER NOT NULL, doc TEXT);",
	/* 4 */
	"CREATE TABLE kube(kind INTEGER NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, uid TEXT, version TEXT,"
	" base INTEGER NOT NULL, held INTEGER NOT NULL, window INTEGER NOT NULL, ours INTEGER NOT NULL,"
	" PRIMARY KEY(kind,ns,name)) WITHOUT ROWID;",
	/* 5 */
	"CREATE TABLE node(name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;",
};

static int version_of(struct store *s, uint64_t *ret)
{
	sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(s->db, "SELECT MAX(version) FROM migration", -1, &q, NULL);

	*ret = 0;
	if (r != SQLITE_OK)
		return db_error(s, r);
	r = sqlite3_step(q);
	if (r == SQLITE_ROW)
		*ret = (uint64_t)sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return r == SQLITE_ROW ? 0 : db_error(s, r);
}

int store_migrate(struct store *s, int64_t now_ns, struct fail_list *f)
{
	uint64_t have = 0;
	int r;

	r = store_begin(s, true);
	if (r < 0)
		return r;
	r = db_exec(s, "CREATE TABLE IF NOT EXISTS migration(version INTEGER PRIMARY KEY, applied_ns INTEGER NOT NULL)");
	if (!r)
		r = version_of(s, &have);
	if (!r && have > STORE_SCHEMA)
		r = fail_add(f, -EPROTO, "store.schema", sqlite3_db_filename(s->db, "main"),
			     "a file of this version or an older one",
			     "install the newer version again", "the store has schema %llu, this daemon knows up to %u",
			     (unsigned long long)have, STORE_SCHEMA);
	for (uint64_t v = have; !r && v < STORE_SCHEMA; v++) {
		char sql[128];

		r = db_exec(s, migrations[v]);
		(void)snprintf(sql, sizeof(sql), "INSERT INTO migration(version,applied_ns) VALUES(%llu,%lld)",
			       (unsigned long long)v + 1, (long long)now_ns);
		if (!r)
			r = db_exec(s, sql);
	}
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}
