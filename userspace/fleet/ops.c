/* SPDX-License-Identifier: Apache-2.0 */
/* ops.c - all nodes as one: struct node_ops for the controller. */
#include "fleet/priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

/* ---- state ----------------------------------------------------------------------------------- */

static void op_abort(void *node)
{
	struct fleet *fl = node;

	if (fl->local_prepared)
		fl->cfg.local->abort(fl->cfg.local_node);
	records_abort(fl->next);
	fl->next = NULL;
	fl->local_prepared = false;
}

/* The node that has least room left speaks for all. */
static void fullest(const struct fleet *fl, struct node_receipt *ret)
{
	const struct node_receipt *most = NULL;
	size_t it = 0, len;
	const void *k;
	void *v;

	while (htab_next(fl->members, &it, &k, &len, &v)) {
		const struct node_receipt *r = &((struct member *)v)->st.receipt;

		if (r->entries_max && (!most || (uint64_t)r->entries * most->entries_max > (uint64_t)most->entries * r->entries_max))
			most = r;
	}
	if (most) {
		*ret = *most;
		ret->note[0] = 0;
	}
}

static int op_prepare(void *node, const struct policy_state *next, struct fail_list *f, struct node_receipt *ret)
{
	struct fleet *fl = node;
	int r;

	op_abort(fl);
	*ret = (struct node_receipt){ .generation = records_generation(fl->records) };
	r = records_prepare(fl->records, next, f, &fl->next);
	if (r) {
		(void)snprintf(ret->node, sizeof(ret->node), "%s", fl->name);
		(void)snprintf(ret->note, sizeof(ret->note), "%s", f && f->n ? f->items[0].message : strerror(-r));
		return r;
	}
	if (!fl->cfg.local) {
		fullest(fl, ret);
		return 0;
	}
	r = fl->cfg.local->prepare(fl->cfg.local_node, next, f, ret);
	if (r < 0) {
		records_abort(fl->next);
		fl->next = NULL;
		return r;
	}
	fl->local_prepared = true;
	return 0;
}

static void count(const struct fleet *fl, uint32_t *ret_connected, uint32_t *ret_all)
{
	*ret_connected = 0;
	*ret_all = 0;
	{
		size_t it = 0, len;
		const void *k;
		void *v;

		while (htab_next(fl->members, &it, &k, &len, &v)) {
			(*ret_all)++;
			*ret_connected += ((struct member *)v)->peer != NULL;
		}
	}
}

static int op_commit(void *node, enum policy_flows how, struct node_receipt *ret)
{
	struct fleet *fl = node;
	uint64_t before = uv_hrtime();
	uint32_t connected, all;
	struct peer *next;
	int r = 0;

	if (!fl->next)
		return -EINVAL;
	*ret = (struct node_receipt){};
	/* The local member first: if it fails nobody else is given what the controller takes back. */
	if (fl->cfg.local) {
		r = fl->cfg.local->commit(fl->cfg.local_node, how, ret);
		fl->local_prepared = false;
		if (r < 0) {
			records_abort(fl->next);
			fl->next = NULL;
			return r;
		}
	}
	records_commit(fl->records, fl->next, how);
	fl->next = NULL;
	for (struct peer *p = fl->peers; p; p = next) {
		next = p->next;
		peer_sync(p);
	}
	if (fl->cfg.local) {
		if (!*ret->node)
			(void)snprintf(ret->node, sizeof(ret->node), "%s", fl->local_name);
		fl->local_receipt = *ret;
		fl->local_receipt.generation = records_generation(fl->records);
		fl->local_revision = records_held(fl->records).revision;
		return 0;
	}
	fullest(fl, ret);
	count(fl, &connected, &all);
	(void)snprintf(ret->node, sizeof(ret->node), "%s", fl->name);
	ret->applied = true;
	ret->generation = records_generation(fl->records);
	ret->after_us = (uint32_t)((uv_hrtime() - before) / 1000);
	ret->flows_cut = 0;
	(void)snprintf(ret->note, sizeof(ret->note), "handed to %u of %u nodes", connected, all);
	return 0;
}

/* ---- flows ----------------------------------------------------------------------------------- */

