/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_lint.c - what is wrong with a rule set: what the compiled rows prove (policy/lint.h), and what the
 * recorded accesses say of rules in force: never hit, or wider than anything seen. Changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "controller/api_routes.h"
#include "controller/kpolicies.h"
#include "controller/rule_apply.h"
#include "controller/rule_view.h"
#include "policy/lint.h"

#define UNUSED_AFTER_NS (86400 * 1000000000ll) /* a younger rule is not called unused */
#define WIDE_NAMES_MAX 20u /* seen or unseen ends told of a finding; more are counted */

struct linting {
	struct controller *c;
	struct policy_state st;
	struct policy_lint l;
	struct words touched;	/* of the documents; `some`: only findings about these */
	bool some;
	int64_t since_ns, first_ns;
	struct htab *seen;	/* rule number -> struct seen */
	struct htab *accused;	/* rule numbers that have a finding already */
	cJSON *items;
};

/* What was recorded of a rule. */
struct seen {
	struct { const struct access **v; size_t n, cap; } by;
	uint64_t flows;
};

static void seen_free(void *p)
{
	struct seen *s = p;

	vec_done(&s->by);
	free(s);
}

static void linting_done(struct linting *x)
{
	policy_lint_done(&x->l);
	policy_state_done(&x->st);
	words_done(&x->touched);
	htab_free(x->seen, seen_free);
	htab_free(x->accused, NULL);
	cJSON_Delete(x->items);
}

/* ---- names ------------------------------------------------------------------------------------------- */

static char *rule_path(const struct policy_state *st, uint32_t id)
{
	const struct rule *r = state_rule_id(st, id);
	const struct kpolicy *k = r ? NULL : state_kpolicy_id(st, id);

	return r ? rule_ref(r) : k ? kpolicy_path(k) : NULL;
}

static bool concerns(const struct linting *x, uint32_t id)
{
	auto_free char *ref = rule_path(&x->st, id);

	return ref && words_have(&x->touched, ref);
}

static cJSON *finding_new(struct linting *x, const char *kind, uint32_t rule)
{
	const struct rule *r = state_rule_id(&x->st, rule);
	cJSON *o = cJSON_CreateObject();

	if (!o)
		return NULL;
	put_str(o, "kind", kind);
	if (rule) {
		put_free(o, "rule", rule_path(&x->st, rule));
		put_num(o, "ruleId", rule >= RULE_CANDIDATE_IDS ? 0 : rule);
	}
	if (r) {
		put_str(o, "origin", rule_origin_str(r->origin));
		put_str(o, "action", cw_action_str(r->action));
		put_free(o, "summary", rule_text(r));
	}
	return o;
}

/* ---- from the rows --------------------------------------------------------------------------------------- */

static void put_next(cJSON *o, const struct linting *x, const struct lint_finding *f)
{
	auto_free char *ref = f->rule ? rule_path(&x->st, f->rule) : NULL, *by = NULL;
	char cmd[1400];

	if (f->nby && f->by[0].rule)
		by = rule_path(&x->st, f->by[0].rule);
	if (f->kind == LINT_SERVICE_MIXED)
		snprintf(cmd, sizeof(cmd), "cellwall query %.600s %.600s %s/%u", f->src, f->block,
			 f->proto == 17 ? "udp" : f->proto == 132 ? "sctp" : "tcp", f->port);
	else if (f->kind == LINT_CONTRADICTION && by && f->by[0].rule < RULE_CANDIDATE_IDS)
		snprintf(cmd, sizeof(cmd), "cellwall rule show %.1000s", by);
	else if (f->kind == LINT_SERVICE_EMPTY)
		snprintf(cmd, sizeof(cmd), "cellwall explain %s", lint_kind_str(f->kind));
	else if (ref && f->rule < RULE_CANDIDATE_IDS)
		snprintf(cmd, sizeof(cmd), "cellwall rule show %.1000s", ref);
	else
		snprintf(cmd, sizeof(cmd), "cellwall explain %s", lint_kind_str(f->kind));
	put_str(o, "next", cmd);
}

