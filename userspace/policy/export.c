/* SPDX-License-Identifier: Apache-2.0 */
/* export.c - rule by rule, side by side, and the default last. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/htab.h"
#include "policy/export_priv.h"
#include "policy/kpolicy.h"

int export_target_parse(const char *s, enum export_target *ret)
{
	static const char *const word[] = { "networkpolicy", "clusternetworkpolicy", "cilium" };

	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++) {
		if (strcmp(word[i], s))
			continue;
		*ret = (enum export_target)i;
		return 0;
	}
	return -EINVAL;
}

static void words_free(struct export_word *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].text);
	}
	free(v);
}

void export_result_done(struct export_result *r)
{
	cJSON_Delete(r->objects);
	words_free(r->refused, r->nrefused);
	words_free(r->notes, r->nnotes);
	*r = (struct export_result){};
}

/* ---- words --------------------------------------------------------------------------------------- */

int xport_word(struct export_word **v, size_t *n, const char *name, const char *text)
{
	struct export_word w, *p;

	for (size_t i = 0; i < *n; i++)
		if (!strcmp((*v)[i].name, name) && !strcmp((*v)[i].text, text))
			return 0;
	p = realloc(*v, (*n + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	*v = p;
	w = (struct export_word){ strdup(name), strdup(text) };
	if (!w.name || !w.text) {
		free(w.name);
		free(w.text);
		return -ENOMEM;
	}
	p[(*n)++] = w;
	return 0;
}

int xport_refuse(struct xport *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(x->why, sizeof(x->why), fmt, ap);
	va_end(ap);
	return -ENOTSUP;
}

int xport_note(struct xport *x, const char *fmt, ...)
{
	char text[EXPORT_REASON_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return xport_word(&x->out->notes, &x->out->nnotes, x->name, text);
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

void xj_add(struct xport *x, cJSON *in, const char *key, cJSON *it)
{
	if (in && it && (key ? cJSON_AddItemToObject(in, key, it) : cJSON_AddItemToArray(in, it)))
		return;
	cJSON_Delete(it);
	x->oom = true;
}

/* The child of `in`, or NULL. */
static cJSON *kept(struct xport *x, cJSON *in, const char *key, cJSON *it)
{
	xj_add(x, in, key, it);
	return x->oom ? NULL : it;
}

cJSON *xj_obj(struct xport *x, cJSON *in, const char *key)
{
	return kept(x, in, key, cJSON_CreateObject());
}

cJSON *xj_arr(struct xport *x, cJSON *in, const char *key)
{
	return kept(x, in, key, cJSON_CreateArray());
}

void xj_str(struct xport *x, cJSON *in, const char *key, const char *s)
{
	xj_add(x, in, key, cJSON_CreateString(s));
}

void xj_num(struct xport *x, cJSON *in, const char *key, double n)
{
	xj_add(x, in, key, cJSON_CreateNumber(n));
}

const char *xport_name(const struct xport *x, const struct xside *s, char out[254])
{
	char tail[24] = "";

	if (s->index)
		snprintf(tail, sizeof(tail), "-%u", s->index + 1);
	snprintf(out, 254, "%.200s-%s%s", x->rule->name, s->side == CW_EGRESS ? "egress" : "ingress", tail);
	return out;
}

cJSON *xport_object(struct xport *x, const char *api, const char *kind, const char *ns, const char *name)
{
	cJSON *o = xj_obj(x, x->pending, NULL), *meta;
	char own[280], key[700];
	unsigned again = 1;
	int n;

	snprintf(own, sizeof(own), "%s", name);
	/* Two rules may lead to the same name: shop/web and the cluster's own web. */
	while ((n = snprintf(key, sizeof(key), "%s %s %s", kind, ns ? ns : "", own)) > 0 && htab_has(x->names, key, (size_t)n))
		snprintf(own, sizeof(own), "%.240s-x%u", name, ++again);
	if (htab_set(x->names, key, (size_t)n, x, NULL))
		x->oom = true;
	xj_str(x, o, "apiVersion", api);
	xj_str(x, o, "kind", kind);
	meta = xj_obj(x, o, "metadata");
	xj_str(x, meta, "name", own);
	if (given(ns))
		xj_str(x, meta, "namespace", ns);
	return xj_obj(x, o, "spec");
}

/* ---- defaults ------------------------------------------------------------------------------------ */

static struct xdefault *default_of(struct xport *x, const char *ns)
{
	struct xdefault *v;

	for (size_t i = 0; i < x->ndflt; i++)
		if (!strcmp(x->dflt[i].ns, ns))
			return &x->dflt[i];
	v = realloc(x->dflt, (x->ndflt + 1) * sizeof(*v));
	if (!v)
		return NULL;
	x->dflt = v;
	v[x->ndflt] = (struct xdefault){ .ns = ns };
	return &v[x->ndflt++];
}

static int defaults_read(struct xport *x)
{
	const struct policy_state *st = x->st;
	const struct mode_setting *from;
	enum cw_action dflt;
	enum cw_mode mode;

	for (size_t i = 0; i < st->nworkloads; i++) {
		struct xdefault *d = default_of(x, st->workloads[i].ns);

		if (!d)
			return -ENOMEM;
		policy_state_mode(st, &st->workloads[i], &mode, &dflt, &from);
		d->block = d->block || dflt == CW_ACT_BLOCK;
		d->allow = d->allow || dflt != CW_ACT_BLOCK;
	}
	for (size_t i = 0; i < st->nnamespaces; i++) {
		struct workload any = { .ns = st->namespaces[i].name };
		struct xdefault *d = default_of(x, any.ns);

		if (!d)
			return -ENOMEM;
		if (d->block || d->allow)
			continue;
		policy_state_mode(st, &any, &mode, &dflt, &from);
		d->block = dflt == CW_ACT_BLOCK;
		d->allow = !d->block;
	}
	return 0;
}

const struct xdefault *xport_default(const struct xport *x, const char *ns)
{
	for (size_t i = 0; i < x->ndflt; i++)
		if (!strcmp(x->dflt[i].ns, ns))
			return &x->dflt[i];
	return NULL;
}

/* ---- one rule ------------------------------------------------------------------------------------ */

static bool has_addr_in(const struct policy_state *st, const struct selector *s)
{
	for (size_t i = 0; i < st->nworkloads; i++) {
		for (size_t a = 0; a < st->workloads[i].naddrs; a++) {
			bool in = prefix_has(&s->cidr, &st->workloads[i].addrs[a]);

			for (size_t e = 0; e < s->nexcept && in; e++)
				in = !prefix_has(&s->except[e], &st->workloads[i].addrs[a]);
			if (in)
				return true;
		}
	}
	return false;
}

/* A NetworkPolicy that decides before a learned rule is asked would be joined by it, not followed. */
static int learned_below(struct xport *x, enum cw_side side, const struct selector *subject)
{
	for (size_t i = 0; i < x->st->nkpolicies; i++) {
		const struct kpolicy *k = &x->st->kpolicies[i];

		if (k->kind != KPOLICY_NP || !k->isolates[side] || (subject->ns && *subject->ns && strcmp(subject->ns, k->ns)))
			continue;
		if (xport_ns_matches(x->st, subject, k->ns))
			return xport_refuse(x, "NetworkPolicy %s/%s may isolate its subject and is asked before learned rules",
					    k->ns, k->name);
	}
	return 0;
}

/* What a selector means as a subject: *ret is empty (kind SEL_CIDR, plen 255) where it speaks for nobody. */
static int subject_of(struct xport *x, const struct selector *plain, struct selector *ret, bool *ret_none)
{
	const struct rule *r = x->rule;
	struct selector s = {};
	int e;

	*ret_none = true;
	if (plain->kind == SEL_CIDR && has_addr_in(x->st, plain))
		return xport_refuse(x, "a block that holds pods speaks for them too, and policies select pods by labels only");
	if (plain->kind != SEL_ANY && plain->kind != SEL_WORKLOAD)
		return 0; /* nobody of that kind is enforced */
	if (plain->kind == SEL_ANY) {
		s.kind = SEL_WORKLOAD;
		s.labels.set = true;
		s.ns_labels.set = !given(r->ns);
		e = 0;
	} else {
		e = selector_copy(plain, &s);
	}
	if (e)
		return e;
	if (given(r->ns) && (!s.ns || !*s.ns || strcmp(s.ns, r->ns))) {
		/* It speaks only for its own namespace. */
		if (given(s.ns) || (s.ns_labels.set && !xport_ns_matches(x->st, &s, r->ns))) {
			selector_done(&s);
			return 0;
		}
		if (s.ns_labels.set && (s.ns_labels.match.n || s.ns_labels.nexprs))
			e = xport_note(x, "selects its own namespace by labels: %s as it matches now", r->ns);
		label_selector_done(&s.ns_labels);
		s.ns_labels = (struct label_selector){};
		s.ns = strdup(r->ns);
		e = s.ns ? e : -ENOMEM;
	}
	if (e) {
		selector_done(&s);
		return e;
	}
	*ret = s;
	*ret_none = false;
	return 0;
}

static int side_out(struct xport *x, const struct xside *s)
{
	switch (x->target) {
	case EXPORT_NETWORKPOLICY:
		return xport_np_side(x, s);
	case EXPORT_CLUSTERNETWORKPOLICY:
		return xport_cnp_side(x, s);
	case EXPORT_CILIUM:
		return xport_cilium_side(x, s);
	}
	return -EINVAL;
}

static int one_side(struct xport *x, enum cw_side side, const struct selector *subjects, size_t nsubjects,
		    const struct selector *peers, size_t npeers)
{
	struct xside s = { .side = side, .peers = peers, .npeers = npeers };
	int e = 0;

	for (size_t i = 0; i < nsubjects && !e; i++) {
		auto_cleanup(selector_done) struct selector subject = {};
		bool none;

		e = subject_of(x, &subjects[i], &subject, &none);
		if (e || none)
			continue;
		if (x->rule->origin == ORIGIN_LEARNED && x->target != EXPORT_CLUSTERNETWORKPOLICY)
			e = learned_below(x, side, &subject);
		s.subject = &subject;
		e = e ? e : side_out(x, &s);
		s.index++;
	}
	return e;
}

static int plain_all(struct xport *x, const struct selector *v, size_t n, struct selector **ret)
{
	struct selector *p = calloc(n ? n : 1, sizeof(*p));
	int e = p ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !e; i++)
		e = xport_plain(x, &v[i], &p[i]);
	*ret = p;
	return e;
}

static void plain_free(struct selector *p, size_t n)
{
	for (size_t i = 0; p && i < n; i++)
		selector_done(&p[i]);
	free(p);
}

static int both_sides(struct xport *x)
{
	const struct rule *r = x->rule;
	struct selector *from = NULL, *to = NULL;
	int e;

	if (!r->enabled)
		return xport_refuse(x, "it is disabled");
	if (r->mode == CW_MODE_ALERT)
		return xport_refuse(x, "its own mode is alert: it is only compared, and no object stands for that");
	if (r->action == CW_ACT_ALERT)
		return xport_refuse(x, "its action is alert: the target has no word for passing with an alert");
	for (size_t i = 0; i < r->nports; i++)
		if (r->ports[i].kind == PORT_RANGE && !r->ports[i].from)
			return xport_refuse(x, "it speaks of port 0, and ports begin at 1 there");
	if (r->reject) {
		e = xport_note(x, "blocks without an answer there: the target has no word for reject");
		if (e)
			return e;
	}
	e = plain_all(x, r->from, r->nfrom, &from);
	e = e ? e : plain_all(x, r->to, r->nto, &to);
	e = e ? e : one_side(x, CW_EGRESS, from, r->nfrom, to, r->nto);
	e = e ? e : one_side(x, CW_INGRESS, to, r->nto, from, r->nfrom);
	plain_free(from, r->nfrom);
	plain_free(to, r->nto);
	return e;
}

/* What comes out must go in again. */
static int read_back(struct xport *x)
{
	const cJSON *o;

	if (x->target == EXPORT_CILIUM)
		return 0;
	cJSON_ArrayForEach(o, x->pending) {
		auto_cleanup(fail_list_done) struct fail_list f = {};
		struct kpolicy k = {};
		int e = kpolicy_parse(o, x->name, &f, &k);

		kpolicy_done(&k);
		if (e == -ENOMEM)
			return e;
		if (e)
			return xport_refuse(x, "%.200s: %.150s", f.n && f.items[0].at ? f.items[0].at : "-",
					    f.n ? f.items[0].message : "the object is not valid");
	}
	return 0;
}

/* Objects of one rule, all or none. */
static int settle(struct xport *x, int e, bool *ret_done)
{
	*ret_done = false;
	if (!e)
		e = x->oom ? -ENOMEM : read_back(x);
	if (e == -ENOTSUP) {
		e = xport_word(&x->out->refused, &x->out->nrefused, x->name, x->why);
	} else if (!e) {
		while (x->pending->child)
			xj_add(x, x->out->objects, NULL, cJSON_DetachItemFromArray(x->pending, 0));
		*ret_done = true;
	}
	while (x->pending->child)
		cJSON_DeleteItemFromArray(x->pending, 0);
	return x->oom ? -ENOMEM : e;
}

static int one_rule(struct xport *x, const struct rule *r)
{
	char name[600];
	bool done;
	int e;

	snprintf(name, sizeof(name), "%s%s%s", given(r->ns) ? r->ns : "", given(r->ns) ? "/" : "", r->name);
	x->rule = r;
	x->name = name;
	e = settle(x, both_sides(x), &done);
	x->name = NULL;
	x->out->nrules += done;
	return e;
}

static int tiers_between(struct xport *x)
{
	for (size_t i = 0; i < x->st->nkpolicies; i++) {
		const struct kpolicy *k = &x->st->kpolicies[i];

		if (x->target == EXPORT_NETWORKPOLICY && k->tier == CW_TIER_BASELINE)
			return xport_refuse(x, "%s %s would not be asked any more: a NetworkPolicy that isolates comes before it",
					    kpolicy_kind_str(k->kind), k->name);
	}
	return 0;
}

static int defaults_out(struct xport *x)
{
	bool done;
	int e;

	x->rule = NULL;
	x->name = "(default)";
	for (size_t i = 0; i < x->ndflt; i++) {
		char text[EXPORT_REASON_MAX];

		if (!x->dflt[i].block || !x->dflt[i].allow)
			continue;
		snprintf(text, sizeof(text), "workloads of %.200s have different defaults", x->dflt[i].ns);
		e = xport_word(&x->out->refused, &x->out->nrefused, x->name, text);
		if (e)
			return e;
	}
	e = tiers_between(x);
	if (!e)
		e = x->target == EXPORT_NETWORKPOLICY ? xport_np_default(x) :
		    x->target == EXPORT_CILIUM ? xport_cilium_default(x) : xport_cnp_default(x);
	return settle(x, e, &done);
}

int policy_export(const struct policy_state *st, const struct rule *const *rules, size_t n,
		  const char *const *ns, size_t nns, enum export_target target, struct export_result *ret)
{
	struct export_result out = { .objects = cJSON_CreateArray() };
	struct xport x = { .st = st, .target = target, .scope = ns, .nscope = nns, .out = &out,
			   .pending = cJSON_CreateArray(), .names = htab_new() };
	int e = out.objects && x.pending && x.names ? defaults_read(&x) : -ENOMEM;

	for (size_t i = 0; i < n && !e; i++)
		e = one_rule(&x, rules[i]);
	e = e ? e : defaults_out(&x);
	cJSON_Delete(x.pending);
	htab_free(x.names, NULL);
	free(x.dflt);
	if (e) {
		export_result_done(&out);
		return e;
	}
	*ret = out;
	return 0;
}
