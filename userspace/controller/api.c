/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "controller/priv.h"

#define AGO_MAX_MS (3660ull * 24 * 3600 * 1000) /* ten years */

char *text_fmt(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

/* ---- query --------------------------------------------------------------------------- */

const char *api_q(const struct api *a, const char *name)
{
	const char *s = http_request_query(a->rq, name);

	return str_set(s) ? s : NULL;
}

int time_or_ago(const char *s, int64_t now, int64_t *ret)
{
	uint64_t ms;
	int64_t t;

	if (!parse_duration_ms(s, AGO_MAX_MS, &ms)) {
		*ret = now - (int64_t)ms * 1000000;
		return 0;
	}
	if (parse_time_ns(s, &t) || t < 0)
		return -EINVAL;
	*ret = t;
	return 0;
}

int api_q_time(struct api *a, const char *name, int64_t dflt, int64_t *ret)
{
	const char *s = api_q(a, name);
	char at[160];

	if (!s) {
		*ret = dflt;
		return 0;
	}
	if (!time_or_ago(s, controller_now(a->c), ret))
		return 0;
	snprintf(at, sizeof(at), "query %s: \"%.100s\"", name, s);
	return fail_add(&a->f, -EINVAL, "query.time", at, "a duration such as 15m or 10d, or 2026-03-12T08:30:00Z",
			NULL, "this is no time");
}

int api_q_limit(struct api *a, size_t *ret)
{
	const char *s = api_q(a, "limit");
	uint32_t n = API_LIST_MAX;
	char at[160];

	if (s && parse_u32(s, 1, API_LIST_MAX, &n)) {
		snprintf(at, sizeof(at), "query limit: \"%.100s\"", s);
		return fail_add(&a->f, -EINVAL, "query.limit", at, "a number from 1 to 100000", NULL,
				"the limit is not a number in range");
	}
	*ret = n;
	return 0;
}

int api_q_bool(struct api *a, const char *name, int *ret)
{
	const char *s = api_q(a, name);
	char at[160];

	*ret = -1;
	if (!s)
		return 0;
	if (!strcmp(s, "0") || !strcmp(s, "1")) {
		*ret = *s == '1';
		return 0;
	}
	snprintf(at, sizeof(at), "query %s: \"%.100s\"", name, s);
	return fail_add(&a->f, -EINVAL, "query.flag", at, "0 or 1", NULL, "this is neither 0 nor 1");
}

void words_done(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	w->v = NULL;
	w->n = 0;
}

static int words_push(struct words *w, size_t *cap, const char *s, size_t n)
{
	struct { char **v; size_t n, cap; } a = { w->v, w->n, *cap };
	char *d = strndup(s, n);

	if (!d || vec_push(&a, d)) {
		free(d);
		return -ENOMEM;
	}
	w->v = a.v;
	w->n = a.n;
	*cap = a.cap;
	return 0;
}

int words_split(const char *s, struct words *ret)
{
	struct words w = {};
	size_t cap = 0;

	while (s && *s) {
		size_t n = strcspn(s, ",");

		if (n && (w.n >= API_NAMES_MAX || words_push(&w, &cap, s, n))) {
			int e = w.n >= API_NAMES_MAX ? -E2BIG : -ENOMEM;

			words_done(&w);
			return e;
		}
		s += n + (s[n] == ',');
	}
	*ret = w;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void words_sort(struct words *w)
{
	if (w->n)
		qsort(w->v, w->n, sizeof(*w->v), by_text);
}

bool words_have(const struct words *w, const char *s)
{
	for (size_t i = 0; i < w->n; i++)
		if (str_eq(w->v[i], s))
			return true;
	return false;
}

int api_q_words(struct api *a, const char *name, struct words *ret)
{
	return words_split(api_q(a, name), ret);
}

/* ---- body ---------------------------------------------------------------------------- */

static const char *where(char *buf, size_t n, const char *at, const char *key)
{
	snprintf(buf, n, "%s.%.100s", at, key);
	return buf;
}

int body_only(struct fail_list *f, const cJSON *o, const char *at, const char *const *keys)
{
	char buf[256], expect[256];
	size_t n = 0;
	int e = 0;

	while (keys[n])
		n++;
	for (const cJSON *i = o->child; i; i = i->next) {
		const char *near;
		bool known = false;

		for (size_t k = 0; k < n; k++)
			known = known || !strcmp(keys[k], i->string);
		if (known)
			continue;
		near = nearest_word(i->string, keys, n);
		if (near) {
			snprintf(expect, sizeof(expect), "did you mean \"%s\"?", near);
		} else {
			size_t len = (size_t)snprintf(expect, sizeof(expect), "one of");

			for (size_t k = 0; k < n && len < sizeof(expect); k++)
				len += (size_t)snprintf(expect + len, sizeof(expect) - len, "%s %s",
							k ? "," : "", keys[k]);
		}
		e = fail_add(f, -EINVAL, "body.unknown-field", where(buf, sizeof(buf), at, i->string), expect, NULL,
			     "unknown field \"%.100s\"", i->string);
	}
	return e;
}

static int body_type(struct fail_list *f, const char *at, const char *key, const char *want)
{
	char buf[256];

	return fail_add(f, -EINVAL, "body.type", where(buf, sizeof(buf), at, key), want, NULL,
			"the field has the wrong type");
}

static int body_missing(struct fail_list *f, const char *at, const char *key, const char *want)
{
	char buf[256];

	return fail_add(f, -EINVAL, "body.missing", where(buf, sizeof(buf), at, key), want, NULL,
			"a required field is missing");
}

int api_body(struct api *a, const char *const *keys, bool required, cJSON **ret)
{
	cJSON *j = NULL;
	int e;

	if (!a->rq->body_len && !required) {
		*ret = NULL;
		return 0;
	}
	if (!a->rq->body_len)
		return fail_add(&a->f, -EINVAL, "body.missing", "body", "a JSON object", NULL,
				"the request has no body");
	e = json_parse(a->rq->body, a->rq->body_len, "body", &a->f, &j);
	if (e)
		return e;
	if (!cJSON_IsObject(j)) {
		cJSON_Delete(j);
		return fail_add(&a->f, -EINVAL, "body.type", "body", "a JSON object", NULL,
				"the body is not an object");
	}
	e = keys ? body_only(&a->f, j, "body", keys) : 0;
	if (e) {
		cJSON_Delete(j);
		return e;
	}
	*ret = j;
	return 0;
}

int body_str(struct fail_list *f, const cJSON *o, const char *at, const char *key, bool required, size_t max,
	     const char **ret)
{
	const cJSON *i = json_get(o, key);
	char buf[256], want[64];

	if (!i)
		return required ? body_missing(f, at, key, "a string") : 0;
	if (!cJSON_IsString(i))
		return body_type(f, at, key, "a string");
	if (!*i->valuestring && required)
		return fail_add(f, -EINVAL, "body.empty", where(buf, sizeof(buf), at, key), "a text", NULL,
				"the field is empty");
	if (strlen(i->valuestring) > max) {
		snprintf(want, sizeof(want), "at most %zu bytes", max);
		return fail_add(f, -EINVAL, "body.too-long", where(buf, sizeof(buf), at, key), want, NULL,
				"the text is too long");
	}
	*ret = i->valuestring;
	return 0;
}

int body_bool(struct fail_list *f, const cJSON *o, const char *at, const char *key, bool *ret)
{
	const cJSON *i = json_get(o, key);

	if (!i)
		return 0;
	if (!cJSON_IsBool(i))
		return body_type(f, at, key, "true or false");
	*ret = cJSON_IsTrue(i);
	return 0;
}

int body_words(struct fail_list *f, const cJSON *o, const char *at, const char *key, bool required,
	       struct words *ret)
{
	const cJSON *arr = json_get(o, key), *i;
	struct words w = {};
	size_t cap = 0;

	if (!arr)
		return required ? body_missing(f, at, key, "a list of strings") : 0;
	if (!cJSON_IsArray(arr))
		return body_type(f, at, key, "a list of strings");
	cJSON_ArrayForEach(i, arr) {
		int e = 0;

		if (!cJSON_IsString(i) || !*i->valuestring || strlen(i->valuestring) > REF_MAX)
			e = body_type(f, at, key, "a list of strings that are not empty");
		else if (w.n >= API_NAMES_MAX)
			e = body_type(f, at, key, "at most 10000 strings");
		else
			e = words_push(&w, &cap, i->valuestring, strlen(i->valuestring));
		if (e) {
			words_done(&w);
			return e;
		}
	}
	if (required && !w.n)
		return body_type(f, at, key, "a list with at least one string");
	*ret = w;
	return 0;
}

int body_labels(struct fail_list *f, const cJSON *o, const char *at, const char *key, struct labels *ret)
{
	const cJSON *obj = json_get(o, key), *i;
	struct labels l = {};
	char sub[128], buf[256];
	int e = 0;

	if (!obj)
		return 0;
	if (!cJSON_IsObject(obj))
		return body_type(f, at, key, "an object of strings");
	snprintf(sub, sizeof(sub), "%s.%s", at, key);
	cJSON_ArrayForEach(i, obj) {
		if (!is_label_key(i->string))
			e = fail_add(f, -EINVAL, "label.key", where(buf, sizeof(buf), sub, i->string),
				     "[PREFIX/]NAME of letters, digits, - _ .", NULL, "this is not a label key");
		else if (!cJSON_IsString(i))
			e = body_type(f, sub, i->string, "a string");
		else if (!is_label_value(i->valuestring))
			e = fail_add(f, -EINVAL, "label.value", where(buf, sizeof(buf), sub, i->string),
				     "at most 63 letters, digits, - _ .", NULL, "this is not a label value");
		else
			e = labels_set(&l, i->string, i->valuestring);
		if (e) {
			labels_done(&l);
			return e;
		}
	}
	labels_done(ret);
	*ret = l;
	return 0;
}

/* ---- output -------------------------------------------------------------------------- */

void put_time(cJSON *o, const char *key, int64_t ns)
{
	char t[32];

	if (ns <= 0)
		cJSON_AddNullToObject(o, key);
	else
		cJSON_AddStringToObject(o, key, time_str(ns, t));
}

void put_num(cJSON *o, const char *key, double v)
{
	cJSON_AddNumberToObject(o, key, v);
}

void put_ms(cJSON *o, const char *key, int64_t ns)
{
	int64_t ms = ns / 1000000;

	put_num(o, key, (double)ms);
}

void put_str(cJSON *o, const char *key, const char *s)
{
	if (str_set(s))
		cJSON_AddStringToObject(o, key, s);
}

void put_str_null(cJSON *o, const char *key, const char *s)
{
	if (str_set(s))
		cJSON_AddStringToObject(o, key, s);
	else
		cJSON_AddNullToObject(o, key);
}

void put_free(cJSON *o, const char *key, char *s)
{
	put_str(o, key, s);
	free(s);
}

void put_item(cJSON *o, const char *key, cJSON *item)
{
	if (item && !cJSON_AddItemToObject(o, key, item))
		cJSON_Delete(item);
}

void put_push(cJSON *arr, cJSON *item)
{
	if (item && !cJSON_AddItemToArray(arr, item))
		cJSON_Delete(item);
}

cJSON *api_object(const char *kind)
{
	cJSON *o = cJSON_CreateObject();

	if (!o)
		return NULL;
	cJSON_AddStringToObject(o, "apiVersion", API_VERSION);
	cJSON_AddStringToObject(o, "kind", kind);
	return o;
}

cJSON *api_list(const struct controller *c, const char *kind, const struct list_meta *m, cJSON *items)
{
	cJSON *o = api_object(kind), *meta = NULL, *scope;

	if (o && items)
		meta = cJSON_AddObjectToObject(o, "meta");
	if (!meta) {
		cJSON_Delete(o);
		cJSON_Delete(items);
		return NULL;
	}
	put_str(meta, "cluster", c->cluster);
	scope = cJSON_AddArrayToObject(meta, "scope");
	for (size_t i = 0; m->scope && i < m->scope->n; i++)
		put_push(scope, cJSON_CreateString(m->scope->v[i]));
	put_time(meta, "since", m->since);
	put_time(meta, "until", m->until ? m->until : controller_now(c));
	put_num(meta, "generation", (double)c->state.generation);
	put_num(meta, "total", (double)m->total);
	put_num(meta, "truncated", (double)m->truncated);
	put_num(meta, "lost", (double)m->lost);
	put_item(o, "items", items);
	return o;
}

/* ---- dispatch ------------------------------------------------------------------------ */

int api_run(struct api *a, size_t i, int *ret_status, cJSON **ret)
{
	cJSON *j = NULL;
	int e;

	if (api_routes[i].flags & HTTP_R_WRITE) /* the name is looked up for the record only */
		controller_who(a->rq, a->who);
	e = api_routes[i].fn(a, &j);
	if (e == API_ANSWERED)
		return e;
	if (e < 0) {
		cJSON_Delete(j);
		free(a->text);
		a->text = NULL;
		if (!a->f.n)
			fail_add(&a->f, e, e == -ENOMEM ? "server.memory" : "server.internal", NULL, NULL, NULL, "%s",
				 strerror(-e));
		*ret_status = http_status_of(e);
		*ret = fail_list_to_json(&a->f);
		return 0;
	}
	*ret_status = j || a->text ? 200 : 500;
	*ret = j;
	return 0;
}

void api_done(struct api *a)
{
	fail_list_done(&a->f);
	free(a->text);
	a->text = NULL;
}
