/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes in the controller: what its API server says, against what is here. */
#include "kube_world.h"

static const struct rule *the_rule(const struct fixture *fx, const char *ns, const char *name)
{
	return state_rule(&fx->c->state, ns, name);
}

/* ---- gating ---------------------------------------------------------------------------------- */

static void nothing_before_all_lists(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct call k;

	assert_int_equal(fx->node.prepares, 0);
	kube_kinds(s->k, KINDS_ALL);
	kube_begin(s->k, CLUSTER_POD);
	pod(s, "shop", "web-1", "web", "10.20.0.11");
	kube_end(s->k, CLUSTER_POD);
	fx->now += 10 * SECOND_NS;
	controller_tick(fx->c);
	assert_int_equal(fx->node.prepares, 0);
	assert_int_equal(fx->c->state.nworkloads, 0);
	k = POST(fx, "/v1/modes/set?accept=not-ready", "{\"refs\":[\"cluster\"],\"mode\":\"enforce\"}");
	assert_status(k, 503);
	assert_string_equal(str_at(k.json, "items.0.name"), "kubernetes.not-synced");
	call_done(&k);
	k = GET(fx, "/v1/status");
	assert_string_equal(str_at(k.json, "kubernetes.state"), "syncing");
	call_done(&k);
	lists(s, NULL);
	assert_int_equal(fx->c->state.nworkloads, 2);
	assert_int_equal(fx->node.workloads, 2);
	assert_int_equal(fx->node.addresses, 2);
	k = GET(fx, "/v1/status");
	assert_string_equal(str_at(k.json, "kubernetes.state"), "synced");
	assert_string_equal(str_at(k.json, "kubernetes.version"), "v1.31.0");
	call_done(&k);
	k = GET(fx, "/v1/workloads");
	assert_string_equal(str_at(k.json, "items.0.source"), "kubernetes");
	call_done(&k);
}

/* ---- objects come, change and go --------------------------------------------------------------------- */

static void two_rules(struct apiserver *s, enum cluster_kind kind)
{
	if (kind == CLUSTER_ACCESS_RULE)
		there(s, kind, "data", "db", "u-1", ",'managedFields':[{'manager':'kubectl-client-side-apply','operation':'Update',"
		      "'time':'2026-03-12T07:00:00Z'}]", RULE_SPEC);
	if (kind == CLUSTER_CLUSTER_ACCESS_RULE)
		there(s, kind, "", "wide", "u-2", "", RULE_SPEC_2);
	if (kind == CLUSTER_NETWORK_POLICY)
		there(s, kind, "data", "np", "u-3", "", "'spec':{'podSelector':{},'policyTypes':['Ingress']}");
}

static void come_change_and_go(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	uint64_t gen;
	struct call k;

	lists(s, two_rules);
	assert_int_equal(fx->c->state.generation, 1); /* one change for all of them */
	assert_int_equal(fx->c->state.nrules, 2);
	assert_int_equal(fx->c->state.nkpolicies, 1);
	assert_non_null(the_rule(fx, "data", "db"));
	assert_string_equal(the_rule(fx, "data", "db")->creator, "kubectl-client-side-apply");
	assert_int_equal(fx->node.generation, 1);
	assert_int_equal(s->n, 0); /* nothing to write there */
	k = GET(fx, "/v1/changes");
	assert_string_equal(str_at(k.json, "items.0.via"), "kubernetes");
	call_done(&k);

	there(s, CLUSTER_ACCESS_RULE, "data", "db", "u-1", "", RULE_SPEC_2);
	rest(fx);
	gen = fx->c->state.generation;
	assert_int_equal(gen, 2);
	assert_int_equal(the_rule(fx, "data", "db")->action, CW_ACT_ALLOW);
	/* Touched without a change of what it says. */
	there(s, CLUSTER_ACCESS_RULE, "data", "db", "u-1", ",'annotations':{'x':'y'}", RULE_SPEC_2);
	rest(fx);
	assert_int_equal(fx->c->state.generation, gen);
	gone(s, CLUSTER_ACCESS_RULE, "data", "db", "u-1");
	gone(s, CLUSTER_NETWORK_POLICY, "data", "np", "u-3");
	rest(fx);
	assert_int_equal(fx->c->state.generation, gen + 1);
	assert_int_equal(fx->c->state.nrules, 1);
	assert_int_equal(fx->c->state.nkpolicies, 0);
	assert_int_equal(s->n, 0);
}

