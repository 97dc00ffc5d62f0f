/* SPDX-License-Identifier: Apache-2.0 */
/* api_routes.c - the table of the local API, and its way through the server. */
#include "controller/api_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define R 0
#define W HTTP_R_WRITE

const struct api_route api_routes[] = {
	{ HTTP_GET, "/v1/status", R, api_status },
	{ HTTP_GET, "/v1/version", R, api_version },
	{ HTTP_GET, "/v1/counters", R, api_counters },
	{ HTTP_GET, "/v1/config", R, api_config },
	{ HTTP_POST, "/v1/drain", W, api_drain },
	{ HTTP_GET, "/v1/guards", R, api_guard_list },
	{ HTTP_GET, "/v1/nodes", R, api_node_list },
	{ HTTP_GET, "/v1/ready", R, api_ready },
	{ HTTP_GET, "/v1/workloads", R, api_workload_list },
	{ HTTP_POST, "/v1/workloads", W, api_workload_add },
	{ HTTP_GET, "/v1/workloads/{namespace}/{name}", R, api_workload_show },
	{ HTTP_DELETE, "/v1/workloads/{namespace}/{name}", W, api_workload_del },
	{ HTTP_GET, "/v1/services", R, api_service_list },
	{ HTTP_POST, "/v1/services", W, api_service_add },
	{ HTTP_GET, "/v1/services/{namespace}/{name}", R, api_service_show },
	{ HTTP_DELETE, "/v1/services/{namespace}/{name}", W, api_service_del },
	{ HTTP_GET, "/v1/namespaces", R, api_namespace_list },
	{ HTTP_PUT, "/v1/namespaces/{name}", W, api_namespace_put },
	{ HTTP_DELETE, "/v1/namespaces/{name}", W, api_namespace_del },
	{ HTTP_GET, "/v1/accesses", R, api_access_list },
	{ HTTP_POST, "/v1/accesses/confirm", W, api_access_confirm },
	{ HTTP_POST, "/v1/accesses/reject", W, api_access_reject },
	{ HTTP_POST, "/v1/accesses/undo", W, api_access_undo },
	{ HTTP_GET, "/v1/accesses/{id}", R, api_access_show },
	{ HTTP_GET, "/v1/rules", R, api_rule_list },
	{ HTTP_POST, "/v1/rules/apply", W, api_rule_apply },
	{ HTTP_POST, "/v1/rules/delete", W, api_rule_delete },
	{ HTTP_POST, "/v1/rules/enable", W, api_rule_enable },
	{ HTTP_POST, "/v1/rules/disable", W, api_rule_disable },
	{ HTTP_POST, "/v1/rules/lint", R, api_rule_lint }, /* changes nothing */
	{ HTTP_GET, "/v1/rules/{name}", R, api_rule_show },
	{ HTTP_GET, "/v1/rules/{namespace}/{name}", R, api_rule_show },
	{ HTTP_GET, "/v1/rules/{kind}/{namespace}/{name}", R, api_rule_show },
	{ HTTP_GET, "/v1/export/rules", R, api_rule_export },
	{ HTTP_GET, "/v1/modes", R, api_mode_list },
	{ HTTP_POST, "/v1/modes/set", W, api_mode_set },
	{ HTTP_POST, "/v1/modes/unset", W, api_mode_unset },
	{ HTTP_GET, "/v1/quarantines", R, api_quarantine_list },
	{ HTTP_POST, "/v1/quarantines", W, api_quarantine_add },
	{ HTTP_POST, "/v1/quarantines/release", W, api_quarantine_release },
	{ HTTP_GET, "/v1/flows", R, api_flow_list },
	{ HTTP_GET, "/v1/alerts", R, api_alert_list },
	{ HTTP_POST, "/v1/alerts/ack", W, api_alert_ack },
	{ HTTP_GET, "/v1/events", R, api_event_list },
	{ HTTP_GET, "/v1/explain", R, api_explain },
	{ HTTP_GET, "/v1/query", R, api_query },
	{ HTTP_POST, "/v1/simulate", R, api_simulate }, /* changes nothing */
	{ HTTP_POST, "/v1/diff", R, api_diff }, /* likewise */
	{ HTTP_GET, "/v1/shadow", R, api_shadow_show },
	{ HTTP_POST, "/v1/shadow", W, api_shadow_start },
	{ HTTP_DELETE, "/v1/shadow", W, api_shadow_stop },
	{ HTTP_GET, "/v1/topology", R, api_topology },
	{ HTTP_GET, "/v1/topology/diff", R, api_topology_diff },
	{ HTTP_GET, "/v1/changes", R, api_change_list },
	{ HTTP_GET, "/v1/changes/{generation}", R, api_change_show },
	{ HTTP_POST, "/v1/changes/{generation}/confirm", W, api_change_confirm },
	{ HTTP_POST, "/v1/changes/{generation}/revert", W, api_change_revert },
	{ HTTP_POST, "/v1/changes/{generation}/rollback", W, api_change_rollback },
};
const size_t api_nroutes = ARRAY_SIZE(api_routes);

static void handle(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	struct controller *c = arg;
	struct api a = { .c = c, .rq = rq, .x = x };
	cJSON *j = NULL;
	int status = 500;

	if (api_run(&a, (size_t)(rq->route - c->routes), &status, &j) != API_ANSWERED) {
		if (a.text)
			http_reply_text(x, status, a.text_type, a.text, strlen(a.text));
		else
			http_reply_json(x, status, j);
	}
	cJSON_Delete(j);
	api_done(&a);
}

int controller_routes(struct controller *c, struct http_server *srv)
{
	c->routes = calloc(api_nroutes, sizeof(*c->routes));
	if (!c->routes)
		return -ENOMEM;
	for (size_t i = 0; i < api_nroutes; i++)
		c->routes[i] = (struct http_route){ api_routes[i].method, api_routes[i].path, handle, api_routes[i].flags };
	return http_server_routes(srv, c->routes, api_nroutes, c);
}
