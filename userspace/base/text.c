/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

uint32_t utf8_next(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned n;
	uint32_t cp;

	if (!*p)
		return 0;
	if (*p < 0x80) {
		(*s)++;
		return *p;
	}
	n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	cp = *p & (0x7fu >> n);
	if (*p < 0xc2 || *p > 0xf4)
		goto bad;
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the closing NUL stops here too */
			goto bad;
		cp = cp << 6 | (p[i] & 0x3f);
	}
	if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		goto bad;
	*s += n;
	return cp;
bad:
	(*s)++;
	return 0xfffd;
}

int text_width(const char *s)
{
	int w = 0;
	uint32_t cp;

	while ((cp = utf8_next(&s)))
		w += cp_width(cp);
	return w;
}

/* Not seen, or changes how its neighbours are seen: can make one name look like another. */
static bool is_hidden(uint32_t cp)
{
	static const struct { uint32_t first, last; } t[] = {
		{ 0x00, 0x1f },	    { 0x7f, 0x9f },	{ 0xad, 0xad },	    { 0x34f, 0x34f },
		{ 0x600, 0x605 },   { 0x61c, 0x61c },	{ 0x6dd, 0x6dd },   { 0x70f, 0x70f },
		{ 0x890, 0x891 },   { 0x8e2, 0x8e2 },	{ 0x115f, 0x1160 }, { 0x17b4, 0x17b5 },
		{ 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },
		{ 0xfff0, 0xfffb }, { 0x110bd, 0x110bd }, { 0x110cd, 0x110cd },
		{ 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },
		{ 0xe0000, 0xe0fff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (cp >= t[i].first && cp <= t[i].last)
			return true;
	return false;
}

void text_escape(struct buf *b, const char *s)
{
	for (;;) {
		const char *at = s;
		uint32_t cp = utf8_next(&s);

		if (!cp)
			return;
		if (cp == 0xfffd)
			buf_adds(b, "\xef\xbf\xbd"); /* instead of the invalid byte */
		else if (is_hidden(cp))
			buf_printf(b, "\\u{%x}", cp);
		else
			buf_add(b, at, (size_t)(s - at));
	}
}

/* Bytes of the longest head of s that fits into width columns, its marks included. */
static size_t head_bytes(const char *s, int width)
{
	const char *p = s, *end = s;
	uint32_t cp;
	int w = 0;

	while ((cp = utf8_next(&p))) {
		w += cp_width(cp);
		if (w > width)
			break;
		end = p;
	}
	return (size_t)(end - s);
}

void text_cut_middle(struct buf *b, const char *s, int width)
{
	int total = text_width(s), left, right;
	const char *tail = s;

	if (total <= width) {
		buf_adds(b, s);
		return;
	}
	if (width <= 3) {
		buf_add(b, s, head_bytes(s, width > 0 ? width : 0));
		return;
	}
	/* Three fifths for the head: names differ by their ends but are known by their starts. */
	left = ((width - 2) * 3 + 4) / 5;
	right = width - 2 - left;
	buf_add(b, s, head_bytes(s, left));
	buf_adds(b, "..");
	for (int w = total; *tail;) {
		const char *next = tail;
		uint32_t cp = utf8_next(&next);

		if (w <= right && cp_width(cp) > 0)
			break; /* never start with a mark whose base was cut */
		w -= cp_width(cp);
		tail = next;
	}
	buf_adds(b, tail);
}

static bool is_closing(uint32_t cp)
{
	static const uint32_t t[] = { 0x3001, 0x3002, 0xff0c, 0xff1b, 0xff1a, 0xff09, 0x300b, 0x300d,
				      0x300f, 0x3011, 0x3009, 0xff01, 0xff1f, 0xff3d, 0xff5d, 0x2019,
				      0x201d, 0x2026, ',', '.', ';', ':', ')', ']', '}', '!', '?',
				      '"', '\'', '%' };

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (t[i] == cp)
			return true;
	return false;
}

static bool is_opening(uint32_t cp)
{
	static const uint32_t t[] = { 0xff08, 0x300a, 0x300c, 0x300e, 0x3010, 0x3008, 0xff3b, 0xff5b,
				      0x2018, 0x201c, '(', '[', '{', '"' };

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (t[i] == cp)
			return true;
	return false;
}

/* May a line end between a and b, where no space stands? */
static bool breaks_between(uint32_t a, uint32_t b)
{
	return (cp_width(a) == 2 || cp_width(b) == 2) && cp_width(b) > 0 && !is_opening(a) &&
	       !is_closing(b);
}

static void new_line(struct buf *b, int indent, int *col)
{
	buf_adds(b, "\n");
	for (int i = 0; i < indent; i++)
		buf_adds(b, " ");
	*col = indent > 0 ? indent : 0;
}

void text_wrap(struct buf *b, const char *s, int width, int indent)
{
	int col = 0, gap = 0;
	bool fresh = true; /* nothing on this line yet */

	while (*s) {
		const char *piece = s, *end;
		int w = 0;
		uint32_t prev = 0;

		if (*s == '\n') {
			new_line(b, indent, &col);
			fresh = true;
			gap = 0;
			s++;
			continue;
		}
		if (*s == ' ') {
			gap += !fresh;
			s++;
			continue;
		}
		/* A piece: as far as no line may end. */
		for (end = s; *end && *end != ' ' && *end != '\n';) {
			const char *next = end;
			uint32_t cp = utf8_next(&next);

			if (prev && breaks_between(prev, cp))
				break;
			w += cp_width(cp);
			if (cp_width(cp) > 0)
				prev = cp;
			end = next;
		}
		if (!fresh && col + gap + w > width) {
			new_line(b, indent, &col);
			gap = 0;
		}
		for (; gap; gap--, col++)
			buf_adds(b, " ");
		buf_add(b, piece, (size_t)(end - piece));
		col += w;
		fresh = false;
		s = end;
	}
}
