/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h - a learned access and its evidence, as plain data. Owned by the access book;
 * everybody else reads it through const pointers that stay valid until the book is freed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/model.h"

#define ACCESS_ID_MAX 17	  /* 4 to 16 hex digits and NUL */
#define ACCESS_REF_MAX 768	  /* longest text of an end, with NUL */
#define ACCESS_DAYS_MAX 62u	  /* two months: month-end jobs show twice */
#define ACCESS_MEMBERS_MAX 128u	  /* pairs kept apart per access; the rest is summed in one */

/* What an end of an access was lifted to. */
enum access_end_kind {
	ACCESS_CONTROLLER, /* "shop/deploy/web" */
	ACCESS_LABELS,	   /* "shop/app=web,tier=front": no controller, but stable labels */
	ACCESS_POD,	   /* "shop/pod/web-1": neither */
	ACCESS_CIDR,	   /* configured fold prefix of the world */
	ACCESS_ADDR,	   /* one address of the world */
	ACCESS_FQDN,	   /* "fqdn/pay.example.com" */
	ACCESS_RESERVED,   /* host, remote-node, world, multicast */
	ACCESS_UNRESOLVED, /* "unknown/10.20.2.31": a cluster address nobody claimed in time */
	ACCESS_SERVICE,	   /* "shop/svc/web": its address, as the source used it */
	ACCESS_END_KINDS
};

struct access_end {
	uint64_t num;	/* of the book, for the store */
	enum access_end_kind kind;
	char *ref;	/* the text of the kind; unique in the book */
	char *ns;	/* CONTROLLER, LABELS, POD, SERVICE */
	char *controller_kind, *controller_name; /* as the owner spells the kind: "Deployment" */
	char *pod;	/* POD; SERVICE: the service's name */
	struct labels labels; /* LABELS */
	struct prefix prefix; /* CIDR, ADDR (full length), UNRESOLVED (full length) */
	char *fqdn;	/* FQDN, without "fqdn/" */
	uint32_t reserved; /* RESERVED: enum cw_reserved_id */
	bool dirty;
};

/* One concrete end behind a lifted one: a pod, an address or a reserved word. */
struct access_point {
	uint64_t num;
	char *ref;	   /* "shop/pod/web-1", "203.0.113.99", "world" */
	char *ns, *name, *uid; /* a workload, else NULL */
	uint32_t reserved; /* when not a workload */
	struct addr addr;  /* zero when the kernel counted by identity alone */
	bool dirty;
};

struct access_counts {
	uint64_t flows, answered, packets, bytes, guessed;
	uint64_t cnt[2][CW_OUT_COUNT]; /* by enum cw_side and enum cw_outcome */
};

/* Latest word of one side. */
struct access_side {
	enum cw_outcome outcome;
	enum cw_reason reason;
	struct cw_verdict verdict;
	int64_t at_ns;
};

/* Evidence: who exactly, in one family. Both points NULL: pairs beyond ACCESS_MEMBERS_MAX. */
struct access_member {
	uint64_t num;
	const struct access_point *src, *dst;
	uint8_t family;	/* 4 or 6; 0 for the rest */
	struct access_counts c;
	struct access_side side[2];
	int64_t first_ns, last_ns;
	struct access *access; /* owner */
	bool dirty;
};

/* One UTC day on which the access occurred. */
struct access_day {
	uint32_t day;	/* Unix time / 86,400 s */
	uint32_t hours;	/* bit per hour of the day */
	uint64_t flows, answered;
	uint64_t refused; /* would-block flows and dropped packets of both sides */
};

enum access_decision { ACCESS_UNDECIDED, ACCESS_CONFIRMED, ACCESS_REJECTED };
enum access_hold { ACCESS_NOT_HELD, ACCESS_HELD_SCAN, ACCESS_HELD_UNRESOLVED };
enum access_state { ACCESS_ST_PENDING, ACCESS_ST_CONFIRMED, ACCESS_ST_REJECTED, ACCESS_ST_HELD };

struct access {
	uint64_t num;
	char id[ACCESS_ID_MAX];
	const struct access_end *src, *dst;
	uint8_t proto;
	uint16_t port;	/* ICMP: type << 8; 0 for protocols without ports */
	enum access_decision decision;
	char *decided_by;
	int64_t decided_ns;
	enum access_hold hold;
	uint64_t scan;	/* number of the scan it belongs to, or 0 */
	int64_t first_ns, last_ns;
	struct access_counts c;
	uint64_t flows6; /* of c.flows, those over IPv6 */
	/* What the sources' nodes have counted more than the destinations' (negative: less). What both
	 * count counts once; after a restart they are taken to be level. */
	struct access_lead { int64_t flows, answered, packets, bytes, guessed; } lead;
	struct access_side side[2];
	struct access_day *days; /* by day, ascending */
	size_t ndays;
	struct access_member **members;
	size_t nmembers;
	struct access_member *rest; /* pairs not kept apart, or NULL */
	bool dirty;
};

/* A source that touched many ports or peers in a short time. One per source and burst. */
struct access_scan {
	uint64_t num;
	const struct access_end *src;
	const struct access_point *point; /* who exactly; NULL when several */
	int64_t first_ns, last_ns;
	uint64_t ports, peers;	/* distinct ones seen in the burst */
	uint64_t held;		/* accesses held apart one by one */
	uint64_t folded;	/* accesses beyond ACCESS_SCAN_KEEP: only counted, never answered */
	uint64_t folded_flows, folded_packets, folded_bytes, folded_refused;
	uint64_t folded_would, folded_dropped; /* of folded_refused, at the source's own side */
	bool dirty;
};
#define ACCESS_SCAN_KEEP 256u

/* Part of a scan and not decided by anybody: its alerts are the scan's. */
static inline bool access_in_scan(const struct access *a)
{
	return (a->scan || a->hold == ACCESS_HELD_SCAN) && a->decision == ACCESS_UNDECIDED;
}
enum access_state access_state(const struct access *a);
const char *access_state_str(enum access_state s); /* pending, confirmed, rejected, held */
int access_state_parse(const char *s, enum access_state *ret);
const char *access_hold_str(enum access_hold h); /* "-", scan, unresolved */
/* "tcp/5432", "icmp/echo-request". out: 40 bytes. */
const char *access_port_str(const struct access *a, char out[40]);
/* Flows that never got an answer. */
static inline uint64_t access_attempted(const struct access *a)
{
	return a->c.flows > a->c.answered ? a->c.flows - a->c.answered : 0;
}
/* True when no flow of it had a certain direction: never confirmed in bulk. */
static inline bool access_guessed(const struct access *a)
{
	return a->c.flows && a->c.guessed >= a->c.flows;
}
/* Every side that judged it has a rule of some tier for it: nothing is left to decide. */
bool access_covered(const struct access *a);
/* In a bulk confirm: pending, answered, direction certain, not held. */
bool access_bulk_confirmable(const struct access *a);
/* Sums of the days that overlap [since_ns, until_ns]. Day is the grain: the first and last
 * day count in full. until_ns 0: open. */
struct access_span {
	uint64_t flows, answered, refused;
	uint32_t days;	/* days seen */
	uint32_t hours;	/* union of the hours seen */
};
void access_span(const struct access *a, int64_t since_ns, int64_t until_ns, struct access_span *ret);
/* Seen on at least 3 days and in the same single hour on each: the hour, else -1. */
int access_scheduled_hour(const struct access *a);
