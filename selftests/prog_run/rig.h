/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - the loaded data path with a small world around it: programs in the kernel, small maps,
 * nothing pinned or attached, frames run by BPF_PROG_TEST_RUN.
 *
 * The world: pods 1 to 3 (endpoint = workload = group = number), the node, another node, the
 * cluster's CIDR and the rest. Failing set-up ends the test.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "maps/access_maps.h"
#include "maps/addr_maps.h"
#include "maps/flow_maps.h"
#include "maps/maps.h"
#include "maps/policy_maps.h"
#include "selftests/harness/packet.h"

#define RIG_EVENTS 4096u
#define RIG_PROBE_MAGIC 0x5ca1ab1eu /* what the agent's own probe frames carry here */

/* What a frame's run gives. */
#define PASS (-1)	/* TC_ACT_UNSPEC: no objection */
#define DROP 2		/* TC_ACT_SHOT */
#define REDIRECT 7

struct bpf_object;
struct ring_buffer;
struct rig {
	struct bpf_object *tc, *xdp;
	struct maps *m;
	struct ring_buffer *rb;
	struct cw_ctl *ctl;
	uint32_t hz, gen;
	uint32_t rowtab_at, rows_at;
	int main_fd, xdp_fd, shield_fd;
	bool big;		/* sizes of rig_open_big() */
	bool via_xdp;		/* rig_run() takes the XDP program */
	struct cw_event ev[RIG_EVENTS];
	uint32_t nev;
	unsigned char out[PKT_MAX];
	uint32_t out_len;
};

/* Loads the objects built beside this program (or those of $CW_BPF_DIR), with rodata cw_test_delay = delay. */
int rig_open(struct rig *r, uint32_t delay);
int rig_open_big(struct rig *r, uint32_t delay); /* room for what the compiler makes of a cluster */
void rig_close(struct rig *r);
int rig_map(struct rig *r, const char *name); /* borrowed descriptor */

/* cmocka: a fresh rig in *state, the world laid, all three pods in enforce without rules. */
int rig_setup(void **state);
int rig_setup_xdp(void **state);
int rig_teardown(void **state);
/* main() of a prog_run test: exit 77 with a reason when programs cannot be loaded here. */
int rig_main(const char *name, int (*run)(void));

/* ---- the world ------------------------------------------------------------------------------ */

enum { POD_A = 1, POD_B, POD_C, PODS = 3 };
#define EID(pod) (1000u + (pod))
#define GROUP(pod) ((uint32_t)(pod))
#define EID_LAB 900u		/* a named world prefix, 203.0.113.0/24 and 2001:db8:c::/48 */
extern const uint8_t MAC[PODS + 1][6], MAC_GW[6];
extern const char *const IP4[PODS + 1], *const IP6[PODS + 1], *const LL6[PODS + 1];
#define HOST4 "10.0.0.1"
#define HOST6 "fd00::1"
#define NODE4 "10.0.0.2"
#define NODE6 "fd00::2"
#define UNK4 "10.0.77.7"
#define UNK6 "fd00::77:7"
#define WORLD4 "198.51.100.7"
#define WORLD6 "2001:db8::7"
#define LAB4 "203.0.113.9"
#define LAB6 "2001:db8:c::9"

/* What a cell of a row says: index in cw_verdicts. */
enum {
	V_PASS_DEFAULT,	/* nothing matched, default allow */
	V_BLOCK_DEFAULT,
	V_ALLOW, V_ALERT, V_BLOCK, V_REJECT,
	V_LEARNED, V_ADMIN_BLOCK,
	V_ISOLATED, V_ALWAYS,
	V_QUAR, V_QUAR_ALLOW,
	V_ADV_BLOCK,	/* allow; with simulated rules block */
	V_ADV_ALERT,	/* allow; with simulated rules alert */
	V_ADV_DEFAULT,	/* nothing matched, default block; with simulated rules allow */
	V_COUNT
};
#define RULE_OF(v) ((uint32_t)(v) + 5000u)

