/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - every change: ask the daemon for the plan, show it, ask, make it, say how to undo it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/grid.h"

#define SHOWN_MAX 20 /* lines of each list of a plan before "... and N more" */

static const char *num(char out[24], int64_t n)
{
	struct buf b;

	buf_init(&b, 64);
	put_num(&b, n);
	snprintf(out, 24, "%s", b.data ?: "");
	buf_done(&b);
	return out;
}

static void more_put(struct ctl *c, struct buf *b, int64_t left)
{
	char n[24];

	if (left <= 0)
		return;
	buf_adds(b, "  ");
	msg_put(b, c->lang, M_AND_MORE, "n", num(n, left), NULL);
	buf_adds(b, "\n");
}

/* ---- what changes ---------------------------------------------------------------------------- */

static void change_row(struct ctl *c, struct grid *g, const cJSON *ch)
{
	const char *op = json_str(ch, "op"), *kind = json_str(ch, "kind"), *origin = json_str(ch, "origin");
	const char *was = json_str(ch, "was"), *becomes = json_str(ch, "becomes");
	int64_t workloads = json_i64(ch, "workloads", 0);
	struct buf b;
	char n[24];

	grid_row(g);
	grid_set(g, 0, op);
	grid_set(g, 1, kind && !strcmp(kind, "rule") && origin ? origin : kind);
	grid_set(g, 2, json_str(ch, "name"));
	if (json_str(ch, "field") && kind && strcmp(json_str(ch, "field"), kind))
		grid_set(g, 3, json_str(ch, "field"));
	buf_init(&b, 65536);
	if (was && becomes) {
		put_str(&b, was);
		buf_adds(&b, " -> ");
		put_str(&b, becomes);
	} else if (json_str(ch, "summary")) {
		put_str(&b, json_str(ch, "summary"));
	} else if (was || becomes) {
		put_str(&b, becomes ?: was);
	} else if (op && !strcmp(op, "=")) {
		buf_adds(&b, msg_text(M_UNCHANGED, c->lang));
	}
	grid_take(g, 4, &b);
	if (workloads) {
		buf_init(&b, 64);
		msg_put(&b, c->lang, M_OF_WORKLOADS, "n", num(n, workloads), NULL);
		grid_take(g, 5, &b);
	}
}

static void changes_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *list = json_get(plan, "changes"), *ch;
	int64_t shown = 0, total = cJSON_GetArraySize(list);
	struct grid g = {};

	cJSON_ArrayForEach(ch, list) {
		if (shown++ < SHOWN_MAX)
			change_row(c, &g, ch);
	}
	grid_print(&g, "  ", b);
	more_put(c, b, total - SHOWN_MAX);
}

/* ---- what it does to what was recorded and what lives ---------------------------------------- */

static void access_row(struct ctl *c, struct grid *g, const cJSON *a)
{
	const char *answered = json_str(a, "answered"), *effect = json_str(a, "effect");
	int64_t seen = json_i64(a, "daysSeen", 0), days = json_i64(a, "daysRecorded", 0);
	char n1[24];
	struct buf b;

	grid_row(g);
	buf_init(&b, 4096);
	put_str(&b, json_str(a, "src"));
	buf_adds(&b, " -> ");
	put_str(&b, json_str(a, "dst"));
	grid_take(g, 0, &b);
	grid_set(g, 1, json_str(a, "port"));
	buf_init(&b, 256);
	put_verdict(c, &b, json_str(a, "was"));
	buf_adds(&b, " -> ");
	put_verdict(c, &b, json_str(a, "becomes"));
	grid_take(g, 2, &b);
	grid_set(g, 3, json_str(a, "side"));
	buf_init(&b, 1024);
	put_by(c, &b, json_get(a, "by"));
	grid_take(g, 4, &b);
	buf_init(&b, 1024);
	msg_put(&b, c->lang, answered && !strcmp(answered, "yes") ? M_SEEN_ANSWERED : M_SEEN_ATTEMPTED, "flows",
		num(n1, json_i64(a, "flows", 0)), NULL);
	if (days > 1) {
		char s[24], d[24];

		msg_put(&b, c->lang, M_SEEN_DAYS, "seen", num(s, seen), "days", num(d, days), NULL);
	}
	grid_take(g, 5, &b);
	if (json_bool(a, "looksNeeded", false) && effect && !strcmp(effect, "breaks"))
		grid_set(g, 6, msg_text(M_LOOKS_NEEDED, c->lang));
}

