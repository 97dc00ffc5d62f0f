/* SPDX-License-Identifier: Apache-2.0 */
/* The typed tables over the product's own set, made small: kernel state in, kernel state out. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "loader/object.h"
#include "maps/access_maps.h"
#include "maps/addr_maps.h"
#include "maps/flow_maps.h"
#include "maps/maps.h"
#include "maps/policy_maps.h"
#include "maps/sink.h"
#include "maps/svc_maps.h"
#include "selftests/harness/own_ns.h"

static bool ready;
static struct loader_set *set;
static struct maps *m;

static const struct loader_size small[] = {
	{ "cw_flow4", 4096 }, { "cw_flow6", 2048 }, { "cw_word", 64 }, { "cw_since", 64 }, { "cw_rowtab", 1024 }, { "cw_rows", 4096 },
	{ "cw_verdicts", 256 }, { "cw_vstat", 256 }, { "cw_peers", 3000 }, { "cw_addr4", 64 }, { "cw_addr6", 64 },
	{ "cw_net4", 16 }, { "cw_net6", 16 }, { "cw_ep", 32 }, { "cw_wl", 32 }, { "cw_access0", 2048 },
	{ "cw_access1", 2048 }, { "cw_pair0", 64 }, { "cw_pair1", 64 }, { "cw_acct", 2 * 1500 }, { "cw_listen", 64 },
	{ "cw_svc", 16 }, { "cw_backends", 64 },
};

static int open_maps(void)
{
	const char *bad = NULL;
	int r = maps_open(loader_fd_of, set, &m, &bad);

	if (r)
		print_message("  %d at %s\n", r, bad ? bad : "-");
	return r;
}

static int setup(void **state)
{
	const struct loader_config cfg = {
		.root = OWN_ROOT, .sizes = small, .nsizes = ARRAY_SIZE(small), .fresh = true,
	};
	struct loader_image img = loader_image_tc();
	struct fail_list f = {};

	(void)state;
	if (!ready)
		return 0;
	if (loader_set_load(&img, &cfg, &f, &set)) {
		print_message("  %s\n", f.n ? f.items[0].message : "?");
		return -1;
	}
	return open_maps();
}

static int teardown(void **state)
{
	(void)state;
	if (!ready)
		return 0;
	maps_free(m);
	loader_set_free(set);
	return loader_uninstall(OWN_ROOT);
}

static struct addr A(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static struct prefix P(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

/* Straight to the kernel, past the room under test. */
static int raw_get(const char *map, const void *k, void *v)
{
	return bpf_map_lookup_elem(loader_set_map_fd(set, map), k, v);
}

static int raw_put(const char *map, const void *k, const void *v)
{
	return bpf_map_update_elem(loader_set_map_fd(set, map), k, v, BPF_ANY);
}

/* ---- open, control, clock -------------------------------------------------------------------- */

static int fd_lost(void *arg, const char *map)
{
	return !strcmp(map, "cw_wl") ? -ENOENT : loader_fd_of(arg, map);
}

static int fd_swapped(void *arg, const char *map)
{
	return loader_fd_of(arg, !strcmp(map, "cw_addr4") ? "cw_addr6" : map);
}

static int fd_unmapped(void *arg, const char *map)
{
	static int fd = -1;

	if (strcmp(map, "cw_rows"))
		return loader_fd_of(arg, map);
	if (fd < 0)
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "x", 4, 8, 16, NULL);
	return fd;
}

static void opening(void **state)
{
	static const struct {
		const char *name;
		int (*fd_of)(void *arg, const char *map);
		int r;
		const char *bad;
	} t[] = {
		{ "a map is missing", fd_lost, -ENOENT, "cw_wl" },
		{ "another shape", fd_swapped, -EPROTO, "cw_addr4" },
		{ "cannot be mapped", fd_unmapped, -EPROTO, "cw_rows" },
	};
	struct ctl_counters a, b;
	struct maps_room room;
	struct maps *again = NULL;
	const char *bad = NULL;

	(void)state;
	if (!ready)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  %s\n", t[i].name);
		assert_int_equal(maps_open(t[i].fd_of, set, &again, &bad), t[i].r);
		assert_string_equal(bad, t[i].bad);
		assert_null(again);
	}
	ctl_read(m, &a);
	assert_int_equal(a.abi, CW_ABI_VERSION);
	assert_int_equal(a.epoch, 1);
	assert_true(a.instance != 0);
	assert_int_equal(a.acct_slots, 1500);
	/* A second look at the same set is the same set. */
	assert_int_equal(maps_open(loader_fd_of, set, &again, NULL), 0);
	ctl_read(again, &b);
	assert_true(a.instance == b.instance);
	maps_free(again);
	again = NULL;
	/* Counters can be read whatever became of the other tables' shapes, not of their own. */
	assert_int_equal(maps_open_counters(fd_swapped, set, &again, NULL), 0);
	ctl_read(again, &b);
	assert_true(a.instance == b.instance);
	maps_free(again);
	again = NULL;
	assert_int_equal(maps_open_counters(fd_lost, set, &again, &bad), -ENOENT);
	assert_string_equal(bad, "cw_wl");
	assert_null(again);
	maps_room(m, &room);
	assert_int_equal(room.groups, 32);
	assert_int_equal(room.peers, 3000);
	assert_int_equal(room.accesses, 2048);
	assert_true(maps_memory(m) > 100000);

	uint32_t zero = 0;
	struct cw_ctl c;
	assert_int_equal(raw_get("cw_ctl", &zero, &c), 0);
	c.abi++;
	assert_int_equal(raw_put("cw_ctl", &zero, &c), 0);
	assert_int_equal(maps_open(loader_fd_of, set, &again, &bad), -EPROTO);
	assert_string_equal(bad, "cw_ctl");
}

static void control(void **state)
{
	const struct ctl_settings s = {
		.share_accesses = 11, .share_pairs = 12, .local_node = CW_CTL_LOCAL_NODE_RULES,
		.event_gap = 14, .ephemeral_min = 32768,
	};
	struct timespec t0, t1;
	uint32_t zero = 0;
	struct cw_ctl c;

	(void)state;
	if (!ready)
		skip();
	ctl_set(m, &s);
	assert_int_equal(raw_get("cw_ctl", &zero, &c), 0);
	assert_int_equal(c.share_accesses, 11);
	assert_int_equal(c.share_pairs, 12);
	assert_int_equal(c.local_node, CW_CTL_LOCAL_NODE_RULES);
	assert_int_equal(c.event_gap, 14);
	assert_int_equal(c.ephemeral_min, 32768);
	ctl_takeover(m, true);
	assert_int_equal(raw_get("cw_ctl", &zero, &c), 0);
	assert_int_equal(c.takeover, 1);
	assert_int_equal(c.abi, CW_ABI_VERSION);

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t0), 0);
	assert_int_equal(maps_grace(m), 0);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t1), 0);
	print_message("  grace period: %.1f ms\n",
		      (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6);
}

