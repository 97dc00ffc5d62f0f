/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - an uplink against a controller's end that is played here: the real protocol over TLS on
 * the loopback of a network namespace of its own, and a node that only remembers what it was told.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/file.h"
#include "base/log.h"
#include "link/uplink.h"
#include "wire/ca.h"
#include "wire/conn.h"
#include "wire/records.h"

/* ---- the node --------------------------------------------------------------------------------- */

struct fake_node {
	int refuse;			/* errno of the next prepares */
	unsigned prepares, commits;
	enum policy_flows flows;
	uint64_t prepared, generation;
	size_t workloads, own_addrs, own_told;
	char node[64], attached[256], detached[256];
	int attach_err;
	unsigned attaches;
	const struct node_sink *sink;
	void *sink_arg;
	int (*on_drain)(struct fake_node *n);
};

static inline int fake_prepare(void *node, const struct policy_state *st, struct fail_list *f, struct node_receipt *ret)
{
	struct fake_node *n = node;

	n->prepares++;
	memset(ret, 0, sizeof(*ret));
	if (n->refuse)
		return fail_add(f, n->refuse, "policy.room", NULL, NULL, NULL, "no room for rule big");
	n->prepared = st->generation;
	n->workloads = st->nworkloads;
	snprintf(n->node, sizeof(n->node), "%s", st->node);
	n->own_addrs = n->own_told = 0;
	for (size_t i = 0; i < st->nnodes; i++)
		if (!strcmp(st->nodes[i].name, st->node)) {
			n->own_addrs = st->nodes[i].naddrs;
			n->own_told = st->nodes[i].ntold;
		}
	return 0;
}

static inline int fake_commit(void *node, enum policy_flows how, struct node_receipt *ret)
{
	struct fake_node *n = node;

	n->commits++;
	n->flows = how;
	n->generation = n->prepared;
	memset(ret, 0, sizeof(*ret));
	ret->applied = true;
	ret->after_us = 7;
	return 0;
}

static inline int fake_drain(void *node)
{
	struct fake_node *n = node;

	return n->on_drain ? n->on_drain(n) : 0;
}

static inline int fake_flows(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg)
{
	struct node_flow fl = { .proto = 6, .family = 4, .dport = 5432 };

	(void)node;
	snprintf(fl.src_ref, sizeof(fl.src_ref), "shop/pod/web-1");
	snprintf(fl.dst_ref, sizeof(fl.dst_ref), "shop/pod/db-1");
	return fn(arg, &fl) || fn(arg, &fl);
}

static inline int fake_guards(void *node, int (*fn)(void *arg, const struct node_guard *g), void *arg)
{
	struct node_guard g = { .hook = "tcx host", .state = "guarded", .start_gap_ns = -1 };

	(void)node;
	snprintf(g.workload, sizeof(g.workload), "shop/pod/web-1");
	return fn(arg, &g);
}

static inline int fake_attach(void *node, const struct workload *w, const char *netns, struct fail_list *f)
{
	struct fake_node *n = node;

	(void)f;
	n->attaches++;
	snprintf(n->attached, sizeof(n->attached), "%s/%s %s", w->ns, w->name, netns);
	return n->attach_err;
}

static inline int fake_detach(void *node, const char *ns, const char *name)
{
	struct fake_node *n = node;

	snprintf(n->detached, sizeof(n->detached), "%s/%s", ns, name);
	return 0;
}

static const struct node_ops fake_ops = {
	.prepare = fake_prepare, .commit = fake_commit, .drain = fake_drain, .flows = fake_flows,
	.guards = fake_guards, .workload_attach = fake_attach, .workload_detach = fake_detach,
};

/* ---- the controller's end --------------------------------------------------------------------------- */

struct peer {
	uv_loop_t loop;
	char dir[64];
	struct ca *ca;
	struct wire_keys *keys;
	uv_tcp_t *listener;
	uint16_t port;
	bool listening;
	struct wire_conn *conn;
	struct records *records;
	struct policy_state st;
	uint64_t instance;
	unsigned version_min, version_max;
	bool mute;			/* acknowledges nothing */
	bool half;			/* ends in the middle of a state */
	bool no_issue;
	struct msg_hello hello;
	struct msg_receipt receipt;
	struct msg_answer answer;
	unsigned hellos, receipts, batches, epochs, notes, addresses, guards, enrols, closes, answers, told;
	size_t told_n;
	uint64_t last_seq, accesses, flows_seen;
	bool epoch_before_ack;		/* an epoch's end came while something older was not acknowledged */
	uint64_t unacked;
	char told_list[MSG_ADDRS_MAX * 40];
	char note[512], token[256], why[256];
	uv_timer_t alarm;
	bool timed_out;

