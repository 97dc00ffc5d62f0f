/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.h - the process and its parts. Which of them there are follows from the role:
 *
 *   all         agent and controller, joined directly; with controller.listen also a fleet
 *   agent       agent, uplink to a controller elsewhere, the node's own read-only API
 *   controller  controller over a fleet of agents elsewhere; no BPF, no privileges
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/fail.h"
#include "config/config.h"

struct agent;
struct controller;
struct fleet;
struct http_server;
struct kube_config;
struct lead;
struct local_api;
struct tls;
struct uplink;

struct daemon {
	uv_loop_t loop;
	uv_signal_t term, intr, hup;
	struct config cfg;
	const char *cfg_path;
	struct agent *agent;
	struct controller *controller;
	struct fleet *fleet;
	struct tls *tls;	/* credentials of the fleet's end */
	struct uplink *uplink;
	struct lead *lead;	/* of several controllers, which one */
	struct local_api *local;
	struct http_server *http;
	int lock;
	bool stopping, stopped;
	bool failed;		/* to be started again by whoever looks after us */
};

static inline bool daemon_has_agent(const struct daemon *d)
{
	return d->cfg.role != CONFIG_ROLE_CONTROLLER;
}

static inline bool daemon_has_controller(const struct daemon *d)
{
	return d->cfg.role != CONFIG_ROLE_AGENT;
}

/* run.c: starts all parts, runs until it is told to stop, stops them. 0, or why it did not start. */
int daemon_run(struct daemon *d);
void daemon_print_fails(const struct fail_list *l);

/* parts.c: each part from the configuration. 0, or a negative errno with faults in f. */
int daemon_open_agent(struct daemon *d, struct fail_list *f);
int daemon_open_uplink(struct daemon *d, struct fail_list *f);
int daemon_open_fleet(struct daemon *d, struct fail_list *f);
/* Whether there is a Kubernetes API server to work with. */
bool daemon_has_kube(const struct config *c);
int daemon_kube_config(const struct config *cfg, struct fail_list *f, struct kube_config *ret); /* kube_config_done */
int daemon_open_controller(struct daemon *d, struct fail_list *f);
int daemon_open_api(struct daemon *d, struct fail_list *f); /* of what there is: a controller, an agent, or neither */
