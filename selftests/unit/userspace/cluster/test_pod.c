/* SPDX-License-Identifier: Apache-2.0 */
/* What a Pod is as a workload: owners, addresses, ports, images, modes, ends. */
#include "receiver.h"

struct env { struct cluster *c; struct seen s; };

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));

	e->c = cluster_new(42);
	seen_init(&e->s);
	*state = e;
	return e->c ? 0 : -1;
}

static int teardown(void **state)
{
	struct env *e = *state;

	cluster_free(e->c);
	seen_done(&e->s);
	free(e);
	return 0;
}

#define META(name, uid, rv) "'metadata':{'name':'" name "','namespace':'shop','uid':'" uid "','resourceVersion':'" rv "'"
#define AT(t) ",'creationTimestamp':'2026-03-12T08:" t "Z'"
#define RUNNING(ip) "'status':{'phase':'Running','podIPs':[{'ip':'" ip "'}],'podIP':'" ip "'}"

static void whole(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD,
		"{'metadata':{'name':'web-6d4f-x1','namespace':'shop','uid':'u1','resourceVersion':'7',"
		"'labels':{'team':'front','app':'web','empty':''},'managedFields':[{'manager':'x'}]},"
		"'spec':{'serviceAccountName':'web','nodeName':'n1.example','containers':["
		"{'name':'web','image':'registry.example/web:1.4','ports':[{'name':'http','containerPort':8080},"
		"{'containerPort':9},{'name':'dns','protocol':'UDP','containerPort':53}]},"
		"{'name':'log','image':'log','ports':[{'name':'http','containerPort':9999}]}],"
		"'initContainers':[{'name':'mesh','image':'mesh','restartPolicy':'Always','ports':[{'name':'admin','containerPort':15000}]},"
		"{'name':'once','image':'log','ports':[{'name':'never','containerPort':1}]}]},"
		"'status':{'phase':'Running','podIP':'10.20.1.9','podIPs':[{'ip':'10.20.1.9'},{'ip':'fd00:20::9'},{'ip':'fe80::1'}],"
		"'containerStatuses':[{'name':'web','imageID':'docker-pullable://registry.example/web@sha256:"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','state':{'running':{}}}]}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/web-6d4f-x1",
	       "u1 {app=web,empty=,team=front} / sa=web node=n1.example [10.20.1.9 fd00:20::9] "
	       "(http=6/8080 dns=17/53 admin=6/15000) mode= <registry.example/web:1.4@sha256:0123456 log@ mesh@>");
	/* The same again, and what nobody asked for, is no change. */
	assert_int_equal(e->s.puts, 1);
	assert_int_equal(put(e->c, CLUSTER_POD,
		"{'metadata':{'name':'web-6d4f-x1','namespace':'shop','uid':'u1','resourceVersion':'8',"
		"'labels':{'app':'web','empty':'','team':'front'},'annotations':{'a':'b'}},"
		"'spec':{'serviceAccountName':'web','nodeName':'n1.example','containers':["
		"{'name':'web','image':'registry.example/web:1.4','ports':[{'name':'http','containerPort':8080},"
		"{'name':'dns','protocol':'UDP','containerPort':53}]},{'name':'log','image':'log'}],"
		"'initContainers':[{'name':'mesh','image':'mesh','restartPolicy':'Always','ports':[{'name':'admin','containerPort':15000}]}]},"
		"'status':{'phase':'Running','conditions':[{}],'podIPs':[{'ip':'10.20.1.9'},{'ip':'fd00:20::9'}],"
		"'containerStatuses':[{'name':'web','imageID':'x@sha256:"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','state':{'running':{}}}]}}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(e->s.puts, 1);
}

#define OWNED(kind, name, uid) ",'ownerReferences':[{'apiVersion':'apps/v1','kind':'" kind "','name':'" name "','uid':'" uid "','controller':true}]"

static void owners(void **state)
{
	static const struct { const char *name, *pod, *want; } t[] = {
		{ "none", "{" META("p", "u", "1") "}}", " / sa=" },
		{ "StatefulSet", "{" META("p", "u", "1") OWNED("StatefulSet", "db", "s1") "}}", " StatefulSet/db sa=" },
		{ "ReplicaSet unknown, certain", "{" META("p", "u", "1") ",'generateName':'web-6d4f9b-','labels':{'pod-template-hash':'6d4f9b'}"
		  OWNED("ReplicaSet", "web-6d4f9b", "r9") "}}", " Deployment/web sa=" },
		{ "ReplicaSet unknown, another hash", "{" META("p", "u", "1") ",'generateName':'web-6d4f9b-','labels':{'pod-template-hash':'6d4f9c'}"
		  OWNED("ReplicaSet", "web-6d4f9b", "r9") "}}", " ReplicaSet/web-6d4f9b sa=" },
		{ "ReplicaSet unknown, a word for hash", "{" META("p", "u", "1") ",'generateName':'web-prod-','labels':{'pod-template-hash':'prod'}"
		  OWNED("ReplicaSet", "web-prod", "r9") "}}", " ReplicaSet/web-prod sa=" },
		{ "ReplicaSet unknown, no generateName", "{" META("p", "u", "1") ",'labels':{'pod-template-hash':'6d4f9b'}"
		  OWNED("ReplicaSet", "web-6d4f9b", "r9") "}}", " ReplicaSet/web-6d4f9b sa=" },
		{ "ReplicaSet known", "{" META("p", "u", "1") OWNED("ReplicaSet", "web-6d4f9b", "r1") "}}", " Deployment/web sa=" },
		{ "ReplicaSet of nobody", "{" META("p", "u", "1") OWNED("ReplicaSet", "lone", "r2") "}}", " ReplicaSet/lone sa=" },
		{ "Job known", "{" META("p", "u", "1") OWNED("Job", "backup-28", "j1") "}}", " CronJob/backup sa=" },
		{ "Job unknown", "{" META("p", "u", "1") OWNED("Job", "backup-29", "j9") "}}", " Job/backup-29 sa=" },
		{ "uid of another namespace's", "{" META("p", "u", "1") OWNED("ReplicaSet", "web-6d4f9b", "r3") "}}", " ReplicaSet/web-6d4f9b sa=" },
		{ "uid of another one", "{" META("p", "u", "1") OWNED("ReplicaSet", "other", "r1") "}}", " ReplicaSet/other sa=" },
		{ "not the controller", "{" META("p", "u", "1") ",'ownerReferences':[{'apiVersion':'v1','kind':'X','name':'x','uid':'x'}]}}", " / sa=" },
		{ "static pod", "{" META("p", "u", "1") OWNED("Node", "n1", "n1") "}}", " / sa=" },
		{ "custom", "{" META("p", "u", "1") OWNED("Rollout", "r", "q") "}}", " Rollout/r sa=" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct seen s;

		print_message("  %s\n", t[i].name);
		seen_init(&s);
		assert_int_equal(put(c, CLUSTER_REPLICASET, "{" META("web-6d4f9b", "r1", "1") OWNED("Deployment", "web", "d1") "}}"), 0);
		assert_int_equal(put(c, CLUSTER_REPLICASET, "{" META("lone", "r2", "1") "}}"), 0);
		assert_int_equal(put(c, CLUSTER_REPLICASET, "{'metadata':{'name':'web-6d4f9b','namespace':'data','uid':'r3'"
				     OWNED("Deployment", "db", "d2") "}}"), 0);
		assert_int_equal(put(c, CLUSTER_JOB, "{" META("backup-28", "j1", "1") OWNED("CronJob", "backup", "c1") "}}"), 0);
		assert_int_equal(put(c, CLUSTER_POD, t[i].pod), 0);
		changes(c, &s);
		expect(&s, "workload shop/p", t[i].want);
		seen_done(&s);
		cluster_free(c);
	}
}

/* What owns comes after what it owns, changes, and goes before it. */
static void owner_events(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "2") OWNED("ReplicaSet", "x", "r1") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "3") OWNED("ReplicaSet", "x", "r1") "}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/a", " ReplicaSet/x sa=");
	assert_int_equal(put(e->c, CLUSTER_REPLICASET, "{" META("x", "r1", "1") OWNED("Deployment", "web", "d1") "}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/a", " Deployment/web sa=");
	expect(&e->s, "workload shop/b", " Deployment/web sa=");
	assert_int_equal(e->s.puts, 4);
	/* Its status is nobody's business. */
	assert_int_equal(put(e->c, CLUSTER_REPLICASET, "{" META("x", "r1", "9") OWNED("Deployment", "web", "d1") "},'status':{'replicas':3}}"), 0);
	assert_false(cluster_has_changes(e->c));
	/* A deleted Deployment takes its ReplicaSets first; their pods are the same until they are gone. */
	assert_int_equal(del(e->c, CLUSTER_REPLICASET, "{" META("x", "r1", "10") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "11") OWNED("ReplicaSet", "x", "r1") "},'spec':{'nodeName':'n'}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/a", " Deployment/web sa= node=n");
	assert_int_equal(del(e->c, CLUSTER_POD, "{" META("a", "u1", "12") "}}"), 0);
	assert_int_equal(del(e->c, CLUSTER_POD, "{" META("b", "u2", "12") "}}"), 0);
	changes(e->c, &e->s);
	/* Nobody remembers it now. */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("c", "u3", "13") OWNED("ReplicaSet", "x", "r1") "}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/c", " ReplicaSet/x sa=");
}

