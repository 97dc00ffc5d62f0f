/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_history.c - quarantine list, change list, show, confirm, revert, rollback. */
#include <inttypes.h>
#include <string.h>

#include "ctl/cmd.h"
#include "ctl/grid.h"

/* ---- quarantine list, change list and show --------------------------------------------------- */

static const struct col quarantine_cols[] = {
	{ "ref", M_H_WORKLOAD, COL_STR, COL_CUT, NULL, 0 },
	{ "reason", M_H_REASON, COL_STR, COL_CUT, NULL, 0 },
	{ "creator", M_H_CREATOR, COL_STR, COL_OPT, NULL, 0 },
	{ "since", M_H_SINCE, COL_WHEN, COL_OPT, NULL, 0 },
	{ "until", M_H_UNTIL, COL_WHEN, 0, NULL, 0 },
	{ "workloads", M_H_CUTS_OFF, COL_LIST, COL_CUT | COL_OPT, NULL, 0 },
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

static void nodes_text(struct ctl *c, const cJSON *ch, struct buf *b)
{
	const cJSON *list = json_get(ch, "receipts"), *r;
	int applied = 0;

	(void)c;
	cJSON_ArrayForEach(r, list)
		applied += json_str(r, "state") && !strcmp(json_str(r, "state"), "applied");
	if (cJSON_GetArraySize(list))
		buf_printf(b, "%d/%d", applied, cJSON_GetArraySize(list));
	else
		buf_adds(b, "-");
}

static const struct col change_cols[] = {
	{ "generation", M_H_GEN, COL_STR, 0, NULL, 0 },
	{ "what", M_H_WHAT, COL_STR, COL_CUT, NULL, 0 },
	{ "who", M_H_WHO, COL_STR, 0, NULL, 0 },
	{ "time", M_H_TIME, COL_WHEN, COL_OPT, NULL, 0 },
	{ "state", M_H_STATE, COL_STR, 0, NULL, 0 },
	{ "receipts", M_H_NODES, COL_STR, COL_OPT, nodes_text, 0 },
	{ "window", M_H_WINDOW, COL_STR, COL_OPT, window_text, 0 },
	{ "flows", M_H_LIVE_FLOWS, COL_STR, COL_WIDE, NULL, 0 },
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
	put_micros(b, us);
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

	when = time_text(c, json_str(ch, "time"));
	buf_init(&t, 64);
	window_text(c, ch, &t);
	window = buf_take(&t, NULL);
	snprintf(gen, sizeof(gen), "%" PRId64, json_i64(ch, "generation", 0));
	put_line(c, b, M_CHANGE_HEAD, "generation", gen, "what", json_str(ch, "what"), "who",
		 json_str(ch, "who"), "time", when, "via", json_str(ch, "via"), "state", json_str(ch, "state"),
		 "window", window, "flows", json_str(ch, "flows") ?: "cut", NULL);
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
	auto_free char *path = generation_path(c, "/confirm"), *show = NULL;
	int r;

	if (!path)
		return EXIT_USAGE;
	show = generation_path(c, "");
	r = api_call(c, "POST", path, NULL, NULL, &doc);
	if (r == EXIT_REFUSED) { /* too late? */
		struct fail_list keep = c->fails;

		c->fails = (struct fail_list){};
		if (show && api_call(c, "GET", show, NULL, NULL, &was) == 0 && json_str(was, "state") &&
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
