/* SPDX-License-Identifier: Apache-2.0 */
/* Rules, modes, quarantines and policies as API objects. */
#include "receiver.h"

#define META(name, uid, rv) "'metadata':{'name':'" name "','uid':'" uid "','resourceVersion':'" rv "','generation':3,'creationTimestamp':'2026-03-12T08:00:00Z'"
#define SERVER ",'managedFields':[{'manager':'kubectl','operation':'Apply','time':'2026-03-12T08:01:00Z'}," \
	"{'manager':'cellwall','time':'2026-03-12T09:00:00Z','subresource':'status'}],'selfLink':'/x','annotations':{'a':'b'}"
#define RULE(name, uid, rv, spec) "{'apiVersion':'cellwall.io/v1alpha1','kind':'AccessRule'," META(name, uid, rv) ",'namespace':'shop'" SERVER "},'spec':{" spec "},'status':{'conditions':[]}}"
#define SPEC(action) "'action':'" action "','from':[{'labels':{'app':'web'}}],'to':[{'labels':{'app':'db'}}],'ports':['tcp/5432']"

static void kinds(void **state)
{
	static const struct { const char *name; enum cluster_kind kind; const char *obj, *key, *want; } t[] = {
		{ "AccessRule", CLUSTER_ACCESS_RULE, RULE("a", "u1", "1", SPEC("allow")), "AccessRule shop/a", "u1 g3 by kubectl confirm=0 rule shop/a allow manual" },
		{ "learned", CLUSTER_ACCESS_RULE, "{'apiVersion':'cellwall.io/v1alpha1','kind':'AccessRule'," META("a", "u1", "1")
		  ",'namespace':'shop','labels':{'cellwall.io/origin':'learned','cellwall.io/access':'8a90','x':'y'}},'spec':{" SPEC("allow") "}}",
		  "AccessRule shop/a", "rule shop/a allow learned" },
		{ "ClusterAccessRule", CLUSTER_CLUSTER_ACCESS_RULE, "{'apiVersion':'cellwall.io/v1alpha1','kind':'ClusterAccessRule'," META("a", "u1", "1")
		  ",'annotations':{'cellwall.io/confirm':'10m'}},'spec':{'action':'block','from':[{'any':true}],'to':[{'namespace':'data'}]}}",
		  "ClusterAccessRule a", "confirm=600000 rule /a block manual" },
		{ "ModeProfile", CLUSTER_MODE_PROFILE, "{'apiVersion':'cellwall.io/v1alpha1','kind':'ModeProfile'," META("shop", "u1", "1")
		  ",'labels':{'team':'a'}" SERVER "},'spec':{'target':{'namespace':'shop'},'mode':'enforce'}}", "ModeProfile shop", "mode shop enforce" },
		{ "Quarantine", CLUSTER_QUARANTINE, "{'apiVersion':'cellwall.io/v1alpha1','kind':'Quarantine'," META("q", "u1", "1")
		  SERVER "},'spec':{'target':{'namespace':'shop','pod':'rogue'},'reason':'scan'}}", "Quarantine q", "quarantine q shop/rogue scan" },
		{ "NetworkPolicy", CLUSTER_NETWORK_POLICY, "{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy'," META("deny", "u1", "1")
		  ",'namespace':'shop','labels':{'a':'b'}" SERVER "},'spec':{'podSelector':{},'policyTypes':['Ingress']},'status':{}}", "NetworkPolicy shop/deny",
		  "policy deny {\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"deny\",\"namespace\":\"shop\",\"labels\":{\"a\":\"b\"}},"
		  "\"spec\":{\"podSelector\":{},\"policyTypes\":[\"Ingress\"]}}" },
		{ "item of a list", CLUSTER_NETWORK_POLICY, "{" META("deny", "u1", "1") ",'namespace':'shop'},'spec':{'podSelector':{}}}", "NetworkPolicy shop/deny", "policy deny" },
		{ "AdminNetworkPolicy", CLUSTER_ADMIN_POLICY, "{'apiVersion':'policy.networking.k8s.io/v1alpha1','kind':'AdminNetworkPolicy'," META("x", "u1", "1")
		  "},'spec':{'priority':5,'subject':{'namespaces':{}},'ingress':[{'action':'Deny','from':[{'namespaces':{}}]}]}}", "AdminNetworkPolicy x", "policy x" },
		{ "BaselineAdminNetworkPolicy", CLUSTER_BASELINE_POLICY, "{'apiVersion':'policy.networking.k8s.io/v1alpha1','kind':'BaselineAdminNetworkPolicy'," META("default", "u1", "1")
		  "},'spec':{'subject':{'namespaces':{}},'ingress':[{'action':'Deny','from':[{'namespaces':{}}]}]}}", "BaselineAdminNetworkPolicy default", "policy default" },
		{ "ClusterNetworkPolicy", CLUSTER_CLUSTER_POLICY, "{'apiVersion':'policy.networking.k8s.io/v1alpha2','kind':'ClusterNetworkPolicy'," META("x", "u1", "1")
		  "},'spec':{'tier':'Admin','priority':5,'subject':{'namespaces':{}},'ingress':[{'action':'Deny','from':[{'namespaces':{}}]}]}}", "ClusterNetworkPolicy x", "policy x" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct seen s;

		print_message("  %s\n", t[i].name);
		seen_init(&s);
		assert_int_equal(put(c, t[i].kind, t[i].obj), 0);
		changes(c, &s);
		expect(&s, t[i].key, t[i].want);
		assert_int_equal(del(c, t[i].kind, t[i].obj), 0);
		changes(c, &s);
		expect(&s, t[i].key, "");
		seen_done(&s);
		cluster_free(c);
	}
}

static void faults(void **state)
{
	static const struct { const char *name; enum cluster_kind kind; const char *obj, *key, *want; } t[] = {
		{ "action", CLUSTER_ACCESS_RULE, RULE("a", "u1", "1", SPEC("deny")), "fault AccessRule shop/a", "refused rule.word: AccessRule shop/a, spec.action: \"deny\"" },
		{ "unknown field", CLUSTER_ACCESS_RULE, RULE("a", "u1", "1", SPEC("allow") ",'port':1"), "fault AccessRule shop/a", "refused rule.unknown-field: AccessRule shop/a, spec.port" },
		{ "no spec", CLUSTER_ACCESS_RULE, "{'apiVersion':'cellwall.io/v1alpha1','kind':'AccessRule'," META("a", "u1", "1") ",'namespace':'shop'}}",
		  "fault AccessRule shop/a", "refused rule.missing-field: AccessRule shop/a" },
		{ "another kind", CLUSTER_ACCESS_RULE, "{'apiVersion':'cellwall.io/v1alpha1','kind':'Inventory'," META("a", "u1", "1") ",'namespace':'shop'},'spec':{}}",
		  "fault AccessRule shop/a", "refused kube.kind: AccessRule shop/a, kind: \"Inventory\"" },
		{ "another version", CLUSTER_MODE_PROFILE, "{'apiVersion':'cellwall.io/v2','kind':'ModeProfile'," META("a", "u1", "1") "},'spec':{}}",
		  "fault ModeProfile a", "refused doc.word: ModeProfile a, apiVersion: \"cellwall.io/v2\"" },
		{ "policy", CLUSTER_NETWORK_POLICY, "{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy'," META("deny", "u1", "1")
		  ",'namespace':'shop'},'spec':{'podSelector':{},'ingress':[{'ports':[{'port':'a b'}]}]}}", "fault NetworkPolicy shop/deny",
		  "NetworkPolicy shop/deny, spec.ingress[0].ports[0].port: \"a b\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cluster *c = cluster_new(i);
		struct seen s;

		print_message("  %s\n", t[i].name);
		seen_init(&s);
		assert_int_equal(put(c, t[i].kind, t[i].obj), -EINVAL);
		changes(c, &s);
		assert_int_equal(s.puts, 1); /* the fault, and nothing else */
		expect(&s, t[i].key, t[i].want);
		seen_done(&s);
		cluster_free(c);
	}
}

/* The last good one stays: nothing is handed over for a refused one, and nothing taken away. */
static void refused(void **state)
{
	struct cluster *c = cluster_new(1);
	struct seen s;

	(void)state;
	seen_init(&s);
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("a", "u1", "1", SPEC("block"))), 0);
	changes(c, &s);
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("a", "u1", "2", SPEC("nothing"))), -EINVAL);
	changes(c, &s);
	expect(&s, "AccessRule shop/a", "block");
	expect(&s, "fault AccessRule shop/a", "refused");
	assert_int_equal(s.dels, 0);
	/* Good and bad in one burst: the good one counts, and the fault is told. */
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("a", "u1", "3", SPEC("alert"))), 0);
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("a", "u1", "4", SPEC("nothing"))), -EINVAL);
	changes(c, &s);
	expect(&s, "AccessRule shop/a", "alert");
	expect(&s, "fault AccessRule shop/a", "refused");
	/* Corrected. */
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("a", "u1", "5", SPEC("allow"))), 0);
	changes(c, &s);
	expect(&s, "AccessRule shop/a", "allow");
	expect(&s, "fault AccessRule shop/a", "");
	/* Deleted and made again in a way that cannot be read: the first one is gone. */
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("a", "u2", "9", SPEC("nothing"))), -EINVAL);
	changes(c, &s);
	expect(&s, "AccessRule shop/a", "");
	expect(&s, "fault AccessRule shop/a", "refused");
	/* A refused one that goes takes its fault along. */
	assert_int_equal(del(c, CLUSTER_ACCESS_RULE, RULE("a", "u2", "10", SPEC("nothing"))), 0);
	changes(c, &s);
	expect(&s, "fault AccessRule shop/a", "");
	seen_done(&s);
	cluster_free(c);
}

