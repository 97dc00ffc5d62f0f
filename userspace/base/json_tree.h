/* SPDX-License-Identifier: Apache-2.0 */
/* json_tree.h - what the two readers (JSON, YAML) share. Private to base/. */
#pragma once

#include <cjson/cJSON.h>

/* The first member whose key an earlier member has, or NULL, in *ret. 0 or -ENOMEM. */
int json_dup_key(const cJSON *obj, const cJSON **ret);
