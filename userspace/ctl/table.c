/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - rows of a JSON array as a table that fits the terminal, or as CSV. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/vec.h"
#include "ctl/table.h"

#define GAP 2
#define NAME_MIN 8 /* a cut name keeps at least this many columns */

/* ---- which columns, which order -------------------------------------------------------------- */

static bool col_is(const struct col *col, const char *name, size_t n)
{
	const char *title = msg_text(col->title, LANG_EN);

	return (strlen(col->key) == n && !strncasecmp(col->key, name, n)) ||
	       (strlen(title) == n && !strncasecmp(title, name, n));
}

static const struct col *col_find(const struct view *v, const char *name, size_t n)
{
	for (size_t i = 0; i < v->ncols; i++)
		if (col_is(&v->cols[i], name, n))
			return &v->cols[i];
	return NULL;
}

static int column_fail(struct ctl *c, const struct view *v, const char *flag, const char *name, size_t n)
{
	auto_free char *word = strndup(name, n), *list = NULL;
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < v->ncols; i++) {
		buf_adds(&b, i ? ", " : "");
		for (const char *p = msg_text(v->cols[i].title, LANG_EN); *p; p++)
			buf_printf(&b, "%c", *p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	}
	list = buf_take(&b, NULL);
	return usage_fail(c, "cli.column", flag, list, NULL, M_E_COLUMN, "name", word, NULL);
}

int columns_check(struct ctl *c, const struct view *v)
{
	auto_free char *names = flag_join(c, FLAG_COLUMNS);
	const char *sort = flag_str(c, FLAG_SORT_BY);

	for (const char *p = names; p;) {
		size_t n = strcspn(p, ",");

		if (!col_find(v, p, n))
			return column_fail(c, v, "--columns", p, n);
		p = p[n] ? p + n + 1 : NULL;
	}
	if (sort && *sort == '-')
		sort++;
	if (sort && !col_find(v, sort, strlen(sort)))
		return column_fail(c, v, "--sort-by", sort, strlen(sort));
	return 0;
}

size_t columns_pick(struct ctl *c, const struct view *v, bool wide, const struct col **out, size_t max)
{
	auto_free char *names = flag_join(c, FLAG_COLUMNS);
	size_t k = 0;

	if (!names) {
		for (size_t i = 0; i < v->ncols && k < max; i++)
			if (wide || !(v->cols[i].flags & COL_WIDE))
				out[k++] = &v->cols[i];
		return k;
	}
	for (const char *p = names; p && k < max;) {
		size_t n = strcspn(p, ",");
		const struct col *col = col_find(v, p, n);

		if (col)
			out[k++] = col;
		p = p[n] ? p + n + 1 : NULL;
	}
	return k;
}

static int value_cmp(const cJSON *a, const cJSON *b)
{
	if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
		return (a->valuedouble > b->valuedouble) - (a->valuedouble < b->valuedouble);
	return strcmp(cJSON_IsString(a) ? a->valuestring : "", cJSON_IsString(b) ? b->valuestring : "");
}

/* The items in the asked-for order (stable insertion by merge halves would be more code than it
 * is worth: qsort with the index as the last key). */
struct order { const cJSON *item; size_t i; const cJSON *key; bool down; };

static int order_cmp(const void *x, const void *y)
{
	const struct order *a = x, *b = y;
	int r = value_cmp(a->key, b->key);

	return r ? (a->down ? -r : r) : (a->i > b->i) - (a->i < b->i);
}

const cJSON **items_sorted(struct ctl *c, const cJSON *items, const struct view *v, size_t *ret_n)
{
	size_t n = (size_t)cJSON_GetArraySize(items), i = 0;
	struct order *o = calloc(n + 1, sizeof(*o));
	const cJSON **out = calloc(n + 1, sizeof(*out));
	const char *sort = flag_str(c, FLAG_SORT_BY);
	bool down = sort && *sort == '-';
	const struct col *col = sort ? col_find(v, sort + down, strlen(sort + down)) : NULL;
	const cJSON *it;

	if (!o || !out) {
		free(o);
		free(out);
		return NULL;
	}
	cJSON_ArrayForEach(it, items) {
		o[i] = (struct order){ it, i, col ? json_get(it, col->key) : NULL, down };
		i++;
	}
	if (col)
		qsort(o, n, sizeof(*o), order_cmp);
	for (i = 0; i < n; i++)
		out[i] = o[i].item;
	free(o);
	*ret_n = n;
	return out;
}

/* ---- cells ----------------------------------------------------------------------------------- */

