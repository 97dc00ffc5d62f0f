/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_read.c - status, workloads, flows, alerts, events, guard, ready, query, changes, quarantines. */
#include <inttypes.h>
#include <string.h>

#include "ctl/cmd.h"
#include "ctl/grid.h"

char *path_make(const char *prefix, const char *part)
{
	struct buf b;

	buf_init(&b, 65536);
	buf_adds(&b, prefix);
	buf_adds(&b, part);
	return buf_take(&b, NULL);
}

int show_run(struct ctl *c, const char *path, const struct view *v)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r = path ? api_get(c, path, NULL, &doc) : EXIT_REFUSED;

	return r ?: emit(c, doc, v);
}

bool list_empty(struct ctl *c, const cJSON *doc, struct buf *b, enum msg m)
{
	if (cJSON_GetArraySize(json_get(doc, "items")))
		return false;
	put_line(c, b, m, NULL);
	return true;
}

void list_rest(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *meta = json_get(doc, "meta");
	int64_t left = json_i64(meta, "truncated", 0), total = json_i64(meta, "total", 0);
	char n[24], of[24];

	if (left > 0)
		put_line(c, b, M_SHOWN, "n", num_str(n, total - left), "total", num_str(of, total), NULL);
}

static int plain_list(struct ctl *c, const char *path, const struct view *v)
{
	struct query q = {};

	query_flags(c, &q);
	return list_run(c, path, &q, v);
}

/* ---- status ---------------------------------------------------------------------------------------- */

static void guarded_text(struct ctl *c, const cJSON *n, struct buf *b)
{
	(void)c;
	buf_printf(b, "%" PRId64 "/%" PRId64, json_i64(n, "guarded", 0), json_i64(n, "interfaces", 0));
}

static void notes_text(struct ctl *c, const cJSON *item, struct buf *b)
{
	const cJSON *list = json_get(item, "notes"), *n;
	char k[24];

	if (!cJSON_GetArraySize(list))
		buf_adds(b, "-");
	cJSON_ArrayForEach(n, list) {
		const char *name = json_str(n, "name") ?: "-";
		static const struct { const char *name; enum msg m; } words[] = {
			{ "quarantined", M_N_QUARANTINED }, { "blind", M_N_BLIND },
			{ "bypassable", M_N_BYPASSABLE }, { "mixed-modes", M_N_MIXED },
			{ "not-ready", M_N_NOT_READY }, { "lost", M_N_LOST }, { "held", M_N_HELD },
		};
		size_t i;

		if (n != list->child)
			buf_adds(b, "; ");
		for (i = 0; i < ARRAY_SIZE(words) && strcmp(words[i].name, name); i++)
			;
		if (i < ARRAY_SIZE(words))
			msg_put(b, c->lang, words[i].m, "n", num_str(k, json_i64(n, "count", 0)), NULL);
		else
			put_str(b, name);
	}
}

static const struct col status_cols[] = {
	{ "namespace", M_H_NAMESPACE, COL_STR, COL_CUT, NULL, 0 },
	{ "mode", M_H_MODE, COL_STR, 0, NULL, 0 },
	{ "from", M_H_FROM, COL_STR, 0, NULL, 0 },
	{ "workloads", M_H_WORKLOADS, COL_NUM, 0, NULL, 0 },
	{ "guarded", M_H_GUARDED, COL_STR, 0, guarded_text, 0 },
	{ "pending", M_H_PENDING, COL_NUM, 0, NULL, 0 },
	{ "wouldBlock1h", M_H_WOULD_BLOCK_1H, COL_NUM, 0, NULL, 0 },
	{ "dropped1h", M_H_DROPPED_1H, COL_NUM, 0, NULL, 0 },
	{ "ready", M_H_READY, COL_BOOL, 0, NULL, 0 },
	{ "notes", M_H_NOTE, COL_STR, COL_CUT, notes_text, 0 },
};

