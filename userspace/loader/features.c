/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loader/bpf_more.h"
#include "loader/insn.h"
#include "loader/pins.h"
#include "net/tc.h"

#define LOOPBACK 1 /* interface index of lo, in every network namespace */

static const struct {
	const char *name, *text;
} table[FEAT_COUNT] = {
	[FEAT_TCX] = { "tcx", "programs are attached by links that plain tc cannot remove" },
	[FEAT_CLSACT] = { "clsact", "programs can be attached as filters" },
	[FEAT_XDP_LINK] = { "xdp-link", "XDP programs are attached by links" },
	[FEAT_TAIL_CALL] = { "tail-call", "programs can be exchanged behind a standing attachment" },
	[FEAT_RINGBUF] = { "ringbuf", "events arrive in one ordered ring" },
	[FEAT_MMAP_ARRAY] = { "mmap-array", "policy is written by plain stores" },
	[FEAT_KTIME_COARSE] = { "ktime-coarse", "the cheap clock can be read by programs" },
	[FEAT_JIFFIES] = { "jiffies", "the tick counter can be read by programs" },
	[FEAT_BATCH_HASH] = { "batch-hash", "tables are filled and read in batches" },
	[FEAT_BATCH_PERCPU_ARRAY] = { "batch-percpu-array", "counters are read in batches" },
	[FEAT_MAP_IN_MAP] = { "map-in-map", "an exact grace period is at hand" },
	[FEAT_MEMBARRIER] = { "membarrier", "a second way to a grace period" },
	[FEAT_TEST_RUN] = { "test-run", "programs can be run by hand" },
	[FEAT_BTF] = { "btf", "maps carry their types, so flows survive a change of layout" },
	[FEAT_BPFFS] = { "bpffs", "the pin root lies on a BPF file system" },
};

const char *feature_str(enum feature what)
{
	return what < FEAT_COUNT ? table[what].name : NULL;
}

const char *feature_text(enum feature what)
{
	return what < FEAT_COUNT ? table[what].text : NULL;
}

int feature_parse(const char *s, enum feature *ret)
{
	for (unsigned i = 0; i < FEAT_COUNT; i++) {
		if (!strcmp(s, table[i].name)) {
			*ret = (enum feature)i;
			return 0;
		}
	}
	return -EINVAL;
}

void features_force(struct features *f, enum feature what, bool on)
{
	f->f[what] = (struct feature_answer){ .on = on, .forced = true, .err = on ? 0 : -ENOTSUP };
}

/* ---- probes: 0, or why not ---------------------------------------------------------------------- */

static int prog_load(enum bpf_prog_type type, const struct bpf_insn *insns, size_t n)
{
	return bpf_prog_load(type, "cw_probe", "Dual BSD/GPL", insns, n, NULL);
}

static int prog_pass(enum bpf_prog_type type, int code)
{
	const struct bpf_insn insns[] = { INSN_MOV64_IMM(BPF_REG_0, code), INSN_EXIT() };

	return prog_load(type, insns, ARRAY_SIZE(insns));
}

static int probe_helper(int helper)
{
	const struct bpf_insn insns[] = { INSN_CALL(helper), INSN_MOV64_IMM(BPF_REG_0, 0), INSN_EXIT() };
	auto_close int fd = prog_load(BPF_PROG_TYPE_SCHED_CLS, insns, ARRAY_SIZE(insns));

	return fd < 0 ? fd : 0;
}

static int probe_tcx(void)
{
	auto_close int prog = prog_pass(BPF_PROG_TYPE_SCHED_CLS, -1), link = -1;
	LIBBPF_OPTS(bpf_link_create_opts, o, .flags = CW_F_BEFORE);

	if (prog < 0)
		return prog;
	link = bpf_link_create(prog, LOOPBACK, CW_TCX_INGRESS, &o);
	return link < 0 ? link : 0;
}

static int probe_clsact(void)
{
	auto_cleanup(tc_closep) struct tc *tc = NULL;
	bool made;
	int r = tc_open(-1, &tc);

	return r < 0 ? r : tc_clsact_add(tc, LOOPBACK, &made);
}

static int probe_xdp_link(void)
{
	auto_close int prog = prog_pass(BPF_PROG_TYPE_XDP, XDP_PASS), link = -1;
	LIBBPF_OPTS(bpf_link_create_opts, o, .flags = 1u << 1 /* generic mode: lo has no other */);

	if (prog < 0)
		return prog;
	link = bpf_link_create(prog, LOOPBACK, BPF_XDP, &o);
	return link < 0 ? link : 0;
}

static int probe_tail_call(void)
{
	auto_close int map = -1, prog = -1, target = -1;
	uint32_t zero = 0;

	map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "cw_probe", 4, 4, 1, NULL);
	if (map < 0)
		return map;
	const struct bpf_insn insns[] = {
		INSN_LD_MAP_FD(BPF_REG_2, map), INSN_MOV64_IMM(BPF_REG_3, 0),
		INSN_CALL(BPF_FUNC_tail_call), INSN_MOV64_IMM(BPF_REG_0, 0), INSN_EXIT(),
	};
	prog = prog_load(BPF_PROG_TYPE_SCHED_CLS, insns, ARRAY_SIZE(insns));
	if (prog < 0)
		return prog;
	target = prog_pass(BPF_PROG_TYPE_SCHED_CLS, 0);
	return target < 0 ? target : bpf_map_update_elem(map, &zero, &target, BPF_ANY);
}

