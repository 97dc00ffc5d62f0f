/* SPDX-License-Identifier: Apache-2.0 */
/* test_server.c - through a real socket: routes, rights, followers; and the watched inventory file. */
#include "selftests/unit/userspace/controller/fixture.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/file.h"
#include "http/http_server.h"

struct serving {
	struct fixture *fx;
	char path[96];
	bool refuse;
};

static int authorize(void *arg, const struct http_request *rq, struct fail_list *f)
{
	struct serving *s = arg;
	struct http_request as = *rq;

	if (s->refuse)
		as.uid = as.gid = 65000; /* somebody who is nobody special */
	return controller_authorize(s->fx->c, &as, f);
}

static void serve(struct fixture *fx, struct serving *s)
{
	struct http_server_config cfg = { .authorize = authorize, .authorize_arg = s };
	auto_cleanup(fail_list_done) struct fail_list f = {};

	s->fx = fx;
	snprintf(s->path, sizeof(s->path), "%s/api.sock", fx->dir);
	assert_int_equal(http_server_new(&fx->loop, &cfg, &fx->srv), 0);
	assert_int_equal(controller_routes(fx->c, fx->srv), 0);
	assert_int_equal(http_server_listen_unix(fx->srv, s->path, 0600, (uid_t)-1, (gid_t)-1, &f), 0);
}

static int client(struct serving *s, const char *request)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", s->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	return fd;
}

