/* SPDX-License-Identifier: Apache-2.0 */
/* doc_print.h - everything that was read, written out as documents again, for what reads it back. */
#pragma once

#include <stdlib.h>
#include "base/buf.h"
#include "base/json.h"
#include "policy/kpolicy.h"
#include "policy/rule_doc.h"

static inline void doc_append(struct buf *b, cJSON *j)
{
	char *s = j ? yaml_print(j) : NULL;

	if (!s)
		abort(); /* what was read can be written */
	buf_adds(b, b->len ? "---\n" : "");
	buf_adds(b, s);
	free(s);
	cJSON_Delete(j);
}

/* The caller frees; NULL beyond 64 MiB. */
static inline char *docs_print(const struct rule_docs *d)
{
	struct buf b;

	buf_init(&b, 64 << 20);
	for (size_t i = 0; i < d->nrules; i++)
		doc_append(&b, rule_doc_to_json(&d->rules[i]));
	for (size_t i = 0; i < d->nmodes; i++)
		doc_append(&b, mode_doc_to_json(&d->modes[i]));
	for (size_t i = 0; i < d->nquarantines; i++)
		doc_append(&b, quarantine_doc_to_json(&d->quarantines[i]));
	for (size_t i = 0; i < d->nkpolicies; i++)
		doc_append(&b, cJSON_Parse(d->kpolicies[i].json));
	doc_append(&b, inventory_doc_to_json(d->workloads, d->nworkloads, d->namespaces, d->nnamespaces));
	return buf_take(&b, NULL);
}
