/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - one node's programs and maps, without the agent around them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fail.h"
#include "cw_abi.h"
#include "loader/hooks.h"
#include "maps/maps.h"

struct kernel;
struct policy_set;

/*
 * Enters a mount namespace with a BPF file system of its own, for the whole process and once: pins
 * are gone with it. Before any thread is started. With netns: a network namespace too.
 */
int kernel_enter(bool netns, struct fail_list *f);
/* `attached`: activates the programs and opens the table of hooks. Some hundred milliseconds. */
int kernel_new(bool attached, struct fail_list *f, struct kernel **ret);
void kernel_free(struct kernel *k);

struct maps *kernel_maps(struct kernel *k);
struct hooks *kernel_hooks(struct kernel *k);

/* The endpoint of a workload by what the set knows of it; -ENOENT: the set has no such workload. */
int kernel_ep_put(struct kernel *k, const struct policy_set *set, const char *ns, const char *name, uint32_t ep,
		  const uint8_t mac[6], uint32_t ifindex);
int kernel_ep_clear(struct kernel *k, uint32_t ep);
/* As if the workload had just resolved the name to the address; class by what the set's rules say. */
int kernel_name_put(struct kernel *k, const struct policy_set *set, const char *ns, const char *name,
		    const struct addr *a, const char *domain);
int kernel_names_clear(struct kernel *k);
/* The main program on a frame at an endpoint's hook; its return value, or a negative errno less
 * than -1 (which is the program's "no objection"). */
int kernel_run(struct kernel *k, uint32_t ep, bool from_pod, const void *frame, uint32_t len);
#define KERNEL_PASS (-1)
