/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rule_doc.c - documents: a fault for every refusal, and what is taken prints as canonical
 * documents that read back and print the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "policy/rule_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append(struct buf *b, cJSON *j)
{
	char *s = j ? yaml_print(j) : NULL;

	assert(s);
	buf_adds(b, b->len ? "---\n" : "");
	buf_adds(b, s);
	free(s);
	cJSON_Delete(j);
}

static char *print(const struct rule_docs *d)
{
	struct buf b;

	buf_init(&b, 64 << 20);
	for (size_t i = 0; i < d->nrules; i++)
		append(&b, rule_doc_to_json(&d->rules[i]));
	for (size_t i = 0; i < d->nmodes; i++)
		append(&b, mode_doc_to_json(&d->modes[i]));
	for (size_t i = 0; i < d->nquarantines; i++)
		append(&b, quarantine_doc_to_json(&d->quarantines[i]));
	append(&b, inventory_doc_to_json(d->workloads, d->nworkloads, d->namespaces, d->nnamespaces));
	return buf_take(&b, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rule_docs d = {}, e = {};
	struct fail_list f = {};
	char *one, *two;
	int r = rule_docs_parse("f", (const char *)data, size, "next", &f, &d);

	assert((r == 0) == (f.n == 0));
	for (size_t i = 0; i < f.n; i++)
		assert(f.items[i].name && f.items[i].message && f.items[i].at);
	if (r == 0) {
		one = print(&d);
		assert(rule_docs_parse("f", one, strlen(one), NULL, NULL, &e) == 0);
		two = print(&e);
		assert(strcmp(one, two) == 0);
		assert(d.nrules == e.nrules);
		for (size_t i = 0; i < d.nrules; i++)
			assert(rule_same(&d.rules[i], &e.rules[i]) == 1);
		free(one);
		free(two);
		rule_docs_done(&e);
	} else {
		assert(!d.rules && !d.files);
	}
	rule_docs_done(&d);
	fail_list_done(&f);
	return 0;
}
