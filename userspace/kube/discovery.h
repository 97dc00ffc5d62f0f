/* SPDX-License-Identifier: Apache-2.0 */
/* discovery.h - what the API server serves: its version, groups, and the resources of named groups. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/client.h"

#define KUBE_GROUPS_SERVED_MAX 512u
#define KUBE_GROUP_VERSIONS_MAX 32u
#define KUBE_RESOURCES_MAX 4096u /* of one group/version */

struct kube_discovery; /* what one round found; opaque, immutable */
struct kube_discoverer;

/*
 * True when "discovery.k8s.io/v1" or "v1" is served. resource NULL: the group/version alone;
 * otherwise one of those asked for when discovering ("accessrules", "pods/status").
 */
bool kube_discovery_has(const struct kube_discovery *d, const char *api, const char *resource);
/* The first of the NULL-terminated list that is served, or NULL: {"discovery.k8s.io/v1",
 * "discovery.k8s.io/v1beta1"}. */
const char *kube_discovery_best(const struct kube_discovery *d, const char *const *apis);
/* "v1.20.2" and its numbers; 0 unknown. */
const char *kube_discovery_version(const struct kube_discovery *d);
unsigned kube_discovery_minor(const struct kube_discovery *d);

struct kube_discovery_spec {
	/* Group/versions whose resources are read where served; NULL-terminated; may be NULL. */
	const char *const *resources_of;
	uint32_t refresh_ms; /* looks again so often; 0: once */
	uint32_t backoff_ms; /* first wait after a failure; 0: 500 ms */
};

/*
 * changed(): the first finding, and each one that differs from the one before (a CRD appeared); d is
 * good until the next changed() or close. fault(): a round failed and is tried again with back-off;
 * a group whose backend is down counts as served without its resources. May be NULL.
 */
struct kube_discovery_ops {
	void (*changed)(void *arg, const struct kube_discovery *d);
	void (*fault)(void *arg, int err, const char *text);
};
int kube_discoverer_new(struct kube_client *c, const struct kube_discovery_spec *spec,
			const struct kube_discovery_ops *ops, void *arg, struct kube_discoverer **ret);
/* Looks again now (after a CRD was applied). */
void kube_discoverer_refresh(struct kube_discoverer *d);
void kube_discoverer_close(struct kube_discoverer *d); /* no callback after this; NULL is fine */
