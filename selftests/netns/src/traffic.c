/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traffic.c - the traffic of the end-to-end tests: sends exactly what it is told, says exactly
 * what became of it. Every command prints one line (streams: one at the end) and exits 0 unless
 * it could not do its work at all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define PORTS_MAX 64

static volatile sig_atomic_t stop;

static void on_term(int s)
{
	(void)s;
	stop = 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

/* Milliseconds; 0 when it is over, however late the clock is asked. */
static long ms_until(uint64_t end)
{
	uint64_t now = now_us();

	return now < end ? (long)((end - now) / 1000) : 0;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long num(const char *s)
{
	char *end;
	long v = strtol(s, &end, 10);

	if (*end || end == s || v < 0) {
		fprintf(stderr, "traffic: not a number: %s\n", s);
		exit(2);
	}
	return v;
}

struct to { struct sockaddr_storage a; socklen_t len; int family; };

static struct to to_of(const char *addr, long port)
{
	struct to t = { 0 };
	struct sockaddr_in *v4 = (void *)&t.a;
	struct sockaddr_in6 *v6 = (void *)&t.a;

	if (inet_pton(AF_INET, addr, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		t.len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, addr, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		t.len = sizeof(*v6);
	} else {
		fprintf(stderr, "traffic: not an address: %s\n", addr);
		exit(2);
	}
	t.family = t.a.ss_family;
	return t;
}

static void set_port(struct to *t, uint16_t port)
{
	if (t->family == AF_INET)
		((struct sockaddr_in *)&t->a)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&t->a)->sin6_port = htons(port);
}

static int socket_of(const struct to *t, int type, int proto)
{
	int fd = socket(t->family, type | SOCK_CLOEXEC, proto);

	if (fd < 0)
		die("socket");
	return fd;
}

static int listen_any(int type, long port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), off = 0, on = 1, big = 8 << 20;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) || (type == SOCK_STREAM && listen(fd, 512)))
		die("listen");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	return fd;
}

/* ---- echo server: serve PORT... (each TCP and UDP) ---------------------------------------------- */

static int serve(int argc, char **argv)
{
	static struct pollfd p[1024];
	static char buf[65536];
	int n = 0, nl;

	for (int i = 0; i < argc && i < PORTS_MAX; i++) {
		p[n++] = (struct pollfd){ listen_any(SOCK_STREAM, num(argv[i])), POLLIN, 0 };
		p[n++] = (struct pollfd){ listen_any(SOCK_DGRAM, num(argv[i])), POLLIN, 0 };
	}
	nl = n;
	while (!stop) {
		if (poll(p, (nfds_t)n, 1000) < 0)
			continue;
		for (int i = 0; i < nl; i++) {
			struct sockaddr_storage from;
			socklen_t fl = sizeof(from);
			ssize_t r;

			if (!(p[i].revents & (POLLIN | POLLERR)))
				continue;
			if (i % 2 == 0) {
				int c = accept4(p[i].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

				if (c >= 0 && n < (int)(sizeof(p) / sizeof(p[0])))
					p[n++] = (struct pollfd){ c, POLLIN, 0 };
				else if (c >= 0)
					close(c);
				continue;
			}
			while ((r = recvfrom(p[i].fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &fl)) >= 0) {
				(void)sendto(p[i].fd, buf, (size_t)r, 0, (struct sockaddr *)&from, fl);
				fl = sizeof(from);
			}
		}
		for (int i = nl; i < n; i++) {
			ssize_t r;

			if (!p[i].revents)
				continue;
			r = read(p[i].fd, buf, sizeof(buf));
			if (r > 0) {
				(void)!write(p[i].fd, buf, (size_t)r);
			} else if (r == 0 || errno != EAGAIN) {
				close(p[i].fd);
				p[i--] = p[--n];
			}
		}
	}
	return 0;
}

/* ---- one TCP exchange: tcp ADDR PORT TIMEOUT_MS [BYTES [SRCPORT]] -------------------------------- */

static const char *word(int err)
{
	switch (err) {
	case 0: return "ok";
	case ECONNREFUSED: return "refused";
	case ECONNRESET: return "reset";
	case EHOSTUNREACH: case EACCES: case ENETUNREACH: case EPERM: return "prohibited";
	case ETIMEDOUT: case EAGAIN: return "timeout";
	default: return strerror(err);
	}
}

static int wait_io(int fd, short ev, long ms)
{
	struct pollfd p = { fd, ev, 0 };
	int err = 0;
	socklen_t el = sizeof(err);

	if (poll(&p, 1, (int)ms) <= 0)
		return ETIMEDOUT;
	if (p.revents & (POLLERR | POLLHUP)) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &el);
		return err ? err : p.revents & POLLIN ? 0 : ECONNRESET;
	}
	return 0;
}

