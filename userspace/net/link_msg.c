/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link_msg.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "net/attr.h"

/* A number that the kernel has not given is -1 on the wire, which here means the own namespace. */
static int32_t nsid_of(const struct nlattr *a)
{
	int32_t id = (int32_t)attr_u32(a, (uint32_t)LINK_NSID_NONE);

	return id < 0 ? LINK_NSID_NONE : id;
}

static int decode_link(const struct nlmsghdr *h, bool gone, struct link_change *c)
{
	const struct nlattr *v[IFLA_MAX + 1] = { NULL }, *info[IFLA_INFO_MAX + 1] = { NULL };
	struct attr_set all = { v, IFLA_MAX }, nest = { info, IFLA_INFO_MAX };
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	struct link *l = &c->link;

	/* A bridge tells of its ports in the same group, and a port that leaves it as "deleted". */
	if (m->ifi_family != AF_UNSPEC)
		return -ENOMSG;
	if (m->ifi_index <= 0 || mnl_attr_parse(h, sizeof(*m), attr_collect, &all) < 0)
		return -EBADMSG;
	if (v[IFLA_LINKINFO] && mnl_attr_parse_nested(v[IFLA_LINKINFO], attr_collect, &nest) < 0)
		return -EBADMSG;
	c->kind = gone ? LINK_GONE : LINK_SET;
	l->ifindex = (uint32_t)m->ifi_index;
	l->flags = m->ifi_flags;
	l->type = m->ifi_type;
	l->mtu = attr_u32(v[IFLA_MTU], 0);
	l->master = attr_u32(v[IFLA_MASTER], 0);
	l->lower = attr_u32(v[IFLA_LINK], 0);
	l->lower_nsid = LINK_NSID_OWN;
	if (v[IFLA_LINK_NETNSID]) {
		l->lower_nsid = nsid_of(v[IFLA_LINK_NETNSID]);
		if (!l->lower) /* older kernels leave out a number equal to the device's own */
			l->lower = l->ifindex;
	} else if (l->lower == l->ifindex) {
		l->lower = 0; /* "on top of itself": not stacked */
	}
	attr_str(v[IFLA_IFNAME], l->name, sizeof(l->name));
	attr_str(info[IFLA_INFO_KIND], l->kind, sizeof(l->kind));
	if (v[IFLA_ADDRESS] && mnl_attr_get_payload_len(v[IFLA_ADDRESS]) == sizeof(l->mac))
		memcpy(l->mac, mnl_attr_get_payload(v[IFLA_ADDRESS]), sizeof(l->mac));
	if (!gone)
		return l->name[0] ? 0 : -EBADMSG;
	c->moved = v[IFLA_NEW_NETNSID] != NULL;
	c->moved_nsid = c->moved ? nsid_of(v[IFLA_NEW_NETNSID]) : LINK_NSID_OWN;
	c->moved_ifindex = attr_u32(v[IFLA_NEW_IFINDEX], 0);
	return 0;
}

static int decode_addr(const struct nlmsghdr *h, bool gone, struct link_change *c)
{
	const struct nlattr *v[IFA_MAX + 1] = { NULL };
	struct attr_set all = { v, IFA_MAX };
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct link_addr *a = &c->addr;

	if (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)
		return -ENOMSG;
	if (!m->ifa_index || mnl_attr_parse(h, sizeof(*m), attr_collect, &all) < 0)
		return -EBADMSG;
	c->kind = gone ? LINK_ADDR_GONE : LINK_ADDR_SET;
	c->link.ifindex = m->ifa_index;
	a->v6 = m->ifa_family == AF_INET6;
	a->plen = m->ifa_prefixlen;
	a->scope = m->ifa_scope;
	a->flags = attr_u32(v[IFA_FLAGS], m->ifa_flags);
	/* On a point-to-point interface IFA_ADDRESS is the other end. */
	if (a->plen > (a->v6 ? 128 : 32) ||
	    !attr_addr(v[v[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS], a->v6, &a->addr))
		return -EBADMSG;
	return 0;
}

static int decode_nsid(const struct nlmsghdr *h, bool gone, struct link_change *c)
{
	const struct nlattr *v[NETNSA_MAX + 1] = { NULL };
	struct attr_set all = { v, NETNSA_MAX };

	if (mnl_attr_parse(h, sizeof(struct rtgenmsg), attr_collect, &all) < 0)
		return -EBADMSG;
	c->kind = gone ? LINK_NSID_GONE : LINK_NSID_SET;
	c->nsid = nsid_of(v[NETNSA_NSID]);
	return c->nsid < 0 ? -EBADMSG : 0;
}

int link_msg_decode(const struct nlmsghdr *h, struct link_change *ret)
{
	static const struct {
		uint16_t set, gone;
		uint32_t size;
		int (*decode)(const struct nlmsghdr *h, bool gone, struct link_change *c);
	} t[] = {
		{ RTM_NEWLINK, RTM_DELLINK, sizeof(struct ifinfomsg), decode_link },
		{ RTM_NEWADDR, RTM_DELADDR, sizeof(struct ifaddrmsg), decode_addr },
		{ RTM_NEWNSID, RTM_DELNSID, sizeof(struct rtgenmsg), decode_nsid },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct link_change c = { .in_nsid = LINK_NSID_OWN, .nsid = LINK_NSID_NONE };
		int r;

		if (h->nlmsg_type != t[i].set && h->nlmsg_type != t[i].gone)
			continue;
		if (h->nlmsg_len < NLMSG_HDRLEN + t[i].size)
			return -EBADMSG;
		r = t[i].decode(h, h->nlmsg_type == t[i].gone, &c);
		if (!r)
			*ret = c;
		return r;
	}
	return -ENOMSG;
}
