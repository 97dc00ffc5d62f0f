/* SPDX-License-Identifier: Apache-2.0 */
/* Services and their slices: addresses, ports, readiness, duplicates; both versions of the slices. */
#include "receiver.h"

#define META(name, rv) "'metadata':{'name':'" name "','namespace':'shop','uid':'" name "-uid','resourceVersion':'" rv "'"
#define SLICE(name, rv) META(name, rv) ",'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4'"
#define SLICE6(name, rv) META(name, rv) ",'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv6'"
#define WEB "{" META("web", "1") "},'spec':{'clusterIPs':['10.96.0.10'],'ports':[{'port':80,'targetPort':8080}]}}"
#define POD(name) "'targetRef':{'kind':'Pod','namespace':'shop','name':'" name "'}"
#define P8080 ",'ports':[{'port':8080}]"

struct row { const char *name, *service, *slices[4], *want; };

static void table(void **state)
{
	static const struct row t[] = {
		{ "cluster address, no slices", WEB, { NULL }, "[10.96.0.10] :6/80>8080^0 |" },
		{ "one pod", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':true}," POD("web-1") "}]}" },
		  "| 10.0.0.1(web-1)+8080" },
		{ "conditions absent", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1']}]}" }, "| 10.0.0.1()+8080" },
		{ "not ready", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':false}},"
		  "{'addresses':['10.0.0.2']}]}" }, "| 10.0.0.1()-8080 10.0.0.2()+8080" },
		{ "ending, others ready", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':false,'serving':true,'terminating':true}},"
		  "{'addresses':['10.0.0.2']}]}" }, "| 10.0.0.1()-8080 10.0.0.2()+8080" },
		{ "ending, nothing else", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':false,'serving':true,'terminating':true}},"
		  "{'addresses':['10.0.0.2'],'conditions':{'ready':false,'serving':false,'terminating':true}}]}" }, "| 10.0.0.1()+8080 10.0.0.2()-8080" },
		{ "pod of another namespace", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1'],"
		  "'targetRef':{'kind':'Pod','namespace':'data','name':'db-0'}}]}" }, "| 10.0.0.1()+8080" },
		{ "no pod", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1'],'targetRef':{'kind':'Node','name':'n'}}]}" }, "| 10.0.0.1()+8080" },
		{ "further addresses", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1','10.0.0.7']}]}" }, "| 10.0.0.1()+8080" },
		{ "two slices, one pod in both", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1']}]}",
		  "{" SLICE("s2", "3") P8080 ",'endpoints':[{'addresses':['10.0.0.1']},{'addresses':['10.0.0.2']}]}" }, "| 10.0.0.1()+8080 10.0.0.2()+8080" },
		{ "on its way, ready in one", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':false}}]}",
		  "{" SLICE("s2", "3") P8080 ",'endpoints':[{'addresses':['10.0.0.1']}]}" }, "| 10.0.0.1()+8080" },
		{ "named target with two numbers", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1']}]}",
		  "{" SLICE("s2", "3") ",'ports':[{'port':9090}],'endpoints':[{'addresses':['10.0.0.2']}]}" }, "| 10.0.0.1()+8080 10.0.0.2()+9090" },
		{ "same address, two numbers", WEB, { "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1']}]}",
		  "{" SLICE("s2", "3") ",'ports':[{'port':9090}],'endpoints':[{'addresses':['10.0.0.1']}]}" }, "| 10.0.0.1()+8080 10.0.0.1()+9090" },
		{ "ports by name", "{" META("web", "1") "},'spec':{'type':'NodePort','clusterIPs':['10.96.0.10'],'ports':["
		  "{'name':'http','port':80,'targetPort':'web','nodePort':30080},{'name':'dns','port':53,'protocol':'UDP'},{'name':'tls','port':443}]}}",
		  { "{" SLICE("s1", "2") ",'ports':[{'name':'dns','port':5353,'protocol':'UDP'},{'name':'http','port':8080},{'name':'dns','port':1}],"
		    "'endpoints':[{'addresses':['10.0.0.1']}]}" },
		  "[10.96.0.10] http:6/80>0web^30080 dns:17/53>0^0 tls:6/443>0^0 | 10.0.0.1()+8080,5353,0" },
		{ "each port in a slice of its own", "{" META("web", "1") "},'spec':{'clusterIP':'10.96.0.10','ports':[{'name':'a','port':1},{'name':'b','port':2}]}}",
		  { "{" SLICE("s1", "2") ",'ports':[{'name':'a','port':11}],'endpoints':[{'addresses':['10.0.0.1']}]}",
		    "{" SLICE("s2", "3") ",'ports':[{'name':'b','port':12}],'endpoints':[{'addresses':['10.0.0.1']}]}" },
		  "[10.96.0.10] a:6/1>0^0 b:6/2>0^0 | 10.0.0.1()+11,12" },
		{ "any port", WEB, { "{" SLICE("s1", "2") ",'ports':[{}],'endpoints':[{'addresses':['10.0.0.1']}]}" }, "| 10.0.0.1()+8080" },
		{ "no port of ours", WEB, { "{" SLICE("s1", "2") ",'ports':[{'name':'x','port':1}],'endpoints':[{'addresses':['10.0.0.1']}]}" }, "8080^0 |" },
		{ "both families", "{" META("web", "1") "},'spec':{'clusterIPs':['10.96.0.10','fd00:96::10'],'ports':[{'port':80}]}}",
		  { "{" SLICE("s1", "2") ",'ports':[{'port':80}],'endpoints':[{'addresses':['10.0.0.1']}]}",
		    "{" SLICE6("s2", "2") ",'ports':[{'port':80}],'endpoints':[{'addresses':['fd00::1'],'conditions':{'ready':false,'serving':true,'terminating':true}}]}" },
		  "[10.96.0.10 fd00:96::10] :6/80>0^0 | 10.0.0.1()+80 fd00::1()+80" },
		{ "headless", "{" META("web", "1") "},'spec':{'clusterIP':'None','clusterIPs':['None'],'ports':[{'port':80}]}}",
		  { "{" SLICE("s1", "2") ",'ports':[{'port':80}],'endpoints':[{'addresses':['10.0.0.1']}]}" }, "[] :6/80>0^0 | 10.0.0.1()+80" },
		{ "headless without ports", "{" META("web", "1") "},'spec':{'clusterIP':'None'}}",
		  { "{" SLICE("s1", "2") ",'endpoints':[{'addresses':['10.0.0.1'],'conditions':{}}]}" }, "[] | 10.0.0.1()+" },
		{ "outside addresses", "{" META("web", "1") "},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.10','externalIPs':['192.0.2.1','10.96.0.10'],'ports':[{'port':80,'nodePort':31000}]},"
		  "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.9'},{'hostname':'x.example'},{'ip':'192.0.2.10','ipMode':'Proxy'},{'ip':'192.0.2.11','ipMode':'VIP'}]}}}",
		  { NULL }, "[10.96.0.10 192.0.2.1 192.0.2.9 192.0.2.11] :6/80>0^31000 |" },
		{ "not allocated yet", "{" META("web", "1") "},'spec':{'clusterIP':'','ports':[{'port':80}]}}", { NULL }, "[] :6/80>0^0 |" },
		{ "node port of a type without", "{" META("web", "1") "},'spec':{'type':'ClusterIP','clusterIP':'10.96.0.10','ports':[{'port':80,'nodePort':30000}]}}", { NULL }, "80>0^0 |" },
		{ "names for addresses", WEB, { "{" META("s1", "2") ",'labels':{'kubernetes.io/service-name':'web'}},'addressType':'FQDN'" P8080
		  ",'endpoints':[{'addresses':['a.example']}]}" }, "8080^0 |" },
		{ "slice of nobody", WEB, { "{" META("s1", "2") "},'addressType':'IPv4'" P8080 ",'endpoints':[{'addresses':['10.0.0.1']}]}" }, "8080^0 |" },
		{ "slice of another one", WEB, { "{" META("s1", "2") ",'labels':{'kubernetes.io/service-name':'api'}},'addressType':'IPv4'" P8080
		  ",'endpoints':[{'addresses':['10.0.0.1']}]}" }, "8080^0 |" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		/* Slices before, between and after, in both orders. */
		for (int order = 0; order < 3; order++) {
			struct cluster *c = cluster_new(i);
			struct seen s;

			print_message("  %s\n", t[i].name);
			seen_init(&s);
			if (order == 1)
				assert_int_equal(put(c, CLUSTER_SERVICE, t[i].service), 0);
			for (size_t k = 0; k < ARRAY_SIZE(t[i].slices); k++) {
				const char *sl = t[i].slices[order == 2 ? ARRAY_SIZE(t[i].slices) - 1 - k : k];

				if (sl)
					assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, sl), 0);
				if (order == 1)
					changes(c, &s);
			}
			if (order != 1)
				assert_int_equal(put(c, CLUSTER_SERVICE, t[i].service), 0);
			changes(c, &s);
			expect(&s, "service shop/web", t[i].want);
			seen_done(&s);
			cluster_free(c);
		}
	}
}

