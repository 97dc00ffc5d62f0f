/* SPDX-License-Identifier: Apache-2.0 */
/* test_services.c - services: declared, kept, asked about, learned and made rules of. */
#include "base/file.h"
#include "selftests/unit/userspace/controller/fixture.h"

#define DB "{\"namespace\":\"data\",\"name\":\"db\",\"addresses\":[\"10.96.0.1\",\"fd00:96::1\"]," \
	"\"ports\":[{\"name\":\"pg\",\"port\":\"tcp/5432\",\"target\":\"pg\",\"nodePort\":30432}],\"selector\":{\"app\":\"db\"}}"

static void declare(struct fixture *fx)
{
	struct call k = POST(fx, "/v1/services", DB);

	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "changes.0.op"), "+");
	assert_string_equal(str_at(k.json, "changes.0.name"), "data/svc/db");
	call_done(&k);
}

static void declared(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/services?dryRun=1", DB);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->c->state.nservices, 0);
	declare(fx);
	assert_int_equal(generation(fx), 0); /* the inventory is no generation */
	k = POST(fx, "/v1/services", DB);
	assert_true(bool_at(k.json, "noop"));
	call_done(&k);
	k = POST(fx, "/v1/services", "{\"items\":[" DB "," DB "]}");
	assert_status(k, 400);
	assert_string_equal(str_at(k.json, "items.0.name"), "service.twice");
	call_done(&k);
	k = POST(fx, "/v1/services", "{\"namespace\":\"data\",\"name\":\"x\",\"ports\":[{\"port\":\"tcp/0\"}]}");
	assert_status(k, 400);
	call_done(&k);
	assert_int_equal(fx->c->state.nservices, 1);
	k = GET(fx, "/v1/services?namespace=data");
	assert_int_equal(num_at(k.json, "meta.total"), 1);
	assert_string_equal(str_at(k.json, "items.0.ref"), "data/svc/db");
	assert_string_equal(str_at(k.json, "items.0.source"), "api");
	assert_int_equal(num_at(k.json, "items.0.backendCount"), 1);
	assert_int_equal(len_at(k.json, "items.0.endpoints"), 2);
	call_done(&k);
	k = GET(fx, "/v1/services?limit=0");
	assert_status(k, 400);
	call_done(&k);
	k = GET(fx, "/v1/services?namespace=shop");
	assert_int_equal(num_at(k.json, "meta.total"), 0);
	call_done(&k);
	/* Kept over a restart, and gone for good. */
	fixture_reopen(fx);
	k = GET(fx, "/v1/services/data/db");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "ports.0.target"), "pg");
	assert_int_equal(num_at(k.json, "ports.0.nodePort"), 30432);
	call_done(&k);
	k = call(fx, HTTP_DELETE, "/v1/services/data/db", NULL);
	assert_status(k, 200);
	call_done(&k);
	k = call(fx, HTTP_DELETE, "/v1/services/data/db", NULL);
	assert_status(k, 404);
	call_done(&k);
	fixture_reopen(fx);
	assert_int_equal(fx->c->state.nservices, 0);
}

/* What does not fit is refused by name before anything is stored. */
static void refused(void **state)
{
	struct fixture *fx = *state;
	struct buf b;
	char *body;
	struct call k;

	world(fx);
	buf_init(&b, 1u << 16);
	buf_adds(&b, "{\"items\":[");
	for (int i = 0; i < 17; i++)
		buf_printf(&b, "%s{\"namespace\":\"data\",\"name\":\"p%d\",\"netns\":\"p%d\",\"labels\":{\"app\":\"p%d\",\"all\":\"yes\"}}",
			   i ? "," : "", i, i, i);
	buf_adds(&b, "]}");
	body = buf_take(&b, NULL);
	k = POST(fx, "/v1/workloads", body);
	free(body);
	assert_status(k, 200);
	call_done(&k);
	k = POST(fx, "/v1/services", "{\"namespace\":\"data\",\"name\":\"wide\",\"addresses\":[\"10.96.0.9\"],"
				     "\"ports\":[{\"port\":\"tcp/80\"}],\"selector\":{\"all\":\"yes\"}}");
	assert_string_equal(str_at(k.json, "items.0.name"), "service.capacity");
	assert_string_equal(str_at(k.json, "items.0.at"), "service data/wide");
	assert_non_null(strstr(text_of(&k), "17 distinct backends"));
	call_done(&k);
	assert_int_equal(fx->c->state.nservices, 0);
	declare(fx);
}

