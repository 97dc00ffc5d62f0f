/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - one connection: greeting, and handing out the state. */
#include "fleet/priv.h"

#define LOG_UNIT "fleet"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

void peer_bye(struct peer *p, const char *code, const char *text, uint32_t retry_ms)
{
	struct msg_refuse m = { .retry_ms = retry_ms };
	struct buf b;

	(void)snprintf(m.code, sizeof(m.code), "%s", code);
	(void)snprintf(m.text, sizeof(m.text), "%s", text);
	buf_init(&b, FRAME_FIRST_MAX);
	(void)msg_put_refuse(&b, &m);
	p->bye = true;
	(void)wire_conn_send_buf(p->conn, &b); /* it is closed in any case */
	wire_conn_close(p->conn, 0, text);
}

static int refuse(struct peer *p, const char *code, const char *text, uint32_t retry_ms)
{
	fleet_rejected(p->fl, wire_conn_addr(p->conn), text);
	peer_bye(p, code, text, retry_ms);
	return 0;
}

int peer_ask(struct peer *p, struct msg_ask *ask)
{
	struct buf b;

	ask->id = ++p->fl->ask_id;
	buf_init(&b, FRAME_FIRST_MAX);
	(void)msg_put_ask(&b, ask);
	return wire_conn_send_buf(p->conn, &b);
}

/*
 * A node is given the way from what it was sent last to the present, as one piece. While pieces are
 * under way, or too many are not answered, later changes wait here and go together.
 */
void peer_sync(struct peer *p)
{
	struct fleet *fl = p->fl;
	struct wire_blobs l = {};
	struct msg_held to;
	bool snapshot;
	int r = 0;

	if (p->state != PEER_UP || p->bye || wire_conn_queued(p->conn) || p->nopen == COMMITS_OPEN_MAX)
		return;
	if (records_since(fl->records, &p->sent, &l, &to, &snapshot)) {
		log_err(-ENOMEM, "a node is not brought up to date, retrying with the next change; node='%s'", p->m->name);
		return;
	}
	if (!l.n)
		return;
	p->sent = to;
	p->open[p->nopen++] = to.revision;
	if (snapshot)
		fl->snapshots++;
	else
		fl->deltas++;
	for (size_t i = 0; i < l.n && !r; i++)
		r = wire_conn_send_blob(p->conn, l.v[i]);
	wire_blobs_done(&l);
}

/* ---- greeting -------------------------------------------------------------------------------- */

static void on_ready(void *arg, struct wire_conn *c)
{
	struct peer *p = arg;

	if (wire_conn_peer(c)->role == WIRE_NOBODY && !p->fl->cfg.enrol)
		(void)refuse(p, "identity", "without a certificate nobody is let in", 60000);
	else if (p->fl->npeers > p->fl->cfg.nodes_max)
		(void)refuse(p, "busy", "too many nodes are connected", 10000);
}

static void take_place(struct peer *p, struct member *m, const struct msg_hello *h)
{
	struct fleet *fl = p->fl;

	if (m->peer) {
		struct peer *old = m->peer;

		/* One node, one agent: the newer is the one that lives. */
		m->peer = NULL;
		old->m = NULL;
		peer_bye(old, "node", "the node has connected again", 5000);
	}
	m->peer = p;
	p->m = m;
	p->state = PEER_UP;
	p->sent = m->acked = h->held;
	p->nopen = 0;
	m->refused = false;
	m->st.version = frame_version(h->min, h->max, fl->cfg.version_min, fl->cfg.version_max);
	m->st.generation = h->generation;
	m->st.connected_ns = m->st.seen_ns = fleet_now(fl);
	m->st.reason[0] = 0;
	(void)snprintf(m->st.addr, sizeof(m->st.addr), "%s", wire_conn_addr(p->conn));
	(void)snprintf(m->st.software, sizeof(m->st.software), "%s", h->software);
	if (h->entries_max)
		m->st.receipt.entries_max = h->entries_max;
	/* What another run of the agent attached may be gone with its machine. */
	if (m->instance != h->instance) {
		size_t it = 0, len;
		const void *k;
		void *v;

		while (htab_next(m->wants, &it, &k, &len, &v)) {
			((struct want *)v)->attached = false;
			((struct want *)v)->asked_ms = 0;
		}
	}
	m->instance = h->instance;
}

