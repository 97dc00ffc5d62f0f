/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_api.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/file.h"

static struct {
	uv_loop_t loop;
	struct fake_api api;
	struct kube_config cfg;
	struct kube_client *c;
	struct kube_call *call;
	bool done, closed, dropped, opened;
	unsigned ndone;
	int err, status, code;
	char body[65536], text[512], reason[64];
	uint32_t retry_after_ms;
	size_t streamed;
	int chunk_says;
	bool cancel_in_chunk;
	char log[2048];
	/* the script */
	unsigned refusals;	  /* so many requests are refused first */
	const char *want_token;	  /* another one: 401 */
	char seen_token[4096], seen_host[256], seen_target[8192], seen_body[4096], seen_type[128];
	bool seen_cert, seen_gzip;
	struct fake_conn *held;
} t;

static void on_log(void *arg, int level, const char *text)
{
	assert_ptr_equal(arg, &t);
	(void)level;
	snprintf(t.log + strlen(t.log), sizeof(t.log) - strlen(t.log), "%s\n", text);
}

static void on_done(void *arg, const struct kube_answer *a)
{
	(void)arg;
	t.done = true;
	t.ndone++;
	t.call = NULL;
	t.err = a->err;
	t.status = a->status;
	t.code = a->refused ? a->refused->code : 0;
	t.retry_after_ms = a->retry_after_ms;
	snprintf(t.body, sizeof(t.body), "%s", a->body);
	snprintf(t.text, sizeof(t.text), "%s", a->text);
	snprintf(t.reason, sizeof(t.reason), "%s", a->refused ? a->refused->reason : "");
	assert_int_equal(a->err == 0, a->text[0] == '\0');
	assert_int_equal(a->refused != NULL, a->status && a->status / 100 != 2);
}

static void on_closed(void *arg)
{
	(void)arg;
	t.closed = true;
}

static void on_opened(void *arg)
{
	(void)arg;
	t.opened = true;
}

static void on_dropped(void *arg)
{
	(void)arg;
	t.dropped = true;
}

static int on_chunk(void *arg, const char *p, size_t n)
{
	(void)arg;
	(void)p;
	t.streamed += n;
	if (t.cancel_in_chunk)
		kube_call_cancel(t.call);
	return t.chunk_says;
}

static char *gzip_of(const char *s, size_t n, size_t *ret_len)
{
	z_stream z = {};
	char *out = malloc(n + 1024);

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)s;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)n + 1024;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	*ret_len = z.total_out;
	deflateEnd(&z);
	return out;
}

static void api(struct fake_api *f, struct fake_rq *rq)
{
	char *big;

	(void)f;
	snprintf(t.seen_token, sizeof(t.seen_token), "%s", rq->token);
	snprintf(t.seen_host, sizeof(t.seen_host), "%s", rq->host);
	snprintf(t.seen_target, sizeof(t.seen_target), "%s", rq->target);
	snprintf(t.seen_body, sizeof(t.seen_body), "%s", rq->body);
	snprintf(t.seen_type, sizeof(t.seen_type), "%s", rq->type);
	t.seen_cert = rq->conn->client_cert;
	t.seen_gzip = rq->gzip;
	if (t.want_token && strcmp(rq->token, t.want_token)) {
		fake_status(rq, 401, "Unauthorized", "Unauthorized");
	} else if (t.refusals) {
		t.refusals--;
		fake_reply(rq, 429, "Retry-After: 0\r\n", "slow down");
	} else if (!strncmp(rq->target, "/echo", 5)) {
		fake_reply(rq, 200, "", "{\"ok\":true}");
	} else if (!strcmp(rq->target, "/forbidden")) {
		fake_status(rq, 403, "Forbidden", "no\\u202e such");
	} else if (!strcmp(rq->target, "/html")) {
		fake_reply(rq, 502, "Retry-After: 7\r\n", "<html>bad gateway</html>");
	} else if (!strcmp(rq->target, "/big")) {
		big = malloc(300000);
		memset(big, 'x', 300000);
		fake_reply_bytes(rq, 200, "", big, 300000);
		free(big);
	} else if (!strcmp(rq->target, "/packed")) {
		size_t n;
		char *packed;

		big = calloc(1, 300000);
		memset(big, 'x', 50000);
		packed = gzip_of(big, 50000, &n);
		fake_reply_bytes(rq, 200, "Content-Encoding: gzip\r\n", packed, n);
		free(packed);
		free(big);
	} else if (!strcmp(rq->target, "/cut")) {
		fake_send(rq->conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\"", 44);
		fake_hang_up(rq->conn);
	} else if (!strcmp(rq->target, "/stream")) {
		fake_stream(rq->conn);
		fake_stream_add(rq->conn, "abc", 3);
		t.held = rq->conn;
	} else if (!strcmp(rq->target, "/redirect")) {
		fake_reply(rq, 302, "Location: http://127.0.0.1:1/\r\n", "");
	} /* anything else: silence */
}

