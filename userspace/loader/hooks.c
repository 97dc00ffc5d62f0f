/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c - attach, adopt, check, detach, collect. */
#include "loader/hooks.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cw_abi.h"
#include "loader/bpf_more.h"
#include "loader/hooks_priv.h"
#include "net/netns.h"

static const char *const pin_dirs[] = { "links", "stubs", "clsact" };

int hooks_open(const char *root, int entry_fd, const struct features *f, struct hooks **ret)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	auto_free struct hooks *t = NULL;
	char path[PATH_MAX];
	int r = bpf_obj_get_info_by_fd(entry_fd, &info, &len);

	if (r < 0)
		return r;
	if (info.type != BPF_MAP_TYPE_PROG_ARRAY)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	r = snprintf(t->root, sizeof(t->root), "%s", root ? root : CW_PIN_ROOT);
	if (r < 0 || (size_t)r >= sizeof(t->root))
		return -ENAMETOOLONG;
	for (size_t i = 0; i < ARRAY_SIZE(pin_dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", t->root, pin_dirs[i]);
		r = mkdir_p(path, 0700);
		if (r < 0)
			return r;
	}
	t->entry_id = info.id;
	t->feat = *f;
	t->xdp_entry_fd = -1;
	r = pthread_mutex_init(&t->lock, NULL) ?: pthread_mutex_init(&t->expedite.lock, NULL);
	if (r)
		return -r;
	t->entry_fd = fcntl(entry_fd, F_DUPFD_CLOEXEC, 3);
	if (t->entry_fd < 0) {
		r = -errno;
		pthread_mutex_destroy(&t->lock);
		return r;
	}
	*ret = take_ptr(t);
	return 0;
}

void hooks_free(struct hooks *h)
{
	if (!h)
		return;
	close(h->entry_fd);
	if (h->xdp_entry_fd >= 0)
		close(h->xdp_entry_fd);
	pthread_mutex_destroy(&h->lock);
	expedite_done(&h->expedite);
	free(h);
}

int hooks_set_xdp_entry(struct hooks *t, int entry_fd)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(entry_fd, &info, &len), fd;

	if (r < 0)
		return r;
	if (info.type != BPF_MAP_TYPE_PROG_ARRAY || t->xdp_entry_fd >= 0)
		return -EINVAL;
	fd = fcntl(entry_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	t->xdp_entry_fd = fd;
	t->xdp_entry_id = info.id;
	return 0;
}

/* ---- walking pins -------------------------------------------------------------------------- */

static int dir_walk(struct hooks *t, const char *dir,
		    int (*fn)(void *arg, const struct hook *h, const char *path), void *arg)
{
	char path[PATH_MAX];
	struct hook h;
	struct dirent *e;
	DIR *d;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", t->root, dir);
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (e = readdir(d))) {
		if (hook_pin_parse(e->d_name, &h))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s/%s", t->root, dir, e->d_name);
		r = fn(arg, &h, path);
	}
	closedir(d);
	return r;
}

struct list_arg {
	int (*fn)(void *arg, const struct hook *h, enum hook_kind k);
	void *arg;
	bool links;
};

static int list_one(void *arg, const struct hook *h, const char *path)
{
	const struct list_arg *l = arg;
	enum hook_kind k = !l->links ? HOOK_KIND_CLSACT :
			   h->dir == HOOK_XDP ? HOOK_KIND_XDP : HOOK_KIND_TCX;

	(void)path;
	return l->fn(l->arg, h, k);
}

int hooks_list(struct hooks *t, int (*fn)(void *arg, const struct hook *h, enum hook_kind k), void *arg)
{
	struct list_arg l = { .fn = fn, .arg = arg, .links = true };
	int r = dir_walk(t, "links", list_one, &l);

	if (r)
		return r;
	l.links = false;
	return dir_walk(t, "stubs", list_one, &l);
}

struct collect_arg {
	void (*gone)(void *arg, const struct hook *h);
	void *arg;
	int n;
};

static int collect_one(void *arg, const struct hook *h, const char *path)
{
	struct collect_arg *c = arg;
	auto_close int fd = bpf_obj_get(path);
	struct link_facts lf;

	if (fd < 0 || hooks_link_facts(fd, &lf) || lf.ifindex)
		return 0; /* deleted meanwhile, or well */
	if (unlink(path))
		return 0;
	c->n++;
	if (c->gone)
		c->gone(c->arg, h);
	return 0;
}

int hooks_collect(struct hooks *t, void (*gone)(void *arg, const struct hook *h), void *arg)
{
	struct collect_arg c = { .gone = gone, .arg = arg };
	int r;

	pthread_mutex_lock(&t->lock);
	r = dir_walk(t, "links", collect_one, &c);
	pthread_mutex_unlock(&t->lock);
	return r < 0 ? r : c.n;
}

/* ---- in the device's namespace -------------------------------------------------------------- */

struct inside {
	const struct hook *h;
	int prog_fd;
	uint32_t flags;
	uint32_t prog_id, ahead;
};

