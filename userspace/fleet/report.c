/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - what nodes report. A node speaks for itself only: for its own sets of counters and for
 * the workloads that are on it. What is acknowledged is durable.
 */
#include "fleet/priv.h"

#define LOG_UNIT "fleet"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "policy/model_doc.h"

int fleet_report_ack(struct peer *p, uint64_t seq)
{
	struct buf b;

	buf_init(&b, FRAME_FIRST_MAX);
	(void)msg_put_ack(&b, seq);
	return wire_conn_send_buf(p->conn, &b);
}

int fleet_report_not_now(struct peer *p, const char *why)
{
	peer_bye(p, "busy", why, 2000);
	return 0;
}

static int not_its_own(struct peer *p, const char *what)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "node %s speaks of %s that another node has", p->m->name, what);
	log_warn(0, "%s", text);
	fleet_rejected(p->fl, wire_conn_addr(p->conn), text);
	peer_bye(p, "identity", text, 60000);
	return 0;
}

static int on_batch(struct peer *p, const struct frame *fr)
{
	struct msg_batch b = {};
	int r = msg_get_batch(fr, &b);

	if (r)
		return r;
	for (size_t i = 0; i < b.naccesses + b.nfolds; i++) {
		uint64_t instance = i < b.naccesses ? b.accesses[i].instance : b.folds[i - b.naccesses].instance;

		if (member_owns(p->m, instance))
			continue;
		msg_batch_done(&b);
		return not_its_own(p, "counters");
	}
	if (p->fl->sink)
		return fleet_gather_batch(p, &b);
	msg_batch_done(&b);
	return fleet_report_not_now(p, "accesses cannot be stored now");
}

static int on_epoch_done(struct peer *p, const struct frame *fr)
{
	const struct fleet *fl = p->fl;
	struct msg_epoch_done m;
	int r = msg_get_epoch_done(fr, &m);

	if (r)
		return r;
	if (!member_owns(p->m, m.instance))
		return not_its_own(p, "counters");
	if (!fl->sink || fl->sink->epoch_done(fl->sink_arg, m.instance, m.epoch))
		return fleet_report_not_now(p, "the end of an epoch cannot be stored now");
	return fleet_report_ack(p, m.seq);
}

static int on_note(struct peer *p, const struct frame *fr)
{
	const struct fleet *fl = p->fl;
	auto_cleanup(msg_note_done) struct msg_note m = {};
	int r = msg_get_note(fr, &m);

	if (r)
		return r;
	if (fl->sink && fl->sink->note)
		fl->sink->note(fl->sink_arg, m.reason, m.workload, m.text ? m.text : "");
	return fleet_report_ack(p, m.seq);
}

/* Is the workload on this node, as far as the controller knows? */
static bool is_on(const struct member *m, const char *ns, const char *name)
{
	char key[REC_KEY_MAX + 1];
	struct workload w = {};
	const char *text;
	bool on;

	if (snprintf(key, sizeof(key), "%s/%s", ns, name) >= (int)sizeof(key))
		return false;
	text = records_text(m->fl->records, REC_WORKLOAD, key);
	if (!text || model_doc_to_workload(text, &w))
		return false;
	on = w.node && !strcmp(w.node, m->name);
	workload_done(&w);
	return on;
}

static int on_addresses(struct peer *p, const struct frame *fr)
{
	const struct fleet *fl = p->fl;
	auto_cleanup(msg_addresses_done) struct msg_addresses m = {};
	int r = msg_get_addresses(fr, &m);

	if (r)
		return r;
	/* It may have moved or gone meanwhile: not a fault, and not taken over. */
	if (fl->sink && fl->sink->addresses && is_on(p->m, m.ns, m.name))
		fl->sink->addresses(fl->sink_arg, m.ns, m.name, m.addrs, m.naddrs);
	return fleet_report_ack(p, m.seq);
}

void fleet_report_told(struct member *m)
{
	const struct fleet *fl = m->fl;
	uint64_t now = uv_now(fl->loop);

	if (!m->told_due || (m->told_ms && now - m->told_ms < TOLD_MS))
		return;
	if (!fl->sink || fl->closing)
		return;
	m->told_due = false;
	m->told_ms = now | 1;
	if (fl->sink->peer_addresses)
		fl->sink->peer_addresses(fl->sink_arg, m->name, m->told.addrs, m->told.naddrs);
}

static int on_node_addresses(struct peer *p, const struct frame *fr)
{
	struct msg_node_addresses t = {};
	struct member *m = p->m;
	int r = msg_get_node_addresses(fr, &t);
	size_t n = 0;

	if (r)
		return r;
	for (size_t i = 0; i < t.naddrs; i++)
		if (addr_is_global(&t.addrs[i]))
			t.addrs[n++] = t.addrs[i];
	t.naddrs = n;
	msg_node_addresses_done(&m->told);
	m->told = t;
	m->told_due = true;
	fleet_report_told(m);
	return 0;
}

