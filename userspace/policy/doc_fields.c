/* SPDX-License-Identifier: Apache-2.0 */
/* doc_fields.c - the fields that several kinds of documents have. */
#include "policy/doc_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"

#define KIND_MAX 63
#define UID_MAX 128
#define VALUES_MAX RULE_DOC_LIST_MAX
#define EXPRS_MAX 100u

int set_str(char **dst, const char *s)
{
	char *c = strdup(s);

	if (!c)
		return -ENOMEM;
	free(*dst);
	*dst = c;
	return 0;
}

int read_dns_name(struct doc *d, const cJSON *v, char **ret)
{
	const char *s;

	if (!doc_text(d, v, 4 * DOC_NAME_MAX, &s))
		return 0;
	if (!is_dns_name(s))
		return doc_fault(d, v, "name", "lowercase letters, digits, '-' and '.', at most 253",
				 "this is no valid name");
	return set_str(ret, s);
}

int read_dns_label(struct doc *d, const cJSON *v, char **ret)
{
	const char *s;

	if (!doc_text(d, v, 4 * DOC_NAME_MAX, &s))
		return 0;
	if (!is_dns_label(s))
		return doc_fault(d, v, "name", "lowercase letters, digits and '-', at most 63",
				 "this is no valid name");
	return set_str(ret, s);
}

int read_uid(struct doc *d, const cJSON *v, char **ret)
{
	const char *s;

	if (!doc_text(d, v, UID_MAX, &s))
		return 0;
	if (!*s || s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")])
		return doc_fault(d, v, "uid", "letters, digits, '-', '.' and '_'", "this is no valid uid");
	return set_str(ret, s);
}

int read_port_name(struct doc *d, const cJSON *v, char **ret)
{
	struct port_spec spec = {};
	char text[72];
	const char *s;
	int r;

	if (!doc_text(d, v, 63, &s))
		return 0;
	/* A name is what rules can write after "tcp/". */
	snprintf(text, sizeof(text), "tcp/%s", s);
	r = port_spec_parse(text, &spec);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || spec.kind != PORT_NAMED) {
		port_spec_done(&spec);
		return doc_fault(d, v, "port-name", "at most 15 lowercase letters, digits and '-', one letter at least",
				 "this is no valid port name");
	}
	free(*ret);
	*ret = spec.name;
	return 0;
}

int read_labels(struct doc *d, const cJSON *v, struct labels *ret)
{
	char expected[48];
	const cJSON *m;

	if (!cJSON_IsObject(v))
		return doc_object(d, v, NULL, 0, NULL); /* says what was found instead */
	if ((unsigned)cJSON_GetArraySize(v) > DOC_LABELS_MAX) {
		snprintf(expected, sizeof(expected), "at most %u labels", DOC_LABELS_MAX);
		return doc_fault(d, v, "too-many", expected, "there are %d labels", cJSON_GetArraySize(v));
	}
	cJSON_ArrayForEach(m, v) {
		size_t mark = doc_enter(d, m->string);
		const char *s;

		if (!is_label_key(m->string))
			doc_fault(d, m, "label-key", "NAME or PREFIX/NAME, at most 63 letters, digits, '-', '_', '.'",
				  "this is no valid label key");
		else if (!doc_text(d, m, 4 * DOC_NAME_MAX, &s))
			;
		else if (!is_label_value(s))
			doc_fault(d, m, "label-value", "at most 63 letters, digits, '-', '_', '.'",
				  "this is no valid label value");
		else if (labels_set(ret, m->string, s) < 0)
			return -ENOMEM;
		doc_leave(d, mark);
	}
	return 0;
}

/* ---- matchExpressions --------------------------------------------------------------------- */

struct expr_ctx {
	struct label_expr e;
	const cJSON *values;
	bool has_op;
	size_t cap;
};

static int expr_key(struct doc *d, const cJSON *v, void *ctx)
{
	struct expr_ctx *x = ctx;
	const char *s;

	if (!doc_text(d, v, 4 * DOC_NAME_MAX, &s))
		return 0;
	if (!is_label_key(s))
		return doc_fault(d, v, "label-key", "NAME or PREFIX/NAME, at most 63 letters, digits, '-', '_', '.'",
				 "this is no valid label key");
	return set_str(&x->e.key, s);
}

