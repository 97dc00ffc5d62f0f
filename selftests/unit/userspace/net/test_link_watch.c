/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/link_watch.c: real changes in private namespaces, real loop */
#include "fixture.h"

#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <time.h>
#include <uv.h>

#include "net/link_watch.h"

enum { LOG_MAX = 4096, SETTLE_MS = 5000 };

struct seen {
	uint32_t what;		/* of link_table_apply, for the watched namespace */
	struct link_change c;
};

struct bench {
	uv_loop_t loop;
	int ns;
	struct link_watch *w;
	struct link_table t;	/* kept by applying changes */
	struct seen *log;
	size_t n;
	unsigned resyncs;
	bool closed, close_at_change;
};

static void on_closed(void *arg)
{
	((struct bench *)arg)->closed = true;
}

static void on_change(void *arg, const struct link_change *c)
{
	struct bench *b = arg;
	uint32_t what = 0;

	assert_false(b->closed);
	if (c->in_nsid == LINK_NSID_OWN)
		assert_int_equal(link_table_apply(&b->t, c, &what), 0);
	if (b->n < LOG_MAX)
		b->log[b->n++] = (struct seen){ what, *c };
	if (b->close_at_change)
		link_watch_close(b->w, on_closed, b);
}

static void on_resync(void *arg)
{
	struct bench *b = arg;
	struct link_table fresh;

	b->resyncs++;
	assert_int_equal(link_table_fill(b->ns, &fresh), 0);
	link_table_done(&b->t);
	b->t = fresh;
}

static const struct link_watch_ops ops = { .change = on_change, .resync = on_resync };

static void start(struct bench *b, unsigned flags, uint32_t rcvbuf)
{
	*b = (struct bench){ .ns = -1 };
	fixture_need_root();
	b->ns = fixture_netns();
	b->log = calloc(LOG_MAX, sizeof(*b->log));
	assert_int_equal(uv_loop_init(&b->loop), 0);
	assert_int_equal(link_watch_open(&b->loop, b->ns, flags, rcvbuf, &ops, b, &b->w), 0);
	assert_int_equal(link_table_fill(b->ns, &b->t), 0);
}

static void stop(struct bench *b)
{
	link_watch_close(b->w, on_closed, b);
	link_watch_close(b->w, NULL, NULL); /* idempotent: the first call counts */
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_true(b->closed);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	link_table_done(&b->t);
	free(b->log);
	close(b->ns);
}

/* A link change of the kind and name with the bits, after position `from`. */
static const struct seen *find(const struct bench *b, size_t from, enum link_change_kind kind,
			       const char *name, uint32_t what)
{
	for (size_t i = from; i < b->n; i++)
		if (b->log[i].c.kind == kind && (b->log[i].what & what) == what &&
		    (!name || !strcmp(b->log[i].c.link.name, name)))
			return &b->log[i];
	return NULL;
}

static void turn(struct bench *b)
{
	uv_run(&b->loop, UV_RUN_NOWAIT);
	usleep(1000);
}

#define until(b, cond)							\
	do {								\
		for (int ms_ = 0; !(cond) && ms_ < SETTLE_MS; ms_++)	\
			turn(b);					\
		assert_true(cond);					\
	} while (0)

