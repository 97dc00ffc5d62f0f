/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - one rtnetlink exchange with exact errors; private to this room. */
#pragma once

#include <stdbool.h>
#include <netlink/msg.h>
#include <netlink/socket.h>

#define REQUEST_TIMEOUT_S 5 /* the kernel answers at once; a silent socket must not hang us */
#define REQUEST_BUF (64u << 10)

void nl_socket_freep(struct nl_sock **s);
void nlmsg_freep(struct nl_msg **m);

/* A NETLINK_ROUTE socket inside the namespace (fd -1: own). */
int request_open(int netns_fd, struct nl_sock **ret);

/*
 * Sends m and reads the answer up to its acknowledgement or end of dump. fn (may be NULL) sees
 * each message; when it returns non-zero the rest is read but not shown, and that value is
 * returned. Else 0 or the kernel's own negative errno; -ETIMEDOUT. *ret_torn (may be NULL) is
 * set when the kernel says that a dump is inconsistent. m stays the caller's.
 */
int request_run(struct nl_sock *s, struct nl_msg *m, int (*fn)(void *arg, struct nlmsghdr *h),
		void *arg, bool *ret_torn);