static void a_burst_is_one_change(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	char name[32], uid[32];

	lists(s, NULL);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "r-%d", i);
		snprintf(uid, sizeof(uid), "u-%d", i);
		there(s, CLUSTER_ACCESS_RULE, "data", name, uid, "", i == 77 ? "'spec':{'action':'blok'}" : RULE_SPEC);
	}
	rest(fx);
	assert_int_equal(fx->c->state.generation, 1);
	assert_int_equal(fx->c->state.nrules, 199);
	assert_null(the_rule(fx, "data", "r-77"));
	for (int i = 0; i < 20 && s->statuses < 200; i++)
		second(fx);
	assert_int_equal(s->statuses, 200);
}

/* ---- refused ------------------------------------------------------------------------------------------- */

static void refused_ones_keep_out(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct call k;

	lists(s, two_rules);
	fx->node.refuse_rule = "fat";
	for (int i = 0; i < 10; i++) {
		char name[32];

		snprintf(name, sizeof(name), i == 4 ? "fat" : "thin-%d", i);
		there(s, CLUSTER_ACCESS_RULE, "data", name, name, "", RULE_SPEC);
	}
	rest(fx);
	assert_int_equal(fx->c->state.nrules, 2 + 9);
	assert_null(the_rule(fx, "data", "fat"));
	k = GET(fx, "/v1/status");
	assert_int_equal(num_at(k.json, "kubernetes.refusedCount"), 1);
	assert_string_equal(str_at(k.json, "kubernetes.refused.0.object"), "AccessRule data/fat");
	assert_string_equal(str_at(k.json, "kubernetes.refused.0.error"), "rule.capacity");
	call_done(&k);
	/* Room was made: it is tried again by itself. */
	fx->node.refuse_rule = NULL;
	for (int i = 0; i < 35; i++)
		second(fx);
	assert_non_null(the_rule(fx, "data", "fat"));

	/* An update that cannot be read opens nothing and closes nothing. */
	there(s, CLUSTER_ACCESS_RULE, "data", "db", "u-1", "", "'spec':{'action':'allow','from':[],'to':[{'any':true}]}");
	rest(fx);
	assert_int_equal(the_rule(fx, "data", "db")->action, CW_ACT_BLOCK);
	second(fx);
	assert_string_equal(s->last_status_name, "db");
	assert_string_equal(condition(s, 0, "status"), "False");
	assert_string_equal(condition(s, 0, "reason"), "Invalid");
	assert_string_equal(condition(s, 1, "reason"), "FormerVersion");
	there(s, CLUSTER_ACCESS_RULE, "data", "db", "u-1", "", RULE_SPEC_2);
	rest(fx);
	second(fx);
	assert_int_equal(the_rule(fx, "data", "db")->action, CW_ACT_ALLOW);
	assert_string_equal(condition(s, 0, "status"), "True");
	assert_string_equal(condition(s, 1, "reason"), "Acknowledged");
	assert_int_equal(num_at(s->last_status, "status.nodes.acknowledged"), 1);
}

static uint64_t slow_node;	/* generation in force there; UINT64_MAX: it refuses */

