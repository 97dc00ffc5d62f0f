/* SPDX-License-Identifier: Apache-2.0 */
/* rig.c - load, the world, policy tables by hand. */
#include "selftests/prog_run/rig.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/object.h"

const uint8_t MAC[PODS + 1][6] = { { 0 }, { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 }, { 2, 0, 0, 0, 0, 3 } };
const uint8_t MAC_GW[6] = { 2, 0, 0, 0, 0, 0xee };
const char *const IP4[PODS + 1] = { NULL, "10.0.1.1", "10.0.1.2", "10.0.1.3" };
const char *const IP6[PODS + 1] = { NULL, "fd00::1:1", "fd00::1:2", "fd00::1:3" };
const char *const LL6[PODS + 1] = { NULL, "fe80::ff:fe00:1", "fe80::ff:fe00:2", "fe80::ff:fe00:3" };

static const struct { const char *map; uint32_t n; } sizes[] = {
	{ "cw_flow4", 65536 }, { "cw_flow6", 65536 }, { "cw_word", 256 }, { "cw_since", 256 }, { "cw_rowtab", 65536 }, { "cw_rows", 262144 },
	{ "cw_verdicts", 64 }, { "cw_vstat", 64 }, { "cw_peers", 65536 }, { "cw_addr4", 4096 },
	{ "cw_addr6", 4096 }, { "cw_net4", 1024 }, { "cw_net6", 1024 }, { "cw_ep", 16 }, { "cw_gate", 16 },
	{ "cw_wl", 16 }, { "cw_access0", 8192 }, { "cw_access1", 8192 }, { "cw_pair0", 1024 }, { "cw_pair1", 1024 },
	{ "cw_acct", 2 * 1024 }, { "cw_listen", 256 }, { "cw_frag", 16 * CW_FRAG_SLOTS }, { "cw_shield4", 64 },
	{ "cw_shield6", 64 }, { "cw_probe", 32 }, { "cw_events", 1 << 19 }, { "cw_fqdn", 4096 }, { "cw_dns_name", 512 },
	{ "cw_dns_asked", 4096 },
};

/* For whole clusters, as the compiler makes them. */
static const struct { const char *map; uint32_t n; } big_sizes[] = {
	{ "cw_word", 1024 }, { "cw_since", 1024 }, { "cw_wl", 512 }, { "cw_ep", 512 }, { "cw_probe", 1024 }, { "cw_gate", 512 }, { "cw_verdicts", 16384 },
	{ "cw_vstat", 16384 }, { "cw_rowtab", 262144 }, { "cw_peers", 200000 }, { "cw_access0", 32768 },
	{ "cw_access1", 32768 }, { "cw_acct", 2 * 32768 }, { "cw_frag", 512 * CW_FRAG_SLOTS },
};

/* ---- load -------------------------------------------------------------------------------------- */

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

/* Writes a `const volatile` integer before the load. */
static int set_const(struct bpf_object *o, const char *name, uint32_t v)
{
	const struct btf *btf = bpf_object__btf(o);
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	struct bpf_map *map = bpf_object__find_map_by_name(o, ".rodata");
	size_t size = 0;
	const void *now = map ? bpf_map__initial_value(map, &size) : NULL;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	auto_free char *data = malloc(size + 1);

	if (!t || !now || !data)
		return -ENOENT;
	memcpy(data, now, size);
	for (unsigned i = 0; i < btf_vlen(t); i++) {
		const struct btf_var_secinfo *s = &btf_var_secinfos(t)[i];
		const struct btf_type *var = btf__type_by_id(btf, s->type);

		if (strcmp(btf__name_by_offset(btf, var->name_off), name))
			continue;
		memcpy(data + s->offset, &v, sizeof(v));
		return bpf_map__set_initial_value(map, data, size);
	}
	return -ENOENT;
}

static int open_object(struct rig *r, const char *file, struct bpf_object *share, uint32_t delay,
		       struct bpf_object **ret)
{
	const char *dir = getenv("CW_BPF_DIR");
	struct bpf_object *o;
	struct bpf_map *map;
	char self[256] = "", path[512];
	int e;

