/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attachments on a veth pair whose far end is in another network namespace, with packets:
 * what the programs counted is compared with what was sent.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "cw_abi.h"
#include "loader/hooks.h"
#include "loader/object.h"
#include "net/netns.h"
#include "selftests/harness/own_ns.h"

#include "cw_tiny.skel.h"
#include "cw_tiny2.skel.h"

#define PORT 9999
#define HOST "10.99.0.1"
#define POD "10.99.0.2"

static bool ready;
static int host_netns = -1;
static struct own_pod pod;
static struct features feat;

struct lab {
	struct loader_set *set;
	struct hooks *hooks;
	struct hook in, out; /* host end of the veth: from the pod, to the pod */
};

static struct loader_set *load(int version)
{
	struct loader_image img = { .name = "tiny" };
	struct loader_config cfg = { .root = OWN_ROOT };
	struct loader_set *s = NULL;

	img.elf = version == 1 ? cw_tiny__elf_bytes(&img.size) : cw_tiny2__elf_bytes(&img.size);
	assert_int_equal(loader_set_load(&img, &cfg, NULL, &s), 0);
	return s;
}

static void veth_make(void)
{
	assert_int_equal(own_sh("ip link add cwth type veth peer name cwtp &&"
				"ip link set cwtp netns %d && ip addr add " HOST "/24 dev cwth && ip link set cwth up && "
				"nsenter --net=/proc/%d/ns/net sh -c 'ip addr add " POD "/24 dev cwtp && ip link set cwtp up'",
				(int)pod.pid, (int)pod.pid), 0);
}

static struct hook hook_on(const char *key, const char *dev, enum hook_dir dir, uint32_t ep)
{
	struct hook h = { .ep = ep, .dir = dir, .from_pod = dir == HOOK_INGRESS };

	(void)snprintf(h.key, sizeof(h.key), "%s", key);
	h.ifindex = if_nametoindex(dev);
	h.netns = own_netns_ino(host_netns);
	return h;
}

static int setup(void **state)
{
	static struct lab lab;

	if (!ready)
		return 0;
	(void)own_sh("ip link del cwth 2>/dev/null");
	assert_int_equal(loader_uninstall(OWN_ROOT), 0);
	veth_make();
	memset(&lab, 0, sizeof(lab));
	lab.set = load(1);
	assert_int_equal(loader_set_activate(lab.set), 0);
	assert_int_equal(hooks_open(OWN_ROOT, loader_set_entry_fd(lab.set), &feat, &lab.hooks), 0);
	lab.in = hook_on("pod.1/eth0", "cwth", HOOK_INGRESS, 5);
	lab.out = hook_on("pod.1/eth0", "cwth", HOOK_EGRESS, 5);
	*state = &lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;

	if (!ready)
		return 0;
	hooks_free(lab->hooks);
	loader_set_free(lab->set);
	return 0;
}

/* ---- packets ---------------------------------------------------------------------------------- */

static int sock_make(void *arg)
{
	(void)arg;
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* n datagrams from the pod to the host, or the other way. */
static void send_some(bool from_pod, int n)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = netns_run(from_pod ? pod.netns_fd : -1, sock_make, NULL);
	char one = 1;

	assert_true(fd >= 0);
	to.sin_addr.s_addr = inet_addr(from_pod ? HOST : POD);
	for (int i = 0; i < n; i++)
		while (sendto(fd, &one, 1, 0, (void *)&to, sizeof(to)) < 0)
			assert_true(errno == ECONNREFUSED); /* nobody listens, which is reported late */
	close(fd);
}

