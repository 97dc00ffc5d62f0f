/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/access_filter.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/strparse.h"

void access_filter_init(struct access_filter *f)
{
	*f = (struct access_filter){ .side = -1, .answered = -1, .guessed = -1 };
}

static bool outside(const struct access_end *e)
{
	return e->kind == ACCESS_CIDR || e->kind == ACCESS_ADDR || e->kind == ACCESS_FQDN ||
	       (e->kind == ACCESS_RESERVED && e->reserved == CW_ID_WORLD);
}

static bool member_has(const struct access *a, bool dst, bool (*fn)(const struct access_point *, const void *),
		       const void *arg)
{
	for (size_t i = 0; i < a->nmembers; i++)
		if (fn(dst ? a->members[i]->dst : a->members[i]->src, arg))
			return true;
	return false;
}

static bool point_is(const struct access_point *p, const void *ref)
{
	return !strcmp(p->ref, ref);
}

static bool point_in(const struct access_point *p, const void *prefix)
{
	return !addr_is_zero(&p->addr) && prefix_has(prefix, &p->addr);
}

static bool labels_match(const char *ref, const struct access_end *e)
{
	struct labels want = { };
	const char *slash = strchr(ref, '/');
	bool ok = true;

	if (e->kind != ACCESS_LABELS || !slash || strncmp(e->ns, ref, (size_t)(slash - ref)) ||
	    e->ns[slash - ref] || labels_parse(slash + 1, &want) < 0)
		return false;
	for (size_t i = 0; i < want.n && ok; i++) {
		const char *v = labels_get(&e->labels, want.v[i].key);

		ok = v && !strcmp(v, want.v[i].value);
	}
	labels_done(&want);
	return ok;
}

bool access_ref_matches(const char *ref, const struct access *a, bool dst)
{
	const struct access_end *e = dst ? a->dst : a->src;
	struct prefix p;
	uint32_t id;

	if (!strcmp(ref, e->ref))
		return true;
	if (!strncmp(ref, "ns/", 3))
		return e->ns && !strcmp(e->ns, ref + 3);
	if (reserved_parse(ref, &id) == 0) {
		if (id == CW_ID_WORLD)
			return outside(e);
		if (id == CW_ID_UNKNOWN)
			return e->kind == ACCESS_UNRESOLVED;
		return e->kind == ACCESS_RESERVED && e->reserved == id;
	}
	if (prefix_parse(ref, &p) == 0) {
		if (e->kind == ACCESS_CIDR || e->kind == ACCESS_ADDR || e->kind == ACCESS_UNRESOLVED)
			if (prefix_covers(&p, &e->prefix))
				return true;
		return member_has(a, dst, point_in, &p);
	}
	if (strchr(ref, '='))
		return labels_match(ref, e);
	return member_has(a, dst, point_is, ref);
}

int access_ref_check(const char *ref, const char *at, struct fail_list *f)
{
	static const char *const form = "ns/NS, NS/KIND/NAME, NS/label=value, fqdn/NAME, an address or CIDR, or one of "
					"host, remote-node, world, unknown, multicast";
	const char *slash = strchr(ref, '/');
	struct labels l = { };
	struct prefix p;
	uint32_t id;
	int r;

	if (reserved_parse(ref, &id) == 0)
		return 0;
	r = prefix_parse(ref, &p);
	if (r == -EDOM || r == -ERANGE)
		return fail_add(f, -EINVAL, "ref.syntax", at, r == -EDOM ? "no bits beyond the length" : "a length of the family",
				NULL, "no such prefix: \"%s\"", ref);
	if (r == 0)
		return 0;
	if (!slash || slash == ref || !slash[1])
		return fail_add(f, -EINVAL, "ref.syntax", at, form, "cellwall workload list", "not a name of anything: \"%s\"", ref);
	if (!strncmp(ref, "ns/", 3) && is_dns_label(ref + 3))
		return 0;
	if (!strncmp(ref, "fqdn/", 5) && is_dns_name(!strncmp(ref + 5, "*.", 2) ? ref + 7 : ref + 5))
		return 0;
	if (strchr(slash, '=')) {
		r = labels_parse(slash + 1, &l);
		labels_done(&l);
		if (r == 0)
			return 0;
	} else if (strchr(slash + 1, '/') && strchr(slash + 1, '/') > slash + 1 && strchr(slash + 1, '/')[1]) {
		return 0;
	}
	return fail_add(f, -EINVAL, "ref.syntax", at, form, "cellwall workload list", "not a name of anything: \"%s\"", ref);
}