/* How many verdicts differ over the whole space, and the command that lists them. */
static void ranges_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *n = json_get(plan, "verdictsDiffer");
	char count[24];
	struct buf cmd;

	if (!n)
		return;
	buf_init(&cmd, 65536);
	/* Only what can be read once more. */
	if (c->values[FLAG_FILE].n == 1 && strcmp(c->values[FLAG_FILE].v[0], "-")) {
		buf_adds(&cmd, " (cellwall diff live ");
		put_str(&cmd, c->values[FLAG_FILE].v[0]);
		buf_adds(&cmd, flag_given(c, FLAG_PRUNE) ? " --prune)" : ")");
	}
	put_line(c, b, cJSON_IsNumber(n) ? M_PLAN_RANGES : M_PLAN_RANGES_SKIPPED, "n",
		 num(count, json_i64(plan, "verdictsDiffer", 0)), "command", cmd.data ?: "", NULL);
	buf_done(&cmd);
}

static void accesses_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *list = json_get(plan, "accesses"), *counts = json_get(plan, "accessCounts"), *a;
	int64_t shown = 0, total = cJSON_GetArraySize(list);
	char breaks[24], opens[24], differs[24], recorded[24], days[24];
	struct grid g = {};

	if (!counts)
		return;
	put_line(c, b, M_PLAN_ACCESSES, "breaks", num(breaks, json_i64(counts, "breaks", 0)), "opens",
		 num(opens, json_i64(counts, "opens", 0)), "differs",
		 num(differs, json_i64(counts, "differs", 0)), "recorded",
		 num(recorded, json_i64(counts, "recorded", 0)), "days",
		 num(days, json_i64(json_get(plan, "recorded"), "days", 0)), NULL);
	cJSON_ArrayForEach(a, list) {
		if (shown++ < SHOWN_MAX)
			access_row(c, &g, a);
	}
	grid_print(&g, "  ", b);
	more_put(c, b, total - SHOWN_MAX);
}

static void flow_ends_put(struct buf *b, const cJSON *f)
{
	put_str(b, json_str(f, "src"));
	if (json_i64(f, "srcPort", 0))
		buf_printf(b, ":%" PRId64, json_i64(f, "srcPort", 0));
	buf_adds(b, " -> ");
	put_str(b, json_str(f, "dst"));
	if (json_i64(f, "dstPort", 0))
		buf_printf(b, ":%" PRId64, json_i64(f, "dstPort", 0));
}

static void flows_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *counts = json_get(plan, "flowCounts"), *list = json_get(plan, "flowsCut"), *f;
	const char *how = json_str(plan, "flows");
	enum msg m = M_PLAN_FLOWS;
	int64_t shown = 0, cut = json_i64(counts, "cut", 0);
	char n1[24], n2[24];
	struct grid g = {};

	if (!counts)
		return;
	if (how && !strcmp(how, "reset")) {
		m = M_PLAN_RESET;
	} else if (how && !strcmp(how, "keep")) {
		m = M_PLAN_KEPT;
		cut = json_i64(counts, "kept", 0);
		list = json_get(plan, "flowsKept");
	}
	put_line(c, b, m, "cut", num(n1, cut), "live", num(n2, json_i64(counts, "live", 0)), NULL);
	cJSON_ArrayForEach(f, list) {
		struct buf cell;

		if (shown++ >= SHOWN_MAX)
			break;
		grid_row(&g);
		grid_set(&g, 0, json_str(f, "node"));
		buf_init(&cell, 4096);
		flow_ends_put(&cell, f);
		grid_take(&g, 1, &cell);
		grid_set(&g, 2, json_str(f, "port"));
		grid_set(&g, 3, json_str(f, "state"));
		buf_init(&cell, 64);
		put_duration(&cell, json_i64(f, "ageMs", -1));
		grid_take(&g, 4, &cell);
	}
	grid_print(&g, "  ", b);
	more_put(c, b, cut - SHOWN_MAX);
}

