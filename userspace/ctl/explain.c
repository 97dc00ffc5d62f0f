/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - the sentences on reasons and errors, from one table in both languages. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/strparse.h"
#include "base/text.h"
#include "ctl/cmd.h"
#include "ctl/explain.h"

#define PARAMS_MAX 32u

const struct explain_row explain_subjects[] = {
#define E(key, en, zh, next) { key, { en, zh }, next },
#include "ctl/explain.def"
#undef E
};
const size_t explain_nsubjects = ARRAY_SIZE(explain_subjects);

const struct explain_row explain_names[] = {
#define D(key, en, zh, next) { key, { en, zh }, next },
#include "ctl/explain.def"
#undef D
};
const size_t explain_nnames = ARRAY_SIZE(explain_names);

static const struct explain_row *row_find(const struct explain_row *rows, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(rows[i].key, key))
			return &rows[i];
	return NULL;
}

/* Its own row, or that of its word: "rule.range" may be told by "*.range". */
static const struct explain_row *name_find(const char *name)
{
	const struct explain_row *r = row_find(explain_names, explain_nnames, name);
	const char *dot = strchr(name, '.');
	char any[64];

	if (r || !dot || (size_t)snprintf(any, sizeof(any), "*%s", dot) >= sizeof(any))
		return r;
	return row_find(explain_names, explain_nnames, any);
}

const char *explain_text(const char *name, enum lang lang, const char **ret_next)
{
	const struct explain_row *r = name_find(name);

	if (!r)
		return NULL;
	if (ret_next)
		*ret_next = r->next;
	return r->text[lang];
}

size_t explain_search(struct ctl *c, const char *word, struct buf *b)
{
	size_t found = 0;

	for (size_t i = 0; i < explain_nnames; i++) {
		const struct explain_row *r = &explain_names[i];

		if (!strcasestr(r->key, word) && !strcasestr(r->text[LANG_EN], word) &&
		    !strstr(r->text[LANG_ZH], word))
			continue;
		buf_printf(b, "  %-20s  %s\n", r->key, r->text[c->lang]);
		found++;
	}
	return found;
}

/* ---- an Explanation of the daemon ------------------------------------------------------------ */

struct params {
	const char *pair[PARAMS_MAX][2];
	char *owned[PARAMS_MAX];
	size_t n;
};

static void param_take(struct params *p, const char *name, struct buf *b)
{
	char *s = buf_take(b, NULL);

	if (p->n == PARAMS_MAX || !s) {
		free(s);
		return;
	}
	p->pair[p->n][0] = name;
	p->pair[p->n][1] = p->owned[p->n] = s;
	p->n++;
}

static void params_done(struct params *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->owned[i]);
}

/* "08:31:07" on the same day, else with the date. */
static void clock_put(struct ctl *c, struct buf *b, const char *rfc3339)
{
	auto_free char *full = NULL, *today = NULL;
	char now[32];
	struct buf t;

	full = time_text(c, rfc3339);
	buf_init(&t, 64);
	if (c->io.now_ns)
		put_time(c, &t, time_str(c->io.now_ns, now), TIME_LOCAL);
	else
		put_time(c, &t, time_str((int64_t)time(NULL) * 1000000000, now), TIME_LOCAL);
	today = buf_take(&t, NULL);
	if (c->time <= TIME_LOCAL && full && today && strlen(full) == 19 && !strncmp(full, today, 10))
		buf_adds(b, full + 11);
	else
		buf_adds(b, full ?: "-");
}

