/* SPDX-License-Identifier: Apache-2.0 */
/* The real server on its own loop in a thread, real unix sockets, the real client and raw bytes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "http/http_client.h"
#include "http/http_server.h"

#define BODY_MAX 100000u
#define STREAM_MAX 65536u

struct fixture {
	char dir[64], path[96];
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t stop;
	struct http_server *server;
	int loop_close;
	bool done;
	/* written by the loop thread */
	int stream_closed, enobufs, later_gone;
	struct http_exchange *stream;
	uv_timer_t timer, later_timer;
	struct http_exchange *later;
	struct http_server_stats stats;
	bool deny;
};
static struct fixture fx;

/* ---- handlers -------------------------------------------------------------------------------- */

static void echo(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	cJSON *j = cJSON_CreateObject();
	cJSON *q = cJSON_AddArrayToObject(j, "query");

	(void)arg;
	cJSON_AddStringToObject(j, "method", http_method_str(rq->method));
	cJSON_AddStringToObject(j, "path", rq->path);
	cJSON_AddStringToObject(j, "name", http_request_param(rq, "name") ?: "");
	cJSON_AddStringToObject(j, "type", rq->content_type);
	cJSON_AddNumberToObject(j, "bodyLen", (double)rq->body_len);
	cJSON_AddStringToObject(j, "body", rq->body_len < 100 ? rq->body : "...");
	cJSON_AddNumberToObject(j, "uid", rq->uid);
	cJSON_AddNumberToObject(j, "pid", rq->pid);
	for (size_t i = 0; i < rq->nquery; i++) {
		cJSON_AddItemToArray(q, cJSON_CreateString(rq->query[i].name));
		cJSON_AddItemToArray(q, cJSON_CreateString(rq->query[i].value));
	}
	http_reply_json(x, 200, j);
	cJSON_Delete(j);
}

static void big(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	char *p = malloc(1 << 20);

	(void)arg, (void)rq;
	memset(p, 'x', 1 << 20);
	http_reply_take(x, 200, "text/plain", p, 1 << 20);
}

static void silent(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	(void)arg, (void)x, (void)rq;
}

static void later_due(uv_timer_t *t)
{
	struct fixture *f = t->data;

	if (http_exchange_gone(f->later))
		f->later_gone++;
	http_reply_text(f->later, 200, "text/plain", "late", 4);
	f->later = NULL;
}

static void later(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	struct fixture *f = arg;

	(void)rq;
	http_exchange_hold(x);
	f->later = x;
	uv_timer_start(&f->later_timer, later_due, 150, 0);
}

static void stream_closed(void *arg)
{
	struct fixture *f = arg;

	__atomic_add_fetch(&f->stream_closed, 1, __ATOMIC_RELAXED);
	f->stream = NULL;
	uv_timer_stop(&f->timer);
}

static void stream_tick(uv_timer_t *t)
{
	static char block[8192];
	struct fixture *f = t->data;

	memset(block, 'y', sizeof(block) - 1);
	block[sizeof(block) - 1] = '\n';
	for (int i = 0; i < 8 && f->stream; i++)
		if (http_stream_write(f->stream, block, sizeof(block)) == -ENOBUFS)
			__atomic_add_fetch(&f->enobufs, 1, __ATOMIC_RELAXED);
}

/* Endless: fills until the client's window is full. */
static void flood(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	struct fixture *f = arg;

	(void)rq;
	if (f->stream) {
		http_reply_fail(x, 409, "test.busy", NULL, NULL, NULL, "one stream at a time");
		return;
	}
	f->stream = x;
	assert_int_equal(http_stream_begin(x, "application/x-ndjson", stream_closed, f), 0);
	uv_timer_start(&f->timer, stream_tick, 0, 5);
}

