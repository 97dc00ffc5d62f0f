/* SPDX-License-Identifier: Apache-2.0 */
/* kpolicy_fields.c - the fields that several kinds of Kubernetes policies have. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "policy/doc_priv.h"
#include "policy/kpolicy_priv.h"

#define LABEL_KEY_EXPECTED "NAME or PREFIX/NAME, at most 63 letters, digits, '-', '_', '.'"
#define LABEL_VALUE_EXPECTED "at most 63 letters, digits, '-', '_', '.'"

void selectors_done(struct selectors *s)
{
	for (size_t i = 0; i < s->n; i++)
		selector_done(&s->v[i]);
	vec_done(s);
}

void ports_done(struct ports *p)
{
	for (size_t i = 0; i < p->n; i++)
		port_spec_done(&p->v[i]);
	vec_done(p);
}

const char *kp_words(const char *const *words, size_t n, const char *last, char out[200])
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && at < 200; i++) {
		int k = snprintf(out + at, 200 - at, "%s%s", !i ? "" : i + 1 < n ? ", " : last, words[i]);

		at += k > 0 ? (size_t)k : 0;
	}
	return out;
}

int kp_list(struct doc *d, const cJSON *list, size_t min, size_t max,
	    int (*read)(struct doc *d, const cJSON *v, void *ctx), void *ctx)
{
	char expected[48];

	if (!cJSON_IsArray(list) || list->child)
		return doc_list(d, list, max, read, ctx);
	if (!min)
		return 0;
	snprintf(expected, sizeof(expected), "%zu to %zu items", min, max);
	return doc_fault(d, list, "empty-list", expected, "the list is empty");
}

int kp_object(struct doc *d, const cJSON *v, const struct doc_field *fields, size_t n, void *ctx)
{
	static const cJSON none = { .type = cJSON_Object };

	return doc_object(d, cJSON_IsNull(v) ? &none : v, fields, n, ctx);
}

static bool lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool subdomain(const char *s, size_t n)
{
	if (!n || n > DOC_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool edge = !i || i + 1 == n || s[i] == '.' || s[i - 1] == '.' || s[i + 1] == '.';

		if (!lower_alnum(s[i]) && (s[i] != '-' || edge) &&
		    (s[i] != '.' || !i || i + 1 == n || s[i - 1] == '.'))
			return false;
	}
	return true;
}

bool kp_is_subdomain(const char *s)
{
	return subdomain(s, strlen(s));
}

static bool is_key(const char *s)
{
	const char *slash = strchr(s, '/');

	/* The name half has the same rules as everywhere; a prefix only names no label's length. */
	return slash ? subdomain(s, (size_t)(slash - s)) && !strchr(slash + 1, '/') && is_label_key(slash + 1)
		     : is_label_key(s);
}

/* ---- label selectors -------------------------------------------------------------------------- */