/* Does a datagram from the pod arrive? */
static bool arrives(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct timeval tv = { .tv_usec = 200000 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char c;
	bool got;

	assert_int_equal(bind(fd, (void *)&any, sizeof(any)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	send_some(true, 1);
	got = recv(fd, &c, 1, 0) == 1;
	close(fd);
	return got;
}

static uint64_t seen(const struct loader_set *s, uint32_t index)
{
	uint64_t v = 0;

	assert_int_equal(bpf_map_lookup_elem(loader_set_map_fd(s, "cw_seen"), &index, &v), 0);
	return v;
}

static struct hook_state check(struct lab *lab, const struct hook *h, int want)
{
	struct hook_state st = {};

	assert_int_equal(hooks_check(lab->hooks, h, host_netns, &st), want);
	return st;
}

static int count_hooks(void *arg, const struct hook *h, enum hook_kind k)
{
	(void)h;
	(void)k;
	++*(int *)arg;
	return 0;
}

static int hooks_count(struct lab *lab)
{
	int n = 0;

	assert_int_equal(hooks_list(lab->hooks, count_hooks, &n), 0);
	return n;
}

/* ---- tests -------------------------------------------------------------------------------------- */

static void both_directions(struct lab *lab, enum hook_kind kind)
{
	struct hook_state st;

	check(lab, &lab->in, HOOK_GONE);
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	assert_int_equal(st.kind, kind);
	assert_false(st.adopted);
	assert_int_equal(hooks_attach(lab->hooks, &lab->out, host_netns, &st), 0);
	assert_int_equal(st.kind, kind);
	assert_int_equal(check(lab, &lab->in, HOOK_OK).kind, kind);
	assert_int_equal(hooks_count(lab), 2);

	send_some(true, 20);
	assert_int_equal(seen(lab->set, CW_CB(5, 1)), 20);
	assert_int_equal(seen(lab->set, CW_CB(5, 0)), 0);
	send_some(false, 30);
	assert_int_equal(seen(lab->set, CW_CB(5, 1)), 20);
	assert_int_equal(seen(lab->set, CW_CB(5, 0)), 30);
	assert_int_equal(seen(lab->set, 63), 50); /* and each made its second jump */

	/* The same again is adopted: nothing is attached twice. */
	uint32_t prog = check(lab, &lab->in, HOOK_OK).prog_id;
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	assert_true(st.adopted);
	assert_int_equal(st.prog_id, prog);
	send_some(true, 1);
	assert_int_equal(seen(lab->set, CW_CB(5, 1)), 21);

	/* Another endpoint number on the same device: in place, under a new name. */
	struct hook again = lab->in;
	again.ep = 9;
	assert_int_equal(hooks_attach(lab->hooks, &again, host_netns, &st), 0);
	assert_int_equal(hooks_count(lab), 2);
	check(lab, &lab->in, HOOK_GONE);
	check(lab, &again, HOOK_OK);
	send_some(true, 4);
	assert_int_equal(seen(lab->set, CW_CB(5, 1)), 21);
	assert_int_equal(seen(lab->set, CW_CB(9, 1)), 4);

	assert_int_equal(hooks_detach(lab->hooks, &again, host_netns), 0);
	assert_int_equal(hooks_detach(lab->hooks, &lab->out, host_netns), 0);
	assert_int_equal(hooks_detach(lab->hooks, &lab->out, host_netns), 0);
	assert_int_equal(hooks_count(lab), 0);
	send_some(true, 5);
	send_some(false, 5);
	assert_int_equal(seen(lab->set, CW_CB(9, 1)), 4);
	assert_int_equal(seen(lab->set, CW_CB(5, 0)), 30);
	assert_int_equal(own_sh("tc qdisc show dev cwth | grep -q clsact"), 1);
}

static void tcx(void **state)
{
	if (!ready || !features_has(&feat, FEAT_TCX))
		skip();
	both_directions(*state, HOOK_KIND_TCX);
}

static struct hooks *clsact_hooks(struct lab *lab)
{
	struct features older = feat;
	struct hooks *h = NULL;

	features_force(&older, FEAT_TCX, false);
	assert_int_equal(hooks_open(OWN_ROOT, loader_set_entry_fd(lab->set), &older, &h), 0);
	return h;
}

static void clsact_forced(void **state)
{
	struct lab *lab = *state;

	if (!ready)
		skip();
	hooks_free(lab->hooks);
	lab->hooks = clsact_hooks(lab);
	both_directions(lab, HOOK_KIND_CLSACT);
}

/* A kernel upgrade: filters of the older way give place, and no packet is judged twice. */
static void clsact_to_tcx(void **state)
{
	struct lab *lab = *state;
	struct hook_state st;
	struct hooks *older;

	if (!ready || !features_has(&feat, FEAT_TCX))
		skip();
	older = clsact_hooks(lab);
	assert_int_equal(hooks_attach(older, &lab->in, host_netns, &st), 0);
	assert_int_equal(st.kind, HOOK_KIND_CLSACT);
	hooks_free(older);
	assert_int_equal(check(lab, &lab->in, HOOK_OK).kind, HOOK_KIND_CLSACT);
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	assert_int_equal(st.kind, HOOK_KIND_TCX);
	assert_int_equal(hooks_count(lab), 1);
	send_some(true, 10);
	assert_int_equal(seen(lab->set, CW_CB(5, 1)), 10);
	assert_int_equal(own_sh("tc qdisc show dev cwth | grep -q clsact"), 1);
}

static void foreign_filter(int code)
{
	struct bpf_insn in[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = code }, { .code = BPF_JMP | BPF_EXIT } };
	int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", in, 2, NULL);

	(void)unlink("/run/foreign");
	assert_int_equal(bpf_obj_pin(prog, "/run/foreign"), 0);
	assert_int_equal(own_sh("tc filter replace dev cwth ingress prio 7 handle 1 bpf da pinned /run/foreign"), 0);
	assert_int_equal(unlink("/run/foreign"), 0);
	close(prog);
}

/* Somebody else's filter beside ours is untouched by all we do, and what it says holds. */
static void foreign_untouched(void **state)
{
	static const char foreign[] = "tc filter show dev cwth ingress | grep -q 'pref 7 .*foreign'";
	struct lab *lab = *state;
	struct hook_state st;
	struct hooks *older;

	if (!ready)
		skip();
	assert_int_equal(own_sh("tc qdisc add dev cwth clsact"), 0);
	foreign_filter(0 /* TC_ACT_OK */);
	assert_int_equal(own_sh("%s", foreign), 0);
	older = clsact_hooks(lab);
	assert_int_equal(hooks_attach(older, &lab->in, host_netns, &st), 0);
	assert_int_equal(st.ahead, 0);
	assert_true(arrives());
	assert_int_equal(seen(lab->set, CW_CB(5, 1)), 1);
	assert_int_equal(own_sh("%s", foreign), 0);
	foreign_filter(2 /* TC_ACT_SHOT */);
	assert_false(arrives()); /* their drop stands behind our "no objection" */
	assert_int_equal(seen(lab->set, CW_CB(5, 1)), 2);
	assert_int_equal(hooks_detach(older, &lab->in, host_netns), 0);
	assert_int_equal(own_sh("%s", foreign), 0);
	assert_int_equal(own_sh("tc qdisc show dev cwth | grep -q clsact"), 0); /* not of our making */
	hooks_free(older);
	if (!features_has(&feat, FEAT_TCX))
		return;
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	assert_false(arrives()); /* also when ours is tcx */
	assert_int_equal(seen(lab->set, CW_CB(5, 1)), 3);
	assert_int_equal(loader_entry_clear(OWN_ROOT), 0);
	assert_false(arrives()); /* and when a stub answers for itself */
	assert_int_equal(own_sh("%s", foreign), 0);
}

/* A foreign filter in our very place is neither replaced nor deleted. */
static void place_taken(void **state)
{
	struct lab *lab = *state;
	struct hook_state st;
	struct hooks *older;

	if (!ready)
		skip();
	assert_int_equal(own_sh("tc qdisc add dev cwth clsact"), 0);
	struct bpf_insn in[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1 }, { .code = BPF_JMP | BPF_EXIT } };
	int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "cw_stub", "GPL", in, 2, NULL); /* the name alone */
	assert_int_equal(bpf_obj_pin(prog, "/run/foreign"), 0);
	assert_int_equal(own_sh("tc filter add dev cwth ingress prio 1 handle 0xce11 bpf da pinned /run/foreign"), 0);
	assert_int_equal(unlink("/run/foreign"), 0);
	close(prog);
	older = clsact_hooks(lab);
	assert_int_equal(hooks_attach(older, &lab->in, host_netns, &st), -EEXIST);
	assert_int_equal(hooks_check(older, &lab->in, host_netns, &st), HOOK_GONE);
	assert_int_equal(hooks_detach(older, &lab->in, host_netns), 0);
	assert_int_equal(own_sh("tc filter show dev cwth ingress | grep -q 'handle 0xce11'"), 0);
	assert_int_equal(hooks_count(lab), 0);
	hooks_free(older);
}