static void status_before(struct ctl *c, const cJSON *s, struct buf *b)
{
	const cJSON *node = json_get(s, "node"), *open = json_get(s, "openChange");
	char gen[24], loss[24], late[24], alerts[24];

	put_line(c, b, M_STATUS_HEAD, "cluster", json_str(s, "cluster"), "role", json_str(s, "role"), "node",
		 json_str(node, "name"), "generation", num_str(gen, json_i64(s, "generation", 0)), "sync",
		 msg_text(json_bool(node, "inSync", true) ? M_IN_SYNC : M_NOT_IN_SYNC, c->lang), "loss",
		 num_str(loss, json_i64(s, "loss", 0)), "late", num_str(late, json_i64(s, "identityLate1h", 0)),
		 "alerts", num_str(alerts, json_i64(json_get(s, "alerts"), "open", 0)), NULL);
	if (cJSON_IsObject(open)) {
		auto_free char *left = NULL;
		struct buf t;
		char n[24];

		buf_init(&t, 64);
		put_duration(&t, json_i64(open, "leftMs", 0));
		left = buf_take(&t, NULL);
		snprintf(n, sizeof(n), "%" PRId64, json_i64(open, "generation", 0));
		put_line(c, b, M_STATUS_OPEN, "generation", n, "what", json_str(open, "what"), "who",
			 json_str(open, "who"), "left", left, NULL);
	}
}

static void status_after(struct ctl *c, const cJSON *s, struct buf *b)
{
	const cJSON *open = json_get(s, "openChange"), *store = json_get(s, "store");
	const char *state = json_str(store, "state");
	int64_t pending = json_i64(json_get(s, "accesses"), "pending", 0);

	if (!cJSON_GetArraySize(json_get(s, "namespaces")))
		put_line(c, b, M_NO_WORKLOADS, NULL);
	if (state && strcmp(state, "ok"))
		put_line(c, b, M_STATUS_STORE, "state", state, "note", json_str(store, "note"), NULL);
	if (cJSON_IsObject(open)) {
		char cmd[64];

		snprintf(cmd, sizeof(cmd), "cellwall change confirm %" PRId64, json_i64(open, "generation", 0));
		put_next(c, b, cmd);
	} else if (pending) {
		put_next(c, b, "cellwall access list --state pending");
	}
}

int cmd_status(struct ctl *c)
{
	static const struct view v = { .cols = status_cols, .ncols = ARRAY_SIZE(status_cols),
				       .items = "namespaces", .name_key = "namespace", .before = status_before,
				       .after = status_after };
	struct query q = {};

	return list_run(c, "/v1/status", &q, &v);
}

/* ---- workloads ----------------------------------------------------------------------------------------- */

static void labels_text(struct ctl *c, const cJSON *item, struct buf *b)
{
	const cJSON *l;
	bool any = false;

	(void)c;
	cJSON_ArrayForEach(l, json_get(item, "labels")) {
		buf_adds(b, any ? "," : "");
		put_str(b, l->string);
		buf_adds(b, "=");
		if (cJSON_IsString(l) && *l->valuestring)
			put_str(b, l->valuestring);
		any = true;
	}
	if (!any)
		buf_adds(b, "-");
}

static void guard_text(struct ctl *c, const cJSON *item, struct buf *b)
{
	(void)c;
	put_str(b, json_str(item, "guard"));
	if (json_bool(item, "quarantined", false))
		buf_adds(b, " QUARANTINED");
}

static const struct col workload_cols[] = {
	{ "ref", M_H_WORKLOAD, COL_STR, COL_CUT, NULL, 0 },
	{ "controller", M_H_CONTROLLER, COL_STR, COL_CUT, NULL, 0 },
	{ "mode", M_H_MODE, COL_STR, 0, NULL, 0 },
	{ "modeFrom", M_H_FROM, COL_STR, 0, NULL, 0 },
	{ "guard", M_H_GUARD, COL_STR, 0, guard_text, 0 },
	{ "addresses", M_H_ADDRESSES, COL_LIST, COL_CUT, NULL, 0 },
	{ "labels", M_H_LABELS, COL_STR, COL_CUT | COL_WIDE, labels_text, 0 },
	{ "node", M_H_NODE, COL_STR, COL_WIDE, NULL, 0 },
	{ "netns", M_H_NETNS, COL_STR, COL_WIDE | COL_CUT, NULL, 0 },
};

