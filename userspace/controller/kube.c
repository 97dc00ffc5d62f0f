/* SPDX-License-Identifier: Apache-2.0 */
/* kube.c - life of Kubernetes in the controller: what is listened to, when it counts, when it goes on. */
#define LOG_UNIT "kubernetes"
#include "controller/kube.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/kube_hook.h"
#include "controller/kube_priv.h"

#define MS_NS 1000000ll

bool kube_followed(const struct kube *k, enum cluster_kind kind)
{
	return (k->kinds & k->listed) >> kind & 1;
}

bool kube_writable(const struct kube *k, const struct kobj *o)
{
	return k->cfg.write_rules && (o->kind == CLUSTER_NAMESPACE || o->kind >= CLUSTER_ACCESS_RULE);
}

/* ---- timers -------------------------------------------------------------------------------------- */

static void flush(struct kube *k);

static void timer_cb(uv_timer_t *t)
{
	flush(t->data);
}

void kube_wake(struct kube *k)
{
	uint64_t ms = k->cost_ms;

	if (!k->ready || k->closing || uv_is_active((uv_handle_t *)&k->timer))
		return;
	/* A burst that takes long is not met by doing nothing else. */
	ms = ms < KUBE_FLUSH_MIN_MS ? KUBE_FLUSH_MIN_MS : ms > 1000 ? 1000 : ms;
	if (ms > KUBE_FLUSH_MAX_MS && k->cost_ms < 2 * KUBE_FLUSH_MAX_MS)
		ms = KUBE_FLUSH_MAX_MS;
	uv_timer_start(&k->timer, timer_cb, ms, 0);
}

static void pump_cb(uv_timer_t *t)
{
	struct kube *k = t->data;

	kube_pump(k);
	kube_status_pump(k);
}

void kube_pump_soon(struct kube *k)
{
	if (k->ready && !k->closing && !uv_is_active((uv_handle_t *)&k->pump))
		uv_timer_start(&k->pump, pump_cb, 1, 0);
}

/* ---- hand-over ------------------------------------------------------------------------------------- */

static void hand_over(struct kube *k)
{
	int e = cluster_changes(k->cluster, &kube_document_ops, k);

	e = e ?: kube_cidrs(k);
	if (e) { /* what was not taken comes again with the next flush */
		log_warn(e, "some changes of the cluster wait");
		kube_wake(k);
	}
}

static void flush(struct kube *k)
{
	struct controller *c = k->c;
	uint64_t from = uv_hrtime();
	int64_t now;

	if (k->closing || !k->ready)
		return;
	k->flushes++;
	hand_over(k);
	kube_settle(k);
	(void)controller_flush(c); /* refused: status says so, and the timer tries again */
	kube_pump_soon(k);
	k->cost_ms = (uv_hrtime() - from) / 1000000u;
	now = controller_now(c);
	if (k->first_ns) {
		k->lag_ns = (uint64_t)(now - k->first_ns);
		if (k->lag_ns > k->lag_max_ns)
			k->lag_max_ns = k->lag_ns;
	}
	k->first_ns = 0;
	k->flushed_ns = now;
	if (cluster_has_changes(k->cluster))
		kube_wake(k);
}

/* Everything was listed: from now on what is here is whole, and goes to the nodes. */
static void become_ready(struct kube *k)
{
	struct controller *c = k->c;
	struct cluster_counts n;

	if (k->ready || !k->kinds_known || (k->listed & k->kinds) != k->kinds)
		return;
	k->ready = true;
	k->ready_ns = controller_now(c);
	hand_over(k);
	if (kube_settle_all(k))
		log_warn(-ENOMEM, "what is only here is not compared with the API server");
	c->dirty = true;
	flush(k);
	cluster_counts(k->cluster, &n);
	controller_note(c, "kubernetes.synced", NULL, NULL, "%zu workloads, %zu namespaces, %zu nodes, %zu services",
			n.workloads, n.objects[CLUSTER_NAMESPACE], n.objects[CLUSTER_NODE], n.objects[CLUSTER_SERVICE]);
}