static int three_nodes(void *node, int (*fn)(void *arg, const struct node_status *n), void *arg)
{
	const struct fake_node *f = node;
	int e = 0;

	for (int i = 0; i < 3 && !e; i++) {
		bool slow = i == 2, refuses = slow && slow_node == UINT64_MAX;
		struct node_status s = { .standing = refuses ? NODE_REFUSED : NODE_CURRENT,
					 .generation = refuses ? 0 : slow ? slow_node : f->generation };

		snprintf(s.name, sizeof(s.name), "n%d", i + 1);
		e = fn(arg, &s);
	}
	return e;
}

static void every_node_answers(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct node_ops ops = fake_ops;

	ops.nodes = three_nodes;
	fx->c->ops = &ops;
	slow_node = 0;
	lists(s, NULL);
	there(s, CLUSTER_ACCESS_RULE, "data", "db", "u-1", "", RULE_SPEC);
	rest(fx);
	second(fx);
	assert_string_equal(condition(s, 1, "status"), "Unknown");
	assert_string_equal(condition(s, 1, "message"), "2 of 3 nodes have answered");
	assert_int_equal(num_at(s->last_status, "status.generation"), 1);
	slow_node = UINT64_MAX;
	second(fx);
	assert_string_equal(condition(s, 1, "reason"), "NodeRefused");
	assert_int_equal(num_at(s->last_status, "status.nodes.failed"), 1);
	slow_node = 1;
	second(fx);
	assert_string_equal(condition(s, 1, "status"), "True");
	assert_int_equal(num_at(s->last_status, "status.nodes.acknowledged"), 3);
	/* Said once. */
	s->statuses = 0;
	for (int i = 0; i < 5; i++)
		second(fx);
	assert_int_equal(s->statuses, 0);
	fx->c->ops = &fake_ops;
}

/* ---- the other way --------------------------------------------------------------------------------- */

#define APPLY(text) "{\"documents\":[{\"file\":\"x.yaml\",\"text\":\"" text "\"}]}"
#define WIDE_YAML "apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: here}\\n" \
	"spec:\\n  action: block\\n  from: [{namespace: shop}]\\n  to: [{namespace: data}]\\n"

static void what_is_made_here_is_written(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	uint64_t gen;
	struct call k;

	lists(s, NULL);
	k = POST(fx, "/v1/rules/apply", APPLY(WIDE_YAML));
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	gen = fx->c->state.generation;
	assert_int_equal(s->n, 1);
	assert_int_equal(s->sent[0].verb, KUBE_APPLY);
	assert_int_equal(s->sent[0].kind, CLUSTER_CLUSTER_ACCESS_RULE);
	assert_string_equal(s->sent[0].name, "here");
	assert_string_equal(str_at(s->sent[0].body, "spec.action"), "block");
	/* Refused: in force all the same, said, and tried again. */
	answer(s, 0, -EACCES, false);
	k = GET(fx, "/v1/status");
	assert_int_equal(num_at(k.json, "kubernetes.notWrittenCount"), 1);
	assert_string_equal(str_at(k.json, "kubernetes.notWritten.0.message"), "the server said no");
	call_done(&k);
	assert_non_null(the_rule(fx, NULL, "here"));
	for (int i = 0; i < 40 && s->n < 2; i++)
		second(fx);
	assert_int_equal(s->n, 2);
	answer(s, 1, 0, true);
	assert_int_equal(fx->c->state.generation, gen); /* our own echo changes nothing */
	second(fx);
	assert_int_equal(s->n, 2);

	/* Deleted here: deleted there, that one and no successor. */
	k = POST(fx, "/v1/rules/delete", "{\"names\":[\"here\"]}");
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	assert_int_equal(s->n, 3);
	assert_int_equal(s->sent[2].verb, KUBE_DELETE);
	assert_string_equal(s->sent[2].uid, "uid-made");
	answer(s, 2, 0, false);
	gone(s, CLUSTER_CLUSTER_ACCESS_RULE, "", "here", "uid-made");
	rest(fx);
	second(fx);
	assert_int_equal(s->n, 3);
	assert_null(the_rule(fx, NULL, "here"));
}

