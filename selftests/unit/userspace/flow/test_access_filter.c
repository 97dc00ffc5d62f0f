/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/access_filter.h"
#include "selftests/unit/userspace/flow/access_gen.h"

/* One access from shop/deploy/web (web-1) to each of a few ends. */
static struct access_book *world(void)
{
	static struct prefix fold;
	struct access_config c = { .fold_cidrs = &fold, .nfold_cidrs = 1, .hold_ns = 1 };
	struct access_book *b;
	struct node_access a[6];

	assert_int_equal(prefix_parse("198.51.100.0/24", &fold), 0);
	assert_int_equal(access_book_new(&c, &b), 0);
	gen_workload(b, "shop", "web-1", "Deployment", "web", NULL, NULL);
	gen_workload(b, "data", "db-0", "StatefulSet", "db", NULL, NULL);
	gen_workload(b, "ops", "tool", NULL, NULL, "app=tool,tier=x", NULL);
	a[0] = gen(POD("shop", "web-1"), POD("data", "db-0"), 6, 5432, 4, 3);
	a[0].outcome[1] = CW_OUT_WOULD_BLOCK;
	a[0].reason[1] = CW_R_RULE;
	a[0].verdict[1] = (struct cw_verdict){ .rule = 7, .tier = CW_TIER_MANUAL, .action = CW_ACT_BLOCK };
	a[1] = gen(POD("shop", "web-1"), WORLD("198.51.100.9"), 6, 443, 4, 0);
	a[2] = gen(POD("shop", "web-1"), WORLD("203.0.113.99"), 17, 53, 4, 4);
	a[2].guessed = 4;
	a[3] = gen(POD("ops", "tool"), POD("shop", "web-1"), 1, 8 << 8, 1, 1);
	a[4] = gen(RESERVED(CW_ID_HOST), POD("shop", "web-1"), 6, 80, 1, 1);
	a[5] = gen(POD("shop", "web-1"), UNKNOWN("10.1.2.3"), 6, 81, 1, 1);
	assert_int_equal(access_book_apply(b, a, 6, NULL, 0, T0 + 2 * S, NULL), 0);
	assert_int_equal(access_book_tick(b, T0 + 3 * S), 0);
	assert_int_equal(access_book_count(b), 6);
	return b;
}

static unsigned hits(const struct access_book *b, const struct access_filter *f)
{
	static const char *const ports[] = { "tcp/5432", "tcp/443", "udp/53", "icmp/echo-request", "tcp/80", "tcp/81" };
	unsigned set = 0;
	char text[40];

	for (size_t i = 0; i < access_book_count(b); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(ports); j++)
			if (!strcmp(access_port_str(access_book_at(b, i), text), ports[j]) &&
			    access_filter_matches(f, access_book_at(b, i)))
				set |= 1u << j;
	return set;
}

static void refs(void **state)
{
	static const struct { const char *ref; unsigned src, dst; } t[] = {
		{ "ns/shop", 0x27, 0x18 },
		{ "ns/sho", 0, 0 },
		{ "shop/deploy/web", 0x27, 0x18 },
		{ "shop/pod/web-1", 0x27, 0x18 },
		{ "shop/pod/web-2", 0, 0 },
		{ "data/sts/db", 0, 0x01 },
		{ "ops/app=tool", 0x08, 0 },
		{ "ops/tier=x,app=tool", 0x08, 0 },
		{ "ops/app=tool,tier=y", 0, 0 },
		{ "shop/app=tool", 0, 0 },
		{ "host", 0x10, 0 },
		{ "world", 0, 0x06 },
		{ "unknown", 0, 0x20 },
		{ "multicast", 0, 0 },
		{ "198.51.100.0/24", 0, 0x02 },
		{ "198.51.0.0/16", 0, 0x02 },
		{ "198.51.100.9", 0, 0x02 }, /* by its member */
		{ "203.0.113.99", 0, 0x04 },
		{ "10.0.0.0/8", 0, 0x20 },
		{ "0.0.0.0/0", 0, 0x26 },
	};
	struct access_book *b = world();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct access_filter f;

		print_message("  %s\n", t[i].ref);
		access_filter_init(&f);
		f.src = t[i].ref;
		assert_int_equal(hits(b, &f), t[i].src);
		f.src = NULL;
		f.dst = t[i].ref;
		assert_int_equal(hits(b, &f), t[i].dst);
		f.not = 1u << AF_DST;
		assert_int_equal(hits(b, &f), 0x3f & ~t[i].dst);
		access_filter_init(&f);
		f.peer = t[i].ref;
		assert_int_equal(hits(b, &f), t[i].src | t[i].dst);
		assert_int_equal(access_ref_check(t[i].ref, "--src", NULL), 0);
	}
	access_book_free(b);
}

