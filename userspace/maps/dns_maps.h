/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_maps.h - names from DNS answers: whose are believed, which addresses go by which names. The
 * data path makes and renews; what is here removes, and makes for tests and upgrades. Times are the
 * data path's jiffies. One thread; a name is lower case without a dot at its end.
 */
#pragma once

#include "base/addr.h"
#include "cw_dns.h"
#include "maps/maps.h"

/* Whose answers are believed; the longest prefix counts. A prefix of length 0 and CLUSTER stands for
 * every address of the cluster. 0, -EINVAL, -ENOSPC. */
int dns_resolver_set(struct maps *m, const struct prefix *p, enum cw_resolver v);
int dns_resolver_del(struct maps *m, const struct prefix *p); /* absent: 0 */

/* Addresses one workload may have names for. */
void dns_share(struct maps *m, uint32_t names);

/* The number of a name in this set of maps. -EINVAL: not a name (1 to 254 printable bytes). */
int dns_hash(const struct maps *m, const char *name, uint64_t *ret);

/* As if the workload had got an answer. cls is the name's, also of one that stands already.
 * -EINVAL, -EEXIST another name has the number, -ENOSPC a table or the address is full. */
int dns_put(struct maps *m, uint32_t wl, const struct addr *a, const char *name, uint32_t cls, uint32_t now,
	    uint32_t until);
/* Takes a mapping away whatever its age. Absent: 0. */
int dns_del(struct maps *m, uint32_t wl, const struct addr *a);
/*
 * Takes away the names whose time is over at `now`, and the mapping with its last one. An answer that
 * renews it at the same moment wins. 1: the mapping is gone; 0: it lives, or was not there.
 */
int dns_expire(struct maps *m, const struct cw_fqdn_key *k, uint32_t now);

int dns_addr_get(const struct maps *m, uint32_t wl, const struct addr *a, struct cw_fqdn *ret); /* -ENOENT */
int dns_addr_walk(const struct maps *m, int (*fn)(void *arg, const struct cw_fqdn_key *k, const struct cw_fqdn *v),
		  void *arg);
int dns_name_get(const struct maps *m, uint64_t hash, struct cw_dns_name *ret); /* -ENOENT */
int dns_name_walk(const struct maps *m, int (*fn)(void *arg, uint64_t hash, const struct cw_dns_name *v), void *arg);
/* A name's class, if it stands. 0 or -ENOENT. */
int dns_name_class(struct maps *m, uint64_t hash, uint32_t cls);
int dns_name_del(struct maps *m, uint64_t hash); /* absent: 0 */
/* Puts a name back that an answer took up at the moment it was deleted. */
int dns_name_restore(struct maps *m, uint64_t hash, const struct cw_dns_name *v);

/* By enum cw_dns_count, since the set was made. */
int dns_stats(const struct maps *m, uint64_t ret[CW_DNS_COUNTS]);

/*
 * Carries the mappings of another set over, by descriptors of its cw_fqdn and cw_dns_name (borrowed).
 * wl_of gives a workload's number here, 0 for one that is gone; cls_of a name's class. What stands
 * here already stays. -ENOTSUP: tables of another shape. Some milliseconds per 1,000. *ret_addrs: mappings
 * that were made or got more names.
 */
struct dns_carry {
	int fqdn_fd, name_fd;
	uint32_t now;
	uint32_t (*wl_of)(void *arg, uint32_t wl);
	uint32_t (*cls_of)(void *arg, const char *name);
	void *arg;
};
int dns_carry(struct maps *m, const struct dns_carry *c, uint32_t *ret_addrs);
