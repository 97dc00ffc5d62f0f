/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cnirun.c - drives a chain of CNI plugins as a container runtime does, and storms of them.
 *
 *	cnirun add|del|check CONFLIST ID NETNS IFNAME [NS NAME UID]	the chain; result or error on stdout
 *	cnirun gc CONFLIST ID/IFNAME...					what stays
 *	cnirun status|version CONFLIST
 *	cnirun storm CONFLIST COUNT JOBS NS PREFIX ADDR PORT MS		sandboxes, ADD, and packets at once
 *	cnirun sink ADDR PORT						counts the packets of a storm until SIGTERM
 *
 * CNI_PATH: directories of plugins. CNIRUN_VERSION: instead of the conflist's. CNIRUN_CACHE: directory of
 * results, for check and del. CNIRUN_CAP_ARGS: runtimeConfig for plugins that have capabilities.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "cni-adapters/plugin/call.h"

#define CHAIN_MAX 16
#define STREAM 0x43574e49u

struct chain {
	char *text;
	struct span root, plugins[CHAIN_MAX];
	size_t n;
	char name[256], version[32];
};

struct box { const char *id, *netns, *ifname, *ns, *pod, *uid; };

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what)
{
	fprintf(stderr, "cnirun: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void chain_load(const char *path, struct chain *c)
{
	struct span list, it = { };
	size_t len;
	const char *v = getenv("CNIRUN_VERSION");

	memset(c, 0, sizeof(*c));
	if (read_all_path(path, 1u << 20, &c->text, &len))
		die(path);
	if (span_read(c->text, len, &c->root, NULL) || span_get(c->root, "plugins", &list) ||
	    span_get_str(c->root, "name", c->name, sizeof(c->name))) {
		fprintf(stderr, "cnirun: %s is no conflist\n", path);
		exit(2);
	}
	if (v)
		snprintf(c->version, sizeof(c->version), "%s", v);
	else if (span_get_str(c->root, "cniVersion", c->version, sizeof(c->version)))
		snprintf(c->version, sizeof(c->version), "0.2.0");
	while (c->n < CHAIN_MAX && span_next(list, &it))
		c->plugins[c->n++] = it;
}

/* The plugin's part with name, version and the result so far, as libcni makes it. */
static void conf_text(const struct chain *c, struct span plugin, struct span prev, const char *extra, struct buf *b)
{
	const char *cap = getenv("CNIRUN_CAP_ARGS");
	struct span v;

	buf_printf(b, "{\"cniVersion\":\"%s\",\"name\":\"%s\"", c->version, c->name);
	if (prev.p) {
		buf_adds(b, ",\"prevResult\":");
		buf_add(b, prev.p, prev.n);
	}
	if (cap && !span_get(plugin, "capabilities", &v))
		buf_printf(b, ",\"runtimeConfig\":%s", cap);
	if (extra)
		buf_adds(b, extra);
	buf_adds(b, ",");
	buf_add(b, plugin.p + 1, plugin.n - 1);
}

static bool find_plugin(const char *type, char *out, size_t max)
{
	const char *p = getenv("CNI_PATH") ?: "/opt/cni/bin";

	while (*p) {
		size_t n = strcspn(p, ":");

		snprintf(out, max, "%.*s/%s", (int)n, p, type);
		if (!access(out, X_OK))
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

static void child_env(const char *cmd, const struct box *b)
{
	char args[1024];

	setenv("CNI_COMMAND", cmd, 1);
	if (!b)
		return;
	setenv("CNI_CONTAINERID", b->id, 1);
	setenv("CNI_NETNS", b->netns, 1);
	setenv("CNI_IFNAME", b->ifname, 1);
	if (b->pod) {
		snprintf(args, sizeof(args), "IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;K8S_POD_UID=%s;"
			 "K8S_POD_INFRA_CONTAINER_ID=%s", b->ns, b->pod, b->uid, b->id);
		setenv("CNI_ARGS", args, 1);
	}
}

/* Runs one plugin. Its exit code; what it printed in out. */
static int plugin_run(const char *path, const char *cmd, const struct box *box, const struct buf *in, struct buf *out)
{
	int to[2], from[2], st;
	size_t at = 0;
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		child_env(cmd, box);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	while (at < in->len) {
		ssize_t n = write(to[1], in->data + at, in->len - at);

		if (n <= 0)
			break; /* it need not read all */
		at += (size_t)n;
	}
	close(to[1]);
	for (;;) {
		char part[65536];
		ssize_t n = read(from[0], part, sizeof(part));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_add(out, part, (size_t)n);
	}
	close(from[0]);
	while (waitpid(pid, &st, 0) < 0)
		if (errno != EINTR)
			die("wait");
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

static void cache_path(const struct box *b, char *out, size_t max)
{
	snprintf(out, max, "%s/%s.%s", getenv("CNIRUN_CACHE") ?: "/tmp", b->id, b->ifname);
}

/* The chain in order for ADD and CHECK, backwards for DEL. ours_us: what our own plugin took. */
static int chain_run(const struct chain *c, const char *cmd, const struct box *b, const char *extra, struct buf *ret,
		     uint64_t *ours_us)
{
	bool add = !strcmp(cmd, "ADD"), del = !strcmp(cmd, "DEL"), one = b != NULL;
	auto_free char *cached = NULL;
	struct span prev = { };
	char path[512], cache[512];
	size_t len;

	if (one && !add) {
		cache_path(b, cache, sizeof(cache));
		if (!read_all_path(cache, 1u << 20, &cached, &len) && span_read(cached, len, &prev, NULL))
			prev = (struct span){ };
	}
	for (size_t i = 0; i < c->n; i++) {
		struct span plugin = c->plugins[del ? c->n - 1 - i : i];
		auto_cleanup(buf_done) struct buf in, out;
		char type[128] = "";
		uint64_t t0;
		int r;

		buf_init(&in, 1u << 21);
		buf_init(&out, 1u << 21);
		(void)span_get_str(plugin, "type", type, sizeof(type));
		if (!find_plugin(type, path, sizeof(path))) {
			fprintf(stderr, "cnirun: no plugin %s\n", type);
			return 127;
		}
		conf_text(c, plugin, prev, extra, &in);
		t0 = now_us();
		r = plugin_run(path, cmd, b, &in, &out);
		if (ours_us && !strcmp(type, "cellwall-cni"))
			*ours_us = now_us() - t0;
		if (r) {
			buf_printf(ret, "%s", out.len ? out.data : "{}");
			fprintf(stderr, "cnirun: %s %s: exit %d\n", cmd, type, r);
			return r;
		}
		if (add || !strcmp(cmd, "VERSION")) {
			buf_done(ret);
			buf_init(ret, 1u << 21);
			buf_add(ret, out.data ?: "", out.len);
			if (add && span_read(ret->data ?: "", ret->len, &prev, NULL)) {
				fprintf(stderr, "cnirun: %s gave no result\n", type);
				return 1;
			}
		}
	}
	if (one && add) {
		cache_path(b, cache, sizeof(cache));
		(void)write_file_atomic(cache, ret->data, ret->len, 0600);
	}
	if (one && del)
		(void)unlink(cache);
	return 0;
}

/* ---- storm ---------------------------------------------------------------------------------------- */

struct packet { uint32_t magic, pod, seq, at_us; };

static void netns_make(const char *name, char *path, size_t max)
{
	pid_t pid;
	int fd, st;

	(void)mkdir("/run/netns", 0755);
	snprintf(path, max, "/run/netns/%s", name);
	fd = open(path, O_CREAT | O_RDONLY | O_CLOEXEC, 0444);
	if (fd >= 0)
		close(fd);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNET) || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL))
			_exit(1);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &st, 0) != pid || st)
		die("network namespace");
}

