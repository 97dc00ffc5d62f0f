/* SPDX-License-Identifier: Apache-2.0 */
/* window.c - what keeps a state current over time: confirm windows, quarantine ends, decisions of
 * accesses, and handing the state to the node. */
#define LOG_UNIT "change"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/change.h"
#include "controller/judge.h"
#include "controller/kube_hook.h"
#include "store/store_access.h"

int controller_judge(struct controller *c, struct fail_list *f, struct judge **ret)
{
	int e = 0;

	if (!c->judge) {
		e = judge_new(&c->judge);
		c->judge_stale = true;
	}
	if (!e && (c->judge_stale || judge_behind(c->judge)))
		e = judge_set(c->judge, &c->state, f);
	if (e) {
		judge_free(c->judge);
		c->judge = NULL;
		return e;
	}
	c->judge_stale = false;
	*ret = c->judge;
	return 0;
}

/* A person has said what is to hold from now on. */
void change_release(struct controller *c, const char *who)
{
	if (!c->held_ns)
		return;
	c->held_ns = 0;
	if (store_hold_set(c->store, 0))
		c->store_errors++; /* held again after a restart, until the next change */
	controller_note(c, "store.released", NULL, who, "what the new store holds is put in force from now on");
}

int change_push(struct controller *c, struct fail_list *f)
{
	auto_cleanup(fail_list_done) struct fail_list own = {};
	struct node_receipt r = {};
	const char *why;
	int e;

	/* What a former process left in force is better than a store that forgot everything. */
	if (c->held_ns || !kube_may_push(c->kube))
		return 0;
	f = f ? f : &own;
	c->judge_stale = true;
	c->shadow_stale = true;
	e = c->ops->prepare(c->node, &c->state, f, &r);
	if (e >= 0)
		e = c->ops->commit(c->node, POLICY_CUT, &r);
	if (!*r.node)
		snprintf(r.node, sizeof(r.node), "%s", c->node_name);
	c->receipt = r;
	c->in_sync = e >= 0;
	free(c->sync_error);
	c->sync_error = NULL;
	if (e >= 0) {
		c->receipt.generation = c->state.generation;
		c->dirty = false;
		return 0;
	}
	why = *r.note ? r.note : f->n ? f->items[0].message : strerror(-e);
	c->sync_error = strdup(why);
	if (!f->n)
		fail_add(f, e, "node.refused", c->node_name, NULL, "cellwall status", "%s", why);
	return e;
}

/* Access behind a rule made by confirm or reject, or NULL. */
static const char *rule_access(const struct rule *r)
{
	if (str_set(r->access))
		return r->access;
	if (str_set(r->ns))
		return NULL;
	if (!strncmp(r->name, "learned-", 8))
		return r->name + 8;
	if (!strncmp(r->name, "rejected-", 9))
		return r->name + 9;
	return NULL;
}

/*
 * A decision is nothing but the rule that came of it: derived from the rules, it follows every
 * way in which they change (confirm, undo, revert, rollback, delete, apply).
 */
bool change_sync_decisions(struct controller *c, const char *who)
{
	struct htab *by = htab_new();
	size_t n = access_book_count(c->book);
	bool changed = false;

	if (!by)
		return false;
	for (size_t i = 0; i < c->state.nrules; i++) {
		const struct rule *r = &c->state.rules[i];
		const char *id = rule_access(r);

		if (id && htab_set(by, id, strlen(id), (void *)r, NULL))
			log_warn(-ENOMEM, "access decisions are not brought up to date, retrying with the next change");
	}
	for (size_t i = 0; i < n; i++) {
		const struct access *a = access_book_at(c->book, i);
		const struct rule *r = htab_get(by, a->id, strlen(a->id));
		enum access_decision want = !r ? ACCESS_UNDECIDED :
					    r->action == CW_ACT_BLOCK ? ACCESS_REJECTED : ACCESS_CONFIRMED;

		if (a->decision == want)
			continue;
		changed = !access_book_decide(c->book, a->id, want, who, controller_now(c)) || changed;
	}
	htab_free(by, NULL);
	return changed;
}

int change_window_restore(struct controller *c)
{
	struct change open = {};
	int e = store_change_open(c->store, &open);

	if (e)
		return e == -ENOENT ? 0 : e;
	c->window.generation = open.generation;
	c->window.base = open.base;
	c->window.until_ns = open.until_ns;
	change_done(&open);
	return 0;
}

int generation_load(struct controller *c, uint64_t gen, struct policy_state *ret)
{
	/* Before the first change there was nothing; the store takes 0 for the current one. */
	return gen ? store_state_load(c->store, gen, ret) : 0;
}

void change_window_expire(struct controller *c)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	struct policy_state snap = {};
	struct change_req q = { .who = "cellwalld", .via = "confirm window", .is_revert = true,
				.reverted = c->window.generation };
	cJSON *plan = NULL;
	int e;

	if (!kube_may_push(c->kube))
		return; /* the timer comes again */
	e = generation_load(c, c->window.base, &snap);
	e = e ?: change_req_state(c, &q);
	/* A quarantine made meanwhile is an emergency of its own and stays. */
	e = e ?: state_take(&snap, c->state.generation == c->window.generation, &q.next);
	q.what = text_fmt("window of %llu ended, back to %llu", (unsigned long long)c->window.generation,
			  (unsigned long long)c->window.base);
	e = e ?: change_make(c, &q, &f, &plan);
	if (!e && json_bool(plan, "noop", false)) { /* nothing left to take back: only the window ends */
		e = store_change_mark(c->store, c->window.generation, CHANGE_REVERTED, c->state.generation);
		if (!e)
			memset(&c->window, 0, sizeof(c->window));
	}
	if (e)
		log_err(e, "cannot revert an unconfirmed change, retrying; generation=%llu reason='%s'",
			(unsigned long long)c->window.generation, f.n ? f.items[0].message : "");
	cJSON_Delete(plan);
	policy_state_done(&snap);
	change_req_done(&q);
}

void quarantine_expire(struct controller *c)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	struct change_req q = { .who = "cellwalld", .via = "timer", .keep_window = true };
	int64_t now = controller_now(c);
	cJSON *plan = NULL;
	bool any = false;
	int e;

	for (size_t i = 0; i < c->state.nquarantines; i++)
		any = any || (c->state.quarantines[i].until_ns && c->state.quarantines[i].until_ns <= now);
	if (!any || !kube_may_push(c->kube))
		return;
	e = change_req_state(c, &q);
	for (size_t i = q.next.nquarantines; i-- > 0 && !e;)
		if (q.next.quarantines[i].until_ns && q.next.quarantines[i].until_ns <= now)
			state_quarantine_del(&q.next, i);
	q.what = strdup("quarantine ended by its time limit");
	e = e ?: change_make(c, &q, &f, &plan);
	if (e)
		log_err(e, "cannot end a quarantine, retrying; reason='%s'", f.n ? f.items[0].message : "");
	cJSON_Delete(plan);
	change_req_done(&q);
}
