/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lab for real (root): built, used without any firewall, taken down without a trace. The run
 * without a firewall is also the counter-check of the demo: all is answered, every probe arrives.
 */
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lab/dirs.h"
#include "lab/lab.h"

static char dir[64], helper[512];
static size_t links_before;

static size_t count_links(void)
{
	struct if_nameindex *all = if_nameindex();
	size_t n = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++)
		n++;
	if_freenameindex(all);
	return n;
}

/* The helper is built into bin/ of the same output folder as this test. */
static int find_helper(void)
{
	char exe[400];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *at;

	if (n < 0)
		return -1;
	exe[n] = '\0';
	at = strstr(exe, "/test/");
	if (!at)
		return -1;
	*at = '\0';
	snprintf(helper, sizeof(helper), "%s/bin/cellwall-lab", exe);
	return access(helper, X_OK);
}

static struct lab_options options(void)
{
	return (struct lab_options){ .dir = dir, .helper = helper };
}

static bool ready(void)
{
	if (geteuid() || find_helper()) {
		print_message("SKIPPED: needs root and %s\n", *helper ? helper : "bin/cellwall-lab");
		return false;
	}
	return true;
}

static void nothing_is_left(void)
{
	struct lab_options o = options();
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	struct stat st;

	assert_int_equal(lab_down(&o, NULL, &j), 0);
	assert_int_equal(json_i64(json_get(j, "removed"), "processes", -1), 0);
	assert_int_equal(json_i64(json_get(j, "removed"), "namespaces", -1), 0);
	assert_int_equal(stat(dir, &st), -1);
	assert_int_equal(count_links(), links_before);
}

static const char *first_fault(const struct fail_list *f)
{
	return f->n ? f->items[0].message : "";
}

static void up_traffic_down(void **state)
{
	static const struct lab_traffic_options normal = { .plan = LAB_NORMAL, .seconds = 2 };
	static const struct lab_traffic_options attack = { .plan = LAB_ATTACK, .seconds = 2, .probes = 4096, .forged = 40 };
	auto_cleanup(cJSON_Deletep) cJSON *up = NULL, *again = NULL, *t = NULL, *a = NULL, *list = NULL, *down = NULL;
	struct lab_options o = options();
	struct fail_list f = {};
	const cJSON *x;
	int n = 0, r;

	(void)state;
	if (!ready())
		skip();
	r = lab_up(&o, &f, &up);
	if (r)
		fail_msg("lab up: %s", first_fault(&f));
	assert_int_equal(cJSON_GetArraySize(json_get(up, "workloads")), 10);
	assert_int_equal(count_links(), links_before); /* nothing in the caller's namespace */
	assert_int_equal(lab_up(&o, &f, &again), -EEXIST);
	assert_string_equal(f.items[0].name, "lab.up");
	assert_int_equal(lab_list(&o, &f, &list), 0);
	assert_int_equal(cJSON_GetArraySize(json_get(list, "processes")), 11);

	r = lab_traffic(&o, &normal, &f, &t);
	if (r)
		fail_msg("lab traffic: %s", f.items[f.n - 1].message);
	cJSON_ArrayForEach(x, json_get(t, "accesses")) {
		int64_t requests = json_i64(x, "requests", 0), answered = json_i64(x, "answered", -1);

		n++;
		if (answered != (json_bool(x, "answers", false) ? requests : 0) || requests < 8)
			fail_msg("%s -> %s %s: %d of %d answered", json_str(x, "src"), json_str(x, "dst"),
				 json_str(x, "port"), (int)answered, (int)requests);
	}
	assert_int_equal(n, 26); /* pairs of pods; 16 between groups */
	cJSON_ArrayForEach(x, json_get(t, "namespaces"))
		assert_int_equal(json_i64(x, "expected", -1), json_i64(x, "answered", -2));

	/* without a firewall the attacker gets through: all that is sent is counted at the victims */
	assert_int_equal(lab_traffic(&o, &attack, &f, &a), 0);
	x = json_get(a, "attack");
	assert_int_equal(json_i64(x, "captureLost", -1), 0);
	assert_int_equal(json_i64(x, "probes", -1), 4096);
	assert_int_equal(json_i64(x, "delivered", -1), 4096);
	assert_int_equal(json_i64(x, "forged", -1), 40);
	assert_int_equal(json_i64(x, "forgedDelivered", -1), 40);
	assert_int_equal(json_i64(x, "dbAnswered", -1), 6);

	assert_int_equal(lab_down(&o, &f, &down), 0);
	assert_int_equal(json_i64(json_get(down, "removed"), "processes", -1), 11);
	assert_int_equal(json_i64(json_get(down, "removed"), "namespaces", -1), 12);
	nothing_is_left();
	fail_list_done(&f);
}

