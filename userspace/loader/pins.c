/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/pins.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "loader/bpf_more.h"

int pin_path(char out[PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(out, PATH_MAX, fmt, ap);
	va_end(ap);
	return r < 0 || r >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int pin_root_check(const char *root)
{
	struct statfs fs;
	int r = mkdir_p(root, 0700);

	/* Below /sys nothing can be made unless the BPF file system is mounted there. */
	if (r == -EPERM || r == -ENOENT || r == -EROFS)
		return -ENOTSUP;
	if (r < 0)
		return r;
	if (statfs(root, &fs))
		return -errno;
	return (unsigned long)fs.f_type == CW_BPF_FS_MAGIC ? 0 : -ENOTSUP;
}

int pin_dir_walk(const char *path, int (*fn)(void *arg, const char *name), void *arg)
{
	struct dirent *e;
	int r = 0;
	DIR *d = opendir(path);

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			r = fn(arg, e->d_name);
	}
	closedir(d);
	return r;
}

struct removal {
	const char *path;
	unsigned depth;
};

static int remove_dir(const char *path, unsigned depth);

static int remove_one(void *arg, const char *name)
{
	const struct removal *rm = arg;
	char path[PATH_MAX];
	int r = pin_path(path, "%s/%s", rm->path, name);

	if (r < 0)
		return r;
	if (!unlink(path) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	return rm->depth ? remove_dir(path, rm->depth - 1) : -ENOTEMPTY;
}

static int remove_dir(const char *path, unsigned depth)
{
	struct removal rm = { .path = path, .depth = depth };
	int r = pin_dir_walk(path, remove_one, &rm);

	if (r < 0)
		return r;
	return rmdir(path) && errno != ENOENT ? -errno : 0;
}

int pin_dir_remove(const char *path)
{
	return remove_dir(path, 4);
}
