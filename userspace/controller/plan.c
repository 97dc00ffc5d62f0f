/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/rule_set.h"
#include "controller/view.h"

void plan_done(struct plan *p)
{
	change_items_done(&p->items);
	replay_done(&p->replay);
	cJSON_Delete(p->flows_cut);
	cJSON_Delete(p->needs);
	memset(p, 0, sizeof(*p));
}

/* ---- live flows ------------------------------------------------------------------------------ */

static int count_live(void *arg, const struct node_flow *fl)
{
	size_t *n = arg;

	*n += fl->outcome[0] != CW_OUT_DROP && fl->outcome[1] != CW_OUT_DROP && fl->state != CW_FLOW_CLOSED;
	return 0;
}

struct cut_walk { const struct controller *c; struct plan *p; };

static int count_cut(void *arg, const struct node_flow *fl)
{
	struct cut_walk *w = arg;

	if (w->p->cut++ < FLOWS_SHOWN_MAX)
		put_push(w->p->flows_cut, view_flow(w->c, fl));
	return 0;
}

static int plan_flows(struct controller *c, struct plan *p)
{
	struct cut_walk w = { c, p };
	int e;

	p->flows_cut = cJSON_CreateArray();
	if (!p->flows_cut)
		return -ENOMEM;
	if (!c->ops)
		return 0;
	e = c->ops->flows ? c->ops->flows(c->node, count_live, &p->live) : 0;
	if (e >= 0 && c->ops->flows_cut)
		e = c->ops->flows_cut(c->node, count_cut, &w);
	return e < 0 ? e : 0;
}

/* ---- readiness -------------------------------------------------------------------------------- */

static enum cw_mode mode_of(const struct policy_state *st, const struct workload *w)
{
	enum cw_mode mode;
	enum cw_action dflt;
	const struct mode_setting *from;

	policy_state_mode(st, w, &mode, &dflt, &from);
	return mode;
}

/* Only what changes a mode can move a workload to enforce; of a large cluster nobody is asked in vain. */
static bool modes_change(const struct plan *p)
{
	for (size_t i = 0; i < p->items.n; i++)
		if (p->items.v[i].op != '=' && !strcmp(p->items.v[i].kind, "mode"))
			return true;
	return false;
}

static int plan_needs(struct controller *c, const struct change_req *q, struct plan *p)
{
	struct htab *asked = htab_new();
	bool any = modes_change(p);
	int e = 0;

	p->needs = cJSON_CreateArray();
	if (!asked || !p->needs) {
		htab_free(asked, NULL);
		return -ENOMEM;
	}
	for (size_t i = 0; any && i < q->next.nworkloads && !q->is_revert && !e; i++) {
		const struct workload *w = &q->next.workloads[i];
		const struct workload *same = i < c->state.nworkloads ? &c->state.workloads[i] : NULL;
		const struct workload *old = same && str_eq(same->name, w->name) && str_eq(same->ns, w->ns) ?
			same : state_workload(&c->state, w->ns, w->name); /* nearly always in the same place */
		cJSON *o, *ready = NULL;
		char msg[200], next[320];

		if (mode_of(&q->next, w) != CW_MODE_ENFORCE || (old && mode_of(&c->state, old) == CW_MODE_ENFORCE) ||
		    htab_has(asked, w->ns, strlen(w->ns)))
			continue;
		e = htab_set(asked, w->ns, strlen(w->ns), c, NULL);
		if (e || controller_ready(c, w->ns, &ready)) {
			cJSON_Delete(ready);
			continue;
		}
		o = cJSON_CreateObject();
		snprintf(msg, sizeof(msg), "%.100s is not ready to be enforced", w->ns);
		snprintf(next, sizeof(next), "cellwall ready -n %.253s", w->ns);
		put_str(o, "accept", "not-ready");
		put_str(o, "error", "mode.not-ready");
		put_str(o, "namespace", w->ns);
		put_str(o, "message", msg);
		put_str(o, "next", next);
		put_item(o, "ready", ready);
		put_push(p->needs, o);
		p->nneeds++;
	}
	htab_free(asked, NULL);
	return e;
}

/* ---- whole ------------------------------------------------------------------------------------- */