static void clocks(void **state)
{
	struct maps_clock c = { .jiffies = 0x100000010ull, .hz = 250, .unix_ns = 5000000000 }, now;
	uint32_t hz = 0;

	(void)state;
	assert_int_equal(clock_age_ms(&c, 0x10), 0);
	assert_int_equal(clock_age_ms(&c, 0x10 - 250), 1000);
	assert_int_equal(clock_age_ms(&c, 0xfffffff0u), 32 * 4); /* across the wrap */
	assert_int_equal(clock_age_ms(&c, 0x11), 0); /* a tick ahead: a race, not an age of months */
	assert_int_equal(clock_unix_ns(&c, 0x10 - 250), 4000000000);
	if (!ready)
		skip();
	assert_int_equal(loader_hz(&hz), 0);
	assert_int_equal(maps_clock(m, loader_set_prog_fd(set, "cw_now"), 0, &now), -EINVAL);
	assert_int_equal(maps_clock(m, loader_set_prog_fd(set, "cw_now"), hz, &now), 0);
	assert_true(now.jiffies > 0);
	assert_true(llabs((long long)now.unix_ns - (long long)time(NULL) * 1000000000) < 2000000000);
	(void)usleep(50000);
	struct maps_clock later;
	assert_int_equal(maps_clock(m, loader_set_prog_fd(set, "cw_now"), hz, &later), 0);
	assert_in_range(clock_age_ms(&later, (uint32_t)now.jiffies), 40, 500);
}

/* ---- policy ------------------------------------------------------------------------------------- */

static void arrays(void **state)
{
	const uint64_t v[3] = { 11ull << 32, 12, 13 };
	const struct cw_verdict verdict = { .rule = 9, .action = CW_ACT_BLOCK, .tier = CW_TIER_MANUAL };
	struct cw_verdict bad = verdict, back;
	uint32_t k = 1021;
	uint64_t got = 0;

	(void)state;
	if (!ready)
		skip();
	assert_int_equal(rowtab_store(m, 1021, v, 3), 0);
	assert_int_equal(rowtab_store(m, 1022, v, 3), -ERANGE);
	assert_int_equal(rowtab_store(m, UINT32_MAX, v, 3), -ERANGE);
	assert_int_equal(rowtab_store(m, 1024, v, 0), 0);
	assert_int_equal(raw_get("cw_rowtab", &k, &got), 0);
	assert_true(got == v[0]);
	assert_int_equal(rowtab_load(m, 1023, &got), 0);
	assert_int_equal(got, 13);
	assert_int_equal(rowtab_load(m, 1024, &got), -ERANGE);
	assert_int_equal(rows_store(m, 4095, v, 1), 0);
	assert_int_equal(rows_store(m, 4095, v, 2), -ERANGE);
	k = 4095;
	assert_int_equal(raw_get("cw_rows", &k, &got), 0);
	assert_true(got == v[0]);
	assert_int_equal(word_store(m, 63, CW_WORD(5, CW_MODE_ENFORCE, 1, 77)), 0);
	assert_int_equal(word_store(m, 64, 1), -ERANGE);
	k = 63;
	assert_int_equal(raw_get("cw_word", &k, &got), 0);
	assert_true(got == CW_WORD(5, CW_MODE_ENFORCE, 1, 77));
	assert_int_equal(word_load(m, 63, &got), 0);
	assert_int_equal(CW_WORD_GEN(got), 5);

	assert_int_equal(verdict_store(m, 255, &verdict), 0);
	assert_int_equal(verdict_store(m, 256, &verdict), -ERANGE);
	assert_int_equal(verdict_load(m, 255, &back), 0);
	assert_memory_equal(&back, &verdict, sizeof(back));
	bad.action = CW_ACT_NONE;
	assert_int_equal(verdict_store(m, 3, &bad), -EINVAL);
	bad.action = CW_ACT_COUNT;
	assert_int_equal(verdict_store(m, 3, &bad), -EINVAL);
	bad = verdict;
	bad.tier = CW_TIER_COUNT;
	assert_int_equal(verdict_store(m, 3, &bad), -EINVAL);
}

static int peer_count(void *arg, const struct cw_peer_key *k, uint32_t cls)
{
	assert_int_equal(cls, k->eid + 1);
	++*(size_t *)arg;
	return 0;
}

static int stop_at_once(void *arg, const struct cw_peer_key *k, uint32_t cls)
{
	(void)arg;
	(void)k;
	(void)cls;
	return 42;
}

