/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab: the test pods' one program.  Server and probes, TCP and UDP, v4 and v6.
 *
 *   lab serve tcp:80 udp:81 ...        answer on these ports
 *   lab probe [-t ms] [-s srcport] proto:ip:port ...
 *                                      try all at once, one line for each:
 *                                      TARGET OK REPLY MS | TIMEOUT | REFUSED | UNREACH | ERR errno
 *   lab hold [-i ms] [-n count] proto:ip:port
 *                                      one flow, one ping each interval: a line
 *                                      "N OK" or "N LOST"; ends by itself
 *   lab connect HOST:PORT --timeout=1s --protocol=tcp|udp
 *                                      as agnhost's connect (also when run as "agnhost")
 *
 * A TCP server greets with "HOSTNAME PEERADDR PEERPORT\n", then echoes.
 * A UDP server answers each datagram with "HOSTNAME PEERADDR PEERPORT PAYLOAD".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char host[128];

static void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

struct target {
	int udp, fd, done;
	socklen_t len;
	union { struct sockaddr sa; struct sockaddr_in v4; struct sockaddr_in6 v6; } a;
	const char *name;
	char result[320];
	double t0;
};

/* a decimal number from lo to hi, or the end */
static int number(const char *s, long lo, long hi)
{
	char *end;
	errno = 0;
	long v = strtol(s, &end, 10);
	if (end == s || *end || errno || v < lo || v > hi) die("not a number from %ld to %ld: %s", lo, hi, s);
	return (int)v;
}

/* proto:ip:port; the ip may be v4, v6 or [v6] */
static void parse(struct target *t, const char *s)
{
	char b[200], *p, *q;
	memset(t, 0, sizeof *t);
	t->name = s;
	t->fd = -1;
	if (strlen(s) >= sizeof b) die("bad target: %s", s);
	memcpy(b, s, strlen(s) + 1);
	if (!strncmp(b, "tcp:", 4)) t->udp = 0;
	else if (!strncmp(b, "udp:", 4)) t->udp = 1;
	else die("bad target (tcp:IP:PORT or udp:IP:PORT): %s", s);
	p = b + 4;
	if (!(q = strrchr(p, ':'))) die("no port: %s", s);
	*q++ = 0;
	int port = number(q, 1, 65535);
	if (*p == '[') { p++; if ((q = strchr(p, ']'))) *q = 0; }
	if (inet_pton(AF_INET, p, &t->a.v4.sin_addr) == 1) {
		t->a.v4.sin_family = AF_INET; t->a.v4.sin_port = htons(port); t->len = sizeof t->a.v4;
	} else if (inet_pton(AF_INET6, p, &t->a.v6.sin6_addr) == 1) {
		t->a.v6.sin6_family = AF_INET6; t->a.v6.sin6_port = htons(port); t->len = sizeof t->a.v6;
	} else die("not an address: %s", p);
}

static void finish(struct target *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(t->result, sizeof t->result, fmt, ap);
	va_end(ap);
	t->done = 1;
	if (t->fd >= 0) close(t->fd);
	t->fd = -1;
}

static void failed(struct target *t, int e)
{
	if (e == ECONNREFUSED || e == ECONNRESET) finish(t, "REFUSED");
	else if (e == EHOSTUNREACH || e == ENETUNREACH || e == EACCES || e == EPERM)
		finish(t, "UNREACH %s", strerrorname_np(e));
	else if (e == ETIMEDOUT) finish(t, "TIMEOUT");
	else finish(t, "ERR %s", strerrorname_np(e) ? strerrorname_np(e) : "?");
}

