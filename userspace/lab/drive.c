/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive.c - the clients of one workload. Request k of a stream starts k / LAB_RATE seconds after
 * the start, so the number of requests follows from the duration alone; each is its own flow.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lab/dns.h"
#include "lab/plan.h"
#include "lab/work.h"

#define REQUESTS_MAX 256u /* in flight: streams of one client times rate times deadline, and room */
#define ANSWER_MAX 1024u

struct request {
	int fd;		  /* -1: free */
	size_t stream;
	bool sent;
	int64_t deadline;
	uint16_t id;	  /* DNS */
	size_t len;
	char in[ANSWER_MAX];
};

struct driver {
	const char *name;
	struct request req[REQUESTS_MAX];
	uint64_t *requests, *answered; /* by stream */
	uint16_t next_id;
};

static void finish(struct driver *d, struct request *q, bool answered)
{
	d->answered[q->stream] += answered;
	close(q->fd);
	q->fd = -1;
}

static socklen_t address_of(const struct lab_stream *s, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (s->family == 4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(s->port);
		inet_pton(AF_INET, s->addr, &in->sin_addr);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(s->port);
	inet_pton(AF_INET6, s->addr, &in6->sin6_addr);
	return sizeof(*in6);
}

static int open_socket(const struct lab_stream *s)
{
	int family = s->family == 4 ? AF_INET : AF_INET6;
	int type = s->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	/* ICMP: the kernel's echo socket picks the id and gives only our own replies */
	int proto = s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6 ? s->proto : 0;

	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
}

static void launch(struct driver *d, size_t stream)
{
	const struct lab_stream *s = &lab_streams[stream];
	struct sockaddr_storage ss;
	socklen_t len = address_of(s, &ss);
	struct request *q = NULL;

	d->requests[stream]++;
	for (size_t i = 0; i < REQUESTS_MAX && !q; i++)
		q = d->req[i].fd < 0 ? &d->req[i] : NULL;
	if (!q) /* counted as asked and not answered: the figures cannot flatter */
		return;
	q->fd = open_socket(s);
	if (q->fd < 0)
		return;
	q->stream = stream;
	q->sent = false;
	q->len = 0;
	q->deadline = work_now_ms() + LAB_DEADLINE_MS;
	if (connect(q->fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		finish(d, q, false);
}

static int send_request(struct driver *d, struct request *q)
{
	const struct lab_stream *s = &lab_streams[q->stream];
	uint8_t msg[DNS_MSG_MAX];
	const char *name;
	char text[256];
	int n, err = 0;
	socklen_t elen = sizeof(err);

	if (getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &err, &elen) || err)
		return err ? -err : -errno;
	switch (s->service) {
	case LAB_HTTP:
		n = snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n",
			     s->server ? s->server : s->addr, d->name);
		break;
	case LAB_LINE:
		n = snprintf(text, sizeof(text), "get %s\n", d->name);
		break;
	case LAB_ECHO:
		/* type, code 0, checksum and id by the kernel, sequence, payload */
		memset(text, 0, 64);
		text[0] = (char)(s->proto == IPPROTO_ICMP ? 8 : 128);
		text[7] = (char)d->requests[q->stream];
		n = 64;
		break;
	case LAB_VOID:
		if (s->proto == IPPROTO_TCP) { /* somebody took it after all: wait for the deadline */
			q->sent = true;
			return 0;
		}
		__attribute__((fallthrough)); /* a resolver that is gone */
	case LAB_DNS:
		q->id = ++d->next_id;
		name = s->query ? s->query : LAB_PAY_NAME;
		/* what is asked for is independent of what it is asked over: the pay host has only IPv4 */
		n = dns_query_make(q->id, name, strcmp(name, LAB_PAY_NAME) ? s->family : 4, msg);
		if (n < 0)
			return n;
		q->sent = true;
		return send(q->fd, msg, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -errno;
	default:
		n = snprintf(text, sizeof(text), "%s.requests:1|c", d->name);
	}
	q->sent = true;
	return send(q->fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -errno;
}

/* The right server said the right thing. */
static bool is_answer(const struct request *q, bool ended)
{
	const struct lab_stream *s = &lab_streams[q->stream];
	char want[64];

	switch (s->service) {
	case LAB_HTTP:
		snprintf(want, sizeof(want), "served by %s\n", s->server);
		return ended && !strncmp(q->in, "HTTP/1.0 200 ", 13) && strstr(q->in, want);
	case LAB_LINE:
		snprintf(want, sizeof(want), "OK %s ", s->server);
		return !strncmp(q->in, want, strlen(want)) && strchr(q->in, '\n');
	case LAB_DNS:
		return dns_answer_ok((const uint8_t *)q->in, q->len, q->id);
	case LAB_ECHO:
		return q->len >= 8 && (uint8_t)q->in[0] == (s->proto == IPPROTO_ICMP ? 0 : 129);
	default:
		return q->len > 0;
	}
}

static void on_readable(struct driver *d, struct request *q)
{
	ssize_t n = recv(q->fd, q->in + q->len, sizeof(q->in) - 1 - q->len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		q->len += (size_t)n;
		q->in[q->len] = '\0';
	}
	if (is_answer(q, n == 0))
		finish(d, q, true);
	else if (n <= 0 || q->len >= sizeof(q->in) - 1)
		finish(d, q, false);
}

static size_t turn(struct driver *d, int64_t until)
{
	struct pollfd p[REQUESTS_MAX];
	struct request *of[REQUESTS_MAX];
	int64_t now = work_now_ms();
	size_t n = 0, busy = 0;

	for (size_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *q = &d->req[i];

		if (q->fd < 0)
			continue;
		p[n] = (struct pollfd){ .fd = q->fd, .events = q->sent ? POLLIN : POLLOUT };
		of[n++] = q;
		until = q->deadline < until ? q->deadline : until;
	}
	(void)poll(p, (nfds_t)n, until > now ? (int)(until - now) : 0);
	now = work_now_ms();
	for (size_t i = 0; i < n; i++) {
		struct request *q = of[i];

		if (p[i].revents && !q->sent) {
			if (send_request(d, q) < 0)
				finish(d, q, false);
		} else if (p[i].revents) {
			on_readable(d, q);
		}
		if (q->fd >= 0 && now >= q->deadline)
			finish(d, q, false);
		busy += q->fd >= 0;
	}
	return busy;
}

static int report(const char *dir, const struct driver *d)
{
	auto_cleanup(buf_done) struct buf b = {};
	char file[64];
	const char *sep = "";

	buf_init(&b, 8192);
	for (size_t i = 0; i < lab_nstreams; i++) {
		if (strcmp(lab_streams[i].client, d->name))
			continue;
		buf_printf(&b, "%s{\"stream\":%zu,\"requests\":%llu,\"answered\":%llu}", sep, i,
			   (unsigned long long)d->requests[i], (unsigned long long)d->answered[i]);
		sep = ",";
	}
	if (b.err)
		return b.err;
	snprintf(file, sizeof(file), "drive-%s", d->name);
	return work_status(dir, file, "{\"name\":\"%s\",\"streams\":[%s]}\n", d->name, b.data ? b.data : "");
}

int work_drive(const char *dir, const char *name, uint32_t seconds)
{
	auto_free struct driver *d = calloc(1, sizeof(*d));
	auto_free uint64_t *requests = calloc(lab_nstreams, sizeof(*requests));
	auto_free uint64_t *answered = calloc(lab_nstreams, sizeof(*answered));
	int64_t start = work_now_ms(), next;
	uint64_t round = 0, rounds = (uint64_t)seconds * LAB_RATE;

	if (!d || !requests || !answered)
		return -ENOMEM;
	if (!lab_workload_by_name(name))
		return -ENOENT;
	d->name = name;
	d->requests = requests;
	d->answered = answered;
	d->next_id = (uint16_t)getpid();
	for (size_t i = 0; i < REQUESTS_MAX; i++)
		d->req[i].fd = -1;
	while (round < rounds) {
		next = start + (int64_t)(round * 1000 / LAB_RATE);
		if (work_now_ms() >= next) {
			for (size_t i = 0; i < lab_nstreams; i++)
				if (!strcmp(lab_streams[i].client, name))
					launch(d, i);
			round++;
			continue;
		}
		(void)turn(d, next);
	}
	while (turn(d, work_now_ms() + LAB_DEADLINE_MS))
		;
	return report(dir, d);
}
