/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - the pipeline: validate, compile, plan, make durable, put in force. */
#include "controller/change.h"

#define LOG_UNIT "change"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strparse.h"
#include "controller/kpolicies.h"
#include "controller/kube_hook.h"
#include "controller/plan.h"
#include "controller/rule_apply.h"
#include "controller/view.h"
#include "store/store_access.h"

/* Gives st the inventory of `from`, or none. */
static void inventory_of(const struct policy_state *from, struct policy_state *st)
{
	static const struct policy_state none;

	from = from ? from : &none;
	st->workloads = from->workloads;
	st->nworkloads = from->nworkloads;
	st->namespaces = from->namespaces;
	st->nnamespaces = from->nnamespaces;
	st->services = from->services;
	st->nservices = from->nservices;
	st->nodes = from->nodes;
	st->nnodes = from->nnodes;
}

int change_req_state(const struct controller *c, struct change_req *q)
{
	struct policy_state part = c->state;
	int e;

	inventory_of(NULL, &part);
	e = policy_state_copy(&part, &q->next);
	if (e)
		return e;
	inventory_of(&c->state, &q->next);
	q->borrowed = true;
	return 0;
}

void change_req_done(struct change_req *q)
{
	if (q->borrowed)
		inventory_of(NULL, &q->next);
	free(q->what);
	free(q->undo);
	policy_state_done(&q->next);
	words_done(&q->touched);
	words_done(&q->confirming);
	cJSON_Delete(q->skipped);
	cJSON_Delete(q->still_blocked);
	memset(q, 0, sizeof(*q));
}

static const char *const flows_words[] = { [POLICY_CUT] = "cut", [POLICY_RESET] = "reset", [POLICY_KEEP] = "keep" };

const char *flows_str(enum policy_flows f)
{
	return (unsigned)f < ARRAY_SIZE(flows_words) ? flows_words[f] : NULL;
}

static int bad_query(struct api *a, const char *name, const char *value, const char *expected)
{
	char at[200];

	snprintf(at, sizeof(at), "query %s: \"%.100s\"", name, value);
	return fail_add(&a->f, -EINVAL, "query.value", at, expected, NULL, "the value of %s is not valid", name);
}

int change_req_begin(struct api *a, struct change_req *q)
{
	const char *gen = api_q(a, "ifGeneration"), *window = api_q(a, "confirm"), *flows = api_q(a, "flows");
	struct words accept = {};
	uint64_t ms;
	int dry, e;

	e = api_q_bool(a, "dryRun", &dry);
	if (gen && parse_u64(gen, 0, UINT64_MAX, &q->if_generation))
		e = bad_query(a, "ifGeneration", gen, "a generation number");
	if (window) {
		if (parse_duration_ms(window, WINDOW_MAX_MS, &ms) || ms < WINDOW_MIN_MS)
			e = bad_query(a, "confirm", window, "a duration from 1s to 24h");
		else
			q->confirm_ms = (int64_t)ms;
	}
	if (flows) {
		size_t i = 0;

		while (i < ARRAY_SIZE(flows_words) && strcmp(flows, flows_words[i]))
			i++;
		if (i == ARRAY_SIZE(flows_words))
			e = bad_query(a, "flows", flows, "keep, cut or reset");
		else
			q->flows = (enum policy_flows)i;
	}
	if (api_q_words(a, "accept", &accept))
		e = -ENOMEM;
	for (size_t i = 0; i < accept.n; i++) {
		if (strcmp(accept.v[i], "not-ready"))
			e = bad_query(a, "accept", accept.v[i], "not-ready");
		else
			q->accept_not_ready = true;
	}
	words_done(&accept);
	if (e)
		return e;
	q->has_if = gen != NULL;
	q->dry_run = dry == 1;
	q->who = a->who;
	q->via = "api";
	/* What waits in the inventory belongs to the state that the change is planned on. */
	(void)controller_flush(a->c); /* a refusal is kept in sync_error and seen again below */
	return change_req_state(a->c, q);
}

