/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - one connection: socket, queue, timers, and frames to the owner. */
#include "wire/conn_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/cleanup.h"

#define SLICE 16384u		/* one TLS record */
#define TURN (256u << 10)	/* what one connection may send before others have theirs */
#define TX_MAX (SLICE * 4)	/* bytes that the kernel did not take */
#define QUEUE_ITEM 64u		/* what an entry of the queue costs beside its bytes */

static void closed_cb(uv_handle_t *h)
{
	struct wire_conn *c = h->data;

	if (--c->handles)
		return;
	c->ops->closed(c->arg, c, c->err, c->why);
	for (size_t i = c->queue_first; i < c->queue.n; i++)
		wire_blob_unref(c->queue.v[i].blob);
	vec_done(&c->queue);
	buf_done(&c->tx);
	frame_reader_done(&c->reader);
	SSL_free(c->ssl);
	wire_keys_unref(c->keys);
	free(c);
}

void wire_conn_close(struct wire_conn *c, int err, const char *why)
{
	if (c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_OPEN) {
		conn_pump(c); /* the reason for closing is often the last frame */
		if (c->state == CONN_CLOSING)
			return;
		conn_tls_bye(c);
	}
	c->state = CONN_CLOSING;
	c->err = err;
	(void)snprintf(c->why, sizeof(c->why), "%s", why);
	uv_close((uv_handle_t *)&c->tcp, closed_cb);
	uv_close((uv_handle_t *)&c->timer, closed_cb);
}

/* ---- out ------------------------------------------------------------------------------------- */

struct tx_req { uv_write_t req; char *data; };

static void written(uv_write_t *req, int status)
{
	struct tx_req *t = (struct tx_req *)req;
	struct wire_conn *c = req->data;

	free(t->data);
	free(t);
	c->writing = false;
	if (c->state == CONN_CLOSING)
		return;
	if (status < 0) {
		wire_conn_close(c, status, "cannot send");
		return;
	}
	c->moved_ms = c->tx_ms = uv_now(c->tcp.loop);
	c->late_tx = false;
	c->slow = false;
	conn_pump(c);
}

static int tx_flush(struct wire_conn *c)
{
	struct tx_req *t;
	uv_buf_t b;
	size_t n;
	int r;

	if (c->writing || !c->tx.len || c->tx.err)
		return c->tx.err;
	t = malloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->data = buf_take(&c->tx, &n);
	t->req.data = c;
	b = uv_buf_init(t->data, (unsigned)n);
	r = uv_write(&t->req, (uv_stream_t *)&c->tcp, &b, 1, written);
	if (r) {
		free(t->data);
		free(t);
		return r;
	}
	c->writing = true;
	return 0;
}

/* Called by the TLS library. What the kernel does not take at once waits in tx for tx_flush. */
int conn_raw_write(struct wire_conn *c, const char *p, size_t n)
{
	uv_buf_t b = uv_buf_init((char *)p, (unsigned)n);
	int r = 0;

	if (c->tx_err)
		return c->tx_err;
	if (!c->writing && !c->tx.len && !c->slow) {
		r = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
		if (r < 0 && r != UV_EAGAIN)
			return c->tx_err = r;
		r = r < 0 ? 0 : r;
		if (r)
			c->moved_ms = c->tx_ms = uv_now(c->tcp.loop);
	}
	if ((size_t)r < n && buf_add(&c->tx, p + r, n - (size_t)r))
		return c->tx_err = c->tx.err;
	return 0;
}

static void queue_drop_first(struct wire_conn *c)
{
	struct conn_piece *p = &c->queue.v[c->queue_first++];

	if (p->own)
		c->queued_own -= p->blob->len + QUEUE_ITEM;
	wire_blob_unref(p->blob);
	if (c->queue_first == c->queue.n) {
		c->queue.n = c->queue_first = 0;
		if (c->queue.cap > 64)
			vec_done(&c->queue); /* an idle connection keeps nothing */
	} else if (c->queue_first > 256 && c->queue_first > c->queue.n / 2) {
		memmove(c->queue.v, &c->queue.v[c->queue_first], (c->queue.n - c->queue_first) * sizeof(*c->queue.v));
		c->queue.n -= c->queue_first;
		c->queue_first = 0;
	}
}

