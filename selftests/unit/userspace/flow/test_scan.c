/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/unit/userspace/flow/access_gen.h"

/* n accesses one after the other, `gap` apart, by port or by peer. */
static void burst(struct access_book *b, struct gen_end src, int n, int64_t start, int64_t gap, bool peers,
		  uint64_t answered, uint16_t base)
{
	struct node_access *a = calloc((size_t)n, sizeof(*a));
	char addr[32];

	assert_non_null(a);
	for (int i = 0; i < n; i++) {
		(void)snprintf(addr, sizeof(addr), "203.0.%d.%d", 100 + i / 250, 1 + i % 250);
		a[i] = gen(src, WORLD(peers ? addr : "203.0.113.1"), 6, (uint16_t)(peers ? base : base + i), 2, answered);
		a[i].first_ns = start + i * gap;
		a[i].last_ns = a[i].first_ns + S;
	}
	/* Not in the order of time: a drain knows none. */
	for (int i = 0; i < n / 2; i++) {
		struct node_access swap = a[i];

		a[i] = a[n - 1 - i];
		a[n - 1 - i] = swap;
	}
	assert_int_equal(access_book_apply(b, a, (size_t)n, NULL, 0, start + n * gap + 2 * S, NULL), 0);
	free(a);
}

static size_t held(const struct access_book *b)
{
	size_t n = 0;

	for (size_t i = 0; i < access_book_count(b); i++)
		n += access_state(access_book_at(b, i)) == ACCESS_ST_HELD;
	return n;
}

static void thresholds(void **state)
{
	static const struct {
		const char *name;
		int n;
		int64_t gap;
		bool peers;
		uint64_t answered;
		size_t scans, held;
		uint64_t folded;
	} t[] = {
		{ "100 ports in a minute are none", 100, S / 10, false, 0, 0, 0, 0 },
		{ "101 ports are a scan", 101, S / 10, false, 0, 1, 101, 0 },
		{ "200 ports spread over hours are none", 200, 60 * S, false, 0, 0, 0, 0 },
		{ "50 peers are none", 50, S / 10, true, 1, 0, 0, 0 },
		{ "51 peers, though answered, are asked about", 51, S / 10, true, 1, 1, 51, 0 },
		{ "many ports: kept to a number, counted beyond", 4096, S / 1000, false, 0, 1, ACCESS_SCAN_KEEP, 4096 - ACCESS_SCAN_KEEP },
		{ "answered ones are never folded away", 500, S / 100, false, 1, 1, 500, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct access_book *b = gen_book();
		uint64_t folded = 0;

		print_message("  %s\n", t[i].name);
		gen_workload(b, "shop", "rogue", NULL, NULL, NULL, NULL);
		burst(b, POD("shop", "rogue"), t[i].n, T0, t[i].gap, t[i].peers, t[i].answered, 1000);
		assert_int_equal(access_book_scan_count(b), t[i].scans);
		assert_int_equal(held(b), t[i].held);
		for (size_t j = 0; j < access_book_scan_count(b); j++)
			folded += access_book_scan_at(b, j)->folded;
		assert_int_equal(folded, t[i].folded);
		assert_int_equal(gen_total_flows(b), 2 * t[i].n);
		if (t[i].scans) {
			const struct access_scan *s = access_book_scan_at(b, 0);
			const struct alert *al = alert_book_at(access_book_alerts(b), 0);

			assert_int_equal(s->ports, t[i].peers ? 1 : t[i].n);
			assert_int_equal(s->peers, t[i].peers ? t[i].n : 1);
			assert_int_equal(s->held, t[i].held);
			assert_string_equal(s->point->ref, "shop/pod/rogue");
			assert_int_equal(alert_book_count(access_book_alerts(b)), 1);
			assert_int_equal(al->kind, ALERT_SCAN);
			assert_int_equal(al->severity, ALERT_HIGH);
			assert_int_equal(al->ports, s->ports);
			assert_string_equal(al->src, "shop/pod/rogue");
		}
		access_book_free(b);
	}
}

/* Some ports on some peers each, neither many: unanswered ones are a scan beyond both limits together. */
static void some_ports_of_some_peers(void **state)
{
	static const struct { const char *name; int peers, ports; uint64_t answered; size_t scans; } t[] = {
		{ "30 peers, 5 ports each", 30, 5, 0, 0 },
		{ "30 peers, 6 ports each", 30, 6, 0, 1 },
		{ "30 peers, 6 ports each, answered", 30, 6, 1, 0 },
		{ "10 peers, 90 ports each", 10, 90, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct access_book *b = gen_book();
		const struct alert_book *ab = access_book_alerts(b);
		size_t alone = 0, closed = 0;
		uint64_t count = 0;

		print_message("  %s\n", t[i].name);
		gen_workload(b, "shop", "rogue", NULL, NULL, NULL, NULL);
		for (int p = 0; p < t[i].peers * t[i].ports; p++) {
			struct node_access a;
			char addr[32];

			(void)snprintf(addr, sizeof(addr), "203.0.113.%d", 1 + p % t[i].peers);
			a = gen(POD("shop", "rogue"), WORLD(addr), 6, (uint16_t)(1000 + p / t[i].peers), 2, t[i].answered);
			a.first_ns = a.last_ns = T0 + p * (S / 1000);
			a.outcome[CW_EGRESS] = CW_OUT_DROP;
			memset(a.cnt, 0, sizeof(a.cnt));
			a.cnt[CW_EGRESS][CW_OUT_DROP] = 2;
			assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 60 * S, NULL), 0);
		}
		assert_int_equal(access_book_scan_count(b), t[i].scans);
		for (size_t k = 0; k < alert_book_count(ab); k++) {
			const struct alert *al = alert_book_at(ab, k);

			alone += !alert_settled(al);
			closed += al->kind == ALERT_ACCESS && al->scan;
			count += al->kind == ALERT_ACCESS && al->scan ? 0 : al->count;
		}
		assert_int_equal(count, 2 * t[i].peers * t[i].ports);
		assert_int_equal(alone, t[i].scans ? 1 : t[i].peers * t[i].ports);
		assert_true(closed <= 150);
		if (t[i].scans) {
			const struct alert *al = alert_book_scan_find(ab, access_book_scan_at(b, 0)->num);

			assert_non_null(al);
			assert_int_equal(al->outcome, CW_OUT_DROP);
			assert_int_equal(al->proto, 6);
			assert_int_equal(al->peers, t[i].peers);
			assert_int_equal(al->ports, t[i].ports);
			assert_int_equal(al->first_ns, T0);
		}
		access_book_free(b);
	}
}

