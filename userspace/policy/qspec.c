/* SPDX-License-Identifier: Apache-2.0 */
/* Quarantine as rules: its exceptions, then a block of everything. */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

static void qspec_bytes(struct bytes *b, const struct quarantine *q)
{
	bytes_u32(b, (uint32_t)q->nallow);
	for (size_t i = 0; i < q->nallow; i++) {
		bytes_put(b, q->allow[i].cidr.addr.b, 16);
		bytes_u32(b, (uint32_t)q->allow[i].cidr.plen << 1 | q->allow[i].cidr.v6);
		bytes_u32(b, (uint32_t)q->allow[i].nports);
		for (size_t k = 0; k < q->allow[i].nports; k++)
			bytes_port(b, &q->allow[i].ports[k]);
	}
}

struct qspec *qspec_find(const struct policy_set *set, const struct quarantine *q)
{
	struct bytes b = {};
	struct qspec *s = NULL;

	qspec_bytes(&b, q);
	if (!b.err)
		s = htab_get(set->qspecs, b.v, b.n);
	free(b.v);
	return s;
}

static int qspec_new(struct policy_set *set, const struct quarantine *q, const struct bytes *key, bool *names,
		     struct qspec **ret)
{
	struct qspec *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return -ENOMEM;
	*ret = s;
	s->id = ++set->next_qspec;
	s->key = malloc(key->n);
	if (!s->key)
		return -ENOMEM;
	memcpy(s->key, key->v, key->n);
	s->keylen = key->n;
	for (int side = 0; side < 2 && !r; side++) {
		s->ir[side] = calloc(q->nallow + 1, sizeof(struct ir *));
		if (!s->ir[side])
			return -ENOMEM;
		for (size_t i = 0; i <= q->nallow && !r; i++) {
			struct selector cidr = { .kind = SEL_CIDR };
			struct ir_rule rule = { .side = (enum cw_side)side, .tier = CW_TIER_QUARANTINE,
						.effect = IR_BLOCK, .everyone = true };

			if (i < q->nallow) {
				cidr.cidr = q->allow[i].cidr;
				rule.effect = IR_ALLOW;
				rule.everyone = false;
				rule.peers = &cidr;
				rule.npeers = 1;
				rule.ports = q->allow[i].ports;
				rule.nports = q->allow[i].nports;
			}
			r = ir_new(set, &rule, names, &s->ir[side][s->n[side]]);
			if (s->ir[side][s->n[side]])
				s->n[side]++;
		}
	}
	return r;
}

void qspec_free(struct qspec *s)
{
	free(s->ir[0]);
	free(s->ir[1]);
	free(s->key);
	free(s);
}

/* Makes the exceptions of every quarantine known; those that nobody uses go in the next round. */
int qspecs_diff(struct policy_set *set, const struct policy_state *next)
{
	struct bytes b = {};
	bool names = false;
	int r = 0;

	for (size_t i = 0; i < set->qlist.n; i++)
		set->qlist.v[i]->seen = false;
	for (size_t i = 0; i < next->nquarantines && !r; i++) {
		struct qspec *s;

		b.n = 0;
		qspec_bytes(&b, &next->quarantines[i]);
		if (b.err) {
			r = b.err;
			break;
		}
		s = htab_get(set->qspecs, b.v, b.n);
		if (!s) {
			r = qspec_new(set, &next->quarantines[i], &b, &names, &s);
			if (s && (vec_push(&set->qlist, s) || htab_set(set->qspecs, b.v, b.n, s, NULL)))
				r = -ENOMEM;
		}
		if (s)
			s->seen = true;
	}
	free(b.v);
	for (size_t i = 0; i < set->qlist.n && !r;) {
		struct qspec *s = set->qlist.v[i];

		if (s->seen || s->refs) {
			i++;
			continue;
		}
		for (int side = 0; side < 2 && !r; side++)
			for (size_t k = 0; k < s->n[side] && !r; k++)
				r = ir_drop(set, s->ir[side][k], &names);
		htab_del(set->qspecs, s->key, s->keylen);
		set->qlist.v[i] = set->qlist.v[--set->qlist.n];
		qspec_free(s);
	}
	/* Named ports in exceptions count like those in rules. */
	return r ? r : names;
}