static void owner_rings(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_REPLICASET, "{" META("a", "r1", "1") OWNED("ReplicaSet", "b", "r2") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_REPLICASET, "{" META("b", "r2", "1") OWNED("ReplicaSet", "c", "r3") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_REPLICASET, "{" META("c", "r3", "1") OWNED("ReplicaSet", "a", "r1") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_REPLICASET, "{" META("self", "r4", "1") OWNED("ReplicaSet", "self", "r4") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("p", "u1", "2") OWNED("ReplicaSet", "a", "r1") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("q", "u2", "2") OWNED("ReplicaSet", "self", "r4") "}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/p", " ReplicaSet/a sa=");
	expect(&e->s, "workload shop/q", " ReplicaSet/self sa=");
	/* The last word breaks the ring. */
	assert_int_equal(put(e->c, CLUSTER_REPLICASET, "{" META("a", "r1", "5") OWNED("Deployment", "top", "d") "}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/p", " Deployment/top sa=");
}

static void modes(void **state)
{
	static const struct { const char *name, *pod, *rs, *deploy, *want; } t[] = {
		{ "nobody's", "", "", "", "mode= <" },
		{ "the pod's", "'cellwall.io/mode':'alert'", "", "", "mode=alert" },
		{ "the controller's", "", "'cellwall.io/mode':'enforce'", "", "mode=enforce" },
		{ "the top owner's", "", "", "'cellwall.io/mode':'alert'", "mode=alert" },
		{ "the strictest", "'cellwall.io/mode':'alert'", "'cellwall.io/mode':'enforce'", "'cellwall.io/mode':'learn'", "mode=enforce" },
		{ "the strictest, the pod's", "'cellwall.io/mode':'enforce'", "'cellwall.io/mode':'off'", "", "mode=enforce" },
		{ "no mode", "'cellwall.io/mode':'Enforced'", "", "", "mode= <" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct seen s;
		char text[1024];

		print_message("  %s\n", t[i].name);
		seen_init(&s);
		snprintf(text, sizeof(text), "{" META("p", "u", "1") ",'labels':{%s}" OWNED("ReplicaSet", "web-1", "r1") "}}", t[i].pod);
		assert_int_equal(put(c, CLUSTER_POD, text), 0);
		snprintf(text, sizeof(text), "{" META("web", "d1", "1") ",'labels':{%s}}}", t[i].deploy);
		assert_int_equal(put(c, CLUSTER_DEPLOYMENT, text), 0);
		snprintf(text, sizeof(text), "{" META("web-1", "r1", "1") ",'labels':{%s}" OWNED("Deployment", "web", "d1") "}}", t[i].rs);
		assert_int_equal(put(c, CLUSTER_REPLICASET, text), 0);
		changes(c, &s);
		expect(&s, "workload shop/p", t[i].want);
		expect(&s, "workload shop/p", " Deployment/web sa=");
		seen_done(&s);
		cluster_free(c);
	}
}

static void lives(void **state)
{
	static const struct { const char *name, *rest; bool there, addr; } t[] = {
		{ "pending, no address", "'status':{'phase':'Pending'}", true, false },
		{ "no status", "'spec':{}", true, false },
		{ "pending, with one", "'status':{'phase':'Pending','podIP':'10.0.0.1'}", true, true },
		{ "running", RUNNING("10.0.0.1"), true, true },
		{ "unknown", "'status':{'phase':'Unknown','podIP':'10.0.0.1'}", true, true },
		{ "succeeded", "'status':{'phase':'Succeeded','podIP':'10.0.0.1'}", false, false },
		{ "failed", "'status':{'phase':'Failed','podIP':'10.0.0.1'}", false, false },
		{ "host network", "'spec':{'hostNetwork':true}," RUNNING("10.0.0.1"), false, false },
	};
	static const struct { const char *name, *rest; bool there; } ending[] = {
		{ "all running", "'containerStatuses':[{'state':{'running':{}}},{'state':{'running':{}}}]", true },
		{ "one running", "'containerStatuses':[{'state':{'terminated':{}}},{'state':{'running':{}}}]", true },
		{ "one not told", "'containerStatuses':[{'state':{'terminated':{}}}]", true },
		{ "all ended", "'containerStatuses':[{'state':{'terminated':{}}},{'state':{'terminated':{}}}]", false },
		{ "a sidecar runs", "'containerStatuses':[{'state':{'terminated':{}}},{'state':{'terminated':{}}}],"
		  "'initContainerStatuses':[{'state':{'running':{}}}]", true },
		{ "none told", "'containerStatuses':[]", true },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t) + ARRAY_SIZE(ending); i++) {
		bool end = i >= ARRAY_SIZE(t);
		size_t k = end ? i - ARRAY_SIZE(t) : i;
		struct cluster *c = cluster_new(i);
		struct seen s;

		print_message("  %s\n", end ? ending[k].name : t[k].name);
		seen_init(&s);
		if (end)
			snprintf(text, sizeof(text), "{" META("p", "u", "1") ",'deletionTimestamp':'2026-01-01T00:00:00Z'},"
				 "'spec':{'containers':[{'name':'a'},{'name':'b'}]},'status':{'podIP':'10.0.0.1','phase':'Running',%s}}",
				 ending[k].rest);
		else
			snprintf(text, sizeof(text), "{" META("p", "u", "1") "},%s}", t[k].rest);
		assert_int_equal(put(c, CLUSTER_POD, text), 0);
		changes(c, &s);
		expect(&s, "workload shop/p", !(end ? ending[k].there : t[k].there) ? "" :
		       (end || t[k].addr) ? "[10.0.0.1]" : "[]");
		seen_done(&s);
		cluster_free(c);
	}
}

