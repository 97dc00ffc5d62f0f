/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_netlink.c - the decoders of netlink messages, and a link table folded from what they give.
 * Input: bytes of messages one behind the other, each with its own length, as in a datagram.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/conntrack_msg.h"
#include "net/link_msg.h"
#include "net/link_table.h"
#include "net/receive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_table(const struct link_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct link *l = &t->v[i];

		assert(!i || t->v[i - 1].ifindex < l->ifindex);
		assert(l->ifindex && l->name[0] && strnlen(l->name, LINK_NAME_MAX) < LINK_NAME_MAX);
		assert(strnlen(l->kind, LINK_KIND_MAX) < LINK_KIND_MAX);
		assert(l->naddrs <= LINK_ADDRS_MAX);
		assert(link_table_get(t, l->ifindex) == l);
		(void)link_table_peer(t, l, t, 1, NULL);
		for (size_t k = 0; k < l->naddrs; k++)
			assert(l->addrs[k].plen <= (l->addrs[k].v6 ? 128 : 32));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	/* exactly as large as the kernel's padding, so that one byte more is found out */
	auto_free char *buf = calloc(1, NLMSG_ALIGN(size));
	const struct nlmsghdr *h;
	size_t at = 0;

	if (!buf)
		return 0;
	memcpy(buf, data, size);
	while ((h = receive_next(buf, size, &at))) {
		struct conntrack_entry e;
		struct link_change c;

		if (!link_msg_decode(h, &c))
			(void)link_table_apply(&t, &c, NULL);
		if (!conntrack_msg_decode(h, &e))
			assert(e.v6 <= 1);
	}
	check_table(&t);
	return 0;
}
