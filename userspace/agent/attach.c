/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c - workloads to guarded interfaces: scan the namespace, pick the hooks, attach, and
 * put back what somebody removed. Scans and attachments run on the worker pool.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "attach"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"

#define HOOK_UP_BOTH 3u

/* ---- workloads ------------------------------------------------------------------------------ */

struct agent_wl *agent_wl_find(struct agent *a, const char *ns, const char *name)
{
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->gone && !strcmp(a->wls[i]->ns, ns) && !strcmp(a->wls[i]->name, name))
			return a->wls[i];
	return NULL;
}

void agent_wl_free(struct agent_wl *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->neps; i++)
		free(w->eps[i]);
	free(w->eps);
	free(w->ns);
	free(w->name);
	free(w->uid);
	free(w->netns);
	free(w->addrs);
	agent_seed_free(w->seed);
	free(w);
}

static void hook_of(const struct agent_wl *w, const struct agent_ep *e, enum hook_dir dir, struct hook *ret)
{
	bool ingress_is_from_pod = cni_from_pod_is_ingress(&e->at);
	/* Names may be longer than a pin's key: the hash keeps keys apart. */
	uint64_t h = hash_bytes(0, w->name, strlen(w->name)) ^ hash_bytes(1, w->ns, strlen(w->ns));

	memset(ret, 0, sizeof(*ret));
	if (snprintf(ret->key, sizeof(ret->key), "%s/%s/%s", w->ns, w->name, e->at.iface) >=
	    (int)sizeof(ret->key))
		snprintf(ret->key, sizeof(ret->key), "%016" PRIx64 "/%.32s", h, e->at.iface);
	ret->netns = e->at.netns.ino;
	ret->ifindex = e->at.ifindex;
	ret->ep = e->ep;
	ret->dir = dir;
	ret->from_pod = (dir == HOOK_INGRESS) == ingress_is_from_pod;
	ret->closed = w->a->cfg.closed;
}

/* The namespace the hook's device is in, opened for one job. */
static int hook_netns(const struct agent_wl *w, const struct agent_ep *e)
{
	int fd = -1;

	if (e->at.side == CNI_SIDE_POD)
		return netns_open(w->netns, &fd) < 0 ? -1 : fd;
	return netns_open_self(&fd) < 0 ? -1 : fd;
}

/* ---- endpoint table ---------------------------------------------------------------------------- */

static void ep_write(struct agent *a, const struct agent_wl *w, const struct agent_ep *e)
{
	static const uint8_t no_mac[6];
	struct cw_ep v = {
		.wl = w->wl, .group = w->group, .eid = w->eid, .ifindex = e->at.ifindex,
		.flags = CW_EP_ATTACHED | (e->at.side == CNI_SIDE_POD ? CW_EP_POD_SIDE : 0),
	};
	int r;

	memcpy(v.mac, e->at.mac, 6);
	if (!memcmp(v.mac, no_mac, 6))
		v.flags |= CW_EP_NO_MAC;
	/* Without a number it is not resolved yet: open means no verdict, closed means names only. */
	if (!v.wl && !a->cfg.closed)
		r = ep_map_clear(a->maps, e->ep);
	else {
		if (!v.wl) {
			v.wl = UINT32_MAX; /* owns nothing */
			v.flags |= CW_EP_CLOSED;
		}
		r = ep_map_set(a->maps, e->ep, &v);
	}
	if (r < 0)
		log_err(r, "cannot write endpoint; ep=%u workload='%s/%s'", e->ep, w->ns, w->name);
}

/* Link-local addresses are the endpoint's own; the rest comes with the policy. */
static void ep_publish_local(struct agent *a, const struct agent_wl *w, const struct agent_ep *e)
{
	for (size_t i = 0; i < e->nlocal; i++) {
		struct cw_addr v = { .eid = w->eid, .group = w->group, .wl = w->wl, .realm = CW_REALM_POD };
		int r = w->wl ? addr_map_set(a->maps, 0, &e->local[i], &v) :
				addr_map_del(a->maps, 0, &e->local[i]);

		if (r < 0)
			log_warn(r, "cannot publish a link-local address; workload='%s/%s'", w->ns, w->name);
	}
}

/* What stood before the attachment, before its first packet is judged. */
static void seed_once(struct agent *a, struct agent_wl *w)
{
	if (!w->wl || w->seeded || !w->seed)
		return;
	w->seeded = true;
	agent_seed_apply(a, w->wl, w->seed, true);
	agent_seed_free(take_ptr(w->seed));
}