/* Who has an address, whatever comes late. */
static void addresses(void **state)
{
	struct env *e = *state;
	struct cluster_counts n;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("old", "u1", "10") AT("00:00") "}," RUNNING("10.0.0.1") "}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/old", "[10.0.0.1]");
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("new", "u2", "20") AT("05:00") "}," RUNNING("10.0.0.1") "}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/old", "[]");
	expect(&e->s, "workload shop/new", "[10.0.0.1]");
	cluster_counts(e->c, &n);
	assert_int_equal(n.contested, 1);
	assert_int_equal(n.addresses, 1);
	/* The old one's late word takes nothing back, and tells nothing. */
	e->s.puts = 0;
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("old", "u1", "30") AT("00:00") "}," RUNNING("10.0.0.1") "}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(e->s.puts, 0);
	/* An older word about the same pod is no word. */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("new", "u2", "19") AT("05:00") "},'status':{}}"), 0);
	assert_false(cluster_has_changes(e->c));
	/* The new one ends: whoever still lives and names it has it. */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("new", "u2", "40") AT("05:00") "},'status':{'phase':'Failed','podIP':'10.0.0.1'}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/new", "");
	expect(&e->s, "workload shop/old", "[10.0.0.1]");
	assert_int_equal(del(e->c, CLUSTER_POD, "{" META("old", "u1", "41") "}}"), 0);
	changes(e->c, &e->s);
	cluster_counts(e->c, &n);
	assert_int_equal(n.addresses, 0);
	assert_int_equal(n.contested, 0);
	assert_int_equal(n.finished, 1);
	assert_int_equal(n.stale, 1);
}

