/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cw_abi.h - everything that crosses the kernel boundary.
 *
 * The only header that the BPF programs and user space share besides the evaluator
 * (cw_eval.h). Fixed-width types, zeroed padding, sizes asserted, no pointers.
 * Addresses are in wire order; an IPv4 address in a 16-byte field is written as
 * ::ffff:a.b.c.d. Enum values are append-only: metrics, the store and tests read them.
 */
#pragma once

#include <linux/types.h>

#define CW_ABI_VERSION 1u /* part of every pin path: maps of another layout are never adopted */

/* ---- verdict vocabulary ------------------------------------------------------------- */

/* What a rule says. Order is precedence inside one tier: the larger wins. */
enum cw_action {
	CW_ACT_NONE,  /* nothing matched */
	CW_ACT_ALLOW,
	CW_ACT_ALERT, /* passes and raises an alert */
	CW_ACT_BLOCK,
	CW_ACT_COUNT
};

/* In the order they are asked. */
enum cw_tier {
	CW_TIER_NONE,
	CW_TIER_QUARANTINE,
	CW_TIER_ADMIN,
	CW_TIER_MANUAL,
	CW_TIER_NETWORKPOLICY,
	CW_TIER_LEARNED,
	CW_TIER_BASELINE,
	CW_TIER_DEFAULT, /* what nothing matches */
	CW_TIER_BUILTIN, /* allowed or refused whatever the tiers say (semantics, section 2) */
	CW_TIER_COUNT
};

enum cw_mode { CW_MODE_OFF, CW_MODE_LEARN, CW_MODE_ALERT, CW_MODE_ENFORCE, CW_MODE_COUNT };

/* What became of a packet or flow on one side. */
enum cw_outcome {
	CW_OUT_NONE,  /* this side was not judged here (not attached here, or mode off) */
	CW_OUT_ALLOW,
	CW_OUT_ALERT, /* passed, alert raised */
	CW_OUT_NO_RULE, /* learn, or default allow: nothing matched, passed */
	CW_OUT_WOULD_BLOCK, /* passed, would be dropped in enforce */
	CW_OUT_DROP,
	CW_OUT_COUNT
};

enum cw_side { CW_EGRESS, CW_INGRESS }; /* judged at the source; judged at the destination */

/* Kind of an address when it has no class entry of its own: picks the default class. */
enum cw_realm {
	CW_REALM_WORLD,   /* outside every known CIDR of the cluster */
	CW_REALM_POD,     /* a workload with an identity */
	CW_REALM_HOST,    /* this node, all its addresses */
	CW_REALM_NODE,    /* another node */
	CW_REALM_UNKNOWN, /* inside the cluster's CIDRs, no identity yet */
	CW_REALM_MULTICAST, /* multicast and broadcast */
	CW_REALM_COUNT,
	CW_REALM_SLOTS = 8 /* room kept in the head of a row table */
};

/* Reserved identity numbers; an effective identity with an empty CIDR set has the same number. */
enum cw_reserved_id {
	CW_ID_NONE,
	CW_ID_HOST,
	CW_ID_REMOTE_NODE,
	CW_ID_WORLD,
	CW_ID_UNKNOWN,
	CW_ID_MULTICAST,
	CW_ID_FIRST_USER = 256
};