static void ask_flows(struct member *m, uint64_t now)
{
	struct msg_ask ask = { .what = ASK_FLOWS, .limit = MSG_FLOWS_MAX };

	if (m->flows_asked_ms && now - m->flows_asked_ms < FLOWS_FRESH_MS / 2)
		return;
	if (peer_ask(m->peer, &ask))
		return;
	m->flows.id = ask.id; /* what is kept stays until the answer is there */
	m->flows_asked_ms = now | 1;
}

/*
 * Of the nodes elsewhere what they said last; who has not been asked for a moment is asked now, and the
 * answer is there at the next call. The node's own socket answers at once.
 */
static int op_flows(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg)
{
	struct fleet *fl = node;
	uint64_t now = uv_now(fl->loop);
	size_t it = 0, len;
	const void *k;
	void *v;
	int r = fl->cfg.local && fl->cfg.local->flows ? fl->cfg.local->flows(fl->cfg.local_node, fn, arg) : 0;

	while (!r && htab_next(fl->members, &it, &k, &len, &v)) {
		struct member *m = v;
		const struct msg_answer a = m->flows;
		bool fresh = m->flows_ms && now - m->flows_ms < FLOWS_FRESH_MS * 5;

		if (!m->peer)
			continue;
		for (size_t i = 0; fresh && i < a.nflows && !r; i++)
			r = fn(arg, &a.flows[i]);
		if (!r && (!m->flows_ms || now - m->flows_ms >= FLOWS_FRESH_MS))
			ask_flows(m, now);
	}
	return r;
}

/* Nodes elsewhere count what a commit cuts in their receipts: before it nobody asks them. */
static int op_flows_cut(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg)
{
	struct fleet *fl = node;

	if (!fl->local_prepared || !fl->cfg.local->flows_cut)
		return 0;
	return fl->cfg.local->flows_cut(fl->cfg.local_node, fn, arg);
}

/* ---- what nodes said last -------------------------------------------------------------------- */

static int op_guards(void *node, int (*fn)(void *arg, const struct node_guard *g), void *arg)
{
	struct fleet *fl = node;
	size_t it = 0, len;
	const void *k;
	void *v;
	int r = fl->cfg.local && fl->cfg.local->guards ? fl->cfg.local->guards(fl->cfg.local_node, fn, arg) : 0;

	while (!r && htab_next(fl->members, &it, &k, &len, &v)) {
		const struct member *m = v;

		for (size_t i = 0; i < m->guards.n && !r; i++)
			r = fn(arg, &m->guards.v[i]);
	}
	return r;
}

static int op_drain(void *node)
{
	struct fleet *fl = node;
	int r = fl->cfg.local && fl->cfg.local->drain ? fl->cfg.local->drain(fl->cfg.local_node) : 0;

	for (struct peer *p = fl->peers, *next; p; p = next) {
		struct msg_ask ask = { .what = ASK_DRAIN };

		next = p->next;
		if (p->state == PEER_UP && !p->bye)
			(void)peer_ask(p, &ask); /* a connection that fails is drained when it is back */
	}
	return r;
}

/* Adds the numbers of one tree to another; words on which nodes differ become "mixed", and what is not true of
 * every node is not true. */
static void add_up(cJSON *to, const cJSON *from)
{
	const cJSON *x;

	cJSON_ArrayForEach(x, from) {
		cJSON *y = x->string ? cJSON_GetObjectItemCaseSensitive(to, x->string) : NULL;

		if (!x->string)
			continue;
		if (!y)
			(void)cJSON_AddItemToObject(to, x->string, cJSON_Duplicate(x, 1));
		else if (cJSON_IsObject(x) && cJSON_IsObject(y))
			add_up(y, x);
		else if (cJSON_IsNumber(x) && cJSON_IsNumber(y))
			cJSON_SetNumberValue(y, y->valuedouble + x->valuedouble);
		else if (!cJSON_Compare(x, y, 1))
			(void)cJSON_ReplaceItemInObjectCaseSensitive(to, x->string, cJSON_IsBool(x) ? cJSON_CreateFalse() :
								     cJSON_CreateString("mixed"));
	}
}

