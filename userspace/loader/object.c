/* SPDX-License-Identifier: Apache-2.0 */
/* object.c - one set of maps and programs: make or adopt, pin, activate. */
#include "loader/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "cw_abi.h"
#include "loader/grace.h"
#include "loader/layout.h"
#include "loader/object_priv.h"

#define ENTRY_MAP "cw_entry"
#define ENTRY_PIN "entry"
#define ENTRY_XDP_PIN "entry_xdp"
#define CTL_MAP "cw_ctl"
#define RUN_MAX 1000000u

static void set_freep(struct loader_set **s)
{
	loader_set_free(*s);
}

void loader_set_free(struct loader_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nadded; i++)
		bpf_object__close(s->added[i]);
	bpf_object__close(s->obj);
	if (s->entry_fd >= 0)
		close(s->entry_fd);
	if (s->xdp_entry_fd >= 0)
		close(s->xdp_entry_fd);
	free(s);
}

/* ---- entry ------------------------------------------------------------------------------------ */

static int entry_check(int fd)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (r < 0)
		return r;
	return info.type == BPF_MAP_TYPE_PROG_ARRAY && info.max_entries >= CW_ENTRY_SLOTS ? 0 : -EPROTO;
}

static int entry_open(const char *root, const char *name, bool create, int *ret_fd)
{
	char path[PATH_MAX];
	auto_close int fd = -1;
	int r = pin_path(path, "%s/%s", root, name);

	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	if (fd == -ENOENT && create) {
		fd = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, ENTRY_MAP, 4, 4, CW_ENTRY_SLOTS, NULL);
		if (fd < 0)
			return fd;
		r = bpf_obj_pin(fd, path);
		if (r < 0)
			return r;
	}
	if (fd < 0)
		return fd;
	r = entry_check(fd);
	if (r < 0)
		return r == -EINVAL ? -EPROTO : r; /* not a map at all */
	*ret_fd = take_fd(fd);
	return 0;
}

int loader_entry_open(const char *root, int *ret_fd)
{
	return entry_open(root ? root : CW_PIN_ROOT, ENTRY_PIN, false, ret_fd);
}

int loader_entry_clear(const char *root)
{
	static const char *const pins[] = { ENTRY_PIN, ENTRY_XDP_PIN };
	int all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pins); i++) {
		auto_close int fd = -1;
		uint32_t slot = CW_ENTRY_TC;
		int r = entry_open(root ? root : CW_PIN_ROOT, pins[i], false, &fd);

		if (!r)
			r = bpf_map_delete_elem(fd, &slot);
		if (r < 0 && r != -ENOENT)
			all = r;
	}
	return all;
}

/* ---- names of sets ---------------------------------------------------------------------------- */

int set_name_parse(const char *name, uint32_t *ret_abi, uint64_t *ret_layout, uint32_t *ret_n)
{
	char again[SET_NAME_MAX];
	unsigned abi, n;
	unsigned long long layout;
	int used = 0;

	if (strlen(name) >= SET_NAME_MAX ||
	    sscanf(name, "v%9u-%16llx-%9u%n", &abi, &layout, &n, &used) != 3 || name[used])
		return -EINVAL;
	(void)snprintf(again, sizeof(again), "v%u-%016llx-%u", abi, layout, n);
	if (strcmp(again, name))
		return -EINVAL;
	*ret_abi = abi;
	*ret_layout = layout;
	*ret_n = n;
	return 0;
}

/* Numbers grow over all layouts, so that the highest is the set made last. */
struct newest {
	uint64_t layout;
	uint32_t abi, n;	/* n 0: none */
};

static int newest_one(void *arg, const char *name)
{
	struct newest *nw = arg;
	uint64_t layout;
	uint32_t abi, n;

	if (!set_name_parse(name, &abi, &layout, &n) && n > nw->n)
		*nw = (struct newest){ .layout = layout, .abi = abi, .n = n };
	return 0;
}

