/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/kpolicies.h"
#include "controller/priv.h"

const char *const filter_keys[] = { "namespace", "src", "dst", "peer", "port", "verdict", "side", "reason", "rule",
	"origin", "state", "answered", "search", "not", "since", "until", "limit", "follow", NULL };

static const char *const not_words[FF_FIELDS] = {
	[FF_NS] = "namespace", [FF_SRC] = "src", [FF_DST] = "dst", [FF_PEER] = "peer", [FF_PORT] = "port",
	[FF_VERDICT] = "verdict", [FF_REASON] = "reason", [FF_RULE] = "rule", [FF_ORIGIN] = "origin",
	[FF_STATE] = "state", [FF_ANSWERED] = "answered", [FF_SEARCH] = "search",
};

void filter_done(struct filter *f)
{
	words_done(&f->ns);
	ref_done(&f->src);
	ref_done(&f->dst);
	ref_done(&f->peer);
	free(f->src_text);
	free(f->dst_text);
	free(f->peer_text);
	port_spec_done(&f->port);
	free(f->rule);
	free(f->search);
	memset(f, 0, sizeof(*f));
}

static int bad(struct fail_list *fails, const char *at, const char *name, const char *value, const char *expected)
{
	char where[240];

	snprintf(where, sizeof(where), "%s %s: \"%.100s\"", at, name, value);
	return fail_add(fails, -EINVAL, "filter.value", where, expected, NULL, "the filter %s is not valid", name);
}

static int read_ref(const char *s, const char *at, const char *name, struct fail_list *fails, struct ref *r,
		    char **text)
{
	char where[64];
	int e;

	if (!s)
		return 0;
	snprintf(where, sizeof(where), "%s %s", at, name);
	e = ref_parse(s, where, false, fails, r);
	if (e)
		return e;
	*text = ref_text(r);
	return *text ? 0 : -ENOMEM;
}

static int outcome_parse(const char *s, enum cw_outcome *ret)
{
	for (int i = 0; i < CW_OUT_COUNT; i++) {
		if (strcmp(cw_outcome_str(i), s))
			continue;
		*ret = i;
		return 0;
	}
	return -EINVAL;
}

static int reason_parse(const char *s, enum cw_reason *ret)
{
	for (int i = CW_R_NONE + 1; i < CW_R_COUNT; i++) {
		const char *w = cw_reason_str(i);

		if (!w || strcmp(w, s))
			continue;
		*ret = i;
		return 0;
	}
	return -EINVAL;
}

static int read_lists(struct filter *f, filter_get *get, const void *from, const char *at, struct fail_list *fails)
{
	auto_cleanup(words_done) struct words v = {}, st = {}, n = {};
	int e;

	e = words_split(get(from, "verdict"), &v);
	e = e ?: words_split(get(from, "state"), &st);
	e = e ?: words_split(get(from, "not"), &n);
	e = e ?: words_split(get(from, "namespace"), &f->ns);
	if (e)
		return e;
	for (size_t i = 0; i < v.n; i++) {
		enum cw_outcome o;

		if (outcome_parse(v.v[i], &o))
			e = bad(fails, at, "verdict", v.v[i], "allow, alert, no-rule, would-block, block or -");
		else
			f->verdicts |= 1u << o;
	}
	for (size_t i = 0; i < st.n; i++) {
		enum access_state s;

		if (access_state_parse(st.v[i], &s))
			e = bad(fails, at, "state", st.v[i], "pending, confirmed, rejected or held");
		else
			f->states |= 1u << s;
	}
	for (size_t i = 0; i < n.n; i++) {
		size_t k = 0;

		while (k < FF_FIELDS && strcmp(not_words[k], n.v[i]))
			k++;
		if (k == FF_FIELDS)
			e = bad(fails, at, "not", n.v[i], "a filter name such as src or verdict");
		else
			f->not |= 1u << k;
	}
	return e;
}

