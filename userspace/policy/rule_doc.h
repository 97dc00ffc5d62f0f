/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule_doc.h - the documents that people write (YAML or JSON, apiVersion cellwall.io/v1alpha1):
 * AccessRule, ClusterAccessRule, ModeProfile, Quarantine, Inventory, and back. Kubernetes policies
 * (kpolicy.h) may stand among them, one by one, in a List or in a list of their kind.
 *
 * Unknown and duplicate keys, empty lists and values of the wrong type are faults. All faults of
 * a file are found in one run, in file order. Creator and times are not part of a document.
 *
 * Fields of one item of `from` and `to` (all given ones must hold):
 *   any: true
 *   namespace | namespaceLabels + namespaceExpressions, labels + matchExpressions, controller: Kind/name,
 *	serviceAccount, pod, uid	(AccessRule without a namespace field: its own namespace)
 *   service (with namespace)
 *   cidr + except
 *   fqdn				(in `to` of allow and alert rules)
 *   reserved: host | remote-node | world | unknown | multicast
 *   nodeLabels + matchExpressions
 * Fields of different lines do not mix. `labels: {}` is every workload.
 *
 * Inventory is the standalone declaration of workloads (a watched file, or applied):
 *   apiVersion: cellwall.io/v1alpha1
 *   kind: Inventory
 *   spec:
 *     namespaces:
 *     - {name: shop, labels: {team: front}}
 *     workloads:
 *     - name: web-1			# unique in its namespace
 *       namespace: shop
 *       netns: shop-web-1		# name in /run/netns, or an absolute path
 *       labels: {app: web}
 *       controller: Deployment/web	# or {kind: Deployment, name: web}
 *       serviceAccount: web
 *       uid: 5b1e7c1a			# tells a successor of the same name apart
 *       ports: [{name: http, port: tcp/8080}]
 *       addresses: [10.20.1.9]		# rarely needed: found in the network namespace
 *     services:			# what stands behind an address: ARCHITECTURE.md
 *     - name: web
 *       namespace: shop
 *       addresses: [10.96.0.10]		# cluster, external, load balancer; none: headless
 *       ports: [{name: web, port: tcp/80, target: 8080, nodePort: 30080}] # target: number or name
 *       selector: {app: web}		# workloads of its namespace; or
 *       backends: [{address: 10.20.1.9, pod: web-1, ready: true}]
 * The label cellwall.io/mode on a workload becomes workload.mode_label.
 */
#pragma once

#include <stddef.h>

#include "base/fail.h"
#include "policy/model.h"

struct cJSON;
struct kpolicy;

#define RULE_DOC_API "cellwall.io/v1alpha1"
#define RULE_DOC_LIST_MAX 1000u	   /* items of from, to, ports, except, values, ... */
#define RULE_DOC_WORKLOADS_MAX 100000u
#define RULE_DOC_TEXT_MAX 1024u	   /* bytes of a reason */

/* Where a document stood. */
struct doc_pos {
	const char *file;	/* owned by the rule_docs */
	unsigned document, line; /* both from 1 */
};

struct inventory_workload {
	struct workload w;
	char *netns;
};

struct rule_docs {
	struct rule *rules;		struct doc_pos *rules_at;	size_t nrules;
	struct mode_setting *modes;	struct doc_pos *modes_at;	size_t nmodes;
	struct quarantine *quarantines;	struct doc_pos *quarantines_at;	size_t nquarantines;
	struct inventory_workload *workloads; struct doc_pos *workloads_at; size_t nworkloads;
	struct namespace *namespaces;	struct doc_pos *namespaces_at;	size_t nnamespaces;
	struct service *services;	struct doc_pos *services_at;	size_t nservices;
	struct kpolicy *kpolicies;	struct doc_pos *kpolicies_at;	size_t nkpolicies; /* policy/kpolicy.h */
	char **files;			size_t nfiles;
};

/*
 * Adds the documents of one text to *docs (zeroed before the first call); names given twice are
 * faults, also across calls. On failure *docs is as before: -EINVAL faults in the documents,
 * -EBADMSG not YAML, -E2BIG, -ENOMEM. `file` names the source in faults and in doc_pos;
 * `next` is the command to run after a correction ("cellwall rule apply -f x --dry-run"), or NULL.
 * Rules come with id 0, enabled, and origin manual unless labelled cellwall.io/origin: learned.
 */
int rule_docs_parse(const char *file, const char *text, size_t len, const char *next,
		    struct fail_list *f, struct rule_docs *docs);
void rule_docs_done(struct rule_docs *d);
/* One document that is a tree already (a watch). `what` names it in faults. *ret is set on success only; its
 * positions name no file. -EINVAL, -ENOMEM. */
int rule_doc_parse(const struct cJSON *obj, const char *what, struct fail_list *f, struct rule_docs *ret);

/* One workload as a JSON object (an item of spec.workloads), for API bodies. -EINVAL, -ENOMEM. */
int inventory_workload_parse(const struct cJSON *obj, const char *what, struct fail_list *f,
			     struct inventory_workload *ret);
void inventory_workload_done(struct inventory_workload *w);
/* The same for one item of spec.services. */
int service_parse(const struct cJSON *obj, const char *what, struct fail_list *f, struct service *ret);
/* Canonical item of spec.services; NULL: no memory. */
struct cJSON *service_to_json(const struct service *s);

/*
 * Canonical documents: fixed key order, defaults left out, so that parsing and printing again
 * gives the same bytes. NULL: no memory. The caller frees with cJSON_Delete, prints with
 * yaml_print (base/json.h) and joins documents with "---\n".
 */
struct cJSON *rule_doc_to_json(const struct rule *r);
struct cJSON *mode_doc_to_json(const struct mode_setting *m);
struct cJSON *quarantine_doc_to_json(const struct quarantine *q);
struct cJSON *inventory_doc_to_json(const struct inventory_workload *w, size_t nw,
				    const struct namespace *ns, size_t nns);
/* One item of from/to as in a document; rule_ns as in rule.ns (may be NULL). */
struct cJSON *selector_to_json(const struct selector *s, const char *rule_ns);

/* Do two rules say the same (their canonical documents are equal)? -ENOMEM, 0 or 1. */
int rule_same(const struct rule *a, const struct rule *b);
