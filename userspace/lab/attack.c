/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack.c - the workload that has been taken over: it logs in to the database with stolen words,
 * scans every neighbour's ports over both families, and claims to be somebody else.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "lab/plan.h"
#include "lab/probe.h"
#include "lab/work.h"

#define DB_TRIES 6	  /* three for each family */
#define DB_WAIT_MS 400	  /* for each step of a try */
#define BURST 32u	  /* probes sent without a pause */
#define BURST_PAUSE_MS 10 /* keeps the victims' capture far from its limit */
#define VICTIM_DB 4	  /* in lab_workloads */
#define VICTIM_DNS 6

struct raw {
	int v4, v6;
};

static int wait_for(int fd, short what)
{
	struct pollfd p = { .fd = fd, .events = what };

	return poll(&p, 1, DB_WAIT_MS) == 1 ? 0 : -ETIMEDOUT;
}

/* One login; true when the database answered. */
static bool try_db(int family)
{
	const struct lab_workload *db = &lab_workloads[VICTIM_DB];
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(db->ports[0].port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(db->ports[0].port) };
	auto_close int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct sockaddr *to = family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
	static const char login[] = "select * from cards\n";
	char answer[64];

	inet_pton(AF_INET, db->v4, &in.sin_addr);
	inet_pton(AF_INET6, db->v6, &in6.sin6_addr);
	if (fd < 0 || (connect(fd, to, family == AF_INET ? sizeof(in) : sizeof(in6)) && errno != EINPROGRESS))
		return false;
	if (wait_for(fd, POLLOUT) < 0 || send(fd, login, sizeof(login) - 1, MSG_NOSIGNAL) < 0)
		return false;
	return wait_for(fd, POLLIN) == 0 && recv(fd, answer, sizeof(answer), 0) > 0;
}

static int raw_open(struct raw *r)
{
	int on = 1;

	r->v4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	r->v6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (r->v4 < 0 || r->v6 < 0 || setsockopt(r->v4, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) ||
	    setsockopt(r->v6, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof(on)))
		return -errno;
	return 0;
}

static void raw_close(struct raw *r)
{
	if (r->v4 >= 0)
		close(r->v4);
	if (r->v6 >= 0)
		close(r->v6);
}

/* Sent or refused on the spot: either way the attacker has done what it could. */
static void raw_send(const struct raw *r, enum probe_kind kind, const struct addr *src, const struct addr *dst,
		     uint16_t sport, uint16_t dport)
{
	uint8_t p[PROBE_LEN_MAX];
	size_t n = probe_make(kind, src, dst, sport, dport, p);
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (addr_is_v4(dst)) {
		memcpy(&in.sin_addr, dst->b + 12, 4);
		(void)!sendto(r->v4, p, n, 0, (struct sockaddr *)&in, sizeof(in));
	} else {
		memcpy(&in6.sin6_addr, dst->b, 16);
		(void)!sendto(r->v6, p, n, 0, (struct sockaddr *)&in6, sizeof(in6));
	}
}

static void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Every other workload by both addresses in turn, then the next port. */
static void scan(const struct raw *r, uint32_t probes, int64_t end)
{
	const struct lab_workload *me = &lab_workloads[LAB_ATTACKER];
	struct addr own[2], to[LAB_ATTACKER][2];

	addr_parse(me->v4, &own[0]);
	addr_parse(me->v6, &own[1]);
	for (size_t i = 0; i < LAB_ATTACKER; i++) {
		addr_parse(lab_workloads[i].v4, &to[i][0]);
		addr_parse(lab_workloads[i].v6, &to[i][1]);
	}
	for (uint32_t k = 0; k < probes; k++) {
		uint32_t t = k % (LAB_ATTACKER * 2), port = k / (LAB_ATTACKER * 2);

		raw_send(r, PROBE_SCAN, &own[t % 2], &to[t / 2][t % 2], (uint16_t)(40000 + k % 20000),
			 (uint16_t)(1 + port % 65535));
		/* late in its time it stops pausing: the count is a promise, the pace is not */
		if (k % BURST == BURST - 1 && work_now_ms() < end)
			pause_ms(BURST_PAUSE_MS);
	}
}

/* As the shop, which may speak to the database, and as a customer from outside. */
static void forge(const struct raw *r, uint32_t forged)
{
	static const char *const claims[] = { "10.20.1.21", "fd00:20:0:1::11", LAB_CLIENT_V4, "2001:db8:51::7" };

	for (uint32_t k = 0; k < forged; k++) {
		size_t c = k % ARRAY_SIZE(claims);
		const struct lab_workload *victim = &lab_workloads[k / 4 % 2 ? VICTIM_DNS : VICTIM_DB];
		struct addr src, dst;

		addr_parse(claims[c], &src);
		addr_parse(c % 2 ? victim->v6 : victim->v4, &dst);
		raw_send(r, PROBE_FORGED, &src, &dst, (uint16_t)(50000 + k % 10000), 5432);
		if (k % BURST == BURST - 1)
			pause_ms(BURST_PAUSE_MS);
	}
}

int work_attack(const char *dir, uint32_t seconds, uint32_t probes, uint32_t forged)
{
	int64_t end = work_now_ms() + (int64_t)seconds * 1000;
	auto_cleanup(raw_close) struct raw r = { -1, -1 };
	int err = raw_open(&r), answered = 0;

	if (err < 0)
		return err;
	for (int i = 0; i < DB_TRIES; i++)
		answered += try_db(i % 2 ? AF_INET6 : AF_INET);
	forge(&r, forged);
	scan(&r, probes, end);
	pause_ms(200); /* the last packets are on their way */
	return work_status(dir, "attack", "{\"dbTries\":%d,\"dbAnswered\":%d,\"probes\":%u,\"forged\":%u}\n",
			   DB_TRIES, answered, probes, forged);
}
