/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - RFC 4648 base64, as the API writes bytes into JSON. Private to kube/. */
#pragma once

#include <stddef.h>

/* Strict alphabet and padding; white space is skipped (kubeconfigs are wrapped by hand). The result
 * is NUL-terminated, caller frees. 0, -EINVAL, -E2BIG (more than max bytes), -ENOMEM. */
int base64_decode(const char *s, size_t max, char **ret, size_t *ret_len);
char *base64_encode(const void *p, size_t n); /* NULL: no memory */
