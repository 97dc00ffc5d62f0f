/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/judge/probes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "net/netns.h"

/* What passes is answered in microseconds: packets run through the links on the sender's own time. */
#define QUIET_FIRST_MS 60	/* without any progress: the rest is asked again */
#define QUIET_AGAIN_MS 150
#define ATTEMPTS_MAX 4
#define AT_ONCE 512u		/* probes with sockets open */
#define BACKLOG 1024
#define SCTP_INIT 1
#define SCTP_INIT_ACK 2
#define SPORT_FIRST 20000u
#define SPORT_LAST 30000u	/* below the ports the kernel hands out */

enum role { R_LISTEN, R_ECHO, R_RAW };
struct server {
	enum role role;
	int netns, fd;
	struct addr addr;
	uint16_t port;
};

struct asking {
	struct probe *v;
	size_t n;
	struct { struct server *v; size_t n, cap; } servers;
	int ep;
	int here;	/* the namespace whose sockets are being made */
	size_t answered;
};

union sock {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static uint32_t sctp_port = SPORT_FIRST;

static socklen_t sock_of(const struct addr *a, uint16_t port, union sock *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr_is_v4(a)) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		memcpy(&ret->v4.sin_addr, a->b + 12, 4);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	memcpy(&ret->v6.sin6_addr, a->b, 16);
	return sizeof(ret->v6);
}

