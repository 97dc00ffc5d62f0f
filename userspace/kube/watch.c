/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call at a time: a page of a list, or a watch; between them, after a failure, a timer. Where
 * the next list begins: at any version the server has in memory ("0") the first time, not before
 * what we know after that, and at the truth in its store ("") once it said that it forgot ours.
 */
#include "kube/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "kube/client_priv.h"
#include "kube/json_items.h"

#define WATCH_MIN_S 300u
#define STALL_MS 180000u
#define BACKOFF_MS 500u
#define BACKOFF_TIMES 20u
#define LIST_TIMEOUT_MS 300000u	 /* of a page: without paging it is everything */
#define LIST_IDLE_MS 60000u
#define SHORT_MS 1000u		 /* a watch that ends sooner without an event is not resumed at once */
#define MALFORMED_MAX 3u	 /* in a row, from one version; then it is listed again */
#define VERSION_MAX 64u
#define EVENT_ROOM 4096u	 /* what an event is beside its object */

struct kube_watch {
	struct kube_client *c;
	struct kube_watch_ops ops;
	void *arg;
	char *path, *kind, *api_version, *labels, *fields;
	uint32_t page, watch_s, stall_ms, backoff_ms;
	size_t item_max;
	bool managed;

	uv_timer_t timer;
	struct kube_call *call;
	struct json_items *items;
	char version[VERSION_MAX]; /* "": none */
	char *token;		   /* of the next page */
	bool fresh;		   /* the next list asks for the truth in the store */
	bool closed;
	unsigned attempts, bad_streak, expired_streak;

	uint64_t opened_ms; /* of this watch; 0: not yet */
	uint64_t events;    /* of this watch */
	int event_err;	    /* why we ended it */
	char event_text[256];

	bool told, synced;
	int told_err;
	char told_text[256];
	struct kube_watch_counts counts;
};

static void list_begin(struct kube_watch *w);
static void watch_begin(struct kube_watch *w);

static void tell(struct kube_watch *w, bool synced, int err, const char *text)
{
	if (w->closed || (w->told && w->synced == synced && w->told_err == err))
		return;
	w->told = true;
	w->synced = synced;
	w->told_err = err;
	snprintf(w->told_text, sizeof(w->told_text), "%s", text);
	if (w->ops.state)
		w->ops.state(w->arg, synced ? KUBE_WATCH_SYNCED : KUBE_WATCH_LOST, err, w->told_text);
}

static void keep_managed(struct kube_watch *w)
{
	if (w->managed)
		json_items_keep_managed(w->items);
}

/* Never below json_items_feed(): calls begin from the loop. */
static void items_drop(struct kube_watch *w)
{
	json_items_free(w->items);
	w->items = NULL;
}

static void timer_list(uv_timer_t *t)
{
	list_begin(t->data);
}

static void timer_watch(uv_timer_t *t)
{
	watch_begin(t->data);
}

/* Later, at least `least` ms from now. */
static void later(struct kube_watch *w, uv_timer_cb cb, uint32_t least)
{
	uint32_t wait = kube_backoff_ms(w->attempts++, w->backoff_ms, w->backoff_ms * BACKOFF_TIMES, kube_random());

	if (!w->closed)
		uv_timer_start(&w->timer, cb, wait > least ? wait : least, 0);
}

static void soon(struct kube_watch *w, uv_timer_cb cb)
{
	if (!w->closed)
		uv_timer_start(&w->timer, cb, 0, 0);
}

static void skip(struct kube_watch *w, const char *ns, const char *name, int err)
{
	w->counts.skipped++;
	if (!w->closed && w->ops.skipped)
		w->ops.skipped(w->arg, ns, name, err);
}

static void items_skipped(void *arg, const struct json_items_skip *s)
{
	skip(arg, s->namespace_, s->name, s->err);
}

/* A name that can stand in a path and in a line of text. */
static bool name_ok(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (!n || n >= KUBE_NAME_MAX || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || *s == '/' || *s == '%')
			return false;
	return true;
}

static bool set_field(cJSON *o, const char *key, const char *want)
{
	const cJSON *v = json_get(o, key);

	if (!v)
		return cJSON_AddStringToObject(o, key, want) != NULL;
	return cJSON_IsString(v) && !strcmp(v->valuestring, want);
}

/*
 * 0 for an object of ours, with apiVersion and kind filled in; -EBADMSG for what is none; -EINVAL when
 * only its name is one that nobody can have.
 */
