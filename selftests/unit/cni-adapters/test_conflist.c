/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors cni-adapters/conflist.c and conflist_text.c */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cni-adapters/conflist.h"

#define OURS "{\"type\": \"cellwall-cni\", \"socket\": \"/s\", \"agentDown\": \"open\", \"timeout\": \"5000ms\"}"
static const struct conflist_part part = { .socket = "/s", .timeout_ms = 5000 };

static void text_add(void **state)
{
	static const struct { const char *in; bool list; int r; const char *want; } t[] = {
		{ "{\"name\":\"n\",\"x\":1.50,\"plugins\":[{\"type\":\"a\"}]}\n", true, CONFLIST_CHANGED,
		  "{\"name\":\"n\",\"x\":1.50,\"plugins\":[{\"type\":\"a\"}, " OURS "]}\n" },
		{ "{\n  \"plugins\": [\n    {\"type\": \"a\"},\n    {\n      \"type\": \"b\"\n    }\n  ],\n  \"name\": \"n\"\n}", true, CONFLIST_CHANGED,
		  "{\n  \"plugins\": [\n    {\"type\": \"a\"},\n    {\n      \"type\": \"b\"\n    },\n    " OURS "\n  ],\n  \"name\": \"n\"\n}" },
		{ "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, " OURS "]}", true, CONFLIST_AS_WANTED, NULL },
		/* Other settings, in another place, twice: made right. */
		{ "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},{\"type\":\"cellwall-cni\"}]}", true, CONFLIST_CHANGED,
		  "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, " OURS "]}" },
		{ "{\"name\":\"n\",\"plugins\":[" OURS ", {\"type\":\"a\"}]}", true, CONFLIST_CHANGED,
		  "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, " OURS "]}" },
		{ "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, " OURS ",{\"type\":\"cellwall-cni\"}]}", true, CONFLIST_CHANGED,
		  "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, " OURS "]}" },
		{ "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, " OURS ",\n{\"type\":\"b\"}]}", true, CONFLIST_CHANGED,
		  "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},\n{\"type\":\"b\"},\n" OURS "]}" },
		{ "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":\"ptp\",\"y\":[ ]}", false, CONFLIST_CHANGED,
		  "{\n  \"cniVersion\": \"0.4.0\",\n  \"name\": \"n\",\n  \"plugins\": [\n    "
		  "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":\"ptp\",\"y\":[ ]},\n    " OURS "\n  ]\n}\n" },
		{ "{\"name\":\"n\",\"plugins\":[]}", true, -EINVAL, NULL }, { "{\"name\":\"n\",\"plugins\":[" OURS "]}", true, -EINVAL, NULL },
		{ "{\"name\":\"n\",\"plugins\":{}}", true, -EINVAL, NULL }, { "{\"name\":\"n\"}", true, -EINVAL, NULL },
		{ "{\"name\":7,\"plugins\":[{\"type\":\"a\"}]}", true, -EINVAL, NULL }, { "{\"plugins\":[{\"type\":\"a\"}]}", true, -EINVAL, NULL },
		{ "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},3]}", true, -EINVAL, NULL }, { "[]", true, -EINVAL, NULL },
		{ "{\"name\":\"n\",\"plugins\":[", true, -EBADMSG, NULL }, { "", true, -EBADMSG, NULL },
		{ "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}", false, -EINVAL, NULL }, { "{\"type\":\"ptp\"}", false, -EINVAL, NULL },
		{ "{\"name\":\"n\",\"type\":\"cellwall-cni\"}", false, -EINVAL, NULL },
		/* A list of such a name nobody would read. */
		{ "{\"name\":\"\",\"type\":\"ptp\"}", false, -EINVAL, NULL }, { "{\"name\":7,\"type\":\"ptp\"}", false, -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		auto_free char *got = NULL;
		size_t n = 0;
		int r = conflist_text_add(t[i].in, strlen(t[i].in), t[i].list, &part, &got, &n);

		if (r != t[i].r || (t[i].want && strcmp(got, t[i].want)))
			print_message("  case %zu: %d\n%s\n", i, r, got ? got : "-");
		assert_int_equal(r, t[i].r);
		if (t[i].want)
			assert_string_equal(got, t[i].want);
		else
			assert_null(got);
	}
}

/* In and out again is what it was. */
static void text_del(void **state)
{
	static const char *const t[] = {
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}",
		"{\n\t\"name\": \"n\",\n\t\"plugins\": [\n\t\t{\n\t\t\t\"type\": \"a\"\n\t\t}\n\t],\n\t\"n\": 1e400\n}\n",
		"{\"plugins\":[ {\"type\":\"a\"} , {\"type\":\"b\",\"z\":[[]]} ],\"name\":\"\\u00e4\"}  ",
	};
	auto_free char *got = NULL;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		auto_free char *with = NULL, *without = NULL;

		assert_int_equal(conflist_text_add(t[i], strlen(t[i]), true, &part, &with, &n), CONFLIST_CHANGED);
		assert_int_equal(conflist_text_add(with, n, true, &part, &got, &n), CONFLIST_AS_WANTED);
		assert_int_equal(conflist_text_del(with, strlen(with), &without, &n), CONFLIST_CHANGED);
		assert_string_equal(without, t[i]);
		assert_int_equal(conflist_text_del(t[i], strlen(t[i]), &got, &n), CONFLIST_AS_WANTED);
	}
}

