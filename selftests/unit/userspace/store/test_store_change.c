/* SPDX-License-Identifier: Apache-2.0 */
#include <sqlite3.h>

#include "base/htab.h"
#include "selftests/unit/userspace/store/scratch.h"
#include "policy/model_doc.h"

static char *text_dup(const char *s)
{
	char *d = strdup(s);

	assert_non_null(d);
	return d;
}

/* A rule that uses every field of the model in some number of the row. */
static struct rule rule_no(unsigned i, unsigned version)
{
	struct rule r = { .id = i + 1, .origin = (enum rule_origin)(i % 5), .created_ns = T0 + i, .updated_ns = T0 + version,
			  .action = (enum cw_action)(1 + i % 3), .reject = i % 3 == 2, .mode = i % 2 ? CW_MODE_ALERT : CW_MODE_ENFORCE,
			  .enabled = version % 2 == 0 };
	char text[64];

	(void)snprintf(text, sizeof(text), "rule-%u", i);
	r.name = text_dup(text);
	r.ns = i % 4 == 3 ? text_dup("shop") : NULL;
	r.creator = text_dup("lin.wei \xe6\x9e\x97 \"quoted\" \\ \n");
	r.access = i % 5 == 1 ? text_dup("3f9a") : NULL;
	r.from = calloc(2, sizeof(*r.from));
	r.to = calloc(3, sizeof(*r.to));
	r.ports = calloc(4, sizeof(*r.ports));
	assert_true(r.from && r.to && r.ports);
	r.nfrom = 2;
	r.nto = 3;
	r.nports = 4;
	r.from[0] = (struct selector){ .kind = SEL_WORKLOAD, .ns = text_dup("shop"), .controller_kind = text_dup("Deployment"),
				       .controller_name = text_dup("web"), .service_account = text_dup("sa"), .pod = text_dup("p"), .pod_uid = text_dup("u") };
	r.from[1] = (struct selector){ .kind = SEL_CIDR };
	assert_int_equal(prefix_parse("10.0.0.0/8", &r.from[1].cidr), 0);
	r.from[1].except = calloc(1, sizeof(*r.from[1].except));
	assert_non_null(r.from[1].except);
	r.from[1].nexcept = 1;
	assert_int_equal(prefix_parse("10.1.0.0/16", &r.from[1].except[0]), 0);
	r.to[0] = (struct selector){ .kind = SEL_WORKLOAD, .ns_labels = { .set = true }, .labels = { .set = true } };
	assert_int_equal(labels_set(&r.to[0].labels.match, "app", "db"), 0);
	r.to[0].labels.exprs = calloc(1, sizeof(struct label_expr));
	assert_non_null(r.to[0].labels.exprs);
	r.to[0].labels.nexprs = 1;
	r.to[0].labels.exprs[0] = (struct label_expr){ .key = text_dup("tier"), .op = LABEL_NOT_IN, .values = calloc(2, sizeof(char *)), .nvalues = 2 };
	r.to[0].labels.exprs[0].values[0] = text_dup("a");
	r.to[0].labels.exprs[0].values[1] = text_dup("");
	r.to[1] = (struct selector){ .kind = SEL_RESERVED, .reserved = CW_ID_WORLD };
	r.to[2] = (struct selector){ .kind = SEL_FQDN, .fqdn = text_dup("*.example.com") };
	r.ports[0] = (struct port_spec){ .kind = PORT_RANGE, .proto = 6, .from = 80, .to = (uint16_t)(443 + version) };
	r.ports[1] = (struct port_spec){ .kind = PORT_ICMP, .proto = 1, .icmp_type = 0, .icmp_code = -1 };
	r.ports[2] = (struct port_spec){ .kind = PORT_ICMP, .proto = 58, .icmp_type = 128, .icmp_code = 0 };
	r.ports[3] = (struct port_spec){ .kind = PORT_NAMED, .proto = 17, .name = text_dup("dns") };
	assert_int_equal(labels_set(&r.labels, "team", "a"), 0);
	return r;
}

