# shellcheck shell=bash
# The verdict table over an overlay: two nodes, each with a daemon of its own and a bridge, VXLAN
# between them. The workload that sends is on one node, those it speaks to on the other.
. selftests/netns/net.sh
node_up
ip netns add n2
quiet_v6 ip netns exec n2
ip -n n2 link set lo up
ip netns exec n2 sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip link add cwul0 type veth peer name cwul0 netns n2
ip link set cwul0 up
ip -n n2 link set cwul0 up
ip addr add 172.31.0.1/24 dev cwul0
ip -n n2 addr add 172.31.0.2/24 dev cwul0
vx() { # NODE OWN OTHER
	local pre=()
	[ "$1" = node ] || pre=(ip netns exec "$1")
	"${pre[@]}" ip link add cwvx0 type vxlan id 7 local 172.31.0."$2" remote 172.31.0."$3" dstport 8472 2>$W/err || return
	"${pre[@]}" ip link set cwvx0 up
	"${pre[@]}" ip addr add 10.99.255."$2"/24 dev cwvx0
	"${pre[@]}" ip addr add fd99:0:0:ff::"$2"/64 dev cwvx0 nodad
}
vx node 1 2 && vx n2 2 1 || { skip "no VXLAN here: $(cat $W/err)"; finish; }
ip route add 10.99.1.0/24 via 10.99.255.2
ip -6 route add fd99:0:0:1::/64 via fd99:0:0:ff::2
ip -n n2 route add 10.99.0.0/24 via 10.99.255.1
ip -n n2 -6 route add fd99::/64 via fd99:0:0:ff::1
ip -n n2 link add cwbr0 type bridge mcast_snooping 0
ip -n n2 link set cwbr0 up
ip -n n2 addr add 10.99.1.1/24 dev cwbr0
ip -n n2 addr add fd99:0:0:1::1/64 dev cwbr0 nodad
pod_up 1
for n in 2 3 4; do
	ip netns add p$n
	quiet_v6 ip netns exec p$n
	ip -n p$n link set lo up
	ip -n n2 link add cwp$n type veth peer name eth0 netns p$n
	ip -n n2 link set cwp$n master cwbr0 up
	ip -n p$n link set eth0 mtu 1450 up
	ip -n p$n addr add 10.99.1.1$n/24 dev eth0
	ip -n p$n addr add fd99:0:0:1::1$n/64 dev eth0 nodad
	ip -n p$n route add default via 10.99.1.1
	ip -n p$n -6 route add default via fd99:0:0:1::1
done
ip -n p1 link set eth0 mtu 1450
v4() { case $1 in p1) echo 10.99.0.11 ;; *) echo "10.99.1.1${1#p}" ;; esac; }
v6() { case $1 in p1) echo fd99::11 ;; *) echo "fd99:0:0:1::1${1#p}" ;; esac; }
for n in 2 3 4; do serve p$n 8080; done
cidrs='clusterCIDRs=[10.99.0.0/16, "fd99::/48"]'
daemon_start guard.probe=1s "$cidrs"
SOCK2=$W/api2.sock
ip netns exec n2 "$BUILD/bin/cellwalld" --config $W/cellwalld.yaml --set node=n2 --set paths.state=$W/state2 \
	--set paths.pins=/run/bpf/cw2 --set api.socket=$SOCK2 --set "$cidrs" --set maps.flows=65536 --set maps.rows=262144 \
	--set maps.addresses=4096 --set maps.groups=1024 --set maps.endpoints=256 --set guard.probe=1s >>$W/daemon.log 2>&1 &
until_true 20 on $SOCK2 api_up || bail "no daemon on the second node"
NET_NODES=("$SOCK" "$SOCK2")
for n in 2 3 4; do NODE_OF[p$n]=$SOCK2; done
net_workloads
wait_guards 1
on $SOCK2 wait_guards 3
net_rules
verdict_table
for w in fromPod toPod; do
	check "proved by probe packets, $w" until_true 10 on $SOCK2 is_proved p2 $w
done
same "guarded on the node it is on" "tcx host guarded" "$(guard_of p1)"
same "and there" "tcx host guarded" "$(on $SOCK2 guard_of p2)"
# Encapsulation into the overlay by a workload would be a way past every verdict.
mode ns/shop enforce
rule net-any allow '{namespace: shop}' '{any: true}' 'udp/8472'
n0=$(reason_dropped tunnel)
t p1 send 9 10.99.0.1 8472 5 32 10 >/dev/null
tunnel_told() { [ "$(reason_dropped tunnel)" -gt "${n0:-0}" ]; }
check "a workload cannot send into the overlay" until_true 5 tunnel_told
