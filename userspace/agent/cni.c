/* SPDX-License-Identifier: Apache-2.0 */
/* cni.c - attachments that the container runtime asked for: what they wait for, and what is noted. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_UNIT "cni"
#include "agent/cni.h"
#include "agent/cni_priv.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/vec.h"
#include "cni-adapters/plugin/record.h"

#define MS 1000000ull

/* ---- the table ------------------------------------------------------------------------------ */

struct cni_attachment *cni_find(const struct agent *a, const char *id, const char *ifname)
{
	for (size_t i = 0; i < a->cni->n; i++)
		if (!strcmp(a->cni->v[i]->id, id) && !strcmp(a->cni->v[i]->ifname, ifname))
			return a->cni->v[i];
	return NULL;
}

/* Another interface of the same sandbox, or the same one asked for again. */
static bool netns_in_use(const struct agent *a, const char *ns, const char *name, const char *netns)
{
	for (size_t i = 0; i < a->cni->n; i++) {
		const struct cni_attachment *at = a->cni->v[i];

		if (!strcmp(at->ns, ns) && !strcmp(at->name, name) && at->netns && !strcmp(at->netns, netns))
			return true;
	}
	return false;
}

int cni_put(struct agent *a, struct cni_attachment *at)
{
	struct agent_cni *c = a->cni;

	if (c->n == CNI_ATTACHMENTS_MAX)
		return -ENOSPC;
	if (vec_push(c, at))
		return -ENOMEM;
	return 0;
}

/* By its path, or by another name for it. */
static bool same_sandbox(const struct agent_wl *w, const struct cni_attachment *at)
{
	return at->netns && w->netns && (!strcmp(w->netns, at->netns) || netns_key_same(&w->key, &at->key));
}

/*
 * The runtime lets it go. Its hooks stay until its interface is gone: what still runs inside is
 * judged to the end.
 */
void cni_drop(struct agent *a, struct cni_attachment *at)
{
	struct agent_cni *c = a->cni;
	struct agent_wl *w = agent_wl_find(a, at->ns, at->name);

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i] == at) {
			c->v[i] = c->v[--c->n];
			break;
		}
	if (at->x)
		http_reply_fail(take_ptr(at->x), 409, "cni.gone", at->id, NULL, NULL, "the attachment was taken back meanwhile");
	if (w && same_sandbox(w, at) && !netns_in_use(a, at->ns, at->name, at->netns)) {
		w->leaving = true;
		agent_scan(a, w);
	}
	cni_attachment_free(at);
}

bool agent_cni_left(const struct agent *a, const struct agent_wl *w)
{
	(void)a;
	if (!w->leaving || w->gone)
		return false;
	for (size_t i = 0; i < w->neps; i++)
		if (!w->eps[i]->stale)
			return false;
	return true;
}

/* ---- what an ADD waits for -------------------------------------------------------------------- */

static struct agent_ep *ep_named(const struct agent_wl *w, const char *ifname)
{
	for (size_t i = 0; i < w->neps; i++)
		if (!w->eps[i]->stale && !strcmp(w->eps[i]->at.iface, ifname))
			return w->eps[i];
	return NULL;
}

/* Every address is in the kernel's table as this workload's. */
static bool published(const struct agent *a, const struct agent_wl *w, const struct addr *v, size_t n)
{
	struct cw_addr e;

	for (size_t i = 0; i < n; i++)
		if (addr_map_get(a->maps, 0, &v[i], &e) || e.wl != w->wl)
			return false;
	return true;
}

/*
 * Nobody told us of these addresses within the time, perhaps because the controller is away: the
 * workload's own are its own all the same. What the policy says later is written over it.
 */
static void publish_own(struct agent *a, struct agent_wl *w, const struct addr *v, size_t n)
{
	struct cw_addr e;

	w->own_as = (struct cw_addr){ .eid = w->eid, .group = w->group, .wl = w->wl, .realm = CW_REALM_POD };
	for (size_t i = 0; i < n; i++) {
		if (!addr_map_get(a->maps, 0, &v[i], &e) || w->nown == ARRAY_SIZE(w->own))
			continue; /* somebody's already: it stays theirs until the controller knows better */
		if (addr_map_set(a->maps, 0, &v[i], &w->own_as))
			continue;
		w->own[w->nown++] = v[i];
	}
}

