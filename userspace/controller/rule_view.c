/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/rule_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "controller/ref.h"

static void sep(struct buf *b, size_t from, const char *s)
{
	if (b->len > from)
		buf_adds(b, s);
}

static void label_selector_add(struct buf *b, size_t from, const struct label_selector *l)
{
	static const char *const word[] = { [LABEL_IN] = " in (", [LABEL_NOT_IN] = " notin (" };

	for (size_t i = 0; i < l->match.n; i++) {
		sep(b, from, ",");
		buf_printf(b, "%s=%s", l->match.v[i].key, l->match.v[i].value);
	}
	for (size_t i = 0; i < l->nexprs; i++) {
		const struct label_expr *e = &l->exprs[i];

		sep(b, from, ",");
		if (e->op == LABEL_EXISTS || e->op == LABEL_NOT_EXISTS) {
			buf_printf(b, "%s%s", e->op == LABEL_NOT_EXISTS ? "!" : "", e->key);
			continue;
		}
		buf_printf(b, "%s%s", e->key, word[e->op]);
		for (size_t k = 0; k < e->nvalues; k++)
			buf_printf(b, "%s%s", k ? "," : "", e->values[k]);
		buf_adds(b, ")");
	}
}

static bool labels_none(const struct label_selector *l)
{
	return !l->set || (!l->match.n && !l->nexprs);
}

static void ns_add(struct buf *b, const struct selector *s, const char *own_ns)
{
	switch (s->kind) {
	case SEL_ANY:
		buf_adds(b, "*");
		break;
	case SEL_RESERVED:
		buf_printf(b, "(%s)", reserved_str(s->reserved));
		break;
	case SEL_CIDR:
		buf_adds(b, "(cidr)");
		break;
	case SEL_FQDN:
		buf_adds(b, "(fqdn)");
		break;
	case SEL_NODES:
		buf_adds(b, "(nodes)");
		break;
	case SEL_WORKLOAD:
	case SEL_SERVICE:
		if (str_set(s->ns))
			buf_adds(b, s->ns);
		else if (!labels_none(&s->ns_labels))
			label_selector_add(b, b->len, &s->ns_labels);
		else
			buf_adds(b, str_set(own_ns) && !s->ns_labels.set ? own_ns : "*");
		break;
	}
}

/* What stands beside the namespace; nothing is added when the namespace says it all. */
static void what_add(struct buf *b, const struct selector *s)
{
	char p[PREFIX_STR_MAX];
	size_t from = b->len;

	switch (s->kind) {
	case SEL_ANY:
	case SEL_RESERVED:
		break;
	case SEL_CIDR:
		buf_adds(b, prefix_str(&s->cidr, p));
		for (size_t i = 0; i < s->nexcept; i++)
			buf_printf(b, "%s%s", i ? "," : " except ", prefix_str(&s->except[i], p));
		break;
	case SEL_FQDN:
		buf_adds(b, s->fqdn);
		break;
	case SEL_NODES:
		label_selector_add(b, from, &s->labels);
		break;
	case SEL_SERVICE:
		buf_printf(b, "svc/%s", s->service);
		break;
	case SEL_WORKLOAD:
		if (!labels_none(&s->labels))
			label_selector_add(b, from, &s->labels);
		if (str_set(s->controller_name)) {
			sep(b, from, ",");
			buf_printf(b, "%s/%s", kind_short(s->controller_kind), s->controller_name);
		}
		if (str_set(s->service_account)) {
			sep(b, from, ",");
			buf_printf(b, "sa/%s", s->service_account);
		}
		if (str_set(s->pod)) {
			sep(b, from, ",");
			buf_printf(b, "pod/%s", s->pod);
		}
		if (str_set(s->pod_uid)) {
			sep(b, from, ",");
			buf_printf(b, "uid/%s", s->pod_uid);
		}
		break;
	}
}

static char *take(struct buf *b, const char *none)
{
	if (!b->len && !b->err)
		buf_adds(b, none);
	if (b->err == -E2BIG) { /* shown, not lost: the document has all of it */
		char *s = b->data ? strdup("(too long to show)") : NULL;

		buf_done(b);
		return s;
	}
	return buf_take(b, NULL);
}

char *selectors_text(const struct selector *s, size_t n)
{
	struct buf b;

	buf_init(&b, RULE_TEXT_MAX);
	for (size_t i = 0; i < n; i++) {
		size_t from;

		sep(&b, 0, " | ");
		if (s[i].kind == SEL_RESERVED) {
			buf_adds(&b, reserved_str(s[i].reserved));
			continue;
		}
		if (s[i].kind == SEL_FQDN) {
			buf_printf(&b, "fqdn/%s", s[i].fqdn);
			continue;
		}
		if (s[i].kind != SEL_CIDR)
			ns_add(&b, &s[i], NULL);
		if (s[i].kind != SEL_CIDR && s[i].kind != SEL_ANY)
			buf_adds(&b, " ");
		from = b.len;
		what_add(&b, &s[i]);
		if (b.len == from && from && b.data[from - 1] == ' ')
			b.data[--b.len] = 0;
	}
	return take(&b, "*");
}

char *selectors_ns_text(const struct selector *s, size_t n, const char *own_ns)
{
	struct buf b;

	buf_init(&b, RULE_TEXT_MAX);
	for (size_t i = 0; i < n; i++) {
		sep(&b, 0, " | ");
		ns_add(&b, &s[i], own_ns);
	}
	return take(&b, "*");
}

char *selectors_label_text(const struct selector *s, size_t n)
{
	struct buf b;

	buf_init(&b, RULE_TEXT_MAX);
	for (size_t i = 0; i < n; i++) {
		size_t from;

		sep(&b, 0, " | ");
		from = b.len;
		what_add(&b, &s[i]);
		if (b.len == from)
			buf_adds(&b, "-");
	}
	return take(&b, "-");
}

char *ports_text(const struct port_spec *p, size_t n)
{
	struct buf b;

	buf_init(&b, RULE_TEXT_MAX);
	for (size_t i = 0; i < n; i++) {
		auto_free char *t = port_spec_str(&p[i]);

		sep(&b, 0, ", ");
		buf_adds(&b, t ? t : "?");
	}
	return take(&b, "any");
}

char *rule_text(const struct rule *r)
{
	auto_free char *from = selectors_text(r->from, r->nfrom), *to = selectors_text(r->to, r->nto);
	auto_free char *ports = ports_text(r->ports, r->nports);
	struct buf b;

	if (!from || !to || !ports)
		return NULL;
	buf_init(&b, 4 * RULE_TEXT_MAX);
	buf_printf(&b, "%s %s -> %s%s%s", cw_action_str(r->action), from, to, r->nports ? " " : "",
		   r->nports ? ports : "");
	return take(&b, "");
}
