/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/apply.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/strparse.h"
#include "kube/config_priv.h"

#define PATH_MAX_BYTES 4096u
#define SEGMENT_MAX 253u
#define MANAGER "cellwall"
#define JSON_TYPE "application/json"
/* YAML is a superset: what the server calls apply-patch+yaml takes JSON. */
#define APPLY_TYPE "application/apply-patch+yaml"
#define MERGE_TYPE "application/merge-patch+json"

/* "/" and the part, percent-encoded where RFC 3986 wants it. */
static int segment(struct buf *b, const char *s)
{
	size_t n = strlen(s);

	if (!n || n > SEGMENT_MAX || !strcmp(s, ".") || !strcmp(s, "..") || strpbrk(s, "/%"))
		return -EINVAL;
	buf_adds(b, "/");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x80 && (isalnum(c) || strchr("-._~:", c)))
			buf_add(b, s, 1);
		else
			buf_printf(b, "%%%02X", c);
	}
	return b->err;
}

static int group_version(struct buf *b, const char *api)
{
	const char *slash = strchr(api, '/');
	char group[SEGMENT_MAX + 1];
	size_t n;
	int r;

	if (!slash) {
		buf_adds(b, "/api");
		return is_dns_label(api) ? segment(b, api) : -EINVAL;
	}
	n = (size_t)(slash - api);
	if (n >= sizeof(group) || !is_dns_label(slash + 1))
		return -EINVAL;
	memcpy(group, api, n);
	group[n] = '\0';
	if (!is_dns_name(group))
		return -EINVAL;
	buf_adds(b, "/apis");
	r = segment(b, group);
	return r ?: segment(b, slash + 1);
}

int kube_path_make(const struct kube_ref *ref, char **ret)
{
	auto_cleanup(buf_done) struct buf b;
	int r;

	buf_init(&b, PATH_MAX_BYTES);
	if (!ref->api || !ref->resource || (ref->sub && !ref->name))
		return -EINVAL;
	r = group_version(&b, ref->api);
	if (r == 0 && ref->namespace_) {
		buf_adds(&b, "/namespaces");
		r = segment(&b, ref->namespace_);
	}
	if (r == 0)
		r = segment(&b, ref->resource);
	if (r == 0 && ref->name)
		r = segment(&b, ref->name);
	if (r == 0 && ref->sub)
		r = segment(&b, ref->sub);
	if (r < 0)
		return r;
	*ret = buf_take(&b, NULL);
	return *ret ? 0 : -ENOMEM;
}

/* Who wants the reply. */
struct waiter {
	kube_reply_fn *done;
	void (*dropped)(void *arg);
	void *arg;
};

static void reply_dropped(void *arg)
{
	auto_free struct waiter *w = arg;

	if (w->dropped)
		w->dropped(w->arg);
}

static void reply_in(void *arg, const struct kube_answer *a)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	auto_free struct waiter *w = arg;
	struct kube_reply r = { .a = a, .err = a->err };

	if (r.err == 0 && a->len) {
		r.err = json_parse(a->body, a->len, "answer", NULL, &j);
		if (r.err == 0 && !cJSON_IsObject(j))
			r.err = -EBADMSG;
		r.obj = r.err ? NULL : j;
	}
	if (w->done)
		w->done(w->arg, &r);
}

static int send_call(struct kube_client *c, struct kube_request *rq, const cJSON *body, struct waiter who,
		     struct kube_call **ret)
{
	auto_cleanup(kube_secret_freep) char *text = NULL;
	struct waiter *w;
	int r;

	if (body) {
		text = cJSON_PrintUnformatted(body);
		if (!text)
			return -ENOMEM;
		rq->body = text;
		rq->body_len = strlen(text);
	}
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = who;
	rq->done = reply_in;
	rq->dropped = reply_dropped;
	rq->arg = w;
	r = kube_call_start(c, rq, ret);
	if (r < 0)
		free(w);
	return r;
}

static int write_call(struct kube_client *c, const char *method, const struct kube_ref *ref, const char *type,
		      const cJSON *body, const struct kube_write *w, bool apply, kube_reply_fn *done, void *arg,
		      struct kube_call **ret)
{
	static const struct kube_write none;
	auto_free char *path = NULL;
	struct kube_request rq = { .method = method, .content_type = type };
	int r = kube_path_make(ref, &path);

