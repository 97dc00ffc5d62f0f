/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_api.h"

#include "kube/lease.h"
#include "kube/lease_core.h"

/* ---- the decisions, by table: time stands in the rows ------------------------------------------------ */

static struct lease_record rec(const char *holder, const char *renew, uint32_t duration_s)
{
	struct lease_record r = { .there = holder != NULL, .duration_s = duration_s };

	snprintf(r.holder, sizeof(r.holder), "%s", holder ?: "");
	snprintf(r.renew_time, sizeof(r.renew_time), "%s", renew);
	return r;
}

static void decisions(void **state)
{
	struct lease_core l = { .identity = "me", .duration_ms = 15000, .renew_ms = 10000 };
	struct lease_record r, mine;

	(void)state;
	assert_int_equal(lease_core_next(&l, 0), LEASE_WAIT); /* nothing seen yet */
	r = rec(NULL, "", 0);
	lease_core_saw(&l, &r, 0);
	assert_int_equal(lease_core_next(&l, 0), LEASE_CREATE);
	/* Another holds it: 15 s from when *we* saw it first, however old its renewTime is. */
	r = rec("other", "1999-01-01T00:00:00.000000Z", 15);
	lease_core_saw(&l, &r, 1000);
	assert_int_equal(lease_core_next(&l, 1000), LEASE_WAIT);
	assert_int_equal(lease_core_next(&l, 15999), LEASE_WAIT);
	assert_int_equal(lease_core_next(&l, 16000), LEASE_UPDATE);
	/* It renews: the wait begins again, even if its clock goes backwards. */
	r = rec("other", "1998-01-01T00:00:00.000000Z", 15);
	lease_core_saw(&l, &r, 15000);
	assert_int_equal(lease_core_next(&l, 16000), LEASE_WAIT);
	lease_core_saw(&l, &r, 20000); /* the same record again does not */
	assert_int_equal(lease_core_next(&l, 30000), LEASE_UPDATE);
	/* Given back: at once. */
	r = rec("", "2000", 1);
	lease_core_saw(&l, &r, 30000);
	assert_int_equal(lease_core_next(&l, 30000), LEASE_UPDATE);
	/* Ours. The time to renew counts from when the write began. */
	mine = lease_core_record(&l, "2001");
	assert_string_equal(mine.holder, "me");
	assert_int_equal(mine.duration_s, 15);
	assert_int_equal(mine.transitions, 1);
	assert_string_equal(mine.acquire_time, "2001");
	lease_core_wrote(&l, &mine, 30000, 30400);
	assert_true(l.leading);
	assert_int_equal(lease_core_left(&l, 31000), 9000);
	assert_int_equal(lease_core_left(&l, 39999), 1);
	assert_int_equal(lease_core_left(&l, 40000), 0);
	/* A renewal keeps when it was acquired. */
	mine = lease_core_record(&l, "2002");
	assert_string_equal(mine.acquire_time, "2001");
	assert_int_equal(mine.transitions, 1);
	lease_core_wrote(&l, &mine, 35000, 35100);
	assert_int_equal(lease_core_left(&l, 36000), 9000);
	/* A write of ours that was not answered: we know it when we see it, and go on. */
	mine = lease_core_record(&l, "2003");
	l.leading = false;
	lease_core_saw(&l, &mine, 50000);
	assert_int_equal(lease_core_next(&l, 50000), LEASE_UPDATE);
	/* Our name, but not by us: a former self may still run somewhere. */
	r = rec("me", "2004", 15);
	lease_core_saw(&l, &r, 51000);
	assert_int_equal(lease_core_next(&l, 51000), LEASE_WAIT);
	assert_int_equal(lease_core_next(&l, 66000), LEASE_UPDATE);
	/* Another took it while we thought that we lead. */
	mine = lease_core_record(&l, "2005");
	lease_core_wrote(&l, &mine, 70000, 70000);
	assert_true(l.leading);
	r = rec("other", "2006", 15);
	lease_core_saw(&l, &r, 71000);
	assert_false(l.leading);
	assert_int_equal(lease_core_left(&l, 71000), 0);
	/* Deleted. */
	r = rec(NULL, "", 0);
	lease_core_saw(&l, &r, 72000);
	assert_int_equal(lease_core_next(&l, 72000), LEASE_CREATE);
	assert_int_equal(lease_core_record(&l, "2007").transitions, 0);
}

