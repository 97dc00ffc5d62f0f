/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory.h - workloads and namespaces that somebody declared: through the API, or in a watched
 * YAML file. The file replaces what it declared before and never touches what the API declared.
 */
#pragma once

#include "controller/priv.h"

#define INVENTORY_BYTES_MAX (16u << 20)
#define INVENTORY_DELAY_MS 200u /* editors and tools write in steps */

/* Remembers where a workload is attached. 0, -ENOMEM. */
int inventory_declare(struct controller *c, const char *ns, const char *name, const char *netns, bool from_file);
/* Adds or replaces a workload of the state (copied); a file's are not written to the store. Keeps the
 * addresses found so far when `w` has none. */
int inventory_put(struct controller *c, const struct workload *w, const char *netns, bool from_file);
/* Detaches and forgets. -ENOENT. */
int inventory_remove(struct controller *c, const char *ns, const char *name);
/* Same name, netns, labels, owner, account, ports: nothing to do. */
bool inventory_same(const struct controller *c, const struct workload *w, const char *netns);
/* Reads the file now. 0, or a negative errno with the faults in f; nothing is changed then. */
int inventory_load(struct controller *c, struct fail_list *f);
/* Reads and watches. */
void inventory_watch(struct controller *c);

/* api_namespaces.c */
int namespace_put(struct controller *c, const struct namespace *n, bool from_file);
/* Declared ones and those that workloads are in, sorted. */
int namespaces_known(const struct controller *c, struct words *ret);
