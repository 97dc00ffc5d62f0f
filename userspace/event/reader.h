/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - the data path's events on the loop. They are announcements: some may be lost (the
 * kernel counts them in cw_ctl.events_lost), none is needed for accounting. Every record is
 * checked for size, type and ranges before anybody sees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cw_abi.h"

typedef struct uv_loop_s uv_loop_t;
struct event_reader;

struct event_reader_config {
	uint32_t budget;	/* records per wake-up; 0: EVENT_BUDGET */
	uint32_t poll_ms;	/* look also that often, for producers that do not wake; 0: never */
};
#define EVENT_BUDGET 512u

struct event_stats {
	uint64_t records;	/* delivered */
	uint64_t malformed;	/* wrong size, type or range: dropped */
	uint64_t budget_hits;	/* wake-ups that left records for the next */
};

/* Runs on the loop thread; must not block. ev is valid during the call only. */
typedef void event_fn(void *arg, const struct cw_event *ev);

/* ring_fd (a ring buffer map) is duplicated. -EINVAL: not a ring buffer. */
int event_reader_open(uv_loop_t *loop, int ring_fd, const struct event_reader_config *cfg,
		      event_fn *fn, void *arg, struct event_reader **ret);
/* Asynchronous, idempotent; done (may be NULL) runs when the reader is gone. */
void event_reader_close(struct event_reader *r, void (*done)(void *arg), void *arg);
void event_reader_stats(const struct event_reader *r, struct event_stats *ret);
/* Delivers what waits now, up to the budget: for commands that must not be a wake-up behind.
 * Returns how many. */
int event_reader_drain(struct event_reader *r);

/* 0, or -EBADMSG with a short text why; pure. */
int event_check(const void *p, size_t len, const char **ret_why);
