/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_shadow.c - shadow start, status, stop. */
#include <inttypes.h>
#include <string.h>

#include "ctl/cmd.h"

#define NAME_MAX_BYTES 63 /* of a shadow */

static const struct col shadow_cols[] = {
	{ "was", M_H_WAS, COL_VERDICT, 0, NULL, 0 },
	{ "becomes", M_H_BECOMES, COL_VERDICT, 0, NULL, 0 },
	{ "side", M_H_SIDE, COL_STR, 0, NULL, 0 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, NULL, 0 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, NULL, 0 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 0 },
	{ "flows", M_H_FLOWS, COL_NUM, COL_OPT, NULL, 0 },
	{ "first", M_H_FIRST, COL_WHEN, COL_OPT, NULL, 0 },
	{ "last", M_H_LAST, COL_WHEN, COL_OPT, NULL, 0 },
	{ "by", M_H_BY, COL_STR, COL_CUT | COL_OPT, put_by_col, 0 },
	{ "id", M_H_ID, COL_STR, COL_WIDE, NULL, 0 },
};

static int64_t differences(const cJSON *s)
{
	return json_i64(s, "breaks", 0) + json_i64(s, "opens", 0) + json_i64(s, "differs", 0) +
	       json_i64(json_get(s, "more"), "accesses", 0);
}

static void status_before(struct ctl *c, const cJSON *s, struct buf *b)
{
	auto_free char *since = time_text(c, json_str(s, "since"));
	char flows[24], accesses[24], lost[24];

	put_line(c, b, M_SHADOW_HEAD, "name", json_str(s, "name"), "who", json_str(s, "who"), "since", since, "flows",
		 num_str(flows, json_i64(s, "flows", 0)), "accesses", num_str(accesses, json_i64(s, "accesses", 0)), "lost",
		 num_str(lost, json_i64(s, "lost", 0)), NULL);
	if (json_str(s, "error"))
		put_line(c, b, M_SHADOW_FAILED, "error", json_str(s, "error"), NULL);
}

static void status_after(struct ctl *c, const cJSON *s, struct buf *b)
{
	const cJSON *more = json_get(s, "more"), *first = json_get(s, "items") ? json_get(s, "items")->child : NULL;
	char all[24], n[24], breaks[24], opens[24], differs[24], flows[24];

	put_line(c, b, M_SHADOW_SUM, "n", num_str(n, differences(s)), "all", num_str(all, json_i64(s, "accesses", 0)),
		 "breaks", num_str(breaks, json_i64(s, "breaks", 0)), "opens", num_str(opens, json_i64(s, "opens", 0)),
		 "differs", num_str(differs, json_i64(s, "differs", 0)), NULL);
	if (json_i64(s, "unresolved", 0))
		put_line(c, b, M_SHADOW_UNRESOLVED, "n", num_str(n, json_i64(s, "unresolved", 0)), NULL);
	if (json_i64(more, "accesses", 0))
		put_line(c, b, M_SHADOW_MORE, "kept", num_str(all, json_i64(more, "kept", 0)), "n",
			 num_str(n, json_i64(more, "accesses", 0)), "flows", num_str(flows, json_i64(more, "flows", 0)), NULL);
	if (first) {
		char cmd[96];

		snprintf(cmd, sizeof(cmd), "cellwall access show %.40s", json_str(first, "id") ?: "ID");
		put_next(c, b, cmd);
	}
}

int cmd_shadow_status(struct ctl *c)
{
	static const struct view v = { .cols = shadow_cols, .ncols = ARRAY_SIZE(shadow_cols), .name_key = "id",
				       .before = status_before, .after = status_after };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r = api_get(c, "/v1/shadow", NULL, &doc);

	r = r ?: emit(c, doc, &v);
	if (r)
		return r;
	return differences(doc) ? EXIT_NO : json_str(doc, "error") ? EXIT_INCOMPLETE : 0;
}

static void started(struct ctl *c, const cJSON *s, struct buf *b)
{
	const cJSON *cand = json_get(s, "candidate");
	char gen[24], add[24], change[24], del[24];

	put_line(c, b, M_SHADOW_STARTED, "name", json_str(s, "name"), "generation",
		 num_str(gen, json_i64(s, "generation", 0)), "add", num_str(add, json_i64(cand, "add", 0)), "change",
		 num_str(change, json_i64(cand, "change", 0)), "delete", num_str(del, json_i64(cand, "delete", 0)), NULL);
	put_next(c, b, "cellwall shadow status");
}

int cmd_shadow_start(struct ctl *c)
{
	static const struct view v = { .before = started };
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject(), *doc = NULL;
	const char *name = flag_str(c, FLAG_SHADOW_NAME), *file = flag_str(c, FLAG_FILE);
	auto_free char *own = NULL;
	char *slash, *base;
	int r;

	if (!flag_given(c, FLAG_FILE))
		return usage_fail(c, "cli.arguments", "shadow start", "-f FILE|DIR|-", "cellwall help shadow start", M_E_NO_FILE,
				  NULL);
	r = documents_put(c, body);
	if (r)
		return r;
	if (!name && file && strcmp(file, "-")) { /* rules/db-only.yaml is db-only, rules/ is rules */
		own = strdup(file);
		for (size_t n = strlen(own); n > 1 && own[n - 1] == '/'; n--)
			own[n - 1] = '\0';
		slash = strrchr(own, '/');
		base = slash && slash[1] ? slash + 1 : own;
		if (strrchr(base, '.') > base)
			*strrchr(base, '.') = '\0';
		if (strlen(base) > NAME_MAX_BYTES)
			base[NAME_MAX_BYTES] = '\0';
		name = base;
	}
	if (name && *name)
		cJSON_AddStringToObject(body, "name", name);
	if (flag_given(c, FLAG_PRUNE))
		cJSON_AddTrueToObject(body, "prune");
	if (flag_given(c, FLAG_AS))
		cJSON_AddStringToObject(body, "as", flag_str(c, FLAG_AS));
	r = api_call(c, "POST", "/v1/shadow", NULL, body, &doc);
	return r ?: emit(c, doc, &v);
}

static void stopped(struct ctl *c, const cJSON *s, struct buf *b)
{
	put_line(c, b, M_SHADOW_STOPPED, "name", json_str(s, "name"), NULL);
	status_after(c, s, b);
}

int cmd_shadow_stop(struct ctl *c)
{
	static const struct view v = { .before = stopped };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r = api_call(c, "DELETE", "/v1/shadow", NULL, NULL, &doc);

	return r ?: emit(c, doc, &v);
}
