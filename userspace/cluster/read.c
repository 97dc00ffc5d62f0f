/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - typed fields of API objects. What the server wrote is not trusted to be what it should be. */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strparse.h"
#include "cluster/priv.h"

static const char *type_word(const cJSON *v)
{
	return cJSON_IsObject(v) ? "an object" : cJSON_IsArray(v) ? "a list" : cJSON_IsString(v) ? "text" :
	       cJSON_IsNumber(v) ? "a number" : cJSON_IsBool(v) ? "true or false" : "nothing";
}

void rd_fault(struct rd *r, const cJSON *v, const char *name, const char *expected, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)doc_fault(&r->d, v, name, expected, "%s", text); /* always 0 */
}

void rd_nomem(struct rd *r)
{
	r->nomem = true;
}

static void fault_at(struct rd *r, const cJSON *v, const char *key, const char *name, const char *expected,
		     const char *text)
{
	size_t mark = doc_enter(&r->d, key);

	rd_fault(r, v, name, expected, "%s", text);
	doc_leave(&r->d, mark);
}

static const cJSON *absent_or_wrong(struct rd *r, const cJSON *v, const char *key, const char *expected)
{
	char text[64];

	if (v && !cJSON_IsNull(v)) {
		snprintf(text, sizeof(text), "the value is %s", type_word(v));
		fault_at(r, v, key, "type", expected, text);
	}
	return NULL;
}

const cJSON *rd_object(struct rd *r, const cJSON *o, const char *key)
{
	const cJSON *v = json_get(o, key);

	return cJSON_IsObject(v) ? v : absent_or_wrong(r, v, key, "an object");
}

const cJSON *rd_list(struct rd *r, const cJSON *o, const char *key, size_t max)
{
	const cJSON *v = json_get(o, key), *i;
	char text[96];
	size_t n = 0;

	if (!cJSON_IsArray(v))
		return absent_or_wrong(r, v, key, "a list");
	cJSON_ArrayForEach(i, v)
		n++;
	if (n <= max)
		return v;
	snprintf(text, sizeof(text), "the list has %zu items, at most %zu are read", n, max);
	fault_at(r, NULL, key, "too-many", "a shorter list", text);
	return NULL;
}

const char *rd_text(struct rd *r, const cJSON *o, const char *key, size_t max)
{
	const cJSON *v = json_get(o, key);
	char text[64];

	if (!cJSON_IsString(v)) {
		absent_or_wrong(r, v, key, "text");
		return NULL;
	}
	if (strlen(v->valuestring) <= max)
		return v->valuestring;
	snprintf(text, sizeof(text), "the text is longer than %zu bytes", max);
	fault_at(r, v, key, "too-long", "a shorter text", text);
	return NULL;
}

const char *rd_word(struct rd *r, const cJSON *o, const char *key, bool (*ok)(const char *s), const char *expected)
{
	const char *s = rd_text(r, o, key, VALUE_MAX_BYTES);

	if (!s || !*s)
		return NULL;
	if (ok(s))
		return s;
	fault_at(r, json_get(o, key), key, "name", expected, "this is no valid name");
	return NULL;
}

bool rd_int(struct rd *r, const cJSON *o, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	const cJSON *v = json_get(o, key);
	char text[64];

	if (!cJSON_IsNumber(v)) {
		absent_or_wrong(r, v, key, "a number");
		return false;
	}
	if (v->valuedouble >= (double)min && v->valuedouble <= (double)max && floor(v->valuedouble) == v->valuedouble) {
		*ret = (int64_t)v->valuedouble;
		return true;
	}
	snprintf(text, sizeof(text), "%lld to %lld", (long long)min, (long long)max);
	fault_at(r, v, key, "range", text, "the number is out of range");
	return false;
}

bool rd_bool(struct rd *r, const cJSON *o, const char *key, bool dflt)
{
	const cJSON *v = json_get(o, key);

	if (cJSON_IsBool(v))
		return cJSON_IsTrue(v);
	absent_or_wrong(r, v, key, "true or false");
	return dflt;
}

uint8_t rd_proto(struct rd *r, const cJSON *o, const char *key)
{
	const char *s = rd_text(r, o, key, VALUE_MAX_BYTES);

	if (!s || strcmp(s, "TCP") == 0)
		return IPPROTO_TCP;
	if (strcmp(s, "UDP") == 0)
		return IPPROTO_UDP;
	if (strcmp(s, "SCTP") == 0)
		return IPPROTO_SCTP;
	fault_at(r, json_get(o, key), key, "protocol", "TCP, UDP or SCTP", "this is no protocol of the API");
	return IPPROTO_TCP;
}

static bool is_host_addr(const struct addr *a)
{
	static const struct addr loopback6 = { { [15] = 1 } };

	if (addr_is_zero(a))
		return false;
	if (addr_is_v4(a)) /* 0/8, 127/8, 224/4 and above */
		return a->b[12] != 0 && a->b[12] != 127 && a->b[12] < 224;
	return a->b[0] != 0xff && addr_cmp(a, &loopback6) != 0;
}

