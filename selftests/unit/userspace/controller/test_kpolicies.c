/* SPDX-License-Identifier: Apache-2.0 */
/* test_kpolicies.c - Kubernetes policies: planned, numbered, kept, found, exported, named. */
#include "selftests/unit/userspace/controller/fixture.h"

#define DOCS(text) "{\"documents\":[{\"file\":\"np.yaml\",\"text\":\"" text "\"}]}"
#define NP(name, port)										\
	"apiVersion: networking.k8s.io/v1\\nkind: NetworkPolicy\\nmetadata: {name: " name ", namespace: data}\\n"	\
	"spec:\\n  podSelector: {matchLabels: {app: db}}\\n  policyTypes: [Ingress]\\n"		\
	"  ingress:\\n  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}},"	\
	" podSelector: {matchLabels: {app: cart}}}]\\n    ports: [{protocol: TCP, port: " port "}]\\n"
#define CNP(name, tier, priority, action)							\
	"apiVersion: policy.networking.k8s.io/v1alpha2\\nkind: ClusterNetworkPolicy\\nmetadata: {name: " name "}\\n"	\
	"spec:\\n  tier: " tier "\\n  priority: " priority "\\n  subject: {namespaces: {}}\\n"		\
	"  egress:\\n  - action: " action "\\n    to: [{networks: [203.0.113.0/24]}]\\n"
#define ALL DOCS(NP("db-ingress", "5432") "---\\n" CNP("no-outside", "Admin", "10", "Deny") "---\\n"	\
		 CNP("last", "Baseline", "5", "Accept"))

static void same_text(const char *want, const char *got)
{
	size_t k = 0;

	while (want[k] && want[k] == got[k])
		k++;
	if (want[k] || got[k])
		fail_msg("at %zu: want ...%.160s, got ...%.160s", k, want + (k > 60 ? k - 60 : 0), got + (k > 60 ? k - 60 : 0));
}

static void apply_all(struct fixture *fx)
{
	struct call k;

	world(fx);
	history(fx);
	k = POST(fx, "/v1/rules/apply", ALL);
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.add"), 3);
	call_done(&k);
}

/* All that is said of policies. */
static char *told(struct fixture *fx)
{
	static const char *const paths[] = { "/v1/export/rules", "/v1/rules?origin=all", "/v1/changes" };
	struct buf b;

	buf_init(&b, 1u << 20);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct call k = GET(fx, paths[i]);

		assert_status(k, 200);
		buf_printf(&b, "%s\n", text_of(&k));
		call_done(&k);
	}
	return buf_take(&b, NULL);
}

static void planned_and_kept(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	history(fx);
	before = dump(fx);
	k = POST(fx, "/v1/rules/apply?dryRun=1", ALL);
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.add"), 3);
	assert_string_equal(str_at(k.json, "changes.0.kind"), "rule");
	assert_string_equal(str_at(k.json, "changes.0.op"), "+");
	assert_string_equal(str_at(k.json, "changes.0.name"), "NetworkPolicy/data/db-ingress");
	assert_string_equal(str_at(k.json, "changes.0.origin"), "networkpolicy");
	assert_non_null(strstr(str_at(k.json, "changes.0.summary"), "ingress allow"));
	assert_int_equal(num_at(k.json, "changes.0.workloads"), 1);
	assert_string_equal(str_at(k.json, "changes.1.origin"), "admin");
	/* cart is let in, web is not, and the address outside is denied */
	assert_int_equal(num_at(k.json, "accessCounts.differs"), 3);
	call_done(&k);
	after = dump(fx);
	same_text(before, after);
	k = POST(fx, "/v1/rules/apply", ALL);
	assert_status(k, 200);
	assert_true(bool_at(k.json, "applied"));
	call_done(&k);
	k = POST(fx, "/v1/rules/apply", ALL);
	assert_status(k, 200);
	assert_true(bool_at(k.json, "noop"));
	assert_int_equal(num_at(k.json, "counts.unchanged"), 3);
	call_done(&k);
	/* A changed object keeps its number, and the plan names the field. */
	fx->now += HOUR_NS;
	k = POST(fx, "/v1/rules/apply", DOCS(NP("db-ingress", "5433")));
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "changes.0.op"), "~");
	assert_string_equal(str_at(k.json, "changes.0.field"), "spec.ingress");
	call_done(&k);
	k = GET(fx, "/v1/rules/NetworkPolicy/data/db-ingress");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "id"), 1);
	assert_string_equal(str_at(k.json, "created"), "2026-03-12T08:00:00Z");
	assert_string_equal(str_at(k.json, "updated"), "2026-03-12T09:00:00Z");
	assert_string_equal(str_at(k.json, "creator"), "root");
	assert_non_null(strstr(str_at(k.json, "yaml"), "5433"));
	call_done(&k);
	/* Everything that is shown is there again after a restart, and after a return. */
	k = POST(fx, "/v1/changes/2/revert", "{}");
	assert_status(k, 200);
	call_done(&k);
	free(before);
	before = told(fx);
	fixture_reopen(fx);
	free(after);
	after = told(fx);
	same_text(before, after);
	k = GET(fx, "/v1/rules/netpol/data/db-ingress");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "id"), 1);
	assert_non_null(strstr(str_at(k.json, "yaml"), "5432"));
	call_done(&k);
}

