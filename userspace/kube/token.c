/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/strparse.h"
#include "kube/apply.h"
#include "kube/client_priv.h"

#define EXTRA "authentication.kubernetes.io/"
#define ACCOUNT_PREFIX "system:serviceaccount:"
#define LIFETIME_MIN_S 600u /* the API server's own minimum */

struct review {
	kube_token_review_fn *done;
	void *arg;
	char *audiences[KUBE_AUDIENCES_MAX + 1];
};

static void review_free(struct review *v)
{
	for (size_t i = 0; v && v->audiences[i]; i++)
		free(v->audiences[i]);
	free(v);
}

static void review_dropped(void *arg)
{
	review_free(arg);
}

/* The one value of an extra, "" otherwise. */
static const char *extra_of(const cJSON *user, const char *key)
{
	const cJSON *list = json_get(json_get(user, "extra"), key);

	return cJSON_IsArray(list) && cJSON_GetArraySize(list) == 1 ? cJSON_GetStringValue(list->child) ?: "" : "";
}

/* The server names those of ours that the token is for. One that knows no audiences names none, and
 * then the token is for the API server: not for us. */
static bool audience_ok(const struct review *v, const cJSON *status)
{
	const cJSON *a, *list = json_get(status, "audiences");

	if (!cJSON_IsArray(list))
		return false;
	cJSON_ArrayForEach(a, list)
		for (size_t i = 0; v->audiences[i]; i++)
			if (cJSON_IsString(a) && !strcmp(a->valuestring, v->audiences[i]))
				return true;
	return false;
}

static void user_read(const cJSON *user, const char *name, char *account, size_t size, struct kube_token_user *u)
{
	const cJSON *g;
	char *colon;

	*u = (struct kube_token_user){ .username = name, .uid = json_str(user, "uid") ?: "",
				       .pod_name = extra_of(user, EXTRA "pod-name"),
				       .pod_uid = extra_of(user, EXTRA "pod-uid"),
				       .node_name = extra_of(user, EXTRA "node-name"), .namespace_ = "",
				       .service_account = "" };
	cJSON_ArrayForEach(g, json_get(user, "groups"))
		if (cJSON_IsString(g) && u->ngroups < KUBE_GROUPS_MAX)
			u->groups[u->ngroups++] = g->valuestring;
	if (strncmp(name, ACCOUNT_PREFIX, strlen(ACCOUNT_PREFIX)) || strlen(name) >= size)
		return;
	snprintf(account, size, "%s", name + strlen(ACCOUNT_PREFIX));
	colon = strchr(account, ':');
	if (!colon)
		return;
	*colon = '\0';
	if (!is_dns_label(account) || !is_dns_name(colon + 1))
		return;
	u->namespace_ = account;
	u->service_account = colon + 1;
}

static void reviewed(void *arg, const struct kube_reply *r)
{
	struct review *v = arg;
	const cJSON *status = json_get(r->obj, "status"), *user = json_get(status, "user");
	const char *name = json_str(user, "username"), *why = json_str(status, "error");
	struct kube_token_user u;
	char account[512], text[512];

	kube_line(text, sizeof(text), why && *why ? why : "the token is not valid");
	if (r->err) {
		v->done(v->arg, r->err, r->a->err ? r->a->text : "the answer is no object", NULL);
	} else if (!cJSON_IsTrue(json_get(status, "authenticated"))) {
		v->done(v->arg, -EACCES, text, NULL);
	} else if (!name || !*name) {
		v->done(v->arg, -EBADMSG, "the answer names no user", NULL);
	} else if (!audience_ok(v, status)) {
		v->done(v->arg, -EACCES, "the token is for another audience", NULL);
	} else {
		user_read(user, name, account, sizeof(account), &u);
		v->done(v->arg, 0, "", &u);
	}
	review_free(v);
}

/* {"apiVersion":api,"kind":kind,"spec":{"audiences":[...]}}; NULL: no memory. *ret_spec is part of it. */
static cJSON *request_make(const char *api, const char *kind, const char *const *audiences, cJSON **ret_spec)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *spec, *list;

	if (!o || !cJSON_AddStringToObject(o, "apiVersion", api) || !cJSON_AddStringToObject(o, "kind", kind))
		return NULL;
	spec = cJSON_AddObjectToObject(o, "spec");
	list = spec ? cJSON_AddArrayToObject(spec, "audiences") : NULL;
	if (!list)
		return NULL;
	for (; *audiences; audiences++) {
		cJSON *s = cJSON_CreateString(*audiences);

		if (!s || !cJSON_AddItemToArray(list, s)) {
			cJSON_Delete(s);
			return NULL;
		}
	}
	*ret_spec = spec;
	return take_ptr(o);
}