static void workload_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	if (!list_empty(c, doc, b, M_NO_WORKLOADS))
		list_rest(c, doc, b);
}

int cmd_workload_list(struct ctl *c)
{
	static const struct view v = { .cols = workload_cols, .ncols = ARRAY_SIZE(workload_cols),
				       .name_key = "ref", .after = workload_after };

	return plain_list(c, "/v1/workloads", &v);
}

static void interfaces_put(struct ctl *c, const cJSON *w, struct buf *b)
{
	struct grid g = {};
	const cJSON *i;

	(void)c;
	cJSON_ArrayForEach(i, json_get(w, "interfaces")) {
		grid_row(&g);
		grid_set(&g, 0, json_str(i, "iface"));
		grid_set(&g, 1, json_str(i, "hook"));
		grid_set(&g, 2, json_str(i, "state"));
		grid_set(&g, 3, json_str(i, "reason"));
	}
	grid_print(&g, "  ", b);
}

static void workload_human(struct ctl *c, const cJSON *w, struct buf *b)
{
	auto_free char *labels = NULL, *addrs = NULL;
	char pending[24];
	struct grid g = {};
	const cJSON *r;
	struct buf t;

	buf_init(&t, 1u << 16);
	labels_text(c, w, &t);
	labels = buf_take(&t, NULL);
	buf_init(&t, 1u << 16);
	cJSON_ArrayForEach(r, json_get(w, "addresses")) {
		buf_adds(&t, t.len ? ", " : "");
		put_str(&t, cJSON_IsString(r) ? r->valuestring : NULL);
	}
	addrs = buf_take(&t, NULL);
	put_line(c, b, M_WORKLOAD_HEAD, "ref", json_str(w, "ref"), "mode", json_str(w, "mode"), "from",
		 json_str(w, "modeFrom"), "default", json_str(w, "default"), "quarantined",
		 json_bool(w, "quarantined", false) ? " QUARANTINED" : "", NULL);
	put_line(c, b, M_WORKLOAD_BODY, "controller", json_str(w, "controller"), "labels", labels, "addresses",
		 addrs && *addrs ? addrs : "-", "node", json_str(w, "node"), "netns", json_str(w, "netns"),
		 "account", json_str(w, "serviceAccount"), NULL);
	interfaces_put(c, w, b);
	cJSON_ArrayForEach(r, json_get(w, "rules")) {
		grid_row(&g);
		grid_set(&g, 0, json_str(r, "side"));
		grid_set(&g, 1, json_str(r, "origin"));
		grid_set(&g, 2, json_str(r, "name"));
		grid_set(&g, 3, json_str(r, "summary") ?: json_str(r, "action"));
	}
	if (g.n)
		put_line(c, b, M_WORKLOAD_RULES, NULL);
	grid_print(&g, "  ", b);
	put_line(c, b, M_WORKLOAD_PENDING, "n", num_str(pending, json_i64(w, "pending", 0)), NULL);
}

int cmd_workload_show(struct ctl *c)
{
	static const struct view v = { .before = workload_human };
	auto_free char *ref = ref_complete(c, c->args[0], "cellwall workload list");
	auto_free char *path = NULL;

	if (!ref)
		return EXIT_USAGE;
	path = workload_path(c, ref);
	return path ? show_run(c, path, &v) : EXIT_USAGE;
}