static void found_by_name(void **state)
{
	static const struct { const char *path; int status; const char *name; } t[] = {
		{ "/v1/rules/NetworkPolicy/data/db-ingress", 200, "NetworkPolicy/data/db-ingress" },
		{ "/v1/rules/networkpolicy/data/db-ingress", 200, "NetworkPolicy/data/db-ingress" },
		{ "/v1/rules/data/db-ingress", 200, "NetworkPolicy/data/db-ingress" },
		{ "/v1/rules/cnp/no-outside", 200, "ClusterNetworkPolicy/no-outside" },
		{ "/v1/rules/admin/no-outside", 200, "ClusterNetworkPolicy/no-outside" },
		{ "/v1/rules/baseline/last", 200, "ClusterNetworkPolicy/last" },
		{ "/v1/rules/no-outside", 200, "ClusterNetworkPolicy/no-outside" },
		{ "/v1/rules/baseline/no-outside", 404, NULL },
		{ "/v1/rules/networkpolicy/shop/db-ingress", 404, NULL },
		{ "/v1/rules/anp/no-outside", 404, NULL },
	};
	struct fixture *fx = *state;
	struct call k;

	apply_all(fx);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		k = GET(fx, t[i].path);
		assert_status(k, t[i].status);
		if (t[i].name)
			assert_string_equal(str_at(k.json, "name"), t[i].name);
		call_done(&k);
	}
	k = GET(fx, "/v1/rules?origin=networkpolicy");
	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.subject"), "data app=db");
	assert_string_equal(str_at(k.json, "items.0.isolates.0"), "ingress");
	assert_string_equal(str_at(k.json, "items.0.action"), "allow");
	assert_int_equal(num_at(k.json, "meta.hidden.admin"), 1);
	assert_int_equal(num_at(k.json, "meta.hidden.baseline"), 1);
	call_done(&k);
	k = GET(fx, "/v1/rules?origin=all");
	assert_int_equal(len_at(k.json, "items"), 3);
	assert_int_equal(num_at(k.json, "items.0.priority"), 10); /* the tiers in their order */
	call_done(&k);
	k = GET(fx, "/v1/rules?origin=all&action=block");
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.name"), "ClusterNetworkPolicy/no-outside");
	call_done(&k);
	k = GET(fx, "/v1/rules?origin=all&search=CART");
	assert_int_equal(len_at(k.json, "items"), 1);
	call_done(&k);
	k = GET(fx, "/v1/rules?origin=all&namespace=ops");
	assert_int_equal(len_at(k.json, "items"), 0);
	call_done(&k);
	k = GET(fx, "/v1/workloads/data/db-0");
	assert_status(k, 200);
	assert_non_null(strstr(text_of(&k), "NetworkPolicy/data/db-ingress"));
	call_done(&k);
	k = GET(fx, "/v1/workloads/shop/web-1");
	assert_null(strstr(text_of(&k), "db-ingress"));
	assert_non_null(strstr(text_of(&k), "ClusterNetworkPolicy/no-outside"));
	call_done(&k);
}