static int tcp_open(const char *addr, long port, long ms, long sport, int *ret)
{
	struct to t = to_of(addr, port);
	int fd = socket_of(&t, SOCK_STREAM | SOCK_NONBLOCK, 0), r = 0, on = 1;

	if (sport) {
		struct to any = to_of(t.family == AF_INET ? "0.0.0.0" : "::", sport);

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&any.a, any.len))
			die("bind");
	}
	if (connect(fd, (struct sockaddr *)&t.a, t.len)) {
		r = errno;
		if (r == EINPROGRESS) {
			socklen_t el = sizeof(r);

			r = wait_io(fd, POLLOUT, ms);
			if (!r)
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &r, &el);
		}
	}
	*ret = fd;
	return r;
}

static int tcp(int argc, char **argv)
{
	long n = argc > 3 ? num(argv[3]) : 1, ms = num(argv[2]);
	char *buf = calloc(1, (size_t)n + 1);
	ssize_t got = 0, r;
	int fd, err;

	if (!buf)
		die("memory");
	err = tcp_open(argv[0], num(argv[1]), ms, argc > 4 ? num(argv[4]) : 0, &fd);
	if (!err && send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
		err = errno;
	while (!err && got < n) {
		err = wait_io(fd, POLLIN, ms);
		r = err ? 0 : read(fd, buf, (size_t)n);
		if (!err && r <= 0)
			err = r ? errno : ECONNRESET;
		got += r;
	}
	puts(word(err));
	return 0;
}

/* ---- bulk TCP with a checksum: sink PORT | bulk ADDR PORT BYTES ------------------------------------ */

static uint64_t fnv(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

static uint8_t block[256 << 10];

static int sink(int argc, char **argv)
{
	int l = listen_any(SOCK_STREAM, num(argv[0])), fd, fl;
	uint64_t h = 0xcbf29ce484222325ull, n = 0;
	struct pollfd p = { l, POLLIN, 0 };
	ssize_t r;

	(void)argc;
	if (poll(&p, 1, 60000) != 1 || (fd = accept4(l, NULL, NULL, SOCK_CLOEXEC)) < 0)
		die("accept");
	fl = fcntl(fd, F_GETFL);
	(void)fcntl(fd, F_SETFL, fl & ~O_NONBLOCK);
	while ((r = read(fd, block, sizeof(block))) > 0) {
		h = fnv(h, block, (size_t)r);
		n += (uint64_t)r;
	}
	printf("%llu %016llx\n", (unsigned long long)n, (unsigned long long)h);
	fflush(stdout);
	(void)!write(fd, &h, sizeof(h)); /* the sender waits for it: everything has arrived */
	close(fd);
	return 0;
}

static int bulk(int argc, char **argv)
{
	uint64_t total = (uint64_t)num(argv[2]), left = total, h = 0xcbf29ce484222325ull, x = 88172645463325252ull;
	uint64_t back = 0, t0 = now_us();
	int fd, err = tcp_open(argv[0], num(argv[1]), 3000, 0, &fd);

	(void)argc;
	for (size_t i = 0; i < sizeof(block); i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		block[i] = (uint8_t)x;
	}
	while (!err && left) {
		size_t want = left < sizeof(block) ? (size_t)left : sizeof(block);
		ssize_t n;

		err = wait_io(fd, POLLOUT, 20000);
		if (err)
			break;
		n = send(fd, block, want, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0) {
			err = errno;
			break;
		}
		h = fnv(h, block, (size_t)n);
		left -= (uint64_t)n;
		/* The next block begins where this one was cut, so that a repetition shows. */
		memmove(block, block + n % 251, sizeof(block) - (size_t)(n % 251));
	}
	if (!err) {
		shutdown(fd, SHUT_WR);
		err = wait_io(fd, POLLIN, 20000);
		if (!err && read(fd, &back, sizeof(back)) == sizeof(back) && back != h)
			err = EBADMSG;
	}
	printf("%s %llu %016llx %llu\n", word(err), (unsigned long long)(total - left), (unsigned long long)h,
	       (unsigned long long)(now_us() - t0));
	return 0;
}

/* ---- numbered UDP: send STREAM ADDR PORT COUNT [SIZE [GAP_US [SRCPORT]]] ------------------------------- */

static int send_udp(int argc, char **argv)
{
	struct to t = to_of(argv[1], num(argv[2]));
	long count = num(argv[3]), size = argc > 4 ? num(argv[4]) : 32, gap = argc > 5 ? num(argv[5]) : 0;
	int fd = socket_of(&t, SOCK_DGRAM, 0), big = 4 << 20, on = 1;
	struct wire w = { htonl(WIRE_MAGIC), htonl((uint32_t)num(argv[0])), 0 };
	uint64_t sent = 0, failed = 0;
	char *buf;

	if (size < (long)sizeof(w))
		size = sizeof(w);
	buf = calloc(1, (size_t)size);
	if (!buf)
		die("memory");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	if (argc > 6) {
		struct to any = to_of(t.family == AF_INET ? "0.0.0.0" : "::", num(argv[6]));

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&any.a, any.len))
			die("bind");
	}
	for (long i = 0; i < count && !stop; i++) {
		w.seq = htonl((uint32_t)i);
		memcpy(buf, &w, sizeof(w));
		/* An answer of "prohibited" to an earlier datagram is told here once: send again. */
		if (sendto(fd, buf, (size_t)size, 0, (struct sockaddr *)&t.a, t.len) == size ||
		    sendto(fd, buf, (size_t)size, 0, (struct sockaddr *)&t.a, t.len) == size)
			sent++;
		else
			failed++;
		if (gap)
			usleep((useconds_t)gap);
	}
	if (stop)
		usleep(100000); /* the last answers find their socket open */
	printf("sent %llu failed %llu\n", (unsigned long long)sent, (unsigned long long)failed);
	return 0;
}

