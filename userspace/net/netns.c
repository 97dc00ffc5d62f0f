/* SPDX-License-Identifier: Apache-2.0 */
#include "net/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/strparse.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define RUN_STACK_BYTES (256u << 10) /* netlink work inside fn, some with buffers on the stack */

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

bool netns_key_same(const struct netns_key *a, const struct netns_key *b)
{
	if (a->cookie && b->cookie)
		return a->cookie == b->cookie;
	return a->ino && a->ino == b->ino;
}

/* Opens, and refuses whatever is no network namespace: setns would tell only much later. */
static int open_at(int dir, const char *path, int *ret_fd)
{
	auto_close int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return -EINVAL;
	*ret_fd = take_fd(fd);
	return 0;
}

static bool name_ok(const char *name)
{
	size_t len = strnlen(name, NETNS_NAME_LEN_MAX + 1);

	return len && len <= NETNS_NAME_LEN_MAX && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

int netns_open_path(const char *path, int *ret_fd)
{
	if (path[0] != '/' || strnlen(path, NETNS_REF_LEN_MAX) == NETNS_REF_LEN_MAX)
		return -EINVAL;
	return open_at(AT_FDCWD, path, ret_fd);
}

int netns_open_name(const char *name, int *ret_fd)
{
	auto_close int dir = -1;

	if (!name_ok(name))
		return -EINVAL;
	dir = open(NETNS_RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	return open_at(dir, name, ret_fd);
}

int netns_open_pid(pid_t pid, int *ret_fd)
{
	char path[48];
	int r;

	if (pid <= 0)
		return -EINVAL;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	r = open_at(AT_FDCWD, path, ret_fd);
	return r == -ENOENT ? -ESRCH : r;
}

int netns_open_self(int *ret_fd)
{
	return open_at(AT_FDCWD, "/proc/thread-self/ns/net", ret_fd);
}

int netns_open(const char *ref, int *ret_fd)
{
	uint32_t pid;
	int r;

	if (ref[0] == '/')
		return netns_open_path(ref, ret_fd);
	if (strncmp(ref, "pid:", 4))
		return netns_open_name(ref, ret_fd);
	r = parse_u32(ref + 4, 1, INT32_MAX, &pid);
	return r < 0 ? -EINVAL : netns_open_pid((pid_t)pid, ret_fd);
}

int netns_key(int fd, struct netns_key *ret)
{
	struct netns_key key = { 0 };
	auto_close int self = -1, sock = -1;
	socklen_t len = sizeof(key.cookie);
	struct stat st;
	int r;

	if (fd < 0) {
		r = netns_open_self(&self);
		if (r < 0)
			return r;
	}
	if (fstat(fd < 0 ? self : fd, &st) < 0)
		return -errno;
	key.ino = st.st_ino;
	r = netns_socket(fd, AF_UNIX, SOCK_DGRAM, 0, &sock);
	if (r < 0)
		return r;
	if (getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &key.cookie, &len) < 0) {
		if (errno != ENOPROTOOPT)
			return -errno;
		key.cookie = 0;
	}
	*ret = key;
	return 0;
}

struct run {
	int fd;
	int (*fn)(void *arg);
	void *arg;
	int r;
};

static void *run_thread(void *arg)
{
	struct run *run = arg;

	if (setns(run->fd, CLONE_NEWNET) < 0)
		run->r = -errno;
	else
		run->r = run->fn(run->arg);
	return NULL;
}

int netns_run(int fd, int (*fn)(void *arg), void *arg)
{
	struct run run = { .fd = fd, .fn = fn, .arg = arg };
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (fd < 0)
		return fn(arg);
	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	r = pthread_attr_setstacksize(&attr, RUN_STACK_BYTES);
	if (!r) {
		/* The new thread inherits the mask: signals stay with those that wait for them. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		r = pthread_create(&thread, &attr, run_thread, &run);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	pthread_attr_destroy(&attr);
	if (r)
		return -r;
	pthread_join(thread, NULL);
	return run.r;
}

struct socket_args {
	int family, type, proto, sock;
};

static int socket_make(void *arg)
{
	struct socket_args *a = arg;

	a->sock = socket(a->family, a->type | SOCK_CLOEXEC, a->proto);
	return a->sock < 0 ? -errno : 0;
}

int netns_socket(int fd, int family, int type, int proto, int *ret_sock)
{
	struct socket_args a = { family, type, proto, -1 };
	int r = netns_run(fd, socket_make, &a);

	if (r < 0)
		return r;
	*ret_sock = a.sock;
	return 0;
}

int netns_list(const char *dir, int (*fn)(void *arg, const char *name, int fd), void *arg)
{
	auto_cleanup(closedirp) DIR *d = opendir(dir ? dir : NETNS_RUN_DIR);
	unsigned n = 0;
	int r;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	for (;;) {
		auto_close int fd = -1;
		const struct dirent *e;

		errno = 0;
		e = readdir(d);
		if (!e)
			return -errno;
		if (!name_ok(e->d_name) || open_at(dirfd(d), e->d_name, &fd) < 0)
			continue; /* left over by a namespace that is gone, or something else */
		if (++n > NETNS_LIST_MAX)
			return -E2BIG;
		r = fn(arg, e->d_name, fd);
		if (r)
			return r;
	}
}
