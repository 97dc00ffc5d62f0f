/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard.c - mirrors bpf/guard.h and the refusals of bpf/parse.h: what is allowed or refused
 * whatever the rules say, in enforce, in learn, and under quarantine. */
#include <netinet/in.h>

#include "selftests/prog_run/rig.h"

/* The frame is one of the row's own making; state that it needs is set by the row's policy. */
struct row {
	const char *name;
	void (*make)(struct pkt *p);
	bool from_pod;
	int want;		/* in enforce */
	enum cw_reason reason;
	int quar;		/* in quarantine */
	bool no_event;
};

#define FRAME(name, ...) static void name(struct pkt *p) { __VA_ARGS__ pkt_finish(p); }
#define L2(to_pod) pkt_init(p); pkt_eth(p, to_pod ? MAC_GW : MAC[POD_A], to_pod ? MAC[POD_A] : MAC_GW);
#define OUT(src, dst) L2(0) pkt_ip(p, src, dst);
#define IN(src, dst) L2(1) pkt_ip(p, src, dst);
#define A4 IP4[POD_A]
#define A6 IP6[POD_A]
static const uint8_t EVIL[6] = { 2, 0, 0, 0, 0, 0x66 };
static const unsigned char LSRR[8] = { 131, 7, 4, 10, 0, 0, 9, 0 };