	if (r < 0)
		return r;
	w = w ?: &none;
	rq.path = path;
	rq.retries = w->retries;
	rq.timeout_ms = w->timeout_ms;
	rq.query[0] = (struct kube_pair){ "fieldManager", w->manager ?: MANAGER };
	rq.query[1] = (struct kube_pair){ "force", apply && w->force ? "true" : NULL };
	rq.query[2] = (struct kube_pair){ "dryRun", w->dry_run ? "All" : NULL };
	return send_call(c, &rq, body, (struct waiter){ done, w->dropped, arg }, ret);
}

int kube_get(struct kube_client *c, const struct kube_ref *ref, kube_reply_fn *done, void *arg,
	     struct kube_call **ret)
{
	return kube_get_within(c, ref, 0, 0, done, arg, ret);
}

int kube_get_within(struct kube_client *c, const struct kube_ref *ref, uint32_t timeout_ms, unsigned retries,
		    kube_reply_fn *done, void *arg, struct kube_call **ret)
{
	auto_free char *path = NULL;
	struct kube_request rq = { .method = "GET", .timeout_ms = timeout_ms, .retries = retries };
	int r = kube_path_make(ref, &path);

	if (r < 0)
		return r;
	rq.path = path;
	return send_call(c, &rq, NULL, (struct waiter){ done, NULL, arg }, ret);
}

int kube_create(struct kube_client *c, const struct kube_ref *ref, const cJSON *obj, const struct kube_write *w,
		kube_reply_fn *done, void *arg, struct kube_call **ret)
{
	struct kube_ref to = *ref;

	if (!cJSON_IsObject(obj))
		return -EINVAL;
	if (!to.sub)
		to.name = NULL;
	return write_call(c, "POST", &to, JSON_TYPE, obj, w, false, done, arg, ret);
}

int kube_replace(struct kube_client *c, const struct kube_ref *ref, const cJSON *obj, const struct kube_write *w,
		 kube_reply_fn *done, void *arg, struct kube_call **ret)
{
	if (!ref->name || !cJSON_IsObject(obj))
		return -EINVAL;
	return write_call(c, "PUT", ref, JSON_TYPE, obj, w, false, done, arg, ret);
}

int kube_apply(struct kube_client *c, const struct kube_ref *ref, const cJSON *obj, const struct kube_write *w,
	       kube_reply_fn *done, void *arg, struct kube_call **ret)
{
	const char *name = json_str(json_get(obj, "metadata"), "name"), *api = json_str(obj, "apiVersion");

	if (!ref->name || !name || strcmp(name, ref->name) || !api || strcmp(api, ref->api) || !json_str(obj, "kind"))
		return -EINVAL;
	return write_call(c, "PATCH", ref, APPLY_TYPE, obj, w, true, done, arg, ret);
}

int kube_merge(struct kube_client *c, const struct kube_ref *ref, const cJSON *patch, const struct kube_write *w,
	       kube_reply_fn *done, void *arg, struct kube_call **ret)
{
	if (!ref->name || !cJSON_IsObject(patch))
		return -EINVAL;
	return write_call(c, "PATCH", ref, MERGE_TYPE, patch, w, false, done, arg, ret);
}

int kube_delete(struct kube_client *c, const struct kube_ref *ref, const char *uid, const char *version,
		kube_reply_fn *done, void *arg, struct kube_call **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	auto_free char *path = NULL;
	struct kube_request rq = { .method = "DELETE" };
	cJSON *pre;
	int r;

	if (!ref->name)
		return -EINVAL;
	r = kube_path_make(ref, &path);
	if (r < 0)
		return r;
	rq.path = path;
	if (uid || version) {
		o = cJSON_CreateObject();
		if (!o || !cJSON_AddStringToObject(o, "apiVersion", "v1") ||
		    !cJSON_AddStringToObject(o, "kind", "DeleteOptions") ||
		    !(pre = cJSON_AddObjectToObject(o, "preconditions")) ||
		    (uid && !cJSON_AddStringToObject(pre, "uid", uid)) ||
		    (version && !cJSON_AddStringToObject(pre, "resourceVersion", version)))
			return -ENOMEM;
	}
	return send_call(c, &rq, o, (struct waiter){ done, NULL, arg }, ret);
}
