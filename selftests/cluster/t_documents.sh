#!/usr/bin/env bash
# t_documents.sh BUILD - the API server's schemas against `cellwall rule apply`, document by document:
# what the one refuses the other refuses, but for what a schema cannot know, which is listed here.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
build=$1

# What only the reader can know: it stands in the object's condition Accepted. Unknown fields are dropped by the
# server before it looks; kubectl refuses them (t_crds.sh).
only_reader='^(rule\.(port-range|cidr-host-bits|cidr-family|except-outside|except-all|label-key|unknown-field|origin)|.*\.unknown-field)$'

# Cases of the catalogues that differ for a reason of their own.
declare -A only_case=(
	["ports left blank"]="null is dropped by the server as if absent"
	["AccessRule without namespace"]="the server takes it from the request's path"
	["until in February 30"]="no pattern knows the days of a month"
)
kc apply -k "$TOP/manifests/crds" >/dev/null && kc wait --for=condition=Established --timeout=10s crd/{accessrules,clusteraccessrules,modeprofiles,quarantines}.cellwall.io >/dev/null || exit 1
api_login
declare -A plural=([AccessRule]=accessrules [ClusterAccessRule]=clusteraccessrules [ModeProfile]=modeprofiles
	[Quarantine]=quarantines)
both=0 good=0 more=0
while IFS=$'\x1f' read -r kind file name reader extra want doc; do
	at=${plural[$kind]:-}
	[ -n "$at" ] || continue # no kind of ours: nothing for our schemas
	[ "$kind" != AccessRule ] || at=namespaces/default/$at
	printf '%s' "$doc" >"$W/doc"
	code=$(api POST "/apis/cellwall.io/v1alpha1/$at?dryRun=All" "$W/doc")
	message=$(<"$W/answer")
	message=${message//\\\"/\"}
	t="${file##*/}: $name"
	if [ "$code" = 201 ] && [ -n "$extra" ] && [ -z "${only_case[$name]:-}" ]; then
		echo "not ok $t: the server accepts what rule apply refuses ($reader)"; rc=1
	elif [ "$code" != 201 ] && [ -z "$reader" ]; then
		echo "not ok $t: the server refuses what rule apply accepts: $message"; rc=1
	elif ! [[ $code =~ ^(201|422|400)$ || $message == *"'apiVersion' is missing"* ]]; then
		echo "not ok $t: answer $code: $message"; rc=1
	elif [ "$code" = 201 ] && [ -n "$want" ] || [[ $message != *"$want"* ]]; then
		echo "not ok $t: said $code: $message"; rc=1
	else
		echo "ok $t"
		if [ "$code" != 201 ]; then both=$((both + 1)); elif [ -n "$reader" ]; then more=$((more + 1)); else good=$((good + 1)); fi
	fi
done < <("$build/bin/doc-check" "$TOP"/selftests/cluster/documents.txt "$TOP"/selftests/errors/{rules,modes}.txt |
	jq -r --arg re "$only_reader" '[(.doc | .kind? // "-" | tostring), .file, .name, (.refused | join(" ")),
		([.refused[] | select(test($re) | not)] | join(" ")), .schema,
		((if .doc | .kind? == "AccessRule" then .doc.metadata.namespace = "default" else . end) | .doc | tojson)
		] | join("\u001f")')
echo "# accepted by both $good, refused by both $both, refused by the reader alone $more"
[ "$good" -gt 10 ] && [ "$both" -gt 50 ] || { echo "not ok documents: too few were looked at"; rc=1; }
exit $rc