static void life_of_a_veth(void **state)
{
	auto_close int other = -1;
	struct bench b;
	uint32_t first;
	size_t mark;
	char path[64];

	(void)state;
	start(&b, 0, 0);
	other = fixture_netns();

	fixture_do(b.ns, "ip link add v0 type veth peer name v1");
	until(&b, find(&b, 0, LINK_SET, "v0", LINK_IS_NEW) && find(&b, 0, LINK_SET, "v1", LINK_IS_NEW));
	first = link_table_find(&b.t, "v0")->ifindex;
	assert_string_equal(link_table_find(&b.t, "v0")->kind, "veth");

	mark = b.n;
	fixture_do(b.ns, "ip link set v0 name cali0");
	until(&b, find(&b, mark, LINK_SET, "cali0", LINK_RENAMED));
	assert_null(link_table_find(&b.t, "v0"));
	assert_int_equal(link_table_find(&b.t, "cali0")->ifindex, first);

	mark = b.n;
	fixture_do(b.ns, "ip link set cali0 up");
	until(&b, find(&b, mark, LINK_SET, "cali0", LINK_UPDOWN));
	fixture_do(b.ns, "ip link add br0 type bridge");
	fixture_do(b.ns, "ip link set cali0 master br0");
	until(&b, find(&b, mark, LINK_SET, "cali0", LINK_REMASTERED));
	mark = b.n;
	fixture_do(b.ns, "ip link set cali0 nomaster"); /* a bridge calls this a deletion */
	until(&b, find(&b, mark, LINK_SET, "cali0", LINK_REMASTERED));
	assert_null(find(&b, mark, LINK_GONE, "cali0", 0));

	mark = b.n;
	fixture_do(b.ns, "ip link set v1 netns %s name eth0", fixture_path(other, path));
	until(&b, find(&b, mark, LINK_GONE, "v1", LINK_IS_GONE));
	assert_true(find(&b, mark, LINK_GONE, "v1", 0)->c.moved);
	assert_true(find(&b, mark, LINK_GONE, "v1", 0)->c.moved_nsid >= 0);
	until(&b, link_table_find(&b.t, "cali0")->lower_nsid >= 0 ||
		  find(&b, mark, LINK_NSID_SET, NULL, 0));

	mark = b.n;
	fixture_do(b.ns, "ip link del cali0");
	until(&b, find(&b, mark, LINK_GONE, "cali0", LINK_IS_GONE));
	assert_false(find(&b, mark, LINK_GONE, "cali0", 0)->c.moved);

	/* the same name again: another device */
	mark = b.n;
	fixture_do(b.ns, "ip link add cali0 type veth peer name v1");
	until(&b, find(&b, mark, LINK_SET, "cali0", LINK_IS_NEW));
	assert_int_not_equal(link_table_find(&b.t, "cali0")->ifindex, first);
	assert_int_equal(b.resyncs, 0);
	stop(&b);
}

static void addresses(void **state)
{
	const struct seen *s;
	struct bench b;

	(void)state;
	start(&b, 0, 0);
	fixture_do(b.ns, "ip link add v0 type veth peer name v1");
	fixture_do(b.ns, "ip addr add 10.20.0.5/16 dev v0");
	fixture_do(b.ns, "ip addr add fd00:20::5/64 dev v0 nodad");
	until(&b, link_table_find(&b.t, "v0") && link_table_find(&b.t, "v0")->naddrs == 2);
	s = find(&b, 0, LINK_ADDR_SET, NULL, LINK_ADDRS_CHANGED);
	assert_memory_equal(s->c.addr.addr.b + 12, "\x0a\x14\0\x05", 4);
	assert_int_equal(s->c.addr.plen, 16);
	fixture_do(b.ns, "ip addr del 10.20.0.5/16 dev v0");
	fixture_do(b.ns, "ip addr del fd00:20::5/64 dev v0");
	until(&b, link_table_find(&b.t, "v0")->naddrs == 0);
	stop(&b);
}

/* One watch of the node hears what happens inside its pods, without holding them. */
static void all_namespaces(void **state)
{
	const struct seen *in_pod = NULL;
	struct bench b;
	char path[64];
	size_t mark;
	int pod;

	(void)state;
	start(&b, LINK_WATCH_ALL, 0);
	pod = fixture_netns();
	fixture_do(b.ns, "ip link add v0 type veth peer name eth0 netns %s", fixture_path(pod, path));
	until(&b, find(&b, 0, LINK_SET, "v0", LINK_IS_NEW) && link_table_find(&b.t, "v0")->lower_nsid >= 0);

	mark = b.n;
	fixture_do(pod, "ip link set eth0 up");
	fixture_do(pod, "ip addr add 10.20.0.9/24 dev eth0");
	until(&b, (in_pod = find(&b, mark, LINK_ADDR_SET, NULL, 0)));
	assert_int_equal(in_pod->c.in_nsid, link_table_find(&b.t, "v0")->lower_nsid);
	assert_int_equal(in_pod->c.addr.addr.b[15], 9);
	fixture_do(pod, "ip link set eth0 down");
	fixture_do(pod, "ip link set eth0 name net1");
	until(&b, (in_pod = find(&b, mark, LINK_SET, "net1", 0)));
	assert_int_equal(in_pod->c.in_nsid, link_table_find(&b.t, "v0")->lower_nsid);
	assert_null(link_table_find(&b.t, "net1")); /* not of this table */

	/* the pod ends: its number goes, and with it the end on the node */
	mark = b.n;
	close(pod);
	until(&b, find(&b, mark, LINK_NSID_GONE, NULL, 0) && find(&b, mark, LINK_GONE, "v0", LINK_IS_GONE));
	stop(&b);
}

