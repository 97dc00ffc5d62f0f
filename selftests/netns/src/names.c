/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - a small DNS server, and a client that connects to what it is told at once.
 *
 *   names server ADDRESS PORT POOL
 *       hK.example.com has 1 to 32 addresses (by K), out of POOL addresses that many names share:
 *       198.18.0.0/16 for A, 2001:db8:9::/64 for AAAA; odd K stand behind three aliases. Others have
 *       one address of their own: pay.example.com .250.1, site.example.org .250.2, late and later.example.com .250.3
 *       and .4; no.example.com none.
 *   names client RESOLVER PORT COUNT NAMES SEED CONNECT_MS
 *       asks for h0 to hN of NAMES by turns in random case, A and AAAA, each from a socket of its own,
 *       and connects to a random address of the answer, COUNT times or until SIGTERM. One line: "ok N failed N asked-again N
 *       slowest-us N" and what the first failure was.
 *   names one RESOLVER PORT NAME
 *       the same once: the address, and "ok", "refused", "timeout" or "no-answer".
 *   names sink PORT
 *       takes connections as fast as they come and closes them.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MSG_MAX 4096
#define ADDRS_MAX 32
#define ASK_MS 1500	/* then it is asked again */
#define ASK_TIMES 3
#define CONNECT_MS 700	/* of `one`: less than the first repetition of a SYN */

static uint64_t rng = 88172645463325252ull;

static uint32_t rnd(void)
{
	rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
	return (uint32_t)(rng >> 16);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "names: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned num(const char *s)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (*end || end == s || v > 1000000) {
		fprintf(stderr, "names: not a number: %s\n", s);
		exit(2);
	}
	return (unsigned)v;
}

static uint8_t *put16(uint8_t *p, unsigned v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static socklen_t sock_addr(const char *s, unsigned port, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (void *)to;
	struct sockaddr_in6 *v6 = (void *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, s, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, s, &v6->sin6_addr) != 1)
		exit(2);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	return sizeof(*v6);
}

/* End of the question, its name in lower case and its type; NULL: none. */
static const uint8_t *question(const uint8_t *m, size_t n, char name[256], unsigned *type)
{
	const uint8_t *p = m + 12, *end = m + n;
	size_t to = 0;

	while (p < end && *p && *p < 64 && p + *p < end && to + *p + 1 < 255) {
		if (to)
			name[to++] = '.';
		for (unsigned i = 1; i <= *p; i++)
			name[to++] = (char)tolower(p[i]);
		p += 1 + *p;
	}
	if (p + 5 > end || *p)
		return NULL;
	name[to] = '\0';
	*type = (unsigned)p[1] << 8 | p[2];
	return p + 5;
}

static size_t question_make(uint8_t *m, uint16_t id, const char *name, unsigned type)
{
	uint8_t *p = put16(m, id);

	p = put16(p, 0x0100);
	p = put16(p, 1);
	memset(p, 0, 6);
	p += 6;
	while (*name) {
		size_t n = strcspn(name, ".");

		*p++ = (uint8_t)n;
		for (size_t i = 0; i < n; i++)
			*p++ = (uint8_t)(rnd() & 1 ? toupper((unsigned char)name[i]) : name[i]);
		name += n + (name[n] == '.');
	}
	*p++ = 0;
	p = put16(p, type);
	return (size_t)(put16(p, 1) - m);
}

/* ---- server --------------------------------------------------------------------------------------- */

static uint8_t *record(uint8_t *p, unsigned owner, unsigned type, const void *data, unsigned n)
{
	p = put16(p, 0xc000 | owner);
	p = put16(p, type);
	p = put16(p, 1);
	p = put16(p, 0);
	p = put16(p, 5); /* seconds to live: less than any client keeps it */
	p = put16(p, n);
	memcpy(p, data, n);
	return p + n;
}