static int expr_op(struct doc *d, const cJSON *v, void *ctx)
{
	struct expr_ctx *x = ctx;
	size_t i;

	if (doc_word(d, v, label_op_words, LABEL_OPS, &i)) {
		x->e.op = (enum label_op)i;
		x->has_op = true;
	}
	return 0;
}

static int expr_value(struct doc *d, const cJSON *v, void *ctx)
{
	struct expr_ctx *x = ctx;
	const char *s;
	char *c;

	if (!doc_text(d, v, 4 * DOC_NAME_MAX, &s))
		return 0;
	if (!is_label_value(s))
		return doc_fault(d, v, "label-value", "at most 63 letters, digits, '-', '_', '.'",
				 "this is no valid label value");
	c = strdup(s);
	if (!c)
		return -ENOMEM;
	x->e.values[x->e.nvalues++] = c;
	return 0;
}

static int expr_values(struct doc *d, const cJSON *v, void *ctx)
{
	struct expr_ctx *x = ctx;

	x->values = v;
	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= VALUES_MAX) {
		x->e.values = calloc((size_t)cJSON_GetArraySize(v) + 1, sizeof(char *));
		if (!x->e.values)
			return -ENOMEM;
	}
	return doc_list(d, v, VALUES_MAX, expr_value, x);
}

static int read_expr(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = {
		{ "key", expr_key, true }, { "operator", expr_op, true }, { "values", expr_values, false },
	};
	struct label_selector *s = ctx;
	struct expr_ctx x = {};
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &x);

	if (r == 0 && x.has_op) {
		bool wants = x.e.op == LABEL_IN || x.e.op == LABEL_NOT_IN;

		if (wants && !x.values)
			doc_fault(d, v, "missing-field", "values: [...]", "operator %s needs values",
				  label_op_words[x.e.op]);
		else if (!wants && x.values)
			doc_fault(d, x.values, "values", "key and operator only",
				  "operator %s takes no values", label_op_words[x.e.op]);
	}
	/* The array was made for all items by read_exprs. */
	if (r == 0 && d->faults == before) {
		s->exprs[s->nexprs++] = x.e;
		return 0;
	}
	for (size_t i = 0; i < x.e.nvalues; i++)
		free(x.e.values[i]);
	free(x.e.values);
	free(x.e.key);
	return r;
}

int read_exprs(struct doc *d, const cJSON *v, struct label_selector *ret)
{
	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= EXPRS_MAX) {
		ret->exprs = calloc((size_t)cJSON_GetArraySize(v) + 1, sizeof(*ret->exprs));
		if (!ret->exprs)
			return -ENOMEM;
	}
	return doc_list(d, v, EXPRS_MAX, read_expr, ret);
}

/* ---- controllers, prefixes, ports ------------------------------------------------------------ */

