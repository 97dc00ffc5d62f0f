/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - texts kept once each: thousands of pods share labels, names of owners and images. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pool_text;
struct pool {
	struct pool_text **b;
	size_t cap, n;
	uint64_t seed;
};

/* One more reference; give it back with pool_put. NULL: no memory. */
const char *pool_get(struct pool *p, const char *s);
const char *pool_get_n(struct pool *p, const char *s, size_t n);
void pool_put(struct pool *p, const char *s); /* NULL is fine */
void pool_done(struct pool *p);
