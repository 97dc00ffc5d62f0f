/* SPDX-License-Identifier: Apache-2.0 */
/* strparse.h - numbers and words from outside text; every call takes a maximum and the whole
 * string must match. 0, -EINVAL (not that kind of text) or -ERANGE. *ret untouched on failure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
int parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret);
/* "15m", "10d", "90s", "1h30m", "250ms"; result in milliseconds. */
int parse_duration_ms(const char *s, uint64_t max_ms, uint64_t *ret);
/* RFC 3339 ("2026-03-12T08:30:02Z", with offset, date only) to Unix time in ns. */
int parse_time_ns(const char *s, int64_t *ret);
/* ns to "2026-03-12T08:30:02Z" (ms kept when not zero). out: 32 bytes. */
const char *time_str(int64_t ns, char out[32]);
/* RFC 1123 label (1..63) and subdomain (1..253, dots). */
bool is_dns_label(const char *s);
bool is_dns_name(const char *s);
/* Kubernetes label key ([prefix/]name) and value (0..63). */
bool is_label_key(const char *s);
bool is_label_value(const char *s);
/* Levenshtein-nearest word within distance 2 (for "did you mean"); NULL when none is near. */
const char *nearest_word(const char *s, const char *const *words, size_t n);
