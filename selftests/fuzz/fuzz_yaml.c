/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_yaml.c - the YAML reader and printer: what is read prints and reads back as the same tree. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const struct yaml_docs *d, const cJSON *j, unsigned lines)
{
	const cJSON *c;
	unsigned line = yaml_line(d, j);

	assert(line >= 1 && line <= lines);
	cJSON_ArrayForEach(c, j)
		check_lines(d, c, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct yaml_docs d = {}, again = {};
	struct fail_list f = {};
	unsigned lines = 1;
	int r = yaml_parse((const char *)data, size, "f", &f, &d);

	assert((r == 0) == (f.n == 0));
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n' || data[i] == '\r' || data[i] == 0x85 || data[i] == 0xa8 || data[i] == 0xa9;
	for (size_t i = 0; r == 0 && i < d.n; i++) {
		char *text = yaml_print(d.docs[i].root);

		check_lines(&d, d.docs[i].root, lines + 1);
		assert(text);
		assert(yaml_parse(text, strlen(text), "f", NULL, &again) == 0);
		assert(again.n == 1);
		assert(cJSON_Compare(d.docs[i].root, again.docs[0].root, true));
		yaml_docs_done(&again);
		free(text);
	}
	yaml_docs_done(&d);
	fail_list_done(&f);
	return 0;
}
