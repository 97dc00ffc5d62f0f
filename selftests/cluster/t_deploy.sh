#!/usr/bin/env bash
# t_deploy.sh BUILD - the all-in-one overlay comes up Ready on the real nodes, with the rights and capabilities
# its manifests name. Leaves it there for the tests that follow; t_remove.sh takes it away.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/deploy.sh"
N=$(nodes_up | wc -l)

# What a node has that is ours, or that we could have touched: to be the same after t_remove.sh.
kc -n $SYS get ds cellwall-agent >/dev/null 2>&1 || "$(dirname "$0")/node_state.sh" >"${TMPDIR:-/tmp}/cw-cluster.before"

capabilities() { # as the kernel has them, on the node itself
	local n p want
	want=$(((1 << 12) | (1 << 11) | (1 << 21) | (1 << 38) | (1 << 39))) # NET_ADMIN NET_BROADCAST SYS_ADMIN PERFMON BPF
	for n in $(nodes_up); do
		p=$("$LAB/ctl.sh" node "$n" sh -c 'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = /usr/sbin/cellwalld ] &&
			grep -q " /sys/fs/bpf " $p/mounts && echo ${p#/proc/}; done' | head -1)
		[ -n "$p" ] || { echo "no agent on node$n"; return 1; }
		eq "$((16#$("$LAB/ctl.sh" node "$n" awk '/^CapEff/ { print $2 }' "/proc/$p/status")))" "$want" || return
		"$LAB/ctl.sh" node "$n" grep -q '^NoNewPrivs:	1' "/proc/$p/status" || { echo "new privileges"; return 1; }
		"$LAB/ctl.sh" node "$n" grep -q '^Seccomp:	2' "/proc/$p/status" || { echo "no seccomp filter"; return 1; }
	done
}
unprivileged() { # the controller: none at all
	local n p
	for n in $(nodes_up); do
		for p in $("$LAB/ctl.sh" node "$n" sh -c 'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = /usr/sbin/cellwalld ] && ! grep -q " /sys/fs/bpf " $p/mounts && echo ${p#/proc/}; done'); do
			eq "$("$LAB/ctl.sh" node "$n" awk '/^CapEff/ { print $2 }' "/proc/$p/status")" 0000000000000000 || return
			return 0
		done
	done
	echo "no controller found"; return 1
}
guarded() { # every test pod, on both nodes, is attached and known by name
	local l
	l=$(cw guard list -A -o json) || { echo "$l"; return 1; }
	eq "$(jq '[.items[] | select(.state == "guarded") | select(.workload | test("^[xyz]/"))] | length' <<<"$l")" 9
}
connected() { eq "$(cw status -o json | jq -c '.nodes | [.total, .current]')" "[$N,$N]"; }
quiet() { # nothing restarted, nothing forbidden by the controller's rights
	local l
	eq "$(kc -n $SYS get pods -o json | jq '[.items[].status.containerStatuses[].restartCount] | add')" 0 || return
	l=$(kc -n $SYS logs deploy/cellwall-controller --tail=-1 | grep -i forbidden)
	[ -z "$l" ] || { echo "$l"; return 1; }
}
untouched() { # installing changes no traffic: all pods to all pods
	local from to n=0 targets=""
	for to in "${!POD_IP[@]}"; do targets+=" tcp:${POD_IP[$to]}:80 udp:${POD_IP[$to]}:80"; done
	for from in "${!POD_IP[@]}"; do
		# shellcheck disable=SC2086
		n=$((n + $(probe "$from" 2000 $targets | grep -c ' OK ')))
	done
	eq $n 162
}
t0=${EPOCHREALTIME/./}
check "deploy: kubectl apply -k all-in-one comes up Ready on $N nodes" deploy all-in-one
[ $rc = 0 ] || exit 1
echo "# Ready after $(milliseconds "$t0") ms"
pods_known && probe_build || exit 1
check "deploy: the agents run with five capabilities, no new privileges, a seccomp filter" capabilities
check "deploy: the controller runs with none" unprivileged
check "deploy: every pod is guarded" within 20 guarded
check "deploy: both agents are connected" within 10 connected
check "deploy: all pods still reach all pods" untouched
check "deploy: no restart, no right missing" quiet
exit $rc
