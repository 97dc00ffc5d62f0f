/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - a controller with a fake node, a fake clock and a store in a temporary folder, called
 * through its routes without a socket.
 */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FIXTURE_PLAIN
#include <cmocka.h>
#else /* a fuzzer has no test framework: a broken promise is a crash */
#define assert_true(x) ((x) ? (void)0 : abort())
#define assert_false(x) assert_true(!(x))
#define assert_non_null(x) assert_true((x) != NULL)
#define assert_int_equal(a, b) assert_true((a) == (b))
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), fputc(10, stderr), abort())
#endif

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/change.h"
#include "controller/judge.h"
#include "controller/shadow.h"
#include "store/store_access.h"

#define SECOND_NS 1000000000ll
#define HOUR_NS (3600 * SECOND_NS)
#define DAY_NS (24 * HOUR_NS)

struct fake_node {
	unsigned prepares, commits, aborts, attaches, detaches, drains;
	bool prepared;
	uint64_t generation;	/* in force */
	size_t rules, quarantines, workloads, addresses; /* of the state in force */
	uint64_t next_generation;
	size_t next_rules, next_quarantines, next_workloads, next_addresses;
	int prepare_err, commit_err, attach_err;
	enum policy_flows how;	/* of the last commit */
	const char *fault;	/* name of the fault that a refused prepare adds */
	struct node_flow flows[8], cuts[8];
	size_t nflows, ncuts;
	const char *blind;	/* REF of a workload whose interface is blind */
	const char *refuse_rule; /* a state with a rule of this name does not fit */
	struct fixture *fx;
};

struct fixture {
	uv_loop_t loop;
	struct controller *c;
	struct fake_node node;
	int64_t now;
	char dir[64];
	char store[96], inventory[96];
	uint64_t counter;	/* distinct kernel counters */
	bool with_inventory;
	uint32_t generations;	/* history.generations; 0: the default */
	uid_t uid;
	void (*before_start)(struct fixture *fx);
	void *more;		/* of the test */
	struct http_server *srv; /* a test's own; closed with the fixture */
};

/* ---- fake node ----------------------------------------------------------------------------- */

static int fake_prepare(void *node, const struct policy_state *next, struct fail_list *f, struct node_receipt *ret)
{
	struct fake_node *n = node;

	n->prepares++;
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->node, sizeof(ret->node), "n1");
	ret->entries = (uint32_t)next->nrules * 10;
	ret->entries_max = 65536;
	for (size_t i = 0; n->refuse_rule && i < next->nrules; i++)
		if (!strcmp(next->rules[i].name, n->refuse_rule))
			return fail_add(f, -E2BIG, "rule.capacity", "generation 1, not written on any node", NULL, NULL,
					"rule %s needs 10312 entries", n->refuse_rule);
	if (n->prepare_err) {
		snprintf(ret->note, sizeof(ret->note), "policy map full, rule %s",
			 next->nrules ? next->rules[next->nrules - 1].name : "-");
		if (n->fault)
			fail_add(f, n->prepare_err, n->fault, "generation 1, not written on any node", NULL, NULL, "%s", ret->note);
		return n->prepare_err;
	}
	assert_false(n->prepared);
	n->prepared = true;
	n->next_generation = next->generation;
	n->next_rules = next->nrules;
	n->next_quarantines = next->nquarantines;
	n->next_workloads = next->nworkloads;
	n->next_addresses = 0;
	for (size_t i = 0; i < next->nworkloads; i++)
		n->next_addresses += next->workloads[i].naddrs;
	return 0;
}

static int fake_commit(void *node, enum policy_flows how, struct node_receipt *ret)
{
	struct fake_node *n = node;

	assert_true(n->prepared);
	n->prepared = false;
	n->how = how;
	n->commits++;
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->node, sizeof(ret->node), "n1");
	if (n->commit_err) {
		int e = n->commit_err;

		n->commit_err = 0;
		snprintf(ret->note, sizeof(ret->note), "map write failed");
		return e;
	}
	n->generation = n->next_generation;
	n->rules = n->next_rules;
	n->quarantines = n->next_quarantines;
	n->workloads = n->next_workloads;
	n->addresses = n->next_addresses;
	ret->applied = true;
	ret->generation = n->generation;
	ret->after_us = 210;
	ret->entries = (uint32_t)n->rules * 10;
	ret->entries_max = 65536;
	ret->flows_cut = (uint32_t)n->ncuts;
	return 0;
}

