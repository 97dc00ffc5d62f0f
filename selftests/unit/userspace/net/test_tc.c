/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/tc.c: a real qdisc on a veth in a private namespace */
#include "fixture.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "net/link_table.h"
#include "net/tc.h"

/* "r0 = action; exit" */
static int prog(int action, uint32_t *ret_id)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = action },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_prog_info info = { 0 };
	union bpf_attr load = { 0 }, get = { 0 };
	int fd;

	load.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	load.insns = (uint64_t)(uintptr_t)insns;
	load.insn_cnt = ARRAY_SIZE(insns);
	load.license = (uint64_t)(uintptr_t) "GPL";
	fd = (int)syscall(__NR_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	if (fd < 0)
		return -errno;
	get.info.bpf_fd = (uint32_t)fd;
	get.info.info_len = sizeof(info);
	get.info.info = (uint64_t)(uintptr_t)&info;
	assert_int_equal(syscall(__NR_bpf, BPF_OBJ_GET_INFO_BY_FD, &get, sizeof(get)), 0);
	*ret_id = info.id;
	return fd;
}

struct bench {
	int ns, pass, shot;	/* programs: let on, drop */
	uint32_t pass_id, shot_id, v0, v1;
	struct tc *t;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	auto_cleanup(link_table_done) struct link_table links = { 0 };

	*state = b;
	b->ns = -1;
	if (geteuid() || access("/usr/sbin/ip", X_OK))
		return 0;
	b->ns = fixture_netns();
	fixture_do(b->ns, "ip link add v0 type veth peer name v1");
	fixture_do(b->ns, "ip link set v0 up");
	fixture_do(b->ns, "ip link set v1 up");
	assert_int_equal(link_table_fill(b->ns, &links), 0);
	b->v0 = link_table_find(&links, "v0")->ifindex;
	b->v1 = link_table_find(&links, "v1")->ifindex;
	b->pass = prog(TC_ACT_UNSPEC, &b->pass_id);
	b->shot = prog(TC_ACT_SHOT, &b->shot_id);
	assert_true(b->pass >= 0 && b->shot >= 0);
	assert_int_equal(tc_open(b->ns, &b->t), 0);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	tc_close(b->t);
	if (b->ns >= 0) {
		close(b->pass);
		close(b->shot);
		close(b->ns);
	}
	free(b);
	return 0;
}

#define NEED(b) do { fixture_need_root(); assert_non_null((b)->t); } while (0)

static void clsact(void **state)
{
	struct bench *b = *state;
	bool made = false;

	NEED(b);
	assert_int_equal(tc_clsact_has(b->t, b->v0), 0);
	assert_int_equal(tc_clsact_del(b->t, b->v0), 0);
	assert_int_equal(tc_clsact_add(b->t, b->v0, &made), 0);
	assert_true(made);
	assert_int_equal(tc_clsact_has(b->t, b->v0), 1);
	assert_int_equal(tc_clsact_add(b->t, b->v0, &made), 0);
	assert_false(made);
	assert_int_equal(tc_clsact_del(b->t, b->v0), 0);
	assert_int_equal(tc_clsact_has(b->t, b->v0), 0);
	assert_int_equal(tc_clsact_del(b->t, b->v0), 0);
	/* and again after it was there once */
	assert_int_equal(tc_clsact_add(b->t, b->v0, &made), 0);
	assert_true(made);
}

static void clsact_refused(void **state)
{
	struct bench *b = *state;
	bool made = true;

	NEED(b);
	assert_int_equal(tc_clsact_add(b->t, 9999, &made), -ENODEV);
	assert_int_equal(tc_clsact_has(b->t, 9999), -ENODEV);
	fixture_do(b->ns, "tc qdisc add dev v1 ingress");
	assert_int_equal(tc_clsact_add(b->t, b->v1, &made), -EBUSY);
	assert_int_equal(tc_clsact_has(b->t, b->v1), -EBUSY);
	assert_int_equal(tc_clsact_del(b->t, b->v1), -EBUSY);
	assert_true(made);
}

static int count(void *arg, const struct tc_filter *f)
{
	(void)f;
	++*(int *)arg;
	return 0;
}

