/* SPDX-License-Identifier: Apache-2.0 */
/* store_inventory.c - declared workloads, namespaces, identity numbers, and system events. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/model_doc.h"
#include "store/db.h"

#define NETNS_MAX 4096u	      /* a path */
#define IDENT_KEY_MAX 65536u
#define EVENT_TEXT_MAX 4096u  /* longer ones are cut */
#define EVENT_SLACK 1000u     /* pruned by the thousand, not one by one */

int store_workload_put(struct store *s, const struct workload *w, const char *netns, int64_t now_ns)
{
	auto_free char *doc = model_doc_of_workload(w);
	sqlite3_stmt *q;
	int r;

	if (!doc)
		return -ENOMEM;
	if (!w->ns || !*w->ns || !w->name || !*w->name)
		return -EINVAL;
	if (strlen(doc) > STORE_TEXT_MAX || (netns && strlen(netns) > NETNS_MAX))
		return -E2BIG;
	r = store_begin(s, true);
	if (r < 0)
		return r;
	q = db_stmt(s, SQL_WL_PUT);
	db_text(q, 1, w->ns);
	db_text(q, 2, w->name);
	db_text(q, 3, netns);
	db_text(q, 4, doc);
	db_u64(q, 5, (uint64_t)now_ns);
	return db_run_durable(s, q, false);
}

int store_workload_del(struct store *s, const char *ns, const char *name)
{
	sqlite3_stmt *q;
	int r = store_begin(s, true);

	if (r < 0)
		return r;
	q = db_stmt(s, SQL_WL_DEL);
	db_text(q, 1, ns);
	db_text(q, 2, name);
	return db_run_durable(s, q, true);
}

int store_workload_each(struct store *s, int (*fn)(void *arg, const struct workload *w, const char *netns),
			void *arg)
{
	struct db_text_row *rows;
	size_t n;
	int r = db_texts(s, SQL_WL_LIST, true, &rows, &n);

	for (size_t i = 0; i < n; i++) {
		struct workload w = { };

		if (!r)
			r = model_doc_to_workload(rows[i].a, &w);
		if (!r)
			r = fn(arg, &w, rows[i].b);
		workload_done(&w);
		free(rows[i].a);
		free(rows[i].b);
	}
	free(rows);
	return r < 0 ? r : 0;
}

int store_namespace_put(struct store *s, const struct namespace *n)
{
	auto_free char *doc = model_doc_of_namespace(n);
	sqlite3_stmt *q;
	int r;

	if (!doc)
		return -ENOMEM;
	if (!n->name || !*n->name)
		return -EINVAL;
	if (strlen(doc) > STORE_TEXT_MAX)
		return -E2BIG;
	r = store_begin(s, true);
	if (r < 0)
		return r;
	q = db_stmt(s, SQL_NS_PUT);
	db_text(q, 1, n->name);
	db_text(q, 2, doc);
	return db_run_durable(s, q, false);
}

int store_namespace_del(struct store *s, const char *name)
{
	sqlite3_stmt *q;
	int r = store_begin(s, true);

	if (r < 0)
		return r;
	q = db_stmt(s, SQL_NS_DEL);
	db_text(q, 1, name);
	return db_run_durable(s, q, true);
}

int store_namespace_each(struct store *s, int (*fn)(void *arg, const struct namespace *n), void *arg)
{
	struct db_text_row *rows;
	size_t n;
	int r = db_texts(s, SQL_NS_LIST, false, &rows, &n);

	for (size_t i = 0; i < n; i++) {
		struct namespace x = { };

		if (!r)
			r = model_doc_to_namespace(rows[i].a, &x);
		if (!r)
			r = fn(arg, &x);
		namespace_done(&x);
		free(rows[i].a);
	}
	free(rows);
	return r < 0 ? r : 0;
}

/* ---- identities --------------------------------------------------------------------------- */

int store_ident_put(struct store *s, struct ident id, const void *key, size_t len)
{
	sqlite3_stmt *q;
	int r, rows = 0;
	bool same = true;

	if (!id.n || !len)
		return -EINVAL;
	if (len > IDENT_KEY_MAX)
		return -E2BIG;
	r = store_begin(s, true);
	if (r < 0)
		return r;
	q = db_stmt(s, SQL_IDENT_GET);
	db_u64(q, 1, id.n);
	db_blob(q, 2, key, len);
	while ((r = db_row(s, q)) == 1) {
		const void *have = sqlite3_column_blob(q, 1);

		rows++;
		same = same && db_get_u64(q, 0) == id.n && (size_t)sqlite3_column_bytes(q, 1) == len && have &&
		       !memcmp(have, key, len);
	}
	if (!r && rows) {
		store_rollback(s);
		return same ? 0 : -EEXIST;
	}
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	q = db_stmt(s, SQL_IDENT_ADD);
	db_u64(q, 1, id.n);
	db_blob(q, 2, key, len);
	return db_run_durable(s, q, false);
}