/* Small frames that follow one another share a TLS record. */
static int send_slice(struct wire_conn *c, size_t *ret)
{
	struct conn_piece *p = &c->queue.v[c->queue_first];
	size_t n = p->blob->len - p->off;
	char joined[SLICE];
	size_t have = 0;
	int r;

	if (n >= SLICE || c->queue_first + 1 == c->queue.n) {
		r = conn_tls_write(c, p->blob->data + p->off, n < SLICE ? n : SLICE);
	} else {
		for (size_t i = c->queue_first; i < c->queue.n && have < SLICE; i++) {
			const struct conn_piece *q = &c->queue.v[i];

			n = q->blob->len - q->off;
			n = n < SLICE - have ? n : SLICE - have;
			memcpy(joined + have, q->blob->data + q->off, n);
			have += n;
		}
		r = conn_tls_write(c, joined, have);
	}
	if (r <= 0)
		return r;
	*ret = (size_t)r;
	for (have = (size_t)r; have && c->queue_first < c->queue.n;) {
		p = &c->queue.v[c->queue_first];
		n = p->blob->len - p->off;
		n = n < have ? n : have;
		p->off += n;
		have -= n;
		c->queued -= n;
		if (p->off == p->blob->len)
			queue_drop_first(c);
	}
	return 1;
}

void conn_pump(struct wire_conn *c)
{
	size_t turn = 0, n = 0;
	bool any = false;
	int r = 1;

	if (c->pumping || c->state != CONN_OPEN)
		return;
	c->pumping = true;
	while (c->queue.n > c->queue_first && !c->writing && c->tx.len < TX_MAX && r > 0) {
		if (turn >= TURN)
			c->slow = true; /* this slice through the loop, which calls back when it has gone round */
		r = send_slice(c, &n);
		any = any || r > 0;
		turn += n;
		if (r > 0 && c->tx.len)
			r = tx_flush(c) ? -EPIPE : r;
	}
	if (r >= 0 && c->tx.len && tx_flush(c))
		r = -EPIPE;
	c->pumping = false;
	if (r < 0 || c->tx_err) {
		c->state = c->state == CONN_OPEN ? CONN_HANDSHAKE : c->state; /* no farewell: it cannot be sent */
		wire_conn_close(c, c->tx_err ? c->tx_err : r, "cannot send");
		return;
	}
	if (any && c->queue.n == c->queue_first && c->ops->drained)
		c->ops->drained(c->arg, c);
}

static int queue_add(struct wire_conn *c, struct wire_blob *b, bool own)
{
	struct conn_piece p = { .blob = b, .own = own };
	int r;

	if (c->queue.n == c->queue_first && !c->writing)
		c->moved_ms = uv_now(c->tcp.loop);
	r = vec_push(&c->queue, p);
	if (r) {
		wire_blob_unref(b);
		return r;
	}
	c->queued += b->len;
	c->queued_own += own ? b->len + QUEUE_ITEM : 0;
	conn_pump(c);
	return c->state == CONN_CLOSING ? -EPIPE : 0;
}

/* Each frame says which version it is of. */
static void stamp_version(struct wire_conn *c, char *p, size_t len)
{
	while (len >= FRAME_HEAD) {
		const uint8_t *h = (const uint8_t *)p;
		size_t n = ((size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3]) + FRAME_HEAD;

		p[7] = (char)c->version;
		if (n > len)
			return;
		p += n;
		len -= n;
	}
}

int wire_conn_send(struct wire_conn *c, const void *frames, size_t len)
{
	struct wire_blob *b;

	if (c->state != CONN_OPEN)
		return -EPIPE;
	if (c->queued_own + len > c->cfg.queue_max) {
		c->state = CONN_HANDSHAKE; /* no farewell: it would wait behind all the rest */
		wire_conn_close(c, -ENOBUFS, "the peer does not take what is sent");
		return -ENOBUFS;
	}
	b = wire_blob_new(frames, len);
	if (!b)
		return -ENOMEM;
	stamp_version(c, b->data, b->len);
	return queue_add(c, b, true);
}

int wire_conn_send_buf(struct wire_conn *c, struct buf *b)
{
	int r = b->err ? b->err : b->len ? wire_conn_send(c, b->data, b->len) : 0;

	buf_done(b);
	return r;
}

int wire_conn_send_blob(struct wire_conn *c, struct wire_blob *blob)
{
	return c->state == CONN_OPEN ? queue_add(c, wire_blob_ref(blob), false) : -EPIPE;
}

size_t wire_conn_queued(const struct wire_conn *c)
{
	return c->queued + c->tx.len;
}

/* ---- in -------------------------------------------------------------------------------------- */

static void answer_ping(struct wire_conn *c, const struct frame *f)
{
	struct buf b;

	buf_init(&b, FRAME_FIRST_MAX);
	if (f->len > 64)
		wire_conn_close(c, -EBADMSG, "a ping that is too long");
	else if (!frame_put(&b, FRAME_PONG, 0, f->body, f->len))
		(void)wire_conn_send_buf(c, &b); /* a full queue closes the connection by itself */
	buf_done(&b);
}

