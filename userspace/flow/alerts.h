/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alerts.h - alerts from counters. Each is one (access, outcome, rule) and counts exactly what
 * the kernel counted, whatever happened to the events about it. A scan is one alert: it counts for
 * all accesses held with it, and the alerts they had before are closed into it. Lives inside the
 * access book.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/access.h"

#define ALERTS_MAX 20000u /* beyond: acknowledged ones go first, then the oldest; counted */

enum alert_severity { ALERT_LOW, ALERT_MEDIUM, ALERT_HIGH };
enum alert_kind { ALERT_ACCESS, ALERT_SCAN };

struct alert {
	uint64_t num;
	char id[ACCESS_ID_MAX];
	enum alert_kind kind;
	char access[ACCESS_ID_MAX]; /* ALERT_ACCESS */
	uint64_t scan;		/* ALERT_SCAN: its number; ALERT_ACCESS: of the scan it was closed into, or 0 */
	char *src, *dst;	/* ends as text; scan: dst is "" */
	uint8_t proto;		/* ALERT_SCAN: 0 when there were several */
	uint16_t port;
	enum cw_outcome outcome; /* ALERT, WOULD_BLOCK or DROP; ALERT_SCAN: the hardest one, NONE when all passed */
	struct access_side side[2]; /* as it was when last counted */
	struct cw_verdict by;	/* the deciding side's record: rule, tier, action */
	enum cw_side by_side;
	enum cw_reason reason;
	enum alert_severity severity;
	uint64_t count;		/* flows; for drops packets */
	uint64_t ports, peers;	/* ALERT_SCAN */
	int64_t first_ns, last_ns;
	char *acked_by, *note;
	int64_t acked_ns;
	uint64_t count_acked;	/* count when it was acknowledged */
	bool dirty;
};

struct alert_book;

const char *alert_severity_str(enum alert_severity s); /* low, med, high */
size_t alert_book_count(const struct alert_book *b);
/* In order of creation. Valid until the next access_book_apply. */
const struct alert *alert_book_at(const struct alert_book *b, size_t i);
const struct alert *alert_book_find(const struct alert_book *b, const char *id);
uint64_t alert_book_pruned(const struct alert_book *b);
/* Of a scan, or NULL. */
const struct alert *alert_book_scan_find(const struct alert_book *b, uint64_t scan);
/* Closed into a scan, or acknowledged and not counted on since. */
static inline bool alert_settled(const struct alert *a)
{
	return (a->kind == ALERT_ACCESS && a->scan) || (a->acked_ns && a->count == a->count_acked);
}
/* -ENOENT, -ENOMEM; acknowledging again replaces the note. */
int alert_book_ack(struct alert_book *b, const char *id, const char *who, const char *note, int64_t now_ns);

/* ---- for the access book and the store ------------------------------------------------- */

struct htab;
/* ids: of accesses, borrowed; an alert never gets the id of one. */
int alert_book_new(struct htab *const *ids, struct alert_book **ret);
/* Is the id an alert's? Not terminated. */
bool alert_book_has(const struct alert_book *b, const char *id, size_t len);
void alert_book_free(struct alert_book *b);
/* Adds to the alerts of (access, outcome, rule) what `delta` holds. -ENOMEM: nothing was added. */
int alert_book_access(struct alert_book *b, const struct access *a, const struct access_counts *delta,
		      const struct access_side side[2], int64_t at_ns);
/* Makes or updates the alert of a scan and adds what `delta` holds (NULL: nothing). -ENOMEM: nothing was added. */
int alert_book_scan(struct alert_book *b, const struct access_scan *s, uint8_t proto,
		    const struct access_counts *delta, const struct access_side side[2], int64_t at_ns);
/* Closes the alerts of the scan's accesses into its own. -ENOMEM: call again. */
int alert_book_scan_close(struct alert_book *b, const struct access_scan *s);
int alert_book_dirty(const struct alert_book *b, int (*fn)(void *arg, const struct alert *a),
		     int (*gone)(void *arg, uint64_t num), void *arg);
bool alert_book_is_dirty(const struct alert_book *b);
void alert_book_clean(struct alert_book *b);
int alert_book_load(struct alert_book *b, const struct alert *a);
void alert_book_load_pruned(struct alert_book *b, uint64_t pruned);
