/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cw_tiny.bpf.c - the smallest object that the loader can treat like the real one: a control
 * block, flows of a layout that cw_tiny2 changes, a program array of its own, and programs
 * that count what they see. It lets every packet through.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "cw_abi.h"

#define TINY_PORT 9999

struct tiny_side {
	__u32 ep, group, gen;
	__u16 verdict;
	__u8 outcome, reason;
};

#ifndef TINY_V2
struct tiny_flow {
	struct tiny_side side[2];
	__u32 seen;
	__u32 dropped_later;
	__u64 narrowed;
	__u32 acct;
	__u16 flags;
	__u8 state;
	__u8 pad;
};
#else
struct tiny_flow {
	__u64 brand_new;
	__u32 seen;
	__u32 acct;
	struct tiny_side side[2];
	__u32 flags; /* wider */
	__u16 narrowed; /* narrower */
	__u8 state;
	__u8 pad;
};
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct cw_ctl);
} cw_ctl SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct cw_flow4_key);
	__type(value, struct tiny_flow);
} cw_flow4 SEC(".maps");

/* By endpoint and direction: [cb]; and [63] what the second program saw. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} cw_seen SEC(".maps");

int cw_slow(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} cw_calls SEC(".maps") = { .values = { [0] = (void *)&cw_slow } };

const volatile __u32 cw_hz = 1;
const volatile __u8 cw_small = 0;

static __attribute__((always_inline)) inline int is_ours(struct __sk_buff *skb)
{
	__u8 proto;
	__be16 port;

	if (skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + 9, &proto, 1) || proto != IPPROTO_UDP ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr) + 2, &port, 2))
		return 0;
	return port == bpf_htons(TINY_PORT);
}

static __attribute__((always_inline)) inline void count(__u32 index)
{
	__u64 *n = bpf_map_lookup_elem(&cw_seen, &index);

	if (n)
		__sync_fetch_and_add(n, 1);
}

SEC("tc")
int cw_slow(struct __sk_buff *skb)
{
	count(63);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int cw_main(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct cw_ctl *c = bpf_map_lookup_elem(&cw_ctl, &zero);
	struct cw_flow4_key k = {};

	if (!is_ours(skb))
		return TC_ACT_UNSPEC;
	if (c)
		c->now_jiffies = cw_hz + cw_small;
	if (bpf_map_lookup_elem(&cw_flow4, &k)) /* the table belongs to the program */
		return TC_ACT_UNSPEC;
	count(skb->cb[0] & 31);
	bpf_tail_call_static(skb, &cw_calls, 0);
	return TC_ACT_UNSPEC;
}

SEC("xdp.frags")
int cw_tiny_xdp_frags(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

SEC("xdp")
int cw_tiny_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