static const char *tier_zh(const char *tier)
{
	static const struct { const char *en, *zh; } t[] = {
		{ "manual", "手动策略" }, { "learned", "学习策略" }, { "admin", "管理层策略" },
		{ "baseline", "兜底层策略" }, { "networkpolicy", "NetworkPolicy" }, { "default", "默认判定" },
		{ "quarantine", "紧急隔离" }, { "builtin", "内置规则" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (!strcmp(t[i].en, tier))
			return t[i].zh;
	return tier;
}

static void rule_params(struct params *p, const cJSON *in)
{
	const char *tier = json_str(in, "tier") ?: "-", *rule = json_str(in, "rule"), *kind = json_str(in, "ruleKind");
	bool named = rule && *rule, np = !strcmp(tier, "networkpolicy");
	struct buf b;

	buf_init(&b, 4096);
	if (!strcmp(tier, "default"))
		buf_adds(&b, "the default: no rule matches");
	else if (np || (named && kind))
		buf_printf(&b, "%s ", np ? "NetworkPolicy" : kind);
	else if (named)
		buf_printf(&b, "%s rule ", tier);
	else
		buf_adds(&b, tier);
	if (named)
		put_str(&b, rule);
	param_take(p, "by_rule", &b);
	buf_init(&b, 4096);
	buf_adds(&b, named && kind && !np ? kind : tier_zh(tier));
	if (named) {
		buf_adds(&b, " ");
		put_str(&b, rule);
		buf_adds(&b, " ");
	}
	param_take(p, "by_rule_zh", &b);
}

static void params_make(struct ctl *c, const cJSON *in, struct params *p)
{
	const char *side = json_str(in, "side") ?: "-";
	int64_t count = json_i64(in, "count", 0);
	const cJSON *it;
	struct buf b;

	cJSON_ArrayForEach(it, in) {
		if (p->n + 6 >= PARAMS_MAX)
			break;
		buf_init(&b, 65536);
		if (!strcmp(it->string, "last") || !strcmp(it->string, "first") ||
		    !strcmp(it->string, "quarantineSince") || !strcmp(it->string, "ruleUpdated"))
			clock_put(c, &b, cJSON_IsString(it) ? it->valuestring : NULL);
		else if (cJSON_IsNumber(it))
			put_num(&b, (int64_t)it->valuedouble);
		else
			put_str(&b, cJSON_IsString(it) ? it->valuestring : NULL);
		param_take(p, it->string, &b);
	}
	buf_init(&b, 64);
	put_num(&b, count);
	buf_adds(&b, count == 1 ? " time" : " times");
	param_take(p, "times", &b);
	buf_init(&b, 64);
	buf_adds(&b, !strcmp(side, "egress") ? "出向侧" : !strcmp(side, "ingress") ? "入向侧" : side);
	param_take(p, "side_zh", &b);
	buf_init(&b, 4096); /* who the side belongs to: the quarantined end */
	put_str(&b, json_str(in, !strcmp(side, "ingress") ? "whom" : "who"));
	param_take(p, "subject", &b);
	rule_params(p, in);
}

static void before_put(struct ctl *c, const cJSON *in, const struct params *p, struct buf *b)
{
	const cJSON *before = json_get(in, "before");
	char n[24];

	if (cJSON_IsObject(before) && json_str(before, "verdict"))
		put_line(c, b, M_BEFORE_ENFORCE, "verdict", json_str(before, "verdict"), "count",
			 num_str(n, json_i64(before, "count", 0)), NULL);
	if (json_i64(in, "ruleId", 0) && json_str(in, "ruleCreator")) {
		auto_free char *when = NULL;
		char id[24];

		(void)p;
		when = time_text(c, json_str(in, "ruleUpdated"));
		snprintf(id, sizeof(id), "%" PRId64, json_i64(in, "ruleId", 0));
		put_line(c, b, M_RULE_BY, "id", id, "who", json_str(in, "ruleCreator"), "time", when, NULL);
	}
}

/* Which workloads a reason was seen at, where no access stands behind it. */
static void seen_put(struct ctl *c, const cJSON *in, struct buf *b)
{
	const cJSON *s;

	cJSON_ArrayForEach(s, json_get(in, "seen")) {
		auto_free char *last = NULL;
		struct buf t;
		char n[24];

		buf_init(&t, 64);
		clock_put(c, &t, json_str(s, "last"));
		last = buf_take(&t, NULL);
		put_line(c, b, M_SEEN_REASON, "who", json_str(s, "who"), "count",
			 num_str(n, json_i64(s, "count", 0)), "last", last, NULL);
	}
}

bool explain_put(struct ctl *c, struct buf *b, const cJSON *doc)
{
	const char *key = json_str(doc, "key") ?: "-", *subject = json_str(doc, "subject") ?: "-", *next = NULL;
	const cJSON *in = json_get(doc, "params");
	bool name = !strcmp(subject, "reason") || !strcmp(subject, "error");
	const struct explain_row *row = name ? name_find(key) :
					       row_find(explain_subjects, explain_nsubjects, key);
	struct params p = {};
	struct buf t;

	if (!row && name)
		return false;
	if (!row)
		row = row_find(explain_subjects, explain_nsubjects, "other");
	params_make(c, in, &p);
	buf_init(&t, 65536);
	msg_put_text(&t, row->text[c->lang], (const char *const (*)[2])p.pair, p.n);
	if (name) {
		put_str(b, key);
		buf_adds(b, ": ");
	}
	put_line(c, b, M_TEXT, "text", t.data, NULL);
	buf_done(&t);
	if (!name)
		before_put(c, in, &p, b);
	seen_put(c, in, b);
	buf_init(&t, 65536);
	next = json_str(in, "next");
	if (next)
		buf_adds(&t, next);
	else
		msg_put_text(&t, row->next, (const char *const (*)[2])p.pair, p.n);
	put_next(c, b, t.data);
	buf_done(&t);
	params_done(&p);
	return true;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void explain_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	if (!explain_put(c, b, doc))
		put_line(c, b, M_TEXT, "text", json_str(doc, "key"), NULL);
}

/* What a reason or an error means is known here; the daemon adds where a reason was seen, and is
 * asked for ids. Without it the meaning is still told. */
int cmd_explain(struct ctl *c)
{
	static const struct view v = { .before = explain_human };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	const char *what = c->args[0];
	struct query q = {};
	int r = 0;

	query_add(&q, "what", what);
	if (flag_given(c, FLAG_INPUT) || !name_find(what)) {
		r = api_get(c, "/v1/explain", &q, &doc);
	} else if (strchr(what, '.') || api_call(c, "GET", "/v1/explain", &q, NULL, &doc)) {
		fail_list_done(&c->fails);
		doc = cJSON_CreateObject();
		cJSON_AddStringToObject(doc, "apiVersion", "cellwall.io/v1");
		cJSON_AddStringToObject(doc, "kind", "Explanation");
		cJSON_AddStringToObject(doc, "subject", strchr(what, '.') ? "error" : "reason");
		cJSON_AddStringToObject(doc, "key", what);
		cJSON_AddStringToObject(doc, "text", explain_text(what, LANG_EN, NULL));
		cJSON_AddObjectToObject(doc, "params");
	}
	query_done(&q);
	return r ?: emit(c, doc, &v);
}
