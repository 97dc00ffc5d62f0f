/* SPDX-License-Identifier: Apache-2.0 */
/* sockdiag.h - the sockets of a namespace: who listens, who is connected. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define SOCKDIAG_TCP 0x1u
#define SOCKDIAG_UDP 0x2u
#define SOCKDIAG_SCTP 0x4u
#define SOCKDIAG_ANY (SOCKDIAG_TCP | SOCKDIAG_UDP | SOCKDIAG_SCTP)

struct sockdiag_socket {
	uint8_t proto;		/* IPPROTO_TCP, _UDP, _SCTP */
	uint8_t v6;		/* an IPv6 socket; its addresses may still be IPv4 */
	uint8_t state;		/* TCP_ESTABLISHED 1 ... TCP_LISTEN 10; UDP: 1 connected, 7 not */
	bool v6only;		/* of an IPv6 socket: takes no IPv4 */
	bool v6only_known;	/* the kernel tells it of listeners and unconnected sockets only */
	/* A wildcard is all zero on an IPv6 socket, ::ffff:0.0.0.0 on an IPv4 one. */
	struct addr local, remote;
	uint16_t lport, rport;	/* host order */
	uint32_t ifindex;	/* bound to this interface; 0 none */
	uint32_t uid, inode;
	uint64_t cookie;
};

/* Accepts what comes to its port: listening TCP or SCTP, or bound and unconnected UDP. */
bool sockdiag_listens(const struct sockdiag_socket *s);
/* ... and whether that includes IPv4, IPv6. */
bool sockdiag_takes(const struct sockdiag_socket *s, bool v6);

/*
 * Sockets of the protocols (SOCKDIAG_*) in the namespace (fd -1: own), both families, at most
 * max. Stops when fn returns non-zero and returns that. A protocol the kernel cannot list is
 * left out of *ret_protos (may be NULL); -ENOENT when that leaves none. -E2BIG after max,
 * -ETIMEDOUT. Blocks: call it off the loop thread where sockets may be many.
 */
int sockdiag_dump(int netns_fd, unsigned protos, size_t max,
		  int (*fn)(void *arg, const struct sockdiag_socket *s), void *arg,
		  unsigned *ret_protos);
