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

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

static void decoding(void **state)
{
	static const struct { const char *s; uint32_t cp; int n; } t[] = {
		{ "a", 'a', 1 },
		{ "\xc3\xa9", 0xe9, 2 },
		{ "\xe7\xad\x96", 0x7b56, 3 },
		{ "\xf0\x9f\x94\x92", 0x1f512, 4 },
		{ "\xf4\x8f\xbf\xbf", 0x10ffff, 4 },
		{ "\xc0\x80", 0xfffd, 1 },	   /* overlong NUL */
		{ "\xe0\x80\xaf", 0xfffd, 1 },	   /* overlong slash */
		{ "\xed\xa0\x80", 0xfffd, 1 },	   /* surrogate */
		{ "\xf4\x90\x80\x80", 0xfffd, 1 }, /* beyond Unicode */
		{ "\xff", 0xfffd, 1 },
		{ "\xe7\xad", 0xfffd, 1 }, /* ends early */
		{ "\x80", 0xfffd, 1 },
		{ "", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *p = t[i].s;

		assert_int_equal(utf8_next(&p), t[i].cp);
		assert_int_equal(p - t[i].s, t[i].n);
	}
}

static void widths(void **state)
{
	static const struct { const char *s; int w, wide; } t[] = {
		{ "web", 3, 3 },
		{ "\xe7\xad\x96\xe7\x95\xa5\xe5\x90\x8d\xe7\xa7\xb0", 8, 8 }, /* four Han characters */
		{ "e\xcc\x81", 1, 1 },			/* combining acute */
		{ "\xef\xbc\x8c", 2, 2 },		/* full-width comma */
		{ "\xe2\x80\xa6", 1, 2 },		/* ellipsis: ambiguous */
		{ "\xe2\x86\x92", 1, 2 },		/* arrow: ambiguous */
		{ "\xe2\x80\x8b", 0, 0 },		/* zero width space */
		{ "\xf0\x9f\x94\x92", 2, 2 },		/* lock */
		{ "\xea\xb0\x80", 2, 2 },		/* Hangul syllable */
		{ "\xef\xbd\xb1", 1, 1 },		/* half-width katakana */
		{ "\t\x1b", 0, 0 },
		{ "\xf0\xa0\x80\x80", 2, 2 },		/* extension B */
		{ "", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  '%s'\n", t[i].s);
		assert_int_equal(text_width(t[i].s), t[i].w);
		text_set_ambiguous_wide(1);
		assert_int_equal(text_width(t[i].s), t[i].wide);
		text_set_ambiguous_wide(0);
	}
}

static void escapes(void **state)
{
	static const struct { const char *in, *out; } t[] = {
		{ "shop/web", "shop/web" },
		{ "a\x1b[31mb", "a\\u{1b}[31mb" },
		{ "a\nb\tc", "a\\u{a}b\\u{9}c" },
		{ "a\xe2\x80\xae" "b", "a\\u{202e}b" },
		{ "a\xe2\x80\x8b" "b", "a\\u{200b}b" },
		{ "a\xef\xbb\xbf" "b", "a\\u{feff}b" },
		{ "\xc2\x9b" "31m", "\\u{9b}31m" }, /* one-byte CSI */
		{ "\x7f", "\\u{7f}" },
		{ "\xf3\xa0\x81\xa1", "\\u{e0061}" }, /* tag letter */
		{ "\xe7\xad\x96", "\xe7\xad\x96" },
		{ "a\xff" "b", "a\xef\xbf\xbd" "b" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct buf b;
		char *s;

		buf_init(&b, 1000);
		text_escape(&b, t[i].in);
		s = buf_take(&b, NULL);
		assert_string_equal(s, t[i].out);
		free(s);
	}
}

static void cuts(void **state)
{
	static const struct { const char *in; int width; const char *out; } t[] = {
		{ "web-6d4f9c77-b2k9x", 15, "web-6d4f..b2k9x" },
		{ "web", 15, "web" },
		{ "web-6d4f9c", 10, "web-6d4f9c" },
		{ "web-6d4f9c", 9, "web-6..9c" },
		{ "abcdefgh", 4, "ab.." },
		{ "abcdefgh", 3, "abc" },
		{ "abcdefgh", 0, "" },
		{ "\xe7\xad\x96\xe7\x95\xa5\xe5\x90\x8d\xe7\xa7\xb0", 7,
		  "\xe7\xad\x96..\xe7\xa7\xb0" }, /* no half character: 6 columns */
		{ "abcdefe\xcc\x81xyz", 7, "abc..yz" },
		{ "abcdefghe\xcc\x81z", 7, "abc..e\xcc\x81z" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct buf b;
		char *s;

		buf_init(&b, 1000);
		text_cut_middle(&b, t[i].in, t[i].width);
		s = buf_take(&b, NULL);
		print_message("  %s\n", s);
		assert_string_equal(s, t[i].out);
		assert_true(text_width(s) <= (t[i].width > text_width(t[i].in) ? text_width(t[i].in) : t[i].width));
		free(s);
	}
}

static void wraps(void **state)
{
	static const struct { const char *in; int width, indent; const char *out; } t[] = {
		{ "one two three four", 9, 2, "one two\n  three\n  four" },
		{ "one two", 20, 2, "one two" },
		{ "cellwall-rule-apply-dry-run now", 10, 2, "cellwall-rule-apply-dry-run\n  now" },
		{ "a b\nc", 10, 1, "a b\n c" },
		{ "  a   b ", 10, 0, "a   b" },
		{ "", 10, 2, "" },
		/* Han text breaks anywhere, but not before the full-width comma. */
		{ "\xe8\xae\xbf\xe9\x97\xae\xe8\xa2\xab\xef\xbc\x8c\xe9\x98\xbb\xe6\x96\xad", 6, 0,
		  "\xe8\xae\xbf\xe9\x97\xae\n\xe8\xa2\xab\xef\xbc\x8c\xe9\x98\xbb\n\xe6\x96\xad" },
		/* nor after an opening bracket */
		{ "\xe8\xae\xbf\xe9\x97\xae\xef\xbc\x88\xe9\x98\xbb\xef\xbc\x89", 6, 0,
		  "\xe8\xae\xbf\xe9\x97\xae\n\xef\xbc\x88\xe9\x98\xbb\xef\xbc\x89" },
		/* an address between Han characters is one piece */
		{ "\xe8\xae\xbf\xe9\x97\xae 10.20.1.9 \xe9\x98\xbb", 8, 0,
		  "\xe8\xae\xbf\xe9\x97\xae\n10.20.1.9\n\xe9\x98\xbb" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct buf b;
		char *s;

		buf_init(&b, 1000);
		text_wrap(&b, t[i].in, t[i].width, t[i].indent);
		s = buf_take(&b, NULL);
		print_message("  %s\n", s);
		assert_string_equal(s, t[i].out);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoding), cmocka_unit_test(widths), cmocka_unit_test(escapes),
		cmocka_unit_test(cuts),	    cmocka_unit_test(wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
