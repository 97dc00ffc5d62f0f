/* SPDX-License-Identifier: Apache-2.0 */
#include "maps/policy_maps.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "maps/maps_priv.h"

/* ---- the mapped arrays: 64-bit cells, read by programs at any moment ---------------------------- */

static int cells_store(struct maps *m, enum map_id id, uint32_t index, const uint64_t *v, size_t n)
{
	uint64_t *cell = m->mem[id];

	if (index > m->max[id] || n > m->max[id] - index)
		return -ERANGE;
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(&cell[index + i], v[i], __ATOMIC_RELAXED);
	return 0;
}

static int cell_load(const struct maps *m, enum map_id id, uint32_t index, uint64_t *ret)
{
	const uint64_t *cell = m->mem[id];

	if (index >= m->max[id])
		return -ERANGE;
	*ret = __atomic_load_n(&cell[index], __ATOMIC_ACQUIRE);
	return 0;
}

int word_store(struct maps *m, uint32_t index, uint64_t word)
{
	uint64_t *cell = m->mem[M_WORD];

	if (index >= m->max[M_WORD])
		return -ERANGE;
	__atomic_store_n(&cell[index], word, __ATOMIC_RELEASE);
	return 0;
}

int word_load(const struct maps *m, uint32_t index, uint64_t *ret)
{
	return cell_load(m, M_WORD, index, ret);
}

int since_store(struct maps *m, uint32_t index, uint64_t since)
{
	return cells_store(m, M_SINCE, index, &since, 1);
}

int since_load(const struct maps *m, uint32_t index, uint64_t *ret)
{
	return cell_load(m, M_SINCE, index, ret);
}

int rowtab_store(struct maps *m, uint32_t index, const uint64_t *v, size_t n)
{
	return cells_store(m, M_ROWTAB, index, v, n);
}

int rowtab_load(const struct maps *m, uint32_t index, uint64_t *ret)
{
	return cell_load(m, M_ROWTAB, index, ret);
}

int rows_store(struct maps *m, uint32_t index, const uint64_t *v, size_t n)
{
	return cells_store(m, M_ROWS, index, v, n);
}

int rows_load(const struct maps *m, uint32_t index, uint64_t *ret)
{
	return cell_load(m, M_ROWS, index, ret);
}

int verdict_store(struct maps *m, uint32_t index, const struct cw_verdict *v)
{
	struct cw_verdict *to = m->mem[M_VERDICTS];

	if (index >= m->max[M_VERDICTS])
		return -ERANGE;
	if (v->action == CW_ACT_NONE || v->action >= CW_ACT_COUNT || v->tier >= CW_TIER_COUNT ||
	    v->adv_action >= CW_ACT_COUNT || v->adv_tier >= CW_TIER_COUNT)
		return -EINVAL;
	to[index] = *v; /* unseen until a row names it */
	return 0;
}

int verdict_load(const struct maps *m, uint32_t index, struct cw_verdict *ret)
{
	const struct cw_verdict *from = m->mem[M_VERDICTS];

	if (index >= m->max[M_VERDICTS])
		return -ERANGE;
	*ret = from[index];
	return 0;
}

/* ---- peers ------------------------------------------------------------------------------------------ */

static bool unsupported(int r)
{
	return r == -EINVAL || r == -ENOTSUP || r == -524 /* ENOTSUPP, which has no libc name */;
}

int peers_set(struct maps *m, const struct cw_peer_key *k, const uint32_t *cls, size_t n, size_t *ret_done)
{
	LIBBPF_OPTS(bpf_map_batch_opts, o, .elem_flags = BPF_ANY);
	size_t done = 0;
	int r = 0;

	while (done < n) {
		uint32_t some = n - done > UINT32_MAX ? UINT32_MAX : (uint32_t)(n - done);

		if (!m->no_batch) {
			r = bpf_map_update_batch(m->fd[M_PEERS], k + done, cls + done, &some, &o);
			if (!unsupported(r)) {
				done += some;
				if (r < 0)
					break;
				continue;
			}
			m->no_batch = true;
		}
		r = bpf_map_update_elem(m->fd[M_PEERS], k + done, cls + done, BPF_ANY);
		if (r < 0)
			break;
		done++;
	}
	if (ret_done)
		*ret_done = done;
	return map_full(r);
}

