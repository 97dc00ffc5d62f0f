# shellcheck shell=bash
# The verdict table over macvlan: no end on the node, so the hooks are inside the workload. What comes
# in is guarded there; what goes out is against the honest, and shown as bypassable.
. selftests/netns/net.sh
node_up
ip link add cwpar type veth peer name cwparup
ip link set cwpar up
ip link set cwparup up
for n in 1 2 3 4; do
	ip netns add p$n
	quiet_v6 ip netns exec p$n
	ip -n p$n link set lo up
	ip link add link cwpar name cwmv$n type macvlan mode bridge 2>$W/err || { skip "no macvlan here: $(cat $W/err)"; finish; }
	ip link set cwmv$n netns p$n name eth0
	ip -n p$n link set eth0 up
	ip -n p$n addr add 10.99.0.1$n/24 dev eth0
	ip -n p$n addr add fd99::1$n/64 dev eth0 nodad
done
for n in 2 3 4; do serve p$n 8080; done
daemon_start guard.probe=1s
net_workloads
wait_guards 4
net_rules
verdict_table
same "shown for what it is" "tcx pod bypassable" "$(guard_of p1)"
same "what comes in is guarded" "tcx pod guarded" "$(get /v1/guards | jq -r '.items[]|select(.workload|endswith("/p1"))|.toPod|"\(.hook) \(.state)"')"
check "what it sends by the usual way is seen" until_true 10 is_proved p1 fromPod
same "no probe leads to it from here" "0 0" "$(proved p1 toPod)"

# A packet socket that skips the queueing layer gets past the hook of whoever sends. The receiver, where
# it is guarded on the same node, judges the sender's side as well.
datagrams() { in_ns "$1" awk '/^Udp: [0-9]/ {print $2 + $3}' /proc/net/snmp; } # taken, or to no port
raw() { in_ns p1 "$BUILD/netns/rawsend" eth0 "$(ip -n "$1" -j link show eth0 | jq -r '.[0].address')" "$(v4 p1)" "$(v4 "$1")" "$2" 10; }
mode ns/data off
mode ns/shop off
n0=$(datagrams p4)
same "sent past the hook" "sent 10" "$(raw p4 8080)"
sleep 0.2
same "arrives where nothing is enforced" 10 $(($(datagrams p4) - n0))
mode ns/shop enforce
for x in "p2 10" "p3 0" "p4 0"; do
	read -r p want <<<"$x"
	n0=$(datagrams "$p")
	raw "$p" 8080 >/dev/null
	sleep 0.2
	same "past the hook to $p, by the sender's rules" "$want" $(($(datagrams "$p") - n0))
done
drain
same "told as the sender's" "block" "$(get /v1/accesses | jq -r '[.items[]|select(.src=="shop/deploy/web" and .dst=="data/deploy/none" and .port=="udp/8080")|.egress]|unique|join(",")')"
