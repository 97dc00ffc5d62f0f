/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml_scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define NUMBER_TEXT_MAX 32

static bool is_one_of(const char *s, size_t len, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(words[i]) == len && memcmp(words[i], s, len) == 0)
			return true;
	return false;
}
#define IS_ONE_OF(s, len, ...) \
	is_one_of(s, len, (const char *const[]){ __VA_ARGS__ }, \
		  sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static size_t span(const char *s, size_t len, size_t i, const char *set)
{
	size_t n = 0;

	while (i + n < len && s[i + n] && strchr(set, s[i + n]))
		n++;
	return n;
}

#define DIGITS "0123456789"

/* [-+]? ( digits [. digits*]? | . digits ) ([eE][-+]?digits)?  Integers come back as such. */
static bool is_decimal(const char *s, size_t len, bool *ret_int, bool *ret_zero_led)
{
	size_t i = len && (s[0] == '-' || s[0] == '+'), whole = span(s, len, i, DIGITS), part = 0, n;

	*ret_zero_led = whole > 1 && s[i] == '0';
	*ret_int = true;
	i += whole;
	if (i < len && s[i] == '.') {
		*ret_int = false;
		part = span(s, len, ++i, DIGITS);
		i += part;
	}
	if (!whole && !part)
		return false;
	if (i < len && (s[i] == 'e' || s[i] == 'E')) {
		*ret_int = false;
		i++;
		i += i < len && (s[i] == '-' || s[i] == '+');
		n = span(s, len, i, DIGITS);
		if (!n)
			return false;
		i += n;
	}
	return i == len;
}

enum yaml_scalar yaml_scalar_kind(const char *s, size_t len, double *ret_num)
{
	char text[NUMBER_TEXT_MAX + 1];
	bool is_int, zero_led;
	double v;

	if (len == 0 || IS_ONE_OF(s, len, "~", "null", "Null", "NULL"))
		return YAML_NULL;
	if (IS_ONE_OF(s, len, "true", "True", "TRUE"))
		return YAML_TRUE;
	if (IS_ONE_OF(s, len, "false", "False", "FALSE"))
		return YAML_FALSE;
	if (IS_ONE_OF(s, len, ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf",
		      "-.INF", ".nan", ".NaN", ".NAN"))
		return YAML_BAD_NUMBER;
	if (len > 2 && s[0] == '0' &&
	    ((s[1] == 'x' && span(s, len, 2, DIGITS "abcdefABCDEF") == len - 2) ||
	     (s[1] == 'o' && span(s, len, 2, "01234567") == len - 2))) {
		if (len > 15) /* 13 digits: at most 52 bits */
			return YAML_BAD_NUMBER;
		memcpy(text, s + 2, len - 2);
		text[len - 2] = '\0';
		v = (double)strtoull(text, NULL, s[1] == 'x' ? 16 : 8);
	} else if (is_decimal(s, len, &is_int, &zero_led)) {
		if (zero_led || len > NUMBER_TEXT_MAX)
			return YAML_BAD_NUMBER;
		memcpy(text, s, len);
		text[len] = '\0';
		v = strtod(text, NULL);
		if (!isfinite(v) || (is_int && fabs(v) > YAML_EXACT_MAX))
			return YAML_BAD_NUMBER;
	} else {
		return YAML_STRING;
	}
	*ret_num = v;
	return YAML_NUMBER;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool yaml_plain_safe(const char *s)
{
	static const char *const yaml11[] = { "y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO",
					      "on", "On", "ON", "off", "Off", "OFF" };
	size_t len = strlen(s);
	double num;

	if (!len || yaml_scalar_kind(s, len, &num) != YAML_STRING ||
	    is_one_of(s, len, yaml11, ARRAY_SIZE(yaml11)))
		return false;
	if (!is_alnum(s[0]) && s[0] != '/' && s[0] != '_' && s[0] != '.')
		return false;
	if (strncmp(s, "...", 3) == 0) /* at the start of a line it ends the document */
		return false;
	/* Anything made of number characters alone may be a number or a date to some reader. */
	if (((s[0] >= '0' && s[0] <= '9') || s[0] == '.') &&
	    span(s, len, 0, DIGITS "abcdefABCDEFxXoO_.+-") == len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (is_alnum(s[i]) || strchr("/_.-@+=()*", s[i]))
			continue;
		if (s[i] == ' ' && i + 1 < len && s[i + 1] != ' ')
			continue;
		return false;
	}
	return true;
}