int peers_del(struct maps *m, const struct cw_peer_key *k, size_t n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, o);
	size_t done = 0;
	int r;

	while (done < n) {
		uint32_t some = n - done > UINT32_MAX ? UINT32_MAX : (uint32_t)(n - done);

		if (!m->no_batch) {
			r = bpf_map_delete_batch(m->fd[M_PEERS], k + done, &some, &o);
			if (!unsupported(r)) {
				done += some;
				if (r == -ENOENT) /* the batch stops at an absent key: step over it */
					done++;
				else if (r < 0)
					return r;
				continue;
			}
			m->no_batch = true;
		}
		r = bpf_map_delete_elem(m->fd[M_PEERS], k + done);
		if (r < 0 && r != -ENOENT)
			return r;
		done++;
	}
	return 0;
}

int peers_get(const struct maps *m, const struct cw_peer_key *k, uint32_t *ret)
{
	uint32_t cls;
	int r = bpf_map_lookup_elem(m->fd[M_PEERS], k, &cls);

	if (r < 0)
		return r;
	*ret = cls;
	return 0;
}

struct peers_arg {
	int (*fn)(void *arg, const struct cw_peer_key *k, uint32_t cls);
	void *arg;
	int r;
};

static int peers_one(void *arg, const void *key, const void *value)
{
	struct peers_arg *a = arg;
	uint32_t cls;

	memcpy(&cls, value, sizeof(cls));
	a->r = a->fn(a->arg, key, cls);
	return a->r ? -ECANCELED : 0;
}

int peers_walk(const struct maps *m,
	       int (*fn)(void *arg, const struct cw_peer_key *k, uint32_t cls), void *arg)
{
	struct peers_arg a = { .fn = fn, .arg = arg };
	int r = map_walk(m, M_PEERS, sizeof(struct cw_peer_key), sizeof(uint32_t), peers_one, &a);

	return a.r ? a.r : r;
}

/* ---- hits -------------------------------------------------------------------------------------------- */

int vstat_read(const struct maps *m, uint32_t from, uint32_t n, struct cw_vstat *ret)
{
	auto_free struct cw_vstat *cpu = calloc(m->ncpu, sizeof(*cpu));
	int r;

	if (!cpu)
		return -ENOMEM;
	if (from > m->max[M_VSTAT] || n > m->max[M_VSTAT] - from)
		return -ERANGE;
	for (uint32_t i = 0; i < n; i++) {
		struct cw_vstat sum = {};
		uint32_t index = from + i;

		r = bpf_map_lookup_elem(m->fd[M_VSTAT], &index, cpu);
		if (r < 0)
			return r;
		for (unsigned c = 0; c < m->ncpu; c++) {
			sum.flows += cpu[c].flows;
			sum.packets += cpu[c].packets;
			/* The latest of the CPUs' stamps, which wrap; 0 is "never". */
			if (cpu[c].last && (!sum.last || (int32_t)(cpu[c].last - sum.last) > 0))
				sum.last = cpu[c].last;
		}
		ret[i] = sum;
	}
	return 0;
}

int vstat_clear(struct maps *m, uint32_t index)
{
	auto_free struct cw_vstat *cpu = calloc(m->ncpu, sizeof(*cpu));

	if (!cpu)
		return -ENOMEM;
	if (index >= m->max[M_VSTAT])
		return -ERANGE;
	return bpf_map_update_elem(m->fd[M_VSTAT], &index, cpu, BPF_ANY);
}