#define STARTED(ip, t) "'status':{'phase':'Running','podIP':'" ip "','containerStatuses':[{'state':{'running':{'startedAt':'2026-03-12T" t "Z'}}}]}"
#define NETWORK(ip, is, t) "'status':{'phase':'Running','podIP':'" ip "','conditions':[{'type':'PodReadyToStartContainers','status':'" is "','lastTransitionTime':'2026-03-12T" t "Z'}]}"

/* A node comes up again and deals its addresses anew; what pods say of themselves changes one by one. */
static void node_restart(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "1") AT("00:00") "}," STARTED("10.0.0.1", "08:00:05") "}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "2") AT("10:00") "}," STARTED("10.0.0.2", "08:10:05") "}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("c", "u3", "3") AT("10:00") "}," NETWORK("10.0.0.3", "True", "08:10:01") "}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "4") AT("00:00") "}," STARTED("10.0.0.2", "09:00:00") "}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/a", "[10.0.0.2]"); /* the older pod, and yet its own */
	expect(&e->s, "workload shop/b", "[]");
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "5") AT("10:00") "}," NETWORK("10.0.0.3", "True", "09:00:01") "}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/b", "[10.0.0.3]");
	expect(&e->s, "workload shop/c", "[]");
	/* Having no network is no sign of one, and no time is none. */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("c", "u3", "6") AT("10:00") "}," NETWORK("10.0.0.3", "False", "09:30:00") "}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("d", "u4", "7") AT("20:00") "}," STARTED("10.0.0.3", "soon") "}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/b", "[10.0.0.3]");
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("c", "u3", "8") AT("10:00") "}," NETWORK("10.0.0.1", "True", "09:30:01") "}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/c", "[10.0.0.1]");
}

