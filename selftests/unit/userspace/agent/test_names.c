/* SPDX-License-Identifier: Apache-2.0 */
/* What kernel numbers mean must be there after a crash, also after one in mid-line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/priv.h"
#include "base/cleanup.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/cwt-names-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	char cmd[128];

	(void)state;
	for (int i = 1; i <= 2; i++) {
		snprintf(cmd, sizeof(cmd), "%s/names-%016x.jsonl", dir, i);
		unlink(cmd);
	}
	return rmdir(dir);
}

/* A set with one local workload, its address and a rule, prepared but never written anywhere. */
static struct policy_set *one_workload(const char *name, struct policy_plan **ret_plan)
{
	struct addr a = { };
	struct workload w = { .ns = (char *)"shop", .name = (char *)name, .addrs = &a, .naddrs = 1 };
	struct policy_state st = {
		.generation = 1, .workloads = &w, .nworkloads = 1, .default_mode = CW_MODE_LEARN,
		.default_action = CW_ACT_BLOCK,
	};
	struct policy_limits lim = { 0 };
	struct policy_plan *plan = NULL;
	struct policy_set *s = NULL;

	assert_int_equal(addr_parse("10.20.1.2", &a), 0);
	assert_int_equal(policy_set_new(&lim, &s), 0);
	assert_int_equal(policy_set_prepare(s, &st, NULL, &plan), 0);
	*ret_plan = plan; /* numbers are noted while the change waits for its commit */
	return s;
}

static void kept_over_restart(void **state)
{
	struct policy_plan *plan;
	struct policy_set *s = one_workload("web-1", &plan);
	const struct named *n;
	struct cw_addr meaning;
	struct names *x = NULL;
	struct policy_wl wl;
	struct addr a;

	(void)state;
	assert_int_equal(policy_set_wl(s, "shop", "web-1", &wl), 0);
	assert_int_equal(addr_parse("10.20.1.2", &a), 0);
	assert_int_equal(policy_plan_addr(plan, 0, &a, &meaning), 0);
	assert_int_equal(names_open(dir, 1, true, &x), 0);
	assert_int_equal(names_note(x, s), 0);
	names_free(x);

	assert_int_equal(names_open(dir, 1, false, &x), 0);
	n = names_wl(x, wl.wl);
	assert_non_null(n);
	assert_string_equal(n->ns, "shop");
	assert_string_equal(n->name, "web-1");
	n = names_eid(x, meaning.eid);
	assert_non_null(n);
	assert_string_equal(n->name, "web-1");
	assert_true(names_next_eid(x) > meaning.eid);
	assert_null(names_wl(x, wl.wl + 1000));
	names_free(x);
	policy_plan_free(plan);
	policy_set_free(s);
}

static void a_cut_line_names_nothing_and_harms_nothing(void **state)
{
	char path[128];
	static const char cut[] = "{\"wl\":7,\"ns\":\"a\",\"name\":\"b\"}\n{\"wl\":8,\"ns\":\"a\",\"na";
	struct names *x = NULL;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/names-%016x.jsonl", dir, 1);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, cut, sizeof(cut) - 1), sizeof(cut) - 1);
	close(fd);
	assert_int_equal(names_open(dir, 1, true, &x), 0);
	assert_non_null(names_wl(x, 7));
	assert_null(names_wl(x, 8));
	/* The next entry starts on a line of its own. */
	struct policy_plan *plan;
	struct policy_set *s = one_workload("web-2", &plan);
	struct policy_wl wl;

	assert_int_equal(names_note(x, s), 0);
	names_free(x);
	assert_int_equal(names_open(dir, 1, false, &x), 0);
	assert_int_equal(policy_set_wl(s, "shop", "web-2", &wl), 0);
	assert_non_null(names_wl(x, wl.wl));
	assert_string_equal(names_wl(x, wl.wl)->name, "web-2");
	names_free(x);
	policy_plan_free(plan);
	policy_set_free(s);
}

static void others_go_when_told(void **state)
{
	struct names *one = NULL, *two = NULL;

	(void)state;
	assert_int_equal(names_open(dir, 1, true, &one), 0);
	assert_int_equal(names_open(dir, 2, true, &two), 0);
	names_free(one);
	assert_int_equal(names_open(dir, 1, false, &one), 0); /* opening another keeps it */
	names_free(one);
	names_drop_others(two);
	assert_int_equal(names_open(dir, 1, false, &one), -ENOENT);
	names_free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept_over_restart, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(a_cut_line_names_nothing_and_harms_nothing, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(others_go_when_told, make_dir, drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
