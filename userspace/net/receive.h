/* SPDX-License-Identifier: Apache-2.0 */
/* receive.h - netlink sockets read without a library's loop; private to this room. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>

#define RECEIVE_BUF (64u << 10)	/* the kernel fills dumps up to 32 KiB a piece */
#define RECEIVE_TIMEOUT_S 5

/* A bound netlink socket inside the namespace (fd -1: own); non-blocking if asked. */
int receive_open(int netns_fd, int protocol, bool nonblock, int *ret_sock);

/*
 * One datagram. Its length; 0: one that did not come from the kernel, to be ignored; -EAGAIN
 * nothing there; -ENOBUFS some were lost; -EMSGSIZE it did not fit (lost as well). *ret_nsid
 * (may be NULL) is the number of the namespace it tells of, -1 for the socket's own.
 */
int receive_one(int sock, void *buf, size_t size, int32_t *ret_nsid);

/*
 * The messages of a datagram one by one: `size_t at = 0; while ((h = receive_next(buf, len, &at)))`.
 * Not the library's own walk, which takes a length with the highest bit set for a small one.
 */
static inline const struct nlmsghdr *receive_next(const void *buf, size_t len, size_t *at)
{
	const struct nlmsghdr *h = (const void *)((const char *)buf + *at);

	if (*at > len || len - *at < NLMSG_HDRLEN || h->nlmsg_len < NLMSG_HDRLEN ||
	    h->nlmsg_len > len - *at)
		return NULL;
	*at += NLMSG_ALIGN((size_t)h->nlmsg_len);
	return h;
}

/*
 * Sends a dump request (its sequence number and flags are set here) on a new socket inside the
 * namespace and gives each answer to fn until the end of the dump, an error (returned), or
 * until fn returns non-zero (returned). *ret_torn (may be NULL): the table changed meanwhile.
 */
int receive_dump(int netns_fd, int protocol, struct nlmsghdr *req,
		 int (*fn)(void *arg, const struct nlmsghdr *h), void *arg, bool *ret_torn);
