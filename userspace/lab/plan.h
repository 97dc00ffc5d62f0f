/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - who is in the lab and what they do, as constant tables. Pure.
 *
 * A stream is one client asking one server at a fixed rate; it is the finest thing that is
 * counted. Several streams make one access (pods of one group, both families).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_NODE "node"
#define LAB_OUTSIDE "outside"
#define LAB_BRIDGE "br0"
#define LAB_RATE 4u	      /* requests of one stream each second */
#define LAB_DEADLINE_MS 1000  /* a request without an answer for that long is unanswered */

#define LAB_NODE_V4 "10.20.0.1"
#define LAB_NODE_V6 "fd00:20::1"
#define LAB_CIDR_V4 "10.20.0.0/16"
#define LAB_CIDR_V6 "fd00:20::/48"
#define LAB_CLIENT_V4 "198.51.100.7"
#define LAB_PAY_V4 "203.0.113.10"
#define LAB_PAY_NAME "pay.example.com"

enum lab_service {
	LAB_HTTP, /* HTTP/1.0; the answer names the server */
	LAB_LINE, /* a line for a line: database, cache */
	LAB_DNS,
	LAB_MUTE, /* takes datagrams and never answers */
	LAB_ECHO, /* ICMP or ICMPv6 echo, answered by the kernel */
	LAB_VOID, /* nobody is there */
};

struct lab_port {
	const char *name; /* NULL: end of the list */
	uint8_t proto;
	uint16_t port;
	enum lab_service service;
};

#define LAB_PORTS_MAX 4
struct lab_workload {
	const char *name;	/* also of its network namespace; unique in the lab */
	const char *ns;		/* NULL: the outside */
	const char *kind, *controller; /* "Deployment", "web"; NULL: a bare pod */
	const char *app;	/* value of the label `app`, and the service account; NULL: none */
	const char *v4, *v6;	/* without prefix length */
	struct lab_port ports[LAB_PORTS_MAX + 1];
};
#define LAB_WORKLOADS 11 /* ten and the outside, which is the last */
extern const struct lab_workload lab_workloads[LAB_WORKLOADS];
#define LAB_ATTACKER 9
#define LAB_OUTSIDE_AT 10

struct lab_stream {
	const char *client;
	const char *server; /* workload, or NULL: an outside address that nobody has */
	const char *addr;   /* where the client sends to */
	uint8_t family;	    /* 4 or 6 */
	uint8_t proto;
	uint16_t port;	    /* 0 for echo */
	enum lab_service service;
	const char *query;  /* DNS: the name asked for */
};
extern const struct lab_stream lab_streams[];
extern const size_t lab_nstreams;

const struct lab_workload *lab_workload_by_name(const char *name); /* NULL */
static inline bool lab_stream_answered(const struct lab_stream *s)
{
	return s->service != LAB_MUTE && s->service != LAB_VOID;
}
/* "tcp/8080", "icmpv6/echo-request" */
const char *lab_port_str(uint8_t proto, uint16_t port, char out[40]);
/* "shop/pod/web-1" or the address it speaks from; and what a rule calls it: "shop/deploy/web",
 * "198.51.100.0/24". */
const char *lab_ref(const struct lab_workload *w, uint8_t family, char out[128]);
const char *lab_group(const struct lab_workload *w, uint8_t family, char out[128]);
/* The addresses the lab's name servers know: 4 or 16 bytes in ret. 0 or -ENOENT. */
int lab_name_lookup(const char *name, uint8_t family, uint8_t ret[16]);