/* Generation g: rules g..g+4, of which one has a version of its own; one mode, one quarantine. */
static void state_make(uint64_t g, struct policy_state *s)
{
	*s = (struct policy_state){ .generation = g };
	s->rules = calloc(5, sizeof(*s->rules));
	s->modes = calloc(2, sizeof(*s->modes));
	s->quarantines = calloc(1, sizeof(*s->quarantines));
	assert_true(s->rules && s->modes && s->quarantines);
	s->nrules = 5;
	for (unsigned i = 0; i < 5; i++)
		s->rules[i] = rule_no((unsigned)g + i, i == 2 ? (unsigned)g : 0);
	s->nmodes = 2;
	s->modes[0] = (struct mode_setting){ .scope = MODE_NAMESPACE, .ns = text_dup("shop"), .mode = (enum cw_mode)(g % 4), .dflt = CW_ACT_BLOCK };
	s->modes[1] = (struct mode_setting){ .scope = MODE_CONTROLLER, .ns = text_dup("shop"), .controller_kind = text_dup("Deployment"),
					     .controller_name = text_dup("web"), .mode = CW_MODE_ENFORCE };
	s->nquarantines = g % 3 == 0;
	s->quarantines[0] = (struct quarantine){ .name = text_dup("rogue"), .ns = text_dup("shop"), .pod = text_dup("rogue"), .uid = text_dup("u"),
						 .reason = text_dup("scan"), .creator = text_dup("lin"), .since_ns = T0, .until_ns = T0 + DAY };
	s->quarantines[0].allow = calloc(1, sizeof(*s->quarantines[0].allow));
	assert_non_null(s->quarantines[0].allow);
	s->quarantines[0].nallow = 1;
	assert_int_equal(prefix_parse("192.0.2.10/32", &s->quarantines[0].allow[0].cidr), 0);
	s->quarantines[0].allow[0].ports = calloc(1, sizeof(struct port_spec));
	s->quarantines[0].allow[0].nports = 1;
	s->quarantines[0].allow[0].ports[0] = (struct port_spec){ .kind = PORT_RANGE, .proto = 6, .from = 22, .to = 22 };
	if (!s->nquarantines)
		quarantine_done(&s->quarantines[0]);
}

/* Every object as text, in the order of keys: two states are equal when these are. */
static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *state_text(const struct policy_state *s)
{
	char *all[64], *out = calloc(1, 1u << 16);
	size_t n = 0;

	assert_non_null(out);
	for (size_t i = 0; i < s->nrules; i++)
		all[n++] = model_doc_of_rule(&s->rules[i]);
	for (size_t i = 0; i < s->nmodes; i++)
		all[n++] = model_doc_of_mode(&s->modes[i]);
	for (size_t i = 0; i < s->nquarantines; i++)
		all[n++] = model_doc_of_quarantine(&s->quarantines[i]);
	qsort(all, n, sizeof(*all), text_cmp);
	for (size_t i = 0; i < n; i++) {
		assert_non_null(all[i]);
		(void)snprintf(out + strlen(out), (1u << 16) - strlen(out), "%s\n", all[i]);
		free(all[i]);
	}
	return out;
}

static int commit(struct store *s, uint64_t g, enum change_state st)
{
	struct node_receipt rc = { .node = "n1", .applied = true, .generation = g, .after_us = 210, .entries = 412,
				   .entries_max = 65536, .note = "-" };
	struct change c = { .generation = g, .base = g - 1, .what = (char *)"rule apply -f rules/", .who = (char *)"lin.wei",
			    .via = (char *)"CLI", .at_ns = T0 + (int64_t)g, .until_ns = st == CHANGE_OPEN ? T0 + 600 * S : 0, .state = st,
			    .undo = (char *)"cellwall change revert", .plan = (char *)"{}", .receipts = &rc, .nreceipts = 1 };
	struct policy_state p;
	int r;

	state_make(g, &p);
	r = store_change_commit(s, &p, &c);
	policy_state_done(&p);
	return r;
}

static void check_generation(struct store *s, uint64_t g)
{
	struct policy_state want, got = { };
	char *a, *b;

	state_make(g, &want);
	assert_int_equal(store_state_load(s, g, &got), 0);
	assert_int_equal(got.generation, g);
	a = state_text(&want);
	b = state_text(&got);
	assert_string_equal(a, b);
	free(a);
	free(b);
	policy_state_done(&want);
	policy_state_done(&got);
}

