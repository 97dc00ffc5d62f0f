/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/unit/userspace/flow/access_gen.h"

#define V(r, t, a) ((struct cw_verdict){ .rule = r, .tier = t, .action = a })

static void severity_and_record(void **state)
{
	static const struct {
		const char *name;
		struct gen_end dst;
		enum cw_outcome out[2];
		struct cw_verdict v[2];
		uint64_t n;
		size_t alerts;
		enum alert_severity severity;
		uint32_t rule;
		enum cw_side by;
	} t[] = {
		{ "no rule in learn: none", POD("data", "db-0"), { CW_OUT_NO_RULE, CW_OUT_NO_RULE }, { V(0, CW_TIER_DEFAULT, 3), V(0, CW_TIER_DEFAULT, 3) }, 9, 0, 0, 0, 0 },
		{ "allowed: none", POD("data", "db-0"), { CW_OUT_ALLOW, CW_OUT_ALLOW }, { V(1, CW_TIER_MANUAL, 1), V(1, CW_TIER_MANUAL, 1) }, 9, 0, 0, 0, 0 },
		{ "would block at ingress", POD("data", "db-0"), { CW_OUT_NO_RULE, CW_OUT_WOULD_BLOCK }, { V(0, CW_TIER_DEFAULT, 3), V(4, CW_TIER_NETWORKPOLICY, 3) }, 1, 1, ALERT_MEDIUM, 4, CW_INGRESS },
		{ "would block towards the world", WORLD("203.0.113.99"), { CW_OUT_WOULD_BLOCK, CW_OUT_NONE }, { V(5, CW_TIER_MANUAL, 3), V(0, 0, 0) }, 14, 1, ALERT_LOW, 5, CW_EGRESS },
		{ "both sides would", POD("data", "db-0"), { CW_OUT_WOULD_BLOCK, CW_OUT_WOULD_BLOCK }, { V(6, CW_TIER_MANUAL, 3), V(6, CW_TIER_MANUAL, 3) }, 2, 1, ALERT_HIGH, 6, CW_EGRESS },
		{ "many", WORLD("203.0.113.99"), { CW_OUT_DROP, CW_OUT_NONE }, { V(7, CW_TIER_MANUAL, 3), V(0, 0, 0) }, 100, 1, ALERT_HIGH, 7, CW_EGRESS },
		{ "quarantine", WORLD("203.0.113.99"), { CW_OUT_DROP, CW_OUT_NONE }, { V(0, CW_TIER_QUARANTINE, 3), V(0, 0, 0) }, 1, 1, ALERT_HIGH, 0, CW_EGRESS },
		{ "alert action", POD("data", "db-0"), { CW_OUT_ALERT, CW_OUT_ALLOW }, { V(8, CW_TIER_MANUAL, 2), V(1, CW_TIER_MANUAL, 1) }, 3, 1, ALERT_LOW, 8, CW_EGRESS },
		{ "rule in own mode alert", POD("data", "db-0"), { CW_OUT_WOULD_BLOCK, CW_OUT_NO_RULE },
		  { { .rule = 1, .tier = CW_TIER_LEARNED, .action = 1, .flags = CW_V_ADV, .adv_action = 3, .adv_rule = 9, .adv_tier = CW_TIER_MANUAL }, V(0, CW_TIER_DEFAULT, 3) },
		  3, 1, ALERT_MEDIUM, 9, CW_EGRESS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct access_book *b = gen_book();
		struct alert_book *al = access_book_alerts(b);
		struct node_access a = gen(POD("shop", "web-1"), t[i].dst, 6, 25, t[i].n, 0);

		print_message("  %s\n", t[i].name);
		gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
		gen_workload(b, "data", "db-0", NULL, NULL, NULL, NULL);
		memset(a.cnt, 0, sizeof(a.cnt));
		for (int s = 0; s < 2; s++) {
			a.outcome[s] = t[i].out[s];
			a.verdict[s] = t[i].v[s];
			if (t[i].out[s])
				a.cnt[s][t[i].out[s]] = t[i].n;
		}
		for (int again = 0; again < 2; again++) {
			assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 2 * S, NULL), 0);
			assert_int_equal(alert_book_count(al), t[i].alerts);
			if (!t[i].alerts)
				continue;
			assert_int_equal(alert_book_at(al, 0)->count, t[i].n);
			assert_int_equal(alert_book_at(al, 0)->severity, t[i].severity);
			assert_int_equal(alert_book_at(al, 0)->by.rule, t[i].rule);
			assert_int_equal(alert_book_at(al, 0)->by_side, t[i].by);
			assert_string_equal(alert_book_at(al, 0)->access, access_book_at(b, 0)->id);
		}
		access_book_free(b);
	}
}

