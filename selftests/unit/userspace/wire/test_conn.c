/* SPDX-License-Identifier: Apache-2.0 */
/* test_conn.c - who is let in, what is refused, and what becomes of peers that do not play along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <uv.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "pki.h"
#include "wire/msg.h"

struct end {
	struct wire_conn *c;
	bool ready, closed;
	int err;
	char why[256];
	unsigned frames, drained;
	size_t bytes;
	enum frame_type last;
	char body[64];
	int answer;		/* what frame() returns */
};
struct fixture {
	uv_loop_t loop;
	uv_tcp_t listener;
	struct sockaddr_in at;
	struct wire_conn_config server, client;
	struct wire_keys *server_keys;
	struct end s, k;	/* server's end, client's end */
	bool accepted;
	struct pki pki, foreign;
};

static void on_ready(void *arg, struct wire_conn *c)
{
	(void)c;
	((struct end *)arg)->ready = true;
}

static int on_frame(void *arg, struct wire_conn *c, const struct frame *fr)
{
	struct end *e = arg;

	(void)c;
	e->frames++;
	e->bytes += fr->len;
	e->last = fr->type;
	(void)snprintf(e->body, sizeof(e->body), "%s", fr->body);
	return e->answer;
}

static void on_drained(void *arg, struct wire_conn *c)
{
	(void)c;
	((struct end *)arg)->drained++;
}

static void on_closed(void *arg, struct wire_conn *c, int err, const char *why)
{
	struct end *e = arg;

	(void)c;
	assert_false(e->closed);
	e->closed = true;
	e->c = NULL;
	e->err = err;
	(void)snprintf(e->why, sizeof(e->why), "%s", why);
}

static const struct wire_conn_ops ops = {
	.ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed,
};

static void on_connection(uv_stream_t *s, int status)
{
	struct fixture *x = s->data;

	assert_int_equal(status, 0);
	x->accepted = true;
	x->server.keys = x->server_keys;
	assert_int_equal(wire_conn_accept(&x->server, s, &x->s.c), 0);
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	int n = sizeof(x->at);

	uv_loop_init(&x->loop);
	pki_new(&x->pki);
	pki_new(&x->foreign);
	x->server_keys = pki_plain(&x->pki, NULL);
	uv_tcp_init(&x->loop, &x->listener);
	x->listener.data = x;
	uv_ip4_addr("127.0.0.1", 0, &x->at);
	assert_int_equal(uv_tcp_bind(&x->listener, (struct sockaddr *)&x->at, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&x->listener, 16, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&x->listener, (struct sockaddr *)&x->at, &n), 0);
	x->server = (struct wire_conn_config){ .loop = &x->loop, .ops = &ops, .arg = &x->s };
	x->client = (struct wire_conn_config){ .loop = &x->loop, .ops = &ops, .arg = &x->k };
	*state = x;
	return 0;
}

static void spin(struct fixture *x, unsigned ms, const bool *until)
{
	uint64_t end;

	uv_update_time(&x->loop);
	end = uv_now(&x->loop) + ms;
	while (uv_now(&x->loop) < end && !(until && *until)) {
		uv_run(&x->loop, UV_RUN_NOWAIT);
		usleep(500);
		uv_update_time(&x->loop);
	}
}

static void end_all(struct fixture *x)
{
	if (x->s.c)
		wire_conn_close(x->s.c, 0, "end");
	if (x->k.c)
		wire_conn_close(x->k.c, 0, "end");
	for (int i = 0; i < 200 && (x->s.c || x->k.c); i++)
		spin(x, 5, NULL);
	assert_null(x->s.c);
	assert_null(x->k.c);
	x->s = x->k = (struct end){};
	x->accepted = false;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	end_all(x);
	uv_close((uv_handle_t *)&x->listener, NULL);
	uv_run(&x->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&x->loop), 0);
	wire_keys_unref(x->server_keys);
	pki_done(&x->pki);
	pki_done(&x->foreign);
	free(x);
	return 0;
}

static void dial(struct fixture *x, struct wire_keys *keys, const char *name)
{
	x->client.keys = keys;
	assert_int_equal(wire_conn_connect(&x->client, (struct sockaddr *)&x->at, name, &x->k.c), 0);
	wire_keys_unref(keys);
}