/* ARP */
FRAME(arp_own, L2(0) pkt_arp(p, 1, MAC[POD_A], A4, HOST4);)
FRAME(arp_probe, L2(0) pkt_arp(p, 1, MAC[POD_A], "0.0.0.0", A4);)
FRAME(arp_reply, L2(0) pkt_arp(p, 2, MAC[POD_A], A4, HOST4);)
FRAME(arp_gratuitous, L2(0) pkt_arp(p, 1, MAC[POD_A], A4, A4);)
FRAME(arp_in, L2(1) pkt_arp(p, 2, MAC_GW, HOST4, A4);)
FRAME(arp_forged_ip, L2(0) pkt_arp(p, 2, MAC[POD_A], HOST4, A4);)
FRAME(arp_other_pod, L2(0) pkt_arp(p, 2, MAC[POD_A], IP4[POD_B], A4);)
FRAME(arp_forged_mac, L2(0) pkt_arp(p, 2, EVIL, A4, HOST4);)
FRAME(arp_eth_forged, pkt_init(p); pkt_eth(p, EVIL, MAC_GW); pkt_arp(p, 2, MAC[POD_A], A4, HOST4);)
FRAME(arp_short, L2(0) pkt_ethertype(p, 0x0806); pkt_data(p, 27);)
FRAME(arp_odd, L2(0) pkt_arp(p, 2, MAC[POD_A], A4, HOST4); p->b[18] = 8;)
/* Sources */
FRAME(spoof_pod, OUT(IP4[POD_B], NODE4) pkt_udp(p, 1, 2);)
FRAME(spoof_world, OUT(WORLD4, NODE4) pkt_udp(p, 1, 2);)
FRAME(spoof_zero, OUT("0.0.0.0", NODE4) pkt_udp(p, 1, 2);)
FRAME(spoof6, OUT(IP6[POD_B], NODE6) pkt_tcp(p, 1, 2, PKT_SYN);)
FRAME(spoof_ll6, OUT(LL6[POD_B], NODE6) pkt_tcp(p, 1, 2, PKT_SYN);)
FRAME(spoof_any6, OUT("::", NODE6) pkt_tcp(p, 1, 2, PKT_SYN);)
FRAME(spoof_mac, pkt_init(p); pkt_eth(p, EVIL, MAC_GW); pkt_ip(p, A4, NODE4); pkt_udp(p, 1, 2);)
FRAME(spoof_later, OUT(IP4[POD_B], NODE4) pkt_frag(p, 3, 64, false); pkt_proto(p, 17); pkt_data(p, 8);)
FRAME(not_mine, IN(NODE4, IP4[POD_B]) pkt_udp(p, 1, 2);)
FRAME(not_mine6, IN(NODE6, IP6[POD_B]) pkt_udp(p, 1, 2);)
/* Neighbour discovery and MLD */
FRAME(ns, OUT(LL6[POD_A], "ff02::1:ff00:1") pkt_hops(p, 255); pkt_nd(p, 135, HOST6, MAC[POD_A]);)
FRAME(na, OUT(A6, HOST6) pkt_hops(p, 255); pkt_nd(p, 136, A6, MAC[POD_A]);)
FRAME(dad, OUT("::", "ff02::1:ff00:1") pkt_hops(p, 255); pkt_nd(p, 135, A6, MAC[POD_A]);)
FRAME(rs, OUT(LL6[POD_A], "ff02::2") pkt_hops(p, 255); pkt_icmp(p, 133, 0, 0);)
FRAME(rs_any, OUT("::", "ff02::2") pkt_hops(p, 255); pkt_icmp(p, 133, 0, 0);)
FRAME(ns_in, IN("fe80::9", A6) pkt_hops(p, 255); pkt_nd(p, 135, A6, MAC_GW);)
FRAME(ra_in, IN("fe80::9", "ff02::1") pkt_hops(p, 255); pkt_icmp(p, 134, 0, 0); pkt_data(p, 8);)
FRAME(ns_hop64, OUT(LL6[POD_A], "ff02::1:ff00:1") pkt_hops(p, 64); pkt_nd(p, 135, HOST6, MAC[POD_A]);)
FRAME(ns_in_hop64, IN("fe80::9", A6) pkt_hops(p, 64); pkt_nd(p, 135, A6, MAC_GW);)
FRAME(ns_code, OUT(LL6[POD_A], "ff02::1:ff00:1") pkt_hops(p, 255); pkt_nd(p, 135, HOST6, MAC[POD_A]); p->b[55] = 1;)
FRAME(na_forged, OUT(A6, HOST6) pkt_hops(p, 255); pkt_nd(p, 136, HOST6, MAC[POD_A]);)
FRAME(na_other, OUT(A6, HOST6) pkt_hops(p, 255); pkt_nd(p, 136, IP6[POD_B], MAC[POD_A]);)
FRAME(na_short, OUT(A6, HOST6) pkt_hops(p, 255); pkt_icmp(p, 136, 0, 0); pkt_data(p, 8);)
FRAME(dad_forged, OUT("::", "ff02::1:ff00:1") pkt_hops(p, 255); pkt_nd(p, 135, IP6[POD_B], MAC[POD_A]);)
FRAME(ns_spoof, OUT(IP6[POD_B], "ff02::1:ff00:1") pkt_hops(p, 255); pkt_nd(p, 135, HOST6, MAC[POD_A]);)
FRAME(ns_ext, OUT(LL6[POD_A], "ff02::1:ff00:1") pkt_hops(p, 255); pkt_ext(p, 60, 1); pkt_nd(p, 136, HOST6, MAC[POD_A]);)
FRAME(ra_out, OUT(LL6[POD_A], "ff02::1") pkt_hops(p, 255); pkt_icmp(p, 134, 0, 0); pkt_data(p, 8);)
FRAME(ra_ext, OUT(LL6[POD_A], "ff02::1") pkt_hops(p, 255); pkt_ext(p, 0, 1); pkt_icmp(p, 134, 0, 0); pkt_data(p, 8);)
FRAME(ra_frag, OUT(LL6[POD_A], "ff02::1") pkt_hops(p, 255); pkt_frag(p, 5, 0, true); pkt_ext(p, 60, 1);
      pkt_icmp(p, 134, 0, 0); pkt_data(p, 8);)
