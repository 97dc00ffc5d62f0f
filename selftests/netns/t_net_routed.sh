# shellcheck shell=bash
# The verdict table over routed pairs: a /32 in the workload, a gateway that nobody has, proxy ARP on
# the node's end, one route per workload.
. selftests/netns/net.sh
node_up
LL=fe80::ecee:eeff:feee:eeee
for n in 1 2 3 4; do
	ip netns add p$n
	quiet_v6 ip netns exec p$n
	ip -n p$n link set lo up
	ip link add cwp$n type veth peer name eth0 netns p$n
	ip link set cwp$n address ee:ee:ee:ee:ee:ee up
	ip -n p$n link set eth0 up
	sysctl -qw net.ipv4.conf.cwp$n.proxy_arp=1 net.ipv4.neigh.cwp$n.proxy_delay=0
	ip addr replace $LL/64 dev cwp$n nodad
	ip -n p$n addr add "10.99.0.1$n/32" dev eth0
	ip -n p$n addr add "fd99::1$n/128" dev eth0 nodad
	ip -n p$n route add 169.254.1.1 dev eth0 scope link
	ip -n p$n route add default via 169.254.1.1
	ip -n p$n -6 route add default via $LL dev eth0
	ip route add "10.99.0.1$n/32" dev cwp$n
	ip -6 route add "fd99::1$n/128" dev cwp$n
done
ip link del cwbr0
ip route add default via 192.0.2.2 # proxy ARP answers for what is routed elsewhere
for n in 2 3 4; do serve p$n 8080; done
daemon_start guard.probe=1s
net_workloads
wait_guards 4
net_rules
verdict_table
same "wired to" "routed routed routed routed" "$(get /v1/guards | jq -r '[.items[].wiring]|join(" ")')"
for w in fromPod toPod; do
	check "proved by probe packets, $w" until_true 10 is_proved p1 $w
done
same "guarded on the node" "tcx host guarded" "$(guard_of p1)"
