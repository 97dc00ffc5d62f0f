/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c - the node's own API. Each question is answered by the resource that the controller has for it, on
 * a controller that is nothing but the node and the state in force there.
 */
#include "controller/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/priv.h"

#define STATUS_ELSEWHERE 421 /* asked of the wrong server */

struct local_api {
	struct local_api_config cfg;
	struct controller shell;	/* no store, no book, no timers: only what reads of a node need */
	struct http_route *routes;
};

/* ---- status -------------------------------------------------------------------------------------- */

struct guard_counts { size_t guarded, bypassable, blind; };

static int guard_count(void *arg, const struct node_guard *g)
{
	struct guard_counts *n = arg;

	n->guarded += !strcmp(g->state, "guarded");
	n->bypassable += !strcmp(g->state, "bypassable");
	n->blind += !strcmp(g->state, "blind");
	return 0;
}

static int local_status(struct local_api *l, cJSON **ret)
{
	struct controller *c = &l->shell;
	struct guard_counts n = {};
	cJSON *o = api_object("Status"), *k, *up;

	if (!o)
		return -ENOMEM;
	if (c->ops && c->ops->guards)
		(void)c->ops->guards(c->node, guard_count, &n); /* shown as 0 of 0 */
	put_str(o, "cluster", c->cluster);
	put_str(o, "version", CW_VERSION);
	put_str(o, "role", c->ops ? "agent" : "controller");
	cJSON_AddBoolToObject(o, "standby", !c->ops);
	put_time(o, "time", controller_now(c));
	put_ms(o, "uptimeMs", controller_now(c) - c->started_ns);
	put_num(o, "generation", (double)c->state.generation);
	up = l->cfg.uplink ? l->cfg.uplink(l->cfg.arg) : NULL;
	k = cJSON_AddObjectToObject(o, "node");
	put_str(k, "name", c->node_name);
	put_num(k, "generation", (double)c->state.generation);
	cJSON_AddBoolToObject(k, "inSync", cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(up, "inSync")));
	put_str(k, "note", json_str(up, "problem"));
	if (up)
		put_item(o, "link", up);
	k = cJSON_AddObjectToObject(o, "guard");
	put_num(k, "guarded", (double)n.guarded);
	put_num(k, "bypassable", (double)n.bypassable);
	put_num(k, "blind", (double)n.blind);
	if (c->ops && c->ops->counters)
		put_item(o, "counters", c->ops->counters(c->node));
	cJSON_AddArrayToObject(o, "namespaces");
	*ret = o;
	return 0;
}

static int local_drain(struct local_api *l, struct fail_list *f, cJSON **ret)
{
	int e = l->cfg.ops->drain ? l->cfg.ops->drain(l->cfg.ops_node) : 0;

	if (e < 0)
		return fail_add(f, e, "node.drain", l->cfg.node, NULL, "cellwall status", "%s", strerror(-e));
	*ret = api_object("Drained");
	return *ret ? 0 : -ENOMEM;
}

/* ---- routes --------------------------------------------------------------------------------------- */

static bool is_here(const struct local_api *l, int (*fn)(struct api *a, cJSON **ret))
{
	if (fn == api_version || fn == api_config || fn == api_status)
		return true;
	return l->cfg.ops && (fn == api_counters || fn == api_guard_list || fn == api_flow_list || fn == api_drain);
}

static void elsewhere(struct local_api *l, struct http_exchange *x, const struct http_request *rq)
{
	const char *at = l->cfg.controller ? l->cfg.controller(l->cfg.arg) : NULL;

	if (!l->cfg.ops) {
		http_reply_fail(x, 503, "server.standby", rq->path, "the controller that leads", "cellwall status",
				"this controller stands by; %s%s", at && *at ? "the one that leads is " : "none leads yet",
				at ?: "");
		return;
	}
	http_reply_fail(x, STATUS_ELSEWHERE, "server.elsewhere", rq->path, "the controller's own socket or host",
			"cellwall status", "this is the agent of node %s; its controller is at %s", l->cfg.node,
			at && *at ? at : "an address it has not reached yet");
}

static void handle(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	struct local_api *l = arg;
	const struct api_route *r = &api_routes[rq->route - l->routes];
	struct api a = { .c = &l->shell, .rq = rq, .x = x };
	cJSON *j = NULL;
	int status = 200, e = 0;

	if (!is_here(l, r->fn) || api_q(&a, "follow")) {
		elsewhere(l, x, rq);
		return;
	}
	if (l->cfg.state)
		e = l->cfg.state(l->cfg.arg, &l->shell.state);
	if (!e && r->fn == api_status)
		e = local_status(l, &j);
	else if (!e && r->fn == api_drain)
		e = local_drain(l, &a.f, &j);
	else if (!e)
		(void)api_run(&a, (size_t)(r - api_routes), &status, &j); /* none of these answers by itself */
	if (e) {
		http_reply_fail(x, 500, a.f.n ? a.f.items[0].name : "server.internal", NULL, NULL, NULL, "%s",
				a.f.n ? a.f.items[0].message : strerror(-e));
	} else {
		http_reply_json(x, status, j);
	}
	if (l->cfg.state)
		l->cfg.state_done(l->cfg.arg, &l->shell.state);
	memset(&l->shell.state, 0, sizeof(l->shell.state));
	cJSON_Delete(j);
	api_done(&a);
}

int local_api_routes(struct local_api *l, struct http_server *srv)
{
	l->routes = calloc(api_nroutes, sizeof(*l->routes));
	if (!l->routes)
		return -ENOMEM;
	for (size_t i = 0; i < api_nroutes; i++)
		l->routes[i] = (struct http_route){ api_routes[i].method, api_routes[i].path, handle,
						    api_routes[i].fn == api_drain ? api_routes[i].flags : 0 };
	return http_server_routes(srv, l->routes, api_nroutes, l);
}

int local_api_authorize(void *arg, const struct http_request *rq, struct fail_list *f)
{
	return controller_authorize(&((struct local_api *)arg)->shell, rq, f);
}

/* ---- life ------------------------------------------------------------------------------------------- */

int local_api_new(const struct local_api_config *cfg, struct local_api **ret)
{
	struct local_api *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->cfg = *cfg;
	l->shell.ops = cfg->ops;
	l->shell.node = cfg->ops_node;
	l->shell.cluster = strdup(cfg->cluster);
	l->shell.node_name = strdup(cfg->node);
	l->cfg.cluster = l->shell.cluster;
	l->cfg.node = l->shell.node_name;
	l->shell.config_json = cfg->config_json;
	l->shell.config_arg = cfg->arg;
	l->shell.started_ns = controller_now(&l->shell);
	if (!l->shell.cluster || !l->shell.node_name) {
		local_api_free(l);
		return -ENOMEM;
	}
	*ret = l;
	return 0;
}

void local_api_free(struct local_api *l)
{
	if (!l)
		return;
	free(l->shell.cluster);
	free(l->shell.node_name);
	free(l->routes);
	free(l);
}
