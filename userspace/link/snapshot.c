/* SPDX-License-Identifier: Apache-2.0 */
#include "link/snapshot.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/htab.h"

#define HEAD_MAX 128u
#define CHUNK_MAGIC 0x43574e4bu
#define TAIL_MIN (256u << 10)	/* below it nothing is written anew only to save room */

struct chunk { uint32_t magic, len; uint64_t hash; }; /* big endian */

struct snapshot {
	char *path;
	char head[HEAD_MAX];
	int fd;			/* at its end; -1: nothing valid is there */
	uint64_t base, tail;	/* bytes of the first chunk, and of those after it */
};

static uint64_t hash_of(const void *p, size_t n)
{
	return hash_bytes(0x63656c6c77616c6cull, p, n);
}

static int chunk_add(struct buf *b, const void *p, size_t n)
{
	const struct chunk c = { htobe32(CHUNK_MAGIC), htobe32((uint32_t)n), htobe64(hash_of(p, n)) };

	buf_add(b, &c, sizeof(c));
	return buf_add(b, p, n);
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* Length of what is whole in *ret_good; -EBADMSG: damaged, not only cut short. */
static int check(const struct snapshot *s, const char *p, size_t n, size_t *ret_good)
{
	size_t at = strlen(s->head);

	if (n < at || memcmp(p, s->head, at))
		return -EBADMSG;
	while (n - at >= sizeof(struct chunk)) {
		struct chunk c;
		size_t len;

		memcpy(&c, p + at, sizeof(c));
		len = be32toh(c.len);
		if (be32toh(c.magic) != CHUNK_MAGIC)
			return -EBADMSG;
		if (n - at - sizeof(c) < len)
			break;
		if (hash_of(p + at + sizeof(c), len) != be64toh(c.hash))
			return -EBADMSG;
		at += sizeof(c) + len;
	}
	/* The first chunk was there before the file had its name. */
	if (at == strlen(s->head))
		return -EBADMSG;
	*ret_good = at;
	return 0;
}

static int load(struct snapshot *s, const char *p, size_t good, struct replica *r)
{
	size_t at = strlen(s->head);
	auto_cleanup(buf_done) struct buf all = { };
	size_t used;
	int e;

	buf_init(&all, SNAPSHOT_BYTES_MAX);
	for (bool first = true; at < good; first = false) {
		struct chunk c;
		size_t len;

		memcpy(&c, p + at, sizeof(c));
		len = be32toh(c.len);
		buf_add(&all, p + at + sizeof(c), len);
		at += sizeof(c) + len;
		if (first)
			s->base = len;
		else
			s->tail += len;
	}
	if (all.err)
		return all.err;
	e = replica_load(r, all.data, all.len, &used);
	return e ?: used == all.len ? 0 : -EBADMSG;
}

static int put_aside(const struct snapshot *s, struct fail_list *f, const char *why)
{
	auto_free char *to = NULL;

	if (asprintf(&to, "%s.damaged", s->path) < 0) {
		to = NULL;
		return -ENOMEM;
	}
	if (rename(s->path, to))
		return -errno;
	return fail_add(f, 0, "snapshot.damaged", s->path, NULL, NULL,
			"the saved state is not used: %s; it is kept as %s", why, to);
}

static int open_path(struct snapshot *s, struct replica **r, struct fail_list *f)
{
	auto_free char *p = NULL;
	size_t n, good;
	int e = read_all_path(s->path, SNAPSHOT_BYTES_MAX, &p, &n);

	if (e == -ENOENT)
		return 0;
	if (e == -E2BIG)
		return put_aside(s, f, "it is too long");
	if (e)
		return e;
	e = check(s, p, n, &good);
	if (e == -EBADMSG)
		return put_aside(s, f, "it is damaged, or of another node or version");
	e = e ?: load(s, p, good, *r);
	if (e == -EBADMSG) {
		/* Half of a state is none. */
		replica_free(*r);
		*r = NULL;
		e = replica_new(r);
		return e ?: put_aside(s, f, "what it says does not hold together");
	}
	if (e)
		return e;
	s->fd = open(s->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0)
		return -errno;
	/* A torn chunk was never confirmed to anybody. */
	if (ftruncate(s->fd, (off_t)good) || lseek(s->fd, 0, SEEK_END) < 0)
		return -errno;
	return 0;
}

int snapshot_open(const char *path, const char *node, struct fail_list *f, struct snapshot **ret,
		  struct replica **ret_replica)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct replica *r = NULL;
	int e;

	if (!s)
		return -ENOMEM;
	s->fd = -1;
	s->path = strdup(path);
	snprintf(s->head, sizeof(s->head), "cellwall snapshot 1 %.80s\n", node);
	e = s->path ? replica_new(&r) : -ENOMEM;
	e = e ?: open_path(s, &r, f);
	if (e) {
		replica_free(r);
		snapshot_close(s);
		return fail_add(f, e, "snapshot.read", path, "a file that can be read and written", NULL,
				"cannot read the saved state: %s", strerror(-e));
	}
	*ret = s;
	*ret_replica = r;
	return 0;
}

void snapshot_close(struct snapshot *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s);
}

/* ---- writing -------------------------------------------------------------------------------------- */

static int gather(void *arg, const void *p, size_t n)
{
	return buf_add(arg, p, n);
}

static int write_whole(struct snapshot *s, const struct replica *r)
{
	auto_cleanup(buf_done) struct buf frames = { }, file = { };
	int e;

	buf_init(&frames, SNAPSHOT_BYTES_MAX - HEAD_MAX - sizeof(struct chunk));
	buf_init(&file, SNAPSHOT_BYTES_MAX);
	e = replica_each(r, gather, &frames);
	e = e ?: buf_adds(&file, s->head);
	e = e ?: chunk_add(&file, frames.data, frames.len);
	e = e ?: write_file_atomic(s->path, file.data, file.len, 0600);
	if (e)
		return e;
	if (s->fd >= 0)
		close(s->fd);
	s->base = frames.len;
	s->tail = 0;
	s->fd = open(s->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	return 0; /* without it the next one is written whole */
}

static int append(struct snapshot *s, const void *frames, size_t len)
{
	auto_cleanup(buf_done) struct buf b = { };
	size_t at = 0;
	int e;

	buf_init(&b, len + sizeof(struct chunk) + 1);
	e = chunk_add(&b, frames, len);
	while (!e && at < b.len) {
		ssize_t n = write(s->fd, b.data + at, b.len - at);

		if (n < 0 && errno != EINTR)
			e = -errno;
		else if (n > 0)
			at += (size_t)n;
	}
	if (!e && fdatasync(s->fd))
		e = -errno;
	s->tail += len;
	return e;
}

int snapshot_note(struct snapshot *s, const struct replica *r, const void *frames, size_t len)
{
	int e = -EAGAIN;

	if (frames && len && s->fd >= 0 && s->tail + len <= (s->base > TAIL_MIN ? s->base : TAIL_MIN))
		e = append(s, frames, len);
	return e ? write_whole(s, r) : 0;
}