void cell_put(struct ctl *c, const struct col *col, const cJSON *item, struct buf *b)
{
	const cJSON *j = json_get(item, col->key), *e;

	if (col->text) {
		col->text(c, item, b);
		return;
	}
	if (!j || cJSON_IsNull(j)) {
		buf_adds(b, "-");
		return;
	}
	switch (col->kind) {
	case COL_NUM:
		if (cJSON_IsNumber(j))
			put_num(b, (int64_t)j->valuedouble);
		else
			put_str(b, cJSON_IsString(j) ? j->valuestring : NULL);
		break;
	case COL_AGE:
		put_time(c, b, cJSON_IsString(j) ? j->valuestring : NULL, TIME_AGE);
		break;
	case COL_WHEN:
		put_time(c, b, cJSON_IsString(j) ? j->valuestring : NULL, TIME_LOCAL);
		break;
	case COL_BOOL:
		buf_adds(b, cJSON_IsTrue(j) ? "yes" : "no");
		break;
	case COL_LIST:
		if (!cJSON_GetArraySize(j))
			buf_adds(b, "-");
		cJSON_ArrayForEach(e, j) {
			if (e != j->child)
				buf_adds(b, ",");
			put_str(b, cJSON_IsString(e) ? e->valuestring : NULL);
		}
		break;
	case COL_STR:
	case COL_VERDICT:
		if (cJSON_IsNumber(j))
			buf_printf(b, "%.15g", j->valuedouble);
		else
			put_str(b, cJSON_IsString(j) ? j->valuestring : NULL);
		break;
	}
}

char *cell_text(struct ctl *c, const struct col *col, const cJSON *item)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	cell_put(c, col, item, &b);
	return buf_take(&b, NULL);
}

void row_put(struct ctl *c, const struct col *const *cols, size_t n, char *const *cells,
	     const int *widths, bool header, struct buf *b)
{
	while (n && !widths[n - 1])
		n--; /* left out for the width */
	for (size_t i = 0; i < n; i++) {
		const char *s = cells[i] ?: "";
		int pad = widths[i] - text_width(s);
		bool right = cols[i]->kind == COL_NUM, last = i + 1 == n;

		if (!widths[i])
			continue;

		if (right)
			buf_printf(b, "%*s", pad > 0 ? pad : 0, "");
		if (cols[i]->kind == COL_VERDICT && !header)
			put_verdict(c, b, s);
		else
			buf_adds(b, s);
		if (!last)
			buf_printf(b, "%*s", GAP + (right || pad < 0 ? 0 : pad), "");
	}
	buf_adds(b, "\n");
}

static int widths_sum(const int *w, size_t n)
{
	int total = 0, shown = 0;

	for (size_t i = 0; i < n; i++) {
		total += w[i];
		shown += w[i] > 0;
	}
	return total + (shown > 1 ? (shown - 1) * GAP : 0);
}

/*
 * Narrows columns that may be cut, the widest first, until the table fits; where that is not
 * enough, optional columns go, the last first: their width becomes 0.
 */
static void widths_fit(const struct col *const *cols, size_t n, int *w, int width)
{
	int full[COLS_MAX];

	memcpy(full, w, n * sizeof(*w));
	for (;;) {
		int best = -1;

		while (widths_sum(w, n) > width) {
			best = -1;
			for (size_t i = 0; i < n; i++)
				if ((cols[i]->flags & COL_CUT) && w[i] > NAME_MIN && (best < 0 || w[i] > w[best]))
					best = (int)i;
			if (best < 0)
				break;
			w[best]--;
		}
		if (widths_sum(w, n) <= width)
			return;
		for (best = (int)n - 1; best >= 0 && !((cols[best]->flags & COL_OPT) && w[best]); best--)
			;
		if (best < 0)
			return; /* what is left is never cut: ids, ports, verdicts */
		full[best] = 0;
		memcpy(w, full, n * sizeof(*w)); /* names may have more room again */
	}
}

static void cell_fit(char **cell, int width)
{
	struct buf b;
	char *s;

	if (!*cell || text_width(*cell) <= width)
		return;
	buf_init(&b, 1u << 20);
	text_cut_middle(&b, *cell, width);
	s = buf_take(&b, NULL);
	if (s) {
		free(*cell);
		*cell = s;
	}
}

static void left_out_put(struct ctl *c, const struct col *const *cols, size_t n, const int *widths,
			 struct buf *b)
{
	for (size_t i = 0; i < n; i++)
		if (!widths[i])
			buf_printf(b, "%s%s", b->len ? ", " : "", msg_text(cols[i]->title, c->lang));
}

