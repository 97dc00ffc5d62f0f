/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lead.h - which of several controllers leads: the one that holds a Lease of the Kubernetes API server. A
 * leader that cannot renew it in time has to stop before any other can hold it.
 */
#pragma once

#include <uv.h>

#include "base/fail.h"
#include "config/config.h"

struct lead;

struct lead_ops {
	void (*started)(void *arg);	/* we lead, once */
	void (*lost)(void *arg);	/* and no longer do: stop now */
};

/* A candidate from now on. cfg is borrowed. -EINVAL where there is no Kubernetes. */
int lead_new(uv_loop_t *loop, const struct config *cfg, const struct lead_ops *ops, void *arg, struct fail_list *f,
	     struct lead **ret);
/* Who leads, as far as is known; "" nobody. */
const char *lead_who(const struct lead *l);
/* Gives the lease back if we hold it (lost() is not called then). */
void lead_close(struct lead *l, void (*done)(void *arg), void *arg);
