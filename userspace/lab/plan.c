/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP

const struct lab_workload lab_workloads[LAB_WORKLOADS] = {
	{ "web-1", "shop", "Deployment", "web", "web", "10.20.1.11", "fd00:20:0:1::11",
	  { { "http", TCP, 8080, LAB_HTTP }, { "metrics", TCP, 9100, LAB_HTTP } } },
	{ "web-2", "shop", "Deployment", "web", "web", "10.20.1.12", "fd00:20:0:1::12",
	  { { "http", TCP, 8080, LAB_HTTP }, { "metrics", TCP, 9100, LAB_HTTP } } },
	{ "cart-1", "shop", "Deployment", "cart", "cart", "10.20.1.21", "fd00:20:0:1::21",
	  { { "http", TCP, 9090, LAB_HTTP }, { "metrics", TCP, 9100, LAB_HTTP } } },
	{ "cart-2", "shop", "Deployment", "cart", "cart", "10.20.1.22", "fd00:20:0:1::22",
	  { { "http", TCP, 9090, LAB_HTTP }, { "metrics", TCP, 9100, LAB_HTTP } } },
	{ "db-0", "data", "StatefulSet", "db", "db", "10.20.2.11", "fd00:20:0:2::11",
	  { { "sql", TCP, 5432, LAB_LINE } } },
	{ "cache-1", "data", "Deployment", "cache", "cache", "10.20.2.21", "fd00:20:0:2::21",
	  { { "cache", TCP, 6379, LAB_LINE } } },
	{ "dns-1", "ops", "Deployment", "dns", "dns", "10.20.3.11", "fd00:20:0:3::11",
	  { { "dns", UDP, 53, LAB_DNS } } },
	{ "dns-2", "ops", "Deployment", "dns", "dns", "10.20.3.12", "fd00:20:0:3::12",
	  { { "dns", UDP, 53, LAB_DNS } } },
	{ "metrics-1", "ops", "Deployment", "metrics", "metrics", "10.20.3.21", "fd00:20:0:3::21",
	  { { "statsd", UDP, 8125, LAB_MUTE } } },
	/* started by hand: no owner, no labels, so it is only ever itself */
	[LAB_ATTACKER] = { "attacker", "ops", NULL, NULL, NULL, "10.20.3.66", "fd00:20:0:3::66", {} },
	[LAB_OUTSIDE_AT] = { LAB_OUTSIDE, NULL, NULL, NULL, NULL, LAB_CLIENT_V4, "2001:db8:51::7",
	  { { "https", TCP, 443, LAB_HTTP } } },
};

#define HTTP_(c, s, a, f, p) { c, s, a, f, TCP, p, LAB_HTTP, NULL }
#define LINE_(c, s, a, f, p) { c, s, a, f, TCP, p, LAB_LINE, NULL }
#define DNS_(c, s, a, f, q) { c, s, a, f, UDP, 53, LAB_DNS, q }

