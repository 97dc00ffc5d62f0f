/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/priv.h"
#include "controller/view.h"

struct stream {
	struct stream *next;
	struct controller *c;
	struct http_exchange *x;
	enum stream_kind kind;
	struct filter f;
	uint64_t skipped;	/* lines a slow reader did not get */
};

static void stream_free(struct stream *s)
{
	filter_done(&s->f);
	free(s);
}

static void stream_closed(void *arg)
{
	struct stream *s = arg, **p;

	for (p = &s->c->streams; *p; p = &(*p)->next) {
		if (*p != s)
			continue;
		*p = s->next;
		break;
	}
	stream_free(s);
}

static void stream_put(struct stream *s, const cJSON *o)
{
	if (s->skipped) {
		cJSON *k = cJSON_CreateObject();

		put_str(k, "kind", "Skipped");
		put_num(k, "lines", (double)s->skipped);
		if (!http_stream_json(s->x, k))
			s->skipped = 0;
		cJSON_Delete(k);
	}
	if (http_stream_json(s->x, o) == -ENOBUFS)
		s->skipped++;
}

int stream_begin(struct api *a, enum stream_kind kind, struct filter *f, cJSON *first)
{
	struct controller *c = a->c;
	struct stream *s;
	size_t n = 0;
	const cJSON *i;

	for (s = c->streams; s; s = s->next)
		n++;
	s = n < STREAMS_MAX && a->x ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		filter_done(f);
		cJSON_Delete(first);
		return fail_add(&a->f, -EAGAIN, "server.busy", "query follow", "at most 64 followers", "try again later",
				"there are too many followers");
	}
	s->c = c;
	s->x = a->x;
	s->kind = kind;
	s->f = *f;
	memset(f, 0, sizeof(*f));
	s->next = c->streams;
	c->streams = s;
	(void)http_stream_begin(a->x, "application/x-ndjson", stream_closed, s); /* gone: closed follows */
	cJSON_ArrayForEach(i, first)
		stream_put(s, i);
	cJSON_Delete(first);
	return API_ANSWERED;
}

static const char *event_word(uint32_t type)
{
	static const char *const w[CW_EV_COUNT] = {
		[CW_EV_ACCESS] = "access", [CW_EV_DROP] = "drop", [CW_EV_ALERT] = "alert", [CW_EV_GUARD] = "guard",
	};

	return type < CW_EV_COUNT ? w[type] : NULL;
}

void stream_flow_emit(struct controller *c, const struct cw_event *ev, const struct node_flow *who,
		      const struct cw_verdict *v)
{
	cJSON *o = NULL;
	struct filter_row row = {
		.src = who->src_ref, .dst = who->dst_ref, .proto = who->proto, .port = who->dport,
		.outcome = { who->outcome[0], who->outcome[1] }, .reason = { who->reason[0], who->reason[1] },
		.answered = -1, .first_ns = INT64_MIN, .last_ns = INT64_MAX,
	};

	row.rule[ev->side & 1] = v->rule; /* of the side that spoke */
	for (struct stream *s = c->streams; s; s = s->next) {
		if (s->kind != STREAM_FLOWS || !filter_row_matches(&s->f, &row, &c->state))
			continue;
		if (!o) {
			o = view_flow(c, who);
			put_time(o, "time", controller_now(c));
			put_str(o, "event", event_word(ev->type));
			put_str(o, "side", ev->side == CW_EGRESS ? "egress" : "ingress");
			if (ev->reason)
				put_str(o, "reason", cw_reason_str(ev->reason));
		}
		stream_put(s, o);
	}
	cJSON_Delete(o);
}

void stream_events_emit(struct controller *c, const cJSON *event, const char *reason, const char *ref)
{
	for (struct stream *s = c->streams; s; s = s->next) {
		const char *slash = ref ? strchr(ref, '/') : NULL;
		auto_free char *ns = slash ? strndup(ref, (size_t)(slash - ref)) : NULL;

		if (s->kind != STREAM_EVENTS || (s->f.rule && !str_eq(s->f.rule, reason)) ||
		    (s->f.ns.n && !words_have(&s->f.ns, ns)) ||
		    (s->f.search && !strcasestr(json_str(event, "text") ?: "", s->f.search)))
			continue;
		stream_put(s, event);
	}
}

static bool follows_alerts(const struct controller *c)
{
	for (const struct stream *s = c->streams; s; s = s->next)
		if (s->kind == STREAM_ALERTS)
			return true;
	return false;
}

void stream_alerts_emit(struct controller *c)
{
	const struct alert_book *b = access_book_alerts(c->book);
	bool shown = follows_alerts(c);

	for (size_t i = 0; i < alert_book_count(b); i++) {
		const struct alert *a = alert_book_at(b, i);
		uint64_t seen = (uint64_t)(uintptr_t)htab_get_u64(c->alert_counts, a->num);
		const struct filter_row row = {
			.src = a->src, .dst = a->dst, .id = a->id, .proto = a->proto, .port = a->port,
			.outcome = { a->side[0].outcome, a->side[1].outcome },
			.reason = { a->side[0].reason, a->side[1].reason },
			.rule = { a->side[0].verdict.rule, a->side[1].verdict.rule },
			.answered = -1, .first_ns = a->first_ns, .last_ns = a->last_ns,
		};
		cJSON *o;

		if (seen == a->count || (a->kind == ALERT_ACCESS && a->scan) ||
		    htab_set_u64(c->alert_counts, a->num, (void *)(uintptr_t)a->count) || !shown)
			continue;
		o = view_alert(c, a);
		for (struct stream *s = c->streams; s; s = s->next)
			if (s->kind == STREAM_ALERTS && filter_row_matches(&s->f, &row, &c->state))
				stream_put(s, o);
		cJSON_Delete(o);
	}
}

void stream_end_all(struct controller *c)
{
	while (c->streams) {
		struct stream *s = c->streams;

		c->streams = s->next;
		http_stream_end(s->x);
		stream_free(s);
	}
}