static enum bpf_attach_type attach_type(const struct hook *h)
{
	return h->dir == HOOK_XDP ? BPF_XDP : h->dir == HOOK_INGRESS ? CW_TCX_INGRESS : CW_TCX_EGRESS;
}

static int inside_link_create(void *arg)
{
	struct inside *in = arg;
	LIBBPF_OPTS(bpf_link_create_opts, o, .flags = in->flags);

	return bpf_link_create(in->prog_fd, (int)in->h->ifindex, attach_type(in->h), &o);
}

static int inside_ahead(void *arg)
{
	struct inside *in = arg;

	return hooks_ahead(in->h, in->prog_id, &in->ahead);
}

static int netns_is(int netns_fd, uint64_t ino)
{
	struct stat st;

	if (fstat(netns_fd, &st))
		return -errno;
	return st.st_ino == ino ? 0 : -EINVAL;
}

/* ---- tcx and XDP ----------------------------------------------------------------------------- */

/* A pinned link of ours that stands on the same hook of the same device, under any name. */
struct twin {
	const struct hook *h;
	char path[PATH_MAX];
	int fd;
	struct link_facts lf;
};

static int twin_find(void *arg, const struct hook *h, const char *path)
{
	struct twin *tw = arg;
	auto_close int fd = -1;
	struct link_facts lf;

	if (h->dir != tw->h->dir || h->netns != tw->h->netns || h->ifindex != tw->h->ifindex)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0 || hooks_link_facts(fd, &lf) || lf.ifindex != tw->h->ifindex)
		return 0;
	if (lf.type != (h->dir == HOOK_XDP ? BPF_LINK_TYPE_XDP : CW_LINK_TYPE_TCX))
		return 0;
	(void)snprintf(tw->path, sizeof(tw->path), "%s", path);
	tw->fd = take_fd(fd);
	tw->lf = lf;
	return 1;
}

/*
 * Adopts a standing link: its program is exchanged in place if it is not exactly the one
 * wanted (another endpoint number, another stub of an older release), and its pin renamed.
 */
static int twin_adopt(struct hooks *t, struct twin *tw, const struct hook *h, int prog_fd,
		      const char *path, struct hook_state *st)
{
	struct prog_facts want, have;
	int r = hooks_prog_facts(t, prog_fd, &want);

	if (r < 0)
		return r;
	r = hooks_prog_facts_id(t, tw->lf.prog_id, &have);
	if (r < 0 || memcmp(want.tag, have.tag, sizeof(want.tag)) || h->dir == HOOK_XDP || !have.ours) {
		r = bpf_link_update(tw->fd, prog_fd, NULL);
		if (r < 0)
			return r;
		have = want;
	}
	if (strcmp(tw->path, path) && rename(tw->path, path))
		return -errno;
	*st = (struct hook_state){
		.kind = h->dir == HOOK_XDP ? HOOK_KIND_XDP : HOOK_KIND_TCX,
		.prog_id = have.id, .link_id = tw->lf.id, .adopted = true,
	};
	return 0;
}

static int link_attach(struct hooks *t, const struct hook *h, int prog_fd, uint32_t flags,
		       enum hook_kind kind, int netns_fd, struct hook_state *ret)
{
	struct inside in = { .h = h, .prog_fd = prog_fd, .flags = flags };
	struct twin tw = { .h = h, .fd = -1 };
	auto_close int link_fd = -1;
	struct hook_state st = {};
	struct link_facts lf;
	char path[PATH_MAX];
	int r;

	r = hooks_path(t, "links", h, path);
	if (r < 0)
		return r;
	r = dir_walk(t, "links", twin_find, &tw);
	if (r < 0)
		return r;
	if (tw.fd >= 0) {
		r = twin_adopt(t, &tw, h, prog_fd, path, &st);
		close(tw.fd);
		if (r < 0)
			return r;
	} else {
		link_fd = netns_run(netns_fd, inside_link_create, &in);
		if (link_fd < 0)
			return link_fd;
		r = hooks_link_facts(link_fd, &lf);
		if (r < 0)
			return r;
		/* A pin of the name that stands is of a link that lost its device. */
		r = hooks_pin_over(t, link_fd, "links", path);
		if (r < 0)
			return r;
		st = (struct hook_state){ .kind = kind, .prog_id = lf.prog_id, .link_id = lf.id };
	}
	in.prog_id = st.prog_id;
	if (h->dir != HOOK_XDP && !netns_run(netns_fd, inside_ahead, &in))
		st.ahead = in.ahead;
	*ret = st;
	return 0;
}

static int xdp_stub_attach(struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret)
{
	auto_close int prog_fd = -1;

	if (!h->ep)
		return -EINVAL;
	if (t->xdp_entry_fd < 0)
		return -ENOTSUP;
	prog_fd = hooks_stub_load(t, h);
	return prog_fd < 0 ? prog_fd : hooks_attach_xdp(t, h, prog_fd, netns_fd, ret);
}

