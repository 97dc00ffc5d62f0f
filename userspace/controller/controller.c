/* SPDX-License-Identifier: Apache-2.0 */
/* controller.c - life of the controller: load, start, timers, close. */
#include "controller/controller.h"

#define LOG_UNIT "controller"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"
#include "controller/change.h"
#include "controller/inventory.h"
#include "controller/judge.h"
#include "controller/kube_hook.h"
#include "controller/services.h"
#include "controller/shadow.h"
#include "flow/ready.h"
#include "store/store_access.h"

#define TICK_MS 1000u

int64_t controller_now(const struct controller *c)
{
	struct timespec ts;

	if (c->clock)
		return c->clock(c->clock_arg);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

void controller_who(const struct http_request *rq, char out[64])
{
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (!rq->has_peer)
		snprintf(out, 64, "unknown");
	else if (!getpwuid_r(rq->uid, &pw, buf, sizeof(buf), &found) && found)
		snprintf(out, 64, "%s", pw.pw_name);
	else
		snprintf(out, 64, "uid %lu", (unsigned long)rq->uid);
}

int controller_authorize(void *arg, const struct http_request *rq, struct fail_list *f)
{
	const struct controller *c = arg;
	char who[64];

	if (!rq->route || !(rq->route->flags & HTTP_R_WRITE))
		return 0;
	if (rq->has_peer) {
		if (rq->uid == 0 || rq->uid == geteuid())
			return 0;
		for (size_t i = 0; i < c->nwrite_uids; i++)
			if (c->write_uids[i] == rq->uid)
				return 0;
		for (size_t i = 0; i < c->nwrite_gids; i++)
			if (c->write_gids[i] == rq->gid)
				return 0;
	}
	controller_who(rq, who);
	return fail_add(f, -EACCES, "server.forbidden", rq->path, "root, or a user or group listed in api.writers",
			"ask an administrator", "%s may not change anything", who);
}

void controller_note(struct controller *c, const char *reason, const char *workload, const char *who,
		     const char *fmt, ...)
{
	char text[1024];
	int64_t now = controller_now(c);
	cJSON *o;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (who) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n, " (by %s)", who);
	}
	if (store_event_add(c->store, now, reason, workload, text))
		c->store_errors++;
	if (!c->streams)
		return;
	o = cJSON_CreateObject();
	put_time(o, "time", now);
	put_str(o, "reason", reason);
	put_str_null(o, "ref", workload);
	put_str(o, "text", text);
	stream_events_emit(c, o, reason, workload);
	cJSON_Delete(o);
}

struct declared *controller_declared(const struct controller *c, const char *ns, const char *name)
{
	char key[512];
	int n = snprintf(key, sizeof(key), "%s/%s", ns, name);

	return htab_get(c->declared, key, (size_t)n);
}

