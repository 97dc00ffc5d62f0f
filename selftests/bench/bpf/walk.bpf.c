/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes a new flow of every run of BPF_PROG_TEST_RUN: steps the source port (then the
 * low half of the source or destination address) in the packet itself, then tail-calls
 * the program under test in slot 0. Slot 0 empty prices the walker alone. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 1);
} jmp SEC(".maps");
#define WALK(c, off)                                                                               \
	void *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;                           \
	if (d + 38 > e)                                                                            \
		return 2;                                                                          \
	__u16 *sp = d + 34;                                                                        \
	__u32 *a = d + off;                                                                        \
	__u16 v = bpf_ntohs(*sp) + 1;                                                              \
	*sp = bpf_htons(v);                                                                        \
	if (!v) {                                                                                  \
		__u32 x = bpf_ntohl(*a);                                                           \
		*a = bpf_htonl((x & 0xffff0000u) | ((x + 1) & 0xffffu));                           \
	}                                                                                          \
	bpf_tail_call(c, &jmp, 0)
SEC("tc") int walk_src(struct __sk_buff *c)
{
	WALK(c, 26);
	return 0;
}
SEC("tc") int walk_dst(struct __sk_buff *c)
{
	WALK(c, 30);
	return 0;
}
SEC("xdp") int xwalk_src(struct xdp_md *c)
{
	WALK(c, 26);
	return 2;
}
SEC("xdp") int xwalk_dst(struct xdp_md *c)
{
	WALK(c, 30);
	return 2;
}
char LICENSE[] SEC("license") = "GPL";
