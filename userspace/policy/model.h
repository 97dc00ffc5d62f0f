/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - rules, selectors, workloads and modes as plain data. Pure: no I/O, no globals.
 *
 * Strings are owned by the struct that holds them; every type has `_done` (frees the contents)
 * and `_copy` (deep; 0 or -ENOMEM). NULL and "" mean the same: not set.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "cw_abi.h"

struct cJSON;

/* NULL and "" mean the same: not set. */
static inline bool given(const char *s)
{
	return s && *s;
}

/* Cluster-wide label identity: stable, persisted, the same on every node. Not an eid. */
struct ident { uint32_t n; };
/* Effective identity: node-local and dense; never on the wire or in the store. */
struct eid { uint32_t n; };

struct kv { char *key, *value; };
struct labels { struct kv *v; size_t n; }; /* sorted by key, keys distinct */

enum label_op { LABEL_IN, LABEL_NOT_IN, LABEL_EXISTS, LABEL_NOT_EXISTS };
#define LABEL_OPS (LABEL_NOT_EXISTS + 1)
struct label_expr { char *key; enum label_op op; char **values; size_t nvalues; };

/* matchLabels and matchExpressions, ANDed. set = false: selector absent; set and empty: all. */
struct label_selector {
	bool set;
	struct labels match;
	struct label_expr *exprs;
	size_t nexprs;
};

/* One item of `from` or `to`: fields are ANDed. Exactly one kind. */
enum selector_kind {
	SEL_ANY,      /* everything, inside and outside */
	SEL_WORKLOAD, /* by namespace, labels, controller, service account, pod name */
	SEL_CIDR,     /* cidr minus except; matches pods and nodes by address too */
	SEL_SERVICE,  /* namespace + service */
	SEL_FQDN,     /* exact or "*." wildcard; allow and alert rules only */
	SEL_RESERVED, /* enum cw_reserved_id in `reserved` */
	SEL_NODES,    /* nodes by label */
};
struct selector {
	enum selector_kind kind;
	char *ns;			/* exact namespace name, NULL = any (or by ns_labels) */
	struct label_selector ns_labels;
	struct label_selector labels;
	char *controller_kind, *controller_name;
	char *service_account;
	char *pod;			/* exact workload name */
	char *pod_uid;
	char *service;
	char *fqdn;
	uint32_t reserved;
	struct prefix cidr;
	struct prefix *except;
	size_t nexcept;
};

/* One item of `ports`. */
enum port_kind { PORT_ANY, PORT_PROTO, PORT_RANGE, PORT_NAMED, PORT_ICMP };
struct port_spec {
	enum port_kind kind;
	uint8_t proto;		/* IPPROTO_*; unused for PORT_ANY */
	uint16_t from, to;	/* PORT_RANGE inclusive */
	int icmp_type, icmp_code; /* -1 = any */
	char *name;		/* PORT_NAMED */
};

enum rule_origin { ORIGIN_MANUAL, ORIGIN_LEARNED, ORIGIN_NETWORKPOLICY, ORIGIN_ADMIN, ORIGIN_BASELINE };

/* What a person sees and edits: AccessRule and ClusterAccessRule. */
struct rule {
	uint32_t id;		/* stable number that events carry; 0 = not assigned yet */
	char *name;
	char *ns;		/* set: AccessRule, speaks only for its own namespace's side */
	enum rule_origin origin;
	char *creator;
	int64_t created_ns, updated_ns;
	enum cw_action action;
	bool reject;
	enum cw_mode mode;	/* CW_MODE_ENFORCE, or CW_MODE_ALERT: only simulated */
	bool enabled;
	struct selector *from, *to;
	size_t nfrom, nto;
	struct port_spec *ports; /* none: all protocols and ports */
	size_t nports;
	char *access;		/* origin learned: id of the access it was made from */
	struct labels labels;
};

struct named_port { char *name; uint8_t proto; uint16_t port; };
/* As written ("registry.example/web:1.4"), and what was pulled ("sha256:..."; NULL: not known yet). */
struct container_image { char *name, *digest; };

/* The smallest thing that is enforced: a pod sandbox, or a named network namespace. */
struct workload {
	char *ns, *name, *uid;
	struct labels labels;
	char *controller_kind, *controller_name; /* top owner, e.g. Deployment, web; NULL: none */
	char *service_account;
	char *node;
	struct addr *addrs;	/* without link-local ones, which belong to endpoints */
	size_t naddrs;
	struct named_port *ports;
	size_t nports;
	char *mode_label;	/* cellwall.io/mode of its own or its controller: may only be stricter */
	struct container_image *images; /* of its containers, each once; says nothing about who it is */
	size_t nimages;
};

struct namespace {
	char *name;
	struct labels labels;	/* kubernetes.io/metadata.name is added if absent */
};