	struct fake_node node;
	struct uplink *up;
	bool up_closed;
};

static inline int64_t real_now_s(void)
{
	return (int64_t)time(NULL);
}

static inline void peer_send_state(struct peer *p, const struct msg_held *held)
{
	struct msg_held at = *held, to;
	struct wire_blobs l = { };
	bool snapshot, more = true;

	while (more) {
		assert_int_equal(records_since(p->records, &at, &l, &to, &snapshot), 0);
		for (size_t i = 0; i < l.n && !(p->half && i == l.n - 1); i++)
			assert_int_equal(wire_conn_send_blob(p->conn, l.v[i]), 0);
		more = l.n != 0 && !p->half;
		at = to;
		wire_blobs_done(&l);
	}
}

/* What the state is now, to whoever is connected. */
static inline void peer_commit(struct peer *p, enum policy_flows how)
{
	struct msg_held before = records_held(p->records);
	struct records_next *n = NULL;

	assert_int_equal(records_prepare(p->records, &p->st, NULL, &n), 0);
	records_commit(p->records, n, how);
	if (p->conn && p->hellos)
		peer_send_state(p, &before);
}

static inline void peer_ready(void *arg, struct wire_conn *c)
{
	(void)arg;
	if (wire_conn_peer(c)->role == WIRE_NODE)
		wire_conn_trust(c);
}

static inline int peer_hello(struct peer *p, struct wire_conn *c, const struct frame *fr)
{
	struct msg_welcome w = { .instance = p->instance, .ping_ms = 10000, .idle_ms = 30000 };
	struct msg_refuse no = { .code = "version", .text = "speaks another version" };
	struct buf b;

	assert_int_equal(msg_get_hello(fr, &p->hello), 0);
	p->hellos++;
	p->unacked = 0;
	buf_init(&b, 1 << 20);
	w.version = frame_version(p->hello.min, p->hello.max, p->version_min, p->version_max);
	snprintf(w.controller, sizeof(w.controller), "played");
	if (!w.version) {
		assert_int_equal(msg_put_refuse(&b, &no), 0);
		assert_int_equal(wire_conn_send_buf(c, &b), 0);
		return -EPROTO;
	}
	assert_int_equal(msg_put_welcome(&b, &w), 0);
	assert_int_equal(wire_conn_send_buf(c, &b), 0);
	peer_send_state(p, &p->hello.held);
	if (p->half)
		return -ECONNRESET;
	return 0;
}

static inline void peer_ack(struct peer *p, uint64_t seq)
{
	struct buf b;

	if (seq < p->last_seq && p->unacked)
		fail_msg("numbers go back");
	p->last_seq = seq;
	if (p->mute) {
		p->unacked++;
		return;
	}
	buf_init(&b, 1000);
	assert_int_equal(msg_put_ack(&b, seq), 0);
	assert_int_equal(wire_conn_send_buf(p->conn, &b), 0);
}

static inline int peer_enrol(struct peer *p, struct wire_conn *c, const struct frame *fr)
{
	struct cert_ask ask = { .name = { .role = WIRE_NODE }, .now_s = real_now_s(), .life_s = CERT_LIFE_S };
	struct msg_refuse no = { .code = "token", .text = "nobody knows it" };
	struct msg_enrol m;
	struct msg_cert out = { };
	struct buf b;

	p->enrols++;
	assert_int_equal(msg_get_enrol(fr, &m), 0);
	snprintf(p->token, sizeof(p->token), "%s", m.token);
	snprintf(ask.name.name, sizeof(ask.name.name), "%s", m.node);
	buf_init(&b, 1 << 20);
	if (p->no_issue) {
		assert_int_equal(msg_put_refuse(&b, &no), 0);
	} else {
		assert_int_equal(ca_issue(p->ca, &ask, m.csr, NULL, &out.cert), 0);
		assert_int_equal(msg_put_cert(&b, &out), 0);
	}
	assert_int_equal(wire_conn_send_buf(c, &b), 0);
	msg_cert_done(&out);
	msg_enrol_done(&m);
	return 0;
}