static void what_others_wrote_is_replaced(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct kube_in in = { .text = "" };
	cJSON *merged;
	struct call k;

	lists(s, two_rules);
	k = POST(fx, "/v1/rules/apply", APPLY("apiVersion: cellwall.io/v1alpha1\\nkind: AccessRule\\nmetadata: {name: db, namespace: data}\\n"
		"spec:\\n  action: block\\n  from: [{namespace: shop}]\\n  to: [{labels: {app: db}}]\\n"));
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	assert_int_equal(s->n, 1);
	/* An apply leaves the ports that kubectl wrote: they are taken out. */
	merged = parse("{'apiVersion':'cellwall.io/v1alpha1','kind':'AccessRule','metadata':{'name':'db','namespace':'data','uid':'u-1',"
		       "'resourceVersion':'900'}," RULE_SPEC "}");
	in.obj = merged;
	kube_object(s->k, CLUSTER_ACCESS_RULE, merged); /* the watch is faster than the answer */
	rest(fx);
	assert_int_equal(the_rule(fx, "data", "db")->nports, 0);
	s->sent[0].open = false;
	s->sent[0].done(s->sent[0].arg, &in);
	cJSON_Delete(merged);
	assert_int_equal(s->n, 2);
	assert_int_equal(s->sent[1].verb, KUBE_MERGE);
	assert_string_equal(str_at(s->sent[1].body, "metadata.resourceVersion"), "900");
	assert_true(cJSON_IsNull(at(s->sent[1].body, "spec.ports")));
	/* Somebody was between: once more from the beginning, and no edit of a person's. */
	s->version = 1000;
	answer(s, 1, -EBUSY, false);
	for (int i = 0; i < 5 && s->n < 3; i++)
		second(fx);
	assert_int_equal(s->n, 3);
	assert_int_equal(s->sent[2].verb, KUBE_APPLY);
	assert_int_equal(the_rule(fx, "data", "db")->nports, 0);
	snprintf(s->sent[2].uid, sizeof(s->sent[2].uid), "u-1");
	answer(s, 2, 0, true);
	second(fx);
	assert_int_equal(s->n, 3);
	assert_int_equal(the_rule(fx, "data", "db")->nports, 0);
	/* What a watch still tells of before is old. */
	s->version = 10;
	there(s, CLUSTER_ACCESS_RULE, "data", "db", "u-1", "", RULE_SPEC);
	rest(fx);
	assert_int_equal(the_rule(fx, "data", "db")->nports, 0);
}

/* ---- restarts ------------------------------------------------------------------------------------------ */

static void only_wide(struct apiserver *s, enum cluster_kind kind)
{
	if (kind == CLUSTER_CLUSTER_ACCESS_RULE)
		there(s, kind, "", "wide", "u-2", "", RULE_SPEC_2);
}

static void across_a_restart(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct call k;

	lists(s, two_rules);
	k = POST(fx, "/v1/rules/apply", APPLY(WIDE_YAML));
	assert_status(k, 200);
	call_done(&k);
	rest(fx); /* never answered */
	fixture_reopen(fx);
	assert_int_equal(fx->node.prepares, 0);
	/* What was agreed on and is gone was deleted by a person; what never arrived is written. */
	lists(s, only_wide);
	assert_null(the_rule(fx, "data", "db"));
	assert_int_equal(fx->c->state.nkpolicies, 0);
	assert_non_null(the_rule(fx, NULL, "wide"));
	assert_non_null(the_rule(fx, NULL, "here"));
	assert_int_equal(s->n, 1);
	assert_string_equal(s->sent[0].name, "here");
	answer(s, 0, 0, true);
	/* Deleted here while the server was away: deleted there after a restart. */
	k = POST(fx, "/v1/rules/delete", "{\"names\":[\"wide\"]}");
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	fixture_reopen(fx);
	lists(s, only_wide); /* "here" was deleted there meanwhile */
	assert_null(the_rule(fx, NULL, "wide"));
	assert_null(the_rule(fx, NULL, "here"));
	assert_int_equal(s->n, 1);
	assert_int_equal(s->sent[0].verb, KUBE_DELETE);
	assert_string_equal(s->sent[0].name, "wide");
	/* Edited there at the same time: the edit stands. */
	fixture_reopen(fx);
	kube_kinds(s->k, KINDS_ALL);
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++) {
		if (!(KINDS_ALL >> i & 1))
			continue;
		kube_begin(s->k, i);
		if (i == CLUSTER_CLUSTER_ACCESS_RULE)
			there(s, i, "", "wide", "u-2", "", RULE_SPEC);
		kube_end(s->k, i);
	}
	rest(fx);
	assert_non_null(the_rule(fx, NULL, "wide"));
	assert_int_equal(the_rule(fx, NULL, "wide")->action, CW_ACT_BLOCK);
	assert_int_equal(s->n, 0);
}

