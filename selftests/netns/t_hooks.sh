# shellcheck shell=bash
# Which hook holds what: tcx and clsact, at the node's end of a veth and inside the workload
# (macvlan), each judged both ways; what can be got around says so.
node_up
for n in 1 2; do pod_up $n; done
serve p2 8080 9090
# p3 and p4: macvlan interfaces of a veth of the node; nothing of theirs but their own end can be hooked.
ip link add cwmvl type veth peer name cwmvl1
ip link set cwmvl up
ip link set cwmvl1 master cwbr0 up
mv=1
for n in 3 4; do
	ip netns add p$n
	quiet_v6 ip netns exec p$n
	ip -n p$n link set lo up
	if ip link add cwmv$n link cwmvl type macvlan mode bridge && ip link set cwmv$n netns p$n name eth0; then
		ip -n p$n link set eth0 up
		ip -n p$n addr add 10.99.0.1$n/24 dev eth0
		ip -n p$n addr add fd99::1$n/64 dev eth0 nodad
		serve p$n 8080 9090
	else
		mv=0
	fi
done
[ "$(hooks_here)" = "tcx
clsact" ] || skip "only these hooks here: $(hooks_here | tr '\n' ' ')"
for hook in $(hooks_here); do
	rm -rf $W/state
	daemon_start attach.hook=$hook
	wl 1 shop web; wl 2 shop cart
	if [ $mv = 1 ]; then
		wl 3 shop web; wl 4 shop cart
		wait_guards 4
	else
		wait_guards 2
	fi
	rule base allow '{namespace: shop, labels: {app: web}}' '{namespace: shop, labels: {app: cart}}' 'tcp/8080, udp/8080'
	mode ns/shop enforce
	guards=$(get /v1/guards | jq -r '.items[]|"\(.workload) \(.hook) \(.state)"' | sort)
	like "$hook: a veth is guarded at the node" "shop/pod/p1 $hook host guarded" "$guards"
	for fam in v4 v6; do
		same "$hook: allowed $fam" ok "$(t p1 tcp "$($fam p2)" 8080 1000)"
		same "$hook: blocked $fam" timeout "$(t p1 tcp "$($fam p2)" 9090 200)"
		same "$hook: blocked the other way $fam" timeout "$(t p2 tcp "$($fam p1)" 8080 200)"
	done
	if [ $mv = 0 ]; then
		skip "macvlan: not in this kernel"
	else
		like "$hook: a macvlan is bypassable" "shop/pod/p3 $hook pod bypassable" "$guards"
		for fam in v4 v6; do
			same "$hook, in the pod: allowed $fam" ok "$(t p3 tcp "$($fam p4)" 8080 1000)"
			same "$hook, in the pod: blocked $fam" timeout "$(t p3 tcp "$($fam p4)" 9090 200)"
			same "$hook, veth to macvlan: allowed $fam" ok "$(t p1 tcp "$($fam p4)" 8080 1000)"
			same "$hook, veth to macvlan: blocked $fam" timeout "$(t p1 tcp "$($fam p4)" 9090 200)"
			same "$hook, macvlan to veth: allowed $fam" ok "$(t p3 tcp "$($fam p2)" 8080 1000)"
			same "$hook, macvlan to veth: blocked $fam" timeout "$(t p3 tcp "$($fam p2)" 9090 200)"
		done
	fi
	daemon_stop
	"$BUILD/bin/cellwalld" --config $W/cellwalld.yaml --set paths.pins=/run/bpf/cw --set paths.state=$W/state --uninstall >/dev/null
done