static void fake_abort(void *node)
{
	struct fake_node *n = node;

	assert_true(n->prepared);
	n->prepared = false;
	n->aborts++;
}

static int fake_flows(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg)
{
	struct fake_node *n = node;
	int e = 0;

	for (size_t i = 0; i < n->nflows && !e; i++)
		e = fn(arg, &n->flows[i]);
	return e;
}

static int fake_flows_cut(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg)
{
	struct fake_node *n = node;
	int e = 0;

	assert_true(n->prepared);
	for (size_t i = 0; i < n->ncuts && !e; i++)
		e = fn(arg, &n->cuts[i]);
	return e;
}

static int fake_guards(void *node, int (*fn)(void *arg, const struct node_guard *g), void *arg)
{
	struct fake_node *n = node;
	struct controller *c = n->fx->c;
	int e = 0;

	for (size_t i = 0; i < c->state.nworkloads && !e; i++) {
		struct node_guard g = { .iface = "eth0", .ifindex = (uint32_t)i + 2, .hook = "tcx host", .state = "guarded",
					.start_gap_ns = 1500000 };

		snprintf(g.workload, sizeof(g.workload), "%s/pod/%s", c->state.workloads[i].ns, c->state.workloads[i].name);
		if (n->blind && !strcmp(n->blind, g.workload)) {
			g.hook = "-";
			g.state = "blind";
			snprintf(g.reason, sizeof(g.reason), "macvlan parent in another namespace");
			g.start_gap_ns = -1;
		}
		e = fn(arg, &g);
	}
	return e;
}

static int fake_drain(void *node)
{
	((struct fake_node *)node)->drains++;
	return 0;
}

static struct cJSON *fake_counters(void *node)
{
	cJSON *o = cJSON_CreateObject(), *r = cJSON_AddObjectToObject(o, "reasons"), *k;

	(void)node;
	k = cJSON_AddObjectToObject(r, "spoof-ip");
	cJSON_AddNumberToObject(k, "dropped", 40);
	return o;
}

static int fake_attach(void *node, const struct workload *w, const char *netns, struct fail_list *f)
{
	struct fake_node *n = node;
	struct addr a[2];
	char text[ADDR_STR_MAX];
	unsigned h = 5;

	if (n->attach_err)
		return n->attach_err;
	if (!strcmp(netns, "missing"))
		return fail_add(f, -ENOENT, "workload.netns", netns, NULL, NULL, "cannot open the network namespace");
	n->attaches++;
	for (const char *p = w->name; *p; p++)
		h = h * 31 + (unsigned char)*p;
	snprintf(text, sizeof(text), "10.20.%u.%u", (h >> 8) & 0xff, h & 0xff);
	assert_int_equal(addr_parse(text, &a[0]), 0);
	snprintf(text, sizeof(text), "fd00:20::%x", h & 0xffff);
	assert_int_equal(addr_parse(text, &a[1]), 0);
	controller_sink(n->fx->c)->addresses(n->fx->c, w->ns, w->name, a, 2);
	return 0;
}

static int fake_detach(void *node, const char *ns, const char *name)
{
	(void)ns;
	(void)name;
	((struct fake_node *)node)->detaches++;
	return 0;
}

static const struct node_ops fake_ops = {
	.prepare = fake_prepare, .commit = fake_commit, .abort = fake_abort, .flows = fake_flows,
	.flows_cut = fake_flows_cut, .guards = fake_guards, .drain = fake_drain, .counters = fake_counters,
	.workload_attach = fake_attach, .workload_detach = fake_detach,
};

/* ---- life -------------------------------------------------------------------------------------- */

static inline int64_t fixture_now(void *arg)
{
	return ((struct fixture *)arg)->now;
}