uint64_t controller_loss(const struct controller *c, const char *ns)
{
	struct access_fold sum = {};

	access_book_loss(c->book, ns, &sum);
	return sum.sum.lost + sum.sum.folded_flows + sum.refused;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void push_cb(uv_timer_t *t)
{
	(void)controller_flush(t->data); /* a refusal is shown by status and tried again */
}

void controller_dirty(struct controller *c)
{
	c->dirty = true;
	c->judge_stale = true;
	c->shadow_stale = true;
	if (c->started && !c->closing && !uv_is_active((uv_handle_t *)&c->push))
		uv_timer_start(&c->push, push_cb, PUSH_DELAY_MS, 0);
}

int controller_flush(struct controller *c)
{
	sink_found_apply(c);
	if (!c->dirty || !c->started)
		return 0;
	return change_push(c, NULL);
}

void controller_attach_pending(struct controller *c)
{
	for (size_t i = 0; c->netns_declared && i < c->state.nworkloads; i++) {
		const struct workload *w = &c->state.workloads[i];
		struct declared *d = controller_declared(c, w->ns, w->name);
		auto_cleanup(fail_list_done) struct fail_list f = {};

		if (!d || d->attached || !d->netns || !c->ops->workload_attach)
			continue;
		d->attached = c->ops->workload_attach(c->node, w, d->netns, &f) >= 0;
	}
}

void controller_tick(struct controller *c)
{
	int64_t now = controller_now(c);

	if (c->closing)
		return;
	if (c->window.generation && c->window.until_ns <= now)
		change_window_expire(c);
	quarantine_expire(c);
	kube_tick(c->kube);
	nodes_tick(c);
	sink_receipts_flush(c);
	controller_attach_pending(c);
	if (access_book_tick(c->book, now) || store_access_flush(c->store, c->book))
		c->store_errors++; /* marks are kept: written with the next drain or tick */
	hours_update(c);
	stream_alerts_emit(c);
	if (!c->in_sync)
		c->dirty = true;
	(void)controller_flush(c); /* a refusal is shown by status and tried again */
	shadow_tick(c);
}

static void tick_cb(uv_timer_t *t)
{
	controller_tick(t->data);
}

/* ---- life -------------------------------------------------------------------------------------- */

static int load_workload(void *arg, const struct workload *w, const char *netns)
{
	struct controller *c = arg;
	struct workload copy = {};
	int e = workload_copy(w, &copy);

	e = e ?: inventory_declare(c, w->ns, w->name, netns, INVENTORY_API);
	e = e ?: state_workload_add(&c->state, &copy);
	if (!e)
		controller_declared(c, w->ns, w->name)->at = c->state.nworkloads - 1;
	e = e ?: access_book_workload_put(c->book, w);
	workload_done(&copy);
	return e;
}

static int load_namespace(void *arg, const struct namespace *n)
{
	struct controller *c = arg;
	struct namespace copy = {};
	int e = namespace_copy(n, &copy);

	e = e ?: inventory_declare(c, n->name, "", NULL, INVENTORY_API);
	e = e ?: state_namespace_add(&c->state, &copy);
	if (!e)
		controller_declared(c, n->name, "")->at = c->state.nnamespaces - 1;
	namespace_done(&copy);
	return e;
}

static int state_config(struct controller *c, const struct controller_config *cfg)
{
	struct policy_state *st = &c->state;
	struct node_info *n;

	st->default_mode = cfg->default_mode;
	st->default_action = cfg->default_action ?: CW_ACT_BLOCK;
	st->enforce_always = cfg->enforce_always;
	st->local_node = cfg->local_node;
	st->node = strdup(cfg->node);
	n = calloc(1, sizeof(*n));
	if (!st->node || !n) {
		free(n);
		return -ENOMEM;
	}
	st->nodes = n;
	st->nnodes = 1;
	n->name = strdup(cfg->node);
	if (!n->name)
		return -ENOMEM;
#define COPY_ARRAY(to, nto, from, n_) do {						\
	if (n_) {									\
		(to) = reallocarray(NULL, (n_), sizeof(*(from)));			\
		if (!(to))								\
			return -ENOMEM;							\
		memcpy((to), (from), (n_) * sizeof(*(from)));				\
		(nto) = (n_);								\
	}										\
} while (0)
	COPY_ARRAY(n->addrs, n->naddrs, cfg->node_addrs, cfg->nnode_addrs);
	COPY_ARRAY(c->own_found, c->nown_found, cfg->node_addrs, cfg->nnode_addrs);
	COPY_ARRAY(st->cluster_cidrs, st->ncluster_cidrs, cfg->cluster_cidrs, cfg->ncluster_cidrs);
	COPY_ARRAY(c->write_uids, c->nwrite_uids, cfg->write_uids, cfg->nwrite_uids);
	COPY_ARRAY(c->write_gids, c->nwrite_gids, cfg->write_gids, cfg->nwrite_gids);
#undef COPY_ARRAY
	if (cfg->nignore_labels) {
		st->ignore_labels = calloc(cfg->nignore_labels, sizeof(char *));
		if (!st->ignore_labels)
			return -ENOMEM;
		for (size_t i = 0; i < cfg->nignore_labels; i++) {
			st->ignore_labels[i] = strdup(cfg->ignore_labels[i]);
			if (!st->ignore_labels[i])
				return -ENOMEM;
			st->nignore_labels = i + 1;
		}
	}
	return 0;
}

static int load(struct controller *c, const struct controller_config *cfg, struct fail_list *f)
{
	const struct access_config ac = {
		.fold_cidrs = cfg->fold_cidrs, .nfold_cidrs = cfg->nfold_cidrs,
		.ignore_labels = cfg->ignore_labels, .nignore_labels = cfg->nignore_labels,
		.scan_ports = cfg->scan_ports, .scan_peers = cfg->scan_peers,
		.scan_window_ns = (int64_t)cfg->scan_window_s * 1000000000ll,
	};
	int e;

	e = store_open(cfg->store_path, controller_now(c), f, &c->store);
	if (e)
		return e;
	store_keep_generations(c->store, cfg->generations ?: 100);
	e = store_state_load(c->store, 0, &c->state);
	e = e == -ENOENT ? 0 : e; /* a new store: generation 0 */
	e = e ?: state_config(c, cfg);
	e = e ?: access_book_new(&ac, &c->book);
	e = e ?: store_access_load(c->store, c->book);
	e = e ?: nodes_load(c);
	e = e ?: store_namespace_each(c->store, load_namespace, c);
	e = e ?: store_workload_each(c->store, load_workload, c);
	e = e ?: services_load(c);
	if (!e && store_moved(c->store))
		e = store_hold_set(c->store, controller_now(c));
	e = e ?: store_hold_get(c->store, &c->held_ns);
	e = e ?: hours_load(c);
	e = e ?: change_window_restore(c);
	e = e ?: shadow_restore(c);
	if (e && f && !f->n)
		fail_add(f, e, "server.store", cfg->store_path, "a readable store", "restore it from a backup",
			 "the store cannot be loaded: %s", store_error(c->store) ?: strerror(-e));
	return e;
}

static void declared_free(void *p)
{
	struct declared *d = p;

	free(d->netns);
	free(d);
}