/* Runs the loop until the text has arrived (5 s at most). */
static void await_text(struct fixture *fx, int fd, struct buf *b, const char *want)
{
	for (int i = 0; i < 5000; i++) {
		char chunk[4096];
		ssize_t n;

		uv_run(&fx->loop, UV_RUN_NOWAIT);
		while ((n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
			buf_add(b, chunk, (size_t)n);
		if (b->data && strstr(b->data, want))
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	fail_msg("never came: %s in %s", want, b->data ? b->data : "");
}

static void over_a_socket(void **state)
{
	struct fixture *fx = *state;
	struct serving s = {};
	struct buf b;
	int fd;

	world(fx);
	serve(fx, &s);
	buf_init(&b, 1u << 20);
	fd = client(&s, "GET /v1/workloads/shop/web-1 HTTP/1.1\r\nHost: x\r\n\r\n");
	await_text(fx, fd, &b, "\"kind\":\"Workload\"");
	assert_non_null(strstr(b.data, "200"));
	close(fd);
	buf_done(&b);
	/* somebody else reads and does not write */
	s.refuse = true;
	buf_init(&b, 1u << 20);
	fd = client(&s, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
	await_text(fx, fd, &b, "\"kind\":\"Status\"");
	close(fd);
	buf_done(&b);
	buf_init(&b, 1u << 20);
	fd = client(&s, "POST /v1/modes/set HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
	await_text(fx, fd, &b, "server.forbidden");
	assert_non_null(strstr(b.data, "403"));
	close(fd);
	buf_done(&b);
	assert_int_equal(generation(fx), 0);
}

static void followers(void **state)
{
	struct fixture *fx = *state;
	struct serving s = {};
	struct buf ev, fl, al;
	struct node_flow who = { .proto = IPPROTO_TCP, .sport = 41990, .dport = 5432, .family = 4,
				 .outcome = { CW_OUT_DROP, CW_OUT_NONE }, .reason = { CW_R_DEFAULT, CW_R_NONE },
				 .src_ref = "shop/pod/rogue", .dst_ref = "data/pod/db-0" };
	struct cw_event e = { .type = CW_EV_DROP, .side = CW_EGRESS, .outcome = CW_OUT_DROP, .reason = CW_R_DEFAULT };
	static const struct cw_verdict v = { .tier = CW_TIER_DEFAULT, .action = CW_ACT_BLOCK };
	static const struct learn blocked = { "shop", "rogue", "data", "db-0", 5432, 9, 0, CW_OUT_DROP, CW_OUT_NONE, CW_R_DEFAULT, 0 };
	int fe, ff, fa;

	world(fx);
	serve(fx, &s);
	buf_init(&ev, 1u << 20);
	buf_init(&fl, 1u << 20);
	buf_init(&al, 1u << 20);
	fe = client(&s, "GET /v1/events?follow=1&reason=change.applied HTTP/1.1\r\nHost: x\r\n\r\n");
	ff = client(&s, "GET /v1/flows?follow=1&src=shop/pod/rogue&verdict=block HTTP/1.1\r\nHost: x\r\n\r\n");
	fa = client(&s, "GET /v1/alerts?follow=1&namespace=shop HTTP/1.1\r\nHost: x\r\n\r\n");
	await_text(fx, fe, &ev, "200");
	await_text(fx, ff, &fl, "200");
	await_text(fx, fa, &al, "200");
	controller_sink(fx->c)->event(fx->c, &e, &who, &v);
	await_text(fx, ff, &fl, "\"event\":\"drop\"");
	assert_non_null(strstr(fl.data, "\"outcome\":\"dropped\""));
	snprintf(who.src_ref, sizeof(who.src_ref), "shop/pod/web-1"); /* not followed */
	controller_sink(fx->c)->event(fx->c, &e, &who, &v);
	learn(fx, &blocked);
	await_text(fx, fa, &al, "\"src\":\"shop/pod/rogue\"");
	{
		struct call k = POST(fx, "/v1/modes/set", "{\"refs\":[\"ns/shop\"],\"mode\":\"alert\"}");

		assert_status(k, 200);
		call_done(&k);
	}
	await_text(fx, fe, &ev, "generation 1: mode alert on shop (by root)");
	assert_null(strstr(fl.data, "web-1"));
	close(ff); /* followers that leave are forgotten */
	close(fe);
	close(fa);
	for (int i = 0; i < 3000 && fx->c->streams; i++) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	assert_null(fx->c->streams);
	buf_done(&ev);
	buf_done(&fl);
	buf_done(&al);
}

static void file(struct fixture *fx, const char *text)
{
	assert_int_equal(write_file_atomic(fx->inventory, text, strlen(text), 0600), 0);
}

static void run_until_workloads(struct fixture *fx, size_t n)
{
	for (int i = 0; i < 3000 && fx->c->state.nworkloads != n; i++) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	assert_int_equal(fx->c->state.nworkloads, n);
}

#define INV "apiVersion: cellwall.io/v1alpha1\nkind: Inventory\nspec:\n  namespaces:\n  - {name: shop, labels: {team: front}}\n  workloads:\n"
#define WEB1 "  - {name: web-1, namespace: shop, netns: w1, labels: {app: web}, controller: Deployment/web}\n"
#define WEB2 "  - {name: web-2, namespace: shop, netns: w2, labels: {app: web}, controller: Deployment/web}\n"

static void inventory_file(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	fixture_close(fx);
	fx->with_inventory = true;
	file(fx, INV WEB1);
	fixture_open(fx);
	assert_int_equal(fx->c->state.nworkloads, 1);
	assert_int_equal(fx->node.attaches, 1);
	controller_flush(fx->c);
	assert_int_equal(fx->node.addresses, 2);
	/* what the API declares stays, whatever the file says */
	k = POST(fx, "/v1/workloads", "{\"namespace\":\"shop\",\"name\":\"cart-1\",\"netns\":\"c1\"}");
	assert_status(k, 200);
	call_done(&k);
	k = POST(fx, "/v1/workloads", "{\"namespace\":\"shop\",\"name\":\"web-1\",\"netns\":\"other\"}");
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "workload.in-file");
	call_done(&k);
	file(fx, INV WEB1 WEB2);
	run_until_workloads(fx, 3);
	assert_int_equal(fx->node.attaches, 3);
	/* a broken file changes nothing and is reported */
	file(fx, INV "  - {name: web-1, namespce: shop}\n");
	for (int i = 0; i < 400; i++) {
		uv_run(&fx->loop, UV_RUN_NOWAIT);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	assert_int_equal(fx->c->state.nworkloads, 3);
	k = GET(fx, "/v1/events?reason=inventory.refused");
	assert_int_equal(len_at(k.json, "items"), 1);
	call_done(&k);
	file(fx, INV WEB2);
	run_until_workloads(fx, 2);
	assert_int_equal(fx->node.detaches, 1);
	assert_null(state_workload(&fx->c->state, "shop", "web-1"));
	assert_string_equal(labels_get(&state_namespace(&fx->c->state, "shop")->labels, "team"), "front");
	/* the file is not copied into the store */
	fixture_close(fx);
	unlink(fx->inventory);
	fx->with_inventory = false;
	fixture_open(fx);
	assert_int_equal(fx->c->state.nworkloads, 1);
}

static void workloads(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	assert_int_equal(fx->node.attaches, 5);
	assert_int_equal(fx->node.workloads, 5);
	assert_int_equal(fx->node.addresses, 10);
	assert_int_equal(generation(fx), 0); /* the inventory is no generation */
	k = GET(fx, "/v1/workloads?selector=app=web");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "meta.total"), 2);
	assert_string_equal(str_at(k.json, "items.0.controller"), "shop/deploy/web");
	assert_string_equal(str_at(k.json, "items.0.guard"), "guarded");
	assert_int_equal(len_at(k.json, "items.0.addresses"), 2);
	call_done(&k);
	/* once more: nothing to do */
	k = POST(fx, "/v1/workloads", "{\"namespace\":\"shop\",\"name\":\"rogue\",\"netns\":\"r1\",\"uid\":\"5b1e\"}");
	assert_status(k, 200);
	assert_true(bool_at(k.json, "noop"));
	call_done(&k);
	k = POST(fx, "/v1/workloads", "{\"namespace\":\"shop\",\"name\":\"rogue\",\"netns\":\"r1\",\"uid\":\"5b1e\",\"labels\":{\"app\":\"x\"}}");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "changes.0.op"), "~");
	call_done(&k);
	assert_int_equal(fx->node.addresses, 10); /* found addresses outlive a new label */
	k = call(fx, HTTP_DELETE, "/v1/workloads/shop/rogue", NULL);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->node.workloads, 4);
	assert_int_equal(fx->node.detaches, 1);
	/* declared before its interface is there: tried again */
	fx->node.attach_err = -EAGAIN;
	k = POST(fx, "/v1/workloads", "{\"namespace\":\"ops\",\"name\":\"late\",\"netns\":\"l1\"}");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "warnings.0.name"), "workload.no-interface");
	call_done(&k);
	fx->node.attach_err = 0;
	controller_tick(fx->c);
	controller_flush(fx->c);
	assert_int_equal(fx->node.addresses, 10);
	/* a node that refuses the inventory is shown, and asked again */
	fx->node.prepare_err = -E2BIG;
	k = call(fx, HTTP_PUT, "/v1/namespaces/ops", "{\"labels\":{\"team\":\"sre\"}}");
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/status");
	assert_false(bool_at(k.json, "node.inSync"));
	assert_string_equal(str_at(k.json, "node.note"), "policy map full, rule -");
	call_done(&k);
	fx->node.prepare_err = 0;
	controller_tick(fx->c);
	k = GET(fx, "/v1/status");
	assert_true(bool_at(k.json, "node.inSync"));
	call_done(&k);
}

