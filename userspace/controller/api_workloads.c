/* SPDX-License-Identifier: Apache-2.0 */
/* api_workloads.c - workloads and namespaces: list, show, declare, remove. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "controller/api_routes.h"
#include "controller/inventory.h"
#include "controller/kpolicies.h"
#include "controller/rule_view.h"
#include "controller/view.h"
#include "policy/rule_doc.h"

#define WORKLOAD_INPUT_MAX 10000u /* workloads in one request */

/* ---- show ------------------------------------------------------------------------------------- */

struct guards { cJSON *arr; const char *ref; const char *worst; const struct controller *c; };

static int guard_add(void *arg, const struct node_guard *g)
{
	struct guards *w = arg;

	if (strcmp(g->workload, w->ref))
		return 0;
	put_push(w->arr, view_guard(w->c, g));
	if (!w->worst || !strcmp(g->state, "blind") || (!strcmp(g->state, "bypassable") && strcmp(w->worst, "blind")))
		w->worst = g->state;
	return 0;
}

static const char *const from_word[] = { "cluster", "namespace", "controller", "workload" };

const char *mode_from_word(const struct policy_state *st, const struct workload *w)
{
	enum cw_mode mode, own;
	enum cw_action dflt;
	const struct mode_setting *from;

	policy_state_mode(st, w, &mode, &dflt, &from);
	if (str_set(w->mode_label) && !cw_mode_parse(w->mode_label, &own) && own == mode &&
	    (from ? from->mode : st->default_mode) != mode)
		return "label";
	return from ? from_word[from->scope] : "default";
}

static cJSON *view_workload(struct controller *c, const struct workload *w)
{
	const struct declared *d = controller_declared(c, w->ns, w->name);
	auto_free char *ref = workload_pod_ref(w), *group = workload_group_ref(w);
	struct guards g = { .arr = cJSON_CreateArray(), .ref = ref ? ref : "", .c = c };
	cJSON *o = cJSON_CreateObject(), *k;
	const struct mode_setting *from;
	enum cw_mode mode;
	enum cw_action dflt;
	char a[ADDR_STR_MAX];

	policy_state_mode(&c->state, w, &mode, &dflt, &from);
	put_str(o, "ref", ref);
	put_str(o, "namespace", w->ns);
	put_str(o, "name", w->name);
	put_str(o, "uid", w->uid);
	put_str_null(o, "controller", str_set(w->controller_name) ? group : NULL);
	k = cJSON_AddObjectToObject(o, "labels");
	for (size_t i = 0; i < w->labels.n; i++)
		cJSON_AddStringToObject(k, w->labels.v[i].key, w->labels.v[i].value);
	put_str(o, "serviceAccount", w->service_account);
	put_str(o, "node", str_set(w->node) ? w->node : c->node_name);
	k = cJSON_AddArrayToObject(o, "addresses");
	for (size_t i = 0; i < w->naddrs; i++)
		put_push(k, cJSON_CreateString(addr_str(&w->addrs[i], a)));
	k = cJSON_AddArrayToObject(o, "ports");
	for (size_t i = 0; i < w->nports; i++) {
		cJSON *p = cJSON_CreateObject();
		char port[40];

		put_str(p, "name", w->ports[i].name);
		put_str(p, "port", axis_str(CW_AXIS(w->ports[i].proto, w->ports[i].port), port));
		put_push(k, p);
	}
	put_str(o, "netns", d ? d->netns : NULL);
	put_str(o, "source", inventory_source_str(d ? d->source : INVENTORY_API));
	cJSON_AddBoolToObject(o, "attached", d && d->attached);
	put_str(o, "mode", cw_mode_str(mode));
	put_str(o, "modeFrom", mode_from_word(&c->state, w));
	put_str(o, "default", cw_action_str(dflt));
	cJSON_AddBoolToObject(o, "quarantined", policy_state_quarantine(&c->state, w) != NULL);
	if (c->ops->guards)
		(void)c->ops->guards(c->node, guard_add, &g); /* none known is shown as "-" */
	put_str(o, "guard", g.worst ? g.worst : "-");
	put_item(o, "interfaces", g.arr);
	return o;
}