/* ---- candidates on a server with optimistic concurrency ---------------------------------------------- */

#define CANDIDATES 3

struct candidate {
	const char *name;
	struct kube_client *c;
	struct kube_lease *l;
	bool leads, client_closed, lease_closed;
	unsigned started, stopped, faults;
	char seen[64];
	int64_t skew_ms;
};

static struct {
	uv_loop_t loop;
	struct fake_api api;
	struct kube_config cfg;
	struct candidate who[CANDIDATES];
	cJSON *lease;
	unsigned version, writes;
	uint64_t last_write;
	const char *deaf; /* requests with this token are not answered */
	bool broken;	  /* all get 500 */
	bool silly;	  /* GETs get nonsense */
} t;

static const char *holder(void)
{
	return json_str(json_get(t.lease, "spec"), "holderIdentity") ?: "";
}

static void api(struct fake_api *f, struct fake_rq *rq)
{
	auto_cleanup(cJSON_Deletep) cJSON *body = cJSON_ParseWithLength(rq->body, rq->body_len);
	auto_free char *text = NULL;
	const char *version = json_str(json_get(body, "metadata"), "resourceVersion");
	bool post = !strcmp(rq->method, "POST");
	char now[16];

	(void)f;
	if (t.deaf && !strcmp(rq->token, t.deaf))
		return;
	if (t.broken) {
		fake_status(rq, 500, "InternalError", "etcd");
		return;
	}
	if (t.silly) {
		fake_reply(rq, 200, "", "{\"metadata\":[1],\"spec\":7}");
		return;
	}
	assert_int_equal(strncmp(rq->target, "/apis/coordination.k8s.io/v1/namespaces/cellwall/leases", 55), 0);
	snprintf(now, sizeof(now), "%u", t.version);
	if (post ? t.lease != NULL : !t.lease) {
		fake_status(rq, post ? 409 : 404, post ? "AlreadyExists" : "NotFound", "x");
		return;
	}
	if (!strcmp(rq->method, "PUT") && (!version || strcmp(version, now))) {
		fake_status(rq, 409, "Conflict", "the object has been modified");
		return;
	}
	if (post || !strcmp(rq->method, "PUT")) {
		assert_string_equal(json_str(body, "kind"), "Lease");
		assert_string_equal(json_str(json_get(body, "metadata"), "name"), "lead");
		/* Nobody takes it from a holder who wrote less than its duration ago. */
		if (t.lease && *holder() && strcmp(holder(), json_str(json_get(body, "spec"), "holderIdentity")) &&
		    *json_str(json_get(body, "spec"), "holderIdentity"))
			assert_true(uv_hrtime() - t.last_write > 2990000000);
		t.last_write = uv_hrtime();
		t.writes++;
		snprintf(now, sizeof(now), "%u", ++t.version);
		cJSON_DeleteItemFromObject(cJSON_GetObjectItem(body, "metadata"), "resourceVersion");
		cJSON_AddStringToObject(cJSON_GetObjectItem(body, "metadata"), "resourceVersion", now);
		cJSON_Delete(t.lease);
		t.lease = take_ptr(body);
	}
	text = cJSON_PrintUnformatted(t.lease);
	fake_reply(rq, 200, "", text);
}

static void on_started(void *arg)
{
	struct candidate *w = arg;

	w->leads = true;
	w->started++;
	for (int i = 0; i < CANDIDATES; i++) /* never two at once */
		assert_true(&t.who[i] == w || !t.who[i].leads);
}