void agent_wl_publish(struct agent *a, struct agent_wl *w)
{
	seed_once(a, w);
	for (size_t i = 0; i < w->neps; i++) {
		if (!w->eps[i]->ep)
			continue;
		/* Addresses before the endpoint when it appears, after it when it goes. */
		if (w->wl)
			ep_publish_local(a, w, w->eps[i]);
		ep_write(a, w, w->eps[i]);
		if (!w->wl)
			ep_publish_local(a, w, w->eps[i]);
	}
}

/* The number that a standing stub of this interface carries, if a former process left one. */
static uint32_t ep_standing(const struct agent *a, const struct agent_wl *w, const struct agent_ep *e)
{
	struct hook mine;

	hook_of(w, e, HOOK_INGRESS, &mine);
	for (size_t i = 0; i < a->nstanding; i++)
		if (!strcmp(mine.key, a->standing[i].key) && mine.ifindex == a->standing[i].ifindex &&
		    mine.netns == a->standing[i].netns)
			return a->standing[i].ep;
	return 0;
}

static bool ep_free(const struct agent *a, uint32_t n)
{
	for (size_t i = 0; i < a->nstanding; i++)
		if (a->standing[i].ep == n)
			return false;
	return !a->ep_by_num[n];
}

static uint32_t ep_alloc(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	uint32_t n = ep_standing(a, w, e);

	if (!n)
		for (n = 1; n < a->room.eps && !ep_free(a, n); n++)
			;
	if (n >= a->room.eps || a->ep_by_num[n])
		return 0;
	a->ep_by_num[n] = e;
	a->wl_of_ep[n] = w;
	return n;
}

static void ep_release(struct agent *a, struct agent_ep *e)
{
	if (!e->ep)
		return;
	(void)ep_map_clear(a->maps, e->ep); /* a zeroed entry is "no endpoint" */
	for (size_t i = 0; i < e->nlocal; i++)
		(void)addr_map_del(a->maps, 0, &e->local[i]);
	a->ep_by_num[e->ep] = NULL;
	a->wl_of_ep[e->ep] = NULL;
	e->ep = 0;
}

/* ---- hooks --------------------------------------------------------------------------------------- */

static struct agent_ep *ep_of(struct agent *a, const struct hook *h, struct agent_wl **ret)
{
	if (!h->ep || h->ep >= a->room.eps || !a->ep_by_num[h->ep])
		return NULL;
	*ret = a->wl_of_ep[h->ep];
	return a->ep_by_num[h->ep];
}

static void ep_drop(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	for (size_t i = 0; i < w->neps; i++)
		if (w->eps[i] == e) {
			w->eps[i] = w->eps[--w->neps];
			break;
		}
	ep_release(a, e);
	free(e);
}

static void wl_drop_if_empty(struct agent *a, struct agent_wl *w)
{
	if (!w->gone || w->neps || w->scanning)
		return;
	if (w->wl)
		(void)htab_del_u64(a->by_num, w->wl);
	for (size_t i = 0; i < a->nwls; i++)
		if (a->wls[i] == w)
			a->wls[i] = a->wls[--a->nwls];
	agent_wl_free(w);
	agent_share(a);
}

static void on_attached(void *arg, const struct hook *h, int r, const struct hook_state *st)
{
	struct agent *a = arg;
	struct agent_wl *w = NULL;
	struct agent_ep *e = ep_of(a, h, &w);

	if (e) {
		e->busy--;
		e->err = r;
		if (!r) {
			e->up |= (uint8_t)(1u << h->dir);
			e->kind = st->kind;
			if (e->up == HOOK_UP_BOTH && e->gap_ns < 0)
				e->gap_ns = st->adopted ? 0 : (int64_t)(agent_mono_ns() - e->seen_ns);
			if (e->up == HOOK_UP_BOTH && !st->adopted)
				agent_note(a, "attached", w, "%s %s, %s, gap %.1f ms", e->at.iface,
					   cni_side_str(e->at.side), st->kind == HOOK_KIND_TCX ? "tcx" : "clsact",
					   (double)e->gap_ns / 1e6);
		} else if (r != -ENODEV) {
			log_err(r, "cannot attach; workload='%s/%s' if='%s'", w->ns, w->name, e->at.iface);
			agent_note(a, "attach-failed", w, "%s: %s", e->at.iface, strerror(-r));
		}
	}
	agent_job_done(a);
}