static inline int peer_frame(void *arg, struct wire_conn *c, const struct frame *fr)
{
	struct peer *p = arg;
	struct msg_epoch_done ed;
	struct msg_node_addresses na;
	struct msg_addresses ad;
	struct msg_batch batch;
	struct msg_note note;

	switch ((unsigned)fr->type) {
	case FRAME_ENROL:
		return peer_enrol(p, c, fr);
	case FRAME_HELLO:
		p->conn = c;
		return peer_hello(p, c, fr);
	case FRAME_RECEIPT:
		assert_int_equal(msg_get_receipt(fr, &p->receipt), 0);
		p->receipts++;
		break;
	case FRAME_BATCH:
		assert_int_equal(msg_get_batch(fr, &batch), 0);
		p->batches++;
		p->accesses += batch.naccesses;
		for (size_t i = 0; i < batch.naccesses; i++)
			p->flows_seen = batch.accesses[i].flows;
		peer_ack(p, batch.seq);
		msg_batch_done(&batch);
		break;
	case FRAME_EPOCH_DONE:
		assert_int_equal(msg_get_epoch_done(fr, &ed), 0);
		p->epochs++;
		p->epoch_before_ack |= p->unacked != 0;
		peer_ack(p, ed.seq);
		break;
	case FRAME_NOTE:
		assert_int_equal(msg_get_note(fr, &note), 0);
		p->notes++;
		snprintf(p->note, sizeof(p->note), "%s %s %s", note.reason, note.workload ?: "-", note.text);
		peer_ack(p, note.seq);
		msg_note_done(&note);
		break;
	case FRAME_ADDRESSES:
		assert_int_equal(msg_get_addresses(fr, &ad), 0);
		p->addresses++;
		peer_ack(p, ad.seq);
		msg_addresses_done(&ad);
		break;
	case FRAME_NODE_ADDRESSES:
		assert_int_equal(msg_get_node_addresses(fr, &na), 0);
		p->told++;
		p->told_list[0] = 0;
		for (size_t i = 0, at = 0; i < na.naddrs; i++) {
			char text[ADDR_STR_MAX];

			at += (size_t)snprintf(p->told_list + at, sizeof(p->told_list) - at, " %s", addr_str(&na.addrs[i], text));
		}
		p->told_n = na.naddrs;
		msg_node_addresses_done(&na);
		break;
	case FRAME_GUARDS:
		p->guards++;
		break;
	case FRAME_ANSWER:
		msg_answer_done(&p->answer);
		assert_int_equal(msg_get_answer(fr, &p->answer), 0);
		p->answers++;
		break;
	default:
		break;
	}
	return 0;
}

static inline void peer_closed(void *arg, struct wire_conn *c, int err, const char *why)
{
	struct peer *p = arg;

	(void)err;
	p->closes++;
	snprintf(p->why, sizeof(p->why), "%s", why);
	if (p->conn == c)
		p->conn = NULL;
}

static const struct wire_conn_ops peer_ops = { .ready = peer_ready, .frame = peer_frame, .closed = peer_closed };

static inline void peer_accept(uv_stream_t *s, int status)
{
	struct peer *p = s->data;
	const struct wire_conn_config cfg = { .loop = &p->loop, .keys = p->keys, .ops = &peer_ops, .arg = p };
	struct wire_conn *c;

	assert_int_equal(status, 0);
	assert_int_equal(wire_conn_accept(&cfg, s, &c), 0);
}

static inline void peer_listen(struct peer *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) }, .sin_port = htons(p->port) };
	int n = sizeof(at);

	p->listener = calloc(1, sizeof(*p->listener));
	uv_tcp_init(&p->loop, p->listener);
	p->listener->data = p;
	assert_int_equal(uv_tcp_bind(p->listener, (struct sockaddr *)&at, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)p->listener, 16, peer_accept), 0);
	assert_int_equal(uv_tcp_getsockname(p->listener, (struct sockaddr *)&at, &n), 0);
	p->port = ntohs(at.sin_port);
	p->listening = true;
}

