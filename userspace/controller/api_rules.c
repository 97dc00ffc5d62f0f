/* SPDX-License-Identifier: Apache-2.0 */
/* api_rules.c - rules: list, show, apply, delete, enable, disable, export. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/api_routes.h"
#include "controller/kpolicies.h"
#include "controller/rule_apply.h"
#include "controller/rule_view.h"

#define EXPORT_BYTES_MAX (256u << 20)

/* ---- show ---------------------------------------------------------------------------------------- */

struct hits { uint64_t flows; int64_t last_ns; };

/* What recorded accesses say of each rule; by rule number. */
static struct htab *rule_hits(const struct controller *c)
{
	struct htab *t = htab_new();

	for (size_t i = 0; t && i < access_book_count(c->book); i++) {
		const struct access *a = access_book_at(c->book, i);
		uint32_t before = 0;

		for (int s = 0; s < 2; s++) {
			uint32_t id = a->side[s].verdict.rule;
			struct hits *h;

			if (!id || id == before)
				continue;
			before = id;
			h = htab_get_u64(t, id);
			if (!h) {
				h = calloc(1, sizeof(*h));
				if (!h || htab_set_u64(t, id, h)) {
					free(h);
					continue;
				}
			}
			h->flows += a->c.flows;
			if (a->last_ns > h->last_ns)
				h->last_ns = a->last_ns;
		}
	}
	return t;
}

static cJSON *view_rule(const struct rule *r, const struct htab *hits)
{
	const struct hits *h = hits ? htab_get_u64(hits, r->id) : NULL;
	cJSON *o = cJSON_CreateObject(), *arr;

	if (!o)
		return NULL;
	put_free(o, "name", rule_ref(r));
	put_str_null(o, "namespace", r->ns);
	put_str(o, "kind", str_set(r->ns) ? "AccessRule" : "ClusterAccessRule");
	put_num(o, "id", r->id);
	put_str(o, "origin", rule_origin_str(r->origin));
	put_str(o, "action", cw_action_str(r->action));
	cJSON_AddBoolToObject(o, "reject", r->reject);
	put_str(o, "mode", cw_mode_str(r->mode));
	cJSON_AddBoolToObject(o, "enabled", r->enabled);
	put_str(o, "creator", r->creator);
	put_time(o, "created", r->created_ns);
	put_time(o, "updated", r->updated_ns);
	put_free(o, "dstNamespace", selectors_ns_text(r->to, r->nto, r->ns));
	put_free(o, "dstLabels", selectors_label_text(r->to, r->nto));
	put_free(o, "srcNamespace", selectors_ns_text(r->from, r->nfrom, r->ns));
	put_free(o, "srcLabels", selectors_label_text(r->from, r->nfrom));
	arr = cJSON_AddArrayToObject(o, "ports");
	for (size_t i = 0; i < r->nports; i++) {
		auto_free char *p = port_spec_str(&r->ports[i]);

		put_push(arr, cJSON_CreateString(p ? p : ""));
	}
	put_str_null(o, "access", r->access);
	put_free(o, "summary", rule_text(r));
	put_num(o, "hits", h ? (double)h->flows : 0);
	put_time(o, "lastHit", h ? h->last_ns : 0);
	return o;
}

static cJSON *view_kpolicy(const struct kpolicy *k, const struct htab *hits)
{
	const struct hits *h = hits ? htab_get_u64(hits, k->id) : NULL;

	return kpolicy_view(k, h ? h->flows : 0, h ? h->last_ns : 0);
}

static bool selects_ns(const struct selector *s, size_t n, const struct words *ns)
{
	for (size_t i = 0; i < n; i++)
		if (str_set(s[i].ns) && words_have(ns, s[i].ns))
			return true;
	return false;
}

static bool rule_in(const struct rule *r, const struct words *ns)
{
	return !ns->n || (str_set(r->ns) && words_have(ns, r->ns)) || selects_ns(r->from, r->nfrom, ns) ||
	       selects_ns(r->to, r->nto, ns);
}

