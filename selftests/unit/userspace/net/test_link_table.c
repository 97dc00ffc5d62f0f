/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/link_table.c */
#include <errno.h>
#include <linux/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "net/link_table.h"

static struct link_change set(uint32_t ifindex, const char *name)
{
	struct link_change c = {
		.kind = LINK_SET,
		.link = { .ifindex = ifindex, .lower_nsid = LINK_NSID_OWN, .kind = "veth", .mtu = 1500 },
	};

	memcpy(c.link.name, name, strnlen(name, LINK_NAME_MAX - 1));
	return c;
}

static uint32_t apply(struct link_table *t, struct link_change c)
{
	uint32_t what = 0xdead;

	assert_int_equal(link_table_apply(t, &c, &what), 0);
	return what;
}

static void changes(void **state)
{
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	struct link_change c = set(5, "a");

	(void)state;
	assert_int_equal(apply(&t, c), LINK_IS_NEW);
	assert_int_equal(apply(&t, c), 0);
	c = set(5, "b");
	assert_int_equal(apply(&t, c), LINK_RENAMED);
	c.link.flags = IFF_UP;
	assert_int_equal(apply(&t, c), LINK_UPDOWN);
	c.link.flags |= IFF_PROMISC;
	assert_int_equal(apply(&t, c), LINK_OTHER);
	c.link.master = 9;
	assert_int_equal(apply(&t, c), LINK_REMASTERED);
	c.link.lower = 4;
	assert_int_equal(apply(&t, c), LINK_REPEERED);
	c.link.lower_nsid = 1;
	assert_int_equal(apply(&t, c), LINK_REPEERED);
	c.link.mac[5] = 1;
	assert_int_equal(apply(&t, c), LINK_MAC_CHANGED);
	c.link.mtu = 9000;
	assert_int_equal(apply(&t, c), LINK_OTHER);
	memcpy(c.link.kind, "macvlan", sizeof("macvlan"));
	assert_int_equal(apply(&t, c), LINK_REMADE);
	c.kind = LINK_GONE;
	assert_int_equal(apply(&t, c), LINK_IS_GONE);
	assert_int_equal(apply(&t, c), 0);
	assert_int_equal(t.n, 0);
}

static void order_and_lookup(void **state)
{
	static const uint32_t in[] = { 30, 10, 20, 40, 5, 25 };
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	struct link_change c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		char name[16] = { 'n', (char)('a' + i) };

		assert_int_equal(apply(&t, set(in[i], name)), LINK_IS_NEW);
	}
	for (size_t i = 1; i < t.n; i++)
		assert_true(t.v[i - 1].ifindex < t.v[i].ifindex);
	assert_string_equal(link_table_get(&t, 20)->name, "nc");
	assert_int_equal(link_table_find(&t, "ne")->ifindex, 5);
	assert_null(link_table_get(&t, 21));
	assert_null(link_table_get(&t, 99));
	assert_null(link_table_find(&t, "n"));
	c = set(20, "");
	c.kind = LINK_GONE;
	assert_int_equal(apply(&t, c), LINK_IS_GONE);
	assert_null(link_table_get(&t, 20));
	assert_int_equal(link_table_get(&t, 25)->ifindex, 25);
}

static struct link_change address(uint32_t ifindex, uint8_t last, uint8_t plen)
{
	return (struct link_change){
		.kind = LINK_ADDR_SET,
		.link = { .ifindex = ifindex },
		.addr = { .addr = { .b = { [10] = 0xff, [11] = 0xff, 10, 0, 0, last } }, .plen = plen },
	};
}

static void addresses(void **state)
{
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	struct link_change c;

	(void)state;
	assert_int_equal(apply(&t, address(5, 1, 24)), 0); /* of nothing */
	apply(&t, set(5, "a"));
	assert_int_equal(apply(&t, address(5, 1, 24)), LINK_ADDRS_CHANGED);
	assert_int_equal(apply(&t, address(5, 1, 24)), 0);
	assert_int_equal(apply(&t, address(5, 1, 32)), LINK_ADDRS_CHANGED); /* another entry */
	assert_int_equal(apply(&t, address(5, 2, 24)), LINK_ADDRS_CHANGED);
	c = address(5, 2, 24);
	c.addr.flags = 0x40;
	assert_int_equal(apply(&t, c), LINK_ADDRS_CHANGED);
	assert_int_equal(link_table_get(&t, 5)->naddrs, 3);
	assert_int_equal(apply(&t, set(5, "b")), LINK_RENAMED); /* keeps its addresses */
	assert_int_equal(link_table_get(&t, 5)->naddrs, 3);
	c = address(5, 1, 24);
	c.kind = LINK_ADDR_GONE;
	assert_int_equal(apply(&t, c), LINK_ADDRS_CHANGED);
	assert_int_equal(apply(&t, c), 0);
	assert_int_equal(link_table_get(&t, 5)->naddrs, 2);
	c = set(5, "b");
	c.kind = LINK_GONE;
	apply(&t, c);
	apply(&t, set(5, "again")); /* a new device under an old number starts empty */
	assert_int_equal(link_table_get(&t, 5)->naddrs, 0);
}

