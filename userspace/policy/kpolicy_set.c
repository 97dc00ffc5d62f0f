/* SPDX-License-Identifier: Apache-2.0 */
/* kpolicy_set.c - which Kubernetes policies changed since the last state, as one-sided rules. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/kpolicy.h"
#include "policy/set.h"

#define KEY_KPOLICY 2u /* rules and further one-sided rules have 0 and 1 */

static void irs_done(struct ir_rules *l)
{
	vec_done(l);
}

/*
 * The object's text says all that the policy says, so that nothing is translated to find out that
 * nothing changed. Policies that were not read from an object are told by their translation.
 */
static int digest_of(struct policy_set *set, const struct kpolicy *k, struct bytes *b, uint64_t *ret)
{
	auto_cleanup(irs_done) struct ir_rules irs = {};
	int r = 0;

	b->n = 0;
	bytes_u32(b, k->id);
	bytes_u32(b, (uint32_t)k->kind);
	if (k->json) {
		bytes_str(b, k->json);
	} else {
		r = kpolicy_ir(k, &irs);
		for (size_t i = 0; i < irs.n; i++)
			ir_bytes(b, &irs.v[i]);
	}
	*ret = hash_bytes(set->seed, b->v, b->n);
	return r ?: b->err;
}

int kpolicies_diff(struct policy_set *set, const struct policy_state *next, struct fail_list *f, bool *ret_names)
{
	struct bytes key = {}, body = {};
	int err = 0;

	if (next->nkpolicies > STATE_RULES_MAX)
		return fail_add(f, -E2BIG, "state.rules", NULL, NULL, NULL, "%zu Kubernetes policies, at most %u",
				next->nkpolicies, STATE_RULES_MAX);
	for (size_t i = 0; i < next->nkpolicies && !err; i++) {
		const struct kpolicy *k = &next->kpolicies[i];
		auto_cleanup(irs_done) struct ir_rules irs = {};
		struct prule *p;
		uint64_t digest;
		char at[600];

		key.n = 0;
		bytes_u32(&key, KEY_KPOLICY);
		bytes_u32(&key, (uint32_t)k->kind);
		bytes_str(&key, k->ns);
		bytes_str(&key, k->name);
		err = digest_of(set, k, &body, &digest) ?: key.err;
		if (err)
			break;
		p = htab_get(set->rules, key.v, key.n);
		if (p && p->seen) {
			err = fail_add(f, -EINVAL, "policy.duplicate", kpolicy_ref(k, at),
				       "one policy of a kind and name in a namespace", NULL,
				       "two policies have the same name");
			break;
		}
		if (p && p->digest == digest) {
			p->seen = true;
			continue;
		}
		err = kpolicy_ir(k, &irs);
		err = err ?: prule_set(set, &key, kpolicy_ref(k, at), digest, irs.v, irs.n, ret_names);
	}
	free(key.v);
	free(body.v);
	return err;
}