static void controller_free(struct controller *c)
{
	kube_free(c->kube);
	judge_free(c->judge);
	shadow_free(c->shadow);
	access_book_free(c->book);
	if (c->store)
		sink_receipts_flush(c);
	vec_done(&c->receipts);
	if (c->store)
		store_close(c->store);
	policy_state_done(&c->state);
	htab_free(c->declared, declared_free);
	htab_free(c->nodes, free);
	htab_free(c->guarded, free);
	htab_free(c->alert_counts, NULL);
	hours_free(c);
	sink_found_free(c);
	free(c->sync_error);
	free(c->routes);
	free(c->write_uids);
	free(c->write_gids);
	free(c->own_found);
	free(c->own_known);
	free(c->cluster);
	free(c->node_name);
	free(c->inventory_path);
	free(c);
}

int controller_new(uv_loop_t *loop, const struct controller_config *cfg, const struct node_ops *ops,
		   void *node, struct fail_list *f, struct controller **ret)
{
	struct controller *c;
	int e;

	if (!str_set(cfg->node) || !str_set(cfg->store_path))
		return fail_add(f, -EINVAL, "config.missing", "node, store", "both", NULL,
				"the controller needs a node name and a store");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->ops = ops;
	c->node = node;
	c->clock = cfg->now;
	c->clock_arg = cfg->now_arg;
	c->config_json = cfg->config_json;
	c->config_arg = cfg->config_arg;
	c->cluster = strdup(str_set(cfg->cluster) ? cfg->cluster : "local");
	c->node_name = strdup(cfg->node);
	c->inventory_path = str_set(cfg->inventory_path) ? strdup(cfg->inventory_path) : NULL;
	c->declared = htab_new();
	c->nodes = htab_new();
	c->hours = htab_new();
	c->guarded = htab_new();
	c->alert_counts = htab_new();
	e = c->cluster && c->node_name && c->declared && c->nodes && c->hours && c->guarded && c->alert_counts &&
	    (c->inventory_path || !str_set(cfg->inventory_path)) ? 0 : -ENOMEM;
	e = e ?: load(c, cfg, f);
	if (e) {
		controller_free(c);
		return e;
	}
	c->started_ns = controller_now(c);
	c->dirty = true;
	uv_timer_init(loop, &c->tick);
	uv_timer_init(loop, &c->push);
	uv_timer_init(loop, &c->watch_delay);
	uv_fs_event_init(loop, &c->watch);
	c->tick.data = c->push.data = c->watch_delay.data = c->watch.data = c;
	c->open_handles = 4;
	*ret = c;
	return 0;
}

const struct node_sink *controller_sink(struct controller *c)
{
	(void)c;
	return &controller_node_sink;
}

int controller_start(struct controller *c, struct fail_list *f)
{
	int e;

	c->started = true;
	uv_timer_start(&c->tick, tick_cb, TICK_MS, TICK_MS);
	if (store_moved(c->store))
		controller_note(c, "store.moved", NULL, NULL, "the store was damaged and is kept as %s; a new one was begun",
				store_moved(c->store));
	if (c->held_ns)
		controller_note(c, "store.damaged", NULL, NULL,
				"enforcement is left as it was; restore the store or apply the rules again");
	if (c->inventory_path)
		inventory_watch(c);
	/* What should have been reverted while nobody was there is never put in force again. */
	if (c->window.generation && c->window.until_ns <= controller_now(c))
		change_window_expire(c);
	quarantine_expire(c);
	e = c->dirty ? change_push(c, f) : 0;
	controller_attach_pending(c);
	hours_update(c);
	controller_note(c, "daemon.started", NULL, NULL, "generation %llu, %zu workloads, %zu rules",
			(unsigned long long)c->state.generation, c->state.nworkloads, c->state.nrules);
	return e;
}

static void handle_closed(uv_handle_t *h)
{
	struct controller *c = h->data;
	void (*done)(void *arg) = c->closed;
	void *arg = c->closed_arg;

	if (--c->open_handles)
		return;
	controller_free(c);
	if (done)
		done(arg);
}

static void kube_closed(void *arg)
{
	struct controller *c = arg;

	uv_close((uv_handle_t *)&c->tick, handle_closed);
	uv_close((uv_handle_t *)&c->push, handle_closed);
	uv_close((uv_handle_t *)&c->watch_delay, handle_closed);
	uv_close((uv_handle_t *)&c->watch, handle_closed);
}

void controller_close(struct controller *c, void (*done)(void *arg), void *arg)
{
	if (!c || c->closing)
		return;
	c->closing = true;
	c->closed = done;
	c->closed_arg = arg;
	uv_timer_stop(&c->tick);
	uv_timer_stop(&c->push);
	stream_end_all(c);
	if (store_access_flush(c->store, c->book))
		log_err(-EIO, "cannot write the last accesses; they are counted again from the kernel");
	if (hours_close(c))
		log_warn(-EIO, "the figures of the last hour begin anew with the next start");
	kube_close(c->kube, kube_closed, c);
}
