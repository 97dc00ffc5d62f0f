/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cw_dns.h - how a name becomes its number, for the data path and for user space: both find the
 * same entry of cw_dns_name.
 */
#pragma once

#include "cw_abi.h"

#define CW_DNS_TEXT 256u /* a name's buffer: lower case, zeros behind the text, aligned to 8 */

/*
 * Keyed (cw_ctl.instance), so that nobody outside can prepare two names of one number. It need not
 * be more: the text is compared wherever an entry is found by it. Never 0.
 */
static __attribute__((always_inline)) inline __u64
cw_dns_hash_text(const __u64 text[CW_DNS_TEXT / 8], __u32 len, __u64 key)
{
	__u64 h = key ^ ((__u64)len << 56);

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < CW_DNS_TEXT / 8; i++) {
		if (i * 8 >= len)
			break;
		h ^= text[i];
		h *= 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	h *= 0xbf58476d1ce4e5b9ull;
	h ^= h >> 32;
	return h ? h : 1;
}

/* Value of cw_resolver4/6: whose answers are believed. */
enum cw_resolver {
	CW_RESOLVER_NO,
	CW_RESOLVER_YES,
	CW_RESOLVER_CLUSTER /* if the address is one of the cluster's: everything but the world */
};