static int object_check(struct kube_watch *w, cJSON *o)
{
	const cJSON *meta = json_get(o, "metadata"), *ns = json_get(meta, "namespace");

	if (!cJSON_IsObject(o) || !cJSON_IsObject(meta) || !set_field(o, "apiVersion", w->api_version) ||
	    !set_field(o, "kind", w->kind))
		return -EBADMSG;
	if (!name_ok(json_str(meta, "name")))
		return -EINVAL;
	return ns && (!cJSON_IsString(ns) || (*ns->valuestring && !name_ok(ns->valuestring))) ? -EINVAL : 0;
}

static void object_skip(struct kube_watch *w, const cJSON *o)
{
	const char *ns = json_str(json_get(o, "metadata"), "namespace"), *name = json_str(json_get(o, "metadata"), "name");

	skip(w, ns && name_ok(ns) ? ns : "", name && name_ok(name) ? name : "", -EBADMSG);
}

static void version_keep(struct kube_watch *w, const char *v)
{
	if (v && *v && strlen(v) < sizeof(w->version))
		memcpy(w->version, v, strlen(v) + 1);
}

/* ---- lists ------------------------------------------------------------------------------------ */

/* "PodList" for "Pod"; true while the kind has not been seen. */
static bool list_kind_ok(const struct kube_watch *w)
{
	const char *k = json_items_list_kind(w->items);
	size_t n = strlen(w->kind);

	return !*k || (!strncmp(k, w->kind, n) && !strcmp(k + n, "List"));
}

static int list_item(void *arg, cJSON *item)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = item;
	struct kube_watch *w = arg;

	if (!list_kind_ok(w))
		return -EBADMSG;
	if (object_check(w, o) < 0)
		object_skip(w, o);
	else
		w->ops.object(w->arg, o);
	return w->closed ? -ECANCELED : 0;
}

static int items_chunk(void *arg, const char *p, size_t n)
{
	struct kube_watch *w = arg;

	return json_items_feed(w->items, p, n);
}

static void list_failed(struct kube_watch *w, int err, const char *text, uint32_t least)
{
	free(w->token);
	w->token = NULL;
	tell(w, false, err, text);
	later(w, timer_list, least);
}

/* A server behind its fellows: it does not have what we know yet. */
static bool too_new(const struct kube_answer *a)
{
	for (size_t i = 0; a->refused && i < a->refused->ncauses; i++)
		if (!strcmp(a->refused->causes[i].type, "ResourceVersionTooLarge"))
			return true;
	return false;
}

static void list_done(void *arg, const struct kube_answer *a)
{
	struct kube_watch *w = arg;
	bool expired = a->err == -ESTALE && (w->token || !w->fresh);
	const char *token;
	int r;

	w->call = NULL;
	if (expired || too_new(a)) {
		w->counts.expired += expired;
		w->fresh = true;
		if (expired) {
			free(w->token);
			w->token = NULL;
			soon(w, timer_list);
			return;
		}
	}
	if (a->err) {
		w->counts.malformed += a->err == -EBADMSG;
		list_failed(w, a->err, a->err == -EBADMSG ? "the list is malformed or of another kind" : a->text,
			    a->retry_after_ms);
		return;
	}
	r = json_items_end(w->items);
	token = json_items_continue(w->items);
	if (r == 0 && (!list_kind_ok(w) || (!*token && !*json_items_resource_version(w->items))))
		r = -EBADMSG;
	if (r < 0) {
		w->counts.malformed++;
		list_failed(w, r, "the list is malformed or of another kind", 0);
		return;
	}
	free(w->token);
	w->token = *token ? strdup(token) : NULL;
	if (*token) {
		if (w->token)
			list_begin(w);
		else
			list_failed(w, -ENOMEM, "out of memory", 0);
		return;
	}
	version_keep(w, json_items_resource_version(w->items));
	w->fresh = false;
	w->attempts = w->bad_streak = 0;
	if (w->ops.end)
		w->ops.end(w->arg);
	tell(w, true, 0, "");
	if (!w->closed)
		watch_begin(w);
}

static void list_begin(struct kube_watch *w)
{
	static const struct json_items_ops ops = { .item = list_item, .skipped = items_skipped };
	const char *from = w->fresh ? "" : *w->version ? w->version : "0";
	char limit[16];
	struct kube_request rq = {
		.method = "GET", .path = w->path, .timeout_ms = LIST_TIMEOUT_MS, .idle_ms = LIST_IDLE_MS,
		.chunk = items_chunk, .done = list_done, .arg = w,
		.query = { { "labelSelector", w->labels }, { "fieldSelector", w->fields } },
	};
	int r;

	if (w->closed)
		return;
	snprintf(limit, sizeof(limit), "%u", w->page);
	if (w->token) {
		rq.query[2] = (struct kube_pair){ "continue", w->token };
	} else {
		rq.query[2] = (struct kube_pair){ "resourceVersion", *from ? from : NULL };
		w->counts.lists++;
		if (w->ops.begin)
			w->ops.begin(w->arg);
	}
	/* With a version of our own and a limit the server would go back to exactly that one. */
	if (w->token || !*from || !strcmp(from, "0"))
		rq.query[3] = (struct kube_pair){ "limit", limit };
	w->counts.pages++;
	items_drop(w);
	r = w->closed ? -ECANCELED : json_items_new(JSON_ITEMS_LIST, w->item_max, &ops, w, &w->items);
	if (r == 0)
		keep_managed(w);
	if (r == 0)
		r = kube_call_start(w->c, &rq, &w->call);
	if (r < 0)
		list_failed(w, r, strerror(-r), 0);
}

