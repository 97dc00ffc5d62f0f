/* SPDX-License-Identifier: Apache-2.0 */
#include "cni-adapters/plugin/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"

int64_t ask_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void ask_sleep_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&t, NULL); /* a signal only makes it shorter */
}

static int ready(int fd, short what, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = what };
	int64_t left = deadline - ask_now_ms();
	int r;

	do
		r = poll(&p, 1, left < 0 ? 0 : (int)left);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r ? 0 : -ETIMEDOUT;
}

static int dial(const char *path, int64_t deadline, int *ret)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, strlen(path) + 1);
	/* A full backlog gives EAGAIN, and there is nothing to wait on. */
	while (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		if (errno != EAGAIN)
			return -errno;
		if (ask_now_ms() >= deadline)
			return -ETIMEDOUT;
		ask_sleep_ms(5);
	}
	*ret = take_fd(fd);
	return 0;
}

static int send_all(int fd, const char *p, size_t n, int64_t deadline)
{
	while (n) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
		int r;

		if (w > 0) {
			p += w;
			n -= (size_t)w;
			continue;
		}
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno != EAGAIN)
			return errno == EPIPE ? -ECONNRESET : -errno;
		r = ready(fd, POLLOUT, deadline);
		if (r)
			return r;
	}
	return 0;
}

static const char *find(const char *s, size_t len, const char *what)
{
	return memmem(s, len, what, strlen(what));
}

/* One header's value, bounded; -1 absent. */
static int header(const char *head, size_t len, const char *name, char *out, size_t max)
{
	const char *p = find(head, len, "\r\n"), *end = head + len;

	while (p && end - p > 2) {
		const char *line = p + 2, *stop = find(line, (size_t)(end - line), "\r\n") ?: end;
		size_t n = strlen(name), k;

		if ((size_t)(stop - line) > n && !strncasecmp(line, name, n) && line[n] == ':') {
			line += n + 1;
			while (line < stop && *line == ' ')
				line++;
			k = (size_t)(stop - line);
			if (k >= max)
				return -1;
			memcpy(out, line, k);
			out[k] = 0;
			return 0;
		}
		p = stop < end ? stop : NULL;
	}
	return -1;
}

static int unchunk(const char *p, const char *end, struct buf *b)
{
	for (;;) {
		const char *nl = find(p, (size_t)(end - p), "\r\n");
		size_t n = 0;

		if (!nl || nl == p || nl - p > 8)
			return -EPROTO;
		for (; p < nl; p++) {
			static const char hex[] = "0123456789abcdef";
			const char *h = strchr(hex, *p | 0x20);

			if (!h || !*h)
				return -EPROTO;
			n = n << 4 | (size_t)(h - hex);
		}
		p = nl + 2;
		if (!n)
			return 0;
		if ((size_t)(end - p) < n + 2 || p[n] != '\r' || p[n + 1] != '\n')
			return -EPROTO;
		buf_add(b, p, n);
		p += n + 2;
	}
}

int ask_parse(const char *s, size_t len, struct ask_answer *ret)
{
	const char *body = find(s, len, "\r\n\r\n"), *end = s + len;
	auto_cleanup(buf_done) struct buf b;
	char status[4] = "", v[32];
	uint32_t code;
	uint64_t n;

	buf_init(&b, ASK_ANSWER_MAX);
	if (!body || len < 13 || memcmp(s, "HTTP/1.", 7) || s[8] != ' ')
		return -EPROTO;
	memcpy(status, s + 9, 3);
	if (parse_u32(status, 100, 599, &code))
		return -EPROTO;
	body += 4;
	if (!header(s, (size_t)(body - 2 - s), "transfer-encoding", v, sizeof(v))) {
		if (strcasecmp(v, "chunked") || unchunk(body, end, &b))
			return -EPROTO;
	} else {
		n = (uint64_t)(end - body);
		if (!header(s, (size_t)(body - 2 - s), "content-length", v, sizeof(v)) &&
		    (parse_u64(v, 0, (uint64_t)(end - body), &n)))
			return -EPROTO;
		buf_add(&b, body, n);
	}
	if (b.err)
		return b.err;
	ret->body = buf_take(&b, &ret->len);
	if (!ret->body)
		return -ENOMEM;
	ret->status = (int)code;
	return 0;
}

static int converse(int fd, const char *req, size_t len, int64_t deadline, struct ask_answer *ret)
{
	auto_cleanup(buf_done) struct buf in;
	int r = send_all(fd, req, len, deadline);

	buf_init(&in, ASK_ANSWER_MAX);
	while (!r) {
		char part[4096];
		ssize_t n = recv(fd, part, sizeof(part), 0);

		if (!n)
			break;
		if (n > 0)
			r = buf_add(&in, part, (size_t)n);
		else if (errno == EAGAIN)
			r = ready(fd, POLLIN, deadline);
		else if (errno != EINTR)
			r = -errno;
	}
	if (r)
		return r;
	return in.len ? ask_parse(in.data, in.len, ret) : -ECONNRESET;
}

int ask(const char *socket, const char *method, const char *path, const char *body, size_t len,
	int64_t deadline_ms, struct ask_answer *ret)
{
	auto_cleanup(buf_done) struct buf req;
	auto_close int fd = -1;
	int r = dial(socket, deadline_ms, &fd);

	buf_init(&req, len + 4096);
	buf_printf(&req, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path);
	if (body)
		buf_printf(&req, "Content-Type: application/json\r\nContent-Length: %zu\r\n", len);
	buf_adds(&req, "\r\n");
	if (body)
		buf_add(&req, body, len);
	if (req.err)
		return req.err;
	return r ?: converse(fd, req.data, req.len, deadline_ms, ret);
}