/* Why a packet was dropped, or would be in enforce. */
enum cw_reason {
	CW_R_NONE,
	CW_R_RULE,	   /* a rule of the verdict's tier */
	CW_R_DEFAULT,	   /* nothing matched, the default blocks */
	CW_R_ISOLATED,	   /* a NetworkPolicy isolates the workload and none allows */
	CW_R_QUARANTINE,
	CW_R_IDENTITY_LATE, /* the peer is inside the cluster and not resolved yet */
	CW_R_SPOOF_IP,	   /* source address does not belong to the workload */
	CW_R_SPOOF_MAC,
	CW_R_SPOOF_ARP,	   /* ARP sender, or ND target, is not the workload's own */
	CW_R_MALFORMED,	   /* headers contradict themselves */
	CW_R_UNREADABLE,   /* headers not readable after a pull */
	CW_R_EXT_HEADERS,  /* too many or too long IPv6 extension headers, or out of order */
	CW_R_SOURCE_ROUTE, /* IPv4 source routing option, IPv6 routing header type 0 */
	CW_R_FRAG_ORPHAN,  /* later fragment whose first part was never seen */
	CW_R_FRAG_BAD,	   /* tiny first fragment, overlap, beyond 65,535 */
	CW_R_ICMP_UNRELATED, /* ICMP error that belongs to no allowed flow */
	CW_R_REDIRECT,	   /* router advertisement or redirect sent by a workload */
	CW_R_TUNNEL,	   /* encapsulation into the node's overlay */
	CW_R_ETHERTYPE,	   /* neither IPv4, IPv6 nor ARP */
	CW_R_NOT_MINE,	   /* flooded to the workload but addressed to somebody else */
	CW_R_NO_ENDPOINT,  /* hook without a configured endpoint, start closed */
	CW_R_SHIELD,	   /* XDP shield */
	CW_R_FLOW_TABLE,   /* flow could not be stored: judged without state (never a drop by itself) */
	CW_R_LOCAL_NODE,   /* builtin allow: this node to its own workload */
	CW_R_SELF,	   /* builtin allow: a workload to itself */
	CW_R_SERVICE_TRAFFIC, /* builtin allow: ARP, ND, DAD, MLD, DHCP */
	CW_R_RELATED,	   /* builtin allow: ICMP error of an allowed flow */
	CW_R_ESTABLISHED_CUT, /* was established, blocked after a change */
	CW_R_NO_POLICY,	   /* the policy tables have a hole: refused in enforce, reported always */
	CW_R_DNS_FULL,	   /* a DNS answer whose names could not be kept: the resolver asks again */
	CW_R_COUNT
};

/* ---- policy: group word, class, row --------------------------------------------------- */

/*
 * One axis for protocol and port: proto << 16 | port. ICMP and ICMPv6 put type << 8 | code in
 * the port half, protocols without ports 0. A row covers [0, CW_AXIS_END).
 */
#define CW_AXIS(proto, port) ((__u32)(proto) << 16 | (__u16)(port))
#define CW_AXIS_END 0x1000000u

/*
 * cw_word[group * 2 + side], one aligned 64-bit store switches a group's side:
 *   bits 63..32 generation (never 0), 31..30 mode, 29 quarantined, 28 reserved (0),
 *   27..0 base into cw_rowtab.
 * cw_rowtab[base + realm]                  default class of that realm
 * cw_rowtab[base + CW_REALM_SLOTS + class] row: offset << 32 | length (1..CW_ROW_MAX)
 * cw_rows[offset + i]                      interval start << 32 | verdict index, sorted;
 *                                          the first start is 0
 */
#define CW_WORD(gen, mode, quar, base) \
	((__u64)(__u32)(gen) << 32 | (__u64)((mode) & 3) << 30 | (__u64)((quar) & 1) << 29 | \
	 ((base) & 0x0fffffffu))
#define CW_WORD_GEN(w) ((__u32)((w) >> 32))
#define CW_WORD_MODE(w) ((__u32)((w) >> 30) & 3u)
#define CW_WORD_QUAR(w) ((__u32)((w) >> 29) & 1u)
#define CW_WORD_BASE(w) ((__u32)(w) & 0x0fffffffu)
#define CW_ROW_MAX 65536u  /* intervals in one row: 17 steps of binary search */
#define CW_ROW_STEPS 17

/*
 * cw_since[group * 2 + side], stored before the word that goes with it: from which generation on a
 * standing verdict is still good, and the generation whose cuts are told to the ends.
 *   bits 63..32 oldest generation whose passing flows go on without being judged again
 *   bits 31..0  generation (0: none) under which a flow that is cut gets a reset
 * A change with `keep` leaves the first half alone; every other one raises it to its own.
 */
#define CW_SINCE(keep, reset) ((__u64)(__u32)(keep) << 32 | (__u32)(reset))
#define CW_SINCE_KEEP(s) ((__u32)((s) >> 32))
#define CW_SINCE_RESET(s) ((__u32)(s))