static int run_one(void *arg, const char *name)
{
	unsigned *max = arg;
	uint32_t n;

	if (!strncmp(name, "run-", 4) && !parse_u32(name + 4, 0, RUN_MAX, &n) && n > *max)
		*max = n;
	return 0;
}

static int stage_one(void *arg, const char *name)
{
	const char *root = arg;
	char path[PATH_MAX];

	if (!strncmp(name, "new-", 4) && !pin_path(path, "%s/%s", root, name))
		(void)pin_dir_remove(path); /* of a load that was killed: nothing runs from it */
	return 0;
}

/* ---- shapes ----------------------------------------------------------------------------------- */

static int sizes_set(struct bpf_object *obj, const struct loader_config *cfg, struct fail_list *f)
{
	for (size_t i = 0; i < cfg->nsizes; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(obj, cfg->sizes[i].map);
		int r;

		if (!m)
			return fail_add(f, -ENOENT, "bpf.map-size", NULL, NULL, NULL,
					"the image has no map '%s'", cfg->sizes[i].map);
		r = bpf_map__set_max_entries(m, cfg->sizes[i].max_entries);
		if (r < 0)
			return fail_add(f, r, "bpf.map-size", NULL, NULL, NULL,
					"map '%s' cannot have %u entries", cfg->sizes[i].map,
					cfg->sizes[i].max_entries);
	}
	return 0;
}

static bool map_fits(const struct bpf_map *m, int fd)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == bpf_map__type(m) &&
	       info.key_size == bpf_map__key_size(m) && info.value_size == bpf_map__value_size(m) &&
	       info.map_flags == bpf_map__map_flags(m) && info.max_entries == bpf_map__max_entries(m);
}

/* A control block that was never written (0) or of our version. */
static bool ctl_fits(const struct bpf_map *m, int fd)
{
	uint32_t zero = 0;
	auto_free uint32_t *value = calloc(1, bpf_map__value_size(m) + sizeof(uint32_t));

	return value && !bpf_map_lookup_elem(fd, &zero, value) &&
	       (!*value || *value == CW_ABI_VERSION);
}