static void asked(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	declare(fx);
	k = POST(fx, "/v1/modes/set?accept=not-ready", "{\"refs\":[\"ns/shop\",\"ns/data\"],\"mode\":\"enforce\"}");
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/cart&dst=data/svc/db&port=tcp/5432");
	assert_status(k, 200);
	assert_false(bool_at(k.json, "passes"));
	assert_string_equal(str_at(k.json, "via.service"), "data/svc/db");
	assert_string_equal(str_at(k.json, "via.backend"), "data/pod/db-0");
	assert_string_equal(str_at(k.json, "via.target"), "tcp/5432");
	assert_string_equal(str_at(k.json, "pair.dst"), "data/svc/db");
	assert_string_equal(str_at(k.json, "ingress.workload"), "data/pod/db-0");
	call_done(&k);
	/* A rule on the service, by its port's name. */
	k = POST(fx, "/v1/rules/apply", "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"apiVersion: cellwall.io/v1alpha1\\n"
		 "kind: ClusterAccessRule\\nmetadata: {name: cart-db}\\nspec:\\n  action: allow\\n"
		 "  from: [{namespace: shop, labels: {app: cart}}]\\n"
		 "  to: [{namespace: data, service: db}]\\n  ports: [tcp/pg]\\n\"}]}");
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/cart&dst=data/svc/db&port=tcp/pg");
	assert_true(bool_at(k.json, "passes"));
	assert_int_equal(num_at(k.json, "via.admits"), 1);
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/cart&dst=10.96.0.1&port=tcp/5432");
	assert_true(bool_at(k.json, "passes"));
	assert_string_equal(str_at(k.json, "via.service"), "data/svc/db");
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/web&dst=data/svc/db&port=tcp/5432");
	assert_false(bool_at(k.json, "passes"));
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/cart&dst=data/svc/db&port=tcp/22");
	assert_status(k, 404);
	assert_string_equal(str_at(k.json, "items.0.name"), "query.service-port");
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/cart&dst=data/svc/none&port=tcp/22");
	assert_status(k, 404);
	call_done(&k);
}

