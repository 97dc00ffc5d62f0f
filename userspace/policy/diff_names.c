/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ends and ports of a difference, as people name them. A wider name is used only where it is
 * exact: every member is meant, or could not be paired with the other end anyway.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/diff.h"
#include "policy/space.h"

#define NAME_MAX_BYTES (1u << 20) /* one prefix with its exceptions */

void diff_names_done(struct diff_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i]);
	free(n->v);
	*n = (struct diff_names){};
}

struct names { char **v; size_t n, cap; };

static int name_add(struct names *l, const char *s)
{
	char *d = strdup(s);

	if (!d || vec_push(l, d)) {
		free(d);
		return -ENOMEM;
	}
	return 0;
}

static int names_give(struct names *l, int r, struct diff_names *ret)
{
	struct diff_names out = { l->v, l->n };

	if (r)
		diff_names_done(&out);
	else
		*ret = out;
	return r;
}

/* ---- ends ------------------------------------------------------------------------------------------ */

enum mark { MARK_OUT, MARK_IN, MARK_NONE }; /* not meant; meant; cannot be meant */

/* Counts the partners of every end among those of the other side, once for all. */
static int marks_make(const struct policy_diff *d, const struct diff_item *it, bool dst, uint8_t **ret)
{
	const uint32_t *mine = dst ? it->dst : it->src, *other = dst ? it->src : it->dst;
	uint32_t nmine = dst ? it->ndst : it->nsrc, nother = dst ? it->nsrc : it->ndst, all[4] = {};
	auto_free uint32_t *own = calloc((size_t)d->space->nowners * 4 + 4, sizeof(*own));
	uint8_t *m = calloc(d->nends + 1, 1);

	if (!own || !m) {
		free(m);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nother; i++) {
		const struct diff_end *e = &d->ends[other[i]];

		all[e->fam]++;
		if (e->owner != NIL)
			own[e->owner * 4 + e->fam]++;
	}
	for (size_t i = 0; i < d->nends; i++) {
		const struct diff_end *e = &d->ends[i];
		uint32_t n = 0;

		for (uint32_t k = 1; k < 4; k++)
			if (k & e->fam)
				n += all[k] - (e->owner == NIL ? 0 : own[e->owner * 4 + k]);
		if (!n || (!dst && (e->realm == CW_REALM_MULTICAST || e->kind == DIFF_NAME)))
			m[i] = MARK_NONE;
	}
	for (uint32_t i = 0; i < nmine; i++)
		m[mine[i]] = MARK_IN;
	*ret = m;
	return 0;
}

static bool same_ns(const struct diff_end *a, const struct diff_end *b)
{
	return a->kind == DIFF_WORKLOAD && b->kind == DIFF_WORKLOAD && !strcmp(a->ns, b->ns);
}

static bool same_controller(const struct diff_end *a, const struct diff_end *b)
{
	return same_ns(a, b) && *a->ctl_name && !strcmp(a->ctl_name, b->ctl_name) && !strcmp(a->ctl_kind, b->ctl_kind);
}

/* All of [from, to) that can be meant is; at least one is. */
static bool complete(const uint8_t *m, size_t from, size_t to)
{
	bool some = false;

	for (size_t i = from; i < to; i++) {
		if (m[i] == MARK_OUT)
			return false;
		some |= m[i] == MARK_IN;
	}
	return some;
}

const char *diff_end_text(const struct diff_end *e, bool v6, char out[600])
{
	char a[ADDR_STR_MAX];

	if (e->kind == DIFF_WORKLOAD && !e->part)
		snprintf(out, 600, "%s/pod/%s", e->ns, e->name);
	else if (e->kind == DIFF_NAME)
		snprintf(out, 600, "fqdn/%s%s", *e->fqdn == '*' ? DIFF_ANY_LABEL : "", e->fqdn + (*e->fqdn == '*'));
	else if (e->kind == DIFF_HOST)
		snprintf(out, 600, "%s", reserved_str(e->realm == CW_REALM_HOST ? CW_ID_HOST : CW_ID_REMOTE_NODE));
	else
		snprintf(out, 600, "%s", addr_str(&e->addr[v6 || !(e->fam & 1)], a));
	return out;
}

