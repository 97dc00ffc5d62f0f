/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors userspace/net/netns.c */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void refs(void **state)
{
	static const struct {
		const char *name, *ref;
		int r;
	} t[] = {
		{ "empty", "", -EINVAL },
		{ "dot", ".", -EINVAL },
		{ "up", "..", -EINVAL },
		{ "a name with a slash", "a/b", -EINVAL },
		{ "a path to nothing", "/nonexistent/ns", -ENOENT },
		{ "a file that is no namespace", "/dev/null", -EINVAL },
		{ "a directory", "/proc", -EINVAL },
		{ "another kind of namespace", "/proc/self/ns/mnt", -EINVAL },
		{ "pid no number", "pid:12x", -EINVAL },
		{ "pid zero", "pid:0", -EINVAL },
		{ "pid negative", "pid:-1", -EINVAL },
		{ "pid too big", "pid:4294967296", -EINVAL },
		{ "pid not there", "pid:2147483646", -ESRCH },
		{ "own by path", "/proc/self/ns/net", 0 },
	};
	char longname[400];
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  %s\n", t[i].name);
		fd = -7;
		assert_int_equal(netns_open(t[i].ref, &fd), t[i].r);
		if (t[i].r)
			assert_int_equal(fd, -7);
		else
			close(fd);
	}
	memset(longname, 'a', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	assert_int_equal(netns_open(longname, &fd), -EINVAL);
}

