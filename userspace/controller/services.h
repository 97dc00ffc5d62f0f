/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services.h - services that somebody declared, as workloads are: through the API or in the watched
 * file, and neither touches what the other declared.
 */
#pragma once

#include "controller/priv.h"

const struct service *state_service(const struct policy_state *st, const char *ns, const char *name);
/* The first one by its place in the state that a workload is behind, or NULL. */
const struct service *service_of(const struct policy_state *st, const struct workload *w);
/* "shop/svc/web"; malloc'ed. */
char *service_ref(const struct service *s);
/* Adds or replaces (copied); only what the API declares is written to the store. */
int service_put(struct controller *c, const struct service *s, enum inventory_source source);
int service_remove(struct controller *c, const char *ns, const char *name); /* -ENOENT */
/* What a restart finds in the store. */
int services_load(struct controller *c);
/* Would the state with these in it compile? Capacity is refused here by name, before anything is stored. */
int services_check(struct controller *c, const struct service *v, size_t n, struct fail_list *f);
/* Who declared it; NULL: nobody. */
const struct declared *service_declared(const struct controller *c, const char *ns, const char *name);
/* As state_service(&c->state, ...), without a search. */
const struct service *controller_service(const struct controller *c, const char *ns, const char *name);
bool service_same(const struct service *a, const struct service *b);
