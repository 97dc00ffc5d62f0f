/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for the controller: order, replacing, bounds, restarts, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/spool.h"

struct fixture { char dir[64], path[96]; struct spool *s; };

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	snprintf(x->dir, sizeof(x->dir), "/tmp/cw-spool-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	snprintf(x->path, sizeof(x->path), "%s/spool", x->dir);
	assert_int_equal(spool_open(x->path, 4096, NULL, &x->s), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	static const char *const tails[] = { "", "-wal", "-shm", ".corrupt", ".corrupt-wal", ".corrupt-shm" };
	struct fixture *x = *state;
	char p[128];

	spool_close(x->s);
	for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		snprintf(p, sizeof(p), "%s%s", x->path, tails[i]);
		unlink(p);
	}
	assert_int_equal(rmdir(x->dir), 0);
	free(x);
	return 0;
}

static int put(struct spool *s, unsigned kind, const char *key, const char *body)
{
	return spool_put(s, kind, key, strlen(key), body, strlen(body));
}

struct listing { char text[512]; uint64_t last; int stop_after; };

static int list_one(void *arg, const struct spool_row *r)
{
	struct listing *l = arg;
	size_t n = strlen(l->text);

	assert_true(r->seq > l->last);
	l->last = r->seq;
	snprintf(l->text + n, sizeof(l->text) - n, "%u:%.*s=%.*s ", r->kind, (int)r->key_len, (const char *)r->key,
		 (int)r->body_len, (const char *)r->body);
	return l->stop_after && !--l->stop_after ? 7 : 0;
}

static struct listing list(struct spool *s)
{
	struct listing l = {};

	assert_int_equal(spool_each(s, list_one, &l), 0);
	return l;
}

static void order_and_replace(void **state)
{
	struct fixture *x = *state;
	struct spool_figures f;
	struct listing l = { .stop_after = 2 };

	assert_int_equal(put(x->s, 1, "a", "1"), 0);
	assert_int_equal(put(x->s, 1, "b", "1"), 0);
	assert_int_equal(put(x->s, 2, "a", "x"), 0);
	assert_int_equal(put(x->s, 1, "a", "22"), 0);
	assert_string_equal(list(x->s).text, "1:b=1 2:a=x 1:a=22 ");
	spool_figures_get(x->s, &f);
	assert_int_equal(f.rows, 3);
	assert_int_equal(f.replaced, 1);
	assert_int_equal(f.bytes, 2 + 2 + 3);
	assert_int_equal(spool_each(x->s, list_one, &l), 7);
	assert_string_equal(l.text, "1:b=1 2:a=x ");
}

/* What was replaced while its former body was on the way stays. */
static void ack_keeps_newer(void **state)
{
	struct fixture *x = *state;
	struct spool_figures f;
	uint64_t sent;

	assert_int_equal(put(x->s, 1, "a", "1"), 0);
	assert_int_equal(put(x->s, 1, "b", "1"), 0);
	sent = list(x->s).last;
	assert_int_equal(put(x->s, 1, "a", "2"), 0);
	assert_int_equal(spool_ack(x->s, sent), 0);
	assert_string_equal(list(x->s).text, "1:a=2 ");
	spool_figures_get(x->s, &f);
	assert_int_equal(f.taken, 1);
	assert_int_equal(f.bytes, 2);
	assert_int_equal(spool_ack(x->s, 0), 0);
	assert_string_equal(list(x->s).text, "1:a=2 ");
}

static void restart(void **state)
{
	struct fixture *x = *state;
	struct spool_figures f;
	uint64_t last;

	assert_int_equal(put(x->s, 1, "a", "1"), 0);
	assert_int_equal(put(x->s, 3, "n", "note"), 0);
	last = list(x->s).last;
	spool_close(x->s);
	x->s = NULL;
	assert_int_equal(spool_open(x->path, 4096, NULL, &x->s), 0);
	assert_string_equal(list(x->s).text, "1:a=1 3:n=note ");
	spool_figures_get(x->s, &f);
	assert_int_equal(f.rows, 2);
	assert_int_equal(f.bytes, 2 + 5);
	/* Numbers are never used twice, also when nothing was left. */
	assert_int_equal(spool_ack(x->s, last), 0);
	spool_close(x->s);
	x->s = NULL;
	assert_int_equal(spool_open(x->path, 4096, NULL, &x->s), 0);
	assert_int_equal(put(x->s, 1, "a", "2"), 0);
	assert_true(list(x->s).last > last);
}

