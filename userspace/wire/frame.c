/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - headers, compression, and cutting a stream into frames. */
#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define ZLIB_LEVEL 1	/* records look alike: more effort hardly makes them smaller */
#define ZLIB_WORTH 256u	/* shorter ones go as they are */

static void head_write(uint8_t h[FRAME_HEAD], unsigned type, unsigned flags, size_t len)
{
	h[0] = (uint8_t)(len >> 24);
	h[1] = (uint8_t)(len >> 16);
	h[2] = (uint8_t)(len >> 8);
	h[3] = (uint8_t)len;
	h[4] = (uint8_t)(type >> 8);
	h[5] = (uint8_t)type;
	h[6] = (uint8_t)flags;
	h[7] = WIRE_VERSION;
}

int frame_put(struct buf *b, enum frame_type type, unsigned flags, const void *body, size_t len)
{
	uint8_t h[FRAME_HEAD];

	if (b->err)
		return b->err;
	if (len > FRAME_BODY_MAX)
		return b->err = -E2BIG;
	head_write(h, type, flags, len);
	(void)buf_add(b, h, sizeof(h));
	return buf_add(b, body, len);
}

int frame_put_zlib(struct buf *b, enum frame_type type, const void *plain, size_t len)
{
	uLongf n = len;
	void *out;
	int r;

	if (len > FRAME_PLAIN_MAX)
		return b->err = b->err ? b->err : -E2BIG;
	if (len < ZLIB_WORTH)
		return frame_put(b, type, 0, plain, len);
	out = malloc(len);
	if (!out)
		return b->err = -ENOMEM;
	/* Room for less than it is: what does not shrink goes as it is. */
	r = compress2(out, &n, plain, len, ZLIB_LEVEL);
	r = r == Z_OK ? frame_put(b, type, FRAME_F_ZLIB, out, n) :
	    r == Z_MEM_ERROR ? (b->err = -ENOMEM) : frame_put(b, type, 0, plain, len);
	free(out);
	return r;
}

/* Decompresses a whole body; its length is not known before, its limit is. */
static int inflate_body(struct frame_reader *r, struct frame *ret)
{
	z_stream z = {};
	size_t cap = r->body_len * 4 + 256;
	int e = inflateInit(&z);

	free(r->plain);
	r->plain = NULL;
	if (e != Z_OK)
		return -ENOMEM;
	z.next_in = (Bytef *)r->body;
	z.avail_in = (uInt)r->body_len;
	do {
		size_t done = z.total_out;
		char *p;

		if (done > FRAME_PLAIN_MAX) {
			(void)inflateEnd(&z);
			return -E2BIG;
		}
		cap = done ? cap * 2 : cap;
		cap = cap > FRAME_PLAIN_MAX + 1 ? FRAME_PLAIN_MAX + 1 : cap;
		p = realloc(r->plain, cap + 1);
		if (!p) {
			(void)inflateEnd(&z);
			return -ENOMEM;
		}
		r->plain = p;
		z.next_out = (Bytef *)p + done;
		z.avail_out = (uInt)(cap - done);
		e = inflate(&z, Z_NO_FLUSH);
	} while (e == Z_OK && !z.avail_out);
	(void)inflateEnd(&z);
	if (e != Z_STREAM_END || z.avail_in)
		return e == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
	if (z.total_out > FRAME_PLAIN_MAX)
		return -E2BIG;
	r->plain[z.total_out] = 0;
	ret->body = r->plain;
	ret->len = z.total_out;
	return 0;
}

/* Grows with what came, not with what the header promises. */
static int body_room(struct frame_reader *r, size_t need)
{
	size_t cap = r->body_cap ? r->body_cap : 512;
	char *p;

	if (need < r->body_cap)
		return 0;
	while (cap <= need)
		cap *= 2;
	p = realloc(r->body, cap);
	if (!p)
		return -ENOMEM;
	r->body = p;
	r->body_cap = cap;
	return 0;
}

static int frame_done(struct frame_reader *r, struct frame *ret)
{
	struct frame f = {
		.type = (enum frame_type)(r->head[4] << 8 | r->head[5]), .version = r->head[7],
		.body = r->body, .len = r->body_len,
	};
	unsigned flags = r->head[6];
	int e;

	r->have = 0;
	r->body[r->body_len] = 0;
	f.packed = (flags & FRAME_F_ZLIB) && r->keep_packed;
	if ((flags & FRAME_F_ZLIB) && !f.packed) {
		e = inflate_body(r, &f);
		if (e)
			return e;
	}
	*ret = f;
	return 1;
}

int frame_read(struct frame_reader *r, const char **p, size_t *len, struct frame *ret)
{
	size_t have, want, n;

	/* A large frame is over: its memory is not kept for the small ones. */
	if (!r->have && r->body_cap > FRAME_FIRST_MAX) {
		free(r->body);
		r->body = NULL;
		r->body_cap = 0;
	}
	if (!r->have && r->plain) {
		free(r->plain);
		r->plain = NULL;
	}
	while (r->have < FRAME_HEAD) {
		if (!*len)
			return 0;
		r->head[r->have++] = (uint8_t)**p;
		(*p)++;
		(*len)--;
	}
	r->body_len = (size_t)r->head[0] << 24 | (size_t)r->head[1] << 16 | (size_t)r->head[2] << 8 | r->head[3];
	if (r->body_len > (r->max ? r->max : FRAME_FIRST_MAX))
		return -E2BIG;
	if (r->head[6] & ~FRAME_F_ZLIB)
		return -EBADMSG; /* an encoding that this end cannot undo */
	have = r->have - FRAME_HEAD;
	want = r->body_len - have;
	n = *len < want ? *len : want;
	if (body_room(r, have + n))
		return -ENOMEM;
	if (n)
		memcpy(r->body + have, *p, n);
	*p += n;
	*len -= n;
	r->have += n;
	return n == want ? frame_done(r, ret) : 0;
}

void frame_reader_done(struct frame_reader *r)
{
	free(r->body);
	free(r->plain);
	r->body = r->plain = NULL;
	r->body_cap = r->have = 0;
}

unsigned frame_version(unsigned min_a, unsigned max_a, unsigned min_b, unsigned max_b)
{
	unsigned max = max_a < max_b ? max_a : max_b, min = min_a > min_b ? min_a : min_b;

	return max >= min ? max : 0;
}
