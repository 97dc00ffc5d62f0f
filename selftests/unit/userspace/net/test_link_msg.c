/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/link_msg.c */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "net/link_msg.h"

static char space[1024] __attribute__((aligned(8)));

static struct nlmsghdr *link_head(uint16_t type, uint8_t family, int ifindex)
{
	struct nlmsghdr *h;
	struct ifinfomsg *m;

	memset(space, 0, sizeof(space));
	h = mnl_nlmsg_put_header(space);
	h->nlmsg_type = type;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_family = family;
	m->ifi_index = ifindex;
	m->ifi_type = ARPHRD_ETHER;
	m->ifi_flags = 0x1043;
	return h;
}

static struct nlmsghdr *veth_msg(uint16_t type)
{
	struct nlmsghdr *h = link_head(type, AF_UNSPEC, 7);
	struct nlattr *nest;

	mnl_attr_put_strz(h, IFLA_IFNAME, "cali123");
	mnl_attr_put_u32(h, IFLA_MTU, 1450);
	mnl_attr_put_u32(h, IFLA_MASTER, 3);
	mnl_attr_put_u32(h, IFLA_LINK, 2);
	mnl_attr_put_u32(h, IFLA_LINK_NETNSID, 5);
	mnl_attr_put(h, IFLA_ADDRESS, 6, "\x02\x42\xac\x11\x00\x02");
	nest = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	mnl_attr_nest_end(h, nest);
	return h;
}

static void veth(void **state)
{
	struct link_change c;

	(void)state;
	assert_int_equal(link_msg_decode(veth_msg(RTM_NEWLINK), &c), 0);
	assert_int_equal(c.kind, LINK_SET);
	assert_int_equal(c.in_nsid, LINK_NSID_OWN);
	assert_int_equal(c.link.ifindex, 7);
	assert_int_equal(c.link.flags, 0x1043);
	assert_int_equal(c.link.type, ARPHRD_ETHER);
	assert_int_equal(c.link.mtu, 1450);
	assert_int_equal(c.link.master, 3);
	assert_int_equal(c.link.lower, 2);
	assert_int_equal(c.link.lower_nsid, 5);
	assert_string_equal(c.link.name, "cali123");
	assert_string_equal(c.link.kind, "veth");
	assert_memory_equal(c.link.mac, "\x02\x42\xac\x11\x00\x02", 6);
	assert_int_equal(link_msg_decode(veth_msg(RTM_DELLINK), &c), 0);
	assert_int_equal(c.kind, LINK_GONE);
	assert_false(c.moved);
}

static void lower_forms(void **state)
{
	static const struct {
		const char *name;
		int64_t lower, nsid;	/* -9: attribute absent */
		uint32_t want_lower;
		int32_t want_nsid;
	} t[] = {
		{ "no lower", -9, -9, 0, LINK_NSID_OWN },
		{ "in the same namespace", 4, -9, 4, LINK_NSID_OWN },
		{ "on itself", 7, -9, 0, LINK_NSID_OWN },
		{ "same number elsewhere", 7, 3, 7, 3 },
		{ "same number elsewhere, left out", -9, 3, 7, 3 },
		{ "elsewhere, without a number", 4, -1, 4, LINK_NSID_NONE },
		{ "elsewhere, a number from nowhere", 4, -77, 4, LINK_NSID_NONE },
	};
	struct link_change c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct nlmsghdr *h = link_head(RTM_NEWLINK, AF_UNSPEC, 7);

		print_message("  %s\n", t[i].name);
		mnl_attr_put_strz(h, IFLA_IFNAME, "x");
		if (t[i].lower != -9)
			mnl_attr_put_u32(h, IFLA_LINK, (uint32_t)t[i].lower);
		if (t[i].nsid != -9)
			mnl_attr_put_u32(h, IFLA_LINK_NETNSID, (uint32_t)t[i].nsid);
		assert_int_equal(link_msg_decode(h, &c), 0);
		assert_int_equal(c.link.lower, t[i].want_lower);
		assert_int_equal(c.link.lower_nsid, t[i].want_nsid);
	}
}

