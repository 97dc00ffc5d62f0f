/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "kube/apply.h"
#include "kube/client_priv.h"
#include "kube/lease_core.h"

#define LEASE_API "coordination.k8s.io/v1"
#define DURATION_MS 15000u
#define RENEW_MS 10000u
#define RETRY_MS 2000u
#define DURATION_MAX_S 3600u

struct kube_lease {
	struct kube_client *c;
	struct kube_lease_ops ops;
	void *arg;
	char *namespace_, *name, *identity;
	uint32_t retry_ms;
	uint64_t (*now)(void *arg);
	struct lease_core core;
	bool was_leading; /* what the owner was told */
	char leader[LEASE_ID_MAX];
	cJSON *obj;	  /* the object as last read: fields of others are kept */
	uint64_t begun_ms;
	int64_t last_us;  /* of renewTime */
	struct kube_call *call;
	uv_timer_t tick, deadline;
	unsigned open;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void read_lease(struct kube_lease *l);

static uint64_t now_ms(struct kube_lease *l)
{
	struct timespec t;

	if (l->now)
		return l->now(l->arg);
	clock_gettime(CLOCK_BOOTTIME, &t); /* time asleep counts: others were awake */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void on_tick(uv_timer_t *t);
static void on_deadline(uv_timer_t *t);

/* The next try, up to a fifth later than asked for, so that candidates do not march in step. */
static void wait_tick(struct kube_lease *l)
{
	uv_timer_start(&l->tick, on_tick, l->retry_ms + kube_random() % (l->retry_ms / 5 + 1), 0);
}

/* Tells the owner what changed. He may close us in any of these. */
static void tell(struct kube_lease *l)
{
	uint64_t left = lease_core_left(&l->core, now_ms(l));
	const char *holder = l->core.rec.there ? l->core.rec.holder : "";

	if (!left)
		l->core.leading = false;
	if (l->core.leading)
		uv_timer_start(&l->deadline, on_deadline, left, 0);
	else
		uv_timer_stop(&l->deadline);
	if (l->core.leading != l->was_leading) {
		l->was_leading = l->core.leading;
		if (l->was_leading)
			l->ops.started(l->arg);
		else
			l->ops.stopped(l->arg);
	}
	if (strcmp(l->leader, holder) && !l->closing) {
		snprintf(l->leader, sizeof(l->leader), "%s", holder);
		if (l->ops.leader)
			l->ops.leader(l->arg, l->leader);
	}
}

static void on_deadline(uv_timer_t *t)
{
	struct kube_lease *l = t->data;

	tell(l); /* stops leading, or waits on if the clock says that there is time */
	if (!l->core.leading && !l->closing) {
		/* The renewal under way has failed by now, whatever becomes of it. */
		kube_call_cancel(take_ptr(l->call));
		wait_tick(l);
	}
}

static void copy_text(char *to, size_t size, const char *s)
{
	snprintf(to, size, "%s", s ?: "");
}

/* False for what is no lease. */
static bool record_read(const struct kube_lease *l, const cJSON *o, struct lease_record *r)
{
	const cJSON *spec = json_get(o, "spec");
	int64_t v;

	if (!cJSON_IsObject(o) || !json_str(json_get(o, "metadata"), "resourceVersion"))
		return false;
	*r = (struct lease_record){ .there = true };
	copy_text(r->version, sizeof(r->version), json_str(json_get(o, "metadata"), "resourceVersion"));
	copy_text(r->holder, sizeof(r->holder), json_str(spec, "holderIdentity"));
	copy_text(r->renew_time, sizeof(r->renew_time), json_str(spec, "renewTime"));
	copy_text(r->acquire_time, sizeof(r->acquire_time), json_str(spec, "acquireTime"));
	v = json_i64(spec, "leaseDurationSeconds", 0);
	r->duration_s = v > 0 && v <= DURATION_MAX_S ? (uint32_t)v : (l->core.duration_ms + 999) / 1000;
	v = json_i64(spec, "leaseTransitions", 0);
	r->transitions = v > 0 && v < INT32_MAX ? (uint32_t)v : 0;
	return true;
}

static bool replace(cJSON *o, const char *key, cJSON *v)
{
	bool had = json_get(o, key) != NULL;

	if (v && (had ? cJSON_ReplaceItemInObjectCaseSensitive(o, key, v) : cJSON_AddItemToObject(o, key, v)))
		return true;
	cJSON_Delete(v);
	return false;
}

/* The object to write, from the one last read. */
static cJSON *record_write(const struct kube_lease *l, const struct lease_record *r)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = r->version[0] && l->obj ? cJSON_Duplicate(l->obj, true) : cJSON_CreateObject();
	cJSON *meta, *spec;

	if (!o || !replace(o, "apiVersion", cJSON_CreateString(LEASE_API)) ||
	    !replace(o, "kind", cJSON_CreateString("Lease")))
		return NULL;
	meta = cJSON_GetObjectItemCaseSensitive(o, "metadata");
	if (!meta && (!(meta = cJSON_AddObjectToObject(o, "metadata")) ||
		      !replace(meta, "name", cJSON_CreateString(l->name)) ||
		      !replace(meta, "namespace", cJSON_CreateString(l->namespace_))))
		return NULL;
	spec = cJSON_GetObjectItemCaseSensitive(o, "spec");
	if (!cJSON_IsObject(spec)) {
		if (!replace(o, "spec", cJSON_CreateObject()))
			return NULL;
		spec = cJSON_GetObjectItemCaseSensitive(o, "spec");
	}
	if (!replace(spec, "holderIdentity", cJSON_CreateString(r->holder)) ||
	    !replace(spec, "leaseDurationSeconds", cJSON_CreateNumber(r->duration_s)) ||
	    !replace(spec, "leaseTransitions", cJSON_CreateNumber(r->transitions)) ||
	    !replace(spec, "renewTime", cJSON_CreateString(r->renew_time)) ||
	    (r->acquire_time[0] && !replace(spec, "acquireTime", cJSON_CreateString(r->acquire_time))))
		return NULL;
	return take_ptr(o);
}

static void time_text(struct kube_lease *l, char out[40])
{
	struct timespec t;
	struct tm tm;
	int64_t us;
	size_t n;
	time_t s;

	clock_gettime(CLOCK_REALTIME, &t);
	us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
	/* Each write differs from the one before, even if the clock stands still or was put back. */
	if (us <= l->last_us)
		us = l->last_us + 1;
	l->last_us = us;
	s = (time_t)(us / 1000000);
	gmtime_r(&s, &tm);
	n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%06dZ", (int)(us % 1000000));
}

static void failed(struct kube_lease *l, int err, const char *text)
{
	if (l->ops.fault)
		l->ops.fault(l->arg, err, text);
	if (!l->closing)
		wait_tick(l);
}

static bool keep(struct kube_lease *l, const struct kube_reply *r, struct lease_record *rec)
{
	cJSON *o = record_read(l, r->obj, rec) ? cJSON_Duplicate(r->obj, true) : NULL;

	if (!o)
		return false;
	cJSON_Delete(l->obj);
	l->obj = o;
	return true;
}

static void wrote(void *arg, const struct kube_reply *r)
{
	struct kube_lease *l = arg;
	struct lease_record rec;

	l->call = NULL;
	if (r->err == -EBUSY || r->err == -EEXIST || r->err == -ENOENT) {
		/* Another was faster, or it was deleted: look. */
		read_lease(l);
		return;
	}
	if (r->err || !keep(l, r, &rec)) {
		failed(l, r->err ?: -EBADMSG, r->err ? r->a->text : "the answer is no lease");
		return;
	}
	lease_core_wrote(&l->core, &rec, l->begun_ms, now_ms(l));
	tell(l);
	if (!l->closing)
		wait_tick(l);
}

static struct kube_ref ref_of(const struct kube_lease *l)
{
	return (struct kube_ref){ .api = LEASE_API, .resource = "leases", .namespace_ = l->namespace_, .name = l->name };
}

static void write_lease(struct kube_lease *l, bool create)
{
	struct kube_write w = { .timeout_ms = l->core.renew_ms / 2 };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct kube_ref ref = ref_of(l);
	struct lease_record rec;
	char text[40];
	int r = -ENOMEM;

	time_text(l, text);
	rec = lease_core_record(&l->core, text);
	if (create)
		rec.version[0] = '\0';
	o = record_write(l, &rec);
	l->begun_ms = now_ms(l);
	if (o && create)
		r = kube_create(l->c, &ref, o, &w, wrote, l, &l->call);
	else if (o)
		r = kube_replace(l->c, &ref, o, &w, wrote, l, &l->call);
	if (r < 0)
		failed(l, r, strerror(-r));
}

static void was_read(void *arg, const struct kube_reply *r)
{
	struct kube_lease *l = arg;
	struct lease_record rec = {};
	enum lease_do next;

	l->call = NULL;
	if (r->err && r->err != -ENOENT) {
		failed(l, r->err, r->a->text);
		return;
	}
	if (!r->err && !keep(l, r, &rec)) {
		failed(l, -EBADMSG, "the answer is no lease");
		return;
	}
	lease_core_saw(&l->core, &rec, now_ms(l));
	tell(l);
	if (l->closing)
		return;
	next = lease_core_next(&l->core, now_ms(l));
	if (next == LEASE_WAIT)
		wait_tick(l);
	else
		write_lease(l, next == LEASE_CREATE);
}

static void read_lease(struct kube_lease *l)
{
	struct kube_ref ref = ref_of(l);
	int r = kube_get_within(l->c, &ref, l->core.renew_ms / 2, 0, was_read, l, &l->call);

	if (r < 0)
		failed(l, r, strerror(-r));
}

static void on_tick(uv_timer_t *t)
{
	struct kube_lease *l = t->data;

	if (l->call)
		return;
	if (l->core.leading)
		write_lease(l, false);
	else
		read_lease(l);
}

static char *dup_opt(const char *s, bool *ok)
{
	char *d = s ? strdup(s) : NULL;

	*ok = *ok && d;
	return d;
}

static void lease_free(struct kube_lease *l)
{
	void (*closed)(void *arg) = l->closed;
	void *arg = l->closed_arg;

	cJSON_Delete(l->obj);
	free(l->namespace_);
	free(l->name);
	free(l->identity);
	free(l);
	if (closed)
		closed(arg);
}

static void handle_closed(uv_handle_t *h)
{
	struct kube_lease *l = h->data;

	if (--l->open == 0)
		lease_free(l);
}

int kube_lease_new(struct kube_client *c, const struct kube_lease_spec *spec, const struct kube_lease_ops *ops,
		   void *arg, struct kube_lease **ret)
{
	struct kube_ref ref = { .api = LEASE_API, .resource = "leases", .namespace_ = spec->namespace_,
				.name = spec->name };
	auto_free char *path = NULL;
	struct kube_lease *l;
	bool ok = true;
	int r;

	if (!spec->namespace_ || !spec->name || !spec->identity || !*spec->identity ||
	    strlen(spec->identity) >= LEASE_ID_MAX || !ops->started || !ops->stopped)
		return -EINVAL;
	r = kube_path_make(&ref, &path); /* the names can be used */
	if (r < 0)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->c = c;
	l->ops = *ops;
	l->arg = arg;
	l->now = spec->now_ms;
	l->namespace_ = dup_opt(spec->namespace_, &ok);
	l->name = dup_opt(spec->name, &ok);
	l->identity = dup_opt(spec->identity, &ok);
	l->core.identity = l->identity;
	l->core.duration_ms = spec->duration_ms ?: DURATION_MS;
	l->core.renew_ms = spec->renew_ms ?: RENEW_MS;
	l->retry_ms = spec->retry_ms ?: RETRY_MS;
	if (!ok || l->core.duration_ms <= l->core.renew_ms || l->core.renew_ms <= l->retry_ms ||
	    l->core.duration_ms > DURATION_MAX_S * 1000) {
		lease_free(l);
		return ok ? -EINVAL : -ENOMEM;
	}
	(void)uv_timer_init(kube_client_loop(c), &l->tick); /* cannot fail */
	(void)uv_timer_init(kube_client_loop(c), &l->deadline);
	l->tick.data = l->deadline.data = l;
	l->open = 2;
	uv_timer_start(&l->tick, on_tick, 0, 0);
	*ret = l;
	return 0;
}

static void timers_close(struct kube_lease *l)
{
	uv_close((uv_handle_t *)&l->tick, handle_closed);
	uv_close((uv_handle_t *)&l->deadline, handle_closed);
}

static void released(void *arg, const struct kube_reply *r)
{
	struct kube_lease *l = arg;

	(void)r; /* best effort: else the others wait for its end */
	l->call = NULL;
	timers_close(l);
}

void kube_lease_close(struct kube_lease *l, void (*closed)(void *arg), void *arg)
{
	struct kube_write w = { .timeout_ms = l ? l->retry_ms : 0 };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct lease_record rec;
	struct kube_ref ref;

	if (!l) {
		if (closed)
			closed(arg);
		return;
	}
	if (l->closing)
		return;
	l->closing = true;
	l->closed = closed;
	l->closed_arg = arg;
	uv_timer_stop(&l->tick);
	uv_timer_stop(&l->deadline);
	kube_call_cancel(take_ptr(l->call));
	if (!l->was_leading) {
		timers_close(l);
		return;
	}
	l->was_leading = l->core.leading = false;
	l->ops.stopped(l->arg);
	rec = l->core.rec;
	rec.holder[0] = '\0';
	rec.duration_s = 1;
	o = record_write(l, &rec);
	ref = ref_of(l);
	if (!o || kube_replace(l->c, &ref, o, &w, released, l, &l->call) < 0)
		timers_close(l);
}

bool kube_lease_leading(const struct kube_lease *l)
{
	return l->was_leading;
}

const char *kube_lease_leader(const struct kube_lease *l)
{
	return l->leader;
}
