/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - cellwall-cni: chained CNI plugin. It returns from ADD when the workload's interface is
 * attached and its verdicts are in force. Linked statically, as it runs on nodes of any kind.
 */
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "cni-adapters/plugin/run.h"

static const char *env(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

static int write_all(int fd, const struct buf *b)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n <= 0)
			return -1;
		at += (size_t)n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	auto_cleanup(buf_done) struct buf out, err;
	auto_free char *in = NULL;
	size_t len = 0;
	int r;

	buf_init(&out, CNI_STDIN_MAX + 65536);
	buf_init(&err, 65536);
	signal(SIGPIPE, SIG_IGN);
	if (!getenv("CNI_COMMAND")) {
		bool asked = argc == 2 && !strcmp(argv[1], "--version");

		fprintf(asked ? stdout : stderr, "cellwall-cni " CW_VERSION ", chained CNI plugin for CNI 0.3.0 to 1.1.0\n%s",
			asked ? "" : "It is run by the container runtime: put {\"type\": \"cellwall-cni\"} last in a conflist.\n");
		return asked ? 0 : 2;
	}
	r = read_all_fd(STDIN_FILENO, CNI_STDIN_MAX, &in, &len);
	if (r) {
		struct cni_call c = { .version = "1.1.0" };
		struct cni_error e;

		(void)cni_fail(&e, CNI_E_IO, "standard input cannot be read", "%s (at most %u bytes)", strerror(-r), CNI_STDIN_MAX);
		cni_error_json(&c, &e, &out);
		(void)write_all(STDOUT_FILENO, &out);
		return 1;
	}
	r = cni_run(env, NULL, in, len, &out, &err);
	(void)write_all(STDERR_FILENO, &err); /* a closed one changes nothing */
	if (out.err || write_all(STDOUT_FILENO, &out))
		return 1;
	return r;
}
