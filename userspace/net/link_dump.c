/* SPDX-License-Identifier: Apache-2.0 */
/* The two calls of link_table.h that talk to the kernel. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include "base/cleanup.h"
#include "net/attr.h"
#include "net/link_msg.h"
#include "net/link_table.h"
#include "net/request.h"

static int take(void *arg, struct nlmsghdr *h)
{
	struct link_change c;
	int r = link_msg_decode(h, &c);

	/* What this version cannot read is no interface to it; one beyond a limit is counted. */
	if (r == -ENOMSG || r == -EBADMSG)
		return 0;
	if (!r)
		r = link_table_apply(arg, &c, NULL);
	return r == -E2BIG ? 0 : r;
}

static int dump_links(struct nl_sock *s, struct link_table *t, bool *torn)
{
	auto_cleanup(nlmsg_freep) struct nl_msg *m = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_DUMP);
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };

	if (!m || nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
	    nla_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0)
		return -ENOMEM;
	return request_run(s, m, take, t, torn);
}

static int dump_addrs(struct nl_sock *s, struct link_table *t, bool *torn)
{
	auto_cleanup(nlmsg_freep) struct nl_msg *m = nlmsg_alloc_simple(RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg head = { .ifa_family = AF_UNSPEC };

	if (!m || nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) < 0)
		return -ENOMEM;
	return request_run(s, m, take, t, torn);
}

int link_table_fill(int netns_fd, struct link_table *ret)
{
	auto_cleanup(nl_socket_freep) struct nl_sock *s = NULL;
	auto_cleanup(link_table_done) struct link_table t = { 0 };
	struct netns_key key;
	int r;

	r = netns_key(netns_fd, &key);
	if (r < 0)
		return r;
	r = request_open(netns_fd, &s);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < LINK_FILL_TRIES; i++) {
		bool torn_links = false, torn_addrs = false;

		link_table_done(&t);
		t.key = key;
		r = dump_links(s, &t, &torn_links);
		if (!r)
			r = dump_addrs(s, &t, &torn_addrs);
		if (r < 0)
			return r;
		t.torn = torn_links || torn_addrs;
		if (!t.torn)
			break;
	}
	*ret = t;
	t = (struct link_table){ 0 };
	return 0;
}

static int take_nsid(void *arg, struct nlmsghdr *h)
{
	struct link_change c;

	if (!link_msg_decode(h, &c) && c.kind == LINK_NSID_SET)
		*(int32_t *)arg = c.nsid;
	return 0;
}

int link_nsid_ask(int netns_fd, int other_fd, int32_t *ret)
{
	auto_cleanup(nlmsg_freep) struct nl_msg *m = nlmsg_alloc_simple(RTM_GETNSID, 0);
	auto_cleanup(nl_socket_freep) struct nl_sock *s = NULL;
	const struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	int32_t nsid = LINK_NSID_NONE;
	int r;

	if (!m || nlmsg_append(m, (void *)&head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
	    nla_put_u32(m, NETNSA_FD, (uint32_t)other_fd) < 0)
		return -ENOMEM;
	r = request_open(netns_fd, &s);
	if (r < 0)
		return r;
	r = request_run(s, m, take_nsid, &nsid, NULL);
	if (r < 0)
		return r;
	if (nsid < 0)
		return -ENOENT;
	*ret = nsid;
	return 0;
}

int link_table_learn(struct link_table *t, int netns_fd, int other_fd)
{
	struct netns_key key;
	int32_t nsid;
	int r;

	r = link_nsid_ask(netns_fd, other_fd, &nsid);
	if (r < 0)
		return r;
	r = netns_key(other_fd, &key);
	return r < 0 ? r : link_table_set_nsid(t, nsid, &key);
}