/* ---- flows, alerts, events ------------------------------------------------------------------------------- */

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
	{ "time", M_H_TIME, COL_WHEN, 0, NULL, 19 },
	{ "node", M_H_NODE, COL_STR, 0, NULL, 6 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, src_text, 28 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, dst_text, 28 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 9 },
	{ "egress", M_H_EGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "ingress", M_H_INGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "outcome", M_H_OUTCOME, COL_STR, 0, NULL, 7 },
	{ "by", M_H_BY, COL_STR, COL_CUT, put_by_col, 16 },
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
	{ "time", M_H_TIME, COL_WHEN, 0, NULL, 19 },
	{ "id", M_H_ID, COL_STR, 0, NULL, 4 },
	{ "severity", M_H_SEV, COL_STR, 0, NULL, 4 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, NULL, 20 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, NULL, 20 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 9 },
	{ "egress", M_H_EGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "ingress", M_H_INGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "by", M_H_BY, COL_STR, COL_CUT, alert_by, 24 },
	{ "count", M_H_COUNT, COL_NUM, 0, NULL, 6 },
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

/* ---- guard ---------------------------------------------------------------------------------------------------- */

static void proof_text(struct ctl *c, const cJSON *g, struct buf *b)
{
	const cJSON *gap = json_get(g, "startGapMs");

	(void)c;
	put_str(b, json_str(g, "reason"));
	if (cJSON_IsNumber(gap))
		buf_printf(b, ", start gap %.0f ms", gap->valuedouble);
}

static const struct col guard_cols[] = {
	{ "node", M_H_NODE, COL_STR, 0, NULL, 0 },
	{ "workload", M_H_WORKLOAD, COL_STR, COL_CUT, NULL, 0 },
	{ "iface", M_H_IFACE, COL_STR, 0, NULL, 0 },
	{ "hook", M_H_HOOK, COL_STR, 0, NULL, 0 },
	{ "state", M_H_STATE, COL_STR, 0, NULL, 0 },
	{ "reason", M_H_PROOF, COL_STR, COL_CUT, proof_text, 0 },
	{ "ifindex", M_H_IFINDEX, COL_STR, COL_WIDE, NULL, 0 },
};

static void guard_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	int64_t guarded = 0, bypassable = 0, blind = 0;
	char n1[24], n2[24], n3[24];
	const cJSON *g;

	if (list_empty(c, doc, b, M_NO_WORKLOADS))
		return;
	cJSON_ArrayForEach(g, json_get(doc, "items")) {
		const char *s = json_str(g, "state") ?: "";

		guarded += !strcmp(s, "guarded");
		bypassable += !strcmp(s, "bypassable");
		blind += !strcmp(s, "blind");
	}
	put_line(c, b, M_GUARD_SUM, "guarded", num_str(n1, guarded), "bypassable", num_str(n2, bypassable),
		 "blind", num_str(n3, blind), NULL);
	list_rest(c, doc, b);
}

int cmd_guard_list(struct ctl *c)
{
	static const struct view v = { .cols = guard_cols, .ncols = ARRAY_SIZE(guard_cols),
				       .name_key = "workload", .after = guard_after };

	return plain_list(c, "/v1/guards", &v);
}

/* ---- quarantine list, change list and show ---------------------------------------------------------------------- */

static const struct col quarantine_cols[] = {
	{ "ref", M_H_WORKLOAD, COL_STR, COL_CUT, NULL, 0 },
	{ "reason", M_H_REASON, COL_STR, COL_CUT, NULL, 0 },
	{ "creator", M_H_CREATOR, COL_STR, 0, NULL, 0 },
	{ "since", M_H_SINCE, COL_WHEN, 0, NULL, 0 },
	{ "until", M_H_UNTIL, COL_WHEN, 0, NULL, 0 },
	{ "workloads", M_H_CUTS_OFF, COL_LIST, COL_CUT, NULL, 0 },
	{ "name", M_H_NAME, COL_STR, COL_WIDE, NULL, 0 },
};

static void quarantine_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	(void)list_empty(c, doc, b, M_NO_QUARANTINES);
}

