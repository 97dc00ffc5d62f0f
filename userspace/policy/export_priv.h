/* SPDX-License-Identifier: Apache-2.0 */
/* export_priv.h - what the writers of export.h share. Private to policy/. */
#pragma once

#include <stdbool.h>

#include "base/json.h"
#include "policy/export.h"

#define EXPORT_NS_LABEL "kubernetes.io/metadata.name"
#define EXPORT_REASON_MAX 400
#define EXPORT_PREFIXES_MAX 4096u /* that one prefix without its exceptions may become */

struct xdefault { const char *ns; bool block, allow; }; /* both: its workloads differ */

struct xport {
	const struct policy_state *st;
	enum export_target target;
	const char *const *scope; size_t nscope;
	struct export_result *out;
	cJSON *pending;			/* objects of the rule under way */
	const struct rule *rule;
	const char *name;		/* of it, for people */
	char why[EXPORT_REASON_MAX];	/* the refusal */
	bool oom;
	struct htab *names;		/* "kind ns name" of objects given out */
	struct xdefault *dflt; size_t ndflt; /* every namespace that is known */
};

/* One side of a rule, its selectors reduced to what every target has: SEL_ANY, SEL_CIDR, SEL_FQDN,
 * SEL_RESERVED, or SEL_WORKLOAD with ns, ns_labels and labels only. */
struct xside {
	enum cw_side side;
	const struct selector *subject;	/* SEL_WORKLOAD */
	const struct selector *peers; size_t npeers;
	unsigned index;			/* of the subject among those of the side, for names */
};

/* Remembers why the rule cannot be said; -ENOTSUP. */
int xport_refuse(struct xport *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds {name, text} to a list unless it is there. 0 or -ENOMEM. */
int xport_word(struct export_word **v, size_t *n, const char *name, const char *text);
int xport_note(struct xport *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const struct xdefault *xport_default(const struct xport *x, const char *ns);
/* The spec of a new object with apiVersion, kind and metadata (a name of its own); owned by x->pending. */
cJSON *xport_object(struct xport *x, const char *api, const char *kind, const char *ns, const char *name);
/* "NAME-egress", "NAME-egress-2". out: 254 bytes. */
const char *xport_name(const struct xport *x, const struct xside *s, char out[254]);
/* Reduces a selector; *ret is empty when it stands for nobody. -ENOTSUP with the reason. */
int xport_plain(struct xport *x, const struct selector *s, struct selector *ret);
/* Namespaces that a reduced workload selector speaks of now, calling fn; a non-zero return ends it. */
int xport_each_ns(struct xport *x, const struct selector *s, int (*fn)(struct xport *x, const char *ns, void *arg),
		  void *arg);
bool xport_ns_matches(const struct policy_state *st, const struct selector *s, const char *ns);

/* A label selector as in Kubernetes; key = value first, if given. */
cJSON *xport_labels(struct xport *x, const struct label_selector *l, const char *key, const char *value);
bool xport_labels_all(const struct label_selector *l);
/* cidr without its exceptions, as texts into an array. -ENOTSUP: too many. */
int xport_prefixes(struct xport *x, const struct selector *s, cJSON *to);

/* One side of the rule as objects into x->pending. 0, -ENOTSUP, -ENOMEM. */
int xport_np_side(struct xport *x, const struct xside *s);
int xport_cnp_side(struct xport *x, const struct xside *s);
int xport_cilium_side(struct xport *x, const struct xside *s);
/* What nothing matches, likewise. */
int xport_np_default(struct xport *x);
int xport_cnp_default(struct xport *x);
int xport_cilium_default(struct xport *x);

/* Building without a check at each step: a failure is kept in x->oom and fails the rule as a whole. */
cJSON *xj_obj(struct xport *x, cJSON *in, const char *key); /* key NULL: into an array */
cJSON *xj_arr(struct xport *x, cJSON *in, const char *key);
void xj_str(struct xport *x, cJSON *in, const char *key, const char *s);
void xj_num(struct xport *x, cJSON *in, const char *key, double n);
void xj_add(struct xport *x, cJSON *in, const char *key, cJSON *it); /* takes it */
