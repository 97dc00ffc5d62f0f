/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc.h - rows of the store as JSON text: every field of the model, unlike the documents that
 * people write. Only store/ includes it. Keys are only ever added; unknown ones are ignored, so
 * that an older daemon reads what a newer one wrote.
 */
#pragma once

#include "policy/model.h"

struct kpolicy; /* policy/kpolicy.h */

/* malloc'ed; NULL: no memory. The same value always gives the same bytes. */
char *store_doc_of_rule(const struct rule *r);
char *store_doc_of_mode(const struct mode_setting *m);
char *store_doc_of_quarantine(const struct quarantine *q);
/* The object is kept as the text it is, and read again as that. */
char *store_doc_of_kpolicy(const struct kpolicy *k);
char *store_doc_of_workload(const struct workload *w);
char *store_doc_of_namespace(const struct namespace *n);
char *store_doc_of_labels(const struct labels *l);

/* Into a zeroed struct. 0, -EBADMSG, -ENOMEM; *ret is empty on failure. */
int store_doc_to_rule(const char *doc, struct rule *ret);
int store_doc_to_mode(const char *doc, struct mode_setting *ret);
int store_doc_to_quarantine(const char *doc, struct quarantine *ret);
int store_doc_to_kpolicy(const char *doc, struct kpolicy *ret);
int store_doc_to_workload(const char *doc, struct workload *ret);
int store_doc_to_namespace(const char *doc, struct namespace *ret);
int store_doc_to_labels(const char *doc, struct labels *ret);