/* cw_peers: only identities that differ from their realm's default class have an entry. */
struct cw_peer_key {
	__u32 gs;  /* group << 1 | enum cw_side */
	__u32 eid; /* effective identity of the peer */
};
_Static_assert(sizeof(struct cw_peer_key) == 8, "map key layout is ABI");

#define CW_V_REJECT 0x01u   /* answer a dropped packet with RST or ICMP prohibited */
#define CW_V_ALWAYS 0x02u   /* a tier named in enforceAlways blocks: drops in every mode but off */
#define CW_V_ISOLATED 0x04u /* block because NetworkPolicies isolate and none allows */
#define CW_V_ADV 0x08u	    /* the advisory half differs from the enforced one */

/* cw_verdicts[index]: what a verdict index means. Index 0 is "nothing, default allow". */
struct cw_verdict {
	__u32 rule;	 /* stable numeric rule id, 0 when no single rule decided */
	__u8 action;	 /* enum cw_action; the default is resolved: never CW_ACT_NONE */
	__u8 tier;	 /* enum cw_tier that decided */
	__u8 flags;	 /* CW_V_* */
	__u8 adv_action; /* advisory verdict: the same with rules in own mode `alert` included */
	__u32 adv_rule;
	__u8 adv_tier;
	__u8 pad[3];
};
_Static_assert(sizeof(struct cw_verdict) == 16, "map value layout is ABI");

/* ---- addresses ------------------------------------------------------------------------ */

struct cw_addr4_key {
	__be32 addr;
	__u32 zone; /* separates overlapping address domains; 0 by default */
};
struct cw_addr6_key {
	__u8 addr[16];
	__u32 zone;
};
struct cw_net4_key {
	__u32 plen; /* 32 (the zone, in full) + prefix length */
	__be32 zone;
	__be32 addr;
};
struct cw_net6_key {
	__u32 plen;
	__be32 zone;
	__u8 addr[16];
};

/* Value of the exact tables (cw_addr4, cw_addr6) and of the prefix tables (cw_net4, cw_net6). */
struct cw_addr {
	__u32 eid;   /* effective identity */
	__u32 group; /* policy group when the owner is attached here, else 0 (group 0 is unused) */
	__u32 wl;    /* owning workload's number on this node, 0 if not local */
	__u8 realm;  /* enum cw_realm */
	__u8 used;   /* set by the data path when a verdict used this entry */
	__u8 pad[2];
};
_Static_assert(sizeof(struct cw_addr4_key) == 8, "map key layout is ABI");
_Static_assert(sizeof(struct cw_addr6_key) == 20, "map key layout is ABI");
_Static_assert(sizeof(struct cw_net4_key) == 12, "map key layout is ABI");
_Static_assert(sizeof(struct cw_net6_key) == 24, "map key layout is ABI");
_Static_assert(sizeof(struct cw_addr) == 16, "map value layout is ABI");

/* ---- services --------------------------------------------------------------------------- */

/*
 * cw_svc: what stands behind an address and port, asked at the source before the address is
 * translated. Cluster, external and load balancer addresses by address; node ports under the
 * zero address, asked when the destination is a node. Backends that judge alike are one entry of
 * cw_backends[first .. first + n); the entry is replaced as a whole, its slots are fresh.
 */
struct cw_svc_key {
	__u8 addr[16];
	__u16 port;  /* host order */
	__u8 proto;
	__u8 family; /* 4 or 6: tells the two zero addresses apart */
};
struct cw_svc {
	__u32 eid;   /* the service's number, for accounts */
	__u32 first;
	__u16 n;     /* 1..CW_SVC_BACKENDS */
	__u16 pad;
	__u32 pad2;
};
#define CW_SVC_BACKENDS 16u /* distinct (identity, port) pairs behind one service port */
struct cw_backend {
	__u32 eid;
	__u32 wl;    /* the one workload behind this entry, when it is a single one and local */
	__u16 port;  /* host order, as the backend listens */
	__u8 realm;  /* enum cw_realm */
	__u8 pad;
	__u32 pad2;
};
_Static_assert(sizeof(struct cw_svc_key) == 20, "map key layout is ABI");
_Static_assert(sizeof(struct cw_svc) == 16, "map value layout is ABI");
_Static_assert(sizeof(struct cw_backend) == 16, "map value layout is ABI");

