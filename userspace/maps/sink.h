/* SPDX-License-Identifier: Apache-2.0 */
/* sink.h - where the compiler's writes go. */
#pragma once

#include "maps/maps.h"
#include "policy/compile.h"

/* Fills in a sink that writes into m; m must outlive it. Its settle() blocks for a grace period. It has no
 * names_reclass(): what class a name has is asked of the set. */
void maps_sink(struct maps *m, struct policy_sink *ret);
/* The room as the compiler wants it. */
void maps_limits(const struct maps *m, struct policy_limits *ret);
