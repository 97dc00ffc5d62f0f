/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fail.h"

static void round_trip(void **state)
{
	struct fail_list f = {}, g = {};
	cJSON *j, *back;
	char *s;

	(void)state;
	assert_int_equal(fail_add(&f, -EINVAL, "rule.port-range", "db.yaml:14", "tcp/LOW-HIGH", "correct line 14",
				  "the port range %s", "ends below its start"), -EINVAL);
	assert_int_equal(fail_add(&f, -ENOENT, "ref.not-found", NULL, NULL, NULL, "no such workload"), -ENOENT);
	j = fail_list_to_json(&f);
	s = cJSON_PrintUnformatted(j);
	assert_string_equal(s, "{\"kind\":\"ErrorList\",\"items\":[{\"name\":\"rule.port-range\","
			       "\"message\":\"the port range ends below its start\",\"at\":\"db.yaml:14\","
			       "\"expected\":\"tcp/LOW-HIGH\",\"next\":\"correct line 14\"},"
			       "{\"name\":\"ref.not-found\",\"message\":\"no such workload\"}],\"dropped\":0}");
	back = cJSON_Parse(s);
	assert_int_equal(fail_add(&g, 0, "old", NULL, NULL, NULL, "replaced"), 0);
	assert_int_equal(fail_list_from_json(back, &g), 0);
	assert_int_equal(g.n, 2);
	assert_string_equal(g.items[0].next, "correct line 14");
	assert_null(g.items[1].at);
	cJSON_Delete(back);
	cJSON_Delete(j);
	free(s);
	fail_list_done(&f);
	fail_list_done(&g);
	assert_int_equal(fail_add(NULL, -EPERM, "x", NULL, NULL, NULL, "y"), -EPERM);
}

static void too_many(void **state)
{
	struct fail_list f = {}, g = {};
	cJSON *j;

	(void)state;
	for (int i = 0; i < FAIL_LIST_MAX + 5; i++)
		fail_add(&f, -1, "n", NULL, NULL, NULL, "%d", i);
	assert_int_equal(f.n, FAIL_LIST_MAX);
	assert_int_equal(f.dropped, 5);
	assert_string_equal(f.items[FAIL_LIST_MAX - 1].message, "199");
	j = fail_list_to_json(&f);
	assert_int_equal(fail_list_from_json(j, &g), 0);
	assert_int_equal(g.n, FAIL_LIST_MAX);
	assert_int_equal(g.dropped, 5);
	cJSON_Delete(j);
	fail_list_done(&f);
	fail_list_done(&g);
}

static void not_a_list(void **state)
{
	static const char *const t[] = {
		"{}", "[]", "null", "{\"kind\":\"Rule\",\"items\":[]}", "{\"kind\":\"ErrorList\"}",
		"{\"kind\":\"ErrorList\",\"items\":[1]}", "{\"kind\":\"ErrorList\",\"items\":[{\"name\":\"x\"}]}",
		"{\"kind\":\"ErrorList\",\"items\":[{\"name\":1,\"message\":\"x\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct fail_list f = {};
		cJSON *j = cJSON_Parse(t[i]);

		print_message("  %s\n", t[i]);
		assert_int_equal(fail_list_from_json(j, &f), -EBADMSG);
		assert_int_equal(f.n, 0);
		cJSON_Delete(j);
	}
	assert_int_equal(fail_list_from_json(NULL, &(struct fail_list){}), -EBADMSG);
}

static void buffers(void **state)
{
	struct buf b;
	size_t n = 7;
	char *s;

	(void)state;
	buf_init(&b, 10);
	s = buf_take(&b, &n);
	assert_string_equal(s, "");
	assert_int_equal(n, 0);
	free(s);
	assert_int_equal(buf_adds(&b, "12345"), 0);
	assert_int_equal(buf_printf(&b, "%d", 67890), 0); /* exactly full */
	assert_string_equal(b.data, "1234567890");
	assert_int_equal(buf_adds(&b, ""), 0);
	assert_int_equal(buf_adds(&b, "x"), -E2BIG);
	assert_int_equal(buf_adds(&b, ""), -E2BIG); /* the first failure sticks */
	assert_null(buf_take(&b, NULL));
	buf_done(&b);
	assert_int_equal(buf_add(&b, "a\0b", 3), 0);
	s = buf_take(&b, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(s, "a\0b", 4);
	free(s);
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf_printf(&b, "%05d", i), 0);
	assert_int_equal(b.len, 50000);
	assert_memory_equal(b.data + 5 * 9999, "09999", 6);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(too_many), cmocka_unit_test(not_a_list),
		cmocka_unit_test(buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