	/* By default the objects built along with this program: it lies in prog_run, beside bpf. */
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -errno;
	for (int i = 0; i < 2 && strrchr(self, '/'); i++)
		*strrchr(self, '/') = 0;
	(void)snprintf(path, sizeof(path), "%s%s/%s", dir ? dir : self, dir ? "" : "/bpf", file);
	o = bpf_object__open_file(path, NULL);
	if (!o)
		return -errno;
	*ret = o;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		map = bpf_object__find_map_by_name(o, sizes[i].map);
		if (map)
			bpf_map__set_max_entries(map, sizes[i].n);
	}
	for (size_t i = 0; r->big && i < ARRAY_SIZE(big_sizes); i++) {
		map = bpf_object__find_map_by_name(o, big_sizes[i].map);
		if (map)
			bpf_map__set_max_entries(map, big_sizes[i].n);
	}
	if (share)
		bpf_object__for_each_map(map, o) {
			int fd = bpf_map__is_internal(map) ?
				 -1 : bpf_object__find_map_fd_by_name(share, bpf_map__name(map));

			if (fd >= 0)
				bpf_map__reuse_fd(map, fd);
		}
	e = set_const(o, "cw_hz", r->hz);
	if (!e)
		e = set_const(o, "cw_probe_magic", RIG_PROBE_MAGIC);
	if (!e && delay)
		e = set_const(o, "cw_test_delay", delay);
	return e ? e : bpf_object__load(o);
}

int rig_map(struct rig *r, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(r->tc, name);

	return fd >= 0 ? fd : bpf_object__find_map_fd_by_name(r->xdp, name);
}

static int fd_of(void *arg, const char *name)
{
	struct rig *r = arg;
	int fd = rig_map(r, name);

	return fd >= 0 ? fd : -ENOENT;
}

static int on_event(void *arg, void *data, size_t n)
{
	struct rig *r = arg;

	if (n != sizeof(struct cw_event))
		abort();
	if (r->nev < RIG_EVENTS)
		memcpy(&r->ev[r->nev], data, n);
	r->nev++;
	return 0;
}

static int prog(struct bpf_object *o, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(o, name));
}

static int rig_load(struct rig *r, uint32_t delay)
{
	struct ctl_settings s = { .share_accesses = 4096, .share_pairs = 256, .event_gap = 3600 * 100,
				  .ephemeral_min = 32768 };
	const char *bad = NULL;
	int e;

	libbpf_set_print(quiet);
	e = loader_hz(&r->hz);
	if (!e)
		e = open_object(r, "cw_tc.bpf.o", NULL, delay, &r->tc);
	if (!e)
		e = open_object(r, "cw_xdp.bpf.o", r->tc, delay, &r->xdp);
	if (!e)
		e = maps_open(fd_of, r, &r->m, &bad);
	if (e) {
		fprintf(stderr, "rig: %s%s%s\n", strerror(-e), bad ? " at " : "", bad ? bad : "");
		rig_close(r);
		return e;
	}
	r->main_fd = prog(r->tc, "cw_main");
	r->xdp_fd = prog(r->xdp, "cw_xdp_main");
	r->shield_fd = prog(r->xdp, "cw_shield_prog");
	r->ctl = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		      rig_map(r, "cw_ctl"), 0);
	r->rb = ring_buffer__new(rig_map(r, "cw_events"), on_event, r, NULL);
	if (r->ctl == MAP_FAILED || !r->rb)
		return -errno;
	ctl_set(r->m, &s);
	return 0;
}

int rig_open_big(struct rig *r, uint32_t delay)
{
	memset(r, 0, sizeof(*r));
	r->big = true;
	return rig_load(r, delay);
}

int rig_open(struct rig *r, uint32_t delay)
{
	memset(r, 0, sizeof(*r));
	return rig_load(r, delay);
}

void rig_close(struct rig *r)
{
	if (r->ctl && r->ctl != MAP_FAILED)
		(void)munmap(r->ctl, (size_t)sysconf(_SC_PAGESIZE));
	ring_buffer__free(r->rb);
	maps_free(r->m);
	bpf_object__close(r->xdp);
	bpf_object__close(r->tc);
	memset(r, 0, sizeof(*r));
}

/* ---- the world ------------------------------------------------------------------------------------- */

struct addr rig_addr(const char *s)
{
	struct addr a;

	if (addr_parse(s, &a))
		fail_msg("not an address: %s", s);
	return a;
}

static void exact(struct rig *r, const char *s, uint32_t eid, uint32_t realm, uint32_t pod)
{
	struct cw_addr v = { .eid = eid, .group = pod, .wl = pod, .realm = (uint8_t)realm };
	struct addr a = rig_addr(s);

	assert_int_equal(addr_map_set(r->m, 0, &a, &v), 0);
}