static void both_ready(struct fixture *x)
{
	for (int i = 0; i < 400 && !(x->s.ready && x->k.ready) && !x->s.closed && !x->k.closed; i++)
		spin(x, 5, NULL);
	assert_true(x->s.ready && x->k.ready);
}

/* ---- who is let in --------------------------------------------------------------------------- */

static void friends(void **state)
{
	struct fixture *x = *state;
	struct buf b;

	dial(x, pki_plain(&x->pki, "node-1"), "controller.test");
	both_ready(x);
	assert_int_equal(wire_conn_peer(x->s.c)->role, WIRE_NODE);
	assert_string_equal(wire_conn_peer(x->s.c)->name, "node-1");
	assert_int_equal(wire_conn_peer(x->k.c)->role, WIRE_CONTROLLER);
	buf_init(&b, 4096);
	assert_int_equal(frame_put(&b, FRAME_NOTE, 0, "hello", 5), 0);
	assert_int_equal(frame_put(&b, FRAME_NOTE, 0, "again", 5), 0);
	assert_int_equal(wire_conn_send_buf(x->k.c, &b), 0);
	for (int i = 0; i < 400 && x->s.frames < 2; i++)
		spin(x, 5, NULL);
	assert_int_equal(x->s.frames, 2);
	assert_string_equal(x->s.body, "again");
	/* The peer goes: told to the other, without a fault. */
	wire_conn_close(x->k.c, 0, "bye");
	spin(x, 2000, &x->s.closed);
	assert_true(x->s.closed && x->k.closed);
	assert_int_equal(x->s.err, 0);
	assert_int_equal(x->k.err, 0);
}

static void strangers(void **state)
{
	struct fixture *x = *state;
	const int64_t now = time(NULL);
	enum { CONTROLLER, NODE };
	const struct {
		const char *what;
		bool foreign, controller;	/* who signed, as whom */
		int64_t when, life;
		const char *name;	/* expected of the server */
		bool foreign_server;	/* the server is somebody else's */
		int server_err, client_err;
	} t[] = {
		{ "signed by somebody else", true, false, now, 3600, NULL, false, -EACCES, -EACCES },
		{ "run out", false, false, now - 7200, 3600, NULL, false, -EACCES, -EACCES },
		{ "not valid yet", false, false, now + 86400, 3600, NULL, false, -EACCES, -EACCES },
		{ "a controller where a node should be", false, true, now, 3600, NULL, false, -EACCES, 0 },
		{ "a server that somebody else vouches for", false, false, now, 3600, NULL, true, -EACCES, -EACCES },
		{ "a server of another name", false, false, now, 3600, "elsewhere.test", false, -EACCES, -EACCES },
		{ "a server of another address", false, false, now, 3600, "127.0.0.2", false, -EACCES, -EACCES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const struct pki *by = t[i].foreign ? &x->foreign : &x->pki;
		struct wire_keys *own = x->server_keys;

		if (t[i].foreign_server)
			x->server_keys = pki_keys(&x->foreign, &x->pki, NULL, now, 3600, false);
		dial(x, pki_keys(by, &x->pki, t[i].controller ? NULL : "node-1", t[i].when, t[i].life, false), t[i].name);
		spin(x, 3000, &x->s.closed);
		spin(x, 3000, &x->k.closed);
		print_message("  %s: server '%s', client '%s'\n", t[i].what, x->s.why, x->k.why);
		assert_true(x->s.closed && x->k.closed);
		assert_false(x->s.ready); /* nothing of it ever reached the owner */
		assert_int_equal(x->s.err, t[i].server_err);
		assert_int_equal(x->k.err, t[i].client_err);
		if (t[i].foreign_server) {
			wire_keys_unref(x->server_keys);
			x->server_keys = own;
		}
		end_all(x);
	}
}

/* A node may not be a controller to another. */
static void node_as_server(void **state)
{
	struct fixture *x = *state;
	struct wire_keys *own = x->server_keys;

	x->server_keys = pki_plain(&x->pki, "node-2");
	dial(x, pki_plain(&x->pki, "node-1"), NULL);
	spin(x, 3000, &x->k.closed);
	print_message("  %s\n", x->k.why);
	assert_false(x->k.ready);
	assert_int_equal(x->k.err, -EACCES);
	wire_keys_unref(x->server_keys);
	x->server_keys = own;
}

static void nobody(void **state)
{
	struct fixture *x = *state;
	const char *ca = ca_cert(x->pki.ca);
	struct wire_keys *own = x->server_keys;

	for (int allow = 0; allow < 2; allow++) {
		struct wire_keys *k;

		x->server_keys = pki_keys(&x->pki, &x->pki, NULL, time(NULL), 3600, allow);
		assert_int_equal(wire_keys_new(&(struct wire_keys_source){ .ca = ca, .ca_len = strlen(ca) }, NULL, &k), 0);
		dial(x, k, "127.0.0.1");
		if (allow) {
			both_ready(x);
			assert_int_equal(wire_conn_peer(x->s.c)->role, WIRE_NOBODY);
		} else {
			spin(x, 3000, &x->s.closed);
			assert_false(x->s.ready);
			assert_int_equal(x->s.err, -EACCES);
		}
		end_all(x);
		wire_keys_unref(x->server_keys);
	}
	x->server_keys = own;
}

/* Bytes that are no TLS, and a peer that says nothing. */
static void no_tls(void **state)
{
	struct fixture *x = *state;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&x->at, sizeof(x->at)), 0);
	assert_true(write(fd, "GET / HTTP/1.1\r\n\r\n", 18) == 18);
	spin(x, 3000, &x->s.closed);
	print_message("  %s\n", x->s.why);
	assert_int_equal(x->s.err, -EPROTO);
	close(fd);
	end_all(x);
	x->server.handshake_ms = 100;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&x->at, sizeof(x->at)), 0);
	spin(x, 2000, &x->s.closed);
	assert_true(x->accepted);
	assert_int_equal(x->s.err, -ETIMEDOUT);
	close(fd);
}

