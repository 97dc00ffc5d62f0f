/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - the filters that flows, accesses and alerts share, as query parameters. */
#pragma once

#include "controller/api.h"
#include "flow/access_filter.h"

/* Bits of `not`. */
enum filter_field {
	FF_NS, FF_SRC, FF_DST, FF_PEER, FF_PORT, FF_VERDICT, FF_REASON, FF_RULE, FF_ORIGIN, FF_STATE,
	FF_ANSWERED, FF_SEARCH, FF_FIELDS
};

struct filter {
	uint32_t not;
	struct words ns;
	struct ref src, dst, peer;	/* kind REF_NONE: not set */
	char *src_text, *dst_text, *peer_text;
	bool has_port;
	struct port_spec port;
	uint32_t verdicts;		/* 1 << enum cw_outcome; 0: any */
	int side;			/* -1 either */
	bool has_reason;
	enum cw_reason reason;
	char *rule;			/* name */
	uint32_t rule_id;
	bool has_origin;
	enum rule_origin origin;
	uint32_t states;		/* 1 << enum access_state; 0: any */
	int answered;			/* -1 any */
	char *search;
	int64_t since_ns, until_ns;	/* 0: open */
};

/* One row to be looked at; NULL and -1 where it has no such thing. */
struct filter_row {
	const char *src, *dst, *id;
	uint8_t proto;
	uint16_t port;
	enum cw_outcome outcome[2];
	enum cw_reason reason[2];
	uint32_t rule[2];
	int answered;
	int64_t first_ns, last_ns;
};

/* Source of the texts: a query, or an object of a body with the same keys. */
typedef const char *filter_get(const void *from, const char *name);
/* at: "query" or "body.filter". -EINVAL with faults, -ENOMEM. */
int filter_read(struct filter *f, filter_get *get, const void *from, const char *at, const struct controller *c,
		struct fail_list *fails);
int filter_query(struct api *a, struct filter *f);
void filter_done(struct filter *f);
bool filter_row_matches(const struct filter *f, const struct filter_row *r, const struct policy_state *st);
bool filter_access_matches(const struct filter *f, const struct access *a, const struct policy_state *st);
extern const char *const filter_keys[]; /* every name, NULL-terminated */
