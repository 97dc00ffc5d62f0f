/* SPDX-License-Identifier: Apache-2.0 */
/* store_change.c - generations: rules, modes and quarantines with the span they held in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/htab.h"
#include "base/vec.h"
#include "policy/kpolicy.h"
#include "policy/model_doc.h"
#include "store/db.h"

/* Written to disk: never renumber. */
enum object_kind { OBJ_RULE = 1, OBJ_MODE = 2, OBJ_QUARANTINE = 3, OBJ_KPOLICY = 4 };

#define KEY_MAX 2048u
#define GENERATION "generation"

const char *change_state_str(enum change_state s)
{
	static const char *const words[CHANGE_STATES] = { "applied", "open", "confirmed", "reverted" };

	return (unsigned)s < CHANGE_STATES ? words[s] : NULL;
}

void change_done(struct change *c)
{
	free(c->what);
	free(c->who);
	free(c->via);
	free(c->undo);
	free(c->plan);
	free(c->receipts);
	*c = (struct change){ };
}

int store_generation(struct store *s, uint64_t *ret)
{
	return db_series_get(s, GENERATION, ret);
}

int store_number_next(struct store *s, const char *series, uint64_t *ret)
{
	char name[64];
	uint64_t n = 0;
	int r;

	if ((size_t)snprintf(name, sizeof(name), "number %s", series) >= sizeof(name))
		return -EINVAL;
	r = store_begin(s, true);
	if (r < 0)
		return r;
	r = db_series_add(s, name, 1);
	if (!r)
		r = db_series_get(s, name, &n);
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	r = store_commit(s);
	if (!r)
		*ret = n;
	return r;
}

