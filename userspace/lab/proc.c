/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c - starting, finding and ending the lab's processes. The command line says whose they
 * are, so that nothing depends on a record that a crash may have kept from being written. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "lab/dirs.h"
#include "net/netns.h"

#define ARGS_MAX 6
#define CMDLINE_MAX 2048u
#define END_MS 2000 /* to end by itself before it is killed */
#define ASK_MS 2000
#define IP_TEXT_MAX 4096u

extern char **environ;

static int pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

static void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

struct spawn_job {
	const char *path;
	char *const *argv;
	const char *err_path; /* stderr: a file, or NULL for err_fd */
	int in_fd, err_fd;
	short flags;
	pid_t pid;
};

/* Runs on a thread inside the namespace; the child inherits it. The thread blocks all signals,
 * which the child must not. */
static int spawn_here(void *arg)
{
	struct spawn_job *j = arg;
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&fa))
		return -ENOMEM;
	if (posix_spawnattr_init(&at)) {
		posix_spawn_file_actions_destroy(&fa);
		return -ENOMEM;
	}
	r = posix_spawnattr_setsigmask(&at, &none);
	if (!r)
		r = posix_spawnattr_setsigdefault(&at, &all);
	if (!r)
		r = posix_spawnattr_setflags(&at, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | j->flags));
	if (!r)
		r = j->in_fd >= 0 ? posix_spawn_file_actions_adddup2(&fa, j->in_fd, 0) :
				    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = j->err_path ? posix_spawn_file_actions_addopen(&fa, 2, j->err_path,
								    O_WRONLY | O_CREAT | O_TRUNC, 0600) :
				  posix_spawn_file_actions_adddup2(&fa, j->err_fd, 2);
	if (!r)
		r = posix_spawnp(&j->pid, j->path, &fa, &at, j->argv, environ);
	posix_spawnattr_destroy(&at);
	posix_spawn_file_actions_destroy(&fa);
	return -r;
}

static int spawn_in(const char *netns, struct spawn_job *j)
{
	auto_close int ns = -1;
	int r = netns_open_path(netns, &ns);

	return r < 0 ? r : netns_run(ns, spawn_here, j);
}

int lab_spawn(const struct lab_dirs *d, const char *netns, const char *const args[4], pid_t *ret)
{
	char ns[LAB_PATH_MAX], log[LAB_PATH_MAX];
	const char *argv[ARGS_MAX + 1] = { d->helper, args[0], d->dir, args[1], args[2], args[3], NULL };
	struct spawn_job j = { .path = d->helper, .argv = (char *const *)argv, .err_path = log, .in_fd = -1,
			       .err_fd = -1, .flags = POSIX_SPAWN_SETSID };
	int r;

	snprintf(log, sizeof(log), "%.*s/status/%s-%s.log", (int)LAB_DIR_MAX, d->dir, args[0], netns);
	r = spawn_in(lab_netns_path(d, netns, ns), &j);
	if (r < 0)
		return r;
	*ret = j.pid;
	return 0;
}

/* The command line of a process of this lab, in place. False: another process, or none. */
static bool read_cmdline(const struct lab_dirs *d, pid_t pid, struct lab_proc *ret)
{
	char path[64], *arg[4] = {}, *base;
	auto_free char *text = NULL;
	size_t len, n = 0;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	if (read_all_path(path, CMDLINE_MAX, &text, &len) < 0 || !len) /* empty: kernel thread or zombie */
		return false;
	for (size_t i = 0; i < len && n < ARRAY_SIZE(arg); i += strlen(text + i) + 1)
		arg[n++] = text + i;
	if (n < 4 || strcmp(arg[2], d->dir))
		return false;
	base = strrchr(arg[0], '/');
	if (strcmp(base ? base + 1 : arg[0], "cellwall-lab"))
		return false;
	*ret = (struct lab_proc){ .pid = pid };
	snprintf(ret->what, sizeof(ret->what), "%s", arg[1]);
	snprintf(ret->name, sizeof(ret->name), "%s", strcmp(arg[1], "attack") ? arg[3] : "attacker");
	return true;
}

bool lab_proc_is(const struct lab_dirs *d, pid_t pid)
{
	struct lab_proc p;

	return read_cmdline(d, pid, &p);
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

int lab_procs(const struct lab_dirs *d, int (*fn)(void *arg, const struct lab_proc *p), void *arg)
{
	auto_cleanup(closedirp) DIR *dir = opendir("/proc");
	struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (e = readdir(dir))) {
		struct lab_proc p;
		uint32_t pid;

		if (parse_u32(e->d_name, 1, INT32_MAX, &pid) == 0 && read_cmdline(d, (pid_t)pid, &p))
			r = fn(arg, &p);
	}
	return r;
}