int cmd_quarantine_list(struct ctl *c)
{
	static const struct view v = { .cols = quarantine_cols, .ncols = ARRAY_SIZE(quarantine_cols),
				       .name_key = "ref", .after = quarantine_after };

	return plain_list(c, "/v1/quarantines", &v);
}

static void window_text(struct ctl *c, const cJSON *ch, struct buf *b)
{
	const cJSON *w = json_get(ch, "window");
	const char *state = json_str(ch, "state");

	if (!cJSON_IsObject(w)) {
		buf_adds(b, "-");
		return;
	}
	if (state && !strcmp(state, "open")) {
		put_duration(b, json_i64(w, "leftMs", 0));
		buf_adds(b, msg_text(M_LEFT, c->lang));
	} else {
		put_time(c, b, json_str(w, "until"), TIME_LOCAL);
	}
}

static const struct col change_cols[] = {
	{ "generation", M_H_GEN, COL_STR, 0, NULL, 0 },
	{ "what", M_H_WHAT, COL_STR, COL_CUT, NULL, 0 },
	{ "who", M_H_WHO, COL_STR, 0, NULL, 0 },
	{ "time", M_H_TIME, COL_WHEN, 0, NULL, 0 },
	{ "state", M_H_STATE, COL_STR, 0, NULL, 0 },
	{ "window", M_H_WINDOW, COL_STR, 0, window_text, 0 },
	{ "via", M_H_VIA, COL_STR, COL_WIDE, NULL, 0 },
	{ "revertedBy", M_H_REVERTED_BY, COL_STR, COL_WIDE, NULL, 0 },
};

static void changes_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	if (!list_empty(c, doc, b, M_NO_CHANGES))
		list_rest(c, doc, b);
}

int cmd_change_list(struct ctl *c)
{
	static const struct view v = { .cols = change_cols, .ncols = ARRAY_SIZE(change_cols),
				       .name_key = "generation", .after = changes_after };

	return plain_list(c, "/v1/changes", &v);
}

static void receipt_after_text(struct ctl *c, const cJSON *r, struct buf *b)
{
	int64_t us = json_i64(r, "afterUs", 0);

	(void)c;
	if (us < 10000)
		buf_printf(b, "%.1f ms", (double)us / 1000);
	else
		put_duration(b, us / 1000);
}

static void receipt_entries_text(struct ctl *c, const cJSON *r, struct buf *b)
{
	char used[24], max[24];

	msg_put(b, c->lang, M_PLAN_ENTRIES, "used", num_str(used, json_i64(r, "entries", 0)), "max",
		num_str(max, json_i64(r, "entriesMax", 0)), NULL);
}

static const struct col receipt_cols[] = {
	{ "node", M_H_NODE, COL_STR, 0, NULL, 0 },
	{ "state", M_H_STATE, COL_STR, 0, NULL, 0 },
	{ "afterUs", M_H_AFTER, COL_STR, 0, receipt_after_text, 0 },
	{ "entries", M_H_ENTRIES, COL_STR, 0, receipt_entries_text, 0 },
	{ "flowsCut", M_H_FLOWS_CUT, COL_NUM, 0, NULL, 0 },
	{ "note", M_H_NOTE, COL_STR, COL_CUT, NULL, 0 },
};

static void change_before(struct ctl *c, const cJSON *ch, struct buf *b)
{
	auto_free char *when = NULL, *window = NULL;
	char gen[24];
	struct buf t;

	buf_init(&t, 64);
	put_time(c, &t, json_str(ch, "time"), TIME_LOCAL);
	when = buf_take(&t, NULL);
	buf_init(&t, 64);
	window_text(c, ch, &t);
	window = buf_take(&t, NULL);
	snprintf(gen, sizeof(gen), "%" PRId64, json_i64(ch, "generation", 0));
	put_line(c, b, M_CHANGE_HEAD, "generation", gen, "what", json_str(ch, "what"), "who",
		 json_str(ch, "who"), "time", when, "via", json_str(ch, "via"), "state", json_str(ch, "state"),
		 "window", window, NULL);
}