/* What still stands as it was written here goes with the workload's number, or along with it. */
void agent_own_renew(struct agent *a, struct agent_wl *w)
{
	struct cw_addr e, mine = { .eid = w->eid, .group = w->group, .wl = w->wl, .realm = CW_REALM_POD };

	for (size_t i = w->nown; i-- > 0;) {
		bool ours = !addr_map_get(a->maps, 0, &w->own[i], &e) && e.wl == w->own_as.wl &&
			    e.eid == w->own_as.eid && e.group == w->own_as.group;

		if (ours && mine.wl && !w->gone) {
			(void)addr_map_set(a->maps, 0, &w->own[i], &mine); /* room it has already */
			continue;
		}
		if (ours)
			(void)addr_map_del(a->maps, 0, &w->own[i]);
		w->own[i] = w->own[--w->nown];
	}
	w->own_as = mine;
}

enum cni_state cni_look(struct agent *a, const struct cni_attachment *at, struct cni_view *v)
{
	struct agent_wl *w = agent_wl_find(a, at->ns, at->name);

	*v = (struct cni_view){ .w = w };
	/* Where it has moved to is seen by the next look. */
	if (w && !w->gone && at->netns && !w->key.ino)
		return CNI_WAITS;
	if (!w || w->gone || !same_sandbox(w, at))
		return CNI_SUPERSEDED;
	v->e = ep_named(w, at->ifname);
	/* Without any policy yet nobody is known: the controller may be what is being started. */
	if (agent_former_pending(a) || w->scans <= at->scans)
		return CNI_WAITS;
	if (!v->e)
		return CNI_NO_INTERFACE;
	if (!v->e->ep)
		return v->e->err ? CNI_FAILED : CNI_NOT_GUARDED;
	if (!agent_ep_up(v->e))
		return v->e->err && !v->e->busy ? CNI_FAILED : CNI_WAITS;
	if (!w->wl)
		return CNI_UNRESOLVED;
	return published(a, w, at->addrs, at->naddrs) ? CNI_STANDS : CNI_ADDRESSES;
}

static void answer(struct agent *a, struct cni_attachment *at, const struct cni_view *v, const char *identity)
{
	uint64_t ns = agent_mono_ns() - at->asked_ns, us = ns / 1000;
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	struct agent_cni *c = a->cni;

	c->adds++;
	c->unresolved += !strcmp(identity, "unresolved");
	c->total_ns += ns;
	if (ns > c->max_ns)
		c->max_ns = ns;
	cJSON_AddStringToObject(o, "kind", "CNIAttachment");
	cJSON_AddStringToObject(o, "state", v->e->ep ? "attached" : "blind");
	cJSON_AddStringToObject(o, "identity", identity);
	cJSON_AddNumberToObject(o, "tookUs", (double)us);
	http_reply_json(take_ptr(at->x), 200, o);
}

static void refuse(struct agent *a, struct cni_attachment *at, int status, const char *name, const char *text)
{
	a->cni->failed++;
	log_warn(0, "an interface is not attached: %s; workload='%s/%s' if='%s' container='%s'", text, at->ns, at->name,
		 at->ifname, at->id);
	http_reply_fail(take_ptr(at->x), status, name, at->ifname, NULL, NULL, "%s", text);
}

