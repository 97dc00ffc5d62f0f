/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c - life of the fleet: making, listening, letting in, closing. */
#include "fleet/priv.h"

#define LOG_UNIT "fleet"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"

#define BACKLOG 4096
#define NODES_MAX 10000u
#define FORGET_S 86400u

int64_t fleet_now(const struct fleet *fl)
{
	struct timespec ts;

	if (fl->cfg.now)
		return fl->cfg.now(fl->cfg.now_arg);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

void fleet_rejected(struct fleet *fl, const char *addr, const char *why)
{
	fl->rejected++;
	(void)snprintf(fl->last_rejected, sizeof(fl->last_rejected), "%s: %s", addr, why);
}

/* ---- a second -------------------------------------------------------------------------------- */

static void tick_cb(uv_timer_t *t)
{
	struct fleet *fl = t->data;
	int64_t now = fleet_now(fl), forget = (int64_t)fl->cfg.forget_s * 1000000000ll;
	size_t it = 0, len;
	const void *k;
	void *v;

	while (htab_next(fl->members, &it, &k, &len, &v)) {
		struct member *m = v;

		fleet_report_told(m);
		if (m->peer) {
			member_ask_wants(m);
		} else if (now - m->st.seen_ns > forget && !htab_count(m->wants)) {
			if (fl->sink && fl->sink->peer_addresses)
				fl->sink->peer_addresses(fl->sink_arg, m->name, NULL, 0);
			member_free(htab_del(fl->members, k, len));
		}
	}
}

/* ---- making ---------------------------------------------------------------------------------- */

static void fleet_free(struct fleet *fl)
{
	fleet_gather_done(fl);
	if (fl->next)
		records_abort(fl->next);
	records_free(fl->records);
	htab_free(fl->members, member_free);
	htab_free(fl->owners, NULL);
	wire_keys_unref(fl->keys);
	vec_done(&fl->listeners);
	free(fl);
}

static uint64_t draw(void)
{
	uint64_t v = 0;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v) || !v)
		v = (uint64_t)uv_hrtime() | 1;
	return v;
}

int fleet_new(uv_loop_t *loop, const struct fleet_config *cfg, struct fail_list *f, struct fleet **ret)
{
	struct fleet *fl = calloc(1, sizeof(*fl));
	int r;

	if (!fl)
		return -ENOMEM;
	fl->loop = loop;
	fl->cfg = *cfg;
	(void)snprintf(fl->name, sizeof(fl->name), "%s", cfg->name ? cfg->name : "controller");
	(void)snprintf(fl->local_name, sizeof(fl->local_name), "%s", cfg->local_name ? cfg->local_name : fl->name);
	fl->cfg.name = fl->name;
	fl->cfg.local_name = fl->local_name;
#define DEFAULT(field, value) fl->cfg.field = fl->cfg.field ? fl->cfg.field : (value)
	DEFAULT(ping_ms, 10000);
	DEFAULT(idle_ms, 30000);
	DEFAULT(forget_s, FORGET_S);
	DEFAULT(nodes_max, NODES_MAX);
	DEFAULT(version_min, WIRE_VERSION_MIN);
	DEFAULT(version_max, WIRE_VERSION);
#undef DEFAULT
	fl->instance = draw();
	fl->members = htab_new();
	fl->owners = htab_new();
	r = fl->members && fl->owners ? records_new(draw(), cfg->log_max, &fl->records) : -ENOMEM;
	if (r) {
		fleet_free(fl);
		return fail_add(f, r, "fleet.memory", NULL, NULL, NULL, "no memory");
	}
	uv_timer_init(loop, &fl->tick);
	uv_timer_init(loop, &fl->store);
	fl->tick.data = fl->store.data = fl;
	fl->open = 2;
	uv_timer_start(&fl->tick, tick_cb, FLEET_TICK_MS, FLEET_TICK_MS);
	*ret = fl;
	return 0;
}

void fleet_set_sink(struct fleet *fl, const struct node_sink *sink, void *arg)
{
	if (fl->sink)
		fleet_gather_store(fl); /* it is theirs */
	fl->sink = sink;
	fl->sink_arg = arg;
}

void fleet_set_keys(struct fleet *fl, struct wire_keys *keys)
{
	struct wire_keys *old = fl->keys;

	fl->keys = keys ? wire_keys_ref(keys) : NULL;
	wire_keys_unref(old);
}

/* ---- listening ------------------------------------------------------------------------------- */

