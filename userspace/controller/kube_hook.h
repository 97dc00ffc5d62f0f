/* SPDX-License-Identifier: Apache-2.0 */
/* kube_hook.h - what the pipeline tells Kubernetes; with a NULL kube all of it does nothing. */
#pragma once

#include "controller/change.h"

struct kube;

/* False: the inventory is not whole yet, so that nothing may be handed to nodes. */
bool kube_may_push(const struct kube *k);
/* A change while it may not: 0, or -EAGAIN with a fault. */
int kube_may_change(const struct kube *k, const char *what, struct fail_list *f);
/* Before a change is looked at: settings made by command get the name of the object they become. */
int kube_name_modes(const struct kube *k, struct policy_state *next);
/* A change is in force. items: its lines. */
void kube_committed(struct kube *k, const struct change_req *q, const struct change_items *items);
/* A name declared by hand is free again. what: workload, service, namespace (its name in ns, name ""). */
void kube_released(struct kube *k, const char *what, const char *ns, const char *name);
void kube_tick(struct kube *k);
/* For `status`; NULL: Kubernetes is not used. */
struct cJSON *kube_json(const struct kube *k);
/* Ends it; closed() once, at once when k is NULL. */
void kube_close(struct kube *k, void (*closed)(void *arg), void *arg);
void kube_free(struct kube *k);