static int watch(const struct asking *a, int fd, uint32_t events, uint64_t what)
{
	struct epoll_event e = { .events = events, .data.u64 = what };

	return epoll_ctl(a->ep, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

/* ---- making sockets: on a thread inside the namespace ------------------------------------------------------ */

static int bound(const struct addr *a, uint16_t port, int type, int proto, int *ret)
{
	union sock s;
	socklen_t len = sock_of(a, port, &s);
	auto_close int fd = socket(s.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) || bind(fd, &s.sa, len))
		return -errno;
	*ret = take_fd(fd);
	return 0;
}

static int server_make(struct asking *a, size_t i)
{
	struct server *s = &a->servers.v[i];
	int r;

	switch (s->role) {
	case R_LISTEN:
		r = bound(&s->addr, s->port, SOCK_STREAM, 0, &s->fd);
		return r ?: listen(s->fd, BACKLOG) ? -errno : 0;
	case R_ECHO:
		r = bound(&s->addr, s->port, SOCK_DGRAM, 0, &s->fd);
		break;
	default:
		r = bound(&s->addr, 0, SOCK_RAW, IPPROTO_SCTP, &s->fd);
		break;
	}
	return r ?: watch(a, s->fd, EPOLLIN, (uint64_t)i << 32 | UINT32_MAX);
}

static int servers_make(void *arg)
{
	struct asking *a = arg;
	int r = 0;

	for (size_t i = 0; i < a->servers.n && !r; i++)
		if (a->servers.v[i].netns == a->here && a->servers.v[i].fd < 0)
			r = server_make(a, i);
	return r;
}

static int client_make(struct asking *a, size_t i)
{
	struct probe *p = &a->v[i];
	union sock to;
	socklen_t len = sock_of(&p->to, p->port, &to);
	int r;

	if (p->proto == IPPROTO_SCTP)
		return 0; /* the raw sockets of both ends are servers */
	r = bound(&p->from, 0, p->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, 0, &p->fd);
	if (r)
		return r;
	if (p->proto == IPPROTO_TCP)
		(void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
	if (connect(p->fd, &to.sa, len) && errno != EINPROGRESS)
		return errno == ENETUNREACH || errno == EHOSTUNREACH ? 0 : -errno;
	return watch(a, p->fd, p->proto == IPPROTO_TCP ? EPOLLOUT : EPOLLIN, i);
}

static int clients_make(void *arg)
{
	struct asking *a = arg;
	int r = 0;

	for (size_t i = 0; i < a->n && !r; i++)
		if (!a->v[i].answered && a->v[i].from_netns == a->here && a->v[i].fd < 0)
			r = client_make(a, i);
	return r;
}

/* ---- SCTP by hand ---------------------------------------------------------------------------------------------- */

static uint32_t crc32c(const uint8_t *b, size_t n)
{
	uint32_t c = UINT32_MAX;

	while (n--) {
		c ^= *b++;
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (0x82f63b78u & -(c & 1));
	}
	return ~c;
}

/* Common header and an INIT or INIT ACK chunk (RFC 9260, 3.3.2). */
static void sctp_send(int fd, const struct addr *to, uint16_t sport, uint16_t dport, uint8_t chunk)
{
	uint8_t b[32] = { (uint8_t)(sport >> 8), (uint8_t)sport, (uint8_t)(dport >> 8), (uint8_t)dport };
	union sock s;
	socklen_t len = sock_of(to, 0, &s);
	uint32_t crc;

	b[12] = chunk;
	b[15] = 20;				  /* chunk length */
	b[19] = 1;				  /* initiate tag */
	b[21] = 1;				  /* window 65536 */
	b[25] = b[27] = 1;			  /* streams out, in */
	b[31] = 1;				  /* first TSN */
	if (chunk != SCTP_INIT)
		b[7] = 1;			  /* the tag of the INIT it answers */
	crc = crc32c(b, sizeof(b));
	for (int i = 0; i < 4; i++)
		b[8 + i] = (uint8_t)(crc >> 8 * i);
	(void)sendto(fd, b, sizeof(b), MSG_DONTWAIT, &s.sa, len); /* what is lost is asked again */
}

static const struct server *raw_of(const struct asking *a, int netns, const struct addr *addr)
{
	for (size_t i = 0; i < a->servers.n; i++) {
		const struct server *s = &a->servers.v[i];

		if (s->role == R_RAW && s->netns == netns && !addr_cmp(&s->addr, addr))
			return s;
	}
	return NULL;
}

static void answer(struct asking *a, struct probe *p)
{
	if (!p->answered)
		a->answered++;
	p->answered = true;
}

static void raw_read(struct asking *a, const struct server *s)
{
	bool v4 = addr_is_v4(&s->addr);
	uint8_t b[512], *h = b;
	union sock from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(s->fd, b, sizeof(b), MSG_DONTWAIT, &from.sa, &len);
	struct addr peer = { .b = { [10] = 0xff, [11] = 0xff } };
	uint16_t sp, dp;

	if (n > 0 && v4) {
		n -= (b[0] & 0xf) * 4;
		h += (b[0] & 0xf) * 4;
	}
	if (n < 16)
		return;
	if (v4)
		memcpy(peer.b + 12, &from.v4.sin_addr, 4);
	else
		memcpy(peer.b, &from.v6.sin6_addr, 16);
	sp = (uint16_t)(h[0] << 8 | h[1]);
	dp = (uint16_t)(h[2] << 8 | h[3]);
	if (h[12] == SCTP_INIT)
		sctp_send(s->fd, &peer, dp, sp, SCTP_INIT_ACK);
	for (size_t i = 0; h[12] == SCTP_INIT_ACK && i < a->n; i++) {
		struct probe *p = &a->v[i];

		if (p->proto == IPPROTO_SCTP && p->sport == dp && p->port == sp && p->from_netns == s->netns &&
		    !addr_cmp(&p->from, &s->addr) && !addr_cmp(&p->to, &peer))
			answer(a, p);
	}
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static void echo(const struct server *s)
{
	uint8_t b[64];
	union sock from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(s->fd, b, sizeof(b), MSG_DONTWAIT, &from.sa, &len);

	if (n > 0)
		(void)sendto(s->fd, b, (size_t)n, MSG_DONTWAIT, &from.sa, len);
}

static void client_event(struct asking *a, size_t i)
{
	struct probe *p = &a->v[i];
	socklen_t len = sizeof(int);
	uint64_t got = 0;
	int err = 0;

	if (p->proto == IPPROTO_TCP) {
		if (!getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len) && !err)
			answer(a, p);
		(void)epoll_ctl(a->ep, EPOLL_CTL_DEL, p->fd, NULL); /* connected or refused: said once */
	} else if (recv(p->fd, &got, sizeof(got), MSG_DONTWAIT) == sizeof(got) && got == i) {
		answer(a, p);
	}
}

static void clients_send(struct asking *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct probe *p = &a->v[i];
		const struct server *s;

		if (p->answered)
			continue;
		if (p->proto == IPPROTO_UDP && p->fd >= 0)
			(void)send(p->fd, &(uint64_t){ i }, sizeof(uint64_t), MSG_DONTWAIT);
		if (p->proto != IPPROTO_SCTP)
			continue;
		p->sport = (uint16_t)sctp_port;
		sctp_port = sctp_port == SPORT_LAST ? SPORT_FIRST : sctp_port + 1;
		s = raw_of(a, p->from_netns, &p->from);
		if (s)
			sctp_send(s->fd, &p->to, p->sport, p->port, SCTP_INIT);
	}
}

static void listen_until_quiet(struct asking *a, int quiet_ms)
{
	struct epoll_event ev[64];
	struct timespec t;
	int64_t now, last;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	last = now = t.tv_sec * 1000 + t.tv_nsec / 1000000;
	while (a->answered < a->n && now - last <= quiet_ms) {
		size_t before = a->answered;
		int n = epoll_wait(a->ep, ev, 64, (int)(quiet_ms - (now - last)));

		for (int i = 0; i < n; i++) {
			uint64_t what = ev[i].data.u64;

			if ((uint32_t)what != UINT32_MAX)
				client_event(a, (size_t)what);
			else if (a->servers.v[what >> 32].role == R_ECHO)
				echo(&a->servers.v[what >> 32]);
			else
				raw_read(a, &a->servers.v[what >> 32]);
		}
		(void)clock_gettime(CLOCK_MONOTONIC, &t);
		now = t.tv_sec * 1000 + t.tv_nsec / 1000000;
		if (a->answered != before)
			last = now;
		if (n <= 0 && errno != EINTR)
			break;
	}
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int server_want(struct asking *a, enum role role, int netns, const struct addr *addr, uint16_t port)
{
	const struct server want = { .role = role, .netns = netns, .fd = -1, .addr = *addr, .port = port };

	for (size_t i = 0; i < a->servers.n; i++) {
		const struct server *s = &a->servers.v[i];

		if (s->role == role && s->netns == netns && s->port == port && !addr_cmp(&s->addr, addr))
			return 0;
	}
	return vec_push(&a->servers, want);
}

static int servers_want(struct asking *a, const struct probe *p)
{
	int r;

	switch (p->proto) {
	case IPPROTO_TCP:
		return server_want(a, R_LISTEN, p->to_netns, &p->to, p->port);
	case IPPROTO_UDP:
		return server_want(a, R_ECHO, p->to_netns, &p->to, p->port);
	default:
		r = server_want(a, R_RAW, p->to_netns, &p->to, 0);
		return r ?: server_want(a, R_RAW, p->from_netns, &p->from, 0);
	}
}

/* Runs fn once in every namespace that has an end. */
static int everywhere(struct asking *a, bool from, int (*fn)(void *arg))
{
	int r = 0;

	for (size_t i = 0; i < a->n && !r; i++) {
		bool seen = false;

		for (int side = 0; side < 2 && !r; side++) {
			a->here = side ? a->v[i].from_netns : a->v[i].to_netns;
			if (from && !side)
				continue;
			seen = false;
			for (size_t k = 0; k < i && !seen; k++)
				seen = a->v[k].from_netns == a->here || (!from && a->v[k].to_netns == a->here);
			if (!seen)
				r = netns_run(a->here, fn, a);
		}
	}
	return r;
}

static int attempt(struct asking *a, int quiet_ms)
{
	int r = everywhere(a, true, clients_make);

	if (!r) {
		clients_send(a);
		listen_until_quiet(a, quiet_ms);
	}
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].fd >= 0)
			close(take_fd(a->v[i].fd));
	return r;
}

