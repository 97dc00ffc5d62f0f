/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the `cellwall` process: its streams, terminal and signals. */
#include <locale.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "http/http_client.h"

static void interrupted(int sig)
{
	static volatile sig_atomic_t before;

	(void)sig;
	if (before) /* the first one was not heard soon enough */
		_exit(EXIT_INTERRUPTED);
	before = 1;
	http_client_interrupt();
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = interrupted };
	struct ctl_io io = {
		.in = stdin, .out = stdout, .err = stderr,
		.in_tty = isatty(STDIN_FILENO), .out_tty = isatty(STDOUT_FILENO),
		.err_tty = isatty(STDERR_FILENO),
	};
	struct winsize ws;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL); /* a reader that quits is an end, not a crash */
	if (io.out_tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0) {
		io.width = ws.ws_col;
		io.height = ws.ws_row;
	}
	return ctl_main(argc, argv, &io);
}
