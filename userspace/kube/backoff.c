/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/strparse.h"
#include "kube/client_priv.h"

#define RETRY_AFTER_MAX_S 600 /* a server that asks for more is asked again after this */

uint32_t kube_backoff_ms(unsigned attempt, uint32_t base_ms, uint32_t max_ms, uint32_t random)
{
	uint64_t d = base_ms;

	while (attempt-- && d < max_ms)
		d *= 2;
	if (d > max_ms)
		d = max_ms;
	return (uint32_t)(d / 2 + (d - d / 2) * random / UINT32_MAX);
}

uint32_t kube_retry_after_ms(const char *value, int64_t now_s)
{
	uint32_t s;
	struct tm tm = {};
	const char *end;
	int64_t at;

	if (parse_u32(value, 0, UINT32_MAX, &s) == 0)
		return (s < RETRY_AFTER_MAX_S ? s : RETRY_AFTER_MAX_S) * 1000;
	end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end || *end)
		return 0;
	at = (int64_t)timegm(&tm);
	if (at <= now_s)
		return 0;
	return (at - now_s < RETRY_AFTER_MAX_S ? (uint32_t)(at - now_s) : RETRY_AFTER_MAX_S) * 1000;
}

uint32_t kube_random(void)
{
	uint32_t v = 0;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		v = 0; /* then all wait alike */
	return v;
}