/* What the server adds, our own status included, is no change; a list after a break neither. */
static void echoes(void **state)
{
	struct cluster *c = cluster_new(1);
	struct seen s;

	(void)state;
	seen_init(&s);
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("a", "u1", "1", SPEC("block"))), 0);
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("b", "u2", "1", SPEC("block"))), 0);
	changes(c, &s);
	assert_int_equal(s.puts, 2);
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, "{'apiVersion':'cellwall.io/v1alpha1','kind':'AccessRule'," META("a", "u1", "2")
			     ",'namespace':'shop'},'spec':{" SPEC("block") "},'status':{'conditions':[{'type':'InForce'}]}}"), 0);
	changes(c, &s);
	cluster_begin(c, CLUSTER_ACCESS_RULE);
	assert_int_equal(put(c, CLUSTER_ACCESS_RULE, RULE("a", "u1", "7", SPEC("block"))), 0);
	assert_int_equal(cluster_end(c, CLUSTER_ACCESS_RULE), 0);
	changes(c, &s);
	assert_int_equal(s.puts, 2);
	assert_int_equal(s.dels, 1);
	expect(&s, "AccessRule shop/b", "");
	seen_done(&s);
	cluster_free(c);
}

static int standing(void *arg, const struct cluster_meta *m, const struct fail_list *f, bool refused_)
{
	assert_true(refused_ && f->n == 1);
	assert_string_equal(m->name, "a");
	++*(size_t *)arg;
	return 0;
}

