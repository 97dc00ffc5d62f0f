/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "cw_abi.h"
#include "loader/object.h"
#include "selftests/harness/own_ns.h"

#include "cw_tiny.skel.h"
#include "cw_tiny2.skel.h"

/* As in cw_tiny.bpf.c and cw_tiny2.bpf.c. */
struct tiny_side { uint32_t ep, group, gen; uint16_t verdict; uint8_t outcome, reason; };
struct tiny_flow1 {
	struct tiny_side side[2];
	uint32_t seen, dropped_later;
	uint64_t narrowed;
	uint32_t acct;
	uint16_t flags;
	uint8_t state, pad;
};
struct tiny_flow2 {
	uint64_t brand_new;
	uint32_t seen, acct;
	struct tiny_side side[2];
	uint32_t flags;
	uint16_t narrowed;
	uint8_t state, pad;
};
_Static_assert(sizeof(struct tiny_flow1) == sizeof(struct tiny_flow2), "only the fields differ");

static bool ready;

static struct loader_image image(int version)
{
	struct loader_image img = { .name = "tiny" };

	img.elf = version == 1 ? cw_tiny__elf_bytes(&img.size) : cw_tiny2__elf_bytes(&img.size);
	return img;
}

static struct loader_set *load(int version, const struct loader_config *more)
{
	struct loader_image img = image(version);
	struct loader_config cfg = more ? *more : (struct loader_config){};
	struct fail_list f = {};
	struct loader_set *s = NULL;
	int r;

	cfg.root = OWN_ROOT;
	r = loader_set_load(&img, &cfg, &f, &s);
	if (r)
		print_message("  %d: %s\n", r, f.n ? f.items[0].message : "no fault told");
	assert_int_equal(r, 0);
	assert_int_equal(f.n, 0);
	return s;
}

static int setup(void **state)
{
	(void)state;
	return ready ? loader_uninstall(OWN_ROOT) : 0;
}

static bool pinned(const char *fmt, const char *set)
{
	char path[512], name[256];

	(void)snprintf(name, sizeof(name), fmt, set);
	(void)snprintf(path, sizeof(path), "%s/%s", OWN_ROOT, name);
	return !access(path, F_OK);
}

static int runs(const char *set)
{
	char path[512];
	struct dirent *e;
	int n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/%s", OWN_ROOT, set);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += !strncmp(e->d_name, "run-", 4);
	closedir(d);
	return n;
}

static uint32_t map_id(const struct loader_set *s, const char *map)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(loader_set_map_fd(s, map), &info, &len), 0);
	return info.id;
}

static void flow_put(const struct loader_set *s, uint32_t n, const void *value)
{
	struct cw_flow4_key k = { .a = n, .b = 1 };

	assert_int_equal(bpf_map_update_elem(loader_set_map_fd(s, "cw_flow4"), &k, value, BPF_ANY), 0);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void fresh_then_adopt(void **state)
{
	struct loader_set *a, *b;
	char name[64];
	uint32_t flows, calls;

	(void)state;
	if (!ready)
		skip();
	a = load(1, NULL);
	assert_false(loader_set_adopted(a));
	assert_false(loader_set_in_force(a));
	(void)snprintf(name, sizeof(name), "%s", loader_set_name(a));
	assert_true(pinned("entry", ""));
	assert_true(pinned("%s/map_cw_flow4", name));
	assert_true(pinned("%s/map_cw_ctl", name));
	assert_true(pinned("%s/run-1/prog_cw_main", name));
	assert_true(pinned("%s/run-1/map_cw_calls", name));
	assert_false(pinned("%s/map_cw_calls", name));
	assert_null(strchr(name, '.'));
	assert_int_equal(loader_set_activate(a), 0);
	assert_true(loader_set_in_force(a));
	flows = map_id(a, "cw_flow4");
	calls = map_id(a, "cw_calls");
	flow_put(a, 7, &(struct tiny_flow1){ .seen = 77 });
	assert_int_equal(loader_set_map_fd(a, "no_such"), -ENOENT);
	assert_int_equal(loader_set_prog_fd(a, "no_such"), -ENOENT);
	assert_int_equal(loader_fd_of(a, "cw_ctl"), loader_set_map_fd(a, "cw_ctl"));
	loader_set_free(a);

	b = load(1, NULL);
	assert_true(loader_set_adopted(b));
	assert_true(loader_set_in_force(b));
	assert_string_equal(loader_set_name(b), name);
	assert_int_equal(map_id(b, "cw_flow4"), flows);
	assert_int_not_equal(map_id(b, "cw_calls"), calls);
	assert_int_equal(runs(name), 2); /* those in force, and those about to be */
	assert_int_equal(loader_set_activate(b), 0);
	assert_int_equal(runs(name), 1);
	assert_true(pinned("%s/run-2/prog_cw_main", name));
	struct tiny_flow1 v = {};
	struct cw_flow4_key k = { .a = 7, .b = 1 };
	assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(b, "cw_flow4"), &k, &v), 0);
	assert_int_equal(v.seen, 77);
	loader_set_free(b);
}

