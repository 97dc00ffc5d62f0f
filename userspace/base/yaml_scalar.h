/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_scalar.h - what a plain YAML scalar means (core schema). Private to base/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define YAML_EXACT_MAX 9007199254740992.0 /* 2^53: integers up to here are exact in a double */

enum yaml_scalar {
	YAML_STRING,
	YAML_NULL,
	YAML_TRUE,
	YAML_FALSE,
	YAML_NUMBER,
	/* .inf, .nan, 0123 (octal to one reader, decimal to another), too many digits */
	YAML_BAD_NUMBER,
};

/* s need not be terminated; *ret_num is set for YAML_NUMBER only. */
enum yaml_scalar yaml_scalar_kind(const char *s, size_t len, double *ret_num);
/* True if a plain scalar of this text would be read back as this very string, by YAML 1.1
 * readers as well ("yes", dates and base-60 numbers are not safe there). */
bool yaml_plain_safe(const char *s);
