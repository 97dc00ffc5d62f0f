/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces, nodes and the addresses that a cluster seems to have. */
#include "receiver.h"

static void namespaces(void **state)
{
	static const struct { const char *name, *obj, *want, *fault; } t[] = {
		{ "plain", "{'metadata':{'name':'shop','uid':'u'}}", "mode= confirm=0 {kubernetes.io/metadata.name=shop}", "" },
		{ "labels", "{'metadata':{'name':'shop','uid':'u','labels':{'team':'a'}}}", " {kubernetes.io/metadata.name=shop,team=a}", "" },
		{ "another one's name", "{'metadata':{'name':'shop','uid':'u','labels':{'kubernetes.io/metadata.name':'kube-system'}}}",
		  " {kubernetes.io/metadata.name=shop}", "" },
		{ "mode", "{'metadata':{'name':'shop','uid':'u','labels':{'cellwall.io/mode':'enforce'},'annotations':{'cellwall.io/confirm':'10m'}}}",
		  "mode=enforce confirm=600000 {", "" },
		{ "whose mode", "{'metadata':{'name':'shop','uid':'u','labels':{'cellwall.io/mode':'alert'},'managedFields':["
		  "{'manager':'kubectl-label','time':'2026-01-02T00:00:00Z','fieldsV1':{'f:metadata':{'f:labels':{'f:cellwall.io/mode':{}}}}},"
		  "{'manager':'helm','time':'2026-01-03T00:00:00Z','fieldsV1':{'f:metadata':{'f:labels':{'f:team':{}}}}}]}}", "kubectl-label mode=alert", "" },
		{ "no mode", "{'metadata':{'name':'shop','uid':'u','labels':{'cellwall.io/mode':'enforced'}}}", "mode= confirm=0",
		  "remark kube.mode-label: Namespace shop, metadata.labels.cellwall.io/mode: \"enforced\"" },
		{ "no time", "{'metadata':{'name':'shop','uid':'u','labels':{'cellwall.io/mode':'off'},'annotations':{'cellwall.io/confirm':'soon'}}}",
		  "mode=off confirm=0", "remark kube.confirm: Namespace shop, metadata.annotations.cellwall.io/confirm: \"soon\"" },
		{ "too long a time", "{'metadata':{'name':'shop','uid':'u','annotations':{'cellwall.io/confirm':'25h'}}}", "confirm=0", "remark kube.confirm" },
		{ "bad label", "{'metadata':{'name':'shop','uid':'u','labels':{'a':'b c'}}}", "", "refused kube.label" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct seen s;

		print_message("  %s\n", t[i].name);
		seen_init(&s);
		assert_int_equal(put(c, CLUSTER_NAMESPACE, t[i].obj), *t[i].want ? 0 : -EINVAL);
		changes(c, &s);
		expect(&s, "namespace shop", t[i].want);
		expect(&s, "fault Namespace shop", t[i].fault);
		assert_int_equal(del(c, CLUSTER_NAMESPACE, t[i].obj), 0);
		changes(c, &s);
		expect(&s, "namespace shop", "");
		expect(&s, "fault Namespace shop", "");
		seen_done(&s);
		cluster_free(c);
	}
}

static void nodes(void **state)
{
	static const struct { const char *name, *obj, *want; } t[] = {
		{ "plain", "{'metadata':{'name':'n1.example','uid':'u','labels':{'zone':'a'}},'spec':{'podCIDR':'10.244.1.0/24'},"
		  "'status':{'addresses':[{'type':'InternalIP','address':'192.0.2.1'},{'type':'Hostname','address':'n1'}]}}",
		  "[192.0.2.1] (10.244.1.0/24) {zone=a}" },
		{ "both families", "{'metadata':{'name':'n1.example','uid':'u'},'spec':{'podCIDR':'10.244.1.0/24','podCIDRs':['10.244.1.0/24','fd00:244:1::/64']},"
		  "'status':{'addresses':[{'type':'InternalIP','address':'192.0.2.1'},{'type':'InternalIP','address':'fd00::1'},{'type':'ExternalIP','address':'203.0.113.7'},"
		  "{'type':'InternalIP','address':'192.0.2.1'}]}}", "[192.0.2.1 fd00::1 203.0.113.7] (10.244.1.0/24 fd00:244:1::/64)" },
		{ "tunnels", "{'metadata':{'name':'n1.example','uid':'u','annotations':{'projectcalico.org/IPv4VXLANTunnelAddr':'10.244.7.0',"
		  "'projectcalico.org/IPv4Address':'192.0.2.1/24','network.cilium.io/ipv4-cilium-host':'nonsense'}},"
		  "'status':{'addresses':[{'type':'InternalIP','address':'192.0.2.1'}]}}", "[192.0.2.1 10.244.7.0] ()" },
		{ "nothing", "{'metadata':{'name':'n1.example','uid':'u'}}", "[] ()" },
		{ "no prefix", "{'metadata':{'name':'n1.example','uid':'u'},'spec':{'podCIDRs':['10.244.1.1/24']}}", "" },
		{ "no address", "{'metadata':{'name':'n1.example','uid':'u'},'status':{'addresses':[{'type':'InternalIP','address':'n1'}]}}", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct seen s;

		print_message("  %s\n", t[i].name);
		seen_init(&s);
		assert_int_equal(put(c, CLUSTER_NODE, t[i].obj), *t[i].want ? 0 : -EINVAL);
		changes(c, &s);
		expect(&s, "node n1.example", t[i].want);
		assert_int_equal(del(c, CLUSTER_NODE, t[i].obj), 0);
		changes(c, &s);
		expect(&s, "node n1.example", "");
		seen_done(&s);
		cluster_free(c);
	}
}

/* A node's status comes every few seconds: nothing of it matters. */
static void heartbeats(void **state)
{
	struct cluster *c = cluster_new(1);
	struct seen s;

	(void)state;
	seen_init(&s);
	assert_int_equal(put(c, CLUSTER_NODE, "{'metadata':{'name':'n','uid':'u','resourceVersion':'1'},'status':{'conditions':[{'x':1}]}}"), 0);
	changes(c, &s);
	assert_int_equal(put(c, CLUSTER_NODE, "{'metadata':{'name':'n','uid':'u','resourceVersion':'2'},'status':{'conditions':[{'x':2}]}}"), 0);
	changes(c, &s);
	assert_int_equal(s.puts, 1);
	seen_done(&s);
	cluster_free(c);
}

static void suggested(void **state)
{
	static const struct { const char *name, *nodes[4], *services[3], *want; } t[] = {
		{ "nothing", { NULL }, { NULL }, "" },
		{ "neighbours", { "10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24" }, { NULL }, "10.244.0.0/22 " },
		{ "no neighbours", { "10.244.0.0/24", "10.244.2.0/24" }, { NULL }, "10.244.0.0/24 10.244.2.0/24 " },
		{ "services", { "10.244.0.0/24" }, { "10.96.0.1", "10.97.3.4" }, "10.96.0.0/15 10.244.0.0/24 " },
		{ "both families", { "10.244.0.0/24", "fd00:244::/64" }, { "10.96.0.1", "fd00:96::1", "fd00:96::a" }, "10.96.0.1/32 10.244.0.0/24 fd00:96::/124 fd00:244::/64 " },
		{ "services too far apart", { "10.244.0.0/24" }, { "10.96.0.1", "192.0.2.1" }, "10.244.0.0/24 " },
		{ "one in another", { "10.244.0.0/16", "10.244.7.0/24" }, { "10.244.0.1" }, "10.244.0.0/16 " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct prefix *v = NULL;
		char text[1024], p[PREFIX_STR_MAX];
		struct buf b;
		size_t n = 0;

		print_message("  %s\n", t[i].name);
		for (size_t k = 0; k < ARRAY_SIZE(t[i].nodes) && t[i].nodes[k]; k++) {
			snprintf(text, sizeof(text), "{'metadata':{'name':'n%zu','uid':'u'},'spec':{'podCIDRs':['%s']}}", k, t[i].nodes[k]);
			assert_int_equal(put(c, CLUSTER_NODE, text), 0);
		}
		for (size_t k = 0; k < ARRAY_SIZE(t[i].services) && t[i].services[k]; k++) {
			snprintf(text, sizeof(text), "{'metadata':{'name':'s%zu','namespace':'shop','uid':'u'},'spec':{'clusterIPs':['%s'],'externalIPs':['203.0.113.9']}}", k, t[i].services[k]);
			assert_int_equal(put(c, CLUSTER_SERVICE, text), 0);
		}
		assert_int_equal(cluster_cidrs(c, &v, &n), 0);
		buf_init(&b, 4096);
		for (size_t k = 0; k < n; k++)
			buf_printf(&b, "%s ", prefix_str(&v[k], p));
		assert_string_equal(b.data ? b.data : "", t[i].want);
		buf_done(&b);
		free(v);
		cluster_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(namespaces), cmocka_unit_test(nodes), cmocka_unit_test(heartbeats), cmocka_unit_test(suggested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