/* v1beta1 knows ready alone, and topology where v1 has nodeName: the same service. */
static void both_versions(void **state)
{
	static const char *const v1 = "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice'," SLICE("s1", "2")
		",'ports':[{'name':'','protocol':'TCP','port':8080}],'endpoints':["
		"{'addresses':['10.0.0.1'],'conditions':{'ready':true,'serving':true,'terminating':false},'nodeName':'n1','zone':'z'," POD("web-1") "},"
		"{'addresses':['10.0.0.2'],'conditions':{'ready':false,'serving':false,'terminating':false},'nodeName':'n2'," POD("web-2") "}]}";
	static const char *const beta = "{'apiVersion':'discovery.k8s.io/v1beta1','kind':'EndpointSlice'," SLICE("s1", "2")
		",'ports':[{'name':null,'protocol':null,'port':8080,'appProtocol':'http'}],'endpoints':["
		"{'addresses':['10.0.0.1'],'conditions':{'ready':true},'topology':{'kubernetes.io/hostname':'n1'},'hints':{}," POD("web-1") "},"
		"{'addresses':['10.0.0.2'],'conditions':{'ready':false},'topology':{'kubernetes.io/hostname':'n2'}," POD("web-2") "}]}";
	char *lines[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct cluster *c = cluster_new(3);
		struct seen s;

		seen_init(&s);
		assert_int_equal(put(c, CLUSTER_SERVICE, WEB), 0);
		assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, i ? beta : v1), 0);
		changes(c, &s);
		lines[i] = strdup(line(&s, "service shop/web"));
		seen_done(&s);
		cluster_free(c);
	}
	assert_string_equal(lines[0], "[10.96.0.10] :6/80>8080^0 | 10.0.0.1(web-1)+8080 10.0.0.2(web-2)-8080");
	assert_string_equal(lines[0], lines[1]);
	free(lines[0]);
	free(lines[1]);
}

