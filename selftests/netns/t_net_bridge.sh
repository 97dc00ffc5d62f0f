# shellcheck shell=bash
# The verdict table over a Linux bridge; several interfaces in one workload; proof by probe packets.
. selftests/netns/net.sh
node_up
for n in 1 2 3 4; do pod_up $n; done
for n in 2 3 4; do serve p$n 8080; done
daemon_start guard.probe=1s
net_workloads
wait_guards 4
net_rules
verdict_table
same "wired to" "bridge bridge bridge bridge" "$(get /v1/guards | jq -r '[.items[].wiring]|join(" ")')"
for w in fromPod toPod; do
	check "proved by probe packets, $w" until_true 10 is_proved p1 $w
done
same "guarded on the node" "tcx host guarded" "$(guard_of p1)"

# A second and a third interface of the same workload.
ip link add cwsec type veth peer name net1 netns p1
ip link set cwsec up
ip -n p1 link set net1 up
ip link add cwpar type veth peer name cwpar1
ip link set cwpar up
ip link set cwpar1 up
if ip link add link cwpar name cwmv type macvlan mode bridge 2>$W/err && ip link set cwmv netns p1 name net2; then
	ip -n p1 link set net2 up
	want="eth0 tcx host guarded,net1 tcx host guarded,net2 tcx pod bypassable"
else
	skip "no macvlan here: $(cat $W/err)"
	want="eth0 tcx host guarded,net1 tcx host guarded"
fi
interfaces() { get /v1/guards | jq -r '[.items[]|select(.workload|endswith("/pod/p1"))|"\(.iface) \(.hook) \(.state)"]|sort|join(",")'; }
interfaces_are() { [ "$(interfaces)" = "$1" ]; }
until_true 5 interfaces_are "$want"
same "each interface for itself" "$want" "$(interfaces)"
for i in net1 net2; do
	[[ $want == *$i* ]] || continue
	one() { get /v1/guards | jq -r --arg i $i '.items[]|select(.iface==$i and (.workload|endswith("/pod/p1")))|.fromPod|"\(.probesSent) \(.probesSeen)"'; }
	one_is() { [ "$(one)" = "2 2" ]; }
	until_true 10 one_is
	same "what $i sends is seen" "2 2" "$(one)"
done
ip link del cwsec
gone() { ! interfaces | grep -q net1; }
check "an interface that goes takes its place in the map along" until_true 5 gone
same "nothing was dropped for it" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
