/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.c - the network of the lab. A node namespace with a bridge and the host ends of the
 * pairs, a namespace for each workload behind it, and one that is the world, routed beyond the
 * node. No link is ever made in the caller's namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "lab/build.h"
#include "lab/plan.h"
#include "net/netns.h"

#define UPLINK "up0"
#define NODE_UP_V4 "192.0.2.1"
#define OUT_UP_V4 "192.0.2.2"
#define NODE_UP_V6 "2001:db8:ff::1"
#define OUT_UP_V6 "2001:db8:ff::2"
#define READY_MS 5000 /* from start to listening, on a machine that has other things to do */
#define BATCH_BYTES (64u << 10)

/* A child makes a namespace and leaves it pinned under a name; nothing of ours changes its own. */
static int netns_make(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	pid_t pid, self = getpid();
	int status;

	if (fd < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		/* whoever takes a killed builder's things down must not meet a late mount */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(ESRCH);
		if (unshare(CLONE_NEWNET) || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL))
			_exit(errno > 0 && errno < 126 ? errno : 126);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return !WIFEXITED(status) ? -EIO : -WEXITSTATUS(status);
}

/* In a new namespace, before it has links: they take these over. */
static int sysctls(void *arg)
{
	static const struct { const char *path, *value; bool node; } t[] = {
		/* no duplicate-address wait, no router solicitations: nothing moves but what the plan says */
		{ "/proc/sys/net/ipv6/conf/all/accept_dad", "0", false },
		{ "/proc/sys/net/ipv6/conf/default/accept_dad", "0", false },
		{ "/proc/sys/net/ipv6/conf/default/accept_ra", "0", false },
		{ "/proc/sys/net/ipv6/conf/default/router_solicitations", "0", false },
		{ "/proc/sys/net/ipv4/ping_group_range", "0 0", false },
		{ "/proc/sys/net/ipv4/ip_forward", "1", true },
		{ "/proc/sys/net/ipv6/conf/all/forwarding", "1", true },
	};
	bool node = *(const bool *)arg;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		auto_close int fd = -1;

		if (t[i].node && !node)
			continue;
		fd = open(t[i].path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, t[i].value, strlen(t[i].value)) < 0)
			return -errno;
	}
	return 0;
}

static int make_namespace(const struct lab_dirs *d, const char *name, struct fail_list *f)
{
	bool node = !strcmp(name, LAB_NODE);
	char path[LAB_PATH_MAX];
	auto_close int fd = -1;
	int r = netns_make(lab_netns_path(d, name, path));

	if (r == 0)
		r = netns_open_path(path, &fd);
	if (r == 0)
		r = netns_run(fd, sysctls, &node);
	return r < 0 ? fail_add(f, r, "lab.netns", path, "root, and a kernel with IPv6", NULL,
				"cannot make the network namespace: %s", strerror(-r)) : 0;
}

static int node_links(const struct lab_dirs *d, struct fail_list *f)
{
	auto_cleanup(buf_done) struct buf b = {};
	char node[LAB_PATH_MAX], path[LAB_PATH_MAX];

	buf_init(&b, BATCH_BYTES);
	buf_printf(&b, "link set lo up\n"
		       "link add " LAB_BRIDGE " type bridge forward_delay 0 mcast_snooping 0\n"
		       "addr add " LAB_NODE_V4 "/16 dev " LAB_BRIDGE "\n"
		       "addr add " LAB_NODE_V6 "/48 dev " LAB_BRIDGE " nodad\n"
		       "link set " LAB_BRIDGE " up\n");
	for (size_t i = 0; i < LAB_OUTSIDE_AT; i++) {
		const char *name = lab_workloads[i].name;

		/* the host end speaks no IP of its own: only what the workload sends passes there */
		buf_printf(&b, "link add v-%s type veth peer name eth0 address 02:00:0a:14:00:%02zx netns %s\n"
			       "link set v-%s addrgenmode none master " LAB_BRIDGE " up\n",
			   name, i + 0x10, lab_netns_path(d, name, path), name);
	}
	buf_printf(&b, "link add " UPLINK " type veth peer name " UPLINK " netns %s\n"
		       "addr add " NODE_UP_V4 "/30 dev " UPLINK "\n"
		       "addr add " NODE_UP_V6 "/126 dev " UPLINK " nodad\n"
		       "link set " UPLINK " up\n",
		   lab_netns_path(d, LAB_OUTSIDE, path));
	return b.err ? b.err : lab_ip(lab_netns_path(d, LAB_NODE, node), b.data, false, f);
}

