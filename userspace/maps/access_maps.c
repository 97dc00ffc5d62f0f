/* SPDX-License-Identifier: Apache-2.0 */
#include "maps/access_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "maps/maps_priv.h"

#define ACCT_BATCH 4096u

static struct cw_ctl *ctl_of(const struct maps *m)
{
	return m->mem[M_CTL];
}

static enum map_id access_id(uint32_t epoch)
{
	return epoch & 1 ? M_ACCESS1 : M_ACCESS0;
}

static enum map_id pair_id(uint32_t epoch)
{
	return epoch & 1 ? M_PAIR1 : M_PAIR0;
}

static uint32_t epoch_of(const struct maps *m)
{
	return __atomic_load_n(&ctl_of(m)->epoch, __ATOMIC_ACQUIRE);
}

/* ---- traffic ------------------------------------------------------------------------------------------ */

static struct cw_traffic traffic_sum(const struct maps *m, const struct cw_traffic *cpu)
{
	struct cw_traffic sum = {};

	for (unsigned c = 0; c < m->ncpu; c++) {
		sum.packets += cpu[c].packets;
		sum.bytes += cpu[c].bytes;
	}
	return sum;
}

static int traffic_get(const struct maps *m, uint32_t epoch, uint32_t slot, struct cw_traffic *ret)
{
	uint32_t slots = ctl_of(m)->acct_slots, index = (epoch & 1 ? slots : 0) + slot;
	auto_free struct cw_traffic *cpu = calloc(m->ncpu, sizeof(*cpu));
	int r;

	if (!cpu)
		return -ENOMEM;
	if (slot >= slots)
		return -ERANGE;
	r = bpf_map_lookup_elem(m->fd[M_ACCT], &index, cpu);
	if (!r)
		*ret = traffic_sum(m, cpu);
	return r;
}

/* The first n slots of an epoch, summed. */
static int traffic_read(const struct maps *m, uint32_t epoch, uint32_t n, struct cw_traffic *ret)
{
	LIBBPF_OPTS(bpf_map_batch_opts, o);
	uint32_t base = epoch & 1 ? ctl_of(m)->acct_slots : 0, done = 0, some;
	auto_free struct cw_traffic *cpu = calloc((size_t)ACCT_BATCH * m->ncpu, sizeof(*cpu));
	auto_free uint32_t *keys = calloc(ACCT_BATCH, sizeof(*keys));
	uint32_t token;
	int r;

	if (!cpu || !keys)
		return -ENOMEM;
	while (done < n) {
		some = n - done < ACCT_BATCH ? n - done : ACCT_BATCH;
		/* An array's batch goes on behind the key it is given. */
		token = base + done - 1;
		r = bpf_map_lookup_batch(m->fd[M_ACCT], base + done ? &token : NULL, &token, keys, cpu, &some, &o);
		if (r < 0 && r != -ENOENT)
			break; /* no such call on this kernel */
		if (!some || keys[0] != base + done)
			return -EIO;
		for (uint32_t i = 0; i < some; i++)
			ret[done + i] = traffic_sum(m, cpu + (size_t)i * m->ncpu);
		done += some;
	}
	for (; done < n; done++) {
		r = traffic_get(m, epoch, done, &ret[done]);
		if (r < 0)
			return r;
	}
	return 0;
}

int access_sink_read(struct maps *m, uint32_t epoch, struct cw_traffic *ret)
{
	return traffic_get(m, epoch, 0, ret);
}

/* ---- accesses and pairs ---------------------------------------------------------------------------------- */

struct access_arg {
	int (*fn)(void *arg, const struct access_row *r);
	void *arg;
	int r;
	const struct cw_traffic *traffic;
	uint32_t ntraffic;
	struct maps *m;
	uint32_t epoch;
};

static int access_one(void *arg, const void *key, const void *value)
{
	struct access_arg *a = arg;
	struct access_row row = {};

	memcpy(&row.key, key, sizeof(row.key));
	memcpy(&row.val, value, sizeof(row.val));
	if (row.val.slot && row.val.slot < a->ntraffic)
		row.traffic = a->traffic[row.val.slot];
	else if (row.val.slot) /* given out after the traffic was read */
		(void)traffic_get(a->m, a->epoch, row.val.slot, &row.traffic);
	a->r = a->fn(a->arg, &row);
	return a->r ? -ECANCELED : 0;
}