/* The API names the map and not the entry as the place; the message says which entry. */
static int s_match_labels(struct doc *d, const cJSON *v, void *ctx)
{
	struct label_selector *s = ctx;
	const cJSON *m;

	if (!cJSON_IsObject(v))
		return doc_object(d, v, NULL, 0, NULL); /* says what was found instead */
	if ((unsigned)cJSON_GetArraySize(v) > DOC_LABELS_MAX)
		return doc_fault(d, v, "too-many", "at most 256 labels", "there are %d labels",
				 cJSON_GetArraySize(v));
	cJSON_ArrayForEach(m, v) {
		const char *value = cJSON_IsNull(m) ? "" : cJSON_GetStringValue(m);

		if (!is_key(m->string))
			doc_fault(d, v, "label-key", LABEL_KEY_EXPECTED, "\"%.80s\" is no valid label key", m->string);
		else if (!value)
			doc_fault(d, v, "type", "text in quotes", "the value of \"%.80s\" is no text", m->string);
		else if (!is_label_value(value))
			doc_fault(d, v, "label-value", LABEL_VALUE_EXPECTED, "\"%.80s\" is no valid label value",
				  value);
		else if (labels_set(&s->match, m->string, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

struct expr {
	struct label_expr e;
	struct { char **v; size_t n, cap; } values;
	const cJSON *key_at, *values_at;
	bool has_op;
};

static int e_key(struct doc *d, const cJSON *v, void *ctx)
{
	struct expr *x = ctx;
	const char *s;

	x->key_at = v;
	if (!doc_text(d, v, KPOLICY_NAME_MAX, &s))
		return 0;
	if (!is_key(s))
		return doc_fault(d, v, "label-key", LABEL_KEY_EXPECTED, "this is no valid label key");
	return set_str(&x->e.key, s);
}

static int e_operator(struct doc *d, const cJSON *v, void *ctx)
{
	struct expr *x = ctx;
	size_t i;

	if (doc_word(d, v, label_op_words, LABEL_OPS, &i)) {
		x->e.op = (enum label_op)i;
		x->has_op = true;
	}
	return 0;
}

static int e_value(struct doc *d, const cJSON *v, void *ctx)
{
	struct expr *x = ctx;
	const char *s = "";
	char *c;

	if (!cJSON_IsNull(v) && !doc_text(d, v, KPOLICY_NAME_MAX, &s))
		return 0;
	if (!is_label_value(s))
		return doc_fault(d, v, "label-value", LABEL_VALUE_EXPECTED, "this is no valid label value");
	c = strdup(s);
	if (!c || vec_push(&x->values, c)) {
		free(c);
		return -ENOMEM;
	}
	return 0;
}

static int e_values(struct doc *d, const cJSON *v, void *ctx)
{
	struct expr *x = ctx;

	x->values_at = v;
	return kp_list(d, v, 0, KPOLICY_LIST_MAX, e_value, x);
}

struct exprs { struct label_expr *v; size_t n, cap; };

static void expr_done(struct expr *x)
{
	free(x->e.key);
	for (size_t i = 0; i < x->values.n; i++)
		free(x->values.v[i]);
	vec_done(&x->values);
}

static int read_expr(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = {
		{ "key", e_key, true }, { "operator", e_operator, true }, { "values", e_values, false },
	};
	struct exprs *to = ctx;
	struct expr x = {};
	unsigned before = d->faults;
	int r = kp_object(d, v, fields, ARRAY_SIZE(fields), &x);

	if (r == 0 && x.has_op) {
		bool wants = x.e.op == LABEL_IN || x.e.op == LABEL_NOT_IN;
		bool has = x.values_at && (x.values_at->child || !cJSON_IsArray(x.values_at));
		const cJSON *at = x.values_at ? x.values_at : v;
		size_t mark = doc_enter(d, "values");

		if (wants && !has)
			doc_fault(d, at, "values", "at least one value", "operator %s needs values", label_op_words[x.e.op]);
		else if (!wants && has)
			doc_fault(d, at, "values", "key and operator only", "operator %s takes no values",
				  label_op_words[x.e.op]);
		doc_leave(d, mark);
	}
	if (r == 0 && d->faults == before) {
		x.e.values = x.values.v;
		x.e.nvalues = x.values.n;
		r = vec_push(to, x.e);
		if (r == 0)
			return 0;
	}
	expr_done(&x);
	return r;
}

static int s_match_expressions(struct doc *d, const cJSON *v, void *ctx)
{
	struct label_selector *s = ctx;
	struct exprs list = {};
	int r = kp_list(d, v, 0, KPOLICY_LIST_MAX, read_expr, &list);

	s->exprs = list.v;
	s->nexprs = list.n;
	return r;
}

int kp_label_selector(struct doc *d, const cJSON *v, struct label_selector *ret)
{
	static const struct doc_field fields[] = {
		{ "matchLabels", s_match_labels, false }, { "matchExpressions", s_match_expressions, false },
	};
	struct label_selector s = { .set = true };
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &s);

	if (r == 0 && d->faults == before)
		*ret = s;
	else
		label_selector_done(&s);
	return r;
}

/* ---- ports ---------------------------------------------------------------------------------- */

bool kp_port(struct doc *d, const cJSON *v, uint16_t *ret)
{
	uint64_t n;

	if (!doc_u64(d, v, 1, 65535, &n))
		return false;
	*ret = (uint16_t)n;
	return true;
}

bool kp_proto(struct doc *d, const cJSON *v, uint8_t *ret)
{
	static const char *const words[] = { "TCP", "UDP", "SCTP" };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	size_t i;

	if (!doc_word(d, v, words, ARRAY_SIZE(words), &i))
		return false;
	*ret = protos[i];
	return true;
}

/* ---- CIDRs ---------------------------------------------------------------------------------- */

/* Decimal up to max; leading zeros only where they are taken. False: something else stands there. */
static bool decimal(const char **s, const char *end, unsigned max, bool zeros, unsigned *ret)
{
	const char *p = *s;
	unsigned v = 0;

	while (p < end && *p >= '0' && *p <= '9') {
		v = v * 10 + (unsigned)(*p++ - '0');
		if (v > max)
			return false;
	}
	if (p == *s || (!zeros && **s == '0' && p - *s > 1))
		return false;
	*s = p;
	*ret = v;
	return true;
}

static bool ipv4(const char *s, const char *end, bool zeros, uint8_t b[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned v;

		if (i && (s >= end || *s++ != '.'))
			return false;
		if (!decimal(&s, end, 255, zeros, &v))
			return false;
		b[i] = (uint8_t)v;
	}
	return s == end;
}

static void mask(struct prefix *p)
{
	for (unsigned bit = p->plen + (p->v6 ? 0u : 96u); bit < 128; bit++)
		p->addr.b[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
}

/* 0; -EINVAL; -ERANGE: the length, and nothing else, is wrong; -ENOENT: there is none. */
static int cidr_parse(const char *s, bool sloppy, struct prefix *ret)
{
	static const uint8_t v4_head[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	const char *slash = strchr(s, '/'), *p;
	struct prefix x = { .v6 = strchr(s, ':') != NULL };
	char text[INET6_ADDRSTRLEN];
	unsigned plen;

	if (!slash)
		return x.v6 ? (inet_pton(AF_INET6, s, x.addr.b) == 1 ? -ENOENT : -EINVAL)
			    : (ipv4(s, s + strlen(s), sloppy, x.addr.b) ? -ENOENT : -EINVAL);
	if (!x.v6) {
		memcpy(x.addr.b, v4_head, sizeof(v4_head));
		if (!ipv4(s, slash, sloppy, x.addr.b + 12))
			return -EINVAL;
	} else {
		if ((size_t)(slash - s) >= sizeof(text))
			return -EINVAL;
		memcpy(text, s, (size_t)(slash - s));
		text[slash - s] = '\0';
		if (inet_pton(AF_INET6, text, x.addr.b) != 1)
			return -EINVAL;
	}
	p = slash + 1;
	if (!decimal(&p, p + strlen(p), x.v6 ? 128 : 32, sloppy, &plen) || *p)
		return *p && !p[strspn(p, "0123456789")] && (*p != '0' || sloppy) ? -ERANGE : -EINVAL;
	x.plen = (uint8_t)plen;
	if (x.v6 && addr_is_v4(&x.addr)) {
		if (!sloppy)
			return -EINVAL;
		if (plen >= 96) {
			x.v6 = 0;
			x.plen = (uint8_t)(plen - 96);
		}
	}
	mask(&x);
	*ret = x;
	return 0;
}

bool kp_cidr(struct doc *d, const cJSON *v, bool sloppy, struct prefix *ret)
{
	char expected[100];
	const char *s;

	if (!doc_text(d, v, sloppy ? KPOLICY_NAME_MAX : KPOLICY_CIDR_MAX, &s))
		return false;
	switch (cidr_parse(s, sloppy, ret)) {
	case 0:
		return true;
	case -ERANGE:
		doc_fault(d, v, "cidr-length", strchr(s, ':') ? "a length from 0 to 128" : "a length from 0 to 32",
			  "the prefix length is out of range");
		return false;
	case -ENOENT:
		snprintf(expected, sizeof(expected), "%.64s%s for the one address", s, strchr(s, ':') ? "/128" : "/32");
		doc_fault(d, v, "cidr", expected, "the length of the prefix is missing");
		return false;
	default:
		doc_fault(d, v, "cidr", "ADDRESS/LENGTH, such as 10.0.0.0/8 or fd00:20::/48",
			  "this is no address prefix");
		return false;
	}
}
