/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - a look into a workload's namespace: its interfaces, addresses, and what stands open. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LOG_UNIT "attach"
#include "agent/cni.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"

struct scan_job {
	uv_work_t work;
	struct agent *a;
	struct agent_wl *w;
	char *netns, *confdir;
	uint32_t *passed;
	size_t npassed;
	struct netns_key node;
	struct link_table pod, host;
	struct cni_endpoints found;
	struct netns_key key;
	int32_t nsid;		/* the node's number for it; -1: none */
	bool first;		/* nobody looked in before */
	struct seed *seed;
	int r;
};

static void scan_free(struct scan_job *j)
{
	if (!j)
		return;
	free(j->netns);
	free(j->confdir);
	free(j->passed);
	free(j);
}

/* What the worker looks at beside the links; copied, as the loop goes on. */
static int scan_facts(const struct agent *a, struct scan_job *j)
{
	if (a->cni_conf_dir && !(j->confdir = strdup(a->cni_conf_dir)))
		return -ENOMEM;
	if (!a->npassed)
		return 0;
	j->passed = calloc(a->npassed, sizeof(*j->passed));
	if (!j->passed)
		return -ENOMEM;
	memcpy(j->passed, a->passed, a->npassed * sizeof(*j->passed));
	j->npassed = a->npassed;
	return 0;
}

/* Flows and listeners that stand: read here, as the attachment that follows takes longer. */
static void scan_seed(struct scan_job *j, int fd)
{
	struct { struct addr *v; size_t n, cap; } own = { };

	for (size_t i = 0; i < j->pod.n; i++)
		for (size_t k = 0; k < j->pod.v[i].naddrs; k++)
			if (vec_push(&own, j->pod.v[i].addrs[k].addr))
				break; /* fewer flows are known */
	j->seed = agent_seed_read(fd, own.v, own.n, true);
	vec_done(&own);
}

