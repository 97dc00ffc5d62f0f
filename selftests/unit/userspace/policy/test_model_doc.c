/* SPDX-License-Identifier: Apache-2.0 */
/* test_model_doc.c - the model as text and back: the same text again, and damaged text is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "policy/model_doc.h"
#include "selftests/unit/userspace/wire/world.h"

/* Put, read, put: the same bytes. Then every prefix of it is refused, and leaves nothing. */
#define ROUND(kind, type, v, done) do {							\
	struct type got_ = {};								\
	struct buf a_, b_;								\
											\
	buf_init(&a_, 1 << 20);								\
	buf_init(&b_, 1 << 20);								\
	model_doc_put_##kind(&a_, (v));							\
	assert_int_equal(a_.err, 0);							\
	assert_int_equal(model_doc_to_##kind(a_.data, &got_), 0);			\
	model_doc_put_##kind(&b_, &got_);						\
	assert_string_equal(a_.data, b_.data);						\
	done(&got_);									\
	for (size_t n_ = 0; n_ < a_.len; n_ += 1 + a_.len / 40) {			\
		a_.data[n_] = 0;							\
		assert_int_equal(model_doc_to_##kind(a_.data, &got_), -EBADMSG);	\
		a_.data[n_] = b_.data[n_];						\
	}										\
	buf_done(&a_);									\
	buf_done(&b_);									\
} while (0)

static void rounds(void **state)
{
	struct policy_state *s;
	struct world w;

	(void)state;
	world_new(&w, 7);
	s = &w.st;
	for (int i = 0; i < 300; i++)
		world_step(&w);
	for (int i = 0; i < 4; i++) {
		world_mode(&w);
		world_rule(&w);
		world_quarantine(&w);
		world_service(&w);
		world_kpolicy(&w);
	}
	assert_true(s->nrules > 3 && s->nkpolicies && s->nservices && s->nquarantines && s->nmodes);
	for (size_t i = 0; i < s->nrules; i++)
		ROUND(rule, rule, &s->rules[i], rule_done);
	for (size_t i = 0; i < s->nworkloads; i++)
		ROUND(workload, workload, &s->workloads[i], workload_done);
	for (size_t i = 0; i < s->nkpolicies; i++)
		ROUND(kpolicy, kpolicy, &s->kpolicies[i], kpolicy_done);
	for (size_t i = 0; i < s->nservices; i++)
		ROUND(service, service, &s->services[i], service_done);
	for (size_t i = 0; i < s->nmodes; i++)
		ROUND(mode, mode_setting, &s->modes[i], mode_setting_done);
	for (size_t i = 0; i < s->nquarantines; i++)
		ROUND(quarantine, quarantine, &s->quarantines[i], quarantine_done);
	for (size_t i = 0; i < s->nnamespaces; i++)
		ROUND(namespace, namespace, &s->namespaces[i], namespace_done);
	for (size_t i = 0; i < s->nnodes; i++)
		ROUND(node, node_info, &s->nodes[i], node_info_done);
	ROUND(settings, policy_state, s, policy_state_done);
	world_done(&w);
}

/* What only one of the lists has. */
static void fields(void **state)
{
	struct mode_setting m = { .name = (char *)"profile", .scope = MODE_NAMESPACE, .mode = CW_MODE_ALERT }, m2;
	struct service s = {}, s2;
	auto_free char *doc = NULL;
	struct buf b;

	(void)state;
	m.ns_labels.set = true; /* and empty: every namespace */
	doc = model_doc_of_mode(&m);
	assert_int_equal(model_doc_to_mode(doc, &m2), 0);
	assert_string_equal(m2.name, "profile");
	assert_true(m2.ns_labels.set && !m2.ns_labels.match.n);
	mode_setting_done(&m2);
	/* Ports of backends go by the service's ports. */
	assert_int_equal(model_doc_to_service("{\"ns\":\"a\",\"name\":\"b\",\"ports\":[{\"port\":80}],\"backends\":[{\"addr\":\"10.0.0.1\","
					      "\"ready\":true,\"ports\":[8080]}]}", &s), 0);
	assert_int_equal(s.backends[0].ports[0], 8080);
	buf_init(&b, 4096);
	model_doc_put_service(&b, &s);
	assert_int_equal(model_doc_to_service(b.data, &s2), 0);
	assert_int_equal(s2.backends[0].ports[0], 8080);
	assert_true(s2.backends[0].ready);
	service_done(&s);
	service_done(&s2);
	buf_done(&b);
}

static void refused(void **state)
{
	static const char *const services[] = {
		"{}", "{\"ns\":\"a\"}", "{\"ns\":\"a\",\"name\":\"b\",\"addrs\":[\"x\"]}", "{\"ns\":\"a\",\"name\":\"b\",\"ports\":[{\"port\":65536}]}",
		"{\"ns\":\"a\",\"name\":\"b\",\"backends\":[{}]}", "{\"ns\":\"a\",\"name\":\"b\",\"backends\":[{\"addr\":\"10.0.0.1\",\"ports\":[1]}]}",
		"{\"ns\":\"a\",\"name\":\"b\",\"ports\":[{}],\"backends\":[{\"addr\":\"10.0.0.1\",\"ports\":[70000]}]}",
		"{\"ns\":\"a\",\"name\":\"b\",\"ports\":[{}],\"backends\":[{\"addr\":\"10.0.0.1\",\"ports\":[\"x\"]}]}",
	};
	static const char *const settings[] = {
		"[]", "{\"defaultMode\":9}", "{\"clusterCidrs\":[\"10.0.0.1/8\"]}", "{\"ignoreLabels\":[1]}", "{\"localNode\":3}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		struct service s = {};

		assert_int_equal(model_doc_to_service(services[i], &s), -EBADMSG);
		assert_null(s.ns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		struct policy_state s = {};

		assert_int_equal(model_doc_to_settings(settings[i], &s), -EBADMSG);
		assert_null(s.cluster_cidrs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rounds), cmocka_unit_test(fields), cmocka_unit_test(refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
