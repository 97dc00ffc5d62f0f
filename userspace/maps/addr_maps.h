/* SPDX-License-Identifier: Apache-2.0 */
/* addr_maps.h - addresses, prefixes, endpoints, listeners, XDP shield. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "maps/maps.h"

/* Exact address. `used` of a standing entry is kept unless the eid or group differs. -ENOSPC full;
 * -EINVAL an unknown realm. */
int addr_map_set(struct maps *m, uint32_t zone, const struct addr *a, const struct cw_addr *v);
int addr_map_get(const struct maps *m, uint32_t zone, const struct addr *a, struct cw_addr *ret); /* -ENOENT */
int addr_map_del(struct maps *m, uint32_t zone, const struct addr *a); /* absent: 0 */
int addr_map_walk(const struct maps *m, bool v6,
		  int (*fn)(void *arg, uint32_t zone, const struct addr *a, const struct cw_addr *v), void *arg);

/* Prefix; looked at when no exact entry stands. */
int net_map_set(struct maps *m, uint32_t zone, const struct prefix *p, const struct cw_addr *v);
/* That prefix; -ENOENT. */
int net_map_get(const struct maps *m, uint32_t zone, const struct prefix *p, struct cw_addr *ret);
/* The longest prefix that holds the address; -ENOENT. */
int net_map_match(const struct maps *m, uint32_t zone, const struct addr *a, struct cw_addr *ret);
int net_map_del(struct maps *m, uint32_t zone, const struct prefix *p); /* absent: 0 */
/* Neither walk may set or delete what it walks. fn's non-zero return ends and is returned. */
int net_map_walk(const struct maps *m, bool v6,
		 int (*fn)(void *arg, uint32_t zone, const struct prefix *p, const struct cw_addr *v), void *arg);

/* Endpoints: index 1..room.eps-1; 0 is "none". -ERANGE; -EINVAL for a workload number of 0. */
int ep_map_set(struct maps *m, uint32_t ep, const struct cw_ep *v);
/* What speaks for a workload's endpoints changed: group and eid of all of them. Returns how many. */
int ep_map_wl(struct maps *m, uint32_t wl, uint32_t group, uint32_t eid);
int ep_map_get(const struct maps *m, uint32_t ep, struct cw_ep *ret); /* -ENOENT: a zeroed entry */
int ep_map_clear(struct maps *m, uint32_t ep);

/* Probe frames that the endpoint's hook of this way has seen since the set was made. Any thread. */
uint64_t probe_map_read(const struct maps *m, uint32_t ep, bool from_pod);

/* Listeners of one workload's own sockets; port in host order. */
int listen_map_set(struct maps *m, uint32_t wl, uint8_t proto, bool v6, uint16_t port);
int listen_map_del(struct maps *m, uint32_t wl, uint8_t proto, bool v6, uint16_t port);
/* Deletes all of a workload that gave back its number. Returns how many. */
int listen_map_clear(struct maps *m, uint32_t wl);

/* XDP shield of a device of the node; its prefixes are its own. value: see cw_xdp. */
int shield_map_set(struct maps *m, uint32_t ifindex, const struct cw_shield *v);
int shield_map_del(struct maps *m, uint32_t ifindex);
int shield_net_set(struct maps *m, uint32_t ifindex, const struct prefix *p, uint32_t value);
int shield_net_del(struct maps *m, uint32_t ifindex, const struct prefix *p);
