/* SPDX-License-Identifier: Apache-2.0 */
#include "maps/addr_maps.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#include "base/htab.h"
#include "maps/maps_priv.h"

/* ---- keys ------------------------------------------------------------------------------------------- */

/* An exact key of either family, and its table. */
struct exact {
	enum map_id id;
	union {
		struct cw_addr4_key k4;
		struct cw_addr6_key k6;
	} k;
};

static struct exact exact_of(uint32_t zone, const struct addr *a)
{
	struct exact e = { .id = addr_is_v4(a) ? M_ADDR4 : M_ADDR6 };

	if (e.id == M_ADDR4) {
		memcpy(&e.k.k4.addr, a->b + 12, 4);
		e.k.k4.zone = zone;
	} else {
		memcpy(e.k.k6.addr, a->b, 16);
		e.k.k6.zone = zone;
	}
	return e;
}

struct net_key {
	bool v6;
	union {
		struct cw_net4_key k4;
		struct cw_net6_key k6;
	} k;
};

static struct net_key net_of(uint32_t zone, const struct addr *a, bool v6, uint8_t plen)
{
	struct net_key n = { .v6 = v6 };

	if (!v6) {
		n.k.k4.plen = 32u + plen;
		n.k.k4.zone = htonl(zone);
		memcpy(&n.k.k4.addr, a->b + 12, 4);
	} else {
		n.k.k6.plen = 32u + plen;
		n.k.k6.zone = htonl(zone);
		memcpy(n.k.k6.addr, a->b, 16);
	}
	return n;
}

static int prefix_key(uint32_t zone, const struct prefix *p, struct net_key *ret)
{
	if (p->plen > (p->v6 ? 128 : 32) || !p->v6 != addr_is_v4(&p->addr))
		return -EINVAL;
	*ret = net_of(zone, &p->addr, p->v6, p->plen);
	return 0;
}

static int absent_is_fine(int r)
{
	return r == -ENOENT ? 0 : r;
}

/* ---- exact ------------------------------------------------------------------------------------------ */

static bool value_valid(const struct cw_addr *v)
{
	return v->realm < CW_REALM_COUNT;
}

/*
 * What the data path marked must not be forgotten while the entry keeps its meaning. A mark
 * set between look and write would be lost, so a rewritten entry counts as used; an entry that
 * would not change is not written at all.
 */
static bool keep_mark(const struct cw_addr *old, struct cw_addr *new)
{
	if (old->eid != new->eid || old->group != new->group)
		return false;
	if (old->wl == new->wl && old->realm == new->realm)
		return true;
	new->used = 1;
	return false;
}

int addr_map_set(struct maps *m, uint32_t zone, const struct addr *a, const struct cw_addr *v)
{
	struct exact e = exact_of(zone, a);
	struct cw_addr old, new = *v;

	if (!value_valid(v))
		return -EINVAL;
	if (!bpf_map_lookup_elem(m->fd[e.id], &e.k, &old) && keep_mark(&old, &new))
		return 0;
	return map_full(bpf_map_update_elem(m->fd[e.id], &e.k, &new, BPF_ANY));
}

int addr_map_get(const struct maps *m, uint32_t zone, const struct addr *a, struct cw_addr *ret)
{
	struct exact e = exact_of(zone, a);
	struct cw_addr v;
	int r = bpf_map_lookup_elem(m->fd[e.id], &e.k, &v);

	if (!r)
		*ret = v;
	return r;
}

int addr_map_del(struct maps *m, uint32_t zone, const struct addr *a)
{
	struct exact e = exact_of(zone, a);

	return absent_is_fine(bpf_map_delete_elem(m->fd[e.id], &e.k));
}

struct addrs_arg {
	int (*fn)(void *arg, uint32_t zone, const struct addr *a, const struct cw_addr *v);
	void *arg;
	bool v6;
	int r;
};

static int addrs_one(void *arg, const void *key, const void *value)
{
	struct addrs_arg *w = arg;
	struct addr a = {};
	uint32_t zone;

	if (w->v6) {
		const struct cw_addr6_key *k = key;

		memcpy(a.b, k->addr, 16);
		memcpy(&zone, &k->zone, 4);
	} else {
		const struct cw_addr4_key *k = key;

		a.b[10] = a.b[11] = 0xff;
		memcpy(a.b + 12, &k->addr, 4);
		zone = k->zone;
	}
	w->r = w->fn(w->arg, zone, &a, value);
	return w->r ? -ECANCELED : 0;
}

int addr_map_walk(const struct maps *m, bool v6,
		  int (*fn)(void *arg, uint32_t zone, const struct addr *a, const struct cw_addr *v), void *arg)
{
	struct addrs_arg w = { .fn = fn, .arg = arg, .v6 = v6 };
	int r = map_walk(m, v6 ? M_ADDR6 : M_ADDR4,
			 v6 ? sizeof(struct cw_addr6_key) : sizeof(struct cw_addr4_key),
			 sizeof(struct cw_addr), addrs_one, &w);

	return w.r ? w.r : r;
}

/* ---- prefixes ---------------------------------------------------------------------------------------- */

/*
 * A trie answers with the longest match, and cannot be asked for one very prefix: which ones
 * stand is kept beside it.
 */
static size_t net_len(const struct net_key *n)
{
	return n->v6 ? sizeof(n->k.k6) : sizeof(n->k.k4);
}