static void change_after(struct ctl *c, const cJSON *ch, struct buf *b)
{
	const char *state = json_str(ch, "state");
	struct grid g = {};
	char cmd[64];
	const cJSON *e;

	cJSON_ArrayForEach(e, json_get(ch, "changes")) {
		const char *was = json_str(e, "was"), *becomes = json_str(e, "becomes");
		struct buf t;

		grid_row(&g);
		grid_set(&g, 0, json_str(e, "op"));
		grid_set(&g, 1, json_str(e, "kind"));
		grid_set(&g, 2, json_str(e, "name"));
		buf_init(&t, 65536);
		if (was && becomes)
			buf_printf(&t, "%s -> ", was);
		if (becomes || json_str(e, "summary"))
			put_str(&t, becomes ?: json_str(e, "summary"));
		grid_take(&g, 3, &t);
	}
	grid_print(&g, "  ", b);
	if (state && !strcmp(state, "open")) {
		snprintf(cmd, sizeof(cmd), "cellwall change confirm %" PRId64, json_i64(ch, "generation", 0));
		put_next(c, b, cmd);
	}
}

static const struct view change_view = { .cols = receipt_cols, .ncols = ARRAY_SIZE(receipt_cols),
					 .items = "receipts", .before = change_before, .after = change_after };

static char *generation_path(struct ctl *c, const char *suffix)
{
	const char *g = c->args[0];
	struct buf b;

	if (strspn(g, "0123456789") != strlen(g) || !*g || strlen(g) > 19) {
		usage_fail(c, "cli.generation", g, "44", "cellwall change list", M_E_GENERATION, NULL);
		return NULL;
	}
	buf_init(&b, 256);
	buf_printf(&b, "/v1/changes/%s%s", g, suffix);
	return buf_take(&b, NULL);
}

int cmd_change_show(struct ctl *c)
{
	auto_free char *path = generation_path(c, "");

	return path ? show_run(c, path, &change_view) : EXIT_USAGE;
}

static void confirmed_human(struct ctl *c, const cJSON *ch, struct buf *b)
{
	char gen[24];

	snprintf(gen, sizeof(gen), "%" PRId64, json_i64(ch, "generation", 0));
	put_line(c, b, M_CONFIRMED, "generation", gen, "what", json_str(ch, "what"), NULL);
}

int cmd_change_confirm(struct ctl *c)
{
	static const struct view v = { .before = confirmed_human };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL, *was = NULL;
	auto_free char *path = generation_path(c, "/confirm"), *show = generation_path(c, "");
	int r;

	if (!path || !show)
		return EXIT_USAGE;
	r = api_call(c, "POST", path, NULL, NULL, &doc);
	if (r == EXIT_REFUSED) { /* too late? */
		struct fail_list keep = c->fails;

		c->fails = (struct fail_list){};
		if (api_call(c, "GET", show, NULL, NULL, &was) == 0 && json_str(was, "state") &&
		    !strcmp(json_str(was, "state"), "reverted"))
			r = EXIT_REVERTED;
		fail_list_done(&c->fails);
		c->fails = keep;
	}
	return r ?: emit(c, doc, &v);
}

int cmd_change_revert(struct ctl *c)
{
	auto_free char *path = generation_path(c, "/revert");

	return path ? change_run(c, &(struct change){ .path = path }) : EXIT_USAGE;
}

int cmd_change_rollback(struct ctl *c)
{
	auto_free char *path = generation_path(c, "/rollback");

	return path ? change_run(c, &(struct change){ .path = path }) : EXIT_USAGE;
}

/* ---- ready ------------------------------------------------------------------------------------------------------------ */

