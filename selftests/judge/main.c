/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cellwall-judge [--engine evaluator|prog|netns] [--score FILE...]
 *
 * Reads one question a line, a JSON object with its kind in "kind", and prints one answer a line, in
 * order. Nothing but the product's own code answers. With --score it asks the cases of files
 * itself, and tells which were answered right; exit code 1 when one was not.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "selftests/judge/judge.h"

static const struct engine_ops *const engines[] = { &engine_evaluator, &engine_prog, &engine_netns };

static int usage(FILE *to)
{
	fprintf(to, "usage: cellwall-judge [--engine evaluator|prog|netns] [--score FILE...]\n"
		    "without --score: one question a line on standard input, one answer a line on standard output\n");
	return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	struct judge j = { .ops = &engine_evaluator };
	struct score sum = {};
	bool score = false;
	int r = 0, i;

	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		const char *v = !strncmp(argv[i], "--engine=", 9) ? argv[i] + 9 : NULL;

		if (!strcmp(argv[i], "--help"))
			return usage(stdout);
		if (!strcmp(argv[i], "--engine") && i + 1 < argc)
			v = argv[++i];
		if (v) {
			j.ops = NULL;
			for (size_t k = 0; k < ARRAY_SIZE(engines); k++)
				if (!strcmp(engines[k]->name, v))
					j.ops = engines[k];
			if (!j.ops)
				return usage(stderr);
		} else if (!strcmp(argv[i], "--score")) {
			score = true;
		} else {
			return usage(stderr);
		}
	}
	if (score == (i == argc))
		return usage(stderr);
	if (!score)
		r = judge_serve(&j, stdin, stdout);
	for (; i < argc; i++)
		if (judge_score(&j, argv[i], stdout, &sum))
			sum.failed++;
	if (score)
		printf("%lu passed, %lu failed\n", sum.passed, sum.failed);
	judge_reset(&j);
	return r || sum.failed ? 1 : 0;
}
