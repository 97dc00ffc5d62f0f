/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"
#include "base/text.h"

#define TEXT_BYTES 4096u /* a longer text is cut and ends in ".." */
#define LINE_BYTES_MAX (16u * TEXT_BYTES) /* every byte escaped at its longest fits */

static _Atomic int max_level = LOG_L_INFO;
static _Atomic int as_json;

void log_set_level(enum log_level level)
{
	atomic_store(&max_level, (int)level);
}

void log_set_json(int json)
{
	atomic_store(&as_json, json);
}

static const char *level_name(enum log_level level)
{
	static const char *const names[] = { "err", "warn", "info", "debug" };

	return (unsigned)level < sizeof(names) / sizeof(names[0]) ? names[level] : "err";
}

static void json_string(struct buf *b, const char *s)
{
	buf_adds(b, "\"");
	for (const char *p = s; *p;) {
		const char *at = p;
		uint32_t cp = utf8_next(&p);

		if (cp == '"' || cp == '\\')
			buf_printf(b, "\\%c", (int)cp);
		else if (cp < 0x20 || cp == 0x7f)
			buf_printf(b, "\\u%04x", cp);
		else if (cp == 0xfffd)
			buf_adds(b, "\xef\xbf\xbd"); /* whatever bytes stood there */
		else
			buf_add(b, at, (size_t)(p - at));
	}
	buf_adds(b, "\"");
}

int log_vwrite(enum log_level level, const char *unit, int err, const char *fmt, va_list ap)
{
	auto_cleanup(buf_done) struct buf line = {};
	char text[TEXT_BYTES], errtext[128] = "", when[32];
	struct timespec ts;
	const char *p;
	size_t left;
	int n;

	if ((int)level > atomic_load(&max_level))
		return err;
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n >= (int)sizeof(text))
		memcpy(text + sizeof(text) - 3, "..", 3);
	if (err < 0) {
		const char *e = strerror_r(-err, errtext, sizeof(errtext));

		if (e != errtext)
			snprintf(errtext, sizeof(errtext), "%s", e);
	}
	buf_init(&line, LINE_BYTES_MAX);
	if (atomic_load(&as_json)) {
		clock_gettime(CLOCK_REALTIME, &ts);
		time_str((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec, when);
		buf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"unit\":", when, level_name(level));
		json_string(&line, unit);
		buf_adds(&line, ",\"text\":");
		json_string(&line, text);
		if (err < 0) {
			buf_printf(&line, ",\"errno\":%d,\"error\":", -err);
			json_string(&line, errtext);
		}
		buf_adds(&line, "}\n");
	} else {
		buf_printf(&line, "%s %s: ", level_name(level), unit);
		text_escape(&line, text);
		if (err < 0)
			buf_printf(&line, ": %s", errtext);
		buf_adds(&line, "\n");
	}
	/* One write for one line: lines of threads and processes do not mix. */
	for (p = line.data, left = line.len; p && left;) {
		ssize_t w = write(STDERR_FILENO, p, left);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			break; /* nowhere to tell it */
		p += w;
		left -= (size_t)w;
	}
	return err;
}

int log_write(enum log_level level, const char *unit, int err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(level, unit, err, fmt, ap);
	va_end(ap);
	errno = saved;
	return err;
}
