/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - questions in, answers out. A kind of question is one row of the table in judge.c and
 * one file kind_*.c.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/fail.h"
#include "selftests/judge/engine.h"

struct cJSON;

#define JUDGE_LINE_MAX (16u << 20) /* bytes of one question */

struct judge {
	const struct engine_ops *ops;
	struct engine *engine;	/* made when first asked */
};

/*
 * The answer to a question of that kind; owned by the caller. NULL: no memory. A question that
 * cannot be answered gets {"error": text}; an unknown kind null, and a line on standard error.
 */
struct cJSON *judge_answer(struct judge *j, const char *kind, const struct cJSON *q);
/* Forgets the cluster of the questions before: the next one starts from nothing. */
void judge_reset(struct judge *j);

/* Lines of `in` to lines of `out`, in order. 0, or a negative errno when out cannot be written. */
int judge_serve(struct judge *j, FILE *in, FILE *out);

/*
 * Asks the cases of a file with expectations, tells each one ("ok", "not ok") on `out` and adds to
 * the counts. Steps of a sequence are asked as updates, and once more each from nothing. A negative errno,
 * with a line on standard error: the file cannot be read.
 */
struct score { unsigned long passed, failed; };
int judge_score(struct judge *j, const char *path, FILE *out, struct score *sum);

/* kind_*.c; 0 and an answer, or a negative errno with faults. */
int kind_reach(struct judge *j, const struct cJSON *q, struct fail_list *f, struct cJSON **ret);
int kind_validation(struct judge *j, const struct cJSON *q, struct fail_list *f, struct cJSON **ret);
