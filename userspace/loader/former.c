/* SPDX-License-Identifier: Apache-2.0 */
/* former.c - reading a set of maps that another process left. */
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

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
		return -errno;
	o->fds[o->n++] = r;
	return r;
}

void loader_old_close(struct loader_old *o)
{
	while (o->n)
		close(o->fds[--o->n]);
}

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
	if (bpf_map_lookup_elem(s->entry_fd, &slot, &id) || !id)
		return errno == ENOENT || !id ? 0 : -errno; /* an empty slot: nothing is in force */
	prog = bpf_prog_get_fd_by_id(id);
	map = bpf_obj_get(path);
	if (prog < 0 || map < 0)
		return map < 0 && errno == ENOENT ? 0 : -errno;
	len = sizeof(mi);
	if (bpf_obj_get_info_by_fd(map, &mi, &len))
		return -errno;
	pi.nr_map_ids = ARRAY_SIZE(ids);
	pi.map_ids = (__u64)(uintptr_t)ids;
	len = sizeof(pi);
	if (bpf_obj_get_info_by_fd(prog, &pi, &len))
		return -errno;
	for (__u32 i = 0; i < pi.nr_map_ids && i < ARRAY_SIZE(ids); i++)
		if (ids[i] == mi.id)
			return 1;
	return 0;
}
