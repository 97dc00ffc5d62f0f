/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/judge/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

static const struct {
	const char *name;
	int (*ask)(struct judge *j, const cJSON *q, struct fail_list *f, cJSON **ret);
} kinds[] = {
	{ "reach", kind_reach },
	{ "validation", kind_validation },
};

static cJSON *refusal(const struct fail_list *f, int r)
{
	const struct fail *i = f->n ? &f->items[0] : NULL;
	cJSON *o = cJSON_CreateObject();
	char text[512];

	if (i)
		(void)snprintf(text, sizeof(text), "%s%s%s", i->at ? i->at : "", i->at ? ": " : "", i->message);
	else
		(void)snprintf(text, sizeof(text), "%s", strerror(-r));
	if (!o || !cJSON_AddStringToObject(o, "error", text)) {
		cJSON_Delete(o);
		return NULL;
	}
	return o;
}

cJSON *judge_answer(struct judge *j, const char *kind, const cJSON *q)
{
	struct fail_list f = {};
	cJSON *a = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, kind))
			continue;
		r = kinds[i].ask(j, q, &f, &a);
		if (r) {
			a = refusal(&f, r);
			if (f.n && f.items[0].expected)
				fprintf(stderr, "judge: %s\n", f.items[0].expected);
		}
		fail_list_done(&f);
		return a;
	}
	fprintf(stderr, "judge: unknown kind of question: %.64s\n", kind);
	return cJSON_CreateNull();
}

void judge_reset(struct judge *j)
{
	if (j->engine)
		j->ops->close(take_ptr(j->engine));
}

/* ---- lines --------------------------------------------------------------------------------------------- */

/* A line without its end; -E2BIG: too long, read to its end all the same. 1: no more. */
static int line_read(FILE *in, char **buf, size_t *cap, size_t *ret_len)
{
	size_t n = 0;
	int c, r = 0;

	while ((c = getc(in)) != EOF && c != '\n') {
		if (n + 1 >= *cap && !r) {
			size_t more = *cap ? *cap * 2 : 1 << 16;
			char *p = more > 2 * JUDGE_LINE_MAX ? NULL : realloc(*buf, more);

			if (!p)
				r = more > 2 * JUDGE_LINE_MAX ? -E2BIG : -ENOMEM;
			else
				*buf = p, *cap = more;
		}
		if (!r)
			(*buf)[n++] = (char)c;
	}
	if (c == EOF && !n && !r)
		return 1;
	if (*buf)
		(*buf)[n] = 0;
	*ret_len = n;
	return r;
}

static cJSON *line_answer(struct judge *j, const char *s, size_t n, int r)
{
	auto_cleanup(cJSON_Deletep) cJSON *q = NULL;
	struct fail_list f = {};
	const char *kind;
	cJSON *a;

	r = r ?: json_parse(s, n, "question", &f, &q);
	if (!r && !(kind = json_str(q, "kind")))
		r = fail_add(&f, -EINVAL, "judge.question", "kind", NULL, NULL, "missing");
	a = r ? refusal(&f, r) : judge_answer(j, kind, q);
	fail_list_done(&f);
	return a;
}

int judge_serve(struct judge *j, FILE *in, FILE *out)
{
	auto_free char *buf = NULL;
	size_t cap = 0, n = 0;
	int r;

	while ((r = line_read(in, &buf, &cap, &n)) <= 0) {
		auto_cleanup(cJSON_Deletep) cJSON *a = NULL;
		auto_free char *text = NULL;

		if (!r && !n)
			continue;
		a = line_answer(j, buf, n, r);
		text = a ? cJSON_PrintUnformatted(a) : NULL;
		if (fprintf(out, "%s\n", text ? text : "{\"error\":\"no memory\"}") < 0 || fflush(out))
			return -EIO;
	}
	return 0;
}
