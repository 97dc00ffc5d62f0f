/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - private network namespaces for tests: held by a descriptor only, so that nothing
 * has a name and all of it is gone with the process, however that ends.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "net/netns.h"

#define ARGS_MAX 32

static inline int fixture_unshare(void *ret_fd)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	*(int *)ret_fd = fd;
	return fd < 0 ? -errno : 0;
}

/* A new namespace with loopback down. The thread that made it ends; the descriptor keeps it. */
static inline int fixture_netns(void)
{
	auto_close int self = -1;
	int fd = -1;

	assert_int_equal(netns_open_self(&self), 0);
	assert_int_equal(netns_run(self, fixture_unshare, &fd), 0);
	return fd;
}

/* Skips, with the reason, when the test cannot run here. */
static inline void fixture_need_root(void)
{
	if (geteuid() == 0 && access("/usr/sbin/ip", X_OK) == 0)
		return;
	print_message("  skipped: needs root and iproute2\n");
	skip();
}

struct fixture_cmd {
	char *argv[ARGS_MAX];
	bool quiet;
};

static inline int fixture_spawn(void *arg)
{
	char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *const env[] = { path, NULL };
	struct fixture_cmd *c = arg;
	posix_spawn_file_actions_t act;
	pid_t pid;
	int status, r;

	posix_spawn_file_actions_init(&act);
	if (c->quiet)
		posix_spawn_file_actions_addopen(&act, 2, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&pid, c->argv[0], &act, NULL, c->argv, env);
	posix_spawn_file_actions_destroy(&act);
	if (r)
		return -r;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

/* Runs a command, words split at spaces, inside the namespace: its exit status. */
__attribute__((format(printf, 3, 4)))
static inline int fixture_run(int netns, bool quiet, const char *fmt, ...)
{
	struct fixture_cmd c = { .quiet = quiet };
	char text[512], *save = NULL;
	size_t n = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *w = strtok_r(text, " ", &save); w && n < ARGS_MAX - 1; w = strtok_r(NULL, " ", &save))
		c.argv[n++] = w;
	return netns_run(netns, fixture_spawn, &c);
}

/* One that may fail, and one that must not. */
#define fixture_try(netns, ...) fixture_run(netns, true, __VA_ARGS__)
#define fixture_do(netns, ...) assert_int_equal(fixture_run(netns, false, __VA_ARGS__), 0)

/* A path that other programs can open for a namespace we hold. */
static inline const char *fixture_path(int netns, char out[64])
{
	snprintf(out, 64, "/proc/%d/fd/%d", (int)getpid(), netns);
	return out;
}