static void start(void)
{
	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	fake_start(&t.api, &t.loop, api, NULL);
}

static void connect_client(void)
{
	const struct kube_client_opts o = { .log = on_log, .arg = &t };

	if (!t.cfg.server)
		fake_config(&t.api, &t.cfg);
	assert_int_equal(kube_client_new(&t.loop, &t.cfg, &o, NULL, &t.c), 0);
}

static void stop(void)
{
	kube_client_close(t.c, on_closed, NULL);
	fake_stop(&t.api);
	if (t.c)
		assert_true(fake_run(&t.loop, &t.closed, 5000));
	kube_config_done(&t.cfg);
	if (t.api.tls)
		SSL_CTX_free(t.api.tls);
	fake_loop_done(&t.loop);
}

static void go(const char *path)
{
	struct kube_request rq = { .method = "GET", .path = path, .done = on_done };

	t.done = false;
	assert_int_equal(kube_call_start(t.c, &rq, &t.call), 0);
	assert_false(t.done);
	assert_true(fake_run(&t.loop, &t.done, 5000));
}

static void answers(void **state)
{
	struct kube_request rq = { .method = "POST", .path = "/echo", .done = on_done, .body = "{\"x\":1}", .body_len = 7,
				   .query = { { "a", "x y&z" }, { "gone", NULL }, { "b", "1" } } };

	(void)state;
	start();
	connect_client();
	go("/echo");
	assert_int_equal(t.err, 0);
	assert_string_equal(t.body, "{\"ok\":true}");
	assert_true(t.seen_gzip);
	t.done = false;
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_string_equal(t.seen_target, "/echo?a=x%20y%26z&b=1");
	assert_string_equal(t.seen_body, "{\"x\":1}");
	assert_string_equal(t.seen_type, "application/json");
	go("/forbidden");
	assert_int_equal(t.err, -EACCES);
	assert_string_equal(t.reason, "Forbidden");
	assert_string_equal(t.text, "403 Forbidden: no\\u{202e} such");
	go("/html");
	assert_int_equal(t.err, -EAGAIN);
	assert_int_equal(t.code, 502);
	assert_int_equal(t.retry_after_ms, 7000);
	go("/redirect");
	assert_int_equal(t.err, -EPROTO);
	go("/packed");
	assert_int_equal(t.err, 0);
	assert_int_equal(strlen(t.body), 50000);
	/* all of it over one connection */
	assert_int_equal(t.api.nconns, 1);
	assert_int_equal(kube_client_connections(t.c), 1);
	go("/cut");
	assert_int_equal(t.err, -ECONNRESET);
	stop();
}

