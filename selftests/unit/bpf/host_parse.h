/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_parse.h - bpf/parse.h on the host. Reads are bounded by the frame as the kernel's helper
 * bounds them; the frame lies in a buffer of its own size, so that a sanitizer sees one byte more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct host_frame {
	const unsigned char *b;
	uint32_t len;
	bool gso;
	bool beyond; /* a read began beyond or crossed the end */
};

static inline int host_load(struct host_frame *f, uint32_t off, void *to, uint32_t n)
{
	if (off > f->len || n > f->len - off) {
		f->beyond = true;
		return -1;
	}
	memcpy(to, f->b + off, n);
	return 0;
}

typedef struct host_frame cw_ctx;
#define CW_LOAD(ctx, off, to, n) host_load(ctx, off, to, n)
#define CW_LEN(ctx) ((ctx)->len)
#define CW_IS_GSO(ctx) ((ctx)->gso)

#include "bpf/parse.h"