int access_map_walk(struct maps *m, uint32_t epoch, int (*fn)(void *arg, const struct access_row *r), void *arg)
{
	struct access_arg a = { .fn = fn, .arg = arg, .m = m, .epoch = epoch };
	auto_free struct cw_traffic *traffic = NULL;
	const struct cw_ctl *c = ctl_of(m);
	uint32_t n = __atomic_load_n(&c->next_slot[epoch & 1], __ATOMIC_ACQUIRE);
	int r;

	n = n < c->acct_slots ? n + 1 : c->acct_slots; /* the counter runs on past the last slot */
	traffic = calloc(n, sizeof(*traffic));
	if (!traffic)
		return -ENOMEM;
	r = traffic_read(m, epoch, n, traffic);
	if (r < 0)
		return r;
	a.traffic = traffic;
	a.ntraffic = n;
	r = map_walk(m, access_id(epoch), sizeof(struct cw_access_key), sizeof(struct cw_access), access_one, &a);
	return a.r ? a.r : r;
}

int access_map_get(const struct maps *m, uint32_t epoch, const struct cw_access_key *k, struct access_row *ret)
{
	struct access_row row = { .key = *k };
	int r = bpf_map_lookup_elem(m->fd[access_id(epoch)], k, &row.val);

	if (!r && row.val.slot)
		r = traffic_get(m, epoch, row.val.slot, &row.traffic);
	if (!r)
		*ret = row;
	return r;
}

struct pair_arg {
	int (*fn)(void *arg, const struct pair_row *r);
	void *arg;
	int r;
};

static int pair_one(void *arg, const void *key, const void *value)
{
	struct pair_arg *a = arg;
	struct pair_row row;

	memcpy(&row.key, key, sizeof(row.key));
	memcpy(&row.val, value, sizeof(row.val));
	a->r = a->fn(a->arg, &row);
	return a->r ? -ECANCELED : 0;
}

int pair_map_walk(struct maps *m, uint32_t epoch, int (*fn)(void *arg, const struct pair_row *r), void *arg)
{
	struct pair_arg a = { .fn = fn, .arg = arg };
	int r = map_walk(m, pair_id(epoch), sizeof(struct cw_pair_key), sizeof(struct cw_pair), pair_one, &a);

	return a.r ? a.r : r;
}

/* ---- epochs ------------------------------------------------------------------------------------------------ */

void access_map_used(const struct maps *m, uint32_t epoch, uint64_t *ret_accesses, uint64_t *ret_pairs)
{
	const struct cw_wl *wl = m->mem[M_WL];
	uint64_t accesses = 0, pairs = 0;

	for (uint32_t i = 0; i < m->max[M_WL]; i++) {
		accesses += __atomic_load_n(&wl[i].accesses[epoch & 1], __ATOMIC_RELAXED);
		pairs += __atomic_load_n(&wl[i].pairs[epoch & 1], __ATOMIC_RELAXED);
	}
	*ret_accesses = accesses;
	*ret_pairs = pairs;
}

int epoch_switch(struct maps *m, uint32_t *ret_epoch)
{
	uint32_t next = epoch_of(m) + 1;
	uint64_t accesses, pairs;

	access_map_used(m, next, &accesses, &pairs);
	if (accesses || pairs || __atomic_load_n(&ctl_of(m)->next_slot[next & 1], __ATOMIC_RELAXED))
		return -EBUSY;
	__atomic_store_n(&ctl_of(m)->epoch, next, __ATOMIC_RELEASE);
	*ret_epoch = next;
	return 0;
}

struct keys_arg {
	unsigned char *v;
	size_t n, cap, size;
};

static int keys_one(void *arg, const void *key, const void *value)
{
	struct keys_arg *a = arg;

	(void)value;
	if (vec_reserve(a, (a->n + 1) * a->size))
		return -ENOMEM;
	memcpy(a->v + a->n++ * a->size, key, a->size);
	return 0;
}

static int table_clear(struct maps *m, enum map_id id, size_t key_size, size_t value_size)
{
	struct keys_arg a = { .size = key_size };
	int r;

	do { /* until a walk finds nothing: one that races with nobody finds all, but costs little to prove */
		a.n = 0;
		r = map_walk(m, id, key_size, value_size, keys_one, &a);
		for (size_t i = 0; !r && i < a.n; i++) {
			r = bpf_map_delete_elem(m->fd[id], a.v + i * key_size);
			if (r == -ENOENT)
				r = 0;
		}
	} while (!r && a.n);
	free(a.v);
	return r;
}

