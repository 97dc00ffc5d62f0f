/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - what the node reports: into the spool first, from there up in order, one batch at a
 * time, dropped when the controller has made it durable.
 *
 * A row holds one report as the frame that would carry it alone. The end of an epoch is sent only
 * when nothing older is left: what was sent before it can then never be sent again after it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_UNIT "link"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/vec.h"
#include "link/priv.h"

static int frame_of(const void *p, size_t n, struct frame_reader *rd, struct frame *ret)
{
	const char *at = p;

	rd->max = FRAME_BODY_MAX;
	return frame_read(rd, &at, &n, ret) == 1 ? 0 : -EBADMSG;
}

/* ---- into the spool ------------------------------------------------------------------------------- */

static int put(struct uplink *u, enum spool_kind kind, const void *key, size_t key_len, struct buf *b, int r)
{
	r = r ?: b->err;
	r = r ?: spool_put(u->spool, kind, key, key_len, b->data, b->len);
	if (!r)
		u->last_put++;
	buf_done(b);
	return r;
}

static int put_access(struct uplink *u, const struct node_access *a)
{
	const struct msg_batch m = { .accesses = (struct node_access *)a, .naccesses = 1 };
	struct { uint64_t instance; uint32_t epoch; struct cw_access_key key; } key;
	struct buf b;

	memset(&key, 0, sizeof(key)); /* padding is part of the name */
	key.instance = a->instance;
	key.epoch = a->epoch;
	memcpy(&key.key, &a->key, sizeof(key.key));
	buf_init(&b, SPOOL_BODY_MAX);
	return put(u, SP_ACCESS, &key, sizeof(key), &b, msg_put_batch(&b, &m));
}

static int put_fold(struct uplink *u, const struct node_fold *f)
{
	const struct msg_batch m = { .folds = (struct node_fold *)f, .nfolds = 1 };
	char key[400];
	int n = snprintf(key, sizeof(key), "%llx %s/%s", (unsigned long long)f->instance, f->ns, f->name);
	struct buf b;

	buf_init(&b, SPOOL_BODY_MAX);
	return put(u, SP_FOLD, key, (size_t)n, &b, msg_put_batch(&b, &m));
}

static int on_accesses(void *arg, const struct node_access *a, size_t n, const struct node_fold *folds, size_t nfolds)
{
	struct uplink *u = arg;
	int r = spool_begin(u->spool);

	for (size_t i = 0; i < n && !r; i++)
		r = put_access(u, &a[i]);
	for (size_t i = 0; i < nfolds && !r; i++)
		r = put_fold(u, &folds[i]);
	if (r)
		spool_rollback(u->spool);
	else
		r = spool_commit(u->spool);
	if (!r)
		report_pump(u);
	return r; /* the kernel's tables keep what was not taken, the spool counts it */
}

static int on_epoch_done(void *arg, uint64_t instance, uint32_t epoch)
{
	const struct msg_epoch_done m = { .instance = instance, .epoch = epoch };
	struct { uint64_t instance, epoch; } key = { instance, epoch };
	struct uplink *u = arg;
	struct buf b;
	int r;

	buf_init(&b, SPOOL_BODY_MAX);
	r = put(u, SP_EPOCH, &key, sizeof(key), &b, msg_put_epoch_done(&b, &m));
	if (!r)
		report_pump(u);
	return r;
}

static void on_note(void *arg, const char *reason, const char *workload, const char *text)
{
	struct uplink *u = arg;
	struct msg_note m = { .reason = (char *)reason, .workload = (char *)workload, .text = (char *)text };
	struct { int64_t at_ns; uint64_t n; } key = { uplink_now_ns(), ++u->note_n };
	struct buf b;
	int r;

	buf_init(&b, SPOOL_BODY_MAX);
	r = put(u, SP_NOTE, &key, sizeof(key), &b, msg_put_note(&b, &m));
	u->notes_dropped += r != 0;
	r = u->note_n % 100 ? 0 : spool_trim(u->spool, SP_NOTE, NOTES_KEPT);
	u->notes_dropped += r > 0 ? (uint64_t)r : 0;
	report_pump(u);
}

struct kept_addrs { size_t n; struct addr v[]; };

static int put_addresses(struct uplink *u, const char *ns, const char *name, const struct addr *a, size_t n)
{
	const struct msg_addresses m = {
		.ns = (char *)ns, .name = (char *)name, .addrs = (struct addr *)a,
		.naddrs = n < MSG_ADDRS_MAX ? n : MSG_ADDRS_MAX,
	};
	char key[400];
	int len = snprintf(key, sizeof(key), "%s/%s", ns, name);
	struct buf b;

	buf_init(&b, SPOOL_BODY_MAX);
	return put(u, SP_ADDRESSES, key, (size_t)len, &b, msg_put_addresses(&b, &m));
}