static void three_lines(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	cJSON *j = cJSON_CreateObject();

	(void)rq;
	cJSON_AddNumberToObject(j, "n", 1);
	assert_int_equal(http_stream_begin(x, "application/x-ndjson", stream_closed, arg), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(http_stream_json(x, j), 0);
	http_stream_end(x);
	cJSON_Delete(j);
}

static const struct http_route routes[] = {
	{ HTTP_GET, "/v1/echo", echo, 0 },
	{ HTTP_POST, "/v1/echo", echo, HTTP_R_WRITE },
	{ HTTP_DELETE, "/v1/echo/{name...}", echo, HTTP_R_WRITE },
	{ HTTP_GET, "/v1/echo/{name...}", echo, 0 },
	{ HTTP_GET, "/v1/big", big, 0 },
	{ HTTP_GET, "/v1/silent", silent, 0 },
	{ HTTP_GET, "/v1/later", later, 0 },
	{ HTTP_GET, "/v1/flood", flood, 0 },
	{ HTTP_GET, "/v1/three", three_lines, 0 },
};

/* ---- fixture --------------------------------------------------------------------------------- */

static int authorize(void *arg, const struct http_request *rq, struct fail_list *f)
{
	struct fixture *x = arg;

	if (!rq->has_peer || rq->uid != getuid() || rq->pid != getpid())
		return -EACCES;
	if ((rq->route->flags & HTTP_R_WRITE) && __atomic_load_n(&x->deny, __ATOMIC_RELAXED))
		return fail_add(f, -EACCES, "server.forbidden", "verb apply", "a writer", "ask", "no writing");
	return 0;
}

static void server_done(void *arg)
{
	((struct fixture *)arg)->done = true;
}

static void stop_due(uv_async_t *a)
{
	struct fixture *f = a->data;

	http_server_stats_get(f->server, &f->stats);
	http_server_close(f->server, server_done, f);
	http_server_close(f->server, server_done, f); /* idempotent */
	uv_close((uv_handle_t *)&f->timer, NULL);
	uv_close((uv_handle_t *)&f->later_timer, NULL);
	uv_close((uv_handle_t *)&f->stop, NULL);
}

static void *server_thread(void *arg)
{
	struct fixture *f = arg;

	uv_run(&f->loop, UV_RUN_DEFAULT);
	f->loop_close = uv_loop_close(&f->loop);
	return NULL;
}

static int setup(void **state)
{
	struct http_server_config cfg = {
		.authorize = authorize, .authorize_arg = &fx, .max_conns = 40, .request_secs = 1,
		.send_secs = 1, .idle_secs = 2, .body_max = BODY_MAX, .stream_queue_max = STREAM_MAX,
	};

	(void)state;
	memset(&fx, 0, sizeof(fx));
	snprintf(fx.dir, sizeof(fx.dir), "/tmp/cw-http-XXXXXX");
	assert_non_null(mkdtemp(fx.dir));
	snprintf(fx.path, sizeof(fx.path), "%s/api.sock", fx.dir);
	uv_loop_init(&fx.loop);
	uv_async_init(&fx.loop, &fx.stop, stop_due);
	uv_timer_init(&fx.loop, &fx.timer);
	uv_timer_init(&fx.loop, &fx.later_timer);
	fx.stop.data = fx.timer.data = fx.later_timer.data = &fx;
	assert_int_equal(http_server_new(&fx.loop, &cfg, &fx.server), 0);
	assert_int_equal(http_server_routes(fx.server, routes, ARRAY_SIZE(routes), &fx), 0);
	assert_int_equal(http_server_listen_unix(fx.server, fx.path, 0660, -1, -1, NULL), 0);
	assert_int_equal(pthread_create(&fx.thread, NULL, server_thread, &fx), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	uv_async_send(&fx.stop);
	pthread_join(fx.thread, NULL);
	assert_true(fx.done);
	if (fx.later) { /* held beyond the server's end: still ours to answer */
		assert_true(http_exchange_gone(fx.later));
		assert_string_equal(http_exchange_request(fx.later)->path, "/v1/later");
		http_reply_text(fx.later, 200, "text/plain", "x", 1);
	}
	assert_int_equal(fx.loop_close, 0);
	assert_int_equal(access(fx.path, F_OK), -1);
	assert_int_equal(rmdir(fx.dir), 0);
	return 0;
}

static int raw_open(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", fx.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Reads until the end or `ms` of silence; returns bytes, *ret_end says which. */
static size_t raw_read(int fd, char *out, size_t max, int ms, bool *ret_end)
{
	struct pollfd p = { fd, POLLIN, 0 };
	size_t n = 0;

	*ret_end = false;
	while (n < max - 1 && poll(&p, 1, ms) > 0) {
		ssize_t r = read(fd, out + n, max - 1 - n);

		if (r <= 0) {
			*ret_end = true;
			break;
		}
		n += (size_t)r;
	}
	out[n] = '\0';
	return n;
}

static struct http_client *client(void)
{
	struct http_client *c = NULL;

	assert_int_equal(http_client_new(fx.path, 5000, &c), 0);
	return c;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void request_parts(void **state)
{
	auto_cleanup(http_client_freep) struct http_client *c = client();
	const struct http_pair q[] = { { "src", "shop/app=web,tier=front" }, { "search", "a&b=c d+e%" },
				       { "none", NULL }, { "zh", "策略" }, { "e", "" } };
	static const struct { const char *name, *method, *path, *body, *want_path, *want_name; } t[] = {
		{ "get", "GET", "/v1/echo", NULL, "/v1/echo", "" },
		{ "post", "POST", "/v1/echo", "{\"a\":1}", "/v1/echo", "" },
		{ "post without body", "POST", "/v1/echo", NULL, "/v1/echo", "" },
		{ "capture with slashes", "GET", "/v1/echo/shop/deploy/web", NULL, "/v1/echo/shop/deploy/web",
		  "shop/deploy/web" },
		{ "capture with specials", "DELETE", "/v1/echo/a+b c%2F?#&=", NULL, "/v1/echo/a+b c%2F?#&=",
		  "a+b c%2F?#&=" },
		{ "delete with body", "DELETE", "/v1/echo/x", "abc", "/v1/echo/x", "x" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct http_call call = { .method = t[i].method, .path = t[i].path, .query = q,
					  .nquery = ARRAY_SIZE(q), .body = t[i].body,
					  .body_len = t[i].body ? strlen(t[i].body) : 0 };
		struct http_answer a = {};
		const cJSON *list;
		cJSON *j;

		print_message("  %s\n", t[i].name);
		assert_int_equal(http_client_call(c, &call, &a), 0);
		assert_int_equal(a.status, 200);
		assert_int_equal(json_parse(a.body, a.len, "answer", NULL, &j), 0);
		assert_string_equal(json_str(j, "method"), t[i].method);
		assert_string_equal(json_str(j, "path"), t[i].want_path);
		assert_string_equal(json_str(j, "name"), t[i].want_name);
		assert_string_equal(json_str(j, "body"), t[i].body ?: "");
		assert_int_equal(json_i64(j, "uid", -1), getuid());
		assert_int_equal(json_i64(j, "pid", -1), getpid());
		list = json_get(j, "query");
		assert_int_equal(cJSON_GetArraySize(list), 8);
		assert_string_equal(cJSON_GetArrayItem(list, 1)->valuestring, "shop/app=web,tier=front");
		assert_string_equal(cJSON_GetArrayItem(list, 3)->valuestring, "a&b=c d+e%");
		assert_string_equal(cJSON_GetArrayItem(list, 5)->valuestring, "策略");
		assert_string_equal(cJSON_GetArrayItem(list, 7)->valuestring, "");
		cJSON_Delete(j);
		http_answer_done(&a);
	}
}

/* The server's own refusals: status and the name of the only fault. */
static void refusals(void **state)
{
	auto_cleanup(http_client_freep) struct http_client *c = client();
	auto_free char *large = calloc(1, BODY_MAX + 1);
	char deep[HTTP_PATH_MAX + 100];
	const struct { const char *name, *method, *path; const char *body; size_t len; int status; const char *fault; } t[] = {
		{ "no such path", "GET", "/v1/nothing", NULL, 0, 404, "api.no-such-path" },
		{ "no such path, with body", "POST", "/v1/nothing", "abc", 3, 404, "api.no-such-path" },
		{ "method", "PUT", "/v1/echo", "{}", 2, 405, "api.method" },
		{ "body limit", "POST", "/v1/echo", large, BODY_MAX + 1, 413, "api.body-size" },
		{ "handler without answer", "GET", "/v1/silent", NULL, 0, 500, "server.no-answer" },
		{ "long path", "GET", deep, NULL, 0, 414, "api.address-size" },
	};

	(void)state;
	memset(deep, 'a', sizeof(deep) - 1);
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct http_call call = { .method = t[i].method, .path = t[i].path, .body = t[i].body,
					  .body_len = t[i].len };
		struct fail_list f = {};
		struct http_answer a = {};
		cJSON *j;

		print_message("  %s\n", t[i].name);
		assert_int_equal(http_client_call(c, &call, &a), 0);
		assert_int_equal(a.status, t[i].status);
		assert_int_equal(json_parse(a.body, a.len, "answer", NULL, &j), 0);
		assert_int_equal(fail_list_from_json(j, &f), 0);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, t[i].fault);
		fail_list_done(&f);
		cJSON_Delete(j);
		http_answer_done(&a);
	}
	/* exactly the limit is taken */
	struct http_call call = { .method = "POST", .path = "/v1/echo", .body = large, .body_len = BODY_MAX };
	struct http_answer a = {};

	assert_int_equal(http_client_call(c, &call, &a), 0);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "\"bodyLen\":100000"));
	http_answer_done(&a);
}

static void too_many_query_names(void **state)
{
	auto_cleanup(http_client_freep) struct http_client *c = client();
	struct http_pair q[HTTP_QUERY_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(q); i++)
		q[i] = (struct http_pair){ "a", "b" };
	for (size_t n = HTTP_QUERY_MAX; n <= HTTP_QUERY_MAX + 1; n++) {
		struct http_call call = { .method = "GET", .path = "/v1/echo", .query = q, .nquery = n };
		struct http_answer a = {};

		assert_int_equal(http_client_call(c, &call, &a), 0);
		assert_int_equal(a.status, n == HTTP_QUERY_MAX ? 200 : 414);
		http_answer_done(&a);
	}
}

/* Bytes that are no proper request: an answer that starts as given (or none), and the end. */
static void malformed(void **state)
{
	static const struct { const char *name, *bytes, *want; bool end; } t[] = {
		{ "no HTTP", "GARBAGE\r\n\r\n", "HTTP/1.0 403", true },
		{ "binary", "\x16\x03\x01\x02", "", true },
		{ "unknown method", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.0 403", true },
		{ "HEAD", "HEAD /v1/echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 4", true },
		{ "no body length", "POST /v1/echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 411", true },
		{ "chunked body", "POST /v1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		  "HTTP/1.1 411", true },
		{ "length not a number", "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3x\r\n\r\nabc", "HTTP/1.1 400", true },
		{ "length negative", "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", "", true },
		{ "length beyond 64 bit", "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		  "HTTP/1.1 400", true },
		{ "huge length", "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 413", true },
		{ "NUL in path", "GET /v1/%00 HTTP/1.1\r\nHost: x\r\n\r\n", "", true },
		{ "up and out", "GET /../../v1/echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", false },
		{ "websocket", "GET /v1/echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", "", true },
		{ "h2c", "GET /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
			 "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "", true },
		{ "empty body", "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200", false },
		{ "get with length 0", "GET /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200", false },
		{ "two at once", "GET /v1/echo HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/echo?second HTTP/1.1\r\nHost: x\r\n\r\n",
		  "HTTP/1.1 200", false },
	};
	char out[8192];
	bool end;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		auto_close int fd = raw_open();

		print_message("  %s\n", t[i].name);
		assert_int_equal(send(fd, t[i].bytes, strlen(t[i].bytes), MSG_NOSIGNAL), strlen(t[i].bytes));
		raw_read(fd, out, sizeof(out), t[i].end ? 3000 : 300, &end);
		if (strncmp(out, t[i].want, strlen(t[i].want)))
			print_message("got: %s\n", out);
		assert_int_equal(strncmp(out, t[i].want, strlen(t[i].want)), 0);
		if (!*t[i].want)
			assert_null(strstr(out, "HTTP/1.1 200"));
		assert_int_equal(end, t[i].end);
		if (!strcmp(t[i].name, "two at once"))
			assert_non_null(strstr(out, "second"));
	}
}

static void header_limit(void **state)
{
	auto_free char *req = malloc(40000);
	auto_close int fd = raw_open();
	char out[1024];
	bool end;

	(void)state;
	memset(req, 'a', 40000);
	memcpy(req, "GET /v1/echo HTTP/1.1\r\nCookie: ", 31);
	(void)!send(fd, req, 40000, MSG_NOSIGNAL);
	raw_read(fd, out, sizeof(out), 3000, &end);
	assert_true(end);
	assert_null(strstr(out, "200"));
}

static void forbidden(void **state)
{
	auto_cleanup(http_client_freep) struct http_client *c = client();
	struct http_call w = { .method = "POST", .path = "/v1/echo", .body = "{}", .body_len = 2 };
	struct http_call r = { .method = "GET", .path = "/v1/echo" };
	struct http_answer a = {};

	(void)state;
	__atomic_store_n(&fx.deny, true, __ATOMIC_RELAXED);
	assert_int_equal(http_client_call(c, &w, &a), 0);
	assert_int_equal(a.status, 403);
	assert_non_null(strstr(a.body, "server.forbidden"));
	assert_non_null(strstr(a.body, "no writing"));
	http_answer_done(&a);
	assert_int_equal(http_client_call(c, &r, &a), 0);
	assert_int_equal(a.status, 200);
	http_answer_done(&a);
}

/* Another process is another peer: authorize() sees its pid. */
static void other_peer(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		const char rq[] = "GET /v1/echo HTTP/1.1\r\nHost: x\r\n\r\n";
		struct sockaddr_un sa = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char out[64] = "";

		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", fx.path);
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) || write(fd, rq, sizeof(rq) - 1) < 0 ||
		    read(fd, out, sizeof(out) - 1) < 0)
			_exit(2);
		_exit(strncmp(out, "HTTP/1.1 403", 12) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void big_and_later(void **state)
{
	auto_cleanup(http_client_freep) struct http_client *c = client();
	struct http_call b = { .method = "GET", .path = "/v1/big" };
	struct http_call l = { .method = "GET", .path = "/v1/later" };
	struct http_answer a = {};

	(void)state;
	assert_int_equal(http_client_call(c, &b, &a), 0);
	assert_int_equal(a.len, 1 << 20);
	assert_int_equal(strspn(a.body, "x"), 1 << 20);
	http_answer_done(&a);
	assert_int_equal(http_client_call(c, &l, &a), 0);
	assert_string_equal(a.body, "late");
	http_answer_done(&a);
	l.timeout_ms = 50; /* the client leaves before the answer */
	assert_int_equal(http_client_call(c, &l, &a), -ETIMEDOUT);
	usleep(300000);
	assert_int_equal(fx.later_gone, 1);
}

static int count_line(void *arg, const char *s, size_t len)
{
	assert_int_equal(len, strlen(s));
	return ++*(int *)arg == 1000;
}

static void streams(void **state)
{
	auto_cleanup(http_client_freep) struct http_client *c = client();
	struct http_call three = { .method = "GET", .path = "/v1/three" };
	struct http_call fl = { .method = "GET", .path = "/v1/flood" };
	struct http_call no = { .method = "GET", .path = "/v1/nothing" };
	struct http_answer a = {};
	int n = 0;

	(void)state;
	assert_int_equal(http_client_stream(c, &three, count_line, NULL, &n, &a), 0);
	assert_int_equal(n, 3);
	assert_int_equal(__atomic_load_n(&fx.stream_closed, __ATOMIC_RELAXED), 0); /* the handler ended it */
	http_answer_done(&a);
	assert_int_equal(http_client_stream(c, &no, count_line, NULL, &n, &a), 0);
	assert_int_equal(a.status, 404);
	assert_int_equal(n, 3);
	http_answer_done(&a);
	n = 0;
	assert_int_equal(http_client_stream(c, &fl, count_line, NULL, &n, &a), 0); /* stops itself */
	assert_int_equal(n, 1000);
	http_answer_done(&a);
	usleep(100000);
	assert_int_equal(__atomic_load_n(&fx.stream_closed, __ATOMIC_RELAXED), 1);
}

/* A client that stops reading: writes are refused at the limit, then it is dropped. */
static void stream_back_pressure(void **state)
{
	const char rq[] = "GET /v1/flood HTTP/1.1\r\nHost: x\r\n\r\n";
	auto_close int fd = raw_open();

	(void)state;
	assert_int_equal(send(fd, rq, sizeof(rq) - 1, 0), sizeof(rq) - 1);
	for (int i = 0; i < 60 && !__atomic_load_n(&fx.stream_closed, __ATOMIC_RELAXED); i++)
		usleep(50000);
	assert_int_equal(__atomic_load_n(&fx.stream_closed, __ATOMIC_RELAXED), 1);
	assert_true(__atomic_load_n(&fx.enobufs, __ATOMIC_RELAXED) > 0);
}

/* One byte of a request now and then does not keep a connection. */
static void slow_loris(void **state)
{
	static const struct { const char *name, *head; int ms; } t[] = {
		{ "head", "", 4000 },
		{ "body", "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", 7000 },
		{ "silent", NULL, 4000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		auto_close int fd = raw_open();
		bool end = false;
		char out[512];
		int ms = 0;

		print_message("  %s\n", t[i].name);
		if (t[i].head)
			(void)!send(fd, t[i].head, strlen(t[i].head), MSG_NOSIGNAL);
		while (!end && ms < t[i].ms) {
			if (t[i].head)
				(void)!send(fd, "G", 1, MSG_NOSIGNAL);
			raw_read(fd, out, sizeof(out), 250, &end);
			ms += 250;
		}
		assert_true(end);
	}
}

static void *hammer(void *arg)
{
	struct http_client *c = client();

	for (int i = 0; i < 50; i++) {
		struct http_call call = { .method = "POST", .path = "/v1/echo", .body = "{}", .body_len = 2 };
		struct http_answer a = {};

		if (http_client_call(c, &call, &a) == 0 && a.status == 200)
			__atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
		http_answer_done(&a);
	}
	http_client_free(c);
	return NULL;
}

static void concurrency(void **state)
{
	pthread_t t[16];
	int slow[10], ok = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) { /* halves of requests in the way */
		slow[i] = raw_open();
		(void)!send(slow[i], "GET /v1", 7, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, hammer, &ok), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
	assert_int_equal(ok, 16 * 50);
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		close(slow[i]);
}

static void connection_limit(void **state)
{
	int fd[60], closed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = raw_open();
	usleep(200000);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		char b;

		closed += recv(fd[i], &b, 1, MSG_DONTWAIT) == 0;
	}
	assert_int_equal(closed, getuid() ? 40 : 20);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	usleep(100000);
	auto_cleanup(http_client_freep) struct http_client *c = client();
	struct http_call call = { .method = "GET", .path = "/v1/echo" };
	struct http_answer a = {};

	assert_int_equal(http_client_call(c, &call, &a), 0); /* there is room again */
	http_answer_done(&a);
}

/* Shutdown with everything open: idle, half a request, a held exchange, a stream. */
static void close_with_all_open(void **state)
{
	static const char *const rq[] = { "", "GET /v1", "GET /v1/later HTTP/1.1\r\nHost: x\r\n\r\n",
					  "GET /v1/flood HTTP/1.1\r\nHost: x\r\n\r\n",
					  "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab" };
	static int fd[ARRAY_SIZE(rq)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rq); i++) {
		fd[i] = raw_open();
		(void)!send(fd[i], rq[i], strlen(rq[i]), 0);
	}
	usleep(60000);
	/* teardown stops the server and expects the loop to be clean */
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

/* What may stand at the socket's path, and what becomes of it. */
static void listening(void **state)
{
	char path[128], other[128], longer[256];
	struct http_server *s = NULL;
	struct fail_list f = {};
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	bool done = false;
	uv_loop_t loop;
	int fd;

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(http_server_new(&loop, NULL, &s), 0);
	assert_int_equal(http_server_listen_unix(s, fx.path, 0600, -1, -1, &f), -EADDRINUSE);
	assert_string_equal(f.items[0].name, "server.socket-in-use");
	snprintf(path, sizeof(path), "%s/file", fx.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(http_server_listen_unix(s, path, 0600, -1, -1, &f), -ENOTSOCK);
	unlink(path);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(http_server_listen_unix(s, longer, 0600, -1, -1, &f), -ENAMETOOLONG);
	snprintf(other, sizeof(other), "%s/none/x", fx.dir);
	assert_int_equal(http_server_listen_unix(s, other, 0600, -1, -1, &f), -ENOENT);
	assert_int_equal(f.n, 4);
	fail_list_done(&f);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/stale", fx.dir); /* left by a killed daemon */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(http_server_listen_unix(s, sa.sun_path, 0640, -1, -1, &f), 0);
	assert_int_equal(stat(sa.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	http_server_close(s, set_true, &done);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(done);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(access(sa.sun_path, F_OK), -1);
	http_server_close(NULL, NULL, NULL);
}

static void client_errors(void **state)
{
	struct http_call call = { .method = "GET", .path = "/v1/echo" };
	struct http_client *c = NULL;
	struct http_answer a = {};
	char path[128], file[128];
	int fd;

	(void)state;
	assert_int_equal(http_client_new("ftp://x", 1000, &c), -EINVAL);
	assert_int_equal(http_client_new("", 1000, &c), -EINVAL);
	snprintf(path, sizeof(path), "unix://%s/none.sock", fx.dir);
	assert_int_equal(http_client_new(path, 1000, &c), 0);
	assert_int_equal(http_client_call(c, &call, &a), -ENOENT);
	http_client_free(c);
	snprintf(file, sizeof(file), "%s/file", fx.dir);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(http_client_new(file, 1000, &c), 0);
	assert_int_equal(http_client_call(c, &call, &a), -ECONNREFUSED);
	http_client_free(c);
	unlink(file);
	c = client();
	http_client_interrupt();
	assert_int_equal(http_client_call(c, &call, &a), -EINTR);
	assert_int_equal(http_client_call(c, &call, &a), 0);
	http_answer_done(&a);
	http_client_free(c);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(request_parts), T(refusals), T(too_many_query_names), T(malformed), T(header_limit),
		T(forbidden), T(other_peer), T(big_and_later), T(streams), T(stream_back_pressure),
		T(slow_loris), T(concurrency), T(connection_limit), T(close_with_all_open),
		T(listening), T(client_errors),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
