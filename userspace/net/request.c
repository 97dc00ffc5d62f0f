/* SPDX-License-Identifier: Apache-2.0 */
#include "net/request.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "net/netns.h"

struct exchange {
	int (*fn)(void *arg, struct nlmsghdr *h);
	void *arg;
	int err;	/* the kernel's answer */
	int stopped;	/* what fn returned */
	bool done, torn;
};

static void nl_cb_putp(struct nl_cb **cb)
{
	nl_cb_put(*cb);
}

void nl_socket_freep(struct nl_sock **s)
{
	nl_socket_free(*s);
}

void nlmsg_freep(struct nl_msg **m)
{
	nlmsg_free(*m);
}

/* The library's error codes fold several errnos into one; only those that can come up here. */
static int errno_of(int nle)
{
	switch (-nle) {
	case NLE_AGAIN:
		return -ETIMEDOUT;
	case NLE_NOMEM:
		return -ENOBUFS;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_DUMP_INTR:
		return -EINTR;
	default:
		return -EIO;
	}
}

static int connect_route(void *arg)
{
	int r = nl_connect(arg, NETLINK_ROUTE);

	return r < 0 ? errno_of(r) : 0;
}

int request_open(int netns_fd, struct nl_sock **ret)
{
	auto_cleanup(nl_socket_freep) struct nl_sock *s = nl_socket_alloc();
	const struct timeval limit = { .tv_sec = REQUEST_TIMEOUT_S };
	int r;

	if (!s)
		return -ENOMEM;
	r = netns_run(netns_fd, connect_route, s);
	if (r < 0)
		return r;
	if (nl_socket_set_msg_buf_size(s, REQUEST_BUF) < 0)
		return -ENOMEM;
	nl_socket_disable_msg_peek(s); /* the kernel fits dumps to the buffer offered */
	if (setsockopt(nl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	*ret = take_ptr(s);
	return 0;
}

/*
 * Inside a workload's namespace its own processes may hold CAP_NET_ADMIN, and then may send to
 * any netlink socket there: only what the kernel itself sent counts.
 */
static int on_any(struct nl_msg *m, void *arg)
{
	(void)arg;
	return nlmsg_get_src(m)->nl_pid ? NL_SKIP : NL_OK;
}

static int on_valid(struct nl_msg *m, void *arg)
{
	struct exchange *x = arg;

	if (x->fn && !x->stopped)
		x->stopped = x->fn(x->arg, nlmsg_hdr(m));
	return NL_OK;
}

static int on_torn(struct nl_msg *m, void *arg)
{
	struct exchange *x = arg;

	(void)m;
	x->torn = true;
	return NL_OK;
}

static int on_ack(struct nl_msg *m, void *arg)
{
	struct exchange *x = arg;

	(void)m;
	x->done = true;
	return NL_STOP;
}

/* The end of a dump carries its result. */
static int on_finish(struct nl_msg *m, void *arg)
{
	const struct nlmsghdr *h = nlmsg_hdr(m);
	struct exchange *x = arg;
	int result;

	if (nlmsg_datalen(h) >= (int)sizeof(result)) {
		memcpy(&result, nlmsg_data(h), sizeof(result));
		if (result < 0)
			x->err = result;
	}
	x->done = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct exchange *x = arg;

	(void)from;
	x->err = e->error;
	x->done = true;
	return NL_STOP;
}

int request_run(struct nl_sock *s, struct nl_msg *m, int (*fn)(void *arg, struct nlmsghdr *h),
		void *arg, bool *ret_torn)
{
	struct exchange x = { .fn = fn, .arg = arg };
	auto_cleanup(nl_cb_putp) struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_MSG_IN, NL_CB_CUSTOM, on_any, NULL);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, &x);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &x);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, &x);
	nl_cb_set(cb, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_torn, &x);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, &x);
	r = nl_send_auto(s, m);
	if (r < 0)
		return errno_of(r);
	while (!x.done) {
		r = nl_recvmsgs(s, cb);
		if (r < 0 && !x.done) /* the kernel's own refusal is done, and exact in x.err */
			return errno_of(r);
	}
	if (x.err < 0)
		return x.err;
	if (ret_torn)
		*ret_torn = x.torn;
	return x.stopped;
}