static void every_generation_comes_back(void **state)
{
	struct store *s = scratch_open(*state);
	struct policy_state p = { };
	uint64_t g;

	assert_int_equal(store_state_load(s, 0, &p), 0);
	assert_int_equal(p.nrules, 0);
	assert_int_equal(store_state_load(s, 1, &p), -ENOENT);
	for (g = 1; g <= 12; g++)
		assert_int_equal(commit(s, g, CHANGE_APPLIED), 0);
	store_close(s);
	s = scratch_open(*state);
	for (g = 12; g >= 1; g--)
		check_generation(s, g);
	assert_int_equal(store_state_load(s, 0, &p), 0);
	assert_int_equal(p.generation, 12);
	policy_state_done(&p);
	assert_int_equal(store_state_load(s, 13, &p), -ENOENT);
	store_close(s);
}

static void refusals_change_nothing(void **state)
{
	struct store *s = scratch_open(*state);
	struct policy_state p;
	struct change c = { .generation = 2, .what = (char *)"x" };
	uint64_t g;

	assert_int_equal(commit(s, 1, CHANGE_APPLIED), 0);
	assert_int_equal(commit(s, 1, CHANGE_APPLIED), -ESTALE);
	assert_int_equal(commit(s, 3, CHANGE_APPLIED), -ESTALE);
	state_make(2, &p);
	free(p.rules[1].name); /* two of one name */
	p.rules[1].name = text_dup(p.rules[0].name);
	free(p.rules[1].ns);
	p.rules[1].ns = p.rules[0].ns ? text_dup(p.rules[0].ns) : NULL;
	assert_int_equal(store_change_commit(s, &p, &c), -EEXIST);
	policy_state_done(&p);
	state_make(2, &p);
	c.state = CHANGE_STATES;
	assert_int_equal(store_change_commit(s, &p, &c), -EINVAL);
	policy_state_done(&p);
	assert_int_equal(store_generation(s, &g), 0);
	assert_int_equal(g, 1);
	check_generation(s, 1);
	assert_int_equal(commit(s, 2, CHANGE_APPLIED), 0);
	check_generation(s, 1);
	check_generation(s, 2);
	store_close(s);
}

