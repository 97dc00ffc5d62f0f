# shellcheck shell=bash
# A hostile workload: nothing that it forges arrives while it is enforced, each kind for its own
# reason, and what it forges does not stop others.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080 9090
daemon_start
wl 1 shop rogue; wl 2 shop cart; wl 3 shop victim
wait_guards 3
# All is allowed: only the forgery itself is a reason.
rule all allow '{any: true}' '{any: true}'
mode ns/shop enforce
mac_of() { in_ns "$1" cat /sys/class/net/eth0/address; }
M1=$(mac_of p1) M2=$(mac_of p2) M3=$(mac_of p3)
forge() { in_ns p1 python3 selftests/netns/src/forge.py eth0 "$@"; }
t p1 ping "$(v4 p2)" 1 500 >/dev/null; t p1 ping "$(v6 p2)" 1 500 >/dev/null
sleep 0.2
count_start c p2 eth0
declare -A REASON=() SENT=()
k=0
try() { # KIND REASON SRCMAC SRC DST [more]
	local kind=$1 reason=$2 b a
	k=$((k + 1))
	b=$(reason_dropped "$reason")
	forge "$kind" $k 20 "$3" "$M2" "$4" "$5" 9090 || not_ok "$kind: cannot send"
	sleep 0.05
	a=$(reason_dropped "$reason")
	SENT[$k]="$kind $4"
	same "$kind ($4): dropped as $reason" 20 $((a - b))
}
try addr spoof-ip "$M1" 10.99.0.13 "$(v4 p2)"
try addr spoof-ip "$M1" 192.0.2.77 "$(v4 p2)"
try addr spoof-ip "$M1" fd99::13 "$(v6 p2)"
try mac spoof-mac "$M3" "$(v4 p1)" "$(v4 p2)"
try mac spoof-mac "$M3" "$(v6 p1)" "$(v6 p2)"
try arp spoof-arp "$M1" 10.99.0.13 "$(v4 p2)"
try na spoof-arp "$M1" fd99::13 "$(v6 p2)"
try ra redirect "$M1" "$(v6 p1)" "$(v6 p2)"
try redirect redirect "$M1" "$(v4 p1)" "$(v4 p2)"
try redirect redirect "$M1" "$(v6 p1)" "$(v6 p2)"
try vxlan tunnel "$M1" "$(v4 p1)" 10.99.0.1
try ipip tunnel "$M1" "$(v4 p1)" 10.99.0.1
try orphan frag-orphan "$M1" "$(v4 p1)" "$(v4 p2)"
try orphan frag-orphan "$M1" "$(v6 p1)" "$(v6 p2)"
try tiny frag-bad "$M1" "$(v4 p1)" "$(v4 p2)"
try srcroute source-route "$M1" "$(v4 p1)" "$(v4 p2)"
try rthdr0 source-route "$M1" "$(v6 p1)" "$(v6 p2)"
try chain ext-headers "$M1" "$(v6 p1)" "$(v6 p2)"
try ethertype ethertype "$M1" "$(v4 p1)" "$(v4 p2)"
try badihl malformed "$M1" "$(v4 p1)" "$(v4 p2)"
try mapped malformed "$M1" ::ffff:10.99.0.11 "$(v6 p2)"
forge plain 60 20 "$M1" "$M2" "$(v4 p1)" "$(v4 p2)" 9090
forge plain 61 20 "$M1" "$M2" "$(v6 p1)" "$(v6 p2)" 9090
# Past its own queueing discipline: the hook is at the node's end, so it changes nothing.
forge addr 62 20 "$M1" "$M2" 10.99.0.13 "$(v4 p2)" 9090 bypass
sleep 0.2
count_stop c
got=
for i in $(seq $k) 62; do [ "$(in_of c "$i")" = 0 ] || got+="${SENT[$i]:-bypass}: $(in_of c "$i"); "; done
same "nothing forged arrived" "" "$got"
same "the honest frames of the same tool arrived" "20 20" "$(distinct_of c 60) $(distinct_of c 61)"
same "the victim is still reached" ok "$(t p3 tcp "$(v4 p2)" 8080 1000)"
get /v1/events >$W/ev.json
note "events: $(jq -r '[.items[].reason]|group_by(.)|map("\(.[0]) \(length)")|join(", ")' $W/ev.json)"
