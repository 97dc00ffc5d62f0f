/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ctx_xdp.h - the hook's vocabulary for XDP; needs bpf_xdp_load_bytes (Linux 5.18). */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef struct xdp_md cw_ctx;

#define CW_RET_PASS XDP_PASS
#define CW_RET_DROP XDP_DROP

#define CW_LOAD(ctx, off, to, n) bpf_xdp_load_bytes(ctx, off, to, n)
#define CW_LEN(ctx) ((__u32)bpf_xdp_get_buff_len(ctx))
#define CW_SEGS(ctx) 1
#define CW_IS_GSO(ctx) (CW_LEN(ctx) > 65535u) /* generic XDP is given such as they are */
#define CW_IFINDEX(ctx) ((ctx)->ingress_ifindex)
#define CW_XDP 1
