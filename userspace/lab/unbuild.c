/* SPDX-License-Identifier: Apache-2.0 */
/* unbuild.c - taking a lab down by what is there, not by what was meant to be: processes by their
 * command line, namespaces by the folder, links through their namespace. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strparse.h"
#include "lab/build.h"
#include "lab/plan.h"
#include "net/netns.h"

#define NAMESPACES_MAX 64u
#define SETTLE_MS 2000

struct inodes {
	ino_t v[NAMESPACES_MAX];
	size_t n;
};

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Removing the host ends removes the pairs, also where a foreign process keeps a namespace alive. */
static void links_remove(const struct lab_dirs *d)
{
	char path[LAB_PATH_MAX], lines[4096];
	size_t at = 0;

	for (size_t i = 0; i < LAB_OUTSIDE_AT; i++)
		at += (size_t)snprintf(lines + at, sizeof(lines) - at, "link del v-%s\n", lab_workloads[i].name);
	snprintf(lines + at, sizeof(lines) - at, "link del up0\nlink del " LAB_BRIDGE "\n");
	(void)lab_ip(lab_netns_path(d, LAB_NODE, path), lines, true, NULL); /* absent ones are no fault */
}

static int count_links(void *arg)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_index; i++)
		*(size_t *)arg += strcmp(i->if_name, "lo") != 0;
	if_freenameindex(all);
	return 0;
}

static size_t links_in(const char *path)
{
	auto_close int fd = -1;
	size_t n = 0;

	if (netns_open_path(path, &fd) == 0)
		(void)netns_run(fd, count_links, &n);
	return n;
}

static void namespaces_remove(const struct lab_dirs *d, struct inodes *ino, struct lab_unbuilt *ret)
{
	auto_cleanup(closedirp) DIR *dir = opendir(d->netns);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[LAB_PATH_MAX + NAME_MAX + 2];
		struct stat st;
		bool mounted = false;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", d->netns, e->d_name);
		if (!stat(path, &st) && ino->n < NAMESPACES_MAX)
			ino->v[ino->n++] = st.st_ino;
		ret->left_links += links_in(path);
		while (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW)) /* once for each time it was stacked */
			mounted = true;
		ret->namespaces += mounted;
		if (unlink(path))
			ret->left_namespaces++;
		else
			ret->files++;
	}
}

/* What a builder that was killed while it wrote its state left beside it. */
static void half_written_remove(const struct lab_dirs *d, struct lab_unbuilt *ret)
{
	const char *base = strrchr(d->state, '/') + 1;
	auto_cleanup(closedirp) DIR *dir = opendir(d->dir);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char file[LAB_PATH_MAX + NAME_MAX + 2];

		if (strncmp(e->d_name, base, strlen(base)) || strncmp(e->d_name + strlen(base), ".tmp-", 5))
			continue;
		snprintf(file, sizeof(file), "%s/%s", d->dir, e->d_name);
		if (!unlink(file))
			ret->files++;
	}
}

static void folder_remove(const char *path, struct lab_unbuilt *ret)
{
	auto_cleanup(closedirp) DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char file[LAB_PATH_MAX + NAME_MAX + 2];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		if (unlink(file))
			ret->left_files++;
		else
			ret->files++;
	}
	if (dir && rmdir(path))
		ret->left_files++;
}

/* Processes that others started inside: a daemon in the node, a shell in a workload. */
static void foreign_find(const struct inodes *ino, struct lab_unbuilt *ret)
{
	auto_cleanup(closedirp) DIR *dir = opendir("/proc");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[64], name[32] = "?";
		auto_free char *comm = NULL;
		struct stat st;
		uint32_t pid;
		size_t len, at = strlen(ret->who);

		if (parse_u32(e->d_name, 1, INT32_MAX, &pid) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
		if (stat(path, &st))
			continue;
		for (size_t i = 0; i < ino->n; i++) {
			if (ino->v[i] != st.st_ino)
				continue;
			snprintf(path, sizeof(path), "/proc/%u/comm", pid);
			if (read_all_path(path, 64, &comm, &len) == 0)
				snprintf(name, sizeof(name), "%.*s", (int)strcspn(comm, "\n"), comm);
			ret->left_processes++;
			snprintf(ret->who + at, sizeof(ret->who) - at, "%s%s (%u)", at ? ", " : "", name, pid);
			break;
		}
	}
}

void lab_unbuild(const struct lab_dirs *d, struct lab_unbuilt *ret)
{
	char node[LAB_PATH_MAX];
	struct inodes ino = {};
	size_t left;

	*ret = (struct lab_unbuilt){};
	if (access(d->dir, F_OK))
		return;
	ret->processes = lab_procs_end(d, &left);
	if (!access(lab_netns_path(d, LAB_NODE, node), F_OK))
		links_remove(d);
	namespaces_remove(d, &ino, ret);
	/* what a killed builder had under way (an `ip`, a helper not started yet) ends within moments */
	for (int waited = 0; waited <= SETTLE_MS; waited += 50) {
		ret->left_processes = 0;
		ret->who[0] = '\0';
		foreign_find(&ino, ret);
		if (!ret->left_processes)
			break;
		ret->processes += lab_procs_end(d, &left);
		(void)poll(NULL, 0, 50);
	}
	if (!ret->left_processes && !ret->left_namespaces) /* they went with their namespaces */
		ret->left_links = 0;
	folder_remove(d->netns, ret);
	folder_remove(d->status, ret);
	folder_remove(d->daemon, ret);
	half_written_remove(d, ret);
	if (!unlink(d->state))
		ret->files++;
	if (rmdir(d->dir) && errno != ENOENT && errno != ENOTEMPTY) /* others' files in it are not ours to judge */
		ret->left_files++;
}