/* ---- watches ---------------------------------------------------------------------------------- */

static int event_stop(struct kube_watch *w, int err, const char *text)
{
	w->event_err = err;
	kube_line(w->event_text, sizeof(w->event_text), text);
	return err;
}

static int event_error(struct kube_watch *w, const cJSON *o)
{
	struct kube_status s;
	int r = kube_status_read(o, 500, &s);

	if (r < 0)
		return r;
	r = kube_status_errno(&s);
	(void)event_stop(w, r, s.message);
	kube_status_done(&s);
	return r;
}

static int event_item(void *arg, cJSON *item)
{
	auto_cleanup(cJSON_Deletep) cJSON *e = item;
	struct kube_watch *w = arg;
	const char *type = json_str(e, "type");
	cJSON *o = cJSON_GetObjectItemCaseSensitive(e, "object");
	int r;

	w->counts.events++;
	if (!type || !cJSON_IsObject(o))
		return event_stop(w, -EBADMSG, "an event is malformed");
	if (!strcmp(type, "ERROR"))
		return event_error(w, o);
	w->events++;
	if (!strcmp(type, "BOOKMARK")) {
		w->counts.bookmarks++;
		version_keep(w, json_str(json_get(o, "metadata"), "resourceVersion"));
		return 0;
	}
	r = object_check(w, o);
	if (r == -EBADMSG)
		return event_stop(w, r, "an event is about no object of this kind");
	/* The version first: the owner may close us, and what it was given it has. */
	version_keep(w, json_str(json_get(o, "metadata"), "resourceVersion"));
	w->bad_streak = 0;
	if (r < 0)
		object_skip(w, o);
	else if (!strcmp(type, "ADDED") || !strcmp(type, "MODIFIED"))
		w->ops.object(w->arg, o);
	else if (strcmp(type, "DELETED"))
		return event_stop(w, -EBADMSG, "an event is of an unknown type");
	else if (w->ops.gone)
		w->ops.gone(w->arg, o);
	return w->closed ? -ECANCELED : 0;
}

/* An event that is no JSON is a change that is lost. One that is too large is told, and passed over. */
static void event_skipped(void *arg, const struct json_items_skip *s)
{
	struct kube_watch *w = arg;

	if (s->err == -EBADMSG)
		(void)event_stop(w, -EBADMSG, "an event is malformed");
	skip(w, s->namespace_, s->name, s->err);
}

static int watch_chunk(void *arg, const char *p, size_t n)
{
	struct kube_watch *w = arg;
	int r = json_items_feed(w->items, p, n);

	if (r == -EBADMSG && !w->event_err)
		return event_stop(w, r, "an event is malformed");
	return r ?: w->event_err;
}

static void watch_opened(void *arg)
{
	struct kube_watch *w = arg;

	w->opened_ms = uv_now(kube_client_loop(w->c)) ?: 1;
	tell(w, true, 0, "");
}

static void watch_done(void *arg, const struct kube_answer *a)
{
	struct kube_watch *w = arg;
	int err = w->event_err ?: a->err;
	const char *text = w->event_err ? w->event_text : a->text;
	uint64_t lasted = w->opened_ms ? uv_now(kube_client_loop(w->c)) - w->opened_ms : 0;
	bool good = w->opened_ms && (lasted >= SHORT_MS || w->events);

	w->call = NULL;
	if (err == -EBADMSG) {
		w->counts.malformed++;
		tell(w, false, err, text);
		if (++w->bad_streak >= MALFORMED_MAX) {
			w->bad_streak = 0;
			w->fresh = true;
			later(w, timer_list, 0);
			return;
		}
		later(w, timer_watch, 0);
		return;
	}
	if (good)
		w->attempts = w->expired_streak = 0;
	if (err == -ESTALE) {
		w->counts.expired++;
		w->fresh = true;
		/* Once at once; a server that says so after each list is not to be hammered. */
		w->attempts = w->expired_streak;
		if (w->expired_streak++ == 0)
			soon(w, timer_list);
		else
			later(w, timer_list, a->retry_after_ms);
	} else if (err == -ENOENT || err == -EINVAL) {
		/* The collection went away, or the version makes no sense to this server. */
		w->fresh = true;
		tell(w, false, err, text);
		later(w, timer_list, a->retry_after_ms);
	} else if (good && (err == 0 || err == -ETIMEDOUT || err == -ECONNRESET)) {
		w->counts.stalls += err == -ETIMEDOUT;
		soon(w, timer_watch);
	} else {
		w->counts.stalls += err == -ETIMEDOUT && w->opened_ms;
		if (err)
			tell(w, false, err, text);
		later(w, timer_watch, a->retry_after_ms);
	}
}