/* ---- modes ----------------------------------------------------------------------------------------------- */

static enum cw_mode mode_of(const struct fixture *fx, const char *ns)
{
	const struct workload any = { .ns = (char *)ns };
	enum cw_mode mode;

	policy_state_mode(&fx->c->state, &any, &mode, NULL, NULL);
	return mode;
}

static void labels_are_switches(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	uint64_t gen;
	struct call k;

	lists(s, NULL);
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_LEARN);
	namespace_is(s, "shop", ",'labels':{'cellwall.io/mode':'enforce','team':'front'}");
	rest(fx);
	gen = fx->c->state.generation;
	assert_int_equal(gen, 1); /* a change like any other, though nothing was learned yet */
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_ENFORCE);
	namespace_is(s, "shop", ",'labels':{'cellwall.io/mode':'enforce','team':'back'}");
	rest(fx);
	assert_int_equal(fx->c->state.generation, gen);
	/* A word that is no mode opens nothing. */
	namespace_is(s, "shop", ",'labels':{'cellwall.io/mode':'enforcee'}");
	rest(fx);
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_ENFORCE);
	namespace_is(s, "shop", ",'labels':{'cellwall.io/mode':'alert'}");
	rest(fx);
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_ALERT);

	/* Set here: the label follows. */
	k = POST(fx, "/v1/modes/set?accept=not-ready", "{\"refs\":[\"ns/shop\"],\"default\":\"allow\"}");
	assert_status(k, 400);
	assert_string_equal(str_at(k.json, "items.0.name"), "mode.label");
	call_done(&k);
	k = POST(fx, "/v1/modes/set?accept=not-ready", "{\"refs\":[\"ns/shop\"],\"mode\":\"enforce\"}");
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->sent[0].verb, KUBE_MERGE);
	assert_string_equal(json_str(at(s->sent[0].body, "metadata.labels"), "cellwall.io/mode"), "enforce");
	answer(s, 0, 0, false);
	namespace_is(s, "shop", ",'labels':{'cellwall.io/mode':'enforce'}");
	rest(fx);
	gen = fx->c->state.generation;
	/* Set where there is no label: a profile. */
	k = POST(fx, "/v1/modes/set", "{\"refs\":[\"ns/data\"],\"mode\":\"alert\"}");
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	assert_int_equal(s->n, 2);
	assert_int_equal(s->sent[1].kind, CLUSTER_MODE_PROFILE);
	assert_string_equal(s->sent[1].name, "data");
	answer(s, 1, 0, true);
	assert_int_equal(fx->c->state.generation, gen + 1);
	k = POST(fx, "/v1/modes/unset", "{\"refs\":[\"ns/shop\"]}");
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	assert_int_equal(s->n, 3);
	assert_true(cJSON_IsNull(json_get(at(s->sent[2].body, "metadata.labels"), "cellwall.io/mode")));
	answer(s, 2, 0, false);
	namespace_is(s, "shop", "");
	rest(fx);
	second(fx);
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_LEARN);
	assert_int_equal(s->n, 3);
	/* Two profiles of one namespace: the stricter holds. */
	there(s, CLUSTER_MODE_PROFILE, "", "other", "u-9", "", "'spec':{'target':{'namespace':'data'},'mode':'enforce'}");
	rest(fx);
	assert_int_equal(mode_of(fx, "data"), CW_MODE_ENFORCE);
	gone(s, CLUSTER_MODE_PROFILE, "", "other", "u-9");
	rest(fx);
	assert_int_equal(mode_of(fx, "data"), CW_MODE_ALERT);
}

