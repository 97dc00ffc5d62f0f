#!/usr/bin/env bash
# run.sh BUILD - the corpora through the judge: all of them through the evaluator and through the
# loaded programs, those restated from upstream through real sockets too. Steps of sequences are
# asked as updates and each from nothing. One line a case; at the end: N passed, N failed.
# JUDGE_ENGINES="evaluator" asks just those; JUDGE_NETNS=all asks real sockets everything (minutes).
set -uo pipefail
cd "$(dirname "$0")/../.."
BUILD=${1:-${O:-build}}
JUDGE=$BUILD/bin/cellwall-judge
DATA=selftests/data/corpora
UPSTREAM=("$DATA"/networkpolicy/e2e.json "$DATA"/networkpolicy/e2e-wide.json "$DATA"/clusterpolicy/conformance.json)
[ -x "$JUDGE" ] || { echo "not ok judge: $JUDGE is not built"; exit 1; }
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
passed=0 failed=0

ask() { # NAME COMMAND...: its lines, and its counts added
	local name=$1 p f r
	shift
	timeout -k 5 "${JUDGE_TIMEOUT:-900}" "$@" >"$log" 2>&1
	r=$?
	grep -vE '^[0-9]+ passed, [0-9]+ failed$' "$log"
	read -r p f < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log" | tail -1)
	if [ -z "${p:-}" ]; then
		echo "not ok $name: ended with $r and without counts"
		failed=$((failed + 1))
		return
	fi
	passed=$((passed + p)) failed=$((failed + f))
}

for engine in ${JUDGE_ENGINES:-evaluator prog netns}; do
	files=("$DATA"/networkpolicy/*.json "$DATA"/clusterpolicy/*.json)
	[ "$engine:${JUDGE_NETNS:-}" != netns: ] || files=("${UPSTREAM[@]}")
	if [ "$engine" != evaluator ] && [ "$(id -u)" != 0 ]; then
		echo "skip judge $engine: needs root"
		continue
	fi
	ask "judge $engine" "$JUDGE" --engine "$engine" --score "${files[@]}"
done

# What is no question gets one answer, and the next one is answered all the same.
refusals() {
	local q a
	q='{"kind":"reach","namespaces":[{"name":"x"}],"pods":[{"namespace":"x","name":"a","ips":["10.1.0.1"]},{"namespace":"x","name":"b","ips":["10.1.0.2"]}],"policies":[],"rows":[{"from":"x/a","to":"x/b","proto":"TCP","port":80}]}'
	a=$(printf '%s\n' 'not json' '[]' '{"kind":"weather"}' "${q/x\/b\"/x\/c\"}" "${q/TCP/tcp}" "${q/:80/:0}" \
		"${q/10.1.0.2/10.1.0}" "${q/\"policies\":[]/\"policies\":[{\"kind\":\"NetworkPolicy\"}]}" "$q" |
		"$JUDGE" 2>/dev/null | sed -E 's/^\{"error":".+"\}$/refused/' | tr '\n' ' ')
	[ "$a" = 'refused refused null refused refused refused refused refused ["allow"] ' ] || { echo "# $a"; return 1; }
}

# A wrong answer is told as one: the first case of a file with one expectation turned round.
wrong_told() {
	local a
	sed -n '1p;2{s/,$//;s/"verdict": *"deny"/"verdict":"allow"/;p}' "$DATA/networkpolicy/e2e.json" >"$log"
	echo ']' >>"$log"
	a=$("$JUDGE" --score "$log" 2>&1)
	[ $? = 1 ] && [[ $a == *"want allow, got deny"* && $a == *"0 passed, 1 failed" ]] || { echo "# $a"; return 1; }
}

check() { # NAME COMMAND
	if "$2"; then
		echo "ok judge: $1"
		passed=$((passed + 1))
	else
		echo "not ok judge: $1"
		failed=$((failed + 1))
	fi
}
check 'what is no question is refused' refusals
check 'a wrong answer is told' wrong_told

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