static size_t answer(uint8_t *m, const uint8_t *q_end, const char *name, unsigned type, unsigned pool)
{
	uint8_t *p = m + (q_end - m), a[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 9 };
	unsigned k = 0, n = 1, owner = 12, count = 0, own = 0;
	char host[32];

	m[2] = 0x81;
	m[3] = 0x80;
	memset(m + 6, 0, 6);
	if (sscanf(name, "h%u.%31s", &k, host) == 2 && !strcmp(host, "example.com"))
		n = k % 32 + 1;
	else if (!strcmp(name, "pay.example.com"))
		own = 1;
	else if (!strcmp(name, "site.example.org"))
		own = 2;
	else if (!strcmp(name, "late.example.com"))
		own = 3;
	else if (!strcmp(name, "later.example.com"))
		own = 4;
	else
		m[3] |= 3;
	if ((m[3] & 15) || (type != 1 && type != 28))
		return (size_t)(p - m);
	for (unsigned i = 0; !own && k % 2 && i < 3; i++) {
		uint8_t alias[16];
		int len = snprintf((char *)alias + 1, sizeof(alias) - 1, "edge%u", i);

		alias[0] = (uint8_t)len;
		alias[1 + len] = 0;
		p = record(p, owner, 5, alias, (unsigned)len + 2);
		owner = (unsigned)(p - m) - (unsigned)len - 2;
		count++;
	}
	for (unsigned i = 0; i < n; i++, count++) {
		unsigned at = own ? 64000 + own : (k * 7 + i * 13) % pool + 1;

		if (type == 1) {
			uint8_t a4[4] = { 198, 18, (uint8_t)(at >> 8), (uint8_t)at };

			p = record(p, owner, 1, a4, 4);
		} else {
			a[14] = (uint8_t)(at >> 8);
			a[15] = (uint8_t)at;
			p = record(p, owner, 28, a, 16);
		}
	}
	put16(m + 6, count);
	return (size_t)(p - m);
}

static int server(int argc, char **argv)
{
	struct sockaddr_storage at;
	socklen_t len = sock_addr(argv[0], num(argv[1]), &at);
	int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), off = 0, on = 1;
	unsigned pool = num(argv[2]);
	uint8_t m[MSG_MAX];

	(void)argc;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (at.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))) ||
	    bind(fd, (struct sockaddr *)&at, len))
		die("bind");
	for (;;) {
		struct sockaddr_in6 from;
		socklen_t fl = sizeof(from);
		ssize_t n = recvfrom(fd, m, 512, 0, (struct sockaddr *)&from, &fl);
		const uint8_t *end;
		char name[256];
		unsigned type;

		if (n < 12 || (m[2] & 0x80) || !(end = question(m, (size_t)n, name, &type)))
			continue;
		(void)!sendto(fd, m, answer(m, end, name, type, pool), 0, (struct sockaddr *)&from, fl);
	}
}

/* ---- client --------------------------------------------------------------------------------------- */

struct told { unsigned n; uint8_t a[ADDRS_MAX][16]; };

static void read_answer(const uint8_t *m, size_t n, unsigned type, struct told *t)
{
	unsigned size = type == 1 ? 4 : 16, count = (unsigned)m[6] << 8 | m[7], got;
	const uint8_t *p, *end = m + n;
	char name[256];

	t->n = 0;
	p = question(m, n, name, &got);
	for (unsigned i = 0; p && i < count && p + 12 <= end; i++) {
		unsigned rr = (unsigned)p[2] << 8 | p[3], len = (unsigned)p[10] << 8 | p[11];

		if (rr == type && len == size && t->n < ADDRS_MAX && p + 12 + len <= end)
			memcpy(t->a[t->n++], p + 12, size);
		p += 12 + len;
	}
}

/* 0, or ETIMEDOUT; *again counts repetitions. */
static int resolve(const char *resolver, const char *name, unsigned type, struct told *t, unsigned *again)
{
	struct sockaddr_storage to;
	socklen_t len = sock_addr(resolver, 53, &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint16_t id = (uint16_t)rnd();
	uint8_t q[512], m[MSG_MAX];
	size_t n = question_make(q, id, name, type);
	ssize_t r = -1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, len))
		die("resolver");
	for (int i = 0; i < ASK_TIMES && r < 12; i++) {
		struct pollfd p = { fd, POLLIN, 0 };

		*again += i > 0;
		if (send(fd, q, n, 0) != (ssize_t)n)
			continue;
		if (poll(&p, 1, ASK_MS) == 1)
			r = recv(fd, m, sizeof(m), 0);
	}
	close(fd);
	if (r < 12 || memcmp(m, q, 2) || memcmp(m + 12, q + 12, n - 12))
		return ETIMEDOUT;
	read_answer(m, (size_t)r, type, t);
	return 0;
}