/* ---- names ------------------------------------------------------------------------------- */

/*
 * Names from DNS answers, per workload: one pod's answers open nothing for another. An address
 * may carry several; it is judged with each name's class, and the best of them holds (allow and
 * alert rules alone can name names, so the union is exact).
 *
 *   cw_fqdn[workload, address]   up to CW_FQDN_NAMES names, by their hash, and until when
 *   cw_dns_name[hash]            the name's text and its class: which patterns match it
 *   cw_dns_pattern[reversed]     longest pattern that a name falls under -> class
 *   cw_named[identity, class]    effective identity of an address that also carries such a name
 */
#define CW_FQDN_NAMES 4
struct cw_fqdn_key {
	__u32 wl;
	__u8 addr[16];
};
struct cw_fqdn_name {
	__u64 hash;  /* 0: slot empty */
	__u32 until; /* jiffies: end of its TTL and grace; the agent removes, the data path does not */
	__u32 pad;
};
struct cw_fqdn {
	struct cw_fqdn_name name[CW_FQDN_NAMES];
};
#define CW_DNS_NAME_MAX 254u /* lower case, with dots between labels, none at the end */
struct cw_dns_name {
	__u32 cls;   /* 0: no pattern matches */
	__u32 last;  /* jiffies of the last answer */
	__u8 len;
	char text[255];
};
/* "moc.elpmaxe.yap\0": exact names end in a zero, "*.example.com" is "moc.elpmaxe.". */
struct cw_dns_pattern_key {
	__u32 plen;  /* bits */
	char text[256];
};
struct cw_named_key {
	__u32 eid;   /* effective identity of the address alone */
	__u32 cls;
};
/* A question a workload asked: only its answer is believed. */
struct cw_dns_asked_key {
	__u8 resolver[16];
	__u32 wl;
	__be16 port; /* the workload's own */
	__be16 id;
};
struct cw_dns_asked {
	__u64 hash;  /* of the name */
	__u32 when;  /* jiffies */
	__u32 cls;   /* of the name, when it was asked */
};
_Static_assert(sizeof(struct cw_fqdn_key) == 20, "map key layout is ABI");
_Static_assert(sizeof(struct cw_fqdn) == 64, "map value layout is ABI");
_Static_assert(sizeof(struct cw_dns_name) == 264, "map value layout is ABI");
_Static_assert(sizeof(struct cw_dns_pattern_key) == 260, "map key layout is ABI");
_Static_assert(sizeof(struct cw_named_key) == 8, "map key layout is ABI");
_Static_assert(sizeof(struct cw_dns_asked_key) == 24, "map key layout is ABI");

/* cw_dns_stat[what], per CPU. */
enum cw_dns_count {
	CW_DNS_ANSWERS,	   /* read in full and kept */
	CW_DNS_UNASKED,	   /* nobody asked this, or not here: not believed */
	CW_DNS_FOREIGN,	   /* from an address that is no resolver: not believed */
	CW_DNS_UNREADABLE, /* fragments, compression in the question, cut short, too many records */
	CW_DNS_NO_ROOM,	   /* a share or a table is full */
	CW_DNS_DROPPED,	   /* of the two above: dropped, so that it is asked again */
	CW_DNS_UNSEEN,	   /* DNS over TCP or TLS: names that cannot be read */
	CW_DNS_RECORDS,	   /* addresses kept */
	CW_DNS_COUNTS = 16
};

/* ---- endpoints ------------------------------------------------------------------------ */

