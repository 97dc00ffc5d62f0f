/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps.h - the kernel's tables, typed. One `struct maps` is one set; no descriptor and no
 * untyped pointer leaves this room. Policy: policy_maps.h, addresses and endpoints: addr_maps.h,
 * flows: flow_maps.h, accounting: access_maps.h, the compiler's sink: sink.h.
 *
 * One thread writes policy and addresses; reads and the functions that say so may run on any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cw_abi.h"

struct maps;

/*
 * Takes a set: fd_of(arg, "cw_ep") gives a borrowed descriptor or a negative errno (loader_fd_of
 * has this shape). Descriptors are duplicated. Every map is checked for its kind and sizes.
 * -EPROTO a map of another shape, or another ABI version in cw_ctl; -ENOENT a map is missing;
 * bad, if not NULL, then names the map.
 */
int maps_open(int (*fd_of)(void *arg, const char *map), void *arg, struct maps **ret,
	      const char **bad);
/*
 * The same for a set that only gives its counters any more, left by another release: only
 * ctl_read, access_map_*, wl_map_read and verdict_load may be asked. Flow and policy tables may
 * have any shape.
 */
int maps_open_counters(int (*fd_of)(void *arg, const char *map), void *arg, struct maps **ret,
		       const char **bad);
void maps_free(struct maps *m);

/* Room of every table: what the compiler must not exceed. */
struct maps_room {
	uint32_t eps, groups, wls, verdicts, rowtab, rows, peers, addrs4, addrs6, nets4, nets6;
	uint32_t flows4, flows6, listen, accesses, pairs, acct_slots, shield, shield_nets;
	uint32_t patterns, named;
	uint32_t svcs, backends;
	uint32_t fqdns, dns_names;
};
void maps_room(const struct maps *m, struct maps_room *ret);
/* Bytes of kernel memory that the set's tables are charged for; 0 where the kernel does not say. */
uint64_t maps_memory(const struct maps *m);

/*
 * Waits until every program run that was going on when it was called has ended. Some 10 ms,
 * 100 ms on a busy machine: never on the loop thread. Any thread.
 */
int maps_grace(struct maps *m);

/* ---- cw_ctl: atomic accessors of the mapped struct; any thread --------------------------- */

struct ctl_settings {
	uint32_t share_accesses, share_pairs; /* per workload and epoch */
	uint32_t local_node;	/* CW_CTL_LOCAL_NODE_* */
	uint32_t event_gap;	/* jiffies */
	uint32_t ephemeral_min;
};
void ctl_set(struct maps *m, const struct ctl_settings *s);
/* While flows are carried over: datagrams from low to ephemeral ports are taken for answers. */
void ctl_takeover(struct maps *m, bool on);

struct ctl_counters {
	uint32_t abi, epoch;
	uint64_t instance;
	uint32_t acct_slots, next_slot[2];
	uint64_t events_lost, access_lost, flow_full, slot_sink;
};
void ctl_read(const struct maps *m, struct ctl_counters *ret);

/* The data path's clock at one moment: places 32-bit jiffies stamps in time. */
struct maps_clock {
	uint64_t jiffies;	/* at `mono_ns` */
	uint64_t mono_ns;	/* CLOCK_MONOTONIC */
	int64_t unix_ns;	/* CLOCK_REALTIME at the same moment */
	uint32_t hz;
};
/* Runs the program cw_now once (test run); fd borrowed. hz is taken as given. Any thread. */
int maps_clock(struct maps *m, int prog_now_fd, uint32_t hz, struct maps_clock *ret);
/* How long ago a stamp was, in ms; stamps in the future (races) give 0. Wraps after 2^31 ticks. */
uint64_t clock_age_ms(const struct maps_clock *c, uint32_t stamp);
/* Unix time of a stamp. */
int64_t clock_unix_ns(const struct maps_clock *c, uint32_t stamp);
