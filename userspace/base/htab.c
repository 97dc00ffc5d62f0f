/* SPDX-License-Identifier: Apache-2.0 */
#include "base/htab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/*
 * Slots hold a hash (0 empty, 1 deleted) and an owned entry. Linear probing; grown at 3/4
 * counting deleted slots, so a probe always meets an empty one.
 */
struct entry {
	void *value;
	size_t len;
	unsigned char key[];
};
struct slot {
	uint64_t hash;
	struct entry *e;
};
struct htab {
	struct slot *slots;
	size_t cap; /* a power of two, or 0 */
	size_t n, used; /* used: n and the deleted ones */
	uint64_t seed;
};

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1]; v[1] = ROTL(v[1], 13); v[1] ^= v[0]; v[0] = ROTL(v[0], 32);
	v[2] += v[3]; v[3] = ROTL(v[3], 16); v[3] ^= v[2];
	v[0] += v[3]; v[3] = ROTL(v[3], 21); v[3] ^= v[0];
	v[2] += v[1]; v[1] = ROTL(v[1], 17); v[1] ^= v[2]; v[2] = ROTL(v[2], 32);
}

uint64_t hash_bytes(uint64_t seed, const void *p, size_t n)
{
	/* The second key half is derived: 64 bits of secret are enough against flooding. */
	uint64_t k0 = seed, k1 = seed * 0x9e3779b97f4a7c15ull ^ 0x5851f42d4c957f2dull, m;
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
			  k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull };
	const unsigned char *s = p;
	size_t left = n;

	for (; left >= 8; left -= 8, s += 8) {
		memcpy(&m, s, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)(n & 0xff) << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)s[i] << (8 * i);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct htab *htab_new(void)
{
	struct htab *t = calloc(1, sizeof(*t));
	struct timespec ts;

	if (!t)
		return NULL;
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed)) {
		/* Early boot only: a weaker seed is still different per table. */
		clock_gettime(CLOCK_MONOTONIC, &ts);
		t->seed = (uint64_t)ts.tv_nsec << 32 ^ (uint64_t)(uintptr_t)t;
	}
	return t;
}

void htab_free(struct htab *t, void (*free_value)(void *))
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cap; i++) {
		if (t->slots[i].hash < 2)
			continue;
		if (free_value)
			free_value(t->slots[i].e->value);
		free(t->slots[i].e);
	}
	free(t->slots);
	free(t);
}

size_t htab_count(const struct htab *t)
{
	return t->n;
}

static uint64_t key_hash(const struct htab *t, const void *key, size_t len)
{
	uint64_t h = hash_bytes(t->seed, key, len);

	return h < 2 ? h + 2 : h;
}

/* The slot of the key, or NULL. */
static struct slot *find(const struct htab *t, const void *key, size_t len)
{
	uint64_t h;

	if (!t->cap)
		return NULL;
	h = key_hash(t, key, len);
	for (size_t i = h & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
		struct slot *s = &t->slots[i];

		if (s->hash == 0)
			return NULL;
		if (s->hash == h && s->e->len == len && (!len || memcmp(s->e->key, key, len) == 0))
			return s;
	}
}

static int rehash(struct htab *t)
{
	size_t cap = 16;
	struct slot *slots;

	while (cap / 2 <= t->n)
		cap *= 2;
	slots = calloc(cap, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++) {
		size_t j;

		if (t->slots[i].hash < 2)
			continue;
		j = t->slots[i].hash & (cap - 1);
		while (slots[j].hash)
			j = (j + 1) & (cap - 1);
		slots[j] = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->cap = cap;
	t->used = t->n;
	return 0;
}

int htab_set(struct htab *t, const void *key, size_t len, void *value, void **ret_old)
{
	struct slot *s = find(t, key, len);
	struct entry *e;
	uint64_t h;
	size_t i;

	if (s) {
		if (ret_old)
			*ret_old = s->e->value;
		s->e->value = value;
		return 0;
	}
	if ((t->used + 1) * 4 > t->cap * 3 && rehash(t) < 0)
		return -ENOMEM;
	e = malloc(sizeof(*e) + len);
	if (!e)
		return -ENOMEM;
	e->value = value;
	e->len = len;
	if (len)
		memcpy(e->key, key, len);
	h = key_hash(t, key, len);
	i = h & (t->cap - 1);
	while (t->slots[i].hash > 1)
		i = (i + 1) & (t->cap - 1);
	t->used += t->slots[i].hash == 0;
	t->slots[i] = (struct slot){ h, e };
	t->n++;
	if (ret_old)
		*ret_old = NULL;
	return 0;
}

void *htab_get(const struct htab *t, const void *key, size_t len)
{
	struct slot *s = find(t, key, len);

	return s ? s->e->value : NULL;
}

bool htab_has(const struct htab *t, const void *key, size_t len)
{
	return find(t, key, len) != NULL;
}

void *htab_del(struct htab *t, const void *key, size_t len)
{
	struct slot *s = find(t, key, len);
	void *value;

	if (!s)
		return NULL;
	value = s->e->value;
	free(s->e);
	*s = (struct slot){ .hash = 1 };
	t->n--;
	return value;
}

bool htab_next(const struct htab *t, size_t *it, const void **key, size_t *len, void **value)
{
	for (; *it < t->cap; (*it)++) {
		const struct slot *s = &t->slots[*it];

		if (s->hash < 2)
			continue;
		if (key)
			*key = s->e->key;
		if (len)
			*len = s->e->len;
		if (value)
			*value = s->e->value;
		(*it)++;
		return true;
	}
	return false;
}