int hooks_attach(struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret)
{
	auto_close int prog_fd = -1;
	char name[HOOK_PIN_MAX + 1];
	int r = hook_pin_name(h, name);

	if (r < 0)
		return -EINVAL;
	if (h->dir == HOOK_XDP)
		return xdp_stub_attach(t, h, netns_fd, ret);
	r = netns_is(netns_fd, h->netns);
	if (r < 0)
		return r;
	if (!features_has(&t->feat, FEAT_TCX) && !features_has(&t->feat, FEAT_CLSACT))
		return -ENOTSUP;
	pthread_mutex_lock(&t->lock);
	if (features_has(&t->feat, FEAT_TCX)) {
		prog_fd = hooks_stub_load(t, h);
		r = prog_fd < 0 ? prog_fd :
		    link_attach(t, h, prog_fd, CW_F_BEFORE, HOOK_KIND_TCX, netns_fd, ret);
		/* One hook, one stub: a filter that an older kernel needed would judge a second time. */
		if (!r)
			(void)hooks_clsact_detach(t, h, netns_fd);
	} else {
		r = hooks_clsact_attach(t, h, netns_fd, ret);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

int hooks_attach_xdp(struct hooks *t, const struct hook *h, int prog_fd, int netns_fd,
		     struct hook_state *ret)
{
	static const struct { uint32_t flag; enum hook_kind kind; } ways[] = {
		{ 1u << 2 /* XDP_FLAGS_DRV_MODE */, HOOK_KIND_XDP_NATIVE },
		{ 1u << 1 /* XDP_FLAGS_SKB_MODE */, HOOK_KIND_XDP_GENERIC },
	};
	/* A shield saves work and is up for minutes. A verdict stays: on a veth the native way takes
	 * segmentation offload from the peer and a quarter of the throughput is left; the generic
	 * one, as early for packet sockets, costs next to nothing (measured, docs/networks.md). */
	size_t first = h->ep ? 1 : 0;
	char name[HOOK_PIN_MAX + 1];
	int r = hook_pin_name(h, name);

	if (r < 0 || h->dir != HOOK_XDP)
		return -EINVAL;
	r = netns_is(netns_fd, h->netns);
	if (r < 0)
		return r;
	if (!features_has(&t->feat, FEAT_XDP_LINK))
		return -ENOTSUP;
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		size_t k = i ^ first;

		r = link_attach(t, h, prog_fd, ways[k].flag, ways[k].kind, netns_fd, ret);
		if (!r || r == -EBUSY || r == -ENODEV)
			break;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

int hooks_check(struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret)
{
	auto_close int fd = -1;
	struct hook_state st = {};
	struct prog_facts pf;
	struct link_facts lf;
	char path[PATH_MAX];
	int r = hooks_path(t, "links", h, path);

	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return h->dir == HOOK_XDP ? HOOK_GONE : hooks_clsact_check(t, h, netns_fd, ret);
	if (fd < 0)
		return fd;
	r = hooks_link_facts(fd, &lf);
	if (r < 0)
		return r == -EINVAL ? HOOK_ALIEN : r; /* a map or program under our name */
	st.prog_id = lf.prog_id;
	st.link_id = lf.id;
	st.adopted = true;
	if (h->dir == HOOK_XDP) {
		if (lf.type != BPF_LINK_TYPE_XDP)
			return HOOK_ALIEN;
		st.kind = HOOK_KIND_XDP;
		if (h->ep) {
			r = hooks_prog_facts_id(t, lf.prog_id, &pf);
			if (r < 0)
				return r;
			if (!pf.ours)
				return HOOK_ALIEN;
		}
	} else {
		if (lf.type != CW_LINK_TYPE_TCX)
			return HOOK_ALIEN;
		st.kind = HOOK_KIND_TCX;
		r = hooks_prog_facts_id(t, lf.prog_id, &pf);
		if (r < 0)
			return r;
		if (!pf.ours)
			return HOOK_ALIEN;
	}
	if (lf.ifindex != h->ifindex)
		return HOOK_DETACHED;
	if (lf.type == CW_LINK_TYPE_TCX && netns_fd >= 0) {
		struct inside in = { .h = h, .prog_id = lf.prog_id };

		if (!netns_run(netns_fd, inside_ahead, &in))
			st.ahead = in.ahead;
	}
	*ret = st;
	return st.ahead ? HOOK_OVERTAKEN : HOOK_OK;
}

int hooks_detach(struct hooks *t, const struct hook *h, int netns_fd)
{
	auto_close int fd = -1;
	char path[PATH_MAX];
	int r = hooks_path(t, "links", h, path);

	if (r < 0)
		return r;
	pthread_mutex_lock(&t->lock);
	fd = bpf_obj_get(path);
	if (fd >= 0)
		(void)bpf_link_detach(fd); /* at once; an unlink alone is carried out later */
	if (unlink(path) && errno != ENOENT)
		r = -errno;
	if (!r && h->dir != HOOK_XDP)
		r = hooks_clsact_detach(t, h, netns_fd);
	pthread_mutex_unlock(&t->lock);
	return r;
}
