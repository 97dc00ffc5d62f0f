/* SPDX-License-Identifier: Apache-2.0 */
/* msg.h - the catalogue of sentences and headers in English and Chinese, with {named} parts. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct buf;

enum lang { LANG_EN, LANG_ZH, LANG_COUNT };
enum msg {
#define M(id, en, zh) M_##id,
#include "ctl/messages.def"
#undef M
	M_COUNT
};

/* The raw text with its {placeholders}. */
const char *msg_text(enum msg m, enum lang lang);
const char *msg_id(enum msg m);
/* Appends a text with {name} replaced: pairs of const char * name, value, closed by NULL. */
void msg_put(struct buf *b, enum lang lang, enum msg m, ...) __attribute__((sentinel));
void msg_vput(struct buf *b, enum lang lang, enum msg m, va_list ap);
/* The same for a text that is not in the catalogue (explain's own table). */
void msg_put_text(struct buf *b, const char *text, const char *const (*pairs)[2], size_t n);
