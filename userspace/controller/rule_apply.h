/* SPDX-License-Identifier: Apache-2.0 */
/* rule_apply.h - documents laid over a state: what `rule apply` makes and `simulate` asks about. */
#pragma once

#include "controller/change.h"
#include "policy/rule_doc.h"

#define APPLY_FILES_MAX 10000u
#define RULE_CANDIDATE_IDS 0xf0000000u /* numbers of what may never be made: none of the series is used up */

/* body.documents: [{file, text}]. Every fault of every file is in f. `next`: command for the faults. */
int rule_apply_read(const cJSON *body, bool required, struct fail_list *f, struct rule_docs *ret, size_t *ret_files);
/*
 * Lays the documents over next. Unchanged rules keep everything, changed ones their number, creator and
 * creation time. prune: manual rules that are not among the documents go. touched (may be NULL)
 * gets the names of all rules in the documents.
 */
int rule_apply_docs(const struct rule_docs *d, bool prune, const char *who, int64_t now, struct policy_state *next,
		    struct words *touched);
/* Rules of a candidate have no number yet; verdicts need one to name them. */
void rule_apply_number(struct policy_state *next);
