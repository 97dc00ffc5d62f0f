# shellcheck shell=bash
# netns.sh - the real daemon between real network namespaces; sourced by the end-to-end tests.
#
# A test runs inside namespaces of its own (network, mount, process; see run.sh): this shell's
# network namespace is the node, /run and /tmp are private, a BPF file system is at /run/bpf.
# When the shell ends, the kernel takes every process, namespace, link, pin and mount with it.
#
# The picture:  pod pN (10.99.0.1N, fd99::1N) -- veth -- bridge cwbr0 (node, .0.1, ::1)
#               node -- veth -- out (192.0.2.2, 2001:db8:2::2) -- MTU 1300 -- mid -- far
#               (198.51.100.2, 2001:db8:3::2)
#
# BUILD is the build directory (absolute). Each check prints "ok NAME" or "not ok NAME".

export LC_ALL=C
# Used by the tests that source this.
# shellcheck disable=SC2034
W=/run/w SOCK=/run/w/api.sock
T=$BUILD/netns/traffic
COUNTER=$BUILD/netns/counter
FAILED=0
PODS=()
DAEMON=

ok() { echo "ok $TEST: $*"; }
not_ok() { echo "not ok $TEST: $*"; FAILED=$((FAILED + 1)); }
note() { echo "# $*"; }
skip() { echo "skip $TEST: $*"; }

# check NAME COMMAND...: by the command's exit code.
check() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name: $*"; fi
}
# same NAME WANT GOT; within NAME LOW HIGH GOT
same() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1: want '$2', got '$3'"; fi; }
within() {
	if [[ $4 =~ ^-?[0-9]+$ ]] && [ "$4" -ge "$2" ] && [ "$4" -le "$3" ]; then ok "$1 ($4)"; else
		not_ok "$1: want $2 to $3, got '$4'"
	fi
}
like() { if [[ $3 == *$2* ]]; then ok "$1"; else not_ok "$1: want '$2' in '${3:0:300}'"; fi; }
unlike() { if [[ $3 != *$2* ]]; then ok "$1"; else not_ok "$1: unwanted '$2' in '${3:0:300}'"; fi; }
bail() { not_ok "$*"; [ ! -s $W/daemon.log ] || tail -20 $W/daemon.log | sed 's/^/# log: /'; exit 1; }
finish() {
	if grep -aE 'ERROR: (Address|Leak)Sanitizer|runtime error:' $W/daemon.log 2>/dev/null | head -5 | sed 's/^/# /' | grep .; then
		not_ok "a sanitizer speaks in the daemon's log"
		grep -aA30 -E 'ERROR: (Address|Leak)Sanitizer|runtime error:' $W/daemon.log | head -60 | sed 's/^/# log: /'
	fi
	if [ $FAILED != 0 ] && [ -s $W/daemon.log ]; then tail -25 $W/daemon.log | sed 's/^/# log: /'; fi
	[ $FAILED = 0 ]
	exit
}

# until_true SECONDS COMMAND...: polls every 50 ms.
until_true() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" 2>/dev/null; do
		[ "${EPOCHREALTIME/./}" -lt $end ] || return 1
		sleep 0.05
	done
}

# ---- the picture -------------------------------------------------------------------------------------

quiet_v6() { # NETNS-COMMAND-PREFIX...: no duplicate detection, no router solicitations
	"$@" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.all.router_solicitations=0
}

node_up() {
	mkdir -p $W
	ip link set lo up
	quiet_v6 env
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 \
		net.ipv6.icmp.ratelimit=0 2>/dev/null
	ip link add cwbr0 type bridge mcast_snooping 0
	ip link set cwbr0 up
	ip addr add 10.99.0.1/24 dev cwbr0
	ip addr add fd99::1/64 dev cwbr0 nodad
	for n in out mid far; do
		ip netns add $n
		quiet_v6 ip netns exec $n
		ip -n $n link set lo up
		ip netns exec $n sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
			net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 2>/dev/null
	done
	ip link add cwup0 type veth peer name eth0 netns out
	ip link set cwup0 up
	ip -n out link set eth0 up
	ip addr add 192.0.2.1/24 dev cwup0
	ip addr add 2001:db8:2::1/64 dev cwup0 nodad
	ip -n out addr add 192.0.2.2/24 dev eth0
	ip -n out addr add 2001:db8:2::2/64 dev eth0 nodad
	ip -n out route add default via 192.0.2.1
	ip -n out -6 route add default via 2001:db8:2::1
	ip -n out link add eth1 mtu 1300 type veth peer name eth0 netns mid
	ip -n mid link set eth0 mtu 1300 up
	ip -n out link set eth1 up
	ip -n out addr add 203.0.113.1/24 dev eth1
	ip -n out addr add 2001:db8:4::1/64 dev eth1 nodad
	ip -n mid addr add 203.0.113.2/24 dev eth0
	ip -n mid addr add 2001:db8:4::2/64 dev eth0 nodad
	ip -n mid route add default via 203.0.113.1
	ip -n mid -6 route add default via 2001:db8:4::1
	ip -n out route add 198.51.100.0/24 via 203.0.113.2
	ip -n out -6 route add 2001:db8:3::/64 via 2001:db8:4::2
	ip -n mid link add eth1 type veth peer name eth0 netns far
	ip -n mid link set eth1 up
	ip -n far link set eth0 up
	ip -n mid addr add 198.51.100.1/24 dev eth1
	ip -n mid addr add 2001:db8:3::1/64 dev eth1 nodad
	ip -n far addr add 198.51.100.2/24 dev eth0
	ip -n far addr add 2001:db8:3::2/64 dev eth0 nodad
	ip -n far route add default via 198.51.100.1
	ip -n far -6 route add default via 2001:db8:3::1
	ip route add 198.51.100.0/24 via 192.0.2.2
	ip -6 route add 2001:db8:3::/64 via 2001:db8:2::2
}

