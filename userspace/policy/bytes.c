/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "policy/set.h"

void bytes_put(struct bytes *b, const void *p, size_t n)
{
	if (__builtin_expect(b->cap - b->n < n, 0)) {
		if (b->err)
			return;
		if (vec_reserve(b, b->n + n)) {
			b->err = -ENOMEM;
			b->n = b->cap = 0; /* nothing fits from here on */
			return;
		}
	}
	if (n)
		memcpy(b->v + b->n, p, n);
	b->n += n;
}

void bytes_u32(struct bytes *b, uint32_t x)
{
	bytes_put(b, &x, sizeof(x));
}

void bytes_str(struct bytes *b, const char *s)
{
	uint32_t n = s && *s ? (uint32_t)strlen(s) : 0;

	bytes_put(b, &n, sizeof(n));
	if (n)
		bytes_put(b, s, n);
}

void bytes_labels(struct bytes *b, const struct labels *l)
{
	bytes_u32(b, (uint32_t)l->n);
	for (size_t i = 0; i < l->n; i++) {
		bytes_str(b, l->v[i].key);
		bytes_str(b, l->v[i].value);
	}
}

static void bytes_label_selector(struct bytes *b, const struct label_selector *s)
{
	bytes_u32(b, s->set);
	if (!s->set)
		return;
	bytes_labels(b, &s->match);
	bytes_u32(b, (uint32_t)s->nexprs);
	for (size_t i = 0; i < s->nexprs; i++) {
		bytes_str(b, s->exprs[i].key);
		bytes_u32(b, s->exprs[i].op);
		bytes_u32(b, (uint32_t)s->exprs[i].nvalues);
		for (size_t k = 0; k < s->exprs[i].nvalues; k++)
			bytes_str(b, s->exprs[i].values[k]);
	}
}

static void bytes_prefix(struct bytes *b, const struct prefix *p)
{
	bytes_put(b, p->addr.b, 16);
	bytes_put(b, &p->plen, 1);
	bytes_put(b, &p->v6, 1);
}

void bytes_selector(struct bytes *b, const struct selector *s)
{
	bytes_u32(b, s->kind);
	bytes_str(b, s->ns);
	bytes_label_selector(b, &s->ns_labels);
	bytes_label_selector(b, &s->labels);
	bytes_str(b, s->controller_kind);
	bytes_str(b, s->controller_name);
	bytes_str(b, s->service_account);
	bytes_str(b, s->pod);
	bytes_str(b, s->pod_uid);
	bytes_str(b, s->service);
	bytes_str(b, s->fqdn);
	bytes_u32(b, s->reserved);
	if (s->kind != SEL_CIDR)
		return;
	bytes_prefix(b, &s->cidr);
	bytes_u32(b, (uint32_t)s->nexcept);
	for (size_t i = 0; i < s->nexcept; i++)
		bytes_prefix(b, &s->except[i]);
}

void bytes_port(struct bytes *b, const struct port_spec *p)
{
	bytes_u32(b, p->kind);
	bytes_u32(b, p->proto);
	bytes_u32(b, (uint32_t)p->from << 16 | p->to);
	bytes_u32(b, (uint32_t)p->icmp_type);
	bytes_u32(b, (uint32_t)p->icmp_code);
	bytes_str(b, p->name);
}
