/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - kernel ticks per second. User space is only told USER_HZ, which is always 100, and
 * kernel configuration files are often absent: so a program that reads both clocks is asked.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <time.h>

#include "base/cleanup.h"
#include "loader/insn.h"
#include "loader/object.h"

#define EDGE_NS 50000ull	/* 0.13 % of the time between two edges */
#define EDGE_WAIT_NS 1000000000ull /* two dozen ticks of the slowest kernel known */
#define TRIES 10

struct sample {
	uint64_t jiffies, ktime;
};

/* r0 = 0; value->jiffies = jiffies64(); value->ktime = ktime_get_ns() */
static int clock_prog(int map_fd)
{
	const struct bpf_insn insns[] = {
		INSN_ST_MEM(BPF_W, BPF_REG_10, -4, 0),
		INSN_MOV64_REG(BPF_REG_2, BPF_REG_10),
		INSN_ADD64_IMM(BPF_REG_2, -4),
		INSN_LD_MAP_FD(BPF_REG_1, map_fd),
		INSN_CALL(BPF_FUNC_map_lookup_elem),
		INSN_JNE_IMM(BPF_REG_0, 0, 2),
		INSN_MOV64_IMM(BPF_REG_0, 0),
		INSN_EXIT(),
		INSN_MOV64_REG(BPF_REG_6, BPF_REG_0),
		INSN_CALL(BPF_FUNC_jiffies64),
		INSN_STX_MEM(BPF_DW, BPF_REG_6, BPF_REG_0, offsetof(struct sample, jiffies)),
		INSN_CALL(BPF_FUNC_ktime_get_ns),
		INSN_STX_MEM(BPF_DW, BPF_REG_6, BPF_REG_0, offsetof(struct sample, ktime)),
		INSN_MOV64_IMM(BPF_REG_0, 0),
		INSN_EXIT(),
	};

	return bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "cw_hz", "Dual BSD/GPL", insns,
			     ARRAY_SIZE(insns), NULL);
}

static int sample_take(int prog_fd, int map_fd, struct sample *ret)
{
	unsigned char pkt[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = sizeof(pkt), .repeat = 1);
	uint32_t zero = 0;
	int r = bpf_prog_test_run_opts(prog_fd, &o);

	return r < 0 ? r : bpf_map_lookup_elem(map_fd, &zero, ret);
}

/* The first sample after a tick, taken within EDGE_NS of it: one after a preemption may be
 * milliseconds late and would make 250 look like 256. */
static int sample_edge(int prog_fd, int map_fd, struct sample *ret)
{
	struct sample first, last, now;
	int r = sample_take(prog_fd, map_fd, &now);

	if (r < 0)
		return r;
	first = now;
	do {
		last = now;
		r = sample_take(prog_fd, map_fd, &now);
		if (r < 0)
			return r;
		if (now.ktime - first.ktime > EDGE_WAIT_NS)
			return -ENODATA;
	} while (now.jiffies == last.jiffies || now.ktime - last.ktime > EDGE_NS);
	*ret = now;
	return 0;
}

int loader_hz(uint32_t *ret)
{
	static const uint32_t known[] = { 24, 32, 48, 64, 100, 128, 250, 256, 300, 512, 1000, 1024, 1200 };
	const struct timespec pause = { .tv_nsec = 40000000 };
	auto_close int map_fd = -1, prog_fd = -1;
	struct sample a, b;
	uint32_t best = 0;
	double hz, near = 1e9;
	int r;

	map_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "cw_hz", 4, sizeof(struct sample), 1, NULL);
	if (map_fd < 0)
		return map_fd;
	prog_fd = clock_prog(map_fd);
	if (prog_fd < 0)
		return prog_fd;
	for (int try = 0; try < TRIES; try++) {
		r = sample_edge(prog_fd, map_fd, &a);
		if (r < 0)
			return r;
		(void)nanosleep(&pause, NULL);
		r = sample_edge(prog_fd, map_fd, &b);
		if (r < 0)
			return r;
		hz = (double)(b.jiffies - a.jiffies) * 1e9 / (double)(b.ktime - a.ktime);
		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			double d = hz > known[i] ? hz / known[i] : known[i] / hz;

			if (d < near) {
				near = d;
				best = known[i];
			}
		}
		if (near < 1.005) { /* the tick itself may come late: measure again */
			*ret = best;
			return 0;
		}
		near = 1e9;
	}
	return -ENODATA;
}
