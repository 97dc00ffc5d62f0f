# Shared by the tests on a real cluster; sourced, not run.
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB=$TOP/selftests/cluster/lab
. "$LAB/lib.sh"
export LC_ALL=C
rc=0
W=$(mktemp -d "${TMPDIR:-/tmp}/cw-cluster.XXXXXX")
trap 'rm -rf "$W"' EXIT

# check NAME COMMAND...: one line of result; what a failed one printed goes below it.
check() {
	local name=$1 out t0=${EPOCHREALTIME/./}
	shift
	if out=$("$@" 2>&1); then
		echo "ok $name ($(((${EPOCHREALTIME/./} - t0) / 1000)) ms)"
	else
		echo "not ok $name"
		tail -n 25 <<<"$out" | sed 's/^/  | /'
		rc=1
	fi
}
eq() { [ "$1" = "$2" ] || { printf 'got      %s\nexpected %s\n' "$1" "$2"; return 1; }; }
# within SECONDS COMMAND...: tried again until it succeeds; the last try's words when it does not.
within() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000)) out
	shift
	while :; do
		out=$("$@" 2>&1) && { [ -z "$out" ] || echo "$out"; return 0; }
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || { echo "$out"; return 1; }
		sleep 0.1
	done
}
# api METHOD PATH [FILE [TYPE]]: one request as the cluster's administrator; body to $W/answer, prints the status.
api_login() {
	local j
	j=$(kc config view --raw -o json)
	API_URL=$(jq -r '.clusters[0].cluster.server' <<<"$j")
	jq -r '.clusters[0].cluster["certificate-authority-data"]' <<<"$j" | base64 -d >"$W/ca.crt"
	jq -r '.users[0].user["client-certificate-data"]' <<<"$j" | base64 -d >"$W/admin.crt"
	(umask 077 && jq -r '.users[0].user["client-key-data"]' <<<"$j" | base64 -d >"$W/admin.key")
}
api() {
	curl -s -o "$W/answer" -w '%{http_code}' --max-time 20 --cacert "$W/ca.crt" --cert "$W/admin.crt" \
		--key "$W/admin.key" -X "$1" -H "Content-Type: application/${4:-json}" ${3:+--data-binary @"$3"} "$API_URL$2"
}
