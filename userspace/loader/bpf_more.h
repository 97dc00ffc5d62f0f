/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_more.h - numbers of the kernel's interface that the system's headers may be too old for. */
#pragma once

#include <linux/bpf.h>

#define CW_TCX_INGRESS ((enum bpf_attach_type)46)
#define CW_TCX_EGRESS ((enum bpf_attach_type)47)
#define CW_LINK_TYPE_TCX 11u
#define CW_F_BEFORE (1u << 3) /* with nothing named: before all others */
#define CW_F_XDP_FRAGS (1u << 5) /* reads packets that are in several pieces */
#define CW_BPF_FS_MAGIC 0xcafe4a11u