static int link_of(const struct hook *h)
{
	char name[HOOK_PIN_MAX + 1], path[512];

	assert_int_equal(hook_pin_name(h, name), 0);
	(void)snprintf(path, sizeof(path), "%s/links/%s", OWN_ROOT, name);
	return bpf_obj_get(path);
}

/* Every way to take our attachment away by hand is seen and mended. */
static void removed_by_hand(void **state)
{
	struct lab *lab = *state;
	char name[HOOK_PIN_MAX + 1];
	struct hook_state st;
	uint64_t n;
	int fd;

	if (!ready || !features_has(&feat, FEAT_TCX))
		skip();
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);

	print_message("  link detached\n");
	fd = link_of(&lab->in);
	assert_true(fd >= 0);
	assert_int_equal(bpf_link_detach(fd), 0);
	close(fd);
	check(lab, &lab->in, HOOK_DETACHED);
	assert_int_equal(hooks_check(lab->hooks, &lab->in, -1, &st), HOOK_DETACHED); /* without a namespace too */
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	assert_false(st.adopted);
	check(lab, &lab->in, HOOK_OK);

	print_message("  pin unlinked\n");
	assert_int_equal(hook_pin_name(&lab->in, name), 0);
	assert_int_equal(own_sh("rm '" OWN_ROOT "/links/%s'", name), 0);
	check(lab, &lab->in, HOOK_GONE);
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	check(lab, &lab->in, HOOK_OK);
	n = seen(lab->set, CW_CB(5, 1));
	/* An unlinked link is let go a little later: count only once it is. */
	for (int i = 0; i < 50; i++) {
		uint64_t before = seen(lab->set, CW_CB(5, 1));

		send_some(true, 1);
		n = seen(lab->set, CW_CB(5, 1)) - before;
		if (n == 1)
			break;
		(void)usleep(20000);
	}
	assert_int_equal(n, 1);

	print_message("  foreign program put before ours\n");
	struct bpf_insn pass[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1 }, { .code = BPF_JMP | BPF_EXIT } };
	int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", pass, 2, NULL);
	LIBBPF_OPTS(bpf_link_create_opts, o, .flags = 1u << 3);
	int other = bpf_link_create(prog, (int)lab->in.ifindex, (enum bpf_attach_type)46, &o);
	assert_true(other >= 0);
	assert_int_equal(check(lab, &lab->in, HOOK_OVERTAKEN).ahead, 1);
	close(other);
	check(lab, &lab->in, HOOK_OK);
	other = bpf_link_create(prog, (int)lab->out.ifindex, (enum bpf_attach_type)47, NULL);
	assert_true(other >= 0); /* one that was there first does not stay before ours */
	assert_int_equal(hooks_attach(lab->hooks, &lab->out, host_netns, &st), 0);
	assert_int_equal(st.ahead, 0);
	check(lab, &lab->out, HOOK_OK);
	assert_int_equal(hooks_detach(lab->hooks, &lab->out, host_netns), 0);
	close(other);

	print_message("  foreign program in our link\n");
	fd = link_of(&lab->in);
	assert_int_equal(bpf_link_update(fd, prog, NULL), 0);
	close(fd);
	check(lab, &lab->in, HOOK_ALIEN);
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	check(lab, &lab->in, HOOK_OK);
	close(prog);

	print_message("  clsact filter deleted\n");
	struct hooks *older = clsact_hooks(lab);
	assert_int_equal(hooks_attach(older, &lab->out, host_netns, &st), 0);
	assert_int_equal(own_sh("tc filter del dev cwth egress"), 0);
	assert_int_equal(hooks_check(older, &lab->out, host_netns, &st), HOOK_DETACHED);
	assert_int_equal(hooks_attach(older, &lab->out, host_netns, &st), 0);
	assert_int_equal(hooks_check(older, &lab->out, host_netns, &st), HOOK_OK);
	print_message("  clsact itself deleted\n");
	assert_int_equal(own_sh("tc qdisc del dev cwth clsact"), 0);
	assert_int_equal(hooks_check(older, &lab->out, host_netns, &st), HOOK_DETACHED);
	assert_int_equal(hooks_attach(older, &lab->out, host_netns, &st), 0);
	assert_int_equal(hooks_check(older, &lab->out, host_netns, &st), HOOK_OK);
	assert_int_equal(hooks_detach(older, &lab->out, host_netns), 0);
	hooks_free(older);
}

