/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link_table.h"

#include <errno.h>
#include <linux/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

/* Bits of flags that LINK_UPDOWN stands for. */
#define UP_FLAGS (IFF_UP | IFF_RUNNING | IFF_LOWER_UP)

void link_table_done(struct link_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].addrs);
	free(t->v);
	free(t->nsids);
	*t = (struct link_table){ 0 };
}

/* Index of the first link with this number or a greater one. */
static size_t place(const struct link_table *t, uint32_t ifindex)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->v[mid].ifindex < ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct link *link_table_get(const struct link_table *t, uint32_t ifindex)
{
	size_t i = place(t, ifindex);

	return i < t->n && t->v[i].ifindex == ifindex ? &t->v[i] : NULL;
}

const struct link *link_table_find(const struct link_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strncmp(t->v[i].name, name, LINK_NAME_MAX))
			return &t->v[i];
	return NULL;
}

const struct netns_key *link_table_nsid(const struct link_table *t, int32_t nsid)
{
	if (nsid == LINK_NSID_OWN)
		return &t->key;
	for (size_t i = 0; i < t->nnsids; i++)
		if (t->nsids[i].nsid == nsid)
			return &t->nsids[i].key;
	return NULL;
}

int link_table_set_nsid(struct link_table *t, int32_t nsid, const struct netns_key *key)
{
	struct link_nsid *p;
	size_t cap;

	if (nsid < 0)
		return -EINVAL;
	for (size_t i = 0; i < t->nnsids; i++) {
		if (t->nsids[i].nsid != nsid)
			continue;
		t->nsids[i].key = *key;
		return 0;
	}
	if (t->nnsids == LINK_NSIDS_MAX)
		return -E2BIG;
	if (t->nnsids == t->nsids_cap) {
		cap = t->nsids_cap ? t->nsids_cap * 2 : 8;
		p = realloc(t->nsids, cap * sizeof(*p));
		if (!p)
			return -ENOMEM;
		t->nsids = p;
		t->nsids_cap = cap;
	}
	t->nsids[t->nnsids++] = (struct link_nsid){ nsid, *key };
	return 0;
}

static uint32_t nsid_forget(struct link_table *t, int32_t nsid)
{
	for (size_t i = 0; i < t->nnsids; i++) {
		if (t->nsids[i].nsid != nsid)
			continue;
		t->nsids[i] = t->nsids[--t->nnsids];
		return LINK_NSIDS_CHANGED;
	}
	return 0;
}

static int link_insert(struct link_table *t, size_t at, const struct link *l)
{
	if (t->n >= LINK_TABLE_MAX) {
		t->refused++;
		return -E2BIG;
	}
	if (vec_reserve(t, t->n + 1))
		return -ENOMEM;
	memmove(&t->v[at + 1], &t->v[at], (t->n - at) * sizeof(*t->v));
	t->v[at] = *l;
	t->v[at].addrs = NULL;
	t->v[at].naddrs = 0;
	t->v[at].addrs_refused = 0;
	t->n++;
	return 0;
}

static uint32_t link_update(struct link *have, const struct link *l)
{
	uint32_t what = 0;

	if (strcmp(have->name, l->name))
		what |= LINK_RENAMED;
	if ((have->flags ^ l->flags) & UP_FLAGS)
		what |= LINK_UPDOWN;
	if (have->master != l->master)
		what |= LINK_REMASTERED;
	if (have->lower != l->lower || have->lower_nsid != l->lower_nsid)
		what |= LINK_REPEERED;
	if (memcmp(have->mac, l->mac, sizeof(l->mac)))
		what |= LINK_MAC_CHANGED;
	if (strcmp(have->kind, l->kind) || have->type != l->type)
		what |= LINK_REMADE;
	if (have->mtu != l->mtu || ((have->flags ^ l->flags) & ~UP_FLAGS))
		what |= LINK_OTHER;
	have->flags = l->flags;
	have->mtu = l->mtu;
	have->master = l->master;
	have->lower = l->lower;
	have->lower_nsid = l->lower_nsid;
	have->type = l->type;
	memcpy(have->mac, l->mac, sizeof(have->mac));
	memcpy(have->name, l->name, sizeof(have->name));
	memcpy(have->kind, l->kind, sizeof(have->kind));
	return what;
}

static void link_remove(struct link_table *t, size_t at)
{
	free(t->v[at].addrs);
	memmove(&t->v[at], &t->v[at + 1], (t->n - at - 1) * sizeof(*t->v));
	t->n--;
}

/*
 * When one end of a pair moves, the kernel tells nothing of the other end, though what that one
 * names as its lower device is another now. So the end that stays in the table follows here.
 */
static struct link *pair_other(struct link_table *t, const struct link *l)
{
	size_t at = place(t, l->lower);
	struct link *o = at < t->n && t->v[at].ifindex == l->lower ? &t->v[at] : NULL;

