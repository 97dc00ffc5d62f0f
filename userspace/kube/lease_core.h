/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease_core.h - the decisions of leader election, without I/O: what the record said and when we saw
 * it change, whether we may take it, whether we still hold it. Times are of one monotonic clock, ours.
 * Private to kube/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LEASE_ID_MAX 254u

struct lease_record {
	bool there;
	char holder[LEASE_ID_MAX]; /* "" nobody */
	char version[64];	   /* resourceVersion */
	char renew_time[40], acquire_time[40]; /* as they stand there: compared, never read as times */
	uint32_t duration_s;
	uint32_t transitions;
};

enum lease_do { LEASE_WAIT, LEASE_CREATE, LEASE_UPDATE };

struct lease_core {
	const char *identity;
	uint32_t duration_ms, renew_ms;
	bool leading;
	uint64_t renewed_ms;	 /* leading: when the last write that succeeded was *begun* */
	bool seen;
	char wrote[40];		 /* renew_time of our last write, whether it was answered or not */
	struct lease_record rec; /* as last seen */
	uint64_t seen_ms;	 /* when it was seen to change */
};

/* A record was read (or found absent). */
void lease_core_saw(struct lease_core *l, const struct lease_record *r, uint64_t now);
/* What to do about what was seen. */
enum lease_do lease_core_next(const struct lease_core *l, uint64_t now);
/* Our write, begun at `begun`, was answered with this record: we lead. */
void lease_core_wrote(struct lease_core *l, const struct lease_record *r, uint64_t begun, uint64_t now);
/* How many ms the leader has left to renew; 0: it leads no longer. */
uint64_t lease_core_left(const struct lease_core *l, uint64_t now);
/* The record to write: ours. now_text differs from that of any write before. */
struct lease_record lease_core_record(struct lease_core *l, const char *now_text);