static inline void listener_closed(uv_handle_t *h)
{
	free(h);
}

/* The controller goes away, connections and all. */
static inline void peer_away(struct peer *p)
{
	if (p->listening)
		uv_close((uv_handle_t *)p->listener, listener_closed);
	p->listening = false;
	if (p->conn)
		wire_conn_close(p->conn, -ECONNRESET, "gone");
}

static inline void on_alarm(uv_timer_t *t)
{
	((struct peer *)t->data)->timed_out = true;
}

/* Runs the loop until the condition holds; a test that waits for 10 s has failed. */
#define UNTIL(p, cond) do {							\
	(p)->timed_out = false;							\
	uv_timer_start(&(p)->alarm, on_alarm, 10000, 0);			\
	while (!(cond) && !(p)->timed_out)					\
		uv_run(&(p)->loop, UV_RUN_ONCE);				\
	uv_timer_stop(&(p)->alarm);						\
	if (!(cond))								\
		fail_msg("not reached: " #cond);				\
} while (0)

static inline void run_ms(struct peer *p, unsigned ms)
{
	p->timed_out = false;
	uv_timer_start(&p->alarm, on_alarm, ms, 0);
	while (!p->timed_out)
		uv_run(&p->loop, UV_RUN_ONCE);
}

/* ---- certificates and files ---------------------------------------------------------------------------- */

static inline char *path_of(struct peer *p, const char *name)
{
	static char out[4][128];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(out[i], sizeof(out[i]), "%s/%s", p->dir, name);
	return out[i];
}

static inline void cert_files(struct peer *p, struct ca *ca, const char *node, const char *name)
{
	struct cert_ask ask = { .name = { .role = WIRE_NODE }, .now_s = real_now_s(), .life_s = 3600 };
	char *key = NULL, *req = NULL, *cert = NULL, file[64];

	snprintf(ask.name.name, sizeof(ask.name.name), "%s", node);
	assert_int_equal(cert_key_new(&key), 0);
	assert_int_equal(cert_request_new(key, &req), 0);
	assert_int_equal(ca_issue(ca, &ask, req, NULL, &cert), 0);
	snprintf(file, sizeof(file), "%s.crt", name);
	assert_int_equal(write_file_atomic(path_of(p, file), cert, strlen(cert), 0644), 0);
	snprintf(file, sizeof(file), "%s.key", name);
	assert_int_equal(write_file_atomic(path_of(p, file), key, strlen(key), 0600), 0);
	cert_key_free(key);
	free(req);
	free(cert);
}

static inline struct wire_keys *server_keys(struct peer *p, bool nobody)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "here.example", "here.slow.example" };
	struct cert_ask ask = { .name = { .role = WIRE_CONTROLLER }, .hosts = hosts, .nhosts = 4, .now_s = real_now_s(), .life_s = 3600 };
	char *key = NULL, *req = NULL, *cert = NULL;
	struct wire_keys_source s = { .cert_name = "c", .key_name = "k", .ca_name = "a", .allow_nobody = nobody };
	struct wire_keys *k = NULL;

	assert_int_equal(cert_key_new(&key), 0);
	assert_int_equal(cert_request_new(key, &req), 0);
	assert_int_equal(ca_issue(p->ca, &ask, req, NULL, &cert), 0);
	s.cert = cert;
	s.cert_len = strlen(cert);
	s.key = key;
	s.key_len = strlen(key);
	s.ca = ca_cert(p->ca);
	s.ca_len = strlen(s.ca);
	assert_int_equal(wire_keys_new(&s, NULL, &k), 0);
	cert_key_free(key);
	free(req);
	free(cert);
	return k;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static inline void add_workload(struct peer *p, const char *ns, const char *name, const char *node)
{
	p->st.workloads = realloc(p->st.workloads, (p->st.nworkloads + 1) * sizeof(*p->st.workloads));
	p->st.workloads[p->st.nworkloads++] = (struct workload){
		.ns = strdup(ns), .name = strdup(name), .node = node ? strdup(node) : NULL,
	};
}