static void room_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *list = json_get(plan, "room"), *r;
	char n1[24], n2[24];

	if (!cJSON_GetArraySize(list))
		return;
	buf_adds(b, msg_text(M_PLAN_ROOM, c->lang));
	cJSON_ArrayForEach(r, list) {
		buf_adds(b, r == list->child ? "" : ", ");
		put_str(b, json_str(r, "node"));
		buf_adds(b, " ");
		msg_put(b, c->lang, M_PLAN_ENTRIES, "used", num(n1, json_i64(r, "entries", 0)), "max",
			num(n2, json_i64(r, "entriesMax", 0)), NULL);
	}
	buf_adds(b, "\n");
}

static void warnings_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *list = json_get(plan, "warnings"), *w;

	cJSON_ArrayForEach(w, list) {
		buf_printf(b, "%s[", msg_text(M_WARNING, c->lang));
		put_str(b, json_str(w, "name"));
		buf_adds(b, "]: ");
		put_str(b, json_str(w, "message"));
		buf_adds(b, "\n");
	}
}

static void still_blocked_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *list = json_get(plan, "stillBlocked"), *s;

	cJSON_ArrayForEach(s, list) {
		auto_free char *by = NULL;
		struct buf t;

		buf_init(&t, 4096);
		put_by(c, &t, json_get(s, "by"));
		by = buf_take(&t, NULL);
		put_line(c, b, M_STILL_BLOCKED, "id", json_str(s, "id"), "side", json_str(s, "side"), "by", by,
			 NULL);
	}
}

static void skipped_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	static const struct { const char *why; enum msg m; } words[] = {
		{ "not-answered", M_SKIP_NOT_ANSWERED }, { "guessed", M_SKIP_GUESSED },
		{ "held", M_SKIP_HELD }, { "decided", M_SKIP_DECIDED }, { "unresolved", M_SKIP_UNRESOLVED },
	};
	const cJSON *list = json_get(plan, "skipped"), *s;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		auto_free char *ids = NULL;
		int64_t n = 0;
		struct buf t;
		char k[24];

		buf_init(&t, 4096);
		cJSON_ArrayForEach(s, list) {
			const char *why = json_str(s, "why");

			if (!why || strcmp(why, words[i].why))
				continue;
			if (n++ < 8)
				buf_printf(&t, "%s%s", n > 1 ? ", " : "", json_str(s, "id") ?: "-");
		}
		if (n > 8)
			buf_adds(&t, ", ..");
		ids = buf_take(&t, NULL);
		if (n)
			put_line(c, b, words[i].m, "n", num(k, n), "ids", ids, NULL);
	}
}

static void needs_put(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *list = json_get(plan, "needs"), *n;

	cJSON_ArrayForEach(n, list) {
		put_line(c, b, M_PLAN_NEEDS, "message", json_str(n, "message"), "accept", json_str(n, "accept"),
			 NULL);
	}
}

void plan_print(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *gen = json_get(plan, "generation"), *counts = json_get(plan, "counts");
	const cJSON *confirm = json_get(plan, "confirm"), *needs = json_get(plan, "needs");
	char from[24], to[24], add[24], change[24], del[24], same[24];

	put_line(c, b, M_PLAN_HEAD, "from", num(from, json_i64(gen, "from", 0)), "to",
		 num(to, json_i64(gen, "to", 0)), "what", json_str(plan, "what"), NULL);
	if (confirm && cJSON_IsObject(confirm)) {
		auto_free char *dur = NULL;

		dur = duration_text(json_i64(confirm, "durationMs", 0));
		put_line(c, b, M_PLAN_CONFIRM, "duration", dur, NULL);
	}
	changes_put(c, plan, b);
	accesses_put(c, plan, b);
	ranges_put(c, plan, b);
	flows_put(c, plan, b);
	room_put(c, plan, b);
	still_blocked_put(c, plan, b);
	skipped_put(c, plan, b);
	warnings_put(c, plan, b);
	needs_put(c, plan, b);
	put_line(c, b, M_PLAN_COUNTS, "add", num(add, json_i64(counts, "add", 0)), "change",
		 num(change, json_i64(counts, "change", 0)), "delete", num(del, json_i64(counts, "delete", 0)),
		 "same", num(same, json_i64(counts, "unchanged", 0)), NULL);
	if (cJSON_GetArraySize(needs))
		put_next(c, b, json_str(needs->child, "next"));
}

