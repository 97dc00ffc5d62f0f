#!/usr/bin/env bash
# demo.sh - the main job on real traffic, in eight steps that each have to hold. Needs root.
#
# Everything happens in network namespaces, a mount namespace, a BPF file system and a folder of
# its own, and is taken down at the end, also after a failure. Only O/demo is left, to look at.
#   O=build           output folder          DEMO_SECONDS=20   length of the learning step
#   KEEP=1            leave it up, and say how to get in and how to take it down
#   BUILD_SECS        the caller has built everything, in so many seconds
set -euo pipefail
cd "$(dirname "$0")/../.."
O=${O:-build}
SECONDS_LEARN=${DEMO_SECONDS:-20}

if [ "$(id -u)" != 0 ]; then
	echo "demo: needs root, for network namespaces and BPF.  Next: sudo make demo" >&2
	exit 77
fi
for tool in jq nsenter unshare ip curl; do
	if ! command -v "$tool" >/dev/null; then
		echo "demo: $tool is not installed.  Next: make deps" >&2
		exit 77
	fi
done
if [ -z "${CELLWALL_DEMO_INSIDE:-}" ]; then
	CELLWALL_DEMO_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi
unset CELLWALL_DEMO_INSIDE

bin=$PWD/$O/bin
case $O in /*) bin=$O/bin ;; esac
out=$O/demo
tmp=$(mktemp -d /run/cellwall-demo.XXXXXX)
lab=$tmp/lab
daemon=
links_before=$(ip -o link | wc -l)
step=0
began=0
head_=

now_ms() { date +%s%3N; }
begin() {
	step=$((step + 1))
	began=$(now_ms)
	head_=$(printf '[%d/8] %-13s' "$step" "$1")
}
took() { awk -v ms=$(($(now_ms) - began)) 'BEGIN { printf ms < 950 ? "%.1f s" : "%.0f s", ms / 1000 }'; }
# The first line of a step carries its number, further ones are indented.
say() {
	printf '%s%s\n' "$head_" "$1"
	head_=$(printf '%-19s' '')
}
fail() {
	printf '%sFAIL: %s\n' "${head_:-demo: }" "$1"
	if [ -s "$tmp/err" ]; then sed 's/^/                     | /' "$tmp/err" | tail -12; fi
	exit 1
}
# expect WHAT WANTED GOT
expect() { [ "$2" = "$3" ] || fail "$1: expected $2, got ${3:-nothing}"; }
cw() { "$bin/cellwall" --server "unix://$tmp/api.sock" "$@" 2>"$tmp/err"; }
# A change: its plan as JSON, or the step fails. The tool's exit code is not lost in a pipe.
change() {
	cw "$@" -y -o json >"$tmp/change.json" || fail "cellwall $*"
}
# Fresh figures: the kernel's counters are read once a second, or when asked to.
drain() {
	curl -s --max-time 10 --unix-socket "$tmp/api.sock" -X POST -H 'Content-Length: 0' \
		http://cellwall/v1/drain >/dev/null || fail "the daemon does not answer"
}
traffic() { # FILE ARGS...
	local file=$1
	shift
	"$bin/cellwall" lab traffic --dir "$lab" "$@" -o json >"$file" 2>"$tmp/err" || fail "lab traffic $*"
}
answered() { jq -r --arg n "$2" '.namespaces[] | select(.name == $n) | "\(.answered) of \(.expected)"' "$1"; }
# Everything that has a server was answered, namespace by namespace.
all_answered() {
	local bad
	bad=$(jq -r '.namespaces[] | select(.answered != .expected) | "\(.name) \(.answered) of \(.expected)"' "$1")
	[ -z "$bad" ] || fail "requests answered: expected all, got $bad"
}
guarded() { cw guard list -o json | jq '[.items[] | select(.state == "guarded")] | length'; }
wait_guarded() {
	local n=0
	for _ in $(seq 100); do
		n=$(guarded || echo 0)
		if [ "$n" = "$1" ]; then return 0; fi
		sleep 0.1
	done
	fail "workloads guarded: expected $1, got $n"
}
start_daemon() {
	nsenter --net="$node" "$bin/cellwalld" --config "$tmp/cellwalld.yaml" >>"$out/daemon.log" 2>&1 &
	daemon=$!
	for _ in $(seq 200); do
		if cw status >/dev/null; then return 0; fi
		kill -0 "$daemon" 2>/dev/null || fail "cellwalld ended: $(tail -1 "$out/daemon.log")"
		sleep 0.05
	done
	fail "cellwalld is not ready after 10 s: $(tail -1 "$out/daemon.log")"
}
reason() { # REASON FIELD: how often the kernel did so
	cw status -o json | jq --arg r "$1" --arg f "$2" '.counters.reasons[$r][$f] // 0'
}
dropped() { cw status -o json | jq '[.counters.reasons[].dropped] | add // 0'; }

# What is left is counted, not assumed.
take_down() {
	local left=0 links pins
	if [ -n "$daemon" ]; then
		kill "$daemon" 2>/dev/null || true
		wait "$daemon" 2>/dev/null || true
	fi
	"$bin/cellwalld" --config "$tmp/cellwalld.yaml" --uninstall >/dev/null 2>"$tmp/err" || left=1
	pins=$(find "$tmp/bpf/cellwall" -type f 2>/dev/null | wc -l)
	"$bin/cellwall" lab down --dir "$lab" -o json >"$tmp/down.json" 2>"$tmp/err" || left=1
	links=$(($(ip -o link | wc -l) - links_before))
	umount "$tmp/bpf" 2>/dev/null || true
	printf 'lab down: %d links, %d pins, %d namespaces, %d files left.' "$links" "$pins" \
		"$(jq '.left.namespaces' "$tmp/down.json" 2>/dev/null || echo 1)" \
		"$(jq '.left.files' "$tmp/down.json" 2>/dev/null || echo 1)"
	[ "$links" = 0 ] && [ "$pins" = 0 ] && [ "$left" = 0 ]
}
finish() {
	local code=$?
	trap - EXIT INT TERM
	if [ -n "${KEEP:-}" ] && [ -n "$daemon" ]; then
		echo "left up. In:   nsenter -t $daemon -m -n env CELLWALL_SERVER=unix://$tmp/api.sock bash"
		echo "         Down: nsenter -t $daemon -m sh -c 'kill $daemon; sleep 1; $bin/cellwalld --config $tmp/cellwalld.yaml --uninstall; $bin/cellwall lab down --dir $lab; umount $tmp/bpf; rm -r $tmp'"
		exit "$code"
	fi
	if [ -e "$tmp/lab.json" ] || [ -e "$lab" ]; then
		if ! take_down; then
			echo "  FAIL: not all of it is gone: $(tail -1 "$tmp/err")"
			code=1
		elif [ "$code" = 0 ]; then
			echo "  Look at $out/topology.svg, enforced.svg, accesses.txt, simulation.txt.  Next: $O/bin/cellwall lab up"
		else
			echo "  The daemon's words are in $out/daemon.log"
		fi
	fi
	umount "$tmp/bpf" 2>/dev/null || true
	rm -rf "$tmp"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- 1 ------------------------------------------------------------------------------------
begin build
if [ -z "${BUILD_SECS:-}" ]; then
	${MAKE:-make} --no-print-directory O="$O" all >"$tmp/err" 2>&1 || fail "make all"
	BUILD_SECS=$((($(now_ms) - began) / 1000))
fi
for program in cellwalld cellwall cellwall-lab; do
	[ -x "$bin/$program" ] || fail "$bin/$program is not built"
done
mkdir -p "$out"
rm -f "$out"/*
hook=$("$bin/cellwalld" --features 2>/dev/null | grep -qiE '^ *tcx.*(yes|true|available)' && echo tcx || echo clsact)
say "$(printf '%-88s %s' "cellwalld, cellwall, BPF objects; kernel $(uname -r | cut -d- -f1 | cut -d. -f1,2): $hook" "$BUILD_SECS s")"

# ---- 2 ------------------------------------------------------------------------------------
begin 'lab up'
mkdir "$tmp/bpf"
mount -t bpf bpf "$tmp/bpf"
"$bin/cellwall" lab up --dir "$lab" -o json >"$tmp/lab.json" 2>"$tmp/err" || fail "lab up"
node=$(jq -r .node.netns "$tmp/lab.json")
cat >"$tmp/cellwalld.yaml" <<YAML
cluster: lab
node: lab
clusterCIDRs: $(jq -c .clusterCIDRs "$tmp/lab.json")
learn: {foldCIDRs: $(jq -c .foldCIDRs "$tmp/lab.json")}
api: {socket: $tmp/api.sock}
paths: {state: $tmp/state, pins: $tmp/bpf/cellwall}
YAML
start_daemon
jq .workloads "$tmp/lab.json" >"$tmp/workloads.json"
n=$(jq length "$tmp/workloads.json")
cw workload add -f "$tmp/workloads.json" >/dev/null || fail "workload add"
wait_guarded "$n"
blind=$(cw guard list -o json | jq '[.items[] | select(.state != "guarded")] | length')
expect "interfaces not guarded" 0 "$blind"
gap=$(cw guard list -o json | jq '[.items[].startGapMs // 0] | max | floor')
say "$(printf '%-88s %s' "shop, data, ops: $n workloads on a dual-stack bridge, $n guarded, $blind blind, start gap $gap ms" "$(took)")"

# ---- 3 ------------------------------------------------------------------------------------
begin learn
traffic "$tmp/learn.json" --seconds "$SECONDS_LEARN"
all_answered "$tmp/learn.json"
drain
cw access list -A -o json >"$tmp/accesses.json" || fail "access list"
cw access list -A >"$out/accesses.txt" || fail "access list"
# One to one by source group, destination group and port. Sources outside are one identity (world)
# unless a range is told apart; the pay host may be known by its name.
jq -r '.accesses[] | [.srcGroup, .dstGroup, .port] | @tsv' "$tmp/learn.json" | sort -u >"$tmp/generator"
jq -r '.items[] | select(.state != "held")
	| [(if .src == "world" then "198.51.100.0/24" else .src end),
	   (if .dst == "fqdn/pay.example.com" then "203.0.113.10" else .dst end), .port] | @tsv' \
	"$tmp/accesses.json" | sort >"$tmp/system"
if ! diff -u "$tmp/generator" "$tmp/system" >"$tmp/err"; then
	fail "the learned accesses are not the generated ones (- generated, + learned)"
fi
: >"$tmp/err"
made=$(wc -l <"$tmp/generator")
store=$(wc -l <"$tmp/system")
yes=$(jq '[.items[] | select(.answered == "yes")] | length' "$tmp/accesses.json")
wanted=$(jq '[.accesses[] | select(.answers) | [.srcGroup, .dstGroup, .port]] | unique | length' "$tmp/learn.json")
expect "answered accesses" "$wanted" "$yes"
v6=$(jq '[.items[] | select(.flows6 > 0)] | length' "$tmp/accesses.json")
lost=$(cw status -o json | jq '.loss + .counters.accesses.lost')
expect "lost accesses" 0 "$lost"
requests=$(jq '[.accesses[].requests] | add' "$tmp/learn.json")
flows=$(jq '[.items[].flows] | add' "$tmp/accesses.json")
say "$(printf '%-88s %s' "$SECONDS_LEARN s: $store accesses ($yes answered, $((store - yes)) attempted), $v6 over IPv6; generator $made, list $store, loss $lost" ok)"
say "$requests requests made, $flows flows counted; shop: $(answered "$tmp/learn.json" shop) requests answered"

# ---- 4 ------------------------------------------------------------------------------------
begin topology
cw topology export --level controller -o dot="$out/topology.dot" || fail "topology export"
cw topology export --level controller -o dot="$tmp/again.dot" || fail "topology export"
cmp -s "$out/topology.dot" "$tmp/again.dot" || fail "two exports of the same graph differ"
cw topology export --level controller -o json="$tmp/graph.json" || fail "topology export -o json"
cw topology show --level controller >"$out/topology.txt" || fail "topology show"
drawn=topology.dot
if command -v dot >/dev/null; then
	dot -Tsvg "$out/topology.dot" -o "$out/topology.svg" 2>"$tmp/err" || fail "dot does not take topology.dot"
	drawn="topology.dot, .svg"
else
	say "SKIPPED in part: dot is not installed, no topology.svg"
fi
seen=$(jq '[.edges[].accesses[].id] | unique | length' "$tmp/graph.json")
expect "accesses in the graph" "$store" "$seen"
say "$(printf '%-88s %s' "$out/$drawn: $(jq '.namespaces | length' "$tmp/graph.json") namespaces, $(jq '.nodes | length' "$tmp/graph.json") nodes, $(jq '.edges | length' "$tmp/graph.json") edges; exported twice, identical" ok)"

# ---- 5 ------------------------------------------------------------------------------------
begin confirm
change access confirm -n shop,data,ops --answered
rules=$(cw status -o json | jq .rules.learned)
expect "learned rules" "$yes" "$rules"
pending=$(cw status -o json | jq .accesses.pending)
expect "pending accesses" "$((store - yes))" "$pending"
ready=
for ns in shop data ops; do
	# exit 1 is an answer here, too: not ready
	state=$({ cw ready -n "$ns" -o json || true; } | jq -r 'if .items[0].ready then "yes"
		else "no (" + ([.items[0].items[] | select(.state == "missing").topic] | unique | join(", ")) + ")" end')
	ready="$ready $ns $state,"
done
say "$rules learned rules from answered accesses; $pending pending: not answered. ready:${ready%,}"

# ---- 6 ------------------------------------------------------------------------------------
begin simulate
cat >"$tmp/candidate.yaml" <<'YAML'
apiVersion: cellwall.io/v1alpha1
kind: ClusterAccessRule
metadata: {name: only-cart-to-db}
spec:
  action: block
  from:
  - {namespace: shop, matchExpressions: [{key: app, operator: NotIn, values: [cart]}]}
  to:
  - {namespace: data, labels: {app: db}}
  ports: [tcp/5432]
YAML
code=0
cw simulate -f "$tmp/candidate.yaml" >"$out/simulation.txt" || code=$?
expect "exit code of simulate (1: something breaks)" 1 "$code"
cw simulate -f "$tmp/candidate.yaml" -o json >"$tmp/simulation.json" || true
expect "accesses that break" 1 "$(jq .breaks "$tmp/simulation.json")"
broken=$(jq -r '.items[0].id' "$tmp/simulation.json")
what=$(jq -r '.items[0] | "\(.src) -> \(.dst) \(.port), \(.flows) flows"' "$tmp/simulation.json")
say "candidate \"only cart may reach db\": breaks 1 access, $what"
# the same rule live, where nothing drops: the one that would be blocked is the one that was foretold
change mode set alert -n shop,data,ops
change rule apply -f "$tmp/candidate.yaml"
was=$(dropped)
traffic "$tmp/alert.json" --seconds 5
all_answered "$tmp/alert.json"
drain
would=$(cw access list -A --verdict would-block -o json | jq -r '[.items[] | select(.answered == "yes").id] | join(" ")')
expect "accesses that would be blocked" "$broken" "$would"
now=$(dropped)
expect "packets dropped in alert mode" 0 "$((now - was))"
say "$(printf '%-88s %s' "alert mode, same rule live: 1 answered access would-block, the same one; packets dropped: 0" ok)"
change rule delete only-cart-to-db

# ---- 7 ------------------------------------------------------------------------------------
begin enforce
change mode set enforce -n shop,data,ops --confirm 60s --accept not-ready
ends=$(jq .flowCounts.cut "$tmp/change.json")
gen=$(jq .generation.to "$tmp/change.json")
us=$(jq '[.receipts[].afterUs] | max' "$tmp/change.json")
cw change confirm "$gen" >/dev/null || fail "change confirm $gen"
say "shop, data, ops --confirm 60s; plan: $ends live flows end; generation $gen in $us us; confirmed"
forged_was=$(reason spoof-ip dropped)
traffic "$tmp/attack.json" --attack --seconds 5
all_answered "$tmp/attack.json"
drain
probes=$(jq .attack.probes "$tmp/attack.json")
through=$(jq .attack.delivered "$tmp/attack.json")
expect "probes delivered" 0 "$through"
expect "packets the victims' counters missed" 0 "$(jq .attack.captureLost "$tmp/attack.json")"
expect "forged packets delivered" 0 "$(jq .attack.forgedDelivered "$tmp/attack.json")"
expect "database logins answered" 0 "$(jq .attack.dbAnswered "$tmp/attack.json")"
forged=$(($(reason spoof-ip dropped) - forged_was))
expect "forged packets dropped" "$(jq .attack.forged "$tmp/attack.json")" "$forged"
say "shop: $(answered "$tmp/attack.json" shop) requests answered.  attacker: $through of $(printf "%'d" "$probes") probes delivered, $forged forged dropped"
cw topology export --level controller -o dot="$out/enforced.dot" || fail "topology export"
if command -v dot >/dev/null; then
	dot -Tsvg "$out/enforced.dot" -o "$out/enforced.svg" 2>"$tmp/err" || fail "dot does not take enforced.dot"
fi
id=$(cw access list -A --state pending,held -o json | jq -r '[.items[] | select(.src == "ops/pod/attacker" and .dst == "data/sts/db" and .port == "tcp/5432").id][0] // ""')
[ -n "$id" ] || fail "the attacker's access to the database is not on record"
sentence=$(cw explain "$id" | head -1) || fail "explain $id"
case $sentence in *blocked*) ;; *) fail "explain $id: expected a sentence about a block, got: $sentence" ;; esac
say "$sentence"

# ---- 8 ------------------------------------------------------------------------------------
begin quarantine
# In learn everything passes, so that what stops now is stopped by the quarantine alone.
change mode set learn -n shop,data,ops
peer() { # from metrics to the attacker: refused by its kernel (1) or silent (124)
	local code=0
	nsenter --net="$lab/netns/metrics-1" timeout 1 bash -c '</dev/tcp/10.20.3.66/7' 2>/dev/null || code=$?
	echo "$code"
}
traffic "$tmp/free.json" --attack --probes 256 --seconds 1
expect "probes delivered in learn (the counter-check)" 256 "$(jq .attack.delivered "$tmp/free.json")"
expect "database logins answered in learn" 6 "$(jq .attack.dbAnswered "$tmp/free.json")"
expect "towards the attacker in learn" 1 "$(peer)"
cut_at=$(now_ms)
cw quarantine add ops/pod/attacker --reason "scan" >/dev/null || fail "quarantine add"
cut=$(awk -v ms=$(($(now_ms) - cut_at)) 'BEGIN { printf "%.2f", ms / 1000 }')
cut_off() { # WHEN
	traffic "$tmp/cut.json" --attack --probes 256 --seconds 1
	expect "probes delivered, $1" 0 "$(jq .attack.delivered "$tmp/cut.json")"
	expect "database logins answered, $1" 0 "$(jq .attack.dbAnswered "$tmp/cut.json")"
	expect "towards the attacker, $1" 124 "$(peer)"
	all_answered "$tmp/cut.json"
}
cut_off "quarantined"
drain
known() { cw access list -A -o json | jq '.meta.total'; }
before=$(known)
{ kill -9 "$daemon"; wait "$daemon" || true; } 2>/dev/null
daemon=
cut_off "quarantined, daemon killed"
start_daemon
wait_guarded "$n"
[ "$(known)" -ge "$before" ] || fail "accesses known after the restart: expected $before or more, got $(known)"
cut_off "quarantined, daemon back"
say "$(printf '%-88s %s' "attacker cut off in $cut s, both ways; daemon killed: still cut off; daemon back: took over, $before accesses kept" ok)"