static inline int peer_setup(void **state)
{
	struct peer *p = calloc(1, sizeof(*p));

	log_set_level(LOG_L_ERR);
	signal(SIGPIPE, SIG_IGN);
	snprintf(p->dir, sizeof(p->dir), "/tmp/cw-link-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(uv_loop_init(&p->loop), 0);
	uv_timer_init(&p->loop, &p->alarm);
	p->alarm.data = p;
	p->instance = 77;
	p->version_min = WIRE_VERSION_MIN;
	p->version_max = WIRE_VERSION;
	assert_int_equal(ca_open(p->dir, true, real_now_s(), NULL, &p->ca), 0);
	p->keys = server_keys(p, true);
	cert_files(p, p->ca, "n1", "n1");
	assert_int_equal(records_new(9, 0, &p->records), 0);
	p->st.generation = 5;
	p->st.default_mode = CW_MODE_LEARN;
	p->st.default_action = CW_ACT_BLOCK;
	add_workload(p, "shop", "web-1", "n1");
	add_workload(p, "shop", "db-1", "n2");
	peer_commit(p, POLICY_CUT);
	peer_listen(p);
	*state = p;
	return 0;
}

struct up_opts { const char *cert, *token, *node; unsigned vmin, vmax; uint64_t spool; const char *ca; };

static inline int up_open(struct peer *p, const struct up_opts *o, struct fail_list *f)
{
	static const struct addr own[] = { { .b = { [10] = 0xff, 0xff, 10, 0, 0, 1 } } };
	char at[32], crt[32], key[32];
	const char *const list[] = { at };
	struct uplink_config c = {
		.node = o->node ?: "n1", .controllers = list, .ncontrollers = 1, .state_dir = path_of(p, "agent"),
		.ca = o->ca ?: path_of(p, "ca.crt"), .node_addrs = own, .nnode_addrs = 1, .version_min = o->vmin,
		.version_max = o->vmax, .spool_bytes = o->spool,
	};
	int r;

	snprintf(at, sizeof(at), "127.0.0.1:%u", p->port);
	snprintf(crt, sizeof(crt), "%s.crt", o->cert ?: "n1");
	snprintf(key, sizeof(key), "%s.key", o->cert ?: "n1");
	if (o->token) {
		c.token = path_of(p, o->token);
	} else {
		c.cert = path_of(p, crt);
		c.key = path_of(p, key);
	}
	memset(&p->node.generation, 0, sizeof(p->node.generation));
	r = uplink_new(&p->loop, &c, &fake_ops, &p->node, f, &p->up);
	if (r)
		return r;
	p->node.sink = uplink_sink();
	p->node.sink_arg = p->up;
	p->up_closed = false;
	return uplink_start(p->up, f);
}

static inline void on_up_closed(void *arg)
{
	struct peer *p = arg;

	p->up_closed = true;
	p->up = NULL;
}

/* The agent stops. */
static inline void up_close(struct peer *p)
{
	if (!p->up)
		return;
	uplink_close(p->up, on_up_closed, p);
	UNTIL(p, p->up_closed);
}

static inline struct uplink_status up_status(const struct peer *p)
{
	struct uplink_status s;

	uplink_status_get(p->up, &s);
	return s;
}

static inline bool is_connected(const struct peer *p)
{
	return !strcmp(up_status(p).state, "connected");
}

static inline void wipe(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[600];

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%.300s/%s", dir, e->d_name);
		if (unlink(path))
			wipe(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

static inline int peer_teardown(void **state)
{
	struct peer *p = *state;

	up_close(p);
	peer_away(p);
	uv_close((uv_handle_t *)&p->alarm, NULL);
	while (uv_run(&p->loop, UV_RUN_DEFAULT))
		;
	assert_int_equal(uv_loop_close(&p->loop), 0);
	msg_answer_done(&p->answer);
	records_free(p->records);
	policy_state_done(&p->st);
	wire_keys_unref(p->keys);
	ca_free(p->ca);
	wipe(p->dir);
	free(p);
	return 0;
}

/* Loopback of our own; where that is not allowed, the host's. */
static inline void own_loopback(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd;

	if (unshare(CLONE_NEWNET))
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_flags = IFF_UP;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		printf("# loopback is not up\n");
	close(fd);
}
