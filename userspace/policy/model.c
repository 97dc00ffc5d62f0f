/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - ownership: copies and releases of the plain data, and label matching. */
#include "policy/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"
#include "policy/copy.h"

#define LABELS_TEXT_MAX (1u << 20)

/* NULL stays NULL; true when memory sufficed. */
static bool dup_str(const char *s, char **ret)
{
	*ret = s ? strdup(s) : NULL;
	return !s || *ret;
}

#define DONE_ARRAY(v, n, done) ({ \
	for (size_t i_ = 0; i_ < (n); i_++) \
		done(&(v)[i_]); \
	free(v); })

/* ---- labels ----------------------------------------------------------------------------- */

void labels_done(struct labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	free(l->v);
	*l = (struct labels){};
}

static int kv_copy(const struct kv *from, struct kv *to)
{
	struct kv c = {};

	/* An empty value is a value: kept as "". */
	if (!dup_str(from->key, &c.key) || !dup_str(from->value ? from->value : "", &c.value)) {
		free(c.key);
		free(c.value);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

int labels_copy(const struct labels *from, struct labels *to)
{
	struct labels c = {};

	if (!COPY_ARRAY(from->v, from->n, c.v, c.n, kv_copy)) {
		labels_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

/* The pair with that key, or NULL; *ret_at is its index or that of the place where it belongs. */
static struct kv *labels_find(const struct labels *l, const char *key, size_t *ret_at)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strcmp(l->v[mid].key, key);

		if (c == 0) {
			*ret_at = mid;
			return &l->v[mid];
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_at = lo;
	return NULL;
}

int labels_set(struct labels *l, const char *key, const char *value)
{
	size_t i;
	struct kv *p, *have = labels_find(l, key, &i);
	char *k, *v = strdup(value ? value : "");

	if (!v)
		return -ENOMEM;
	if (have) {
		free(have->value);
		have->value = v;
		return 0;
	}
	k = strdup(key);
	p = k ? realloc(l->v, (l->n + 1) * sizeof(*p)) : NULL;
	if (!p) {
		free(k);
		free(v);
		return -ENOMEM;
	}
	l->v = p;
	memmove(&p[i + 1], &p[i], (l->n - i) * sizeof(*p));
	p[i] = (struct kv){ k, v };
	l->n++;
	return 0;
}

const char *labels_get(const struct labels *l, const char *key)
{
	size_t i;
	const struct kv *have = labels_find(l, key, &i);

	return have ? have->value : NULL;
}

int labels_parse(const char *s, struct labels *ret)
{
	auto_free char *text = strdup(s);
	struct labels l = {};
	char *item, *rest = text, *eq;
	int r = -EINVAL;

	if (!text)
		return -ENOMEM;
	while (*s && (item = strsep(&rest, ","))) {
		eq = strchr(item, '=');
		if (!eq)
			goto fail;
		*eq++ = '\0';
		if (!is_label_key(item) || !is_label_value(eq) || labels_get(&l, item))
			goto fail;
		r = labels_set(&l, item, eq);
		if (r < 0)
			goto fail;
		r = -EINVAL;
	}
	*ret = l;
	return 0;
fail:
	labels_done(&l);
	return r;
}

char *labels_str(const struct labels *l)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, LABELS_TEXT_MAX);
	for (size_t i = 0; i < l->n; i++)
		buf_printf(&b, "%s%s=%s", i ? "," : "", l->v[i].key, l->v[i].value);
	return buf_take(&b, NULL);
}

/* ---- label selectors ---------------------------------------------------------------------- */

static void str_done(char **s)
{
	free(*s);
}

static int str_copy(char *const *from, char **to)
{
	return dup_str(*from, to) ? 0 : -ENOMEM;
}

static void expr_done(struct label_expr *e)
{
	free(e->key);
	DONE_ARRAY(e->values, e->nvalues, str_done);
	*e = (struct label_expr){};
}

static int expr_copy(const struct label_expr *from, struct label_expr *to)
{
	struct label_expr c = { .op = from->op };

	if (!dup_str(from->key, &c.key) ||
	    !COPY_ARRAY(from->values, from->nvalues, c.values, c.nvalues, str_copy)) {
		expr_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

void label_selector_done(struct label_selector *s)
{
	labels_done(&s->match);
	DONE_ARRAY(s->exprs, s->nexprs, expr_done);
	*s = (struct label_selector){};
}

int label_selector_copy(const struct label_selector *from, struct label_selector *to)
{
	struct label_selector c = { .set = from->set };

	if (labels_copy(&from->match, &c.match) < 0 ||
	    !COPY_ARRAY(from->exprs, from->nexprs, c.exprs, c.nexprs, expr_copy)) {
		label_selector_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

static bool value_listed(const struct label_expr *e, const char *value)
{
	for (size_t i = 0; i < e->nvalues; i++)
		if (strcmp(e->values[i] ? e->values[i] : "", value) == 0)
			return true;
	return false;
}

bool label_selector_matches(const struct label_selector *s, const struct labels *l)
{
	if (!s->set)
		return false;
	for (size_t i = 0; i < s->match.n; i++) {
		const char *have = labels_get(l, s->match.v[i].key);

		if (!have || strcmp(have, s->match.v[i].value) != 0)
			return false;
	}
	for (size_t i = 0; i < s->nexprs; i++) {
		const struct label_expr *e = &s->exprs[i];
		const char *have = labels_get(l, e->key);
		bool ok = false;

		switch (e->op) {
		case LABEL_IN:
			ok = have && value_listed(e, have);
			break;
		case LABEL_NOT_IN:
			ok = !have || !value_listed(e, have); /* an absent key is in no list */
			break;
		case LABEL_EXISTS:
			ok = have;
			break;
		case LABEL_NOT_EXISTS:
			ok = !have;
			break;
		}
		if (!ok)
			return false;
	}
	return true;
}

/* ---- selectors, ports, rules ---------------------------------------------------------------- */

void selector_done(struct selector *s)
{
	free(s->ns);
	label_selector_done(&s->ns_labels);
	label_selector_done(&s->labels);
	free(s->controller_kind);
	free(s->controller_name);
	free(s->service_account);
	free(s->pod);
	free(s->pod_uid);
	free(s->service);
	free(s->fqdn);
	free(s->except);
	*s = (struct selector){};
}

static int prefix_copy(const struct prefix *from, struct prefix *to)
{
	*to = *from;
	return 0;
}

int selector_copy(const struct selector *from, struct selector *to)
{
	struct selector c = { .kind = from->kind, .reserved = from->reserved, .cidr = from->cidr };

	if (!dup_str(from->ns, &c.ns) || label_selector_copy(&from->ns_labels, &c.ns_labels) < 0 ||
	    label_selector_copy(&from->labels, &c.labels) < 0 ||
	    !dup_str(from->controller_kind, &c.controller_kind) ||
	    !dup_str(from->controller_name, &c.controller_name) ||
	    !dup_str(from->service_account, &c.service_account) || !dup_str(from->pod, &c.pod) ||
	    !dup_str(from->pod_uid, &c.pod_uid) || !dup_str(from->service, &c.service) ||
	    !dup_str(from->fqdn, &c.fqdn) ||
	    !COPY_ARRAY(from->except, from->nexcept, c.except, c.nexcept, prefix_copy)) {
		selector_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

void port_spec_done(struct port_spec *p)
{
	free(p->name);
	*p = (struct port_spec){};
}

int port_spec_copy(const struct port_spec *from, struct port_spec *to)
{
	struct port_spec c = *from;

	if (!dup_str(from->name, &c.name))
		return -ENOMEM;
	*to = c;
	return 0;
}

void rule_done(struct rule *r)
{
	free(r->name);
	free(r->ns);
	free(r->creator);
	DONE_ARRAY(r->from, r->nfrom, selector_done);
	DONE_ARRAY(r->to, r->nto, selector_done);
	DONE_ARRAY(r->ports, r->nports, port_spec_done);
	free(r->access);
	labels_done(&r->labels);
	*r = (struct rule){};
}

int rule_copy(const struct rule *from, struct rule *to)
{
	struct rule c = {
		.id = from->id, .origin = from->origin, .created_ns = from->created_ns,
		.updated_ns = from->updated_ns, .action = from->action, .reject = from->reject,
		.mode = from->mode, .enabled = from->enabled,
	};

	if (!dup_str(from->name, &c.name) || !dup_str(from->ns, &c.ns) ||
	    !dup_str(from->creator, &c.creator) ||
	    !COPY_ARRAY(from->from, from->nfrom, c.from, c.nfrom, selector_copy) ||
	    !COPY_ARRAY(from->to, from->nto, c.to, c.nto, selector_copy) ||
	    !COPY_ARRAY(from->ports, from->nports, c.ports, c.nports, port_spec_copy) ||
	    !dup_str(from->access, &c.access) || labels_copy(&from->labels, &c.labels) < 0) {
		rule_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

/* ---- workloads, namespaces ------------------------------------------------------------------ */

static void named_port_done(struct named_port *p)
{
	free(p->name);
}

static int named_port_copy(const struct named_port *from, struct named_port *to)
{
	struct named_port c = *from;

	if (!dup_str(from->name, &c.name))
		return -ENOMEM;
	*to = c;
	return 0;
}

static void image_done(struct container_image *i)
{
	free(i->name);
	free(i->digest);
	*i = (struct container_image){};
}

static int image_copy(const struct container_image *from, struct container_image *to)
{
	struct container_image c = {};

	if (!dup_str(from->name, &c.name) || !dup_str(from->digest, &c.digest)) {
		image_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

static int addr_copy(const struct addr *from, struct addr *to)
{
	*to = *from;
	return 0;
}

void workload_done(struct workload *w)
{
	free(w->ns);
	free(w->name);
	free(w->uid);
	labels_done(&w->labels);
	free(w->controller_kind);
	free(w->controller_name);
	free(w->service_account);
	free(w->node);
	free(w->addrs);
	DONE_ARRAY(w->ports, w->nports, named_port_done);
	free(w->mode_label);
	DONE_ARRAY(w->images, w->nimages, image_done);
	*w = (struct workload){};
}

int workload_copy(const struct workload *from, struct workload *to)
{
	struct workload c = {};

	if (!dup_str(from->ns, &c.ns) || !dup_str(from->name, &c.name) ||
	    !dup_str(from->uid, &c.uid) || labels_copy(&from->labels, &c.labels) < 0 ||
	    !dup_str(from->controller_kind, &c.controller_kind) ||
	    !dup_str(from->controller_name, &c.controller_name) ||
	    !dup_str(from->service_account, &c.service_account) || !dup_str(from->node, &c.node) ||
	    !COPY_ARRAY(from->addrs, from->naddrs, c.addrs, c.naddrs, addr_copy) ||
	    !COPY_ARRAY(from->ports, from->nports, c.ports, c.nports, named_port_copy) ||
	    !dup_str(from->mode_label, &c.mode_label) ||
	    !COPY_ARRAY(from->images, from->nimages, c.images, c.nimages, image_copy)) {
		workload_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

void namespace_done(struct namespace *n)
{
	free(n->name);
	labels_done(&n->labels);
	*n = (struct namespace){};
}

int namespace_copy(const struct namespace *from, struct namespace *to)
{
	struct namespace c = {};

	if (!dup_str(from->name, &c.name) || labels_copy(&from->labels, &c.labels) < 0) {
		namespace_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

/* ---- modes, quarantine ------------------------------------------------------------------------ */

void mode_setting_done(struct mode_setting *m)
{
	free(m->name);
	label_selector_done(&m->ns_labels);
	free(m->ns);
	free(m->controller_kind);
	free(m->controller_name);
	free(m->workload);
	*m = (struct mode_setting){};
}

int mode_setting_copy(const struct mode_setting *from, struct mode_setting *to)
{
	struct mode_setting c = { .scope = from->scope, .mode = from->mode, .dflt = from->dflt };

	if (!dup_str(from->name, &c.name) || !dup_str(from->ns, &c.ns) ||
	    label_selector_copy(&from->ns_labels, &c.ns_labels) < 0 ||
	    !dup_str(from->controller_kind, &c.controller_kind) ||
	    !dup_str(from->controller_name, &c.controller_name) ||
	    !dup_str(from->workload, &c.workload)) {
		mode_setting_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

void quarantine_done(struct quarantine *q)
{
	free(q->name);
	free(q->ns);
	free(q->pod);
	free(q->uid);
	free(q->controller_kind);
	free(q->controller_name);
	free(q->reason);
	free(q->creator);
	for (size_t i = 0; i < q->nallow; i++)
		DONE_ARRAY(q->allow[i].ports, q->allow[i].nports, port_spec_done);
	free(q->allow);
	*q = (struct quarantine){};
}

int quarantine_copy(const struct quarantine *from, struct quarantine *to)
{
	struct quarantine c = { .since_ns = from->since_ns, .until_ns = from->until_ns };
	bool ok;

	ok = dup_str(from->name, &c.name) && dup_str(from->ns, &c.ns) && dup_str(from->pod, &c.pod) &&
	     dup_str(from->uid, &c.uid) && dup_str(from->controller_kind, &c.controller_kind) &&
	     dup_str(from->controller_name, &c.controller_name) &&
	     dup_str(from->reason, &c.reason) && dup_str(from->creator, &c.creator) &&
	     new_array(&c.allow, from->nallow, sizeof(*c.allow));
	for (size_t i = 0; ok && i < from->nallow; i++) {
		c.nallow = i + 1;
		c.allow[i].cidr = from->allow[i].cidr;
		ok = COPY_ARRAY(from->allow[i].ports, from->allow[i].nports, c.allow[i].ports,
				c.allow[i].nports, port_spec_copy);
	}
	if (!ok) {
		quarantine_done(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}
