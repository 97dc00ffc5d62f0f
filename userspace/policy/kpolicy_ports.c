/* SPDX-License-Identifier: Apache-2.0 */
/* kpolicy_ports.c - the ports of the cluster's own policies, and fields of which one is given. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "policy/doc_priv.h"
#include "policy/kpolicy_priv.h"

/* ---- exactly one of ----------------------------------------------------------------------------- */

bool kp_one_of(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], s) == 0)
			return true;
	return false;
}

void kp_not_one(struct doc *d, const cJSON *v, const char *what, const char *const *words, size_t n,
		size_t found)
{
	char list[200], expected[240];

	snprintf(expected, sizeof(expected), "%s%s", n > 1 ? "exactly one of " : "", kp_words(words, n, " and ", list));
	if (!found)
		doc_fault(d, v, what, expected, "none of the fields is given");
	else
		doc_fault(d, v, what, expected, "%zu fields are given where one is", found);
}

const cJSON *kp_only_member(struct doc *d, const cJSON *v, const char *what, const char *const *words, size_t n)
{
	const cJSON *m, *only = NULL;
	unsigned before = d->faults;
	size_t found = 0;

	if (!cJSON_IsObject(v)) {
		doc_object(d, v, NULL, 0, NULL); /* says what was found instead */
		return NULL;
	}
	cJSON_ArrayForEach(m, v) {
		if (!kp_one_of(m->string, words, n)) {
			doc_unknown(d, m, words, n);
		} else if (!cJSON_IsNull(m)) {
			only = m;
			found++;
		}
	}
	if (found == 1)
		return only;
	if (found || d->faults == before)
		kp_not_one(d, v, what, words, n, found);
	return NULL;
}

/* ---- ports ---------------------------------------------------------------------------------- */

struct port_ctx {
	struct port_spec p;
	bool from, to;		/* read well */
};

static int o_protocol(struct doc *d, const cJSON *v, void *ctx)
{
	(void)kp_proto(d, v, &((struct port_ctx *)ctx)->p.proto);
	return 0;
}

static int o_from(struct doc *d, const cJSON *v, void *ctx)
{
	struct port_ctx *x = ctx;

	x->from = kp_port(d, v, &x->p.from);
	return 0;
}

static int o_to(struct doc *d, const cJSON *v, void *ctx)
{
	struct port_ctx *x = ctx;

	x->to = kp_port(d, v, &x->p.to);
	return 0;
}

static void check_range(struct doc *d, const cJSON *v, const struct port_ctx *x)
{
	if (x->from && x->to && x->p.from >= x->p.to)
		doc_fault(d, v, "port-range", "start below end; a single port is a port number",
			  "the range ends at %u and starts at %u", x->p.to, x->p.from);
}

/* No kind has other protocols with ports; a name is the port's own, whatever its protocol. */
static int add_named(struct doc *d, const cJSON *v, struct ports *to)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	const char *s;

	if (!doc_text(d, v, KPOLICY_NAME_MAX, &s))
		return 0;
	if (!*s)
		return doc_fault(d, v, "port-name", "the name of a container port", "the port name is empty");
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		struct port_spec p = { .kind = PORT_NAMED, .proto = protos[i], .icmp_type = -1, .icmp_code = -1 };

		p.name = strdup(s);
		if (!p.name || vec_push(to, p)) {
			free(p.name);
			return -ENOMEM;
		}
	}
	return 0;
}

/* v1alpha1 */
int kp_anp_port(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "portNumber", "portRange", "namedPort" };
	static const struct doc_field number[] = { { "protocol", o_protocol, false }, { "port", o_from, true } };
	static const struct doc_field range[] = {
		{ "protocol", o_protocol, false }, { "start", o_from, true }, { "end", o_to, true },
	};
	struct ports *to = ctx;
	struct port_ctx x = { .p = { .kind = PORT_RANGE, .proto = IPPROTO_TCP, .icmp_type = -1, .icmp_code = -1 } };
	const cJSON *m = kp_only_member(d, v, "port", words, ARRAY_SIZE(words));
	unsigned before = d->faults;
	size_t mark;
	int r;

	if (!m)
		return 0;
	mark = doc_enter(d, m->string);
	if (strcmp(m->string, "namedPort") == 0) {
		r = add_named(d, m, to);
		doc_leave(d, mark);
		return r;
	}
	if (strcmp(m->string, "portNumber") == 0) {
		r = doc_object(d, m, number, ARRAY_SIZE(number), &x);
		x.p.to = x.p.from;
	} else {
		r = doc_object(d, m, range, ARRAY_SIZE(range), &x);
		check_range(d, m, &x);
	}
	doc_leave(d, mark);
	return r == 0 && d->faults == before ? vec_push(to, x.p) : r;
}

/* v1alpha2: the member m of a protocol, "number" or "range". */
static int read_cnp_port(struct doc *d, const cJSON *v, struct port_ctx *x)
{
	static const char *const words[] = { "number", "range" };
	static const struct doc_field range[] = { { "start", o_from, true }, { "end", o_to, true } };
	const cJSON *m = kp_only_member(d, v, "port", words, ARRAY_SIZE(words));
	size_t mark;
	int r;

	if (!m)
		return 0;
	mark = doc_enter(d, m->string);
	if (strcmp(m->string, "number") == 0) {
		r = o_from(d, m, x);
		x->p.to = x->p.from;
	} else {
		r = doc_object(d, m, range, ARRAY_SIZE(range), x);
		check_range(d, m, x);
	}
	doc_leave(d, mark);
	return r;
}

int kp_cnp_protocol(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "tcp", "udp", "sctp", "destinationNamedPort" };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	static const char *const inner[] = { "destinationPort" };
	struct ports *to = ctx;
	struct port_ctx x = { .p = { .kind = PORT_RANGE, .icmp_type = -1, .icmp_code = -1 } };
	const cJSON *m = kp_only_member(d, v, "protocol", words, ARRAY_SIZE(words)), *port;
	unsigned before = d->faults;
	size_t mark;
	int r = 0;

	if (!m)
		return 0;
	mark = doc_enter(d, m->string);
	if (strcmp(m->string, words[3]) == 0) {
		r = add_named(d, m, to);
		doc_leave(d, mark);
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (strcmp(m->string, words[i]) == 0)
			x.p.proto = protos[i];
	port = kp_only_member(d, m, "protocol", inner, ARRAY_SIZE(inner));
	if (port) {
		doc_enter(d, port->string);
		r = read_cnp_port(d, port, &x);
	}
	doc_leave(d, mark);
	return r == 0 && d->faults == before ? vec_push(to, x.p) : r;
}
