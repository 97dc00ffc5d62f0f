/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kpolicy_admin.c - the specs of the cluster's own policies: AdminNetworkPolicy and
 * BaselineAdminNetworkPolicy (policy.networking.k8s.io/v1alpha1), ClusterNetworkPolicy (v1alpha2).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "policy/doc_priv.h"
#include "policy/kpolicy_priv.h"

#define PRIORITY_MAX 1000
#define DNS_NAME_MAX 253u

struct spec_ctx {
	struct kpolicy *k;
	size_t list_max;	/* rules, peers, ports */
	struct krules rules;
	enum cw_side side;	/* of the list being read */
};

struct rule_ctx {
	struct spec_ctx *spec;
	struct kpolicy_rule r;
	struct selectors peers;
	struct ports ports;
	const cJSON *peers_at, *ports_at;
	bool has_action;
};

/* ---- subjects and peers ------------------------------------------------------------------------- */

struct pods { struct selector s; };

static int n_namespaces(struct doc *d, const cJSON *v, void *ctx)
{
	return kp_label_selector(d, v, &((struct pods *)ctx)->s.ns_labels);
}

static int n_pods(struct doc *d, const cJSON *v, void *ctx)
{
	return kp_label_selector(d, v, &((struct pods *)ctx)->s.labels);
}

/* `namespaces` or `pods`, the member m of a subject or a peer. */
static int read_workloads(struct doc *d, const cJSON *m, enum kpolicy_kind kind, struct selectors *to)
{
	/* v1alpha2 takes pods of any namespace without a namespaceSelector. */
	static const struct doc_field v1alpha1[] = {
		{ "namespaceSelector", n_namespaces, true }, { "podSelector", n_pods, true },
	};
	static const struct doc_field v1alpha2[] = {
		{ "namespaceSelector", n_namespaces, false }, { "podSelector", n_pods, true },
	};
	struct pods x = { .s.kind = SEL_WORKLOAD };
	unsigned before = d->faults;
	int r;

	if (strcmp(m->string, "namespaces") == 0)
		r = kp_label_selector(d, m, &x.s.ns_labels);
	else
		r = doc_object(d, m, kind == KPOLICY_CNP ? v1alpha2 : v1alpha1, 2, &x);
	if (r == 0 && d->faults == before) {
		r = vec_push(to, x.s);
		if (r == 0)
			return 0;
	}
	selector_done(&x.s);
	return r;
}

/* Items of a set are distinct. */
static bool seen_before(const cJSON *v)
{
	const char *s = cJSON_GetStringValue(v);

	/* The first item's prev is the last one. */
	for (const cJSON *p = v; s && p->prev && p->prev->next; p = p->prev) {
		const char *t = cJSON_GetStringValue(p->prev);

		if (t && strcmp(s, t) == 0)
			return true;
	}
	return false;
}

static int network_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct selector s = { .kind = SEL_CIDR };

	if (seen_before(v))
		return doc_fault(d, v, "duplicate", "each block once", "this block was given before");
	return kp_cidr(d, v, false, &s.cidr) ? vec_push((struct selectors *)ctx, s) : 0;
}

/* (*.)LABEL.LABEL...(.), the labels of letters, digits, '-' and '_', without the latter at an end. */
static bool domain_name(const char *s, char out[DNS_NAME_MAX + 1])
{
	size_t n = strlen(s), labels = 0, at = 0;
	const char *p = s, *end;

	if (n && s[n - 1] == '.')
		n--;
	if (!n || n > DNS_NAME_MAX)
		return false;
	end = s + n;
	if (n > 2 && strncmp(p, "*.", 2) == 0)
		p += 2;
	for (;; p++) {
		const char *dot = memchr(p, '.', (size_t)(end - p)), *stop = dot ? dot : end;

		if (stop == p || stop - p > 63 || strchr("-_", *p) || strchr("-_", stop[-1]))
			return false;
		for (; p < stop; p++)
			if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			      *p == '-' || *p == '_'))
				return false;
		labels++;
		if (!dot)
			break;
	}
	for (; at < n; at++)
		out[at] = (char)(s[at] >= 'A' && s[at] <= 'Z' ? s[at] - 'A' + 'a' : s[at]);
	out[at] = '\0';
	return labels > 1;
}

static int domain_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct selector x = { .kind = SEL_FQDN };
	char name[DNS_NAME_MAX + 1];
	const char *s;

	if (!doc_text(d, v, KPOLICY_NAME_MAX, &s))
		return 0;
	if (seen_before(v))
		return doc_fault(d, v, "duplicate", "each name once", "this name was given before");
	if (!domain_name(s, name))
		return doc_fault(d, v, "fqdn", "pay.example.com or *.example.com, at most 253 characters",
				 "this is no full host name");
	x.fqdn = strdup(name);
	if (!x.fqdn || vec_push((struct selectors *)ctx, x)) {
		free(x.fqdn);
		return -ENOMEM;
	}
	return 0;
}