static int workload_names(const struct policy_diff *d, const uint8_t *m, struct names *to)
{
	char text[600];
	int r = 0;

	for (size_t i = 0, end, ns; i < d->nends && d->ends[i].kind == DIFF_WORKLOAD && !r; i = end) {
		const struct diff_end *e = &d->ends[i];
		bool kinds = false;

		for (ns = i; ns < d->nends && same_ns(e, &d->ends[ns]); ns++)
			kinds |= ns > i && !same_controller(&d->ends[i], &d->ends[ns]);
		end = ns;
		/* A namespace of a single controller is named by that: it says more. */
		if (kinds && complete(m, i, ns) && (!i || !same_ns(&d->ends[i - 1], e))) {
			snprintf(text, sizeof(text), "ns/%s", e->ns);
			r = name_add(to, text);
			continue;
		}
		for (end = i + 1; end < ns && same_controller(e, &d->ends[end]); end++)
			;
		if (*e->ctl_name && complete(m, i, end)) {
			snprintf(text, sizeof(text), "%s/%s/%s", e->ns, kind_short(e->ctl_kind), e->ctl_name);
			r = name_add(to, text);
			continue;
		}
		for (size_t k = i; k < end && !r; k++) {
			if (m[k] != MARK_IN)
				continue;
			if (d->ends[k].part && d->ends[k].fam == 3)
				snprintf(text, sizeof(text), "%s/pod/%s", d->ends[k].ns, d->ends[k].name);
			else
				diff_end_text(&d->ends[k], false, text);
			r = name_add(to, text);
		}
	}
	return r;
}

/* Nodes and the host: by realm where all are meant. */
static int node_names(const struct policy_diff *d, const uint8_t *m, struct names *to)
{
	static const uint32_t ids[] = { [CW_REALM_HOST] = CW_ID_HOST, [CW_REALM_NODE] = CW_ID_REMOTE_NODE };
	char text[600];
	int r = 0;

	for (uint32_t realm = CW_REALM_HOST; realm <= CW_REALM_NODE && !r; realm++) {
		bool some = false, all = true;

		for (size_t i = 0; i < d->nends; i++) {
			const struct diff_end *e = &d->ends[i];

			if ((e->kind != DIFF_NODE && e->kind != DIFF_HOST) || e->realm != realm)
				continue;
			some |= m[i] == MARK_IN;
			all &= m[i] != MARK_OUT;
		}
		if (some && all)
			r = name_add(to, reserved_str(ids[realm]));
		for (size_t i = 0; i < d->nends && some && !all && !r; i++) {
			const struct diff_end *e = &d->ends[i];

			if (e->kind != DIFF_NODE || e->realm != realm || m[i] != MARK_IN)
				continue;
			if (e->part)
				diff_end_text(e, false, text);
			else
				snprintf(text, sizeof(text), "node/%s", e->name);
			r = name_add(to, text);
		}
	}
	return r;
}

/* ---- prefixes ---------------------------------------------------------------------------------------- */

/*
 * The next shorter prefix that could be meant at all, or NIL, for each prefix: they stand in order, a
 * shorter one before those it covers.
 */
static void net_parents(const struct policy_diff *d, const uint8_t *m, uint32_t *up)
{
	uint32_t at = NIL;

	for (uint32_t i = 0; i < d->nends; i++) {
		up[i] = NIL;
		if (d->ends[i].kind != DIFF_NET)
			continue;
		while (at != NIL && !prefix_covers(&d->ends[at].net, &d->ends[i].net))
			at = up[at];
		up[i] = at;
		if (m[i] != MARK_NONE)
			at = i;
	}
}

static bool top_is(const uint8_t *m, const uint32_t *up, uint32_t i, uint32_t top)
{
	while (up[i] != NIL && m[up[i]] == MARK_IN)
		i = up[i];
	return i == top;
}

