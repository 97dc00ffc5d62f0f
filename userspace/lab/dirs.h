/* SPDX-License-Identifier: Apache-2.0 */
/* dirs.h - inside of the lab room: where a lab keeps its things, and the processes in it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lab/lab.h"

#define LAB_DIR_MAX 200u /* bytes; leaves room for the names below it in any path */
#define LAB_PATH_MAX 512u

struct lab_dirs {
	char dir[LAB_PATH_MAX], netns[LAB_PATH_MAX], status[LAB_PATH_MAX], state[LAB_PATH_MAX];
	char daemon[LAB_PATH_MAX]; /* configuration and inventory for a daemon of the lab's own */
	char helper[LAB_PATH_MAX];
};

/* 0, or -EINVAL (lab.dir): not absolute, too long, or with characters that scripts trip over. */
int lab_dirs_init(const struct lab_options *o, struct fail_list *f, struct lab_dirs *ret);
/* DIR/netns/NAME, DIR/status/NAME.json */
const char *lab_netns_path(const struct lab_dirs *d, const char *name, char out[LAB_PATH_MAX]);
const char *lab_status_path(const struct lab_dirs *d, const char *name, char out[LAB_PATH_MAX]);
/* The parsed status file of a process of the lab. -ENOENT while there is none. */
int lab_status_read(const struct lab_dirs *d, const char *name, cJSON **ret);

/* ---- processes ---- */

/* Starts the helper in a workload's namespace with up to four further arguments (NULL: none). */
int lab_spawn(const struct lab_dirs *d, const char *netns, const char *const args[4], pid_t *ret);
/* Every helper process of this lab, found by its command line; stops when fn is non-zero. */
struct lab_proc {
	pid_t pid;
	char what[16], name[64]; /* "serve", "web-1" */
};
int lab_procs(const struct lab_dirs *d, int (*fn)(void *arg, const struct lab_proc *p), void *arg);
bool lab_proc_is(const struct lab_dirs *d, pid_t pid);
/* Ends all of them: SIGTERM, and SIGKILL after two seconds. *ret_left: still there. Count ended. */
size_t lab_procs_end(const struct lab_dirs *d, size_t *ret_left);
/* Asks a server for a fresh status and waits for it, 2 s at most. 0, -ENOENT, -ETIMEDOUT. */
int lab_ask(const struct lab_dirs *d, const char *name, cJSON **ret);

/* Runs `ip -batch` inside a namespace (path) on those lines; force: goes on after errors and
 * keeps quiet. 0; -EIO with what ip said in f; -ENOENT when iproute2 is missing. */
int lab_ip(const char *netns, const char *lines, bool force, struct fail_list *f);
