/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/rule_set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/priv.h"
#include "controller/rule_apply.h"
#include "policy/diff.h"

/* A plan waits for the comparison: workloads times rules beyond this are left to `cellwall diff`. */
#define RANGES_WORK_MAX 500000ull

static int no_generation(struct api *a, const char *at, uint64_t gen)
{
	uint64_t oldest = 0;
	char where[96], expected[96];

	(void)store_generation_oldest(a->c->store, &oldest); /* only a hint */
	snprintf(where, sizeof(where), "%s.generation: %llu", at, (unsigned long long)gen);
	snprintf(expected, sizeof(expected), "a generation from %llu to %llu", (unsigned long long)oldest,
		 (unsigned long long)a->c->state.generation);
	return fail_add(&a->f, -ENOENT, "diff.generation", where, expected, "cellwall change list",
			"the rules of generation %llu are not kept", (unsigned long long)gen);
}

/* Rules of a generation over the live rest. */
static int from_generation(struct api *a, const char *at, uint64_t gen, struct policy_state *st)
{
	struct policy_state old = {}, rest = {};
	int e;

	if (gen > a->c->state.generation)
		return no_generation(a, at, gen);
	e = generation_load(a->c, gen, &old);
	if (e)
		return e == -ENOENT ? no_generation(a, at, gen) : e;
	rest.rules = st->rules;
	rest.nrules = st->nrules;
	rest.kpolicies = st->kpolicies;
	rest.nkpolicies = st->nkpolicies;
	st->rules = old.rules;
	st->nrules = old.nrules;
	st->kpolicies = old.kpolicies;
	st->nkpolicies = old.nkpolicies;
	old.rules = NULL;
	old.kpolicies = NULL;
	old.nrules = old.nkpolicies = 0;
	policy_state_done(&old);
	policy_state_done(&rest);
	return 0;
}

static int from_documents(struct api *a, const cJSON *o, const char *at, struct policy_state *st)
{
	auto_cleanup(rule_docs_done) struct rule_docs docs = {};
	bool prune = false;
	size_t files;
	int e = body_bool(&a->f, o, at, "prune", &prune);

	e = e ?: rule_apply_read(o, true, &a->f, &docs, &files);
	/* Modes and quarantines among the documents are another question. */
	for (size_t i = 0; i < docs.nmodes && !e; i++)
		mode_setting_done(&docs.modes[i]);
	for (size_t i = 0; i < docs.nquarantines && !e; i++)
		quarantine_done(&docs.quarantines[i]);
	if (!e)
		docs.nmodes = docs.nquarantines = 0;
	return e ?: rule_apply_docs(&docs, prune, a->who, controller_now(a->c), st, NULL);
}

int rule_set_read(struct api *a, const cJSON *o, const char *at, struct policy_state *ret)
{
	static const char *const keys[] = { "live", "generation", "documents", "prune", NULL };
	struct policy_state st = {};
	bool live = false;
	double gen;
	int e = 0;

	if (!cJSON_IsObject(o))
		return fail_add(&a->f, -EINVAL, o ? "body.type" : "body.missing", at,
				"an object with live, generation or documents", NULL, "no rule set is named");
	e = body_only(&a->f, o, at, keys);
	e = e ?: body_bool(&a->f, o, at, "live", &live);
	if (!e && (int)live + !!json_get(o, "generation") + !!json_get(o, "documents") != 1)
		e = fail_add(&a->f, -EINVAL, "diff.set", at, "one of live, generation and documents", NULL,
			     "a rule set is named in one way");
	e = e ?: policy_state_copy(&a->c->state, &st);
	if (!e && json_get(o, "generation")) {
		gen = cJSON_IsNumber(json_get(o, "generation")) ? json_get(o, "generation")->valuedouble : -1;
		if (gen < 1 || gen > 9e15 || gen != (double)(uint64_t)gen)
			e = fail_add(&a->f, -EINVAL, "body.type", at, "a number of a generation", NULL,
				     "the field has the wrong type");
		else
			e = from_generation(a, at, (uint64_t)gen, &st);
	}
	if (!e && json_get(o, "documents"))
		e = from_documents(a, o, at, &st);
	if (e) {
		policy_state_done(&st);
		return e;
	}
	rule_apply_number(&st);
	*ret = st;
	return 0;
}

int rule_set_ranges(const struct controller *c, const struct policy_state *next, int64_t *ret)
{
	auto_cleanup(policy_state_done) struct policy_state b = {};
	uint64_t work = (uint64_t)next->nworkloads * (next->nrules + next->nkpolicies + 1);
	struct policy_diff d;
	int e;

	if (work > RANGES_WORK_MAX) {
		*ret = -1;
		return 0;
	}
	e = policy_state_copy(next, &b);
	if (e)
		return e;
	rule_apply_number(&b);
	e = policy_diff_make(&c->state, &b, NULL, &d);
	if (e == -ENOMEM)
		return e;
	*ret = e ? -1 : (int64_t)d.ranges;
	if (!e)
		policy_diff_done(&d);
	return 0;
}
