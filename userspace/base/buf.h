/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growing byte buffer that cannot be made without its maximum. The first failure
 * (-ENOMEM, -E2BIG) sticks in `err`: callers append freely and check once at the end.
 */
#pragma once

#include <stddef.h>

struct buf {
	char *data; /* always NUL-terminated once something was appended */
	size_t len, cap, max;
	int err;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; also an auto_cleanup function */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_adds(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Hands the bytes over (caller frees) and empties b; NULL if b->err. An empty buffer gives "". */
char *buf_take(struct buf *b, size_t *ret_len);