static void gone_one(void *arg, const struct hook *h)
{
	(void)snprintf(arg, 65, "%s", h->key);
}

static void stale_pins(void **state)
{
	struct lab *lab = *state;
	struct hook_state st;
	char who[65] = "";
	struct hook other;

	if (!ready || !features_has(&feat, FEAT_TCX))
		skip();
	assert_int_equal(own_sh("ip link add cwtd type veth peer name cwte && ip link set cwtd up"), 0);
	other = hook_on("other", "cwtd", HOOK_INGRESS, 6);
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	assert_int_equal(hooks_attach(lab->hooks, &other, host_netns, &st), 0);
	assert_int_equal(hooks_collect(lab->hooks, gone_one, who), 0);
	assert_int_equal(own_sh("ip link del cwtd"), 0);
	assert_int_equal(hooks_check(lab->hooks, &other, -1, &st), HOOK_DETACHED);
	assert_int_equal(hooks_attach(lab->hooks, &other, host_netns, &st), -ENODEV);
	assert_int_equal(hooks_collect(lab->hooks, gone_one, who), 1);
	assert_string_equal(who, "other");
	assert_int_equal(hooks_count(lab), 1);
	check(lab, &lab->in, HOOK_OK);
	assert_int_equal(hooks_collect(lab->hooks, NULL, NULL), 0);
}

