/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/request.c */
#include "fixture.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "net/request.h"

static int count(void *arg, struct nlmsghdr *h)
{
	const struct ifinfomsg *m = nlmsg_data(h);

	assert_int_not_equal(m->ifi_index, 777);
	++*(int *)arg;
	return 0;
}

static int stop_at_first(void *arg, struct nlmsghdr *h)
{
	(void)h;
	return ++*(int *)arg == 1 ? 5 : 99;
}

static struct nl_msg *get_links(int flags, int ifindex)
{
	struct ifinfomsg head = { .ifi_index = ifindex };
	struct nl_msg *m = nlmsg_alloc_simple(RTM_GETLINK, flags);

	assert_non_null(m);
	assert_int_equal(nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO), 0);
	return m;
}

static void answers(void **state)
{
	auto_cleanup(nl_socket_freep) struct nl_sock *s = NULL;
	auto_close int ns = -1;
	struct nl_msg *m;
	bool torn = true;
	int n = 0;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	fixture_do(ns, "ip link add v0 type veth peer name v1");
	assert_int_equal(request_open(ns, &s), 0);
	m = get_links(NLM_F_DUMP, 0);
	assert_int_equal(request_run(s, m, count, &n, &torn), 0);
	assert_true(n >= 3);
	assert_false(torn);
	nlmsg_free(m);
	m = get_links(0, 12345);	/* the kernel's own error, exact */
	assert_int_equal(request_run(s, m, count, &n, NULL), -ENODEV);
	nlmsg_free(m);
	n = 0;				/* stopped: the rest is read away, not seen */
	m = get_links(NLM_F_DUMP, 0);
	assert_int_equal(request_run(s, m, stop_at_first, &n, NULL), 5);
	assert_int_equal(n, 1);
	nlmsg_free(m);
	n = 0;
	m = get_links(0, 1);		/* and the socket is clean for the next */
	assert_int_equal(request_run(s, m, count, &n, NULL), 0);
	assert_int_equal(n, 1);
	nlmsg_free(m);
}

/* A process of the workload with CAP_NET_ADMIN answers before the kernel does. */
static void forged_answers(void **state)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg m;
	} link = {
		.h = { .nlmsg_len = sizeof(link), .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_MULTI },
		.m = { .ifi_index = 777 },
	};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} err = {
		.h = { .nlmsg_len = sizeof(err), .nlmsg_type = NLMSG_ERROR }, .e.error = -EACCES,
	};
	auto_cleanup(nl_socket_freep) struct nl_sock *s = NULL;
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	auto_close int ns = -1, sock = -1;
	struct nl_msg *m;
	int n = 0;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	assert_int_equal(request_open(ns, &s), 0);
	to.nl_pid = nl_socket_get_local_port(s);
	link.h.nlmsg_pid = err.h.nlmsg_pid = to.nl_pid;
	m = get_links(NLM_F_DUMP, 0);
	nl_complete_msg(s, m);		/* the number that the answer must carry */
	link.h.nlmsg_seq = err.h.nlmsg_seq = nlmsg_hdr(m)->nlmsg_seq;
	assert_int_equal(netns_socket(ns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, &sock), 0);
	assert_int_equal(sendto(sock, &link, sizeof(link), 0, (void *)&to, sizeof(to)), sizeof(link));
	assert_int_equal(sendto(sock, &err, sizeof(err), 0, (void *)&to, sizeof(to)), sizeof(err));
	assert_int_equal(request_run(s, m, count, &n, NULL), 0);
	assert_true(n >= 1);
	nlmsg_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(forged_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
