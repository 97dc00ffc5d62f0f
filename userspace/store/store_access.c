/* SPDX-License-Identifier: Apache-2.0 */
/* store_access.c - writing the access book: what is dirty, in one transaction. */
#include "store/store_access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/model_doc.h"
#include "store/db.h"
#include "store/figures.h"

static int write_end(void *arg, const struct access_end *e)
{
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_END_PUT);
	auto_free char *labels = NULL;

	if (e->labels.n) {
		labels = model_doc_of_labels(&e->labels);
		if (!labels)
			return -ENOMEM;
	}
	db_u64(q, 1, e->num);
	db_u64(q, 2, e->kind);
	db_text(q, 3, e->ref);
	db_text(q, 4, e->ns);
	db_text(q, 5, e->kind == ACCESS_CONTROLLER ? e->controller_kind : e->kind == ACCESS_FQDN ? e->fqdn : e->pod);
	db_text(q, 6, e->controller_name);
	db_text(q, 7, labels);
	db_blob(q, 8, e->prefix.addr.b, 16);
	db_u64(q, 9, e->prefix.plen);
	db_u64(q, 10, e->prefix.v6);
	db_u64(q, 11, e->reserved);
	return db_run(s, q);
}

static int write_point(void *arg, const struct access_point *p)
{
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_POINT_PUT);

	db_u64(q, 1, p->num);
	db_text(q, 2, p->ref);
	db_text(q, 3, p->ns);
	db_text(q, 4, p->name);
	db_text(q, 5, p->uid);
	db_u64(q, 6, p->reserved);
	db_blob(q, 7, p->addr.b, 16);
	return db_run(s, q);
}

static int write_access(void *arg, const struct access *a)
{
	uint64_t counts[COUNTS_WORDS], sides[2 * SIDE_WORDS], days[ACCESS_DAYS_MAX * DAY_WORDS];
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_ACCESS_PUT);

	counts_pack(&a->c, counts);
	sides_pack(a->side, sides);
	for (size_t i = 0; i < a->ndays; i++) {
		days[i * DAY_WORDS] = htole64((uint64_t)a->days[i].hours << 32 | a->days[i].day);
		days[i * DAY_WORDS + 1] = htole64(a->days[i].flows);
		days[i * DAY_WORDS + 2] = htole64(a->days[i].answered);
		days[i * DAY_WORDS + 3] = htole64(a->days[i].refused);
	}
	db_u64(q, 1, a->num);
	db_text(q, 2, a->id);
	db_u64(q, 3, a->src->num);
	db_u64(q, 4, a->dst->num);
	db_u64(q, 5, a->proto);
	db_u64(q, 6, a->port);
	db_u64(q, 7, a->decision);
	db_text(q, 8, a->decided_by);
	db_u64(q, 9, (uint64_t)a->decided_ns);
	db_u64(q, 10, a->hold);
	db_u64(q, 11, (uint64_t)a->first_ns);
	db_u64(q, 12, (uint64_t)a->last_ns);
	db_u64(q, 13, a->flows6);
	db_blob(q, 14, counts, sizeof(counts));
	db_blob(q, 15, sides, sizeof(sides));
	db_blob(q, 16, days, a->ndays * DAY_WORDS * sizeof(*days));
	db_u64(q, 17, a->scan);
	return db_run(s, q);
}

static int write_member(void *arg, const struct access_member *m)
{
	uint64_t counts[COUNTS_WORDS], sides[2 * SIDE_WORDS];
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_MEMBER_PUT);

	counts_pack(&m->c, counts);
	sides_pack(m->side, sides);
	db_u64(q, 1, m->num);
	db_u64(q, 2, m->access->num);
	db_u64(q, 3, m->src ? m->src->num : 0);
	db_u64(q, 4, m->dst ? m->dst->num : 0);
	db_u64(q, 5, m->family);
	db_u64(q, 6, (uint64_t)m->first_ns);
	db_u64(q, 7, (uint64_t)m->last_ns);
	db_blob(q, 8, counts, sizeof(counts));
	db_blob(q, 9, sides, sizeof(sides));
	return db_run(s, q);
}

static int write_scan(void *arg, const struct access_scan *x)
{
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_SCAN_PUT);

	db_u64(q, 1, x->num);
	db_u64(q, 2, x->src->num);
	db_u64(q, 3, x->point ? x->point->num : 0);
	db_u64(q, 4, (uint64_t)x->first_ns);
	db_u64(q, 5, (uint64_t)x->last_ns);
	db_u64(q, 6, x->ports);
	db_u64(q, 7, x->peers);
	db_u64(q, 8, x->held);
	db_u64(q, 9, x->folded);
	db_u64(q, 10, x->folded_flows);
	db_u64(q, 11, x->folded_packets);
	db_u64(q, 12, x->folded_bytes);
	db_u64(q, 13, x->folded_refused);
	db_u64(q, 14, x->folded_would);
	db_u64(q, 15, x->folded_dropped);
	return db_run(s, q);
}

static int write_counter(void *arg, const struct access_counter *c)
{
	uint64_t last[COUNTS_WORDS];
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_COUNTER_PUT);

	counts_pack(&c->last, last);
	db_u64(q, 1, c->num);
	db_u64(q, 2, c->instance);
	db_u64(q, 3, c->epoch);
	db_blob(q, 4, &c->key, sizeof(c->key));
	db_u64(q, 5, c->member ? c->member->num : 0);
	db_u64(q, 6, c->scan ? c->scan->num : 0);
	db_blob(q, 7, last, sizeof(last));
	db_u64(q, 8, (uint64_t)c->last_ns);
	return db_run(s, q);
}

