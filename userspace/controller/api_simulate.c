/* SPDX-License-Identifier: Apache-2.0 */
/* api_simulate.c - recorded accesses replayed against a candidate. Changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/api_routes.h"
#include "controller/judge.h"
#include "controller/rule_apply.h"
#include "controller/view.h"

#define DAY_NS (86400 * 1000000000ll)

static int body_time(struct api *a, const cJSON *body, const char *key, int64_t *ret)
{
	const char *s = NULL;
	char at[120];
	int e = body_str(&a->f, body, "body", key, false, 64, &s);

	if (e || !s)
		return e;
	if (!time_or_ago(s, controller_now(a->c), ret))
		return 0;
	snprintf(at, sizeof(at), "body.%s: \"%.60s\"", key, s);
	return fail_add(&a->f, -EINVAL, "query.time", at, "a duration such as 10d, or 2026-03-12T08:30:00Z", NULL,
			"this is no time");
}

static cJSON *simulation(struct api *a, const struct policy_state *next, const struct change_items *items,
			 const struct replay *r, double ms, bool as_enforce)
{
	const struct controller *c = a->c;
	cJSON *o = api_object("Simulation"), *k;

	if (!o)
		return NULL;
	put_num(o, "generation", (double)c->state.generation);
	put_str(o, "as", as_enforce ? "enforce" : "live");
	view_candidate(o, items);
	put_num(o, "accesses", (double)r->accesses);
	put_num(o, "flows", (double)r->flows);
	put_num(o, "unchanged", (double)r->unchanged);
	view_effects(o, r);
	k = view_recorded(c, o, r);
	if (r->since_ns) {
		int64_t days = (controller_now(c) - r->since_ns + DAY_NS - 1) / DAY_NS;

		put_num(k, "askedDays", (double)days);
	} else {
		cJSON_AddNullToObject(k, "askedDays");
	}
	put_num(o, "tookMs", ms);
	k = cJSON_AddArrayToObject(o, "items");
	for (size_t i = 0; i < r->n; i++)
		put_push(k, view_access_change(&c->state, next, &r->items[i], r));
	return o;
}

int api_simulate(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "documents", "prune", "since", "until", "namespaces", "as", NULL };
	struct controller *c = a->c;
	auto_cleanup(rule_docs_done) struct rule_docs docs = {};
	auto_cleanup(policy_state_done) struct policy_state next = {};
	auto_cleanup(change_items_done) struct change_items items = {};
	auto_cleanup(replay_done) struct replay r = {};
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(words_done) struct words ns = {}, touched = {};
	struct replay_opts o = {};
	const char *as = "enforce";
	struct timespec t0, t1;
	bool prune = false;
	size_t files = 0;
	struct judge *j;
	int e;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	e = api_body(a, keys, false, &body);
	e = e ?: body_bool(&a->f, body, "body", "prune", &prune);
	e = e ?: body_time(a, body, "since", &o.since_ns);
	e = e ?: body_time(a, body, "until", &o.until_ns);
	e = e ?: body_words(&a->f, body, "body", "namespaces", false, &ns);
	e = e ?: body_str(&a->f, body, "body", "as", false, 32, &as);
	if (!e && strcmp(as, "enforce") && strcmp(as, "live"))
		e = fail_add(&a->f, -EINVAL, "simulate.as", "body.as", "enforce or live", NULL, "this is no way to compare");
	e = e ?: rule_apply_read(body, false, &a->f, &docs, &files);
	(void)controller_flush(c); /* seen again by whoever changes something */
	e = e ?: policy_state_copy(&c->state, &next);
	e = e ?: rule_apply_docs(&docs, prune, a->who, controller_now(c), &next, &touched);
	if (!e)
		rule_apply_number(&next);
	e = e ?: state_diff(&c->state, &next, &touched, &items);
	e = e ?: controller_judge(c, &a->f, &j);
	e = e ?: judge_candidate(j, &next, &a->f);
	if (e)
		return e == -E2BIG ? -ENOSPC : e;
	o.ns = (const char *const *)ns.v;
	o.nns = ns.n;
	o.becomes_enforce = !strcmp(as, "enforce");
	/* Without a candidate the question is what enforcing the rules in force would do. */
	o.was_enforce = o.becomes_enforce && files;
	e = replay_run(j, c->book, &next, &o, &r);
	judge_candidate_drop(j);
	if (e)
		return e;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	*ret = simulation(a, &next, &items, &r, (double)(t1.tv_sec - t0.tv_sec) * 1e3 +
			  (double)(t1.tv_nsec - t0.tv_nsec) / 1e6, o.becomes_enforce);
	return *ret ? 0 : -ENOMEM;
}
