/* SPDX-License-Identifier: Apache-2.0 */
/* rec_bytes.c - one record as bytes, and a state as records. */
#include "wire/records_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/htab.h"
#include "policy/kpolicy.h"
#include "policy/model_doc.h"

void rec_put(struct buf *b, const struct rec_bytes *r)
{
	const size_t n = r->gone ? 0 : r->text_len;
	const uint8_t h[REC_HEAD] = {
		(uint8_t)r->kind, r->gone, (uint8_t)(r->key_len >> 8), (uint8_t)r->key_len,
		(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n,
	};

	(void)buf_add(b, h, sizeof(h));
	(void)buf_add(b, r->key, r->key_len);
	(void)buf_add(b, "", 1);
	(void)buf_add(b, r->text, n);
	(void)buf_add(b, "", 1);
}

int rec_get(const char **p, size_t *len, struct rec_bytes *ret)
{
	const uint8_t *h = (const uint8_t *)*p;
	struct rec_bytes r;

	if (*len < REC_HEAD || h[1] > 1)
		return -EBADMSG;
	r.kind = h[0];
	r.gone = h[1];
	r.key_len = (size_t)h[2] << 8 | h[3];
	r.text_len = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
	if (!r.kind || r.key_len > REC_KEY_MAX || r.text_len > REC_TEXT_MAX ||
	    *len - REC_HEAD < r.key_len + r.text_len + 2)
		return -EBADMSG;
	r.key = *p + REC_HEAD;
	r.text = r.key + r.key_len + 1;
	if (strnlen(r.key, r.key_len + 1) != r.key_len || strnlen(r.text, r.text_len + 1) != r.text_len)
		return -EBADMSG;
	*p += REC_HEAD + r.key_len + r.text_len + 2;
	*len -= REC_HEAD + r.key_len + r.text_len + 2;
	*ret = r;
	return 0;
}

uint64_t rec_hash(const struct rec_bytes *r)
{
	return hash_bytes(hash_bytes(r->kind, r->key, r->key_len), r->text, r->text_len);
}

size_t rec_table_key(unsigned kind, const char *key, size_t len, char out[REC_KEY_MAX + 2])
{
	out[0] = (char)kind;
	memcpy(out + 1, key, len);
	return len + 1;
}

int rec_key_two(const char *ns, const char *name, char out[REC_KEY_SIZE])
{
	return snprintf(out, REC_KEY_SIZE, "%s/%s", ns ? ns : "", name ? name : "");
}

/* By number: ends in the order in which they were made, on every node. */
int rec_key_rule(uint32_t id, const char *kind, const char *ns, const char *name, char out[REC_KEY_SIZE])
{
	if (id)
		return snprintf(out, REC_KEY_SIZE, "%010u", id);
	return snprintf(out, REC_KEY_SIZE, "=%s/%s/%s", kind, ns ? ns : "", name ? name : "");
}

/* ---- a state as records ---------------------------------------------------------------------- */

struct each {
	struct buf text;
	char key[REC_KEY_SIZE];
	struct fail_list *f;
	int (*fn)(void *arg, const struct rec_bytes *r);
	void *arg;
};

static int emit(struct each *e, enum record_kind kind, int key_len)
{
	struct rec_bytes r = {
		.kind = kind, .key = e->key, .text = e->text.data, .key_len = (size_t)key_len, .text_len = e->text.len,
	};
	int err;

	if (key_len < 0 || (size_t)key_len >= sizeof(e->key))
		return fail_add(e->f, -E2BIG, "node.record", NULL, "shorter names", NULL, "a name is too long for a node: %.200s...",
				e->key);
	if (e->text.err == -E2BIG)
		return fail_add(e->f, -E2BIG, "node.record", NULL, "at most 1 MB of text for one object", NULL,
				"%s is too large for a node", e->key);
	if (e->text.err)
		return e->text.err;
	err = e->fn(e->arg, &r);
	e->text.len = 0;
	return err;
}

static int each_policy(struct each *e, const struct policy_state *st)
{
	int err = 0;

	for (size_t i = 0; i < st->nrules && !err; i++) {
		const struct rule *r = &st->rules[i];

		model_doc_put_rule(&e->text, r);
		err = emit(e, REC_RULE, rec_key_rule(r->id, "", r->ns, r->name, e->key));
	}
	for (size_t i = 0; i < st->nkpolicies && !err; i++) {
		const struct kpolicy *k = &st->kpolicies[i];

		model_doc_put_kpolicy(&e->text, k);
		err = emit(e, REC_KPOLICY, rec_key_rule(k->id, kpolicy_kind_str(k->kind), k->ns, k->name, e->key));
	}
	/* Of several that would hold the first one does: their place is who they are. */
	for (size_t i = 0; i < st->nmodes && !err; i++) {
		model_doc_put_mode(&e->text, &st->modes[i]);
		err = emit(e, REC_MODE, snprintf(e->key, sizeof(e->key), "%08zu", i));
	}
	for (size_t i = 0; i < st->nquarantines && !err; i++) {
		model_doc_put_quarantine(&e->text, &st->quarantines[i]);
		err = emit(e, REC_QUARANTINE, snprintf(e->key, sizeof(e->key), "%08zu", i));
	}
	return err;
}

int rec_each(const struct policy_state *st, struct fail_list *f, int (*fn)(void *arg, const struct rec_bytes *r),
	     void *arg)
{
	struct each e = { .f = f, .fn = fn, .arg = arg, .key = "" };
	int err;

	buf_init(&e.text, REC_TEXT_MAX);
	model_doc_put_settings(&e.text, st);
	err = emit(&e, REC_SETTINGS, 0);
	for (size_t i = 0; i < st->nnodes && !err; i++) {
		model_doc_put_node(&e.text, &st->nodes[i]);
		err = emit(&e, REC_NODE, snprintf(e.key, sizeof(e.key), "%s", st->nodes[i].name));
	}
	for (size_t i = 0; i < st->nnamespaces && !err; i++) {
		model_doc_put_namespace(&e.text, &st->namespaces[i]);
		err = emit(&e, REC_NAMESPACE, snprintf(e.key, sizeof(e.key), "%s", st->namespaces[i].name));
	}
	for (size_t i = 0; i < st->nworkloads && !err; i++) {
		struct workload w = st->workloads[i];

		w.images = NULL; /* nothing that a node judges by */
		w.nimages = 0;
		model_doc_put_workload(&e.text, &w);
		err = emit(&e, REC_WORKLOAD, rec_key_two(w.ns, w.name, e.key));
	}
	for (size_t i = 0; i < st->nservices && !err; i++) {
		model_doc_put_service(&e.text, &st->services[i]);
		err = emit(&e, REC_SERVICE, rec_key_two(st->services[i].ns, st->services[i].name, e.key));
	}
	err = err ? err : each_policy(&e, st);
	buf_done(&e.text);
	return err;
}
