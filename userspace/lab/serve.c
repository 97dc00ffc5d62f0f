/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - the servers of one workload on one epoll: HTTP/1.0, a line protocol, DNS, a mute
 * datagram sink; and a packet socket that counts which of the attacker's packets arrived.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lab/dns.h"
#include "lab/plan.h"
#include "lab/probe.h"
#include "lab/work.h"

#define CONNS_MAX 256u	    /* of one workload; further ones are closed at once and counted */
#define REQUEST_MAX 2048u   /* bytes of a request before its end */
#define IDLE_MS 10000	    /* a connection that says nothing for so long is closed */
#define CAPTURE_BYTES (8 << 20) /* receive buffer of the packet socket: a whole scan fits */
#define BATCH 64	    /* datagrams or packets per wake-up, so that nothing starves */

enum kind { K_SIGNAL, K_PACKET, K_LISTEN, K_DGRAM, K_CONN };
struct watch {
	enum kind kind;
	int fd;
	enum lab_service service;
	int64_t since; /* K_CONN: last byte */
	size_t len;
	char in[REQUEST_MAX];
};

struct server {
	const char *dir;
	const struct lab_workload *w;
	int ep, loop_index;
	struct watch signal, packet, ports[LAB_PORTS_MAX], conns[CONNS_MAX];
	uint64_t seq, served, refused, scan, forged, capture_lost;
	bool stop;
};

static int watch_add(struct server *s, struct watch *w, enum kind kind, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

	w->kind = kind;
	w->fd = fd;
	return epoll_ctl(s->ep, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int report(struct server *s)
{
	struct tpacket_stats st = {};
	socklen_t len = sizeof(st);

	if (!getsockopt(s->packet.fd, SOL_PACKET, PACKET_STATISTICS, &st, &len))
		s->capture_lost += st.tp_drops;
	s->seq++;
	return work_status(s->dir, s->w->name, "{\"name\":\"%s\",\"pid\":%d,\"seq\":%llu,\"served\":%llu,"
			   "\"refused\":%llu,\"scan\":%llu,\"forged\":%llu,\"captureLost\":%llu}\n",
			   s->w->name, (int)getpid(), (unsigned long long)s->seq, (unsigned long long)s->served,
			   (unsigned long long)s->refused, (unsigned long long)s->scan,
			   (unsigned long long)s->forged, (unsigned long long)s->capture_lost);
}

static int open_port(struct server *s, const struct lab_port *p, struct watch *w)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };
	int type = (p->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	auto_close int fd = socket(AF_INET6, type, 0);
	int on = 1, off = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) ||
	    (p->proto == IPPROTO_TCP && listen(fd, 128)))
		return -errno;
	w->service = p->service;
	return watch_add(s, w, p->proto == IPPROTO_TCP ? K_LISTEN : K_DGRAM, take_fd(fd));
}

static int open_capture(struct server *s)
{
	auto_close int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	int bytes = CAPTURE_BYTES;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		return -errno;
	s->loop_index = (int)if_nametoindex("lo");
	return watch_add(s, &s->packet, K_PACKET, take_fd(fd));
}

static int open_signals(struct server *s)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : watch_add(s, &s->signal, K_SIGNAL, fd);
}

static void on_packets(struct server *s)
{
	for (;;) {
		struct sockaddr_ll from = {};
		socklen_t flen = sizeof(from);
		uint8_t p[128];
		ssize_t n = recvfrom(s->packet.fd, p, sizeof(p), 0, (struct sockaddr *)&from, &flen);

		if (n < 0)
			return;
		/* only what is addressed to this machine counts as delivered */
		if (from.sll_pkttype != PACKET_HOST || from.sll_ifindex == s->loop_index)
			continue;
		switch (probe_read(p, (size_t)n)) {
		case PROBE_SCAN:
			s->scan++;
			break;
		case PROBE_FORGED:
			s->forged++;
			break;
		default:
			break;
		}
	}
}

static void on_signal(struct server *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal.fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo != SIGUSR1) {
			s->stop = true;
		} else {
			on_packets(s); /* what has arrived is in the answer */
			(void)report(s); /* nobody to tell; the asker sees that nothing came */
		}
	}
}

static void on_datagrams(struct server *s, struct watch *w)
{
	for (int i = 0; i < BATCH; i++) {
		uint8_t in[DNS_MSG_MAX], out[DNS_MSG_MAX], addr[16];
		struct sockaddr_in6 from;
		socklen_t flen = sizeof(from);
		char name[DNS_NAME_MAX];
		uint8_t family;
		ssize_t n = recvfrom(w->fd, in, sizeof(in), 0, (struct sockaddr *)&from, &flen);
		int len;

		if (n < 0)
			return;
		s->served++;
		if (w->service != LAB_DNS || dns_query_read(in, (size_t)n, name, &family) < 0 || !family)
			continue;
		len = dns_answer_make(in, (size_t)n, family, lab_name_lookup(name, family, addr) ? NULL : addr, out);
		if (len > 0)
			(void)!sendto(w->fd, out, (size_t)len, 0, (struct sockaddr *)&from, flen);
	}
}

