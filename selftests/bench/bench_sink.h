/* SPDX-License-Identifier: Apache-2.0 */
/* bench_sink.h - a sink that goes nowhere, a clock, and steps as lines of a table. For single-file tools. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/compile.h"

static int verdict_write(void *a, uint32_t i, const struct cw_verdict *v) { (void)a, (void)i, (void)v; return 0; }
static int array_write(void *a, uint32_t i, const uint64_t *v, size_t n) { (void)a, (void)i, (void)v, (void)n; return 0; }
static int peers_set(void *a, const struct cw_peer_key *k, const uint32_t *c, size_t n)
{
	(void)k, (void)c;
	*(uint64_t *)a += n;
	return 0;
}
static int peers_del(void *a, const struct cw_peer_key *k, size_t n) { (void)a, (void)k, (void)n; return 0; }
static int word_store(void *a, uint32_t i, uint64_t w) { (void)a, (void)i, (void)w; return 0; }
static int addr_set(void *a, uint32_t z, const struct addr *x, const struct cw_addr *v)
{
	(void)a, (void)z, (void)x, (void)v;
	return 0;
}
static int addr_del(void *a, uint32_t z, const struct addr *x) { (void)a, (void)z, (void)x; return 0; }
static int net_set(void *a, uint32_t z, const struct prefix *p, const struct cw_addr *v)
{
	(void)a, (void)z, (void)p, (void)v;
	return 0;
}
static int net_del(void *a, uint32_t z, const struct prefix *p) { (void)a, (void)z, (void)p; return 0; }
static bool addr_used(void *a, uint32_t z, const struct addr *x) { (void)a, (void)z, (void)x; return false; }
static bool net_used(void *a, uint32_t z, const struct prefix *p) { (void)a, (void)z, (void)p; return false; }
static int wl_group(void *a, uint32_t w, uint32_t g, uint32_t e) { (void)a, (void)w, (void)g, (void)e; return 0; }

static uint64_t peers_written;
static const struct policy_sink sink = {
	.arg = &peers_written, .verdict_write = verdict_write, .rows_write = array_write, .rowtab_write = array_write,
	.peers_set = peers_set, .peers_del = peers_del, .word_store = word_store, .addr_set = addr_set,
	.addr_del = addr_del, .net_set = net_set, .net_del = net_del, .addr_used = addr_used, .net_used = net_used,
	.wl_group = wl_group,
};

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
