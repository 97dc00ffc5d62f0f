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
#include "selftests/harness/doc_print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
		one = docs_print(&d);
		assert(rule_docs_parse("f", one, strlen(one), NULL, NULL, &e) == 0);
		two = docs_print(&e);
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
