/* SPDX-License-Identifier: Apache-2.0 */
/* text_out.c - values as people read them: numbers, times, durations, verdicts, sentences. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "base/text.h"
#include "ctl/ctl.h"

#define NS_PER_S 1000000000ll
#define SENTENCE_WIDTH 100

void put_str(struct buf *b, const char *s)
{
	text_escape(b, s && *s ? s : "-");
}

void put_num(struct buf *b, int64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRId64, n < 0 ? -n : n);

	if (n < 0)
		buf_adds(b, "-");
	for (int i = 0; i < len; i++) {
		buf_add(b, &digits[i], 1);
		if (i + 1 < len && (len - i - 1) % 3 == 0)
			buf_adds(b, ",");
	}
}

void put_duration(struct buf *b, int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 0)
		buf_adds(b, "-");
	else if (ms < 10)
		buf_printf(b, "%" PRId64 " ms", ms);
	else if (ms < 60000)
		buf_printf(b, "%.*f s", ms < 10000 ? 1 : 0, (double)ms / 1000);
	else if (s < 3600)
		buf_printf(b, "%" PRId64 "m %02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		buf_printf(b, "%" PRId64 "h %02" PRId64 "m", s / 3600, s / 60 % 60);
	else
		buf_printf(b, "%" PRId64 "d %02" PRId64 "h", s / 86400, s / 3600 % 24);
}

void put_micros(struct buf *b, int64_t us)
{
	if (us < 1000)
		buf_printf(b, "%" PRId64 " us", us);
	else if (us < 10000)
		buf_printf(b, "%.1f ms", (double)us / 1000);
	else
		put_duration(b, us / 1000);
}

static int64_t now_ns(const struct ctl *c)
{
	struct timespec ts;

	if (c->io.now_ns)
		return c->io.now_ns;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void put_age(const struct ctl *c, struct buf *b, int64_t ns)
{
	int64_t s = (now_ns(c) - ns) / NS_PER_S;

	if (s < 0)
		s = 0; /* another machine's clock may be ahead by a little */
	if (s < 120)
		buf_printf(b, "%" PRId64 "s", s);
	else if (s < 7200)
		buf_printf(b, "%" PRId64 "m", s / 60);
	else if (s < 172800)
		buf_printf(b, "%" PRId64 "h", s / 3600);
	else
		buf_printf(b, "%" PRId64 "d", s / 86400);
}

void put_time(struct ctl *c, struct buf *b, const char *text, enum time_style dflt)
{
	enum time_style style = c->time ? c->time : dflt;
	int64_t ns;
	char out[64];
	struct tm tm;
	time_t t;

	if (!text || !*text || parse_time_ns(text, &ns) < 0) {
		put_str(b, text);
		return;
	}
	if (style == TIME_ISO) {
		put_str(b, text);
	} else if (style == TIME_AGE) {
		put_age(c, b, ns);
	} else {
		t = (time_t)(ns / NS_PER_S);
		localtime_r(&t, &tm);
		strftime(out, sizeof(out), "%Y-%m-%d %H:%M:%S", &tm);
		buf_adds(b, out);
	}
}

char *time_text(struct ctl *c, const char *rfc3339)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, 64);
	put_time(c, &b, rfc3339, TIME_LOCAL);
	return buf_take(&b, NULL);
}

char *duration_text(int64_t ms)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, 64);
	put_duration(&b, ms);
	return buf_take(&b, NULL);
}

void put_verdict(struct ctl *c, struct buf *b, const char *word)
{
	const char *on = "";

	if (c->color && word) {
		if (!strcmp(word, "block"))
			on = "\033[31m";
		else if (!strcmp(word, "would-block"))
			on = "\033[31;4m";
		else if (!strcmp(word, "alert"))
			on = "\033[33m";
	}
	buf_adds(b, on);
	put_str(b, word);
	if (*on)
		buf_adds(b, "\033[0m");
}

void put_by(struct ctl *c, struct buf *b, const cJSON *by)
{
	const char *tier = json_str(by, "tier"), *rule = json_str(by, "rule"), *access = json_str(by, "access");
	const char *reason = json_str(by, "reason");

	(void)c;
	if (!tier || !strcmp(tier, "none")) {
		buf_adds(b, "-");
		return;
	}
	if (!strcmp(tier, "builtin") && reason) {
		put_str(b, reason);
		return;
	}
	put_str(b, tier);
	if (!strcmp(tier, "learned") && access && *access) {
		buf_adds(b, " ");
		put_str(b, access);
	} else if (rule && *rule) {
		buf_adds(b, " ");
		put_str(b, rule);
	}
}

static int sentence_width(const struct ctl *c)
{
	return c->io.width > 0 && c->io.width < SENTENCE_WIDTH ? c->io.width :
	       c->io.out_tty				       ? SENTENCE_WIDTH :
								 0;
}

void put_line(struct ctl *c, struct buf *b, enum msg m, ...)
{
	int width = sentence_width(c);
	struct buf line;
	va_list ap;

	buf_init(&line, 1u << 20);
	va_start(ap, m);
	msg_vput(&line, c->lang, m, ap);
	va_end(ap);
	if (line.data && width) {
		int lead = (int)strspn(line.data, " ");

		buf_printf(b, "%*s", lead, "");
		text_wrap(b, line.data + lead, width - lead, lead + 2);
	} else if (line.data) {
		buf_adds(b, line.data);
	}
	if (b->len && b->data[b->len - 1] != '\n')
		buf_adds(b, "\n");
	if (line.err && !b->err)
		b->err = line.err;
	buf_done(&line);
}

/* A command is never broken: alone on its line, it runs when pasted. */
void put_next(struct ctl *c, struct buf *b, const char *command)
{
	if (!command || !*command)
		return;
	buf_adds(b, msg_text(M_NEXT, c->lang));
	put_str(b, command);
	buf_adds(b, "\n");
}