static int first_name(void *arg, const char *name)
{
	(void)snprintf(arg, 64, "%s", name);
	return 1;
}

/* Other sizes, another version in the control block, a lost map: a set beside, numbered on. */
static void beside(void **state)
{
	const struct loader_size sizes[] = { { "cw_flow4", 128 } };
	const struct loader_config smaller = { .sizes = sizes, .nsizes = 1 };
	const struct loader_config fresh = { .fresh = true };
	struct loader_set *a, *b, *c, *d, *e;
	char first[64], old[64] = "", path[512];
	struct cw_ctl ctl = { .abi = CW_ABI_VERSION + 1 };
	uint32_t zero = 0;

	(void)state;
	if (!ready)
		skip();
	a = load(1, NULL);
	(void)snprintf(first, sizeof(first), "%s", loader_set_name(a));
	assert_int_equal(loader_set_activate(a), 0);
	b = load(1, &smaller);
	assert_false(loader_set_adopted(b));
	assert_string_not_equal(loader_set_name(b), first);
	assert_true(loader_set_in_force(a));
	assert_false(loader_set_in_force(b));
	assert_int_equal(loader_old_list(b, first_name, old), 1);
	assert_string_equal(old, first);
	/* Back to the first sizes: its set is not the newest any more, so what it holds is stale. */
	c = load(1, NULL);
	assert_false(loader_set_adopted(c));
	assert_int_equal(loader_old_list(c, first_name, old), 1);
	assert_string_equal(old, loader_set_name(b));
	assert_int_equal(loader_old_remove(c, loader_set_name(c)), -EBUSY);
	assert_int_equal(loader_old_remove(c, "../entry"), -EINVAL);
	assert_int_equal(loader_old_remove(c, loader_set_name(b)), 0);
	assert_int_equal(loader_old_remove(c, first), 0);
	assert_int_equal(loader_old_list(c, first_name, old), 0);

	/* Another ABI version than the name says. */
	assert_int_equal(bpf_map_update_elem(loader_set_map_fd(c, "cw_ctl"), &zero, &ctl, BPF_ANY), 0);
	d = load(1, NULL);
	assert_false(loader_set_adopted(d));
	/* Half a set. */
	(void)snprintf(path, sizeof(path), "%s/%s/map_cw_flow4", OWN_ROOT, loader_set_name(d));
	assert_int_equal(unlink(path), 0);
	e = load(1, NULL);
	assert_false(loader_set_adopted(e));
	loader_set_free(e);
	e = load(1, &fresh);
	assert_false(loader_set_adopted(e));
	loader_set_free(a);
	loader_set_free(b);
	loader_set_free(c);
	loader_set_free(d);
	loader_set_free(e);
}

