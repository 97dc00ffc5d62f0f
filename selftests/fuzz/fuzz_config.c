/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config.c - the configuration file: a fault for every refusal; what is taken can be shown. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fail_list f = {};
	struct config c = {};
	cJSON *j;
	int r = config_parse("f", (const char *)data, size, &f, &c);

	assert((r == 0) == (f.n == 0));
	if (r == 0) {
		assert(c.socket[0] == '/' && c.state_dir[0] == '/' && *c.cluster);
		assert(c.flows >= 1024 && !(c.event_bytes & (c.event_bytes - 1)));
		j = config_show(&c, false);
		assert(j);
		cJSON_Delete(j);
	}
	config_done(&c);
	fail_list_done(&f);
	return 0;
}
