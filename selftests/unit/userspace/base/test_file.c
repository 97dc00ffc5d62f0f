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

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define LOG_UNIT "test"
#include "base/log.h"

static char dir[] = "/tmp/cw-file-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	static const char *const names[] = { "/a", "/x/y/z", "/x/y", "/x", "/log", "" };
	char path[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s%s", dir, names[i]);
		remove(path);
	}
	return access(dir, F_OK) == 0 ? -1 : 0; /* a temporary file left behind fails the test */
}

static void files(void **state)
{
	char path[300], *s = NULL;
	struct stat st;
	size_t n = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(read_all_path(path, 10, &s, &n), -ENOENT);
	assert_int_equal(write_file_atomic(path, "0123456789", 10, 0640), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(read_all_path(path, 10, &s, &n), 0);
	assert_int_equal(n, 10);
	assert_string_equal(s, "0123456789");
	free(take_ptr(s));
	assert_int_equal(read_all_path(path, 9, &s, &n), -E2BIG);
	assert_null(s);
	assert_int_equal(read_all_path(dir, 9, &s, &n), -EISDIR);
	assert_int_equal(write_file_atomic(path, "", 0, 0600), 0);
	assert_int_equal(read_all_path(path, 0, &s, &n), 0);
	assert_string_equal(s, "");
	free(s);
	snprintf(path, sizeof(path), "%s/none/a", dir);
	assert_int_equal(write_file_atomic(path, "x", 1, 0600), -ENOENT);
}

static void directories(void **state)
{
	char path[300];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/x//y/z", dir);
	assert_int_equal(mkdir_p(path, 0700), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(mkdir_p(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(mkdir_p(path, 0700), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/a/b", dir);
	assert_int_equal(mkdir_p(path, 0700), -ENOTDIR);
	assert_int_equal(mkdir_p("", 0700), -EINVAL);
}

static void log_lines(void **state)
{
	auto_free char *big = malloc(9001), *got = NULL;
	int saved = dup(STDERR_FILENO), fd;
	char path[300];

	(void)state;
	memset(big, 'x', 9000);
	big[9000] = '\0';
	snprintf(path, sizeof(path), "%s/log", dir);
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	dup2(fd, STDERR_FILENO);
	log_debug("not shown");
	log_info("hello; name='%s'", "a\nerr test: forged\x1b[0m");
	assert_int_equal(log_err(-ENOENT, "cannot open"), -ENOENT);
	log_set_level(LOG_L_ERR);
	log_warn(-EIO, "not shown");
	log_set_level(LOG_L_INFO);
	log_set_json(1);
	log_warn(-EIO, "quote \" and \\ and \x1b");
	log_set_json(0);
	log_info("%s", big);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	assert_int_equal(read_all_path(path, 100000, &got, NULL), 0);
	assert_non_null(strstr(got, "info test: hello; name='a\\u{a}err test: forged\\u{1b}[0m'\n"));
	assert_non_null(strstr(got, "\nerr test: cannot open: No such file or directory\n"));
	assert_null(strstr(got, "not shown"));
	assert_non_null(strstr(got, "\"level\":\"warn\",\"unit\":\"test\",\"text\":\"quote \\\" and \\\\ and "
				    "\\u001b\",\"errno\":5,\"error\":\"Input/output error\"}\n"));
	assert_string_equal(got + strlen(got) - 4, "x..\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files), cmocka_unit_test(directories), cmocka_unit_test(log_lines),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