static void limits(void **state)
{
	struct kube_request rq = { .method = "GET", .path = "/big", .done = on_done, .reply_max = 100 };
	static const char *const bad_paths[] = { "", "x", "/a b", "/a?b", "/a#b", "/a\r\nX: y", "/\xc3\xa4" };
	auto_free char *body = calloc(1, KUBE_BODY_BYTES_MAX + 2);

	(void)state;
	start();
	connect_client();
	for (size_t i = 0; i < ARRAY_SIZE(bad_paths); i++) {
		struct kube_request bad = { .method = "GET", .path = bad_paths[i], .done = on_done };

		assert_int_equal(kube_call_start(t.c, &bad, NULL), -EINVAL);
	}
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, -E2BIG);
	t.done = false;
	rq.path = "/packed"; /* the limit is of what comes out */
	rq.reply_max = 49999;
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, -E2BIG);
	memset(body, 'x', KUBE_BODY_BYTES_MAX + 1);
	rq.body = body;
	rq.body_len = KUBE_BODY_BYTES_MAX + 1;
	assert_int_equal(kube_call_start(t.c, &rq, NULL), -E2BIG);
	/* too many at once */
	rq = (struct kube_request){ .method = "GET", .path = "/silence", .done = on_done };
	for (unsigned i = 0; i < KUBE_CALLS_MAX; i++)
		assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_int_equal(kube_call_start(t.c, &rq, NULL), -EBUSY);
	t.ndone = 0;
	stop(); /* each of them hears of it */
	assert_int_equal(t.ndone, KUBE_CALLS_MAX);
	assert_int_equal(t.err, -ECANCELED);
}

static void times(void **state)
{
	struct kube_request rq = { .method = "GET", .path = "/silence", .done = on_done, .timeout_ms = 60 };

	(void)state;
	start();
	connect_client();
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, -ETIMEDOUT);
	/* a stream that falls silent; one that goes on is left alone */
	rq = (struct kube_request){ .method = "GET", .path = "/stream", .done = on_done, .timeout_ms = UINT32_MAX,
				    .idle_ms = 800, .chunk = on_chunk, .opened = on_opened, .plain = true };
	t.done = false;
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	for (int i = 0; i < 300 && !t.held; i++)
		fake_run(&t.loop, &t.done, 10);
	for (int i = 0; i < 10; i++) {
		assert_false(fake_run(&t.loop, &t.done, 100));
		assert_non_null(t.held);
		fake_stream_add(t.held, "x", 1);
	}
	assert_true(t.opened);
	assert_false(t.seen_gzip);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, -ETIMEDOUT);
	assert_int_equal(t.streamed, 13);
	/* nobody there */
	fake_stop(&t.api);
	fake_run(&t.loop, NULL, 20);
	t.done = false;
	rq = (struct kube_request){ .method = "GET", .path = "/echo", .done = on_done };
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, -ECONNREFUSED);
	stop();
}

static void cancelling(void **state)
{
	struct kube_request rq = { .method = "GET", .path = "/stream", .done = on_done, .timeout_ms = UINT32_MAX,
				   .chunk = on_chunk, .dropped = on_dropped };

	(void)state;
	start();
	connect_client();
	/* before it begins */
	assert_int_equal(kube_call_start(t.c, &rq, &t.call), 0);
	kube_call_cancel(t.call);
	assert_true(t.dropped);
	/* under way */
	t.dropped = false;
	assert_int_equal(kube_call_start(t.c, &rq, &t.call), 0);
	for (int i = 0; i < 300 && t.streamed < 3; i++)
		fake_run(&t.loop, &t.done, 10);
	assert_int_equal(t.streamed, 3);
	kube_call_cancel(t.call);
	assert_true(t.dropped);
	/* from its own callback */
	t.dropped = false;
	t.cancel_in_chunk = true;
	assert_int_equal(kube_call_start(t.c, &rq, &t.call), 0);
	assert_true(fake_run(&t.loop, &t.dropped, 5000));
	fake_run(&t.loop, NULL, 20);
	/* by an error of its own */
	t.cancel_in_chunk = false;
	t.chunk_says = -ENOSPC;
	assert_int_equal(t.ndone, 0);
	assert_int_equal(kube_call_start(t.c, &rq, &t.call), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, -ENOSPC);
	kube_call_cancel(NULL);
	kube_client_close(NULL, on_closed, NULL);
	assert_true(t.closed);
	t.closed = false;
	stop();
}