/* Two pods change places at once: nobody has both in between (the receiver checks). */
static void swap(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "1") "}," RUNNING("10.0.0.1") "}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "2") "}," RUNNING("10.0.0.2") "}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "3") "}," RUNNING("10.0.0.2") "}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "4") "}," RUNNING("10.0.0.1") "}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/a", "[10.0.0.2]");
	expect(&e->s, "workload shop/b", "[10.0.0.1]");
}

/* A StatefulSet's pod is another one under the same name. */
static void successor(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("db-0", "u1", "10") AT("00:00") "}," RUNNING("10.0.0.1") "}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("db-0", "u2", "30") AT("01:00") "}," RUNNING("10.0.0.1") "}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(e->s.dels, 1);
	expect(&e->s, "workload shop/db-0", "u2 ");
	/* Late words about the first one, its end included. */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("db-0", "u1", "20") AT("00:00") "}," RUNNING("10.0.0.9") "}"), 0);
	assert_int_equal(del(e->c, CLUSTER_POD, "{" META("db-0", "u1", "25") "}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/db-0", "u2 ");
	expect(&e->s, "workload shop/db-0", "[10.0.0.1]");
	/* The end comes before the last word. */
	assert_int_equal(del(e->c, CLUSTER_POD, "{" META("db-0", "u2", "50") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("db-0", "u2", "40") AT("01:00") "}," RUNNING("10.0.0.1") "}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/db-0", "");
	/* Came and went between two looks: never told. */
	e->s.puts = e->s.dels = 0;
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("db-0", "u3", "60") "}," RUNNING("10.0.0.1") "}"), 0);
	assert_int_equal(del(e->c, CLUSTER_POD, "{" META("db-0", "u3", "61") "}}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(e->s.puts + e->s.dels, 0);
}

static void relist(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "10") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "11") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("c", "u3", "12") "}}"), 0);
	changes(e->c, &e->s);
	/* Begun twice: the second one counts. */
	cluster_begin(e->c, CLUSTER_POD);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "10") "}}"), 0);
	cluster_begin(e->c, CLUSTER_POD);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "5") "},'spec':{'nodeName':'n'}}"), 0); /* restored from a backup */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("c", "u3", "13") "},'spec':7}"), -EINVAL);
	assert_int_equal(cluster_end(e->c, CLUSTER_POD), 0);
	assert_int_equal(cluster_end(e->c, CLUSTER_POD), -EINVAL);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/a", "");
	expect(&e->s, "workload shop/b", "node=n");
	expect(&e->s, "workload shop/c", "u3"); /* refused is not gone */
	expect(&e->s, "fault Pod shop/c", "refused kube.type: Pod shop/c, spec: 7");
}