static bool in_scope(const struct words *ns, const char *name)
{
	return !ns->n || words_have(ns, name);
}

int api_workload_list(struct api *a, cJSON **ret)
{
	auto_cleanup(words_done) struct words ns = {};
	auto_cleanup(labels_done) struct labels sel = {};
	const char *s = api_q(a, "selector"), *search = api_q(a, "search");
	struct list_meta m = { .scope = &ns };
	cJSON *items;
	size_t limit, n = 0;
	int e;

	e = api_q_words(a, "namespace", &ns);
	e = e ?: api_q_limit(a, &limit);
	if (e)
		return e;
	if (s && labels_parse(s, &sel))
		return fail_add(&a->f, -EINVAL, "query.selector", "query selector", "KEY=VALUE,...", NULL,
				"this is not a label selector");
	items = cJSON_CreateArray();
	for (size_t i = 0; i < a->c->state.nworkloads; i++) {
		const struct workload *w = &a->c->state.workloads[i];
		const struct ref r = { .kind = REF_LABELS, .labels = sel };

		if (!in_scope(&ns, w->ns) || (sel.n && !ref_matches_workload(&r, w)))
			continue;
		if (search && !strcasestr(w->name, search) && !strcasestr(w->controller_name ?: "", search))
			continue;
		m.total++;
		if (n < limit) {
			put_push(items, view_workload(a->c, w));
			n++;
		}
	}
	m.truncated = m.total - n;
	*ret = api_list(a->c, "WorkloadList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

static int no_workload(struct api *a, const char *ns, const char *name)
{
	struct ref r = { .kind = REF_WORKLOAD, .ns = (char *)ns, .name = (char *)name };
	auto_free char *near = ref_nearest(&r, &a->c->state);
	char at[400], expect[700], next[320];

	snprintf(at, sizeof(at), "\"%.63s/%.253s\"", ns, name);
	snprintf(expect, sizeof(expect), "a workload that is declared%s%s%s", near ? "; did you mean " : "",
		 near ? near : "", near ? "?" : "");
	snprintf(next, sizeof(next), "cellwall workload list -n %.253s", ns);
	return fail_add(&a->f, -ENOENT, "ref.not-found", at, expect, next, "no such workload");
}

/* Rules whose subject on a side is this workload; by selector, not by traffic. */
static bool selector_has(const struct selector *s, const struct rule *r, const struct controller *c,
			 const struct workload *w)
{
	const struct namespace *n = state_namespace(&c->state, w->ns);
	const char *ns = str_set(s->ns) ? s->ns : !s->ns_labels.set ? r->ns : NULL;

	if (s->kind == SEL_ANY)
		return true;
	if (s->kind == SEL_CIDR) {
		for (size_t i = 0; i < w->naddrs; i++)
			if (prefix_has(&s->cidr, &w->addrs[i]))
				return true;
		return false;
	}
	if (s->kind != SEL_WORKLOAD || (str_set(ns) && !str_eq(ns, w->ns)))
		return false;
	if (s->ns_labels.set && !(n && label_selector_matches(&s->ns_labels, &n->labels)))
		return false;
	return (!s->labels.set || label_selector_matches(&s->labels, &w->labels)) &&
	       (!str_set(s->controller_name) || (str_eq(s->controller_name, w->controller_name) &&
						 same_kind(s->controller_kind, w->controller_kind))) &&
	       (!str_set(s->service_account) || str_eq(s->service_account, w->service_account)) &&
	       (!str_set(s->pod) || str_eq(s->pod, w->name)) && (!str_set(s->pod_uid) || str_eq(s->pod_uid, w->uid));
}

static void workload_kpolicy(const struct kpolicy *k, cJSON *arr)
{
	static const char *const word[] = { [IR_BLOCK] = "block", [IR_ALERT] = "alert", [IR_ALLOW] = "allow",
					    [IR_PASS] = "pass", [IR_ISOLATE] = "isolate" };

	for (int side = 0; side < 2; side++) {
		enum ir_effect effect = IR_ISOLATE;
		bool speaks = k->isolates[side], mixed = false, any = false;
		cJSON *e;

		for (size_t i = 0; i < k->nrules; i++) {
			if ((int)k->rules[i].side != side)
				continue;
			mixed = mixed || (any && k->rules[i].effect != effect);
			effect = k->rules[i].effect;
			speaks = any = true;
		}
		if (!speaks)
			continue;
		e = cJSON_CreateObject();
		put_str(e, "side", side == CW_EGRESS ? "egress" : "ingress");
		put_free(e, "name", kpolicy_path(k));
		put_str(e, "origin", rule_origin_str(kpolicy_origin(k)));
		put_str(e, "action", mixed ? "mixed" : word[effect]);
		cJSON_AddBoolToObject(e, "enabled", true);
		put_free(e, "summary", kpolicy_text(k));
		put_push(arr, e);
	}
}

static void workload_rules(struct api *a, const struct workload *w, cJSON *o)
{
	const struct policy_state *st = &a->c->state;
	cJSON *arr = cJSON_AddArrayToObject(o, "rules");

	for (size_t i = 0; i < st->nrules; i++) {
		const struct rule *r = &st->rules[i];

		for (int side = 0; side < 2; side++) {
			const struct selector *s = side == CW_EGRESS ? r->from : r->to;
			size_t n = side == CW_EGRESS ? r->nfrom : r->nto, k = 0;
			cJSON *e;

			if (str_set(r->ns) && !str_eq(r->ns, w->ns))
				continue;
			while (k < n && !selector_has(&s[k], r, a->c, w))
				k++;
			if (k == n)
				continue;
			e = cJSON_CreateObject();
			put_str(e, "side", side == CW_EGRESS ? "egress" : "ingress");
			put_free(e, "name", rule_ref(r));
			put_str(e, "origin", rule_origin_str(r->origin));
			put_str(e, "action", cw_action_str(r->action));
			cJSON_AddBoolToObject(e, "enabled", r->enabled);
			put_free(e, "summary", rule_text(r));
			put_push(arr, e);
		}
	}
	for (size_t i = 0; i < st->nkpolicies; i++)
		if (kpolicy_selects(st, &st->kpolicies[i], w))
			workload_kpolicy(&st->kpolicies[i], arr);
}

int api_workload_show(struct api *a, cJSON **ret)
{
	const char *ns = http_request_param(a->rq, "namespace"), *name = http_request_param(a->rq, "name");
	const struct workload *w = controller_workload(a->c, ns, name);
	auto_free char *group = NULL;
	size_t pending = 0;
	cJSON *o;

	if (!w)
		return no_workload(a, ns, name);
	o = view_workload(a->c, w);
	cJSON_AddStringToObject(o, "apiVersion", API_VERSION);
	cJSON_AddStringToObject(o, "kind", "Workload");
	workload_rules(a, w, o);
	group = workload_group_ref(w);
	for (size_t i = 0; group && i < access_book_count(a->c->book); i++) {
		const struct access *x = access_book_at(a->c->book, i);

		pending += access_state(x) == ACCESS_ST_PENDING &&
			   (str_eq(x->src->ref, group) || str_eq(x->dst->ref, group));
	}
	put_num(o, "pending", (double)pending);
	*ret = o;
	return 0;
}

/* ---- declare ---------------------------------------------------------------------------------------- */

struct input { struct inventory_workload in; char op; };
struct inputs { struct input *v; size_t n, cap; };

static void inputs_done(struct inputs *l)
{
	for (size_t i = 0; i < l->n; i++)
		inventory_workload_done(&l->v[i].in);
	vec_done(l);
}

static int read_inputs(struct api *a, const cJSON *body, struct inputs *l)
{
	const cJSON *arr = json_get(body, "items"), *i;
	bool many = arr && cJSON_IsArray(arr);
	char at[64];
	int e = 0;

	if (arr && (!many || json_get(body, "name")))
		return fail_add(&a->f, -EINVAL, "body.type", "body.items", "a list of workloads, and nothing beside it", NULL,
				"the field has the wrong type");
	if (many && (size_t)cJSON_GetArraySize(arr) > WORKLOAD_INPUT_MAX)
		return fail_add(&a->f, -E2BIG, "body.too-long", "body.items", "at most 10000 workloads", NULL,
				"there are too many workloads");
	for (i = many ? arr->child : body; i; i = many ? i->next : NULL) {
		struct input in = {};
		int r;

		snprintf(at, sizeof(at), many ? "body.items[%zu]" : "body", l->n);
		r = inventory_workload_parse(i, at, &a->f, &in.in);
		for (size_t k = 0; k < l->n && !r; k++)
			if (str_eq(l->v[k].in.w.ns, in.in.w.ns) && str_eq(l->v[k].in.w.name, in.in.w.name))
				r = fail_add(&a->f, -EINVAL, "workload.twice", at, "each workload once", NULL,
					     "the workload is in the list already");
		if (vec_push(l, in)) {
			inventory_workload_done(&in.in);
			return -ENOMEM;
		}
		e = e ?: r;
	}
	return e;
}

static cJSON *workload_plan(struct api *a, const struct inputs *l, bool dry, const char *what)
{
	cJSON *o = api_object("Plan"), *arr, *k;
	size_t n[256] = {};

	put_str(o, "what", what);
	cJSON_AddBoolToObject(o, "applied", !dry);
	cJSON_AddBoolToObject(o, "dryRun", dry);
	cJSON_AddBoolToObject(o, "canDrop", false);
	arr = cJSON_AddArrayToObject(o, "changes");
	for (size_t i = 0; i < l->n; i++) {
		const char op[2] = { l->v[i].op, 0 };

		k = cJSON_CreateObject();
		put_str(k, "op", op);
		put_str(k, "kind", "workload");
		put_free(k, "name", workload_pod_ref(&l->v[i].in.w));
		put_push(arr, k);
		n[(unsigned char)l->v[i].op]++;
	}
	k = cJSON_AddObjectToObject(o, "counts");
	put_num(k, "add", (double)n['+']);
	put_num(k, "change", (double)n['~']);
	put_num(k, "delete", (double)n['-']);
	put_num(k, "unchanged", (double)n['=']);
	cJSON_AddBoolToObject(o, "noop", n['='] == l->n);
	k = cJSON_AddObjectToObject(o, "generation"); /* the inventory is no part of a generation */
	put_num(k, "from", (double)a->c->state.generation);
	put_num(k, "to", (double)a->c->state.generation);
	return o;
}

/* Attaches what is new; on a fault, what was attached by this call is detached again. */
static int attach_all(struct api *a, struct inputs *l, cJSON *warn)
{
	struct controller *c = a->c;

	for (size_t i = 0; i < l->n; i++) {
		struct input *in = &l->v[i];
		auto_cleanup(fail_list_done) struct fail_list own = {};
		char where[512];
		int e;

		/* Without a place it is attached when the container runtime names it. */
		if (in->op != '+' || !in->in.netns || !c->ops->workload_attach)
			continue;
		e = c->ops->workload_attach(c->node, &in->in.w, in->in.netns, &own);
		if (e >= 0)
			continue;
		if (e == -EAGAIN) { /* declared before its interface: the timer tries on */
			cJSON *o = cJSON_CreateObject();

			put_str(o, "name", "workload.no-interface");
			put_free(o, "message", workload_pod_ref(&in->in.w));
			put_push(warn, o);
			in->op = 'w';
			continue;
		}
		snprintf(where, sizeof(where), "%.63s/%.253s, netns \"%.100s\"", in->in.w.ns, in->in.w.name, in->in.netns);
		fail_add(&a->f, e, e == -ENOENT ? "workload.netns" : "workload.attach", where,
			 e == -ENOENT ? "a network namespace that exists" : NULL, e == -ENOENT ? "ip netns list" : NULL, "%s",
			 own.n ? own.items[0].message : e == -ENOENT ? "no such network namespace" : strerror(-e));
		while (i-- > 0)
			if (l->v[i].op == '+' && c->ops->workload_detach)
				(void)c->ops->workload_detach(c->node, l->v[i].in.w.ns, l->v[i].in.w.name);
		return e;
	}
	return 0;
}

/* In one transaction: all of them or none. */
static int put_all(struct controller *c, struct inputs *l)
{
	size_t done = 0;
	int e = store_begin(c->store, true);

	if (e)
		return e;
	for (; done < l->n && !e; done++) {
		struct input *in = &l->v[done];
		struct declared *d;

		if (in->op == '=')
			continue;
		e = inventory_put(c, &in->in.w, in->in.netns, INVENTORY_API);
		d = controller_declared(c, in->in.w.ns, in->in.w.name);
		if (d && in->op == '+')
			d->attached = in->in.netns != NULL;
	}
	if (e)
		store_rollback(c->store);
	else
		e = store_commit(c->store);
	for (size_t i = 0; i < done; i++) {
		struct input *in = &l->v[i];

		if (e && (in->op == '+' || in->op == 'w'))
			(void)inventory_remove(c, in->in.w.ns, in->in.w.name); /* was not there before */
		in->op = in->op == 'w' ? '+' : in->op;
	}
	return e;
}

int api_workload_add(struct api *a, cJSON **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(inputs_done) struct inputs l = {};
	struct controller *c = a->c;
	cJSON *warn, *items;
	size_t add = 0;
	int dry, e;

	e = api_q_bool(a, "dryRun", &dry);
	e = e ?: api_body(a, NULL, true, &body);
	e = e ?: read_inputs(a, body, &l);
	if (e)
		return e;
	for (size_t i = 0; i < l.n; i++) {
		struct input *in = &l.v[i];
		const struct declared *d = controller_declared(c, in->in.w.ns, in->in.w.name);

		e = inventory_by_hand(d, "workload", in->in.w.name, &a->f);
		if (e)
			return e;
		in->op = !d ? '+' : inventory_same(c, &in->in.w, in->in.netns) ? '=' : '~';
		add += in->op == '+';
	}
	if (c->state.nworkloads + add > STATE_WORKLOADS_MAX)
		return fail_add(&a->f, -ENOSPC, "workload.too-many", "body", NULL, NULL, "there would be too many workloads");
	if (dry == 1) {
		*ret = workload_plan(a, &l, true, "workload add");
		return *ret ? 0 : -ENOMEM;
	}
	warn = cJSON_CreateArray();
	e = attach_all(a, &l, warn);
	e = e ?: put_all(c, &l);
	if (e) {
		cJSON_Delete(warn);
		return e;
	}
	controller_attach_pending(c);
	(void)controller_flush(c); /* refused: status says so, and the timer tries again */
	*ret = workload_plan(a, &l, false, "workload add");
	items = cJSON_AddArrayToObject(*ret, "items");
	for (size_t i = 0; i < l.n; i++) {
		const struct workload *w = controller_workload(c, l.v[i].in.w.ns, l.v[i].in.w.name);

		if (w)
			put_push(items, view_workload(c, w));
	}
	put_item(*ret, "warnings", warn);
	controller_note(c, "workload.declared", NULL, a->who, "%zu workloads declared, %zu new", l.n, add);
	return 0;
}

int api_workload_del(struct api *a, cJSON **ret)
{
	const char *ns = http_request_param(a->rq, "namespace"), *name = http_request_param(a->rq, "name");
	const struct declared *d = controller_declared(a->c, ns, name);
	auto_cleanup(inputs_done) struct inputs l = {};
	struct input in = { .op = '-' };
	char ref[400];
	int dry, e;

	e = api_q_bool(a, "dryRun", &dry);
	if (e)
		return e;
	if (!d)
		return no_workload(a, ns, name);
	e = inventory_by_hand(d, "workload", name, &a->f);
	if (e)
		return e;
	in.in.w.ns = strdup(ns);
	in.in.w.name = strdup(name);
	if (!in.in.w.ns || !in.in.w.name || vec_push(&l, in)) {
		inventory_workload_done(&in.in);
		return -ENOMEM;
	}
	snprintf(ref, sizeof(ref), "%.63s/pod/%.253s", ns, name);
	if (dry != 1) {
		e = inventory_remove(a->c, l.v[0].in.w.ns, l.v[0].in.w.name);
		if (e)
			return e;
		(void)controller_flush(a->c); /* as above */
		controller_note(a->c, "workload.removed", ref, a->who, "detached and forgotten");
	}
	*ret = workload_plan(a, &l, dry == 1, "workload remove");
	return *ret ? 0 : -ENOMEM;
}
