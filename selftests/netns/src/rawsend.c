/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rawsend.c - what a process with NET_RAW can do: rawsend IFACE DSTMAC SRC DST PORT COUNT sends UDP
 * datagrams over IPv4 by a packet socket that skips the queueing layer, and egress hooks with it.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	char data[32];
} __attribute__((packed));

static uint16_t sum(const void *p, size_t n)
{
	uint32_t s = 0;

	for (size_t i = 0; i + 1 < n; i += 2) {
		uint16_t v;

		memcpy(&v, (const char *)p + i, 2);
		s += v;
	}
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6, .sll_protocol = htons(ETH_P_IP) };
	struct frame f = { .eth.ether_type = htons(ETH_P_IP) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, sent = 0, count;
	unsigned m[6];
	struct ifreq r = { 0 };

	if (argc != 7 || sscanf(argv[2], "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) {
		fprintf(stderr, "usage: rawsend IFACE DSTMAC SRC DST PORT COUNT\n");
		return 2;
	}
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", argv[1]);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &r) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one))) {
		perror("rawsend");
		return 1;
	}
	memcpy(f.eth.ether_shost, r.ifr_hwaddr.sa_data, 6);
	for (int i = 0; i < 6; i++)
		f.eth.ether_dhost[i] = to.sll_addr[i] = (uint8_t)m[i];
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	f.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
			       .tot_len = htons(sizeof(f) - sizeof(f.eth)),
			       .saddr = inet_addr(argv[3]), .daddr = inet_addr(argv[4]) };
	f.ip.check = sum(&f.ip, sizeof(f.ip));
	f.udp = (struct udphdr){ .source = htons(40404), .dest = htons((uint16_t)strtoul(argv[5], NULL, 10)),
				 .len = htons(sizeof(f.udp) + sizeof(f.data)) };
	count = (int)strtol(argv[6], NULL, 10);
	for (int i = 0; i < count; i++) {
		sent += sendto(fd, &f, sizeof(f), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(f);
		usleep(1000);
	}
	printf("sent %d\n", sent);
	return 0;
}
