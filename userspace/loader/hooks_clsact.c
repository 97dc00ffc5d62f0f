/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks_clsact.c - the way for kernels before tcx. A filter cannot be pinned, so the stub is:
 * a filter whose program is the pinned one is ours, with the endpoint that the name tells.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loader/hooks_priv.h"
#include "net/tc.h"

static struct tc_slot slot_of(const struct hook *h)
{
	return (struct tc_slot){
		.ifindex = h->ifindex, .dir = h->dir == HOOK_INGRESS ? TC_INGRESS : TC_EGRESS,
		.handle = HOOK_TC_HANDLE, .prio = HOOK_TC_PRIO, .name = HOOK_PROG_NAME,
	};
}

/* Where it is noted that the device's qdisc is of our making. */
static void qdisc_path(const struct hooks *t, const struct hook *h, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%s/clsact/%llx-%x", t->root, (unsigned long long)h->netns,
		       h->ifindex);
}

/* Unpins stubs of this device and direction other than `keep`. Returns how many. */
static int stubs_unpin(const struct hooks *t, const struct hook *h, const char *keep)
{
	char path[PATH_MAX];
	struct hook other;
	struct dirent *e;
	int n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/stubs", t->root);
	d = opendir(path);
	if (!d)
		return 0;
	while ((e = readdir(d))) {
		if (hook_pin_parse(e->d_name, &other) || other.dir != h->dir ||
		    other.netns != h->netns || other.ifindex != h->ifindex)
			continue;
		(void)snprintf(path, sizeof(path), "%s/stubs/%s", t->root, e->d_name);
		if (keep && !strcmp(path, keep))
			continue;
		if (!unlink(path))
			n++;
	}
	closedir(d);
	return n;
}

/* The program in our slot: 0 and its facts, -ENOENT empty, -EEXIST somebody else's. */
static int slot_facts(const struct hooks *t, struct tc *tc, const struct tc_slot *s, struct prog_facts *ret)
{
	struct prog_facts pf;
	struct tc_filter f;
	int r = tc_filter_get(tc, s, &f);

	if (r < 0)
		return r;
	r = hooks_prog_facts_id(t, f.prog_id, &pf);
	if (r < 0)
		return r;
	if (!pf.ours)
		return -EEXIST;
	*ret = pf;
	return 0;
}

struct ahead_arg {
	const struct tc_slot *slot;
	uint32_t n;
};

static int ahead_one(void *arg, const struct tc_filter *f)
{
	struct ahead_arg *a = arg;

	if (tc_filter_is(f, a->slot))
		return 1;
	a->n++;
	return 0;
}

static uint32_t slot_ahead(struct tc *tc, const struct tc_slot *s)
{
	struct ahead_arg a = { .slot = s };

	return tc_filter_dump(tc, s->ifindex, s->dir, ahead_one, &a) == 1 ? a.n : 0;
}

int hooks_clsact_attach(struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret)
{
	struct hook_state st = { .kind = HOOK_KIND_CLSACT };
	auto_cleanup(tc_closep) struct tc *tc = NULL;
	struct tc_slot slot = slot_of(h);
	auto_close int stub = -1, old = -1;
	struct prog_facts want, have;
	char path[PATH_MAX], qdisc[PATH_MAX];
	bool made;
	int r;

	r = hooks_path(t, "stubs", h, path);
	if (r < 0)
		return r;
	r = tc_open(netns_fd, &tc);
	if (r < 0)
		return r;
	stub = hooks_stub_load(t, h);
	if (stub < 0)
		return stub;
	r = hooks_prog_facts(t, stub, &want);
	if (r < 0)
		return r;
	r = tc_clsact_add(tc, h->ifindex, &made);
	if (r < 0)
		return r;
	if (made) {
		qdisc_path(t, h, qdisc);
		r = hooks_pin_over(t, stub, "clsact", qdisc);
		if (r < 0)
			goto undo;
	}
	r = slot_facts(t, tc, &slot, &have);
	if (r == -EEXIST)
		goto undo;
	if (!r && !memcmp(have.tag, want.tag, sizeof(want.tag))) {
		old = bpf_prog_get_fd_by_id(have.id);
		r = old < 0 ? old : hooks_pin_over(t, old, "stubs", path);
		st.adopted = true;
		st.prog_id = have.id;
	} else {
		r = tc_filter_set(tc, &slot, stub);
		if (!r)
			r = hooks_pin_over(t, stub, "stubs", path);
		st.prog_id = want.id;
	}
	if (r < 0)
		goto undo;
	(void)stubs_unpin(t, h, path);
	st.ahead = slot_ahead(tc, &slot);
	*ret = st;
	return 0;
undo:
	if (made && !tc_clsact_del(tc, h->ifindex))
		(void)unlink(qdisc);
	return r;
}

int hooks_clsact_check(const struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret)
{
	struct hook_state st = { .kind = HOOK_KIND_CLSACT, .adopted = true };
	auto_cleanup(tc_closep) struct tc *tc = NULL;
	struct tc_slot slot = slot_of(h);
	auto_close int fd = -1;
	struct prog_facts pinned, have;
	char path[PATH_MAX];
	int r = hooks_path(t, "stubs", h, path);

	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return HOOK_GONE;
	if (fd < 0)
		return fd;
	r = hooks_prog_facts(t, fd, &pinned);
	if (r < 0 || !pinned.ours)
		return HOOK_ALIEN;
	st.prog_id = pinned.id;
	if (netns_fd >= 0) {
		r = tc_open(netns_fd, &tc);
		if (r < 0)
			return r;
		r = slot_facts(t, tc, &slot, &have);
		if (r == -EEXIST)
			return HOOK_ALIEN;
		if (r == -ENOENT || r == -ENODEV)
			return HOOK_DETACHED;
		if (r < 0)
			return r;
		if (have.id != pinned.id)
			return HOOK_ALIEN;
		st.ahead = slot_ahead(tc, &slot);
	}
	*ret = st;
	return st.ahead ? HOOK_OVERTAKEN : HOOK_OK;
}

int hooks_clsact_detach(struct hooks *t, const struct hook *h, int netns_fd)
{
	auto_cleanup(tc_closep) struct tc *tc = NULL;
	struct tc_slot slot = slot_of(h);
	struct prog_facts have;
	char qdisc[PATH_MAX];
	int r;

	if (!stubs_unpin(t, h, NULL))
		return 0;
	if (netns_fd < 0)
		return 0;
	r = tc_open(netns_fd, &tc);
	if (r < 0)
		return r;
	r = slot_facts(t, tc, &slot, &have);
	if (!r)
		r = tc_filter_del(tc, &slot);
	else if (r == -ENOENT || r == -EEXIST || r == -ENODEV)
		r = 0; /* gone with its device, or never ours: nothing to remove */
	qdisc_path(t, h, qdisc);
	/* The other direction may still use the qdisc, and others may have come: then it stays. */
	if (!access(qdisc, F_OK) && tc_clsact_del(tc, h->ifindex) != -ENOTEMPTY)
		(void)unlink(qdisc);
	return r;
}