static bool port_matches(const struct port_spec *p, const struct access *a)
{
	switch (p->kind) {
	case PORT_ANY:
		return true;
	case PORT_PROTO:
		return p->proto == a->proto;
	case PORT_RANGE:
		return p->proto == a->proto && a->port >= p->from && a->port <= p->to;
	case PORT_ICMP:
		return p->proto == a->proto && (p->icmp_type < 0 || p->icmp_type == a->port >> 8);
	case PORT_NAMED:
		return false; /* an access knows numbers only */
	}
	return false;
}

static bool in_namespaces(const struct access_filter *f, const struct access *a)
{
	for (size_t i = 0; i < f->nns; i++)
		if ((a->src->ns && !strcmp(a->src->ns, f->ns[i])) || (a->dst->ns && !strcmp(a->dst->ns, f->ns[i])))
			return true;
	return false;
}

static bool origin_is(const struct access_side *s, enum rule_origin o)
{
	static const enum cw_tier tier_of[] = {
		[ORIGIN_MANUAL] = CW_TIER_MANUAL, [ORIGIN_LEARNED] = CW_TIER_LEARNED,
		[ORIGIN_NETWORKPOLICY] = CW_TIER_NETWORKPOLICY, [ORIGIN_ADMIN] = CW_TIER_ADMIN,
		[ORIGIN_BASELINE] = CW_TIER_BASELINE,
	};

	return s->outcome != CW_OUT_NONE && s->verdict.tier == tier_of[o];
}

enum side_test { T_VERDICT, T_REASON, T_RULE, T_ORIGIN };

static bool side_matches(const struct access_filter *f, const struct access *a, enum side_test t)
{
	for (int s = 0; s < 2; s++) {
		const struct access_side *x = &a->side[s];
		bool hit = false;

		if (f->side >= 0 && f->side != s)
			continue;
		switch (t) {
		case T_VERDICT: hit = x->outcome == f->verdict; break;
		case T_REASON: hit = x->outcome != CW_OUT_NONE && x->reason == f->reason; break;
		case T_RULE: hit = x->outcome != CW_OUT_NONE && x->verdict.rule == f->rule; break;
		case T_ORIGIN: hit = origin_is(x, f->origin); break;
		}
		if (hit)
			return true;
	}
	return false;
}

static bool point_contains(const struct access_point *p, const void *text)
{
	return strcasestr(p->ref, text) != NULL;
}

static bool search_matches(const char *text, const struct access *a)
{
	char port[40];

	return strcasestr(a->id, text) || strcasestr(a->src->ref, text) || strcasestr(a->dst->ref, text) ||
	       strcasestr(access_port_str(a, port), text) || member_has(a, false, point_contains, text) ||
	       member_has(a, true, point_contains, text);
}

bool access_filter_matches(const struct access_filter *f, const struct access *a)
{
#define ASKED(set, field, hit) \
	do { \
		if ((set) && (hit) == !!(f->not & 1u << (field))) \
			return false; \
	} while (0)
	ASKED(f->nns, AF_NS, in_namespaces(f, a));
	ASKED(f->src, AF_SRC, access_ref_matches(f->src, a, false));
	ASKED(f->dst, AF_DST, access_ref_matches(f->dst, a, true));
	ASKED(f->peer, AF_PEER, access_ref_matches(f->peer, a, false) || access_ref_matches(f->peer, a, true));
	ASKED(f->port, AF_PORT, port_matches(f->port, a));
	ASKED(f->has_verdict, AF_VERDICT, side_matches(f, a, T_VERDICT));
	ASKED(f->has_reason, AF_REASON, side_matches(f, a, T_REASON));
	ASKED(f->rule, AF_RULE, side_matches(f, a, T_RULE));
	ASKED(f->has_origin, AF_ORIGIN, side_matches(f, a, T_ORIGIN));
	ASKED(f->has_state, AF_STATE, access_state(a) == f->state);
	ASKED(f->answered >= 0, AF_ANSWERED, (a->c.answered > 0) == (f->answered == 1));
	ASKED(f->guessed >= 0, AF_GUESSED, access_guessed(a) == (f->guessed == 1));
	ASKED(f->search && *f->search, AF_SEARCH, search_matches(f->search, a));
#undef ASKED
	if (f->since_ns && a->last_ns < f->since_ns)
		return false;
	return !f->until_ns || a->first_ns < f->until_ns;
}
