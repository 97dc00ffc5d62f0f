/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_flows.c - flows, alerts, events. */
#include <inttypes.h>

#include "ctl/cmd.h"

/* ---- flows, alerts, events ------------------------------------------------------------------- */

static void end_put(struct buf *b, const cJSON *f, const char *ref, const char *port)
{
	put_str(b, json_str(f, ref));
	if (json_i64(f, port, 0))
		buf_printf(b, ":%" PRId64, json_i64(f, port, 0));
}

static void src_text(struct ctl *c, const cJSON *f, struct buf *b)
{
	(void)c;
	end_put(b, f, "src", "srcPort");
}

static void dst_text(struct ctl *c, const cJSON *f, struct buf *b)
{
	(void)c;
	end_put(b, f, "dst", "dstPort");
}

static const struct col flow_cols[] = {
	{ "time", M_H_TIME, COL_WHEN, COL_OPT, NULL, 19 },
	{ "node", M_H_NODE, COL_STR, COL_OPT, NULL, 6 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, src_text, 28 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, dst_text, 28 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 9 },
	{ "egress", M_H_EGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "ingress", M_H_INGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "outcome", M_H_OUTCOME, COL_STR, COL_OPT, NULL, 7 },
	{ "by", M_H_BY, COL_STR, COL_CUT | COL_OPT, put_by_col, 16 },
	{ "state", M_H_STATE, COL_STR, COL_WIDE, NULL, 6 },
	{ "ageMs", M_H_AGE_MS, COL_NUM, COL_WIDE, NULL, 8 },
	{ "idleMs", M_H_IDLE_MS, COL_NUM, COL_WIDE, NULL, 8 },
	{ "reason", M_H_REASON, COL_STR, COL_WIDE, NULL, 10 },
};

static void flows_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	if (!list_empty(c, doc, b, M_NO_FLOWS))
		list_rest(c, doc, b);
}

static int list_or_follow(struct ctl *c, const char *path, const struct view *v)
{
	struct query q = {};

	query_flags(c, &q);
	return flag_given(c, FLAG_FOLLOW) ? follow_run(c, path, &q, v) : list_run(c, path, &q, v);
}

int cmd_flows(struct ctl *c)
{
	static const struct view v = { .cols = flow_cols, .ncols = ARRAY_SIZE(flow_cols), .after = flows_after };

	return list_or_follow(c, "/v1/flows", &v);
}

static void alert_by(struct ctl *c, const cJSON *a, struct buf *b)
{
	const cJSON *scan = json_get(a, "scan");
	char n[24];

	put_by(c, b, json_get(a, "by"));
	if (cJSON_IsObject(scan)) {
		buf_adds(b, "; ");
		msg_put(b, c->lang, M_SCAN_OF, "n", num_str(n, json_i64(scan, "ports", 0)), NULL);
	}
}

static const struct col alert_cols[] = {
	{ "time", M_H_TIME, COL_WHEN, COL_OPT, NULL, 19 },
	{ "id", M_H_ID, COL_STR, 0, NULL, 4 },
	{ "severity", M_H_SEV, COL_STR, COL_OPT, NULL, 4 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, NULL, 20 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, NULL, 20 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 9 },
	{ "egress", M_H_EGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "ingress", M_H_INGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "by", M_H_BY, COL_STR, COL_CUT | COL_OPT, alert_by, 24 },
	{ "count", M_H_COUNT, COL_NUM, COL_OPT, NULL, 6 },
	{ "access", M_H_ACCESS, COL_STR, COL_WIDE, NULL, 6 },
	{ "ackedBy", M_H_ACKED_BY, COL_STR, COL_WIDE, NULL, 8 },
	{ "note", M_H_NOTE, COL_STR, COL_WIDE | COL_CUT, NULL, 8 },
};

static void alerts_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *first = json_get(doc, "items") ? json_get(doc, "items")->child : NULL;
	char cmd[96];

	if (list_empty(c, doc, b, M_NO_ALERTS))
		return;
	list_rest(c, doc, b);
	if (json_str(first, "id")) {
		snprintf(cmd, sizeof(cmd), "cellwall explain %.40s", json_str(first, "id"));
		put_next(c, b, cmd);
	}
}

int cmd_alerts(struct ctl *c)
{
	static const struct view v = { .cols = alert_cols, .ncols = ARRAY_SIZE(alert_cols), .name_key = "id",
				       .after = alerts_after };

	return list_or_follow(c, "/v1/alerts", &v);
}

static void acked_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	char n[24];

	put_line(c, b, M_ACKED, "n", num_str(n, cJSON_GetArraySize(json_get(doc, "items"))), NULL);
}

int cmd_alerts_ack(struct ctl *c)
{
	static const struct view v = { .name_key = "id", .before = acked_human };
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject(), *doc = NULL;
	cJSON *ids = cJSON_AddArrayToObject(body, "ids");
	int r;

	for (unsigned i = 0; i < c->nargs; i++)
		cJSON_AddItemToArray(ids, cJSON_CreateString(c->args[i]));
	if (flag_given(c, FLAG_NOTE))
		cJSON_AddStringToObject(body, "note", flag_str(c, FLAG_NOTE));
	r = api_call(c, "POST", "/v1/alerts/ack", NULL, body, &doc);
	return r ?: emit(c, doc, &v);
}

static const struct col event_cols[] = {
	{ "time", M_H_TIME, COL_WHEN, 0, NULL, 19 },
	{ "reason", M_H_REASON, COL_STR, 0, NULL, 16 },
	{ "ref", M_H_WORKLOAD, COL_STR, COL_CUT, NULL, 24 },
	{ "text", M_H_WHAT, COL_STR, COL_CUT, NULL, 40 },
	{ "who", M_H_WHO, COL_STR, 0, NULL, 8 },
	{ "id", M_H_ID, COL_STR, COL_WIDE, NULL, 6 },
};

static void events_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	if (!list_empty(c, doc, b, M_NO_EVENTS))
		list_rest(c, doc, b);
}

int cmd_events(struct ctl *c)
{
	static const struct view v = { .cols = event_cols, .ncols = ARRAY_SIZE(event_cols), .name_key = "id",
				       .after = events_after };

	return list_or_follow(c, "/v1/events", &v);
}
