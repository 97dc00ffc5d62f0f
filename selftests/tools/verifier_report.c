/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_report.c - loads every program of the product and prints what the verifier and the
 * JIT made of it, and what the maps take. Exit 77 when it may not load.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "loader/object.h"

#define LOG_BYTES 65536u
#define LOG_STATS 4	/* the verifier's figures without its steps */
#define PROGS_MAX 32u

struct row {
	struct bpf_program *prog;
	char *log;
};

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

/* "processed 1241 insns (limit 1000000) max_states_per_insn 4 total_states 86 peak_states 86 ..." */
static void stats_print(const char *image, const struct row *row)
{
	unsigned long processed = 0, per_insn = 0, total = 0, peak = 0;
	const char *s = strstr(row->log, "processed ");
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (s)
		(void)sscanf(s, "processed %9lu insns (limit %*u) max_states_per_insn %9lu total_states %9lu peak_states %9lu",
			     &processed, &per_insn, &total, &peak);
	if (bpf_obj_get_info_by_fd(bpf_program__fd(row->prog), &info, &len))
		return;
	printf("%-8s %-16s %10lu %7u %8u %7u %8lu %8lu\n", image, bpf_program__name(row->prog), processed,
	       (unsigned)(bpf_program__insn_cnt(row->prog)), info.xlated_prog_len / 8, info.jited_prog_len,
	       total, peak);
}

static unsigned long long map_bytes(int fd)
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

static void maps_print(const struct bpf_object *obj)
{
	unsigned long long sum = 0;
	const struct bpf_map *m;

	printf("\n%-16s %5s %6s %9s %12s\n", "map", "key", "value", "entries", "bytes");
	bpf_object__for_each_map(m, obj) {
		unsigned long long bytes = map_bytes(bpf_map__fd(m));

		sum += bytes;
		printf("%-16s %5u %6u %9u %12llu\n", bpf_map__name(m), bpf_map__key_size(m),
		       bpf_map__value_size(m), bpf_map__max_entries(m), bytes);
	}
	printf("%-16s %5s %6s %9s %12llu\n", "sum", "", "", "", sum);
}

static int report(struct loader_image img, bool maps)
{
	LIBBPF_OPTS(bpf_object_open_opts, o, .object_name = img.name);
	struct bpf_object *obj = bpf_object__open_mem(img.elf, img.size, &o);
	struct row rows[PROGS_MAX];
	struct bpf_program *p;
	size_t n = 0;
	int r;

	if (!obj)
		return -errno;
	bpf_object__for_each_program(p, obj) {
		if (n == PROGS_MAX)
			break;
		rows[n].prog = p;
		rows[n].log = calloc(1, LOG_BYTES);
		if (!rows[n].log)
			exit(EXIT_FAILURE);
		(void)bpf_program__set_log_buf(p, rows[n].log, LOG_BYTES);
		(void)bpf_program__set_log_level(p, LOG_STATS);
		n++;
	}
	r = bpf_object__load(obj);
	for (size_t i = 0; i < n; i++) {
		if (!r)
			stats_print(img.name, &rows[i]);
		else if (rows[i].log[0])
			(void)fprintf(stderr, "%s: %.2000s\n", bpf_program__name(rows[i].prog), rows[i].log);
		free(rows[i].log);
	}
	if (!r && maps)
		maps_print(obj);
	bpf_object__close(obj);
	return r;
}

int main(void)
{
	int r;

	(void)libbpf_set_print(quiet);
	printf("%-8s %-16s %10s %7s %8s %7s %8s %8s\n", "object", "program", "processed", "insns", "xlated",
	       "jited", "states", "peak");
	r = report(loader_image_xdp(), false);
	if (!r)
		r = report(loader_image_tc(), true);
	if (r == -EPERM)
		return 77;
	if (r < 0) {
		(void)fprintf(stderr, "verifier_report: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
