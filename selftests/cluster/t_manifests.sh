#!/usr/bin/env bash
# t_manifests.sh BUILD - the manifests as files: what does not need a cluster.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
build=$1

generated() { mkdir "$W/crds" && "$TOP/manifests/crds/generate.sh" "$W/crds" && for f in "$W"/crds/*; do cmp "$f" "$TOP/manifests/crds/${f##*/}" || return; done; }
# One object a line. A patched list may have another order; both make their own hash of a ConfigMap.
objects() { kc create --dry-run=client --validate=false -o json -f "$1" | jq -cS 'select(.kind) |
	walk(if type == "object" and has("volumes") then .volumes |= sort_by(.name) else . end) |
	.metadata |= with_entries(select(.value != {}))'; }
same() { sed -E 's/(cellwall-(agent|controller))-[a-z0-9]{10}"/\1"/g' | sort; }
# Both generations of kustomize: the one in kubectl 1.20 and, where there is one, the machine's.
renders() {
	local o other
	other=$(command -v kubectl)
	for o in "$TOP"/manifests/overlays/*/ "$TOP"/manifests/uninstall/; do
		o=${o%/}
		kc kustomize "$o" >"$W/${o##*/}.yaml" || return
		objects "$W/${o##*/}.yaml" >"$W/${o##*/}.json"
		[ -s "$W/${o##*/}.json" ] || { echo "$o: nothing"; return 1; }
		[ -n "$other" ] && [ "$other" != "$KUBECTL" ] || continue
		"$other" kustomize "$o" >"$W/new.yaml" 2>/dev/null || { echo "$o: $other does not take it"; return 1; }
		diff <(same <"$W/${o##*/}.json") <(objects "$W/new.yaml" | same) || { echo "$o: not the same"; return 1; }
	done
}
every() { # JQ-CONDITION on every pod template of every overlay
	local f
	for f in "$W"/*.json; do
		jq -se "[.[] | select(.spec.template) | select($1 | not) | .metadata.name] | if . == [] then true else error(tojson) end" "$f" >/dev/null || { echo "$f"; return 1; }
	done
}
pod='.spec.template.spec'
named() { every "$pod | [(.containers, (.initContainers // []))[] | .securityContext | (.privileged // false) == false and
	.allowPrivilegeEscalation == false and .readOnlyRootFilesystem == true and .capabilities.drop == [\"ALL\"] and
	((.capabilities.add // []) - [\"BPF\", \"PERFMON\", \"NET_ADMIN\", \"NET_BROADCAST\", \"SYS_ADMIN\"] == [])] | all"; }
bounded() { every "$pod | (.hostPID // false) == false and (.hostIPC // false) == false and
	([.volumes[] | .hostPath.path? // empty] - [\"/sys/fs/bpf\", \"/run/cellwall\", \"/run/netns\", \"/var/lib/cellwall\",
	\"/var/lib/cellwall-controller\", \"/opt/cni/bin\", \"/etc/cni/net.d\"] == [])"; }
tagged() { every "$pod | [(.containers, (.initContainers // []))[].image == \"cellwall.io/cellwall:$(cat "$TOP/VERSION")\"] | all"; }
least() { # no wildcard; nothing written but our kinds, what Kubernetes asks of us, and our own namespace's
	local f
	for f in "$W"/*.json; do
		jq -se '[.[] | select(.kind == "ClusterRole" and .metadata.name == "cellwall-controller") | .rules[] |
			select(([.apiGroups[], .resources[], .verbs[]] | index("*")) or
				((.verbs - ["get", "list", "watch"] != []) and (.apiGroups != ["cellwall.io"]) and
				 (.apiGroups != ["authentication.k8s.io"]) and (.resources != ["namespaces"])))] |
			if . == [] then true else error(tojson) end' "$f" >/dev/null || { echo "$f"; return 1; }
	done
}
configs() { # every configuration in a ConfigMap is one that the daemon takes
	local f i=0
	for f in "$W"/*.json; do
		while read -r line; do
			jq -r . <<<"$line" >"$W/config.yaml"
			"$build/bin/cellwalld" --config "$W/config.yaml" --check || { cat "$W/config.yaml"; return 1; }
			i=$((i + 1))
		done < <(jq -c 'select(.kind == "ConfigMap") | .data["cellwalld.yaml"] // empty' "$f")
	done
	[ $i -gt 2 ] || { echo "$i configurations"; return 1; }
}
check "manifests: the CRDs are what generate.sh writes" generated
check "manifests: every overlay renders, the same by old and new kustomize" renders
check "manifests: capabilities by name, no privileged, read-only root" named
check "manifests: no host PID or IPC, only the host folders that are known" bounded
check "manifests: images of this version" tagged
check "manifests: the controller's rights" least
check "manifests: every configuration is valid" configs
exit $rc
