/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.c - pods that ran before the agent did, or that no chained plugin told about: the network
 * namespace of a workload of this node is the named one that holds its address.
 *
 * While workloads of this node have none, the named namespaces are looked through on the worker pool.
 * An address that stands in two of them is nobody's until one is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "attach"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"

#define LOOK_FIRST_MS 100u
#define LOOK_MAX_MS 5000u

/* A workload as the state has it. */
struct sought {
	char *ns, *name, *uid;
	struct addr *addrs;
	size_t naddrs;
};
struct sought_list { struct sought *v; size_t n, cap; };

/* What was attached from here: it is let go when no state names it any more. */
struct taken { char *ns, *name, *uid, *netns; };

struct agent_find {
	struct sought_list want; /* every workload of this node that has an address */
	struct { struct taken *v; size_t n, cap; } taken;
	uint64_t next_ns;	/* monotonic: not before */
	uint32_t wait_ms;
	bool busy;
	bool looked;		/* once at least, with somebody to look for */
};

/* One address that was seen in a namespace. */
struct seen { struct addr addr; size_t space; };

struct look {
	uv_work_t work;
	struct agent *a;
	struct netns_key node;
	struct { struct netns_key *v; size_t n, cap; } known;	/* attached already */
	struct { char **v; size_t n, cap; } spaces;		/* names of the others */
	struct { struct seen *v; size_t n, cap; } seen;
	int r;
};

static void sought_done(struct sought *s)
{
	free(s->ns);
	free(s->name);
	free(s->uid);
	free(s->addrs);
}

static void list_done(struct sought_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		sought_done(&l->v[i]);
	vec_done(l);
}

static void taken_done(struct taken *t)
{
	free(t->ns);
	free(t->name);
	free(t->uid);
	free(t->netns);
}

static void look_free(struct look *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->spaces.n; i++)
		free(j->spaces.v[i]);
	vec_done(&j->spaces);
	vec_done(&j->known);
	vec_done(&j->seen);
	free(j);
}

int agent_find_open(struct agent *a)
{
	if (!a->cfg.find)
		return 0;
	a->find = calloc(1, sizeof(*a->find));
	return a->find ? 0 : -ENOMEM;
}

void agent_find_free(struct agent *a)
{
	struct agent_find *f = a->find;

	if (!f)
		return;
	list_done(&f->want);
	for (size_t i = 0; i < f->taken.n; i++)
		taken_done(&f->taken.v[i]);
	vec_done(&f->taken);
	free(f);
	a->find = NULL;
}

/* ---- who is wanted ------------------------------------------------------------------------------ */

static int want(struct sought_list *l, const struct workload *w)
{
	struct sought s = { .ns = strdup(w->ns), .name = strdup(w->name), .uid = w->uid ? strdup(w->uid) : NULL,
			    .addrs = calloc(w->naddrs, sizeof(*s.addrs)), .naddrs = w->naddrs };

	if (s.ns && s.name && s.addrs && (s.uid || !w->uid)) {
		memcpy(s.addrs, w->addrs, w->naddrs * sizeof(*s.addrs));
		if (!vec_push(l, s))
			return 0;
	}
	sought_done(&s);
	return -ENOMEM;
}

static bool same_uid(const char *a, const char *b)
{
	return !a || !*a || !b || !*b || !strcmp(a, b);
}

static const struct sought *find_sought(const struct sought_list *l, const char *ns, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i].name, name) && !strcmp(l->v[i].ns, ns))
			return &l->v[i];
	return NULL;
}

/* Only what still is as it was attached from here: a successor is somebody else's. */
static void let_go(struct agent *a)
{
	struct agent_find *f = a->find;

	for (size_t i = f->taken.n; i-- > 0;) {
		struct taken *t = &f->taken.v[i];
		const struct sought *s = find_sought(&f->want, t->ns, t->name);
		struct agent_wl *w = agent_wl_find(a, t->ns, t->name);

		if (w && (!w->netns || strcmp(w->netns, t->netns)))
			w = NULL;
		if (w && s && same_uid(s->uid, t->uid))
			continue;
		if (w)
			(void)agent_workload_detach(a, t->ns, t->name);
		taken_done(t);
		*t = f->taken.v[--f->taken.n];
	}
}

int agent_find_note(struct agent *a, const struct policy_state *s)
{
	struct sought_list l = { };
	struct agent_find *f = a->find;
	int r = 0;

	if (!f)
		return 0;
	for (size_t i = 0; i < s->nworkloads && !r; i++) {
		const struct workload *w = &s->workloads[i];

		if (w->naddrs && w->node && !strcmp(w->node, a->node))
			r = want(&l, w);
	}
	if (r) {
		list_done(&l);
		return r;
	}
	list_done(&f->want);
	f->want = l;
	return 0;
}