static int probe_ringbuf(void)
{
	auto_close int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "cw_probe", 0, 0,
					   (uint32_t)sysconf(_SC_PAGESIZE), NULL);

	return fd < 0 ? fd : 0;
}

static int probe_mmap_array(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = BPF_F_MMAPABLE);
	auto_close int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "cw_probe", 4, 8, 1, &o);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	if (fd < 0)
		return fd;
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	(void)munmap(p, page);
	return 0;
}

static int probe_batch(enum bpf_map_type type, size_t value_size)
{
	LIBBPF_OPTS(bpf_map_batch_opts, o);
	auto_close int fd = bpf_map_create(type, "cw_probe", 4, 8, 2, NULL);
	auto_free unsigned char *values = calloc(2, value_size);
	uint32_t keys[2] = { 0, 1 }, n = 2, token = 0;
	int r;

	if (fd < 0)
		return fd;
	if (!values)
		return -ENOMEM;
	r = bpf_map_update_batch(fd, keys, values, &n, &o);
	if (r < 0)
		return r;
	n = 2;
	r = bpf_map_lookup_batch(fd, NULL, &token, keys, values, &n, &o);
	if (r == -ENOSPC) /* both keys in one bucket, which is no lack of the feature */
		r = 0;
	return r == -ENOENT ? 0 : r;
}

static int probe_map_in_map(void)
{
	auto_close int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "cw_probe", 4, 4, 1, NULL), outer = -1;
	LIBBPF_OPTS(bpf_map_create_opts, o, .inner_map_fd = inner);

	if (inner < 0)
		return inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "cw_probe", 4, 4, 1, &o);
	return outer < 0 ? outer : 0;
}

static int probe_membarrier(void)
{
	long r = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (r < 0)
		return -errno;
	return r & MEMBARRIER_CMD_GLOBAL ? 0 : -ENOTSUP;
}

static int probe_test_run(void)
{
	auto_close int prog = prog_pass(BPF_PROG_TYPE_SOCKET_FILTER, 0);
	unsigned char pkt[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = sizeof(pkt), .repeat = 1);

	return prog < 0 ? prog : bpf_prog_test_run_opts(prog, &o);
}

/* One integer type, by hand: a header and twelve bytes of type with four of encoding. */
static int probe_btf(void)
{
	static const struct {
		struct { uint16_t magic; uint8_t version, flags; uint32_t hdr_len, type_off, type_len, str_off, str_len; } h;
		uint32_t type[4];
		char str[5];
	} raw = {
		.h = { .magic = 0xeb9f, .version = 1, .hdr_len = 24, .type_len = 16, .str_off = 16, .str_len = 5 },
		.type = { 1, 1u << 24 /* int */, 4, 32 },
		.str = "\0int",
	};
	LIBBPF_OPTS(bpf_btf_load_opts, o);
	auto_close int fd = bpf_btf_load(&raw, offsetof(__typeof__(raw), str) + sizeof(raw.str), &o);

	return fd < 0 ? fd : 0;
}

/* ---- the table ------------------------------------------------------------------------------------ */

static void answer(struct features *f, enum feature what, int r)
{
	f->f[what] = (struct feature_answer){ .on = !r, .err = r };
}

/* A thread with a network namespace of its own, which is gone with it. */
static void *probe_devices(void *arg)
{
	struct features *f = arg;
	int r = unshare(CLONE_NEWNET) ? -errno : 0;

	answer(f, FEAT_TCX, r ? r : probe_tcx());
	answer(f, FEAT_CLSACT, r ? r : probe_clsact());
	answer(f, FEAT_XDP_LINK, r ? r : probe_xdp_link());
	return NULL;
}

int features_probe(const char *pin_root, struct features *ret)
{
	struct features f = {};
	int ncpu = libbpf_num_possible_cpus(), r;
	pthread_t thread;

	r = probe_mmap_array();
	if (r == -EPERM)
		return r;
	answer(&f, FEAT_MMAP_ARRAY, r);
	answer(&f, FEAT_TAIL_CALL, probe_tail_call());
	answer(&f, FEAT_RINGBUF, probe_ringbuf());
	answer(&f, FEAT_KTIME_COARSE, probe_helper(160 /* ktime_get_coarse_ns */));
	answer(&f, FEAT_JIFFIES, probe_helper(BPF_FUNC_jiffies64));
	answer(&f, FEAT_BATCH_HASH, probe_batch(BPF_MAP_TYPE_HASH, 8));
	answer(&f, FEAT_BATCH_PERCPU_ARRAY,
	       ncpu < 0 ? ncpu : probe_batch(BPF_MAP_TYPE_PERCPU_ARRAY, 8 * (size_t)ncpu));
	answer(&f, FEAT_MAP_IN_MAP, probe_map_in_map());
	answer(&f, FEAT_MEMBARRIER, probe_membarrier());
	answer(&f, FEAT_TEST_RUN, probe_test_run());
	answer(&f, FEAT_BTF, probe_btf());
	answer(&f, FEAT_BPFFS, pin_root ? pin_root_check(pin_root) : -ENOTSUP);
	r = pthread_create(&thread, NULL, probe_devices, &f);
	if (r)
		return -r;
	(void)pthread_join(thread, NULL);
	*ret = f;
	return 0;
}