/* ---- what the port tells ------------------------------------------------------------------------------ */

static void event(struct kube *k)
{
	k->events++;
	if (!k->first_ns)
		k->first_ns = controller_now(k->c);
	kube_wake(k);
}

/* A kind that is served no more keeps what it brought: whoever removed it by mistake opens nothing. */
void kube_kinds(struct kube *k, uint32_t mask)
{
	uint32_t was = k->kinds;

	if (k->closing)
		return;
	k->kinds = mask;
	k->listed &= mask;
	k->lost &= mask;
	k->kinds_known = true;
	for (int i = 0; i < CLUSTER_KIND_COUNT && k->ready; i++)
		if ((was & ~mask) >> i & 1)
			controller_note(k->c, "kubernetes.lost", NULL, NULL,
					"%s is not served any more; what is in force of it stays", cluster_kind_str(i));
	become_ready(k);
}

void kube_begin(struct kube *k, enum cluster_kind kind)
{
	if (!k->closing)
		cluster_begin(k->cluster, kind);
}

void kube_object(struct kube *k, enum cluster_kind kind, const cJSON *obj)
{
	struct kobj *o;
	int e;

	if (k->closing)
		return;
	e = cluster_put(k->cluster, kind, obj, NULL);
	if (e == -ENOMEM)
		log_warn(e, "an object of the cluster waits for its next change");
	if (kind >= CLUSTER_ACCESS_RULE) {
		const cJSON *meta = json_get(obj, "metadata");
		const char *name = json_str(meta, "name");

		o = str_set(name) ? kube_obj_make(k, kind, json_str(meta, "namespace"), name) : NULL;
		if (o)
			kube_status_note(o, obj);
	}
	event(k);
}

void kube_gone(struct kube *k, enum cluster_kind kind, const cJSON *obj)
{
	if (k->closing)
		return;
	if (cluster_del(k->cluster, kind, obj) == -ENOMEM)
		log_warn(-ENOMEM, "an object of the cluster is taken for there until the next list");
	event(k);
}

void kube_skipped(struct kube *k, enum cluster_kind kind, const char *ns, const char *name, const char *why)
{
	if (k->closing)
		return;
	(void)cluster_skip(k->cluster, kind, ns, name, why); /* without a name there is nothing to keep it by */
	event(k);
}

void kube_end(struct kube *k, enum cluster_kind kind)
{
	bool again;

	if (k->closing)
		return;
	if (cluster_end(k->cluster, kind) == -ENOMEM)
		log_warn(-ENOMEM, "a list of the cluster is compared with the next one");
	again = k->ready && !(k->listed >> kind & 1);
	k->listed |= 1u << kind;
	if (again && kube_settle_all(k)) /* a kind that came after the start */
		log_warn(-ENOMEM, "what is only here is not compared with the API server");
	event(k);
	become_ready(k);
}

void kube_following(struct kube *k, enum cluster_kind kind, bool synced, const char *text)
{
	uint32_t was = k->lost;

	if (k->closing)
		return;
	k->lost = synced ? k->lost & ~(1u << kind) : k->lost | 1u << kind;
	if (!synced)
		(void)kube_text_set(&k->lost_why, text); /* only for people */
	if (synced && !k->lost)
		k->lost_ns = 0;
	if (!was && k->lost) {
		k->lost_ns = controller_now(k->c);
		controller_note(k->c, "kubernetes.lost", NULL, NULL, "%s; what is in force stays",
				text ? text : "the API server is away");
	} else if (was && !k->lost) {
		controller_note(k->c, "kubernetes.back", NULL, NULL, "all collections are followed again");
	}
}

