/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* identity.h - address to effective identity: exact table first, longest prefix on a miss. */
#pragma once

#include "work.h"

/* Always fills out; what no table knows is the world (or multicast, by its form). */
CW_INLINE void cw_identify(const __u32 a[4], __u8 family, __u32 zone, struct cw_addr *out)
{
	struct cw_addr *v;

	if (family == 4) {
		struct cw_addr4_key k = { .addr = a[3], .zone = zone };

		v = bpf_map_lookup_elem(&cw_addr4, &k);
		if (!v) {
			struct cw_net4_key n = { .plen = 64, .zone = cw_htonl(zone), .addr = a[3] };

			v = bpf_map_lookup_elem(&cw_net4, &n);
		}
	} else {
		struct cw_addr6_key k = { .zone = zone };

		__builtin_memcpy(k.addr, a, 16);
		v = bpf_map_lookup_elem(&cw_addr6, &k);
		if (!v) {
			struct cw_net6_key n = { .plen = 160, .zone = cw_htonl(zone) };

			__builtin_memcpy(n.addr, a, 16);
			v = bpf_map_lookup_elem(&cw_net6, &n);
		}
	}
	if (v) {
		*out = *v;
		if (!v->used) /* a changed meaning then bumps the generations that relied on it */
			v->used = 1;
		return;
	}
	__builtin_memset(out, 0, sizeof(*out));
	out->eid = CW_ID_WORLD;
	out->realm = CW_REALM_WORLD;
	if (cw_addr_is_multicast(a, family)) {
		out->eid = CW_ID_MULTICAST;
		out->realm = CW_REALM_MULTICAST;
	}
}
