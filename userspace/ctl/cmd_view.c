/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_view.c - simulate and topology. */
#include <inttypes.h>
#include <string.h>

#include "ctl/cmd.h"

/* ---- simulate -------------------------------------------------------------------------------- */

static void days_text(struct ctl *c, const cJSON *a, struct buf *b)
{
	(void)c;
	buf_printf(b, "%" PRId64 "/%" PRId64, json_i64(a, "daysSeen", 0), json_i64(a, "daysRecorded", 0));
}

static const struct col simulate_cols[] = {
	{ "was", M_H_WAS, COL_VERDICT, 0, NULL, 0 },
	{ "becomes", M_H_BECOMES, COL_VERDICT, 0, NULL, 0 },
	{ "side", M_H_SIDE, COL_STR, 0, NULL, 0 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, NULL, 0 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, NULL, 0 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 0 },
	{ "flows", M_H_FLOWS, COL_NUM, COL_OPT, NULL, 0 },
	{ "daysSeen", M_H_DAYS, COL_STR, COL_OPT, days_text, 0 },
	{ "last", M_H_LAST, COL_WHEN, COL_OPT, NULL, 0 },
	{ "by", M_H_BY, COL_STR, COL_CUT | COL_OPT, put_by_col, 0 },
};

static void simulate_before(struct ctl *c, const cJSON *s, struct buf *b)
{
	const cJSON *rec = json_get(s, "recorded"), *cand = json_get(s, "candidate");
	auto_free char *since = NULL, *until = NULL, *took = NULL;
	char flows[24], accesses[24], days[24], asked[24], lost[24], gen[24], add[24], change[24], del[24];

	since = time_text(c, json_str(rec, "since"));
	until = time_text(c, json_str(rec, "until"));
	took = duration_text(json_i64(s, "tookMs", 0));
	put_line(c, b, json_i64(rec, "askedDays", 0) > json_i64(rec, "days", 0) ? M_SIM_HEAD_SHORT : M_SIM_HEAD, "flows",
		 num_str(flows, json_i64(s, "flows", 0)), "accesses",
		 num_str(accesses, json_i64(s, "accesses", 0)), "since", since, "until", until, "days",
		 num_str(days, json_i64(rec, "days", 0)), "asked", num_str(asked, json_i64(rec, "askedDays", 0)),
		 "lost", num_str(lost, json_i64(rec, "lost", 0)), "took", took, NULL);
	put_line(c, b, M_SIM_CANDIDATE, "generation", num_str(gen, json_i64(s, "generation", 0)), "add",
		 num_str(add, json_i64(cand, "add", 0)), "change", num_str(change, json_i64(cand, "change", 0)),
		 "delete", num_str(del, json_i64(cand, "delete", 0)), NULL);
}

static void simulate_after(struct ctl *c, const cJSON *s, struct buf *b)
{
	int64_t changed = json_i64(s, "breaks", 0) + json_i64(s, "opens", 0) + json_i64(s, "differs", 0);
	char all[24], n[24], breaks[24], opens[24], differs[24], unresolved[24];
	const cJSON *a;

	put_line(c, b, M_SIM_SUM, "n", num_str(n, changed), "all", num_str(all, json_i64(s, "accesses", 0)),
		 "breaks", num_str(breaks, json_i64(s, "breaks", 0)), "opens",
		 num_str(opens, json_i64(s, "opens", 0)), "differs", num_str(differs, json_i64(s, "differs", 0)),
		 NULL);
	if (json_i64(s, "unresolved", 0))
		put_line(c, b, M_SIM_UNRESOLVED, "n", num_str(unresolved, json_i64(s, "unresolved", 0)), NULL);
	cJSON_ArrayForEach(a, json_get(s, "items")) {
		if (cJSON_IsNumber(json_get(a, "scheduledHour"))) {
			char hour[8];

			snprintf(hour, sizeof(hour), "%02d:00", json_get(a, "scheduledHour")->valueint % 24);
			put_line(c, b, M_SIM_SCHEDULED, "id", json_str(a, "id"), "hour", hour, NULL);
		}
	}
	if (json_i64(s, "breaks", 0) && json_get(s, "items") && json_get(s, "items")->child) {
		char cmd[96];

		snprintf(cmd, sizeof(cmd), "cellwall access show %.40s",
			 json_str(json_get(s, "items")->child, "id") ?: "ID");
		put_next(c, b, cmd);
	}
}

