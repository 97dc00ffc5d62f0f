/* SPDX-License-Identifier: Apache-2.0 */
/* db.h - inside of the store: the connection, its statements, binding. Only store/ includes it. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct access_book;

/* Every statement of the store. Prepared once, at first use; all inputs are bound. */
#define STORE_STATEMENTS(X) \
	X(SERIES_GET, "SELECT value FROM series WHERE name=?1") \
	X(SERIES_SET, "INSERT INTO series(name,value) VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET " \
		      "value=excluded.value") \
	X(SERIES_ADD, "INSERT INTO series(name,value) VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET " \
		      "value=value+excluded.value") \
	X(OBJ_CURRENT, "SELECT kind,key,doc FROM object WHERE until IS NULL ORDER BY kind,key") \
	X(OBJ_AT, "SELECT kind,key,doc FROM object WHERE since<=?1 AND (until IS NULL OR until>?1) " \
		  "ORDER BY kind,key") \
	X(OBJ_END, "UPDATE object SET until=?3 WHERE kind=?1 AND key=?2 AND until IS NULL") \
	X(OBJ_ADD, "INSERT INTO object(kind,key,since,doc) VALUES(?1,?2,?3,?4)") \
	X(OBJ_PRUNE, "DELETE FROM object WHERE until<=?1") \
	X(CHANGE_ADD, "INSERT INTO change(generation,base,what,who,via,at_ns,until_ns,state,reverted_by,undo," \
		      "plan,flows) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)") \
	X(CHANGE_GET, "SELECT generation,base,what,who,via,at_ns,until_ns,state,reverted_by,undo,plan,flows " \
		      "FROM change WHERE generation=?1") \
	X(CHANGE_LIST, "SELECT generation,base,what,who,via,at_ns,until_ns,state,reverted_by,undo,plan,flows " \
		       "FROM change WHERE (?1=0 OR generation<?1) ORDER BY generation DESC LIMIT ?2") \
	X(CHANGE_OPEN, "SELECT generation,base,what,who,via,at_ns,until_ns,state,reverted_by,undo,plan,flows " \
		       "FROM change WHERE state=1 ORDER BY generation DESC LIMIT 1") \
	X(CHANGE_MARK, "UPDATE change SET state=?2,reverted_by=?3 WHERE generation=?1") \
	X(CHANGE_OLDEST, "SELECT MIN(generation) FROM change") \
	X(CHANGE_PRUNE, "DELETE FROM change WHERE generation<=?1") \
	X(RECEIPT_PUT, "INSERT OR REPLACE INTO receipt(generation,node,applied,in_force,after_us,entries," \
		       "entries_max,rows_used,groups_used,verdicts,flows_cut,note) " \
		       "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)") \
	X(RECEIPT_LIST, "SELECT node,applied,in_force,after_us,entries,entries_max,rows_used,groups_used," \
			"verdicts,flows_cut,note FROM receipt WHERE generation=?1 ORDER BY node") \
	X(RECEIPT_PRUNE, "DELETE FROM receipt WHERE generation<=?1") \
	X(WL_PUT, "INSERT INTO workload(ns,name,netns,doc,at_ns) VALUES(?1,?2,?3,?4,?5) " \
		  "ON CONFLICT(ns,name) DO UPDATE SET netns=excluded.netns,doc=excluded.doc,at_ns=excluded.at_ns") \
	X(WL_DEL, "DELETE FROM workload WHERE ns=?1 AND name=?2") \
	X(WL_LIST, "SELECT doc,netns FROM workload ORDER BY ns,name") \
	X(NS_PUT, "INSERT INTO namespace(name,doc) VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET " \
		  "doc=excluded.doc") \
	X(NS_DEL, "DELETE FROM namespace WHERE name=?1") \
	X(NS_LIST, "SELECT doc FROM namespace ORDER BY name") \
	X(SVC_PUT, "INSERT INTO service(ns,name,doc) VALUES(?1,?2,?3) ON CONFLICT(ns,name) DO UPDATE SET " \
		   "doc=excluded.doc") \
	X(SVC_DEL, "DELETE FROM service WHERE ns=?1 AND name=?2") \
	X(SVC_LIST, "SELECT doc FROM service ORDER BY ns,name") \
	X(IDENT_GET, "SELECT number,key FROM ident WHERE number=?1 OR key=?2") \
	X(IDENT_ADD, "INSERT INTO ident(number,key) VALUES(?1,?2)") \
	X(IDENT_DEL, "DELETE FROM ident WHERE number=?1") \
	X(IDENT_LIST, "SELECT number,key FROM ident ORDER BY number") \
	X(EVENT_ADD, "INSERT INTO event(at_ns,reason,workload,text) VALUES(?1,?2,?3,?4)") \
	X(EVENT_LIST, "SELECT num,at_ns,reason,workload,text FROM event WHERE (?1=0 OR num<?1) " \
		      "ORDER BY num DESC LIMIT ?2") \
	X(EVENT_PRUNE, "DELETE FROM event WHERE num<=?1") \
	X(HOUR_PUT, "INSERT OR REPLACE INTO hour(ns,minute,would,dropped) VALUES(?1,?2,?3,?4)") \
	X(HOUR_PRUNE, "DELETE FROM hour WHERE minute<?1") \
	X(HOUR_LIST, "SELECT ns,minute,would,dropped FROM hour ORDER BY ns,minute") \
	X(KUBE_PUT, "INSERT OR REPLACE INTO kube(kind,ns,name,uid,version,base,held,window,ours) " \
		    "VALUES(?1,ifnull(?2,''),?3,?4,?5,?6,?7,?8,?9)") \
	X(KUBE_DEL, "DELETE FROM kube WHERE kind=?1 AND ns=ifnull(?2,'') AND name=?3") \
	X(KUBE_LIST, "SELECT kind,ns,name,uid,version,base,held,window,ours FROM kube ORDER BY kind,ns,name") \
	X(NODE_PUT, "INSERT OR REPLACE INTO node(name,doc) VALUES(?1,?2)") \
	X(NODE_DEL, "DELETE FROM node WHERE name=?1") \
	X(NODE_LIST, "SELECT doc FROM node ORDER BY name") \
	X(SHADOW_PUT, "INSERT OR REPLACE INTO shadow(one,doc) VALUES(1,?1)") \
	X(SHADOW_DEL, "DELETE FROM shadow") \
	X(SHADOW_GET, "SELECT doc FROM shadow") \
	X(SEEN_PUT, "INSERT OR REPLACE INTO shadow_seen(access,flows,doc) VALUES(?1,?2,?3)") \
	X(SEEN_DEL, "DELETE FROM shadow_seen") \
	X(SEEN_LIST, "SELECT access,flows,doc FROM shadow_seen ORDER BY access") \
	X(END_PUT, "INSERT OR REPLACE INTO access_end(num,kind,ref,ns,a,b,labels,prefix,plen,v6," \
		   "reserved) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)") \
	X(END_LIST, "SELECT num,kind,ref,ns,a,b,labels,prefix,plen,v6,reserved FROM access_end ORDER BY num") \
	X(POINT_PUT, "INSERT OR REPLACE INTO access_point(num,ref,ns,name,uid,reserved,addr) " \
		     "VALUES(?1,?2,?3,?4,?5,?6,?7)") \
	X(POINT_LIST, "SELECT num,ref,ns,name,uid,reserved,addr FROM access_point ORDER BY num") \
	X(ACCESS_PUT, "INSERT OR REPLACE INTO access(num,id,src,dst,proto,port,decision,decided_by,decided_ns," \
		      "hold,first_ns,last_ns,flows6,counts,sides,days,scan) " \
		      "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)") \
	X(ACCESS_LIST, "SELECT num,id,src,dst,proto,port,decision,decided_by,decided_ns,hold,first_ns,last_ns," \
		       "flows6,counts,sides,days,scan FROM access ORDER BY num") \
	X(MEMBER_PUT, "INSERT OR REPLACE INTO access_member(num,access,src,dst,family,first_ns,last_ns,counts," \
		      "sides) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)") \
	X(MEMBER_LIST, "SELECT num,access,src,dst,family,first_ns,last_ns,counts,sides " \
		       "FROM access_member ORDER BY num") \
	X(SCAN_PUT, "INSERT OR REPLACE INTO access_scan(num,src,point,first_ns,last_ns,ports,peers,held,folded," \
		    "folded_flows,folded_packets,folded_bytes,folded_refused,folded_would,folded_dropped) " \
		    "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)") \
	X(SCAN_LIST, "SELECT num,src,point,first_ns,last_ns,ports,peers,held,folded,folded_flows,folded_packets," \
		     "folded_bytes,folded_refused,folded_would,folded_dropped FROM access_scan ORDER BY num") \
	X(INST_PUT, "INSERT OR REPLACE INTO access_instance(instance,any_done,done_epoch,last_ns) " \
		    "VALUES(?1,?2,?3,?4)") \
	X(INST_DEL, "DELETE FROM access_instance WHERE instance=?1") \
	X(INST_LIST, "SELECT instance,any_done,done_epoch,last_ns FROM access_instance") \
	X(COUNTER_PUT, "INSERT OR REPLACE INTO access_counter(num,instance,epoch,key,member,scan,last," \
		       "last_ns) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)") \
	X(COUNTER_DONE, "DELETE FROM access_counter WHERE instance=?1 AND epoch<=?2") \
	X(COUNTER_LIST, "SELECT num,instance,epoch,key,member,scan,last,last_ns FROM access_counter ORDER BY num") \
	X(FOLD_PUT, "INSERT OR REPLACE INTO access_fold(num,ns,name,instance,figures,refused,last_ns) " \
		    "VALUES(?1,?2,?3,?4,?5,?6,?7)") \
	X(FOLD_LIST, "SELECT num,ns,name,instance,figures,refused,last_ns FROM access_fold ORDER BY num") \
	X(ALERT_PUT, "INSERT OR REPLACE INTO alert(num,id,kind,access,scan,src,dst,proto,port,outcome,sides," \
		     "by_side,reason,severity,count,ports,peers,first_ns,last_ns,acked_by,note,acked_ns," \
		     "count_acked,by_verdict) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17," \
		     "?18,?19,?20,?21,?22,?23,?24)") \
	X(ALERT_DEL, "DELETE FROM alert WHERE num=?1") \
	X(ALERT_LIST, "SELECT num,id,kind,access,scan,src,dst,proto,port,outcome,sides,by_side,reason,severity," \
		      "count,ports,peers,first_ns,last_ns,acked_by,note,acked_ns,count_acked,by_verdict " \
		      "FROM alert ORDER BY num")

