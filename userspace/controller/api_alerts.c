/* SPDX-License-Identifier: Apache-2.0 */
/* api_alerts.c - alerts and would-blocks; events: what the system did. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/stream.h"
#include "controller/view.h"
#include "store/store_access.h"

static bool alert_matches(const struct filter *f, const struct alert *al, const struct policy_state *st)
{
	const struct filter_row row = {
		.src = al->src, .dst = al->dst, .id = al->id, .proto = al->proto, .port = al->port,
		.outcome = { al->side[0].outcome, al->side[1].outcome },
		.reason = { al->side[0].reason, al->side[1].reason },
		.rule = { al->side[0].verdict.rule, al->side[1].verdict.rule },
		.answered = -1, .first_ns = al->first_ns, .last_ns = al->last_ns,
	};

	return filter_row_matches(f, &row, st);
}

static int by_last(const void *pa, const void *pb)
{
	const struct alert *a = *(const struct alert *const *)pa, *b = *(const struct alert *const *)pb;

	if (a->last_ns != b->last_ns)
		return a->last_ns < b->last_ns ? -1 : 1;
	return strcmp(a->id, b->id);
}

int api_alert_list(struct api *a, cJSON **ret)
{
	auto_cleanup(filter_done) struct filter f = {};
	const struct alert_book *b = access_book_alerts(a->c->book);
	const char *acked = api_q(a, "acked") ?: "0", *sev = api_q(a, "severity");
	auto_free const struct alert **v = calloc(alert_book_count(b) + 1, sizeof(*v));
	struct list_meta m = { .scope = &f.ns };
	size_t limit, first;
	int follow, e;
	cJSON *items;

	e = v ? filter_query(a, &f) : -ENOMEM;
	e = e ?: api_q_limit(a, &limit);
	e = e ?: api_q_bool(a, "follow", &follow);
	if (!e && strcmp(acked, "0") && strcmp(acked, "1") && strcmp(acked, "all"))
		e = fail_add(&a->f, -EINVAL, "query.value", "query acked", "0, 1 or all", NULL, "this is not valid");
	if (!e && sev && strcmp(sev, "low") && strcmp(sev, "med") && strcmp(sev, "high"))
		e = fail_add(&a->f, -EINVAL, "query.value", "query severity", "low, med or high", NULL, "this is no severity");
	if (e)
		return e;
	for (size_t i = 0; i < alert_book_count(b); i++) {
		const struct alert *al = alert_book_at(b, i);

		/* Acknowledged and counted on: it speaks up again. Closed into a scan: only `all` shows it. */
		bool open = !alert_settled(al), done = !open && (al->kind == ALERT_SCAN || !al->scan);

		if ((strcmp(acked, "all") && !(*acked == '1' ? done : open)) ||
		    (sev && strcmp(alert_severity_str(al->severity), sev)) || !alert_matches(&f, al, &a->c->state))
			continue;
		v[m.total++] = al;
	}
	qsort(v, m.total, sizeof(*v), by_last);
	first = m.total > limit ? m.total - limit : 0; /* the newest ones */
	items = cJSON_CreateArray();
	for (size_t i = first; i < m.total; i++)
		put_push(items, view_alert(a->c, v[i]));
	if (follow == 1) {
		stream_alerts_emit(a->c); /* what is in the list is not told twice */
		return stream_begin(a, STREAM_ALERTS, &f, items);
	}
	m.since = f.since_ns;
	m.until = f.until_ns;
	m.truncated = first;
	*ret = api_list(a->c, "AlertList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

int api_alert_ack(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "ids", "note", NULL };
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(words_done) struct words ids = {};
	struct alert_book *b = access_book_alerts(a->c->book);
	struct list_meta m = {};
	const char *note = NULL;
	cJSON *items;
	int e;

	e = api_body(a, keys, true, &body);
	e = e ?: body_words(&a->f, body, "body", "ids", true, &ids);
	e = e ?: body_str(&a->f, body, "body", "note", false, API_TEXT_MAX, &note);
	if (e)
		return e;
	for (size_t i = 0; i < ids.n; i++) {
		char at[128];

		if (alert_book_find(b, ids.v[i]))
			continue;
		snprintf(at, sizeof(at), "body.ids[%zu]: \"%.40s\"", i, ids.v[i]);
		e = fail_add(&a->f, -ENOENT, "alert.not-found", at, "an alert id", "cellwall alerts", "no such alert");
	}
	for (size_t i = 0; i < ids.n && !e; i++)
		e = alert_book_ack(b, ids.v[i], a->who, note, controller_now(a->c));
	e = e ?: store_access_flush(a->c->store, a->c->book);
	if (e)
		return e;
	items = cJSON_CreateArray();
	for (size_t i = 0; i < ids.n; i++)
		put_push(items, view_alert(a->c, alert_book_find(b, ids.v[i])));
	m.total = ids.n;
	*ret = api_list(a->c, "AlertList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

/* ---- events ------------------------------------------------------------------------------------- */

#define EVENTS_SCAN_MAX STORE_EVENTS_MAX

struct events { const struct filter *f; cJSON **v; size_t n, max, total; };

static bool ns_of_ref(const struct words *ns, const char *ref)
{
	const char *slash = ref ? strchr(ref, '/') : NULL;
	auto_free char *s = slash ? strndup(ref, (size_t)(slash - ref)) : NULL;

	return !ns->n || (s && words_have(ns, s));
}

static int event_one(void *arg, const struct store_event *e)
{
	struct events *l = arg;
	const struct filter *f = l->f;
	cJSON *o;

	if (f->since_ns && e->at_ns < f->since_ns)
		return 1; /* newest first: the rest is older */
	if ((f->until_ns && e->at_ns > f->until_ns) || (f->rule && strcmp(f->rule, e->reason)) ||
	    !ns_of_ref(&f->ns, e->workload) || (f->search && !strcasestr(e->text, f->search)))
		return 0;
	l->total++;
	if (l->n >= l->max)
		return 0;
	o = cJSON_CreateObject();
	put_num(o, "id", (double)e->num);
	put_time(o, "time", e->at_ns);
	put_str(o, "reason", e->reason);
	put_str_null(o, "ref", e->workload);
	put_str(o, "text", e->text);
	l->v[l->n++] = o;
	return 0;
}

int api_event_list(struct api *a, cJSON **ret)
{
	auto_cleanup(filter_done) struct filter f = { .side = -1, .answered = -1 };
	struct events l = { .f = &f };
	struct list_meta m = { .scope = &f.ns };
	const char *search = api_q(a, "search"), *reason = api_q(a, "reason");
	int follow, e;
	cJSON *items;

	e = api_q_words(a, "namespace", &f.ns);
	e = e ?: api_q_time(a, "since", 0, &f.since_ns);
	e = e ?: api_q_time(a, "until", 0, &f.until_ns);
	e = e ?: api_q_limit(a, &l.max);
	e = e ?: api_q_bool(a, "follow", &follow);
	if (e)
		return e;
	/* Events have reasons of their own beside those of the data path: the word is kept as text. */
	f.rule = reason ? strdup(reason) : NULL;
	f.search = search ? strdup(search) : NULL;
	l.v = calloc(l.max < EVENTS_SCAN_MAX ? l.max : EVENTS_SCAN_MAX, sizeof(*l.v));
	if (!l.v || (reason && !f.rule) || (search && !f.search)) {
		free(l.v);
		return -ENOMEM;
	}
	e = store_event_each(a->c->store, 0, EVENTS_SCAN_MAX, event_one, &l);
	items = cJSON_CreateArray();
	for (size_t i = l.n; i-- > 0;) /* oldest first */
		put_push(items, l.v[i]);
	free(l.v);
	if (e < 0) {
		cJSON_Delete(items);
		return e;
	}
	if (follow == 1)
		return stream_begin(a, STREAM_EVENTS, &f, items);
	m.since = f.since_ns;
	m.until = f.until_ns;
	m.total = l.total;
	m.truncated = l.total - l.n;
	*ret = api_list(a->c, "EventList", &m, items);
	return *ret ? 0 : -ENOMEM;
}
