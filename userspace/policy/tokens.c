/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.c - the words that people read and write for the enums of model.h and cw_abi.h. */
#include "policy/model.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const char *word(const char *const *words, size_t n, unsigned i)
{
	return i < n ? words[i] : NULL;
}

static int word_index(const char *const *words, size_t n, const char *s, unsigned *ret)
{
	for (unsigned i = 0; i < n; i++) {
		if (words[i] && strcmp(words[i], s) == 0) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

static const char *const modes[CW_MODE_COUNT] = { "off", "learn", "alert", "enforce" };

const char *cw_mode_str(enum cw_mode m)
{
	return word(modes, ARRAY_SIZE(modes), m);
}

int cw_mode_parse(const char *s, enum cw_mode *ret)
{
	unsigned i;
	int r = word_index(modes, ARRAY_SIZE(modes), s, &i);

	if (r == 0)
		*ret = i;
	return r;
}

static const char *const actions[CW_ACT_COUNT] = { "none", "allow", "alert", "block" };

const char *cw_action_str(enum cw_action a)
{
	return word(actions, ARRAY_SIZE(actions), a);
}

int cw_action_parse(const char *s, enum cw_action *ret)
{
	unsigned i;
	int r = word_index(actions, ARRAY_SIZE(actions), s, &i);

	if (r < 0 || i == CW_ACT_NONE)
		return -EINVAL; /* "none" is an answer, not something to ask for */
	*ret = i;
	return 0;
}

const char *cw_tier_str(enum cw_tier t)
{
	static const char *const w[CW_TIER_COUNT] = {
		[CW_TIER_NONE] = "none", [CW_TIER_QUARANTINE] = "quarantine",
		[CW_TIER_ADMIN] = "admin", [CW_TIER_MANUAL] = "manual",
		[CW_TIER_NETWORKPOLICY] = "networkpolicy", [CW_TIER_LEARNED] = "learned",
		[CW_TIER_BASELINE] = "baseline", [CW_TIER_DEFAULT] = "default",
		[CW_TIER_BUILTIN] = "builtin",
	};

	return word(w, ARRAY_SIZE(w), t);
}

const char *cw_outcome_str(enum cw_outcome o)
{
	static const char *const w[CW_OUT_COUNT] = {
		[CW_OUT_NONE] = "-", [CW_OUT_ALLOW] = "allow", [CW_OUT_ALERT] = "alert",
		[CW_OUT_NO_RULE] = "no-rule", [CW_OUT_WOULD_BLOCK] = "would-block",
		[CW_OUT_DROP] = "block",
	};

	return word(w, ARRAY_SIZE(w), o);
}

const char *cw_reason_str(enum cw_reason r)
{
	static const char *const w[CW_R_COUNT] = {
		[CW_R_NONE] = "none", [CW_R_RULE] = "rule", [CW_R_DEFAULT] = "default",
		[CW_R_ISOLATED] = "isolated", [CW_R_QUARANTINE] = "quarantine",
		[CW_R_IDENTITY_LATE] = "identity-late", [CW_R_SPOOF_IP] = "spoof-ip",
		[CW_R_SPOOF_MAC] = "spoof-mac", [CW_R_SPOOF_ARP] = "spoof-arp",
		[CW_R_MALFORMED] = "malformed", [CW_R_UNREADABLE] = "unreadable",
		[CW_R_EXT_HEADERS] = "ext-headers", [CW_R_SOURCE_ROUTE] = "source-route",
		[CW_R_FRAG_ORPHAN] = "frag-orphan", [CW_R_FRAG_BAD] = "frag-bad",
		[CW_R_ICMP_UNRELATED] = "icmp-unrelated", [CW_R_REDIRECT] = "redirect",
		[CW_R_TUNNEL] = "tunnel", [CW_R_ETHERTYPE] = "ethertype",
		[CW_R_NOT_MINE] = "not-mine", [CW_R_NO_ENDPOINT] = "no-endpoint",
		[CW_R_SHIELD] = "shield", [CW_R_FLOW_TABLE] = "flow-table",
		[CW_R_LOCAL_NODE] = "local-node", [CW_R_SELF] = "self",
		[CW_R_SERVICE_TRAFFIC] = "service-traffic", [CW_R_RELATED] = "related",
		[CW_R_ESTABLISHED_CUT] = "established-cut", [CW_R_NO_POLICY] = "no-policy",
		[CW_R_DNS_FULL] = "dns-full",
	};

	return word(w, ARRAY_SIZE(w), r);
}

static const char *const origins[] = {
	[ORIGIN_MANUAL] = "manual", [ORIGIN_LEARNED] = "learned",
	[ORIGIN_NETWORKPOLICY] = "networkpolicy", [ORIGIN_ADMIN] = "admin",
	[ORIGIN_BASELINE] = "baseline",
};

const char *rule_origin_str(enum rule_origin o)
{
	return word(origins, ARRAY_SIZE(origins), o);
}

int rule_origin_parse(const char *s, enum rule_origin *ret)
{
	unsigned i;
	int r = word_index(origins, ARRAY_SIZE(origins), s, &i);

	if (r == 0)
		*ret = i;
	return r;
}

static const char *const reserved[] = {
	[CW_ID_HOST] = "host", [CW_ID_REMOTE_NODE] = "remote-node", [CW_ID_WORLD] = "world",
	[CW_ID_UNKNOWN] = "unknown", [CW_ID_MULTICAST] = "multicast",
};

const char *reserved_str(uint32_t id)
{
	return word(reserved, ARRAY_SIZE(reserved), id);
}

int reserved_parse(const char *s, uint32_t *ret)
{
	unsigned i;
	int r = word_index(reserved, ARRAY_SIZE(reserved), s, &i);

	if (r == 0)
		*ret = i;
	return r;
}

const char *const label_op_words[LABEL_OPS] = {
	[LABEL_IN] = "In", [LABEL_NOT_IN] = "NotIn", [LABEL_EXISTS] = "Exists",
	[LABEL_NOT_EXISTS] = "DoesNotExist",
};

/* ---- kinds ---------------------------------------------------------------------------------- */

static const struct { const char *kind, *brief; } kinds[] = {
	{ "Deployment", "deploy" },	{ "StatefulSet", "sts" },
	{ "DaemonSet", "ds" },		{ "ReplicaSet", "rs" },
	{ "ReplicationController", "rc" }, { "Job", "job" },
	{ "CronJob", "cronjob" },	{ "Pod", "pod" },
	{ "Service", "svc" },		{ "ServiceAccount", "sa" },
	{ "Namespace", "ns" },		{ "Node", "node" },
};

const char *kind_short(const char *kind)
{
	static _Thread_local char ring[8][64];
	static _Thread_local unsigned turn;
	size_t n = 0;
	char *out;

	if (!kind)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].brief;
	/* Valid for seven more calls on this thread: a line of output names fewer. */
	out = ring[turn++ % ARRAY_SIZE(ring)];
	for (; n < sizeof(ring[0]) - 1 && kind[n]; n++)
		out[n] = (char)tolower((unsigned char)kind[n]);
	out[n] = '\0';
	return out;
}

const char *kind_long(const char *short_kind)
{
	for (size_t i = 0; short_kind && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].brief, short_kind) == 0)
			return kinds[i].kind;
	return short_kind;
}
