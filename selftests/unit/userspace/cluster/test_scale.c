/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod costs, and that a change costs what changed. PODS=150000 measures a large cluster. */
#include <malloc.h>
#include <time.h>

#include "receiver.h"

#if defined(__SANITIZE_ADDRESS__)
#define MEASURED 0
#else
#define MEASURED 1
#endif
#define POD_BYTES_MAX 1500u

static unsigned pods(void)
{
	const char *s = getenv("PODS");

	return s ? (unsigned)strtoul(s, NULL, 10) : 20000;
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* As a kubelet reports it, in 30 namespaces of Deployments with 10 replicas. */
static cJSON *pod(unsigned i, unsigned rv, const char *phase)
{
	char text[4096];
	unsigned d = i / 10;

	snprintf(text, sizeof(text),
		 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'web-%05u-7c9d4f6b8d-x%05u','generateName':'web-%05u-7c9d4f6b8d-',"
		 "'namespace':'team-%u','uid':'5b1e7c1a-0d1f-4f0e-9a58-%012u','resourceVersion':'%u','creationTimestamp':'2026-03-12T08:00:00Z',"
		 "'labels':{'app.kubernetes.io/name':'web','app.kubernetes.io/instance':'web-%05u','app.kubernetes.io/version':'1.4.2',"
		 "'app.kubernetes.io/managed-by':'helm','pod-template-hash':'7c9d4f6b8d','team':'team-%u'},"
		 "'ownerReferences':[{'apiVersion':'apps/v1','kind':'ReplicaSet','name':'web-%05u-7c9d4f6b8d','uid':'aaaaaaaa-0d1f-4f0e-9a58-%012u','controller':true}]},"
		 "'spec':{'serviceAccountName':'web','nodeName':'node-%04u.example','containers':[{'name':'web','image':'registry.example/team/web:1.4.2',"
		 "'ports':[{'name':'http','containerPort':8080},{'name':'metrics','containerPort':9090}],'resources':{}},"
		 "{'name':'proxy','image':'registry.example/proxy:2.1','ports':[{'name':'admin','containerPort':15000}]}]},"
		 "'status':{'phase':'%s','podIP':'10.%u.%u.%u','podIPs':[{'ip':'10.%u.%u.%u'},{'ip':'fd00:20::%x:%x'}],'startTime':'2026-03-12T08:00:01Z',"
		 "'containerStatuses':[{'name':'web','imageID':'registry.example/team/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','state':{'running':{}}},"
		 "{'name':'proxy','imageID':'registry.example/proxy@sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','state':{'running':{}}}]}}",
		 d, i, d, d % 30, i, rv, d, d % 30, d, d, i / 30, phase, 64 + (i >> 16), (i >> 8) & 255, i & 255, 64 + (i >> 16),
		 (i >> 8) & 255, i & 255, (i >> 16) + 1, i & 0xffff);
	return object(text);
}

static int count_put(void *arg, const struct workload *w)
{
	unsigned *n = arg;

	assert_int_equal(w->naddrs, 2);
	assert_string_equal(w->controller_kind, "Deployment");
	n[0]++;
	return 0;
}

static int count_del(void *arg, const char *ns, const char *name, const char *uid)
{
	unsigned *n = arg;

	(void)ns;
	(void)name;
	(void)uid;
	n[1]++;
	return 0;
}

static const struct cluster_ops counting = { .workload_put = count_put, .workload_del = count_del };

static void memory(void **state)
{
	unsigned n = pods(), calls[2] = {};
	struct cluster *c = cluster_new(1);
	struct cluster_counts counts;
	size_t before = in_use(), each;
	double start, put_s = 0;
	cJSON *j;

	(void)state;
	cluster_begin(c, CLUSTER_POD);
	for (unsigned i = 0; i < n; i++) {
		j = pod(i, i + 1, "Running");
		start = now();
		assert_int_equal(cluster_put(c, CLUSTER_POD, j, NULL), 0);
		put_s += now() - start;
		cJSON_Delete(j);
	}
	assert_int_equal(cluster_end(c, CLUSTER_POD), 0);
	start = now();
	assert_int_equal(cluster_changes(c, &counting, calls), 0);
	each = (in_use() - before) / n;
	print_message("  %u pods: %zu bytes and %.1f us each; all told in %.0f ms\n", n, each, put_s / n * 1e6, (now() - start) * 1e3);
	assert_int_equal(calls[0], n);
	if (MEASURED)
		assert_in_range(each, 1, POD_BYTES_MAX);
	cluster_counts(c, &counts);
	assert_int_equal(counts.workloads, n);
	assert_int_equal(counts.addresses, 2 * n);
	/* The same again, as a list after a break tells it: nothing. */
	cluster_begin(c, CLUSTER_POD);
	for (unsigned i = 0; i < n; i += 1) {
		j = pod(i, i + 1, i == 77 ? "Failed" : "Running");
		assert_int_equal(cluster_put(c, CLUSTER_POD, j, NULL), 0);
		cJSON_Delete(j);
	}
	assert_int_equal(cluster_end(c, CLUSTER_POD), 0);
	calls[0] = 0;
	assert_int_equal(cluster_changes(c, &counting, calls), 0);
	assert_int_equal(calls[0], 0);
	assert_int_equal(calls[1], 1);
	/* Nothing is named any more: everything is gone, and so is what it took. */
	cluster_begin(c, CLUSTER_POD);
	assert_int_equal(cluster_end(c, CLUSTER_POD), 0);
	assert_int_equal(cluster_changes(c, &counting, calls), 0);
	assert_int_equal(calls[1], n);
	cluster_counts(c, &counts);
	assert_int_equal(counts.objects[CLUSTER_POD], 0);
	assert_int_equal(counts.strings, 0);
	assert_int_equal(counts.addresses, 0);
	cluster_free(c);
}

/* Everybody names one address, and each owner in turn ends. */
static void crowd(void **state)
{
	struct cluster *c = cluster_new(1);
	struct seen s;
	char text[512];

	(void)state;
	seen_init(&s);
	for (int end = 0; end < 2; end++) {
		for (unsigned i = 0; i < 3000; i++) {
			snprintf(text, sizeof(text), "{'metadata':{'name':'p%u','namespace':'shop','uid':'u%u','resourceVersion':'%u'},"
				 "'status':{'phase':'%s','podIP':'10.0.0.1'}}", i, i, i + 1 + end * 4000, end ? "Failed" : "Running");
			assert_int_equal(put(c, CLUSTER_POD, text), 0);
		}
		changes(c, &s);
		assert_int_equal(htab_count(s.addrs), !end);
	}
	seen_done(&s);
	cluster_free(c);
}

/* Faults are kept for so many objects and not for more. */
static void fault_limit(void **state)
{
	struct cluster *c = cluster_new(1);
	struct cluster_counts counts;
	struct seen s;
	char text[256];

	(void)state;
	seen_init(&s);
	for (unsigned i = 0; i < CLUSTER_FAULTS_MAX + 10; i++) {
		snprintf(text, sizeof(text), "{'metadata':{'name':'p%u','namespace':'shop','uid':'u%u'},'spec':7}", i, i);
		assert_int_equal(put(c, CLUSTER_POD, text), -EINVAL);
	}
	changes(c, &s);
	cluster_counts(c, &counts);
	assert_int_equal(counts.faults, CLUSTER_FAULTS_MAX);
	assert_int_equal(counts.faults_left_out, 10);
	assert_int_equal(s.faults, CLUSTER_FAULTS_MAX);
	seen_done(&s);
	cluster_free(c);
}

/* More is deleted than is remembered: what is remembered stays bounded, and the newest ends count. */
static void many_deleted(void **state)
{
	struct cluster *c = cluster_new(1);
	struct seen s;
	char text[256];

	(void)state;
	seen_init(&s);
	for (unsigned i = 0; i < 2 * CLUSTER_TOMBS_MAX + 7; i++) {
		snprintf(text, sizeof(text), "{'metadata':{'name':'p%u','namespace':'shop','uid':'u%u','resourceVersion':'%u'}}", i % 20000, i, 10 + i);
		assert_int_equal(del(c, CLUSTER_POD, text), 0);
	}
	assert_int_equal(put(c, CLUSTER_POD, text), 0);
	changes(c, &s);
	assert_int_equal(s.puts, 0);
	seen_done(&s);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory), cmocka_unit_test(crowd), cmocka_unit_test(fault_limit), cmocka_unit_test(many_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