static void full(void **state)
{
	struct fixture *x = *state;
	struct spool_figures f;
	char body[2000];

	memset(body, 'x', sizeof(body));
	assert_int_equal(spool_put(x->s, 1, "a", 1, body, sizeof(body)), 0);
	assert_int_equal(spool_put(x->s, 1, "b", 1, body, sizeof(body)), 0);
	assert_int_equal(spool_put(x->s, 1, "c", 1, body, sizeof(body)), -ENOSPC);
	/* What only becomes newer needs no more room. */
	assert_int_equal(spool_put(x->s, 1, "a", 1, body, sizeof(body)), 0);
	assert_int_equal(put(x->s, 1, "b", "y"), 0);
	assert_int_equal(spool_put(x->s, 1, "c", 1, body, sizeof(body)), 0);
	spool_figures_get(x->s, &f);
	assert_int_equal(f.refused, 1);
	assert_int_equal(f.rows, 3);
	assert_int_equal(spool_put(x->s, 1, "", 0, "x", 1), -E2BIG);
}

static void whole_or_not(void **state)
{
	struct fixture *x = *state;
	struct spool_figures f;

	assert_int_equal(put(x->s, 1, "a", "1"), 0);
	assert_int_equal(spool_begin(x->s), 0);
	assert_int_equal(put(x->s, 1, "a", "2"), 0);
	assert_int_equal(put(x->s, 1, "b", "2"), 0);
	spool_rollback(x->s);
	assert_string_equal(list(x->s).text, "1:a=1 ");
	spool_figures_get(x->s, &f);
	assert_int_equal(f.rows, 1);
	assert_int_equal(f.bytes, 2);
	assert_int_equal(spool_commit(x->s), -EINVAL);
	assert_int_equal(spool_begin(x->s), 0);
	assert_int_equal(put(x->s, 1, "b", "2"), 0);
	assert_int_equal(spool_commit(x->s), 0);
	assert_string_equal(list(x->s).text, "1:a=1 1:b=2 ");
}

static void trimmed(void **state)
{
	struct fixture *x = *state;
	char key[8];

	for (int i = 0; i < 6; i++) {
		snprintf(key, sizeof(key), "%d", i);
		assert_int_equal(put(x->s, i == 2 ? 1 : 3, key, "t"), 0);
	}
	assert_int_equal(spool_trim(x->s, 3, 5), 0);
	assert_int_equal(spool_trim(x->s, 3, 2), 3);
	assert_string_equal(list(x->s).text, "1:2=t 3:4=t 3:5=t ");
}

/* A process that is killed in the middle leaves what was committed, and no more. */
static void killed(void **state)
{
	struct fixture *x = *state;
	pid_t pid;

	spool_close(x->s);
	x->s = NULL;
	pid = fork();
	if (!pid) {
		if (spool_open(x->path, 4096, NULL, &x->s) || put(x->s, 1, "a", "1") || spool_begin(x->s) ||
		    put(x->s, 1, "b", "2"))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(spool_open(x->path, 4096, NULL, &x->s), 0);
	assert_string_equal(list(x->s).text, "1:a=1 ");
}

static void damaged(void **state)
{
	struct fixture *x = *state;
	struct fail_list f = {};
	char moved[128];
	int fd;

	assert_int_equal(put(x->s, 1, "a", "1"), 0);
	spool_close(x->s);
	x->s = NULL;
	fd = open(x->path, O_WRONLY);
	for (int i = 0; i < 4096; i += 16)
		assert_int_equal(pwrite(fd, "no such database", 16, i), 16);
	close(fd);
	assert_int_equal(spool_open(x->path, 4096, &f, &x->s), 0);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.items[0].name, "spool.corrupt");
	fail_list_done(&f);
	snprintf(moved, sizeof(moved), "%s.corrupt", x->path);
	assert_int_equal(access(moved, F_OK), 0);
	assert_int_equal(put(x->s, 1, "a", "2"), 0);
	assert_string_equal(list(x->s).text, "1:a=2 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order_and_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(ack_keeps_newer, setup, teardown),
		cmocka_unit_test_setup_teardown(restart, setup, teardown),
		cmocka_unit_test_setup_teardown(full, setup, teardown),
		cmocka_unit_test_setup_teardown(whole_or_not, setup, teardown),
		cmocka_unit_test_setup_teardown(trimmed, setup, teardown),
		cmocka_unit_test_setup_teardown(killed, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
