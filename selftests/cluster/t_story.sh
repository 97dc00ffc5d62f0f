#!/usr/bin/env bash
# t_story.sh BUILD - from learning to enforcing with kubectl alone, on containers of two nodes: same node, other node,
# ClusterIP, NodePort. After t_deploy.sh; alone: DEPLOY=1.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/deploy.sh"
[ -z "${DEPLOY:-}" ] || deploy all-in-one >/dev/null || { echo "not ok story: deploy"; exit 1; }
pods_known && probe_build || { echo "not ok story: pods"; exit 1; }
api_login
ROUNDS=${CLUSTER_ROUNDS:-30}

label() { kc label namespace x y "cellwall.io/mode=$1" --overwrite >/dev/null; }
near='' far='' # of x/a's pod: one of y on the same node, one on the other
for p in y/a y/b y/c; do
	if [ "${POD_NODE[$p]}" = "${POD_NODE[x/a]}" ]; then near=${near:-$p}; else far=${far:-$p}; fi
done
[ -n "$near" ] && [ -n "$far" ] || { echo "not ok story: y has no pods on both nodes"; exit 1; }
cluster_ip() { kc -n y get svc "s-y-${1#y/}" -o 'jsonpath={.spec.clusterIP}'; }
vip=$(cluster_ip "$far")
outside() { # a new connection from the machine to x/a's NodePort
	local l
	l=$(timeout 2 bash -c "exec 3<>/dev/tcp/$(node_ip "$1")/30080 && head -1 <&3" 2>/dev/null)
	[[ $l == "${POD_NAME[x/a]} "* ]] || { echo "node$1:30080 says '$l'"; return 1; }
}
undo() {
	kc label namespace x y cellwall.io/mode- >/dev/null 2>&1
	for ns in x y; do kc -n $ns delete cwr --all --wait=true >/dev/null 2>&1; done
	kc delete cwq,cwm,ccwr --all --wait=true >/dev/null 2>&1
	rm -rf "$W"
}
trap undo EXIT