static void net(struct rig *r, const char *s, uint32_t eid, uint32_t realm)
{
	struct cw_addr v = { .eid = eid, .realm = (uint8_t)realm };
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	assert_int_equal(net_map_set(r->m, 0, &p, &v), 0);
}

static void verdict(struct rig *r, uint32_t i, uint8_t action, uint8_t tier, uint8_t flags, uint8_t adv_action,
		    uint8_t adv_tier)
{
	struct cw_verdict v = {
		.rule = tier == CW_TIER_DEFAULT ? 0 : RULE_OF(i), .action = action, .tier = tier, .flags = flags,
		.adv_action = adv_action, .adv_tier = adv_tier, .adv_rule = adv_action ? RULE_OF(i) + 100 : 0,
	};

	assert_int_equal(verdict_store(r->m, i, &v), 0);
}

void rig_ep_flags(struct rig *r, int pod, uint16_t flags)
{
	struct cw_ep ep = { .wl = (uint32_t)pod, .group = GROUP(pod), .eid = EID(pod),
			    .flags = CW_EP_ATTACHED | flags, .ifindex = 10 + (uint32_t)pod };

	memcpy(ep.mac, MAC[pod], 6);
	assert_int_equal(ep_map_set(r->m, (uint32_t)pod, &ep), 0);
}

static void world(struct rig *r)
{
	static const uint8_t B = CW_ACT_BLOCK, A = CW_ACT_ALLOW;

	/* V_PASS_DEFAULT, index 0, stands from the start: no compiler writes it. */
	verdict(r, V_BLOCK_DEFAULT, B, CW_TIER_DEFAULT, 0, 0, 0);
	verdict(r, V_ALLOW, A, CW_TIER_MANUAL, 0, 0, 0);
	verdict(r, V_ALERT, CW_ACT_ALERT, CW_TIER_MANUAL, 0, 0, 0);
	verdict(r, V_BLOCK, B, CW_TIER_MANUAL, 0, 0, 0);
	verdict(r, V_REJECT, B, CW_TIER_MANUAL, CW_V_REJECT, 0, 0);
	verdict(r, V_LEARNED, A, CW_TIER_LEARNED, 0, 0, 0);
	verdict(r, V_ADMIN_BLOCK, B, CW_TIER_ADMIN, 0, 0, 0);
	verdict(r, V_ISOLATED, B, CW_TIER_NETWORKPOLICY, CW_V_ISOLATED, 0, 0);
	verdict(r, V_ALWAYS, B, CW_TIER_NETWORKPOLICY, CW_V_ALWAYS, 0, 0);
	verdict(r, V_QUAR, B, CW_TIER_QUARANTINE, 0, 0, 0);
	verdict(r, V_QUAR_ALLOW, A, CW_TIER_QUARANTINE, 0, 0, 0);
	verdict(r, V_ADV_BLOCK, A, CW_TIER_MANUAL, CW_V_ADV, B, CW_TIER_MANUAL);
	verdict(r, V_ADV_ALERT, A, CW_TIER_MANUAL, CW_V_ADV, CW_ACT_ALERT, CW_TIER_MANUAL);
	verdict(r, V_ADV_DEFAULT, B, CW_TIER_DEFAULT, CW_V_ADV, A, CW_TIER_MANUAL);
	for (int pod = 1; pod <= PODS; pod++) {
		exact(r, IP4[pod], EID(pod), CW_REALM_POD, (uint32_t)pod);
		exact(r, IP6[pod], EID(pod), CW_REALM_POD, (uint32_t)pod);
		exact(r, LL6[pod], EID(pod), CW_REALM_POD, (uint32_t)pod);
		rig_ep_flags(r, pod, 0);
		rig_all(r, GROUP(pod), CW_MODE_ENFORCE, V_BLOCK_DEFAULT);
	}
	exact(r, HOST4, CW_ID_HOST, CW_REALM_HOST, 0);
	exact(r, HOST6, CW_ID_HOST, CW_REALM_HOST, 0);
	exact(r, NODE4, CW_ID_REMOTE_NODE, CW_REALM_NODE, 0);
	exact(r, NODE6, CW_ID_REMOTE_NODE, CW_REALM_NODE, 0);
	net(r, "10.0.0.0/16", CW_ID_UNKNOWN, CW_REALM_UNKNOWN);
	net(r, "fd00::/16", CW_ID_UNKNOWN, CW_REALM_UNKNOWN);
	net(r, "203.0.113.0/24", EID_LAB, CW_REALM_WORLD);
	net(r, "2001:db8:c::/48", EID_LAB, CW_REALM_WORLD);
}

