/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/grid.h"

#include <errno.h>

#include "base/buf.h"
#include "base/text.h"
#include "base/vec.h"

void grid_row(struct grid *g)
{
	if (vec_reserve(g, g->n + 1)) {
		g->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < GRID_COLS_MAX; i++)
		g->v[g->n].cell[i] = NULL;
	g->n++;
}

void grid_take(struct grid *g, size_t i, struct buf *b)
{
	char *s = buf_take(b, NULL);

	if (g->err || !g->n || i >= GRID_COLS_MAX) {
		free(s);
		return;
	}
	free(g->v[g->n - 1].cell[i]);
	g->v[g->n - 1].cell[i] = s;
}

void grid_set(struct grid *g, size_t i, const char *s)
{
	struct buf b;

	buf_init(&b, 65536);
	if (s)
		text_escape(&b, s);
	grid_take(g, i, &b);
}

/* Width on the screen: colour sequences take none. */
static int shown_width(const char *s)
{
	int w = 0;

	while (*s) {
		if (s[0] == '\033' && s[1] == '[') {
			while (*s && *s != 'm')
				s++;
			if (*s)
				s++;
			continue;
		}
		w += cp_width(utf8_next(&s));
	}
	return w;
}

void grid_print(struct grid *g, const char *indent, struct buf *b)
{
	int widths[GRID_COLS_MAX] = {};

	for (size_t r = 0; r < g->n; r++)
		for (size_t i = 0; i < GRID_COLS_MAX; i++) {
			int w = g->v[r].cell[i] ? shown_width(g->v[r].cell[i]) : 0;

			if (w > widths[i])
				widths[i] = w;
		}
	for (size_t r = 0; r < g->n; r++) {
		size_t last = GRID_COLS_MAX;

		while (last && (!g->v[r].cell[last - 1] || !*g->v[r].cell[last - 1]))
			last--;
		buf_adds(b, indent);
		for (size_t i = 0; i < last; i++) {
			const char *s = g->v[r].cell[i] ?: "";

			buf_adds(b, s);
			if (i + 1 < last && widths[i])
				buf_printf(b, "%*s", widths[i] - shown_width(s) + 2, "");
		}
		buf_adds(b, "\n");
		for (size_t i = 0; i < GRID_COLS_MAX; i++)
			free(g->v[r].cell[i]);
	}
	if (g->err && !b->err)
		b->err = g->err;
	vec_done(g);
}
