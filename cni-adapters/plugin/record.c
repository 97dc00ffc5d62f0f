/* SPDX-License-Identifier: Apache-2.0 */
#include "cni-adapters/plugin/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

int cni_record_name(const char *id, const char *ifname, char *out, size_t max)
{
	int n = snprintf(out, max, "%s.%s", id, ifname);

	return n < 0 || (size_t)n >= max ? -E2BIG : 0;
}

/* Of root alone: who could write here could name the namespaces of others. */
static int dir_open(const char *dir, bool create, int *ret)
{
	auto_close int fd = -1;
	struct stat st;

	if (create) {
		int r = mkdir_p(dir, 0700);

		if (r)
			return r;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return -EPERM;
	*ret = take_fd(fd);
	return 0;
}

int cni_record_put(const char *dir, const char *id, const char *ifname, const char *body, size_t len)
{
	auto_close int d = -1, fd = -1;
	char name[256], tmp[272];
	int r = cni_record_name(id, ifname, name, sizeof(name));

	r = r ?: dir_open(dir, true, &d);
	if (r)
		return r;
	snprintf(tmp, sizeof(tmp), ".%s.%d", name, (int)getpid());
	fd = openat(d, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < len && !r;) {
		ssize_t n = write(fd, body + at, len - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			r = -errno;
	}
	if (!r && renameat(d, tmp, d, name))
		r = -errno;
	if (r)
		(void)unlinkat(d, tmp, 0);
	return r;
}

int cni_record_del(const char *dir, const char *id, const char *ifname)
{
	auto_close int d = -1;
	char name[256];
	int r = cni_record_name(id, ifname, name, sizeof(name));

	r = r ?: dir_open(dir, false, &d);
	if (r)
		return r == -ENOENT ? 0 : r;
	return unlinkat(d, name, 0) && errno != ENOENT ? -errno : 0;
}
