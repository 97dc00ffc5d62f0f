/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/sockdiag.c */
#include "fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/sockdiag.h"

#define V4(w, x, y, z) { .b = { [10] = 0xff, [11] = 0xff, w, x, y, z } }

static void what_listens(void **state)
{
	static const struct {
		const char *name;
		struct sockdiag_socket s;
		bool listens, takes4, takes6;
	} t[] = {
		{ "TCP on any IPv4", { .proto = 6, .state = 10, .local = V4(0, 0, 0, 0), .lport = 80 }, 1, 1, 0 },
		{ "TCP on one IPv4", { .proto = 6, .state = 10, .local = V4(10, 0, 0, 1), .lport = 80 }, 1, 1, 0 },
		{ "TCP on any IPv6", { .proto = 6, .v6 = 1, .state = 10, .lport = 80 }, 1, 1, 1 },
		{ "TCP on any IPv6 only", { .proto = 6, .v6 = 1, .v6only = 1, .state = 10, .lport = 80 }, 1, 0, 1 },
		{ "TCP on one IPv6", { .proto = 6, .v6 = 1, .state = 10, .local = { { 0xfd } }, .lport = 80 }, 1, 0, 1 },
		{ "IPv6 socket on one IPv4", { .proto = 6, .v6 = 1, .state = 10, .local = V4(10, 0, 0, 1), .lport = 80 }, 1, 1, 0 },
		{ "IPv6 socket on any IPv4", { .proto = 6, .v6 = 1, .state = 10, .local = V4(0, 0, 0, 0), .lport = 80 }, 1, 1, 0 },
		{ "TCP established", { .proto = 6, .state = 1, .local = V4(10, 0, 0, 1), .lport = 80, .rport = 9 }, 0, 0, 0 },
		{ "TCP closing", { .proto = 6, .state = 6, .local = V4(10, 0, 0, 1), .lport = 80, .rport = 9 }, 0, 0, 0 },
		{ "UDP bound", { .proto = 17, .state = 7, .local = V4(0, 0, 0, 0), .lport = 53 }, 1, 1, 0 },
		{ "UDP connected", { .proto = 17, .state = 1, .local = V4(10, 0, 0, 1), .lport = 53, .rport = 9 }, 0, 0, 0 },
		{ "UDP without a port", { .proto = 17, .state = 7, .local = V4(0, 0, 0, 0) }, 0, 0, 0 },
		{ "SCTP", { .proto = 132, .state = 10, .local = V4(0, 0, 0, 0), .lport = 9 }, 1, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  %s\n", t[i].name);
		assert_int_equal(sockdiag_listens(&t[i].s), t[i].listens);
		assert_int_equal(sockdiag_takes(&t[i].s, false), t[i].takes4);
		assert_int_equal(sockdiag_takes(&t[i].s, true), t[i].takes6);
	}
}

struct seen {
	struct sockdiag_socket v[64];
	size_t n, stop_at;
};

static int note(void *arg, const struct sockdiag_socket *s)
{
	struct seen *l = arg;

	if (l->n < ARRAY_SIZE(l->v))
		l->v[l->n] = *s;
	l->n++;
	return l->n == l->stop_at ? 3 : 0;
}

static const struct sockdiag_socket *find(const struct seen *l, uint8_t proto, uint16_t lport,
					  uint8_t state)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].proto == proto && l->v[i].lport == lport && l->v[i].state == state)
			return &l->v[i];
	return NULL;
}

static int socket_on(int ns, int family, int type, const char *addr, uint16_t port)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	bool v6 = family == AF_INET6;
	int fd;

	assert_int_equal(inet_pton(family, addr, v6 ? (void *)&a6.sin6_addr : &a4.sin_addr), 1);
	assert_int_equal(netns_socket(ns, family, type, 0, &fd), 0);
	assert_int_equal(bind(fd, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof(a6) : sizeof(a4)), 0);
	return fd;
}

