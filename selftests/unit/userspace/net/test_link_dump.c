/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/link_dump.c: real interfaces in private namespaces */
#include "fixture.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <time.h>

#include "net/link_table.h"

static const struct link_addr *find_addr(const struct link *l, bool v6, uint8_t scope)
{
	for (size_t i = 0; i < l->naddrs; i++)
		if (!!l->addrs[i].v6 == v6 && l->addrs[i].scope == scope)
			return &l->addrs[i];
	return NULL;
}

static void interfaces_and_addresses(void **state)
{
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	const struct link_addr *a;
	const struct link *l;
	auto_close int ns = -1;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	fixture_do(ns, "ip link add v0 mtu 1400 address 02:00:00:00:00:11 type veth peer name v1");
	fixture_do(ns, "ip link add br0 type bridge");
	fixture_do(ns, "ip link set v1 master br0");
	fixture_do(ns, "ip link set v0 up");
	fixture_do(ns, "ip link set v1 up");
	fixture_do(ns, "ip addr add 10.20.1.2/24 dev v0");
	fixture_do(ns, "ip addr add 10.9.9.1 peer 10.9.9.2/32 dev v0");
	fixture_do(ns, "ip addr add fd00:20::2/64 dev v0 nodad");

	assert_int_equal(link_table_fill(ns, &t), 0);
	assert_false(t.torn);
	assert_true(t.key.ino);
	l = link_table_find(&t, "lo");
	assert_non_null(l);
	assert_int_equal(l->type, ARPHRD_LOOPBACK);
	assert_string_equal(l->kind, "");
	assert_int_equal(l->lower, 0);
	l = link_table_find(&t, "v0");
	assert_non_null(l);
	assert_string_equal(l->kind, "veth");
	assert_int_equal(l->mtu, 1400);
	assert_int_equal(l->type, ARPHRD_ETHER);
	assert_true(l->flags & IFF_UP);
	assert_memory_equal(l->mac, "\x02\0\0\0\0\x11", 6);
	assert_int_equal(l->lower_nsid, LINK_NSID_OWN);
	assert_int_equal(l->lower, link_table_find(&t, "v1")->ifindex);
	assert_int_equal(link_table_find(&t, "v1")->master, link_table_find(&t, "br0")->ifindex);
	assert_ptr_equal(link_table_peer(&t, l, &t, 1, NULL), link_table_find(&t, "v1"));

	assert_int_equal(l->naddrs, 4);
	a = find_addr(l, false, RT_SCOPE_UNIVERSE);
	assert_non_null(a);
	assert_memory_equal(a->addr.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x14\x01\x02", 16);
	assert_int_equal(a->plen, 24);
	assert_memory_equal(l->addrs[1].addr.b + 12, "\x0a\x09\x09\x01", 4); /* ours, not the far end */
	a = find_addr(l, true, RT_SCOPE_UNIVERSE);
	assert_non_null(a);
	assert_memory_equal(a->addr.b, "\xfd\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
	assert_int_equal(a->plen, 64);
	assert_non_null(find_addr(l, true, RT_SCOPE_LINK)); /* fe80:: */
}

/* Pods whose eth0 has the very ifindex of its other end, and the same in both pods. */
static void peers_across_namespaces(void **state)
{
	auto_cleanup(link_table_done) struct link_table node = { 0 }, a = { 0 }, b = { 0 };
	struct link_table all[3];
	const struct link_table *where = NULL;
	auto_close int n = -1, pa = -1, pb = -1;
	const struct link *l;
	char path[64];
	int32_t nsid;

	(void)state;
	fixture_need_root();
	n = fixture_netns();
	pa = fixture_netns();
	pb = fixture_netns();
	assert_int_equal(link_nsid_ask(n, pa, &nsid), -ENOENT);
	fixture_do(n, "ip link add va index 50 type veth peer name eth0 index 50 netns %s",
		   fixture_path(pa, path));
	fixture_do(n, "ip link add vb index 51 type veth peer name eth0 index 50 netns %s",
		   fixture_path(pb, path));
	assert_int_equal(link_table_fill(n, &node), 0);
	assert_int_equal(link_table_fill(pa, &a), 0);
	assert_int_equal(link_table_fill(pb, &b), 0);
	l = link_table_find(&node, "va");
	assert_int_equal(l->lower, 50);
	assert_true(l->lower_nsid >= 0);
	assert_int_equal(link_nsid_ask(n, pa, &nsid), 0);
	assert_int_equal(nsid, l->lower_nsid);

	/* before anybody knows what the numbers stand for: no guess */
	all[0] = node, all[1] = a, all[2] = b;
	assert_null(link_table_peer(&all[1], link_table_find(&a, "eth0"), all, 3, &where));
	assert_int_equal(link_table_learn(&node, n, pa), 0);
	assert_int_equal(link_table_learn(&node, n, pb), 0);
	assert_int_equal(link_table_learn(&a, pa, n), 0);
	assert_int_equal(link_table_learn(&a, pa, pb), -ENOENT);
	all[0] = node, all[1] = a, all[2] = b;
	l = link_table_peer(&all[1], link_table_find(&a, "eth0"), all, 3, &where);
	assert_non_null(l);
	assert_string_equal(l->name, "va");
	assert_ptr_equal(where, &all[0]);
	l = link_table_peer(&all[2], link_table_find(&b, "eth0"), all, 3, &where);
	assert_non_null(l);
	assert_string_equal(l->name, "vb");
	l = link_table_peer(&all[0], link_table_find(&node, "vb"), all, 3, &where);
	assert_non_null(l);
	assert_ptr_equal(where, &all[2]);
}

static void macvlan_parent(void **state)
{
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	auto_close int n = -1, pod = -1;
	char path[64];

	(void)state;
	fixture_need_root();
	n = fixture_netns();
	pod = fixture_netns();
	fixture_do(n, "ip link add up0 type veth peer name up1");
	if (fixture_try(n, "ip link add link up0 name mv0 netns %s type macvlan mode bridge",
			fixture_path(pod, path))) {
		print_message("  skipped: no macvlan in this kernel\n");
		skip();
	}
	assert_int_equal(link_table_fill(pod, &t), 0);
	assert_string_equal(link_table_find(&t, "mv0")->kind, "macvlan");
	assert_true(link_table_find(&t, "mv0")->lower_nsid >= 0);
	assert_true(link_table_find(&t, "mv0")->lower > 0);
}

static void many(void **state)
{
	enum { PAIRS = 400 };
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	struct timespec from, to;
	auto_close int ns = -1;
	char path[] = "/tmp/cwt-net-XXXXXX";
	FILE *f;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	f = fdopen(mkstemp(path), "w");
	assert_non_null(f);
	for (int i = 0; i < PAIRS; i++)
		fprintf(f, "link add a%d type veth peer name b%d\naddr add 10.0.%d.%d/32 dev a%d\n",
			i, i, i / 250, i % 250 + 1, i);
	fclose(f);
	fixture_do(ns, "ip -batch %s", path);
	unlink(path);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(link_table_fill(ns, &t), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	print_message("  %d interfaces in %.1f ms\n", 2 * PAIRS,
		      (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
	assert_true(t.n >= 2 * PAIRS + 1);
	for (int i = 0; i < PAIRS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "a%d", i);
		assert_non_null(link_table_find(&t, name));
		assert_int_equal(link_table_find(&t, name)->naddrs, 1);
	}
}

static void bad_descriptor(void **state)
{
	auto_close int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct link_table t = { .refused = 9 };
	int32_t nsid = 9;

	(void)state;
	fixture_need_root();
	assert_int_equal(link_table_fill(file, &t), -EINVAL);
	assert_int_equal(t.refused, 9);
	assert_int_equal(link_nsid_ask(-1, file, &nsid), -EINVAL);
	assert_int_equal(nsid, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interfaces_and_addresses),
		cmocka_unit_test(peers_across_namespaces),
		cmocka_unit_test(macvlan_parent),
		cmocka_unit_test(many),
		cmocka_unit_test(bad_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