/* From inside, the first packet at once and then one each millisecond. */
static void talk(const char *netns, uint32_t pod, const char *addr, uint16_t port, unsigned ms, uint64_t start)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int ns = open(netns, O_RDONLY | O_CLOEXEC), fd;
	uint64_t first = 0;

	if (ns < 0 || setns(ns, CLONE_NEWNET) || inet_pton(AF_INET, addr, &to.sin_addr) != 1)
		_exit(1);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (unsigned i = 0; i < ms; i++) {
		struct packet p = { STREAM, pod, i, (uint32_t)(now_us() - start) };
		struct timespec t = { 0, 1000000 };

		if (!first)
			first = p.at_us + 1;
		(void)sendto(fd, &p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
		nanosleep(&t, NULL);
	}
	_exit(first > 1001 ? 3 : 0);
}

static int storm(char **v)
{
	struct chain c;
	unsigned count = (unsigned)strtoul(v[1], NULL, 10), jobs = (unsigned)strtoul(v[2], NULL, 10);
	unsigned ms = (unsigned)strtoul(v[7], NULL, 10), failed = 0;
	uint16_t port = (uint16_t)strtoul(v[6], NULL, 10);
	uint64_t t0;
	int st;

	chain_load(v[0], &c);
	/* The sandboxes stand before the chain is asked, as with a runtime. */
	for (unsigned i = 0; i < count; i++) {
		char name[64], path[128];

		snprintf(name, sizeof(name), "%s%u", v[4], i);
		snprintf(path, sizeof(path), "/run/netns/%s", name);
		if (access(path, F_OK))
			netns_make(name, path, sizeof(path));
	}
	t0 = now_us();
	for (unsigned w = 0; w < jobs; w++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		for (unsigned i = w; i < count; i += jobs) {
			auto_cleanup(buf_done) struct buf out;
			char name[64], path[128], uid[80];
			struct box b = { name, path, "eth0", v[3], name, uid };
			uint64_t start = now_us(), end, ours = 0;
			int r;

			snprintf(name, sizeof(name), "%s%u", v[4], i);
			snprintf(path, sizeof(path), "/run/netns/%s", name);
			snprintf(uid, sizeof(uid), "uid-%s", name);
			buf_init(&out, 1u << 21);
			r = chain_run(&c, "ADD", &b, NULL, &out, &ours);
			end = now_us();
			if (!r && !fork())
				talk(path, i, v[5], port, ms, end);
			printf("pod %u exit %d add_us %llu ours_us %llu\n", i, r, (unsigned long long)(end - start),
			       (unsigned long long)ours);
			if (r)
				printf("error %s\n", out.data ?: "");
			fflush(stdout);
			while (waitpid(-1, &st, WNOHANG) > 0)
				;
		}
		while (waitpid(-1, &st, 0) > 0)
			;
		free(c.text);
		_exit(0);
	}
	while (waitpid(-1, &st, 0) > 0)
		failed += st != 0;
	free(c.text);
	printf("storm %u jobs %u took_us %llu failed_workers %u\n", count, jobs, (unsigned long long)(now_us() - t0), failed);
	return failed ? 1 : 0;
}

