/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/msg.h"

#include <string.h>

#include "base/buf.h"

#define PAIRS_MAX 24u

static const struct { const char *id, *text[LANG_COUNT]; } table[M_COUNT] = {
#define M(id, en, zh) [M_##id] = { #id, { en, zh } },
#include "ctl/messages.def"
#undef M
};

const char *msg_text(enum msg m, enum lang lang)
{
	return table[m].text[lang];
}

const char *msg_id(enum msg m)
{
	return table[m].id;
}

void msg_put_text(struct buf *b, const char *text, const char *const (*pairs)[2], size_t n)
{
	while (*text) {
		const char *open = strchr(text, '{'), *close = open ? strchr(open, '}') : NULL;
		size_t i, len;

		if (!close) {
			buf_adds(b, text);
			return;
		}
		buf_add(b, text, (size_t)(open - text));
		len = (size_t)(close - open) - 1;
		for (i = 0; i < n; i++)
			if (strlen(pairs[i][0]) == len && !memcmp(pairs[i][0], open + 1, len))
				break;
		buf_adds(b, i < n ? pairs[i][1] : "-");
		text = close + 1;
	}
}

void msg_vput(struct buf *b, enum lang lang, enum msg m, va_list ap)
{
	const char *pairs[PAIRS_MAX][2];
	const char *name;
	size_t n = 0;

	while (n < PAIRS_MAX && (name = va_arg(ap, const char *))) {
		const char *value = va_arg(ap, const char *);

		pairs[n][0] = name;
		pairs[n++][1] = value ? value : "-";
	}
	msg_put_text(b, table[m].text[lang], (const char *const (*)[2])pairs, n);
}

void msg_put(struct buf *b, enum lang lang, enum msg m, ...)
{
	va_list ap;

	va_start(ap, m);
	msg_vput(b, lang, m, ap);
	va_end(ap);
}
