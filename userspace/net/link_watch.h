/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_watch.h - changes of interfaces, addresses and namespace numbers, as they happen.
 *
 * The socket lives in the watched namespace and keeps it alive, so watch only a namespace that
 * is to stay (the node's own) and hear of the others with LINK_WATCH_ALL: the kernel then
 * delivers the changes of every namespace that the watched one has a number for, and it has one
 * for each namespace in which a veth peer of it sits.
 *
 * To keep a table current: open the watch, dump (link_table_fill), apply each change. A loss
 * (resync) means: dump again. Loop thread only.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "net/link_table.h"

#define LINK_WATCH_ALL 0x1u	/* also the namespaces with a number; needs CAP_NET_BROADCAST */

/* Messages read per wake-up; more wait for the next turn of the loop. */
#define LINK_WATCH_BUDGET 64u
#define LINK_WATCH_RCVBUF (4u << 20)	/* bytes */

struct link_watch;

struct link_watch_ops {
	/* One change. It may close the watch. */
	void (*change)(void *arg, const struct link_change *c);
	/* Changes were lost (overrun): dump again. Comes after all changes that were not lost. */
	void (*resync)(void *arg);
};

struct link_watch_stats {
	uint64_t changes;	/* handed to the callback */
	uint64_t lost;		/* overruns, each followed by resync */
	uint64_t malformed;	/* messages that could not be decoded */
	uint64_t foreign;	/* messages not from the kernel, dropped */
	uint64_t wakeups;
};

/* Starts a watch of a namespace (fd -1: own; not kept). rcvbuf 0 means LINK_WATCH_RCVBUF. */
int link_watch_open(uv_loop_t *loop, int netns_fd, unsigned flags, uint32_t rcvbuf,
		    const struct link_watch_ops *ops, void *arg, struct link_watch **ret);
/* Asynchronous, idempotent; no callback but `done` (may be NULL) comes after it returns. */
void link_watch_close(struct link_watch *w, void (*done)(void *arg), void *arg);
void link_watch_stats(const struct link_watch *w, struct link_watch_stats *ret);
