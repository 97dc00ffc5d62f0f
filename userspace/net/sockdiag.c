/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sockdiag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/cleanup.h"
#include "net/attr.h"
#include "net/receive.h"

struct walk {
	int (*fn)(void *arg, const struct sockdiag_socket *s);
	void *arg;
	size_t n, max;
	uint8_t proto;
};

static bool is_any(const struct addr *a, bool v6)
{
	static const struct addr any6, any4 = { .b = { [10] = 0xff, [11] = 0xff } };

	return !memcmp(a, v6 ? &any6 : &any4, sizeof(*a));
}

static bool is_v4(const struct addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a->b, mapped, sizeof(mapped));
}

bool sockdiag_listens(const struct sockdiag_socket *s)
{
	if (s->proto == IPPROTO_UDP)
		return s->lport && !s->rport && s->state == TCP_CLOSE;
	return s->lport && s->state == TCP_LISTEN;
}

bool sockdiag_takes(const struct sockdiag_socket *s, bool v6)
{
	if (!sockdiag_listens(s))
		return false;
	if (s->v6 && is_any(&s->local, true))
		return v6 || !s->v6only;
	return is_v4(&s->local) != v6;
}

static void take_end(const __be32 wire[4], bool v6, struct addr *ret)
{
	if (v6)
		memcpy(ret->b, wire, sizeof(ret->b));
	else
		attr_v4(wire, ret);
}

static int take(void *arg, const struct nlmsghdr *h)
{
	const struct nlattr *v[INET_DIAG_SKV6ONLY + 1] = { NULL };
	struct attr_set all = { v, INET_DIAG_SKV6ONLY };
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct sockdiag_socket s = { 0 };
	struct walk *w = arg;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(*m) ||
	    mnl_attr_parse(h, sizeof(*m), attr_collect, &all) < 0)
		return -EBADMSG;
	if (m->idiag_family != AF_INET && m->idiag_family != AF_INET6)
		return 0;
	if (w->n == w->max)
		return -E2BIG;
	s.proto = w->proto;
	s.v6 = m->idiag_family == AF_INET6;
	s.state = m->idiag_state;
	s.v6only_known = s.v6 && attr_has(v[INET_DIAG_SKV6ONLY], 1);
	s.v6only = s.v6 && attr_u8(v[INET_DIAG_SKV6ONLY], 0);
	take_end(m->id.idiag_src, s.v6, &s.local);
	take_end(m->id.idiag_dst, s.v6, &s.remote);
	s.lport = ntohs(m->id.idiag_sport);
	s.rport = ntohs(m->id.idiag_dport);
	s.ifindex = m->id.idiag_if;
	s.uid = m->idiag_uid;
	s.inode = m->idiag_inode;
	s.cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0];
	w->n++;
	return w->fn(w->arg, &s);
}

static int dump_one(int netns_fd, uint8_t family, struct walk *w)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} req = {
		.h = { .nlmsg_len = sizeof(req), .nlmsg_type = SOCK_DIAG_BY_FAMILY },
		.r = {
			.sdiag_family = family,
			.sdiag_protocol = w->proto,
			.idiag_states = ~0u,
		},
	};

	return receive_dump(netns_fd, NETLINK_SOCK_DIAG, &req.h, take, w, NULL);
}

int sockdiag_dump(int netns_fd, unsigned protos, size_t max,
		  int (*fn)(void *arg, const struct sockdiag_socket *s), void *arg,
		  unsigned *ret_protos)
{
	static const struct {
		unsigned bit;
		uint8_t proto;
	} t[] = {
		{ SOCKDIAG_TCP, IPPROTO_TCP },
		{ SOCKDIAG_UDP, IPPROTO_UDP },
		{ SOCKDIAG_SCTP, IPPROTO_SCTP },
	};
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct walk w = { .fn = fn, .arg = arg, .max = max };
	unsigned able = 0;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		if (!(protos & t[i].bit))
			continue;
		w.proto = t[i].proto;
		for (size_t k = 0; k < ARRAY_SIZE(families); k++) {
			int r = dump_one(netns_fd, families[k], &w);

			if (!r)
				able |= t[i].bit;
			/* No such protocol, or family, in this kernel. */
			else if (r != -ENOENT && r != -EPROTONOSUPPORT && r != -EAFNOSUPPORT)
				return r;
		}
	}
	if (!able)
		return -ENOENT;
	if (ret_protos)
		*ret_protos = able;
	return 0;
}
