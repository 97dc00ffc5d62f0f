/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uninstall.c - takes everything off. A tcx link goes with its pin; a clsact filter lives in its
 * device's qdisc and has to be taken out in the device's namespace, which is looked for among
 * the named ones.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "daemon/uninstall.h"
#include "loader/hooks.h"
#include "loader/object.h"
#include "net/netns.h"

struct off {
	struct hooks *hooks;
	struct netns_key own;
	int own_fd;
	const struct hook *now;
	int err;
};

static int in_named(void *arg, const char *name, int fd)
{
	struct off *o = arg;
	struct netns_key k;

	(void)name;
	if (netns_key(fd, &k) < 0 || k.ino != o->now->netns)
		return 0;
	return hooks_detach(o->hooks, o->now, fd) < 0 ? 2 : 1;
}

static int take_off(void *arg, const struct hook *h, enum hook_kind k)
{
	struct off *o = arg;
	int r;

	(void)k;
	o->now = h;
	if (h->netns == o->own.ino)
		r = hooks_detach(o->hooks, h, o->own_fd);
	else if (netns_list(NULL, in_named, o) == 1)
		r = 0;
	else
		r = hooks_detach(o->hooks, h, -1);
	if (r < 0 && r != -ENODEV && !o->err)
		o->err = r;
	return 0;
}

int uninstall_all(const char *pin_root)
{
	struct off o = { .own_fd = -1 };
	struct features feat;
	int r, entry = -1;

	/* Without a BPF file system there is no pin, and so nothing of ours. */
	if (features_probe(pin_root, &feat) < 0 || !features_has(&feat, FEAT_BPFFS))
		return 0;
	r = loader_entry_open(pin_root, &entry);
	if (!r) {
		auto_close int fd = entry;

		r = netns_open_self(&o.own_fd);
		if (!r)
			r = netns_key(o.own_fd, &o.own);
		if (!r)
			r = hooks_open(pin_root, fd, &feat, &o.hooks);
		if (!r)
			r = hooks_list(o.hooks, take_off, &o);
		hooks_free(o.hooks);
		if (o.own_fd >= 0)
			close(o.own_fd);
	} else if (r == -ENOENT) {
		r = 0;
	}
	if (!r)
		r = o.err;
	o.err = loader_uninstall(pin_root);
	return r ? r : o.err;
}