/* ---- what was done --------------------------------------------------------------------------- */

static void receipts_sum(const cJSON *plan, int *applied, int *all, int64_t *after_us, int64_t *cut)
{
	const cJSON *r;

	*applied = *all = 0;
	*after_us = *cut = 0;
	cJSON_ArrayForEach(r, json_get(plan, "receipts")) {
		const char *state = json_str(r, "state");
		int64_t us = json_i64(r, "afterUs", 0);

		(*all)++;
		*applied += state && !strcmp(state, "applied");
		*after_us = us > *after_us ? us : *after_us;
		*cut += json_i64(r, "flowsCut", 0);
	}
}

void plan_done_print(struct ctl *c, const cJSON *plan, struct buf *b)
{
	const cJSON *confirm = json_get(plan, "confirm");
	const char *reverts = json_str(confirm, "revertsAt");
	auto_free char *after = NULL, *at = NULL;
	char gen[24], ok[24], nodes[24], n[24];
	int applied, all;
	int64_t us, cut, kept = json_i64(json_get(plan, "flowCounts"), "kept", 0);
	struct buf t;

	if (json_bool(plan, "noop", false)) {
		put_line(c, b, M_DONE_NOTHING, "generation",
			 num(gen, json_i64(json_get(plan, "generation"), "from", 0)), NULL);
		return;
	}
	changes_put(c, plan, b);
	still_blocked_put(c, plan, b);
	skipped_put(c, plan, b);
	warnings_put(c, plan, b);
	receipts_sum(plan, &applied, &all, &us, &cut);
	buf_init(&t, 64);
	put_micros(&t, us);
	after = buf_take(&t, NULL);
	snprintf(gen, sizeof(gen), "%" PRId64, json_i64(json_get(plan, "generation"), "to", 0));
	put_line(c, b, all ? M_DONE : M_DONE_NO_NODE, "generation", gen, "applied", num(ok, applied), "nodes",
		 num(nodes, all), "after", after, NULL);
	if (cut)
		put_line(c, b, M_DONE_CUT, "n", num(n, cut), NULL);
	if (kept)
		put_line(c, b, M_DONE_KEPT, "n", num(n, kept), NULL);
	if (reverts) {
		char cmd[64];

		at = time_text(c, reverts);
		put_line(c, b, M_DONE_REVERTS, "at", at, NULL);
		snprintf(cmd, sizeof(cmd), "cellwall change confirm %s", gen);
		put_next(c, b, cmd);
	}
	if (json_str(plan, "undo")) {
		buf_adds(b, msg_text(M_UNDO, c->lang));
		put_str(b, json_str(plan, "undo"));
		buf_adds(b, "\n");
	}
}

/* ---- the way of a change --------------------------------------------------------------------- */

/* keep, cut or reset; NULL: not said. */
static const char *flows_word(const struct ctl *c)
{
	static const enum flag f[] = { FLAG_KEEP, FLAG_CUT, FLAG_RESET };

	for (size_t i = 0; i < ARRAY_SIZE(f); i++)
		if (flag_given(c, f[i]))
			return flag_defs[f[i]].name;
	return NULL;
}