FRAME(redirect6, OUT(LL6[POD_A], HOST6) pkt_hops(p, 255); pkt_nd(p, 137, HOST6, MAC[POD_A]);)
FRAME(redirect4, OUT(A4, HOST4) pkt_icmp(p, 5, 1, 0); pkt_data(p, 28);)
FRAME(mld, OUT(LL6[POD_A], "ff02::16") pkt_hops(p, 1); pkt_icmp(p, 143, 0, 0); pkt_data(p, 20);)
FRAME(mld_any, OUT("::", "ff02::16") pkt_hops(p, 1); pkt_icmp(p, 131, 0, 0); pkt_data(p, 16);)
FRAME(mld_in, IN("fe80::9", "ff02::1") pkt_hops(p, 1); pkt_icmp(p, 130, 0, 0); pkt_data(p, 16);)
FRAME(mld_forged, OUT("fe80::9", "ff02::16") pkt_hops(p, 1); pkt_icmp(p, 143, 0, 0); pkt_data(p, 20);)
/* DHCP */
FRAME(dhcp, OUT("0.0.0.0", "255.255.255.255") pkt_udp(p, 68, 67); pkt_data(p, 240);)
FRAME(dhcp_renew, OUT(A4, HOST4) pkt_udp(p, 68, 67); pkt_data(p, 240);)
FRAME(dhcp_rebind, OUT(A4, "255.255.255.255") pkt_udp(p, 68, 67); pkt_data(p, 240);)
FRAME(dhcp_in, IN(HOST4, A4) pkt_udp(p, 67, 68); pkt_data(p, 240);)
FRAME(dhcp_offer, IN(NODE4, "10.0.1.99") pkt_udp(p, 67, 68); pkt_data(p, 240);)
FRAME(dhcp6, OUT(LL6[POD_A], "ff02::1:2") pkt_udp(p, 546, 547); pkt_data(p, 40);)
FRAME(dhcp6_in, IN("fe80::9", LL6[POD_A]) pkt_udp(p, 547, 546); pkt_data(p, 40);)
FRAME(dhcp_tunnel, OUT(A4, WORLD4) pkt_udp(p, 68, 67); pkt_data(p, 240);)
FRAME(dhcp_pod, OUT(A4, IP4[POD_B]) pkt_udp(p, 68, 67); pkt_data(p, 240);)
FRAME(dhcp_spoof, OUT(IP4[POD_B], "255.255.255.255") pkt_udp(p, 68, 67); pkt_data(p, 240);)
FRAME(dhcp_server, OUT(A4, "255.255.255.255") pkt_udp(p, 67, 68); pkt_data(p, 240);)
/* The workload itself, and the node */
FRAME(self, OUT(A4, A4) pkt_tcp(p, 5, 6, PKT_SYN);)
FRAME(self_in, IN(A4, A4) pkt_tcp(p, 5, 6, PKT_SYN);)
FRAME(node_in, IN(HOST4, A4) pkt_tcp(p, 5, 6, PKT_SYN);)
FRAME(node_in6, IN(HOST6, A6) pkt_tcp(p, 5, 6, PKT_SYN);)
FRAME(other_node_in, IN(NODE4, A4) pkt_tcp(p, 5, 6, PKT_SYN);)
FRAME(node_out, OUT(A4, HOST4) pkt_tcp(p, 5, 6, PKT_SYN);)
/* Tunnels */
FRAME(vxlan, OUT(A4, HOST4) pkt_udp(p, 9, 4789); pkt_vxlan(p, 1); pkt_eth(p, EVIL, MAC_GW); pkt_ip(p, WORLD4, A4);
      pkt_udp(p, 1, 2);)