struct rule_filter {
	struct words ns;
	bool all_origins;
	enum rule_origin origin;
	const char *search;
	struct labels labels;
	int enabled;
	bool has_action;
	enum cw_action action;
};

static void rule_filter_done(struct rule_filter *f)
{
	words_done(&f->ns);
	labels_done(&f->labels);
}

static int read_origin(struct fail_list *f, const char *s, const char *at, struct rule_filter *rf)
{
	char where[160];

	if (!s)
		return 0;
	rf->all_origins = !strcmp(s, "all");
	if (rf->all_origins || !rule_origin_parse(s, &rf->origin))
		return 0;
	snprintf(where, sizeof(where), "%s: \"%.60s\"", at, s);
	return fail_add(f, -EINVAL, "filter.value", where, "manual, learned, networkpolicy, admin, baseline or all", NULL,
			"this is not an origin");
}

static int read_selector(struct fail_list *f, const char *s, const char *at, struct rule_filter *rf)
{
	if (!s || !labels_parse(s, &rf->labels))
		return 0;
	return fail_add(f, -EINVAL, "query.selector", at, "KEY=VALUE,...", NULL, "this is not a label selector");
}

static bool rule_search(const struct rule *r, const char *search)
{
	auto_free char *dst = selectors_text(r->to, r->nto), *src = selectors_text(r->from, r->nfrom);

	return strcasestr(r->name, search) || (dst && strcasestr(dst, search)) || (src && strcasestr(src, search));
}

static bool rule_matches(const struct rule_filter *f, const struct rule *r)
{
	if (!rule_in(r, &f->ns) || (!f->all_origins && r->origin != f->origin) ||
	    (f->enabled >= 0 && r->enabled != f->enabled) || (f->has_action && r->action != f->action))
		return false;
	for (size_t i = 0; i < f->labels.n; i++)
		if (!str_eq(labels_get(&r->labels, f->labels.v[i].key), f->labels.v[i].value))
			return false;
	return !f->search || rule_search(r, f->search);
}

static int by_name(const void *pa, const void *pb)
{
	const struct rule *a = *(const struct rule *const *)pa, *b = *(const struct rule *const *)pb;
	int d = strcmp(a->ns ? a->ns : "", b->ns ? b->ns : "");

	return d ? d : strcmp(a->name, b->name);
}

/* What is neither labelled nor switched is not found by labels or as disabled. */
static bool kpolicy_matches(const struct rule_filter *f, const struct kpolicy *k)
{
	auto_free char *path = NULL, *text = NULL;

	if (!kpolicy_in(k, &f->ns) || (!f->all_origins && kpolicy_origin(k) != f->origin) || f->enabled == 0 ||
	    f->labels.n)
		return false;
	if (f->has_action) {
		enum ir_effect want = f->action == CW_ACT_BLOCK ? IR_BLOCK : f->action == CW_ACT_ALERT ? IR_ALERT : IR_ALLOW;
		size_t i = 0;

		while (i < k->nrules && k->rules[i].effect != want)
			i++;
		if (i == k->nrules)
			return false;
	}
	if (!f->search)
		return true;
	path = kpolicy_path(k);
	text = kpolicy_text(k);
	return (path && strcasestr(path, f->search)) || (text && strcasestr(text, f->search));
}

static int by_tier(const void *pa, const void *pb)
{
	const struct kpolicy *a = *(const struct kpolicy *const *)pa, *b = *(const struct kpolicy *const *)pb;
	int d = (int)a->tier - (int)b->tier;

	d = d ? d : (a->priority > b->priority) - (a->priority < b->priority);
	d = d ? d : strcmp(a->ns ? a->ns : "", b->ns ? b->ns : "");
	return d ? d : strcmp(a->name, b->name);
}

