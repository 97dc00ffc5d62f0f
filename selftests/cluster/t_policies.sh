#!/usr/bin/env bash
# t_policies.sh BUILD - NetworkPolicy between real pods: the cases of data/corpora/networkpolicy/e2e.json on
# the lab's pods, applied to the API server, probed with real connections. After t_deploy.sh; alone: DEPLOY=1.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/deploy.sh"
cases=$TOP/selftests/data/corpora/networkpolicy/e2e.json
[ -z "${DEPLOY:-}" ] || deploy all-in-one >/dev/null || { echo "not ok policies: deploy"; exit 1; }
pods_known && probe_build || { echo "not ok policies: pods"; exit 1; }
api_login

# no rules of ours and nothing learned: what no NetworkPolicy isolates passes
kc apply -f - >/dev/null <<END || exit 1
apiVersion: cellwall.io/v1alpha1
kind: ModeProfile
metadata: {name: cw-policies}
spec: {target: {cluster: true}, mode: enforce, default: allow}
END
NP=/apis/networking.k8s.io/v1
clear_policies() { local ns; for ns in x y z; do api DELETE $NP/namespaces/$ns/networkpolicies >/dev/null; done; }
undo() {
	clear_policies
	kc delete cwm cw-policies --ignore-not-found >/dev/null
	for ns in x y z; do
		kc patch ns $ns --type=merge -p "{\"metadata\": {\"labels\": {\"ns\": \"$ns\", \"ns2\": null, \"kubernetes.io/metadata.name\": null}}}" >/dev/null
	done
	rm -rf "$W"
}
trap undo EXIT

# One line "from target verdict" for each expectation; no SCTP, which most kernels here lack.
rows() {
	jq -r '.expect[] | select(.proto != "SCTP") | [.from, (.proto | ascii_downcase), .to, .port, .verdict] | @tsv' <<<"$1" |
		while IFS=$'\t' read -r from proto to port verdict; do echo "$from $proto:${POD_IP[$to]}:$port $verdict"; done
}
ask() { # TIMEOUT: every source at once, each all of its targets at once
	local from
	for from in $(cut -d' ' -f1 "$W/rows" | sort -u); do
		# shellcheck disable=SC2046
		probe "$from" "$1" $(awk -v f="$from" '$1 == f { print $2 }' "$W/rows") |
			awk -v f="$from" '{ print f, $1, ($2 == "OK" ? "allow" : "deny") }' >"$W/got.${from/\//-}" &
	done
	wait
	sort "$W"/got.?-? >"$W/got"
	rm -f "$W"/got.?-?
	diff "$W/got" "$W/rows" >"$W/diff"
}
slowest=0
one() { # CASE: its labels and policies, then the answers
	local c=$1 ns labels policy t
	clear_policies
	for ns in x y z; do
		labels=$(jq -c --arg n "$ns" '.namespaces[] | select(.name == $n) | {ns: null, ns2: null} + .labels' <<<"$c")
		[ -n "$labels" ] || continue
		echo "{\"metadata\": {\"labels\": $labels}}" >"$W/labels"
		eq "$(api PATCH /api/v1/namespaces/$ns "$W/labels" merge-patch+json)" 200 || return
	done
	# the addresses of the case's pods are those of ours
	jq -r '.pods[] | [(.namespace + "/" + .name), .ips[0]] | @tsv' <<<"$c" | while IFS=$'\t' read -r pod ip; do
		echo "s#\"$ip/32\"#\"${POD_IP[$pod]}/32\"#g"
	done >"$W/sed"
	rows "$c" | sort >"$W/rows"
	t=${EPOCHREALTIME/./}
	while IFS=$'\t' read -r ns policy; do
		echo "$policy" >"$W/policy"
		eq "$(api POST "$NP/namespaces/$ns/networkpolicies" "$W/policy")" 201 || { cat "$W/answer"; return 1; }
	done < <(jq -r '.policies[] | "\(.metadata.namespace)\t\(tojson)"' <<<"$c" | sed -f "$W/sed")
	within 3 ask 250 || { echo "$(wc -l <"$W/rows") asked, wrong:"; cat "$W/diff"; return 1; }
	t=$(milliseconds "$t")
	[ "$t" -le "$slowest" ] || slowest=$t
	ask 400 || { echo "it did not stay so:"; cat "$W/diff"; return 1; }
}
while IFS= read -r c; do
	name=$(jq -r .name <<<"$c")
	if one "$c" >"$W/why" 2>&1; then
		echo "ok policy $name: $(jq -r .what <<<"$c"), $(wc -l <"$W/rows") connections"
	else
		echo "not ok policy $name: $(jq -r .what <<<"$c")"
		head -12 "$W/why" | sed 's/^/  | /'
		rc=1
	fi
done < <(jq -c '.[] | select([.expect[] | select(.proto != "SCTP")] != [])' "$cases")
echo "# slowest from the first policy to the last right answer: $slowest ms, probes of 250 ms included"
exit $rc