#define X(name, sql) SQL_##name,
enum store_statement { STORE_STATEMENTS(X) SQL_COUNT };
#undef X

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[SQL_COUNT];
	unsigned depth;		/* open transactions, savepoints included */
	uint64_t generations;	/* states kept; 0: STORE_CHANGES_MAX */
	bool full;		/* synchronous=FULL is set now */
	bool failed;		/* an inner transaction was rolled back half-way: only rollback is left */
	struct access_book *flushed; /* to be marked clean by the outermost commit */
	char *moved;
	char error[256];
};

#define STORE_BUSY_MS 2000	/* how long another process may hold the file */
#define STORE_DEPTH_MAX 8u

/* Remembers SQLite's text and gives the errno for its code. */
int db_errno(int code); /* of an SQLite result code */
int db_error(struct store *s, int code);
/* The statement, reset and unbound. NULL: see store_error, -EIO. */
sqlite3_stmt *db_stmt(struct store *s, enum store_statement which);
/* Runs one that gives no rows. 0, -EEXIST (unique), -EIO, -ENOSPC, ... */
int db_run(struct store *s, sqlite3_stmt *q);
/* 1: a row is there; 0: no more (the statement is reset); negative errno. */
int db_row(struct store *s, sqlite3_stmt *q);
int db_exec(struct store *s, const char *sql);
/* One statement ends the transaction it is in; `need`: it must have changed something, or -ENOENT. */
int db_run_durable(struct store *s, sqlite3_stmt *q, bool need);
struct db_text_row { char *a, *b; };
/*
 * All rows of a list of one or two texts, so that a visitor may use the store. *ret and what is in
 * it are the caller's to free, also after an error: 0 or negative errno.
 */
