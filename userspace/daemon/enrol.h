/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enrol.h - who may have a certificate: an agent that shows a service account token of this
 * installation, made for us (audience `cellwall`) and bound to a pod that runs on the node it names. The
 * API server is asked about both.
 */
#pragma once

#include <uv.h>

#include "base/fail.h"
#include "config/config.h"
#include "wire/ca.h"

struct enrol;
struct fleet_enrol;

#define ENROL_AUDIENCE "cellwall"
#define ENROL_ACCOUNT "cellwall-agent"	/* in the controller's own namespace */
#define ENROL_WAITING_MAX 256u

/* *ret is NULL, and the call 0, where there is no Kubernetes to ask. cfg and ca are borrowed. */
int enrol_new(uv_loop_t *loop, const struct config *cfg, const struct ca *ca, struct fail_list *f, struct enrol **ret);
/* Answers e now or later. */
void enrol_ask(struct enrol *n, struct fleet_enrol *e, const char *node, const char *token, const char *csr);
void enrol_close(struct enrol *n, void (*done)(void *arg), void *arg);
