/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_diff.c - two rule sets compared over the whole space, and what is wrong with one. */
#include <stdio.h>
#include <string.h>

#include "base/strparse.h"
#include "ctl/cmd.h"

#define NAMES_SHOWN 3 /* of a list in a cell; -o json has them all */

static void list_put(const cJSON *item, const char *key, struct buf *b)
{
	const cJSON *list = json_get(item, key), *s;
	int n = 0, all = cJSON_GetArraySize(list);

	cJSON_ArrayForEach(s, list) {
		if (n == NAMES_SHOWN)
			break;
		buf_adds(b, n++ ? ", " : "");
		put_str(b, cJSON_GetStringValue(s));
	}
	if (all > n)
		buf_printf(b, " +%d", all - n);
	if (!all)
		buf_adds(b, "-");
}

static void src_put(struct ctl *c, const cJSON *item, struct buf *b)
{
	(void)c;
	list_put(item, "src", b);
}

static void dst_put(struct ctl *c, const cJSON *item, struct buf *b)
{
	(void)c;
	list_put(item, "dst", b);
}

static void ports_put(struct ctl *c, const cJSON *item, struct buf *b)
{
	(void)c;
	list_put(item, "ports", b);
}

static void by_both_put(struct ctl *c, const cJSON *item, struct buf *b)
{
	put_by(c, b, json_get(item, "wasBy"));
	buf_adds(b, " -> ");
	put_by(c, b, json_get(item, "by"));
}

static void witness_put(struct ctl *c, const cJSON *item, struct buf *b)
{
	const cJSON *w = json_get(item, "witness");

	(void)c;
	put_str(b, json_str(w, "src"));
	buf_adds(b, " -> ");
	put_str(b, json_str(w, "dst"));
	buf_adds(b, " ");
	put_str(b, json_str(w, "port"));
}

static const struct col diff_cols[] = {
	{ "was", M_H_WAS, COL_VERDICT, 0, NULL, 0 },
	{ "becomes", M_H_BECOMES, COL_VERDICT, 0, NULL, 0 },
	{ "side", M_H_SIDE, COL_STR, 0, NULL, 0 },
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, src_put, 0 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, dst_put, 0 },
	{ "ports", M_H_PORT, COL_STR, 0, ports_put, 0 },
	{ "by", M_H_BY, COL_STR, COL_CUT | COL_OPT, by_both_put, 0 },
	{ "witness", M_H_WITNESS, COL_STR, COL_CUT | COL_OPT, witness_put, 0 },
};

static char *set_name(struct ctl *c, const cJSON *doc, const char *arg)
{
	struct buf b;
	char n[24];

	buf_init(&b, 8192);
	if (strcmp(arg, "live"))
		put_str(&b, arg);
	else
		msg_put(&b, c->lang, M_RDIFF_LIVE, "n", num_str(n, json_i64(doc, "generation", 0)), NULL);
	return buf_take(&b, NULL);
}

static const char *set_arg(const struct ctl *c, unsigned i)
{
	return i < c->nargs ? c->args[i] : "live";
}

static void diff_before(struct ctl *c, const cJSON *doc, struct buf *b)
{
	auto_free char *x = set_name(c, doc, set_arg(c, 0)), *y = set_name(c, doc, set_arg(c, 1));
	auto_free char *took = duration_text(json_i64(doc, "tookMs", 0));
	char na[24], nb[24], ends[24];

	put_line(c, b, M_RDIFF_HEAD, "a", x ?: "", "na", num_str(na, json_i64(doc, "rulesA", 0)), "b", y ?: "", "nb",
		 num_str(nb, json_i64(doc, "rulesB", 0)), "ends", num_str(ends, json_i64(doc, "ends", 0)), "took",
		 took ?: "-", NULL);
}

