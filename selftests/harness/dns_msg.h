/* SPDX-License-Identifier: Apache-2.0 */
/* dns_msg.h - DNS messages for tests, byte by byte; what a test wants broken it breaks afterwards. */
#pragma once

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DNS_MSG_SIZE 3800u
#define DNS_ANSWER 0x8180u /* QR, RD, RA */
#define DNS_QUERY 0x0100u

struct dns_msg {
	unsigned char b[DNS_MSG_SIZE];
	size_t n;
};

static inline void dns_bytes(struct dns_msg *m, const void *p, size_t n)
{
	if (m->n + n > sizeof(m->b))
		abort();
	memcpy(m->b + m->n, p, n);
	m->n += n;
}

static inline void dns_u16(struct dns_msg *m, unsigned v)
{
	unsigned char b[2] = { (unsigned char)(v >> 8), (unsigned char)v };

	dns_bytes(m, b, 2);
}

/* "a.b" as labels; "" is the root. */
static inline void dns_labels(struct dns_msg *m, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");
		unsigned char len = (unsigned char)n;

		dns_bytes(m, &len, 1);
		dns_bytes(m, name, n);
		name += n + (name[n] == '.');
	}
	dns_bytes(m, "", 1);
}

/* Header and one question. */
static inline void dns_begin(struct dns_msg *m, uint16_t id, unsigned flags, const char *name, unsigned type)
{
	m->n = 0;
	dns_u16(m, id);
	dns_u16(m, flags);
	dns_u16(m, 1);
	dns_u16(m, 0);
	dns_u16(m, 0);
	dns_u16(m, 0);
	dns_labels(m, name);
	dns_u16(m, type);
	dns_u16(m, 1);
}

static inline void dns_answers(struct dns_msg *m, unsigned n)
{
	m->b[6] = (unsigned char)(n >> 8);
	m->b[7] = (unsigned char)n;
}

/* A record; owner NULL points to the question's name. Counts itself. */
static inline void dns_record(struct dns_msg *m, const char *owner, unsigned type, uint32_t ttl, const void *data, size_t n)
{
	if (owner)
		dns_labels(m, owner);
	else
		dns_u16(m, 0xc00c);
	dns_u16(m, type);
	dns_u16(m, 1);
	dns_u16(m, ttl >> 16);
	dns_u16(m, ttl & 0xffff);
	dns_u16(m, (unsigned)n);
	dns_bytes(m, data, n);
	dns_answers(m, ((unsigned)m->b[6] << 8 | m->b[7]) + 1);
}

/* By the form of the address. */
static inline void dns_addr(struct dns_msg *m, const char *owner, const char *addr, uint32_t ttl)
{
	unsigned char b[16];

	if (inet_pton(AF_INET, addr, b) == 1)
		dns_record(m, owner, 1, ttl, b, 4);
	else if (inet_pton(AF_INET6, addr, b) == 1)
		dns_record(m, owner, 28, ttl, b, 16);
	else
		abort();
}

static inline void dns_cname(struct dns_msg *m, const char *owner, const char *to, uint32_t ttl)
{
	struct dns_msg t = { .n = 0 };

	dns_labels(&t, to);
	dns_record(m, owner, 5, ttl, t.b, t.n);
}
