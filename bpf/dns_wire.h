/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * dns_wire.h - DNS messages as far as the data path reads them (RFC 1035, 4.1): the one question,
 * and the addresses among the answers. No maps; compiles for the host too.
 *
 * Names of records are skipped, never followed: every address of an answer is the question's, also
 * behind aliases. What is read lies in struct cw_dns_msg, not in registers: the verifier then walks
 * each loop once.
 */
#pragma once

#include "cw_dns.h"
#include "parse.h"

#define CW_DNS_HEAD 12u
#define CW_DNS_WIRE 256u	/* a name on the wire has at most 255 bytes */
#define CW_DNS_LABELS 128u	/* in one name */
#define CW_DNS_RECORDS_MAX 64u	/* walked in one answer: 32 addresses and a long chain of aliases */
#define CW_DNS_TTL_MAX 604800u	/* a week; jiffies are compared in 32 bits */

#define CW_DNS_F_ANSWER 0x8000u
#define CW_DNS_F_OPCODE 0x7800u
#define CW_DNS_F_CUT 0x0200u	/* TC: the rest is to be had over TCP */
#define CW_DNS_F_RCODE 0x000fu

#define CW_DNS_A 1u
#define CW_DNS_AAAA 28u
#define CW_DNS_IN 1u

struct cw_dns_head { __be16 id, flags, questions, answers, others[2]; };

struct cw_dns_msg {
	union {
		char text[CW_DNS_TEXT]; /* the question's name */
		__u64 words[CW_DNS_TEXT / 8];
	};
	__u8 wire[CW_DNS_WIRE];	/* the message from the question on */
	__u32 have;		/* bytes of wire that are the message's */
	__u32 off, end;		/* next byte to read, first byte behind; from the start of the frame */
	__u32 left;		/* records still to come */
	__u32 ttl;		/* of the record just read */
	__u8 addr[16];		/* likewise */
	__u8 len;		/* of text */
	__u8 whole;		/* the frame has all that the UDP header says */
	__u8 label;		/* bytes of the label still to come */
	__u8 pad[5];
};

/* The UDP header and the DNS header behind it. 0; -1: not a DNS message. */
CW_INLINE int cw_dns_open(cw_ctx *ctx, struct cw_dns_msg *m, __u32 l4, struct cw_dns_head *h)
{
	__u32 frame = CW_LEN(ctx), n;
	__be16 udp[4];

	if (CW_LOAD(ctx, l4, udp, sizeof(udp)))
		return -1;
	n = cw_ntohs(udp[2]);
	if (n < sizeof(udp) + sizeof(*h))
		return -1;
	m->off = l4 + sizeof(udp) + CW_DNS_HEAD;
	m->end = l4 + n;
	m->whole = !CW_IS_GSO(ctx); /* several messages in one: only the first is read */
	if (m->end > frame) {
		m->end = frame;
		m->whole = 0;
	}
	if (m->off > m->end || CW_LOAD(ctx, l4 + sizeof(udp), h, sizeof(*h)))
		return -1;
	m->left = cw_ntohs(h->answers);
	return 0;
}

/* Reads the bytes that hold the question's name. 0 or -1. */
CW_INLINE int cw_dns_fetch(cw_ctx *ctx, struct cw_dns_msg *m)
{
	__u32 n = m->end - m->off;

	if (m->end <= m->off)
		return -1;
	if (n > sizeof(m->wire))
		n = sizeof(m->wire);
	if (n < 1 || n > sizeof(m->wire) || CW_LOAD(ctx, m->off, m->wire, n))
		return -1;
	m->have = n;
	return 0;
}

/*
 * The name in m->wire into m->text, lower case, and m->off behind the question. 0; -1: compressed,
 * cut, or with bytes that no rule's name can have (dots inside labels among them).
 */