static int finding_put(struct linting *x, const struct lint_finding *f)
{
	const struct rule *r = state_rule_id(&x->st, f->rule);
	bool shown = !x->some || (f->rule && concerns(x, f->rule)) || !f->rule;
	cJSON *o, *by, *k;

	for (unsigned i = 0; i < f->nby && !shown; i++)
		shown = f->by[i].rule && concerns(x, f->by[i].rule);
	if (f->rule && htab_set_u64(x->accused, f->rule, (void *)1))
		return -ENOMEM;
	if (!shown)
		return 0;
	o = finding_new(x, lint_kind_str(f->kind), f->rule);
	if (!o)
		return -ENOMEM;
	if (f->nby) {
		put_str(o, "side", f->side < 0 ? "both" : f->side == CW_EGRESS ? "egress" : "ingress");
		by = cJSON_AddArrayToObject(o, "by");
		for (unsigned i = 0; i < f->nby; i++) {
			k = cJSON_CreateObject();
			put_str(k, "tier", cw_tier_str(f->by[i].tier));
			put_str(k, "action", cw_action_str(f->by[i].action));
			if (f->by[i].rule)
				put_free(k, "rule", rule_path(&x->st, f->by[i].rule));
			put_push(by, k);
		}
		put_num(o, "more", f->more);
	}
	if (f->field) {
		char at[64];

		snprintf(at, sizeof(at), "spec.%s[%zu]", f->field, f->item);
		put_str(o, "at", at);
	}
	if (f->field && r)
		put_free(o, "selector", selectors_text(!strcmp(f->field, "from") ? &r->from[f->item] : &r->to[f->item], 1));
	put_str(o, "service", f->service);
	if (f->src) {
		char port[40];

		put_str(o, "port", axis_str(CW_AXIS(f->proto, f->port), port));
		put_str(o, "src", f->src);
		put_str(o, "passes", f->pass);
		put_str(o, "blocked", f->block);
	}
	put_next(o, x, f);
	put_push(x->items, o);
	return 0;
}

/* ---- from what was recorded ------------------------------------------------------------------------------ */

static int seen_add(struct linting *x, uint32_t rule, const struct access *a)
{
	struct seen *s = htab_get_u64(x->seen, rule);

	if (!rule)
		return 0;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || htab_set_u64(x->seen, rule, s)) {
			free(s);
			return -ENOMEM;
		}
	}
	if (s->by.n && s->by.v[s->by.n - 1] == a)
		return 0;
	s->flows += a->c.flows;
	return vec_push(&s->by, a);
}

static int seen_make(struct linting *x)
{
	const struct access_book *book = x->c->book;
	int e = 0;

	for (size_t i = 0; i < access_book_count(book) && !e; i++) {
		const struct access *a = access_book_at(book, i);

		if (!x->first_ns || a->first_ns < x->first_ns)
			x->first_ns = a->first_ns;
		if (a->last_ns < x->since_ns)
			continue;
		for (int s = 0; s < 2 && !e; s++) {
			e = seen_add(x, a->side[s].verdict.rule, a);
			for (size_t m = 0; m < a->nmembers && !e; m++)
				e = seen_add(x, a->members[m]->side[s].verdict.rule, a);
		}
	}
	return e;
}

static int unused_put(struct linting *x, const struct rule *r)
{
	int64_t from = x->since_ns ? x->since_ns : controller_now(x->c) - UNUSED_AFTER_NS;
	char cmd[700];
	cJSON *o;

	/* Nothing is said of what could not be hit yet, or takes no part in the verdict. */
	if (!x->first_ns || x->first_ns > from || r->updated_ns > from || r->mode == CW_MODE_ALERT)
		return 0;
	o = finding_new(x, "lint.unused", r->id);
	if (!o)
		return -ENOMEM;
	if (x->since_ns)
		from = x->since_ns;
	else
		from = r->updated_ns > x->first_ns ? r->updated_ns : x->first_ns;
	put_time(o, "since", from);
	snprintf(cmd, sizeof(cmd), "cellwall rule disable %.600s --dry-run", json_str(o, "rule") ?: "");
	put_str(o, "next", cmd);
	put_push(x->items, o);
	return 0;
}

/* Ports that the rule lets pass and nobody used: is there any? */
static bool ports_wider(const struct rule *r, const struct seen *s)
{
	if (!r->nports)
		return true;
	for (size_t i = 0; i < r->nports; i++) {
		const struct port_spec *p = &r->ports[i];
		uint64_t used[1024] = {};
		unsigned n = 0;

		if (p->kind == PORT_ANY || p->kind == PORT_PROTO || (p->kind == PORT_ICMP && p->icmp_type < 0))
			return true;
		if (p->kind != PORT_RANGE)
			continue;
		for (size_t k = 0; k < s->by.n; k++) {
			uint16_t port = s->by.v[k]->port;

			if (s->by.v[k]->proto != p->proto || port < p->from || port > p->to)
				continue;
			n += !(used[port / 64] >> port % 64 & 1);
			used[port / 64] |= 1ull << port % 64;
		}
		if (n < (unsigned)(p->to - p->from) + 1)
			return true;
	}
	return false;
}

