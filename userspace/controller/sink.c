/* SPDX-License-Identifier: Apache-2.0 */
/* sink.c - what the node reports. */
#define LOG_UNIT "controller"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"
#include "controller/priv.h"
#include "store/store_access.h"

#define GUARD_NOTE_NS (60 * 1000000000ll) /* the same guard reason of a workload is an event once a minute */

static int on_accesses(void *arg, const struct node_access *a, size_t n, const struct node_fold *folds, size_t nfolds)
{
	struct controller *c = arg;
	struct access_applied done;
	int e = store_access_commit(c->store, c->book, a, n, folds, nfolds, controller_now(c), &done);

	if (e) {
		c->store_errors++;
		return log_err(e, "cannot store accesses, the node keeps them; reason='%s'", store_error(c->store));
	}
	if (done.created && c->streams)
		stream_alerts_emit(c);
	return 0;
}

static int on_epoch_done(void *arg, uint64_t instance, uint32_t epoch)
{
	struct controller *c = arg;

	return store_access_epoch_done(c->store, c->book, instance, epoch, controller_now(c));
}

/* Room for new ones: what was quiet for a minute goes, and one more if none was. */
static void guards_forget(struct controller *c, int64_t now)
{
	size_t it = 0, len;
	const void *key;
	void *v;

	while (htab_next(c->guarded, &it, &key, &len, &v)) {
		struct guard_seen *g = v;

		if (now - g->last_ns >= GUARD_NOTE_NS || htab_count(c->guarded) >= GUARD_SEEN_MAX)
			free(htab_del(c->guarded, key, len));
	}
}

static void on_event(void *arg, const struct cw_event *ev, const struct node_flow *who, const struct cw_verdict *v)
{
	struct controller *c = arg;
	int64_t now = controller_now(c);
	struct guard_seen *g;
	char key[420];
	const char *ref = ev->side == CW_EGRESS ? who->src_ref : who->dst_ref;
	char a[ADDR_STR_MAX];
	int n;

	stream_flow_emit(c, ev, who, v);
	if (ev->type != CW_EV_GUARD)
		return;
	n = snprintf(key, sizeof(key), "%s %s", ref, cw_reason_str(ev->reason) ?: "");
	if (n <= 0 || (size_t)n >= sizeof(key))
		return;
	g = htab_get(c->guarded, key, (size_t)n);
	if (!g) {
		if (htab_count(c->guarded) >= GUARD_SEEN_MAX)
			guards_forget(c, now);
		g = calloc(1, sizeof(*g));
		if (!g || htab_set(c->guarded, key, (size_t)n, g, NULL)) {
			free(g);
			return;
		}
	}
	g->count++;
	g->last_ns = now;
	if (g->noted_ns && now - g->noted_ns < GUARD_NOTE_NS)
		return;
	g->noted_ns = now;
	controller_note(c, cw_reason_str(ev->reason) ?: "guard", ref, NULL, "%s -> %s, source %s%s", who->src_ref,
			who->dst_ref, addr_str(&who->src, a), ev->outcome == CW_OUT_DROP ? ", dropped" : "");
}

static void on_note(void *arg, const char *reason, const char *workload, const char *text)
{
	controller_note(arg, reason, workload, NULL, "%s", text);
}

static void on_addresses(void *arg, const char *ns, const char *name, const struct addr *a, size_t n)
{
	struct controller *c = arg;
	struct found *w = calloc(1, sizeof(*w)), **p;

	if (w) {
		w->ns = strdup(ns);
		w->name = strdup(name);
		w->addrs = reallocarray(NULL, n ? n : 1, sizeof(*a));
	}
	if (!w || !w->ns || !w->name || !w->addrs) {
		if (w) {
			free(w->ns);
			free(w->name);
			free(w->addrs);
			free(w);
		}
		log_err(-ENOMEM, "addresses of a workload are not taken over; workload='%s/%s'", ns, name);
		return;
	}
	if (n)
		memcpy(w->addrs, a, n * sizeof(*a));
	w->naddrs = n;
	for (p = &c->found; *p; p = &(*p)->next)
		;
	*p = w;
	controller_dirty(c);
}

