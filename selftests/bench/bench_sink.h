/* SPDX-License-Identifier: Apache-2.0 */
/* bench_sink.h - a sink that counts, a clock, and steps as lines of a table. For single-file tools. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/compile.h"

static uint64_t peers_written;

static int peers_set(void *arg, const struct cw_peer_key *k, const uint32_t *cls, size_t n)
{
	(void)k, (void)cls;
	*(uint64_t *)arg += n;
	return 0;
}

/* Leads nowhere, but counts the class entries. */
static struct policy_sink counting_sink(void)
{
	struct policy_sink sink = policy_sink_nowhere;

	sink.peers_set = peers_set;
	sink.arg = &peers_written;
	return sink;
}

static char *text(const char *fmt, uint32_t a, uint32_t b)
{
	char buf[64];
	char *s;

	snprintf(buf, sizeof(buf), fmt, a, b);
	s = strdup(buf);
	if (!s)
		abort();
	return s;
}

static void *some(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

static void label(struct labels *l, const char *k, const char *v)
{
	if (labels_set(l, k, v))
		abort();
}

static struct addr pod_addr(uint32_t i)
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff, [12] = 10 } };

	a.b[13] = (uint8_t)(20 + (i >> 16));
	a.b[14] = (uint8_t)(i >> 8);
	a.b[15] = (uint8_t)i;
	return a;
}

/* CPU time: the compiler does nothing but compute, and other programs' share is not its price. */
static double ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct step { double prep_ms, commit_ms; uint32_t words; unsigned long long entries; };

/* Prepare, commit, collect. False when it was refused: the reason is printed. */
static bool step_run(struct policy_set *set, const struct policy_state *st, const char *what, struct step *ret)
{
	struct policy_sink sink = counting_sink();
	struct fail_list f = {};
	struct policy_plan *plan;
	struct policy_plan_info info;
	double a = ms(), b;

	peers_written = 0;
	if (policy_set_prepare(set, st, &f, &plan)) {
		printf("%-34s refused: %s: %s\n", what, f.n && f.items[0].at ? f.items[0].at : "?",
		       f.n ? f.items[0].message : "?");
		fail_list_done(&f);
		return false;
	}
	policy_plan_info(plan, &info);
	b = ms();
	if (policy_set_commit(set, plan, &sink))
		exit(1);
	*ret = (struct step){ b - a, ms() - b, info.words, peers_written };
	while (policy_set_gc(set, &sink, policy_set_seq(set)) > 0)
		;
	return true;
}

static void step_print(const char *what, const struct step *s)
{
	printf("%-34s %9.2f %9.2f %9u %9llu\n", what, s->prep_ms, s->commit_ms, s->words, s->entries);
}

/* Milliseconds of preparing, or -1 when it was refused. */
static double step(struct policy_set *set, const struct policy_state *st, const char *what)
{
	struct step s;

	if (!step_run(set, st, what, &s))
		return -1;
	step_print(what, &s);
	return s.prep_ms;
}
