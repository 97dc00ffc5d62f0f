/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.h - JSON read in place. A value is the stretch of text it stands in, so what has to be
 * handed on unchanged is handed on byte for byte: unknown fields, number formats, order.
 *
 * Strict RFC 8259, depth bounded; nothing is allocated. As the CNI libraries read it, the last of
 * several members of one name counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SPAN_DEPTH_MAX 64u

struct span {
	const char *p;	/* first byte of the value; NULL: none */
	size_t n;
};

/* The one value of a text, blanks around it left out. -EBADMSG with its offset in *ret_at (may be
 * NULL); -E2BIG too deep. Everything below takes spans of a text that was found good here. */
int span_read(const char *s, size_t len, struct span *ret, size_t *ret_at);

/* By the first byte: '{', '[', '"', 't', 'f', 'n', or '0' for a number; 0 for none. */
char span_kind(struct span v);
/* -ENOENT; also when v is no object. */
int span_get(struct span v, const char *key, struct span *ret);
/* The elements of an array in turn: *it begins with {}. False after the last, or when it is none. */
bool span_next(struct span arr, struct span *it);
/* A string decoded, NUL-terminated. -EINVAL no string, a NUL or a lone surrogate in it; -E2BIG. */
int span_str(struct span v, char *out, size_t max);
/* Member and string in one: -ENOENT when absent or null. */
int span_get_str(struct span v, const char *key, char *out, size_t max);