/* ---- confirm windows ---------------------------------------------------------------------------------------- */

static void windows_end_by_themselves(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct call k;

	lists(s, only_wide);
	namespace_is(s, "shop", ",'labels':{'cellwall.io/mode':'enforce'},'annotations':{'cellwall.io/confirm':'5s'}");
	rest(fx);
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_ENFORCE);
	assert_true(fx->c->window.generation != 0);
	/* Made while it is open, without a window of its own. */
	there(s, CLUSTER_ACCESS_RULE, "data", "db", "u-1", "", RULE_SPEC);
	rest(fx);
	gone(s, CLUSTER_CLUSTER_ACCESS_RULE, "", "wide", "u-2");
	rest(fx);
	assert_null(the_rule(fx, NULL, "wide"));
	for (int i = 0; i < 8; i++)
		second(fx);
	assert_int_equal(fx->c->window.generation, 0);
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_LEARN); /* the label is as it was written, and out of force */
	assert_non_null(the_rule(fx, "data", "db"));	      /* nobody asked for this to be taken back */
	assert_null(the_rule(fx, NULL, "wide"));
	assert_int_equal(s->n, 0);
	k = GET(fx, "/v1/status");
	assert_int_equal(num_at(k.json, "kubernetes.notInForceCount"), 1);
	assert_string_equal(str_at(k.json, "kubernetes.notInForce.0.object"), "Namespace shop");
	call_done(&k);
	/* Also after a restart; until somebody says it again. */
	fixture_reopen(fx);
	kube_kinds(s->k, KINDS_ALL);
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++) {
		if (!(KINDS_ALL >> i & 1))
			continue;
		kube_begin(s->k, i);
		if (i == CLUSTER_NAMESPACE)
			namespace_is(s, "shop", ",'labels':{'cellwall.io/mode':'enforce'},'annotations':{'cellwall.io/confirm':'5s'}");
		if (i == CLUSTER_ACCESS_RULE)
			there(s, i, "data", "db", "u-1", "", RULE_SPEC);
		kube_end(s->k, i);
	}
	rest(fx);
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_LEARN);
	assert_int_equal(s->n, 0);
	namespace_is(s, "shop", ",'labels':{'cellwall.io/mode':'alert'}");
	rest(fx);
	assert_int_equal(mode_of(fx, "shop"), CW_MODE_ALERT);

	/* Made here and not confirmed: what is there goes back too. */
	k = POST(fx, "/v1/rules/apply?confirm=3s", APPLY(WIDE_YAML));
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	assert_int_equal(s->n, 1);
	answer(s, 0, 0, true);
	for (int i = 0; i < 6; i++)
		second(fx);
	assert_null(the_rule(fx, NULL, "here"));
	assert_int_equal(s->n, 2);
	assert_int_equal(s->sent[1].verb, KUBE_DELETE);
}

/* ---- away ------------------------------------------------------------------------------------------------------ */

