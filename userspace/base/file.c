/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

int read_all_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
	auto_free char *p = NULL;
	size_t len = 0, cap = 0;

	if (max > SIZE_MAX / 4)
		return -EINVAL;
	for (;;) {
		ssize_t n;

		/* One byte beyond the limit is asked for, to tell "full" from "too big". */
		if (len + 1 >= cap) {
			size_t want = cap ? cap * 2 : 4096;
			char *q;

			if (want > max + 2)
				want = max + 2;
			q = realloc(p, want);
			if (!q)
				return -ENOMEM;
			p = q;
			cap = want;
		}
		n = read(fd, p + len, cap - len - 1);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -E2BIG;
	}
	p[len] = '\0';
	*ret = take_ptr(p);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int read_all_path(const char *path, size_t max, char **ret, size_t *ret_len)
{
	auto_close int fd = -1;

	if (strcmp(path, "-") == 0)
		return read_all_fd(STDIN_FILENO, max, ret, ret_len);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return read_all_fd(fd, max, ret, ret_len);
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* The directory of path, opened, so that the rename itself reaches the disk. */
static int open_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	size_t n = slash ? (size_t)(slash - path) : 0;
	int fd;

	if (n >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, n);
	dir[n] = '\0';
	fd = open(!slash ? "." : n ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int write_file_atomic(const char *path, const void *p, size_t n, unsigned mode)
{
	auto_close int dir = open_parent(path), fd = -1;
	char tmp[PATH_MAX];
	int r;

	if (dir < 0)
		return dir;
	r = snprintf(tmp, sizeof(tmp), "%s.tmp-XXXXXX", path);
	if (r < 0 || (size_t)r >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_all(fd, p, n);
	if (r == 0 && (fchmod(fd, mode & 07777) < 0 || fsync(fd) < 0 || rename(tmp, path) < 0))
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	return fsync(dir) < 0 ? -errno : 0;
}

int mkdir_p(const char *path, unsigned mode)
{
	char dir[PATH_MAX];
	size_t n = strlen(path);
	struct stat st;

	if (!n)
		return -EINVAL;
	if (n >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, n + 1);
	for (char *s = dir + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return -errno;
		*s = '/';
	}
	if (mkdir(dir, mode & 07777) < 0 && errno != EEXIST)
		return -errno;
	if (stat(dir, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}
