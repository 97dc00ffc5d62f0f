/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - a document in each asked-for format, to the terminal, a pager, or files. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/htab.h"
#include "base/text.h"
#include "ctl/table.h"
#include "http/http_client.h"

#define OUTPUT_MAX (512u << 20)
#define WATCH_MS 2000
#define RECONNECT_MS 1000

extern char **environ;

bool wants_human(const struct ctl *c)
{
	for (size_t i = 0; i < c->noutputs; i++)
		if (c->outputs[i].format != FMT_TABLE && c->outputs[i].format != FMT_WIDE &&
		    !c->outputs[i].file)
			return false;
	return true;
}

/* ---- where it goes --------------------------------------------------------------------------- */

static size_t lines_of(const char *s, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		k += s[i] == '\n';
	return k;
}

/* The pager is a shell command by tradition, and the user's own setting. */
static int pager_run(struct ctl *c, const char *s, size_t n)
{
	const char *set = c->settings[SET_PAGER].value, *env = getenv("PAGER");
	const char *cmd = c->settings[SET_PAGER].from == FROM_DEFAULT && env && *env ? env : set;
	const char *const argv[] = { "sh", "-c", cmd, NULL };
	posix_spawn_file_actions_t fa;
	int fd[2], r;
	pid_t pid;

	if (!strcmp(cmd, "cat") || pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fd[0], STDIN_FILENO);
	r = posix_spawn(&pid, "/bin/sh", &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(fd[0]);
	if (!r)
		while (n) {
			ssize_t w = write(fd[1], s, n); /* SIGPIPE is ignored: the reader quit */

			if (w <= 0)
				break;
			s += w;
			n -= (size_t)w;
		}
	close(fd[1]);
	if (r)
		return -r;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

int emit_text(struct ctl *c, const struct output *o, const char *s, size_t n)
{
	int r;

	if (o && o->file) {
		r = write_file_atomic(o->file, s, n, 0644);
		return r < 0 ? usage_fail(c, "cli.output", o->file, NULL, NULL, M_E_WRITE, "error",
					  strerror(-r), NULL) : 0;
	}
	if (c->io.out_tty && c->io.height > 1 && lines_of(s, n) >= (size_t)c->io.height &&
	    !flag_given(c, FLAG_NO_PAGER) && !flag_given(c, FLAG_WATCH) && pager_run(c, s, n) == 0)
		return 0;
	fwrite(s, 1, n, c->io.out);
	fflush(c->io.out);
	return 0;
}

/* ---- formats --------------------------------------------------------------------------------- */

static const cJSON *items_of(const cJSON *doc, const struct view *v)
{
	return json_get(doc, v->items ?: "items");
}

static int format_fail(struct ctl *c, const struct output *o, const struct view *v)
{
	char expected[96];

	snprintf(expected, sizeof(expected), "table, %sjson, yaml%s%s", v->ncols ? "wide, " : "",
		 v->ncols ? ", csv" : "", v->name_key ? ", name" : "");
	return usage_fail(c, "cli.output", o->name, expected, NULL, M_E_FORMAT, "value", o->name, NULL);
}

/* Beyond ASCII only strings have bytes: what would not be seen, or would reorder its line, as \uXXXX. */
static const char *json_wide(struct buf *b, const char *s)
{
	char one[8] = "";
	const char *next = s;
	struct buf e;
	uint32_t cp = utf8_next(&next);

	memcpy(one, s, (size_t)(next - s));
	buf_init(&e, 64);
	text_escape(&e, one);
	if (e.len && e.data[0] == '\\' && cp > 0xffff)
		buf_printf(b, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10), 0xdc00 + (cp & 0x3ff));
	else if (e.len && e.data[0] == '\\')
		buf_printf(b, "\\u%04x", cp);
	else
		buf_adds(b, one);
	buf_done(&e);
	return next;
}

/* The library's layout with two spaces for its tabs: inside strings a tab is always escaped. */
void put_json(struct buf *b, const cJSON *j)
{
	auto_free char *text = j ? cJSON_Print(j) : NULL;

	if (!text && !b->err)
		b->err = -ENOMEM;
	for (const char *s = text; s && *s;) {
		if ((unsigned char)*s >= 0x80) {
			s = json_wide(b, s);
			continue;
		}
		if (*s == '\t')
			buf_adds(b, s[-1] == ':' ? " " : "  ");
		else
			buf_add(b, s, 1);
		s++;
	}
	buf_adds(b, "\n");
}

static int render(struct ctl *c, const struct output *o, const cJSON *doc, const struct view *v,
		  struct buf *b)
{
	auto_free char *s = NULL;
	const cJSON *it;
	bool color = c->color;

	switch (o->format) {
	case FMT_TABLE:
	case FMT_WIDE:
		if (o->file)
			c->color = false;
		if (v->before)
			v->before(c, doc, b);
		if (v->ncols && cJSON_GetArraySize(items_of(doc, v)))
			table_print(c, items_of(doc, v), v, o->format == FMT_WIDE, b);
		if (v->after)
			v->after(c, doc, b);
		c->color = color;
		return 0;
	case FMT_JSON:
		put_json(b, doc);
		return 0;
	case FMT_YAML:
		s = yaml_print(doc);
		break;
	case FMT_CSV:
		if (!v->ncols)
			return format_fail(c, o, v);
		csv_print(c, items_of(doc, v), v, b);
		return 0;
	case FMT_NAME:
		if (!v->name_key)
			return format_fail(c, o, v);
		cJSON_ArrayForEach(it, items_of(doc, v)) {
			const cJSON *name = json_get(it, v->name_key);

			if (cJSON_IsNumber(name))
				buf_printf(b, "%.0f", name->valuedouble);
			else
				put_str(b, cJSON_IsString(name) ? name->valuestring : NULL);
			buf_adds(b, "\n");
		}
		return 0;
	case FMT_OTHER:
		return format_fail(c, o, v);
	}
	buf_adds(b, s ?: "");
	if (b->len && b->data[b->len - 1] != '\n')
		buf_adds(b, "\n");
	return 0;
}

static int out_of_memory(struct ctl *c, int err)
{
	return usage_fail(c, "cli.output", NULL, NULL, NULL, M_E_WRITE, "error", strerror(-err), NULL) ?
		       EXIT_REFUSED : 0;
}

int emit(struct ctl *c, const cJSON *doc, const struct view *v)
{
	int r = v->ncols ? columns_check(c, v) : 0;

	for (size_t i = 0; i < c->noutputs && !r; i++) {
		const struct output *o = &c->outputs[i];
		struct buf b;

		if (flag_given(c, FLAG_QUIET) && !flag_given(c, FLAG_OUTPUT))
			continue;
		buf_init(&b, OUTPUT_MAX);
		r = render(c, o, doc, v, &b);
		if (!r && b.err)
			r = out_of_memory(c, b.err);
		if (!r)
			r = emit_text(c, o, b.data ?: "", b.len);
		buf_done(&b);
	}
	return r;
}

/* ---- lists, --watch -------------------------------------------------------------------------- */

static void sleep_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	(void)nanosleep(&ts, NULL); /* cut short by ^C: the next call notices */
}