static void diff_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *first = json_get(doc, "items") ? json_get(doc, "items")->child : NULL, *w = json_get(first, "witness");
	char n[24], breaks[24], opens[24], differs[24];
	struct buf cmd;

	if (!first) {
		put_line(c, b, M_RDIFF_NONE, NULL);
		return;
	}
	put_line(c, b, M_RDIFF_SUM, "ranges", num_str(n, json_i64(doc, "ranges", 0)), "breaks",
		 num_str(breaks, json_i64(doc, "breaks", 0)), "opens", num_str(opens, json_i64(doc, "opens", 0)),
		 "differs", num_str(differs, json_i64(doc, "differs", 0)), NULL);
	if (json_i64(doc, "truncated", 0))
		put_line(c, b, M_RDIFF_MORE, "n", num_str(n, json_i64(doc, "truncated", 0)), NULL);
	buf_init(&cmd, 8192);
	buf_adds(&cmd, "cellwall query ");
	put_str(&cmd, json_str(w, "src"));
	buf_adds(&cmd, " ");
	put_str(&cmd, json_str(w, "dst"));
	buf_adds(&cmd, " ");
	put_str(&cmd, json_str(w, "port"));
	if (!cmd.err)
		put_next(c, b, cmd.data);
	buf_done(&cmd);
}

/* "live", "gen:39", or what `rule apply -f` would make of a file or folder. */
static int set_add(struct ctl *c, cJSON *body, const char *key, const char *arg)
{
	cJSON *o = cJSON_AddObjectToObject(body, key), *docs = NULL;
	uint64_t gen;
	int r;

	if (!strcmp(arg, "live")) {
		cJSON_AddTrueToObject(o, "live");
		return 0;
	}
	if (!strncmp(arg, "gen:", 4)) {
		if (parse_u64(arg + 4, 1, 1ull << 53, &gen))
			return usage_fail(c, "diff.set", arg, "live, gen:N, FILE or DIR", "cellwall change list", M_E_DIFF_SET,
					  "value", arg, NULL);
		cJSON_AddNumberToObject(o, "generation", (double)gen);
		return 0;
	}
	r = documents_of(c, &arg, 1, &docs);
	if (r)
		return r;
	cJSON_AddItemToObject(o, "documents", docs);
	if (flag_given(c, FLAG_PRUNE))
		cJSON_AddTrueToObject(o, "prune");
	return 0;
}

int cmd_diff(struct ctl *c)
{
	static const struct view v = { .cols = diff_cols, .ncols = ARRAY_SIZE(diff_cols), .before = diff_before,
				       .after = diff_after };
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject(), *doc = NULL;
	int r, r2;

	if (flag_given(c, FLAG_INPUT)) {
		r = api_get(c, "", NULL, &doc);
	} else {
		r = set_add(c, body, "a", set_arg(c, 0));
		r2 = set_add(c, body, "b", set_arg(c, 1));
		r = r ?: r2;
		r = r ?: api_call(c, "POST", "/v1/diff", NULL, body, &doc);
	}
	r = r ?: emit(c, doc, &v);
	if (r)
		return r;
	return json_i64(doc, "ranges", 0) ? EXIT_NO : 0;
}

/* ---- lint ------------------------------------------------------------------------------------ */

static char *names_text(const cJSON *o, const char *key)
{
	struct buf b;

	buf_init(&b, 65536);
	list_put(o, key, &b);
	return buf_take(&b, NULL);
}

static char *by_text(struct ctl *c, const cJSON *item)
{
	const cJSON *by;
	struct buf b;
	char n[24];

	buf_init(&b, 65536);
	cJSON_ArrayForEach(by, json_get(item, "by")) {
		buf_adds(&b, b.len ? ", " : "");
		put_by(c, &b, by);
	}
	if (json_i64(item, "more", 0))
		msg_put(&b, c->lang, M_LINT_MORE, "n", num_str(n, json_i64(item, "more", 0)), NULL);
	return buf_take(&b, NULL);
}

static void wide_put(struct ctl *c, const cJSON *item, struct buf *b)
{
	const cJSON *seen = json_get(item, "seen"), *un = json_get(item, "unseen");
	auto_free char *ports = names_text(seen, "ports"), *from = names_text(seen, "from"), *to = names_text(seen, "to");
	static const char *const ends[] = { "from", "to" };

	msg_put(b, c->lang, M_LINT_W_WIDE, "ports", ports, "from", from, "to", to, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		auto_free char *list = names_text(un, ends[i]);

		if (cJSON_GetArraySize(json_get(un, ends[i])))
			msg_put(b, c->lang, M_LINT_W_UNSEEN, "list", list, NULL);
	}
}