CW_INLINE int cw_dns_name_read(struct cw_dns_msg *m)
{
	volatile __u8 *left = &m->label; /* in memory: the verifier sees one state, not 64 */
	__u32 i;

	m->len = 0;
	*left = 0;
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (i = 0; i < CW_DNS_TEXT / 8; i++)
		m->words[i] = 0;
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (i = 0; i < CW_DNS_WIRE; i++) {
		__u8 c = m->wire[i];

		if (!*left) {
			if (!c)
				break;
			if (c > 63)
				return -1;
			*left = c;
			c = '.';
		} else {
			--*left;
			if (c <= ' ' || c > '~' || c == '.')
				return -1;
			c |= (__u8)(((__u8)(c - 'A') < 26) << 5);
		}
		if (i)
			m->text[i - 1] = (char)c;
	}
	/* Its end, type and class. The root is nobody's name. */
	if (i < 2 || i >= m->have || i - 1 > CW_DNS_NAME_MAX || m->off + i + 5 > m->end)
		return -1;
	m->len = (__u8)(i - 1);
	m->off += i + 5;
	return 0;
}

/* m->off behind a name. 0 or -1. */
CW_INLINE int cw_dns_skip(cw_ctx *ctx, struct cw_dns_msg *m)
{
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < CW_DNS_LABELS; i++) {
		__u32 off = m->off;
		__u8 n;

		if (off >= m->end || CW_LOAD(ctx, off, &n, 1))
			return -1;
		if (n >= 0xc0) {
			m->off = off + 2;
			return 0;
		}
		if (n > 63)
			return -1;
		m->off = off + 1 + n;
		if (!n)
			return 0;
	}
	return -1;
}

/* Reads one record. 1: an address, in m->addr with m->ttl; 0: another; -1: not readable. */
CW_INLINE int cw_dns_record_read(cw_ctx *ctx, struct cw_dns_msg *m)
{
	struct { __be16 type, class, ttl[2], len; } r;
	__u32 off = m->off, len, ttl;

	/* Most names are two bytes that point back. */
	if (off + 2 > m->end || CW_LOAD(ctx, off, m->wire, 2))
		return -1;
	if (m->wire[0] >= 0xc0)
		m->off = off + 2;
	else if (cw_dns_skip(ctx, m))
		return -1;
	off = m->off;
	if (off + sizeof(r) > m->end || CW_LOAD(ctx, off, &r, sizeof(r)))
		return -1;
	off += sizeof(r);
	len = cw_ntohs(r.len);
	if (off + len > m->end)
		return -1;
	m->off = off + len;
	ttl = (__u32)cw_ntohs(r.ttl[0]) << 16 | cw_ntohs(r.ttl[1]);
	if (ttl & 0x80000000u) /* RFC 2181, 8 */
		ttl = 0;
	m->ttl = ttl < CW_DNS_TTL_MAX ? ttl : CW_DNS_TTL_MAX;
	if (cw_ntohs(r.class) != CW_DNS_IN)
		return 0;
	if (cw_ntohs(r.type) == CW_DNS_A && len == 4) {
		__builtin_memset(m->addr, 0, 10);
		m->addr[10] = m->addr[11] = 0xff;
		return CW_LOAD(ctx, off, m->addr + 12, 4) ? -1 : 1;
	}
	if (cw_ntohs(r.type) == CW_DNS_AAAA && len == 16)
		return CW_LOAD(ctx, off, m->addr, 16) ? -1 : 1;
	return 0;
}

/*
 * The text backwards, with zeros behind: what patterns are compared with. Without a branch, since
 * the verifier would follow every length of its own: beyond the first letter the index wraps round to
 * the zeros that stand behind the text.
 */
CW_INLINE void cw_dns_reverse(const struct cw_dns_msg *m, char to[CW_DNS_TEXT])
{
	__u32 at = m->len;

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < CW_DNS_TEXT; i++) {
		at--;
		to[i] = m->text[at & (CW_DNS_TEXT - 1)];
	}
}