static void on_detached(void *arg, const struct hook *h, int r, const struct hook_state *st)
{
	struct agent *a = arg;
	struct agent_wl *w = NULL;
	struct agent_ep *e = ep_of(a, h, &w);

	(void)st;
	if (r < 0 && r != -ENODEV)
		log_warn(r, "cannot detach; key='%s'", h->key);
	if (e && e->stale) {
		e->busy--;
		e->up &= (uint8_t)~(1u << h->dir);
		if (!e->busy) {
			ep_drop(a, w, e);
			wl_drop_if_empty(a, w);
		}
	}
	agent_job_done(a);
}

static void ep_attach(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	auto_close int fd = hook_netns(w, e);

	if (e->stale || e->busy || a->closing)
		return;
	if (fd < 0) {
		e->err = -ENOENT;
		return;
	}
	for (int d = HOOK_INGRESS; d <= HOOK_EGRESS; d++) {
		struct hook h;
		int r;

		hook_of(w, e, d, &h);
		r = hooks_attach_async(a->hooks, a->loop, &h, fd, on_attached, a);
		if (r < 0) {
			log_err(r, "cannot queue an attachment; workload='%s/%s'", w->ns, w->name);
			continue;
		}
		e->busy++;
		a->jobs++;
	}
}

static void ep_detach(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	auto_close int fd = hook_netns(w, e);

	e->stale = true;
	if (e->busy || a->closing)
		return; /* the repair timer comes back to it */
	for (int d = HOOK_INGRESS; d <= HOOK_EGRESS; d++) {
		struct hook h;

		hook_of(w, e, d, &h);
		if (hooks_detach_async(a->hooks, a->loop, &h, fd, on_detached, a) < 0)
			continue;
		e->busy++;
		a->jobs++;
	}
	if (!e->busy)
		ep_drop(a, w, e);
}

/* ---- scanning a workload's namespace ------------------------------------------------------------- */

struct scan_job {
	uv_work_t work;
	struct agent *a;
	struct agent_wl *w;
	char *netns;
	struct netns_key node;
	struct link_table pod, host;
	struct cni_endpoints found;
	struct netns_key key;
	bool first;		/* nobody looked in before */
	struct seed *seed;
	int r;
};

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
	auto_close int fd = -1, self = -1;
	struct cni_query q = { .tables = tables, .ntables = 2 };

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
	(void)link_table_learn(&j->host, self, fd);
	(void)link_table_learn(&j->pod, fd, self);
	q.workload = j->key;
	q.node = j->node;
	tables[0] = j->pod;
	tables[1] = j->host;
	j->r = cni_adapter_pick(-1)->resolve(&q, &j->found);
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
			ep_publish_local(a, w, e);
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

static bool same_place(const struct cni_endpoint *x, const struct cni_endpoint *y)
{
	return x->ifindex == y->ifindex && x->side == y->side && netns_key_same(&x->netns, &y->netns);
}

static void take_endpoints(struct agent *a, struct agent_wl *w, const struct cni_endpoints *found)
{
	for (size_t k = w->neps; k-- > 0;) {
		bool there = false;

		for (size_t i = 0; i < found->n; i++)
			there |= same_place(&found->v[i], &w->eps[k]->at);
		if (!there)
			ep_detach(a, w, w->eps[k]);
	}
	for (size_t i = 0; i < found->n; i++) {
		const struct cni_endpoint *at = &found->v[i];
		struct agent_ep *e = NULL, **v;

		for (size_t k = 0; k < w->neps; k++)
			if (!w->eps[k]->stale && same_place(at, &w->eps[k]->at))
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
			if (at->guard == CNI_BLIND || at->hook == CNI_HOOK_NONE) {
				agent_note(a, "blind", w, "%s: %s", at->iface, at->text ? at->text : "no hook");
				continue;
			}
			e->ep = ep_alloc(a, w, e);
			if (!e->ep) {
				e->err = -ENOSPC;
				agent_note(a, "attach-failed", w, "%s: all %u endpoint numbers are in use",
					   at->iface, a->room.eps - 1);
				continue;
			}
		}
		e->at = *at; /* the name or the MAC may have changed */
		ep_write(a, w, e);
		if (e->up != HOOK_UP_BOTH)
			ep_attach(a, w, e);
	}
}

static void scan_start(struct agent *a, struct agent_wl *w);