FRAME(vxlan_linux, OUT(A4, NODE4) pkt_udp(p, 9, 8472); pkt_data(p, 40);)
FRAME(geneve, OUT(A6, NODE6) pkt_udp(p, 9, 6081); pkt_data(p, 40);)
FRAME(ipip, OUT(A4, HOST4) pkt_ip(p, WORLD4, IP4[POD_B]); pkt_udp(p, 1, 2);)
FRAME(ip6ip, OUT(A4, HOST4) pkt_ip(p, WORLD6, IP6[POD_B]); pkt_udp(p, 1, 2);)
FRAME(ip4ip6, OUT(A6, HOST6) pkt_ip(p, WORLD4, IP4[POD_B]); pkt_udp(p, 1, 2);)
FRAME(gre, OUT(A4, NODE4) pkt_proto(p, 47); pkt_data(p, 40);)
FRAME(vxlan_pod, OUT(A4, IP4[POD_B]) pkt_udp(p, 9, 4789); pkt_data(p, 40);)
/* What cannot be judged */
FRAME(ipx, L2(0) pkt_ethertype(p, 0x8137); pkt_data(p, 46);)
FRAME(llc_in, L2(1) pkt_ethertype(p, 0x0026); pkt_data(p, 46);)
FRAME(vlan, L2(0) pkt_vlan(p, 5); pkt_ip(p, A4, NODE4); pkt_udp(p, 1, 2);)
FRAME(qinq, L2(0) pkt_ethertype(p, 0x88a8); pkt_data(p, 46);)
FRAME(lsrr, OUT(A4, NODE4) pkt_ip4_options(p, LSRR, 8); pkt_udp(p, 1, 2);)
FRAME(lsrr_in, IN(NODE4, A4) pkt_ip4_options(p, LSRR, 8); pkt_udp(p, 1, 2);)
FRAME(rh0, OUT(A6, NODE6) pkt_ext(p, 43, 3); p->b[56] = 0; pkt_udp(p, 1, 2);)
FRAME(srh, OUT(A6, NODE6) pkt_ext(p, 43, 3); p->b[56] = 4; p->b[57] = 1; pkt_udp(p, 1, 2);)
FRAME(nine_ext, OUT(A6, NODE6) for (int i = 0; i < 9; i++) pkt_ext(p, 60, 1); pkt_udp(p, 1, 2);)
FRAME(hop_second, OUT(A6, NODE6) pkt_ext(p, 60, 1); pkt_ext(p, 0, 1); pkt_udp(p, 1, 2);)
FRAME(xmas, OUT(A4, NODE4) pkt_tcp(p, 1, 2, PKT_FIN | PKT_PSH | PKT_URG);)
FRAME(null_scan, IN(NODE4, A4) pkt_tcp(p, 1, 2, 0);)
FRAME(syn_fin, IN(NODE4, A4) pkt_tcp(p, 1, 2, PKT_SYN | PKT_FIN);)
FRAME(mapped, OUT("::ffff:10.0.1.1", NODE6) pkt_udp(p, 1, 2);)
static void short_ip(struct pkt *p)
{
	OUT(A4, NODE4)
	pkt_udp(p, 1, 2);
	pkt_finish(p);
	p->b[17] = 60;
}
static void cut_tcp(struct pkt *p)
{
	OUT(A4, NODE4)
	pkt_tcp(p, 1, 2, PKT_SYN);
	pkt_finish(p);
	p->len -= 3;
}
FRAME(stray_error, IN(WORLD4, A4) pkt_icmp(p, 3, 4, 1400); pkt_data(p, 28);)
FRAME(stray_error6, OUT(A6, WORLD6) pkt_icmp(p, 1, 4, 0); pkt_data(p, 48);)

