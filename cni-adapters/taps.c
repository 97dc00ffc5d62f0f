/* SPDX-License-Identifier: Apache-2.0 */
/*
 * taps.c - who takes frames from the node's devices by packet sockets.
 *
 * A packet socket has its copy of a frame before the TC ingress hook speaks (measured: a program
 * that drops everything there stops nothing of what a switch in user space forwards). Someone who
 * only looks, like a packet dump, changes nothing; so the owner's name tells a switch from the rest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "cni-adapters/adapter.h"

#define TAPS_MAX 65536u
#define TAPS_TEXT_MAX (8u << 20)
#define FDS_MAX 1048576u

/* Programs that forward what they take by packet sockets, by the name of their process. */
static const char *const switches[] = { "ovs-vswitchd", "vpp", "vpp_main" };

int cni_taps_parse(const char *packet, bool (*forwards)(void *arg, uint64_t inode), void *arg,
		   struct cni_tap **ret, size_t *ret_n)
{
	struct { struct cni_tap *v; size_t n, cap; } all = { };
	const char *s = strchr(packet, '\n'); /* the head line */

	/* sk RefCnt Type Proto Iface R Rmem User Inode */
	while (s && *++s && all.n < TAPS_MAX) {
		unsigned proto = 0, iface = 0, running = 0;
		uint64_t inode = 0;
		char line[256];
		size_t n = strcspn(s, "\n");

		if (n < sizeof(line)) {
			memcpy(line, s, n);
			line[n] = 0;
			if (sscanf(line, "%*s %*u %*u %x %u %u %*u %*u %" SCNu64, &proto, &iface, &running,
				   &inode) == 4 &&
			    proto == ETH_P_ALL && iface && running) {
				struct cni_tap t = { .ifindex = iface, .forwards = forwards(arg, inode) };

				if (vec_push(&all, t)) {
					vec_done(&all);
					return -ENOMEM;
				}
			}
		}
		s = strchr(s, '\n');
	}
	*ret = all.v;
	*ret_n = all.n;
	return 0;
}

/* ---- the running system ---------------------------------------------------------------------------- */

struct inodes { uint64_t *v; size_t n, cap; };

static bool is_switch(const char *pid)
{
	char path[64], name[32];
	ssize_t n;

	if (snprintf(path, sizeof(path), "/proc/%.20s/comm", pid) >= (int)sizeof(path))
		return false;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
	if (n <= 0)
		return false;
	name[n] = 0;
	name[strcspn(name, "\n")] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (!strcmp(name, switches[i]))
			return true;
	return false;
}

/* Every socket of the process. */
static int take_sockets(const char *pid, struct inodes *to)
{
	char path[64], link[64];
	struct dirent *e;
	size_t seen = 0;
	int r = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	d = opendir(path);
	if (!d)
		return 0; /* gone, or not ours to look at */
	while (!r && (e = readdir(d)) && seen++ < FDS_MAX) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
		uint64_t inode;

		if (n <= 0)
			continue;
		link[n] = 0;
		if (sscanf(link, "socket:[%" SCNu64 "]", &inode) == 1)
			r = vec_push(to, inode);
	}
	closedir(d);
	return r;
}

static int switch_sockets(struct inodes *to)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (!r && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && is_switch(e->d_name))
			r = take_sockets(e->d_name, to);
	closedir(d);
	return r;
}

struct owners { struct inodes of; bool asked; };

static bool of_switch(void *arg, uint64_t inode)
{
	struct owners *o = arg;

	if (!o->asked) { /* a walk over all processes: only where there is a reason to */
		o->asked = true;
		(void)switch_sockets(&o->of);
	}
	for (size_t i = 0; i < o->of.n; i++)
		if (o->of.v[i] == inode)
			return true;
	return false;
}

int cni_taps_read(struct cni_tap **ret, size_t *ret_n)
{
	auto_free char *text = NULL;
	struct owners o = { };
	size_t n;
	int r = read_all_path("/proc/thread-self/net/packet", TAPS_TEXT_MAX, &text, &n);

	if (r < 0)
		return r;
	r = cni_taps_parse(text, of_switch, &o, ret, ret_n);
	vec_done(&o.of);
	return r;
}