static void a_failed_up_leaves_nothing(void **state)
{
	struct lab_options o = { .dir = dir, .helper = "/bin/false" };
	auto_cleanup(cJSON_Deletep) cJSON *up = NULL;
	struct fail_list f = {};

	(void)state;
	if (!ready())
		skip();
	assert_int_equal(lab_up(&o, &f, &up), -ETIMEDOUT);
	assert_null(up);
	assert_string_equal(f.items[0].name, "lab.start");
	nothing_is_left();
	fail_list_done(&f);
}

/* A builder that is killed somewhere on the way: `down` removes what there is. */
static void a_killed_up_is_taken_down(void **state)
{
	(void)state;
	if (!ready())
		skip();
	for (useconds_t us = 20000; us <= 320000; us *= 4) {
		struct lab_options o = options();
		auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
		pid_t pid = fork();
		int r;

		assert_true(pid >= 0);
		if (!pid) {
			(void)lab_up(&o, NULL, &j);
			_exit(0);
		}
		usleep(us);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		r = lab_down(&o, NULL, &j);
		assert_int_equal(r, 0);
		nothing_is_left();
	}
}

static void foreign_processes_are_named(void **state)
{
	struct lab_options o = options();
	auto_cleanup(cJSON_Deletep) cJSON *up = NULL, *down = NULL;
	struct fail_list f = {};
	char path[LAB_PATH_MAX + 16];
	pid_t pid;

	(void)state;
	if (!ready())
		skip();
	assert_int_equal(lab_up(&o, &f, &up), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		snprintf(path, sizeof(path), "--net=%s/netns/node", dir);
		execlp("nsenter", "nsenter", path, "sleep", "60", (char *)NULL);
		_exit(127);
	}
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	for (int i = 0; i < 200; i++) { /* until it is inside and what it will be */
		auto_free char *comm = NULL;

		if (!read_all_path(path, 64, &comm, NULL) && !strcmp(comm, "sleep\n"))
			break;
		usleep(50000);
	}
	assert_int_equal(lab_down(&o, &f, &down), -EBUSY);
	assert_string_equal(f.items[0].name, "lab.left");
	assert_non_null(strstr(f.items[0].at, "sleep ("));
	assert_int_equal(json_i64(json_get(down, "left"), "processes", -1), 1);
	assert_int_equal(json_i64(json_get(down, "left"), "links", -1), 0);
	assert_int_equal(kill(pid, 0), 0); /* others' processes are left alone */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	nothing_is_left();
	fail_list_done(&f);
}

static void bad_options_are_refused(void **state)
{
	static const struct { const char *dir; int err; } rows[] = {
		{ "relative", -EINVAL }, { "/", -EINVAL }, { "/tmp/a b", -EINVAL }, { "/tmp/a\n", -EINVAL },
		{ "/tmp/$(id)", -EINVAL },
	};
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	struct lab_options o = options();

	(void)state;
	if (!ready())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fail_list f = {};

		o.dir = rows[i].dir;
		assert_int_equal(lab_list(&o, &f, &j), rows[i].err);
		assert_string_equal(f.items[0].name, "lab.dir");
		fail_list_done(&f);
	}
	o = options();
	assert_int_equal(lab_list(&o, NULL, &j), -ENOENT);
	assert_int_equal(lab_traffic(&o, &(struct lab_traffic_options){ .seconds = 1 }, NULL, &j), -ENOENT);
	assert_int_equal(lab_traffic(&o, &(struct lab_traffic_options){}, NULL, &j), -EINVAL);
	o.helper = "/nonexistent";
	assert_int_equal(lab_list(&o, NULL, &j), -ENOENT);
}

/* Also after a failure in the middle. */
static int take_down(void **state)
{
	struct lab_options o = options();
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;

	(void)state;
	if (!geteuid() && *helper)
		(void)lab_down(&o, NULL, &j);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(up_traffic_down, take_down),
		cmocka_unit_test_teardown(a_failed_up_leaves_nothing, take_down),
		cmocka_unit_test_teardown(a_killed_up_is_taken_down, take_down),
		cmocka_unit_test_teardown(foreign_processes_are_named, take_down),
		cmocka_unit_test_teardown(bad_options_are_refused, take_down),
	};

	snprintf(dir, sizeof(dir), "/run/cwt-lab-%d", (int)getpid());
	links_before = count_links();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
