/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/judge/ip_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define SAID_MAX 300
#define NO_IP 127

static void child(int netns, int in, int err, bool force)
{
	static const char *const argv[] = { "ip", "-force", "-batch", "-", NULL };
	static const char *const quiet[] = { "ip", "-batch", "-", NULL };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((netns >= 0 && setns(netns, CLONE_NEWNET)) || dup2(in, 0) < 0 || dup2(err, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	(void)execvp("ip", (char *const *)(force ? argv : quiet));
	_exit(NO_IP);
}

int ip_batch(int netns, const char *lines, bool force, struct fail_list *f)
{
	auto_close int in = memfd_create("cwj-ip", MFD_CLOEXEC), err = memfd_create("cwj-ip", MFD_CLOEXEC);
	size_t n = strlen(lines);
	char said[SAID_MAX] = "";
	int status = 0;
	pid_t pid;

	if (!n)
		return 0;
	if (in < 0 || err < 0 || write(in, lines, n) != (ssize_t)n || lseek(in, 0, SEEK_SET) < 0)
		return fail_add(f, -EIO, "judge.ip", NULL, NULL, NULL, "no memory file: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return fail_add(f, -errno, "judge.ip", NULL, NULL, NULL, "no process: %s", strerror(errno));
	if (!pid)
		child(netns, in, err, force);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_add(f, -errno, "judge.ip", NULL, NULL, NULL, "lost ip: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_IP)
		return fail_add(f, -ENOENT, "judge.ip", NULL, NULL, NULL, "ip (iproute2) is missing");
	if (force || (WIFEXITED(status) && !WEXITSTATUS(status)))
		return 0;
	if (lseek(err, 0, SEEK_SET) == 0 && read(err, said, sizeof(said) - 1) < 0)
		said[0] = 0;
	for (char *c = said; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	return fail_add(f, -EIO, "judge.ip", NULL, NULL, NULL, "ip: %s", said);
}