static void refusals(void **state)
{
	struct lab *lab = *state;
	struct hook h;
	struct hook_state st = { .prog_id = 99 };
	struct hooks *none;
	struct features f = feat;
	int fd;

	if (!ready)
		skip();
	h = lab->in;
	h.ifindex = 4711;
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &st), -ENODEV);
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, pod.netns_fd, &st), -EINVAL); /* another namespace */
	h = lab->in;
	h.ep = 0;
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &st), -EINVAL);
	h = lab->in;
	h.dir = HOOK_XDP;
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &st), -ENOTSUP); /* no entry for it was given */
	h.ep = 0;
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &st), -EINVAL);
	features_force(&f, FEAT_TCX, false);
	features_force(&f, FEAT_CLSACT, false);
	assert_int_equal(hooks_open(OWN_ROOT, loader_set_entry_fd(lab->set), &f, &none), 0);
	assert_int_equal(hooks_attach(none, &lab->in, host_netns, &st), -ENOTSUP);
	hooks_free(none);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "x", 4, 4, 1, NULL);
	assert_int_equal(hooks_open(OWN_ROOT, fd, &feat, &none), -EINVAL);
	close(fd);
	assert_int_equal(st.prog_id, 99);
}

/* With no program in force a stub answers as it was made to. */
static void open_or_closed(void **state)
{
	struct lab *lab = *state;
	struct hook_state st;
	struct hook h;

	if (!ready)
		skip();
	h = lab->in;
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &st), 0);
	assert_true(arrives());
	assert_int_equal(loader_entry_clear(OWN_ROOT), 0);
	assert_true(arrives());
	h.closed = true;
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &st), 0);
	assert_true(st.adopted);
	assert_false(arrives());
	assert_int_equal(loader_set_activate(lab->set), 0);
	assert_true(arrives());
}