/* ---- one datagram to each of many ports: flood ADDR FIRST COUNT SECONDS --------------------------------
 * At full socket rate, over and over until the time is up, at least once each. */

static int flood(int argc, char **argv)
{
	struct to t = to_of(argv[0], 1);
	long first = num(argv[1]), count = num(argv[2]);
	uint64_t end = now_us() + (uint64_t)num(argv[3]) * 1000000u, sent = 0, failed = 0, rounds = 0;
	struct wire w = { htonl(WIRE_MAGIC), 0, 0 };
	struct to any = to_of(t.family == AF_INET ? "0.0.0.0" : "::", 31000);
	int fd = socket_of(&t, SOCK_DGRAM, 0), big = 4 << 20;

	(void)argc;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	if (bind(fd, (struct sockaddr *)&any.a, any.len))
		die("bind");
	do {
		for (long i = 0; i < count; i++) {
			set_port(&t, (uint16_t)(first + i));
			if (sendto(fd, &w, sizeof(w), 0, (struct sockaddr *)&t.a, t.len) == sizeof(w) ||
			    sendto(fd, &w, sizeof(w), 0, (struct sockaddr *)&t.a, t.len) == sizeof(w))
				sent++;
			else
				failed++;
		}
		rounds++;
	} while (now_us() < end && !stop);
	printf("sent %llu failed %llu rounds %llu\n", (unsigned long long)sent, (unsigned long long)failed,
	       (unsigned long long)rounds);
	return 0;
}

/* ---- a new flow per datagram, at most 20,000, from low and high ports by turns: fresh STREAM ADDR PORT COUNT GAP_US -------------------- */

static int fresh(int argc, char **argv)
{
	struct to t = to_of(argv[1], num(argv[2]));
	struct wire w = { htonl(WIRE_MAGIC), htonl((uint32_t)num(argv[0])), 0 };
	long count = num(argv[3]), gap = num(argv[4]);
	int open_fds[256];
	struct to any = to_of(t.family == AF_INET ? "0.0.0.0" : "::", 1);
	uint64_t sent = 0;

	(void)argc;
	memset(open_fds, -1, sizeof(open_fds));
	for (long i = 0; i < count && i < 20000 && !stop; i++) {
		int *fd = &open_fds[i % 256]; /* stays open for a while: an answer must find it */

		if (*fd >= 0)
			close(*fd);
		*fd = socket_of(&t, SOCK_DGRAM, 0);
		if (t.family == AF_INET6) /* the same port of the other family is another's */
			(void)setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int));
		set_port(&any, (uint16_t)((i % 2 ? 40000 : 1025) + i / 2 + (i % 2 ? 0 : i / 2 >= 7000) * 2000));
		if (bind(*fd, (struct sockaddr *)&any.a, any.len))
			die("bind");
		w.seq = htonl((uint32_t)i);
		if (sendto(*fd, &w, sizeof(w), 0, (struct sockaddr *)&t.a, t.len) == sizeof(w))
			sent++;
		usleep((useconds_t)gap);
	}
	if (stop)
		usleep(100000);
	printf("sent %llu failed 0\n", (unsigned long long)sent);
	return 0;
}

