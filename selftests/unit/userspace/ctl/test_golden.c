/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the command lines of cases/NAME.txt against a daemon that answers from canned/, and compares
 * exit code, output, errors and requests with cases/NAME.golden. CW_GOLDEN_UPDATE=1 writes the
 * golden files anew: read the difference before keeping it.
 *
 * A line is: [tty=WIDTH in=TEXT env=NAME=VALUE req file] words "quoted words". `req` records
 * requests, `file` shows what was written to DIR/out, where DIR stands for a folder of the test.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "ctl/ctl.h"
#include "http/http_server.h"

#define DIR "selftests/data/ctl/"
#define NOW_NS 1773304560000000000ll /* 2026-03-12T08:36:00Z */

static char dir[64], sock[96], server_url[128];
static pthread_t thread;
static uv_loop_t loop;
static uv_async_t stop;
static struct http_server *server;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf requests;
static unsigned served; /* --watch sees other data on each round */

/* ---- the daemon ------------------------------------------------------------------------------ */

static bool canned(const char *name, const char *suffix, char **text, size_t *len)
{
	char path[512];

	snprintf(path, sizeof(path), DIR "canned/%s%s", name, suffix);
	return read_all_path(path, 1 << 20, text, len) == 0;
}

static void record(const struct http_request *rq)
{
	pthread_mutex_lock(&lock);
	buf_printf(&requests, "%s %s", http_method_str(rq->method), rq->path);
	for (size_t i = 0; i < rq->nquery; i++)
		buf_printf(&requests, "%c%s=%s", i ? '&' : '?', rq->query[i].name, rq->query[i].value);
	buf_printf(&requests, "%s%s\n", rq->body_len ? " " : "", rq->body);
	pthread_mutex_unlock(&lock);
}

static void stream_gone(void *arg)
{
	(void)arg;
}

static void answer(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	const char *format = http_request_query(rq, "format"), *what = http_request_query(rq, "what");
	const char *as = http_request_query(rq, "as"), *origin = http_request_query(rq, "origin");
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	auto_free char *text = NULL;
	char name[256], suffix[64] = ".json";
	size_t len = 0;
	int status = 200;

	(void)arg;
	record(rq);
	snprintf(name, sizeof(name), "%s%s", http_method_str(rq->method), rq->path);
	for (char *p = name; *p; p++)
		*p = *p == '/' ? '_' : *p;
	if (what)
		snprintf(suffix, sizeof(suffix), ".%.40s.json", what);
	else if (as || (origin && (!strcmp(origin, "networkpolicy") || !strcmp(origin, "admin"))))
		snprintf(suffix, sizeof(suffix), ".%.40s.json", as ? as : origin);
	else if (format)
		snprintf(suffix, sizeof(suffix), ".%.40s", format);
	else if (http_request_flag(rq, "follow"))
		snprintf(suffix, sizeof(suffix), ".stream");
	if (http_request_flag(rq, "dryRun") && canned(name, ".dry.json", &text, &len))
		;
	else if (!canned(name, suffix, &text, &len)) {
		http_reply_fail(x, 404, "api.no-such-path", name, NULL, NULL, "nothing canned");
		return;
	}
	if (http_request_flag(rq, "follow")) {
		if (http_stream_begin(x, "application/x-ndjson", stream_gone, NULL) == 0) {
			(void)http_stream_write(x, text, len);
			http_stream_end(x);
		}
		return;
	}
	if (json_parse(text, len, name, NULL, &j) == 0)
		status = (int)json_i64(j, "status", 200);
	if (http_request_query(rq, "search") && strstr(http_request_query(rq, "search"), "vary"))
		served++;
	if (served > 1 && strstr(text, "\"flows\": 918204")) /* the second round counts one more flow */
		strstr(text, "\"flows\": 918204")[14] = '5';
	http_reply_text(x, status, "application/json", text, len);
}

static const struct http_route routes[] = {
	{ HTTP_GET, "/v1/{rest...}", answer, 0 },
	{ HTTP_POST, "/v1/{rest...}", answer, 0 },
	{ HTTP_DELETE, "/v1/{rest...}", answer, 0 },
};

static void stop_due(uv_async_t *a)
{
	uv_close((uv_handle_t *)a, NULL);
	http_server_close(server, NULL, NULL);
}

static void *serve(void *arg)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	return arg;
}

