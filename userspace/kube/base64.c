/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/base64.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_decode(const char *s, size_t max, char **ret, size_t *ret_len)
{
	size_t n = 0, cap = strlen(s) / 4 * 3 + 3;
	unsigned bits = 0, have = 0, pad = 0, count = 0;
	char *out;

	if (cap > max + 64 + max / 8)
		return -E2BIG;
	out = malloc(cap + 1);
	if (!out)
		return -ENOMEM;
	for (; *s; s++) {
		const char *d;

		if (*s == '\n' || *s == '\r' || *s == ' ' || *s == '\t')
			continue;
		count++;
		if (*s == '=') {
			pad++;
			continue;
		}
		d = strchr(digits, *s);
		if (!d || pad)
			goto bad;
		bits = bits << 6 | (unsigned)(d - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (char)(bits >> have);
			bits &= (1u << have) - 1;
		}
	}
	if (count % 4 || pad > 2 || bits)
		goto bad;
	if (n > max) {
		free(out);
		return -E2BIG;
	}
	out[n] = '\0';
	*ret = out;
	*ret_len = n;
	return 0;
bad:
	explicit_bzero(out, cap);
	free(out);
	return -EINVAL;
}

char *base64_encode(const void *p, size_t n)
{
	const uint8_t *b = p;
	char *out, *o;

	if (n > SIZE_MAX / 2)
		return NULL;
	o = out = malloc((n + 2) / 3 * 4 + 1);
	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) |
			     (i + 2 < n ? b[i + 2] : 0);

		*o++ = digits[v >> 18];
		*o++ = digits[v >> 12 & 63];
		*o++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*o++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*o = '\0';
	return out;
}