static void flows_migrate(void **state)
{
	struct loader_carried sum = {};
	struct loader_set *a, *b;
	struct cw_flow4_key k = { .a = 1, .b = 1 };
	struct tiny_flow2 got;
	char old[64];

	(void)state;
	if (!ready)
		skip();
	a = load(1, NULL);
	assert_int_equal(loader_set_activate(a), 0);
	for (uint32_t i = 1; i <= 2500; i++) {
		struct tiny_flow1 v = {
			.side = { { .ep = i, .group = 5, .gen = 6, .verdict = 7, .outcome = 1, .reason = 2 },
				  { .ep = i + 1, .group = 5, .gen = 6, .outcome = 3 } },
			.seen = 100 + i, .dropped_later = 9, .narrowed = i == 2 ? 0x10000 : 0xffff,
			.acct = 1234, .flags = 0x82, .state = 3,
		};

		flow_put(a, i, &v);
	}
	(void)snprintf(old, sizeof(old), "%s", loader_set_name(a));
	loader_set_free(a);

	b = load(2, NULL);
	assert_false(loader_set_adopted(b));
	assert_int_equal(loader_migrate_flows(b, loader_set_name(b), &sum), -EINVAL);
	assert_int_equal(loader_migrate_flows(b, "x", &sum), -EINVAL);
	flow_put(b, 3, &(struct tiny_flow2){ .seen = 1 }); /* what stands already wins */
	assert_int_equal(loader_migrate_flows(b, old, &sum), 0);
	assert_int_equal(sum.tables, 1); /* these objects have no table for IPv6 */
	assert_int_equal(sum.flows, 2499);
	assert_int_equal(sum.refused, 1);

	assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(b, "cw_flow4"), &k, &got), 0);
	struct tiny_flow2 want = {
		.seen = 101, .acct = CW_ACCT(0xfff, 0), .flags = 0x82, .narrowed = 0xffff, .state = 3,
		.side = { { .ep = 1, .outcome = 1, .reason = 2 }, { .ep = 2, .outcome = 3 } },
	};
	assert_memory_equal(&got, &want, sizeof(got));
	k.a = 2; /* a number that does not fit is dropped, not cut */
	assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(b, "cw_flow4"), &k, &got), 0);
	assert_int_equal(got.narrowed, 0);
	k.a = 3;
	assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(b, "cw_flow4"), &k, &got), 0);
	assert_int_equal(got.seen, 1);

	/* Again: nothing is overwritten. */
	assert_int_equal(loader_migrate_flows(b, old, &sum), 0);
	assert_int_equal(sum.flows, 0);
	assert_int_equal(sum.refused, 2500);
	assert_int_equal(loader_set_activate(b), 0);
	assert_true(loader_set_in_force(b));
	assert_int_equal(loader_old_remove(b, old), 0);
	loader_set_free(b);
}

/* Killed at each stage of a start, the data path that was in force still is, whole. */
static void killed(void **state)
{
	struct loader_set *a, *b;

	(void)state;
	if (!ready)
		skip();
	a = load(1, NULL);
	assert_int_equal(loader_set_activate(a), 0);
	loader_set_free(a);
	for (int stage = 0; stage < 3; stage++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (!pid) {
			struct loader_set *s = load(1, NULL);
			uint32_t slot = CW_ENTRY_TC;
			int fd = loader_set_prog_fd(s, "cw_main");

			/* 0: loaded; 1: switched, old programs not yet unpinned; 2: all done. */
			if (stage == 1)
				(void)bpf_map_update_elem(loader_set_entry_fd(s), &slot, &fd, BPF_ANY);
			if (stage == 2)
				(void)loader_set_activate(s);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);

		/* Whatever program is in the slot can still make its tail call: run it. */
		uint32_t slot = CW_ENTRY_TC, prog_id = 0, i63 = 63;
		uint64_t before = 0, after = 0;
		unsigned char pkt[64] = { [12] = 8, [14] = 0x45, [23] = 17, [36] = 9999 >> 8, [37] = 9999 & 0xff };
		LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = sizeof(pkt), .repeat = 1);

		b = load(1, NULL);
		assert_true(loader_set_adopted(b));
		assert_true(loader_set_in_force(b));
		assert_int_equal(bpf_map_lookup_elem(loader_set_entry_fd(b), &slot, &prog_id), 0);
		int fd = bpf_prog_get_fd_by_id(prog_id);
		assert_true(fd >= 0);
		assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(b, "cw_seen"), &i63, &before), 0);
		assert_int_equal(bpf_prog_test_run_opts(fd, &o), 0);
		assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(b, "cw_seen"), &i63, &after), 0);
		print_message("  stage %d: %s\n", stage, after == before + 1 ? "whole" : "broken");
		assert_int_equal(after, before + 1);
		close(fd);
		loader_set_free(b);
	}
}