bool rd_addr(struct rd *r, const cJSON *v, struct addr *ret)
{
	const char *s = cJSON_GetStringValue(v);
	struct addr a;

	if (s && strlen(s) < ADDR_STR_MAX && addr_parse(s, &a) == 0 && is_host_addr(&a)) {
		*ret = a;
		return true;
	}
	rd_fault(r, v, "address", "an IPv4 or IPv6 address of one machine", "this is no such address");
	return false;
}

const char *rd_pool(struct rd *r, const char *s)
{
	const char *p = s ? pool_get(&r->c->pool, s) : NULL;

	if (s && !p)
		rd_nomem(r);
	return p;
}

/* ---- labels ------------------------------------------------------------------------------ */

size_t rd_labels_count(const cJSON *meta)
{
	const cJSON *labels = json_get(meta, "labels"), *i;
	size_t n = 0;

	if (!cJSON_IsObject(labels))
		return 0;
	cJSON_ArrayForEach(i, labels)
		n++;
	return n <= CLUSTER_LABELS_MAX ? n : 0;
}

typedef void label_fn(struct rd *r, const char *k, const char *v, void *arg);

/* Calls add for each good one. */
static void each_label(struct rd *r, const cJSON *meta, label_fn *add, void *arg)
{
	size_t at = doc_enter(&r->d, "metadata"), n = 0, mark;
	const cJSON *labels = rd_object(r, meta, "labels"), *i;

	doc_enter(&r->d, "labels");
	cJSON_ArrayForEach(i, labels)
		n++;
	if (n > CLUSTER_LABELS_MAX) {
		rd_fault(r, NULL, "too-many", "fewer labels", "the object has %zu labels, at most %u are read", n,
			 CLUSTER_LABELS_MAX);
		labels = NULL;
	}
	cJSON_ArrayForEach(i, labels) {
		const char *v = cJSON_IsNull(i) ? "" : cJSON_GetStringValue(i);

		if (i->string && v && is_label_key(i->string) && is_label_value(v)) {
			add(r, i->string, v, arg);
			continue;
		}
		mark = doc_enter(&r->d, i->string ? i->string : "");
		rd_fault(r, i, "label", "a label as the API takes it", "this is no valid label");
		doc_leave(&r->d, mark);
	}
	doc_leave(&r->d, at);
}

struct pooled { struct kv *v; size_t *n; };

static void add_pooled(struct rd *r, const char *k, const char *v, void *arg)
{
	struct pooled *to = arg;
	const char *key = rd_pool(r, k), *value = rd_pool(r, v);

	to->v[(*to->n)++] = (struct kv){ (char *)key, (char *)value };
}

static int kv_cmp(const void *a, const void *b)
{
	const char *ka = ((const struct kv *)a)->key, *kb = ((const struct kv *)b)->key;

	return strcmp(ka ? ka : "", kb ? kb : "");
}

void rd_labels_pooled(struct rd *r, const cJSON *meta, struct kv *v, size_t *n)
{
	struct pooled to = { v, n };
	size_t kept = 0;

	each_label(r, meta, add_pooled, &to);
	if (*n)
		qsort(v, *n, sizeof(*v), kv_cmp);
	for (size_t i = 0; i < *n; i++) {
		if (!kept || kv_cmp(&v[i], &v[kept - 1]) != 0) {
			v[kept++] = v[i];
			continue;
		}
		/* No server sends a key twice; pooled texts are given back. */
		rd_fault(r, NULL, "label", "each label once", "label %s is given twice", v[i].key ? v[i].key : "");
		pool_put(&r->c->pool, v[i].key);
		pool_put(&r->c->pool, v[i].value);
	}
	*n = kept;
}

static void add_owned(struct rd *r, const char *k, const char *v, void *arg)
{
	if (labels_set(arg, k, v) < 0)
		rd_nomem(r);
}

void rd_labels(struct rd *r, const cJSON *meta, struct labels *ret)
{
	each_label(r, meta, add_owned, ret);
}

const char *rd_mode(struct rd *r, const cJSON *meta)
{
	const cJSON *v = json_get(json_get(meta, "labels"), LABEL_MODE);
	const char *s = cJSON_GetStringValue(v);
	enum cw_mode mode;
	size_t mark;

	if (!s || cw_mode_parse(s, &mode) == 0)
		return s;
	mark = doc_enter(&r->d, "metadata.labels");
	doc_enter(&r->d, LABEL_MODE);
	rd_fault(r, v, "mode-label", "off, learn, alert or enforce", "this is no mode; the label has no effect");
	doc_leave(&r->d, mark);
	return NULL;
}

bool is_uid(const char *s)
{
	size_t n = strlen(s);

	return n && n <= CLUSTER_UID_MAX &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")];
}