static void a_lost_server_changes_nothing(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	unsigned prepares;
	struct call k;

	lists(s, two_rules);
	prepares = fx->node.prepares;
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++)
		if (KINDS_ALL >> i & 1)
			kube_following(s->k, i, false, "connection refused");
	for (int i = 0; i < 10; i++)
		second(fx);
	assert_int_equal(fx->c->state.nworkloads, 2);
	assert_int_equal(fx->c->state.nrules, 2);
	assert_int_equal(fx->node.prepares, prepares);
	k = GET(fx, "/v1/status");
	assert_string_equal(str_at(k.json, "kubernetes.state"), "lost");
	assert_string_equal(str_at(k.json, "kubernetes.reason"), "connection refused");
	call_done(&k);
	/* A new list says what happened meanwhile; the first half of it says nothing. */
	kube_begin(s->k, CLUSTER_ACCESS_RULE);
	rest(fx);
	assert_int_equal(fx->c->state.nrules, 2);
	kube_end(s->k, CLUSTER_ACCESS_RULE);
	rest(fx);
	assert_int_equal(fx->c->state.nrules, 1);
	/* A kind that is not served any more keeps what it brought. */
	kube_kinds(s->k, KINDS_ALL & ~(1u << CLUSTER_CLUSTER_ACCESS_RULE));
	rest(fx);
	second(fx);
	assert_non_null(the_rule(fx, NULL, "wide"));
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++)
		kube_following(s->k, i, true, "");
	k = GET(fx, "/v1/status");
	assert_string_equal(str_at(k.json, "kubernetes.state"), "synced");
	call_done(&k);
}

/* ---- by hand ------------------------------------------------------------------------------------------------------ */

static void what_is_declared_by_hand_wins(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct call k;

	lists(s, NULL);
	k = POST(fx, "/v1/workloads", "{\"namespace\":\"shop\",\"name\":\"web-1\",\"netns\":\"x\"}");
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "workload.in-kubernetes");
	call_done(&k);
	k = POST(fx, "/v1/workloads", "{\"namespace\":\"shop\",\"name\":\"vm-1\",\"netns\":\"x\",\"labels\":{\"app\":\"vm\"}}");
	assert_status(k, 200);
	call_done(&k);
	pod(s, "shop", "vm-1", "imposter", "10.20.0.66");
	rest(fx);
	assert_string_equal(labels_get(&controller_workload(fx->c, "shop", "vm-1")->labels, "app"), "vm");
	k = call(fx, HTTP_DELETE, "/v1/workloads/shop/vm-1", NULL);
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	assert_string_equal(labels_get(&controller_workload(fx->c, "shop", "vm-1")->labels, "app"), "imposter");
	k = call(fx, HTTP_DELETE, "/v1/workloads/shop/vm-1", NULL);
	assert_status(k, 409);
	call_done(&k);
}

static void a_learned_rule_becomes_manual(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;

	lists(s, NULL);
	there(s, CLUSTER_CLUSTER_ACCESS_RULE, "", "learned-8a90", "u-5",
	      ",'labels':{'cellwall.io/origin':'learned','cellwall.io/access':'8a90'}", RULE_SPEC_2);
	rest(fx);
	assert_int_equal(the_rule(fx, NULL, "learned-8a90")->origin, ORIGIN_LEARNED);
	there(s, CLUSTER_CLUSTER_ACCESS_RULE, "", "learned-8a90", "u-5", "", RULE_SPEC_2);
	rest(fx);
	assert_int_equal(the_rule(fx, NULL, "learned-8a90")->origin, ORIGIN_MANUAL);
	assert_int_equal(s->n, 0);
}

static void a_quarantine_ends(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct call k;

	lists(s, NULL);
	there(s, CLUSTER_QUARANTINE, "", "q1", "u-6", "",
	      "'spec':{'target':{'namespace':'shop','pod':'web-1'},'reason':'scan','until':'2026-03-12T08:00:05Z'}");
	rest(fx);
	assert_int_equal(fx->c->state.nquarantines, 1);
	for (int i = 0; i < 8; i++)
		second(fx);
	assert_int_equal(fx->c->state.nquarantines, 0);
	assert_int_equal(s->n, 0); /* the object is a person's */
	assert_string_equal(condition(s, 1, "reason"), "Expired");
	/* One of our own goes with its time. */
	k = POST(fx, "/v1/quarantines", "{\"ref\":\"shop/pod/web-1\",\"reason\":\"scan\",\"for\":\"5s\"}");
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	assert_int_equal(s->n, 1);
	answer(s, 0, 0, true);
	for (int i = 0; i < 8; i++)
		second(fx);
	assert_int_equal(fx->c->state.nquarantines, 0);
	assert_int_equal(s->n, 2);
	assert_int_equal(s->sent[1].verb, KUBE_DELETE);
}

