/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_status.c - status, workload list and show, guard list. */
#include <inttypes.h>
#include <string.h>

#include "ctl/cmd.h"
#include "ctl/grid.h"

/* ---- status ---------------------------------------------------------------------------------- */

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
		if (!strcmp(name, "policy-not-in-force")) {
			msg_put(b, c->lang, M_N_POLICY, "kind", json_str(n, "kind"), "rule", json_str(n, "rule"),
				"mode", json_str(n, "mode"), NULL);
			if (json_i64(n, "count", 0) > 1)
				msg_put(b, c->lang, M_N_POLICY_MORE, "n", num_str(k, json_i64(n, "count", 0) - 1),
					NULL);
			continue;
		}
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
	{ "from", M_H_FROM, COL_STR, COL_OPT, NULL, 0 },
	{ "workloads", M_H_WORKLOADS, COL_NUM, COL_OPT, NULL, 0 },
	{ "guarded", M_H_GUARDED, COL_STR, COL_OPT, guarded_text, 0 },
	{ "pending", M_H_PENDING, COL_NUM, 0, NULL, 0 },
	{ "wouldBlock1h", M_H_WOULD_BLOCK_1H, COL_NUM, COL_OPT, NULL, 0 },
	{ "dropped1h", M_H_DROPPED_1H, COL_NUM, COL_OPT, NULL, 0 },
	{ "ready", M_H_READY, COL_BOOL, COL_OPT, NULL, 0 },
	{ "notes", M_H_NOTE, COL_STR, COL_CUT, notes_text, 0 },
};

/* What keeps the cluster's objects from being in force here, or ours from being there: the first of each. */
static void kube_put(struct ctl *c, const cJSON *k, struct buf *b)
{
	static const char *const lists[] = { "refused", "notWritten", "notInForce" };
	char workloads[24], refused[24], waiting[24], held[24];

	if (!cJSON_IsObject(k))
		return;
	put_line(c, b, M_STATUS_KUBE, "version", json_str(k, "version") ?: "-", "server", json_str(k, "server"), "state",
		 json_str(k, "state"), "workloads", num_str(workloads, json_i64(k, "workloads", 0)), "refused",
		 num_str(refused, json_i64(k, "refusedCount", 0)), "waiting", num_str(waiting, json_i64(k, "notWrittenCount", 0)),
		 "held", num_str(held, json_i64(k, "notInForceCount", 0)), NULL);
	if (json_str(k, "reason"))
		put_line(c, b, M_STATUS_KUBE_WHY, "why", json_str(k, "reason"), NULL);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const cJSON *first = cJSON_GetArrayItem(json_get(k, lists[i]), 0);
		auto_free char *why = NULL;

		if (!first || asprintf(&why, "%s: %s", json_str(first, "object") ?: "", json_str(first, "message") ?: "") < 0)
			continue;
		put_line(c, b, M_STATUS_KUBE_WHY, "why", why, NULL);
	}
}

/* With several nodes, or one elsewhere; on a node, how it stands towards its controller. */
static void nodes_put(struct ctl *c, const cJSON *s, struct buf *b)
{
	static const char *const words[] = { "total", "current", "behind", "refused", "lost" };
	const cJSON *nodes = json_get(s, "nodes"), *link = json_get(s, "link");
	const char *why = json_str(link, "problem");
	char n[ARRAY_SIZE(words)][24];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		num_str(n[i], json_i64(nodes, words[i], 0));
	if (json_i64(nodes, "total", 1) != 1 || json_i64(nodes, "current", 1) != 1)
		put_line(c, b, M_STATUS_NODES, words[0], n[0], words[1], n[1], words[2], n[2], words[3], n[3], words[4],
			 n[4], NULL);
	if (!cJSON_IsObject(link))
		return;
	put_line(c, b, M_STATUS_LINK, "address", json_str(link, "address"), "state", json_str(link, "state"), "rows",
		 num_str(n[0], json_i64(json_get(link, "spool"), "rows", 0)), NULL);
	if (why && *why)
		put_line(c, b, M_STATUS_LINK_WHY, "why", why, NULL);
}

