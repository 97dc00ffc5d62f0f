# shellcheck shell=bash
# Interfaces are renamed, moved, deleted and made anew while the daemon runs; addresses change.
node_up
for n in 1 2; do pod_up $n; done
serve p2 8080 9090
daemon_start
wl 1 shop web; wl 2 shop cart
wait_guards 2
rule base allow '{namespace: shop}' '{namespace: shop}' 'tcp/8080, udp/8080'
mode ns/shop enforce
blocked() { [ "$(t p1 tcp "$(v4 p2)" 9090 150)" = timeout ]; }
allowed() { [ "$(t p1 tcp "$(v4 p2)" 8080 500)" = ok ]; }
both() { # WHAT
	check "$1: allowed" until_true 3 allowed
	check "$1: blocked" blocked
}
both "before"

ip link set cwp1 down && ip link set cwp1 name cwx1 && ip link set cwx1 up
in_ns p1 ip link set eth0 down
in_ns p1 ip link set eth0 name net0
in_ns p1 ip link set net0 up
in_ns p1 ip -6 addr add fd99::11/64 dev net0 nodad
in_ns p1 ip route replace default via 10.99.0.1
sleep 0.5
both "renamed at both ends"
like "the guard shows the new name" net0 "$(get /v1/guards | jq -r '.items[].iface')"

# Moved out of the node: into another namespace, wired to a bridge there. Nothing to hook on the node.
ip netns add elsewhere
ip link set cwx1 netns elsewhere
sleep 0.5
note "moved away: $(get '/v1/guards' | jq -c '[.items[]|select(.workload=="shop/pod/p1")|{iface,hook,state,reason}]')"
unlike "moved away: not shown as guarded at the node" "tcx host" "$(get '/v1/guards' | jq -r '.items[]|select(.workload=="shop/pod/p1").hook')"
ip -n elsewhere link set cwx1 netns 1
ip link set cwx1 master cwbr0 up
until_true 5 guards_up 2
both "moved and back"

ip link del cwx1
sleep 0.3
ip link add cwp1 type veth peer name eth0 netns p1
pod_wire 1
t0=$("$T" clock)
until_true 5 guards_up 2
note "guards again after $((($("$T" clock) - t0) / 1000)) ms"
both "deleted and made anew"
same "no pin of a lost interface is left" 4 "$(find /run/bpf/cw/links -type f | wc -l)"

# The namespace goes and comes again under the same name, with the same addresses.
ip netns del p1
until_true 5 guards_up 1
ip netns add p1
quiet_v6 ip netns exec p1
ip -n p1 link set lo up
until_true 5 no_link cwp1
ip link add cwp1 type veth peer name eth0 netns p1
pod_wire 1
until_true 5 guards_up 2
same "guards after the namespace was made anew" 2 "$(get /v1/guards | jq '[.items[]|select(.state=="guarded")]|length')"
both "namespace made anew"

# An address comes and goes.
in_ns p2 ip addr add 10.99.0.50/24 dev eth0
new_addr() { [ "$(t p1 tcp 10.99.0.50 8080 200)" = ok ]; }
check "a new address is the workload's within 3 s" until_true 3 new_addr
same "and guarded" timeout "$(t p1 tcp 10.99.0.50 9090 150)"
# Another interface.
ip link add cwp2b type veth peer name eth1 netns p2
ip link set cwp2b master cwbr0 up
in_ns p2 ip link set eth1 up
in_ns p2 ip addr add 10.99.0.60/32 dev eth1
until_true 5 guards_up 3
same "another interface is guarded too" 3 "$(get /v1/guards | jq '[.items[]|select(.state=="guarded")]|length')"
