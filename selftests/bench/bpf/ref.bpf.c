/* SPDX-License-Identifier: GPL-2.0-only */
/* Lab reference datapath: the least a stateful per-pod label firewall must do,
 * used to see which price is attainable. IPv4 TCP/UDP only; not product code.
 *  from_pod: host veth ingress (the pod's egress policy)
 *  to_pod:   host veth egress  (the pod's ingress policy)
 * One flow entry with a direction-free key serves both hooks and both directions;
 * it holds the policy epoch each side approved it at, so an established packet
 * costs one lookup and a policy change is one store. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

struct flow_key {
	__u32 a, b;
	__u16 pa, pb;
	__u32 proto;
};
struct flow {
	__u32 seen;
	__u32 ok[2];
	__u32 dir;
	__u64 pkts[2];
};
struct pol_key {
	__u32 ep, peer;
	__u16 port;
	__u8 proto, dir;
};
struct pol_val {
	__u32 action, rule;
};
struct ep {
	__u32 id;
};
struct event {
	__u64 ts;
	struct flow_key k;
	__u32 ep, peer, rule;
	__u8 dir, action, pad[2];
};
struct stat {
	__u64 pkts, bytes;
};
enum { ALLOW = 1, ALERT = 2, DENY = 3 };

__u32 epoch = 1;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ep);
} eps SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 524288);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u32);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} ident SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct pol_key);
	__type(value, struct pol_val);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} policy SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct stat);
} stats SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} events SEC(".maps");

struct todo {
	struct flow_key k;
	__u32 ep, raddr, dir, swap;
	__u16 dport;
};
static __noinline int slow(struct todo *t)
{
	struct flow_key *k = &t->k;
	__u32 dir = t->dir & 1, swap = t->swap, ep = t->ep, raddr = t->raddr;
	__u16 dport = t->dport;
	__u8 proto = k->proto;
	struct flow *f = bpf_map_lookup_elem(&flows, k);
	__u32 *id = bpf_map_lookup_elem(&ident, &raddr),
	      peer = id ? *id : 0; /* 0: outside the cluster */
	struct pol_key pk = {.ep = ep, .peer = peer, .port = dport, .proto = proto, .dir = dir};
	struct pol_val *v = bpf_map_lookup_elem(&policy, &pk);
	if (!v) {
		pk.port = 0;
		v = bpf_map_lookup_elem(&policy, &pk);
	}
	__u32 act = v ? v->action : DENY;
	if (act != ALLOW || !f) {
		struct event *e = bpf_ringbuf_reserve(&events, sizeof *e, 0);
		if (e) {
			e->ts = bpf_ktime_get_ns();
			e->k = *k;
			e->ep = ep;
			e->peer = peer;
			e->rule = v ? v->rule : 0;
			e->dir = dir;
			e->action = act;
			bpf_ringbuf_submit(e, 0);
		}
	}
	if (act == DENY) {
		if (f)
			f->ok[dir] = 0;
		return TC_ACT_SHOT;
	}
	if (f) {
		f->ok[dir] = epoch;
		return -1;
	}
	struct flow n = {.seen = (__u32)bpf_jiffies64(), .dir = swap};
	if (dir)
		n.ok[1] = epoch;
	else
		n.ok[0] = epoch;
	bpf_map_update_elem(&flows, k, &n, BPF_ANY);
	return -1;
}
static __always_inline int enforce(struct __sk_buff *c, __u32 dir)
{
	void *d = (void *)(long)c->data, *end = (void *)(long)c->data_end;
	struct ethhdr *e = d;
	struct iphdr *ip = (void *)(e + 1);
	__u16 *l4;
	if ((void *)(ip + 1) > end)
		return -1;
	if (e->h_proto != bpf_htons(ETH_P_IP))
		return -1;
	if (ip->ihl < 5)
		return TC_ACT_SHOT;
	l4 = (void *)ip + ip->ihl * 4;
	if ((void *)(l4 + 2) > end || (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
		return TC_ACT_SHOT;
	__u32 ifx = c->ifindex;
	struct ep *p = bpf_map_lookup_elem(&eps, &ifx);
	if (!p || !p->id)
		return -1;
	__u32 sa = ip->saddr, da = ip->daddr, swap = sa > da;
	struct flow_key k = {.a = swap ? da : sa,
			     .b = swap ? sa : da,
			     .pa = swap ? l4[1] : l4[0],
			     .pb = swap ? l4[0] : l4[1],
			     .proto = ip->protocol};
	__u32 z = dir;
	struct stat *s = bpf_map_lookup_elem(&stats, &z);
	if (s) {
		s->pkts++;
		s->bytes += c->len;
	}
	struct flow *f = bpf_map_lookup_elem(&flows, &k);
	if (f) {
		__u32 now = (__u32)bpf_jiffies64();
		if (f->seen != now)
			f->seen = now;
		f->pkts[swap]++;
		if (f->dir != swap)
			return -1; /* reply of an approved flow */
		if (f->ok[dir] == epoch)
			return -1;
	}
	struct todo t = {.k = k,
			 .ep = p->id,
			 .raddr = dir ? da : sa,
			 .dir = dir,
			 .swap = swap,
			 .dport = l4[1]};
	return slow(&t);
}
SEC("tc") int from_pod(struct __sk_buff *c)
{
	return enforce(c, 1);
}
SEC("tc") int to_pod(struct __sk_buff *c)
{
	return enforce(c, 0);
}
char LICENSE[] SEC("license") = "GPL";
