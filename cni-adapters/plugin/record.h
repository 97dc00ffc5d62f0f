/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - attachments noted in a directory beside the agent's socket, one file each. The plugin
 * writes and removes them; the agent reads them when it starts, and so learns of workloads that
 * came while it was away. On /run: what they speak of does not outlive a boot either.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CNI_RECORD_MAX ((1u << 20) + 16384u)	/* bytes of one */

/* "CONTAINERID.IFNAME". -E2BIG. */
int cni_record_name(const char *id, const char *ifname, char *out, size_t max);
/* Makes the directory (0700) where it is missing; -EPERM if it is open to others. */
int cni_record_put(const char *dir, const char *id, const char *ifname, const char *body, size_t len);
/* Absent: 0. */
int cni_record_del(const char *dir, const char *id, const char *ifname);
