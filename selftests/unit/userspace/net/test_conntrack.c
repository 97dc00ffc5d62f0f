/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/conntrack.c */
#include "fixture.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/conntrack.h"
#include "net/conntrack_msg.h"

enum { CT_NEW = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW };

static char space[1024] __attribute__((aligned(8)));

static void put_tuple(struct nlmsghdr *h, uint16_t type, uint32_t src, uint32_t dst, uint8_t proto,
		      uint16_t sport, uint16_t dport)
{
	struct nlattr *tuple = mnl_attr_nest_start(h, type), *nest;

	nest = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	mnl_attr_put_u32(h, CTA_IP_V4_SRC, htonl(src));
	mnl_attr_put_u32(h, CTA_IP_V4_DST, htonl(dst));
	mnl_attr_nest_end(h, nest);
	nest = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, proto);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(sport));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(dport));
	mnl_attr_nest_end(h, nest);
	mnl_attr_nest_end(h, tuple);
}

static struct nlmsghdr *head(uint16_t type, uint8_t family)
{
	struct nlmsghdr *h;
	struct nfgenmsg *m;

	memset(space, 0, sizeof(space));
	h = mnl_nlmsg_put_header(space);
	h->nlmsg_type = type;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->nfgen_family = family;
	return h;
}

/* A connection to a service address that was sent on to a backend. */
static struct nlmsghdr *translated(void)
{
	struct nlmsghdr *h = head(CT_NEW, AF_INET);
	struct nlattr *info, *tcp;

	put_tuple(h, CTA_TUPLE_ORIG, 0x0a140105, 0x0a600e07, IPPROTO_TCP, 40000, 5432);
	put_tuple(h, CTA_TUPLE_REPLY, 0x0a140209, 0x0a140105, IPPROTO_TCP, 15432, 40000);
	mnl_attr_put_u32(h, CTA_STATUS, htonl(0x2 | 0x4 | 0x20));
	mnl_attr_put_u32(h, CTA_TIMEOUT, htonl(431999));
	mnl_attr_put_u32(h, CTA_MARK, htonl(7));
	mnl_attr_put_u16(h, CTA_ZONE, htons(12));
	info = mnl_attr_nest_start(h, CTA_PROTOINFO);
	tcp = mnl_attr_nest_start(h, CTA_PROTOINFO_TCP);
	mnl_attr_put_u8(h, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	mnl_attr_nest_end(h, tcp);
	mnl_attr_nest_end(h, info);
	return h;
}

static void decode(void **state)
{
	struct conntrack_entry e;

	(void)state;
	assert_int_equal(conntrack_msg_decode(translated(), &e), 0);
	assert_int_equal(e.proto, IPPROTO_TCP);
	assert_int_equal(e.v6, 0);
	assert_memory_equal(e.orig.src.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x14\x01\x05", 16);
	assert_int_equal(e.orig.sport, 40000);
	assert_int_equal(e.orig.dport, 5432);
	assert_int_equal(e.reply.sport, 15432);
	assert_memory_equal(e.reply.src.b + 12, "\x0a\x14\x02\x09", 4);
	assert_int_equal(e.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	assert_int_equal(e.timeout_s, 431999);
	assert_int_equal(e.mark, 7);
	assert_int_equal(e.orig.zone, 12);
	assert_int_equal(e.reply.zone, 12);
	assert_true(conntrack_answered(&e));
	assert_true(conntrack_translated(&e));
}

static void decode_refused(void **state)
{
	struct conntrack_entry e = { .mark = 77 };
	struct nlmsghdr *h;

	(void)state;
	assert_int_equal(conntrack_msg_decode(head(CT_NEW + 1, AF_INET), &e), -ENOMSG);
	assert_int_equal(conntrack_msg_decode(head(CT_NEW, AF_BRIDGE), &e), -ENOMSG);
	assert_int_equal(conntrack_msg_decode(head(CT_NEW, AF_INET), &e), -EBADMSG);
	h = head(CT_NEW, AF_INET);
	put_tuple(h, CTA_TUPLE_ORIG, 1, 2, 6, 3, 4);
	assert_int_equal(conntrack_msg_decode(h, &e), -EBADMSG); /* no reply */
	put_tuple(h, CTA_TUPLE_REPLY, 2, 1, 17, 4, 3);
	assert_int_equal(conntrack_msg_decode(h, &e), -EBADMSG); /* two protocols */
	h = head(CT_NEW, AF_INET6);			/* IPv4 tuples under IPv6 */
	put_tuple(h, CTA_TUPLE_ORIG, 1, 2, 6, 3, 4);
	put_tuple(h, CTA_TUPLE_REPLY, 2, 1, 6, 4, 3);
	assert_int_equal(conntrack_msg_decode(h, &e), -EBADMSG);
	assert_int_equal(e.mark, 77);
}

static void every_cut(void **state)
{
	uint32_t len = translated()->nlmsg_len;

	(void)state;
	for (uint32_t cut = NLMSG_HDRLEN; cut <= len; cut++) {
		size_t room = (cut + 3u) & ~3u;
		auto_free char *copy = malloc(room);
		struct conntrack_entry e = { .mark = 77 };
		struct nlmsghdr *h = (void *)copy;

		memcpy(copy, translated(), room < len ? room : len);
		h->nlmsg_len = cut;
		if (conntrack_msg_decode(h, &e) < 0)
			assert_int_equal(e.mark, 77);
		else
			assert_int_equal(e.reply.sport, 15432);
	}
}

struct seen {
	struct conntrack_entry v[64];
	size_t n, stop_at;
};

static int note(void *arg, const struct conntrack_entry *e)
{
	struct seen *l = arg;

	if (l->n < ARRAY_SIZE(l->v))
		l->v[l->n] = *e;
	l->n++;
	return l->n == l->stop_at ? 3 : 0;
}

static const struct conntrack_entry *find(const struct seen *l, uint8_t proto, uint16_t dport, bool v6)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].proto == proto && l->v[i].v6 == v6 && l->v[i].orig.dport == dport)
			return &l->v[i];
	return NULL;
}

