/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_parse.c - the data path's frame parser, also on the packet inside an ICMP error. The first
 * byte's low bit says whether the frame is a segmented one.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "selftests/unit/bpf/host_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_ports(const struct cw_pkt *p)
{
	return p->proto == CW_PROTO_TCP || p->proto == CW_PROTO_UDP || p->proto == CW_PROTO_SCTP ||
	       (p->proto == CW_PROTO_ICMP && p->family == 4) || (p->proto == CW_PROTO_ICMP6 && p->family == 6);
}

static bool mapped(const uint32_t a[4])
{
	return !a[0] && !a[1] && a[2] == htonl(0xffff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free unsigned char *b = NULL;
	struct host_frame f = {};
	struct cw_pkt p = {}, q = {};
	uint32_t r;

	if (size < 2 || !(b = malloc(size - 1)))
		return 0;
	memcpy(b, data + 1, size - 1);
	f = (struct host_frame){ .b = b, .len = (uint32_t)(size - 1), .gso = data[0] & 1 };
	r = cw_parse(&f, &p);
	assert(r < CW_R_COUNT);
	/* Every read was asked for only after its length was checked. */
	assert(!f.beyond && r != CW_R_UNREADABLE);
	if (r)
		return 0;
	if (p.ethertype == CW_ETHERTYPE_ARP) {
		assert(!p.family);
		return 0;
	}
	assert(p.family == 4 || p.family == 6);
	assert(mapped(p.saddr) == (p.family == 4) && mapped(p.daddr) == (p.family == 4));
	assert(p.l3 == 14 && p.l4 <= f.len);
	if (p.frag == CW_FRAG_LATER || !has_ports(&p))
		assert(!p.sport && !p.dport && !p.tcp_flags && !p.icmp_type && !p.icmp_error);
	else
		assert(p.l4 + 8u <= f.len);
	assert(!p.icmp_error || !p.icmp_query);
	if (p.icmp_error && !cw_parse_inner(&f, &p, &q))
		assert(q.family == p.family);
	return 0;
}