static void refusals(void **state)
{
	static const struct loader_const wide[] = { { "cw_small", 256 } }, none[] = { { "cw_nothing", 1 } },
		fits[] = { { "cw_hz", 250 }, { "cw_small", 255 } };
	static const struct loader_size lost[] = { { "cw_lost", 1 } };
	const struct {
		const char *name;
		struct loader_config cfg;
		int r;
		const char *fault;
	} t[] = {
		{ "const too wide", { .consts = wide, .nconsts = 1 }, -ERANGE, "bpf.const" },
		{ "no such const", { .consts = none, .nconsts = 1 }, -ENOENT, "bpf.const" },
		{ "no such map", { .sizes = lost, .nsizes = 1 }, -ENOENT, "bpf.map-size" },
		{ "no such program", { .main_prog = "cw_none" }, -ENOENT, "bpf.load" },
		{ "root not on bpffs", { .root = "/tmp" }, -ENOTSUP, "bpf.root" },
		{ "consts fit", { .consts = fits, .nconsts = 2 }, 0, NULL },
	};

	(void)state;
	if (!ready)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct loader_image img = image(1);
		struct loader_config cfg = t[i].cfg;
		struct loader_set *s = NULL;
		struct fail_list f = {};

		print_message("  %s\n", t[i].name);
		if (!cfg.root)
			cfg.root = OWN_ROOT;
		assert_int_equal(loader_set_load(&img, &cfg, &f, &s), t[i].r);
		if (t[i].r) {
			assert_null(s);
			assert_int_equal(f.n, 1);
			assert_string_equal(f.items[0].name, t[i].fault);
		}
		fail_list_done(&f);
		loader_set_free(s);
	}
	/* Not an object at all; an entry that is something else. */
	struct loader_image junk = { .name = "junk", .elf = "junkjunkjunkjunk", .size = 16 };
	struct loader_config cfg = { .root = OWN_ROOT };
	struct loader_set *s = NULL;
	struct fail_list f = {};

	assert_true(loader_set_load(&junk, &cfg, &f, &s) < 0);
	assert_int_equal(f.n, 1);
	fail_list_done(&f);
	assert_int_equal(loader_uninstall(OWN_ROOT), 0);
	assert_int_equal(mkdir(OWN_ROOT, 0700), 0);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "x", 4, 4, 1, NULL);
	assert_int_equal(bpf_obj_pin(fd, OWN_ROOT "/entry"), 0);
	struct loader_image img = image(1);
	assert_int_equal(loader_set_load(&img, &cfg, &f, &s), -EPROTO);
	assert_string_equal(f.items[0].name, "bpf.entry");
	fail_list_done(&f);
	close(fd);
}

/* A stage that a killed load left is swept, and uninstall leaves nothing. */
static void sweeps(void **state)
{
	struct loader_set *s;

	(void)state;
	if (!ready)
		skip();
	s = load(1, NULL);
	assert_int_equal(mkdir(OWN_ROOT "/new-999999", 0700), 0);
	assert_int_equal(mkdir(OWN_ROOT "/new-999999/run-1", 0700), 0);
	assert_int_equal(bpf_obj_pin(loader_set_map_fd(s, "cw_ctl"), OWN_ROOT "/new-999999/map_cw_ctl"), 0);
	loader_set_free(s);
	s = load(1, NULL);
	assert_int_equal(access(OWN_ROOT "/new-999999", F_OK), -1);
	assert_int_equal(loader_set_activate(s), 0);
	assert_int_equal(loader_entry_clear(OWN_ROOT), 0);
	assert_false(loader_set_in_force(s));
	assert_int_equal(loader_entry_clear(OWN_ROOT), 0);
	loader_set_free(s);
	assert_int_equal(loader_uninstall(OWN_ROOT), 0);
	assert_int_equal(access(OWN_ROOT, F_OK), -1);
	assert_int_equal(loader_uninstall(OWN_ROOT), 0);
	assert_int_equal(loader_entry_clear(OWN_ROOT), 0);
}