/* Piped --watch: only lines that were not there a round ago. */
static int lines_new(struct ctl *c, const char *text)
{
	struct htab *now = htab_new(), *before = c->watch;
	int r = 0;

	if (!now)
		return EXIT_REFUSED;
	for (const char *p = text, *nl; *p; p = nl + 1) {
		size_t n = strcspn(p, "\n");

		nl = p + n;
		if (!*nl)
			break;
		if (!before || !htab_has(before, p, n)) {
			fwrite(p, 1, n + 1, c->io.out);
		}
		if (htab_set(now, p, n, now, NULL) < 0) /* any value: a set of lines */
			r = EXIT_REFUSED;
	}
	fflush(c->io.out);
	htab_free(before, NULL);
	c->watch = now;
	return r;
}

static int round_show(struct ctl *c, const cJSON *doc, const struct view *v)
{
	struct buf b;
	int r = v->ncols ? columns_check(c, v) : 0;

	if (r)
		return r;
	buf_init(&b, OUTPUT_MAX);
	r = render(c, &c->outputs[0], doc, v, &b);
	if (!r && c->io.out_tty) {
		fputs("\033[H\033[2J", c->io.out);
		fwrite(b.data ?: "", 1, b.len, c->io.out);
		fflush(c->io.out);
	} else if (!r) {
		r = lines_new(c, b.data ?: "");
	}
	buf_done(&b);
	return r;
}

static int watch_run(struct ctl *c, const char *path, const struct query *q, const struct view *v)
{
	int r = 0;

	for (unsigned round = 1;; round++) {
		auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;

		r = api_get(c, path, q, &doc);
		if (r == EXIT_UNREACHABLE && round > 1) {
			fails_print(c); /* older data stays on the screen; try again */
			r = 0;
		} else if (!r) {
			r = round_show(c, doc, v);
		}
		if (r || (c->io.watch_rounds && round >= c->io.watch_rounds))
			break;
		sleep_ms(c->io.watch_rounds ? 20 : WATCH_MS);
	}
	htab_free(c->watch, NULL);
	c->watch = NULL;
	return r;
}

