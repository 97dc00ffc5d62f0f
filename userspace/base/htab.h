/* SPDX-License-Identifier: Apache-2.0 */
/*
 * htab.h - a small open-addressing hash table from bytes to a pointer-sized value. Keys are
 * copied. Seeded per table against collision flooding. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct htab;

struct htab *htab_new(void);
void htab_free(struct htab *t, void (*free_value)(void *)); /* free_value may be NULL */
size_t htab_count(const struct htab *t);
/* Replaces an existing value (the old one is returned through *ret_old if not NULL). 0 or -ENOMEM. */
int htab_set(struct htab *t, const void *key, size_t len, void *value, void **ret_old);
void *htab_get(const struct htab *t, const void *key, size_t len); /* NULL if absent */
bool htab_has(const struct htab *t, const void *key, size_t len);
void *htab_del(struct htab *t, const void *key, size_t len);	      /* the removed value or NULL */
/* Iteration: `size_t it = 0; while (htab_next(t, &it, &k, &kl, &v))`. Deleting the current key is allowed. */
bool htab_next(const struct htab *t, size_t *it, const void **key, size_t *len, void **value);
static inline int htab_set_u64(struct htab *t, uint64_t k, void *v) { return htab_set(t, &k, sizeof(k), v, NULL); }
static inline void *htab_get_u64(const struct htab *t, uint64_t k) { return htab_get(t, &k, sizeof(k)); }
static inline void *htab_del_u64(struct htab *t, uint64_t k) { return htab_del(t, &k, sizeof(k)); }
/* Keyed 64-bit hash (SipHash-1-3) for callers that build their own tables. */
uint64_t hash_bytes(uint64_t seed, const void *p, size_t n);