static void on_addresses(void *arg, const char *ns, const char *name, const struct addr *a, size_t n)
{
	struct uplink *u = arg;
	struct kept_addrs *k = malloc(sizeof(*k) + n * sizeof(*a));
	char key[400];
	int len = snprintf(key, sizeof(key), "%s/%s", ns, name), r;
	void *old = NULL;

	/* Remembered for a controller that never heard them. */
	if (k) {
		k->n = n;
		if (n)
			memcpy(k->v, a, n * sizeof(*a));
		if (htab_set(u->addresses, key, (size_t)len, k, &old))
			old = k;
		free(old);
	}
	r = put_addresses(u, ns, name, a, n);
	if (r)
		log_warn(r, "addresses are not reported; workload='%s/%s'", ns, name);
	report_pump(u);
}

static void on_event(void *arg, const struct cw_event *ev, const struct node_flow *who, const struct cw_verdict *v)
{
	struct uplink *u = arg;
	const struct msg_event m = { .ev = *ev, .who = *who, .verdict = *v };
	auto_cleanup(buf_done) struct buf b = { };

	/* Announcements: what they speak of is counted and comes with the accesses anyway. */
	if (!connect_is_up(u) || !u->event_tokens || wire_conn_queued(u->conn) > CONN_QUEUE_MAX / 2) {
		u->events_dropped++;
		return;
	}
	u->event_tokens--;
	buf_init(&b, FRAME_BODY_MAX);
	if (msg_put_event(&b, &m) || connect_send(u, &b))
		u->events_dropped++;
}

static void on_node_addresses(void *arg, const struct addr *a, size_t n)
{
	struct uplink *u = arg;

	if (apply_node_addrs(u, a, n))
		log_warn(-ENOMEM, "addresses of the node are not taken over");
}

const struct node_sink report_sink = {
	.accesses = on_accesses, .epoch_done = on_epoch_done, .event = on_event, .note = on_note,
	.addresses = on_addresses, .node_addresses = on_node_addresses,
};

/* ---- from the spool up ------------------------------------------------------------------------------- */

struct gather {
	struct uplink *u;
	unsigned kind;		/* of the first row; 0: none yet */
	uint64_t last;
	size_t rows, bytes;
	struct { struct node_access *v; size_t n, cap; } accesses;
	struct { struct node_fold *v; size_t n, cap; } folds;
	struct buf out;		/* a report that goes alone */
	int r;
};

static bool goes_with(unsigned first, unsigned kind)
{
	return (first == SP_ACCESS || first == SP_FOLD) && (kind == SP_ACCESS || kind == SP_FOLD);
}

static int take_batch(struct gather *g, const struct frame *fr)
{
	struct msg_batch m = { };
	int r = msg_get_batch(fr, &m);

	if (r)
		return r;
	if (vec_reserve(&g->accesses, g->accesses.n + m.naccesses) || vec_reserve(&g->folds, g->folds.n + m.nfolds)) {
		msg_batch_done(&m);
		return -ENOMEM;
	}
	for (size_t i = 0; i < m.naccesses; i++)
		g->accesses.v[g->accesses.n++] = m.accesses[i]; /* with what it owns */
	for (size_t i = 0; i < m.nfolds; i++)
		g->folds.v[g->folds.n++] = m.folds[i];
	free(m.accesses);
	free(m.folds);
	return 0;
}

/* A note is stamped when it arrives: one that waited says since when. */
static int take_note(struct gather *g, const struct spool_row *row, const struct frame *fr)
{
	auto_cleanup(msg_note_done) struct msg_note m = { };
	char *late = NULL, when[32];
	struct tm tm;
	int64_t at;
	time_t s;
	int r = msg_get_note(fr, &m);

	if (r || row->key_len < sizeof(at))
		return r ?: -EBADMSG;
	memcpy(&at, row->key, sizeof(at));
	s = (time_t)(at / 1000000000);
	if (uplink_now_ns() - at > 5000000000ll && gmtime_r(&s, &tm) &&
	    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) &&
	    asprintf(&late, "%s (at %s)", m.text ?: "", when) >= 0) {
		free(m.text);
		m.text = late;
	}
	m.seq = row->seq;
	return msg_put_note(&g->out, &m);
}

static int take_alone(struct gather *g, const struct spool_row *row, const struct frame *fr)
{
	struct msg_epoch_done e;
	struct msg_addresses a = { };
	int r;

	switch (row->kind) {
	case SP_EPOCH:
		r = msg_get_epoch_done(fr, &e);
		e.seq = row->seq;
		return r ?: msg_put_epoch_done(&g->out, &e);
	case SP_NOTE:
		return take_note(g, row, fr);
	case SP_ADDRESSES:
		r = msg_get_addresses(fr, &a);
		a.seq = row->seq;
		r = r ?: msg_put_addresses(&g->out, &a);
		msg_addresses_done(&a);
		return r;
	default:
		return -EBADMSG;
	}
}

