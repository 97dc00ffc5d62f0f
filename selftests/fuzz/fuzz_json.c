/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_json.c - the JSON reader: what it takes prints and reads back as the same tree. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fail_list f = {};
	cJSON *j = NULL, *again = NULL;
	char *text;
	int r = json_parse((const char *)data, size, "body", &f, &j);

	assert((r == 0) == (j != NULL));
	assert((r == 0) == (f.n == 0));
	if (r == 0) {
		text = cJSON_PrintUnformatted(j);
		assert(text);
		assert(json_parse(text, strlen(text), "body", NULL, &again) == 0);
		assert(cJSON_Compare(j, again, true));
		free(text);
		cJSON_Delete(again);
		cJSON_Delete(j);
	}
	fail_list_done(&f);
	return 0;
}