static void scan_done(uv_work_t *wk, int status)
{
	struct scan_job *j = wk->data;
	struct agent *a = j->a;
	struct agent_wl *w = j->w;

	w->scanning = false;
	w->scanned = true;
	if (status)
		j->r = status;
	if (!w->gone && !a->closing) {
		if (!j->r) {
			w->key = j->key;
			if (!w->seeded && !w->seed)
				w->seed = take_ptr(j->seed);
			seed_once(a, w);
			take_endpoints(a, w, &j->found);
			take_addresses(a, w, &j->pod);
		} else if (j->r == -ENOENT || j->r == -ESRCH) {
			/* The namespace is gone, and with it every interface. */
			for (size_t k = w->neps; k-- > 0;)
				ep_detach(a, w, w->eps[k]);
		} else if (j->r != -EAGAIN) {
			log_warn(j->r, "cannot look into a workload, retrying; workload='%s/%s'", w->ns, w->name);
		}
		if (w->again || j->r == -EAGAIN || j->pod.torn) {
			w->again = j->r == -EAGAIN; /* the repair timer asks again */
			if (!w->again)
				scan_start(a, w);
		}
	}
	link_table_done(&j->pod);
	link_table_done(&j->host);
	agent_seed_free(j->seed);
	free(j->netns);
	free(j);
	wl_drop_if_empty(a, w);
	agent_job_done(a);
}

static void scan_start(struct agent *a, struct agent_wl *w)
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
	if (!j || !j->netns) {
		free(j);
		return; /* the repair timer comes again */
	}
	j->a = a;
	j->w = w;
	j->node = a->node_key;
	j->first = !w->seeded && !w->seed;
	j->work.data = j;
	if (uv_queue_work(a->loop, &j->work, scan_run, scan_done)) {
		free(j->netns);
		free(j);
		return;
	}
	w->scanning = true;
	a->jobs++;
}

/* ---- what the controller asks ----------------------------------------------------------------------- */

static int set_str(char **to, const char *s)
{
	char *c = s ? strdup(s) : NULL;

	if (s && !c)
		return -ENOMEM;
	free(*to);
	*to = c;
	return 0;
}

int agent_workload_attach(void *node, const struct workload *wl, const char *netns, struct fail_list *f)
{
	struct agent *a = node;
	struct agent_wl *w = agent_wl_find(a, wl->ns, wl->name);
	auto_close int fd = -1;
	struct policy_wl pw;
	int r;

	r = netns_open(netns, &fd);
	if (r < 0)
		return fail_add(f, r, "workload.netns", netns, "a network namespace: NAME, /PATH or pid:N", NULL,
				"cannot open the network namespace: %s", strerror(-r));
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w || vec_grow_((void **)&a->wls, &a->wls_cap, a->nwls + 1, sizeof(*a->wls)) ||
		    set_str(&w->ns, wl->ns) || set_str(&w->name, wl->name)) {
			agent_wl_free(w);
			return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
		}
		w->a = a;
		a->wls[a->nwls++] = w;
		agent_share(a);
	}
	if (set_str(&w->uid, wl->uid) || set_str(&w->netns, netns))
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	if (!w->wl && !policy_set_wl(a->policy, w->ns, w->name, &pw) && pw.group) {
		w->wl = pw.wl;
		w->group = pw.group;
		w->eid = pw.eid;
		(void)htab_set_u64(a->by_num, w->wl, w);
	}
	scan_start(a, w);
	return 0;
}

int agent_workload_detach(void *node, const char *ns, const char *name)
{
	struct agent *a = node;
	struct agent_wl *w = agent_wl_find(a, ns, name);

	if (!w)
		return -ENOENT;
	w->gone = true;
	for (size_t k = w->neps; k-- > 0;)
		ep_detach(a, w, w->eps[k]);
	wl_drop_if_empty(a, w);
	return 0;
}

/* Something about interfaces changed in a namespace we hear of: look at all of them again. */
void agent_links_changed(struct agent *a)
{
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->gone)
			scan_start(a, a->wls[i]);
}

/* Is every attachment where it should be? What is gone is put back and reported. */
void agent_repair(struct agent *a)
{
	bool lost = false;

	for (size_t i = a->nwls; i-- > 0;) {
		struct agent_wl *w = a->wls[i];

		if (w->again && !w->scanning && !w->gone)
			scan_start(a, w);
		for (size_t k = w->neps; k-- > 0;) {
			struct agent_ep *e = w->eps[k];

			if (e->busy || !e->ep)
				continue;
			if (e->stale || w->gone) {
				ep_detach(a, w, e);
				continue;
			}
			if (e->up != HOOK_UP_BOTH)
				continue; /* a scan comes when the device does */
			for (int d = HOOK_INGRESS; d <= HOOK_EGRESS; d++) {
				auto_close int fd = e->kind == HOOK_KIND_CLSACT ? hook_netns(w, e) : -1;
				struct hook_state st;
				struct hook h;
				int r;

				hook_of(w, e, d, &h);
				r = hooks_check(a->hooks, &h, fd, &st);
				if (r == HOOK_OK || r == HOOK_OVERTAKEN || r < 0)
					continue;
				e->up &= (uint8_t)~(1u << d);
				lost = true;
			}
			if (e->up == HOOK_UP_BOTH)
				continue;
			a->repaired++;
			log_warn(0, "attachment was removed, putting it back; workload='%s/%s' if='%s'",
				 w->ns, w->name, e->at.iface);
			agent_note(a, "repaired", w, "%s: the attachment was removed by somebody else and put back",
				   e->at.iface);
			ep_attach(a, w, e);
			scan_start(a, w);
		}
	}
	if (lost)
		(void)hooks_collect(a->hooks, NULL, NULL);
}

