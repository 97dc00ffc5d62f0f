/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strparse.h"

static const uint8_t v4_head[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool addr_is_v4(const struct addr *a)
{
	return memcmp(a->b, v4_head, sizeof(v4_head)) == 0;
}

bool addr_is_zero(const struct addr *a)
{
	static const struct addr zero;

	return memcmp(a, &zero, sizeof(zero)) == 0;
}

bool addr_is_global(const struct addr *a)
{
	static const uint8_t loopback[16] = { [15] = 1 };
	const uint8_t *b = a->b + 12;

	if (addr_is_v4(a))
		return b[0] && b[0] != 127 && b[0] < 224 && !(b[0] == 169 && b[1] == 254);
	return !addr_is_zero(a) && a->b[0] != 0xff && !(a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80) &&
	       memcmp(a->b, loopback, sizeof(loopback));
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

int addr_parse(const char *s, struct addr *ret)
{
	struct addr a = {};

	/* inet_pton accepts neither leading zeros nor fewer than four parts nor zones. */
	if (!strchr(s, ':')) {
		memcpy(a.b, v4_head, sizeof(v4_head));
		if (inet_pton(AF_INET, s, a.b + 12) != 1)
			return -EINVAL;
	} else if (inet_pton(AF_INET6, s, a.b) != 1 || addr_is_v4(&a)) {
		return -EINVAL; /* a mapped address would be a second spelling of IPv4 */
	}
	*ret = a;
	return 0;
}

const char *addr_str(const struct addr *a, char out[ADDR_STR_MAX])
{
	static const uint8_t zero[12];
	unsigned hi = (unsigned)a->b[12] << 8 | a->b[13], lo = (unsigned)a->b[14] << 8 | a->b[15];

	if (addr_is_v4(a))
		return inet_ntop(AF_INET, a->b + 12, out, ADDR_STR_MAX);
	/* glibc writes the deprecated compatible form as ::a.b.c.d; RFC 5952 wants hex there. */
	if (memcmp(a->b, zero, sizeof(zero)) == 0 && hi) {
		snprintf(out, ADDR_STR_MAX, "::%x:%x", hi, lo);
		return out;
	}
	return inet_ntop(AF_INET6, a->b, out, ADDR_STR_MAX);
}

/* First byte and bit of the family within the 16-byte form. */
static unsigned family_bits(const struct prefix *p)
{
	return p->v6 ? 0 : 96;
}

static bool bits_equal(const struct addr *a, const struct addr *b, unsigned n)
{
	uint8_t mask = (uint8_t)(0xff00u >> (n % 8));

	if (memcmp(a->b, b->b, n / 8) != 0)
		return false;
	return n % 8 == 0 || ((a->b[n / 8] ^ b->b[n / 8]) & mask) == 0;
}

int prefix_parse(const char *s, struct prefix *ret)
{
	const char *slash = strchr(s, '/');
	char text[ADDR_STR_MAX];
	struct prefix p = {};
	struct addr net = {};
	uint32_t plen, max;
	size_t n = slash ? (size_t)(slash - s) : strlen(s);
	unsigned bits;
	int r;

	if (n >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, n);
	text[n] = '\0';
	r = addr_parse(text, &p.addr);
	if (r < 0)
		return r;
	p.v6 = !addr_is_v4(&p.addr);
	max = p.v6 ? 128 : 32;
	plen = max;
	if (slash) {
		r = parse_u32(slash + 1, 0, max, &plen);
		if (r < 0)
			return r;
	}
	p.plen = (uint8_t)plen;
	bits = family_bits(&p) + plen;
	memcpy(net.b, p.addr.b, bits / 8);
	if (bits % 8)
		net.b[bits / 8] = p.addr.b[bits / 8] & (uint8_t)(0xff00u >> (bits % 8));
	if (addr_cmp(&net, &p.addr) != 0)
		return -EDOM;
	*ret = p;
	return 0;
}

const char *prefix_str(const struct prefix *p, char out[PREFIX_STR_MAX])
{
	char a[ADDR_STR_MAX] = "";

	addr_str(&p->addr, a);
	snprintf(out, PREFIX_STR_MAX, "%s/%u", a, p->plen);
	return out;
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
	if (addr_is_v4(a) == (bool)p->v6)
		return false;
	return bits_equal(&p->addr, a, family_bits(p) + p->plen);
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->v6 == inner->v6 && outer->plen <= inner->plen &&
	       bits_equal(&outer->addr, &inner->addr, family_bits(outer) + outer->plen);
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	int r;

	if (a->v6 != b->v6)
		return a->v6 ? 1 : -1;
	r = addr_cmp(&a->addr, &b->addr);
	return r ? r : (int)a->plen - (int)b->plen;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int mac_parse(const char *s, uint8_t ret[6])
{
	uint8_t m[6];

	for (int i = 0; i < 6; i++, s += 3) {
		int hi = hex(s[0]), lo = hi < 0 ? -1 : hex(s[1]);

		if (lo < 0 || s[2] != (i == 5 ? '\0' : ':'))
			return -EINVAL;
		m[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(ret, m, sizeof(m));
	return 0;
}