static char *group_ref(const struct workload *w)
{
	return str_set(w->controller_name) ?
		       text_fmt("%s/%s/%s", w->ns, kind_short(w->controller_kind), w->controller_name) :
		       text_fmt("%s/pod/%s", w->ns, w->name);
}

static bool group_seen(const struct policy_state *st, const struct seen *s, bool dst, const struct workload *w,
		       const char *ref)
{
	for (size_t i = 0; i < s->by.n; i++) {
		const struct access *a = s->by.v[i];
		const struct access_end *e = dst ? a->dst : a->src;

		if (!strcmp(e->ref, ref))
			return true;
		for (size_t m = 0; m < a->nmembers; m++) {
			const struct access_point *p = dst ? a->members[m]->dst : a->members[m]->src;

			if (!p || !p->name || !p->ns || strcmp(p->ns, w->ns))
				continue;
			if (!strcmp(p->name, w->name))
				return true;
			for (size_t k = 0; k < st->nworkloads && str_set(w->controller_name); k++)
				if (!strcmp(st->workloads[k].name, p->name) && !strcmp(st->workloads[k].ns, p->ns) &&
				    str_eq(st->workloads[k].controller_name, w->controller_name) &&
				    str_eq(st->workloads[k].controller_kind, w->controller_kind))
					return true;
		}
	}
	return false;
}

static void push_once(cJSON *arr, const char *s)
{
	const cJSON *i;

	cJSON_ArrayForEach(i, arr)
		if (!strcmp(cJSON_GetStringValue(i), s))
			return;
	put_push(arr, cJSON_CreateString(s));
}

/* Controllers that the rule means on an end and that were never seen there; *ret_open: everybody is meant. */
static cJSON *unseen_of(const struct linting *x, const struct rule *r, const struct seen *s, bool dst, bool *ret_open)
{
	const struct selector *v = dst ? r->to : r->from;
	size_t n = dst ? r->nto : r->nfrom;
	cJSON *arr = cJSON_CreateArray();

	for (size_t i = 0; i < n; i++)
		*ret_open |= v[i].kind == SEL_ANY;
	for (size_t w = 0; w < x->st.nworkloads && arr && !*ret_open; w++) {
		const struct workload *k = &x->st.workloads[w];
		bool meant = false;

		for (size_t i = 0; i < n && !meant; i++)
			meant = lint_selects(&x->st, str_set(r->ns) ? r->ns : NULL, &v[i], k);
		if (meant) {
			auto_free char *ref = group_ref(k);

			if (ref && !group_seen(&x->st, s, dst, k, ref))
				push_once(arr, ref);
		}
	}
	return arr;
}

static void put_seen(cJSON *o, const struct seen *s)
{
	cJSON *ports = cJSON_AddArrayToObject(o, "ports"), *from = cJSON_AddArrayToObject(o, "from");
	cJSON *to = cJSON_AddArrayToObject(o, "to");
	char port[40];

	for (size_t i = 0; i < s->by.n; i++) {
		if (cJSON_GetArraySize(ports) < (int)WIDE_NAMES_MAX)
			push_once(ports, access_port_str(s->by.v[i], port));
		if (cJSON_GetArraySize(from) < (int)WIDE_NAMES_MAX)
			push_once(from, s->by.v[i]->src->ref);
		if (cJSON_GetArraySize(to) < (int)WIDE_NAMES_MAX)
			push_once(to, s->by.v[i]->dst->ref);
	}
}