/* One look at a waiting ADD. True: a push of what the controller knows may help it; `pushed`: it was made. */
static bool step(struct agent *a, struct cni_attachment *at, bool pushed)
{
	uint64_t waited = agent_mono_ns() - at->asked_ns;
	bool late = pushed && waited >= a->cfg.cni_wait_ms * MS;
	struct cni_view v;

	switch (cni_look(a, at, &v)) {
	case CNI_STANDS:
		answer(a, at, &v, "resolved");
		return false;
	case CNI_NOT_GUARDED:
		answer(a, at, &v, v.w->wl ? "resolved" : "unresolved");
		return false;
	case CNI_SUPERSEDED:
		refuse(a, at, 409, "cni.superseded", "another sandbox has taken the workload's name");
		return false;
	case CNI_FAILED:
		refuse(a, at, 500, "cni.attach", v.e->err ? strerror(-v.e->err) : "no hook can be put there");
		return false;
	case CNI_UNRESOLVED:
		/* Nobody has told of it yet: start.unresolved says what passes. */
		if (late)
			answer(a, at, &v, "unresolved");
		return !late;
	case CNI_ADDRESSES:
		/* Through a wire it would take as long as the wire. */
		if (late || !a->sink || !a->sink->push) {
			publish_own(a, v.w, at->addrs, at->naddrs);
			answer(a, at, &v, "resolved");
			return false;
		}
		return true;
	case CNI_NO_INTERFACE:
		if (waited >= CNI_INTERFACE_MS * MS)
			refuse(a, at, 404, "cni.no-interface", "there is no such interface in the sandbox");
		return false;
	case CNI_WAITS:
		break;
	}
	if (waited >= CNI_ADD_MS * MS)
		refuse(a, at, 503, "cni.timeout", "the interface was not attached in time");
	return false;
}

static void look(struct agent *a)
{
	bool push = false;

	for (size_t i = 0; i < a->cni->n; i++)
		if (a->cni->v[i]->x)
			push |= step(a, a->cni->v[i], false);
	if (!push)
		return;
	/* What was found inside is handed to the policy now, for all that wait at once. */
	if (a->sink && a->sink->push)
		(void)a->sink->push(a->sink_arg); /* a refusal is the controller's to tell; the time limit holds */
	for (size_t i = 0; i < a->cni->n; i++)
		if (a->cni->v[i]->x)
			(void)step(a, a->cni->v[i], true);
}

static void on_kick(uv_timer_t *t)
{
	struct agent *a = t->data;

	/* First: what the controller did not know when it was found. */
	for (size_t i = 0; i < a->nwls; i++) {
		struct agent_wl *w = a->wls[i];

		if (!w->report)
			continue;
		w->report = false;
		if (w->naddrs && !w->gone && a->sink && a->sink->addresses)
			a->sink->addresses(a->sink_arg, w->ns, w->name, w->addrs, w->naddrs);
	}
	look(a);
}

void agent_cni_kick(struct agent *a)
{
	if (a->cni && a->cni->up && !a->closing && !uv_is_active((uv_handle_t *)&a->cni->kick))
		uv_timer_start(&a->cni->kick, on_kick, 0, 0);
}

bool agent_cni_waiting(const struct agent *a)
{
	for (size_t i = 0; a->cni && i < a->cni->n; i++)
		if (a->cni->v[i]->x)
			return true;
	return false;
}

void agent_cni_tick(struct agent *a)
{
	if (!a->cni)
		return;
	if (agent_cni_waiting(a))
		on_kick(&a->cni->kick);
	for (size_t i = 0; i < a->nwls; i++)
		if (a->wls[i]->leaving && !a->wls[i]->gone && !a->wls[i]->scanning)
			agent_scan(a, a->wls[i]);
}

/* ---- attaching ---------------------------------------------------------------------------------- */

/* Runtimes say /var/run where a container may have only /run. */
static char *netns_path(const char *s)
{
	int fd = -1;

	if (!strncmp(s, "/var/run/", 9) && netns_open(s, &fd))
		return strdup(s + 4);
	if (fd >= 0)
		close(fd);
	return strdup(s);
}

int cni_attach(struct agent *a, struct cni_attachment *at, bool fresh, struct fail_list *f)
{
	const struct workload wl = { .ns = at->ns, .name = at->name, .uid = at->uid };
	struct netns_key key = { };
	auto_close int fd = -1;
	struct agent_wl *w;
	char *path;
	int r;

	if (!at->netns)
		return fail_add(f, -EINVAL, "cni.field", "netns", "the path of a network namespace", NULL,
				"the field is missing or has a wrong value");
	path = netns_path(at->netns);
	if (!path)
		return -ENOMEM;
	free(at->netns);
	at->netns = path;
	r = netns_open(path, &fd);
	if (!r)
		r = netns_key(fd, &key);
	if (r < 0)
		return fail_add(f, -ENOENT, "cni.netns", path, "a network namespace that this agent can open",
				"mount /run/netns of the node into the agent, with propagation from the node",
				"cannot open the sandbox's network namespace: %s", strerror(-r));
	if (netns_key_same(&key, &a->node_key))
		return fail_add(f, -EINVAL, "cni.host-network", path, "a network namespace of its own", NULL,
				"the sandbox is in the node's own network");
	at->key = key;
	w = agent_wl_find(a, at->ns, at->name);
	if (w)
		w->leaving = false;
	at->asked_ns = agent_mono_ns();
	at->scans = w ? w->scans + w->scanning : 0; /* one that is going on may have looked too early */
	return agent_wl_attach(a, &wl, path, fresh, f);
}

