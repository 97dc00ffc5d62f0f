/* SPDX-License-Identifier: Apache-2.0 */
/* score.c - case files: questions with the right answers beside them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "selftests/judge/judge.h"

#define SHOWN 3 /* wrong rows of a case */

struct run {
	struct judge *j;
	const char *file;	/* its last two names */
	FILE *out;
	struct score *sum;
};

static void told(struct run *x, const char *name, const char *how, bool ok, const char *detail)
{
	x->sum->passed += ok;
	x->sum->failed += !ok;
	fprintf(x->out, "%sok %s %s: %s%s%s%s\n", ok ? "" : "not ", x->j->ops->name, x->file, name, how,
		*detail ? ": " : "", detail);
}

/* The rows of a case as the question has them: the answers are not told. */
static cJSON *question_of(const cJSON *c)
{
	cJSON *q = cJSON_Duplicate(c, true), *rows = q ? cJSON_DetachItemFromObjectCaseSensitive(q, "expect") : NULL, *r;

	if (!rows || !cJSON_AddItemToObject(q, "rows", rows)) {
		cJSON_Delete(q);
		return NULL;
	}
	cJSON_ArrayForEach(r, rows)
		cJSON_DeleteItemFromObjectCaseSensitive(r, "verdict");
	return q;
}

static void wrong_row(const cJSON *row, const char *got, char *out, size_t n)
{
	size_t at = strlen(out);

	(void)snprintf(out + at, n - at, "%s%s -> %s %s/%d %s: want %s, got %s", at ? "; " : "",
		       json_str(row, "from") ?: "", json_str(row, "to") ?: "", json_str(row, "proto") ?: "",
		       (int)json_num(row, "port", 0), json_str(row, "family") ?: "", json_str(row, "verdict") ?: "", got);
}

static void reach(struct run *x, const cJSON *c, const char *how)
{
	const cJSON *want = json_get(c, "expect"), *row, *err;
	auto_cleanup(cJSON_Deletep) cJSON *q = question_of(c), *a = NULL;
	char detail[1024] = "";
	int i = 0, wrong = 0;

	a = q ? judge_answer(x->j, "reach", q) : NULL;
	err = json_get(a, "error");
	if (!a || err) {
		told(x, json_str(c, "name"), how, false, cJSON_IsString(err) ? err->valuestring : "no memory");
		return;
	}
	cJSON_ArrayForEach(row, want) {
		const cJSON *got = cJSON_GetArrayItem(a, i++);
		const char *g = cJSON_IsString(got) ? got->valuestring : "nothing", *w = json_str(row, "verdict");

		if (w && !strcmp(g, w))
			continue;
		if (wrong++ < SHOWN)
			wrong_row(row, g, detail, sizeof(detail));
	}
	if (wrong > SHOWN) {
		size_t at = strlen(detail);

		(void)snprintf(detail + at, sizeof(detail) - at, "; and %d more of %d", wrong - SHOWN, i);
	}
	told(x, json_str(c, "name"), how, !wrong && i, i ? detail : "a case without rows");
}

static void validation(struct run *x, const cJSON *c)
{
	bool want = json_bool(c, "valid", false);
	auto_cleanup(cJSON_Deletep) cJSON *a = judge_answer(x->j, "validation", c);
	const char *path = json_str(c, "path"), *got = json_str(a, "path"), *why = json_str(a, "why");
	char detail[512] = "";

	if (!cJSON_IsBool(json_get(a, "valid")) || json_bool(a, "valid", false) != want)
		(void)snprintf(detail, sizeof(detail), "want %s (%s), got %s %s", want ? "valid" : "invalid", path ?: "-",
			       got ?: "-", why ?: "");
	told(x, json_str(c, "name"), "", !*detail, detail);
}

int judge_score(struct judge *j, const char *path, FILE *out, struct score *sum)
{
	auto_cleanup(cJSON_Deletep) cJSON *cases = NULL;
	struct run x = { .j = j, .file = path, .out = out, .sum = sum };
	auto_free char *text = NULL;
	struct fail_list f = {};
	const cJSON *c;
	size_t n = 0;
	int r = read_all_path(path, JSON_BYTES_MAX, &text, &n);

	for (const char *s = path + strlen(path), *e = s; s > path && x.file == path; s--)
		if (*s == '/' && e != path + strlen(path))
			x.file = s + 1;
		else if (*s == '/')
			e = s;
	r = r ?: json_parse(text, n, path, &f, &cases);
	if (!r && !cJSON_IsArray(cases))
		r = -EBADMSG;
	if (r)
		fprintf(stderr, "judge: %s: %s\n", path, f.n ? f.items[0].message : strerror(-r));
	fail_list_done(&f);
	if (r)
		return r;
	judge_reset(j);
	cJSON_ArrayForEach(c, cases) {
		if (!json_str(c, "name"))
			told(&x, "?", "", false, "a case without a name");
		else if (json_get(c, "policies"))
			reach(&x, c, "");
		else if (json_get(c, "object"))
			validation(&x, c);
		else
			told(&x, json_str(c, "name"), "", false, "neither a question about policies nor about an object");
	}
	cJSON_ArrayForEach(c, cases)
		if (json_str(c, "name") && json_get(c, "sequence")) {
			judge_reset(j);
			reach(&x, c, " (from nothing)");
		}
	return 0;
}