/* What a service port is answered by; ports are the service's own, targets the backends'. */
struct service_port {
	char *name;		/* NULL: the only one */
	uint8_t proto;
	uint16_t port, node_port; /* node_port 0: none */
	uint16_t target;	/* number, or */
	char *target_name;	/* named port of each backend; neither: the same as port */
};
struct service_backend {
	struct addr addr;
	char *pod;		/* workload of the service's namespace, NULL: an address outside */
	bool ready;
	uint16_t *ports;	/* by service port: where it listens, 0: does not serve that port */
};
struct service {
	char *ns, *name;
	struct labels labels;
	struct label_selector selector; /* standalone inventory: workloads of its namespace; absent: backends are given */
	struct addr *addrs;	/* cluster, external and load balancer addresses; none: headless */
	size_t naddrs;
	struct service_port *ports;
	size_t nports;
	struct service_backend *backends;
	size_t nbackends;
};

/* Where a mode, and the default for what nothing matches, is set. Most specific wins. */
enum mode_scope { MODE_CLUSTER, MODE_NAMESPACE, MODE_CONTROLLER, MODE_WORKLOAD };
struct mode_setting {
	char *name;		/* of the ModeProfile; NULL: set by command */
	enum mode_scope scope;
	struct label_selector ns_labels; /* MODE_NAMESPACE without ns: by namespace labels */
	char *ns, *controller_kind, *controller_name, *workload;
	enum cw_mode mode;
	enum cw_action dflt;	/* CW_ACT_BLOCK, CW_ACT_ALLOW, CW_ACT_NONE = not set here */
};

struct quarantine {
	char *name;
	char *ns, *pod, *uid, *controller_kind, *controller_name;
	char *reason, *creator;
	int64_t since_ns, until_ns; /* until 0: until released */
	struct { struct prefix cidr; struct port_spec *ports; size_t nports; } *allow;
	size_t nallow;
};

void labels_done(struct labels *l);
int labels_copy(const struct labels *from, struct labels *to);
/* Adds or replaces, keeping the order. 0 or -ENOMEM. */
int labels_set(struct labels *l, const char *key, const char *value);
const char *labels_get(const struct labels *l, const char *key);
/* "a=b,c=d" to labels; -EINVAL. */
int labels_parse(const char *s, struct labels *ret);
/* "a=b,c=d", malloc'ed; "" for none. */
char *labels_str(const struct labels *l);

void label_selector_done(struct label_selector *s);
int label_selector_copy(const struct label_selector *from, struct label_selector *to);
/* An absent selector (set = false) matches nothing here: callers decide what absence means. */
bool label_selector_matches(const struct label_selector *s, const struct labels *l);

void selector_done(struct selector *s);
int selector_copy(const struct selector *from, struct selector *to);
void port_spec_done(struct port_spec *p);
int port_spec_copy(const struct port_spec *from, struct port_spec *to);
void rule_done(struct rule *r);
int rule_copy(const struct rule *from, struct rule *to);
void workload_done(struct workload *w);
int workload_copy(const struct workload *from, struct workload *to);
void namespace_done(struct namespace *n);
int namespace_copy(const struct namespace *from, struct namespace *to);
void mode_setting_done(struct mode_setting *m);
int mode_setting_copy(const struct mode_setting *from, struct mode_setting *to);
void service_done(struct service *s);
int service_copy(const struct service *from, struct service *to);
void quarantine_done(struct quarantine *q);
int quarantine_copy(const struct quarantine *from, struct quarantine *to);

/* Tokens; NULL / -EINVAL for what is none. */
const char *cw_mode_str(enum cw_mode m);
int cw_mode_parse(const char *s, enum cw_mode *ret);
const char *cw_action_str(enum cw_action a);
int cw_action_parse(const char *s, enum cw_action *ret);
const char *cw_tier_str(enum cw_tier t);
const char *cw_outcome_str(enum cw_outcome o); /* "-", allow, alert, no-rule, would-block, block */
const char *cw_reason_str(enum cw_reason r);	/* kebab-case, as in `explain` */
extern const char *const label_op_words[LABEL_OPS]; /* In, NotIn, Exists, DoesNotExist */
const char *rule_origin_str(enum rule_origin o);
int rule_origin_parse(const char *s, enum rule_origin *ret);
const char *reserved_str(uint32_t id);		/* host, remote-node, world, unknown, multicast */
int reserved_parse(const char *s, uint32_t *ret);
/* 15 letters, digits and single inner dashes at most, with at least one letter (RFC 6335). */
bool is_port_name(const char *s);
/* "tcp/5432", "tcp/8000-8100", "tcp/http", "icmp/echo-request", "icmpv6/128", "proto/47", "any". */
int port_spec_parse(const char *s, struct port_spec *ret); /* -EINVAL form, -ERANGE number, -EDOM low > high */
char *port_spec_str(const struct port_spec *p);
/* Text of an axis point for people: "tcp/5432", "icmp/echo-request", "proto/47". out: 40 bytes. */
const char *axis_str(uint32_t axis, char out[40]);
/* Short controller kinds: Deployment <-> deploy, StatefulSet <-> sts, ... Unknown kinds pass lower-cased. */
const char *kind_short(const char *kind);
const char *kind_long(const char *short_kind);
