/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftests/unit/userspace/store/scratch.h"

static void fresh_and_again(void **state)
{
	struct store *s;
	struct stat st;
	uint64_t n;

	s = scratch_open(*state);
	assert_null(store_moved(s));
	assert_int_equal(store_generation(s, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(stat(scratch_path(*state), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (uint64_t i = 1; i < 4; i++) {
		assert_int_equal(store_number_next(s, "rule", &n), 0);
		assert_int_equal(n, i);
	}
	store_close(s);
	s = scratch_open(*state);
	assert_int_equal(store_number_next(s, "rule", &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(store_number_next(s, "other", &n), 0);
	assert_int_equal(n, 1);
	store_close(s);
}

static void damage(const char *path, off_t at, size_t len, bool cut)
{
	char junk[4096];
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	memset(junk, 0x5a, sizeof(junk));
	if (cut)
		assert_int_equal(ftruncate(fd, at), 0);
	else
		assert_int_equal(pwrite(fd, junk, len, at), len);
	close(fd);
}

static void corrupt_files_are_moved_aside(void **state)
{
	static const struct { const char *name; off_t at; size_t len; bool cut; } t[] = {
		{ "header overwritten", 0, 100, false },
		{ "a page in the middle overwritten", 8192, 4096, false },
		{ "schema page overwritten", 100, 3000, false },
		{ "cut short", 20000, 0, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct workload w = { .ns = (char *)"shop", .name = (char *)"web-1" };
		struct fail_list f = { };
		struct stat before, after;
		struct store *s;
		uint64_t n;

		print_message("  %s\n", t[i].name);
		s = scratch_open(*state);
		for (int j = 0; j < 50; j++)
			assert_int_equal(store_event_add(s, T0, "attach", "shop/pod/web-1", "some text to fill a few pages with"), 0);
		assert_int_equal(store_workload_put(s, &w, "web-1", T0), 0);
		store_close(s);
		damage(scratch_path(*state), t[i].at, t[i].len, t[i].cut);
		assert_int_equal(stat(scratch_path(*state), &before), 0);

		assert_int_equal(store_open(scratch_path(*state), T0 + (int64_t)i * S, &f, &s), 0);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, "store.corrupt");
		assert_non_null(store_moved(s));
		assert_non_null(strstr(f.items[0].message, store_moved(s)));
		assert_int_equal(stat(store_moved(s), &after), 0);
		assert_int_equal(after.st_ino, before.st_ino); /* the very file, nothing lost of it */
		assert_int_equal(store_generation(s, &n), 0);
		fail_list_done(&f);
		store_close(s);
		s = scratch_open(*state); /* the new one is sound */
		assert_null(store_moved(s));
		store_close(s);
		scratch_wipe(*state);
	}
}

static void newer_schema_is_left_alone(void **state)
{
	struct fail_list f = { };
	struct store *s = scratch_open(*state);
	struct stat st;
	sqlite3 *db;

	store_close(s);
	assert_int_equal(sqlite3_open(scratch_path(*state), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "INSERT INTO migration VALUES(99,0)", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(store_open(scratch_path(*state), T0, &f, &s), -EPROTO);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.items[0].name, "store.schema");
	assert_int_equal(stat(scratch_path(*state), &st), 0);
	fail_list_done(&f);
}

static void one_process_at_a_time(void **state)
{
	struct fail_list f = { };
	struct store *s = scratch_open(*state), *other;

	assert_int_equal(store_event_add(s, T0, "x", NULL, NULL), 0);
	assert_int_equal(store_open(scratch_path(*state), T0, &f, &other), -EBUSY);
	assert_string_equal(f.items[0].name, "store.locked");
	fail_list_done(&f);
	store_close(s);
}

static void bad_paths(void **state)
{
	struct fail_list f = { };
	struct store *s;

	(void)state;
	assert_int_equal(store_open("/nonexistent/dir/file.db", T0, &f, &s), -ENOENT);
	assert_string_equal(f.items[0].name, "store.open");
	fail_list_done(&f);
	assert_true(store_open("/", T0, &f, &s) < 0);
	fail_list_done(&f);
}

static int count_workload(void *arg, const struct workload *w, const char *netns)
{
	struct { int n; struct workload copy; char netns[64]; } *got = arg;

	got->n++;
	workload_done(&got->copy);
	assert_int_equal(workload_copy(w, &got->copy), 0);
	(void)snprintf(got->netns, sizeof(got->netns), "%s", netns ? netns : "-");
	return 0;
}

static int count_namespace(void *arg, const struct namespace *n)
{
	*(int *)arg += 1;
	assert_string_equal(n->name, "shop");
	assert_string_equal(labels_get(&n->labels, "team"), "a");
	return 0;
}

static int count_ident(void *arg, struct ident id, const void *key, size_t len)
{
	*(uint32_t *)arg += id.n;
	assert_int_equal(len, 3);
	assert_memory_equal(key, id.n == 256 ? "a\0b" : "xyz", 3);
	return 0;
}

static void inventory(void **state)
{
	struct { int n; struct workload copy; char netns[64]; } got = { };
	struct named_port port = { (char *)"http", 6, 8080 };
	struct addr addrs[2] = { gen_addr("10.20.0.4"), gen_addr("fd00:20::4") };
	struct container_image images[2] = { { (char *)"web:1.4", (char *)"sha256:01" }, { (char *)"proxy", NULL } };
	struct workload w = { .ns = (char *)"shop", .name = (char *)"web-1", .uid = (char *)"u-1",
			      .controller_kind = (char *)"Deployment", .controller_name = (char *)"web",
			      .service_account = (char *)"sa", .node = (char *)"n1", .addrs = addrs, .naddrs = 2,
			      .ports = &port, .nports = 1, .mode_label = (char *)"alert",
			      .images = images, .nimages = 2 };
	struct namespace ns = { .name = (char *)"shop" };
	struct store *s = scratch_open(*state);
	uint32_t sum = 0;
	int n = 0;

	assert_int_equal(labels_parse("app=web,\xe5\x90\x8d=\xe5\x80\xbc", &w.labels) == 0 ||
			 labels_parse("app=web,tier=front", &w.labels) == 0, 1);
	assert_int_equal(labels_parse("team=a", &ns.labels), 0);
	assert_int_equal(store_workload_put(s, &w, "/run/netns/web-1", T0), 0);
	assert_int_equal(store_workload_put(s, &w, "web-1", T0), 0);
	assert_int_equal(store_namespace_put(s, &ns), 0);
	assert_int_equal(store_ident_put(s, (struct ident){ 256 }, "a\0b", 3), 0);
	assert_int_equal(store_ident_put(s, (struct ident){ 257 }, "xyz", 3), 0);
	assert_int_equal(store_ident_put(s, (struct ident){ 257 }, "xyz", 3), 0);
	assert_int_equal(store_ident_put(s, (struct ident){ 257 }, "zzz", 3), -EEXIST);
	assert_int_equal(store_ident_put(s, (struct ident){ 258 }, "xyz", 3), -EEXIST);
	store_close(s);

	s = scratch_open(*state);
	assert_int_equal(store_workload_each(s, count_workload, &got), 0);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.netns, "web-1");
	assert_string_equal(got.copy.uid, "u-1");
	assert_string_equal(got.copy.controller_name, "web");
	assert_string_equal(got.copy.mode_label, "alert");
	assert_int_equal(got.copy.labels.n, w.labels.n);
	assert_int_equal(got.copy.naddrs, 2);
	assert_memory_equal(got.copy.addrs, addrs, sizeof(addrs));
	assert_int_equal(got.copy.ports[0].port, 8080);
	assert_string_equal(got.copy.ports[0].name, "http");
	assert_int_equal(got.copy.nimages, 2);
	assert_string_equal(got.copy.images[0].name, "web:1.4");
	assert_string_equal(got.copy.images[0].digest, "sha256:01");
	assert_string_equal(got.copy.images[1].name, "proxy");
	assert_null(got.copy.images[1].digest);
	assert_int_equal(store_namespace_each(s, count_namespace, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_ident_each(s, count_ident, &sum), 0);
	assert_int_equal(sum, 513);
	assert_int_equal(store_workload_del(s, "shop", "web-1"), 0);
	assert_int_equal(store_workload_del(s, "shop", "web-1"), -ENOENT);
	assert_int_equal(store_namespace_del(s, "shop"), 0);
	assert_int_equal(store_ident_del(s, (struct ident){ 256 }), 0);
	assert_int_equal(store_ident_del(s, (struct ident){ 256 }), -ENOENT);
	got.n = 0;
	assert_int_equal(store_workload_each(s, count_workload, &got), 0);
	assert_int_equal(got.n, 0);
	w.ns = NULL;
	assert_int_equal(store_workload_put(s, &w, NULL, T0), -EINVAL);
	workload_done(&got.copy);
	labels_done(&w.labels);
	labels_done(&ns.labels);
	store_close(s);
}

static int gather_event(void *arg, const struct store_event *e)
{
	uint64_t *last = arg;

	assert_true(*last == 0 || e->num < *last);
	*last = e->num;
	return e->reason[0] == 's'; /* stop */
}

static void events_are_bounded(void **state)
{
	struct store *s = scratch_open(*state);
	uint64_t last = 0, events, changes;

	assert_int_equal(store_begin(s, false), 0); /* one transaction, for speed */
	for (unsigned i = 0; i < STORE_EVENTS_MAX + 2500; i++)
		assert_int_equal(store_event_add(s, T0 + i, i == 7 ? "stop" : "attach", "shop/pod/web-1", "x"), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_pruned(s, &events, &changes), 0);
	assert_int_equal(events, 2000);
	assert_int_equal(changes, 0);
	assert_int_equal(store_event_each(s, 0, 10, gather_event, &last), 0);
	assert_int_equal(last, STORE_EVENTS_MAX + 2500 - 9);
	last = 0;
	assert_int_equal(store_event_each(s, 2005, 100, gather_event, &last), 0);
	assert_int_equal(last, 2001);
	assert_int_equal(store_event_add(s, T0, "", NULL, NULL), -EINVAL);
	store_close(s);
}

static void nesting(void **state)
{
	struct store *s = scratch_open(*state);
	uint64_t n;

	assert_int_equal(store_commit(s), -EINVAL);
	assert_int_equal(store_begin(s, true), 0);
	assert_int_equal(store_number_next(s, "a", &n), 0);
	assert_int_equal(store_begin(s, true), 0);
	assert_int_equal(store_number_next(s, "b", &n), 0);
	store_rollback(s);			  /* b is forgotten, a is not */
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_number_next(s, "a", &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(store_number_next(s, "b", &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_begin(s, true), 0);
	assert_int_equal(store_number_next(s, "a", &n), 0);
	store_rollback(s);
	assert_int_equal(store_number_next(s, "a", &n), 0);
	assert_int_equal(n, 3);
	for (int i = 0; i < 8; i++)
		assert_int_equal(store_begin(s, false), 0);
	assert_int_equal(store_begin(s, false), -EINVAL);
	for (int i = 0; i < 8; i++)
		assert_int_equal(store_commit(s), 0);
	store_close(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fresh_and_again, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(corrupt_files_are_moved_aside, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(newer_schema_is_left_alone, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(one_process_at_a_time, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(bad_paths, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(inventory, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(events_are_bounded, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(nesting, scratch_make, scratch_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