static void limits(void **state)
{
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	struct link_change c;
	uint32_t what = 7;

	(void)state;
	apply(&t, set(1, "a"));
	for (uint32_t i = 0; i < LINK_ADDRS_MAX; i++) {
		c = address(1, (uint8_t)i, 24);
		c.addr.addr.b[14] = (uint8_t)(i >> 8);
		apply(&t, c);
	}
	c = address(1, 0, 31);
	assert_int_equal(link_table_apply(&t, &c, &what), -E2BIG);
	assert_int_equal(what, 7);
	assert_int_equal(t.v[0].addrs_refused, 1);
	c = address(1, 0, 24); /* one that is there still updates */
	assert_int_equal(link_table_apply(&t, &c, &what), 0);

	for (uint32_t i = 2; i <= LINK_TABLE_MAX; i++)
		apply(&t, set(i, "x"));
	c = set(LINK_TABLE_MAX + 1, "y");
	assert_int_equal(link_table_apply(&t, &c, &what), -E2BIG);
	assert_int_equal(t.refused, 1);
	assert_int_equal(t.n, LINK_TABLE_MAX);
}

static void numbers(void **state)
{
	auto_cleanup(link_table_done) struct link_table t = { .key = { 1, 1 } };
	const struct netns_key k = { 2, 2 }, k2 = { 3, 3 };
	struct link_change c = { .kind = LINK_NSID_GONE, .nsid = 0 };

	(void)state;
	assert_int_equal(link_table_set_nsid(&t, -1, &k), -EINVAL);
	assert_int_equal(link_table_set_nsid(&t, 0, &k), 0);
	assert_int_equal(link_table_set_nsid(&t, 1, &k2), 0);
	assert_true(netns_key_same(link_table_nsid(&t, 0), &k));
	assert_true(netns_key_same(link_table_nsid(&t, LINK_NSID_OWN), &t.key));
	assert_null(link_table_nsid(&t, LINK_NSID_NONE));
	assert_int_equal(apply(&t, c), LINK_NSIDS_CHANGED);
	assert_int_equal(apply(&t, c), 0);
	assert_null(link_table_nsid(&t, 0));
	c = (struct link_change){ .kind = LINK_NSID_SET, .nsid = 1 }; /* given anew */
	assert_int_equal(apply(&t, c), LINK_NSIDS_CHANGED);
	assert_null(link_table_nsid(&t, 1));
}

/* The node has given 1 to pod A and 2 to pod B; each pod has given 0 to the node. */
#define NODE { 10, 10 }
#define POD_A { 20, 20 }
#define POD_B { 30, 30 }

