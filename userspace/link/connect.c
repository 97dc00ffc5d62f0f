/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c - finding a controller, greeting it, and what it says. */
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LOG_UNIT "link"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strparse.h"
#include "link/priv.h"

/* ---- pure parts --------------------------------------------------------------------------------- */

uint32_t uplink_backoff_ms(unsigned n, uint32_t rnd)
{
	uint32_t ms = UPLINK_RETRY_MS;

	while (n-- && ms < UPLINK_RETRY_MAX_MS)
		ms *= 2;
	if (ms > UPLINK_RETRY_MAX_MS)
		ms = UPLINK_RETRY_MAX_MS;
	/* A thousand agents that lost the same controller must not come back together. */
	return ms / 2 + rnd % (ms / 2 + 1);
}

int uplink_address_parse(const char *s, char *host, char *port)
{
	const char *end, *colon;
	size_t n;
	uint64_t p;

	if (*s == '[') {
		end = strchr(++s, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		colon = end[1] ? end + 1 : NULL;
	} else {
		colon = strchr(s, ':');
		if (colon && strchr(colon + 1, ':'))
			colon = NULL; /* a bare IPv6 address */
		end = colon ? colon : s + strlen(s);
	}
	n = (size_t)(end - s);
	if (!n || n > 255 || (colon && (parse_u64(colon + 1, 1, 65535, &p) || strlen(colon + 1) > 5)))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:%_", s[i]))
			return -EINVAL;
	memcpy(host, s, n);
	host[n] = 0;
	snprintf(port, 8, "%u", colon ? (unsigned)p : WIRE_PORT);
	return 0;
}

/* ---- state -------------------------------------------------------------------------------------- */

void connect_state(struct uplink *u, enum up_state s)
{
	if (u->state == s)
		return;
	u->state = s;
	u->since_ns = uplink_now_ns();
}

void connect_problem(struct uplink *u, const char *fmt, ...)
{
	char text[sizeof(u->problem)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* The same again, every few seconds, is not news. */
	if (strcmp(text, u->problem))
		log_warn(0, "%s", text);
	snprintf(u->problem, sizeof(u->problem), "%s", text);
}

int connect_send(struct uplink *u, struct buf *b)
{
	int r = u->conn ? wire_conn_send_buf(u->conn, b) : -ENOTCONN;

	if (r)
		buf_done(b);
	return r;
}

static void on_retry(uv_timer_t *t);

void connect_soon(struct uplink *u, uint32_t ms)
{
	if (u->closing)
		return;
	connect_state(u, UP_WAITING);
	uv_timer_start(&u->retry, on_retry, ms, 0);
}

/* The next address, the next controller, or a while later the first again. */
void connect_failed(struct uplink *u)
{
	uint32_t rnd = 0;

	if (u->closing)
		return;
	if (u->next && u->next->ai_next) {
		u->next = u->next->ai_next;
		connect_soon(u, 1);
		return;
	}
	uv_freeaddrinfo(u->found);
	u->found = u->next = NULL;
	u->which = (u->which + 1) % u->ncontrollers;
	if (getrandom(&rnd, sizeof(rnd), 0) != sizeof(rnd))
		rnd = (uint32_t)uv_hrtime();
	if (u->which) {
		connect_soon(u, 1 + rnd % 50);
		return;
	}
	connect_soon(u, u->retry_ms ? u->retry_ms + rnd % (u->retry_ms / 2 + 1) : uplink_backoff_ms(u->tries, rnd));
	u->retry_ms = 0;
	u->tries++;
}

/* ---- the connection --------------------------------------------------------------------------------- */

static void on_ready(void *arg, struct wire_conn *c)
{
	struct uplink *u = arg;
	struct msg_hello h = {
		.min = u->version_min, .max = u->version_max, .instance = u->instance,
		.held = replica_held(u->replica), .generation = u->applied_generation,
	};
	auto_cleanup(buf_done) struct buf b = { };

	wire_conn_trust(c);
	snprintf(h.node, sizeof(h.node), "%s", u->name);
	snprintf(h.software, sizeof(h.software), "%s", CW_VERSION);
	buf_init(&b, FRAME_FIRST_MAX);
	if (msg_put_hello(&b, &h) || wire_conn_send_buf(c, &b)) {
		wire_conn_close(c, -ENOMEM, "cannot greet the controller");
		return;
	}
	connect_state(u, UP_GREETING);
	u->greet_by = uv_now(u->loop) + GREET_MS;
}

static int welcomed(struct uplink *u, const struct frame *fr)
{
	struct msg_welcome w;
	int r = msg_get_welcome(fr, &w);
	bool other;

	if (r)
		return r;
	if (w.version < u->version_min || w.version > u->version_max)
		return -EPROTO;
	other = w.instance != u->controller_instance;
	wire_conn_version(u->conn, w.version);
	wire_conn_timing(u->conn, w.ping_ms, w.idle_ms);
	snprintf(u->controller, sizeof(u->controller), "%s", w.controller);
	u->controller_instance = w.instance;
	u->tries = 0;
	u->connects++;
	u->from_disk = false;
	*u->problem = 0;
	uv_freeaddrinfo(u->found); /* asked for again when it is needed again */
	u->found = u->next = NULL;
	connect_resolve_drop(u);
	connect_state(u, UP_CONNECTED);
	log_info("connected; controller='%s' addr='%s' version=%u", u->controller, u->address, w.version);
	report_welcome(u, other);
	return 0;
}

static int refused(struct uplink *u, const struct frame *fr)
{
	struct msg_refuse m;
	int r = msg_get_refuse(fr, &m);

	if (r)
		return r;
	u->told = true;
	u->retry_ms = m.retry_ms > 60000 ? 60000 : m.retry_ms;
	connect_problem(u, "controller %s refuses this agent (%s): %s", u->address, m.code, m.text);
	return -ECONNREFUSED;
}

static int asked(struct uplink *u, const struct frame *fr)
{
	struct msg_ask ask;
	int r = msg_get_ask(fr, &ask);

	return r ? r : report_ask(u, &ask);
}

static int on_frame(void *arg, struct wire_conn *c, const struct frame *fr)
{
	struct uplink *u = arg;
	uint64_t seq;
	int r;

	(void)c;
	if (fr->type == FRAME_REFUSE)
		return refused(u, fr);
	if (u->state == UP_GREETING)
		return fr->type == FRAME_WELCOME ? welcomed(u, fr) : -EPROTO;
	switch ((unsigned)fr->type) {
	case FRAME_SYNC:
	case FRAME_RECORDS:
	case FRAME_COMMIT:
		return apply_frame(u, fr);
	case FRAME_ACK:
		r = msg_get_ack(fr, &seq);
		if (!r)
			report_ack(u, seq);
		return r;
	case FRAME_ASK:
		return asked(u, fr);
	default:
		return 0; /* of a version beyond ours */
	}
}

static void on_closed(void *arg, struct wire_conn *c, int err, const char *why)
{
	struct uplink *u = arg;
	bool was_up = u->state == UP_CONNECTED;

	if (c != u->conn)
		return;
	u->conn = NULL;
	apply_broken(u);
	report_broken(u);
	if (u->closing) {
		connect_state(u, UP_CLOSED);
		connect_closed_check(u);
		return;
	}
	(void)err; /* `why` says it */
	if (!u->told)
		connect_problem(u, "%s %s: %s", was_up ? "lost controller" : "cannot reach controller", u->address, why);
	connect_failed(u);
}

static const struct wire_conn_ops conn_ops = {
	.ready = on_ready, .frame = on_frame, .closed = on_closed,
};

static void connect_to(struct uplink *u, const char *host)
{
	const struct wire_conn_config cfg = { .loop = u->loop, .keys = u->keys, .ops = &conn_ops, .arg = u };
	char num[100] = "?", port[8] = "?";
	int r;

	(void)getnameinfo(u->next->ai_addr, u->next->ai_addrlen, num, sizeof(num), port, sizeof(port),
			  NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(u->address, sizeof(u->address), "%s:%s", num, port);
	u->told = false;
	memcpy(&u->peer, u->next->ai_addr, u->next->ai_addrlen);
	snprintf(u->peer_host, sizeof(u->peer_host), "%s", host);
	if (!u->keys) {
		r = keys_enrol(u);
		if (r)
			connect_failed(u);
		else
			connect_state(u, UP_ENROLLING);
		return;
	}
	r = wire_conn_connect(&cfg, u->next->ai_addr, host, &u->conn);
	if (r) {
		connect_problem(u, "cannot connect to controller %s: %s", u->address, strerror(-r));
		connect_failed(u);
		return;
	}
	connect_state(u, UP_CONNECTING);
}

/* A name server that is away must not keep the other addresses from being tried. */
struct resolve {
	uv_getaddrinfo_t rq;
	struct uplink *u;	/* NULL: nobody waits any more */
	size_t which;
	bool late;		/* others are tried meanwhile */
};

void connect_resolve_drop(struct uplink *u)
{
	for (size_t i = 0; i < LOOKUPS_MAX; i++) {
		if (!u->lookups[i])
			continue;
		(void)uv_cancel((uv_req_t *)&u->lookups[i]->rq); /* one that runs cannot be: its end is nobody's then */
		u->lookups[i]->u = NULL;
		u->lookups[i] = NULL;
	}
	for (size_t i = 0; i < UPLINK_CONTROLLERS_MAX; i++) {
		uv_freeaddrinfo(u->late[i]);
		u->late[i] = NULL;
	}
}

static void use_answer(struct uplink *u, size_t which, struct addrinfo *res)
{
	u->which = which;
	u->found = u->next = res;
	connect_soon(u, 0);
}

static void on_resolved(uv_getaddrinfo_t *rq, int status, struct addrinfo *res)
{
	struct resolve *x = rq->data;
	struct uplink *u = x->u;
	bool late = x->late;
	size_t which = x->which;

	for (size_t i = 0; u && i < LOOKUPS_MAX; i++)
		if (u->lookups[i] == x)
			u->lookups[i] = NULL;
	free(x);
	if (!u) {
		uv_freeaddrinfo(res);
		return;
	}
	if (status || !res) {
		connect_problem(u, "cannot resolve controller %s: %s", u->controllers[which],
				status ? uv_strerror(status) : "no address");
		uv_freeaddrinfo(res);
		if (!late)
			connect_failed(u);
	} else if (!late || (u->state == UP_WAITING && !u->next)) {
		use_answer(u, which, res);
	} else { /* for its next turn: asked again, it would be late again */
		uv_freeaddrinfo(u->late[which]);
		u->late[which] = res;
	}
}

/* The addresses of a controller: at once when they are numbers. Positive: others come first. */
static int resolve(struct uplink *u, const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST };
	struct resolve *x, **slot = NULL;
	int r;

	if (!getaddrinfo(host, port, &hints, &u->found)) {
		u->next = u->found;
		return 0;
	}
	u->found = u->late[u->which];
	u->late[u->which] = NULL;
	if (u->found) {
		u->next = u->found;
		return 0;
	}
	for (size_t i = 0; i < LOOKUPS_MAX; i++) {
		if (u->lookups[i] && u->lookups[i]->which == u->which)
			return 1; /* still being asked for */
		if (!u->lookups[i])
			slot = &u->lookups[i];
	}
	if (!slot)
		return 1;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->u = u;
	x->which = u->which;
	x->rq.data = x;
	hints.ai_flags = AI_NUMERICSERV;
	r = uv_getaddrinfo(u->loop, &x->rq, on_resolved, host, port, &hints);
	if (r) {
		free(x);
		return r;
	}
	*slot = x;
	connect_state(u, UP_RESOLVING);
	uv_timer_start(&u->retry, on_retry, RESOLVE_MS, 0);
	return 0;
}

static void on_retry(uv_timer_t *t)
{
	struct uplink *u = t->data;
	auto_cleanup(fail_list_done) struct fail_list f = { };
	char host[256], port[8];
	int r;

	if (u->closing || u->conn || u->enrol)
		return;
	if (u->state == UP_RESOLVING) {
		for (size_t i = 0; i < LOOKUPS_MAX; i++)
			if (u->lookups[i] && u->lookups[i]->which == u->which)
				u->lookups[i]->late = true;
		connect_problem(u, "cannot resolve controller %s: no answer yet", u->controllers[u->which]);
		connect_failed(u);
		return;
	}
	r = keys_read(u, &f);
	if (r < 0 && (r != -ENOENT || !u->issued) && !u->keys) {
		connect_problem(u, "cannot connect without credentials: %s", f.n ? f.items[0].message : strerror(-r));
		connect_failed(u);
		return;
	}
	if (uplink_address_parse(u->controllers[u->which], host, port))
		return; /* checked when it was configured */
	r = u->next ? 0 : resolve(u, host, port);
	if (!r && u->next)
		connect_to(u, host);
	else if (r < 0)
		connect_problem(u, "cannot resolve controller %s: %s", host, uv_strerror(r));
	if (r)
		connect_failed(u);
}