static int rules(int ns)
{
	static const char text[] =
		"table inet t {\n"
		" chain out { type filter hook output priority 0; ct state new counter accept; }\n"
		" chain nat { type nat hook output priority -100; tcp dport 7000 redirect to :7001; }\n"
		"}\n";
	char path[] = "/tmp/cwt-net-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	int r;

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	r = access("/usr/sbin/nft", X_OK) ? -ENOENT : fixture_try(ns, "nft -f %s", path);
	unlink(path);
	return r;
}

/* Sends one datagram, or opens one connection, over loopback; the client's socket. */
static int talk(int ns, int family, int type, uint16_t to_port)
{
	struct sockaddr_in6 a6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(to_port), .sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	struct sockaddr_in a4 = {
		.sin_family = AF_INET, .sin_port = htons(to_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	bool v6 = family == AF_INET6;
	int fd;

	assert_int_equal(netns_socket(ns, family, type, 0, &fd), 0);
	assert_int_equal(connect(fd, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof(a6) : sizeof(a4)), 0);
	if (type == SOCK_DGRAM)
		assert_int_equal(send(fd, "x", 1, 0), 1);
	return fd;
}

static int listener(int ns, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd;

	assert_int_equal(netns_socket(ns, AF_INET, SOCK_STREAM, 0, &fd), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static void of_a_namespace(void **state)
{
	auto_close int ns = -1, l7001 = -1, l80 = -1, c7000 = -1, c80 = -1, u4 = -1, u6 = -1;
	const struct conntrack_entry *e;
	struct conntrack_stats st;
	struct seen l = { .n = 0 };
	int r;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	r = conntrack_dump(ns, 1000, note, &l, &st);
	if (r == -ENOENT || rules(ns)) {
		print_message("  skipped: no connection tracking, or no nft with nat, here\n");
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(l.n, 0);
	fixture_do(ns, "ip link set lo up");
	l7001 = listener(ns, 7001);
	l80 = listener(ns, 80);
	c80 = talk(ns, AF_INET, SOCK_STREAM, 80);
	c7000 = talk(ns, AF_INET, SOCK_STREAM, 7000);
	u4 = talk(ns, AF_INET, SOCK_DGRAM, 5300);
	u6 = talk(ns, AF_INET6, SOCK_DGRAM, 5300);

	assert_int_equal(conntrack_dump(ns, 1000, note, &l, &st), 0);
	assert_int_equal(st.entries, l.n);
	assert_int_equal(st.skipped, 0);
	e = find(&l, IPPROTO_TCP, 80, false);
	assert_non_null(e);
	assert_true(conntrack_answered(e) && !conntrack_translated(e));
	assert_int_equal(e->tcp_state, TCP_CONNTRACK_ESTABLISHED);
	assert_int_equal(e->reply.sport, 80);
	assert_int_equal(e->reply.dport, e->orig.sport);
	assert_true(e->timeout_s > 0);
	e = find(&l, IPPROTO_TCP, 7000, false);
	assert_non_null(e);
	assert_true(conntrack_translated(e));
	assert_int_equal(e->reply.sport, 7001);
	assert_non_null(find(&l, IPPROTO_UDP, 5300, false));
	e = find(&l, IPPROTO_UDP, 5300, true);
	assert_non_null(e);
	assert_int_equal(e->orig.dst.b[15], 1);

	l = (struct seen){ .stop_at = 2 };
	assert_int_equal(conntrack_dump(ns, 1000, note, &l, NULL), 3);
	assert_int_equal(l.n, 2);
	l = (struct seen){ .n = 0 };
	assert_int_equal(conntrack_dump(ns, 2, note, &l, &st), -E2BIG);
	assert_int_equal(l.n, 2);
	assert_int_equal(st.entries, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decode),
		cmocka_unit_test(decode_refused),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(of_a_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
