#!/usr/bin/env bash
# t_overlays.sh BUILD - every overlay is accepted by the API server, applied and taken away again.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
ns=cellwall-system
was=$(kc get ns $ns -o name 2>/dev/null || true)
[ -z "$was" ] || { echo "skip overlays: something is in $ns"; exit 77; }

accepted() { # OVERLAY: without a schedulable node nothing starts, so only the API server's word counts
	local l
	kc apply -f "$TOP/manifests/base/namespace.yaml" >/dev/null || return
	kc apply --dry-run=server -k "$1" >"$W/out" 2>&1 || { cat "$W/out"; return 1; }
	l=$(grep -vcE '(created|configured|unchanged) \(server dry run\)$' "$W/out")
	[ "$l" = 0 ] || { cat "$W/out"; return 1; }
}
version() { kc version -o json | jq -r '.serverVersion.minor | gsub("[^0-9]"; "")'; }
kc apply -k "$TOP/manifests/crds" >/dev/null
minor=$(version)
for o in "$TOP"/manifests/overlays/*/; do
	o=${o%/}
	check "overlay ${o##*/} is accepted by Kubernetes 1.$minor" accepted "$o"
done
kc delete ns $ns --wait=true >/dev/null 2>&1
exit $rc
