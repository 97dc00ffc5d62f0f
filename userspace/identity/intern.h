/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern.h - byte strings to numbers and back, with references. A number is given out at most
 * once in a round through the range, so that one that was just freed is the last to be reused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern;

/* Numbers first..max-1; [keep_lo, keep_hi) is left alone until intern_keep_done. NULL: no memory. */
struct intern *intern_new(uint32_t first, uint32_t max, uint32_t keep_lo, uint32_t keep_hi);
void intern_free(struct intern *in);
void intern_keep_done(struct intern *in);
/* Takes a reference. ret_new, if not NULL, tells whether the number is new. -ENOMEM, -ENOSPC. */
int intern_get(struct intern *in, const void *p, size_t n, uint32_t *ret, bool *ret_new);
uint32_t intern_find(const struct intern *in, const void *p, size_t n); /* 0 if unknown; no reference */
void intern_ref(struct intern *in, uint32_t id);
/* True when this was the last reference and the number is free again. */
bool intern_unref(struct intern *in, uint32_t id);
const void *intern_bytes(const struct intern *in, uint32_t id, size_t *ret_len); /* NULL if free */
uint32_t intern_count(const struct intern *in);
uint32_t intern_end(const struct intern *in); /* numbers in use are below */