static cJSON *op_counters(void *node)
{
	struct fleet *fl = node;
	bool local = fl->cfg.local && fl->cfg.local->counters;
	cJSON *sum = local ? fl->cfg.local->counters(fl->cfg.local_node) : cJSON_CreateObject();
	uint32_t said = 0, dropped = 0;
	size_t it = 0, len;
	const void *k;
	void *v;

	while (sum && htab_next(fl->members, &it, &k, &len, &v)) {
		const struct member *m = v;

		dropped += m->events_dropped;
		if (!m->counters)
			continue;
		said++;
		add_up(sum, m->counters);
	}
	if (sum) {
		struct fleet_totals t;
		cJSON *o = cJSON_AddObjectToObject(sum, "fleet");

		fleet_totals(fl, &t);
		cJSON_AddNumberToObject(o, "nodes", t.nodes);
		cJSON_AddNumberToObject(o, "connected", t.connected);
		cJSON_AddNumberToObject(o, "current", t.current);
		cJSON_AddNumberToObject(o, "reporting", said);
		cJSON_AddNumberToObject(o, "records", (double)t.records);
		cJSON_AddNumberToObject(o, "snapshots", (double)t.snapshots);
		cJSON_AddNumberToObject(o, "deltas", (double)t.deltas);
		cJSON_AddNumberToObject(o, "eventsDropped", dropped);
		cJSON_AddNumberToObject(o, "rejected", (double)t.rejected);
		if (*t.last_rejected)
			cJSON_AddStringToObject(o, "lastRejected", t.last_rejected);
	}
	return sum;
}

/* ---- attaching ------------------------------------------------------------------------------- */

static bool is_local(const struct fleet *fl, const char *node)
{
	return fl->cfg.local && (!node || !*node || !strcmp(node, fl->local_name));
}

static int want_new(struct member *m, const struct workload *w, const char *netns, struct want **ret)
{
	struct want *x = calloc(1, sizeof(*x));
	char key[400];
	int n = snprintf(key, sizeof(key), "%s/%s", w->ns, w->name);

	if (!x || n <= 0 || (size_t)n >= sizeof(key))
		goto fail;
	x->ns = strdup(w->ns);
	x->name = strdup(w->name);
	x->netns = strdup(netns);
	if (!x->ns || !x->name || !x->netns || htab_set(m->wants, key, (size_t)n, x, NULL))
		goto fail;
	*ret = x;
	return 0;
fail:
	want_free(x);
	return -ENOMEM;
}

static int op_attach(void *node, const struct workload *w, const char *netns, struct fail_list *f)
{
	struct fleet *fl = node;
	struct member *m;
	struct want *x;
	int r;

	if (is_local(fl, w->node))
		return fl->cfg.local->workload_attach(fl->cfg.local_node, w, netns, f);
	if (!w->node || !*w->node || strlen(w->node) >= sizeof(m->name))
		return fail_add(f, -EINVAL, "workload.node", w->name, "the name of a node", NULL,
				"it is not said on which node %s/%s is", w->ns, w->name);
	m = member_get(fl, w->node, true);
	if (!m)
		return -ENOMEM;
	x = member_want(m, w->ns, w->name);
	if (x && strcmp(x->netns, netns)) {
		free(x->netns);
		x->netns = strdup(netns);
		x->attached = false;
		x->asked_ms = 0;
		if (!x->netns)
			x->netns = strdup("");
	}
	if (!x) {
		r = want_new(m, w, netns, &x);
		if (r)
			return r;
		if (!m->st.seen_ns)
			m->st.seen_ns = fleet_now(fl);
	}
	if (x->attached)
		return 0;
	member_ask_wants(m);
	/* The answer comes later; the caller asks again. */
	if (x->err)
		return fail_add(f, -EAGAIN, "workload.attach", w->name, NULL, NULL, "node %s: %s", m->name,
				*x->note ? x->note : strerror(-x->err));
	return fail_add(f, -EAGAIN, "workload.attach", w->name, NULL, "cellwall status",
			m->peer ? "node %s has been asked" : "node %s is not connected", m->name);
}