/* Matching Kubernetes policies by tier, priority and name; free the array. */
static int kpolicies_sorted(const struct policy_state *st, const struct rule_filter *f, const struct kpolicy ***ret,
			    size_t *n)
{
	const struct kpolicy **v = calloc(st->nkpolicies + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	*n = 0;
	for (size_t i = 0; i < st->nkpolicies; i++)
		if (kpolicy_matches(f, &st->kpolicies[i]))
			v[(*n)++] = &st->kpolicies[i];
	qsort(v, *n, sizeof(*v), by_tier);
	*ret = v;
	return 0;
}

/* Matching rules by namespace and name; free the array. */
static int rules_sorted(const struct policy_state *st, const struct rule_filter *f, const struct rule ***ret, size_t *n)
{
	const struct rule **v = calloc(st->nrules ? st->nrules : 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	*n = 0;
	for (size_t i = 0; i < st->nrules; i++)
		if (rule_matches(f, &st->rules[i]))
			v[(*n)++] = &st->rules[i];
	qsort(v, *n, sizeof(*v), by_name);
	*ret = v;
	return 0;
}

int api_rule_list(struct api *a, cJSON **ret)
{
	auto_cleanup(rule_filter_done) struct rule_filter f = { .origin = ORIGIN_MANUAL };
	const struct policy_state *st = &a->c->state;
	auto_free const struct kpolicy **kv = NULL;
	auto_free const struct rule **v = NULL;
	const char *action = api_q(a, "action");
	struct list_meta m = { .scope = &f.ns };
	size_t limit, nrules, nk, hidden[ORIGIN_BASELINE + 1] = {};
	struct htab *hits;
	cJSON *items, *k;
	int e;

	f.search = api_q(a, "search");
	e = api_q_words(a, "namespace", &f.ns);
	e = e ?: read_origin(&a->f, api_q(a, "origin"), "query origin", &f);
	e = e ?: read_selector(&a->f, api_q(a, "selector"), "query selector", &f);
	e = e ?: api_q_bool(a, "enabled", &f.enabled);
	e = e ?: api_q_limit(a, &limit);
	if (!e && action && cw_action_parse(action, &f.action))
		e = fail_add(&a->f, -EINVAL, "filter.value", "query action", "allow, alert or block", NULL,
			     "this is not an action");
	f.has_action = action != NULL;
	e = e ?: rules_sorted(st, &f, &v, &nrules);
	e = e ?: kpolicies_sorted(st, &f, &kv, &nk);
	if (e)
		return e;
	m.total = nrules + nk;
	hits = rule_hits(a->c);
	items = cJSON_CreateArray();
	for (size_t i = 0; i < m.total && i < limit; i++)
		put_push(items, i < nrules ? view_rule(v[i], hits) : view_kpolicy(kv[i - nrules], hits));
	htab_free(hits, free);
	m.truncated = m.total > limit ? m.total - limit : 0;
	*ret = api_list(a->c, "RuleList", &m, items);
	k = *ret ? cJSON_AddObjectToObject(cJSON_GetObjectItemCaseSensitive(*ret, "meta"), "hidden") : NULL;
	if (!k)
		return -ENOMEM;
	for (size_t i = 0; i < st->nrules; i++)
		hidden[st->rules[i].origin] += !f.all_origins && st->rules[i].origin != f.origin &&
					       rule_in(&st->rules[i], &f.ns);
	for (size_t i = 0; i < st->nkpolicies; i++) {
		enum rule_origin o = kpolicy_origin(&st->kpolicies[i]);

		hidden[o] += !f.all_origins && o != f.origin && kpolicy_in(&st->kpolicies[i], &f.ns);
	}
	for (int o = 0; o <= ORIGIN_BASELINE; o++)
		if (hidden[o])
			put_num(k, rule_origin_str(o), (double)hidden[o]);
	return 0;
}

static int no_rule(struct api *a, const char *at, const char *name)
{
	const struct policy_state *st = &a->c->state;
	const char **words = calloc(st->nrules + st->nkpolicies + 1, sizeof(*words)), *near = NULL;
	char where[400], expect[320];
	size_t n = 0;
	int e;

	for (size_t i = 0; words && i < st->nrules; i++)
		words[n++] = st->rules[i].name;
	for (size_t i = 0; words && i < st->nkpolicies; i++)
		words[n++] = st->kpolicies[i].name;
	if (n)
		near = nearest_word(name, words, n);
	snprintf(where, sizeof(where), "%s: \"%.300s\"", at, name);
	snprintf(expect, sizeof(expect), "the name of a rule%s%.253s%s", near ? "; did you mean " : "", near ? near : "",
		 near ? "?" : "");
	e = fail_add(&a->f, -ENOENT, "rule.not-found", where, expect, "cellwall rule list --origin all", "no such rule");
	free(words);
	return e;
}

static int show_kpolicy(struct api *a, const struct kpolicy *k, cJSON **ret)
{
	struct htab *hits = rule_hits(a->c);
	cJSON *o = view_kpolicy(k, hits), *doc = kpolicy_object(k);

	htab_free(hits, free);
	if (!o || !doc) {
		cJSON_Delete(o);
		cJSON_Delete(doc);
		return -ENOMEM;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(o, "kind");
	cJSON_AddStringToObject(o, "apiVersion", API_VERSION);
	cJSON_AddStringToObject(o, "kind", "Rule");
	cJSON_AddStringToObject(o, "ruleKind", kpolicy_kind_str(k->kind));
	put_free(o, "yaml", yaml_print(doc));
	put_item(o, "document", doc);
	*ret = o;
	return 0;
}

int api_rule_show(struct api *a, cJSON **ret)
{
	const char *kind = http_request_param(a->rq, "kind"), *ns = http_request_param(a->rq, "namespace");
	const char *name = http_request_param(a->rq, "name");
	const struct rule *r = kind ? NULL : ns ? state_rule(&a->c->state, ns, name) : rule_named(&a->c->state, name);
	struct htab *hits;
	cJSON *o, *doc;

	if (!r) {
		auto_free char *full = text_fmt("%s%s%s%s%s", kind ? kind : "", kind ? "/" : "", ns ? ns : "",
						ns ? "/" : "", name);
		const struct kpolicy *k = full ? kpolicy_named(&a->c->state, full) : NULL;

		return k ? show_kpolicy(a, k, ret) : no_rule(a, "path", full ? full : name);
	}
	hits = rule_hits(a->c);
	o = view_rule(r, hits);
	htab_free(hits, free);
	doc = rule_doc_to_json(r);
	if (!o || !doc) {
		cJSON_Delete(o);
		cJSON_Delete(doc);
		return -ENOMEM;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(o, "kind");
	cJSON_AddStringToObject(o, "apiVersion", API_VERSION);
	cJSON_AddStringToObject(o, "kind", "Rule");
	cJSON_AddStringToObject(o, "ruleKind", str_set(r->ns) ? "AccessRule" : "ClusterAccessRule");
	put_free(o, "yaml", yaml_print(doc));
	put_item(o, "document", doc);
	*ret = o;
	return 0;
}

/* ---- change ---------------------------------------------------------------------------------------- */

int api_rule_apply(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "documents", "prune", NULL };
	auto_cleanup(rule_docs_done) struct rule_docs docs = {};
	auto_cleanup(change_req_done) struct change_req q = {};
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	bool prune = false;
	int e;

	e = api_body(a, keys, true, &body);
	e = e ?: body_bool(&a->f, body, "body", "prune", &prune);
	e = e ?: rule_apply_read(body, true, &a->f, &docs, &q.files);
	e = e ?: change_req_begin(a, &q);
	e = e ?: rule_apply_docs(&docs, prune, a->who, controller_now(a->c), &q.next, &q.touched);
	if (e)
		return e;
	q.documents = docs.nrules + docs.nkpolicies + docs.nmodes + docs.nquarantines;
	q.what = text_fmt("rule apply, %zu documents%s", q.documents, prune ? ", prune" : "");
	return change_run(a, &q, ret);
}

enum rule_op { RULE_DELETE, RULE_ENABLE, RULE_DISABLE };

static int op_one(struct policy_state *next, const struct rule *r, enum rule_op op, int64_t now)
{
	struct rule *m = (struct rule *)r;

	if (op == RULE_DELETE) {
		state_rule_del(next, (size_t)(r - next->rules));
		return 0;
	}
	if (m->enabled != (op == RULE_ENABLE)) {
		m->enabled = op == RULE_ENABLE;
		m->updated_ns = now;
	}
	return 0;
}

/* A Kubernetes policy has no switch: it is there or it is not. */
static int op_kpolicy(struct api *a, struct policy_state *next, const struct kpolicy *k, enum rule_op op,
		      const char *at)
{
	auto_free char *path = kpolicy_path(k), *cmd = path ? text_fmt("cellwall rule delete %s --dry-run", path) : NULL;

	if (op == RULE_DELETE) {
		state_kpolicy_del(next, (size_t)(k - next->kpolicies));
		return 0;
	}
	return fail_add(&a->f, -EINVAL, "rule.kubernetes", at, "an AccessRule or ClusterAccessRule", cmd,
			"%s is a Kubernetes object, which cannot be %s: change the object and apply it, or delete it",
			path ? path : k->name, op == RULE_ENABLE ? "enabled" : "disabled");
}

static int op_names(struct api *a, const struct words *names, enum rule_op op, struct policy_state *next)
{
	int e = 0;

	for (size_t i = 0; i < names->n; i++) {
		const struct rule *r = rule_named(next, names->v[i]);
		const struct kpolicy *k = r ? NULL : kpolicy_named(next, names->v[i]);
		char at[64];
		int one;

		snprintf(at, sizeof(at), "body.names[%zu]", i);
		one = r ? op_one(next, r, op, controller_now(a->c)) :
		      k ? op_kpolicy(a, next, k, op, at) : no_rule(a, at, names->v[i]);
		e = e ?: one;
	}
	return e;
}

static int op_filter(struct api *a, const cJSON *body, enum rule_op op, struct policy_state *next)
{
	auto_cleanup(rule_filter_done) struct rule_filter f = { .origin = ORIGIN_MANUAL, .enabled = -1 };
	const char *selector = NULL, *origin = NULL;
	size_t n = 0;
	int e;

	e = body_str(&a->f, body, "body", "search", false, API_TEXT_MAX, &f.search);
	e = e ?: body_str(&a->f, body, "body", "selector", false, API_TEXT_MAX, &selector);
	e = e ?: body_str(&a->f, body, "body", "origin", false, 32, &origin);
	e = e ?: read_origin(&a->f, origin, "body.origin", &f);
	e = e ?: read_selector(&a->f, selector, "body.selector", &f);
	if (!e && !str_set(f.search) && !f.labels.n)
		e = fail_add(&a->f, -EINVAL, "scope.missing", "body", "names, search or selector", "cellwall rule list",
			     "nothing says which rules are meant");
	if (e)
		return e;
	for (size_t i = next->nrules; i-- > 0;) {
		if (!rule_matches(&f, &next->rules[i]))
			continue;
		(void)op_one(next, &next->rules[i], op, controller_now(a->c)); /* cannot fail */
		n++;
	}
	for (size_t i = next->nkpolicies; i-- > 0 && !e;) {
		if (!kpolicy_matches(&f, &next->kpolicies[i]))
			continue;
		e = op_kpolicy(a, next, &next->kpolicies[i], op, "body");
		n++;
	}
	if (e)
		return e;
	return n ? 0 : fail_add(&a->f, -ENOENT, "rule.not-found", "body", "rules that match", "cellwall rule list",
				"no rule matches");
}

static int rule_op(struct api *a, enum rule_op op, cJSON **ret)
{
	static const char *const keys[] = { "names", "search", "selector", "origin", NULL };
	static const char *const word[] = { "delete", "enable", "disable" };
	auto_cleanup(change_req_done) struct change_req q = {};
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(words_done) struct words names = {};
	int e;

	e = api_body(a, keys, true, &body);
	e = e ?: body_words(&a->f, body, "body", "names", false, &names);
	if (!e && names.n && (json_get(body, "search") || json_get(body, "selector") || json_get(body, "origin")))
		e = fail_add(&a->f, -EINVAL, "body.conflict", "body", "names, or search and selector", NULL,
			     "both names and a filter are given");
	e = e ?: change_req_begin(a, &q);
	e = e ?: names.n ? op_names(a, &names, op, &q.next) : op_filter(a, body, op, &q.next);
	if (e)
		return e;
	q.what = names.n ? text_fmt("rule %s %s%s", word[op], names.v[0], names.n > 1 ? " and others" : "") :
			   text_fmt("rule %s by filter", word[op]);
	return change_run(a, &q, ret);
}

int api_rule_delete(struct api *a, cJSON **ret)
{
	return rule_op(a, RULE_DELETE, ret);
}

int api_rule_enable(struct api *a, cJSON **ret)
{
	return rule_op(a, RULE_ENABLE, ret);
}

int api_rule_disable(struct api *a, cJSON **ret)
{
	return rule_op(a, RULE_DISABLE, ret);
}

/* ---- export ------------------------------------------------------------------------------------------ */

static int export_yaml(struct api *a, const cJSON *docs)
{
	const cJSON *doc;
	struct buf b;

	buf_init(&b, EXPORT_BYTES_MAX);
	buf_adds(&b, "");
	cJSON_ArrayForEach(doc, docs) {
		auto_free char *text = yaml_print(doc);

		if (!text || b.err) {
			buf_done(&b);
			return -ENOMEM;
		}
		buf_printf(&b, "%s%s", doc == docs->child ? "" : "---\n", text);
	}
	a->text = buf_take(&b, NULL);
	a->text_type = "text/yaml";
	return a->text ? 0 : -ENOMEM;
}

int api_rule_export(struct api *a, cJSON **ret)
{
	auto_cleanup(rule_filter_done) struct rule_filter f = { .all_origins = true, .enabled = -1 };
	auto_cleanup(cJSON_Deletep) cJSON *items = NULL;
	auto_free const struct kpolicy **kv = NULL;
	auto_free const struct rule **v = NULL;
	const char *format = api_q(a, "format") ?: "yaml", *as = api_q(a, "as");
	struct list_meta m = { .scope = &f.ns };
	size_t nrules, nk;
	int e;

	e = api_q_words(a, "namespace", &f.ns);
	e = e ?: read_origin(&a->f, api_q(a, "origin"), "query origin", &f);
	if (!e && strcmp(format, "yaml") && strcmp(format, "json"))
		e = fail_add(&a->f, -EINVAL, "query.value", "query format", "yaml or json", NULL, "this is not a format");
	e = e ?: rules_sorted(&a->c->state, &f, &v, &nrules);
	e = e ?: kpolicies_sorted(&a->c->state, &f, &kv, &nk);
	if (e)
		return e;
	if (as)
		return api_export_as(a, as, v, nrules, kv, nk, &f.ns, ret);
	items = cJSON_CreateArray();
	for (size_t i = 0; i < nrules; i++)
		put_push(items, rule_doc_to_json(v[i]));
	for (size_t i = 0; i < nk; i++)
		put_push(items, kpolicy_object(kv[i]));
	m.total = nrules + nk;
	if (!strcmp(format, "yaml"))
		return export_yaml(a, items);
	*ret = api_list(a->c, "RuleDocumentList", &m, take_ptr(items));
	return *ret ? 0 : -ENOMEM;
}
