/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - text for people: display width by East Asian Width (UAX #11) from our own table,
 * escaping of control, bidi and zero-width characters as \u{202e}, cutting and wrapping.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf;

/* Next code point; invalid bytes give U+FFFD and advance by one. *s moves on; 0 at the end. */
uint32_t utf8_next(const char **s);
/* 0, 1 or 2 columns; ambiguous characters are 1, or 2 after text_set_ambiguous_wide(1). */
int cp_width(uint32_t cp);
void text_set_ambiguous_wide(int wide);
int text_width(const char *s);
/* Appends s with control, bidi and zero-width characters written as \u{hex}. */
void text_escape(struct buf *b, const char *s);
/* s cut in the middle to `width` columns ("web-6d4f..b2k9x"), appended. */
void text_cut_middle(struct buf *b, const char *s, int width);
/* Sentence wrapped at `width` with hanging indent; Chinese breaks between characters but not
 * before closing punctuation nor after opening. */
void text_wrap(struct buf *b, const char *s, int width, int indent);