static void on_connection(uv_stream_t *s, int status)
{
	struct listener *l = s->data;
	struct fleet *fl = l->fl;
	struct wire_conn_config cfg = {
		.loop = fl->loop, .keys = fl->keys, .ops = &fleet_peer_ops, .ping_ms = fl->cfg.ping_ms,
		.idle_ms = fl->cfg.idle_ms, .version = fl->cfg.version_max,
	};
	struct peer *p;
	int r;

	if (status < 0) {
		log_warn(status, "a connection is not taken");
		return;
	}
	p = calloc(1, sizeof(*p));
	if (p) {
		p->fl = fl;
		cfg.arg = p;
		/* The count goes first: the connection may end before it is ever known here. */
		p->next = fl->peers;
		if (fl->peers)
			fl->peers->prev = p;
		fl->peers = p;
		fl->npeers++;
		fl->open++;
		r = wire_conn_accept(&cfg, s, &p->conn);
		if (!r)
			return;
		fleet_peer_gone(p);
	} else {
		r = -ENOMEM;
	}
	log_err(r, "a connection is not taken");
}

static void listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;
	struct fleet *fl = l->fl;

	free(l);
	if (fl && --fl->open == 0 && fl->closing) {
		void (*done)(void *arg) = fl->closed;
		void *arg = fl->closed_arg;

		fleet_free(fl);
		done(arg);
	}
}

int fleet_listen(struct fleet *fl, const struct sockaddr *at, struct fail_list *f, uint16_t *ret_port)
{
	struct sockaddr_storage ss;
	struct listener *l;
	int n = sizeof(ss), r;

	if (!fl->keys)
		return fail_add(f, -EINVAL, "fleet.keys", NULL, "certificate, key and authority", NULL,
				"agents cannot be let in without credentials");
	l = calloc(1, sizeof(*l));
	if (!l || vec_reserve(&fl->listeners, fl->listeners.n + 1)) {
		free(l);
		return fail_add(f, -ENOMEM, "fleet.memory", NULL, NULL, NULL, "no memory");
	}
	l->fl = fl;
	uv_tcp_init(fl->loop, &l->tcp);
	l->tcp.data = l;
	r = uv_tcp_bind(&l->tcp, at, 0);
	r = r ? r : uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	r = r ? r : uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&ss, &n);
	if (r) {
		l->fl = NULL;
		uv_close((uv_handle_t *)&l->tcp, listener_closed);
		return fail_add(f, r, "fleet.listen", NULL, "an address of this host, and a free port", NULL,
				"cannot listen for agents: %s", uv_strerror(r));
	}
	fl->listeners.v[fl->listeners.n++] = l;
	fl->open++;
	if (ret_port) /* at the same place in both families */
		*ret_port = (uint16_t)((uint8_t *)&ss)[2] << 8 | ((uint8_t *)&ss)[3];
	return 0;
}

void fleet_standby(struct fleet *fl, bool standby)
{
	struct peer *next;

	fl->standby = standby;
	for (struct peer *p = fl->peers; p && standby; p = next) {
		next = p->next;
		if (p->state == PEER_UP)
			peer_bye(p, "standby", "another controller leads", 1000);
	}
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void maybe_closed(struct fleet *fl)
{
	void (*done)(void *arg) = fl->closed;
	void *arg = fl->closed_arg;

	if (--fl->open || !fl->closing)
		return;
	fleet_free(fl);
	done(arg);
}

void fleet_peer_gone(struct peer *p)
{
	struct fleet *fl = p->fl;

	if (p->prev)
		p->prev->next = p->next;
	else
		fl->peers = p->next;
	if (p->next)
		p->next->prev = p->prev;
	fl->npeers--;
	if (p->enrol)
		p->enrol->peer = NULL;
	fleet_gather_gone(p);
	free(p);
	maybe_closed(fl);
}

static void timer_closed(uv_handle_t *h)
{
	maybe_closed(h->data);
}

void fleet_close(struct fleet *fl, void (*done)(void *arg), void *arg)
{
	if (!fl) {
		done(arg);
		return;
	}
	if (fl->closing)
		return;
	fl->closing = true;
	fl->closed = done;
	fl->closed_arg = arg;
	for (size_t i = 0; i < fl->listeners.n; i++)
		uv_close((uv_handle_t *)&fl->listeners.v[i]->tcp, listener_closed);
	for (struct peer *p = fl->peers, *next; p; p = next) {
		next = p->next;
		wire_conn_close(p->conn, 0, "the controller stops");
	}
	fleet_gather_done(fl);
	uv_close((uv_handle_t *)&fl->tick, timer_closed);
	uv_close((uv_handle_t *)&fl->store, timer_closed);
}

/* ---- enrolment ------------------------------------------------------------------------------- */

void fleet_enrol_answer(struct fleet_enrol *e, const char *cert, const char *why)
{
	struct msg_cert m = { .cert = (char *)cert };
	struct peer *p = e->peer;
	struct buf b;

	free(e);
	if (!p)
		return;
	p->enrol = NULL;
	if (!cert) {
		fleet_rejected(p->fl, wire_conn_addr(p->conn), why);
		peer_bye(p, "token", why, 5000);
		return;
	}
	buf_init(&b, FRAME_BODY_MAX);
	(void)msg_put_cert(&b, &m);
	if (!wire_conn_send_buf(p->conn, &b))
		p->bye = true; /* it comes again with it; whoever stays is timed out */
}