static void why_put(struct ctl *c, const cJSON *item, struct buf *b)
{
	static const struct { const char *kind; enum msg m; } words[] = {
		{ "lint.shadowed", M_LINT_W_SHADOWED },	   { "lint.contradiction", M_LINT_W_CONTRADICTION },
		{ "lint.unused", M_LINT_W_UNUSED },	   { "lint.service-empty", M_LINT_W_SERVICE_EMPTY },
		{ "lint.service-mixed", M_LINT_W_SERVICE_MIXED },
	};
	const char *kind = json_str(item, "kind") ?: "";
	auto_free char *by = by_text(c, item), *since = time_text(c, json_str(item, "since"));
	enum msg m = json_str(item, "at") ? M_LINT_W_ITEM : M_LINT_W_NOWHERE;

	if (!strcmp(kind, "lint.wide")) {
		wide_put(c, item, b);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(kind, words[i].kind))
			m = words[i].m;
	msg_put(b, c->lang, m, "by", by ?: "-", "side", json_str(item, "side") ?: "-", "at", json_str(item, "at") ?: "-",
		"selector", json_str(item, "selector") ?: "-", "service", json_str(item, "service") ?: "-", "port",
		json_str(item, "port") ?: "-", "src", json_str(item, "src") ?: "-", "passes", json_str(item, "passes") ?: "-",
		"blocked", json_str(item, "blocked") ?: "-", "since", since ?: "-", NULL);
}

static const struct col lint_cols[] = {
	{ "kind", M_H_FINDING, COL_STR, 0, NULL, 0 },
	{ "rule", M_H_RULE, COL_STR, COL_CUT, NULL, 0 },
	{ "why", M_H_WHY, COL_STR, COL_CUT, why_put, 0 },
	{ "next", M_H_NEXT, COL_STR, COL_WIDE, NULL, 0 },
};

static void lint_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *meta = json_get(doc, "meta"), *items = json_get(doc, "items"), *it;
	auto_free char *since = time_text(c, json_str(meta, "since"));
	char n[24], rules[24], seen[24];
	const char *last = "";

	num_str(rules, json_i64(meta, "rules", 0));
	if (!cJSON_GetArraySize(items)) {
		put_line(c, b, M_LINT_NONE, "rules", rules, NULL);
		return;
	}
	put_line(c, b, json_str(meta, "since") ? M_LINT_SUM : M_LINT_SUM_NEW, "n", num_str(n, cJSON_GetArraySize(items)),
		 "rules", rules, "seen", num_str(seen, json_i64(meta, "accesses", 0)), "since", since ?: "-", NULL);
	/* The first of each kind says how to go on; -o wide has them all. */
	cJSON_ArrayForEach(it, items) {
		if (json_str(it, "next") && json_str(it, "kind") && strcmp(json_str(it, "kind"), last)) {
			last = json_str(it, "kind");
			put_next(c, b, json_str(it, "next"));
		}
	}
}

int cmd_rule_lint(struct ctl *c)
{
	static const struct view v = { .cols = lint_cols, .ncols = ARRAY_SIZE(lint_cols), .name_key = "rule",
				       .after = lint_after };
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_CreateObject(), *doc = NULL;
	int r = documents_put(c, body);

	if (r)
		return r;
	if (flag_given(c, FLAG_PRUNE))
		cJSON_AddTrueToObject(body, "prune");
	if (flag_given(c, FLAG_SINCE))
		cJSON_AddStringToObject(body, "since", flag_str(c, FLAG_SINCE));
	if (flag_given(c, FLAG_INPUT))
		r = api_get(c, "", NULL, &doc);
	else
		r = api_call(c, "POST", "/v1/rules/lint", NULL, body, &doc);
	r = r ?: emit(c, doc, &v);
	if (r)
		return r;
	return cJSON_GetArraySize(json_get(doc, "items")) ? EXIT_NO : 0;
}
