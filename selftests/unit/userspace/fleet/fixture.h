/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h - a controller's end, three agents over real connections, and a sink that counts. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>

#include "fleet/fleet.h"
#include "selftests/unit/userspace/fleet/fake_agent.h"
#include "selftests/unit/userspace/wire/pki.h"
#include "selftests/unit/userspace/wire/world.h"
#include "wire/records.h"

#define AGENTS 3

struct local { unsigned prepares, commits, aborts; int prepare_err, commit_err; bool prepared; };

struct fixture {
	uv_loop_t loop;
	struct pki pki;
	struct fleet *fleet;
	struct wire_keys *keys;
	struct sockaddr_in at;
	struct fake_agent a[AGENTS];
	struct world w;
	struct local local;
	bool closed;
	/* What the sink got. */
	unsigned batches, epochs, notes, events, receipts, addresses;
	uint64_t flows_seen;
	int sink_err;
	char last_note[200];
	unsigned told;
	char last_told[400];
	struct fleet_enrol *enrol;
	char enrol_node[64], enrol_token[64];
};

/* ---- sink and local member ------------------------------------------------------------------- */

static inline int on_accesses(void *arg, const struct node_access *a, size_t n, const struct node_fold *folds, size_t nfolds)
{
	struct fixture *x = arg;

	(void)folds, (void)nfolds;
	if (x->sink_err)
		return x->sink_err;
	x->batches++;
	for (size_t i = 0; i < n; i++)
		x->flows_seen += a[i].flows;
	return 0;
}

static inline int on_epoch_done(void *arg, uint64_t instance, uint32_t epoch)
{
	(void)instance, (void)epoch;
	((struct fixture *)arg)->epochs++;
	return 0;
}

static inline void on_event(void *arg, const struct cw_event *ev, const struct node_flow *who, const struct cw_verdict *v)
{
	(void)ev, (void)who, (void)v;
	((struct fixture *)arg)->events++;
}

static inline void on_note(void *arg, const char *reason, const char *workload, const char *text)
{
	struct fixture *x = arg;

	x->notes++;
	(void)snprintf(x->last_note, sizeof(x->last_note), "%s %s %s", reason, workload ? workload : "-", text);
}

static inline void on_addresses(void *arg, const char *ns, const char *name, const struct addr *a, size_t n)
{
	(void)ns, (void)name, (void)a, (void)n;
	((struct fixture *)arg)->addresses++;
}

static inline void on_peer_addresses(void *arg, const char *node, const struct addr *a, size_t n)
{
	struct fixture *x = arg;
	char text[ADDR_STR_MAX];
	size_t at = (size_t)snprintf(x->last_told, sizeof(x->last_told), "%s", node);

	x->told++;
	for (size_t i = 0; i < n && at < sizeof(x->last_told); i++)
		at += (size_t)snprintf(x->last_told + at, sizeof(x->last_told) - at, " %s", addr_str(&a[i], text));
}

static inline void on_receipt(void *arg, const struct node_receipt *r)
{
	(void)r;
	((struct fixture *)arg)->receipts++;
}

static const struct node_sink sink = {
	.accesses = on_accesses, .epoch_done = on_epoch_done, .event = on_event, .note = on_note,
	.addresses = on_addresses, .receipt = on_receipt, .peer_addresses = on_peer_addresses,
};

static inline int local_prepare(void *node, const struct policy_state *next, struct fail_list *f, struct node_receipt *ret)
{
	struct local *l = node;

	(void)next, (void)f;
	l->prepares++;
	(void)snprintf(ret->note, sizeof(ret->note), "%s", l->prepare_err ? "no room" : "");
	l->prepared = !l->prepare_err;
	return l->prepare_err;
}

static inline int local_commit(void *node, enum policy_flows how, struct node_receipt *ret)
{
	struct local *l = node;

	(void)how;
	assert_true(l->prepared);
	l->commits++;
	l->prepared = false;
	ret->applied = !l->commit_err;
	return l->commit_err;
}

static inline void local_abort(void *node)
{
	((struct local *)node)->aborts++;
	((struct local *)node)->prepared = false;
}

static inline struct cJSON *local_counters(void *node)
{
	cJSON *o = cJSON_CreateObject();

	(void)node;
	cJSON_AddNumberToObject(o, "workloads", 5);
	cJSON_AddStringToObject(o, "hook", "tcx");
	return o;
}

static const struct node_ops local_ops = {
	.prepare = local_prepare, .commit = local_commit, .abort = local_abort, .counters = local_counters,
};

/* ---- fixture --------------------------------------------------------------------------------- */

static inline void spin_once(struct fixture *x)
{
	if (!uv_run(&x->loop, UV_RUN_NOWAIT))
		return;
	usleep(300);
	uv_update_time(&x->loop);
}

#define SPIN_UNTIL(x, cond) do {							\
	for (int n_ = 0; n_ < 10000 && !(cond); n_++)					\
		spin_once(x);								\
	assert_true(cond);								\
} while (0)