static void peers(void **state)
{
	static struct cw_peer_key k[4000];
	static uint32_t cls[4000];
	size_t n = 0, done = 0;
	uint32_t c;

	(void)state;
	if (!ready)
		skip();
	for (uint32_t i = 0; i < 4000; i++) {
		k[i] = (struct cw_peer_key){ .gs = i & 63, .eid = i };
		cls[i] = i + 1;
	}
	assert_int_equal(peers_set(m, k, cls, 2500, &done), 0);
	assert_int_equal(done, 2500);
	assert_int_equal(peers_get(m, &k[2499], &c), 0);
	assert_int_equal(c, 2500);
	assert_int_equal(peers_get(m, &k[2500], &c), -ENOENT);
	assert_int_equal(peers_walk(m, peer_count, &n), 0);
	assert_int_equal(n, 2500);
	assert_int_equal(peers_walk(m, stop_at_once, NULL), 42);
	/* Room for 3,000: told apart from other faults, and how far it came. */
	assert_int_equal(peers_set(m, k, cls, 4000, &done), -ENOSPC);
	assert_int_equal(done, 3000);
	/* Absent ones in the middle of a batch. */
	assert_int_equal(peers_del(m, k + 10, 10), 0);
	assert_int_equal(peers_del(m, k, 4000), 0);
	n = 0;
	assert_int_equal(peers_walk(m, peer_count, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(peers_set(m, k, cls, 0, &done), 0);
	assert_int_equal(done, 0);
}

static void hits(void **state)
{
	int ncpu = libbpf_num_possible_cpus();
	struct cw_vstat cpu[256] = {}, got[3];
	uint32_t index = 7;

	(void)state;
	if (!ready || ncpu > 256)
		skip();
	for (int i = 0; i < ncpu; i++)
		cpu[i] = (struct cw_vstat){ .flows = 10, .packets = 1, .last = 100 + (uint32_t)i };
	assert_int_equal(raw_put("cw_vstat", &index, cpu), 0);
	assert_int_equal(vstat_read(m, 6, 3, got), 0);
	assert_int_equal(got[0].flows, 0);
	assert_int_equal(got[1].flows, 10 * ncpu);
	assert_int_equal(got[1].packets, ncpu);
	assert_int_equal(got[1].last, 99 + ncpu);
	assert_int_equal(vstat_clear(m, 7), 0);
	assert_int_equal(vstat_read(m, 7, 1, got), 0);
	assert_int_equal(got[0].flows, 0);
	assert_int_equal(vstat_read(m, 255, 2, got), -ERANGE);
	assert_int_equal(vstat_clear(m, 256), -ERANGE);
}

/* ---- addresses, endpoints ------------------------------------------------------------------------- */

static int addr_sum(void *arg, uint32_t zone, const struct addr *a, const struct cw_addr *v)
{
	char s[ADDR_STR_MAX];

	(void)v;
	*(uint32_t *)arg += zone + (uint32_t)strlen(addr_str(a, s));
	return 0;
}

static void addresses(void **state)
{
	const struct cw_addr v = { .eid = 300, .group = 4, .wl = 2, .realm = CW_REALM_POD };
	struct addr a4 = A("10.1.2.3"), a6 = A("fd00::5");
	struct cw_addr4_key k4 = { .zone = 9 };
	struct cw_addr got, changed = v;
	uint32_t sum = 0;

	(void)state;
	if (!ready)
		skip();
	assert_int_equal(addr_map_set(m, 9, &a4, &v), 0);
	assert_int_equal(addr_map_set(m, 9, &a6, &v), 0);
	memcpy(&k4.addr, "\x0a\x01\x02\x03", 4);
	assert_int_equal(raw_get("cw_addr4", &k4, &got), 0);
	assert_memory_equal(&got, &v, sizeof(v));
	assert_int_equal(addr_map_get(m, 0, &a4, &got), -ENOENT);
	assert_int_equal(addr_map_get(m, 9, &a6, &got), 0);
	assert_int_equal(got.eid, 300);
	assert_int_equal(addr_map_walk(m, false, addr_sum, &sum), 0);
	assert_int_equal(sum, 9 + 8);
	sum = 0;
	assert_int_equal(addr_map_walk(m, true, addr_sum, &sum), 0);
	assert_int_equal(sum, 9 + 7);

	print_message("  the data path's mark\n");
	got.used = 1;
	assert_int_equal(raw_put("cw_addr4", &k4, &got), 0);
	assert_int_equal(addr_map_set(m, 9, &a4, &v), 0);
	assert_int_equal(addr_map_get(m, 9, &a4, &got), 0);
	assert_int_equal(got.used, 1); /* the same meaning: kept */
	changed.wl = 3;
	assert_int_equal(addr_map_set(m, 9, &a4, &changed), 0);
	assert_int_equal(addr_map_get(m, 9, &a4, &got), 0);
	assert_int_equal(got.used, 1);
	assert_int_equal(got.wl, 3);
	changed.eid = 301;
	assert_int_equal(addr_map_set(m, 9, &a4, &changed), 0);
	assert_int_equal(addr_map_get(m, 9, &a4, &got), 0);
	assert_int_equal(got.used, 0); /* another meaning: nobody used it yet */

	changed.realm = CW_REALM_COUNT;
	assert_int_equal(addr_map_set(m, 9, &a4, &changed), -EINVAL);
	assert_int_equal(addr_map_del(m, 9, &a4), 0);
	assert_int_equal(addr_map_del(m, 9, &a4), 0);
	assert_int_equal(addr_map_get(m, 9, &a4, &got), -ENOENT);
	int r = 0;
	for (int i = 0; i < 200 && !r; i++) {
		a4.b[15] = (uint8_t)i;
		r = addr_map_set(m, 0, &a4, &v);
	}
	assert_int_equal(r, -ENOSPC);
}

static int net_one(void *arg, uint32_t zone, const struct prefix *p, const struct cw_addr *v)
{
	char s[PREFIX_STR_MAX];

	(void)v;
	print_message("    zone %u %s\n", zone, prefix_str(p, s));
	++*(int *)arg;
	return 0;
}

static void prefixes(void **state)
{
	static const struct { const char *addr; uint32_t zone, eid; } t[] = {
		{ "10.1.2.3", 0, 300 }, { "10.1.3.3", 0, 301 }, { "10.2.0.1", 0, 302 }, { "11.0.0.1", 0, 303 },
		{ "10.1.2.3", 1, 0 }, { "fd00::1", 0, 304 }, { "fd01::1", 0, 0 },
	};
	static const struct { const char *prefix; uint32_t eid; } nets[] = {
		{ "10.1.2.0/24", 300 }, { "10.1.0.0/16", 301 }, { "10.0.0.0/8", 302 }, { "0.0.0.0/0", 303 },
		{ "fd00::/16", 304 },
	};
	struct cw_addr v = { .realm = CW_REALM_WORLD }, got;
	struct prefix p;
	int n = 0;

	(void)state;
	if (!ready)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
		p = P(nets[i].prefix);
		v.eid = nets[i].eid;
		assert_int_equal(net_map_set(m, 0, &p, &v), 0);
	}
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
			struct addr a = A(t[i].addr);

			assert_int_equal(net_map_match(m, t[i].zone, &a, &got), t[i].eid ? 0 : -ENOENT);
			if (t[i].eid)
				assert_int_equal(got.eid, t[i].eid);
		}
		/* Opened again: which prefixes stand is read back from the kernel. */
		maps_free(m);
		assert_int_equal(open_maps(), 0);
	}
	n = 0;
	assert_int_equal(net_map_walk(m, false, net_one, &n), 0);
	assert_int_equal(n, 4);
	p = P("10.1.0.0/16");
	assert_int_equal(net_map_get(m, 0, &p, &got), 0);
	assert_int_equal(got.eid, 301);
	p = P("10.1.2.0/25"); /* inside one that stands, but not it */
	assert_int_equal(net_map_get(m, 0, &p, &got), -ENOENT);
	assert_int_equal(net_map_del(m, 0, &p), 0);
	p = P("10.1.2.0/24");
	assert_int_equal(net_map_del(m, 0, &p), 0);
	assert_int_equal(net_map_get(m, 0, &p, &got), -ENOENT);
	struct addr a = A("10.1.2.3");
	assert_int_equal(net_map_match(m, 0, &a, &got), 0);
	assert_int_equal(got.eid, 301);
	p.plen = 33;
	assert_int_equal(net_map_set(m, 0, &p, &v), -EINVAL);
	p.plen = 8;
	p.v6 = 1;
	assert_int_equal(net_map_set(m, 0, &p, &v), -EINVAL);
	int r = 0;
	for (int i = 0; i < 100 && !r; i++) {
		p = P("172.16.0.0/32");
		p.addr.b[15] = (uint8_t)i;
		r = net_map_set(m, 0, &p, &v);
	}
	assert_int_equal(r, -ENOSPC);
}

