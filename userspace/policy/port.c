/* SPDX-License-Identifier: Apache-2.0 */
/* port.c - the text form of ports: "tcp/5432", "icmp/echo-request", "proto/47", "any". */
#include "policy/model.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"

#define PORT_TEXT_MAX 64
#define PORT_NAME_MAX 15

static const struct { const char *name; uint8_t proto; bool ports; } protos[] = {
	{ "tcp", IPPROTO_TCP, true },	{ "udp", IPPROTO_UDP, true },
	{ "sctp", IPPROTO_SCTP, true }, { "icmp", IPPROTO_ICMP, false },
	{ "icmpv6", IPPROTO_ICMPV6, false },
};

static const struct { uint8_t proto, type; const char *name; bool codes; } icmp_types[] = {
	{ IPPROTO_ICMP, 0, "echo-reply", false },
	{ IPPROTO_ICMP, 3, "destination-unreachable", true },
	{ IPPROTO_ICMP, 5, "redirect", true },
	{ IPPROTO_ICMP, 8, "echo-request", false },
	{ IPPROTO_ICMP, 11, "time-exceeded", true },
	{ IPPROTO_ICMP, 12, "parameter-problem", true },
	{ IPPROTO_ICMP, 13, "timestamp-request", false },
	{ IPPROTO_ICMP, 14, "timestamp-reply", false },
	{ IPPROTO_ICMPV6, 1, "destination-unreachable", true },
	{ IPPROTO_ICMPV6, 2, "packet-too-big", false },
	{ IPPROTO_ICMPV6, 3, "time-exceeded", true },
	{ IPPROTO_ICMPV6, 4, "parameter-problem", true },
	{ IPPROTO_ICMPV6, 128, "echo-request", false },
	{ IPPROTO_ICMPV6, 129, "echo-reply", false },
	{ IPPROTO_ICMPV6, 133, "router-solicitation", false },
	{ IPPROTO_ICMPV6, 134, "router-advertisement", false },
	{ IPPROTO_ICMPV6, 135, "neighbour-solicitation", false },
	{ IPPROTO_ICMPV6, 136, "neighbour-advertisement", false },
};

static const char *proto_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (protos[i].proto == proto)
			return protos[i].name;
	return NULL;
}

bool is_port_name(const char *s)
{
	size_t n = strlen(s);
	bool letter = false;

	if (n > PORT_NAME_MAX || !is_dns_label(s) || strstr(s, "--"))
		return false;
	for (size_t i = 0; i < n; i++)
		letter |= s[i] >= 'a' && s[i] <= 'z';
	return letter;
}

static bool only(const char *s, size_t n, const char *set)
{
	return n && strspn(s, set) >= n;
}

static int parse_ports(const char *s, struct port_spec *p)
{
	const char *dash = strchr(s, '-');
	size_t n = strlen(s), head = dash ? (size_t)(dash - s) : n;
	char low[8];
	uint32_t from, to;
	int r;

	if (only(s, n, "0123456789")) {
		r = parse_u32(s, 1, 65535, &from);
		if (r < 0)
			return r;
		to = from;
	} else if (dash && only(s, head, "0123456789") && only(dash + 1, n - head - 1, "0123456789")) {
		if (head >= sizeof(low))
			return -ERANGE;
		memcpy(low, s, head);
		low[head] = '\0';
		r = parse_u32(low, 1, 65535, &from);
		if (r == 0)
			r = parse_u32(dash + 1, 1, 65535, &to);
		if (r)
			return r;
		if (from > to)
			return -EDOM;
	} else {
		if (!is_port_name(s))
			return -EINVAL;
		p->name = strdup(s);
		p->kind = PORT_NAMED;
		return p->name ? 0 : -ENOMEM;
	}
	p->kind = PORT_RANGE;
	p->from = (uint16_t)from;
	p->to = (uint16_t)to;
	return 0;
}

