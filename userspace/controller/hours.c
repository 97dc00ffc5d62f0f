/* SPDX-License-Identifier: Apache-2.0 */
/* hours.c - what happened in the last hour, from totals noted once a minute. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/priv.h"

#define MINUTE_NS (60 * 1000000000ll)

static struct hour *hour_of(struct controller *c, const char *ns)
{
	struct hour *h;

	if (!str_set(ns))
		return NULL;
	h = htab_get(c->hours, ns, strlen(ns));
	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (h && c->hours_primed)
		h->n = 1; /* had nothing a minute ago */
	if (h && htab_set(c->hours, ns, strlen(ns), h, NULL)) {
		free(h);
		return NULL;
	}
	return h;
}

void hours_refresh(struct controller *c)
{
	size_t it = 0, n = access_book_count(c->book), kl;
	const void *k;
	void *v;

	while (htab_next(c->hours, &it, &k, &kl, &v)) {
		struct hour *h = v;

		h->would_now = h->drop_now = 0;
	}
	for (size_t i = 0; i < n; i++) {
		const struct access *a = access_book_at(c->book, i);

		for (int s = 0; s < 2; s++) {
			struct hour *h = hour_of(c, s == CW_EGRESS ? a->src->ns : a->dst->ns);

			if (!h)
				continue;
			h->would_now += a->c.cnt[s][CW_OUT_WOULD_BLOCK];
			h->drop_now += a->c.cnt[s][CW_OUT_DROP];
		}
	}
}

void hours_update(struct controller *c)
{
	int64_t minute = controller_now(c) / MINUTE_NS;
	size_t it = 0, kl;
	const void *k;
	void *v;

	if (minute == c->hour_minute)
		return;
	c->hour_minute = minute;
	hours_refresh(c);
	while (htab_next(c->hours, &it, &k, &kl, &v)) {
		struct hour *h = v;

		if (h->n == HOUR_SLOTS) {
			memmove(h->would, h->would + 1, (HOUR_SLOTS - 1) * sizeof(*h->would));
			memmove(h->drop, h->drop + 1, (HOUR_SLOTS - 1) * sizeof(*h->drop));
			h->n--;
		}
		h->would[h->n] = h->would_now;
		h->drop[h->n++] = h->drop_now;
	}
	c->hours_primed = true;
}

void hours_last(const struct controller *c, const char *ns, uint64_t *ret_would, uint64_t *ret_drop)
{
	const struct hour *h = htab_get(c->hours, ns, strlen(ns));

	*ret_would = h ? h->would_now - h->would[0] : 0;
	*ret_drop = h ? h->drop_now - h->drop[0] : 0;
}

void hours_free(struct controller *c)
{
	htab_free(c->hours, free);
}