/* ---- one connection after the other until SIGTERM: connects ADDR PORT TIMEOUT_MS ------------------------ */

static int connects(int argc, char **argv)
{
	uint64_t good = 0, bad = 0;

	(void)argc;
	while (!stop) {
		char c = 'x';
		int fd, err = tcp_open(argv[0], num(argv[1]), num(argv[2]), 0, &fd);

		if (!err && send(fd, &c, 1, MSG_NOSIGNAL) != 1)
			err = errno;
		if (!err)
			err = wait_io(fd, POLLIN, num(argv[2]));
		if (!err && read(fd, &c, 1) != 1)
			err = ECONNRESET;
		close(fd);
		if (stop && err)
			break; /* SIGTERM cut the wait */
		if (err)
			bad++;
		else
			good++;
		usleep(2000);
	}
	printf("good %llu bad %llu\n", (unsigned long long)good, (unsigned long long)bad);
	return 0;
}

/* ---- asks an echo server: ask ADDR PORT COUNT TIMEOUT_MS [SIZE [hopopt|dstopt|df]] -------------------- */

static int ask(int argc, char **argv)
{
	struct to t = to_of(argv[0], num(argv[1]));
	long count = num(argv[2]), ms = num(argv[3]), size = argc > 4 ? num(argv[4]) : 32;
	/* Next header (filled by the kernel), length 0 (8 bytes), PadN of 4. */
	static const uint8_t pad[8] = { 0, 0, 1, 4, 0, 0, 0, 0 };
	int fd = socket_of(&t, SOCK_DGRAM, 0), big = 8 << 20, answered = 0, err = 0;
	char *out = calloc(1, (size_t)size + 1), *in = calloc(1, (size_t)size + 1);
	const char *how = argc > 5 ? argv[5] : "";

	if (!out || !in)
		die("memory");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	if (!strcmp(how, "hopopt") && setsockopt(fd, IPPROTO_IPV6, IPV6_HOPOPTS, pad, sizeof(pad)))
		die("hop-by-hop options");
	if (!strcmp(how, "dstopt") && setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, pad, sizeof(pad)))
		die("destination options");
	if (!strcmp(how, "df")) {
		int v = t.family == AF_INET ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO;

		setsockopt(fd, t.family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
			   t.family == AF_INET ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &v, sizeof(v));
	}
	if (connect(fd, (struct sockaddr *)&t.a, t.len))
		die("connect");
	for (long i = 0; i < count; i++) {
		uint64_t end = now_us() + (uint64_t)ms * 1000;

		for (long k = 0; k < size; k++)
			out[k] = (char)(i + k);
		if (send(fd, out, (size_t)size, 0) != size) {
			err = errno;
			if (err == EMSGSIZE && strcmp(how, "df") == 0)
				break;
			continue;
		}
		while (now_us() < end) {
			int e = wait_io(fd, POLLIN, ms_until(end));
			ssize_t n = e ? -1 : recv(fd, in, (size_t)size + 1, MSG_DONTWAIT);

			if (n < 0) {
				err = e ? e : errno;
				break;
			}
			if (n == size && !memcmp(in, out, (size_t)size)) {
				answered++;
				break;
			}
		}
	}
	printf("answered %d of %ld %s\n", answered, count,
	       answered == count ? "ok" : err == EMSGSIZE ? "toobig" : word(err));
	return 0;
}

/* ---- ping ADDR COUNT TIMEOUT_MS [SIZE] --------------------------------------------------------------------- */