static void standing_faults(void **state)
{
	struct cluster *c = cluster_new(1);
	struct cluster_counts counts;
	struct fail_list f = {};
	cJSON *j = object(RULE("a", "u1", "1", SPEC("nothing")));
	size_t n = 0;

	(void)state;
	assert_int_equal(cluster_put(c, CLUSTER_ACCESS_RULE, j, &f), -EINVAL);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.items[0].name, "rule.word");
	assert_int_equal(cluster_faults(c, standing, &n), 0);
	assert_int_equal(n, 1);
	cluster_counts(c, &counts);
	assert_int_equal(counts.faults, 1);
	assert_int_equal(counts.objects[CLUSTER_ACCESS_RULE], 1);
	assert_int_equal(cluster_put(c, CLUSTER_KIND_COUNT, j, NULL), -EINVAL);
	assert_int_equal(cluster_del(c, CLUSTER_KIND_COUNT, j), -EINVAL);
	cluster_begin(c, CLUSTER_KIND_COUNT);
	assert_int_equal(cluster_end(c, CLUSTER_KIND_COUNT), -EINVAL);
	cJSON_Delete(j);
	fail_list_done(&f);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds), cmocka_unit_test(faults), cmocka_unit_test(refused), cmocka_unit_test(echoes),
		cmocka_unit_test(standing_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