int change_run(struct api *a, struct change_req *q, struct cJSON **ret)
{
	return change_make(a->c, q, &a->f, ret);
}

/* ---- checks ------------------------------------------------------------------------------------ */

static int check_stale(struct controller *c, const struct change_req *q, struct fail_list *f)
{
	struct change last = {};
	char who[160] = "";
	int e;

	if (!q->has_if || q->if_generation == c->state.generation)
		return 0;
	if (!store_change_load(c->store, c->state.generation, &last)) {
		long long ago = (controller_now(c) - last.at_ns) / 1000000000ll;

		snprintf(who, sizeof(who), " (%.64s, %lld s ago)", last.who ? last.who : "-", ago);
		change_done(&last);
	}
	e = fail_add(f, -ESTALE, "change.stale", q->what, "the generation the plan was made on",
		     "run the command again with --dry-run", "generation went from %llu to %llu after this plan%s",
		     (unsigned long long)q->if_generation, (unsigned long long)c->state.generation, who);
	return e;
}

static int check_window(struct controller *c, const struct change_req *q, struct fail_list *f)
{
	char next[64];

	if (!c->window.generation || !q->confirm_ms)
		return 0;
	snprintf(next, sizeof(next), "cellwall change confirm %llu", (unsigned long long)c->window.generation);
	return fail_add(f, -EBUSY, "change.window-open", q->what, "no other confirm window", next,
			"generation %llu is waiting to be confirmed", (unsigned long long)c->window.generation);
}

/* An emergency cuts, whatever else the same documents say. */
static int check_flows(const struct change_req *q, const struct plan *p, struct fail_list *f)
{
	for (size_t i = 0; i < p->items.n && q->flows == POLICY_KEEP; i++)
		if (p->items.v[i].tightens && !strcmp(p->items.v[i].kind, "quarantine"))
			return fail_add(f, -EINVAL, "change.keep-quarantine", q->what, "--cut or --reset, or the quarantine on its own",
					"cellwall quarantine add REF --reason TEXT", "the quarantine of %s cannot keep live flows",
					p->items.v[i].name);
	return 0;
}

/* Rules and Kubernetes policies share one series: a verdict carries nothing but the number. */
static int number_one(struct controller *c, const struct change_req *q, uint32_t *dry, uint32_t *id)
{
	uint64_t n = (*dry)++;
	int e;

	if (*id)
		return 0;
	if (!q->dry_run) {
		e = store_number_next(c->store, "rule", &n);
		if (e)
			return e;
	}
	*id = (uint32_t)n;
	return 0;
}

static int number_rules(struct controller *c, struct change_req *q)
{
	uint32_t dry = RULE_CANDIDATE_IDS;
	int e = 0;

	for (size_t i = 0; i < q->next.nrules && !e; i++)
		e = number_one(c, q, &dry, &q->next.rules[i].id);
	for (size_t i = 0; i < q->next.nkpolicies && !e; i++)
		e = number_one(c, q, &dry, &q->next.kpolicies[i].id);
	return e;
}

static int store_failed(struct controller *c, int e, struct fail_list *f)
{
	c->store_errors++;
	return fail_add(f, e, "server.store", store_error(c->store), "a store that can be written",
			"check the free space of the state directory", "the change could not be made durable");
}

static int not_ready(const struct plan *p, const struct change_req *q, struct fail_list *f)
{
	const cJSON *n;

	cJSON_ArrayForEach(n, p->needs)
		fail_add(f, -EBUSY, "mode.not-ready", q->what, "a namespace that is ready, or `--accept not-ready`",
			 json_str(n, "next"), "%s", json_str(n, "message"));
	return -EBUSY;
}

/* ---- commit --------------------------------------------------------------------------------------- */

static void receipt_name(const struct controller *c, struct node_receipt *r)
{
	if (!*r->node)
		snprintf(r->node, sizeof(r->node), "%s", c->node_name);
}

/* The node could not put in force what is durable already: the old state is made current again,
 * as a generation of its own, since numbers are never used twice. */
