/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink.h - the agent's end of the wire: keeps one connection to a controller, puts the state it
 * hands down in force through struct node_ops, and sends up what the node reports.
 *
 * The controller may be away, and the agent may be restarted meanwhile: the last state that was
 * applied is on disk and in force again before the network is asked, and reports wait in a
 * bounded spool on disk until they are acknowledged. Everything runs on the loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/fail.h"
#include "controller/node.h"
#include "store/spool.h"

struct uplink;

#define UPLINK_CONTROLLERS_MAX 16u
#define UPLINK_SPOOL_BYTES (64u << 20)
#define UPLINK_RETRY_MS 200u
#define UPLINK_RETRY_MAX_MS 10000u

/* Borrowed during uplink_new() only. Zero and NULL mean the default. */
struct uplink_config {
	const char *node;		/* this node's name, also in its certificate; required */
	const char *const *controllers;	/* "HOST:PORT", "HOST", "[V6]:PORT"; tried in order */
	size_t ncontrollers;
	const char *state_dir;		/* required */
	const char *ca;			/* file: whom to believe; required */
	const char *cert, *key;		/* files, read again when they change; NULL: asked for with the token */
	const char *token;		/* file of the service account token to ask with */
	uint64_t spool_bytes;		/* UPLINK_SPOOL_BYTES */
	const struct addr *node_addrs;	/* this node's own, whatever the controller knows */
	size_t nnode_addrs;
	unsigned version_min, version_max; /* of the protocol; tests pass others */
};

/*
 * Opens the spool and reads the snapshot. A damaged file is told through f as a note (the call still
 * returns 0) and left out. The node's sink must be set to uplink_sink() with the uplink as argument.
 */
int uplink_new(uv_loop_t *loop, const struct uplink_config *cfg, const struct node_ops *ops, void *node,
	       struct fail_list *f, struct uplink **ret);
/* What the node reports to: accesses() and epoch_done() return 0 once they are in the spool on disk. */
const struct node_sink *uplink_sink(void);
/* Puts the snapshot in force, attaches what was attached, and begins to connect. A snapshot that the node
 * refuses is told in f and the error returned; the uplink goes on. */
int uplink_start(struct uplink *u, struct fail_list *f);
/* Sends what waits, if it can at once, and closes. Asynchronous, idempotent. */
void uplink_close(struct uplink *u, void (*done)(void *arg), void *arg);

struct uplink_status {
	const char *state;		/* "connected", "connecting", "waiting", "enrolling", "closed" */
	char controller[64], address[128]; /* its name; where it is, or where it was tried last */
	char problem[256];		/* why it is not connected, or why the last state was refused; "" */
	int64_t since_ns;		/* of `state`, Unix time; 0: never yet */
	bool applied;			/* the state received last is in force */
	uint64_t revision, generation;	/* held; of the state in force */
	bool from_disk;			/* nothing was heard of a controller since the start */
	int64_t cert_until_s;		/* 0: no certificate yet */
	struct spool_figures spool;
	uint64_t events_dropped, notes_dropped, connects;
};
void uplink_status_get(const struct uplink *u, struct uplink_status *ret);

/* The state received last, with this node's name; borrowed until uplink_state_done(), in which time the loop must
 * not run. Empty before the first. 0, -ENOMEM. */
int uplink_state(const struct uplink *u, struct policy_state *ret);
void uplink_state_done(struct policy_state *st);

/* Milliseconds to wait before try `n` (0: the first), `rnd` random. Pure. */
uint32_t uplink_backoff_ms(unsigned n, uint32_t rnd);
/* "HOST:PORT" and its other forms; host: 256 bytes, port: 8. -EINVAL. Pure. */
int uplink_address_parse(const char *s, char *host, char *port);