/* Routes need the other end of the pair to be up. */
static int node_routes(const struct lab_dirs *d, struct fail_list *f)
{
	char node[LAB_PATH_MAX];

	return lab_ip(lab_netns_path(d, LAB_NODE, node),
		      "route add 198.51.100.0/24 via " OUT_UP_V4 "\n"
		      "route add 203.0.113.0/24 via " OUT_UP_V4 "\n"
		      "route add 2001:db8::/32 via " OUT_UP_V6 "\n", false, f);
}

static int workload_links(const struct lab_dirs *d, const struct lab_workload *w, struct fail_list *f)
{
	auto_cleanup(buf_done) struct buf b = {};
	char path[LAB_PATH_MAX];

	buf_init(&b, BATCH_BYTES);
	buf_adds(&b, "link set lo up\n");
	if (w->ns) {
		buf_printf(&b, "addr add %s/16 dev eth0\naddr add %s/48 dev eth0 nodad\nlink set eth0 up\n"
			       "route add default via " LAB_NODE_V4 "\nroute add default via " LAB_NODE_V6 "\n",
			   w->v4, w->v6);
	} else {
		/* of the world's networks only these addresses exist: the rest is silence, not an error */
		buf_printf(&b, "addr add " OUT_UP_V4 "/30 dev " UPLINK "\n"
			       "addr add " OUT_UP_V6 "/126 dev " UPLINK " nodad\n"
			       "addr add %s/32 dev lo\naddr add " LAB_PAY_V4 "/32 dev lo\n"
			       "addr add %s/128 dev lo nodad\nlink set " UPLINK " up\n"
			       "route add " LAB_CIDR_V4 " via " NODE_UP_V4 " src %s\n"
			       "route add " LAB_CIDR_V6 " via " NODE_UP_V6 " src %s\n",
			   w->v4, w->v6, w->v4, w->v6);
	}
	return b.err ? b.err : lab_ip(lab_netns_path(d, w->name, path), b.data, false, f);
}

static int start_servers(const struct lab_dirs *d, struct fail_list *f)
{
	pid_t pid;

	for (size_t i = 0; i < LAB_WORKLOADS; i++) {
		const char *name = lab_workloads[i].name;
		int r = lab_spawn(d, name, (const char *const[4]){ "serve", name }, &pid);

		if (r < 0)
			return fail_add(f, r, "lab.start", d->helper, NULL, NULL, "cannot start the servers of %s: %s",
					name, strerror(-r));
	}
	for (size_t i = 0; i < LAB_WORKLOADS; i++) {
		char path[LAB_PATH_MAX];
		int waited = 0;

		lab_status_path(d, lab_workloads[i].name, path);
		for (; access(path, R_OK) && waited < READY_MS; waited += 5)
			(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
		if (waited >= READY_MS)
			return fail_add(f, -ETIMEDOUT, "lab.start", lab_workloads[i].name, NULL, NULL,
					"the servers of %s did not start within 5 s", lab_workloads[i].name);
	}
	return 0;
}

int lab_build(const struct lab_dirs *d, struct fail_list *f)
{
	int r = mkdir_p(d->netns, 0755);

	if (r == 0)
		r = mkdir_p(d->status, 0755);
	if (r < 0)
		return fail_add(f, r, "lab.dir", d->dir, "a folder that can be written", NULL, "cannot make the folder: %s",
				strerror(-r));
	r = make_namespace(d, LAB_NODE, f);
	for (size_t i = 0; r == 0 && i < LAB_WORKLOADS; i++)
		r = make_namespace(d, lab_workloads[i].name, f);
	if (r == 0)
		r = node_links(d, f);
	for (size_t i = 0; r == 0 && i < LAB_WORKLOADS; i++)
		r = workload_links(d, &lab_workloads[i], f);
	if (r == 0)
		r = node_routes(d, f);
	return r < 0 ? r : start_servers(d, f);
}