static int read_nodes(struct doc *d, const cJSON *v, struct selectors *to)
{
	struct selector s = { .kind = SEL_NODES };
	unsigned before = d->faults;
	int r = kp_label_selector(d, v, &s.labels);

	if (r == 0 && d->faults == before) {
		r = vec_push(to, s);
		if (r == 0)
			return 0;
	}
	selector_done(&s);
	return r;
}

static const char *const peer_words[] = { "namespaces", "pods", "nodes", "networks", "domainNames" };
#define PEER_WORDS_INGRESS 2u
#define PEER_WORDS_BASELINE 4u

static int read_known_peer(struct doc *d, const cJSON *m, struct rule_ctx *x)
{
	size_t mark = doc_enter(d, m->string);
	int r;

	if (strcmp(m->string, "nodes") == 0)
		r = read_nodes(d, m, &x->peers);
	else if (strcmp(m->string, "networks") == 0)
		r = kp_list(d, m, 1, KPOLICY_NETWORKS_MAX, network_item, &x->peers);
	else if (strcmp(m->string, "domainNames") == 0)
		r = kp_list(d, m, 1, KPOLICY_NETWORKS_MAX, domain_item, &x->peers);
	else
		r = read_workloads(d, m, x->spec->k->kind, &x->peers);
	doc_leave(d, mark);
	return r;
}

static int read_peer(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;
	enum kpolicy_kind kind = x->spec->k->kind;
	bool in = x->r.side == CW_INGRESS;
	size_t n = in ? PEER_WORDS_INGRESS : kind == KPOLICY_BANP ? PEER_WORDS_BASELINE : ARRAY_SIZE(peer_words);
	const cJSON *m, *only = NULL;
	size_t found = 0;

	if (!cJSON_IsObject(v))
		return doc_object(d, v, NULL, 0, NULL); /* says what was found instead */
	cJSON_ArrayForEach(m, v) {
		if (!cJSON_IsNull(m)) {
			only = m;
			found++;
		}
	}
	if (found != 1) {
		kp_not_one(d, v, "peer", peer_words, n, found);
		return 0;
	}
	if (kp_one_of(only->string, peer_words, n))
		return read_known_peer(d, only, x);
	if (kp_one_of(only->string, peer_words, ARRAY_SIZE(peer_words))) {
		char words[200];

		return doc_fault(d, v, "peer", kp_words(peer_words, n, " or ", words), "%s %s", only->string,
				 in ? "is for egress only" : "is not known to this kind of policy");
	}
	if (nearest_word(only->string, peer_words, n))
		return doc_unknown(d, only, peer_words, n);
	/* Of a later version of the API: closed, not refused, or the whole policy would be open. */
	x->r.unknown_peer = true;
	return 0;
}

static int read_subject(struct doc *d, const cJSON *v, void *ctx)
{
	struct spec_ctx *s = ctx;
	const cJSON *m = kp_only_member(d, v, "subject", peer_words, PEER_WORDS_INGRESS);
	struct selectors list = {};
	size_t mark;
	int r;

	if (!m)
		return 0;
	mark = doc_enter(d, m->string);
	r = read_workloads(d, m, s->k->kind, &list);
	doc_leave(d, mark);
	s->k->subjects = list.v;
	s->k->nsubjects = list.n;
	return r;
}

/* ---- rules ------------------------------------------------------------------------------------ */

static int r_name(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;
	size_t chars = 0;
	const char *s;

	if (!doc_text(d, v, KPOLICY_NAME_MAX, &s))
		return 0;
	for (const char *p = s; *p; p++)
		chars += ((unsigned char)*p & 0xc0) != 0x80;
	if (chars > KPOLICY_RULE_NAME_MAX)
		return doc_fault(d, v, "too-long", "at most 100 characters", "the name has %zu characters", chars);
	return set_str(&x->r.name, s);
}

static int r_action(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const accept[] = { "Accept", "Deny", "Pass" };
	static const char *const allow[] = { "Allow", "Deny", "Pass" };
	static const enum ir_effect effects[] = { IR_ALLOW, IR_BLOCK, IR_PASS };
	struct rule_ctx *x = ctx;
	enum kpolicy_kind kind = x->spec->k->kind;
	size_t i;

	if (doc_word(d, v, kind == KPOLICY_CNP ? accept : allow, kind == KPOLICY_BANP ? 2 : 3, &i)) {
		x->r.effect = effects[i];
		x->has_action = true;
	}
	return 0;
}

static int r_peers(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;

	x->peers_at = v;
	return kp_list(d, v, 1, x->spec->list_max, read_peer, x);
}

static int r_ports(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;

	x->ports_at = v;
	return kp_list(d, v, 1, x->spec->list_max,
		       x->spec->k->kind == KPOLICY_CNP ? kp_cnp_protocol : kp_anp_port, &x->ports);
}

static bool any_has(const cJSON *list, const char *field)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, list) {
		const cJSON *x = json_get(m, field);

		if (x && !cJSON_IsNull(x))
			return true;
	}
	return false;
}