int cmd_simulate(struct ctl *c)
{
	static const struct view v = { .cols = simulate_cols, .ncols = ARRAY_SIZE(simulate_cols),
				       .name_key = "id", .before = simulate_before, .after = simulate_after };
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject(), *doc = NULL;
	auto_free char *ns = flag_join(c, FLAG_NAMESPACE);
	static const enum flag texts[] = { FLAG_SINCE, FLAG_UNTIL, FLAG_AS };
	cJSON *list;
	int r = documents_put(c, body);

	if (r)
		return r;
	if (flag_given(c, FLAG_PRUNE))
		cJSON_AddTrueToObject(body, "prune");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (flag_given(c, texts[i]))
			cJSON_AddStringToObject(body, flag_defs[texts[i]].name, flag_str(c, texts[i]));
	if (ns) {
		list = cJSON_AddArrayToObject(body, "namespaces");
		for (char *p = ns, *next; p; p = next) {
			next = strchr(p, ',');
			if (next)
				*next++ = '\0';
			cJSON_AddItemToArray(list, cJSON_CreateString(p));
		}
	}
	if (flag_given(c, FLAG_INPUT))
		r = api_get(c, "", NULL, &doc);
	else
		r = api_call(c, "POST", "/v1/simulate", NULL, body, &doc);
	r = r ?: emit(c, doc, &v);
	if (r)
		return r;
	return json_i64(doc, "breaks", 0) + json_i64(doc, "opens", 0) + json_i64(doc, "differs", 0) ? EXIT_NO : 0;
}

/* ---- topology -------------------------------------------------------------------------------- */

static int topology_run(struct ctl *c, const struct output *o, const char *format)
{
	auto_free char *text = NULL;
	struct query q = {};
	size_t len = 0;
	int r;

	query_flags(c, &q);
	query_add(&q, "level", flag_str(c, FLAG_LEVEL));
	query_add(&q, "label", flag_str(c, FLAG_LABEL_KEY));
	query_add(&q, "at", flag_str(c, FLAG_AT));
	query_add(&q, "maxNodes", flag_str(c, FLAG_MAX_NODES));
	query_add(&q, "format", format);
	if (flag_given(c, FLAG_NO_LEGEND))
		query_add(&q, "legend", "0");
	if (flag_given(c, FLAG_COMMENT))
		query_add(&q, "comment", "1");
	r = api_text(c, "/v1/topology", &q, &text, &len);
	query_done(&q);
	return r ?: emit_text(c, o, text, len);
}

static int at_check(struct ctl *c)
{
	if (flag_given(c, FLAG_AT) && flag_given(c, FLAG_UNTIL))
		return usage_fail(c, "cli.scope", "--at --until", "--at, --until", NULL, M_E_AT_UNTIL, NULL);
	return 0;
}

int cmd_topology_show(struct ctl *c)
{
	int r = at_check(c);

	for (size_t i = 0; i < c->noutputs && !r; i++) {
		const struct output *o = &c->outputs[i];

		if (o->format != FMT_TABLE && o->format != FMT_WIDE && o->format != FMT_JSON)
			return usage_fail(c, "cli.output", o->name, "table, json", "cellwall topology export -o dot",
					  M_E_FORMAT, "value", o->name, NULL);
		r = topology_run(c, o, o->format == FMT_JSON ? "json" : "tree");
	}
	return r;
}

int cmd_topology_export(struct ctl *c)
{
	int r = at_check(c);

	for (size_t i = 0; i < c->noutputs && !r; i++) {
		const struct output *o = &c->outputs[i];

		if (o->format != FMT_OTHER && o->format != FMT_JSON && o->format != FMT_CSV)
			return usage_fail(c, "cli.output", o->name, "dot, json, graphml, mermaid, csv, tree", NULL,
					  M_E_FORMAT, "value", o->name, NULL);
		r = topology_run(c, o, o->name);
	}
	return r;
}

static const struct col diff_cols[] = {
	{ "change", M_H_CHANGE, COL_STR, 0, NULL, 0 },
	{ "id", M_H_ID, COL_STR, 0, NULL, 0 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, NULL, 0 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, NULL, 0 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 0 },
	{ "was", M_H_WAS, COL_VERDICT, 0, NULL, 0 },
	{ "becomes", M_H_BECOMES, COL_VERDICT, 0, NULL, 0 },
};

static void diff_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	int64_t fresh = 0, gone = 0, verdict = 0;
	char n1[24], n2[24], n3[24];
	const cJSON *it;

	cJSON_ArrayForEach(it, json_get(doc, "items")) {
		const char *ch = json_str(it, "change") ?: "";

		fresh += !strcmp(ch, "new");
		gone += !strcmp(ch, "gone");
		verdict += !strcmp(ch, "verdict");
	}
	put_line(c, b, M_DIFF_SUM, "new", num_str(n1, fresh), "gone", num_str(n2, gone), "verdict",
		 num_str(n3, verdict), NULL);
}

int cmd_topology_diff(struct ctl *c)
{
	static const struct view v = { .cols = diff_cols, .ncols = ARRAY_SIZE(diff_cols), .name_key = "id",
				       .after = diff_after };
	struct query q = {};

	query_flags(c, &q);
	query_add(&q, "from", c->args[0]);
	query_add(&q, "to", c->nargs > 1 ? c->args[1] : NULL);
	query_add(&q, "level", flag_str(c, FLAG_LEVEL));
	query_add(&q, "window", flag_str(c, FLAG_WINDOW));
	return list_run(c, "/v1/topology/diff", &q, &v);
}