static int wide_put(struct linting *x, const struct rule *r, const struct seen *s)
{
	bool open[2] = {}, wide = ports_wider(r, s);
	cJSON *un[2] = { unseen_of(x, r, s, false, &open[0]), unseen_of(x, r, s, true, &open[1]) }, *o, *k;
	char cmd[700];

	wide |= open[0] || open[1] || cJSON_GetArraySize(un[0]) || cJSON_GetArraySize(un[1]);
	o = wide ? finding_new(x, "lint.wide", r->id) : NULL;
	if (!o) {
		cJSON_Delete(un[0]);
		cJSON_Delete(un[1]);
		return wide ? -ENOMEM : 0;
	}
	put_seen(cJSON_AddObjectToObject(o, "seen"), s);
	k = cJSON_AddObjectToObject(o, "unseen");
	cJSON_AddBoolToObject(k, "ports", ports_wider(r, s));
	put_item(k, "from", un[0]);
	put_item(k, "to", un[1]);
	put_num(o, "flows", (double)s->flows);
	put_time(o, "since", x->since_ns > x->first_ns ? x->since_ns : x->first_ns);
	snprintf(cmd, sizeof(cmd), "cellwall access list --rule %.600s", json_str(o, "rule") ?: "");
	put_str(o, "next", cmd);
	put_push(x->items, o);
	return 0;
}

/* Only rules in force as they are: a candidate was never hit. */
static int recorded_look(struct linting *x)
{
	int e = seen_make(x);

	for (size_t i = 0; i < x->st.nrules && !e; i++) {
		const struct rule *r = &x->st.rules[i], *live = state_rule_id(&x->c->state, r->id);
		const struct seen *s = htab_get_u64(x->seen, r->id);

		if (!r->enabled || !live || live->updated_ns != r->updated_ns || htab_has(x->accused, &(uint64_t){ r->id }, 8) ||
		    (x->some && !concerns(x, r->id)))
			continue;
		if (!s)
			e = unused_put(x, r);
		else if (r->action == CW_ACT_ALLOW && r->origin == ORIGIN_MANUAL)
			e = wide_put(x, r, s);
	}
	return e;
}

/* ---- the resource ------------------------------------------------------------------------------------------ */

static int candidate(struct api *a, const cJSON *body, struct linting *x)
{
	auto_cleanup(rule_docs_done) struct rule_docs docs = {};
	bool prune = false;
	size_t files = 0;
	int e = body_bool(&a->f, body, "body", "prune", &prune);

	e = e ?: rule_apply_read(body, false, &a->f, &docs, &files);
	x->some = files != 0;
	e = e ?: policy_state_copy(&a->c->state, &x->st);
	e = e ?: rule_apply_docs(&docs, prune, a->who, controller_now(a->c), &x->st, &x->touched);
	if (!e)
		rule_apply_number(&x->st);
	return e;
}

static int answer(struct linting *x, cJSON **ret)
{
	cJSON *o = api_object("LintList"), *meta = o ? cJSON_AddObjectToObject(o, "meta") : NULL;

	if (!meta) {
		cJSON_Delete(o);
		return -ENOMEM;
	}
	put_num(meta, "generation", (double)x->c->state.generation);
	put_num(meta, "rules", (double)(x->st.nrules + x->st.nkpolicies));
	put_num(meta, "accesses", (double)access_book_count(x->c->book));
	put_time(meta, "since", x->since_ns > x->first_ns ? x->since_ns : x->first_ns);
	cJSON_AddBoolToObject(meta, "truncated", x->l.truncated);
	cJSON_AddItemToObject(o, "items", x->items);
	x->items = NULL;
	*ret = o;
	return 0;
}

int api_rule_lint(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "documents", "prune", "since", NULL };
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(linting_done) struct linting x = { .c = a->c, .seen = htab_new(), .accused = htab_new(),
							.items = cJSON_CreateArray() };
	const char *since = NULL;
	int e = x.seen && x.accused && x.items ? 0 : -ENOMEM;

	e = e ?: api_body(a, keys, false, &body);
	e = e ?: body_str(&a->f, body, "body", "since", false, 64, &since);
	if (!e && since && time_or_ago(since, controller_now(a->c), &x.since_ns))
		e = fail_add(&a->f, -EINVAL, "query.time", "body.since", "a duration such as 10d, or 2026-03-12T08:30:00Z", NULL,
			     "this is no time");
	(void)controller_flush(a->c); /* seen again by whoever changes something */
	e = e ?: candidate(a, body, &x);
	e = e ?: policy_lint_make(&x.st, &a->f, &x.l);
	for (size_t i = 0; i < x.l.n && !e; i++)
		e = finding_put(&x, &x.l.v[i]);
	e = e ?: recorded_look(&x);
	e = e ?: answer(&x, ret);
	return e == -E2BIG ? -ENOSPC : e;
}