static int traffic_clear(struct maps *m, uint32_t epoch, uint32_t n)
{
	uint32_t base = epoch & 1 ? ctl_of(m)->acct_slots : 0;
	auto_free struct cw_traffic *zero = calloc(m->ncpu, sizeof(*zero));
	int r = zero ? 0 : -ENOMEM;

	for (uint32_t i = 0; !r && i < n; i++) {
		uint32_t index = base + i;

		r = bpf_map_update_elem(m->fd[M_ACCT], &index, zero, BPF_ANY);
	}
	return r;
}

int epoch_clear(struct maps *m, uint32_t epoch)
{
	struct cw_ctl *c = ctl_of(m);
	struct cw_wl *wl = m->mem[M_WL];
	uint32_t used = __atomic_load_n(&c->next_slot[epoch & 1], __ATOMIC_RELAXED);
	int r;

	if (!((epoch ^ epoch_of(m)) & 1))
		return -EINVAL;
	r = table_clear(m, access_id(epoch), sizeof(struct cw_access_key), sizeof(struct cw_access));
	if (!r)
		r = table_clear(m, pair_id(epoch), sizeof(struct cw_pair_key), sizeof(struct cw_pair));
	if (!r)
		r = traffic_clear(m, epoch, used < c->acct_slots ? used + 1 : c->acct_slots);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m->max[M_WL]; i++) {
		__atomic_store_n(&wl[i].accesses[epoch & 1], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&wl[i].pairs[epoch & 1], 0, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&c->next_slot[epoch & 1], 0, __ATOMIC_RELEASE);
	return 0;
}

/* ---- workloads and reasons ------------------------------------------------------------------------------------ */

int wl_map_read(const struct maps *m, uint32_t wl, struct cw_wl *ret)
{
	const struct cw_wl *v = (const struct cw_wl *)m->mem[M_WL] + wl;

	if (wl >= m->max[M_WL])
		return -ERANGE;
	*ret = (struct cw_wl){
		.accesses = { __atomic_load_n(&v->accesses[0], __ATOMIC_RELAXED),
			      __atomic_load_n(&v->accesses[1], __ATOMIC_RELAXED) },
		.pairs = { __atomic_load_n(&v->pairs[0], __ATOMIC_RELAXED),
			   __atomic_load_n(&v->pairs[1], __ATOMIC_RELAXED) },
		.pair_flows = __atomic_load_n(&v->pair_flows, __ATOMIC_RELAXED),
		.folded_flows = __atomic_load_n(&v->folded_flows, __ATOMIC_RELAXED),
		.folded_drops = __atomic_load_n(&v->folded_drops, __ATOMIC_RELAXED),
		.names = __atomic_load_n(&v->names, __ATOMIC_RELAXED),
	};
	return 0;
}

int wl_map_inside(struct maps *m, uint32_t wl, bool inside)
{
	struct cw_wl *v = (struct cw_wl *)m->mem[M_WL] + wl;

	if (!wl || wl >= m->max[M_WL])
		return -ERANGE;
	__atomic_store_n(&v->flags, inside ? CW_WL_INSIDE : 0, __ATOMIC_RELAXED);
	return 0;
}

int wl_map_clear(struct maps *m, uint32_t wl)
{
	struct cw_wl *v = (struct cw_wl *)m->mem[M_WL] + wl;

	if (wl >= m->max[M_WL])
		return -ERANGE;
	__atomic_store_n(&v->pair_flows, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&v->folded_flows, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&v->folded_drops, 0, __ATOMIC_RELAXED);
	return 0;
}

int reasons_read(const struct maps *m, struct cw_reason_stat ret[CW_R_COUNT])
{
	auto_free struct cw_reason_stat *cpu = calloc(m->ncpu, sizeof(*cpu));
	struct cw_reason_stat sum[CW_R_COUNT] = {};
	int r;

	if (!cpu)
		return -ENOMEM;
	for (uint32_t i = 0; i < CW_R_COUNT; i++) {
		r = bpf_map_lookup_elem(m->fd[M_REASONS], &i, cpu);
		if (r < 0)
			return r;
		for (unsigned c = 0; c < m->ncpu; c++) {
			sum[i].dropped += cpu[c].dropped;
			sum[i].would += cpu[c].would;
			sum[i].passed += cpu[c].passed;
		}
	}
	memcpy(ret, sum, sizeof(sum));
	return 0;
}