static struct review *review_new(const char *const *audiences, kube_token_review_fn *done, void *arg)
{
	struct review *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->done = done;
	v->arg = arg;
	for (size_t i = 0; audiences[i]; i++) {
		v->audiences[i] = strdup(audiences[i]);
		if (!v->audiences[i]) {
			review_free(v);
			return NULL;
		}
	}
	return v;
}

int kube_token_review(struct kube_client *c, const char *token, const char *const *audiences,
		      kube_token_review_fn *done, void *arg, struct kube_call **ret)
{
	struct kube_ref ref = { .api = "authentication.k8s.io/v1", .resource = "tokenreviews" };
	struct kube_write w = { .retries = 2, .dropped = review_dropped };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct review *v;
	cJSON *spec;
	size_t n = 0;
	int r;

	while (n <= KUBE_AUDIENCES_MAX && audiences[n])
		n++;
	if (!n || n > KUBE_AUDIENCES_MAX || !*token)
		return -EINVAL;
	if (strlen(token) > KUBE_TOKEN_BYTES_MAX)
		return -E2BIG;
	o = request_make(ref.api, "TokenReview", audiences, &spec);
	if (!o || !cJSON_AddStringToObject(spec, "token", token))
		return -ENOMEM;
	v = review_new(audiences, done, arg);
	if (!v)
		return -ENOMEM;
	r = kube_create(c, &ref, o, &w, reviewed, v, ret);
	if (r < 0)
		review_free(v);
	return r;
}

struct asking {
	kube_token_request_fn *done;
	void *arg;
};

static void requested(void *arg, const struct kube_reply *r)
{
	auto_free struct asking *q = arg;
	const cJSON *status = json_get(r->obj, "status");
	const char *token = json_str(status, "token"), *until = json_str(status, "expirationTimestamp");
	int64_t ns;

	if (r->err)
		q->done(q->arg, r->err, r->a->err ? r->a->text : "the answer is no object", NULL, 0);
	else if (!token || !*token || !until || parse_time_ns(until, &ns) < 0)
		q->done(q->arg, -EBADMSG, "the answer holds no token", NULL, 0);
	else
		q->done(q->arg, 0, "", token, ns / 1000000000);
}

static bool bind_to(cJSON *spec, const char *pod, const char *uid)
{
	cJSON *b;

	if (!pod)
		return true;
	b = cJSON_AddObjectToObject(spec, "boundObjectRef");
	return b && cJSON_AddStringToObject(b, "apiVersion", "v1") && cJSON_AddStringToObject(b, "kind", "Pod") &&
	       cJSON_AddStringToObject(b, "name", pod) && (!uid || cJSON_AddStringToObject(b, "uid", uid));
}

int kube_token_request(struct kube_client *c, const char *namespace_, const char *account, const char *audience,
		       uint32_t lifetime_s, const char *bound_pod, const char *bound_uid,
		       kube_token_request_fn *done, void *arg, struct kube_call **ret)
{
	struct kube_ref ref = { .api = "v1", .resource = "serviceaccounts", .namespace_ = namespace_, .name = account,
				.sub = "token" };
	const char *const audiences[] = { audience, NULL };
	struct kube_write w = { .retries = 2, .dropped = free };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct asking *q;
	cJSON *spec;
	int r;

	if (!audience || !*audience || lifetime_s < LIFETIME_MIN_S)
		return -EINVAL;
	o = request_make("authentication.k8s.io/v1", "TokenRequest", audiences, &spec);
	if (!o || !cJSON_AddNumberToObject(spec, "expirationSeconds", lifetime_s) || !bind_to(spec, bound_pod, bound_uid))
		return -ENOMEM;
	q = malloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = (struct asking){ done, arg };
	r = kube_create(c, &ref, o, &w, requested, q, ret);
	if (r < 0)
		free(q);
	return r;
}
