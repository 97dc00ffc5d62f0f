/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - what a process without a controller in force answers on its own socket. An agent: status,
 * live flows, guards, counters, configuration, as the controller would say them of this node. A controller
 * that stands by: status and configuration. Everything else is elsewhere, and the refusal says where.
 */
#pragma once

#include "controller/node.h"
#include "http/http_server.h"

struct cJSON;
struct local_api;

/* Borrowed during local_api_new() only; what it points at by function lives as long as the API. */
struct local_api_config {
	const char *cluster, *node;
	const struct node_ops *ops;	/* of the node in this process; NULL: a controller that stands by */
	void *ops_node;
	/* The state in force, borrowed until state_done; 0 or a negative errno. */
	int (*state)(void *arg, struct policy_state *ret);
	void (*state_done)(void *arg, struct policy_state *st);
	/* How the node stands towards its controller, for `status`; NULL: no memory. */
	struct cJSON *(*uplink)(void *arg);
	/* "10.0.0.1:7946", or who leads; for people. */
	const char *(*controller)(void *arg);
	struct cJSON *(*config_json)(void *arg);
	void *arg;
};
int local_api_new(const struct local_api_config *cfg, struct local_api **ret);
void local_api_free(struct local_api *l);
/* Every /v1 route that a controller has. Before the server listens. */
int local_api_routes(struct local_api *l, struct http_server *srv);
/* For http_server_config.authorize: nothing here changes anything but /v1/drain and what others add. */
int local_api_authorize(void *l, const struct http_request *rq, struct fail_list *f);
