/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/grace.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * An update of a map-in-map returns only when no program can hold the inner map before, on any
 * kernel and any number of CPUs. Measured no slower than membarrier, which does nothing at all
 * on one CPU and refuses beside full dynticks.
 */
static int wait_map_in_map(void)
{
	auto_close int inner = -1, outer = -1;
	uint32_t zero = 0;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "cw_grace_in", 4, 4, 1, NULL);
	if (inner < 0)
		return inner;
	LIBBPF_OPTS(bpf_map_create_opts, o, .inner_map_fd = inner);
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "cw_grace", 4, 4, 1, &o);
	if (outer < 0)
		return outer;
	return bpf_map_update_elem(outer, &zero, &inner, BPF_ANY);
}

int grace_wait(void)
{
	int r = wait_map_in_map();

	if (r < 0 && !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		return 0;
	return r;
}
