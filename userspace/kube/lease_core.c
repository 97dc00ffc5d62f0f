/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lease_core.h"

#include <stdio.h>
#include <string.h>

static bool same(const struct lease_record *a, const struct lease_record *b)
{
	return a->there == b->there && a->duration_s == b->duration_s && a->transitions == b->transitions &&
	       !strcmp(a->holder, b->holder) && !strcmp(a->renew_time, b->renew_time) &&
	       !strcmp(a->acquire_time, b->acquire_time);
}

void lease_core_saw(struct lease_core *l, const struct lease_record *r, uint64_t now)
{
	if (!l->seen || !same(&l->rec, r))
		l->seen_ms = now;
	l->seen = true;
	l->rec = *r;
	if (l->leading && (!r->there || strcmp(r->holder, l->identity)))
		l->leading = false; /* another took it: what we were told last counts */
}

enum lease_do lease_core_next(const struct lease_core *l, uint64_t now)
{
	if (!l->seen)
		return LEASE_WAIT;
	if (!l->rec.there)
		return LEASE_CREATE;
	if (l->leading || !l->rec.holder[0])
		return LEASE_UPDATE;
	/* Ours, but the answer came too late or never: nobody else can have it. Our own name on a record
	 * that we did not write is a former self, whose lease ends like another's. */
	if (!strcmp(l->rec.holder, l->identity) && l->wrote[0] && !strcmp(l->rec.renew_time, l->wrote))
		return LEASE_UPDATE;
	return now - l->seen_ms >= (uint64_t)l->rec.duration_s * 1000 ? LEASE_UPDATE : LEASE_WAIT;
}

void lease_core_wrote(struct lease_core *l, const struct lease_record *r, uint64_t begun, uint64_t now)
{
	lease_core_saw(l, r, now);
	if (!r->there || strcmp(r->holder, l->identity))
		return;
	l->leading = true;
	l->renewed_ms = begun;
}

uint64_t lease_core_left(const struct lease_core *l, uint64_t now)
{
	uint64_t gone = now - l->renewed_ms;

	return !l->leading || gone >= l->renew_ms ? 0 : l->renew_ms - gone;
}

struct lease_record lease_core_record(struct lease_core *l, const char *now_text)
{
	struct lease_record r = l->rec;

	snprintf(l->wrote, sizeof(l->wrote), "%s", now_text);
	snprintf(r.renew_time, sizeof(r.renew_time), "%s", now_text);
	if (!r.there || strcmp(r.holder, l->identity)) {
		snprintf(r.acquire_time, sizeof(r.acquire_time), "%s", now_text);
		r.transitions = r.there ? r.transitions + 1 : 0;
	}
	snprintf(r.holder, sizeof(r.holder), "%s", l->identity);
	r.duration_s = (l->duration_ms + 999) / 1000;
	r.there = true;
	return r;
}
