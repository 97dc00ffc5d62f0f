#!/usr/bin/env bash
# t_crds.sh BUILD - the four kinds on the API server, as people meet them in kubectl.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
api_login

put() { kc apply -f - <<<"$1"; }
established() {
	local j
	kc apply -k "$TOP/manifests/crds" >/dev/null || return
	kc wait --for=condition=Established --timeout=10s crd/{accessrules,clusteraccessrules,modeprofiles,quarantines}.cellwall.io || return
	j=$(kc get crd -o json)
	eq "$(jq -c '[.items[] | select(.spec.group == "cellwall.io") | .status.conditions[] | select(.type == "NonStructuralSchema")]' <<<"$j")" '[]'
}
objects='apiVersion: v1
kind: Namespace
metadata: {name: cw-crds}
---
apiVersion: cellwall.io/v1alpha1
kind: AccessRule
metadata: {name: web, namespace: cw-crds}
spec: {action: allow, from: [{labels: {app: web}}], to: [{any: true}], ports: [tcp/443]}
---
apiVersion: cellwall.io/v1alpha1
kind: ClusterAccessRule
metadata: {name: cw-crds}
spec: {action: block, enabled: false, from: [{any: true}], to: [{reserved: world}], ports: [tcp/25]}
---
apiVersion: cellwall.io/v1alpha1
kind: ModeProfile
metadata: {name: cw-crds}
spec: {target: {namespace: cw-crds}, mode: learn}
---
apiVersion: cellwall.io/v1alpha1
kind: Quarantine
metadata: {name: cw-crds}
spec: {target: {namespace: cw-crds, pod: rogue}, reason: scan, until: "2999-01-01T00:00:00Z"}'
made() { put "$objects" || return; put "$objects" | grep -v unchanged && { echo "applied again it changes"; return 1; }; return 0; }
columns() { # KIND NAME WANTED-HEAD WANTED-FIELDS: as `kubectl get` prints them, but for the age
	local l
	l=$(kc -n cw-crds get "$1" "$2") || return
	eq "$(head -1 <<<"$l" | tr -s ' ')" "$3" && eq "$(sed -n 2p <<<"$l" | tr -s ' ' | sed -E 's/ [0-9]+m?s$//')" "$4"
}
category() { local l; l=$(kc get cellwall -A -o name) && eq "$(grep -cE '/(web|cw-crds)$' <<<"$l")" 4; }
defaults() { eq "$(kc -n cw-crds get cwr web -o 'jsonpath={.spec.mode} {.spec.enabled}')" 'enforce true'; }
subresource() { # what /status is sent changes no spec, and the other way round
	local u=/apis/cellwall.io/v1alpha1/modeprofiles/cw-crds
	eq "$(api GET $u)" 200 || return
	jq '.spec.mode = "enforce" | .status = {observedGeneration: 1, generation: 7, nodes: {total: 2, acknowledged: 2}, plan: "p",
		conditions: [{type: "Accepted", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z"}]}' "$W/answer" >"$W/body"
	eq "$(api PUT $u/status "$W/body")" 200 || return
	eq "$(kc get cwm cw-crds -o 'jsonpath={.spec.mode} {.status.nodes.acknowledged} {.metadata.generation}')" 'learn 2 1' || return
	kc patch cwm cw-crds --type=merge -p '{"spec": {"mode": "alert"}, "status": {"nodes": {"acknowledged": 9}}}' >/dev/null || return
	eq "$(kc get cwm cw-crds -o 'jsonpath={.spec.mode} {.status.nodes.acknowledged} {.metadata.generation}')" 'alert 2 2'
}
said() { # PATTERN DOCUMENT: kubectl refuses it with these words
	local l
	l=$(put "$2" 2>&1) && { echo "accepted"; return 1; }
	grep -qE "$1" <<<"$l" || { echo "$l"; return 1; }
}
rule() { printf 'apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: cw-crds-wrong}\nspec: %s\n' "$1"; }
unknown() { said 'unknown field "nmespace"' "$(rule '{action: allow, from: [{nmespace: shop}], to: [{any: true}]}')"; }
wrong_action() { said 'spec.action: Unsupported value: "deny": supported values: "allow", "alert", "block"' "$(rule '{action: deny, from: [{any: true}], to: [{any: true}]}')"; }
wrong_port() { said 'spec.ports' "$(rule '{action: allow, from: [{any: true}], to: [{any: true}], ports: ["80"]}')"; }
explained() { kc explain clusteraccessrule.spec.from.reserved | grep -q 'A place that is no workload'; }
gone() { kc delete ns/cw-crds ccwr/cw-crds cwm/cw-crds cwq/cw-crds --wait=true >/dev/null; }

check "crds: accepted, structural, established" established
check "crds: one object of each kind; applied again: unchanged" made
check "crds: kubectl get accessrule" columns cwr web 'NAME ACTION MODE ENABLED PORTS ACCEPTED INFORCE AGE' 'web allow enforce true ["tcp/443"]'
check "crds: kubectl get clusteraccessrule" columns ccwr cw-crds 'NAME ACTION MODE ENABLED PORTS ACCEPTED INFORCE AGE' 'cw-crds block enforce false ["tcp/25"]'
check "crds: kubectl get modeprofile" columns cwm cw-crds 'NAME MODE DEFAULT NAMESPACE CONTROLLER ACCEPTED INFORCE AGE' 'cw-crds learn cw-crds'
check "crds: kubectl get quarantine" columns cwq cw-crds 'NAME NAMESPACE POD CONTROLLER UNTIL REASON ACCEPTED INFORCE AGE' 'cw-crds cw-crds rogue 2999-01-01T00:00:00Z scan'
check "crds: kubectl get cellwall -A shows all four" category
check "crds: defaults are filled in" defaults
check "crds: status is a subresource" subresource
check "crds: kubectl refuses a misspelt field" unknown
check "crds: kubectl refuses a wrong word and names the right ones" wrong_action
check "crds: kubectl refuses a port without a protocol" wrong_port
check "crds: kubectl explain" explained
check "crds: deleted" gone
exit $rc