static bool anything_enforced(const struct policy_state *st)
{
	bool could = st->default_mode == CW_MODE_ENFORCE;

	if (st->enforce_always)
		return true;
	for (size_t i = 0; i < st->nmodes && !could; i++)
		could = st->modes[i].mode == CW_MODE_ENFORCE;
	for (size_t i = 0; i < st->nnamespaces && !could; i++)
		could = str_eq(labels_get(&st->namespaces[i].labels, "cellwall.io/mode"), "enforce");
	for (size_t i = 0; i < st->nworkloads && !could; i++)
		could = str_eq(st->workloads[i].mode_label, "enforce");
	if (!could)
		return false;
	for (size_t i = 0; i < st->nworkloads; i++)
		if (mode_of(st, &st->workloads[i]) == CW_MODE_ENFORCE)
			return true;
	return false;
}

int plan_make(struct controller *c, const struct change_req *q, struct plan *p)
{
	const struct replay_opts all = { .until_ns = 0 };
	bool rules = false;
	int e;

	e = plan_flows(c, p);
	if (e)
		return e;
	/* A quarantine must not wait for the history of a large cluster; its dry run may. */
	if ((!q->keep_window && !q->no_replay) || q->dry_run) {
		e = replay_run(c->judge, c->book, &q->next, &all, &p->replay);
		if (e)
			return e;
		p->replayed = true;
	}
	e = plan_needs(c, q, p);
	if (e)
		return e;
	p->can_drop = (p->cut && q->flows != POLICY_KEEP) || p->replay.breaks;
	for (size_t i = 0; i < p->items.n; i++) {
		const struct change_item *it = &p->items.v[i];

		rules = rules || (it->tightens && !strcmp(it->kind, "rule"));
		p->can_drop = p->can_drop || (it->tightens && strcmp(it->kind, "rule"));
	}
	p->can_drop = p->can_drop || (rules && anything_enforced(&q->next));
	for (size_t i = 0; i < p->items.n && q->dry_run; i++)
		p->compared = p->compared || (p->items.v[i].op != '=' && !strcmp(p->items.v[i].kind, "rule"));
	return p->compared ? rule_set_ranges(c, &q->next, &p->ranges) : 0;
}

static void counts_json(cJSON *o, const struct change_req *q, const struct plan *p)
{
	cJSON *k = cJSON_AddObjectToObject(o, "counts");
	size_t n[256] = {}, workloads = 0, namespaces = 0;

	for (size_t i = 0; i < p->items.n; i++) {
		const struct change_item *it = &p->items.v[i];

		n[(unsigned char)it->op]++;
		workloads += it->workloads;
		namespaces += !strcmp(it->kind, "mode") && !strncmp(it->name, "ns/", 3);
	}
	put_num(k, "add", (double)n['+']);
	put_num(k, "change", (double)n['~']);
	put_num(k, "delete", (double)n['-']);
	put_num(k, "unchanged", (double)n['=']);
	put_num(k, "namespaces", (double)namespaces);
	put_num(k, "workloads", (double)workloads);
	put_num(k, "files", (double)q->files);
	put_num(k, "documents", (double)q->documents);
}

static void accesses_json(const struct controller *c, cJSON *o, const struct change_req *q, const struct plan *p)
{
	const struct replay *r = &p->replay;
	cJSON *arr = cJSON_AddArrayToObject(o, "accesses"), *k;

	for (size_t i = 0; i < r->n; i++)
		put_push(arr, view_access_change(&c->state, &q->next, &r->items[i], r));
	k = cJSON_AddObjectToObject(o, "accessCounts");
	put_num(k, "recorded", (double)r->accesses);
	view_effects(k, r);
	(void)view_recorded(c, o, r);
}

static void window_json(const struct controller *c, cJSON *o, const struct change_req *q)
{
	cJSON *k, *warn = cJSON_AddArrayToObject(o, "warnings");
	char t[32];

	if (q->confirm_ms) {
		k = cJSON_AddObjectToObject(o, "confirm");
		put_num(k, "durationMs", (double)q->confirm_ms);
	} else {
		cJSON_AddNullToObject(o, "confirm");
	}
	if (c->window.generation && !q->is_revert && !q->keep_window && !q->confirm_ms) {
		char msg[160];

		k = cJSON_CreateObject();
		snprintf(msg, sizeof(msg), "generation %llu is not confirmed: this change reverts with it at %s",
			 (unsigned long long)c->window.generation, time_str(c->window.until_ns, t));
		put_str(k, "name", "change.window-open");
		put_str(k, "message", msg);
		put_push(warn, k);
	}
}