/* What went to a service is an access to it; confirming makes a rule about it. */
static void learned(void **state)
{
	struct fixture *fx = *state;
	struct node_access a = {
		.src_wl = { (char *)"shop", (char *)"cart-1", (char *)"" }, .dst_wl = { (char *)"data", (char *)"db", NULL },
		.dst_service = true, .proto = IPPROTO_TCP, .family = 4, .port = 5432, .instance = 77, .epoch = 1,
		.flows = 5, .answered = 5, .packets = 50, .bytes = 5000, .key = { .src = 300, .dst = 900, .port = 5432 },
		.outcome = { CW_OUT_NO_RULE, CW_OUT_NONE }, .reason = { CW_R_DEFAULT, CW_R_NONE },
		.first_ns = fx->now, .last_ns = fx->now,
	};
	struct call k;
	char path[120];

	world(fx);
	declare(fx);
	a.verdict[0] = (struct cw_verdict){ .action = CW_ACT_BLOCK, .tier = CW_TIER_DEFAULT };
	a.cnt[CW_EGRESS][CW_OUT_NO_RULE] = 5;
	assert_int_equal(controller_sink(fx->c)->accesses(fx->c, &a, 1, NULL, 0), 0);
	for (int again = 0; again < 2; again++) {
		k = GET(fx, "/v1/accesses?dst=data/svc/db");
		assert_int_equal(num_at(k.json, "meta.total"), 1);
		assert_string_equal(str_at(k.json, "items.0.src"), "shop/deploy/cart");
		assert_string_equal(str_at(k.json, "items.0.dst"), "data/svc/db");
		assert_string_equal(str_at(k.json, "items.0.dstNamespace"), "data");
		assert_string_equal(str_at(k.json, "items.0.service"), "db:5432");
		snprintf(path, sizeof(path), "{\"ids\":[\"%s\"]}", str_at(k.json, "items.0.id"));
		call_done(&k);
		fixture_reopen(fx); /* from the store it is the same */
	}
	k = GET(fx, "/v1/topology?level=service");
	assert_status(k, 200);
	assert_non_null(strstr(text_of(&k), "data/svc/db"));
	call_done(&k);
	/* Would it be blocked? Asked of the service, not of an address. */
	k = POST(fx, "/v1/modes/set?accept=not-ready&dryRun=1", "{\"refs\":[\"ns/shop\"],\"mode\":\"enforce\"}");
	assert_status(k, 200);
	call_done(&k);
	k = POST(fx, "/v1/accesses/confirm", path);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->c->state.nrules, 1);
	assert_int_equal(fx->c->state.rules[0].to[0].kind, SEL_SERVICE);
	assert_string_equal(fx->c->state.rules[0].to[0].service, "db");
	k = POST(fx, "/v1/modes/set?accept=not-ready", "{\"refs\":[\"ns/shop\",\"ns/data\"],\"mode\":\"enforce\"}");
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/cart&dst=data/svc/db&port=tcp/5432");
	assert_true(bool_at(k.json, "passes"));
	call_done(&k);
	/* And the pod itself, since the rule is about the backends. */
	k = GET(fx, "/v1/query?src=shop/deploy/cart&dst=data/sts/db&port=tcp/5432");
	assert_true(bool_at(k.json, "passes"));
	call_done(&k);
}

#define INV "apiVersion: cellwall.io/v1alpha1\nkind: Inventory\nspec:\n  services:\n"
#define WEB "  - {name: web, namespace: shop, addresses: [10.96.0.2], ports: [{port: tcp/80, target: 8080}], selector: {app: web}}\n"
#define CART "  - {name: cart, namespace: shop, ports: [{port: tcp/80}], backends: [{address: 10.20.1.9, ready: false}]}\n"

static void in_file(void **state)
{
	struct fixture *fx = *state;
	auto_cleanup(fail_list_done) struct fail_list f = {};
	struct call k;

	fixture_close(fx);
	fx->with_inventory = true;
	assert_int_equal(write_file_atomic(fx->inventory, INV WEB CART, strlen(INV WEB CART), 0600), 0);
	fixture_open(fx);
	assert_int_equal(fx->c->state.nservices, 2);
	k = GET(fx, "/v1/services/shop/cart");
	assert_string_equal(str_at(k.json, "source"), "file");
	assert_int_equal(num_at(k.json, "readyCount"), 0);
	assert_int_equal(num_at(k.json, "backendCount"), 1);
	call_done(&k);
	k = call(fx, HTTP_DELETE, "/v1/services/shop/cart", NULL);
	assert_status(k, 409);
	call_done(&k);
	k = POST(fx, "/v1/services", "{\"namespace\":\"shop\",\"name\":\"web\",\"ports\":[{\"port\":\"tcp/80\"}]}");
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "service.in-file");
	call_done(&k);
	world(fx);
	declare(fx);
	/* What the file no longer has goes; what the API declared stays. */
	assert_int_equal(write_file_atomic(fx->inventory, INV WEB, strlen(INV WEB), 0600), 0);
	for (int i = 0; i < 3000 && fx->c->state.nservices != 2; i++) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_int_equal(fx->c->state.nservices, 2);
	k = GET(fx, "/v1/services/shop/cart");
	assert_status(k, 404);
	call_done(&k);
	/* The file is not copied into the store. */
	fixture_close(fx);
	fx->with_inventory = false;
	fixture_open(fx);
	assert_int_equal(fx->c->state.nservices, 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { T(declared), T(refused), T(asked), T(learned), T(in_file) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
