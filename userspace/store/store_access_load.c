/* SPDX-License-Identifier: Apache-2.0 */
/* store_access_load.c - reading the access book; rows may be damaged and are checked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/model_doc.h"
#include "store/db.h"
#include "store/figures.h"
#include "store/store_access.h"

static int read_end(sqlite3_stmt *q, struct access_book *b)
{
	auto_cleanup(labels_done) struct labels l = { };
	uint64_t kind = db_get_u64(q, 1), plen = db_get_u64(q, 8), v6 = db_get_u64(q, 9);
	const char *labels = db_get_text(q, 6);
	struct access_end e = { .num = db_get_u64(q, 0), .kind = (enum access_end_kind)kind };
	int r;

	if (kind >= ACCESS_END_KINDS || v6 > 1 || plen > (v6 ? 128 : 32) ||
	    db_get_blob(q, 7, e.prefix.addr.b, 16) < 0)
		return -EBADMSG;
	/* Columns are borrowed: the book copies. */
	e.ref = (char *)db_get_text(q, 2);
	e.ns = (char *)db_get_text(q, 3);
	if (kind == ACCESS_CONTROLLER) {
		e.controller_kind = (char *)db_get_text(q, 4);
		e.controller_name = (char *)db_get_text(q, 5);
	} else if (kind == ACCESS_FQDN) {
		e.fqdn = (char *)db_get_text(q, 4);
	} else {
		e.pod = (char *)db_get_text(q, 4);
	}
	e.prefix.plen = (uint8_t)plen;
	e.prefix.v6 = (uint8_t)v6;
	e.reserved = (uint32_t)db_get_u64(q, 10);
	if (labels) {
		r = model_doc_to_labels(labels, &l);
		if (r < 0)
			return r;
		e.labels = l;
	}
	return access_book_load_end(b, &e);
}

static int read_point(sqlite3_stmt *q, struct access_book *b)
{
	struct access_point p = {
		.num = db_get_u64(q, 0), .ref = (char *)db_get_text(q, 1), .ns = (char *)db_get_text(q, 2),
		.name = (char *)db_get_text(q, 3), .uid = (char *)db_get_text(q, 4),
		.reserved = (uint32_t)db_get_u64(q, 5),
	};

	if (db_get_blob(q, 6, p.addr.b, 16) < 0)
		return -EBADMSG;
	return access_book_load_point(b, &p);
}

static int read_figures(sqlite3_stmt *q, int counts_col, struct access_counts *c, struct access_side side[2])
{
	uint64_t counts[COUNTS_WORDS], sides[2 * SIDE_WORDS];

	if (db_get_blob(q, counts_col, counts, sizeof(counts)) < 0)
		return -EBADMSG;
	counts_unpack(counts, c);
	if (!side)
		return 0;
	if (db_get_blob(q, counts_col + 1, sides, sizeof(sides)) < 0)
		return -EBADMSG;
	return sides_unpack(sides, side);
}

static int read_access(sqlite3_stmt *q, struct access_book *b)
{
	const char *id = db_get_text(q, 1);
	size_t size = (size_t)sqlite3_column_bytes(q, 15), n = size / (DAY_WORDS * sizeof(uint64_t));
	uint64_t raw[ACCESS_DAYS_MAX * DAY_WORDS];
	struct access_day days[ACCESS_DAYS_MAX];
	uint64_t decision = db_get_u64(q, 6), hold = db_get_u64(q, 9);
	struct access a = {
		.num = db_get_u64(q, 0), .proto = (uint8_t)db_get_u64(q, 4), .port = (uint16_t)db_get_u64(q, 5),
		.decision = (enum access_decision)decision, .decided_by = (char *)db_get_text(q, 7),
		.decided_ns = (int64_t)db_get_u64(q, 8), .hold = (enum access_hold)hold,
		.first_ns = (int64_t)db_get_u64(q, 10), .last_ns = (int64_t)db_get_u64(q, 11),
		.flows6 = db_get_u64(q, 12), .days = days, .ndays = n, .scan = db_get_u64(q, 16),
	};

	if (!id || strlen(id) >= sizeof(a.id) || decision > ACCESS_REJECTED || hold > ACCESS_HELD_UNRESOLVED ||
	    n > ACCESS_DAYS_MAX || (n && db_get_blob(q, 15, raw, n * DAY_WORDS * sizeof(*raw)) < 0) ||
	    read_figures(q, 13, &a.c, a.side) < 0)
		return -EBADMSG;
	memcpy(a.id, id, strlen(id) + 1);
	for (size_t i = 0; i < n; i++)
		days[i] = (struct access_day){
			.day = (uint32_t)le64toh(raw[i * DAY_WORDS]), .hours = (uint32_t)(le64toh(raw[i * DAY_WORDS]) >> 32),
			.flows = le64toh(raw[i * DAY_WORDS + 1]), .answered = le64toh(raw[i * DAY_WORDS + 2]),
			.refused = le64toh(raw[i * DAY_WORDS + 3]),
		};
	return access_book_load_access(b, &a, db_get_u64(q, 2), db_get_u64(q, 3));
}