static void named_where_it_decides(void **state)
{
	struct fixture *fx = *state;
	struct call k;
	auto_free char *path = NULL;

	apply_all(fx);
	k = GET(fx, "/v1/query?src=shop/pod/web-1&dst=data/pod/db-0&port=tcp/5432");
	assert_status(k, 200);
	assert_non_null(strstr(text_of(&k), "\"rule\":\"data/db-ingress\""));
	assert_non_null(strstr(text_of(&k), "\"result\":\"isolates\""));
	assert_non_null(strstr(text_of(&k), "\"ruleKind\":\"NetworkPolicy\""));
	call_done(&k);
	/* An access that a policy's number stands beside. */
	learn(fx, &(struct learn){ "shop", "rogue", "data", "db-0", 5432, 3, 0, CW_OUT_NO_RULE, CW_OUT_DROP, CW_R_ISOLATED, 1 });
	k = GET(fx, "/v1/accesses?src=shop/pod/rogue");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "items.0.ingressBy.rule"), "data/db-ingress");
	assert_string_equal(str_at(k.json, "items.0.ingressBy.ruleKind"), "NetworkPolicy");
	assert_true(asprintf(&path, "/v1/explain?what=%s", str_at(k.json, "items.0.id")) > 0);
	call_done(&k);
	k = GET(fx, path);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "key"), "networkpolicy");
	assert_string_equal(str_at(k.json, "params.rule"), "data/db-ingress");
	assert_string_equal(str_at(k.json, "params.ruleOrigin"), "networkpolicy");
	call_done(&k);
	k = GET(fx, "/v1/accesses?rule=networkpolicy/data/db-ingress");
	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 1);
	call_done(&k);
	k = GET(fx, "/v1/accesses?origin=networkpolicy");
	assert_int_equal(len_at(k.json, "items"), 1);
	call_done(&k);
	k = GET(fx, "/v1/rules/networkpolicy/data/db-ingress");
	assert_int_equal(num_at(k.json, "hits"), 3);
	call_done(&k);
}

static const cJSON *note_of(const struct call *k, const char *ns)
{
	const cJSON *n, *i;

	cJSON_ArrayForEach(n, at(k->json, "namespaces")) {
		if (strcmp(str_at(n, "namespace"), ns))
			continue;
		cJSON_ArrayForEach(i, at(n, "notes"))
			if (!strcmp(str_at(i, "name"), "policy-not-in-force"))
				return i;
	}
	return NULL;
}

static void status_says_what_is_not_in_force(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	apply_all(fx);
	k = GET(fx, "/v1/status");
	assert_status(k, 200);
	assert_int_equal(num_at(note_of(&k, "data"), "count"), 3);
	assert_string_equal(str_at(note_of(&k, "data"), "rule"), "data/db-ingress");
	assert_string_equal(str_at(note_of(&k, "data"), "kind"), "NetworkPolicy");
	assert_string_equal(str_at(note_of(&k, "data"), "mode"), "learn");
	assert_int_equal(num_at(note_of(&k, "shop"), "count"), 2);
	assert_int_equal(num_at(k.json, "rules.kubernetes"), 3);
	call_done(&k);
	k = POST(fx, "/v1/modes/set?accept=not-ready", "{\"mode\":\"enforce\",\"refs\":[\"ns/data\"]}");
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/status");
	assert_null(note_of(&k, "data"));
	assert_non_null(note_of(&k, "shop"));
	call_done(&k);
	/* Where the tier is enforced in every mode, it is in force. */
	fx->c->state.enforce_always = 1u << CW_TIER_NETWORKPOLICY | 1u << CW_TIER_ADMIN;
	k = GET(fx, "/v1/status");
	assert_int_equal(num_at(note_of(&k, "shop"), "count"), 1);
	assert_string_equal(str_at(note_of(&k, "shop"), "rule"), "last");
	call_done(&k);
}