static const struct row rows[] = {
	{ "ARP, own", arp_own, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "ARP probe", arp_probe, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "ARP reply", arp_reply, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "gratuitous ARP", arp_gratuitous, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "ARP to the pod", arp_in, TO, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "ARP for the gateway", arp_forged_ip, FROM, DROP, CW_R_SPOOF_ARP, DROP, false },
	{ "ARP for another pod", arp_other_pod, FROM, DROP, CW_R_SPOOF_ARP, DROP, false },
	{ "ARP with another MAC", arp_forged_mac, FROM, DROP, CW_R_SPOOF_ARP, DROP, false },
	{ "ARP in a forged frame", arp_eth_forged, FROM, DROP, CW_R_SPOOF_MAC, DROP, false },
	{ "ARP, short", arp_short, FROM, DROP, CW_R_MALFORMED, DROP, false },
	{ "ARP of other lengths", arp_odd, FROM, DROP, CW_R_MALFORMED, DROP, false },
	{ "source of another pod", spoof_pod, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "source of the world", spoof_world, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "source 0.0.0.0", spoof_zero, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "source of another pod, IPv6", spoof6, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "link-local of another pod", spoof_ll6, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "source ::", spoof_any6, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "source MAC", spoof_mac, FROM, DROP, CW_R_SPOOF_MAC, DROP, false },
	{ "later fragment, forged", spoof_later, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "flooded to the pod", not_mine, TO, DROP, CW_R_NOT_MINE, DROP, true },
	{ "flooded to the pod, IPv6", not_mine6, TO, DROP, CW_R_NOT_MINE, DROP, true },
	{ "neighbour solicitation", ns, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "neighbour advertisement", na, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "duplicate address detection", dad, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "router solicitation", rs, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "router solicitation from ::", rs_any, FROM, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "solicitation to the pod", ns_in, TO, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "router advertisement to the pod", ra_in, TO, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "solicitation from afar", ns_hop64, FROM, DROP, CW_R_MALFORMED, DROP, false },
	{ "solicitation from afar, to the pod", ns_in_hop64, TO, DROP, CW_R_MALFORMED, DROP, false },
	{ "solicitation with a code", ns_code, FROM, DROP, CW_R_MALFORMED, DROP, false },
	{ "advertisement for the node", na_forged, FROM, DROP, CW_R_SPOOF_ARP, DROP, false },
	{ "advertisement for another pod", na_other, FROM, DROP, CW_R_SPOOF_ARP, DROP, false },
	{ "advertisement without target", na_short, FROM, DROP, CW_R_SPOOF_ARP, DROP, false },
	{ "detection of another's address", dad_forged, FROM, DROP, CW_R_SPOOF_ARP, DROP, false },
	{ "solicitation from another's address", ns_spoof, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "advertisement behind an extension", ns_ext, FROM, DROP, CW_R_SPOOF_ARP, DROP, false },
	{ "router advertisement", ra_out, FROM, DROP, CW_R_REDIRECT, DROP, false },
	{ "router advertisement, hop-by-hop", ra_ext, FROM, DROP, CW_R_REDIRECT, DROP, false },
	{ "router advertisement, fragmented", ra_frag, FROM, DROP, CW_R_REDIRECT, DROP, false },
	{ "redirect 6", redirect6, FROM, DROP, CW_R_REDIRECT, DROP, false },
	{ "redirect 4", redirect4, FROM, DROP, CW_R_REDIRECT, DROP, false },
	{ "MLD report", mld, FROM, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "MLD report from ::", mld_any, FROM, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "MLD query to the pod", mld_in, TO, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "MLD report, forged", mld_forged, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "DHCP discover", dhcp, FROM, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "DHCP renewal at the node", dhcp_renew, FROM, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "DHCP rebinding", dhcp_rebind, FROM, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "DHCP answer", dhcp_in, TO, PASS, CW_R_SERVICE_TRAFFIC, PASS, false },
	{ "DHCP offer of a new address", dhcp_offer, TO, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "DHCPv6 solicit", dhcp6, FROM, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "DHCPv6 answer", dhcp6_in, TO, PASS, CW_R_SERVICE_TRAFFIC, DROP, false },
	{ "DHCP ports to the world", dhcp_tunnel, FROM, DROP, CW_R_DEFAULT, DROP, false },
	{ "DHCP ports to another pod", dhcp_pod, FROM, DROP, CW_R_DEFAULT, DROP, false },
	{ "DHCP with a forged source", dhcp_spoof, FROM, DROP, CW_R_SPOOF_IP, DROP, false },
	{ "DHCP server in a pod", dhcp_server, FROM, DROP, CW_R_DEFAULT, DROP, false },
	{ "to itself", self, FROM, PASS, CW_R_SELF, DROP, false },
	{ "from itself", self_in, TO, PASS, CW_R_SELF, DROP, false },
	{ "from this node", node_in, TO, PASS, CW_R_LOCAL_NODE, PASS, false },
	{ "from this node, IPv6", node_in6, TO, PASS, CW_R_LOCAL_NODE, PASS, false },
	{ "from another node", other_node_in, TO, DROP, CW_R_DEFAULT, DROP, false },
	{ "to this node", node_out, FROM, DROP, CW_R_DEFAULT, DROP, false },
	{ "VXLAN", vxlan, FROM, DROP, CW_R_TUNNEL, DROP, false },
	{ "VXLAN, Linux's port", vxlan_linux, FROM, DROP, CW_R_TUNNEL, DROP, false },
	{ "Geneve", geneve, FROM, DROP, CW_R_TUNNEL, DROP, false },
	{ "IP in IP", ipip, FROM, DROP, CW_R_TUNNEL, DROP, false },
	{ "IPv6 in IP", ip6ip, FROM, DROP, CW_R_TUNNEL, DROP, false },
	{ "IPv4 in IPv6", ip4ip6, FROM, DROP, CW_R_TUNNEL, DROP, false },
	{ "GRE", gre, FROM, DROP, CW_R_TUNNEL, DROP, false },
	{ "VXLAN to a pod: by rules", vxlan_pod, FROM, DROP, CW_R_DEFAULT, DROP, false },
	{ "IPX", ipx, FROM, DROP, CW_R_ETHERTYPE, DROP, false },
	{ "802.3 to the pod", llc_in, TO, DROP, CW_R_ETHERTYPE, DROP, false },
	{ "VLAN tag", vlan, FROM, DROP, CW_R_ETHERTYPE, DROP, false },
	{ "QinQ", qinq, FROM, DROP, CW_R_ETHERTYPE, DROP, false },
	{ "source route", lsrr, FROM, DROP, CW_R_SOURCE_ROUTE, DROP, false },
	{ "source route to the pod", lsrr_in, TO, DROP, CW_R_SOURCE_ROUTE, DROP, false },
	{ "routing header 0", rh0, FROM, DROP, CW_R_SOURCE_ROUTE, DROP, false },
	{ "segments left", srh, FROM, DROP, CW_R_SOURCE_ROUTE, DROP, false },
	{ "nine extension headers", nine_ext, FROM, DROP, CW_R_EXT_HEADERS, DROP, false },
	{ "hop-by-hop second", hop_second, FROM, DROP, CW_R_EXT_HEADERS, DROP, false },
	{ "Xmas scan", xmas, FROM, DROP, CW_R_MALFORMED, DROP, false },
	{ "null scan of the pod", null_scan, TO, DROP, CW_R_MALFORMED, DROP, false },
	{ "SYN with FIN", syn_fin, TO, DROP, CW_R_MALFORMED, DROP, false },
	{ "IPv4-mapped source", mapped, FROM, DROP, CW_R_MALFORMED, DROP, false },
	{ "longer than the frame", short_ip, FROM, DROP, CW_R_MALFORMED, DROP, false },
	{ "cut TCP header", cut_tcp, FROM, DROP, CW_R_MALFORMED, DROP, false },
	{ "error about nothing", stray_error, TO, DROP, CW_R_ICMP_UNRELATED, DROP, false },
	{ "error about nothing, IPv6", stray_error6, FROM, DROP, CW_R_ICMP_UNRELATED, DROP, false },
};

