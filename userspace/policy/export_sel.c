/* SPDX-License-Identifier: Apache-2.0 */
/* export_sel.c - selectors reduced to namespaces and labels, and written as Kubernetes writes them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/export_priv.h"

/* ---- who is meant now ----------------------------------------------------------------------------- */

bool xport_ns_matches(const struct policy_state *st, const struct selector *s, const char *ns)
{
	struct labels l = {};
	bool hit = false;

	if (given(s->ns))
		return !strcmp(s->ns, ns);
	if (!s->ns_labels.set)
		return true;
	for (size_t i = 0; i < st->nnamespaces; i++)
		if (!strcmp(st->namespaces[i].name, ns) && labels_copy(&st->namespaces[i].labels, &l))
			return false;
	if (labels_get(&l, EXPORT_NS_LABEL) || !labels_set(&l, EXPORT_NS_LABEL, ns))
		hit = label_selector_matches(&s->ns_labels, &l);
	labels_done(&l);
	return hit;
}

int xport_each_ns(struct xport *x, const struct selector *s, int (*fn)(struct xport *x, const char *ns, void *arg),
		  void *arg)
{
	int e = 0;

	if (given(s->ns))
		return fn(x, s->ns, arg);
	for (size_t i = 0; i < x->ndflt && !e; i++)
		if (xport_ns_matches(x->st, s, x->dflt[i].ns))
			e = fn(x, x->dflt[i].ns, arg);
	return e ? e : xport_note(x, "selects namespaces by labels: one object for each that matches now");
}

static bool kind_eq(const char *a, const char *b)
{
	const char *la = a ? kind_long(a) : NULL, *lb = b ? kind_long(b) : NULL;

	return a && b && (!strcmp(a, b) || !strcmp(la ? la : a, lb ? lb : b));
}

/* `labels` may stand in for the selector's properties of a pod. */
static bool selects(const struct policy_state *st, const struct selector *s, const struct workload *w, bool by_labels)
{
	if (!xport_ns_matches(st, s, w->ns) || (s->labels.set && !label_selector_matches(&s->labels, &w->labels)))
		return false;
	return by_labels || ((!given(s->controller_name) || (given(w->controller_name) &&
							     !strcmp(s->controller_name, w->controller_name) &&
							     kind_eq(s->controller_kind, w->controller_kind))) &&
			     (!given(s->service_account) || (w->service_account &&
							     !strcmp(s->service_account, w->service_account))) &&
			     (!given(s->pod) || !strcmp(s->pod, w->name)) &&
			     (!given(s->pod_uid) || (w->uid && !strcmp(s->pod_uid, w->uid))));
}

/* ---- properties as labels ------------------------------------------------------------------------- */

/* Labels of one replica or one rollout say nothing that lasts. */
static bool is_noise(const struct policy_state *st, const char *key)
{
	static const char *const noise[] = { "pod-template-hash", "controller-revision-hash", "pod-template-generation",
		"controller-uid", "batch.kubernetes.io/controller-uid", "apps.kubernetes.io/pod-index",
		"batch.kubernetes.io/job-completion-index", "statefulset.kubernetes.io/pod-name" };

	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
		if (!strcmp(noise[i], key))
			return true;
	for (size_t i = 0; i < st->nignore_labels; i++)
		if (!strcmp(st->ignore_labels[i], key))
			return true;
	return false;
}

/* Does the selector with these labels for its properties mean the same workloads? */
static bool same_now(const struct policy_state *st, const struct selector *s, const struct labels *l)
{
	const struct label_selector all = { .set = true, .match = *l };

	for (size_t i = 0; i < st->nworkloads; i++) {
		const struct workload *w = &st->workloads[i];
		bool now = selects(st, s, w, true) && label_selector_matches(&all, &w->labels);

		if (now != selects(st, s, w, false))
			return false;
	}
	return true;
}

/* Labels that all of them have, without the noise. */
static int common_labels(const struct policy_state *st, const struct selector *s, struct labels *ret, size_t *ret_n)
{
	struct labels l = {};
	size_t n = 0;
	int e = 0;

	for (size_t i = 0; i < st->nworkloads && !e; i++) {
		const struct workload *w = &st->workloads[i];

		if (!selects(st, s, w, false))
			continue;
		if (!n++) {
			for (size_t k = 0; k < w->labels.n && !e; k++)
				if (!is_noise(st, w->labels.v[k].key))
					e = labels_set(&l, w->labels.v[k].key, w->labels.v[k].value);
			continue;
		}
		for (size_t k = l.n; k-- > 0;) {
			const char *v = labels_get(&w->labels, l.v[k].key);

			if (v && !strcmp(v, l.v[k].value))
				continue;
			free(l.v[k].key);
			free(l.v[k].value);
			memmove(&l.v[k], &l.v[k + 1], (l.n - k - 1) * sizeof(*l.v));
			l.n--;
		}
	}
	if (e) {
		labels_done(&l);
		return e;
	}
	*ret = l;
	*ret_n = n;
	return 0;
}

static const char *property(const struct selector *s, char out[400])
{
	if (given(s->controller_name))
		snprintf(out, 400, "%.60s/%.253s", kind_short(s->controller_kind), s->controller_name);
	else if (given(s->service_account))
		snprintf(out, 400, "service account %.253s", s->service_account);
	else
		snprintf(out, 400, "pod %.253s", given(s->pod) ? s->pod : s->pod_uid);
	return out;
}

