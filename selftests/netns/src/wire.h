/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - what a numbered packet of the traffic tools carries, so that both ends can count it. */
#pragma once

#include <stdint.h>

#define WIRE_MAGIC 0x43575431u /* "CWT1" */
#define WIRE_STREAMS 64u
#define WIRE_SEQS (1u << 22)

struct wire {
	uint32_t magic; /* all in network order */
	uint32_t stream;
	uint32_t seq;
};
