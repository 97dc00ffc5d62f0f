/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once: what could not be taken is as if it had not come, and comes again. */
#include "receiver.h"

#include "selftests/harness/torture.h"

static const struct { enum cluster_kind kind; bool gone; const char *obj; } steps[] = {
	{ CLUSTER_NAMESPACE, false, "{'metadata':{'name':'shop','uid':'n1','resourceVersion':'1','labels':{'a':'b','cellwall.io/mode':'learn'}}}" },
	{ CLUSTER_NODE, false, "{'metadata':{'name':'n1','uid':'n2','resourceVersion':'1','labels':{'a':'b'}},'spec':{'podCIDRs':['10.244.0.0/24']},"
	  "'status':{'addresses':[{'type':'InternalIP','address':'192.0.2.1'}]}}" },
	{ CLUSTER_REPLICASET, false, "{'metadata':{'name':'rs','namespace':'shop','uid':'r1','resourceVersion':'1',"
	  "'ownerReferences':[{'kind':'Deployment','name':'web','uid':'d1','controller':true}]}}" },
	{ CLUSTER_POD, false, "{'metadata':{'name':'web-0','namespace':'shop','uid':'p1','resourceVersion':'2','labels':{'app':'web','x':'y'},"
	  "'ownerReferences':[{'kind':'ReplicaSet','name':'rs','uid':'r1','controller':true}]},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i',"
	  "'ports':[{'name':'http','containerPort':80}]}]},'status':{'podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]}}" },
	{ CLUSTER_POD, false, "{'metadata':{'name':'web-1','namespace':'shop','uid':'p2','resourceVersion':'3','creationTimestamp':'2026-01-01T00:00:00Z'},"
	  "'status':{'podIPs':[{'ip':'10.0.0.1'}]}}" },
	{ CLUSTER_POD, false, "{'metadata':{'name':'web-0','namespace':'shop','uid':'p3','resourceVersion':'4'},'status':{'podIP':'10.0.0.3'}}" },
	{ CLUSTER_SERVICE, false, "{'metadata':{'name':'web','namespace':'shop','uid':'s1','resourceVersion':'4','labels':{'a':'b'}},"
	  "'spec':{'clusterIP':'10.96.0.1','ports':[{'name':'http','port':80,'targetPort':'http'}]}}" },
	{ CLUSTER_ENDPOINT_SLICE, false, "{'metadata':{'name':'web-a','namespace':'shop','uid':'e1','resourceVersion':'5','labels':{'kubernetes.io/service-name':'web'}},"
	  "'addressType':'IPv4','ports':[{'name':'http','port':8080}],'endpoints':[{'addresses':['10.0.0.1'],'targetRef':{'kind':'Pod','name':'web-1'}},{'addresses':['10.0.0.1']}]}" },
	{ CLUSTER_ACCESS_RULE, false, "{'apiVersion':'cellwall.io/v1alpha1','kind':'AccessRule','metadata':{'name':'r','namespace':'shop','uid':'a1','resourceVersion':'6',"
	  "'labels':{'x':'y'},'managedFields':[{'manager':'kubectl'}]},'spec':{'action':'allow','from':[{'labels':{'a':'b'}}],'to':[{'cidr':'192.0.2.0/24','except':['192.0.2.1/32']}],'ports':['tcp/80']}}" },
	{ CLUSTER_QUARANTINE, false, "{'apiVersion':'cellwall.io/v1alpha1','kind':'Quarantine','metadata':{'name':'q','uid':'a2','resourceVersion':'6'},"
	  "'spec':{'target':{'namespace':'shop','pod':'rogue'},'reason':'scan','allow':[{'cidr':'192.0.2.10/32','ports':['tcp/22']}]}}" },
	{ CLUSTER_MODE_PROFILE, false, "{'apiVersion':'cellwall.io/v1alpha1','kind':'ModeProfile','metadata':{'name':'m','uid':'a3','resourceVersion':'6'},"
	  "'spec':{'target':{'namespaceLabels':{'a':'b'}},'mode':'alert'}}" },
	{ CLUSTER_NETWORK_POLICY, false, "{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy','metadata':{'name':'np','namespace':'shop','uid':'a4','resourceVersion':'6'},"
	  "'spec':{'podSelector':{'matchLabels':{'a':'b'}},'ingress':[{'from':[{'ipBlock':{'cidr':'10.0.0.0/8'}}],'ports':[{'port':80}]}]}}" },
	{ CLUSTER_POD, true, "{'metadata':{'name':'web-1','namespace':'shop','uid':'p2','resourceVersion':'9'}}" },
	{ CLUSTER_SERVICE, true, "{'metadata':{'name':'web','namespace':'shop','uid':'s1','resourceVersion':'9'}}" },
};

