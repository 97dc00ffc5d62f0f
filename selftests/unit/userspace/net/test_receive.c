/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/receive.c and receive.h */
#include "fixture.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "net/receive.h"

static void walk(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		uint32_t first, second;	/* nlmsg_len */
		unsigned want;		/* messages seen */
	} t[] = {
		{ "nothing", 0, 0, 0, 0 },
		{ "less than a head", 15, 15, 0, 0 },
		{ "one", 16, 16, 0, 1 },
		{ "two", 36, 20, 16, 2 },
		{ "length below a head", 36, 15, 16, 0 },
		{ "length zero", 36, 0, 16, 0 },
		{ "length beyond the end", 36, 37, 16, 0 },
		{ "length with the sign bit", 36, 0x80000010, 16, 0 },
		{ "largest length", 36, UINT32_MAX, 16, 0 },
		{ "second beyond the end", 36, 20, 17, 1 },
		{ "second with the sign bit", 36, 20, 0xfffffff0, 1 },
		{ "last one unaligned", 19, 19, 0, 1 },
		{ "padded between", 36, 17, 16, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint32_t room[16] = { 0 };
		size_t at = 0;
		unsigned n = 0;

		print_message("  %s\n", t[i].name);
		room[0] = t[i].first;
		room[5] = t[i].second;	/* behind 17..20 bytes */
		while (receive_next(room, t[i].len, &at) && n < 9)
			n++;
		assert_int_equal(n, t[i].want);
	}
}

static int count(void *arg, const struct nlmsghdr *h)
{
	(void)h;
	return ++*(int *)arg == 1000 ? 7 : 0;
}

static int never(void *arg, const struct nlmsghdr *h)
{
	(void)arg;
	(void)h;
	return 9;
}

static void dumps(void **state)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg m;
	} req = { .h = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_GETLINK } };
	auto_close int ns = -1;
	bool torn = true;
	int n = 0;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	assert_int_equal(receive_dump(ns, NETLINK_ROUTE, &req.h, count, &n, &torn), 0);
	assert_true(n >= 1); /* loopback */
	assert_false(torn);
	assert_int_equal(receive_dump(ns, NETLINK_ROUTE, &req.h, never, NULL, NULL), 9);
	assert_int_equal(receive_dump(ns, 31, &req.h, count, &n, NULL), -EPROTONOSUPPORT);
	n = 0;
	req.h.nlmsg_type = NLMSG_MIN_TYPE; /* a set request, refused as a dump or for its size */
	req.h.nlmsg_len = NLMSG_HDRLEN;
	assert_true(receive_dump(ns, NETLINK_ROUTE, &req.h, count, &n, NULL) < 0);
	assert_int_equal(n, 0);
}

/* Only the kernel is believed, and a datagram that does not fit is a loss. */
static void senders(void **state)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg m;
	} req = {
		.h = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	auto_close int ns = -1, sock = -1, other = -1;
	struct sockaddr_nl to;
	socklen_t len = sizeof(to);
	char buf[RECEIVE_BUF];
	int32_t nsid = 5;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	assert_int_equal(receive_open(ns, NETLINK_ROUTE, true, &sock), 0);
	assert_int_equal(receive_open(ns, NETLINK_ROUTE, true, &other), 0);
	assert_int_equal(receive_one(sock, buf, sizeof(buf), NULL), -EAGAIN);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&to, &len), 0);
	assert_int_equal(sendto(other, &req, sizeof(req), 0, (struct sockaddr *)&to, len), sizeof(req));
	assert_int_equal(receive_one(sock, buf, sizeof(buf), &nsid), 0);
	assert_int_equal(nsid, 5);
	assert_int_equal(send(sock, &req, sizeof(req), 0), sizeof(req));
	assert_int_equal(receive_one(sock, buf, 64, &nsid), -EMSGSIZE);
	assert_true(receive_one(sock, buf, sizeof(buf), &nsid) > 0); /* the end of the dump */
	assert_int_equal(nsid, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walk),
		cmocka_unit_test(dumps),
		cmocka_unit_test(senders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
