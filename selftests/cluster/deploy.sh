# Puts cellwall on the running lab and takes it away; sourced by tests after lib.sh.
SYS=cellwall-system
declare -A POD_PID POD_IP POD_NODE POD_NAME

# cw ARGS...: the command line in the controller's pod, which is all that kubectl needs.
cw() { kc -n $SYS exec deploy/cellwall-controller -c controller -- /usr/bin/cellwall "$@"; }
# agent N ARGS...: the same on node N's agent.
agent() {
	local n=$1 p
	shift
	p=$(kc -n $SYS get pods -l app.kubernetes.io/component=agent --field-selector "spec.nodeName=node$n" -o name | head -1)
	kc -n $SYS exec "$p" -c agent -- /usr/bin/cellwall "$@"
}
# The test pods x/a ... z/c: address, node, and a process of theirs, to probe from without `kubectl exec`.
pods_known() {
	local ns name ip node pid veth
	while IFS=$'\t' read -r ns name ip node pid veth; do
		case $ns in x | y | z) ;; *) continue ;; esac
		POD_PID[$ns/${name%%-*}]=$pid POD_IP[$ns/${name%%-*}]=$ip POD_NODE[$ns/${name%%-*}]=$node POD_NAME[$ns/${name%%-*}]=$name
	done < <("$LAB/ctl.sh" pods)
	[ ${#POD_PID[@]} = 9 ] || { echo "only ${#POD_PID[@]} of the 9 pods are there"; return 1; }
}
probe_build() { gcc -O2 -static -o "$W/lab" "$LAB/image/lab.c"; }
# probe POD MS TARGET...: new connections from a pod, one line each: TARGET OK|TIMEOUT|REFUSED ...
probe() {
	local pod=$1 ms=$2
	shift 2
	nsenter -t "${POD_PID[$pod]}" -n "$W/lab" probe -t "$ms" "$@"
}
# says POD TARGET WORD: such a probe ends with this word
says() { local l; l=$(probe "$1" 500 "$2") || true; case $(cut -d' ' -f2 <<<"$l") in "$3") ;; *) echo "$1 -> $l, expected $3"; return 1 ;; esac; }
milliseconds() { echo $(( (${EPOCHREALTIME/./} - $1) / 1000 )); }
deploy() { # OVERLAY
	# the lab has no control plane node, whose label a cluster has of itself
	kc label node node1 cellwall.io/controller= --overwrite >/dev/null || return
	kc apply -k "$TOP/manifests/overlays/$1" >/dev/null || return
	kc -n $SYS rollout status deploy/cellwall-controller --timeout=90s || { deploy_why; return 1; }
	kc -n $SYS rollout status ds/cellwall-agent --timeout=90s || { deploy_why; return 1; }
}
deploy_why() {
	kc -n $SYS get pods -o wide
	kc -n $SYS get events --sort-by=.lastTimestamp | tail -8
	kc -n $SYS logs deploy/cellwall-controller --tail=12
	kc -n $SYS logs ds/cellwall-agent --tail=12
}
