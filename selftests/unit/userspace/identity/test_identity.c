/* SPDX-License-Identifier: Apache-2.0 */
/* Label identities, interning and the prefix universe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "identity/ident.h"
#include "identity/intern.h"
#include "identity/universe.h"

static void test_ident(void **state)
{
	struct ident_table *t = ident_table_new();
	struct ident_info a = { .ns = (char *)"shop" }, b = {}, c = { .ns = (char *)"sh", .service_account = (char *)"op" };
	uint32_t x, y, z;
	char *s;

	(void)state;
	assert_non_null(t);
	assert_int_equal(labels_set(&a.labels, "app", "web"), 0);
	assert_int_equal(labels_set(&a.ns_labels, "env", "a\"b\n"), 0);
	assert_int_equal(ident_table_preload(t, 300, &a), 0);
	assert_int_equal(ident_table_preload(t, 300, &c), -EEXIST);
	assert_int_equal(ident_table_preload(t, 301, &a), -EEXIST);
	assert_int_equal(ident_table_preload(t, 5, &c), -ERANGE);
	assert_int_equal(ident_table_get(t, &a, &x), 0);
	assert_int_equal(x, 300);
	assert_int_equal(ident_table_get(t, &c, &y), 0);
	assert_int_equal(y, 301);
	/* What the store keeps gives the same identity back. */
	s = ident_info_str(&a);
	assert_non_null(s);
	assert_int_equal(ident_info_parse(s, &b), 0);
	assert_int_equal(ident_table_get(t, &b, &z), 0);
	assert_int_equal(z, 300);
	assert_string_equal(labels_get(&b.ns_labels, "env"), "a\"b\n");
	free(s);
	assert_int_equal(ident_info_parse("[]", &b), -EBADMSG);
	assert_int_equal(ident_info_parse("{\"labels\":{\"a\":1}}", &b), -EBADMSG);
	/* Referenced ones stay, numbers are not handed out again. */
	assert_int_equal(ident_table_prune(t, UINT32_MAX), 0);
	ident_table_unref(t, 301);
	assert_int_equal(ident_table_prune(t, UINT32_MAX), 1);
	assert_null(ident_table_info(t, 301));
	assert_int_equal(ident_table_get(t, &c, &y), 0);
	assert_int_equal(y, 302);
	ident_info_done(&b);
	labels_done(&a.labels);
	labels_done(&a.ns_labels);
	ident_table_free(t);
}

static void test_intern(void **state)
{
	struct intern *in = intern_new(1, 5, 2, 3);
	uint32_t a, b, c, d;
	bool fresh;

	(void)state;
	assert_non_null(in);
	assert_int_equal(intern_get(in, "a", 1, &a, &fresh), 0);
	assert_true(fresh);
	assert_int_equal(a, 1);
	assert_int_equal(intern_get(in, "a", 1, &b, &fresh), 0);
	assert_false(fresh);
	assert_int_equal(b, a);
	assert_int_equal(intern_get(in, "b", 1, &b, NULL), 0);
	assert_int_equal(b, 3); /* 2 is kept */
	assert_int_equal(intern_get(in, "c", 1, &c, NULL), 0);
	assert_int_equal(c, 4);
	assert_int_equal(intern_get(in, "d", 1, &d, NULL), -ENOSPC);
	intern_keep_done(in);
	assert_int_equal(intern_get(in, "d", 1, &d, NULL), 0);
	assert_int_equal(d, 2);
	assert_false(intern_unref(in, a));
	assert_true(intern_unref(in, a));
	assert_int_equal(intern_find(in, "a", 1), 0);
	assert_int_equal(intern_count(in), 3);
	intern_free(in);
}

static struct prefix net(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static const struct universe_net *at(const struct universe *u, const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return universe_match(u, &a);
}

static void test_universe(void **state)
{
	struct prefix except[] = { net("10.1.0.0/16"), net("10.2.0.0/15") }, never[] = { net("192.0.0.0/8") };
	struct prefix cluster[] = { net("10.0.0.0/8"), net("fd00::/48") };
	const struct universe_item items[] = {
		{ .sel = 7, .cidr = net("10.0.0.0/8"), .except = except, .nexcept = 2 },
		{ .sel = 7, .cidr = net("10.1.1.0/24") },	/* the list names part of an except again */
		{ .sel = 9, .cidr = net("10.1.0.0/20") },
		{ .sel = 5, .cidr = net("192.0.2.0/24"), .except = never, .nexcept = 1 },
		{ .sel = 4, .cidr = net("0.0.0.0/0") },
	};
	static const struct { const char *addr; uint32_t sels[3]; size_t n; enum cw_realm realm; } rows[] = {
		{ "10.0.0.1", { 4, 7 }, 2, CW_REALM_UNKNOWN },	  { "10.1.16.1", { 4 }, 1, CW_REALM_UNKNOWN },
		{ "10.1.2.1", { 4, 9 }, 2, CW_REALM_UNKNOWN },	  { "10.1.1.1", { 4, 7, 9 }, 3, CW_REALM_UNKNOWN },
		{ "10.3.255.255", { 4 }, 1, CW_REALM_UNKNOWN },	  { "10.4.0.0", { 4, 7 }, 2, CW_REALM_UNKNOWN },
		{ "192.0.2.1", { 4 }, 1, CW_REALM_WORLD },	  { "11.0.0.0", { 4 }, 1, CW_REALM_WORLD },
		{ "224.0.0.1", { 4 }, 1, CW_REALM_MULTICAST },	  { "255.255.255.255", { 4 }, 1, CW_REALM_MULTICAST },
		{ "fd00::1", {}, 0, CW_REALM_UNKNOWN },		  { "fd01::1", {}, 0, CW_REALM_WORLD },
		{ "fe80::1", {}, 0, CW_REALM_UNKNOWN },		  { "ff02::1", {}, 0, CW_REALM_MULTICAST },
		{ "::1", {}, 0, CW_REALM_WORLD },
	};
	struct universe *u = NULL;
	struct prefix p = net("10.1.1.128/25");

	(void)state;
	assert_int_equal(universe_new(items, 5, cluster, 2, &u), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct universe_net *n = at(u, rows[i].addr);

		if (n->nsels != rows[i].n || n->realm != rows[i].realm ||
		    (n->nsels && memcmp(n->sels, rows[i].sels, n->nsels * sizeof(uint32_t))))
			fail_msg("%s: %u selectors, realm %u", rows[i].addr, n->nsels, n->realm);
	}
	/* A prefix nobody named is spoken for by the one that covers it. */
	assert_int_equal(universe_cover(u, &p)->p.plen, 24);
	universe_free(u);
	assert_int_equal(universe_new(NULL, 0, NULL, 0, &u), 0);
	assert_int_equal(at(u, "10.0.0.1")->realm, CW_REALM_WORLD);
	universe_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ident),
		cmocka_unit_test(test_intern),
		cmocka_unit_test(test_universe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
