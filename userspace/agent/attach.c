/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c - workloads come and go; what somebody removed is put back. Scans (scan.c) and
 * attachments (endpoint.c) run on the worker pool.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "attach"
#include "agent/cni.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"

/* ---- workloads ------------------------------------------------------------------------------ */

struct agent_wl *agent_wl_find(struct agent *a, const char *ns, const char *name)
{
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->gone && !strcmp(a->wls[i]->ns, ns) && !strcmp(a->wls[i]->name, name))
			return a->wls[i];
	return NULL;
}

bool agent_wl_is(const struct agent_wl *w, const char *uid)
{
	return !uid || !*uid || !w->uid || !*w->uid || !strcmp(uid, w->uid);
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

int agent_wl_attach(struct agent *a, const struct workload *wl, const char *netns, bool fresh, struct fail_list *f)
{
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
		w->nsid = -1;
		w->seeded = fresh;
		a->wls[a->nwls++] = w;
		agent_share(a);
	}
	if (w->netns && strcmp(w->netns, netns))
		w->key = (struct netns_key){ }; /* not known before the next look */
	/* Whoever declares it need not know its uid; the runtime does. */
	if ((wl->uid && *wl->uid && set_str(&w->uid, wl->uid)) || set_str(&w->netns, netns))
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	r = policy_set_wl(a->policy, w->ns, w->name, &pw);
	/* The one of this name that the policy knows may be its predecessor. */
	if (w->wl && (r || !agent_wl_is(w, pw.uid))) {
		if (htab_get_u64(a->by_num, w->wl) == w)
			(void)htab_del_u64(a->by_num, w->wl);
		w->wl = w->group = w->eid = 0;
		agent_wl_publish(a, w);
	}
	if (!w->wl && !r && pw.group && agent_wl_is(w, pw.uid)) {
		w->wl = pw.wl;
		w->group = pw.group;
		w->eid = pw.eid;
		(void)htab_set_u64(a->by_num, w->wl, w);
	}
	agent_scan(a, w);
	return 0;
}

int agent_workload_attach(void *node, const struct workload *wl, const char *netns, struct fail_list *f)
{
	return agent_wl_attach(node, wl, netns, false, f);
}

int agent_workload_detach(void *node, const char *ns, const char *name)
{
	struct agent *a = node;
	struct agent_wl *w = agent_wl_find(a, ns, name);

	if (!w)
		return -ENOENT;
	w->gone = true;
	for (size_t k = w->neps; k-- > 0;)
		agent_ep_detach(a, w, w->eps[k]);
	agent_wl_drop_if_empty(a, w);
	return 0;
}

/* Its namespace, the other end of a pair in it, or a device where it is judged. */
static bool link_concerns(const struct agent_wl *w, const struct link_change *c)
{
	/* A namespace without a number has no interface that the node could know; it gets one with it. */
	if (w->nsid < 0)
		return c->kind == LINK_NSID_SET || !w->scans;
	if (c->in_nsid == w->nsid || (c->moved && c->moved_nsid == w->nsid))
		return true;
	if (c->in_nsid != LINK_NSID_OWN || (c->kind != LINK_SET && c->kind != LINK_GONE))
		return false;
	if (c->kind == LINK_SET && c->link.lower_nsid == w->nsid)
		return true;
	for (size_t i = 0; i < w->neps; i++)
		if (w->eps[i]->at.host_ifindex == c->link.ifindex)
			return true;
	return false;
}

bool agent_links_touch(struct agent *a, const struct link_change *c)
{
	bool any = false;

	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->gone && link_concerns(a->wls[i], c))
			any = a->wls[i]->touched = true;
	return any;
}

/* Every interface that can be judged is. */
static bool wl_up(const struct agent_wl *w)
{
	for (size_t i = 0; i < w->neps; i++)
		if (!w->eps[i]->stale && w->eps[i]->ep && !agent_ep_up(w->eps[i]))
			return false;
	return w->neps > 0;
}

bool agent_links_changed(struct agent *a, bool all)
{
	bool later = false, busy = agent_cni_waiting(a);

	for (size_t i = 0; i < a->nwls; i++) {
		if (a->wls[i]->gone || (!all && !a->wls[i]->touched))
			continue;
		/* Those that start come first: their runtime waits. */
		if (!all && busy && wl_up(a->wls[i])) {
			later = true;
			continue;
		}
		a->wls[i]->touched = false;
		agent_scan(a, a->wls[i]);
	}
	return later;
}

/* Is every attachment where it should be? What is gone is put back and reported. */
void agent_repair(struct agent *a)
{
	bool lost = false;

	for (size_t i = a->nwls; i-- > 0;) {
		struct agent_wl *w = a->wls[i];

		if (w->again && !w->scanning && !w->gone)
			agent_scan(a, w);
		for (size_t k = w->neps; k-- > 0;) {
			struct agent_ep *e = w->eps[k];

			if (e->busy || !e->ep)
				continue;
			if (e->stale || w->gone) {
				agent_ep_detach(a, w, e);
				continue;
			}
			/* A scan comes when the device does; what is let go is looked at all the time. */
			if (!agent_ep_up(e) || w->leaving)
				continue;
			for (int way = 0; way < CNI_WAYS; way++) {
				auto_close int fd = -1;
				struct hook_state st;
				struct hook h;
				int r;

				if (!(e->up & 1u << way))
					continue;
				agent_ep_hook(w, e, way, &h);
				if (e->kind[way] == HOOK_KIND_CLSACT)
					fd = agent_ep_netns(w, &h);
				r = hooks_check(a->hooks, &h, fd, &st);
				if (r == HOOK_OK || r == HOOK_OVERTAKEN || r < 0)
					continue;
				e->up &= (uint8_t)~(1u << way);
				lost = true;
			}
			if (agent_ep_up(e))
				continue;
			a->repaired++;
			log_warn(0, "attachment was removed, putting it back; workload='%s/%s' if='%s'",
				 w->ns, w->name, e->at.iface);
			agent_note(a, "repaired", w, "%s: the attachment was removed by somebody else and put back",
				   e->at.iface);
			agent_ep_attach(a, w, e);
			agent_scan(a, w);
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
	if (h->ep && h->ep < a->room.eps && a->ep_by_num[h->ep]) {
		enum cni_way way = h->from_pod ? CNI_FROM_POD : CNI_TO_POD;
		struct hook mine;

		agent_ep_hook(a->wl_of_ep[h->ep], a->ep_by_num[h->ep], way, &mine);
		if (mine.dir == h->dir && mine.ifindex == h->ifindex && mine.netns == h->netns)
			return 0; /* else: it is judged elsewhere now */
	}
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

	(void)k;
	/* A shield's reasons died with its process: the verdict behind it holds, and it is put up
	 * again where the flood goes on. Left standing it would outlive the quarantine. */
	if (h->dir == HOOK_XDP && !h->ep) {
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
	return agent_find_settled(a);
}