static uint16_t icmp_sum(const void *p, size_t n)
{
	const uint16_t *v = p;
	uint32_t s = 0;

	for (; n > 1; n -= 2)
		s += *v++;
	if (n)
		s += *(const uint8_t *)v;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static int ping(int argc, char **argv)
{
	struct to t = to_of(argv[0], 0);
	bool v6 = t.family == AF_INET6;
	long count = num(argv[1]), ms = num(argv[2]), size = argc > 3 ? num(argv[3]) : 56;
	int fd = socket_of(&t, SOCK_RAW, v6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP), got = 0;
	static uint8_t out[65536], in[65536];
	uint16_t id = (uint16_t)getpid();

	if (size > 65000)
		size = 65000;
	for (long i = 0; i < count; i++) {
		struct icmphdr h = { .type = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO };
		uint64_t end = now_us() + (uint64_t)ms * 1000;

		h.un.echo.id = htons(id);
		h.un.echo.sequence = htons((uint16_t)i);
		memcpy(out, &h, sizeof(h));
		h.checksum = v6 ? 0 : icmp_sum(out, sizeof(h) + (size_t)size);
		memcpy(out, &h, sizeof(h));
		if (sendto(fd, out, sizeof(h) + (size_t)size, 0, (struct sockaddr *)&t.a, t.len) < 0)
			continue;
		while (now_us() < end) {
			ssize_t n;
			struct icmphdr r;

			if (wait_io(fd, POLLIN, ms_until(end)))
				continue;
			n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
			if (n < (v6 ? 8 : 28))
				continue;
			memcpy(&r, in + (v6 ? 0 : (in[0] & 15) * 4), sizeof(r));
			if (r.type == (v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) && r.un.echo.id == htons(id) &&
			    r.un.echo.sequence == htons((uint16_t)i)) {
				got++;
				break;
			}
		}
	}
	printf("answered %d of %ld\n", got, count);
	return 0;
}

/* ---- standing TCP connection: stream ADDR PORT GAP_MS [SRCPORT] --------------------------------------------------------
 * A number every GAP_MS, each echoed, until SIGTERM or an error:
 * "WORD sent N echoed N maxgap_ms N lastecho_us N" (last: monotonic clock). */

static int stream(int argc, char **argv)
{
	long gap = num(argv[2]);
	uint64_t sent = 0, echoed = 0, last = now_us(), maxgap = 0, quiet = 0;
	int fd, err = tcp_open(argv[0], num(argv[1]), 3000, argc > 3 ? num(argv[3]) : 0, &fd);
	char buf[4096];

	fprintf(stderr, "%s\n", word(err));
	while (!err && !stop) {
		uint64_t t0 = now_us();
		ssize_t n = send(fd, "0123456789abcdef", 16, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN) {
			err = errno;
			break;
		}
		sent += n > 0 ? (uint64_t)n : 0;
		while (now_us() - t0 < (uint64_t)gap * 1000 && !stop) {
			struct pollfd p = { fd, POLLIN, 0 };

			if (poll(&p, 1, (int)((t0 + (uint64_t)gap * 1000 - now_us()) / 1000 + 1)) <= 0)
				continue;
			n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
			if (n <= 0) {
				err = n ? errno : ECONNRESET;
				break;
			}
			echoed += (uint64_t)n;
			quiet = now_us() - last;
			last = now_us();
			if (quiet > maxgap)
				maxgap = quiet;
		}
	}
	printf("%s sent %llu echoed %llu maxgap_ms %llu lastecho_us %llu\n", err ? word(err) : "ok",
	       (unsigned long long)sent / 16, (unsigned long long)echoed / 16, (unsigned long long)maxgap / 1000,
	       (unsigned long long)last);
	return 0;
}

static int clock_us(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("%llu\n", (unsigned long long)now_us());
	return 0;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int args; int (*fn)(int argc, char **argv); } cmds[] = {
		{ "serve", 1, serve }, { "tcp", 3, tcp },     { "sink", 1, sink },     { "bulk", 3, bulk },
		{ "send", 4, send_udp }, { "flood", 4, flood }, { "ask", 4, ask },     { "ping", 3, ping },
		{ "stream", 3, stream }, { "fresh", 5, fresh }, { "connects", 3, connects }, { "clock", 0, clock_us },
	};
	struct sigaction sa = { .sa_handler = on_term };

	sigaction(SIGTERM, &sa, NULL);
	for (size_t i = 0; argc > 1 && i < sizeof(cmds) / sizeof(cmds[0]); i++)
		if (!strcmp(argv[1], cmds[i].name) && argc - 2 >= cmds[i].args)
			return cmds[i].fn(argc - 2, argv + 2);
	fprintf(stderr, "usage: traffic serve|tcp|sink|bulk|send|flood|ask|ping|stream|clock ARG...\n");
	return 2;
}