/* The pod's own end, in its own namespace. */
static void pod_side(void **state)
{
	struct lab *lab = *state;
	struct hook h = { .key = "pod", .ep = 4, .dir = HOOK_INGRESS };
	struct hook_state st;

	if (!ready || !features_has(&feat, FEAT_TCX))
		skip();
	h.netns = own_netns_ino(pod.netns_fd);
	/* Its index in the pod, which means another device, or none, on the host. */
	for (h.ifindex = 2; h.ifindex < 64; h.ifindex++) {
		if (!hooks_attach(lab->hooks, &h, pod.netns_fd, &st))
			break;
	}
	send_some(false, 6);
	assert_int_equal(seen(lab->set, CW_CB(4, 0)), 6);
	assert_int_equal(hooks_check(lab->hooks, &h, pod.netns_fd, &st), HOOK_OK);
	assert_int_equal(hooks_detach(lab->hooks, &h, pod.netns_fd), 0);
}

struct sender {
	atomic_bool stop;
	atomic_ulong sent;
	int fd;
};

static void *sender_run(void *arg)
{
	struct sender *s = arg;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	char one = 1;

	to.sin_addr.s_addr = inet_addr(HOST);
	while (!atomic_load(&s->stop)) {
		if (sendto(s->fd, &one, 1, 0, (void *)&to, sizeof(to)) == 1)
			atomic_fetch_add(&s->sent, 1);
	}
	return NULL;
}

/*
 * Upgrades under traffic: the same layout over and over, then another layout beside. Every
 * packet that was sent was counted by exactly one program.
 */
static void upgrade_unjudged_zero(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sender s = {};
	struct loader_set *next;
	struct hook_state st;
	uint64_t counted = 0, second = 0;
	int upgrades = 0, sink, last;
	pthread_t thread;

	if (!ready)
		skip();
	sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* so that no errors come back */
	assert_int_equal(bind(sink, (void *)&any, sizeof(any)), 0);
	assert_int_equal(hooks_attach(lab->hooks, &lab->in, host_netns, &st), 0);
	s.fd = netns_run(pod.netns_fd, sock_make, NULL);
	assert_true(s.fd >= 0);
	send_some(true, 1); /* the neighbour is known before the race begins */
	atomic_store(&s.sent, 1);
	assert_int_equal(pthread_create(&thread, NULL, sender_run, &s), 0);
	for (upgrades = 0; upgrades < 8; upgrades++) {
		next = load(1);
		assert_true(loader_set_adopted(next));
		assert_int_equal(loader_set_activate(next), 0);
		loader_set_free(lab->set);
		lab->set = next;
	}
	for (last = 2; last > 0; last--) {
		next = load(last);
		assert_false(loader_set_adopted(next));
		assert_int_equal(loader_set_activate(next), 0); /* waits for the last of the old */
		counted += seen(lab->set, CW_CB(5, 1));
		second += seen(lab->set, 63);
		assert_int_equal(loader_old_remove(next, loader_set_name(lab->set)), 0);
		loader_set_free(lab->set);
		lab->set = next;
		upgrades++;
		(void)usleep(20000);
	}
	atomic_store(&s.stop, true);
	(void)pthread_join(thread, NULL);
	(void)usleep(50000); /* the last packets may still be on their way through the backlog */
	counted += seen(lab->set, CW_CB(5, 1));
	second += seen(lab->set, 63);
	print_message("  %d upgrades, %lu packets sent, %llu judged, %llu second jumps\n", upgrades,
		      atomic_load(&s.sent), (unsigned long long)counted, (unsigned long long)second);
	assert_true(atomic_load(&s.sent) > 1000);
	assert_int_equal(counted, atomic_load(&s.sent));
	assert_int_equal(second, counted);
	close(s.fd);
	close(sink);
}