static const struct { const char *topic; enum msg ok, missing; } topics[] = {
	{ "replicas", M_R_REPLICAS_OK, M_R_REPLICAS }, { "peers", M_R_PEERS_OK, M_R_PEERS },
	{ "loss", M_R_LOSS_OK, M_R_LOSS }, { "schedule", M_R_SCHEDULE_OK, M_R_SCHEDULE },
	{ "answer", M_R_ANSWER_OK, M_R_ANSWER }, { "decision", M_R_DECISION_OK, M_R_DECISION },
	{ "held", M_R_HELD_OK, M_R_HELD }, { "guard", M_R_GUARD_OK, M_R_GUARD },
};

/* The parameters of an item under their own names: numbers grouped, times and durations shown. */
#define READY_PARAMS_MAX 12u
static void ready_item(struct ctl *c, const cJSON *it, struct buf *b)
{
	const char *topic = json_str(it, "topic") ?: "-", *state = json_str(it, "state") ?: "-";
	const char *pairs[READY_PARAMS_MAX][2];
	char *values[READY_PARAMS_MAX];
	bool ok = !strcmp(state, "ok");
	size_t n = 0, k;
	const cJSON *p;
	struct buf t;

	cJSON_ArrayForEach(p, json_get(it, "params")) {
		size_t len = p->string ? strlen(p->string) : 0;

		if (n == READY_PARAMS_MAX)
			break;
		buf_init(&t, 4096);
		if (cJSON_IsNumber(p) && len > 2 && !strcmp(p->string + len - 2, "Ms"))
			put_duration(&t, (int64_t)p->valuedouble);
		else if (cJSON_IsNumber(p))
			put_num(&t, (int64_t)p->valuedouble);
		else
			put_time(c, &t, cJSON_IsString(p) ? p->valuestring : NULL, TIME_LOCAL);
		values[n] = buf_take(&t, NULL);
		pairs[n][0] = p->string;
		pairs[n][1] = values[n] ?: "-";
		n++;
	}
	for (k = 0; k < ARRAY_SIZE(topics) && strcmp(topics[k].topic, topic); k++)
		;
	buf_printf(b, "  %-7s  %-9s ", state, topic);
	if (k < ARRAY_SIZE(topics))
		msg_put_text(b, msg_text(ok ? topics[k].ok : topics[k].missing, c->lang),
			     (const char *const (*)[2])pairs, n);
	else
		for (size_t i = 0; i < n; i++)
			buf_printf(b, "%s%s %s", i ? ", " : "", pairs[i][0], pairs[i][1]);
	buf_adds(b, "\n");
	for (size_t i = 0; i < n; i++)
		free(values[i]);
}

static void ready_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *ns, *it, *next;

	(void)list_empty(c, doc, b, M_NO_WORKLOADS);
	cJSON_ArrayForEach(ns, json_get(doc, "items")) {
		auto_free char *window = NULL, *last = NULL;
		const cJSON *w = json_get(ns, "window");
		char accesses[24], lost[24];
		struct buf t;

		buf_init(&t, 64);
		put_duration(&t, json_i64(w, "ms", -1));
		window = buf_take(&t, NULL);
		buf_init(&t, 64);
		put_duration(&t, json_i64(ns, "lastNewMs", -1));
		last = buf_take(&t, NULL);
		put_line(c, b, json_bool(ns, "ready", false) ? M_READY : M_NOT_READY, "namespace",
			 json_str(ns, "namespace"), "window", window, "accesses",
			 num_str(accesses, json_i64(ns, "accesses", 0)), "last", last, "lost",
			 num_str(lost, json_i64(ns, "lost", 0)), NULL);
		cJSON_ArrayForEach(it, json_get(ns, "items"))
			ready_item(c, it, b);
		cJSON_ArrayForEach(next, json_get(ns, "next")) {
			if (cJSON_IsString(next))
				put_next(c, b, next->valuestring);
		}
	}
}

