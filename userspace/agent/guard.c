/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.c - the guard map: what is judged where, and the proof of it.
 *
 * Three things are looked at while the agent runs. A frame of our own goes into each hook and must be
 * counted there. The counters of both ends of a pair are compared: what the workload received and
 * the node's end never sent was handed past that end by another data path. And the packet sockets
 * of the node are watched, for a switch that takes frames from a device may start at any time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOG_UNIT "guard"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

#define PROBES 2u		/* frames each way in one round */
#define PROBE_WAIT_US 50000u	/* for a hook that runs behind a queue */
#define PROBE_JOBS 4u		/* started in one tick */
#define PASSED_LEAST 8u		/* packets: nothing is moved for a counter read between two changes */
#define PASSED_MAX 4096u
#define DEV_TEXT_MAX (4u << 20)

/* ---- packets handed past the node's end ----------------------------------------------------------- */

static bool is_passed(const struct agent *a, uint32_t ifindex)
{
	for (size_t i = 0; i < a->npassed; i++)
		if (a->passed[i] == ifindex)
			return true;
	return false;
}

static int passed_add(struct agent *a, uint32_t ifindex)
{
	uint32_t *v;

	if (is_passed(a, ifindex))
		return 0;
	if (a->npassed == PASSED_MAX) { /* of devices long gone, most of them */
		memmove(a->passed, a->passed + 1, (PASSED_MAX - 1) * sizeof(*a->passed));
		a->npassed--;
	}
	v = realloc(a->passed, (a->npassed + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	a->passed = v;
	a->passed[a->npassed++] = ifindex;
	return 0;
}

/* Judged inside by a former process, and from the workload on the node: it had seen packets pass. */
int agent_guard_standing(struct agent *a)
{
	for (size_t i = 0; i < a->nstanding; i++) {
		const struct hook *in = &a->standing[i];

		if (in->from_pod || in->netns == a->node_key.ino)
			continue;
		for (size_t k = 0; k < a->nstanding; k++) {
			const struct hook *out = &a->standing[k];

			if (out->ep == in->ep && out->from_pod && out->netns == a->node_key.ino &&
			    passed_add(a, out->ifindex))
				return -ENOMEM;
		}
	}
	return 0;
}

/* ---- one proof, on a worker --------------------------------------------------------------------------- */

struct probe_job {
	uv_work_t work;
	struct agent *a;
	uint32_t ep;
	uint64_t magic;
	struct cni_endpoint at;
	uint8_t up;
	char *netns;
	uint32_t sent[CNI_WAYS], seen[CNI_WAYS];
	uint64_t pod_rx, node_tx;
	bool counted;
};

struct probe_frame {
	uint8_t dst[6], src[6];
	__be16 type;
	uint64_t magic;
	uint8_t pad[38];
} __attribute__((packed));

struct send_arg { const struct probe_job *j; uint32_t ifindex; const char *iface; uint64_t rx, tx; bool counted; };

/* Its destination is its source: where the hook is missing a bridge keeps it, a stack ignores it. */
static int send_one(const struct probe_job *j, uint32_t ifindex)
{
	auto_close int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct probe_frame f = { .type = htons(CW_ETHERTYPE_PROBE), .magic = j->magic };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = 6,
				  .sll_protocol = htons(CW_ETHERTYPE_PROBE) };

	memcpy(f.dst, j->at.mac, 6);
	memcpy(f.src, j->at.mac, 6);
	memcpy(to.sll_addr, j->at.mac, 6);
	if (fd < 0)
		return -errno;
	if (sendto(fd, &f, sizeof(f), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) == sizeof(f))
		return 0;
	return errno == ENOBUFS ? 0 : -errno; /* dropped on its way out, by an egress hook as it should be */
}

/* Received and sent packets of a device of the calling thread's namespace. */
static bool dev_counters(const char *iface, uint64_t *rx, uint64_t *tx)
{
	auto_free char *text = NULL;
	size_t n, len = strlen(iface);

	if (read_all_path("/proc/thread-self/net/dev", DEV_TEXT_MAX, &text, &n))
		return false;
	for (const char *s = text; s; s = strchr(s, '\n')) {
		unsigned long long r, t;

		s += strspn(s, "\n ");
		if (strncmp(s, iface, len) || s[len] != ':')
			continue;
		if (sscanf(s + len + 1, "%*u %llu %*u %*u %*u %*u %*u %*u %*u %llu", &r, &t) != 2)
			return false;
		*rx = r;
		*tx = t;
		return true;
	}
	return false;
}

static int send_in(void *arg)
{
	struct send_arg *s = arg;

	return s->ifindex ? send_one(s->j, s->ifindex) : 0;
}

static int count_in(void *arg)
{
	struct send_arg *s = arg;

	s->counted = dev_counters(s->iface, &s->rx, &s->tx);
	return 0;
}

static uint32_t seen_since(const struct probe_job *j, enum cni_way way, uint64_t before, uint32_t want)
{
	uint64_t n;

	for (uint32_t us = 0;; us += 1000) {
		n = probe_map_read(j->a->maps, j->ep, way == CNI_FROM_POD) - before;
		if (n >= want || us >= PROBE_WAIT_US)
			return n > want ? want : (uint32_t)n;
		usleep(1000);
	}
}

static void probe_run(uv_work_t *wk)
{
	struct probe_job *j = wk->data;
	const struct cni_endpoint *at = &j->at;
	auto_close int pod = -1, node = -1;

	if (netns_open(j->netns, &pod) < 0 || netns_open_self(&node) < 0)
		return;
	for (int way = 0; way < CNI_WAYS; way++) {
		uint64_t before = probe_map_read(j->a->maps, j->ep, way == CNI_FROM_POD);
		/* To the workload only from the other end of its pair; nothing else leads there surely. */
		struct send_arg s = { .j = j, .ifindex = way == CNI_FROM_POD ? at->pod_ifindex : at->host_ifindex };

		if (!(j->up & 1u << way) || !s.ifindex)
			continue;
		for (unsigned i = 0; i < PROBES; i++)
			if (!netns_run(way == CNI_FROM_POD ? pod : node, send_in, &s))
				j->sent[way]++;
		if (j->sent[way])
			j->seen[way] = seen_since(j, way, before, j->sent[way]);
	}
	if (at->host_ifindex) {
		struct send_arg in = { .iface = at->iface }, out = { .iface = at->way[CNI_FROM_POD].iface };

		/* In this order: what is under way between the two looks speaks for the node's end. */
		if (!netns_run(pod, count_in, &in) && !netns_run(node, count_in, &out)) {
			j->counted = in.counted && out.counted;
			j->pod_rx = in.rx;
			j->node_tx = out.tx;
		}
	}
}

static void proof_take(struct agent *a, struct agent_wl *w, struct agent_ep *e, const struct probe_job *j)
{
	struct timespec t;
	bool was = true, is = true;

	for (int way = 0; way < CNI_WAYS; way++) {
		was &= e->proof[way].seen == e->proof[way].sent;
		is &= j->seen[way] == j->sent[way];
		e->proof[way].sent = j->sent[way];
		e->proof[way].seen = j->seen[way];
	}
	clock_gettime(CLOCK_REALTIME, &t);
	e->proof_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	if (was && !is) {
		log_warn(0, "a probe packet was not seen by its hook; workload='%s/%s' if='%s'", w->ns, w->name, e->at.iface);
		agent_note(a, "unproved", w, "%s: %u of %u probe packets from it and %u of %u to it were seen", e->at.iface,
			   j->seen[CNI_FROM_POD], j->sent[CNI_FROM_POD], j->seen[CNI_TO_POD], j->sent[CNI_TO_POD]);
	}
	if (j->counted && j->pod_rx >= j->node_tx + PASSED_LEAST && !is_passed(a, e->at.host_ifindex) &&
	    !passed_add(a, e->at.host_ifindex)) {
		agent_note(a, "passed", w, "%s: %llu packets came in that %s never sent: judged at the workload's end now",
			   e->at.iface, (unsigned long long)(j->pod_rx - j->node_tx), e->at.way[CNI_FROM_POD].iface);
		agent_scan(a, w);
	}
}

static void probe_done(uv_work_t *wk, int status)
{
	struct probe_job *j = wk->data;
	struct agent *a = j->a;
	struct agent_ep *e = a->ep_by_num[j->ep];

	/* The number may be another interface's by now, or its hooks others. */
	if (e && e->at.pod_ifindex == j->at.pod_ifindex && netns_key_same(&e->at.pod, &j->at.pod)) {
		e->probing = false;
		if (!status && !e->stale && !a->closing && e->up == j->up &&
		    cni_place_same(&e->at.way[0], &j->at.way[0]) && cni_place_same(&e->at.way[1], &j->at.way[1]))
			proof_take(a, a->wl_of_ep[j->ep], e, j);
	}
	free(j->netns);
	free(j);
	agent_job_done(a);
}

static int probe_start(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	struct probe_job *j = calloc(1, sizeof(*j));

	if (j)
		j->netns = strdup(w->netns);
	if (!j || !j->netns)
		goto fail;
	j->a = a;
	j->ep = e->ep;
	j->magic = a->probe_magic;
	j->at = e->at;
	j->up = e->up;
	j->work.data = j;
	if (uv_queue_work(a->loop, &j->work, probe_run, probe_done))
		goto fail;
	e->probing = true;
	a->jobs++;
	return 0;
fail:
	if (j)
		free(j->netns);
	free(j);
	return -ENOMEM;
}

/* ---- now and then -------------------------------------------------------------------------------------- */

static bool tap_hash(void *arg, uint64_t inode)
{
	*(uint64_t *)arg = hash_bytes(*(uint64_t *)arg, &inode, sizeof(inode));
	return false;
}

/* Somebody began, or ceased, to take frames: look again where they are to be judged. */
static void taps_watch(struct agent *a)
{
	auto_free char *text = NULL;
	auto_free struct cni_tap *taps = NULL;
	uint64_t h = 0;
	size_t n;

	if (read_all_path("/proc/thread-self/net/packet", DEV_TEXT_MAX, &text, &n) ||
	    cni_taps_parse(text, tap_hash, &h, &taps, &n))
		return;
	for (size_t i = 0; i < n; i++)
		h = hash_bytes(h, &taps[i].ifindex, sizeof(taps[i].ifindex));
	if (h == a->taps_hash)
		return;
	a->taps_hash = h;
	agent_links_changed(a, true);
}

void agent_guard_tick(struct agent *a)
{
	uint64_t now = agent_mono_ns(), gap = (uint64_t)a->cfg.probe_ms * 1000000u;
	unsigned jobs = 0;

	if (a->closing)
		return;
	taps_watch(a);
	if (!gap || agent_former_pending(a))
		return;
	for (uint32_t i = 1; i < a->room.eps && jobs < PROBE_JOBS; i++) {
		struct agent_ep *e = a->ep_by_num[i];
		struct agent_wl *w = a->wl_of_ep[i];

		/* An endpoint that is not resolved and left open has no entry that could count. */
		if (!e || e->stale || e->busy || e->probing || !agent_ep_up(e) || w->gone ||
		    (!w->wl && !a->cfg.closed) || now < e->probe_at)
			continue;
		/* Not all at once: the numbers spread the rounds over the period. */
		e->probe_at = e->probe_at ? now + gap : now + gap / 8 + gap * (i % 64) / 64;
		jobs += !probe_start(a, w, e);
	}
}

/* ---- the map ------------------------------------------------------------------------------------------------ */

/* The words that people and the wire know; a combination that is none of them is none. */
static const char *hook_word(const char *s)
{
	for (size_t i = 0; i < NODE_GUARD_HOOKS; i++)
		if (!strcmp(s, node_guard_hooks[i]))
			return node_guard_hooks[i];
	return "-";
}

static void way_of(const struct agent_ep *e, enum cni_way way, struct node_guard_way *g)
{
	const struct cni_place *p = &e->at.way[way];
	bool up = e->up & 1u << way;
	enum cni_guard state = up ? p->guard : CNI_BLIND;
	char where[64];

	g->sent = e->proof[way].sent;
	g->seen = e->proof[way].seen;
	agent_ep_where_one(e, way, where, sizeof(where));
	g->hook = hook_word(where);
	if (up && g->seen < g->sent) {
		state = CNI_BLIND;
		snprintf(g->reason, sizeof(g->reason), "%u of %u probe packets were not seen", g->sent - g->seen, g->sent);
	} else if (!up) {
		snprintf(g->reason, sizeof(g->reason), "%s", e->err ? strerror(-e->err) : p->text ? p->text : "being attached");
	} else if (p->text) {
		snprintf(g->reason, sizeof(g->reason), "%s", p->text);
	} else {
		snprintf(g->reason, sizeof(g->reason), "%s", "attached and checked");
	}
	g->state = cni_guard_str(state);
}

static int guard_rank(const char *state)
{
	return !strcmp(state, "guarded") ? 0 : !strcmp(state, "bypassable") ? 1 : 2;
}

int agent_guards(void *node, int (*fn)(void *arg, const struct node_guard *g), void *arg)
{
	struct agent *a = node;

	for (size_t i = 0; i < a->nwls; i++) {
		const struct agent_wl *w = a->wls[i];

		for (size_t k = 0; k < w->neps; k++) {
			const struct agent_ep *e = w->eps[k];
			struct node_guard g = { .start_gap_ns = e->gap_ns, .proof_ns = e->proof_ns };
			const struct node_guard_way *worst;
			char where[64];
			int r;

			if (e->stale || w->gone)
				continue;
			g.ifindex = e->at.way[CNI_TO_POD].ifindex;
			snprintf(g.workload, sizeof(g.workload), "%s/pod/%s", w->ns, w->name);
			snprintf(g.iface, sizeof(g.iface), "%s", e->at.iface);
			snprintf(g.wiring, sizeof(g.wiring), "%s", e->at.wiring);
			agent_ep_where(e, where, sizeof(where));
			g.hook = agent_ep_up(e) ? hook_word(where) : "-";
			for (int way = 0; way < CNI_WAYS; way++)
				way_of(e, way, &g.way[way]);
			worst = &g.way[guard_rank(g.way[CNI_FROM_POD].state) >= guard_rank(g.way[CNI_TO_POD].state) ?
				       CNI_FROM_POD : CNI_TO_POD];
			/* Where both are guarded, what is unusual about one is worth telling. */
			if (!guard_rank(worst->state) && e->at.way[CNI_TO_POD].text)
				worst = &g.way[CNI_TO_POD];
			g.state = worst->state;
			snprintf(g.reason, sizeof(g.reason), "%s", worst->reason);
			r = fn(arg, &g);
			if (r)
				return r;
		}
	}
	return 0;
}