static bool by_rules(enum cw_reason x)
{
	return x == CW_R_DEFAULT || x == CW_R_LOCAL_NODE || x == CW_R_SELF;
}

static void enforce(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *t = &rows[i];
		struct cw_reason_stat s;
		struct pkt p;
		int got;

		rig_clear(r);
		t->make(&p);
		got = rig_run(r, POD_A, t->from_pod, &p);
		if (got != t->want)
			fail_msg("%s: returned %d", t->name, got);
		s = rig_reason(r, t->reason);
		if (s.dropped != (t->want == DROP) || s.passed != (t->want == PASS) || s.would)
			fail_msg("%s: dropped %d passed %d would %d", t->name, (int)s.dropped, (int)s.passed, (int)s.would);
		assert_int_equal(rig_reasons_sum(r, true), t->want == DROP);
		if (by_rules(t->reason))
			continue;
		/* Forged and unreadable packets touch neither the flow table nor the graph. */
		assert_int_equal(rig_flows(r), 0);
		assert_int_equal(rig_accesses(r), 0);
		assert_int_equal(rig_events(r), t->want == DROP && !t->no_event);
		if (r->nev) {
			assert_int_equal(r->ev[0].type, CW_EV_GUARD);
			assert_int_equal(r->ev[0].reason, t->reason);
			assert_int_equal(r->ev[0].outcome, CW_OUT_DROP);
			assert_int_equal(r->ev[0].len, p.len);
		}
	}
}

