/* SPDX-License-Identifier: Apache-2.0 */
/* hours.c - what happened in the last hour, from totals noted once a minute, in the store as well. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/priv.h"

#define MINUTE_NS (60 * 1000000000ll)

static struct hour *hour_of(struct controller *c, const char *ns)
{
	struct hour *h;

	if (!str_set(ns))
		return NULL;
	h = htab_get(c->hours, ns, strlen(ns));
	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (h && c->hours_primed) { /* had nothing a minute ago */
		h->minute[0] = c->hour_minute;
		h->n = 1;
	}
	if (h && htab_set(c->hours, ns, strlen(ns), h, NULL)) {
		free(h);
		return NULL;
	}
	return h;
}

/* Of the slots from an hour ago and before only the newest is of use. */
static void slots_push(struct hour *h, int64_t minute, uint64_t would, uint64_t drop)
{
	unsigned gone = 0;

	while (gone + 1 < h->n && h->minute[gone + 1] <= minute - HOUR_MINUTES)
		gone++;
	if (h->n - gone == HOUR_SLOTS)
		gone++;
	h->n -= gone;
	memmove(h->minute, h->minute + gone, h->n * sizeof(*h->minute));
	memmove(h->would, h->would + gone, h->n * sizeof(*h->would));
	memmove(h->drop, h->drop + gone, h->n * sizeof(*h->drop));
	h->minute[h->n] = minute;
	h->would[h->n] = would;
	h->drop[h->n++] = drop;
}

void hours_refresh(struct controller *c)
{
	size_t it = 0, n = access_book_count(c->book), kl;
	const void *k;
	void *v;

	while (htab_next(c->hours, &it, &k, &kl, &v)) {
		struct hour *h = v;

		h->would_now = h->drop_now = 0;
	}
	for (size_t i = 0; i < n; i++) {
		const struct access *a = access_book_at(c->book, i);

		for (int s = 0; s < 2; s++) {
			struct hour *h = hour_of(c, s == CW_EGRESS ? a->src->ns : a->dst->ns);

			if (!h)
				continue;
			h->would_now += a->c.cnt[s][CW_OUT_WOULD_BLOCK];
			h->drop_now += a->c.cnt[s][CW_OUT_DROP];
		}
	}
	/* What was folded into a scan is told at its source. */
	for (size_t i = 0; i < access_book_scan_count(c->book); i++) {
		const struct access_scan *sc = access_book_scan_at(c->book, i);
		struct hour *h = hour_of(c, sc->src->ns);

		if (!h)
			continue;
		h->would_now += sc->folded_would;
		h->drop_now += sc->folded_dropped;
	}
}

/* Writes the totals of now as those of `minute`; false: only what has no minute of its own yet. */
static int hours_write(struct controller *c, int64_t minute, bool now)
{
	size_t it = 0, kl;
	const void *k;
	void *v;
	int e = store_begin(c->store, false);

	if (e)
		return e;
	while (!e && htab_next(c->hours, &it, &k, &kl, &v)) {
		const struct hour *h = v;
		auto_free char *ns = strndup(k, kl);
		const struct store_hour row = { ns, minute, h->would_now, h->drop_now };

		e = !ns ? -ENOMEM : now ? store_hour_put(c->store, &row) : 0;
		if (!e && h->n && h->n == 1u + now) /* new since the last minute: what it began with is not there yet */
			e = store_hour_put(c->store, &(struct store_hour){ ns, h->minute[0], h->would[0], h->drop[0] });
	}
	e = e ?: store_hour_prune(c->store, minute - HOUR_MINUTES);
	if (e) {
		store_rollback(c->store);
		return e;
	}
	return store_commit(c->store);
}

void hours_update(struct controller *c)
{
	int64_t minute = controller_now(c) / MINUTE_NS;
	size_t it = 0, kl;
	const void *k;
	void *v;

	if (minute == c->hour_minute)
		return;
	hours_refresh(c);
	c->hour_minute = minute;
	while (htab_next(c->hours, &it, &k, &kl, &v)) {
		struct hour *h = v;

		slots_push(h, minute, h->would_now, h->drop_now);
	}
	c->hours_primed = true;
	if (hours_write(c, minute, true))
		c->store_errors++; /* the figures of this run are right all the same */
}

int hours_close(struct controller *c)
{
	hours_refresh(c);
	return c->hours_primed ? hours_write(c, c->hour_minute, false) : 0;
}

static int hour_load(void *arg, const struct store_hour *row)
{
	struct controller *c = arg;
	int64_t now = controller_now(c) / MINUTE_NS;
	struct hour *h;

	/* Of another hour, or of a clock that was set back since: not comparable with today's. */
	if (row->minute < now - HOUR_MINUTES || row->minute > now)
		return 0;
	h = hour_of(c, row->ns);
	if (!h)
		return -ENOMEM;
	slots_push(h, row->minute, row->would, row->dropped);
	if (row->minute > c->hour_minute)
		c->hour_minute = row->minute;
	return 0;
}

int hours_load(struct controller *c)
{
	int e = store_hour_each(c->store, hour_load, c);

	/* A namespace that has no slot then had nothing to count. */
	c->hours_primed = !e && c->hour_minute;
	return e;
}

void hours_last(const struct controller *c, const char *ns, uint64_t *ret_would, uint64_t *ret_drop)
{
	const struct hour *h = htab_get(c->hours, ns, strlen(ns));
	int64_t from = controller_now(c) / MINUTE_NS - HOUR_MINUTES;
	unsigned i = 0;

	*ret_would = *ret_drop = 0;
	if (!h)
		return;
	while (i + 1 < h->n && h->minute[i + 1] <= from)
		i++;
	*ret_would = h->would_now - h->would[i];
	*ret_drop = h->drop_now - h->drop[i];
}

void hours_free(struct controller *c)
{
	htab_free(c->hours, free);
}