static int labels_for(struct xport *x, const struct selector *s, struct labels *ret)
{
	static const char *const liked[] = { "app", "app.kubernetes.io/name", "k8s-app", "name",
					     "app.kubernetes.io/instance" };
	struct labels all = {};
	char what[400];
	size_t n = 0;
	int e = common_labels(x->st, s, &all, &n);

	if (e)
		return e;
	if (!n) {
		labels_done(&all);
		return xport_refuse(x, "there is no workload of %s now whose labels could stand for it", property(s, what));
	}
	/* The fewest labels that do: first the usual ones, then any, then all together. */
	for (size_t i = 0; i < sizeof(liked) / sizeof(liked[0]) + all.n; i++) {
		size_t past = sizeof(liked) / sizeof(liked[0]);
		const char *key = i < past ? liked[i] : all.v[i - past].key, *value = labels_get(&all, key);
		struct labels one = {};

		if (!value)
			continue;
		e = labels_set(&one, key, value);
		if (!e && same_now(x->st, s, &one)) {
			labels_done(&all);
			*ret = one;
			return 0;
		}
		labels_done(&one);
		if (e)
			break;
	}
	if (!e && same_now(x->st, s, &all)) {
		*ret = all;
		return 0;
	}
	labels_done(&all);
	return e ? e : xport_refuse(x, "no labels select exactly the workloads of %s", property(s, what));
}

static int reduce(struct xport *x, const struct selector *s, struct selector *p)
{
	struct labels l = {};
	auto_free char *text = NULL;
	char what[400];
	int e = labels_for(x, s, &l);

	if (e)
		return e;
	text = labels_str(&l);
	e = text ? 0 : -ENOMEM;
	e = e ? e : xport_note(x, "%s is said by labels, %s: they mean the same workloads now", property(s, what), text);
	for (size_t i = 0; i < l.n && !e; i++) {
		const char *has = p->labels.set ? labels_get(&p->labels.match, l.v[i].key) : NULL;

		if (!has)
			e = labels_set(&p->labels.match, l.v[i].key, l.v[i].value);
	}
	p->labels.set = true;
	labels_done(&l);
	return e;
}

int xport_plain(struct xport *x, const struct selector *s, struct selector *ret)
{
	struct selector p = {}, own = *s;
	int e;

	if (s->kind == SEL_SERVICE)
		return xport_refuse(x, "it names the service %.100s: select the workloads behind it",
				    s->service ? s->service : "");
	if (s->kind == SEL_NODES)
		return xport_refuse(x, "it selects nodes by label");
	if (s->kind == SEL_WORKLOAD && !given(s->ns) && !s->ns_labels.set && given(x->rule->ns))
		own.ns = x->rule->ns; /* borrowed for the copy */
	e = selector_copy(&own, &p);
	if (!e && s->kind == SEL_WORKLOAD &&
	    (given(s->controller_name) || given(s->service_account) || given(s->pod) || given(s->pod_uid))) {
		e = reduce(x, &own, &p);
		free(p.controller_kind);
		free(p.controller_name);
		free(p.service_account);
		free(p.pod);
		free(p.pod_uid);
		p.controller_kind = p.controller_name = p.service_account = p.pod = p.pod_uid = NULL;
	}
	if (e) {
		selector_done(&p);
		return e;
	}
	*ret = p;
	return 0;
}

/* ---- written --------------------------------------------------------------------------------------- */

bool xport_labels_all(const struct label_selector *l)
{
	return !l->set || (!l->match.n && !l->nexprs);
}

cJSON *xport_labels(struct xport *x, const struct label_selector *l, const char *key, const char *value)
{
	cJSON *o = cJSON_CreateObject(), *m = NULL, *e;

	if (!o) {
		x->oom = true;
		return NULL;
	}
	if (key || (l->set && l->match.n))
		m = xj_obj(x, o, "matchLabels");
	if (key)
		xj_str(x, m, key, value);
	for (size_t i = 0; l->set && i < l->match.n; i++)
		xj_str(x, m, l->match.v[i].key, l->match.v[i].value);
	m = l->set && l->nexprs ? xj_arr(x, o, "matchExpressions") : NULL;
	for (size_t i = 0; m && i < l->nexprs; i++) {
		cJSON *v;

		e = xj_obj(x, m, NULL);
		xj_str(x, e, "key", l->exprs[i].key);
		xj_str(x, e, "operator", label_op_words[l->exprs[i].op]);
		v = l->exprs[i].nvalues ? xj_arr(x, e, "values") : NULL;
		for (size_t k = 0; k < l->exprs[i].nvalues; k++)
			xj_str(x, v, NULL, l->exprs[i].values[k]);
	}
	return o;
}

/* ---- a block without its exceptions ----------------------------------------------------------------- */

static struct prefix half(const struct prefix *p, int which)
{
	struct prefix h = *p;
	unsigned bit = (p->v6 ? 0 : 96) + p->plen;

	h.plen++;
	if (which)
		h.addr.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return h;
}

static int cut(struct xport *x, const struct prefix *p, const struct selector *s, cJSON *to, size_t *n)
{
	char text[PREFIX_STR_MAX];
	bool inside = false;
	int e = 0;

	for (size_t i = 0; i < s->nexcept; i++) {
		if (prefix_covers(&s->except[i], p))
			return 0;
		inside = inside || prefix_covers(p, &s->except[i]);
	}
	if (!inside) {
		if (++*n > EXPORT_PREFIXES_MAX)
			return xport_refuse(x, "its exceptions cut the block into more than %u pieces", EXPORT_PREFIXES_MAX);
		xj_str(x, to, NULL, prefix_str(p, text));
		return 0;
	}
	for (int i = 0; i < 2 && !e; i++) {
		struct prefix h = half(p, i);

		e = cut(x, &h, s, to, n);
	}
	return e;
}

int xport_prefixes(struct xport *x, const struct selector *s, cJSON *to)
{
	size_t n = 0;

	return cut(x, &s->cidr, s, to, &n);
}
