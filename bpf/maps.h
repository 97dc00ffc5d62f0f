/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* maps.h - every map: key, writer, size. Sizes here are defaults; the loader sets them. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "cw_abi.h"

#define CW_MAP(NAME, TYPE, KEY, VALUE, N, FLAGS)			\
	struct {							\
		__uint(type, BPF_MAP_TYPE_##TYPE);			\
		__uint(max_entries, N);					\
		__uint(map_flags, FLAGS);				\
		__type(key, KEY);					\
		__type(value, VALUE);					\
	} NAME SEC(".maps")

/* Settings and counters that both sides touch all the time; written through the mapping. */
CW_MAP(cw_ctl, ARRAY, __u32, struct cw_ctl, 1, BPF_F_MMAPABLE);

/* Endpoint number -> endpoint; written by the agent at attach and when a workload changes. */
CW_MAP(cw_ep, ARRAY, __u32, struct cw_ep, CW_MAX_EPS, 0);

/* Address -> identity, owner, group; exact first, prefixes on a miss; written by the agent. */
CW_MAP(cw_addr4, HASH, struct cw_addr4_key, struct cw_addr, CW_MAX_ADDRS, BPF_F_NO_PREALLOC);
CW_MAP(cw_addr6, HASH, struct cw_addr6_key, struct cw_addr, CW_MAX_ADDRS, BPF_F_NO_PREALLOC);
CW_MAP(cw_net4, LPM_TRIE, struct cw_net4_key, struct cw_addr, CW_MAX_NETS, BPF_F_NO_PREALLOC);
CW_MAP(cw_net6, LPM_TRIE, struct cw_net6_key, struct cw_addr, CW_MAX_NETS, BPF_F_NO_PREALLOC);

/* Policy: see cw_abi.h. Words, row table and rows are written through mappings. */
CW_MAP(cw_word, ARRAY, __u32, __u64, CW_MAX_GROUPS * 2, BPF_F_MMAPABLE);
CW_MAP(cw_since, ARRAY, __u32, __u64, CW_MAX_GROUPS * 2, BPF_F_MMAPABLE);
CW_MAP(cw_peers, HASH, struct cw_peer_key, __u32, CW_MAX_PEERS, BPF_F_NO_PREALLOC);
CW_MAP(cw_rowtab, ARRAY, __u32, __u64, CW_MAX_ROWTAB, BPF_F_MMAPABLE);
CW_MAP(cw_rows, ARRAY, __u32, __u64, CW_MAX_ROWS, BPF_F_MMAPABLE);
CW_MAP(cw_verdicts, ARRAY, __u32, struct cw_verdict, CW_MAX_VERDICTS, BPF_F_MMAPABLE);
CW_MAP(cw_vstat, PERCPU_ARRAY, __u32, struct cw_vstat, CW_MAX_VERDICTS, 0);

/* Services: what stands behind an address and port; written by the agent. */
CW_MAP(cw_svc, HASH, struct cw_svc_key, struct cw_svc, CW_MAX_SVCS, BPF_F_NO_PREALLOC);
CW_MAP(cw_backends, ARRAY, __u32, struct cw_backend, CW_MAX_BACKENDS, BPF_F_MMAPABLE);

/* Names: answers and names by the data path, patterns and classes by the agent. */
CW_MAP(cw_fqdn, HASH, struct cw_fqdn_key, struct cw_fqdn, CW_MAX_FQDNS, BPF_F_NO_PREALLOC);
CW_MAP(cw_dns_name, HASH, __u64, struct cw_dns_name, CW_MAX_DNS_NAMES, BPF_F_NO_PREALLOC);
CW_MAP(cw_dns_pattern, LPM_TRIE, struct cw_dns_pattern_key, __u32, CW_MAX_DNS_PATTERNS, BPF_F_NO_PREALLOC);
CW_MAP(cw_named, HASH, struct cw_named_key, __u32, CW_MAX_NAMED, BPF_F_NO_PREALLOC);
CW_MAP(cw_dns_asked, LRU_HASH, struct cw_dns_asked_key, struct cw_dns_asked, 16384, 0);
CW_MAP(cw_resolver4, LPM_TRIE, struct cw_net4_key, __u32, 4096, BPF_F_NO_PREALLOC);
CW_MAP(cw_resolver6, LPM_TRIE, struct cw_net6_key, __u32, 4096, BPF_F_NO_PREALLOC);
CW_MAP(cw_dns_stat, PERCPU_ARRAY, __u32, __u64, CW_DNS_COUNTS, 0);

/* Flows: written by the data path; the agent seeds and expires. */
CW_MAP(cw_flow4, LRU_HASH, struct cw_flow4_key, struct cw_flow, CW_MAX_FLOWS, 0);
CW_MAP(cw_flow6, LRU_HASH, struct cw_flow6_key, struct cw_flow, CW_MAX_FLOWS / 2, 0);
CW_MAP(cw_frag, ARRAY, __u32, struct cw_frag, CW_MAX_EPS * CW_FRAG_SLOTS, 0);
CW_MAP(cw_listen, HASH, struct cw_listen_key, __u8, 65536, BPF_F_NO_PREALLOC);

/* Accounting: written by the data path, read by the agent, cleared only at rest. */
CW_MAP(cw_access0, HASH, struct cw_access_key, struct cw_access, CW_MAX_ACCESSES, 0);
CW_MAP(cw_access1, HASH, struct cw_access_key, struct cw_access, CW_MAX_ACCESSES, 0);
CW_MAP(cw_pair0, HASH, struct cw_pair_key, struct cw_pair, CW_MAX_PAIRS, 0);
CW_MAP(cw_pair1, HASH, struct cw_pair_key, struct cw_pair, CW_MAX_PAIRS, 0);
CW_MAP(cw_acct, PERCPU_ARRAY, __u32, struct cw_traffic, 2 * (CW_MAX_ACCESSES + CW_MAX_ACCESSES / 4), 0);
CW_MAP(cw_wl, ARRAY, __u32, struct cw_wl, CW_MAX_WLS, BPF_F_MMAPABLE);
CW_MAP(cw_reasons, PERCPU_ARRAY, __u32, struct cw_reason_stat, 64, 0);
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} cw_events SEC(".maps");

/* Probe frames seen: written by the data path, read by the agent. */
CW_MAP(cw_probe, ARRAY, __u32, __u64, CW_MAX_EPS * 2, BPF_F_MMAPABLE);

/* XDP, by ifindex of the node's namespace; written by the agent on demand. */
CW_MAP(cw_shield, HASH, __u32, struct cw_shield, 4096, BPF_F_NO_PREALLOC);
CW_MAP(cw_shield4, LPM_TRIE, struct cw_net4_key, __u32, 16384, BPF_F_NO_PREALLOC);
CW_MAP(cw_shield6, LPM_TRIE, struct cw_net6_key, __u32, 16384, BPF_F_NO_PREALLOC);

/* When an endpoint last sent an event for each guard reason, in jiffies: one noisy endpoint or
 * reason cannot hide another. */
struct cw_gate {
	__u32 last[32];
	__u32 reject_second; /* jiffies / hz of the running second */
	__u32 rejects;	     /* answers given in it */
};
CW_MAP(cw_gate, ARRAY, __u32, struct cw_gate, CW_MAX_EPS, 0);