static int post(struct ctl *c, const struct change *ch, int64_t dry, int64_t if_generation, cJSON **ret)
{
	auto_free char *accept = flag_join(c, FLAG_ACCEPT);
	struct query q = {};
	char gen[24];
	int r;

	if (dry)
		query_add(&q, "dryRun", "1");
	snprintf(gen, sizeof(gen), "%" PRId64, if_generation);
	if (if_generation >= 0)
		query_add(&q, "ifGeneration", gen);
	if (c->cmd->flags & FB(CONFIRM))
		query_add(&q, "confirm", flag_str(c, FLAG_CONFIRM));
	if (c->cmd->flags & FB(ACCEPT))
		query_add(&q, "accept", accept);
	if (c->cmd->flags & FB(KEEP))
		query_add(&q, "flows", flows_word(c));
	r = api_call(c, ch->method ?: "POST", ch->path, &q, ch->body, ret);
	query_done(&q);
	return r;
}

static void view_plan(struct ctl *c, const cJSON *doc, struct buf *b)
{
	if (json_bool(doc, "noop", false))
		plan_done_print(c, doc, b);
	else
		plan_print(c, doc, b);
}

static bool accepted(const struct ctl *c, const char *what)
{
	for (size_t i = 0; i < c->values[FLAG_ACCEPT].n; i++)
		if (strstr(c->values[FLAG_ACCEPT].v[i], what))
			return true;
	return false;
}

static int needs_fail(struct ctl *c, const cJSON *plan)
{
	int r = 0;
	const cJSON *n;

	cJSON_ArrayForEach(n, json_get(plan, "needs")) {
		const char *accept = json_str(n, "accept") ?: "-";
		char expected[96];

		if (accepted(c, accept))
			continue;
		snprintf(expected, sizeof(expected), "--accept %s", accept);
		fail_add(&c->fails, -EINVAL, json_str(n, "error") ?: "change.needs", json_str(plan, "what"),
			 expected, json_str(n, "next"), "%s", json_str(n, "message") ?: accept);
		r = EXIT_REFUSED;
	}
	return r;
}

/* 0: go on; else an exit code. */
static int ask(struct ctl *c, const struct change *ch, const cJSON *plan)
{
	char line[64] = "";
	struct buf b;

	if (flag_given(c, FLAG_YES))
		return 0;
	if (!wants_human(c) || !c->io.in_tty)
		return usage_fail(c, "cli.needs-yes", json_str(plan, "what"), "-y, --dry-run", ch->again,
				  M_E_NEEDS_YES, NULL);
	buf_init(&b, 1u << 24);
	plan_print(c, plan, &b);
	fwrite(b.data ?: "", 1, b.len, c->io.out);
	buf_done(&b);
	fprintf(c->io.out, "%s", msg_text(M_ASK, c->lang));
	fflush(c->io.out);
	if (!fgets(line, sizeof(line), c->io.in) || (line[0] != 'y' && line[0] != 'Y')) {
		fprintf(c->io.out, "%s\n", msg_text(M_NOTHING_CHANGED, c->lang));
		return EXIT_USAGE;
	}
	return 0;
}

int change_run(struct ctl *c, const struct change *ch)
{
	const struct view plan_view = { .before = view_plan };
	const struct view done_view = { .before = ch->done ?: plan_done_print };
	auto_cleanup(cJSON_Deletep) cJSON *plan = NULL, *done = NULL;
	int r;

	if (flag_given(c, FLAG_KEEP) + flag_given(c, FLAG_CUT) + flag_given(c, FLAG_RESET) > 1)
		return usage_fail(c, "cli.flows", "--keep --cut --reset", "--keep, --cut, --reset", NULL, M_E_FLOWS, NULL);
	r = post(c, ch, 1, -1, &plan);
	if (r)
		return r;
	if (flag_given(c, FLAG_DRY_RUN)) {
		r = emit(c, plan, &plan_view);
		return r ?: flag_given(c, FLAG_EXIT_CODE) && !json_bool(plan, "noop", false) ? EXIT_NO : 0;
	}
	if (json_bool(plan, "noop", false))
		return emit(c, plan, &plan_view);
	r = needs_fail(c, plan);
	if (!r && json_bool(plan, "canDrop", false) && !ch->at_once)
		r = ask(c, ch, plan);
	if (r)
		return r;
	r = post(c, ch, 0, json_i64(json_get(plan, "generation"), "from", -1), &done);
	return r ?: emit(c, done, &done_view);
}