static int reach(const uint8_t *a, unsigned type, unsigned port, unsigned ms)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int fd = socket(type == 1 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;
	struct linger now = { 1, 0 };
	struct pollfd p = { fd, POLLOUT, 0 };
	socklen_t el = sizeof(err);

	if (fd < 0)
		die("socket");
	memcpy(&v4.sin_addr, a, 4);
	memcpy(&v6.sin6_addr, a, 16);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	if (connect(fd, type == 1 ? (void *)&v4 : (void *)&v6, type == 1 ? sizeof(v4) : sizeof(v6)))
		err = errno;
	if (err == EINPROGRESS) {
		err = ETIMEDOUT;
		if (poll(&p, 1, (int)ms) == 1)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &el);
	}
	close(fd);
	return err;
}

static const char *word(int err)
{
	return err == 0 ? "ok" : err == ECONNREFUSED ? "refused" : err == ETIMEDOUT ? "timeout" : strerror(err);
}

static volatile sig_atomic_t stop;

static void on_term(int s)
{
	(void)s;
	stop = 1;
}

static int client(int argc, char **argv)
{
	unsigned port = num(argv[1]), count = num(argv[2]), names = num(argv[3]), ok = 0, failed = 0, again = 0;
	char text[INET6_ADDRSTRLEN], first[160] = "";
	uint64_t slowest = 0;

	(void)argc;
	rng ^= (uint64_t)num(argv[4]) * 0x9e3779b97f4a7c15ull;
	(void)signal(SIGTERM, on_term);
	for (unsigned i = 0; i < count && !stop; i++) {
		unsigned type = i & 1 ? 28 : 1;
		uint64_t t0 = now_us(), took;
		struct told t = { 0 };
		const uint8_t *a;
		char name[64];
		int err;

		snprintf(name, sizeof(name), "h%u.example.com", i / 2 % names);
		err = resolve(argv[0], name, type, &t, &again);
		if (!err && !t.n)
			err = ENODATA;
		a = t.a[t.n ? rnd() % t.n : 0];
		if (!err)
			err = reach(a, type, port, num(argv[5]));
		took = now_us() - t0;
		if (took > slowest)
			slowest = took;
		if (!err) {
			ok++;
			continue;
		}
		if (!failed++)
			snprintf(first, sizeof(first), " first: %s %s %s (%u addresses)", name,
				 inet_ntop(type == 1 ? AF_INET : AF_INET6, a, text, sizeof(text)), word(err), t.n);
	}
	printf("ok %u failed %u asked-again %u slowest-us %llu%s\n", ok, failed, again, (unsigned long long)slowest, first);
	return 0;
}

static int one(int argc, char **argv)
{
	char text[INET6_ADDRSTRLEN] = "-";
	struct told t = { 0 };
	unsigned again = 0;
	int err;

	(void)argc;
	rng ^= now_us();
	err = resolve(argv[0], argv[2], 1, &t, &again);
	if (err || !t.n) {
		puts(err ? "- no-answer" : "- no-address");
		return 0;
	}
	inet_ntop(AF_INET, t.a[0], text, sizeof(text));
	printf("%s %s\n", text, word(reach(t.a[0], 1, num(argv[1]), CONNECT_MS)));
	return 0;
}

static int sink(int argc, char **argv)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0, c;

	(void)argc;
	any.sin6_port = htons((uint16_t)num(argv[0]));
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 4096))
		die("listen");
	for (;;) {
		c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (c >= 0)
			close(c);
	}
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int args; int (*fn)(int, char **); } cmd[] = {
		{ "server", 3, server }, { "client", 6, client }, { "one", 3, one }, { "sink", 1, sink },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(cmd) / sizeof(cmd[0]); i++)
		if (!strcmp(argv[1], cmd[i].name) && argc - 2 == cmd[i].args)
			return cmd[i].fn(argc - 2, argv + 2);
	fputs("usage: names server ADDRESS PORT POOL | client RESOLVER PORT COUNT NAMES SEED CONNECT_MS | one RESOLVER PORT NAME | "
	      "sink PORT\n", stderr);
	return 2;
}