/* "10.0.0.0/8 except 10.1.0.0/16": `top` and what it covers, but for the outermost that are not meant. */
static int net_name(const struct policy_diff *d, const uint8_t *m, const uint32_t *up, uint32_t top, struct names *to)
{
	char p[PREFIX_STR_MAX];
	unsigned n = 0;
	struct buf b;
	int r;

	buf_init(&b, NAME_MAX_BYTES);
	buf_adds(&b, prefix_str(&d->ends[top].net, p));
	for (uint32_t i = top + 1; i < d->nends && d->ends[i].kind == DIFF_NET &&
				   prefix_covers(&d->ends[top].net, &d->ends[i].net); i++)
		if (m[i] == MARK_OUT && up[i] != NIL && m[up[i]] == MARK_IN && top_is(m, up, up[i], top))
			buf_printf(&b, "%s%s", n++ ? ", " : " except ", prefix_str(&d->ends[i].net, p));
	r = b.err ?: name_add(to, b.data);
	buf_done(&b);
	return r;
}

/* A realm that is meant as a whole goes by its word, and out of the way of the others' prefixes. */
static int realm_name(const struct policy_diff *d, uint8_t *m, uint32_t realm, uint32_t id, struct names *to)
{
	bool some = false, all = true;

	for (uint32_t i = 0; i < d->nends; i++) {
		if (d->ends[i].kind != DIFF_NET || d->ends[i].realm != realm)
			continue;
		some |= m[i] == MARK_IN;
		all &= m[i] != MARK_OUT;
	}
	if (!some || !all)
		return 0;
	for (uint32_t i = 0; i < d->nends; i++)
		if (d->ends[i].kind == DIFF_NET && d->ends[i].realm == realm)
			m[i] = MARK_NONE;
	return name_add(to, reserved_str(id));
}

static int net_names(const struct policy_diff *d, uint8_t *m, struct names *to)
{
	auto_free uint32_t *up = calloc(d->nends + 1, sizeof(*up));
	int r = up ? 0 : -ENOMEM;

	r = r ?: realm_name(d, m, CW_REALM_WORLD, CW_ID_WORLD, to);
	r = r ?: realm_name(d, m, CW_REALM_UNKNOWN, CW_ID_UNKNOWN, to);
	r = r ?: realm_name(d, m, CW_REALM_MULTICAST, CW_ID_MULTICAST, to);
	if (r)
		return r;
	net_parents(d, m, up);
	for (uint32_t i = 0; i < d->nends && !r; i++)
		if (d->ends[i].kind == DIFF_NET && m[i] == MARK_IN && (up[i] == NIL || m[up[i]] != MARK_IN))
			r = net_name(d, m, up, i, to);
	return r;
}

/* A name, wherever in the world; else the prefixes where it counts. */
static int fqdn_names(const struct policy_diff *d, const uint8_t *m, struct names *to)
{
	char text[600], p[PREFIX_STR_MAX];
	int r = 0;

	for (size_t i = 0, end; i < d->nends && !r; i = end) {
		end = i + 1;
		if (d->ends[i].kind != DIFF_NAME)
			continue;
		while (end < d->nends && !strcmp(d->ends[end].fqdn, d->ends[i].fqdn))
			end++;
		if (complete(m, i, end)) {
			snprintf(text, sizeof(text), "fqdn/%s", d->ends[i].fqdn);
			r = name_add(to, text);
			continue;
		}
		for (size_t k = i; k < end && !r; k++) {
			if (m[k] != MARK_IN)
				continue;
			snprintf(text, sizeof(text), "fqdn/%s in %s", d->ends[k].fqdn, prefix_str(&d->ends[k].net, p));
			r = name_add(to, text);
		}
	}
	return r;
}

int diff_names_make(const struct policy_diff *d, const struct diff_item *it, bool dst, struct diff_names *ret)
{
	auto_free uint8_t *m = NULL;
	struct names l = {};
	int r = marks_make(d, it, dst, &m);

	r = r ?: workload_names(d, m, &l);
	r = r ?: node_names(d, m, &l);
	r = r ?: net_names(d, m, &l);
	r = r ?: fqdn_names(d, m, &l);
	return names_give(&l, r, ret);
}