static int read_words(struct filter *f, filter_get *get, const void *from, const char *at,
		      const struct controller *c, struct fail_list *fails)
{
	const char *s;
	int e = 0;

	f->side = f->answered = -1;
	s = get(from, "port");
	if (s && port_spec_parse(s, &f->port))
		e = bad(fails, at, "port", s, "tcp/5432, tcp/8000-8100, icmp/echo-request, any");
	else
		f->has_port = s != NULL;
	s = get(from, "side");
	if (s && strcmp(s, "egress") && strcmp(s, "ingress"))
		e = bad(fails, at, "side", s, "egress or ingress");
	else if (s)
		f->side = strcmp(s, "egress") ? CW_INGRESS : CW_EGRESS;
	s = get(from, "reason");
	if (s && reason_parse(s, &f->reason))
		e = bad(fails, at, "reason", s, "a reason such as default or spoof-ip");
	else
		f->has_reason = s != NULL;
	s = get(from, "origin");
	if (s && strcmp(s, "all") && rule_origin_parse(s, &f->origin))
		e = bad(fails, at, "origin", s, "manual, learned, networkpolicy, admin, baseline or all");
	else
		f->has_origin = s && strcmp(s, "all");
	s = get(from, "answered");
	if (s && strcmp(s, "0") && strcmp(s, "1"))
		e = bad(fails, at, "answered", s, "0 or 1");
	else if (s)
		f->answered = *s == '1';
	s = get(from, "search");
	if (s && strlen(s) > API_TEXT_MAX)
		e = bad(fails, at, "search", s, "at most 1024 bytes");
	else if (s && !(f->search = strdup(s)))
		return -ENOMEM;
	s = get(from, "rule");
	if (s) {
		const struct rule *r = rule_named(&c->state, s);
		const struct kpolicy *k = r ? NULL : kpolicy_named(&c->state, s);

		f->rule = strdup(s);
		if (!f->rule)
			return -ENOMEM;
		if (!r && !k)
			e = bad(fails, at, "rule", s, "the name of a rule");
		else
			f->rule_id = r ? r->id : k->id;
	}
	return e;
}

static int read_times(struct filter *f, filter_get *get, const void *from, const char *at,
		      const struct controller *c, struct fail_list *fails)
{
	const char *s = get(from, "since"), *u = get(from, "until");
	int e = 0;

	if (s && time_or_ago(s, controller_now(c), &f->since_ns))
		e = bad(fails, at, "since", s, "a duration such as 15m or 10d, or 2026-03-12T08:30:00Z");
	if (u && time_or_ago(u, controller_now(c), &f->until_ns))
		e = bad(fails, at, "until", u, "a duration such as 15m or 10d, or 2026-03-12T08:30:00Z");
	return e;
}

int filter_read(struct filter *f, filter_get *get, const void *from, const char *at, const struct controller *c,
		struct fail_list *fails)
{
	int e[6];

	e[0] = read_words(f, get, from, at, c, fails);
	e[1] = read_lists(f, get, from, at, fails);
	e[2] = read_times(f, get, from, at, c, fails);
	e[3] = read_ref(get(from, "src"), at, "src", fails, &f->src, &f->src_text);
	e[4] = read_ref(get(from, "dst"), at, "dst", fails, &f->dst, &f->dst_text);
	e[5] = read_ref(get(from, "peer"), at, "peer", fails, &f->peer, &f->peer_text);
	for (size_t i = 0; i < ARRAY_SIZE(e); i++)
		if (e[i])
			return e[i];
	return 0;
}

static const char *from_query(const void *from, const char *name)
{
	return api_q(from, name);
}

int filter_query(struct api *a, struct filter *f)
{
	return filter_read(f, from_query, a, "query", a->c, &a->f);
}

/* ---- matching -------------------------------------------------------------------------------- */

/* The text's namespace is one of those asked for. */
static bool text_in(const struct words *ns, const char *text)
{
	const char *slash = text ? strchr(text, '/') : NULL;

	if (!slash)
		return false;
	for (size_t i = 0; i < ns->n; i++)
		if (strlen(ns->v[i]) == (size_t)(slash - text) && !strncmp(ns->v[i], text, (size_t)(slash - text)))
			return true;
	return false;
}

static bool port_matches(const struct port_spec *p, uint8_t proto, uint16_t port)
{
	switch (p->kind) {
	case PORT_ANY:
		return true;
	case PORT_PROTO:
		return p->proto == proto;
	case PORT_RANGE:
		return p->proto == proto && port >= p->from && port <= p->to;
	case PORT_ICMP:
		return p->proto == proto && (p->icmp_type < 0 || p->icmp_type == port >> 8) &&
		       (p->icmp_code < 0 || p->icmp_code == (port & 0xff));
	case PORT_NAMED:
		return false; /* a recorded access has a number */
	}
	return false;
}