static void events(void **state)
{
	struct cluster *c = cluster_new(9);
	struct seen s;

	(void)state;
	seen_init(&s);
	/* Slices alone are nothing. */
	assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1']}]}"), 0);
	assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, "{" SLICE("s2", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.2']}]}"), 0);
	changes(c, &s);
	assert_int_equal(s.puts, 0);
	assert_int_equal(put(c, CLUSTER_SERVICE, WEB), 0);
	changes(c, &s);
	assert_int_equal(s.puts, 1);
	/* Both slices change: one word. One that says the same: none. */
	assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, "{" SLICE("s1", "3") P8080 ",'endpoints':[]}"), 0);
	assert_int_equal(del(c, CLUSTER_ENDPOINT_SLICE, "{" SLICE("s2", "4") "}"), 0);
	changes(c, &s);
	assert_int_equal(s.puts, 2);
	expect(&s, "service shop/web", "8080^0 |");
	assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, "{" SLICE("s1", "5") P8080 ",'endpoints':null}"), 0);
	changes(c, &s);
	assert_int_equal(s.puts, 2);
	/* A slice that goes over to another service. */
	assert_int_equal(put(c, CLUSTER_SERVICE, "{" META("api", "9") "},'spec':{'clusterIP':'10.96.0.11','ports':[{'port':80}]}}"), 0);
	assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, "{" SLICE("s1", "10") P8080 ",'endpoints':[{'addresses':['10.0.0.9']}]}"), 0);
	changes(c, &s);
	expect(&s, "service shop/web", "| 10.0.0.9()+8080");
	assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, "{" META("s1", "11") ",'labels':{'kubernetes.io/service-name':'api'}},'addressType':'IPv4'"
			     P8080 ",'endpoints':[{'addresses':['10.0.0.9']}]}"), 0);
	changes(c, &s);
	expect(&s, "service shop/web", "8080^0 |");
	expect(&s, "service shop/api", "| 10.0.0.9()+8080");
	/* The service goes, its slice stays for a while; then one of the name comes back. */
	assert_int_equal(del(c, CLUSTER_SERVICE, "{" META("api", "12") "}}"), 0);
	changes(c, &s);
	expect(&s, "service shop/api", "");
	assert_int_equal(put(c, CLUSTER_SERVICE, "{'metadata':{'name':'api','namespace':'shop','uid':'again','resourceVersion':'20'},'spec':{'clusterIP':'10.96.0.12','ports':[{'port':8}]}}"), 0);
	changes(c, &s);
	expect(&s, "service shop/api", "[10.96.0.12] :6/8>0^0 | 10.0.0.9()+8080");
	/* It becomes a name for something outside. */
	assert_int_equal(put(c, CLUSTER_SERVICE, "{'metadata':{'name':'api','namespace':'shop','uid':'again','resourceVersion':'21'},'spec':{'type':'ExternalName','externalName':'x.example'}}"), 0);
	changes(c, &s);
	expect(&s, "service shop/api", "");
	expect(&s, "fault Service shop/api", "remark kube.external-name: Service shop/api, spec.type: \"ExternalName\"");
	seen_done(&s);
	cluster_free(c);
}

