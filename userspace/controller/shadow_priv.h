/* SPDX-License-Identifier: Apache-2.0 */
/* shadow_priv.h - inside of the shadow: shadow.c judges, shadow_doc.c writes, api_shadow.c answers. */
#pragma once

#include "controller/change.h"
#include "controller/replay.h"
#include "controller/shadow.h"
#include "policy/rule_doc.h"

/* How an access differs, as judged the last time it did. */
struct shadow_diff {
	enum replay_effect effect;
	enum cw_outcome was, becomes;
	int side;		/* enum cw_side, or -1: both */
	cJSON *by, *was_by;	/* by name: numbers of a candidate mean something else tomorrow */
	uint64_t flows;
	int64_t first_ns, last_ns;
};

/* By position in the access book. */
struct shadow_seen {
	uint64_t flows;		/* of the access, judged up to here */
	uint64_t since;		/* of those, since the shadow began */
	uint64_t more;		/* of those, different while there was no room to say how */
	struct shadow_diff *diff;
	bool unresolved, dirty;
};

struct shadow {
	cJSON *doc;		/* as stored: {name, who, startedNs, as, prune, documents} */
	const char *name, *who;	/* in doc */
	int64_t at_ns;
	bool prune, as_enforce;
	struct rule_docs docs;
	struct judge *judge;	/* what is in force, and the candidate beside it */
	bool ready;		/* the judge has both */
	char *error;		/* why not */
	struct policy_state next;
	struct change_items items;
	struct replay_index ix;
	struct { struct shadow_seen *v; size_t n, cap; } seen;
	size_t ndiffs, behind, cursor;
	bool dirty;
};

/* Takes doc over on success. -EINVAL with faults. */
int shadow_new(cJSON *doc, struct fail_list *f, struct shadow **ret);
int shadow_compile(struct controller *c, struct shadow *s, struct fail_list *f);
/* Durable, and counting from now on. -E2BIG: the documents are too large to be kept. */
int shadow_begin(struct controller *c, struct shadow *s);
int shadow_end(struct controller *c);

/* shadow_doc.c: what of an access is stored; NULL when nothing was seen, or without memory. */
char *shadow_seen_text(const struct shadow_seen *seen);
int shadow_seen_read(const char *text, struct shadow_seen *seen); /* NULL text: nothing. 0, -EBADMSG */
cJSON *shadow_json(struct controller *c, const struct shadow *s);