	return link_is_pair(l) && l->lower_nsid == LINK_NSID_OWN && o && !strcmp(o->kind, l->kind) ?
		       o : NULL;
}

static uint32_t pair_follow(struct link_table *t, const struct link *l, uint32_t lower,
			    int32_t nsid)
{
	struct link *o = pair_other(t, l);

	if (!o || (o->lower == lower && o->lower_nsid == nsid))
		return 0;
	o->lower = lower;
	o->lower_nsid = nsid;
	return LINK_REPEERED;
}

/* An address counts with its prefix length: one interface may hold it with several. */
static size_t addr_place(const struct link *l, const struct link_addr *a)
{
	size_t i;

	for (i = 0; i < l->naddrs; i++)
		if (l->addrs[i].plen == a->plen &&
		    !memcmp(&l->addrs[i].addr, &a->addr, sizeof(a->addr)))
			break;
	return i;
}

static int addr_set(struct link *l, const struct link_addr *a, uint32_t *what)
{
	size_t i = addr_place(l, a);
	struct link_addr *p;

	if (i < l->naddrs) {
		if (l->addrs[i].flags != a->flags || l->addrs[i].scope != a->scope)
			*what |= LINK_ADDRS_CHANGED;
		l->addrs[i] = *a;
		return 0;
	}
	if (l->naddrs >= LINK_ADDRS_MAX) {
		l->addrs_refused++;
		return -E2BIG;
	}
	p = realloc(l->addrs, (l->naddrs + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	l->addrs = p;
	l->addrs[l->naddrs++] = *a;
	*what |= LINK_ADDRS_CHANGED;
	return 0;
}

static void addr_remove(struct link *l, const struct link_addr *a, uint32_t *what)
{
	size_t i = addr_place(l, a);

	if (i == l->naddrs)
		return;
	memmove(&l->addrs[i], &l->addrs[i + 1], (l->naddrs - i - 1) * sizeof(*a));
	l->naddrs--;
	*what |= LINK_ADDRS_CHANGED;
}

int link_table_apply(struct link_table *t, const struct link_change *c, uint32_t *ret_what)
{
	size_t at = place(t, c->link.ifindex);
	struct link *have = at < t->n && t->v[at].ifindex == c->link.ifindex ? &t->v[at] : NULL;
	uint32_t what = 0;
	int r = 0;

	switch (c->kind) {
	case LINK_SET:
		if (have)
			what = link_update(have, &c->link);
		else
			r = link_insert(t, at, &c->link);
		if (!have && !r)
			what = LINK_IS_NEW;
		if (!r)
			what |= pair_follow(t, &c->link, c->link.ifindex, LINK_NSID_OWN);
		break;
	case LINK_GONE:
		if (!have)
			break;
		if (c->moved)
			what = pair_follow(t, have,
					   c->moved_ifindex ? c->moved_ifindex : have->ifindex,
					   c->moved_nsid);
		link_remove(t, at);
		what |= LINK_IS_GONE;
		break;
	case LINK_ADDR_SET:
		if (have)
			r = addr_set(have, &c->addr, &what);
		break;
	case LINK_ADDR_GONE:
		if (have)
			addr_remove(have, &c->addr, &what);
		break;
	case LINK_NSID_SET:
		/* What it stood for before is no longer true, what it stands for must be asked. */
		(void)nsid_forget(t, c->nsid);
		what = LINK_NSIDS_CHANGED;
		break;
	case LINK_NSID_GONE:
		what = nsid_forget(t, c->nsid);
		break;
	}
	if (!r && ret_what)
		*ret_what = what;
	return r;
}

bool link_is_pair(const struct link *l)
{
	return !strcmp(l->kind, "veth") || !strcmp(l->kind, "netkit");
}

/* Could l, in t, have its other end in o: as far as numbers are known, and is one known? */
static bool may_point(const struct link_table *t, const struct link *l, const struct link_table *o,
		      bool *known)
{
	const struct netns_key *key = link_table_nsid(t, l->lower_nsid);

	if (!key)
		return true;
	*known = true;
	return netns_key_same(key, &o->key);
}

const struct link *link_table_peer(const struct link_table *t, const struct link *l,
				   const struct link_table *tables, size_t ntables,
				   const struct link_table **ret_table)
{
	if (!link_is_pair(l) || !l->lower)
		return NULL;
	for (size_t i = 0; i < ntables; i++) {
		const struct link_table *o = &tables[i];
		const struct link *p = link_table_get(o, l->lower);
		bool known = false;

		if (!p || p == l || p->lower != l->ifindex || strcmp(p->kind, l->kind))
			continue;
		if (!may_point(t, l, o, &known) || !may_point(o, p, t, &known) || !known)
			continue;
		if (ret_table)
			*ret_table = o;
		return p;
	}
	return NULL;
}
