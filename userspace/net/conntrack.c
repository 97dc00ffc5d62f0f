/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/attr.h"
#include "net/conntrack_msg.h"
#include "net/receive.h"

bool conntrack_answered(const struct conntrack_entry *e)
{
	return e->status & IPS_SEEN_REPLY;
}

bool conntrack_translated(const struct conntrack_entry *e)
{
	return e->status & IPS_NAT_MASK;
}

static int decode_tuple(const struct nlattr *nest, bool v6, struct conntrack_tuple *t,
			uint8_t *ret_proto)
{
	const struct nlattr *v[CTA_TUPLE_MAX + 1] = { NULL }, *ip[CTA_IP_MAX + 1] = { NULL };
	const struct nlattr *p[CTA_PROTO_MAX + 1] = { NULL };
	struct attr_set all = { v, CTA_TUPLE_MAX }, ips = { ip, CTA_IP_MAX };
	struct attr_set protos = { p, CTA_PROTO_MAX };

	if (mnl_attr_parse_nested(nest, attr_collect, &all) < 0 || !v[CTA_TUPLE_IP] ||
	    !v[CTA_TUPLE_PROTO] || mnl_attr_parse_nested(v[CTA_TUPLE_IP], attr_collect, &ips) < 0 ||
	    mnl_attr_parse_nested(v[CTA_TUPLE_PROTO], attr_collect, &protos) < 0)
		return -EBADMSG;
	if (!attr_addr(ip[v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC], v6, &t->src) ||
	    !attr_addr(ip[v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST], v6, &t->dst) ||
	    !attr_has(p[CTA_PROTO_NUM], 1))
		return -EBADMSG;
	*ret_proto = attr_u8(p[CTA_PROTO_NUM], 0);
	t->sport = attr_be16(p[CTA_PROTO_SRC_PORT], 0);
	t->dport = attr_be16(p[CTA_PROTO_DST_PORT], 0);
	t->icmp_id = attr_be16(p[v6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID], 0);
	t->icmp_type = attr_u8(p[v6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE], 0);
	t->icmp_code = attr_u8(p[v6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE], 0);
	t->zone = attr_be16(v[CTA_TUPLE_ZONE], 0);
	return 0;
}

static uint8_t tcp_state(const struct nlattr *protoinfo)
{
	const struct nlattr *v[CTA_PROTOINFO_MAX + 1] = { NULL };
	const struct nlattr *tcp[CTA_PROTOINFO_TCP_MAX + 1] = { NULL };
	struct attr_set all = { v, CTA_PROTOINFO_MAX }, nest = { tcp, CTA_PROTOINFO_TCP_MAX };

	if (!protoinfo || mnl_attr_parse_nested(protoinfo, attr_collect, &all) < 0 ||
	    !v[CTA_PROTOINFO_TCP] ||
	    mnl_attr_parse_nested(v[CTA_PROTOINFO_TCP], attr_collect, &nest) < 0)
		return 0;
	return attr_u8(tcp[CTA_PROTOINFO_TCP_STATE], 0);
}

int conntrack_msg_decode(const struct nlmsghdr *h, struct conntrack_entry *ret)
{
	const struct nlattr *v[CTA_MAX + 1] = { NULL };
	struct attr_set all = { v, CTA_MAX };
	const struct nfgenmsg *m = mnl_nlmsg_get_payload(h);
	struct conntrack_entry e = { 0 };
	uint8_t reply_proto;
	uint16_t zone;

	if (h->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
		return -ENOMSG;
	if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(*m))
		return -EBADMSG;
	if (m->nfgen_family != AF_INET && m->nfgen_family != AF_INET6)
		return -ENOMSG;
	if (mnl_attr_parse(h, sizeof(*m), attr_collect, &all) < 0 || !v[CTA_TUPLE_ORIG] ||
	    !v[CTA_TUPLE_REPLY])
		return -EBADMSG;
	e.v6 = m->nfgen_family == AF_INET6;
	if (decode_tuple(v[CTA_TUPLE_ORIG], e.v6, &e.orig, &e.proto) < 0 ||
	    decode_tuple(v[CTA_TUPLE_REPLY], e.v6, &e.reply, &reply_proto) < 0 ||
	    e.proto != reply_proto)
		return -EBADMSG;
	/* A zone of both directions stands beside the tuples, one of a single direction inside. */
	zone = attr_be16(v[CTA_ZONE], 0);
	if (zone)
		e.orig.zone = e.reply.zone = zone;
	e.status = attr_be32(v[CTA_STATUS], 0);
	e.timeout_s = attr_be32(v[CTA_TIMEOUT], 0);
	e.mark = attr_be32(v[CTA_MARK], 0);
	if (e.proto == IPPROTO_TCP)
		e.tcp_state = tcp_state(v[CTA_PROTOINFO]);
	*ret = e;
	return 0;
}

struct walk {
	int (*fn)(void *arg, const struct conntrack_entry *e);
	void *arg;
	size_t max;
	struct conntrack_stats stats;
};

static int take(void *arg, const struct nlmsghdr *h)
{
	struct conntrack_entry e;
	struct walk *w = arg;

	if (conntrack_msg_decode(h, &e) < 0) {
		w->stats.skipped++;
		return 0;
	}
	if (w->stats.entries == w->max)
		return -E2BIG;
	w->stats.entries++;
	return w->fn(w->arg, &e);
}

int conntrack_dump(int netns_fd, size_t max,
		   int (*fn)(void *arg, const struct conntrack_entry *e), void *arg,
		   struct conntrack_stats *ret_stats)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg m;
	} req = {
		.h = {
			.nlmsg_len = sizeof(req),
			.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
		},
		.m = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 },
	};
	struct walk w = { .fn = fn, .arg = arg, .max = max };
	int r = receive_dump(netns_fd, NETLINK_NETFILTER, &req.h, take, &w, &w.stats.interrupted);

	/* No netfilter in the kernel, or no such part of it. */
	if (!w.stats.entries && (r == -EPROTONOSUPPORT || r == -EINVAL || r == -EOPNOTSUPP))
		return -ENOENT;
	if (ret_stats)
		*ret_stats = w.stats;
	return r;
}
