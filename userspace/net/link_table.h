/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_table.h - the interfaces of one namespace as plain data.
 *
 * A table is a dump folded from the same changes that a watcher reports (link_watch.h), so it
 * can be kept current with link_table_apply. All but link_table_fill and link_nsid_ask are
 * pure; tests and adapters use literals.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "net/netns.h"

#define LINK_NAME_MAX 16u	/* IFNAMSIZ */
#define LINK_KIND_MAX 16u	/* longer kinds are cut */
#define LINK_TABLE_MAX 65536u	/* interfaces of one namespace */
#define LINK_ADDRS_MAX 256u	/* addresses of one interface: a pod can add any number */
#define LINK_NSIDS_MAX 65536u
#define LINK_FILL_TRIES 4u

/* Numbers that a namespace has given to others; its own view, not comparable between two. */
#define LINK_NSID_OWN (-1)	/* the same namespace */
#define LINK_NSID_NONE (-2)	/* another one, without a number */

struct link_addr {
	struct addr addr;
	uint8_t plen;		/* within its own family: 0..32 or 0..128 */
	uint8_t v6;
	uint8_t scope;		/* RT_SCOPE_*: 253 is link-local */
	uint32_t flags;		/* IFA_F_* */
};

struct link {
	uint32_t ifindex;
	uint32_t flags;		/* IFF_UP, IFF_LOOPBACK, ... */
	uint32_t mtu;
	uint32_t master;	/* ifindex of the bridge, bond, ...; 0 none */
	uint32_t lower;		/* IFLA_LINK: a veth's peer, a macvlan's parent; 0 none */
	int32_t lower_nsid;	/* where `lower` counts: a number, or LINK_NSID_OWN, _NONE */
	uint16_t type;		/* ARPHRD_* */
	uint8_t mac[6];		/* zero unless the address has six bytes */
	char name[LINK_NAME_MAX];
	char kind[LINK_KIND_MAX];	/* "veth", ...; "" for hardware and loopback */
	struct link_addr *addrs;
	size_t naddrs;
	uint32_t addrs_refused;	/* beyond LINK_ADDRS_MAX */
};

/* What a number that this namespace has given to another one stands for. */
struct link_nsid {
	int32_t nsid;
	struct netns_key key;
};

struct link_table {
	struct netns_key key;
	struct link *v;		/* ascending ifindex */
	size_t n, cap;
	struct link_nsid *nsids;
	size_t nnsids, nsids_cap;
	uint32_t refused;	/* interfaces beyond LINK_TABLE_MAX */
	bool torn;		/* changed while it was read: an interface may be missing */
};

enum link_change_kind {
	LINK_SET,	/* new or changed; `link` is complete but for its addresses */
	LINK_GONE,	/* deleted, or moved away; link.ifindex, link.name */
	LINK_ADDR_SET,	/* `addr` on link.ifindex: new or changed */
	LINK_ADDR_GONE,
	LINK_NSID_SET,	/* `nsid` was given to a namespace */
	LINK_NSID_GONE,	/* the namespace with `nsid` is gone */
};

struct link_change {
	enum link_change_kind kind;
	int32_t in_nsid;	/* where: LINK_NSID_OWN, or a number of the watched namespace's */
	struct link link;	/* addrs is never set */
	struct link_addr addr;
	int32_t nsid;
	/* LINK_GONE by a move: where to, as the old namespace counts; ifindex 0 if not told. */
	bool moved;
	uint32_t moved_ifindex;
	int32_t moved_nsid;
};

/* What link_table_apply found different; several may be set. */
#define LINK_IS_NEW 0x01u
#define LINK_IS_GONE 0x02u
#define LINK_RENAMED 0x04u
#define LINK_UPDOWN 0x08u	/* IFF_UP or IFF_RUNNING */
#define LINK_REMASTERED 0x10u
#define LINK_REPEERED 0x20u	/* lower or its namespace; with LINK_IS_*: of its other end */
#define LINK_MAC_CHANGED 0x40u
#define LINK_REMADE 0x80u	/* the number names another kind of device now */
#define LINK_ADDRS_CHANGED 0x100u
#define LINK_NSIDS_CHANGED 0x200u
#define LINK_OTHER 0x400u	/* mtu, other flags */

/*
 * Full dump of a namespace (fd -1: own): interfaces and addresses. Blocks for the exchange;
 * 10,000 interfaces take tens of milliseconds. The caller releases *ret with link_table_done.
 * While interfaces come and go the dump is tried LINK_FILL_TRIES times; a last one that was
 * disturbed too is given all the same, marked `torn`: use it, and dump again soon.
 */
int link_table_fill(int netns_fd, struct link_table *ret);
void link_table_done(struct link_table *t); /* leaves it empty and usable; for auto_cleanup too */

/* The number that one namespace has given to another. -ENOENT: none. Blocks shortly. */
int link_nsid_ask(int netns_fd, int other_fd, int32_t *ret);
/* Notes what a number stands for. 0, -ENOMEM, -E2BIG. */
int link_table_set_nsid(struct link_table *t, int32_t nsid, const struct netns_key *key);
/* link_nsid_ask and link_table_set_nsid in one: t is the table of netns_fd. */
int link_table_learn(struct link_table *t, int netns_fd, int other_fd);

/*
 * Folds one change in; *ret_what (may be NULL) says what is different now. A change that is
 * already in the table, or an address of an unknown interface, gives 0 and no difference: the
 * changes queued while a dump ran may be applied to it in order. Does not look at in_nsid:
 * the caller picks the table. The kernel is silent about the other end of a pair when one end
 * moves; where the other end is in the table and the move starts or ends here, it follows. A move
 * between two other namespaces shows in the next dump only. -ENOMEM, or -E2BIG at a limit
 * (counted).
 */
int link_table_apply(struct link_table *t, const struct link_change *c, uint32_t *ret_what);

/* NULL when absent. Valid until the table changes. */
const struct link *link_table_get(const struct link_table *t, uint32_t ifindex);
const struct link *link_table_find(const struct link_table *t, const char *name);
/* The key that a number stands for, or NULL. LINK_NSID_OWN gives the table's own key. */
const struct netns_key *link_table_nsid(const struct link_table *t, int32_t nsid);

/*
 * The other end of a veth or netkit pair, looked up in `tables` (which may include t). Both ends
 * must name each other, so a stale table or a reused number gives no peer. It is enough that one
 * of the two namespaces knows the other's number. NULL: not found, or not such a device.
 */
const struct link *link_table_peer(const struct link_table *t, const struct link *l,
				   const struct link_table *tables, size_t ntables,
				   const struct link_table **ret_table);
/* A veth or netkit device: has a peer. */
bool link_is_pair(const struct link *l);