static void status_and_events(void **state)
{
	static const struct learn dropped = { "shop", "rogue", "data", "db-0", 5432, 9, 0, CW_OUT_DROP, CW_OUT_NONE, CW_R_DEFAULT, 0 };
	struct fixture *fx = *state;
	struct cw_event spoof = { .type = CW_EV_GUARD, .side = CW_EGRESS, .outcome = CW_OUT_DROP, .reason = CW_R_SPOOF_IP };
	struct node_flow who = { .src_ref = "shop/pod/rogue", .dst_ref = "data/pod/db-0", .family = 4 };
	static const struct cw_verdict v;
	struct call k;

	world(fx);
	history(fx);
	fx->node.blind = "data/pod/db-0";
	fx->now += 60 * SECOND_NS;
	controller_tick(fx->c);
	learn(fx, &dropped);
	for (int i = 0; i < 40; i++)
		controller_sink(fx->c)->event(fx->c, &spoof, &who, &v);
	k = GET(fx, "/v1/status");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "namespaces.0.namespace"), "data");
	assert_int_equal(num_at(k.json, "namespaces.0.blind"), 1);
	assert_string_equal(str_at(k.json, "namespaces.1.namespace"), "shop");
	assert_int_equal(num_at(k.json, "namespaces.1.workloads"), 4);
	assert_int_equal(num_at(k.json, "namespaces.1.dropped1h"), 9);
	assert_int_equal(num_at(k.json, "namespaces.1.wouldBlock1h"), 0);
	assert_false(bool_at(k.json, "namespaces.1.ready"));
	assert_int_equal(num_at(k.json, "guard.guarded"), 4);
	assert_int_equal(num_at(k.json, "guard.blind"), 1);
	call_done(&k);
	/* an hour later the hour is quiet */
	for (int i = 0; i < 61; i++) {
		fx->now += 60 * SECOND_NS;
		controller_tick(fx->c);
	}
	k = GET(fx, "/v1/status");
	assert_int_equal(num_at(k.json, "namespaces.1.dropped1h"), 0);
	call_done(&k);
	/* forty forged packets within a minute are one event, and counted */
	k = GET(fx, "/v1/events?reason=spoof-ip");
	assert_int_equal(len_at(k.json, "items"), 1);
	call_done(&k);
	k = GET(fx, "/v1/explain?what=spoof-ip");
	assert_int_equal(num_at(k.json, "params.count"), 40);
	assert_string_equal(str_at(k.json, "params.seen.0.who"), "shop/pod/rogue");
	call_done(&k);
	k = POST(fx, "/v1/drain", NULL);
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "accesses"), 5);
	assert_int_equal(fx->node.drains, 1);
	call_done(&k);
	k = GET(fx, "/v1/guards?namespace=data");
	assert_string_equal(str_at(k.json, "items.0.state"), "blind");
	call_done(&k);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(over_a_socket), T(followers), T(inventory_file), T(workloads), T(status_and_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