/* ---- what is noted ------------------------------------------------------------------------------ */

void cni_forget(struct agent *a, const char *id, const char *ifname)
{
	int r = cni_record_del(a->cni->dir, id, ifname);

	if (r < 0)
		log_warn(r, "cannot remove a note of an attachment; dir='%s' container='%s'", a->cni->dir, id);
}

static void take_note(struct agent *a, int dir, const char *name)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct cni_attachment got = { }, *at;
	auto_free char *text = NULL;
	auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t len = 0;
	int r = fd < 0 || fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;

	r = r ?: read_all_fd(fd, CNI_RECORD_MAX, &text, &len);
	r = r ?: json_parse(text, len, name, &f, &o);
	r = r ?: cni_attachment_read(o, &f, &got);
	if (r < 0 || !got.id) {
		log_warn(r, "a note of an attachment cannot be read, ignored; file='%s'", name);
		return;
	}
	at = malloc(sizeof(*at));
	if (!at || cni_find(a, got.id, got.ifname)) {
		free(at);
		at = calloc(1, sizeof(*at));
		if (at)
			*at = got;
		cni_attachment_free(at);
		return;
	}
	*at = got;
	r = cni_attach(a, at, false, &f);
	r = r ?: cni_put(a, at);
	if (r < 0) {
		/* The sandbox went while nobody looked. */
		if (r == -ENOENT)
			cni_forget(a, at->id, at->ifname);
		else
			log_warn(r, "a noted attachment cannot be made; workload='%s/%s'", at->ns, at->name);
		cni_attachment_free(at);
	}
}

static int take_notes(struct agent *a)
{
	struct stat st;
	struct dirent *e;
	int fd = open(a->cni->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(fd);
		return -EPERM;
	}
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			take_note(a, fd, e->d_name);
	closedir(d);
	return 0;
}

int agent_cni_open(struct agent *a)
{
	if (!a->cfg.cni_dir)
		return 0;
	a->cni = calloc(1, sizeof(*a->cni));
	if (!a->cni)
		return -ENOMEM;
	a->cni->dir = strdup(a->cfg.cni_dir);
	return a->cni->dir ? 0 : -ENOMEM;
}

void agent_cni_start(struct agent *a)
{
	int r;

	if (!a->cni)
		return;
	uv_timer_init(a->loop, &a->cni->kick);
	a->cni->kick.data = a;
	a->cni->up = true;
	a->handles++;
	r = take_notes(a);
	if (r < 0)
		log_warn(r, "attachments that are noted are not taken over; dir='%s'", a->cni->dir);
	if (a->cni->n)
		log_info("%zu attachments of the container runtime taken over", a->cni->n);
}

void agent_cni_close(struct agent *a, uv_close_cb closed)
{
	if (!a->cni)
		return;
	for (size_t i = 0; i < a->cni->n; i++)
		if (a->cni->v[i]->x)
			http_reply_fail(take_ptr(a->cni->v[i]->x), 503, "cni.stopping", NULL, NULL, NULL, "the agent is stopping");
	if (a->cni->up)
		uv_close((uv_handle_t *)&a->cni->kick, closed);
}

void agent_cni_free(struct agent *a)
{
	if (!a->cni)
		return;
	for (size_t i = 0; i < a->cni->n; i++)
		cni_attachment_free(a->cni->v[i]);
	vec_done(a->cni);
	free(a->cni->dir);
	free(a->cni);
}
