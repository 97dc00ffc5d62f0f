/* SPDX-License-Identifier: Apache-2.0 */
/* doc_priv.h - what the readers and printers of documents share. Private to policy/. */
#pragma once

#include "base/doc.h"
#include "policy/kpolicy.h"
#include "policy/rule_doc.h"

struct htab;

#define DOC_LABELS_MAX 256u
#define DOC_NAME_MAX 253u
#define LABEL_ORIGIN "cellwall.io/origin"
#define LABEL_ACCESS "cellwall.io/access"
#define LABEL_MODE "cellwall.io/mode"

/* All of one call; `got` becomes part of the caller's documents only if nothing failed. */
struct doc_job {
	struct doc d;
	struct rule_docs got;
	struct doc_pos pos;	/* of the document being read */
	struct htab *names;	/* what was given already, in this text or before it: struct doc_pos */
};
/* Reads one document; a list of documents in a list is none. */
int docs_read(struct doc_job *j, const cJSON *root, bool in_list);

/* Frees what stood there, so that a failed reader leaves one owner. 0 or -ENOMEM. */
int set_str(char **dst, const char *s);

/*
 * Field readers for struct doc_field: ctx is what each names. They add faults and return 0, or
 * -ENOMEM. What had a fault stays as it was.
 */
int read_dns_name(struct doc *d, const cJSON *v, char **ret);   /* dots allowed */
int read_dns_label(struct doc *d, const cJSON *v, char **ret);
int read_uid(struct doc *d, const cJSON *v, char **ret);
int read_port_name(struct doc *d, const cJSON *v, char **ret);
int read_labels(struct doc *d, const cJSON *v, struct labels *ret);
int read_exprs(struct doc *d, const cJSON *v, struct label_selector *ret);
/* "Deployment/web"; short kinds become long ones. parse: 0, -EINVAL, -ENOMEM. */
int parse_controller(const char *s, char **ret_kind, char **ret_name);
int read_controller(struct doc *d, const cJSON *v, char **ret_kind, char **ret_name);
bool read_prefix(struct doc *d, const cJSON *v, struct prefix *ret);
/* A list; on faults *ret holds the good ones. */
int read_ports(struct doc *d, const cJSON *v, struct port_spec **ret, size_t *ret_n);
int read_port(struct doc *d, const cJSON *v, struct port_spec *ret, bool *ret_ok);

/* One item of from (to = false) or to. ns: of the AccessRule, or NULL. */
int read_selector(struct doc *d, const cJSON *v, const char *ns, bool to, struct selector *ret);

/* One document's `spec` each; d->path is "spec". */
int read_mode_spec(struct doc *d, const cJSON *v, struct mode_setting *m);
int read_quarantine_spec(struct doc *d, const cJSON *v, struct quarantine *q);

struct inventory_sink {
	int (*workload)(void *arg, struct doc *d, const cJSON *v, struct inventory_workload *w);
	int (*namespace)(void *arg, struct doc *d, const cJSON *v, struct namespace *n);
	int (*service)(void *arg, struct doc *d, const cJSON *v, struct service *s);
	void *arg;
};
/* One item of spec.services; on faults *ret is left alone. service_doc.c */
int read_service(struct doc *d, const cJSON *v, struct service *ret);
/* Hands each good entry over; a sink takes ownership in every case. */
int read_inventory_spec(struct doc *d, const cJSON *v, const struct inventory_sink *sink);

/* Remembers a name; *ret_first says where it stood before, NULL if nowhere. The table's values
 * are struct doc_pos from malloc. `space` and `ns` keep kinds of names apart. */
int docs_claim(struct htab *names, const char *space, const char *ns, const char *name,
	       const struct doc_pos *pos, const struct doc_pos **ret_first);
/* All names of what former calls have added. */
int docs_claim_former(struct htab *names, const struct rule_docs *docs);
/* Room for one more in an array of n and in its positions. 0 or -ENOMEM. */
int docs_grow(void **v, struct doc_pos **at, size_t n, size_t size);
/* Kubernetes policies among documents: the kind that a document is of, whatever its version; is its
 * apiVersion one of theirs? */
bool kpolicy_doc_kind(const cJSON *root, enum kpolicy_kind *ret);
bool kpolicy_doc_api(const cJSON *root);
/* The fault of a kind that such an apiVersion has not. Returns 0. */
int kpolicy_doc_unknown(struct doc *d, const cJSON *root);
/* Reads one and appends it, its name claimed. */
int kpolicy_doc_read(struct doc *d, const cJSON *root, enum kpolicy_kind kind, const struct doc_pos *pos,
		     struct htab *names, struct rule_docs *to);
/* v1 List, or NetworkPolicyList and its like, whose items need no kind; each item is a document. */
bool docs_is_list(const cJSON *root);
int docs_read_list(struct doc_job *j, const cJSON *root);
/* What to do about the faults from f->items[first] on, when they are all of one document. */
int kpolicy_doc_next(struct fail_list *f, size_t first, size_t others);

/* Appends all of `from`, which has one file and is empty then. On -ENOMEM nothing has moved. */
int docs_move(struct rule_docs *from, struct rule_docs *to);
