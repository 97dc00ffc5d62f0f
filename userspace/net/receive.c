/* SPDX-License-Identifier: Apache-2.0 */
#include "net/receive.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "net/netns.h"

int receive_open(int netns_fd, int protocol, bool nonblock, int *ret_sock)
{
	const struct timeval limit = { .tv_sec = RECEIVE_TIMEOUT_S };
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	auto_close int sock = -1;
	int r;

	r = netns_socket(netns_fd, AF_NETLINK, SOCK_RAW | (nonblock ? SOCK_NONBLOCK : 0), protocol,
			 &sock);
	if (r < 0)
		return r;
	if (bind(sock, (struct sockaddr *)&any, sizeof(any)) < 0)
		return -errno;
	if (!nonblock && setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	*ret_sock = take_fd(sock);
	return 0;
}

int receive_one(int sock, void *buf, size_t size, int32_t *ret_nsid)
{
	union {
		char space[CMSG_SPACE(sizeof(int)) * 2];
		struct cmsghdr align;
	} control;
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int32_t nsid = -1;
	ssize_t len;

	do
		len = recvmsg(sock, &m, 0);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	/* A process with CAP_NET_ADMIN in the namespace may send to us: believe the kernel only. */
	if (m.msg_namelen != sizeof(from) || from.nl_family != AF_NETLINK || from.nl_pid)
		return 0;
	if (m.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID &&
		    c->cmsg_len >= CMSG_LEN(sizeof(nsid)))
			memcpy(&nsid, CMSG_DATA(c), sizeof(nsid));
	if (ret_nsid)
		*ret_nsid = nsid;
	return (int)len;
}

/* 0: more to come, 1: the end, negative errno: an error of the kernel's. */
static int control_msg(const struct nlmsghdr *h)
{
	const int *err = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type != NLMSG_ERROR && h->nlmsg_type != NLMSG_DONE)
		return h->nlmsg_type == NLMSG_OVERRUN ? -ENOBUFS : 0;
	if (mnl_nlmsg_get_payload_len(h) < sizeof(*err))
		return h->nlmsg_type == NLMSG_DONE ? 1 : -EBADMSG;
	return *err < 0 ? *err : 1;
}

static int dump_answer(const struct nlmsghdr *h, uint32_t seq, bool *torn,
		       int (*fn)(void *arg, const struct nlmsghdr *h), void *arg)
{
	if (h->nlmsg_seq != seq)
		return 0;
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		*torn = true;
	return h->nlmsg_type < NLMSG_MIN_TYPE ? control_msg(h) : fn(arg, h);
}

int receive_dump(int netns_fd, int protocol, struct nlmsghdr *req,
		 int (*fn)(void *arg, const struct nlmsghdr *h), void *arg, bool *ret_torn)
{
	auto_free char *buf = malloc(RECEIVE_BUF);
	auto_close int sock = -1;
	bool torn = false;
	int r;

	if (!buf)
		return -ENOMEM;
	r = receive_open(netns_fd, protocol, false, &sock);
	if (r < 0)
		return r;
	req->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req->nlmsg_seq = 1; /* the socket is new: nothing else can be under way on it */
	if (send(sock, req, req->nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		int len = receive_one(sock, buf, RECEIVE_BUF, NULL);
		const struct nlmsghdr *h;
		size_t at = 0;

		if (len < 0)
			return len == -EAGAIN ? -ETIMEDOUT : len;
		while ((h = receive_next(buf, (size_t)len, &at))) {
			r = dump_answer(h, req->nlmsg_seq, &torn, fn, arg);
			if (ret_torn)
				*ret_torn = torn;
			if (r > 0 && h->nlmsg_type < NLMSG_MIN_TYPE)
				return 0;
			if (r)
				return r;
		}
	}
}