static int undo_commit(struct controller *c, struct change_req *q, const struct node_receipt *r, int err,
		       struct fail_list *f)
{
	uint64_t failed = q->next.generation;
	struct change rec = { .generation = failed + 1, .base = failed, .what = (char *)"restore after a failed commit",
			      .who = (char *)"cellwalld", .via = (char *)"cellwalld", .at_ns = controller_now(c),
			      .state = CHANGE_APPLIED };
	int e;

	c->state.generation = failed + 1;
	e = store_change_commit(c->store, &c->state, &rec);
	if (!e)
		e = store_change_mark(c->store, failed, CHANGE_REVERTED, failed + 1);
	if (e) {
		c->store_errors++;
		log_err(e, "cannot record that a change failed; generation=%llu", (unsigned long long)failed);
	}
	c->dirty = true;
	(void)change_push(c, NULL); /* tried again by the timer */
	return fail_add(f, err, "change.node-failed", q->what, NULL, "cellwall events", "node %s: %s", r->node,
			*r->note ? r->note : strerror(-err));
}

static int record(struct controller *c, struct change_req *q, const struct plan *p, int64_t now, int64_t until)
{
	auto_free char *undo = NULL, *plan = NULL;
	cJSON *items = view_items(&p->items);
	struct change rec = {
		.generation = q->next.generation, .base = c->state.generation, .what = q->what,
		.who = (char *)q->who, .via = (char *)q->via, .at_ns = now, .until_ns = until,
		.state = until ? CHANGE_OPEN : CHANGE_APPLIED, .flows = q->flows,
	};
	int e;

	plan = items ? cJSON_PrintUnformatted(items) : NULL;
	cJSON_Delete(items);
	if (plan && strlen(plan) < STORE_TEXT_MAX)
		rec.plan = plan;
	if (q->undo)
		undo = strdup(q->undo);
	else if (asprintf(&undo, "cellwall change revert %llu", (unsigned long long)q->next.generation) < 0)
		undo = NULL;
	rec.undo = undo;
	e = store_change_commit(c->store, &q->next, &rec);
	if (!e && q->is_revert && q->reverted)
		e = store_change_mark(c->store, q->reverted, CHANGE_REVERTED, q->next.generation);
	return e;
}

static int put_in_force(struct controller *c, struct change_req *q, const struct plan *p,
			struct node_receipt *receipt, int64_t *ret_until, struct fail_list *f)
{
	int64_t now = controller_now(c), until = q->confirm_ms ? now + q->confirm_ms * 1000000 : 0;
	uint64_t base = c->state.generation;
	struct policy_state old;
	int e;

	/* Durable first: a full disk refuses the change before the node has seen it. */
	e = store_begin(c->store, true);
	if (e)
		return store_failed(c, e, f);
	e = record(c, q, p, now, until);
	if (e) {
		store_rollback(c->store);
		return store_failed(c, e, f);
	}
	e = store_commit(c->store);
	if (e)
		return store_failed(c, e, f);
	e = c->ops->commit(c->node, q->flows, receipt);
	receipt_name(c, receipt);
	if (e < 0)
		return undo_commit(c, q, receipt, e, f);
	receipt->generation = q->next.generation;
	plan_receipt(q, p, receipt); /* as counted for the plan, a moment ago */
	(void)store_receipt_put(c->store, q->next.generation, receipt); /* the change holds without it */
	change_release(c, q->who);
	c->receipt = *receipt;
	c->dirty = false;
	c->in_sync = true;
	free(c->sync_error);
	c->sync_error = NULL;
	if (judge_candidate_adopt(c->judge)) {
		judge_free(c->judge); /* built anew when next asked */
		c->judge = NULL;
	}
	old = c->state;
	c->state = q->next;
	if (q->borrowed)
		inventory_of(NULL, &old);
	else
		c->workload_room = 0; /* a copy is as long as it needs to be */
	q->borrowed = false;
	q->next = (struct policy_state){ .generation = c->state.generation };
	policy_state_done(&old);
	c->shadow_stale = true;
	if (until) {
		c->window.generation = c->state.generation;
		c->window.base = base;
		c->window.until_ns = until;
	} else if (q->is_revert && c->window.generation && q->reverted <= c->window.generation) {
		memset(&c->window, 0, sizeof(c->window));
	}
	kube_committed(c->kube, q, &p->items);
	if (change_sync_decisions(c, q->who) && store_access_flush(c->store, c->book))
		c->store_errors++; /* the book keeps its marks: written with the next drain */
	*ret_until = until;
	return 0;
}

