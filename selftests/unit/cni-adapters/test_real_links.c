/* SPDX-License-Identifier: Apache-2.0 */
/* The generic adapter over dumps of real interfaces: a node, and a pod with several of them. */
#include "selftests/unit/userspace/net/fixture.h"

#include "cni-adapters/adapter.h"

static const struct cni_endpoint *on(const struct cni_endpoints *e, const char *iface)
{
	for (size_t i = 0; i < e->n; i++)
		if (!strcmp(e->v[i].iface, iface))
			return &e->v[i];
	return NULL;
}

static int scan(int node, int pod, struct cni_endpoints *ret)
{
	auto_cleanup(link_table_done) struct link_table a = { 0 }, b = { 0 };
	struct link_table t[2];
	struct cni_query q = { .tables = t, .ntables = 2 };

	assert_int_equal(link_table_fill(pod, &a), 0);
	assert_int_equal(link_table_fill(node, &b), 0);
	(void)link_table_learn(&b, node, pod); /* there may be no number yet */
	(void)link_table_learn(&a, pod, node);
	t[0] = a;
	t[1] = b;
	q.workload = a.key;
	q.node = b.key;
	return cni_adapter_pick(-1)->resolve(&q, ret);
}

static void pod_with_all_sorts(void **state)
{
	auto_close int node = -1, pod = -1, nested = -1;
	const struct cni_endpoint *e;
	struct cni_endpoints found;
	bool macvlan;
	char path[64];

	(void)state;
	fixture_need_root();
	node = fixture_netns();
	pod = fixture_netns();
	nested = fixture_netns();
	assert_int_equal(scan(node, pod, &found), -EAGAIN);

	fixture_do(node, "ip link add va type veth peer name eth0 address 02:00:00:00:00:07 netns %s",
		   fixture_path(pod, path));
	fixture_do(node, "ip link add vb type veth peer name net1 netns %s", fixture_path(pod, path));
	fixture_do(node, "ip link add up0 type veth peer name up1");
	macvlan = !fixture_try(node, "ip link add link up0 name mv0 netns %s type macvlan mode bridge",
			       fixture_path(pod, path));
	fixture_do(pod, "ip link add in0 type veth peer name in1");
	fixture_do(pod, "ip link add br0 type bridge");
	fixture_do(pod, "ip link add nest0 type veth peer name eth0 netns %s", fixture_path(nested, path));

	assert_int_equal(scan(node, pod, &found), 0);
	e = on(&found, "eth0");
	assert_non_null(e);
	assert_int_equal(cni_endpoint_guard(e), CNI_GUARDED);
	assert_string_equal(e->way[CNI_FROM_POD].iface, "va");
	assert_memory_equal(e->mac, "\x02\0\0\0\0\x07", 6);
	e = on(&found, "net1");
	assert_non_null(e);
	assert_string_equal(e->way[CNI_FROM_POD].iface, "vb");
	assert_null(on(&found, "lo"));
	assert_null(on(&found, "in0"));
	assert_null(on(&found, "br0"));
	e = on(&found, "nest0"); /* its other end is in a third namespace */
	assert_non_null(e);
	assert_string_equal(e->way[CNI_FROM_POD].reason, "guard.peer-elsewhere");
	assert_int_equal(e->way[CNI_FROM_POD].side, CNI_SIDE_POD);
	if (macvlan) {
		e = on(&found, "mv0");
		assert_non_null(e);
		assert_string_equal(e->way[CNI_FROM_POD].reason, "guard.macvlan");
		assert_int_equal(cni_endpoint_guard(e), CNI_BYPASSABLE);
	}
	assert_int_equal(found.n, macvlan ? 4 : 3);

	/* renamed on the node, then re-created: found anew */
	fixture_do(node, "ip link set va name vx");
	assert_int_equal(scan(node, pod, &found), 0);
	assert_string_equal(on(&found, "eth0")->way[CNI_TO_POD].iface, "vx");
	fixture_do(node, "ip link del vx");
	fixture_do(node, "ip link add va type veth peer name eth0 netns %s", fixture_path(pod, path));
	assert_int_equal(scan(node, pod, &found), 0);
	assert_string_equal(on(&found, "eth0")->way[CNI_TO_POD].iface, "va");
	assert_int_equal(scan(node, node, &found), 0);
	assert_string_equal(found.v[0].way[CNI_TO_POD].reason, "guard.host-network");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_with_all_sorts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