/* The same in learn: counted, reported, passed. In off: nothing. An allow for everything changes nothing. */
static void other_modes(void **state)
{
	struct rig *r = *state;

	for (int mode = CW_MODE_OFF; mode <= CW_MODE_ALERT; mode++) {
		rig_all(r, GROUP(POD_A), mode, V_ALLOW);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			const struct row *t = &rows[i];
			struct pkt p;

			if (by_rules(t->reason))
				continue;
			rig_clear(r);
			t->make(&p);
			assert_int_equal(rig_run(r, POD_A, t->from_pod, &p), PASS);
			assert_int_equal(rig_reason(r, t->reason).would, mode != CW_MODE_OFF && t->want == DROP);
			assert_int_equal(rig_reasons_sum(r, true), 0);
			assert_int_equal(rig_flows(r), 0);
			assert_int_equal(rig_accesses(r), 0);
			assert_int_equal(rig_events(r), mode != CW_MODE_OFF && t->want == DROP && !t->no_event);
		}
	}
	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pkt p;

		if (rows[i].reason == CW_R_DEFAULT)
			continue;
		rows[i].make(&p);
		assert_int_equal(rig_run(r, POD_A, rows[i].from_pod, &p), rows[i].want);
	}
}

static void quarantine(void **state)
{
	struct rig *r = *state;

	for (int mode = 0; mode < CW_MODE_COUNT; mode++) {
		rig_all(r, GROUP(POD_A), mode, V_QUAR);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct pkt p;
			int got;

			rig_clear(r);
			rows[i].make(&p);
			got = rig_run(r, POD_A, rows[i].from_pod, &p);
			if (got != rows[i].quar)
				fail_msg("%s in quarantine, mode %d: returned %d", rows[i].name, mode, got);
		}
	}
}

static void endpoint_flags(void **state)
{
	struct rig *r = *state;
	struct pkt p;

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
	rig_ep_flags(r, POD_A, CW_EP_ROUTER);
	spoof_world(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
	na_other(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
	arp_other_pod(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
	not_mine(&p);
	assert_int_equal(rig_run(r, POD_A, TO, &p), PASS);
	ra_out(&p); /* even a router sends none here */
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
	rig_ep_flags(r, POD_A, CW_EP_TUNNEL);
	vxlan(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
	rig_ep_flags(r, POD_A, CW_EP_NO_MAC);
	spoof_mac(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
	spoof_pod(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
}

/* Configured closed until resolved: names and the node only. */
static void closed(void **state)
{
	struct rig *r = *state;

	rig_all(r, GROUP(POD_A), CW_MODE_LEARN, V_ALLOW);
	rig_ep_flags(r, POD_A, CW_EP_CLOSED);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5000, 80, PKT_SYN), DROP);
	assert_int_equal(rig_reason(r, CW_R_NO_ENDPOINT).dropped, 1);
	assert_int_equal(send_udp(r, POD_A, FROM, A4, NODE4, 5000, 53), PASS);
	assert_int_equal(send_udp(r, POD_A, TO, NODE4, A4, 53, 5000), PASS);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5000, 53, PKT_SYN), PASS);
	assert_int_equal(send_tcp(r, POD_A, TO, HOST4, A4, 5000, 8080, PKT_SYN), PASS);
	assert_int_equal(send_tcp(r, POD_A, TO, NODE4, A4, 5000, 8080, PKT_SYN), DROP);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 53, 80, PKT_SYN), DROP);
	rig_ep_flags(r, POD_A, 0);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5000, 80, PKT_SYN), PASS);
}