traffic() { # what the applications do
	says x/a "tcp:${POD_IP[$near]}:80" OK && says x/a "tcp:${POD_IP[$far]}:80" OK && says x/a "tcp:$vip:80" OK &&
		says x/b "udp:${POD_IP[$near]}:80" OK && outside 1 && outside 2
}
connected() { eq "$(cw status -o json | jq -c '.nodes | [.total, .current]')" "[2,2]"; }
learned() { # pod to pod and by Service, both sides; from the other node, by the address of its overlay interface
	local l
	l=$(cw access list -A -o json) || { echo "$l"; return 1; }
	jq -e 'any(.items[]; .src == "remote-node" and .dst == "x/deploy/a" and .answered == "yes")' <<<"$l" >/dev/null ||
		{ jq -c '.items[] | select(.dst == "x/deploy/a") | [.src, .dst, .port, .state, .answered]' <<<"$l"; return 1; }
	jq -e --arg n "y/deploy/${near#y/}" --arg f "y/deploy/${far#y/}" '[.items[] | select(.src == "x/deploy/a" and .port == "tcp/80") |
		.dst] | (index($n) and index($f))' <<<"$l" >/dev/null || { jq -c '.items[] | [.src, .dst, .port, .state]' <<<"$l" | head -20; return 1; }
}
remote_node() { # nothing came to x/a from an address that nobody tells of
	local l
	l=$(cw access list -A -o json | jq -c '[.items[] | select(.dst == "x/deploy/a") | .src] | unique')
	jq -e 'index("remote-node") and (index("unknown") | not)' <<<"$l" >/dev/null || { echo "sources: $l"; return 1; }
}
confirm() { cw access confirm -n x --answered -y && cw access confirm -n y --answered -y; }
objects() { # learned rules stand in the API, in the namespaces they speak for
	local n
	n=$(kc get cwr,ccwr -A -l cellwall.io/origin=learned -o json | jq '.items | length')
	[ "$n" -ge 3 ] || { echo "$n learned rules"; kc get cellwall -A; return 1; }
}
enforced() { # what was learned passes; the same to another port does not
	says x/a "tcp:${POD_IP[$near]}:80" OK && says x/a "tcp:${POD_IP[$far]}:80" OK && says x/a "tcp:$vip:80" OK &&
		says x/b "udp:${POD_IP[$near]}:80" OK && outside "${POD_NODE[x/a]#node}" || return
	says x/a "tcp:${POD_IP[$near]}:81" TIMEOUT && says x/a "tcp:${POD_IP[$far]}:81" TIMEOUT && says x/a "tcp:$vip:81" TIMEOUT &&
		says x/b "udp:${POD_IP[$near]}:81" TIMEOUT && says z/a "tcp:${POD_IP[$near]}:81" TIMEOUT
}
passes_all() { says x/a "tcp:${POD_IP[$near]}:81" OK && says z/a "tcp:${POD_IP[$near]}:81" OK && says x/a "tcp:$vip:81" OK; }
alerted() { # asked for again each time: the label may be a moment ahead of the nodes
	passes_all >/dev/null
	cw alerts -A -o json | jq -e '.items | length > 0' >/dev/null
}
working() { # probes, exec and logs go on under enforcement
	local bad
	sleep 5 # two periods of the readiness probes
	bad=$(kc get pods -A -o json | jq -r '.items[] | select(.metadata.namespace | IN("x", "y")) | select([.status.conditions[] |
		select(.type == "Ready" and .status == "True")] == []) | .metadata.name')
	[ -z "$bad" ] || { echo "not Ready: $bad"; return 1; }
	eq "$(kc -n y exec "${POD_NAME[$near]}" -- hostname)" "${POD_NAME[$near]}" &&
		eq "$(kc -n y logs "${POD_NAME[$near]}")" "${POD_NAME[$near]} serving"
}
rule() { # ENABLED: x/a may reach y on 81
	cat <<-END
	apiVersion: cellwall.io/v1alpha1
	kind: ClusterAccessRule
	metadata: {name: cw-story}
	spec:
	  action: allow
	  enabled: $1
	  from: [{namespace: x, labels: {pod: a}}]
	  to: [{namespace: "y"}]
	  ports: [tcp/81]
	END
}
in_force() { # NAME: its status says so, with every node that was told
	local j
	j=$(kc get "$1" -o json) || return
	jq -e '.metadata.generation as $g | .status | .observedGeneration == $g and .nodes.total > 0 and .nodes.total == .nodes.acknowledged and
		([.conditions[] | select(.type | IN("Accepted", "InForce")) | .status] == ["True", "True"])' <<<"$j" >/dev/null || { jq -c .status <<<"$j"; return 1; }
}
by_object() {
	rule true | kc apply -f - >/dev/null && within 1 says x/a "tcp:${POD_IP[$far]}:81" OK && within 20 in_force ccwr/cw-story &&
		says z/a "tcp:${POD_IP[$far]}:81" TIMEOUT
}
# From the API server's answer to the first new connection that is judged by it, both ways, many times.
latency() {
	local i want t0 from=$W/latency
	: >"$from"
	for ((i = 0; i < ROUNDS; i++)); do
		if [ $((i % 2)) = 0 ]; then want=false; else want=true; fi
		echo "{\"spec\": {\"enabled\": $want}}" >"$W/patch"
		[ "$(api PATCH /apis/cellwall.io/v1alpha1/clusteraccessrules/cw-story "$W/patch" merge-patch+json)" = 200 ] || { cat "$W/answer"; return 1; }
		t0=${EPOCHREALTIME/./}
		while :; do
			if probe x/a 60 "tcp:${POD_IP[$far]}:81" | grep -q ' OK '; then got=true; else got=false; fi
			[ $got != $want ] || break
			[ "$(milliseconds "$t0")" -lt 5000 ] || { echo "round $i: not within 5 s"; return 1; }
		done
		milliseconds "$t0" >>"$from"
	done
	sort -n "$from" | awk '{ v[NR] = $1 } END { printf "p50 %d ms, p99 %d ms of %d rounds\n", v[int((NR + 1) / 2)], v[NR], NR }' >"$W/figures"
	[ "$(sort -n "$from" | tail -1)" -le 1000 ] || { cat "$W/figures"; return 1; }
}
edited() { # the object is gone, and so is what it allowed
	kc delete ccwr cw-story --wait=true >/dev/null && within 1 says x/a "tcp:${POD_IP[$far]}:81" TIMEOUT
}
quarantined() {
	kc apply -f - >/dev/null <<-END || return
	apiVersion: cellwall.io/v1alpha1
	kind: Quarantine
	metadata: {name: cw-story}
	spec: {target: {namespace: "y", pod: ${POD_NAME[$far]}}, reason: test of the cluster}
	END
	within 1 says x/a "tcp:${POD_IP[$far]}:80" TIMEOUT && says x/a "tcp:${POD_IP[$near]}:80" OK &&
		kc delete cwq cw-story --wait=true >/dev/null && within 1 says x/a "tcp:${POD_IP[$far]}:80" OK
}
refused() { # what the schema cannot know: kept out, and the object says why
	kc apply -f - >/dev/null <<-END || return
	apiVersion: cellwall.io/v1alpha1
	kind: AccessRule
	metadata: {name: backwards, namespace: x}
	spec: {action: allow, from: [{any: true}], to: [{any: true}], ports: [tcp/9000-8000]}
	END
	within 20 eq_status && kc -n x delete cwr backwards >/dev/null
}
eq_status() {
	local l
	l=$(kc -n x get cwr backwards -o 'jsonpath={.status.conditions[?(@.type=="Accepted")].status} {.status.conditions[?(@.type=="Accepted")].message}')
	[[ $l == "False "*"port range ends below its start"* ]] || { echo "said: $l"; return 1; }
}
network_policy() { # isolates in enforce, on top of what was learned
	kc apply -f - >/dev/null <<-END || return
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: cw-story, namespace: "y"}
	spec: {podSelector: {matchLabels: {pod: ${far#y/}}}, policyTypes: [Ingress]}
	END
	within 1 says x/a "tcp:${POD_IP[$far]}:80" TIMEOUT && says x/a "tcp:${POD_IP[$near]}:80" OK &&
		kc -n y delete networkpolicy cw-story >/dev/null && within 1 says x/a "tcp:${POD_IP[$far]}:80" OK
}
# With every agent and the controller killed at once: not one connection is judged otherwise.
killed() {
	local bad=0 n=0 end
	kc -n $SYS delete pods --all --grace-period=0 --force --wait=false >/dev/null 2>&1
	end=$((${EPOCHREALTIME/./} + 4000000))
	while [ "${EPOCHREALTIME/./}" -lt $end ]; do
		probe x/a 500 "tcp:${POD_IP[$near]}:80" "tcp:${POD_IP[$far]}:80" >"$W/open" || bad=1
		probe x/a 80 "tcp:${POD_IP[$near]}:81" "tcp:${POD_IP[$far]}:81" | grep -q ' OK ' && bad=2
		n=$((n + 1))
		[ $bad = 0 ] || { echo "round $n: $bad"; cat "$W/open"; return 1; }
	done
	kc -n $SYS rollout status ds/cellwall-agent --timeout=60s >/dev/null && kc -n $SYS rollout status deploy/cellwall-controller --timeout=60s >/dev/null || return
	within 30 connected && enforced
}
new_pod() { # a pod that is born under enforcement is judged by its owner's rules, from both sides
	kc -n y delete pod "${POD_NAME[$near]}" --wait=true >/dev/null && kc -n y wait --for=condition=Available "deployment/${near#y/}" --timeout=30s >/dev/null || return
	pods_known || return
	within 5 says x/a "tcp:${POD_IP[$near]}:80" OK && says x/a "tcp:${POD_IP[$near]}:81" TIMEOUT
}

check "story: learn" label learn
check "story: applications talk: same node, other node, ClusterIP, NodePort" traffic
check "story: accesses appear" within 10 learned
check "story: confirmed" confirm
check "story: they stand as rule objects in the API" within 5 objects
check "story: alert" label alert
check "story: what was not learned passes" passes_all
check "story: and raises an alert" within 10 alerted
check "story: enforce" label enforce
check "story: within a second of it, only what was learned passes" within 1 enforced
# kube-proxy of the other node masquerades with the address of its overlay interface, which stands in no Node object:
# its agent tells it.
check "story: enforce: NodePort through the other node too" within 5 outside $((3 - ${POD_NODE[x/a]#node}))
check "story: whose source is known as a node" remote_node
check "story: readiness probes, exec and logs go on" working
check "story: a rule object allows more, its status says where it is in force" by_object
check "story: verdicts follow the API within a second" latency
[ ! -f "$W/figures" ] || echo "# API answer to verdict: $(cat "$W/figures")"
check "story: a deleted object allows nothing more" edited
check "story: a Quarantine cuts one pod off, deleted it lets go" quarantined
check "story: an object that makes no sense says so in its status" refused
check "story: a NetworkPolicy isolates" network_policy
check "story: all of cellwall killed: not one verdict differs, and it comes back" killed
check "story: a new pod of the same owner" new_pod
exit $rc
