/* SPDX-License-Identifier: Apache-2.0 */
/* former.c - sets of maps that another process left: list, read, remove. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cw_abi.h"
#include "loader/object_priv.h"

int loader_old_fd_of(void *arg, const char *map)
{
	struct loader_old *o = arg;
	char path[PATH_MAX];
	int r = pin_path(path, "%s/%s/map_%s", o->set->root, o->name, map);

	if (r < 0)
		return r;
	if (o->n == ARRAY_SIZE(o->fds))
		return -ENOSPC;
	r = bpf_obj_get(path);
	if (r < 0)
		return r;
	o->fds[o->n++] = r;
	return r;
}

void loader_old_close(struct loader_old *o)
{
	while (o->n)
		close(o->fds[--o->n]);
}

/* The program in the entry slot uses a map of that set: looking a slot up gives a program id. */
int loader_old_in_force(const struct loader_set *s, const char *name)
{
	struct bpf_map_info mi = { };
	struct bpf_prog_info pi = { };
	auto_close int map = -1, prog = -1;
	__u32 slot = CW_ENTRY_TC, id = 0, ids[64] = { }, len;
	char path[PATH_MAX];
	int r = pin_path(path, "%s/%s/map_cw_ctl", s->root, name);

	if (r < 0)
		return r;
	r = bpf_map_lookup_elem(s->entry_fd, &slot, &id);
	if (r < 0 || !id)
		return r == -ENOENT || !r ? 0 : r; /* an empty slot: nothing is in force */
	map = bpf_obj_get(path);
	if (map < 0)
		return map == -ENOENT ? 0 : map;
	prog = bpf_prog_get_fd_by_id(id);
	if (prog < 0)
		return prog;
	len = sizeof(mi);
	r = bpf_obj_get_info_by_fd(map, &mi, &len);
	if (r < 0)
		return r;
	pi.nr_map_ids = ARRAY_SIZE(ids);
	pi.map_ids = (__u64)(uintptr_t)ids;
	len = sizeof(pi);
	r = bpf_obj_get_info_by_fd(prog, &pi, &len);
	if (r < 0)
		return r;
	for (__u32 i = 0; i < pi.nr_map_ids && i < ARRAY_SIZE(ids); i++)
		if (ids[i] == mi.id)
			return 1;
	return 0;
}

struct old_arg {
	const struct loader_set *s;
	struct old_name { char name[SET_NAME_MAX]; uint32_t n; } v[64]; /* far more than upgrades leave */
	size_t n;
};

static int old_one(void *arg, const char *name)
{
	struct old_arg *o = arg;
	uint64_t layout;
	uint32_t abi, n;

	if (o->n == ARRAY_SIZE(o->v) || set_name_parse(name, &abi, &layout, &n) || !strcmp(name, o->s->name))
		return 0;
	o->v[o->n].n = n;
	(void)snprintf(o->v[o->n++].name, SET_NAME_MAX, "%s", name);
	return 0;
}

static int old_cmp(const void *a, const void *b)
{
	const struct old_name *x = a, *y = b;

	return x->n < y->n ? 1 : x->n > y->n ? -1 : strcmp(x->name, y->name);
}

int loader_old_list(const struct loader_set *s, int (*fn)(void *arg, const char *name), void *arg)
{
	struct old_arg o = { .s = s };
	int r = pin_dir_walk(s->root, old_one, &o);

	if (o.n)
		qsort(o.v, o.n, sizeof(o.v[0]), old_cmp);
	for (size_t i = 0; !r && i < o.n; i++)
		r = fn(arg, o.v[i].name);
	return r;
}

int loader_old_remove(const struct loader_set *s, const char *name)
{
	char path[PATH_MAX];
	uint64_t layout;
	uint32_t abi, n;
	int r = set_name_parse(name, &abi, &layout, &n);

	if (r < 0)
		return r;
	if (!strcmp(name, s->name))
		return -EBUSY;
	r = pin_path(path, "%s/%s", s->root, name);
	return r < 0 ? r : pin_dir_remove(path);
}