static int gather_row(void *arg, const struct spool_row *row)
{
	struct frame_reader rd = { };
	struct gather *g = arg;
	struct frame fr;
	int r;

	if (g->kind && (!goes_with(g->kind, row->kind) || g->rows >= BATCH_ROWS || g->bytes + row->body_len > BATCH_BYTES))
		return 1;
	r = frame_of(row->body, row->body_len, &rd, &fr);
	r = r ?: goes_with(row->kind, row->kind) ? take_batch(g, &fr) : take_alone(g, row, &fr);
	frame_reader_done(&rd);
	if (r == -ENOMEM) {
		g->r = r;
		return 1;
	}
	if (r) /* it goes with the acknowledgement of what is around it */
		log_warn(r, "a report in the spool cannot be read, left out; row=%llu", (unsigned long long)row->seq);
	g->kind = row->kind;
	g->last = row->seq;
	g->rows++;
	g->bytes += row->body_len;
	return goes_with(row->kind, row->kind) ? 0 : 1;
}

static void gather_done(struct gather *g)
{
	struct msg_batch m = {
		.accesses = g->accesses.v, .naccesses = g->accesses.n, .folds = g->folds.v, .nfolds = g->folds.n,
	};

	msg_batch_done(&m);
	buf_done(&g->out);
}

static void drains_answer(struct uplink *u);

/* Whether another look is worth it: what was gathered held nothing to send. */
static bool pump_once(struct uplink *u)
{
	struct gather g = { .u = u };
	bool again = false;
	int r;

	buf_init(&g.out, 2 * FRAME_BODY_MAX);
	r = spool_each(u->spool, gather_row, &g);
	if (r < 0 || g.r) {
		log_warn(r < 0 ? r : g.r, "cannot read the spool of reports");
		goto out;
	}
	if (!g.rows)
		goto out;
	if (g.accesses.n || g.folds.n) {
		const struct msg_batch m = {
			.seq = g.last, .accesses = g.accesses.v, .naccesses = g.accesses.n,
			.folds = g.folds.v, .nfolds = g.folds.n,
		};

		r = msg_put_batch(&g.out, &m);
	}
	if (!r && !g.out.len) {
		again = !spool_ack(u->spool, g.last);
		goto out;
	}
	if (r > 0)
		r = 0;
	if (!r) {
		u->inflight = g.last;
		u->inflight_at = uv_now(u->loop);
		if (connect_send(u, &g.out))
			u->inflight = 0;
	}
out:
	gather_done(&g);
	return again;
}

void report_pump(struct uplink *u)
{
	if (!connect_is_up(u) || u->closing)
		return;
	while (!u->inflight && connect_is_up(u) && pump_once(u))
		;
	drains_answer(u);
}

void report_ack(struct uplink *u, uint64_t seq)
{
	int r;

	if (!u->inflight || seq < u->inflight)
		return;
	r = spool_ack(u->spool, u->inflight);
	if (r) /* sent again after the next connection, which is harmless */
		log_warn(r, "cannot drop reports that were acknowledged");
	u->inflight = 0;
	if (!r)
		report_pump(u);
}

void report_broken(struct uplink *u)
{
	u->inflight = 0;
	u->ndrains = 0;
}

/* ---- what goes up without being kept ------------------------------------------------------------------- */

struct guard_list { struct node_guard *v; size_t n, cap; };

static int guard_one(void *arg, const struct node_guard *g)
{
	struct guard_list *l = arg;

	return l->n >= MSG_GUARDS_MAX || vec_push(l, *g) ? 1 : 0;
}

static void send_guards(struct uplink *u, bool always)
{
	struct guard_list l = { };
	auto_cleanup(buf_done) struct buf b = { };
	uint64_t h = 1;

	if (!u->ops->guards || !connect_is_up(u))
		return;
	(void)u->ops->guards(u->node, guard_one, &l);
	for (size_t i = 0; i < l.n; i++) {
		const struct node_guard *g = &l.v[i];

		h = hash_bytes(h, g->workload, strlen(g->workload));
		h = hash_bytes(h, g->iface, strlen(g->iface));
		h = hash_bytes(h ^ g->ifindex ^ (uint64_t)g->start_gap_ns, g->reason, strlen(g->reason));
		h = hash_bytes(h, g->hook, strlen(g->hook));
		h = hash_bytes(h, g->state, strlen(g->state));
	}
	if (always || h != u->guards_hash) {
		const struct msg_guards m = { l.v, l.n };

		buf_init(&b, 2 * FRAME_BODY_MAX);
		if (!msg_put_guards(&b, &m) && !connect_send(u, &b))
			u->guards_hash = h;
	}
	vec_done(&l);
}

