/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_parts.c - stubs, pins and what the kernel tells about both. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loader/bpf_more.h"
#include "loader/hooks_priv.h"

#define STUB_MAPS_MAX 4u	/* a stub uses one map: more is not a stub */
#define HOOK_PROGS_MAX 64u	/* the kernel's limit of programs on one hook */

int hooks_path(const struct hooks *t, const char *dir, const struct hook *h, char out[PATH_MAX])
{
	char name[HOOK_PIN_MAX + 1];
	int r = hook_pin_name(h, name);

	if (r < 0)
		return r;
	r = snprintf(out, PATH_MAX, "%s/%s/%s", t->root, dir, name);
	return r < 0 || r >= PATH_MAX ? -EINVAL : 0;
}

int hooks_stub_load(const struct hooks *t, const struct hook *h)
{
	struct bpf_insn insns[HOOK_STUB_INSNS];
	bool xdp = h->dir == HOOK_XDP;
	int n = hook_stub_insns(h, xdp ? t->xdp_entry_fd : t->entry_fd, insns);
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = BPF_XDP, .prog_flags = CW_F_XDP_FRAGS);

	if (xdp)
		return bpf_prog_load(BPF_PROG_TYPE_XDP, HOOK_PROG_NAME, "Dual BSD/GPL", insns, (size_t)n, &o);
	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, HOOK_PROG_NAME, "Dual BSD/GPL", insns,
			     (size_t)n, NULL);
}

int hooks_prog_facts(const struct hooks *t, int prog_fd, struct prog_facts *ret)
{
	uint32_t ids[STUB_MAPS_MAX] = {};
	struct bpf_prog_info info = { .nr_map_ids = STUB_MAPS_MAX, .map_ids = (uintptr_t)ids };
	uint32_t len = sizeof(info);
	struct prog_facts f = {};
	int r = bpf_obj_get_info_by_fd(prog_fd, &info, &len);

	if (r < 0)
		return r;
	f.id = info.id;
	memcpy(f.tag, info.tag, sizeof(f.tag));
	f.ours = info.nr_map_ids == 1 &&
		 ((info.type == BPF_PROG_TYPE_SCHED_CLS && ids[0] == t->entry_id) ||
		  (info.type == BPF_PROG_TYPE_XDP && t->xdp_entry_id && ids[0] == t->xdp_entry_id)) &&
		 !strncmp(info.name, HOOK_PROG_NAME, sizeof(info.name));
	*ret = f;
	return 0;
}

int hooks_prog_facts_id(const struct hooks *t, uint32_t prog_id, struct prog_facts *ret)
{
	auto_close int fd = bpf_prog_get_fd_by_id(prog_id);

	return fd < 0 ? fd : hooks_prog_facts(t, fd, ret);
}

int hooks_link_facts(int link_fd, struct link_facts *ret)
{
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info), dev[2];
	int r = bpf_obj_get_info_by_fd(link_fd, &info, &len);

	if (r < 0)
		return r;
	/* The system's header may be older than tcx: its part of the union is ifindex, attach type. */
	memcpy(dev, &info.netns, sizeof(dev));
	*ret = (struct link_facts){ .type = info.type, .id = info.id, .prog_id = info.prog_id };
	if (info.type == CW_LINK_TYPE_TCX || info.type == BPF_LINK_TYPE_XDP)
		ret->ifindex = dev[0];
	if (info.type == CW_LINK_TYPE_TCX)
		ret->attach_type = dev[1];
	return 0;
}

int hooks_pin_over(const struct hooks *t, int fd, const char *dir, const char *path)
{
	static atomic_uint serial;
	char tmp[PATH_MAX];
	int r = snprintf(tmp, sizeof(tmp), "%s/%s/new-%d-%u", t->root, dir, (int)getpid(),
			 atomic_fetch_add(&serial, 1));

	if (r < 0 || (size_t)r >= sizeof(tmp))
		return -EINVAL;
	(void)unlink(tmp); /* of a process that died under the same number */
	r = bpf_obj_pin(fd, tmp);
	if (r < 0)
		return r;
	if (rename(tmp, path)) {
		r = -errno;
		(void)unlink(tmp);
		return r;
	}
	return 0;
}

int hooks_ahead(const struct hook *h, uint32_t prog_id, uint32_t *ret)
{
	uint32_t ids[HOOK_PROGS_MAX], n = HOOK_PROGS_MAX;
	enum bpf_attach_type at = h->dir == HOOK_INGRESS ? CW_TCX_INGRESS : CW_TCX_EGRESS;
	int r = bpf_prog_query((int)h->ifindex, at, 0, NULL, ids, &n);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n && i < HOOK_PROGS_MAX; i++) {
		if (ids[i] == prog_id) {
			*ret = i;
			return 0;
		}
	}
	return -ENOENT;
}
