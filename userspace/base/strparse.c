/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strparse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool lower_alnum(char c)
{
	return digit(c) || (c >= 'a' && c <= 'z');
}

static bool alnum(char c)
{
	return lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	bool over = false;

	if (!digit(*s) || (s[0] == '0' && s[1]))
		return -EINVAL;
	for (; digit(*s); s++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			over = true; /* read on: "99..9x" is no number, and not a big one */
	}
	if (*s)
		return -EINVAL;
	if (over || v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t v;
	int r = parse_u64(s, min, max, &v);

	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

int parse_duration_ms(const char *s, uint64_t max_ms, uint64_t *ret)
{
	/* Largest first: units may only fall ("1h30m"), each at most once. */
	static const struct { const char *unit; uint64_t ms; } units[] = {
		{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
	};
	uint64_t total = 0;
	size_t next = 0;
	bool over = false;

	if (!*s)
		return -EINVAL;
	while (*s) {
		uint64_t v = 0;
		size_t n = 0, u;

		if (!digit(*s))
			return -EINVAL;
		for (; digit(*s); s++)
			over |= __builtin_mul_overflow(v, 10u, &v) ||
				__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v);
		while (s[n] && !digit(s[n]))
			n++;
		for (u = next; u < sizeof(units) / sizeof(units[0]); u++)
			if (strlen(units[u].unit) == n && strncmp(s, units[u].unit, n) == 0)
				break;
		if (u == sizeof(units) / sizeof(units[0]))
			return -EINVAL;
		next = u + 1;
		s += n;
		over |= __builtin_mul_overflow(v, units[u].ms, &v) ||
			__builtin_add_overflow(total, v, &total);
	}
	if (over || total > max_ms)
		return -ERANGE;
	*ret = total;
	return 0;
}

/* Exactly n digits; -1 when they are not. */
static int digits(const char **s, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*s)++) {
		if (!digit(**s))
			return -1;
		v = v * 10 + (**s - '0');
	}
	return v;
}

static bool skip(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* Days since 1970-01-01 of a civil date (proleptic Gregorian). */
static int64_t civil_days(int y, int m, int d)
{
	int64_t yy = y - (m <= 2), era = (yy >= 0 ? yy : yy - 399) / 400;
	int64_t yoe = yy - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int parse_time_ns(const char *s, int64_t *ret)
{
	static const int mdays[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int y, mon, d, h = 0, min = 0, sec = 0, oh = 0, om = 0, sign = 0, dim;
	int64_t ns = 0, secs;

	y = digits(&s, 4);
	if (y < 0 || !skip(&s, '-') || (mon = digits(&s, 2)) < 0 || !skip(&s, '-') ||
	    (d = digits(&s, 2)) < 0)
		return -EINVAL;
	if (*s) {
		if (!(skip(&s, 'T') || skip(&s, 't') || skip(&s, ' ')) || (h = digits(&s, 2)) < 0 ||
		    !skip(&s, ':') || (min = digits(&s, 2)) < 0 || !skip(&s, ':') ||
		    (sec = digits(&s, 2)) < 0)
			return -EINVAL;
		if (skip(&s, '.')) {
			int64_t unit = 100000000;

			if (!digit(*s))
				return -EINVAL;
			for (; digit(*s); s++, unit /= 10)
				ns += unit * (*s - '0'); /* beyond ns: unit is 0 */
		}
		if (!skip(&s, 'Z') && !skip(&s, 'z')) {
			sign = *s == '+' ? 1 : *s == '-' ? -1 : 0;
			if (!sign)
				return -EINVAL;
			s++;
			if ((oh = digits(&s, 2)) < 0 || !skip(&s, ':') || (om = digits(&s, 2)) < 0)
				return -EINVAL;
		}
		if (*s)
			return -EINVAL;
	}
	if (mon < 1 || mon > 12)
		return -ERANGE;
	dim = mdays[mon - 1] + (mon == 2 && (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)));
	if (d < 1 || d > dim || h > 23 || min > 59 || sec > 60 || oh > 23 || om > 59)
		return -ERANGE;
	/* int64 nanoseconds end in 2262; 1970 is before anything this system records. */
	if (y < 1970 || y > 2261)
		return -ERANGE;
	secs = civil_days(y, mon, d) * 86400 + h * 3600 + min * 60 + sec - sign * (oh * 3600 + om * 60);
	*ret = secs * 1000000000 + ns;
	return 0;
}

const char *time_str(int64_t ns, char out[32])
{
	int64_t secs = ns / 1000000000, rest = ns % 1000000000;
	struct tm tm = {};
	time_t t;
	size_t n;

	if (rest < 0) {
		secs--;
		rest += 1000000000;
	}
	t = (time_t)secs;
	gmtime_r(&t, &tm);
	n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest / 1000000)
		snprintf(out + n, 32 - n, ".%03dZ", (int)(rest / 1000000));
	else
		snprintf(out + n, 32 - n, "Z");
	return out;
}

static bool dns_label_n(const char *s, size_t n)
{
	if (n < 1 || n > 63 || !lower_alnum(s[0]) || !lower_alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!lower_alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

bool is_dns_label(const char *s)
{
	return dns_label_n(s, strlen(s));
}

static bool dns_name_n(const char *s, size_t n)
{
	const char *end = s + n;

	if (n < 1 || n > 253)
		return false;
	for (;;) {
		const char *dot = memchr(s, '.', (size_t)(end - s));
		const char *stop = dot ? dot : end;

		if (!dns_label_n(s, (size_t)(stop - s)))
			return false;
		if (!dot)
			return true;
		s = dot + 1;
	}
}

bool is_dns_name(const char *s)
{
	return dns_name_n(s, strlen(s));
}

/* The name half of a key, and a value: alphanumeric at both ends, -_. between. */
static bool label_word_n(const char *s, size_t n)
{
	if (n < 1 || n > 63 || !alnum(s[0]) || !alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!alnum(s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

bool is_label_key(const char *s)
{
	const char *slash = strchr(s, '/');

	if (!slash)
		return label_word_n(s, strlen(s));
	return dns_name_n(s, (size_t)(slash - s)) && label_word_n(slash + 1, strlen(slash + 1));
}

bool is_label_value(const char *s)
{
	return !*s || label_word_n(s, strlen(s));
}

#define WORD_MAX 64 /* longer words have no typo worth guessing */

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance with adjacent transposition; both at most WORD_MAX long. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][WORD_MAX + 1], *prev2 = rows[0], *prev = rows[1], *cur = rows[2];

	for (size_t j = 0; j <= nb; j++)
		prev[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *t = prev2;

		cur[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			cur[j] = min3(prev[j] + 1, cur[j - 1] + 1, prev[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    prev2[j - 2] + 1 < cur[j])
				cur[j] = prev2[j - 2] + 1;
		}
		prev2 = prev;
		prev = cur;
		cur = t;
	}
	return prev[nb];
}

const char *nearest_word(const char *s, const char *const *words, size_t n)
{
	size_t ns = strlen(s), best = 3;
	const char *found = NULL;

	if (ns < 2 || ns > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t nw = strlen(words[i]), d;

		if (nw > WORD_MAX || nw + 2 < ns || ns + 2 < nw)
			continue;
		d = distance(s, ns, words[i], nw);
		/* A guess that replaces the whole word is no guess. */
		if (d < best && d < nw && d < ns) {
			best = d;
			found = words[i];
		}
	}
	return found;
}