/* The product's own images load, share their maps, and come back adopted. */
static void real_images(void **state)
{
	struct loader_image tc = loader_image_tc(), xdp = loader_image_xdp();
	struct loader_config cfg = { .root = OWN_ROOT };
	struct loader_set *s = NULL;
	struct fail_list f = {};

	(void)state;
	if (!ready)
		skip();
	for (int round = 0; round < 2; round++) {
		int r = loader_set_load(&tc, &cfg, &f, &s);

		if (r)
			print_message("  tc: %s\n", f.n ? f.items[0].message : strerror(-r));
		assert_int_equal(r, 0);
		assert_int_equal(loader_set_adopted(s), round);
		r = loader_set_add(s, &xdp, NULL, 0, &f);
		if (r)
			print_message("  xdp: %s\n", f.n ? f.items[0].message : strerror(-r));
		assert_int_equal(r, 0);
		assert_true(loader_set_prog_fd(s, "cw_main") >= 0);
		assert_true(loader_set_prog_fd(s, "cw_now") >= 0);
		assert_true(loader_set_prog_fd(s, "cw_xdp_main") >= 0);
		assert_int_equal(loader_set_activate(s), 0);
		assert_true(loader_set_in_force(s));
		loader_set_free(s);
	}
}

static uint64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static const struct loader_size small[] = {
	{ "cw_flow4", 131072 }, { "cw_flow6", 4096 }, { "cw_frag", 256 }, { "cw_acct", 64 }, { "cw_rows", 1024 },
	{ "cw_access0", 64 }, { "cw_access1", 64 }, { "cw_peers", 64 }, { "cw_pair0", 64 }, { "cw_pair1", 64 },
};

