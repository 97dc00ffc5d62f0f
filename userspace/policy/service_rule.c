/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rule that names services says about their backends.
 *
 * A part is the backends that answer the named service ports at the same target ports; its text
 * is "6/80=8080,6/443=8443," (protocol/port=target). The empty text is every backend.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/service.h"

#define PART_ITEM_MAX 24u	/* bytes of one port in a part's text */

bool rule_has_service(const struct rule *r)
{
	for (size_t i = 0; i < r->nfrom; i++)
		if (r->from[i].kind == SEL_SERVICE)
			return true;
	for (size_t i = 0; i < r->nto; i++)
		if (r->to[i].kind == SEL_SERVICE)
			return true;
	return false;
}

void service_rule_versions(const struct policy_set *set, const struct rule *r, struct bytes *b)
{
	for (size_t i = 0; i < r->nfrom + r->nto; i++) {
		const struct selector *sel = i < r->nfrom ? &r->from[i] : &r->to[i - r->nfrom];
		const struct svc *s = sel->kind == SEL_SERVICE ? service_find(set, sel->ns, sel->service) : NULL;

		bytes_put(b, s ? &s->version : &(uint64_t){ 0 }, sizeof(s->version));
	}
}

/* ---- parts -------------------------------------------------------------------------------------- */

static bool port_named(const struct port_spec *p, const struct service_port *sp)
{
	switch (p->kind) {
	case PORT_ANY:
		return true;
	case PORT_PROTO:
		return p->proto == sp->proto;
	case PORT_RANGE:
		return p->proto == sp->proto && p->from <= sp->port && sp->port <= p->to;
	case PORT_NAMED:
		return p->proto == sp->proto && given(sp->name) && given(p->name) && !strcmp(p->name, sp->name);
	case PORT_ICMP:
		break;
	}
	return false;
}

static bool rule_names(const struct ir_rule *r, const struct service_port *sp)
{
	if (!r->nports)
		return true;
	for (size_t i = 0; i < r->nports; i++)
		if (port_named(&r->ports[i], sp))
			return true;
	return false;
}

bool svc_part_fits(const char *part, const struct svc *s, const struct svc_end *e)
{
	while (given(part)) {
		char *end;
		unsigned long proto = strtoul(part, &end, 10), port = strtoul(end + 1, &end, 10),
			      target = strtoul(end + 1, &end, 10);
		bool fits = false;

		for (size_t i = 0; i < s->s.nports && !fits; i++)
			fits = s->s.ports[i].proto == proto && s->s.ports[i].port == port && e->port[i] == target;
		if (!fits)
			return false;
		part = end + 1; /* the comma: the text is our own */
	}
	return true;
}

/* Text of an end's part for the ports that a rule names; "" when it serves none of them. */
static char *part_text(const struct ir_rule *r, const struct svc *s, const struct svc_end *e)
{
	size_t size = s->s.nports * PART_ITEM_MAX + 1, n = 0;
	char *t = calloc(1, size);
	bool any = false;

	for (size_t i = 0; t && i < s->s.nports; i++) {
		const struct service_port *sp = &s->s.ports[i];

		if (!rule_names(r, sp))
			continue;
		any |= e->port[i] != 0;
		n += (size_t)snprintf(t + n, size - n, "%u/%u=%u,", sp->proto, sp->port, e->port[i]);
	}
	if (t && !any)
		*t = 0;
	return t;
}

/* ---- one-sided rules -------------------------------------------------------------------------------- */

static void *keep(struct svc_irs *x, void *p)
{
	if (p && vec_push(&x->mem, p)) {
		free(p);
		return NULL;
	}
	return p;
}

void svc_irs_done(struct svc_irs *x)
{
	for (size_t i = 0; i < x->mem.n; i++)
		free(x->mem.v[i]);
	vec_done(&x->mem);
	vec_done(&x->irs);
}

struct sels { struct selector *v; size_t n, cap; };

