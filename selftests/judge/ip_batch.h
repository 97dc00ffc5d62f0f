/* SPDX-License-Identifier: Apache-2.0 */
/* ip_batch.h - links, addresses and routes by iproute2, inside a namespace. */
#pragma once

#include <stdbool.h>

#include "base/fail.h"

/* Runs `ip -batch` on those lines in the namespace (-1: our own) and waits. force: goes on after errors
 * and keeps quiet. 0; -EIO with what ip said; -ENOENT when it is missing. */
int ip_batch(int netns, const char *lines, bool force, struct fail_list *f);
