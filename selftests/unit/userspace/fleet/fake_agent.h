/* SPDX-License-Identifier: Apache-2.0 */
/* fake_agent.h - the other end of the fleet, speaking the real protocol: holds a replica and answers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "wire/conn.h"
#include "wire/msg.h"
#include "wire/replica.h"

struct fake_agent {
	char name[64];
	struct wire_conn_config cfg;
	struct wire_keys *keys;
	struct sockaddr_in to;
	struct wire_conn *conn;
	struct replica *replica;	/* NULL: a light one, which believes what it is told */
	struct msg_held held;		/* light */
	struct msg_sync sync;
	unsigned min, max;		/* versions it speaks; 0: those of this build */
	const char *extra;		/* members put into its greeting, "\"x\":1" */
	const char *says;		/* the name it gives; NULL: its own */
	uint64_t instance, generation;
	bool welcome, mute;		/* mute: takes commits and does not answer */
	unsigned drop_at;		/* hangs up after so many frames of state; 0: never */
	unsigned state_frames;
	const char *refuse;		/* note with which commits are refused */
	unsigned commits, snapshots, answers;
	enum policy_flows flows;	/* of the last commit */
	uint64_t acked;
	struct msg_refuse refused;	/* what it was told */
	int err;			/* of the last connection */
	bool closed;
	int attach_err;			/* answered to ATTACH */
	char attached[400];
	unsigned attaches, detaches, drains, flows_asked;
	void (*on_commit)(struct fake_agent *a);
	void *arg;
};

static inline int fake_send(struct fake_agent *a, struct buf *b)
{
	int r = a->conn ? wire_conn_send_buf(a->conn, b) : -ENOTCONN;

	buf_done(b);
	return r;
}

static inline void fake_receipt(struct fake_agent *a)
{
	struct msg_receipt m = {
		.revision = a->replica ? replica_held(a->replica).revision : a->held.revision,
		.receipt = { .applied = !a->refuse, .generation = a->generation, .after_us = 1000, .entries = 10,
			     .entries_max = 1000, .groups = 3 },
	};
	struct buf b;

	(void)snprintf(m.receipt.note, sizeof(m.receipt.note), "%s", a->refuse ? a->refuse : "");
	buf_init(&b, 1 << 16);
	(void)msg_put_receipt(&b, &m);
	(void)fake_send(a, &b);
}

static inline int fake_state(struct fake_agent *a, const struct frame *fr)
{
	struct msg_commit c;
	int r;

	if (a->drop_at && ++a->state_frames >= a->drop_at) {
		a->drop_at = 0;
		return -ECANCELED;
	}
	if (a->replica) {
		r = replica_take(a->replica, fr, &a->sync);
	} else if (fr->type == FRAME_SYNC) {
		r = msg_get_sync(fr, &a->sync);
	} else if (fr->type == FRAME_COMMIT) {
		r = msg_get_commit(fr, &c);
		if (!r) {
			a->held = (struct msg_held){ a->sync.epoch, c.revision, c.digest, c.count };
			r = 1;
		}
	} else {
		r = 0;
	}
	if (r <= 0)
		return r;
	a->commits++;
	a->snapshots += a->sync.snapshot;
	a->flows = a->sync.flows;
	if (!a->refuse)
		a->generation = a->sync.generation;
	if (!a->mute)
		fake_receipt(a);
	if (a->on_commit)
		a->on_commit(a);
	return 0;
}

static inline int fake_ask(struct fake_agent *a, const struct frame *fr)
{
	struct node_flow flow = { .sport = 1234, .dport = 80, .proto = 6, .family = 4, .src_ref = "ns-1/pod/pod-1", .dst_ref = "world" };
	struct msg_answer m = {};
	struct msg_ask q;
	struct buf b;
	int r = msg_get_ask(fr, &q);

	if (r)
		return r;
	m.id = q.id;
	switch (q.what) {
	case ASK_FLOWS:
		a->flows_asked++;
		m.flows = &flow;
		m.nflows = 1;
		break;
	case ASK_DRAIN:
		a->drains++;
		break;
	case ASK_ATTACH:
		a->attaches++;
		m.err = a->attach_err;
		(void)snprintf(a->attached, sizeof(a->attached), "%s/%s@%.50s", q.ns, q.name, q.netns);
		break;
	case ASK_DETACH:
		a->detaches++;
		break;
	default:
		m.err = -ENOTSUP;
	}
	buf_init(&b, 1 << 20);
	(void)msg_put_answer(&b, &m);
	(void)fake_send(a, &b);
	return 0;
}

static inline int fake_frame(void *arg, struct wire_conn *c, const struct frame *fr)
{
	struct fake_agent *a = arg;
	struct msg_welcome w;
	int r;

	(void)c;
	a->answers++;
	switch (fr->type) {
	case FRAME_WELCOME:
		r = msg_get_welcome(fr, &w);
		if (r)
			return r;
		a->welcome = true;
		wire_conn_version(a->conn, w.version);
		return 0;
	case FRAME_REFUSE:
		return msg_get_refuse(fr, &a->refused);
	case FRAME_SYNC:
	case FRAME_RECORDS:
	case FRAME_COMMIT:
		return fake_state(a, fr);
	case FRAME_ACK:
		return msg_get_ack(fr, &a->acked);
	case FRAME_ASK:
		return fake_ask(a, fr);
	default:
		return 0;
	}
}

static inline void fake_ready(void *arg, struct wire_conn *c)
{
	struct fake_agent *a = arg;
	struct msg_hello h = {
		.min = a->min ? a->min : WIRE_VERSION_MIN, .max = a->max ? a->max : WIRE_VERSION, .software = "test",
		.instance = a->instance, .generation = a->generation, .entries_max = 1000,
		.held = a->replica ? replica_held(a->replica) : a->held,
	};
	struct buf b, more;

	wire_conn_trust(c);
	(void)snprintf(h.node, sizeof(h.node), "%s", a->says ? a->says : a->name);
	buf_init(&b, 1 << 16);
	buf_init(&more, 1 << 16);
	(void)msg_put_hello(&b, &h);
	if (a->extra) { /* a later version says more, and sends what is not known here */
		(void)buf_printf(&more, "{%s,%.*s", a->extra, (int)(b.len - FRAME_HEAD - 1), b.data + FRAME_HEAD + 1);
		buf_done(&b);
		(void)frame_put(&b, FRAME_HELLO, 0, more.data, more.len);
		(void)frame_put(&b, (enum frame_type)999, 0, "\x01\x02", 2);
		buf_done(&more);
	}
	(void)wire_conn_send_buf(c, &b);
}

static inline void fake_closed(void *arg, struct wire_conn *c, int err, const char *why)
{
	struct fake_agent *a = arg;

	(void)c, (void)why;
	a->conn = NULL;
	a->closed = true;
	a->welcome = false;
	a->err = err;
	if (a->replica)
		replica_drop(a->replica);
}

static const struct wire_conn_ops fake_ops = { .ready = fake_ready, .frame = fake_frame, .closed = fake_closed };

static inline int fake_dial(struct fake_agent *a, uv_loop_t *loop)
{
	a->cfg.loop = loop;
	a->cfg.keys = a->keys;
	a->cfg.ops = &fake_ops;
	a->cfg.arg = a;
	a->closed = false;
	a->refused = (struct msg_refuse){};
	a->state_frames = 0;
	return wire_conn_connect(&a->cfg, (struct sockaddr *)&a->to, "127.0.0.1", &a->conn);
}