#define CW_EP_ATTACHED 0x01u /* configured; a zeroed entry is "no endpoint" */
#define CW_EP_NO_MAC 0x02u   /* no MAC guard (device without Ethernet addresses of its own) */
#define CW_EP_ROUTER 0x04u   /* trusted to send from and receive for foreign addresses */
#define CW_EP_TUNNEL 0x08u   /* trusted to send encapsulated traffic */
#define CW_EP_POD_SIDE 0x20u /* attached on the pod's own end: from the pod is the egress hook */
#define CW_EP_MIXED 0x40u    /* to the pod is judged at its own end, from the pod on the node */
#define CW_EP_CLOSED 0x10u   /* not resolved yet and configured closed: DNS and probes only */

/* cw_ep[endpoint]; written by the agent, read for each packet. */
struct cw_ep {
	__u32 wl;     /* workload number, never 0 */
	__u32 group;  /* group that speaks where the packet has no address of the workload */
	__u32 eid;    /* effective identity likewise */
	__u32 zone;
	__u8 mac[6];
	__u16 flags;  /* CW_EP_* */
	__u32 ifindex; /* where the attachment sits, for events only */
	__u32 pad;
};
_Static_assert(sizeof(struct cw_ep) == 32, "map value layout is ABI");

/*
 * Each attachment is a stub of a few instructions that puts CW_CB(endpoint, from_pod) into
 * skb->cb[0] and tail-calls slot CW_ENTRY_TC of the pinned cw_entry. An upgrade is one store
 * into that slot: all endpoints switch at once and no link is touched. XDP attachments do the same
 * with an array of their own (an array holds one type of program), cw_entry_xdp; which endpoint
 * they are of stands in cw_shield, by ifindex.
 */
#define CW_CB(ep, from_pod) ((__u32)(ep) << 1 | ((from_pod) & 1u))
#define CW_CB_EP(cb) ((cb) >> 1)
#define CW_CB_FROM_POD(cb) ((cb) & 1u)
enum cw_entry_slot { CW_ENTRY_TC, CW_ENTRY_SLOTS };

/* ---- flows ---------------------------------------------------------------------------- */

/*
 * Canonical: a is the smaller address, compared by 32-bit words as the processor reads them, the
 * last word first; between equal addresses the smaller port. ICMP queries: who asks has
 * the id, who is asked the request's type << 8; other ICMP: 0, and type << 8 | code at the
 * destination. So a flow's destination port is its point on the axis. Others: ports 0. Keys are aligned to 4 bytes.
 */
struct cw_flow4_key {
	__be32 a, b;
	__be16 pa, pb;
	__u16 zone; /* low half of the endpoint's zone */
	__u8 proto;
	__u8 pad;
};
struct cw_flow6_key {
	__u8 a[16], b[16];
	__be16 pa, pb;
	__u16 zone;
	__u8 proto;
	__u8 pad;
};
_Static_assert(sizeof(struct cw_flow4_key) == 16, "map key layout is ABI");
_Static_assert(sizeof(struct cw_flow6_key) == 40, "map key layout is ABI");

enum cw_flow_state {
	CW_FLOW_NEW,	   /* no reply yet */
	CW_FLOW_SYN,	   /* TCP: SYN seen */
	CW_FLOW_SYNACK,	   /* TCP: SYN answered */
	CW_FLOW_OPEN,	   /* established (TCP) or answered (others) */
	CW_FLOW_FIN,	   /* one side closed */
	CW_FLOW_CLOSED,	   /* both sides closed, or reset */
	CW_FLOW_STATES
};
#define CW_FLOW_F_B_ORIG 0x01u	 /* the originator is end b of the key */
#define CW_FLOW_F_ANSWERED 0x02u /* a reply was seen */
#define CW_FLOW_F_GUESSED 0x04u	 /* direction was guessed (mid-stream) */
#define CW_FLOW_F_SEEDED 0x08u	 /* taken over from the kernel's own tables */
#define CW_FLOW_F_FIN_ORIG 0x10u
#define CW_FLOW_F_FIN_REPLY 0x20u
#define CW_FLOW_F_SENDER 0x40u	 /* its source can send past its hook: the receiver asks for both sides */
#define CW_FLOW_F_ACCT_INGRESS 0x80u /* bytes are counted on the ingress side (else egress) */

