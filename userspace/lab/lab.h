/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab.h - the practice network behind `cellwall lab`: namespaces shop, data and ops with ten
 * workloads on a dual-stack bridge, an outside world, real servers and clients, an attacker.
 *
 * Everything lives in network namespaces of its own: a "node" namespace holds the bridge and the
 * host ends of the pairs (cellwalld runs inside it), one namespace per workload, one for the
 * outside. Nothing is made in the caller's namespace. All that is made is written to the state
 * file before it is made, so that lab_down() removes it also after a crash.
 *
 * All calls block (seconds) and need root. They return 0 or a negative errno with the fault in
 * `f`; results are trees that the caller frees with cJSON_Delete.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/json.h"

#define LAB_DIR_DEFAULT "/run/cellwall-lab"
#define LAB_SECONDS_MAX 3600u
#define LAB_PROBES_MAX 1000000u

struct lab_options {
	const char *dir;    /* absolute; state, handles of the namespaces, status files; NULL: default */
	const char *helper; /* program of the workloads; NULL: "cellwall-lab" beside this program,
			     * or in the libexec folder it is installed to */
};

/*
 * Builds the lab. -EEXIST (lab.up): one is up in this directory. On failure everything made so
 * far is taken down again. *ret: {apiVersion, kind: "Lab", dir, node: {netns, bridge}, outside:
 * {netns, addresses}, clusterCIDRs, foldCIDRs, config, server, workloads: [WorkloadInput of the
 * API: namespace, name, netns, labels, controller {kind, name}, serviceAccount, ports [{name, port}],
 * addresses]}. netns are absolute paths: `nsenter --net=PATH cellwalld --config CONFIG` starts a
 * daemon where it belongs, beside any other; its configuration and inventory are written there.
 */
int lab_up(const struct lab_options *o, struct fail_list *f, cJSON **ret);

/* What lab_up answered, plus processes: [{name, pid, alive}]. -ENOENT (lab.down): none is up. */
int lab_list(const struct lab_options *o, struct fail_list *f, cJSON **ret);

enum lab_plan {
	LAB_NORMAL, /* what the workloads do all day: 16 accesses, 3 of which nobody ever answers */
	LAB_ATTACK, /* the attacker tries db, scans and forges; the others go on as in LAB_NORMAL */
};
struct lab_traffic_options {
	enum lab_plan plan;
	uint32_t seconds; /* 1..LAB_SECONDS_MAX */
	uint32_t probes;  /* LAB_ATTACK: scan probes, 0: 4,096 */
	uint32_t forged;  /* LAB_ATTACK: packets with a forged source, 0: 40 */
	bool quiet;	  /* LAB_ATTACK: the others keep still */
};
/*
 * Runs the clients for that long and collects. *ret: {apiVersion, kind: "LabTraffic", plan,
 * seconds, accesses: [{src, dst, srcGroup, dstGroup, dstName?, port, families: [4, 6], answers,
 * requests, answered}] (answers: somebody is there to answer), namespaces: [{name, requests,
 * expected, answered}] (by who asks, "outside" is one; expected: requests that have a server),
 * attack: {probes, delivered, forged, forgedDelivered, dbTries, dbAnswered, captureLost}}; quiet:
 * no accesses. src and dst are pods
 * ("shop/pod/web-1") or outside addresses; the groups are what a rule or a learned access says
 * ("shop/deploy/web", "198.51.100.0/24"). `delivered` is counted by packet sockets at the victims,
 * not by the attacker. A plan gives the same list every time.
 */
int lab_traffic(const struct lab_options *o, const struct lab_traffic_options *t, struct fail_list *f,
		cJSON **ret);

/*
 * Ends the lab's processes and removes its namespaces, links, mounts and files; works on what is
 * there. *ret: {apiVersion, kind: "LabDown", removed: {processes, namespaces, files}, left: {links,
 * namespaces, processes, files}}. Links: of namespaces that live on. 0 when nothing was up (all
 * counts 0); -EBUSY (lab.left) when something could not be removed.
 */
int lab_down(const struct lab_options *o, struct fail_list *f, cJSON **ret);
