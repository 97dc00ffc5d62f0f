/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_doc.h - the model as JSON text between machines and in the store: every field, unlike the
 * documents that people write. Keys are only ever added; unknown ones are ignored, so that an older
 * reader takes what a newer one wrote. Pure.
 */
#pragma once

#include "base/buf.h"
#include "policy/model.h"
#include "policy/state.h"

#define MODEL_DOC_MAX (4u << 20)

/* Appends the text of one; failures stick in the buffer. The same value always gives the same bytes. */
void model_doc_put_rule(struct buf *b, const struct rule *r);
void model_doc_put_mode(struct buf *b, const struct mode_setting *m);
void model_doc_put_quarantine(struct buf *b, const struct quarantine *q);
/* The object is kept as the text it is, and read again as that. */
void model_doc_put_kpolicy(struct buf *b, const struct kpolicy *k);
void model_doc_put_workload(struct buf *b, const struct workload *w);
void model_doc_put_namespace(struct buf *b, const struct namespace *n);
void model_doc_put_service(struct buf *b, const struct service *s);
void model_doc_put_node(struct buf *b, const struct node_info *n);
void model_doc_put_labels(struct buf *b, const struct labels *l);
/* What a state has beside its lists: defaults, CIDRs of the cluster, labels to ignore. */
void model_doc_put_settings(struct buf *b, const struct policy_state *s);

/* The same, malloc'ed; NULL: no memory. */
char *model_doc_of_rule(const struct rule *r);
char *model_doc_of_mode(const struct mode_setting *m);
char *model_doc_of_quarantine(const struct quarantine *q);
char *model_doc_of_kpolicy(const struct kpolicy *k);
char *model_doc_of_workload(const struct workload *w);
char *model_doc_of_namespace(const struct namespace *n);
char *model_doc_of_labels(const struct labels *l);

/* Into a zeroed struct. 0, -EBADMSG, -ENOMEM; *ret is empty on failure. */
int model_doc_to_rule(const char *doc, struct rule *ret);
int model_doc_to_mode(const char *doc, struct mode_setting *ret);
int model_doc_to_quarantine(const char *doc, struct quarantine *ret);
int model_doc_to_kpolicy(const char *doc, struct kpolicy *ret);
int model_doc_to_workload(const char *doc, struct workload *ret);
int model_doc_to_namespace(const char *doc, struct namespace *ret);
int model_doc_to_service(const char *doc, struct service *ret);
int model_doc_to_node(const char *doc, struct node_info *ret);
int model_doc_to_labels(const char *doc, struct labels *ret);
int model_doc_to_settings(const char *doc, struct policy_state *ret);
