/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cw_tc.bpf.c - the TC programs (tcx or clsact). Every attachment is a stub that names its
 * endpoint and direction in skb->cb[0] and tail-calls cw_main, so one store upgrades all.
 */
#include "ctx_tc.h"
#include "path.h"
#include "fast.h"

SEC("tc")
int cw_main(struct __sk_buff *skb)
{
	__u32 cb = skb->cb[0], ep = CW_CB_EP(cb), from_pod = CW_CB_FROM_POD(cb);
	struct cw_ep *e = bpf_map_lookup_elem(&cw_ep, &ep);
	int r = CW_S_GO_ON;

	if (!e || !(e->flags & CW_EP_ATTACHED))
		return CW_RET_PASS;
	if (!(e->flags & CW_EP_CLOSED) && !skb->vlan_present && skb->tc_index != CW_FORGED_TAG)
		r = cw_fast(skb, e, ep, from_pod);
	if (r == CW_S_GO_ON)
		r = cw_slow(skb, ep, from_pod);
	if (r == CW_S_PASS)
		return CW_RET_PASS;
	return r == CW_S_DROP ? CW_RET_DROP : r; /* a redirect made by reject is returned as it is */
}

/* Run by the agent through BPF_PROG_TEST_RUN: what time it is in the data path's units. */
SEC("socket")
int cw_now(struct __sk_buff *skb)
{
	struct cw_ctl *c = cw_ctl_get();

	if (c) {
		c->now_jiffies = bpf_jiffies64();
		c->now_ktime = bpf_ktime_get_ns();
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
