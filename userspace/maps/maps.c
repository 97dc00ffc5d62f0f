/* SPDX-License-Identifier: Apache-2.0 */
/* maps.c - open and check a set, its control block and its clock. */
#include "maps/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/htab.h"
#include "loader/grace.h"
#include "maps/maps_priv.h"

#define ACCT_SLOTS_MAX 0xfffffu	/* a slot number has 20 bits in CW_ACCT */
#define WALK_BATCH 1024u
#define WALK_BATCH_MAX (1u << 20)

static const struct spec {
	const char *name;
	uint32_t type, key, value;
	bool mapped;
} specs[M_COUNT] = {
	[M_CTL] = { "cw_ctl", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct cw_ctl), true },
	[M_EP] = { "cw_ep", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct cw_ep), false },
	[M_ADDR4] = { "cw_addr4", BPF_MAP_TYPE_HASH, sizeof(struct cw_addr4_key), sizeof(struct cw_addr), false },
	[M_ADDR6] = { "cw_addr6", BPF_MAP_TYPE_HASH, sizeof(struct cw_addr6_key), sizeof(struct cw_addr), false },
	[M_NET4] = { "cw_net4", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct cw_net4_key), sizeof(struct cw_addr), false },
	[M_NET6] = { "cw_net6", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct cw_net6_key), sizeof(struct cw_addr), false },
	[M_WORD] = { "cw_word", BPF_MAP_TYPE_ARRAY, 4, 8, true },
	[M_PEERS] = { "cw_peers", BPF_MAP_TYPE_HASH, sizeof(struct cw_peer_key), 4, false },
	[M_ROWTAB] = { "cw_rowtab", BPF_MAP_TYPE_ARRAY, 4, 8, true },
	[M_ROWS] = { "cw_rows", BPF_MAP_TYPE_ARRAY, 4, 8, true },
	[M_VERDICTS] = { "cw_verdicts", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct cw_verdict), true },
	[M_VSTAT] = { "cw_vstat", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct cw_vstat), false },
	[M_FLOW4] = { "cw_flow4", BPF_MAP_TYPE_LRU_HASH, sizeof(struct cw_flow4_key), sizeof(struct cw_flow), false },
	[M_FLOW6] = { "cw_flow6", BPF_MAP_TYPE_LRU_HASH, sizeof(struct cw_flow6_key), sizeof(struct cw_flow), false },
	[M_LISTEN] = { "cw_listen", BPF_MAP_TYPE_HASH, sizeof(struct cw_listen_key), 1, false },
	[M_ACCESS0] = { "cw_access0", BPF_MAP_TYPE_HASH, sizeof(struct cw_access_key), sizeof(struct cw_access), false },
	[M_ACCESS1] = { "cw_access1", BPF_MAP_TYPE_HASH, sizeof(struct cw_access_key), sizeof(struct cw_access), false },
	[M_PAIR0] = { "cw_pair0", BPF_MAP_TYPE_HASH, sizeof(struct cw_pair_key), sizeof(struct cw_pair), false },
	[M_PAIR1] = { "cw_pair1", BPF_MAP_TYPE_HASH, sizeof(struct cw_pair_key), sizeof(struct cw_pair), false },
	[M_ACCT] = { "cw_acct", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct cw_traffic), false },
	[M_WL] = { "cw_wl", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct cw_wl), true },
	[M_REASONS] = { "cw_reasons", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct cw_reason_stat), false },
	[M_SHIELD] = { "cw_shield", BPF_MAP_TYPE_HASH, 4, sizeof(struct cw_shield), false },
	[M_SHIELD4] = { "cw_shield4", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct cw_net4_key), 4, false },
	[M_SHIELD6] = { "cw_shield6", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct cw_net6_key), 4, false },
	[M_SINCE] = { "cw_since", BPF_MAP_TYPE_ARRAY, 4, 8, true },
	[M_SVC] = { "cw_svc", BPF_MAP_TYPE_HASH, sizeof(struct cw_svc_key), sizeof(struct cw_svc), false },
	[M_BACKENDS] = { "cw_backends", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct cw_backend), true },
	[M_FQDN] = { "cw_fqdn", BPF_MAP_TYPE_HASH, sizeof(struct cw_fqdn_key), sizeof(struct cw_fqdn), false },
	[M_DNS_NAME] = { "cw_dns_name", BPF_MAP_TYPE_HASH, 8, sizeof(struct cw_dns_name), false },
	[M_DNS_PATTERN] = { "cw_dns_pattern", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct cw_dns_pattern_key), 4, false },
	[M_NAMED] = { "cw_named", BPF_MAP_TYPE_HASH, sizeof(struct cw_named_key), 4, false },
	[M_RESOLVER4] = { "cw_resolver4", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct cw_net4_key), 4, false },
	[M_RESOLVER6] = { "cw_resolver6", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct cw_net6_key), 4, false },
	[M_DNS_STAT] = { "cw_dns_stat", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, false },
	[M_PROBE] = { "cw_probe", BPF_MAP_TYPE_ARRAY, 4, 8, true },
};

