/* SPDX-License-Identifier: Apache-2.0 */
/* slot.c - whose an address is: of the living pods that name it, the freshest. */
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "cluster/priv.h"

static size_t bucket(const struct cluster *c, const struct addr *a)
{
	return hash_bytes(c->seed, a->b, sizeof(a->b)) & (c->slots.cap - 1);
}

static bool grow(struct cluster *c)
{
	size_t cap = c->slots.cap ? c->slots.cap * 2 : 256, old_cap = c->slots.cap;
	struct slot **b = calloc(cap, sizeof(struct slot *)), **old = c->slots.b;

	if (!b)
		return old_cap;
	c->slots.b = b;
	c->slots.cap = cap;
	for (size_t i = 0; i < old_cap; i++) {
		for (struct slot *s = old[i], *next; s; s = next) {
			size_t at = bucket(c, &s->addr);

			next = s->next;
			s->next = b[at];
			b[at] = s;
		}
	}
	free(old);
	return true;
}

struct slot *slot_get(struct cluster *c, const struct addr *a)
{
	struct slot *s;
	size_t at;

	if (c->slots.n >= c->slots.cap && !grow(c))
		return NULL;
	at = bucket(c, a);
	for (s = c->slots.b[at]; s && addr_cmp(&s->addr, a) != 0; s = s->next)
		;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		s->addr = *a;
		s->next = c->slots.b[at];
		c->slots.b[at] = s;
		c->slots.n++;
	}
	s->refs++;
	return s;
}

void slot_put(struct cluster *c, struct slot *s)
{
	struct slot **at;

	if (--s->refs)
		return;
	for (at = &c->slots.b[bucket(c, &s->addr)]; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	free(s);
	c->slots.n--;
}

/* Times of the API are whole seconds; the uid settles what they leave open, the same way in any order. */
static bool newer(const struct pod *a, const struct pod *b)
{
	if (a->fresh_ns != b->fresh_ns)
		return a->fresh_ns > b->fresh_ns;
	if (a->obj->created_ns != b->obj->created_ns)
		return a->obj->created_ns > b->obj->created_ns;
	return strcmp(a->obj->uid, b->obj->uid) > 0;
}

static void set_owner(struct cluster *c, struct slot *s, struct pod *p)
{
	if (s->owner == p)
		return;
	if (s->owner)
		obj_queue(c, s->owner->obj);
	if (p)
		obj_queue(c, p->obj);
	s->owner = p;
}

void claim_add(struct cluster *c, struct claim *cl)
{
	struct slot *s = cl->slot;

	c->slots.contested += s->claims && !s->claims->next;
	cl->next = s->claims;
	s->claims = cl;
	if (!s->owner || newer(cl->pod, s->owner))
		set_owner(c, s, cl->pod);
}

void claim_del(struct cluster *c, struct claim *cl)
{
	struct slot *s = cl->slot;
	struct claim **at;
	struct pod *best = NULL;

	for (at = &s->claims; *at != cl; at = &(*at)->next)
		;
	*at = cl->next;
	c->slots.contested -= s->claims && !s->claims->next;
	if (s->owner != cl->pod)
		return;
	for (const struct claim *i = s->claims; i; i = i->next)
		if (!best || newer(i->pod, best))
			best = i->pod;
	set_owner(c, s, best);
}

void slot_hand(struct cluster *c, struct slot *s, struct obj *to)
{
	struct slot **at;

	if (s->handed == to)
		return;
	if (s->handed) {
		for (at = &s->handed->slots; *at != s; at = &(*at)->handed_next)
			;
		*at = s->handed_next;
	}
	if (to) {
		s->handed_next = to->slots;
		to->slots = s;
	}
	s->refs += (to != NULL) - (s->handed != NULL);
	s->handed = to;
	if (!s->refs) {
		s->refs = 1;
		slot_put(c, s);
	}
}
