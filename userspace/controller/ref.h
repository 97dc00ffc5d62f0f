/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ref.h - REF, the way people name a thing: "ns/shop", "shop/deploy/web", "shop/app=web", an
 * address or CIDR, "fqdn/NAME", or a reserved word. A bare word is always a reserved word.
 */
#pragma once

#include "base/fail.h"
#include "policy/state.h"

enum ref_kind {
	REF_NONE,
	REF_CLUSTER,	/* only where a mode is set */
	REF_NAMESPACE,
	REF_CONTROLLER,
	REF_WORKLOAD,	/* NS/pod/NAME */
	REF_ACCOUNT,	/* NS/sa/NAME */
	REF_SERVICE,	/* NS/svc/NAME */
	REF_LABELS,
	REF_CIDR,	/* an address is a CIDR of full length */
	REF_FQDN,
	REF_RESERVED,
};

#define REF_MAX 600u /* bytes of text: namespace, kind, name, with room */

struct ref {
	enum ref_kind kind;
	char *ns, *name;	/* name: of the workload, controller, account, service; fqdn */
	char *ctrl_kind;	/* long form, "Deployment" */
	struct labels labels;
	struct prefix cidr;
	uint32_t reserved;
};

void ref_done(struct ref *r);
/* 0; -EINVAL with ref.syntax in f (`at` names the argument); -ENOMEM. "cluster" only if asked. */
int ref_parse(const char *s, const char *at, bool cluster, struct fail_list *f, struct ref *ret);
bool ref_is_workloads(const struct ref *r); /* a kind that selects workloads */
bool ref_matches_workload(const struct ref *r, const struct workload *w);
/* Whether the end of a flow or alert, as shown ("shop/pod/web-1", an address, a reserved word), is meant.
 * Looks names up in `st`, so that a controller REF finds its pods. */
bool ref_matches_text(const struct ref *r, const char *text, const struct policy_state *st);
/* Canonical text, malloc'ed. */
char *ref_text(const struct ref *r);
/* Workloads of st that r selects; ret[] holds at most max, the count of all is returned. */
size_t ref_find(const struct ref *r, const struct policy_state *st, const struct workload **ret, size_t max);
/* Nearest existing REF for a "did you mean", malloc'ed, or NULL. */
char *ref_nearest(const struct ref *r, const struct policy_state *st);

const struct workload *state_workload(const struct policy_state *st, const char *ns, const char *name);
const struct namespace *state_namespace(const struct policy_state *st, const char *ns);
/* "shop/deploy/web", or "shop/pod/rogue" without a controller; malloc'ed. */
char *workload_group_ref(const struct workload *w);
char *workload_pod_ref(const struct workload *w);
bool same_kind(const char *a, const char *b); /* "deploy" and "Deployment" */
bool str_eq(const char *a, const char *b);    /* NULL and "" are equal */
bool str_set(const char *s);
