/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/ready.h"
#include "selftests/unit/userspace/flow/access_gen.h"

static const struct ready_item *item(const struct ready *r, enum ready_kind k, const char *subject)
{
	for (size_t i = 0; i < r->nitems; i++)
		if (r->items[i].kind == k && (subject ? r->items[i].subject && !strcmp(r->items[i].subject, subject)
						      : !r->items[i].subject))
			return &r->items[i];
	return NULL;
}

static void rollout(void **state)
{
	struct workload w[] = {
		{ .ns = (char *)"shop", .name = (char *)"web-1", .controller_kind = (char *)"Deployment", .controller_name = (char *)"web" },
		{ .ns = (char *)"shop", .name = (char *)"web-2", .controller_kind = (char *)"Deployment", .controller_name = (char *)"web" },
		{ .ns = (char *)"shop", .name = (char *)"idle" },
		{ .ns = (char *)"data", .name = (char *)"db-0" },
	};
	struct ready_schedule sch[] = { { "shop", "CronJob", "invoice", "0 3 1 * *", T0 + 9 * DAY },
					{ "ops", "CronJob", "backup", NULL, 0 } };
	struct ready_input in = { .ns = "shop", .workloads = w, .nworkloads = 4, .schedules = sch, .nschedules = 2,
				  .guarded = 3, .interfaces = 3, .now_ns = T0 + 6 * DAY };
	struct access_book *b = gen_book();
	struct node_fold lost = { .ns = "shop", .name = "web-1", .lost = 12 };
	const struct access *smtp;
	struct node_access a[3];
	struct ready r;

	(void)state;
	in.book = b;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(access_book_workload_put(b, &w[i]), 0);
	a[0] = gen(POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, 4, 3);
	a[1] = gen(POD("shop", "web-1"), WORLD("203.0.113.99"), 6, 25, 9, 0);
	a[2] = gen(POD("shop", "web-1"), UNKNOWN("10.1.2.3"), 6, 81, 1, 1);
	assert_int_equal(access_book_apply(b, a, 3, &lost, 1, T0 + 2 * S, NULL), 0);
	assert_int_equal(access_book_tick(b, T0 + 60 * S), 0);
	smtp = gen_find(b, "shop/deploy/web", "203.0.113.99", "tcp/25");

	assert_int_equal(ready_check(&in, &r), 0);
	assert_false(r.ready);
	assert_int_equal(r.accesses, 3);
	assert_int_equal(r.pending, 2);
	assert_int_equal(r.newest_ns, T0);
	assert_int_equal(r.window_ns, 6 * DAY);
	/* web-2 is covered by its siblings: they are learned as one. */
	assert_int_equal(item(&r, READY_REPLICAS, NULL)->have, 2);
	assert_int_equal(item(&r, READY_REPLICAS, NULL)->of, 3);
	assert_non_null(item(&r, READY_REPLICAS, "shop/pod/idle"));
	assert_null(item(&r, READY_REPLICAS, "shop/pod/web-2"));
	assert_int_equal(item(&r, READY_PEERS, NULL)->have, 2);
	assert_int_equal(item(&r, READY_PEERS, NULL)->of, 3);
	assert_false(item(&r, READY_LOSS, NULL)->ok);
	assert_int_equal(item(&r, READY_LOSS, NULL)->count, 12);
	assert_int_equal(item(&r, READY_ANSWER, smtp->id)->count, 9);
	assert_string_equal(item(&r, READY_ANSWER, smtp->id)->dst, "203.0.113.99");
	assert_string_equal(item(&r, READY_ANSWER, smtp->id)->port, "tcp/25");
	assert_int_equal(item(&r, READY_DECISION, NULL)->count, 2);
	assert_string_equal(item(&r, READY_SCHEDULE, "shop/cronjob/invoice")->schedule, "0 3 1 * *");
	assert_null(item(&r, READY_SCHEDULE, "ops/cronjob/backup"));
	assert_true(item(&r, READY_GUARD, NULL)->ok);
	for (size_t i = 1; i < r.nitems; i++)
		assert_true(r.items[i - 1].ok >= r.items[i].ok); /* what is well comes first */
	ready_done(&r);
	access_book_free(b);
}

static void all_is_well(void **state)
{
	struct workload w[] = {
		{ .ns = (char *)"shop", .name = (char *)"web-1" },
		{ .ns = (char *)"shop", .name = (char *)"job", .controller_kind = (char *)"CronJob", .controller_name = (char *)"invoice" },
	};
	struct ready_schedule sch = { "shop", "CronJob", "invoice", NULL, 0 };
	struct ready_input in = { .ns = "shop", .workloads = w, .nworkloads = 2, .schedules = &sch, .nschedules = 1,
				  .now_ns = T0 + DAY };
	struct access_book *b = gen_book();
	struct node_access a[2];
	struct ready r;

	(void)state;
	in.book = b;
	assert_int_equal(access_book_workload_put(b, &w[0]), 0);
	assert_int_equal(access_book_workload_put(b, &w[1]), 0);
	a[0] = gen(POD("shop", "job"), POD("shop", "web-1"), 6, 80, 4, 3);
	a[1] = gen(POD("shop", "web-1"), WORLD("203.0.113.1"), 6, 443, 4, 0);
	a[1].outcome[0] = CW_OUT_WOULD_BLOCK; /* somebody's rule speaks for it: nothing to decide, though never answered */
	a[1].outcome[1] = CW_OUT_NONE;
	a[1].verdict[0].tier = CW_TIER_MANUAL;
	assert_int_equal(access_book_apply(b, a, 2, NULL, 0, T0 + 2 * S, NULL), 0);
	assert_int_equal(access_book_decide(b, gen_find(b, "shop/cronjob/invoice", "shop/pod/web-1", "tcp/80")->id,
					    ACCESS_CONFIRMED, "lin", T0), 0);
	assert_int_equal(ready_check(&in, &r), 0);
	assert_true(r.ready);
	assert_int_equal(r.nitems, 3);
	ready_done(&r);
	/* A guarded interface short, and it is not. */
	in.guarded = 1;
	in.interfaces = 2;
	assert_int_equal(ready_check(&in, &r), 0);
	assert_false(r.ready);
	ready_done(&r);
	/* Outside the window nothing was seen of the schedule. */
	in.guarded = 2;
	in.since_ns = T0 + DAY / 2;
	assert_int_equal(ready_check(&in, &r), 0);
	assert_false(r.ready);
	assert_non_null(item(&r, READY_SCHEDULE, "shop/cronjob/invoice"));
	ready_done(&r);
	access_book_free(b);
}

static void bounded(void **state)
{
	struct access_book *b = gen_book();
	struct ready_input in = { .ns = "shop", .book = b, .now_ns = T0 + DAY };
	struct ready r;

	(void)state;
	gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
	for (unsigned i = 0; i < READY_ITEMS_MAX + 100; i++) {
		struct node_access a = gen(POD("shop", "web-1"), RESERVED(CW_ID_HOST), 6, (uint16_t)(i + 1), 1, 0);

		a.first_ns = a.last_ns = T0 + i * 60 * S;
		assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, a.last_ns, NULL), 0);
	}
	assert_int_equal(ready_check(&in, &r), 0);
	assert_int_equal(r.dropped, 100);
	assert_int_equal(item(&r, READY_DECISION, NULL)->count, READY_ITEMS_MAX + 100);
	ready_done(&r);
	access_book_free(b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rollout),
		cmocka_unit_test(all_is_well),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