int parse_controller(const char *s, char **ret_kind, char **ret_name)
{
	const char *slash = strchr(s, '/');
	char kind[KIND_MAX + 1];
	size_t n = slash ? (size_t)(slash - s) : 0, i;

	for (i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')))
			break;
	if (!n || n > KIND_MAX || i < n || !is_dns_name(slash + 1))
		return -EINVAL;
	memcpy(kind, s, n);
	kind[n] = '\0';
	if (set_str(ret_kind, kind_long(kind)) < 0)
		return -ENOMEM;
	return set_str(ret_name, slash + 1);
}

int read_controller(struct doc *d, const cJSON *v, char **ret_kind, char **ret_name)
{
	const char *s;
	int r;

	if (!doc_text(d, v, DOC_NAME_MAX + KIND_MAX + 1, &s))
		return 0;
	r = parse_controller(s, ret_kind, ret_name);
	if (r == -EINVAL)
		return doc_fault(d, v, "controller", "KIND/NAME, such as Deployment/web",
				 "this names no controller");
	return r;
}

/* The prefix with its host bits cleared, for the hint. */
static void masked(const char *s, char *out, size_t size)
{
	struct prefix p = {};
	const char *slash = strchr(s, '/');
	char text[ADDR_STR_MAX];
	size_t n = slash ? (size_t)(slash - s) : 0;
	uint32_t plen;

	snprintf(out, size, "no bits set beyond the prefix length");
	if (!n || n >= sizeof(text))
		return;
	memcpy(text, s, n);
	text[n] = '\0';
	if (addr_parse(text, &p.addr) < 0)
		return;
	p.v6 = !addr_is_v4(&p.addr);
	if (parse_u32(slash + 1, 0, p.v6 ? 128 : 32, &plen) < 0)
		return;
	p.plen = (uint8_t)plen;
	for (unsigned bit = plen + (p.v6 ? 0 : 96); bit < 128; bit++)
		p.addr.b[bit / 8] &= (uint8_t)~(0x80u >> (bit % 8));
	prefix_str(&p, out);
}

bool read_prefix(struct doc *d, const cJSON *v, struct prefix *ret)
{
	char expected[PREFIX_STR_MAX + 40];
	const char *s;

	if (!doc_text(d, v, 4 * PREFIX_STR_MAX, &s))
		return false;
	switch (prefix_parse(s, ret)) {
	case 0:
		return true;
	case -ERANGE:
		doc_fault(d, v, "cidr-length", strchr(s, ':') ? "a length from 0 to 128" : "a length from 0 to 32",
			  "the prefix length is out of range");
		return false;
	case -EDOM:
		masked(s, expected, sizeof(expected));
		doc_fault(d, v, "cidr-host-bits", expected, "bits are set beyond the prefix length");
		return false;
	default:
		doc_fault(d, v, "cidr", "ADDRESS/LENGTH, such as 10.0.0.0/8 or fd00:20::/48",
			  "this is no address prefix");
		return false;
	}
}

int read_port(struct doc *d, const cJSON *v, struct port_spec *ret, bool *ret_ok)
{
	char expected[96];
	const char *s;
	int r;

	*ret_ok = false;
	if (!doc_text(d, v, 256, &s))
		return 0;
	r = port_spec_parse(s, ret);
	switch (r) {
	case 0:
		*ret_ok = true;
		return 0;
	case -EDOM:
		snprintf(expected, sizeof(expected),
			 "%.*s/LOW-HIGH, each from 1 to 65535, LOW not above HIGH",
			 (int)strcspn(s, "/") > 8 ? 8 : (int)strcspn(s, "/"), s);
		return doc_fault(d, v, "port-range", expected, "the port range ends below its start");
	case -ERANGE:
		return doc_fault(d, v, "port-number",
				 strncmp(s, "icmp", 4) == 0 || strncmp(s, "proto", 5) == 0
					 ? "a number from 0 to 255" : "a port from 1 to 65535",
				 "the number is out of range");
	case -ENOMEM:
		return r;
	default:
		return doc_fault(d, v, "port",
				 "tcp/5432, tcp/8000-8100, tcp/NAME, udp/..., sctp/..., icmp/TYPE, icmpv6/TYPE, proto/NUMBER or any",
				 "this is no port");
	}
}

struct ports_ctx {
	struct port_spec *v;
	size_t n;
};

static int ports_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct ports_ctx *x = ctx;
	bool ok;
	int r = read_port(d, v, &x->v[x->n], &ok);

	x->n += r == 0 && ok;
	return r;
}

int read_ports(struct doc *d, const cJSON *v, struct port_spec **ret, size_t *ret_n)
{
	struct ports_ctx x = {};
	int r;

	if (cJSON_IsArray(v) && !v->child)
		return doc_fault(d, v, "empty-list", "at least one port; for all ports, leave the field out",
				 "the list is empty");
	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= RULE_DOC_LIST_MAX) {
		x.v = calloc((size_t)cJSON_GetArraySize(v) + 1, sizeof(*x.v));
		if (!x.v)
			return -ENOMEM;
	}
	r = doc_list(d, v, RULE_DOC_LIST_MAX, ports_item, &x);
	*ret = x.v;
	*ret_n = x.n;
	return r;
}