static int filters(struct bench *b, enum tc_dir dir)
{
	int n = 0;

	assert_int_equal(tc_filter_dump(b->t, b->v0, dir, count, &n), 0);
	return n;
}

static void filter_set_replace_delete(void **state)
{
	struct bench *b = *state;
	struct tc_filter f;
	bool made;

	NEED(b);
	for (int dir = TC_INGRESS; dir <= TC_EGRESS; dir++) {
		const struct tc_slot s = { b->v0, (enum tc_dir)dir, 0xc311, 7, "cw_stub" };

		if (dir == TC_INGRESS)
			assert_int_equal(tc_filter_set(b->t, &s, b->pass), -ENOENT); /* no clsact */
		assert_int_equal(tc_clsact_add(b->t, b->v0, &made), 0);
		assert_int_equal(tc_filter_get(b->t, &s, &f), -ENOENT);
		assert_int_equal(tc_filter_set(b->t, &s, b->pass), 0);
		assert_int_equal(tc_filter_get(b->t, &s, &f), 0);
		assert_int_equal(f.prog_id, b->pass_id);
		assert_int_equal(f.handle, 0xc311);
		assert_int_equal(f.prio, 7);
		assert_int_equal(f.proto, ETH_P_ALL);
		assert_true(f.direct_action);
		assert_string_equal(f.kind, "bpf");
		assert_string_equal(f.name, "cw_stub");
		assert_true(tc_filter_is(&f, &s));
		assert_int_equal(tc_clsact_del(b->t, b->v0), -ENOTEMPTY);

		assert_int_equal(tc_filter_set(b->t, &s, b->shot), 0);
		assert_int_equal(tc_filter_get(b->t, &s, &f), 0);
		assert_int_equal(f.prog_id, b->shot_id);
		assert_int_equal(filters(b, s.dir), 1); /* replaced, not added */
		assert_int_equal(filters(b, dir == TC_INGRESS ? TC_EGRESS : TC_INGRESS), 0);

		assert_int_equal(tc_filter_del(b->t, &s), 0);
		assert_int_equal(tc_filter_del(b->t, &s), 0);
		assert_int_equal(filters(b, s.dir), 0);
	}
	assert_int_equal(tc_clsact_del(b->t, b->v0), 0);
}

static void foreign_left_alone(void **state)
{
	struct bench *b = *state;
	const struct tc_slot theirs = { b->v0, TC_INGRESS, 0xc311, 7, "other" };
	const struct tc_slot ours = { b->v0, TC_INGRESS, 0xc311, 7, "cw_stub" };
	const struct tc_slot beside = { b->v0, TC_INGRESS, 0xc312, 7, "cw_stub" };
	struct tc_filter f;
	bool made;

	NEED(b);
	assert_int_equal(tc_clsact_add(b->t, b->v0, &made), 0);
	assert_int_equal(tc_filter_set(b->t, &theirs, b->pass), 0);
	assert_int_equal(tc_filter_set(b->t, &ours, b->shot), -EEXIST);
	assert_int_equal(tc_filter_get(b->t, &ours, &f), -EEXIST);
	assert_int_equal(tc_filter_del(b->t, &ours), -EEXIST);
	assert_int_equal(tc_filter_set(b->t, &beside, b->shot), 0);
	assert_int_equal(filters(b, TC_INGRESS), 2);
	assert_int_equal(tc_filter_del(b->t, &beside), 0);
	assert_int_equal(tc_filter_get(b->t, &theirs, &f), 0);
	assert_int_equal(f.prog_id, b->pass_id);
	assert_int_equal(tc_clsact_del(b->t, b->v0), -ENOTEMPTY);
}

