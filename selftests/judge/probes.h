/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probes.h - connections between namespaces with real sockets: TCP connects, UDP asks and hears its echo,
 * SCTP (which many kernels lack) sends an INIT and hears the INIT ACK through raw sockets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fail.h"

struct probe {
	int from_netns, to_netns; /* borrowed */
	struct addr from, to;
	uint16_t port;
	uint8_t proto;
	bool answered;		/* the result */
	/* while it is asked */
	int fd;
	uint16_t sport;
};

/*
 * Asks all at once; those that stay without an answer are asked again from another port before they count as
 * refused. Blocks for some 0.2 s where one is. A negative errno: sockets could not be made.
 */
int probes_ask(struct probe *v, size_t n, struct fail_list *f);