static inline void fixture_open(struct fixture *fx)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	static struct prefix cidrs[2];
	static struct addr node_addr;
	struct controller_config cfg = {
		.cluster = "prod-hz", .node = "n1", .store_path = fx->store,
		.inventory_path = fx->with_inventory ? fx->inventory : NULL,
		.default_mode = CW_MODE_LEARN, .cluster_cidrs = cidrs, .ncluster_cidrs = 2,
		.node_addrs = &node_addr, .nnode_addrs = 1, .generations = fx->generations, .now = fixture_now, .now_arg = fx,
	};

	assert_int_equal(prefix_parse("10.20.0.0/16", &cidrs[0]), 0);
	assert_int_equal(prefix_parse("fd00:20::/48", &cidrs[1]), 0);
	assert_int_equal(addr_parse("10.20.255.1", &node_addr), 0);
	memset(&fx->node, 0, sizeof(fx->node));
	fx->node.fx = fx;
	assert_int_equal(uv_loop_init(&fx->loop), 0);
	assert_int_equal(controller_new(&fx->loop, &cfg, &fake_ops, &fx->node, &f, &fx->c), 0);
	if (fx->before_start)
		fx->before_start(fx);
	assert_int_equal(controller_start(fx->c, &f), 0);
}

static inline void fixture_close(struct fixture *fx)
{
	http_server_close(fx->srv, NULL, NULL);
	fx->srv = NULL;
	controller_close(fx->c, NULL, NULL);
	uv_run(&fx->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&fx->loop), 0);
	fx->c = NULL;
}

static inline void fixture_reopen(struct fixture *fx)
{
	fixture_close(fx);
	fixture_open(fx);
}

static inline int fixture_setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));

	assert_non_null(fx);
	snprintf(fx->dir, sizeof(fx->dir), "/tmp/cwt-controller-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	snprintf(fx->store, sizeof(fx->store), "%s/store.db", fx->dir);
	snprintf(fx->inventory, sizeof(fx->inventory), "%s/inventory.yaml", fx->dir);
	assert_int_equal(parse_time_ns("2026-03-12T08:00:00Z", &fx->now), 0);
	fixture_open(fx);
	*state = fx;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	static const char *const suffix[] = { "", "-wal", "-shm" };
	struct fixture *fx = *state;
	char path[128];

	fixture_close(fx);
	for (size_t i = 0; i < ARRAY_SIZE(suffix); i++) {
		snprintf(path, sizeof(path), "%s%s", fx->store, suffix[i]);
		unlink(path);
	}
	unlink(fx->inventory);
	rmdir(fx->dir);
	free(fx);
	return 0;
}

/* ---- calls -------------------------------------------------------------------------------------- */

struct call {
	int status;
	cJSON *json;
	char *text;
};

static inline void call_done(struct call *k)
{
	cJSON_Delete(k->json);
	free(k->text);
	memset(k, 0, sizeof(*k));
}

/* Segment by segment; captures go to rq. Returns the number of captures, or -1. */
static inline int route_match(const char *pattern, char *const *seg, size_t nseg, struct http_request *rq)
{
	auto_free char *copy = strdup(pattern);
	static char names[HTTP_PARAMS_MAX][32];
	size_t n = 0;
	char *save = NULL;
	int captures = 0;

	for (char *p = strtok_r(copy, "/", &save); p; p = strtok_r(NULL, "/", &save), n++) {
		if (n >= nseg)
			return -1;
		if (*p != '{') {
			if (strcmp(p, seg[n]))
				return -1;
			continue;
		}
		p[strlen(p) - 1] = 0;
		snprintf(names[captures], sizeof(names[0]), "%s", p + 1);
		rq->params[captures] = (struct http_param){ names[captures], seg[n] };
		captures++;
	}
	rq->nparams = (size_t)captures;
	return n == nseg ? captures : -1;
}