static void on_node_addresses(void *arg, const struct addr *a, size_t n)
{
	int r = controller_node_addrs(arg, a, n);

	if (r < 0)
		log_err(r, "addresses of the node are not taken over");
}

static void on_peer_addresses(void *arg, const char *node, const struct addr *a, size_t n)
{
	int r = nodes_told(arg, node, a, n);

	if (r < 0)
		log_err(r, "addresses of a node are not taken over; node='%s'", node);
}

static int on_push(void *arg)
{
	return controller_flush(arg);
}

#define RECEIPTS_MAX 16384u

void sink_receipts_flush(struct controller *c)
{
	bool open = c->receipts.n && !store_begin(c->store, false);

	for (size_t i = 0; i < c->receipts.n; i++) {
		const struct node_receipt *r = &c->receipts.v[i];

		/* One that was refused is an answer to what is current, whatever the node keeps. */
		(void)store_receipt_put(c->store, r->applied ? r->generation : c->state.generation, r);
	}
	if (open && store_commit(c->store))
		c->store_errors++;
	c->receipts.n = 0;
}

/* Each change is answered by every node: written together, not with a wait for the disk each. */
static void on_receipt(void *arg, const struct node_receipt *r)
{
	struct controller *c = arg;

	if (!r->applied)
		controller_note(c, "node.refused", NULL, NULL, "node %s keeps generation %llu: %s", r->node,
				(unsigned long long)r->generation, r->note);
	if (vec_push(&c->receipts, *r) || c->receipts.n >= RECEIPTS_MAX)
		sink_receipts_flush(c);
}

const struct node_sink controller_node_sink = {
	.accesses = on_accesses,
	.epoch_done = on_epoch_done,
	.event = on_event,
	.note = on_note,
	.addresses = on_addresses,
	.receipt = on_receipt,
	.push = on_push,
	.node_addresses = on_node_addresses,
	.peer_addresses = on_peer_addresses,
};

static void found_free(struct found *f)
{
	free(f->ns);
	free(f->name);
	free(f->addrs);
	free(f);
}

void sink_found_free(struct controller *c)
{
	while (c->found) {
		struct found *f = c->found;

		c->found = f->next;
		found_free(f);
	}
}

bool sink_found_apply(struct controller *c)
{
	bool changed = false, open = c->found && !store_begin(c->store, false);

	/* One transaction for a burst; what is lost with the power is found again. */
	while (c->found) {
		struct found *f = c->found;
		struct workload *w = (struct workload *)controller_workload(c, f->ns, f->name);
		struct declared *d = controller_declared(c, f->ns, f->name);

		c->found = f->next;
		/* A pod's are as the API server says, which also knows when they end; until it says so, as found. */
		if (w && d->source == INVENTORY_KUBE && w->naddrs && !d->found)
			w = NULL;
		if (w)
			d->found = true;
		if (w && (w->naddrs != f->naddrs || (f->naddrs && memcmp(w->addrs, f->addrs, f->naddrs * sizeof(*f->addrs))))) {
			free(w->addrs);
			w->addrs = take_ptr(f->addrs);
			w->naddrs = f->naddrs;
			changed = true;
			if (access_book_workload_put(c->book, w))
				log_warn(-ENOMEM, "accesses of a workload may be filed under its pod; workload='%s/%s'",
					 w->ns, w->name);
			if (d && d->source == INVENTORY_API && store_workload_put(c->store, w, d->netns, controller_now(c)))
				c->store_errors++; /* found again after a restart */
		}
		found_free(f);
	}
	if (open && store_commit(c->store))
		c->store_errors++;
	if (changed) {
		c->dirty = true;
		c->judge_stale = true;
		c->shadow_stale = true;
	}
	return changed;
}