static void foreign_kind_at_our_priority(void **state)
{
	struct bench *b = *state;
	const struct tc_slot ours = { b->v0, TC_INGRESS, 0xc311, 7, "cw_stub" };
	const struct tc_slot later = { b->v0, TC_INGRESS, 0xc311, 8, "cw_stub" };
	struct tc_filter f;
	bool made;

	NEED(b);
	assert_int_equal(tc_clsact_add(b->t, b->v0, &made), 0);
	if (fixture_try(b->ns, "tc filter add dev v0 ingress prio 7 protocol ip u32 match u32 0 0 action ok") &&
	    fixture_try(b->ns, "tc filter add dev v0 ingress prio 7 protocol ip u32 match u32 0 0 classid 1:1")) {
		print_message("  skipped: no u32 classifier in this kernel\n");
		skip();
	}
	assert_int_equal(tc_filter_set(b->t, &ours, b->pass), -EBUSY);
	assert_int_equal(tc_filter_get(b->t, &ours, &f), -ENOENT);
	assert_int_equal(tc_filter_del(b->t, &ours), 0);
	assert_int_equal(tc_filter_set(b->t, &later, b->pass), 0);
	assert_int_equal(tc_filter_del(b->t, &later), 0);
	assert_int_equal(tc_clsact_del(b->t, b->v0), -ENOTEMPTY);
}

static void bad_slots(void **state)
{
	struct bench *b = *state;
	char longname[TC_NAME_MAX + 1];
	const struct tc_slot t[] = {
		{ 0, TC_INGRESS, 1, 1, "x" },
		{ b->v0, TC_INGRESS, 0, 1, "x" },
		{ b->v0, TC_INGRESS, 1, 0, "x" },
		{ b->v0, TC_INGRESS, 1, 1, NULL },
		{ b->v0, TC_INGRESS, 1, 1, longname },
	};
	const struct tc_slot gone = { 9999, TC_INGRESS, 1, 1, "x" };
	const struct tc_slot ok = { b->v0, TC_INGRESS, 1, 1, "x" };
	bool made;

	NEED(b);
	memset(longname, 'a', TC_NAME_MAX);
	longname[TC_NAME_MAX] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_int_equal(tc_filter_set(b->t, &t[i], b->pass), -EINVAL);
		assert_int_equal(tc_filter_del(b->t, &t[i]), -EINVAL);
	}
	assert_int_equal(tc_filter_set(b->t, &gone, b->pass), -ENODEV);
	assert_int_equal(tc_clsact_add(b->t, b->v0, &made), 0);
	assert_int_equal(tc_filter_set(b->t, &ok, -1), -EBADF);
	assert_int_equal(tc_filter_set(b->t, &ok, b->ns), -EINVAL); /* no program */
	assert_int_equal(filters(b, TC_INGRESS), 0);
}

/* Sends n frames into v1 and counts those that reach the upper layers of v0. */
static int frames_through(struct bench *b, int n)
{
	auto_close int tx = -1, rx = -1;
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_halen = 6,
		.sll_ifindex = (int)b->v1, .sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	struct sockaddr_ll from = {
		.sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = (int)b->v0,
	};
	char frame[64] = "probe";
	int got = 0;

	assert_int_equal(netns_socket(b->ns, AF_PACKET, SOCK_DGRAM, 0, &tx), 0);
	assert_int_equal(netns_socket(b->ns, AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0, &rx), 0);
	assert_int_equal(bind(rx, (struct sockaddr *)&from, sizeof(from)), 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(sendto(tx, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
				 sizeof(frame));
	for (int quiet = 0; quiet < 20 && got < n;) {
		ssize_t r = recv(rx, frame, sizeof(frame), 0);

		if (r > 0) {
			got++;
		} else {
			usleep(5000);
			quiet++;
		}
	}
	return got;
}

static void filters_act(void **state)
{
	struct bench *b = *state;
	const struct tc_slot s = { b->v0, TC_INGRESS, 1, 1, "cw_stub" };
	bool made;

	NEED(b);
	assert_int_equal(tc_clsact_add(b->t, b->v0, &made), 0);
	assert_int_equal(frames_through(b, 10), 10);
	assert_int_equal(tc_filter_set(b->t, &s, b->shot), 0);
	assert_int_equal(frames_through(b, 10), 0);
	assert_int_equal(tc_filter_set(b->t, &s, b->pass), 0);
	assert_int_equal(frames_through(b, 10), 10);
	assert_int_equal(tc_filter_set(b->t, &s, b->shot), 0);
	assert_int_equal(tc_filter_del(b->t, &s), 0);
	assert_int_equal(frames_through(b, 10), 10);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(clsact), T(clsact_refused), T(filter_set_replace_delete), T(foreign_left_alone),
		T(foreign_kind_at_our_priority), T(bad_slots), T(filters_act),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
