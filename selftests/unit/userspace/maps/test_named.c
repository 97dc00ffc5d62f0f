/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns and named identities over the product's own tables. */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "loader/object.h"
#include "maps/named_maps.h"
#include "maps/sink.h"
#include "selftests/harness/own_ns.h"

static bool ready;
static struct loader_set *set;
static struct maps *m;

static const struct loader_size small[] = {
	{ "cw_flow4", 4096 }, { "cw_flow6", 2048 }, { "cw_dns_pattern", 8 }, { "cw_named", 4 },
};

static int setup(void **state)
{
	const struct loader_config cfg = {
		.root = OWN_ROOT, .sizes = small, .nsizes = ARRAY_SIZE(small), .fresh = true,
	};
	struct loader_image img = loader_image_tc();
	struct fail_list f = {};

	(void)state;
	if (!ready)
		return 0;
	if (loader_set_load(&img, &cfg, &f, &set)) {
		print_message("  %s\n", f.n ? f.items[0].message : "?");
		return -1;
	}
	return maps_open(loader_fd_of, set, &m, NULL);
}

static int teardown(void **state)
{
	(void)state;
	if (!ready)
		return 0;
	maps_free(m);
	loader_set_free(set);
	return loader_uninstall(OWN_ROOT);
}

static void patterns(void **state)
{
	static const struct { const char *pattern; uint32_t cls; } p[] = {
		{ "pay.example.com", 1 }, { "*.example.com", 2 }, { "*.b.example.com", 3 }, { "example.com", 4 }, { "*.net", 5 },
	};
	static const struct { const char *name; uint32_t cls; } t[] = {
		{ "pay.example.com", 1 }, { "www.example.com", 2 }, { "x.pay.example.com", 2 }, { "b.example.com", 2 },
		{ "a.b.example.com", 3 }, { "example.com", 4 }, { "notexample.com", 0 }, { "com", 0 }, { "x.net", 5 },
		{ "net", 0 }, { "pay.example.com.evil.org", 0 }, { "pay.example.co", 0 },
	};
	uint32_t cls;

	(void)state;
	if (!ready)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		assert_int_equal(pattern_map_set(m, p[i].pattern, p[i].cls), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  %s\n", t[i].name);
		cls = 0;
		assert_int_equal(pattern_map_match(m, t[i].name, &cls), t[i].cls ? 0 : -ENOENT);
		assert_int_equal(cls, t[i].cls);
	}
	/* The key is as long as its text: exact names carry their end. */
	assert_int_equal(pattern_map_set(m, "pay.example.com", 9), 0);
	assert_int_equal(pattern_map_match(m, "pay.example.com", &cls), 0);
	assert_int_equal(cls, 9);
	assert_int_equal(pattern_map_del(m, "pay.example.com"), 0);
	assert_int_equal(pattern_map_del(m, "pay.example.com"), 0);
	assert_int_equal(pattern_map_match(m, "pay.example.com", &cls), 0);
	assert_int_equal(cls, 2);
}

static void odd_patterns(void **state)
{
	char longest[254], more[256];
	uint32_t cls = 0;

	(void)state;
	if (!ready)
		skip();
	memset(longest, 'a', sizeof(longest));
	longest[253] = 0;
	for (size_t i = 50; i < 253; i += 50)
		longest[i] = '.';
	memcpy(more, longest, 253);
	more[253] = 'x';
	more[254] = 0;
	assert_int_equal(pattern_map_set(m, longest, 7), 0);
	assert_int_equal(pattern_map_match(m, longest, &cls), 0);
	assert_int_equal(cls, 7);
	assert_int_equal(pattern_map_set(m, more, 7), -EINVAL);
	assert_int_equal(pattern_map_set(m, "", 7), -EINVAL);
	assert_int_equal(pattern_map_set(m, "*.", 7), -EINVAL);
	assert_int_equal(pattern_map_set(m, "a.", 7), -EINVAL);
}

static void named(void **state)
{
	struct policy_limits lim;
	struct policy_sink s;
	uint32_t zero = 0, eid = 0;
	struct cw_ctl c;

	(void)state;
	if (!ready)
		skip();
	maps_limits(m, &lim);
	assert_int_equal(lim.patterns, 8);
	assert_int_equal(lim.named, 4);
	maps_sink(m, &s);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(s.named_set(s.arg, 300 + i, 2, 400 + i), 0);
	assert_int_equal(s.named_set(s.arg, 999, 2, 1), -ENOSPC);
	assert_int_equal(named_map_get(m, 302, 2, &eid), 0);
	assert_int_equal(eid, 402);
	assert_int_equal(s.named_set(s.arg, 302, 2, 500), 0);
	assert_int_equal(named_map_get(m, 302, 2, &eid), 0);
	assert_int_equal(eid, 500);
	assert_int_equal(named_map_get(m, 302, 3, &eid), -ENOENT);
	assert_int_equal(s.named_del(s.arg, 302, 2), 0);
	assert_int_equal(s.named_del(s.arg, 302, 2), 0);
	assert_int_equal(named_map_get(m, 302, 2, &eid), -ENOENT);
	assert_int_equal(s.pattern_set(s.arg, "*.example.com", 6), 0);
	assert_int_equal(pattern_map_match(m, "a.example.com", &eid), 0);
	assert_int_equal(eid, 6);
	assert_int_equal(s.pattern_del(s.arg, "*.example.com"), 0);
	assert_int_equal(pattern_map_match(m, "a.example.com", &eid), -ENOENT);
	assert_int_equal(s.names_store(s.arg, 3), 0);
	assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(set, "cw_ctl"), &zero, &c), 0);
	assert_int_equal(c.names, 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(patterns), T(odd_patterns), T(named) };

	ready = own_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
