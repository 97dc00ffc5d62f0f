/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seed.c - flows and listeners that stood before the attachment: from the kernel's connection
 * table where it has them, from the workload's own sockets where it has not. Seeded flows are
 * not judged yet; they only tell the direction of what comes.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define LOG_UNIT "seed"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"
#include "net/conntrack.h"
#include "net/sockdiag.h"

#define SEED_SOCKETS_MAX 65536u
#define SEED_ENTRIES_MAX 262144u

/* What stood in a workload when it was looked into. */
struct seed {
	struct addr *addrs;	/* the workload's own */
	size_t naddrs;
	struct { struct sockdiag_socket *v; size_t n, cap; } socks;
	struct { struct conntrack_entry *v; size_t n, cap; } conns;
};

static int take_socket(void *arg, const struct sockdiag_socket *s)
{
	struct seed *j = arg;

	return vec_push(&j->socks, *s) ? -ENOMEM : 0;
}

static bool is_own(const struct seed *j, const struct addr *a)
{
	for (size_t i = 0; i < j->naddrs; i++)
		if (!addr_cmp(&j->addrs[i], a))
			return true;
	return false;
}

static int take_conn(void *arg, const struct conntrack_entry *e)
{
	struct seed *j = arg;

	/* The source side sees the original tuple; the backend of a translated one the inverted
	 * reply. Others have nothing to do with this workload. */
	if (!is_own(j, &e->orig.src) && !is_own(j, &e->reply.src))
		return 0;
	return vec_push(&j->conns, *e) ? -ENOMEM : 0;
}

void agent_seed_free(struct seed *s)
{
	if (!s)
		return;
	vec_done(&s->socks);
	vec_done(&s->conns);
	free(s->addrs);
	free(s);
}

struct seed *agent_seed_read(int netns_fd, const struct addr *addrs, size_t naddrs, bool flows)
{
	struct seed *s = calloc(1, sizeof(*s));

	if (s && naddrs)
		s->addrs = malloc(naddrs * sizeof(*addrs));
	if (!s || (naddrs && !s->addrs)) {
		agent_seed_free(s);
		return NULL;
	}
	if (naddrs)
		memcpy(s->addrs, addrs, naddrs * sizeof(*addrs));
	s->naddrs = naddrs;
	/* Any table may be missing, empty, or partly read: then less is known, nothing is wrong. */
	(void)sockdiag_dump(netns_fd, SOCKDIAG_ANY, SEED_SOCKETS_MAX, take_socket, s, NULL);
	if (flows) {
		(void)conntrack_dump(-1, SEED_ENTRIES_MAX, take_conn, s, NULL);
		(void)conntrack_dump(netns_fd, SEED_ENTRIES_MAX, take_conn, s, NULL);
	}
	return s;
}

static void put_flow(struct agent *a, const struct addr *src, const struct addr *dst, uint16_t sport,
		     uint16_t dport, uint8_t proto, bool answered, const struct maps_clock *c)
{
	struct flow_row r = {
		.a = *src, .b = *dst, .pa = sport, .pb = dport, .proto = proto, .v6 = !addr_is_v4(src),
		.flow = {
			.seen = (uint32_t)c->jiffies, .born = (uint32_t)c->jiffies,
			.state = answered ? CW_FLOW_OPEN : CW_FLOW_NEW,
			.flags = CW_FLOW_F_SEEDED | (answered ? CW_FLOW_F_ANSWERED : 0),
		},
	};

	(void)flow_map_seed(a->maps, &r); /* a flow that stands already knows better */
}

static bool listens(const struct seed *j, uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < j->socks.n; i++)
		if (sockdiag_listens(&j->socks.v[i]) && j->socks.v[i].proto == proto && j->socks.v[i].lport == port)
			return true;
	return false;
}

static void seed_flows(struct agent *a, const struct seed *j, const struct maps_clock *c)
{
	for (size_t i = 0; i < j->conns.n; i++) {
		const struct conntrack_entry *e = &j->conns.v[i];
		bool tcp = e->proto == IPPROTO_TCP;

		if (tcp && e->tcp_state != 3) /* TCP_CONNTRACK_ESTABLISHED */
			continue;
		if (!tcp && e->proto != IPPROTO_UDP)
			continue;
		if (is_own(j, &e->orig.src))
			put_flow(a, &e->orig.src, &e->orig.dst, e->orig.sport, e->orig.dport, e->proto,
				 conntrack_answered(e), c);
		if (is_own(j, &e->reply.src))
			put_flow(a, &e->reply.dst, &e->reply.src, e->reply.dport, e->reply.sport, e->proto,
				 conntrack_answered(e), c);
	}
	for (size_t i = 0; i < j->socks.n; i++) {
		const struct sockdiag_socket *s = &j->socks.v[i];
		bool tcp = s->proto == IPPROTO_TCP;

		if (sockdiag_listens(s) || (tcp && s->state != TCP_ESTABLISHED) || !s->rport ||
		    addr_is_v4(&s->local) != addr_is_v4(&s->remote) || !is_own(j, &s->local))
			continue;
		/* Accepted by a listener: the remote end opened it. */
		if (listens(j, s->proto, s->lport))
			put_flow(a, &s->remote, &s->local, s->rport, s->lport, s->proto, tcp, c);
		else
			put_flow(a, &s->local, &s->remote, s->lport, s->rport, s->proto, tcp, c);
	}
}

void agent_seed_apply(struct agent *a, uint32_t wl, const struct seed *s, bool flows)
{
	struct maps_clock c;

	(void)listen_map_clear(a->maps, wl);
	for (size_t i = 0; i < s->socks.n; i++)
		for (int v6 = 0; v6 < 2; v6++)
			if (sockdiag_takes(&s->socks.v[i], v6))
				/* A full table only costs directions of flows picked up in mid-stream. */
				(void)listen_map_set(a->maps, wl, s->socks.v[i].proto, v6, s->socks.v[i].lport);
	if (flows && !maps_clock(a->maps, loader_set_prog_fd(a->set, "cw_now"), a->hz, &c))
		seed_flows(a, s, &c);
}

/* ---- listeners, again and again --------------------------------------------------------------- */

struct seed_job {
	uv_work_t work;
	struct agent *a;
	uint32_t wl;
	char *netns;
	struct seed *seed;
};

static void seed_run(uv_work_t *w)
{
	struct seed_job *j = w->data;
	auto_close int fd = -1;

	if (!netns_open(j->netns, &fd))
		j->seed = agent_seed_read(fd, NULL, 0, false);
}

static void seed_done(uv_work_t *w, int status)
{
	struct seed_job *j = w->data;
	struct agent *a = j->a;

	if (!status && j->seed && !a->closing && htab_get_u64(a->by_num, j->wl))
		agent_seed_apply(a, j->wl, j->seed, false);
	agent_seed_free(j->seed);
	free(j->netns);
	free(j);
	agent_job_done(a);
}

static void start(struct agent *a, struct agent_wl *w)
{
	struct seed_job *j;

	if (a->closing || !w->wl || !w->netns)
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return;
	j->a = a;
	j->wl = w->wl;
	j->work.data = j;
	j->netns = strdup(w->netns);
	if (!j->netns || uv_queue_work(a->loop, &j->work, seed_run, seed_done)) {
		free(j->netns);
		free(j);
		return;
	}
	a->jobs++;
}

/* Listeners come and go; flows picked up in mid-stream are told by them. */
void agent_listeners(struct agent *a)
{
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->gone)
			start(a, a->wls[i]);
}
