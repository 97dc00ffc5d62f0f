/* SPDX-License-Identifier: Apache-2.0 */
/* cni.h - the chained CNI plugin from the configuration. */
#pragma once

#include "base/fail.h"
#include "config/config.h"

struct agent;
struct http_server;

/* Where the plugin notes attachments: beside the API's socket. malloc'ed; NULL: no memory. */
char *daemon_cni_dir(const struct config *c);
/* The plugin's routes, and its place in the node's network configuration if cni.install says so. Before
 * the server listens. */
int daemon_cni_open(struct agent *a, const struct config *c, struct http_server *srv, struct fail_list *f);
/* Out of the node's network configuration, then the program, the notes, and what a killed process left
 * switched on. 0, or a negative errno with faults in f. */
int daemon_cni_uninstall(const struct config *c, struct fail_list *f);