/* A restart that brings maps of its own: what the product's flows keep and what they do not. */
static void real_flows_carry(void **state)
{
	struct loader_config cfg = { .root = OWN_ROOT, .fresh = true, .sizes = small, .nsizes = ARRAY_SIZE(small) };
	const struct cw_flow had = {
		.side = { { .ep = 3, .group = 4, .gen = 5, .verdict = 6, .outcome = CW_OUT_ALLOW, .reason = CW_R_RULE },
			  { .ep = 7, .group = 8, .gen = 9, .outcome = CW_OUT_DROP } },
		.seen = 10, .born = 11, .acct = CW_ACCT(1, 12), .flags = CW_FLOW_F_B_ORIG | CW_FLOW_F_SEEDED,
		.state = CW_FLOW_OPEN, .counted = CW_COUNTED_FLOW,
	};
	struct cw_flow want = had, got;
	struct loader_image tc = loader_image_tc();
	struct loader_set *a = NULL, *b = NULL;
	struct loader_carried sum = {};
	uint64_t t0;

	(void)state;
	if (!ready)
		skip();
	assert_int_equal(loader_set_load(&tc, &cfg, NULL, &a), 0);
	for (uint32_t i = 1; i <= 50000; i++) {
		struct cw_flow4_key k = { .a = i, .b = 0xffffff, .pa = 1, .pb = 2, .zone = 3, .proto = 6 };

		assert_int_equal(bpf_map_update_elem(loader_set_map_fd(a, "cw_flow4"), &k, &had, BPF_ANY), 0);
	}
	struct cw_flow6_key k6 = { .a = { 0xfd, 1 }, .b = { 0xfd, 2 }, .pa = 1, .pb = 2, .zone = 3, .proto = 17 };
	assert_int_equal(bpf_map_update_elem(loader_set_map_fd(a, "cw_flow6"), &k6, &had, BPF_ANY), 0);
	assert_int_equal(loader_set_activate(a), 0);
	t0 = now_us();
	assert_int_equal(loader_set_load(&tc, &cfg, NULL, &b), 0);
	print_message("  loaded in %llu us\n", (unsigned long long)(now_us() - t0));
	t0 = now_us();
	assert_int_equal(loader_migrate_flows(b, loader_set_name(a), &sum), 0);
	print_message("  %llu flows carried in %llu us\n", (unsigned long long)sum.flows,
		      (unsigned long long)(now_us() - t0));
	assert_int_equal(sum.tables, 2);
	assert_int_equal(sum.flows, 50001);
	assert_int_equal(sum.refused, 0);
	want.side[0].group = want.side[0].gen = want.side[0].verdict = 0;
	want.side[1].group = want.side[1].gen = 0;
	want.acct = CW_ACCT(0xfff, 0);
	assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(b, "cw_flow6"), &k6, &got), 0);
	assert_memory_equal(&got, &want, sizeof(got));
	struct cw_flow4_key k = { .a = 77, .b = 0xffffff, .pa = 1, .pb = 2, .zone = 3, .proto = 6 };
	assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(b, "cw_flow4"), &k, &got), 0);
	assert_memory_equal(&got, &want, sizeof(got));

	/* What was opened in between comes with the second pass; what stands is left alone. */
	k.a = 1000000;
	assert_int_equal(bpf_map_update_elem(loader_set_map_fd(a, "cw_flow4"), &k, &had, BPF_ANY), 0);
	assert_int_equal(loader_set_activate(b), 0);
	assert_int_equal(loader_migrate_flows(b, loader_set_name(a), &sum), 0);
	assert_int_equal(sum.flows, 1);
	assert_int_equal(sum.refused, 50001);
	assert_int_equal(loader_old_in_force(b, loader_set_name(a)), 0);
	assert_int_equal(loader_old_remove(b, loader_set_name(a)), 0);
	loader_set_free(a);
	loader_set_free(b);
}

/* A program that the verifier refuses: the fault carries its last words. */
static void verifier_refuses(void **state)
{
	struct loader_config cfg = { .root = OWN_ROOT };
	struct loader_image img = image(1);
	struct loader_set *s = NULL;
	struct fail_list f = {};
	unsigned char *elf = malloc(img.size);
	static const unsigned char call_tail[] = { 0x85, 0, 0, 0, 12, 0, 0, 0 };
	unsigned hits = 0;

	(void)state;
	if (!ready)
		skip();
	assert_non_null(elf);
	memcpy(elf, img.elf, img.size);
	for (size_t i = 0; i + 8 <= img.size; i += 8) { /* call 12 becomes a call of no helper */
		if (!memcmp(elf + i, call_tail, 8)) {
			elf[i + 4] = 0xff;
			elf[i + 5] = 0x7f;
			hits++;
		}
	}
	assert_true(hits > 0);
	img.elf = elf;
	assert_true(loader_set_load(&img, &cfg, &f, &s) < 0);
	assert_null(s);
	assert_int_equal(f.n, 1);
	print_message("  %s\n", f.items[0].message);
	assert_non_null(strstr(f.items[0].message, "invalid func"));
	assert_null(strchr(f.items[0].message, '\n'));
	fail_list_done(&f);
	free(elf);
	/* Nothing of the attempt is left: the next load is the first. */
	s = load(1, NULL);
	assert_false(loader_set_adopted(s));
	assert_non_null(strstr(loader_set_name(s), "-1"));
	loader_set_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fresh_then_adopt, setup),
		cmocka_unit_test_setup(beside, setup),
		cmocka_unit_test_setup(flows_migrate, setup),
		cmocka_unit_test_setup(killed, setup),
		cmocka_unit_test_setup(refusals, setup),
		cmocka_unit_test_setup(sweeps, setup),
		cmocka_unit_test_setup(real_images, setup),
		cmocka_unit_test_setup(real_flows_carry, setup),
		cmocka_unit_test_setup(verifier_refuses, setup),
	};

	ready = own_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
