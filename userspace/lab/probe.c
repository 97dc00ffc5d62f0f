/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/probe.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "base/addr.h"

#define MARK 0x6c616270u /* acknowledgement number of a scan; the next one: forged */
#define TCP_LEN 20u
#define SYN 0x02u
#define ACK 0x10u

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Internet checksum over an even number of bytes (RFC 1071). */
static uint32_t sum_of(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static unsigned fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

size_t probe_make(enum probe_kind kind, const struct addr *src, const struct addr *dst, uint16_t sport,
		  uint16_t dport, uint8_t out[PROBE_LEN_MAX])
{
	bool v4 = addr_is_v4(dst);
	size_t ip = v4 ? 20 : 40, alen = v4 ? 4 : 16, aoff = v4 ? 12 : 0;
	uint8_t *tcp = out + ip;
	uint32_t sum;

	memset(out, 0, ip + TCP_LEN);
	if (v4) {
		out[0] = 0x45;
		put16(out + 2, (unsigned)(ip + TCP_LEN));
		out[8] = 64;
		out[9] = IPPROTO_TCP;
	} else {
		out[0] = 0x60;
		put16(out + 4, TCP_LEN);
		out[6] = IPPROTO_TCP;
		out[7] = 64;
	}
	memcpy(out + (v4 ? 12 : 8), src->b + aoff, alen);
	memcpy(out + (v4 ? 16 : 24), dst->b + aoff, alen);
	if (v4)
		put16(out + 10, fold(sum_of(out, ip, 0)));
	put16(tcp, sport);
	put16(tcp + 2, dport);
	put32(tcp + 4, (uint32_t)sport << 16 | dport);
	put32(tcp + 8, MARK + (kind == PROBE_FORGED));
	tcp[12] = TCP_LEN / 4 << 4;
	tcp[13] = SYN;
	put16(tcp + 14, 1024);
	sum = sum_of(out + (v4 ? 12 : 8), 2 * alen, IPPROTO_TCP + TCP_LEN);
	put16(tcp + 16, fold(sum_of(tcp, TCP_LEN, sum)));
	return ip + TCP_LEN;
}

enum probe_kind probe_read(const uint8_t *p, size_t len)
{
	size_t ip;
	uint32_t mark;

	if (len < 20)
		return PROBE_NONE;
	if (p[0] >> 4 == 4) {
		ip = (p[0] & 15u) * 4u;
		if (ip < 20 || p[9] != IPPROTO_TCP || ((p[6] & 0x1f) | p[7]))
			return PROBE_NONE;
	} else if (p[0] >> 4 == 6) {
		ip = 40;
		if (len < ip || p[6] != IPPROTO_TCP)
			return PROBE_NONE;
	} else {
		return PROBE_NONE;
	}
	if (len < ip + TCP_LEN || (p[ip + 13] & (SYN | ACK)) != SYN)
		return PROBE_NONE;
	mark = get32(p + ip + 8);
	return mark == MARK ? PROBE_SCAN : mark == MARK + 1 ? PROBE_FORGED : PROBE_NONE;
}