static void endpoints(void **state)
{
	struct cw_ep v = { .wl = 3, .group = 4, .eid = 300, .flags = CW_EP_ATTACHED }, got;
	uint32_t k = 31;

	(void)state;
	if (!ready)
		skip();
	assert_int_equal(ep_map_set(m, 0, &v), -ERANGE);
	assert_int_equal(ep_map_set(m, 32, &v), -ERANGE);
	assert_int_equal(ep_map_set(m, 31, &v), 0);
	assert_int_equal(ep_map_set(m, 5, &v), 0);
	v.wl = 4;
	assert_int_equal(ep_map_set(m, 6, &v), 0);
	v.wl = 0;
	assert_int_equal(ep_map_set(m, 7, &v), -EINVAL);
	v.wl = 32;
	assert_int_equal(ep_map_set(m, 7, &v), -EINVAL);
	assert_int_equal(ep_map_wl(m, 3, 8, 301), 2);
	assert_int_equal(raw_get("cw_ep", &k, &got), 0);
	assert_int_equal(got.group, 8);
	assert_int_equal(got.eid, 301);
	assert_int_equal(got.flags, CW_EP_ATTACHED);
	assert_int_equal(ep_map_get(m, 6, &got), 0);
	assert_int_equal(got.group, 4);
	assert_int_equal(ep_map_wl(m, 17, 8, 301), 0);
	assert_int_equal(ep_map_wl(m, 0, 8, 301), -EINVAL);
	maps_free(m); /* a restart knows the workloads of standing endpoints */
	assert_int_equal(open_maps(), 0);
	assert_int_equal(ep_map_wl(m, 3, 9, 302), 2);
	assert_int_equal(ep_map_clear(m, 31), 0);
	assert_int_equal(ep_map_get(m, 31, &got), -ENOENT);
	assert_int_equal(raw_get("cw_ep", &k, &got), 0);
	assert_int_equal(got.flags, 0);
	assert_int_equal(ep_map_wl(m, 3, 9, 302), 1);
}

static void listeners(void **state)
{
	struct cw_listen_key k = { .wl = 3, .port = htons(8080), .proto = 6, .family = 4 };
	uint8_t one;

	(void)state;
	if (!ready)
		skip();
	for (uint16_t p = 8080; p < 8090; p++)
		assert_int_equal(listen_map_set(m, 3, 6, false, p), 0);
	assert_int_equal(listen_map_set(m, 3, 6, true, 8080), 0);
	assert_int_equal(listen_map_set(m, 4, 6, false, 8080), 0);
	assert_int_equal(raw_get("cw_listen", &k, &one), 0);
	assert_int_equal(listen_map_del(m, 3, 6, false, 8080), 0);
	assert_int_equal(listen_map_del(m, 3, 6, false, 8080), 0);
	assert_int_equal(raw_get("cw_listen", &k, &one), -ENOENT);
	k.family = 6;
	assert_int_equal(raw_get("cw_listen", &k, &one), 0);
	k.family = 4;
	assert_int_equal(listen_map_clear(m, 3), 10);
	assert_int_equal(listen_map_clear(m, 3), 0);
	k.wl = 4;
	assert_int_equal(raw_get("cw_listen", &k, &one), 0);
	int r = 0;
	for (uint16_t p = 1; p < 200 && !r; p++)
		r = listen_map_set(m, 5, 17, false, p);
	assert_int_equal(r, -ENOSPC);
}

static void shields(void **state)
{
	struct cw_shield s = { .flags = CW_SHIELD_NETS, .ep = 3 }, got;
	struct prefix p = P("192.0.2.0/24");
	struct cw_net4_key k = { .plen = 64, .zone = htonl(7) };
	uint32_t ifindex = 7, v = 0;

	(void)state;
	if (!ready)
		skip();
	assert_int_equal(shield_map_set(m, ifindex, &s), 0);
	assert_int_equal(raw_get("cw_shield", &ifindex, &got), 0);
	assert_int_equal(got.ep, 3);
	assert_int_equal(shield_net_set(m, ifindex, &p, 1), 0);
	memcpy(&k.addr, "\xc0\x00\x02\x09", 4);
	assert_int_equal(raw_get("cw_shield4", &k, &v), 0);
	assert_int_equal(v, 1);
	k.zone = htonl(8); /* another device's shield */
	assert_int_equal(raw_get("cw_shield4", &k, &v), -ENOENT);
	assert_int_equal(shield_net_del(m, ifindex, &p), 0);
	assert_int_equal(shield_net_del(m, ifindex, &p), 0);
	assert_int_equal(shield_map_del(m, ifindex), 0);
	assert_int_equal(shield_map_del(m, ifindex), 0);
}

/* ---- flows ------------------------------------------------------------------------------------------ */

static struct flow_row flow_row(const char *a, uint16_t pa, const char *b, uint16_t pb)
{
	struct flow_row r = { .a = A(a), .b = A(b), .pa = pa, .pb = pb, .zone = 3, .proto = 6 };

	r.v6 = !addr_is_v4(&r.a);
	r.flow.side[CW_EGRESS].ep = 1;
	return r;
}

