/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svc_maps.h - what stands behind service addresses. An entry is replaced as a whole and names
 * slots that were written before it; whether there is any entry at all is told in cw_ctl, so that
 * a node without services asks nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "maps/maps.h"

/* cw_backends[index .. index + n); -ERANGE beyond the table, nothing written. */
int backends_store(struct maps *m, uint32_t index, const struct cw_backend *v, size_t n);
int backend_load(const struct maps *m, uint32_t index, struct cw_backend *ret);
/* Adds or replaces. -ENOSPC: full; -EINVAL: no backends or too many. */
int svc_map_set(struct maps *m, const struct cw_svc_key *k, const struct cw_svc *v);
int svc_map_del(struct maps *m, const struct cw_svc_key *k); /* an absent key is no error */
int svc_map_get(const struct maps *m, const struct cw_svc_key *k, struct cw_svc *ret); /* -ENOENT */
uint32_t svc_map_count(const struct maps *m); /* as the data path sees it */