int db_texts(struct store *s, enum store_statement which, bool two, struct db_text_row **ret, size_t *ret_n);

/* Binding cannot fail but for memory; SQLite then fails the step, so the results are not looked at. */
void db_text(sqlite3_stmt *q, int i, const char *text); /* borrowed until the step; NULL or "" bind NULL */
void db_u64(sqlite3_stmt *q, int i, uint64_t v);
void db_blob(sqlite3_stmt *q, int i, const void *p, size_t n);
uint64_t db_get_u64(sqlite3_stmt *q, int i);
const char *db_get_text(sqlite3_stmt *q, int i); /* NULL for NULL; until the next step */
/* A blob of exactly n bytes into to; -EBADMSG otherwise. */
int db_get_blob(sqlite3_stmt *q, int i, void *to, size_t n);

/* Numbers by name: 0 when it was never set. */
int db_series_get(struct store *s, const char *name, uint64_t *ret);
int db_series_set(struct store *s, const char *name, uint64_t value);
int db_series_add(struct store *s, const char *name, uint64_t n);

/* store_prune.c: after generation was written, in its transaction. */
int db_history_prune(struct store *s, uint64_t generation);
/* schema.c: brings the file to STORE_SCHEMA; -EPROTO when it is beyond. */
int store_migrate(struct store *s, int64_t now_ns, struct fail_list *f);
