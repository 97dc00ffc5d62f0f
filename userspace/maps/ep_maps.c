/* SPDX-License-Identifier: Apache-2.0 */
/* ep_maps.c - endpoints and listeners. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#include "base/vec.h"
#include "maps/addr_maps.h"
#include "maps/maps_priv.h"

static int ep_write(struct maps *m, uint32_t ep, const struct cw_ep *v)
{
	int r = bpf_map_update_elem(m->fd[M_EP], &ep, v, BPF_ANY);

	if (!r)
		m->eps[ep] = *v;
	return r;
}

int ep_map_set(struct maps *m, uint32_t ep, const struct cw_ep *v)
{
	if (!ep || ep >= m->max[M_EP])
		return -ERANGE;
	/* UINT32_MAX owns nothing: not resolved yet, and closed until then. */
	if (!v->wl || (v->wl >= m->max[M_WL] && !(v->wl == UINT32_MAX && (v->flags & CW_EP_CLOSED))))
		return -EINVAL;
	return ep_write(m, ep, v);
}

int ep_map_wl(struct maps *m, uint32_t wl, uint32_t group, uint32_t eid)
{
	struct cw_ep v;
	int n = 0, r;

	if (!wl)
		return -EINVAL;
	for (uint32_t ep = 1; ep < m->max[M_EP]; ep++) {
		if (m->eps[ep].wl != wl)
			continue;
		v = m->eps[ep];
		v.group = group;
		v.eid = eid;
		r = ep_write(m, ep, &v);
		if (r < 0)
			return r;
		n++;
	}
	return n;
}

int ep_map_get(const struct maps *m, uint32_t ep, struct cw_ep *ret)
{
	if (!ep || ep >= m->max[M_EP])
		return -ERANGE;
	if (!m->eps[ep].wl)
		return -ENOENT;
	*ret = m->eps[ep];
	return 0;
}

int ep_map_clear(struct maps *m, uint32_t ep)
{
	static const struct cw_ep none;

	if (!ep || ep >= m->max[M_EP])
		return -ERANGE;
	return ep_write(m, ep, &none);
}

uint64_t probe_map_read(const struct maps *m, uint32_t ep, bool from_pod)
{
	const uint64_t *v = m->mem[M_PROBE];
	uint32_t i = CW_PROBE(ep, from_pod);

	return i < m->max[M_PROBE] ? __atomic_load_n(&v[i], __ATOMIC_ACQUIRE) : 0;
}

/* ---- listeners ----------------------------------------------------------------------------------------- */

static struct cw_listen_key listen_key(uint32_t wl, uint8_t proto, bool v6, uint16_t port)
{
	return (struct cw_listen_key){ .wl = wl, .port = htons(port), .proto = proto, .family = v6 ? 6 : 4 };
}

int listen_map_set(struct maps *m, uint32_t wl, uint8_t proto, bool v6, uint16_t port)
{
	struct cw_listen_key k = listen_key(wl, proto, v6, port);
	uint8_t one = 1;

	return map_full(bpf_map_update_elem(m->fd[M_LISTEN], &k, &one, BPF_ANY));
}

int listen_map_del(struct maps *m, uint32_t wl, uint8_t proto, bool v6, uint16_t port)
{
	struct cw_listen_key k = listen_key(wl, proto, v6, port);
	int r = bpf_map_delete_elem(m->fd[M_LISTEN], &k);

	return r == -ENOENT ? 0 : r;
}

struct listen_arg {
	uint32_t wl;
	struct cw_listen_key *v;
	size_t n, cap;
};

static int listen_one(void *arg, const void *key, const void *value)
{
	struct listen_arg *l = arg;
	struct cw_listen_key k;

	(void)value;
	memcpy(&k, key, sizeof(k));
	return k.wl == l->wl ? vec_push(l, k) : 0;
}

int listen_map_clear(struct maps *m, uint32_t wl)
{
	struct listen_arg l = { .wl = wl };
	int r = map_walk(m, M_LISTEN, sizeof(struct cw_listen_key), 1, listen_one, &l), n = 0;

	for (size_t i = 0; !r && i < l.n; i++) {
		r = bpf_map_delete_elem(m->fd[M_LISTEN], &l.v[i]);
		n += !r;
		if (r == -ENOENT)
			r = 0;
	}
	vec_done(&l);
	return r < 0 ? r : n;
}
