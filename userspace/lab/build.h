/* SPDX-License-Identifier: Apache-2.0 */
/* build.h - inside of the lab room: making and unmaking the network. */
#pragma once

#include "lab/dirs.h"

/* Namespaces, bridge, links, addresses, routes, servers. On failure the caller takes it down. */
int lab_build(const struct lab_dirs *d, struct fail_list *f);

struct lab_unbuilt {
	size_t processes, namespaces, files; /* removed */
	size_t left_processes, left_links, left_namespaces, left_files; /* links: in namespaces that live on */
	char who[256]; /* foreign processes that are still inside: "cellwalld (1234)" */
};
/* Removes whatever of a lab is in its folder, the folder included. */
void lab_unbuild(const struct lab_dirs *d, struct lab_unbuilt *ret);
