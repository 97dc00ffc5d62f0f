/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "base/cleanup.h"
#include "policy/model.h"

#define S(text) ((char *)(text)) /* borrowed for a table row, never freed */

static void label_text(void **state)
{
	static const struct { const char *in; int r; const char *out; } t[] = {
		{ "", 0, "" },
		{ "app=db", 0, "app=db" },
		{ "tier=front,app=web", 0, "app=web,tier=front" },
		{ "cellwall.io/mode=enforce,a=", 0, "a=,cellwall.io/mode=enforce" },
		{ "app", -EINVAL, NULL },
		{ "app=db,", -EINVAL, NULL },
		{ ",app=db", -EINVAL, NULL },
		{ "=db", -EINVAL, NULL },
		{ "app=a b", -EINVAL, NULL },
		{ "app=a=b", -EINVAL, NULL },
		{ "app=db,app=web", -EINVAL, NULL },
		{ "-app=db", -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct labels l = {};
		auto_free char *s = NULL;

		print_message("  '%s'\n", t[i].in);
		assert_int_equal(labels_parse(t[i].in, &l), t[i].r);
		if (t[i].r) {
			assert_null(l.v);
			continue;
		}
		s = labels_str(&l);
		assert_string_equal(s, t[i].out);
		labels_done(&l);
	}
}

static void label_sets(void **state)
{
	struct labels l = {}, c = {};

	(void)state;
	assert_null(labels_get(&l, "a"));
	assert_int_equal(labels_set(&l, "m", "1"), 0);
	assert_int_equal(labels_set(&l, "z", "2"), 0);
	assert_int_equal(labels_set(&l, "a", NULL), 0);
	assert_int_equal(labels_set(&l, "m", "3"), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(labels_get(&l, "a"), "");
	assert_string_equal(labels_get(&l, "m"), "3");
	assert_string_equal(labels_get(&l, "z"), "2");
	assert_null(labels_get(&l, "b"));
	assert_int_equal(labels_copy(&l, &c), 0);
	labels_done(&l);
	assert_string_equal(labels_get(&c, "z"), "2");
	labels_done(&c);
}

/* Kubernetes semantics: NotIn and DoesNotExist hold where the key is absent. */
static void label_selectors(void **state)
{
	static char *web[] = { S("web"), S("cart") };
	struct label_expr in = { S("app"), LABEL_IN, web, 2 }, not_in = { S("app"), LABEL_NOT_IN, web, 2 };
	struct label_expr has = { S("app"), LABEL_EXISTS, NULL, 0 }, has_not = { S("app"), LABEL_NOT_EXISTS, NULL, 0 };
	struct label_expr none = { S("app"), LABEL_IN, NULL, 0 };
	const struct { const char *name; struct label_expr *e; const char *match, *labels; bool want; } t[] = {
		{ "in", &in, "", "app=web", true },
		{ "in, other value", &in, "", "app=db", false },
		{ "in, absent", &in, "", "x=web", false },
		{ "in of nothing", &none, "", "app=web", false },
		{ "not in", &not_in, "", "app=db", true },
		{ "not in, listed", &not_in, "", "app=cart", false },
		{ "not in, absent", &not_in, "", "", true },
		{ "exists", &has, "", "app=", true },
		{ "exists, absent", &has, "", "apps=x", false },
		{ "does not exist", &has_not, "", "apps=x", true },
		{ "does not exist, present", &has_not, "", "app=", false },
		{ "labels", NULL, "app=web", "app=web,tier=front", true },
		{ "labels, other value", NULL, "app=web", "app=db", false },
		{ "labels, absent", NULL, "app=web", "", false },
		{ "two labels, one right", NULL, "app=web,tier=front", "app=web,tier=back", false },
		{ "labels and expression", &has, "tier=front", "app=web,tier=front", true },
		{ "labels and expression, one fails", &not_in, "tier=front", "app=web,tier=front", false },
		{ "empty: everything", NULL, "", "", true },
		{ "empty: everything", NULL, "", "app=web", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct label_selector s = { .set = true, .exprs = t[i].e, .nexprs = t[i].e != NULL }, c;
		struct labels l;

		print_message("  %s\n", t[i].name);
		assert_int_equal(labels_parse(t[i].match, &s.match), 0);
		assert_int_equal(labels_parse(t[i].labels, &l), 0);
		assert_int_equal(label_selector_matches(&s, &l), t[i].want);
		assert_int_equal(label_selector_copy(&s, &c), 0);
		assert_int_equal(label_selector_matches(&c, &l), t[i].want);
		label_selector_done(&c);
		s.set = false;
		assert_false(label_selector_matches(&s, &l));
		labels_done(&s.match);
		labels_done(&l);
	}
}

static void ports(void **state)
{
	static const struct { const char *in; int r; const char *out; struct port_spec p; } t[] = {
		{ "any", 0, "any", { .kind = PORT_ANY, .icmp_type = -1, .icmp_code = -1 } },
		{ "tcp", 0, "tcp", { .kind = PORT_PROTO, .proto = 6, .icmp_type = -1, .icmp_code = -1 } },
		{ "proto/6", 0, "tcp", { .kind = PORT_PROTO, .proto = 6, .icmp_type = -1, .icmp_code = -1 } },
		{ "proto/47", 0, "proto/47", { .kind = PORT_PROTO, .proto = 47, .icmp_type = -1, .icmp_code = -1 } },
		{ "proto/0", 0, "proto/0", { .kind = PORT_PROTO, .proto = 0, .icmp_type = -1, .icmp_code = -1 } },
		{ "icmp", 0, "icmp", { .kind = PORT_PROTO, .proto = 1, .icmp_type = -1, .icmp_code = -1 } },
		{ "tcp/5432", 0, "tcp/5432", { PORT_RANGE, 6, 5432, 5432, -1, -1, NULL } },
		{ "udp/53", 0, "udp/53", { PORT_RANGE, 17, 53, 53, -1, -1, NULL } },
		{ "sctp/9999", 0, "sctp/9999", { PORT_RANGE, 132, 9999, 9999, -1, -1, NULL } },
		{ "tcp/8000-8100", 0, "tcp/8000-8100", { PORT_RANGE, 6, 8000, 8100, -1, -1, NULL } },
		{ "tcp/80-80", 0, "tcp/80", { PORT_RANGE, 6, 80, 80, -1, -1, NULL } },
		{ "tcp/1-65535", 0, "tcp/1-65535", { PORT_RANGE, 6, 1, 65535, -1, -1, NULL } },
		{ "icmp/echo-request", 0, "icmp/echo-request", { PORT_ICMP, 1, 0, 0, 8, -1, NULL } },
		{ "icmp/8", 0, "icmp/echo-request", { PORT_ICMP, 1, 0, 0, 8, -1, NULL } },
		{ "icmp/3/4", 0, "icmp/destination-unreachable/4", { PORT_ICMP, 1, 0, 0, 3, 4, NULL } },
		{ "icmp/200", 0, "icmp/200", { PORT_ICMP, 1, 0, 0, 200, -1, NULL } },
		{ "icmpv6/128", 0, "icmpv6/echo-request", { PORT_ICMP, 58, 0, 0, 128, -1, NULL } },
		{ "icmpv6/packet-too-big/0", 0, "icmpv6/packet-too-big/0", { PORT_ICMP, 58, 0, 0, 2, 0, NULL } },
		{ "tcp/9000-8000", -EDOM, NULL, {} },
		{ "tcp/0", -ERANGE, NULL, {} },
		{ "tcp/65536", -ERANGE, NULL, {} },
		{ "tcp/0-80", -ERANGE, NULL, {} },
		{ "tcp/80-99999999999", -ERANGE, NULL, {} },
		{ "tcp/99999999999-80", -ERANGE, NULL, {} },
		{ "icmp/256", -ERANGE, NULL, {} },
		{ "icmp/3/256", -ERANGE, NULL, {} },
		{ "proto/256", -ERANGE, NULL, {} },
		{ "tcp/", -EINVAL, NULL, {} },
		{ "tcp/080", -EINVAL, NULL, {} },
		{ "tcp/80-", -EINVAL, NULL, {} },
		{ "tcp/-80", -EINVAL, NULL, {} },
		{ "tcp/80-90-100", -EINVAL, NULL, {} },
		{ "tcp/80,90", -EINVAL, NULL, {} },
		{ "TCP/80", -EINVAL, NULL, {} },
		{ "tcp 80", -EINVAL, NULL, {} },
		{ "80", -EINVAL, NULL, {} },
		{ "80/tcp", -EINVAL, NULL, {} },
		{ "tcp/Http", -EINVAL, NULL, {} },
		{ "tcp/a-name-too-long-to-be", -EINVAL, NULL, {} },
		{ "tcp/a--b", -EINVAL, NULL, {} },
		{ "icmp/ping", -EINVAL, NULL, {} },
		{ "icmp/packet-too-big", -EINVAL, NULL, {} },
		{ "icmp/", -EINVAL, NULL, {} },
		{ "icmp/8/", -EINVAL, NULL, {} },
		{ "proto/tcp", -EINVAL, NULL, {} },
		{ "proto", -EINVAL, NULL, {} },
		{ "any/80", -EINVAL, NULL, {} },
		{ "gre", -EINVAL, NULL, {} },
		{ "", -EINVAL, NULL, {} },
		{ "tcp/80 ", -EINVAL, NULL, {} },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct port_spec p, before;
		auto_free char *s = NULL;

		print_message("  '%s'\n", t[i].in);
		memset(&p, 0xa5, sizeof(p));
		memcpy(&before, &p, sizeof(p));
		assert_int_equal(port_spec_parse(t[i].in, &p), t[i].r);
		if (t[i].r) {
			assert_memory_equal(&p, &before, sizeof(p));
			continue;
		}
		assert_int_equal(p.kind, t[i].p.kind);
		assert_int_equal(p.proto, t[i].p.proto);
		assert_int_equal(p.from, t[i].p.from);
		assert_int_equal(p.to, t[i].p.to);
		assert_int_equal(p.icmp_type, t[i].p.icmp_type);
		assert_int_equal(p.icmp_code, t[i].p.icmp_code);
		s = port_spec_str(&p);
		assert_string_equal(s, t[i].out);
		port_spec_done(&p);
	}
}

static void named_ports(void **state)
{
	static const char *const t[] = { "tcp/http", "udp/dns-tcp", "sctp/x", "tcp/8080-web", "tcp/80-x" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct port_spec p = {}, c = {};
		auto_free char *s = NULL;

		assert_int_equal(port_spec_parse(t[i], &p), 0);
		assert_int_equal(p.kind, PORT_NAMED);
		assert_string_equal(p.name, strchr(t[i], '/') + 1);
		assert_int_equal(port_spec_copy(&p, &c), 0);
		port_spec_done(&p);
		s = port_spec_str(&c);
		assert_string_equal(s, t[i]);
		port_spec_done(&c);
	}
}

static void axis(void **state)
{
	static const struct { uint32_t axis; const char *out; } t[] = {
		{ CW_AXIS(IPPROTO_TCP, 5432), "tcp/5432" },
		{ CW_AXIS(IPPROTO_UDP, 53), "udp/53" },
		{ CW_AXIS(IPPROTO_ICMP, 8 << 8), "icmp/echo-request" },
		{ CW_AXIS(IPPROTO_ICMP, 3 << 8 | 4), "icmp/destination-unreachable/4" },
		{ CW_AXIS(IPPROTO_ICMP, 3 << 8), "icmp/destination-unreachable/0" },
		{ CW_AXIS(IPPROTO_ICMPV6, 128 << 8), "icmpv6/echo-request" },
		{ CW_AXIS(IPPROTO_ICMPV6, 200 << 8 | 255), "icmpv6/200/255" },
		{ CW_AXIS(IPPROTO_ICMPV6, 136 << 8 | 255), "icmpv6/neighbour-advertisement/255" },
		{ CW_AXIS(47, 0), "proto/47" },
		{ CW_AXIS_END - 1, "proto/255" },
	};
	char out[40];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_string_equal(axis_str(t[i].axis, out), t[i].out);
}

static void tokens(void **state)
{
	enum cw_mode m;
	enum cw_action a;
	enum rule_origin o;
	uint32_t id;

	(void)state;
	for (unsigned i = 0; i < CW_MODE_COUNT; i++) {
		assert_int_equal(cw_mode_parse(cw_mode_str(i), &m), 0);
		assert_int_equal(m, i);
	}
	assert_null(cw_mode_str(CW_MODE_COUNT));
	assert_int_equal(cw_mode_parse("Enforce", &m), -EINVAL);
	for (unsigned i = CW_ACT_ALLOW; i < CW_ACT_COUNT; i++) {
		assert_int_equal(cw_action_parse(cw_action_str(i), &a), 0);
		assert_int_equal(a, i);
	}
	assert_int_equal(cw_action_parse("none", &a), -EINVAL);
	assert_int_equal(cw_action_parse("", &a), -EINVAL);
	for (unsigned i = 0; i < CW_TIER_COUNT; i++)
		assert_non_null(cw_tier_str(i));
	assert_null(cw_tier_str(CW_TIER_COUNT));
	for (unsigned i = 0; i < CW_OUT_COUNT; i++)
		assert_non_null(cw_outcome_str(i));
	assert_string_equal(cw_outcome_str(CW_OUT_NONE), "-");
	assert_string_equal(cw_outcome_str(CW_OUT_DROP), "block");
	assert_null(cw_outcome_str(CW_OUT_COUNT));
	for (unsigned i = 0; i < CW_R_COUNT; i++) {
		assert_non_null(cw_reason_str(i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(cw_reason_str(i), cw_reason_str(j));
	}
	assert_null(cw_reason_str(CW_R_COUNT));
	assert_int_equal(rule_origin_parse("learned", &o), 0);
	assert_int_equal(o, ORIGIN_LEARNED);
	assert_string_equal(rule_origin_str(ORIGIN_BASELINE), "baseline");
	assert_int_equal(rule_origin_parse("human", &o), -EINVAL);
	for (unsigned i = CW_ID_HOST; i <= CW_ID_MULTICAST; i++) {
		assert_int_equal(reserved_parse(reserved_str(i), &id), 0);
		assert_int_equal(id, i);
	}
	assert_null(reserved_str(CW_ID_NONE));
	assert_null(reserved_str(CW_ID_FIRST_USER));
	assert_int_equal(reserved_parse("any", &id), -EINVAL);
}

static void kinds(void **state)
{
	(void)state;
	assert_string_equal(kind_short("Deployment"), "deploy");
	assert_string_equal(kind_short("StatefulSet"), "sts");
	assert_string_equal(kind_short("CronJob"), "cronjob");
	assert_string_equal(kind_short("Rollout"), "rollout");
	assert_string_equal(kind_long("ds"), "DaemonSet");
	assert_string_equal(kind_long("rollout"), "rollout");
	assert_null(kind_short(NULL));
	assert_null(kind_long(NULL));
}

static char *mk(const char *s)
{
	return strdup(s);
}

/* A copy shares nothing: the original is freed first, the sanitizer watches. */
static void copies(void **state)
{
	struct rule r = { .id = 7, .name = mk("r"), .ns = mk("shop"), .origin = ORIGIN_LEARNED, .creator = mk("lin.wei"),
			  .action = CW_ACT_BLOCK, .reject = true, .mode = CW_MODE_ALERT, .enabled = true, .access = mk("8a90") };
	struct rule c = {};
	struct workload w = { .ns = mk("shop"), .name = mk("web-1"), .controller_kind = mk("Deployment"),
			      .controller_name = mk("web") };
	struct workload wc = {};
	struct quarantine q = { .name = mk("q"), .ns = mk("shop"), .pod = mk("rogue"), .until_ns = 5 };
	struct quarantine qc = {};

	(void)state;
	r.from = calloc(1, sizeof(*r.from));
	r.nfrom = 1;
	r.from[0].kind = SEL_CIDR;
	assert_int_equal(prefix_parse("10.0.0.0/8", &r.from[0].cidr), 0);
	r.from[0].except = calloc(1, sizeof(struct prefix));
	r.from[0].nexcept = 1;
	assert_int_equal(prefix_parse("10.1.0.0/16", &r.from[0].except[0]), 0);
	r.to = calloc(1, sizeof(*r.to));
	r.nto = 1;
	r.to[0].kind = SEL_WORKLOAD;
	r.to[0].labels.set = true;
	assert_int_equal(labels_set(&r.to[0].labels.match, "app", "db"), 0);
	r.ports = calloc(1, sizeof(*r.ports));
	r.nports = 1;
	assert_int_equal(port_spec_parse("tcp/http", &r.ports[0]), 0);
	assert_int_equal(rule_copy(&r, &c), 0);
	rule_done(&r);
	assert_int_equal(c.id, 7);
	assert_string_equal(c.name, "r");
	assert_string_equal(c.access, "8a90");
	assert_true(c.reject && c.enabled && c.mode == CW_MODE_ALERT);
	assert_int_equal(c.from[0].except[0].plen, 16);
	assert_string_equal(labels_get(&c.to[0].labels.match, "app"), "db");
	assert_string_equal(c.ports[0].name, "http");
	rule_done(&c);

	w.ports = calloc(1, sizeof(*w.ports));
	w.nports = 1;
	w.ports[0] = (struct named_port){ mk("http"), IPPROTO_TCP, 80 };
	w.addrs = calloc(1, sizeof(*w.addrs));
	w.naddrs = 1;
	assert_int_equal(addr_parse("10.20.1.9", &w.addrs[0]), 0);
	assert_int_equal(workload_copy(&w, &wc), 0);
	workload_done(&w);
	assert_string_equal(wc.ports[0].name, "http");
	assert_true(addr_is_v4(&wc.addrs[0]));
	workload_done(&wc);

	q.allow = calloc(1, sizeof(*q.allow));
	q.nallow = 1;
	q.allow[0].ports = calloc(1, sizeof(struct port_spec));
	q.allow[0].nports = 1;
	assert_int_equal(port_spec_parse("tcp/ssh", &q.allow[0].ports[0]), 0);
	assert_int_equal(quarantine_copy(&q, &qc), 0);
	quarantine_done(&q);
	assert_string_equal(qc.allow[0].ports[0].name, "ssh");
	assert_int_equal(qc.until_ns, 5);
	quarantine_done(&qc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(label_text), cmocka_unit_test(label_sets), cmocka_unit_test(label_selectors),
		cmocka_unit_test(ports),      cmocka_unit_test(named_ports), cmocka_unit_test(axis),
		cmocka_unit_test(tokens),     cmocka_unit_test(kinds),	   cmocka_unit_test(copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