static void no_switch(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	apply_all(fx);
	k = POST(fx, "/v1/rules/disable", "{\"names\":[\"NetworkPolicy/data/db-ingress\"]}");
	assert_status(k, 400);
	assert_string_equal(str_at(k.json, "items.0.name"), "rule.kubernetes");
	assert_string_equal(str_at(k.json, "items.0.next"), "cellwall rule delete NetworkPolicy/data/db-ingress --dry-run");
	call_done(&k);
	k = POST(fx, "/v1/rules/disable", "{\"search\":\"cart\",\"origin\":\"all\"}");
	assert_status(k, 400);
	call_done(&k);
	k = POST(fx, "/v1/rules/delete", "{\"names\":[\"networkpolicy data/db-ingress\",\"admin/no-outside\"]}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.delete"), 2);
	call_done(&k);
	k = POST(fx, "/v1/rules/delete", "{\"search\":\"203.0.113\",\"origin\":\"baseline\"}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.delete"), 1);
	call_done(&k);
	k = GET(fx, "/v1/rules?origin=all");
	assert_int_equal(len_at(k.json, "items"), 0);
	call_done(&k);
	/* numbers are not used again */
	k = POST(fx, "/v1/rules/apply", DOCS(NP("db-ingress", "5432")));
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/rules/data/db-ingress");
	assert_int_equal(num_at(k.json, "id"), 4);
	call_done(&k);
}

static char *as_body(const char *yaml)
{
	cJSON *body = cJSON_CreateObject(), *d = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(d, "file", "all.yaml");
	cJSON_AddStringToObject(d, "text", yaml);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "documents"), d);
	text = cJSON_PrintUnformatted(body);
	cJSON_Delete(body);
	return text;
}

static void exported_unchanged(void **state)
{
	struct fixture *fx = *state;
	auto_free char *first = NULL, *body = NULL;
	struct call k;

	apply_all(fx);
	k = GET(fx, "/v1/export/rules");
	assert_status(k, 200);
	first = strdup(text_of(&k));
	assert_non_null(strstr(first, "kind: NetworkPolicy"));
	assert_non_null(strstr(first, "kind: ClusterNetworkPolicy"));
	call_done(&k);
	body = as_body(first);
	k = POST(fx, "/v1/rules/apply", body);
	assert_status(k, 200);
	assert_true(bool_at(k.json, "noop"));
	call_done(&k);
	k = POST(fx, "/v1/rules/delete", "{\"search\":\"e\",\"origin\":\"all\"}");
	assert_status(k, 200);
	call_done(&k);
	k = POST(fx, "/v1/rules/apply", body);
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.add"), 3);
	call_done(&k);
	k = GET(fx, "/v1/export/rules");
	assert_string_equal(first, text_of(&k));
	call_done(&k);
}

static void exported_as(void **state)
{
	struct fixture *fx = *state;
	auto_free char *body = NULL;
	struct call k;

	apply_all(fx);
	k = POST(fx, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\",\"answered\":\"1\"}}");
	assert_status(k, 200);
	call_done(&k);
	/* web -> db is learned and would join db-ingress, which is asked before it: refused by name. */
	k = GET(fx, "/v1/export/rules?as=networkpolicy&origin=learned");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "kind"), "RuleExport");
	assert_non_null(strstr(text_of(&k), "NetworkPolicy data/db-ingress may isolate its subject"));
	assert_int_equal(num_at(k.json, "rules"), 1); /* web -> cart */
	call_done(&k);
	k = GET(fx, "/v1/export/rules?as=clusternetworkpolicy&origin=learned");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "rules"), 3);
	body = as_body(str_at(k.json, "yaml"));
	call_done(&k);
	k = POST(fx, "/v1/rules/apply?dryRun=1", body);
	assert_status(k, 200);
	assert_true(num_at(k.json, "counts.add") >= 7); /* a subject each side, and the default */
	call_done(&k);
	k = GET(fx, "/v1/export/rules?as=cilium&origin=manual");
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/export/rules?as=iptables");
	assert_status(k, 400);
	assert_string_equal(str_at(k.json, "items.0.name"), "rule.export-as");
	call_done(&k);
}

static void faults_change_nothing(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	apply_all(fx);
	before = dump(fx);
	k = POST(fx, "/v1/rules/apply", DOCS(NP("ok", "80") "---\\n" NP("bad", "70000")));
	assert_status(k, 400);
	assert_non_null(strstr(text_of(&k), "document 2"));
	assert_non_null(strstr(text_of(&k), "spec.ingress[0].ports[0].port"));
	call_done(&k);
	k = POST(fx, "/v1/rules/apply", DOCS(NP("twice", "80") "---\\n" NP("twice", "81")));
	assert_status(k, 400);
	call_done(&k);
	after = dump(fx);
	same_text(before, after);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(planned_and_kept), T(found_by_name), T(named_where_it_decides), T(status_says_what_is_not_in_force),
		T(no_switch), T(exported_unchanged), T(exported_as), T(faults_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
