/* SPDX-License-Identifier: Apache-2.0 */
/*
 * named_maps.h - which pattern makes which class of names, and what an address with such a name is
 * judged as. Every function is one short system call. One thread.
 */
#pragma once

#include "maps/maps.h"

/* "pay.example.com" or "*.example.com", lower case, without a dot at the end. 0, -EINVAL, -ENOSPC. */
int pattern_map_set(struct maps *m, const char *pattern, uint32_t cls);
int pattern_map_del(struct maps *m, const char *pattern); /* absent: 0 */
/* Class of a name as the data path finds it. -ENOENT: no pattern matches. */
int pattern_map_match(const struct maps *m, const char *name, uint32_t *ret);

/* An address of identity eid with a name of class cls is judged as `named`. 0, -ENOSPC. */
int named_map_set(struct maps *m, uint32_t eid, uint32_t cls, uint32_t named);
int named_map_del(struct maps *m, uint32_t eid, uint32_t cls); /* absent: 0 */
int named_map_get(const struct maps *m, uint32_t eid, uint32_t cls, uint32_t *ret); /* -ENOENT */

/* Classes that stand; 0: the data path judges no address by names. */
void ctl_names(struct maps *m, uint32_t classes);
