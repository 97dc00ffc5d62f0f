/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wires.h - a world in network namespaces: one for each pod and node, routed, with static neighbours.
 * Ours, in the middle, is the rest of the world and has the addresses outside:
 *
 *	pod eth0 -- cwj-pN | node | up0 -- cwj-nN | here, addresses outside on lo
 *
 * Namespaces have no names and die with the process. What two worlds in a row share stands on: a
 * pod with the same name, node and addresses is the same pod.
 */
#pragma once

#include <stdint.h>

#include "base/fail.h"
#include "selftests/judge/views.h"
#include "selftests/judge/world.h"

#define WIRES_PODS_MAX 1000u /* endpoints 1..; numbers are used again */

struct wires;

/* In the network namespace of kernel_enter(true). */
int wires_new(struct fail_list *f, struct wires **ret);
void wires_free(struct wires *s);

/* What is not of this world goes, hooks first, and what is missing is made and guarded. */
int wires_put(struct wires *s, const struct world *w, struct view *const views[WORLD_NODES_MAX],
	      struct fail_list *f);
/* Hands the endpoints what the sets know of their pods now. */
int wires_endpoints(struct wires *s, const struct world *w, struct view *const views[WORLD_NODES_MAX],
		    struct fail_list *f);
/* A view's maps go: nothing of it may stand any more. */
void wires_forget(struct wires *s, const struct view *v);

/* The namespace of an end, borrowed; valid until the next wires_put(). */
int wires_netns(const struct wires *s, const struct world_end *e);