static struct htab *net_names(const struct maps *m, bool v6)
{
	return m->nets[v6];
}

int nets_read(struct maps *m)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct net_key n = { .v6 = v6 };
		int fd = m->fd[v6 ? M_NET6 : M_NET4], r;

		m->nets[v6] = htab_new();
		if (!m->nets[v6])
			return -ENOMEM;
		r = bpf_map_get_next_key(fd, NULL, &n.k);
		while (!r) {
			r = htab_set(m->nets[v6], &n.k, net_len(&n), m, NULL);
			if (!r)
				r = bpf_map_get_next_key(fd, &n.k, &n.k);
		}
		if (r != -ENOENT)
			return r;
	}
	return 0;
}

int net_map_get(const struct maps *m, uint32_t zone, const struct prefix *p, struct cw_addr *ret)
{
	struct net_key n;
	struct cw_addr v;
	int r = prefix_key(zone, p, &n);

	if (r < 0)
		return r;
	if (!htab_has(net_names(m, n.v6), &n.k, net_len(&n)))
		return -ENOENT;
	r = bpf_map_lookup_elem(m->fd[n.v6 ? M_NET6 : M_NET4], &n.k, &v);
	if (!r)
		*ret = v;
	return r;
}

int net_map_match(const struct maps *m, uint32_t zone, const struct addr *a, struct cw_addr *ret)
{
	bool v6 = !addr_is_v4(a);
	struct net_key n = net_of(zone, a, v6, v6 ? 128 : 32);
	struct cw_addr v;
	int r = bpf_map_lookup_elem(m->fd[v6 ? M_NET6 : M_NET4], &n.k, &v);

	if (!r)
		*ret = v;
	return r;
}

int net_map_set(struct maps *m, uint32_t zone, const struct prefix *p, const struct cw_addr *v)
{
	struct cw_addr old, new = *v;
	struct net_key n;
	int r = prefix_key(zone, p, &n);

	if (r < 0)
		return r;
	if (!value_valid(v))
		return -EINVAL;
	if (!net_map_get(m, zone, p, &old) && keep_mark(&old, &new))
		return 0;
	r = htab_set(net_names(m, n.v6), &n.k, net_len(&n), m, NULL);
	if (r < 0)
		return r;
	r = bpf_map_update_elem(m->fd[n.v6 ? M_NET6 : M_NET4], &n.k, &new, BPF_ANY);
	if (r < 0)
		(void)htab_del(net_names(m, n.v6), &n.k, net_len(&n));
	return map_full(r);
}

int net_map_del(struct maps *m, uint32_t zone, const struct prefix *p)
{
	struct net_key n;
	int r = prefix_key(zone, p, &n);

	if (r < 0)
		return r;
	r = absent_is_fine(bpf_map_delete_elem(m->fd[n.v6 ? M_NET6 : M_NET4], &n.k));
	if (!r)
		(void)htab_del(net_names(m, n.v6), &n.k, net_len(&n));
	return r;
}

int net_map_walk(const struct maps *m, bool v6,
		 int (*fn)(void *arg, uint32_t zone, const struct prefix *p, const struct cw_addr *v), void *arg)
{
	const void *key;
	size_t it = 0, len;
	void *value;

	while (htab_next(net_names(m, v6), &it, &key, &len, &value)) {
		struct prefix p = { .v6 = v6 };
		struct cw_addr v;
		uint32_t zone;
		int r = bpf_map_lookup_elem(m->fd[v6 ? M_NET6 : M_NET4], key, &v);

		if (r < 0)
			return r;
		if (v6) {
			const struct cw_net6_key *k = key;

			memcpy(p.addr.b, k->addr, 16);
			p.plen = (uint8_t)(k->plen - 32);
			zone = ntohl(k->zone);
		} else {
			const struct cw_net4_key *k = key;

			p.addr.b[10] = p.addr.b[11] = 0xff;
			memcpy(p.addr.b + 12, &k->addr, 4);
			p.plen = (uint8_t)(k->plen - 32);
			zone = ntohl(k->zone);
		}
		r = fn(arg, zone, &p, &v);
		if (r)
			return r;
	}
	return 0;
}

/* ---- XDP shield --------------------------------------------------------------------------------------- */

int shield_map_set(struct maps *m, uint32_t ifindex, const struct cw_shield *v)
{
	return map_full(bpf_map_update_elem(m->fd[M_SHIELD], &ifindex, v, BPF_ANY));
}

int shield_map_del(struct maps *m, uint32_t ifindex)
{
	return absent_is_fine(bpf_map_delete_elem(m->fd[M_SHIELD], &ifindex));
}

int shield_net_set(struct maps *m, uint32_t ifindex, const struct prefix *p, uint32_t value)
{
	struct net_key n;
	int r = prefix_key(ifindex, p, &n);

	return r < 0 ? r :
	       map_full(bpf_map_update_elem(m->fd[n.v6 ? M_SHIELD6 : M_SHIELD4], &n.k, &value, BPF_ANY));
}

int shield_net_del(struct maps *m, uint32_t ifindex, const struct prefix *p)
{
	struct net_key n;
	int r = prefix_key(ifindex, p, &n);

	return r < 0 ? r : absent_is_fine(bpf_map_delete_elem(m->fd[n.v6 ? M_SHIELD6 : M_SHIELD4], &n.k));
}