static void maps_freep(struct maps **m)
{
	maps_free(*m);
}

void maps_free(struct maps *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < M_COUNT; i++) {
		if (m->mapped[i])
			(void)munmap(m->mem[i], m->mapped[i]);
		if (m->fd[i] >= 0)
			close(m->fd[i]);
	}
	htab_free(m->nets[0], NULL);
	htab_free(m->nets[1], NULL);
	free(m->eps);
	free(m);
}

/* A flow table may be plain or LRU: both are walked and written the same way. */
static bool type_fits(const struct spec *s, uint32_t type)
{
	if (s->type == BPF_MAP_TYPE_LRU_HASH)
		return type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_HASH;
	return type == s->type;
}

static int map_take(struct maps *m, unsigned i, int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const struct spec *s = &specs[i];
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (r < 0)
		return r;
	if (!type_fits(s, info.type) || info.key_size != s->key || info.value_size != s->value)
		return -EPROTO;
	if (s->mapped && !(info.map_flags & BPF_F_MMAPABLE))
		return -EPROTO;
	m->max[i] = info.max_entries;
	m->fd[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (m->fd[i] < 0)
		return -errno;
	if (!s->mapped)
		return 0;
	len = (s->value + 7) & ~7u; /* the kernel's stride */
	m->mapped[i] = ((size_t)len * info.max_entries + page - 1) / page * page;
	m->mem[i] = mmap(NULL, m->mapped[i], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m->mem[i] == MAP_FAILED) {
		m->mapped[i] = 0;
		return -errno;
	}
	return 0;
}

static struct cw_ctl *ctl_of(const struct maps *m)
{
	return m->mem[M_CTL];
}

/* Rows say index 0 for "nothing, default allow" and nobody makes that record: it stands from the
 * start, as in the compiler's image. */
static void verdict_zero(const struct maps *m)
{
	struct cw_verdict *v = m->mem[M_VERDICTS];

	*v = (struct cw_verdict){ .action = CW_ACT_ALLOW, .tier = CW_TIER_DEFAULT,
				  .adv_action = CW_ACT_ALLOW, .adv_tier = CW_TIER_DEFAULT };
}

/* A set that nobody used yet has zeros. The version is stored last: what has it is whole. */
static int ctl_init(struct maps *m)
{
	struct cw_ctl *c = ctl_of(m);
	uint32_t abi = __atomic_load_n(&c->abi, __ATOMIC_ACQUIRE);

	verdict_zero(m);
	if (abi)
		return abi == CW_ABI_VERSION ? 0 : -EPROTO;
	while (!c->instance) {
		if (getrandom(&c->instance, sizeof(c->instance), 0) != sizeof(c->instance))
			return -errno;
	}
	c->epoch = 1; /* an accounting slot of 0 then belongs to an epoch that is over */
	c->acct_slots = m->max[M_ACCT] / 2 < ACCT_SLOTS_MAX ? m->max[M_ACCT] / 2 : ACCT_SLOTS_MAX;
	__atomic_store_n(&c->abi, CW_ABI_VERSION, __ATOMIC_RELEASE);
	return 0;
}

static int eps_read(struct maps *m)
{
	m->eps = calloc(m->max[M_EP], sizeof(*m->eps));
	if (!m->eps)
		return -ENOMEM;
	for (uint32_t i = 1; i < m->max[M_EP]; i++) {
		int r = bpf_map_lookup_elem(m->fd[M_EP], &i, &m->eps[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* What counters are read from; the rest of a set may have changed its shape since. */
static bool is_counter(unsigned i)
{
	return i == M_CTL || i == M_VERDICTS || i == M_ACCESS0 || i == M_ACCESS1 || i == M_PAIR0 ||
	       i == M_PAIR1 || i == M_ACCT || i == M_WL || i == M_REASONS;
}

static int set_open(int (*fd_of)(void *arg, const char *map), void *arg, bool counters, struct maps **ret,
		    const char **bad)
{
	auto_cleanup(maps_freep) struct maps *m = calloc(1, sizeof(*m));
	int ncpu = libbpf_num_possible_cpus(), r = 0;

	if (!m)
		return -ENOMEM;
	memset(m->fd, -1, sizeof(m->fd));
	if (ncpu < 0)
		return ncpu;
	m->ncpu = (unsigned)ncpu;
	for (unsigned i = 0; i < M_COUNT; i++) {
		if (counters && !is_counter(i))
			continue;
		r = fd_of(arg, specs[i].name);
		if (r >= 0)
			r = map_take(m, i, r);
		if (r < 0) {
			if (bad)
				*bad = specs[i].name;
			return r;
		}
	}
	if (m->max[M_ACCT] < 4 || (!counters && (m->max[M_REASONS] < CW_R_COUNT || m->max[M_WORD] < 4))) {
		if (bad)
			*bad = !counters && m->max[M_WORD] < 4 ? "cw_word" : m->max[M_ACCT] < 4 ? "cw_acct" : "cw_reasons";
		return -EPROTO;
	}
	r = ctl_init(m);
	if (r < 0) {
		if (bad)
			*bad = specs[M_CTL].name;
		return r;
	}
	if (!counters) {
		r = eps_read(m);
		if (!r)
			r = nets_read(m);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(m);
	return 0;
}

int maps_open(int (*fd_of)(void *arg, const char *map), void *arg, struct maps **ret,
	      const char **bad)
{
	return set_open(fd_of, arg, false, ret, bad);
}

int maps_open_counters(int (*fd_of)(void *arg, const char *map), void *arg, struct maps **ret,
		       const char **bad)
{
	return set_open(fd_of, arg, true, ret, bad);
}

void maps_room(const struct maps *m, struct maps_room *ret)
{
	*ret = (struct maps_room){
		.eps = m->max[M_EP], .groups = m->max[M_WORD] / 2, .wls = m->max[M_WL],
		.verdicts = m->max[M_VERDICTS] < m->max[M_VSTAT] ? m->max[M_VERDICTS] : m->max[M_VSTAT],
		.rowtab = m->max[M_ROWTAB], .rows = m->max[M_ROWS], .peers = m->max[M_PEERS],
		.addrs4 = m->max[M_ADDR4], .addrs6 = m->max[M_ADDR6],
		.nets4 = m->max[M_NET4], .nets6 = m->max[M_NET6],
		.flows4 = m->max[M_FLOW4], .flows6 = m->max[M_FLOW6], .listen = m->max[M_LISTEN],
		.accesses = m->max[M_ACCESS0] < m->max[M_ACCESS1] ? m->max[M_ACCESS0] : m->max[M_ACCESS1],
		.pairs = m->max[M_PAIR0] < m->max[M_PAIR1] ? m->max[M_PAIR0] : m->max[M_PAIR1],
		.acct_slots = ctl_of(m)->acct_slots, .shield = m->max[M_SHIELD],
		.shield_nets = m->max[M_SHIELD4],
		.patterns = m->max[M_DNS_PATTERN], .named = m->max[M_NAMED],
		.svcs = m->max[M_SVC], .backends = m->max[M_BACKENDS],
		.fqdns = m->max[M_FQDN], .dns_names = m->max[M_DNS_NAME],
	};
}

/* The kernel tells a map's charge only in its descriptor's fdinfo. */
static uint64_t memlock_of(int fd)
{
	unsigned long long v = 0;
	char path[64], line[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "memlock: %20llu", &v) == 1)
			break;
	}
	(void)fclose(f);
	return v;
}

uint64_t maps_memory(const struct maps *m)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < M_COUNT; i++)
		sum += memlock_of(m->fd[i]);
	return sum;
}

int maps_grace(struct maps *m)
{
	(void)m; /* one grace period serves every set of the machine */
	return grace_wait();
}

/* ---- control block ------------------------------------------------------------------------------ */

#define CTL_SET(c, field, v) __atomic_store_n(&(c)->field, (v), __ATOMIC_RELAXED)
#define CTL_GET(c, field) __atomic_load_n(&(c)->field, __ATOMIC_RELAXED)

void ctl_set(struct maps *m, const struct ctl_settings *s)
{
	struct cw_ctl *c = ctl_of(m);

	CTL_SET(c, share_accesses, s->share_accesses);
	CTL_SET(c, share_pairs, s->share_pairs);
	CTL_SET(c, local_node, s->local_node);
	CTL_SET(c, event_gap, s->event_gap);
	CTL_SET(c, ephemeral_min, s->ephemeral_min);
}

void ctl_takeover(struct maps *m, bool on)
{
	CTL_SET(ctl_of(m), takeover, on);
}

void ctl_read(const struct maps *m, struct ctl_counters *ret)
{
	const struct cw_ctl *c = ctl_of(m);

	*ret = (struct ctl_counters){
		.abi = CTL_GET(c, abi), .epoch = CTL_GET(c, epoch), .instance = CTL_GET(c, instance),
		.acct_slots = CTL_GET(c, acct_slots),
		.next_slot = { CTL_GET(c, next_slot[0]), CTL_GET(c, next_slot[1]) },
		.events_lost = CTL_GET(c, events_lost), .access_lost = CTL_GET(c, access_lost),
		.flow_full = CTL_GET(c, flow_full), .slot_sink = CTL_GET(c, slot_sink),
	};
}

/* ---- clock ---------------------------------------------------------------------------------------- */

static int64_t ns_of(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int maps_clock(struct maps *m, int prog_now_fd, uint32_t hz, struct maps_clock *ret)
{
	const struct cw_ctl *c = ctl_of(m);
	unsigned char pkt[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = sizeof(pkt), .repeat = 1);
	int r;

	if (!hz)
		return -EINVAL;
	r = bpf_prog_test_run_opts(prog_now_fd, &o);
	if (r < 0)
		return r;
	*ret = (struct maps_clock){
		.jiffies = CTL_GET(c, now_jiffies), .mono_ns = CTL_GET(c, now_ktime), .hz = hz,
	};
	ret->unix_ns = ns_of(CLOCK_REALTIME) - (ns_of(CLOCK_MONOTONIC) - (int64_t)ret->mono_ns);
	return 0;
}

uint64_t clock_age_ms(const struct maps_clock *c, uint32_t stamp)
{
	int32_t ticks = (int32_t)((uint32_t)c->jiffies - stamp);

	return ticks <= 0 ? 0 : (uint64_t)ticks * 1000 / c->hz;
}

int64_t clock_unix_ns(const struct maps_clock *c, uint32_t stamp)
{
	return c->unix_ns - (int64_t)clock_age_ms(c, stamp) * 1000000;
}

/* ---- walking hash maps -------------------------------------------------------------------------------- */

static int walk_one_by_one(const struct maps *m, enum map_id id, unsigned char *key, unsigned char *next,
			   unsigned char *value, size_t key_size,
			   int (*fn)(void *arg, const void *key, const void *value), void *arg)
{
	int r = bpf_map_get_next_key(m->fd[id], NULL, next);

	while (!r) {
		memcpy(key, next, key_size);
		r = bpf_map_lookup_elem(m->fd[id], key, value);
		if (!r) {
			r = fn(arg, key, value);
			if (r < 0)
				return r;
		} else if (r != -ENOENT) {
			return r;
		}
		r = bpf_map_get_next_key(m->fd[id], key, next);
	}
	return r == -ENOENT ? 0 : r;
}

int map_walk(const struct maps *m, enum map_id id, size_t key_size, size_t value_size,
	     int (*fn)(void *arg, const void *key, const void *value), void *arg)
{
	LIBBPF_OPTS(bpf_map_batch_opts, o);
	auto_free unsigned char *keys = NULL, *values = NULL;
	uint32_t batch = WALK_BATCH, n, i;
	uint64_t token = 0; /* four bytes of it are used for hash maps */
	bool first = true;
	int r, rf;

	for (;;) {
		if (!keys) {
			keys = calloc(batch, key_size);
			values = calloc(batch, value_size);
			if (!keys || !values)
				return -ENOMEM;
		}
		if (m->no_batch)
			return walk_one_by_one(m, id, keys, keys + key_size, values, key_size, fn, arg);
		n = batch;
		r = bpf_map_lookup_batch(m->fd[id], first ? NULL : &token, &token, keys, values, &n, &o);
		if (r == -ENOSPC && batch < WALK_BATCH_MAX) { /* a bucket that holds more than a batch */
			batch *= 4;
			free(take_ptr(keys));
			free(take_ptr(values));
			continue;
		}
		if (r < 0 && r != -ENOENT) {
			if (first && (r == -EINVAL || r == -ENOTSUP || r == -524 /* ENOTSUPP */))
				return walk_one_by_one(m, id, keys, keys + key_size, values, key_size, fn, arg);
			return r;
		}
		for (i = 0; i < n; i++) {
			rf = fn(arg, keys + i * key_size, values + i * value_size);
			if (rf < 0)
				return rf;
		}
		if (r == -ENOENT)
			return 0;
		first = false;
	}
}