static void local_node_by_rules(void **state)
{
	struct ctl_settings s = { .share_accesses = 100, .share_pairs = 10, .local_node = CW_CTL_LOCAL_NODE_RULES,
				  .event_gap = 100, .ephemeral_min = 32768 };
	struct rig *r = *state;

	ctl_set(r->m, &s);
	assert_int_equal(send_tcp(r, POD_A, TO, HOST4, A4, 5, 6, PKT_SYN), DROP);
	rig_side(r, GROUP(POD_A), CW_INGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT,
		 CELLS({ CW_ID_HOST, PORT(6, 6), V_ALLOW }));
	assert_int_equal(send_tcp(r, POD_A, TO, HOST4, A4, 5, 6, PKT_SYN), PASS);
	assert_int_equal(send_tcp(r, POD_A, TO, HOST4, A4, 5, 7, PKT_SYN), DROP);
}

/* A refused kind of ICMP does not ride on a flow of another kind between the same ends. */
static void no_ride_on_icmp(void **state)
{
	struct rig *r = *state;
	struct pkt p;

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
	assert_int_equal(send_icmp(r, POD_A, FROM, A4, HOST4, 40, 0, 0), PASS);
	assert_int_equal(send_icmp(r, POD_A, FROM, A4, HOST4, 8, 0, 0), PASS);
	assert_int_equal(send_icmp(r, POD_A, FROM, A4, HOST4, 8, 0, 0x501), PASS);
	redirect4(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
	assert_int_equal(send_icmp(r, POD_A, FROM, A4, HOST4, 3, 0, 0), DROP);
	/* IPv6: anything to all nodes, then a router advertisement there. */
	assert_int_equal(send_icmp(r, POD_A, FROM, LL6[POD_A], "ff02::1", 139, 0, 0), PASS);
	assert_int_equal(send_icmp(r, POD_A, FROM, LL6[POD_A], "ff02::1", 128, 0, 0), PASS);
	assert_int_equal(send_icmp(r, POD_A, FROM, LL6[POD_A], "ff02::1", 128, 0, 0x8600), PASS);
	ra_out(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
	assert_int_equal(rig_reason(r, CW_R_REDIRECT).dropped, 2);
}

/* Multicast to the pod is judged as the pod's, told as what it was sent to. */
static void multicast(void **state)
{
	struct rig *r = *state;
	struct access_row a;

	assert_int_equal(send_udp(r, POD_A, TO, NODE4, "239.1.2.3", 5, 6), DROP);
	rig_side(r, GROUP(POD_A), CW_INGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT,
		 CELLS({ CW_ID_REMOTE_NODE, PORT(17, 6), V_ALLOW }));
	assert_int_equal(send_udp(r, POD_A, TO, NODE4, "239.1.2.3", 5, 6), PASS);
	assert_int_equal(send_udp(r, POD_A, TO, NODE4, "255.255.255.255", 5, 6), PASS);
	assert_int_equal(send_udp(r, POD_A, TO, NODE6, "ff02::fb", 5, 6), PASS);
	assert_true(rig_accesses(r) >= 2);
	assert_false(rig_access(r, CW_ID_REMOTE_NODE, EID(POD_A), 17, 6, &a));
	rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT,
		 CELLS({ CW_ID_MULTICAST, PORT(17, 5353), V_ALLOW }));
	assert_int_equal(send_udp(r, POD_A, FROM, A4, "224.0.0.251", 5353, 5353), PASS);
	assert_int_equal(send_udp(r, POD_A, FROM, A4, "224.0.0.251", 5353, 5354), DROP);
	assert_int_equal(send_udp(r, POD_A, FROM, A6, "ff02::fb", 5353, 5353), PASS);
}

static int run(void)
{
	const struct CMUnitTest tc[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(enforce), T(other_modes), T(quarantine), T(endpoint_flags), T(closed), T(local_node_by_rules),
		T(no_ride_on_icmp), T(multicast),
	};
	const struct CMUnitTest xdp[] = {
#define X(f) { "xdp: " #f, f, rig_setup_xdp, rig_teardown, NULL }
		X(enforce), X(other_modes), X(quarantine), X(endpoint_flags), X(closed), X(no_ride_on_icmp), X(multicast),
	};

	return cmocka_run_group_tests_name("guards at TC", tc, NULL, NULL) +
	       cmocka_run_group_tests_name("guards at XDP", xdp, NULL, NULL);
}

int main(void)
{
	return rig_main("guard", run);
}