/*
 * Where a flow's packets and bytes are counted: low 12 bits of the epoch it was registered
 * under, and a slot of cw_acct. A flow whose epoch is over registers again at its next packet.
 * Slot 0 is the sink: exact in sum, of no access of its own.
 */
#define CW_ACCT(epoch, slot) (((epoch) & 0xfffu) << 20 | ((slot) & 0xfffffu))
#define CW_ACCT_EPOCH(a) ((a) >> 20)
#define CW_ACCT_SLOT(a) ((a) & 0xfffffu)

/* A side in mode off records nothing, so being judged and being counted are two things. */
#define CW_COUNTED_FLOW 0x01u
#define CW_COUNTED_ANSWER 0x02u

/* One side's standing verdict. */
struct cw_flow_side {
	__u32 ep;	/* endpoint that was judged; 0 = not judged here */
	__u32 group;
	__u32 gen;	/* generation of cw_word[group*2+side] it was judged under; 0 = never */
	__u16 verdict;	/* low bits of the verdict index, for display; see cw_access for the truth */
	__u8 outcome;	/* enum cw_outcome */
	__u8 reason;	/* enum cw_reason */
};
struct cw_flow {
	struct cw_flow_side side[2]; /* by enum cw_side */
#ifdef CW_TEST_LAYOUT /* a build of another layout, for the tests of the upgrade */
	__u64 test_layout;
#endif
	__u32 seen;	/* jiffies (low 32 bits) of the last packet */
	__u32 born;	/* jiffies of the first packet */
	__u32 acct;	/* CW_ACCT(epoch, slot) */
	__u8 flags;	/* CW_FLOW_F_* */
	__u8 state;	/* enum cw_flow_state */
	__u8 pad;
	__u8 counted;	/* CW_COUNTED_*: what the accesses have of it */
};
_Static_assert(sizeof(struct cw_flow_side) == 16, "map value layout is ABI");
#ifndef CW_TEST_LAYOUT
_Static_assert(sizeof(struct cw_flow) == 48, "map value layout is ABI");
#endif

/* Fragments: CW_FRAG_SLOTS slots, two ways, for each endpoint, so that no pod can evict another's. */
#define CW_FRAG_SLOTS 64u
struct cw_frag {
	__u8 saddr[16], daddr[16];
	__u32 id;	/* IPv4 id (wire order in the low half) or IPv6 fragment id */
	__u32 seen;	/* jiffies; older than 10 s counts as empty */
	__u8 proto;	/* IPv4 only: an IPv6 packet is told by addresses and id (RFC 8200, 4.5) */
	__u8 from_pod;
	__u8 pass;	/* 1: the first fragment passed, 2: it was dropped, 0: slot empty */
	__u8 reason;
	__u32 acct;	/* CW_ACCT where the later ones count, 0: not on this side */
};
_Static_assert(sizeof(struct cw_frag) == 48, "map value layout is ABI");

/*
 * cw_listen: local ports that the workload's own sockets listen on, by the family they are asked
 * in; gives picked-up flows a direction.
 */
struct cw_listen_key {
	__u32 wl;
	__be16 port;
	__u8 proto;
	__u8 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct cw_listen_key) == 8, "map key layout is ABI");

/* ---- accounting ----------------------------------------------------------------------- */

/*
 * One entry per distinct access, cumulative, never deleted while it may still be added to.
 * Two tables are used in turn: cw_access0 while cw_ctl.epoch is even, cw_access1 while odd. `addr` is zero
 * unless one end has no identity: the destination when it is in the world or unknown, the
 * source when it is unknown. Sources in the world are counted by identity alone.
 */
struct cw_access_key {
	__u32 src;  /* effective identity */
	__u32 dst;
	__u8 addr[16];
	__u16 port; /* host order; ICMP: type << 8 | code; 0 for protocols without ports */
	__u8 proto;
	__u8 family; /* 4 or 6 */
	__u16 src_wl, dst_wl; /* which replica, where the workload is of this node; else 0 */
};
_Static_assert(sizeof(struct cw_access_key) == 32, "map key layout is ABI");