static void fields(void **state)
{
	static const char *const ns[] = { "data", "ops" };
	struct access_book *b = world();
	struct port_spec range = { .kind = PORT_RANGE, .proto = 6, .from = 80, .to = 443 };
	struct port_spec icmp = { .kind = PORT_ICMP, .proto = 1, .icmp_type = 8, .icmp_code = -1 };
	struct access_filter f;

	(void)state;
#define CHECK(want, ...) \
	do { \
		access_filter_init(&f); \
		__VA_ARGS__; \
		assert_int_equal(hits(b, &f), want); \
	} while (0)
	CHECK(0x3f, (void)0);
	CHECK(0x09, f.ns = ns; f.nns = 2);
	CHECK(0x36, f.ns = ns; f.nns = 2; f.not = 1u << AF_NS);
	CHECK(0x32, f.port = &range);
	CHECK(0x08, f.port = &icmp);
	CHECK(0x01, f.has_verdict = true; f.verdict = CW_OUT_WOULD_BLOCK);
	CHECK(0x00, f.has_verdict = true; f.verdict = CW_OUT_WOULD_BLOCK; f.side = CW_EGRESS);
	CHECK(0x01, f.has_verdict = true; f.verdict = CW_OUT_WOULD_BLOCK; f.side = CW_INGRESS);
	CHECK(0x01, f.has_reason = true; f.reason = CW_R_RULE);
	CHECK(0x01, f.rule = 7);
	CHECK(0x01, f.has_origin = true; f.origin = ORIGIN_MANUAL);
	CHECK(0x00, f.has_origin = true; f.origin = ORIGIN_LEARNED);
	CHECK(0x20, f.has_state = true; f.state = ACCESS_ST_HELD);
	CHECK(0x3d, f.answered = 1);
	CHECK(0x02, f.answered = 0);
	CHECK(0x04, f.guessed = 1);
	CHECK(0x01, f.search = "DB-0");
	CHECK(0x04, f.search = "udp/");
	CHECK(0x3f, f.search = "");
	CHECK(0x3f, f.since_ns = T0 + S);
	CHECK(0x00, f.since_ns = T0 + 2 * S);
	CHECK(0x00, f.until_ns = T0);
	CHECK(0x01, f.answered = 1; f.dst = "ns/data");
#undef CHECK
	access_book_free(b);
}

static void bad_refs(void **state)
{
	static const char *const bad[] = { "", "shop", "/deploy/web", "shop/", "shop/deploy", "shop/deploy/", "shop//web",
					   "ns/", "ns/UPPER_case", "fqdn/", "fqdn/a..b", "10.0.0.1/8", "10.0.0.0/40",
					   "shop/=x", "World" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fail_list f = { };

		print_message("  \"%s\"\n", bad[i]);
		assert_int_equal(access_ref_check(bad[i], "--src", &f), -EINVAL);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, "ref.syntax");
		assert_string_equal(f.items[0].at, "--src");
		fail_list_done(&f);
	}
	assert_int_equal(access_ref_check("fqdn/*.example.com", "x", NULL), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refs),
		cmocka_unit_test(fields),
		cmocka_unit_test(bad_refs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
