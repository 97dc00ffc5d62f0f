/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c - accesses, their members and days. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "flow/book.h"

#define DAY_NS (86400 * 1000000000LL)
#define HOUR_NS (3600 * 1000000000LL)
/* Of our own choosing and never changed: ids must be the same after a restart. */
#define ID_SEED 0x63772d6163636573ull

struct access_name {
	uint64_t src, dst;
	uint32_t axis, zero;
};
struct member_name {
	uint64_t access, src, dst;
	uint64_t family;
};
_Static_assert(sizeof(struct access_name) == 24, "hashed as bytes");
_Static_assert(sizeof(struct member_name) == 32, "hashed as bytes");

void access_free(void *p)
{
	struct access *a = p;

	if (!a)
		return;
	free(a->decided_by);
	free(a->days);
	free(a->members);
	free(a);
}

void book_id(const struct access_book *b, const char *text, size_t len, char ret[ACCESS_ID_MAX])
{
	for (uint64_t seed = ID_SEED;; seed++) {
		char hex[ACCESS_ID_MAX];

		(void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)hash_bytes(seed, text, len));
		for (size_t n = 4; n < ACCESS_ID_MAX; n++) {
			if (htab_has(b->by_id, hex, n) || alert_book_has(b->alerts, hex, n))
				continue;
			memcpy(ret, hex, n);
			ret[n] = '\0';
			return;
		}
	}
}

static struct access_name name_of(const struct access_end *src, const struct access_end *dst, uint8_t proto,
				  uint16_t port)
{
	return (struct access_name){ .src = src->num, .dst = dst->num, .axis = CW_AXIS(proto, port) };
}

struct access *book_access_find(const struct access_book *b, const struct access_end *src,
				const struct access_end *dst, uint8_t proto, uint16_t port)
{
	struct access_name n = name_of(src, dst, proto, port);

	return htab_get(b->by_key, &n, sizeof(n));
}

int book_access_index(struct access_book *b, struct access *a)
{
	struct access_name n = name_of(a->src, a->dst, a->proto, a->port);
	int r;

	r = vec_reserve(&b->accesses, b->accesses.n + 1);
	if (!r)
		r = htab_set(b->ends_seen, &a->src->num, sizeof(a->src->num), (void *)a->src, NULL);
	if (!r)
		r = htab_set(b->ends_seen, &a->dst->num, sizeof(a->dst->num), (void *)a->dst, NULL);
	if (!r)
		r = htab_set(b->by_key, &n, sizeof(n), a, NULL);
	if (r < 0)
		return r;
	r = htab_set(b->by_id, a->id, strlen(a->id), a, NULL);
	if (r < 0) {
		(void)htab_del(b->by_key, &n, sizeof(n));
		return r;
	}
	b->accesses.v[b->accesses.n++] = a;
	if (a->num >= b->next_access)
		b->next_access = a->num + 1;
	return 0;
}

int book_access_new(struct access_book *b, const struct access_end *src, const struct access_end *dst,
		    uint8_t proto, uint16_t port, int64_t first_ns, struct access **ret)
{
	char text[2 * ACCESS_REF_MAX + 32];
	struct access *a = calloc(1, sizeof(*a));
	int n, r;

	if (!a)
		return -ENOMEM;
	n = snprintf(text, sizeof(text), "%s\x1f%s\x1f%u/%u", src->ref, dst->ref, proto, port);
	book_id(b, text, (size_t)n, a->id);
	a->num = b->next_access;
	a->src = src;
	a->dst = dst;
	a->proto = proto;
	a->port = port;
	a->first_ns = a->last_ns = first_ns;
	if (src->kind == ACCESS_UNRESOLVED || dst->kind == ACCESS_UNRESOLVED ||
	    (src->kind == ACCESS_RESERVED && src->reserved == CW_ID_UNKNOWN) ||
	    (dst->kind == ACCESS_RESERVED && dst->reserved == CW_ID_UNKNOWN))
		a->hold = ACCESS_HELD_UNRESOLVED;
	r = vec_reserve(&b->dirty_accesses, b->dirty_accesses.n + 1);
	if (!r)
		r = book_access_index(b, a);
	if (r < 0) {
		access_free(a);
		return r;
	}
	(void)book_mark(&b->dirty_accesses, a); /* room was reserved */
	*ret = a;
	return 0;
}

int book_member_index(struct access_book *b, struct access_member *m)
{
	struct access *a = m->access;
	struct access_member **v;
	struct member_name n;
	int r;

	if (!m->src) {
		if (a->rest)
			return -EEXIST;
		a->rest = m;
		goto out;
	}
	n = (struct member_name){ a->num, m->src->num, m->dst->num, m->family };
	if (htab_has(b->members, &n, sizeof(n)))
		return -EEXIST;
	/* Grown by powers of two; the capacity is not worth a field in each access. */
	if ((a->nmembers & (a->nmembers - 1)) == 0) {
		v = realloc(a->members, (a->nmembers ? a->nmembers * 2 : 1) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		a->members = v;
	}
	r = htab_set(b->members, &n, sizeof(n), m, NULL);
	if (r < 0)
		return r;
	a->members[a->nmembers++] = m;
out:
	b->nmembers++;
	if (m->num >= b->next_member)
		b->next_member = m->num + 1;
	return 0;
}

int book_member(struct access_book *b, struct access *a, const struct access_point *src,
		const struct access_point *dst, uint8_t family, struct access_member **ret)
{
	struct access_member *m = NULL;
	struct member_name n;
	int r;

	if (src && dst) {
		n = (struct member_name){ a->num, src->num, dst->num, family };
		m = htab_get(b->members, &n, sizeof(n));
		if (m) {
			*ret = m;
			return 0;
		}
	}
	if (!src || !dst || a->nmembers >= ACCESS_MEMBERS_MAX || b->nmembers >= ACCESS_MEMBERS_TOTAL) {
		if (a->rest) {
			*ret = a->rest;
			return 0;
		}
		src = dst = NULL;
		family = 0;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->num = b->next_member;
	m->src = src;
	m->dst = dst;
	m->family = family;
	m->access = a;
	r = vec_reserve(&b->dirty_members, b->dirty_members.n + 1);
	if (!r)
		r = book_member_index(b, m);
	if (r < 0) {
		free(m);
		return r;
	}
	(void)book_mark(&b->dirty_members, m); /* room was reserved */
	*ret = m;
	return 0;
}

int book_access_day(struct access *a, int64_t at_ns, const struct access_counts *d)
{
	uint32_t day = at_ns > 0 ? (uint32_t)(at_ns / DAY_NS) : 0;
	struct access_day *v;
	size_t i = a->ndays;

	while (i > 0 && a->days[i - 1].day > day)
		i--;
	if (i == 0 || a->days[i - 1].day != day) {
		if (a->ndays == ACCESS_DAYS_MAX) {
			if (i == 0)
				return 0; /* older than what is kept */
			memmove(a->days, a->days + 1, (a->ndays - 1) * sizeof(*v));
			a->ndays--;
			i--;
		} else {
			v = realloc(a->days, (a->ndays + 1) * sizeof(*v));
			if (!v)
				return -ENOMEM;
			a->days = v;
		}
		memmove(a->days + i + 1, a->days + i, (a->ndays - i) * sizeof(*v));
		a->days[i] = (struct access_day){ .day = day };
		a->ndays++;
		i++;
	}
	v = &a->days[i - 1];
	v->hours |= 1u << (at_ns > 0 ? at_ns % DAY_NS / HOUR_NS : 0);
	v->flows += d->flows;
	v->answered += d->answered;
	v->refused += counts_refused(d);
	return 0;
}