static bool has_text(const char *hay, const char *needle)
{
	return hay && strcasestr(hay, needle);
}

#define CHECK(field, cond) do {								\
	if ((cond) == !!(f->not & 1u << (field)))					\
		return false;								\
} while (0)

static bool origin_is(const struct policy_state *st, uint32_t id, enum rule_origin origin)
{
	const struct rule *r = state_rule_id(st, id);
	const struct kpolicy *k = r ? NULL : state_kpolicy_id(st, id);

	return r ? r->origin == origin : k && kpolicy_origin(k) == origin;
}

static bool sides_match(const struct filter *f, const struct filter_row *r, const struct policy_state *st)
{
	bool v = false, why = false, rule = false, origin = false;

	for (int s = 0; s < 2; s++) {
		if (f->side >= 0 && f->side != s)
			continue;
		v = v || f->verdicts & 1u << r->outcome[s];
		why = why || r->reason[s] == f->reason;
		rule = rule || (f->rule_id && r->rule[s] == f->rule_id);
		origin = origin || (f->has_origin && origin_is(st, r->rule[s], f->origin));
	}
	if (f->verdicts)
		CHECK(FF_VERDICT, v);
	if (f->has_reason)
		CHECK(FF_REASON, why);
	if (f->rule)
		CHECK(FF_RULE, rule);
	if (f->has_origin)
		CHECK(FF_ORIGIN, origin);
	return true;
}

bool filter_row_matches(const struct filter *f, const struct filter_row *r, const struct policy_state *st)
{
	char port[40];

	if ((f->since_ns && r->last_ns < f->since_ns) || (f->until_ns && r->first_ns > f->until_ns))
		return false;
	if (f->ns.n)
		CHECK(FF_NS, text_in(&f->ns, r->src) || text_in(&f->ns, r->dst));
	if (f->src.kind)
		CHECK(FF_SRC, ref_matches_text(&f->src, r->src, st));
	if (f->dst.kind)
		CHECK(FF_DST, ref_matches_text(&f->dst, r->dst, st));
	if (f->peer.kind)
		CHECK(FF_PEER, ref_matches_text(&f->peer, r->src, st) || ref_matches_text(&f->peer, r->dst, st));
	if (f->has_port)
		CHECK(FF_PORT, port_matches(&f->port, r->proto, r->port));
	if (f->answered >= 0 && r->answered >= 0)
		CHECK(FF_ANSWERED, r->answered == f->answered);
	if (f->search)
		CHECK(FF_SEARCH, has_text(r->src, f->search) || has_text(r->dst, f->search) ||
				 has_text(r->id, f->search) ||
				 has_text(axis_str(CW_AXIS(r->proto, r->port), port), f->search));
	return sides_match(f, r, st);
}

bool filter_access_matches(const struct filter *f, const struct access *a, const struct policy_state *st)
{
	const struct filter_row row = {
		.outcome = { a->side[0].outcome, a->side[1].outcome },
		.reason = { a->side[0].reason, a->side[1].reason },
		.rule = { a->side[0].verdict.rule, a->side[1].verdict.rule },
	};
	struct access_filter af;

	access_filter_init(&af);
	af.ns = (const char *const *)f->ns.v;
	af.nns = f->ns.n;
	af.src = f->src_text;
	af.dst = f->dst_text;
	af.peer = f->peer_text;
	af.port = f->has_port ? &f->port : NULL;
	af.answered = f->answered;
	af.search = f->search;
	af.since_ns = f->since_ns;
	af.until_ns = f->until_ns;
	for (int i = 0; i < FF_FIELDS; i++) {
		static const enum access_filter_field to[FF_FIELDS] = {
			AF_NS, AF_SRC, AF_DST, AF_PEER, AF_PORT, AF_VERDICT, AF_REASON, AF_RULE, AF_ORIGIN,
			AF_STATE, AF_ANSWERED, AF_SEARCH,
		};

		if (f->not & 1u << i)
			af.not |= 1u << to[i];
	}
	if (!access_filter_matches(&af, a))
		return false;
	if (f->states)
		CHECK(FF_STATE, !!(f->states & 1u << access_state(a)));
	return sides_match(f, &row, st);
}
