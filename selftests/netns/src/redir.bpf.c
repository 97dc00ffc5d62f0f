// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * redir.bpf.c - somebody else's data path: hands unicast frames straight into the namespace of
 * whoever owns the destination address, past the node's end of its pair.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct mac { __u8 b[6]; __u8 pad[2]; };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct mac);
	__type(value, __u32); /* ifindex of the node's end */
} redir_ports SEC(".maps");

SEC("classifier")
int redir(struct __sk_buff *skb)
{
	struct mac m = {};
	__u32 *to;

	if (bpf_skb_load_bytes(skb, 0, m.b, sizeof(m.b)))
		return TC_ACT_UNSPEC;
	to = bpf_map_lookup_elem(&redir_ports, &m);
	return to ? bpf_redirect_peer(*to, 0) : TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