static void put(int dir, const char *name, const char *text, mode_t mode)
{
	auto_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0 && !fchmod(fd, mode));
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static char *get(int dir, const char *name)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char *s = NULL;

	if (fd < 0 || read_all_fd(fd, 1u << 22, &s, NULL))
		return NULL;
	return s;
}

static void is(int dir, const char *name, const char *want)
{
	auto_free char *s = get(dir, name);

	if (want) {
		assert_non_null(s);
		assert_string_equal(s, want);
	} else {
		assert_null(s);
	}
}

static size_t files(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

#define LIST "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}"
#define LIST_WITH "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, " OURS "]}"
#define LONE "{\"name\":\"l\",\"type\":\"ptp\"}"

static void open_dir(char path[], int *ret)
{
	assert_non_null(mkdtemp(path));
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(*ret >= 0);
}

static void empty_dir(const char *path, int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	struct dirent *e;

	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			(void)unlinkat(dir, e->d_name, 0);
	closedir(d);
	assert_int_equal(rmdir(path), 0);
}

static void installs(void **state)
{
	char path[] = "/tmp/cw-conf-XXXXXX", file[256];
	auto_close int dir = -1;
	struct fail_list f = { };
	struct stat st;

	(void)state;
	open_dir(path, &dir);
	assert_int_equal(conflist_install(dir, &part, &f, file), CONFLIST_NONE);
	put(dir, "20-b.conflist", LIST, 0644);
	put(dir, "10-a.conflist", LIST, 0640);
	put(dir, "30-c.conf", LONE, 0644);
	put(dir, "README", "x", 0644);
	assert_int_equal(conflist_install(dir, &part, &f, file), CONFLIST_CHANGED);
	assert_string_equal(file, "10-a.conflist");
	is(dir, "10-a.conflist", LIST_WITH);
	is(dir, "20-b.conflist", LIST);
	is(dir, "30-c.conf", LONE);
	assert_int_equal(fstatat(dir, "10-a.conflist", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(conflist_install(dir, &part, &f, file), CONFLIST_AS_WANTED);
	/* The CNI writes its file anew. */
	put(dir, "10-a.conflist", LIST, 0600);
	assert_int_equal(conflist_install(dir, &part, &f, file), CONFLIST_CHANGED);
	is(dir, "10-a.conflist", LIST_WITH);
	assert_int_equal(conflist_remove(dir, &f), CONFLIST_CHANGED);
	is(dir, "10-a.conflist", LIST);
	assert_int_equal(conflist_remove(dir, &f), CONFLIST_AS_WANTED);
	assert_int_equal(files(dir), 4);
	assert_int_equal(f.n, 0);
	empty_dir(path, dir);
}

static void lone(void **state)
{
	char path[] = "/tmp/cw-conf-XXXXXX", file[256];
	auto_close int dir = -1;
	auto_free char *wrapped = NULL;
	struct fail_list f = { };

	(void)state;
	open_dir(path, &dir);
	put(dir, "10-l.conf", LONE, 0644);
	assert_int_equal(conflist_install(dir, &part, &f, file), CONFLIST_CHANGED);
	assert_string_equal(file, "10-l.conflist");
	is(dir, "10-l.conf", NULL);
	is(dir, "10-l.conf.before-cellwall", LONE);
	wrapped = get(dir, "10-l.conflist");
	assert_non_null(strstr(wrapped, LONE));
	assert_non_null(strstr(wrapped, OURS));
	assert_int_equal(conflist_install(dir, &part, &f, file), CONFLIST_AS_WANTED);
	/* The CNI writes it again: wrapped again. */
	put(dir, "10-l.conf", "{\"name\":\"l\",\"type\":\"ptp\",\"mtu\":9}", 0644);
	assert_int_equal(conflist_install(dir, &part, &f, file), CONFLIST_CHANGED);
	is(dir, "10-l.conf", NULL);
	assert_int_equal(conflist_remove(dir, &f), CONFLIST_CHANGED);
	is(dir, "10-l.conf", "{\"name\":\"l\",\"type\":\"ptp\",\"mtu\":9}");
	assert_int_equal(files(dir), 1);
	/* A list of the same name that is somebody's. */
	put(dir, "10-l.conf", LONE, 0644);
	put(dir, "10-l.conflist", LIST, 0644);
	assert_int_equal(conflist_install(dir, &part, &f, file), -EEXIST);
	is(dir, "10-l.conflist", LIST);
	is(dir, "10-l.conf", LONE);
	assert_int_equal(f.n, 1);
	fail_list_done(&f);
	empty_dir(path, dir);
}

static void dangers(void **state)
{
	char path[] = "/tmp/cw-conf-XXXXXX", file[256];
	auto_close int dir = -1;
	struct fail_list f = { };
	auto_free char *big = calloc(1, CONFLIST_MAX + 2);

	(void)state;
	open_dir(path, &dir);
	/* What cannot be read is told, left, and passed over, as the runtime does. */
	put(dir, "00-bad.conflist", "{", 0644);
	memset(big, ' ', CONFLIST_MAX + 1);
	put(dir, "01-big.conflist", big, 0644);
	assert_int_equal(mkdirat(dir, "02-dir.conflist", 0755), 0);
	put(dir, "10-a.conflist", LIST, 0644);
	assert_int_equal(conflist_install(dir, &part, &f, file), CONFLIST_CHANGED);
	assert_int_equal(f.n, 3);
	fail_list_done(&f);
	is(dir, "10-a.conflist", LIST_WITH);
	is(dir, "00-bad.conflist", "{");
	assert_int_equal(conflist_remove(dir, &f), CONFLIST_CHANGED);
	is(dir, "10-a.conflist", LIST);
	/* A link is not followed, and no other file taken in its place. */
	assert_int_equal(symlinkat("10-a.conflist", dir, "05-link.conflist"), 0);
	assert_int_equal(conflist_install(dir, &part, &f, file), -ELOOP);
	is(dir, "10-a.conflist", LIST);
	assert_string_equal(f.items[f.n - 1].name, "cni.link");
	fail_list_done(&f);
	assert_int_equal(unlinkat(dir, "02-dir.conflist", AT_REMOVEDIR), 0);
	empty_dir(path, dir);
}

static void program(void **state)
{
	char path[] = "/tmp/cw-conf-XXXXXX", from[64], to[64];
	auto_close int dir = -1;
	struct fail_list f = { };
	struct stat st;

	(void)state;
	open_dir(path, &dir);
	put(dir, "from", "program", 0600);
	snprintf(from, sizeof(from), "%s/from", path);
	snprintf(to, sizeof(to), "%s/" CONFLIST_TYPE, path);
	assert_int_equal(conflist_copy(from, path, &f), CONFLIST_CHANGED);
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(conflist_copy(from, path, &f), CONFLIST_AS_WANTED);
	put(dir, "from", "another", 0600);
	assert_int_equal(conflist_copy(from, path, &f), CONFLIST_CHANGED);
	is(dir, CONFLIST_TYPE, "another");
	assert_int_equal(f.n, 0);
	assert_int_equal(conflist_copy("/nowhere", path, &f), -ENOENT);
	assert_int_equal(conflist_copy(from, "/nowhere", &f), -ENOENT);
	fail_list_done(&f);
	assert_int_equal(conflist_uncopy(path), 0);
	assert_int_equal(conflist_uncopy(path), 0);
	assert_int_equal(files(dir), 1);
	empty_dir(path, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(text_add), cmocka_unit_test(text_del), cmocka_unit_test(installs),
					    cmocka_unit_test(lone), cmocka_unit_test(dangers), cmocka_unit_test(program) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
