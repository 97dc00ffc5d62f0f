/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/intern.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"

struct item {
	uint32_t refs;
	uint32_t len;
	unsigned char bytes[];
};

struct intern {
	struct htab *by_bytes;	/* value: number */
	struct item **v;	/* by number */
	uint32_t cap, end;	/* end: highest number ever used + 1 */
	uint32_t first, max, next, count;
	uint32_t keep_lo, keep_hi;
};

struct intern *intern_new(uint32_t first, uint32_t max, uint32_t keep_lo, uint32_t keep_hi)
{
	struct intern *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->by_bytes = htab_new();
	if (!in->by_bytes) {
		free(in);
		return NULL;
	}
	in->first = in->next = in->end = first;
	in->max = max;
	in->keep_lo = keep_lo;
	in->keep_hi = keep_hi;
	return in;
}

void intern_free(struct intern *in)
{
	if (!in)
		return;
	htab_free(in->by_bytes, NULL);
	for (uint32_t i = 0; i < in->cap; i++)
		free(in->v[i]);
	free(in->v);
	free(in);
}

void intern_keep_done(struct intern *in)
{
	in->keep_lo = in->keep_hi = 0;
}

static int number_new(struct intern *in, uint32_t *ret)
{
	uint32_t span = in->max - in->first, n = in->next;

	if (in->max <= in->first || in->count >= span)
		return -ENOSPC;
	for (uint32_t tried = 0; tried < span; tried++, n++) {
		if (n >= in->max)
			n = in->first;
		if (n >= in->keep_lo && n < in->keep_hi)
			continue;
		if (n >= in->cap) {
			uint32_t cap = in->cap ? in->cap : 64;
			struct item **v;

			while (cap <= n)
				cap *= 2;
			v = realloc(in->v, cap * sizeof(*v));
			if (!v)
				return -ENOMEM;
			memset(v + in->cap, 0, (cap - in->cap) * sizeof(*v));
			in->v = v;
			in->cap = cap;
		}
		if (in->v[n])
			continue;
		in->next = n + 1;
		if (n >= in->end)
			in->end = n + 1;
		*ret = n;
		return 0;
	}
	return -ENOSPC;
}

int intern_get(struct intern *in, const void *p, size_t n, uint32_t *ret, bool *ret_new)
{
	void *known = htab_get(in->by_bytes, p, n);
	struct item *it;
	uint32_t id;
	int r;

	if (known) {
		id = (uint32_t)(uintptr_t)known;
		in->v[id]->refs++;
		*ret = id;
		if (ret_new)
			*ret_new = false;
		return 0;
	}
	r = number_new(in, &id);
	if (r)
		return r;
	assert(id); /* 0 would look absent: ranges start at 1 */
	it = malloc(sizeof(*it) + n);
	if (!it)
		return -ENOMEM;
	it->refs = 1;
	it->len = (uint32_t)n;
	if (n)
		memcpy(it->bytes, p, n);
	r = htab_set(in->by_bytes, p, n, (void *)(uintptr_t)id, NULL);
	if (r) {
		free(it);
		return r;
	}
	in->v[id] = it;
	in->count++;
	*ret = id;
	if (ret_new)
		*ret_new = true;
	return 0;
}

uint32_t intern_find(const struct intern *in, const void *p, size_t n)
{
	return (uint32_t)(uintptr_t)htab_get(in->by_bytes, p, n);
}

void intern_ref(struct intern *in, uint32_t id)
{
	in->v[id]->refs++;
}

bool intern_unref(struct intern *in, uint32_t id)
{
	struct item *it = in->v[id];

	if (--it->refs)
		return false;
	htab_del(in->by_bytes, it->bytes, it->len);
	in->v[id] = NULL;
	in->count--;
	free(it);
	return true;
}

const void *intern_bytes(const struct intern *in, uint32_t id, size_t *ret_len)
{
	if (id >= in->cap || !in->v[id])
		return NULL;
	if (ret_len)
		*ret_len = in->v[id]->len;
	return in->v[id]->bytes;
}

uint32_t intern_count(const struct intern *in)
{
	return in->count;
}

uint32_t intern_end(const struct intern *in)
{
	return in->end;
}
