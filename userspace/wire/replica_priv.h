/* SPDX-License-Identifier: Apache-2.0 */
/* replica_priv.h - inside of struct replica. Only replica*.c include it. */
#pragma once

#include "base/htab.h"
#include "base/vec.h"
#include "policy/kpolicy.h"
#include "wire/records_priv.h"
#include "wire/replica.h"

/* One record, decoded. A kind that this build does not know has its hash and nothing else. */
struct rep {
	char *key;
	uint64_t hash;
	uint8_t kind;
	bool gone;
	union {
		struct policy_state settings;
		struct node_info node;
		struct namespace ns;
		struct workload wl;
		struct service svc;
		struct rule rule;
		struct kpolicy kpolicy;
		struct mode_setting mode;
		struct quarantine quar;
	} u;
};
struct kind_list { struct rep **v; size_t n, cap; };
struct gathered { struct htab *table; struct msg_sync sync; };

struct replica {
	struct msg_held held;
	uint64_t generation;
	struct htab *table;		/* kind and key -> struct rep */
	struct kind_list kind[REC_KINDS]; /* by key */
	struct gathered next;		/* table NULL: nothing is being gathered */
};

int rep_decode(struct rep *x, const struct rec_bytes *b); /* 0, -EBADMSG, -ENOMEM */
void rep_clear(struct rep *x); /* frees what it has */