/* The backends of a part: those that are workloads, and the addresses of the others. */
static int backends_push(const struct svc *s, const char *part, struct sels *out)
{
	struct selector pods = { .kind = SEL_SERVICE, .ns = s->s.ns, .service = s->s.name, .fqdn = (char *)part };
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < s->ends.n && !r; i++) {
		const struct svc_end *e = &s->ends.v[i];
		struct selector one = { .kind = SEL_CIDR };

		if (!svc_part_fits(part, s, e))
			continue;
		any |= e->pod != NULL;
		if (e->pod)
			continue;
		one.cidr = (struct prefix){ .addr = e->addr, .v6 = !addr_is_v4(&e->addr) };
		one.cidr.plen = one.cidr.v6 ? 128 : 32;
		r = vec_push(out, one);
	}
	return !r && any ? vec_push(out, pods) : r;
}

/* `from`, with the backends in place of the services. */
static int sources(const struct policy_set *set, const struct selector *v, size_t n, struct sels *out)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		const struct svc *s = v[i].kind == SEL_SERVICE ? service_find(set, v[i].ns, v[i].service) : NULL;

		if (v[i].kind != SEL_SERVICE)
			r = vec_push(out, v[i]);
		else if (s)
			r = backends_push(s, "", out);
	}
	return r;
}

/* A rule from `from` to `to` on ports, both directions. Takes over what the lists hold. */
static int pair_push(struct svc_irs *x, const struct ir_rule base[2], const struct sels *from, const struct sels *to,
		     const struct port_spec *ports, size_t nports)
{
	int r = 0;

	for (int side = 0; side < 2 && !r; side++) {
		struct ir_rule ir = base[side];
		const struct sels *sub = side == CW_EGRESS ? from : to, *peer = side == CW_EGRESS ? to : from;

		ir.subjects = sub->v;
		ir.nsubjects = sub->n;
		ir.peers = peer->v;
		ir.npeers = peer->n;
		ir.ports = ports;
		ir.nports = nports;
		r = vec_push(&x->irs, ir);
	}
	return r;
}

static int part_push(struct svc_irs *x, const struct ir_rule base[2], const struct sels *from, const struct svc *s,
		     const char *part, const struct svc_end *e)
{
	struct port_spec *ports = keep(x, calloc(s->s.nports + 1, sizeof(*ports)));
	struct sels to = {};
	size_t n = 0;
	int r = ports ? 0 : -ENOMEM;

	for (size_t i = 0; i < s->s.nports && !r; i++)
		if (e->port[i] && rule_names(&base[0], &s->s.ports[i]))
			ports[n++] = (struct port_spec){ .kind = PORT_RANGE, .proto = s->s.ports[i].proto,
							 .from = e->port[i], .to = e->port[i] };
	r = r ?: backends_push(s, part, &to);
	if (to.v && !keep(x, to.v))
		r = -ENOMEM;
	return r ?: pair_push(x, base, from, &to, ports, n);
}

static int service_push(struct svc_irs *x, const struct ir_rule base[2], const struct sels *from, const struct svc *s)
{
	struct htab *seen = htab_new();
	int r = seen ? 0 : -ENOMEM;

	for (size_t i = 0; i < s->ends.n && !r; i++) {
		char *part = keep(x, part_text(&base[0], s, &s->ends.v[i]));

		if (!part)
			r = -ENOMEM;
		else if (*part && !htab_has(seen, part, strlen(part)))
			r = htab_set(seen, part, strlen(part), part, NULL) ?:
				    part_push(x, base, from, s, part, &s->ends.v[i]);
	}
	htab_free(seen, NULL);
	return r;
}

int service_rule_expand(struct policy_set *set, const struct rule *r, const struct ir_rule base[2],
			struct svc_irs *ret)
{
	struct sels from = {}, plain = {};
	int err = sources(set, r->from, r->nfrom, &from);

	if (from.v && !keep(ret, from.v))
		err = err ?: -ENOMEM;
	for (size_t i = 0; i < r->nto && !err; i++)
		if (r->to[i].kind != SEL_SERVICE)
			err = vec_push(&plain, r->to[i]);
	if (plain.v && !keep(ret, plain.v))
		err = err ?: -ENOMEM;
	if (!err && plain.n)
		err = pair_push(ret, base, &from, &plain, r->ports, r->nports);
	for (size_t i = 0; i < r->nto && !err; i++) {
		const struct svc *s = r->to[i].kind == SEL_SERVICE ? service_find(set, r->to[i].ns, r->to[i].service) : NULL;

		if (s)
			err = service_push(ret, base, &from, s);
	}
	return err;
}
