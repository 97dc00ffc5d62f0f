/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

/* Not for eyes, by the one table that base/text has; noncharacters are refused by XML. */
static bool is_hidden(uint32_t cp, const char *at, size_t len)
{
	auto_cleanup(buf_done) struct buf b = {};
	char one[8];

	if (cp >= 0x20 && cp < 0x7f)
		return false;
	if (cp < 0xa0 || (cp & 0xfffe) == 0xfffe || (cp >= 0xfdd0 && cp <= 0xfdef))
		return true;
	buf_init(&b, 64);
	memcpy(one, at, len);
	one[len] = '\0';
	text_escape(&b, one);
	return !b.data || b.data[0] == '\\';
}

/* What one character becomes; `hidden` ones never reach it. */
typedef void put_fn(struct buf *b, uint32_t cp, const char *at, size_t len);
typedef void hidden_fn(struct buf *b, uint32_t cp);

static void walk(struct buf *b, const char *s, put_fn *put, hidden_fn *hide)
{
	for (;;) {
		const char *at = s;
		uint32_t cp = utf8_next(&s);
		size_t len = (size_t)(s - at);

		if (!cp || b->err)
			return;
		if (cp == 0xfffd && len == 1) /* a bad byte: names are checked, this is the net below */
			put(b, cp, "\xef\xbf\xbd", 3);
		else if (is_hidden(cp, at, len))
			hide(b, cp);
		else
			put(b, cp, at, len);
	}
}

static void put_plain(struct buf *b, uint32_t cp, const char *at, size_t len)
{
	if (cp == '\\')
		buf_adds(b, "\\u{5c}");
	else
		buf_add(b, at, len);
}

static void hide_plain(struct buf *b, uint32_t cp)
{
	buf_printf(b, "\\u{%x}", cp);
}

void esc_visible(struct buf *b, const char *s)
{
	walk(b, s, put_plain, hide_plain);
}

/*
 * Inside quotes Graphviz keeps backslashes for the label's own escapes (\N, \n, ...), so ours are
 * doubled; "&" would start a character entity.
 */
static void put_dot(struct buf *b, uint32_t cp, const char *at, size_t len)
{
	if (cp == '"')
		buf_adds(b, "\\\"");
	else if (cp == '\\')
		buf_adds(b, "\\\\u{5c}");
	else if (cp == '&')
		buf_adds(b, "&amp;");
	else
		buf_add(b, at, len);
}

static void hide_dot(struct buf *b, uint32_t cp)
{
	buf_printf(b, "\\\\u{%x}", cp);
}

void esc_dot(struct buf *b, const char *s)
{
	walk(b, s, put_dot, hide_dot);
}

static void hide_json(struct buf *b, uint32_t cp)
{
	if (cp < 0x10000)
		buf_printf(b, "\\u%04x", cp);
	else
		buf_printf(b, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10), 0xdc00 + (cp & 0x3ff));
}

static void put_json(struct buf *b, uint32_t cp, const char *at, size_t len)
{
	if (cp == '"' || cp == '\\')
		buf_printf(b, "\\%c", (char)cp);
	else if (cp == '<' || cp == '>' || cp == '&')
		hide_json(b, cp);
	else
		buf_add(b, at, len);
}

void esc_json(struct buf *b, const char *s)
{
	walk(b, s, put_json, hide_json);
}

static void put_xml(struct buf *b, uint32_t cp, const char *at, size_t len)
{
	switch (cp) {
	case '&': buf_adds(b, "&amp;"); break;
	case '<': buf_adds(b, "&lt;"); break;
	case '>': buf_adds(b, "&gt;"); break;
	case '"': buf_adds(b, "&quot;"); break;
	case '\'': buf_adds(b, "&#39;"); break;
	default: put_plain(b, cp, at, len);
	}
}

void esc_xml(struct buf *b, const char *s)
{
	walk(b, s, put_xml, hide_plain);
}

static void put_xml_comment(struct buf *b, uint32_t cp, const char *at, size_t len)
{
	if (cp == '-' && b->len && b->data[b->len - 1] == '-')
		buf_adds(b, "\\u{2d}");
	else
		put_plain(b, cp, at, len);
}

void esc_xml_comment(struct buf *b, const char *s)
{
	walk(b, s, put_xml_comment, hide_plain);
}

static void put_mermaid(struct buf *b, uint32_t cp, const char *at, size_t len)
{
	bool plain = cp >= 0x80 || (cp >= '0' && cp <= '9') || (cp >= 'A' && cp <= 'Z') ||
		     (cp >= 'a' && cp <= 'z') || strchr(" ./:_-,+=*", (int)cp);

	if (cp == '\\')
		buf_adds(b, "#92;u#123;5c#125;");
	else if (plain)
		buf_add(b, at, len);
	else
		buf_printf(b, "#%u;", cp);
}

static void hide_mermaid(struct buf *b, uint32_t cp)
{
	buf_printf(b, "#92;u#123;%x#125;", cp);
}

void esc_mermaid(struct buf *b, const char *s)
{
	walk(b, s, put_mermaid, hide_mermaid);
}

void esc_mermaid_id(struct buf *b, const char *s)
{
	/* a prefix keeps words of the language ("end", "graph", "x", "o") from standing alone */
	buf_adds(b, "n_");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
			buf_add(b, s, 1);
		else
			buf_printf(b, "_%02x", c);
	}
}

static void put_csv(struct buf *b, uint32_t cp, const char *at, size_t len)
{
	if (cp == '"')
		buf_adds(b, "\"\"");
	else
		put_plain(b, cp, at, len);
}

void esc_csv(struct buf *b, const char *s)
{
	/* a spreadsheet takes these for the start of a formula; the apostrophe makes them text */
	bool formula = *s && strchr("=+-@", *s);
	bool quote = formula || s[strcspn(s, ",\"; '")];

	if (quote)
		buf_adds(b, "\"");
	if (formula)
		buf_adds(b, "'");
	walk(b, s, put_csv, hide_plain);
	if (quote)
		buf_adds(b, "\"");
}