/* ---- ports --------------------------------------------------------------------------------------------- */

static bool has_ports(uint32_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_ICMP ||
	       proto == IPPROTO_ICMPV6;
}

static int port_name(struct names *to, uint8_t proto, uint32_t lo, uint32_t hi)
{
	struct port_spec p = { .kind = PORT_RANGE, .proto = proto, .from = (uint16_t)lo, .to = (uint16_t)hi,
			       .icmp_type = -1, .icmp_code = -1 };
	bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
	auto_free char *s = NULL;
	char text[48];

	if (lo == 0 && hi == 0xffff) {
		p.kind = PORT_PROTO;
	} else if (icmp && lo >> 8 == hi >> 8) {
		p.kind = PORT_ICMP;
		p.icmp_type = (int)(lo >> 8);
		if (lo & 0xff || (hi & 0xff) != 0xff)
			p.icmp_code = lo == hi ? (int)(lo & 0xff) : -2;
	}
	/* Several types or codes have no form of their own in a rule. */
	if (icmp && p.icmp_code == -2) {
		snprintf(text, sizeof(text), "%s/%u codes %u-%u", proto == IPPROTO_ICMP ? "icmp" : "icmpv6", lo >> 8,
			 lo & 0xff, hi & 0xff);
		return name_add(to, text);
	}
	if (icmp && p.kind == PORT_RANGE) {
		snprintf(text, sizeof(text), "%s/%u-%u", proto == IPPROTO_ICMP ? "icmp" : "icmpv6", lo >> 8, hi >> 8);
		return name_add(to, text);
	}
	s = port_spec_str(&p);
	return s ? name_add(to, s) : -ENOMEM;
}

/* Types that are meant in full are joined; the others stand alone. */
static int icmp_names(struct names *to, uint8_t proto, uint32_t lo, uint32_t hi)
{
	int r = 0;

	while (lo <= hi && !r) {
		uint32_t end = lo | 0xff;

		if (lo & 0xff || end > hi) {
			end = end < hi ? end : hi;
		} else {
			while (end + 0x100 <= hi)
				end += 0x100;
		}
		r = port_name(to, proto, lo, end);
		lo = end + 1;
	}
	return r;
}

static int proto_names(struct names *to, uint32_t from, uint32_t end)
{
	char text[32];

	if (end - from == 1)
		return port_name(to, (uint8_t)from, 0, 0xffff);
	snprintf(text, sizeof(text), "proto/%u-%u", from, end - 1);
	return name_add(to, text);
}

static int span_names(struct names *to, struct diff_span s)
{
	uint32_t run = NIL;
	int r = 0;

	for (uint32_t proto = s.lo >> 16; proto <= s.hi >> 16 && !r; proto++) {
		uint32_t lo = proto == s.lo >> 16 ? s.lo & 0xffff : 0, hi = proto == s.hi >> 16 ? s.hi & 0xffff : 0xffff;
		bool whole = has_ports(proto) ? !lo && hi == 0xffff : !lo;

		if (whole && run == NIL)
			run = proto;
		if (whole)
			continue;
		if (run != NIL)
			r = proto_names(to, run, proto);
		run = NIL;
		if (r || !has_ports(proto))
			continue; /* a protocol without ports is at 0 alone */
		r = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 ? icmp_names(to, (uint8_t)proto, lo, hi) :
								      port_name(to, (uint8_t)proto, lo, hi);
	}
	return r || run == NIL ? r : proto_names(to, run, (s.hi >> 16) + 1);
}

int diff_ports_text(const struct diff_span *v, size_t n, struct diff_names *ret)
{
	struct names l = {};
	int r = 0;

	if (n == 1 && !v->lo && v->hi == CW_AXIS_END - 1)
		r = name_add(&l, "any");
	else
		for (size_t i = 0; i < n && !r; i++)
			r = span_names(&l, v[i]);
	return names_give(&l, r, ret);
}