static void status_before(struct ctl *c, const cJSON *s, struct buf *b)
{
	const cJSON *node = json_get(s, "node"), *open = json_get(s, "openChange");
	char gen[24], loss[24], late[24], alerts[24];

	put_line(c, b, M_STATUS_HEAD, "cluster", json_str(s, "cluster"), "role", json_str(s, "role"), "node",
		 json_str(node, "name"), "generation", num_str(gen, json_i64(s, "generation", 0)), "sync",
		 msg_text(json_bool(node, "inSync", true) ? M_IN_SYNC : M_NOT_IN_SYNC, c->lang), "loss",
		 num_str(loss, json_i64(s, "loss", 0)), "late", num_str(late, json_i64(s, "identityLate1h", 0)),
		 "alerts", num_str(alerts, json_i64(json_get(s, "alerts"), "open", 0)), NULL);
	nodes_put(c, s, b);
	kube_put(c, json_get(s, "kubernetes"), b);
	if (cJSON_IsObject(open)) {
		auto_free char *left = NULL;
		char n[24];

		left = duration_text(json_i64(open, "leftMs", 0));
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

	if (!cJSON_GetArraySize(json_get(s, "namespaces")) && !json_get(s, "link"))
		no_workloads(c, b);
	if (state && strcmp(state, "ok"))
		put_line(c, b, M_STATUS_STORE, "state", state, "note", json_str(store, "note"), NULL);
	if (cJSON_IsObject(open)) {
		char cmd[64];

		snprintf(cmd, sizeof(cmd), "cellwall change confirm %" PRId64, json_i64(open, "generation", 0));
		put_next(c, b, cmd);
	} else if (json_str(store, "next")) {
		put_next(c, b, json_str(store, "next"));
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

/* ---- workloads ------------------------------------------------------------------------------- */

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
	{ "modeFrom", M_H_FROM, COL_STR, COL_OPT, NULL, 0 },
	{ "guard", M_H_GUARD, COL_STR, COL_OPT, guard_text, 0 },
	{ "addresses", M_H_ADDRESSES, COL_LIST, COL_CUT | COL_OPT, NULL, 0 },
	{ "labels", M_H_LABELS, COL_STR, COL_CUT | COL_WIDE, labels_text, 0 },
	{ "node", M_H_NODE, COL_STR, COL_WIDE, NULL, 0 },
	{ "netns", M_H_NETNS, COL_STR, COL_WIDE | COL_CUT, NULL, 0 },
};

static void workload_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	if (cJSON_GetArraySize(json_get(doc, "items")))
		list_rest(c, doc, b);
	else
		no_workloads(c, b);
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

/* ---- guard ----------------------------------------------------------------------------------- */

static void proof_text(struct ctl *c, const cJSON *g, struct buf *b)
{
	const cJSON *gap = json_get(g, "startGapMs"), *from = json_get(g, "fromPod"), *to = json_get(g, "toPod");
	double sent = cJSON_GetNumberValue(json_get(from, "probesSent")) + cJSON_GetNumberValue(json_get(to, "probesSent"));
	double seen = cJSON_GetNumberValue(json_get(from, "probesSeen")) + cJSON_GetNumberValue(json_get(to, "probesSeen"));
	const char *when = json_str(g, "provedAt");

	(void)c;
	put_str(b, json_str(g, "reason"));
	if (sent > 0 && when && strlen(when) >= 19) /* the time of day of RFC 3339 */
		buf_printf(b, ", %.0f/%.0f probes %.8s", seen, sent, when + 11);
	if (cJSON_IsNumber(gap))
		buf_printf(b, ", start gap %.0f ms", gap->valuedouble);
}

static const struct col guard_cols[] = {
	{ "node", M_H_NODE, COL_STR, 0, NULL, 0 },
	{ "workload", M_H_WORKLOAD, COL_STR, COL_CUT, NULL, 0 },
	{ "iface", M_H_IFACE, COL_STR, 0, NULL, 0 },
	{ "hook", M_H_HOOK, COL_STR, COL_OPT, NULL, 0 },
	{ "state", M_H_STATE, COL_STR, 0, NULL, 0 },
	{ "reason", M_H_PROOF, COL_STR, COL_CUT, proof_text, 0 },
	{ "ifindex", M_H_IFINDEX, COL_STR, COL_WIDE, NULL, 0 },
};

static void guard_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	int64_t guarded = 0, bypassable = 0, blind = 0;
	char n1[24], n2[24], n3[24];
	const cJSON *g;

	if (!cJSON_GetArraySize(json_get(doc, "items"))) {
		no_workloads(c, b);
		return;
	}
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

static const struct col node_cols[] = {
	{ "name", M_H_NODE, COL_STR, 0, NULL, 0 },
	{ "state", M_H_STATE, COL_STR, 0, NULL, 0 },
	{ "generation", M_H_GEN, COL_NUM, 0, NULL, 0 },
	{ "address", M_H_ADDRESSES, COL_STR, COL_WIDE, NULL, 0 },
	{ "reason", M_H_REASON, COL_STR, COL_CUT, NULL, 0 },
};

int cmd_node_list(struct ctl *c)
{
	static const struct view v = { .cols = node_cols, .ncols = ARRAY_SIZE(node_cols), .name_key = "name" };

	return plain_list(c, "/v1/nodes", &v);
}

int cmd_guard_list(struct ctl *c)
{
	static const struct view v = { .cols = guard_cols, .ncols = ARRAY_SIZE(guard_cols),
				       .name_key = "workload", .after = guard_after };

	return plain_list(c, "/v1/guards", &v);
}
