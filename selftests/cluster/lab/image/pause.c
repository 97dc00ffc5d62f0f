/* SPDX-License-Identifier: Apache-2.0 */
/* Pod sandbox process: holds the namespaces, reaps what is handed to it. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void quit(int s) { (void)s; _exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0) ; }

int main(void)
{
	struct sigaction q = { .sa_handler = quit }, r = { .sa_handler = reap, .sa_flags = SA_NOCLDSTOP };
	sigaction(SIGINT, &q, 0);
	sigaction(SIGTERM, &q, 0);
	sigaction(SIGCHLD, &r, 0);
	for (;;) pause();
}