static void moved(void **state)
{
	struct nlmsghdr *h = veth_msg(RTM_DELLINK);
	struct link_change c;

	(void)state;
	mnl_attr_put_u32(h, IFLA_NEW_NETNSID, 9);
	mnl_attr_put_u32(h, IFLA_NEW_IFINDEX, 12);
	assert_int_equal(link_msg_decode(h, &c), 0);
	assert_true(c.moved);
	assert_int_equal(c.moved_nsid, 9);
	assert_int_equal(c.moved_ifindex, 12);
}

static void addresses(void **state)
{
	static const struct {
		const char *name;
		uint8_t family, plen;
		uint16_t attr, len;
		int r;
	} t[] = {
		{ "IPv4 local", AF_INET, 24, IFA_LOCAL, 4, 0 },
		{ "IPv4 by address", AF_INET, 32, IFA_ADDRESS, 4, 0 },
		{ "IPv6", AF_INET6, 64, IFA_ADDRESS, 16, 0 },
		{ "IPv6 longest", AF_INET6, 128, IFA_ADDRESS, 16, 0 },
		{ "IPv4 prefix too long", AF_INET, 33, IFA_LOCAL, 4, -EBADMSG },
		{ "IPv6 prefix too long", AF_INET6, 129, IFA_ADDRESS, 16, -EBADMSG },
		{ "IPv4 address too short", AF_INET, 8, IFA_LOCAL, 3, -EBADMSG },
		{ "IPv6 address in an IPv4 one", AF_INET, 8, IFA_LOCAL, 16, -EBADMSG },
		{ "IPv4 address in an IPv6 one", AF_INET6, 8, IFA_ADDRESS, 4, -EBADMSG },
		{ "no address", AF_INET, 8, IFA_LABEL, 4, -EBADMSG },
		{ "another family", 7, 8, IFA_LOCAL, 4, -ENOMSG },
	};
	static const uint8_t bytes[16] = { 0xfd, 0, 0, 0x20, [15] = 9 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct link_change c = { .nsid = 77 };
		struct nlmsghdr *h;
		struct ifaddrmsg *m;

		print_message("  %s\n", t[i].name);
		memset(space, 0, sizeof(space));
		h = mnl_nlmsg_put_header(space);
		h->nlmsg_type = RTM_NEWADDR;
		m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		*m = (struct ifaddrmsg){ t[i].family, t[i].plen, 0x80, 253, 7 };
		mnl_attr_put(h, t[i].attr, t[i].len, bytes);
		assert_int_equal(link_msg_decode(h, &c), t[i].r);
		if (t[i].r) {
			assert_int_equal(c.nsid, 77); /* untouched */
			continue;
		}
		assert_int_equal(c.kind, LINK_ADDR_SET);
		assert_int_equal(c.link.ifindex, 7);
		assert_int_equal(c.addr.plen, t[i].plen);
		assert_int_equal(c.addr.scope, 253);
		assert_int_equal(c.addr.flags, 0x80);
		assert_int_equal(c.addr.v6, t[i].family == AF_INET6);
		if (c.addr.v6)
			assert_memory_equal(c.addr.addr.b, bytes, 16);
		else
			assert_memory_equal(c.addr.addr.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xfd\0\0\x20", 16);
	}
}

static void broken(void **state)
{
	struct link_change c = { .nsid = 77 };
	struct nlmsghdr *h;

	(void)state;
	h = link_head(RTM_NEWLINK, AF_BRIDGE, 7);	/* a port that left its bridge */
	mnl_attr_put_strz(h, IFLA_IFNAME, "x");
	assert_int_equal(link_msg_decode(h, &c), -ENOMSG);
	h->nlmsg_type = RTM_DELLINK;
	assert_int_equal(link_msg_decode(h, &c), -ENOMSG);
	h = link_head(RTM_NEWROUTE, AF_UNSPEC, 7);
	assert_int_equal(link_msg_decode(h, &c), -ENOMSG);
	h = link_head(RTM_NEWLINK, AF_UNSPEC, 7);	/* no name */
	assert_int_equal(link_msg_decode(h, &c), -EBADMSG);
	h = link_head(RTM_NEWLINK, AF_UNSPEC, 0);
	mnl_attr_put_strz(h, IFLA_IFNAME, "x");
	assert_int_equal(link_msg_decode(h, &c), -EBADMSG);
	h = link_head(RTM_NEWLINK, AF_UNSPEC, -7);
	mnl_attr_put_strz(h, IFLA_IFNAME, "x");
	assert_int_equal(link_msg_decode(h, &c), -EBADMSG);
	h = veth_msg(RTM_NEWLINK);			/* head cut off */
	h->nlmsg_len = NLMSG_HDRLEN + 8;
	assert_int_equal(link_msg_decode(h, &c), -EBADMSG);
	assert_int_equal(c.nsid, 77);
}

/* However a message is cut, it is read within its bounds and gives nothing half. */
static void every_cut(void **state)
{
	uint32_t len = veth_msg(RTM_NEWLINK)->nlmsg_len;

	(void)state;
	for (uint32_t cut = 0; cut <= len; cut++) {
		size_t room = (cut + 3u) & ~3u;
		auto_free char *copy = malloc(room ? room : 1);
		struct link_change c = { .nsid = 77 };
		struct nlmsghdr *h = (void *)copy;

		memcpy(copy, veth_msg(RTM_NEWLINK), room < len ? room : len);
		if (cut < NLMSG_HDRLEN)
			continue;
		h->nlmsg_len = cut;
		if (link_msg_decode(h, &c) < 0)
			assert_int_equal(c.nsid, 77);
		else
			assert_string_equal(c.link.name, "cali123");
	}
}

static void long_strings(void **state)
{
	struct nlmsghdr *h = link_head(RTM_NEWLINK, AF_UNSPEC, 7);
	struct nlattr *nest;
	struct link_change c;

	(void)state;
	mnl_attr_put(h, IFLA_IFNAME, 20, "aaaaaaaaaaaaaaaaaaaa"); /* longer than a name, no NUL */
	nest = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put(h, IFLA_INFO_KIND, 20, "bbbbbbbbbbbbbbbbbbbb");
	mnl_attr_nest_end(h, nest);
	mnl_attr_put(h, IFLA_MTU, 2, "\1\1");			/* too short for its type */
	mnl_attr_put(h, IFLA_ADDRESS, 4, "\1\2\3\4");		/* not an Ethernet address */
	assert_int_equal(link_msg_decode(h, &c), 0);
	assert_string_equal(c.link.name, "aaaaaaaaaaaaaaa");
	assert_string_equal(c.link.kind, "bbbbbbbbbbbbbbb");
	assert_int_equal(c.link.mtu, 0);
	assert_memory_equal(c.link.mac, "\0\0\0\0\0\0", 6);
}

static void nsids(void **state)
{
	struct link_change c;
	struct nlmsghdr *h;

	(void)state;
	for (int i = 0; i < 2; i++) {
		memset(space, 0, sizeof(space));
		h = mnl_nlmsg_put_header(space);
		h->nlmsg_type = i ? RTM_DELNSID : RTM_NEWNSID;
		mnl_nlmsg_put_extra_header(h, sizeof(struct rtgenmsg));
		assert_int_equal(link_msg_decode(h, &c), -EBADMSG);
		mnl_attr_put_u32(h, NETNSA_NSID, 4);
		assert_int_equal(link_msg_decode(h, &c), 0);
		assert_int_equal(c.kind, i ? LINK_NSID_GONE : LINK_NSID_SET);
		assert_int_equal(c.nsid, 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(veth),
		cmocka_unit_test(lower_forms),
		cmocka_unit_test(moved),
		cmocka_unit_test(addresses),
		cmocka_unit_test(broken),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(long_strings),
		cmocka_unit_test(nsids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
