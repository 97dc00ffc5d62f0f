/* SPDX-License-Identifier: Apache-2.0 */
/* api_modes.c - off, learn, alert, enforce: where it is set and what holds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/change.h"
#include "controller/inventory.h"

int api_ref_exists(struct api *a, const struct ref *r, const char *at)
{
	const struct policy_state *st = &a->c->state;
	auto_free char *text = NULL, *near = NULL;
	const struct workload *w[1];
	char where[700], expect[700], next[400];

	if (r->kind == REF_CLUSTER || (r->kind == REF_NAMESPACE && state_namespace(st, r->ns)) || ref_find(r, st, w, 1))
		return 0;
	text = ref_text(r);
	near = ref_nearest(r, st);
	snprintf(where, sizeof(where), "%s: \"%s\"", at, text ? text : "");
	snprintf(expect, sizeof(expect), "a REF of this cluster%s%s%s", near ? "; did you mean " : "", near ? near : "",
		 near ? "?" : "");
	if (r->kind == REF_NAMESPACE)
		snprintf(next, sizeof(next), "cellwall workload list");
	else
		snprintf(next, sizeof(next), "cellwall workload list -n %.253s", r->ns ? r->ns : "");
	return fail_add(&a->f, -ENOENT, "ref.not-found", where, expect, next, "no such %s",
			r->kind == REF_NAMESPACE ? "namespace" : "workload");
}

/* ---- list ---------------------------------------------------------------------------------------- */

static cJSON *entry(const struct controller *c, const char *ref, const struct workload *w, bool set, size_t workloads)
{
	const struct mode_setting *from;
	enum cw_mode mode;
	enum cw_action dflt;
	cJSON *o = cJSON_CreateObject();

	policy_state_mode(&c->state, w, &mode, &dflt, &from);
	put_str(o, "ref", ref);
	put_str(o, "mode", cw_mode_str(mode));
	put_str(o, "default", cw_action_str(dflt));
	put_str(o, "from", mode_from_word(&c->state, w));
	cJSON_AddBoolToObject(o, "setting", set);
	put_num(o, "workloads", (double)workloads);
	return o;
}

static int target_of(const struct ref *r, struct mode_setting *m)
{
	memset(m, 0, sizeof(*m));
	switch (r->kind) {
	case REF_CLUSTER:
		m->scope = MODE_CLUSTER;
		return 0;
	case REF_NAMESPACE:
		m->scope = MODE_NAMESPACE;
		break;
	case REF_CONTROLLER:
		m->scope = MODE_CONTROLLER;
		m->controller_kind = r->ctrl_kind;
		m->controller_name = r->name;
		break;
	case REF_WORKLOAD:
		m->scope = MODE_WORKLOAD;
		m->workload = r->name;
		break;
	default:
		return -EINVAL;
	}
	m->ns = r->ns;
	return 0;
}

static struct mode_setting *find_setting(struct policy_state *st, const struct mode_setting *m)
{
	return state_mode_on(st, m, 0);
}

static int bad_target(struct api *a, const char *at, const char *text)
{
	char where[200];

	snprintf(where, sizeof(where), "%s: \"%.100s\"", at, text);
	return fail_add(&a->f, -EINVAL, "mode.target", where, "cluster, ns/NS, NS/deploy/NAME or NS/pod/NAME", NULL,
			"a mode cannot be set on this");
}

static int mode_of_ref(struct api *a, const char *text, cJSON *items)
{
	struct controller *c = a->c;
	auto_cleanup(ref_done) struct ref r = {};
	auto_free char *name = NULL;
	const struct workload *first[1];
	struct workload any = {};
	struct mode_setting m;
	size_t n;
	int e;

	e = ref_parse(text, "query ref", true, &a->f, &r);
	if (e)
		return e;
	if (target_of(&r, &m))
		return bad_target(a, "query ref", text);
	e = api_ref_exists(a, &r, "query ref");
	if (e)
		return e;
	n = ref_find(&r, &c->state, first, 1);
	any.ns = m.ns;
	any.controller_kind = m.controller_kind;
	any.controller_name = m.controller_name;
	name = ref_text(&r);
	put_push(items, entry(c, name, m.scope == MODE_WORKLOAD && n ? first[0] : &any,
			      find_setting(&c->state, &m) != NULL, n));
	return 0;
}

static size_t covered(const struct policy_state *st, const struct mode_setting *m)
{
	size_t n = 0;

	for (size_t i = 0; i < st->nworkloads; i++) {
		const struct workload *w = &st->workloads[i];

		n += m->scope == MODE_CLUSTER ||
		     (str_eq(m->ns, w->ns) &&
		      (m->scope == MODE_NAMESPACE || (m->scope == MODE_WORKLOAD && str_eq(m->workload, w->name)) ||
		       (m->scope == MODE_CONTROLLER && same_kind(m->controller_kind, w->controller_kind) &&
			str_eq(m->controller_name, w->controller_name))));
	}
	return n;
}

