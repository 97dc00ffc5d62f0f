/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/dns.h"

#include <errno.h>
#include <string.h>

#define HEADER 12u
#define TYPE_A 1u
#define TYPE_AAAA 28u
#define CLASS_IN 1u
#define FLAG_QR 0x80u	/* byte 2: answer */
#define FLAG_AA_RD 0x05u
#define RCODE_NXDOMAIN 3u

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

int dns_query_make(uint16_t id, const char *name, uint8_t family, uint8_t out[DNS_MSG_MAX])
{
	size_t at = HEADER;

	if (!*name || strlen(name) > 253)
		return -EINVAL;
	memset(out, 0, HEADER);
	put16(out, id);
	out[2] = 1; /* recursion desired */
	put16(out + 4, 1);
	while (*name) {
		size_t n = strcspn(name, ".");

		if (!n || n > 63)
			return -EINVAL;
		out[at++] = (uint8_t)n;
		memcpy(out + at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	out[at++] = 0;
	put16(out + at, family == 4 ? TYPE_A : TYPE_AAAA);
	put16(out + at + 2, CLASS_IN);
	return (int)at + 4;
}

/* End of the first question, or 0. Names in questions are not compressed. */
static size_t question_end(const uint8_t *msg, size_t len)
{
	size_t at = HEADER;

	if (len < HEADER || len > DNS_MSG_MAX || get16(msg + 4) != 1)
		return 0;
	while (at < len && msg[at]) {
		if (msg[at] > 63)
			return 0;
		at += 1u + msg[at];
	}
	return at + 5 <= len ? at + 5 : 0;
}

int dns_query_read(const uint8_t *msg, size_t len, char name[DNS_NAME_MAX], uint8_t *ret_family)
{
	size_t end = question_end(msg, len), to = 0;
	unsigned type;

	if (!end || msg[2] & FLAG_QR || end - 5 - HEADER >= DNS_NAME_MAX)
		return -EBADMSG;
	for (size_t at = HEADER; msg[at]; at += 1u + msg[at]) {
		if (to)
			name[to++] = '.';
		for (size_t i = 1; i <= msg[at]; i++) {
			if (msg[at + i] < 0x21 || msg[at + i] > 0x7e)
				return -EBADMSG;
			name[to++] = (char)msg[at + i];
		}
	}
	name[to] = '\0';
	type = get16(msg + end - 4);
	*ret_family = get16(msg + end - 2) != CLASS_IN ? 0 : type == TYPE_A ? 4 : type == TYPE_AAAA ? 6 : 0;
	return 0;
}

int dns_answer_make(const uint8_t *query, size_t len, uint8_t family, const uint8_t *addr,
		    uint8_t out[DNS_MSG_MAX])
{
	size_t end = question_end(query, len), size = family == 4 ? 4 : 16;

	if (!end || end + 12 + 16 > DNS_MSG_MAX)
		return -EBADMSG;
	memcpy(out, query, end);
	out[2] = FLAG_QR | FLAG_AA_RD;
	out[3] = addr ? 0x80 : 0x80 | RCODE_NXDOMAIN;
	memset(out + 6, 0, 6);
	if (!addr)
		return (int)end;
	put16(out + 6, 1);
	put16(out + end, 0xc000u | HEADER); /* the name of the question */
	put16(out + end + 2, family == 4 ? TYPE_A : TYPE_AAAA);
	put16(out + end + 4, CLASS_IN);
	memset(out + end + 6, 0, 4);
	out[end + 9] = 30; /* seconds to live */
	put16(out + end + 10, (unsigned)size);
	memcpy(out + end + 12, addr, size);
	return (int)(end + 12 + size);
}

bool dns_answer_ok(const uint8_t *msg, size_t len, uint16_t id)
{
	return question_end(msg, len) && get16(msg) == id && msg[2] & FLAG_QR && !(msg[3] & 15) && get16(msg + 6);
}
