/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.c - counts numbered packets on one interface with a packet socket, until SIGTERM.
 *
 * usage: counter IFACE READYFILE [rst|icmp]
 * Output, one line a stream: "stream S in N out N distinct N max N"; then "dropped N" (by the
 * socket: must be 0 for the figures to count). With a third word, packets of that kind that come
 * in are counted too: "rst N", with their checksums verified: "badsum N".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

struct stream { uint64_t in, out, distinct; uint32_t max; uint8_t *seen; };
static struct stream streams[WIRE_STREAMS];
static uint64_t rsts, prohibited, bad_sums;
static volatile sig_atomic_t stop;

static void on_term(int s)
{
	(void)s;
	stop = 1;
}

static uint32_t sum16(const void *p, size_t n, uint32_t s)
{
	const uint8_t *b = p;

	for (; n > 1; b += 2, n -= 2)
		s += (uint32_t)b[0] << 8 | b[1];
	return n ? s + ((uint32_t)b[0] << 8) : s;
}

static bool sum_ok(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s == 0xffff;
}

/* Checksums of a whole packet: IPv4 header, and TCP, ICMP or ICMPv6. */
static void take_answer(const uint8_t *p, size_t n)
{
	const struct ip *ip = (const void *)p;
	const struct ip6_hdr *ip6 = (const void *)p;
	bool v6 = n && p[0] >> 4 == 6;
	size_t hl, len;
	uint8_t proto;
	uint32_t s;

	if (n < 20 || (v6 && n < 40))
		return;
	hl = v6 ? 40 : ip->ip_hl * 4u;
	len = v6 ? ntohs(ip6->ip6_plen) + 40u : ntohs(ip->ip_len);
	proto = v6 ? ip6->ip6_nxt : ip->ip_p;
	if (len > n || len < hl)
		return;
	s = v6 ? sum16(p + 8, 32, 0) : sum16(p + 12, 8, 0);
	s += proto + (uint32_t)(len - hl);
	if (proto == IPPROTO_TCP && len >= hl + 20 && ((const struct tcphdr *)(p + hl))->rst) {
		rsts++;
		s = sum16(p + hl, len - hl, s);
	} else if (proto == IPPROTO_ICMP && !v6 && len >= hl + 8 && p[hl] == ICMP_UNREACH &&
		   (p[hl + 1] == ICMP_UNREACH_FILTER_PROHIB || p[hl + 1] == ICMP_UNREACH_HOST_PROHIB ||
		    p[hl + 1] == ICMP_UNREACH_NET_PROHIB)) {
		prohibited++;
		s = sum16(p + hl, len - hl, 0);
	} else if (proto == IPPROTO_ICMPV6 && v6 && len >= hl + 8 && p[hl] == ICMP6_DST_UNREACH &&
		   p[hl + 1] == ICMP6_DST_UNREACH_ADMIN) {
		prohibited++;
		s = sum16(p + hl, len - hl, s);
	} else {
		return;
	}
	if (!sum_ok(s) || (!v6 && !sum_ok(sum16(p, hl, 0))))
		bad_sums++;
}

static void take(const uint8_t *p, size_t n, bool out)
{
	/* Where the number is: after Ethernet or not, IPv4 or IPv6 with or without options, UDP. It is
	 * looked for at every even offset, as the length of headers is what the tests vary. */
	for (size_t i = 20; i + sizeof(struct wire) <= n && i < 160; i += 2) {
		struct wire w;
		uint32_t st, seq;
		struct stream *s;

		memcpy(&w, p + i, sizeof(w));
		if (ntohl(w.magic) != WIRE_MAGIC)
			continue;
		st = ntohl(w.stream);
		seq = ntohl(w.seq);
		if (st >= WIRE_STREAMS || seq >= WIRE_SEQS)
			return;
		s = &streams[st];
		if (out)
			s->out++;
		else
			s->in++;
		if (!s->seen)
			s->seen = calloc(1, WIRE_SEQS / 8);
		if (s->seen && !(s->seen[seq / 8] & 1u << seq % 8)) {
			s->seen[seq / 8] |= (uint8_t)(1u << seq % 8);
			s->distinct++;
		}
		if (seq > s->max)
			s->max = seq;
		return;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct sigaction sa = { .sa_handler = on_term };
	struct tpacket_stats st = { 0 };
	socklen_t sl = sizeof(st);
	static uint8_t buf[65536];
	int big = 64 << 20, fd;
	FILE *ready;

	if (argc < 3) {
		fprintf(stderr, "usage: counter IFACE READYFILE [answers]\n");
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	fd = socket(AF_PACKET, SOCK_DGRAM, 0);
	ll.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (fd < 0 || !ll.sll_ifindex || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)) ||
	    bind(fd, (struct sockaddr *)&ll, sizeof(ll))) {
		fprintf(stderr, "counter: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	ready = fopen(argv[2], "w");
	if (ready)
		fclose(ready);
	for (;;) {
		struct sockaddr_ll from;
		socklen_t fl = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), stop ? MSG_DONTWAIT : 0, (struct sockaddr *)&from, &fl);

		if (n < 0) {
			if (stop)
				break; /* what had come by then is read */
			continue;
		}
		take(buf, (size_t)n, from.sll_pkttype == PACKET_OUTGOING);
		if (argc > 3 && from.sll_pkttype != PACKET_OUTGOING)
			take_answer(buf, (size_t)n);
	}
	for (unsigned i = 0; i < WIRE_STREAMS; i++)
		if (streams[i].in || streams[i].out)
			printf("stream %u in %llu out %llu distinct %llu max %u\n", i, (unsigned long long)streams[i].in,
			       (unsigned long long)streams[i].out, (unsigned long long)streams[i].distinct,
			       streams[i].max);
	if (argc > 3)
		printf("rst %llu\nprohibited %llu\nbadsum %llu\n", (unsigned long long)rsts,
		       (unsigned long long)prohibited, (unsigned long long)bad_sums);
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &sl);
	printf("dropped %u\n", st.tp_drops);
	return 0;
}
