/* SPDX-License-Identifier: Apache-2.0 */
/* api_routes.h - the resources of the local API (docs/api/openapi.yaml), one function per route. */
#pragma once

#include "controller/priv.h"

int api_status(struct api *a, cJSON **ret);
int api_version(struct api *a, cJSON **ret);
int api_counters(struct api *a, cJSON **ret);
int api_config(struct api *a, cJSON **ret);
int api_drain(struct api *a, cJSON **ret);
int api_guard_list(struct api *a, cJSON **ret);
int api_node_list(struct api *a, cJSON **ret);
int api_ready(struct api *a, cJSON **ret);

int api_workload_list(struct api *a, cJSON **ret);
int api_workload_show(struct api *a, cJSON **ret);
int api_workload_add(struct api *a, cJSON **ret);
int api_workload_del(struct api *a, cJSON **ret);
int api_namespace_list(struct api *a, cJSON **ret);
int api_namespace_put(struct api *a, cJSON **ret);
int api_namespace_del(struct api *a, cJSON **ret);

int api_service_list(struct api *a, cJSON **ret);
int api_service_add(struct api *a, cJSON **ret);
int api_service_show(struct api *a, cJSON **ret);
int api_service_del(struct api *a, cJSON **ret);

int api_access_list(struct api *a, cJSON **ret);
int api_access_show(struct api *a, cJSON **ret);
int api_access_confirm(struct api *a, cJSON **ret);
int api_access_reject(struct api *a, cJSON **ret);
int api_access_undo(struct api *a, cJSON **ret);

int api_rule_list(struct api *a, cJSON **ret);
int api_rule_show(struct api *a, cJSON **ret);
int api_rule_apply(struct api *a, cJSON **ret);
int api_rule_delete(struct api *a, cJSON **ret);
int api_rule_enable(struct api *a, cJSON **ret);
int api_rule_disable(struct api *a, cJSON **ret);
int api_rule_export(struct api *a, cJSON **ret);
int api_rule_lint(struct api *a, cJSON **ret);

int api_mode_list(struct api *a, cJSON **ret);
int api_mode_set(struct api *a, cJSON **ret);
int api_mode_unset(struct api *a, cJSON **ret);

int api_quarantine_list(struct api *a, cJSON **ret);
int api_quarantine_add(struct api *a, cJSON **ret);
int api_quarantine_release(struct api *a, cJSON **ret);

int api_flow_list(struct api *a, cJSON **ret);
int api_alert_list(struct api *a, cJSON **ret);
int api_alert_ack(struct api *a, cJSON **ret);
int api_event_list(struct api *a, cJSON **ret);

int api_explain(struct api *a, cJSON **ret);
int api_query(struct api *a, cJSON **ret);
int api_simulate(struct api *a, cJSON **ret);
int api_diff(struct api *a, cJSON **ret);
int api_shadow_show(struct api *a, cJSON **ret);
int api_shadow_start(struct api *a, cJSON **ret);
int api_shadow_stop(struct api *a, cJSON **ret);
int api_topology(struct api *a, cJSON **ret);
int api_topology_diff(struct api *a, cJSON **ret);

int api_change_list(struct api *a, cJSON **ret);
int api_change_show(struct api *a, cJSON **ret);
int api_change_confirm(struct api *a, cJSON **ret);
int api_change_revert(struct api *a, cJSON **ret);
int api_change_rollback(struct api *a, cJSON **ret);

/* Where the mode in force for a workload is set: default, cluster, namespace, controller, workload, label. */
const char *mode_from_word(const struct policy_state *st, const struct workload *w);
/* REF of something that must exist; -ENOENT ref.not-found with a suggestion. `at` names the argument. */
int api_ref_exists(struct api *a, const struct ref *r, const char *at);