int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (!r || rig_open(r, 0))
		return -1;
	*state = r;
	world(r);
	return 0;
}

int rig_setup_xdp(void **state)
{
	struct rig *r;

	if (rig_setup(state))
		return -1;
	r = *state;
	r->via_xdp = true;
	return 0;
}

int rig_teardown(void **state)
{
	rig_close(*state);
	free(*state);
	return 0;
}

int rig_main(const char *name, int (*run)(void))
{
	struct rig *r = calloc(1, sizeof(*r));
	int e = r ? rig_open(r, 0) : -ENOMEM;

	if (!e)
		rig_close(r);
	free(r);
	if (e == -EPERM || e == -ENOSYS) {
		printf("skip %s: BPF programs cannot be loaded here (%s)\n", name, strerror(-e));
		return 77;
	}
	if (e)
		return 1;
	return run();
}

/* ---- policy ---------------------------------------------------------------------------------------- */

static uint32_t at_point(const struct rig_cell *c, size_t n, uint32_t eid, uint32_t axis, uint32_t dflt)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < n; i++)
			if (c[i].eid == (pass ? 0 : eid) && c[i].lo <= axis && axis <= c[i].hi)
				return c[i].v;
	return dflt;
}

static int cmp32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint64_t put_row(struct rig *r, const struct rig_cell *c, size_t n, uint32_t eid, uint32_t dflt)
{
	uint32_t cut[130], ncut = 0, at = r->rows_at, len = 0;

	assert_true(n <= 64);
	cut[ncut++] = 0;
	for (size_t i = 0; i < n; i++) {
		cut[ncut++] = c[i].lo;
		if (c[i].hi + 1 < CW_AXIS_END)
			cut[ncut++] = c[i].hi + 1;
	}
	qsort(cut, ncut, sizeof(*cut), cmp32);
	for (uint32_t i = 0; i < ncut; i++) {
		uint64_t v = (uint64_t)cut[i] << 32 | at_point(c, n, eid, cut[i], dflt);

		if (i && cut[i] == cut[i - 1])
			continue;
		assert_int_equal(rows_store(r->m, at + len++, &v, 1), 0);
	}
	r->rows_at += len;
	return (uint64_t)at << 32 | len;
}

void rig_side(struct rig *r, uint32_t group, enum cw_side side, enum cw_mode mode, bool quar, uint32_t dflt,
	      const struct rig_cell *c, size_t n)
{
	uint32_t base = r->rowtab_at, cls = 0;
	uint64_t v = 0;

	for (uint32_t i = 0; i < CW_REALM_SLOTS; i++)
		assert_int_equal(rowtab_store(r->m, base + i, &v, 1), 0);
	v = put_row(r, c, n, 0, dflt);
	assert_int_equal(rowtab_store(r->m, base + CW_REALM_SLOTS, &v, 1), 0);
	for (size_t i = 0; i < n; i++) {
		struct cw_peer_key k = { .gs = group << 1 | side, .eid = c[i].eid };
		bool seen = !c[i].eid;

		for (size_t j = 0; j < i; j++)
			seen |= c[j].eid == c[i].eid;
		if (seen)
			continue;
		cls++;
		v = put_row(r, c, n, c[i].eid, dflt);
		assert_int_equal(rowtab_store(r->m, base + CW_REALM_SLOTS + cls, &v, 1), 0);
		assert_int_equal(peers_set(r->m, &k, &cls, 1, NULL), 0);
	}
	/* Identities of an earlier table that this one does not name fall to the default class. */
	for (uint32_t eid = 1; eid < EID(PODS) + 1; eid++) {
		struct cw_peer_key k = { .gs = group << 1 | side, .eid = eid };
		bool named = false;

		for (size_t i = 0; i < n; i++)
			named |= c[i].eid == eid;
		if (!named && (eid < 10 || eid >= EID_LAB))
			assert_int_equal(peers_del(r->m, &k, 1), 0);
	}
	r->rowtab_at += CW_REALM_SLOTS + cls + 1;
	assert_int_equal(word_store(r->m, group * 2 + side, CW_WORD(++r->gen, mode, quar, base)), 0);
}

void rig_all(struct rig *r, uint32_t group, enum cw_mode mode, uint32_t v)
{
	for (int side = 0; side < 2; side++)
		rig_side(r, group, side, mode, v == V_QUAR, v, NULL, 0);
}