static void scan_run(uv_work_t *wk)
{
	struct scan_job *j = wk->data;
	struct link_table tables[2];
	auto_close int fd = -1, self = -1, conf = -1;
	auto_free struct cni_tap *taps = NULL;
	struct cni_query q = { .tables = tables, .ntables = 2, .passed = j->passed, .npassed = j->npassed };

	j->r = netns_open(j->netns, &fd);
	if (!j->r)
		j->r = netns_open_self(&self);
	if (!j->r)
		j->r = netns_key(fd, &j->key);
	if (!j->r)
		j->r = link_table_fill(fd, &j->pod);
	if (!j->r)
		j->r = link_table_fill(self, &j->host);
	if (j->r)
		return;
	/* A namespace without a number for the other gives no peer; then the pod side is left. */
	if (link_nsid_ask(self, fd, &j->nsid) || link_table_set_nsid(&j->host, j->nsid, &j->key))
		j->nsid = -1;
	(void)link_table_learn(&j->pod, fd, self);
	q.workload = j->key;
	q.node = j->node;
	tables[0] = j->pod;
	tables[1] = j->host;
	/* Unknown taps are none: a switch that is there all the same is found at the next look. */
	if (!cni_taps_read(&taps, &q.ntaps))
		q.taps = taps;
	if (j->confdir)
		conf = open(j->confdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	j->r = cni_adapter_pick(conf)->resolve(&q, &j->found);
	if (j->first)
		scan_seed(j, fd);
}

static bool is_link_local(const struct link_addr *la)
{
	return la->v6 && la->addr.b[0] == 0xfe && (la->addr.b[1] & 0xc0) == 0x80;
}

/* Addresses as found inside: link-local ones to the endpoint, the rest reported up. */
static void take_addresses(struct agent *a, struct agent_wl *w, const struct link_table *t)
{
	struct { struct addr *v; size_t n, cap; } all = { };

	for (size_t i = 0; i < t->n; i++) {
		const struct link *l = &t->v[i];
		struct agent_ep *e = NULL;

		if (l->flags & 0x8) /* IFF_LOOPBACK */
			continue;
		for (size_t k = 0; k < w->neps; k++)
			if (w->eps[k]->at.pod_ifindex == l->ifindex && !w->eps[k]->stale)
				e = w->eps[k];
		if (e)
			e->nlocal = 0;
		for (size_t k = 0; k < l->naddrs; k++) {
			if (!is_link_local(&l->addrs[k])) {
				if (vec_push(&all, l->addrs[k].addr))
					goto out;
			} else if (e && e->nlocal < ARRAY_SIZE(e->local)) {
				e->local[e->nlocal++] = l->addrs[k].addr;
			}
		}
		if (e && e->ep)
			agent_ep_local(a, w, e);
	}
	if (all.n != w->naddrs || (all.n && memcmp(all.v, w->addrs, all.n * sizeof(*all.v)))) {
		free(w->addrs);
		w->addrs = all.v;
		w->naddrs = all.n;
		if (a->sink && a->sink->addresses)
			a->sink->addresses(a->sink_arg, w->ns, w->name, w->addrs, w->naddrs);
		return;
	}
out:
	vec_done(&all);
}

/* The same pair of devices, wherever it is judged. */
static bool same_device(const struct cni_endpoint *x, const struct cni_endpoint *y)
{
	return x->pod_ifindex == y->pod_ifindex && x->host_ifindex == y->host_ifindex &&
	       cni_endpoint_hooked(x) == cni_endpoint_hooked(y) && netns_key_same(&x->pod, &y->pod);
}

static void take_endpoints(struct agent *a, struct agent_wl *w, const struct cni_endpoints *found)
{
	for (size_t k = w->neps; k-- > 0;) {
		bool there = false;

		for (size_t i = 0; i < found->n; i++)
			there |= same_device(&found->v[i], &w->eps[k]->at);
		if (!there)
			agent_ep_detach(a, w, w->eps[k]);
	}
	for (size_t i = 0; i < found->n; i++) {
		const struct cni_endpoint *at = &found->v[i];
		struct agent_ep *e = NULL, **v;

		for (size_t k = 0; k < w->neps; k++)
			if (!w->eps[k]->stale && same_device(at, &w->eps[k]->at))
				e = w->eps[k];
		if (!e) {
			e = calloc(1, sizeof(*e));
			v = e ? realloc(w->eps, (w->neps + 1) * sizeof(*v)) : NULL;
			if (!v) {
				free(e);
				log_err(-ENOMEM, "cannot take an interface; workload='%s/%s'", w->ns, w->name);
				return;
			}
			w->eps = v;
			w->eps[w->neps++] = e;
			e->gap_ns = -1;
			e->seen_ns = agent_mono_ns();
			e->at = *at;
			if (!cni_endpoint_hooked(at)) {
				const char *why = at->way[CNI_TO_POD].text;

				agent_note(a, "blind", w, "%s: %s", at->iface, why ? why : "no hook");
				continue;
			}
			e->ep = agent_ep_alloc(a, w, e);
			if (!e->ep) {
				e->err = -ENOSPC;
				agent_note(a, "attach-failed", w, "%s: all %u endpoint numbers are in use",
					   at->iface, a->room.eps - 1);
				continue;
			}
		}
		agent_ep_move(a, w, e, at); /* the name or the MAC may have changed, too */
		if (!e->ep)
			continue;
		agent_ep_write(a, w, e);
		if (!agent_ep_up(e))
			agent_ep_attach(a, w, e);
	}
}

static void scan_done(uv_work_t *wk, int status)
{
	struct scan_job *j = wk->data;
	struct agent *a = j->a;
	struct agent_wl *w = j->w;

	w->scanning = false;
	w->scanned = true;
	w->scans++;
	if (status)
		j->r = status;
	if (!w->gone && !a->closing) {
		if (!j->r) {
			w->key = j->key;
			w->nsid = j->nsid;
			if (!w->seeded && !w->seed)
				w->seed = take_ptr(j->seed);
			agent_wl_seed(a, w);
			take_endpoints(a, w, &j->found);
			take_addresses(a, w, &j->pod);
		} else if (j->r == -ENOENT || j->r == -ESRCH) {
			/* The namespace is gone, and with it every interface. */
			for (size_t k = w->neps; k-- > 0;)
				agent_ep_detach(a, w, w->eps[k]);
		} else if (j->r != -EAGAIN) {
			log_warn(j->r, "cannot look into a workload, retrying; workload='%s/%s'", w->ns, w->name);
		}
		if (w->again || j->r == -EAGAIN || j->pod.torn) {
			w->again = j->r == -EAGAIN; /* the repair timer asks again */
			if (!w->again)
				agent_scan(a, w);
		}
	}
	if (agent_cni_left(a, w))
		w->gone = true;
	agent_cni_kick(a);
	link_table_done(&j->pod);
	link_table_done(&j->host);
	agent_seed_free(j->seed);
	scan_free(j);
	agent_wl_drop_if_empty(a, w);
	agent_job_done(a);
}

void agent_scan(struct agent *a, struct agent_wl *w)
{
	struct scan_job *j;

	if (w->scanning) {
		w->again = true;
		return;
	}
	w->again = false;
	if (a->closing || w->gone)
		return;
	j = calloc(1, sizeof(*j));
	if (j)
		j->netns = strdup(w->netns);
	if (!j || !j->netns || scan_facts(a, j)) {
		scan_free(j);
		return; /* the repair timer comes again */
	}
	j->a = a;
	j->w = w;
	j->node = a->node_key;
	j->first = !w->seeded && !w->seed;
	j->nsid = -1;
	j->work.data = j;
	if (uv_queue_work(a->loop, &j->work, scan_run, scan_done)) {
		scan_free(j);
		return;
	}
	w->scanning = true;
	a->jobs++;
}