/* TYPE or TYPE/CODE; the type by number or name. */
static int parse_icmp(const char *s, struct port_spec *p)
{
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);
	char type[32];
	uint32_t v = 0;
	int r = -EINVAL;

	if (n >= sizeof(type))
		return -EINVAL;
	memcpy(type, s, n);
	type[n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(icmp_types) && r < 0; i++) {
		if (icmp_types[i].proto == p->proto && strcmp(icmp_types[i].name, type) == 0) {
			v = icmp_types[i].type;
			r = 0;
		}
	}
	if (r < 0)
		r = parse_u32(type, 0, 255, &v);
	if (r < 0)
		return r;
	p->kind = PORT_ICMP;
	p->icmp_type = (int)v;
	if (slash) {
		r = parse_u32(slash + 1, 0, 255, &v);
		if (r < 0)
			return r;
		p->icmp_code = (int)v;
	}
	return 0;
}

int port_spec_parse(const char *s, struct port_spec *ret)
{
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);
	struct port_spec p = { .icmp_type = -1, .icmp_code = -1 };
	uint32_t v;
	int r;

	if (strlen(s) > PORT_TEXT_MAX)
		return -EINVAL;
	if (strcmp(s, "any") == 0) {
		*ret = p;
		return 0;
	}
	if (slash && n == 5 && memcmp(s, "proto", 5) == 0) {
		r = parse_u32(slash + 1, 0, 255, &v);
		if (r < 0)
			return r;
		p.kind = PORT_PROTO;
		p.proto = (uint8_t)v;
		*ret = p;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (strlen(protos[i].name) != n || memcmp(protos[i].name, s, n) != 0)
			continue;
		p.kind = PORT_PROTO;
		p.proto = protos[i].proto;
		r = !slash ? 0 : protos[i].ports ? parse_ports(slash + 1, &p) : parse_icmp(slash + 1, &p);
		if (r == 0)
			*ret = p;
		return r;
	}
	return -EINVAL;
}

/* "icmp/echo-request", with "/CODE" when code is not negative. */
static void icmp_str(uint8_t proto, int type, int code, char *out, size_t size)
{
	const char *name = NULL;
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(icmp_types) && !name; i++)
		if (icmp_types[i].proto == proto && icmp_types[i].type == type)
			name = icmp_types[i].name;
	n = name ? snprintf(out, size, "%s/%s", proto_name(proto), name)
		 : snprintf(out, size, "%s/%d", proto_name(proto), type);
	if (code >= 0 && n > 0 && (size_t)n < size)
		snprintf(out + n, size - (size_t)n, "/%d", code);
}

char *port_spec_str(const struct port_spec *p)
{
	char out[PORT_TEXT_MAX + 1];
	const char *proto = proto_name(p->proto);
	char number[16];

	if (!proto) {
		snprintf(number, sizeof(number), "proto/%u", p->proto);
		proto = number;
	}
	snprintf(out, sizeof(out), "%s", proto);
	switch (p->kind) {
	case PORT_ANY:
		return strdup("any");
	case PORT_PROTO:
		break;
	case PORT_RANGE:
		if (p->from == p->to)
			snprintf(out, sizeof(out), "%s/%u", proto, p->from);
		else
			snprintf(out, sizeof(out), "%s/%u-%u", proto, p->from, p->to);
		break;
	case PORT_NAMED:
		snprintf(out, sizeof(out), "%s/%s", proto, p->name ? p->name : "");
		break;
	case PORT_ICMP:
		if (p->icmp_type >= 0)
			icmp_str(p->proto, p->icmp_type, p->icmp_code, out, sizeof(out));
		break;
	}
	return strdup(out);
}

static bool icmp_has_codes(uint8_t proto, int type)
{
	for (size_t i = 0; i < ARRAY_SIZE(icmp_types); i++)
		if (icmp_types[i].proto == proto && icmp_types[i].type == type)
			return icmp_types[i].codes;
	return true;
}

const char *axis_str(uint32_t axis, char out[40])
{
	uint8_t proto = (uint8_t)(axis >> 16);
	uint16_t port = (uint16_t)axis;
	const char *name = proto_name(proto);

	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		int type = port >> 8, code = port & 0xff;

		icmp_str(proto, type, code || icmp_has_codes(proto, type) ? code : -1, out, 40);
	} else if (name) {
		snprintf(out, 40, "%s/%u", name, port);
	} else {
		snprintf(out, 40, "proto/%u", proto);
	}
	return out;
}
