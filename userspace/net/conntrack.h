/* SPDX-License-Identifier: Apache-2.0 */
/* conntrack.h - the kernel's own connection table of a namespace, read once (for seeding). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* One direction. Ports in host order; of ICMP the type, code and id instead. */
struct conntrack_tuple {
	struct addr src, dst;
	uint16_t sport, dport;
	uint16_t icmp_id;
	uint8_t icmp_type, icmp_code;
	uint16_t zone;
};

struct conntrack_entry {
	/* What the originator sent, and what an answer looks like: they differ by more than a swap
	 * when the connection is translated. */
	struct conntrack_tuple orig, reply;
	uint8_t proto;		/* IPPROTO_* */
	uint8_t v6;
	uint8_t tcp_state;	/* TCP_CONNTRACK_*; 0 when not TCP */
	uint32_t status;	/* IPS_*: see the two functions below */
	uint32_t timeout_s;	/* left */
	uint32_t mark;
};

bool conntrack_answered(const struct conntrack_entry *e);	/* IPS_SEEN_REPLY */
bool conntrack_translated(const struct conntrack_entry *e);	/* IPS_NAT_MASK */

struct conntrack_stats {
	size_t entries;		/* given to fn */
	size_t skipped;		/* without a whole tuple, or of another family */
	bool interrupted;	/* the table changed while read: entries may miss or come twice */
};

/*
 * Every entry of both families in a namespace (fd -1: own), at most max. Stops when fn returns
 * non-zero and returns that. -E2BIG after max entries, -ENOENT when the kernel has no connection
 * tracking to ask, -ETIMEDOUT when it stays silent. Blocks: a table of a million entries takes
 * about a second, so call it off the loop thread. ret_stats may be NULL, and is filled whenever
 * the dump began.
 */
int conntrack_dump(int netns_fd, size_t max,
		   int (*fn)(void *arg, const struct conntrack_entry *e), void *arg,
		   struct conntrack_stats *ret_stats);