static void of_a_namespace(void **state)
{
	auto_close int ns = -1, other = -1, t4 = -1, t6 = -1, u4 = -1, u6 = -1, c = -1, s = -1;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(8080) };
	const struct sockdiag_socket *f;
	struct seen l = { .n = 0 };
	unsigned protos = 0;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	other = fixture_netns();
	fixture_do(ns, "ip link set lo up");
	assert_int_equal(sockdiag_dump(ns, SOCKDIAG_ANY, 1000, note, &l, &protos), 0);
	assert_int_equal(l.n, 0);
	assert_true(protos & SOCKDIAG_TCP);

	t4 = socket_on(ns, AF_INET, SOCK_STREAM, "127.0.0.1", 8080);
	assert_int_equal(listen(t4, 5), 0);
	t6 = socket_on(ns, AF_INET6, SOCK_STREAM, "::", 8443);
	assert_int_equal(listen(t6, 5), 0);
	u4 = socket_on(ns, AF_INET, SOCK_DGRAM, "0.0.0.0", 53);
	u6 = socket_on(ns, AF_INET6, SOCK_DGRAM, "::1", 5353);
	assert_int_equal(netns_socket(ns, AF_INET, SOCK_STREAM, 0, &c), 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(c, (struct sockaddr *)&to, sizeof(to)), 0);
	s = accept(t4, NULL, NULL);
	assert_true(s >= 0);

	l.n = 0;
	assert_int_equal(sockdiag_dump(ns, SOCKDIAG_ANY, 1000, note, &l, &protos), 0);
	f = find(&l, IPPROTO_TCP, 8080, TCP_LISTEN);
	assert_non_null(f);
	assert_memory_equal(f->local.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	assert_true(sockdiag_takes(f, false));
	assert_true(f->inode && f->cookie);
	f = find(&l, IPPROTO_TCP, 8080, TCP_ESTABLISHED);
	assert_non_null(f);
	assert_int_equal(f->remote.b[12], 127);
	assert_non_null(find(&l, IPPROTO_TCP, f->rport, TCP_ESTABLISHED)); /* its client */
	assert_int_equal(find(&l, IPPROTO_TCP, f->rport, TCP_ESTABLISHED)->rport, 8080);
	f = find(&l, IPPROTO_TCP, 8443, TCP_LISTEN);
	assert_non_null(f);
	assert_true(f->v6 && f->v6only_known && !f->v6only);
	assert_true(sockdiag_takes(f, true) && sockdiag_takes(f, false));
	if (protos & SOCKDIAG_UDP) {
		assert_non_null(find(&l, IPPROTO_UDP, 53, TCP_CLOSE));
		f = find(&l, IPPROTO_UDP, 5353, TCP_CLOSE);
		assert_non_null(f);
		assert_true(sockdiag_takes(f, true) && !sockdiag_takes(f, false));
	}

	/* another namespace sees none of it */
	l.n = 0;
	assert_int_equal(sockdiag_dump(other, SOCKDIAG_ANY, 1000, note, &l, NULL), 0);
	assert_int_equal(l.n, 0);
	/* limits and stops */
	assert_int_equal(sockdiag_dump(ns, SOCKDIAG_TCP, 2, note, &l, NULL), -E2BIG);
	assert_int_equal(l.n, 2);
	l = (struct seen){ .stop_at = 1 };
	assert_int_equal(sockdiag_dump(ns, SOCKDIAG_TCP, 100, note, &l, NULL), 3);
	assert_int_equal(l.n, 1);
	assert_int_equal(sockdiag_dump(ns, 0, 100, note, &l, NULL), -ENOENT);
}

static void v6only(void **state)
{
	auto_close int ns = -1, fd = -1;
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(99) };
	const struct sockdiag_socket *f;
	struct seen l = { .n = 0 };
	const int on = 1;

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	assert_int_equal(netns_socket(ns, AF_INET6, SOCK_STREAM, 0, &fd), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(sockdiag_dump(ns, SOCKDIAG_TCP, 10, note, &l, NULL), 0);
	f = find(&l, IPPROTO_TCP, 99, TCP_LISTEN);
	assert_non_null(f);
	assert_true(f->v6only && f->v6only_known);
	assert_false(sockdiag_takes(f, false));
}

/* More sockets than one message holds. */
static void many(void **state)
{
	enum { N = 700 };
	auto_close int ns = -1;
	struct seen l = { .n = 0 };
	int fds[N];

	(void)state;
	fixture_need_root();
	ns = fixture_netns();
	for (int i = 0; i < N; i++) {
		fds[i] = socket_on(ns, AF_INET, SOCK_STREAM, "0.0.0.0", (uint16_t)(2000 + i));
		assert_int_equal(listen(fds[i], 1), 0);
	}
	assert_int_equal(sockdiag_dump(ns, SOCKDIAG_TCP, 10000, note, &l, NULL), 0);
	assert_int_equal(l.n, N);
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_listens),
		cmocka_unit_test(of_a_namespace),
		cmocka_unit_test(v6only),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