void table_print(struct ctl *c, const cJSON *items, const struct view *v, bool wide, struct buf *b)
{
	const struct col *cols[COLS_MAX];
	int widths[COLS_MAX] = {};
	size_t n, rows = 0, k;
	auto_free const cJSON **list = items_sorted(c, items, v, &rows);
	bool fit = c->io.out_tty && c->io.width > 0, header = !flag_given(c, FLAG_NO_HEADERS);
	struct buf narrow;
	char **cells;
	int total = 0;

	buf_init(&narrow, 4096);

	n = columns_pick(c, v, wide, cols, COLS_MAX);
	cells = list ? calloc((rows + 1) * n + 1, sizeof(*cells)) : NULL;
	if (!cells) {
		b->err = -ENOMEM;
		return;
	}
	for (k = 0; k < n; k++)
		cells[k] = strdup(header ? msg_text(cols[k]->title, c->lang) : "");
	for (size_t i = 0; i < rows; i++)
		for (k = 0; k < n; k++)
			cells[(i + 1) * n + k] = cell_text(c, cols[k], list[i]);
	for (size_t i = 0; i < (rows + 1) * n; i++) {
		int w = cells[i] ? text_width(cells[i]) : 0;

		if (w > widths[i % n])
			widths[i % n] = w;
	}
	for (k = 0; k < n; k++)
		total += widths[k] + (k + 1 < n ? GAP : 0);
	if (fit && total > c->io.width && wide && !flag_given(c, FLAG_COLUMNS)) {
		/* wide columns go first */
		for (size_t i = 0; i < (rows + 1) * n; i++)
			free(cells[i]);
		free(cells);
		table_print(c, items, v, false, b);
		return;
	}
	if (fit) {
		widths_fit(cols, n, widths, c->io.width);
		for (size_t i = 0; i < (rows + 1) * n; i++)
			if (cols[i % n]->flags & COL_CUT)
				cell_fit(&cells[i], widths[i % n]);
	}
	if (fit && !flag_given(c, FLAG_COLUMNS))
		left_out_put(c, cols, n, widths, &narrow);
	for (size_t i = header ? 0 : 1; i <= rows; i++)
		row_put(c, cols, n, cells + i * n, widths, i == 0, b);
	for (size_t i = 0; i < (rows + 1) * n; i++)
		free(cells[i]);
	free(cells);
	if (narrow.len)
		put_line(c, b, M_NARROW, "list", narrow.data, NULL);
	buf_done(&narrow);
}

/* RFC 4180; a cell that a spreadsheet would run as a formula is made text. */
static void csv_cell(struct buf *b, const char *s)
{
	bool quote = strpbrk(s, ",\"\r\n") != NULL, formula = *s && strchr("=+-@\t\r", *s) && s[1];

	if (quote)
		buf_adds(b, "\"");
	if (formula)
		buf_adds(b, "'");
	for (; *s; s++) {
		if (*s == '"')
			buf_adds(b, "\"");
		buf_add(b, s, 1);
	}
	if (quote)
		buf_adds(b, "\"");
}

static void csv_value(struct ctl *c, const struct col *col, const cJSON *item, struct buf *b)
{
	const cJSON *j = json_get(item, col->key);

	if (!col->text && cJSON_IsNumber(j)) { /* machines take numbers without commas */
		buf_printf(b, "%.15g", j->valuedouble);
	} else if (!col->text && cJSON_IsString(j)) {
		struct buf e;

		buf_init(&e, 1u << 20);
		text_escape(&e, j->valuestring);
		csv_cell(b, e.data ?: "");
		buf_done(&e);
	} else {
		auto_free char *s = cell_text(c, col, item);

		csv_cell(b, s ?: "");
	}
}

void csv_print(struct ctl *c, const cJSON *items, const struct view *v, struct buf *b)
{
	const struct col *cols[COLS_MAX];
	size_t n = columns_pick(c, v, true, cols, COLS_MAX), rows = 0;
	auto_free const cJSON **list = items_sorted(c, items, v, &rows);
	bool color = c->color;

	c->color = false;
	for (size_t k = 0; k < n && !flag_given(c, FLAG_NO_HEADERS); k++)
		buf_printf(b, "%s%s", cols[k]->key, k + 1 < n ? "," : "\n");
	for (size_t i = 0; list && i < rows; i++) {
		for (size_t k = 0; k < n; k++) {
			csv_value(c, cols[k], list[i], b);
			buf_adds(b, k + 1 < n ? "," : "\n");
		}
	}
	c->color = color;
}