static void retries(void **state)
{
	struct kube_request rq = { .method = "POST", .path = "/echo", .done = on_done, .body = "{}", .body_len = 2 };

	(void)state;
	start();
	connect_client();
	t.refusals = 1;
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, -EAGAIN); /* not asked for */
	t.refusals = 2;
	t.done = false;
	rq.retries = 2;
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, 0);
	assert_int_equal(t.api.requests, 4);
	/* a POST whose connection broke may have been done */
	t.done = false;
	rq.path = "/cut";
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	assert_true(fake_run(&t.loop, &t.done, 5000));
	assert_int_equal(t.err, -ECONNRESET);
	assert_int_equal(t.api.requests, 5);
	stop();
}

/* A token file that is replaced: 401 makes it read at once. */
static void token_file(void **state)
{
	char dir[] = "/tmp/cwt-kube-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/token", dir);
	assert_int_equal(write_file_atomic(path, "one\n", 4, 0600), 0);
	start();
	fake_config(&t.api, &t.cfg);
	t.cfg.token_path = strdup(path);
	connect_client();
	t.want_token = "one";
	go("/echo");
	assert_int_equal(t.err, 0);
	assert_int_equal(write_file_atomic(path, "two\n", 4, 0600), 0);
	t.want_token = "two";
	go("/echo");
	assert_int_equal(t.err, 0);
	assert_non_null(strstr(t.log, "was read again"));
	/* nothing new to try with */
	t.want_token = "three";
	t.api.requests = 0;
	go("/echo");
	assert_int_equal(t.err, -EPERM);
	assert_int_equal(t.api.requests, 1);
	/* a broken file: the old token stays */
	assert_int_equal(write_file_atomic(path, "\n", 1, 0600), 0);
	t.want_token = "two";
	uv_sleep(1100);
	uv_update_time(&t.loop);
	go("/echo");
	assert_int_equal(t.err, 0);
	assert_non_null(strstr(t.log, "cannot be used"));
	stop();
	unlink(path);
	rmdir(dir);
}

static void write_plugin(const char *path, const char *script)
{
	assert_int_equal(write_file_atomic(path, script, strlen(script), 0700), 0);
}

