/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_access.c - access list, show, confirm, reject, undo. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/cmd.h"
#include "ctl/ctl.h"
#include "ctl/grid.h"

static const struct col access_cols[] = {
	{ "id", M_H_ID, COL_STR, 0, NULL, 4 },
	{ "state", M_H_STATE, COL_STR, COL_OPT, NULL, 9 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, NULL, 24 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, NULL, 24 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 9 },
	{ "service", M_H_SERVICE, COL_STR, COL_CUT | COL_OPT, NULL, 8 },
	{ "answered", M_H_ANSWERED, COL_STR, COL_OPT, NULL, 9 },
	{ "flows", M_H_FLOWS, COL_NUM, COL_OPT, NULL, 9 },
	{ "egress", M_H_EGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "ingress", M_H_INGRESS, COL_VERDICT, 0, NULL, 11 },
	{ "last", M_H_LAST, COL_AGE, COL_OPT, NULL, 5 },
	{ "egressBy", M_H_EGRESS_BY, COL_STR, COL_WIDE, put_egress_by, 20 },
	{ "ingressBy", M_H_INGRESS_BY, COL_STR, COL_WIDE, put_ingress_by, 20 },
	{ "bytes", M_H_BYTES, COL_NUM, COL_WIDE, NULL, 12 },
	{ "first", M_H_FIRST, COL_AGE, COL_WIDE, NULL, 5 },
	{ "rule", M_H_RULE, COL_STR, COL_WIDE, NULL, 12 },
};

void put_egress_by(struct ctl *c, const cJSON *item, struct buf *b)
{
	put_by(c, b, json_get(item, "egressBy"));
}

void put_ingress_by(struct ctl *c, const cJSON *item, struct buf *b)
{
	put_by(c, b, json_get(item, "ingressBy"));
}

void put_by_col(struct ctl *c, const cJSON *item, struct buf *b)
{
	put_by(c, b, json_get(item, "by"));
}

const char *num_str(char out[24], int64_t n)
{
	struct buf b;

	buf_init(&b, 64);
	put_num(&b, n);
	snprintf(out, 24, "%s", b.data ?: "");
	buf_done(&b);
	return out;
}

static void access_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *meta = json_get(doc, "meta"), *counts = json_get(meta, "counts");
	char total[24], answered[24], attempted[24], held[24], lost[24], gen[24];

	if (list_empty(c, doc, b, M_NO_ACCESSES))
		return;
	num_str(total, json_i64(meta, "total", cJSON_GetArraySize(json_get(doc, "items"))));
	put_line(c, b, M_ACCESS_SUM, "total", total,
		 "answered", num_str(answered, json_i64(counts, "answered", 0)),
		 "attempted", num_str(attempted, json_i64(counts, "attempted", 0)),
		 "held", num_str(held, json_i64(counts, "held", 0)),
		 "lost", num_str(lost, json_i64(meta, "lost", 0)),
		 "generation", num_str(gen, json_i64(meta, "generation", 0)), NULL);
	list_rest(c, doc, b);
}

int cmd_access_list(struct ctl *c)
{
	static const struct view v = { .cols = access_cols, .ncols = ARRAY_SIZE(access_cols), .name_key = "id",
				       .after = access_after };
	struct query q = {};

	query_flags(c, &q);
	return list_run(c, "/v1/accesses", &q, &v);
}

static void side_counts(struct grid *g, struct ctl *c, const cJSON *counts, const char *side)
{
	const cJSON *s = json_get(counts, side), *n;
	struct buf b;
	bool any = false;

	buf_init(&b, 1024);
	cJSON_ArrayForEach(n, s) {
		if (!cJSON_IsNumber(n) || n->valuedouble == 0)
			continue;
		buf_adds(&b, any ? ", " : "");
		put_verdict(c, &b, n->string);
		buf_adds(&b, " ");
		put_num(&b, (int64_t)n->valuedouble);
		any = true;
	}
	grid_take(g, 3, &b);
}

static void side_put(struct ctl *c, struct grid *g, const cJSON *a, const char *side, const char *by_key)
{
	struct buf b;

	grid_row(g);
	grid_set(g, 0, side);
	buf_init(&b, 64);
	put_verdict(c, &b, json_str(a, side));
	grid_take(g, 1, &b);
	buf_init(&b, 1024);
	put_by(c, &b, json_get(a, by_key));
	grid_take(g, 2, &b);
	side_counts(g, c, json_get(a, "counts"), side);
}