static void start(struct target *t, int sport)
{
	t->t0 = now_ms();
	t->fd = socket(t->a.sa.sa_family, (t->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0) { failed(t, errno); return; }
	if (sport) {
		int one = 1;
		struct sockaddr_in6 s6 = { .sin6_family = AF_INET6, .sin6_port = htons(sport) };
		struct sockaddr_in s4 = { .sin_family = AF_INET, .sin_port = htons(sport) };
		setsockopt(t->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		int r = t->a.sa.sa_family == AF_INET ? bind(t->fd, (void *)&s4, sizeof s4) : bind(t->fd, (void *)&s6, sizeof s6);
		if (r) { failed(t, errno); return; }
	}
	if (connect(t->fd, &t->a.sa, t->len) && errno != EINPROGRESS) { failed(t, errno); return; }
	if (t->udp && send(t->fd, "hostname\n", 9, MSG_NOSIGNAL) < 0) failed(t, errno);
}

static void probe_all(struct target *v, int n, int timeout, int sport)
{
	struct pollfd *p = calloc(n, sizeof *p);
	double end = now_ms() + timeout;
	for (int i = 0; i < n; i++) start(&v[i], sport);
	for (;;) {
		int left = 0;
		for (int i = 0; i < n; i++) {
			p[i].fd = v[i].done ? -1 : v[i].fd;
			p[i].events = POLLIN;
			left += !v[i].done;
		}
		int w = (int)(end - now_ms() + 0.999);
		if (!left || w <= 0) break;
		if (poll(p, n, w) < 0 && errno != EINTR) die("poll: %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			if (v[i].done || !p[i].revents) continue;
			char b[256];
			ssize_t r = recv(v[i].fd, b, sizeof b - 1, 0);
			if (r < 0) {
				if (errno != EAGAIN && errno != EINTR) failed(&v[i], errno);
				continue;
			}
			b[r] = 0;
			b[strcspn(b, "\r\n")] = 0;
			finish(&v[i], "OK %s %.1f", *b ? b : "-", now_ms() - v[i].t0);
		}
	}
	for (int i = 0; i < n; i++) if (!v[i].done) finish(&v[i], "TIMEOUT");
	free(p);
}

static int cmd_probe(int argc, char **argv)
{
	int timeout = 1000, sport = 0, o, bad = 0;
	while ((o = getopt(argc, argv, "+t:s:")) != -1) {
		if (o == 't') timeout = number(optarg, 1, 3600000);
		else if (o == 's') sport = number(optarg, 0, 65535);
		else die("usage: lab probe [-t ms] [-s srcport] proto:ip:port ...");
	}
	int n = argc - optind;
	if (n < 1 || n > 4096) die("1 to 4096 targets");
	struct target *v = calloc(n, sizeof *v);
	for (int i = 0; i < n; i++) parse(&v[i], argv[optind + i]);
	probe_all(v, n, timeout, sport);
	for (int i = 0; i < n; i++) {
		printf("%s %s\n", v[i].name, v[i].result);
		bad |= strncmp(v[i].result, "OK", 2) != 0;
	}
	return bad;
}

/* agnhost's connect: silent and 0 when connected; else the word on stderr and 1 */
static int cmd_connect(int argc, char **argv)
{
	const char *proto = "tcp", *dst = 0;
	double timeout = 1000;
	for (int i = 1; i < argc; i++) {
		char *a = argv[i], *val = strchr(a, '=');
		if (!strncmp(a, "--", 2)) {
			if (val) val++;
			else if (i + 1 < argc) val = argv[++i];
			else die("%s: no value", a);
			if (!strncmp(a, "--timeout", 9)) {
				char *u;
				timeout = strtod(val, &u);
				if (!strcmp(u, "ms")) ; else if (!strcmp(u, "m")) timeout *= 60e3; else timeout *= 1e3;
			} else if (!strncmp(a, "--protocol", 10)) proto = val;
			else die("%s: unknown", a);
		} else dst = a;
	}
	if (!dst) die("usage: connect HOST:PORT [--timeout=1s] [--protocol=tcp|udp]");
	char b[256];
	snprintf(b, sizeof b, "%s:%s", proto, dst);
	struct target t;
	parse(&t, b);
	/* agnhost's tcp connect only connects */
	if (!t.udp) {
		start(&t, 0);
		if (!t.done) {
			struct pollfd p = { .fd = t.fd, .events = POLLOUT };
			int r = poll(&p, 1, (int)timeout), e = 0;
			socklen_t l = sizeof e;
			if (!r) finish(&t, "TIMEOUT");
			else if (getsockopt(t.fd, SOL_SOCKET, SO_ERROR, &e, &l), e) failed(&t, e);
			else finish(&t, "OK");
		}
	} else probe_all(&t, 1, (int)timeout, 0);
	if (!strncmp(t.result, "OK", 2)) return 0;
	if (!strcmp(t.result, "TIMEOUT") || !strcmp(t.result, "REFUSED")) fprintf(stderr, "%s\n", t.result);
	else fprintf(stderr, "OTHER: %s\n", t.result);
	return 1;
}

static int cmd_hold(int argc, char **argv)
{
	int every = 500, count = 20, o, lost = 0;
	while ((o = getopt(argc, argv, "+i:n:")) != -1) {
		if (o == 'i') every = number(optarg, 1, 3600000);
		else if (o == 'n') count = number(optarg, 1, 1000000000);
		else die("usage: lab hold [-i ms] [-n count] proto:ip:port");
	}
	if (argc - optind != 1) die("one target");
	struct target t;
	parse(&t, argv[optind]);
	start(&t, 0);
	char b[512], m[32];
	for (int i = 0; i < count && !t.done; i++) {
		double end = now_ms() + every;
		int ok = 0, w, l = snprintf(m, sizeof m, "ping %d\n", i);
		struct pollfd p = { .fd = t.fd, .events = POLLOUT };
		if (poll(&p, 1, every) == 1 && send(t.fd, m, l, MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
			failed(&t, errno);
			break;
		}
		while ((w = (int)(end - now_ms() + 0.999)) > 0) {
			p.events = POLLIN;
			if (ok) { poll(0, 0, w); continue; }
			if (poll(&p, 1, w) != 1) continue;
			ssize_t r = recv(t.fd, b, sizeof b - 1, 0);
			if (r < 0 && errno == EAGAIN) continue;
			if (r <= 0) { failed(&t, r ? errno : ECONNRESET); break; }
			b[r] = 0;
			ok = memmem(b, r, m, l) != 0;
		}
		lost += !ok;
		printf("%d %s\n", i, ok ? "OK" : "LOST");
		fflush(stdout);
	}
	if (t.done) { printf("END %s\n", t.result); return 1; }
	return lost != 0;
}

struct sock { int fd, udp, listener; };

static int listen_on(int udp, int port)
{
	int one = 1, zero = 0, fam = AF_INET6;
	int fd = socket(AF_INET6, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		fam = AF_INET;
		fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (fd < 0) die("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fam == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
	if (udp) {	/* answer from the address that was asked */
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
		if (fam == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
	}
	struct sockaddr_in6 s6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in s4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	if (fam == AF_INET6 ? bind(fd, (void *)&s6, sizeof s6) : bind(fd, (void *)&s4, sizeof s4))
		die("bind %d: %s", port, strerror(errno));
	if (!udp && listen(fd, 512)) die("listen: %s", strerror(errno));
	return fd;
}

static void peer_of(const void *sa, char *out, size_t n)
{
	char a[INET6_ADDRSTRLEN] = "?";
	int port = 0;
	const struct sockaddr_in6 *s6 = sa;
	const struct sockaddr_in *s4 = sa;
	if (s6->sin6_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr)) inet_ntop(AF_INET, &s6->sin6_addr.s6_addr[12], a, sizeof a);
		else inet_ntop(AF_INET6, &s6->sin6_addr, a, sizeof a);
		port = ntohs(s6->sin6_port);
	} else {
		inet_ntop(AF_INET, &s4->sin_addr, a, sizeof a);
		port = ntohs(s4->sin_port);
	}
	snprintf(out, n, "%s %s %d", host, a, port);
}

static _Noreturn void cmd_serve(int argc, char **argv)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	if (argc < 2) die("usage: lab serve tcp:80 udp:80 ...");
	for (int i = 1; i < argc; i++) {
		struct sock *s = calloc(1, sizeof *s);
		s->udp = !strncmp(argv[i], "udp:", 4);
		if (!s->udp && strncmp(argv[i], "tcp:", 4)) die("tcp:PORT or udp:PORT: %s", argv[i]);
		s->fd = listen_on(s->udp, number(argv[i] + 4, 1, 65535));
		s->listener = 1;
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };
		epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &e);
	}
	printf("%s serving\n", host);
	fflush(stdout);
	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(ep, ev, 64, -1);
		for (int i = 0; i < n; i++) {
			struct sock *s = ev[i].data.ptr;
			struct sockaddr_storage ss;
			socklen_t sl = sizeof ss;
			char b[4096], g[256];
			if (s->udp) {
				char cb[256];
				struct iovec io = { b, sizeof b };
				struct msghdr m = { .msg_name = &ss, .msg_namelen = sizeof ss, .msg_iov = &io,
					.msg_iovlen = 1, .msg_control = cb, .msg_controllen = sizeof cb };
				ssize_t r = recvmsg(s->fd, &m, 0);
				if (r < 0) continue;
				peer_of(&ss, g, sizeof g);
				struct iovec out[3] = { { g, strlen(g) }, { " ", 1 }, { b, r } };
				m.msg_iov = out;
				m.msg_iovlen = 3;
				sendmsg(s->fd, &m, MSG_NOSIGNAL);
			} else if (s->listener) {
				int c = accept4(s->fd, (void *)&ss, &sl, SOCK_CLOEXEC | SOCK_NONBLOCK);
				if (c < 0) continue;
				peer_of(&ss, g, sizeof g - 1);
				size_t gl = strlen(g);
				g[gl++] = '\n';
				send(c, g, gl, MSG_NOSIGNAL);
				struct sock *k = calloc(1, sizeof *k);
				k->fd = c;
				struct epoll_event e = { .events = EPOLLIN, .data.ptr = k };
				epoll_ctl(ep, EPOLL_CTL_ADD, c, &e);
			} else {
				ssize_t r = recv(s->fd, b, sizeof b, 0);
				if (r > 0) send(s->fd, b, r, MSG_NOSIGNAL);
				else if (r == 0 || (errno != EAGAIN && errno != EINTR)) { close(s->fd); free(s); }
			}
		}
	}
}

static void quit(int s) { (void)s; _exit(0); }

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, quit);	/* as PID 1 there is no default action */
	signal(SIGINT, quit);
	gethostname(host, sizeof host - 1);
	if (argc < 2) die("usage: lab serve|probe|hold|connect|pause ...");
	if (!strcmp(argv[1], "serve")) cmd_serve(argc - 1, argv + 1);
	if (!strcmp(argv[1], "probe")) return cmd_probe(argc - 1, argv + 1);
	if (!strcmp(argv[1], "hold")) return cmd_hold(argc - 1, argv + 1);
	if (!strcmp(argv[1], "connect")) return cmd_connect(argc - 1, argv + 1);
	if (!strcmp(argv[1], "pause")) for (;;) pause();
	die("unknown: %s", argv[1]);
}