const struct lab_stream lab_streams[] = {
	/* customers come in from outside */
	HTTP_(LAB_OUTSIDE, "web-1", "10.20.1.11", 4, 8080),
	HTTP_(LAB_OUTSIDE, "web-2", "10.20.1.12", 4, 8080),
	/* the shop, over both families */
	HTTP_("web-1", "cart-1", "10.20.1.21", 4, 9090),
	HTTP_("web-1", "cart-2", "fd00:20:0:1::22", 6, 9090),
	HTTP_("web-2", "cart-2", "10.20.1.22", 4, 9090),
	HTTP_("web-2", "cart-1", "fd00:20:0:1::21", 6, 9090),
	LINE_("web-1", "cache-1", "10.20.2.21", 4, 6379),
	LINE_("web-2", "cache-1", "10.20.2.21", 4, 6379),
	LINE_("web-1", "db-0", "fd00:20:0:2::11", 6, 5432),
	LINE_("cart-1", "db-0", "10.20.2.11", 4, 5432),
	LINE_("cart-2", "db-0", "10.20.2.11", 4, 5432),
	HTTP_("cart-1", LAB_OUTSIDE, LAB_PAY_V4, 4, 443),
	DNS_("web-1", "dns-1", "10.20.3.11", 4, "cart-1.shop.lab"),
	DNS_("web-2", "dns-1", "10.20.3.11", 4, "cart-2.shop.lab"),
	DNS_("cart-1", "dns-2", "fd00:20:0:3::12", 6, LAB_PAY_NAME),
	DNS_("cart-2", "dns-2", "fd00:20:0:3::12", 6, "db-0.data.lab"),
	/* operations */
	DNS_("metrics-1", "dns-1", "10.20.3.11", 4, "web-1.shop.lab"),
	HTTP_("metrics-1", "web-1", "fd00:20:0:1::11", 6, 9100),
	HTTP_("metrics-1", "web-2", "fd00:20:0:1::12", 6, 9100),
	HTTP_("metrics-1", "cart-1", "10.20.1.21", 4, 9100),
	HTTP_("metrics-1", "cart-2", "10.20.1.22", 4, 9100),
	{ "metrics-1", "db-0", "10.20.2.11", 4, IPPROTO_ICMP, 0, LAB_ECHO, NULL },
	{ "metrics-1", "cache-1", "fd00:20:0:2::21", 6, IPPROTO_ICMPV6, 0, LAB_ECHO, NULL },
	/* what nobody ever answers: a mail host that is gone, a resolver upstream, counters sent blindly */
	{ "web-1", NULL, "203.0.113.99", 4, TCP, 25, LAB_VOID, NULL },
	{ "dns-1", NULL, "203.0.113.53", 4, UDP, 53, LAB_VOID, NULL },
	{ "cart-1", "metrics-1", "10.20.3.21", 4, UDP, 8125, LAB_MUTE, NULL },
};
const size_t lab_nstreams = ARRAY_SIZE(lab_streams);

const struct lab_workload *lab_workload_by_name(const char *name)
{
	for (size_t i = 0; i < LAB_WORKLOADS; i++)
		if (!strcmp(lab_workloads[i].name, name))
			return &lab_workloads[i];
	return NULL;
}

const char *lab_port_str(uint8_t proto, uint16_t port, char out[40])
{
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		snprintf(out, 40, "%s/echo-request", proto == IPPROTO_ICMP ? "icmp" : "icmpv6");
	else
		snprintf(out, 40, "%s/%u", proto == TCP ? "tcp" : "udp", port);
	return out;
}

const char *lab_ref(const struct lab_workload *w, uint8_t family, char out[128])
{
	if (w->ns)
		snprintf(out, 128, "%s/pod/%s", w->ns, w->name);
	else
		snprintf(out, 128, "%s", family == 4 ? w->v4 : w->v6);
	return out;
}

const char *lab_group(const struct lab_workload *w, uint8_t family, char out[128])
{
	if (!w->ns)
		snprintf(out, 128, "%s", family == 4 ? "198.51.100.0/24" : "2001:db8:51::/48");
	else if (!w->controller)
		return lab_ref(w, family, out);
	else
		snprintf(out, 128, "%s/%s/%s", w->ns, strcmp(w->kind, "StatefulSet") ? "deploy" : "sts",
			 w->controller);
	return out;
}

int lab_name_lookup(const char *name, uint8_t family, uint8_t ret[16])
{
	char full[128];

	if (!strcasecmp(name, LAB_PAY_NAME)) {
		if (family != 4)
			return -ENOENT;
		return inet_pton(AF_INET, LAB_PAY_V4, ret) == 1 ? 0 : -ENOENT;
	}
	for (size_t i = 0; i < LAB_WORKLOADS; i++) {
		const struct lab_workload *w = &lab_workloads[i];

		if (!w->ns)
			continue;
		snprintf(full, sizeof(full), "%s.%s.lab", w->name, w->ns);
		if (!strcasecmp(name, full))
			return inet_pton(family == 4 ? AF_INET : AF_INET6, family == 4 ? w->v4 : w->v6, ret) == 1 ?
			       0 : -ENOENT;
	}
	return -ENOENT;
}