int store_ident_del(struct store *s, struct ident id)
{
	sqlite3_stmt *q;
	int r = store_begin(s, true);

	if (r < 0)
		return r;
	q = db_stmt(s, SQL_IDENT_DEL);
	db_u64(q, 1, id.n);
	return db_run_durable(s, q, true);
}

int store_ident_each(struct store *s, int (*fn)(void *arg, struct ident id, const void *key, size_t len),
		     void *arg)
{
	sqlite3_stmt *q = db_stmt(s, SQL_IDENT_LIST);
	int r;

	while ((r = db_row(s, q)) == 1) {
		uint64_t n = db_get_u64(q, 0);
		size_t len = (size_t)sqlite3_column_bytes(q, 1);

		r = n && n <= UINT32_MAX && len ? 0 : -EBADMSG;
		if (!r)
			r = fn(arg, (struct ident){ (uint32_t)n }, sqlite3_column_blob(q, 1), len);
		if (r) {
			(void)sqlite3_reset(q); /* given up */
			break;
		}
	}
	return r < 0 ? r : 0;
}

/* ---- events --------------------------------------------------------------------------------- */

static int events_prune(struct store *s, uint64_t newest)
{
	sqlite3_stmt *q;
	int r;

	if (newest <= STORE_EVENTS_MAX || newest % EVENT_SLACK)
		return 0;
	q = db_stmt(s, SQL_EVENT_PRUNE);
	db_u64(q, 1, newest - STORE_EVENTS_MAX);
	r = db_run(s, q);
	if (!r && sqlite3_changes(s->db))
		r = db_series_add(s, "pruned events", (uint64_t)sqlite3_changes(s->db));
	return r;
}

int store_event_add(struct store *s, int64_t at_ns, const char *reason, const char *workload, const char *text)
{
	auto_free char *cut = NULL;
	sqlite3_stmt *q;
	int r;

	if (!reason || !*reason)
		return -EINVAL;
	if (text && strlen(text) > EVENT_TEXT_MAX) {
		cut = strndup(text, EVENT_TEXT_MAX);
		if (!cut)
			return -ENOMEM;
		text = cut;
	}
	r = store_begin(s, false);
	if (r < 0)
		return r;
	q = db_stmt(s, SQL_EVENT_ADD);
	db_u64(q, 1, (uint64_t)at_ns);
	db_text(q, 2, reason);
	db_text(q, 3, workload);
	db_text(q, 4, text);
	r = db_run(s, q);
	if (!r)
		r = events_prune(s, (uint64_t)sqlite3_last_insert_rowid(s->db));
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

int store_event_each(struct store *s, uint64_t before, size_t limit,
		     int (*fn)(void *arg, const struct store_event *e), void *arg)
{
	sqlite3_stmt *q = db_stmt(s, SQL_EVENT_LIST);
	int r;

	db_u64(q, 1, before);
	db_u64(q, 2, limit < STORE_EVENTS_MAX ? limit : STORE_EVENTS_MAX);
	while ((r = db_row(s, q)) == 1) {
		struct store_event e = {
			.num = db_get_u64(q, 0), .at_ns = (int64_t)db_get_u64(q, 1), .reason = db_get_text(q, 2),
			.workload = db_get_text(q, 3), .text = db_get_text(q, 4),
		};

		if (!e.text)
			e.text = "";
		r = e.reason ? fn(arg, &e) : -EBADMSG;
		if (r) {
			(void)sqlite3_reset(q); /* given up */
			break;
		}
	}
	return r < 0 ? r : 0;
}

int store_pruned(struct store *s, uint64_t *ret_events, uint64_t *ret_changes)
{
	uint64_t events, changes;
	int r = db_series_get(s, "pruned events", &events);

	if (!r)
		r = db_series_get(s, "pruned changes", &changes);
	if (r)
		return r;
	*ret_events = events;
	*ret_changes = changes;
	return 0;
}