/* After a backup was put back versions are smaller than ever, and what was deleted may be there again. */
static void restored(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "100") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "101") "}}"), 0);
	assert_int_equal(del(e->c, CLUSTER_POD, "{" META("b", "u2", "110") "}}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "109") "}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/b", "");
	cluster_begin(e->c, CLUSTER_POD);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "5") "}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "6") "}}"), 0);
	assert_int_equal(cluster_end(e->c, CLUSTER_POD), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/b", "u2");
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("a", "u1", "7") "},'spec':{'nodeName':'n1'}}"), 0);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("b", "u2", "8") "},'spec':{'nodeName':'n2'}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/a", "node=n1");
	expect(&e->s, "workload shop/b", "node=n2");
}

static void faults(void **state)
{
	static const struct { const char *name, *pod, *want; } t[] = {
		{ "spec", "{" META("p", "u", "1") "},'spec':'x'}", "kube.type: Pod shop/p, spec: \"x\"" },
		{ "label key", "{" META("p", "u", "1") ",'labels':{'a b':'c'}}}", "kube.label: Pod shop/p, metadata.labels.a b: \"c\"" },
		{ "label value", "{" META("p", "u", "1") ",'labels':{'a':7}}}", "kube.label: Pod shop/p, metadata.labels.a: 7" },
		{ "address", "{" META("p", "u", "1") "},'status':{'podIPs':[{'ip':'10.0.0.1'},{'ip':'1.2.3'}]}}", "kube.address: Pod shop/p, status.podIPs[1]: \"1.2.3\"" },
		{ "nobody's address", "{" META("p", "u", "1") "},'status':{'podIP':'127.0.0.1'}}", "kube.address: Pod shop/p, status.podIP: \"127.0.0.1\"" },
		{ "port", "{" META("p", "u", "1") "},'spec':{'containers':[{'ports':[{'name':'http','containerPort':70000}]}]}}",
		  "kube.range: Pod shop/p, spec.containers[0].ports[0].containerPort: 70000" },
		{ "port name", "{" META("p", "u", "1") "},'spec':{'containers':[{'ports':[{'name':'no port!','containerPort':7}]}]}}",
		  "kube.name: Pod shop/p, spec.containers[0].ports[0].name: \"no port!\"" },
		{ "protocol", "{" META("p", "u", "1") "},'spec':{'initContainers':[{'restartPolicy':'Always','ports':[{'name':'x','protocol':'tcp'}]}]}}",
		  "kube.protocol: Pod shop/p, spec.initContainers[0].ports[0].protocol: \"tcp\"" },
		{ "owner", "{" META("p", "u", "1") ",'ownerReferences':[{'controller':true,'kind':'A/B','name':'x','uid':'y'}]}}",
		  "kube.name: Pod shop/p, metadata.ownerReferences[0].kind: \"A/B\"" },
		{ "time", "{" META("p", "u", "1") ",'creationTimestamp':'yesterday'}}", "kube.time: Pod shop/p, metadata.creationTimestamp: \"yesterday\"" },
		{ "uid", "{" META("p", "u v", "1") "}}", "kube.name: Pod shop/p, metadata.uid: \"u v\"" },
		{ "account", "{" META("p", "u", "1") "},'spec':{'serviceAccountName':'A'}}", "kube.name: Pod shop/p, spec.serviceAccountName: \"A\"" },
		{ "host network", "{" META("p", "u", "1") "},'spec':{'hostNetwork':'yes'}}", "kube.type: Pod shop/p, spec.hostNetwork: \"yes\"" },
	};
	static const struct { const char *name, *pod, *want; } nameless[] = {
		{ "no object", "7", "Pod: 7" },
		{ "no metadata", "{'spec':{}}", "Pod" },
		{ "no name", "{'metadata':{'namespace':'shop'}}", "Pod, metadata" },
		{ "no namespace", "{'metadata':{'name':'a'}}", "Pod, metadata" },
		{ "name", "{'metadata':{'name':'../x','namespace':'shop'}}", "Pod, metadata.name: \"../x\"" },
		{ "namespace", "{'metadata':{'name':'a','namespace':'Shop'}}", "Pod, metadata.namespace: \"Shop\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct seen s;

		print_message("  %s\n", t[i].name);
		seen_init(&s);
		assert_int_equal(put(c, CLUSTER_POD, t[i].pod), -EINVAL);
		changes(c, &s);
		expect(&s, "workload shop/p", "");
		expect(&s, "fault Pod shop/p", t[i].want);
		/* Told once; gone with what was wrong. */
		s.faults = 0;
		assert_int_equal(put(c, CLUSTER_POD, "{" META("p", "u", "2") "}}"), 0);
		changes(c, &s);
		expect(&s, "fault Pod shop/p", "");
		expect(&s, "workload shop/p", "u");
		seen_done(&s);
		cluster_free(c);
	}
	for (size_t i = 0; i < ARRAY_SIZE(nameless); i++) {
		auto_cleanup(cJSON_Deletep) cJSON *j = object(nameless[i].pod);
		struct cluster *c = cluster_new(i);
		struct fail_list f = {};

		print_message("  %s\n", nameless[i].name);
		assert_int_equal(cluster_put(c, CLUSTER_POD, j, &f), -EINVAL);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].at, nameless[i].want);
		assert_false(cluster_has_changes(c));
		fail_list_done(&f);
		cluster_free(c);
	}
}