static char *all_lines(const struct seen *s)
{
	static const char *const keys[] = {
		"namespace shop", "node n1", "workload shop/web-0", "workload shop/web-1", "service shop/web", "AccessRule shop/r", "Quarantine q",
		"ModeProfile m", "NetworkPolicy shop/np",
	};
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		buf_printf(&b, "%s: %s\n", keys[i], line(s, keys[i]));
	return buf_take(&b, NULL);
}

/* One step, its n-th allocation failing; then once more. True: it was failed. */
static bool step(struct cluster *c, size_t i, long n)
{
	cJSON *obj = object(steps[i].obj);
	bool hit;
	int r;

	torture_hit = false;
	torture_left = n;
	r = steps[i].gone ? cluster_del(c, steps[i].kind, obj) : cluster_put(c, steps[i].kind, obj, NULL);
	torture_left = -1;
	hit = torture_hit;
	assert_true(r == 0 || (r == -ENOMEM && hit));
	if (r)
		assert_int_equal(steps[i].gone ? cluster_del(c, steps[i].kind, obj) : cluster_put(c, steps[i].kind, obj, NULL), 0);
	cJSON_Delete(obj);
	return hit;
}

static int quiet(void *arg)
{
	(void)arg;
	torture_left = -1; /* the receiver's own memory is not what is tried here */
	return 0;
}

static int quiet_workload(void *arg, const struct workload *w)
{
	long left = torture_left;
	int r = quiet(arg);

	r = r ?: seen_workload(arg, w);
	torture_left = left;
	return r;
}

static int quiet_service(void *arg, const struct service *s)
{
	long left = torture_left;
	int r = quiet(arg);

	r = r ?: seen_service(arg, s);
	torture_left = left;
	return r;
}

static void puts_fail(void **state)
{
	char *want = NULL;

	(void)state;
	if (!TORTURE) {
		skip();
		return;
	}
	for (size_t at = 0; at < ARRAY_SIZE(steps); at++) {
		for (long n = -1;; n++) {
			long live = torture_live;
			struct cluster *c = cluster_new(1);
			bool hit = false;
			struct seen s;
			char *got;

			seen_init(&s);
			for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
				hit |= step(c, i, i == at ? n : -1);
				if (i == 5) /* some of it is told before the rest comes */
					changes(c, &s);
			}
			changes(c, &s);
			got = all_lines(&s);
			if (!want)
				want = strdup(got);
			if (strcmp(want, got) != 0)
				fail_msg("step %zu, allocation %ld:\n%s\nnot\n%s", at, n, got, want);
			free(got);
			seen_done(&s);
			cluster_free(c);
			if (n >= 0 && torture_live != live)
				fail_msg("step %zu, allocation %ld: %ld of memory are left", at, n, torture_live - live);
			if (n >= 0 && !hit)
				break;
		}
	}
	free(want);
}

/* Handing over: what was not told is told next time. */
static void changes_fail(void **state)
{
	struct cluster_ops ops = seen_ops;
	char *want = NULL;
	bool hit = true;

	(void)state;
	if (!TORTURE) {
		skip();
		return;
	}
	ops.workload_put = quiet_workload;
	ops.service_put = quiet_service;
	for (long n = -1; hit; n++) {
		struct cluster *c = cluster_new(1);
		struct seen s;
		char *got;
		int r;

		seen_init(&s);
		for (size_t i = 0; i < 8; i++) {
			if (steps[i].kind == CLUSTER_NAMESPACE || steps[i].kind == CLUSTER_NODE)
				continue; /* those receivers take memory of their own */
			(void)step(c, i, -1);
			if (i == 4)
				changes(c, &s);
		}
		torture_hit = false;
		torture_left = n;
		r = cluster_changes(c, &ops, &s);
		torture_left = -1;
		hit = n < 0 || torture_hit;
		assert_true(r == 0 || (r == -ENOMEM && torture_hit));
		changes(c, &s);
		got = all_lines(&s);
		if (!want)
			want = strdup(got);
		assert_string_equal(got, want);
		free(got);
		seen_done(&s);
		cluster_free(c);
	}
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(puts_fail), cmocka_unit_test(changes_fail) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