static void add_setting(struct controller *c, const struct mode_setting *m, bool set, cJSON *items)
{
	const struct workload *real = m->scope == MODE_WORKLOAD ? state_workload(&c->state, m->ns, m->workload) : NULL;
	const struct workload any = { .ns = m->ns, .controller_kind = m->controller_kind,
				      .controller_name = m->controller_name, .name = m->workload };
	auto_free char *ref = mode_setting_ref(m);

	put_push(items, entry(c, ref, real ? real : &any, set, covered(&c->state, m)));
}

int api_mode_list(struct api *a, cJSON **ret)
{
	struct controller *c = a->c;
	auto_cleanup(words_done) struct words ns = {}, all = {};
	struct mode_setting cluster = { .scope = MODE_CLUSTER };
	struct list_meta m = { .scope = &ns };
	const char *text = api_q(a, "ref");
	cJSON *items = cJSON_CreateArray();
	int e;

	e = api_q_words(a, "namespace", &ns);
	e = e ?: namespaces_known(c, &all);
	if (!e && text)
		e = mode_of_ref(a, text, items);
	if (e) {
		cJSON_Delete(items);
		return e;
	}
	if (!text && !ns.n)
		add_setting(c, &cluster, find_setting(&c->state, &cluster) != NULL, items);
	for (size_t i = 0; i < all.n && !text; i++) {
		struct mode_setting s = { .scope = MODE_NAMESPACE, .ns = all.v[i] };

		if (!ns.n || words_have(&ns, all.v[i]))
			add_setting(c, &s, find_setting(&c->state, &s) != NULL, items);
	}
	for (size_t i = 0; i < c->state.nmodes && !text; i++) {
		const struct mode_setting *s = &c->state.modes[i];

		/* A namespace nobody is in yet may carry a setting too. */
		if (s->scope == MODE_CLUSTER || (s->scope == MODE_NAMESPACE && words_have(&all, s->ns)) ||
		    (ns.n && !words_have(&ns, s->ns)))
			continue;
		add_setting(c, s, true, items);
	}
	m.total = (size_t)cJSON_GetArraySize(items);
	*ret = api_list(c, "ModeList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

/* ---- change ---------------------------------------------------------------------------------------- */

struct refs { struct ref *v; size_t n; };

static void refs_done(struct refs *r)
{
	for (size_t i = 0; i < r->n; i++)
		ref_done(&r->v[i]);
	free(r->v);
}

/* body.refs, each a REF that exists and that a mode can be set on. */
static int read_refs(struct api *a, const cJSON *body, bool must_exist, struct refs *ret, char **joined)
{
	auto_cleanup(words_done) struct words w = {};
	struct mode_setting m;
	size_t len = 1;
	int e = body_words(&a->f, body, "body", "refs", false, &w);

	if (e)
		return e;
	if (!w.n)
		return fail_add(&a->f, -EINVAL, "scope.missing", "body.refs", "-n NS, -A or a REF",
				"cellwall mode get", "a change needs a scope");
	ret->v = calloc(w.n, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	for (size_t i = 0; i < w.n; i++) {
		char at[64];
		int r;

		snprintf(at, sizeof(at), "body.refs[%zu]", i);
		r = ref_parse(w.v[i], at, true, &a->f, &ret->v[i]);
		ret->n = i + 1;
		if (!r && target_of(&ret->v[i], &m))
			r = bad_target(a, at, w.v[i]);
		if (!r && must_exist)
			r = api_ref_exists(a, &ret->v[i], at);
		e = e ?: r;
		len += strlen(w.v[i]) + 2;
	}
	if (e)
		return e;
	*joined = malloc(len);
	if (!*joined)
		return -ENOMEM;
	**joined = 0;
	for (size_t i = 0, at = 0; i < w.n; i++)
		at += (size_t)snprintf(*joined + at, len - at, "%s%s", i ? ", " : "",
				       !strncmp(w.v[i], "ns/", 3) ? w.v[i] + 3 : w.v[i]);
	return 0;
}

static int body_mode(struct api *a, const cJSON *body, bool *has_mode, enum cw_mode *mode, enum cw_action *dflt)
{
	const char *m = NULL, *d = NULL;
	char at[160];
	int e;

	e = body_str(&a->f, body, "body", "mode", false, 32, &m);
	e = e ?: body_str(&a->f, body, "body", "default", false, 32, &d);
	if (e)
		return e;
	if (!m && !d)
		return fail_add(&a->f, -EINVAL, "body.missing", "body.mode", "off, learn, alert or enforce", NULL,
				"neither mode nor default is given");
	if (m && cw_mode_parse(m, mode)) {
		snprintf(at, sizeof(at), "body.mode: \"%.60s\"", m);
		return fail_add(&a->f, -EINVAL, "mode.value", at, "off, learn, alert or enforce", NULL, "this is not a mode");
	}
	*has_mode = m != NULL;
	*dflt = CW_ACT_NONE;
	if (d && (cw_action_parse(d, dflt) || (*dflt != CW_ACT_BLOCK && *dflt != CW_ACT_ALLOW))) {
		snprintf(at, sizeof(at), "body.default: \"%.60s\"", d);
		return fail_add(&a->f, -EINVAL, "mode.default", at, "block or allow", NULL, "this is not a default");
	}
	return 0;
}

static int set_one(struct policy_state *st, const struct ref *r, bool has_mode, enum cw_mode mode, enum cw_action dflt,
		   struct fail_list *f)
{
	struct mode_setting key, copy = {}, *s;
	int e;

	(void)target_of(r, &key); /* checked when it was read */
	s = find_setting(st, &key);
	if (s) { /* of several profiles the strictest holds: all say the same from now on */
		for (; s; s = state_mode_on(st, &key, (size_t)(s - st->modes) + 1)) {
			if (dflt && mode_is_label(s))
				return fail_add(f, -EINVAL, "mode.label", key.ns, "a mode alone",
						"kubectl apply a ModeProfile with this target, mode and default",
						"the mode of this namespace is set by its label, which says nothing of a default");
			if (has_mode)
				s->mode = mode;
			if (dflt)
				s->dflt = dflt;
		}
		return 0;
	}
	if (!has_mode) { /* only the default: the mode stays what it is now */
		struct workload any = { .ns = key.ns, .controller_kind = key.controller_kind,
					.controller_name = key.controller_name, .name = key.workload };
		const struct workload *real = key.scope == MODE_WORKLOAD ?
			state_workload(st, key.ns, key.workload) : NULL;
		const struct mode_setting *from;
		enum cw_action d;

		policy_state_mode(st, real ? real : &any, &mode, &d, &from);
	}
	key.mode = mode;
	key.dflt = dflt;
	e = mode_setting_copy(&key, &copy);
	e = e ?: state_mode_add(st, &copy);
	mode_setting_done(&copy);
	return e;
}

int api_mode_set(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "refs", "mode", "default", NULL };
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(change_req_done) struct change_req q = {};
	auto_cleanup(refs_done) struct refs refs = {};
	auto_free char *joined = NULL;
	enum cw_mode mode = CW_MODE_LEARN;
	enum cw_action dflt = CW_ACT_NONE;
	bool has_mode = false;
	int e;

	e = api_body(a, keys, true, &body);
	e = e ?: body_mode(a, body, &has_mode, &mode, &dflt);
	e = e ?: read_refs(a, body, true, &refs, &joined);
	e = e ?: change_req_begin(a, &q);
	for (size_t i = 0; i < refs.n && !e; i++)
		e = set_one(&q.next, &refs.v[i], has_mode, mode, dflt, &a->f);
	if (e)
		return e;
	q.what = text_fmt("mode %s%s%s on %s", has_mode ? cw_mode_str(mode) : "",
			  !dflt ? "" : has_mode ? ", default " : "default ", dflt ? cw_action_str(dflt) : "", joined);
	return change_run(a, &q, ret);
}

int api_mode_unset(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "refs", NULL };
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(change_req_done) struct change_req q = {};
	auto_cleanup(refs_done) struct refs refs = {};
	auto_free char *joined = NULL;
	int e;

	e = api_body(a, keys, true, &body);
	e = e ?: read_refs(a, body, false, &refs, &joined); /* what is gone may still carry a setting */
	e = e ?: change_req_begin(a, &q);
	if (e)
		return e;
	for (size_t i = 0; i < refs.n; i++) {
		struct mode_setting key, *s;
		char at[64];

		(void)target_of(&refs.v[i], &key); /* checked when it was read */
		s = find_setting(&q.next, &key);
		if (s) {
			for (; s; s = find_setting(&q.next, &key))
				state_mode_del(&q.next, (size_t)(s - q.next.modes));
			continue;
		}
		snprintf(at, sizeof(at), "body.refs[%zu]", i);
		e = fail_add(&a->f, -ENOENT, "mode.not-set", at, "a REF that a mode is set on", "cellwall mode get",
			     "no mode is set on this");
	}
	if (e)
		return e;
	q.what = text_fmt("mode unset on %s", joined);
	return change_run(a, &q, ret);
}