int cmd_ready(struct ctl *c)
{
	static const struct view v = { .name_key = "namespace", .before = ready_human };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	struct query q = {};
	const cJSON *ns;
	int r;

	query_flags(c, &q);
	if (flag_given(c, FLAG_WATCH))
		return list_run(c, "/v1/ready", &q, &v);
	r = api_get(c, "/v1/ready", &q, &doc);
	query_done(&q);
	r = r ?: emit(c, doc, &v);
	if (r)
		return r;
	cJSON_ArrayForEach(ns, json_get(doc, "items")) {
		if (!json_bool(ns, "ready", false))
			return EXIT_NO;
	}
	return 0;
}

/* ---- query --------------------------------------------------------------------------------------------------------------- */

static void chain_put(struct ctl *c, const cJSON *side, struct buf *b)
{
	const cJSON *step;
	bool any = false;

	cJSON_ArrayForEach(step, json_get(side, "chain")) {
		const char *result = json_str(step, "result") ?: "-", *rule = json_str(step, "rule");

		buf_adds(b, any ? " > " : "");
		put_str(b, json_str(step, "tier"));
		buf_adds(b, " ");
		if (rule && *rule) {
			put_str(b, rule);
			buf_adds(b, " ");
		}
		put_verdict(c, b, result);
		any = true;
	}
}

static void query_side(struct ctl *c, const cJSON *doc, const char *name, struct buf *b)
{
	const cJSON *side = json_get(doc, name);

	buf_printf(b, "  %-8s ", name);
	if (!cJSON_IsObject(side)) {
		buf_adds(b, msg_text(M_QUERY_NOT_HERE, c->lang));
		buf_adds(b, "\n");
		return;
	}
	put_str(b, json_str(side, "workload"));
	msg_put(b, c->lang, M_QUERY_MODE, "mode", json_str(side, "mode"), "from", json_str(side, "modeFrom"), NULL);
	chain_put(c, side, b);
	buf_adds(b, ": ");
	put_verdict(c, b, json_str(side, "outcome"));
	buf_adds(b, "\n");
}

static bool side_blocks(const cJSON *doc, const char *name)
{
	const char *o = json_str(json_get(doc, name), "outcome");

	return o && !strcmp(o, "block");
}

static void query_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *members = json_get(doc, "members"), *now = json_get(doc, "now");
	bool eg = side_blocks(doc, "egress"), in = side_blocks(doc, "ingress");
	char gen[24], n1[24], n2[24];
	const char *g = num_str(gen, json_i64(doc, "generation", 0));

	put_line(c, b, json_bool(doc, "passes", false) ? M_QUERY_PASSES :
		       eg && in			       ? M_QUERY_BOTH :
		       eg			       ? M_QUERY_EGRESS :
							 M_QUERY_INGRESS,
		 "src", json_str(doc, "src"), "dst", json_str(doc, "dst"), "port", json_str(doc, "port"),
		 "generation", g, NULL);
	if (cJSON_IsObject(now))
		put_line(c, b, M_QUERY_NOW, "egress", json_str(now, "egress"), "ingress",
			 json_str(now, "ingress"), NULL);
	if (json_i64(members, "pairs", 1) > 1)
		put_line(c, b, M_QUERY_MEMBERS, "pairs", num_str(n1, json_i64(members, "pairs", 0)), "passing",
			 num_str(n2, json_i64(members, "passing", 0)), "src",
			 json_str(json_get(doc, "pair"), "src"), "dst", json_str(json_get(doc, "pair"), "dst"),
			 NULL);
	query_side(c, doc, "egress", b);
	query_side(c, doc, "ingress", b);
}

int cmd_query(struct ctl *c)
{
	static const struct view v = { .before = query_human };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	auto_free char *assume = flag_join(c, FLAG_ASSUME);
	struct query q = {};
	int r;

	query_add(&q, "src", c->args[0]);
	query_add(&q, "dst", c->args[1]);
	query_add(&q, "port", c->args[2]);
	query_add(&q, "assume", assume);
	r = api_get(c, "/v1/query", &q, &doc);
	query_done(&q);
	r = r ?: emit(c, doc, &v);
	return r ?: json_bool(doc, "passes", false) ? 0 : EXIT_NO;
}