static void send_counters(struct uplink *u)
{
	auto_cleanup(buf_done) struct buf b = { };
	struct cJSON *k = connect_is_up(u) && u->ops->counters ? u->ops->counters(u->node) : NULL;

	buf_init(&b, FRAME_BODY_MAX);
	if (k && !msg_put_counters(&b, k))
		(void)connect_send(u, &b); /* the next one comes in seconds */
	cJSON_Delete(k);
}

void report_welcome(struct uplink *u, bool other_controller)
{
	size_t it = 0, len;
	const void *key;
	void *v;

	u->inflight = 0;
	while (other_controller && htab_next(u->addresses, &it, &key, &len, &v)) {
		const struct kept_addrs *k = v;
		char name[400];
		char *slash;

		snprintf(name, sizeof(name), "%.*s", (int)len, (const char *)key);
		slash = strchr(name, '/');
		if (!slash)
			continue;
		*slash = 0;
		(void)put_addresses(u, name, slash + 1, k->v, k->n); /* full: found again at the next scan */
	}
	node_addrs_send(u, true);
	send_guards(u, true);
	send_counters(u);
	report_pump(u);
}

void report_tick(struct uplink *u)
{
	u->event_tokens = EVENTS_PER_S;
	if (!connect_is_up(u))
		return;
	if (u->inflight && uv_now(u->loop) - u->inflight_at > ACK_MS) {
		wire_conn_close(u->conn, -ETIMEDOUT, "reports are not acknowledged");
		return;
	}
	node_addrs_send(u, false);
	send_guards(u, false);
	if (u->ticks % COUNTERS_TICKS == 0)
		send_counters(u);
	report_pump(u);
}

/* ---- questions ------------------------------------------------------------------------------------------- */

struct flow_list { struct node_flow *v; size_t n, cap, max; };

static int flow_one(void *arg, const struct node_flow *fl)
{
	struct flow_list *l = arg;

	return l->n >= l->max || vec_push(l, *fl) ? 1 : 0;
}

static int send_answer(struct uplink *u, const struct msg_answer *m)
{
	auto_cleanup(buf_done) struct buf b = { };
	int r;

	buf_init(&b, 2 * FRAME_BODY_MAX);
	r = msg_put_answer(&b, m);
	return r ?: connect_send(u, &b);
}


/* Everything that had been counted when the question came is with the controller. */
static void drains_answer(struct uplink *u)
{
	struct spool_figures fig;

	spool_figures_get(u->spool, &fig);
	for (size_t i = u->ndrains; i-- > 0;) {
		const struct msg_answer m = { .id = u->drains[i].id };

		if (fig.rows && fig.taken < u->drains[i].upto)
			continue;
		u->drains[i] = u->drains[--u->ndrains];
		if (send_answer(u, &m))
			return; /* and with it the connection, and whoever asked */
	}
}

static int ask_drain(struct uplink *u, const struct msg_ask *ask)
{
	struct msg_answer m = { .id = ask->id };
	struct spool_figures fig;

	m.err = u->ops->drain ? u->ops->drain(u->node) : 0;
	if (!m.err && u->ndrains == ASKS_MAX)
		m.err = -EBUSY;
	if (m.err) {
		snprintf(m.note, sizeof(m.note), "%s", strerror(-m.err));
		return send_answer(u, &m);
	}
	/* What is put again later counts as taken when it goes, so this many cover all that wait now. */
	spool_figures_get(u->spool, &fig);
	u->drains[u->ndrains++] = (struct up_drain){ ask->id, fig.taken + fig.rows };
	report_pump(u);
	return 0;
}

int report_ask(struct uplink *u, const struct msg_ask *ask)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	struct flow_list l = { .max = ask->limit < MSG_FLOWS_MAX ? ask->limit : MSG_FLOWS_MAX };
	struct msg_answer m = { .id = ask->id };
	int r;

	switch (ask->what) {
	case ASK_DRAIN:
		return ask_drain(u, ask);
	case ASK_FLOWS:
		m.err = u->ops->flows ? u->ops->flows(u->node, flow_one, &l) : -ENOTSUP;
		m.err = m.err < 0 ? m.err : 0;
		m.flows = l.v;
		m.nflows = l.n;
		break;
	case ASK_ATTACH:
	case ASK_DETACH:
		m.err = apply_ask(u, ask, &f);
		break;
	default:
		m.err = -ENOTSUP;
	}
	if (m.err)
		snprintf(m.note, sizeof(m.note), "%s", f.n ? f.items[0].message : strerror(-m.err));
	r = send_answer(u, &m);
	vec_done(&l);
	return r;
}

void report_done(struct uplink *u)
{
	htab_free(u->addresses, free);
	spool_close(u->spool);
}