/* A credential plugin: run once for many calls, again when refused, its failure told. */
static void plugin(void **state)
{
	struct kube_request rq = { .method = "GET", .path = "/echo", .done = on_done };
	char dir[] = "/tmp/cwt-kube-XXXXXX", path[64], count[64], script[2048];
	auto_free char *text = NULL;
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/plugin", dir);
	snprintf(count, sizeof(count), "%s/count", dir);
	/* says who called it, counts its runs in a file, and gives token-1, token-2, ... */
	snprintf(script, sizeof(script),
		 "#!/bin/sh\necho x >>%s\nn=$(wc -l <%s)\ncase \"$KUBERNETES_EXEC_INFO\" in *ExecCredential*) ;; *) exit 9;; esac\n"
		 "[ \"$1\" = \"a b\" ] && [ \"$EXTRA\" = \"c d\" ] || exit 8\n"
		 "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"token-'$n'\"}}'\n",
		 count, count);
	write_plugin(path, script);
	start();
	fake_config(&t.api, &t.cfg);
	t.cfg.exec = calloc(1, sizeof(*t.cfg.exec));
	t.cfg.exec->api_version = strdup("client.authentication.k8s.io/v1");
	t.cfg.exec->command = strdup(path);
	t.cfg.exec->args = calloc(2, sizeof(char *));
	t.cfg.exec->args[0] = strdup("a b");
	t.cfg.exec->env = calloc(2, sizeof(char *));
	t.cfg.exec->env[0] = strdup("EXTRA=c d");
	t.cfg.exec->hint = strdup("install it");
	connect_client();
	t.want_token = "token-1";
	for (int i = 0; i < 3; i++)
		assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	while (t.ndone < 3) {
		t.done = false;
		assert_true(fake_run(&t.loop, &t.done, 5000));
		assert_int_equal(t.err, 0);
	}
	t.want_token = "token-2"; /* the first one was revoked */
	go("/echo");
	assert_int_equal(t.err, 0);
	t.want_token = "never";
	go("/echo");
	assert_int_equal(t.err, -EPERM);
	assert_int_equal(read_all_path(count, 1000, &text, &len), 0);
	assert_int_equal(len, 6); /* three runs */
	write_plugin(path, "#!/bin/sh\necho 'no \033[31mway' >&2\nexit 3\n");
	go("/echo");
	assert_int_equal(t.err, -ENOKEY);
	assert_non_null(strstr(t.text, "exit status 3: no \\u{1b}[31mway"));
	assert_non_null(strstr(t.text, "install it"));
	write_plugin(path, "#!/bin/sh\nexec yes\n");
	go("/echo");
	assert_int_equal(t.err, -ENOKEY);
	assert_non_null(strstr(t.text, "1 MiB"));
	unlink(path);
	go("/echo");
	assert_int_equal(t.err, -ENOKEY);
	/* closing while it runs */
	write_plugin(path, "#!/bin/sh\nsleep 1000\n");
	t.done = false;
	assert_int_equal(kube_call_start(t.c, &rq, NULL), 0);
	fake_run(&t.loop, NULL, 50);
	stop();
	assert_int_equal(t.err, -ECANCELED);
	unlink(path);
	unlink(count);
	rmdir(dir);
}

