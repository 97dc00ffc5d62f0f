/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - network namespaces: open, name for good, enter on a thread of their own.
 *
 * The calling thread never changes its namespace: everything that must happen inside another
 * one runs on a short-lived thread (netns_run) or through a socket made there (netns_socket).
 *
 * An open namespace descriptor, and any socket made inside, keeps the namespace alive after
 * its workload is gone: hold neither longer than the job. What outlives a workload for sure
 * is its netns_key; to hear of changes inside other namespaces see link_watch.h.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NETNS_RUN_DIR "/run/netns"
#define NETNS_NAME_LEN_MAX 255u
#define NETNS_REF_LEN_MAX PATH_MAX
#define NETNS_LIST_MAX 65536u

/*
 * Which namespace. `cookie` is given out once per boot and never reused (0: the kernel cannot
 * tell, before 5.14); `ino` is that of /proc/PID/ns/net and may come again after the
 * namespace is gone.
 */
struct netns_key {
	uint64_t cookie;
	uint64_t ino;
};

/* Same namespace: by cookie where both have one, else by inode. Zero keys equal nothing. */
bool netns_key_same(const struct netns_key *a, const struct netns_key *b);

/*
 * Open a namespace; the caller closes *ret_fd (close-on-exec is set). -EINVAL for text that
 * names none or a file that is no network namespace, -ENOENT, -ESRCH (pid), other errno of open.
 *   netns_open       "NAME" (in NETNS_RUN_DIR), "/absolute/path", or "pid:N"
 *   netns_open_self  that of the calling thread
 */
int netns_open(const char *ref, int *ret_fd);
int netns_open_name(const char *name, int *ret_fd);
int netns_open_path(const char *path, int *ret_fd);
int netns_open_pid(pid_t pid, int *ret_fd);
int netns_open_self(int *ret_fd);

/* The key of an open namespace. Needs CAP_SYS_ADMIN for the cookie. */
int netns_key(int fd, struct netns_key *ret);

/*
 * Runs fn(arg) on a thread of its own inside the namespace and waits for it; returns what fn
 * returned, or a negative errno when the thread or setns failed (fn then did not run). fd -1
 * means the caller's own namespace: fn runs on the calling thread. On the other thread all
 * signals are blocked. Blocks as long as fn does. Needs CAP_SYS_ADMIN. May be called from any
 * thread, also at once.
 */
int netns_run(int fd, int (*fn)(void *arg), void *arg);

/* socket(2) inside the namespace (fd -1: own); SOCK_CLOEXEC is added. */
int netns_socket(int fd, int family, int type, int proto, int *ret_sock);

/*
 * Every entry of a directory of named namespaces (NULL: NETNS_RUN_DIR) that is one; stops when
 * fn returns non-zero and returns that. A missing directory is an empty list. `fd` is closed
 * after fn returns. -E2BIG beyond NETNS_LIST_MAX.
 */
int netns_list(const char *dir, int (*fn)(void *arg, const char *name, int fd), void *arg);