static void nothing_is_written_when_told_so(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	struct call k;

	s->no_rules = true;
	fixture_reopen(fx);
	lists(s, two_rules);
	k = POST(fx, "/v1/rules/apply", APPLY(WIDE_YAML));
	assert_status(k, 200);
	call_done(&k);
	k = POST(fx, "/v1/rules/delete", "{\"names\":[\"wide\"]}");
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	second(fx);
	assert_int_equal(s->n, 0);
	assert_null(the_rule(fx, NULL, "wide"));
	assert_non_null(the_rule(fx, NULL, "here"));
	there(s, CLUSTER_CLUSTER_ACCESS_RULE, "", "wide", "u-2", "", RULE_SPEC);
	rest(fx);
	assert_non_null(the_rule(fx, NULL, "wide"));
}

/* ---- size ------------------------------------------------------------------------------------------------------------ */

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void effort_is_that_of_the_change(void **state)
{
	enum { PODS = 30000, MOVES = 3000 };
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	char name[32], ip[64];
	double from, load, move, one = 0;

	lists(s, NULL);
	from = now_s();
	for (int i = 0; i < PODS; i++) {
		snprintf(name, sizeof(name), "p-%d", i);
		snprintf(ip, sizeof(ip), "10.%d.%d.%d", 21 + i / 60000, i / 250 % 240, i % 250 + 1);
		pod(s, i % 2 ? "shop" : "data", name, "bulk", ip);
	}
	rest(fx);
	load = now_s() - from;
	assert_int_equal(fx->c->state.nworkloads, PODS + 2);
	from = now_s();
	for (int i = 0; i < MOVES; i++) {
		snprintf(name, sizeof(name), "p-%d", i * 7);
		snprintf(ip, sizeof(ip), "uid-%s-%s", i * 7 % 2 ? "shop" : "data", name);
		gone(s, CLUSTER_POD, i * 7 % 2 ? "shop" : "data", name, ip);
	}
	rest(fx);
	move = now_s() - from;
	assert_int_equal(fx->c->state.nworkloads, PODS + 2 - MOVES);
	for (int i = 0; i < 3; i++) { /* the first builds what the others go by */
		from = now_s();
		snprintf(name, sizeof(name), "r-%d", i);
		there(s, CLUSTER_ACCESS_RULE, "data", name, name, "", RULE_SPEC);
		rest(fx);
		one = now_s() - from;
	}
	assert_int_equal(fx->c->state.nrules, 3);
	print_message("  %d pods: %.0f ms, %d gone: %.0f ms, a rule: %.0f ms (CPU)\n", PODS, load * 1000, MOVES, move * 1000,
		      one * 1000);
	for (size_t i = 0; i < fx->c->state.nworkloads; i++) {
		const struct workload *w = &fx->c->state.workloads[i];

		assert_ptr_equal(controller_workload(fx->c, w->ns, w->name), w);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_before_all_lists), T(come_change_and_go), T(a_burst_is_one_change), T(refused_ones_keep_out),
		T(every_node_answers),
		T(what_is_made_here_is_written), T(what_others_wrote_is_replaced), T(across_a_restart), T(labels_are_switches),
		T(windows_end_by_themselves), T(a_lost_server_changes_nothing), T(what_is_declared_by_hand_wins),
		T(a_learned_rule_becomes_manual), T(a_quarantine_ends), T(nothing_is_written_when_told_so),
		T(effort_is_that_of_the_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