static void watch_begin(struct kube_watch *w)
{
	static const struct json_items_ops ops = { .item = event_item, .skipped = event_skipped };
	uint32_t s = w->watch_s ?: WATCH_MIN_S + kube_random() % WATCH_MIN_S;
	char seconds[16];
	struct kube_request rq = {
		.method = "GET", .path = w->path, .timeout_ms = UINT32_MAX, .idle_ms = w->stall_ms, .plain = true,
		.chunk = watch_chunk, .opened = watch_opened, .done = watch_done, .arg = w,
		.query = { { "labelSelector", w->labels }, { "fieldSelector", w->fields }, { "watch", "true" },
			   { "allowWatchBookmarks", "true" }, { "resourceVersion", w->version },
			   { "timeoutSeconds", seconds } },
	};
	int r;

	if (w->closed)
		return;
	snprintf(seconds, sizeof(seconds), "%u", s);
	w->opened_ms = w->events = 0;
	w->event_err = 0;
	w->counts.watches++;
	items_drop(w);
	r = json_items_new(JSON_ITEMS_STREAM, w->item_max + EVENT_ROOM, &ops, w, &w->items);
	if (r == 0)
		keep_managed(w);
	if (r == 0)
		r = kube_call_start(w->c, &rq, &w->call);
	if (r < 0) {
		tell(w, false, r, strerror(-r));
		later(w, timer_watch, 0);
	}
}

/* ---- life ------------------------------------------------------------------------------------- */

static void watch_free(struct kube_watch *w)
{
	json_items_free(w->items);
	free(w->token);
	free(w->path);
	free(w->kind);
	free(w->api_version);
	free(w->labels);
	free(w->fields);
	free(w);
}

static void timer_closed(uv_handle_t *h)
{
	watch_free(h->data);
}

static char *dup_opt(const char *s, bool *ok)
{
	char *d = s ? strdup(s) : NULL;

	*ok = *ok && (!s || d);
	return d;
}

int kube_watch_new(struct kube_client *c, const struct kube_watch_spec *spec, const struct kube_watch_ops *ops,
		   void *arg, struct kube_watch **ret)
{
	struct kube_watch *w;
	bool ok = true;

	if (!spec->path || *spec->path != '/' || !spec->kind || !spec->api_version || !ops->object ||
	    spec->item_max > JSON_BYTES_MAX - EVENT_ROOM)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->c = c;
	w->ops = *ops;
	w->arg = arg;
	w->path = dup_opt(spec->path, &ok);
	w->kind = dup_opt(spec->kind, &ok);
	w->api_version = dup_opt(spec->api_version, &ok);
	w->labels = dup_opt(spec->labels, &ok);
	w->fields = dup_opt(spec->fields, &ok);
	w->page = spec->page ?: KUBE_PAGE_MAX;
	w->managed = spec->managed;
	w->item_max = spec->item_max ?: KUBE_ITEM_BYTES_MAX;
	w->watch_s = spec->watch_s;
	w->stall_ms = spec->stall_ms ?: STALL_MS;
	w->backoff_ms = spec->backoff_ms ?: BACKOFF_MS;
	if (!ok) {
		watch_free(w);
		return -ENOMEM;
	}
	(void)uv_timer_init(kube_client_loop(c), &w->timer); /* cannot fail */
	w->timer.data = w;
	soon(w, timer_list);
	*ret = w;
	return 0;
}

void kube_watch_close(struct kube_watch *w)
{
	if (!w || w->closed)
		return;
	w->closed = true;
	kube_call_cancel(take_ptr(w->call));
	uv_close((uv_handle_t *)&w->timer, timer_closed);
}

bool kube_watch_synced(const struct kube_watch *w)
{
	return w->told && w->synced;
}

const struct kube_watch_counts *kube_watch_counts(const struct kube_watch *w)
{
	return &w->counts;
}