static void without_all_only_own(void **state)
{
	struct bench b;
	char path[64];
	int pod;

	(void)state;
	start(&b, 0, 0);
	pod = fixture_netns();
	fixture_do(b.ns, "ip link add v0 type veth peer name eth0 netns %s", fixture_path(pod, path));
	fixture_do(pod, "ip addr add 10.20.0.9/24 dev eth0");
	fixture_do(b.ns, "ip link add last type veth peer name last1");
	until(&b, find(&b, 0, LINK_SET, "last", LINK_IS_NEW));
	assert_null(find(&b, 0, LINK_ADDR_SET, NULL, 0));
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.log[i].c.in_nsid, LINK_NSID_OWN);
	close(pod);
	stop(&b);
}

static void batch(struct bench *b, int from, int to, const char *fmt)
{
	char path[] = "/tmp/cwt-net-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");

	assert_non_null(f);
	for (int i = from; i < to; i++) {
		for (const char *p = fmt; *p; p++) {
			if (*p == '#')
				fprintf(f, "%d", i);
			else
				fputc(*p, f);
		}
		fputc('\n', f);
	}
	fclose(f);
	fixture_do(b->ns, "ip -batch %s", path);
	unlink(path);
}

static bool same_tables(const struct link_table *a, const struct link_table *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct link *x = &a->v[i], *y = &b->v[i];

		if (x->ifindex != y->ifindex || strcmp(x->name, y->name) || strcmp(x->kind, y->kind) ||
		    x->flags != y->flags || x->master != y->master || x->lower != y->lower ||
		    x->lower_nsid != y->lower_nsid || memcmp(x->mac, y->mac, 6) ||
		    x->naddrs != y->naddrs)
			return false;
	}
	return true;
}

static bool current(struct bench *b)
{
	auto_cleanup(link_table_done) struct link_table fresh = { 0 };

	assert_int_equal(link_table_fill(b->ns, &fresh), 0);
	return same_tables(&b->t, &fresh);
}

/* More changes than a tiny buffer holds: the loss is told, and after it the table is right. */
static void overrun(void **state)
{
	struct link_watch_stats st;
	struct bench b;

	(void)state;
	start(&b, 0, 4096);
	batch(&b, 0, 100, "link add a# type veth peer name b#");
	until(&b, b.resyncs > 0);
	until(&b, current(&b));
	assert_non_null(link_table_find(&b.t, "a99"));
	link_watch_stats(b.w, &st);
	assert_true(st.lost > 0 && st.lost == b.resyncs);
	assert_int_equal(st.malformed, 0);
	/* and goes on hearing */
	fixture_do(b.ns, "ip link add after type veth peer name after1");
	until(&b, link_table_find(&b.t, "after"));
	stop(&b);
}

/*
 * After an overrun the kernel drops in silence until the queue is empty: what happens before that
 * must not be missed either.
 */
static void overrun_and_more_before_it_is_read(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 0, 256u << 10); /* holds more messages than one wake-up reads */
	batch(&b, 0, 300, "link add a# type veth peer name b#");
	uv_run(&b.loop, UV_RUN_NOWAIT);
	assert_true(b.n > 0 && b.n <= LINK_WATCH_BUDGET);
	fixture_do(b.ns, "ip link add late type veth peer name late1");
	until(&b, b.resyncs > 0);
	until(&b, current(&b));
	assert_non_null(link_table_find(&b.t, "late"));
	stop(&b);
}