/* Takes over every map of a standing set, or none. -ESTALE: the set is not whole or not ours. */
static int maps_adopt(struct bpf_object *obj, const char *dir)
{
	char path[PATH_MAX];
	struct bpf_map *m;
	int r;

	bpf_object__for_each_map(m, obj) {
		auto_close int fd = -1;

		if (!layout_is_set_map(m))
			continue;
		r = pin_path(path, "%s/map_%s", dir, bpf_map__name(m));
		if (r < 0)
			return r;
		fd = bpf_obj_get(path);
		if (fd < 0)
			return fd == -ENOENT ? -ESTALE : fd;
		if (!map_fits(m, fd) || (!strcmp(bpf_map__name(m), CTL_MAP) && !ctl_fits(m, fd)))
			return -ESTALE;
		r = bpf_map__reuse_fd(m, fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static int entry_bind(struct bpf_object *obj, int entry_fd)
{
	struct bpf_map *m = bpf_object__find_map_by_name(obj, ENTRY_MAP);

	return m ? bpf_map__reuse_fd(m, entry_fd) : 0;
}

/* ---- pins --------------------------------------------------------------------------------------- */

/* The programs of a load and the maps that live and die with them. */
static int run_pin(struct bpf_object *obj, const char *dir)
{
	struct bpf_program *p;
	char path[PATH_MAX];
	struct bpf_map *m;
	int r = 0;

	bpf_object__for_each_program(p, obj) {
		r = pin_path(path, "%s/prog_%s", dir, bpf_program__name(p));
		if (r >= 0)
			r = bpf_obj_pin(bpf_program__fd(p), path);
		if (r < 0)
			return r;
	}
	bpf_object__for_each_map(m, obj) {
		if (bpf_map__is_internal(m) || !strcmp(bpf_map__name(m), ENTRY_MAP) ||
		    bpf_map__type(m) != BPF_MAP_TYPE_PROG_ARRAY)
			continue;
		r = pin_path(path, "%s/map_%s", dir, bpf_map__name(m));
		if (r >= 0)
			r = bpf_obj_pin(bpf_map__fd(m), path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_make(struct loader_set *s, const char *set_dir)
{
	char dir[PATH_MAX];
	int r = pin_path(dir, "%s/run-%u", set_dir, s->run);

	if (r < 0)
		return r;
	if (mkdir(dir, 0700))
		return -errno;
	r = run_pin(s->obj, dir);
	if (r < 0)
		(void)pin_dir_remove(dir);
	return r;
}

/* Everything of a fresh set goes to a staging directory, which then gets its name at once. */
static int fresh_pin(struct loader_set *s)
{
	char stage[PATH_MAX], final[PATH_MAX], path[PATH_MAX];
	struct bpf_map *m;
	int r;

	if (pin_path(stage, "%s/new-%d", s->root, (int)getpid()) ||
	    pin_path(final, "%s/%s", s->root, s->name))
		return -ENAMETOOLONG;
	if (mkdir(stage, 0700))
		return -errno;
	bpf_object__for_each_map(m, s->obj) {
		if (!layout_is_set_map(m))
			continue;
		r = pin_path(path, "%s/map_%s", stage, bpf_map__name(m));
		if (r >= 0)
			r = bpf_obj_pin(bpf_map__fd(m), path);
		if (r < 0)
			goto undo;
	}
	r = run_make(s, stage);
	if (!r && rename(stage, final))
		r = -errno;
	if (!r)
		return 0;
undo:
	(void)pin_dir_remove(stage);
	return r;
}

/* ---- load --------------------------------------------------------------------------------------- */

/* Opens and prepares the image; with dir, over the maps that stand there. */
static int object_prepare(struct loader_set *s, const struct loader_image *img,
			  const struct loader_config *cfg, const char *dir, struct fail_list *f)
{
	int r;

	bpf_object__close(s->obj);
	s->obj = NULL;
	r = image_open(img, f, &s->obj);
	if (r < 0)
		return r;
	r = sizes_set(s->obj, cfg, f);
	if (r < 0)
		return r;
	r = rodata_set(s->obj, cfg->consts, cfg->nconsts, f);
	if (r < 0)
		return r;
	r = entry_bind(s->obj, s->entry_fd);
	if (r < 0)
		return load_fail(f, r, img, "the entry array does not fit the image");
	return dir ? maps_adopt(s->obj, dir) : 0;
}

static int set_choose(struct loader_set *s, const struct loader_image *img,
		      const struct loader_config *cfg, struct fail_list *f)
{
	struct newest nw = {};
	char dir[PATH_MAX];
	uint64_t layout;
	int r = object_prepare(s, img, cfg, NULL, f);

	if (r < 0)
		return r;
	r = layout_hash(s->obj, &layout);
	if (r < 0)
		return load_fail(f, r, img, "the layout of its maps cannot be told");
	r = pin_dir_walk(s->root, newest_one, &nw);
	if (r < 0)
		return r;
	/* Only the newest: what an older set of the same layout holds was overtaken long ago. */
	if (nw.n && nw.abi == CW_ABI_VERSION && nw.layout == layout && !cfg->fresh) {
		(void)snprintf(s->name, sizeof(s->name), "v%u-%016llx-%u", CW_ABI_VERSION,
			       (unsigned long long)layout, nw.n);
		r = pin_path(dir, "%s/%s", s->root, s->name);
		if (!r)
			r = object_prepare(s, img, cfg, dir, f);
		if (!r) {
			s->adopted = true;
			return pin_dir_walk(dir, run_one, &s->run);
		}
		if (r != -ESTALE)
			return r;
		r = object_prepare(s, img, cfg, NULL, f); /* drops what was bound by then */
		if (r < 0)
			return r;
	}
	(void)snprintf(s->name, sizeof(s->name), "v%u-%016llx-%u", CW_ABI_VERSION,
		       (unsigned long long)layout, nw.n + 1);
	return 0;
}

int loader_set_load(const struct loader_image *img, const struct loader_config *cfg,
		    struct fail_list *f, struct loader_set **ret)
{
	auto_cleanup(set_freep) struct loader_set *s = calloc(1, sizeof(*s));
	char dir[PATH_MAX];
	int r;

	if (!s)
		return -ENOMEM;
	s->entry_fd = s->xdp_entry_fd = -1;
	if (snprintf(s->root, sizeof(s->root), "%s", cfg->root ? cfg->root : CW_PIN_ROOT) >= (int)sizeof(s->root) ||
	    snprintf(s->main_prog, sizeof(s->main_prog), "%s", cfg->main_prog ? cfg->main_prog : "cw_main") >=
	    (int)sizeof(s->main_prog))
		return -ENAMETOOLONG;
	r = pin_root_check(s->root);
	if (r < 0)
		return fail_add(f, r, "bpf.root", s->root, "a directory on a BPF file system",
				"mount -t bpf bpf /sys/fs/bpf", "cannot keep maps and programs here");
	(void)pin_dir_walk(s->root, stage_one, s->root);
	r = entry_open(s->root, ENTRY_PIN, true, &s->entry_fd);
	if (r < 0)
		return fail_add(f, r, "bpf.entry", s->root, "a program array named entry", NULL,
				"cannot use the entry array: %s", strerror(-r));
	r = set_choose(s, img, cfg, f);
	if (r < 0)
		return r;
	if (!bpf_object__find_program_by_name(s->obj, s->main_prog))
		return fail_add(f, -ENOENT, "bpf.load", img->name, NULL, NULL,
				"the image has no program '%s'", s->main_prog);
	r = bpf_object__load(s->obj);
	if (r < 0)
		return load_fail(f, r, img, "the kernel refused it");
	s->run++;
	if (s->adopted) {
		r = pin_path(dir, "%s/%s", s->root, s->name);
		if (!r)
			r = run_make(s, dir);
	} else {
		r = fresh_pin(s);
	}
	if (r < 0)
		return fail_add(f, r, "bpf.pin", s->root, NULL, NULL, "cannot pin: %s", strerror(-r));
	*ret = take_ptr(s);
	return 0;
}

int loader_set_add(struct loader_set *s, const struct loader_image *img,
		   const struct loader_const *consts, size_t nconsts, struct fail_list *f)
{
	struct bpf_object *obj = NULL;
	struct bpf_map *m, *own;
	char dir[PATH_MAX];
	int r;

	if (s->nadded >= LOADER_ADDED_MAX)
		return -ENOSPC;
	r = image_open(img, f, &obj);
	if (r < 0)
		return r;
	r = rodata_set(obj, consts, nconsts, f);
	if (r < 0)
		goto out;
	bpf_object__for_each_map(m, obj) {
		if (!layout_is_set_map(m))
			continue;
		own = bpf_object__find_map_by_name(s->obj, bpf_map__name(m));
		if (!own)
			continue;
		/* The set's size rules; everything else must be the same. */
		r = bpf_map__set_max_entries(m, bpf_map__max_entries(own));
		if (!r && !map_fits(m, bpf_map__fd(own)))
			r = fail_add(f, -EPROTO, "bpf.load", img->name, NULL, NULL,
				     "map '%s' has another shape than the set's", bpf_map__name(m));
		if (!r)
			r = bpf_map__reuse_fd(m, bpf_map__fd(own));
		if (r < 0)
			goto out;
	}
	r = bpf_object__load(obj);
	if (r < 0) {
		r = load_fail(f, r, img, "the kernel refused it");
		goto out;
	}
	r = pin_path(dir, "%s/%s/run-%u/%s", s->root, s->name, s->run, img->name);
	if (!r && mkdir(dir, 0700))
		r = -errno;
	if (!r)
		r = run_pin(obj, dir);
	if (r < 0)
		goto out;
	s->added[s->nadded++] = take_ptr(obj);
out:
	bpf_object__close(obj);
	return r;
}

/* ---- in force ------------------------------------------------------------------------------------- */

struct sweep {
	const struct loader_set *s;
	const char *dir;
};

static int sweep_one(void *arg, const char *name)
{
	const struct sweep *sw = arg;
	char path[PATH_MAX];
	uint32_t n;

	if (strncmp(name, "run-", 4) || parse_u32(name + 4, 0, RUN_MAX, &n) || n == sw->s->run)
		return 0;
	return pin_path(path, "%s/%s", sw->dir, name) ? 0 : pin_dir_remove(path);
}

int loader_set_activate(struct loader_set *s)
{
	uint32_t slot = CW_ENTRY_TC;
	int fd = loader_set_prog_fd(s, s->main_prog), r;
	struct sweep sw = { .s = s };
	char dir[PATH_MAX];

	if (fd < 0)
		return fd;
	r = bpf_map_update_elem(s->entry_fd, &slot, &fd, BPF_ANY);
	if (!r && s->xdp_entry_fd >= 0) {
		fd = loader_set_prog_fd(s, s->xdp_prog);
		r = bpf_map_update_elem(s->xdp_entry_fd, &slot, &fd, BPF_ANY);
	}
	if (r < 0)
		return r;
	r = grace_wait();
	if (r < 0)
		return r;
	r = pin_path(dir, "%s/%s", s->root, s->name);
	if (r < 0)
		return r;
	sw.dir = dir;
	return pin_dir_walk(dir, sweep_one, &sw);
}

bool loader_set_in_force(const struct loader_set *s)
{
	return loader_old_in_force(s, s->name) > 0;
}

bool loader_set_adopted(const struct loader_set *s)
{
	return s->adopted;
}

const char *loader_set_name(const struct loader_set *s)
{
	return s->name;
}

int loader_set_entry_fd(const struct loader_set *s)
{
	return s->entry_fd;
}

int loader_set_use_xdp(struct loader_set *s, const char *prog, int *ret_fd)
{
	int r = loader_set_prog_fd(s, prog);

	if (r < 0)
		return r;
	if (strlen(prog) >= sizeof(s->xdp_prog))
		return -ENAMETOOLONG;
	if (s->xdp_entry_fd < 0) {
		r = entry_open(s->root, ENTRY_XDP_PIN, true, &s->xdp_entry_fd);
		if (r < 0)
			return r;
	}
	(void)snprintf(s->xdp_prog, sizeof(s->xdp_prog), "%s", prog);
	*ret_fd = s->xdp_entry_fd;
	return 0;
}

int loader_set_map_fd(const struct loader_set *s, const char *map)
{
	const struct bpf_map *m = bpf_object__find_map_by_name(s->obj, map);

	for (size_t i = 0; !m && i < s->nadded; i++)
		m = bpf_object__find_map_by_name(s->added[i], map);
	return m ? bpf_map__fd(m) : -ENOENT;
}

int loader_fd_of(void *set, const char *map)
{
	return loader_set_map_fd(set, map);
}

int loader_set_prog_fd(const struct loader_set *s, const char *prog)
{
	const struct bpf_program *p = bpf_object__find_program_by_name(s->obj, prog);

	for (size_t i = 0; !p && i < s->nadded; i++)
		p = bpf_object__find_program_by_name(s->added[i], prog);
	return p ? bpf_program__fd(p) : -ENOENT;
}

/* ---- uninstall ------------------------------------------------------------------------------------ */

int loader_uninstall(const char *root)
{
	static const char *const first[] = { "links", "stubs", "clsact" };
	char path[PATH_MAX];
	int r;

	if (!root)
		root = CW_PIN_ROOT;
	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		r = pin_path(path, "%s/%s", root, first[i]);
		if (!r)
			r = pin_dir_remove(path);
		if (r < 0)
			return r;
	}
	return pin_dir_remove(root);
}