static void peers(void **state)
{
	struct link node[] = {
		{ .ifindex = 4, .name = "va", .kind = "veth", .lower = 2, .lower_nsid = 1 },
		{ .ifindex = 5, .name = "vb", .kind = "veth", .lower = 2, .lower_nsid = 2 },
		{ .ifindex = 6, .name = "old", .kind = "veth", .lower = 3, .lower_nsid = 2 },
		{ .ifindex = 7, .name = "p0", .kind = "veth", .lower = 8, .lower_nsid = LINK_NSID_OWN },
		{ .ifindex = 8, .name = "p1", .kind = "veth", .lower = 7, .lower_nsid = LINK_NSID_OWN },
		{ .ifindex = 9, .name = "mv", .kind = "macvlan", .lower = 7, .lower_nsid = LINK_NSID_OWN },
	};
	struct link a[] = { { .ifindex = 2, .name = "eth0", .kind = "veth", .lower = 4, .lower_nsid = 0 } };
	struct link b[] = {
		{ .ifindex = 2, .name = "eth0", .kind = "veth", .lower = 5, .lower_nsid = 0 },
		{ .ifindex = 3, .name = "eth1", .kind = "veth", .lower = 99, .lower_nsid = 0 },
	};
	struct link_nsid node_ids[] = { { 1, POD_A }, { 2, POD_B } }, pod_ids[] = { { 0, NODE } };
	struct link_table t[] = {
		{ .key = NODE, .v = node, .n = ARRAY_SIZE(node), .nsids = node_ids, .nnsids = 2 },
		{ .key = POD_A, .v = a, .n = 1, .nsids = pod_ids, .nnsids = 1 },
		{ .key = POD_B, .v = b, .n = 2, .nsids = pod_ids, .nnsids = 1 },
	};
	const struct link_table *where = NULL;

	(void)state;
	assert_ptr_equal(link_table_peer(&t[1], &a[0], t, 3, &where), &node[0]);
	assert_ptr_equal(where, &t[0]);
	assert_ptr_equal(link_table_peer(&t[2], &b[0], t, 3, &where), &node[1]);
	/* the same ifindex in both pods: the number tells them apart */
	assert_ptr_equal(link_table_peer(&t[0], &node[0], t, 3, &where), &a[0]);
	assert_ptr_equal(where, &t[1]);
	assert_ptr_equal(link_table_peer(&t[0], &node[1], t, 3, &where), &b[0]);
	assert_ptr_equal(where, &t[2]);
	/* both in one namespace */
	assert_ptr_equal(link_table_peer(&t[0], &node[3], t, 3, &where), &node[4]);
	assert_ptr_equal(where, &t[0]);
	/* the other end does not name this one back */
	assert_null(link_table_peer(&t[0], &node[2], t, 3, &where));
	assert_null(link_table_peer(&t[2], &b[1], t, 3, &where));
	/* no pair device */
	assert_null(link_table_peer(&t[0], &node[5], t, 3, &where));
	/* one side's knowledge is enough, none is too little */
	t[0].nnsids = 0;
	assert_ptr_equal(link_table_peer(&t[0], &node[0], t, 3, &where), &a[0]);
	assert_ptr_equal(link_table_peer(&t[1], &a[0], t, 3, NULL), &node[0]);
	t[1].nnsids = 0;
	assert_null(link_table_peer(&t[1], &a[0], t, 3, &where));
	assert_null(link_table_peer(&t[0], &node[0], t, 3, &where));
	/* numbers that contradict the table */
	t[0].nnsids = 2;
	node_ids[0].key = (struct netns_key)POD_B;
	assert_null(link_table_peer(&t[1], &a[0], t, 3, &where));
}

/* One end moves away and comes back: the other end follows without a word of its own. */
static void ends_follow(void **state)
{
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	struct link_change a = set(5, "a"), b = set(6, "b"), mv = set(7, "mv"), gone;

	(void)state;
	a.link.lower = 6;
	b.link.lower = 5;
	memcpy(mv.link.kind, "macvlan", sizeof("macvlan"));
	mv.link.lower = 6;
	apply(&t, a);
	assert_int_equal(apply(&t, b), LINK_IS_NEW);
	apply(&t, mv);
	gone = b;
	gone.kind = LINK_GONE;
	gone.moved = true;
	gone.moved_nsid = 3;
	gone.moved_ifindex = 60;
	assert_int_equal(apply(&t, gone), LINK_IS_GONE | LINK_REPEERED);
	assert_int_equal(link_table_get(&t, 5)->lower, 60);
	assert_int_equal(link_table_get(&t, 5)->lower_nsid, 3);
	assert_int_equal(link_table_get(&t, 7)->lower_nsid, LINK_NSID_OWN); /* no pair: as told */

	b.link.ifindex = 8;
	assert_int_equal(apply(&t, b), LINK_IS_NEW | LINK_REPEERED);
	assert_int_equal(link_table_get(&t, 5)->lower, 8);
	assert_int_equal(link_table_get(&t, 5)->lower_nsid, LINK_NSID_OWN);

	gone = (struct link_change){ .kind = LINK_GONE, .link.ifindex = 8 }; /* deleted, not moved */
	assert_int_equal(apply(&t, gone), LINK_IS_GONE);
	assert_int_equal(link_table_get(&t, 5)->lower, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes),
		cmocka_unit_test(order_and_lookup),
		cmocka_unit_test(addresses),
		cmocka_unit_test(limits),
		cmocka_unit_test(numbers),
		cmocka_unit_test(peers),
		cmocka_unit_test(ends_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