static void faults(void **state)
{
	static const struct { const char *name; enum cluster_kind kind; const char *obj, *want; } t[] = {
		{ "no port", CLUSTER_SERVICE, "{" META("web", "1") "},'spec':{'ports':[{'name':'a'}]}}", "kube.missing-field: Service shop/web, spec.ports[0]" },
		{ "port twice", CLUSTER_SERVICE, "{" META("web", "1") "},'spec':{'ports':[{'name':'a','port':1},{'name':'b','port':1}]}}", "kube.duplicate: Service shop/web, spec.ports[1]" },
		{ "target", CLUSTER_SERVICE, "{" META("web", "1") "},'spec':{'ports':[{'port':1,'targetPort':true}]}}", "kube.type: Service shop/web, spec.ports[0].targetPort: true" },
		{ "target name", CLUSTER_SERVICE, "{" META("web", "1") "},'spec':{'ports':[{'port':1,'targetPort':'a b'}]}}", "kube.name: Service shop/web, spec.ports[0].targetPort: \"a b\"" },
		{ "cluster address", CLUSTER_SERVICE, "{" META("web", "1") "},'spec':{'clusterIPs':['10.96.0.10','x']}}", "kube.address: Service shop/web, spec.clusterIPs[1]: \"x\"" },
		{ "balancer", CLUSTER_SERVICE, "{" META("web", "1") "},'status':{'loadBalancer':{'ingress':[{'ip':'::1'}]}}}",
		  "kube.address: Service shop/web, status.loadBalancer.ingress[0]: \"::1\"" },
		{ "type of address", CLUSTER_ENDPOINT_SLICE, "{" META("s", "1") "},'addressType':'IP'}", "kube.address-type: EndpointSlice shop/s, addressType: \"IP\"" },
		{ "family", CLUSTER_ENDPOINT_SLICE, "{" SLICE("s", "1") ",'endpoints':[{'addresses':['fd00::1']}]}",
		  "kube.family: EndpointSlice shop/s, endpoints[0].addresses[0]: \"fd00::1\"" },
		{ "no address", CLUSTER_ENDPOINT_SLICE, "{" SLICE("s", "1") ",'endpoints':[{}]}", "kube.missing-field: EndpointSlice shop/s, endpoints[0].addresses[0]" },
		{ "no endpoint", CLUSTER_ENDPOINT_SLICE, "{" SLICE("s", "1") ",'endpoints':[7]}", "kube.type: EndpointSlice shop/s, endpoints[0]: 7" },
		{ "ready", CLUSTER_ENDPOINT_SLICE, "{" SLICE("s", "1") ",'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':1}}]}",
		  "kube.type: EndpointSlice shop/s, endpoints[0].conditions.ready: 1" },
		{ "port number", CLUSTER_ENDPOINT_SLICE, "{" SLICE("s", "1") ",'ports':[{'port':0}]}", "kube.range: EndpointSlice shop/s, ports[0].port: 0" },
		{ "pod name", CLUSTER_ENDPOINT_SLICE, "{" SLICE("s", "1") ",'endpoints':[{'addresses':['10.0.0.1'],'targetRef':{'kind':'Pod','name':'A'}}]}",
		  "kube.name: EndpointSlice shop/s, endpoints[0].targetRef.name: \"A\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct seen s;
		char key[64];

		print_message("  %s\n", t[i].name);
		seen_init(&s);
		assert_int_equal(put(c, t[i].kind, t[i].obj), -EINVAL);
		changes(c, &s);
		expect(&s, "service shop/web", "");
		snprintf(key, sizeof(key), "fault %s shop/%s", cluster_kind_str(t[i].kind), t[i].kind == CLUSTER_SERVICE ? "web" : "s");
		expect(&s, key, t[i].want);
		seen_done(&s);
		cluster_free(c);
	}
}

/* A refused slice leaves the former one in force. */
static void refused_slice(void **state)
{
	struct cluster *c = cluster_new(9);
	struct seen s;

	(void)state;
	seen_init(&s);
	assert_int_equal(put(c, CLUSTER_SERVICE, WEB), 0);
	assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, "{" SLICE("s1", "2") P8080 ",'endpoints':[{'addresses':['10.0.0.1']}]}"), 0);
	changes(c, &s);
	assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, "{" SLICE("s1", "3") P8080 ",'endpoints':[{'addresses':['no']}]}"), -EINVAL);
	changes(c, &s);
	expect(&s, "service shop/web", "| 10.0.0.1()+8080");
	expect(&s, "fault EndpointSlice shop/s1", "refused");
	seen_done(&s);
	cluster_free(c);
}

