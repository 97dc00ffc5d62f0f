/* SPDX-License-Identifier: Apache-2.0 */
/* figures.h - blobs of the access tables: 64-bit little-endian numbers, read as a whole. */
#pragma once

#include <endian.h>

#include "flow/access_book.h"

#define COUNTS_WORDS (5 + 2 * CW_OUT_COUNT)
#define SIDE_WORDS 4
#define DAY_WORDS 4
#define FOLD_WORDS 8

static inline void counts_pack(const struct access_counts *c, uint64_t out[COUNTS_WORDS])
{
	size_t n = 0;

	out[n++] = htole64(c->flows);
	out[n++] = htole64(c->answered);
	out[n++] = htole64(c->packets);
	out[n++] = htole64(c->bytes);
	out[n++] = htole64(c->guessed);
	for (int s = 0; s < 2; s++)
		for (int o = 0; o < CW_OUT_COUNT; o++)
			out[n++] = htole64(c->cnt[s][o]);
}

static inline void counts_unpack(const uint64_t in[COUNTS_WORDS], struct access_counts *c)
{
	size_t n = 0;

	c->flows = le64toh(in[n++]);
	c->answered = le64toh(in[n++]);
	c->packets = le64toh(in[n++]);
	c->bytes = le64toh(in[n++]);
	c->guessed = le64toh(in[n++]);
	for (int s = 0; s < 2; s++)
		for (int o = 0; o < CW_OUT_COUNT; o++)
			c->cnt[s][o] = le64toh(in[n++]);
}

static inline void verdict_pack(const struct cw_verdict *v, uint64_t out[2])
{
	out[0] = htole64((uint64_t)v->adv_rule << 32 | v->rule);
	out[1] = htole64((uint64_t)v->action | (uint64_t)v->tier << 8 | (uint64_t)v->flags << 16 |
			 (uint64_t)v->adv_action << 24 | (uint64_t)v->adv_tier << 32);
}

/* 0 or -EBADMSG: a number outside its vocabulary. */
static inline int verdict_unpack(const uint64_t in[2], struct cw_verdict *v)
{
	uint64_t ids = le64toh(in[0]), x = le64toh(in[1]);

	*v = (struct cw_verdict){
		.rule = (uint32_t)ids, .adv_rule = (uint32_t)(ids >> 32), .action = (uint8_t)x,
		.tier = (uint8_t)(x >> 8), .flags = (uint8_t)(x >> 16), .adv_action = (uint8_t)(x >> 24),
		.adv_tier = (uint8_t)(x >> 32),
	};
	return v->action < CW_ACT_COUNT && v->tier < CW_TIER_COUNT && v->adv_action < CW_ACT_COUNT &&
	       v->adv_tier < CW_TIER_COUNT ? 0 : -EBADMSG;
}

static inline void sides_pack(const struct access_side s[2], uint64_t out[2 * SIDE_WORDS])
{
	for (int i = 0; i < 2; i++) {
		out[i * SIDE_WORDS] = htole64((uint64_t)s[i].outcome | (uint64_t)s[i].reason << 32);
		out[i * SIDE_WORDS + 1] = htole64((uint64_t)s[i].at_ns);
		verdict_pack(&s[i].verdict, out + i * SIDE_WORDS + 2);
	}
}

static inline int sides_unpack(const uint64_t in[2 * SIDE_WORDS], struct access_side s[2])
{
	for (int i = 0; i < 2; i++) {
		uint64_t w = le64toh(in[i * SIDE_WORDS]);

		if ((uint32_t)w >= CW_OUT_COUNT || w >> 32 >= CW_R_COUNT ||
		    verdict_unpack(in + i * SIDE_WORDS + 2, &s[i].verdict))
			return -EBADMSG;
		s[i].outcome = (enum cw_outcome)(uint32_t)w;
		s[i].reason = (enum cw_reason)(w >> 32);
		s[i].at_ns = (int64_t)le64toh(in[i * SIDE_WORDS + 1]);
	}
	return 0;
}
