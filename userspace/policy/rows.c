/* SPDX-License-Identifier: Apache-2.0 */
/* Interned rows and verdict records, and the room that rows and tables take in the maps. */
#include <stdlib.h>
#include <string.h>

#include "policy/set.h"

/* ---- room ------------------------------------------------------------------------------------ */

int extents_init(struct extents *x, uint32_t size, uint32_t keep_lo, uint32_t keep_hi)
{
	if (keep_hi > size)
		keep_hi = size;
	if (keep_lo >= keep_hi)
		return vec_push(x, ((struct extent){ 0, size }));
	if (keep_lo && vec_push(x, ((struct extent){ 0, keep_lo })))
		return -ENOMEM;
	return keep_hi < size ? vec_push(x, ((struct extent){ keep_hi, size - keep_hi })) : 0;
}

int extents_get(struct extents *x, uint32_t n, uint32_t *ret)
{
	for (size_t i = 0; i < x->n; i++) {
		if (x->v[i].n < n)
			continue;
		*ret = x->v[i].at;
		x->v[i].at += n;
		x->v[i].n -= n;
		if (!x->v[i].n) {
			memmove(x->v + i, x->v + i + 1, (x->n - i - 1) * sizeof(*x->v));
			x->n--;
		}
		x->used += n;
		return 0;
	}
	return -ENOSPC;
}

int extents_put(struct extents *x, uint32_t at, uint32_t n)
{
	size_t lo = 0, hi = x->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (x->v[mid].at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	x->used -= n;
	if (lo && x->v[lo - 1].at + x->v[lo - 1].n == at) {
		x->v[lo - 1].n += n;
		if (lo < x->n && at + n == x->v[lo].at) {
			x->v[lo - 1].n += x->v[lo].n;
			memmove(x->v + lo, x->v + lo + 1, (x->n - lo - 1) * sizeof(*x->v));
			x->n--;
		}
		return 0;
	}
	if (lo < x->n && at + n == x->v[lo].at) {
		x->v[lo].at = at;
		x->v[lo].n += n;
		return 0;
	}
	if (vec_push(x, ((struct extent){})))
		return -ENOMEM;
	memmove(x->v + lo + 1, x->v + lo, (x->n - lo - 1) * sizeof(*x->v));
	x->v[lo] = (struct extent){ at, n };
	return 0;
}

/* ---- verdict records ------------------------------------------------------------------------------ */

static bool verdict_is_default_allow(const struct cw_verdict *v)
{
	return v->action == CW_ACT_ALLOW && v->tier == CW_TIER_DEFAULT && !v->flags && !v->rule;
}

int verdict_get(struct policy_set *set, const struct cw_verdict *v, uint32_t *ret)
{
	if (verdict_is_default_allow(v)) {
		*ret = 0;
		return 0;
	}
	return intern_get(set->verdicts_in, v, sizeof(*v), ret, NULL);
}

/* ---- rows --------------------------------------------------------------------------------------------- */

static void verdicts_drop(struct policy_set *set, const uint64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint32_t)v[i])
			intern_unref(set->verdicts_in, (uint32_t)v[i]);
}

int row_get(struct policy_set *set, const uint64_t *v, size_t n, uint32_t *ret)
{
	uint32_t id;
	bool fresh;
	int r = intern_get(set->rows_in, v, n * sizeof(*v), &id, &fresh);

	if (r || !fresh)
		verdicts_drop(set, v, n);
	if (r)
		return r;
	if (fresh) {
		while (set->rowmeta.n <= id)
			if (vec_push(&set->rowmeta, ((struct row){})))
				return -ENOMEM;
		set->rowmeta.v[id] = (struct row){ .at = NIL, .n = (uint32_t)n };
	}
	*ret = id;
	return 0;
}

const uint64_t *row_data(const struct policy_set *set, uint32_t row, size_t *ret_n)
{
	size_t len = 0;
	const uint64_t *v = intern_bytes(set->rows_in, row, &len);

	*ret_n = len / sizeof(*v);
	return v;
}

void row_ref(struct policy_set *set, uint32_t row)
{
	intern_ref(set->rows_in, row);
}

void row_unref(struct policy_set *set, uint32_t row)
{
	struct row m = set->rowmeta.v[row];
	size_t n;
	const uint64_t *v = row_data(set, row, &n);
	uint64_t *copy = NULL, small[64];

	/* The bytes go with the last reference, the verdicts they name after them. */
	if (n <= 64)
		copy = small;
	else
		copy = malloc(n * sizeof(*copy));
	if (copy)
		memcpy(copy, v, n * sizeof(*copy));
	if (intern_unref(set->rows_in, row)) {
		if (copy)
			verdicts_drop(set, copy, n);
		if (m.at != NIL)
			(void)extents_put(&set->rows_x, m.at, m.n); /* without memory that room stays taken */
	}
	if (copy != small)
		free(copy);
}

uint32_t row_find(const struct policy_set *set, uint32_t row, uint32_t axis)
{
	size_t n, lo = 0;
	const uint64_t *v = row_data(set, row, &n);

	while (n > 1) {
		size_t half = n / 2;

		if ((uint32_t)(v[lo + half] >> 32) <= axis) {
			lo += half;
			n -= half;
		} else {
			n = half;
		}
	}
	return (uint32_t)v[lo];
}
