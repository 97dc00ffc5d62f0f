/* SPDX-License-Identifier: Apache-2.0 */
/* grid.h - lines of a few parts, aligned under each other; for plans and details. */
#pragma once

#include <stddef.h>

struct buf;

#define GRID_COLS_MAX 10u

struct grid {
	struct { char *cell[GRID_COLS_MAX]; } *v;
	size_t n, cap;
	int err;
};

void grid_row(struct grid *g);			  /* begins a line */
/* Sets part i of the last line: the text is taken from b, which is emptied. */
void grid_take(struct grid *g, size_t i, struct buf *b);
void grid_set(struct grid *g, size_t i, const char *s); /* escaped copy */
/* Appends all lines with `indent`, parts two columns apart, and empties the grid. */
void grid_print(struct grid *g, const char *indent, struct buf *b);