static int write_instance(void *arg, const struct access_instance *i)
{
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_INST_PUT);
	int r;

	db_u64(q, 1, i->instance);
	db_u64(q, 2, i->any_done);
	db_u64(q, 3, i->done_epoch);
	db_u64(q, 4, (uint64_t)i->last_ns);
	r = db_run(s, q);
	if (r < 0 || !i->any_done)
		return r;
	q = db_stmt(s, SQL_COUNTER_DONE);
	db_u64(q, 1, i->instance);
	db_u64(q, 2, i->done_epoch);
	return db_run(s, q);
}

static int write_instance_gone(void *arg, uint64_t instance)
{
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_COUNTER_DONE);
	int r;

	db_u64(q, 1, instance);
	db_u64(q, 2, UINT32_MAX);
	r = db_run(s, q);
	if (r < 0)
		return r;
	q = db_stmt(s, SQL_INST_DEL);
	db_u64(q, 1, instance);
	return db_run(s, q);
}

static int write_fold(void *arg, const struct access_fold *f)
{
	uint64_t v[FOLD_WORDS] = {
		htole64(f->last.pair_flows), htole64(f->last.folded_flows), htole64(f->last.folded_drops),
		htole64(f->last.lost), htole64(f->sum.pair_flows), htole64(f->sum.folded_flows),
		htole64(f->sum.folded_drops), htole64(f->sum.lost),
	};
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_FOLD_PUT);

	if (!q)
		return -EIO;
	db_u64(q, 1, f->num);
	(void)sqlite3_bind_text(q, 2, f->ns, -1, SQLITE_STATIC); /* "" is what nobody's ends are put to */
	(void)sqlite3_bind_text(q, 3, f->name, -1, SQLITE_STATIC);
	db_u64(q, 4, f->instance);
	db_blob(q, 5, v, sizeof(v));
	db_u64(q, 6, f->refused);
	db_u64(q, 7, (uint64_t)f->last_ns);
	return db_run(s, q);
}

static int write_alert(void *arg, const struct alert *a)
{
	uint64_t sides[2 * SIDE_WORDS], by[2];
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_ALERT_PUT);

	sides_pack(a->side, sides);
	verdict_pack(&a->by, by);
	db_u64(q, 1, a->num);
	db_text(q, 2, a->id);
	db_u64(q, 3, a->kind);
	db_text(q, 4, a->access);
	db_u64(q, 5, a->scan);
	db_text(q, 6, a->src);
	db_text(q, 7, a->dst);
	db_u64(q, 8, a->proto);
	db_u64(q, 9, a->port);
	db_u64(q, 10, a->outcome);
	db_blob(q, 11, sides, sizeof(sides));
	db_u64(q, 12, a->by_side);
	db_u64(q, 13, a->reason);
	db_u64(q, 14, a->severity);
	db_u64(q, 15, a->count);
	db_u64(q, 16, a->ports);
	db_u64(q, 17, a->peers);
	db_u64(q, 18, (uint64_t)a->first_ns);
	db_u64(q, 19, (uint64_t)a->last_ns);
	db_text(q, 20, a->acked_by);
	db_text(q, 21, a->note);
	db_u64(q, 22, (uint64_t)a->acked_ns);
	db_u64(q, 23, a->count_acked);
	db_blob(q, 24, by, sizeof(by));
	return db_run(s, q);
}

static int write_alert_gone(void *arg, uint64_t num)
{
	struct store *s = arg;
	sqlite3_stmt *q = db_stmt(s, SQL_ALERT_DEL);

	db_u64(q, 1, num);
	return db_run(s, q);
}

static const struct access_visitor writer = {
	.end = write_end,
	.point = write_point,
	.access = write_access,
	.member = write_member,
	.scan = write_scan,
	.counter = write_counter,
	.instance = write_instance,
	.instance_gone = write_instance_gone,
	.fold = write_fold,
};

int store_access_flush(struct store *s, struct access_book *b)
{
	struct alert_book *alerts = access_book_alerts(b);
	int r;

	if (!access_book_is_dirty(b))
		return 0;
	r = store_begin(s, false);
	if (r < 0)
		return r;
	r = access_book_dirty(b, &writer, s);
	if (!r)
		r = alert_book_dirty(alerts, write_alert, write_alert_gone, s);
	if (!r)
		r = db_series_set(s, "pruned alerts", alert_book_pruned(alerts));
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	s->flushed = b;
	return store_commit(s);
}

int store_access_commit(struct store *s, struct access_book *b, const struct node_access *a, size_t n,
			const struct node_fold *folds, size_t nfolds, int64_t now_ns,
			struct access_applied *ret)
{
	struct access_applied did;
	int r;

	if (s->depth)
		return -EBUSY; /* an outer rollback would take back what the node was told is safe */
	r = access_book_apply(b, a, n, folds, nfolds, now_ns, &did);
	if (r < 0)
		return r;
	r = store_access_flush(s, b);
	if (!r && ret)
		*ret = did;
	return r;
}

int store_access_epoch_done(struct store *s, struct access_book *b, uint64_t instance, uint32_t epoch,
			    int64_t now_ns)
{
	int r;

	if (s->depth)
		return -EBUSY;
	r = access_book_epoch_done(b, instance, epoch, now_ns);
	return r < 0 ? r : store_access_flush(s, b);
}
