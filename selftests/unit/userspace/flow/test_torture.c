/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation fails once while a batch is applied; the batch is repeated, as a node does.
 * The totals must then be those of one batch: what failed half-way was neither lost nor doubled.
 */
#include "selftests/unit/userspace/flow/access_gen.h"

#ifdef __SANITIZE_ADDRESS__
#define OWN_ALLOCATOR 1
#endif
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define OWN_ALLOCATOR 1
#endif
#endif

static long fail_at; /* counts down; 0: never */

#ifndef OWN_ALLOCATOR
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);

static bool fails(void)
{
	return fail_at && --fail_at == 0;
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
#endif

static size_t batch(struct node_access *a)
{
	size_t n = 0;

	a[n++] = gen(POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, 4, 3);
	a[n] = gen(POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, 4, 3);
	a[n++].key.family = 6;
	a[n] = gen(POD("ops", "tool"), WORLD("203.0.113.9"), 6, 443, 9, 9);
	a[n].outcome[0] = CW_OUT_DROP;
	a[n].verdict[0] = (struct cw_verdict){ .rule = 17, .tier = CW_TIER_MANUAL, .action = CW_ACT_BLOCK };
	a[n++].cnt[0][CW_OUT_DROP] = 9;
	a[n++] = gen(POD("shop", "web-1"), UNKNOWN("10.9.9.9"), 6, 81, 1, 1);
	for (int i = 0; i < 12; i++)
		a[n++] = gen(POD("shop", "rogue"), WORLD("203.0.113.1"), 6, (uint16_t)(2000 + i), 2, 0);
	return n;
}

static void check(struct access_book *b)
{
	struct alert_book *al = access_book_alerts(b);
	uint64_t days = 0, members = 0, alerts = 0;

	assert_int_equal(gen_total_flows(b), 8 + 9 + 1 + 24);
	for (size_t i = 0; i < access_book_count(b); i++) {
		const struct access *a = access_book_at(b, i);

		for (size_t d = 0; d < a->ndays; d++)
			days += a->days[d].flows;
		for (size_t m = 0; m < a->nmembers; m++)
			members += a->members[m]->c.flows;
		members += a->rest ? a->rest->c.flows : 0;
	}
	assert_int_equal(days, 42);
	assert_int_equal(members, 42);
	for (size_t i = 0; i < alert_book_count(al); i++)
		alerts += alert_book_at(al, i)->kind == ALERT_ACCESS ? alert_book_at(al, i)->count : 0;
	assert_int_equal(alerts, 9);
}

static void every_allocation(void **state)
{
	struct access_config c = { .scan_ports = 5, .scan_peers = 5, .hold_ns = 1 };
	struct node_fold f = { .ns = "shop", .name = "web-1", .instance = 77, .lost = 3 };
	struct node_access a[32];
	size_t n = batch(a);
	struct access_fold loss;
	long at;

	(void)state;
#ifdef OWN_ALLOCATOR
	print_message("skipped: the sanitizer has the allocator\n");
	skip();
#endif
	for (at = 1;; at++) {
		struct access_book *b;
		long left;
		int r;

		assert_int_equal(access_book_new(&c, &b), 0);
		gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
		gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, NULL);
		gen_workload(b, "ops", "tool", NULL, NULL, "app=tool", NULL);
		gen_workload(b, "shop", "rogue", NULL, NULL, NULL, NULL);
		fail_at = at;
		r = access_book_apply(b, a, n, &f, 1, T0 + S, NULL);
		if (!r)
			r = access_book_tick(b, T0 + 2 * S);
		if (!r)
			r = access_book_epoch_done(b, 77, 1, T0 + 3 * S);
		left = fail_at;
		fail_at = 0;
		if (left == 0)
			assert_int_equal(r, -ENOMEM);
		if (r) {
			assert_int_equal(access_book_apply(b, a, n, &f, 1, T0 + S, NULL), 0);
			assert_int_equal(access_book_tick(b, T0 + 2 * S), 0);
			assert_int_equal(access_book_epoch_done(b, 77, 1, T0 + 3 * S), 0);
		}
		check(b);
		access_book_loss(b, "shop", &loss);
		assert_int_equal(loss.sum.lost, 3);
		access_book_free(b);
		if (left)
			break; /* there was no allocation of that number any more */
	}
	print_message("  %ld allocations failed, one at a time\n", at - 1);
	assert_true(at > 100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
