/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error_cases.h - runs a catalogue of malformed inputs (selftests/errors/<name>.txt): each must
 * give exactly the errors that are written beside it. A block is
 *
 *	=== name of the case
 *	--- KIND			what reads it, told to the callback
 *	the input, to the next line of dashes
 *	--- want
 *	error[NAME]: MESSAGE
 *	  at: PLACE
 *	  expected: TEXT
 *	  next: FIRST LINE		only compared where a case gives one
 *
 * ERROR_CASES_LIST=1 in the environment prints a line for each case.
 * ERROR_CASES_PRINT=1 in the environment prints the catalogue with what was got instead.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/file.h"

/* Feeds one input; faults go to f. The result is not looked at: faults are what counts. */
typedef void error_case_fn(const char *kind, const char *text, size_t len, struct fail_list *f);

static void error_case_render(const struct fail_list *f, bool next, struct buf *b)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct fail *e = &f->items[i];

		buf_printf(b, "error[%s]: %s\n", e->name, e->message);
		if (e->at)
			buf_printf(b, "  at: %s\n", e->at);
		if (e->expected)
			buf_printf(b, "  expected: %s\n", e->expected);
		if (next && e->next)
			buf_printf(b, "  next: %.*s\n", (int)strcspn(e->next, "\n"), e->next);
	}
	if (f->dropped)
		buf_printf(b, "and %zu more\n", f->dropped);
}

/* The number of cases that differ; -1 when the file cannot be read. *ret_n: cases run. */
static int error_cases_run(const char *path, error_case_fn *run, size_t *ret_n)
{
	bool print = getenv("ERROR_CASES_PRINT") != NULL;
	bool list = getenv("ERROR_CASES_LIST") != NULL;
	char *text = NULL, *line, *rest, *end;
	struct buf name, kind, input, want;
	struct buf *to = NULL;
	int bad = 0;

	*ret_n = 0;
	if (read_all_path(path, 4 << 20, &text, NULL) < 0)
		return -1;
	buf_init(&name, 4096);
	buf_init(&kind, 4096);
	buf_init(&input, 1 << 20);
	buf_init(&want, 1 << 20);
	for (rest = text;; rest = end) {
		bool last = !*rest, head = strncmp(rest, "=== ", 4) == 0;

		line = rest;
		end = line + strcspn(line, "\n");
		end += *end == '\n';
		if ((last || head) && name.len) {
			struct fail_list f = {};
			struct buf got;
			const char *wanted = want.data ? want.data : "";

			buf_init(&got, 1 << 20);
			run(kind.data ? kind.data : "", input.data ? input.data : "", input.len, &f);
			error_case_render(&f, print || strstr(wanted, "\n  next: "), &got);
			++*ret_n;
			if (print) {
				printf("=== %s\n--- %s\n%s--- want\n%s", name.data, kind.data ? kind.data : "",
				       input.data ? input.data : "", got.data ? got.data : "");
			} else if (strcmp(got.data ? got.data : "", wanted) == 0) {
				if (list)
					printf("ok %s: %s\n", path, name.data);
			} else {
				if (list)
					printf("not ok %s: %s\n", path, name.data);
				fprintf(stderr, "%s: case \"%s\"\n-- wanted:\n%s-- got:\n%s", path, name.data, wanted,
					got.data ? got.data : "");
				bad++;
			}
			buf_done(&got);
			fail_list_done(&f);
			buf_done(&name);
			buf_done(&kind);
			buf_done(&input);
			buf_done(&want);
		}
		if (last)
			break;
		if (head) {
			buf_add(&name, line + 4, strcspn(line + 4, "\n"));
			to = NULL;
		} else if (strncmp(line, "--- want", 8) == 0) {
			to = &want;
		} else if (strncmp(line, "--- ", 4) == 0 && !kind.len) {
			buf_add(&kind, line + 4, strcspn(line + 4, "\n"));
			to = &input;
		} else if (to) {
			buf_add(to, line, (size_t)(end - line));
		}
	}
	free(text);
	return bad;
}