int store_hold_set(struct store *s, int64_t since_ns)
{
	int r = store_begin(s, true);

	if (r < 0)
		return r;
	r = db_series_set(s, "held since", (uint64_t)since_ns);
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

int store_hold_get(struct store *s, int64_t *ret_since_ns)
{
	uint64_t v = 0;
	int r = db_series_get(s, "held since", &v);

	if (!r)
		*ret_since_ns = (int64_t)v;
	return r;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* Current rows, by kind and key: what is left over at the end is gone. */
struct diff {
	struct store *s;
	uint64_t generation;
	struct htab *current; /* kind byte + key to doc text */
	struct htab *seen;
};

/* Takes `text`. */
static int row_put(struct diff *d, enum object_kind kind, const char *key, char *text)
{
	auto_free char *doc = text;
	auto_free char *old = NULL;
	char name[KEY_MAX + 2];
	sqlite3_stmt *q;
	size_t len;
	int n, r;

	if (!doc)
		return -ENOMEM;
	if (strlen(doc) > STORE_TEXT_MAX)
		return -E2BIG;
	n = snprintf(name, sizeof(name), "%c%s", (char)kind, key);
	if (n < 0 || n > (int)KEY_MAX)
		return -E2BIG;
	len = (size_t)n;
	if (htab_has(d->seen, name, len))
		return -EEXIST; /* two objects of one name */
	r = htab_set(d->seen, name, len, d, NULL);
	if (r < 0)
		return r;
	old = htab_del(d->current, name, len);
	if (old && !strcmp(old, doc))
		return 0;
	if (old) {
		q = db_stmt(d->s, SQL_OBJ_END);
		db_u64(q, 1, kind);
		db_text(q, 2, key);
		db_u64(q, 3, d->generation);
		r = db_run(d->s, q);
		if (r < 0)
			return r;
	}
	q = db_stmt(d->s, SQL_OBJ_ADD);
	db_u64(q, 1, kind);
	db_text(q, 2, key);
	db_u64(q, 3, d->generation);
	db_text(q, 4, doc);
	return db_run(d->s, q);
}

static int rows_end(struct diff *d)
{
	const void *key;
	size_t it = 0, len;
	void *v;

	while (htab_next(d->current, &it, &key, &len, &v)) {
		sqlite3_stmt *q = db_stmt(d->s, SQL_OBJ_END);
		auto_free char *text = strndup((const char *)key + 1, len - 1);
		int r;

		if (!text)
			return -ENOMEM;
		db_u64(q, 1, (uint64_t)*(const char *)key);
		db_text(q, 2, text);
		db_u64(q, 3, d->generation);
		r = db_run(d->s, q);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_current(struct diff *d)
{
	sqlite3_stmt *q = db_stmt(d->s, SQL_OBJ_CURRENT);
	int r;

	while ((r = db_row(d->s, q)) == 1) {
		const char *key = db_get_text(q, 1), *doc = db_get_text(q, 2);
		char name[KEY_MAX + 2];
		char *copy;
		int n;

		n = key && doc ? snprintf(name, sizeof(name), "%c%s", (char)db_get_u64(q, 0), key) : -1;
		if (n < 0 || n > (int)KEY_MAX) {
			r = -EBADMSG;
			break;
		}
		copy = strdup(doc);
		r = copy ? htab_set(d->current, name, (size_t)n, copy, NULL) : -ENOMEM;
		if (r < 0) {
			free(copy);
			break;
		}
	}
	(void)sqlite3_reset(q); /* left early only on a failure that is reported */
	return r;
}

static int rows_put(struct diff *d, const struct policy_state *next)
{
	char key[KEY_MAX];
	int r = 0;

	for (size_t i = 0; i < next->nrules && !r; i++) {
		const struct rule *x = &next->rules[i];

		(void)snprintf(key, sizeof(key), "%s/%s", x->ns ? x->ns : "", x->name ? x->name : "");
		r = row_put(d, OBJ_RULE, key, model_doc_of_rule(x));
	}
	for (size_t i = 0; i < next->nmodes && !r; i++) {
		const struct mode_setting *x = &next->modes[i];

		(void)snprintf(key, sizeof(key), "%d/%s/%s/%s/%s%s%s", x->scope, x->ns ? x->ns : "",
			       x->controller_kind ? x->controller_kind : "", x->controller_name ? x->controller_name : "",
			       x->workload ? x->workload : "", x->name ? "/" : "", x->name ? x->name : "");
		r = row_put(d, OBJ_MODE, key, model_doc_of_mode(x));
	}
	for (size_t i = 0; i < next->nquarantines && !r; i++) {
		const struct quarantine *x = &next->quarantines[i];

		r = row_put(d, OBJ_QUARANTINE, x->name ? x->name : "", model_doc_of_quarantine(x));
	}
	for (size_t i = 0; i < next->nkpolicies && !r; i++) {
		const struct kpolicy *x = &next->kpolicies[i];

		(void)snprintf(key, sizeof(key), "%d/%s/%s", x->kind, x->ns ? x->ns : "", x->name ? x->name : "");
		r = row_put(d, OBJ_KPOLICY, key, model_doc_of_kpolicy(x));
	}
	return r;
}

static int objects_write(struct store *s, const struct policy_state *next)
{
	struct diff d = { .s = s, .generation = next->generation };
	int r = -ENOMEM;

	d.current = htab_new();
	d.seen = htab_new();
	if (d.current && d.seen) {
		r = read_current(&d);
		if (!r)
			r = rows_put(&d, next);
		if (!r)
			r = rows_end(&d);
	}
	htab_free(d.current, free);
	htab_free(d.seen, NULL);
	return r;
}

static int change_write(struct store *s, const struct change *c)
{
	sqlite3_stmt *q = db_stmt(s, SQL_CHANGE_ADD);
	int r;

	db_u64(q, 1, c->generation);
	db_u64(q, 2, c->base);
	db_text(q, 3, c->what);
	db_text(q, 4, c->who);
	db_text(q, 5, c->via);
	db_u64(q, 6, (uint64_t)c->at_ns);
	db_u64(q, 7, (uint64_t)c->until_ns);
	db_u64(q, 8, c->state);
	db_u64(q, 9, c->reverted_by);
	db_text(q, 10, c->undo);
	db_text(q, 11, c->plan);
	db_u64(q, 12, c->flows);
	r = db_run(s, q);
	for (size_t i = 0; i < c->nreceipts && !r; i++)
		r = store_receipt_put(s, c->generation, &c->receipts[i]);
	return r;
}

int store_change_commit(struct store *s, const struct policy_state *next, const struct change *c)
{
	uint64_t have;
	int r;

	r = store_begin(s, true);
	if (r < 0)
		return r;
	r = store_generation(s, &have);
	if (!r && (c->generation != next->generation || c->generation != have + 1))
		r = -ESTALE;
	if (!r && (unsigned)c->state >= CHANGE_STATES)
		r = -EINVAL;
	if (!r)
		r = objects_write(s, next);
	if (!r)
		r = change_write(s, c);
	if (!r)
		r = db_series_set(s, GENERATION, c->generation);
	if (!r)
		r = db_history_prune(s, c->generation);
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

int store_change_mark(struct store *s, uint64_t generation, enum change_state state, uint64_t reverted_by)
{
	sqlite3_stmt *q;
	int r;

	if ((unsigned)state >= CHANGE_STATES)
		return -EINVAL;
	r = store_begin(s, true);
	if (r < 0)
		return r;
	q = db_stmt(s, SQL_CHANGE_MARK);
	db_u64(q, 1, generation);
	db_u64(q, 2, state);
	db_u64(q, 3, reverted_by);
	r = db_run(s, q);
	if (!r && !sqlite3_changes(s->db))
		r = -ENOENT;
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

int store_receipt_put(struct store *s, uint64_t generation, const struct node_receipt *x)
{
	sqlite3_stmt *q = db_stmt(s, SQL_RECEIPT_PUT);

	if (!memchr(x->node, 0, sizeof(x->node)) || !memchr(x->note, 0, sizeof(x->note)))
		return -EINVAL;
	if (!q)
		return -EIO;
	db_u64(q, 1, generation);
	(void)sqlite3_bind_text(q, 2, x->node, -1, SQLITE_STATIC); /* part of the key: "" is a name too */
	db_u64(q, 3, x->applied);
	db_u64(q, 4, x->generation);
	db_u64(q, 5, x->after_us);
	db_u64(q, 6, x->entries);
	db_u64(q, 7, x->entries_max);
	db_u64(q, 8, x->rows);
	db_u64(q, 9, x->groups);
	db_u64(q, 10, x->verdicts);
	db_u64(q, 11, x->flows_cut);
	db_text(q, 12, x->note);
	return db_run(s, q);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Copies a column's text; NULL stays NULL. */
static int col_dup(sqlite3_stmt *q, int i, char **to)
{
	const char *text = db_get_text(q, i);

	*to = NULL;
	if (!text)
		return 0;
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

static int change_read(sqlite3_stmt *q, struct change *ret)
{
	uint64_t state = db_get_u64(q, 7), flows = db_get_u64(q, 11);

	if (state >= CHANGE_STATES || flows > POLICY_KEEP)
		return -EBADMSG;
	*ret = (struct change){
		.generation = db_get_u64(q, 0), .base = db_get_u64(q, 1), .at_ns = (int64_t)db_get_u64(q, 5),
		.until_ns = (int64_t)db_get_u64(q, 6), .state = (enum change_state)state,
		.reverted_by = db_get_u64(q, 8), .flows = (enum policy_flows)flows,
	};
	if (col_dup(q, 2, &ret->what) || col_dup(q, 3, &ret->who) || col_dup(q, 4, &ret->via) ||
	    col_dup(q, 9, &ret->undo) || col_dup(q, 10, &ret->plan)) {
		change_done(ret);
		return -ENOMEM;
	}
	return 0;
}

static void text_to(const char *text, char *to, size_t size)
{
	(void)snprintf(to, size, "%s", text ? text : ""); /* written from a field of this size */
}

static int receipts_read(struct store *s, struct change *c)
{
	struct { struct node_receipt *v; size_t n, cap; } all = { };
	sqlite3_stmt *q = db_stmt(s, SQL_RECEIPT_LIST);
	int r;

	db_u64(q, 1, c->generation);
	while ((r = db_row(s, q)) == 1) {
		struct node_receipt x = {
			.applied = db_get_u64(q, 1) != 0, .generation = db_get_u64(q, 2),
			.after_us = (uint32_t)db_get_u64(q, 3), .entries = (uint32_t)db_get_u64(q, 4),
			.entries_max = (uint32_t)db_get_u64(q, 5), .rows = (uint32_t)db_get_u64(q, 6),
			.groups = (uint32_t)db_get_u64(q, 7), .verdicts = (uint32_t)db_get_u64(q, 8),
			.flows_cut = (uint32_t)db_get_u64(q, 9),
		};

		text_to(db_get_text(q, 0), x.node, sizeof(x.node));
		text_to(db_get_text(q, 10), x.note, sizeof(x.note));
		if (vec_push(&all, x)) {
			(void)sqlite3_reset(q); /* given up */
			vec_done(&all);
			return -ENOMEM;
		}
	}
	if (r < 0) {
		vec_done(&all);
		return r;
	}
	c->receipts = all.v;
	c->nreceipts = all.n;
	return 0;
}

/* The one row of q, with its receipts. */
static int change_one(struct store *s, sqlite3_stmt *q, struct change *ret)
{
	struct change c;
	int r = db_row(s, q);

	if (r <= 0)
		return r ? r : -ENOENT;
	r = change_read(q, &c);
	(void)sqlite3_reset(q); /* its one row was read */
	if (r < 0)
		return r;
	r = receipts_read(s, &c);
	if (r < 0) {
		change_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

int store_change_load(struct store *s, uint64_t generation, struct change *ret)
{
	sqlite3_stmt *q = db_stmt(s, SQL_CHANGE_GET);

	db_u64(q, 1, generation);
	return change_one(s, q, ret);
}

int store_change_open(struct store *s, struct change *ret)
{
	return change_one(s, db_stmt(s, SQL_CHANGE_OPEN), ret);
}

int store_change_each(struct store *s, uint64_t before, size_t limit,
		      int (*fn)(void *arg, const struct change *c), void *arg)
{
	struct { struct change *v; size_t n, cap; } all = { };
	sqlite3_stmt *q = db_stmt(s, SQL_CHANGE_LIST);
	struct change c;
	int r;

	db_u64(q, 1, before);
	db_u64(q, 2, limit < STORE_CHANGES_MAX ? limit : STORE_CHANGES_MAX);
	/* Gathered first, so that fn may use the store. */
	while ((r = db_row(s, q)) == 1) {
		r = change_read(q, &c);
		if (!r && vec_push(&all, c)) {
			change_done(&c);
			r = -ENOMEM;
		}
		if (r < 0)
			break;
	}
	if (q)
		(void)sqlite3_reset(q); /* its failure was seen */
	for (size_t i = 0; i < all.n; i++) {
		if (!r)
			r = fn(arg, &all.v[i]);
		change_done(&all.v[i]);
	}
	vec_done(&all);
	return r < 0 ? r : 0;
}

struct state_lists {
	struct { struct rule *v; size_t n, cap; } rules;
	struct { struct mode_setting *v; size_t n, cap; } modes;
	struct { struct quarantine *v; size_t n, cap; } quarantines;
	struct { struct kpolicy *v; size_t n, cap; } kpolicies;
};

static int object_read(uint64_t kind, const char *doc, struct state_lists *l)
{
	int r;

	switch (kind) {
	case OBJ_RULE:
		r = vec_reserve(&l->rules, l->rules.n + 1);
		if (!r)
			r = model_doc_to_rule(doc, &l->rules.v[l->rules.n]);
		l->rules.n += !r;
		return r;
	case OBJ_MODE:
		r = vec_reserve(&l->modes, l->modes.n + 1);
		if (!r)
			r = model_doc_to_mode(doc, &l->modes.v[l->modes.n]);
		l->modes.n += !r;
		return r;
	case OBJ_QUARANTINE:
		r = vec_reserve(&l->quarantines, l->quarantines.n + 1);
		if (!r)
			r = model_doc_to_quarantine(doc, &l->quarantines.v[l->quarantines.n]);
		l->quarantines.n += !r;
		return r;
	case OBJ_KPOLICY:
		r = vec_reserve(&l->kpolicies, l->kpolicies.n + 1);
		if (!r)
			r = model_doc_to_kpolicy(doc, &l->kpolicies.v[l->kpolicies.n]);
		l->kpolicies.n += !r;
		return r;
	default:
		return -EBADMSG;
	}
}

int store_state_load(struct store *s, uint64_t generation, struct policy_state *ret)
{
	struct state_lists l = { };
	uint64_t have, oldest;
	sqlite3_stmt *q;
	int r;

	r = store_generation(s, &have);
	if (!r)
		r = store_generation_oldest(s, &oldest);
	if (r)
		return r;
	if (!generation)
		generation = have;
	else if (generation > have || generation < oldest)
		return -ENOENT;
	q = db_stmt(s, SQL_OBJ_AT);
	db_u64(q, 1, generation);
	while ((r = db_row(s, q)) == 1) {
		const char *doc = db_get_text(q, 2);

		r = doc ? object_read(db_get_u64(q, 0), doc, &l) : -EBADMSG;
		if (r < 0) {
			(void)snprintf(s->error, sizeof(s->error), "row \"%.200s\" is damaged", db_get_text(q, 1));
			(void)sqlite3_reset(q); /* given up */
			break;
		}
	}
	if (r < 0) {
		for (size_t i = 0; i < l.rules.n; i++)
			rule_done(&l.rules.v[i]);
		for (size_t i = 0; i < l.modes.n; i++)
			mode_setting_done(&l.modes.v[i]);
		for (size_t i = 0; i < l.quarantines.n; i++)
			quarantine_done(&l.quarantines.v[i]);
		for (size_t i = 0; i < l.kpolicies.n; i++)
			kpolicy_done(&l.kpolicies.v[i]);
		vec_done(&l.kpolicies);
		vec_done(&l.rules);
		vec_done(&l.modes);
		vec_done(&l.quarantines);
		return r;
	}
	ret->generation = generation;
	ret->rules = l.rules.v;
	ret->nrules = l.rules.n;
	ret->modes = l.modes.v;
	ret->nmodes = l.modes.n;
	ret->quarantines = l.quarantines.v;
	ret->nquarantines = l.quarantines.n;
	ret->kpolicies = l.kpolicies.v;
	ret->nkpolicies = l.kpolicies.n;
	return 0;
}
