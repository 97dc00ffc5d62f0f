# shellcheck shell=bash
# Labels change under traffic: what the old state and the new one agree on is neither opened nor
# closed for a packet. An address that another pod takes over never carries the former identity.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080 9090 9091
daemon_start
# wl_labels N NS LABELS-AS-JSON
wl_labels() { must_post /v1/workloads "$(jq -nc --arg n "p$1" --arg ns "$2" --argjson l "$3" '{namespace:$ns,name:$n,netns:$n,labels:$l}')"; }
wl_labels 1 shop '{"app":"web","role":"x"}'
wl_labels 2 shop '{"app":"cart","tier":"a"}'
wl_labels 3 data '{"app":"db"}'
wait_guards 3
# Tier a: from both roles to 8080; tier b: the same, and 9091. Nobody to 9090, nobody else at all.
policy() { # NAME TIER PORTS
	local ports=() p
	for p in $3; do ports+=("{protocol: TCP, port: $p}" "{protocol: UDP, port: $p}"); done
	printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s, namespace: shop}\nspec:\n' "$1"
	printf '  podSelector: {matchLabels: {tier: %s}}\n  policyTypes: [Ingress]\n  ingress:\n' "$2"
	printf '  - from: [{podSelector: {matchLabels: {role: x}}}, {podSelector: {matchLabels: {role: y}}}]\n'
	printf '    ports: [%s]\n---\n' "$(IFS=,; echo "${ports[*]}")"
}
must_post '/v1/rules/apply?accept=not-ready' \
	"$(jq -nc --arg t "$(policy in-a a 8080; policy in-b b '8080 9091')" '{documents:[{file:"np.yaml",text:$t}]}')"
default_to ns/shop allow
mode ns/shop enforce
tcp_is() { [ "$(t p1 tcp "$(v4 p2)" "$1" 300)" = "$2" ]; }
check "before: 8080 is open" until_true 3 tcp_is 8080 ok
check "before: 9091 is closed" tcp_is 9091 timeout
like "the chain names the policy that isolates" 'networkpolicy' \
	"$(get '/v1/query?src=data/pod/p3&dst=shop/pod/p2&port=tcp/8080' | jq -c '.ingress.by')"

bg p1 connects "$(v4 p2)" 8080 100000 >$W/connects &
P0=$!
count_start a p1 eth0
count_start b p2 eth0
count_start c p3 eth0
bg p1 send 1 "$(v4 p2)" 8080 1000000 32 200 60001 >$W/s1 &
P1=$!
bg p1 send 2 "$(v4 p2)" 9090 1000000 32 200 60002 >$W/s2 &
P2=$!
bg p1 fresh 3 "$(v6 p2)" 8080 1000000 500 >$W/s3 &
P3=$!
bg p1 fresh 4 "$(v4 p2)" 9090 1000000 500 >$W/s4 &
P4=$!
bg p3 fresh 5 "$(v4 p2)" 8080 1000000 500 >$W/s5 &
P5=$!
sleep 0.2
for k in $(seq 12); do
	wl_labels 2 shop "{\"app\":\"cart\",\"tier\":\"$([ $((k % 2)) = 1 ] && echo b || echo a)\",\"rev\":\"$k\"}"
	sleep 0.03
	wl_labels 1 shop "{\"app\":\"web\",\"role\":\"$([ $((k % 2)) = 1 ] && echo y || echo x)\"}"
	[ $((k % 6)) != 1 ] || check "change $k took effect: 9091 is open" until_true 2 tcp_is 9091 ok
	[ $((k % 6)) != 2 ] || check "change $k took effect: 9091 is closed" until_true 2 tcp_is 9091 timeout
done
kill -TERM $P0 $P1 $P2 $P3 $P4 $P5
wait $P0 $P1 $P2 $P3 $P4 $P5
sleep 0.1
for n in a b c; do count_stop $n; done
like "connections: none failed ($(cat $W/connects))" " bad 0" "$(cat $W/connects)"
same "open in both states: as many arrived as were sent, one flow" "$(out_of a 1)" "$(in_of b 1)"
same "open in both states: as many arrived as were sent, new flows" "$(out_of a 3)" "$(in_of b 3)"
same "closed in both states: none of $(out_of a 2), $(out_of a 4) and $(out_of c 5) arrived" "0 0 0" \
	"$(in_of b 2) $(in_of b 4) $(in_of b 5)"
for n in 1 2 3 4; do within "stream $n was sent" 500 10000000 "$(out_of a $n)"; done

# ---- an address in other hands ---------------------------------------------------------------------

# pod_as N IP: pod pN on the address of pod IP
pod_as() {
	ip netns add "p$1"
	quiet_v6 ip netns exec "p$1"
	ip -n "p$1" link set lo up
	ip link add "cwp$1" type veth peer name eth0 netns "p$1"
	ip link set "cwp$1" master cwbr0 up
	ip -n "p$1" link set eth0 up
	ip -n "p$1" addr add "10.99.0.1$2/24" dev eth0
	ip -n "p$1" addr add "fd99::1$2/64" dev eth0 nodad
}
# The neighbour entry of the former owner would keep packets away from the new one's answers only.
check "p1 may while it is there" until_true 2 tcp_is 8080 ok
t p1 ask "$(v4 p2)" 8080 1 300 >/dev/null 2>&1
del /v1/workloads/shop/p1 >/dev/null
ip netns del p1
until_true 5 no_link cwp1
count_start d p2 eth0
pod_as 4 1
count_start e p4 eth0
# Also on the ports of the former flow: what stood for p1 is judged again.
bg p4 send 6 "$(v4 p2)" 8080 1000000 32 200 60001 >$W/s6 &
P6=$!
bg p4 fresh 7 "$(v6 p2)" 8080 1000000 300 >$W/s7 &
P7=$!
sleep 0.3
wl_labels 4 data '{"app":"db"}'
check "the new owner is guarded" until_true 5 guards_up 3
sleep 0.5
kill -TERM $P6 $P7
wait $P6 $P7
sleep 0.1
count_stop d
count_stop e
within "the new owner sent" 500 10000000 "$(out_of e 6)"
same "none of its $(out_of e 6) and $(out_of e 7) packets came in on the former identity" "0 0" "$(in_of d 6) $(in_of d 7)"
like "it is known as itself" "data/pod/p4" "$(get '/v1/query?src=10.99.0.11&dst=shop/pod/p2&port=tcp/8080' | jq -c '.')$(get /v1/workloads/data/p4 | jq -c .)"
# With the labels that are let in it is let in, on the same address.
del /v1/workloads/data/p4 >/dev/null
wl_labels 4 shop '{"app":"web","role":"x"}'
open_again() { [ "$(t p4 tcp "$(v4 p2)" 8080 300)" = ok ]; }
check "with labels of its own that are let in, it is let in" until_true 5 open_again