/* The order is the data path's: words as the processor has them, not bytes on the wire. */
static void flow_order(void **state)
{
	static const struct { const char *name, *a, *b; uint16_t pa, pb; bool turned; } t[] = {
		{ "wire order and word order agree", "10.0.0.1", "10.0.0.2", 9, 1, false },
		{ "the last byte counts most", "10.0.0.2", "10.0.1.1", 1, 1, true },
		{ "turned", "10.0.0.2", "10.0.0.1", 1, 9, true },
		{ "equal addresses: ports", "10.0.0.1", "10.0.0.1", 5, 4, true },
		{ "equal addresses, in order", "10.0.0.1", "10.0.0.1", 4, 5, false },
		{ "IPv6, the last word first", "fd00::2", "fd01::1", 1, 1, true },
		{ "IPv6, the first word last", "fd00::1", "fd01::1", 1, 1, false },
		{ "IPv6, equal addresses: ports", "fd00::1", "fd00::1", 2, 1, true },
	};

	(void)state;
	if (!ready)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct flow_row r = flow_row(t[i].a, t[i].pa, t[i].b, t[i].pb), back;
		struct cw_flow got;

		print_message("  %s\n", t[i].name);
		assert_int_equal(flow_map_seed(m, &r), 0);
		assert_int_equal(flow_map_seed(m, &r), -EEXIST);
		back = r; /* the other way round is the same flow */
		back.a = r.b;
		back.b = r.a;
		back.pa = r.pb;
		back.pb = r.pa;
		if (memcmp(&r.a, &r.b, 16) || r.pa != r.pb)
			assert_int_equal(flow_map_seed(m, &back), -EEXIST);
		assert_int_equal(flow_map_get(m, &back, &got), 0);
		assert_int_equal(got.flags, t[i].turned ? CW_FLOW_F_B_ORIG : 0);
		assert_int_equal(got.side[CW_EGRESS].ep, 1);
		/* The key as the kernel has it. */
		if (!r.v6) {
			struct cw_flow4_key k = { .zone = 3, .proto = 6 };
			const struct flow_row *lo = t[i].turned ? &back : &r;

			memcpy(&k.a, lo->a.b + 12, 4);
			memcpy(&k.b, lo->b.b + 12, 4);
			k.pa = htons(lo->pa);
			k.pb = htons(lo->pb);
			assert_true(k.a < k.b || (k.a == k.b && lo->pa <= lo->pb));
			assert_int_equal(raw_get("cw_flow4", &k, &got), 0);
		}
		assert_int_equal(flow_map_del(m, &back), 0);
		assert_int_equal(flow_map_del(m, &back), 0);
		assert_int_equal(flow_map_get(m, &r, &got), -ENOENT);
	}
	struct flow_row mixed = flow_row("10.0.0.1", 1, "10.0.0.2", 2);
	mixed.b = A("fd00::1");
	assert_int_equal(flow_map_seed(m, &mixed), -EINVAL);
}

static int flow_seen(void *arg, const struct flow_row *r)
{
	unsigned char *seen = arg;

	assert_int_equal(r->zone, 3);
	assert_int_equal(r->flow.seen, r->v6 ? 2000 + r->pb : r->pb);
	assert_int_equal(seen[r->flow.seen], 0);
	seen[r->flow.seen] = 1;
	return r->pb % 2; /* odd ones are deleted */
}

static void flow_walk(void **state)
{
	static unsigned char seen[4000];
	struct flow_cursor c = {};
	uint64_t n = 0;
	int r, steps = 0, total = 0;

	(void)state;
	if (!ready)
		skip();
	for (uint16_t i = 0; i < 1500; i++) {
		struct flow_row row = flow_row("10.0.0.1", 1, "10.0.0.2", i);

		row.flow.seen = i;
		assert_int_equal(flow_map_seed(m, &row), 0);
	}
	for (uint16_t i = 0; i < 300; i++) {
		struct flow_row row = flow_row("fd00::1", 1, "fd00::2", i);

		row.flow.seen = 2000 + i;
		assert_int_equal(flow_map_seed(m, &row), 0);
	}
	assert_int_equal(flow_map_count(m, &n), 0);
	assert_int_equal(n, 1800);
	memset(seen, 0, sizeof(seen));
	while (!c.done) {
		r = flow_map_walk(m, &c, 100, flow_seen, seen);
		assert_true(r >= 0);
		total += r;
		steps++;
	}
	assert_int_equal(total, 1800);
	assert_true(steps >= 4); /* in pieces */
	assert_int_equal(flow_map_count(m, &n), 0);
	assert_int_equal(n, 900);
	assert_int_equal(flow_map_walk(m, &c, 100, flow_seen, seen), 0);
}

/* ---- accounting ------------------------------------------------------------------------------------------ */

static void traffic_put(uint32_t epoch, uint32_t slot, uint64_t packets)
{
	struct cw_traffic cpu[256] = {};
	int ncpu = libbpf_num_possible_cpus();
	uint32_t index = (epoch & 1 ? 1500 : 0) + slot;

	for (int i = 0; i < ncpu; i++)
		cpu[i] = (struct cw_traffic){ .packets = packets, .bytes = packets * 100 };
	assert_int_equal(raw_put("cw_acct", &index, cpu), 0);
}

struct sums {
	uint64_t n, flows, packets;
};

static int access_add(void *arg, const struct access_row *r)
{
	struct sums *s = arg;

	s->n++;
	s->flows += r->val.flows;
	s->packets += r->traffic.packets;
	assert_int_equal(r->key.src, r->val.flows);
	return 0;
}

static int access_stop(void *arg, const struct access_row *r)
{
	(void)arg;
	(void)r;
	return -EIO;
}

static int pair_add(void *arg, const struct pair_row *r)
{
	*(uint64_t *)arg += r->val.flows;
	return 0;
}

static void charge(uint32_t wl, uint32_t epoch, uint32_t accesses, uint32_t pairs)
{
	struct cw_wl v;

	assert_int_equal(raw_get("cw_wl", &wl, &v), 0);
	v.accesses[epoch & 1] = accesses;
	v.pairs[epoch & 1] = pairs;
	v.folded_flows = 9;
	assert_int_equal(raw_put("cw_wl", &wl, &v), 0);
}

static void slots_given(uint32_t epoch, uint32_t n)
{
	uint32_t zero = 0;
	struct cw_ctl c;

	assert_int_equal(raw_get("cw_ctl", &zero, &c), 0);
	c.next_slot[epoch & 1] = n;
	assert_int_equal(raw_put("cw_ctl", &zero, &c), 0);
}