static void refused_update(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("p", "u1", "1") ",'labels':{'app':'a'}}," RUNNING("10.0.0.1") "}"), 0);
	changes(e->c, &e->s);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("p", "u1", "2") ",'labels':{'app':'!'}}," RUNNING("10.0.0.2") "}"), -EINVAL);
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("p", "u1", "3") ",'labels':{'app':'!'}}," RUNNING("10.0.0.2") "}"), -EINVAL);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/p", "u1 {app=a}");
	expect(&e->s, "workload shop/p", "[10.0.0.1]");
	assert_int_equal(e->s.faults, 1);
	/* The same fault again is not told again. */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("p", "u1", "4") ",'labels':{'app':'!'}}," RUNNING("10.0.0.2") "}"), -EINVAL);
	changes(e->c, &e->s);
	assert_int_equal(e->s.faults, 1);
	/* Another pod of the name that cannot be read: the first one is gone. */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("p", "u2", "5") ",'labels':{'app':'!'}}," RUNNING("10.0.0.2") "}"), -EINVAL);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/p", "");
	/* Too large for the reader: the same. */
	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("q", "u3", "6") "}}"), 0);
	assert_int_equal(cluster_skip(e->c, CLUSTER_POD, "shop", "q", "the object is larger than 2 MiB"), 0);
	assert_int_equal(cluster_skip(e->c, CLUSTER_POD, NULL, "q", NULL), -EINVAL);
	assert_int_equal(cluster_skip(e->c, CLUSTER_NODE, "shop", "q", NULL), -EINVAL);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/q", "u3");
	expect(&e->s, "fault Pod shop/q", "refused kube.unreadable: Pod shop/q");
	assert_int_equal(del(e->c, CLUSTER_POD, "{" META("q", "u3", "8") "}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "fault Pod shop/q", "");
}

/* A label that is no mode is told and has no effect; the rest counts. */
static void mode_label_fault(void **state)
{
	struct env *e = *state;

	assert_int_equal(put(e->c, CLUSTER_POD, "{" META("p", "u1", "1") ",'labels':{'cellwall.io/mode':'strict'}}}"), 0);
	changes(e->c, &e->s);
	expect(&e->s, "workload shop/p", "mode= <");
	expect(&e->s, "fault Pod shop/p", "remark kube.mode-label: Pod shop/p, metadata.labels.cellwall.io/mode: \"strict\"");
}

/* A receiver that fails is told again; nothing is lost, nothing told twice wrongly. */
static void failing_receiver(void **state)
{
	(void)state;
	for (int at = 1; at < 9; at++) {
		struct cluster *c = cluster_new(7);
		struct seen s;

		seen_init(&s);
		assert_int_equal(put(c, CLUSTER_POD, "{" META("a", "u1", "1") "}," RUNNING("10.0.0.1") "}"), 0);
		assert_int_equal(put(c, CLUSTER_POD, "{" META("b", "u2", "2") "}," RUNNING("10.0.0.2") "}"), 0);
		assert_int_equal(put(c, CLUSTER_POD, "{" META("d", "u4", "2") "}," RUNNING("10.0.0.4") "}"), 0);
		changes(c, &s);
		s.fail_after = at;
		assert_int_equal(put(c, CLUSTER_POD, "{" META("a", "u1", "3") "}," RUNNING("10.0.0.2") "}"), 0);
		assert_int_equal(put(c, CLUSTER_POD, "{" META("b", "u2", "4") "}," RUNNING("10.0.0.1") "}"), 0);
		assert_int_equal(put(c, CLUSTER_POD, "{" META("x", "u3", "5") "},'spec':1}"), -EINVAL);
		assert_int_equal(del(c, CLUSTER_POD, "{" META("d", "u4", "6") "}}"), 0);
		if (cluster_changes(c, &seen_ops, &s)) {
			assert_true(s.failed);
			assert_true(cluster_has_changes(c));
		}
		s.fail_after = 0;
		changes(c, &s);
		expect(&s, "workload shop/a", "[10.0.0.2]");
		expect(&s, "workload shop/b", "[10.0.0.1]");
		expect(&s, "workload shop/d", "");
		expect(&s, "fault Pod shop/x", "refused");
		seen_done(&s);
		cluster_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole, setup, teardown),
		cmocka_unit_test(owners),
		cmocka_unit_test_setup_teardown(owner_events, setup, teardown),
		cmocka_unit_test_setup_teardown(owner_rings, setup, teardown),
		cmocka_unit_test(modes),
		cmocka_unit_test(lives),
		cmocka_unit_test_setup_teardown(addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(node_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(swap, setup, teardown),
		cmocka_unit_test_setup_teardown(successor, setup, teardown),
		cmocka_unit_test_setup_teardown(relist, setup, teardown),
		cmocka_unit_test_setup_teardown(restored, setup, teardown),
		cmocka_unit_test(faults),
		cmocka_unit_test_setup_teardown(refused_update, setup, teardown),
		cmocka_unit_test_setup_teardown(mode_label_fault, setup, teardown),
		cmocka_unit_test(failing_receiver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
