/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * work.h - one packet's working state on the slow path, in a per-CPU slot.
 *
 * The slow path is a chain of global functions, each verified on its own; they hand the packet
 * over here instead of on the stack. Both hooks run with softirqs off, so a CPU has one packet.
 */
#pragma once

#include "maps.h"
#include "parse.h"

const volatile __u32 cw_hz = 250;	 /* jiffies per second, measured by the loader */
const volatile __u32 cw_test_delay = 0; /* test builds: iterations between the evaluator's reads */
const volatile __u32 cw_mark = 0x5ce11a11; /* marks our own answers on their way; the loader makes it random */

#define CW_GLOBAL __attribute__((noinline)) /* verified on its own */

/* What a step says: TC_ACT_REDIRECT (7) may come out of reject and is returned as it is. */
enum cw_step { CW_S_PASS, CW_S_DROP, CW_S_GO_ON };

/*
 * A forged packet that is let through (learn, alert, off) carries this in skb->tc_index to the
 * receiving workload's hook on the same node, which then leaves it out of flows and accounts. The
 * mark would do too, but other software routes and filters by marks. A workload that sets the
 * index itself only keeps its own packets from being learned.
 */
#define CW_FORGED_TAG ((__u16)(cw_mark | 1))

struct cw_work {
	struct cw_pkt p, q;	/* the packet; the packet inside an ICMP error */
	struct cw_addr l, r;	/* the workload's own address; the peer's */
	struct cw_flow f;	/* image of a new flow */
	union {
		__u64 align;
		struct cw_flow4_key k4;
		struct cw_flow6_key k6;
	};
	struct cw_access_key ak;
	struct cw_access acc;	/* images of new entries */
	struct cw_pair pair;
	struct cw_verdict v;
	union {		/* keys too large for the stack that is left at that depth */
		struct cw_svc_key svc;
		struct {
			struct cw_fqdn_key addr;
			struct cw_named_key cls;
		} fqdn;
	} k;
	struct cw_svc svc;	/* what stands behind the destination; n 0: it is no service */
	struct {	/* one question to the evaluator, and its answer */
		__u64 word;
		__u32 gs, eid, realm, axis;
		__u32 verdict;
		struct cw_verdict v;
	} ask;
	__u64 word;
	__u32 ep, wl, group, eid, zone, ifindex;
	__u32 verdict;
	__u32 mcast;		/* effective identity of the multicast destination, or 0 */
	__u32 now;		/* jiffies */
	__u32 len, segs;
	__u16 epflags;
	__u8 mac[6];
	__u8 from_pod, reply, guessed, side;
	__u8 mode, quar;	/* of the endpoint's group, then of the judging word */
	__u8 outcome, reason;
	__u8 a_is_src;		/* the packet's source is end a of the flow key */
	__u8 count_flow;	/* this judgement opens the flow: count it once */
	__u8 count_side;	/* first judgement of this side: count its outcome */
	__u8 cut;		/* an established flow is being cut */
	__u8 tell;		/* both ends of the cut flow get a reset */
	__u8 forged;		/* passes with a source that is not its sender's */
	__u8 buf[128];		/* headers being read or built by reject */
	__u32 sum;
	__be32 seq;		/* of the packet that reject turned into its answer */
	__u8 chunk[256];
};

CW_MAP(cw_scratch, PERCPU_ARRAY, __u32, struct cw_work, 1, 0);

CW_INLINE struct cw_work *cw_work(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cw_scratch, &zero);
}

CW_INLINE struct cw_ctl *cw_ctl_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cw_ctl, &zero);
}

CW_INLINE void cw_reason_count(__u32 reason, __u32 what, __u64 n)
{
	struct cw_reason_stat *s = bpf_map_lookup_elem(&cw_reasons, &reason);

	if (!s)
		return;
	if (what == CW_OUT_DROP)
		s->dropped += n;
	else if (what == CW_OUT_WOULD_BLOCK)
		s->would += n;
	else
		s->passed += n;
}
