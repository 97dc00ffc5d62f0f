/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_ns.h - a mount namespace with a BPF file system of its own and a network namespace, for
 * tests that load and attach. Nothing of it outlives the process. Header only: a test is one file.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN_ROOT "/run/cellwall" /* pin root; the BPF file system covers /run, for us only */

/* Enters both; false, with a line that says why, when that cannot be done. */
static inline bool own_enter(void)
{
	if (geteuid() || unshare(CLONE_NEWNS | CLONE_NEWNET)) {
		printf("# skipped: needs root and namespaces\n");
		return false;
	}
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("bpf", "/run", "bpf", 0, "mode=0700")) {
		printf("# skipped: no BPF file system (%s)\n", strerror(errno));
		return false;
	}
	return true;
}

/* A shell command; the test's own text only. Returns its exit code. */
static inline __attribute__((format(printf, 1, 2))) int own_sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;
	int r;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	r = system(cmd);
	return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

/* A second network namespace, held by a child that does nothing and dies with us. */
struct own_pod {
	pid_t pid;
	int netns_fd;
};

static inline int own_pod_start(struct own_pod *p)
{
	char path[64];
	int pipefd[2];
	char c;

	if (pipe2(pipefd, O_CLOEXEC))
		return -errno;
	p->pid = fork();
	if (p->pid < 0)
		return -errno;
	if (!p->pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET))
			_exit(1);
		(void)!write(pipefd[1], "x", 1);
		for (;;)
			(void)pause();
	}
	close(pipefd[1]);
	if (read(pipefd[0], &c, 1) != 1) {
		close(pipefd[0]);
		return -EIO;
	}
	close(pipefd[0]);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)p->pid);
	p->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
	return p->netns_fd < 0 ? -errno : 0;
}

static inline void own_pod_stop(struct own_pod *p)
{
	close(p->netns_fd);
	(void)kill(p->pid, SIGKILL);
	(void)waitpid(p->pid, NULL, 0);
}

static inline unsigned long long own_netns_ino(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}