/* ---- after a restart ----------------------------------------------------------------------------------- */

/* Attachments that no declared workload took over by now belong to nobody. */
static int drop_orphan(void *arg, const struct hook *h, enum hook_kind k)
{
	struct agent *a = arg;
	auto_close int fd = -1;

	(void)k;
	if (h->ep && h->ep < a->room.eps && a->ep_by_num[h->ep])
		return 0;
	if (h->netns == a->node_key.ino)
		(void)netns_open_self(&fd); /* -1: a clsact filter goes with its device */
	log_info("removing an attachment of a workload that is no more; key='%s'", h->key);
	(void)hooks_detach(a->hooks, h, fd);
	return 0;
}

/* Called once the former process's attachments have their endpoints in our tables. */
void agent_adopt(struct agent *a)
{
	for (size_t i = 0; i < a->nstanding; i++)
		(void)drop_orphan(a, &a->standing[i], HOOK_KIND_NONE);
	free(a->standing);
	a->standing = NULL;
	a->nstanding = 0;
	(void)hooks_collect(a->hooks, NULL, NULL);
}

static int note_standing(void *arg, const struct hook *h, enum hook_kind k)
{
	struct agent *a = arg;
	struct hook *v;

	/* A shield's reasons died with its process: the verdict behind it holds, and it is put up
	 * again where the flood goes on. Left standing it would outlive the quarantine. */
	if (k == HOOK_KIND_XDP || h->dir == HOOK_XDP) {
		auto_close int fd = -1;

		(void)netns_open_self(&fd);
		if (hooks_detach(a->hooks, h, fd) < 0)
			log_warn(0, "cannot take down a former shield; ifindex=%u", h->ifindex);
		return 0;
	}
	if (!h->ep)
		return 0;
	v = realloc(a->standing, (a->nstanding + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	a->standing = v;
	a->standing[a->nstanding++] = *h;
	return 0;
}

int agent_standing(struct agent *a)
{
	return hooks_list(a->hooks, note_standing, a);
}

bool agent_scanned(const struct agent *a)
{
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->scanned)
			return false;
	return true;
}

/* ---- guard map --------------------------------------------------------------------------------------------- */

int agent_guards(void *node, int (*fn)(void *arg, const struct node_guard *g), void *arg)
{
	struct agent *a = node;

	for (size_t i = 0; i < a->nwls; i++) {
		const struct agent_wl *w = a->wls[i];

		for (size_t k = 0; k < w->neps; k++) {
			const struct agent_ep *e = w->eps[k];
			struct node_guard g = { .ifindex = e->at.ifindex, .start_gap_ns = e->gap_ns };
			bool pod = e->at.side == CNI_SIDE_POD;
			int r;

			if (e->stale || w->gone)
				continue;
			snprintf(g.workload, sizeof(g.workload), "%s/pod/%s", w->ns, w->name);
			snprintf(g.iface, sizeof(g.iface), "%s", e->at.iface);
			g.hook = e->up != HOOK_UP_BOTH ? "-" :
				 e->kind == HOOK_KIND_TCX ? (pod ? "tcx pod" : "tcx host") :
							    (pod ? "clsact pod" : "clsact host");
			if (e->up == HOOK_UP_BOTH) {
				g.state = cni_guard_str(e->at.guard);
				snprintf(g.reason, sizeof(g.reason), "%s", e->at.text ? e->at.text : "attached and checked");
			} else {
				g.state = "blind";
				snprintf(g.reason, sizeof(g.reason), "%s",
					 e->err ? strerror(-e->err) : e->at.text ? e->at.text : "being attached");
			}
			r = fn(arg, &g);
			if (r)
				return r;
		}
	}
	return 0;
}