static void key_equality(void **state)
{
	static const struct {
		struct netns_key a, b;
		bool same;
	} t[] = {
		{ { 5, 100 }, { 5, 100 }, true },
		{ { 5, 100 }, { 5, 200 }, true },	/* the cookie decides */
		{ { 5, 100 }, { 6, 100 }, false },	/* an inode used again */
		{ { 0, 100 }, { 6, 100 }, true },	/* no cookie to compare */
		{ { 0, 100 }, { 0, 101 }, false },
		{ { 0, 0 }, { 0, 0 }, false },
		{ { 5, 0 }, { 0, 0 }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_int_equal(netns_key_same(&t[i].a, &t[i].b), t[i].same);
		assert_int_equal(netns_key_same(&t[i].b, &t[i].a), t[i].same);
	}
}

static void keys_of_namespaces(void **state)
{
	auto_close int a = -1, b = -1, self = -1;
	struct netns_key ka, ka2, kb, own, own2;
	char ref[32];

	(void)state;
	fixture_need_root();
	a = fixture_netns();
	b = fixture_netns();
	assert_int_equal(netns_key(a, &ka), 0);
	assert_int_equal(netns_key(a, &ka2), 0);
	assert_int_equal(netns_key(b, &kb), 0);
	assert_int_equal(netns_key(-1, &own), 0);
	snprintf(ref, sizeof(ref), "pid:%d", (int)getpid());
	assert_int_equal(netns_open(ref, &self), 0);
	assert_int_equal(netns_key(self, &own2), 0);
	assert_true(netns_key_same(&ka, &ka2));
	assert_true(netns_key_same(&own, &own2));
	assert_false(netns_key_same(&ka, &kb));
	assert_false(netns_key_same(&ka, &own));
	assert_true(ka.ino != kb.ino && ka.ino && kb.ino);
	assert_true(ka.cookie != own.cookie || !own.cookie);
}

static int see(void *arg)
{
	struct netns_key *k = arg;
	sigset_t blocked;

	if (netns_key(-1, k) < 0)
		return -1;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	return sigismember(&blocked, SIGTERM) ? 42 : 43;
}

static void run_inside(void **state)
{
	auto_close int a = -1, file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct netns_key before, after, inside, ka;

	(void)state;
	fixture_need_root();
	a = fixture_netns();
	assert_int_equal(netns_key(-1, &before), 0);
	assert_int_equal(netns_key(a, &ka), 0);
	assert_int_equal(netns_run(a, see, &inside), 42);
	assert_true(netns_key_same(&inside, &ka));
	assert_int_equal(netns_key(-1, &after), 0);
	assert_true(netns_key_same(&before, &after));
	assert_int_equal(netns_run(-1, see, &inside), 43);
	assert_true(netns_key_same(&inside, &before));
	/* fn does not run where the namespace cannot be entered */
	memset(&inside, 0, sizeof(inside));
	assert_int_equal(netns_run(file, see, &inside), -EINVAL);
	assert_int_equal(inside.ino, 0);
}

static void *run_many(void *arg)
{
	const int *fds = arg;
	long wrong = 0;

	for (int i = 0; i < 50; i++) {
		struct netns_key want, got;

		if (netns_key(fds[i % 2], &want) < 0 || netns_run(fds[i % 2], see, &got) != 42)
			wrong++;
		else
			wrong += !netns_key_same(&want, &got);
	}
	return (void *)wrong;
}

static void run_from_many_threads(void **state)
{
	pthread_t th[4];
	int fds[2];

	(void)state;
	fixture_need_root();
	fds[0] = fixture_netns();
	fds[1] = fixture_netns();
	for (size_t i = 0; i < ARRAY_SIZE(th); i++)
		assert_int_equal(pthread_create(&th[i], NULL, run_many, fds), 0);
	for (size_t i = 0; i < ARRAY_SIZE(th); i++) {
		void *wrong;

		pthread_join(th[i], &wrong);
		assert_null(wrong);
	}
	close(fds[0]);
	close(fds[1]);
}

static void socket_inside(void **state)
{
	auto_close int a = -1, sock = -1, none = -1;
	struct netns_key inside, ka;
	socklen_t len = sizeof(inside.cookie);

	(void)state;
	fixture_need_root();
	a = fixture_netns();
	assert_int_equal(netns_key(a, &ka), 0);
	if (!ka.cookie) {
		print_message("  skipped: no namespace cookies before Linux 5.14\n");
		skip();
	}
	assert_int_equal(netns_socket(a, AF_INET, SOCK_DGRAM, 0, &sock), 0);
	assert_int_equal(fcntl(sock, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(getsockopt(sock, SOL_SOCKET, 71, &inside.cookie, &len), 0);
	assert_int_equal(inside.cookie, ka.cookie);
	assert_int_equal(netns_socket(a, AF_INET, SOCK_DGRAM, 200, &none), -EPROTONOSUPPORT);
	assert_int_equal(none, -1);
}

struct seen {
	char names[4][16];
	struct netns_key keys[4];
	size_t n, stop_at;
};

static int note(void *arg, const char *name, int fd)
{
	struct seen *s = arg;

	assert_true(s->n < 4);
	snprintf(s->names[s->n], sizeof(s->names[0]), "%.15s", name);
	assert_int_equal(netns_key(fd, &s->keys[s->n]), 0);
	s->n++;
	return s->n == s->stop_at ? 5 : 0;
}

static void list(void **state)
{
	char dir[] = "/tmp/cwt-net-XXXXXX", path[128], target[64];
	auto_close int a = -1, b = -1;
	struct seen s = { .n = 0 };
	struct netns_key ka, kb;
	FILE *junk;

	(void)state;
	assert_int_equal(netns_list("/nonexistent/dir", note, &s), 0);
	fixture_need_root();
	a = fixture_netns();
	b = fixture_netns();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/one", dir);
	assert_int_equal(symlink(fixture_path(a, target), path), 0);
	snprintf(path, sizeof(path), "%s/two", dir);
	assert_int_equal(symlink(fixture_path(b, target), path), 0);
	snprintf(path, sizeof(path), "%s/junk", dir);	/* what a removed namespace leaves */
	junk = fopen(path, "w");
	assert_non_null(junk);
	fclose(junk);

	assert_int_equal(netns_list(dir, note, &s), 0);
	assert_int_equal(s.n, 2);
	netns_key(a, &ka);
	netns_key(b, &kb);
	for (size_t i = 0; i < s.n; i++)
		assert_true(netns_key_same(&s.keys[i], strcmp(s.names[i], "one") ? &kb : &ka));
	s = (struct seen){ .stop_at = 1 };
	assert_int_equal(netns_list(dir, note, &s), 5);
	assert_int_equal(s.n, 1);
	fixture_do(-1, "rm -r %s", dir);
}

static int by_name(void *arg)
{
	char target[64];
	int fd = -1;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/run", "tmpfs", 0, NULL) < 0 || mkdir(NETNS_RUN_DIR, 0755) < 0 ||
	    symlink(fixture_path(*(int *)arg, target), NETNS_RUN_DIR "/shop-web") < 0)
		return -errno;
	if (netns_open("missing", &fd) != -ENOENT || netns_open("shop-web", &fd))
		return -1;
	close(fd);
	return 7;
}

static void open_by_name(void **state)
{
	auto_close int a = -1, self = -1;

	(void)state;
	fixture_need_root();
	a = fixture_netns();
	assert_int_equal(netns_open_self(&self), 0);
	/* on a thread of its own, since it changes the mount namespace */
	assert_int_equal(netns_run(self, by_name, &a), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refs),
		cmocka_unit_test(key_equality),
		cmocka_unit_test(keys_of_namespaces),
		cmocka_unit_test(run_inside),
		cmocka_unit_test(run_from_many_threads),
		cmocka_unit_test(socket_inside),
		cmocka_unit_test(list),
		cmocka_unit_test(open_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