static volatile sig_atomic_t done;
static void on_term(int s)
{
	(void)s;
	done = 1;
}

/* Per workload how many packets came, and how long after its ADD the last was sent. */
static int sink(char **v)
{
	enum { PODS = 65536 };
	static uint32_t count[PODS], last_us[PODS];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(v[1], NULL, 10)) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), big = 16 << 20;
	struct sigaction sa = { .sa_handler = on_term };
	unsigned pods = 0, total = 0, alien = 0;

	sigaction(SIGTERM, &sa, NULL);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	if (inet_pton(AF_INET, v[0], &a.sin_addr) != 1 || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die("bind");
	while (!done) {
		struct pollfd pf = { .fd = fd, .events = POLLIN };
		struct packet p;

		if (poll(&pf, 1, 100) <= 0)
			continue;
		if (recv(fd, &p, sizeof(p), MSG_DONTWAIT) != sizeof(p) || p.magic != STREAM || p.pod >= PODS) {
			alien++;
			continue;
		}
		total++;
		pods += !count[p.pod]++;
		if (p.at_us > last_us[p.pod])
			last_us[p.pod] = p.at_us;
	}
	for (unsigned i = 0; i < PODS; i++)
		if (count[i])
			printf("pod %u packets %u last_us %u\n", i, count[i], last_us[i]);
	printf("total %u pods %u alien %u\n", total, pods, alien);
	return 0;
}

/* ---- one call ------------------------------------------------------------------------------------------ */

static int gc(const struct chain *c, char **v, struct buf *out)
{
	auto_cleanup(buf_done) struct buf b;

	buf_init(&b, 1u << 20);
	buf_adds(&b, ",\"cni.dev/valid-attachments\":[");
	for (int i = 0; v[i]; i++) {
		const char *slash = strchr(v[i], '/') ?: "/eth0";

		buf_printf(&b, "%s{\"containerID\":\"%.*s\",\"ifname\":\"%s\"}", i ? "," : "", (int)strcspn(v[i], "/"), v[i],
			   slash + 1);
	}
	buf_adds(&b, "]");
	return chain_run(c, "GC", NULL, b.data, out, NULL);
}

int main(int argc, char **argv)
{
	static const struct { const char *word, *cmd; int args; } words[] = {
		{ "add", "ADD", 4 }, { "del", "DEL", 4 }, { "check", "CHECK", 4 }, { "gc", "GC", 1 }, { "status", "STATUS", 1 },
		{ "version", "VERSION", 1 }, { "storm", NULL, 8 }, { "sink", NULL, 2 },
	};
	auto_cleanup(buf_done) struct buf out;
	struct box b = { };
	struct chain c;
	size_t i;
	int r;

	buf_init(&out, 1u << 21);
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < ARRAY_SIZE(words) && (argc < 2 || strcmp(words[i].word, argv[1])); i++)
		;
	if (i == ARRAY_SIZE(words) || argc - 2 < words[i].args) {
		fprintf(stderr, "usage: cnirun add|del|check|gc|status|version|storm|sink ...\n");
		return 2;
	}
	if (!words[i].cmd)
		return *argv[1] == 's' && argv[1][1] == 't' ? storm(argv + 2) : sink(argv + 2);
	chain_load(argv[2], &c);
	if (words[i].args == 4) {
		b = (struct box){ argv[3], argv[4], argv[5], argc > 8 ? argv[6] : NULL, argc > 8 ? argv[7] : NULL,
				  argc > 8 ? argv[8] : NULL };
		r = chain_run(&c, words[i].cmd, &b, NULL, &out, NULL);
	} else {
		r = words[i].cmd[0] == 'G' ? gc(&c, argv + 3, &out) : chain_run(&c, words[i].cmd, NULL, NULL, &out, NULL);
	}
	if (out.len)
		fwrite(out.data, 1, out.len, stdout);
	free(c.text);
	return r;
}
