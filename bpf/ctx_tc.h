/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ctx_tc.h - the hook's vocabulary for TC; ctx_xdp.h says the same for XDP. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

typedef struct __sk_buff cw_ctx;

/* "No objection" is UNSPEC (tcx: NEXT): OK would end the chain and overrule other programs. */
#define CW_RET_PASS TC_ACT_UNSPEC
#define CW_RET_DROP TC_ACT_SHOT

/* Works on paged data too, so it needs no pull. 0 or negative. */
#define CW_LOAD(ctx, off, to, n) bpf_skb_load_bytes(ctx, off, to, n)
#define CW_LEN(ctx) ((ctx)->len)
#define CW_SEGS(ctx) ((ctx)->gso_segs ? (ctx)->gso_segs : 1)
#define CW_IS_GSO(ctx) ((ctx)->gso_size != 0)
#define CW_IFINDEX(ctx) ((ctx)->ifindex)
