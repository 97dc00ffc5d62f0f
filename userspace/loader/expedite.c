/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/expedite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define SWITCH "/sys/kernel/rcu_expedited"

static int turn(char v)
{
	auto_close int fd = open(SWITCH, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, &v, 1) == 1 ? 0 : -errno;
}

static bool is_off(void)
{
	auto_close int fd = open(SWITCH, O_RDONLY | O_CLOEXEC);
	char v = 0;

	return fd >= 0 && read(fd, &v, 1) == 1 && v == '0';
}

void expedite_restore(const char *mark)
{
	if (!access(mark, F_OK) && !turn('0'))
		(void)unlink(mark); /* once more off does no harm */
}

int expedite_open(struct expedite *e, const char *mark, bool use)
{
	expedite_restore(mark);
	if (!use)
		return 0;
	if (access(SWITCH, W_OK))
		return -EROFS;
	e->mark = strdup(mark);
	return e->mark ? 0 : -ENOMEM;
}

void expedite_done(struct expedite *e)
{
	free(e->mark);
}

void expedite_begin(struct expedite *e)
{
	if (!e->mark)
		return;
	pthread_mutex_lock(&e->lock);
	if (!e->users++ && is_off()) {
		auto_close int m = open(e->mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		e->ours = m >= 0 && !turn('1');
		if (m >= 0 && !e->ours)
			(void)unlink(e->mark);
	}
	pthread_mutex_unlock(&e->lock);
}

void expedite_end(struct expedite *e)
{
	if (!e->mark)
		return;
	pthread_mutex_lock(&e->lock);
	if (!--e->users && e->ours) {
		e->ours = false;
		if (!turn('0'))
			(void)unlink(e->mark);
	}
	pthread_mutex_unlock(&e->lock);
}
