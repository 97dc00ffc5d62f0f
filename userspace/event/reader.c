/* SPDX-License-Identifier: Apache-2.0 */
#include "event/reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/cleanup.h"

struct event_reader {
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned handles;	/* open ones; the last to close frees */
	bool closing;
	int fd;
	struct ring_buffer *ring;
	uint32_t budget, left;	/* per wake-up, and of this one */
	struct event_stats stats;
	event_fn *fn;
	void *arg;
	void (*done)(void *arg);
	void *done_arg;
};

/*
 * The library moves on past a record before it stops for our answer, so nothing is shown
 * twice; what is left keeps the descriptor readable, and the loop comes back.
 */
static int record_take(void *ctx, void *data, size_t len)
{
	struct event_reader *r = ctx;
	struct cw_event ev;

	if (event_check(data, len, NULL)) {
		r->stats.malformed++;
	} else {
		ev = *(const struct cw_event *)data;
		r->stats.records++;
		r->fn(r->arg, &ev);
	}
	if (--r->left && !r->closing)
		return 0;
	return -EAGAIN;
}

static int ring_take(struct event_reader *r)
{
	uint64_t before = r->stats.records;
	int e;

	if (r->closing)
		return 0;
	r->left = r->budget;
	e = ring_buffer__consume(r->ring);
	if (e == -EAGAIN)
		r->stats.budget_hits++;
	return (int)(r->stats.records - before);
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	(void)events;
	if (status >= 0)
		(void)ring_take(p->data);
}

static void on_tick(uv_timer_t *t)
{
	(void)ring_take(t->data);
}

static void handle_closed(uv_handle_t *h)
{
	struct event_reader *r = h->data;
	void (*done)(void *arg) = r->done;
	void *arg = r->done_arg;

	if (--r->handles)
		return;
	ring_buffer__free(r->ring);
	close(r->fd);
	free(r);
	if (done)
		done(arg);
}

int event_reader_open(uv_loop_t *loop, int ring_fd, const struct event_reader_config *cfg,
		      event_fn *fn, void *arg, struct event_reader **ret)
{
	auto_free struct event_reader *r = calloc(1, sizeof(*r));
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int e;

	if (!r)
		return -ENOMEM;
	e = bpf_obj_get_info_by_fd(ring_fd, &info, &len);
	if (e < 0)
		return e;
	if (info.type != BPF_MAP_TYPE_RINGBUF)
		return -EINVAL;
	r->budget = cfg && cfg->budget ? cfg->budget : EVENT_BUDGET;
	r->fn = fn;
	r->arg = arg;
	r->fd = fcntl(ring_fd, F_DUPFD_CLOEXEC, 3);
	if (r->fd < 0)
		return -errno;
	r->ring = ring_buffer__new(r->fd, record_take, r, NULL);
	if (!r->ring) {
		e = -errno;
		goto fail;
	}
	e = uv_poll_init(loop, &r->poll, ring_buffer__epoll_fd(r->ring));
	if (e < 0)
		goto fail;
	r->poll.data = r->timer.data = r;
	(void)uv_timer_init(loop, &r->timer); /* cannot fail */
	r->handles = 2;
	e = uv_poll_start(&r->poll, UV_READABLE, on_readable);
	if (!e && cfg && cfg->poll_ms)
		e = uv_timer_start(&r->timer, on_tick, cfg->poll_ms, cfg->poll_ms);
	if (e < 0) {
		event_reader_close(take_ptr(r), NULL, NULL);
		return e;
	}
	*ret = take_ptr(r);
	return 0;
fail:
	ring_buffer__free(r->ring);
	close(r->fd);
	return e;
}

void event_reader_close(struct event_reader *r, void (*done)(void *arg), void *arg)
{
	if (!r || r->closing)
		return;
	r->closing = true;
	r->done = done;
	r->done_arg = arg;
	uv_close((uv_handle_t *)&r->poll, handle_closed);
	uv_close((uv_handle_t *)&r->timer, handle_closed);
}

void event_reader_stats(const struct event_reader *r, struct event_stats *ret)
{
	*ret = r->stats;
}

int event_reader_drain(struct event_reader *r)
{
	return ring_take(r);
}