static int read_member(sqlite3_stmt *q, struct access_book *b)
{
	struct access_member m = {
		.num = db_get_u64(q, 0), .family = (uint8_t)db_get_u64(q, 4), .first_ns = (int64_t)db_get_u64(q, 5),
		.last_ns = (int64_t)db_get_u64(q, 6),
	};

	if (read_figures(q, 7, &m.c, m.side) < 0)
		return -EBADMSG;
	return access_book_load_member(b, &m, db_get_u64(q, 1), db_get_u64(q, 2), db_get_u64(q, 3));
}

static int read_scan(sqlite3_stmt *q, struct access_book *b)
{
	struct access_scan x = {
		.num = db_get_u64(q, 0), .first_ns = (int64_t)db_get_u64(q, 3), .last_ns = (int64_t)db_get_u64(q, 4),
		.ports = db_get_u64(q, 5), .peers = db_get_u64(q, 6), .held = db_get_u64(q, 7), .folded = db_get_u64(q, 8),
		.folded_flows = db_get_u64(q, 9), .folded_packets = db_get_u64(q, 10), .folded_bytes = db_get_u64(q, 11),
		.folded_refused = db_get_u64(q, 12), .folded_would = db_get_u64(q, 13), .folded_dropped = db_get_u64(q, 14),
	};

	return access_book_load_scan(b, &x, db_get_u64(q, 1), db_get_u64(q, 2));
}

static int read_instance(sqlite3_stmt *q, struct access_book *b)
{
	struct access_instance i = {
		.instance = db_get_u64(q, 0), .any_done = db_get_u64(q, 1) != 0, .done_epoch = (uint32_t)db_get_u64(q, 2),
		.last_ns = (int64_t)db_get_u64(q, 3),
	};

	return access_book_load_instance(b, &i);
}

static int read_counter(sqlite3_stmt *q, struct access_book *b)
{
	struct access_counter c = {
		.num = db_get_u64(q, 0), .instance = db_get_u64(q, 1), .epoch = (uint32_t)db_get_u64(q, 2),
		.last_ns = (int64_t)db_get_u64(q, 7),
	};

	if (db_get_blob(q, 3, &c.key, sizeof(c.key)) < 0 || read_figures(q, 6, &c.last, NULL) < 0)
		return -EBADMSG;
	return access_book_load_counter(b, &c, db_get_u64(q, 4), db_get_u64(q, 5));
}

static int read_fold(sqlite3_stmt *q, struct access_book *b)
{
	uint64_t v[FOLD_WORDS];
	struct access_fold f = {
		.num = db_get_u64(q, 0), .ns = (char *)db_get_text(q, 1), .name = (char *)db_get_text(q, 2),
		.instance = db_get_u64(q, 3), .refused = db_get_u64(q, 5), .last_ns = (int64_t)db_get_u64(q, 6),
	};

	if (db_get_blob(q, 4, v, sizeof(v)) < 0)
		return -EBADMSG;
	f.last.pair_flows = le64toh(v[0]);
	f.last.folded_flows = le64toh(v[1]);
	f.last.folded_drops = le64toh(v[2]);
	f.last.lost = le64toh(v[3]);
	f.sum.pair_flows = le64toh(v[4]);
	f.sum.folded_flows = le64toh(v[5]);
	f.sum.folded_drops = le64toh(v[6]);
	f.sum.lost = le64toh(v[7]);
	return access_book_load_fold(b, &f);
}

