/* SPDX-License-Identifier: Apache-2.0 */
/* test_frame.c - frames cut from a stream, whatever pieces it comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "wire/frame.h"

static void whole(void **state)
{
	char *text = malloc(300000);
	struct frame_reader r = { .max = FRAME_BODY_MAX };
	struct frame f;
	struct buf b;
	const char *p;
	size_t n;

	(void)state;
	memset(text, 'x', 300000);
	buf_init(&b, 1 << 22);
	assert_int_equal(frame_put(&b, FRAME_PING, 0, NULL, 0), 0);
	assert_int_equal(frame_put(&b, FRAME_HELLO, 0, "{}", 2), 0);
	assert_int_equal(frame_put_zlib(&b, FRAME_RECORDS, text, 300000), 0);
	assert_true(b.len < 5000); /* it was compressed */
	for (size_t piece = 1; piece < 4000; piece = piece * 3 + 1) {
		unsigned got = 0;

		for (size_t at = 0; at < b.len; at += piece) {
			p = b.data + at;
			n = b.len - at < piece ? b.len - at : piece;
			while (frame_read(&r, &p, &n, &f) == 1) {
				got++;
				assert_int_equal(f.version, WIRE_VERSION);
				if (got == 1)
					assert_true(f.type == FRAME_PING && f.len == 0 && !*f.body);
				if (got == 2)
					assert_true(f.type == FRAME_HELLO && f.len == 2 && !strcmp(f.body, "{}"));
				if (got == 3)
					assert_true(f.type == FRAME_RECORDS && f.len == 300000 && !memcmp(f.body, text, f.len) && !f.body[f.len]);
			}
			assert_int_equal(n, 0);
		}
		assert_int_equal(got, 3);
	}
	frame_reader_done(&r);
	buf_done(&b);
	free(text);
}

static void refused(void **state)
{
	static const struct { const char *what; uint8_t head[8]; int err; } t[] = {
		{ "longer than may be", { 0, 1, 0, 1, 0, 1, 0, 1 }, -E2BIG },
		{ "longer than anything", { 255, 255, 255, 255, 0, 1, 0, 1 }, -E2BIG },
		{ "an encoding that is not known", { 0, 0, 0, 0, 0, 1, 2, 1 }, -EBADMSG },
		{ "another one", { 0, 0, 0, 0, 0, 1, 129, 1 }, -EBADMSG },
		{ "compressed nothing", { 0, 0, 0, 0, 0, 1, 1, 1 }, -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct frame_reader r = {};
		const char *p = (const char *)t[i].head;
		size_t n = 8;
		struct frame f;

		print_message("  %s\n", t[i].what);
		assert_int_equal(frame_read(&r, &p, &n, &f), t[i].err);
		frame_reader_done(&r);
	}
}

/* What is small on the wire and endless when it is unpacked. */
static void bomb(void **state)
{
	size_t plain = FRAME_PLAIN_MAX + 1;
	uLongf n = compressBound(plain);
	char *zeros = calloc(1, plain), *z = malloc(n);
	struct frame_reader r = { .max = FRAME_BODY_MAX };
	struct frame f;
	struct buf b;
	const char *p;
	size_t left;

	(void)state;
	assert_int_equal(compress2((Bytef *)z, &n, (Bytef *)zeros, plain, 9), Z_OK);
	buf_init(&b, 1 << 20);
	assert_int_equal(frame_put(&b, FRAME_RECORDS, FRAME_F_ZLIB, z, n), 0);
	p = b.data;
	left = b.len;
	assert_int_equal(frame_read(&r, &p, &left, &f), -E2BIG);
	frame_reader_done(&r);
	buf_done(&b);
	/* One byte less is taken; cut short it is not. */
	n = compressBound(plain);
	assert_int_equal(compress2((Bytef *)z, &n, (Bytef *)zeros, plain - 1, 9), Z_OK);
	for (int cut = 0; cut < 3; cut++) {
		struct frame_reader one = { .max = FRAME_BODY_MAX };

		buf_init(&b, 1 << 20);
		assert_int_equal(frame_put(&b, FRAME_RECORDS, FRAME_F_ZLIB, z, n - (size_t)cut * 3), 0);
		p = b.data;
		left = b.len;
		assert_int_equal(frame_read(&one, &p, &left, &f), cut ? -EBADMSG : 1);
		frame_reader_done(&one);
		buf_done(&b);
	}
	free(z);
	free(zeros);
}

static void versions(void **state)
{
	(void)state;
	assert_int_equal(frame_version(1, 1, 1, 1), 1);
	assert_int_equal(frame_version(1, 2, 1, 1), 1);
	assert_int_equal(frame_version(1, 2, 2, 3), 2);
	assert_int_equal(frame_version(2, 3, 1, 1), 0);
	assert_int_equal(frame_version(1, 1, 2, 3), 0);
}

static void limits_of_writing(void **state)
{
	char *big = calloc(1, FRAME_BODY_MAX + 1);
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX / 2);
	assert_int_equal(frame_put(&b, FRAME_PING, 0, big, FRAME_BODY_MAX + 1), -E2BIG);
	assert_int_equal(b.err, -E2BIG); /* it sticks */
	assert_int_equal(frame_put(&b, FRAME_PING, 0, "", 0), -E2BIG);
	buf_done(&b);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole), cmocka_unit_test(refused), cmocka_unit_test(bomb),
		cmocka_unit_test(versions), cmocka_unit_test(limits_of_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