static int on_event(struct peer *p, const struct frame *fr)
{
	const struct fleet *fl = p->fl;
	struct member *m = p->m;
	uint64_t now = uv_now(fl->loop);
	struct msg_event e;
	int r;

	if (now - m->event_ms >= 1000) {
		m->event_ms = now;
		m->events = 0;
	}
	if (++m->events > EVENTS_PER_S) {
		m->events_dropped++;
		return 0;
	}
	r = msg_get_event(fr, &e);
	if (!r && fl->sink && fl->sink->event) {
		(void)snprintf(e.who.node, sizeof(e.who.node), "%s", m->name);
		fl->sink->event(fl->sink_arg, &e.ev, &e.who, &e.verdict);
	}
	return r;
}

static int on_receipt(struct peer *p, const struct frame *fr)
{
	struct member *m = p->m;
	const struct fleet *fl = p->fl;
	struct msg_receipt x;
	unsigned gone = 0;
	int r = msg_get_receipt(fr, &x);

	if (r)
		return r;
	while (gone < p->nopen && p->open[gone] <= x.revision)
		gone++;
	memmove(p->open, p->open + gone, (p->nopen - gone) * sizeof(*p->open));
	p->nopen -= gone;
	(void)snprintf(x.receipt.node, sizeof(x.receipt.node), "%s", m->name); /* it speaks for itself */
	m->st.receipt = x.receipt;
	m->st.generation = x.receipt.generation;
	m->refused = !x.receipt.applied;
	m->acked.epoch = p->sent.epoch;
	m->acked.revision = x.revision <= p->sent.revision ? x.revision : p->sent.revision;
	if (m->refused)
		log_warn(0, "a node refuses the state; node='%s' reason='%s'", m->name, x.receipt.note);
	if (fl->sink && fl->sink->receipt)
		fl->sink->receipt(fl->sink_arg, &x.receipt);
	peer_sync(p);
	return 0;
}

static int on_guards(struct peer *p, const struct frame *fr)
{
	struct msg_guards g = {};
	int r = msg_get_guards(fr, &g);

	if (r)
		return r;
	for (size_t i = 0; i < g.n; i++)
		(void)snprintf(g.v[i].node, sizeof(g.v[i].node), "%s", p->m->name);
	msg_guards_done(&p->m->guards);
	p->m->guards = g;
	return 0;
}

static int on_counters(struct peer *p, const struct frame *fr)
{
	struct cJSON *c = NULL;
	int r = msg_get_counters(fr, &c);

	if (r)
		return r;
	cJSON_Delete(p->m->counters);
	p->m->counters = c;
	return 0;
}

static int on_answer(struct peer *p, const struct frame *fr)
{
	struct member *m = p->m;
	struct msg_answer a = {};
	size_t it = 0, len;
	const void *k;
	void *v;
	int r = msg_get_answer(fr, &a);

	if (r)
		return r;
	while (htab_next(m->wants, &it, &k, &len, &v)) {
		struct want *w = v;

		if (w->asked_id != a.id)
			continue;
		w->attached = !a.err;
		w->err = a.err;
		(void)snprintf(w->note, sizeof(w->note), "%s", a.note);
	}
	if (m->flows.id != a.id) {
		msg_answer_done(&a); /* a drain, or asked again meanwhile */
		return 0;
	}
	for (size_t i = 0; i < a.nflows; i++)
		(void)snprintf(a.flows[i].node, sizeof(a.flows[i].node), "%s", m->name);
	msg_answer_done(&m->flows);
	m->flows = a;
	m->flows_ms = a.err ? 0 : uv_now(p->fl->loop) | 1;
	return 0;
}

int fleet_report_take(struct peer *p, const struct frame *fr)
{
	p->m->st.seen_ns = fleet_now(p->fl);
	/* Numbers are acknowledged in their order. */
	if (p->pending && (fr->type == FRAME_EPOCH_DONE || fr->type == FRAME_NOTE || fr->type == FRAME_ADDRESSES)) {
		fleet_gather_store(p->fl);
		if (p->bye)
			return 0;
	}
	switch (fr->type) {
	case FRAME_RECEIPT:
		return on_receipt(p, fr);
	case FRAME_BATCH:
		return on_batch(p, fr);
	case FRAME_EPOCH_DONE:
		return on_epoch_done(p, fr);
	case FRAME_NOTE:
		return on_note(p, fr);
	case FRAME_ADDRESSES:
		return on_addresses(p, fr);
	case FRAME_EVENT:
		return on_event(p, fr);
	case FRAME_GUARDS:
		return on_guards(p, fr);
	case FRAME_COUNTERS:
		return on_counters(p, fr);
	case FRAME_NODE_ADDRESSES:
		return on_node_addresses(p, fr);
	case FRAME_ANSWER:
		return on_answer(p, fr);
	case FRAME_HELLO:
	case FRAME_ENROL:
		return -EBADMSG; /* once is enough */
	default:
		return 0; /* of a later version */
	}
}
