/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/access.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define DAY_NS (86400 * 1000000000LL)

static const char *const state_words[] = {
	[ACCESS_ST_PENDING] = "pending",
	[ACCESS_ST_CONFIRMED] = "confirmed",
	[ACCESS_ST_REJECTED] = "rejected",
	[ACCESS_ST_HELD] = "held",
};

enum access_state access_state(const struct access *a)
{
	if (a->decision == ACCESS_CONFIRMED)
		return ACCESS_ST_CONFIRMED;
	if (a->decision == ACCESS_REJECTED)
		return ACCESS_ST_REJECTED;
	return a->hold == ACCESS_NOT_HELD ? ACCESS_ST_PENDING : ACCESS_ST_HELD;
}

const char *access_state_str(enum access_state s)
{
	return (size_t)s < ARRAY_SIZE(state_words) ? state_words[s] : NULL;
}

int access_state_parse(const char *s, enum access_state *ret)
{
	for (size_t i = 0; s && i < ARRAY_SIZE(state_words); i++)
		if (!strcmp(s, state_words[i])) {
			*ret = (enum access_state)i;
			return 0;
		}
	return -EINVAL;
}

const char *access_hold_str(enum access_hold h)
{
	switch (h) {
	case ACCESS_NOT_HELD: return "-";
	case ACCESS_HELD_SCAN: return "scan";
	case ACCESS_HELD_UNRESOLVED: return "unresolved";
	}
	return NULL;
}

const char *access_port_str(const struct access *a, char out[40])
{
	return axis_str(CW_AXIS(a->proto, a->port), out);
}

bool access_covered(const struct access *a)
{
	bool any = false;

	for (int s = 0; s < 2; s++) {
		if (a->side[s].outcome == CW_OUT_NONE)
			continue;
		if (a->side[s].outcome == CW_OUT_NO_RULE ||
		    a->side[s].verdict.tier == CW_TIER_DEFAULT ||
		    a->side[s].verdict.tier == CW_TIER_NONE)
			return false;
		any = true;
	}
	return any;
}

bool access_bulk_confirmable(const struct access *a)
{
	return access_state(a) == ACCESS_ST_PENDING && a->c.answered && !access_guessed(a);
}

void access_span(const struct access *a, int64_t since_ns, int64_t until_ns, struct access_span *ret)
{
	int64_t lo = since_ns > 0 ? since_ns / DAY_NS : 0;
	int64_t hi = until_ns > 0 ? until_ns / DAY_NS : INT64_MAX;

	*ret = (struct access_span){ };
	for (size_t i = 0; i < a->ndays; i++) {
		const struct access_day *d = &a->days[i];

		if (d->day < lo || d->day > hi)
			continue;
		ret->flows += d->flows;
		ret->answered += d->answered;
		ret->refused += d->refused;
		ret->hours |= d->hours;
		ret->days++;
	}
}

int access_scheduled_hour(const struct access *a)
{
	uint32_t hours = a->ndays ? a->days[0].hours : 0;

	if (a->ndays < 3 || !hours || (hours & (hours - 1)))
		return -1;
	for (size_t i = 1; i < a->ndays; i++)
		if (a->days[i].hours != hours)
			return -1;
	return __builtin_ctz(hours);
}