struct async {
	int done, r;
	uint64_t ticks;
};

static void async_done(void *arg, const struct hook *h, int r, const struct hook_state *st)
{
	struct async *a = arg;

	(void)h;
	(void)st;
	a->done++;
	if (r)
		a->r = r;
}

static void async_tick(uv_timer_t *t)
{
	struct async *a = t->data;

	a->ticks++;
	if (a->done == 20)
		uv_close((uv_handle_t *)t, NULL);
}

/* A storm of attachments leaves the loop free: a 1 ms timer goes on ticking. */
static void storm(void **state)
{
	struct lab *lab = *state;
	struct async a = {};
	struct hook h[20];
	uv_timer_t timer;
	uv_loop_t loop;

	if (!ready)
		skip();
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_timer_init(&loop, &timer), 0);
	timer.data = &a;
	for (int i = 0; i < 10; i++)
		assert_int_equal(own_sh("ip link add cwts%d type veth peer name cwtr%d", i, i), 0);
	for (int i = 0; i < 20; i++) {
		char dev[16], key[16];

		(void)snprintf(dev, sizeof(dev), "cwts%d", i / 2);
		(void)snprintf(key, sizeof(key), "s%d", i / 2);
		h[i] = hook_on(key, dev, i % 2 ? HOOK_EGRESS : HOOK_INGRESS, (uint32_t)i + 1);
		assert_int_equal(hooks_attach_async(lab->hooks, &loop, &h[i], host_netns, async_done, &a), 0);
	}
	assert_int_equal(hooks_attach_async(lab->hooks, &loop, &h[0], -1, async_done, &a), -EINVAL);
	assert_int_equal(uv_timer_start(&timer, async_tick, 1, 1), 0);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	print_message("  20 attached, %llu ticks meanwhile\n", (unsigned long long)a.ticks);
	assert_int_equal(a.r, 0);
	assert_int_equal(hooks_count(lab), 20);
	if (features_has(&feat, FEAT_TCX))
		assert_true(a.ticks > 20);
	a.done = 0;
	for (int i = 0; i < 20; i++)
		assert_int_equal(hooks_detach_async(lab->hooks, &loop, &h[i], host_netns, async_done, &a), 0);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(a.done, 20);
	assert_int_equal(a.r, 0);
	assert_int_equal(hooks_count(lab), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	for (int i = 0; i < 10; i++)
		(void)own_sh("ip link del cwts%d", i);
}

static void xdp(void **state)
{
	struct lab *lab = *state;
	struct hook h = lab ? lab->in : (struct hook){};
	int prog;
	struct hook_state st;

	if (!ready || !features_has(&feat, FEAT_XDP_LINK))
		skip();
	h.dir = HOOK_XDP;
	h.ep = 0;
	h.from_pod = false;
	prog = loader_set_prog_fd(lab->set, "cw_tiny_xdp");
	assert_true(prog >= 0);
	assert_int_equal(hooks_check(lab->hooks, &h, host_netns, &st), HOOK_GONE);
	assert_int_equal(hooks_attach_xdp(lab->hooks, &h, prog, host_netns, &st), 0);
	assert_int_equal(st.kind, HOOK_KIND_XDP_NATIVE); /* veth can */
	assert_int_equal(hooks_check(lab->hooks, &h, host_netns, &st), HOOK_OK);
	assert_int_equal(hooks_attach_xdp(lab->hooks, &h, prog, host_netns, &st), 0);
	assert_true(st.adopted);
	assert_int_equal(hooks_count(lab), 1);
	assert_int_equal(hooks_detach(lab->hooks, &h, host_netns), 0);
	assert_int_equal(own_sh("ip link show cwth | grep -q xdp"), 1);
	/* The loopback's driver cannot: generic. */
	h.ifindex = if_nametoindex("lo");
	assert_int_equal(hooks_attach_xdp(lab->hooks, &h, prog, host_netns, &st), 0);
	assert_int_equal(st.kind, HOOK_KIND_XDP_GENERIC);
	assert_int_equal(hooks_detach(lab->hooks, &h, host_netns), 0);
}