static void accounting(void **state)
{
	uint64_t ncpu = (uint64_t)libbpf_num_possible_cpus(), flows = 0, used, pairs, pair_flows = 0;
	struct cw_traffic sink;
	struct access_row one;
	struct sums s = {};
	struct cw_wl wl;
	uint32_t epoch = 0;

	(void)state;
	if (!ready || ncpu > 256)
		skip();
	/* Epoch 1 is in use: 1,200 accesses, the last 100 without a slot of their own. */
	for (uint32_t i = 1; i <= 1200; i++) {
		struct cw_access_key k = { .src = i, .dst = 2, .proto = 6, .family = 4, .port = 80 };
		struct cw_access v = { .flows = i, .slot = i <= 1100 ? i : 0, .wl = 3 };

		assert_int_equal(raw_put("cw_access1", &k, &v), 0);
		if (v.slot)
			traffic_put(1, v.slot, i);
		flows += i;
	}
	for (uint32_t i = 0; i < 10; i++) {
		struct cw_pair_key k = { .src = i };
		struct cw_pair v = { .flows = 5 };

		assert_int_equal(raw_put("cw_pair1", &k, &v), 0);
	}
	traffic_put(1, 0, 7);
	traffic_put(0, 5, 1000); /* the other epoch's slots are not ours */
	slots_given(1, 1100);
	charge(3, 1, 1200, 10);

	assert_int_equal(access_map_walk(m, 1, access_add, &s), 0);
	assert_int_equal(s.n, 1200);
	assert_int_equal(s.flows, flows);
	assert_int_equal(s.packets, ncpu * 1100 * 1101 / 2);
	assert_int_equal(access_map_walk(m, 1, access_stop, NULL), -EIO);
	memset(&s, 0, sizeof(s));
	assert_int_equal(access_map_walk(m, 0, access_add, &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(pair_map_walk(m, 1, pair_add, &pair_flows), 0);
	assert_int_equal(pair_flows, 50);
	struct cw_access_key k = { .src = 700, .dst = 2, .proto = 6, .family = 4, .port = 80 };
	assert_int_equal(access_map_get(m, 1, &k, &one), 0);
	assert_int_equal(one.traffic.bytes, ncpu * 70000);
	assert_int_equal(access_map_get(m, 0, &k, &one), -ENOENT);
	assert_int_equal(access_sink_read(m, 1, &sink), 0);
	assert_int_equal(sink.packets, ncpu * 7);
	access_map_used(m, 1, &used, &pairs);
	assert_int_equal(used, 1200);
	assert_int_equal(pairs, 10);

	print_message("  slots beyond the last\n");
	slots_given(1, 4000000000u); /* the counter runs on when all are given out */
	memset(&s, 0, sizeof(s));
	assert_int_equal(access_map_walk(m, 1, access_add, &s), 0);
	assert_int_equal(s.packets, ncpu * 1100 * 1101 / 2);

	print_message("  epochs\n");
	assert_int_equal(epoch_clear(m, 1), -EINVAL); /* in use */
	assert_int_equal(epoch_switch(m, &epoch), 0);
	assert_int_equal(epoch, 2);
	assert_int_equal(epoch_clear(m, 2), -EINVAL);
	charge(4, 2, 17, 1);
	assert_int_equal(epoch_switch(m, &epoch), -EBUSY); /* the resting one was not cleared */
	memset(&s, 0, sizeof(s));
	assert_int_equal(access_map_walk(m, 1, access_add, &s), 0); /* and can still be read */
	assert_int_equal(s.n, 1200);
	assert_int_equal(epoch_clear(m, 1), 0);
	memset(&s, 0, sizeof(s));
	assert_int_equal(access_map_walk(m, 1, access_add, &s), 0);
	assert_int_equal(s.n, 0);
	pair_flows = 0;
	assert_int_equal(pair_map_walk(m, 1, pair_add, &pair_flows), 0);
	assert_int_equal(pair_flows, 0);
	assert_int_equal(access_sink_read(m, 1, &sink), 0);
	assert_int_equal(sink.packets, 0);
	access_map_used(m, 1, &used, &pairs);
	assert_int_equal(used + pairs, 0);
	access_map_used(m, 2, &used, &pairs);
	assert_int_equal(used, 17); /* the running epoch's charges stand */
	assert_int_equal(wl_map_read(m, 3, &wl), 0);
	assert_int_equal(wl.folded_flows, 9); /* cumulative figures too */
	assert_int_equal(wl_map_clear(m, 3), 0);
	assert_int_equal(wl_map_read(m, 3, &wl), 0);
	assert_int_equal(wl.folded_flows, 0);
	assert_int_equal(wl_map_read(m, 32, &wl), -ERANGE);
	assert_int_equal(epoch_switch(m, &epoch), 0);
	assert_int_equal(epoch, 3);
}

static void reasons(void **state)
{
	struct cw_reason_stat cpu[256] = {}, got[CW_R_COUNT];
	int ncpu = libbpf_num_possible_cpus();
	uint32_t k = CW_R_SPOOF_IP;

	(void)state;
	if (!ready || ncpu > 256)
		skip();
	for (int i = 0; i < ncpu; i++)
		cpu[i] = (struct cw_reason_stat){ .dropped = 2, .would = 3, .passed = 4 };
	assert_int_equal(raw_put("cw_reasons", &k, cpu), 0);
	assert_int_equal(reasons_read(m, got), 0);
	assert_int_equal(got[CW_R_SPOOF_IP].dropped, 2 * ncpu);
	assert_int_equal(got[CW_R_SPOOF_IP].passed, 4 * ncpu);
	assert_int_equal(got[CW_R_RULE].dropped, 0);
}

/* ---- together with the programs -------------------------------------------------------------------------------- */

/* A datagram without payload, in an Ethernet frame; returns its length. */
static uint32_t datagram(unsigned char *p, const struct addr *src, const struct addr *dst, uint16_t sport, uint16_t dport)
{
	bool v4 = addr_is_v4(src);
	unsigned char *l4 = p + 14 + (v4 ? 20 : 40);
	uint32_t sum = 0;

	memset(p, 0, 64);
	p[12] = v4 ? 0x08 : 0x86;
	p[13] = v4 ? 0x00 : 0xdd;
	if (v4) {
		memcpy(p + 14, (unsigned char[]){ 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17 }, 10);
		memcpy(p + 26, src->b + 12, 4);
		memcpy(p + 30, dst->b + 12, 4);
		for (int i = 14; i < 34; i += 2)
			sum += (uint32_t)p[i] << 8 | p[i + 1];
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~(sum + (sum >> 16));
		p[24] = (unsigned char)(sum >> 8);
		p[25] = (unsigned char)sum;
	} else {
		memcpy(p + 14, (unsigned char[]){ 0x60, 0, 0, 0, 0, 8, 17, 64 }, 8);
		memcpy(p + 22, src->b, 16);
		memcpy(p + 38, dst->b, 16);
	}
	memcpy(l4, (unsigned char[]){ (unsigned char)(sport >> 8), (unsigned char)sport, (unsigned char)(dport >> 8),
				      (unsigned char)dport, 0, 8, 0, 0 }, 8);
	return v4 ? 42 : 62;
}

static int first_access(void *arg, const struct access_row *r)
{
	struct access_row *last = arg;

	*last = *r;
	return 0;
}

/*
 * What is written here is what the programs read, and the other way round: a datagram of an
 * endpoint is judged by the policy put in, and its flow, access and traffic are found.
 */
static void data_path_agrees(void **state)
{
	static const struct { const char *src, *dst; } t[] = {
		{ "10.0.0.1", "10.0.0.2" }, { "10.0.0.2", "10.0.0.1" }, { "10.0.0.1", "10.200.1.0" },
		{ "10.0.0.200", "10.9.9.1" }, { "fd00::1", "fd00::2" }, { "fd00::2", "fd00::1" },
		{ "fd00:1::1", "fd00:2::1" }, { "fd00:2::1", "fd00:1::1" }, { "fd00::9", "fd01::1" },
	};
	const struct ctl_settings ctl = { .share_accesses = 100, .share_pairs = 10, .event_gap = 1, .ephemeral_min = 32768 };
	const struct cw_verdict allow = { .rule = 77, .action = CW_ACT_ALLOW, .tier = CW_TIER_MANUAL,
					  .adv_rule = 77, .adv_action = CW_ACT_ALLOW, .adv_tier = CW_TIER_MANUAL };
	const struct cw_ep ep = { .wl = 3, .group = 1, .eid = 300, .flags = CW_EP_ATTACHED | CW_EP_NO_MAC };
	const uint64_t row = 0ull << 32 | 5, entry = 0ull << 32 | 1; /* start 0: verdict 5; offset 0, length 1 */
	struct maps_clock now;

	(void)state;
	if (!ready)
		skip();
	ctl_set(m, &ctl);
	assert_int_equal(verdict_store(m, 5, &allow), 0);
	assert_int_equal(rows_store(m, 0, &row, 1), 0);
	assert_int_equal(rowtab_store(m, 16 + CW_REALM_SLOTS, &entry, 1), 0);
	for (uint32_t side = 0; side < 2; side++)
		assert_int_equal(word_store(m, 1 * 2 + side, CW_WORD(4, CW_MODE_LEARN, 0, 16)), 0);
	assert_int_equal(ep_map_set(m, 9, &ep), 0);
	assert_int_equal(maps_clock(m, loader_set_prog_fd(set, "cw_now"), 250, &now), 0);

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const struct cw_addr mine = { .eid = 300, .group = 1, .wl = 3, .realm = CW_REALM_POD };
		const struct cw_addr peer = { .eid = 400 + (uint32_t)i, .realm = CW_REALM_POD };
		struct addr src = A(t[i].src), dst = A(t[i].dst);
		struct flow_row key = { .a = src, .b = dst, .pa = 1000, .pb = 53, .proto = 17, .v6 = !addr_is_v4(&src) };
		struct __sk_buff ctx = { .cb = { CW_CB(9, 1) } };
		struct access_row last = {};
		unsigned char pkt[64];
		LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);
		struct cw_addr got;
		struct cw_flow f;
		uint64_t n = 0;

		print_message("  %s -> %s\n", t[i].src, t[i].dst);
		assert_int_equal(addr_map_set(m, 0, &src, &mine), 0);
		assert_int_equal(addr_map_set(m, 0, &dst, &peer), 0);
		o.data_size_in = datagram(pkt, &src, &dst, 1000, 53);
		assert_int_equal(bpf_prog_test_run_opts(loader_set_prog_fd(set, "cw_main"), &o), 0);
		assert_int_equal((int)o.retval, -1); /* no objection */
		assert_int_equal(flow_map_count(m, &n), 0);
		assert_int_equal(n, 1);
		assert_int_equal(flow_map_get(m, &key, &f), 0);
		assert_int_equal(f.side[CW_EGRESS].ep, 9);
		assert_int_equal(f.side[CW_EGRESS].gen, 4);
		assert_int_equal(f.side[CW_EGRESS].outcome, CW_OUT_ALLOW);
		assert_int_equal(f.side[CW_INGRESS].ep, 0);
		/* The originator, told by the key's order: seeding the same says the same. */
		assert_int_equal(flow_map_del(m, &key), 0);
		assert_int_equal(flow_map_seed(m, &key), 0);
		struct cw_flow seeded;
		assert_int_equal(flow_map_get(m, &key, &seeded), 0);
		assert_int_equal(seeded.flags & CW_FLOW_F_B_ORIG, f.flags & CW_FLOW_F_B_ORIG);
		assert_int_equal(flow_map_del(m, &key), 0);
		assert_int_equal(addr_map_get(m, 0, &dst, &got), 0);
		assert_int_equal(got.used, 1);

		assert_int_equal(access_map_walk(m, 1, first_access, &last), 0);
		struct cw_access_key k = { .src = 300, .dst = peer.eid, .port = 53, .proto = 17, .src_wl = 3,
					   .family = key.v6 ? 6 : 4 };
		struct access_row row1;
		assert_int_equal(access_map_get(m, 1, &k, &row1), 0);
		assert_int_equal(row1.val.flows, 1);
		assert_int_equal(row1.val.cnt[CW_EGRESS][CW_OUT_ALLOW], 1);
		assert_int_equal(row1.val.verdict[CW_EGRESS], 5);
		assert_int_equal(row1.traffic.packets, 1);
		assert_int_equal(row1.traffic.bytes, o.data_size_in);
		assert_true(clock_age_ms(&now, row1.val.first) < 10000);
		assert_int_equal(addr_map_del(m, 0, &src), 0);
		assert_int_equal(addr_map_del(m, 0, &dst), 0);
	}
	uint64_t used, pairs;
	access_map_used(m, 1, &used, &pairs);
	assert_int_equal(used, ARRAY_SIZE(t));
	struct cw_vstat hits5;
	assert_int_equal(vstat_read(m, 5, 1, &hits5), 0);
	assert_int_equal(hits5.flows, ARRAY_SIZE(t));

	/* The table at rest keeps what it has; the next flow goes to the other. */
	uint32_t epoch;
	assert_int_equal(epoch_switch(m, &epoch), 0);
	assert_int_equal(maps_grace(m), 0);
	access_map_used(m, 1, &used, &pairs);
	assert_int_equal(used, ARRAY_SIZE(t));
	assert_int_equal(epoch_clear(m, 1), 0);
}

