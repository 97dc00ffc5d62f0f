/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory.h - workloads and namespaces that somebody declared: through the API, or in a watched
 * YAML file. The file replaces what it declared before and never touches what the API declared.
 */
#pragma once

#include "controller/priv.h"

#define INVENTORY_BYTES_MAX (16u << 20)
#define INVENTORY_DELAY_MS 200u /* editors and tools write in steps */

/* Remembers who declared a thing and where a workload is attached. 0, -ENOMEM. */
int inventory_declare(struct controller *c, const char *ns, const char *name, const char *netns,
		      enum inventory_source source);
/* The end of that. */
void inventory_forget(struct controller *c, const char *ns, const char *name);
/* Adds or replaces a workload of the state (copied). Keeps the addresses found so far when `w` has
 * none. Takes time by the workload alone, not by how many there are. */
int inventory_put(struct controller *c, const struct workload *w, const char *netns, enum inventory_source source);
/* Detaches and forgets. -ENOENT. */
int inventory_remove(struct controller *c, const char *ns, const char *name);
/* Refuses a declaration by hand of what the inventory file or the cluster declares: 0 or -EEXIST.
 * what: "workload", "service", "namespace". */
int inventory_by_hand(const struct declared *d, const char *what, const char *name, struct fail_list *f);
/* Same name, netns, labels, owner, account, ports: nothing to do. */
bool inventory_same(const struct controller *c, const struct workload *w, const char *netns);
/* Reads the file now. 0, or a negative errno with the faults in f; nothing is changed then. */
int inventory_load(struct controller *c, struct fail_list *f);
/* Reads and watches. */
void inventory_watch(struct controller *c);

/* api_namespaces.c */
int namespace_put(struct controller *c, const struct namespace *n, enum inventory_source source);
int namespace_remove(struct controller *c, const char *name); /* -ENOENT */
/* Declared ones and those that workloads are in, sorted. */
int namespaces_known(const struct controller *c, struct words *ret);