static void what_was_known_before_stays(void **state)
{
	struct access_book *b = gen_book();
	struct node_access a;
	const struct access *x;

	(void)state;
	gen_workload(b, "shop", "rogue", NULL, NULL, NULL, NULL);
	a = gen(POD("shop", "rogue"), WORLD("203.0.113.200"), 6, 443, 5, 5);
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 2 * S, NULL), 0);
	burst(b, POD("shop", "rogue"), 1000, T0 + 3600 * S, S / 100, false, 0, 1000);
	x = gen_find(b, "shop/pod/rogue", "203.0.113.200", "tcp/443");
	assert_int_equal(access_state(x), ACCESS_ST_PENDING);
	/* The burst is over: the next new access is nothing special, and the next burst another story. */
	a = gen(POD("shop", "rogue"), WORLD("203.0.113.201"), 6, 443, 5, 5);
	a.first_ns = a.last_ns = T0 + 7200 * S;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 7201 * S, NULL), 0);
	assert_int_equal(access_state(gen_find(b, "shop/pod/rogue", "203.0.113.201", "tcp/443")), ACCESS_ST_PENDING);
	burst(b, POD("shop", "rogue"), 300, T0 + 9000 * S, S / 100, false, 0, 20000);
	assert_int_equal(access_book_scan_count(b), 2);
	assert_int_equal(alert_book_count(access_book_alerts(b)), 2);
	access_book_free(b);
}

static void folded_ones_come_back_when_answered(void **state)
{
	struct access_book *b = gen_book();
	struct node_access a;
	const struct access *x;

	(void)state;
	gen_workload(b, "shop", "rogue", NULL, NULL, NULL, NULL);
	burst(b, POD("shop", "rogue"), 1000, T0, S / 100, false, 0, 1000);
	assert_null(gen_find(b, "shop/pod/rogue", "203.0.113.1", "tcp/1999"));
	a = gen(POD("shop", "rogue"), WORLD("203.0.113.1"), 6, 1999, 5, 1);
	a.first_ns = a.last_ns = T0 + 11 * S;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 12 * S, NULL), 0);
	x = gen_find(b, "shop/pod/rogue", "203.0.113.1", "tcp/1999");
	assert_non_null(x);
	assert_int_equal(access_state(x), ACCESS_ST_HELD);
	assert_int_equal(x->c.flows, 3);
	assert_int_equal(gen_total_flows(b), 2003);
	access_book_free(b);
}

/* World stands for many: answered clients' accesses are no scan, unanswered ports are. */
static void world_is_many(void **state)
{
	struct access_book *b = gen_book();
	struct node_access a[400];
	char name[400][16];

	(void)state;
	for (int i = 0; i < 400; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "web-%d", i);
		gen_workload(b, "shop", name[i], NULL, NULL, NULL, NULL);
		a[i] = gen(WORLD(NULL), POD("shop", name[i]), 6, 80, 2, 2);
		a[i].first_ns = T0 + i;
	}
	assert_int_equal(access_book_apply(b, a, 400, NULL, 0, T0 + 2 * S, NULL), 0);
	assert_int_equal(access_book_scan_count(b), 0);
	assert_int_equal(held(b), 0);
	for (int i = 0; i < 400; i++) {
		a[i] = gen(WORLD(NULL), POD("shop", "web-1"), 6, (uint16_t)(1000 + i), 2, i == 200);
		a[i].first_ns = T0 + 3 * S + i;
	}
	assert_int_equal(access_book_apply(b, a, 400, NULL, 0, T0 + 4 * S, NULL), 0);
	assert_int_equal(access_book_scan_count(b), 1);
	assert_int_equal(access_state(gen_find(b, "world", "shop/pod/web-1", "tcp/1200")), ACCESS_ST_PENDING);
	assert_int_equal(access_state(gen_find(b, "world", "shop/pod/web-1", "tcp/1000")), ACCESS_ST_HELD);
	assert_int_equal(gen_total_flows(b), 1600);
	access_book_free(b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(thresholds),
		cmocka_unit_test(some_ports_of_some_peers),
		cmocka_unit_test(what_was_known_before_stays),
		cmocka_unit_test(folded_ones_come_back_when_answered),
		cmocka_unit_test(world_is_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