void kube_unreachable(struct kube *k, const char *text)
{
	if (k->closing)
		return;
	if (!k->lost_why || !str_eq(k->lost_why, text))
		log_warn(0, "the API server does not answer, what is in force stays; reason='%s'", text ? text : "");
	if (kube_text_set(&k->lost_why, text))
		log_warn(-ENOMEM, "the reason is not kept");
	if (!k->lost_ns && !k->ready) /* later the watches tell */
		k->lost_ns = controller_now(k->c);
}

/* ---- what the pipeline asks ---------------------------------------------------------------------------- */

bool kube_may_push(const struct kube *k)
{
	return !k || k->ready;
}

int kube_may_change(const struct kube *k, const char *what, struct fail_list *f)
{
	if (kube_may_push(k))
		return 0;
	return fail_add(f, -EAGAIN, "kubernetes.not-synced", what, "a cluster whose objects are all read", "cellwall status",
			"the objects of the cluster are not all read yet%s%s", k->lost_why ? ": " : "",
			k->lost_why ? k->lost_why : "");
}

void kube_tick(struct kube *k)
{
	int64_t now;
	const void *key;
	size_t it = 0, len;
	void *v;

	if (!k || !k->ready || k->closing)
		return;
	now = controller_now(k->c);
	k->status_room = KUBE_STATUS_RATE;
	if (k->refused) {
		k->refused = false;
		while (htab_next(k->objs, &it, &key, &len, &v)) {
			struct kobj *o = v;

			if (!o->refused_ns)
				continue;
			k->refused = true;
			/* Room of a confirm window is there as soon as that is closed. */
			if (o->refused_ns <= now ||
			    (!k->c->window.generation && str_eq(o->refused_name, "change.window-open")))
				kube_todo(k, o);
		}
	}
	kube_pump_soon(k);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

void kube_free(struct kube *k)
{
	if (!k)
		return;
	cluster_free(k->cluster);
	htab_free(k->objs, kube_obj_free);
	htab_free(k->clashes, kube_clash_free);
	vec_done(&k->todo);
	vec_done(&k->rows);
	free(k->lost_why);
	free(k->status_error);
	free(k);
}

int controller_kube_new(struct controller *c, const struct controller_kube_config *cfg,
			const struct kube_port *ops, void *port, struct kube **ret)
{
	struct kube *k = calloc(1, sizeof(*k));
	uint64_t seed = 0;
	int e;

	if (!k)
		return -ENOMEM;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		free(k);
		return -EIO;
	}
	k->c = c;
	k->ops = ops;
	k->port = port;
	k->cfg = *cfg;
	k->cluster = cluster_new(seed);
	k->objs = htab_new();
	k->clashes = htab_new();
	e = k->cluster && k->objs && k->clashes ? 0 : -ENOMEM;
	e = e ?: kube_rows_load(k);
	if (e) {
		kube_free(k);
		return e;
	}
	uv_timer_init(c->loop, &k->timer);
	uv_timer_init(c->loop, &k->pump);
	k->timer.data = k->pump.data = k;
	c->state.label_modes = true;
	c->kube = k;
	*ret = k;
	return 0;
}

static void handle_closed(uv_handle_t *h)
{
	struct kube *k = h->data;

	if (!--k->handles)
		k->closed(k->closed_arg);
}

static void port_closed(void *arg)
{
	struct kube *k = arg;

	k->handles = 2;
	uv_close((uv_handle_t *)&k->timer, handle_closed);
	uv_close((uv_handle_t *)&k->pump, handle_closed);
}

void kube_close(struct kube *k, void (*closed)(void *arg), void *arg)
{
	if (!k) {
		closed(arg);
		return;
	}
	k->closing = true;
	k->closed = closed;
	k->closed_arg = arg;
	uv_timer_stop(&k->timer);
	uv_timer_stop(&k->pump);
	(void)kube_rows_save(k); /* told */
	k->ops->close(k->port, port_closed, k);
}