static void access_human(struct ctl *c, const cJSON *a, struct buf *b)
{
	const cJSON *ev = json_get(a, "evidence"), *m;
	char flows[24], bytes[24], seen[24], days[24];
	auto_free char *first = NULL, *last = NULL;
	struct grid g = {};
	struct buf t;
	int shown = 0;

	first = time_text(c, json_str(a, "first"));
	last = time_text(c, json_str(a, "last"));
	put_line(c, b, M_ACCESS_HEAD, "id", json_str(a, "id"), "src", json_str(a, "src"), "dst",
		 json_str(a, "dst"), "port", json_str(a, "port"), "state", json_str(a, "state"), NULL);
	side_put(c, &g, a, "egress", "egressBy");
	side_put(c, &g, a, "ingress", "ingressBy");
	grid_print(&g, "  ", b);
	put_line(c, b, M_ACCESS_SEEN, "flows", num_str(flows, json_i64(a, "flows", 0)), "answered",
		 json_str(a, "answered"), "bytes", num_str(bytes, json_i64(a, "bytes", 0)), "first", first, "last",
		 last, "seen", num_str(seen, json_i64(ev, "daysSeen", 0)), "days",
		 num_str(days, json_i64(ev, "daysRecorded", 0)), NULL);
	if (json_str(a, "decidedBy"))
		put_line(c, b, M_ACCESS_DECIDED, "state", json_str(a, "state"), "who", json_str(a, "decidedBy"),
			 "rule", json_str(a, "rule"), NULL);
	cJSON_ArrayForEach(m, json_get(ev, "members")) {
		char n[24];

		if (shown++ == 20)
			break;
		grid_row(&g);
		grid_set(&g, 0, json_str(m, "src"));
		grid_set(&g, 1, "->");
		grid_set(&g, 2, json_str(m, "dst"));
		grid_set(&g, 3, num_str(n, json_i64(m, "flows", 0)));
		buf_init(&t, 64);
		put_time(c, &t, json_str(m, "last"), TIME_AGE);
		grid_take(&g, 4, &t);
	}
	grid_print(&g, "    ", b);
	cJSON_ArrayForEach(m, json_get(a, "stillBlocked")) {
		auto_free char *by = NULL;

		buf_init(&t, 1024);
		put_by(c, &t, json_get(m, "by"));
		by = buf_take(&t, NULL);
		put_line(c, b, M_STILL_BLOCKED, "id", json_str(a, "id"), "side", json_str(m, "side"), "by", by,
			 NULL);
	}
	if (json_str(a, "state") && !strcmp(json_str(a, "state"), "pending")) {
		char cmd[96];

		snprintf(cmd, sizeof(cmd), "cellwall access confirm %.40s", json_str(a, "id") ?: "ID");
		put_next(c, b, cmd);
	}
}

int cmd_access_show(struct ctl *c)
{
	static const struct view v = { .before = access_human };
	auto_free char *path = path_make("/v1/accesses/", c->args[0]);

	return show_run(c, path, &v);
}

/* ---- decisions ------------------------------------------------------------------------------- */

static const enum flag pick_flags[] = { FLAG_NAMESPACE, FLAG_SRC, FLAG_DST, FLAG_PEER, FLAG_PORT, FLAG_STATE,
					FLAG_ANSWERED, FLAG_SEARCH };

static int decide(struct ctl *c, const char *verb, const char *path)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
	char next[96];
	cJSON *to;

	snprintf(next, sizeof(next), "cellwall access %s -n NS --answered --dry-run", verb);
	if (!c->nargs && !flag_given(c, FLAG_NAMESPACE))
		return usage_fail(c, "scope.missing", c->cmd->words, "ID..., -n NS", next, M_E_SCOPE, NULL);
	if (c->nargs) {
		for (size_t i = 0; i < ARRAY_SIZE(pick_flags); i++)
			if (flag_given(c, pick_flags[i]))
				return usage_fail(c, "cli.arguments", flag_defs[pick_flags[i]].name,
						  "ID..., -n NS", next, M_E_IDS_AND_FILTER, NULL);
		to = cJSON_AddArrayToObject(body, "ids");
		for (unsigned i = 0; i < c->nargs; i++)
			cJSON_AddItemToArray(to, cJSON_CreateString(c->args[i]));
	} else {
		to = cJSON_AddObjectToObject(body, "filter");
		for (size_t i = 0; i < ARRAY_SIZE(pick_flags); i++) {
			auto_free char *v = flag_join(c, pick_flags[i]);

			if (v)
				cJSON_AddStringToObject(to, flag_defs[pick_flags[i]].name, v);
		}
	}
	return change_run(c, &(struct change){ .path = path, .body = body, .again = next });
}

int cmd_access_confirm(struct ctl *c)
{
	return decide(c, "confirm", "/v1/accesses/confirm");
}

int cmd_access_reject(struct ctl *c)
{
	return decide(c, "reject", "/v1/accesses/reject");
}

int cmd_access_undo(struct ctl *c)
{
	return decide(c, "undo", "/v1/accesses/undo");
}