/* ---- the compiler's sink ------------------------------------------------------------------------------------- */

static void sink(void **state)
{
	const struct cw_verdict v = { .rule = 5, .action = CW_ACT_ALLOW, .tier = CW_TIER_MANUAL };
	const struct cw_addr used = { .eid = 300, .realm = CW_REALM_POD };
	const struct cw_ep ep = { .wl = 3, .flags = CW_EP_ATTACHED };
	struct cw_peer_key pk = { .gs = 2, .eid = 300 };
	struct addr a = A("10.0.0.9");
	struct prefix p = P("10.0.0.0/8");
	struct policy_limits lim = {};
	const uint64_t cell = 7;
	struct policy_sink s;
	struct cw_ep got;
	uint32_t cls = 4;
	uint64_t word;

	(void)state;
	if (!ready)
		skip();
	maps_limits(m, &lim);
	assert_int_equal(lim.groups, 32);
	assert_int_equal(lim.addrs, 64);
	assert_int_equal(lim.rows, 4096);
	maps_sink(m, &s);
	assert_int_equal(s.verdict_write(s.arg, 4, &v), 0);
	assert_int_equal(s.rows_write(s.arg, 0, &cell, 1), 0);
	assert_int_equal(s.rowtab_write(s.arg, 0, &cell, 1), 0);
	assert_int_equal(s.peers_set(s.arg, &pk, &cls, 1), 0);
	assert_int_equal(peers_get(m, &pk, &cls), 0);
	assert_int_equal(s.peers_del(s.arg, &pk, 1), 0);
	assert_int_equal(peers_get(m, &pk, &cls), -ENOENT);
	assert_int_equal(s.word_store(s.arg, 2, CW_WORD(1, CW_MODE_LEARN, 0, 0)), 0);
	assert_int_equal(word_load(m, 2, &word), 0);
	assert_int_equal(CW_WORD_MODE(word), CW_MODE_LEARN);
	assert_false(s.addr_used(s.arg, 0, &a)); /* absent */
	assert_int_equal(s.addr_set(s.arg, 0, &a, &used), 0);
	assert_false(s.addr_used(s.arg, 0, &a));
	struct cw_addr4_key k = {};
	struct cw_addr marked = used;
	memcpy(&k.addr, a.b + 12, 4);
	marked.used = 1;
	assert_int_equal(raw_put("cw_addr4", &k, &marked), 0);
	assert_true(s.addr_used(s.arg, 0, &a));
	assert_int_equal(s.addr_del(s.arg, 0, &a), 0);
	assert_int_equal(s.net_set(s.arg, 0, &p, &used), 0);
	assert_false(s.net_used(s.arg, 0, &p));
	assert_int_equal(s.net_del(s.arg, 0, &p), 0);
	assert_int_equal(ep_map_set(m, 1, &ep), 0);
	assert_int_equal(s.wl_group(s.arg, 3, 6, 300), 0);
	assert_int_equal(ep_map_get(m, 1, &got), 0);
	assert_int_equal(got.group, 6);
	assert_int_equal(s.settle(s.arg), 0);
}