static void tls(void **state)
{
	struct fake_cert ca = {}, other = {}, server = {}, user = {};

	(void)state;
	fake_cert_make(&ca, "test CA", NULL, NULL);
	fake_cert_make(&other, "other CA", NULL, NULL);
	fake_cert_make(&server, "api", &ca, "DNS:api.test,IP:127.0.0.2");
	fake_cert_make(&user, "someone", &ca, "DNS:someone");
	for (int i = 0; i < 6; i++) {
		/* what is given, and what comes of it */
		static const struct { const char *name; bool ca, other, insecure, sni, user; int err; } rows[] = {
			{ "right CA, wrong name", true, false, false, false, false, -EKEYREJECTED },
			{ "right CA, tls-server-name", true, false, false, true, false, 0 },
			{ "wrong CA", false, true, false, true, false, -EKEYREJECTED },
			{ "the system's CAs", false, false, false, true, false, -EKEYREJECTED },
			{ "not verified", false, false, true, false, false, 0 },
			{ "client certificate", true, false, false, true, true, 0 },
		};
		char host[32];

		print_message("  %s\n", rows[i].name);
		start();
		fake_tls(&t.api, &server, &ca);
		fake_config(&t.api, &t.cfg);
		t.cfg.ca_pem = rows[i].ca ? strdup(ca.pem) : rows[i].other ? strdup(other.pem) : NULL;
		t.cfg.insecure = rows[i].insecure;
		t.cfg.tls_server_name = rows[i].sni ? strdup("api.test") : NULL;
		t.cfg.cert_pem = rows[i].user ? strdup(user.pem) : NULL;
		t.cfg.key_pem = rows[i].user ? strdup(user.key_pem) : NULL;
		connect_client();
		go("/echo");
		assert_int_equal(t.err, rows[i].err);
		if (!t.err) {
			snprintf(host, sizeof(host), "127.0.0.1:%d", t.api.port);
			assert_string_equal(t.seen_host, host);
			assert_int_equal(t.seen_cert, rows[i].user);
			go("/packed");
			assert_int_equal(strlen(t.body), 50000);
			assert_int_equal(t.api.nconns, 1);
		}
		stop();
	}
	/* older than 1.2 */
	start();
	fake_tls(&t.api, &server, NULL);
	SSL_CTX_set_security_level(t.api.tls, 0);
	SSL_CTX_set_min_proto_version(t.api.tls, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(t.api.tls, TLS1_1_VERSION);
	fake_config(&t.api, &t.cfg);
	t.cfg.insecure = true;
	connect_client();
	go("/echo");
	assert_int_equal(t.err, -ECONNRESET);
	stop();
	fake_cert_done(&ca);
	fake_cert_done(&other);
	fake_cert_done(&server);
	fake_cert_done(&user);
}

/* Through a proxy, which is given the whole URL and not the environment's opinion. */
static void proxy(void **state)
{
	(void)state;
	start();
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("no_proxy", "*", 1);
	t.cfg.server = strdup("http://api.invalid:8080");
	t.cfg.origin = strdup("test");
	assert_true(asprintf(&t.cfg.proxy, "http://127.0.0.1:%d", t.api.port) > 0);
	connect_client();
	t.refusals = 1;
	go("/echo");
	assert_int_equal(t.err, -EAGAIN); /* by the proxy */
	assert_string_equal(t.seen_target, "http://api.invalid:8080/echo");
	unsetenv("http_proxy");
	unsetenv("no_proxy");
	stop();
}

/* A CA that is replaced while we run: the next connection is made with it. */
static void authority(void **state)
{
	struct fake_cert one = {}, two = {}, server = {};
	char path[] = "/tmp/cwt-kube-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	fake_cert_make(&one, "one", NULL, NULL);
	fake_cert_make(&two, "two", NULL, NULL);
	fake_cert_make(&server, "api", &two, "IP:127.0.0.1");
	assert_int_equal(write_file_atomic(path, one.pem, strlen(one.pem), 0600), 0);
	start();
	fake_tls(&t.api, &server, NULL);
	fake_config(&t.api, &t.cfg);
	t.cfg.ca_pem = strdup(one.pem);
	t.cfg.ca_path = strdup(path);
	connect_client();
	go("/echo");
	assert_int_equal(t.err, -EKEYREJECTED);
	assert_int_equal(write_file_atomic(path, two.pem, strlen(two.pem), 0600), 0);
	uv_sleep(1100); /* files are looked at once a second */
	uv_update_time(&t.loop);
	go("/echo");
	assert_int_equal(t.err, 0);
	stop();
	unlink(path);
	fake_cert_done(&one);
	fake_cert_done(&two);
	fake_cert_done(&server);
}

static void servers(void **state)
{
	static const struct { const char *url; int r; } rows[] = {
		{ "https://10.0.0.1:6443", 0 },
		{ "https://[fd00::1]:6443/prefix", 0 },
		{ "http://localhost", 0 },
		{ "ftp://x", -EINVAL },
		{ "https://", -EINVAL },
		{ "https://user:pass@x", -EINVAL },
		{ "https://x/?a=b", -EINVAL },
		{ "https://x:99999", -EINVAL },
		{ "nonsense here", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fail_list f = {};

		print_message("  %s\n", rows[i].url);
		memset(&t, 0, sizeof(t));
		uv_loop_init(&t.loop);
		t.cfg.server = strdup(rows[i].url);
		t.cfg.origin = strdup("test");
		assert_int_equal(kube_client_new(&t.loop, &t.cfg, NULL, &f, &t.c), rows[i].r);
		assert_int_equal(f.n, rows[i].r ? 1 : 0);
		if (t.c) {
			kube_client_close(t.c, on_closed, NULL);
			assert_true(fake_run(&t.loop, &t.closed, 1000));
		}
		fail_list_done(&f);
		kube_config_done(&t.cfg);
		fake_loop_done(&t.loop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(limits),
		cmocka_unit_test(times),
		cmocka_unit_test(cancelling),
		cmocka_unit_test(retries),
		cmocka_unit_test(token_file),
		cmocka_unit_test(plugin),
		cmocka_unit_test(tls),
		cmocka_unit_test(proxy),
		cmocka_unit_test(authority),
		cmocka_unit_test(servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