static void flows_json(cJSON *o, const struct change_req *q, const struct plan *p)
{
	bool keep = q->flows == POLICY_KEEP;
	cJSON *k;

	put_str(o, "flows", flows_str(q->flows));
	put_item(o, keep ? "flowsKept" : "flowsCut",
		 p->flows_cut ? cJSON_Duplicate(p->flows_cut, 1) : cJSON_CreateArray());
	cJSON_AddArrayToObject(o, keep ? "flowsCut" : "flowsKept");
	k = cJSON_AddObjectToObject(o, "flowCounts");
	put_num(k, "live", (double)p->live);
	put_num(k, "cut", keep ? 0 : (double)p->cut);
	put_num(k, "kept", keep ? (double)p->cut : 0);
}

void plan_receipt(const struct change_req *q, const struct plan *p, struct node_receipt *receipt)
{
	const cJSON *first = p->flows_cut ? p->flows_cut->child : NULL;
	bool keep = q->flows == POLICY_KEEP;

	receipt->flows_cut = keep ? 0 : (uint32_t)p->cut;
	if (!p->cut || *receipt->note)
		return;
	if (keep)
		snprintf(receipt->note, sizeof(receipt->note), "%zu live flows kept", p->cut);
	else if (first)
		snprintf(receipt->note, sizeof(receipt->note), "%.100s -> %.100s%s%s", json_str(first, "src") ?: "-",
			 json_str(first, "dst") ?: "-", p->cut > 1 ? " and more" : "",
			 q->flows == POLICY_RESET ? ", with resets" : "");
}

cJSON *plan_json(const struct controller *c, const struct change_req *q, const struct plan *p)
{
	cJSON *o = api_object("Plan"), *k;
	bool noop = true;
	char undo[64];

	if (!o)
		return NULL;
	for (size_t i = 0; i < p->items.n; i++)
		noop = noop && p->items.v[i].op == '=';
	put_str(o, "what", q->what);
	cJSON_AddBoolToObject(o, "applied", false);
	cJSON_AddBoolToObject(o, "dryRun", q->dry_run);
	cJSON_AddBoolToObject(o, "noop", noop);
	cJSON_AddBoolToObject(o, "canDrop", p->can_drop);
	k = cJSON_AddObjectToObject(o, "generation");
	put_num(k, "from", (double)q->next.generation - (noop ? 0 : 1));
	put_num(k, "to", (double)q->next.generation);
	put_item(o, "changes", view_items(&p->items));
	counts_json(o, q, p);
	if (p->replayed)
		accesses_json(c, o, q, p);
	flows_json(o, q, p);
	if (p->compared && p->ranges >= 0)
		put_num(o, "verdictsDiffer", (double)p->ranges);
	else if (p->compared)
		cJSON_AddNullToObject(o, "verdictsDiffer");
	k = cJSON_AddArrayToObject(o, "room");
	if (!noop)
		put_push(k, view_room(&p->room));
	put_item(o, "needs", p->needs ? cJSON_Duplicate(p->needs, 1) : cJSON_CreateArray());
	put_item(o, "skipped", q->skipped ? cJSON_Duplicate(q->skipped, 1) : cJSON_CreateArray());
	put_item(o, "stillBlocked", q->still_blocked ? cJSON_Duplicate(q->still_blocked, 1) : cJSON_CreateArray());
	window_json(c, o, q);
	cJSON_AddArrayToObject(o, "receipts");
	if (!noop) {
		snprintf(undo, sizeof(undo), "cellwall change revert %llu", (unsigned long long)q->next.generation);
		put_str(o, "undo", q->undo ? q->undo : undo);
	}
	return o;
}

void plan_applied(const struct controller *c, cJSON *plan, const struct node_receipt *receipt, int64_t reverts_at)
{
	cJSON *confirm = cJSON_GetObjectItemCaseSensitive(plan, "confirm");

	if (!plan)
		return;
	cJSON_ReplaceItemInObjectCaseSensitive(plan, "applied", cJSON_CreateTrue());
	put_push(cJSON_GetObjectItemCaseSensitive(plan, "receipts"), view_receipt(receipt));
	if (reverts_at && cJSON_IsObject(confirm))
		put_time(confirm, "revertsAt", reverts_at);
	put_time(plan, "time", controller_now(c));
}
