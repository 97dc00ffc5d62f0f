/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/htab.h"

struct pool_text {
	struct pool_text *next;
	uint32_t hash, refs;
	char s[];
};

static struct pool_text *text_of(const char *s)
{
	return (struct pool_text *)(s - offsetof(struct pool_text, s));
}

static int grow(struct pool *p)
{
	size_t cap = p->cap ? p->cap * 2 : 256;
	struct pool_text **b = calloc(cap, sizeof(struct pool_text *));

	if (!b)
		return p->cap ? 0 : -1; /* longer chains are better than none */
	for (size_t i = 0; i < p->cap; i++) {
		for (struct pool_text *t = p->b[i], *next; t; t = next) {
			next = t->next;
			t->next = b[t->hash & (cap - 1)];
			b[t->hash & (cap - 1)] = t;
		}
	}
	free(p->b);
	p->b = b;
	p->cap = cap;
	return 0;
}

const char *pool_get_n(struct pool *p, const char *s, size_t n)
{
	uint32_t hash = (uint32_t)hash_bytes(p->seed, s, n);
	struct pool_text *t;

	if (p->n >= p->cap && grow(p))
		return NULL;
	for (t = p->b[hash & (p->cap - 1)]; t; t = t->next) {
		if (t->hash != hash || strncmp(t->s, s, n) != 0 || t->s[n])
			continue;
		t->refs++;
		return t->s;
	}
	t = malloc(sizeof(*t) + n + 1);
	if (!t)
		return NULL;
	memcpy(t->s, s, n);
	t->s[n] = '\0';
	t->hash = hash;
	t->refs = 1;
	t->next = p->b[hash & (p->cap - 1)];
	p->b[hash & (p->cap - 1)] = t;
	p->n++;
	return t->s;
}

const char *pool_get(struct pool *p, const char *s)
{
	return pool_get_n(p, s, strlen(s));
}

void pool_put(struct pool *p, const char *s)
{
	struct pool_text *t, **at;

	if (!s)
		return;
	t = text_of(s);
	if (--t->refs)
		return;
	for (at = &p->b[t->hash & (p->cap - 1)]; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	free(t);
	p->n--;
}

void pool_done(struct pool *p)
{
	for (size_t i = 0; i < p->cap; i++) {
		for (struct pool_text *t = p->b[i], *next; t; t = next) {
			next = t->next;
			free(t);
		}
	}
	free(p->b);
	*p = (struct pool){};
}