struct ending {
	const struct lab_dirs *d;
	int sig;
	size_t n;
	struct { pid_t *v; size_t n, cap; } told; /* who got a signal */
};

static int end_one(void *arg, const struct lab_proc *p)
{
	struct ending *e = arg;
	auto_close int fd = pidfd_of(p->pid);

	/* the descriptor names the process for good: look again before the signal goes out */
	if (fd >= 0 && lab_proc_is(e->d, p->pid)) {
		e->n++;
		if (e->sig && !syscall(SYS_pidfd_send_signal, fd, e->sig, NULL, 0))
			(void)vec_push(&e->told, p->pid); /* no memory: a zombie until we end, no more */
	}
	return 0;
}

static size_t signal_all(struct ending *e, int sig)
{
	e->sig = sig;
	e->n = 0;
	(void)lab_procs(e->d, end_one, e);
	return e->n;
}

size_t lab_procs_end(const struct lab_dirs *d, size_t *ret_left)
{
	struct ending e = { .d = d };
	size_t n = signal_all(&e, SIGTERM), left = n;

	for (int waited = 0; left && waited < END_MS; waited += 20) {
		pause_ms(20);
		left = signal_all(&e, 0);
	}
	if (left) {
		(void)signal_all(&e, SIGKILL);
		pause_ms(100);
		left = signal_all(&e, 0);
	}
	/* those that this very process started are its children: nobody else waits for them */
	for (size_t i = 0; i < e.told.n; i++)
		(void)waitpid(e.told.v[i], NULL, WNOHANG);
	vec_done(&e.told);
	*ret_left = left;
	return n - left;
}

int lab_ask(const struct lab_dirs *d, const char *name, cJSON **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *before = NULL, *after = NULL;
	int r = lab_status_read(d, name, &before);
	auto_close int fd = -1;
	pid_t pid;

	if (r < 0)
		return r;
	pid = (pid_t)json_i64(before, "pid", 0);
	fd = pid > 0 ? pidfd_of(pid) : -ESRCH;
	if (fd < 0 || !lab_proc_is(d, pid))
		return -ENOENT;
	if (syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0))
		return -errno;
	for (int waited = 0; waited < ASK_MS; waited += 5) {
		if (lab_status_read(d, name, &after) == 0 &&
		    json_i64(after, "seq", 0) > json_i64(before, "seq", 0)) {
			*ret = take_ptr(after);
			return 0;
		}
		cJSON_Delete(after);
		after = NULL;
		pause_ms(5);
	}
	return -ETIMEDOUT;
}

int lab_ip(const char *netns, const char *lines, bool force, struct fail_list *f)
{
	const char *argv[] = { "ip", "-batch", "-", NULL };
	const char *forced[] = { "ip", "-force", "-batch", "-", NULL };
	auto_close int in = memfd_create("ip-batch", MFD_CLOEXEC), err = memfd_create("ip-errors", MFD_CLOEXEC);
	struct spawn_job j = { .path = "ip", .argv = (char *const *)(force ? forced : argv), .in_fd = in,
			       .err_fd = err };
	auto_free char *said = NULL;
	size_t len = strlen(lines);
	int r, status;

	if (in < 0 || err < 0 || write(in, lines, len) != (ssize_t)len || lseek(in, 0, SEEK_SET))
		return -EIO;
	r = spawn_in(netns, &j);
	if (r == -ENOENT)
		return fail_add(f, r, "lab.ip", "ip", "iproute2", "apt-get install iproute2", "cannot run ip");
	if (r < 0)
		return fail_add(f, r, "lab.netns", netns, NULL, NULL, "cannot run a program in this namespace: %s",
				strerror(-r));
	while (waitpid(j.pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if ((WIFEXITED(status) && !WEXITSTATUS(status)) || force)
		return 0;
	if (lseek(err, 0, SEEK_SET) || read_all_fd(err, IP_TEXT_MAX, &said, &len) < 0)
		len = 0;
	while (len && said[len - 1] == '\n')
		said[--len] = '\0';
	for (size_t i = 0; i < len; i++)
		said[i] = said[i] == '\n' ? ';' : said[i];
	return fail_add(f, -EIO, "lab.ip", netns, NULL, NULL, "ip could not set the namespace up: %s",
			len ? said : "it did not say why");
}
