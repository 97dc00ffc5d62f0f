/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - leader election on a coordination.k8s.io/v1 Lease. Clocks of different machines are
 * never compared: whether a holder still renews is judged by when *we* saw its record change last.
 *
 * A leader that cannot renew within renew_ms has stopped() called before any other can hold the
 * lease (renew_ms < duration_ms), which is what makes leadership exclusive.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/client.h"

struct kube_lease;

struct kube_lease_spec {
	const char *namespace_, *name;
	const char *identity;  /* unique among candidates: pod name + "_" + random */
	uint32_t duration_ms;  /* 0: 15000; whole seconds */
	uint32_t renew_ms;     /* 0: 10000; less than duration_ms */
	uint32_t retry_ms;     /* 0: 2000; less than renew_ms */
	uint64_t (*now_ms)(void *arg); /* monotonic; NULL: the loop's. Tests skew it */
};

struct kube_lease_ops {
	void (*started)(void *arg); /* we lead */
	void (*stopped)(void *arg); /* we lead no longer: lost, or released */
	void (*leader)(void *arg, const char *identity); /* whom we see leading, when it changes; "" nobody. May be NULL */
	/* One line about a failed try; may be NULL. */
	void (*fault)(void *arg, int err, const char *text);
};

/* Candidates from now on. Copies. 0, -EINVAL (names, times), -ENOMEM. */
int kube_lease_new(struct kube_client *c, const struct kube_lease_spec *spec, const struct kube_lease_ops *ops,
		   void *arg, struct kube_lease **ret);
/*
 * A leader's stopped() is called at once; then the lease is given back (best effort, at most
 * retry_ms), so that the next leader need not wait; then closed(arg), which may be NULL. The client
 * must stay until then.
 */
void kube_lease_close(struct kube_lease *l, void (*closed)(void *arg), void *arg);
bool kube_lease_leading(const struct kube_lease *l);
const char *kube_lease_leader(const struct kube_lease *l); /* "" unknown */