static void on_stopped(void *arg)
{
	struct candidate *w = arg;

	w->leads = false;
	w->stopped++;
}

static void on_leader(void *arg, const char *identity)
{
	struct candidate *w = arg;

	snprintf(w->seen, sizeof(w->seen), "%s", identity);
}

static void on_fault(void *arg, int err, const char *text)
{
	struct candidate *w = arg;

	assert_true(err < 0 && *text);
	w->faults++;
}

static uint64_t skewed(void *arg)
{
	struct candidate *w = arg;

	return uv_hrtime() / 1000000 + (uint64_t)w->skew_ms;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static const struct kube_lease_ops ops = { on_started, on_stopped, on_leader, on_fault };

static void join(int i, const char *name, int64_t skew_ms)
{
	struct kube_lease_spec spec = { .namespace_ = "cellwall", .name = "lead", .identity = name, .duration_ms = 3000,
					.renew_ms = 1500, .retry_ms = 100, .now_ms = skewed };
	struct candidate *w = &t.who[i];

	*w = (struct candidate){ .name = name, .skew_ms = skew_ms };
	fake_config(&t.api, &t.cfg);
	t.cfg.token = strdup(name);
	assert_int_equal(kube_client_new(&t.loop, &t.cfg, NULL, NULL, &w->c), 0);
	kube_config_done(&t.cfg);
	assert_int_equal(kube_lease_new(w->c, &spec, &ops, w, &w->l), 0);
}

static void leave(int i)
{
	struct candidate *w = &t.who[i];

	kube_lease_close(w->l, on_closed, &w->lease_closed);
	assert_true(fake_run(&t.loop, &w->lease_closed, 3000));
	assert_false(w->leads);
	kube_client_close(w->c, on_closed, &w->client_closed);
	assert_true(fake_run(&t.loop, &w->client_closed, 3000));
}

static void start(void)
{
	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	fake_start(&t.api, &t.loop, api, NULL);
}

static void stop(void)
{
	fake_stop(&t.api);
	fake_loop_done(&t.loop);
	cJSON_Delete(t.lease);
}

static void election(void **state)
{
	uint64_t begun;

	(void)state;
	start();
	join(0, "a", 0);
	assert_true(fake_run(&t.loop, &t.who[0].leads, 3000));
	assert_string_equal(holder(), "a");
	/* Others, with clocks an hour and a day off, do not take it while it renews. */
	join(1, "b", 3600 * 1000);
	join(2, "c", -86400 * 1000);
	fake_run(&t.loop, NULL, 3500);
	assert_true(t.who[0].leads && t.who[0].started == 1);
	assert_string_equal(t.who[1].seen, "a");
	assert_true(t.writes > 10);
	/* The leader is cut off: it stops within 1.5 s; nobody leads before its three are over. */
	t.deaf = "a";
	begun = uv_hrtime();
	while (t.who[0].leads)
		fake_run(&t.loop, NULL, 5);
	assert_true(uv_hrtime() - begun < 2900000000);
	assert_false(t.who[1].leads || t.who[2].leads);
	while (!t.who[1].leads && !t.who[2].leads && uv_hrtime() - begun < 9000000000)
		fake_run(&t.loop, NULL, 5);
	assert_true(t.who[1].leads || t.who[2].leads);
	assert_int_equal(json_i64(json_get(t.lease, "spec"), "leaseTransitions", 0), 1);
	/* It comes back and follows. */
	t.deaf = NULL;
	for (int i = 0; i < 300 && strcmp(kube_lease_leader(t.who[0].l), holder()); i++)
		fake_run(&t.loop, NULL, 10);
	assert_false(t.who[0].leads);
	assert_true(kube_lease_leading(t.who[1].leads ? t.who[1].l : t.who[2].l));
	assert_string_equal(kube_lease_leader(t.who[0].l), holder());
	/* A leader that leaves gives it back: the next one need not wait for its end. */
	begun = uv_hrtime();
	leave(t.who[1].leads ? 1 : 2);
	while (!t.who[0].leads && !t.who[1].leads && !t.who[2].leads && uv_hrtime() - begun < 3000000000)
		fake_run(&t.loop, NULL, 5);
	assert_true(uv_hrtime() - begun < 1500000000);
	leave(0);
	for (int i = 0; i < 300 && !t.who[1].leads && !t.who[2].leads; i++)
		fake_run(&t.loop, NULL, 10);
	leave(t.who[1].lease_closed ? 2 : 1);
	assert_string_equal(holder(), "");
	for (int i = 0; i < CANDIDATES; i++)
		assert_int_equal(t.who[i].started, t.who[i].stopped);
	stop();
}

static void trouble(void **state)
{
	(void)state;
	start();
	/* Errors and nonsense are told, and do not make a leader. */
	t.broken = true;
	join(0, "a", 0);
	fake_run(&t.loop, NULL, 400);
	assert_true(t.who[0].faults > 0 && !t.who[0].leads);
	t.broken = false;
	t.silly = true;
	t.who[0].faults = 0;
	fake_run(&t.loop, NULL, 400);
	assert_true(t.who[0].faults > 0 && !t.who[0].leads);
	t.silly = false;
	assert_true(fake_run(&t.loop, &t.who[0].leads, 2000));
	/* Foreign fields stay; a foreign write in between makes it read again, not give up. */
	cJSON_AddStringToObject(cJSON_AddObjectToObject(cJSON_GetObjectItem(t.lease, "metadata"), "labels"), "x", "y");
	cJSON_ReplaceItemInObject(cJSON_GetObjectItem(t.lease, "metadata"), "resourceVersion", cJSON_CreateString("999"));
	t.version = 999;
	fake_run(&t.loop, NULL, 500);
	assert_true(t.who[0].leads && t.who[0].started == 1);
	assert_string_equal(json_str(json_get(json_get(t.lease, "metadata"), "labels"), "x"), "y");
	/* Deleted under it: made again. */
	cJSON_Delete(take_ptr(t.lease));
	for (int i = 0; i < 300 && !t.lease; i++)
		fake_run(&t.loop, NULL, 10);
	fake_run(&t.loop, NULL, 100);
	assert_true(t.who[0].leads);
	assert_string_equal(holder(), "a");
	/* A thief. */
	cJSON_ReplaceItemInObject(cJSON_GetObjectItem(t.lease, "spec"), "holderIdentity", cJSON_CreateString("thief"));
	cJSON_ReplaceItemInObject(cJSON_GetObjectItem(t.lease, "metadata"), "resourceVersion", cJSON_CreateString("5000"));
	t.version = 5000;
	for (int i = 0; i < 300 && t.who[0].leads; i++)
		fake_run(&t.loop, NULL, 10);
	assert_false(t.who[0].leads);
	assert_string_equal(t.who[0].seen, "thief");
	leave(0);
	assert_string_equal(holder(), "thief"); /* not ours to give back */
	stop();
}

static void arguments(void **state)
{
	static const struct kube_lease_spec bad[] = {
		{ .namespace_ = "x", .name = "y" },
		{ .namespace_ = "x", .name = "y", .identity = "" },
		{ .namespace_ = "x/..", .name = "y", .identity = "z" },
		{ .namespace_ = "x", .name = NULL, .identity = "z" },
		{ .namespace_ = "x", .name = "y", .identity = "z", .duration_ms = 10000 },
		{ .namespace_ = "x", .name = "y", .identity = "z", .renew_ms = 2000 },
	};
	struct kube_lease *l = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(kube_lease_new(NULL, &bad[i], &ops, NULL, &l), -EINVAL);
	assert_null(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions),
		cmocka_unit_test(election),
		cmocka_unit_test(trouble),
		cmocka_unit_test(arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