static inline void spin_ms(struct fixture *x, unsigned ms)
{
	uint64_t end;

	uv_update_time(&x->loop);
	end = uv_now(&x->loop) + ms;
	while (uv_now(&x->loop) < end)
		spin_once(x);
}

static inline void on_enrol(void *arg, struct fleet_enrol *e, const char *node, const char *token, const char *csr)
{
	struct fixture *x = arg;

	assert_non_null(strstr(csr, "CERTIFICATE REQUEST"));
	x->enrol = e;
	(void)snprintf(x->enrol_node, sizeof(x->enrol_node), "%s", node);
	(void)snprintf(x->enrol_token, sizeof(x->enrol_token), "%s", token);
}

static inline void fleet_up(struct fixture *x, struct fleet_config cfg, bool nobody)
{
	uint16_t port;

	cfg.name = "controller-1";
	assert_int_equal(fleet_new(&x->loop, &cfg, NULL, &x->fleet), 0);
	fleet_set_sink(x->fleet, &sink, x);
	x->keys = pki_keys(&x->pki, &x->pki, NULL, time(NULL), 3600, nobody);
	fleet_set_keys(x->fleet, x->keys);
	uv_ip4_addr("127.0.0.1", 0, &x->at);
	assert_int_equal(fleet_listen(x->fleet, (struct sockaddr *)&x->at, NULL, &port), 0);
	x->at.sin_port = htons(port);
	for (int i = 0; i < AGENTS; i++)
		x->a[i].to = x->at;
	x->closed = false;
}

static inline int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	uv_loop_init(&x->loop);
	pki_new(&x->pki);
	world_new(&x->w, 42);
	for (int i = 0; i < AGENTS; i++) {
		struct fake_agent *a = &x->a[i];

		(void)snprintf(a->name, sizeof(a->name), "node-%d", i);
		a->keys = pki_plain(&x->pki, a->name);
		a->instance = 100 + (unsigned)i;
		assert_int_equal(replica_new(&a->replica), 0);
	}
	*state = x;
	return 0;
}

static inline void on_fleet_closed(void *arg)
{
	*(bool *)arg = true;
}

static inline void fleet_down(struct fixture *x)
{
	fleet_close(x->fleet, on_fleet_closed, &x->closed);
	SPIN_UNTIL(x, x->closed);
	for (int i = 0; i < AGENTS; i++)
		SPIN_UNTIL(x, !x->a[i].conn);
	wire_keys_unref(x->keys);
	x->fleet = NULL;
}

static inline int teardown(void **state)
{
	struct fixture *x = *state;

	for (int i = 0; i < AGENTS; i++)
		if (x->a[i].conn)
			wire_conn_close(x->a[i].conn, 0, "end");
	if (x->fleet)
		fleet_down(x);
	uv_run(&x->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&x->loop), 0);
	for (int i = 0; i < AGENTS; i++) {
		wire_keys_unref(x->a[i].keys);
		replica_free(x->a[i].replica);
	}
	pki_done(&x->pki);
	world_done(&x->w);
	free(x);
	return 0;
}

static inline int push(struct fixture *x, enum policy_flows how)
{
	const struct node_ops *o = fleet_ops();
	struct node_receipt r;
	int e = o->prepare(x->fleet, &x->w.st, NULL, &r);

	return e ? e : o->commit(x->fleet, how, &r);
}

static inline void dial(struct fixture *x, int i)
{
	assert_int_equal(fake_dial(&x->a[i], &x->loop), 0);
}

struct find { const char *name; struct node_status *to; bool found; };

static inline int find_one(void *arg, const struct node_status *n)
{
	struct find *f = arg;

	if (strcmp(n->name, f->name))
		return 0;
	*f->to = *n;
	f->found = true;
	return 0;
}

static inline enum node_standing standing(struct fixture *x, const char *name)
{
	struct node_status s;
	struct find f = { .name = name, .to = &s };

	fleet_ops()->nodes(x->fleet, find_one, &f);
	return f.found ? s.standing : (enum node_standing)99;
}

static inline struct fleet_totals totals(struct fixture *x)
{
	struct fleet_totals t;

	fleet_totals(x->fleet, &t);
	return t;
}

/* The agent's state taken apart is the controller's. */
static inline void assert_same(struct fixture *x, struct fake_agent *a)
{
	struct policy_state mine;
	struct records *r[2];
	struct records_next *n;
	struct msg_held h[2];

	assert_int_equal(replica_state(a->replica, a->name, &mine), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(records_new(1, 0, &r[i]), 0);
		assert_int_equal(records_prepare(r[i], i ? &mine : &x->w.st, NULL, &n), 0);
		records_commit(r[i], n, POLICY_CUT);
		h[i] = records_held(r[i]);
		records_free(r[i]);
	}
	assert_int_equal(mine.generation, x->w.st.generation);
	assert_memory_equal(&h[0], &h[1], sizeof(h[0]));
	policy_state_done(&mine);
}
