/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - between table.c and output.c. */
#pragma once

#include "ctl/ctl.h"

#define COLS_MAX 24u

size_t columns_pick(struct ctl *c, const struct view *v, bool wide, const struct col **out, size_t max);
/* The array's items as --sort-by wants them; free() the list. NULL: no memory. */
const cJSON **items_sorted(struct ctl *c, const cJSON *items, const struct view *v, size_t *ret_n);
void cell_put(struct ctl *c, const struct col *col, const cJSON *item, struct buf *b);
char *cell_text(struct ctl *c, const struct col *col, const cJSON *item);
void row_put(struct ctl *c, const struct col *const *cols, size_t n, char *const *cells,
	     const int *widths, bool header, struct buf *b);
