/* SPDX-License-Identifier: Apache-2.0 */
/* vec.h - growable arrays: `struct { T *v; size_t n, cap; } a = {};`. vec_push is 0 or -ENOMEM. */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static inline int vec_grow_(void **v, size_t *cap, size_t need, size_t size)
{
	size_t c = *cap ? *cap : 8;
	void *p;

	if (need <= *cap)
		return 0;
	while (c < need)
		c *= 2;
	if (c > SIZE_MAX / size)
		return -ENOMEM;
	p = realloc(*v, c * size);
	if (!p)
		return -ENOMEM;
	*v = p;
	*cap = c;
	return 0;
}
#define vec_reserve(a, need) vec_grow_((void **)&(a)->v, &(a)->cap, need, sizeof(*(a)->v))
#define vec_push(a, x) (vec_reserve(a, (a)->n + 1) ? -ENOMEM : ((a)->v[(a)->n++] = (x), 0))
#define vec_done(a) (free((a)->v), (a)->v = NULL, (a)->n = (a)->cap = 0)