static void services(void **state)
{
	struct cw_svc_key k = { .port = 80, .proto = IPPROTO_TCP, .family = 4 };
	struct cw_svc v = { .eid = 700, .first = 8, .n = 2 }, got;
	struct cw_backend b[2] = { { .eid = 300, .port = 8080, .realm = CW_REALM_POD }, { .eid = 301, .port = 8081 } }, back;
	struct maps_room room;

	(void)state;
	if (!ready)
		skip();
	maps_room(m, &room);
	assert_int_equal(room.svcs, 16);
	assert_int_equal(room.backends, 64);
	assert_int_equal(svc_map_count(m), 0);
	assert_int_equal(backends_store(m, 8, b, 2), 0);
	assert_int_equal(backend_load(m, 9, &back), 0);
	assert_memory_equal(&back, &b[1], sizeof(back));
	assert_int_equal(backends_store(m, 63, b, 2), -ERANGE);
	assert_int_equal(backends_store(m, 65, b, 0), -ERANGE);
	assert_int_equal(backend_load(m, 64, &back), -ERANGE);
	assert_int_equal(svc_map_get(m, &k, &got), -ENOENT);
	assert_int_equal(svc_map_set(m, &k, &v), 0);
	assert_int_equal(svc_map_count(m), 1);
	v.n = 1;
	assert_int_equal(svc_map_set(m, &k, &v), 0); /* replaced: still one */
	assert_int_equal(svc_map_count(m), 1);
	assert_int_equal(svc_map_get(m, &k, &got), 0);
	assert_memory_equal(&got, &v, sizeof(got));
	/* What names slots that are not there is refused. */
	v.n = 0;
	assert_int_equal(svc_map_set(m, &k, &v), -EINVAL);
	v.n = CW_SVC_BACKENDS + 1;
	assert_int_equal(svc_map_set(m, &k, &v), -EINVAL);
	v.n = 2;
	v.first = 63;
	assert_int_equal(svc_map_set(m, &k, &v), -EINVAL);
	v.first = 0;
	for (uint16_t i = 1; i < 16; i++) {
		k.port = 80 + i;
		assert_int_equal(svc_map_set(m, &k, &v), 0);
	}
	k.port = 1;
	assert_int_equal(svc_map_set(m, &k, &v), -ENOSPC);
	assert_int_equal(svc_map_count(m), 16);
	for (uint16_t i = 0; i < 16; i++) {
		k.port = 80 + i;
		assert_int_equal(svc_map_del(m, &k), 0);
	}
	assert_int_equal(svc_map_del(m, &k), 0);
	assert_int_equal(svc_map_count(m), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(opening), T(control), T(clocks), T(arrays), T(peers), T(hits), T(addresses), T(prefixes),
		T(endpoints), T(listeners), T(shields), T(flow_order), T(flow_walk), T(accounting), T(reasons),
		T(data_path_agrees), T(sink), T(services),
	};

	ready = own_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
