/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* cw_tiny2.bpf.c - the same with flows of another layout and the same size. */
#define TINY_V2
#include "cw_tiny.bpf.c"