/* Rows written by a change: only what differs. */
static void only_differences_are_written(void **state)
{
	struct store *s = scratch_open(*state);
	sqlite3 *db;
	sqlite3_stmt *q;

	for (uint64_t g = 1; g <= 3; g++)
		assert_int_equal(commit(s, g, CHANGE_APPLIED), 0);
	store_close(s);
	assert_int_equal(sqlite3_open(scratch_path(*state), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM object WHERE kind=2", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(q, 0), 3 + 1); /* ns/shop thrice, the controller's once */
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int count_changes(void *arg, const struct change *c)
{
	uint64_t *last = arg;

	assert_true(*last == 0 || c->generation == *last - 1);
	*last = c->generation;
	assert_string_equal(c->who, "lin.wei");
	return 0;
}

static void history_and_windows(void **state)
{
	struct store *s = scratch_open(*state);
	struct node_receipt rc = { .node = "n2", .note = "policy map full, rule partner-list" };
	struct change c;
	uint64_t last = 0;

	assert_int_equal(store_change_open(s, &c), -ENOENT);
	assert_int_equal(commit(s, 1, CHANGE_APPLIED), 0);
	assert_int_equal(commit(s, 2, CHANGE_OPEN), 0);
	assert_int_equal(store_receipt_put(s, 2, &rc), 0);
	store_close(s);
	s = scratch_open(*state); /* a window survives the daemon */
	assert_int_equal(store_change_open(s, &c), 0);
	assert_int_equal(c.generation, 2);
	assert_int_equal(c.base, 1);
	assert_int_equal(c.until_ns, T0 + 600 * S);
	assert_string_equal(c.what, "rule apply -f rules/");
	assert_string_equal(c.undo, "cellwall change revert");
	assert_string_equal(c.plan, "{}");
	assert_int_equal(c.nreceipts, 2);
	assert_string_equal(c.receipts[0].node, "n1");
	assert_true(c.receipts[0].applied);
	assert_int_equal(c.receipts[0].entries_max, 65536);
	assert_false(c.receipts[1].applied);
	assert_string_equal(c.receipts[1].note, "policy map full, rule partner-list");
	change_done(&c);
	assert_int_equal(commit(s, 3, CHANGE_APPLIED), 0);
	assert_int_equal(store_change_mark(s, 2, CHANGE_REVERTED, 3), 0);
	assert_int_equal(store_change_mark(s, 9, CHANGE_REVERTED, 3), -ENOENT);
	assert_int_equal(store_change_open(s, &c), -ENOENT);
	assert_int_equal(store_change_load(s, 2, &c), 0);
	assert_int_equal(c.state, CHANGE_REVERTED);
	assert_int_equal(c.reverted_by, 3);
	change_done(&c);
	assert_int_equal(store_change_load(s, 4, &c), -ENOENT);
	assert_int_equal(store_change_each(s, 0, 100, count_changes, &last), 0);
	assert_int_equal(last, 1);
	last = 0;
	assert_int_equal(store_change_each(s, 3, 1, count_changes, &last), 0);
	assert_int_equal(last, 2);
	store_close(s);
}

static void history_is_bounded(void **state)
{
	struct store *s = scratch_open(*state);
	struct policy_state p = { };
	uint64_t events, changes;

	assert_int_equal(store_begin(s, false), 0); /* one transaction, for speed */
	for (uint64_t g = 1; g <= STORE_CHANGES_MAX + 5; g++) {
		struct mode_setting m = { .scope = MODE_CLUSTER, .mode = (enum cw_mode)(g % 4) };
		struct policy_state next = { .generation = g, .modes = &m, .nmodes = 1 };
		struct change c = { .generation = g, .base = g - 1, .what = (char *)"mode set" };

		assert_int_equal(store_change_commit(s, &next, &c), 0);
	}
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_pruned(s, &events, &changes), 0);
	assert_int_equal(changes, 5);
	assert_int_equal(store_state_load(s, 5, &p), -ENOENT);
	for (uint64_t g = 6; g < 12; g++) {
		assert_int_equal(store_state_load(s, g, &p), 0);
		assert_int_equal(p.nmodes, 1);
		assert_int_equal(p.modes[0].mode, g % 4);
		policy_state_done(&p);
		p = (struct policy_state){ };
	}
	store_close(s);
}

static void damaged_rows_are_named(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "{\"name\":5}", "{\"name\":\"rule-1\",\"origin\":77}", "{\"name\":\"rule-1\",\"from\":[{\"kind\":2,\"cidr\":\"x\"}]}",
		"{\"name\":\"rule-1\",\"ports\":[{\"kind\":2,\"from\":70000}]}", "{\"name\":\"rule-1\",\"created\":\"12x\"}", "{\"origin\":1}",
		"{\"name\":\"rule-1\",\"from\":{}}", "{\"name\":\"rule-1\",\"labels\":[1]}", "{\"name\":\"rule-1\",\"id\":1.5}",
	};
	struct store *s = scratch_open(*state);

	assert_int_equal(commit(s, 1, CHANGE_APPLIED), 0);
	store_close(s);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct policy_state p = { };
		sqlite3_stmt *q;
		sqlite3 *db;

		print_message("  %s\n", bad[i]);
		assert_int_equal(sqlite3_open(scratch_path(*state), &db), SQLITE_OK);
		assert_int_equal(sqlite3_prepare_v2(db, "UPDATE object SET doc=?1 WHERE key='/rule-1'", -1, &q, NULL), SQLITE_OK);
		(void)sqlite3_bind_text(q, 1, bad[i], -1, SQLITE_STATIC);
		assert_int_equal(sqlite3_step(q), SQLITE_DONE);
		assert_int_equal(sqlite3_changes(db), 1);
		sqlite3_finalize(q);
		assert_int_equal(sqlite3_close(db), SQLITE_OK);
		s = scratch_open(*state);
		assert_int_equal(store_state_load(s, 0, &p), -EBADMSG);
		assert_non_null(strstr(store_error(s), "/rule-1"));
		assert_int_equal(p.nrules, 0);
		store_close(s);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_generation_comes_back, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(refusals_change_nothing, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(only_differences_are_written, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(history_and_windows, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(history_is_bounded, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(damaged_rows_are_named, scratch_make, scratch_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
