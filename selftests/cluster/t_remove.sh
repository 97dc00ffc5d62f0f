#!/usr/bin/env bash
# t_remove.sh BUILD - taken away with kubectl, the nodes are as they were before t_deploy.sh.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/deploy.sh"
before=${TMPDIR:-/tmp}/cw-cluster.before
pods_known && probe_build || exit 1

# Enforcement outlives the pods. They have 10 s to end, but a kubelet that has just seen them killed several times
# takes its time to notice.
without_agents() {
	kc -n $SYS delete ds/cellwall-agent deploy/cellwall-controller --wait=true >/dev/null &&
		kc -n $SYS wait --for=delete pod --all --timeout=60s
}
still() { # what is pinned judges on
	[ "$("$LAB/ctl.sh" node 1 find /sys/fs/bpf/cellwall -name 'prog_cw_main' | wc -l)" -gt 0 ]
}
clean() {
	kc apply -k "$TOP/manifests/uninstall" >/dev/null && kc -n $SYS rollout status ds/cellwall-uninstall --timeout=60s || { deploy_why; return 1; }
	kc delete -k "$TOP/manifests/uninstall" --wait=true >/dev/null
}
api() { kc delete -k "$TOP/manifests/overlays/all-in-one" --ignore-not-found --wait=true >/dev/null; eq "$(kc get crd -o name | grep -c cellwall.io)" 0; }
as_before() { "$(dirname "$0")/node_state.sh" | diff "$before" -; }
traffic() { says x/a "tcp:${POD_IP[y/b]}:80" OK && says z/c "udp:${POD_IP[x/a]}:81" OK; }
check "remove: the agents and the controller end" without_agents
check "remove: what is in force outlives them" still
check "remove: the uninstall DaemonSet is Ready where a node is clean" clean
check "remove: kubectl delete -k" api
check "remove: nodes are as before: hooks, pins, CNI configuration and plugins, processes" as_before
check "remove: traffic passes" traffic
kc label node node1 cellwall.io/controller- >/dev/null
rm -f "$before"
exit $rc