/* A stub in front of a program array of its own: what stands is adopted, one store changes it. */
static void xdp_stub(void **state)
{
	struct lab *lab = *state;
	struct hook h = lab ? lab->in : (struct hook){}, pin;
	char name[HOOK_PIN_MAX + 1];
	struct hook_state st, again;
	uint32_t slot = CW_ENTRY_TC;
	int prog, entry;

	if (!ready || !features_has(&feat, FEAT_XDP_LINK))
		skip();
	assert_int_equal(loader_set_use_xdp(lab->set, "no_such_program", &entry), -ENOENT);
	assert_int_equal(loader_set_use_xdp(lab->set, "cw_tiny_xdp_frags", &entry), 0);
	assert_int_equal(hooks_set_xdp_entry(lab->hooks, entry), 0);
	assert_int_equal(hooks_set_xdp_entry(lab->hooks, entry), -EINVAL); /* once */
	h.dir = HOOK_XDP;
	h.from_pod = true;
	h.ep = 7;
	assert_int_equal(hook_pin_name(&h, name), 0);
	assert_int_equal(hook_pin_parse(name, &pin), 0);
	assert_int_equal(pin.ep, 7);
	assert_int_equal(pin.dir, HOOK_XDP);

	/* Nothing in force: open lets pass, closed drops. */
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &st), 0);
	assert_int_equal(st.kind, HOOK_KIND_XDP_GENERIC);
	assert_false(st.adopted);
	assert_int_equal(hooks_check(lab->hooks, &h, host_netns, &again), HOOK_OK);
	assert_int_equal(again.prog_id, st.prog_id);
	assert_true(arrives());
	assert_int_equal(loader_set_activate(lab->set), 0);
	assert_int_equal(bpf_map_lookup_elem(entry, &slot, &prog), 0);
	assert_false(arrives()); /* this one drops all */
	assert_int_equal(loader_entry_clear(OWN_ROOT), 0);
	assert_int_equal(bpf_map_lookup_elem(entry, &slot, &prog), -ENOENT);
	assert_true(arrives());
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &again), 0);
	assert_true(again.adopted);
	assert_int_equal(again.link_id, st.link_id);
	h.closed = true;
	assert_int_equal(hooks_attach(lab->hooks, &h, host_netns, &again), 0);
	assert_int_equal(again.link_id, st.link_id);
	assert_false(arrives());
	assert_int_equal(hooks_count(lab), 1);

	/* What somebody else puts into our link is not ours. */
	prog = loader_set_prog_fd(lab->set, "cw_tiny_xdp");
	assert_true(prog >= 0);
	assert_int_equal(hooks_detach(lab->hooks, &h, host_netns), 0);
	assert_int_equal(hooks_check(lab->hooks, &h, host_netns, &again), HOOK_GONE);
	assert_int_equal(hooks_attach_xdp(lab->hooks, &h, prog, host_netns, &again), 0);
	assert_int_equal(hooks_check(lab->hooks, &h, host_netns, &again), HOOK_ALIEN);
	assert_int_equal(hooks_detach(lab->hooks, &h, host_netns), 0);
	assert_int_equal(own_sh("ip link show cwth | grep -q xdp"), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(tcx), T(clsact_forced), T(clsact_to_tcx), T(foreign_untouched), T(place_taken), T(removed_by_hand),
		T(stale_pins), T(refusals), T(open_or_closed), T(pod_side), T(upgrade_unjudged_zero),
		T(storm), T(xdp), T(xdp_stub),
	};
	int r;

	ready = own_enter() && !features_probe(OWN_ROOT, &feat) && !own_pod_start(&pod) &&
		!netns_open_self(&host_netns);
	if (ready)
		(void)own_sh("ip link set lo up");
	r = cmocka_run_group_tests(tests, NULL, NULL);
	if (ready)
		own_pod_stop(&pod);
	return r;
}