void conn_bytes(struct wire_conn *c, const char *p, size_t n)
{
	struct frame f;
	int r = 1;

	while (c->state == CONN_OPEN && (r = frame_read(&c->reader, &p, &n, &f)) == 1) {
		if (f.type == FRAME_PING) {
			answer_ping(c, &f);
			continue;
		}
		if (f.type == FRAME_PONG)
			continue;
		r = c->ops->frame(c->arg, c, &f);
		if (r < 0)
			wire_conn_close(c, r, r == -EBADMSG ? "a frame does not say what it should" : strerror(-r));
	}
	if (c->state == CONN_OPEN && r < 0)
		wire_conn_close(c, r, r == -E2BIG ? "a frame is longer than it may be" :
				r == -ENOMEM ? "no memory" : "these are no frames");
}

static void alloc_cb(uv_handle_t *h, size_t size, uv_buf_t *b)
{
	static char bytes[65536]; /* read and used up before anybody else reads */

	(void)h, (void)size;
	*b = uv_buf_init(bytes, sizeof(bytes));
}

static void read_cb(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct wire_conn *c = s->data;

	if (c->state == CONN_CLOSING || n == 0)
		return;
	if (n < 0) {
		c->state = CONN_HANDSHAKE; /* nobody there for a farewell */
		wire_conn_close(c, n == UV_EOF ? 0 : (int)n, n == UV_EOF ? "the peer closed the connection"
									 : uv_strerror((int)n));
		return;
	}
	c->rx_ms = uv_now(c->tcp.loop);
	c->late_rx = false;
	c->rx = b->base;
	c->rx_len = (size_t)n;
	conn_tls_input(c);
	if (c->state == CONN_CLOSING)
		return;
	conn_pump(c);
	if (c->state != CONN_CLOSING && (c->tx_err || tx_flush(c)))
		wire_conn_close(c, c->tx_err ? c->tx_err : -EPIPE, "cannot send");
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Timers come before what arrived: a loop that was held up looks at that first, and again at the next tick. */
static bool overdue(bool late, bool *seen)
{
	bool twice = late && *seen;

	*seen = late;
	return twice;
}

static void timer_cb(uv_timer_t *t)
{
	struct wire_conn *c = t->data;
	uint64_t now = uv_now(t->loop);
	struct buf b;
	bool waits;

	if (c->state == CONN_CLOSING)
		return;
	if (c->state != CONN_OPEN) {
		/* Not excused by bytes that trickle in. */
		if (overdue(now - c->born_ms >= c->cfg.handshake_ms, &c->late_tx))
			wire_conn_close(c, -ETIMEDOUT,
					c->state == CONN_CONNECTING ? "no answer" : "the handshake takes too long");
		return;
	}
	if (overdue(now - c->rx_ms >= c->cfg.idle_ms, &c->late_rx)) {
		wire_conn_close(c, -ETIMEDOUT, "nothing was heard for too long");
		return;
	}
	waits = c->queue.n > c->queue_first || c->writing;
	if (overdue(waits && now - c->moved_ms >= c->cfg.stall_ms, &c->late_tx)) {
		c->state = CONN_HANDSHAKE;
		wire_conn_close(c, -ETIMEDOUT, "the peer does not take what is sent");
		return;
	}
	if (now - c->tx_ms < c->cfg.ping_ms)
		return;
	c->tx_ms = now;
	buf_init(&b, FRAME_FIRST_MAX);
	if (!frame_put(&b, FRAME_PING, 0, NULL, 0))
		(void)wire_conn_send_buf(c, &b);
	buf_done(&b);
}

static void timer_set(struct wire_conn *c)
{
	uint32_t ms = c->cfg.idle_ms < c->cfg.ping_ms ? c->cfg.idle_ms : c->cfg.ping_ms;

	ms = ms < c->cfg.stall_ms ? ms : c->cfg.stall_ms;
	if (c->state != CONN_OPEN)
		ms = ms < c->cfg.handshake_ms ? ms : c->cfg.handshake_ms;
	ms = ms / 4 < 10 ? 10 : ms / 4;
	uv_timer_start(&c->timer, timer_cb, ms, ms);
}

void conn_opened(struct wire_conn *c)
{
	c->state = CONN_OPEN;
	c->late_rx = c->late_tx = false;
	c->rx_ms = c->tx_ms = c->moved_ms = uv_now(c->tcp.loop);
	timer_set(c);
	c->ops->ready(c->arg, c);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int conn_new(const struct wire_conn_config *cfg, bool client, const char *server_name, struct wire_conn **ret)
{
	struct wire_conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
#define DEFAULT(field, value) c->cfg.field = c->cfg.field ? c->cfg.field : (value)
	DEFAULT(idle_ms, 30000);
	DEFAULT(ping_ms, 10000);
	DEFAULT(handshake_ms, CONN_HANDSHAKE_MS);
	DEFAULT(stall_ms, CONN_STALL_MS);
	DEFAULT(version, WIRE_VERSION);
	DEFAULT(queue_max, CONN_QUEUE_MAX);
#undef DEFAULT
	c->version = c->cfg.version;
	c->ops = cfg->ops;
	c->arg = cfg->arg;
	c->client = client;
	c->keys = wire_keys_ref(cfg->keys);
	c->cfg.keys = NULL;
	c->reader.max = FRAME_FIRST_MAX;
	c->reader.keep_packed = cfg->keep_packed;
	buf_init(&c->tx, CONN_QUEUE_MAX);
	r = conn_tls_new(c, server_name);
	if (r) {
		SSL_free(c->ssl);
		wire_keys_unref(c->keys);
		free(c);
		return r;
	}
	uv_tcp_init(cfg->loop, &c->tcp);
	uv_timer_init(cfg->loop, &c->timer);
	c->tcp.data = c->timer.data = c;
	c->handles = 2;
	c->born_ms = c->rx_ms = c->tx_ms = c->moved_ms = uv_now(cfg->loop);
	*ret = c;
	return 0;
}

static void addr_text(const struct sockaddr *a, char *out, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
	char text[INET6_ADDRSTRLEN] = "";

	if (a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		(void)inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof(text));
		(void)snprintf(out, size, "%s:%u", text, ntohs(v6->sin6_port));
	} else if (a->sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		(void)snprintf(out, size, "[%s]:%u", text, ntohs(v6->sin6_port));
	} else {
		(void)inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		(void)snprintf(out, size, "%s:%u", text, ntohs(v4->sin_port));
	}
}

static void start_reading(struct wire_conn *c)
{
	int r;

	c->state = CONN_HANDSHAKE;
	(void)uv_tcp_nodelay(&c->tcp, 1); /* costs time where it fails, nothing else */
	(void)uv_tcp_keepalive(&c->tcp, 1, 30);
	timer_set(c);
	r = uv_read_start((uv_stream_t *)&c->tcp, alloc_cb, read_cb);
	if (r) {
		wire_conn_close(c, r, "cannot read");
		return;
	}
	conn_tls_input(c); /* a client speaks first */
	if (c->state != CONN_CLOSING && (c->tx_err || tx_flush(c)))
		wire_conn_close(c, c->tx_err ? c->tx_err : -EPIPE, "cannot send");
}

static void connected(uv_connect_t *req, int status)
{
	struct wire_conn *c = req->data;

	if (c->state == CONN_CLOSING)
		return;
	if (status)
		wire_conn_close(c, status, uv_strerror(status));
	else
		start_reading(c);
}

int wire_conn_connect(const struct wire_conn_config *cfg, const struct sockaddr *to, const char *server_name,
		      struct wire_conn **ret)
{
	struct wire_conn *c;
	int r = conn_new(cfg, true, server_name, &c);

	if (r)
		return r;
	addr_text(to, c->addr, sizeof(c->addr));
	c->connect.data = c;
	timer_set(c);
	r = uv_tcp_connect(&c->connect, &c->tcp, to, connected);
	if (r)
		wire_conn_close(c, r, uv_strerror(r)); /* told by closed() */
	*ret = c;
	return 0;
}

int wire_conn_accept(const struct wire_conn_config *cfg, uv_stream_t *listener, struct wire_conn **ret)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };
	int n = sizeof(ss), r;
	struct wire_conn *c;

	r = conn_new(cfg, false, NULL, &c);
	if (r)
		return r;
	r = uv_accept(listener, (uv_stream_t *)&c->tcp);
	if (r) {
		wire_conn_close(c, r, uv_strerror(r));
	} else {
		(void)uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&ss, &n); /* gone already: read tells */
		addr_text((struct sockaddr *)&ss, c->addr, sizeof(c->addr));
		start_reading(c);
	}
	*ret = c;
	return 0;
}

void wire_conn_trust(struct wire_conn *c)
{
	c->reader.max = FRAME_BODY_MAX;
}

void wire_conn_version(struct wire_conn *c, unsigned version)
{
	c->version = version;
}

void wire_conn_timing(struct wire_conn *c, uint32_t ping_ms, uint32_t idle_ms)
{
	if (ping_ms)
		c->cfg.ping_ms = ping_ms;
	if (idle_ms)
		c->cfg.idle_ms = idle_ms;
	if (c->state != CONN_CLOSING)
		timer_set(c);
}

const struct wire_identity *wire_conn_peer(const struct wire_conn *c)
{
	return &c->peer;
}

const char *wire_conn_addr(const struct wire_conn *c)
{
	return c->addr;
}