/* path may carry a query; values are not percent-encoded. */
static inline struct call call(struct fixture *fx, enum http_method m, const char *path, const char *body)
{
	auto_free char *copy = strdup(path);
	struct http_request rq = { .method = m, .path = path, .body = body ? body : "", .body_len = body ? strlen(body) : 0,
				   .has_peer = true, .uid = fx->uid };
	struct api a = { .c = fx->c, .rq = &rq };
	char *query = strchr(copy, '?'), *save = NULL, *seg[8];
	struct call ret = {};
	size_t nseg = 0, best = SIZE_MAX;
	int best_captures = 100;

	if (query) {
		*query++ = 0;
		for (char *p = strtok_r(query, "&", &save); p; p = strtok_r(NULL, "&", &save)) {
			char *eq = strchr(p, '=');

			if (eq)
				*eq++ = 0;
			rq.query[rq.nquery++] = (struct http_param){ p, eq ? eq : "" };
		}
	}
	save = NULL;
	for (char *p = strtok_r(copy, "/", &save); p && nseg < 8; p = strtok_r(NULL, "/", &save))
		seg[nseg++] = p;
	for (size_t i = 0; i < api_nroutes; i++) {
		int n = api_routes[i].method == m ? route_match(api_routes[i].path, seg, nseg, &rq) : -1;

		if (n >= 0 && n < best_captures) {
			best = i;
			best_captures = n;
		}
	}
	if (best == SIZE_MAX)
		fail_msg("no route for %s", path);
	route_match(api_routes[best].path, seg, nseg, &rq);
	assert_int_equal(api_run(&a, best, &ret.status, &ret.json), 0);
	ret.text = a.text ? strdup(a.text) : NULL;
	api_done(&a);
	/* Whatever was asked, the node is not left with a prepared state. */
	assert_false(fx->node.prepared);
	return ret;
}

#define GET(fx, path) call(fx, HTTP_GET, path, NULL)
#define POST(fx, path, body) call(fx, HTTP_POST, path, body)

static inline const char *text_of(struct call *k)
{
	if (!k->text)
		k->text = cJSON_PrintUnformatted(k->json);
	return k->text;
}

#define assert_status(k, want) do {							\
	if ((k).status != (want))							\
		fail_msg("status %d, wanted %d: %s", (k).status, (want), text_of(&(k))); \
} while (0)

/* "a.b.0.c": keys and indexes. */
static inline const cJSON *at(const cJSON *j, const char *path)
{
	auto_free char *copy = strdup(path);
	char *save = NULL;

	for (char *p = strtok_r(copy, ".", &save); p && j; p = strtok_r(NULL, ".", &save))
		j = cJSON_IsArray(j) ? cJSON_GetArrayItem(j, (int)strtol(p, NULL, 10)) : cJSON_GetObjectItemCaseSensitive(j, p);
	return j;
}

static inline double num_at(const cJSON *j, const char *path)
{
	const cJSON *i = at(j, path);

	if (!cJSON_IsNumber(i))
		fail_msg("no number at %s", path);
	return i->valuedouble;
}

static inline const char *str_at(const cJSON *j, const char *path)
{
	const cJSON *i = at(j, path);

	return cJSON_IsString(i) ? i->valuestring : "(none)";
}

static inline bool bool_at(const cJSON *j, const char *path)
{
	return cJSON_IsTrue(at(j, path));
}

static inline size_t len_at(const cJSON *j, const char *path)
{
	return (size_t)cJSON_GetArraySize(at(j, path));
}

/* ---- world ------------------------------------------------------------------------------------------ */

static inline void world(struct fixture *fx)
{
	static const char body[] = "{\"items\":["
		"{\"namespace\":\"shop\",\"name\":\"web-1\",\"netns\":\"w1\",\"uid\":\"u1\",\"labels\":{\"app\":\"web\"},\"controller\":{\"kind\":\"Deployment\",\"name\":\"web\"}},"
		"{\"namespace\":\"shop\",\"name\":\"web-2\",\"netns\":\"w2\",\"labels\":{\"app\":\"web\"},\"controller\":{\"kind\":\"Deployment\",\"name\":\"web\"}},"
		"{\"namespace\":\"shop\",\"name\":\"cart-1\",\"netns\":\"c1\",\"labels\":{\"app\":\"cart\"},\"controller\":{\"kind\":\"Deployment\",\"name\":\"cart\"}},"
		"{\"namespace\":\"shop\",\"name\":\"rogue\",\"netns\":\"r1\",\"uid\":\"5b1e\"},"
		"{\"namespace\":\"data\",\"name\":\"db-0\",\"netns\":\"d1\",\"labels\":{\"app\":\"db\"},\"controller\":{\"kind\":\"StatefulSet\",\"name\":\"db\"},\"ports\":[{\"name\":\"pg\",\"port\":\"tcp/5432\"}]}"
		"]}";
	struct call k = POST(fx, "/v1/workloads", body);

	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 5);
	call_done(&k);
}

