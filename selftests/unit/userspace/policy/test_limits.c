/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_limits.c - what is large works, or is refused before anything is written, by the name of
 * the rule or policy and with the numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "policy/compile.h"
#include "policy/kpolicy.h"

#define PREFIXES 10000u
#define PODS 60u

struct big {
	struct policy_state st;
	struct rule rule;
	struct workload pods[PODS];
	struct namespace ns;
	struct addr addrs[PODS];
	struct labels none;
	char names[PODS][16];
	struct kv kv[PODS];
	struct selector from, *to;
	struct port_spec ports[32];
};

static char *borrowed(const char *s)
{
	return (char *)s; /* never freed */
}

static void big_new(struct big *b, uint32_t pods, uint32_t prefixes)
{
	static const char shop[] = "shop", name[] = "large", slot[] = "slot";

	memset(b, 0, sizeof(*b));
	b->ns.name = borrowed(shop);
	b->st = (struct policy_state){ .default_mode = CW_MODE_ENFORCE, .default_action = CW_ACT_BLOCK, .generation = 1,
				       .namespaces = &b->ns, .nnamespaces = 1, .workloads = b->pods, .nworkloads = pods,
				       .rules = &b->rule, .nrules = 1 };
	for (uint32_t i = 0; i < pods; i++) {
		snprintf(b->names[i], sizeof(b->names[i]), "pod-%u", i);
		b->kv[i] = (struct kv){ borrowed(slot), b->names[i] };
		b->addrs[i] = (struct addr){ .b = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = (uint8_t)(i + 1) } };
		b->pods[i] = (struct workload){ .ns = borrowed(shop), .name = b->names[i], .uid = b->names[i], .addrs = &b->addrs[i],
						.naddrs = 1, .labels = { &b->kv[i], 1 } };
	}
	b->to = calloc(prefixes + 1, sizeof(*b->to));
	assert_non_null(b->to);
	b->from = (struct selector){ .kind = SEL_WORKLOAD, .labels = { .set = true } };
	b->to[0] = b->from;
	for (uint32_t i = 0; i < prefixes; i++)
		b->to[i] = (struct selector){ .kind = SEL_CIDR, .cidr = { .plen = 28, .addr = { .b = { [10] = 0xff, [11] = 0xff, [12] = 100,
			[13] = (uint8_t)(i >> 12), [14] = (uint8_t)(i >> 4), [15] = (uint8_t)(i << 4) } } } };
	b->rule = (struct rule){ .id = 7, .name = borrowed(name), .action = CW_ACT_ALLOW, .mode = CW_MODE_ENFORCE, .enabled = true,
				 .from = &b->from, .nfrom = 1, .to = b->to, .nto = prefixes ? prefixes : 1 };
}

/* NULL: it fits. */
static void prepare(struct big *b, const struct policy_limits *lim, const char *at, const char *message)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	struct policy_plan *plan = NULL;
	struct policy_set *set;
	int e;

	assert_int_equal(policy_set_new(lim, &set), 0);
	e = policy_set_prepare(set, &b->st, &f, &plan);
	if (!message) {
		if (e)
			fail_msg("refused: %s: %s", f.n && f.items[0].at ? f.items[0].at : "?", f.n ? f.items[0].message : "?");
		policy_plan_free(plan);
	} else {
		assert_int_equal(e, -E2BIG);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, "policy.full");
		if (at ? !f.items[0].at || !strstr(f.items[0].at, at) : false)
			fail_msg("at %s, wanted %s", f.items[0].at ? f.items[0].at : "nowhere", at);
		if (!strstr(f.items[0].message, message))
			fail_msg("said \"%s\", wanted \"%s\"", f.items[0].message, message);
	}
	policy_set_free(set);
}

static const struct policy_limits roomy = { .groups = 256, .wls = 256, .verdicts = 1024, .rowtab = 65536, .rows = 65536,
					    .peers = 65536, .addrs = 1024, .nets = 16384, .all_local = true };

static void ports_of_25(void **state)
{
	struct policy_limits tight = roomy;
	struct big b;

	(void)state;
	big_new(&b, 2, 0);
	b.rule.ports = b.ports;
	b.rule.nports = 25;
	for (uint16_t i = 0; i < 25; i++)
		b.ports[i] = (struct port_spec){ .kind = PORT_RANGE, .proto = IPPROTO_TCP, .from = (uint16_t)(1000 + 2 * i),
						 .to = (uint16_t)(1000 + 2 * i) };
	prepare(&b, &roomy, NULL, NULL);
	tight.rows = 40; /* two edges each, and the rest of the axis */
	prepare(&b, &tight, "large", "row pool full: ");
	free(b.to);
}

static void all_ports(void **state)
{
	struct policy_limits tight = roomy;
	struct big b;

	(void)state;
	big_new(&b, 2, 0);
	b.rule.ports = b.ports;
	b.rule.nports = 1;
	b.ports[0] = (struct port_spec){ .kind = PORT_RANGE, .proto = IPPROTO_TCP, .from = 1, .to = 65535 };
	tight.rows = 64; /* a range is two edges, not 65,535 ports */
	prepare(&b, &tight, NULL, NULL);
	free(b.to);
}

static void prefixes_of_10000(void **state)
{
	struct policy_limits tight = roomy;
	struct big b;

	(void)state;
	big_new(&b, 2, PREFIXES);
	prepare(&b, &roomy, NULL, NULL);
	tight.nets = 4096;
	prepare(&b, &tight, "large", "IPv4 prefixes full: 10003 needed, room for 4096");
	free(b.to);
}

static void identities(void **state)
{
	struct policy_limits tight = roomy;
	struct big b;

	(void)state;
	big_new(&b, PODS, 0);
	prepare(&b, &roomy, NULL, NULL);
	tight.addrs = 32;
	prepare(&b, &tight, NULL, "IPv4 addresses full: 60 needed, room for 32");
	free(b.to);
}

/* A Kubernetes policy is named as itself. */
static void policies_are_named(void **state)
{
	struct policy_limits tight = roomy;
	auto_cleanup(fail_list_done) struct fail_list f = {};
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct kpolicy k = {};
	struct big b;
	cJSON *to;

	(void)state;
	o = cJSON_Parse("{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"many\","
			"\"namespace\":\"shop\"},\"spec\":{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[]}]}}");
	assert_non_null(o);
	to = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetObjectItem(o, "spec"), "egress"), 0), "to");
	for (unsigned i = 0; i < 200; i++) {
		cJSON *peer = cJSON_CreateObject(), *block = cJSON_AddObjectToObject(peer, "ipBlock");
		char text[32];

		snprintf(text, sizeof(text), "100.%u.0.0/16", i);
		cJSON_AddStringToObject(block, "cidr", text);
		cJSON_AddItemToArray(to, peer);
	}
	assert_int_equal(kpolicy_parse(o, "np", &f, &k), 0);
	k.id = 9;
	big_new(&b, 2, 0);
	b.st.nrules = 0;
	b.st.kpolicies = &k;
	b.st.nkpolicies = 1;
	prepare(&b, &roomy, NULL, NULL);
	tight.nets = 100;
	prepare(&b, &tight, "NetworkPolicy shop/many", "IPv4 prefixes full: ");
	kpolicy_done(&k);
	free(b.to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_of_25), cmocka_unit_test(all_ports), cmocka_unit_test(prefixes_of_10000),
		cmocka_unit_test(identities), cmocka_unit_test(policies_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