/* Random operations; at the end the table kept by changes equals a fresh dump. */
static void kept_table_equals_dump(void **state)
{
	const char *fixed = getenv("CW_SEED");
	unsigned seed = fixed ? (unsigned)strtoul(fixed, NULL, 10) : (unsigned)time(NULL);
	struct link_watch_stats st;
	int pods[3] = { -1, -1, -1 };
	struct bench b;
	char path[64];

	(void)state;
	print_message("  CW_SEED=%u\n", seed);
	start(&b, LINK_WATCH_ALL, 0);
	for (int i = 0; i < 3; i++)
		pods[i] = fixture_netns();
	fixture_do(b.ns, "ip link add br0 type bridge");
	for (int i = 0; i < 120; i++) {
		int k = rand_r(&seed) % 6, pod = pods[rand_r(&seed) % 3];

		/* many of these fail, such as what names an interface that is not there */
		switch (rand_r(&seed) % 8) {
		case 0:
			fixture_try(b.ns, "ip link add v%d type veth peer name p%d", k, k);
			break;
		case 1:
			fixture_try(b.ns, "ip link add v%d type veth peer name eth%d netns %s", k, k,
				    fixture_path(pod, path));
			break;
		case 2:
			fixture_try(b.ns, "ip link del v%d", k);
			break;
		case 3:
			fixture_try(b.ns, "ip link set p%d netns %s", k, fixture_path(pod, path));
			break;
		case 4:
			fixture_try(b.ns, "ip link set v%d up", k);
			break;
		case 5:
			fixture_try(b.ns, "ip link set v%d %s", k, i % 2 ? "master br0" : "nomaster");
			break;
		case 6:
			fixture_try(b.ns, "ip addr add 10.0.%d.%d/24 dev v%d", k, i + 1, k);
			break;
		case 7:
			fixture_try(b.ns, "ip link set v%d name v%d", k, (k + 1) % 6);
			break;
		}
		if (!(i % 5))
			turn(&b);
	}
	until(&b, current(&b));
	link_watch_stats(b.w, &st);
	print_message("  %llu changes, %llu lost\n", (unsigned long long)st.changes,
		      (unsigned long long)st.lost);
	assert_int_equal(st.malformed, 0);
	assert_true(st.changes > 50);
	for (int i = 0; i < 3; i++)
		close(pods[i]);
	stop(&b);
}

/* A wake-up reads a budget, so that others on the loop get their turn. */
static void budget(void **state)
{
	struct link_watch_stats st;
	struct bench b;

	(void)state;
	start(&b, 0, 0);
	batch(&b, 0, 100, "link add a# type veth peer name b#");
	until(&b, link_table_find(&b.t, "a99"));
	link_watch_stats(b.w, &st);
	assert_true(st.changes > LINK_WATCH_BUDGET);
	assert_true(st.wakeups >= st.changes / LINK_WATCH_BUDGET / 2 && st.wakeups > 1);
	assert_int_equal(st.lost, 0);
	stop(&b);
}

/* The port of the only netlink route socket but ours in the namespace. */
static int find_port(void *arg)
{
	FILE *f = fopen("/proc/thread-self/net/netlink", "re");
	unsigned long long sk;
	unsigned proto, pid;
	char line[256];

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx %u %u", &sk, &proto, &pid) == 3 && proto == NETLINK_ROUTE && pid)
			*(unsigned *)arg = pid;
	fclose(f);
	return 0;
}

static void forged(void **state)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg m;
		struct rtattr a;
		char name[8];
	} msg = {
		.h = { .nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWLINK },
		.m = { .ifi_index = 77 },
		.a = { .rta_len = sizeof(struct rtattr) + 8, .rta_type = IFLA_IFNAME },
		.name = "forged",
	};
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct link_watch_stats st = { 0 };
	auto_close int sock = -1;
	struct bench b;

	(void)state;
	start(&b, 0, 0);
	assert_int_equal(netns_run(b.ns, find_port, &to.nl_pid), 0);
	assert_true(to.nl_pid);
	assert_int_equal(netns_socket(b.ns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, &sock), 0);
	assert_int_equal(sendto(sock, &msg, sizeof(msg), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(msg));
	until(&b, (link_watch_stats(b.w, &st), st.foreign == 1));
	assert_int_equal(b.n, 0);
	assert_null(link_table_get(&b.t, 77));
	stop(&b);
}

static void close_inside_callback(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 0, 0);
	b.close_at_change = true;
	fixture_do(b.ns, "ip link add v0 type veth peer name v1");
	for (int ms = 0; !b.closed && ms < SETTLE_MS; ms++)
		turn(&b);
	assert_true(b.closed);
	assert_int_equal(b.n, 1);
	assert_int_equal(uv_loop_close(&b.loop), 0);
	link_table_done(&b.t);
	free(b.log);
	close(b.ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_of_a_veth),
		cmocka_unit_test(addresses),
		cmocka_unit_test(all_namespaces),
		cmocka_unit_test(without_all_only_own),
		cmocka_unit_test(overrun),
		cmocka_unit_test(overrun_and_more_before_it_is_read),
		cmocka_unit_test(kept_table_equals_dump),
		cmocka_unit_test(budget),
		cmocka_unit_test(forged),
		cmocka_unit_test(close_inside_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
