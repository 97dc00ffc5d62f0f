/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_kpolicy.c - Kubernetes policies: a fault for every refusal, in its object; what is taken
 * reads from its kept text as the same policy, copies, and becomes rules that say no more than it.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/vec.h"
#include "policy/kpolicy.h"
#include "policy/rule_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct kpolicy *k)
{
	struct ir_rules irs = {}, again = {};
	struct kpolicy copy, read = {};
	cJSON *j = cJSON_Parse(k->json);
	size_t rules = 0;

	assert(j && kpolicy_is(j) && k->name && (k->kind == KPOLICY_NP) == (k->ns != NULL));
	assert(kpolicy_parse(j, "body", NULL, &read) == 0);
	assert(strcmp(read.json, k->json) == 0 && read.nrules == k->nrules && read.nsubjects == 1);
	assert(kpolicy_copy(k, &copy) == 0);
	assert(kpolicy_ir(&copy, &irs) == 0 && kpolicy_ir(&read, &again) == 0);
	assert(irs.n == again.n && irs.n <= k->nrules + 2);
	for (size_t i = 0; i < irs.n; i++) {
		const struct ir_rule *ir = &irs.v[i];

		assert(ir->nsubjects == 1 && (ir->everyone || ir->npeers));
		assert(ir->priority >= 0 && ir->priority <= 1000 * KPOLICY_RULES_MAX + KPOLICY_RULES_MAX);
		for (size_t p = 0; p < ir->nports; p++)
			assert(ir->ports[p].kind != PORT_RANGE || ir->ports[p].from <= ir->ports[p].to);
		for (size_t p = 0; p < ir->npeers; p++)
			for (size_t e = 0; e < ir->peers[p].nexcept; e++)
				assert(prefix_covers(&ir->peers[p].cidr, &ir->peers[p].except[e]));
		rules += ir->effect != IR_ISOLATE;
	}
	assert(rules <= k->nrules);
	vec_done(&irs);
	vec_done(&again);
	kpolicy_done(&copy);
	kpolicy_done(&read);
	cJSON_Delete(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rule_docs d = {};
	struct fail_list f = {};
	int r = rule_docs_parse("f", (const char *)data, size, "next", &f, &d);

	assert((r == 0) == (f.n == 0));
	for (size_t i = 0; i < f.n; i++)
		assert(f.items[i].name && f.items[i].message && f.items[i].at);
	for (size_t i = 0; i < d.nkpolicies; i++)
		check(&d.kpolicies[i]);
	assert(r == 0 || !d.nkpolicies);
	rule_docs_done(&d);
	fail_list_done(&f);
	return 0;
}
