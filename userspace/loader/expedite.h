/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expedite.h - short RCU waits while hooks are put up. Each tcx attachment waits for one under the
 * network lock, tens of milliseconds on a busy machine, so that no two workloads of a storm are
 * attached at once. The kernel's own switch makes it microseconds, at the price of interrupting
 * busy processors, as moving an interface between namespaces does anyway.
 *
 * The switch is the whole machine's, so it is on only while it is needed, and a file stands
 * meanwhile by which whoever comes after a killed process switches it back. Where somebody else
 * has it on it is left alone. Any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct expedite {
	pthread_mutex_t lock;
	unsigned users;
	bool ours;	/* on, by us */
	char *mark;	/* NULL: not used */
};

/* Zeroed before. 0, -ENOMEM; -EROFS the switch cannot be used here. */
int expedite_open(struct expedite *e, const char *mark, bool use);
void expedite_done(struct expedite *e);
void expedite_begin(struct expedite *e);
void expedite_end(struct expedite *e);
/* Switches back what a former process left on. */
void expedite_restore(const char *mark);
