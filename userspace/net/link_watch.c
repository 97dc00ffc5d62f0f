/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "net/link_msg.h"
#include "net/receive.h"

struct link_watch {
	uv_poll_t poll;			/* poll.data = self; libuv may touch it until closed() */
	int sock;
	const struct link_watch_ops *ops;
	void *arg;
	struct link_watch_stats stats;
	bool lost;			/* an overrun was told, the queue is not empty since */
	void (*done)(void *arg);
	void *done_arg;
	char buf[RECEIVE_BUF] __attribute__((aligned(8)));
};

static bool closing(const struct link_watch *w)
{
	return uv_is_closing((const uv_handle_t *)&w->poll);
}

static void deliver(struct link_watch *w, size_t len, int32_t nsid)
{
	const struct nlmsghdr *h;
	struct link_change c;
	size_t at = 0;

	while (!closing(w) && (h = receive_next(w->buf, len, &at))) {
		int r = link_msg_decode(h, &c);

		if (r == -ENOMSG)
			continue;
		if (r < 0) {
			w->stats.malformed++;
			continue;
		}
		c.in_nsid = nsid < 0 ? LINK_NSID_OWN : nsid;
		w->stats.changes++;
		w->ops->change(w->arg, &c);
	}
}

/*
 * A budget per wake-up: libuv polls level-triggered, the rest comes with the next turn.
 *
 * The kernel tells of an overrun once and then drops in silence until the queue was empty: a
 * dump before that would miss what is dropped after it. So resync waits for the empty queue.
 */
static void readable(uv_poll_t *poll, int status, int events)
{
	struct link_watch *w = poll->data;
	bool empty = false;

	(void)events;
	w->stats.wakeups++;
	/* A pending overrun is an error of the socket, at which libuv stops polling. Reading below
	 * takes the error away; the poll must be started anew. */
	if (status < 0)
		(void)uv_poll_start(&w->poll, UV_READABLE, readable);
	for (unsigned i = 0; i < LINK_WATCH_BUDGET && !empty && !closing(w); i++) {
		int32_t nsid;
		int r = receive_one(w->sock, w->buf, sizeof(w->buf), &nsid);

		if (r == -EAGAIN)
			empty = true;
		else if (r < 0)
			w->lost = true;
		else if (!r)
			w->stats.foreign++;
		else
			deliver(w, (size_t)r, nsid);
	}
	if (!w->lost || !empty || closing(w))
		return;
	w->lost = false;
	w->stats.lost++;
	w->ops->resync(w->arg);
}

static int subscribe(int sock, unsigned flags, uint32_t rcvbuf)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NSID,
	};
	const int bytes = (int)(rcvbuf ? rcvbuf : LINK_WATCH_RCVBUF), on = 1;

	/* Beyond the system's limit with CAP_NET_ADMIN, else as far as it goes: loss is handled. */
	if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if ((flags & LINK_WATCH_ALL) &&
	    setsockopt(sock, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (setsockopt(sock, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			return -errno;
	return 0;
}

int link_watch_open(uv_loop_t *loop, int netns_fd, unsigned flags, uint32_t rcvbuf,
		    const struct link_watch_ops *ops, void *arg, struct link_watch **ret)
{
	auto_free struct link_watch *w = calloc(1, sizeof(*w));
	auto_close int sock = -1;
	int r;

	if (!w)
		return -ENOMEM;
	r = receive_open(netns_fd, NETLINK_ROUTE, true, &sock);
	if (r < 0)
		return r;
	r = subscribe(sock, flags, rcvbuf);
	if (r < 0)
		return r;
	r = uv_poll_init(loop, &w->poll, sock);
	if (r < 0)
		return r;
	w->poll.data = w;
	w->sock = take_fd(sock);
	w->ops = ops;
	w->arg = arg;
	/* Fails only for a closing handle or no events. */
	(void)uv_poll_start(&w->poll, UV_READABLE, readable);
	*ret = take_ptr(w);
	return 0;
}

static void closed(uv_handle_t *h)
{
	struct link_watch *w = h->data;

	if (w->done)
		w->done(w->done_arg);
	close(w->sock);
	free(w);
}

void link_watch_close(struct link_watch *w, void (*done)(void *arg), void *arg)
{
	if (!w || closing(w))
		return;
	w->done = done;
	w->done_arg = arg;
	uv_close((uv_handle_t *)&w->poll, closed);
}

void link_watch_stats(const struct link_watch *w, struct link_watch_stats *ret)
{
	*ret = w->stats;
}