static int ask(struct probe *v, size_t n)
{
	struct asking a = { .v = v, .n = n, .ep = epoll_create1(EPOLL_CLOEXEC) };
	int r = a.ep < 0 ? -errno : 0;

	for (size_t i = 0; i < n && !r; i++) {
		v[i].fd = -1;
		v[i].answered = false;
		r = servers_want(&a, &v[i]);
	}
	r = r ?: everywhere(&a, false, servers_make);
	for (int i = 0; i < ATTEMPTS_MAX && !r && a.answered < n; i++) {
		size_t before = a.answered;

		r = attempt(&a, i ? QUIET_AGAIN_MS : QUIET_FIRST_MS);
		/* Two rounds without an answer that the one before missed end it. */
		if (i && a.answered == before)
			break;
	}
	for (size_t i = 0; i < a.servers.n; i++)
		if (a.servers.v[i].fd >= 0)
			close(a.servers.v[i].fd);
	vec_done(&a.servers);
	if (a.ep >= 0)
		close(a.ep);
	return r;
}

int probes_ask(struct probe *v, size_t n, struct fail_list *f)
{
	struct rlimit l;
	int r = 0;

	if (!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
	for (size_t i = 0; i < n && !r; i += AT_ONCE)
		r = ask(v + i, n - i < AT_ONCE ? n - i : AT_ONCE);
	return r ? fail_add(f, r, "judge.sockets", NULL, NULL, NULL, "sockets: %s", strerror(-r)) : 0;
}