# pod_up N: namespace pN, its interface eth0, the node's end cwpN
pod_up() {
	local n=$1
	ip netns add "p$n"
	quiet_v6 ip netns exec "p$n"
	ip -n "p$n" link set lo up
	ip link add "cwp$n" type veth peer name eth0 netns "p$n"
	pod_wire "$n"
	PODS+=("$n")
}
pod_wire() {
	local n=$1
	ip link set "cwp$n" master cwbr0 up
	ip -n "p$n" link set eth0 up
	ip -n "p$n" addr add "10.99.0.1$n/24" dev eth0
	ip -n "p$n" addr add "fd99::1$n/64" dev eth0 nodad
	ip -n "p$n" route add default via 10.99.0.1
	ip -n "p$n" -6 route add default via fd99::1
}
v4() { case $1 in out) echo 192.0.2.2 ;; far) echo 198.51.100.2 ;; node) echo 10.99.0.1 ;; *) echo "10.99.0.1${1#p}" ;; esac; }
v6() { case $1 in out) echo 2001:db8:2::2 ;; far) echo 2001:db8:3::2 ;; node) echo fd99::1 ;; *) echo "fd99::1${1#p}" ;; esac; }

in_ns() { local n=$1; shift; ip netns exec "$n" "$@"; } # in_ns p1 COMMAND...
t() { local n=$1; shift; ip netns exec "$n" "$T" "$@"; } # t p1 ask ...
# With & only: $! is then the tool itself, to be stopped with SIGTERM.
bg() { local n=$1; shift; exec ip netns exec "$n" "$T" "$@"; }

# serve p1 PORT...: an echo server, TCP and UDP, until the test ends
serve() {
	local n=$1
	shift
	ip netns exec "$n" "$T" serve "$@" &
	until_true 5 listening "$n" "${@: -1}" || bail "no echo server in $n"
}
listening() { [ -n "$(ip netns exec "$1" ss -Hlnu "sport = :$2")" ]; }

# count_start NAME NETNS IFACE [answers]; count_stop NAME -> output in $W/NAME.count
declare -A COUNTERS
count_start() {
	local pre=(ip netns exec "$2")
	[ "$2" != node ] || pre=()
	rm -f "$W/$1.up"
	"${pre[@]}" "$COUNTER" "$3" "$W/$1.up" ${4:+"$4"} >"$W/$1.count" &
	COUNTERS[$1]=$!
	until_true 5 test -e "$W/$1.up" || bail "no counter on $2 $3"
}
count_stop() {
	kill -TERM "${COUNTERS[$1]}"
	wait "${COUNTERS[$1]}"
	[ "$(field "$1" dropped)" = 0 ] || not_ok "the counter $1 itself lost packets"
}
# in_of NAME STREAM, out_of, distinct_of; field NAME WORD
in_of() { awk -v s="$2" '$1=="stream" && $2==s {v=$4} END {print v+0}' "$W/$1.count"; }
out_of() { awk -v s="$2" '$1=="stream" && $2==s {v=$6} END {print v+0}' "$W/$1.count"; }
distinct_of() { awk -v s="$2" '$1=="stream" && $2==s {v=$8} END {print v+0}' "$W/$1.count"; }
field() { awk -v k="$2" '$1==k {v=$2} END {print v+0}' "$W/$1.count"; }

# ---- the daemon -----------------------------------------------------------------------------------------

