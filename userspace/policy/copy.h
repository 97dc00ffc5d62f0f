/* SPDX-License-Identifier: Apache-2.0 */
/* copy.h - copies of arrays, of which a half-made one can be freed. Private to policy/. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A zeroed array for n elements in *ret (NULL for none). */
static inline bool new_array(void *ret, size_t n, size_t size)
{
	void *p = n ? calloc(n, size) : NULL;

	memcpy(ret, &p, sizeof(p));
	return !n || p;
}

/* Copies n elements with copy(); counts them in *ret_n, so that done() of the owner fits. */
#define COPY_ARRAY(from, n, to, ret_n, copy) ({ \
	bool ok_ = new_array(&(to), (n), sizeof(*(to))); \
	(ret_n) = 0; \
	for (size_t i_ = 0; ok_ && i_ < (n); i_++) { \
		ok_ = copy(&(from)[i_], &(to)[i_]) == 0; \
		(ret_n) += ok_; \
	} \
	ok_; })

/* The same for a member `field` and its count of the caller's `from` and `c`. */
#define COPY(field, copy) COPY_ARRAY(from->field, from->n##field, c.field, c.n##field, copy)