static int read_alert(sqlite3_stmt *q, struct access_book *b)
{
	const char *id = db_get_text(q, 1), *access = db_get_text(q, 3);
	uint64_t sides[2 * SIDE_WORDS], by[2];
	uint64_t kind = db_get_u64(q, 2), outcome = db_get_u64(q, 9), side = db_get_u64(q, 11);
	uint64_t reason = db_get_u64(q, 12), severity = db_get_u64(q, 13);
	struct alert a = {
		.num = db_get_u64(q, 0), .kind = (enum alert_kind)kind, .scan = db_get_u64(q, 4),
		.src = (char *)db_get_text(q, 5), .dst = (char *)db_get_text(q, 6), .proto = (uint8_t)db_get_u64(q, 7),
		.port = (uint16_t)db_get_u64(q, 8), .outcome = (enum cw_outcome)outcome, .by_side = (enum cw_side)side,
		.reason = (enum cw_reason)reason, .severity = (enum alert_severity)severity, .count = db_get_u64(q, 14),
		.ports = db_get_u64(q, 15), .peers = db_get_u64(q, 16), .first_ns = (int64_t)db_get_u64(q, 17),
		.last_ns = (int64_t)db_get_u64(q, 18), .acked_by = (char *)db_get_text(q, 19),
		.note = (char *)db_get_text(q, 20), .acked_ns = (int64_t)db_get_u64(q, 21),
		.count_acked = db_get_u64(q, 22),
	};

	if (!id || strlen(id) < 4 || strlen(id) >= sizeof(a.id) || (access && strlen(access) >= sizeof(a.access)) ||
	    kind > ALERT_SCAN || outcome >= CW_OUT_COUNT || side > CW_INGRESS || reason >= CW_R_COUNT ||
	    severity > ALERT_HIGH || db_get_blob(q, 10, sides, sizeof(sides)) < 0 || sides_unpack(sides, a.side) < 0 ||
	    db_get_blob(q, 23, by, sizeof(by)) < 0 || verdict_unpack(by, &a.by) < 0)
		return -EBADMSG;
	memcpy(a.id, id, strlen(id) + 1);
	if (access)
		memcpy(a.access, access, strlen(access) + 1);
	return alert_book_load(access_book_alerts(b), &a);
}

int store_access_load(struct store *s, struct access_book *b)
{
	static const struct {
		enum store_statement list;
		int (*read)(sqlite3_stmt *q, struct access_book *b);
	} order[] = {
		{ SQL_END_LIST, read_end }, { SQL_POINT_LIST, read_point }, { SQL_ACCESS_LIST, read_access },
		{ SQL_MEMBER_LIST, read_member }, { SQL_SCAN_LIST, read_scan }, { SQL_INST_LIST, read_instance },
		{ SQL_COUNTER_LIST, read_counter }, { SQL_FOLD_LIST, read_fold }, { SQL_ALERT_LIST, read_alert },
	};
	uint64_t pruned;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		sqlite3_stmt *q = db_stmt(s, order[i].list);

		while ((r = db_row(s, q)) == 1) {
			r = order[i].read(q, b);
			if (r < 0) {
				(void)snprintf(s->error, sizeof(s->error), "row %lld of \"%.120s\" contradicts the others",
					       (long long)db_get_u64(q, 0), sqlite3_sql(q));
				(void)sqlite3_reset(q); /* given up */
				return r;
			}
		}
		if (r < 0)
			return r;
	}
	r = db_series_get(s, "pruned alerts", &pruned);
	if (r < 0)
		return r;
	alert_book_load_pruned(access_book_alerts(b), pruned);
	return access_book_load_done(b);
}
