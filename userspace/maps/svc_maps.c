/* SPDX-License-Identifier: Apache-2.0 */
#include "maps/svc_maps.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "maps/maps_priv.h"

int backends_store(struct maps *m, uint32_t index, const struct cw_backend *v, size_t n)
{
	struct cw_backend *to = m->mem[M_BACKENDS];

	if (index > m->max[M_BACKENDS] || n > m->max[M_BACKENDS] - index)
		return -ERANGE;
	for (size_t i = 0; i < n; i++)
		to[index + i] = v[i]; /* unseen until an entry names it, which is a system call away */
	return 0;
}

int backend_load(const struct maps *m, uint32_t index, struct cw_backend *ret)
{
	const struct cw_backend *from = m->mem[M_BACKENDS];

	if (index >= m->max[M_BACKENDS])
		return -ERANGE;
	*ret = from[index];
	return 0;
}

int svc_map_set(struct maps *m, const struct cw_svc_key *k, const struct cw_svc *v)
{
	struct cw_ctl *c = m->mem[M_CTL];
	int r;

	if (!v->n || v->n > CW_SVC_BACKENDS || v->first >= m->max[M_BACKENDS] || v->n > m->max[M_BACKENDS] - v->first)
		return -EINVAL;
	r = bpf_map_update_elem(m->fd[M_SVC], k, v, BPF_NOEXIST);
	if (r == -EEXIST)
		return bpf_map_update_elem(m->fd[M_SVC], k, v, BPF_EXIST);
	if (r)
		return map_full(r);
	/* Looked for only from here on. */
	__atomic_fetch_add(&c->services, 1, __ATOMIC_RELEASE);
	return 0;
}

int svc_map_del(struct maps *m, const struct cw_svc_key *k)
{
	struct cw_ctl *c = m->mem[M_CTL];
	int r = bpf_map_delete_elem(m->fd[M_SVC], k);

	if (r)
		return r == -ENOENT ? 0 : r;
	__atomic_fetch_sub(&c->services, 1, __ATOMIC_RELEASE);
	return 0;
}

int svc_map_get(const struct maps *m, const struct cw_svc_key *k, struct cw_svc *ret)
{
	struct cw_svc v;
	int r = bpf_map_lookup_elem(m->fd[M_SVC], k, &v);

	if (r)
		return r;
	*ret = v;
	return 0;
}

uint32_t svc_map_count(const struct maps *m)
{
	const struct cw_ctl *c = m->mem[M_CTL];

	return __atomic_load_n(&c->services, __ATOMIC_ACQUIRE);
}