struct cw_access {
	__u64 flows;	/* flows opened, each counted once on this node */
	__u64 answered; /* flows that got an answer */
	__u64 cnt[2][CW_OUT_COUNT]; /* per side and outcome: flows judged; CW_OUT_DROP: packets dropped */
	__u32 verdict[2]; /* latest verdict index of each side */
	__u8 reason[2];	  /* latest enum cw_reason of each side */
	__u8 outcome[2];  /* latest enum cw_outcome of each side */
	__u32 first, last; /* jiffies */
	__u32 announced;   /* jiffies of the last event about this access */
	__u32 slot;	/* cw_acct slot: packets and bytes */
	__u32 wl;	/* workload whose share the entry uses */
	__u32 guessed;	/* flows whose direction was guessed */
	__u32 pad;
};
_Static_assert(sizeof(struct cw_access) == 152, "map value layout is ABI");

/* cw_acct[(epoch & 1) * acct_slots + slot], per CPU. */
struct cw_traffic {
	__u64 packets; /* segments: a GSO packet counts gso_segs */
	__u64 bytes;   /* as the stack sees them, Ethernet header included */
};

/* First spill: port and address folded away. Its table follows the same epochs. */
struct cw_pair_key {
	__u32 src, dst;
	__u32 wl;
	__u32 pad;
};
struct cw_pair {
	__u64 flows;
	__u64 drops;
	__u64 cnt[2][CW_OUT_COUNT];
	__u32 first, last;
};
_Static_assert(sizeof(struct cw_pair_key) == 16, "map key layout is ABI");
_Static_assert(sizeof(struct cw_pair) == 120, "map value layout is ABI");

/* cw_wl[workload]: last step of the spill ladder, and use of the shares. Cumulative. */
struct cw_wl {
	__u32 accesses[2]; /* entries of each table (epoch & 1) charged to this workload */
	__u32 pairs[2];
	__u64 pair_flows;  /* flows counted in the pair table instead of the access table */
	__u64 folded_flows; /* flows counted only here */
	__u64 folded_drops;
	__u32 names;	   /* entries of cw_fqdn charged to this workload */
	__u32 flags;	   /* CW_WL_*; written by the agent */
};
#define CW_WL_INSIDE 0x01u /* what it sends is judged at its own end, which it can send past */
_Static_assert(sizeof(struct cw_wl) == 48, "map value layout is ABI");

/* cw_vstat[verdict index], per CPU: hits of the rule behind it. */
struct cw_vstat {
	__u64 flows;   /* flows: first judgements of a side */
	__u64 packets; /* packets dropped (or, in advisory modes, flows that would be) */
	__u32 last;    /* jiffies */
	__u32 pad;
};

/* cw_reasons[reason], per CPU. */
struct cw_reason_stat {
	__u64 dropped; /* packets dropped */
	__u64 would;   /* packets that enforce would have dropped */
	__u64 passed;  /* builtin allows */
};

/* ---- control -------------------------------------------------------------------------- */

#define CW_CTL_LOCAL_NODE_ALLOW 0
#define CW_CTL_LOCAL_NODE_RULES 2

/* cw_ctl[0]: memory-mapped; run-time switches the data path reads. */
struct cw_ctl {
	__u32 abi;	   /* CW_ABI_VERSION */
	__u32 epoch;	   /* counts table switches; even and odd name the table in use */
	__u32 next_slot[2]; /* last cw_acct slot given out, by epoch & 1; slot 0 is the sink */
	__u32 acct_slots;  /* slots per epoch */
	__u32 share_accesses; /* entries one workload may have in one epoch's access table */
	__u32 share_pairs;
	__u32 local_node;  /* CW_CTL_LOCAL_NODE_* */
	__u32 event_gap;   /* jiffies between two events about one access and outcome */
	__u32 ephemeral_min; /* lowest port that is taken for a client's when a direction is guessed */
	__u32 takeover;	   /* 1 while flows are being carried over from a former set of maps */
	__u32 pad;
	__u64 now_jiffies; /* written by cw_now */
	__u64 now_ktime;
	__u64 events_lost; /* ring was full; atomic */
	__u64 access_lost; /* neither access, pair nor workload counter could take it; must stay 0 */
	__u64 flow_full;   /* flow inserts refused */
	__u64 slot_sink;   /* accesses without a traffic slot of their own */
	__u64 instance;	   /* random, of this set of maps: with the epoch it names a counter for good */
	__u32 services;	   /* entries of cw_svc; 0: no address is looked up there */
	__u32 names;	   /* name classes in use; 0: no address is judged by names */
	__u32 share_names; /* entries of cw_fqdn one workload may have */
	__u32 pad2;
};
_Static_assert(sizeof(struct cw_ctl) == 120, "map value layout is ABI");