void agent_find_kick(struct agent *a)
{
	if (!a->find)
		return;
	let_go(a);
	a->find->next_ns = 0;
	a->find->wait_ms = LOOK_FIRST_MS;
}

/* ---- the look ------------------------------------------------------------------------------------- */

static int look_at(void *arg, const char *name, int fd)
{
	struct look *j = arg;
	struct netns_key key;
	auto_cleanup(link_table_done) struct link_table t = { };
	char *path = NULL;

	/* One that goes away meanwhile is none. */
	if (netns_key(fd, &key) || netns_key_same(&key, &j->node))
		return 0;
	for (size_t i = 0; i < j->known.n; i++)
		if (netns_key_same(&key, &j->known.v[i]))
			return 0;
	if (link_table_fill(fd, &t))
		return 0;
	if (asprintf(&path, NETNS_RUN_DIR "/%s", name) < 0)
		return -ENOMEM;
	if (vec_push(&j->spaces, path)) {
		free(path);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t.n; i++)
		for (size_t k = 0; !(t.v[i].flags & 0x8 /* IFF_LOOPBACK */) && k < t.v[i].naddrs; k++)
			if (vec_push(&j->seen, ((struct seen){ t.v[i].addrs[k].addr, j->spaces.n - 1 })))
				return -ENOMEM;
	return 0;
}

static void look_run(uv_work_t *wk)
{
	struct look *j = wk->data;

	j->r = netns_list(NULL, look_at, j);
}

/* The one namespace that has one of the addresses; NULL: none, or several. */
static const char *space_of(const struct look *j, const struct sought *s)
{
	size_t found = SIZE_MAX;

	for (size_t i = 0; i < s->naddrs; i++) {
		for (size_t k = 0; k < j->seen.n; k++) {
			if (addr_cmp(&s->addrs[i], &j->seen.v[k].addr))
				continue;
			if (found != SIZE_MAX && found != j->seen.v[k].space)
				return NULL;
			found = j->seen.v[k].space;
		}
	}
	return found == SIZE_MAX ? NULL : j->spaces.v[found];
}

static void take(struct agent *a, const struct sought *s, const char *netns)
{
	const struct workload w = { .ns = s->ns, .name = s->name, .uid = s->uid };
	struct taken t = { .ns = strdup(s->ns), .name = strdup(s->name), .uid = s->uid ? strdup(s->uid) : NULL,
			   .netns = strdup(netns) };
	struct fail_list f = { };

	if (t.ns && t.name && t.netns && (t.uid || !s->uid) && !vec_push(&a->find->taken, t)) {
		if (!agent_wl_attach(a, &w, netns, false, &f)) {
			log_info("found by its address; workload='%s/%s' netns='%s'", s->ns, s->name, netns);
			fail_list_done(&f);
			return;
		}
		a->find->taken.n--;
	}
	taken_done(&t);
	fail_list_done(&f); /* the namespace went away: looked for again */
}

static void look_done(uv_work_t *wk, int status)
{
	struct look *j = wk->data;
	struct agent *a = j->a;
	struct agent_find *f = a->find;

	f->busy = false;
	f->looked = true;
	if (!status && !j->r && !a->closing) {
		for (size_t i = 0; i < f->want.n; i++) {
			const struct sought *s = &f->want.v[i];
			const char *netns = agent_wl_find(a, s->ns, s->name) ? NULL : space_of(j, s);

			if (netns)
				take(a, s, netns);
		}
	} else if (!a->closing) {
		log_warn(status ?: j->r, "cannot look for the network namespaces of workloads");
	}
	look_free(j);
	agent_job_done(a);
}

static bool anybody_missing(struct agent *a)
{
	for (size_t i = 0; i < a->find->want.n; i++)
		if (!agent_wl_find(a, a->find->want.v[i].ns, a->find->want.v[i].name))
			return true;
	return false;
}

bool agent_find_settled(const struct agent *a)
{
	return !a->find || a->find->looked || !anybody_missing((struct agent *)a);
}

void agent_find_tick(struct agent *a)
{
	struct agent_find *f = a->find;
	uint64_t now = agent_mono_ns();
	struct look *j;

	if (!f || f->busy || a->closing || now < f->next_ns || !anybody_missing(a))
		return;
	f->wait_ms = f->wait_ms >= LOOK_MAX_MS / 2 ? LOOK_MAX_MS : f->wait_ms * 2;
	f->next_ns = now + f->wait_ms * 1000000ull;
	j = calloc(1, sizeof(*j));
	if (!j)
		return;
	j->a = a;
	j->node = a->node_key;
	j->work.data = j;
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->gone && vec_push(&j->known, a->wls[i]->key))
			goto fail;
	if (uv_queue_work(a->loop, &j->work, look_run, look_done))
		goto fail;
	f->busy = true;
	a->jobs++;
	return;
fail:
	look_free(j);
}