int list_run(struct ctl *c, const char *path, struct query *q, const struct view *v)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r;

	if (flag_given(c, FLAG_WATCH)) {
		r = watch_run(c, path, q, v);
	} else {
		r = api_get(c, path, q, &doc);
		if (!r)
			r = emit(c, doc, v);
	}
	query_done(q);
	return r;
}

/* ---- --follow -------------------------------------------------------------------------------- */

struct follow {
	struct ctl *c;
	const struct view *v;
	const struct col *cols[COLS_MAX];
	size_t n;
	int widths[COLS_MAX];
	uint64_t lines;
	bool header;
};

static void follow_row(struct follow *f, const cJSON *item)
{
	struct ctl *c = f->c;
	char *cells[COLS_MAX] = {};
	struct buf b;

	buf_init(&b, 1u << 20);
	if (!f->header) {
		f->header = true;
		for (size_t k = 0; k < f->n; k++)
			cells[k] = (char *)msg_text(f->cols[k]->title, c->lang);
		if (!flag_given(c, FLAG_NO_HEADERS))
			row_put(c, f->cols, f->n, cells, f->widths, true, &b);
	}
	for (size_t k = 0; k < f->n; k++)
		cells[k] = cell_text(c, f->cols[k], item);
	row_put(c, f->cols, f->n, cells, f->widths, false, &b);
	for (size_t k = 0; k < f->n; k++)
		free(cells[k]);
	fwrite(b.data ?: "", 1, b.len, c->io.out);
	buf_done(&b);
}

static int follow_line(void *arg, const char *s, size_t len)
{
	struct follow *f = arg;
	struct ctl *c = f->c;
	auto_cleanup(cJSON_Deletep) cJSON *item = NULL;

	f->lines++;
	if (c->outputs[0].format == FMT_JSON) { /* one object a line, as it came */
		fwrite(s, 1, len, c->io.out);
		fputc('\n', c->io.out);
	} else if (json_parse(s, len, "stream", NULL, &item) == 0) {
		follow_row(f, item);
	}
	fflush(c->io.out);
	return ferror(c->io.out) != 0; /* the reader of our pipe is gone */
}

int follow_run(struct ctl *c, const char *path, struct query *q, const struct view *v)
{
	struct follow f = { .c = c, .v = v };
	struct http_pair pairs[QUERY_PAIRS_MAX];
	struct http_call call = { .method = "GET", .path = path, .query = pairs };
	struct timespec lost = {}, now;
	char secs[24];
	int r = columns_check(c, v) ?: api_open(c);

	if (!r && (c->noutputs > 1 || c->outputs[0].file ||
		   (c->outputs[0].format > FMT_JSON)))
		r = usage_fail(c, "cli.output", "--follow", "table, wide, json", NULL, M_E_FORMAT, "value",
			       c->outputs[0].name, NULL);
	f.n = columns_pick(c, v, c->noutputs && c->outputs[0].format == FMT_WIDE, f.cols, COLS_MAX);
	for (size_t k = 0; k < f.n; k++)
		f.widths[k] = f.cols[k]->min_width;
	query_add(q, "follow", "1");
	for (size_t i = 0; i < q->n; i++)
		pairs[call.nquery++] = (struct http_pair){ q->v[i].name, q->v[i].value };
	for (unsigned round = 1; !r; round++) {
		struct http_answer a = {};
		uint64_t before = f.lines;
		int e = http_client_stream(c->client, &call, follow_line, NULL, &f, &a);

		if (!e && a.status != 200 && a.status) {
			struct fail_list *l = &c->fails;
			auto_cleanup(cJSON_Deletep) cJSON *j = NULL;

			r = exit_of_status(a.status);
			if (json_parse(a.body, a.len, "answer", NULL, &j) == 0)
				(void)fail_list_from_json(j, l);
		}
		http_answer_done(&a);
		if (r || ferror(c->io.out))
			break;
		if (e == -EINTR || (e < 0 && !f.lines)) {
			r = api_unreachable(c, e);
			break;
		}
		if (c->io.watch_rounds && round >= c->io.watch_rounds)
			break;
		if (f.lines > before || !lost.tv_sec)
			clock_gettime(CLOCK_MONOTONIC, &lost);
		sleep_ms(RECONNECT_MS);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (http_client_call(c->client, &(struct http_call){ .method = "GET", .path = "/v1/version" },
				     &a) == 0) {
			struct buf b;

			snprintf(secs, sizeof(secs), "%.1f",
				 (double)(now.tv_sec - lost.tv_sec) + (double)(now.tv_nsec - lost.tv_nsec) / 1e9);
			buf_init(&b, 4096);
			msg_put(&b, c->lang, M_RECONNECTED, "seconds", secs, NULL);
			fprintf(c->io.err, "%s\n", b.data ?: "");
			buf_done(&b);
		}
		http_answer_done(&a);
	}
	query_done(q);
	return r;
}