/* What takes two fields, whichever came first. */
static void check_rule(struct doc *d, const cJSON *v, const struct rule_ctx *x)
{
	enum kpolicy_kind kind = x->spec->k->kind;
	const cJSON *m;
	size_t i = 0, mark;

	if (x->r.side != CW_EGRESS || !cJSON_IsArray(x->peers_at))
		return;
	cJSON_ArrayForEach(m, x->peers_at) {
		const cJSON *names = json_get(m, "domainNames");

		if (names && !cJSON_IsNull(names) && x->has_action && x->r.effect != IR_ALLOW) {
			mark = doc_enter(d, "to");
			doc_enter_index(d, i);
			doc_enter(d, "domainNames");
			doc_fault(d, names, "fqdn-block",
				  kind == KPOLICY_CNP ? "action: Accept; to deny, use networks"
						      : "action: Allow; to deny, use networks",
				  "a name can only be allowed, as an address may serve other names too");
			doc_leave(d, mark);
		}
		i++;
	}
	if (any_has(x->ports_at, "namedPort") || any_has(x->ports_at, "destinationNamedPort"))
		for (i = PEER_WORDS_INGRESS; i < ARRAY_SIZE(peer_words); i++)
			if (any_has(x->peers_at, peer_words[i]))
				doc_fault(d, v, "named-port", "port numbers, or peers that are pods",
					  "a port name means nothing at %s", peer_words[i]);
}

/* An unknown peer: nobody is let in or out by the rule, and whoever it might block is. */
static void close_rule(struct rule_ctx *x)
{
	struct selectors none = { x->r.peers, x->r.npeers, 0 };
	struct ports all = { x->r.ports, x->r.nports, 0 };

	selectors_done(&none);
	x->r.peers = NULL;
	x->r.npeers = 0;
	if (x->r.effect == IR_ALLOW)
		return;
	ports_done(&all);
	x->r.ports = NULL;
	x->r.nports = 0;
	x->r.effect = IR_BLOCK;
	x->r.everyone = true;
}

static int read_rule(struct doc *d, const cJSON *v, void *ctx)
{
	struct spec_ctx *s = ctx;
	const struct doc_field fields[] = {
		{ "name", r_name, false },
		{ "action", r_action, true },
		{ s->side == CW_INGRESS ? "from" : "to", r_peers, true },
		{ s->k->kind == KPOLICY_CNP ? "protocols" : "ports", r_ports, false },
	};
	struct rule_ctx x = { .spec = s, .r.side = s->side };
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &x);

	if (r == 0)
		check_rule(d, v, &x);
	x.r.peers = x.peers.v;
	x.r.npeers = x.peers.n;
	x.r.ports = x.ports.v;
	x.r.nports = x.ports.n;
	if (r == 0 && d->faults == before) {
		if (x.r.unknown_peer)
			close_rule(&x);
		r = vec_push(&s->rules, x.r);
		if (r == 0)
			return 0;
	}
	kpolicy_rule_done(&x.r);
	return r;
}

/* ---- spec ------------------------------------------------------------------------------------- */

static int s_tier(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "Admin", "Baseline" };
	struct spec_ctx *s = ctx;
	size_t i;

	if (doc_word(d, v, words, ARRAY_SIZE(words), &i))
		s->k->tier = i ? CW_TIER_BASELINE : CW_TIER_ADMIN;
	return 0;
}

static int s_priority(struct doc *d, const cJSON *v, void *ctx)
{
	uint64_t n;

	if (doc_u64(d, v, 0, PRIORITY_MAX, &n))
		((struct spec_ctx *)ctx)->k->priority = (int32_t)n;
	return 0;
}

static int s_ingress(struct doc *d, const cJSON *v, void *ctx)
{
	struct spec_ctx *s = ctx;

	s->side = CW_INGRESS;
	return kp_list(d, v, 0, s->list_max, read_rule, s);
}

static int s_egress(struct doc *d, const cJSON *v, void *ctx)
{
	struct spec_ctx *s = ctx;

	s->side = CW_EGRESS;
	return kp_list(d, v, 0, s->list_max, read_rule, s);
}

int kp_admin_spec(struct doc *d, const cJSON *v, struct kpolicy *k)
{
	/* The further a kind is down the table, the more of its end it has. */
	static const struct doc_field fields[] = {
		{ "tier", s_tier, true },	{ "priority", s_priority, true },
		{ "subject", read_subject, true }, { "ingress", s_ingress, false },
		{ "egress", s_egress, false },
	};
	size_t skip = k->kind == KPOLICY_CNP ? 0 : k->kind == KPOLICY_ANP ? 1 : 2;
	struct spec_ctx s = { .k = k,
			      .list_max = k->kind == KPOLICY_CNP ? KPOLICY_CNP_LIST_MAX : KPOLICY_ANP_LIST_MAX };
	int r;

	k->tier = k->kind == KPOLICY_BANP ? CW_TIER_BASELINE : CW_TIER_ADMIN;
	r = doc_object(d, v, fields + skip, ARRAY_SIZE(fields) - skip, &s);
	k->rules = s.rules.v;
	k->nrules = s.rules.n;
	return r;
}