/* One cell: on [lo, hi] of the axis, towards one identity (0: everybody), verdict v. */
struct rig_cell { uint32_t eid, lo, hi, v; };
#define ALL_PORTS 0, CW_AXIS_END - 1
#define PORT(proto, p) CW_AXIS(proto, p), CW_AXIS(proto, p)
/* Makes a group's side anew under a new generation; what no cell covers is `dflt`. */
void rig_side(struct rig *r, uint32_t group, enum cw_side side, enum cw_mode mode, bool quar,
	      uint32_t dflt, const struct rig_cell *cells, size_t n);
#define CELLS(...) (const struct rig_cell[]){ __VA_ARGS__ }, \
	sizeof((const struct rig_cell[]){ __VA_ARGS__ }) / sizeof(struct rig_cell)
/* Both sides the same, one verdict for everything. */
void rig_all(struct rig *r, uint32_t group, enum cw_mode mode, uint32_t v);
void rig_ep_flags(struct rig *r, int pod, uint16_t flags); /* besides CW_EP_ATTACHED */

/* ---- running --------------------------------------------------------------------------------- */

struct rig_opt {
	uint32_t repeat, gso_size, gso_segs, mark;
};
/* Runs a frame at the pod's hook; the program's verdict, with XDP's put in TC's words. */
int rig_run_opt(struct rig *r, int pod, bool from_pod, const struct pkt *p, const struct rig_opt *o);
int rig_run(struct rig *r, int pod, bool from_pod, const struct pkt *p);
#define FROM true
#define TO false

/* Frames from and to a pod, with the right MACs. */
struct pkt frame_l3(int pod, bool from_pod, const char *src, const char *dst);
struct pkt frame_tcp(int pod, bool from_pod, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		     uint8_t flags);
struct pkt frame_udp(int pod, bool from_pod, const char *src, const char *dst, uint16_t sport, uint16_t dport);
struct pkt frame_icmp(int pod, bool from_pod, const char *src, const char *dst, uint8_t type, uint8_t code,
		      uint16_t id);
int send_tcp(struct rig *r, int pod, bool from_pod, const char *src, const char *dst, uint16_t sport,
	     uint16_t dport, uint8_t flags);
int send_udp(struct rig *r, int pod, bool from_pod, const char *src, const char *dst, uint16_t sport,
	     uint16_t dport);
int send_icmp(struct rig *r, int pod, bool from_pod, const char *src, const char *dst, uint8_t type,
	      uint8_t code, uint16_t id);

/* ---- what was left behind ------------------------------------------------------------------------ */

void rig_clear(struct rig *r); /* flows, fragments, accesses, counters, gates, events */
struct cw_reason_stat rig_reason(struct rig *r, enum cw_reason reason);
uint64_t rig_reasons_sum(struct rig *r, bool dropped); /* dropped, or would; over all reasons */
uint32_t rig_events(struct rig *r);	/* reads the ring into ev[]; how many since rig_clear() */
/* An access of the epoch in use by its ends, protocol and port, either family; false: none or several. */
bool rig_access(struct rig *r, uint32_t src, uint32_t dst, uint8_t proto, uint16_t port, struct access_row *ret);
uint32_t rig_accesses(struct rig *r); /* entries in the table in use */
/* The flow between two ends, ports in that order. */
bool rig_flow(struct rig *r, const char *a, uint16_t pa, const char *b, uint16_t pb, uint8_t proto,
	      struct cw_flow *ret);
uint32_t rig_flows(struct rig *r);
/* Makes a flow look as if it had been idle for so long; or writes it altogether. */
void rig_flow_age(struct rig *r, const char *a, uint16_t pa, const char *b, uint16_t pb, uint8_t proto, uint32_t secs);
void rig_flow_put(struct rig *r, const char *a, uint16_t pa, const char *b, uint16_t pb, uint8_t proto,
		  const struct cw_flow *f);
void rig_frags_age(struct rig *r, uint32_t secs);
uint32_t rig_jiffies(struct rig *r);
struct addr rig_addr(const char *s);