# daemon_start [KEY=VALUE...]: and waits until it answers
daemon_start() {
	local sets=() kv bin=${CELLWALLD:-$BUILD/bin/cellwalld}
	for kv in "$@"; do sets+=(--set "$kv"); done
	printf '%s\n' "$@" >$W/sets
	printf 'node: n1\n' >$W/cellwalld.yaml
	"$bin" --config $W/cellwalld.yaml --set node=n1 --set paths.state=$W/state --set "paths.pins=${PINS:-/run/bpf/cw}" \
		--set api.socket=$SOCK --set 'clusterCIDRs=[10.99.0.0/24, "fd99::/64"]' \
		--set maps.flows=65536 --set maps.rows=262144 --set maps.addresses=4096 --set maps.groups=1024 \
		--set maps.endpoints=256 --set learn.drain=200ms "${sets[@]}" >>$W/daemon.log 2>&1 &
	DAEMON=$!
	until_true 20 api_up_or_dead
	api_up || bail "the daemon does not answer"
}
api_up_or_dead() { api_up || daemon_gone; }
api_up() { kill -0 $DAEMON 2>/dev/null && curl -sf --unix-socket $SOCK http://localhost/v1/version >/dev/null; }
daemon_kill() { kill -KILL $DAEMON; wait $DAEMON 2>/dev/null; DAEMON=; }
daemon_stop() {
	kill -TERM $DAEMON
	until_true 10 daemon_gone || bail "the daemon does not stop"
	wait $DAEMON
}
daemon_gone() { ! kill -0 $DAEMON 2>/dev/null; }
daemon_again() { # the same settings
	local sets
	mapfile -t sets <$W/sets
	[ -n "${sets[0]}" ] || sets=()
	daemon_start "${sets[@]}"
}

# get PATH; post PATH BODY; del PATH. The answer on stdout; fails on an ErrorList.
get() { curl -s --max-time 20 --unix-socket $SOCK "http://localhost$1"; }
post() {
	local r
	r=$(curl -s --max-time 20 --unix-socket $SOCK -H 'Content-Type: application/json' -X "${3:-POST}" --data-binary "$2" "http://localhost$1")
	printf '%s\n' "$r"
	[ "$(jq -r '.kind // "-"' <<<"$r" 2>/dev/null)" != ErrorList ] && [ -n "$r" ]
}
del() { curl -s --max-time 20 --unix-socket $SOCK -X DELETE "http://localhost$1"; }
must_post() { # fails the test loudly
	local r
	r=$(post "$@") || { not_ok "POST $1 $(head -c 300 <<<"$2") refused: $(head -c 600 <<<"$r")"; return 1; }
}

# wl N NS APP [DEPLOY]: declares pod pN
wl() {
	must_post /v1/workloads "$(jq -nc --arg n "p$1" --arg ns "$2" --arg app "$3" --arg d "${4:-$3}" \
		'{namespace:$ns,name:$n,netns:$n,labels:{app:$app},controller:{kind:"Deployment",name:$d}}')"
}
guards_up() { # COUNT
	[ "$(get /v1/guards | jq '[.items[]|select(.state!="blind")]|length')" = "$1" ]
}
wait_guards() { until_true 10 guards_up "$1" || bail "guards: $(get /v1/guards | jq -c '.items')"; settle; }
# Addresses found inside a workload have reached the policy: its generation stands still.
generation() { get /v1/status | jq -r '"\(.generation) \(.node.generation) \(.node.inSync) \(.counters.generation)"'; }
settle() {
	local a b i
	a=$(generation)
	for i in 1 2 3 4 5 6 7 8 9 10; do
		sleep 0.1
		b=$(generation)
		[ "$a" != "$b" ] || return 0
		a=$b
	done
}

mode() { # REF MODE [extra query]
	must_post "/v1/modes/set?accept=not-ready${3:+&$3}" "{\"refs\":[\"$1\"],\"mode\":\"$2\"}"
}
default_to() { must_post "/v1/modes/set?accept=not-ready" "{\"refs\":[\"$1\"],\"default\":\"$2\"}"; }

# rule NAME ACTION FROM TO PORTS [EXTRA]: a cluster rule; FROM and TO are one selector as flow YAML
rule() {
	local doc
	doc=$(printf 'apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: %s}\nspec:\n  action: %s\n  from: [%s]\n  to: [%s]\n%s%s\n' \
		"$1" "$2" "$3" "$4" "${5:+  ports: [$5]
}" "${6:+  $6}")
	must_post "/v1/rules/apply?accept=not-ready" "$(jq -nc --arg t "$doc" '{documents:[{file:"test.yaml",text:$t}]}')"
}
rule_del() { must_post /v1/rules/delete "{\"names\":[\"$1\"]}"; }
quarantine() { must_post /v1/quarantines "{\"ref\":\"$1\",\"reason\":\"test\"}"; }
release() { must_post /v1/quarantines/release "{\"refs\":[\"$1\"]}"; }

drain() { post /v1/drain '' >/dev/null; }
# access_lines: "SRC DST PORT ANSWERED STATE EGRESS INGRESS FLOWS PACKETS", sorted
access_lines() {
	drain
	get "/v1/accesses${1:+?$1}" | jq -r '.items[]|"\(.src) \(.dst) \(.port) \(.answered) \(.state) \(.egress) \(.ingress) \(.flows) \(.packets)"' | sort
}
counters() { get /v1/counters | jq -r ".counters.$1"; }
reason_dropped() { get /v1/counters | jq -r --arg r "$1" '.counters.reasons[$r].dropped // 0'; }
in_force() { [ "$(counters inForce)" = true ]; }
test_repaired() { [ "$(counters repaired)" -gt "$1" ]; }
no_link() { ! ip link show "$1" >/dev/null 2>&1; }
# The kinds of hook this kernel has, best first.
hooks_here() {
	local k
	for k in tcx clsact; do
		if "$BUILD/bin/cellwalld" --config /dev/null --features 2>/dev/null | grep -Eq "^$k +yes"; then
			echo $k
		fi
	done
}