static void nobody_listens(void **state)
{
	struct fixture *x = *state;
	struct sockaddr_in at = x->at;

	x->at.sin_port = htons(1);
	dial(x, pki_plain(&x->pki, "node-1"), NULL);
	spin(x, 3000, &x->k.closed);
	assert_int_equal(x->k.err, -ECONNREFUSED);
	x->at = at;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void too_long(void **state)
{
	struct fixture *x = *state;
	auto_free char *body = calloc(1, FRAME_FIRST_MAX + 1);
	struct buf b;

	dial(x, pki_plain(&x->pki, "node-1"), NULL);
	both_ready(x);
	buf_init(&b, 1 << 20);
	assert_int_equal(frame_put(&b, FRAME_NOTE, 0, body, FRAME_FIRST_MAX + 1), 0);
	assert_int_equal(wire_conn_send_buf(x->k.c, &b), 0);
	spin(x, 3000, &x->s.closed);
	assert_int_equal(x->s.err, -E2BIG);
	assert_int_equal(x->s.frames, 0);
	end_all(x);
	/* The same is fine once the peer is known. */
	dial(x, pki_plain(&x->pki, "node-1"), NULL);
	both_ready(x);
	wire_conn_trust(x->s.c);
	buf_init(&b, 1 << 20);
	assert_int_equal(frame_put(&b, FRAME_NOTE, 0, body, FRAME_FIRST_MAX + 1), 0);
	assert_int_equal(wire_conn_send_buf(x->k.c, &b), 0);
	for (int i = 0; i < 400 && !x->s.frames; i++)
		spin(x, 5, NULL);
	assert_int_equal(x->s.bytes, FRAME_FIRST_MAX + 1);
	/* An owner that does not like a frame ends the connection. */
	x->s.answer = -EBADMSG;
	buf_init(&b, 1 << 20);
	assert_int_equal(frame_put(&b, FRAME_NOTE, 0, "x", 1), 0);
	assert_int_equal(frame_put(&b, FRAME_NOTE, 0, "y", 1), 0);
	assert_int_equal(wire_conn_send_buf(x->k.c, &b), 0);
	spin(x, 3000, &x->s.closed);
	assert_int_equal(x->s.err, -EBADMSG);
	assert_int_equal(x->s.frames, 2); /* none after the bad one */
}

/* What is said last is heard: a refusal is worth nothing if it is lost with its connection. */
static void last_words(void **state)
{
	struct fixture *x = *state;
	struct buf b;

	dial(x, pki_plain(&x->pki, "node-1"), NULL);
	both_ready(x);
	buf_init(&b, 4096);
	assert_int_equal(msg_put_refuse(&b, &(struct msg_refuse){ .code = "version", .text = "too old" }), 0);
	assert_int_equal(wire_conn_send_buf(x->s.c, &b), 0);
	wire_conn_close(x->s.c, 0, "refused");
	spin(x, 3000, &x->k.closed);
	assert_int_equal(x->k.frames, 1);
	assert_int_equal(x->k.last, FRAME_REFUSE);
	assert_int_equal(x->k.err, 0);
}

static void pings(void **state)
{
	struct fixture *x = *state;

	/* Both are quiet for long: pings keep it up. */
	x->client.ping_ms = 40;
	x->server.idle_ms = x->client.idle_ms = 300;
	dial(x, pki_plain(&x->pki, "node-1"), NULL);
	both_ready(x);
	spin(x, 900, &x->s.closed);
	assert_false(x->s.closed);
	assert_false(x->k.closed);
	assert_int_equal(x->s.frames + x->k.frames, 0); /* nobody else sees them */
	end_all(x);
	/* And without them it is noticed. */
	x->client.ping_ms = x->client.idle_ms = 100000;
	x->server.ping_ms = 100000;
	dial(x, pki_plain(&x->pki, "node-1"), NULL);
	both_ready(x);
	spin(x, 2000, &x->s.closed);
	assert_int_equal(x->s.err, -ETIMEDOUT);
}

/* A reader that stops reading: what waits is bounded, and it is given up. */
static void slow_reader(void **state)
{
	struct fixture *x = *state;
	struct wire_blob *blob = NULL;
	auto_free char *bytes = calloc(1, 1 << 20);
	struct buf b;
	unsigned n = 0;
	int r = 0;

	x->server.stall_ms = 400;
	x->server.queue_max = 1 << 20;
	for (int round = 0; round < 2; round++) {
		dial(x, pki_plain(&x->pki, "node-1"), NULL);
		both_ready(x);
		wire_conn_trust(x->k.c);
		uv_read_stop((uv_stream_t *)x->k.c); /* the socket is the first member: made deaf from outside */
		if (!round) {
			/* Shared bytes: a hundred megabytes are asked for, and none is copied. */
			buf_init(&b, 2 << 20);
			assert_int_equal(frame_put(&b, FRAME_RECORDS, 0, bytes, 1 << 20), 0);
			blob = wire_blob_new(b.data, b.len);
			buf_done(&b);
			for (int i = 0; i < 100; i++)
				assert_int_equal(wire_conn_send_blob(x->s.c, blob), 0);
			assert_true(blob->refs <= 101);
			spin(x, 3000, &x->s.closed);
			assert_int_equal(x->s.err, -ETIMEDOUT);
			assert_int_equal(blob->refs, 1);
			wire_blob_unref(blob);
		} else {
			/* Own frames: refused when the queue is full. */
			for (n = 0; n < 10000 && !r; n++) {
				buf_init(&b, 1 << 16);
				assert_int_equal(frame_put(&b, FRAME_ACK, 0, bytes, 60000), 0);
				r = wire_conn_send_buf(x->s.c, &b);
			}
			assert_int_equal(r, -ENOBUFS);
			assert_true(n < 400);
			spin(x, 2000, &x->s.closed);
			assert_int_equal(x->s.err, -ENOBUFS);
		}
		end_all(x);
	}
}

/* Much in both directions at once; everything arrives, and the owner hears when it is out. */
static void much(void **state)
{
	struct fixture *x = *state;
	auto_free char *bytes = calloc(1, 1 << 20);
	struct wire_blob *blob;
	struct buf b;

	dial(x, pki_plain(&x->pki, "node-1"), NULL);
	both_ready(x);
	wire_conn_trust(x->k.c);
	wire_conn_trust(x->s.c);
	buf_init(&b, 2 << 20);
	assert_int_equal(frame_put(&b, FRAME_RECORDS, 0, bytes, 1 << 20), 0);
	blob = wire_blob_new(b.data, b.len);
	buf_done(&b);
	for (int i = 0; i < 40; i++)
		assert_int_equal(wire_conn_send_blob(x->s.c, blob), 0);
	for (int i = 0; i < 60; i++) {
		buf_init(&b, 2 << 20);
		assert_int_equal(frame_put(&b, FRAME_BATCH, 0, bytes, 50000), 0);
		assert_int_equal(wire_conn_send_buf(x->k.c, &b), 0);
	}
	for (int i = 0; i < 2000 && (x->k.frames < 40 || x->s.frames < 60); i++)
		spin(x, 5, NULL);
	assert_int_equal(x->k.frames, 40);
	assert_int_equal(x->k.bytes, 40u << 20);
	assert_int_equal(x->s.frames, 60);
	assert_true(x->s.drained && x->k.drained);
	assert_int_equal(wire_conn_queued(x->s.c), 0);
	assert_int_equal(blob->refs, 1);
	wire_blob_unref(blob);
}

/* ---- names and keys -------------------------------------------------------------------------- */

static void identities(void **state)
{
	static const struct { const char *text; int err; enum wire_role role; const char *name; } t[] = {
		{ "cellwall:controller", 0, WIRE_CONTROLLER, "" },
		{ "cellwall:node:node-1", 0, WIRE_NODE, "node-1" },
		{ "cellwall:node:ip-10-0-0-1.example.com", 0, WIRE_NODE, "ip-10-0-0-1.example.com" },
		{ "cellwall:node:", -EINVAL, 0, NULL }, { "cellwall:node:a/b", -EINVAL, 0, NULL },
		{ "cellwall:node:A_B", -EINVAL, 0, NULL }, { "cellwall:controllers", -EINVAL, 0, NULL },
		{ "node-1", -EINVAL, 0, NULL }, { "", -EINVAL, 0, NULL },
		{ "cellwall:node:a23456789b123456789c123456789d123456789e123456789f123456789g123", 0, WIRE_NODE,
		  "a23456789b123456789c123456789d123456789e123456789f123456789g123" },
		{ "cellwall:node:a23456789b123456789c123456789d123456789e123456789f123456789g1234", -EINVAL, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct wire_identity id;
		char text[96];

		print_message("  %s\n", t[i].text);
		assert_int_equal(wire_identity_parse(t[i].text, &id), t[i].err);
		if (t[i].err)
			continue;
		assert_int_equal(id.role, t[i].role);
		assert_string_equal(id.name, t[i].name);
		assert_string_equal(wire_identity_str(&id, text), t[i].text);
	}
}

static void bad_keys(void **state)
{
	struct fixture *x = *state;
	const char *ca = ca_cert(x->pki.ca), *other_key = x->foreign.key;
	struct cert_ask ask = { .name = { .role = WIRE_NODE, .name = "node-1" }, .now_s = time(NULL), .life_s = 60 };
	auto_free char *cert = NULL;

	assert_int_equal(ca_issue(x->pki.ca, &ask, x->pki.request, NULL, &cert), 0);
	{
		const struct { const char *what, *cert, *key, *ca, *fault; } t[] = {
			{ "no certificate", "rubbish", x->pki.key, ca, "tls.certificate" },
			{ "no key", cert, "rubbish", ca, "tls.key" },
			{ "a key of another", cert, other_key, ca, "tls.key" },
			{ "no authority", cert, x->pki.key, "rubbish", "tls.ca" },
			{ "a certificate that names nobody", ca, x->pki.key, ca, "tls.certificate" },
		};

		for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
			auto_cleanup(fail_list_done) struct fail_list f = {};
			struct wire_keys *k = NULL;

			assert_true(wire_keys_new(&(struct wire_keys_source){
				.cert = t[i].cert, .cert_len = strlen(t[i].cert), .key = t[i].key, .key_len = strlen(t[i].key),
				.ca = t[i].ca, .ca_len = strlen(t[i].ca), .cert_name = "c.pem", .key_name = "k.pem",
				.ca_name = "ca.pem" }, &f, &k) < 0);
			assert_int_equal(f.n, 1);
			print_message("  %s: %s: %s\n", t[i].what, f.items[0].at, f.items[0].message);
			assert_string_equal(f.items[0].name, t[i].fault);
		}
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(friends), T(strangers), T(node_as_server), T(nobody), T(no_tls), T(nobody_listens), T(too_long),
		T(last_words), T(pings), T(slow_reader), T(much), T(bad_keys), cmocka_unit_test(identities),
	};

	signal(SIGPIPE, SIG_IGN);
	own_loopback();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