static int on_hello(struct peer *p, const struct frame *fr)
{
	struct fleet *fl = p->fl;
	const struct wire_identity *id = wire_conn_peer(p->conn);
	struct msg_welcome w = { .instance = fl->instance, .ping_ms = fl->cfg.ping_ms, .idle_ms = fl->cfg.idle_ms };
	struct msg_hello h;
	struct member *m;
	struct buf b;
	char text[200];
	int r = msg_get_hello(fr, &h);

	if (r)
		return r;
	if (id->role != WIRE_NODE || strcmp(id->name, h.node)) {
		(void)snprintf(text, sizeof(text), "the certificate is that of node \"%s\", the agent says \"%s\"", id->name, h.node);
		return refuse(p, "identity", text, 60000);
	}
	w.version = frame_version(h.min, h.max, fl->cfg.version_min, fl->cfg.version_max);
	if (!w.version) {
		(void)snprintf(text, sizeof(text), "the agent speaks versions %u to %u, the controller %u to %u", h.min, h.max,
			       fl->cfg.version_min, fl->cfg.version_max);
		return refuse(p, "version", text, 60000);
	}
	if (fl->standby)
		return refuse(p, "standby", "another controller leads", 1000);
	if (fl->cfg.local && !strcmp(h.node, fl->local_name))
		return refuse(p, "node", "this node is the controller's own", 60000);
	m = member_get(fl, h.node, true);
	if (!m)
		return -ENOMEM;
	(void)snprintf(w.controller, sizeof(w.controller), "%s", fl->name);
	buf_init(&b, FRAME_FIRST_MAX);
	(void)msg_put_welcome(&b, &w);
	wire_conn_version(p->conn, w.version);
	r = wire_conn_send_buf(p->conn, &b);
	if (r)
		return r;
	wire_conn_trust(p->conn);
	take_place(p, m, &h);
	peer_sync(p);
	member_ask_wants(m);
	return 0;
}

static int on_enrol(struct peer *p, const struct frame *fr)
{
	struct fleet *fl = p->fl;
	struct msg_enrol m;
	int r = msg_get_enrol(fr, &m);

	if (r)
		return r;
	if (!fl->cfg.enrol || p->enrol)
		r = -EBADMSG;
	else if (fl->standby)
		r = refuse(p, "standby", "another controller leads", 1000);
	else if (!(p->enrol = calloc(1, sizeof(*p->enrol))))
		r = -ENOMEM;
	if (!r && p->enrol) {
		p->enrol->peer = p;
		p->state = PEER_ENROL;
		fl->cfg.enrol(fl->cfg.enrol_arg, p->enrol, m.node, m.token, m.csr);
	}
	msg_enrol_done(&m);
	return r;
}

static int on_frame(void *arg, struct wire_conn *c, const struct frame *fr)
{
	struct peer *p = arg;

	(void)c;
	if (p->bye)
		return 0;
	if (p->state == PEER_UP)
		return fleet_report_take(p, fr);
	if (fr->type == FRAME_HELLO && p->state == PEER_NEW)
		return on_hello(p, fr);
	if (fr->type == FRAME_ENROL && p->state == PEER_NEW)
		return on_enrol(p, fr);
	return fr->type < FRAME_SYNC ? -EBADMSG : 0; /* what a later version may say first is not for us */
}

static void on_drained(void *arg, struct wire_conn *c)
{
	(void)c;
	peer_sync(arg);
}

static void on_closed(void *arg, struct wire_conn *c, int err, const char *why)
{
	struct peer *p = arg;
	struct member *m = p->m;

	if (m && m->peer == p) {
		member_lost(m, why);
		if (!p->fl->closing)
			log_info("a node is gone; node='%s' reason='%s'", m->name, why);
	} else if (p->state == PEER_NEW && !p->bye && err) {
		fleet_rejected(p->fl, wire_conn_addr(c), why);
	}
	fleet_peer_gone(p);
}

const struct wire_conn_ops fleet_peer_ops = {
	.ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed,
};
