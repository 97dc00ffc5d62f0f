/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "http/route.h"

static void handler(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	(void)arg, (void)x, (void)rq;
}

static void patterns(void **state)
{
	static const struct { const char *name, *path; int r; } t[] = {
		{ "literal", "/v1/status", 0 },
		{ "same again", "/v1/status", -EEXIST },
		{ "capture", "/v1/rules/{name}", 0 },
		{ "same shape, other name", "/v1/rules/{id}", -EEXIST },
		{ "tail in the same place is another shape", "/v1/rules/{ref...}", 0 },
		{ "tail not last", "/v1/{ref...}/x", -EINVAL },
		{ "no slash", "v1", -EINVAL },
		{ "empty", "", -EINVAL },
		{ "open brace", "/v1/{name", -EINVAL },
		{ "brace inside", "/v1/a{b}", -EINVAL },
		{ "empty capture", "/v1/{}", -EINVAL },
		{ "five captures", "/{a}/{b}/{c}/{d}/{e}", -EINVAL },
		{ "four captures", "/{a}/{b}/{c}/{d}", 0 },
		{ "seventeen segments", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", -EINVAL },
	};
	struct http_route routes[ARRAY_SIZE(t)];
	struct route_table rt = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		routes[i] = (struct http_route){ HTTP_GET, t[i].path, handler, 0 };
		print_message("  %s\n", t[i].name);
		assert_int_equal(route_table_add(&rt, &routes[i], NULL), t[i].r);
	}
	route_table_done(&rt);
}

static void finding(void **state)
{
	static const struct http_route routes[] = {
		{ HTTP_GET, "/v1/rules", handler, 0 },		  /* 0 */
		{ HTTP_POST, "/v1/rules", handler, 0 },		  /* 1 */
		{ HTTP_GET, "/v1/rules/{name}", handler, 0 },	  /* 2 */
		{ HTTP_GET, "/v1/rules/export", handler, 0 },	  /* 3 */
		{ HTTP_GET, "/v1/workloads/{ref...}", handler, 0 }, /* 4 */
		{ HTTP_GET, "/v1/workloads/{ref}", handler, 0 },  /* 5 */
		{ HTTP_POST, "/v1/changes/{gen}/confirm", handler, 0 }, /* 6 */
		{ HTTP_GET, "/v1/{any}/export", handler, 0 },	  /* 7 */
	};
	static const struct {
		const char *name, *path;
		enum http_method m;
		int r, want;
		const char *cap;
	} t[] = {
		{ "literal", "/v1/rules", HTTP_GET, 0, 0, NULL },
		{ "other method", "/v1/rules", HTTP_POST, 0, 1, NULL },
		{ "method missing", "/v1/rules", HTTP_DELETE, -EPERM, 0, NULL },
		{ "capture", "/v1/rules/web", HTTP_GET, 0, 2, "web" },
		{ "literal beats capture", "/v1/rules/export", HTTP_GET, 0, 3, NULL },
		{ "first difference decides", "/v1/other/export", HTTP_GET, 0, 7, "other" },
		{ "capture beats tail", "/v1/workloads/x", HTTP_GET, 0, 5, "x" },
		{ "tail keeps slashes", "/v1/workloads/shop/deploy/web", HTTP_GET, 0, 4, "shop/deploy/web" },
		{ "middle capture", "/v1/changes/44/confirm", HTTP_POST, 0, 6, "44" },
		{ "empty capture", "/v1/rules/", HTTP_GET, -ENOENT, 0, NULL },
		{ "empty middle capture", "/v1/changes//confirm", HTTP_POST, -ENOENT, 0, NULL },
		{ "empty tail", "/v1/workloads/", HTTP_GET, -ENOENT, 0, NULL },
		{ "too long", "/v1/rules/web/x", HTTP_GET, -ENOENT, 0, NULL },
		{ "prefix only", "/v1", HTTP_GET, -ENOENT, 0, NULL },
		{ "case matters", "/V1/rules", HTTP_GET, -ENOENT, 0, NULL },
		{ "nothing", "", HTTP_GET, -ENOENT, 0, NULL },
	};
	struct route_table rt = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		assert_int_equal(route_table_add(&rt, &routes[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct route_match m;

		print_message("  %s\n", t[i].name);
		assert_int_equal(route_table_find(&rt, t[i].m, t[i].path, &m), t[i].r);
		if (t[i].r == -EPERM)
			assert_int_equal(m.methods, 1u << HTTP_GET | 1u << HTTP_POST);
		if (t[i].r)
			continue;
		assert_ptr_equal(m.entry->route, &routes[t[i].want]);
		assert_int_equal(m.ncaps, t[i].cap ? 1 : 0);
		if (t[i].cap) {
			assert_int_equal(m.caps[0].len, strlen(t[i].cap));
			assert_memory_equal(m.caps[0].at, t[i].cap, m.caps[0].len);
		}
	}
	route_table_done(&rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(patterns), cmocka_unit_test(finding) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