struct learn {
	const char *src_ns, *src, *dst_ns, *dst; /* dst_ns NULL: dst is an address of the world */
	uint16_t port;
	uint64_t flows, answered;
	enum cw_outcome egress, ingress;
	enum cw_reason reason;
	uint32_t rule;
};

static inline void learn(struct fixture *fx, const struct learn *l)
{
	struct node_access a = {
		.proto = IPPROTO_TCP, .family = 4, .port = l->port, .instance = 77, .epoch = 1,
		.flows = l->flows, .answered = l->answered, .packets = l->flows * 10, .bytes = l->flows * 1000,
		.outcome = { l->egress, l->ingress }, .reason = { l->reason, l->ingress == CW_OUT_NONE ? CW_R_NONE : l->reason },
		.first_ns = fx->now, .last_ns = fx->now,
	};
	static uint32_t key;

	a.src_wl.ns = (char *)l->src_ns;
	a.src_wl.name = (char *)l->src;
	a.src_wl.uid = (char *)"";
	if (l->dst_ns) {
		a.dst_wl.ns = (char *)l->dst_ns;
		a.dst_wl.name = (char *)l->dst;
		a.dst_wl.uid = (char *)"";
	} else {
		a.dst_reserved = CW_ID_WORLD;
		assert_int_equal(addr_parse(l->dst, &a.dst_addr), 0);
	}
	a.key.src = 300 + key++;
	a.key.dst = 400;
	a.key.port = l->port;
	a.key.proto = IPPROTO_TCP;
	a.key.family = 4;
	a.cnt[CW_EGRESS][l->egress] = l->flows;
	if (l->dst_ns)
		a.cnt[CW_INGRESS][l->ingress] = l->flows;
	for (int s = 0; s < 2; s++) {
		a.verdict[s].tier = l->rule ? CW_TIER_MANUAL : CW_TIER_DEFAULT;
		a.verdict[s].action = CW_ACT_BLOCK;
		a.verdict[s].rule = l->rule;
	}
	assert_int_equal(controller_sink(fx->c)->accesses(fx->c, &a, 1, NULL, 0), 0);
}

/* The four accesses of the story, all in learn: three answered, one never. */
static inline void history(struct fixture *fx)
{
	static const struct learn l[] = {
		{ "shop", "web-1", "shop", "cart-1", 9090, 100, 100, CW_OUT_NO_RULE, CW_OUT_NO_RULE, CW_R_DEFAULT, 0 },
		{ "shop", "cart-1", "data", "db-0", 5432, 50, 50, CW_OUT_NO_RULE, CW_OUT_NO_RULE, CW_R_DEFAULT, 0 },
		{ "shop", "web-1", "data", "db-0", 5432, 7, 7, CW_OUT_NO_RULE, CW_OUT_NO_RULE, CW_R_DEFAULT, 0 },
		{ "shop", "web-2", NULL, "203.0.113.99", 25, 9, 0, CW_OUT_NO_RULE, CW_OUT_NONE, CW_R_DEFAULT, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(l); i++)
		learn(fx, &l[i]);
}

/* Everything a person can see of the state, as one text. */
static inline char *dump(struct fixture *fx)
{
	static const char *const paths[] = { "/v1/export/rules", "/v1/rules?origin=all", "/v1/modes", "/v1/quarantines",
		"/v1/workloads", "/v1/namespaces", "/v1/accesses", "/v1/alerts?acked=all", "/v1/changes", "/v1/events" };
	struct buf b;

	buf_init(&b, 16u << 20);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct call k = GET(fx, paths[i]);

		assert_status(k, 200);
		buf_printf(&b, "%s\n", text_of(&k));
		call_done(&k);
	}
	buf_printf(&b, "node %llu %zu %zu %zu window %llu\n", (unsigned long long)fx->node.generation, fx->node.rules,
		   fx->node.quarantines, fx->node.workloads, (unsigned long long)fx->c->window.generation);
	return buf_take(&b, NULL);
}

static inline uint64_t generation(const struct fixture *fx)
{
	return fx->c->state.generation;
}
