/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.h - what this kernel can do, found out by doing it, never by its version number.
 * A table is plain data: probe once, pass it down, override an answer in a test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum feature {
	FEAT_TCX,	   /* link-based programs on a device's ingress and egress */
	FEAT_CLSACT,	   /* qdisc with filters, the older way of the same */
	FEAT_XDP_LINK,	   /* link-based XDP */
	FEAT_TAIL_CALL,	   /* program arrays */
	FEAT_RINGBUF,
	FEAT_MMAP_ARRAY,
	FEAT_KTIME_COARSE,
	FEAT_JIFFIES,
	FEAT_BATCH_HASH,   /* batched update, lookup and delete of hash maps */
	FEAT_BATCH_PERCPU_ARRAY,
	FEAT_MAP_IN_MAP,   /* gives a grace period that waits for running programs */
	FEAT_MEMBARRIER,   /* the second way to one */
	FEAT_TEST_RUN,
	FEAT_BTF,	   /* type information is kept with maps */
	FEAT_BPFFS,	   /* the pin root lies on a BPF file system */
	FEAT_COUNT
};

struct features {
	struct feature_answer {
		bool on;
		bool forced; /* overridden, not probed */
		int err;     /* why not: negative errno of the probe, 0 when on */
	} f[FEAT_COUNT];
};

/*
 * Probes everything; about 50 ms, most of it attaching to the loopback of a network namespace
 * made for this and gone afterwards. pin_root may be NULL (FEAT_BPFFS is then off). Blocks.
 * 0, or -EPERM when BPF is not permitted at all.
 */
int features_probe(const char *pin_root, struct features *ret);
static inline bool features_has(const struct features *f, enum feature what)
{
	return f->f[what].on;
}
/* Overrides an answer; switching on what the kernel lacks makes the later call fail. */
void features_force(struct features *f, enum feature what, bool on);
/* Kebab-case token ("tcx", "batch-hash") and one sentence. */
const char *feature_str(enum feature what);
const char *feature_text(enum feature what);
int feature_parse(const char *s, enum feature *ret); /* -EINVAL */