/* More than is kept: told, and untold when it is over. The same address a thousand times costs nothing. */
static void many(void **state)
{
	struct cluster *c = cluster_new(9);
	struct seen s;
	struct buf b;

	(void)state;
	seen_init(&s);
	assert_int_equal(put(c, CLUSTER_SERVICE, WEB), 0);
	for (unsigned i = 0; i <= CLUSTER_BACKENDS_MAX / CLUSTER_ENDPOINTS_MAX; i++) {
		auto_free char *text = NULL;

		buf_init(&b, 1 << 20);
		buf_printf(&b, "{'metadata':{'name':'s%u','namespace':'shop','uid':'u%u','labels':{'kubernetes.io/service-name':'web'}},"
			   "'addressType':'IPv4','ports':[{'port':%u}],'endpoints':[", i, i, 8000 + i);
		for (unsigned k = 0; k < CLUSTER_ENDPOINTS_MAX; k++)
			buf_printf(&b, "%s{'addresses':['10.0.0.1'],'targetRef':{'kind':'Pod','name':'p-%u'}}", k ? "," : "", k);
		buf_adds(&b, "]}");
		text = buf_take(&b, NULL);
		assert_int_equal(put(c, CLUSTER_ENDPOINT_SLICE, text), 0);
	}
	changes(c, &s);
	expect(&s, "fault Service shop/web", "remark kubernetes.backends: ");
	assert_int_equal(del(c, CLUSTER_ENDPOINT_SLICE, "{'metadata':{'name':'s3','namespace':'shop','uid':'u3'}}"), 0);
	changes(c, &s);
	expect(&s, "fault Service shop/web", "");
	seen_done(&s);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table), cmocka_unit_test(both_versions), cmocka_unit_test(events), cmocka_unit_test(faults),
		cmocka_unit_test(refused_slice), cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