/* ---- events --------------------------------------------------------------------------- */

enum cw_event_type {
	CW_EV_ACCESS = 1, /* an access was seen for the first time in this epoch */
	CW_EV_DROP,
	CW_EV_ALERT,	  /* alert action, or would-block */
	CW_EV_GUARD,	  /* spoofed, malformed, unreadable, fragments, ...: no access behind it */
	CW_EV_COUNT
};
struct cw_event {
	__u64 ktime;	/* CLOCK_MONOTONIC ns */
	__u32 type;	/* enum cw_event_type */
	__u32 ep;
	__u32 wl;
	__u32 src, dst; /* effective identities, 0 if not resolved */
	__u32 verdict;	/* verdict index */
	__u8 saddr[16], daddr[16];
	__u16 sport, dport; /* host order */
	__u8 proto, family;
	__u8 side;	/* enum cw_side */
	__u8 outcome;	/* enum cw_outcome */
	__u8 reason;	/* enum cw_reason */
	__u8 mode;	/* enum cw_mode of the judging side */
	__u16 ethertype; /* host order */
	__u32 len;	/* bytes of the packet */
};
_Static_assert(sizeof(struct cw_event) == 80, "event layout is ABI");

/* ---- XDP shield ------------------------------------------------------------------------ */

#define CW_SHIELD_CUT 0x01u  /* quarantined: only ARP, ND and allowed addresses pass */
#define CW_SHIELD_NETS 0x02u /* sources in cw_shield4/6 are dropped */
#define CW_SHIELD_TO_POD 0x04u /* cw_xdp_main sits on the pod's own end: packets go to the pod */
struct cw_shield {	     /* cw_shield[ifindex]; also tells cw_xdp_main its endpoint */
	__u32 flags;
	__u32 ep;
};

/* ---- probes ------------------------------------------------------------------------------ */

/*
 * The agent's own frame, sent into or out of a workload to see whether the hook is there: ethertype
 * CW_ETHERTYPE_PROBE (set aside by IEEE 802 for local experiments), then the random cw_probe_magic.
 * A hook counts it in cw_probe[endpoint * 2 + from_pod] and drops it: it gets nowhere.
 */
#define CW_ETHERTYPE_PROBE 0x88b5
#define CW_PROBE(ep, from_pod) ((__u32)(ep) << 1 | ((from_pod) & 1u))

/* ---- names and default sizes ------------------------------------------------------------ */

#define CW_PIN_ROOT "/sys/fs/bpf/cellwall"
#define CW_MAX_EPS 4096u
#define CW_MAX_GROUPS 16384u
#define CW_MAX_WLS 4096u /* at most 65,536: access keys hold 16 bits */
#define CW_MAX_VERDICTS 65536u
#define CW_MAX_ADDRS 262144u
#define CW_MAX_NETS 65536u
#define CW_MAX_PEERS 1048576u
#define CW_MAX_ROWTAB 1048576u
#define CW_MAX_ROWS 4194304u
#define CW_MAX_FLOWS 524288u
#define CW_MAX_ACCESSES 65536u
#define CW_MAX_PAIRS 32768u
#define CW_MAX_SVCS 65536u	/* service addresses times ports */
#define CW_MAX_BACKENDS 131072u
#define CW_MAX_FQDNS 65536u
#define CW_MAX_DNS_NAMES 16384u
#define CW_MAX_DNS_PATTERNS 8192u
#define CW_MAX_NAMED 65536u
