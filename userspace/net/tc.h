/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tc.h - the clsact qdisc and bpf direct-action filters of one namespace, over netlink.
 *
 * The fallback where tcx links are missing. Ours are told from foreign filters by handle,
 * priority and name together; a foreign filter is never replaced or deleted.
 * All calls block for one short exchange with the kernel.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TC_NAME_MAX 64u		/* filter name with NUL */
#define TC_KIND_MAX 16u
#define TC_FILTERS_MAX 4096u	/* per direction; a dump stops with -E2BIG beyond */

struct tc; /* a netlink socket that lives in one namespace */

enum tc_dir { TC_INGRESS, TC_EGRESS };

/* One place for a filter, and how it looks there. */
struct tc_slot {
	uint32_t ifindex;
	enum tc_dir dir;
	uint32_t handle;	/* not 0 */
	uint16_t prio;		/* not 0; lower runs first */
	const char *name;	/* shorter than TC_NAME_MAX */
};

/* A filter as the kernel lists it. */
struct tc_filter {
	uint32_t handle, chain;
	uint16_t prio, proto;		/* proto: ETH_P_*, host order */
	char kind[TC_KIND_MAX];		/* "bpf", "u32", ... */
	char name[TC_NAME_MAX];		/* of a bpf filter */
	uint32_t prog_id;		/* of a bpf filter; 0: none */
	bool direct_action;
};

/* Opens a socket inside the namespace (fd -1: own). It keeps that namespace alive: close soon. */
int tc_open(int netns_fd, struct tc **ret);
void tc_close(struct tc *t);
void tc_closep(struct tc **t); /* for auto_cleanup */

/*
 * Makes sure the interface has a clsact qdisc. *ret_made tells whether this call made it (the
 * one who made it may remove it). -ENODEV; -EBUSY: an ingress qdisc, which has no egress side,
 * is in its place.
 */
int tc_clsact_add(struct tc *t, uint32_t ifindex, bool *ret_made);
/* 1 there, 0 not there, -EBUSY as above, -ENODEV. */
int tc_clsact_has(struct tc *t, uint32_t ifindex);
/*
 * Removes clsact if no filter is left on either side. For the one who made it only. 0 also
 * when there is none; -ENOTEMPTY when filters are left. Between look and removal another
 * program may add a filter, which then goes too: the kernel has no conditional removal.
 */
int tc_clsact_del(struct tc *t, uint32_t ifindex);

/*
 * Puts the program into the slot as a direct-action filter for all protocols: adds it, or
 * replaces ours at once and without a gap. -EEXIST: the handle at that priority belongs to
 * another program's filter; -EBUSY: the priority belongs to another kind of filter;
 * -ENODEV: no interface; -ENOENT: no clsact.
 */
int tc_filter_set(struct tc *t, const struct tc_slot *s, int prog_fd);
/* What is in the slot. -ENOENT nothing, -EEXIST a foreign filter. */
int tc_filter_get(struct tc *t, const struct tc_slot *s, struct tc_filter *ret);
/* Deletes ours. 0 also when nothing is there; -EEXIST: foreign, left alone. */
int tc_filter_del(struct tc *t, const struct tc_slot *s);
/* Every filter of one side, in the order they run. Stops when fn returns non-zero. */
int tc_filter_dump(struct tc *t, uint32_t ifindex, enum tc_dir dir,
		   int (*fn)(void *arg, const struct tc_filter *f), void *arg);
/* Whether a listed filter is the one of the slot. */
bool tc_filter_is(const struct tc_filter *f, const struct tc_slot *s);