static int op_detach(void *node, const char *ns, const char *name)
{
	struct fleet *fl = node;
	struct msg_ask ask = { .what = ASK_DETACH };
	size_t it = 0, len;
	const void *k;
	void *v;
	char key[400];
	int n = snprintf(key, sizeof(key), "%s/%s", ns, name), r = -ENOENT;

	if (n <= 0 || (size_t)n >= sizeof(key))
		return -ENOENT;
	while (htab_next(fl->members, &it, &k, &len, &v)) {
		struct member *m = v;
		struct want *w = htab_del(m->wants, key, (size_t)n);

		if (!w)
			continue;
		want_free(w);
		(void)snprintf(ask.ns, sizeof(ask.ns), "%s", ns);
		(void)snprintf(ask.name, sizeof(ask.name), "%s", name);
		/* A node that is away finds the workload gone from the state when it is back. */
		if (m->peer)
			(void)peer_ask(m->peer, &ask);
		r = 0;
	}
	if (r && fl->cfg.local && fl->cfg.local->workload_detach)
		return fl->cfg.local->workload_detach(fl->cfg.local_node, ns, name);
	return r;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

const char *node_standing_str(enum node_standing s)
{
	static const char *const words[] = {
		[NODE_CURRENT] = "current", [NODE_BEHIND] = "behind", [NODE_REFUSED] = "refused", [NODE_LOST] = "lost",
	};

	return (unsigned)s < ARRAY_SIZE(words) ? words[s] : NULL;
}

static void local_status(const struct fleet *fl, struct node_status *ret)
{
	*ret = (struct node_status){
		.local = true, .standing = fl->local_receipt.applied ? NODE_CURRENT : NODE_BEHIND, .software = CW_VERSION,
		.revision = fl->local_revision, .generation = fl->local_receipt.generation, .receipt = fl->local_receipt,
		.connected_ns = fleet_now(fl), .seen_ns = fleet_now(fl),
	};
	(void)snprintf(ret->name, sizeof(ret->name), "%s", fl->local_name);
	if (!fl->local_receipt.applied)
		(void)snprintf(ret->reason, sizeof(ret->reason), "nothing has been put in force yet");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct node_status *)a)->name, ((const struct node_status *)b)->name);
}

int fleet_nodes(const struct fleet *fl, int (*fn)(void *arg, const struct node_status *n), void *arg)
{
	size_t n = htab_count(fl->members) + 1, have = 0, it = 0, len;
	auto_free struct node_status *all = calloc(n, sizeof(*all));
	const void *k;
	void *v;
	int r = 0;

	if (!all)
		return -ENOMEM;
	if (fl->cfg.local)
		local_status(fl, &all[have++]);
	while (have < n && htab_next(fl->members, &it, &k, &len, &v))
		member_status(v, &all[have++]);
	qsort(all, have, sizeof(*all), by_name);
	for (size_t i = 0; i < have && !r; i++)
		r = fn(arg, &all[i]);
	return r;
}

static int op_nodes(void *node, int (*fn)(void *arg, const struct node_status *n), void *arg)
{
	return fleet_nodes(node, fn, arg);
}

void fleet_totals(const struct fleet *fl, struct fleet_totals *ret)
{
	const struct msg_held now = records_held(fl->records);
	struct fleet_totals t = {
		.revision = now.revision, .records = now.count, .snapshots = fl->snapshots, .deltas = fl->deltas,
		.rejected = fl->rejected,
	};
	size_t it = 0, len;
	const void *k;
	void *v;

	(void)snprintf(t.last_rejected, sizeof(t.last_rejected), "%s", fl->last_rejected);
	if (fl->cfg.local) {
		t.nodes = t.connected = 1;
		t.current = fl->local_receipt.applied;
		t.behind = !t.current;
	}
	while (htab_next(fl->members, &it, &k, &len, &v)) {
		struct node_status s;

		member_status(v, &s);
		t.nodes++;
		t.connected += ((struct member *)v)->peer != NULL;
		t.current += s.standing == NODE_CURRENT;
		t.behind += s.standing == NODE_BEHIND;
		t.refused += s.standing == NODE_REFUSED;
		t.lost += s.standing == NODE_LOST;
	}
	*ret = t;
}

static const struct node_ops ops = {
	.prepare = op_prepare, .commit = op_commit, .abort = op_abort, .flows = op_flows, .flows_cut = op_flows_cut,
	.guards = op_guards, .drain = op_drain, .counters = op_counters, .workload_attach = op_attach,
	.workload_detach = op_detach, .nodes = op_nodes,
};

const struct node_ops *fleet_ops(void)
{
	return &ops;
}