/* Said at once: a learned rule comes after the higher tiers. */
static void confirmed_still_blocked(struct controller *c, struct change_req *q)
{
	auto_cleanup(replay_index_done) struct replay_index ix = {};

	if (!q->confirming.n || replay_index_init(&q->next, &ix))
		return;
	q->still_blocked = cJSON_CreateArray();
	for (size_t i = 0; q->still_blocked && i < q->confirming.n; i++) {
		const struct access *a = access_book_find(c->book, q->confirming.v[i]);

		if (a)
			view_still_blocked(c, true, &ix, a, q->still_blocked);
	}
}

int change_make(struct controller *c, struct change_req *q, struct fail_list *f, struct cJSON **ret)
{
	auto_cleanup(plan_done) struct plan p = {};
	struct node_receipt receipt = {};
	struct judge *j;
	bool noop = true;
	int64_t until = 0;
	int e;

	if (!q->what)
		return -ENOMEM;
	e = kube_may_change(c->kube, q->what, f);
	e = e ?: check_stale(c, q, f);
	e = e ?: check_window(c, q, f);
	e = e ?: kube_name_modes(c->kube, &q->next);
	if (e)
		return e;
	if (q->next.nrules + q->next.nkpolicies > STATE_RULES_MAX)
		return fail_add(f, -E2BIG, "rule.too-many", q->what, "at most 100000 rules", NULL,
				"there would be %zu rules", q->next.nrules + q->next.nkpolicies);
	e = state_diff(&c->state, &q->next, &q->touched, &p.items);
	if (e)
		return e;
	e = check_flows(q, &p, f);
	if (e)
		return e;
	for (size_t i = 0; i < p.items.n; i++)
		noop = noop && p.items.v[i].op == '=';
	q->next.generation = c->state.generation + !noop;
	if (noop)
		goto answer;
	e = number_rules(c, q);
	if (e)
		return store_failed(c, e, f);
	e = controller_judge(c, f, &j);
	e = e ?: judge_candidate(j, &q->next, f);
	if (e)
		return e == -E2BIG ? -ENOSPC : e;
	e = c->ops->prepare(c->node, &q->next, f, &p.room);
	receipt_name(c, &p.room);
	if (e < 0) {
		judge_candidate_drop(j);
		if (f && !f->n)
			fail_add(f, e, "change.refused", q->what, NULL, "cellwall status", "node %s: %s", p.room.node,
				 *p.room.note ? p.room.note : strerror(-e));
		return e == -E2BIG ? -ENOSPC : e;
	}
	confirmed_still_blocked(c, q);
	e = plan_make(c, q, &p);
	if (!e && !q->dry_run && p.nneeds && !q->accept_not_ready)
		e = not_ready(&p, q, f);
	if (e || q->dry_run) {
		c->ops->abort(c->node);
		judge_candidate_drop(j);
		if (e)
			return e;
		goto answer;
	}
	{
		/* The plan speaks of the state before: made while that is still the current one. */
		cJSON *plan = plan_json(c, q, &p);

		e = put_in_force(c, q, &p, &receipt, &until, f);
		if (e) {
			cJSON_Delete(plan);
			if (c->judge)
				judge_candidate_drop(c->judge);
			return e;
		}
		plan_applied(c, plan, &receipt, until);
		controller_note(c, q->is_revert ? "change.reverted" : "change.applied", NULL, q->who,
				"generation %llu: %s", (unsigned long long)c->state.generation, q->what);
		*ret = plan;
		return plan ? 0 : -ENOMEM;
	}
answer:
	*ret = plan_json(c, q, &p);
	return *ret ? 0 : -ENOMEM;
}