static int group_setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	unsetenv("LC_ALL"), unsetenv("LC_MESSAGES"), unsetenv("LANG"), unsetenv("NO_COLOR"), unsetenv("COLUMNS"), unsetenv("VISUAL");
	setenv("TERM", "xterm", 1);
	buf_init(&requests, 1 << 20);
	snprintf(dir, sizeof(dir), "/tmp/cw-ctl-XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv("HOME", dir, 1);
	unsetenv("XDG_CONFIG_HOME");
	snprintf(sock, sizeof(sock), "%s/api.sock", dir);
	snprintf(server_url, sizeof(server_url), "unix://%s", sock);
	setenv("CELLWALL_SERVER", server_url, 1);
	uv_loop_init(&loop);
	uv_async_init(&loop, &stop, stop_due);
	assert_int_equal(http_server_new(&loop, NULL, &server), 0);
	assert_int_equal(http_server_routes(server, routes, ARRAY_SIZE(routes), NULL), 0);
	assert_int_equal(http_server_listen_unix(server, sock, 0600, -1, -1, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	uv_async_send(&stop);
	pthread_join(thread, NULL);
	assert_int_equal(uv_loop_close(&loop), 0);
	buf_done(&requests);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static unsigned split(char *line, char **argv, unsigned max)
{
	unsigned n = 0;
	char *p = line;

	while (*p && n < max) {
		char *out;

		while (*p == ' ')
			p++;
		if (!*p)
			break;
		argv[n++] = out = p;
		for (bool quoted = false; *p && (quoted || *p != ' '); p++) {
			if (*p == '"')
				quoted = !quoted;
			else
				*out++ = *p;
		}
		if (*p)
			p++;
		*out = '\0';
	}
	return n;
}

/* The socket's folder has another name each time. */
static void put_text(struct buf *b, const char *title, const char *s)
{
	const char *hit;

	if (!s || !*s)
		return;
	buf_printf(b, "--- %s\n", title);
	while ((hit = strstr(s, dir))) {
		buf_add(b, s, (size_t)(hit - s));
		buf_adds(b, "DIR");
		s = hit + strlen(dir);
	}
	buf_adds(b, s);
	if (b->data[b->len - 1] != '\n')
		buf_adds(b, "\n");
}

/* DIR in a case is the test's folder. */
static void expand(const char *text, char *out, size_t max)
{
	const char *hit = strstr(text, "DIR/");

	if (hit)
		snprintf(out, max, "%.*s%s%s", (int)(hit - text), text, dir, hit + 3);
	else
		snprintf(out, max, "%s", text);
}

static void run_case(const char *text, struct buf *b)
{
	char line[4096], *argv[64] = { (char *)"cellwall" }, *p = line, *out = NULL, *err = NULL, *close;
	char env[128] = "", input[256] = "";
	struct ctl_io io = { .now_ns = NOW_NS, .etc_config = "/nonexistent", .watch_rounds = 2 };
	bool req = false, file = false;
	char path[128];
	size_t on, en;
	int argc, r;

	expand(text, line, sizeof(line));
	if (*p == '[' && (close = strchr(p, ']'))) {
		char *opts[8];
		unsigned n;

		*close = '\0';
		n = split(p + 1, opts, 8);
		for (unsigned i = 0; i < n; i++) {
			if (!strncmp(opts[i], "tty=", 4)) {
				io.out_tty = io.in_tty = true;
				io.width = (int)strtol(opts[i] + 4, NULL, 10);
				io.height = 200;
			} else if (!strncmp(opts[i], "in=", 3)) {
				snprintf(input, sizeof(input), "%s\n", opts[i] + 3);
			} else if (!strncmp(opts[i], "env=", 4)) {
				snprintf(env, sizeof(env), "%s", opts[i] + 4);
			} else {
				req = req || !strcmp(opts[i], "req");
				file = file || !strcmp(opts[i], "file");
			}
		}
		p = close + 1;
	}
	if (*env)
		putenv(env);
	argc = 1 + (int)split(p, argv + 1, 62);
	io.in = fmemopen(input, strlen(input) ?: 1, "r");
	io.out = open_memstream(&out, &on);
	io.err = open_memstream(&err, &en);
	served = 0;
	r = ctl_main(argc, argv, &io);
	fclose(io.in);
	fclose(io.out);
	fclose(io.err);
	if (*env) {
		*strchr(env, '=') = '\0';
		unsetenv(env);
	}
	buf_printf(b, "### %s\nexit %d\n", text, r);
	put_text(b, "out", out);
	put_text(b, "err", err);
	if (file) {
		auto_free char *written = NULL;
		size_t len;

		snprintf(path, sizeof(path), "%s/out", dir);
		if (read_all_path(path, 1 << 20, &written, &len) == 0)
			put_text(b, "file", written);
		(void)unlink(path);
	}
	pthread_mutex_lock(&lock);
	if (req)
		put_text(b, "requests", requests.data);
	requests.len = 0;
	if (requests.data)
		requests.data[0] = '\0';
	pthread_mutex_unlock(&lock);
	buf_adds(b, "\n");
	free(out);
	free(err);
}

static void first_difference(const char *want, const char *got)
{
	size_t i = 0, line = 1, start = 0;
	char title[200] = "";

	while (want[i] && want[i] == got[i]) {
		if (want[i] == '\n') {
			line++;
			start = i + 1;
			if (!strncmp(want + start, "### ", 4))
				snprintf(title, sizeof(title), "%.*s", (int)strcspn(want + start, "\n"), want + start);
		}
		i++;
	}
	print_message("%s\n  line %zu\n  want: %.*s\n  got:  %.*s\n", title, line,
		      (int)strcspn(want + start, "\n"), want + start, (int)strcspn(got + start, "\n"), got + start);
}

static void compare(const char *name, size_t least)
{
	auto_free char *cases = NULL, *want = NULL;
	char path[256], golden[256];
	size_t len, n = 0;
	struct buf b;

	snprintf(path, sizeof(path), DIR "cases/%s.txt", name);
	snprintf(golden, sizeof(golden), DIR "cases/%s.golden", name);
	assert_int_equal(read_all_path(path, 1 << 20, &cases, &len), 0);
	buf_init(&b, 16 << 20);
	for (char *p = cases, *nl; *p; p = nl + 1) {
		nl = strchr(p, '\n');
		assert_non_null(nl);
		*nl = '\0';
		if (*p && *p != '#') {
			run_case(p, &b);
			n++;
		}
	}
	assert_true(n >= least);
	assert_int_equal(b.err, 0);
	if (getenv("CW_GOLDEN_UPDATE"))
		assert_int_equal(write_file_atomic(golden, b.data, b.len, 0644), 0);
	assert_int_equal(read_all_path(golden, 16 << 20, &want, &len), 0);
	if (strcmp(want, b.data)) {
		first_difference(want, b.data);
		fail_msg("%s differs", golden);
	}
	buf_done(&b);
}

static void answers(void **state)
{
	(void)state;
	compare("answers", 40);
}

static void chinese(void **state)
{
	(void)state;
	compare("chinese", 25);
}

static void usage(void **state)
{
	(void)state;
	compare("usage", 40);
}

static void changes(void **state)
{
	(void)state;
	compare("changes", 15);
}

static void policies(void **state)
{
	(void)state;
	compare("policies", 15);
}

static void services(void **state)
{
	(void)state;
	compare("services", 15);
}

/* The pages in docs/man are what the tables say: `make man` after a change. */
static void man_pages(void **state)
{
	static const struct { const char *path, *arg; } pages[] = {
		{ "docs/man/cellwall.1", NULL }, { "docs/man/cellwalld.yaml.5", "cellwalld.yaml" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		char *argv[] = { (char *)"cellwall", (char *)"help", (char *)"--man", (char *)pages[i].arg };
		struct ctl_io io = { .in = stdin, .err = stderr, .etc_config = "/nonexistent" };
		auto_free char *page = NULL, *want = NULL;
		size_t n, len;

		io.out = open_memstream(&page, &n);
		assert_int_equal(ctl_main(pages[i].arg ? 4 : 3, argv, &io), 0);
		fclose(io.out);
		assert_int_equal(read_all_path(pages[i].path, 1 << 20, &want, &len), 0);
		if (strcmp(want, page))
			fail_msg("%s is not what the tables say: make man", pages[i].path);
	}
}

static void terminal(void **state)
{
	(void)state;
	compare("terminal", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers), cmocka_unit_test(chinese), cmocka_unit_test(usage),
		cmocka_unit_test(changes), cmocka_unit_test(terminal), cmocka_unit_test(policies), cmocka_unit_test(services), cmocka_unit_test(man_pages),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