static void one_per_rule_and_outcome(void **state)
{
	struct access_book *b = gen_book();
	struct alert_book *al = access_book_alerts(b);
	struct node_access a = gen(POD("shop", "web-1"), WORLD("203.0.113.99"), 6, 25, 4, 0);
	const struct alert *would, *drop;

	(void)state;
	gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
	memset(a.cnt, 0, sizeof(a.cnt));
	a.outcome[0] = CW_OUT_WOULD_BLOCK;
	a.outcome[1] = CW_OUT_NONE;
	a.verdict[0] = V(5, CW_TIER_MANUAL, CW_ACT_BLOCK);
	a.cnt[0][CW_OUT_WOULD_BLOCK] = 4;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 2 * S, NULL), 0);

	/* Between two drains it went on for 3 and then to enforce, which dropped 6. */
	a.cnt[0][CW_OUT_WOULD_BLOCK] = 7;
	a.cnt[0][CW_OUT_DROP] = 6;
	a.outcome[0] = CW_OUT_DROP;
	a.last_ns = T0 + 9 * S;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 10 * S, NULL), 0);
	assert_int_equal(alert_book_count(al), 2);
	would = alert_book_at(al, 0);
	drop = alert_book_at(al, 1);
	assert_int_equal(would->outcome, CW_OUT_WOULD_BLOCK);
	assert_int_equal(would->count, 7);
	assert_int_equal(would->by.rule, 5);
	assert_int_equal(drop->outcome, CW_OUT_DROP);
	assert_int_equal(drop->count, 6);

	/* Another rule: another alert. */
	a.cnt[0][CW_OUT_DROP] = 8;
	a.verdict[0].rule = 6;
	a.last_ns = T0 + 12 * S;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 13 * S, NULL), 0);
	assert_int_equal(alert_book_count(al), 3);
	assert_int_equal(alert_book_at(al, 2)->count, 2);
	assert_int_equal(alert_book_at(al, 1)->count, 6);
	access_book_free(b);
}

static void acknowledging(void **state)
{
	struct access_book *b = gen_book();
	struct alert_book *al = access_book_alerts(b);
	struct node_access a = gen(POD("shop", "web-1"), WORLD("203.0.113.99"), 6, 25, 4, 0);
	char id[ACCESS_ID_MAX];

	(void)state;
	gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
	a.outcome[0] = CW_OUT_DROP;
	a.cnt[0][CW_OUT_DROP] = 4;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 2 * S, NULL), 0);
	assert_int_equal(alert_book_count(al), 1);
	memcpy(id, alert_book_at(al, 0)->id, sizeof(id));
	assert_int_equal(alert_book_ack(al, "0000", "lin", "x", T0), -ENOENT);
	assert_int_equal(alert_book_ack(al, id, "lin.wei", "known mailer", T0 + 3 * S), 0);
	assert_int_equal(alert_book_find(al, id)->count_acked, 4);
	a.cnt[0][CW_OUT_DROP] = 5;
	assert_int_equal(access_book_apply(b, &a, 1, NULL, 0, T0 + 4 * S, NULL), 0);
	assert_int_equal(alert_book_find(al, id)->count, 5);
	assert_string_equal(alert_book_find(al, id)->note, "known mailer");
	/* An alert and an access never share an id. */
	assert_null(access_book_find(b, id));
	access_book_free(b);
}

static void bounded(void **state)
{
	struct access_book *b = gen_book();
	struct alert_book *al = access_book_alerts(b);
	struct node_access *a = calloc(ALERTS_MAX + 1, sizeof(*a));
	char id[ACCESS_ID_MAX];

	(void)state;
	assert_non_null(a);
	gen_workload(b, "shop", "web-1", NULL, NULL, NULL, NULL);
	for (unsigned i = 0; i <= ALERTS_MAX; i++) {
		a[i] = gen(POD("shop", "web-1"), RESERVED(CW_ID_HOST), 17, (uint16_t)i, 1, 1);
		a[i].first_ns = a[i].last_ns = T0 + i * 60 * S; /* slow enough to be no scan */
		a[i].outcome[0] = CW_OUT_DROP;
		a[i].cnt[0][CW_OUT_DROP] = 1;
	}
	assert_int_equal(access_book_apply(b, a, ALERTS_MAX - 3, NULL, 0, T0 + 10 * 365 * DAY, NULL), 0);
	assert_int_equal(alert_book_pruned(al), 0);
	/* The acknowledged ones go first. */
	for (size_t i = 10; i < 20; i++)
		assert_int_equal(alert_book_ack(al, alert_book_at(al, i)->id, "lin", "", T0), 0);
	memcpy(id, alert_book_at(al, 15)->id, sizeof(id));
	assert_int_equal(access_book_apply(b, a, ALERTS_MAX + 1, NULL, 0, T0 + 10 * 365 * DAY, NULL), 0);
	assert_int_equal(alert_book_pruned(al), 10);
	assert_null(alert_book_find(al, id));
	assert_in_range(alert_book_count(al), ALERTS_MAX - 10, ALERTS_MAX);
	assert_int_equal(alert_book_count(al) + alert_book_pruned(al), ALERTS_MAX + 1);
	free(a);
	access_book_free(b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(severity_and_record),
		cmocka_unit_test(one_per_rule_and_outcome),
		cmocka_unit_test(acknowledging),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