static void conn_close(struct watch *c)
{
	close(c->fd);
	c->fd = -1;
}

static void on_accept(struct server *s, struct watch *l)
{
	for (int i = 0; i < BATCH; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct watch *c = NULL;

		if (fd < 0)
			return;
		for (size_t k = 0; k < CONNS_MAX && !c; k++)
			c = s->conns[k].fd < 0 ? &s->conns[k] : NULL;
		if (!c || watch_add(s, c, K_CONN, fd) < 0) {
			close(fd);
			if (c)
				c->fd = -1;
			s->refused++;
			continue;
		}
		c->service = l->service;
		c->since = work_now_ms();
		c->len = 0;
	}
}

/* Answers fit any socket buffer; a client that does not read them is not waited for. */
static bool reply(struct watch *c, const char *text)
{
	size_t n = strlen(text);

	return send(c->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void on_conn(struct server *s, struct watch *c)
{
	ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - 1 - c->len, 0);
	char text[768];
	char *line;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	c->since = work_now_ms();
	c->len += (size_t)n;
	c->in[c->len] = '\0';
	if (c->service == LAB_HTTP) {
		if (strstr(c->in, "\r\n\r\n")) {
			snprintf(text, sizeof(text), "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
				 "Connection: close\r\n\r\nserved by %s\n%0512d\n", s->w->name, 0);
			s->served += reply(c, text);
			conn_close(c);
			return;
		}
	} else {
		while ((line = memchr(c->in, '\n', c->len))) {
			size_t used = (size_t)(line - c->in) + 1;

			*line = '\0';
			snprintf(text, sizeof(text), "OK %s %.64s\n", s->w->name, c->in);
			if (!reply(c, text)) {
				conn_close(c);
				return;
			}
			s->served++;
			memmove(c->in, c->in + used, c->len - used);
			c->len -= used;
		}
	}
	if (c->len >= sizeof(c->in) - 1) /* no end in sight */
		conn_close(c);
}

static void close_idle(struct server *s)
{
	int64_t now = work_now_ms();

	for (size_t i = 0; i < CONNS_MAX; i++)
		if (s->conns[i].fd >= 0 && now - s->conns[i].since > IDLE_MS)
			conn_close(&s->conns[i]);
}

static int run(struct server *s)
{
	struct epoll_event ev[32];

	while (!s->stop) {
		int n = epoll_wait(s->ep, ev, ARRAY_SIZE(ev), 1000);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct watch *w = ev[i].data.ptr;

			if (w->fd < 0)
				continue;
			switch (w->kind) {
			case K_SIGNAL: on_signal(s); break;
			case K_PACKET: on_packets(s); break;
			case K_LISTEN: on_accept(s, w); break;
			case K_DGRAM: on_datagrams(s, w); break;
			case K_CONN: on_conn(s, w); break;
			}
		}
		close_idle(s);
	}
	return report(s);
}

static void server_done(struct server *s)
{
	for (size_t i = 0; i < CONNS_MAX; i++)
		if (s->conns[i].fd >= 0)
			close(s->conns[i].fd);
	for (size_t i = 0; i < LAB_PORTS_MAX; i++)
		if (s->ports[i].fd >= 0)
			close(s->ports[i].fd);
	if (s->packet.fd >= 0)
		close(s->packet.fd);
	if (s->signal.fd >= 0)
		close(s->signal.fd);
	if (s->ep >= 0)
		close(s->ep);
	free(s);
}

static void server_donep(struct server **s)
{
	if (*s)
		server_done(*s);
}

int work_serve(const char *dir, const char *name)
{
	auto_cleanup(server_donep) struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->dir = dir;
	s->signal.fd = s->packet.fd = -1;
	for (size_t i = 0; i < LAB_PORTS_MAX; i++)
		s->ports[i].fd = -1;
	for (size_t i = 0; i < CONNS_MAX; i++)
		s->conns[i].fd = -1;
	s->ep = epoll_create1(EPOLL_CLOEXEC);
	if (s->ep < 0)
		return -errno;
	s->w = lab_workload_by_name(name);
	if (!s->w)
		return -ENOENT;
	r = open_signals(s);
	if (r == 0)
		r = open_capture(s);
	for (size_t i = 0; r == 0 && i < LAB_PORTS_MAX && s->w->ports[i].name; i++)
		r = open_port(s, &s->w->ports[i], &s->ports[i]);
	if (r == 0)
		r = report(s); /* tells that the servers listen */
	return r < 0 ? r : run(s);
}
