/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - is this record one of ours? */
#include <errno.h>
#include <string.h>

#include "event/reader.h"

static bool mapped_v4(const uint8_t a[16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a, prefix, sizeof(prefix));
}

static bool zero(const uint8_t a[16])
{
	static const uint8_t none[16];

	return !memcmp(a, none, sizeof(none));
}

int event_check(const void *p, size_t len, const char **ret_why)
{
	const char *why = NULL;
	struct cw_event e;

	if (len != sizeof(e)) {
		why = "size";
		goto bad;
	}
	memcpy(&e, p, sizeof(e));
	if (e.type < CW_EV_ACCESS || e.type >= CW_EV_COUNT)
		why = "type";
	else if (e.side > CW_INGRESS)
		why = "side";
	else if (e.outcome >= CW_OUT_COUNT)
		why = "outcome";
	else if (e.reason >= CW_R_COUNT)
		why = "reason";
	else if (e.mode >= CW_MODE_COUNT)
		why = "mode";
	else if (e.family != 0 && e.family != 4 && e.family != 6)
		why = "family";
	else if (e.family == 0 && e.type != CW_EV_GUARD)
		why = "family";	/* only what is no IP packet has none */
	else if (e.family == 4 && ((!mapped_v4(e.saddr) && !zero(e.saddr)) ||
				   (!mapped_v4(e.daddr) && !zero(e.daddr))))
		why = "address";
	if (!why)
		return 0;
bad:
	if (ret_why)
		*ret_why = why;
	return -EBADMSG;
}
