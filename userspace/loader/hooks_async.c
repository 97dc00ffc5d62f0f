/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_async.c - attach and detach on the loop's worker pool. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/cleanup.h"
#include "loader/hooks_priv.h"

struct job {
	uv_work_t work;
	struct hooks *t;
	struct hook h;
	int netns_fd;
	bool attach;
	int r;
	struct hook_state st;
	hooks_done_fn *done;
	void *arg;
};

static void job_run(uv_work_t *w)
{
	struct job *j = w->data;

	expedite_begin(&j->t->expedite);
	j->r = j->attach ? hooks_attach(j->t, &j->h, j->netns_fd, &j->st) :
			   hooks_detach(j->t, &j->h, j->netns_fd);
	expedite_end(&j->t->expedite);
}

static void job_done(uv_work_t *w, int status)
{
	struct job *j = w->data;

	if (j->netns_fd >= 0)
		close(j->netns_fd);
	/* A job can only be cancelled before it ran. */
	j->done(j->arg, &j->h, status == UV_ECANCELED ? -ECANCELED : j->r, &j->st);
	free(j);
}

static int job_queue(struct hooks *t, uv_loop_t *loop, const struct hook *h, int netns_fd,
		     bool attach, hooks_done_fn *done, void *arg)
{
	auto_free struct job *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	j->netns_fd = -1;
	if (netns_fd >= 0) {
		j->netns_fd = fcntl(netns_fd, F_DUPFD_CLOEXEC, 3);
		if (j->netns_fd < 0)
			return -errno;
	}
	j->t = t;
	j->h = *h;
	j->attach = attach;
	j->done = done;
	j->arg = arg;
	j->work.data = j;
	r = uv_queue_work(loop, &j->work, job_run, job_done);
	if (r < 0) {
		if (j->netns_fd >= 0)
			close(j->netns_fd);
		return r;
	}
	(void)take_ptr(j); /* job_done() frees it */
	return 0;
}

int hooks_expedite(struct hooks *t, const char *mark, bool use)
{
	return expedite_open(&t->expedite, mark, use);
}

int hooks_attach_async(struct hooks *t, uv_loop_t *loop, const struct hook *h, int netns_fd,
		       hooks_done_fn *done, void *arg)
{
	return netns_fd < 0 ? -EINVAL : job_queue(t, loop, h, netns_fd, true, done, arg);
}

int hooks_detach_async(struct hooks *t, uv_loop_t *loop, const struct hook *h, int netns_fd,
		       hooks_done_fn *done, void *arg)
{
	return job_queue(t, loop, h, netns_fd, false, done, arg);
}
